"""Checkpoints: kept, swept, damaged, killed while they are saved, on a full disk, under any name."""

import os
import resource

import pytest
import tensorflow as tf
from crashes import crash_everywhere

from wavegan_asmr.errors import UserError
from wavegan_asmr.train_dir import TrainDir

ODD_NAMES = [b"caf\xe9", b"[x]", b"st*r", b"wh?t", b"back\\slash", b"new\nline", b"$_$ %s", "雨の音".encode()]


@pytest.fixture
def folder(tmp_path):
    folder = TrainDir(tmp_path / "train")
    folder.create()
    return folder


def make_checkpoint(value=0.0):
    variable = tf.Variable(tf.fill([1000], value))
    return variable, tf.train.Checkpoint(part={"layer/kernel": variable})


def save(folder, step, keep=5):
    """Saves a checkpoint whose weights are its step."""
    folder.save(make_checkpoint(float(step))[1], step, keep)


def weight(folder, step):
    """What the weights of a checkpoint are."""
    variable, checkpoint = make_checkpoint(-1.0)
    assert folder.restore(checkpoint, step) == step
    return variable.numpy()[0]


def test_keeps_the_newest(folder):
    for step in range(5):
        save(folder, step, keep=2)
    assert folder.steps() == [3, 4]
    assert tf.train.latest_checkpoint(folder.path) == folder.checkpoint_path(4)
    assert tf.train.get_checkpoint_state(folder.path).all_model_checkpoint_paths == [
        folder.checkpoint_path(step) for step in (3, 4)
    ]
    restored, checkpoint = make_checkpoint()
    assert folder.restore(checkpoint) == 4
    assert restored.numpy()[0] == 4
    assert weight(folder, 3) == 3
    with pytest.raises(UserError, match=r"no checkpoint of step 1.*\[3, 4\]"):
        folder.restore(checkpoint, 1)


@pytest.mark.parametrize("ending", [".index", ".data-00000-of-00001"])
@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_damaged_checkpoint_falls_back(folder, capsys, ending, damage):
    for step in (1, 2):
        save(folder, step)
    path = folder.checkpoint_path(2) + ending
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
    assert folder.damage(1) is None
    assert folder.damage(2)
    assert folder.restore(checkpoint) == 1
    assert restored.numpy()[0] == 1
    assert "step 2 is damaged" in capsys.readouterr().err


def test_another_models_checkpoint_is_refused(folder):
    save(folder, 1)
    other = tf.train.Checkpoint(part={"layer/kernel": tf.Variable(0.0), "layer/bias": tf.Variable(0.0)})
    with pytest.raises(UserError, match=r"no checkpoint in .* can be read"):
        folder.restore(other)


def test_full_disk_keeps_what_was_saved(folder):
    """A limit on the size of files makes writing fail as a full disk does."""
    variable, checkpoint = make_checkpoint(1.0)
    folder.save(checkpoint, 1, keep=1)
    variable.assign(tf.fill([1000], 2.0))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"step 2 in .*: the file is larger than .*\. .*step 1 is whole"):
            folder.save(checkpoint, 2, keep=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert weight(folder, 1) == 1
    assert set(os.listdir(folder.path)) == {"checkpoint", "preview", *map(os.path.basename, folder.checkpoint_files(1))}


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device", "ckpt-2.index"),
        tf.errors.ResourceExhaustedError(None, None, "/x/ckpt-2_temp/part-00000.data; No space left on device"),
    ],
)
def test_a_full_disk_is_said_in_plain_words(folder, monkeypatch, error):
    def fail(*arguments):
        raise error

    save(folder, 1)
    _, checkpoint = make_checkpoint(2.0)
    monkeypatch.setattr(checkpoint, "write", fail)
    with pytest.raises(
        UserError, match=r"cannot save .* step 2 in .*: the disk is full\. The checkpoint of step 1 is "
    ):
        folder.save(checkpoint, 2, keep=1)


def test_half_written_checkpoints_are_not_there(folder):
    save(folder, 1)
    for name in ("ckpt-2.index", "ckpt-3.data-00000-of-00001", "ckpt-x.index", "ckpt-01.index"):
        open(folder.join(name), "w").close()
    assert folder.steps() == [1]


def test_a_kill_at_any_moment_of_a_save_loses_nothing(folder):
    """The process is killed before each call that changes a file."""
    for step in (1, 2):
        save(folder, step)
    line = "checkpoint = tf.train.Checkpoint(part={'layer/kernel': tf.Variable(tf.fill([1000], 3.0))})"
    crashed = crash_everywhere(folder.path, f"{line}; train_dir.save(checkpoint, 3, 2)")
    found = set()
    for path in crashed:
        copy = TrainDir(path)
        found.add(tuple(copy.steps()))
        assert copy.steps() in ([1, 2], [1, 2, 3], [2, 3])
        for _ in range(2):
            assert [weight(copy, step) for step in copy.steps()] == copy.steps()
            copy.sweep()
        names = {os.path.basename(path) for step in copy.steps() for path in copy.checkpoint_files(step)}
        assert set(os.listdir(path)) == {"checkpoint", "preview", *names}
    assert len(crashed) > 5 and len(found) == 3


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_will_do(tmp_path, capfd, name):
    # Beside it lies what its name matches as a pattern.
    for beside in ("x", "star", "what"):
        (tmp_path / beside).mkdir()
        save(TrainDir(tmp_path / beside), 2)
        os.rename(tmp_path / beside / "ckpt-2.index", tmp_path / beside / "ckpt-1.index")
    folder = TrainDir(os.path.join(tmp_path, os.fsdecode(name)))
    folder.create()
    for step in (1, 2):
        save(folder, step)
    assert [folder.damage(step) for step in (1, 2)] == [None, None]
    assert [weight(folder, step) for step in (1, 2)] == [1, 2]
    with open(folder.checkpoint_files(2)[0], "wb"):
        pass
    assert folder.damage(2) and folder.restore(make_checkpoint()[1]) == 1
    assert "step 2 is damaged" in capfd.readouterr().err
    folder.set_aside(2)
    assert folder.steps() == [1]
    assert "\n" not in str(folder) and str(folder).isprintable()
