"""For how long a training has run, by the times in its TensorBoard files."""

import glob
import os

import tensorflow as tf
from google.protobuf.message import DecodeError


def trained_s(train_dir_path, step):
    """Returns for how long a training has run until a step, in all its starts together.

    Args:
        train_dir_path: Path-like, TRAIN_DIR.
        step: Integer.

    Returns:
        Float, seconds; or None where there are no such files.
    """
    pattern = os.path.join(glob.escape(os.fspath(train_dir_path)), "events.out.tfevents.*")
    found = [_seconds(path, step) for path in glob.glob(pattern)]
    return round(sum(found), 1) if found else None


def _seconds(path, step):
    """Returns the time from the beginning of a start to its last event until a step."""
    first_s = last_s = None
    try:
        for record in tf.data.TFRecordDataset(os.fsencode(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            if first_s is None:
                first_s = event.wall_time
            if event.step <= step:
                last_s = event.wall_time
    except (tf.errors.OpError, DecodeError):
        # A training that runs, or was killed, leaves half an event at the end.
        pass
    return 0.0 if last_s is None else max(0.0, last_s - first_s)
