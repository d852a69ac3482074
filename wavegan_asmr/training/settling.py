"""Settling the settings of a training: flags, what is stored, presets, what the model family knows."""

import os

import loader
from wavegan_asmr import words
from wavegan_asmr.config import PRESETS, Config, check_recordings, merge, model_settings
from wavegan_asmr.errors import UserError
from wavegan_asmr.families import family_of
from wavegan_asmr.settings import absolute_paths, check_effects
from wavegan_asmr.train_dir import TrainDir


def resolve_config(train_dir, given):
    """Settles the settings of a training: flags over stored ones where it is resumed, else over those of a preset.

    What a preset comes to is decided once: a later version may know better, and a training goes on as it began.

    Args:
        train_dir: `TrainDir`.
        given: Dict of setting name to value, those named on the command line.

    Returns:
        `Config` as the family settles it.

    Raises:
        UserError: A setting that cannot change differs from the stored one, one has no effect, or one that is needed is
            missing; or the recordings have moved.
    """
    given = absolute_paths(Config, given)
    source = given.get("train_init_from")
    # Fine-tuning that was stopped before its first checkpoint has not begun: what it begins from may have moved.
    if train_dir.has_config and (train_dir.steps() or not source):
        stored = train_dir.read_config()
        if stored.data_dir and "data_dir" not in given:
            check_recordings(stored)
        # An imported training has no recordings yet: what is learned from them is still open.
        config = merge(stored, given, ("model", "training") if stored.data_dir else ("model",))
    elif source:
        model = model_settings(TrainDir(source).read_config())
        config = merge(Config(**PRESETS[model["preset"]] | model), given, ("model",))
    else:
        config = new_config(given)
    if not config.data_dir:
        raise UserError("--data_dir is missing: a folder of recordings, such as --data_dir asmr/")
    if config.train_patience and not config.train_eval_secs:
        raise UserError("--train_patience counts evaluations; say how often, such as --train_eval_secs 600.")
    check_effects(config, given)
    family = family_of(config)
    foreign = [name for name in given if name.split("_")[0] not in ("preset", "family", "data", "train")]
    if foreign and not foreign[0].startswith(family.prefix):
        raise UserError(f"--{foreign[0]} has no effect on models of --family {family.name}; leave it out.")
    return family.settle(config, given)


def new_config(given):
    """Returns the `Config` of a training that begins: given settings over those of their preset."""
    return Config(**PRESETS.get(given.get("preset"), {}) | given)


def open_slices(config, most_left_out=10):
    """Opens the data set of a `Config` and prints its table.

    Args:
        config: `Config`.
        most_left_out: Integer or None, see `loader.table`.

    Returns:
        List of `loader.Recording`, and `loader.Slices` of them.

    Raises:
        UserError: Nothing in it can be used.
    """
    recordings, left_out = loader.open_configured(config, show_progress=True)
    slices = loader.Slices.from_config(recordings, config)
    print(f"data      {words.printable(os.path.abspath(config.data_dir))}")
    print(loader.table(recordings, left_out, slices, config.data_sample_rate, most_left_out))
    folders = sorted({os.path.dirname(recording.name).split(os.sep)[0] for recording in recordings} - {""})
    if len(folders) > 1:
        first = os.path.join(config.data_dir, folders[0])
        learns = f"one model learns the recordings of all {len(folders)} folders"
        print(f"note      {learns}; for one of its own: --data_dir {words.shell(first)}")
    return recordings, slices
