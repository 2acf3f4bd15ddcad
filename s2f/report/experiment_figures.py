"""Figures of the experiments: each takes the frame of the function of its name in `s2f.evaluation.experiments`, or
one that it describes. They share the look of `s2f.report.style`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from s2f.metrics.catalogue import METRICS
from s2f.metrics.frechet import MIN_FACES
from s2f.report.style import (
    BLUE,
    COLOURS,
    DASHED,
    GREY,
    ORANGE,
    RED,
    absent,
    canvas,
    in_theme,
    listed,
    say,
    sentence,
    spelled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

PANELS_IN_A_ROW = 4


@in_theme
def lengths(frame: pd.DataFrame) -> Figure:
    """Metrics against the seconds of speech that were heard."""
    metrics = list(frame["metric"].unique())
    if frame["value"].isna().all():
        return sentence(f"Not measured: {frame['reason'].iloc[0]}.")
    figure, axes = canvas(4.2 if len(metrics) > 2 else 2.4, n_rows=-(-len(metrics) // 2), n_columns=2, sharex=True)
    for ax in axes.flat[len(metrics) :]:
        ax.axis("off")
    for ax, metric in zip(axes.flat, metrics, strict=False):
        own = frame[frame["metric"] == metric].sort_values("seconds")
        scale, chance = METRICS[metric].form.scale, METRICS[metric].chance
        ax.fill_between(own["seconds"], own["low"] * scale, own["high"] * scale, color=BLUE, alpha=0.18, linewidth=0)
        ax.plot(own["seconds"], own["value"] * scale, "o-", color=BLUE, markersize=4)
        if chance is not None:
            ax.axhline(chance * scale, color=GREY, linestyle=DASHED, linewidth=1)
        ax.set_title(METRICS[metric].title, fontsize=9.5)
        seconds = own["seconds"].to_numpy(float)
        ax.set_xticks(seconds, [f"{s:g}" for s in seconds])
    shares = frame.drop_duplicates("seconds").sort_values("seconds")
    parts = zip(shares["seconds"], shares["share_cut"], strict=True)
    cut = ", ".join(f"{100 * share:.0f} % at {s:g} s" for s, share in parts)
    figure.supxlabel(f"seconds of speech heard\nrecordings that are longer, and so cut: {cut}", fontsize=8.5)
    say(figure, f"Curves over the seconds of speech heard. {_told(frame, 'seconds', unit=' s')}")
    return figure


@in_theme
def dots(
    frame: pd.DataFrame, *, by: str | Sequence[str], metrics: Sequence[str] | None = None, chance: float | None = None
) -> Figure:
    """Values of groups with their intervals, a panel a metric.

    Parameters
    ----------
    frame : DataFrame, columns metric, value, low, high, n_identities, reason and those of `by`
    by : str or sequence of str, what names a line; of two columns, the first sets the colour
    metrics : sequence of str, optional, panels; all in the frame if not given
    chance : float, optional, drawn dashed in the panels of shares, in the metrics' own unit
    """
    columns = [by] if isinstance(by, str) else list(by)
    metrics = list(frame["metric"].unique()) if metrics is None else list(metrics)
    lines = frame[columns].drop_duplicates().reset_index(drop=True)
    colour_of = dict(zip(lines[columns[0]].unique(), COLOURS, strict=False)) if len(columns) > 1 else {}
    n_columns = min(len(metrics), PANELS_IN_A_ROW)
    figure, axes = canvas(0.32 * max(len(lines), 2) + 0.85, n_columns=n_columns, sharey=True)
    labels = []
    for place, line in lines.iterrows():
        own = frame[(frame[columns] == line).all(axis=1)]
        colour = colour_of.get(line[columns[0]], BLUE)
        for ax, metric in zip(axes[0], metrics, strict=True):
            found = own[own["metric"] == metric]
            if len(found):
                _dot(ax, found.iloc[0], place, colour=colour, scale=METRICS[metric].form.scale)
        n = int(own["n_identities"].fillna(0).max()) if len(own) else 0
        group = "" if len(columns) == 1 or columns[0] == "by" else f"{line[columns[0]]}: "
        labels.append(f"{group}{line[columns[-1]]} ({n})")
    for ax, metric in zip(axes[0], metrics, strict=True):
        if chance is not None and METRICS[metric].chance is not None:
            ax.axvline(chance * METRICS[metric].form.scale, color=GREY, linestyle=DASHED, linewidth=1)
        _panel(ax, metric, frame, n_panels=len(metrics))
    _name_lines(axes, labels)
    figure.set_layout_engine("constrained", wspace=0.06)
    text = "bar: 95 % interval over people; in brackets: people" + ("" if chance is None else "; dashed: chance")
    figure.supxlabel(text, fontsize=8.5, color=GREY)
    say(figure, f"Dots with 95 % intervals. {_told(frame[frame['metric'].isin(metrics)], columns[-1])}")
    return figure


@in_theme
def same_speaker(frame: pd.DataFrame) -> Figure:
    """Two faces of one person beside those of two people of one sex, drawn and real."""
    panels = {
        "Cosine of identity embeddings": ("cosine_matched", "cosine_mismatched"),
        "Pixel distance (rms, −1 to 1)": ("consistency", "diversity"),
    }
    names = {"drawn": "drawn from two recordings", "real": "two photographs"}
    figure, axes = canvas(2.0, n_columns=2, sharey=True)
    handles = {}
    for ax, (title, metrics) in zip(axes[0], panels.items(), strict=True):
        for metric, colour, shift in zip(metrics, (RED, BLUE), (-0.12, 0.12), strict=True):
            own = frame[frame["metric"] == metric]
            for _, entry in own.iterrows():
                place = list(names).index(entry["faces"]) + shift
                handles[f"of {entry['pair']}"] = _dot(ax, entry, place, colour=colour, scale=1)
        _say_missing(ax, frame[frame["metric"].isin(metrics)], n_panels=2)
        ax.set_title(title, fontsize=9.5)
        ax.grid(axis="y", visible=False)
    _name_lines(axes, list(names.values()))
    _legend(figure, handles)
    each = frame.assign(faces=frame["faces"] + " faces of " + frame["pair"])
    say(figure, f"Dots with 95 % intervals. {_told(each, 'faces')}")
    return figure


@in_theme
def ten_people(draws: pd.DataFrame | str, *, poster: Mapping[str, float] | None = None) -> Figure:
    """What a handful of people give, draw by draw, beside the value of everyone.

    Parameters
    ----------
    draws : DataFrame, from `s2f.evaluation.ten_people.draws`, or str, why there are none
    poster : mapping of str to float, optional, the poster's figure by metric
    """
    if isinstance(draws, str):
        return sentence(f"Not measured: {draws}.")
    metrics = list(draws["metric"].unique())
    figure, axes = canvas(2.6, n_columns=len(metrics), sharey=True)
    handles = {}
    for ax, metric in zip(axes[0], metrics, strict=True):
        own = draws[draws["metric"] == metric]
        ax.set_title(METRICS[metric].label, fontsize=9.5)
        if _say_missing(ax, own, n_panels=len(metrics)):
            continue
        ax.hist(own["value"], bins=24, color=BLUE, alpha=0.6)
        handles["everyone"] = ax.axvline(own["everyone"].iloc[0], color=RED, linewidth=2)
        if poster and metric in poster:
            handles["the poster's figure"] = ax.axvline(poster[metric], color=GREY, linestyle=DASHED, linewidth=1.6)
        ax.locator_params(axis="x", nbins=5)
        ax.grid(axis="x", visible=False)
    n = int(draws["n_people"].iloc[0])
    axes[0, 0].set_ylabel(f"draws of {n} people")
    _legend(figure, handles)
    spread = draws.groupby(["metric", "everyone"], sort=False)["value"].agg(["min", "max"]).reset_index()
    told = [
        f"{METRICS[row.metric].label} {row.min:.3g} to {row.max:.3g}, everyone {row.everyone:.3g}"
        for row in spread.dropna().itertuples()
    ]
    say(figure, f"Histograms over draws of {n} people: {listed(told) or 'nothing can be compared'}.")
    return figure


@in_theme
def fid_by_n(frames: Mapping[str, pd.DataFrame]) -> Figure:
    """FID against the number of faces that are compared.

    Parameters
    ----------
    frames : mapping of str to DataFrame
        A line each: columns n, fid, low, high. A sentence where there is none.
    """
    if not frames:
        return sentence(f"FID is not measured: fewer than {MIN_FACES} faces, or photographs, can be compared.")
    figure, axes = canvas(2.9)
    ax = axes[0, 0]
    for (name, frame), colour in zip(frames.items(), COLOURS, strict=False):
        own = frame.sort_values("n")
        ax.fill_between(own["n"], own["low"], own["high"], color=colour, alpha=0.16, linewidth=0)
        ax.plot(own["n"], own["fid"], "o-", color=colour, markersize=4, label=name)
    ax.set_xscale("log")
    sizes = np.unique(np.concatenate([frame["n"].to_numpy() for frame in frames.values()]))
    shown = _apart(sizes)
    ax.set_xticks(shown, [f"{n:,}" for n in shown])
    ax.set_xticks([], minor=True)
    ax.set(xlabel="faces on each side (logarithmic)", ylabel="FID")
    ax.set_ylim(bottom=0)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=min(len(frames), 3))
    told = []
    for name, frame in frames.items():
        ends = frame.sort_values("n")[["n", "fid"]].to_numpy()[[0, -1]]
        told.append(f"{name} {ends[0, 1]:.1f} at {ends[0, 0]:,.0f} and {ends[1, 1]:.1f} at {ends[1, 0]:,.0f} faces")
    say(figure, f"FID against the number of faces: {listed(told)}.")
    return figure


@in_theme
def gap(frame: pd.DataFrame) -> Figure:
    """People whom the training has seen beside people it has not: closed set and held out, a line a variant.

    Parameters
    ----------
    frame : DataFrame, columns protocol ("closed", "held_out"), variant, metric, value, low, high and reason
    """
    metrics, variants = list(frame["metric"].unique()), list(frame["variant"].unique())
    protocols = (("held_out", "held out", BLUE, -0.13), ("closed", "closed set", ORANGE, 0.13))
    n_columns = min(len(metrics), PANELS_IN_A_ROW)
    figure, axes = canvas(0.42 * max(len(variants), 2) + 0.9, n_columns=n_columns, sharey=True)
    handles = {}
    for ax, metric in zip(axes[0], metrics, strict=True):
        scale = METRICS[metric].form.scale
        for protocol, label, colour, shift in protocols:
            own = frame[(frame["metric"] == metric) & (frame["protocol"] == protocol)]
            for _, entry in own.iterrows():
                place = variants.index(entry["variant"]) + shift
                handles[label] = _dot(ax, entry, place, colour=colour, scale=scale)
        if (chance := METRICS[metric].chance) is not None:
            handles["chance"] = ax.axvline(chance * scale, color=GREY, linestyle=DASHED, linewidth=1)
        _panel(ax, metric, frame, n_panels=len(metrics))
    _name_lines(axes, [name[:1].upper() + name[1:] for name in variants])
    figure.set_layout_engine("constrained", wspace=0.06)
    _legend(figure, handles)
    named = frame.assign(variant=frame["variant"] + " " + frame["protocol"].map({p[0]: p[1] for p in protocols}))
    say(figure, f"Dots with 95 % intervals, closed set beside held out. {_told(named, 'variant')}")
    return figure


def _told(frame: pd.DataFrame, by: str, *, unit: str = "") -> str:
    """The values of a frame in words, metric by metric."""
    sentences = []
    for metric, own in frame.groupby("metric", sort=False):
        about = METRICS[str(metric)]
        known = own[own["value"].notna()].to_dict("records")
        values = [f"{row[by]:g}{unit} " if isinstance(row[by], float) else f"{row[by]}{unit} " for row in known]
        shown = [spelled(row["value"], row["low"], row["high"], form=about.form) for row in known]
        told = listed(name + value for name, value in zip(values, shown, strict=True))
        sentences.append(f"{about.label}: {told or 'not measured'}.")
    return " ".join(sentences)


def _name_lines(axes: np.ndarray, names: Sequence[str]) -> None:
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].set_ylim(len(names) - 0.5, -0.5)


def _legend(figure: Figure, handles: Mapping[str, Line2D]) -> None:
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=len(handles))


def _dot(ax: Axes, entry: pd.Series, place: float, *, colour: str, scale: float) -> Line2D:
    """A value and its interval on a line of their own; the handle for a legend."""
    if np.isfinite(entry["low"]):
        ax.plot([entry["low"] * scale, entry["high"] * scale], [place, place], color=colour, linewidth=2)
    return ax.plot(entry["value"] * scale, place, "o", color=colour, markersize=5.5)[0]


def _panel(ax: Axes, metric: str, frame: pd.DataFrame, *, n_panels: int) -> None:
    ax.set_title(textwrap.fill(METRICS[metric].title, 54 // n_panels), fontsize=9)
    ax.grid(axis="y", visible=False)
    if not _say_missing(ax, frame[frame["metric"] == metric], n_panels=n_panels):
        ax.locator_params(axis="x", nbins=4 if n_panels > 1 else 8)


def _say_missing(ax: Axes, own: pd.DataFrame, *, n_panels: int) -> bool:
    """Say in the panel of a metric why it has no value, where it has none."""
    if own["value"].notna().any():
        return False
    reasons = own["reason"].dropna()
    absent(ax, reasons.iloc[0] if len(reasons) else "nothing can be compared", width=72 // n_panels)
    return True


def _apart(sizes: np.ndarray) -> list[int]:
    """Of sorted sizes, those whose labels do not meet on a log axis as long as they reach."""
    kept, gap = [int(sizes[0])], (sizes[-1] / sizes[0]) ** 0.12
    for n in sizes[1:]:
        if n / kept[-1] > gap:
            kept.append(int(n))
    return kept
