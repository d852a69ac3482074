"""Levels of a long sound, block by block: loudness, startle guard, true peak, limiter, dither.

Samples are float `[frames, channels]`, full scale 1. Every function takes and gives blocks, so a night of sound takes
no more memory than a minute.
"""

import array
import functools

import numpy as np
import pyloudnorm
import scipy.ndimage
import scipy.signal

OVERSAMPLING = 4
"""Factor at which true peaks are measured (ITU-R BS.1770, annex 2)."""

_LIMITER_OVERSAMPLING = 8
"""Finer, because four points a frame can miss 0.4 dB of the highest frequencies."""

_LOUDNESS_HOP_S = 0.1
_MOMENTARY_HOPS, _SECOND_HOPS, _SHORT_TERM_HOPS = 4, 10, 30
_SILENCE_LUFS = -70.0
"""What BS.1770 takes for silence. No rise is measured from below it."""

_LEAST_SHARE = 0.03
"""Of the power of the quietest before it: no sound is turned down below that."""

_SECOND_SHARE = 2 / 3
"""Of the allowed rise, in dB: what a single second of a sound may take of it, so that the next ones have room."""

_TRUE_PEAK_CONTEXT, _TRUE_PEAK_ROW = 12, 32
"""Frames to each side that the curve between samples depends on, and frames whose curves are computed as one."""

_HEADROOM_DB = 0.1


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
        self._filter = _k_weighting(sample_rate_hz)
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
        self._powers.extend(_hop_powers(x[:whole], self._hop))
        self._pending = x[whole:]

    def momentary(self):
        """Loudness of every block of 400 ms, one every 100 ms, in LUFS."""
        return _lufs(_running_means(self._powers, _MOMENTARY_HOPS))

    def short_term(self):
        """Loudness of every block of 3 s, one every 100 ms, in LUFS (EBU Tech 3341)."""
        return _lufs(_running_means(self._powers, _SHORT_TERM_HOPS))

    def integrated(self):
        """Gated loudness of all, in LUFS; -inf where it is silent or shorter than 400 ms."""
        loudness = self.momentary()
        power = _power(loudness[loudness >= _SILENCE_LUFS])
        if not len(power):
            return -np.inf
        power = power[_lufs(power) > _lufs(power.mean()) - 10]
        return float(_lufs(power.mean()))

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
            powers = np.concatenate([powers, powers[: 2 * _SHORT_TERM_HOPS]])
        loudness = np.maximum(_lufs(_running_means(powers, _SHORT_TERM_HOPS)), _SILENCE_LUFS)
        quietest = scipy.ndimage.minimum_filter1d(
            loudness, _SHORT_TERM_HOPS + 1, mode="nearest", origin=_SHORT_TERM_HOPS // 2
        )
        return float(np.max(loudness - quietest, initial=0))


def loudness_hop(sample_rate_hz):
    """Frames of the 100 ms after which loudness is measured again."""
    return round(_LOUDNESS_HOP_S * sample_rate_hz)


@functools.lru_cache
def _k_weighting(sample_rate_hz):
    """K-weighting as second-order sections, float64 `[2, 6]`."""
    stages = pyloudnorm.Meter(sample_rate_hz)._filters.values()
    return np.array([[*(stage.passband_gain * stage.b), *stage.a] for stage in stages])


def _hop_powers(x, hop):
    """Mean power of every hop, summed over channels: `[hops * hop, channels]` -> `[hops]`."""
    return _hop_products(x, x, hop)


def _hop_products(x, y, hop):
    """Mean product of two sounds in every hop, summed over channels: two `[hops * hop, channels]` -> `[hops]`."""
    x, y = (each.reshape(-1, hop * each.shape[1]) for each in (x, y))
    return np.einsum("ij,ij->i", x, y) / hop


def _running_means(powers, hops):
    """Mean of every so many hops in a row: `[n]` -> `[n - hops + 1]`."""
    sums = np.cumsum(np.concatenate([[0.0], powers]))
    return (sums[hops:] - sums[:-hops]) / hops


