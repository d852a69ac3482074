"""LSTMs behind the interface of a model family."""

from wavegan_asmr.errors import UserError
from wavegan_asmr.families.autoregressive.family import Autoregressive
from wavegan_asmr.lazy import LazyModule

# --help lists families, and must not wait for their libraries.
mu_law = LazyModule("wavegan_asmr.networks.mu_law")
networks = LazyModule("wavegan_asmr.families.lstm.networks")

_NUMBERS = 12
"""Of each cell that are kept of a sample to learn from it: gates, state, output, and what they come from."""


class LSTM(Autoregressive):
    """Cells that pass on a state from sample to sample (Hochreiter and Schmidhuber 1997)."""

    name = "lstm"
    words = "recurrent cells, a sample at a time"
    sizes = ("lstm_units", "lstm_layers", "train_batch_size", "lstm_unroll")
    defaults = {"train_batch_size": 8}  # noqa: RUF012

    def settle(self, config, given):
        if config.data_slice_len % config.lstm_unroll:
            raise UserError(
                f"--lstm_unroll must divide a slice, {config.data_slice_len} samples, as powers of two do. "
                f"Received: {config.lstm_unroll}."
            )
        return super().settle(config, given)

    def segment_len(self, config):
        return config.lstm_unroll

    def count_numbers(self, config):
        units, layers = config.lstm_units, config.lstm_layers
        weights = layers * 8 * units**2 + 2 * mu_law.CLASSES * units
        return weights, config.lstm_unroll * (layers * _NUMBERS * units + 3 * mu_law.CLASSES)

    def describe_memory(self, config):
        back_s = config.lstm_unroll / config.data_sample_rate
        return f"learns from {config.lstm_unroll} samples, {1000 * back_s:.0f} ms, and may remember longer"

    def build_network(self, config, precision="float32"):
        return networks.LSTM(config.lstm_units, config.lstm_layers, dtype=precision, name="network")
