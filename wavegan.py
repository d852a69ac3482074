"""The Keras graphs of WaveGAN: generator and discriminator.

Source: Donahue, McAuley, Puckette, "Adversarial Audio Synthesis" (2018), section 3 and appendix D.
Audio is `[batch, samples, channels]`, float32 in [-1, 1]. Weights have the shapes of the reference
implementation: dense `[latent, ...]`, convolutions `[kernel_len, in, out]`, transposed convolutions
`[kernel_len, out, in]`.
"""

import keras

from wavegan_asmr.networks.conditioning import LISTENING
from wavegan_asmr.networks.filter_bank import Synthesis
from wavegan_asmr.networks.layers import (
    ChannelScale,
    LatentSeeds,
    LeakyReLU,
    Listening,
    NoiseInput,
    PhaseShuffle,
    Projection,
    RepeatedConv1D,
    StridedConv1D,
    StridedConv1DTranspose,
)
from wavegan_asmr.networks.levels import Levels

STRIDES = {
    4096: (4, 4, 4, 4),
    8192: (4, 4, 4, 4, 2),
    16384: (4, 4, 4, 4, 4),
    32768: (4, 4, 4, 4, 4, 2),
    65536: (4, 4, 4, 4, 4, 4),
    131072: (4, 4, 4, 4, 4, 4, 2),
    262144: (4, 4, 4, 4, 4, 4, 4),
}
"""Slice length in samples -> the generator's strides, from the latent grid towards the audio.

The discriminator uses the same strides, from the audio towards the logit.
"""

LEVELS_HOP = 16
"""Positions from window to window of the discriminator's `Levels`: the strides of its first two layers."""

GRID_LEN = 16
"""Positions of the latent grid, at which generator and discriminator meet their dense layers."""

MAX_MULTIPLIER = 32
"""Most channels of a layer, in units of `dim`."""

PULSED = 2
"""Last convolutions that have pulses before them: what those before make of one is too long for a drop or a crackle."""


def channel_multipliers(slice_len):
    """Channels of every layer but the audio, in units of `dim`, from the audio towards the grid.

    Args:
        slice_len: Integer, a key of `STRIDES`.

    Returns:
        List of integers, one a stride: 1, 2, 4, ... at most `MAX_MULTIPLIER`.
    """
    return [min(2**i, MAX_MULTIPLIER) for i in range(len(STRIDES[slice_len]))]


def receptive_field(slice_len, kernel_len):
    """Samples that one position of the discriminator's last convolution sees.

    Args:
        slice_len: Integer, a key of `STRIDES`.
        kernel_len: Integer, taps of every convolution.

    Returns:
        Integer, in samples.
    """
    samples, hop = 1, 1
    for stride in STRIDES[slice_len]:
        samples += (kernel_len - 1) * hop
        hop *= stride
    return samples


