"""Settling the settings of a training: flags, what is stored, presets, what the model family knows."""

import dataclasses
import os

import loader
from wavegan_asmr import words
from wavegan_asmr.config import (
    Config,
    check_recordings,
    merge,
    model_settings,
    preset_of,
    preset_settings,
)
from wavegan_asmr.errors import UserError
from wavegan_asmr.families import FAMILIES, family_of
from wavegan_asmr.presets import FROM_RECORDINGS
from wavegan_asmr.progress import Meter
from wavegan_asmr.settings import absolute_paths, check_effects
from wavegan_asmr.sound.folder_layout import find_layout
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
    for each in [train_dir, *([TrainDir(source)] if source else [])]:
        each.refuse_shared()
    # Fine-tuning that was stopped before its first checkpoint has not begun: what it begins from may have moved.
    if train_dir.has_config and (train_dir.steps() or not source):
        stored = train_dir.read_config()
        if stored.data_dir and "data_dir" not in given:
            check_recordings(stored)
        # An imported training has no recordings yet: what is learned from them is still open.
        config = merge(stored, given, ("model", "training") if stored.data_dir else ("model",))
    elif source:
        begun = TrainDir(source).read_config()
        if given.get("family", begun.family) != begun.family:
            raise UserError(
                f"--train_init_from takes over the networks of a training of --family {begun.family}. "
                f"Received: --family {given['family']}; leave it out."
            )
        sound = model_settings(begun) | {"data_sample_rate": begun.data_sample_rate}
        if "data_labels" not in given:
            sound |= {name: getattr(begun, name) for name in ("data_labels", "label_names", "label_shares")}
        sound["data_conditions"] = begun.data_conditions
        defaults = family_of(begun).defaults | preset_settings(preset_of(begun))
        config = merge(Config(**defaults | sound), given, ("model",))
    else:
        config = new_config(given)
    if not config.data_dir:
        raise UserError("--data_dir is missing: a folder of recordings, such as --data_dir asmr/")
    if config.train_patience and not config.train_eval_secs:
        raise UserError("--train_patience counts evaluations; say how often, such as --train_eval_secs 600.")
    check_effects(config, given)
    family = family_of(config)
    _check_reads(family, config, given)
    return family.settle(config, given)


def _check_reads(family, config, given):
    """Refuses settings that a family does not read, given ones and those of the preset."""
    for name in given:
        is_unheard = name in ("data_labels", "data_conditions") and not family.listens
        if is_unheard or (_is_of_families(name) and not family.reads(name)):
            raise UserError(f"--{name} has no effect on models of --family {family.name}; leave it out.")
    unread = [name for name in preset_settings(config.preset) if _is_of_families(name) and not family.reads(name)]
    if unread:
        raise UserError(
            f"--preset {config.preset} sets what models of --family {family.name} do not read, such as --{unread[0]}; "
            "leave it out."
        )


def _is_of_families(name):
    return name.split("_")[0] not in ("preset", "family", "data", "train")


def new_config(given):
    """Returns the `Config` of a training that begins: given settings over those of their preset.

    Raises:
        UserError: The recordings of --data_dir, from which the preset takes settings, are not there.
    """
    preset = given.get("preset", Config.preset)
    family = FAMILIES.get(given.get("family", Config.family))
    defaults = family.defaults if family else {}
    config = Config(**defaults | preset_settings(preset, given.get("data_slice_len")) | given)
    open_names = [name for name in FROM_RECORDINGS.get(preset, ()) if name not in given]
    if not open_names or not config.data_dir:
        return config
    paths = [loader.path_of(config.data_dir, name) for name in loader.find_files(config.data_dir)[0]]
    with Meter("probing", len(paths), lambda count: f"{count} recordings") as meter:
        rate_hz, channels = find_layout(paths, meter.advance)
    if rate_hz is None:
        return config
    found = {"data_sample_rate": rate_hz, "data_num_channels": channels}
    return dataclasses.replace(config, **{name: found[name] for name in open_names})


def open_held_out(config):
    """Opens the recordings that are not learned from.

    Returns:
        `loader.Slices`, or None where there are none.

    Raises:
        UserError: Nothing in the folder can be used.
    """
    folder = config.autoregressive_held_out_dir
    if not folder:
        return None
    try:
        recordings, _ = loader.open_configured(config, folder, show_progress=True)
        return loader.Slices.from_config(recordings, config)
    except UserError as error:
        # The loader knows of one folder only.
        message = str(error).removeprefix("--data_dir ").replace("Received: --data_dir ", "Received: ")
        raise UserError(f"--autoregressive_held_out_dir {message}") from error


def settle_labels(config, slices):
    """Returns a `Config` with the labels of its recordings, those that it began with where it has some, and says them.

    Args:
        config: `Config`.
        slices: `loader.Slices`, of its recordings.
    """
    if not slices.label_names:
        return config
    shares = config.label_shares or slices.label_shares
    shown = ", ".join(f"{words.printable(name)} {share:.0%}" for name, share in zip(slices.label_names, shares))
    print(f"labels    {len(shares)}: {shown}")
    return dataclasses.replace(config, label_names=slices.label_names, label_shares=shares)


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
    if len(folders) > 1 and not config.data_labels:
        first = os.path.join(config.data_dir, folders[0])
        learns = f"one model learns the recordings of all {len(folders)} folders"
        print(
            f"note      {learns}; for one of its own: --data_dir {words.shell(first)}; to ask it for one of them: "
            "--data_labels folder"
        )
    return recordings, slices
