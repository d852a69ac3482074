"""Events in sound: drops, crackles, calls. When they begin, how they are spaced, how they stand out from their ground.

An onset is where the power of an octave rises at once to eight times what it was, and beyond what noise does by chance.
What is compared are two moments of the same sound, so its level does not count, nor its color, nor slow swells.
"""

import dataclasses

import numpy as np
import scipy.fft
import scipy.signal
import scipy.stats

EDGES_HZ = (*(44.1 * 2.0**octave for octave in range(9)), 20000.0)
"""Of nine bands of an octave, 44 Hz to 20 kHz; the last one is narrower."""

_WINDOW_S, _HOP_S = 0.02, 0.005
_WINDOW_FRAMES = round(_WINDOW_S / _HOP_S)
_GROUND = 6
"""Frames of ground, 30 ms: what pauses between events 50 ms apart have room for."""
_LEAD = _GROUND + _WINDOW_FRAMES
"""Frames from the beginning of the ground to an onset, whose window has no sample in common with the ground's last."""
_LEAST_APART = 10
"""Frames between onsets, 50 ms."""
_EVENT = 15
"""Frames of an event, 75 ms: its attack and the beginning of its decay."""
_LEAST_RISE_DB = 9.0
"""A recording of steady rain rises by 6 dB more than once a second, by 9 dB once in three or four seconds."""
_CHANCE = 1e-6
"""That a band of noise rises so far in one frame; binds in the lowest bands, where power is the sum of few bins."""
_HANN_BINS = 1.5
"""Neighboring bins of a Hann window are not independent: its noise bandwidth."""
_HIDDEN = 1e-6
"""Of the power of all bands together: what a band has below that is not heard beside the others."""
_TINY = 1e-30
_BLOCK_FRAMES = 8192


@dataclasses.dataclass(frozen=True, eq=False)
class Events:
    """The events of a sound.

    Attributes:
        onsets_s: float64 `[k]`, seconds from the beginning of the sound, ascending, at least 50 ms apart.
        searched_s: Float, how much of the sound they were looked for in: all but its first 50 ms.
        over_ground_db: float64 `[bands]`, bands of `EDGES_HZ` up to half the sample rate: mean level of the 75 ms from
            an onset on, less that of the 30 ms that end just before it; zeros where there are no events.
    """

    onsets_s: np.ndarray
    searched_s: float
    over_ground_db: np.ndarray

    @property
    def per_second(self):
        """Events a second, a float."""
        return len(self.onsets_s) / self.searched_s if self.searched_s else 0.0

    @property
    def spacing_s(self):
        """Median of the seconds from onset to onset, a float, 0 where there are fewer than two."""
        return float(np.median(np.diff(self.onsets_s))) if len(self.onsets_s) > 1 else 0.0

    @property
    def spacing_deviation(self):
        """Standard deviation of the natural logarithms of spacings, a float, 0 where there are fewer than three onsets.

        0 of a clock, up to 1.28 of events that know nothing of each other, more of events that come in groups. An onset
        that was missed moves one logarithm by 0.7, and a long pause by not much more. Quartiles are no steadier: where
        spacings within and between groups are two kinds, they jump from one to the other.
        """
        return float(np.log(np.diff(self.onsets_s)).std()) if len(self.onsets_s) > 2 else 0.0


def find(x, sample_rate_hz):
    """Finds the events of a sound of any length.

    Args:
        x: float32 `[samples, channels]`.
        sample_rate_hz: Integer, at least 1000.

    Returns:
        `Events`.
    """
    window_len, hop = _lengths(sample_rate_hz)
    block_len = (_BLOCK_FRAMES - 1) * hop + window_len
    # Blocks one by one: an hour of spectra does not fit.
    firsts = range(0, max(1, len(x)), _BLOCK_FRAMES * hop)
    power = np.concatenate([_band_power(x[None, first : first + block_len], sample_rate_hz)[0] for first in firsts])
    onsets = _onsets(power[None], sample_rate_hz)[0]
    return Events(
        onsets_s=(onsets * hop + window_len / 2) / sample_rate_hz,
        searched_s=_searched_s(len(power), sample_rate_hz),
        over_ground_db=_over_ground_db(power, onsets),
    )


def measure(x, sample_rate_hz):
    """Measures the events of slices.

    Args:
        x: float32 `[n, samples, channels]`.
        sample_rate_hz: Integer, at least 1000.

    Returns:
        Dict of float64 `[n]`:
        "onsets", events a second; "event_db", how much they stand out from their ground, the mean of
        `Events.over_ground_db` over its bands, 0 where there are none.
    """
    power = _band_power(x, sample_rate_hz)
    onsets = _onsets(power, sample_rate_hz)
    searched_s = _searched_s(power.shape[1], sample_rate_hz)
    return {
        "onsets": np.array([len(each) / searched_s if len(each) else 0.0 for each in onsets]),
        "event_db": np.array([_over_ground_db(*each).mean() for each in zip(power, onsets)]),
    }


