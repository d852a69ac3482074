"""Measurements of slices of sound: log-mel spectrogram, embedding, periodicity, health.

All of them take slices float32 `[n, samples, channels]` of at least 4096 samples at any rate, and look at power
averaged over the channels, but for the image, which is between two. Levels are dB relative to a full-scale sine.
"""

import functools
import math
import warnings

import librosa
import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.signal

from wavegan_asmr.sound import events

EMBEDDING_VERSION = 2
"""Raised with every change of `embed`: distances of different versions do not compare."""

EMBEDDING_DIM = 85

SILENT_DB = -60.0
"""A slice with an RMS below, dB relative to full scale, is silent."""

CLIPPED = 0.999
"""A sample with an absolute value of at least this is clipped."""

_FLOOR_DB = -90
_HIGHEST_HZ = 20000
"""Of what is heard."""
_WINDOW_S, _QUICK_WINDOW_S = 0.032, 0.008
_SHORTEST_WINDOW, _LEAST_WINDOWS, _LEAST_QUICK_WINDOWS = 64, 8, 32
_BANDS, _GROUPS = 20, 4
_MIN_LAG, _MAX_LAG_S = 50, 0.25
_SILENT_POWER, _MOST_BALANCE_DB = 1e-12, 20
_FINE_SMOOTHED, _FINE_FLOOR = 101, 1e-12
_WAVEFORM_LEN, _LEAST_NORM = 4096, 1e-6


