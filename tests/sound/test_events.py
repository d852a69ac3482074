"""Onsets of events whose times are known, of sounds that have none, and what is said of them."""

import numpy as np
import pytest
import scipy.signal

from wavegan_asmr.sound import events, features

RATES_HZ = [8000, 16000, 44100, 48000]
NEAR_S = 0.025
"""A window, and a bit."""


def noise(seconds, rate_hz, channels=1, rms=0.01, seed=0):
    return (rms * np.random.default_rng(seed).standard_normal([int(seconds * rate_hz), channels])).astype(np.float32)


def times(seconds, per_second, seed=0):
    """Times of events at random, at least 80 ms apart."""
    spacings = 0.08 + np.random.default_rng(seed).exponential(1 / per_second - 0.08, int(2 * seconds * per_second))
    found = 0.2 + np.cumsum(spacings)
    return found[found < seconds - 0.2]


def played(event, at_s, seconds, rate_hz):
    """An event `[samples]` at times, in silence: float32 `[frames, 1]`."""
    x = np.zeros(int(seconds * rate_hz))
    x[np.round(at_s * rate_hz).astype(int)] = 1
    return scipy.signal.oaconvolve(x, event)[: len(x), None].astype(np.float32)


def click(rate_hz):
    decay = np.exp(-np.arange(int(0.02 * rate_hz)) / (0.002 * rate_hz))
    return 0.5 * decay * np.random.default_rng(5).standard_normal(len(decay))


def tone(hz, rate_hz, length_s=0.05, ramp_s=0.005):
    t = np.arange(int(length_s * rate_hz)) / rate_hz
    ramps = np.clip(np.minimum(t, length_s - t) / max(ramp_s, 1e-9), 0, 1)
    return 0.1 * ramps * np.sin(2 * np.pi * hz * t)


def check_times(found_s, expected_s):
    """Each is found, once and in time."""
    assert len(found_s) == pytest.approx(len(expected_s), rel=0.03)
    nearest = np.abs(found_s[:, None] - expected_s[None]).min(axis=0)
    assert np.mean(nearest < NEAR_S) > 0.97


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("kind", ["click", "low tone", "high tone"])
def test_trains_on_a_floor_of_noise(rate_hz, kind):
    event = {"click": click(rate_hz), "low tone": tone(500, rate_hz), "high tone": tone(3000, rate_hz)}[kind]
    at_s = times(20, 5)
    x = played(event, at_s, 20, rate_hz) + noise(20, rate_hz)
    found = events.find(x, rate_hz)
    check_times(found.onsets_s, at_s)
    assert found.per_second == pytest.approx(len(at_s) / 20, rel=0.03)
    assert found.spacing_s == pytest.approx(np.median(np.diff(at_s)), rel=0.05)
    assert found.spacing_deviation == pytest.approx(np.log(np.diff(at_s)).std(), rel=0.1)
    assert (np.diff(found.onsets_s) > 0.049).all()


@pytest.mark.parametrize("per_second", [0.5, 2, 10, 14])
def test_a_clock(per_second):
    at_s = np.arange(0.3, 19.8, 1 / per_second)
    found = events.find(played(click(16000), at_s, 20, 16000) + noise(20, 16000), 16000)
    check_times(found.onsets_s, at_s)
    assert found.spacing_s == pytest.approx(1 / per_second, rel=0.02)
    assert found.spacing_deviation < 0.15


@pytest.mark.parametrize("rate_hz", [8000, 44100])
@pytest.mark.parametrize("feedback", [0, 0.9, 0.999, -0.9])
def test_noise_of_any_color_has_none(rate_hz, feedback):
    x = scipy.signal.lfilter([1], [1, -feedback], noise(30, rate_hz, 2), axis=0).astype(np.float32)
    assert events.find(x, rate_hz).per_second < 0.05


def test_steady_rain_and_slow_swells_have_none():
    rate_hz, random = 16000, np.random.default_rng(0)
    drops = played(click(rate_hz), random.uniform(0, 29, 30 * 2000), 30, rate_hz)
    assert events.find(drops, rate_hz).per_second < 0.1
    swell_db = 10 * np.sin(2 * np.pi * 0.3 * np.arange(len(drops)) / rate_hz)
    swelling = noise(30, rate_hz) * 10 ** (swell_db / 20).astype(np.float32)[:, None]
    assert events.find(swelling, rate_hz).per_second < 0.05


def test_the_level_does_not_count():
    x = played(click(16000), times(10, 4), 10, 16000) + noise(10, 16000, rms=0.05)
    plain = events.find(x, 16000)
    assert len(plain.onsets_s) > 20
    for gain in (0.1, 1e-3, 20):
        other = events.find(np.float32(gain) * x, 16000)
        np.testing.assert_array_equal(other.onsets_s, plain.onsets_s)
        np.testing.assert_allclose(other.over_ground_db, plain.over_ground_db, atol=1e-3)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_the_end_of_a_tone_is_none(rate_hz):
    """Neither its edge, which is heard in all bands, nor its decay."""
    at_s = np.arange(0.3, 9.5, 0.3)
    x = played(tone(1000, rate_hz, 0.15, ramp_s=0), at_s, 10, rate_hz) + noise(10, rate_hz, rms=0.001)
    assert len(events.find(x, rate_hz).onsets_s) == pytest.approx(len(at_s), rel=0.12)


