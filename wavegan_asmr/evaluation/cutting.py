"""Recordings cut into pieces and put together again: what a model has to be better than.

recording   ------------------------------------------
pieces           [  3  ]   [  1  ]    [  2  ]               as long as slices, from anywhere
stream      [  1  ]
                [  2  ]                                     cross-fades of a quarter of a piece
                    [  3  ]
slices           [     ]    [     ]                         from anywhere, seams and all
"""

import itertools

import numpy as np

from wavegan_asmr.evaluation import band_courses
from wavegan_asmr.sound.fades import evenness, fade_in, overlap_correlation

_FADE_SHARE = 4
"""Of a piece, what `generate` takes, too."""

_PIECES = 3
"""That a slice of the stream may hold some of."""

_LIBRARY, _CANDIDATES = 512, 32


def fade_of(samples):
    """Returns how long pieces of so many samples fade into each other, samples."""
    return samples // _FADE_SHARE


def stitch(pieces, fade):
    """Cross-fades pieces, at equal power also where they are alike, as `generate` does.

    Args:
        pieces: Iterable of float32 `[samples, channels]`.
        fade: Integer, samples, at least 1 and at most half of a piece.

    Yields:
        float32 `[samples - fade, channels]` for each piece: its beginning, with what fades out of the one before.
    """
    weights, before = fade_in(fade)[:, None], None
    for piece in pieces:
        x = piece[:-fade].copy()
        if before is not None:
            even = evenness(fade, overlap_correlation(before, piece[:fade]))[:, None]
            x[:fade] = (before * weights[::-1] + x[:fade] * weights) * even
        yield x
        before = piece[-fade:]


class Recut:
    """A source of sounds, see `anchors`: a stream of random slices, cut again anywhere.

    Args:
        slices: `loader.Slices`.
        sample_rate_hz: Integer.
        seed: Integer >= 0.
    """

    def __init__(self, slices, sample_rate_hz, seed):
        self._slices, self._seed = slices, seed

    def pieces(self, number):
        """Yields the pieces of a stream without end, one of many by its number: float32 `[samples, channels]`."""
        for place in itertools.count(_PIECES * number):
            yield self._slices.read(place, 1)[0]

    def read(self, first, count):
        """Returns slices of streams, float32 `[count, samples, channels]`."""
        return np.stack([self._cut(number) for number in range(first, first + count)])

    def _cut(self, number):
        samples = self._slices.slice_len
        fade = fade_of(samples)
        x = np.concatenate(list(itertools.islice(stitch(self.pieces(number), fade), _PIECES)))
        # The first piece begins without another that fades out.
        start = fade + int(np.random.default_rng([self._seed, number, 1]).integers(samples - fade))
        return x[start : start + samples]


class Quilted(Recut):
    """The same with each next piece chosen, that of which the beginning is most like the end of the last (image
    quilting, Efros and Freeman 2001): the least mean difference of the levels of bands over the time in which they
    overlap, of 32 candidates drawn from 512 slices. In place of their cut where both are most alike is the cross-fade.
    """

    def __init__(self, slices, sample_rate_hz, seed):
        super().__init__(slices, sample_rate_hz, seed)
        courses, fade = band_courses.of_rate(sample_rate_hz), fade_of(slices.slice_len)
        ends = []
        for number in range(min(_LIBRARY, slices.offsets)):
            x = slices.read(number, 1)[0]
            ends.append([courses.levels(courses.to_spectra(each)) for each in (x[:fade], x[-fade:])])
        # [library, frames, channels, bands]
        self._heads, self._tails = np.stack(ends, axis=1)

    def pieces(self, number):
        random, last = np.random.default_rng([self._seed, number]), None
        while True:
            candidates = random.choice(len(self._heads), min(_CANDIDATES, len(self._heads)), replace=False)
            costs = 0 if last is None else np.abs(self._heads[candidates] - self._tails[last]).mean(axis=(1, 2, 3))
            last = int(candidates[np.argmin(costs)])
            yield self._slices.read(last, 1)[0]
