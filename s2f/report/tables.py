"""Tables of the study as frames: numbers for CSV and JSON, and their printed form.

Everything here is made from the `metrics.json` of the variants; nothing is computed a second time. `metrics` is the
content of one, or where a function takes several, of each variant's by its name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from s2f import files, provenance
from s2f.errors import RunError
from s2f.metrics import catalogue
from s2f.metrics.bootstrap import distinct
from s2f.metrics.catalogue import label
from s2f.report.cells import PARTS, Notes, printed, without_value
from s2f.report.grids import nothing, styled, words
from s2f.report.prose import MISSING

if TYPE_CHECKING:
    from IPython.display import HTML
    from pandas.io.formats.style import Styler

# "Speech2Face Generator Poster", Ain Shams University, Table 2: other people, other references per row, and
# an L1 and a cosine that it does not define. To be shown beside ours, not compared with them.
POSTER: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "general": MappingProxyType({"fid": 114.4445991, "l1": 61.9460271, "cosine": 0.244882}),
        "females": MappingProxyType({"fid": 126.365874, "l1": 29.41308, "cosine": 0.399265}),
        "males": MappingProxyType({"fid": 129.303104, "l1": 33.085962, "cosine": 0.2090025}),
    }
)

POSTER_ROW = "poster, not the same data"
# Our metric beside each of its figures, which is printed with the digits given.
POSTER_COLUMNS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"fid": ("fid", ".1f"), "l1_pixel_255": ("l1", ".2f"), "cosine_matched": ("cosine", ".3f")}
)
TABLE2_VERSION = 1
BOLD = "font-weight: bold"


def long(metrics: Mapping, *, variant: str) -> pd.DataFrame:
    """All entries of one variant, a row each.

    Returns
    -------
    DataFrame, columns variant, protocol, row, metric, value, low, high, n_recordings, n_identities, reference, reason
    """
    records = [
        {"variant": variant, "protocol": metrics["protocol"], "row": row, "metric": metric, **entry}
        for row, entries in metrics["rows"].items()
        for metric, entry in entries.items()
    ]
    return pd.DataFrame(records).astype({"value": float, "low": float, "high": float})


def table2(metrics: Mapping[str, Mapping]) -> pd.DataFrame:
    """Table 2: what each variant reaches, what needs no model at all, and what the poster printed.

    Returns
    -------
    DataFrame
        Columns variant, row, source ("ours" or "poster"), data, n_recordings, n_identities, and for each metric
        of Table 2 its value, `_low`, `_high` and `_differs`: whether the model's value differs from this row's,
        paired on the same people, by more than chance explains. `l1` and `cosine` are the poster's undefined ones.
    """
    records = []
    rows, shown = catalogue.table2_rows(), catalogue.table2_metrics()
    for variant, content in metrics.items():
        for row in rows:
            entries = content["rows"][row]
            if all(entries[metric]["value"] is None for metric in shown):
                continue
            record = {"variant": variant, "row": row, "source": "ours", "data": content["protocol"]}
            for count in ("n_recordings", "n_identities"):
                record[count] = max(entry[count] or 0 for entry in entries.values()) or None
            for metric in shown:
                entry = entries[metric]
                record |= {metric: entry["value"], f"{metric}_low": entry["low"], f"{metric}_high": entry["high"]}
                record[f"{metric}_differs"] = differs(content, row, metric)
            records.append(record)
        if variant.lower() in POSTER:
            data = "closed set; not the same data, references or definitions"
            figures = POSTER[variant.lower()]
            records.append({"variant": variant, "row": "poster", "source": "poster", "data": data, **figures})
    frame = pd.DataFrame(records).astype({"n_recordings": "Int64", "n_identities": "Int64"})
    flags = [f"{metric}_differs" for metric in shown]
    frame[flags] = frame[flags].astype("boolean").fillna(False).astype(bool)
    texts = ("variant", "row", "source", "data", "n_recordings", "n_identities", *flags)
    return frame.astype({c: float for c in frame.columns if c not in texts})


def differs(metrics: Mapping, row: str, metric: str) -> bool:
    """Whether the model's value differs from a row's: the interval of the paired difference does not hold zero."""
    difference = metrics["differences"].get(row, {}).get(metric)
    return difference is not None and distinct(difference)


def show_table2(frame: pd.DataFrame, metrics: Mapping[str, Mapping] | None = None) -> Styler:
    """`table2` as a reader wants it: a block of lines a variant, a column a metric, the poster's figures in italics.

    A value is bold where the model differs from it by more than chance explains. With `metrics`, as `table2` took
    them, it is said below why something is not measured.

    It displays in a notebook; `.to_html()` gives the page.
    """
    cells, index, styles = [], [], []
    notes, contents, asked = Notes(), metrics or {}, catalogue.table2_metrics()
    for _, line in frame.iterrows():
        if line["row"] == "poster":
            shown = {metric: format(line[name], digits) for metric, (name, digits) in POSTER_COLUMNS.items()}
            shown = {m: text if m == "fid" else f"{text}\n(undefined)" for m, text in shown.items()}
            shown |= {m: f"–{notes.mark('the poster gives no such number')}" for m in asked if m not in shown}
            index.append((line["variant"], POSTER_ROW))
            styles.append(["font-style: italic"] * len(asked))
        else:
            shown = {m: printed(m, line[m], line[f"{m}_low"], line[f"{m}_high"]) for m in asked}
            if line["variant"] in contents:
                shown = notes.marked(contents[line["variant"]]["rows"][line["row"]], asked)
            index.append((line["variant"], label(line["row"])))
            styles.append([BOLD if line[f"{metric}_differs"] else "" for metric in asked])
        cells.append({label(metric): shown[metric] for metric in asked})
    lines = pd.MultiIndex.from_tuples(index, names=["variant", "set of faces"])
    return _emphasised(pd.DataFrame(cells, index=lines), styles, notes=str(notes))


def _emphasised(frame: pd.DataFrame, styles: Sequence[Sequence[str]], *, notes: str) -> Styler:
    """A frame of text, each cell in its own style."""
    return styled(frame, notes=notes).apply(
        lambda shown: pd.DataFrame(styles, index=shown.index, columns=shown.columns), axis=None
    )


def metrics_table(metrics: Mapping, group: str) -> Styler | HTML:
    """A group of metrics of one variant, a line a row: what the generated faces should be compared with.

    A value is bold where the model differs from it by more than chance explains. Metrics without any value are no
    columns; below it is said why.

    Parameters
    ----------
    group : str, "matching", "videos", "distances" or "sets": see `s2f.metrics.catalogue.Metric`
    """
    measured = metrics["rows"]
    asked = catalogue.groups()[group]
    sets = [entries for row, entries in measured.items() if row != "chance"]  # which is known of anything
    shown = [m for m in asked if any(entries[m]["value"] is not None for entries in sets)]
    alike = _alike(measured, shown) if group == "matching" else {}
    shown = [m for m in shown if m not in alike]
    found = [row for row in measured if any(measured[row][m]["value"] is not None for m in shown)]
    why = without_value(measured["model"], [m for m in asked if m not in shown])
    if not shown:
        reasons = {measured["model"][metric]["reason"] or MISSING for metric in asked}
        return nothing("\n".join(f"Not measured: {reason}." for reason in sorted(reasons)))
    notes = Notes()
    cells = [notes.labelled(measured[row], shown) for row in found]
    frame = pd.DataFrame(cells, index=pd.Index([label(row) for row in found], name="set of faces"))
    weights = [[BOLD if differs(metrics, row, m) else "" for m in shown] for row in found]
    fid, n = measured["model"]["fid"], ""
    if group == "sets" and fid["value"] is not None:
        n = f"FID, KID, precision and recall: {fid['n_recordings']} faces beside as many photographs."
    same = "\n".join(f"{label(m)}: here the same as {label(first)}" for m, first in alike.items())
    return _emphasised(frame, weights, notes="\n".join(part for part in (n, str(notes), why, same) if part))


def _alike(measured: Mapping[str, Mapping], metrics: Sequence[str]) -> dict[str, str]:
    """Metrics that say in every row what an earlier one says, with that one, as where all people are of one sex."""
    columns = {m: [tuple(entries[m].get(part) for part in PARTS) for entries in measured.values()] for m in metrics}
    first: dict[str, str] = {}
    for at, metric in enumerate(metrics):
        earlier = (m for m in metrics[:at] if m not in first and columns[m] == columns[metric])
        if (found := next(earlier, None)) is not None:
            first[metric] = found
    return first


def by_gender(metrics: Mapping[str, Mapping]) -> Styler | HTML:
    """Each variant of one sex (not General) beside General on the same people and recordings, and their difference."""
    lines, shown, notes = {}, catalogue.table2_metrics(), Notes()
    for variant, content in metrics.items():
        found = content["rows"]
        if all(found["general"][metric]["value"] is None for metric in shown):
            continue
        n = max(entry["n_identities"] or 0 for entry in found["model"].values())
        who, minus = f"{variant}, {n:,} people", content["differences"]["general"]
        lines[who, variant] = notes.labelled(found["model"], shown)
        lines[who, label("general")] = notes.labelled(found["general"], shown)
        lines[who, f"{variant} minus General"] = notes.labelled(minus, shown, difference=True)
    if not lines:
        return nothing("This corpus has General alone.")
    index = pd.MultiIndex.from_tuples(lines, names=["variant", "drawn by"])
    return styled(pd.DataFrame(list(lines.values()), index=index), notes=str(notes))


def run_names(main: Mapping, others: Mapping[str, Mapping]) -> list[str]:
    """What a run and others beside it are called: by their recipes, and by labels too where recipes are the same.

    Parameters
    ----------
    main : mapping, `metrics.json` of the run itself
    others : mapping of str to mapping, `metrics.json` of other runs, by label
    """
    recipes = [str(main.get("recipe", "this run")), *(str(o.get("recipe", label)) for label, o in others.items())]
    if len(set(recipes)) == len(recipes):
        return recipes
    return [recipes[0], *(f"{recipe} ({label})" for recipe, label in zip(recipes[1:], others, strict=True))]


def beside_table(main: Mapping, others: Mapping[str, Mapping], *, row: str = "model") -> Styler:
    """One row of several runs side by side, for example of two recipes.

    Parameters
    ----------
    main, others : as in `run_names`, which names the columns
    row : str, row to show
    """
    columns = dict(zip(run_names(main, others), (main, *others.values()), strict=True))
    shown, notes = catalogue.table2_metrics(), Notes()
    cells = {name: notes.labelled(content["rows"][row], shown) for name, content in columns.items()}
    return styled(pd.DataFrame(cells), notes=str(notes), lines="metric")


def write_table2(frame: pd.DataFrame, folder: str | Path) -> None:
    """Write `table2.csv` and, with its version, `table2.json` into `folder`."""
    with files.whole(Path(folder) / "table2.csv") as beside:
        frame.to_csv(beside, index=False)
    text = json.dumps({"version": TABLE2_VERSION, "rows": records(frame)}, indent=1, allow_nan=False)
    files.write_text(Path(folder) / "table2.json", text + "\n")


@dataclass(frozen=True)
class Table2Line:
    """A line of ``table2.json``.

    Attributes
    ----------
    variant, row, source, data : str, as `table2` has them
    n_recordings, n_identities : int, optional
    numbers : mapping of str to float, bool or None, the other columns: value, interval and difference of each metric
    """

    variant: str
    row: str
    source: str
    data: str
    n_recordings: int | None
    n_identities: int | None
    numbers: Mapping[str, float | None]

    def printed(self, metric: str) -> str:
        """A metric's value and interval on one line, or a dash."""
        return printed(metric, *(self.numbers.get(metric + part) for part in ("", "_low", "_high"))).replace("\n", " ")


