"""The training directory: settings, locks, leftovers, the best checkpoint."""

import dataclasses
import fcntl
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest
import tensorflow as tf
from conftest import ROOT
from crashes import crash_everywhere

from wavegan_asmr.config import Config, merge
from wavegan_asmr.errors import UserError
from wavegan_asmr.train_dir import BEST, Best, TrainDir

STEPS = [1, 2, 3, 4, 5]
"""Checkpoints of the fixture `trained`."""

OFFERS = 15
"""How often each of two processes wants to keep the best."""

KEEP_BEST = """
import sys
import time

sys.path.insert(0, sys.argv[1])
from wavegan_asmr.train_dir import Best, TrainDir

train_dir, kept = TrainDir(sys.argv[2]), 0
for number in range(int(sys.argv[3]), int(sys.argv[3]) + int(sys.argv[4])):
    # Each offer is better than the one before, in whatever process.
    kept += train_dir.keep_best(Best(1 + number % 5, -time.monotonic()))
    # The other one waits a moment before it asks again.
    time.sleep(0.01 * (number % 8))
print(kept)
"""

HOLD_THE_LOCK = """
import os
import sys
import time

sys.path.insert(0, sys.argv[1])
from wavegan_asmr.errors import UserError
from wavegan_asmr.train_dir import TrainDir

train_dir, end_s, held = TrainDir(sys.argv[2]), time.monotonic() + float(sys.argv[3]), 0
train_dir.create()
while time.monotonic() < end_s:
    try:
        with train_dir.lock():
            # There is no config.json, so the lock is deleted when it is released.
            os.close(os.open(train_dir.join("held"), os.O_CREAT | os.O_EXCL))
            assert os.path.isdir(train_dir.join("preview"))
            os.unlink(train_dir.join("held"))
            held += 1
    except UserError:
        pass
print(held)
"""


@pytest.fixture
def train_dir(tmp_path):
    train_dir = TrainDir(tmp_path / "train")
    train_dir.create()
    return train_dir


@pytest.fixture
def trained(train_dir):
    """A TRAIN_DIR whose checkpoints have their steps as weights."""
    train_dir.write_config(Config())
    for step in STEPS:
        train_dir.save(make_checkpoint(float(step))[1], step, keep=5)
    return train_dir


def make_checkpoint(value=0.0):
    variable = tf.Variable(tf.fill([1000], value))
    return variable, tf.train.Checkpoint(part={"layer/kernel": variable})


def best_weight(train_dir, step):
    """What the weights of a step in best/ are."""
    variable, checkpoint = make_checkpoint(-1.0)
    assert TrainDir(train_dir.join(BEST)).restore(checkpoint, step) == step
    return variable.numpy()[0]


