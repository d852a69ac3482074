"""Trains a WaveGAN."""

from absl import flags

import cli
import config
import preview
from errors import UserError

USAGE = """WaveGAN: a few minutes of recordings in, hours of sound like them out.

    train_wavegan.py train TRAIN_DIR --data_dir FOLDER   train, or go on with a training
    train_wavegan.py preview TRAIN_DIR                   sounds and pictures of the newest checkpoint
    train_wavegan.py infer TRAIN_DIR                     write the generator as a SavedModel, TRAIN_DIR/infer
    train_wavegan.py import TRAIN_DIR REFERENCE_DIR      take over a training directory of the reference WaveGAN
"""

flags.DEFINE_bool("dry_run", False, "Print the settings and the facts of the recordings, and stop (train).")
config.define_flags()
flags.adopt_module_key_flags(preview)


def main(arguments):
    modes = {"train": _train, "preview": _preview, "infer": _infer, "import": _import}
    if not arguments or arguments[0] not in modes:
        raise UserError(f"the first argument must be one of {', '.join(modes)}. Received: {' '.join(arguments)!r}.")
    mode, *rest = arguments
    wanted = 2 if mode == "import" else 1
    if len(rest) != wanted:
        names = "TRAIN_DIR REFERENCE_DIR" if mode == "import" else "TRAIN_DIR"
        raise UserError(f"{mode} takes {names}. Received: {' '.join(rest)!r}.")
    modes[mode](*rest)


def _train(train_dir):
    cli.start_tensorflow()
    import training

    training.train(train_dir, config.given_flags(), dry_run=flags.FLAGS.dry_run)


def _preview(train_dir):
    preview.main([train_dir])


def _infer(train_dir):
    cli.start_tensorflow(use_gpus=False)
    import export

    export.export(train_dir, flags.FLAGS.step)


def _import(train_dir, reference_dir):
    cli.start_tensorflow(use_gpus=False)
    import reference_import

    reference_import.import_training(train_dir, reference_dir)


if __name__ == "__main__":
    cli.run(main, USAGE)
