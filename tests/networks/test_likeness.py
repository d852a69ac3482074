"""Likeness of slices, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from wavegan_asmr.networks.likeness import likeness


@pytest.mark.parametrize("shape", [(3, 4096, 2), (5, 512, 1)])
def test_it_is_the_mean_squared_correlation_of_pairs(shape):
    random = np.random.default_rng(0)
    x = random.normal(0, 0.1, shape) + 0.05 * random.normal(size=[1, *shape[1:]])
    length, squares = min(1024, shape[1]), []
    for first in range(0, shape[1], length):
        for channel in range(shape[2]):
            stretch = x[:, first : first + length, channel]
            for i in range(shape[0]):
                for j in range(shape[0]):
                    if i != j:
                        a, b = stretch[i], stretch[j]
                        squares.append((a @ b) ** 2 / ((a @ a) * (b @ b)))
    assert float(likeness(tf.constant(x, tf.float32))) == pytest.approx(np.mean(squares), rel=1e-3)


def test_level_and_sign_do_not_count_and_silence_is_like_nothing():
    random = np.random.default_rng(1)
    x = random.normal(0, 0.1, [1, 4096, 1]) * np.array([1, -0.01, 3]).reshape(3, 1, 1)
    assert float(likeness(tf.constant(x, tf.float32))) == pytest.approx(1, abs=1e-2)
    x = tf.zeros([3, 4096, 1])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = likeness(x)
    assert float(y) == 0 and np.isfinite(tape.gradient(y, x)).all()


def test_its_slope_makes_slices_different():
    random = np.random.default_rng(2)
    common = random.normal(0, 0.1, [1, 1024, 1])
    x = tf.Variable(common + random.normal(0, 0.05, [4, 1024, 1]), dtype=tf.float32)
    optimizer, first = tf.keras.optimizers.Adam(0.01), float(likeness(x))
    for _ in range(50):
        with tf.GradientTape() as tape:
            y = likeness(x)
        optimizer.apply_gradients([(tape.gradient(y, x), x)])
    assert first > 0.5 and float(likeness(x)) < 0.05
