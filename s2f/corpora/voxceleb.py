"""VoxCeleb recordings and VGGFace photos of the same people, in the folders they are published in.

==========================================  =========================================================
VoxCeleb1 ``<root>/<id>/<video>/<clip>.wav``   with VGGFace ``<root>/<Name>/<photo>``, by the name that
                                            ``vox1_meta.csv`` gives each id
VoxCeleb2 ``<root>/<id>/<video>/<clip>.m4a``   with VGGFace2 ``<root>/<n…>/<photo>``, by the id that
                                            ``vox2_meta.csv`` gives each id
==========================================  =========================================================

Nagrani, Chung and Zisserman, Interspeech 2017; Chung, Nagrani and Zisserman, Interspeech 2018; Parkhi, Vedaldi
and Zisserman, BMVC 2015; Cao et al., FG 2018. The identity is the person's VGGFace name or VGGFace2 id. The
processed release of Wen et al. 2019 has the same folders, with ``.npy`` files of log-mel frames for clips.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from s2f.corpora import formats, layouts, rejections, sheet, spelling
from s2f.corpora.manifest import COLUMNS, validate
from s2f.errors import CorpusError, nearest

VOICE_SUFFIXES = (".wav", ".m4a")
PROCESSED_SUFFIXES = (".npy",)
FACE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
RELEASES = MappingProxyType(
    {
        "VoxCeleb1": {
            "VoxCeleb1 ID": "id",
            "VGGFace1 ID": "identity",
            "Gender": "gender",
            "Nationality": "nationality",
        },
        "VoxCeleb2": {"VoxCeleb2 ID": "id", "VGGFace2 ID": "identity", "Gender": "gender"},
    }
)
# What VoxCeleb1 ∩ VGGFace holds in full (Wen, Raj and Singh 2019, section 4, and the poster).
REFERENCE = MappingProxyType({"n_identities": 1_225, "n_recordings": 149_354, "n_faces": 139_572})

# Where the folders of each corpus lie below its root; all that exist are read.
PLACES: Mapping[str, dict[str, tuple[str, ...]]] = MappingProxyType(
    {
        "voxceleb": {
            "voices": (
                *("voxceleb1/wav", "voxceleb1/dev/wav", "voxceleb1/test/wav"),
                *("voxceleb2/aac", "voxceleb2/dev/aac", "voxceleb2/test/aac", "voxceleb2/wav"),
            ),
            "faces": ("vggface", "vggface2/train", "vggface2/test"),
            "metas": ("vox1_meta.csv", "vox2_meta.csv"),
        },
        "wen2019": {"voices": ("fbank",), "faces": ("VGG_ALL_FRONTAL",), "metas": ("vox1_meta.csv",)},
    }
)

_HOW = 'The book\'s page "Getting the data" says how to get it and which parameter holds its place.'


@dataclass(frozen=True)
class Scan:
    """What the folders hold.

    Attributes
    ----------
    manifest : DataFrame
        Validated, sorted by identity, voices first; absolute paths, no split; only people with both. A photo
        named ``<video>_<clip>`` after one of the person's videos gets that video as `source_id`; of other photos
        the source is unknown.
    rejected : DataFrame
        See `s2f.corpora.rejections`. A folder of which nothing is used is one row.
    matches : DataFrame
        A row a folder that belongs to somebody: `folder`, `modality`, `identity`, `rule`
        (see `spelling.Matcher.find`), `n_files`, `used`.
    people : DataFrame, the metadata: `id`, `identity`, `gender`, `nationality`, `release`
    """

    manifest: pd.DataFrame
    rejected: pd.DataFrame
    matches: pd.DataFrame
    people: pd.DataFrame


def places(root: str | Path, *, kind: str) -> dict[str, list[Path]]:
    """Folders and metadata files of a corpus that exist below its root: lists `voices`, `faces`, `metas`.

    Where none of a sort exists, its first usual place is given, so that errors can name it.
    """
    below = {sort: [Path(root, place) for place in usual] for sort, usual in PLACES[kind].items()}
    return {sort: [place for place in usual if place.exists()] or usual[:1] for sort, usual in below.items()}


def scan(
    *,
    voices: Sequence[str | Path],
    faces: Sequence[str | Path],
    metas: Sequence[str | Path],
    suffixes: Sequence[str] = VOICE_SUFFIXES,
) -> Scan:
    """List the recordings and photos of everyone who has both, and everything that was left out.

    Nothing is decoded here: files are looked at by name. Folders of voices are named by id (or by name), folders
    of photos by name or VGGFace2 id. Names may differ from the metadata in accents, case and punctuation.

    Parameters
    ----------
    voices, faces : sequence of str or Path, folders of people
    metas : sequence of str or Path, ``vox1_meta.csv``, ``vox2_meta.csv`` or both
    suffixes : sequence of str, of recordings

    Raises
    ------
    CorpusError
        A folder, a metadata file or one of its columns is missing; a value in it is wrong; no recordings, no
        photos, or nobody with both.
    """
    voice_roots = [_folder(path, "recordings") for path in voices]
    face_roots = [_folder(path, "photographs") for path in faces]
    people = read_metas(metas)
    by_id = people.set_index("id")["identity"].to_dict()
    known = spelling.Matcher(people["identity"])
    rejected: list[tuple] = []
    matches: list[dict] = []
    files: dict[str, list[dict]] = {"voice": [], "face": []}
    videos: dict[str, set[str]] = {}
    for modality, roots in (("voice", voice_roots), ("face", face_roots)):
        for folder in (folder for root in roots for folder in _folders(root, modality, rejected)):
            identity, rule = _owner(folder, modality, by_id, known, rejected)
            if identity is None:
                continue
            if modality == "voice":
                found = list(_clips(folder.path, identity, tuple(suffixes), rejected))
                videos.setdefault(identity, set()).update(row["source_id"] for row in found)
            else:
                found = list(_photos(folder.path, identity, videos.get(identity, set()), rejected))
            files[modality] += found
            match = {"folder": folder.path, "modality": modality, "identity": identity, "rule": rule}
            matches.append(match | {"n_files": len(found)})
        files[modality] = _each_once(files[modality], matches, rejected)
    named = ", ".join(map(str, metas))
    for modality, what, roots, pattern in (
        ("voice", "recordings", voice_roots, "<id>/<video>/<clip>" + " or ".join(suffixes)),
        ("face", "photos", face_roots, "<Name>/<photo>.jpg"),
    ):
        if not files[modality]:
            wanted = tuple(suffixes) if modality == "voice" else FACE_SUFFIXES
            is_person = functools.partial(_is_person, modality, by_id, known)
            said = [layouts.instead(r, modality=modality, suffixes=wanted, is_person=is_person) for r in roots]
            there = "; ".join(found for found, _ in said)
            remedy = " ".join([*dict.fromkeys(remedy for _, remedy in said if remedy), _HOW])
            problem = f"holds no {what} {pattern} of anyone in {named}; {there}"
            raise CorpusError(", ".join(roots), problem, remedy=remedy, reason="empty")
    has = {m: {row["identity"] for row in found} for m, found in files.items()}
    both = has["voice"] & has["face"]
    if not both:
        problem = (
            f"links no voice to a face: {len(has['voice'])} identities have recordings in {', '.join(voice_roots)}, "
            f"{len(has['face'])} others have photos in {', '.join(face_roots)}"
        )
        remedy = "Check that the metadata belongs to these folders."
        raise CorpusError(named, problem, remedy=remedy, reason="no_pairs")
    for match in matches:
        match["used"] = match["identity"] in both
        if not match["used"] and match["n_files"]:
            lacks = "face" if match["modality"] == "voice" else "voice"
            detail = f"{match['n_files']} {match['modality']} files, no {lacks}"
            rejected.append((match["folder"], match["modality"], match["identity"], f"without_{lacks}", detail))
        match["folder"] = rejections.printable(match["folder"])

    rows = [row for found in files.values() for row in found if row["identity"] in both]
    table = pd.DataFrame(rows, columns=list(COLUMNS[:6]))
    facts = people.set_index("identity")
    for column in ("gender", "nationality"):
        table[column] = table["identity"].map(facts[column]).to_numpy(dtype=object)
    table = table.sort_values(["identity", "modality", "path"], ascending=[True, False, True], kind="stable")
    return Scan(validate(table), rejections.frame(rejected), pd.DataFrame(matches), people)


def read_metas(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Read one or several metadata files; see `read_meta`.

    Raises
    ------
    CorpusError: as `read_meta`; an id or identity that two files name
    """
    table = pd.concat([read_meta(path) for path in paths], ignore_index=True)
    for column in ("id", "identity"):
        twice = table[column].duplicated()
        if twice.any():
            problem = f"name {column} '{table.loc[twice, column].iloc[0]}' in two files"
            remedy = "Give each metadata file once."
            raise CorpusError(", ".join(map(str, paths)), problem, remedy=remedy, reason="duplicate")
    return table


