"""Files that are whole or not there, and JSON that is checked."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

from wavegan_asmr import storage


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_failed_writing_leaves_the_old_file(tmp_path, error):
    (tmp_path / "x").write_text("old")
    with pytest.raises(error), storage.replace_atomically(tmp_path / "x") as temporary:
        pathlib.Path(temporary).write_text("half")
        raise error
    assert [path.name for path in tmp_path.iterdir()] == ["x"] and (tmp_path / "x").read_text() == "old"


def test_writing_replaces_the_file(tmp_path, monkeypatch):
    """Until the block ends the old content is there; then the new one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_text("old")
    with storage.replace_atomically("x") as temporary, open(temporary, "w") as file:
        file.write("new")
        assert (tmp_path / "x").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"] and (tmp_path / "x").read_text() == "new"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_umask_is_respected(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        storage.write_text(tmp_path / "x", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == mode


_KILLED = """
import os, signal, sys
from wavegan_asmr import storage
with getattr(storage, sys.argv[1])(sys.argv[2]) as temporary:
    open(os.path.join(temporary, "part") if os.path.isdir(temporary) else temporary, "w").write("half")
    print("writing", flush=True)
    os.kill(os.getpid(), signal.SIGKILL) if sys.argv[3] == "killed" else sys.stdin.read()
"""


def _write(kind, path, fate):
    return subprocess.Popen(
        [sys.executable, "-c", _KILLED, kind, path, fate], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )


@pytest.mark.parametrize("kind", ["replace_atomically", "replace_folder"])
def test_leftovers_of_killed_processes_are_swept(tmp_path, kind):
    """Of this name and of the dead only: a living process keeps its own, and other files stay."""
    others = {".night.wav.notes", ".other.wav.0123abcd", "night.wav.0123abcd", ".night.wav.0123abcd.txt"}
    for name in others:
        (tmp_path / name).touch()
    with _write(kind, tmp_path / "night.wav", "killed") as dead:
        assert dead.stdout.readline() == b"writing\n"
    assert dead.returncode == -signal.SIGKILL and len(list(tmp_path.iterdir())) == len(others) + 1
    with _write(kind, tmp_path / "night.wav", "lives") as living:
        assert living.stdout.readline() == b"writing\n"
        before = set(tmp_path.iterdir())
        storage.sweep(tmp_path / "night.wav")
        assert len(before) == len(others) + 1 and set(tmp_path.iterdir()) == before
        living.communicate(b"")
    assert living.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == others | {"night.wav"}


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, "a\nb", os.fsdecode(b"caf\xe9")])
def test_any_name_can_be_replaced(tmp_path, name):
    storage.write_text(tmp_path / name, "text")
    assert (tmp_path / name).read_text() == "text" and len(list(tmp_path.iterdir())) == 1


def test_failures_name_the_file(tmp_path):
    with pytest.raises(OSError, match="No such file") as error:
        storage.write_text(tmp_path / "absent" / "x", "text")
    assert error.value.filename == os.fspath(tmp_path / "absent" / "x")
