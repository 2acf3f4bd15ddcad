"""The results page: what other protocols and seeds it takes in, and the numbers of its prose."""

from __future__ import annotations

import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import IPython.display
import numpy as np
import pandas as pd
import pytest

from s2f.errors import ParameterError, RunError
from s2f.evaluation import measured
from s2f.metrics import catalogue
from s2f.report import results
from s2f.study import runs
from s2f.training.data import Selection
from tests.report.figures import texts

ROOT = Path(__file__).resolve().parents[2]
ROWS, METRICS = list(catalogue.ROWS), list(catalogue.METRICS)
VARIANTS = ("general", "females", "males")


@pytest.fixture
def project(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "params", tmp_path / "params")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def study(notebook="07_results", *, variant="general", seed=0, label="", overrides=None):
    return runs.open_study(notebook, profile="smoke", variant=variant, seed=seed, label=label, overrides=overrides)


def metrics(value=0.5, *, protocol="held_out"):
    """A ``metrics.json`` whose entries all differ: row i, metric j holds `value` + i + j / 100."""
    rows = {
        row: {
            metric: {
                "value": value + i + j / 100,
                "low": value + i + j / 100 - 0.1,
                "high": value + i + j / 100 + 0.2,
                "n_recordings": 40,
                "n_identities": 8,
                "reference": "photos",
                "reason": None,
            }
            for j, metric in enumerate(METRICS)
        }
        for i, row in enumerate(ROWS)
    }
    about = {"variant": "general", "recipe": "codes", "reader": "made up", "seed": 0}
    return {"protocol": protocol, "rows": rows, "differences": {}, "differences_of_mean": {}, **about}


def place(row, metric):
    return ROWS.index(row) + METRICS.index(metric) / 100


def finish(variants=VARIANTS, *, content=None, **where):
    """Finished metrics of variants, as 06_metrics leaves them; each in turn is larger by ten."""
    for k, variant in enumerate(variants):
        one = study("06_metrics", variant=variant, **where)
        folder = one.write("metrics")
        measured.write(content or metrics(0.5 + 10 * k), folder)
        one.finish("metrics")


CLOSED = {"label": "closed", "overrides": {"split.rule": "none"}}


# The closed set


def test_the_closed_run_is_under_the_label_and_overrides_of_make_study(project):
    own = study("06_metrics", seed=2)
    other = own.beside("closed")
    assert other.run == project / "runs" / "smoke-closed" / "s2"
    assert (other.notebook, other.variant, other.params.split.rule) == ("06_metrics", "general", "none")
    assert own.params.split.rule != "none"
    assert own.params.model_copy(update={"split": other.params.split}) == other.params


def test_the_closed_set_is_there_once_every_variant_is_measured(project):
    assert results.closed(study()) == {}
    finish()  # held out
    finish(VARIANTS[:2], **CLOSED)
    assert results.closed(study()) == {}
    finish(VARIANTS[2:], content=metrics(0.7, protocol="closed"), **CLOSED)
    found = results.closed(study())
    assert list(found) == ["General", "Females", "Males"]
    assert found["Males"] == metrics(0.7, protocol="closed") and found["Females"] == metrics(10.5)
    assert results.closed(study(seed=1)) == {}
    study("06_metrics", variant="females", **CLOSED).write("metrics")  # begun again
    assert results.closed(study()) == {}


def test_a_closed_set_of_other_parameters_cannot_be_made(project):
    with pytest.raises(
        ParameterError, match=r"'closed', under which a study of 'smoke' keeps a run with split\.rule=none"
    ):
        finish(label="closed", overrides={"split.rule": "none", "gan.steps": 7})


def test_a_labelled_run_has_no_closed_set_beside_it(project):
    finish(**CLOSED)
    assert len(results.closed(study())) == 3
    assert results.closed(study(label="other")) == {}


def test_the_gap_holds_both_protocols_of_what_can_be_compared():
    held_out = {"General": metrics(), "Males": metrics(10)}
    closed = {"General": metrics(0.25, protocol="closed"), "Males": metrics(20, protocol="closed")}
    found = results.gap(held_out, closed)
    assert list(found.columns) == ["protocol", "variant", "metric", "value", "low", "high", "reason"]
    assert len(found) == 2 * 2 * len(catalogue.comparable()) and list(found.index) == list(range(len(found)))
    starts = {
        ("held_out", "General"): 0.5,
        ("held_out", "Males"): 10,
        ("closed", "General"): 0.25,
        ("closed", "Males"): 20,
    }
    assert set(zip(found["protocol"], found["variant"], found["metric"], strict=True)) == {
        (*key, metric) for key in starts for metric in catalogue.comparable()
    }
    for line in found.itertuples():
        expected = starts[line.protocol, line.variant] + place("model", line.metric)
        assert (line.value, line.low, line.high) == pytest.approx((expected, expected - 0.1, expected + 0.2))
    one = results.gap(held_out, closed, metrics=("kid",))
    assert set(one["metric"]) == {"kid"} and len(one) == 4


