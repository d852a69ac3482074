"""Measurements of slices against independent formulas, and what the embedding tells apart."""

import librosa
import numpy as np
import pytest
import scipy.signal
import sounds

from wavegan_asmr.evaluation import distances
from wavegan_asmr.sound import features

RATE_HZ, SAMPLES = 8000, 4096


def noise(n, samples=16384, channels=1, rms=0.1, seed=0):
    return (rms * np.random.default_rng(seed).standard_normal([n, samples, channels])).astype(np.float32)


def sine(hz, samples=16384, rate_hz=16000, level=0.5):
    return (level * np.sin(2 * np.pi * hz * np.arange(samples) / rate_hz)).astype(np.float32)[None, :, None]


def tiled(period, samples=16384, seed=0):
    """Noise that repeats itself."""
    return np.tile(noise(1, period, seed=seed), [1, samples // period + 1, 1])[:, :samples]


@pytest.mark.parametrize("samples, hop", [(4096, 128), (16384, 512), (65536, 1024)])
def test_log_mel_is_librosas(samples, hop):
    x = noise(2, samples) * np.linspace(0, 1, samples, dtype=np.float32)[None, :, None]
    ours = features.log_mel(x, 16000)
    scale = (2 / scipy.signal.get_window("hann", 2048).sum()) ** 2
    for clip, db in zip(x[:, :, 0], ours):
        power = librosa.feature.melspectrogram(
            y=clip, sr=16000, n_fft=2048, hop_length=hop, n_mels=128, norm=None, pad_mode="constant"
        )
        np.testing.assert_allclose(db, np.maximum(10 * np.log10(scale * power.T), -90), atol=1e-2)


def test_level_of_a_full_scale_sine_is_0_db():
    assert features.log_mel(sine(1000, level=1.0), 16000).max() == pytest.approx(0, abs=1)
    health = features.health(sine(1000, level=1.0), 16000)
    assert health["rms_db"] == pytest.approx(-3.01, abs=0.01)
    assert health["peak_db"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("samples", [4096, 8192, 16384, 65536, 262144])
@pytest.mark.parametrize("rate_hz, channels", [(1000, 1), (16000, 3), (192000, 2)])
def test_every_length_rate_and_number_of_channels(samples, rate_hz, channels):
    x = noise(2, samples, channels)
    x[1] = 0
    embedding = features.embed(x, rate_hz)
    assert embedding.shape == (2, features.EMBEDDING_DIM)
    assert embedding.dtype == np.float64
    facts = features.measure(x, rate_hz)
    log_mel = features.log_mel(x, rate_hz)
    assert log_mel.shape[0::2] == (2, 128)
    for values in (embedding, log_mel, *facts.values()):
        assert np.isfinite(values).all()
    assert all(fact.shape == (2,) and fact.dtype == np.float64 for fact in facts.values())
    # A slice is measured by itself.
    np.testing.assert_allclose(features.embed(x[:1], rate_hz), embedding[:1], atol=1e-3)


def test_channels_count_alike():
    """Of equal channels, all but the image is that of one; of opposite ones too."""
    x = noise(3)
    for both, width in ((np.concatenate([x, x], axis=2), -20.0), (np.concatenate([x, -x], axis=2), 20.0)):
        one, two = (features.embed(each, 16000) for each in (x, both))
        np.testing.assert_allclose(two[:, :77], one[:, :77], atol=1e-3)
        np.testing.assert_allclose(two[:, 77:81], np.full([3, 4], width), atol=1e-2)
        np.testing.assert_allclose(two[:, 81:], np.zeros([3, 4]), atol=1e-3)
        for name, values in features.periodicity(x, 16000).items():
            np.testing.assert_allclose(features.periodicity(both, 16000)[name], values, rtol=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_but_with_two_channels_there_is_no_image(channels):
    x = noise(2, channels=channels)
    np.testing.assert_allclose(features.embed(x, 16000)[:, 77:], np.tile([-20.0] * 4 + [0.0] * 4, [2, 1]), atol=1e-2)
    assert (features.image(x, 16000)["correlation"] == 1).all() and (features.image(x, 16000)["balance_db"] == 0).all()


@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.7, 0.95])
def test_image_by_the_formulas_of_mixtures(correlation):
    """Of channels mixed from independent noises; left is twice as loud."""
    a, b = noise(2, 20 * 16384).reshape(2, 20, 16384)
    x = np.stack([2 * a, correlation * a + np.sqrt(1 - correlation**2) * b], axis=2).astype(np.float32)
    facts = features.image(x, 44100)
    np.testing.assert_allclose(facts["correlation"].mean(), correlation, atol=0.02)
    np.testing.assert_allclose(facts["balance_db"].mean(), 20 * np.log10(2), atol=0.1)
    embedding = features.embed(x, 44100).mean(axis=0)
    width = 10 * np.log10((1 - correlation) / (1 + correlation))
    np.testing.assert_allclose(embedding[77:81], np.full(4, width), atol=0.5)
    np.testing.assert_allclose(embedding[81:], np.full(4, 20 * np.log10(2)), atol=0.3)


def test_an_image_that_differs_by_range_of_frequencies():
    """Lows in the middle, highs wide."""
    middle, left, right = noise(3, 65536)[:, :, 0]
    lows, highs = (scipy.signal.butter(8, 3000, kind, fs=44100, output="sos") for kind in ("low", "high"))
    sides = [scipy.signal.sosfilt(lows, middle) + scipy.signal.sosfilt(highs, side) for side in (left, right)]
    embedding = features.embed(np.stack(sides, axis=1)[None].astype(np.float32), 44100)[0, 77:81]
    assert embedding[0] < -18 and abs(embedding[3]) < 1


def test_sounds_up_to_20_khz_are_heard():
    """Of 44.1 kHz; what is above is not."""

    def level_of(hz):
        return features.embed(noise(1, 65536, rms=1e-4) + sine(hz, 65536, 44100, 0.1), 44100)[0, :20]

    quiet = features.embed(noise(1, 65536, rms=1e-4), 44100)[0, :20]
    assert (level_of(19000) - quiet).max() > 20
    assert (level_of(21000) - quiet).max() < 3


def test_windows_follow_the_rate():
    """The same sound at another rate, in bands that both have, is described alike."""
    x = scipy.signal.sosfilt(scipy.signal.butter(8, 5000, fs=44100, output="sos"), noise(8, 65536), axis=1)
    resampled = scipy.signal.resample_poly(x, 320, 441, axis=1)[:, : 65536 * 320 // 441 // 2 * 2]
    rates = {44100: x.astype(np.float32), 32000: resampled.astype(np.float32)}
    modulations = [features.embed(each, rate_hz)[:, 40:44].mean(axis=0) for rate_hz, each in rates.items()]
    np.testing.assert_allclose(*[each[:2] for each in modulations], rtol=0.25)


def test_highs_by_their_share():
    white = features.health(noise(1, 65536), 44100)["highs_db"]
    edges = librosa.mel_frequencies(5, fmax=20000)
    assert white == pytest.approx(10 * np.log10((20000 - edges[3]) / 22050), abs=0.2)
    dull = scipy.signal.sosfilt(scipy.signal.butter(4, 6000, fs=44100, output="sos"), noise(1, 65536), axis=1)
    assert features.health(dull.astype(np.float32), 44100)["highs_db"] < white - 10


def test_autocorrelation_by_brute_force():
    x = noise(1, 5000, channels=2) + 0.3
    x[:, :, 1] *= np.linspace(0, 1, 5000)
    centred = (x[0] - x[0].mean(axis=0)).astype(np.float64)
    sums = sum(np.correlate(c, c, "full")[len(c) - 1 :] for c in centred.T)
    expected = sums / (5000 - np.arange(5000)) / (sums[0] / 5000)
    facts = features.periodicity(x, 16000)
    assert facts["autocorrelation"] == pytest.approx(expected[50:2501].max(), abs=1e-4)
    assert facts["autocorrelation_4k"] == pytest.approx(max(expected[lag] for lag in (64, 256, 1024)), abs=1e-4)


@pytest.mark.parametrize("samples, period", [(4096, 256), (16384, 1024), (16384, 64), (65536, 4096), (262144, 16384)])
def test_a_comb_at_a_power_of_4_is_seen(samples, period):
    facts = features.periodicity(tiled(period, samples), 16000)
    assert facts["autocorrelation_4k"] > 0.95
    assert facts["fine_peak_db"] > 20
    plain = features.periodicity(noise(1, samples), 16000)
    assert plain["autocorrelation_4k"] < 0.1
    assert plain["fine_peak_db"] < 12


def test_a_period_that_is_no_power_of_4_is_seen_elsewhere():
    facts = features.periodicity(tiled(700), 16000)
    assert facts["autocorrelation"] > 0.95
    assert facts["autocorrelation_4k"] < 0.3


def test_fine_spectrum_of_noise_is_that_of_rayleigh():
    # The logarithm of an exponential variable deviates by pi / sqrt(6), and -log(0.001) is 10.9 dB over its mean.
    coloured = scipy.signal.lfilter([0.1], [1, -0.9], noise(20), axis=1).astype(np.float32)
    for x in (noise(20), coloured, noise(20, 32768, channels=2)):
        facts = features.periodicity(x, 16000)
        assert facts["fine_deviation_db"].mean() == pytest.approx(10 / np.log(10) * np.pi / np.sqrt(6), abs=0.2)
        euler = 10 * np.log10(-np.log(0.001)) + 10 / np.log(10) * np.euler_gamma
        assert facts["fine_peak_db"].mean() == pytest.approx(euler, abs=0.6)


def test_fine_spectrum_by_its_formula():
    x = noise(1) + sine(3000)
    window = np.hanning(16385)[:-1]
    power = np.abs(np.fft.rfft(x[0, :, 0] * window * 2 / window.sum())) ** 2
    db = 10 * np.log10(power + 1e-12)
    fine = db - np.convolve(np.pad(db, 50, "symmetric"), np.ones(101) / 101, "valid")
    facts = features.periodicity(x, 16000)
    assert facts["fine_deviation_db"] == pytest.approx(fine.std(), rel=1e-3)
    assert facts["fine_peak_db"] == pytest.approx(np.percentile(fine, 99.9), rel=1e-3)


def test_health_by_its_formulas():
    x = noise(2, 8192, channels=2, rms=0.4) + np.float32(0.1)
    x[1] = np.clip(x[1] * 3, -1, 1)
    facts = features.health(x, 44100)
    np.testing.assert_allclose(facts["rms_db"], 10 * np.log10(np.mean(x.astype(float) ** 2, axis=(1, 2))), atol=1e-6)
    np.testing.assert_allclose(facts["peak_db"], 20 * np.log10(np.abs(x).max(axis=(1, 2))), atol=1e-6)
    np.testing.assert_allclose(facts["dc"], x.astype(float).mean(axis=(1, 2)), atol=1e-9)
    np.testing.assert_array_equal(facts["clipped"] > 0.2, [False, True])
    np.testing.assert_array_equal(facts["silent"], [0, 0])
    np.testing.assert_array_equal(features.health(x * 1e-4, 44100)["silent"], [1, 1])


def test_colour_of_tones_and_noise():
    facts = features.health(np.concatenate([sine(1000), sine(6000), noise(1), 0 * noise(1)]), 16000)
    np.testing.assert_allclose(facts["centroid_hz"][:3], [1000, 6000, 4000], rtol=0.02)
    assert facts["centroid_hz"][3] == 0
    assert (facts["flatness"][:2] < 0.01).all()
    assert facts["flatness"][2] > 0.95


def test_reversed_sound_has_the_opposite_direction():
    x = sounds.cut(sounds.fire(20, RATE_HZ), 50, SAMPLES)
    forward, backward = features.embed(x, RATE_HZ), features.embed(x[:, ::-1], RATE_HZ)
    level, direction, trend = slice(0, 20), slice(52, 64), slice(64, 68)
    np.testing.assert_allclose(backward[:, level], forward[:, level], atol=0.5)
    np.testing.assert_allclose(backward[:, direction], -forward[:, direction], atol=1.0)
    np.testing.assert_allclose(backward[:, trend], -forward[:, trend], atol=1.0)
    # Crackles, in the upper half of the frequencies, rise at once and fall slowly.
    assert (forward[:, direction].mean(axis=0)[2:4] > 1).all()


def recordings(kind, tmp_path):
    """Two sets of slices of the same sounds, and one of others."""
    if kind == "fire":
        return [sounds.cut(sounds.fire(120, RATE_HZ, seed), 250, SAMPLES, seed) for seed in (0, 1)]
    x = sounds.plucks(tmp_path / "plucks.wav", 60, RATE_HZ)
    return [sounds.cut(x, 250, SAMPLES, seed) for seed in (0, 1)]


@pytest.fixture
def distance():
    """Function: Fréchet distance of the embeddings of two sets of slices."""

    def measure(a, b):
        return distances.frechet_distance(features.embed(a, RATE_HZ), features.embed(b, RATE_HZ))

    return measure


@pytest.mark.parametrize("kind", ["fire", "plucks"])
def test_the_embedding_tells_damage_apart_in_order_of_strength(kind, distance, tmp_path):
    real, x = recordings(kind, tmp_path)
    [others, _] = recordings("plucks" if kind == "fire" else "fire", tmp_path)
    level = np.sqrt(np.mean(x**2))
    white = noise(len(x), SAMPLES, rms=level, seed=9)
    peaks = np.abs(x).max(axis=1, keepdims=True)

    def lowpass(share):
        sos = scipy.signal.butter(4, share, output="sos")
        return scipy.signal.sosfiltfilt(sos, x, axis=1).astype(np.float32)

    def replace(share, by):
        changed = x.copy()
        k = int(share * len(x))
        changed[:k] = by[:k]
        return changed

    damages = {
        "noise": [x + 10 ** (-db / 20) * white for db in (20, 10, 0)],
        "low pass": [lowpass(share) for share in (0.9, 0.7, 0.5)],
        "clipping": [np.clip(x, -share * peaks, share * peaks) for share in (0.5, 0.2, 0.05)],
        "reversal": [replace(share, x[:, ::-1]) for share in (0.5, 1)],
        "mixture": [replace(share, others) for share in (0.1, 0.4, 0.8)],
        "repetition": [replace(share, np.repeat(x[:1], len(x), axis=0)) for share in (0.4, 0.7, 1)],
    }
    floor = distance(x, real)
    ceiling = distance(white, real)
    assert floor < 0.1 * ceiling
    for name, damaged in damages.items():
        distances = [floor, *(distance(each, real) for each in damaged)]
        assert distances == sorted(distances), (name, distances)
        assert distances[-1] > floor + 0.003 * ceiling, (name, distances)


def test_the_embedding_hears_a_metallic_comb(distance):
    # As generators make it: the colour and level of the sound, repeated every 256 samples.
    real, x = recordings("fire", None)
    spectrum = np.abs(np.fft.rfft(x[:, :1024], axis=1))
    phases = np.exp(2j * np.pi * np.random.default_rng(0).random(spectrum.shape))
    period = np.fft.irfft(spectrum * phases, axis=1)[:, :256]
    comb = np.tile(period, [1, SAMPLES // 256, 1]).astype(np.float32)
    mixed = [(1 - share) * x + share * comb for share in (0.3, 0.6, 1)]
    distances = [distance(each, real) for each in (x, *mixed)]
    assert distances == sorted(distances)
    assert distances[-1] > 3 * distances[0]
