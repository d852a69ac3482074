"""Blocks, the stretches in which a sound is mastered, measured and written, each the same samples every time."""

import collections
import concurrent.futures

BLOCK_FRAMES = 1 << 17
"""Blocks begin at multiples of it."""

_BLOCKS_AHEAD = 3


def master(composition, limit, number):
    """Returns a block after the limiter; the last one of a composition is shorter.

    Args:
        composition: `Composition`.
        limit: `Limiter`.
        number: Integer, of the block.

    Returns:
        float32 `[frames, channels]`.
    """
    first, last = number * BLOCK_FRAMES, (number + 1) * BLOCK_FRAMES
    if composition.frames is not None:
        last = min(last, composition.frames)
    return limit(composition.mix(first - limit.context, last + limit.context))


class Queue:
    """Context that has blocks worked on in a thread, in their order; what is not begun when it ends is given up.

    Args:
        work: Function of a block's number and its samples.
    """

    def __init__(self, work):
        self._work = work
        self._pool = concurrent.futures.ThreadPoolExecutor(1)
        self._pending = collections.deque()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        # The file is not closed while a block is written.
        self._pool.shutdown(cancel_futures=True)

    def add(self, number, x):
        """Adds a block; waits where too many wait."""
        self._pending.append(self._pool.submit(self._work, number, x))
        while len(self._pending) > _BLOCKS_AHEAD:
            self._pending.popleft().result()

    def finish(self):
        """Waits for all blocks."""
        while self._pending:
            self._pending.popleft().result()
