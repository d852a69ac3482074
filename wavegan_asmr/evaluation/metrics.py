"""The metrics of a set of slices beside real ones: the registry.

To add one, name it in `METRICS`: the tables of evaluate and of --compare, the report, metrics.jsonl, TensorBoard, the
values of recordings and noise beside it, and the table of docs/evaluating.md follow.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from wavegan_asmr.evaluation import distances
from wavegan_asmr.evaluation.measuring import Measured, nearest
from wavegan_asmr.sound import features

_SLICES_PER_BIN, _MOST_BINS = 20, 50
_LEAST_DEVIATION = 1.0
_COPY_QUANTILE, _COPY_RATIO = 0.01, 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """What metrics are computed from: slices, beside real ones.

    Attributes:
        slices: `Measured`.
        real: float64 `[n, dim]`, embeddings of the real slices.
        to_real: List of float64 `[m]`, distances of the slices from the nearest slices of one or more sets, the first
            as large as the one that `own` leads to.
        own: float64 `[k]`, those of real slices from other real ones.
    """

    slices: Measured
    real: np.ndarray
    to_real: list
    own: np.ndarray

    @property
    def unit(self):
        """What distances of nearest neighbours are relative to, a float, see `unit_of`."""
        return unit_of(self.own)

    @functools.cached_property
    def scaled(self):
        """Embeddings of the slices and of the real ones, in units of the recordings' own deviations."""
        # Some of them are tiny.
        deviation = np.maximum(self.real.std(axis=0), _LEAST_DEVIATION)
        return [(each - self.real.mean(axis=0)) / deviation for each in (self.slices.embeddings, self.real)]


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        words: String, what it says, in a few words.
        formula: String, how it is measured, Markdown for docs/evaluating.md.
        compute: Function of a `Comparison` to its value, a float, and the standard error of it or None.
        good: String, what is good, Markdown for the same table.
        lower_is_better: Boolean, or None where the value should be as the recordings' own.
        is_compared: Boolean, whether `evaluate --compare` shows it.
    """

    words: str
    formula: str
    compute: Callable
    good: str = "near `real`"
    lower_is_better: bool | None = None
    is_compared: bool = False


def compute(comparison):
    """Computes every metric.

    Args:
        comparison: `Comparison`.

    Returns:
        Dict of metric to its value, a float, and the standard error of it or None.

    Raises:
        UserError: There are too few slices, see `distances`.
    """
    return {name: metric.compute(comparison) for name, metric in METRICS.items()}


def table():
    """Returns the rows of docs/evaluating.md, Markdown: metric, what it says, how it is measured, what is good."""
    return [f"| `{name}` | {each.words} | {each.formula} | {each.good} |" for name, each in METRICS.items()]


def unit_of(own):
    """What distances of nearest neighbours are relative to: the mean of those of real slices `[n]`, never zero."""
    return max(own.mean(), 1e-9)


def _frechet_distance(x):
    sets = x.slices.embeddings, x.real
    return distances.frechet_distance(*sets), distances.bootstrap_error(distances.frechet_distance, *sets)


def _ndb(x):
    scaled, scaled_real = x.scaled
    bins = max(2, min(_MOST_BINS, len(x.real) // _SLICES_PER_BIN))
    return distances.ndb(scaled_real, scaled, bins), None


def _likeness(x):
    slices = x.slices.waveforms.astype(np.float32)
    squares = (slices @ slices.T) ** 2
    np.fill_diagonal(squares, 0)
    return float(np.sqrt(squares.sum() / (len(slices) * (len(slices) - 1)))), None


def _copies(x):
    return _mean(np.min(x.to_real, axis=0) < _COPY_RATIO * np.quantile(x.own, _COPY_QUANTILE))


def _fact(name):
    return lambda x: _mean(x.slices.facts[name])


def _mean(values):
    """Mean and standard error of values of independent slices."""
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))


METRICS = {
    "frechet_distance": Metric(
        "difference from the recordings in all; the one to follow",
        r"\|m1 - m2\|² + tr(C1 + C2 - 2 (C1^½ C2 C1^½)^½) of means and covariances of embeddings; error by bootstrap",
        _frechet_distance,
        lower_is_better=True,
        is_compared=True,
    ),
    "kernel_distance": Metric(
        "the same by another formula; 0 is no difference",
        f"unbiased squared maximum mean discrepancy, kernel (x·y / {features.EMBEDDING_DIM} + 1)³, embeddings scaled "
        "by the recordings' deviations; error by jackknife",
        lambda x: distances.kernel_distance(*x.scaled),
        good="near 0",
        lower_is_better=True,
        is_compared=True,
    ),
    "ndb": Metric(
        "share of the recordings' kinds of sound that come too often or too rarely",
        f"share of k-means bins of the recordings (one for {_SLICES_PER_BIN} slices, at most {_MOST_BINS}) in which "
        "the shares of the two sets differ (two-proportion z-test, 5 %)",
        _ndb,
        lower_is_better=True,
        is_compared=True,
    ),
    "diversity": Metric(
        "distance to the next of its own; far below the recordings': few sounds",
        "mean distance of a slice to the nearest of its own set",
        lambda x: _mean(nearest(x.slices.log_mels)[0] / x.unit),
        is_compared=True,
    ),
    "likeness": Metric(
        "how alike slices are sample by sample; above the recordings': the same samples come again in every piece",
        "root mean square of the correlations of all pairs of slices, of differences of the 4096 samples in the middle",
        _likeness,
        lower_is_better=True,
        is_compared=True,
    ),
    "memorisation": Metric(
        "distance to the nearest recorded slice; 1 is that of other recorded slices",
        "mean distance to the nearest recorded slice",
        lambda x: _mean(x.to_real[0] / x.unit),
        good="near 1, not far below",
        is_compared=True,
    ),
    "copies": Metric(
        "share that are copies of recorded slices",
        "share of slices nearer to a recorded one than half the 1st percentile of such distances among recordings",
        _copies,
        good="0",
        is_compared=True,
    ),
    "autocorrelation": Metric(
        "largest at lags up to 0.25 s; high: a tone or a comb",
        "autocorrelation, the largest at lags of 50 samples to 0.25 s",
        _fact("autocorrelation"),
    ),
    "autocorrelation_4k": Metric(
        "largest at lags 64, 256, 1024, ...; high: a metallic comb",
        "the same at lags 64, 256, 1024, ..., where transposed convolutions repeat",
        _fact("autocorrelation_4k"),
        is_compared=True,
    ),
    "fine_deviation_db": Metric(
        "roughness of the fine spectrum; high: a comb",
        "standard deviation of the fine spectrum; noise of any colour has 5.6 dB",
        _fact("fine_deviation_db"),
    ),
    "fine_peak_db": Metric(
        "lines of the fine spectrum; high: tones",
        "99.9th percentile of the fine spectrum; noise of any colour has 11 dB",
        _fact("fine_peak_db"),
        is_compared=True,
    ),
    "rms_db": Metric("level", "root mean square, dB of full scale", _fact("rms_db"), is_compared=True),
    "peak_db": Metric("highest sample", "largest absolute value, dB of full scale", _fact("peak_db")),
    "clipped": Metric(
        "share of samples at full scale", f"share of absolute values of at least {features.CLIPPED}", _fact("clipped")
    ),
    "silent": Metric(
        f"share of slices below {features.SILENT_DB:.0f} dB", "share of slices by their level", _fact("silent")
    ),
    "dc": Metric("offset", "mean of the samples", _fact("dc")),
    "correlation": Metric(
        "image; 1: both channels are the same, 0: as wide as can be",
        "correlation of left and right, spectra of 32 ms, the mean of four ranges of frequencies; 1 but with two "
        "channels",
        _fact("correlation"),
        is_compared=True,
    ),
    "balance_db": Metric(
        "left over right", "level of left less that of right, the mean of the same ranges", _fact("balance_db")
    ),
    "highs_db": Metric(
        "highs; low: dull",
        "level of the highest quarter of the mel bands relative to all",
        _fact("highs_db"),
        is_compared=True,
    ),
    "centroid_hz": Metric("brightness", "mean frequency, weighted by power", _fact("centroid_hz")),
    "flatness": Metric(
        "1: white noise, 0: a tone", "geometric over arithmetic mean of the power spectrum", _fact("flatness")
    ),
    "onsets": Metric(
        "events a second: drops, crackles, calls",
        "onsets, where the power of an octave rises at once by 9 dB or more, and beyond what noise does by chance",
        _fact("onsets"),
    ),
    "event_db": Metric(
        "how much events stand out from their ground; 0: none do",
        "level of the 75 ms from an onset on less that of the 30 ms before, the mean of octaves; 0 without events",
        _fact("event_db"),
    ),
}
"""The registry: name of a metric -> `Metric`, in the order of tables."""
