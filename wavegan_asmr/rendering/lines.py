"""How pieces of a voice follow each other: which comes next, where it begins, how the two fade."""

import dataclasses

import numpy as np

from wavegan_asmr.rendering.loudness import amplitude
from wavegan_asmr.rendering.pieces import CompositionError, Piece
from wavegan_asmr.rendering.traits import fold_down
from wavegan_asmr.sound.fades import evenness, fade_in, overlap_correlation

SHAPES = ("equal_power", "linear")
"""Shapes of fades, see `fades.fade_in`."""

_SHORTEST_EDGE = 512


@dataclasses.dataclass(frozen=True)
class Joining:
    """How pieces follow each other.

    Attributes:
        fade: Integer, frames of the cross-fade.
        shape: "equal_power" or "linear".
        candidates: Integer >= 1, pieces among which the next one is chosen.
        align: Integer, frames by which a piece may be moved to run on in phase; 0 for none.
    """

    fade: int
    shape: str = "equal_power"
    candidates: int = 8
    align: int = 0


class Line:
    """Puts pieces of a voice one after the other.

    Args:
        number: Integer, of the line.
        voice: `Voice`.
        joining: `Joining`.
        gain_db: Float, of the whole line.
        near: Integer, a frame: the line begins with about the pieces that are used there.

    Raises:
        CompositionError: A piece is shorter than its fades.
    """

    def __init__(self, number, voice, joining, gain_db=0.0, near=0):
        if voice.piece_len < 2 * joining.fade + joining.align:
            raise CompositionError(
                f"a piece of {voice.piece_len} frames is shorter than two fades of {joining.fade}; give a smaller "
                "--fade_s"
            )
        self.number = number
        self.voice = voice
        self.joining = joining
        self.gain_db = gain_db
        self._fade_in = fade_in(joining.fade, joining.shape)[:, None]
        # Without fades pieces are still compared where they meet.
        self._edge = min(max(joining.fade, _SHORTEST_EDGE), voice.piece_len)
        # Nearly every piece is used, one a hop.
        first_index = near // (voice.piece_len - joining.fade)
        # A short stretch takes one batch then.
        self._next_index = first_index - first_index % voice.at_once

    def pieces(self, turn, start, end):
        """Chooses the pieces of a turn, from a frame on until they reach another: yields `Piece`."""
        voice, joining = self.voice, self.joining
        candidates = 1 if voice.is_moving else joining.candidates
        waiting, last_tail, last = [], None, None
        while start < end:
            while len(waiting) < candidates:
                waiting.append(self._next_good())
            choice = 0
            # A piece that nothing leads to is used when its turn has been passed over often enough.
            if last_tail is not None and waiting[0][2] < 2 * candidates:
                costs = [np.abs(traits.head_db - last_tail).mean() for _, traits, _ in waiting]
                choice = int(np.argmin(costs))
            index, traits, _ = waiting.pop(choice)
            waiting = [(i, t, passed + 1) for i, t, passed in waiting]
            samples = voice[index]
            skip = 0
            if joining.align and last:
                skip = _best_lag(last[1][-joining.fade :], samples[: joining.fade + joining.align])
            correlation = self._correlation(last[1], samples[skip:]) if last else 0.0
            piece = Piece(self.number, index, start, skip, turn, correlation, 0.0, (0.0,))
            if last:
                yield dataclasses.replace(last[0], correlation_out=correlation)
            last = piece, samples
            last_tail = traits.tail_db
            start += voice.piece_len - skip - joining.fade
        if last:
            yield last[0]

    def _correlation(self, before, after):
        """How alike two pieces are where they overlap, in [-0.5, 1]; 0 where the fades are not to keep power."""
        fade = self.joining.fade
        if not fade or self.joining.shape != "equal_power":
            return 0.0
        return overlap_correlation(before[-fade:], after[:fade])

    def _next_good(self):
        while True:
            index = self._next_index
            self._next_index += 1
            traits = self.voice.traits(index, self._edge)
            if self.voice.good(traits):
                return index, traits, 0

    def samples(self, piece, gain):
        """Returns the samples of a piece with its fades, the line's gain and another: float32 `[frames, channels]`."""
        x = self.voice[piece.index][piece.skip :] * (np.float32(amplitude(self.gain_db)) * np.float32(gain))
        fade = self.joining.fade
        if fade:
            x[:fade] *= self._fade_in * evenness(fade, piece.correlation_in)[:, None]
            x[-fade:] *= self._fade_in[::-1] * evenness(fade, piece.correlation_out)[:, None]
        return x


def _best_lag(tail, head):
    """The lag at which `head` runs on in phase with `tail`: the largest normalised correlation."""
    tail, head = fold_down(tail), fold_down(head)
    lags = len(head) - len(tail) + 1
    correlation = np.correlate(head, tail, "valid")
    energy = np.convolve(head**2, np.ones(len(tail)), "valid")
    return int(np.argmax(correlation[:lags] / np.sqrt(energy + 1e-12)))
