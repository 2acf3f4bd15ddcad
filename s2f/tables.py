"""Tables of the study as frames: numbers for CSV and JSON, and their printed form.

Everything here is made from the `metrics.json` of the variants; nothing is computed a second time.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from s2f.metrics.names import NAMES, PERCENT

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

# "Speech2Face Generator Poster", Ain Shams University, Table 2: other people, other references per row, and
# an L1 and a cosine that it does not define. To be shown beside ours, not compared with them.
POSTER: Mapping[str, Mapping[str, float]] = MappingProxyType({
    "general": MappingProxyType({"fid": 114.4445991, "l1": 61.9460271, "cosine": 0.244882}),
    "females": MappingProxyType({"fid": 126.365874, "l1": 29.41308, "cosine": 0.399265}),
    "males": MappingProxyType({"fid": 129.303104, "l1": 33.085962, "cosine": 0.2090025}),
})  # fmt: skip

TABLE2 = (
    "fid", "fid_real_real", "kid", "l1_pixel_255", "cosine_matched", "cosine_mismatched", "gender_agreement",
    "matching_2way", "matching_within_gender", "diversity_share",
)  # fmt: skip


POSTER_LINE = "poster, not the same data"


def long(metrics: Mapping, *, variant: str) -> pd.DataFrame:
    """All entries of one variant, a row each.

    Parameters
    ----------
    metrics : mapping
        The content of `metrics.json`.
    variant : str
        Name for the column `variant`.

    Returns
    -------
    DataFrame
        Columns variant, protocol, row, metric, value, low, high, n_recordings, n_identities, reference,
        reason.
    """
    records = [
        {"variant": variant, "protocol": metrics["protocol"], "row": row, "metric": metric, **entry}
        for row, entries in metrics["rows"].items()
        for metric, entry in entries.items()
    ]
    return pd.DataFrame(records).astype({"value": float, "low": float, "high": float})


def table2(metrics: Mapping[str, Mapping], *, row: str = "model") -> pd.DataFrame:
    """Table 2: each variant's values with intervals, and under them what the poster printed.

    Parameters
    ----------
    metrics : mapping of str to mapping
        The `metrics.json` of each variant, by name.
    row : str
        Row of the metrics to show.

    Returns
    -------
    DataFrame
        Columns variant, source ("ours" or "poster"), data, n_recordings, n_identities, and for each metric
        of `TABLE2` its value, `_low` and `_high`; `l1` and `cosine` are the poster's undefined ones.
    """
    records = []
    for variant, content in metrics.items():
        entries = content["rows"][row]
        sizes = [entry["n_recordings"] or 0 for entry in entries.values()]
        people = [entry["n_identities"] or 0 for entry in entries.values()]
        ours = {
            "variant": variant, "source": "ours", "data": content["protocol"],
            "n_recordings": max(sizes), "n_identities": max(people),
        }  # fmt: skip
        for metric in TABLE2:
            entry = entries[metric]
            ours |= {metric: entry["value"], f"{metric}_low": entry["low"], f"{metric}_high": entry["high"]}
        records.append(ours)
        if variant.lower() in POSTER:
            data = "closed set; not the same data, references or definitions"
            figures = POSTER[variant.lower()]
            records.append({"variant": variant, "source": "poster", "data": data, **figures})
    frame = pd.DataFrame(records).astype({"n_recordings": "Int64", "n_identities": "Int64"})
    values = [
        c for c in frame.columns if c not in ("variant", "source", "data", "n_recordings", "n_identities")
    ]
    return frame.astype(dict.fromkeys(values, float))


def show_table2(frame: pd.DataFrame) -> Styler:
    """`table2` as a reader wants it: a column a variant, a line a metric, the poster's figures in italics.

    Parameters
    ----------
    frame : DataFrame
        From `table2`.

    Returns
    -------
    Styler
        Displays in a notebook; `.to_html()` gives the page.
    """
    beside = {"fid": ("fid", ".1f"), "l1_pixel_255": ("l1", ".2f"), "cosine_matched": ("cosine", ".3f")}
    columns = {}
    for variant, lines in frame.groupby("variant", sort=False):
        ours = lines[lines["source"] == "ours"].iloc[0]
        poster = lines[lines["source"] == "poster"]
        cells = {"recordings": f"{ours['n_recordings']}", "people": f"{ours['n_identities']}"}
        for metric in TABLE2:
            cells[NAMES[metric]] = printed(
                metric, ours[metric], ours[f"{metric}_low"], ours[f"{metric}_high"]
            )
            if metric in beside and len(poster):
                name, digits = beside[metric]
                undefined = "" if metric == "fid" else ", undefined"
                label = {"fid": "FID", "l1": "L1", "cosine": "cosine"}[name]
                cells[f"{POSTER_LINE}: {label}{undefined}"] = format(poster.iloc[0][name], digits)
        columns[variant[:1].upper() + variant[1:]] = cells
    shown = pd.DataFrame(columns).fillna("–")
    lines = [name for name in shown.index if name.startswith(POSTER_LINE)]
    grey = "font-style: italic; color: #6b6b6b"
    table = styled(shown).set_properties(
        subset=pd.IndexSlice[lines, :], **dict([part.split(": ") for part in grey.split("; ")])
    )
    return table.apply_index(lambda index: [grey if name in lines else "" for name in index])


def metrics_table(
    metrics: Mapping, *, metrics_shown: Sequence[str] = TABLE2, rows: Sequence[str] | None = None
) -> Styler:
    """Rows of one variant side by side: what the generated faces should be compared with.

    Parameters
    ----------
    metrics : mapping
        The content of `metrics.json`.
    metrics_shown : sequence of str
        Lines, in order.
    rows : sequence of str, optional
        Columns, in order; all that hold a value if not given.

    Returns
    -------
    Styler
    """
    measured = metrics["rows"]
    found = [r for r in measured if any(measured[r][metric]["value"] is not None for metric in metrics_shown)]
    return _entries({NAMES[row]: measured[row] for row in rows or found}, metrics_shown)


def beside_table(main: Mapping, others: Mapping[str, Mapping], *, row: str = "model") -> Styler:
    """One row of several runs side by side, for example of two recipes.

    Parameters
    ----------
    main : mapping
        `metrics.json` of the run itself; its column is named by its key "recipe" where it has one.
    others : mapping of str to mapping
        `metrics.json` of other runs, by label.
    row : str
        Row to show.

    Returns
    -------
    Styler
    """
    first = main.get("recipe", "this run")
    columns = {str(first): main, **{str(o.get("recipe", label)): o for label, o in others.items()}}
    if len(columns) <= len(others):  # equal recipes: labels tell the runs apart
        columns = {str(first): main, **others}
    return _entries({name: content["rows"][row] for name, content in columns.items()}, TABLE2)


def _entries(columns: Mapping[str, Mapping], metrics: Sequence[str]) -> Styler:
    cells = {
        name: {
            NAMES[metric]: printed(metric, *(entries[metric][part] for part in ("value", "low", "high")))
            for metric in metrics
        }
        for name, entries in columns.items()
    }
    return styled(pd.DataFrame(cells))


def write_table2(frame: pd.DataFrame, folder: str | Path) -> None:
    """Write `table2.csv` and `table2.json` into `folder`."""
    frame.to_csv(Path(folder) / "table2.csv", index=False)
    text = json.dumps(records(frame), indent=1, allow_nan=False)
    (Path(folder) / "table2.json").write_text(text + "\n", encoding="utf-8")


def across_seeds(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Mean and spread over seeds of frames from `long`.

    Returns
    -------
    DataFrame
        Columns variant, protocol, row, metric, mean, sd, n_seeds; entries null in any seed are left out.
    """
    together = pd.concat(frames)
    keys = ["variant", "protocol", "row", "metric"]
    grouped = together.groupby(keys, sort=False)["value"]
    found = grouped.agg(mean="mean", sd="std", n_seeds="count").reset_index()
    return found[found["n_seeds"] == len(frames)].reset_index(drop=True)