def test_channels_count_alike():
    x = played(click(16000), times(10, 4), 10, 16000)
    quiet = noise(10, 16000)
    one, opposite = (events.find(each, 16000) for each in (x + quiet, np.concatenate([x + quiet, -x - quiet], axis=1)))
    np.testing.assert_array_equal(opposite.onsets_s, one.onsets_s)
    for sides in ([x, 0 * x], [0 * x, x]):
        found = events.find(np.concatenate(sides, axis=1) + noise(10, 16000, 2), 16000)
        check_times(found.onsets_s, times(10, 4))


@pytest.mark.parametrize("below_db, is_found", [(40, True), (80, False)])
def test_what_is_hidden_by_other_bands_is_none(below_db, is_found):
    """Short high tones in a rumble that is louder by far."""
    rate_hz, at_s = 16000, np.arange(0.5, 9.5, 0.5)
    low = scipy.signal.butter(10, 200, output="sos", fs=rate_hz)
    rumble = scipy.signal.sosfilt(low, noise(10, rate_hz, rms=1.0), axis=0)
    high = played(10 * tone(3000, rate_hz, ramp_s=0.02), at_s, 10, rate_hz)
    x = (rumble * 0.7 / rumble[rate_hz:].std() + 10 ** (-below_db / 20) * high).astype(np.float32)
    assert len(events.find(x, rate_hz).onsets_s) == (len(at_s) if is_found else 0)


def test_how_events_stand_out():
    """Bursts of noise in the octave from 706 Hz, 20 dB over its ground."""
    rate_hz, seconds = 16000, 60
    at_s = np.arange(0.3, seconds - 0.5, 0.4)
    gate = played(np.ones(int(0.1 * rate_hz)), at_s, seconds, rate_hz)
    band = scipy.signal.butter(6, events.EDGES_HZ[4:6], "bandpass", output="sos", fs=rate_hz)
    burst = np.sqrt(99) * gate * scipy.signal.sosfilt(band, noise(seconds, rate_hz, seed=1), axis=0)
    found = events.find((burst + noise(seconds, rate_hz)).astype(np.float32), rate_hz)
    check_times(found.onsets_s, at_s)
    # 44 Hz to 8 kHz are eight bands. Of the 75 ms, the window is half outside at first.
    assert found.over_ground_db.shape == (8,)
    assert found.over_ground_db[4] == pytest.approx(20, abs=1)
    np.testing.assert_allclose(found.over_ground_db[[0, 1, 2, 6, 7]], 0, atol=1)


def test_silence_and_what_is_too_short():
    for x in (np.zeros([16000, 2]), np.zeros([0, 1]), np.zeros([100, 1]), noise(0.05, 16000)):
        found = events.find(x.astype(np.float32), 16000)
        assert len(found.onsets_s) == 0 == found.per_second == found.spacing_s == found.spacing_deviation
        np.testing.assert_array_equal(found.over_ground_db, np.zeros(8))
    at_s = times(10, 3)
    found = events.find(played(click(16000), at_s, 10, 16000), 16000)
    check_times(found.onsets_s, at_s)
    # In silence they stand out as far as is measured.
    assert found.over_ground_db.mean() > 40


def test_blocks_leave_no_trace(monkeypatch):
    x = played(click(8000), times(20, 6), 20, 8000) + noise(20, 8000)
    whole = events.find(x, 8000)
    monkeypatch.setattr(events, "_BLOCK_FRAMES", 97)
    blocks = events.find(x, 8000)
    np.testing.assert_array_equal(blocks.onsets_s, whole.onsets_s)
    assert blocks.searched_s == whole.searched_s == pytest.approx(20, abs=0.08)


def test_slices_are_measured_one_by_one():
    rate_hz, seconds = 16000, 1.5
    at_s = np.array([0.3, 0.7, 1.1])
    with_three = played(click(rate_hz), at_s, seconds, rate_hz) + noise(seconds, rate_hz)
    x = np.stack([with_three, noise(seconds, rate_hz, seed=1), np.zeros_like(with_three)])
    facts = features.measure(x, rate_hz)
    # But for the first 50 ms, and the last window's length.
    assert facts["onsets"] == pytest.approx([3 / 1.435, 0, 0], rel=0.01)
    assert facts["event_db"][0] == pytest.approx(events.find(with_three, rate_hz).over_ground_db.mean())
    assert facts["event_db"][0] > 5
    np.testing.assert_array_equal(facts["event_db"][1:], 0)


@pytest.mark.slow
def test_hours_of_noise_have_hardly_any():
    for rate_hz in RATES_HZ:
        found = [len(events.find(noise(60, rate_hz, seed=seed), rate_hz).onsets_s) for seed in range(20)]
        assert sum(found) < 12
