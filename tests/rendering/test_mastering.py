"""Loudness, true peak, limiter and dither against other implementations and closed forms."""

import numpy as np
import pyloudnorm
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from wavegan_asmr.rendering.loudness import LoudnessMeter, amplitude, decibels
from wavegan_asmr.rendering.mastering import Levels, Limiter, to_integers, true_peak

RATE_HZ = 16000
RATES_HZ = [8000, 11025, 16000, 44100, 48000]
CEILING_DB = -3.0


def white(seconds, rate_hz=RATE_HZ, channels=1, seed=0):
    """White noise of RMS 0.1, float64 `[frames, channels]`."""
    return np.random.default_rng(seed).normal(0, 0.1, [round(seconds * rate_hz), channels])


def sine(hz, seconds, rate_hz=RATE_HZ, phase=0.0, level=1.0):
    """float32 `[frames, 1]`."""
    time_s = np.arange(round(seconds * rate_hz))[:, None] / rate_hz
    return (level * np.sin(2 * np.pi * hz * time_s + phase)).astype(np.float32)


def loud_and_quiet(seconds, rate_hz=RATE_HZ, channels=1):
    """Noise in thirds: as it is, 30 dB down, which the relative gate leaves out, and silent."""
    x = white(seconds, rate_hz, channels)
    third = len(x) // 3
    x[third : 2 * third] *= amplitude(-30)
    x[2 * third :] = 0
    return x


def loudness(blocks, rate_hz, channels):
    meter = LoudnessMeter(rate_hz, channels)
    for block in blocks:
        meter.add(block)
    return meter.integrated()


def true_peak_db(x):
    """True peak of all, measured on a grid eight times as fine."""
    quiet = np.zeros([1000, x.shape[1]])
    x = np.concatenate([quiet, x, quiet])
    return decibels(np.abs(scipy.signal.resample(x, 8 * len(x))).max())


def eased(x, seconds=0.05):
    """Fades at both ends: a sound that begins at once has no true peak that filters of different length agree on."""
    frames = round(seconds * RATE_HZ)
    edge = np.minimum(1, np.minimum(np.arange(len(x)), np.arange(len(x))[::-1]) / frames)
    return (x * np.sin(np.pi / 2 * edge[:, None]) ** 2).astype(np.float32)


def limited(x, ceiling_db=CEILING_DB):
    """All of `x` after the limiter, silence before and after it."""
    limit = Limiter(ceiling_db, RATE_HZ)
    return limit(np.pad(x, [[limit.context, limit.context], [0, 0]]))


# Loudness.


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("make", [white, loud_and_quiet])
def test_loudness_is_pyloudnorms(make, channels, rate_hz):
    x = make(9, rate_hz, channels)
    expected = pyloudnorm.Meter(rate_hz).integrated_loudness(x)
    assert loudness([x], rate_hz, channels) == pytest.approx(expected, abs=0.05)


def test_channels_add_their_power():
    one = white(4)
    both = loudness([np.concatenate([one, one], axis=1)], RATE_HZ, 2)
    assert both - loudness([one], RATE_HZ, 1) == pytest.approx(10 * np.log10(2), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 3 * RATE_HZ), max_size=12))
def test_loudness_does_not_depend_on_the_blocks(cuts):
    x = loud_and_quiet(3)
    blocks = np.split(x, sorted(cuts))
    assert loudness(blocks, RATE_HZ, 1) == pytest.approx(loudness([x], RATE_HZ, 1), abs=1e-9)


@pytest.mark.parametrize(
    "x", [np.zeros([0, 1]), np.zeros([RATE_HZ, 1]), 1e-5 * white(2), white(0.39)], ids="none silent gated short".split()
)
def test_loudness_of_nothing(x):
    assert loudness([x], RATE_HZ, 1) == -np.inf


def test_short_term_loudness_follows_the_level():
    meter = LoudnessMeter(RATE_HZ, 1)
    meter.add(np.concatenate([white(5), 0.1 * white(5)]))
    short_term = meter.short_term()
    assert len(short_term) == 100 - 30 + 1
    assert short_term[0] - short_term[-1] == pytest.approx(20, abs=0.3)
    assert len(meter.momentary()) == 100 - 4 + 1


# Rises.


def largest_rise(x, **options):
    meter = LoudnessMeter(RATE_HZ, 1)
    meter.add(x)
    return meter.largest_rise(**options)