def run_at_once(code, *arguments):
    """Runs a program in two processes at once; returns them."""
    return [
        subprocess.Popen(
            [sys.executable, "-c", code, ROOT, *(str(each).format(number=k) for each in arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for k in range(2)
    ]


def results_of(processes):
    """The numbers that processes printed."""
    numbers = []
    for process in processes:
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        numbers.append(int(output))
    return numbers


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


# The lock of a training.


def test_one_training_at_a_time(train_dir):
    with (
        train_dir.lock(),
        pytest.raises(UserError, match=r"another training is running in '.*train'; stop it first"),
        TrainDir(train_dir.path).lock(),
    ):
        pass
    assert os.listdir(train_dir.path) == []


def test_a_lock_that_is_deleted_when_it_is_released_keeps_others_out(tmp_path):
    held = results_of(run_at_once(HOLD_THE_LOCK, tmp_path, 2))
    assert min(held) > 20


@pytest.mark.parametrize("name", ["", "preview"])
def test_a_file_in_its_place_is_named(tmp_path, name):
    file = tmp_path / "train" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    with pytest.raises(UserError, match=rf"TRAIN_DIR must be a folder\. Received a file: '{file}'"):
        TrainDir(tmp_path / "train").create()
    assert file.read_text() == "mine"


# Files that are not ours.


def test_sweeping_knows_what_is_ours(trained):
    folder = pathlib.Path(trained.path)
    theirs = {"ckpt-notes.txt", "ckpt-best-of-monday.zip", "ckpt-01.index", "ckpt-5.index.old", ".notes.20261126"}
    their_folders = {"ckpt-old", "ckpt-9.index", ".saving-notes", ".saving-of-monday"}
    for name in theirs:
        (folder / name).write_text("mine")
    for name in their_folders:
        (folder / name).mkdir()
        (folder / name / "mine").write_text("mine")
    before = {path.relative_to(folder) for path in folder.rglob("*")}
    ours = [
        *("ckpt-9.data-00000-of-00001", ".config.json.0123abcd", "preview/.00000004.wav.0123abcd"),
        *("eval/.recordings-256.npz.0123abcd", "best/.best.json.0123abcd", "report/.index.html.0123abcd"),
    ]
    our_folders = [
        ".saving-a_b1c2d3",
        ".saving.0123abcd",
        ".infer-abcdefgh",
        ".best.0123abcd",
        "report/.pairs-abcd1234",
    ]
    for name in ours:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("half")
    for name in our_folders:
        (folder / name / "new").mkdir(parents=True)
        (folder / name / "new" / "ckpt-9.index").write_text("half")
    (folder / "backup" / ".9.0123abcd").mkdir(parents=True)
    trained.sweep()
    left = {path.relative_to(folder) for path in folder.rglob("*")}
    assert left - before == set(map(pathlib.Path, ("backup", "best", "eval", "report"))) and before <= left
    assert trained.steps() == STEPS


def test_sweeping_leaves_what_a_living_process_writes(trained):
    living = pathlib.Path(trained.path) / ".saving.0123abcd"
    living.mkdir()
    handle = os.open(living, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    trained.sweep()
    assert living.exists()
    os.close(handle)
    trained.sweep()
    assert not living.exists()


# The best checkpoint.


def test_best_round_trip(trained):
    assert trained.read_best() is None
    for step in (1, 2):
        assert trained.keep_best(Best(step, 0.5 / step, "digest"))
        assert trained.read_best() == Best(step, 0.5 / step, "digest")
        assert TrainDir(trained.join(BEST)).steps() == [step]
    # A worse one, and one that the training has deleted, leave what is there.
    assert not trained.keep_best(Best(3, 0.3, "digest"))
    assert not trained.keep_best(Best(9, 0.1, "digest"))
    assert trained.read_best() == Best(2, 0.25, "digest")
    assert best_weight(trained, 2) == 2
    assert {path.name for path in pathlib.Path(trained.join(BEST)).iterdir()} == {
        *("best.json", "checkpoint", "config.json", "preview"),
        *map(os.path.basename, trained.checkpoint_files(2)),
    }


def test_the_best_of_another_evaluation_is_measured_again(trained):
    assert trained.keep_best(Best(1, 0.1, "old"))
    asked = []

    def measure_again(best):
        asked.append(best)
        return 5.0

    assert not trained.keep_best(Best(2, 6.0, "new"), measure_again)
    assert trained.read_best() == Best(1, 5.0, "new")
    assert trained.keep_best(Best(3, 4.0, "new"), measure_again)
    assert asked == [Best(1, 0.1, "old")]
    # One that cannot be measured is no better than any.
    assert trained.keep_best(Best(4, 100.0, "newer"), lambda best: None)
    assert trained.read_best() == Best(4, 100.0, "newer")


def test_two_processes_keep_the_best(trained):
    """And a third one reads."""
    processes = run_at_once(KEEP_BEST, trained.path, "{number}", OFFERS)
    score, seen = float("inf"), set()
    while any(process.poll() is None for process in processes):
        best = trained.read_best()
        assert best or not seen
        if not best:
            continue
        assert best.frechet_distance <= score
        score = best.frechet_distance
        seen.add(best)
        time.sleep(0.01)
        try:
            weight = best_weight(trained, best.step)
        except UserError:
            # Replaced since it was read.
            assert trained.read_best() != best
        else:
            assert weight == best.step
    kept = results_of(processes)
    assert min(kept) > 0 and sum(kept) > OFFERS and len(seen) > 5
    best = trained.read_best()
    assert TrainDir(trained.join(BEST)).steps() == [best.step] and best_weight(trained, best.step) == best.step


@pytest.mark.parametrize("step", [2, 1])
def test_a_kill_at_any_moment_leaves_a_whole_best(trained, step):
    """The process is killed before each call that changes a file; the same step may be kept again."""
    assert trained.keep_best(Best(1, 2.0))
    trained.save(make_checkpoint(10.0)[1], 1, keep=5)
    crashed = crash_everywhere(trained.path, f"assert train_dir.keep_best(Best({step}, 1.0))")
    found = []
    for path in crashed:
        copy = TrainDir(path)
        best = copy.read_best()
        if step == 1 and best is None:
            continue
        assert best, path
        found.append(best)
        weights = {Best(1, 2.0): 1, Best(2, 1.0): 2, Best(1, 1.0): 10}
        assert TrainDir(copy.join(BEST)).damage(best.step) is None
        assert best_weight(copy, best.step) == weights[best]
        # What is left is gone after the next time.
        copy.keep_best(Best(3, 0.5))
        assert not [name for name in os.listdir(path) if name.startswith(".best.") and name != ".best.lock"]
        assert TrainDir(copy.join(BEST)).steps() == [3] and len(os.listdir(copy.join(BEST))) == 6
    assert len(crashed) > 10 and set(found) == {Best(1, 2.0), Best(step, 1.0)}


def test_readers_of_the_best_write_nothing(trained):
    assert trained.keep_best(Best(1, 2.0))
    os.unlink(trained.join(".best.lock"))
    before = sorted(pathlib.Path(trained.path).rglob("*"))
    assert trained.read_best() == Best(1, 2.0) and best_weight(trained, 1) == 1
    assert sorted(pathlib.Path(trained.path).rglob("*")) == before


def test_the_best_on_a_full_disk(trained, monkeypatch):
    assert trained.keep_best(Best(1, 2.0))

    def fail(source, target):
        raise OSError(28, "No space left on device", target)

    monkeypatch.setattr("shutil.copyfile", fail)
    with pytest.raises(UserError, match=r"cannot keep the best checkpoint: the disk is full\. Received: '.*/best'\."):
        trained.keep_best(Best(2, 1.0))
    assert trained.read_best() == Best(1, 2.0) and best_weight(trained, 1) == 1


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
def test_damaged_best_is_an_error_that_names_file_and_field(trained, text, words):
    trained.keep_best(Best(2, 1.0))
    with open(trained.join(BEST, "best.json"), "w", encoding="utf-8") as file:
        file.write(text)
    with pytest.raises(UserError, match=rf"best/best\.json: .*{words}.*; delete '.*best' and evaluate again\."):
        trained.read_best()
