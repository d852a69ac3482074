"""Statistics of textures and their energy distance against SciPy, formulas and sounds of known statistics."""

import numpy as np
import pytest
import scipy.signal
import scipy.spatial.distance
import scipy.stats
import tensorflow as tf

from wavegan_asmr.networks import spectrogram, texture

POWER = 0.01
FLOOR = 1e-6 * POWER
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
    np.testing.assert_allclose(spectrogram.levels(X, window_len, FLOOR), expected, rtol=1e-3, atol=1e-3)


def test_means_and_deviations_equal_numpys():
    means, deviations = texture.statistics(X, 512, POWER, RATE_HZ)[0]
    levels = spectrogram.levels(X, 512, FLOOR).numpy().astype(np.float64)[..., :-1]
    np.testing.assert_allclose(means, levels.mean(axis=2), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(deviations, levels.std(axis=2), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(("window_len", "scales"), [(512, 3), (2048, 2), (8192, 1)])
def test_scales(window_len, scales):
    shapes = [part.shape for part in texture.statistics(X, window_len, POWER, RATE_HZ)]
    assert shapes == [(2, 3, 2, window_len // 2), (2 * scales, 3, 2, 32), (1, 3, 2, 32 * 32)]


@pytest.mark.parametrize("window_len", WINDOWS)
def test_louder_moves_only_means(window_len):
    softer, louder = (texture.statistics(gain * X, window_len, POWER, RATE_HZ) for gain in (1e6, 1e7))
    np.testing.assert_allclose(louder[0][0] - softer[0][0], np.full(softer[0][0].shape, np.log(10)), atol=2e-2)
    for soft, loud in zip((softer[0][1], *softer[1:]), (louder[0][1], *louder[1:])):
        np.testing.assert_allclose(loud, soft, atol=2e-2)


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
    louder = texture.distance(x, 1.3 * y, POWER, RATE_HZ)
    assert louder > np.mean(found) + 10 * np.std(found)


def plain_distance(x, y, power, rate_hz, place):
    """The distance as it is defined, by TensorFlow's own transforms and gradients, without the highest frequency."""

    def describe(whole):
        """Yields what is compared as one point, and False; and what is compared band by band, and True."""
        windows, bands = {16000: (WINDOWS, 32), 44100: ((1024, 4096, 16384), 41)}[rate_hz]
        folded = tf.add_n(tf.split(whole, whole.shape[2], axis=2)) / whole.shape[2]
        for window_len in (each for each in windows if each < whole.shape[1]):
            length = {windows[0]: 16, windows[1]: 8, windows[2]: 4}[window_len] * window_len
            first = int(np.round(place * max(0, whole.shape[1] - length)))
            x = (folded if window_len == windows[2] else whole)[:, first : first + length]
            spectra = plain_spectra(x, window_len)
            powers = tf.math.real(spectra) ** 2 + tf.math.imag(spectra) ** 2
            levels = tf.math.log(powers + 1e-6 * power + 1e-12) / 2
            yield from ((heard(each, rate_hz), False) for each in moments(levels))
            weights = tf.constant(plain_bands(bands, window_len, rate_hz), tf.float32)[:-1]
            bands_of_levels = tf.tensordot(levels, weights, 1)
            centred = bands_of_levels - tf.reduce_mean(bands_of_levels, axis=2, keepdims=True)
            norms = tf.sqrt(tf.reduce_sum(centred**2, axis=2) + centred.shape[2] * 1e-4)
            correlations = tf.einsum("bctk,bctl->bckl", centred, centred) / (norms[..., None] * norms[:, :, None])
            yield tf.reshape(correlations, [*correlations.shape[:2], -1]), False
            for scale in (each for each in (1, 3, 9, 27, 81) if 4 * each <= bands_of_levels.shape[2]):
                last = bands_of_levels.shape[2] - scale + 1
                means = tf.add_n([bands_of_levels[:, :, i : last + i] for i in range(scale)]) / scale
                changes = means[:, :, scale:] - means[:, :, :-scale]
                rms = [tf.sqrt(tf.reduce_mean(tf.nn.relu(each) ** 2, axis=2) + 1e-4) for each in (changes, -changes)]
                yield tf.sqrt(tf.reduce_mean(changes**2, axis=2) + 1e-4), False
                yield rms[0] - rms[1], False
            if x.shape[2] == 2 and window_len == windows[1]:
                left, right = spectra[:, 0], spectra[:, 1]
                cross = tf.reduce_mean(tf.math.real(left * tf.math.conj(right)), axis=1)
                cross, left, right = (
                    tf.matmul(each, weights) for each in (cross, *tf.unstack(tf.reduce_mean(powers, 2), axis=1))
                )
                floor = 1e-6 * power + 1e-12
                yield (cross / tf.sqrt((left + floor) * (right + floor)))[:, None], True
        middle_and_side = tf.stack([folded[..., 0], (whole[..., 0] - whole[..., -1]) / 2], axis=2)
        yield 2 * plain_repetition(middle_and_side if whole.shape[2] == 2 else folded), False

    def moments(x):
        return tf.reduce_mean(x, axis=2), tf.sqrt(tf.math.reduce_variance(x, axis=2) + 1e-4)

    def heard(x, rate_hz):
        """Half of the square of all frequencies alike, half by the slope of the scale of ERBs."""
        frequencies_hz = np.linspace(0, rate_hz / 2, x.shape[-1], endpoint=False)
        slope = 1 / (1 / 0.00437 + frequencies_hz)
        return x * tf.constant(np.sqrt(0.5 + 0.5 * slope / slope.mean()), tf.float32)

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

    def mean_distance_of_each(x, y, pairs):
        distances = tf.sqrt((x[:, None] - y[None]) ** 2 + 1e-8) * pairs[:, :, None, None]
        return tf.reduce_mean(tf.reduce_sum(distances, axis=[0, 1])) / tf.reduce_sum(pairs)

    def mean_distance(x, y, pairs):
        squares = tf.reduce_mean((x[:, None] - y[None]) ** 2, axis=[2, 3])
        return tf.reduce_sum(tf.sqrt(squares + 1e-8) * pairs) / tf.reduce_sum(pairs)

    def plain_energy_distance(x, y, by_band):
        measure = mean_distance_of_each if by_band else mean_distance
        every = tf.ones([x.shape[0]] * 2)
        other = every - tf.eye(x.shape[0])
        return 2 * measure(x, y, every) - measure(x, x, other) - measure(y, y, other)

    return tf.add_n([plain_energy_distance(x, y, mode) for (x, mode), (y, _) in zip(describe(x), describe(y))])


def plain_bands(count, window_len, rate_hz):
    """Triangles whose corners are equally far apart in ERBs, no narrower than a bin: float64 `[bins, count]`."""

    def erbs(hz):
        return 21.4 * np.log10(1 + 0.00437 * hz)

    bin_hz = rate_hz / window_len
    corners = np.interp(
        np.linspace(erbs(40), erbs(rate_hz / 2), count + 2), erbs(np.arange(0, 30000, 0.1)), np.arange(0, 30000, 0.1)
    )
    weights = np.zeros([window_len // 2 + 1, count])
    for band, (low, middle, high) in enumerate(zip(corners, corners[1:], corners[2:])):
        for k in range(window_len // 2):
            below, above = max(middle - low, bin_hz), max(high - middle, bin_hz)
            distance = (middle - k * bin_hz) / below if k * bin_hz < middle else (k * bin_hz - middle) / above
            weights[k, band] = max(0, 1 - distance)
    return weights / weights.sum(axis=0)


def with_gradient(function, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = function(x)
    return found, tape.gradient(found, x)


@pytest.mark.parametrize("is_copy", [False, True], ids=["different", "points that are equal"])
@pytest.mark.parametrize(
    ("samples", "channels", "rate_hz", "place"),
    [(4096, 1, 16000, 0), (16384, 2, 16000, 0.3), (16384, 2, 44100, 1), (32768, 3, 44100, 0.7), (65536, 2, 44100, 0.5)],
)
def test_distance_and_gradient_equal_their_definition(samples, channels, rate_hz, place, is_copy):
    random = np.random.default_rng(6)
    x, y = random.normal(0, 0.1, [2, 4, samples, channels])
    x = scipy.signal.lfilter([0.4], [1, -0.9], x, axis=1)
    if is_copy:
        x[0], x[2] = y[0], x[1]
    x, y = (tf.constant(each, tf.float32) for each in (x, y))
    found, gradient = with_gradient(lambda x: texture.distance(x, y, POWER, rate_hz, tf.constant(place, tf.float32)), x)
    expected, plain_gradient = with_gradient(lambda x: plain_distance(x, y, POWER, rate_hz, place), x)
    # By products of points, the distance of equal ones is the root of a rounding.
    np.testing.assert_allclose(found, expected, rtol=3e-4 if is_copy else 1e-4)
    assert np.linalg.norm(gradient - plain_gradient) < 1e-3 * np.linalg.norm(plain_gradient)


def hear(change, level=0.1, place=0.5):
    """The distance of changed noise from noise."""
    random = np.random.default_rng(4)
    x, y = random.normal(0, 0.1, [2, 8, 16384, 1])
    scale = level / 0.1
    return float(
        texture.distance(
            (scale * change(x)).astype(np.float32), (scale * y).astype(np.float32), POWER * scale**2, RATE_HZ, place
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


def test_hears_a_comb_in_the_side():
    """Of which a fold-down to one channel has nothing."""
    x, y = np.random.default_rng(14).normal(0, 0.1, [2, 8, 16384, 2])
    side = np.random.default_rng(15).normal(0, 0.1, [8, 1024, 1])
    comb = np.tile(side, [1, 16, 1]) * [1, -1]
    right, wrong = (
        texture.distance(*((each / 2**0.5).astype(np.float32) for each in (x + extra, y * 2**0.5)), POWER, RATE_HZ, 0.5)
        for extra in (np.random.default_rng(16).normal(0, 0.1, [8, 16384, 1]) * [1, -1], comb)
    )
    assert wrong > right + 0.3


def test_hears_as_much_in_quiet_recordings():
    """High frequencies of a recording at -46 dB are below -80 dB in each line of a long window."""

    def without_highs(x):
        return scipy.signal.lfilter([0.5, 0.5], [1], x, axis=1)

    assert hear(without_highs, level=0.005) == pytest.approx(hear(without_highs), rel=0.05)


def test_hears_the_ends_of_a_slice():
    def hear_burst(start, place):
        times = np.arange(16384)[:, None]
        return hear(lambda x: x + 2 * ((times >= start) & (times < start + 300)) * x, place=place)

    middle = hear_burst(8100, 0.5)
    assert hear_burst(0, 0.0) > middle / 2 and hear_burst(16384 - 300, 1.0) > middle / 2


def test_a_wrong_fold_down_is_far_where_channels_and_image_are_right():
    """Opposite phases of all lows cancel in mono."""
    x, y = np.random.default_rng(12).normal(0, 0.1, [2, 8, 16384, 1]).astype(np.float32)
    right = texture.distance(np.repeat(x, 2, axis=2), np.repeat(y, 2, axis=2), POWER, RATE_HZ)
    cancels = texture.distance(np.concatenate([x, -x], axis=2), np.repeat(y, 2, axis=2), POWER, RATE_HZ)
    assert cancels > right + 3


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
