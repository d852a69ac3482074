"""Noise with the statistics of recordings: spectrum, image, and how the level of each band moves.

After McDermott and Simoncelli (2011), who impose statistics of the envelopes of bands on noise, and found that many
natural textures are told from it by little. With L[t, c, b] the level of band b of channel c in window t, in dB, and
F its distribution over all windows of the recordings:

    z = Phi^-1(F(L))            of each recorded slice: the same courses, with normal distributions
    z' = sum_i a_i z_i / n^1/2  a_i independent and normal: a Gaussian process with their covariances over time (the
                                spectrum of modulations), between bands and between channels
    L' = F^-1(Phi(z'))          a course with the recordings' distributions
    x = sum_b g_b * w_b         w: Gaussian noise with the recordings' mean spectrum and mean cross-spectrum of
                                channels; g: the gain that gives each of its bands the level L'

What it has not is what such statistics do not see: phases, and with them the pitch of a call and the shape of a drop.
"""

import itertools

import numpy as np
import scipy.fft
import scipy.special

from wavegan_asmr.evaluation import band_courses

_SLICES = 256
_APART = 1 << 20
"""Pieces from the first of a stream to that of the next."""
_RANKS = (np.arange(513) + 0.5) / 513


class ShapedNoise:
    """A source of sounds, see `anchors`: noise with the statistics of slices.

    Args:
        slices: `loader.Slices`.
        sample_rate_hz: Integer.
        seed: Integer >= 0.
    """

    def __init__(self, slices, sample_rate_hz, seed):
        self._samples, self._seed = slices.slice_len, seed
        self._courses = band_courses.of_rate(sample_rate_hz)
        count = min(_SLICES, slices.offsets)
        levels, cross = [], 0
        for number in range(count):
            x = slices.read(number, 1)[0]
            levels.append(self._courses.levels(self._courses.to_spectra(x)))
            spectrum = scipy.fft.rfft(x.astype(np.float64), axis=0)
            cross = cross + spectrum[:, :, None] * spectrum[:, None].conj()
        # [slices, frames, channels, bands]
        levels = np.stack(levels)
        self._shape = levels.shape[1:]
        self._normal = scipy.special.ndtri(_RANKS)
        # [ranks, channels, bands]
        self._quantiles = np.quantile(levels.reshape(-1, *self._shape[1:]), _RANKS, axis=0)
        normal = self._of_each_band(levels, self._quantiles, self._normal)
        self._deviates = normal.reshape(count, -1).astype(np.float32) / np.float32(np.sqrt(count))
        # Square roots of the mean cross-spectra: independent noises become those with that image.
        values, vectors = np.linalg.eigh(cross / count)
        self._roots = vectors * np.sqrt(np.maximum(values, 0) / 2)[:, None]

    def pieces(self, number):
        """Yields the pieces of a stream without end, one of many by its number: float32 `[samples, channels]`."""
        for place in itertools.count(_APART * number):
            yield self._make(place)

    def read(self, first, count):
        """Returns noise, float32 `[count, samples, channels]`."""
        return np.stack([self._make(number) for number in range(first, first + count)])

    def _make(self, number):
        random = np.random.default_rng([self._seed, number])
        normal = random.standard_normal(len(self._deviates), np.float32) @ self._deviates
        wanted = self._of_each_band(normal.reshape(self._shape), self._normal, self._quantiles)
        real, imaginary = random.standard_normal([2, *self._roots.shape[:2], 1])
        white = scipy.fft.irfft((self._roots @ (real + 1j * imaginary))[:, :, 0], self._samples, axis=0)
        spectra = self._courses.to_spectra(white.astype(np.float32))
        gains = wanted - self._courses.levels(spectra)
        x = self._courses.to_sound(self._courses.amplify(spectra, gains), self._samples)
        return np.clip(x, -1, 1)

    def _of_each_band(self, x, given, wanted):
        """Maps values `[..., channels, bands]` by a table of each band: from given values to wanted ones, `[ranks]` or
        `[ranks, channels, bands]`."""
        mapped = np.empty(x.shape, np.float32)
        for place in np.ndindex(x.shape[-2:]):
            table = [each if each.ndim == 1 else each[:, *place] for each in (given, wanted)]
            mapped[..., *place] = np.interp(x[..., *place], *table)
        return mapped
