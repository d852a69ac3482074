"""The mu-law: samples as 256 classes, finer where they are soft (van den Oord et al. 2016, section 2.2)."""

import math

import tensorflow as tf

CLASSES = 256
_MU = CLASSES - 1
SILENCE = CLASSES // 2
"""The class of a sample of zero."""


def encode(audio):
    """Classes of samples: sign(x) ln(1 + 255 |x|) / ln 256, rounded to 256 steps from -1 to 1.

    Args:
        audio: float32 of any shape, in [-1, 1].

    Returns:
        int32 of the same shape, 0 to 255.
    """
    bent = tf.sign(audio) * tf.math.log1p(_MU * tf.minimum(tf.abs(audio), 1.0)) / math.log(1 + _MU)
    # Half up, so that silence has one class whatever its sign.
    return tf.cast(tf.floor((bent + 1) / 2 * _MU + 0.5), tf.int32)


def decode(classes):
    """Samples of classes: the inverse of `encode`, but for rounding.

    Args:
        classes: int32 of any shape, 0 to 255.

    Returns:
        float32 of the same shape, in [-1, 1].
    """
    bent = 2 * tf.cast(classes, tf.float32) / _MU - 1
    return tf.sign(bent) * (tf.exp(tf.abs(bent) * math.log(1 + _MU)) - 1) / _MU
