"""Pieces of generated sound, and the voices that make them: each of one model."""

import collections
import concurrent.futures
import dataclasses
import functools

import numpy as np
import soxr

from wavegan_asmr.rendering.inputs import PILOT
from wavegan_asmr.rendering.traits import Traits, means

_MOST_TRAITS = 4096
"""Pieces whose traits are kept, more than those by which loudness is set."""

_RARE = 0.1
"""Share of pieces up to which those that are far from most are outliers; more are part of the sound, as calls of birds
are."""


class CompositionError(Exception):
    """A composition that cannot be; the message says why."""


@dataclasses.dataclass(frozen=True)
class Piece:
    """A piece on the time axis.

    Attributes:
        line: Integer, the line it belongs to.
        index: Integer, its number in its voice: with the seed it gives the input of the model.
        start: Integer, the frame at which it begins.
        skip: Integer, frames left out at its beginning (aligned fades).
        turn: Integer, the turn of its line that it belongs to, see `Turns`.
        correlation_in, correlation_out: Floats, how alike this piece and the one before, or the next, are where they
            overlap: 1 for the same, 0 for unrelated.
        gains_db: Floats, the gain of each of as many stretches of equal length; between their middles it glides.
    """

    line: int
    index: int
    start: int
    skip: int
    turn: int
    correlation_in: float
    correlation_out: float
    gains_db: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Acceptance:
    """Which pieces of a voice are used: those that are about as most are.

    Attributes:
        level_db, spectrum_db: Float and float64 `[bands]`, the medians of `Traits`.
        allowed_db: Float, how far a piece may be from them.
    """

    level_db: float
    spectrum_db: np.ndarray
    allowed_db: float

    def distance_db(self, traits):
        """How far a piece is from them, in level or in spectrum, whichever is more."""
        return max(abs(traits.level_db - self.level_db), np.abs(traits.spectrum_db - self.spectrum_db).mean())

    def takes(self, traits):
        """Whether a piece with these traits is used."""
        return not traits.is_faulty and self.distance_db(traits) <= self.allowed_db


