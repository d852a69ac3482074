"""How alike slices are sample by sample: whether a generator that has learned a sound makes the same one each time."""

import tensorflow as tf

_STRETCH = 1024
"""Positions that are correlated at once: a generator may repeat a part of a slice."""
_FLOOR = 1e-8


def likeness(x):
    """Mean squared correlation of slices with each other.

    Each stretch of each channel, or band, counts alike, however soft it is. Independent sound of a broad band has one
    over the positions of a stretch; what is the same but for a factor has 1. Distances of statistics, and a
    discriminator, which sees slices one by one, do not hear it.

    Args:
        x: float32 `[batch, positions, channels]`, at least two slices.

    Returns:
        Scalar in [0, 1].
    """
    batch, positions, channels = x.shape
    length = min(_STRETCH, positions)
    x = tf.reshape(x, [batch, positions // length, length, channels])
    x = tf.transpose(x, [1, 3, 0, 2])  # [stretches, channels, batch, length]
    x /= tf.sqrt(tf.reduce_sum(x**2, axis=3, keepdims=True) + _FLOOR)
    correlations = tf.matmul(x, x, transpose_b=True)
    pairs = batch * (batch - 1)
    own = tf.reduce_sum(tf.linalg.diag_part(correlations) ** 2, axis=2)
    return tf.reduce_mean((tf.reduce_sum(correlations**2, axis=[2, 3]) - own) / pairs)