def read_table2(path: Path) -> list[Table2Line]:
    """The lines of a run's ``table2.json``.

    Raises
    ------
    RunError: missing, damaged or of another version; names the command that writes it again
    """
    remedy = f"Make the results again: {provenance.again(path)}"
    found = files.read_versioned(path, version=TABLE2_VERSION, remedy=remedy, error=RunError)
    own = [field.name for field in fields(Table2Line) if field.name != "numbers"]
    try:
        return [
            Table2Line(**{key: row[key] for key in own}, numbers={key: row[key] for key in row if key not in own})
            for row in found["rows"]
        ]
    except (KeyError, TypeError) as problem:
        raise RunError(path, f"has no rows of Table 2 ({problem})", remedy=remedy, reason="damaged") from None


def write_rows(metrics: Mapping[str, Mapping], folder: str | Path) -> None:
    """Write every row and metric of every variant, and every paired difference, as ``rows.csv`` in `folder`."""
    lines: list[dict] = []
    for variant, content in metrics.items():
        lines += long(content, variant=variant).assign(what="value").to_dict("records")
        for part, what in (("differences", "model minus row"), ("differences_of_mean", "draws_mean minus row")):
            if content[part]:  # a recipe without a sampler has no mean of draws
                minus = {"protocol": content["protocol"], "rows": content[part]}
                lines += long(minus, variant=variant).assign(what=what).to_dict("records")
    with files.whole(Path(folder) / "rows.csv") as beside:
        pd.DataFrame(lines).to_csv(beside, index=False)


