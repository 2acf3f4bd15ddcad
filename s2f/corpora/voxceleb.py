"""VoxCeleb1 recordings and VGGFace photos of the same people, in the folders they are published in.

Layout: ``<voice_root>/<id>/<video>/<clip>.wav``, ``<face_root>/<Name>/<photo>`` and ``vox1_meta.csv``,
tab-separated, which says which name belongs to which id (Nagrani, Chung and Zisserman, Interspeech 2017;
Parkhi, Vedaldi and Zisserman, BMVC 2015). The identity is the VGGFace name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from s2f.corpora.manifest import COLUMNS, validate
from s2f.errors import CorpusError, nearest

VOICE_SUFFIXES = (".wav",)
FACE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
META_COLUMNS = {
    "VoxCeleb1 ID": "id",
    "VGGFace1 ID": "identity",
    "Gender": "gender",
    "Nationality": "nationality",
}
REJECTED_COLUMNS = ("path", "modality", "identity", "reason", "detail")
REFERENCE = {"n_identities": 1_225, "n_recordings": 149_354, "n_faces": 139_572}  # the full intersection

_HOW = 'The book\'s page "Getting the data" says how to get it and which parameter holds its place.'


def scan(
    *, voice_root: str | Path, face_root: str | Path, meta: str | Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List the recordings and photos of everyone who has both, and everything that was left out.

    Nothing is decoded here: files are looked at by name and size.

    Parameters
    ----------
    voice_root, face_root : str or Path
        Folders of ids and of names.
    meta : str or Path
        ``vox1_meta.csv``.

    Returns
    -------
    manifest : DataFrame
        Validated, sorted by identity, voices first; absolute paths, no split. A photo named
        ``<video>_<clip>`` after one of the person's videos gets that video as `source_id`; of other photos
        the source is unknown.
    rejected : DataFrame
        `path`, `modality`, `identity` (None if unknown), `reason`, `detail`. Reasons: "unknown_identity" and
        "no_voice" / "no_face" (one row for the whole folder), "extension", "empty", "misplaced", "hidden",
        "unreadable".

    Raises
    ------
    CorpusError
        A folder, the metadata file or one of its columns is missing; a value in it is wrong; no
        recordings, no photos, or nobody with both.
    """
    voice_root, face_root = _folder(voice_root, "VoxCeleb1 recordings"), _folder(face_root, "VGGFace photos")
    people = read_meta(meta)
    by_id = people.set_index("id")["identity"].to_dict()
    rejected: list[tuple] = []

    voices, voice_folders = [], {}
    for folder in _folders(voice_root, "voice", rejected):
        name = by_id.get(folder.name)
        if name is None:
            rejected.append(
                (folder.path, "voice", None, "unknown_identity", f"'{folder.name}' is not in the metadata")
            )
            continue
        found = list(_clips(folder.path, name, rejected))
        voices += found
        if found:
            voice_folders[name] = folder.path
    videos: dict[str, set[str]] = {}
    for row in voices:
        videos.setdefault(row["identity"], set()).add(row["source_id"])

    names = set(people["identity"])
    spelled = {_plain(name): name for name in names}
    photos, face_folders = [], {}
    for folder in _folders(face_root, "face", rejected):
        name = folder.name
        if name not in names:
            near = spelled.get(_plain(name))
            detail = f"'{name}' is not in the metadata" + (f", but '{near}' is" if near else "")
            rejected.append((folder.path, "face", None, "unknown_identity", detail))
            continue
        found = list(_photos(folder.path, name, videos.get(name, set()), rejected))
        photos += found
        if found:
            face_folders[name] = folder.path

    for what, found, root, pattern in (
        ("recordings", voices, voice_root, "<id>/<video>/<clip>.wav"),
        ("photos", photos, face_root, "<Name>/<photo>.jpg"),
    ):
        if not found:
            raise CorpusError(
                root, f"holds no {what} {pattern} of anyone in {meta}", remedy=_HOW, reason="empty"
            )
    both = voice_folders.keys() & face_folders.keys()
    if not both:
        raise CorpusError(
            meta,
            f"links no voice to a face: {len(voice_folders)} identities have recordings in {voice_root}, "
            f"{len(face_folders)} others have photos in {face_root}",
            remedy="Check that the metadata belongs to these folders.",
            reason="no_pairs",
        )
    for has, lacks, folders, rows in (
        ("voice", "face", voice_folders, voices),
        ("face", "voice", face_folders, photos),
    ):
        counts = pd.Series([row["identity"] for row in rows]).value_counts()
        rejected += [
            (folders[name], has, name, f"no_{lacks}", f"{counts[name]} {has} files, no {lacks}")
            for name in sorted(folders.keys() - both)
        ]

    table = pd.DataFrame([r for r in voices + photos if r["identity"] in both], columns=list(COLUMNS[:6]))
    known = people.set_index("identity")
    for column in ("gender", "nationality"):
        table[column] = table["identity"].map(known[column]).to_numpy(dtype=object)
    table = table.sort_values(["identity", "modality", "path"], ascending=[True, False, True], kind="stable")
    return validate(table), pd.DataFrame(rejected, columns=list(REJECTED_COLUMNS))


