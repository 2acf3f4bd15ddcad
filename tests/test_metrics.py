"""Metrics against closed forms, an independent implementation, and plain loops."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from s2f.errors import MetricError
from s2f.metrics import bootstrap, frechet, matching, pairs, rows, standins, verification
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
        frechet.kid(features[0], features[1][:3], rng=rng)
    with pytest.raises(MetricError, match="not finite"):
        frechet.fid(np.full((60, 4), np.nan), np.ones((60, 4)))


def slow_kid(x, y):
    def k(a, b):
        return (a @ b / len(a) + 1) ** 3

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i, j in itertools.permutations(range(n), 2)) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i, j in itertools.permutations(range(m), 2)) / (m * (m - 1))
    xy = sum(k(a, b) for a in x for b in y) / (n * m)
    return xx + yy - 2 * xy


def test_kid_against_loops_and_torchmetrics(features, rng):
    x, y = features[0][:60], features[1][:60]
    value = frechet.kid(x, y, rng=rng)
    assert value == pytest.approx(slow_kid(x, y), rel=1e-6)
    from torchmetrics.image.kid import KernelInceptionDistance

    with pytest.warns(UserWarning, match="save all extracted features"):
        metric = KernelInceptionDistance(torch.nn.Identity(), subsets=1, subset_size=60)
    metric.update(torch.from_numpy(y), real=True)
    metric.update(torch.from_numpy(x), real=False)
    assert value == pytest.approx(float(metric.compute()[0]), rel=1e-6)


def test_kid_leaves_the_global_generator_alone(features, rng):
    before = torch.get_rng_state()
    frechet.kid(*features, rng=rng, subset_size=20, n_subsets=3)
    assert torch.equal(before, torch.get_rng_state())


def test_kid_interval_holds_the_value_and_needs_identities(features, rng):
    x, y = features
    codes, reference_codes = np.arange(90) % 10, np.arange(70) % 10
    estimate = frechet.kid_interval(x, codes, y, reference_codes, rng=rng, n_subsamples=50)
    assert estimate.low < estimate.value < estimate.high
    assert estimate.low > 0, "the sets differ by a shift"
    with pytest.raises(MetricError, match="3 identities"):
        frechet.kid_interval(x, codes % 3, y, reference_codes % 3, rng=rng)


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


def test_same_needs_known_labels():
    expected = np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1]], bool)
    np.testing.assert_array_equal(matching.same(np.array(["f", None, "m"], object)), expected)


def test_recall_against_all_galleries(rng):
    # Four people, two photos each: every gallery of three people can be written down.
    photo_codes = np.repeat(np.arange(4), 2)
    photos, probes = unit(rng.normal(size=(8, 3))), unit(rng.normal(size=(4, 3)))
    hits = matching.recall(
        probes, np.arange(4), photos, photo_codes, ks=(1, 2), n_way=3, n_galleries=20000, rng=rng
    )
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


# Distances


def test_pixel_l1_against_loops(rng):
    faces, photos = rng.integers(0, 256, (2, 6, 4, 4, 3), dtype=np.uint8)
    codes, photo_codes = np.array([0, 0, 1, 2, 2, 3]), np.array([0, 1, 1, 2, 2, 2])
    values = pairs.l1_pixel(faces, codes, photos, photo_codes)
    for row, code in enumerate(codes[:5]):
        each = [
            np.abs(faces[row].astype(float) - photo).mean()
            for photo in photos[photo_codes == code].astype(float)
        ]
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
    estimate = bootstrap.interval(
        bootstrap.ratio(bootstrap.mean(3 * values), bootstrap.mean(values)), 30, rng=rng
    )
    assert estimate.low == pytest.approx(3) and estimate.high == pytest.approx(3)


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
    predicted = standins.linear_probe(voices, voices @ weights, voices[:20], penalty=1e-9)
    np.testing.assert_allclose(predicted, unit(voices[:20] @ weights), atol=1e-5)


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
        )

    return SimpleNamespace(people=people, model=faces(6, 1.5), photos=faces(8, 0.5))


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
            assert set(entry) == {
                "value",
                "low",
                "high",
                "n_recordings",
                "n_identities",
                "reference",
                "reason",
            }
            assert (entry["value"] is not None) or entry["reason"], f"{row}.{metric} is null without a reason"
            if entry["low"] is not None:
                assert entry["low"] <= entry["value"] + 1e-9 and entry["value"] <= entry["high"] + 1e-9
    assert result["rows"]["probe"]["fid"]["reason"] == "no voice embeddings"


def test_rows_say_what_they_should(study):
    result = evaluate(study)["rows"]
    model, ceiling, random, oracle = (
        result[row] for row in ("model", "ceiling", "random_real", "gender_oracle")
    )
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
    drawn = {"fid", "kid", "fid_real_real", "recall_at_1", "recall_at_5", "recall_at_10"}
    for metric in set(rows.METRICS) - drawn:
        for part in ("value", "low", "high"):
            assert first[metric][part] == pytest.approx(second[metric][part], rel=1e-5), metric


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
    assert more["rows"]["model"] == first["rows"]["model"]


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
