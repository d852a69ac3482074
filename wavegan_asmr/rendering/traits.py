"""What pieces are compared by: level and spectrum, of the whole and of their ends."""

import dataclasses
import functools

import numpy as np

from wavegan_asmr.rendering.mastering import decibels

_BANDS = 24


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
        mono = x.mean(axis=1)
        rms = float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
        # Silence; samples at full scale; an offset as large as the sound.
        is_faulty = rms < 1e-4 or np.mean(np.abs(x) >= 0.999) > 1e-3 or np.abs(x.mean(axis=0)).max() > 0.5 * rms
        head, tail = (bands_db(mono[:edge]), bands_db(mono[-edge:])) if edge else (None, None)
        return cls(float(decibels(rms)) if np.isfinite(rms) else np.nan, bands_db(mono), bool(is_faulty), head, tail)


def bands_db(x):
    """Levels of 24 bands, evenly spaced in log frequency: float64 `[24]`, dB."""
    window, edges = _bands(len(x))
    spectrum = np.fft.rfft(x * window)
    power = spectrum.real**2 + spectrum.imag**2
    return decibels(np.sqrt(np.add.reduceat(power, edges[:-1]) / np.diff(edges) / len(x)), -120)


@functools.lru_cache(maxsize=16)
def _bands(frames):
    """Window of a stretch of so many frames, and where its bands begin and end."""
    bins = frames // 2 + 1
    return np.hanning(frames).astype(np.float32), np.unique(np.geomspace(1, bins, _BANDS + 1).astype(int))
