"""`wavegan infer`."""

from wavegan_asmr import named_models
from wavegan_asmr.command_line import checkpoints, run
from wavegan_asmr.errors import UserError

USAGE = """Writes the generator as a SavedModel, TRAIN_DIR/infer, which needs nothing of this project.

    wavegan infer TRAIN_DIR
    wavegan infer TRAIN_DIR --checkpoint best
"""

SETTINGS = (checkpoints.ONE,)


def main(arguments, flags):
    if len(arguments) != 1:
        raise UserError(f"infer takes TRAIN_DIR. Received: {' '.join(arguments)!r}.")
    chosen = checkpoints.read(flags)
    path = named_models.find_writable(arguments[0])
    run.start_tensorflow(use_gpus=False)
    from wavegan_asmr.exchange import export

    export.infer(path, chosen["checkpoint"])
