"""Nearness to training photographs against loops, and on draws that are copies and that are not."""

from __future__ import annotations

import numpy as np
import pytest

from s2f.errors import MetricError
from s2f.metrics import bootstrap, copies


def ratio(draws, held_out, training, rng, *, quantile, n=40):
    codes = np.arange(len(draws)) % n
    held_out_codes = np.arange(len(held_out)) % n
    drawn, theirs = copies.nearer_than(
        copies.nearest(draws, training),
        codes,
        copies.nearest(held_out, training),
        held_out_codes,
        n_identities=n,
        quantile=quantile,
    )
    share = theirs(np.ones((1, n)))[0]
    return share, bootstrap.interval(bootstrap.ratio(drawn, theirs), n, rng=rng, n_resamples=300)


def test_nearest_against_loops(rng):
    points, training = rng.normal(size=(30, 5)) + 1000, rng.normal(size=(20, 5)) + 1000
    expected = [min(np.linalg.norm(x - y) for y in training) for x in points]
    np.testing.assert_allclose(copies.nearest(points, training, block=7), expected, rtol=1e-7)
    with pytest.raises(MetricError, match="none"):
        copies.nearest(points, training[:0])


@pytest.mark.parametrize("quantile", [0.5, 0.1])
def test_new_faces_are_as_near_as_held_out_ones_and_copies_are_nearer(rng, quantile):
    training, held_out = rng.normal(size=(200, 6)), rng.normal(size=(400, 6))
    share, new = ratio(rng.normal(size=(800, 6)), held_out, training, rng, quantile=quantile)
    assert share == pytest.approx(quantile, abs=0.01)
    assert new.low < 1 < new.high and new.high < 2
    copied = training[rng.integers(0, 200, 800)] + 0.05 * rng.normal(size=(800, 6))
    some = np.where(np.arange(800)[:, None] % 3 == 0, copied, rng.normal(size=(800, 6)))
    assert ratio(some, held_out, training, rng, quantile=quantile)[1].low > new.value
    assert ratio(copied, held_out, training, rng, quantile=quantile)[1].value == pytest.approx(1 / share)


def test_people_weigh_equally(rng):
    drawn, theirs = copies.nearer_than(
        np.array([0.0, 0.0, 0.0, 9.0]),
        np.array([0, 0, 0, 1]),
        np.array([1.0, 2.0, 3.0]),
        np.array([0, 1, 1]),
        n_identities=3,
    )
    everyone = np.ones((1, 3))
    assert drawn(everyone)[0] == 0.5 and theirs(everyone)[0] == pytest.approx(0.75)
    with pytest.raises(MetricError, match="held-out photographs are none"):
        copies.nearer_than(np.zeros(1), np.zeros(1, int), np.zeros(0), np.zeros(0, int), n_identities=1)
