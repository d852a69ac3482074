"""Distances and scores against independent formulas, closed forms and brute force."""

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.linalg
import scipy.spatial
import scipy.stats

from wavegan_asmr.errors import UserError
from wavegan_asmr.evaluation import distances


def gaussian(n, dim, seed, scale=1.0, mean=0.0):
    return mean + scale * np.random.default_rng(seed).standard_normal([n, dim])


def correlated(n, dim, seed):
    mixing = np.random.default_rng([seed, 1]).standard_normal([dim, dim])
    return gaussian(n, dim, seed) @ mixing + np.arange(dim)


def test_frechet_is_the_formula_of_the_matrix_square_root():
    a, b = correlated(200, 7, 0), correlated(150, 7, 1)
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root)
    assert distances.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert distances.frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_gaussians_nears_its_closed_form():
    # Diagonal covariances commute: |m|^2 + sum (s_a - s_b)^2.
    a = gaussian(200_000, 3, 0, scale=np.array([1.0, 2.0, 3.0]))
    b = gaussian(200_000, 3, 1, scale=np.array([2.0, 2.0, 1.0]), mean=np.array([0.0, 1.0, -2.0]))
    assert distances.frechet_distance(a, b) == pytest.approx(5 + 1 + 4, rel=0.02)


def test_frechet_of_moved_scaled_and_permuted_sets():
    a = correlated(100, 5, 0)
    spread = np.trace(np.cov(a.T))
    centred = a - a.mean(axis=0)
    assert distances.frechet_distance(a, a) == pytest.approx(0, abs=1e-6 * spread)
    assert distances.frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-6 * spread)
    assert distances.frechet_distance(a, a + 3) == pytest.approx(5 * 3**2)
    assert distances.frechet_distance(centred, 4 * centred) == pytest.approx(3**2 * spread)
    # A single sound, again and again, has no covariance.
    assert distances.frechet_distance(centred, np.zeros([50, 5])) == pytest.approx(spread)


@pytest.mark.parametrize("n, m, received", [(5, 100, 5), (100, 4, 4)])
def test_frechet_refuses_too_few_samples(n, m, received):
    with pytest.raises(UserError, match=rf"more than 5 .*Received: {received}\."):
        distances.frechet_distance(gaussian(n, 5, 0), gaussian(m, 5, 1))


def test_bootstrap_error_of_a_mean():
    a = gaussian(400, 1, 0, scale=3.0)
    error = distances.bootstrap_error(lambda a, b: a.mean() - b.mean(), a, a, repeats=400)
    assert error == pytest.approx(3 / np.sqrt(400), rel=0.15)


