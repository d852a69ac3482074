"""How loud a recording is, and what of it is no sound, gathered block by block."""

import dataclasses

import numpy as np

_SILENT = 1e-7
"""Of full scale: what 24 bits write as zero, and more than resampling makes of zeros."""

_SILENCE_S = 0.1
"""Shorter silence is a part of the sound: waves cross zero."""

_FULL_SCALE = 0.9999
"""From here on a sample of 16 bits is the largest that there is."""


@dataclasses.dataclass(frozen=True)
class Levels:
    """Levels of a decoded recording, relative to full scale.

    Attributes:
        peak: Float, the largest absolute sample.
        rms: Float, root mean square of what is left without the offset.
        offset: Float, the mean of the channel in which it is farthest from zero.
        silent: Float in [0, 1], share of the time that is digital silence, all channels at once.
        clipped: Float in [0, 1], share of the recording's own samples that are at full scale and not beyond.
    """

    peak: float
    rms: float
    offset: float
    silent: float
    clipped: float

    @property
    def is_still(self):
        """Boolean, whether nothing moves: silence from end to end, or one value."""
        return self.rms <= _SILENT

    @property
    def is_silent(self):
        """Boolean, whether it is digital silence from end to end."""
        return self.peak <= _SILENT


class LevelMeter:
    """Gathers the `Levels` of a recording.

    Args:
        sample_rate_hz: Integer.
        channels: Integer.
    """

    def __init__(self, sample_rate_hz, channels):
        self._least_silence = int(_SILENCE_S * sample_rate_hz)
        self._peak, self._sums, self._squares = 0.0, np.zeros(channels), 0.0
        self._silent, self._last_loud = 0, -1
        self._source, self._clipped = 0, 0
        self.frames = 0

    def add_source(self, x):
        """Adds a block as the recording has it: float32 array `[frames, any channels]`."""
        self._source += x.size
        magnitudes = np.abs(x)
        self._clipped += np.count_nonzero((magnitudes >= _FULL_SCALE) & (magnitudes <= 1))

    def add(self, x):
        """Adds a block as it is used: float32 array `[frames, channels]`."""
        if not len(x):
            return
        magnitudes = np.abs(x)
        self._peak = max(self._peak, float(magnitudes.max()))
        # Columns one by one: along the first axis of two NumPy is slow.
        for channel, column in enumerate(x.T):
            self._sums[channel] += column.sum(dtype=np.float64)
            self._squares += np.square(column, dtype=np.float64).sum()
        is_loud = magnitudes[:, 0] > _SILENT
        for column in magnitudes.T[1:]:
            is_loud |= column > _SILENT
        loud = self.frames + np.flatnonzero(is_loud)
        self.frames += len(x)
        if len(loud):
            self._count_silence(np.diff(loud, prepend=self._last_loud) - 1)
            self._last_loud = int(loud[-1])

    def read(self):
        """Returns the `Levels` of all blocks; there is at least one frame."""
        self._count_silence(np.array([self.frames - 1 - self._last_loud]))
        self._last_loud = self.frames - 1
        means = self._sums / self.frames
        variance = self._squares / (self.frames * len(means)) - np.square(means).mean()
        return Levels(
            peak=self._peak,
            rms=float(np.sqrt(np.maximum(0, variance))),
            offset=float(means[np.abs(means).argmax()]),
            silent=self._silent / self.frames,
            clipped=float(self._clipped / max(1, self._source)),
        )

    def _count_silence(self, gaps):
        self._silent += int(gaps[gaps >= self._least_silence].sum())
