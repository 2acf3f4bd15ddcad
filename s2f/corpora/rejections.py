"""Why files are left out: the fixed list of reasons, and the table that names every file with its reason."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

import pandas as pd

from s2f.errors import AudioError, ImageError, S2FError

COLUMNS = ("path", "modality", "identity", "reason", "detail")

# Every reason that `rejected.csv` may hold, of the corpus and of the store, in words.
REASONS = MappingProxyType(
    {
        # found while scanning folders or a table, nothing decoded yet
        "unknown_identity": "a folder of somebody whom the metadata does not name",
        "ambiguous_name": "a folder whose name fits several people once case, accents and punctuation are ignored",
        "without_voice": "somebody with photographs and no recording",
        "without_face": "somebody with recordings and no photograph",
        "misplaced": "a file where folders are expected, a folder where files are, or a broken link",
        "extension": "a file of another kind",
        "hidden": "a hidden file",
        "file_name": "a name that is not valid UTF-8, or holds a zero byte",
        "unreadable": "the system cannot read it: a disk error, a loop of links, a name too long",
        "no_identity": "a row of a table without an identity",
        "remark": "a row of a table that begins with #",
        "duplicate_row": "a row that repeats an earlier one; its files are used once",
        "same_clip": "the same recording or photograph as another file, in another format or place",
        "contradiction": "an identity or file about which the table says two things",
        "gender": "a gender code that is not known",
        "split": "a split that is not known, or is missing where others have one",
        "landmarks": "landmarks that are not five points of a face in the photograph",
        "outside_root": "a relative path that leaves the folder it starts from",
        "duplicate": "the same content as another file, under another identity or in another split",
        # found while reading
        "missing": "the file does not exist",
        "permission": "this user may not read the file",
        "folder": "a folder where a file is expected",
        "empty": "no bytes, or no samples",
        "not_audio": "not a sound file",
        "unsupported": "a sound file of a kind that is not read",
        "no_audio_track": "a video without sound",
        "not_image": "not an image",
        "not_features": "not a NumPy array of log-mel frames",
        "truncated": "shorter than its header says: cut off while it was copied",
        "damaged": "the decoder fails on it",
        "rate": "a sampling rate that cannot be right",
        "range": "samples far outside [-1, 1]",
        "nan": "samples that are NaN or infinite",
        "too_short": "shorter than one window of 25 ms",
        "silent": "no voiced frame",
        "little_voice": "less voice than the least that is accepted",
        "animated": "an animation",
        "mode": "samples of a type without a defined range",
        "colours": "a colour profile that is damaged, or does not fit the pixels",
        "too_small": "an image or face of fewer than 16 px",
        "too_large": "an image too large to decode safely",
        "no_face": "a photograph in which no face is found",
        "several_faces": "a photograph of several people, where such are refused",
        "profile": "a face turned too far to the side",
        "unexpected": "the decoder fails in a way of its own; the detail says how",
        # a consequence of the others
        "identity_incomplete": "a usable file of somebody who lost all files of the other kind",
    }
)


def frame(rows: Iterable[tuple]) -> pd.DataFrame:
    """Rejected files as a table, columns `COLUMNS`, from tuples in that order.

    Paths that are not valid UTF-8 are written with backslash escapes, so that the table can be saved.

    Raises
    ------
    ValueError: a reason that is not in `REASONS`: an error in the code, not in the data
    """
    table = pd.DataFrame(list(rows), columns=list(COLUMNS))
    unknown = set(table["reason"]) - set(REASONS)
    if unknown:
        raise ValueError(f"reasons {sorted(unknown)} are not in REASONS")
    for column in ("path", "identity", "detail"):
        table[column] = [printable(v) if isinstance(v, str) else None for v in table[column]]
    return table


def why(error: Exception) -> tuple[str, str]:
    """Reason and words for what reading one file raised, whatever a decoder makes of it: the others go on.

    What is the set-up's fault and not the file's is raised again.
    """
    if isinstance(error, (AudioError, ImageError)):
        return error.reason, error.problem
    if isinstance(error, (S2FError, ImportError, MemoryError)):
        raise error
    return "unexpected", f"{type(error).__name__}: {error}"


def of_people(dropped: pd.DataFrame) -> pd.DataFrame:
    """People whom `manifest.intersect` dropped, as rejected files: one row a person."""
    return frame(
        ("", row.modality, row.identity, row.reason, f"{row.n_files} files of {row.identity}")
        for row in dropped.itertuples()
    )


def counts(table: pd.DataFrame) -> pd.DataFrame:
    """How often each reason occurs, with what it means: columns files, meaning; index "modality, reason"."""
    found = table.groupby(["modality", "reason"]).size().rename("files").to_frame()
    found["meaning"] = [REASONS[reason] for _, reason in found.index]
    found.index = [f"{modality}, {reason}" for modality, reason in found.index]
    return found


def printable(text: str) -> str:
    """Text that can be encoded, with what cannot be as backslash escapes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
