"""Statistics of textures and their energy distance against SciPy, formulas and sounds of known statistics."""

import numpy as np
import pytest
import scipy.signal
import scipy.spatial.distance
import scipy.stats
import tensorflow as tf

import texture

X = np.random.default_rng(0).normal(0, 0.1, [3, 16384, 2]).astype(np.float32)


@pytest.mark.parametrize("window_len", texture.WINDOWS)
def test_spectrogram_equals_scipys(window_len):
    _, _, spectra = scipy.signal.stft(
        X, nperseg=window_len, noverlap=window_len * 3 // 4, boundary="even", padded=False, axis=1
    )
    power = np.abs(2 * spectra[:, :-1]) ** 2  # [batch, bins, channels, frames]
    expected = np.transpose(np.log(power + texture.FLOOR**2) / 2, [0, 2, 3, 1])
    np.testing.assert_allclose(texture.log_spectrogram(X, window_len), expected, rtol=1e-3, atol=1e-3)


def test_means_and_deviations_equal_numpys():
    found = texture.statistics(X)
    levels = texture.log_spectrogram(X, 512).numpy().astype(np.float64)
    np.testing.assert_allclose(found[0], levels.mean(axis=2), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[1], levels.std(axis=2), rtol=1e-2, atol=1e-3)
    assert len(found) == 2 + 2 * 4 + 2 + 2 * 2 + 2 + 2  # windows of 129, 33 and 9 frames
    assert [part.shape[1] for part in found] == [2] * len(found)


def test_louder_moves_only_means():
    quiet, loud = texture.statistics(1e6 * X), texture.statistics(1e7 * X)
    is_mean = [part.shape[2] != texture.BANDS and i % 2 == 0 for i, part in enumerate(quiet)]
    for moves, a, b in zip(is_mean, quiet, loud):
        np.testing.assert_allclose(b - a, np.full(a.shape, np.log(10) if moves else 0), atol=2e-2)


def test_rises_and_falls():
    """A sound that swells slowly and stops has more of its change in the falls, and reversed in the rises."""
    envelope = np.tile(np.linspace(0.01, 1, 4096) ** 2, 4)[:, None]
    x = (X[:1] * envelope).astype(np.float32)
    slow = texture.statistics(x)[5]  # window 512, scale 3
    reversed_ = texture.statistics(x[:, ::-1])[5]
    assert np.mean(slow) < -0.1 and np.mean(reversed_) > 0.1


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
        float(texture.distance(*random.normal(0, 0.1, [2, 8, 4096, 1]).astype(np.float32).copy())) for _ in range(30)
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))
    louder = texture.distance(*(random.normal(0, 0.1, [2, 8, 4096, 1]) * [[[[1]]], [[[1.2]]]]).astype(np.float32))
    assert louder > np.mean(found) + 10 * np.std(found)


def hear(change):
    """The distance of changed noise from noise."""
    random = np.random.default_rng(4)
    x, y = random.normal(0, 0.1, [2, 8, 16384, 1])
    return float(texture.distance(change(x).astype(np.float32), y.astype(np.float32)))


def test_hears_what_differs():
    t = np.arange(16384)[:, None]
    same = hear(lambda x: x)
    # A comb: the sound repeats every 1024 samples.
    comb = hear(lambda x: np.tile(x[:, :1024], [1, 16, 1]))
    swells = hear(lambda x: x * (1 + 0.8 * np.sin(2 * np.pi * t / 4096)))
    colour = hear(lambda x: scipy.signal.lfilter([1, 0.5], [1], x, axis=1))
    one_for_all = hear(lambda x: np.repeat(x[:1], 8, axis=0))
    assert min(comb, swells, colour, one_for_all) > same + 0.3


def test_hears_the_ends_of_a_slice():
    def hear_burst(start):
        return hear(lambda x: x + 2 * (np.arange(16384)[:, None] // 300 == start // 300) * x)

    middle = hear_burst(8100)
    assert hear_burst(0) > middle / 2 and hear_burst(16200) > middle / 2


@pytest.mark.parametrize("samples", [4096, 16384])
def test_silence_and_copies_have_a_gradient(samples):
    x = tf.zeros([2, samples, 1])
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = texture.distance(x, tf.constant(X[:2, :samples, :1]))
    gradient = tape.gradient(found, x)
    assert np.isfinite(found) and np.isfinite(gradient).all()
