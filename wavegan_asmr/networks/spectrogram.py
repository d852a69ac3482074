"""Spectrograms of audio as levels, with gradients that take few passes over memory."""

import numpy as np
import tensorflow as tf


def frames(x, window_len, hop):
    """Cuts audio into windows that overlap, one each hop; gradients of any order are as quick.

    Args:
        x: Tensor `[batch, channels, samples]`.
        window_len, hop: Integers, samples; both window_len and samples are multiples of hop.

    Returns:
        Tensor `[batch, channels, (samples - window_len) / hop + 1, window_len]`.
    """
    _, channels, samples = x.shape
    hops, parts = samples // hop, window_len // hop
    count = hops - parts + 1

    # TensorFlow's own gradient of a slice is several times slower than padding.
    @tf.custom_gradient
    def cut(x):
        x = tf.reshape(x, [-1, channels, hops, hop])
        return tf.concat([x[:, :, i : i + count] for i in range(parts)], axis=3), overlap

    @tf.custom_gradient
    def overlap(dy):
        each = enumerate(tf.split(dy, parts, axis=3))
        dx = tf.add_n([tf.pad(part, [[0, 0], [0, 0], [i, parts - 1 - i], [0, 0]]) for i, part in each])
        return tf.reshape(dx, [-1, channels, samples]), cut

    return cut(x)


def levels(x, window_len, floor):
    """Levels of a short-time Fourier transform with a Hann window and a hop of half of it.

    The audio is mirrored at its ends, or they would hardly count; silence there would be a step, and so a click.

    Args:
        x: float32 `[batch, samples, channels]`, samples > window_len and a multiple of half of it.
        window_len: Integer, samples, even.
        floor: Scalar, the power that is added to all; without gradient.

    Returns:
        float32 `[batch, channels, frames, window_len / 2 + 1]`, nepers (8.7 dB); 0 for a full-scale sine.
    """
    return _levels_of(_windowed(x, window_len), floor)


def levels_and_products(x, window_len, floor):
    """The `levels` of two channels, and the mean products of their spectra over the frames.

    Args:
        x, window_len, floor: See `levels`; two channels.

    Returns:
        Levels, float32 `[batch, 2, frames, bins]`; the real parts of left times conjugated right, `[batch, bins]`; the
        powers, `[batch, 2, bins]`.
    """
    return _levels_and_products_of(_windowed(x, window_len), floor)


def _windowed(x, window_len):
    """Frames of audio `[batch, samples, channels]` times a window: `[batch, channels, frames, window_len]`."""
    window = tf.signal.hann_window(window_len)
    padded = tf.pad(tf.transpose(x, [0, 2, 1]), [[0, 0], [0, 0], [window_len // 2] * 2], "REFLECT")
    return frames(padded, window_len, window_len // 2) * (2 * window / tf.reduce_sum(window))


def _levels_of(frames, floor):
    """log(|FFT|^2 + floor) / 2: `[..., window_len]` -> `[..., window_len / 2 + 1]`.

    The gradient of log(|S|^2) / 2 with respect to S is S / |S|^2, and that of the transform the inverse transform: of
    a spectrum of which TensorFlow counts all frequencies but the lowest and the highest twice.
    """
    window_len = frames.shape[-1]
    counts = _counts(window_len)

    @tf.custom_gradient
    def compute(frames):
        spectra = tf.signal.rfft(frames)
        real, imaginary = tf.math.real(spectra), tf.math.imag(spectra)
        powers = real**2 + imaginary**2 + floor

        def gradient(dlevels):
            weights = tf.cast(dlevels / powers * counts, tf.complex64)
            return tf.signal.irfft(weights * spectra, [window_len])

        return tf.math.log(powers) / 2, gradient

    return compute(frames)


def _levels_and_products_of(frames, floor):
    """See `levels_and_products`: float32 `[batch, 2, frames, window_len]`."""
    counts, count = _counts(frames.shape[-1]), frames.shape[2]

    @tf.custom_gradient
    def compute(frames):
        spectra = tf.signal.rfft(frames)
        real, imaginary = tf.math.real(spectra), tf.math.imag(spectra)
        squares = real**2 + imaginary**2
        products = real[:, 0] * real[:, 1] + imaginary[:, 0] * imaginary[:, 1]

        def gradient(dlevels, dcross, dpowers):
            own = dlevels / (squares + floor) + (2 / count) * dpowers[:, :, None]
            other = dcross[:, None, None] / count
            dspectra = tf.cast(own * counts, tf.complex64) * spectra
            dspectra += tf.cast(other * counts, tf.complex64) * tf.reverse(spectra, [1])
            return tf.signal.irfft(dspectra, [frames.shape[-1]])

        cross, powers = tf.reduce_mean(products, axis=1), tf.reduce_mean(squares, axis=2)
        return (tf.math.log(squares + floor) / 2, cross, powers), gradient

    return compute(frames)


def _counts(window_len):
    """How often the gradient of a real transform counts each frequency."""
    counts = np.full(window_len // 2 + 1, window_len / 2, np.float32)
    counts[[0, -1]] = window_len
    return counts
