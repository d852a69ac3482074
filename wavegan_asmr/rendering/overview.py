"""The picture beside a sound file, of data gathered block by block in the same memory for any length."""

import numpy as np

from wavegan_asmr import storage
from wavegan_asmr.rendering.loudness import decibels
from wavegan_asmr.rendering.mastering import Levels
from wavegan_asmr.rendering.traits import fold_down
from wavegan_asmr.sound import plots

_COLUMNS = 1500
_MOST_SEAMS = 400
"""Seams that a picture can show."""


class Overview:
    """Levels, envelope and spectrogram of a sound.

    Args:
        sample_rate_hz, channels: Integers.
        frames: Integer or None, the length.

    Attributes:
        frames: Integer, those added so far.
        levels: `Levels` of what was added.
    """

    def __init__(self, sample_rate_hz, channels, frames):
        self.frames = 0
        self.levels = Levels(sample_rate_hz, channels)
        self._sample_rate_hz = sample_rate_hz
        self._column_frames = -(-(frames or 1) // _COLUMNS)
        self._lowest = np.zeros(_COLUMNS, np.float32)
        self._highest = np.zeros(_COLUMNS, np.float32)
        self._spectra_db = np.full([_COLUMNS, 513], -120.0, np.float32)
        self._seams_s = []
        self._is_finite = frames is not None

    def add(self, x):
        """Adds a block, float32 `[frames, channels]`; of a stream without end only its length is kept."""
        if self._is_finite:
            self.levels.add(x)
            self._add_columns(fold_down(x))
        self.frames += len(x)

    def add_seams(self, starts_s):
        """Adds where pieces begin, a list of seconds."""
        # One more than can be shown tells that they are too many.
        self._seams_s.extend(starts_s[: _MOST_SEAMS + 1 - len(self._seams_s)])

    def _add_columns(self, mono):
        first, last = self.frames // self._column_frames, (self.frames + len(mono) - 1) // self._column_frames
        chosen = np.arange(first, last + 1)
        firsts = np.maximum(0, chosen * self._column_frames - self.frames)
        self._lowest[chosen] = np.minimum(self._lowest[chosen], np.minimum.reduceat(mono, firsts))
        self._highest[chosen] = np.maximum(self._highest[chosen], np.maximum.reduceat(mono, firsts))
        window = np.hanning(1024)
        for column, first in zip(chosen, np.minimum(firsts, len(mono) - 1024)):
            if first >= 0:
                spectrum = np.abs(np.fft.rfft(mono[first : first + 1024] * window)) / 256
                self._spectra_db[column] = decibels(spectrum, -120)

    def draw(self, path, title, lufs):
        """Draws the picture.

        Args:
            path: String, of the picture.
            title: String.
            lufs: Float, the loudness that was asked for.

        Raises:
            OSError: It cannot be written.
        """
        figure = plots.overview(
            self._lowest,
            self._highest,
            self._spectra_db.T,
            self.levels.meter.short_term(),
            self._column_frames / self._sample_rate_hz,
            self.frames / self._sample_rate_hz,
            self._sample_rate_hz,
            lufs,
            title,
            self._seams_s if len(self._seams_s) <= _MOST_SEAMS else [],
        )
        with storage.replacing(path) as file:
            file.write(plots.png(figure))