def quality_table(quality: Mapping) -> Styler:
    """What the readers of faces get right on real photos of people they have not seen.

    Parameters
    ----------
    quality : mapping
        Names to a number, to a mapping with value, low and high, or to None where it could not be measured.
    """
    lines = {}
    for name, value in quality.items():
        if isinstance(value, Mapping):
            middle, low, high = (f"{100 * value[part]:.1f}" for part in ("value", "low", "high"))
            lines[name.replace("_", " ")] = f"{middle} % [{low}, {high}]"
        else:
            lines[name.replace("_", " ")] = "–" if value is None else f"{value:,}"
    return styled(pd.DataFrame({"real photos of held-out people": lines}))


def counts_table(frame: pd.DataFrame, *, shares: Sequence[str] = ()) -> Styler:
    """Counts with thousands separated, shares in per cent, and a dash where something does not apply.

    Parameters
    ----------
    frame : DataFrame
        Numbers and text.
    shares : sequence of str
        Columns that hold shares from 0 to 1.
    """

    if frame.empty:
        return styled(pd.DataFrame({"": ["–"]}, index=["none"]))

    def shown(value, is_share: bool) -> str:
        if value is None or value is pd.NA or value != value:  # the last: NaN
            return "–"
        if is_share:
            return f"{100 * value:.1f} %"
        return value if isinstance(value, str) else f"{value:,}"

    cells = {name: [shown(value, name in shares) for value in column] for name, column in frame.astype(object).items()}
    return styled(pd.DataFrame(cells, index=frame.index))


def printed(metric: str, value: float | None, low: float | None, high: float | None) -> str:
    """A value as text with its interval on a second line, or a dash where there is none."""
    if value is None or not np.isfinite(value):
        return "–"
    scale, digits, unit = 1.0, 3, ""
    if metric in PERCENT:
        scale, digits, unit = 100.0, 1, " %"
    elif metric == "kid":
        scale, digits = 1000.0, 1
    elif metric in ("fid", "fid_real_real", "l1_pixel_255"):
        digits = 1
    text = f"{value * scale:.{digits}f}{unit}"
    if low is None or not np.isfinite(low):
        return text
    return f"{text}\n[{low * scale:.{digits}f}, {high * scale:.{digits}f}]"


def styled(frame: pd.DataFrame) -> Styler:
    """A frame of text as a page shows it: right-aligned cells, left-aligned names, a line under each row."""
    line = "1px solid #d0d0d0"
    return frame.map(lambda cell: html.escape(str(cell))).style.set_table_styles([
        {"selector": "th.row_heading", "props": f"text-align: left; border-bottom: {line}"},
        {"selector": "th.col_heading", "props": "text-align: center"},
        {"selector": "td", "props": f"text-align: right; white-space: pre; padding-left: 1.5em; border-bottom: {line}"},
    ])  # fmt: skip


def records(frame: pd.DataFrame) -> list[dict]:
    """Rows of a frame for JSON: missing values become null."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [
        {key: value.item() if hasattr(value, "item") else value for key, value in row.items()}
        for row in plain.to_dict("records")
    ]
