"""Entries of `metrics.json` as the text of a table's cells: values with intervals, and why there is none."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping

import numpy as np

from s2f.metrics import catalogue
from s2f.metrics.catalogue import label
from s2f.report.prose import MISSING

PARTS = ("value", "low", "high")


def printed(
    metric: str,
    value: float | None,
    low: float | None,
    high: float | None,
    *,
    why: str | None = None,
    difference: bool = False,
) -> str:
    """A value, or a difference of two, with its interval on a second line; a dash if there is none, `why` below."""
    if value is None or not np.isfinite(value):
        return "–" + (f"\n{textwrap.fill(why, 24)}" if why else "")
    form = catalogue.METRICS[metric].form
    form = form.difference if difference else form
    text = form.number(value) + form.unit
    if low is None or high is None or not np.isfinite(low):
        return text
    return f"{text}\n[{form.number(low)}, {form.number(high)}]"


class Notes:
    """Reasons why something is not measured: a raised number where the value would stand, and the reasons below."""

    def __init__(self) -> None:
        self._marks: dict[str, str] = {}

    def marked(
        self, entries: Mapping[str, Mapping], metrics: Iterable[str], *, difference: bool = False
    ) -> dict[str, str]:
        """Entries of a row of `metrics.json`, or differences of such, as text by metric."""
        shown = {}
        for metric in metrics:
            entry = entries.get(metric, {})
            shown[metric] = printed(metric, *(entry.get(part) for part in PARTS), difference=difference)
            if entry.get("value") is None and entry.get("reason"):
                shown[metric] += self.mark(entry["reason"])
        return shown

    def labelled(
        self, entries: Mapping[str, Mapping], metrics: Iterable[str], *, difference: bool = False
    ) -> dict[str, str]:
        """The same by the metrics' labels."""
        return {label(metric): text for metric, text in self.marked(entries, metrics, difference=difference).items()}

    def mark(self, reason: str) -> str:
        """The raised number of a reason."""
        return self._marks.setdefault(reason, raised(len(self._marks) + 1))

    def __str__(self) -> str:
        """A line a reason."""
        return "\n".join(f"{mark} {reason}" for reason, mark in self._marks.items())


def raised(number: int) -> str:
    """A number as superscript."""
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def without_value(entries: Mapping[str, Mapping], metrics: Iterable[str]) -> str:
    """Of metrics that a row has no value of, the names and the reasons, a line a reason."""
    names: dict[str, list[str]] = {}
    for metric in metrics:
        if (entry := entries[metric])["value"] is None:
            names.setdefault(entry["reason"] or MISSING, []).append(label(metric))
    return "\n".join(f"{'; '.join(own)}: {reason}" for reason, own in names.items())
