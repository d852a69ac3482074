"""Spectrograms as pictures, and audio from their magnitudes alone."""

import tensorflow as tf

_LOG_FLOOR = 1e-6
"""Magnitude that is added to all, whose logarithm is finite."""
_MAGNITUDE_FLOOR = 1e-8
"""Of what is divided by, to find a phase."""


def log_magnitudes(audio, window_len, hop):
    """Logarithms of the magnitudes of a short-time Fourier transform with a Hann window.

    Frames that run over the end are filled with zeros, so there is one for each hop.

    Args:
        audio: float32 `[batch, samples]`.
        window_len, hop: Integers, samples.

    Returns:
        float32 `[batch, samples / hop, window_len / 2 + 1]`.
    """
    return tf.math.log(tf.abs(tf.signal.stft(audio, window_len, hop, pad_end=True)) + _LOG_FLOOR)


def reconstruct(magnitudes, window_len, hop, iterations):
    """Finds audio of given magnitudes (Griffin and Lim 1984), from phases of zero.

    As the reference does it, the inverse transform has the window of the forward one, and what comes out is not divided
    by the sum of its squares, which is between 1/2 and 1 for hops of half a window.

    Args:
        magnitudes: float32 `[batch, frames, window_len / 2 + 1]`.
        window_len, hop: Integers, samples.
        iterations: Integer >= 0.

    Returns:
        float32 `[batch, frames * hop]`.
    """
    wanted = tf.cast(magnitudes, tf.complex64)
    spectrum = wanted
    for _ in range(iterations):
        found = tf.signal.stft(tf.signal.inverse_stft(spectrum, window_len, hop), window_len, hop)
        spectrum = wanted * found / tf.cast(tf.maximum(_MAGNITUDE_FLOOR, tf.abs(found)), tf.complex64)
    return tf.signal.inverse_stft(spectrum, window_len, hop)[:, : magnitudes.shape[1] * hop]
