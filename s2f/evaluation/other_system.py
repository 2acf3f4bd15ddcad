"""Measuring another system: the pictures it drew from voices, beside photographs of the speakers.

Both folders hold ``<Name>/<video>_<clip>.jpg`` (or another kind of image, or deeper folders): the first folder is the
person, and what precedes the last "_" of a file's name is the video, where there is one. A drawn picture and a
photograph of the same path, suffix aside, are of the same clip. Every picture, drawn or not, is aligned by the
landmarks found in it, as the study aligns photographs, and measured by the code that measures the study's own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from s2f import seeding
from s2f.corpora import rejections, spelling, voxceleb
from s2f.errors import CorpusError, ImageError
from s2f.evaluation import face_quality, face_readers
from s2f.features import align, photo_files
from s2f.metrics import catalogue, measures, rows
from s2f.metrics.standins import FaceSet

PROTOCOL = "pictures of another system"
NO_TRAINING = "no training photographs are given"
CONTROLS = ("random_real", "ceiling", "gender_oracle", "chance")  # made from the photographs and the people
ABSENT = {"mean_face": NO_TRAINING, "gender_mean_face": NO_TRAINING, "probe": "no recordings are given"}
N_SHOWN = 6  # pairs on the sheet
N_LISTED = 20  # files named in the terminal; rejected.csv has all
SUFFIXES = voxceleb.FACE_SUFFIXES

_LAYOUT = "Give a folder that holds <Name>/<video>_<clip>.jpg."


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


@dataclass(frozen=True)
class Found:
    """What two folders hold together.

    Attributes
    ----------
    generated, real : Pictures, drawn pictures of people who have a photograph, and photographs
    pairs : DataFrame, of each pair of one clip its places in `generated` and in `real`, and its identity
    people : DataFrame, identity, gender and nationality of everyone seen; None where unknown
    unknown : list of str, people whom the metadata does not name
    """

    generated: Pictures
    real: Pictures
    pairs: pd.DataFrame
    people: pd.DataFrame
    unknown: list[str]


def collect(generated: str | Path, real: str | Path, meta: str | Path) -> Found:
    """Find, pair and align drawn pictures and photographs.

    The folders are laid out as this module says, and `meta` as `read_people` says.

    Raises
    ------
    CorpusError
        A folder is missing, holds no picture, or none with a face; two pictures are of one clip; no drawn picture is
        of the same clip as a photograph; fewer than two people have both; or the metadata is wrong.
    """
    people = read_people(meta)
    scanned = _scan(Path(generated), people, what="generated"), _scan(Path(real), people, what="real")
    clips, real_clips = (table["clip"] for table, _ in scanned)
    no_pair = CorpusError(
        generated,
        f"holds no picture of the same clip as one in {real} that can be measured "
        f"('{clips.iloc[0]}' beside '{real_clips.iloc[0]}')",
        remedy="Name both files <Name>/<video>_<clip>, with any image suffix.",
        reason="no_pairs",
    )
    if not set(clips) & set(real_clips):
        raise no_pair
    photos = _aligned(Path(real), *scanned[1], what="real")
    drawn = _with_photographs(_aligned(Path(generated), *scanned[0], what="generated"), photos)
    n_people = drawn.files["identity"].nunique()
    if n_people < 2:
        problem = f"and {real} have {n_people} {'person' if n_people == 1 else 'people'} in common"
        remedy = "Give pictures and photographs of 2 people or more: a voice is matched against others."
        raise CorpusError(generated, problem, remedy=remedy, reason="too_few")
    both = pd.merge(
        drawn.files.reset_index(names="generated"), photos.files.reset_index(names="real"), on=["clip", "identity"]
    )[["generated", "real", "identity"]]
    if both.empty:
        raise no_pair
    seen = np.unique([*drawn.files["identity"], *photos.files["identity"]])
    facts = people.set_index("identity").reindex(seen)[["gender", "nationality"]].reset_index(names="identity")
    facts = facts.astype(object).where(facts.notna(), None)
    return Found(drawn, photos, both, facts, sorted(set(seen) - set(people["identity"])))


def measure(
    found: Found,
    *,
    reader: face_readers.Reader,
    inception: face_readers.Inception | None = None,
    beside: Mapping[str, FaceSet] | None = None,
    seed: int = 0,
    n_bootstrap: int = 1000,
) -> dict:
    """Measure drawn pictures beside photographs of the speakers, with `n_bootstrap` bootstrap samples of people.

    Without `inception` there are no FID and KID. `beside` may hold further rows of `catalogue.ROWS` for the same
    people, such as a probe.

    Returns
    -------
    dict
        As a variant's ``metrics.json``, with how many pictures were found and measured in `counts`. The pictures are
        the row "model"; beyond `beside`, only `CONTROLS` are measured of the others. Everyone who has a photograph is
        somebody to be mistaken for, with or without a drawn picture.
    """
    drawn, photos = (
        face_readers.describe(
            part.faces,
            part.files["identity"],
            reader=reader,
            sources=face_quality.videos(part.files),
            inception=inception,
            desc=desc,
        )
        for part, desc in ((found.generated, "drawn pictures"), (found.real, "photographs"))
    )
    given = {"model": drawn, **(beside or {})}
    others = [row for row in catalogue.ROWS if row not in (*given, *CONTROLS)]
    metrics = rows.evaluate(
        given,
        photos,
        found.people,
        protocol=PROTOCOL,
        rng=seeding.stream(seed, "bootstrap"),
        absent={row: ABSENT.get(row, "only pictures are given, not what draws them") for row in others},
        sizes=measures.Sizes(n_resamples=n_bootstrap),
    )
    counts = {
        "n_generated": found.generated.n_found,
        "n_generated_measured": len(found.generated.files),
        "n_real": found.real.n_found,
        "n_real_measured": len(found.real.files),
        "n_pairs": len(found.pairs),
        "people_not_in_metadata": found.unknown,
    }
    return {**metrics, "counts": counts}


def read_people(path: str | Path) -> pd.DataFrame:
    """Who is who: VoxCeleb's table, or a table with the columns identity and gender; its header says which.

    Returns
    -------
    DataFrame
        `id` (VoxCeleb's, or the identity again), `identity`, `gender` ("f", "m" or None), `nationality` (or None).

    Raises
    ------
    CorpusError: not there, not a table, neither kind of header, a wrong gender, or somebody twice
    """
    path = Path(path)
    remedy = "Give vox1_meta.csv, or a table with the columns identity, gender and, if known, nationality."
    if not path.is_file():
        raise CorpusError(path, "(the metadata: who is who) does not exist", remedy=remedy, reason="missing")
    try:
        with path.open(encoding="utf-8-sig") as stream:
            header = stream.readline()
        separator = "\t" if "\t" in header else ","
        columns = [name.strip() for name in header.split(separator)]
        if any(next(iter(wanted)) in columns for wanted in voxceleb.RELEASES.values()):
            return voxceleb.read_meta(path)[["id", "identity", "gender", "nationality"]]
        for column in ("identity", "gender"):
            if column not in columns:
                problem = f"has no column '{column}', only {', '.join(map(repr, columns))}"
                raise CorpusError(path, problem, remedy=remedy, reason="column")
        table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, OSError) as error:
        raise CorpusError(path, f"cannot be read as a table ({error})", remedy=remedy, reason="not_a_table") from error
    table = table.rename(columns=str.strip).reindex(columns=["identity", "gender", "nationality"], fill_value="")
    table = table.apply(lambda values: values.str.strip()).drop_duplicates()
    twice = table["identity"].duplicated()
    if twice.any():
        name = table.loc[twice, "identity"].iloc[0]
        raise CorpusError(path, f"says two things about '{name}'", remedy="Keep one line a person.", reason="duplicate")
    table["gender"] = voxceleb.checked_genders(table, path)
    table = table.astype(object).where(table != "", None)
    return table.assign(id=table["identity"])[["id", "identity", "gender", "nationality"]]


# ------------------------------------------------------------------------------------------------ parts


def _scan(folder: Path, people: pd.DataFrame, *, what: str) -> tuple[pd.DataFrame, list[tuple]]:
    """Pictures of a folder by name, columns as `Pictures.files`, and what is none."""
    if not folder.is_dir():
        problem = f"(the folder of {what} pictures) {'is no folder' if folder.exists() else 'does not exist'}"
        raise CorpusError(folder, problem, remedy=_LAYOUT, reason="missing")
    by_id, known = people.set_index("id")["identity"].to_dict(), spelling.Matcher(people["identity"])
    found, left_out, seen = [], [], {os.path.realpath(folder)}

    def unreadable(error: OSError) -> None:
        left_out.append((os.path.relpath(error.filename, folder), what, None, "unreadable", str(error.strerror)))

    for place, folders, inside in os.walk(folder, followlinks=True, onerror=unreadable):
        folders[:] = sorted(name for name in folders if os.path.realpath(os.path.join(place, name)) not in seen)
        seen.update(os.path.realpath(os.path.join(place, name)) for name in folders)  # links may form a ring
        for name in sorted(inside):
            path = Path(place, name).relative_to(folder)
            if reason := _no_picture(path):
                left_out.append((path.as_posix(), what, None, *reason))
                continue
            owners = [by_id[path.parts[0]]] if path.parts[0] in by_id else known.find(path.parts[0])[0]
            identity = owners[0] if len(owners) == 1 else path.parts[0]
            clip = Path(identity, *path.parts[1:]).with_suffix("").as_posix()
            found.append((path.as_posix(), identity, clip, path.stem.rpartition("_")[0] or None))
    if not found:
        problem = f"holds no {what} pictures ({', '.join(SUFFIXES)}) in folders of people"
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
    if len(path.parts) < 2:
        return "misplaced", "a picture outside the folders of people"
    return None


def _aligned(folder: Path, found: pd.DataFrame, left_out: list[tuple], *, what: str) -> Pictures:
    """Read and align what `_scan` found."""
    images, kept, left_out = [], [], list(left_out)
    bar = tqdm(found.itertuples(), total=len(found), desc=f"{what} pictures", unit="picture", mininterval=1.0)
    for place, row in enumerate(bar):
        path = folder / row.path
        try:
            images.append(align.align(photo_files.read(path), name=path))
        except ImageError as error:
            left_out.append((row.path, what, row.identity, error.reason, str(error)))
        else:
            kept.append(place)
    out = rejections.frame(left_out)
    if not kept:
        reasons = ", ".join(f"{reason} {n}" for reason, n in out["reason"].value_counts().items())
        problem = f"holds {len(found)} {what} pictures, none with a face that can be aligned ({reasons})"
        remedy = "Give pictures of one clear, roughly frontal face each."
        raise CorpusError(folder, problem, remedy=remedy, reason="empty")
    return Pictures(found.iloc[kept].reset_index(drop=True), np.stack(images), len(found), out)


def _with_photographs(drawn: Pictures, photos: Pictures) -> Pictures:
    """The drawn pictures of people who have a photograph; the others become rejected files."""
    has = drawn.files["identity"].isin(photos.files["identity"]).to_numpy()
    if has.all():
        return drawn
    lost = rejections.frame(
        (row.path, "generated", row.identity, "without_face", f"no photograph of {row.identity} can be measured")
        for row in drawn.files[~has].itertuples()
    )
    left_out = pd.concat([drawn.rejected, lost], ignore_index=True)
    return Pictures(drawn.files[has].reset_index(drop=True), drawn.faces[has], drawn.n_found, left_out)