def test_what_depends_on_the_number_of_people_is_not_in_the_gap():
    assert set(catalogue.comparable()) <= set(METRICS)
    assert not [name for name in catalogue.comparable() if name.startswith(("fid", "kid", "recall", "identification"))]


def test_without_a_closed_run_there_is_no_gap_but_the_command_that_makes_it(capsys):
    held_out = {"General": metrics()}
    found = results.gap(held_out, {})
    assert found.empty
    assert list(found.columns) == list(results.gap(held_out, {"General": metrics(protocol="closed")}).columns)
    assert results.show_gap(held_out, {}) is None
    assert "a thorough study of this profile" in capsys.readouterr().out


def test_the_gap_is_shown_with_a_panel_a_metric(capsys):
    figure = results.show_gap({"General": metrics(0)}, {"General": metrics(0.3, protocol="closed")})
    assert len([ax for ax in figure.axes if ax.get_title(loc="left")]) == len(catalogue.comparable())
    assert {"held out", "closed set"} <= {text.get_text() for text in figure.legends[0].get_texts()}
    assert capsys.readouterr().out == ""


# Seeds

OWN = {"label": "a", "overrides": {"gan.steps": 7}}


def test_seeds_of_a_run_are_its_folders(project):
    for name in ("s10", "s2", "s0", "results", "sx", "s"):
        (project / "runs" / "smoke" / name).mkdir(parents=True)
    (project / "runs" / "smoke-a" / "s5").mkdir(parents=True)
    own = study("06_metrics", variant="females", seed=2)
    own.write("metrics")
    found = own.seeds()
    assert [one.seed for one in found] == [0, 2, 10]
    assert [one.run.name for one in found] == ["s0", "s2", "s10"]
    for one in found:
        assert (one.variant, one.label, one.params) == (own.variant, own.label, own.params)
        assert one.locks == {}
    assert own.locks


def test_seeds_are_those_that_are_measured_with_the_same_parameters(project):
    finish(seed=0, content=metrics(1), **OWN)
    finish(seed=1, content=metrics(2), **OWN)
    finish(VARIANTS[:2], seed=2, **OWN)  # not all variants
    finish(seed=3, label="a", overrides={"gan.steps": 8})
    finish(seed=4, **OWN)
    study("06_metrics", seed=4, **OWN).write("metrics")  # begun again
    finish(seed=5)  # the plain run
    for seed in (0, 1):
        found = results.seeds(study(seed=seed, **OWN))
        assert list(found) == [0, 1]
        assert all(list(variants) == ["General", "Females", "Males"] for variants in found.values())
        assert found[0]["Males"] == metrics(1) and found[1]["General"] == metrics(2)


def test_runs_that_other_code_made_are_left_out_and_it_is_said(project, monkeypatch, capsys):
    finish(seed=0)
    finish(seed=1)
    with monkeypatch.context() as older:
        older.setattr(runs, "code_of", lambda *_, **__: "older")
        finish(seed=2)
        finish(**CLOSED)
    assert list(results.seeds(study())) == [0, 1]
    assert results.closed(study()) == {}
    said = capsys.readouterr().out
    for other in ("s2", "closed/s0"):
        assert f"{other} is left out, since other code made it. To make it again: " in said
    assert said.count("--thorough") == 1 and "--label closed" not in said, "its book would take the plain run's place"


def test_damaged_metrics_of_another_seed_are_not_passed_over(project):
    finish(seed=0)
    finish(seed=1)
    (project / "runs" / "smoke" / "s1" / "males" / "metrics.json").write_text("{")
    with pytest.raises(RunError, match=r"s1.males.metrics\.json"):
        results.seeds(study())


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_the_own_seed_must_be_measured(project, seed):
    finish(seed=1, **OWN)
    finish(VARIANTS[:2], seed=2, **OWN)
    finish(seed=3, label="a", overrides={"gan.steps": 8})
    finish(seed=4, **OWN)
    study("06_metrics", variant="males", seed=4, **OWN).write("metrics")
    with pytest.raises(RunError, match=f"-p seed {seed}"):
        results.seeds(study(seed=seed, **OWN))
    assert list(results.seeds(study(seed=1, **OWN))) == [1]


