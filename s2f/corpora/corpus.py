"""Corpora: where voices and faces come from. Each yields one manifest, a row a file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from s2f import files, settings
from s2f.corpora import rejections, spelling
from s2f.errors import CorpusError

if TYPE_CHECKING:  # it brings torch, which reading a corpus does without
    from s2f.corpora.synthetic.build import Sizes


@dataclass(frozen=True)
class Corpus:
    """A corpus as it was found or made, before intersection and split.

    Attributes
    ----------
    root : Path, where the manifest's relative paths start
    manifest : DataFrame, see `s2f.corpora.manifest`
    rejected : DataFrame, files left out by the scan; see `s2f.corpora.rejections`
    people : DataFrame or None, True attributes of a synthetic population
    matches : DataFrame or None, which folder was taken for whose, and by which rule; see `voxceleb.Scan`
    differences : DataFrame or None, the full corpus beside what was found; see `voxceleb.expected_against_found`
    notes : tuple of str, what else a reader should know, such as columns of a table that are not used
    """

    root: Path
    manifest: pd.DataFrame
    rejected: pd.DataFrame
    people: pd.DataFrame | None = None
    matches: pd.DataFrame | None = None
    differences: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()


def make(section: settings.Corpus, *, n_workers: int, project: Path) -> Corpus:
    """Make or scan the corpus that section ``corpus`` of the parameters describes.

    Parameters
    ----------
    project : Path, the project's folder, where relative paths start

    Raises
    ------
    CorpusError: a folder or file that is missing; says what was looked for, where, and how to get it
    """
    if section.kind == "synthetic":
        from s2f.corpora.synthetic import build

        sizes = build.Sizes(**section.model_dump(include={field.name for field in fields(build.Sizes)}))
        root = synthetic_folder(project / section.root, sizes)
        found = build.build(root, sizes, n_workers=n_workers)
        return Corpus(root, found, rejections.frame([]), people=read_people(root))
    if section.kind == "table":
        from s2f.corpora import pairs_table

        if section.table is None:
            remedy = "Name a .csv, .tsv or .parquet file with columns recording, face and identity."
            raise CorpusError("parameter 'corpus.table'", "is not set", remedy=remedy)
        path = (project / section.table).resolve()
        found, rejected, ignored = pairs_table.scan(path)
        notes = (f"Columns of {path.name} that are not used: {', '.join(ignored)}.",) if ignored else ()
        return Corpus(path.parent, found, rejected, notes=notes)

    from s2f.corpora import voxceleb

    root = (project / section.root).resolve()
    usual = voxceleb.places(root, kind=section.kind)
    scan = voxceleb.scan(
        voices=[project / place for place in section.voice_roots] or usual["voices"],
        faces=[project / place for place in section.face_roots] or usual["faces"],
        metas=[project / place for place in section.metas] or usual["metas"],
        suffixes=voxceleb.PROCESSED_SUFFIXES if processed(section.kind) else voxceleb.VOICE_SUFFIXES,
    )
    only_first = set(scan.people["release"]) == {"VoxCeleb1"}
    differences = voxceleb.expected_against_found(scan) if only_first else None
    return Corpus(root, scan.manifest, scan.rejected, matches=scan.matches, differences=differences)


def synthetic_folder(root: Path, sizes: Sizes, **more: str) -> Path:
    """Folder of the synthetic corpus of these sizes: whoever asks for the same people shares them."""
    name = hashlib.sha256(json.dumps(asdict(sizes) | more, sort_keys=True).encode()).hexdigest()[:12]
    return root / f"synthetic-{name}"


def files_root(folder: Path, *, project: Path) -> Path:
    """Where the paths of a corpus start, as ``summary.json`` in its folder of a run says."""
    return project / json.loads((folder / "summary.json").read_text(encoding="utf-8"))["root"]


def processed(kind: str) -> bool:
    """Whether a kind of corpus holds log-mel frames and aligned faces instead of sound and photographs."""
    return kind == "wen2019"


def before_and_after(corpus: Corpus, kept: pd.DataFrame) -> pd.DataFrame:
    """Identities and files of each modality before and after the intersection.

    Parameters
    ----------
    kept : DataFrame, manifest after it

    Returns
    -------
    DataFrame, index "recordings", "photographs"; columns identities before and after, files before and after
    """
    rows = {}
    for modality, what in (("voice", "recordings"), ("face", "photographs")):
        after = kept[kept["modality"] == modality]
        if corpus.matches is not None:  # the scan has intersected already, and knows what it saw
            seen = corpus.matches[(corpus.matches["modality"] == modality) & (corpus.matches["n_files"] > 0)]
            n_people, n_files = seen["identity"].nunique(), int(seen["n_files"].sum())
        else:
            left = corpus.rejected[corpus.rejected["reason"].str.startswith("without_")]
            both = pd.concat([corpus.manifest[["identity", "modality"]], left[["identity", "modality"]]])
            seen = both.loc[both["modality"] == modality, "identity"]
            n_people, n_files = seen.nunique(), len(seen)
        rows[what] = (n_people, after["identity"].nunique(), n_files, len(after))
    columns = ["identities before", "identities after", "files before", "files after"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def matched_names(corpus: Corpus) -> pd.DataFrame:
    """How many folders were matched to people by which rule, with an example of each."""
    assert corpus.matches is not None, "asked of a corpus that was matched"
    found = corpus.matches.assign(folder=corpus.matches["folder"].map(lambda path: Path(path).name))
    table = found.groupby(["modality", "rule"]).agg(
        folders=("folder", "size"), used=("used", "sum"), example=("folder", "first"), identity=("identity", "first")
    )
    table.index = [f"{modality}, {spelling.said(rule)}" for modality, rule in table.index]
    return table


def write_people(people: pd.DataFrame, folder: Path) -> None:
    """Write the true attributes of a synthetic population beside its manifest."""
    with files.whole(folder / "people.parquet") as beside:
        people.to_parquet(beside, index=False)


def read_people(folder: Path) -> pd.DataFrame:
    """Read what `write_people` wrote."""
    return pd.read_parquet(folder / "people.parquet")
