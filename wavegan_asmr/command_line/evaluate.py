"""`wavegan evaluate`."""

from wavegan_asmr import named_models
from wavegan_asmr.command_line import checkpoints, run
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.evaluation.settings import EvaluationSettings

USAGE = """How good a model is, whether it copies its recordings, and which checkpoint is the best.

    wavegan evaluate TRAIN_DIR                      the newest checkpoint against the recordings it learned from
    wavegan evaluate TRAIN_DIR --data_dir FOLDER    against other recordings
    wavegan evaluate rain --data_dir FOLDER         a model that comes with the project
    wavegan evaluate TRAIN_DIR --all                every checkpoint
    wavegan evaluate TRAIN_DIR --watch              the newest, and each new one until Ctrl-C
    wavegan evaluate --compare A B C                one table for several TRAIN_DIRs
"""

SETTINGS = (EvaluationSettings, (Config, ("data_dir",)), checkpoints.CheckpointSettings)


def main(arguments, flags):
    settings, chosen = flags.read(EvaluationSettings), checkpoints.read(flags)
    if not arguments or (len(arguments) > 1 and not settings.compare):
        received = " ".join(arguments)
        raise UserError(f"needed: evaluate TRAIN_DIR, or --compare A B C. Received: {received!r}.")
    if settings.compare and (chosen["every"] or chosen["watch"]):
        raise UserError("--compare takes one checkpoint of each TRAIN_DIR; leave out --all and --watch.")
    data_dir = flags.given(Config).get("data_dir")
    named = [each for each in arguments if named_models.find(each) != each]
    if named and not data_dir:
        # Before it is copied.
        raise UserError(
            "the recordings of a model that comes with the project do not come with it; say where there are some: "
            f"--data_dir FOLDER. Received: {named[0]!r}."
        )
    paths = [named_models.find_writable(each) for each in arguments]
    with run.until_stopped(chosen["watch"]):
        run.start_tensorflow(use_gpus=False)
        from wavegan_asmr.evaluation import tables

        tables.evaluate_all(paths, settings, data_dir, **chosen)
