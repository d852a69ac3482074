"""What imitates recordings: where its samples come from, and which statistics it has, by formulas of others."""

import dataclasses
import itertools

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import scipy.stats
from sounds import fire

import loader
from wavegan_asmr.evaluation import anchors
from wavegan_asmr.evaluation.band_courses import BandCourses
from wavegan_asmr.evaluation.cutting import Quilted, Recut, fade_of, stitch
from wavegan_asmr.evaluation.imitations import IMITATIONS
from wavegan_asmr.evaluation.shaped_noise import ShapedNoise

RATE_HZ, SLICE_LEN = 8000, 4096
FADE = fade_of(SLICE_LEN)
HOP = SLICE_LEN - FADE


@dataclasses.dataclass
class Memory:
    """A recording in memory, in place of a `Pcm`."""

    x: np.ndarray

    @property
    def frames(self):
        return len(self.x)

    @property
    def channels(self):
        return self.x.shape[1]

    @property
    def peak(self):
        return float(np.abs(self.x).max())

    def read_into(self, array, offset):
        array[:] = self.x[offset : offset + len(array)]


def slices_of(*recordings, slice_len=SLICE_LEN, seed=0):
    """Slices of recordings, float arrays `[frames]` or `[frames, channels]`."""
    recordings = [x.reshape(len(x), -1).astype(np.float32) for x in recordings]
    return loader.Slices(
        [loader.Recording(str(k), Memory(x), "") for k, x in enumerate(recordings)], slice_len, seed=seed
    )


def swelling(seconds, rate_hz=RATE_HZ, every_s=0.25, seed=0):
    """Stereo noise of which highs and lows swell for themselves; right is half of left and half its own."""
    random = np.random.default_rng(seed)
    frames = int(seconds * rate_hz)
    highs, lows = ([1, -0.9], [1]), ([0.1], [1, -0.9])
    parts = []
    for b, a in (highs, lows):
        knots = np.arange(0, frames + every_s * rate_hz, every_s * rate_hz)
        swell_db = np.interp(np.arange(frames), knots, random.uniform(-15, 5, len(knots)))
        left, own = scipy.signal.lfilter(b, a, 0.05 * random.standard_normal([2, frames]))
        parts.append(10 ** (swell_db / 20) * np.stack([left, 0.5 * left + 0.5 * own]))
    return np.sum(parts, axis=0).T


# Cut and put together again.


@pytest.mark.parametrize("make", [Recut, Quilted])
def test_samples_are_the_recordings_but_in_seams(make):
    """Each sample of the recording says where it is; in a seam two of them are summed."""
    step = 2.0**-16
    ramp = step * np.arange(1, 50_000)
    x = make(slices_of(np.stack([ramp, -ramp], axis=1)), RATE_HZ, 0).read(0, 300)
    assert x.shape == (300, SLICE_LEN, 2)
    np.testing.assert_array_equal(x[..., 0], -x[..., 1])
    # Sums that are a step apart by chance are not.
    goes_on = scipy.ndimage.binary_opening(np.diff(x[..., 0]) == step, np.ones([1, 8]))
    first_seams = []
    for row in goes_on:
        changes = np.flatnonzero(np.diff(row, prepend=not row[0], append=not row[-1]))
        lengths = np.diff(changes)
        is_seam = ~row[changes[:-1]]
        assert lengths[is_seam].max() <= FADE + 8
        # Whole stretches between seams are what is left of a piece, and all of them are known.
        inner = lengths[1:-1]
        assert (np.abs(inner[~is_seam[1:-1]] - (SLICE_LEN - 2 * FADE)) <= 8).all()
        if is_seam[1:].any():
            first_seams.append(changes[1:-1][is_seam[1:]][0])
    # Slices begin anywhere: seams lie anywhere in them, evenly but for those that are cut off.
    assert goes_on.mean() == pytest.approx((SLICE_LEN - 2 * FADE) / HOP, abs=0.03)
    if make is Recut:
        assert scipy.stats.kstest(first_seams, scipy.stats.uniform(0, HOP).cdf).pvalue > 1e-3


