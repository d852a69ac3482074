"""Renders sounds and pictures of a training's checkpoints."""

import os

from absl import flags

import checkpoints
import cli
from errors import UserError

USAGE = """Sounds and pictures of what a training has learned, also while it runs.

    preview.py TRAIN_DIR                     the newest checkpoint -> TRAIN_DIR/preview/STEP.wav and STEP.png
    preview.py TRAIN_DIR --checkpoint best   the best one, or the one of a step
    preview.py TRAIN_DIR --all               every checkpoint
    preview.py TRAIN_DIR --watch             the newest, and each new one until Ctrl-C
"""

_BATCH = 8
_PICTURED = 6

flags.DEFINE_integer("preview_n", 32, "Fixed latent vectors to render.", lower_bound=1)
checkpoints.define_flags("checkpoint", "all", "watch")


def main(arguments):
    if len(arguments) != 1:
        raise UserError(f"one TRAIN_DIR is needed: preview.py TRAIN_DIR. Received: {' '.join(arguments)!r}.")
    values = flags.FLAGS
    checkpoint = checkpoints.read_flag()
    cli.start_tensorflow(use_gpus=False)
    preview(arguments[0], values.preview_n, checkpoint, every=values.all, watch=values.watch)


def preview(path, n=32, checkpoint=None, every=False, watch=False):
    """Renders checkpoints of a training directory.

    Args:
        path: Path-like, TRAIN_DIR.
        n: Integer >= 1, fixed latent vectors to render.
        checkpoint, every, watch: See `checkpoints.iterate`.

    Raises:
        UserError: There is no configuration or no such checkpoint, or the folder cannot be written.
    """
    from train_dir import TrainDir

    train_dir = TrainDir(path)
    train_dir.read_config()
    for each in checkpoints.iterate(train_dir, checkpoint, every, watch):
        _render(train_dir, each, n)


def _render(train_dir, checkpoint, n):
    """Renders one checkpoint."""
    import audio
    import summaries
    from train_dir import generate_clips

    config = train_dir.read_config()
    generator, step = train_dir.load_generator(checkpoint)
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


if __name__ == "__main__":
    cli.run(main, USAGE)
