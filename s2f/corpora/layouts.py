"""What lies in a folder that does not hold what it should: other layouts of the same corpora, and how to go on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

_SEEN = 5_000  # files that are looked at
_DEEPEST = 6  # folders
_SOUND = frozenset({".wav", ".m4a", ".flac", ".mp3", ".ogg", ".opus", ".aac", ".mp4", ".webm", ".mkv", ".wma", ".amr"})
_PHOTOS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff"})
_ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})
_LISTS = frozenset({".txt", ".csv", ".tsv", ".json", ".lst"})
_TABLE = "or list them in a table of pairs (corpus.kind: table)"


@dataclass
class _Sort:
    """Files that lie alike: their first, how many, and how many folders stand above the one of a person."""

    example: str
    above: int | None
    n: int = field(default=0)


def instead(root: str, *, modality: str, suffixes: Sequence[str], is_person: Callable[[str], bool]) -> tuple[str, str]:
    """Say what a folder holds where it has none of the files that were looked for.

    Parameters
    ----------
    modality : {"voice", "face"}
    suffixes : sequence of str, of the files that were looked for
    is_person : callable, whether somebody's folder may have this name

    Returns
    -------
    found : str, what is there, to go on with after "holds no …"
    remedy : str, what to do about it; "" where nothing is known
    """
    sorts: dict[tuple, _Sort] = {}
    for path in _files(root):
        *folders, name = path.split(os.sep)
        above = next((i for i, folder in enumerate(folders) if is_person(folder)), None)
        kind = _kind(name, suffixes)
        sorts.setdefault((kind, len(folders), above), _Sort(path, above)).n += 1
    if not sorts:
        return "there are no files in it", ""
    (kind, depth, above), most = max(sorts.items(), key=lambda each: (each[0][0] != "other", each[1].n))
    found = f"what is there: {most.n} file{'s'[: most.n > 1]} such as {most.example}"
    wanted = {"voice": "<id>/<video>/<clip>", "face": "<Name>/<photo>"}[modality]
    what = {"voice": "recordings", "face": "photographs"}[modality]
    if kind == "archive":
        return found, "Unpack it."
    if kind == "list":
        listed = "addresses" if _names_addresses(os.path.join(root, most.example)) else "something else"
        return f"{found}, a list of {listed}", f"Download the {what} themselves, and put them at {wanted}."
    if kind == "other":
        return found, ""
    if kind == "processed":
        return found, "For frames of log-mels set corpus.kind: wen2019 (profile wen2019)."
    if kind == "convert":
        return found, f"Convert them to {' or '.join(suffixes)}, {_TABLE}."
    if kind == "raw":
        return found, "For sound set corpus.kind: voxceleb (profile voxceleb)."
    if above:
        folder = os.path.join(root, *PurePath(most.example).parts[:above])
        return found, f"The folders of people lie in {folder}: name that one."
    if above is None and depth:
        return found, "None of these folders is named as the metadata names people: name the folder that holds theirs."
    if not depth:
        return found, f"Name the folder above those of people: {what} lie at {wanted} in it."
    if modality == "voice" and depth == 1:
        return found, f"No folder says which video each is from: put them at {wanted}, {_TABLE}."
    if modality == "face" and PurePath(most.example).parts[1] == "1.6":
        found += ", as VoxCeleb's own face frames lie: <Name>/1.6/<video>/<frame>"
        return found, f"Link each frame as <Name>/<video>_<frame>.jpg, {_TABLE}."
    return found, f"They lie too deep: put them at {wanted}, {_TABLE}."


def one_below(folder: str) -> str:
    """The first file below a folder, relative to it; "" where there is none."""
    return next(_files(folder), "")


def _files(root: str) -> Iterator[str]:
    """Some of the files below a folder, relative to it, hidden ones left out."""
    n = 0
    for folder, folders, names in os.walk(root):
        below = os.path.relpath(folder, root)
        depth = 0 if below == os.curdir else below.count(os.sep) + 1
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if depth < _DEEPEST else []
        for name in sorted(names):
            if not name.startswith("."):
                yield os.path.normpath(os.path.join(below, name))
                n += 1
                if n >= _SEEN:
                    return


def _kind(name: str, suffixes: Sequence[str]) -> str:
    suffix = os.path.splitext(name)[1].lower()
    if suffix in suffixes:
        return "wanted"
    if suffix in _ARCHIVES or "_part" in name:
        return "archive"
    if suffix in _LISTS:
        return "list"
    if suffix == ".npy":
        return "processed"
    if suffix in _SOUND:
        return "raw" if ".npy" in suffixes else "convert" if ".wav" in suffixes else "other"
    return "convert" if suffix in _PHOTOS and ".jpg" in suffixes else "other"


def _names_addresses(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b"://" in file.read(4096)
    except OSError:
        return False
