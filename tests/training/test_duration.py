"""For how long a training has run, by events with known times."""

import pytest
import tensorflow as tf

from wavegan_asmr.training.duration import trained_s


def write_events(path, events):
    """Writes an event file of (wall time, step)."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for wall_time, step in events:
            writer.write(tf.compat.v1.Event(wall_time=wall_time, step=step).SerializeToString())


@pytest.fixture
def train_dir(tmp_path):
    """A TRAIN_DIR that ran for 100 s to step 7, and two days later for 50 s from step 8 to step 9."""
    folder = tmp_path / "rain [1] é*"
    folder.mkdir()
    write_events(folder / "events.out.tfevents.1.a", [(1000.0, 0), (1010.0, 1), (1060.0, 5), (1100.0, 7)])
    write_events(folder / "events.out.tfevents.2.b", [(200000.0, 0), (200001.0, 8), (200050.0, 9)])
    (folder / "preview").mkdir()
    write_events(folder / "preview" / "events.out.tfevents.3.c", [(0.0, 0), (1e9, 1)])
    return folder


def test_all_starts_until_a_step(train_dir):
    assert [trained_s(train_dir, step) for step in (0, 4, 5, 7, 8, 9, 100)] == [0, 10, 60, 100, 101, 150, 150]


def test_half_an_event_at_the_end(train_dir):
    path = train_dir / "events.out.tfevents.1.a"
    path.write_bytes(path.read_bytes()[:-3])
    assert trained_s(train_dir, 7) == 60
    path.write_bytes(b"what is none")
    assert trained_s(train_dir, 9) == 50
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"\xff\xff no event")
    assert trained_s(train_dir, 9) == 50


def test_nothing_is_known(tmp_path):
    assert trained_s(tmp_path, 7) is None
    assert trained_s(tmp_path / "none", 7) is None
