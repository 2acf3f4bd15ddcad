"""The poster's figures: all of them, with arithmetic that holds and classes that follow from it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from s2f.evaluation import experiments, ten_people
from s2f.report import poster
from s2f.report.tables import POSTER
from s2f.study import params

VARIANTS = ("general", "females", "males")


def content(shift=0.0):
    """A `metrics.json` with what the poster has a counterpart for."""
    values = {
        "fid": (100 + shift, None),
        "fid_real_real": (30, None),
        "kid": (0.08, 0.01),
        "precision": (0.6, 0.1),
        "recall": (0.2, 0.1),
        "l1_pixel_255": (41 + shift, 2),
        "l1_pixel_unit": (0.3, 0.1),
        "l1_embedding_sum": (12.8, 0.5),
        "l1_embedding_mean": (0.1, 0.01),
        "cosine_matched": (0.08, 0.04),
        "diversity_share": (0.4, 0.04),
        "consistency": (0.09, 0.01),
    }
    entries = {
        metric: {
            "value": value,
            "low": half and value - half,
            "high": half and value + half,
            "n_recordings": 576,
            "n_identities": 48,
        }
        for metric, (value, half) in values.items()
    }
    real = {metric: entry | {"value": 0.5, "low": 0.4, "high": 0.6} for metric, entry in entries.items()}
    return {"protocol": "held_out", "rows": {"model": entries, "ceiling": real}}


@pytest.fixture
def metrics():
    return {name: content(shift) for shift, name in enumerate(VARIANTS)}


@pytest.fixture
def resolved():
    return params.resolve("demo", variant="general", root=params.project_root()).model_dump()


def test_the_bound_is_reached_and_never_passed():
    rng = np.random.default_rng(0)
    for n_dims in (2, 9, 512):
        ones = np.ones(n_dims) / np.sqrt(n_dims)
        assert np.abs(ones - -ones).sum() == pytest.approx(poster.unit_l1_bound(n_dims))
        x, y = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in rng.normal(size=(2, 400, n_dims)))
        l1, cosine = np.abs(x - y).sum(1), (x * y).sum(1)
        bounds = np.array([poster.unit_l1_bound(n_dims, cosine=c) for c in cosine])
        assert (l1 <= bounds + 1e-9).all()
        assert l1.mean() <= poster.unit_l1_bound(n_dims, cosine=cosine.mean())  # of means as well
    # The bound at a cosine is reached where all differences are equally large.
    d = np.array([1.0, -1] * 4) * 0.05
    middle = np.ones(8) * np.sqrt((1 - (d**2).sum()) / 8)  # at right angles to d
    x, y = middle + d, middle - d
    assert np.abs(x - y).sum() == pytest.approx(poster.unit_l1_bound(8, cosine=x @ y))


def test_the_published_arithmetic():
    frame = poster.l1_bounds().set_index("variant")
    assert frame["bound"].round(1).tolist() == [45.3] * 3
    assert frame["bound_at_cosine"].round(1).to_dict() == {"general": 27.8, "females": 24.8, "males": 28.5}
    assert (frame["l1"] > frame["bound_at_cosine"]).all()
    assert (frame["l1"] > frame["bound"]).to_dict() == {"general": True, "females": False, "males": False}
    for row in frame.itertuples():
        assert poster.unit_l1_bound(row.fewest_dims, cosine=row.cosine) >= row.l1
        assert poster.unit_l1_bound(row.fewest_dims - 1, cosine=row.cosine) < row.l1
    assert not poster.between_its_parts()


def test_every_figure_is_there_once_a_reading(metrics, resolved):
    frame = poster.examined(metrics, resolved=resolved)
    table2 = frame[frame["part"] == "Table 2"]
    assert len(table2) == 3 * (1 + len(poster.READINGS) + 1)
    assert not table2.duplicated(["figure", "reading"]).any()
    for name in VARIANTS:
        own = table2[table2["figure"].str.startswith(name.title())]
        assert set(own["poster"].astype(float)) == set(POSTER[name].values())
    printed = set(frame["poster"])
    assert {"149,354", "139,572", "1,225", "4", "none", "64×64×3", "25 ms", "10 ms", "3 to 8 s", "10 s"} <= printed
    assert set(frame["class"]) == set(poster.CLASSES)
    assert (frame["why"].str.len() > 5).all() and frame.notna().all().all()


def test_classes_follow_from_the_arithmetic(metrics, resolved):
    frame = poster.examined(metrics, resolved=resolved)
    l1 = frame[frame["figure"].str.endswith("L1")].set_index(["figure", "reading"])["class"].unstack(0)
    assert (l1 == l1.iloc[:, [0]].to_numpy()).all().all()  # the three variants fare alike
    expected = {
        "l1_embedding_sum": poster.IMPOSSIBLE,
        "l1_embedding_mean": poster.IMPOSSIBLE,
        "l1_pixel_unit": poster.IMPOSSIBLE,
        "l1_pixel_255": poster.NOT_COMPARABLE,
        "": poster.NOT_COMPARABLE,
    }
    assert {metric: l1.loc[reading].iloc[0] for metric, reading in poster.READINGS.items()} == expected
    others = frame[(frame["part"] == "Table 2") & ~frame["figure"].str.endswith("L1")]
    assert set(others["class"]) == {poster.NOT_COMPARABLE}
    assert "27.8" in frame.loc[1, "why"] and "45.3" in frame.loc[1, "why"]


def test_ours_stand_beside_with_intervals(metrics):
    frame = poster.examined(metrics).set_index(["figure", "reading"])["ours"]
    assert frame["Females: FID", ""] == "101.0 (real to real: 30.0)"
    assert frame["Males: L1", "mean over pixels, on 0 to 255"] == "43.0 [41.0, 45.0]"
    assert frame["General: L1", "sum over unit 512-d embeddings"] == "12.800 [12.300, 13.300] (128-d)"
    assert frame["General: cosine similarity", ""] == "0.080 [0.040, 0.120]"
    assert frame["people held out", ""] == "48 people"


def test_a_variant_that_was_not_measured_has_no_value(metrics):
    frame = poster.examined({"general": metrics["general"]})
    absent = frame[frame["figure"].str.match("Females|Males")]
    assert len(absent) == 2 * 7 and set(absent["ours"]) == {"–"}


def test_counts_are_reproduced_only_by_a_full_scan(metrics):
    def classes(counts):
        frame = poster.examined(metrics, counts=counts)
        own = frame[(frame["part"] == "data") & (frame["reading"] != "")]
        return dict(zip(own["figure"], own["class"], strict=True)), " ".join(own["why"])

    kinds, why = classes(None)
    assert set(kinds.values()) == {poster.NOT_CHECKABLE}
    assert why.count("add up") == 3 and "924 + 112 + 189" in why
    full = {"n_identities": 1225, "n_recordings": 149_354, "n_faces": 139_572}
    assert set(classes(full)[0].values()) == {poster.REPRODUCED}
    kinds, why = classes(full | {"n_faces": 139_000})
    assert kinds["face images"] == poster.NOT_COMPARABLE and "-572" in why
    for name, total in full.items():
        assert sum(poster.SPLITS_2019[name]) == total


def test_settings_are_read_from_the_run(metrics, resolved):
    def settings(resolved):
        frame = poster.examined(metrics, resolved=resolved)
        return frame[frame["part"] == "settings"].set_index("figure")

    plain = json.loads(json.dumps(resolved))
    plain["sampler"]["kind"] = "none"
    same = settings(plain)
    assert set(same["class"]) == {poster.REPRODUCED} and (same["poster"] == same["ours"]).all()
    sampled = json.loads(json.dumps(resolved))
    sampled["sampler"] |= {"kind": "flow", "min_crop_s": 1.0}
    sampled["gan"] |= {"head": "k1", "min_crop_s": 2.0}  # it plays no such game
    without = dict.fromkeys(("kernels of the face embedding", "numbers in a face embedding"), poster.NO_CRITIC)
    assert settings(sampled)["ours"].to_dict() == same["ours"].to_dict() | {"training crops": "1 to 8 s"} | without
    other = json.loads(json.dumps(resolved))
    other["sampler"]["kind"] = "none"
    other["gan"] |= {"head": "k1", "min_crop_s": 2.0}
    other["voice"]["encoder"] = "ge2e"
    changed = settings(other)
    changed = changed[changed["class"] != poster.REPRODUCED]
    assert changed["ours"].to_dict() == {
        "training crops": "2 to 8 s",
        "kernels of the voice embedding": "an LSTM",
        "numbers in a voice embedding": "256",
        "kernels of the generator": "1, 4",
    }


def test_the_scan_is_read_where_the_corpus_is_the_posters(tmp_path):
    def kind(name):
        return SimpleNamespace(corpus=SimpleNamespace(kind=name))

    (tmp_path / "summary.json").write_text(json.dumps({"total": {"n_faces": 7}}), encoding="utf-8")
    study = SimpleNamespace(params=kind("voxceleb"), read=lambda what: tmp_path)
    assert poster.scanned(study) == {"n_faces": 7}
    assert poster.scanned(SimpleNamespace(params=kind("synthetic"))) is None


@pytest.fixture
def same_speaker():
    """What a smoke run wrote of the general variant, for all of them."""
    return dict.fromkeys(VARIANTS, experiments.read(Path(__file__).with_name("run"), "same speaker"))


def test_criteria_have_stand_ins_and_appeal_has_none(metrics, same_speaker):
    lower = same_speaker["females"].assign(value=0.25, low=0.125, high=0.375)
    frame = poster.criteria(metrics, same_speaker | {"females": lower}).set_index(["criterion", "proxy"])
    assert list(frame.columns) == ["reading", "General", "Females", "Males", "another photo of the person"]
    assert set(frame.index.get_level_values(0)) == {"realism", "diversity", "coherence", "visual appeal"}
    assert frame.loc["realism", "General"].tolist() == ["80.0\n[70.0, 90.0]", "60.0 %\n[50.0, 70.0]"]
    cosine = frame.loc["coherence", "cosine, one speaker's faces"]
    drawn, real = (
        same_speaker["general"].query(f"faces == '{kind}' and metric == 'cosine_matched'").iloc[0]
        for kind in ("drawn", "real")
    )
    texts = [f"{row.value:.3f}\n[{row.low:.3f}, {row.high:.3f}]" for row in (drawn, real)]
    assert cosine.drop("reading").tolist() == [texts[0], "0.250\n[0.125, 0.375]", texts[0], texts[1]]
    appeal = frame.loc["visual appeal"].iloc[0]
    assert set(appeal.drop("reading")) == {"–"}


def test_tables_are_shown_whole(metrics, resolved, same_speaker):
    frame = poster.examined(metrics, resolved=resolved)
    for part in frame["part"].unique():
        page = poster.show(frame, part=part).to_html()
        assert page.count("<tr>") == (frame["part"] == part).sum() + 1  # one line of names
        assert "white-space: normal" in page
    assert "not measured" in poster.show_criteria(poster.criteria(metrics, same_speaker)).to_html()


def test_the_spread_is_shown_by_metric():
    records = [
        {"draw": k, "metric": m, "value": v, "everyone": 40.0, "n_people": 10, "n_everyone": 9, "reason": None}
        for m, values in {"fid": [np.nan] * 3, "l1_pixel_255": [38.0, 42, 50], "cosine_matched": [39.0, 41, 42]}.items()
        for k, v in enumerate(values)
    ]
    page = poster.show_spread(ten_people.spread(pd.DataFrame(records), n_tries=2)).to_html()
    rows = page.split("<tbody>")[1].split("<tr>")[1:]
    lines = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]
    assert lines[0] == "FID 40.0 – – – – –"
    # The best of two of three draws: 38 in two of three pairs, else 42.
    assert lines[1] == "L1, pixels (0–255) 40.0 42.0 [38.4, 49.2] 38.0 50.0 39.3 67 %"
    assert lines[2] == "cosine, same person 40.000 41.000 [39.200, 41.900] 42.000 39.000 41.667 100 %"
