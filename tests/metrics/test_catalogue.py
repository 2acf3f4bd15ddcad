"""One entry a metric and a row; a new metric is an entry and a function, and is then everywhere."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from s2f.metrics import catalogue, measures
from s2f.metrics.catalogue import PERCENT, Metric
from s2f.report import tables
from tests.metrics.loops import evaluate


def test_keys_and_labels_are_told_apart():
    entries = [*catalogue.ROWS.values(), *catalogue.METRICS.values()]
    assert len({entry.key for entry in entries}) == len(entries)
    assert len({entry.label for entry in entries}) == len(entries)
    for entry in entries:
        assert catalogue.label(entry.key) == entry.label


def test_every_metric_is_in_one_group():
    shown = [metric for metrics in catalogue.groups().values() for metric in metrics]
    assert sorted(shown) == sorted(catalogue.METRICS)


def test_table_2_is_in_the_order_of_its_places():
    for shown, entries in ((catalogue.table2_rows(), catalogue.ROWS), (catalogue.table2_metrics(), catalogue.METRICS)):
        assert [entries[key].table2 for key in shown] == list(range(1, len(shown) + 1))
    assert catalogue.table2_rows()[0] == "model" and catalogue.table2_metrics()[-1] == "fid"


def test_chance_of_a_share_is_a_share_or_no_difference():
    for metric in catalogue.METRICS.values():
        if metric.chance is not None:
            assert (metric.chance, metric.form) == (
                (0, PERCENT.difference) if "difference" in metric.key else (0.5, PERCENT)
            )
            assert (metric.better is None) == (metric.chance == 0)


def test_titles_name_the_unit():
    assert catalogue.METRICS["matching_2way"].title == "matching (%)"
    assert catalogue.METRICS["matching_video_difference"].title == "matching, own − other video (points)"
    assert catalogue.METRICS["fid"].title == "FID"


@pytest.fixture
def brightness(monkeypatch):
    """A made-up metric: how bright the faces are."""
    metric = Metric("brightness", "share of white", "sets", "pixels", PERCENT, "higher")

    def function(comparison):
        values = comparison.faces.part("pixels").mean((1, 2, 3)) / 255
        return comparison.mean(values, "white")

    monkeypatch.setattr(catalogue, "METRICS", {**catalogue.METRICS, "brightness": metric})
    monkeypatch.setattr(measures, "FUNCTIONS", {**measures.FUNCTIONS, "brightness": function})


def test_a_new_metric_is_an_entry_and_a_function(study, brightness, tmp_path):
    result = evaluate(study)
    expected = study.model.pixels.mean() / 255  # everybody has as many faces
    entry = result["rows"]["model"]["brightness"]
    assert entry["value"] == pytest.approx(expected) and entry["low"] < expected < entry["high"]
    assert (entry["n_recordings"], entry["n_identities"], entry["reference"]) == (60, 10, "white")
    assert list(result["rows"]["model"])[-1] == "brightness"
    assert result["rows"]["chance"]["brightness"]["reason"] == "chance is no face"
    assert result["rows"]["gender_oracle"]["brightness"]["reason"] == "sex alone is no face"
    difference = result["differences"]["ceiling"]["brightness"]
    assert difference["value"] == pytest.approx(expected - result["rows"]["ceiling"]["brightness"]["value"])
    page = tables.metrics_table(result, "sets").to_html()
    assert "share of white" in page and f"{100 * expected:.1f} %" in page
    tables.write_rows({"General": result}, tmp_path)
    frame = pd.read_csv(tmp_path / "rows.csv").set_index(["what", "row", "metric"])
    assert frame.loc[("value", "model", "brightness"), "value"] == pytest.approx(expected)
    assert np.isfinite(frame.loc[("model minus row", "ceiling", "brightness"), "value"])


def test_a_new_metric_moves_no_other(study, request):
    before = evaluate(study)
    request.getfixturevalue("brightness")
    after = evaluate(study)
    for part in ("rows", "differences"):
        for row, entries in before[part].items():
            assert {key: after[part][row][key] for key in entries} == entries
