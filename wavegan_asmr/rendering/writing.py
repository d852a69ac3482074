"""A composition becomes a file: rendered, mastered, encoded, measured."""

import contextlib
import itertools
import time

from wavegan_asmr.progress import Meter, clock
from wavegan_asmr.rendering import blocks
from wavegan_asmr.rendering.mastering import Levels, Limiter
from wavegan_asmr.rendering.overview import Overview
from wavegan_asmr.rendering.result import Result


def write(composition, output, plan, record=None, keep_partial=False):
    """Writes the sound of a composition.

    Args:
        composition: `Composition`.
        output: `Output`.
        plan: `manifest.Plan`.
        record: `manifest.Writer`, which takes the pieces as they come, or None.
        keep_partial: Boolean, whether Ctrl-C ends the file where it is.

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
    was_stopped = True

    def finish(path):
        if not overview.frames:
            # Stopped before there was anything to keep.
            raise KeyboardInterrupt
        if plan.settings.loop and not was_stopped:
            output.mark_loop(path)
        if output.is_pcm:
            return
        with _stoppable(keep_partial), _meter("checked", output) as status:
            for x in output.decode(path):
                levels.add(x)
                status.advance(len(x))

    with output.open(finish) as write_samples, _stoppable(keep_partial):
        _render(composition, output, plan, overview, record, write_samples)
        was_stopped = False
    # A fade-in is no rise; a loop has none.
    skip_s = 0 if plan.settings.loop else composition.fades[0] / rate_hz
    result = Result(
        frames=overview.frames,
        seconds=overview.frames / rate_hz,
        **levels.figures(skip_s, plan.settings.loop and not was_stopped),
        pieces_left_out=composition.left_out,
        wall_s=time.monotonic() - start_s,
    )
    return result, overview


def _render(composition, output, plan, overview, record, write_samples):
    """Renders all blocks."""
    limit = Limiter(plan.ceiling_dbtp, output.sample_rate_hz)

    def encode(number, x):
        write_samples(output.encode(number, x))

    def measure(number, x):
        overview.add(x)

    numbers = range(-(-output.frames // blocks.BLOCK_FRAMES)) if output.frames else itertools.count()
    with _meter("rendered", output) as status, blocks.Queue(encode, measure) as queue:
        for number in numbers:
            x = blocks.master(composition, limit, number)
            if record:
                starts_s = [(piece.start - composition.loop_fade) / output.sample_rate_hz for piece in composition.used]
                record.add(composition.used, starts_s)
                overview.add_seams(starts_s)
            composition.used.clear()
            # Encoding and measuring run beside each other and beside the making of the next blocks.
            queue.add(number, x)
            status.advance(blocks.BLOCK_FRAMES)
        queue.finish()


@contextlib.contextmanager
def _stoppable(keep_partial):
    """Context that Ctrl-C only ends, where what is written is to be kept."""
    try:
        yield
    except KeyboardInterrupt:
        if not keep_partial:
            raise


def _meter(label, output):
    """A `Meter` of frames, which shows them as time."""
    rate_hz = output.sample_rate_hz
    return Meter(
        label,
        output.frames,
        describe=lambda frames: clock(frames / rate_hz),
        rate=lambda frames_a_second: f"{frames_a_second / rate_hz:.0f}x real time",
    )
