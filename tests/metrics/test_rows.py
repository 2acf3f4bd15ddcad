"""Every row of a study: its structure, what it has to say, and what may not move it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from s2f.errors import MetricError
from s2f.metrics import bootstrap, catalogue, rows, standins
from s2f.metrics.standins import FaceSet
from tests.metrics.loops import IN_SETS, PARTS, evaluate, unit


def test_rows_have_the_promised_structure(study):
    result = evaluate(study, absent={"probe": "no voice embeddings"})
    json.dumps(result, allow_nan=False)
    assert tuple(result["rows"]) == tuple(catalogue.ROWS)
    for row, metrics in result["rows"].items():
        assert tuple(metrics) == tuple(catalogue.METRICS)
        for metric, entry in metrics.items():
            assert set(entry) == {"value", "low", "high", "n_recordings", "n_identities", "reference", "reason"}
            assert (entry["value"] is not None) or entry["reason"], f"{row}.{metric} is null without a reason"
            if entry["low"] is not None:
                assert entry["low"] <= entry["value"] + 1e-9 and entry["value"] <= entry["high"] + 1e-9
    assert result["rows"]["probe"]["fid"]["reason"] == "no voice embeddings"


def test_rows_say_what_they_should(study):
    result = evaluate(study)["rows"]
    model, ceiling, random, oracle = (result[row] for row in ("model", "ceiling", "random_real", "gender_oracle"))
    absent = [metric for metric in catalogue.METRICS if model[metric]["value"] is None]
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
    reference, source = standins.halves(study.photos, rng=np.random.default_rng(0))
    shared = {photo.tobytes() for photo in reference.pixels} & {photo.tobytes() for photo in source.pixels}
    assert not shared
    result = evaluate(study)["rows"]
    for row in ("ceiling", "random_real"):
        distances = result[row]["l1_pixel_255"]
        assert distances["value"] == pytest.approx(85, abs=2) and distances["n_recordings"] == 40, row


def test_photographs_by_their_codes_are_measured_as_photographs_are(study, rng):
    # A code that keeps everything gives the row of the photographs themselves.
    source = study.photos.take(rows.taken(study.photos, rng=np.random.default_rng(3)))
    result = evaluate(study, stand_ins={"model": study.model, "by_code": source}, rng=np.random.default_rng(3))
    assert result["rows"]["by_code"] == result["rows"]["ceiling"] != result["rows"]["model"]
    assert result["differences"]["by_code"] == {
        metric: entry | {"reason": entry["reason"] and entry["reason"].replace("ceiling", "by_code")}
        for metric, entry in result["differences"]["ceiling"].items()
    }


def test_photographs_by_their_codes_of_others_are_refused(study):
    taken = rows.taken(study.photos, rng=np.random.default_rng(3))
    own = np.flatnonzero(taken)
    for wrong in (study.photos, study.photos.take(own[1:]), study.photos.take(own[::-1])):
        with pytest.raises(MetricError, match="by_code is not of the half"):
            evaluate(study, stand_ins={"model": study.model, "by_code": wrong}, rng=np.random.default_rng(3))


def test_rows_do_not_depend_on_the_order_of_recordings(study, rng):
    first = evaluate(study)["rows"]["model"]
    study.model = study.model.take(rng.permutation(len(study.model)))
    second = evaluate(study)["rows"]["model"]
    drawn = IN_SETS | {"kid", "recall_at_1", "recall_at_5", "recall_at_10"}
    for metric in set(catalogue.METRICS) - drawn:
        if first[metric]["value"] is not None:
            one, other = ([entry[part] for part in PARTS] for entry in (first[metric], second[metric]))
            assert one == pytest.approx(other, rel=1e-5, abs=1e-9), metric


def test_rows_of_one_seed_are_equal_and_other_rows_do_not_move_them(study):
    first = evaluate(study)
    assert first == evaluate(study)
    assert first != evaluate(study, rng=np.random.default_rng(4))
    more = evaluate(study, stand_ins={"noise_voice": study.model, "model": study.model})
    for row in ("model", "ceiling"):
        assert more["rows"][row] == first["rows"][row]
    assert more["differences"]["ceiling"] == first["differences"]["ceiling"]


def test_duplicates_of_everyones_faces_change_nothing(study):
    first = evaluate(study)["rows"]["model"]
    study.model = study.model.take(np.repeat(np.arange(60), 3))
    second = evaluate(study)["rows"]["model"]
    # A face with its copy is a pair within the person, and galleries are drawn for each face anew.
    changed = IN_SETS | {"kid", "consistency", "recall_at_1", "recall_at_5", "recall_at_10"}
    for metric in set(catalogue.METRICS) - changed:
        one, other = ([entry[part] for part in PARTS] for entry in (first[metric], second[metric]))
        assert one == pytest.approx(other, rel=1e-5, abs=1e-9), metric


def test_features_that_are_not_finite_are_a_fault_and_no_footnote(study):
    study.model.inception[3, 5] = np.nan
    with pytest.raises(MetricError, match="not finite"):
        evaluate(study)


def test_an_oracle_is_right_and_a_random_row_is_chance(study, rng):
    base, codes = np.eye(10), np.repeat(np.arange(10), 8)
    study.photos = FaceSet(identities=study.photos.identities, embeddings=base[codes], sources=study.photos.sources)
    oracle = study.model.take(slice(None))
    oracle = FaceSet(identities=oracle.identities, embeddings=np.repeat(base, 6, axis=0), sources=oracle.sources)
    result = evaluate(SimpleNamespace(model=oracle, photos=study.photos, people=study.people))
    asked = [metric for metric in catalogue.METRICS if metric.startswith(("matching", "identification"))]
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
    halves = {"matching_within_women", "matching_within_men"}  # of the people: intervals that may miss it by chance
    for metric in set(asked) - halves:
        model, chance = result["rows"]["model"][metric], result["rows"]["chance"][metric]["value"]
        assert model["low"] < chance < model["high"], metric
        assert not bootstrap.distinct(result["differences"]["chance"][metric]), metric


def test_shuffled_voices_are_the_mean_over_everybody_elses(study):
    """Nine others are fewer than the shuffles, so all of them are met: the value has no luck in it."""
    row = evaluate(study)["rows"]["shuffled_voice"]
    names, model, photos = study.people["identity"].to_numpy(), study.model, study.photos
    cosines = []
    for speaker in names:
        own = model.embeddings[model.identities == speaker]
        others = [photos.embeddings[photos.identities == name] for name in names if name != speaker]
        cosines.append(np.mean([(own @ theirs.T).mean() for theirs in others]))
    assert row["cosine_matched"]["value"] == pytest.approx(np.mean(cosines), rel=1e-5)
    for key in ("cosine_matched", "matching_2way", "l1_pixel_255", "gender_agreement"):
        luck = [evaluate(study, rng=np.random.default_rng(k))["rows"]["shuffled_voice"][key]["value"] for k in (0, 1)]
        assert luck[0] == pytest.approx(luck[1], rel=1e-6), key


def test_shuffled_voices_match_by_what_the_models_own_do(study):
    """A shuffled face loses to its own person as often as it wins for that person, and else tosses a coin."""
    result, n = evaluate(study), len(study.people)
    own, shuffled = (result["rows"][row]["matching_2way"]["value"] for row in ("model", "shuffled_voice"))
    assert own > 0.6 and shuffled == pytest.approx(0.5 - (own - 0.5) / (n - 1), abs=1e-9)
    minus = result["differences"]["shuffled_voice"]["matching_2way"]
    assert minus["value"] == pytest.approx(own - shuffled) and minus["low"] > 0


def test_as_a_set_shuffled_faces_are_the_models(study):
    rows = evaluate(study)["rows"]
    for key in ("fid", "precision", "recall"):
        assert rows["shuffled_voice"][key]["value"] == rows["model"][key]["value"]


def test_the_mean_of_many_draws_is_compared_with_others_means_and_with_the_linear_map(study):
    """By the algebra of `test_shuffled_voices_match_by_what_the_models_own_do`; the map here is what the model drew."""
    means = FaceSet(study.model.identities, embeddings=study.model.embeddings)
    result = evaluate(study, stand_ins={"draws_mean": means, "probe": study.model}, n_resamples=200)
    own, others = (result["rows"][row]["matching_2way"]["value"] for row in ("draws_mean", "shuffled_mean"))
    assert own > 0.6 and others == pytest.approx(0.5 - (own - 0.5) / (len(study.people) - 1), abs=1e-9)
    minus = result["differences_of_mean"]
    assert set(minus) == {"shuffled_mean", "probe"} and result["differences"] == {}
    assert minus["shuffled_mean"]["matching_2way"]["value"] == pytest.approx(own - others)
    assert minus["shuffled_mean"]["matching_2way"]["low"] > 0
    assert [minus["probe"]["matching_2way"][part] for part in ("value", "low", "high")] == [0, 0, 0]
    assert evaluate(study)["differences_of_mean"] == {}


def test_where_there_is_no_mean_of_draws_others_have_none_for_the_same_reason(study):
    rows = evaluate(study, absent={"draws_mean": "one face a voice"})["rows"]
    assert {entry["reason"] for entry in rows["shuffled_mean"].values()} == {"one face a voice"}


def test_one_person_has_nobody_elses_voice(study):
    alone = np.array(["p0"])
    study.model = study.model.take(np.isin(study.model.identities.astype(str), alone))
    row = evaluate(study)["rows"]["shuffled_voice"]
    assert {entry["reason"] for entry in row.values()} == {"there is nobody else"}


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
