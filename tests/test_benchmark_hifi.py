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
from wavegan_asmr.sound import events

RATE_HZ, SECONDS = 44100, 12
EVENTS = "events a second", "spread of their spacing", "events over ground"


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
    width_hz = np.diff(events.EDGES_HZ)
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


def clicking(spacings_s, low=False, seed=0):
    """Noise with bursts of noise, low or white, 12 dB above it for 50 ms."""
    at_s = np.cumsum(spacings_s)
    starts = np.round(at_s[at_s < SECONDS - 0.1] * RATE_HZ).astype(int)
    is_burst = np.zeros([SECONDS * RATE_HZ, 1], np.float32)
    is_burst[starts[:, None] + np.arange(RATE_HZ // 20)] = 1
    bursts = 4 * noise(0.5, seed=seed + 9)
    if low:
        bursts = scipy.signal.sosfilt(scipy.signal.butter(6, 1411, output="sos", fs=RATE_HZ), bursts, axis=0)
    return (noise(0.5, seed=seed) + is_burst * bursts).astype(np.float32)


def test_events_that_are_fewer_in_groups_or_of_another_color(plain):
    often, seldom = np.full(60, 0.2), np.full(60, 0.4)
    sounds = {
        "often": clicking(often),
        "often too": clicking(often, seed=1),
        "seldom": clicking(seldom),
        "in groups": clicking(np.tile([0.1, 0.1, 0.4], 20)),
        "low": clicking(often, low=True),
    }
    found = {name: hifi.measure(x, RATE_HZ) for name, x in sounds.items()}
    compared = {name: {label: figure(label, found[name], found["often"]) for label in EVENTS} for name in found}
    assert compared["often too"] == {
        EVENTS[0]: 0,
        EVENTS[1]: pytest.approx(0, abs=0.1),
        EVENTS[2]: pytest.approx(0, abs=0.4),
    }
    assert compared["seldom"][EVENTS[0]] == pytest.approx(0.5, abs=0.02)
    # The logarithms of 0.1, 0.1 and 0.4 deviate by 0.65 from their mean, relative to at least 0.2.
    assert compared["in groups"][EVENTS[0]] < 0.05
    assert compared["in groups"][EVENTS[1]] == pytest.approx(0.65 / 0.2, rel=0.15)
    assert compared["low"][EVENTS[0]] < 0.05 and compared["low"][EVENTS[2]] > 2
    # White bursts have all bands alike; the ninth is the highest.
    assert np.ptp(found["often"].event_db[4:]) < 1.5 and found["low"].event_db[8] == pytest.approx(0, abs=1)
    assert plain.events == 0 and figure(EVENTS[0], plain, found["often"]) == 1
    # Where there are none to begin with: five a second, relative to half a one.
    assert figure(EVENTS[0], found["often"], plain) == pytest.approx(10, rel=0.03)


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks.hifi", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)


def test_command(tmp_path):
    recording, rendered, low = tmp_path / "r.wav", tmp_path / "x.wav", tmp_path / "mono.flac"
    recorded = np.concatenate([clicking(np.full(60, 0.2)), clicking(np.full(60, 0.2), seed=3)])
    soundfile.write(recording, recorded, RATE_HZ)
    soundfile.write(rendered, noise(0.5, seed=1), RATE_HZ)
    soundfile.write(low, noise(seed=1)[: 6 * 16000, 0], 16000)
    process = run(recording, rendered, low, "--results_dir", tmp_path)
    assert process.returncode == 0, process.stderr
    assert "| correlation of left and right |" in process.stdout and "(!)" in process.stdout
    facts = json.loads((tmp_path / "hifi.json").read_text())["figures"]
    assert all(any(label in line for line in process.stdout.splitlines()) for label in EVENTS)
    assert facts["events a second, relative"]["training"] < 0.05
    assert facts["events a second, relative"][str(rendered)] == 1
    level = facts["the band that is farthest off, dB"]
    assert level[str(rendered)] < 3 and level[str(low)] > 30
    assert facts["correlation of left and right"][str(low)] == pytest.approx(0.5, abs=0.05)


def test_command_of_a_recording_without_events(tmp_path):
    recording, rendered = tmp_path / "r.wav", tmp_path / "x.wav"
    soundfile.write(recording, noise()[: 8 * RATE_HZ, 0], RATE_HZ)
    soundfile.write(rendered, clicking(np.full(60, 0.2))[:, 0], RATE_HZ)
    process = run(recording, rendered, "--results_dir", tmp_path, "--held_out", 0.4)
    assert process.returncode == 0, process.stderr
    assert "Too few events, 0 and 0 at the held-out end" in process.stdout
    figures = json.loads((tmp_path / "hifi.json").read_text())["figures"]
    assert figures["events a second, relative"][str(rendered)] == pytest.approx(10, rel=0.05)
    assert not [label for label in figures if label.startswith(EVENTS[1:])]


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
