"""Loudness of a long sound, block by block (ITU-R BS.1770-4, EBU Tech 3341).

Samples are float `[frames, channels]`, full scale 1.
"""

import array
import functools

import numpy as np
import pyloudnorm
import scipy.ndimage
import scipy.signal

SHORT_TERM_HOPS = 30
SILENCE_LUFS = -70.0
"""What BS.1770 takes for silence. No rise is measured from below it."""

_LOUDNESS_HOP_S = 0.1
_MOMENTARY_HOPS = 4


def decibels(amplitude, floor_db=-200.0):
    """Returns 20 log10 of amplitudes, at least `floor_db`."""
    return 20 * np.log10(np.maximum(amplitude, 10 ** (floor_db / 20)))


def amplitude(decibels):
    """Returns the amplitude of a level in dB."""
    return 10 ** (np.asarray(decibels) / 20)


class LoudnessMeter:
    """Loudness of a stream (ITU-R BS.1770-4; integrated as `pyloudnorm.Meter` measures a whole array).

    Args:
        sample_rate_hz: Integer.
        channels: Integer, at most 2.
    """

    def __init__(self, sample_rate_hz, channels):
        self._hop = loudness_hop(sample_rate_hz)
        self._filter = k_weighting(sample_rate_hz)
        self._state = np.zeros([len(self._filter), 2, channels])
        self._pending = np.zeros([0, channels])
        self._powers = array.array("d")

    def add(self, x):
        """Adds the next samples, float `[frames, channels]`."""
        if not len(x):
            return
        x, self._state = scipy.signal.sosfilt(self._filter, np.asarray(x, np.float64), axis=0, zi=self._state)
        x = np.concatenate([self._pending, x])
        whole = len(x) - len(x) % self._hop
        self._powers.extend(hop_powers(x[:whole], self._hop))
        self._pending = x[whole:]

    def momentary(self):
        """Loudness of every block of 400 ms, one every 100 ms, in LUFS."""
        return to_lufs(running_means(self._powers, _MOMENTARY_HOPS))

    def short_term(self):
        """Loudness of every block of 3 s, one every 100 ms, in LUFS (EBU Tech 3341)."""
        return to_lufs(running_means(self._powers, SHORT_TERM_HOPS))

    def integrated(self):
        """Gated loudness of all, in LUFS; -inf where it is silent or shorter than 400 ms."""
        loudness = self.momentary()
        power = to_power(loudness[loudness >= SILENCE_LUFS])
        if not len(power):
            return -np.inf
        power = power[to_lufs(power) > to_lufs(power.mean()) - 10]
        return float(to_lufs(power.mean()))

    def largest_rise(self, skip_s=0.0, is_loop=False):
        """The largest rise of the short-term loudness: over the quietest block that ended within the 3 s before, in dB.

        Blocks below -70 LUFS count as -70 LUFS.

        Args:
            skip_s: Float, seconds at the beginning (a fade-in) of which nothing is in a block that counts.
            is_loop: Boolean, the beginning follows the end.

        Returns:
            Float >= 0.
        """
        powers = np.array(self._powers)[int(np.ceil(skip_s / _LOUDNESS_HOP_S - 1e-6)) :]
        if is_loop:
            powers = np.concatenate([powers, powers[: 2 * SHORT_TERM_HOPS]])
        loudness = np.maximum(to_lufs(running_means(powers, SHORT_TERM_HOPS)), SILENCE_LUFS)
        quietest = scipy.ndimage.minimum_filter1d(
            loudness, SHORT_TERM_HOPS + 1, mode="nearest", origin=SHORT_TERM_HOPS // 2
        )
        return float(np.max(loudness - quietest, initial=0))


def loudness_hop(sample_rate_hz):
    """Frames of the 100 ms after which loudness is measured again."""
    return round(_LOUDNESS_HOP_S * sample_rate_hz)


@functools.lru_cache
def k_weighting(sample_rate_hz):
    """K-weighting as second-order sections, float64 `[2, 6]`."""
    stages = pyloudnorm.Meter(sample_rate_hz)._filters.values()
    return np.array([[*(stage.passband_gain * stage.b), *stage.a] for stage in stages])


def hop_powers(x, hop):
    """Mean power of every hop, summed over channels: `[hops * hop, channels]` -> `[hops]`."""
    return hop_products(x, x, hop)


def hop_products(x, y, hop):
    """Mean product of two sounds in every hop, summed over channels: two `[hops * hop, channels]` -> `[hops]`."""
    x, y = (each.reshape(-1, hop * each.shape[1]) for each in (x, y))
    return np.einsum("ij,ij->i", x, y) / hop


def running_means(powers, hops):
    """Mean of every so many hops in a row: `[n]` -> `[n - hops + 1]`."""
    sums = np.cumsum(np.concatenate([[0.0], powers]))
    return (sums[hops:] - sums[:-hops]) / hops


def to_lufs(power):
    return -0.691 + 10 * np.log10(np.maximum(power, 1e-20))


def to_power(lufs):
    return 10 ** ((lufs + 0.691) / 10)
