"""What could stand in for generated faces: averages, other people, the speaker's own photos, a linear map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from s2f.errors import MetricError


@dataclass(frozen=True)
class FaceSet:
    """Faces with what was read from them. Any part but the identities may be missing.

    Attributes
    ----------
    identities : ndarray of str [n], whose photo each is, or whose recording it stands for
    pixels : ndarray, uint8 [n, H, W, 3], aligned faces
    embeddings : ndarray, float32 [n, d], identity embeddings, unit length
    female : ndarray, float32 [n], probability of "f" that the gender reader gives
    inception : ndarray, float32 [n, 2048], Inception features; NaN in the rows that were left out where a set is large
    sources : ndarray of str [n], video or session of each photo
    """

    identities: np.ndarray
    pixels: np.ndarray | None = None
    embeddings: np.ndarray | None = None
    female: np.ndarray | None = None
    inception: np.ndarray | None = None
    sources: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("pixels", "embeddings", "female", "inception", "sources"):
            part = getattr(self, name)
            if part is not None and len(part) != len(self.identities):
                problem = f"has {len(part)} rows for {len(self.identities)} identities"
                raise MetricError(f"FaceSet.{name}", problem, remedy="Give one row a face.")

    @property
    def extracted(self) -> np.ndarray:
        """Rows that have Inception features: int [k]."""
        return np.array([], int) if self.inception is None else np.flatnonzero(np.isfinite(self.inception[:, 0]))

    def part(self, name: str) -> np.ndarray:
        """One of the parts; it is a MetricError if it is missing."""
        found = getattr(self, name)
        if found is None:
            raise MetricError(f"FaceSet.{name}", "is missing", remedy="Read it from the faces first.", reason="missing")
        return found

    def __len__(self) -> int:
        return len(self.identities)

    @property
    def drawable(self) -> bool:
        """Whether these are faces, which can be compared as a set, and not embeddings alone."""
        return self.inception is not None or self.pixels is not None

    def take(self, rows: np.ndarray, *, identities: np.ndarray | None = None) -> FaceSet:
        """The faces at `rows` (positions or a mask), as stand-ins for `identities` if given."""
        parts = {name: None if part is None else part[rows] for name, part in vars(self).items()}
        return FaceSet(**parts if identities is None else parts | {"identities": identities})


def mean_faces(photos: np.ndarray, genders: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Average training face of everyone and of each sex.

    Parameters
    ----------
    photos : ndarray, uint8 [n, H, W, 3], training photos
    genders : ndarray of str or None [n], "f" or "m" of each, None where unknown

    Returns
    -------
    faces : ndarray, uint8 [k, H, W, 3]
    names : list of str [k], "all", then "f" and "m" where there are any
    """
    genders = np.asarray(genders, object)
    groups = {"all": np.ones(len(photos), bool), "f": genders == "f", "m": genders == "m"}
    groups = {name: rows for name, rows in groups.items() if rows.any()}
    means = [_mean(photos, np.flatnonzero(rows)) for rows in groups.values()]
    return np.stack(means), list(groups)


def _mean(photos: np.ndarray, rows: np.ndarray) -> np.ndarray:
    total = np.zeros(photos.shape[1:], np.int64)
    for start in range(0, len(rows), 4096):  # the whole training set of a large corpus does not fit as int64
        total += photos[rows[start : start + 4096]].sum(0, dtype=np.int64)
    return np.round(total / len(rows)).astype(np.uint8)


def repeated(means: FaceSet, names: list[str], identities: np.ndarray, *, genders: np.ndarray | None) -> FaceSet:
    """A mean face for every recording: everyone's, or with `genders` the one of the speaker's sex.

    Parameters
    ----------
    means : FaceSet [k], the described faces of `mean_faces`
    names : list of str [k], its names
    identities : ndarray of str [n], speaker of each recording
    genders : ndarray of str [n], optional, sex of each speaker

    Raises
    ------
    MetricError: a speaker's sex is unknown, or there is no mean face of it
    """
    wanted = ["all"] * len(identities) if genders is None else list(genders)
    if lost := [name for name, sex in zip(identities, wanted, strict=True) if sex not in names]:
        remedy = "Leave the row out."
        raise MetricError(lost[0], "has no mean face of the same sex", remedy=remedy, reason="unknown_sex")
    rows = np.array([names.index(name) for name in wanted], int)
    return means.take(rows, identities=np.asarray(identities, object))


def halves(photos: FaceSet, *, rng: np.random.Generator) -> tuple[FaceSet, FaceSet]:
    """Split each person's photos in two, so that real faces can stand in without meeting themselves.

    Returns
    -------
    reference, source : FaceSet, to compare with, and to take stand-ins from, as `to_source` says
    """
    chosen = to_source(photos, rng=rng)
    return photos.take(~chosen), photos.take(chosen)