def _lengths(sample_rate_hz):
    """Samples of a window and of a hop."""
    return round(_WINDOW_S * sample_rate_hz), round(_HOP_S * sample_rate_hz)


def _band_edges(sample_rate_hz):
    """Bins at which bands begin and the last one ends, int64 `[bands + 1]`, of those that have bins at this rate."""
    window_len, _ = _lengths(sample_rate_hz)
    return np.unique(np.searchsorted(scipy.fft.rfftfreq(window_len, 1 / sample_rate_hz), EDGES_HZ))


def _searched_s(frames, sample_rate_hz):
    return max(0, frames - _LEAD) * _lengths(sample_rate_hz)[1] / sample_rate_hz


def _band_power(x, sample_rate_hz):
    """Power of bands, of all channels together: `[n, samples, channels]` -> float64 `[n, frames, bands]`."""
    window_len, hop = _lengths(sample_rate_hz)
    edges = _band_edges(sample_rate_hz)
    if x.shape[1] < window_len:
        return np.zeros([len(x), 0, len(edges) - 1])
    window = scipy.signal.get_window("hann", window_len).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(x, window_len, axis=1)[:, ::hop]
    spectra = scipy.fft.rfft(windows * window)[..., : edges[-1]]
    power = (spectra.real**2 + spectra.imag**2).sum(axis=2)
    return np.add.reduceat(power, edges[:-1], axis=2).astype(np.float64)


def _onsets(power, sample_rate_hz):
    """Finds onsets of slices, power float64 `[n, frames, bands]`: a list of int64 `[k]`, numbers of frames."""
    if power.shape[1] <= _LEAD:
        return [np.zeros(0, int)] * len(power)
    now = power[:, _LEAD:]
    before = np.lib.stride_tricks.sliding_window_view(power, _GROUND, axis=1)[:, : now.shape[1]].mean(axis=3)
    least_db = _least_rise_db(sample_rate_hz)
    excess_db = (_ratio_db(now, before) - least_db).max(axis=2)
    # Where a loud tone breaks off, its edge is heard in other bands.
    later = power[:, np.minimum(np.arange(_LEAD, power.shape[1]) + _WINDOW_FRAMES, power.shape[1] - 1)]
    is_end = (_ratio_db(before, later) > least_db).any(axis=2) & (now.sum(axis=2) < before.sum(axis=2))
    excess_db[is_end] = -np.inf
    return [scipy.signal.find_peaks(each, height=0, distance=_LEAST_APART)[0] + _LEAD for each in excess_db]


def _least_rise_db(sample_rate_hz):
    """Rises that make an onset, float64 `[bands]`.

    The power of a band of noise in a frame, over its mean power in frames of the ground, has an F distribution.
    """
    freedom = np.maximum(2 * np.diff(_band_edges(sample_rate_hz)) / _HANN_BINS, 2)
    by_chance = scipy.stats.f.isf(_CHANCE, freedom, freedom * _GROUND / _WINDOW_FRAMES)
    return np.maximum(10 * np.log10(by_chance), _LEAST_RISE_DB)


def _over_ground_db(power, onsets):
    """Level of events less that of their ground: float64 `[frames, bands]`, int64 `[k]` -> float64 `[bands]`."""
    if not len(onsets):
        return np.zeros(power.shape[1])
    # An event ends where the ground of the next one begins.
    following = np.append(onsets[1:], len(power) + _LEAD) - _LEAD
    ends = np.minimum(np.maximum(onsets + 1, np.minimum(onsets + _EVENT, following)), len(power))
    event = _means(power, onsets, ends)
    ground = _means(power, onsets - _LEAD, onsets - _WINDOW_FRAMES)
    return _ratio_db(event, ground).mean(axis=0)


def _means(power, firsts, ends):
    """Mean power of stretches of frames `[firsts[i], ends[i])`, float64 `[k, bands]`."""
    padded = np.pad(power, [[0, 1], [0, 0]])
    sums = np.add.reduceat(padded, np.stack([firsts, ends], axis=1).ravel())[::2]
    return sums / (ends - firsts)[:, None]


def _ratio_db(power, other):
    """Ratio of powers `[..., bands]` in dB, from -60 to 60."""
    hidden = _HIDDEN * (power + other).sum(axis=-1, keepdims=True) + _TINY
    return 10 * np.log10((power + hidden) / (other + hidden))
