"""Lines of pieces, summed into a composition of any length.

    piece 0   /------------\\
    piece 1             /------------\\                 fades of `fade` frames, equal-power:
    piece 2                       /------------\\       sin^2 + cos^2 = 1

A `Voice` makes the pieces of one model. A `Line` puts pieces of a voice one after the other on the time axis: each is
chosen among some candidates by how well it goes on from the last one. A `Composition` sums lines, and computes any
stretch of the sum from the pieces alone, so a stretch is the same samples whenever and with whatever around it it is
computed.

Time is in frames of the output's sample rate. Samples are float32 `[frames, channels]`.
"""

import dataclasses
import functools
import heapq
import itertools

import numpy as np

from wavegan_asmr.rendering.loudness import amplitude
from wavegan_asmr.rendering.pieces import CompositionError
from wavegan_asmr.sound.fades import fade_in, multiply

_LOOP_BEGINS_S, _LOOP_RETURNS_S = 6.0, 20.0
"""The first seconds of a loop are what its last seconds go back to."""


@dataclasses.dataclass(frozen=True)
class Turns:
    """When each line sounds: all of them always, or one after the other.

    Attributes:
        lines: Integer, number of lines.
        stretch: Integer, frames of a turn; 0 where all lines sound always.
        fade: Integer, frames of the cross-fade from a turn to the next, which ends with the turn.
    """

    lines: int
    stretch: int = 0
    fade: int = 0

    def of(self, line, frames):
        """Yields (turn, start, end) of a line; the end is None where it never ends."""
        if not self.stretch:
            yield 0, 0, frames
            return
        for turn in itertools.count(line, self.lines):
            if frames is not None and self.start(turn) >= frames:
                return
            yield turn, self.start(turn), (turn + 1) * self.stretch

    def start(self, turn):
        """The first frame of a turn."""
        return max(0, turn * self.stretch - self.fade)

    def weigh(self, x, piece):
        """Fades the samples of a piece at the ends of its turn, in place."""
        if not self.stretch:
            return
        ramp = fade_in(self.fade)[:, None]
        start = self.start(piece.turn)
        if piece.turn:
            multiply(x, piece.start, ramp, start)
        x[: max(0, start - piece.start)] = 0
        end = (piece.turn + 1) * self.stretch
        multiply(x, piece.start, ramp[::-1], end - self.fade)
        x[max(0, end - piece.start) :] = 0


class _Stretches:
    """Stretches of equal length of a piece, each with weights that fade into its neighbours' and sum to 1.

        1 ---.     .-----.     .---
              \\   /       \\   /
               \\ /         \\ /            three stretches, x is the middle of each
        0    x  '     x     '  x

    Args:
        frames: Integer, of the piece.
        count: Integer, of the stretches.

    Raises:
        CompositionError: There are more than frames.
    """

    def __init__(self, frames, count):
        if count > frames:
            raise CompositionError(f"a piece of {frames} frames cannot have {count} gains")
        self._times = np.arange(frames)
        self._middles = (np.arange(count) + 0.5) * frames / count
        self._parts = []
        for number in range(count):
            weights = np.interp(self._times, self._middles, np.arange(count) == number)
            sounding = np.flatnonzero(weights)
            first, last = sounding[0], sounding[-1] + 1
            self._parts.append((first, weights[first:last, None]))

    @property
    def count(self):
        """How many."""
        return len(self._middles)

    def cut(self, x, number):
        """Returns a stretch of `x` under its weights, and the frame at which it begins."""
        if self.count == 1:
            return x, 0
        first, weights = self._parts[number]
        return x[first : first + len(weights)] * weights, first

    def curve(self, gains_db):
        """Returns the gain of every frame, float32 `[frames, 1]`."""
        return np.interp(self._times, self._middles, amplitude(gains_db)).astype(np.float32)[:, None]


_stretches = functools.lru_cache(maxsize=16)(_Stretches)
"""Made once for all pieces of a length."""


