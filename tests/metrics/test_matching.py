"""Matching, recall and identification against loops over every trial."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from s2f.errors import MetricError
from s2f.metrics import bootstrap, matching
from tests.metrics.loops import unit


def slow_matching(p, allowed):
    per_person = []
    for i in range(p.n):
        per_distractor = []
        for j in range(p.n):
            if i == j or not allowed[i, j]:
                continue
            wins = []
            for probe in p.probes[p.codes == i]:
                for true in p.photos[p.photo_codes == i]:
                    for other in p.photos[p.photo_codes == j]:
                        a, b = true @ probe, other @ probe
                        wins.append(0.5 if a == b else float(a > b))
            per_distractor.append(np.mean(wins))
        if per_distractor:
            per_person.append(np.mean(per_distractor))
    return np.mean(per_person)


def test_matching_against_loops(people):
    p = people
    wins = matching.win_matrix(p.probes, p.codes, p.photos, p.photo_codes, n_identities=p.n)
    for allowed in (np.ones((p.n, p.n), bool), matching.same(p.gender)):
        value = bootstrap.pair_mean(wins, allowed & np.isfinite(wins))(np.ones((1, p.n)))[0]
        assert value == pytest.approx(slow_matching(p, allowed), abs=1e-12)


def test_matching_does_not_depend_on_order(people, rng):
    p = people
    a, b = rng.permutation(len(p.codes)), rng.permutation(len(p.photo_codes))
    first = matching.win_matrix(p.probes, p.codes, p.photos, p.photo_codes, n_identities=p.n)
    second = matching.win_matrix(p.probes[a], p.codes[a], p.photos[b], p.photo_codes[b], n_identities=p.n)
    np.testing.assert_allclose(first, second, atol=1e-12)


def test_matching_of_an_oracle_is_one_and_of_a_constant_one_half(rng):
    codes = np.repeat(np.arange(6), 3)
    oracle = np.eye(6)[codes]
    wins = matching.win_matrix(oracle, codes, oracle, codes, n_identities=6)
    assert np.nanmin(wins) == 1
    constant = np.tile(unit(rng.normal(size=6)), (18, 1))
    wins = matching.win_matrix(constant, codes, unit(rng.normal(size=(18, 6))), codes, n_identities=6)
    assert bootstrap.pair_mean(wins, np.isfinite(wins))(np.ones((1, 6)))[0] == pytest.approx(0.5)


def test_matching_of_random_faces_is_one_half_within_its_interval(rng):
    n = 60
    codes = np.repeat(np.arange(n), 4)
    probes, photos = unit(rng.normal(size=(2, 4 * n, 16)))
    wins = matching.win_matrix(probes, codes, photos, codes, n_identities=n)
    estimate = bootstrap.interval(bootstrap.pair_mean(wins, np.isfinite(wins)), n, rng=rng, n_resamples=500)
    assert estimate.low < 0.5 < estimate.high
    assert estimate.high - estimate.low < 0.15


@pytest.fixture
def videos(people, rng):
    """Videos of the probes' voices and of the photos of `people`; names are shared between people."""
    probe_videos = np.array([f"v{k}" for k in rng.integers(0, 3, len(people.codes))], object)
    photo_videos = np.array([f"v{k}" for k in rng.integers(0, 2, len(people.photo_codes))], object)
    return probe_videos, photo_videos


def slow_videos(p, videos, same_video, allowed):
    """Matching of the probes whose person has photos in and out of the video of the voice."""
    probe_videos, photo_videos = videos
    per_person, used = [], 0
    for i in range(p.n):
        own = np.flatnonzero(p.photo_codes == i)
        probes = [
            row
            for row in np.flatnonzero(p.codes == i)
            if {photo_videos[photo] == probe_videos[row] for photo in own} == {True, False}
        ]
        used += len(probes)
        per_distractor = []
        for j in range(p.n):
            wins = []
            for row in probes:
                true = [t for t in own if (photo_videos[t] == probe_videos[row]) == same_video]
                trials = []
                for t, other in itertools.product(true, np.flatnonzero(p.photo_codes == j)):
                    a, b = p.photos[t] @ p.probes[row], p.photos[other] @ p.probes[row]
                    trials.append(0.5 if a == b else float(a > b))
                wins.append(np.mean(trials))
            if wins and i != j and allowed[i, j]:
                per_distractor.append(np.mean(wins))
        if per_distractor:
            per_person.append(np.mean(per_distractor))
    return np.mean(per_person), used


