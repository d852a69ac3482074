"""The course of the level in bands of frequency: of a sound as it is, and as it is to be.

Spectra are of windows of about 16 ms that overlap by half, each under the root of a Hann window there and back, so that
they sum up to the sound again.
"""

import functools
import math

import librosa
import numpy as np
import scipy.fft

_BANDS = 24
_WINDOW_S = 0.016
_LEAST_POWER = np.float32(1e-24)
"""Of a frequency of what is silent: far below the last bit."""


class BandCourses:
    """Levels of bands over time, at a sample rate.

    Args:
        sample_rate_hz: Integer.

    Attributes:
        hop: Integer, samples from window to window.
        bands: Integer, equally wide in mel; at most 24, fewer where one would hold no frequency.
    """

    def __init__(self, sample_rate_hz):
        self._window_len = 2 ** round(math.log2(_WINDOW_S * sample_rate_hz))
        self.hop = self._window_len // 2
        self._window = np.sin(np.pi * (np.arange(self._window_len) + 0.5) / self._window_len).astype(np.float32)
        nyquist_hz, bins = sample_rate_hz / 2, self.hop + 1
        edges = librosa.mel_frequencies(_BANDS + 1, fmin=0, fmax=nyquist_hz) / nyquist_hz * bins
        self._edges = np.unique(np.round(edges).astype(int))
        self.bands = len(self._edges) - 1

    def to_spectra(self, x):
        """Returns the spectra of the windows of a sound: float32 `[samples, channels]` -> complex64 `[frames, channels,
        bins]`; around it is silence."""
        padded = np.pad(x, [[self.hop, self.hop + -len(x) % self.hop], [0, 0]])
        windows = np.lib.stride_tricks.sliding_window_view(padded, self._window_len, axis=0)[:: self.hop]
        return scipy.fft.rfft(windows * self._window)

    def to_sound(self, spectra, samples):
        """Returns the sound of spectra, as `to_spectra` made them: float32 `[samples, channels]`."""
        windows = scipy.fft.irfft(spectra, self._window_len) * self._window
        sums = windows[:-1, :, self.hop :] + windows[1:, :, : self.hop]
        return np.moveaxis(sums, 2, 1).reshape(-1, sums.shape[1])[:samples]

    def levels(self, spectra):
        """Returns the mean power of each band, its natural logarithm: `[..., bins]` -> float32 `[..., bands]`."""
        power = spectra.real**2 + spectra.imag**2
        means = np.add.reduceat(power, self._edges[:-1], axis=-1) / np.diff(self._edges).astype(np.float32)
        return np.log(np.maximum(means, _LEAST_POWER))

    def amplify(self, spectra, gains):
        """Returns spectra with gains `[..., bands]` of the power of their bands, natural logarithms."""
        return spectra * np.repeat(np.exp(gains / 2), np.diff(self._edges), axis=-1)


of_rate = functools.lru_cache(maxsize=4)(BandCourses)
"""Returns the `BandCourses` of a sample rate."""
