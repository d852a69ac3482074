"""The texture of sound: statistics of its spectrogram over time, and how far those of two batches are apart.

Rain, fire and surf are told apart, and recognised when made anew, by a few statistics of their bands: how loud, how
unsteady, at what rates (McDermott and Simoncelli 2011). A discriminator must first discover them; here they are given.
"""

import functools
import math

import numpy as np
import tensorflow as tf

WINDOWS_S = (0.032, 0.128, 0.512)
"""Seconds of the windows: the short one is quick, and the long one sees the lines of a comb that repeats sixteen times
a second. Those as long as a slice are left out."""

FLOOR = 1e-3
"""Magnitude that is added to all, relative to the recordings' RMS: differences 60 dB below it do not count."""

BANDS = 32
"""Bands up to 8 kHz whose changes are measured, the higher the wider; more of them up to higher frequencies."""

POSITIONS = 16
"""Of a generator's first layer, after which it repeats itself: those of WaveGAN's latent grid."""

_FINEST = 16 * POSITIONS
"""Positions after two strides of 4."""

_LAGS = (*(16 * n for n in range(1, POSITIONS // 2 + 1)), *(4 * n for n in range(1, 4)), *range(1, 4))
"""In finest positions. Half a slice is looked at: lines of a comb that repeats more rarely than every 1024 samples are
too close for the longest window."""

_IMAGE_WINDOW = 1
"""The one of `WINDOWS_S` in which left and right are compared."""

_POWER_FLOOR = 1e-12
"""Of digital silence, whose logarithm is infinite."""
_VARIANCE_FLOOR = 1e-4
"""Of levels in nepers, under a root, whose gradient is infinite at zero."""
_SQUARE_FLOOR = 1e-8
"""Of distances, under a root."""
_MEL_FROM_HZ, _BANDS_TO_HZ = 60.0, 8000.0


def windows(sample_rate_hz):
    """Returns the windows in samples, the powers of two that are nearest to `WINDOWS_S`: 512, 2048, 8192 at 16 kHz."""
    return tuple(2 ** round(math.log2(seconds * sample_rate_hz)) for seconds in WINDOWS_S)


def log_spectrogram(x, window_len, power):
    """Levels of a short-time Fourier transform with a Hann window and a hop of half of it.

    The audio is mirrored at its ends, or they would hardly count; silence there would be a step, and so a click.

    Args:
        x: float32 `[batch, samples, channels]`, samples > window_len and a multiple of half of it.
        window_len: Integer, samples, even.
        power: Scalar, the mean square of the recordings; without gradient.

    Returns:
        float32 `[batch, channels, frames, window_len / 2 + 1]`, nepers (8.7 dB); 0 for a full-scale sine.
    """
    return _levels(_windowed(x, window_len), FLOOR**2 * power + _POWER_FLOOR)


def statistics(x, window_len, power, sample_rate_hz):
    """Describes each slice by statistics of its spectrogram.

    With L[t, f] the levels of the spectrogram, without half the sample rate, and B[t, b] their mean in each band:

        mean and standard deviation of L over time, for each frequency;
        RMS of H_s over time, and RMS of its rises less RMS of its falls, for each band and s = 1, 3, 9, ..., where
        H_s[t] is the mean of B over the s frames from t on, less its mean over the s frames before (Haar wavelets).

    Args:
        x: float32 `[batch, samples, channels]`, see `log_spectrogram`.
        window_len: Integer, of `windows`, samples.
        power: Scalar, the mean square of the recordings.
        sample_rate_hz: Integer.

    Returns:
        Two tensors, nepers: float32 `[2, batch, channels, window_len / 2]` and `[2 scales, batch, channels, bands]`.
    """
    return _moments_and_changes(log_spectrogram(x, window_len, power), sample_rate_hz)


def image(x, window_len, power, sample_rate_hz):
    """Correlation of left and right in each band, and the `statistics`, of one spectrogram.

    c[b] = sum Re(L R*) / sqrt(sum |L|^2 sum |R|^2) over the frames and frequencies of the band.

    Args:
        x: float32 `[batch, samples, 2]`, see `log_spectrogram`.
        window_len: Integer, of `windows`, samples.
        power: Scalar, the mean square of the recordings.
        sample_rate_hz: Integer.

    Returns:
        Three tensors, those of `statistics` and float32 `[1, batch, 1, bands]` in [-1, 1].
    """
    floor = FLOOR**2 * power + _POWER_FLOOR
    levels, cross, powers = _levels_and_products(_windowed(x, window_len), floor)
    weights = _bands(window_len // 2 + 1, sample_rate_hz)
    cross, left, right = (tf.matmul(each, weights) for each in (cross, *tf.unstack(powers, axis=1)))
    correlation = cross / tf.sqrt((left + floor) * (right + floor))
    return *_moments_and_changes(levels, sample_rate_hz), correlation[None, :, None]


def _windowed(x, window_len):
    """Frames of audio `[batch, samples, channels]` times a window: `[batch, channels, frames, window_len]`."""
    window = tf.signal.hann_window(window_len)
    padded = tf.pad(tf.transpose(x, [0, 2, 1]), [[0, 0], [0, 0], [window_len // 2] * 2], "REFLECT")
    return _frames(padded, window_len) * (2 * window / tf.reduce_sum(window))


def _moments_and_changes(levels, sample_rate_hz):
    """See `statistics`."""
    means = tf.reduce_mean(levels, axis=2)
    variances = tf.reduce_mean((levels - means[:, :, None]) ** 2, axis=2)
    # As one product of two matrices: of batches, oneDNN in TensorFlow 2.21 reads beyond the end and crashes.
    bands = tf.tensordot(levels, _bands(levels.shape[3], sample_rate_hz), 1)
    # Cut here, where it is least.
    moments = tf.stack([means, tf.sqrt(variances + _VARIANCE_FLOOR)])[..., :-1]
    return moments, tf.stack(list(_changes(bands)))


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
    # A root of zero has no gradient. The pairs of x and y are there twice, and of a point and itself not at all.
    across, within = np.full([n, n], 1 / n**2), (np.eye(n) - 1) / (n * (n - 1))
    weights = np.block([[within, across], [across, within]]).astype(np.float32)
    return tf.reduce_sum(weights * tf.sqrt(squares + _SQUARE_FLOOR), axis=[-2, -1])


def distance(x, y, power, sample_rate_hz):
    """The sum of the energy distances of the `statistics`, of two channels the `image`, and the `repetition`.

    Args:
        x, y: float32 `[batch, samples, channels]`, batch >= 2; y, the recordings, is without gradient.
        power: Scalar, the mean square of the recordings.
        sample_rate_hz: Integer.

    Returns:
        Scalar, nepers; 0 on average for the same sounds.
    """
    distances = []
    for pair in zip(*(_describe(each, power, sample_rate_hz) for each in (x, y))):
        kinds, batch = pair[0].shape[:2]
        distances.append(tf.reduce_sum(energy_distance(*(tf.reshape(each, [kinds, batch, -1]) for each in pair))))
    return tf.add_n(distances)


def _describe(x, power, sample_rate_hz):
    """All that is compared of audio: yields tensors `[kinds, batch, channels, n]`."""
    for number, window_len in enumerate(windows(sample_rate_hz)):
        if window_len < x.shape[1]:
            describe = image if x.shape[2] == 2 and number == _IMAGE_WINDOW else statistics
            yield from describe(x, window_len, power, sample_rate_hz)
    yield repetition(x)[None]


def _frames(x, window_len):
    """Frames of audio `[batch, channels, samples]`, half of one apart: `[batch, channels, frames, window_len]`."""
    batch, channels, samples = x.shape
    hop = window_len // 2
    hops = samples // hop
    frames = hops - 1

    @tf.custom_gradient
    def cut(x):
        x = tf.reshape(x, [batch, channels, hops, hop])
        # TensorFlow's own gradient of a slice is several times slower than padding.
        return tf.concat([x[:, :, i : i + frames] for i in range(2)], axis=3), overlap

    def overlap(dy):
        parts = enumerate(tf.split(dy, 2, axis=3))
        dx = tf.add_n([tf.pad(part, [[0, 0], [0, 0], [i, 1 - i], [0, 0]]) for i, part in parts])
        return tf.reshape(dx, [batch, channels, samples])

    return cut(x)


def _levels(frames, floor):
    """log(|FFT|^2 + floor) / 2: `[..., window_len]` -> `[..., window_len / 2 + 1]`.

    The gradient of log(|S|^2) / 2 with respect to S is S / |S|^2, and that of the transform the inverse transform: of
    a spectrum of which TensorFlow counts all frequencies but the lowest and the highest twice.
    """
    window_len = frames.shape[-1]
    counts = _counts(window_len)

    @tf.custom_gradient
    def compute(frames):
        spectra = tf.signal.rfft(frames)
        real, imaginary = tf.math.real(spectra), tf.math.imag(spectra)
        powers = real**2 + imaginary**2 + floor

        def gradient(dlevels):
            weights = tf.cast(dlevels / powers * counts, tf.complex64)
            return tf.signal.irfft(weights * spectra, [window_len])

        return tf.math.log(powers) / 2, gradient

    return compute(frames)


def _levels_and_products(frames, floor):
    """`_levels` of two channels, and the mean products of their spectra over the frames.

    Args:
        frames: float32 `[batch, 2, frames, window_len]`.
        floor: Scalar.

    Returns:
        Levels, float32 `[batch, 2, frames, bins]`; the real parts of left times conjugated right, `[batch, bins]`; the
        powers, `[batch, 2, bins]`.
    """
    counts, count = _counts(frames.shape[-1]), frames.shape[2]

    @tf.custom_gradient
    def compute(frames):
        spectra = tf.signal.rfft(frames)
        real, imaginary = tf.math.real(spectra), tf.math.imag(spectra)
        squares = real**2 + imaginary**2
        products = real[:, 0] * real[:, 1] + imaginary[:, 0] * imaginary[:, 1]

        def gradient(dlevels, dcross, dpowers):
            own = dlevels / (squares + floor) + (2 / count) * dpowers[:, :, None]
            other = dcross[:, None, None] / count
            dspectra = tf.cast(own * counts, tf.complex64) * spectra
            dspectra += tf.cast(other * counts, tf.complex64) * tf.reverse(spectra, [1])
            return tf.signal.irfft(dspectra, [frames.shape[-1]])

        cross, powers = tf.reduce_mean(products, axis=1), tf.reduce_mean(squares, axis=2)
        return (tf.math.log(squares + floor) / 2, cross, powers), gradient

    return compute(frames)


def _counts(window_len):
    """How often the gradient of a real transform counts each frequency."""
    counts = np.full(window_len // 2 + 1, window_len / 2, np.float32)
    counts[[0, -1]] = window_len
    return counts


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


def _bands(bins, sample_rate_hz):
    """Weights of the means in bands, triangles on the mel scale, without the last bin: `[bins, bands]`."""
    to_hz = sample_rate_hz / 2
    count = max(2, round(BANDS * (_mel(to_hz) - _mel(_MEL_FROM_HZ)) / (_mel(_BANDS_TO_HZ) - _mel(_MEL_FROM_HZ))))
    weights = tf.signal.linear_to_mel_weight_matrix(count, bins - 1, sample_rate_hz, _MEL_FROM_HZ, to_hz)
    return tf.pad(tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=0)), [[0, 1], [0, 0]])


def _mel(frequency_hz):
    return 2595 * math.log10(1 + frequency_hz / 700)
