"""A filter bank: audio as bands of a fraction of its rate, from which it comes back exactly.

Long slices at the cost of short ones: 65536 samples of two channels are 16384 positions of eight bands. The bank is
cosine-modulated; its prototype starts as a Kaiser window's (Lin and Vaidyanathan 1998) and is moved to the one that has
perfect reconstruction (Koilpillai and Vaidyanathan 1992) and the least energy beyond its band. Then analysis is an
orthogonal map, and synthesis is its transpose.

Band k of a rate r holds the frequencies of k r / (2 bands) to (k + 1) r / (2 bands), odd ones upside down.
"""

import functools

import keras
import numpy as np
import scipy.optimize
import scipy.signal
import tensorflow as tf

from wavegan_asmr.networks import polyphase

TAPS_A_BAND = 16
"""Length of the filters, in units of the number of bands."""

_KAISER_BETA = 9.0
_STEPS = 30
_LONGEST_STEP = 0.1
_RIDGE, _RCOND = 1e-9, 1e-13


@functools.cache
def filters(bands):
    """Designs the filters of a bank.

    Args:
        bands: Integer, even.

    Returns:
        float64 `[taps, bands]`, orthonormal: with the prototype p and m = n - (taps - 1) / 2,
        f_k[n] = sqrt(2 / bands) p[n] cos(pi / bands (k + 1/2) m + (-1)^k pi / 4).
    """
    taps = TAPS_A_BAND * bands
    n, k = np.arange(taps)[:, None], np.arange(bands)
    phase = np.pi / bands * (k + 0.5) * (n - (taps - 1) / 2) + (-1.0) ** k * np.pi / 4
    return (2 / bands) ** 0.5 * _prototype(bands, taps)[:, None] * np.cos(phase)


def _prototype(bands, taps):
    """The symmetric low-pass with the least energy beyond its band of which the bank reconstructs, float64 `[taps]`."""
    half = _kaiser(bands, taps)[: taps // 2]
    frequencies = np.linspace(np.pi / bands, np.pi, 4 * taps)[:, None]
    responses = 2 * np.cos(frequencies * (np.arange(taps // 2) - (taps - 1) / 2))
    energy = responses.T @ responses / len(responses) + _RIDGE * np.eye(taps // 2)
    for _ in range(_STEPS):
        # The least energy where all conditions hold, were they linear.
        conditions, slopes = _reconstruction(half, bands)
        matrix = np.block([[energy, slopes.T], [slopes, np.zeros([len(slopes), len(slopes)])]])
        step = np.linalg.lstsq(matrix, -np.concatenate([energy @ half, conditions]), rcond=_RCOND)[0][: taps // 2]
        half = half + step * min(1, _LONGEST_STEP * np.linalg.norm(half) / np.linalg.norm(step))
    return np.concatenate([half, half[::-1]])


def _kaiser(bands, taps):
    """A windowed low-pass that has half the power where neighbouring bands meet."""

    def excess(cutoff):
        window = scipy.signal.firwin(taps, cutoff, window=("kaiser", _KAISER_BETA))
        return abs(scipy.signal.freqz(window, worN=[np.pi / (2 * bands)])[1][0]) - 2**-0.5

    cutoff = scipy.optimize.brentq(excess, 0.3 / bands, 0.9 / bands)
    window = scipy.signal.firwin(taps, cutoff, window=("kaiser", _KAISER_BETA))
    return window * bands * 2**0.5


def _reconstruction(half, bands):
    """The conditions of perfect reconstruction, zeros where it is, and their slopes by the prototype's first half.

    With the polyphase components g_k[l] = p[2 bands l + k], for k = 0, ..., bands / 2 - 1 and all even shifts:
    sum_l g_k[l] g_k[l + s] + g_{k + bands}[l] g_{k + bands}[l + s] = (1 where s is 0, else 0).
    """
    taps = 2 * len(half)
    components = np.concatenate([half, half[::-1]]).reshape(-1, 2 * bands)  # [l, k]
    mirrored = np.minimum(np.arange(taps), taps - 1 - np.arange(taps)).reshape(components.shape)
    length = len(components)
    conditions, slopes = [], []
    for k in range(bands // 2):
        for shift in range(length):
            slope, value = np.zeros(len(half)), -float(shift == 0)
            for column in (k, k + bands):
                early, late = components[: length - shift, column], components[shift:, column]
                value += early @ late
                np.add.at(slope, mirrored[: length - shift, column], late)
                np.add.at(slope, mirrored[shift:, column], early)
            conditions.append(value)
            slopes.append(slope)
    return np.array(conditions), np.array(slopes)


def analyze(x, bands):
    """Divides audio into bands.

    It is mirrored at its ends: silence there would be a step, which sounds in all bands.

    Args:
        x: float32 `[batch, samples, channels]`, samples a multiple of bands and more than half a filter.
        bands: Integer, 1 or even.

    Returns:
        float32 `[batch, samples / bands, channels * bands]`, of each channel all bands from the lowest.
    """
    if bands == 1:
        return x
    hops = TAPS_A_BAND // 2
    padded = tf.pad(x, [[0, 0], [hops * bands, hops * bands], [0, 0]], "REFLECT")
    return polyphase.strided_conv(padded, _kernel(bands, x.shape[2]), bands)[:, hops:-hops]


def synthesize(x, bands):
    """Joins bands to audio: the inverse of `analyze`, but for half a filter at both ends, which are softer.

    Args:
        x: float32 `[batch, positions, channels * bands]`.
        bands: Integer, 1 or even.

    Returns:
        float32 `[batch, positions * bands, channels]`.
    """
    return x if bands == 1 else polyphase.transposed_conv(x, _kernel(bands, x.shape[2] // bands), bands)


def _kernel(bands, channels):
    """Every channel by itself: `[taps, channels, channels * bands]`."""
    kernel = np.einsum("tb,cd->tcdb", filters(bands), np.eye(channels))
    return tf.constant(kernel.reshape(len(kernel), channels, channels * bands), tf.float32)


class Synthesis(keras.layers.Layer):
    """Audio of bands that are all about as loud as each other; `scales` gives them back the recordings' levels.

    Quiet bands would be learned late: networks begin at one level, and one learning rate is for all.

    Args:
        bands: Integer, 1 or even.

    Attributes:
        scales: float32 `[bands]`, the level of each; they are not trained.

    Input shape: `[batch, positions, channels * bands]`.
    Output shape: `[batch, positions * bands, channels]`, in [-1, 1].
    """

    def __init__(self, bands, **kwargs):
        super().__init__(**kwargs)
        self.bands = bands

    def build(self, x_shape):
        self.scales = self.add_weight(shape=[self.bands], initializer="ones", trainable=False, name="scales")

    def call(self, x):
        scales = tf.tile(tf.convert_to_tensor(self.scales), [x.shape[2] // self.bands])
        return tf.clip_by_value(synthesize(x * scales, self.bands), -1.0, 1.0)

    def invert(self, audio):
        """Divides audio into bands that are about as loud as each other."""
        x = analyze(audio, self.bands)
        return x / tf.tile(tf.convert_to_tensor(self.scales), [x.shape[2] // self.bands])

    def compute_output_shape(self, x_shape):
        batch, positions, channels = x_shape
        return batch, positions * self.bands, channels // self.bands
