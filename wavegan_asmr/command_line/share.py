"""`wavegan share`."""

import dataclasses

from wavegan_asmr.command_line import checkpoints, run
from wavegan_asmr.errors import UserError
from wavegan_asmr.settings import Settings, setting

USAGE = """Makes of a training a model to share, FOLDER: the generator, its settings, a card with sounds and a picture.
Whatever takes a TRAIN_DIR to generate takes FOLDER too.

    wavegan share TRAIN_DIR FOLDER
    wavegan share TRAIN_DIR FOLDER --checkpoint best --dtype float16 --sounds 1 --license cc-by-4.0

The card says where recordings come from if a file SOURCES beside them does, in lines FILE: AUTHOR, LICENCE.
"""


@dataclasses.dataclass(frozen=True)
class ShareSettings(Settings):
    """What is shared, and how."""

    dtype: str = setting(
        "float32",
        "Type of the weights in the file: float32 makes the same sound as TRAIN_DIR, float16 takes half the room.",
        choices=("float32", "float16"),
    )
    license: str = setting("", "Licence of the model, an identifier such as cc-by-4.0; default: not stated.")
    sounds: int = setting(3, "Sounds for the card, each of a few slices.", at_least=1, at_most=100)
    overwrite: bool = setting(False, "Replace a shared model that is there.")


SETTINGS = (ShareSettings, checkpoints.ONE)


def main(arguments, flags):
    if len(arguments) != 2 or not all(arguments):
        raise UserError(f"share takes TRAIN_DIR FOLDER. Received: {' '.join(arguments)!r}.")
    settings, checkpoint = flags.read(ShareSettings), checkpoints.read(flags)["checkpoint"]
    run.start_tensorflow(use_gpus=False)
    from wavegan_asmr.exchange import shared_model

    shared_model.share(
        *arguments,
        checkpoint,
        settings.dtype,
        settings.license,
        settings.overwrite,
        lambda step: _find_facts(arguments[0], step),
        settings.sounds,
    )


def _find_facts(path, step):
    """What evaluations and the training itself have left in TRAIN_DIR."""
    from wavegan_asmr.evaluation.recalled import recall
    from wavegan_asmr.evaluation.verdicts import judge_kept
    from wavegan_asmr.exchange.model_facts import Facts, Metric
    from wavegan_asmr.training import duration, recordings

    rows, n = recall(path, step)
    try:
        lengths_s = recordings.lengths(path)
    except (OSError, UserError):
        lengths_s = None
    return Facts(
        recordings=lengths_s and len(lengths_s),
        seconds=sum(lengths_s or []),
        trained_s=duration.trained_s(path, step),
        n=n,
        metrics=[Metric(row.metric, row.value, row.floor, row.noise, row.meaning) for row in rows],
        verdicts=judge_kept(rows),
    )
