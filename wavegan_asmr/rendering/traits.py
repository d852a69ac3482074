"""What pieces are compared by: level and spectrum, of the whole and of their ends."""

import dataclasses
import functools

import numpy as np
import scipy.fft

from wavegan_asmr.rendering.loudness import decibels

_BANDS = 24
_FULL_SCALE = 0.999


@dataclasses.dataclass(frozen=True)
class Traits:
    """What pieces are compared by: level and log spectrum of the whole, of the beginning and of the end, in dB."""

    level_db: float
    spectrum_db: np.ndarray
    is_faulty: bool
    head_db: np.ndarray = None
    tail_db: np.ndarray = None

    @classmethod
    def of(cls, x, edge=0):
        """Measures a piece `[frames, channels]`; `edge` frames are its beginning and its end."""
        mono = fold_down(x)
        rms = float(np.sqrt(np.vdot(x, x) / x.size))
        # Silence; samples at full scale; an offset as large as the sound.
        is_faulty = rms < 1e-4 or _share_of_full_scale(x) > 1e-3 or np.abs(means(x)).max() > 0.5 * rms
        head, tail = (bands_db(mono[:edge]), bands_db(mono[-edge:])) if edge else (None, None)
        return cls(float(decibels(rms)) if np.isfinite(rms) else np.nan, bands_db(mono), bool(is_faulty), head, tail)


def fold_down(x):
    """The mean of all channels, `[frames, channels]` -> `[frames]`; NumPy's mean of few numbers is slow."""
    return x @ np.full(x.shape[1], 1 / x.shape[1], x.dtype)


def means(x):
    """The mean of each channel, in the same way."""
    return np.full(len(x), 1 / len(x), x.dtype) @ x


def _share_of_full_scale(x):
    if x.min() > -_FULL_SCALE and x.max() < _FULL_SCALE:
        return 0.0
    return np.mean(np.abs(x) >= _FULL_SCALE)


def bands_db(x):
    """Levels of 24 bands, evenly spaced in log frequency: float64 `[24]`, dB."""
    window, edges = _bands(len(x))
    spectrum = scipy.fft.rfft(x * window)
    power = spectrum.real**2 + spectrum.imag**2
    return decibels(np.sqrt(np.add.reduceat(power, edges[:-1]) / np.diff(edges) / len(x)), -120)


@functools.lru_cache(maxsize=16)
def _bands(frames):
    """Window of a stretch of so many frames, and where its bands begin and end."""
    bins = frames // 2 + 1
    return np.hanning(frames).astype(np.float32), np.unique(np.geomspace(1, bins, _BANDS + 1).astype(int))
