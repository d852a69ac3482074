"""WaveGAN behind the interface of a model family."""

from wavegan_asmr.errors import UserError
from wavegan_asmr.families.adversarial.family import GAN
from wavegan_asmr.lazy import LazyModule

# --help lists families, and must not wait for their libraries.
wavegan = LazyModule("wavegan")


class WaveGAN(GAN):
    """A GAN of raw audio (Donahue, McAuley, Puckette 2018)."""

    name = "wavegan"
    words = "a GAN of raw audio, the paper's"
    sizes = ("wavegan_dim", "train_batch_size", "wavegan_latent_dim", "wavegan_kernel_len", "data_slice_len")
    metrics = GAN.metrics | {"texture": "texture", "likeness": "likeness"}
    listens = True

    def settle(self, config, given):
        if config.data_slice_len // config.wavegan_bands not in wavegan.STRIDES:
            raise UserError(
                f"--wavegan_bands must leave at least {min(wavegan.STRIDES)} positions of a slice. Received: "
                f"{config.wavegan_bands} of --data_slice_len {config.data_slice_len}."
            )
        least = config.wavegan_bands * wavegan.LEVELS_HOP
        if config.wavegan_disc_levels % least:
            raise UserError(
                f"--wavegan_disc_levels must be 0 or at least {least} with --wavegan_bands {config.wavegan_bands}. "
                f"Received: {config.wavegan_disc_levels}."
            )
        return super().settle(config, given)

    def count_weights(self, config):
        length, channels = seen_shape(config)
        widths = [config.wavegan_dim * each for each in wavegan.channel_multipliers(length)]
        taps = config.wavegan_kernel_len * sum(a * b for a, b in zip([channels, *widths], widths))
        grid = wavegan.GRID_LEN * widths[-1]
        return taps + config.given_dim * grid, grid, length * (channels + widths[0] // 4)

    def needs_recordings(self, config):
        is_compared = config.wavegan_genr_texture > 0 or config.wavegan_genr_likeness > 0
        return is_compared or config.given_dim > 0 or super().needs_recordings(config)

    def receptive_field(self, config):
        return config.wavegan_bands * wavegan.receptive_field(seen_shape(config)[0], config.wavegan_kernel_len)

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
            noise_pulses=config.wavegan_genr_noise_pulses,
            bands=config.wavegan_bands,
            post_filter_len=config.post_filter_len,
            labels=len(config.label_names),
            measures=len(config.data_conditions),
            dtype=precision,
        )

    def build_discriminator(self, config, precision="float32"):
        length, channels = seen_shape(config)
        return wavegan.build_discriminator(
            slice_len=length,
            channels=channels,
            kernel_len=config.wavegan_kernel_len,
            dim=config.wavegan_dim,
            batchnorm=config.wavegan_batchnorm,
            phaseshuffle=config.wavegan_disc_phaseshuffle,
            phaseshuffle_per=config.wavegan_disc_phaseshuffle_per,
            levels=config.wavegan_disc_levels // config.wavegan_bands,
            labels=len(config.label_names),
            measures=len(config.data_conditions),
            dtype=precision,
        )

    def make_trainer(self, config, strategy):
        from wavegan_asmr.families.wavegan.trainer import WaveGANTrainer

        return WaveGANTrainer(config, strategy)


def seen_shape(config):
    """Returns what the discriminator sees of a slice: positions and channels, those of all bands together."""
    return config.data_slice_len // config.wavegan_bands, config.data_num_channels * config.wavegan_bands
