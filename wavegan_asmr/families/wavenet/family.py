"""WaveNet behind the interface of a model family."""

import itertools

from wavegan_asmr.errors import UserError
from wavegan_asmr.families.autoregressive.family import Autoregressive
from wavegan_asmr.lazy import LazyModule

# --help lists families, and must not wait for their libraries.
mu_law = LazyModule("wavegan_asmr.networks.mu_law")
networks = LazyModule("wavegan_asmr.families.wavenet.networks")

_NUMBERS = 10
"""Of each channel that a block keeps of a sample to learn from it: its inputs, both gates, their products."""


class WaveNet(Autoregressive):
    """Dilated causal convolutions of samples (van den Oord et al. 2016)."""

    name = "wavenet"
    words = "dilated causal convolutions, a sample at a time"
    sizes = ("wavenet_channels", "wavenet_skip_channels", "train_batch_size", "data_slice_len")
    defaults = {"train_batch_size": 4}  # noqa: RUF012

    def settle(self, config, given):
        dilations = config.wavenet_dilations
        received = f"Received: {','.join(map(str, dilations))}."
        if not dilations:
            raise UserError("--wavenet_dilations must have at least one number, such as 1,2,4,8. Received none.")
        if min(dilations) < 1 or any(a >= b for a, b in itertools.pairwise(dilations)):
            raise UserError(
                "--wavenet_dilations must rise, such as 1,2,4,8; --wavenet_repeats takes them several times. "
                + received
            )
        seen = networks.receptive_field(all_dilations(config))
        if seen >= config.data_slice_len:
            raise UserError(
                f"the receptive field must be shorter than a slice, {config.data_slice_len} samples; give smaller "
                f"--wavenet_dilations or --wavenet_repeats, or a larger --data_slice_len. {received[:-1]}, "
                f"{config.wavenet_repeats} times: {seen} samples."
            )
        return super().settle(config, given)

    def count_numbers(self, config):
        channels, skip = config.wavenet_channels, config.wavenet_skip_channels
        blocks = len(all_dilations(config))
        weights = blocks * (4 * channels**2 + channels * (channels + skip)) + skip * (skip + mu_law.CLASSES)
        return weights, config.data_slice_len * (blocks * (_NUMBERS * channels + skip) + 3 * mu_law.CLASSES)

    def describe_memory(self, config):
        seen = networks.receptive_field(all_dilations(config))
        return f"sees {seen} samples, {1000 * seen / config.data_sample_rate:.0f} ms"

    def build_network(self, config, precision="float32"):
        return networks.WaveNet(
            config.wavenet_channels,
            config.wavenet_skip_channels,
            all_dilations(config),
            dtype=precision,
            name="network",
        )


def all_dilations(config):
    """Returns the dilations of all blocks, a tuple of integers."""
    return config.wavenet_dilations * config.wavenet_repeats
