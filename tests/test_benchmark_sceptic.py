"""Long files without a model and with one: what comes again in each is what was put there."""

import json
import subprocess
import sys

import numpy as np
import pytest
import scipy.signal
import soundfile
from conftest import ROOT
from processes import tiny_settings

from benchmarks import common
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.train_dir import TrainDir
from wavegan_asmr.training import loop


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks.sceptic", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=ROOT)


@pytest.mark.slow
def test_command(tmp_path):
    random = np.random.default_rng(0)
    swell = 10 ** np.interp(np.arange(320_000), np.arange(0, 322_000, 2000), random.uniform(-1, 0, 161))
    x = swell * scipy.signal.lfilter([0.1], [1, -0.7], random.standard_normal(320_000))
    (tmp_path / "surf").mkdir()
    soundfile.write(tmp_path / "surf" / "surf.wav", x, 16000)
    settings = tiny_settings(tmp_path, train_max_steps=1) | {"data_dir": str(tmp_path / "surf")}
    loop.train(tmp_path / "model", settings)
    process = run(
        *("--data_dir", tmp_path / "surf", "--models", tmp_path / "model", "--minutes=2", "--eval_n=90"),
        *("--sounds_dir", tmp_path / "sounds", "--results_dir", tmp_path / "results"),
    )
    assert process.returncode == 0, process.stderr
    written = json.loads((tmp_path / "results" / "sceptic.json").read_text())
    figures = written["figures"]
    assert list(figures) == ["loop", "re-cut", "quilted", "shaped noise", str(tmp_path / "model")]
    files = {path.name for path in (tmp_path / "sounds").glob("*.flac")}
    assert files == {"loop.flac", "re-cut.flac", "quilted.flac", "shaped noise.flac", "model 1, model.flac"}
    for name in files:
        assert soundfile.info(tmp_path / "sounds" / name).duration == pytest.approx(120, abs=0.01)
    repeats = {name: each["repeats"] for name, each in figures.items()}
    assert min(repeats["loop"].values()) > 0.95
    assert repeats["shaped noise"]["0.5"] == 0
    distances = {name: each["frechet_distance"] for name, each in figures.items()}
    assert distances["loop"] < 2 * written["floor"] < distances[str(tmp_path / "model")]
    assert "| recorded slices |" in process.stdout


def test_models_whose_slices_do_not_compare_are_refused(tmp_path):
    for name, channels in (("a", 1), ("b", 1), ("c", 2)):
        TrainDir(tmp_path / name).create()
        TrainDir(tmp_path / name).write_config(Config(data_num_channels=channels))
    paths = [str(tmp_path / name) for name in "abc"]
    assert common.config_of_all(paths[:2]).data_num_channels == 1
    with pytest.raises(UserError, match=r"the same rate, .*/a', \(16000, 16384, 1\)\. Received: '.*/c' with .* 2\)"):
        common.config_of_all(paths)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--data_dir is missing"),
        (["--data_dir={0}", "--models={0}/none"], "no config.json"),
        pytest.param(["--data_dir={0}/none"], "no such folder", marks=pytest.mark.slow),
        (["--data_dir={0}", "more"], "takes flags only"),
    ],
)
def test_mistakes(tmp_path, arguments, words):
    process = run(*[each.format(tmp_path) for each in arguments], "--results_dir", tmp_path)
    assert process.returncode == 2 and words in process.stderr, process.stderr