def test_what_seeds_agree_on_is_written_beside_them(project):
    content = {
        seed: {"General": metrics(value), "Males": metrics(2 * value)} for seed, value in ((0, 1.0), (1, 2.0), (2, 6.0))
    }
    content[1]["Males"]["rows"]["probe"]["kid"]["value"] = None
    found = results.write_seeds(study(seed=1, label="a"), content)
    path = project / "runs" / "smoke-a" / "results" / "seeds.csv"
    kept = pd.read_csv(path)
    pd.testing.assert_frame_equal(kept, found, check_dtype=False)
    assert [path.name for path in path.parent.iterdir()] == ["seeds.csv"]
    assert len(kept) == 2 * len(ROWS) * len(METRICS) - 1  # all but what one seed has no value of
    lines = kept.set_index(["variant", "row", "metric"])
    assert ("Males", "probe", "kid") not in lines.index
    for variant, values in (("General", (1, 2, 6)), ("Males", (2, 4, 12))):
        for row, metric in (("model", "matching_2way"), ("ceiling", "fid")):
            line, at = lines.loc[(variant, row, metric)], place(row, metric)
            mean, low, high = np.mean(values) + at, min(values) + at, max(values) + at
            sd = math.sqrt(sum((v - np.mean(values)) ** 2 for v in values) / 2)
            assert tuple(line[["mean", "sd", "low", "high"]]) == pytest.approx((mean, sd, low, high))
            assert (line["n_seeds"], line["protocol"]) == (3, "held_out")


def test_one_seed_has_no_deviation(project):
    found = results.write_seeds(study(), {0: {"General": metrics()}})
    assert found["sd"].isna().all() and (found["mean"] == found["low"]).all() and (found["n_seeds"] == 1).all()
    assert (project / "runs" / "smoke" / "results" / "seeds.csv").is_file()


# The measured variant and the numbers of the prose


@pytest.fixture
def variant():
    voices = pd.DataFrame({"identity": ["b", "b", "a", "c"], "gender": ["m", "m", "f", None], "row": [4, 5, 6, 7]})
    voices["path"] = [f"{k}.wav" for k in range(4)]
    photos = pd.DataFrame({"identity": ["a", "b", "b", "c"], "row": [1, 2, 3, 0]})
    index = pd.DataFrame({"identity": [*"abcde", "a"], "split": ["test"] * 3 + ["train"] * 2 + ["test"]})
    pixels = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((4, 2, 2, 3), np.uint8)
    store = SimpleNamespace(index=index, faces=pixels)
    return results.Variant(metrics(), pixels + 100, Selection(voices, photos, np.array(["a", "b", "c"])), store)


@pytest.fixture
def variants(variant):
    """General, and the variants of one sex whose entries are larger by ten and by twenty."""
    others = {name: SimpleNamespace(metrics=metrics(0.5 + by)) for name, by in (("females", 10), ("males", 20))}
    for content in (variant.metrics, *(other.metrics for other in others.values())):
        content["differences"] = metrics(0.25)["rows"]
        content["differences_of_mean"] = metrics(0.75)["rows"]
    return {"general": variant, **others}


def test_people_of_a_closed_set_were_all_trained_on(variants):
    variants["general"].store.index["split"] = "all"
    assert results.quotes(variants)["n_train_identities"] == "5"


def said(value, metric):
    form = catalogue.METRICS[metric].form
    return f"{form.scale * value:.{form.digits}f}"


@pytest.mark.parametrize("name", results.QUOTED)
def test_a_quote_is_its_row_and_metric_scaled_and_rounded_as_in_the_tables(variants, name):
    found, quote = results.quotes(variants), results.QUOTED[name]
    value = {"general": 0.5, "females": 10.5, "males": 20.5}[quote.variant] + place(quote.row, quote.metric)
    if quote.against is not None:
        value = (0.75 if quote.row == "draws_mean" else 0.25) + place(quote.against, quote.metric)
    assert found[name] == said(value, quote.metric)
    low, high = said(value - 0.1, quote.metric), said(value + 0.2, quote.metric)
    assert found[f"{name}_interval"] == f"[{low}, {high}]"
    assert found[f"{name}_n"] == "8"


def test_counts_of_people_and_recordings_are_those_of_the_store(variants):
    found = results.quotes(variants)
    names = ("n_identities", "n_train_identities", "n_test_identities", "n_test_recordings", "n_fid")
    assert [found[name] for name in names] == ["5", "2", "3", "4", "40"]


