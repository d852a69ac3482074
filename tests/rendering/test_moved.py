"""TRAIN_DIRs that are no longer where a manifest says: --train_dir finds them, and the digest tells if it is they."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from conftest import ROOT

GOLDEN = ROOT / "tests" / "golden"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder of two trained models, which no test changes."""
    folder = tmp_path_factory.mktemp("made")
    for name, source in (("rain", "asmr"), ("waves, slow", "finetuned")):
        shutil.copytree(GOLDEN / source, folder / name)
    return folder


@pytest.fixture
def night(made, tmp_path, run_here):
    """Folder with both models, night.flac of them, and its manifest."""
    shutil.copytree(made, tmp_path / "night")
    folder = tmp_path / "night"
    line = [folder / "rain", folder / "waves, slow", "--minutes=0.02", "--layout=mix", "--max_left_out=0.9"]
    process = run_here("generate.py", *line, "--candidates=1", "--out", folder / "night.flac")
    assert process.returncode == 0, process.stderr
    return folder


def test_moved(night, run_here, tmp_path):
    def again(*train_dirs):
        flags = ["--train_dir", ",".join(f'"{each}"' for each in train_dirs)] if train_dirs else []
        process = run_here("generate.py", "--from", night / "night.json", *flags, "--overwrite", "--out", out)
        assert process.stderr.count("\n") == 1, process.stderr
        return process

    def check_same():
        np.testing.assert_array_equal(*(soundfile.read(path, dtype="int16")[0] for path in (night / "night.flac", out)))
        out.unlink()

    rain, slow, out = night / "rain", night / "waves, slow", tmp_path / "again.flac"
    moved = slow.rename(tmp_path / "waves, moved")
    process = again()
    assert process.returncode == 2
    for text in (f"{night / 'night.json'}: models[1]", f"no training directory in '{slow}'", "--train_dir"):
        assert text in process.stderr

    # Those that have moved, or all.
    assert again(moved).returncode == 0
    check_same()
    assert again(rain, moved).returncode == 0
    check_same()

    # Others.
    process = again(moved, rain)
    assert process.returncode == 2
    for text in (f"{night / 'night.json'}: models[0]", f"step 20 in '{moved}' is not the one", "--train_dir"):
        assert text in process.stderr
    process = again(tmp_path)
    assert process.returncode == 2 and f"models[1]: no training directory in '{tmp_path}'" in process.stderr
    process = again(rain, moved, moved)
    assert process.returncode == 2
    assert f"--train_dir must name what is now in place of '{slow}'. Received: '{rain}', " in process.stderr
    for path in moved.glob("ckpt-*.index"):
        path.unlink()
    process = again(moved)
    assert process.returncode == 2 and "night.json: models[1]: no checkpoint" in process.stderr
    assert not out.exists()


def test_a_model_that_is_used_twice_is_named_once(night, run_here, tmp_path):
    manifest = night / "night.json"
    values = json.loads(manifest.read_text())
    values["models"][1] = values["models"][0]
    manifest.write_text(json.dumps(values))
    (night / "rain").rename(tmp_path / "rain")
    line = ["--from", manifest, f"--train_dir={tmp_path / 'rain'}", "--out", tmp_path / "a.flac"]
    process = run_here("generate.py", *line)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--from=x.json", "--train_dir="], "--train_dir must name folders|Received: ''"),
        (["--from=x.json", "--train_dir=a,,b"], "--train_dir must name folders|Received: 'a,,b'"),
        (["rain", "--minutes=1", "--train_dir=a"], "--train_dir goes with --from"),
    ],
)
def test_mistakes_about_train_dir(run_here, flags, words):
    process = run_here("generate.py", *flags, "--out=a.wav")
    assert process.returncode == 2 and process.stderr.count("\n") == 1
    for word in words.split("|"):
        assert word in process.stderr
