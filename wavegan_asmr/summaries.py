"""What training and preview write for TensorBoard."""

import contextlib
import importlib.util
import os
import time

import numpy as np
import tensorflow as tf

from wavegan_asmr import words
from wavegan_asmr.errors import UserError
from wavegan_asmr.sound import plots

CLIPS = 4
"""Clips of a kind that are heard and seen at each drawing."""


def create_writer(folder, first_step=None):
    """Opens an event file in a folder.

    Args:
        folder: Path-like.
        first_step: Integer, the first step that will be written, where a run that was killed may have written it and
            later ones before: TensorBoard leaves those out. None where nothing is left out.

    Returns:
        `tf.summary.SummaryWriter`.

    Raises:
        UserError: The package tensorboard is not installed, or the folder cannot be written.
    """
    # tf.summary needs it, and says so less clearly.
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError("TensorBoard is missing; install it: pip install tensorboard")
    try:
        # As bytes, a name need not be UTF-8.
        writer = tf.summary.create_file_writer(os.fsencode(folder))
    except tf.errors.OpError as error:
        path = os.fspath(folder)
        raise UserError(f"cannot write for TensorBoard: {words.reason(error)}. Received: {path!r}.") from error
    if first_step is not None:
        start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        event = tf.compat.v1.Event(wall_time=time.time(), step=first_step, session_log=start)
        # The first of a folder begins it, those that follow leave out what is behind them. tf.summary has no function
        # for events that are no summaries.
        for _ in range(2):
            tf.raw_ops.ImportEvent(writer=writer._resource, event=event.SerializeToString())
    return writer


@contextlib.contextmanager
def at_step(writer, step):
    """Context in which summaries are written at a step; they are in the file at its end.

    Args:
        writer: `tf.summary.SummaryWriter`.
        step: Integer.

    Raises:
        UserError: They cannot be written.
    """
    try:
        # Flushes at its end.
        with writer.as_default(step):
            yield
    except tf.errors.OpError as error:
        raise UserError(f"cannot write for TensorBoard: {words.reason(error)}.") from error


def write_scalars(writer, step, scalars):
    """Writes a dict of tag to number."""
    with at_step(writer, step):
        for tag, value in scalars.items():
            tf.summary.scalar(tag, value)


def write_clips(writer, step, clips, sample_rate_hz):
    """Writes sounds, levels and one picture of several kinds of clips.

    Args:
        writer: `tf.summary.SummaryWriter`.
        step: Integer.
        clips: Dict of kind ("real", "fake", ...) to float32 `[n, samples, channels]`.
        sample_rate_hz: Integer.
    """
    with at_step(writer, step):
        for kind, x in clips.items():
            write_audio(f"audio/{kind}", x, sample_rate_hz)
            levels = rms(x)
            tf.summary.scalar(f"rms/{kind}", levels.mean())
            tf.summary.histogram(f"rms_histogram/{kind}", levels)
        write_picture("spectrograms", [(kind, x[:CLIPS]) for kind, x in clips.items()], sample_rate_hz)


def write_picture(tag, rows, sample_rate_hz):
    """Writes a grid of clips (see `plots.grid`) at the default writer's step; returns the PNG file's bytes."""
    step = tf.summary.experimental.get_step()
    picture = plots.png(plots.grid(rows, sample_rate_hz, f"step {int(step)}"))
    tf.summary.image(tag, tf.io.decode_png(picture, channels=3)[None])
    return picture


def write_audio(tag, clips, sample_rate_hz):
    """Writes the first clips of float32 `[n, samples, channels]` at the default writer's step."""
    # TensorBoard's encoder wraps around outside [-1, 1].
    tf.summary.audio(tag, np.clip(clips, -1, 1), sample_rate_hz, max_outputs=CLIPS)


def write_text(writer, step, tag, text):
    """Writes preformatted text."""
    with at_step(writer, step):
        tf.summary.text(tag, "\n".join("    " + line for line in text.splitlines()))


def rms(x):
    """Root mean square of each clip of `[n, samples, channels]`: float64 `[n]`."""
    return np.sqrt(np.mean(np.square(x, dtype=np.float64), axis=(1, 2)))
