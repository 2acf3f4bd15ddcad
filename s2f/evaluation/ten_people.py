"""The metrics of ten people drawn over and over: how far a handful of people can be from everyone.

Public notebooks of the poster's period evaluate ten people. Nobody picks here, so the spread of the draws is what
picking has to choose from.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import comb

import numpy as np
import pandas as pd

from s2f.errors import MetricError
from s2f.evaluation.experiments import places
from s2f.metrics import catalogue, frechet, pairs
from s2f.metrics.standins import FaceSet

PICKED = ("fid", "l1_pixel_255", "cosine_matched")
SPREAD = ("metric", "everyone", "median", "low", "high", "best", "worst", "best_of_tries", "gain", "share_better")


def draws(
    faces: FaceSet,
    photos: FaceSet,
    *,
    n_people: int = 10,
    n_draws: int = 500,
    rng: np.random.Generator,
    no_fid: str | None = None,
) -> pd.DataFrame:
    """The metrics of a handful of people, drawn over and over: one drawn face and one photograph of each.

    Both drawn and real faces have embeddings and pixels, and Inception features where FID is wanted: a handful for FID
    is drawn from the people whose faces have features, if there are `n_people` of them, and one for the others from
    everyone. Where there are fewer people, it is all of them.
    `no_fid` says why the run has no FID of everyone, where it has none: then there is none of a handful either.

    Returns
    -------
    DataFrame
        Columns draw, metric (those of `PICKED`), value, everyone (the value of all people with all their faces and
        photographs; the FID against all photographs, elsewhere against half of them), n_people, n_everyone and reason.

    Raises
    ------
    MetricError: fewer than two people have a face and a photograph

    Notes
    -----
    FID grows as faces get fewer, so that of ten is far above everyone's even where nothing was picked.
    """
    names = np.intersect1d(faces.identities.astype(str), photos.identities.astype(str))
    if len(names) < 2:
        raise MetricError("ten people", f"are {len(names)}", remedy="Give at least 2.", reason="too_few")
    everyone = _everyone(faces, photos, names)
    with_features = _with_features(faces, photos, names)
    reason = no_fid
    if reason is not None:
        everyone["fid"] = (np.nan, len(names))
    elif len(with_features) < n_people and len(with_features) < len(names):
        reason = f"{len(with_features)} people have a face and a photo with Inception features"
        everyone["fid"] = (np.nan, len(with_features))
    n_people = min(n_people, len(names))
    anybody = _handfuls(faces, photos, names, n_people=n_people, rng=rng)
    extracted = faces.take(faces.extracted), photos.take(photos.extracted)
    described = None if reason else _handfuls(*extracted, with_features, n_people=n_people, rng=rng)
    records = []
    for number in range(n_draws):
        left, right = next(anybody)
        pixels, vectors = ([part.part(what) for part in (left, right)] for what in ("pixels", "embeddings"))
        values = {
            "fid": frechet.fid(*(part.part("inception") for part in next(described)), min_n=2) if described else np.nan,
            "l1_pixel_255": float(np.abs(pixels[0].astype(np.int16) - pixels[1].astype(np.int16)).mean()),
            "cosine_matched": float(np.einsum("nd,nd->n", *vectors).mean()),
        }
        for metric, value in values.items():
            full, n = everyone[metric]
            why = reason if metric == "fid" else None
            records.append((number, metric, value, full, n_people, n, why))
    columns = ["draw", "metric", "value", "everyone", "n_people", "n_everyone", "reason"]
    return pd.DataFrame(records, columns=columns)


def _handfuls(
    faces: FaceSet, photos: FaceSet, names: np.ndarray, *, n_people: int, rng: np.random.Generator
) -> Iterator[tuple[FaceSet, FaceSet]]:
    """A drawn face and a photograph of each of a few people, other ones each time."""
    rows, photo_rows = (_rows_by_name(part, names) for part in (faces, photos))
    while True:
        picked = rng.permutation(len(names))[:n_people]
        left, right = (np.array([rng.choice(own[k]) for k in picked]) for own in (rows, photo_rows))
        yield faces.take(left), photos.take(right)


def spread(drawn: pd.DataFrame, *, n_tries: int = 10) -> pd.DataFrame:
    """What picking people does to each metric.

    `drawn` comes from `draws`; of `n_tries` draws somebody would show the best one.

    Returns
    -------
    DataFrame
        A row a metric: metric, everyone, median, low and high (5th and 95th percentile of the draws), best, worst,
        best_of_tries (the best of `n_tries` different draws, on average), gain (by how much that is better than
        everyone's value, negative where it is worse), share_better (how often the best of `n_tries` is better),
        n_people, n_draws, reason.
    """
    records = []
    for metric in PICKED:
        own = drawn[drawn["metric"] == metric]
        values, everyone = own["value"].to_numpy(float), float(own["everyone"].iloc[0])
        record = dict.fromkeys(SPREAD, np.nan) | {"metric": metric, "everyone": everyone}
        if np.isfinite(values).all():
            sign = -1 if catalogue.METRICS[metric].better == "lower" else 1
            ranked = np.sort(sign * values)[::-1]  # the best first, and higher is better
            mean, better = _best_of(ranked, sign * everyone, n_tries=min(n_tries, len(ranked)))
            low, median, high = np.quantile(values, [0.05, 0.5, 0.95])
            best, worst, gain = sign * ranked[0], sign * ranked[-1], mean - sign * everyone
            found = (metric, everyone, median, low, high, best, worst, sign * mean, gain, better)
            record = dict(zip(SPREAD, found, strict=True))
        first = own.iloc[0]
        records.append(record | {"n_people": first["n_people"], "n_draws": len(own), "reason": first["reason"]})
    return pd.DataFrame(records)


def _best_of(ranked: np.ndarray, bar: float, *, n_tries: int) -> tuple[float, float]:
    """Mean of the best of `n_tries` values drawn without replacement from `ranked` (best first), and how often it
    is above `bar`. Exact: value i is the best if the others all come from the n − 1 − i below it."""
    n = len(ranked)
    chances = np.array([comb(n - 1 - i, n_tries - 1) / comb(n, n_tries) for i in range(n)])
    return float(chances @ ranked), float(chances[ranked > bar].sum())


def _everyone(faces: FaceSet, photos: FaceSet, names: np.ndarray) -> dict[str, tuple[float, int]]:
    """Value of each metric over all people with all their faces and photographs, and the number of people."""
    faces, photos = (part.take(np.isin(part.identities.astype(str), names)) for part in (faces, photos))
    n = len(names)
    codes, photo_codes = places(faces, names), places(photos, names)
    pixels, vectors = ([part.part(what) for part in (faces, photos)] for what in ("pixels", "embeddings"))
    l1 = pairs.by_identity(pairs.l1_pixel(pixels[0], codes, pixels[1], photo_codes), codes, n_identities=n)
    cosine = pairs.cosine_matrix(vectors[0], codes, vectors[1], photo_codes, n_identities=n)
    found = {"l1_pixel_255": (float(l1.mean()), n), "cosine_matched": (float(np.diag(cosine).mean()), n)}
    faces, photos = faces.take(faces.extracted), photos.take(photos.extracted)
    fid = np.nan
    if min(len(faces), len(photos)) > 1:
        fid = frechet.fid(faces.part("inception"), photos.part("inception"), min_n=2)
    return found | {"fid": (fid, len(set(faces.identities)))}


def _with_features(faces: FaceSet, photos: FaceSet, names: np.ndarray) -> np.ndarray:
    left, right = (part.identities[part.extracted].astype(str) for part in (faces, photos))
    return np.intersect1d(np.intersect1d(left, right), names)


def _rows_by_name(faces: FaceSet, names: np.ndarray) -> list[np.ndarray]:
    identities = faces.identities.astype(str)
    return [np.flatnonzero(identities == name) for name in names]