def read_meta(path: str | Path) -> pd.DataFrame:
    """Read ``vox1_meta.csv``: columns `id`, `identity`, `gender` ("f", "m" or None), `nationality`.

    Raises
    ------
    CorpusError
        The file is missing, unreadable or empty; a column is missing; an id or name is missing or occurs
        twice; a gender is neither "f" nor "m".
    """
    path = Path(path)
    if not path.is_file():
        raise CorpusError(
            path, "(the VoxCeleb1 metadata, vox1_meta.csv) does not exist", remedy=_HOW, reason="missing"
        )
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise CorpusError(
            path, f"cannot be read as a tab-separated table ({error})", remedy=_HOW, reason="not_a_table"
        ) from error
    table.columns = [str(c).strip() for c in table.columns]
    for column in META_COLUMNS:
        if column not in table.columns:
            raise CorpusError(
                path,
                f"has no column '{column}', only {', '.join(map(repr, table.columns))}",
                remedy=f"{nearest(column, table.columns)} The table must be tab-separated.",
                reason="column",
            )
    table = table[list(META_COLUMNS)].rename(columns=META_COLUMNS)
    table = table.apply(lambda values: values.str.strip())
    if table.empty:
        raise CorpusError(path, "has no rows", remedy=_HOW, reason="empty")
    for column in ("id", "identity"):
        if (table[column] == "").any():
            line = int((table[column] == "").argmax()) + 2
            raise CorpusError(path, f"has no {column} in line {line}", remedy=_HOW, reason="column")
        if table[column].duplicated().any():
            value = table.loc[table[column].duplicated(), column].iloc[0]
            raise CorpusError(
                path, f"lists '{value}' twice", remedy="Keep one line a person.", reason="duplicate"
            )
    table["gender"] = table["gender"].str.lower()
    wrong = ~table["gender"].isin(("f", "m", ""))
    if wrong.any():
        row = table[wrong].iloc[0]
        raise CorpusError(
            path,
            f"has gender '{row['gender']}' for {row['identity']}",
            remedy="Valid: f, m or nothing.",
            reason="gender",
        )
    return table.astype(object).where(table != "", None)


# ------------------------------------------------------------------------------------------------ parts


def _folder(path: str | Path, what: str) -> str:
    path = os.path.abspath(path)
    if not os.path.isdir(path):
        raise CorpusError(
            path,
            f"(the folder of {what}) {'is not a folder' if os.path.exists(path) else 'does not exist'}",
            remedy=_HOW,
            reason="missing",
        )
    return path


def _entries(folder: str, modality: str, identity: str | None, rejected: list) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda e: e.name)
    except OSError as error:
        rejected.append((folder, modality, identity, "unreadable", str(error.strerror)))
        return []


def _folders(root: str, modality: str, rejected: list, identity: str | None = None) -> Iterator[os.DirEntry]:
    for entry in _entries(root, modality, identity, rejected):
        if entry.is_dir():
            yield entry
        else:
            rejected.append(
                (entry.path, modality, identity, "misplaced", "a file where only folders are expected")
            )


def _files(
    folder: str, modality: str, identity: str, suffixes: tuple, rejected: list
) -> Iterator[os.DirEntry]:
    for entry in _entries(folder, modality, identity, rejected):
        suffix = os.path.splitext(entry.name)[1].lower()
        reason = detail = None
        if not entry.is_file():
            reason, detail = "misplaced", "a folder or broken link where only files are expected"
        elif entry.name.startswith("."):
            reason, detail = "hidden", "a hidden file"
        elif suffix not in suffixes:
            reason, detail = "extension", f"'{suffix}' is not one of {', '.join(suffixes)}"
        elif entry.stat().st_size == 0:
            reason, detail = "empty", "0 bytes"
        if reason is None:
            yield entry
        else:
            rejected.append((entry.path, modality, identity, reason, detail))


def _clips(folder: str, identity: str, rejected: list) -> Iterator[dict]:
    for video in _folders(folder, "voice", rejected, identity):
        for file in _files(video.path, "voice", identity, VOICE_SUFFIXES, rejected):
            yield {"identity": identity, "modality": "voice", "path": file.path, "source_id": video.name}


def _photos(folder: str, identity: str, videos: set[str], rejected: list) -> Iterator[dict]:
    for file in _files(folder, "face", identity, FACE_SUFFIXES, rejected):
        video = os.path.splitext(file.name)[0].rpartition("_")[0]
        yield {
            "identity": identity,
            "modality": "face",
            "path": file.path,
            "source_id": video if video in videos else None,
        }


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
