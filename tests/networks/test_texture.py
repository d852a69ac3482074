"""Statistics of textures and their energy distance against SciPy, formulas and sounds of known statistics."""

import numpy as np
import pytest
import scipy.signal
import scipy.spatial.distance
import scipy.stats
import tensorflow as tf

from wavegan_asmr.networks import texture

POWER = 0.01
X = np.random.default_rng(0).normal(0, POWER**0.5, [3, 16384, 2]).astype(np.float32)


@pytest.mark.parametrize("window_len", texture.WINDOWS)
def test_spectrogram_equals_scipys(window_len):
    _, _, spectra = scipy.signal.stft(
        X, nperseg=window_len, noverlap=window_len * 3 // 4, boundary="even", padded=False, axis=1
    )
    power = np.abs(2 * spectra[:, :-1]) ** 2  # [batch, bins, channels, frames]
    expected = np.transpose(np.log(power + 1e-6 * POWER) / 2, [0, 2, 3, 1])
    np.testing.assert_allclose(texture.log_spectrogram(X, window_len, POWER), expected, rtol=1e-3, atol=1e-3)


def test_means_and_deviations_equal_numpys():
    found = texture.statistics(X, POWER)
    levels = texture.log_spectrogram(X, 512, POWER).numpy().astype(np.float64)
    np.testing.assert_allclose(found[0], levels.mean(axis=2), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[1], levels.std(axis=2), rtol=1e-2, atol=1e-3)
    assert len(found) == 2 + 2 * 4 + 2 + 2 * 2 + 2 + 2  # windows of 129, 33 and 9 frames
    assert [part.shape[1] for part in found] == [2] * len(found)


def test_louder_moves_only_means():
    quiet, loud = texture.statistics(1e6 * X, POWER), texture.statistics(1e7 * X, POWER)
    is_mean = [part.shape[2] != texture.BANDS and i % 2 == 0 for i, part in enumerate(quiet)]
    for moves, a, b in zip(is_mean, quiet, loud):
        np.testing.assert_allclose(b - a, np.full(a.shape, np.log(10) if moves else 0), atol=2e-2)


def test_rises_and_falls():
    """A sound that swells slowly and stops has more of its change in the falls, and reversed in the rises."""
    envelope = np.tile(np.linspace(0.01, 1, 4096) ** 2, 4)[:, None]
    x = (X[:1] * envelope).astype(np.float32)
    slow = texture.statistics(x, POWER)[5]  # window 512, scale 3
    reversed_ = texture.statistics(x[:, ::-1], POWER)[5]
    assert np.mean(slow) < -0.1 and np.mean(reversed_) > 0.1


@pytest.mark.parametrize("samples", [4096, 16384])
def test_repetition_equals_numpys_autocorrelation(samples):
    x = np.random.default_rng(5).normal(0.02, 0.1, [samples, 1]).astype(np.float32)
    x[samples // 4 :] += x[: -samples // 4]
    found = texture.repetition(tf.constant(x[None]))[0, 0].numpy()
    hop = samples // 16
    lags = [hop * n for n in range(1, 9)] + [hop // 4 * n for n in range(1, 4)] + [hop // 16 * n for n in range(1, 4)]
    centred = x[:, 0].astype(np.float64) - x.mean()
    means = [np.mean(centred[lag:] * centred[:-lag]) for lag in lags]
    np.testing.assert_allclose(found, np.array(means) / np.mean(centred**2), atol=1e-4)
    assert 0.4 < found[3] < 0.7 and np.abs(np.delete(found, [3, 7])).max() < 0.3


def test_energy_distance_equals_its_formula():
    random = np.random.default_rng(1)
    x, y = random.normal(0, 1, [2, 7, 2, 5])
    y += 1
    flat_x, flat_y = x.reshape(7, -1), y.reshape(7, -1)
    expected = 2 * scipy.spatial.distance.cdist(flat_x, flat_y).mean()
    expected -= scipy.spatial.distance.pdist(flat_x).mean() + scipy.spatial.distance.pdist(flat_y).mean()
    np.testing.assert_allclose(texture.energy_distance(x, y), expected / np.sqrt(10), rtol=1e-6)


def test_energy_distance_of_numbers_equals_scipys():
    """SciPy's is of distributions, with the distance of a point from itself, and its square root."""
    x, y = np.random.default_rng(2).normal(0, 1, [2, 400])
    y = 2 * y + 0.5
    expected = scipy.stats.energy_distance(x, y) ** 2
    np.testing.assert_allclose(texture.energy_distance(x[:, None], y[:, None]), expected, atol=0.01)


def test_same_sounds_have_distance_zero_on_average():
    random = np.random.default_rng(3)
    found = [
        float(texture.distance(*random.normal(0, 0.1, [2, 8, 4096, 1]).astype(np.float32).copy(), POWER))
        for _ in range(30)
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))
    x, y = random.normal(0, 0.1, [2, 8, 4096, 1]).astype(np.float32)
    louder = texture.distance(x, 1.2 * y, POWER)
    assert louder > np.mean(found) + 10 * np.std(found)


def hear(change, level=0.1):
    """The distance of changed noise from noise."""
    random = np.random.default_rng(4)
    x, y = random.normal(0, 0.1, [2, 8, 16384, 1])
    scale = level / 0.1
    return float(
        texture.distance((scale * change(x)).astype(np.float32), (scale * y).astype(np.float32), POWER * scale**2)
    )


def test_hears_what_differs():
    t = np.arange(16384)[:, None]
    same = hear(lambda x: x)
    # A comb: the sound repeats every 1024 samples.
    comb = hear(lambda x: np.tile(x[:, :1024], [1, 16, 1]))
    slow_comb = hear(lambda x: (x + 0.6 * np.tile(x[:, :3072], [1, 6, 1])[:, :16384]) / 1.17)
    swells = hear(lambda x: x * (1 + 0.8 * np.sin(2 * np.pi * t / 4096)))
    colour = hear(lambda x: scipy.signal.lfilter([1, 0.5], [1], x, axis=1))
    one_for_all = hear(lambda x: np.repeat(x[:1], 8, axis=0))
    assert min(comb, slow_comb, swells, colour, one_for_all) > same + 0.3


def test_hears_as_much_in_quiet_recordings():
    """High frequencies of a recording at -46 dB are below -80 dB in each line of a long window."""

    def without_highs(x):
        return scipy.signal.lfilter([0.5, 0.5], [1], x, axis=1)

    assert hear(without_highs, level=0.005) == pytest.approx(hear(without_highs), rel=0.05)


def test_hears_the_ends_of_a_slice():
    def hear_burst(start):
        return hear(lambda x: x + 2 * (np.arange(16384)[:, None] // 300 == start // 300) * x)

    middle = hear_burst(8100)
    assert hear_burst(0) > middle / 2 and hear_burst(16200) > middle / 2


@pytest.mark.parametrize("power", [0.0, POWER])
@pytest.mark.parametrize("samples", [4096, 16384])
def test_silence_and_copies_have_a_gradient(samples, power):
    x = tf.zeros([2, samples, 1])
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = texture.distance(x, tf.constant(X[:2, :samples, :1]), power)
    gradient = tape.gradient(found, x)
    assert np.isfinite(found) and np.isfinite(gradient).all()
