"""Metrics against closed forms, an independent implementation, and plain loops."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from s2f.errors import MetricError
from s2f.metrics import bootstrap, frechet, manifolds, matching, pairs, rows, standins, verification
from s2f.metrics.standins import FaceSet


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


# FID and KID


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
    from scipy import linalg

    x, y = (part[:, :n_dims] for part in features)
    sx, sy = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = linalg.sqrtm(linalg.sqrtm(sx).real @ sy @ linalg.sqrtm(sx).real).real
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(sx + sy - 2 * root)
    assert frechet.fid(x, y) == pytest.approx(expected, rel=1e-4)


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


def kid(x, x_codes, y, y_codes, n, chosen=None):
    statistic = frechet.kid(x, x_codes, y, y_codes, n_identities=n)
    return statistic(np.isin(np.arange(n), np.arange(n) if chosen is None else chosen)[None].astype(float))[0]


def slow_kid(x, y):
    def k(a, b):
        return (a @ b / len(a) + 1) ** 3

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i, j in itertools.permutations(range(n), 2)) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i, j in itertools.permutations(range(m), 2)) / (m * (m - 1))
    xy = sum(k(a, b) for a in x for b in y) / (n * m)
    return xx + yy - 2 * xy


def fast_kid(x, y):
    def pairs_of(z):
        kernel = (z @ z.T / z.shape[1] + 1) ** 3
        return kernel[~np.eye(len(z), dtype=bool)].mean()

    return pairs_of(x) + pairs_of(y) - 2 * ((x @ y.T / x.shape[1] + 1) ** 3).mean()


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


# Precision and recall of sets


def slow_inside(points, manifold, k):
    radii = [
        sorted(np.linalg.norm(a - b) for j, b in enumerate(manifold) if j != i)[k - 1] for i, a in enumerate(manifold)
    ]
    hits = [any(np.linalg.norm(p - m) <= r for m, r in zip(manifold, radii, strict=True)) for p in points]
    return np.mean(hits)


@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_against_loops(rng, k):
    faces, photos = rng.normal(size=(50, 4)), 0.7 * rng.normal(size=(40, 4)) + 1
    precision, recall = manifolds.precision_recall(faces, photos, k=k)
    assert precision == slow_inside(faces, photos, k) and recall == slow_inside(photos, faces, k)
    assert min(precision, recall) > 0.1 and max(precision, recall) < 1 and precision != recall
    blocks = manifolds.inside(faces, photos, k=k, block=7)
    assert blocks == precision


def test_precision_of_real_photos_is_one_and_recall_of_one_face_is_small(rng):
    photos = rng.normal(size=(60, 300))
    assert manifolds.precision_recall(photos[5:30], photos)[0] == 1
    assert manifolds.precision_recall(photos, photos) == (1, 1)
    precision, recall = manifolds.precision_recall(np.repeat(photos[:1], 60, axis=0), photos)
    assert precision == 1 and recall <= 1 / 60
    assert manifolds.precision_recall(photos + 100, photos) == (0, 0)
    with pytest.raises(MetricError, match="3 faces"):
        manifolds.precision_recall(photos, photos[:3])


# Matching


@pytest.fixture
def people(rng):
    """Seven people with unequal numbers of recordings and photos, some tied photos."""
    n = 7
    base = rng.normal(size=(n, 5))
    codes = np.repeat(np.arange(n), [1, 2, 3, 4, 2, 1, 3])
    photo_codes = np.repeat(np.arange(n), [2, 1, 4, 3, 2, 5, 1])
    probes = unit(base[codes] + rng.normal(size=(len(codes), 5)))
    photos = unit(base[photo_codes] + rng.normal(size=(len(photo_codes), 5)))
    photos[3] = photos[0]  # the same photo filed under two people
    return SimpleNamespace(
        n=n,
        probes=probes,
        codes=codes,
        photos=photos,
        photo_codes=photo_codes,
        gender=np.array(["f", "m", "f", "m", "f", "f", None], object),
    )


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
        wins = matching.win_matrix(
            p.probes[both],
            p.codes[both],
            p.photos,
            p.photo_codes,
            n_identities=p.n,
            videos=videos[0][both],
            photo_videos=videos[1],
            same_video=same_video,
        )
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


# Distances


def test_means_by_identity_of_numbers_and_of_vectors(rng):
    codes, vectors = np.array([2, 0, 2, 2]), rng.normal(size=(4, 3))
    means = pairs.by_identity(vectors, codes, n_identities=4)
    np.testing.assert_allclose(means[[0, 2]], [vectors[1], vectors[[0, 2, 3]].mean(0)])
    assert np.isnan(means[[1, 3]]).all()
    np.testing.assert_array_equal(pairs.by_identity(vectors[:, 1], codes, n_identities=4), means[:, 1])


def test_pixel_l1_against_loops(rng):
    faces, photos = rng.integers(0, 256, (2, 6, 4, 4, 3), dtype=np.uint8)
    codes, photo_codes = np.array([0, 0, 1, 2, 2, 3]), np.array([0, 1, 1, 2, 2, 2])
    values = pairs.l1_pixel(faces, codes, photos, photo_codes)
    for row, code in enumerate(codes[:5]):
        each = [np.abs(faces[row].astype(float) - photo).mean() for photo in photos[photo_codes == code].astype(float)]
        assert values[row] == pytest.approx(np.mean(each))
    assert np.isnan(values[5]), "person 3 has no photo"


def test_embedding_distances_against_loops(people):
    p = people
    l1 = pairs.l1_embedding(p.probes, p.codes, p.photos, p.photo_codes)
    cosine = pairs.cosine_matrix(p.probes, p.codes, p.photos, p.photo_codes, n_identities=p.n)
    for row, code in enumerate(p.codes):
        assert l1[row] == pytest.approx(
            np.mean([np.abs(p.probes[row] - t).sum() for t in p.photos[p.photo_codes == code]])
        )
    for i, j in itertools.product(range(p.n), repeat=2):
        each = [a @ b for a in p.probes[p.codes == i] for b in p.photos[p.photo_codes == j]]
        assert cosine[i, j] == pytest.approx(np.mean(each))


def test_rms_matrix_against_loops(rng):
    faces = rng.integers(0, 256, (9, 4, 4, 3), dtype=np.uint8)
    codes = np.array([0, 0, 0, 1, 1, 2, 3, 3, 0])
    matrix = pairs.rms_matrix(faces, codes, n_identities=5, block=4)
    x = faces / 127.5 - 1
    for i, j in itertools.product(range(4), repeat=2):
        each = [
            np.sqrt(((x[a] - x[b]) ** 2).mean())
            for a in np.flatnonzero(codes == i)
            for b in np.flatnonzero(codes == j)
            if a != b
        ]
        if each:
            assert matrix[i, j] == pytest.approx(np.mean(each), abs=1e-5)
        else:
            assert np.isnan(matrix[i, j])
    assert np.isnan(matrix[4]).all()


# Bootstrap


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


# Verification


def test_error_rates_of_known_scores(rng):
    # Three tight clusters and one outlier that lies with another cluster.
    angles = np.array([0.0, 0.1, 2.0, 2.0, 2.1, 2.2, 1.0, 1.1, 1.2])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    result = verification.error_rates(vectors, np.array(list("aaabbbccc")), rng=rng, n_resamples=50)
    scores = vectors @ vectors.T
    together = list(itertools.combinations(range(9), 2))
    same = [scores[i, j] for i, j in together if i // 3 == j // 3]
    different = [scores[i, j] for i, j in together if i // 3 != j // 3]
    assert (result.n_same, result.n_different) == (9, 27)
    gaps = []
    for threshold in sorted(same + different):
        reject, accept = np.mean(np.array(same) < threshold), np.mean(np.array(different) >= threshold)
        gaps.append((abs(reject - accept), (reject + accept) / 2))
    assert result.equal_error_rate.value == pytest.approx(min(gaps)[1], abs=1e-9)


def test_error_rates_leave_out_pairs_of_one_video(rng):
    vectors = unit(rng.normal(size=(6, 4)))
    vectors = np.concatenate([vectors, unit(rng.normal(size=(3, 4)))])
    people, videos = np.array(list("aaabbbccc")), np.array(["1", "1", "2", "3", "4", "4", "5", "6", "7"])
    assert verification.error_rates(vectors, people, sources=videos, rng=rng, n_resamples=50).n_same == 7
    with pytest.raises(MetricError, match="0 pairs of one person"):
        verification.error_rates(vectors, np.array(list("abcdefghi")), rng=rng)


def test_equal_error_rate_of_perfect_and_of_useless_embeddings(rng):
    people = np.repeat(np.arange(20).astype(str), 4)
    perfect = np.eye(20)[np.repeat(np.arange(20), 4)]
    assert verification.error_rates(perfect, people, rng=rng, n_resamples=50).equal_error_rate.value < 1e-9
    useless = verification.error_rates(unit(rng.normal(size=(80, 8))), people, rng=rng, n_resamples=50)
    assert useless.equal_error_rate.value == pytest.approx(0.5, abs=0.1)


# Stand-ins and rows


def test_halves_share_no_photo_and_no_video(rng):
    identities = np.repeat(np.array(["a", "b", "c"], object), [6, 1, 4])
    sources = np.array(["1", "1", "2", "2", "3", "3", "1", "9", "9", "9", "9"])
    photos = FaceSet(identities=identities, female=np.arange(11.0), sources=sources)
    reference, source = standins.halves(photos, rng=rng)
    assert sorted([*reference.female, *source.female]) == list(range(11))
    videos = [set(zip(part.identities, part.sources, strict=True)) for part in (reference, source)]
    assert {v for v in videos[0] & videos[1]} == {("c", "9")}, "only a person of one video is split within it"
    assert "b" not in source.identities and list(source.identities).count("c") == 2


def test_someone_else_is_never_the_person_itself(rng):
    own = np.repeat(np.array(["a", "b", "c"], object), 20)
    other = standins.someone_else(FaceSet(identities=own, female=np.arange(60.0)), rng=rng)
    assert (other.identities != own).all() and set(other.identities) == {"a", "b", "c"}
    with pytest.raises(MetricError, match="1 people"):
        standins.someone_else(FaceSet(identities=own[:3]), rng=rng)


def test_mean_faces_and_their_repetition(rng):
    photos = rng.integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    faces, names = standins.mean_faces(photos, np.array(["f", "f", "m", "m", None], object))
    assert names == ["all", "f", "m"]
    np.testing.assert_allclose(faces[1], photos[:2].astype(float).mean(0), atol=0.5)
    np.testing.assert_allclose(faces[0], photos.astype(float).mean(0), atol=0.5)
    means = FaceSet(identities=np.array(names, object), pixels=faces)
    drawn = standins.repeated(means, names, np.array(["p", "q", "r"]), genders=["m", "f", None])
    np.testing.assert_array_equal(drawn.pixels, faces[[2, 1, 0]])
    assert list(drawn.identities) == ["p", "q", "r"]


def test_linear_probe_recovers_a_linear_map(rng):
    voices, weights = rng.normal(size=(200, 8)), rng.normal(size=(8, 6))
    targets = voices @ weights + 3.0  # a common part says nothing of anybody
    predicted = standins.linear_probe(voices, targets, voices[:20], penalty=1e-9)
    np.testing.assert_allclose(predicted, unit(targets[:20] - targets.mean(0)), atol=1e-5)


def test_linear_probe_is_ridge_regression(rng):
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    voices, targets = rng.normal(size=(60, 5)) * [1, 2, 3, 4, 5] + 1, rng.normal(size=(60, 4))
    scaled = StandardScaler().fit(voices)
    ridge = Ridge(alpha=0.3 * 60).fit(scaled.transform(voices), targets)
    expected = unit(ridge.predict(scaled.transform(voices[:9])) - targets.mean(0))
    np.testing.assert_allclose(standins.linear_probe(voices, targets, voices[:9], penalty=0.3), expected, atol=1e-5)


def test_face_set_refuses_unequal_rows():
    with pytest.raises(MetricError, match="2 rows for 3 identities"):
        FaceSet(identities=np.array(["a", "b", "c"]), female=np.ones(2))


@pytest.fixture
def study(rng):
    """Ten people, each with 6 recordings and 8 photos; embeddings know the person, a little."""
    n = 10
    people = pd.DataFrame(
        {
            "identity": [f"p{i}" for i in range(n)],
            "gender": ["f", "m"] * (n // 2),
            "nationality": ["x", "x", "y", "y", "x", "x", "y", "y", None, None],
        }
    )
    base = rng.normal(size=(n, 6))

    def faces(n_each, noise):
        codes = np.repeat(np.arange(n), n_each)
        return FaceSet(
            identities=people["identity"].to_numpy(object)[codes],
            pixels=rng.integers(0, 256, (len(codes), 8, 8, 3), dtype=np.uint8),
            embeddings=unit(base[codes] + noise * rng.normal(size=(len(codes), 6))).astype(np.float32),
            female=np.where(codes % 2 == 0, 0.9, 0.2).astype(np.float32),
            inception=rng.normal(size=(len(codes), 200)).astype(np.float32),
            sources=np.array([f"v{k % n_each % 4}" for k in range(len(codes))], object),
        )

    return SimpleNamespace(people=people, model=faces(6, 1.5), photos=faces(8, 0.5))


PARTS = ("value", "low", "high")
IN_SETS = {"fid", "fid_real_real", "precision", "recall"}


def evaluate(study, **options):
    defaults = {"protocol": "held_out", "rng": np.random.default_rng(3), "n_resamples": 200, "min_n": 20}
    return rows.evaluate({"model": study.model}, study.photos, study.people, **defaults | options)


def test_rows_have_the_promised_structure(study):
    result = evaluate(study, absent={"probe": "no voice embeddings"})
    json.dumps(result, allow_nan=False)
    assert tuple(result["rows"]) == rows.ROWS
    for row, metrics in result["rows"].items():
        assert tuple(metrics) == rows.METRICS
        for metric, entry in metrics.items():
            assert set(entry) == {"value", "low", "high", "n_recordings", "n_identities", "reference", "reason"}
            assert (entry["value"] is not None) or entry["reason"], f"{row}.{metric} is null without a reason"
            if entry["low"] is not None:
                assert entry["low"] <= entry["value"] + 1e-9 and entry["value"] <= entry["high"] + 1e-9
    assert result["rows"]["probe"]["fid"]["reason"] == "no voice embeddings"


def test_rows_say_what_they_should(study):
    result = evaluate(study)["rows"]
    model, ceiling, random, oracle = (result[row] for row in ("model", "ceiling", "random_real", "gender_oracle"))
    absent = [metric for metric in rows.METRICS if model[metric]["value"] is None]
    assert absent == ["recall_at_10"], "ten people are too few for it"
    assert ceiling["matching_2way"]["value"] > model["matching_2way"]["value"] > 0.6
    assert random["matching_2way"]["value"] < 0.5
    assert model["gender_agreement"]["value"] == 1 and random["gender_agreement"]["value"] < 0.8
    # 9 distractors, 5 of the other sex: 5/9 + 4/9 / 2
    assert oracle["matching_2way"]["value"] == pytest.approx(7 / 9)
    assert oracle["matching_within_gender"]["value"] == pytest.approx(0.5)
    assert result["chance"]["recall_at_5"]["value"] == pytest.approx(0.5)
    assert ceiling["fid"]["value"] == pytest.approx(model["fid_real_real"]["value"], rel=0.2)
    assert {entry["n_recordings"] for entry in (model["fid"], ceiling["fid"], model["kid"])} == {40}


def test_real_rows_never_meet_their_own_photo(study):
    # With noise-free, distinct pixels the only zero distance is a photo with itself.
    distances = evaluate(study)["rows"]["ceiling"]["l1_pixel_255"]
    assert distances["value"] > 60 and distances["n_recordings"] == 40


def test_rows_do_not_depend_on_the_order_of_recordings(study, rng):
    first = evaluate(study)["rows"]["model"]
    study.model = study.model.take(rng.permutation(len(study.model)))
    second = evaluate(study)["rows"]["model"]
    drawn = IN_SETS | {"kid", "recall_at_1", "recall_at_5", "recall_at_10"}
    for metric in set(rows.METRICS) - drawn:
        if first[metric]["value"] is not None:
            one, other = ([entry[part] for part in PARTS] for entry in (first[metric], second[metric]))
            assert one == pytest.approx(other, rel=1e-5, abs=1e-9), metric


def test_rows_of_one_seed_are_equal_and_other_rows_do_not_move_them(study):
    first = evaluate(study)
    assert first == evaluate(study)
    assert first != evaluate(study, rng=np.random.default_rng(4))
    more = rows.evaluate(
        {"noise_voice": study.model, "model": study.model},
        study.photos,
        study.people,
        protocol="held_out",
        rng=np.random.default_rng(3),
        n_resamples=200,
        min_n=20,
    )
    for row in ("model", "ceiling"):
        assert more["rows"][row] == first["rows"][row]
    assert more["differences"]["ceiling"] == first["differences"]["ceiling"]


def test_duplicates_of_everyones_faces_change_nothing(study):
    first = evaluate(study)["rows"]["model"]
    study.model = study.model.take(np.repeat(np.arange(60), 3))
    second = evaluate(study)["rows"]["model"]
    # A face with its copy is a pair within the person, and galleries are drawn for each face anew.
    changed = IN_SETS | {"kid", "consistency", "recall_at_1", "recall_at_5", "recall_at_10"}
    for metric in set(rows.METRICS) - changed:
        one, other = ([entry[part] for part in PARTS] for entry in (first[metric], second[metric]))
        assert one == pytest.approx(other, rel=1e-5, abs=1e-9), metric


def test_an_oracle_is_right_and_a_random_row_is_chance(study, rng):
    base, codes = np.eye(10), np.repeat(np.arange(10), 8)
    study.photos = FaceSet(identities=study.photos.identities, embeddings=base[codes], sources=study.photos.sources)
    oracle = study.model.take(slice(None))
    oracle = FaceSet(identities=oracle.identities, embeddings=np.repeat(base, 6, axis=0), sources=oracle.sources)
    result = evaluate(SimpleNamespace(model=oracle, photos=study.photos, people=study.people))
    asked = [metric for metric in rows.METRICS if metric.startswith(("matching", "identification"))]
    for metric in asked:
        expected = 0 if "difference" in metric else 1
        assert [result["rows"]["model"][metric][part] for part in PARTS] == [expected] * 3, metric
    n = 40
    codes, people = np.repeat(np.arange(n), 8), [f"p{i:02}" for i in range(n)]
    videos = np.array([f"v{k % 4}" for k in range(len(codes))])
    drawn, photos = (
        FaceSet(identities=np.array(people, object)[codes], embeddings=vectors, sources=videos)
        for vectors in unit(rng.normal(size=(2, 8 * n, 30)))
    )
    table = pd.DataFrame({"identity": people, "gender": ["f", "m"] * (n // 2), "nationality": ["x"] * n})
    result = evaluate(SimpleNamespace(model=drawn, photos=photos, people=table))
    for metric in asked:
        model, chance = result["rows"]["model"][metric], result["rows"]["chance"][metric]["value"]
        assert model["low"] < chance < model["high"], metric
        assert not bootstrap.distinct(result["differences"]["chance"][metric]), metric


def test_videos_have_to_be_known(study):
    videos = [metric for metric in rows.METRICS if "_video" in metric]
    result = evaluate(study)["rows"]
    assert len(videos) == 6 and all(result["model"][metric]["value"] is not None for metric in videos)
    assert "no voice" in result["ceiling"]["matching_same_video"]["reason"]
    shuffled = compared(study, study.model, row="shuffled_voice")["rows"]["shuffled_voice"]
    assert all("someone else" in shuffled[metric]["reason"] for metric in videos)
    parts = [result["model"][f"matching_{what}"] for what in ("same_video", "other_video", "video_difference")]
    assert parts[2]["value"] == pytest.approx(parts[0]["value"] - parts[1]["value"])
    assert parts[2]["high"] - parts[2]["low"] < parts[0]["high"] - parts[0]["low"], "they are paired"
    # Person p0 speaks in videos that no photo is from, p1 has photos of one video only.
    sources = study.model.sources.copy()
    sources[:6] = "elsewhere"
    study.model = replace(study.model, sources=sources)
    sources = study.photos.sources.copy()
    sources[8:16] = "v1"
    study.photos = replace(study.photos, sources=sources)
    entry = evaluate(study)["rows"]["model"]["matching_same_video"]
    assert (entry["n_recordings"], entry["n_identities"]) == (48, 8)
    for part, reason in ((np.full(60, "elsewhere"), "nobody has photos"), (None, "not known")):
        study.model = replace(study.model, sources=part)
        model = evaluate(study)["rows"]["model"]
        assert all(model[metric]["value"] is None and reason in model[metric]["reason"] for metric in videos)


def test_galleries_have_to_be_larger_than_k(study):
    few = np.isin(study.photos.identities, ["p0", "p1", "p2", "p3", "p4"])
    study.photos = study.photos.take(few)
    result = evaluate(study)["rows"]
    assert result["model"]["identification_top_1"]["value"] is not None
    assert result["chance"]["identification_top_1"]["value"] == pytest.approx(1 / 5)
    for row in ("model", "chance"):
        assert "5 people" in result[row]["identification_top_5"]["reason"]


def test_sets_of_faces_have_one_size(study, monkeypatch):
    def sizes(x, y, **_):
        return float(1000 * len(x) + len(y))

    monkeypatch.setattr(frechet, "fid", sizes)
    monkeypatch.setattr(manifolds, "precision_recall", lambda x, y: (sizes(x, y), sizes(y, x)))
    monkeypatch.setattr(frechet, "kid", lambda x, codes, y, *_, **__: lambda counts: np.full(len(counts), sizes(x, y)))
    few = study.model.take(np.arange(0, 60, 2))
    for stand_ins, n_fid, n in (
        ({"model": study.model}, None, 40),
        ({"model": study.model}, 25, 25),
        ({"model": study.model}, 1000, 40),
        ({"model": study.model, "general": few}, None, 30),
    ):
        result = rows.evaluate(
            stand_ins,
            study.photos,
            study.people,
            protocol="held_out",
            rng=np.random.default_rng(3),
            n_resamples=50,
            n_fid=n_fid,
            min_n=20,
        )["rows"]
        measured = [*stand_ins, "ceiling", "random_real"]
        entries = [result[row][metric] for row in measured for metric in (*IN_SETS, "kid")]
        assert {entry["n_recordings"] for entry in entries} == {n}
        assert {entry["reference"].split(" real")[0] for entry in entries} == {str(n)}
        assert {entry["value"] for entry in entries} == {1000 * n + n}


def test_sets_of_faces_are_compared_with_the_reference(study):
    # With all of 40 photos in either half and 40 faces, nothing is left to draw.
    study.model = study.model.take(np.arange(40))
    model = evaluate(study)["rows"]["model"]
    reference, source = standins.halves(study.photos, rng=np.random.default_rng(3).spawn(1)[0])
    x, y, z = (part.inception for part in (study.model, reference, source))
    assert model["fid"]["value"] == pytest.approx(frechet.fid(x, y, min_n=20), rel=1e-6)
    assert model["fid_real_real"]["value"] == pytest.approx(frechet.fid(z, y, min_n=20), rel=1e-6)
    assert model["kid"]["value"] == pytest.approx(slow_kid(x.astype(float), y.astype(float)), rel=1e-5)
    assert model["precision"]["value"] == slow_inside(x, y, 3)
    assert model["recall"]["value"] == slow_inside(y, x, 3)


def test_rows_with_parts_missing_say_why(study):
    study.model = FaceSet(identities=study.model.identities, embeddings=study.model.embeddings)
    study.people["gender"] = None
    model = evaluate(study)["rows"]["model"]
    assert model["matching_2way"]["value"] > 0.5
    assert model["fid"]["value"] is None and model["l1_pixel_255"]["value"] is None
    assert "stratum" in model["matching_within_gender"]["reason"]


def test_too_few_faces_for_fid_is_a_reason_not_a_number(study):
    entry = evaluate(study, min_n=50)["rows"]["model"]["fid"]
    assert entry["value"] is None and "at least 50" in entry["reason"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: setattr(s, "people", s.people[1:]), "p0"),
        (lambda s: setattr(s, "photos", s.photos.take(np.zeros(80, bool))), "empty"),
    ],
)
def test_rows_refuse_what_does_not_fit(study, change, message):
    change(study)
    with pytest.raises(MetricError, match=message):
        evaluate(study)


def test_an_unknown_row_names_the_nearest(study):
    with pytest.raises(MetricError, match="mean_face"):
        evaluate(study, absent={"meanface": "x"})


# Differences


def compared(study, other, *, row="general", **options):
    defaults = {"protocol": "held_out", "rng": np.random.default_rng(3), "n_resamples": 300, "min_n": 20}
    return rows.evaluate({"model": study.model, row: other}, study.photos, study.people, **defaults | options)


def test_a_row_minus_itself_is_nothing(study):
    result = compared(study, study.model)
    found = result["differences"]["general"]
    assert tuple(found) == tuple(metric for metric in rows.METRICS if metric not in IN_SETS)
    for metric, entry in found.items():
        assert set(entry) == {*PARTS, "n_identities", "reason"}
        if metric == "recall_at_10":
            assert entry["value"] is None and "10 people" in entry["reason"]
        else:
            assert [entry[part] for part in PARTS] == [0, 0, 0], metric
            n = 8 if metric == "matching_within_gender_nationality" else 10  # two nationalities are unknown
            assert entry["n_identities"] == n and not bootstrap.distinct(entry)


def test_differences_cover_what_was_measured(study):
    result = compared(study, study.model, absent={"probe": "no voice embeddings"})
    json.dumps(result, allow_nan=False)
    expected = {"general", "chance", "gender_oracle", "random_real", "ceiling"}
    assert set(result["differences"]) == expected
    model, ceiling = result["rows"]["model"], result["rows"]["ceiling"]
    for metric, entry in result["differences"]["ceiling"].items():
        if model[metric]["value"] is None or ceiling[metric]["value"] is None:
            assert entry["value"] is None and entry["low"] is None and entry["reason"], metric
        else:
            assert entry["value"] == pytest.approx(model[metric]["value"] - ceiling[metric]["value"]), metric
            assert entry["low"] <= entry["value"] <= entry["high"], metric
    assert result["differences"]["ceiling"]["matching_same_video"]["reason"].startswith("ceiling: ")
    chance = result["differences"]["chance"]
    for part in PARTS:
        assert chance["matching_2way"][part] == pytest.approx(model["matching_2way"][part] - 0.5)
        assert chance["identification_top_1"][part] == pytest.approx(model["identification_top_1"][part] - 0.1)
    assert bootstrap.distinct(chance["matching_2way"])
    assert result["differences"]["gender_oracle"]["gender_agreement"]["value"] == 0
    assert chance["kid"]["value"] is None
    without = rows.evaluate(
        {"general": study.model},
        study.photos,
        study.people,
        protocol="held_out",
        rng=np.random.default_rng(3),
        n_resamples=50,
        min_n=20,
    )
    assert without["differences"] == {}


def test_a_paired_interval_is_narrower(study, rng):
    # The same faces, slightly changed: both rows are high on the same people.
    embeddings = unit(study.model.embeddings + 0.2 * rng.normal(size=study.model.embeddings.shape))
    pixels = np.clip(study.model.pixels + 5.0 * rng.normal(size=study.model.pixels.shape), 0, 255).astype(np.uint8)
    inception = study.model.inception + np.float32(0.1) * rng.normal(size=(60, 200)).astype(np.float32)
    general = replace(study.model, embeddings=embeddings.astype(np.float32), pixels=pixels, inception=inception)
    result = compared(study, general)
    for metric in ("matching_2way", "cosine_matched", "l1_pixel_255", "kid", "matching_other_video"):
        width = [
            entry["high"] - entry["low"]
            for entry in (
                result["differences"]["general"][metric],
                result["rows"]["model"][metric],
                result["rows"]["general"][metric],
            )
        ]
        assert width[0] < 0.7 * np.hypot(width[1], width[2]), metric


def test_differences_against_drawing_people(study, rng):
    """People drawn one by one with lists; some of them are in only one of the rows."""
    embeddings = unit(rng.normal(size=(60, 6)) + study.model.embeddings)
    general = replace(study.model, embeddings=embeddings).take(study.model.identities != "p3")
    study.model = study.model.take(study.model.identities != "p7")
    found = compared(study, general, n_resamples=3000)["differences"]["general"]
    both = [i for i in range(10) if i not in (3, 7)]
    names = study.people["identity"].to_numpy(object)
    photo_codes = np.repeat(np.arange(10), 8)
    wins, cosine = {}, {}
    for row, faces in (("m", study.model), ("g", general)):
        codes = np.searchsorted(names, faces.identities)
        sets = (faces.embeddings, codes, study.photos.embeddings, photo_codes)
        wins[row] = matching.win_matrix(*sets, n_identities=10)
        cosine[row] = pairs.cosine_matrix(*sets, n_identities=10)
    draws = {"matching_2way": [], "cosine_matched": []}
    for _ in range(3000):
        drawn = [i for i in rng.integers(0, 10, 10) if i in both]
        terms = {
            row: np.mean([np.mean([wins[row][i, j] for j in drawn if j != i]) for i in drawn])
            for row in "mg"
            if len(set(drawn)) > 1
        }
        if terms:
            draws["matching_2way"].append(terms["m"] - terms["g"])
            draws["cosine_matched"].append(np.mean([cosine["m"][i, i] - cosine["g"][i, i] for i in drawn]))
    values = {
        "matching_2way": np.mean([wins["m"][i, j] - wins["g"][i, j] for i, j in itertools.permutations(both, 2)]),
        "cosine_matched": np.mean([cosine["m"][i, i] - cosine["g"][i, i] for i in both]),
    }
    for metric, entry in found.items():
        if metric in draws:
            low, high = np.quantile(draws[metric], [0.025, 0.975])
            assert entry["value"] == pytest.approx(values[metric], abs=1e-6)
            assert entry["n_identities"] == 8
            assert [entry["low"], entry["high"]] == pytest.approx([low, high], abs=0.06 * (high - low)), metric


def test_the_difference_of_kid_against_drawing_halves(study, rng):
    # With 40 faces in each row and 40 photos in either half, nothing is left to draw. Nobody is p3 in the other row.
    study.model = study.model.take(np.arange(60) % 6 < 4)
    identities = np.where(study.model.identities == "p3", "p4", study.model.identities)
    shifted = study.model.inception + np.float32(0.2)
    result = compared(study, replace(study.model, identities=identities, inception=shifted), n_subsamples=2000)
    reference, _ = standins.halves(study.photos, rng=np.random.default_rng(3).spawn(1)[0])
    both = np.array([f"p{i}" for i in range(10) if i != 3], object)

    def difference(people):
        ours, theirs, photos = (
            features[np.isin(names, people)].astype(float)
            for features, names in (
                (study.model.inception, study.model.identities),
                (shifted, identities),
                (reference.inception, reference.identities),
            )
        )
        return fast_kid(ours, photos) - fast_kid(theirs, photos)

    draws = [difference(rng.permutation(both)[:4]) for _ in range(2000)]
    entry, (low, high) = result["differences"]["general"]["kid"], np.quantile(draws, [0.025, 0.975])
    assert entry["n_identities"] == 9 and entry["value"] == pytest.approx(difference(both), rel=1e-4)
    assert [entry["low"], entry["high"]] == pytest.approx([low, high], abs=0.06 * (high - low))
    assert entry["high"] < 0 and bootstrap.distinct(entry)


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
