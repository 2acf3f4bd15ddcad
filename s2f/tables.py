"""Tables of the study as frames: numbers for CSV and JSON, and their printed form.

Everything here is made from the `metrics.json` of the variants; nothing is computed a second time.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

# "Speech2Face Generator Poster", Ain Shams University, Table 2: other people, other references per row, and
# an L1 and a cosine that it does not define. To be shown beside ours, not compared with them.
POSTER: Mapping[str, Mapping[str, float]] = MappingProxyType({
    "general": MappingProxyType({"fid": 114.4445991, "l1": 61.9460271, "cosine": 0.244882}),
    "females": MappingProxyType({"fid": 126.365874, "l1": 29.41308, "cosine": 0.399265}),
    "males": MappingProxyType({"fid": 129.303104, "l1": 33.085962, "cosine": 0.2090025}),
})  # fmt: skip

NAMES: Mapping[str, str] = MappingProxyType({
    "model": "generated",
    "chance": "chance",
    "mean_face": "mean face",
    "gender_mean_face": "mean face of the sex",
    "random_real": "someone else's photo",
    "gender_oracle": "sex alone",
    "noise_voice": "noise instead of a voice",
    "shuffled_voice": "someone else's voice",
    "probe": "linear map",
    "ceiling": "another photo of the person",
    "fid": "FID",
    "fid_real_real": "FID, real to real",
    "kid": "KID × 1000",
    "l1_pixel_255": "L1, pixels (0–255)",
    "l1_pixel_unit": "L1, pixels (−1 to 1)",
    "l1_embedding_sum": "L1, embedding (sum)",
    "l1_embedding_mean": "L1, embedding (mean)",
    "cosine_matched": "cosine, same person",
    "cosine_mismatched": "cosine, other person",
    "recall_at_1": "recall at 1",
    "recall_at_5": "recall at 5",
    "recall_at_10": "recall at 10",
    "matching_2way": "matching",
    "matching_within_gender": "matching within sex",
    "matching_within_gender_nationality": "matching within sex and nationality",
    "gender_agreement": "sex shown",
    "diversity": "diversity",
    "diversity_share": "diversity, share of real",
    "consistency": "spread within a speaker",
})  # fmt: skip

TABLE2 = (
    "fid", "fid_real_real", "kid", "l1_pixel_255", "cosine_matched", "cosine_mismatched", "gender_agreement",
    "matching_2way", "matching_within_gender", "diversity_share",
)  # fmt: skip
PERCENT = frozenset({
    "recall_at_1", "recall_at_5", "recall_at_10", "matching_2way", "matching_within_gender",
    "matching_within_gender_nationality", "gender_agreement", "diversity_share",
})  # fmt: skip


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
        if variant in POSTER:
            printed = POSTER[variant]
            data = "closed set; not the same data, references or definitions"
            records.append({"variant": variant, "source": "poster", "data": data, **printed})
    frame = pd.DataFrame(records).astype({"n_recordings": "Int64", "n_identities": "Int64"})
    values = [
        c for c in frame.columns if c not in ("variant", "source", "data", "n_recordings", "n_identities")
    ]
    return frame.astype(dict.fromkeys(values, float))


def table2_printed(frame: pd.DataFrame) -> Styler:
    """`table2` as a reader wants it: a column a variant and source, a line a metric.

    Parameters
    ----------
    frame : DataFrame
        From `table2`.

    Returns
    -------
    Styler
        Displays in a notebook; `.to_html()` gives the page.
    """
    columns = {}
    for _, line in frame.iterrows():
        ours = line["source"] == "ours"
        cells = {
            "recordings": f"{line['n_recordings']}" if ours else "not stated",
            "people": f"{line['n_identities']}" if ours else "1,225",
        }
        for metric in TABLE2:
            cells[NAMES[metric]] = printed(
                metric, line[metric], line[f"{metric}_low"], line[f"{metric}_high"]
            )
        if not ours:
            cells[NAMES["l1_pixel_255"]] = f"{line['l1']:.2f} (undefined)"
            cells[NAMES["cosine_matched"]] = f"{line['cosine']:.3f} (undefined)"
        columns[line["variant"].capitalize(), "ours" if ours else "poster, not the same data"] = cells
    return styled(pd.DataFrame(columns))


def rows_printed(
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
    names = rows or [
        r for r, e in metrics["rows"].items() if any(e[m]["value"] is not None for m in metrics_shown)
    ]
    cells = {
        NAMES[row]: {
            NAMES[metric]: printed(
                metric, *(metrics["rows"][row][metric][part] for part in ("value", "low", "high"))
            )
            for metric in metrics_shown
        }
        for row in names
    }
    return styled(pd.DataFrame(cells))


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


def quality(values: Mapping[str, Mapping[str, float]]) -> Styler:
    """What the measuring networks themselves get right on real faces.

    Parameters
    ----------
    values : mapping of str to mapping
        For each reader, names of what was measured with numbers; an interval is a `(value, low, high)`.
    """
    cells = {
        reader: {name: _number(value) for name, value in measured.items()}
        for reader, measured in values.items()
    }
    return styled(pd.DataFrame(cells).fillna("–"))


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
        {"selector": "td", "props": f"text-align: right; white-space: pre; border-bottom: {line}"},
    ])  # fmt: skip


def records(frame: pd.DataFrame) -> list[dict]:
    """Rows of a frame for JSON: missing values become null."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [
        {key: value.item() if hasattr(value, "item") else value for key, value in row.items()}
        for row in plain.to_dict("records")
    ]


def _number(value: float | Sequence[float]) -> str:
    if not np.isscalar(value):
        middle, low, high = (_number(part) for part in value)
        return f"{middle}\n[{low}, {high}]"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"
