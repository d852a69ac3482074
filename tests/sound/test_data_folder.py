"""What of a folder is taken for recordings: names of every kind, and our own output, which is none."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import soundfile
from conftest import ROOT

import loader
from loader import LeftOut
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.sound.data_folder import OF_RENDERING, OF_TRAINING

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
MANIFEST = json.loads((GOLDEN / "night.json").read_text())
"""What an earlier version wrote beside night.flac: it does not name it."""


def touch(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def make_train_dir(folder):
    """What `train`, `preview` and `evaluate` leave: five sounds."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(Config(data_dir="/where/it/was").to_json())
    for name in ("preview/real.wav", "preview/20.wav", "report/pair.flac", "best/preview/20.wav", "20.WAV", ".x.wav"):
        touch(folder / name)
    shutil.copy(folder / "config.json", folder / "best")


# Training directories.


@pytest.mark.parametrize("place", ["train", "deep/er/train"])
def test_training_directory_is_left_out_whole(tmp_path, place):
    touch(tmp_path / "rain.wav")
    touch(tmp_path / "trains" / "goods.wav")
    make_train_dir(tmp_path / place)
    found = loader.find_files(tmp_path)
    assert found == (["rain.wav", "trains/goods.wav"], [LeftOut(place, OF_TRAINING, sounds=5)])


def test_training_directory_of_an_earlier_version(tmp_path):
    shutil.copytree(GOLDEN / "paper", tmp_path / "paper")
    touch(tmp_path / "paper" / "preview" / "real.wav")
    assert loader.find_files(tmp_path) == ([], [LeftOut("paper", OF_TRAINING, sounds=1)])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        '{"model_type": "bert"}',
        '{"data_dir": "x", "learning_rate": 1}',
        '{"data_dir": 1}' + " " * 2_000_000,
        "\ud800".encode("utf-16", "surrogatepass"),
    ],
)
def test_config_of_another_program_hides_nothing(tmp_path, text):
    touch(tmp_path / "sub" / "rain.wav")
    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "sub" / "config.json").write_bytes(data)
    (tmp_path / "sub" / "rain.json").write_bytes(data)
    assert loader.find_files(tmp_path) == (["sub/rain.wav"], [])


def test_json_that_is_a_pipe_or_a_folder_is_not_read(tmp_path):
    for name in ("rain.wav", "hail.wav"):
        touch(tmp_path / name)
    os.mkfifo(tmp_path / "config.json")
    os.mkfifo(tmp_path / "rain.json")
    (tmp_path / "hail.json").mkdir()
    assert loader.find_files(tmp_path) == (["hail.wav", "rain.wav"], [])


def test_data_dir_that_is_a_training_directory(tmp_path):
    make_train_dir(tmp_path / "train")
    with pytest.raises(UserError, match=r"is a training directory.* such as '/where/it/was'\. Received: .*/train'"):
        loader.open_recordings(tmp_path / "train")
    # It was given as both.
    touch(tmp_path / "train" / "config.json", Config(data_dir=str(tmp_path / "train")).to_json())
    with pytest.raises(UserError, match=r"move the recordings into a folder .* such as '.*/train/recordings'"):
        loader.open_recordings(tmp_path / "train")


# Rendered files.


def manifest(sound):
    return json.dumps({"sound": sound} | MANIFEST, indent=1)


@pytest.mark.parametrize(
    ("names", "manifests", "rendered"),
    [
        (["loop.flac"], {"loop.json": "loop.flac"}, ["loop.flac"]),
        (["loop.mp3", "loop.flac"], {"loop.json": "loop.flac", "loop.mp3.json": "loop.mp3"}, ["loop.flac", "loop.mp3"]),
        # Another's recording that shares the name.
        (["loop.flac", "loop.wav"], {"loop.json": "loop.flac"}, ["loop.flac"]),
        # Renamed or copied together, beside a new one of the old name.
        (["sea.flac"], {"sea.json": "loop.flac"}, ["sea.flac"]),
        (["sea.flac", "loop.flac"], {"sea.json": "loop.flac"}, ["sea.flac"]),
        # Of an earlier version.
        (["night.flac"], {"night.json": ""}, ["night.flac"]),
        (["rain.wav"], {"other.json": "other.wav", "rain.txt.json": "rain.txt"}, []),
    ],
)
def test_rendered_files_are_left_out(tmp_path, names, manifests, rendered):
    for name in names:
        touch(tmp_path / name)
    for name, sound in manifests.items():
        (tmp_path / name).write_text(manifest(sound))
    expected = sorted(set(names) - set(rendered)), [LeftOut(name, OF_RENDERING) for name in rendered]
    assert loader.find_files(tmp_path) == expected