def test_a_stream_is_as_loud_in_seams_as_elsewhere():
    recording = 0.1 * np.random.default_rng(0).standard_normal(80_000)
    pieces = itertools.islice(Recut(slices_of(recording), RATE_HZ, 0).pieces(0), 60)
    blocks = np.stack(list(stitch(pieces, FADE)))[1:, :, 0]
    seams, others = (np.sqrt(np.mean(part**2)) for part in (blocks[:, :FADE], blocks[:, FADE:]))
    assert seams == pytest.approx(0.1, rel=0.02) and others == pytest.approx(0.1, rel=0.02)
    # The same again and again fades into itself without a bump.
    tone = np.sin(2 * np.pi * np.arange(SLICE_LEN) * 12 / HOP)[:, None].astype(np.float32)
    joined = np.concatenate(list(stitch([tone] * 5, FADE)))[:, 0]
    np.testing.assert_allclose(joined, np.sin(2 * np.pi * np.arange(5 * HOP) * 12 / HOP), atol=2e-3)


def seam_changes_db(stream):
    """How much spectra (Welch) differ from before a seam to after it, dB, one a seam."""
    found = []
    for start in range(HOP, len(stream) - SLICE_LEN, HOP):
        before, after = stream[start - FADE : start], stream[start + FADE : start + 2 * FADE]
        spectra = [scipy.signal.welch(x[:, 0], RATE_HZ, nperseg=128)[1] for x in (before, after)]
        found.append(np.mean(np.abs(10 * np.log10(spectra[0] / spectra[1]))))
    return np.array(found)


def test_quilted_seams_are_smoother_than_random_ones():
    slices = slices_of(swelling(60, every_s=1))
    streams = {}
    for make in (Recut, Quilted):
        pieces = itertools.islice(make(slices, RATE_HZ, 0).pieces(0), 150)
        streams[make] = seam_changes_db(np.concatenate(list(stitch(pieces, FADE))))
    quilted, random = streams[Quilted].mean(), streams[Recut].mean()
    error = np.hypot(*(each.std() / np.sqrt(len(each)) for each in streams.values()))
    assert quilted < 0.8 * random and quilted < random - 4 * error


# Noise of the recordings' statistics.


