"""Settling settings: what is remembered, what is refused, what a folder of folders is told."""

import dataclasses
import json
import os

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.train_dir import TrainDir
from wavegan_asmr.training.settling import new_config, open_slices, resolve_config


@pytest.fixture
def begun(tmp_path):
    """Function: a TRAIN_DIR that was begun with settings."""

    def begin(**given):
        for name in ("train", "asmr"):
            (tmp_path / name).mkdir(exist_ok=True)
        train_dir = TrainDir(tmp_path / "train")
        train_dir.write_config(resolve_config(train_dir, {"data_dir": str(tmp_path / "asmr")} | given))
        return train_dir

    return begin


def test_what_a_training_was_told_to_keep_it_remembers(begun, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = {
        "train_keep": 16,
        "train_eval_secs": 60.0,
        "train_patience": 3,
        "train_save_secs": 10.0,
        "train_summary_secs": 20.0,
        "data_cache_dir": "cache",
        "train_max_steps": 7,
        "train_max_secs": 8.0,
    }
    train_dir = begun(**told)
    resumed = resolve_config(train_dir, {})
    for name in ("train_keep", "train_eval_secs", "train_patience", "train_save_secs", "train_summary_secs"):
        assert getattr(resumed, name) == told[name], name
    assert resumed.data_cache_dir == str(tmp_path / "cache") and resumed.data_dir == str(tmp_path / "asmr")
    # A budget is that of one run.
    assert resumed.train_max_steps == 0 and resumed.train_max_secs == 0
    assert resolve_config(train_dir, {"train_keep": 2}).train_keep == 2


def test_a_resumed_training_keeps_its_checkpoints(recordings, tmp_path, run_here):
    """The printed resume command, without flags, deletes none of those that the first command was told to keep."""
    small = "--data_slice_len=4096 --wavegan_dim=1 --wavegan_latent_dim=4 --train_batch_size=2".split()
    small += ["--wavegan_disc_nupdates=1", "--train_precision=float32"]
    flags = [*small, "--train_keep=9", "--train_save_secs=0", "--train_max_steps=7"]
    train_dir = tmp_path / "train"
    run_here("train_wavegan.py", "train", train_dir, f"--data_dir={recordings}", *flags)
    assert TrainDir(train_dir).steps() == list(range(8))
    run_here("train_wavegan.py", "train", train_dir, "--train_max_steps=8")
    assert TrainDir(train_dir).steps() == list(range(9))
    run_here("train_wavegan.py", "train", train_dir, "--train_max_steps=9", "--train_keep=2")
    assert TrainDir(train_dir).steps() == [8, 9]
    assert json.loads((train_dir / "config.json").read_text())["train_keep"] == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"wavegan_clip": 0.1}, "--wavegan_clip has an effect with --wavegan_loss wgan only. Received: .* wgan-gp"),
        ({"wavegan_loss": "lsgan", "wavegan_gp_lambda": 3.0}, "--wavegan_gp_lambda .* wgan-gp, hinge, rpgan only"),
        ({"wavegan_loss": "wgan", "wavegan_beta1": 0.5}, "--wavegan_beta1 has an effect"),
        ({"wavegan_genr_pp_len": 100}, "--wavegan_genr_pp_len has an effect with --wavegan_genr_pp only"),
        ({"wavegan_dim": 3000}, "this model needs more than 1,385 GB, and this machine has"),
        ({"train_batch_size": 65536, "data_slice_len": 262144}, "this model needs more than"),
        ({"train_patience": 3}, "--train_patience counts evaluations"),
        ({"preset": "asmr", "data_dir": ""}, "--data_dir is missing"),
        ({"preset": "asmr", "data_dir": "/nowhere"}, "no such folder of recordings. Received: --data_dir '/nowhere'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(begun, given, words):
    with pytest.raises(UserError, match=words):
        begun(**given)


def test_presets_are_no_given_settings(begun):
    # The preset sets lambda, which wgan does not read: only what the user gave is refused.
    train_dir = begun(preset="asmr", wavegan_loss="wgan")
    assert train_dir.read_config().wavegan_loss == "wgan"
    assert new_config({"preset": "asmr"}).wavegan_dim == 16


def test_a_preset_is_settled_once(tmp_path):
    """What a preset comes to may change from version to version; a training goes on as it began."""
    train_dir = TrainDir(tmp_path / "train")
    train_dir.create()
    given = {"data_dir": str(tmp_path), "preset": "asmr", "wavegan_dim": 32}
    begun = resolve_config(train_dir, given)
    assert (begun.wavegan_loss, begun.train_batch_size, begun.wavegan_dim) == ("hinge", 16, 32)
    train_dir.write_config(dataclasses.replace(begun, wavegan_gp_lambda=0.7))
    for again in (given, {"preset": "asmr"}, {}):
        config = resolve_config(train_dir, again)
        assert (config.wavegan_gp_lambda, config.wavegan_dim) == (0.7, 32)
    with pytest.raises(UserError, match=r"--preset .*stored 'asmr', received 'paper'"):
        resolve_config(train_dir, {"preset": "paper"})
    # Fine-tuning keeps to the preset too, and to what overrode it in the networks.
    tuned = resolve_config(TrainDir(tmp_path / "tuned"), {"data_dir": "b", "train_init_from": train_dir.path})
    assert (tuned.preset, tuned.wavegan_loss, tuned.wavegan_dim) == ("asmr", "hinge", 32)


@pytest.fixture
def recorded(tmp_path):
    """Function: a folder with a second of a rate and channels."""

    def record(rate_hz, channels):
        folder = tmp_path / f"{rate_hz}-{channels}"
        folder.mkdir()
        soundfile.write(folder / "a.wav", np.zeros([rate_hz, channels]), rate_hz)
        return str(folder)

    return record


@pytest.mark.parametrize(
    ("given", "sound"),
    [
        ({}, (22050, 2, 65536, 16)),
        ({"data_sample_rate": 16000}, (16000, 2, 65536, 16)),
        ({"data_num_channels": 1}, (22050, 1, 65536, 16)),
        # Short slices have fewer bands, unless they are asked for.
        ({"data_slice_len": 16384}, (22050, 2, 16384, 4)),
        ({"data_slice_len": 4096}, (22050, 2, 4096, 1)),
        ({"data_slice_len": 262144}, (22050, 2, 262144, 16)),
        ({"data_slice_len": 16384, "wavegan_bands": 2}, (22050, 2, 16384, 2)),
        ({"preset": "asmr-16k"}, (16000, 1, 16384, 1)),
        ({"preset": "paper"}, (16000, 1, 16384, 1)),
    ],
)
def test_asmr_takes_rate_and_channels_from_the_recordings(recorded, tmp_path, given, sound):
    config = resolve_config(TrainDir(tmp_path / "train"), {"preset": "asmr", "data_dir": recorded(22050, 2)} | given)
    assert (config.data_sample_rate, config.data_num_channels, config.data_slice_len, config.wavegan_bands) == sound


def test_what_a_training_began_with_other_recordings_do_not_change(recorded, begun):
    train_dir = begun(preset="asmr", data_dir=recorded(22050, 2))
    config = resolve_config(train_dir, {"preset": "asmr", "data_dir": recorded(8000, 1)})
    assert (config.data_sample_rate, config.data_num_channels) == (22050, 2)
    tuned = resolve_config(
        TrainDir(train_dir.path + "-tuned"), {"train_init_from": train_dir.path, "data_dir": recorded(48000, 2)}
    )
    assert (tuned.data_sample_rate, tuned.data_num_channels, tuned.wavegan_bands) == (22050, 2, 16)
    # The rate may be given: weights know of none.
    tuned = resolve_config(
        TrainDir(train_dir.path + "-tuned"),
        {"train_init_from": train_dir.path, "data_dir": recorded(48000, 1), "data_sample_rate": 48000},
    )
    assert (tuned.data_sample_rate, tuned.data_num_channels) == (48000, 2)


def test_asmr_of_before_is_asmr_16k(recorded, begun, tmp_path):
    """Its config.json has the name asmr, and no bands."""
    train_dir = begun(preset="asmr-16k", data_dir=recorded(44100, 2))
    path = tmp_path / "train" / "config.json"
    stored = json.loads(path.read_text()) | {"preset": "asmr"}
    del stored["wavegan_bands"]
    path.write_text(json.dumps(stored))
    for given in ({}, {"preset": "asmr"}, {"preset": "asmr-16k"}):
        config = resolve_config(train_dir, given)
        assert (config.data_sample_rate, config.data_num_channels, config.data_slice_len) == (16000, 1, 16384)
        assert (config.wavegan_bands, config.wavegan_loss, config.preset) == (1, "hinge", "asmr")
    with pytest.raises(UserError, match=r"--preset .*stored 'asmr', received 'paper'"):
        resolve_config(train_dir, {"preset": "paper"})
    tuned = resolve_config(
        TrainDir(tmp_path / "tuned"), {"train_init_from": train_dir.path, "data_dir": recorded(48000, 2)}
    )
    assert (tuned.data_sample_rate, tuned.data_num_channels, tuned.wavegan_bands) == (16000, 1, 1)
    tuned_dir = TrainDir(tmp_path / "tuned")
    tuned_dir.create()
    tuned_dir.write_config(dataclasses.replace(tuned, preset="asmr-16k", train_init_from=""))
    with pytest.raises(UserError, match=r"--preset .*stored 'asmr-16k', received 'asmr'"):
        resolve_config(tuned_dir, {"preset": "asmr"})


def test_recordings_may_move(begun, tmp_path):
    train_dir = begun(data_dir=str(tmp_path / "asmr"))
    os.rename(tmp_path / "asmr", tmp_path / "sounds")
    moved = rf"not where it found them; say where they are now: --data_dir FOLDER. Received: '{tmp_path}/asmr'"
    with pytest.raises(UserError, match=moved):
        resolve_config(train_dir, {})
    config = resolve_config(train_dir, {"data_dir": str(tmp_path / "sounds")})
    assert config == dataclasses.replace(train_dir.read_config(), data_dir=str(tmp_path / "sounds"))


def test_what_fine_tuning_began_from_may_move(begun, tmp_path):
    old = begun()
    given = {"data_dir": str(tmp_path), "train_batch_size": 2}
    new = TrainDir(tmp_path / "new")
    new.create()
    new.write_config(resolve_config(new, given | {"train_init_from": old.path}))
    os.rename(old.path, tmp_path / "moved")
    anew = given | {"train_init_from": str(tmp_path / "moved")}
    # Stopped before the first checkpoint, it begins from where the other training is now ...
    assert resolve_config(new, anew).train_init_from == str(tmp_path / "moved")
    # ... and after it, the other training is needed no more.
    new.save(tf.train.Checkpoint(step=tf.Variable(0)), 0, keep=1)
    assert resolve_config(new, {}) == resolve_config(new, {"train_batch_size": 2})
    with pytest.raises(UserError, match=r"--train_init_from cannot change .* Leave the flag out to go on"):
        resolve_config(new, anew)


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 32000), 16000)


@pytest.mark.parametrize(
    ("names", "is_told"),
    [
        (["rain/a.wav", "train/b.wav"], True),
        (["rain/a.wav", "rain/sub/b.wav"], False),
        (["a.wav", "rain/b.wav"], False),
        (["a.wav", "b.wav"], False),
    ],
)
def test_a_folder_of_folders_is_told_that_one_model_learns_them_all(tmp_path, capsys, names, is_told):
    for name in names:
        write(tmp_path / "my sounds" / name)
    open_slices(Config(data_dir=str(tmp_path / "my sounds")))
    printed = capsys.readouterr().out
    note = "note      one model learns the recordings of all 2 folders; for one of its own: --data_dir "
    # Quoted, to be pasted.
    note += f"'{tmp_path}/my sounds/rain'; to ask it for one of them: --data_labels folder\n"
    assert (note in printed) == is_told
    assert ("note" in printed) == is_told
