"""What an autoregressive network is: the same function over whole slices, and a sample at a time."""

import math

import keras
import tensorflow as tf

from wavegan_asmr.networks import mu_law


class AutoregressiveNetwork(keras.layers.Layer):
    """Logits of each sample's class (see `mu_law`), from the classes before it.

    A state is a nest of tensors. Whole slices and single samples give the same logits, whatever the segments in which
    they are taken.
    """

    def __init__(self, **kwargs):
        # States stay float32 whatever the precision.
        super().__init__(autocast=False, **kwargs)

    def start(self, n):
        """Returns the state before the first sample of n sequences, where all before was silence."""
        raise NotImplementedError

    def call(self, before, state):
        """Takes a segment.

        Args:
            before: int32 `[n, samples]`, the class before each sample.
            state: See `start`.

        Returns:
            float32 `[n, samples, 256]`, and the state behind the segment.
        """
        raise NotImplementedError

    def step(self, before, state):
        """Takes one sample, in float32.

        Args:
            before: int32 `[n]`, the class before it.
            state: See `start`.

        Returns:
            float32 `[n, 256]`, and the state behind it.
        """
        raise NotImplementedError


def bits_a_sample(network, audio):
    """Mean bits that a code of recordings by a network would take, a scalar.

    Args:
        network: `AutoregressiveNetwork`.
        audio: float32 `[n, samples, 1]`.
    """
    classes = mu_law.encode(audio[..., 0])
    return bits_of_logits(network(classes_before(classes), network.start(classes.shape[0]))[0], classes)


def bits_of_logits(logits, classes):
    """Mean bits a sample, a scalar: -log2 of the probabilities of classes.

    Args:
        logits: `[n, samples, 256]`.
        classes: int32 `[n, samples]`.
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, tf.cast(logits, tf.float32))
    return tf.reduce_mean(losses) / math.log(2)


def classes_before(classes):
    """Returns the class before each sample, int32 `[n, samples]`: silence before the first one."""
    return tf.pad(classes[:, :-1], [[0, 0], [1, 0]], constant_values=mu_law.SILENCE)
