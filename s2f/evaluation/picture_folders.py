"""Folders of pictures of people: whose each is and of which clip, aligned by the landmarks found in it.

They hold ``<Name>/<video>_<clip>.jpg``, ``<Name>/<video>/<clip>.jpg``, ``<Name>_<video>_<clip>.jpg`` or ``<Name>.jpg``,
or another kind of image. The person is the first folder; where a picture lies in none, it is the name or id of the
metadata that its own begins with. What precedes the last "_" of the rest is the video, or else the folder that it lies
in. Pictures of one path are of the same clip, suffix aside, whether its parts are joined by "/" or "_".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from s2f import files
from s2f.corpora import rejections, sheet, spelling, voxceleb
from s2f.errors import CorpusError, nearest
from s2f.features import align, photo_files

SUFFIXES = voxceleb.FACE_SUFFIXES
_LAYOUT = "Give a folder that holds <Name>/<video>_<clip>.jpg, or <Name>.jpg of people whom the metadata names."
# Reasons that say that a picture could not be read, rather than that it shows no face or is none.
UNREAD = (
    "unreadable",
    "permission",
    "missing",
    "empty",
    "not_image",
    "damaged",
    "colours",
    "too_large",
    "mode",
    "unexpected",
)


@dataclass(frozen=True)
class Pictures:
    """Pictures of a folder that can be measured.

    Attributes
    ----------
    files : DataFrame [n]
        path (below the folder), identity, clip (identity and path, without suffix), source_id (the video, or None).
    faces : ndarray, uint8 [n, 64, 64, 3], Aligned
    n_found : int, pictures in the folder
    rejected : DataFrame, files that are left out: path, modality ("generated" or "real"), identity, reason, detail
    """

    files: pd.DataFrame
    faces: np.ndarray
    n_found: int
    rejected: pd.DataFrame


def read_people(path: str | Path) -> pd.DataFrame:
    """Who is who: VoxCeleb's table, or a table with the columns identity and gender; its header says which.

    Returns
    -------
    DataFrame
        `id` (VoxCeleb's, or the identity again), `identity`, `gender` ("f", "m" or None), `nationality` (or None).

    Raises
    ------
    CorpusError: not there, not a table, neither kind of header, a row of nobody, a wrong gender, or somebody twice
    """
    path = Path(path)
    remedy = "Give vox1_meta.csv, or a table with the columns identity, gender and, if known, nationality."
    if not path.is_file():
        raise CorpusError(path, "(the metadata: who is who) does not exist", remedy=remedy, reason="missing")
    table = sheet.read(path, wanted=[*map(set, voxceleb.RELEASES.values()), {"identity", "gender"}])
    if any(next(iter(wanted)) in table.columns for wanted in voxceleb.RELEASES.values()):
        return voxceleb.read_meta(path)[["id", "identity", "gender", "nationality"]]
    for column in ("identity", "gender"):
        if column not in table.columns:
            problem = f"has no column '{column}', only {', '.join(map(repr, table.columns))}"
            raise CorpusError(path, problem, remedy=remedy, reason="column")
    wanted = ["identity", "gender", "nationality"]
    for column in wanted:
        if list(table.columns).count(column) > 1:
            raise CorpusError(path, f"has two columns '{column}'", remedy="Keep one.", reason="column")
    table = table.reindex(columns=wanted, fill_value="")
    if (nobody := table["identity"] == "").any():
        problem = f"has no identity in line {nobody.idxmax()}"
        raise CorpusError(path, problem, remedy="Say who it is of, or take it out.", reason="column")
    table["gender"] = voxceleb.checked_genders(table, path)
    table = table.drop_duplicates(ignore_index=True)
    twice = table["identity"].duplicated()
    if twice.any():
        name = table.loc[twice, "identity"].iloc[0]
        raise CorpusError(path, f"says two things about '{name}'", remedy="Keep one line a person.", reason="duplicate")
    table = table.astype(object).where(table != "", None)
    return table.assign(id=table["identity"])[["id", "identity", "gender", "nationality"]]


def aligned(folder: Path, found: pd.DataFrame, left_out: list[tuple], *, what: str) -> Pictures:
    """Read and align what `scan` found."""
    images, kept, left_out = [], [], list(left_out)
    bar = tqdm(found.itertuples(), total=len(found), desc=f"{what} pictures", unit="picture", mininterval=1.0)
    for place, row in enumerate(bar):
        path = folder / row.path
        try:
            images.append(align.align(photo_files.read(path), name=path))
        except Exception as error:
            left_out.append((row.path, what, row.identity, *rejections.why(error)))
        else:
            kept.append(place)
    out = rejections.frame(left_out)
    if not kept:
        reasons = ", ".join(f"{reason} {n}" for reason, n in out["reason"].value_counts().items())
        problem = f"holds {len(found)} {what} pictures, none with a face that can be aligned ({reasons})"
        remedy = "Give pictures of one clear, roughly frontal face each."
        raise CorpusError(folder, problem, remedy=remedy, reason="empty")
    return Pictures(found.iloc[kept].reset_index(drop=True), np.stack(images), len(found), out)


def with_photographs(drawn: Pictures, photos: Pictures, *, what: str) -> Pictures:
    """The drawn pictures of people who have a photograph; the others become rejected files."""
    has = drawn.files["identity"].isin(photos.files["identity"]).to_numpy()
    if has.all():
        return drawn
    lost = rejections.frame(
        (row.path, what, row.identity, "without_face", f"no photograph of {row.identity} can be measured")
        for row in drawn.files[~has].itertuples()
    )
    left_out = pd.concat([drawn.rejected, lost], ignore_index=True)
    return Pictures(drawn.files[has].reset_index(drop=True), drawn.faces[has], drawn.n_found, left_out)


class _Owners:
    """Whose a picture is, by the names and ids of the metadata."""

    def __init__(self, people: pd.DataFrame) -> None:
        self._by_id = people.set_index("id")["identity"].to_dict()
        self._known = spelling.Matcher(people["identity"])

    def named(self, name: str) -> str | None:
        """The person of a name or id; None where it is unknown or of several."""
        owners = [self._by_id[name]] if name in self._by_id else self._known.find(name)[0]
        return owners[0] if len(owners) == 1 else None

    def of(self, path: Path) -> tuple[str, str, str | None] | None:
        """Identity, clip and video of a picture; None of one in no folder that begins with nobody's name."""
        folder, *rest = path.with_suffix("").parts
        if rest:
            identity = self.named(folder) or folder
            video = rest[-1].rpartition("_")[0] or (rest[-2] if len(rest) > 1 else "")
            return identity, "/".join((identity, "_".join(rest))), video or None
        words = folder.split("_")
        for n in range(len(words), 0, -1):
            owner = self.named("_".join(words[:n]))
            if owner is not None:
                clip = "_".join(words[n:])
                return owner, "/".join((owner, clip)).rstrip("/"), clip.rpartition("_")[0] or None
        return None


def scan(folder: Path, people: pd.DataFrame, *, what: str) -> tuple[pd.DataFrame, list[tuple]]:
    """Pictures of a folder by name, columns as `Pictures.files`, and what is none."""
    if not folder.is_dir():
        problem = f"(the folder of {what} pictures) {'is no folder' if folder.exists() else 'does not exist'}"
        raise CorpusError(folder, problem, remedy=_LAYOUT, reason="missing")
    owners = _Owners(people)
    found, left_out = [], []

    def unreadable(error: OSError) -> None:
        left_out.append((os.path.relpath(error.filename, folder), what, None, "unreadable", str(error.strerror)))

    for path in (path.relative_to(folder) for path in files.below(folder, onerror=unreadable)):
        owner = None
        reason = _no_picture(path)
        if reason is None and (owner := owners.of(path)) is None:
            reason = "misplaced", "outside the folders of people, and named after nobody in the metadata"
        if owner is None:
            left_out.append((path.as_posix(), what, None, *(reason or ())))
        else:
            found.append((path.as_posix(), *owner))
    if not found:
        problem = f"holds no {what} pictures ({', '.join(SUFFIXES)}) in folders of people or named after them"
        raise CorpusError(folder, problem, remedy=_LAYOUT, reason="empty")
    table = pd.DataFrame(found, columns=["path", "identity", "clip", "source_id"])
    table = table.sort_values("path", ignore_index=True)
    twice = table[table["clip"].duplicated(keep=False)]
    if len(twice):
        one, other = twice.sort_values("clip", kind="stable")["path"].iloc[:2]
        problem = f"holds '{one}' and '{other}', which are of the same clip"
        raise CorpusError(folder, problem, remedy="Keep one of them.", reason="duplicate")
    return table, left_out


def _no_picture(path: Path) -> tuple[str, str] | None:
    if rejections.printable(str(path)) != str(path):
        return "file_name", "its name is not valid UTF-8"
    if path.name.startswith("."):
        return "hidden", "a hidden file"
    if path.suffix.lower() not in SUFFIXES:
        return "extension", f"'{path.suffix}' is not one of {', '.join(SUFFIXES)}"
    return None


def restricted(scanned: Mapping[str, tuple[pd.DataFrame, list]], only: Path, people: pd.DataFrame) -> dict:
    """The pictures of the people whom a file names."""
    try:
        lines = [line.strip() for line in only.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        remedy = "Give a text file with a name or id of a person a line."
        raise CorpusError(only, f"cannot be read ({error})", remedy=remedy, reason="missing") from None
    owners, drawn = _Owners(people), set(scanned["generated"][0]["identity"])
    wanted = {owners.named(line) or line for line in lines if line and not line.startswith("#")}
    if len(wanted) < 2:
        raise CorpusError(only, "names fewer than two people", remedy="Give a name or id a line.", reason="empty")
    if lost := sorted(wanted - drawn):
        problem = f"names '{lost[0]}', of whom there is no generated picture"
        raise CorpusError(only, problem, remedy=nearest(lost[0], drawn), reason="unknown_identity")
    return {
        what: (table[table["identity"].isin(wanted)].reset_index(drop=True), left_out)
        for what, (table, left_out) in scanned.items()
    }
