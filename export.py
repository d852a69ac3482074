"""The generator alone, as a SavedModel that needs nothing of this project."""

import os
import shutil
import tempfile

import tensorflow as tf

from errors import UserError
from train_dir import TrainDir


class Infer(tf.Module):
    """The SavedModel's function: z float32 `[n, latent_dim]` in [-1, 1] -> audio.

    Args:
        generator: `keras.Model`, see `wavegan.build_generator`.
    """

    def __init__(self, generator):
        super().__init__()
        self.generator = generator
        self.generate = tf.function(self._generate, [tf.TensorSpec([None, generator.input_shape[1]], name="z")])

    def _generate(self, z):
        audio = self.generator(z, training=False)
        int16 = tf.cast(tf.clip_by_value(audio * 32767.0, -32767.0, 32767.0), tf.int16)
        return {"audio": audio, "audio_int16": int16}


def export(path, checkpoint=None):
    """Writes TRAIN_DIR/infer, a SavedModel.

    Its signature `serving_default` maps z, float32 `[n, latent_dim]`, to `audio`, float32
    `[n, samples, channels]`, and `audio_int16`, the same times 32767.

    Args:
        path: Path-like, TRAIN_DIR.
        checkpoint: See `TrainDir.load_generator`.

    Returns:
        String, the folder written.

    Raises:
        UserError: There is no checkpoint, or the folder cannot be written.
    """
    train_dir = TrainDir(path)
    generator, step = train_dir.load_generator(checkpoint)
    final = train_dir.join("infer")
    try:
        partial = tempfile.mkdtemp(dir=train_dir.path, prefix=".infer-")
        os.chmod(partial, 0o755)
        try:
            module = Infer(generator)
            tf.saved_model.save(module, partial, {"serving_default": module.generate})
            with open(os.path.join(partial, "step"), "w", encoding="utf-8") as file:
                file.write(f"{step}\n")
            # A folder cannot be replaced in one move: the old one steps aside first.
            if os.path.exists(final):
                os.rename(final, os.path.join(partial, "old"))
            os.rename(partial, final)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            shutil.rmtree(os.path.join(final, "old"), ignore_errors=True)
    except (OSError, tf.errors.OpError) as error:
        raise UserError(f"cannot write {final!r}: {error}") from error
    print(f"step {step}: {final}")
    return final
