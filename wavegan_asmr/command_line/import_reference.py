"""`wavegan import`."""

from wavegan_asmr.command_line import run
from wavegan_asmr.errors import UserError

USAGE = """Takes over a training directory of the reference WaveGAN (TensorFlow 1): weights, step, Adam's moments.

    wavegan import TRAIN_DIR REFERENCE_DIR
"""

SETTINGS = ()


def main(arguments, flags):
    if len(arguments) != 2:
        raise UserError(f"import takes TRAIN_DIR REFERENCE_DIR. Received: {' '.join(arguments)!r}.")
    run.start_tensorflow(use_gpus=False)
    from wavegan_asmr.exchange import reference_import

    reference_import.import_training(*arguments)
