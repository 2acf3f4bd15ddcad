"""The manifest: one table with a row for every recording and every photo of a corpus.

========== ======================= =========================================================
column     values                  meaning
========== ======================= =========================================================
identity   text                    who: the same text for a person's voice and face
gender     "f", "m" or None
nationality text or None
modality   "voice" or "face"
path       text                    relative to the corpus's root, or absolute
source_id  text or None            the video (or event) the file was taken from
landmarks  None or 10 numbers      x0, y0 … x4, y4 in pixels of the photo: left eye, right eye,
                                   nose tip, left and right mouth corner ("left" in the image)
split      None or a name in       "all" only in a closed set, where everyone is both
           `SPLITS`                training and test data
fold       0 or 1                  1: a training recording set aside to measure the
                                   pre-training of the voice embedding
========== ======================= =========================================================
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pandas as pd

from s2f import provenance
from s2f.errors import CorpusError, nearest
from s2f.files import whole

COLUMNS = ("identity", "gender", "nationality", "modality", "path", "source_id", "landmarks", "split", "fold")
REQUIRED = ("identity", "modality", "path")
GENDERS = ("f", "m")
MODALITIES = ("voice", "face")
SPLITS = ("train", "validation", "test", "all")


def validate(manifest: pd.DataFrame) -> pd.DataFrame:
    """Check a manifest and return a copy of it with all of `COLUMNS`, in order, one type each.

    Optional columns that are absent are filled with None (`fold` with 0); missing values become None.

    Parameters
    ----------
    manifest : DataFrame, at least the columns `REQUIRED`; no columns outside `COLUMNS`

    Returns
    -------
    DataFrame, columns of text (object, None where missing), `landmarks` lists of 10 floats or None, `fold` int64

    Raises
    ------
    CorpusError
        Empty table; a missing or unknown column; a missing, wrongly typed or unknown value; a path twice, or one
        that climbs above its start with ".."; landmarks that are not ten finite numbers; an identity with two genders,
        nationalities or splits.
    """
    for name in REQUIRED:
        if name not in manifest.columns:
            found = f"Columns found: {', '.join(map(str, manifest.columns))}."
            raise CorpusError(f"manifest column '{name}'", "is missing", remedy=found, reason="column")
    for name in manifest.columns:
        if name not in COLUMNS:
            raise CorpusError(f"manifest column '{name}'", "is unknown", remedy=nearest(name, COLUMNS), reason="column")
        if (manifest.columns == name).sum() > 1:
            raise CorpusError(f"manifest column '{name}'", "appears twice", remedy="Keep one.", reason="column")
    if manifest.empty:
        remedy = "Check the folders or the table it was made from."
        raise CorpusError("manifest", "has no rows", remedy=remedy, reason="empty")

    table = pd.DataFrame(index=pd.RangeIndex(len(manifest)))
    for name in (*COLUMNS[:-3], "split"):
        values = manifest[name].to_numpy(dtype=object) if name in manifest else np.full(len(manifest), None)
        table[name] = _texts(values, name)
    marks = manifest["landmarks"].to_numpy(dtype=object) if "landmarks" in manifest else [None] * len(table)
    table["landmarks"] = pd.Series([_landmarks(m, p) for m, p in zip(marks, table["path"], strict=True)], dtype=object)
    table["fold"] = _folds(manifest["fold"]) if "fold" in manifest else np.zeros(len(table), np.int64)
    table = table[list(COLUMNS)]

    for name, valid in (("gender", GENDERS), ("modality", MODALITIES), ("split", SPLITS)):
        may_lack = name != "modality"
        wrong = ~(table[name].isin(valid) | (table[name].isna() & may_lack))
        remedy = f"Valid: {', '.join(valid)}{' or none' if may_lack else ''}. {int(wrong.sum())} rows are affected."
        _refuse(table, wrong, f"has {name} {{{name}!r}}", remedy=remedy, reason=name)
    _check_paths(table)
    twice = table.duplicated(["modality", "path"])
    owners = table.loc[table["path"].isin(table.loc[twice, "path"][:1]), "identity"]
    remedy = f"Keep one row a file; {int(twice.sum())} rows are too many."
    problem = "is listed twice as a {modality} (of {owners})"
    _refuse(table.assign(owners=", ".join(sorted(set(owners)))), twice, problem, remedy=remedy, reason="duplicate")
    for name in ("gender", "nationality", "split"):
        several = table.groupby("identity")[name].nunique(dropna=False)
        if (several > 1).any():
            who = several.idxmax()
            found = ", ".join(sorted({str(v) for v in table.loc[table["identity"] == who, name]}))
            remedy = "Correct the table or the files it was made from."
            raise CorpusError(f"identity '{who}'", f"has more than one {name}: {found}", remedy=remedy, reason=name)
    split, voice = table["split"], table["modality"] == "voice"
    problem, remedy = "has no split although other rows have one", "Give every row a split, or none."
    _refuse(table, split.isna() & split.notna().any(), problem, remedy=remedy, reason="split")
    trained = voice & split.isin(("train", "all"))
    problem = "has fold 1 but is not a training recording"
    remedy = "Only recordings of training identities are set aside."
    _refuse(table, (table["fold"] != 0) & ~trained, problem, remedy=remedy, reason="fold")
    problem, remedy = "is a voice and has landmarks", "Only photos have landmarks."
    _refuse(table, voice & table["landmarks"].notna(), problem, remedy=remedy, reason="landmarks")
    return table


def intersect(manifest: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the identities that have both a voice and a face.

    Returns
    -------
    kept : DataFrame, manifest of these identities, in the order given
    dropped : DataFrame
        One row an identity that was left out: `identity`, `modality` (the one it has), `n_files`,
        `reason` ("without_voice" or "without_face").

    Raises
    ------
    CorpusError: no identity has both
    """
    has = {m: set(manifest.loc[manifest["modality"] == m, "identity"]) for m in MODALITIES}
    both = has["voice"] & has["face"]
    if not both:
        counts = f"({len(has['voice'])} have a voice, {len(has['face'])} a face)"
        problem, remedy = (
            f"has no identity with both a voice and a face {counts}",
            "Check that both sources name people in the same way.",
        )
        raise CorpusError("manifest", problem, remedy=remedy, reason="no_pairs")
    keep = manifest["identity"].isin(both)
    lost = manifest[~keep].groupby(["identity", "modality"], sort=True).size().rename("n_files").reset_index()
    lost["reason"] = np.where(lost["modality"] == "voice", "without_face", "without_voice")
    return manifest[keep].reset_index(drop=True), lost


