"""Renders sounds and pictures of a training's checkpoints."""

import os
import time

from absl import flags

import cli
from errors import UserError

USAGE = """Sounds and pictures of what a training has learned, also while it runs.

    preview.py TRAIN_DIR             the newest checkpoint -> TRAIN_DIR/preview/STEP.wav and STEP.png
    preview.py TRAIN_DIR --all       every checkpoint
    preview.py TRAIN_DIR --watch     the newest, and each new one until Ctrl-C
"""

_BATCH = 8
_PICTURED = 6
_POLL_S = 2.0

flags.DEFINE_integer("preview_n", 32, "Fixed latent vectors to render.", lower_bound=1)
flags.DEFINE_integer("step", None, "The checkpoint of this step instead of the newest.", lower_bound=0)
flags.DEFINE_bool("all", False, "Every checkpoint instead of the newest.")
flags.DEFINE_bool("watch", False, "Go on with each new checkpoint until Ctrl-C.")


def main(arguments):
    if len(arguments) != 1:
        raise UserError(f"one TRAIN_DIR is needed: preview.py TRAIN_DIR. Received: {' '.join(arguments)!r}.")
    values = flags.FLAGS
    if (values.step is not None) + values.all + values.watch > 1:
        raise UserError("--step, --all and --watch exclude each other; give one of them.")
    preview(arguments[0], values.preview_n, step=values.step, every=values.all, watch=values.watch)


def preview(path, n=32, step=None, every=False, watch=False):
    """Renders checkpoints of a training directory.

    Args:
        path: Path-like, TRAIN_DIR.
        n: Integer >= 1, fixed latent vectors to render.
        step: Integer or None, the checkpoint to render; None for the newest that can be read.
        every: Boolean, render every checkpoint.
        watch: Boolean, go on with each new checkpoint until interrupted.

    Raises:
        UserError: There is no configuration or no such checkpoint, or the folder cannot be written.
    """
    cli.start_tensorflow(use_gpus=False)
    from train_dir import TrainDir

    train_dir = TrainDir(path)
    train_dir.read_config()
    if every:
        for each in train_dir.steps() or [None]:
            # A training may have deleted it meanwhile.
            if each is None or each in train_dir.steps():
                _render(train_dir, each, n)
        return
    seen = train_dir.steps()[-1:]
    if seen or not watch:
        _render(train_dir, step, n)
    if watch:
        print("waiting for checkpoints; Ctrl-C ends", flush=True)
    while watch:
        time.sleep(_POLL_S)
        newest = train_dir.steps()[-1:]
        if newest and newest != seen:
            seen = newest
            _render(train_dir, None, n)


def _render(train_dir, step, n):
    """Renders one checkpoint; returns its step."""
    import audio
    import summaries
    from train_dir import generate_clips

    config = train_dir.read_config()
    generator, step = train_dir.load_generator(step)
    z = train_dir.latents(config, n)
    fake = generate_clips(generator, z, _BATCH)
    rows = [("generated", fake[:_PICTURED])]
    try:
        real = audio.read_clips(train_dir.join("preview", "real.wav"), config.data_slice_len)
        rows.insert(0, ("real", real[:_PICTURED]))
    except audio.AudioError:
        print("no real slices beside the generated ones: preview/real.wav is not there")

    rate_hz = config.data_sample_rate
    base = train_dir.join("preview", f"{step:08d}")
    try:
        os.makedirs(os.path.dirname(base), exist_ok=True)
        audio.write_clips(f"{base}.wav", fake, rate_hz)
        writer = summaries.create_writer(train_dir.join("preview"))
        with writer.as_default(step):
            picture = summaries.write_picture("preview/spectrograms", rows, rate_hz)
            summaries.write_audio("preview/audio", fake, rate_hz)
        writer.close()
        with audio.replace_atomically(f"{base}.png") as temporary, open(temporary, "wb") as file:
            file.write(picture)
    except OSError as error:
        raise UserError(f"cannot write previews: {error.strerror}. Received: {error.filename!r}.") from error
    levels = [f"{label} {summaries.rms(clips).mean():.3f}" for label, clips in rows]
    print(f"step {step}: {base}.wav, {base}.png (RMS: {', '.join(levels)})", flush=True)
    return step


if __name__ == "__main__":
    cli.run(main, USAGE)