def checked_genders(table: pd.DataFrame, path: str | Path) -> pd.Series:
    """Column gender of a table of people, read from `path`, in lower case: "f", "m" or "".

    Raises
    ------
    CorpusError: another value; says whose
    """
    genders = table["gender"].str.lower()
    wrong = ~genders.isin(("f", "m", ""))
    if wrong.any():
        problem = f"has gender '{genders[wrong].iloc[0]}' for {table['identity'][wrong].iloc[0]}"
        raise CorpusError(path, problem, remedy="Valid: f, m or nothing.", reason="gender")
    return genders


def read_meta(path: str | Path) -> pd.DataFrame:
    """Read ``vox1_meta.csv`` or ``vox2_meta.csv``; which one it is, its header says.

    It is read as `s2f.corpora.sheet` reads tables; spaces around headers and values do not count.

    Returns
    -------
    DataFrame
        `id`, `identity` (VGGFace name, or VGGFace2 id), `gender` ("f", "m" or None), `nationality` (None where the
        file has none), `release` ("VoxCeleb1" or "VoxCeleb2").

    Raises
    ------
    CorpusError
        The file is missing, unreadable or empty; a column is missing; an id or name is missing or occurs
        twice; a gender is neither "f" nor "m".
    """
    path = Path(path)
    if not path.is_file():
        raise CorpusError(path, "(the metadata: who is who) does not exist", remedy=_HOW, reason="missing")
    table = sheet.read(path, wanted=[set(columns) for columns in RELEASES.values()])
    release = "VoxCeleb2" if "VoxCeleb2 ID" in table.columns else "VoxCeleb1"
    wanted = RELEASES[release]
    for column in wanted:
        if column not in table.columns:
            problem = f"has no column '{column}', only {', '.join(map(repr, table.columns))}"
            remedy = f"{nearest(column, table.columns)} Its first line must name the columns."
            raise CorpusError(path, problem, remedy=remedy, reason="column")
        if list(table.columns).count(column) > 1:
            raise CorpusError(path, f"has two columns '{column}'", remedy="Keep one.", reason="column")
    table = table[list(wanted)].rename(columns=wanted)
    if table.empty:
        raise CorpusError(path, "has no rows", remedy=_HOW, reason="empty")
    for column in ("id", "identity"):
        if (table[column] == "").any():
            raise CorpusError(
                path, f"has no {column} in line {(table[column] == '').idxmax()}", remedy=_HOW, reason="column"
            )
        if table[column].duplicated().any():
            value = table.loc[table[column].duplicated(), column].iloc[0]
            raise CorpusError(path, f"lists '{value}' twice", remedy="Keep one line a person.", reason="duplicate")
    table["gender"] = checked_genders(table, path)
    table = table.reindex(columns=["id", "identity", "gender", "nationality"], fill_value="").reset_index(drop=True)
    return table.where(table != "", None).assign(release=release)


