"""Ten people drawn over and over, against plain loops and all choices of draws."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from s2f.errors import MetricError
from s2f.evaluation import ten_people
from s2f.report import poster
from tests.evaluation.conftest import faces_of


def test_ten_people_are_ten_people_with_one_face_each(people, rng):
    faces, photos = (faces_of(people, rng, n_each=n, likeness=0.5, inception=True) for n in (3, 2))
    draws = ten_people.draws(faces, photos, n_people=12, n_draws=3, rng=rng)
    # All twelve in every draw: the cosine is a mean over people of one of 3 × 2 products each.
    products = {
        name: (faces.embeddings[faces.identities == name] @ photos.embeddings[photos.identities == name].T).ravel()
        for name in people["identity"]
    }
    low, high = (np.mean([pick(values) for values in products.values()]) for pick in (min, max))
    cosines = draws.loc[draws["metric"] == "cosine_matched"]
    assert cosines["value"].between(low, high).all() and cosines["value"].nunique() == 3
    assert cosines["everyone"].iloc[0] == pytest.approx(np.mean([v.mean() for v in products.values()]), abs=1e-6)
    assert (draws["n_people"] == 12).all() and draws["reason"].isna().all()


def test_one_face_and_photo_a_person_leave_nothing_to_pick(people, rng):
    faces, photos = (faces_of(people, rng, n_each=1, likeness=0.5, inception=True) for _ in range(2))
    draws = ten_people.draws(faces, photos, n_people=12, n_draws=2, rng=rng)
    assert draws["value"].to_numpy() == pytest.approx(draws["everyone"].to_numpy(), rel=1e-4)
    pixels = np.abs(faces.pixels.astype(float) - photos.pixels.astype(float)).mean()
    assert draws.loc[draws["metric"] == "l1_pixel_255", "value"].iloc[0] == pytest.approx(pixels)
    x, y = faces.inception.astype(float), photos.inception.astype(float)
    product = np.linalg.eigvals(np.cov(x, rowvar=False) @ np.cov(y, rowvar=False))
    trace = np.var(x, axis=0, ddof=1).sum() + np.var(y, axis=0, ddof=1).sum()
    fid = ((x.mean(0) - y.mean(0)) ** 2).sum() + trace - 2 * np.sqrt(np.maximum(product.real, 0)).sum()
    assert draws.loc[draws["metric"] == "fid", "value"].iloc[0] == pytest.approx(fid, rel=1e-3)


def test_ten_people_without_enough_features_have_no_fid(people, rng):
    faces, photos = (faces_of(people, rng, n_each=2, likeness=0.5, inception=True) for _ in range(2))
    faces.inception[:18] = np.nan  # three people keep theirs
    draws = ten_people.draws(faces, photos, n_people=4, n_draws=2, rng=rng)
    own = draws[draws["metric"] == "fid"]
    assert own["value"].isna().all() and own["reason"].str.startswith("3 people").all()
    assert np.isfinite(draws.loc[draws["metric"] == "cosine_matched", "value"]).all()
    assert ten_people.spread(draws).set_index("metric")["best"].isna().to_dict() == {
        "fid": True,
        "l1_pixel_255": False,
        "cosine_matched": False,
    }


def test_where_the_run_has_no_fid_ten_people_have_none(people, rng):
    faces, photos = (faces_of(people, rng, n_each=2, likeness=0.5, inception=True) for _ in range(2))
    draws = ten_people.draws(faces, photos, n_people=4, n_draws=2, rng=rng, no_fid="too few faces")
    own = draws[draws["metric"] == "fid"]
    assert own[["value", "everyone"]].isna().all(axis=None) and set(own["reason"]) == {"too few faces"}
    assert np.isfinite(draws.loc[draws["metric"] != "fid", ["value", "everyone"]]).all(axis=None)
    shown = poster.show_spread(ten_people.spread(draws)).to_html()
    assert "–\ntoo few faces" in shown and "nan" not in shown


def test_only_people_with_features_are_drawn_for_fid(people, rng):
    faces, photos = (faces_of(people, rng, n_each=2, likeness=0.5, inception=True) for _ in range(2))
    faces.inception[:12] = np.nan  # six people keep theirs
    draws = ten_people.draws(faces, photos, n_people=4, n_draws=5, rng=rng)
    assert np.isfinite(draws["value"]).all()
    assert set(draws.loc[draws["metric"] == "fid", "n_everyone"]) == {6}


def test_one_person_cannot_be_ten(people, rng):
    one = faces_of(people[:1], rng, n_each=2, likeness=0.5)
    with pytest.raises(MetricError, match="are 1"):
        ten_people.draws(one, one, rng=rng)


def test_spread_against_all_choices_of_draws(rng):
    values = {"fid": rng.normal(100, 9, 7), "l1_pixel_255": rng.normal(40, 3, 7), "cosine_matched": rng.normal(0, 1, 7)}
    everyone = {"fid": 95.0, "l1_pixel_255": 41.0, "cosine_matched": 0.5}
    same = {"n_people": 10, "n_everyone": 40, "reason": None}
    records = [
        {"draw": k, "metric": m, "value": v[k], "everyone": everyone[m], **same}
        for m, v in values.items()
        for k in range(7)
    ]
    frame = ten_people.spread(pd.DataFrame(records), n_tries=3).set_index("metric")
    for metric, own in values.items():
        sign = 1 if metric == "cosine_matched" else -1
        bests = [max(sign * np.array(tries)) for tries in itertools.combinations(own, 3)]
        row = frame.loc[metric]
        assert row["best_of_tries"] == pytest.approx(sign * np.mean(bests))
        assert row["gain"] == pytest.approx(np.mean(bests) - sign * everyone[metric])
        assert row["share_better"] == pytest.approx(np.mean(np.array(bests) > sign * everyone[metric]))
        ends = sorted(own) if sign > 0 else sorted(own, reverse=True)
        assert (row["worst"], row["best"]) == (ends[0], ends[-1])
        assert row["median"] == pytest.approx(np.median(own))