def build_generator(
    slice_len=16384,
    channels=1,
    latent_dim=100,
    kernel_len=25,
    dim=64,
    batchnorm=False,
    upsample="zeros",
    post_filter_len=0,
    noise=False,
    relative_noise=False,
    noise_bits=32,
    noise_pulses=False,
    bands=1,
    labels=0,
    measures=0,
    dtype="float32",
):
    """Builds the generator: latent vectors -> audio (paper, table 3).

    Args:
        slice_len: Integer, samples of a slice, a key of `STRIDES` times bands.
        channels: Integer >= 1, audio channels.
        latent_dim: Integer >= 1.
        kernel_len: Integer >= 4, taps of every convolution.
        dim: Integer >= 1, channels of the last layer before the audio.
        batchnorm: Boolean, normalise every layer but the last over the batch.
        upsample: "zeros" (transposed convolutions) or "nn" (nearest neighbour, then convolution).
        post_filter_len: Integer >= 0, taps of a learned filter over the audio; 0 for none. It maps all
            channels to all channels, and its output is limited to [-1, 1].
        noise: Boolean, add noise with learned scales before every convolution, see `NoiseInput`; not in the paper.
        relative_noise: Boolean, some of the noise in proportion to the level of what it is added to.
        noise_bits: 16 or 32, random bits of each number of the noise.
        noise_pulses: Boolean, pulses beside the noise before the last `PULSED` convolutions, of which events are made.
        bands: Integer, bands that are made of each channel, see `filter_bank`; slice_len / bands is a key of `STRIDES`.
            With more than one, the output of the layer "bands" are the bands, `[batch, slice_len / bands, channels *
            bands]` in [-1, 1]. Not in the paper.
        labels, measures: Integers, labels and measures of recordings that it listens to, see `conditioning`; they come
            behind the latent vector. Not in the paper.
        dtype: Keras dtype policy of the layers; variables and audio are float32 in all of them.

    Returns:
        `keras.Model`, `[batch, latent_dim + labels + measures]`, latent vectors in [-1, 1] -> `[batch, slice_len,
        channels]` in [-1, 1].

    Example:
        >>> build_generator(dim=16)(tf.random.uniform([2, 100], -1, 1)).shape
        TensorShape([2, 16384, 1])
    """
    layers = keras.layers

    def normalize(x, name):
        return layers.BatchNormalization(dtype=dtype, name=f"{name}_batchnorm")(x) if batchnorm else x

    def activate(x, name):
        return layers.ReLU(dtype=dtype, name=f"{name}_relu")(x)

    length = slice_len // bands
    widths = [dim * multiplier for multiplier in reversed(channel_multipliers(length))]
    inputs = z = keras.Input([latent_dim + labels + measures], name="z")
    given = None
    if labels + measures:
        z, given = Listening(latent_dim, labels, name="listening")(inputs)
    seeds = LatentSeeds(name="noise_seeds")(z) if noise else None

    # Project the latent vector, and what is listened to, onto the grid.
    x = layers.Dense(GRID_LEN * widths[0], dtype=dtype, name="z_project")(z)
    if given is not None:
        embed = layers.Dense(
            GRID_LEN * widths[0], use_bias=False, kernel_initializer="zeros", dtype=dtype, name=f"{LISTENING}project"
        )
        x = layers.Add(dtype=dtype, name="z_project_given")([x, embed(given)])
    x = layers.Reshape([GRID_LEN, widths[0]], dtype=dtype, name="z_grid")(x)
    x = activate(normalize(x, "z_project"), "z_project")  # [batch, 16, widths[0]]

    # Upsample the grid towards the audio.
    for i, (stride, width) in enumerate(zip(STRIDES[length], [*widths[1:], channels * bands])):
        name = f"upconv_{i}"
        if noise:
            pulses = noise_pulses and i >= len(widths) - PULSED
            x = NoiseInput(i, relative_noise, noise_bits, pulses, dtype=dtype, name=f"{name}_noise")(x, seeds)
        if upsample == "zeros":
            conv = StridedConv1DTranspose(width, kernel_len, stride, "same", dtype=dtype, name=name)
        else:
            conv = RepeatedConv1D(width, kernel_len, stride, dtype=dtype, name=name)
        x = conv(x)
        is_hidden = i < len(widths) - 1
        if is_hidden:
            x = normalize(x, name)
        if given is not None:
            x = ChannelScale(dtype=dtype, name=f"{LISTENING}scale_{i}")(x, given)
        if is_hidden:
            x = activate(x, name)  # [batch, length * stride, width]
    x = layers.Activation("tanh", dtype="float32", name="audio" if bands == 1 else "bands")(x)
    if bands > 1:
        x = Synthesis(bands, dtype="float32", name="audio")(x)

    # Filter the audio.
    if post_filter_len:
        x = layers.Conv1D(channels, post_filter_len, padding="same", use_bias=False, dtype="float32", name="pp_filt")(x)
        x = keras.ops.clip(x, -1.0, 1.0)
    return keras.Model(inputs, x, name="generator")


