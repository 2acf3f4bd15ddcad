"""What guessing reaches, and knowing the sex alone."""

from __future__ import annotations

import pytest

from s2f.metrics import catalogue
from tests.metrics.loops import evaluate


def test_knowing_the_sex_alone_tells_nothing_within_one(study):
    oracle = evaluate(study)["rows"]["gender_oracle"]
    for who in ("gender", "women", "men"):
        assert oracle[f"matching_within_{who}"]["value"] == pytest.approx(0.5)
    assert oracle["gender_agreement"]["value"] == 1 and oracle["matching_2way"]["value"] == pytest.approx(7 / 9)
    study.people.loc[3, "gender"] = None
    unknown = evaluate(study)["rows"]["gender_oracle"]
    assert {entry["reason"] for entry in unknown.values()} == {"the gender of some people is unknown"}


def test_chance_is_what_the_catalogue_says_and_draws_no_face(study):
    chance = evaluate(study)["rows"]["chance"]
    for key, metric in catalogue.METRICS.items():
        if metric.chance is not None:
            assert chance[key]["value"] == metric.chance
        elif not key.startswith(("recall_at", "identification")):
            assert chance[key]["reason"] == "chance is no face", key
    assert chance["identification_top_1"]["value"] == pytest.approx(0.1)
