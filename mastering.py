"""Levels of a long sound, block by block: loudness, true peak, limiter, dither.

Samples are float `[frames, channels]`, full scale 1. Every function takes and gives blocks, so a night of sound takes
no more memory than a minute.
"""

import functools

import numpy as np
import pyloudnorm
import scipy.ndimage
import scipy.signal

OVERSAMPLING = 4
"""Factor at which true peaks are measured (ITU-R BS.1770, annex 2)."""

_LIMITER_OVERSAMPLING = 8
"""Finer, because four points a frame can miss 0.4 dB of the highest frequencies."""

_LOUDNESS_BLOCK_S, _LOUDNESS_HOP_S = 0.4, 0.1
_TRUE_PEAK_CONTEXT = 12
_HEADROOM_DB = 0.1


def decibels(amplitude, floor_db=-200.0):
    """Returns 20 log10 of amplitudes, at least `floor_db`."""
    return 20 * np.log10(np.maximum(amplitude, 10 ** (floor_db / 20)))


def amplitude(decibels):
    """Returns the amplitude of a level in dB."""
    return 10 ** (np.asarray(decibels) / 20)


class LoudnessMeter:
    """Integrated loudness of a stream (ITU-R BS.1770-4, as `pyloudnorm.Meter` measures a whole array).

    Args:
        sample_rate_hz: Integer.
        channels: Integer, at most 2.
    """

    def __init__(self, sample_rate_hz, channels):
        self._hop = round(_LOUDNESS_HOP_S * sample_rate_hz)
        stages = pyloudnorm.Meter(sample_rate_hz)._filters.values()
        self._stages = [[stage.passband_gain * stage.b, stage.a, np.zeros([2, channels])] for stage in stages]
        self._pending = np.zeros([0, channels])
        self._hops = []

    def add(self, x):
        """Adds the next samples, float `[frames, channels]`."""
        if not len(x):
            return
        x = np.asarray(x, np.float64)
        for stage in self._stages:
            b, a, state = stage
            x, stage[2] = scipy.signal.lfilter(b, a, x, axis=0, zi=state)
        x = np.concatenate([self._pending, x])
        hops = len(x) // self._hop
        whole = x[: hops * self._hop].reshape(hops, self._hop, x.shape[1])
        self._hops.extend(np.mean(whole**2, axis=1).sum(axis=1))
        self._pending = x[hops * self._hop :]

    def momentary(self):
        """Loudness of every block of 400 ms, one every 100 ms, in LUFS."""
        return self.short_term(_LOUDNESS_BLOCK_S)

    def short_term(self, seconds=3.0):
        """Loudness of every block of so many seconds, one every 100 ms, in LUFS."""
        hops = round(seconds / _LOUDNESS_HOP_S)
        power = np.convolve(self._hops, np.ones(hops) / hops, "valid") if len(self._hops) >= hops else np.zeros(0)
        return _lufs(power)

    def integrated(self):
        """Gated loudness of all, in LUFS; -inf where it is silent or shorter than 400 ms."""
        loudness = self.momentary()
        power = 10 ** ((loudness + 0.691) / 10)
        power = power[loudness >= -70]
        if not len(power):
            return -np.inf
        power = power[_lufs(power) > _lufs(power.mean()) - 10]
        return float(_lufs(power.mean()))


def _lufs(power):
    return -0.691 + 10 * np.log10(np.maximum(power, 1e-20))


@functools.lru_cache
def _interpolation_filter(oversampling):
    taps = 2 * _TRUE_PEAK_CONTEXT * oversampling + 1
    return scipy.signal.firwin(taps, 1 / oversampling, window=("kaiser", 8)) * oversampling


def true_peak(x, oversampling=OVERSAMPLING):
    """Largest absolute sample of each frame and of the curve between it and the next ones.

    Args:
        x: float `[frames, channels]`.
        oversampling: Integer, points of the curve a frame.

    Returns:
        float64 array `[frames]`, over channels.
    """
    taps = _interpolation_filter(oversampling)
    fine = scipy.signal.upfirdn(taps, np.asarray(x, np.float64), oversampling, axis=0)[len(taps) // 2 :]
    fine = np.abs(fine[: len(x) * oversampling]).max(axis=1)
    return fine.reshape(len(x), oversampling).max(axis=1)


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
