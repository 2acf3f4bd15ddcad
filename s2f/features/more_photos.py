"""Photographs without voices, from folders and tables, aligned as a store's are: for a face code to learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from s2f import files, provenance, workers
from s2f.corpora import duplicates, pairs_table, rejections, sheet
from s2f.corpora.voxceleb import FACE_SUFFIXES
from s2f.errors import CorpusError
from s2f.features import pack, photo_files
from s2f.features.store import FACE_PX

PART = 256  # photographs that a run which is stopped may lose
COLUMN = "face"


def find(places: Sequence[str], *, root: Path) -> list[Path]:
    """Photographs that folders hold, at any depth, and that tables name in their column `COLUMN`; no hidden files.

    Parameters
    ----------
    places : sequence of str, folders and tables (.csv, .tsv, .txt, .parquet), absolute or relative to `root`
        Paths in a table start at its folder.

    Raises
    ------
    CorpusError: a place that is not there, or gives no photograph; a table without the column
    """
    found: dict[Path, None] = {}
    for given in places:
        place = root / given
        if place.is_dir():
            own = [path for path in files.below(place, hidden=False) if path.suffix.lower() in FACE_SUFFIXES]
        elif place.is_file():
            own = _of_table(place)
        else:
            remedy = "Set 'code.more_photos' to folders of photographs, or to tables that name them."
            raise CorpusError(place, "does not exist", remedy=remedy, reason="missing")
        if not own:
            remedy = f"Photographs end in {', '.join(FACE_SUFFIXES)}; a table names them in a column '{COLUMN}'."
            raise CorpusError(place, "names no photographs", remedy=remedy, reason="empty")
        found |= dict.fromkeys(own)
    return list(found)


def _of_table(place: Path) -> list[Path]:
    table = sheet.read(place, wanted=[{COLUMN}])
    table.columns = [str(column).strip().lower() for column in table.columns]
    if list(table.columns).count(COLUMN) > 1:
        raise CorpusError(place, f"has two columns '{COLUMN}'", remedy="Keep one.", reason="not_a_table")
    if COLUMN not in table:
        problem = f"has no column '{COLUMN}' (it has {', '.join(map(str, table.columns))})"
        raise CorpusError(place, problem, remedy=f"Name the column of photographs '{COLUMN}'.", reason="not_a_table")
    base = str(place.parent)
    return [Path(pairs_table.placed(base, pairs_table.here(base, name))) for name in table[COLUMN] if name]


def but_of(manifest: pd.DataFrame, paths: Sequence[Path], *, root: Path) -> list[Path]:
    """The photographs that are no copies, byte by byte, of those of a manifest, whose paths start at `root`."""
    theirs = manifest[manifest["modality"] == "face"].assign(split="theirs")
    own = pd.DataFrame({"path": list(map(str, paths)), "modality": "face", "identity": "", "split": "own"})
    both = pd.concat([theirs[own.columns], own], ignore_index=True)
    found = duplicates.find(both, root, progress=False)
    found = found[(found["kind"] == "across_splits") & (found["split"] == "own")]
    copies = set(found["path"])
    return [path for path in paths if str(path) not in copies]


def aligned(
    paths: Sequence[Path], *, settings: pack.Settings, kept: Path, n_workers: int = 1
) -> tuple[np.ndarray, pd.DataFrame]:
    """Aligned faces of photographs, and those that cannot be used; made by several processes.

    Where the store's are processed already, those of 64×64 are taken as they are, and others are aligned.

    Parameters
    ----------
    kept : Path, folder for what is done: a run that was stopped goes on from there
    n_workers : int, processes

    Returns
    -------
    faces : uint8 [n, 64, 64, 3]
    rejected : DataFrame, as `s2f.corpora.rejections.frame` has them

    Raises
    ------
    RunError: a worker process died
    """
    parts = [list(paths[at : at + PART]) for at in range(0, len(paths), PART)]
    places = [kept / f"{_key(part, settings)}.npz" for part in parts]
    waiting = [(part, place) for part, place in zip(parts, places, strict=True) if not place.is_file()]
    if waiting:
        kept.mkdir(parents=True, exist_ok=True)
        done = len(paths) - sum(len(part) for part, _ in waiting)
        bar = tqdm(total=len(paths), initial=done, desc="more photographs", unit="photo")
        with bar, workers.pool(n_workers, at=kept) as pool:
            for part, place in waiting:
                results = []
                for result in pool.map(partial(_face, settings=settings), map(str, part)):
                    results.append(result)
                    bar.update()
                faces = [face for face, *_ in results if face is not None]
                problems = [(i, *why) for i, (face, *why) in enumerate(results) if face is None]
                with files.whole(place) as beside:
                    np.savez(
                        beside,
                        faces=np.stack(faces) if faces else np.empty((0, FACE_PX, FACE_PX, 3), np.uint8),
                        problems=np.array(problems, dtype=str).reshape(-1, 3),
                    )
    faces, rejected = [np.empty((0, FACE_PX, FACE_PX, 3), np.uint8)], []
    for part, place in zip(parts, places, strict=True):
        with np.load(place) as content:
            faces.append(content["faces"])
            rejected += [(str(part[int(i)]), "face", "", reason, said) for i, reason, said in content["problems"]]
    return np.concatenate(faces), rejections.frame(rejected)


def _key(part: Sequence[Path], settings: pack.Settings) -> str:
    """Hash of the photographs of a part, as the disk tells them apart, and of how they are treated."""
    states = []
    for path in part:
        state = path.stat() if path.is_file() else None
        states.append((str(path), state and (state.st_size, state.st_mtime_ns)))
    said = repr((provenance.code_key(__name__), settings, states))
    return hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _face(path: str, *, settings: pack.Settings) -> tuple[np.ndarray | None, str, str]:
    """The aligned face, or None with the reason and what was said."""
    try:
        if settings.processed and photo_files.read(path).shape[:2] != (FACE_PX, FACE_PX):
            settings = replace(settings, processed=False)
        return pack.photo(path, None, settings), "", ""
    except Exception as error:
        return None, *rejections.why(error)
