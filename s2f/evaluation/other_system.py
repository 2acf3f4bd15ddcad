"""Measuring another system: the pictures it drew from voices, beside photographs of the speakers.

Every picture, drawn or not, is found and aligned as `s2f.evaluation.picture_folders` says, and measured by the code
that measures the study's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from s2f import seeding
from s2f.errors import CorpusError
from s2f.evaluation import face_quality, face_readers, picture_folders
from s2f.evaluation.picture_folders import Pictures
from s2f.metrics import catalogue, measures, rows
from s2f.metrics.standins import FaceSet

PROTOCOL = "pictures of another system"
NO_TRAINING = "no training photographs are given"
# Made from the photographs, the people and, of the voices, what is drawn for them.
CONTROLS = ("random_real", "ceiling", "gender_oracle", "chance", "shuffled_voice")
ABSENT = dict.fromkeys(("mean_face", "gender_mean_face", "neighbour"), NO_TRAINING) | {
    "probe": "no recordings are given"
}
N_SHOWN = 6  # pairs on the sheet
N_LISTED = 20  # files named in the terminal; rejected.csv has all


@dataclass(frozen=True)
class Found:
    """What folders hold together.

    Attributes
    ----------
    generated, real : Pictures, drawn pictures of people who have a photograph, and photographs
    other : Pictures or None, pictures of a system to compare with, of people who have a photograph
    pairs : DataFrame
        Of each pair of one clip its places in `generated` and in `real`, and its identity; where there is none, of each
        person's first picture and photograph.
    by_clip : bool, whether pairs are of one clip
    people : DataFrame, identity, gender and nationality of everyone seen; None where unknown
    unknown : list of str, people whom the metadata does not name
    """

    generated: Pictures
    real: Pictures
    other: Pictures | None
    pairs: pd.DataFrame
    by_clip: bool
    people: pd.DataFrame
    unknown: list[str]

    @property
    def parts(self) -> dict[str, Pictures]:
        """Every set of pictures, by what it is called."""
        found = {"generated": self.generated, "real": self.real}
        return found if self.other is None else found | {"other": self.other}


def collect(
    generated: str | Path,
    real: str | Path,
    meta: str | Path,
    *,
    beside: str | Path | None = None,
    only: Path | None = None,
) -> Found:
    """Find, pair and align drawn pictures and photographs.

    Parameters
    ----------
    generated, real : path, laid out as `s2f.evaluation.picture_folders` says
    meta : path, as `picture_folders.read_people` takes it
    beside : path, optional, pictures of a system to compare with, laid out alike
    only : Path, optional, a text file with a name or id of a person a line: all others are left aside

    Raises
    ------
    CorpusError
        A folder is missing, holds no picture, or none with a face; two pictures are of one clip; fewer than two people
        have both a drawn picture and a photograph; the metadata is wrong; or somebody of `only` has no picture.
    """
    people = picture_folders.read_people(meta)
    folders = {"generated": Path(generated), "real": Path(real)}
    folders |= {} if beside is None else {"other": Path(beside)}
    scanned = {what: picture_folders.scan(folder, people, what=what) for what, folder in folders.items()}
    if only is not None:
        scanned = picture_folders.restricted(scanned, only, people)
    drawn_folders = [what for what in folders if what != "real"]
    for what in drawn_folders:
        _enough(folders, what, *(scanned[part][0] for part in (what, "real")))
    photos = picture_folders.aligned(folders["real"], *scanned["real"], what="real")
    drawn = {}
    for what in drawn_folders:
        pictures = picture_folders.aligned(folders[what], *scanned[what], what=what)
        drawn[what] = picture_folders.with_photographs(pictures, photos, what=what)
    for what, part in drawn.items():
        _enough(folders, what, part.files, photos.files)
    pairs, by_clip = _paired(drawn["generated"].files, photos.files)
    seen = np.unique([*photos.files["identity"], *(name for part in drawn.values() for name in part.files["identity"])])
    facts = people.set_index("identity").reindex(seen)[["gender", "nationality"]].reset_index(names="identity")
    facts = facts.astype(object).where(facts.notna(), None)
    unknown = sorted(set(seen) - set(people["identity"]))
    return Found(drawn["generated"], photos, drawn.get("other"), pairs, by_clip, facts, unknown)


def describe(
    found: Found, *, reader: face_readers.Reader, inception: face_readers.Extractor | None = None, seed: int = 0
) -> dict[str, FaceSet]:
    """What is read from every set of pictures, by the names of `Found.parts`.

    Inception features are extracted where enough faces can be compared for FID and KID; without `inception`, nowhere.
    """
    bare = FaceSet(found.real.files["identity"].to_numpy(object), sources=_sources(found.real))
    n_drawn = min(len(part.files) for what, part in found.parts.items() if what != "real")
    n = rows.n_compared(bare, n_drawn, rng=seeding.stream(seed, "bootstrap"))
    names = {"generated": "drawn pictures", "real": "photographs", "other": "the other system's pictures"}
    return {
        what: face_readers.describe(
            part.faces,
            part.files["identity"],
            reader=reader,
            sources=face_quality.videos(part.files),
            inception=inception if rows.too_few(n) is None else None,
            desc=names[what],
        )
        for what, part in found.parts.items()
    }


def measure(
    found: Found,
    sets: Mapping[str, FaceSet],
    *,
    beside: Mapping[str, FaceSet] | None = None,
    seed: int = 0,
    n_bootstrap: int = 1000,
) -> dict:
    """Measure drawn pictures beside photographs of the speakers, with `n_bootstrap` bootstrap samples of people.

    Parameters
    ----------
    sets : mapping of str to FaceSet, from `describe`, with the same seed
    beside : mapping of str to FaceSet, optional, further rows of `catalogue.ROWS` for the same people, such as a probe

    Returns
    -------
    dict
        As a variant's ``metrics.json``, with how many pictures were found and measured in `counts`. The pictures are
        the row "model", and those of the system to compare with the row "other"; beyond these and `beside`, only
        `CONTROLS` are measured of the others. Everyone who has a photograph is somebody to be mistaken for, with or
        without a drawn picture.
    """
    given = {"model": sets["generated"], **(beside or {})}
    given |= {catalogue.OTHER.key: sets["other"]} if "other" in sets else {}
    others = [row for row in catalogue.ROWS if row not in (*given, *CONTROLS)]
    metrics = rows.evaluate(
        given,
        sets["real"],
        found.people,
        protocol=PROTOCOL,
        rng=seeding.stream(seed, "bootstrap"),
        absent={row: ABSENT.get(row, "only pictures are given, not what draws them") for row in others},
        sizes=measures.Sizes(n_resamples=n_bootstrap),
    )
    counts: dict[str, int | list[str]] = {}
    for what, part in found.parts.items():
        counts |= {f"n_{what}": part.n_found, f"n_{what}_measured": len(part.files)}
    counts |= {"n_pairs": len(found.pairs) if found.by_clip else 0, "people_not_in_metadata": found.unknown}
    return {**metrics, "counts": counts}


def readings(found: Found, sets: Mapping[str, FaceSet]) -> pd.DataFrame:
    """What was read from each picture: a row each, drawn ones first.

    Returns
    -------
    DataFrame
        Columns set ("generated", "real" or "other"), path, identity, clip, source_id, female (probability), cosine_own
        and cosine_others: the mean cosine to the person's photographs, but not to itself, and to all other people's.
    """
    photos = sets["real"]
    vectors, (people, codes) = photos.part("embeddings"), np.unique(photos.identities.astype(str), return_inverse=True)
    sums = np.zeros((len(people), vectors.shape[1]))
    np.add.at(sums, codes, vectors)  # a mean of products is the product with a mean
    counts = np.bincount(codes)
    frames = []
    for what, part in found.parts.items():
        faces = sets[what]
        drawn, person = faces.part("embeddings"), np.searchsorted(people, faces.identities.astype(str))
        own, n_own = np.einsum("nd,nd->n", drawn, sums[person]), counts[person]
        others, n_others = drawn @ sums.sum(axis=0) - own, len(vectors) - n_own
        if what == "real":
            own, n_own = own - np.einsum("nd,nd->n", drawn, drawn), n_own - 1
        read = {"female": faces.part("female"), "cosine_own": _ratio(own, n_own), "cosine_others": others / n_others}
        frames.append(part.files.assign(set=what, **read))
    together = pd.concat(frames, ignore_index=True)
    return together[["set", "path", "identity", "clip", "source_id", "female", "cosine_own", "cosine_others"]]


def _ratio(total: np.ndarray, n: np.ndarray) -> np.ndarray:
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _sources(part: Pictures) -> np.ndarray | None:
    videos = face_quality.videos(part.files)
    return None if videos is None else videos.to_numpy(object)


def _enough(folders: Mapping[str, Path], what: str, drawn: pd.DataFrame, photos: pd.DataFrame) -> None:
    common = set(drawn["identity"]) & set(photos["identity"])
    if len(common) > 1:
        return
    problem = f"and {folders['real']} have {len(common)} {'person' if len(common) == 1 else 'people'} in common"
    if not common and len(drawn) and len(photos):
        problem += f" ('{drawn['identity'].iloc[0]}' beside '{photos['identity'].iloc[0]}')"
    remedy = "Give pictures and photographs of 2 people or more: a voice is matched against others."
    raise CorpusError(folders[what], problem, remedy=remedy, reason="too_few")


def _paired(drawn: pd.DataFrame, photos: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """Pairs of one clip, or where there are none of one person."""
    left, right = drawn.reset_index(names="generated"), photos.reset_index(names="real")
    columns = ["generated", "real", "identity"]
    both = pd.merge(left, right, on=["clip", "identity"])[columns]
    if len(both):
        return both, True
    return pd.merge(*(part.drop_duplicates("identity") for part in (left, right)), on="identity")[columns], False