def expected_against_found(scan: Scan) -> pd.DataFrame:
    """The full VoxCeleb1 ∩ VGGFace, what was found, and one row for every cause of a difference.

    Returns
    -------
    DataFrame
        Index in words, columns `identities`, `recordings`, `photographs` (Int64, missing where a cause does not
        apply). The rows after the first, differences with their sign, add up with it to the last, "found". Who of
        the metadata is in the full intersection is not published, only how many.

    Raises
    ------
    CorpusError: the metadata is not VoxCeleb1's alone: for others no full counts are known
    """
    if set(scan.people["release"]) != {"VoxCeleb1"}:
        remedy = "Only its full counts are known."
        raise CorpusError("the metadata", "is not VoxCeleb1's alone", remedy=remedy, reason="reference")
    named = set(scan.people["identity"])
    present = scan.matches[scan.matches["n_files"] > 0]
    voice, face = (set(present.loc[present["modality"] == m, "identity"]) for m in ("voice", "face"))
    expected = pd.Series(REFERENCE.values(), index=["identities", "recordings", "photographs"])
    files = scan.manifest["modality"].value_counts()
    found = pd.Series([len(voice & face), files["voice"], files["face"]], index=expected.index)
    beyond = len(named) - expected["identities"]
    causes: dict[str, list[int | None]] = {
        "named in the metadata beyond those expected": [beyond, None, None],
        "no recordings here": [-len(face - voice), None, None],
        "no photographs here": [-len(voice - face), None, None],
        "neither here": [-len(named - voice - face), None, None],
    }
    single = scan.rejected[scan.rejected["identity"].notna() & ~scan.rejected["reason"].str.startswith("without_")]
    for reason, of_it in single.groupby("reason", sort=True):
        n = of_it["modality"].value_counts()
        causes[f"left out: {reason}"] = [None, -int(n.get("voice", 0)), -int(n.get("face", 0))]
    # Files of people without the other kind count only as far as something is missing. In the full folders a few
    # people have no photographs either: where no more lack them here, no recording is lost by that.
    unpaired = scan.matches[~scan.matches["used"]].groupby("modality")["n_files"].sum().to_dict()
    if len(voice - face) <= beyond:
        unpaired["voice"] = 0
    short = expected - found
    for lists in causes.values():
        short += pd.Series([0 if v is None else v for v in lists], index=expected.index)
    missing = {"voice": int(short["recordings"]), "face": int(short["photographs"])}
    lost = {modality: max(0, min(int(unpaired.get(modality, 0)), n)) for modality, n in missing.items()}
    causes["of people who lack the other kind here"] = [None, *(-n for n in lost.values())]
    rest = [n - missing[modality] for modality, n in lost.items()]
    causes["not on this disk (-), or beyond those expected (+)"] = [None, *rest]
    rows = {"expected in full": expected.to_list(), **causes, "found": found.to_list()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=expected.index).astype("Int64")
    empty = table.iloc[1:-1].fillna(0).eq(0).all(axis=1)
    return table.drop(index=empty[empty].index)


