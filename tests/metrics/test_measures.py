"""What single metrics measure, and the reasons where they measure nothing."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from s2f.errors import MetricError
from s2f.metrics import catalogue, frechet, manifolds, measures, standins
from s2f.metrics.standins import FaceSet
from tests.metrics.loops import IN_SETS, compared, evaluate, slow_inside, slow_kid


def test_videos_have_to_be_known(study):
    videos = [metric for metric in catalogue.METRICS if "_video" in metric]
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


def by_person(faces, part):
    """What the faces of each person have."""
    return {name: getattr(faces, part)[faces.identities == name] for name in sorted(set(faces.identities))}


def slow_own(faces, photos, part, distance):
    """Mean over a person's faces and photographs, and over people."""
    theirs, people = by_person(photos, part), []
    for name, each in by_person(faces, part).items():
        people.append(np.mean([distance(face, photo) for face in each for photo in theirs[name]]))
    return np.mean(people)


def slow_rms(one, other):
    return np.sqrt(((one / 127.5 - other / 127.5) ** 2).mean())


def slow_diversity(faces, sexes):
    """Mean over the others of one sex, and over people."""
    pixels, people = by_person(faces, "pixels"), []
    for name, sex in sexes.items():
        others = [
            np.mean([slow_rms(one, two) for one in pixels[name] for two in pixels[other]])
            for other in sexes
            if other != name and sexes[other] == sex
        ]
        people.append(np.mean(others))
    return np.mean(people)


def slow_consistency(faces):
    """Mean over pairs of recordings, and over people with two or more."""
    pairs = [list(itertools.combinations(pixels, 2)) for pixels in by_person(faces, "pixels").values()]
    return np.mean([np.mean([slow_rms(*pair) for pair in each]) for each in pairs if each])


