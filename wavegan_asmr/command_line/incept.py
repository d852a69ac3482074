"""`wavegan incept`."""

from wavegan_asmr import named_models
from wavegan_asmr.classification.settings import InceptionSettings
from wavegan_asmr.command_line import checkpoints, run
from wavegan_asmr.errors import UserError

USAGE = """The inception score of the checkpoints of a training, by a classifier of the sounds that it learns.

    wavegan incept TRAIN_DIR --incept_classifier FOLDER                  every checkpoint
    wavegan incept TRAIN_DIR --incept_classifier FOLDER --watch          and each new one until Ctrl-C
    wavegan incept TRAIN_DIR --incept_classifier FOLDER --checkpoint 18  one
"""

SETTINGS = (InceptionSettings, (checkpoints.EverySettings, ("checkpoint", "watch")))


def main(arguments, flags):
    if len(arguments) != 1:
        raise UserError(f"incept takes TRAIN_DIR. Received: {' '.join(arguments)!r}.")
    settings, chosen = flags.read(InceptionSettings), checkpoints.read(flags, checkpoints.EverySettings)
    if not settings.incept_classifier:
        raise UserError(
            "--incept_classifier is missing: a folder that classify wrote. Train one with: "
            "wavegan classify train FOLDER --data_dir LABELLED"
        )
    path = named_models.find_writable(arguments[0])
    with run.until_stopped(chosen["watch"]):
        run.start_tensorflow(use_gpus=False)
        from wavegan_asmr.classification import inception

        inception.incept(path, settings, **chosen)
