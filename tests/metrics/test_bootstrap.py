"""Intervals against drawing people one by one, and against textbook widths."""

from __future__ import annotations

import numpy as np
import pytest

from s2f.errors import MetricError
from s2f.metrics import bootstrap, matching


def test_bootstrap_against_drawing_people(people):
    p = people
    wins = matching.win_matrix(p.probes, p.codes, p.photos, p.photo_codes, n_identities=p.n)
    allowed = matching.same(p.gender) & np.isfinite(wins)
    statistic = bootstrap.pair_mean(wins, allowed)
    for seed in range(40):
        drawn = np.random.default_rng(seed).integers(0, p.n, p.n)
        counts = np.bincount(drawn, minlength=p.n)[None].astype(float)
        means = []
        for i in drawn:
            partners = [wins[i, j] for j in drawn if j != i and allowed[i, j]]
            if partners:
                means.append(np.mean(partners))
        if means:
            assert statistic(counts)[0] == pytest.approx(np.mean(means))
        else:
            assert np.isnan(statistic(counts)[0])


def test_bootstrap_interval_of_a_mean_has_the_textbook_width(rng):
    values = rng.normal(size=400)
    estimate = bootstrap.interval(bootstrap.mean(values), 400, rng=rng, n_resamples=4000)
    assert estimate.value == pytest.approx(values.mean())
    assert (estimate.high - estimate.low) == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.08)


def test_bootstrap_of_a_ratio_uses_the_same_people(rng):
    values = rng.uniform(1, 2, 30)
    estimate = bootstrap.interval(bootstrap.ratio(bootstrap.mean(3 * values), bootstrap.mean(values)), 30, rng=rng)
    assert estimate.low == pytest.approx(3) and estimate.high == pytest.approx(3)


def test_people_without_a_value_weigh_nothing(rng):
    values = rng.normal(size=6)
    values[[1, 4]] = np.nan
    counts = np.array([[1, 5, 0, 2, 1, 3], [0, 3, 0, 0, 3, 0]], float)
    expected = (values[0] + 2 * values[3] + 3 * values[5]) / 6
    np.testing.assert_allclose(bootstrap.mean(values)(counts), [expected, np.nan])
    some = bootstrap.within(bootstrap.mean(values), np.array([1, 1, 1, 1, 1, 0], bool))
    assert some(counts)[0] == pytest.approx((values[0] + 2 * values[3]) / 3)


def test_bootstrap_refuses_what_it_cannot_estimate(rng):
    with pytest.raises(MetricError, match="1 identities"):
        bootstrap.interval(bootstrap.mean(np.ones(1)), 1, rng=rng)
    with pytest.raises(MetricError, match="undefined"):
        bootstrap.interval(bootstrap.pair_mean(np.ones((3, 3)), np.zeros((3, 3), bool)), 3, rng=rng)


def test_simultaneous_intervals_are_as_wide_as_their_number_asks():
    """Of independent means the largest of k deviations is known; the same mean k times is no more than one."""
    rng, n, k = np.random.default_rng(3), 400, 8
    values = rng.normal(size=(n, k))
    counts, people = bootstrap.resamples(n, rng=rng, n_resamples=6000), np.ones(n, bool)
    found = bootstrap.simultaneous([bootstrap.mean(column) for column in values.T], counts, people=people)
    for column, estimate in zip(values.T, found, strict=True):
        assert estimate.value == pytest.approx(column.mean())
        half = 2.727 * column.std() / np.sqrt(n)  # z at (1 + 0.95 ** (1 / 8)) / 2
        assert estimate.high - estimate.value == pytest.approx(half, rel=0.06)
        assert estimate.value - estimate.low == pytest.approx(half, rel=0.06)
    same = bootstrap.simultaneous([bootstrap.mean(values[:, 0])] * k, counts, people=people)
    assert same[5].high - same[5].low == pytest.approx(2 * 1.96 * values[:, 0].std() / 20, rel=0.06)


def test_simultaneous_intervals_of_what_does_not_vary_or_is_not_always_there(rng):
    counts, people = bootstrap.resamples(12, rng=rng, n_resamples=400), np.ones(12, bool)
    some = np.where(np.arange(12) < 3, rng.normal(size=12), np.nan)  # missing from a resample now and then
    fixed, rare = bootstrap.simultaneous([bootstrap.constant(0.8), bootstrap.mean(some)], counts, people=people)
    assert (fixed.low, fixed.value, fixed.high) == (0.8, 0.8, 0.8)
    assert rare.low < rare.value < rare.high
    with pytest.raises(MetricError, match="undefined"):
        bootstrap.simultaneous([bootstrap.mean(np.full(12, np.nan))], counts, people=people)


def test_subsamples_are_halves_of_the_people():
    seen = []

    def statistic(counts):
        seen.append(counts)
        return counts.sum(1)

    people = np.array([1, 1, 0, 1, 1, 0, 1], bool)
    bootstrap.subsampled(statistic, people=people, rng=np.random.default_rng(1), n_subsamples=300)
    halves = next(counts for counts in seen if len(counts) == 300)
    assert set(halves.ravel()) == {0, 1} and (halves.sum(1) == 2).all() and not halves[:, ~people].any()
    np.testing.assert_allclose(halves[:, people].mean(0), 0.4, atol=0.1)


def test_percentiles_of_halves_are_shifted_to_the_value_of_everyone():
    values = np.arange(8.0)

    def statistic(counts):  # the total depends on how many people there are, not only on who
        return counts @ values

    rng = np.random.default_rng(2)
    estimate = bootstrap.subsampled(statistic, people=np.ones(8, bool), rng=rng, n_subsamples=4000)
    assert estimate.value == 28
    sd = np.sqrt(4 * values.var(ddof=1) * (1 - 4 / 8))  # of a total of 4 drawn from 8
    assert estimate.high - estimate.value == pytest.approx(1.96 * sd, rel=0.1)
    assert estimate.value - estimate.low == pytest.approx(1.96 * sd, rel=0.1)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 0.2, True),
        (-0.2, -0.1, True),
        (-0.1, 0.1, False),
        (0.0, 0.1, False),
        (0.0, 0.0, False),
        (None, None, False),
    ],
)
def test_distinct_is_an_interval_without_zero(low, high, expected):
    assert bootstrap.distinct({"value": 0.1, "low": low, "high": high}) is expected


@pytest.mark.parametrize("alike", [True, False])
def test_an_average_of_means_over_pairs_is_that_of_their_values(rng, alike):
    """Taken at once where they count the same pairs, and otherwise one by one."""
    matrices = rng.normal(size=(3, 6, 6))
    allowed = np.array([rng.random((6, 6)) < 0.7] * 3)
    allowed[1, 2, 3] ^= not alike
    counts = bootstrap.resamples(6, rng=rng, n_resamples=20)
    several = [bootstrap.pair_mean(*each) for each in zip(matrices, allowed, strict=True)]
    average = bootstrap.average(several)
    assert isinstance(average, bootstrap.PairMean) == alike
    np.testing.assert_allclose(average(counts), np.mean([one(counts) for one in several], axis=0), rtol=1e-12)


def test_an_average_is_over_what_is_defined():
    """Where two people have values of one thing, and one of another, resamples may hold nobody with the latter."""
    first, second = bootstrap.mean(np.array([1.0, 3.0])), bootstrap.mean(np.array([np.nan, 9.0]))
    counts = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    assert bootstrap.average([first, second])(counts).tolist() == [5.5, 1.0, 6.0]
    nothing = bootstrap.average([bootstrap.mean(np.full(2, np.nan))])(counts)
    assert np.isnan(nothing).all()
