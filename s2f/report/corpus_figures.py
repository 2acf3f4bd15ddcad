"""Figures of a corpus: its people, their sexes, and how many and how long their files are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from s2f.report.style import BLUE, GREY, ORANGE, SEXES, canvas, in_theme, listed, say, sentence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@in_theme
def corpus_counts(summary: Mapping) -> Figure:
    """People, recordings and photos of each split, by sex.

    Parameters
    ----------
    summary : mapping, from `s2f.corpora.manifest.summary`
    """
    figure, axes = canvas(2.2, n_columns=3, sharey=True)
    names = list(summary["splits"])
    groups = (*SEXES, ("unknown", "sex unknown", GREY))
    handles, told = {}, []
    for ax, (key, title) in zip(
        axes[0], (("n_identities", "People"), ("n_recordings", "Recordings"), ("n_faces", "Photos")), strict=True
    ):
        left = np.zeros(len(names))
        for group, label, colour in groups:
            width = np.array([summary["splits"][name].get(group, {}).get(key, 0) for name in names])
            if width.any():
                handles[label] = ax.barh(names, width, left=left, color=colour, height=0.62)
                left += width
        told.append(f"{title}: {listed(f'{name} {int(n):,}' for name, n in zip(names, left, strict=True))}.")
        for place, total in enumerate(left):
            ax.text(total, place, f" {int(total):,}", va="center", fontsize=8.5)
        ax.set_title(title)
        ax.set_xlim(0, max(left.max(), 1) * 1.28)
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
        ax.locator_params(axis="x", nbins=4)
        ax.grid(axis="y", visible=False)
    axes[0, 0].invert_yaxis()
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles))
    say(figure, "Bars of each split, by sex. " + " ".join(told))
    return figure


@in_theme
def population_overlap(people: pd.DataFrame, *, columns: Mapping[str, str] | None = None) -> Figure:
    """How far the sexes overlap in what causes voices and faces.

    Parameters
    ----------
    people : DataFrame, a row a person, with a column gender ("f", "m")
    columns : mapping of str to str, optional
        Columns to show and the label of each; pitch, vocal tract, height and some face traits if not given.
    """
    columns = columns or {
        "f0_hz": "pitch (Hz)",
        "vocal_tract_cm": "vocal tract (cm)",
        "height_cm": "height (cm)",
        "jaw_width": "jaw width (sd)",
        "brow_ridge": "brow ridge (sd)",
        "skin_tone": "skin tone (0–1)",
    }
    columns = {name: label for name, label in columns.items() if name in people}
    n_rows = int(np.ceil(len(columns) / 3))
    figure, axes = canvas(1.75 * n_rows + 0.35, n_rows=n_rows, n_columns=min(3, len(columns)))
    for ax in axes.flat[len(columns) :]:
        ax.axis("off")
    handles, told = {}, []
    for ax, (name, label) in zip(axes.flat, columns.items(), strict=False):
        bins = np.histogram_bin_edges(people[name], bins=24)
        densities = []
        for key, sex, colour in SEXES:
            values = people.loc[people["gender"] == key, name]
            density, _, handle = ax.hist(values, bins=bins, density=True, color=colour, alpha=0.75)
            densities.append(density)
            handles[f"{sex} ({len(values)})"] = handle
        shared = (np.minimum(*densities) * np.diff(bins)).sum()
        ax.set_title(f"overlap {shared * 100:.0f} %", fontsize=8.5, fontweight="normal", loc="right")
        ax.set(xlabel=label, yticks=[])
        told.append(f"{label} {shared * 100:.0f} %")
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=2)
    say(figure, f"Histograms of women and men, one over the other. They overlap by: {listed(told)}.")
    return figure


@in_theme
def files_per_person(n_recordings: np.ndarray, n_photos: np.ndarray) -> Figure:
    """How many recordings and photos people have; in words where all have as many.

    Parameters
    ----------
    n_recordings, n_photos : ndarray, int [n_people], counts of each person
    """
    kinds = {"recordings": (n_recordings, BLUE), "photos": (n_photos, ORANGE)}
    same = [f"{counts[0]:,} {what}" for what, (counts, _) in kinds.items() if np.ptp(counts) == 0]
    told = [f"everybody has {' and '.join(same)}"] if same else []
    shown = {what: kind for what, kind in kinds.items() if np.ptp(kind[0]) > 0}
    if not shown:
        return sentence(f"Of the {len(n_photos):,} people {told[0]}.")
    figure, axes = canvas(2.2, n_columns=len(shown))
    if same:
        figure.suptitle(told[0].capitalize(), x=0.01, ha="left", fontsize=9)
    for ax, (what, (counts, colour)) in zip(axes[0], shown.items(), strict=True):
        low, high = int(np.min(counts)), int(np.max(counts))
        step = max(1, -(-(high - low + 1) // 30))  # at most 30 bars, each of whole numbers
        ax.hist(counts, bins=np.arange(low, high + step + 1, step) - 0.5, color=colour, alpha=0.8)
        ax.set(xlabel=f"{what} of a person", ylabel="people")
        ax.set_title(f"median {np.median(counts):g}, {low} to {high}")
        told.append(f"{what} median {np.median(counts):g}, {low} to {high}")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.yaxis.get_major_locator().set_params(integer=True)
    say(figure, f"Histograms over people of how many files each has: {listed(told)}.")
    return figure


@in_theme
def durations(seconds: np.ndarray, *, voiced: np.ndarray | None = None) -> Figure:
    """Lengths of the recordings.

    Parameters
    ----------
    seconds : ndarray, float [n], length of each recording, s
    voiced : ndarray, float [n], optional, seconds of speech in each
    """
    figure, axes = canvas(2.4)
    ax = axes[0, 0]
    bins = np.histogram_bin_edges(np.concatenate([seconds, seconds if voiced is None else voiced]), bins=40)
    shown = {"recording": (seconds, BLUE)} | ({} if voiced is None else {"speech in it": (voiced, ORANGE)})
    for name, (values, colour) in shown.items():
        ax.hist(values, bins=bins, color=colour, alpha=0.75, label=f"{name}, median {np.median(values):.1f} s")
    ax.set(xlabel="length (s)", ylabel="recordings")
    ax.set_xlim(left=0)
    ax.legend()
    told = [
        f"{name} {values.min():.1f} to {values.max():.1f} s, median {np.median(values):.1f} s"
        for name, (values, _) in shown.items()
    ]
    say(figure, f"Histogram of lengths: {listed(told)}.")
    return figure
