"""The texture of sound: statistics of its spectrogram over time, and how far those of two batches are apart.

Rain, fire and surf are told apart, and recognised when made anew, by a few statistics of their bands: how loud, how
unsteady, at what rates (McDermott and Simoncelli 2011). A discriminator must first discover them; here they are given.
"""

import functools
import math

import numpy as np
import tensorflow as tf

from wavegan_asmr.networks import spectrogram

WINDOWS_S = (0.032, 0.128, 0.512)
"""Seconds of the windows: the short one is quick, and the long one sees the lines of a comb that repeats sixteen times
a second. Those as long as a slice are left out."""

STRETCHES = (16, 8, 4)
"""Lengths of each window that it looks at, at a random place of a slice: more frames of a quick one add little."""

FLOOR = 1e-3
"""Magnitude that is added to all, relative to the recordings' RMS: differences 60 dB below it do not count."""

BANDS = 32
"""Bands up to 8 kHz, equally wide to hearing; more of them up to higher frequencies."""

POSITIONS = 16
"""Of a generator's first layer, after which it repeats itself: those of WaveGAN's latent grid."""

_FINEST = 16 * POSITIONS
"""Positions after two strides of 4."""

REPETITION_WEIGHT = 2.0
"""Of the repetition among all that is compared."""

_LAGS = (*(16 * n for n in range(1, POSITIONS // 2 + 1)), *(4 * n for n in range(1, 4)), *range(1, 4))
"""In finest positions. Half a slice is looked at: lines of a comb that repeats more rarely than every 1024 samples are
too close for the longest window."""

_IMAGE_WINDOW, _LINES_WINDOW = 1, 2
"""Those of `WINDOWS_S` in which left and right are compared, and which finds lines, in a fold-down to one channel."""

_POWER_FLOOR = 1e-12
"""Of digital silence, whose logarithm is infinite."""
_VARIANCE_FLOOR = 1e-4
"""Of levels in nepers, under a root, whose gradient is infinite at zero."""
_SQUARE_FLOOR = 1e-8
"""Of distances, under a root."""
_BANDS_FROM_HZ, _BANDS_TO_HZ = 40.0, 8000.0
_ERBS_A_DECADE, _ERB_PER_HZ = 21.4, 0.00437


def windows(sample_rate_hz):
    """Returns the windows in samples, the powers of two that are nearest to `WINDOWS_S`: 512, 2048, 8192 at 16 kHz."""
    return tuple(2 ** round(math.log2(seconds * sample_rate_hz)) for seconds in WINDOWS_S)


def statistics(x, window_len, power, sample_rate_hz):
    """Describes each slice by statistics of its spectrogram.

    With L[t, f] the levels of the spectrogram, without half the sample rate, and B[t, b] their mean in each band:

        mean and standard deviation of L over time, for each frequency;
        RMS of H_s over time, and RMS of its rises less RMS of its falls, for each band and s = 1, 3, 9, ..., where
        H_s[t] is the mean of B over the s frames from t on, less its mean over the s frames before (Haar wavelets);
        correlation of B over time, of each two bands.

    Args:
        x: float32 `[batch, samples, channels]`, see `spectrogram.levels`.
        window_len: Integer, of `windows`, samples.
        power: Scalar, the mean square of the recordings.
        sample_rate_hz: Integer.

    Returns:
        Three tensors, nepers and correlations: float32 `[2, batch, channels, window_len / 2]`,
        `[2 scales, batch, channels, bands]` and `[1, batch, channels, bands^2]`.
    """
    return _of_levels(spectrogram.levels(x, window_len, _floor(power)), sample_rate_hz)


def image(x, window_len, power, sample_rate_hz):
    """The `statistics`, and the correlation of left and right in each band, of one spectrogram.

    c[b] = sum Re(L R*) / sqrt(sum |L|^2 sum |R|^2) over the frames and frequencies of the band.

    Args:
        x: float32 `[batch, samples, 2]`, see `spectrogram.levels`.
        window_len: Integer, of `windows`, samples.
        power: Scalar, the mean square of the recordings.
        sample_rate_hz: Integer.

    Returns:
        Four tensors, those of `statistics` and float32 `[1, batch, 1, bands]` in [-1, 1].
    """
    floor = _floor(power)
    levels, cross, powers = spectrogram.levels_and_products(x, window_len, floor)
    weights = _bands(window_len // 2 + 1, sample_rate_hz)
    cross, left, right = (tf.matmul(each, weights) for each in (cross, *tf.unstack(powers, axis=1)))
    correlation = cross / tf.sqrt((left + floor) * (right + floor))
    return *_of_levels(levels, sample_rate_hz), correlation[None, :, None]


def _floor(power):
    """Power that is added to all, without gradient."""
    return FLOOR**2 * power + _POWER_FLOOR


def _of_levels(levels, sample_rate_hz):
    """See `statistics`."""
    # As one product of two matrices: of batches, oneDNN in TensorFlow 2.21 reads beyond the end and crashes.
    bands = tf.tensordot(levels, _bands(levels.shape[3], sample_rate_hz), 1)
    means = tf.reduce_mean(levels, axis=2)
    variances = tf.reduce_mean((levels - means[:, :, None]) ** 2, axis=2)
    # Cut here, where it is least.
    moments = tf.stack([means, tf.sqrt(variances + _VARIANCE_FLOOR)])[..., :-1]
    return moments, tf.stack(list(_changes(bands))), _correlations(bands)


def repetition(x):
    """Autocorrelation of slices, less their means, at distances of a generator's positions, where it repeats itself.

    r(lag) = sum_t x[t] x[t + lag] / (N - lag) / (sum_t x[t]^2 / N), for lags of 1 to 8 positions of the latent grid,
    and of 1 to 3 positions after one and after two strides of 4.

    Args:
        x: float32 `[batch, samples, channels]`.

    Returns:
        float32 `[batch, channels, 14]`, at most about 1; 0 where nothing repeats.
    """
    samples, channels = x.shape[1:]
    centred = tf.transpose(x - tf.reduce_mean(x, axis=1, keepdims=True), [0, 2, 1])
    # All lags are multiples of the finest positions, so their products are sums along diagonals of one matrix.
    positions = tf.reshape(centred, [-1, _FINEST, samples // _FINEST])
    means = tf.reshape(_sums_of_products(positions), [-1, channels, 1 + len(_LAGS)])
    return means[:, :, 1:] / (means[:, :, :1] + samples * _POWER_FLOOR)


def energy_distance(x, y):
    """The energy distance of two sets of points, 2 E|x - y| - E|x - x'| - E|y - y'|, from which no bias remains.

    It is zero on average if and only if both are drawn alike (Székely and Rizzo 2013), so it asks for the right variety
    as much as for the right mean. Distances are root mean squares over the dimensions.

    Args:
        x, y: float32 `[..., n, dimensions]` of one shape, n >= 2; y without gradient.

    Returns:
        float32 `[...]`, in the unit of x.
    """
    n, dimensions = x.shape[-2:]
    # By products of points, |a - b|^2 = |a|^2 + |b|^2 - 2 ab, which rounding spoils far from the origin.
    points = tf.concat([x, y], axis=-2) - tf.stop_gradient(tf.reduce_mean(y, axis=-2, keepdims=True))
    squares = tf.reduce_sum(points**2, axis=-1)
    products = tf.matmul(points, points, transpose_b=True)
    squares = tf.nn.relu(squares[..., :, None] + squares[..., None, :] - 2 * products) / dimensions
    # A root of zero has no gradient.
    return tf.reduce_sum(_weights(n) * tf.sqrt(squares + _SQUARE_FLOOR), axis=[-2, -1])


def _weights(n):
    """Weights of the distances of each two of x and y together in an energy distance: `[2 n, 2 n]`."""
    # The pairs of x and y are there twice, and of a point and itself not at all.
    across, within = np.full([n, n], 1 / n**2), (np.eye(n) - 1) / (n * (n - 1))
    return np.block([[within, across], [across, within]]).astype(np.float32)


def distance(x, y, power, sample_rate_hz, place=0.0):
    """The sum of the energy distances of the `statistics`, of two channels the `image`, and the `repetition`.

    Each kind of statistics is one point of many dimensions; only the correlation of left and right is compared in each
    band by itself. Frequencies count half alike and half as hearing divides them: low ones are few among thousands. The
    longest window is of a fold-down to one channel, and so is the repetition, but where there are two channels: then it
    is of their middle and side.

    Args:
        x, y: float32 `[batch, samples, channels]`, batch >= 2; y, the recordings, is without gradient.
        power: Scalar, the mean square of the recordings.
        sample_rate_hz: Integer.
        place: Scalar in [0, 1], where the stretches of `STRETCHES` are: 0 at the beginning, 1 at the end.

    Returns:
        Scalar, nepers; 0 on average for the same sounds.
    """
    described = zip(*(_describe(each, power, sample_rate_hz, place) for each in (x, y)))
    return tf.add_n([compare(x, y) for (x, compare), (y, _) in described])


def _describe(x, power, sample_rate_hz, place):
    """All that is compared of audio: yields tensors `[kinds, batch, channels, n]`, and the distance that is theirs."""
    folded = tf.reduce_mean(x, axis=2, keepdims=True)
    for number, window_len in enumerate(windows(sample_rate_hz)):
        if window_len >= x.shape[1]:
            continue
        stretch = _stretch(folded if number == _LINES_WINDOW else x, STRETCHES[number] * window_len, place)
        describe = image if x.shape[2] == 2 and number == _IMAGE_WINDOW else statistics
        moments, bands, correlations, *images = describe(stretch, window_len, power, sample_rate_hz)
        yield _hearing(window_len // 2, sample_rate_hz) * moments, _joint_distance
        yield bands, _joint_distance
        yield correlations, _joint_distance
        for each in images:
            yield each, _distance_of_each
    of_middle_and_side = repetition(_middle_and_side(x) if x.shape[2] == 2 else folded)
    yield REPETITION_WEIGHT * of_middle_and_side[None], _joint_distance


def _middle_and_side(x):
    """The sum and the difference of two channels, halved: `[batch, samples, 2]`."""
    left, right = tf.split(x, 2, axis=2)
    return tf.concat([left + right, left - right], axis=2) / 2


def _joint_distance(x, y):
    """The sum over kinds, of points of all channels: two `[kinds, batch, channels, n]` -> scalar."""
    kinds, batch = x.shape[:2]
    return tf.reduce_sum(energy_distance(*(tf.reshape(each, [kinds, batch, -1]) for each in (x, y))))


def _distance_of_each(x, y):
    """The sum over kinds of the mean over channels and n, of numbers: two `[kinds, batch, channels, n]` -> scalar."""
    kinds, batch, channels, n = x.shape
    numbers = tf.reshape(tf.concat([x, y], axis=1), [kinds, 2 * batch, channels * n])
    distances = tf.sqrt((numbers[:, :, None] - numbers[:, None]) ** 2 + _SQUARE_FLOOR)
    return tf.reduce_sum(_weights(batch)[..., None] * distances) / (channels * n)


def _stretch(x, length, place):
    """A stretch of that length, or all if there is no more: `[batch, samples, channels]`."""
    batch, samples, channels = x.shape
    if length >= samples:
        return x
    first = tf.cast(tf.round(place * (samples - length)), tf.int32)
    return tf.slice(x, [0, first, 0], [batch, length, channels])


def _correlations(bands):
    """Correlation of the levels of each two bands over time: `[batch, channels, frames, n]` -> `[1, ..., n * n]`."""
    batch, channels, frames, count = bands.shape
    centred = tf.reshape(bands - tf.reduce_mean(bands, axis=2, keepdims=True), [-1, frames, count])
    normed = centred / tf.sqrt(tf.reduce_sum(centred**2, axis=1, keepdims=True) + frames * _VARIANCE_FLOOR)
    products = tf.matmul(normed, normed, transpose_a=True)
    return tf.reshape(products, [1, batch, channels, count * count])


def _changes(bands):
    """RMS of the changes of levels `[batch, channels, frames, BANDS]`, and of rises less falls, for each scale."""
    sums = tf.cumsum(tf.pad(bands, [[0, 0], [0, 0], [1, 0], [0, 0]]), axis=2)
    scale = 1
    while 4 * scale <= bands.shape[2]:
        # Means over the next frames less means over those before.
        changes = _second_differences(sums, scale) / scale
        rises, falls = (tf.reduce_mean(tf.nn.relu(each) ** 2, axis=2) for each in (changes, -changes))
        yield tf.sqrt(rises + falls + _VARIANCE_FLOOR)
        yield tf.sqrt(rises + _VARIANCE_FLOOR) - tf.sqrt(falls + _VARIANCE_FLOOR)
        scale *= 3


@tf.custom_gradient
def _second_differences(x, lag):
    """x[t] - 2 x[t + lag] + x[t + 2 lag] of `[batch, channels, frames, bands]`."""

    def gradient(dy):
        # TensorFlow's own gradient of a slice is several times slower than padding.
        before, at, behind = (tf.pad(dy, [[0, 0], [0, 0], [i * lag, (2 - i) * lag], [0, 0]]) for i in range(3))
        return before - 2 * at + behind, None

    frames = x.shape[2] - 2 * lag
    before, at, behind = (x[:, :, i * lag : i * lag + frames] for i in range(3))
    return before - 2 * at + behind, gradient


@tf.custom_gradient
def _sums_of_products(positions):
    """Mean products at no distance and at each of `_LAGS`, times all: `[n, _FINEST, samples]` -> `[n, 1 + lags]`."""
    products = tf.matmul(positions, positions, transpose_b=True)
    sums = tf.matmul(tf.reshape(products, [-1, _FINEST**2]), _diagonals())

    def gradient(dsums):
        dproducts = tf.reshape(tf.matmul(dsums, _diagonals(), transpose_b=True), [-1, _FINEST, _FINEST])
        # The weights are symmetric, as the products are.
        return 2 * tf.matmul(dproducts, positions)

    return sums, gradient


@functools.cache
def _diagonals():
    """Weights of the products of positions at no distance and at each of `_LAGS`: `[_FINEST^2, 1 + lags]`."""
    weights = [(np.eye(_FINEST, k=lag) + np.eye(_FINEST, k=-lag)) / 2 / (1 - lag / _FINEST) for lag in (0, *_LAGS)]
    return np.stack(weights, axis=-1).reshape(_FINEST**2, -1).astype(np.float32)


@functools.cache
def _bands(bins, sample_rate_hz):
    """Weights of the means in bands, triangles on the scale of ERBs, without the last bin: `[bins, bands]`."""
    highest_hz = sample_rate_hz / 2
    first, last = _erbs(_BANDS_FROM_HZ), _erbs(highest_hz)
    count = max(2, round(BANDS * (last - first) / (_erbs(_BANDS_TO_HZ) - first)))
    edges_hz = (10 ** (np.linspace(first, last, count + 2) / _ERBS_A_DECADE) - 1) / _ERB_PER_HZ
    frequencies_hz = np.linspace(0, highest_hz, bins)[:, None]
    # Low ones are narrower than a bin of the short windows.
    rises, falls = (np.maximum(each, frequencies_hz[1]) for each in (np.diff(edges_hz)[:-1], np.diff(edges_hz)[1:]))
    distances = frequencies_hz - edges_hz[1:-1]
    weights = np.maximum(0, 1 - np.maximum(-distances / rises, distances / falls))
    weights[-1] = 0
    return (weights / weights.sum(axis=0)).astype(np.float32)


@functools.cache
def _hearing(bins, sample_rate_hz):
    """Weights of frequencies, of mean square 1, half of it alike and half by the bandwidths of hearing: `[bins]`."""
    per_hz = 1 / (1 + _ERB_PER_HZ * np.arange(bins) * sample_rate_hz / (2 * bins))
    return np.sqrt((1 + per_hz / per_hz.mean()) / 2).astype(np.float32)


def _erbs(frequency_hz):
    """Equivalent rectangular bandwidths of hearing below a frequency (Glasberg and Moore 1990)."""
    return _ERBS_A_DECADE * math.log10(1 + _ERB_PER_HZ * frequency_hz)
