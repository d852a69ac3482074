"""Trains a WaveGAN."""

from absl import flags

import checkpoints
import cli
import config
import preview
from errors import UserError

USAGE = """WaveGAN: a few minutes of recordings in, hours of sound like them out.

    train_wavegan.py train TRAIN_DIR --data_dir FOLDER   train, or go on with a training
    train_wavegan.py preview TRAIN_DIR                   sounds and pictures of the newest checkpoint
    train_wavegan.py incept TRAIN_DIR --incept_classifier FOLDER
                                                         inception score of each checkpoint
    train_wavegan.py infer TRAIN_DIR                     write the generator as a SavedModel, TRAIN_DIR/infer
    train_wavegan.py import TRAIN_DIR REFERENCE_DIR      take over a training directory of the reference WaveGAN
"""

flags.DEFINE_bool("dry_run", False, "Print the settings and the facts of the recordings, and stop (train).")
flags.DEFINE_string("incept_classifier", "", "Folder of a classifier that classifier.py trained (incept).")
flags.DEFINE_integer("incept_n", 5000, "Slices to generate (incept).", lower_bound=1)
flags.DEFINE_integer("incept_k", 10, "Splits of these slices, for the error of the score (incept).", lower_bound=1)
config.define_flags()
flags.adopt_module_key_flags(preview)


def main(arguments):
    modes = {"train": _train, "preview": _preview, "incept": _incept, "infer": _infer, "import": _import}
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


def _incept(train_dir):
    values = flags.FLAGS
    if not values.incept_classifier:
        raise UserError(
            "--incept_classifier is missing: a folder that classifier.py wrote. Train one with: "
            "classifier.py train FOLDER --data_dir LABELLED"
        )
    checkpoint = checkpoints.read_flag()
    cli.start_tensorflow(use_gpus=False)
    import inception

    inception.incept(
        train_dir,
        values.incept_classifier,
        values.incept_n,
        values.incept_k,
        checkpoint,
        every=not values["checkpoint"].present,
        watch=values.watch,
    )


def _infer(train_dir):
    checkpoint = checkpoints.read_flag()
    cli.start_tensorflow(use_gpus=False)
    import export

    export.export(train_dir, checkpoint)


def _import(train_dir, reference_dir):
    cli.start_tensorflow(use_gpus=False)
    import reference_import

    reference_import.import_training(train_dir, reference_dir)


if __name__ == "__main__":
    cli.run(main, USAGE)