def test_a_share_is_in_percent_and_kid_a_thousandfold(variants):
    rows = variants["general"].metrics["rows"]["model"]
    rows["gender_agreement"]["value"], rows["kid"]["value"] = 0.9884, 0.08583
    rows["fid"]["value"] = -0.04  # of a set to itself, by rounding
    variants["general"].metrics["rows"]["ceiling"]["kid"] |= {"value": -0.002, "low": -0.0049, "high": 0.0024}
    found = results.quotes(variants)
    assert (found["gender_agreement"], found["kid"]) == ("98.8", "85.8")
    assert (found["fid"], found["kid_ceiling"], found["kid_ceiling_interval"]) == ("0.0", "−2.0", "[−4.9, 2.4]")


def test_what_was_not_measured_is_said_with_its_reason(variants):
    null = {"value": None, "low": None, "high": None, "n_recordings": None, "n_identities": None, "reason": "too few"}
    for row, metric in (("model", "fid"), ("probe", "matching_2way"), ("model", "matching_within_gender")):
        variants["general"].metrics["rows"][row][metric] |= null
    found = results.quotes(variants)
    for name in ("fid", "matching_2way_probe", "matching_within_gender", "matching_within_gender_n", "n_fid"):
        assert found[name] == "not measured (too few)", name
    assert {found["fid_interval"], found["matching_2way_probe_interval"]} == {"[no interval]"}
    assert found["verdict"] == "whether they tell people of one sex apart was not measured"
    assert "not measured" not in found["matching_2way"]


def test_a_run_without_variants_of_one_sex_says_so(variant):
    variant.metrics["differences"] = metrics(0.25)["rows"]
    found = results.quotes({"general": variant})
    assert found["general_females"] == "not measured (this run has no variant Females)"
    assert found["matching_males_n"] == "not measured (this run has no variant Males)"
    assert found["general_males_interval"] == "[no interval]"


def test_a_row_that_a_recipe_does_not_have_is_not_measured(variants):
    del variants["general"].metrics["rows"]["draws_mean"]
    found = results.quotes(variants)
    names = ("matching_within_gender_draws", "matching_within_gender_draws_interval", "matching_within_gender_draws_n")
    assert [found[name] for name in names] == ["not measured", "[no interval]", "not measured"]


@pytest.mark.parametrize(
    ("low", "over", "words"),
    [
        (0.51, 0.01, "better than chance does, and better than with the voices shuffled"),
        (
            0.51,
            -0.02,
            "better than chance does, but whether better than with the voices shuffled, this run does not show",
        ),
        (0.50, 0.01, "better than with the voices shuffled, but whether better than chance, this run does not show"),
        (0.49, -0.02, "that these faces tell people of one sex apart, this run does not show"),
    ],
)
def test_the_verdict_asks_chance_and_the_control(low, over, words):
    content = metrics()
    content["rows"]["model"]["matching_within_gender"]["low"] = low
    content["differences"] = {"shuffled_voice": {"matching_within_gender": {"low": over}}}
    assert results.verdict(content).endswith(words)


def test_every_number_is_glued_and_not_shown():
    glued: list = []
    results.glue_numbers({"a": "1.5", "fid": "not measured"}, lambda *args, **kwargs: glued.append((args, kwargs)))
    assert glued == [(("a", "1.5"), {"display": False}), (("fid", "not measured"), {"display": False})]


