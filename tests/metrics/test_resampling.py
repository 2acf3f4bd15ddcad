"""Paired differences of rows, against drawing people one by one."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from s2f.metrics import bootstrap, catalogue, matching, pairs, standins
from tests.metrics.loops import IN_SETS, PARTS, compared, evaluate, fast_kid, unit


def test_a_row_minus_itself_is_nothing(study):
    result = compared(study, study.model)
    found = result["differences"]["general"]
    assert tuple(found) == tuple(metric for metric in catalogue.METRICS if metric not in IN_SETS)
    for metric, entry in found.items():
        assert set(entry) == {*PARTS, "n_identities", "reason"}
        if metric == "recall_at_10":
            assert entry["value"] is None and "10 people" in entry["reason"]
        else:
            assert [entry[part] for part in PARTS] == [0, 0, 0], metric
            n = {"matching_within_gender_nationality": 8, "matching_within_women": 5, "matching_within_men": 5}
            assert entry["n_identities"] == n.get(metric, 10), metric  # two nationalities are unknown
            assert not bootstrap.distinct(entry), metric


def test_differences_cover_what_was_measured(study):
    result = compared(study, study.model, absent={"probe": "no voice embeddings"})
    json.dumps(result, allow_nan=False)
    expected = {"general", "chance", "gender_oracle", "random_real", "ceiling", "shuffled_voice"}
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
    without = evaluate(study, stand_ins={"general": study.model}, n_resamples=50)
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