@pytest.fixture
def uneven(study):
    """The same people with 1 to 6 recordings and 5 to 7 photographs; of one of them no gender is known."""
    study.model = study.model.take(np.arange(60) % 6 <= np.arange(60) // 6 % 6)
    study.photos = study.photos.take(np.arange(80) % 8 > np.arange(80) // 8 % 3)
    study.people["gender"] = [None, *study.people["gender"][1:]]
    return study


def test_distances_and_diversity_against_loops(uneven):
    model, photos = uneven.model, uneven.photos
    sexes = dict(zip(uneven.people["identity"][1:], uneven.people["gender"][1:], strict=True))
    diversity, real = (slow_diversity(faces, sexes) for faces in (model, photos))
    expected = {
        "diversity": diversity,
        "diversity_share": diversity / real,
        "consistency": slow_consistency(model),
        "l1_pixel_unit": slow_own(model, photos, "pixels", lambda x, y: np.abs(x / 127.5 - y / 127.5).mean()),
        "l1_embedding_sum": slow_own(model, photos, "embeddings", lambda x, y: np.abs(x - y).sum()),
        "l1_embedding_mean": slow_own(model, photos, "embeddings", lambda x, y: np.abs(x - y).mean()),
    }
    row = evaluate(uneven)["rows"]["model"]
    assert {metric: row[metric]["value"] for metric in expected} == pytest.approx(expected, rel=1e-5)


def test_recall_in_galleries_against_a_ranking(uneven):
    # With one photograph of each of ten people, there is one gallery of all of them.
    uneven.photos = uneven.photos.take(np.unique(uneven.photos.identities.astype(str), return_index=True)[1])
    photos = {name: photo for name, (photo,) in by_person(uneven.photos, "embeddings").items()}
    above = {
        name: [sum(face @ photo > face @ photos[name] for photo in photos.values()) for face in faces]
        for name, faces in by_person(uneven.model, "embeddings").items()
    }
    row = evaluate(uneven)["rows"]["model"]
    found = [row[f"recall_at_{k}"]["value"] for k in (1, 5)]
    assert found == pytest.approx([np.mean([np.mean(np.array(each) < k) for each in above.values()]) for k in (1, 5)])
    assert 0 < found[0] < found[1]
    # Of four people, three are drawn from the nine others.
    first = np.mean([np.mean([math.comb(9 - n, 3) / math.comb(9, 3) for n in each]) for each in above.values()])
    entry = evaluate(uneven, n_way=4)["rows"]["model"]["recall_at_1"]
    assert entry["value"] == pytest.approx(first, abs=0.06) and "4 people, chance 0.250" in entry["reference"]


def test_women_and_men_are_matched_apart(study):
    result = evaluate(study)
    both, *apart = (result["rows"]["model"][f"matching_within_{who}"] for who in ("gender", "women", "men"))
    assert both["value"] == pytest.approx((apart[0]["value"] + apart[1]["value"]) / 2)  # five of each
    assert [entry["n_recordings"] for entry in apart] == [30, 30]
    minus = result["differences"]["shuffled_voice"]
    assert minus["matching_within_women"]["value"] > 0 and minus["matching_within_men"]["n_identities"] == 5
    assert both["value"] != apart[0]["value"]
    study.people["gender"] = "f"
    model = evaluate(study)["rows"]["model"]
    assert model["matching_within_women"]["value"] == pytest.approx(model["matching_within_gender"]["value"])
    assert model["matching_within_men"]["reason"] == "no two men to compare"


def test_copies_are_those_nearer_to_training_than_half_of_the_photographs(study):
    near = np.array([min(np.linalg.norm(study.training - photo, axis=1)) for photo in study.photos.embeddings])
    own = np.array([min(np.linalg.norm(study.training - face, axis=1)) for face in study.model.embeddings])
    result = evaluate(study)
    entry = result["rows"]["model"]["copies"]
    assert entry["value"] == pytest.approx((own <= np.median(near)).mean() / 0.5)  # everybody has as many faces
    assert entry["low"] < entry["value"] < entry["high"] and "30 trained on" in entry["reference"]
    assert result["rows"]["ceiling"]["copies"]["value"] == pytest.approx(1, abs=0.3)
    learned = FaceSet(study.model.identities, embeddings=study.training[np.arange(60) % 30].astype(np.float32))
    copied = compared(study, learned, row="neighbour")
    assert copied["rows"]["neighbour"]["copies"]["value"] == pytest.approx(2)
    assert copied["differences"]["neighbour"]["copies"]["value"] == pytest.approx(entry["value"] - 2)


def test_one_picture_for_everybody_is_no_copy_of_many(study):
    """It is inside the distance or outside, and an interval over people would say nothing of that."""
    faces, first = study.model, np.zeros(len(study.model), int)
    entry = compared(study, faces.take(first, identities=faces.identities), row="mean_face")["rows"]["mean_face"][
        "copies"
    ]
    assert entry["value"] is None and entry["reason"] == "one picture, repeated"


def test_a_mean_of_embeddings_is_a_direction_and_has_no_distance(study):
    mean = FaceSet(study.model.identities, embeddings=study.model.embeddings, sources=study.model.sources)
    result = compared(study, mean, row="draws_mean")
    row, model = result["rows"]["draws_mean"], result["rows"]["model"]
    for metric in ("l1_embedding_sum", "l1_embedding_mean", "cosine_matched", "cosine_mismatched", "copies"):
        assert "direction" in row[metric]["reason"] and model[metric]["value"] is not None
    for metric in ("matching_2way", "matching_same_video", "recall_at_1"):
        assert row[metric]["value"] == pytest.approx(model[metric]["value"]), metric
    for metric in ("fid", "l1_pixel_255", "gender_agreement", "diversity"):
        assert row[metric]["reason"] == measures.NO_FACES, metric


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
        result = evaluate(study, stand_ins=stand_ins, n_resamples=50, n_fid=n_fid)["rows"]
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


def test_every_metric_has_a_function_and_every_function_a_metric():
    assert set(measures.FUNCTIONS) == set(catalogue.METRICS)


def test_what_is_asked_of_a_missing_part_names_it():
    with pytest.raises(MetricError, match=r"FaceSet\.pixels is missing"):
        FaceSet(np.array(["a"])).part("pixels")


def test_recordings_are_counted_of_those_who_are_compared(study):
    study.people["nationality"] = ["x"] * 9 + ["alone"]
    study.people.loc[0, "gender"] = None
    model = evaluate(study)["rows"]["model"]
    counts = {name: (entry["n_recordings"], entry["n_identities"]) for name, entry in model.items()}
    assert counts["matching_2way"] == (60, 10)
    assert counts["matching_within_gender"] == counts["diversity"] == (54, 9)  # six recordings a person
    assert counts["matching_within_gender_nationality"] == (48, 8)
    study.model = study.model.take(np.arange(60) >= 5)  # the first person has one recording left
    model = evaluate(study)["rows"]["model"]
    assert (model["consistency"]["n_recordings"], model["consistency"]["n_identities"]) == (54, 9)
