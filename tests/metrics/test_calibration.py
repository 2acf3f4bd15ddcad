"""Ranks, intervals and TARP against loops, closed forms and another package."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from s2f.errors import MetricError
from s2f.metrics import bootstrap, calibration, energy, pairs


def slow_share(draws, truth, start, stop):
    """Of all m + 1 ranks, those the truth could have, each a cell of [0, 1]: mean part of a cell that lies inside."""
    n = len(draws) + 1
    ranks = range(sum(d < truth for d in draws), sum(d <= truth for d in draws) + 1)
    inside = [max(0.0, min((rank + 1) / n, stop) - max(rank / n, start)) * n for rank in ranks]
    return np.mean(inside)


def test_shares_against_loops(rng):
    draws, truth = rng.integers(0, 5, (20, 6, 2)), rng.integers(0, 5, (20, 2))  # many ties
    found = calibration.places(draws, truth)
    for start, stop in ((0.0, 0.3), (0.25, 0.75), (0.4, 0.41), (0.0, 1.0)):
        shares = found.share(start, stop)
        for row, column in itertools.product(range(20), range(2)):
            expected = slow_share(draws[row, :, column], truth[row, column], start, stop)
            assert shares[row, column] == pytest.approx(expected)
    np.testing.assert_allclose(found.histogram(4).sum(-1), 1)
    np.testing.assert_allclose(found.histogram(4)[..., 1], found.share(0.25, 0.5))


@pytest.mark.parametrize("n_draws", [1, 3, 7, 9, 39, 64])
def test_calibrated_draws_hold_what_their_intervals_say_however_many_there_are(n_draws):
    """With the truth at each rank once, every number is its closed form, to rounding."""
    ranks = np.arange(n_draws + 1)
    found = calibration.places(np.tile(np.arange(n_draws) + 0.5, (n_draws + 1, 1)), ranks.astype(float))
    np.testing.assert_allclose(found.low, ranks / (n_draws + 1))
    for level in (0.5, 0.8, 0.95):
        assert found.below(level).mean() == pytest.approx(level)
        if n_draws >= 2 / (1 - level) - 1:
            assert found.covered(level).mean() == pytest.approx(level)
    np.testing.assert_allclose(found.histogram(5).mean(0), 0.2)


def test_intervals_of_draws_that_are_too_alike_or_beside_the_truth(rng):
    """Normal truths, and draws of half the deviation: the 80 % interval holds what the normal distribution says."""
    truth = rng.normal(size=20_000)
    narrow = calibration.places(0.5 * rng.normal(size=(20_000, 199)), truth)
    assert narrow.covered(0.8).mean() == pytest.approx(0.4784, abs=0.012)  # P(|z| < 1.2816 / 2)
    wide = calibration.places(2 * rng.normal(size=(20_000, 199)), truth)
    assert wide.covered(0.8).mean() == pytest.approx(0.9896, abs=0.005)  # P(|z| < 1.2816 · 2)
    below = calibration.places(np.zeros((5, 64)), np.full(5, -1.0))
    assert (below.covered(0.8) == 0).all()


def test_flatness_holds_its_level_and_finds_draws_that_are_too_alike():
    rng = np.random.default_rng(4)
    p_values = {1.0: [], 0.6: []}
    for _, (scale, found) in itertools.product(range(150), p_values.items()):
        person = rng.normal(size=60)  # two recordings of a person have one truth, and draws alike
        truth, centre = np.repeat(person, 2), np.repeat(rng.normal(size=60) * 0.0, 2)
        places = calibration.places(centre[:, None] + scale * rng.normal(size=(120, 39)), truth)
        shares = pairs.by_identity(places.histogram(8), np.repeat(np.arange(60), 2), n_identities=60)
        found.append(calibration.flatness(shares, bootstrap.resamples(60, rng=rng, n_resamples=200)).p_value)
    assert np.mean(np.array(p_values[1.0]) < 0.1) < 0.17  # three deviations of 150 draws above a tenth
    assert np.mean(p_values[1.0]) == pytest.approx(0.5, abs=0.1)
    assert np.mean(np.array(p_values[0.6]) < 0.1) > 0.9


def test_flatness_of_a_known_histogram(rng):
    shares = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [np.nan, np.nan]])
    counts = bootstrap.resamples(5, rng=rng, n_resamples=500)
    found = calibration.flatness(shares, counts)
    assert found.deviation == pytest.approx(0.5)  # bars of 1.5 and 0.5
    again = []
    for drawn in counts:
        people = np.repeat(np.arange(5), drawn.astype(int))
        first = [shares[k, 0] for k in people if k < 4]
        again += [abs(2 * np.mean(first) - 1.5)] if first else []
    assert found.expected == pytest.approx(np.median(again))
    assert found.p_value == pytest.approx((1 + sum(a >= 0.5 - 1e-9 for a in again)) / (1 + len(again)))
    with pytest.raises(MetricError, match="1 people"):
        calibration.flatness(shares[3:], np.ones((3, 2)))


def test_tarp_against_another_package():
    """tarp 0.1.1 counts draws nearer to the reference: tests/golden/distributions.sh."""
    rng = np.random.default_rng(7)
    draws, truth, references = rng.normal(size=(200, 9, 3)), 1.5 * rng.normal(size=(200, 3)), rng.normal(size=(200, 3))
    found = calibration.tarp(draws, truth, references[:, None])
    coverage = [found.below(level).mean() for level in np.linspace(0, 1, 11)]
    np.testing.assert_allclose(coverage, [0, 0.035, 0.07, 0.16, 0.23, 0.28, 0.35, 0.43, 0.535, 0.66, 1])


def test_tarp_sees_what_no_single_number_shows_and_not_what_draws_know(rng):
    """Draws whose two numbers do not go together; and draws that ignore the voice, which the energy score sees."""
    n, mean = 1500, rng.normal(size=(1500, 1, 2))
    together = np.linalg.cholesky([[1, 0.9], [0.9, 1]]).T
    truth = (mean + rng.normal(size=(n, 1, 2)) @ together)[:, 0]
    kinds = {
        "calibrated": mean + rng.normal(size=(n, 40, 2)) @ together,
        "apart": mean + rng.normal(size=(n, 40, 2)),
        "of nobody": rng.normal(size=(n, 40, 2)) + rng.normal(size=(n, 40, 2)) @ together,
    }
    far = np.broadcast_to([[20.0, 20.0], [-20.0, -20.0]], (n, 2, 2))
    references = {"far": far, "by the voice": mean + rng.normal(size=(n, 4, 2))}
    off = {}
    for name, draws in kinds.items():
        for column in range(2):
            each = calibration.places(draws[..., column], truth[:, column])
            assert each.covered(0.8).mean() == pytest.approx(0.8, abs=0.04), name
        for where, points in references.items():
            found = calibration.tarp(draws, truth, points)
            off[name, where] = max(abs(found.below(level).mean() - level) for level in (0.1, 0.3, 0.5, 0.7, 0.9))
    assert off["calibrated", "far"] < 0.025 and off["calibrated", "by the voice"] < 0.025
    assert off["apart", "far"] > 0.05
    assert off["of nobody", "far"] < 0.025 and off["of nobody", "by the voice"] > 0.05
    scores = {
        name: np.diag(energy.score_matrix(draws[:200], np.arange(200), truth[:200], np.arange(200), n_identities=200))
        for name, draws in kinds.items()
    }
    better = scores["of nobody"] - scores["calibrated"]
    assert better.mean() > 5 * better.std() / np.sqrt(200)


@pytest.mark.parametrize(("level", "n_least"), [(0.5, 3), (0.8, 9), (0.95, 39)])
def test_intervals_that_would_reach_beyond_all_draws_are_refused(level, n_least):
    """One more draw would hold nothing of a truth that is beyond them all; with fewer it holds a part."""
    found = calibration.places(np.zeros((2, n_least)), np.array([1.0, -1.0]))
    np.testing.assert_allclose(found.covered(level), 0, atol=1e-9)
    with pytest.raises(
        MetricError, match=f"{n_least - 1} draws for a central interval of {100 * level:.0f} %.*{n_least} draws"
    ):
        calibration.places(np.zeros((2, n_least - 1)), np.array([1.0, -1.0])).covered(level)


def test_what_does_not_match_is_refused(rng):
    draws, truth = rng.normal(size=(3, 4, 2)), rng.normal(size=(3, 2))
    for wrong in (draws[:, :0], draws[..., 0], draws[:2]):
        with pytest.raises(MetricError, match=r"draws are .* for truths \[3, 2\]"):
            calibration.places(wrong, truth)
    with pytest.raises(MetricError, match="not finite"):
        calibration.places(draws, np.where(truth > 0, np.nan, truth))
    for wrong in (truth, draws[:2], draws[..., :1]):
        with pytest.raises(MetricError, match=r"references are .* for truths \[3, 2\]"):
            calibration.tarp(draws, truth, wrong)
