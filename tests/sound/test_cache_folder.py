"""The cache of decoded recordings on the disk: what is swept, what is pruned, and what is nobody's business."""

import errno
import os
import pathlib
import re
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from conftest import ROOT
from processes import read_until

import loader
from wavegan_asmr.sound import cache_folder

DAY_S = 86400

STALLED = """
import sys, time
import loader
from wavegan_asmr.sound import files

decode = files.decode

def slow(path, notes=None):
    yield from decode(path, notes)
    print("all was decoded", flush=True)
    time.sleep(100)

files.decode = slow
loader.open_recordings(sys.argv[1], cache_dir=sys.argv[2])
"""
"""Decodes, and does not come to its end."""

DIGEST = """
import hashlib, sys
import loader
(recording,), _ = loader.open_recordings(sys.argv[1], cache_dir=sys.argv[2])
print(hashlib.sha256(open(recording.pcm.path, "rb").read()).hexdigest())
"""


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "kept"


@pytest.fixture
def one(tmp_path, noise):
    """A folder of one recording."""
    folder = tmp_path / "one"
    folder.mkdir()
    soundfile.write(folder / "x.wav", noise(4), 16000)
    return folder


def start(program, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def check(*arguments):
    """Runs `wavegan check` as a user does; returns the finished process."""
    command = [sys.executable, "-m", "wavegan_asmr", "check", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def files_of(cache):
    return sorted(path for path in cache.rglob("*") if not path.is_dir())


def age(path, days):
    """Makes a file so old, or the facts of all entries of a folder."""
    for each in path.rglob("*.json") if path.is_dir() else [path]:
        os.utime(each, (time.time() - DAY_S * days,) * 2)


# Leftovers.


def test_what_a_killed_process_left_is_swept_at_the_next_start(one, cache):
    process = start(STALLED, one, cache)
    try:
        # Between making a file and holding it, it may be swept, and is made again.
        read_until(process, "all was decoded")
        (temporary,) = files_of(cache)
        # Another command beside it, for other recordings, leaves alone what the living write.
        cache_folder.sweep(cache)
        assert files_of(cache) == [temporary]
    finally:
        process.kill()
        process.communicate()
    assert temporary.exists()
    assert str(cache_folder.sweep(cache)) == "nothing" and files_of(cache) == []


def test_opening_sweeps(one, cache, recordings):
    """Whichever recordings are opened."""
    loader.open_recordings(one, cache_dir=cache)
    left = cache / "ab" / f".{'ab' * 32}.f32.0123abcd"
    left.parent.mkdir(exist_ok=True)
    left.touch()
    loader.open_recordings(recordings, cache_dir=cache)
    assert not left.exists() and len(files_of(cache)) == 6


@pytest.mark.parametrize("missing", [".json", ".f32"])
def test_half_an_entry_goes_when_no_process_can_be_writing_it(one, cache, missing):
    loader.open_recordings(one, cache_dir=cache)
    (half,) = [path for path in files_of(cache) if path.suffix != missing]
    (lost,) = [path for path in files_of(cache) if path.suffix == missing]
    lost.unlink()
    cache_folder.sweep(cache)
    assert half.exists()
    age(half, 0.1)
    cache_folder.sweep(cache)
    assert not half.exists()


def test_two_processes_decode_the_same_at_once(one, cache):
    processes = [start(DIGEST, one, cache) for _ in range(3)]
    outputs = {process.communicate(timeout=100)[0].strip() for process in processes}
    (recording,), _ = loader.open_recordings(one, cache_dir=cache)
    expected = subprocess.run(["sha256sum", recording.pcm.path], capture_output=True, text=True, check=True).stdout
    assert outputs == {expected.split()[0]} and len(files_of(cache)) == 2


# Pruning.


def test_prune_deletes_what_was_not_used(recordings, one, cache):
    loader.open_recordings(recordings, cache_dir=cache)
    loader.open_recordings(one, cache_dir=cache)
    age(cache, 8)
    sizes = {path: path.stat().st_size for path in files_of(cache)}
    # Reading from the cache is a use.
    (used,), _ = loader.open_recordings(one, cache_dir=cache)
    deleted, kept = cache_folder.prune(cache, 9)
    assert (deleted.entries, deleted.size, kept.entries) == (0, 0, 3)
    deleted, kept = cache_folder.prune(cache, 7)
    own = sum(size for path, size in sizes.items() if path.stem == pathlib.Path(used.pcm.path).stem)
    assert (deleted.entries, deleted.size) == (2, sum(sizes.values()) - own)
    assert (kept.entries, kept.size) == (1, own)
    assert [path.stem for path in files_of(cache)] == 2 * [pathlib.Path(used.pcm.path).stem]
    assert cache_folder.prune(cache, 0) == (kept, cache_folder.Content(0, 0)) and files_of(cache) == []


def test_a_training_that_runs_uses_its_recordings(recordings, cache, monkeypatch):
    monkeypatch.setattr(loader, "_MARK_S", 0)
    used, _ = loader.open_recordings(recordings, cache_dir=cache)
    batches = iter(loader.make_dataset(loader.Slices(used, 4096), 2))
    age(cache, 30)
    next(batches)
    assert cache_folder.prune(cache, 7)[0].entries == 0


def test_only_entries_are_deleted(one, cache):
    """Whatever else lies in a folder that somebody gave as --data_cache_dir."""
    loader.open_recordings(one, cache_dir=cache)
    name = "ab" * 32
    foreign = [
        "notes.txt",
        f"{name}.json",
        f"{name}.f32",
        f"ab/{name}.wav",
        f"ab/{name[:-1]}.f32",
        f"ab/{name[:-1]}.json",
        f"ab/.{name}.f32",
        f"ab/.{name}.wav.0123abcd",
        f"xy/{name}.f32",
        f"abc/{name}.json",
        f"ab/cd/{name}.f32",
        f"cd/{name}.f32",
        f"cd/{name}.json",
        f"cd/.{name}.json.0123abcd",
    ]
    for each in foreign:
        (cache / each).parent.mkdir(parents=True, exist_ok=True)
        (cache / each).touch()
        age(cache / each, 400)
    cache_folder.prune(cache, 0)
    assert files_of(cache) == sorted(cache / each for each in foreign)


def test_entries_of_an_earlier_version(one, cache):
    """They are no one's any more: counted, pruned, and in nobody's way."""
    old = cache / "ab" / f"{'ab' * 32}.json"
    old.parent.mkdir(parents=True)
    old.write_text('{"frames": 10, "channels": 1, "peak": 0.5, "source_rate_hz": 16000, "source_channels": 1}')
    np.zeros(10, "<f4").tofile(old.with_suffix(".f32"))
    loader.open_recordings(one, cache_dir=cache)
    assert cache_folder.sweep(cache).entries == 2
    age(old, 30)
    assert cache_folder.prune(cache, 29)[0].entries == 1 and not old.exists()


@pytest.mark.parametrize("place", ["nowhere", "file"])
def test_cache_that_is_not_there(tmp_path, place):
    (tmp_path / "file").touch()
    assert cache_folder.prune(tmp_path / place, 0) == (cache_folder.Content(0, 0),) * 2


def test_size_is_said(recordings, one, cache, capsys):
    loader.open_recordings(recordings, cache_dir=cache, show_progress=True)
    assert capsys.readouterr().out == f"decoding  2 recordings, 7.0 s, into {cache}\n"
    loader.open_recordings(one, cache_dir=cache, show_progress=True)
    said = re.search(r" into (\S+) \((\S+) kB of 2 decoded recordings\)$", capsys.readouterr().out)
    assert said[1] == str(cache) and float(said[2]) == pytest.approx(7 * 64, abs=2)


def test_length_that_is_not_known_is_said_to_be(one, cache, capsys, noise):
    soundfile.write(one / "known.wav", noise(2), 16000)
    subprocess.run(f"ffmpeg -loglevel error -i {one}/x.wav -f flac - | cat > {one}/piped.flac", shell=True, check=True)
    loader.open_recordings(one, cache_dir=cache, show_progress=True)
    assert capsys.readouterr().out.startswith("decoding  3 recordings, 6.0 s and 1 of unknown length, into ")


# The command.


def test_check_prunes_without_a_folder(one, cache):
    loader.open_recordings(one, cache_dir=cache)
    process = check("--prune_cache", 30, "--data_cache_dir", cache)
    assert process.returncode == 0 and process.stderr == ""
    assert re.fullmatch(
        rf"cache     deleted nothing, left 25\d\.\d kB of 1 decoded recording, in {cache}\n", process.stdout
    )
    assert len(files_of(cache)) == 2
    age(cache, 0.5)
    process = check("--prune_cache=0.4", "--data_cache_dir", cache)
    assert re.search(r"deleted 25\d\.\d kB of 1 decoded recording, left nothing, in", process.stdout)
    assert files_of(cache) == []


def test_check_prunes_the_usual_cache_and_then_checks(one, monkeypatch, capsys):
    from wavegan_asmr.command_line import main, run

    monkeypatch.setattr(run, "start_tensorflow", lambda **options: None)
    loader.open_recordings(one)
    main.dispatch(["check", str(one), "--prune_cache", "0", "--data_slice_len", "4096"], main.VERBS, "wavegan")
    lines = capsys.readouterr().out.splitlines()
    usual = os.path.join(os.environ["XDG_CACHE_HOME"], "wavegan")
    assert lines[0].startswith("cache     deleted 25") and lines[0].endswith(f"left nothing, in {usual}")
    assert lines[1] == f"decoding  1 recordings, 4.0 s, into {usual}"
    assert lines[3] == "  recordings       1, 4.0 s"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--prune_cache", "-1"], "--prune_cache must be at least 0 days. Received: -1"),
        (["--prune_cache", "nan"], "--prune_cache must be a number"),
        (["--prune_cache", "week"], "prune_cache"),
        (["--noprune_cache"], "prune_cache"),
        ([], "check takes one FOLDER"),
        (["a", "b", "--prune_cache", "1"], "check takes one FOLDER"),
        (["--data_dir", "a", "--prune_cache", "1"], "check takes one FOLDER"),
        (["--prune_cache", "1", "--data_slice_len", "5"], "--data_slice_len"),
    ],
)
def test_mistakes(arguments, words):
    from wavegan_asmr.command_line import main
    from wavegan_asmr.errors import UserError

    with pytest.raises(UserError) as raised:
        main.dispatch(["check", *arguments], main.VERBS, "wavegan")
    assert words in str(raised.value) and "\n" not in str(raised.value)


def test_cache_that_cannot_be_pruned(one, cache, monkeypatch):
    from wavegan_asmr.command_line import main
    from wavegan_asmr.errors import UserError

    def fail(path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    loader.open_recordings(one, cache_dir=cache)
    monkeypatch.setattr(os, "unlink", fail)
    with pytest.raises(UserError, match="cannot be pruned: Read-only file system") as raised:
        main.dispatch(["check", "--prune_cache", "0", "--data_cache_dir", str(cache)], main.VERBS, "wavegan")
    assert repr(str(cache)) in str(raised.value)
