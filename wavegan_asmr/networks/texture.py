"""The texture of sound: statistics of its spectrogram over time, and how far those of two batches are apart.

Rain, fire and surf are told apart, and recognised when made anew, by a few statistics of their bands: how loud, how
unsteady, at what rates (McDermott and Simoncelli 2011). A discriminator must first discover them; here they are given.
"""

import tensorflow as tf

WINDOWS = (512, 2048, 8192)
"""Samples of the windows: the short one is quick, and the long one sees the lines of a comb that repeats every 1024
samples. Those as long as a slice are left out."""

FLOOR = 1e-3
"""Magnitude that is added to all, relative to the recordings' RMS: differences 60 dB below it do not count."""

BANDS = 32
"""Bands whose changes are measured, the higher the wider."""

POSITIONS = 16
"""Of a generator's first layer, after which it repeats itself: those of WaveGAN's latent grid."""

_REPEATS = 8
"""Of these positions, half a slice, are looked at: lines of a comb that repeats more rarely than every 1024 samples are
too close for the longest window."""

_POWER_FLOOR = 1e-12
"""Of digital silence, whose logarithm is infinite."""
_VARIANCE_FLOOR = 1e-4
"""Of levels in nepers, under a root, whose gradient is infinite at zero."""
_MEL_RATE_HZ, _MEL_FROM_HZ = 16000, 60.0


def log_spectrogram(x, window_len, power):
    """Levels of a short-time Fourier transform with a Hann window and a hop of a quarter of it.

    The audio is mirrored at its ends, or they would hardly count; silence there would be a step, and so a click.

    Args:
        x: float32 `[batch, samples, channels]`, samples >= window_len.
        window_len: Integer, samples, a multiple of 4.
        power: Scalar, the mean square of the recordings.

    Returns:
        float32 `[batch, channels, frames, window_len / 2]`, nepers (8.7 dB), without half the sample rate; 0 for a
        full-scale sine.
    """
    window = tf.signal.hann_window(window_len)
    padded = tf.pad(tf.transpose(x, [0, 2, 1]), [[0, 0], [0, 0], [window_len // 2] * 2], "REFLECT")
    spectra = tf.signal.stft(padded, window_len, window_len // 4, window_fn=lambda length, dtype: window)[..., :-1]
    scale = 2 / tf.reduce_sum(window)
    return tf.math.log(scale**2 * _powers(spectra) + FLOOR**2 * power + _POWER_FLOOR) / 2


def statistics(x, power):
    """Describes each slice by statistics of its spectrograms of each of `WINDOWS`.

    With L[t, f] the levels of a spectrogram and B[t, b] their mean in each of `BANDS`:

        mean and standard deviation of L over time, for each frequency;
        RMS of H_s over time, and RMS of its rises less RMS of its falls, for each band and s = 1, 3, 9, ..., where
        H_s[t] is the mean of B over the s frames from t on, less its mean over the s frames before (Haar wavelets).

    Args:
        x: float32 `[batch, samples, channels]`.
        power: Scalar, the mean square of the recordings.

    Returns:
        List of float32 `[batch, channels, n]`, nepers, of different n.
    """
    return [
        each
        for window_len in WINDOWS
        if window_len < x.shape[1]
        for each in _statistics_of_levels(log_spectrogram(x, window_len, power))
    ]


def repetition(x):
    """Autocorrelation of slices, less their means, at distances of a generator's positions, where it repeats itself.

    r(lag) = sum_t x[t] x[t + lag] / (N - lag) / (sum_t x[t]^2 / N), for lags of 1 to 8 positions of the latent grid,
    and of 1 to 3 positions after one and after two strides of 4.

    Args:
        x: float32 `[batch, samples, channels]`.

    Returns:
        float32 `[batch, channels, 14]`, at most about 1; 0 where nothing repeats.
    """
    samples = x.shape[1]
    hop = samples // POSITIONS
    lags = [hop * n for n in range(1, _REPEATS + 1)] + [hop * n // finer for finer in (4, 16) for n in range(1, 4)]
    centred = tf.transpose(x - tf.reduce_mean(x, axis=1, keepdims=True), [0, 2, 1])
    powers = _powers(tf.signal.rfft(centred, [2 * samples]))
    sums = tf.signal.irfft(tf.cast(powers, tf.complex64), [2 * samples])
    means = tf.gather(sums, lags, axis=2) / tf.constant([1 - lag / samples for lag in lags])
    return means / (sums[:, :, :1] + samples * _POWER_FLOOR)


def energy_distance(x, y):
    """The energy distance of two sets of points, 2 E|x - y| - E|x - x'| - E|y - y'|, from which no bias remains.

    It is zero on average if and only if both are drawn alike (Székely and Rizzo 2013), so it asks for the right variety
    as much as for the right mean. Distances are root mean squares over the dimensions.

    Args:
        x, y: float32 `[n, ...]` of one shape, n >= 2.

    Returns:
        Scalar, in the unit of x.
    """
    return 2 * tf.reduce_mean(_distances(x, y)) - _mean_distance_within(x) - _mean_distance_within(y)


def distance(x, y, power):
    """The sum of the energy distances of the `statistics` and the `repetition` of two batches of audio.

    Args:
        x, y: float32 `[batch, samples, channels]`, batch >= 2.
        power: Scalar, the mean square of the recordings.

    Returns:
        Scalar, nepers; 0 on average for the same sounds.
    """
    described = ([*statistics(each, power), repetition(each)] for each in (x, y))
    return tf.add_n([energy_distance(*pair) for pair in zip(*described)])


def _powers(spectra):
    return tf.math.real(spectra) ** 2 + tf.math.imag(spectra) ** 2


def _statistics_of_levels(levels):
    frames, bins = levels.shape[2:]
    yield tf.reduce_mean(levels, axis=2)
    yield tf.sqrt(tf.math.reduce_variance(levels, axis=2) + _VARIANCE_FLOOR)
    # As one product of two matrices: of batches, oneDNN in TensorFlow 2.21 reads beyond the end and crashes.
    bands = tf.tensordot(levels, _bands(bins), 1)
    sums = tf.cumsum(tf.pad(bands, [[0, 0], [0, 0], [1, 0], [0, 0]]), axis=2)
    scale = 1
    while 4 * scale <= frames:
        means = (sums[:, :, scale:] - sums[:, :, :-scale]) / scale
        changes = means[:, :, scale:] - means[:, :, :-scale]
        yield _rms(changes)
        yield _rms(tf.nn.relu(changes)) - _rms(tf.nn.relu(-changes))
        scale *= 3


def _bands(bins):
    """Weights of the means of levels in `BANDS` bands, triangles on the mel scale of 16 kHz: `[bins, BANDS]`."""
    weights = tf.signal.linear_to_mel_weight_matrix(BANDS, bins, _MEL_RATE_HZ, _MEL_FROM_HZ, _MEL_RATE_HZ / 2)
    return weights / tf.reduce_sum(weights, axis=0)


def _rms(changes):
    return tf.sqrt(tf.reduce_mean(changes**2, axis=2) + _VARIANCE_FLOOR)


def _distances(x, y):
    """Distances of each of x from each of y: `[n, n]`."""
    squares = (x[:, None] - y[None]) ** 2
    # A root of zero, as of a point from itself, has no gradient.
    return tf.sqrt(tf.reduce_mean(squares, axis=list(range(2, len(squares.shape)))) + 1e-8)


def _mean_distance_within(x):
    n = x.shape[0]
    distances = _distances(x, x)
    return (tf.reduce_sum(distances) - tf.linalg.trace(distances)) / (n * (n - 1))
