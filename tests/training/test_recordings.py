"""What a training learned from, known by content: moved, renamed, new and gone recordings."""

import hashlib
import json
import os
import shutil
import types

import pytest
import soundfile
from conftest import SMALL

from wavegan_asmr.train_dir import TrainDir
from wavegan_asmr.training import loop
from wavegan_asmr.training.recordings import Contents


def contents(**seconds):
    """Contents by digest and length."""
    recordings = [
        types.SimpleNamespace(pcm=types.SimpleNamespace(digest=digest.strip("_"), frames=1000 * each))
        for digest, each in seconds.items()
    ]
    return Contents.of(recordings, 1000)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ({"a": 60, "b": 600, "c": 60}, None),
        ({"c": 60, "b": 600, "a": 60}, None),
        ({"a": 60, "b": 600}, "1 gone (1:00 of 12:00)"),
        ({"a": 60, "b": 600, "c": 60, "d": 100, "e": 90.4}, "2 new (3:10)"),
        ({"b": 600, "c": 60, "d": 3700}, "1 new (1:01:40), 1 gone (1:00 of 12:00)"),
        # A copy is learned from twice as often.
        ({"a": 60, "b": 600, "c": 60, "c_": 60}, "1 new (1:00)"),
    ],
)
def test_contents_compare(tmp_path, now, words):
    train_dir = TrainDir(tmp_path)
    contents(a=60, b=600, c=60).write(train_dir)
    assert contents(**now).compare(train_dir) == (words and f"{words} since the last start")


@pytest.mark.parametrize("damage", ["", "{}", "[1]", '{"recordings": [{"digest": 1}]}', None])
def test_a_damaged_record_is_named_and_written_anew(tmp_path, damage):
    train_dir, path = TrainDir(tmp_path), tmp_path / "recordings.json"
    # Trainings of earlier versions have none.
    assert contents(a=1).compare(train_dir) is None
    path.write_bytes(b"\xff" if damage is None else damage.encode())
    assert contents(a=1).compare(train_dir).endswith(f"{path} cannot be read (it is damaged) and is written anew")
    contents(a=1).write(train_dir)
    assert contents(a=1).compare(train_dir) is None


def test_a_training_goes_on_where_its_recordings_are(recordings, noise, tmp_path, capsys):
    """Moved and renamed ones are the same; others are said once, and not refused."""
    train_dir, steps = TrainDir(tmp_path / "train"), 0

    def train(**given):
        nonlocal steps
        steps += 1
        loop.train(train_dir.path, given | {"train_max_steps": steps, "train_summary_secs": 1e6})
        printed = capsys.readouterr().out
        assert train_dir.steps()[-1] == steps
        return [line for line in printed.splitlines() if line.startswith("recordings ")]

    def digests():
        stored = json.loads((tmp_path / "train" / "recordings.json").read_text())
        return {each["digest"]: each["seconds"] for each in stored["recordings"]}

    rain = hashlib.sha256((recordings / "rain.wav").read_bytes()).hexdigest()
    assert train(**SMALL | {"wavegan_dim": 1}, data_dir=str(recordings)) == []
    assert digests()[rain] == 4 and sorted(digests().values()) == [3, 4]
    assert str(recordings) not in (tmp_path / "train" / "recordings.json").read_text()

    moved = tmp_path / "moved"
    shutil.move(recordings, moved)
    (moved / "sub").mkdir()
    os.rename(moved / "rain.wav", moved / "sub" / "drizzle.wav")
    assert train(data_dir=str(moved)) == []
    assert train_dir.read_config().data_dir == str(moved)

    (moved / "birds.flac").unlink()
    for seed in (5, 6):
        soundfile.write(moved / f"new {seed}.wav", noise(2.5, seed=seed), 16000)
    assert train() == ["recordings 2 new (0:05), 1 gone (0:03 of 0:07) since the last start"]
    assert len(digests()) == 3

    # A training of an earlier version has no such file.
    (tmp_path / "train" / "recordings.json").unlink()
    assert train() == [] and rain in digests()
