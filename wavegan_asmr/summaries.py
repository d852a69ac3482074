"""What training and preview write for TensorBoard."""

import importlib.util

import numpy as np
import tensorflow as tf

from wavegan_asmr.errors import UserError
from wavegan_asmr.sound import plots

CLIPS = 4
"""Clips of a kind that are heard and seen at each drawing."""


def create_writer(folder):
    """Opens an event file in a folder.

    Args:
        folder: Path-like.

    Returns:
        `tf.summary.SummaryWriter`.

    Raises:
        UserError: The package tensorboard is not installed.
    """
    # tf.summary needs it, and says so less clearly.
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError("TensorBoard is missing; install it: pip install tensorboard")
    return tf.summary.create_file_writer(str(folder))


def write_scalars(writer, step, scalars):
    """Writes a dict of tag to number."""
    with writer.as_default(step):
        for tag, value in scalars.items():
            tf.summary.scalar(tag, value)
    writer.flush()


def write_clips(writer, step, clips, sample_rate_hz):
    """Writes sounds, levels and one picture of several kinds of clips.

    Args:
        writer: `tf.summary.SummaryWriter`.
        step: Integer.
        clips: Dict of kind ("real", "fake", ...) to float32 `[n, samples, channels]`.
        sample_rate_hz: Integer.
    """
    with writer.as_default(step):
        for kind, x in clips.items():
            write_audio(f"audio/{kind}", x, sample_rate_hz)
            levels = rms(x)
            tf.summary.scalar(f"rms/{kind}", levels.mean())
            tf.summary.histogram(f"rms_histogram/{kind}", levels)
        write_picture("spectrograms", [(kind, x[:CLIPS]) for kind, x in clips.items()], sample_rate_hz)
    writer.flush()


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
    with writer.as_default(step):
        tf.summary.text(tag, "\n".join("    " + line for line in text.splitlines()))
    writer.flush()


def rms(x):
    """Root mean square of each clip of `[n, samples, channels]`: float64 `[n]`."""
    return np.sqrt(np.mean(np.square(x, dtype=np.float64), axis=(1, 2)))