def test_the_prose_asks_for_what_the_results_notebook_glues(variants):
    glued = {"profile", "n_seeds", *results.quotes(variants)}
    pages = [*(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]
    asked = {
        key for page in pages for key in re.findall(r"runs/07_results\.ipynb::(\w+)", page.read_text(encoding="utf-8"))
    }
    assert asked and asked <= glued


def test_people_of_table_1_have_a_photograph_and_a_face_of_their_own(variant):
    owners = {"a": ({2}, {1}), "b": ({0, 1}, {2, 3}), "c": ({3}, {0})}  # recordings by place, photographs by row
    labels = {"a": "a (f)", "b": "b (m)", "c": "c"}
    chosen = set()
    for seed in range(8):
        shown = results.people(variant, n=2, seed=seed)
        assert len(shown.labels) == len(shown.true) == len(shown.drawn) == 2
        names = [label[0] for label in shown.labels]
        assert names == sorted(set(names)) and [labels[name] for name in names] == shown.labels
        for name, row, true, drawn in zip(names, shown.rows, shown.true, shown.drawn, strict=True):
            assert row in owners[name][0] and int(true[0, 0, 0]) in owners[name][1]
            assert (drawn == 100 + row).all()
        chosen.add(tuple(names))
    assert len(chosen) > 1
    assert results.people(variant, n=9, seed=0).labels == list(labels.values())


class Drawing:
    """A stand-in for a run with a general model, and what the results page asks it and its voice embeddings."""

    variant, seed, sampler = "males", 3, object()

    def __init__(self, monkeypatch):
        monkeypatch.setattr(results.inference, "load", lambda folder: self if folder == "general/model" else None)
        monkeypatch.setattr(results.data, "embeddings", lambda folder, voices: (folder, list(voices["row"])))

    def of(self, variant):
        return SimpleNamespace(read=lambda what: f"{variant}/{what}")

    def typical(self, heard):
        folder, rows = heard
        assert folder == "general/voice"
        return np.array(rows, np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)

    def draws(self, heard, n, *, seed):
        numbers = np.arange(n, dtype=np.uint8)[None, :, None, None, None]
        return self.typical(heard)[:, None] + 20 * (numbers + seed)


def test_table_1_has_the_most_typical_draw_of_the_shown_recordings_and_six_others(variant, monkeypatch):
    study = Drawing(monkeypatch)
    shown = results.people(variant, n=2, seed=0)
    found = results.draws(study, variant, shown)
    assert list(found) == ["most typical", *(f"draw {k}" for k in range(1, 7))]
    own = variant.held_out.voices["row"].to_numpy()[shown.rows]
    assert list(found["most typical"][:, 0, 0, 0]) == list(own)
    for k in range(6):
        assert list(found[f"draw {k + 1}"][:, 0, 0, 0]) == list(own + 20 * (k + 3))
    assert len(results.draws(study, variant, shown, n=2)) == 3


def test_table_1_of_a_model_that_draws_one_face_has_what_was_measured(variant, monkeypatch):
    study = Drawing(monkeypatch)
    study.sampler = None
    shown = results.people(variant, n=2, seed=0)
    found = results.draws(study, variant, shown)
    assert list(found) == ["generated"]
    np.testing.assert_array_equal(found["generated"], shown.drawn)


def test_other_runs_are_compared_on_the_same_people(variant):
    shown = results.people(variant, n=3, seed=0)
    other = results.Variant({"recipe": "poster"}, variant.faces + 50, variant.held_out, variant.store)
    found = results.compare(variant, {"poster": other}, shown)
    assert list(found) == ["true", "recipe codes", "recipe poster"]
    np.testing.assert_array_equal(found["true"], shown.true)
    np.testing.assert_array_equal(found["recipe poster"], found["recipe codes"] + 50)
    same = results.Variant(variant.metrics, variant.faces + 50, variant.held_out, variant.store)
    found = results.compare(variant, {"short": same}, shown)
    assert list(found) == ["true", "recipe codes", "recipe codes (short)"]
    np.testing.assert_array_equal(found["recipe codes"], shown.drawn)
    voices = variant.held_out.voices
    others = replace(variant.held_out, voices=voices.assign(path=voices["path"].to_numpy()[::-1]))
    with pytest.raises(RunError, match="other test recordings than the run beside it, 'other'"):
        results.compare(variant, {"other": replace(other, held_out=others)}, shown)


def test_recipes_are_shown_where_others_were_trained_and_said_where_none_was(variant, monkeypatch, capsys):
    displayed = []
    monkeypatch.setattr(IPython.display, "display", displayed.append)
    shown = results.people(variant, n=2, seed=0)
    own = SimpleNamespace(label="", params=SimpleNamespace(beside={}))
    results.show_beside(own, variant, shown)
    assert capsys.readouterr().out == "No other recipe than codes was trained: the profile names none (`beside`).\n"
    labelled = SimpleNamespace(label="mine", params=SimpleNamespace(beside={"poster": {}}))
    results.show_beside(labelled, variant, shown)
    assert capsys.readouterr().out == "No other recipe than codes was trained: a labelled run trains its own alone.\n"
    assert displayed == []
    other = results.Variant(metrics(0.6) | {"recipe": "poster"}, variant.faces, variant.held_out, variant.store)
    monkeypatch.setattr(results, "beside", lambda study: {"poster": other})
    main = results.Variant(metrics(0.5) | {"recipe": "codes"}, variant.faces, variant.held_out, variant.store)
    results.show_beside(own, main, shown)
    figure, table = displayed
    assert "recipe poster" in texts(figure) and "poster" in table.to_html()
