"""Places that cannot hold a file: found before a long rendering where that can be, and said in plain words."""

import contextlib
import errno
import os
import resource
import shutil
import tempfile
import types

import fakes
import pytest
import soundfile

from wavegan_asmr import output_place
from wavegan_asmr.errors import UserError
from wavegan_asmr.rendering import models, render
from wavegan_asmr.sound import wav

SHORT = ["./noise", "--minutes=0.02", "--candidates=1"]


@pytest.fixture(autouse=True)
def fake_models(monkeypatch, tmp_path):
    monkeypatch.setattr(models, "Generator", fakes.generators())
    monkeypatch.chdir(tmp_path)


@contextlib.contextmanager
def largest_file(size):
    """Context in which no file can grow beyond some bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def no_pilot(monkeypatch):
    """Fails where rendering begins."""
    monkeypatch.setattr(render, "_run_pilots", lambda *arguments: pytest.fail("rendering has begun"))


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("folder.wav", "--out is a folder; name a file, such as 'folder.wav/asmr.flac'"),
        ("folder/" + 252 * "n" + ".wav", "the name is too long. Received: 'folder/nnn"),
        # The manifest's name is longer by one.
        ("folder/" + 251 * "n" + ".wav", "the name is too long. Received: 'folder/nnn"),
        ("folder/" + 126 * "é" + ".wav", "the name is too long"),
        (2000 * "n/" + 99 * "n" + ".wav", "the name is too long"),
        ("none/a.wav", "--out is in a folder that is not there. Received: 'none/a.wav'"),
        ("there.txt/a.wav", "--out is in a folder that is not there. Received: 'there.txt/a.wav'"),
        ("loop/a.wav", "loop/a.wav"),
        ("dangling.wav", "'dangling.wav' is there already; give another --out, or --overwrite"),
    ],
)
def test_found_before_rendering(run_here, no_pilot, tmp_path, out, words):
    for name in ("folder", "folder.wav"):
        (tmp_path / name).mkdir()
    (tmp_path / "there.txt").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling.wav").symlink_to("nowhere")
    process = run_here("generate.py", *SHORT, "--out", out)
    assert process.returncode == 2 and process.stderr.count("\n") == 1 and words in process.stderr


def test_a_folder_of_somebody_else():
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        if user == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(UserError, match=r"in a folder that cannot be written: Permission denied\. Received: '"):
                output_place.check(f"{folder}/a.wav", 1, False)
        finally:
            os.seteuid(user)


def test_room_for_what_stands_beside(run_here, no_pilot, monkeypatch):
    """A minute at 16 kHz in 16 bits is 1.92 MB, and a picture and a manifest want another half."""
    for free, is_enough in ((1_950_000, False), (2_600_000, True)):
        monkeypatch.setattr(shutil, "disk_usage", lambda folder, free=free: types.SimpleNamespace(free=free))
        if is_enough:
            with pytest.raises(pytest.fail.Exception, match="rendering has begun"):
                run_here("generate.py", "./noise", "--minutes=1", "--out=a.wav")
        else:
            process = run_here("generate.py", "./noise", "--minutes=1", "--out=a.wav")
            assert "'a.wav' needs up to 2.5 MB and 1.9 MB are free; make room" in process.stderr


@pytest.mark.parametrize("name", ["a.wav", "a.opus"])
def test_full_disk_while_rendering(run_here, tmp_path, name):
    with largest_file(2000):
        process = run_here("generate.py", *SHORT, "--out", name)
    assert process.returncode == 2
    last = process.stderr.splitlines()[-1]
    assert last.startswith("generate.py: cannot write: the file is larger than") and f"Received: '{name}'" in last
    assert not list(tmp_path.iterdir())


def test_full_disk_behind_stdout(run_here):
    saved = os.dup(1)
    with open("/dev/full", "wb") as full:
        os.dup2(full.fileno(), 1)
        try:
            process = run_here("generate.py", *SHORT, "--out=-")
        finally:
            os.dup2(saved, 1)
            os.close(saved)
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith("generate.py: cannot write: the disk is full")


def test_a_picture_that_fails_does_not_hide_the_sound(run_here, tmp_path):
    with largest_file(30_000):
        process = run_here("generate.py", *SHORT, "--out=a.ogg")
    assert process.returncode == 0, process.stderr
    done, warning = process.stderr.splitlines()[-2:]
    assert done.startswith("done      a.ogg: 0:01")
    assert warning == (
        "warning   a.png cannot be written: the file is larger than the disk or the system allows; the sound and "
        "a.json are whole"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"a.ogg", "a.json"}
    assert soundfile.info("a.ogg").frames == 19200
    assert run_here("generate.py", "--from=a.ogg", "--out=b.wav").returncode == 0


def test_a_manifest_that_fails_does_not_hide_the_sound(run_here, monkeypatch, tmp_path):
    def fail(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", fail)
    process = run_here("generate.py", *SHORT, "--out=a.wav")
    assert process.returncode == 2
    done, error = process.stderr.splitlines()[-2:]
    assert done.startswith("done      a.wav: 0:01")
    assert error == (
        "generate.py: 'a.wav' is whole, but its manifest cannot be written: the disk is full. Received: 'a.json'."
    )
    assert {path.name for path in tmp_path.iterdir()} == {"a.wav"} and soundfile.info("a.wav").frames == 19200


def test_full_disk_while_pieces_are_noted(run_here, monkeypatch, tmp_path):
    class Full:
        def write(self, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def close(self):
            self.write(b"")

    monkeypatch.setattr(render.manifest.tempfile, "TemporaryFile", lambda **options: Full())
    process = run_here("generate.py", *SHORT, "--out=a.wav")
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1] == "generate.py: cannot write: the disk is full. Received: 'a.wav'."
    assert not list(tmp_path.iterdir())


def test_full_disk_while_clips_are_written(noise, tmp_path):
    with largest_file(2000), pytest.raises(OSError, match="File too large") as raised:
        wav.write_wav("a.wav", noise(1), 16000)
    assert raised.value.filename == "a.wav" and not list(tmp_path.iterdir())


def test_clips_beyond_4_gb(monkeypatch, noise, tmp_path):
    monkeypatch.setattr(wav, "_MOST_BYTES", 1000)
    with pytest.raises(UserError, match=r"ends at 4 GB; take fewer clips. Received: 0\.0 GB for 'a\.wav'\.$"):
        wav.write_wav("a.wav", noise(1), 16000)
    assert not list(tmp_path.iterdir())
