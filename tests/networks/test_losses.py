"""The games against the traces of the reference and against formulas."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import REFERENCE
from test_wavegan import load_reference

from wavegan_asmr.config import Config
from wavegan_asmr.exchange.reference_import import variable_name
from wavegan_asmr.families.wavegan.trainer import Trainer, make_loss
from wavegan_asmr.networks import losses


class Replay:
    """Replays a training of the reference: same weights, reals, latents and interpolations."""

    def __init__(self, name):
        self.arrays = np.load(REFERENCE / "arrays" / f"train_{name}.npz")
        self.settings = json.loads(str(self.arrays["config"]))
        config = Config(
            data_slice_len=self.settings["slice_len"],
            wavegan_loss=self.settings["loss"],
            wavegan_dim=self.settings["dim"],
            wavegan_latent_dim=self.settings["latent_dim"],
            wavegan_disc_phaseshuffle=0,
            train_batch_size=self.settings["batch"],
            train_precision="float32",
        )
        self.trainer = Trainer(config, tf.distribute.get_strategy())
        self.networks = {"G": self.trainer.generator, "D": self.trainer.discriminator}
        for letter, network in self.networks.items():
            weights = {key: value for key, value in self.arrays.items() if key.startswith(f"init:{letter}/")}
            load_reference(network, weights, "init:")

    def draws(self, k):
        x_shape = self.arrays["x_shape"]
        x = np.random.RandomState(self.arrays["x_seeds"][k]).uniform(-0.5, 0.5, x_shape).astype(np.float32)
        alpha = self.arrays["alpha"][k].reshape(-1, 1, 1) if "alpha" in self.arrays else np.zeros([len(x), 1, 1])
        return tf.constant(x), tf.constant(self.arrays["z"][k]), tf.constant(alpha, tf.float32)

    def update_discriminator(self, k):
        metrics = self.trainer.update_discriminator(*self.draws(k), tf.zeros([3, 2], tf.int32))
        if self.trainer.loss.constrain:
            for weight in self.trainer.discriminator.trainable_variables:
                weight.assign(self.trainer.loss.constrain(weight.value))
        return metrics

    def update_generator(self, k):
        return self.trainer.update_generator(self.draws(k)[1], tf.zeros([2], tf.int32))

    def run(self):
        """Runs all steps; returns the metrics of the discriminator's and of the generator's updates."""
        d_metrics, g_metrics, k = [], [], 0
        for _ in range(self.settings["steps"]):
            for _ in range(self.settings["disc_nupdates"]):
                d_metrics.append(self.update_discriminator(k))
                k += 1
            g_metrics.append(self.update_generator(k))
            k += 1
        return d_metrics, g_metrics


class RecordedGradients(keras.optimizers.SGD):
    """An optimiser that keeps the gradients and leaves the weights alone."""

    def apply_gradients(self, grads_and_vars):
        self.gradients = {variable.path: np.array(gradient) for gradient, variable in grads_and_vars}


@pytest.mark.parametrize("name", ["dcgan", "lsgan", "wgan", "wgan-gp"])
def test_first_gradients_equal_reference(name):
    """The discriminator's on the first draws, and the generator's at the weights it then has."""
    replay = Replay(name)
    recorder = replay.trainer.discriminator_optimizer = RecordedGradients()
    replay.update_discriminator(0)
    compare_gradients(replay, "D", recorder.gradients)

    replay = Replay(name)
    updates = replay.settings["disc_nupdates"]
    for k in range(updates):
        replay.update_discriminator(k)
    recorder = replay.trainer.generator_optimizer = RecordedGradients()
    replay.update_generator(updates)
    compare_gradients(replay, "G", recorder.gradients)


def compare_gradients(replay, letter, gradients):
    keys = [key for key in replay.arrays if key.startswith(f"grad0:{letter}/")]
    assert len(keys) == len(gradients)
    largest = max(np.abs(replay.arrays[key]).max() for key in keys)
    for key in keys:
        _, name = variable_name(key.removeprefix("grad0:"))
        expected = replay.arrays[key]
        np.testing.assert_allclose(gradients[name].reshape(expected.shape), expected, rtol=0, atol=1e-3 * largest)


@pytest.mark.parametrize(
    ("name", "loss_tolerance", "weight_tolerance"),
    [
        ("dcgan", {"atol": 1e-4, "rtol": 0}, 1e-4),
        ("wgan-gp", {"atol": 0, "rtol": 5e-3}, 1e-3),
        ("lsgan", {"atol": 1e-4, "rtol": 1e-3}, 1e-4),
        ("wgan", {"atol": 1e-4, "rtol": 1e-3}, 1e-4),
    ],
)
def test_trajectory_equals_reference(name, loss_tolerance, weight_tolerance):
    replay = Replay(name)
    d_metrics, g_metrics = replay.run()
    arrays = replay.arrays
    np.testing.assert_allclose([m["D_loss"] for m in d_metrics], arrays["trace:D_loss"], **loss_tolerance)
    np.testing.assert_allclose([m["G_loss"] for m in g_metrics], arrays["trace:G_loss"], **loss_tolerance)
    if name == "wgan-gp":
        np.testing.assert_allclose([m["penalty"] for m in d_metrics], arrays["trace:gp"], rtol=5e-3)
    for letter, network in replay.networks.items():
        weights = {variable.path: variable.numpy() for variable in network.trainable_variables}
        keys = [key for key in arrays if key.startswith(f"final:{letter}/")]
        assert len(keys) == len(weights)
        for key in keys:
            _, path = variable_name(key.removeprefix("final:"))
            got = weights[path].reshape(arrays[key].shape)
            np.testing.assert_allclose(got, arrays[key], rtol=0, atol=weight_tolerance, err_msg=key)


D_REAL = np.array([0.3, -1.2, 2.0], np.float32)
D_FAKE = np.array([-0.7, 0.1, 5.0], np.float32)


def softplus(x):
    return np.log1p(np.exp(x))


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        ("dcgan", (softplus(D_FAKE).mean() + softplus(-D_REAL).mean()) / 2, softplus(-D_FAKE).mean()),
        ("lsgan", (((D_REAL - 1) ** 2).mean() + (D_FAKE**2).mean()) / 2, ((D_FAKE - 1) ** 2).mean()),
        ("wgan", D_FAKE.mean() - D_REAL.mean(), -D_FAKE.mean()),
        ("wgan-gp", D_FAKE.mean() - D_REAL.mean(), -D_FAKE.mean()),
        ("hinge", (0.7 + 2.2 + 0) / 3 + (0.3 + 1.1 + 6.0) / 3, -D_FAKE.mean()),
    ],
)
def test_formulas(name, discriminator, generator):
    loss = losses.LOSSES[name]()
    np.testing.assert_allclose(loss.discriminator_loss(D_REAL, D_FAKE), discriminator, rtol=1e-5)
    np.testing.assert_allclose(loss.generator_loss(D_FAKE), generator, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "formula"),
    [("wgan-gp", lambda norm, power: (norm - 1) ** 2), ("hinge", lambda norm, power: norm**2 * power)],
)
def test_penalty_of_a_linear_critic(name, formula):
    """The gradient of x . w is w everywhere."""
    w = np.random.default_rng(0).standard_normal([8, 2]).astype(np.float32)
    real, fake = (tf.random.stateless_normal([3, 8, 2], [0, i]) for i in range(2))
    alpha, power = tf.zeros([3, 1, 1]), 0.3
    penalty = losses.LOSSES[name]().penalty(lambda x: tf.reduce_sum(x * w, [1, 2]), real, fake, alpha, power)
    np.testing.assert_allclose(penalty, formula(np.linalg.norm(w), power), rtol=1e-5)


@pytest.mark.parametrize("level", [1e-3, 0.1, 10.0])
def test_r1_is_the_same_at_every_level(level):
    """A discriminator that undoes the level says the same of the same sound, and so is as steep."""
    real = tf.random.stateless_normal([3, 8, 1], [0, 0])

    def penalty(level):
        def discriminate(x):
            return tf.reduce_sum(tf.sin(x / level), [1, 2])

        x = level * real
        return losses.Hinge().penalty(discriminate, x, real, None, tf.reduce_mean(x**2))

    np.testing.assert_allclose(penalty(level), penalty(1.0), rtol=1e-5)


def test_r1_looks_at_real_audio_only():
    seen = []

    def discriminate(x):
        seen.append(x.numpy())
        return tf.reduce_sum(x, [1, 2])

    real, fake = tf.zeros([1, 4, 1]), tf.ones([1, 4, 1])
    losses.Hinge().penalty(discriminate, real, fake, tf.fill([1, 1, 1], 0.5), 1.0)
    np.testing.assert_array_equal(seen, [real])


def test_penalty_of_a_flat_critic_has_a_finite_gradient():
    weight = tf.Variable(0.0)
    x = tf.ones([2, 8, 1])
    with tf.GradientTape() as tape:
        penalty = losses.WGANGP().penalty(lambda x: weight * tf.reduce_sum(x, [1, 2]), x, x, tf.zeros([2, 1, 1]), 1.0)
    np.testing.assert_allclose(penalty, 1, atol=1e-5)
    assert np.isfinite(tape.gradient(penalty, weight))


@pytest.mark.parametrize("place", [0.0, 0.25, 1.0])
def test_penalty_looks_between_real_and_fake(place):
    seen = []

    def discriminate(x):
        seen.append(x.numpy())
        return tf.reduce_sum(x, [1, 2])

    real, fake = tf.zeros([1, 4, 1]), tf.ones([1, 4, 1])
    losses.WGANGP().penalty(discriminate, real, fake, tf.fill([1, 1, 1], place), 1.0)
    np.testing.assert_allclose(seen[0], np.full([1, 4, 1], place))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (losses.RMSprop(0.01), lambda v1: v1.RMSPropOptimizer(0.01)),
        (losses.Adam(0.01, 0.5, 0.9), lambda v1: v1.AdamOptimizer(0.01, 0.5, 0.9)),
    ],
    ids=["RMSProp", "Adam"],
)
def test_optimiser_is_tensorflow_1s(ours, theirs):
    """Against tf.compat.v1's own optimiser, step by step."""
    gradients = [np.float32(g) for g in (0.5, -0.3, 0.02, 4.0)]
    x, expected = tf.Variable([1.0, 2.0]), tf.compat.v1.Variable([1.0, 2.0], use_resource=True)
    ours.build([x])
    native = theirs(tf.compat.v1.train)
    for gradient in gradients:
        gradient = tf.constant([gradient, 1.0])
        ours.apply_gradients([(gradient, x)])
        native.apply_gradients([(gradient, expected)])
        np.testing.assert_allclose(x.numpy(), expected.numpy(), rtol=1e-6)


