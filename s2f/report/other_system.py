"""Another system, for reading: its command, its tables and its pictures."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from s2f import files, seeding, weights
from s2f.errors import OutputError
from s2f.evaluation import face_readers, measured, picture_formats
from s2f.evaluation.other_system import (
    CONTROLS,
    N_LISTED,
    N_SHOWN,
    PROTOCOL,
    Found,
    collect,
    describe,
    measure,
    readings,
)
from s2f.evaluation.picture_folders import UNREAD
from s2f.metrics import catalogue
from s2f.metrics.standins import FaceSet
from s2f.report import face_figures, style, tables
from s2f.report.cells import PARTS, Notes, printed

OTHER = catalogue.OTHER.key
WRITTEN = (measured.FILE, "table.csv", "readings.csv", "readings.npz", "rejected.csv", "pairs.png")


def main(arguments: argparse.Namespace) -> int:
    """Measure, print, and write what ``--output`` asks for; exit status 1 where pictures could not be read."""
    if arguments.output is not None:
        _refuse_place(arguments.output, [arguments.generated, arguments.real, arguments.beside])
    paths = {
        "inception": arguments.inception,
        "face_identity": arguments.face_identity,
        "face_gender": arguments.face_gender,
    }
    networks = tables.records(weights.describe_networks(paths))
    found = collect(arguments.generated, arguments.real, arguments.meta, beside=arguments.beside, only=arguments.people)
    folders = ((arguments.generated, found.generated), (arguments.real, found.real))
    if said := picture_formats.difference(*([root / path for path in part.files["path"]] for root, part in folders)):
        print(said + "\n")
    sets = describe(
        found,
        reader=face_readers.Packaged(
            identity_path=arguments.face_identity, gender_path=arguments.face_gender, n_workers=arguments.workers
        ),
        inception=face_readers.Inception(path=arguments.inception),
        seed=arguments.seed,
    )
    metrics = measure(found, sets, seed=arguments.seed, n_bootstrap=arguments.bootstrap)
    metrics |= {"seed": arguments.seed, "n_bootstrap": arguments.bootstrap, "networks": networks}
    _say(found, metrics, meta=arguments.meta)
    if arguments.output is not None:
        variant = arguments.generated.resolve().name
        write(found, sets, metrics, arguments.output, variant=variant, seed=arguments.seed)
        print(f"\nWritten: {', '.join(WRITTEN[:-1])} and {WRITTEN[-1]} in {arguments.output}")
    n_unread = int(rejected(found)["reason"].isin(UNREAD).sum())
    if n_unread:
        print(f"warning: {n_unread} of the files that are left out could not be read", file=sys.stderr)
    return 1 if n_unread else 0


def _refuse_place(output: Path, read: Iterable[Path | None]) -> None:
    """Refuse to write where pictures are read from, and over what this command did not write."""
    if output.exists() and not output.is_dir():
        raise OutputError(f"--output {output}", "is a file", remedy="Name a folder.")
    for folder in read:
        if folder is not None and output.resolve().is_relative_to(folder.resolve()):
            problem = f"lies in {folder}, whose pictures are measured"
            raise OutputError(f"--output {output}", problem, remedy="Name a folder elsewhere.")
    for name in WRITTEN:
        if os.path.lexists(output / name) and not _is_ours(output / measured.FILE):
            problem = "is there, and was not written by this command"
            raise OutputError(output / name, problem, remedy="Name another folder with --output.")


def _is_ours(path: Path) -> bool:
    """Whether a ``metrics.json`` is one of this command."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return False
    return isinstance(found, dict) and found.get("protocol") == PROTOCOL


