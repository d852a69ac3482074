"""The figures of high fidelity, of sounds whose figures are known."""

import json
import subprocess
import sys

import numpy as np
import pytest
import scipy.signal
import soundfile
from conftest import ROOT

from benchmarks import hifi

RATE_HZ, SECONDS = 44100, 12


def noise(correlation=0.0, left_gain=1.0, seed=0):
    """White stereo noise of a correlation, float32 `[frames, 2]`."""
    a, b = np.random.default_rng(seed).normal(0, 0.1, [2, SECONDS * RATE_HZ])
    right = correlation * a + np.sqrt(1 - correlation**2) * b
    return np.stack([left_gain * a, right], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def plain():
    return hifi.measure(noise(), RATE_HZ)


def figure(label, x, y):
    (found,) = (each for each in hifi.FIGURES if each.label.startswith(label))
    return found.compare(x, y)


def test_levels_are_those_of_octaves_of_white_noise(plain):
    width_hz = np.diff(hifi.EDGES_HZ)
    expected = 10 * np.log10(0.01 * width_hz / (RATE_HZ / 2))
    np.testing.assert_allclose(plain.level_db[3:], expected[3:], atol=0.3)
    np.testing.assert_allclose(plain.level_db, expected, atol=1.5)


@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.7])
def test_image(correlation):
    found = hifi.measure(noise(correlation, left_gain=2.0), RATE_HZ)
    np.testing.assert_allclose(found.correlation[3:], correlation, atol=0.05)
    np.testing.assert_allclose(found.balance_db[3:], 20 * np.log10(2), atol=0.3)
    # |l + r|^2 / 4 against (|l|^2 + |r|^2) / 2 of gains 2 and 1
    expected = 10 * np.log10((4 + 1 + 2 * 2 * correlation) / 4 / 2.5)
    np.testing.assert_allclose(found.fold_down_db[3:], expected, atol=0.3)


def test_a_gain_does_not_count_and_a_filter_does(plain):
    softer = hifi.measure(noise(seed=1) / 4, RATE_HZ)
    assert figure("level", softer, plain) < 0.4
    low = scipy.signal.butter(8, 5645, output="sos", fs=RATE_HZ)
    dull = hifi.measure(scipy.signal.sosfilt(low, noise(seed=1), axis=0), RATE_HZ)
    assert figure("the band", dull, plain) > 30
    assert 3 < figure("level", dull, plain) < 15


def test_a_course_of_levels_is_a_deviation(plain):
    course = np.where(np.arange(SECONDS * RATE_HZ) // 11025 % 2, 1.0, 0.1)[:, None].astype(np.float32)
    # Half of the time 20 dB softer: a standard deviation of 10 dB
    found = hifi.measure(noise() * course, RATE_HZ)
    np.testing.assert_allclose(found.deviation_db[3:], 10, atol=0.5)
    assert plain.deviation_db[3:].max() < 1


def test_a_comb_is_an_autocorrelation(plain):
    assert plain.autocorrelation < 0.03
    period = noise()[:4096]
    assert hifi.measure(np.tile(period, [64, 1]), RATE_HZ).autocorrelation == pytest.approx(1, abs=0.02)
    mixed = np.tile(period, [64, 1]) + noise(seed=2)[: 64 * 4096]
    assert hifi.measure(mixed, RATE_HZ).autocorrelation == pytest.approx(0.5, abs=0.05)


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks.hifi", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)


def test_command(tmp_path):
    recording, rendered, low = tmp_path / "r.wav", tmp_path / "x.wav", tmp_path / "mono.flac"
    soundfile.write(recording, np.concatenate([noise(0.5), noise(0.5, seed=3)]), RATE_HZ)
    soundfile.write(rendered, noise(0.5, seed=1), RATE_HZ)
    soundfile.write(low, noise(seed=1)[: 6 * 16000, 0], 16000)
    process = run(recording, rendered, low, "--results_dir", tmp_path)
    assert process.returncode == 0, process.stderr
    assert "| correlation of left and right |" in process.stdout and "(!)" in process.stdout
    facts = json.loads((tmp_path / "hifi.json").read_text())["figures"]
    level = facts["the band that is farthest off, dB"]
    assert level[str(rendered)] < 3 and level[str(low)] > 30
    assert facts["correlation of left and right"][str(low)] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "RECORDING RENDERED"),
        (["{0}/r.wav"], "RECORDING RENDERED"),
        (["{0}/r.wav", "{0}/none.wav"], "none.wav"),
        (["{0}/r.wav", "{0}/short.wav"], "too short: 0 frames of at least 65536"),
        (["{0}/short.wav", "{0}/r.wav"], "the held out part of"),
        (["{0}/three.wav", "{0}/r.wav"], "one or two channels. Received: 3"),
    ],
)
def test_mistakes(tmp_path, arguments, words):
    soundfile.write(tmp_path / "r.wav", np.tile(noise(), [2, 1]), RATE_HZ)
    soundfile.write(tmp_path / "short.wav", noise()[:RATE_HZ], RATE_HZ)
    soundfile.write(tmp_path / "three.wav", np.ones([RATE_HZ, 3]), RATE_HZ)
    arguments = [each.format(tmp_path) for each in arguments]
    process = run(*arguments, "--results_dir", tmp_path)
    assert process.returncode == 2 and words in process.stderr, process.stderr
