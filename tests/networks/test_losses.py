"""The games and their optimisers against formulas and TensorFlow's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from wavegan_asmr.networks import losses, optimizers

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
        ("rpgan", softplus(D_FAKE - D_REAL).mean(), softplus(D_REAL - D_FAKE).mean()),
    ],
)
def test_formulas(name, discriminator, generator):
    loss = losses.LOSSES[name]()
    np.testing.assert_allclose(loss.discriminator_loss(D_REAL, D_FAKE), discriminator, rtol=1e-5)
    np.testing.assert_allclose(loss.generator_loss(D_FAKE, D_REAL if loss.compares else None), generator, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("wgan-gp", lambda norm, power: (norm - 1) ** 2),
        ("hinge", lambda norm, power: norm**2 * power),
        ("rpgan", lambda norm, power: 2 * norm**2 * power),
    ],
)
def test_penalty_of_a_linear_critic(name, formula):
    """The gradient of x . w is w everywhere."""
    w = np.random.default_rng(0).standard_normal([8, 2]).astype(np.float32)
    real, fake = (tf.random.stateless_normal([3, 8, 2], [0, i]) for i in range(2))
    alpha, power = tf.zeros([3, 1, 1]), 0.3
    penalty = losses.LOSSES[name]().penalty(lambda x: tf.reduce_sum(x * w, [1, 2]), real, fake, alpha, power)
    np.testing.assert_allclose(penalty, formula(np.linalg.norm(w), power), rtol=1e-5)


@pytest.mark.parametrize("name", ["hinge", "rpgan"])
@pytest.mark.parametrize("level", [1e-3, 0.1, 10.0])
def test_r1_and_r2_are_the_same_at_every_level(level, name):
    """A discriminator that undoes the level says the same of the same sound, and so is as steep."""
    real, fake = (tf.random.stateless_normal([3, 8, 1], [0, i]) for i in range(2))

    def penalty(level):
        def discriminate(x):
            return tf.reduce_sum(tf.sin(x / level), [1, 2])

        x = level * real
        return losses.LOSSES[name]().penalty(discriminate, x, level * fake, None, tf.reduce_mean(x**2))

    np.testing.assert_allclose(penalty(level), penalty(1.0), rtol=1e-5)


def test_r1_looks_at_real_audio_only():
    seen = []

    def discriminate(x):
        seen.append(x.numpy())
        return tf.reduce_sum(x, [1, 2])

    real, fake = tf.zeros([1, 4, 1]), tf.ones([1, 4, 1])
    losses.Hinge().penalty(discriminate, real, fake, tf.fill([1, 1, 1], 0.5), 1.0)
    np.testing.assert_array_equal(seen, [real])


def test_r1_and_r2_are_of_both():
    """A discriminator of the slope x at x: the squared norms of what it sees, on average over a batch."""
    real, fake = np.float32([[[1], [2]], [[0], [1]]]), np.float32([[[3], [0]], [[0], [0]]])
    penalty = losses.RpGAN().penalty(
        lambda x: tf.reduce_sum(x**2, [1, 2]) / 2, tf.constant(real), tf.constant(fake), None, 0.5
    )
    np.testing.assert_allclose(penalty, ((5 + 1) + (9 + 0)) / 2 * 0.5)


def test_pairs_count_by_their_difference_alone():
    """Whatever the discriminator adds to both of a pair is no one's gain; the generator's slope does not die out."""
    loss = losses.RpGAN()
    shift = np.float32([100, -30, 7])
    for of_network in (loss.discriminator_loss, lambda real, fake: loss.generator_loss(fake, real)):
        np.testing.assert_allclose(of_network(D_REAL + shift, D_FAKE + shift), of_network(D_REAL, D_FAKE), rtol=1e-4)
    d_fake = tf.constant([-50.0])
    with tf.GradientTape() as tape:
        tape.watch(d_fake)
        loss_of_the_beaten = loss.generator_loss(d_fake, tf.constant([50.0]))
    np.testing.assert_allclose(tape.gradient(loss_of_the_beaten, d_fake), [-1])


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
        (optimizers.RMSprop(0.01), lambda v1: v1.RMSPropOptimizer(0.01)),
        (optimizers.Adam(0.01, 0.5, 0.9), lambda v1: v1.AdamOptimizer(0.01, 0.5, 0.9)),
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
    ours, native = optimizers.Adam(0.01, 0.5, 0.9), keras.optimizers.Adam(0.01, 0.5, 0.9, epsilon=1e-8)
    for gradient in gradients:
        ours.apply_gradients([(gradient, x)])
        native.apply_gradients([(gradient, expected)])
    np.testing.assert_allclose(x, expected, rtol=1e-5)
    assert len(ours.variables) == len(native.variables)
    for each, other in zip(ours.variables, native.variables):
        np.testing.assert_allclose(each, other, rtol=1e-5, atol=1e-7)


def test_defaults_are_the_references():
    expected = {
        "dcgan": (optimizers.Adam, 2e-4),
        "lsgan": (optimizers.RMSprop, 1e-4),
        "wgan": (optimizers.RMSprop, 5e-5),
        "wgan-gp": (optimizers.Adam, 1e-4),
        "hinge": (optimizers.Adam, 2e-4),
        "rpgan": (optimizers.Adam, 2e-4),
    }
    for name, (kind, rate) in expected.items():
        for optimizer in losses.LOSSES[name]().optimizers():
            assert type(optimizer) is kind
            assert float(optimizer.learning_rate) == pytest.approx(rate)