def test_largest_rise_is_that_of_pyloudnorms_blocks():
    """Levels of 1 s at random; the loudness of each 3 s by pyloudnorm."""
    gains = amplitude(np.random.default_rng(1).uniform(-40, 0, 20))
    x = np.repeat(gains, RATE_HZ)[:, None] * white(20)
    starts = range(0, len(x) - 3 * RATE_HZ + 1, RATE_HZ // 10)
    meter = pyloudnorm.Meter(RATE_HZ, block_size=3.0)
    loudness = np.array([meter.integrated_loudness(x[start : start + 3 * RATE_HZ]) for start in starts])
    expected = max(loudness[t] - loudness[max(0, t - 30) : t].min() for t in range(1, len(loudness)))
    assert expected > 5
    assert largest_rise(x) == pytest.approx(expected, abs=0.05)


def test_a_fall_is_no_rise():
    x = white(20) * amplitude(-np.arange(20 * RATE_HZ) / RATE_HZ)[:, None]
    assert largest_rise(x) == pytest.approx(0, abs=0.1)
    assert largest_rise(x[::-1]) == pytest.approx(3, abs=0.3)


def test_a_fade_in_is_skipped_and_a_loop_goes_round():
    x = white(20)
    x[: 5 * RATE_HZ] *= np.linspace(0, 1, 5 * RATE_HZ)[:, None]
    assert largest_rise(x) > 6
    assert largest_rise(x, skip_s=5) < 0.5
    x = white(20)
    x[10 * RATE_HZ :] *= 0.1
    assert largest_rise(x) < 0.5
    assert largest_rise(x, is_loop=True) == pytest.approx(20, abs=0.3)


@pytest.mark.parametrize("x", [np.zeros([0, 1]), white(1), 1e-6 * white(8), np.zeros([8 * RATE_HZ, 1])])
def test_no_rise_of_nothing(x):
    assert largest_rise(x) == 0


def test_levels_do_not_depend_on_the_blocks():
    x = white(6)
    # The highest curve is where two blocks meet.
    x[3 * RATE_HZ - 1 : 3 * RATE_HZ + 1] = 0.9
    whole, parts = Levels(RATE_HZ, 1), Levels(RATE_HZ, 1)
    whole.add(x)
    for part in np.split(x, [10, 3 * RATE_HZ, 3 * RATE_HZ + 5]):
        parts.add(part)
    assert parts.figures() == pytest.approx(whole.figures(), abs=1e-9)
    assert whole.true_peak_db == pytest.approx(true_peak_db(x), abs=0.5)


# True peak.


def test_true_peak_between_samples():
    x = sine(RATE_HZ / 4, 0.1, phase=np.pi / 4)
    assert np.abs(x).max() == pytest.approx(np.sqrt(0.5), abs=1e-4)
    # The top of the curve is between every other pair of samples.
    peaks = true_peak(x)[100:-100]
    assert np.maximum(peaks[1:], peaks[:-1]) == pytest.approx(1, abs=0.005)


def test_true_peak_is_that_of_four_times_the_rate():
    lowpass = scipy.signal.firwin(101, 0.6)
    x = np.stack([np.convolve(white(2, seed=seed)[:, 0], lowpass, "same") for seed in range(2)], axis=1)
    expected = np.abs(scipy.signal.resample_poly(x, 4, 1)).max()
    peaks = true_peak(x)
    assert peaks.shape == (len(x),)
    assert peaks.max() == pytest.approx(expected, rel=0.01)
    assert (peaks >= np.abs(x).max(axis=1) - 1e-9).all()


@pytest.mark.parametrize("oversampling", [4, 8])
@pytest.mark.parametrize("frames", [0, 1, 31, 32, 33, 500])
def test_true_peak_is_the_curve_of_a_filter(frames, oversampling):
    """Against scipy's polyphase resampling with the same filter, sample by sample, whatever the length."""
    x = white(0.1, channels=2)[:frames]
    taps = scipy.signal.firwin(24 * oversampling + 1, 1 / oversampling, window=("kaiser", 8))
    curve = scipy.signal.resample_poly(np.pad(x, [[0, 1], [0, 0]]), oversampling, 1, axis=0, window=taps)
    expected = np.abs(curve).max(axis=1).reshape(-1, oversampling).max(axis=1)[:frames]
    np.testing.assert_allclose(true_peak(x, oversampling), expected, atol=1e-12)


# Limiter.

WHITE_BURST = np.concatenate([np.zeros([4000, 1]), 5 * white(0.2), np.zeros([4000, 1])]).astype(np.float32)
BURST = scipy.signal.convolve(WHITE_BURST, scipy.signal.firwin(201, 0.85)[:, None], "same").astype(np.float32)
IMPULSES = np.zeros([8000, 1], np.float32)
IMPULSES[[1000, 1001, 1003, 5000, 7999], 0] = [4, -4, 3, -2, 1.5]


@pytest.mark.parametrize(
    "x",
    [
        pytest.param(IMPULSES, id="impulses"),
        pytest.param(BURST, id="noise burst"),
        pytest.param(np.pad(sine(1000, 0.1), [[3000, 3000], [0, 0]]), id="sine burst"),
        pytest.param(np.concatenate([sine(300, 0.3), sine(3000, 0.3, level=3.0)], axis=1), id="stereo"),
        *[
            pytest.param(eased(sine(share * RATE_HZ, 0.5, phase=phase)), id=f"sine of {share} of the rate, {phase:.2f}")
            for share in (0.01, 0.123, 0.25, 0.3, 0.4)
            for phase in (0.0, np.pi / 10, np.pi / 4)
        ],
    ],
)
def test_nothing_is_above_the_ceiling(x):
    y = limited(x)
    assert y.shape == x.shape and y.dtype == np.float32
    assert true_peak_db(y) <= CEILING_DB + 0.05


def test_white_noise_is_below_the_ceiling_of_the_standard():
    y = limited(WHITE_BURST)
    assert decibels(np.abs(scipy.signal.resample_poly(y, 4, 1)).max()) <= CEILING_DB + 0.05


def test_level_below_the_ceiling_stays():
    x = white(2, channels=2).astype(np.float32)
    x *= np.float32(amplitude(CEILING_DB - 0.3 - true_peak_db(x)))
    np.testing.assert_array_equal(limited(x), x)


def test_gain_moves_smoothly():
    """The second channel is a constant, so it shows the gain, which the peaks of the first one move."""
    peaks = np.zeros(16000)
    peaks[[5000, 5600, 11000]] = [4, 2, 8]
    level = 0.01
    x = np.stack([peaks, np.full(16000, level)], axis=1).astype(np.float32)
    limit = Limiter(CEILING_DB, RATE_HZ)
    gain = limited(x)[:, 1] / level
    assert gain[[0, -1]] == pytest.approx(1, abs=1e-6)
    assert gain[11000] == pytest.approx(amplitude(CEILING_DB) / 8, rel=0.02)
    assert gain.min() > 0.95 * gain[11000]
    # A gain that moves from 1 to 0 in 100 ms, along a raised cosine.
    assert np.abs(np.diff(gain)).max() <= 1 / (0.05 * RATE_HZ)
    assert np.abs(np.diff(gain, 2)).max() <= (np.pi / 2) / (0.05 * RATE_HZ) ** 2 * 1.2
    far = np.abs(np.arange(16000)[:, None] - [5000, 5600, 11000]).min(axis=1) > limit.context
    assert gain[far] == pytest.approx(1, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_stretch_is_that_of_the_whole(data):
    limit = Limiter(CEILING_DB, RATE_HZ)
    x = np.pad(np.concatenate([BURST, IMPULSES]), [[limit.context, limit.context], [0, 0]])
    whole = limit(x)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    stretch = limit(x[start : end + 2 * limit.context])
    np.testing.assert_allclose(stretch, whole[start:end], rtol=1e-6, atol=1e-7)


# Integers.


@pytest.mark.parametrize("bits", [16, 24])
def test_integers_are_near(bits):
    step = 1 / (2 ** (bits - 1) - 1)
    x = white(1, channels=2)
    y = to_integers(x, bits, 0)
    assert y.dtype == (np.int16 if bits == 16 else np.int32) and y.shape == x.shape
    error = (y >> (0 if bits == 16 else 8)) - x / step
    assert np.abs(error).max() <= 1.5
    assert abs(error.mean()) < 0.02
    # Triangular dither and rounding: a quarter of a squared step, whatever the sound.
    assert np.mean(error**2) == pytest.approx(1 / 6 + 1 / 12, rel=0.05)
    assert abs(np.corrcoef(error[:, 0], x[:, 0])[0, 1]) < 0.03


def test_24_bits_are_the_upper_bytes():
    y = to_integers(white(0.1), 24, 0)
    assert not (y & 0xFF).any()
    assert np.abs(y / 2**31 - white(0.1)).max() < 2e-7


@pytest.mark.parametrize("level", [0.3, -0.3, 0.5, 7.9])
def test_dither_keeps_what_is_below_a_step(level):
    y = to_integers(np.full([200_000, 1], level / 32767), 16, 0)
    assert y.mean() == pytest.approx(level, abs=0.01)


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("level", [-2.0, -1.0, 1.0, 2.0])
def test_full_scale_does_not_wrap_around(bits, level):
    y = to_integers(np.full([1000, 1], level, np.float32), bits, 0)
    assert (np.sign(y) == np.sign(level)).all()
    assert y / 2.0 ** (15 if bits == 16 else 31) == pytest.approx(np.sign(level), abs=1e-4)


def test_dither_is_a_function_of_the_seed():
    x = white(0.1)
    np.testing.assert_array_equal(to_integers(x, 16, [3, 1]), to_integers(x, 16, [3, 1]))
    for other in ([3, 2], [4, 1]):
        assert (to_integers(x, 16, other) != to_integers(x, 16, [3, 1])).any()
