"""True peak, levels, limiter and dither of a long sound, block by block.

Samples are float `[frames, channels]`, full scale 1. Every function takes and gives blocks, so a night of sound takes
no more memory than a minute.
"""

import functools

import numpy as np
import scipy.ndimage
import scipy.signal

from wavegan_asmr.rendering.loudness import LoudnessMeter, amplitude, decibels

OVERSAMPLING = 4
"""Factor at which true peaks are measured (ITU-R BS.1770, annex 2)."""

_LIMITER_OVERSAMPLING = 8
"""Finer, because four points a frame can miss 0.4 dB of the highest frequencies."""

_TRUE_PEAK_CONTEXT, _TRUE_PEAK_ROW = 12, 32
"""Frames to each side that the curve between samples depends on, and frames whose curves are computed as one."""

_HEADROOM_DB = 0.1


def true_peak(x, oversampling=OVERSAMPLING):
    """Largest absolute sample of each frame and of the curve between it and the next ones.

    Args:
        x: float `[frames, channels]`.
        oversampling: Integer, points of the curve a frame.

    Returns:
        Array `[frames]` of the same type, over channels.
    """
    frames, channels = x.shape
    rows = frames // _TRUE_PEAK_ROW + 1
    padded = np.zeros([channels, rows * _TRUE_PEAK_ROW + 2 * _TRUE_PEAK_CONTEXT], x.dtype)
    padded[:, _TRUE_PEAK_CONTEXT : _TRUE_PEAK_CONTEXT + frames] = x.T
    seen = _TRUE_PEAK_ROW + 2 * _TRUE_PEAK_CONTEXT
    windows = np.lib.stride_tricks.sliding_window_view(padded, seen, axis=1)[:, ::_TRUE_PEAK_ROW]
    fine = windows.reshape(-1, seen) @ _interpolation(oversampling).astype(x.dtype)
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
        needed = np.minimum(1, self._ceiling / np.maximum(peaks, 1e-9, dtype=np.float64))
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
    dither, less = np.random.default_rng(seed).random([2, *x.shape], np.float32)
    dither -= less
    y = np.multiply(x, full_scale, dtype=np.float64)
    y += dither
    np.clip(np.rint(y, out=y), -full_scale - 1, full_scale, out=y)
    return y.astype(np.int16) if bits == 16 else y.astype(np.int32) << 8
