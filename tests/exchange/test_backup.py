"""Backups: by two processes at once, after kill -9, beside files of other people, in folders of odd names."""

import concurrent.futures
import os
import shutil
import signal
import subprocess
import sys

import pytest
import tensorflow as tf
from conftest import ROOT

from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange import backup
from wavegan_asmr.exchange.export import infer
from wavegan_asmr.train_dir import TrainDir

BACK_UP = """
import os, signal, sys
from wavegan_asmr import storage
from wavegan_asmr.exchange import backup
from wavegan_asmr.train_dir import TrainDir

real_copy = storage.copy

def copy(path, folder):
    real_copy(path, folder)
    print("copied", flush=True)
    os.kill(os.getpid(), signal.SIGKILL) if sys.argv[2] == "killed" else sys.stdin.read()

storage.copy = copy
backup.back_up(TrainDir(sys.argv[1]))
"""


@pytest.fixture
def train_dir(tmp_path):
    return TrainDir(shutil.copytree(ROOT / "tests" / "golden" / "asmr", tmp_path / "train"))


def start(train_dir, fate):
    return subprocess.Popen(
        [sys.executable, "-c", BACK_UP, train_dir.path, fate], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )


def advance(train_dir, step):
    """Has the newest checkpoint be that of another step."""
    old = train_dir.steps()[-1]
    for path, new in zip(train_dir.checkpoint_files(old), train_dir.checkpoint_files(step)):
        os.rename(path, new)


def backups(train_dir):
    """Names of all that is in backup/, hidden or not."""
    return sorted(os.listdir(train_dir.join("backup")))


def test_leftovers_of_killed_processes_are_swept(train_dir):
    """Of whatever step; those of an earlier version too."""
    with start(train_dir, "killed") as process:
        assert process.stdout.readline() == b"copied\n"
    assert process.returncode == -signal.SIGKILL
    (left,) = backups(train_dir)
    assert left.startswith(".20.") and os.listdir(train_dir.join("backup", left, "new"))
    os.makedirs(train_dir.join("backup", ".7.partial", "preview"))
    others = [".7.partially", ".partial", "notes"]
    for name in others:
        os.mkdir(train_dir.join("backup", name))
    advance(train_dir, 24)
    assert backup.back_up(train_dir) == 24
    assert backups(train_dir) == sorted([*others, "24"])
    assert TrainDir(train_dir.join("backup", "24")).damage(24) is None


def test_two_at_once_take_turns(train_dir, capsys):
    with start(train_dir, "lives") as first, concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert first.stdout.readline() == b"copied\n"
        second = pool.submit(backup.back_up, train_dir)
        with pytest.raises(TimeoutError):
            second.result(0.5)
        first.communicate(b"")
        assert second.result(60) == 20
    assert first.returncode == 0 and capsys.readouterr().out == "step 20 is backed up already\n"
    assert backups(train_dir) == ["20"] and TrainDir(train_dir.join("backup", "20")).damage(20) is None


def test_only_backups_are_deleted(train_dir):
    for step in (20, 30, 40):
        advance(train_dir, step)
        backup.back_up(train_dir)
    others = ["5", "007", "٣", "old"]
    for name in others[:-1]:
        os.mkdir(train_dir.join("backup", name))
    open(train_dir.join("backup", "old"), "w").close()
    advance(train_dir, 50)
    assert backup.back_up(train_dir, keep=2) == 50
    assert backups(train_dir) == sorted([*others, "40", "50"])


def test_ctrl_c_while_an_old_backup_is_deleted(train_dir, monkeypatch):
    backup.back_up(train_dir)
    advance(train_dir, 30)
    real_rmtree, interrupted = shutil.rmtree, []

    def rmtree(path, **options):
        if os.path.exists(os.path.join(path, "old")) and not interrupted:
            interrupted.append(path)
            raise KeyboardInterrupt
        real_rmtree(path, **options)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    with pytest.raises(KeyboardInterrupt):
        backup.back_up(train_dir, keep=1)
    assert interrupted and backups(train_dir) == ["30"]


def test_full_disk(train_dir, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device", arguments[1])

    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(UserError, match=r"cannot write the backup: the disk is full\. Received: '.*backup/20.*'\.$"):
        backup.back_up(train_dir)
    assert backups(train_dir) == []


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9"), "a[1]*?\nb"])
def test_names(train_dir, tmp_path, capsys, name):
    os.rename(train_dir.path, tmp_path / name)
    odd = TrainDir(tmp_path / name)
    assert backup.back_up(odd) == 20
    assert TrainDir(odd.join("backup", "20")).damage(20) is None
    folder = infer(odd.path)
    output = capsys.readouterr().out.encode("utf-8")
    assert output.count(b"\n") == 2
    shutil.move(folder, tmp_path / "plain")
    loaded = tf.saved_model.load(str(tmp_path / "plain"))
    assert loaded.signatures["serving_default"](z=tf.zeros([2, 100]))["audio"].shape[0] == 2
