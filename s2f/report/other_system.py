"""Another system, for reading: its command, its tables and its pictures."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from s2f import files, seeding, weights
from s2f.errors import ParameterError
from s2f.evaluation import face_readers, measured, picture_formats
from s2f.evaluation.other_system import CONTROLS, N_LISTED, N_SHOWN, Found, collect, measure
from s2f.metrics import catalogue
from s2f.report import face_figures, style, tables


def main(arguments: argparse.Namespace) -> int:
    """Measure, print, and write what ``--output`` asks for."""
    for name, value, least in (("--seed", arguments.seed, 0), ("--bootstrap", arguments.bootstrap, 1)):
        if value < least:
            raise ParameterError(name, f"is {value}", remedy=f"Give {least} or more.")
    if arguments.output is not None and arguments.output.exists() and not arguments.output.is_dir():
        raise ParameterError(f"--output {arguments.output}", "is a file", remedy="Name a folder.")
    paths = {
        "inception": arguments.inception,
        "face_identity": arguments.face_identity,
        "face_gender": arguments.face_gender,
    }
    networks = tables.records(weights.describe_networks(paths))
    found = collect(arguments.generated, arguments.real, arguments.meta)
    sets = ((arguments.generated, found.generated), (arguments.real, found.real))
    if said := picture_formats.difference(*([folder / path for path in part.files["path"]] for folder, part in sets)):
        print(said + "\n")
    metrics = measure(
        found,
        reader=face_readers.Packaged(identity_path=arguments.face_identity, gender_path=arguments.face_gender),
        inception=face_readers.Inception(path=arguments.inception),
        seed=arguments.seed,
        n_bootstrap=arguments.bootstrap,
    )
    metrics |= {"seed": arguments.seed, "n_bootstrap": arguments.bootstrap, "networks": networks}
    _say(found, metrics, meta=arguments.meta)
    if arguments.output is not None:
        write(found, metrics, arguments.output, variant=arguments.generated.resolve().name, seed=arguments.seed)
        print(f"\nWritten: metrics.json, table.csv, rejected.csv and pairs.png in {arguments.output}")
    return 0


def table(metrics: Mapping) -> pd.DataFrame:
    """What the terminal shows: a line a metric, the drawn pictures with interval and n, the controls' values.

    Where a metric was also compared with sex alone on the same people, the difference is in a column of its own.
    """
    rows, minus = metrics["rows"], metrics["differences"].get("gender_oracle", {})
    controls = [row for row in CONTROLS if any(entry["value"] is not None for entry in rows[row].values())]
    lines = {}
    for metric, entry in rows["model"].items():
        if entry["value"] is None:
            continue
        cells = {"generated": _text(metric, entry), "n": f"{entry['n_recordings']}"}
        for row in controls:
            cells[catalogue.label(row)] = _text(metric, {**rows[row][metric], "low": None})
        if minus:
            cells["minus sex alone"] = _text(metric, minus.get(metric) or {"value": None, "low": None, "high": None})
        lines[catalogue.label(metric)] = cells
    return pd.DataFrame.from_dict(lines, orient="index")


def write(found: Found, metrics: Mapping, folder: str | Path, *, variant: str, seed: int) -> None:
    """Write ``metrics.json``, ``table.csv``, ``rejected.csv`` and ``pairs.png`` into a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    measured.write(metrics, folder, form=measured.OfSystem)
    with files.whole(folder / "table.csv") as beside:
        tables.long(metrics, variant=variant).to_csv(beside, index=False)
    with files.whole(folder / "rejected.csv") as beside:
        rejected(found).to_csv(beside, index=False)
    style.save(sheet(found, seed=seed), folder / "pairs.png")


def rejected(found: Found) -> pd.DataFrame:
    """Every file that was left out, drawn pictures first."""
    return pd.concat([found.generated.rejected, found.real.rejected], ignore_index=True)


def sheet(found: Found, *, seed: int):
    """A figure of pairs of one clip, each of another person, drawn by the seed: photograph above, picture below."""
    mixed = found.pairs.iloc[seeding.stream(seed, "table").permutation(len(found.pairs))]
    shown = mixed.drop_duplicates("identity").head(N_SHOWN)
    return face_figures.table1(
        found.real.faces[shown["real"].to_numpy()],
        found.generated.faces[shown["generated"].to_numpy()],
        [name.replace("_", " ") for name in shown["identity"]],
    )


def _say(found: Found, metrics: Mapping, *, meta: Path) -> None:
    for what, part in (("generated", found.generated), ("real", found.real)):
        n_people = part.files["identity"].nunique()
        print(f"{what:<10} {len(part.files)} of {part.n_found} pictures measured, {n_people} people")
    print(f"{len(found.pairs)} generated pictures have a real one of the same clip.")
    if found.unknown:
        print(f"Not in {meta}, so without gender: {', '.join(found.unknown)}.")
    out = rejected(found)
    if len(out):
        print(f"\n{len(out)} files are left out:")
        for row in out.head(N_LISTED).itertuples():
            print(f"  {row.modality}, {row.reason}: {row.path}")
        if len(out) > N_LISTED:
            print(f"  and {len(out) - N_LISTED} more; --output keeps the whole list")
    print(f"\n{table(metrics).to_string()}")


def _text(metric: str, entry: Mapping) -> str:
    return tables.printed(metric, entry["value"], entry["low"], entry["high"]).replace("\n", " ")
