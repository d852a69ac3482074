"""A checkpoint's generator in a format of `exporters`, beside the training."""

import os

import tensorflow as tf

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange.exporters import EXPORTERS
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.train_dir import TrainDir


def export(path, checkpoint=None, name="saved_model"):
    """Writes TRAIN_DIR/infer in place of the one there, and the step into it.

    Args:
        path: Path-like, TRAIN_DIR.
        checkpoint: See `families.generators.Generator`.
        name: String, the format, see `exporters.EXPORTERS`.

    Returns:
        String, the folder written.

    Raises:
        UserError: There is no checkpoint, or the folder cannot be written.
    """
    train_dir = TrainDir(path)
    generator = Generator(train_dir, checkpoint)
    final = train_dir.join("infer")
    train_dir.sweep_temporaries()
    try:
        with storage.replace_folder(final) as folder:
            EXPORTERS[name].write(generator, folder)
            with open(os.path.join(folder, "step"), "w", encoding="utf-8") as file:
                file.write(f"{generator.step}\n")
    except (OSError, tf.errors.OpError) as error:
        raise UserError(f"cannot write {final!r}: {words.reason(error)}.") from error
    print(f"step {generator.step}: {words.printable(final)}")
    return final