def summary(manifest: pd.DataFrame) -> dict:
    """Count identities, recordings and photos, overall and by split and gender.

    Returns
    -------
    dict
        Plain numbers, ready for JSON: ``{"total": counts, "splits": {split: {"total": counts, "f": counts,
        "m": counts, "unknown": counts}}, "n_nationalities": n, "n_videos": n, "n_recordings_set_aside": n}`` with
        ``counts = {"n_identities", "n_recordings", "n_faces"}``. The splits are those that occur ("unsplit" where
        none is set).
    """
    names, voices = manifest["split"].fillna("unsplit"), manifest[manifest["modality"] == "voice"]
    order = [s for s in (*SPLITS, "unsplit") if (names == s).any()]
    genders = manifest["gender"].fillna("unknown")
    splits = {name: {"total": _counts(manifest[names == name])} for name in order}
    for name, gender in itertools.product(order, (*GENDERS, "unknown")):
        if not (part := manifest[(names == name) & (genders == gender)]).empty:
            splits[name][gender] = _counts(part)
    return {
        "total": _counts(manifest),
        "splits": splits,
        "n_nationalities": int(manifest["nationality"].nunique()),
        "n_videos": int(voices[["identity", "source_id"]].dropna().drop_duplicates().shape[0]),
        "n_recordings_set_aside": int((manifest["fold"] == 1).sum()),
    }


