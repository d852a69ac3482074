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
    """Context that has blocks worked on in threads, in their order; what is not begun when it ends is given up.

    Args:
        works: Functions of a block's number and its samples, each with a thread of its own. A work takes a block when
            the one before has done with it: whenever the context ends, all have worked on the same blocks.
    """

    def __init__(self, *works):
        self._works = [(concurrent.futures.ThreadPoolExecutor(1), work) for work in works]
        self._pending = collections.deque()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        # The file is not closed while a block is written.
        for number, (pool, _) in enumerate(self._works):
            pool.shutdown(cancel_futures=number == 0)

    def add(self, number, x):
        """Adds a block, which nobody changes; waits where too many wait."""
        future = None
        for pool, work in self._works:
            future = pool.submit(_after, future, work, number, x)
        self._pending.append(future)
        while len(self._pending) > _BLOCKS_AHEAD:
            self._pending.popleft().result()

    def finish(self):
        """Waits for all blocks."""
        while self._pending:
            self._pending.popleft().result()


def _after(future, work, *arguments):
    """Does a work after another one, unless that failed or was given up."""
    if future:
        future.result()
    work(*arguments)
