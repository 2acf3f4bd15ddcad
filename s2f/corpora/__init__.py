"""Corpora: where voices and faces come from. Each yields one manifest, a row a file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from s2f import files
from s2f.errors import CorpusError


@dataclass(frozen=True)
class Corpus:
    """A corpus as it was found or made, before intersection and split.

    Attributes
    ----------
    root : Path
        Where the manifest's relative paths start.
    manifest : DataFrame
        See `s2f.corpora.manifest`.
    rejected : DataFrame
        Files left out by the scan: path, modality, identity, reason, detail.
    people : DataFrame or None
        True attributes of a synthetic population.
    """

    root: Path
    manifest: pd.DataFrame
    rejected: pd.DataFrame
    people: pd.DataFrame | None = None


def make(settings: SimpleNamespace, *, n_workers: int, project: Path) -> Corpus:
    """Make or scan the corpus that section ``corpus`` of the parameters describes.

    Parameters
    ----------
    settings : namespace
        Section ``corpus``; params/base.yaml explains each field.
    project : Path
        The project's folder, where a relative ``root`` starts.

    Raises
    ------
    CorpusError
        A folder or file that is missing; says what was looked for, where, and how to get it.
    """
    s = settings
    if s.kind == "synthetic":
        from s2f.corpora.synthetic import build

        sizes = {
            "n_identities": s.n_identities,
            "n_recordings": s.n_recordings,
            "n_faces": s.n_faces,
            "min_s": s.min_s,
            "max_s": s.max_s,
            "size_px": s.size_px,
            "seed": s.seed,
        }
        # A folder for each set of sizes: profiles and seeds that ask for the same people share them.
        name = hashlib.sha256(json.dumps(sizes, sort_keys=True).encode()).hexdigest()[:12]
        root = project / s.root / f"synthetic-{name}"
        found = build.build(root, n_workers=n_workers, **sizes)
        rejected = pd.DataFrame(columns=["path", "modality", "identity", "reason", "detail"])
        return Corpus(root, found, rejected, pd.read_parquet(root / "people.parquet"))
    if s.kind == "voxceleb":
        from s2f.corpora import voxceleb

        root = (project / s.root).resolve()
        found, rejected = voxceleb.scan(
            voice_root=project / s.voice_root if s.voice_root else root / "voxceleb1" / "wav",
            face_root=project / s.face_root if s.face_root else root / "vggface",
            meta=project / s.meta if s.meta else root / "vox1_meta.csv",
        )
        return Corpus(root, found, rejected)
    raise CorpusError(f"corpus.kind {s.kind!r}", "is not known", remedy="Use synthetic or voxceleb.")


def write_people(people: pd.DataFrame, folder: Path) -> None:
    """Write the true attributes of a synthetic population beside its manifest."""
    with files.whole(folder / "people.parquet") as beside:
        people.to_parquet(beside, index=False)


def read_people(folder: Path) -> pd.DataFrame:
    """Read what `write_people` wrote."""
    return pd.read_parquet(folder / "people.parquet")


def durations(manifest: pd.DataFrame, root: Path, *, max_files: int = 2000) -> pd.Series:
    """Seconds of recordings, read from their headers, of at most `max_files` spread over the manifest."""
    import soundfile

    paths = manifest.loc[manifest["modality"] == "voice", "path"].to_numpy()
    step = max(1, len(paths) // max_files)
    return pd.Series([soundfile.info(root / p).duration for p in paths[::step]], name="duration_s")
