"""A look at a corpus before any run: what is there, what is missing, whether the counts match."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from s2f import files, provenance
from s2f.corpora import duplicates, manifest, pairs_table, rejections, spelling, splits, voxceleb
from s2f.corpora.corpus import processed
from s2f.errors import CorpusError, OutputError, S2FError
from s2f.features import pack
from s2f.report.style import evenly
from s2f.study import params

PAGE = 'The book\'s page "Getting the data" says where each is published, and its usual places.'
LIST = "duplicates.csv"
SORTS = MappingProxyType({"voices": "recordings", "faces": "photographs", "metas": "metadata"})
MODALITIES = (("voice", "recordings"), ("face", "photographs"))


def main(arguments: argparse.Namespace) -> int:
    """Print the report; exit status 0 where a study can be run on what is there, 1 where something is missing."""
    if arguments.rejected is not None:
        _refuse_foreign(arguments.rejected)
    if arguments.kind == "table":
        if arguments.table is None:
            raise CorpusError("check table", "names no table", remedy="Add --table pairs.csv.")
        found, rejected, ignored = pairs_table.scan(arguments.table)
        print(f"Table {arguments.table}")
        if ignored:
            print(f"Columns that are not used: {', '.join(ignored)}.")
    else:
        given = {"voices": arguments.voices, "faces": arguments.faces, "metas": arguments.meta}
        if arguments.root is None and not all(given.values()):
            remedy = f"Add --root data/{arguments.kind}, where the downloads lie, or all of --voices, --faces, --meta."
            raise CorpusError(f"check {arguments.kind}", "has no --root", remedy=remedy)
        usual = voxceleb.places(arguments.root, kind=arguments.kind) if arguments.root is not None else {}
        there = {sort: given[sort] or usual[sort] for sort in SORTS}
        if not _say_places(there):
            return 1
        suffixes = voxceleb.PROCESSED_SUFFIXES if arguments.kind == "wen2019" else voxceleb.VOICE_SUFFIXES
        scan = voxceleb.scan(**there, suffixes=suffixes)
        found, rejected = scan.manifest, scan.rejected
        _say_matches(scan)
    _say_counts(found)
    if arguments.kind != "table" and set(scan.people["release"]) == {"VoxCeleb1"}:
        print("\nThe full VoxCeleb1 ∩ VGGFace, and what is here:\n")
        print(_text(voxceleb.expected_against_found(scan)))
    _say_rejected(rejected, duplicates.find(found, "."), arguments.rejected)
    bad = _say_sample(found, n=arguments.sample, is_processed=processed(arguments.kind))
    bad += _say_refusal(found, kind=arguments.kind)
    _say_use(arguments, has_split=bool(found["split"].notna().any()))
    return 1 if bad else 0


def _say_use(arguments: argparse.Namespace, *, has_split: bool) -> None:
    """What runs a study on it: a command, and the lines of the profile that say the same for good."""
    root = params.project_root()
    named: dict[str, Any] = {"root": arguments.root, "table": arguments.table}
    named |= {"voice_roots": arguments.voices, "face_roots": arguments.faces, "metas": arguments.meta}
    corpus = {key: _from_project(value, root) for key, value in named.items() if value}
    split = {"rule": "given"} if has_split else {}
    command = ["python", "-m", "s2f", "study", "--profile", arguments.kind, "--label", "mine"]
    for section, values in (("corpus", corpus), ("split", split)):
        for key, value in values.items():
            command += ["--set", f"{section}.{key}={json.dumps(value, ensure_ascii=False)}"]
    print(f"\nTo run the study on it:\n\n  {provenance.here(shlex.join(command), root=root)}")
    lines = {"corpus": {"kind": arguments.kind, **corpus}} | ({"split": split} if split else {})
    print(f"\nOr set in params/profiles/{arguments.kind}.yaml, and run make book PROFILE={arguments.kind}:\n")
    for section, values in lines.items():
        print(f"  {section}: {json.dumps(values, ensure_ascii=False)}")  # JSON is YAML


def _from_project(value: Path | list[Path], root: Path) -> str | list[str]:
    """A path, or several, as a parameter: from the project's folder where it lies in it, else in full."""
    if isinstance(value, list):
        return [str(_from_project(path, root)) for path in value]
    path = Path(os.path.abspath(value))
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _say_places(there: Mapping[str, list[Path]]) -> bool:
    """Where each sort lies, line by line; whether all of it is there."""
    complete = True
    for sort, what in SORTS.items():
        for place in there[sort]:
            found = os.path.isfile(place) if sort == "metas" else os.path.isdir(place)
            complete &= found
            print(f"{what:<12} {'here   ' if found else 'MISSING'} {place}")
    if not complete:
        print(f"\nNothing can be run without what is missing. {PAGE}")
    return complete


