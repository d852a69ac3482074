"""SpecGAN behind the interface of a model family."""

from wavegan_asmr.errors import UserError
from wavegan_asmr.families.adversarial.family import GAN
from wavegan_asmr.lazy import LazyModule
from wavegan_asmr.networks.losses import LOSSES

# --help lists families, and must not wait for their libraries.
networks = LazyModule("wavegan_asmr.families.specgan.networks")

_READ = ("wavegan_dim", "wavegan_latent_dim", "wavegan_batchnorm", "wavegan_loss", "wavegan_disc_nupdates")


class SpecGAN(GAN):
    """DCGAN of log-magnitude spectrograms, heard by Griffin-Lim (Donahue, McAuley, Puckette 2018, section 3.2)."""

    name = "specgan"
    words = "a GAN of spectrograms, the paper's other one"
    sizes = ("wavegan_dim", "train_batch_size", "wavegan_latent_dim")

    def reads(self, name):
        of_losses = {setting for loss in LOSSES.values() for setting in loss.reads}
        return name in (*_READ, "wavegan_lr_hold") or name in of_losses

    def settle(self, config, given):
        if config.data_slice_len != networks.SLICE_LEN:
            raise UserError(
                f"--data_slice_len must be {networks.SLICE_LEN} for --family {self.name}, whose spectrograms are of "
                f"128 x 128. Received: {config.data_slice_len}."
            )
        return super().settle(config, given)

    def count_weights(self, config):
        widths = [config.wavegan_dim * each for each in networks.MULTIPLIERS]
        channels = config.data_num_channels
        taps = networks.KERNEL_LEN**2 * sum(a * b for a, b in zip([channels, *widths], widths))
        return taps, networks.GRID_LEN**2 * widths[-1], networks.SLICE_LEN * (channels + widths[0] // 4)

    def receptive_field(self, config):
        frames, hop = 1, 1
        for _ in networks.MULTIPLIERS:
            frames += (networks.KERNEL_LEN - 1) * hop
            hop *= networks.STRIDE
        return (frames - 1) * networks.HOP + networks.WINDOW_LEN

    def build_generator(self, config, precision="float32"):
        return networks.build_generator(
            channels=config.data_num_channels,
            latent_dim=config.wavegan_latent_dim,
            dim=config.wavegan_dim,
            batchnorm=config.wavegan_batchnorm,
            dtype=precision,
        )

    def build_discriminator(self, config, precision="float32"):
        return networks.build_discriminator(
            channels=config.data_num_channels,
            dim=config.wavegan_dim,
            batchnorm=config.wavegan_batchnorm,
            dtype=precision,
        )

    def make_trainer(self, config, strategy):
        from wavegan_asmr.families.specgan.trainer import SpecGANTrainer

        return SpecGANTrainer(config, strategy)
