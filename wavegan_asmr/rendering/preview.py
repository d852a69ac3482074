"""Sounds and pictures of a training's checkpoints."""

import os
import re

import numpy as np

from wavegan_asmr import storage, summaries, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.families.generators import Generator, fixed_inputs
from wavegan_asmr.rendering import courses
from wavegan_asmr.rendering.settings import PreviewSettings, RenderSettings
from wavegan_asmr.sound import files, wav
from wavegan_asmr.tensorflow_paths import plain_folder
from wavegan_asmr.train_dir import TrainDir

_BATCH = 8
_PICTURED = 6


def preview(path, settings=None, **chosen):
    """Renders checkpoints of a training directory.

    Args:
        path: Path-like, TRAIN_DIR.
        settings: `PreviewSettings`, or None for its defaults.
        chosen: The checkpoints, see `TrainDir.choose`.

    Raises:
        UserError: There is no configuration or no such checkpoint, it has not learned the label, or the folder
            cannot be written.
    """
    train_dir, settings = TrainDir(path), settings or PreviewSettings()
    asked = RenderSettings(label=settings.label, seconds=1.0)
    steering = courses.Steering(train_dir.read_config(), asked, train_dir.path)
    if steering.is_moving:
        raise UserError(f"--label of a preview must be one label or mix. Received: {settings.label!r}.")
    train_dir.sweep_temporaries()
    for each in train_dir.choose(**chosen):
        _render(train_dir, each, settings, steering)


def _render(train_dir, checkpoint, settings, steering):
    """Renders one checkpoint."""
    generator = Generator(train_dir, checkpoint)
    config, step = generator.config, generator.step
    inputs = np.stack([steering.set(x, 0) for x in fixed_inputs(train_dir, settings.preview_n)])
    fake = generator.clips(inputs, _BATCH)
    rows = [("generated", fake[:_PICTURED])]
    try:
        real = wav.read_clips(train_dir.join("preview", "real.wav"), config.data_slice_len)
        rows.insert(0, ("real", real[:_PICTURED]))
    except files.AudioError as error:
        path = words.printable(train_dir.join("preview", "real.wav"))
        print(f"no real slices beside the generated ones: {path}: {error}")

    rate_hz = config.data_sample_rate
    label = re.sub(r"[^\w.,#-]", "_", settings.label)
    base = train_dir.join("preview", f"{step:08d}-{label}" if label else f"{step:08d}")
    try:
        os.makedirs(os.path.dirname(base), exist_ok=True)
        wav.write_clips(f"{base}.wav", fake, rate_hz)
        with plain_folder(train_dir.join("preview")) as folder:
            writer = summaries.create_writer(folder)
            with summaries.at_step(writer, step):
                picture = summaries.write_picture("preview/spectrograms", rows, rate_hz)
                summaries.write_audio("preview/audio", fake, rate_hz)
            writer.close()
        with storage.replacing(f"{base}.png") as file:
            file.write(picture)
    except OSError as error:
        raise UserError(
            f"cannot write previews: {words.reason(error)}. Received: {error.filename or base!r}."
        ) from error
    levels = [f"{label} {summaries.rms(clips).mean():.3f}" for label, clips in rows]
    shown = words.printable(base)
    print(f"step {step}: {shown}.wav, {shown}.png (RMS: {', '.join(levels)})", flush=True)
