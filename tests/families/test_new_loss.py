"""A loss that sees what the discriminator says to real and to generated audio together is one class."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.families import family_of
from wavegan_asmr.networks import losses


class Relativistic(losses.Loss):
    """Relativistic pairing (Jolicoeur-Martineau 2018, RpGAN)."""

    name, words, reads, compares = "paired", "relativistic pairs", ("wavegan_genr_lr", "wavegan_disc_lr"), True
    learning_rate, betas = 1e-4, (0.5, 0.9)
    seen: list = []  # noqa: RUF012

    def discriminator_loss(self, d_real, d_fake):
        return tf.reduce_mean(tf.nn.softplus(d_fake - d_real))

    def generator_loss(self, d_fake, d_real=None):
        self.seen.append(d_real.shape)
        return tf.reduce_mean(tf.nn.softplus(d_real - d_fake))


SMALL = {
    "data_dir": "x",
    "data_slice_len": 4096,
    "wavegan_dim": 1,
    "wavegan_latent_dim": 4,
    "train_batch_size": 2,
    "wavegan_disc_nupdates": 2,
    "train_precision": "float32",
    "wavegan_loss": "paired",
}


def test_it_is_a_choice_where_it_is_registered(monkeypatch):
    with pytest.raises(
        UserError, match=r"--wavegan_loss must be one of dcgan, lsgan, wgan, wgan-gp, hinge, rpgan. Received"
    ):
        Config(**SMALL)
    monkeypatch.setitem(losses.LOSSES, "paired", Relativistic)
    config = Config(**SMALL)
    settled = family_of(config).settle(config, {"wavegan_loss": "paired"})
    assert settled.wavegan_genr_lr == 1e-4 and settled.wavegan_beta2 == 0.9
    with pytest.raises(
        UserError, match=r"--wavegan_clip has an effect with --wavegan_loss wgan only. Received: .*paired"
    ):
        family_of(config).settle(config, {"wavegan_clip": 0.1})


def test_it_trains(monkeypatch):
    monkeypatch.setitem(losses.LOSSES, "paired", Relativistic)
    config = Config(**SMALL)
    family = family_of(config)
    # One batch more than discriminator updates: the generator is compared with recordings too.
    assert family.batches_per_step(config) == 3
    assert family.batches_per_step(dataclasses.replace(config, wavegan_loss="dcgan")) == 2
    trainer = family.make_trainer(family.settle(config, {}), tf.distribute.OneDeviceStrategy("/cpu:0"))
    real = np.random.default_rng(0).uniform(-0.1, 0.1, [2, 4096, 1]).astype(np.float32)
    batches = iter(tf.data.Dataset.from_tensors(real).repeat())
    before = [weight.numpy() for weight in trainer.generator.trainable_variables]
    metrics = trainer.iterate(batches)
    assert Relativistic.seen == [(2,)]
    # Before anything is learned, neither is more real than the other.
    assert float(metrics["G_loss"]) == pytest.approx(np.log(2), abs=0.05)
    assert "texture" not in metrics
    after = [weight.numpy() for weight in trainer.generator.trainable_variables]
    assert all((a != b).any() for a, b in zip(before, after) if a.size > 1)
