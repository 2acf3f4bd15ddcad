"""One recording or photograph that is kept in several formats or places: which file of it is used."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from pathlib import PurePath

_LOSSLESS = frozenset({".wav", ".flac", ".aif", ".aiff", ".caf", ".au", ".w64", ".png", ".bmp", ".tif", ".tiff"})
_FOLDERS = frozenset(
    {"wav", "flac", "aac", "m4a", "mp3", "mp4", "ogg", "opus", "webm", "jpg", "jpeg", "png", "webp", "bmp"}
)


def place(path: str, *, whole: bool) -> tuple[str, ...]:
    """What files of one thing in two formats have in common: folders and name, without what only says the format.

    Parameters
    ----------
    whole : bool, all folders; otherwise the nearest, which copies below another root share
    """
    pure = PurePath(path)
    folders = [name for name in pure.parts[:-1] if name.casefold() not in _FOLDERS]
    return (*(folders if whole else folders[-1:]), pure.stem.casefold())


def doubles(
    paths: Sequence[str], keys: Sequence[Hashable], *, elsewhere: bool, preferred: Sequence[bool] | None = None
) -> dict[int, int]:
    """Files of which there is another one: of those that share a key, one is used.

    It is one that is preferred, then one without loss, then the first. Files that are empty or not there stand for
    none and are left to preprocessing, which says so.

    Parameters
    ----------
    paths : sequence of str
    keys : sequence, equal for what is the same thing where the suffixes differ
    elsewhere : bool, whether it is the same thing, too, where suffixes agree and folders differ
    preferred : sequence of bool, optional

    Returns
    -------
    dict, from the index of each file that is not used to that of the one which is
    """
    groups: dict[Hashable, list[int]] = {}
    for i, key in enumerate(keys):
        groups.setdefault(key, []).append(i)
    left: dict[int, int] = {}
    for several in groups.values():
        there = [i for i in several if _size(paths[i])] if len(several) > 1 else []
        if len(there) < 2:
            continue
        best = min(there, key=lambda i: (not (preferred and preferred[i]), _suffix(paths[i]) not in _LOSSLESS))
        left |= {i: best for i in there if _is_double(paths[i], paths[best], elsewhere=elsewhere)}
    return left


def _is_double(path: str, other: str, *, elsewhere: bool) -> bool:
    if path == other or _suffix(path) != _suffix(other):
        return path != other
    if os.path.dirname(path) == os.path.dirname(other):  # the suffix may differ in case
        return os.path.splitext(path)[0] == os.path.splitext(other)[0]
    return elsewhere


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        return 0
