"""WaveGAN behind the interface of a model family."""

import dataclasses

from wavegan_asmr.errors import UserError
from wavegan_asmr.families.family import Family
from wavegan_asmr.lazy import LazyModule
from wavegan_asmr.networks.losses import LOSSES
from wavegan_asmr.progress import machine_memory_bytes

# --help lists families, and must not wait for their libraries.
np = LazyModule("numpy")
wavegan = LazyModule("wavegan")

_FLOAT_BYTES = 4
_GENERATOR_COPIES, _DISCRIMINATOR_COPIES = 5, 4
"""Weights, gradients, the optimiser's two moments; of the generator the average too."""


class WaveGAN(Family):
    """A generator and a discriminator of raw audio (Donahue, McAuley, Puckette 2018)."""

    name = "wavegan"
    words = "a GAN of raw audio, the paper's"
    prefix = "wavegan_"
    sizes = ("wavegan_dim",)
    slows = ("wavegan_genr_lr", "wavegan_disc_lr")
    metrics = {"D_loss": "D", "G_loss": "G", "wasserstein": "W", "texture": "texture"}  # noqa: RUF012

    def settle(self, config, given):
        """Fills in the loss's own rates; see `Family.settle`."""
        loss = make_loss(config)
        of_losses = {name for each in LOSSES.values() for name in each.reads}
        for name in sorted(of_losses.intersection(given) - set(loss.reads)):
            readers = ", ".join(each.name for each in LOSSES.values() if name in each.reads)
            raise UserError(
                f"--{name} has an effect with --wavegan_loss {readers} only. Received: --wavegan_loss {loss.name}; "
                "leave one of them out."
            )
        if config.data_slice_len // config.wavegan_bands not in wavegan.STRIDES:
            raise UserError(
                f"--wavegan_bands must leave at least {min(wavegan.STRIDES)} positions of a slice. Received: "
                f"{config.wavegan_bands} of --data_slice_len {config.data_slice_len}."
            )
        self.check_memory(config, is_training=True)
        beta1, beta2 = loss.betas or (None, None)
        return dataclasses.replace(
            config,
            wavegan_genr_lr=loss.genr_lr,
            wavegan_disc_lr=loss.disc_lr,
            wavegan_beta1=beta1,
            wavegan_beta2=beta2,
        )

    def check_memory(self, config, is_training=False):
        length, channels = seen_shape(config)
        widths = [config.wavegan_dim * each for each in wavegan.channel_multipliers(length)]
        taps = config.wavegan_kernel_len * sum(a * b for a, b in zip([channels, *widths], widths))
        grid = wavegan.GRID_LEN * widths[-1]
        needed = taps + grid * config.wavegan_latent_dim
        if is_training:
            # Real and generated audio, and in each network the layer nearest to it.
            samples = 2 * config.train_batch_size * length * (channels + widths[0] // 4)
            needed = _GENERATOR_COPIES * needed + _DISCRIMINATOR_COPIES * (taps + grid) + samples
        needed *= _FLOAT_BYTES
        there = machine_memory_bytes()
        if needed > there:
            raise UserError(
                f"this model needs more than {needed / 1e9:,.0f} GB, and this machine has {there / 1e9:,.0f} GB; give "
                "a smaller --wavegan_dim, --train_batch_size, --wavegan_latent_dim, --wavegan_kernel_len or "
                f"--data_slice_len. Received: {config.wavegan_dim}, {config.train_batch_size}, "
                f"{config.wavegan_latent_dim}, {config.wavegan_kernel_len}, {config.data_slice_len}."
            )

    def batches_per_step(self, config):
        """One a discriminator update, and one for the generator where it is compared with recordings."""
        return config.wavegan_disc_nupdates + needs_recordings(config)

    def input_spec(self, config):
        return (config.wavegan_latent_dim,), "float32"

    def draw(self, config, random, n, truncation=1.0):
        return random.uniform(-truncation, truncation, [n, config.wavegan_latent_dim]).astype(np.float32)

    def build_generator(self, config, precision="float32"):
        return wavegan.build_generator(
            slice_len=config.data_slice_len,
            channels=config.data_num_channels,
            latent_dim=config.wavegan_latent_dim,
            kernel_len=config.wavegan_kernel_len,
            dim=config.wavegan_dim,
            batchnorm=config.wavegan_batchnorm,
            upsample=config.wavegan_genr_upsample,
            noise=config.wavegan_genr_noise,
            relative_noise=config.wavegan_genr_noise_relative,
            noise_bits=config.wavegan_genr_noise_bits,
            bands=config.wavegan_bands,
            post_filter_len=config.post_filter_len,
            dtype=precision,
        )

    def generator_part(self, config):
        return "ema" if config.train_ema else "generator"

    def make_trainer(self, config, strategy):
        from wavegan_asmr.families.wavegan.trainer import WaveGANTrainer

        return WaveGANTrainer(config, strategy)


def make_loss(config):
    """Returns the `losses.Loss` of a `Config`."""
    return LOSSES[config.wavegan_loss](
        genr_lr=config.wavegan_genr_lr,
        disc_lr=config.wavegan_disc_lr,
        beta1=config.wavegan_beta1,
        beta2=config.wavegan_beta2,
        penalty_weight=config.wavegan_gp_lambda,
        clip=config.wavegan_clip,
    )


def needs_recordings(config):
    """Whether an update of the generator takes recordings too, a boolean."""
    return config.wavegan_genr_texture > 0 or LOSSES[config.wavegan_loss].compares


def seen_shape(config):
    """Returns what the discriminator sees of a slice: positions and channels, those of all bands together."""
    return config.data_slice_len // config.wavegan_bands, config.data_num_channels * config.wavegan_bands
