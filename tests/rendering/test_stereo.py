"""Models of two channels through generate.py, alone and beside models of one channel and another rate."""

import shutil

import numpy as np
import pytest
import soundfile
from conftest import ROOT

from wavegan_asmr.families.generators import Generator
from wavegan_asmr.train_dir import TrainDir

GOLDEN = ROOT / "tests" / "golden"
RATE_HZ = 22050
QUICK = ["--minutes=0.2", "--candidates=2", "--max_left_out=0.9"]


@pytest.fixture
def models(tmp_path):
    """Folder of "stereo", 22.05 kHz in bands, and "mono", 16 kHz."""
    shutil.copytree(GOLDEN / "stereo", tmp_path / "models" / "stereo")
    shutil.copytree(GOLDEN / "asmr", tmp_path / "models" / "mono")
    return tmp_path / "models"


@pytest.fixture
def generate(run_here, tmp_path):
    """Function: generate.py in this process; returns the samples, float64 `[frames, 2]`."""

    def run(*arguments, name="asmr.wav"):
        process = run_here("generate.py", *arguments, "--overwrite", "--out", tmp_path / name)
        assert process.returncode == 0, process.stderr
        x, rate_hz = soundfile.read(tmp_path / name)
        assert rate_hz == RATE_HZ and x.shape[1] == 2
        return x

    return run


def sides(x):
    """RMS of the mean of both channels, and of half their difference."""
    return np.sqrt(np.mean((x[..., 0] + x[..., 1]) ** 2)) / 2, np.sqrt(np.mean((x[..., 0] - x[..., 1]) ** 2)) / 2


def test_a_stereo_model_has_its_own_image(generate, models):
    generator = Generator(TrainDir(models / "stereo"))
    clips = generator.generate(generator.draw(np.random.default_rng(0), 64))
    middle, side = sides(clips - clips.mean(axis=(0, 1)))
    x = generate(models / "stereo", *QUICK)[RATE_HZ:-RATE_HZ]
    found_middle, found_side = sides(x)
    assert found_side / found_middle == pytest.approx(side / middle, rel=0.1)


@pytest.mark.parametrize("flags", [["--latents=walk", "--walk_s=4"], ["--loop", "--fade_out_s=1"], ["--align"]])
def test_a_stretch_of_stereo_again(generate, models, tmp_path, flags):
    whole = generate(models / "stereo", *QUICK, *flags)
    again = generate("--from", tmp_path / "asmr.json", "--start=3", "--end=5", name="again.wav")
    np.testing.assert_array_equal(again, whole[3 * RATE_HZ : 5 * RATE_HZ])


def test_a_mix_of_rates_and_channels(generate, models):
    """At the higher rate; the mono model is in the middle, unless --stereo spreads it."""
    layers = [models / "stereo", models / "mono", "--layout=mix"]
    ratios = {}
    for gains_db in ("0,-80", "0,0", "-80,0"):
        middle, side = sides(generate(*layers, *QUICK, f"--gains_db={gains_db}")[RATE_HZ:-RATE_HZ])
        ratios[gains_db] = side / middle
    assert ratios["0,-80"] > ratios["0,0"] > 10 * ratios["-80,0"]
    middle, side = sides(generate(*layers, *QUICK, "--gains_db=-80,0", "--stereo=0.8")[RATE_HZ:-RATE_HZ])
    assert side > 0.3 * middle


def test_turns_of_rates_and_channels(generate, models):
    turns = ["--stretch_s=3", "--model_fade_s=0.5", "--max_jump_db=20"]
    x = generate(models / "stereo", models / "mono", *QUICK, *turns)
    ratios = [
        side / middle for middle, side in (sides(x[round(s * RATE_HZ) :][: RATE_HZ // 2]) for s in (1.5, 4.5, 7.5))
    ]
    assert min(ratios[0], ratios[2]) > 10 * ratios[1]
