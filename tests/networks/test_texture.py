"""Statistics of textures and their energy distance against SciPy, formulas and sounds of known statistics."""

import numpy as np
import pytest
import scipy.signal
import scipy.spatial.distance
import scipy.stats
import tensorflow as tf

from wavegan_asmr.networks import texture

POWER = 0.01
RATE_HZ = 16000
WINDOWS = (512, 2048, 8192)
X = np.random.default_rng(0).normal(0, POWER**0.5, [3, 16384, 2]).astype(np.float32)


@pytest.mark.parametrize("window_len", WINDOWS)
def test_spectrogram_equals_scipys(window_len):
    _, _, spectra = scipy.signal.stft(
        X, nperseg=window_len, noverlap=window_len // 2, boundary="even", padded=False, axis=1
    )
    power = np.abs(2 * spectra) ** 2  # [batch, bins, channels, frames]
    expected = np.transpose(np.log(power + 1e-6 * POWER) / 2, [0, 2, 3, 1])
    np.testing.assert_allclose(texture.log_spectrogram(X, window_len, POWER), expected, rtol=1e-3, atol=1e-3)


def test_means_and_deviations_equal_numpys():
    means, deviations = texture.statistics(X, 512, POWER, RATE_HZ)[0]
    levels = texture.log_spectrogram(X, 512, POWER).numpy().astype(np.float64)[..., :-1]
    np.testing.assert_allclose(means, levels.mean(axis=2), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(deviations, levels.std(axis=2), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(("window_len", "scales"), [(512, 3), (2048, 2), (8192, 1)])
def test_scales(window_len, scales):
    shapes = [part.shape for part in texture.statistics(X, window_len, POWER, RATE_HZ)]
    assert shapes == [(2, 3, 2, window_len // 2), (2 * scales, 3, 2, 32)]


@pytest.mark.parametrize("window_len", WINDOWS)
def test_louder_moves_only_means(window_len):
    (means, deviations), changes = texture.statistics(1e6 * X, window_len, POWER, RATE_HZ)
    (loud_means, loud_deviations), loud_changes = texture.statistics(1e7 * X, window_len, POWER, RATE_HZ)
    np.testing.assert_allclose(loud_means - means, np.full(means.shape, np.log(10)), atol=2e-2)
    np.testing.assert_allclose(loud_deviations, deviations, atol=2e-2)
    np.testing.assert_allclose(loud_changes, changes, atol=2e-2)


def test_rises_and_falls():
    """A sound that swells slowly and stops has more of its change in the falls, and reversed in the rises."""
    envelope = np.tile(np.linspace(0.01, 1, 4096) ** 2, 4)[:, None]
    x = (X[:1] * envelope).astype(np.float32)
    slow, reversed_ = (texture.statistics(each, 512, POWER, RATE_HZ)[1][3] for each in (x, x[:, ::-1]))  # scale 3
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
    for far in (0, 30):
        found = texture.energy_distance((flat_x + far).astype(np.float32), (flat_y + far).astype(np.float32))
        np.testing.assert_allclose(found, expected / np.sqrt(10), rtol=1e-5)


def test_energy_distance_of_numbers_equals_scipys():
    """SciPy's is of distributions, with the distance of a point from itself, and its square root."""
    x, y = np.random.default_rng(2).normal(0, 1, [2, 400]).astype(np.float32)
    y = 2 * y + np.float32(0.5)
    expected = scipy.stats.energy_distance(x, y) ** 2
    np.testing.assert_allclose(texture.energy_distance(x[:, None], y[:, None]), expected, atol=0.01)


def test_same_sounds_have_distance_zero_on_average():
    random = np.random.default_rng(3)
    found = [
        float(texture.distance(*random.normal(0, 0.1, [2, 8, 4096, 1]).astype(np.float32).copy(), POWER, RATE_HZ))
        for _ in range(30)
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))
    x, y = random.normal(0, 0.1, [2, 8, 4096, 1]).astype(np.float32)
    louder = texture.distance(x, 1.2 * y, POWER, RATE_HZ)
    assert louder > np.mean(found) + 10 * np.std(found)


def plain_distance(x, y, power, rate_hz):
    """The distance as it is defined, by TensorFlow's own transforms and gradients, without the highest frequency."""

    def describe(x):
        windows, bands, highest_hz = {16000: (WINDOWS, 32, 8000.0), 44100: ((1024, 4096, 16384), 45, 22050.0)}[rate_hz]
        for window_len in (each for each in windows if each < x.shape[1]):
            spectra = plain_spectra(x, window_len)
            powers = tf.math.real(spectra) ** 2 + tf.math.imag(spectra) ** 2
            levels = tf.math.log(powers + 1e-6 * power + 1e-12) / 2
            yield tf.reduce_mean(levels, axis=2)
            yield tf.sqrt(tf.math.reduce_variance(levels, axis=2) + 1e-4)
            weights = tf.signal.linear_to_mel_weight_matrix(bands, window_len // 2, rate_hz, 60.0, highest_hz)
            weights /= tf.reduce_sum(weights, axis=0)
            bands_of_levels = tf.tensordot(levels, weights, 1)
            for scale in (each for each in (1, 3, 9, 27, 81) if 4 * each <= bands_of_levels.shape[2]):
                last = bands_of_levels.shape[2] - scale + 1
                means = tf.add_n([bands_of_levels[:, :, i : last + i] for i in range(scale)]) / scale
                changes = means[:, :, scale:] - means[:, :, :-scale]
                rms = [tf.sqrt(tf.reduce_mean(tf.nn.relu(each) ** 2, axis=2) + 1e-4) for each in (changes, -changes)]
                yield tf.sqrt(tf.reduce_mean(changes**2, axis=2) + 1e-4)
                yield rms[0] - rms[1]
            if x.shape[2] == 2 and window_len == windows[1]:
                left, right = spectra[:, 0], spectra[:, 1]
                cross = tf.reduce_mean(tf.math.real(left * tf.math.conj(right)), axis=1)
                cross, left, right = (
                    tf.matmul(each, weights) for each in (cross, *tf.unstack(tf.reduce_mean(powers, 2), axis=1))
                )
                floor = 1e-6 * power + 1e-12
                yield (cross / tf.sqrt((left + floor) * (right + floor)))[:, None]
        yield plain_repetition(x)

    def plain_spectra(x, window_len):
        padded = tf.pad(tf.transpose(x, [0, 2, 1]), [[0, 0], [0, 0], [window_len // 2] * 2], "REFLECT")
        return tf.signal.stft(padded, window_len, window_len // 2)[..., :-1] * 4 / window_len

    def plain_repetition(x):
        samples = x.shape[1]
        x = x - tf.reduce_mean(x, axis=1, keepdims=True)
        hops = [(samples // 16, 8), (samples // 64, 3), (samples // 256, 3)]
        lags = [hop * n for hop, most in hops for n in range(1, most + 1)]
        means = [tf.reduce_mean(x[:, lag:] * x[:, :-lag], axis=1) for lag in lags]
        return tf.stack(means, axis=2) / (tf.reduce_mean(x**2, axis=1)[:, :, None] + 1e-12)

    def mean_distance(x, y, pairs):
        squares = tf.reduce_mean((x[:, None] - y[None]) ** 2, axis=[2, 3])
        return tf.reduce_sum(tf.sqrt(squares + 1e-8) * pairs) / tf.reduce_sum(pairs)

    def plain_energy_distance(x, y):
        every = tf.ones([x.shape[0]] * 2)
        other = every - tf.eye(x.shape[0])
        return 2 * mean_distance(x, y, every) - mean_distance(x, x, other) - mean_distance(y, y, other)

    return tf.add_n([plain_energy_distance(*pair) for pair in zip(describe(x), describe(y))])


def with_gradient(function, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = function(x)
    return found, tape.gradient(found, x)


@pytest.mark.parametrize("is_copy", [False, True], ids=["different", "points that are equal"])
@pytest.mark.parametrize(
    ("samples", "channels", "rate_hz"), [(4096, 1, 16000), (16384, 2, 16000), (16384, 2, 44100), (16384, 3, 44100)]
)
def test_distance_and_gradient_equal_their_definition(samples, channels, rate_hz, is_copy):
    random = np.random.default_rng(6)
    x, y = random.normal(0, 0.1, [2, 4, samples, channels])
    x = scipy.signal.lfilter([0.4], [1, -0.9], x, axis=1)
    if is_copy:
        x[0], x[2] = y[0], x[1]
    x, y = (tf.constant(each, tf.float32) for each in (x, y))
    found, gradient = with_gradient(lambda x: texture.distance(x, y, POWER, rate_hz), x)
    expected, plain_gradient = with_gradient(lambda x: plain_distance(x, y, POWER, rate_hz), x)
    # By products of points, the distance of equal ones is the root of a rounding.
    np.testing.assert_allclose(found, expected, rtol=3e-4 if is_copy else 1e-4)
    assert np.linalg.norm(gradient - plain_gradient) < 1e-3 * np.linalg.norm(plain_gradient)


def hear(change, level=0.1):
    """The distance of changed noise from noise."""
    random = np.random.default_rng(4)
    x, y = random.normal(0, 0.1, [2, 8, 16384, 1])
    scale = level / 0.1
    return float(
        texture.distance(
            (scale * change(x)).astype(np.float32), (scale * y).astype(np.float32), POWER * scale**2, RATE_HZ
        )
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
        found = texture.distance(x, tf.constant(X[:2, :samples, :1]), power, RATE_HZ)
    gradient = tape.gradient(found, x)
    assert np.isfinite(found) and np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("rate_hz", "expected"),
    [(16000, (512, 2048, 8192)), (8000, (256, 1024, 4096)), (44100, (1024, 4096, 16384)), (48000, (2048, 8192, 32768))],
)
def test_windows_follow_the_rate(rate_hz, expected):
    assert texture.windows(rate_hz) == expected


@pytest.mark.parametrize("correlation", [-0.9, 0.0, 0.6, 1.0])
def test_image_is_the_correlation_of_the_channels(correlation):
    a, b = np.random.default_rng(9).normal(0, 0.1, [2, 2, 16384])
    x = np.stack([a, correlation * a + np.sqrt(1 - correlation**2) * b], axis=-1).astype(np.float32)
    *_, found = texture.image(x, 2048, POWER, RATE_HZ)
    assert found.shape == (1, 2, 1, 32)
    np.testing.assert_allclose(np.mean(found), correlation, atol=0.03)


def test_a_wrong_image_is_far_where_each_channel_is_right():
    a, b = np.random.default_rng(10).normal(0, 0.1, [2, 8, 8192, 1]).astype(np.float32)
    wide, narrow = np.concatenate([a, b], axis=2), np.concatenate([a, a], axis=2)
    right = texture.distance(tf.constant(wide[:, :, ::-1].copy()), wide, POWER, RATE_HZ)
    assert texture.distance(tf.constant(narrow), wide, POWER, RATE_HZ) > right + 0.5