def table(metrics: Mapping) -> tuple[pd.DataFrame, str]:
    """What the terminal shows: a line a metric, the drawn pictures with interval and n, the controls' values.

    Where a metric was also compared with sex alone, or with another system, on the same people, the difference is in a
    column of its own. A metric without a value has a raised number, and the second part says why.
    """
    rows, differences, notes = metrics["rows"], metrics["differences"], Notes()
    controls = [row for row in CONTROLS if any(entry["value"] is not None for entry in rows[row].values())]
    minus = {row: differences[row] for row in (OTHER, "gender_oracle") if differences.get(row)}
    ours = notes.marked(rows["model"], rows["model"])
    other = notes.marked(rows[OTHER], rows[OTHER]) if OTHER in rows else {}
    lines = {}
    for metric, entry in rows["model"].items():
        cells = {"generated": _on_a_line(ours[metric]), "n": f"{entry['n_recordings'] or '–'}"}
        if other:
            cells[catalogue.label(OTHER)] = _on_a_line(other[metric])
        for row in controls:
            cells[catalogue.label(row)] = printed(metric, rows[row][metric]["value"], None, None)
        for row, found in minus.items():
            difference = found.get(metric) or dict.fromkeys(PARTS)
            text = printed(metric, *(difference[part] for part in PARTS), difference=True)
            cells[f"minus {catalogue.label(row)}"] = _on_a_line(text)
        lines[catalogue.label(metric)] = cells
    return pd.DataFrame.from_dict(lines, orient="index"), str(notes)


def write(
    found: Found, sets: Mapping[str, FaceSet], metrics: Mapping, folder: str | Path, *, variant: str, seed: int
) -> None:
    """Write `WRITTEN` into a folder: the metrics, what was read from each picture, what was left out, and pairs."""
    folder = Path(folder)
    measured.write(metrics, folder, form=measured.OfSystem)  # first: it says whose folder this is
    frames = {
        "table.csv": tables.long(metrics, variant=variant),
        "readings.csv": readings(found, sets),
        "rejected.csv": rejected(found),
    }
    for name, frame in frames.items():
        with files.whole(folder / name) as beside:
            frame.to_csv(beside, index=False)
    parts = ("embeddings", "inception")
    arrays = {f"{what}_{part}": getattr(faces, part) for what, faces in sets.items() for part in parts}
    with files.whole(folder / "readings.npz") as beside:
        np.savez(beside, allow_pickle=False, **{name: array for name, array in arrays.items() if array is not None})
    style.save(sheet(found, seed=seed), folder / "pairs.png")


def rejected(found: Found) -> pd.DataFrame:
    """Every file that was left out, drawn pictures first."""
    return pd.concat([part.rejected for part in found.parts.values()], ignore_index=True)


def sheet(found: Found, *, seed: int):
    """A figure of pairs of another person each, of one clip where there are any: photograph above, picture below."""
    mixed = found.pairs.iloc[seeding.stream(seed, "table").permutation(len(found.pairs))]
    shown = mixed.drop_duplicates("identity").head(N_SHOWN)
    return face_figures.table1(
        found.real.faces[shown["real"].to_numpy()],
        found.generated.faces[shown["generated"].to_numpy()],
        [name.replace("_", " ") for name in shown["identity"]],
    )


def _say(found: Found, metrics: Mapping, *, meta: Path) -> None:
    for what, part in found.parts.items():
        n_people = part.files["identity"].nunique()
        print(f"{what:<10} {len(part.files)} of {part.n_found} pictures measured, {n_people} people")
    n = metrics["counts"]["n_pairs"]
    print(f"{n or 'No'} generated picture{'s have' if n > 1 else ' has'} a real one of the same clip.")
    if found.unknown:
        print(f"Not in {meta}, so without gender: {', '.join(found.unknown)}.")
    out = rejected(found)
    if len(out):
        print(f"\n{len(out)} files are left out:")
        for row in out.head(N_LISTED).itertuples():
            print(f"  {row.modality}, {row.reason}: {row.path}")
        if len(out) > N_LISTED:
            print(f"  and {len(out) - N_LISTED} more; --output keeps the whole list")
    shown, notes = table(metrics)
    print(f"\n{shown.to_string()}" + (f"\n\n{notes}" if notes else ""))


def _on_a_line(text: str) -> str:
    return text.replace("\n", " ")
