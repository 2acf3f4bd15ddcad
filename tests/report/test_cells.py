"""The text of a table's cells: values with their units and intervals, and why there is none."""

from __future__ import annotations

import numpy as np
import pytest

from s2f.metrics import catalogue
from s2f.report import cells


def test_reasons_are_numbered_however_many_there_are():
    notes = cells.Notes()
    entries = {metric: {"value": None, "reason": f"reason {k}"} for k, metric in enumerate(catalogue.METRICS)}
    marked = notes.marked(entries, entries)
    assert marked["fid"] == "–¹" and list(marked.values())[11] == "–¹²"
    assert str(notes).splitlines()[11] == "¹² reason 11"


@pytest.mark.parametrize(
    ("metric", "numbers", "expected"),
    [
        ("matching_2way", (0.612, 0.55, 0.671), "61.2 %\n[55.0, 67.1]"),
        ("kid", (0.0123, 0.01, 0.02), "12.3\n[10.0, 20.0]"),
        ("fid", (114.44, None, None), "114.4"),
        ("cosine_matched", (0.2448, np.nan, np.nan), "0.245"),
        ("fid", (None, None, None), "–"),
        ("kid", (-0.00004, -0.01, -0.00001), "0.0\n[-10.0, 0.0]"),
    ],
)
def test_printed(metric, numbers, expected):
    assert cells.printed(metric, *numbers) == expected


@pytest.mark.parametrize("metric", [key for key, about in catalogue.METRICS.items() if about.form.unit == " %"])
def test_differences_of_shares_are_in_points(metric):
    assert cells.printed(metric, -0.02, -0.05, 0.01, difference=True) == "-2.0 points\n[-5.0, 1.0]"
