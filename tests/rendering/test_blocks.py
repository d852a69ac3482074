"""Blocks that several threads work on, one after the other."""

import threading
import time

import pytest

from wavegan_asmr.rendering.blocks import Queue


def test_every_work_has_every_block_in_order():
    done = {"a": [], "b": []}
    with Queue(lambda n, x: done["a"].append((n, x)), lambda n, x: done["b"].append((n, x))) as queue:
        for number in range(20):
            queue.add(number, str(number))
        queue.finish()
    assert done["a"] == done["b"] == [(n, str(n)) for n in range(20)]


@pytest.mark.parametrize("slow", [0, 1])
def test_a_queue_that_is_stopped_leaves_no_block_half_done(slow):
    done = [[], []]

    def work_of(place):
        def work(number, x):
            time.sleep(0.05 if place == slow else 0)
            done[place].append(number)

        return work

    with pytest.raises(KeyboardInterrupt), Queue(work_of(0), work_of(1)) as queue:
        for number in range(3):
            queue.add(number, None)
        time.sleep(0.02)
        raise KeyboardInterrupt
    assert done[0] == done[1] == list(range(len(done[0]))) and len(done[0]) <= 3


def test_a_failure_is_raised_and_its_block_goes_no_further():
    measured, release = [], threading.Event()

    def write(number, x):
        release.wait()
        if number == 2:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), Queue(write, lambda number, x: measured.append(number)) as queue:
        for number in range(3):
            queue.add(number, None)
        release.set()
        for number in range(3, 100):
            queue.add(number, None)
    assert measured[:2] == [0, 1] and 2 not in measured and len(measured) < 10
