"""The training directory: settings, checkpoints, damage, latents."""

import dataclasses
import json
import os
import resource

import numpy as np
import pytest
import tensorflow as tf

from wavegan_asmr.config import Config, merge
from wavegan_asmr.errors import UserError
from wavegan_asmr.train_dir import TrainDir
from wavegan_asmr.training.loop import resolve_config


@pytest.fixture
def train_dir(tmp_path):
    train_dir = TrainDir(tmp_path / "train")
    train_dir.create()
    return train_dir


def make_checkpoint(value=0.0):
    variable = tf.Variable(tf.fill([1000], value))
    return variable, tf.train.Checkpoint(part={"layer/kernel": variable})


def test_config_round_trip(train_dir):
    config = Config(data_dir="a", wavegan_dim=3, data_min_level_db=-60.0, wavegan_beta1=0.1, train_keep=7)
    train_dir.write_config(config)
    assert train_dir.read_config() == config
    assert set(json.loads(config.to_json())) == {field.name for field in dataclasses.fields(Config)}


def test_merge_refuses_what_is_fixed():
    stored = Config(data_dir="a", wavegan_dim=16, train_max_steps=4)
    merged = merge(stored, {"wavegan_dim": 16, "train_keep": 9}, ("model", "training"))
    # A budget holds for one run.
    assert (merged.wavegan_dim, merged.train_keep, merged.train_max_steps) == (16, 9, 0)
    with pytest.raises(UserError, match=r"--wavegan_dim .*stored 16, received 32"):
        merge(stored, {"wavegan_dim": 32}, ("model", "training"))
    assert merge(stored, {"data_dir": "b"}, ("model",)).data_dir == "b"


def test_keeps_the_newest(train_dir):
    variable, checkpoint = make_checkpoint()
    for step in range(5):
        variable.assign(tf.fill([1000], float(step)))
        train_dir.save(checkpoint, step, keep=2)
    assert train_dir.steps() == [3, 4]
    assert tf.train.latest_checkpoint(train_dir.path) == train_dir.checkpoint_path(4)
    assert tf.train.get_checkpoint_state(train_dir.path).all_model_checkpoint_paths == [
        train_dir.checkpoint_path(step) for step in (3, 4)
    ]
    restored, checkpoint = make_checkpoint()
    assert train_dir.restore(checkpoint) == 4
    assert restored.numpy()[0] == 4
    assert train_dir.restore(checkpoint, 3) == 3
    assert restored.numpy()[0] == 3
    with pytest.raises(UserError, match=r"no checkpoint of step 1.*\[3, 4\]"):
        train_dir.restore(checkpoint, 1)


@pytest.mark.parametrize("ending", [".index", ".data-00000-of-00001"])
@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_damaged_checkpoint_falls_back(train_dir, capsys, ending, damage):
    for step in (1, 2):
        train_dir.save(make_checkpoint(float(step))[1], step, keep=5)
    path = train_dir.checkpoint_path(2) + ending
    with open(path, "r+b") as file:
        content = bytearray(file.read())
        middle = len(content) // 2
        content = {
            "cut": content[:middle],
            "flip": content[:middle] + b"\xff\x00\xaa" + content[middle + 3 :],
            "empty": b"",
        }[damage]
        file.seek(0)
        file.truncate()
        file.write(content)
    restored, checkpoint = make_checkpoint()
    assert train_dir.damage(1) is None
    assert train_dir.damage(2)
    assert train_dir.restore(checkpoint) == 1
    assert restored.numpy()[0] == 1
    assert "step 2 is damaged" in capsys.readouterr().err


def test_another_models_checkpoint_is_refused(train_dir):
    train_dir.save(make_checkpoint()[1], 1, keep=5)
    other = tf.train.Checkpoint(part={"layer/kernel": tf.Variable(0.0), "layer/bias": tf.Variable(0.0)})
    with pytest.raises(UserError, match=r"no checkpoint in .* can be read"):
        train_dir.restore(other)


def test_full_disk_keeps_what_was_saved(train_dir):
    """A limit on the size of files makes writing fail as a full disk does."""
    variable, checkpoint = make_checkpoint(1.0)
    train_dir.save(checkpoint, 1, keep=1)
    variable.assign(tf.fill([1000], 2.0))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"cannot save the checkpoint of step 2.*step 1 is whole"):
            train_dir.save(checkpoint, 2, keep=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert train_dir.restore(checkpoint) == 1
    assert variable.numpy()[0] == 1
    assert not [name for name in os.listdir(train_dir.path) if "saving" in name]


def test_half_written_checkpoints_are_not_there(train_dir):
    train_dir.save(make_checkpoint()[1], 1, keep=5)
    for name in ("ckpt-2.index", "ckpt-3.data-00000-of-00001", "ckpt-x.index"):
        open(train_dir.join(name), "w").close()
    assert train_dir.steps() == [1]


def test_latents_are_fixed(train_dir):
    config = Config(wavegan_latent_dim=3, train_seed=5)
    few = train_dir.latents(config, 4)
    many = train_dir.latents(config, 9)
    np.testing.assert_array_equal(many[:4], few)
    np.testing.assert_array_equal(train_dir.latents(config, 4), few)
    assert many.dtype == np.float32
    assert np.abs(many).max() <= 1
    with pytest.raises(UserError, match=r"z.npy must be \[n, 7\]. Received: \[9, 3\]"):
        train_dir.latents(Config(wavegan_latent_dim=7), 4)


def test_latents_are_no_pickle(train_dir):
    np.save(train_dir.join("preview", "z.npy"), np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read"):
        train_dir.latents(Config(), 1)


def test_a_preset_is_settled_once(train_dir, tmp_path):
    """What a preset comes to may change from version to version; a training goes on as it began."""
    given = {"data_dir": "a", "preset": "asmr", "wavegan_dim": 32}
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
