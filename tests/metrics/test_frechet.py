"""FID and KID against closed forms, other implementations and loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s2f.errors import MetricError
from s2f.metrics import bootstrap, frechet
from tests.metrics.loops import kid, slow_fid, slow_kid


@pytest.fixture
def features(rng):
    # Fewer faces than dimensions, as in a small study, and correlated, as real features are.
    mixing = rng.normal(size=(12, 300)) / 4
    x = rng.normal(size=(90, 12)) @ mixing + 0.1 * rng.normal(size=(90, 300))
    y = 1.3 * rng.normal(size=(70, 12)) @ mixing + 0.1 * rng.normal(size=(70, 300)) + 0.2
    return x, y


def test_fid_of_a_set_with_itself_is_zero(features):
    assert abs(frechet.fid(features[0], features[0])) < 1e-3


def test_fid_of_equal_covariances_is_the_squared_shift(features, rng):
    shift = rng.normal(size=300)
    assert frechet.fid(features[0] + shift, features[0]) == pytest.approx((shift**2).sum(), abs=1e-3)


@pytest.mark.parametrize("n_dims", [300, 20], ids=["in the span of the faces", "all dimensions"])
def test_fid_against_scipy(features, n_dims):
    x, y = (part[:, :n_dims] for part in features)
    assert frechet.fid(x, y) == pytest.approx(slow_fid(x, y), rel=1e-4)


def test_fid_and_kid_need_enough_faces(features, rng):
    with pytest.raises(MetricError, match="49 faces"):
        frechet.fid(features[0][:49], features[1])
    with pytest.raises(MetricError, match="reference"):
        kid(features[0], np.zeros(90, int), features[1][:3], np.zeros(3, int), n=1)
    with pytest.raises(MetricError, match="not finite"):
        frechet.fid(np.full((60, 4), np.nan), np.ones((60, 4)))


def test_fid_of_a_set_does_not_depend_on_the_order(features, rng):
    x, y = features
    assert frechet.fid(rng.permutation(x), rng.permutation(y)) == pytest.approx(frechet.fid(x, y), rel=1e-6)


def test_fid_by_n_holds_the_whole_sets_and_falls_with_n(features, rng):
    x, y = features
    frame = frechet.fid_by_n(x[:70], y, ns=(20, 40, 70), rng=rng, n_draws=5, min_n=20)
    assert list(frame.columns) == ["n", "fid", "low", "high"] and list(frame["n"]) == [20, 40, 70]
    whole = frechet.fid(x[:70], y)
    assert tuple(frame.iloc[2, 1:]) == pytest.approx((whole, whole, whole), rel=1e-6), "all draws are all faces"
    assert frame["fid"].is_monotonic_decreasing and (frame["low"] <= frame["fid"]).all()
    assert (frame["low"] < frame["high"]).tolist()[:2] == [True, True]
    with pytest.raises(MetricError, match="n up to 70"):
        frechet.fid_by_n(x, y, ns=(71,), rng=rng)
    with pytest.raises(MetricError, match="at least 50"):
        frechet.fid_by_n(x, y, ns=(49,), rng=rng)


def test_kid_against_loops_and_torchmetrics(features, rng):
    x, y = features[0][:60], features[1][:60]
    value = kid(x, rng.integers(0, 9, 60), y, rng.integers(0, 9, 60), 9)
    assert value == pytest.approx(slow_kid(x, y), rel=1e-6)
    from torchmetrics.image.kid import KernelInceptionDistance

    with pytest.warns(UserWarning, match="save all extracted features"):
        metric = KernelInceptionDistance(torch.nn.Identity(), subsets=1, subset_size=60)
    metric.update(torch.from_numpy(y), real=True)
    metric.update(torch.from_numpy(x), real=False)
    assert value == pytest.approx(float(metric.compute()[0]), rel=1e-6)


def test_kid_of_some_people_is_the_kid_of_their_faces(features):
    x, y = features
    codes, reference_codes = np.arange(90) % 11, np.arange(70) % 10
    for chosen in ([0, 3, 4, 9], [10, 2]):  # person 10 has no photo
        of_faces, of_photos = x[np.isin(codes, chosen)], y[np.isin(reference_codes, chosen)]
        value = kid(x, codes, y, reference_codes, 11, chosen)
        assert value == pytest.approx(slow_kid(of_faces, of_photos), rel=1e-6)
    assert np.isnan(kid(x, codes, y, reference_codes, 11, [10]))


def test_kid_interval_holds_the_value_and_needs_identities(features, rng):
    x, y = features
    statistic = frechet.kid(x, np.arange(90) % 10, y, np.arange(70) % 10, n_identities=10)
    everyone = np.ones(10, bool)
    estimate = bootstrap.subsampled(statistic, people=everyone, rng=rng, n_subsamples=50)
    assert estimate.low < estimate.value < estimate.high
    assert estimate.low > 0, "the sets differ by a shift"
    with pytest.raises(MetricError, match="3 identities"):
        bootstrap.subsampled(statistic, people=np.arange(10) < 3, rng=rng)