# ------------------------------------------------------------------------------------------------ parts


def _owner(
    folder: os.DirEntry, modality: str, by_id: dict[str, str], known: spelling.Matcher, rejected: list
) -> tuple[str | None, str]:
    """Whose folder it is, and by which rule; None and a reason in `rejected` where nobody knows."""
    if modality == "voice" and folder.name in by_id:
        return by_id[folder.name], "id"
    found, rule = known.find(folder.name)
    if len(found) == 1:
        return found[0], rule
    reason, detail = "unknown_identity", f"'{folder.name}' is not in the metadata"
    inside = layouts.one_below(folder.path).split(os.sep)[0]
    if _is_person(modality, by_id, known, inside):
        detail += f", but '{inside}' in it is: name this folder"
    if found:
        reason, detail = "ambiguous_name", f"'{folder.name}' may be {' or '.join(found)}"
    rejected.append((folder.path, modality, None, reason, detail))
    return None, ""


def _is_person(modality: str, by_id: dict[str, str], known: spelling.Matcher, name: str) -> bool:
    return (modality == "voice" and name in by_id) or len(known.find(name)[0]) == 1


def _folder(path: str | Path, what: str) -> str:
    path = os.path.abspath(path)
    if not os.path.isdir(path):
        problem = f"(the folder of {what}) {'is not a folder' if os.path.exists(path) else 'does not exist'}"
        raise CorpusError(path, problem, remedy=_HOW, reason="missing")
    if not os.access(path, os.R_OK | os.X_OK):
        problem = f"(the folder of {what}) may not be read by this user"
        raise CorpusError(path, problem, remedy="Change its permissions.", reason="permission")
    return path


