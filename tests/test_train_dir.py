"""The training directory: settings, checkpoints, damage, the best checkpoint."""

import dataclasses
import json
import os
import resource

import pytest
import tensorflow as tf

from wavegan_asmr.config import Config, merge
from wavegan_asmr.errors import UserError
from wavegan_asmr.train_dir import BEST, Best, TrainDir


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


def test_best_round_trip(train_dir):
    assert train_dir.read_best() is None
    for step in (1, 2):
        train_dir.save(make_checkpoint(float(step))[1], step, keep=5)
        assert train_dir.keep_best(Best(step, 0.5 / step, "digest"))
        assert train_dir.read_best() == Best(step, 0.5 / step, "digest")
        assert TrainDir(train_dir.join(BEST)).steps() == [step]
    # One that the training has deleted leaves what is there.
    assert not train_dir.keep_best(Best(3, 0.1))
    assert train_dir.read_best() == Best(2, 0.25, "digest")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not valid JSON"),
        ("[1]", "not a JSON object"),
        ('{"step": "2", "frechet_distance": 1}', r"step: expected int, got str"),
        ('{"step": 2}', "frechet_distance"),
        ('{"step": 2, "frechet_distance": NaN}', "frechet_distance must be finite"),
        ('{"step": -1, "frechet_distance": 1}', "step and frechet_distance"),
    ],
)
def test_damaged_best_is_an_error_that_names_file_and_field(train_dir, text, words):
    train_dir.save(make_checkpoint()[1], 2, keep=5)
    train_dir.keep_best(Best(2, 1.0))
    with open(train_dir.join(BEST, "best.json"), "w", encoding="utf-8") as file:
        file.write(text)
    with pytest.raises(UserError, match=rf"best/best\.json: .*{words}.*; delete '.*best' and evaluate again\."):
        train_dir.read_best()
