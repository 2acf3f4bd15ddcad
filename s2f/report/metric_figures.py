"""Figures of what was measured."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from s2f.metrics import catalogue
from s2f.report.style import BLUE, DASHED, GREY, RED, absent, canvas, in_theme, listed, say, sentence, spacing, spelled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@in_theme
def metric_rows(rows: Mapping[str, Mapping], metrics: str | Sequence[str], *, chance: float | None = None) -> Figure:
    """Rows of the results side by side: values, their 95 % intervals, and chance as a dashed line.

    Parameters
    ----------
    rows : mapping, the `rows` of a `metrics.json`
    metrics : str or sequence of str, a panel each; rows without a value in any of them are left out
    chance : float, optional, value that chance gives, in the metrics' own unit
    """
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    names = [r for r in rows if r != "chance" and any(rows[r][metric]["value"] is not None for metric in metrics)]
    if not names:
        return sentence(
            "; ".join(f"{catalogue.METRICS[m].title} is not measured: {_why(rows, m)}" for m in metrics) + "."
        )
    figure, axes = canvas(0.32 * max(len(names), 2) + 0.75, n_columns=len(metrics), sharey=True)
    for ax, metric in zip(axes[0], metrics, strict=True):
        scale = catalogue.METRICS[metric].form.scale
        if chance is not None:
            ax.axvline(chance * scale, color=GREY, linestyle=DASHED, linewidth=1)
        for place, row in enumerate(names):
            entry = rows[row][metric]
            if entry["value"] is None:
                continue
            colour, size = (RED, 6.5) if row == "model" else (BLUE, 5)
            if entry["low"] is not None:
                ends = [entry["low"] * scale, entry["high"] * scale]
                ax.plot(ends, [place, place], color=colour, linewidth=2)
            ax.plot(entry["value"] * scale, place, "o", color=colour, markersize=size)
        if all(rows[row][metric]["value"] is None for row in names):
            absent(ax, _why(rows, metric), width=72 // len(metrics))
        ax.set_title(textwrap.fill(catalogue.METRICS[metric].title, 54 // len(metrics)), fontsize=9)
        ax.grid(axis="y", visible=False)
        if ax.get_xticks().size:
            ax.locator_params(axis="x", nbins=4 if len(metrics) > 1 else 8)
    axes[0, 0].set_yticks(range(len(names)), [catalogue.label(row) for row in names])
    axes[0, 0].set_ylim(len(names) - 0.5, -0.5)
    spacing(figure, wspace=0.06)
    text = "bar: 95 % interval over people" + ("" if chance is None else "; dashed: chance")
    figure.supxlabel(text, fontsize=8.5, color=GREY)
    say(figure, "Dots with 95 % intervals. " + " ".join(_told(rows, names, metric, chance) for metric in metrics))
    return figure


def _told(rows: Mapping[str, Mapping], names: Sequence[str], metric: str, chance: float | None) -> str:
    """The values of a panel in words."""
    about = catalogue.METRICS[metric]
    found = {row: rows[row][metric] for row in names if rows[row][metric]["value"] is not None}
    if not found:
        return f"{about.title}: not measured, {_why(rows, metric)}."
    values = [
        f"{catalogue.label(row)} {spelled(*(entry[part] for part in ('value', 'low', 'high')), form=about.form)}"
        for row, entry in found.items()
    ]
    guess = "" if chance is None else f"; chance {spelled(chance, form=about.form)}"
    return f"{about.label}: {listed(values)}{guess}."


def _why(rows: Mapping[str, Mapping], metric: str) -> str:
    first = rows.get("model") or next(iter(rows.values()))
    return first[metric].get("reason") or "no row has a value"