def brute_kernel_distance(a, b):
    def kernel(x, y):
        return (np.dot(x, y) / len(x) + 1) ** 3

    def within(x):
        return np.mean([kernel(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j])

    return within(a) + within(b) - 2 * np.mean([kernel(x, y) for x in a for y in b])


def test_kernel_distance_and_its_jackknife_by_brute_force():
    a, b = gaussian(9, 3, 0), gaussian(12, 3, 1, mean=0.5)
    value, error = distances.kernel_distance(a, b)
    assert value == pytest.approx(brute_kernel_distance(a, b))
    without_a = [brute_kernel_distance(np.delete(a, i, 0), b) for i in range(len(a))]
    without_b = [brute_kernel_distance(a, np.delete(b, i, 0)) for i in range(len(b))]
    variance = 8 * np.var(without_a) + 11 * np.var(without_b)
    assert error == pytest.approx(np.sqrt(variance))
    assert distances.kernel_distance(a[::-1], b)[0] == pytest.approx(value)


def test_kernel_distance_is_unbiased_and_knows_its_error():
    equal = [distances.kernel_distance(gaussian(60, 4, 2 * k), gaussian(80, 4, 2 * k + 1)) for k in range(200)]
    values, _ = np.transpose(equal)
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
    assert values.min() < 0
    moved = [
        distances.kernel_distance(gaussian(60, 4, 2 * k), gaussian(80, 4, 2 * k + 1, mean=0.7)) for k in range(200)
    ]
    values, errors = np.transpose(moved)
    assert errors.mean() == pytest.approx(values.std(), rel=0.25)


def test_kernel_distance_refuses_too_few_samples():
    with pytest.raises(UserError, match=r"needs 3 .*Received: 2\."):
        distances.kernel_distance(gaussian(2, 5, 0), gaussian(9, 5, 1))


def clusters(counts):
    """Samples in far-apart clusters."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return 100 * np.eye(len(counts))[labels] + gaussian(len(labels), len(counts), sum(counts), scale=0.1)


@pytest.mark.parametrize(
    "counts", [(100, 100, 100, 100), (100, 110, 90, 100), (50, 140, 70, 140), (400, 0, 0, 0), (160, 80, 60, 100)]
)
def test_ndb_counts_what_a_contingency_test_finds(counts):
    real = (120, 80, 100, 60)
    p_values = [
        scipy.stats.chi2_contingency([[r, sum(real) - r], [c, sum(counts) - c]], correction=False).pvalue
        for r, c in zip(real, counts)
    ]
    share = distances.ndb(clusters(real), clusters(counts), bins=4)
    assert share == np.mean(np.array(p_values) < 0.05)


def test_ndb_of_equal_sets():
    a = gaussian(1000, 6, 0)
    assert distances.ndb(a, np.random.default_rng(1).permutation(a)) == 0
    assert distances.ndb(a, gaussian(1000, 6, 2)) < 0.25
    assert distances.ndb(a, gaussian(1000, 6, 2, mean=2)) > 0.75
    assert distances.ndb(np.zeros([100, 3]), np.zeros([50, 3]), bins=2) == 0


@pytest.mark.parametrize("n, m", [(3, 5), (300, 700), (513, 256)])
def test_nearest_neighbours_are_scipys(n, m):
    queries, candidates = gaussian(n, 20, 0, mean=40), gaussian(m, 20, 1, mean=40)
    between = scipy.spatial.distance.cdist(queries, candidates)
    found, places = distances.nearest_neighbours(queries.astype(np.float32), candidates.astype(np.float32))
    np.testing.assert_array_equal(places, between.argmin(axis=1))
    np.testing.assert_allclose(found, between.min(axis=1), rtol=1e-5)

    among = scipy.spatial.distance.cdist(queries, queries)
    np.fill_diagonal(among, np.inf)
    found, places = distances.nearest_neighbours(queries)
    np.testing.assert_array_equal(places, among.argmin(axis=1))
    np.testing.assert_allclose(found, among.min(axis=1))


def test_nearest_neighbour_of_a_copy_is_itself_at_no_distance():
    candidates = gaussian(600, 50, 0, mean=-60, scale=5).astype(np.float32)
    found, places = distances.nearest_neighbours(candidates[100:400], candidates)
    np.testing.assert_array_equal(places, np.arange(100, 400))
    assert (found == 0).all()


def test_inception_score_of_extremes():
    classes = 10
    one_hot = np.eye(classes)[np.arange(200) % classes]
    assert distances.inception_score(one_hot) == pytest.approx((classes, 0))
    assert distances.inception_score(np.full([200, classes], 1 / classes)) == pytest.approx((1, 0))
    assert distances.inception_score(np.eye(classes)[np.zeros(200, int)]) == pytest.approx((1, 0))
    # Sorted by class, each of the ten splits has one class only; of five splits two.
    assert distances.inception_score(np.sort(one_hot.argmax(1))[:, None] == np.arange(classes)) == pytest.approx((1, 0))
    assert distances.inception_score(np.eye(classes)[np.sort(one_hot.argmax(1))], splits=5) == pytest.approx((2, 0))


def test_inception_score_is_the_textbook_formula():
    p = np.random.default_rng(0).dirichlet(np.full(7, 0.3), 90)
    scores = []
    for part in np.split(p, 3):
        divergence = np.sum(part * (np.log(part) - np.log(part.mean(axis=0))), axis=1)
        scores.append(np.exp(divergence.mean()))
    assert distances.inception_score(p, splits=3) == pytest.approx((np.mean(scores), np.std(scores)))


@hypothesis.settings(deadline=None, max_examples=50)
@hypothesis.given(
    hypothesis.extra.numpy.arrays(
        np.float64,
        st.tuples(st.integers(4, 30), st.integers(2, 6)),
        elements=st.sampled_from([0, 1e-300, 1e-9, 0.1, 1]),
    ),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_inception_score_is_bounded_and_blind_to_names_of_classes(weights, splits, random):
    weights[:, 0] += 1e-12
    p = weights / weights.sum(axis=1, keepdims=True)
    mean, deviation = distances.inception_score(p, splits)
    assert 1 - 1e-9 <= mean <= p.shape[1] + 1e-9
    assert 0 <= deviation <= p.shape[1]
    classes = list(range(p.shape[1]))
    random.shuffle(classes)
    assert distances.inception_score(p[:, classes], splits) == pytest.approx((mean, deviation))


def test_inception_score_refuses_too_few_samples():
    with pytest.raises(UserError, match=r"10 splits .*Received: 9\."):
        distances.inception_score(np.full([9, 2], 0.5))
