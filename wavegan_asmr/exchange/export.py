"""A checkpoint's generator in a format of `exporters`."""

import contextlib
import os

import numpy as np
import tensorflow as tf

from wavegan_asmr import output_place, storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange import plain_model
from wavegan_asmr.exchange.exporters import EXPORTERS
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.train_dir import TrainDir

_COMPARED = 2
"""Clips by which an export is compared with TensorFlow."""
_LEAST_DB = {"float32": 80.0, "float16": 40.0, "int8": 15.0}
"""By how much the difference must be below the sound."""


def infer(path, checkpoint=None):
    """Writes TRAIN_DIR/infer, a SavedModel, in place of the one there, and the step into it.

    Args:
        path: Path-like, TRAIN_DIR.
        checkpoint: See `families.generators.Generator`.

    Returns:
        String, the folder written.

    Raises:
        UserError: There is no checkpoint, or the folder cannot be written.
    """
    train_dir = TrainDir(path)
    generator = Generator(train_dir, checkpoint)
    final = train_dir.join("infer")
    train_dir.sweep_temporaries()
    with _writing(final), storage.replace_folder(final) as folder:
        EXPORTERS["saved_model"].write(generator, folder, "float32")
        with open(os.path.join(folder, "step"), "w", encoding="utf-8") as file:
            file.write(f"{generator.step}\n")
    print(f"step {generator.step}: {words.printable(final)}")
    return final


def export(path, out, name, checkpoint=None, precision="float32", overwrite=False):
    """Writes a generator in a format of `exporters`, and compares what its runtime makes with what TensorFlow makes.

    Args:
        path: Path-like, TRAIN_DIR or shared model.
        out: Path-like, the file or folder.
        name: String, the format, see `exporters.EXPORTERS`.
        checkpoint: See `families.generators.Generator`.
        precision: String, of the weights, one of the format's.
        overwrite: Boolean, whether a file of the format may be replaced.

    Raises:
        UserError: There is no checkpoint, the model cannot be exported so, the file is there already or cannot be
            written, or its runtime makes another sound.
    """
    exporter, final = EXPORTERS[name], os.path.abspath(out)
    if precision not in exporter.precisions:
        raise UserError(
            f"--precision of --format {name} must be one of {', '.join(exporter.precisions)}. Received: {precision}."
        )
    _check_place(final, exporter, name, overwrite)
    generator = Generator(TrainDir(path), checkpoint)
    replace = storage.replace_atomically if exporter.ending else storage.replace_folder
    with _writing(final), replace(final) as temporary:
        exporter.write(generator, temporary, precision)
        difference = _compare(generator, exporter, temporary, precision)
    print(f"step {generator.step}: {words.printable(final)}, {_size(final) / 1e6:.1f} MB")
    print(f"compared  {difference}")


def _check_place(path, exporter, name, overwrite):
    if exporter.ending:
        if not path.lower().endswith(exporter.ending):
            raise UserError(f"--out of --format {name} must end in {exporter.ending}. Received: {path!r}.")
        output_place.check(path, 0, overwrite)
        return
    output_place.check_folder(path, "--out", "a SavedModel", _is_saved_model, overwrite)


def _is_saved_model(folder):
    return os.path.exists(os.path.join(folder, "saved_model.pb"))


@contextlib.contextmanager
def _writing(final):
    """Context in which errors of writing become a `UserError`."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        raise UserError(f"cannot write {final!r}: {words.reason(error)}.") from error


def _compare(generator, exporter, path, precision):
    """Returns how far the sound of the format's runtime is from TensorFlow's, a line; refuses what is too far."""
    # Labels and places of measures are random, too.
    drawn = generator.draw(np.random.default_rng(0), _COMPARED)
    inputs = plain_model.split(generator, drawn) if exporter.is_plain else {"z": drawn}
    expected = generator.generate(drawn)
    error = exporter.run(path, inputs) - expected
    largest = float(np.abs(error).max())
    if largest == 0:
        return "the same as TensorFlow's, sample by sample"
    below_db = 10 * np.log10(np.maximum(np.mean(expected**2), 1e-20) / np.maximum(np.mean(error**2), 1e-20))
    line = f"differs from TensorFlow by at most {largest:.2g}, {below_db:.0f} dB below the sound"
    if not below_db >= _LEAST_DB[precision]:
        raise UserError(
            f"the exported model {line}, where {_LEAST_DB[precision]:.0f} dB are needed with --precision {precision}; "
            "take another --precision or --checkpoint."
        )
    return line


def _size(path):
    """Bytes of a file, or of all files of a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)