@pytest.mark.parametrize("size", [1, 1000])
def test_adam_is_keras_own(size):
    """Moments too, which checkpoints hold."""
    random = np.random.default_rng(0)
    gradients = random.standard_normal([20, size]).astype(np.float32)
    x, expected = tf.Variable(tf.ones([size])), tf.Variable(tf.ones([size]))
    ours, native = losses.Adam(0.01, 0.5, 0.9), keras.optimizers.Adam(0.01, 0.5, 0.9, epsilon=1e-8)
    for gradient in gradients:
        ours.apply_gradients([(gradient, x)])
        native.apply_gradients([(gradient, expected)])
    np.testing.assert_allclose(x, expected, rtol=1e-5)
    assert len(ours.variables) == len(native.variables)
    for each, other in zip(ours.variables, native.variables):
        np.testing.assert_allclose(each, other, rtol=1e-5, atol=1e-7)


def test_flags_reach_the_optimisers():
    loss = make_loss(
        Config(wavegan_genr_lr=0.1, wavegan_disc_lr=0.2, wavegan_beta1=0.3, wavegan_beta2=0.4, wavegan_gp_lambda=5)
    )
    generator, discriminator = loss.optimizers()
    assert [float(o.learning_rate) for o in (generator, discriminator)] == pytest.approx([0.1, 0.2])
    assert (generator.beta_1, discriminator.beta_2, loss.penalty_weight) == (0.3, 0.4, 5)


def test_defaults_are_the_references():
    expected = {
        "dcgan": (losses.Adam, 2e-4),
        "lsgan": (losses.RMSprop, 1e-4),
        "wgan": (losses.RMSprop, 5e-5),
        "wgan-gp": (losses.Adam, 1e-4),
        "hinge": (losses.Adam, 2e-4),
    }
    for name, (kind, rate) in expected.items():
        for optimizer in losses.LOSSES[name]().optimizers():
            assert type(optimizer) is kind
            assert float(optimizer.learning_rate) == pytest.approx(rate)