def test_matching_by_video_against_loops(people, videos):
    p = people
    both = matching.in_and_out_of_video(p.codes, videos[0], p.photo_codes, videos[1])
    values = {}
    for same_video in (True, False):
        true = (videos[0][both, None] == videos[1]) == same_video
        wins = matching.win_matrix(p.probes[both], p.codes[both], p.photos, p.photo_codes, n_identities=p.n, true=true)
        for allowed in (np.ones((p.n, p.n), bool), matching.same(p.gender)):
            expected, used = slow_videos(p, videos, same_video, allowed)
            assert used == both.sum() and 2 < used < len(p.codes)
            value = bootstrap.pair_mean(wins, allowed & np.isfinite(wins))(np.ones((1, p.n)))[0]
            assert value == pytest.approx(expected, abs=1e-12)
            values[same_video, allowed.all()] = value
    assert len(set(values.values())) == 4, "the four are different questions"


def test_same_needs_known_labels():
    expected = np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1]], bool)
    np.testing.assert_array_equal(matching.same(np.array(["f", None, "m"], object)), expected)


def test_recall_against_all_galleries(rng):
    # Four people, two photos each: every gallery of three people can be written down.
    photo_codes = np.repeat(np.arange(4), 2)
    photos, probes = unit(rng.normal(size=(8, 3))), unit(rng.normal(size=(4, 3)))
    hits = matching.recall(probes, np.arange(4), photos, photo_codes, ks=(1, 2), n_way=3, n_galleries=20000, rng=rng)
    for code in range(4):
        expected = {1: [], 2: []}
        for true in photos[photo_codes == code]:
            for others in itertools.combinations([c for c in range(4) if c != code], 2):
                for chosen in itertools.product(*(photos[photo_codes == c] for c in others)):
                    above = sum(probes[code] @ photo > probes[code] @ true for photo in chosen)
                    for k, found in expected.items():
                        found.append(above < k)
        assert hits[code] == pytest.approx([np.mean(found) for found in expected.values()], abs=0.02)


def test_recall_leaves_ties_to_chance(rng):
    same_photo = np.ones((10, 1))
    hits = matching.recall(same_photo, np.arange(10), same_photo, np.arange(10), ks=(1, 5), rng=rng)
    np.testing.assert_allclose(hits, np.tile([0.1, 0.5], (10, 1)))
    with pytest.raises(MetricError, match="1 people"):
        matching.recall(same_photo, np.zeros(10, int), same_photo, np.zeros(10, int), rng=rng)


def test_identification_against_loops(people):
    p = people
    hits = matching.identification(p.probes, p.codes, p.photos, p.photo_codes, ks=(1, 2, 3))
    for row, (probe, code) in enumerate(zip(p.probes, p.codes, strict=True)):
        scores = [unit(p.photos[p.photo_codes == i].sum(0)) @ probe for i in range(p.n)]
        rank = sorted(scores, reverse=True).index(scores[code])
        assert list(hits[row]) == [rank < 1, rank < 2, rank < 3]
    assert 0 < hits[:, 0].mean() < hits[:, 2].mean() < 1
    missing = matching.identification(p.probes, p.codes, p.photos[2:], p.photo_codes[2:])
    assert np.isnan(missing[0]).all() and np.isfinite(missing[1:]).all(), "person 0 has no photo any more"


def test_identification_leaves_ties_to_chance(rng):
    photos, codes = np.ones((20, 1)), np.arange(20) % 10
    hits = matching.identification(np.ones((10, 1)), np.arange(10), photos, codes)
    np.testing.assert_allclose(hits, np.tile([0.1, 0.5], (10, 1)))
    signs = np.where(np.arange(10) < 4, 1.0, -1.0)[:, None]
    hits = matching.identification(signs, np.arange(10), signs[codes], codes)
    np.testing.assert_allclose(hits[:, 0], [1 / 4] * 4 + [1 / 6] * 6)
    np.testing.assert_allclose(hits[:, 1], [1] * 4 + [5 / 6] * 6)
