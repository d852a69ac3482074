"""The Keras graphs of SpecGAN: DCGAN of spectrograms of 128 x 128 (Donahue, McAuley, Puckette 2018, tables 5 and 6).

It is WaveGAN in two dimensions: filters of 5 x 5 for 25, strides of 2 x 2 for 4, as many weights and operations.
Spectrograms are `[batch, time, frequency, channels]`, float32 in [-1, 1]. Weights have the shapes of the reference
implementation: convolutions `[5, 5, in, out]`, transposed convolutions `[5, 5, out, in]`.
"""

import keras
import tensorflow as tf

from wavegan_asmr.networks import griffin_lim
from wavegan_asmr.networks.layers import LeakyReLU

WINDOW_LEN, HOP = 256, 128
"""Samples of the window of a spectrogram, and between two."""
SLICE_LEN = 16384
"""Samples of a slice, which are 128 frames of 128 frequencies."""
KERNEL_LEN = 5
"""Positions of every filter, in both dimensions."""
STRIDE = 2
MULTIPLIERS = (1, 2, 4, 8, 16)
"""Channels of every layer but the spectrogram, in units of `dim`, from the spectrogram towards the grid."""
GRID_LEN = 4
"""Positions of the latent grid in each dimension."""

DEVIATIONS = 3.0
"""Standard deviations from the mean of a frequency that are cut off (section 3.2)."""
ITERATIONS = 16
"""Of Griffin-Lim (section 3.2)."""


class Spectrograms(keras.layers.Layer):
    """Audio of spectrograms by Griffin-Lim, and spectrograms of audio.

    A spectrogram is the logarithm of magnitudes, less the recordings' mean at each frequency, in units of three
    standard deviations, cut off at [-1, 1]. The highest frequency, half the sample rate, is not in it.

    Attributes:
        means, deviations: float32 `[129]`, those of the recordings; they are not trained.

    Input shape: `[batch, 128, 128, channels]`.
    Output shape: `[batch, 16384, channels]`, in [-1, 1].
    """

    def build(self, x_shape):
        bins = WINDOW_LEN // 2 + 1
        self.means = self.add_weight(shape=[bins], initializer="zeros", trainable=False, name="means")
        self.deviations = self.add_weight(shape=[bins], initializer="ones", trainable=False, name="deviations")

    def call(self, x):
        frames, bins, channels = x.shape[1:]
        x = tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [-1, frames, bins])
        x = tf.pad(x, [[0, 0], [0, 0], [0, 1]])
        magnitudes = tf.exp(x * DEVIATIONS * tf.convert_to_tensor(self.deviations) + tf.convert_to_tensor(self.means))
        audio = griffin_lim.reconstruct(magnitudes, WINDOW_LEN, HOP, ITERATIONS)
        audio = tf.transpose(tf.reshape(audio, [-1, channels, frames * HOP]), [0, 2, 1])
        return tf.clip_by_value(audio, -1.0, 1.0)

    def invert(self, audio):
        """Makes spectrograms of audio, `[batch, 16384, channels]`."""
        x = log_magnitudes(audio) - tf.convert_to_tensor(self.means)
        x = x[..., :-1] / (DEVIATIONS * tf.convert_to_tensor(self.deviations)[:-1])
        return tf.clip_by_value(tf.transpose(x, [0, 2, 3, 1]), -1.0, 1.0)

    def compute_output_shape(self, x_shape):
        batch, frames, _, channels = x_shape
        return batch, frames * HOP, channels


def log_magnitudes(audio):
    """Log-magnitudes of audio `[batch, 16384, channels]`: float32 `[batch, channels, 128, 129]`."""
    samples, channels = audio.shape[1:]
    of_each = tf.reshape(tf.transpose(audio, [0, 2, 1]), [-1, samples])
    x = griffin_lim.log_magnitudes(of_each, WINDOW_LEN, HOP)
    return tf.reshape(x, [-1, channels, *x.shape[1:]])


def build_generator(channels=1, latent_dim=100, dim=64, batchnorm=False, dtype="float32"):
    """Builds the generator: latent vectors -> spectrograms (layer "spectrogram") -> audio.

    Args:
        channels: Integer >= 1, audio channels.
        latent_dim: Integer >= 1.
        dim: Integer >= 1, channels of the last layer before the spectrogram.
        batchnorm: Boolean, normalise every layer but the last over the batch.
        dtype: Keras dtype policy of the layers; variables, spectrograms and audio are float32 in all of them.

    Returns:
        `keras.Model`, `[batch, latent_dim]` in [-1, 1] -> `[batch, 16384, channels]` in [-1, 1].
    """
    layers = keras.layers

    def normalize_and_activate(x, name):
        if batchnorm:
            x = layers.BatchNormalization(dtype=dtype, name=f"{name}_batchnorm")(x)
        return layers.ReLU(dtype=dtype, name=f"{name}_relu")(x)

    widths = [dim * multiplier for multiplier in reversed(MULTIPLIERS)]
    z = keras.Input([latent_dim], name="z")

    # Project the latent vector onto the grid.
    x = layers.Dense(GRID_LEN**2 * widths[0], dtype=dtype, name="z_project")(z)
    x = layers.Reshape([GRID_LEN, GRID_LEN, widths[0]], dtype=dtype, name="z_grid")(x)
    x = normalize_and_activate(x, "z_project")

    # Upsample the grid towards the spectrogram.
    for i, width in enumerate([*widths[1:], channels]):
        name = f"upconv_{i}"
        x = layers.Conv2DTranspose(width, KERNEL_LEN, STRIDE, "same", dtype=dtype, name=name)(x)
        if i < len(widths) - 1:
            x = normalize_and_activate(x, name)  # [batch, length * 2, length * 2, width]
    x = layers.Activation("tanh", dtype="float32", name="spectrogram")(x)
    return keras.Model(z, Spectrograms(dtype="float32", name="audio")(x), name="generator")


def build_discriminator(channels=1, dim=64, batchnorm=False, dtype="float32"):
    """Builds the discriminator: spectrograms -> logit.

    Args:
        channels: Integer >= 1, audio channels.
        dim: Integer >= 1, channels of the first layer.
        batchnorm: Boolean, normalise every layer but the first over the batch.
        dtype: Keras dtype policy of the layers; variables and logits are float32 in all of them.

    Returns:
        `keras.Model`, `[batch, 128, 128, channels]` -> float32 `[batch]`.
    """
    layers = keras.layers
    x = spectrogram = keras.Input([SLICE_LEN // HOP, WINDOW_LEN // 2, channels], name="spectrogram")

    # Downsample the spectrogram towards the grid.
    for i, multiplier in enumerate(MULTIPLIERS):
        name = f"downconv_{i}"
        x = layers.Conv2D(dim * multiplier, KERNEL_LEN, STRIDE, "same", dtype=dtype, name=name)(x)
        if batchnorm and i > 0:
            x = layers.BatchNormalization(dtype=dtype, name=f"{name}_batchnorm")(x)
        x = LeakyReLU(0.2, dtype=dtype, name=f"{name}_lrelu")(x)  # [batch, length / 2, length / 2, width]

    # Reduce the grid to a logit.
    x = layers.Flatten(dtype=dtype, name="flatten")(x)
    x = layers.Dense(1, dtype="float32", name="output")(x)
    x = layers.Reshape([], dtype="float32", name="logit")(x)
    return keras.Model(spectrogram, x, name="discriminator")