class Composition:
    """The sum of lines, from which stretches are taken from the beginning to the end.

    Args:
        lines: List of `Line`.
        frames: Integer or None for no end.
        turns: `Turns`, or None: all lines sound always.
        fade_in, fade_out: Integers, frames of the fades at the very beginning and end.
        loop_fade: Integer; above 0 the end runs into the beginning under a cross-fade of so many frames.
        gain_db: Float, of everything.
        pieces: Iterable of `Piece` ordered by start, or None to choose them.
        guard: `StartleGuard` that sets the gains of the pieces, or None for the gains they have.

    Attributes:
        frames, loop_fade: See above.
        fades: Pair of integers, the fades at the beginning and at the end.
        used: List of `Piece`, those that were taken, in their order; the caller empties it.
    """

    def __init__(
        self, lines, frames, turns=None, fade_in=0, fade_out=0, loop_fade=0, gain_db=0.0, pieces=None, guard=None
    ):
        self._lines = lines
        self.frames = frames
        self._turns = turns or Turns(len(lines))
        self.fades = (fade_in, fade_out)
        self.loop_fade = loop_fade
        self._gain = np.float32(amplitude(gain_db))
        self._channels = lines[0].voice[0].shape[1]
        self._upcoming = iter(self._choose() if pieces is None else pieces)
        self._next = next(self._upcoming, None)
        self._active = []
        self._beginning = np.zeros([0, self._channels], np.float32)
        self._guard = guard
        self._begun = set()
        self._power_of_beginning = 0.0
        self.used = []

    @property
    def left_out(self):
        """Pieces that were made and rejected."""
        return sum(line.voice.left_out for line in self._lines)

    def _choose(self):
        linear_frames = None if self.frames is None else self.frames + self.loop_fade

        def line_pieces(line):
            for turn, start, end in self._turns.of(line.number, linear_frames):
                limits = [each for each in (end, linear_frames) if each is not None]
                # The first piece has faded in when its turn begins.
                yield from line.pieces(turn, start - line.joining.fade, min(limits, default=np.inf))

        return heapq.merge(*map(line_pieces, self._lines), key=lambda piece: (piece.start, piece.line))

    def mix(self, start, end):
        """Takes a stretch; `start` must not be before the one of the last call.

        Args:
            start, end: Integers, frames; they may lie outside the composition by less than `loop_fade`, where a loop
                goes on and anything else is silent.

        Returns:
            float32 array `[end - start, channels]`.
        """
        if not self.loop_fade:
            x = self._linear(start, end)
            x[: max(0, -start)] = 0
            fade_in_frames, fade_out_frames = self.fades
            multiply(x, start, fade_in(fade_in_frames)[:, None], 0)
            if self.frames is not None:
                multiply(x, start, fade_in(fade_out_frames)[::-1, None], self.frames - fade_out_frames)
                x[max(0, self.frames - start) :] = 0
            return x
        # The end of a loop fades into what comes before its beginning: the first frames of the linear time.
        #
        #     linear   |before|......................|......|
        #     loop            |......................|before|
        fade = self.loop_fade
        if not len(self._beginning):
            self._beginning = self._linear(0, 2 * fade)
        x = self._linear(start + fade, min(end, self.frames) + fade) if end <= self.frames else None
        if x is None:
            x = np.concatenate(
                [self._linear(start + fade, self.frames + fade), self._beginning[fade : fade + end - self.frames]]
            )
        first = self.frames - fade
        multiply(x[: max(0, self.frames - start)], start, fade_in(fade)[::-1, None], first)
        before = self._beginning[:fade] * fade_in(fade)[:, None]
        low, high = max(start, first), min(end, self.frames)
        if low < high:
            x[low - start : high - start] += before[low - first : high - first]
        return x

    def _linear(self, start, end):
        x = np.zeros([end - start, self._channels], np.float32)
        while self._next is not None and self._next.start < end:
            piece, self._next = self._next, next(self._upcoming, None)
            piece_len = self._lines[piece.line].voice.piece_len - piece.skip
            is_heard = piece.start + piece_len > start
            if is_heard or self._guard:
                samples = self._lines[piece.line].samples(piece, self._gain)
                self._turns.weigh(samples, piece)
                if self._guard:
                    piece = dataclasses.replace(piece, gains_db=self._guarded(piece, samples))
                if any(piece.gains_db):
                    samples *= _stretches(piece_len, len(piece.gains_db)).curve(piece.gains_db)
                if is_heard:
                    self._active.append((piece, samples))
            self.used.append(piece)
        self._active = [(piece, samples) for piece, samples in self._active if piece.start + len(samples) > start]
        for piece, samples in self._active:
            low, high = max(start, piece.start), min(end, piece.start + len(samples))
            if low < high:
                x[low - start : high - start] += samples[low - piece.start : high - piece.start]
        return x

    def _guarded(self, piece, samples):
        """Returns the gains of a piece that the guard asks for."""
        guard, line = self._guard, self._lines[piece.line]
        rate_hz = line.voice.output_rate_hz
        # What fades in before frame 0 is not heard.
        unheard = max(0, -piece.start)
        if piece.turn == 0 and piece.line not in self._begun:
            self._begun.add(piece.line)
            guard.begin(line.voice[piece.index] * np.float32(amplitude(line.gain_db)) * self._gain)
        guard.advance(max(0, piece.start))
        if piece.start < self.loop_fade + _LOOP_BEGINS_S * rate_hz:
            self._power_of_beginning = guard.loudest
        is_near_end = self.loop_fade and piece.start > self.frames - _LOOP_RETURNS_S * rate_hz
        returns_to = self._power_of_beginning if is_near_end else 0.0
        # One gain for a piece of a second, which keeps its shape; more for one that may rise within itself.
        stretches = _stretches(len(samples), max(1, round(len(samples) / rate_hz)))
        gains_db = []
        for number in range(stretches.count):
            x, first = stretches.cut(samples, number)
            x, first = x[max(0, unheard - first) :], max(first, unheard)
            gains_db.append(guard.add(x, piece.start + first, returns_to))
        return tuple(gains_db)