def build_discriminator(
    slice_len=16384,
    channels=1,
    kernel_len=25,
    dim=64,
    batchnorm=False,
    phaseshuffle=2,
    phaseshuffle_per="batch",
    labels=0,
    measures=0,
    levels=0,
    dtype="float32",
):
    """Builds the discriminator: audio, or its bands, -> logit (paper, table 4), the critic of the Wasserstein losses.

    Phase shuffle follows every convolution but the last.

    Args:
        slice_len: Integer, samples of a slice, or positions of its bands, a key of `STRIDES`.
        channels: Integer >= 1, audio channels, or those of the bands.
        kernel_len: Integer >= 4, taps of every convolution.
        dim: Integer >= 1, channels of the first layer.
        batchnorm: Boolean, normalise every layer but the first over the batch.
        phaseshuffle: Integer >= 0, the radius in samples; 0 for none.
        phaseshuffle_per: "batch" or "example", see `PhaseShuffle`.
        labels, measures: Integers, labels and measures of recordings that it listens to, see `conditioning`. Not in
            the paper.
        levels: Integer, positions of the windows whose levels, frequency by frequency, the second layer hears beside
            the first layer's output, see `Levels`; a multiple of `LEVELS_HOP`, 0 for none. Not in the paper.
        dtype: Keras dtype policy of the layers; variables and logits are float32 in all of them.

    Returns:
        `keras.Model` of two inputs, audio `[batches * batch, slice_len, channels]` and the seeds of the phase
        shuffle, int32 `[batches, 2]`, and of a third one, `[batches * batch, labels + measures]`, where it listens to
        some; its output is `[batches * batch]`, float32.

    Example:
        >>> build_discriminator(dim=16)([tf.zeros([2, 16384, 1]), tf.constant([[0, 1]])]).shape
        TensorShape([2])
    """
    layers = keras.layers
    audio = keras.Input([slice_len, channels], name="audio")
    seeds = keras.Input([2], dtype="int32", name="seeds")
    strides = STRIDES[slice_len]

    # Downsample the audio towards the grid.
    x = audio
    for i, (stride, multiplier) in enumerate(zip(strides, channel_multipliers(slice_len))):
        name = f"downconv_{i}"
        x = StridedConv1D(dim * multiplier, kernel_len, stride, "same", dtype=dtype, name=name)(x)
        if batchnorm and i > 0:
            x = layers.BatchNormalization(dtype=dtype, name=f"{name}_batchnorm")(x)
        if levels and i == 1:
            heard = Levels(levels, LEVELS_HOP, dtype="float32", name="levels")(audio)
            heard = layers.Dense(x.shape[-1], use_bias=False, dtype=dtype, name="levels_dense")(heard)
            x = layers.Add(dtype=dtype, name=f"{name}_levels")([x, heard])  # [batch, length / 16, width]
        x = LeakyReLU(0.2, dtype=dtype, name=f"{name}_lrelu")(x)  # [batch, length / stride, width]
        if i < len(strides) - 1:
            x = PhaseShuffle(phaseshuffle, phaseshuffle_per, i, dtype=dtype, name=f"{name}_shuffle")(x, seeds)

    # Reduce the grid to a logit.
    features = layers.Flatten(dtype=dtype, name="flatten")(x)
    x = layers.Dense(1, dtype="float32", name="output")(features)
    inputs = [audio, seeds]
    if labels + measures:
        inputs.append(keras.Input([labels + measures], name="given"))
        _, given = Listening(0, labels, name="listening")(inputs[-1])
        fit = Projection(dtype="float32", name=f"{LISTENING}fit")(features, given)
        x = layers.Add(dtype="float32", name="output_given")([x, fit])
    x = layers.Reshape([], dtype="float32", name="logit")(x)
    return keras.Model(inputs, x, name="discriminator")
