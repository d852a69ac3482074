"""The registry of metrics."""

import numpy as np
import pytest

from wavegan_asmr.evaluation import distances, metrics
from wavegan_asmr.evaluation.measuring import Measured, measure
from wavegan_asmr.evaluation.metrics import METRICS, Comparison
from wavegan_asmr.sound import features

RATE_HZ, SLICE_LEN, N = 8000, 4096, 100


def noise(seed, scale=0.1):
    """Slices of noise, every third with a crackle."""
    x = (scale * np.random.default_rng(seed).standard_normal([N, SLICE_LEN, 1])).astype(np.float32)
    x[::3, 2000:2100] *= 20
    return x


@pytest.fixture(scope="module")
def comparison():
    """Noise beside other noise that is louder."""
    sets = [noise(0), noise(1, 0.2), noise(2, 0.2)]
    x, real, other = (measure(lambda k, n, x=x: x[k : k + n], N, RATE_HZ) for x in sets)
    own, _ = distances.nearest_neighbours(other.log_mels.astype(np.float32), real.log_mels.astype(np.float32))
    to_real, _ = distances.nearest_neighbours(x.log_mels.astype(np.float32), real.log_mels.astype(np.float32))
    return Comparison(x, real.embeddings, [to_real], own)


def test_metrics_are_named_as_what_they_measure(comparison):
    """What each slice is measured by has a metric of that name, its mean."""
    values = metrics.compute(comparison)
    assert list(values) == list(METRICS)
    x = noise(0)
    facts = features.measure(x, RATE_HZ)
    assert facts.keys() <= values.keys()
    assert {"onsets", "event_db"} <= facts.keys() and 0.6 < facts["onsets"].mean() < 0.9 < facts["event_db"].mean()
    for name, fact in facts.items():
        assert values[name] == pytest.approx((fact.mean(), fact.std(ddof=1) / np.sqrt(N)), rel=1e-6, abs=1e-12)


def test_distances_of_sets(comparison):
    values = metrics.compute(comparison)
    x, real = comparison.slices.embeddings, comparison.real
    assert values["frechet_distance"] == (
        distances.frechet_distance(x, real),
        distances.bootstrap_error(distances.frechet_distance, x, real),
    )
    scale = np.maximum(real.std(axis=0), 1)
    scaled = (x - real.mean(axis=0)) / scale, (real - real.mean(axis=0)) / scale
    assert values["kernel_distance"] == distances.kernel_distance(*scaled)
    assert values["ndb"] == (distances.ndb(scaled[1], scaled[0], 5), None)


def test_distances_of_neighbours_are_relative_to_those_of_recordings():
    """Slices on a line, at distances that are known."""
    log_mels = np.array([[0.0], [1.0], [3.0]], np.float16)
    slices = Measured(np.zeros([3, 2]), log_mels, {}, np.zeros([3, 2]))
    x = Comparison(slices, np.zeros([3, 2]), [np.array([4.0, 0.5, 6.0]), np.array([9.0, 9.0, 0.1])], np.full(7, 2.0))
    assert METRICS["diversity"].compute(x)[0] == pytest.approx(np.mean([1, 1, 2]) / 2)
    assert METRICS["memorisation"].compute(x)[0] == pytest.approx(np.mean([4, 0.5, 6]) / 2)
    # Half of the recordings' own distance is 1, and a copy of either set is one.
    assert METRICS["copies"].compute(x)[0] == pytest.approx(2 / 3)


def test_likeness_is_the_share_that_all_slices_have_in_common():
    """Whatever their levels; of independent noise one over the root of the samples that are compared."""
    random = np.random.default_rng(0)
    common, own = random.normal(size=[1, 9000, 2]), random.normal(size=[60, 9000, 2])
    for share in (0.0, 0.3, 0.9):
        x = (np.sqrt(share) * common + np.sqrt(1 - share) * own) * random.uniform(0.01, 0.3, [60, 1, 1])
        # Half of them upside down.
        x[::2] *= -1
        slices = Measured(np.zeros([60, 2]), np.zeros([60, 2]), {}, features.waveform(x).astype(np.float16))
        found, _ = METRICS["likeness"].compute(Comparison(slices, np.zeros([2, 2]), [], np.zeros(2)))
        assert found == pytest.approx(np.hypot(share, 1 / 64), abs=0.02)
    assert np.isfinite(features.waveform(np.zeros([2, 100, 1]))).all()


def test_the_table_of_the_docs_has_a_row_for_each():
    rows = metrics.table()
    assert [row.split("`")[1] for row in rows] == list(METRICS)
    for row, metric in zip(rows, METRICS.values()):
        assert row.replace(r"\|", "").count("|") == 5
        assert metric.words and metric.formula and metric.good
