"""What the GANs among the model families have in common: latent vectors, a loss, two networks of a width."""

import dataclasses

from wavegan_asmr.errors import UserError
from wavegan_asmr.families.family import Family
from wavegan_asmr.lazy import LazyModule
from wavegan_asmr.networks.losses import LOSSES

# --help lists families, and must not wait for their libraries.
np = LazyModule("numpy")

_GENERATOR_COPIES, _DISCRIMINATOR_COPIES = 5, 4
"""Weights, gradients, the optimiser's two moments; of the generator the average too."""


class GAN(Family):
    """A generator and a discriminator (Goodfellow et al. 2014)."""

    slows = ("wavegan_genr_lr", "wavegan_disc_lr")
    metrics = {"D_loss": "D", "G_loss": "G", "wasserstein": "W"}  # noqa: RUF012

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
        taps, grid, nearest = self.count_weights(config)
        needed = taps + grid * config.wavegan_latent_dim
        if is_training:
            # Real and generated slices, and in each network the layer nearest to them.
            needed = _GENERATOR_COPIES * needed + _DISCRIMINATOR_COPIES * (taps + grid)
            needed += 2 * config.train_batch_size * nearest
        self.refuse_beyond_memory(config, needed)

    def count_weights(self, config):
        """Counts what takes memory.

        Args:
            config: `Config`.

        Returns:
            Integers: weights of the convolutions of one network; numbers of its latent grid; numbers of one slice and
            of the layer nearest to it.
        """
        raise NotImplementedError

    def needs_recordings(self, config):
        """Whether an update of the generator takes recordings too, a boolean."""
        return LOSSES[config.wavegan_loss].compares

    def batches_per_step(self, config):
        """One a discriminator update, and one for the generator where it is compared with recordings."""
        return config.wavegan_disc_nupdates + self.needs_recordings(config)

    def input_spec(self, config):
        return (config.wavegan_latent_dim + config.given_dim,), "float32"

    def draw(self, config, random, n, truncation=1.0, temperature=1.0):
        latent_dim, labels = config.wavegan_latent_dim, len(config.label_names)
        if not config.given_dim:
            return random.uniform(-truncation, truncation, [n, latent_dim]).astype(np.float32)
        # Row k depends on k alone: a latent vector, one number for the label, the measures.
        drawn = random.random([n, latent_dim + 1 + len(config.data_conditions)])
        inputs = np.zeros([n, latent_dim + config.given_dim], np.float32)
        inputs[:, :latent_dim] = truncation * (2 * drawn[:, :latent_dim] - 1)
        if labels:
            ends = np.cumsum(config.label_shares)
            chosen = np.searchsorted(ends, drawn[:, latent_dim] * ends[-1], side="right")
            inputs[np.arange(n), latent_dim + np.minimum(chosen, labels - 1)] = 1
        inputs[:, latent_dim + labels :] = drawn[:, latent_dim + 1 :]
        return inputs

    def build_discriminator(self, config, precision="float32"):
        """Builds the discriminator.

        Args:
            config: `Config`.
            precision: String, Keras dtype policy.

        Returns:
            `keras.Model`; its first input is what it sees of slices, its output logits, float32 `[batch]`.
        """
        raise NotImplementedError

    def receptive_field(self, config):
        """Returns the samples of audio that one position of the discriminator's last convolution sees."""
        raise NotImplementedError


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