@pytest.mark.parametrize("shorten", [lambda text: text[:3000], lambda text: text.replace("\n", "").replace(": ", ":")])
def test_manifest_is_known_by_its_head(tmp_path, shorten):
    touch(tmp_path / "night.flac")
    text = json.dumps(MANIFEST, indent=1)
    assert text.index('"pieces"') < 3000 < len(text)
    (tmp_path / "night.json").write_text(shorten(text))
    assert loader.find_files(tmp_path)[0] == []


@pytest.mark.parametrize("sound", [None, 7, ["rain.wav"], {}])
@pytest.mark.parametrize("lacking", ["settings", "models", "pieces", "sample_rate_hz"])
def test_facts_of_a_recording_are_no_manifest(tmp_path, sound, lacking):
    touch(tmp_path / "rain.wav")
    facts = {"sound": sound} | {name: value for name, value in MANIFEST.items() if name != lacking}
    (tmp_path / "rain.json").write_text(json.dumps(facts))
    assert loader.find_files(tmp_path)[0] == ["rain.wav"]


def test_own_output_is_counted(tmp_path, noise):
    soundfile.write(tmp_path / "rain.wav", noise(1), 16000)
    make_train_dir(tmp_path / "train")
    make_train_dir(tmp_path / "more" / "train\n  recordings  9")
    for number in range(5):
        touch(tmp_path / f"{number}.flac")
        (tmp_path / f"{number}.json").write_text(manifest(f"{number}.flac"))
    used, left_out = loader.open_recordings(tmp_path)
    rows = loader.table(used, left_out, loader.Slices(used, 4096), 16000).splitlines()
    assert rows[0] == "  recordings       1, 1.0 s"
    assert [row for row in rows if "left out" in row] == [
        "  left out         10 sounds of 2 training directories (more/train\\n  recordings  9, train)",
        "  left out         5 sounds that generate made (0.flac, 1.flac, 2.flac and 2 more)",
    ]
    (tmp_path / "rain.wav").unlink()
    with pytest.raises(UserError, match=r"our own output is none: 10 sounds of 2 .*, 5 sounds that"):
        loader.open_recordings(tmp_path)


# Names.

NAMES = [
    b"caf\xe9.wav",
    b"x\n  recordings       5, 9.0 s.wav",
    b"$_$.wav",
    "海の音.wav".encode(),
    "\u202egnp.wav".encode(),
    b"[red]bold[red].wav",
    b"-i.wav",
    b"tab\t\x1b[31m.wav",
]


def test_names_of_every_kind_through_the_command(tmp_path, noise):
    """In a terminal that knows ASCII alone; a dozen files that cannot be used are all listed."""
    folder = os.path.join(os.fsencode(tmp_path), b"d\xe9p\xf4t\n  left out         a: b")
    os.makedirs(folder)
    soundfile.write(tmp_path / "x.wav", noise(2), 16000)
    for name in NAMES:
        shutil.copy(tmp_path / "x.wav", os.path.join(folder, name))
        pathlib.Path(os.fsdecode(os.path.join(folder, b"bad " + name.removesuffix(b".wav") + b".mp3"))).touch()
    for number in range(6):
        pathlib.Path(os.fsdecode(os.path.join(folder, b"%d.flac" % number))).write_text("<html>")
    process = subprocess.run(
        [sys.executable, "-m", "wavegan_asmr", "check", folder, "--data_cache_dir", os.path.join(folder, b"caf\xe9")],
        cwd=ROOT,
        env=os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=False,
    )
    text = process.stdout.decode("ascii")
    assert process.returncode == 0 and not process.stderr, process.stderr
    assert re.search(rf"^  recordings       {len(NAMES)}, {2 * len(NAMES)}\.0 s$", text, re.MULTILINE)
    assert len(re.findall(r"^  left out         \S.*: empty file$", text, re.MULTILINE)) == len(NAMES)
    assert len(re.findall(r"^  left out         \d\.flac: .*HTML", text, re.MULTILINE)) == 6
    assert "bad caf\\xe9.mp3: empty file" in text and "bad [red]bold[red].mp3: empty file" in text
    assert all(re.match(r"(decoding|data) |  [a-z ]{16} ", line) for line in text.splitlines()), text
    assert text.count("\n  recordings ") == 1 and text.count("\n  left out ") == len(NAMES) + 6