def envelopes_db(x, low_hz, high_hz, rate_hz):
    """Levels of a band over 10 ms by filter and Hilbert transform."""
    sos = scipy.signal.butter(3, [low_hz, high_hz], "bandpass", fs=rate_hz, output="sos")
    power = np.abs(scipy.signal.hilbert(scipy.signal.sosfiltfilt(sos, x, axis=1), axis=1)) ** 2
    step = rate_hz // 100
    power = power[:, step : power.shape[1] // step * step - step]
    return 10 * np.log10(power.reshape(len(x), -1, step).mean(axis=2) + 1e-12)


@pytest.mark.parametrize("rate_hz", [8000, 48000])
def test_shaped_noise_has_spectrum_envelopes_and_image_of_the_recordings(rate_hz):
    slice_len = 4096 if rate_hz == 8000 else 8192
    slices = slices_of(swelling(60 if rate_hz == 8000 else 10, rate_hz), slice_len=slice_len)
    count = 100 if rate_hz == 8000 else 50
    real, shaped = slices.read(1000, count), ShapedNoise(slices, rate_hz, 0).read(0, count)
    power = anchors.mean_power(slices.read, count)
    coloured = anchors.make_noise(power, slice_len, 0)(0, count)
    spectra = [scipy.signal.welch(x, rate_hz, nperseg=256, axis=1)[1].mean(axis=0) for x in (real, shaped)]
    difference_db = 10 * np.log10(spectra[1] / spectra[0])[2:-2]
    assert np.abs(difference_db).max() < 2.5 and np.abs(difference_db).mean() < 1
    for low_hz, high_hz in ((200, 600), (1000, 2000), (2200, 3800)):
        quantiles = [
            np.quantile(envelopes_db(x[..., 0], low_hz, high_hz, rate_hz), [0.05, 0.25, 0.5, 0.75, 0.95])
            for x in (real, shaped, coloured)
        ]
        assert np.abs(quantiles[1] - quantiles[0]).max() < 2
        assert np.abs(quantiles[2] - quantiles[0]).max() > 3
        # How the level moves over 60 ms, of highs and of lows.
        moves = [
            np.diff(envelopes_db(x[..., 0], low_hz, high_hz, rate_hz)[:, ::6], axis=1).std() for x in (real, shaped)
        ]
        assert moves[1] == pytest.approx(moves[0], rel=0.25)
    image = [np.corrcoef(x.reshape(-1, 2).T)[0, 1] for x in (real, shaped, coloured)]
    assert image[1] == pytest.approx(image[0], abs=0.1) and abs(image[2]) < 0.1 < 0.5 < image[0]
    # It is made anew each time.
    assert np.abs(np.corrcoef(shaped[:, :, 0]) - np.eye(count)).max() < 0.5


def test_bands_of_a_sound_are_its_own_and_can_be_set():
    x = np.random.default_rng(0).normal(0, 0.1, [40_000, 2]).astype(np.float32)
    courses = BandCourses(16000)
    spectra = courses.to_spectra(x)
    np.testing.assert_allclose(courses.to_sound(spectra, len(x)), x, atol=1e-6)
    assert courses.levels(spectra).shape == (*spectra.shape[:2], courses.bands)
    gains = np.zeros(courses.bands, np.float32)
    gains[-4:] = np.log(4)
    louder = courses.amplify(spectra, gains)
    np.testing.assert_allclose(courses.levels(louder), courses.levels(spectra) + gains, atol=1e-4)
    # White noise: all bands have the power of one frequency of a window, 128 of sin^2.
    np.testing.assert_allclose(np.exp(courses.levels(spectra)[1:-2]).mean(axis=(0, 1)), 0.01 * 128, rtol=0.15)


# Of all of them.


@pytest.mark.parametrize("name", IMITATIONS)
def test_a_slice_is_the_same_whatever_is_read_beside_it(name):
    recording = fire(20, RATE_HZ)
    first, second, other = (IMITATIONS[name](slices_of(recording, seed=k), RATE_HZ, k) for k in (3, 3, 4))
    x = first.read(0, 6)
    np.testing.assert_array_equal(x[4:], second.read(4, 2))
    assert len({each.tobytes() for each in x}) == 6
    assert not np.array_equal(x, other.read(0, 6))
    stream = [list(itertools.islice(each.pieces(0), 3)) for each in (first, second)]
    np.testing.assert_array_equal(*stream)


@pytest.mark.parametrize("name", IMITATIONS)
@pytest.mark.parametrize("channels", [1, 2])
def test_odd_recordings(name, channels):
    """Silence, sound that begins after silence, and as short as two slices."""
    random = np.random.default_rng(0)
    loud = 0.5 * random.standard_normal([2 * SLICE_LEN, channels])
    late = np.concatenate([np.zeros_like(loud), loud])
    for recordings, silent in (([np.zeros_like(loud)], 1), ([loud, loud[:SLICE_LEN]], 0), ([late, 0 * late], None)):
        made = IMITATIONS[name](slices_of(*recordings), RATE_HZ, 0)
        x = made.read(0, 12)
        assert x.shape == (12, SLICE_LEN, channels) and x.dtype == np.float32
        assert np.isfinite(x).all() and np.abs(x).max() <= max(1, np.abs(loud).max() * 2)
        is_silent = np.sqrt(np.mean(x**2, axis=(1, 2))) < 1e-4
        assert is_silent.mean() == silent if silent is not None else 0 < is_silent.mean() < 1