def _lufs(power):
    return -0.691 + 10 * np.log10(np.maximum(power, 1e-20))


def _power(lufs):
    return 10 ** ((lufs + 0.691) / 10)


class StartleGuard:
    """Holds down sounds that would make their sum rise at once.

    Each sound gets the largest gain, at most 0 dB, with which two things hold from its beginning on. The short-term
    loudness never rises by more than `max_rise_db`, see `LoudnessMeter.largest_rise`. And no second of the sound itself
    is by more than two thirds of that above the quietest 3 s that ended in the last 3 s, so the way up to a lasting
    higher level is a slope, not bursts with holes between them.

    Sums are of K-weighted samples, so that sounds that are alike count as they add up.

    Args:
        max_rise_db: Float >= 1.
        sample_rate_hz, channels: Integers.

    Attributes:
        loudest: Float, the largest power of a block of 3 s so far.
    """

    def __init__(self, max_rise_db, sample_rate_hz, channels):
        self._ratio = 10 ** ((max_rise_db - _HEADROOM_DB) / 10)
        self._ratio_of_seconds = 10 ** (_SECOND_SHARE * max_rise_db / 10)
        self._hop = loudness_hop(sample_rate_hz)
        self._filter = _k_weighting(sample_rate_hz)
        # Powers of the hops before, then the K-weighted sum from `_first`, a hop, on.
        self._past = np.zeros(2 * _SHORT_TERM_HOPS)
        self._sum = np.zeros([0, channels])
        self._first = 0
        self.loudest = 0.0

    def begin(self, x):
        """Takes a sound, float `[frames, channels]`, as having gone on since long before frame 0."""
        self._past += np.mean(scipy.signal.sosfilt(self._filter, x, axis=0) ** 2, axis=0).sum()

    def advance(self, frame):
        """Promises that no more sound begins before a frame."""
        hops = frame // self._hop - self._first
        finished = self._sum[: hops * self._hop]
        powers = np.zeros(hops)
        powers[: len(finished) // self._hop] = _hop_powers(finished, self._hop)
        self._past = np.concatenate([self._past, powers])
        means = _running_means(self._past[-hops - _SHORT_TERM_HOPS + 1 :], _SHORT_TERM_HOPS)
        self.loudest = max(self.loudest, means.max(initial=0))
        self._past = self._past[-2 * _SHORT_TERM_HOPS :]
        self._sum = self._sum[hops * self._hop :]
        self._first += hops

    def add(self, x, start, returns_to=0.0):
        """Adds a sound.

        Args:
            x: float `[frames, channels]`.
            start: Integer, the frame at which it begins, not before the one last given to `advance`.
            returns_to: Float, the power of what follows soon (the beginning of a loop); towards that the sound may be
                turned up.

        Returns:
            Float, its gain in dB.
        """
        lead = start - self._first * self._hop
        # A hop for what the filter rings on.
        length = -(-max(len(self._sum), lead + len(x) + self._hop) // self._hop) * self._hop
        new, old = np.zeros([2, length, x.shape[1]])
        old[: len(self._sum)] = self._sum
        new[lead : lead + len(x)] = x
        new[lead:] = scipy.signal.sosfilt(self._filter, new[lead:], axis=0)
        gain_db = self._choose(*self._terms(old, new), returns_to)
        self._sum = old + amplitude(gain_db) * new
        return gain_db

    def _terms(self, old, new):
        """Coefficients of the power of every hop: old^2 + gain 2 old new + gain^2 new^2."""
        return (
            _hop_powers(old, self._hop),
            2 * _hop_products(old, new, self._hop),
            _hop_powers(new, self._hop),
        )

    def _choose(self, constant, linear, square, returns_to):
        own = square.sum()
        if not own:
            return 0.0

        def levels(gain):
            """Of every hop: the power of the block of 3 s that ends with it, and of the quietest one before."""
            powers = np.concatenate([self._past, constant + gain * (linear + gain * square)])
            blocks = np.maximum(_running_means(powers, _SHORT_TERM_HOPS), _power(_SILENCE_LUFS))
            quietest = np.lib.stride_tricks.sliding_window_view(blocks, _SHORT_TERM_HOPS).min(axis=1)
            after = 2 * _SHORT_TERM_HOPS
            return blocks[after - _SHORT_TERM_HOPS + 1 :], quietest[1:-1]

        blocks_without, quietest_without = levels(0.0)
        seconds = _running_means(np.concatenate([np.zeros(_SECOND_HOPS - 1), square]), _SECOND_HOPS)

        def is_allowed(gain):
            blocks, quietest = levels(gain)
            is_gentle = gain**2 * seconds <= self._ratio_of_seconds * quietest
            return np.all(is_gentle & (blocks <= np.maximum(self._ratio * quietest, blocks_without)))

        sounding = np.flatnonzero(square)
        mean = own / len(sounding)
        high = max(1.0, np.sqrt(returns_to / self._ratio / mean))
        if is_allowed(high):
            return _rounded_down(high)
        low, high = 0.0, high
        for _ in range(14):
            middle = (low + high) / 2
            low, high = (middle, high) if is_allowed(middle) else (low, middle)
        least = np.sqrt(_LEAST_SHARE * quietest_without[sounding[0]] / seconds.max())
        return _rounded_down(max(low, min(1.0, least)))


def _rounded_down(gain):
    """A gain in dB, to thousandths."""
    return float(np.floor(1000 * decibels(gain) + 1e-6) / 1000)


def true_peak(x, oversampling=OVERSAMPLING):
    """Largest absolute sample of each frame and of the curve between it and the next ones.

    Args:
        x: float `[frames, channels]`.
        oversampling: Integer, points of the curve a frame.

    Returns:
        float64 array `[frames]`, over channels.
    """
    frames, channels = x.shape
    rows = frames // _TRUE_PEAK_ROW + 1
    padded = np.zeros([channels, rows * _TRUE_PEAK_ROW + 2 * _TRUE_PEAK_CONTEXT])
    padded[:, _TRUE_PEAK_CONTEXT : _TRUE_PEAK_CONTEXT + frames] = x.T
    seen = _TRUE_PEAK_ROW + 2 * _TRUE_PEAK_CONTEXT
    windows = np.lib.stride_tricks.sliding_window_view(padded, seen, axis=1)[:, ::_TRUE_PEAK_ROW]
    fine = windows.reshape(-1, seen) @ _interpolation(oversampling)
    np.abs(fine, out=fine)
    return fine.reshape(channels, rows, oversampling, _TRUE_PEAK_ROW).max(axis=(0, 2)).ravel()[:frames]


@functools.lru_cache
def _interpolation(oversampling):
    """The curve of a row of frames, from those and the ones around them, as a matrix: as one product of matrices it is
    five times as fast as a filter.

    Returns:
        float64 `[context + row + context, oversampling * row]`: first the frames, then the points after each, ...
    """
    taps = scipy.signal.firwin(2 * _TRUE_PEAK_CONTEXT * oversampling + 1, 1 / oversampling, window=("kaiser", 8))
    impulses = np.eye(_TRUE_PEAK_ROW + 2 * _TRUE_PEAK_CONTEXT)
    curves = scipy.signal.upfirdn(taps * oversampling, impulses, oversampling)[:, len(taps) // 2 :]
    first = _TRUE_PEAK_CONTEXT * oversampling
    curves = curves[:, first : first + _TRUE_PEAK_ROW * oversampling].reshape(len(impulses), _TRUE_PEAK_ROW, -1)
    return np.ascontiguousarray(curves.transpose(0, 2, 1).reshape(len(impulses), -1))


class Levels:
    """Loudness, true peak and rises of a stream.

    Args:
        sample_rate_hz, channels: Integers.

    Attributes:
        meter: `LoudnessMeter`.
    """

    def __init__(self, sample_rate_hz, channels):
        self.meter = LoudnessMeter(sample_rate_hz, channels)
        self._true_peak = 0.0
        self._last = np.zeros([0, channels], np.float32)

    def add(self, x):
        """Adds the next samples, float `[frames, channels]`."""
        self.meter.add(x)
        x = np.concatenate([self._last, x])
        # The curve between samples is never above twice the largest sample in what is not a test signal.
        if 2 * np.abs(x).max(initial=0) > self._true_peak:
            self._true_peak = max(self._true_peak, float(true_peak(x).max(initial=0)))
        # Where two blocks meet the curve depends on both.
        self._last = x[-2 * _TRUE_PEAK_CONTEXT :]

    @property
    def true_peak_db(self):
        """Float, dB relative to full scale."""
        return float(decibels(self._true_peak))

    def figures(self, skip_s=0.0, is_loop=False):
        """Returns a dict of the loudness, the true peak and the largest rise, see `LoudnessMeter.largest_rise`."""
        return {
            "lufs": self.meter.integrated(),
            "true_peak_db": self.true_peak_db,
            "largest_rise_db": self.meter.largest_rise(skip_s, is_loop),
        }


class Limiter:
    """Keeps the true peak below a ceiling by turning the level down smoothly ahead of peaks and after them.

    The gain at a frame depends on `context` frames to both sides and nothing else, so any stretch of the result can be
    computed by itself.

    Args:
        ceiling_dbtp: Float, dB relative to full scale.
        sample_rate_hz: Integer.
        look_ahead_s: Float, how long the level moves before and after a peak.
    """

    def __init__(self, ceiling_dbtp, sample_rate_hz, look_ahead_s=0.05):
        self._ceiling = float(amplitude(ceiling_dbtp - _HEADROOM_DB))
        self._reach = round(look_ahead_s * sample_rate_hz)
        window = np.hanning(2 * self._reach + 3)[1:-1]
        self._window = window / window.sum()
        self.context = 2 * self._reach + _TRUE_PEAK_CONTEXT

    def __call__(self, x):
        """Limits a stretch.

        Args:
            x: float `[context + frames + context, channels]`.

        Returns:
            float array `[frames, channels]`.
        """
        inner = x[self.context : len(x) - self.context]
        # Between two samples the curve of anything but a test signal stays below twice the samples.
        if 2 * np.abs(x).max(initial=0) <= self._ceiling:
            return inner
        peaks = true_peak(x, _LIMITER_OVERSAMPLING)[_TRUE_PEAK_CONTEXT : len(x) - _TRUE_PEAK_CONTEXT]
        needed = np.minimum(1, self._ceiling / np.maximum(peaks, 1e-9))
        lowest = scipy.ndimage.minimum_filter1d(needed, 2 * self._reach + 1)
        gain = scipy.signal.fftconvolve(lowest, self._window, "same")
        gain = np.minimum(gain, needed)[2 * self._reach : len(needed) - 2 * self._reach]
        return inner * gain[:, None].astype(x.dtype)


def to_integers(x, bits, seed):
    """Rounds to integers under triangular dither of one step.

    Args:
        x: float `[frames, channels]` in [-1, 1].
        bits: 16 or 24.
        seed: Anything that `numpy.random.default_rng` takes.

    Returns:
        int16 array, or int32 with the 24 bits on top, of the shape of `x`.
    """
    full_scale = 2 ** (bits - 1) - 1
    random = np.random.default_rng(seed).random([2, *x.shape], np.float32)
    y = np.rint(x * np.float64(full_scale) + (random[0] - random[1]))
    y = np.clip(y, -full_scale - 1, full_scale)
    return y.astype(np.int16) if bits == 16 else y.astype(np.int32) << 8
