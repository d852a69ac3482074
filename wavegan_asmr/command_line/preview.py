"""`wavegan preview`."""

from wavegan_asmr import named_models
from wavegan_asmr.command_line import checkpoints, run
from wavegan_asmr.errors import UserError
from wavegan_asmr.rendering.settings import PreviewSettings

USAGE = """Sounds and pictures of what a training has learned, also while it runs.

    wavegan preview TRAIN_DIR                     the newest checkpoint -> TRAIN_DIR/preview/STEP.wav and STEP.png
    wavegan preview TRAIN_DIR --checkpoint best   the best one, or the one of a step
    wavegan preview TRAIN_DIR --all               every checkpoint
    wavegan preview TRAIN_DIR --watch             the newest, and each new one until Ctrl-C
    wavegan preview TRAIN_DIR --label rain        of a model with labels -> TRAIN_DIR/preview/STEP-rain.wav
"""

SETTINGS = (PreviewSettings, checkpoints.CheckpointSettings)


def main(arguments, flags):
    if len(arguments) != 1:
        raise UserError(f"one TRAIN_DIR is needed: preview TRAIN_DIR. Received: {' '.join(arguments)!r}.")
    settings, chosen = flags.read(PreviewSettings), checkpoints.read(flags)
    path = named_models.find_writable(arguments[0])
    with run.until_stopped(chosen["watch"]):
        run.start_tensorflow(use_gpus=False)
        from wavegan_asmr.rendering.preview import preview

        preview(path, settings, **chosen)