def log_mel(x, sample_rate_hz):
    """Log-mel spectrogram with 128 bands, Hann window of 2048 samples, at least 32 frames.

    The bands are those of the similarity evaluation of the reference implementation of WaveGAN, up to half the
    sample rate.

    Args:
        x: float32 `[n, samples, channels]`.
        sample_rate_hz: Integer.

    Returns:
        float32 `[n, frames, 128]`, dB.
    """
    hop = min(x.shape[1] // 32, 1024)
    padded = np.pad(x, [[0, 0], [1024, 1024], [0, 0]])
    return _mel_db(_stft_power(padded, 2048, hop), sample_rate_hz, 128)


def embed(x, sample_rate_hz):
    """Describes each slice by `EMBEDDING_DIM` numbers, all of them dB times a weight.

    With L[t, b] the level of 20 mel bands up to half the sample rate or 20 kHz (Hann window of 32 ms, hop of a quarter
    of it), and G[t, g] the level of four ranges of five mel bands each, quick enough to see an attack (window of 8 ms,
    hop of half of it); windows have the power of two of samples that is nearest, at most an eighth and a thirty-second
    of the slice:

        count  weight
           20  1    level: mean of L over time
           20  2    spread: standard deviation of L over time
           12  3    modulation: RMS of H_s for s = 2, 6, 18 frames, where H_s[t, g] is the mean of G over the s frames
                    from t on, less its mean over the s frames before (Haar wavelets: each a range of rates)
           12  3    direction: RMS of the rises less RMS of the falls of H_s
            4  1    trend: mean of G over the second half of the slice, less over the first
            4  0.5  lines: standard deviation of the fine spectrum (see `periodicity`) in each range of frequencies
            1  0.3  highest line: 99.9th percentile of the fine spectrum
            4  0.3  repetition: 10 log10(r / (1 - r)) of the autocorrelation r (see `periodicity`), its largest at
                    lags of 50 samples to 0.25 s, and at lags 64, 256 and 1024; the harmonics-to-noise ratio of Boersma
                    (1993), limited to 20 dB
            4  1    width: 10 log10((1 - c) / (1 + c)) of the correlation c of left and right (see `image`) in each
                    range of frequencies, limited to 20 dB; of equally loud channels, the power of their difference
                    over that of their sum
            4  1    balance: level of left less that of right in each range, limited to 20 dB

    The weights make audible differences alike: colour is off by tens of dB where it is wrong, modulation by two or
    three, and a metallic comb has lines of 30 dB that levels do not see. Where there are not two channels, the width is
    that of equal ones, and the balance 0.

    Args:
        x: float32 `[n, samples, channels]`.
        sample_rate_hz: Integer.

    Returns:
        float64 `[n, EMBEDDING_DIM]`.
    """
    window_len = _window_len(_WINDOW_S, sample_rate_hz, x.shape[1] // _LEAST_WINDOWS)
    quick_len = _window_len(_QUICK_WINDOW_S, sample_rate_hz, x.shape[1] // _LEAST_QUICK_WINDOWS)
    power = _stft_power(x, window_len, window_len // 4)
    levels = _mel_db(power, sample_rate_hz, _BANDS, _HIGHEST_HZ).astype(np.float64)
    envelopes = _split_in_groups(_stft_power(x, quick_len, quick_len // 2).mean(axis=2), sample_rate_hz)
    groups = _db(np.stack([power.mean(axis=2) for power in envelopes], axis=2)).astype(np.float64)
    changes = [_haar(groups, scale) for scale in (2, 6, 18)]
    half = groups.shape[1] // 2
    fine = _fine_spectrum(x)
    lines = [part.std(axis=2).mean(axis=1) for part in _split_in_groups(fine, sample_rate_hz)]
    autocorrelation = _autocorrelation(x, _max_lag(sample_rate_hz))
    repetition = np.stack([autocorrelation[:, _MIN_LAG:].max(axis=1), *autocorrelation[:, [64, 256, 1024]].T], axis=1)
    correlation, balance_db = _image(x, sample_rate_hz)
    parts = [
        levels.mean(axis=1),
        2 * levels.std(axis=1),
        *(3 * _rms(change) for change in changes),
        *(3 * (_rms(np.maximum(change, 0)) - _rms(np.minimum(change, 0))) for change in changes),
        groups[:, half:].mean(axis=1) - groups[:, :half].mean(axis=1),
        0.5 * np.stack(lines, axis=1),
        0.3 * _fine_peak(fine)[:, None],
        0.3 * _odds_db(repetition),
        _odds_db((1 - correlation) / 2),
        balance_db,
    ]
    return np.concatenate(parts, axis=1)


def periodicity(x, sample_rate_hz):
    """Measures the single tones and metallic combs that transposed convolutions leave behind.

    A generator that repeats its coarse positions repeats its sound every 4^k samples.

    Args:
        x: float32 `[n, samples, channels]`.
        sample_rate_hz: Integer.

    Returns:
        Dict of float64 `[n]`:
        "autocorrelation", the largest at lags of 50 samples to 0.25 s (at most half a slice), 1 where a sound repeats
        exactly and 0 where it never does; "autocorrelation_4k", the largest at lags 64, 256, 1024, ...;
        "fine_deviation_db", the standard deviation over frequency of the fine spectrum, which is the spectrum of the
        whole slice in dB less its running mean over 101 bins (5.6 dB for noise of any colour, Rayleigh);
        "fine_peak_db", its 99.9th percentile (11 dB for noise).
    """
    half = x.shape[1] // 2
    autocorrelation = _autocorrelation(x, half)
    powers_of_4 = [4**k for k in range(3, 10) if 4**k <= half]
    fine = _fine_spectrum(x)
    return {
        "autocorrelation": autocorrelation[:, _MIN_LAG : _max_lag(sample_rate_hz) + 1].max(axis=1),
        "autocorrelation_4k": autocorrelation[:, powers_of_4].max(axis=1),
        "fine_deviation_db": fine.std(axis=2).mean(axis=1).astype(np.float64),
        "fine_peak_db": _fine_peak(fine),
    }


def image(x, sample_rate_hz):
    """Measures what lies between left and right.

    Args:
        x: float32 `[n, samples, channels]`.
        sample_rate_hz: Integer.

    Returns:
        Dict of float64 `[n]`:
        "correlation", sum Re(L R*) / sqrt(sum |L|^2 sum |R|^2) of spectra of 32 ms, the mean over four ranges of
        frequencies of equally many mel bands: 1 where both channels are the same, and but with two channels;
        "balance_db", level of left less that of right, 0 but with two channels.
    """
    correlation, balance_db = _image(x, sample_rate_hz)
    return {"correlation": correlation.mean(axis=1), "balance_db": balance_db.mean(axis=1)}


def health(x, sample_rate_hz):
    """Measures level and colour of slices.

    Args:
        x: float32 `[n, samples, channels]`.
        sample_rate_hz: Integer.

    Returns:
        Dict of float64 `[n]`:
        "rms_db", "peak_db", at least -90; "clipped", the share of samples of full scale; "silent", 1 where the RMS
        is below `SILENT_DB`, else 0; "dc", the mean; "centroid_hz", the mean frequency weighted by power; "highs_db",
        the level of the highest quarter of the mel bands relative to all, at least -90; "flatness", the geometric over
        the arithmetic mean of the power spectrum, 1 for white noise and 0 for a tone.
    """
    rms = np.sqrt(np.mean(np.square(x, dtype=np.float64), axis=(1, 2)))
    peak = np.abs(x).max(axis=(1, 2)).astype(np.float64)
    spectrum = _stft_power(x, 1024, 512).mean(axis=(1, 2), dtype=np.float64)
    total = spectrum.sum(axis=1)
    frequencies = np.linspace(0, sample_rate_hz / 2, spectrum.shape[1])
    highs = _split_in_groups(spectrum, sample_rate_hz)[-1].sum(axis=1) / np.maximum(total, 1e-20)
    # A limit far below the quietest sound makes silence flat, and divides nothing by zero.
    spectrum += 1e-20
    return {
        "rms_db": _db(rms**2),
        "peak_db": _db(peak**2),
        "clipped": np.mean(np.abs(x) >= CLIPPED, axis=(1, 2)),
        "silent": (_db(rms**2) < SILENT_DB).astype(np.float64),
        "dc": x.mean(axis=(1, 2), dtype=np.float64),
        "centroid_hz": spectrum @ frequencies / spectrum.sum(axis=1) * (total > 0),
        "highs_db": _db(highs),
        "flatness": np.exp(np.log(spectrum).mean(axis=1)) / spectrum.mean(axis=1),
    }


def waveform(x):
    """Describes each slice by its samples, so that what is the same sound anew is told from the same samples.

    Args:
        x: float32 `[n, samples, channels]`.

    Returns:
        float32 `[n, m]` of length 1, the 4096 samples in the middle of the slice, or those there are: differences of
        neighbors, so that low frequencies, few as they are, do not decide alone.
    """
    steps = np.diff(x.mean(axis=2), axis=1)
    first = max(0, (steps.shape[1] - _WAVEFORM_LEN) // 2)
    middle = steps[:, first : first + _WAVEFORM_LEN]
    return middle / np.maximum(np.linalg.norm(middle, axis=1, keepdims=True), _LEAST_NORM)


def measure(x, sample_rate_hz):
    """Returns all of `periodicity`, `image`, `health` and `events.measure`."""
    parts = periodicity, image, health, events.measure
    return {name: fact for part in parts for name, fact in part(x, sample_rate_hz).items()}


def _stft_power(x, window_len, hop):
    """Power spectra of windows: float32 `[n, frames, channels, bins]`, 1 for a full-scale sine."""
    spectra = _spectra(x, window_len, hop)
    return spectra.real**2 + spectra.imag**2


def _spectra(x, window_len, hop):
    """Spectra of windows: complex64 `[n, frames, channels, bins]`, of magnitude 1 for a full-scale sine."""
    window = scipy.signal.get_window("hann", window_len).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(x, window_len, axis=1)[:, ::hop]
    return scipy.fft.rfft(frames * (2 * window / window.sum()))


def _window_len(seconds, sample_rate_hz, longest):
    """The power of two of samples that is nearest, at most `longest`."""
    return max(_SHORTEST_WINDOW, min(longest, 2 ** round(math.log2(seconds * sample_rate_hz))))


def _max_lag(sample_rate_hz):
    return max(1024, round(_MAX_LAG_S * sample_rate_hz))


def _image(x, sample_rate_hz):
    """Correlation of left and right and left over right in dB, float64 `[n, _GROUPS]` each; see `image`."""
    if x.shape[2] != 2:
        return np.ones([len(x), _GROUPS]), np.zeros([len(x), _GROUPS])
    window_len = _window_len(_WINDOW_S, sample_rate_hz, x.shape[1] // _LEAST_WINDOWS)
    left, right = np.moveaxis(_spectra(x, window_len, window_len // 2), 2, 0)

    def sums(products):
        parts = [part.sum(axis=(1, 2), dtype=np.float64) for part in _split_in_groups(products, sample_rate_hz)]
        return np.stack(parts, axis=1)

    cross = sums(left.real * right.real + left.imag * right.imag)
    left, right = (sums(side.real**2 + side.imag**2) for side in (left, right))
    both = np.sqrt(left * right)
    # Silence is in the middle.
    correlation = np.clip(np.where(both > _SILENT_POWER, cross / np.maximum(both, _SILENT_POWER), 1.0), -1.0, 1.0)
    balance_db = 10 * np.log10((left + _SILENT_POWER) / (right + _SILENT_POWER))
    return correlation, np.clip(balance_db, -_MOST_BALANCE_DB, _MOST_BALANCE_DB)


def _mel_db(power, sample_rate_hz, bands, highest_hz=np.inf):
    """Levels of mel bands, mean over channels: `[n, frames, channels, bins]` -> `[n, frames, bands]`."""
    filters = _mel_filters(sample_rate_hz, power.shape[3], bands, min(highest_hz, sample_rate_hz / 2))
    return _db(power.mean(axis=2) @ filters)


@functools.lru_cache
def _mel_filters(sample_rate_hz, bins, bands, highest_hz):
    """Mel filters with peaks of 1: float32 `[bins, bands]`."""
    with warnings.catch_warnings():
        # At high rates the lowest bands are narrower than a bin, and stay at the lowest level.
        warnings.filterwarnings("ignore", "Empty filters")
        filters = librosa.filters.mel(sr=sample_rate_hz, n_fft=2 * (bins - 1), n_mels=bands, fmax=highest_hz, norm=None)
    return np.ascontiguousarray(filters.T)


def _split_in_groups(spectra, sample_rate_hz):
    """Splits spectra `[..., bins]` into ranges of frequencies of equally many mel bands, up to what is heard."""
    nyquist_hz = sample_rate_hz / 2
    edges_hz = librosa.mel_frequencies(_GROUPS + 1, fmax=min(_HIGHEST_HZ, nyquist_hz))[1:]
    edges = np.ceil(edges_hz / nyquist_hz * spectra.shape[-1]).astype(int)
    return np.split(spectra, edges, axis=-1)[:_GROUPS]


def _db(power):
    return 10 * np.log10(np.maximum(power, 10 ** (_FLOOR_DB / 10)))


def _haar(groups, scale):
    """Mean of the next `scale` frames less mean of the `scale` before: `[n, frames - 2 scale + 1, groups]`."""
    sums = np.cumsum(np.pad(groups, [[0, 0], [1, 0], [0, 0]]), axis=1)
    means = (sums[:, scale:] - sums[:, :-scale]) / scale
    return means[:, scale:] - means[:, :-scale]


def _rms(x):
    return np.sqrt(np.mean(np.square(x), axis=1))


def _autocorrelation(x, max_lag):
    """Autocorrelation of slices less their mean: float64 `[n, max_lag + 1]`, at most 1, no lag above half a slice.

    r(lag) = sum_t x[t] x[t + lag] / (N - lag) / (sum_t x[t]^2 / N)
    """
    n = x.shape[1]
    max_lag = min(max_lag, n // 2)
    centred = np.moveaxis(x - x.mean(axis=1, keepdims=True), 1, 2)
    fft_len = scipy.fft.next_fast_len(n + max_lag, real=True)
    spectra = scipy.fft.rfft(centred, fft_len)
    power = np.sum(spectra.real**2 + spectra.imag**2, axis=1)
    sums = scipy.fft.irfft(power, fft_len)[:, : max_lag + 1].astype(np.float64)
    scale = n / (n - np.arange(max_lag + 1)) / np.maximum(sums[:, :1], 1e-12)
    return np.minimum(sums * scale, 1)


def _odds_db(share):
    """10 log10(share / (1 - share)), limited to 20 dB."""
    return 10 * np.log10(np.maximum(share, 0.01) / np.maximum(1 - share, 0.01))


def _fine_spectrum(x):
    """Spectra of whole slices in dB less their running means: float32 `[n, channels, bins]`."""
    # A mean over channels would be smoother than the spectrum of each.
    level = 10 * np.log10(_stft_power(x, x.shape[1], 1)[:, 0] + np.float32(_FINE_FLOOR))
    return level - scipy.ndimage.uniform_filter1d(level, _FINE_SMOOTHED, axis=2)


def _fine_peak(fine):
    return np.percentile(fine, 99.9, axis=2).mean(axis=1).astype(np.float64)