def _entries(folder: str, modality: str, identity: str | None, rejected: list) -> Iterator[tuple[os.DirEntry, str]]:
    """Entries of a folder by name, each with "file", "folder" or "neither"; what cannot be used is rejected."""
    try:
        with os.scandir(folder) as listed:
            entries = sorted(listed, key=lambda e: e.name)
    except OSError as error:
        rejected.append((folder, modality, identity, "unreadable", str(error.strerror)))
        return
    for entry in entries:
        try:
            entry.name.encode("utf-8")
            kind = "folder" if entry.is_dir() else "file" if entry.is_file() else "neither"
        except UnicodeEncodeError:
            rejected.append((entry.path, modality, identity, "file_name", "its name is not valid UTF-8"))
        except OSError as error:  # a loop of links
            rejected.append((entry.path, modality, identity, "unreadable", str(error.strerror)))
        else:
            yield entry, kind


def _folders(root: str, modality: str, rejected: list, identity: str | None = None) -> Iterator[os.DirEntry]:
    for entry, kind in _entries(root, modality, identity, rejected):
        if kind == "folder":
            yield entry
        else:
            detail = "a file or broken link where only folders are expected"
            rejected.append((entry.path, modality, identity, "misplaced", detail))


def _files(folder: str, modality: str, identity: str, suffixes: tuple, rejected: list) -> Iterator[os.DirEntry]:
    for entry, kind in _entries(folder, modality, identity, rejected):
        suffix = os.path.splitext(entry.name)[1].lower()
        if kind != "file":
            reason, detail = "misplaced", "a folder or broken link where only files are expected"
            if kind == "folder" and (inside := layouts.one_below(entry.path)):
                detail = f"a folder where only files are expected; {inside} lies in it"
        elif entry.name.startswith("."):
            reason, detail = "hidden", "a hidden file"
        elif suffix not in suffixes:
            reason, detail = "extension", f"'{suffix}' is not one of {', '.join(suffixes)}"
        else:
            yield entry
            continue
        rejected.append((entry.path, modality, identity, reason, detail))


def _clips(folder: str, identity: str, suffixes: tuple, rejected: list) -> Iterator[dict]:
    for video in _folders(folder, "voice", rejected, identity):
        for file in _files(video.path, "voice", identity, suffixes, rejected):
            yield {"identity": identity, "modality": "voice", "path": file.path, "source_id": video.name}


def _each_once(found: list[dict], matches: list[dict], rejected: list) -> list[dict]:
    """Files without those of which another format or copy is there; they do not count among those of their folder."""
    keys = []
    for row in found:
        # The number of a clip is one of its video's; that of a photograph is its folder's.
        source = row["source_id"] or os.path.dirname(row["path"])
        keys.append((row["identity"], source, os.path.splitext(os.path.basename(row["path"]))[0].casefold()))
    left = formats.doubles([row["path"] for row in found], keys, elsewhere=True)
    folders = {match["folder"]: match for match in matches}
    for i, used in left.items():
        row = found[i]
        folder = os.path.dirname(row["path"])
        folders[folder if row["modality"] == "face" else os.path.dirname(folder)]["n_files"] -= 1
        detail = f"{found[used]['path']} is used"
        rejected.append((row["path"], row["modality"], row["identity"], "same_clip", detail))
    return [row for i, row in enumerate(found) if i not in left]


def _photos(folder: str, identity: str, videos: set[str], rejected: list) -> Iterator[dict]:
    for file in _files(folder, "face", identity, FACE_SUFFIXES, rejected):
        video = os.path.splitext(file.name)[0].rpartition("_")[0]
        source = video if video in videos else None
        yield {"identity": identity, "modality": "face", "path": file.path, "source_id": source}