def _say_matches(scan: voxceleb.Scan) -> None:
    print(f"\nThe metadata names {len(scan.people):,} people.")
    for modality, what in MODALITIES:
        of = scan.matches[scan.matches["modality"] == modality]
        rules = ", ".join(f"{n:,} {spelling.said(rule)}" for rule, n in of["rule"].value_counts().items())
        print(f"{of['identity'].nunique():,} of them have a folder of {what}, found {rules}.")


def _say_counts(found: pd.DataFrame) -> None:
    total = manifest.summary(found)["total"]
    genders = found.drop_duplicates("identity")["gender"].fillna("unknown").value_counts()
    print(
        f"\nBoth voice and face: {total['n_identities']:,} identities "
        f"({', '.join(f'{g} {n:,}' for g, n in genders.items())}), "
        f"{total['n_recordings']:,} recordings, {total['n_faces']:,} photographs."
    )


def _say_rejected(rejected: pd.DataFrame, doubles: pd.DataFrame, path: Path | None) -> None:
    print(f"\nLeft out by name or row: {len(rejected):,}.")
    if len(rejected):
        print(_text(rejections.counts(rejected)))
    kinds = Counter(doubles.drop_duplicates("content")["kind"])
    if kinds:
        print(
            f"The same content more than once: {kinds['within_identity']:,} within an identity, "
            f"{kinds['across_identities']:,} across identities."
        )
        for _, group in doubles[doubles["kind"] == "across_identities"].groupby("content", sort=False):
            print("  " + " = ".join(group["path"].head(3)))
    else:
        print("No two files have the same content.")
    if path is not None:
        with files.whole(path) as beside:
            rejected.to_csv(beside, index=False)
        print(f"The list of files left out: {path}")


def _say_refusal(found: pd.DataFrame, *, kind: str) -> int:
    """Divide the corpus as its study does, and say what the study would say; whether it refuses."""
    given = {"split.rule": "given"} if found["split"].notna().any() else {}
    settings = params.resolve(kind, overrides=given, root=params.project_root())
    try:
        both, _ = manifest.intersect(found)
        table = splits.divide(both, settings.split, seed=0)
        with tempfile.TemporaryDirectory() as folder:
            doubles = duplicates.find(table, ".", progress=False)
            duplicates.settle(table, doubles, rule=settings.corpus.duplicates, report=Path(folder, LIST))
    except CorpusError as error:
        subject = "the corpus" if error.subject.endswith(LIST) else error.subject  # its list lies in no place yet
        print(f"\nA study refuses it: {subject} {error.problem}. {error.remedy}")
        return 1
    return 0


def _refuse_foreign(path: Path) -> None:
    """Refuse to write the list over a file that is no such list."""
    if not os.path.lexists(path):
        return
    try:
        with path.open(encoding="utf-8") as file:
            ours = file.readline().strip() == ",".join(rejections.COLUMNS)
    except (OSError, UnicodeDecodeError):
        ours = False
    if not ours:
        raise OutputError(path, "is there, and is no list of files left out", remedy="Name another file.")


def _say_sample(found: pd.DataFrame, *, n: int, is_processed: bool) -> int:
    """Decode a few files of each kind, spread over the corpus; how many kinds had no usable one."""
    bad = 0
    for modality, what in MODALITIES:
        rows = found[found["modality"] == modality]
        chosen = rows.iloc[evenly(len(rows), most=n)]
        problems = list(_problems(chosen, is_processed=is_processed))
        if len(chosen):
            print(f"{len(chosen) - len(problems)} of {len(chosen)} {what} tried can be used.")
        for problem in problems[:5]:
            print(f"  {problem}")
        bad += bool(len(chosen)) and len(problems) == len(chosen)
    return bad


def _problems(rows: pd.DataFrame, *, is_processed: bool) -> Iterator[str]:
    settings = pack.Settings(processed=is_processed)
    for row in rows.itertuples():
        try:
            if row.modality == "voice":
                pack.recording(row.path, settings)
            else:
                pack.photo(row.path, row.landmarks, settings)
        except Exception as error:
            reason, said = rejections.why(error)
            yield f"[{reason}] {error if isinstance(error, S2FError) else f'{row.path}: {said}'}"


def _text(table: pd.DataFrame) -> str:
    """With thousands apart, and nothing where nothing is known."""

    def shown(value: Any) -> str:
        return "" if pd.isna(value) else f"{value:,}" if isinstance(value, int) else str(value)

    return table.astype(object).map(shown).to_string()
