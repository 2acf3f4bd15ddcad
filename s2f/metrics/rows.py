"""The rows of a variant: every set of faces that could stand in for the generated ones, measured alike.

A row is nothing but a `FaceSet`. What a set does not carry, a metric that has too few faces, and a
comparison that makes no sense are null with a reason, never a number. Every other row is also subtracted from
the model's, on the same people in the same resamples, which is what says whether the two differ; some are from the
mean of many draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from s2f.errors import MetricError, nearest
from s2f.metrics import bootstrap, catalogue, frechet, guesses, measures
from s2f.metrics.measures import Comparison, Given, RealSets, Sizes
from s2f.metrics.resampling import Measured, Resampling
from s2f.metrics.standins import FaceSet, refuse_unknown, shuffled, someone_else, to_source

N_SHUFFLES = 20  # ways of giving the drawn faces to others, at most as many as there are others
_ONE_PHOTO = "no person has two photos"
TRAINED_ON = "the people who are measured were trained on"
DEFAULTS = MappingProxyType({"ceiling": _ONE_PHOTO, "random_real": _ONE_PHOTO})
SHUFFLED = MappingProxyType({"shuffled_voice": "model", "shuffled_mean": "draws_mean"})  # of which row each is made
FROM_SOURCE = ("random_real", "ceiling", "by_code")  # rows of one half of the photographs, compared with the other
OF_MEAN = ("shuffled_mean", "probe")  # rows that the mean of many draws is compared with


def evaluate(
    stand_ins: Mapping[str, FaceSet],
    photos: FaceSet,
    people: pd.DataFrame,
    *,
    protocol: str,
    rng: np.random.Generator,
    absent: Mapping[str, str] | None = None,
    sizes: Sizes,
    training: np.ndarray | None = None,
) -> dict:
    """Measure every row.

    Parameters
    ----------
    stand_ins : mapping of str to FaceSet
        One face (or embedding) a test recording, for any row of the catalogue, or for `OTHER`. Rows `chance`,
        `gender_oracle`, `random_real` and `ceiling` are made here from the photos and people, and those of `SHUFFLED`
        from the row that it names: the mean over `N_SHUFFLES` ways of giving its faces to others. Row `by_code` has
        a face for each photo of the half that `taken` names, in its order.
    photos : FaceSet, every held-out photo of the people
    people : DataFrame, columns identity, gender ("f", "m" or None), nationality (str or None), one row a person
    protocol : str, "held_out" or "closed" (the people were trained on), as it goes into the result
    rng : numpy.random.Generator, stream of the bootstrap, the halves and the galleries, which are the same for all rows
    absent : mapping of str to str, optional, why a row has no faces
    sizes : Sizes, how many resamples, people in a gallery, and faces of a set
    training : ndarray, float [t, d], optional, embeddings of photographs that were trained on, for `copies`

    Returns
    -------
    dict
        `{"protocol": …, "rows": {row: {metric: {"value", "low", "high", "n_recordings", "n_identities",
        "reference", "reason"}}}, "differences": {row: {metric: {"value", "low", "high", "n_identities",
        "reason"}}}, "differences_of_mean": …}`, ready for JSON. A difference is the model's value minus the row's;
        there is one for each row that was measured and each metric that has an interval. Those of the mean are the
        same of the row `draws_mean`, minus the rows of `OF_MEAN`.

    Raises
    ------
    MetricError
        An unknown row, no photos, faces of people that are not in `people`, or faces of row `by_code` that are not
        those of the half.

    Notes
    -----
    Pair metrics compare with every photo of a person, except the rows of `FROM_SOURCE`, whose
    faces come from one half of the photos and are compared with the other. FID, KID, precision and recall compare
    every row with that other half, at one n on both sides, so that the rows can be compared.

    A difference is taken on the people who have a value in both rows; all others weigh nothing. Both terms are
    evaluated on the same resamples (for KID, on the same halves of the people).
    """
    absent = absent or {}
    known = {**catalogue.ROWS} | ({catalogue.OTHER.key: catalogue.OTHER} if catalogue.OTHER.key in stand_ins else {})
    for key in (*stand_ins, *absent):
        if key not in known:
            raise MetricError(key, "is no row of the results", remedy=nearest(key, catalogue.ROWS))
    if len(photos) == 0:
        raise MetricError("photos", "are empty", remedy="Give the held-out photos of the people.", reason="too_few")
    people = people.drop_duplicates("identity").sort_values("identity").reset_index(drop=True)
    streams = _streams(rng)
    in_source = to_source(photos, rng=streams["halves"])
    reference, source = photos.take(~in_source), photos.take(in_source)
    if "by_code" in stand_ins and list(stand_ins["by_code"].identities) != list(source.identities):
        problem, remedy = "is not of the half that real faces are taken from", "Take the photos that `taken` names."
        raise MetricError("by_code", problem, remedy=remedy)
    sets = {key: [faces] for key, faces in stand_ins.items()}
    if len(source):
        sets["ceiling"] = [source]
    if len(set(source.identities)) > 1:
        sets["random_real"] = [someone_else(source, rng=streams["random"])]
    for key, own in SHUFFLED.items():
        if own in stand_ins and len(set(stand_ins[own].identities)) > 1:
            sets[key] = shuffled(stand_ins[own], n=N_SHUFFLES, rng=streams["shuffles"])
    firsts = [several[0] for several in sets.values()]
    _known([photos, *firsts], people)
    n = _n_compared([reference, source, *firsts], sizes)
    few = too_few(n, min_n=sizes.min_n)
    real = None if few else _real_sets(reference, source, n, sizes, rng=streams["sets"])
    known_to = {"training": training} if protocol != "closed" else {"no_training": TRAINED_ON}
    given = Given(people, photos, real, sizes, draws=streams["draws"], too_few=few, **known_to)
    counts = bootstrap.resamples(len(people), rng=streams["resamples"], n_resamples=sizes.n_resamples)
    resampling = Resampling(counts, streams["subsamples"], sizes.n_subsamples)
    lines, measured = {}, []
    for key, row in known.items():
        found: Mapping[str, Measured | str]
        if key == "chance":
            found = guesses.chance(given)
        elif key == "gender_oracle":
            found = guesses.gender_oracle(given)
        elif key in sets:
            gallery = reference if key in FROM_SOURCE else photos
            comparisons = [Comparison(given, row, faces, gallery) for faces in sets[key]]
            found = {metric: measures.averaged(metric, comparisons) for metric in catalogue.METRICS}
        else:
            default = DEFAULTS.get(key, "not measured")
            if key in SHUFFLED:
                default = "there is nobody else" if SHUFFLED[key] in stand_ins else absent.get(SHUFFLED[key], default)
            lines[key] = resampling.line(key, dict.fromkeys(catalogue.METRICS, absent.get(key, default)))
            continue
        lines[key] = resampling.line(key, found)
        measured.append(key)
    others = [key for key in measured if key != "model"] if "model" in measured else []
    of_mean = [key for key in measured if key in OF_MEAN] if "draws_mean" in measured else []
    return {
        "protocol": protocol,
        "rows": {key: line.entries for key, line in lines.items()},
        "differences": {key: resampling.minus(lines["model"], lines[key]) for key in others},
        "differences_of_mean": {key: resampling.minus(lines["draws_mean"], lines[key]) for key in of_mean},
    }


def n_compared(photos: FaceSet, n_faces: int, *, rng: np.random.Generator) -> int:
    """How many faces a side `evaluate` would compare as sets, said before any Inception features are extracted.

    Parameters
    ----------
    photos : FaceSet, their identities and videos
    n_faces : int, faces of the smallest row that is drawn
    rng : numpy.random.Generator, a stream that starts as the one of `evaluate` will
    """
    n_source = int(taken(photos, rng=rng).sum())
    return min(n_faces, n_source, len(photos) - n_source)


def taken(photos: FaceSet, *, rng: np.random.Generator) -> np.ndarray:
    """Which photographs `evaluate` would take real faces from, to compare with the others: bool [n].

    Parameters
    ----------
    photos, rng, as `n_compared` has them
    """
    return to_source(photos, rng=_streams(rng)["halves"])


def too_few(n: int, *, min_n: int = frechet.MIN_FACES) -> str | None:
    """Why FID, KID, precision and recall are not measured on `n` faces a side; None where they are."""
    least = max(min_n, 2)
    return None if n >= least else f"too few faces to compare as sets: {n} a side, at least {least} are needed"


def _streams(rng: np.random.Generator) -> dict[str, np.random.Generator]:
    names = ("halves", "random", "sets", "draws", "resamples", "subsamples", "shuffles")
    return dict(zip(names, rng.spawn(len(names)), strict=True))


def _n_compared(sets: Iterable[FaceSet], sizes: Sizes) -> int:
    sets = list(sets)
    each = [len(faces.extracted) for faces in sets if faces.inception is not None]
    each = each or [len(faces) for faces in sets if faces.drawable]
    most = [] if sizes.n_fid is None else [sizes.n_fid]
    return min(each + most, default=0)


def _real_sets(
    reference: FaceSet, source: FaceSet, n: int, sizes: Sizes, *, rng: np.random.Generator
) -> RealSets | None:
    if reference.inception is None or source.inception is None:
        return None
    reference, source = (measures.sample(part, n, rng=rng) for part in (reference, source))
    return RealSets(reference, source, n, sizes.min_n)


def _known(sets: Iterable[FaceSet], people: pd.DataFrame) -> None:
    refuse_unknown({identity for faces in sets for identity in faces.identities} - set(people["identity"]))