def to_source(photos: FaceSet, *, rng: np.random.Generator) -> np.ndarray:
    """Which photos stand-ins are taken from, of `halves`: bool [n].

    Where the videos are known and a person has two or more, whole videos go to one side, so that a real
    face is not compared with its neighbour frame. A person with one photo is in the other half.
    """
    chosen = np.zeros(len(photos), bool)
    for person in np.unique(photos.identities.astype(str)):
        rows = np.flatnonzero(photos.identities == person)
        groups = np.arange(len(rows)) if photos.sources is None else photos.sources[rows].astype(str)
        if len(np.unique(groups)) < 2:
            groups = np.arange(len(rows))
        names = rng.permutation(np.unique(groups))
        chosen[rows] = np.isin(groups, names[: len(names) // 2])
    return chosen


def someone_else(photos: FaceSet, *, rng: np.random.Generator) -> FaceSet:
    """Real photos, each standing in for a random other person.

    Raises
    ------
    MetricError: fewer than two people
    """
    people = np.unique(photos.identities.astype(str))
    if len(people) < 2:
        raise MetricError("random_real", f"has {len(people)} people", remedy="Give at least 2.", reason="too_few")
    own = np.searchsorted(people, photos.identities.astype(str))
    other = (own + rng.integers(1, len(people), size=len(own))) % len(people)
    return photos.take(np.arange(len(photos)), identities=people[other].astype(object))


def shuffled(faces: FaceSet, *, n: int, rng: np.random.Generator) -> list[FaceSet]:
    """Each face as if it were drawn for somebody else, `n` times over, so that little hangs on who got whose.

    All people sit on a random ring, and in each set they move on by another number of places: nobody is given the
    faces of the same person twice. Where there are at most `n` others, everyone gets those of each of them, so that a
    mean over the sets is exactly that over all shuffles.

    Raises
    ------
    MetricError: fewer than two people
    """
    people, codes = np.unique(faces.identities.astype(str), return_inverse=True)
    if len(people) < 2:
        raise MetricError("shuffled_voice", f"has {len(people)} people", remedy="Give at least 2.", reason="too_few")
    ring = rng.permutation(len(people))
    at, steps = np.argsort(ring)[codes], 1 + rng.permutation(len(people) - 1)[:n]
    others = (people[ring[(at + step) % len(people)]] for step in steps)
    return [faces.take(np.arange(len(faces)), identities=names.astype(object)) for names in others]


def linear_probe(voices: np.ndarray, embeddings: np.ndarray, new_voices: np.ndarray, *, penalty: float) -> np.ndarray:
    """Ridge regression from voice embeddings to what sets a face embedding apart: the baseline without a picture.

    A penalty shrinks what is predicted towards the mean of the training faces, and a guess near that mean would be
    nearest to the most average photograph, whoever speaks. So only the direction away from the mean is given.

    Parameters
    ----------
    voices : ndarray, float [n, v], voice embeddings of training recordings
    embeddings : ndarray, float [n, d], face embedding of each one's speaker, for example the mean over training photos
    new_voices : ndarray, float [m, v], voice embeddings to map
    penalty : float, ridge penalty per training recording, on standardised inputs; chosen on validation

    Returns
    -------
    ndarray, float32 [m, d], predicted embedding less the mean training embedding, brought to unit length
    """
    centre, scale = voices.mean(0), np.maximum(voices.std(0), 1e-6)
    x, y = (voices - centre) / scale, embeddings - embeddings.mean(0)
    weights = np.linalg.solve(x.T @ x + penalty * len(x) * np.eye(x.shape[1]), x.T @ y)  # [v, d]
    return directions((new_voices - centre) / scale @ weights)


def directions(embeddings: np.ndarray, centre: np.ndarray | float = 0.0) -> np.ndarray:
    """What sets embeddings [n, d] apart from a `centre` [d]: float32 [n, d] at unit length, zeros if nothing does."""
    away = embeddings - centre
    lengths = np.maximum(np.linalg.norm(away, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return (away / lengths).astype(np.float32)


def nearest_voice(voices: np.ndarray, identities: Sequence[str], new_voices: np.ndarray) -> np.ndarray:
    """Who of those trained on sounds most like each new voice: str [m].

    A face of that person is what a model gives that has learned its training people by heart.

    Parameters
    ----------
    voices : ndarray, float [n, v], unit voice embeddings of training recordings
    identities : sequence of str [n], who speaks in each
    new_voices : ndarray, float [m, v], unit embeddings
    """
    return np.asarray(identities, object)[(new_voices @ voices.T).argmax(1)]


def refuse_unknown(identities: Iterable[str]) -> None:
    """Refuse identities that are not among the people who are measured.

    Raises
    ------
    MetricError: there is one; says how many more
    """
    unknown = sorted(map(str, identities))
    if unknown:
        others = f"and {len(unknown) - 1} more identities are" if unknown[1:] else "is"
        remedy = "Give every person a row in people."
        raise MetricError(unknown[0], f"{others} not among the people", remedy=remedy, reason="unknown_identity")
