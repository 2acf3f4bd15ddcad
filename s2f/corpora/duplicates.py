"""Files with the same content: under two names of one person, under two identities, or in two splits."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from s2f import files
from s2f.corpora import rejections
from s2f.corpora.manifest import intersect
from s2f.errors import CorpusError, nearest

COLUMNS = ("content", "kind", "modality", "identity", "split", "path")
KINDS = ("across_splits", "across_identities", "within_identity")
RULES = ("error", "drop")

_PROBE_BYTES = 4096


def find(manifest: pd.DataFrame, root: str | Path, *, n_threads: int = 8, progress: bool = True) -> pd.DataFrame:
    """Groups of files with the same bytes.

    Only files of equal size are opened, and only those are read whole whose first and last 4 KiB agree, so that a
    corpus without duplicates costs little. Files that cannot be opened, or are empty, are left to preprocessing.

    Returns
    -------
    DataFrame
        A row a file that has a double: `content` (SHA-256), `kind` ("across_splits", "across_identities" or
        "within_identity", the worst that holds of its group), `modality`, `identity`, `split`, `path`. Sorted by
        kind, content and path.
    """
    from tqdm import tqdm

    paths, modality = [os.path.join(root, path) for path in manifest["path"]], manifest["modality"].to_numpy()
    with ThreadPoolExecutor(n_threads) as pool:  # waiting for a disk or a server, not for the processor
        groups: dict[tuple, list[int]] = {(): list(range(len(paths)))}
        looks: tuple[tuple[Callable[[str], object], str], ...]
        looks = ((_size, "sizes"), (_ends, "ends"), (_digest, "contents"))
        for look, desc in looks:
            places = sorted(i for group in groups.values() for i in group)
            looked = pool.map(functools.partial(_seen, look), [paths[i] for i in places])
            hide = not progress or not places
            bar = tqdm(looked, desc=desc, total=len(places), unit="file", mininterval=1, disable=hide)
            groups = {}
            for i, key in zip(places, bar, strict=True):
                if key is not None:
                    groups.setdefault((modality[i], key), []).append(i)
            groups = {key: several for key, several in groups.items() if len(several) > 1}
    rows = []
    for (_, content), places in groups.items():
        part = manifest.iloc[places]
        splits = part["split"].dropna().nunique()
        kind = KINDS[0 if splits > 1 else 1 if part["identity"].nunique() > 1 else 2]
        rows += [(content, kind, row.modality, row.identity, row.split, row.path) for row in part.itertuples()]
    rows.sort(key=lambda row: (KINDS.index(row[1]), row[0], row[-1]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def settle(
    manifest: pd.DataFrame, doubles: pd.DataFrame, *, rule: str, report: str | Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write the list of doubles, then refuse or drop those that would mix people or splits; keep one of one person.

    Parameters
    ----------
    manifest, doubles : DataFrame, split, and from `find`
    rule : {"error", "drop"}
        What to do about a file that lies in two splits. "drop" leaves out every copy of a file that has two
        identities or lies in two splits, since nobody knows whose it is. Of copies of one identity the first stays
        under either rule: a photograph is not another one of the person, nor a recording one of another video.
    report : str or Path, CSV file for the list

    Returns
    -------
    manifest : DataFrame, without what was dropped, and without people who lost all of one kind by it
    rejected : DataFrame, what was dropped, reason "duplicate", and these people

    Raises
    ------
    CorpusError
        With rule "error", a file lies in two splits: a leak. Nobody is left, or nobody of a split. Unknown rule.
    """
    if rule not in RULES:
        raise CorpusError(f"rule '{rule}' for duplicates", "is unknown", remedy=nearest(rule, RULES), reason="rule")
    with files.whole(report) as beside:
        doubles.to_csv(beside, index=False)
    leaks = doubles[doubles["kind"] == "across_splits"]
    if rule == "error" and not leaks.empty:
        one = leaks[leaks["content"] == leaks["content"].iloc[0]].drop_duplicates("split")
        shown = " and ".join(f"{r.path} ({r.identity}, {r.split})" for r in one.head(2).itertuples())
        problem = f"lists {leaks['content'].nunique()} contents that lie in two splits, such as {shown}"
        remedy = "Delete the wrong copies, or set corpus.duplicates to drop, which leaves out all copies."
        raise CorpusError(report, problem, remedy=remedy, reason="leak")
    mixed = doubles["kind"].isin(KINDS[:2] if rule == "drop" else ())
    left_out = [
        (row.path, row.modality, row.identity, "duplicate", f"the same content as {other}")
        for _, group in doubles[mixed].groupby(["modality", "content"], sort=False)
        for row, other in zip(group.itertuples(), np.roll(group["path"], -1), strict=True)  # each names the next
    ]
    left_out += (
        (path, *key[:2], "duplicate", f"the same content as {group['path'].iat[0]}")
        for key, group in doubles[~mixed].groupby(["modality", "identity", "content"], sort=False)
        for path in group["path"].iloc[1:]
    )
    if not left_out:
        return manifest, rejections.frame([])
    gone = {(modality, path) for path, modality, *_ in left_out}
    keep = [k not in gone for k in zip(manifest["modality"], manifest["path"], strict=True)]
    kept, dropped = intersect(manifest[keep].reset_index(drop=True))
    for name in manifest["split"].dropna().unique():
        if not (kept["split"] == name).any():
            problem = f"lists copies without which split '{name}' is empty"
            remedy = "Delete the wrong copies and keep the right one, or split more identities."
            raise CorpusError(report, problem, remedy=remedy, reason="empty_split")
    return kept, pd.concat([rejections.frame(left_out), rejections.of_people(dropped)], ignore_index=True)


# ------------------------------------------------------------------------------------------------ parts


def _seen(look: Callable[[str], object], path: str) -> object:
    """What `look` says of a file; None of one that cannot be opened, or whose name cannot be one."""
    try:
        return look(path)
    except (OSError, ValueError):
        return None


def _size(path: str) -> int | None:
    return os.stat(path).st_size or None


def _ends(path: str) -> tuple[int, bytes]:
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        first = file.read(_PROBE_BYTES)
        file.seek(max(0, size - _PROBE_BYTES))
        return size, hashlib.blake2b(first + file.read(_PROBE_BYTES), digest_size=16).digest()


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