def write(manifest: pd.DataFrame, path: str | Path) -> None:
    """Validate a manifest and write it as Parquet; the file appears whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.string()
    schema = pa.schema([(c, {"landmarks": pa.list_(pa.float64()), "fold": pa.int64()}.get(c, text)) for c in COLUMNS])
    table = pa.Table.from_pandas(validate(manifest), schema=schema, preserve_index=False)
    with whole(path) as beside:
        pq.write_table(table, beside)


def read(path: str | Path) -> pd.DataFrame:
    """Read and validate a manifest that `write` wrote.

    Raises
    ------
    CorpusError: the file is missing, is not Parquet, or its content is not a manifest
    """
    import pyarrow as pa

    path = Path(path)
    if not path.is_file():
        remedy = f"Make the corpus first, by 01_corpus of its run: {provenance.again(path)}"
        raise CorpusError(path, "does not exist", remedy=remedy, reason="missing")
    try:
        table = pd.read_parquet(path)
    except (pa.ArrowException, OSError) as error:
        problem, remedy = f"cannot be read as Parquet ({error})", "Delete it and make the corpus again."
        raise CorpusError(path, problem, remedy=remedy, reason="not_parquet") from error
    return validate(table)


# ------------------------------------------------------------------------------------------------ parts


def _refuse(table: pd.DataFrame, wrong: pd.Series, problem: str, *, remedy: str, reason: str) -> None:
    """Raise about the first row that is wrong; columns in braces stand for its values."""
    if wrong.any():
        row = table[wrong].iloc[0]
        raise CorpusError(row["path"], problem.format(**row), remedy=remedy, reason=reason)


def _texts(values: np.ndarray, name: str) -> np.ndarray:
    missing = pd.isna(values)
    for i in np.flatnonzero(~missing):
        if not isinstance(values[i], str):
            problem = f"has {name} {values[i]!r} of type {type(values[i]).__name__}"
            raise CorpusError(f"manifest row {i}", problem, remedy=f"Write {name} as text.", reason="type")
        missing[i] = not values[i].strip()
    if name in REQUIRED and missing.any():
        remedy = f"Give every row a value; {int(missing.sum())} rows have none."
        raise CorpusError(f"manifest row {int(np.argmax(missing))}", f"has no {name}", remedy=remedy, reason=name)
    out = values.copy()
    out[missing] = None
    return out


def _folds(values: pd.Series) -> np.ndarray:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
    wrong = ~np.isin(numbers, (0, 1))
    if wrong.any():
        row = int(np.argmax(wrong))
        problem = f"has fold {values.iloc[row]!r}"
        raise CorpusError(f"manifest row {row}", problem, remedy="Valid: 0 or 1.", reason="fold")
    return numbers.astype(np.int64)


def _landmarks(value, path: str) -> list[float] | None:
    if value is None or (np.isscalar(value) and pd.isna(value)):
        return None
    try:
        points = np.asarray(value, dtype=float).ravel()
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.shape != (10,) or not np.isfinite(points).all():
        remedy = "Give ten finite numbers (x, y of five points) or none."
        raise CorpusError(path, f"has landmarks {value!r}", remedy=remedy, reason="landmarks")
    return points.tolist()


def _check_paths(table: pd.DataFrame) -> None:
    for path in table["path"]:
        if not os.path.isabs(path) and os.path.normpath(path).split(os.sep)[0] == os.pardir:
            problem = "lies outside the corpus's folder"
            raise CorpusError(path, problem, remedy="Give paths inside it.", reason="path")


def _counts(part: pd.DataFrame) -> dict[str, int]:
    return {
        "n_identities": int(part["identity"].nunique()),
        "n_recordings": int((part["modality"] == "voice").sum()),
        "n_faces": int((part["modality"] == "face").sum()),
    }
