"""What draws share and what is made up, against loops and where both are known."""

from __future__ import annotations

import numpy as np
import pytest

from s2f.errors import MetricError
from s2f.metrics import bootstrap, variation

STRATA = np.array(["f", "m", "f", "m", "f", "f", None, "x"], object)
CODES = np.array([0, 0, 1, 2, 2, 2, 3, 4, 5, 6, 7])


def slow_variance(values, codes, people):
    """People drawn, with repetition: weighted by how many values each has, in each stratum with two or more."""
    total = weight = 0
    for stratum in ("f", "m", "x"):
        drawn = [k for k in people if STRATA[k] == stratum]
        if len(drawn) < 2:
            continue
        everyone = np.concatenate([values[codes == k] for k in drawn])
        weights = np.concatenate([np.full((codes == k).sum(), 1 / (codes == k).sum()) for k in drawn])
        mean = np.average(everyone, weights=weights)
        n = len(drawn)
        total += n * np.average((everyone - mean) ** 2, weights=weights) * n / (n - 1)
        weight += n
    return total / weight if weight else np.nan


def test_variances_against_loops(rng):
    values = rng.normal(size=11) + 5
    statistic = variation.variance(values, CODES, STRATA)
    for seed in range(20):
        people = np.random.default_rng(seed).integers(0, 8, 8)
        counts = np.bincount(people, minlength=8)[None].astype(float)
        np.testing.assert_allclose(statistic(counts)[0], slow_variance(values, CODES, people), rtol=1e-9)
    assert np.isnan(statistic(np.eye(8)[:1])[0])  # one person does not vary
    assert np.isnan(statistic(np.eye(8)[6:7])[0])


def test_parts_against_loops(rng):
    draws = rng.normal(size=(11, 4))
    shared, made_up = variation.parts(draws, CODES, STRATA)
    counts = np.array([[2, 0, 1, 1, 0, 3, 5, 1]], float)
    people = np.repeat(np.arange(8), counts[0].astype(int))
    each = [np.mean([draws[i].var(ddof=1) for i in np.flatnonzero(k == CODES)]) for k in people if k != 6]
    assert made_up(counts)[0] == pytest.approx(np.mean(each))
    assert shared(counts)[0] == pytest.approx(slow_variance(draws.mean(1), CODES, people) - made_up(counts)[0] / 4)


@pytest.mark.parametrize("n_draws", [2, 64])
def test_known_parts_are_found_however_many_draws_there_are(rng, n_draws):
    """Sex shifts everything by 10, the voice decides a deviation of 0.6, and 0.8 is made up."""
    n = 3000
    sex = np.arange(n) % 2
    strata = np.array(["f", "m"], object)[sex]
    draws = 10 * sex[:, None] + 0.6 * rng.normal(size=(n, 1)) + 0.8 * rng.normal(size=(n, n_draws))
    shared, made_up = variation.parts(draws, np.arange(n), strata)
    everyone = np.ones((1, n))
    assert shared(everyone)[0] == pytest.approx(0.36, rel=0.15)
    assert made_up(everyone)[0] == pytest.approx(0.64, rel=0.1)
    photographs = variation.variance(10 * sex + rng.normal(size=n), np.arange(n), strata)
    assert photographs(everyone)[0] == pytest.approx(1.0, rel=0.1)
    ratio = bootstrap.interval(bootstrap.ratio(shared, photographs), n, rng=rng, n_resamples=200)
    assert ratio.low < 0.36 < ratio.high and ratio.high - ratio.low < 0.15
    nothing, _ = variation.parts(0.8 * rng.normal(size=(n, n_draws)), np.arange(n), strata)
    assert abs(nothing(everyone)[0]) < 0.05


def test_one_draw_is_refused(rng):
    for wrong in (rng.normal(size=(11, 1)), rng.normal(size=11)):
        with pytest.raises(MetricError, match="draws are"):
            variation.parts(wrong, CODES, STRATA)