def across_seeds(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Mean and spread over seeds of frames from `long`.

    Returns
    -------
    DataFrame
        Columns variant, protocol, row, metric, mean, sd, low, high (the range over seeds), n_seeds; entries null in any
        seed are left out.
    """
    together = pd.concat(frames)
    keys = ["variant", "protocol", "row", "metric"]
    grouped = together.groupby(keys, sort=False)["value"]
    found = grouped.agg(mean="mean", sd="std", low="min", high="max", n_seeds="count").reset_index()
    return found[found["n_seeds"] == len(frames)].reset_index(drop=True)


def seeds_table(frame: pd.DataFrame, *, metrics: Sequence[str] = (), row: str = "model") -> Styler:
    """Mean and range over seeds of one row, a line a variant, a column a metric; of one seed there is no range.

    Parameters
    ----------
    frame : DataFrame, from `across_seeds`
    metrics : sequence of str, columns; those of Table 2 if not given
    """
    metrics = metrics or catalogue.table2_metrics()
    own = frame[(frame["row"] == row) & frame["metric"].isin(metrics)]
    parts = ["mean", "low", "high"] if (frame["n_seeds"] > 1).all() else ["mean"]
    cells = {
        variant: {
            label(m): printed(m, *lines.loc[m, parts], *[None] * (3 - len(parts))) for m in metrics if m in lines.index
        }
        for variant, lines in ((v, part.set_index("metric")) for v, part in own.groupby("variant", sort=False))
    }
    frame = pd.DataFrame(cells).T
    notes = "– not measured with every seed" if frame.isna().any(axis=None) else ""
    return styled(frame.fillna("–"), notes=notes, lines="variant")


def quality_table(quality: Mapping) -> Styler:
    """What the networks that read faces get right on real photographs of people they have not seen.

    Parameters
    ----------
    quality : mapping
        From `face_quality.network_quality`: "aligned" and "original" map names to a number, to a mapping with
        value, low and high, or to None where it could not be measured; "original" may be None, for "original_reason".
    """
    columns = {"64×64 px, as drawn faces are": quality["aligned"], "original size": quality["original"]}
    notes, of_all = Notes(), quality.get("original_reason") or MISSING
    cells: dict[str, dict[str, str]] = {column: {} for column in columns}
    for column, part in columns.items():
        for name in quality["aligned"]:
            value = part[name] if part else None
            why = _NO_QUALITY.get(name, MISSING) if part else of_all
            cells[column][words(name)] = _share(value) + (notes.mark(why) if value is None else "")
    return styled(pd.DataFrame(cells), notes=str(notes), lines="how well they read faces of")


# Why something is not known of a network that reads faces, where others are.
_NO_QUALITY = MappingProxyType(
    {
        "gender_accuracy": "the gender of fewer than two people is known",
        "equal_error_rate": "too few people have two photographs to compare",
    }
)


def lengths_table(frame: pd.DataFrame) -> Styler:
    """Equal error rates by how much speech was heard, from `s2f.evaluation.voice_quality.by_length`."""
    lines = {}
    for row in frame.itertuples():
        cosines = (row.cosine_same, row.cosine_different)
        lines[f"{row.seconds:g} s"] = {
            "recordings": f"{row.n_recordings:,}",
            "people": f"{row.n_identities:,}",
            "pairs of one person": f"{row.n_same:,}",
            "equal error rate": _share(None if pd.isna(row.value) else row._asdict()),
            "cosine, one person": "–" if pd.isna(cosines[0]) else f"{cosines[0]:z.2f}",
            "cosine, two people": "–" if pd.isna(cosines[1]) else f"{cosines[1]:z.2f}",
        }
    return styled(pd.DataFrame.from_dict(lines, orient="index"), lines="speech heard")


def _share(value: Mapping | int | None) -> str:
    if isinstance(value, Mapping):
        middle, low, high = (f"{100 * value[part]:.1f}" for part in ("value", "low", "high"))
        return f"{middle} % [{low}, {high}]"
    return "–" if value is None else f"{value:,}"


def counts_table(
    frame: pd.DataFrame, *, shares: Sequence[str] = (), lines: str | Sequence[str] = (), empty: str = "Nothing to list."
) -> Styler | HTML:
    """Counts with thousands separated, shares in per cent, and a dash where something does not apply.

    `shares` are the columns that hold shares from 0 to 1; the others hold numbers or text. `lines` as in `styled`.
    `empty` is what stands where the frame has no line.
    """
    if frame.empty:
        return nothing(empty)

    def shown(value, is_share: bool) -> str:
        if value is None or value is pd.NA or value != value:  # the last: NaN
            return "–"
        if is_share:
            return f"{100 * value:.1f} %"
        return value if isinstance(value, str) else f"{value:,}"

    cells = {
        words(name): [shown(value, name in shares) for value in column] for name, column in frame.astype(object).items()
    }
    return styled(pd.DataFrame(cells, index=frame.index).rename(index=words), lines=lines)


def records(frame: pd.DataFrame) -> list[dict]:
    """Rows of a frame for JSON: missing values become null."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [
        {key: value.item() if hasattr(value, "item") else value for key, value in row.items()}
        for row in plain.to_dict("records")
    ]
