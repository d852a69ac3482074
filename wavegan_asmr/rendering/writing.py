"""A composition becomes a file: rendered, mastered, encoded, measured."""

import contextlib
import itertools
import time

import numpy as np

from wavegan_asmr.progress import Meter, clock
from wavegan_asmr.rendering import blocks
from wavegan_asmr.rendering.mastering import Levels, Limiter
from wavegan_asmr.rendering.overview import Overview
from wavegan_asmr.rendering.result import Result
from wavegan_asmr.rendering.traits import bands_db, fold_down
from wavegan_asmr.sound import files, repetition

_SEAMS_A_BLOCK = 2
"""Enough for a mean over a long file, and next to nothing beside the making of a block."""

_SHORTEST_WINDOW_S = 0.025


class Seams:
    """How much the spectrum changes where pieces are joined, and how much it does within pieces.

    A change is the mean over 24 bands of the difference in level between two stretches that follow each other, half a
    fade each: from before a fade to its middle, from there to after it, and around the middle of what sounds alone.

    Args:
        sample_rate_hz: Integer.
        fade: Integer, frames of the cross-fade of two pieces.
    """

    def __init__(self, sample_rate_hz, fade):
        self._fade = fade
        self._frames = max(fade // 2, round(_SHORTEST_WINDOW_S * sample_rate_hz))
        self._at_seams, self._elsewhere = [], []

    def add(self, x, starts):
        """Adds a block, float32 `[frames, channels]`, in which pieces of a line begin at `starts`, frames in order."""
        for start, following in itertools.islice(itertools.pairwise(starts), _SEAMS_A_BLOCK):
            # Of no fade both are where the piece begins.
            seams = [start + self._fade // 4, start + self._fade - self._fade // 4]
            middle = (start + self._fade + following) // 2
            is_alone = following - start - self._fade >= 2 * self._frames
            if is_alone and seams[0] >= self._frames and following <= len(x):
                self._at_seams.extend(self._change_db(x, place) for place in seams)
                self._elsewhere.append(self._change_db(x, middle))

    def figures(self):
        """Returns a dict of the mean changes in dB, see `Result`."""
        means = [float(np.mean(each)) if each else None for each in (self._at_seams, self._elsewhere)]
        return dict(zip(("seam_change_db", "other_change_db"), means))

    def _change_db(self, x, place):
        mono = fold_down(x[place - self._frames : place + self._frames])
        return np.abs(bands_db(mono[: self._frames]) - bands_db(mono[self._frames :])).mean()


def write(composition, output, plan, record=None, keep_partial=False, measure_repeats=False):
    """Writes the sound of a composition.

    Args:
        composition: `Composition`.
        output: `Output`.
        plan: `manifest.Plan`.
        record: `manifest.Writer`, which takes the pieces as they come, or None.
        keep_partial: Boolean, whether Ctrl-C ends the file where it is.
        measure_repeats: Boolean, whether it is measured how much of the file comes again.

    Returns:
        `Result`, whose frames are fewer than those of the output where it was stopped, and `Overview`.

    Raises:
        OSError: It cannot be written.
        KeyboardInterrupt: It was stopped, and nothing is to be kept.
    """
    rate_hz, start_s = output.sample_rate_hz, time.monotonic()
    overview = Overview(rate_hz, output.channels, output.frames)
    # What a lossy file holds is known when it is decoded.
    levels = overview.levels if output.is_pcm else Levels(rate_hz, output.channels)
    seams, repeats = Seams(rate_hz, plan.joining.fade), {}
    was_stopped = True

    def finish(path):
        if not overview.frames:
            # Stopped before there was anything to keep.
            raise KeyboardInterrupt
        if plan.settings.loop and not was_stopped:
            output.mark_loop(path)
        if not output.is_pcm:
            with _stoppable(keep_partial), _meter("checked", output) as status:
                for x in output.decode(path):
                    levels.add(x)
                    status.advance(len(x))
        if measure_repeats:
            with _stoppable(keep_partial):
                repeats.update(_measure_repeats(path, output))

    with output.open(finish) as write_samples, _stoppable(keep_partial):
        _render(composition, output, plan, overview, seams, record, write_samples)
        was_stopped = False
    # A fade-in is no rise; a loop has none.
    skip_s, skip_end_s = (0 if plan.settings.loop else fade / rate_hz for fade in composition.fades)
    result = Result(
        frames=overview.frames,
        seconds=overview.frames / rate_hz,
        **levels.figures(skip_s, plan.settings.loop and not was_stopped),
        pieces_left_out=composition.left_out,
        wall_s=time.monotonic() - start_s,
        quietest_lufs=_quietest_lufs(levels, skip_s, 0 if was_stopped else skip_end_s),
        **seams.figures(),
        **repeats,
    )
    return result, overview


def _quietest_lufs(levels, skip_s, skip_end_s):
    """Returns the loudness of the quietest 3 s between the fades of a sound, or None where there are none."""
    # One every 100 ms.
    first, last = (int(np.ceil(10 * each - 1e-6)) for each in (skip_s, skip_end_s))
    loudness = levels.meter.short_term()
    loudness = loudness[first : max(first, len(loudness) - last)]
    return float(loudness.min()) if len(loudness) else None


def _measure_repeats(path, output):
    """Returns how much of a file comes again, a dict, see `Result`; an empty one where it is too short."""
    # All of it is read, and then looked for.
    with _meter("repeats", output, times=2) as status:
        try:
            found = repetition.measure(path, lambda seconds: status.advance(seconds * output.sample_rate_hz))
        except files.AudioError:
            return {}
    shares = {f"{length:g}": share for length, share in found.shares.items()}
    return {"repeats": shares, "repeats_in_2_s": found.periodic, "longest_repeat_s": found.longest_s}


def _render(composition, output, plan, overview, seams, record, write_samples):
    """Renders all blocks."""
    limit = Limiter(plan.ceiling_dbtp, output.sample_rate_hz)
    starts = {}

    def encode(number, x):
        write_samples(output.encode(number, x))

    def measure(number, x):
        overview.add(x)
        seams.add(x, starts.pop(number, ()))

    numbers = range(-(-output.frames // blocks.BLOCK_FRAMES)) if output.frames else itertools.count()
    with _meter("rendered", output) as status, blocks.Queue(encode, measure) as queue:
        for number in numbers:
            x = blocks.master(composition, limit, number)
            if record:
                starts_s = [(piece.start - composition.loop_fade) / output.sample_rate_hz for piece in composition.used]
                record.add(composition.used, starts_s)
                overview.add_seams(starts_s)
                starts[number] = _starts(composition, number)
            composition.used.clear()
            # Encoding and measuring run beside each other and beside the making of the next blocks.
            queue.add(number, x)
            status.advance(blocks.BLOCK_FRAMES)
        queue.finish()


def _starts(composition, number):
    """Returns at which frames of a block the pieces of one line begin that were taken for it."""
    first = composition.loop_fade + number * blocks.BLOCK_FRAMES
    used = composition.used
    # In a mix the seams of one line are anywhere in another.
    return [piece.start - first for piece in used if piece.line == used[0].line and piece.start >= first]


@contextlib.contextmanager
def _stoppable(keep_partial):
    """Context that Ctrl-C only ends, where what is written is to be kept."""
    try:
        yield
    except KeyboardInterrupt:
        if not keep_partial:
            raise


def _meter(label, output, times=1):
    """A `Meter` of frames, which shows them as time; of what goes over them so many times."""
    rate_hz = output.sample_rate_hz
    return Meter(
        label,
        output.frames and times * output.frames,
        describe=lambda frames: clock(frames / times / rate_hz),
        rate=lambda frames_a_second: f"{frames_a_second / rate_hz:.0f}x real time",
    )
