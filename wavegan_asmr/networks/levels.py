"""What a discriminator listens to beside the audio itself."""

import keras
import numpy as np
import tensorflow as tf

from wavegan_asmr.networks import spectrogram

_LEVEL_FLOOR = 1e-6
"""Of the power that levels are taken of: of what is softer, slopes would be ever steeper."""


class Levels(keras.layers.Layer):
    """Levels of a short-time Fourier transform with a Hann window: what sounds when, whatever the phases are.

    The first layers of a discriminator hear a sound at one phase, and in one number with how loud it is, in which what
    is soft is next to nothing. Of levels, silence and the soft end of a word are as far apart as soft and loud.

    Args:
        window_len, hop: Integers, positions; window_len is a multiple of hop.

    Input shape: `[batch, length, channels]`, length a multiple of hop; beyond its ends is silence.
    Output shape: `[batch, length / hop, channels * (window_len / 2 + 1)]`: log(1 + power / floor) / 4 of each channel
        and frequency, where a sine of full scale has the power 1 and the floor is -60 dB. So 0 in silence, 3.5 at most.
    """

    def __init__(self, window_len, hop, **kwargs):
        super().__init__(**kwargs)
        self.window_len, self.hop = window_len, hop

    def build(self, x_shape):
        window = np.hanning(self.window_len + 1)[:-1]
        turns = np.outer(np.arange(self.window_len), np.arange(self.window_len // 2 + 1)) / self.window_len
        waves = [np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)]
        # As short as windows are, a product is quicker than an FFT, and so are its gradients. [window_len, 2 * bins]
        self._waves = (2 / window.sum() * window[:, None] * np.concatenate(waves, axis=1)).astype(np.float32)

    def call(self, x):
        _, count, features = self.compute_output_shape(x.shape)
        around = self.window_len - self.hop
        x = tf.pad(tf.transpose(x, [0, 2, 1]), [[0, 0], [0, 0], [around // 2, around - around // 2]])
        windows = tf.reshape(spectrogram.frames(x, self.window_len, self.hop), [-1, self.window_len])
        real, imaginary = tf.split(tf.matmul(windows, self._waves), 2, axis=1)
        levels = tf.math.log1p((real**2 + imaginary**2) / _LEVEL_FLOOR) / 4
        levels = tf.reshape(levels, [-1, x.shape[1], count, self.window_len // 2 + 1])
        return tf.reshape(tf.transpose(levels, [0, 2, 1, 3]), [-1, count, features])

    def compute_output_shape(self, x_shape):
        return x_shape[0], x_shape[1] // self.hop, x_shape[2] * (self.window_len // 2 + 1)