class Voice:
    """The pieces of one model, at the output's rate and channels.

    Args:
        generate: Function, inputs `[at_once, *shape]` -> float32 `[at_once, samples, channels]`.
        inputs: `Inputs`.
        sample_rate_hz: Integer, of the model.
        output_rate_hz: Integer.
        channels: Integer, of the output: 1 or 2.
        stereo_width: Float in [0, 1]; a mono model's left and right: 0 alike, 1 as different as two pieces.
        at_once: Integer, power of 2, inputs of a batch. Batches are always the same ones, so a piece never
            depends on what else is made.
        kept: Integer >= 4, batches that are kept in case that they are used again.
        is_moving: Boolean, whether what is asked of the model changes from piece to piece: they come in their order,
            and only those that are faulty are left out.

    Attributes:
        output_rate_hz, at_once, is_moving: See above.
        piece_len: Integer, frames of a piece at the output's rate.
        offset: float32 `[channels]`, the mean of all pieces, which is taken off: recordings, and so models, may have
            one.
        traits: Function of the number of a piece and an edge to its `Traits`.
        acceptance: `Acceptance`, or None before `calibrate`: every piece is used.
        left_out: Integer, pieces rejected so far.
    """

    def __init__(
        self,
        generate,
        inputs,
        sample_rate_hz,
        output_rate_hz,
        channels,
        stereo_width=0.0,
        at_once=16,
        kept=4,
        is_moving=False,
    ):
        self._generate = generate
        self._inputs = inputs
        self._sample_rate_hz = sample_rate_hz
        self.output_rate_hz = output_rate_hz
        self._channels = channels
        self._angle = np.pi / 4 * stereo_width
        self.at_once = at_once
        self._kept = kept
        self.is_moving = is_moving
        self._pool = concurrent.futures.ThreadPoolExecutor(1)
        self._batches = collections.OrderedDict()
        self.acceptance = None
        self.traits = functools.lru_cache(_MOST_TRAITS)(self._measure)
        self.offset = np.zeros(channels, np.float32)
        self.piece_len = len(self[PILOT])
        self.left_out = 0

    def __getitem__(self, index):
        """Returns a piece, float32 `[piece_len, channels]`, not to be changed."""
        batch, row = divmod(index, self.at_once)
        if batch not in self._batches:
            self._batches[batch] = self._pool.submit(self._make, batch)
        self._batches.move_to_end(batch)
        result = self._batches[batch].result()[row]
        # Where pieces are used one after the other, the next batch is made while this one is used.
        if batch - 1 in self._batches and batch + 1 not in self._batches:
            self._batches[batch + 1] = self._pool.submit(self._make, batch + 1)
        while len(self._batches) > self._kept:
            self._batches.popitem(last=False)
        return result

    def _make(self, batch):
        indices = range(batch * self.at_once, (batch + 1) * self.at_once)
        middle = self._generate(np.stack([self._inputs[index] for index in indices]))
        if self._channels == 2 and middle.shape[2] == 1:
            side = 0
            if self._angle:
                side = self._generate(np.stack([self._inputs[index + PILOT // 2] for index in indices]))
            cosine, sine = np.float32(np.cos(self._angle)), np.float32(np.sin(self._angle))
            # Left and right sum to the middle alone, so nothing cancels in mono.
            middle = np.concatenate([cosine * middle + sine * side, cosine * middle - sine * side], axis=2)
        elif self._channels == 1:
            middle = middle.mean(axis=2, keepdims=True)
        return [self._resample(x) - self.offset for x in middle]

    def _measure(self, index, edge):
        """Measures a piece, see `Traits.of`; compositions that are measured and made again look at the same ones."""
        return Traits.of(self[index], edge)

    def take_off(self, offset):
        """Takes an offset, float32 `[channels]`, off all pieces from now on."""
        self.offset = offset
        self._batches.clear()
        self.traits.cache_clear()

    def _resample(self, x):
        if self._sample_rate_hz == self.output_rate_hz:
            return x
        # Piece by piece: the ends ring into fades, and no piece depends on its neighbours.
        return soxr.resample(x, self._sample_rate_hz, self.output_rate_hz).astype(np.float32)

    def calibrate(self, count=192, most_left_out=0.2):
        """Makes a pilot of pieces, and leaves out from now on what is silent, clipped, shifted or a rare outlier.

        Args:
            count: Integer, pieces of the pilot.
            most_left_out: Float, the largest share that may be left out.

        Returns:
            Integer, pieces of the pilot that would be left out.

        Raises:
            CompositionError: The model makes silence, or what is not a number.
        """
        # Kept while they are measured: making them is the work.
        pilot = [self[PILOT + i] for i in range(count)]
        offset = np.mean([means(x) for x in pilot], axis=0, dtype=np.float32)
        traits = [Traits.of(x - offset) for x in pilot]
        if not all(np.isfinite(each.level_db) for each in traits):
            raise CompositionError("the model makes samples that are not numbers; train it again, or take a backup")
        self.take_off(offset)
        sound = [each for each in traits if not each.is_faulty]
        if len(sound) < (1 - most_left_out) * count:
            faulty = count - len(sound)
            raise CompositionError(
                f"{faulty} of {count} pieces of the pilot are silent, clipped or shifted; train longer, or allow more "
                "with --max_left_out"
            )
        level_db = np.median([each.level_db for each in sound])
        spectrum_db = np.median([each.spectrum_db for each in sound], axis=0)
        all_of_them = Acceptance(level_db, spectrum_db, np.inf)
        distances = np.array([all_of_them.distance_db(each) for each in sound])
        typical = np.median(distances) + 4 * 1.4826 * np.median(np.abs(distances - np.median(distances)))
        is_rare = np.mean(distances > typical) <= _RARE
        most_outliers = int(most_left_out * count) - (count - len(sound)) if is_rare else 0
        allowed = np.inf if self.is_moving else max(typical, np.sort(distances)[-1 - most_outliers])
        self.acceptance = dataclasses.replace(all_of_them, allowed_db=allowed)
        return sum(not self.acceptance.takes(each) for each in traits)

    def good(self, traits):
        """Whether a piece with these traits is used; counts those that are not."""
        if self.acceptance is None or self.acceptance.takes(traits):
            return True
        self.left_out += 1
        return False
