"""Experiments of the 2019 paper and of the poster's period, on any corpus.

How much speech does a face need? Does one speaker get one face? Whom does it work for? Does it work better for
speakers of the training? And how far can ten hand-picked people be from everyone?

Wen, Raj and Singh (2019) ask the first four, each in their own words. All but `ten_people` return a frame with a row
a value: what varies, then metric (as in `s2f.metrics.names`), value, low, high (95 % bootstrap over identities),
n_recordings, n_identities, and a reason where there is no value.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from s2f import files
from s2f.errors import MetricError, RunError
from s2f.evaluation import face_quality, face_readers
from s2f.features import front_end
from s2f.features.store import Store
from s2f.metrics import bootstrap, frechet, matching, pairs
from s2f.metrics.standins import FaceSet
from s2f.networks.inference import Model, draw

METRICS = ("matching_2way", "matching_within_gender", "gender_agreement", "cosine_matched")
FILE = "experiments.csv"
RESULT = ("metric", "value", "low", "high", "n_recordings", "n_identities", "reason")
FRAMES_PER_S = 100
SEX_GROUPS = (("f", "women"), ("m", "men"))
SPREAD = ("metric", "everyone", "median", "low", "high", "best", "worst", "best_of_tries", "gain", "share_better")
# The metrics of ten hand-picked people, and whether a lower value is the better one.
PICKED = (("fid", True), ("l1_pixel_255", True), ("cosine_matched", False))


def lengths(
    model: Model,
    store: Store,
    voices: pd.DataFrame,
    photos: FaceSet,
    people: pd.DataFrame,
    *,
    reader: face_readers.Reader,
    seconds: Sequence[float] = (1, 2, 3, 5, 10),
    n_most: int,
    rng: np.random.Generator,
    n_resamples: int = 2000,
) -> pd.DataFrame:
    """How good faces are that are drawn from the first seconds of the speech in a recording.

    The same recordings are cut at each length, and the same resamples of people give the intervals. A cut recording is
    normalised and repeated to 10 s as a short one would be.

    Parameters
    ----------
    voices : DataFrame
        Recordings of the store's index.
    photos : FaceSet
        Real photographs of the speakers, with embeddings.
    people : DataFrame
        Columns identity and gender, a row a person.
    seconds : sequence of float
        Lengths, s.
    n_most : int
        Most recordings, spread evenly over the people.
    rng : numpy.random.Generator
        Stream of the recordings and of the bootstrap.

    Returns
    -------
    DataFrame
        Columns seconds, share_cut (share of the recordings that are longer), and those of `RESULT`. Without any value
        where the encoder reads sound, which the store does not keep.

    Raises
    ------
    MetricError
        A length of less than one frame.
    """
    if min(seconds) * FRAMES_PER_S < 1:
        raise MetricError("seconds", f"holds {min(seconds)}", remedy=f"Take at least {1 / FRAMES_PER_S} s.")
    if model.architecture.encoder != "own":
        reason = f"the encoder {model.architecture.encoder} reads sound, and the store keeps the frames of our own"
        nulls = [_null(metric, reason) for metric in METRICS]
        return _frame([{"seconds": s, "share_cut": np.nan, **null} for s in seconds for null in nulls])
    picks, resamples = rng.spawn(2)
    voices = face_quality.spread(voices, n_most=n_most, rng=picks)
    n_frames = np.diff(store.mel_offsets)[voices["row"].to_numpy()]
    records = []
    for s in tqdm(seconds, desc="lengths of speech", unit="length"):
        n = round(s * FRAMES_PER_S)
        heard = [model.embed(first_frames(store.mel(row), n_frames=n)) for row in voices["row"]]
        drawn = draw(model.generator, torch.from_numpy(np.stack(heard)))  # [n_recordings, 64, 64, 3]
        faces = face_readers.describe(drawn, voices["identity"].to_numpy(object), reader=reader)
        measured = _measured(faces, photos, people, rng=resamples, n_resamples=n_resamples)
        records += [{"seconds": s, "share_cut": float((n_frames > n).mean()), **record} for record in measured]
    return _frame(records)


def first_frames(mel: np.ndarray, *, n_frames: int) -> np.ndarray:
    """What the encoder would read if the speech had ended after `n_frames`: float32 [>= 1000, 64] of [n, 64]."""
    return front_end.repeat(front_end.normalise(mel[:n_frames]))


def same_speaker(
    faces: FaceSet,
    photos: FaceSet,
    people: pd.DataFrame,
    *,
    rng: np.random.Generator,
    n_most: int = 4000,
    n_resamples: int = 2000,
) -> pd.DataFrame:
    """Are the faces of one speaker's recordings nearer to one another than those of two speakers?

    Parameters
    ----------
    faces, photos : FaceSet
        Drawn and real ones, with embeddings and pixels. Where sources are given, two faces of one person count only
        if they are from different videos.
    people : DataFrame
        Columns identity and gender, a row a person.
    n_most : int
        Most faces and most photographs, spread evenly over the people.

    Returns
    -------
    DataFrame
        Columns faces ("drawn", "real"), pair ("one person", "two of one sex") and those of `RESULT`, with n_recordings
        the number of faces. Cosines of identity embeddings are called cosine_matched and cosine_mismatched; root mean
        square pixel distances on the [−1, 1] scale are called consistency and diversity.
    """
    names = np.unique(people["identity"].to_numpy(str))
    others = matching.same(_genders(people, names))
    picks, resamples = rng.spawn(2)
    records = []
    for kind, part in (("drawn", faces), ("real", photos)):
        part = _spread(part, n_most=n_most, rng=picks)
        codes = _codes(part, names)
        cosines, distances = _within(part, codes, n_identities=len(names))
        vectors = part.embeddings
        cosine = pairs.cosine_matrix(vectors, codes, vectors, codes, n_identities=len(names))
        rms = pairs.rms_matrix(part.pixels, codes, n_identities=len(names))
        for metric, values in (("cosine_matched", cosines), ("consistency", distances)):
            own = _mean(metric, values, codes, rng=resamples, n_resamples=n_resamples)
            records.append({"faces": kind, "pair": "one person", **own})
        for metric, matrix in (("cosine_mismatched", cosine), ("diversity", rms)):
            two = _pairs(metric, matrix, others, codes, rng=resamples, n_resamples=n_resamples)
            records.append({"faces": kind, "pair": "two of one sex", **two})
    return _frame(records)


def groups(
    faces: FaceSet,
    photos: FaceSet,
    people: pd.DataFrame,
    *,
    ages: pd.Series | None = None,
    rng: np.random.Generator,
    n_resamples: int = 2000,
) -> pd.DataFrame:
    """Does it work for women as for men, and for the young as for the old?

    Speakers of a group are matched against everyone of their sex, whatever the age, so that groups differ in the
    speakers alone.

    Parameters
    ----------
    ages : Series, optional
        Age in years by identity; people are divided into thirds of those that are known.

    Returns
    -------
    DataFrame
        Columns by ("sex", "age"), group and those of `RESULT`.
    """
    names = np.unique(people["identity"].to_numpy(str))
    genders = _genders(people, names)
    members = [("sex", group, genders == sex) for sex, group in SEX_GROUPS]
    if ages is not None:
        members += [("age", group, who) for group, who in _thirds(ages.reindex(names).to_numpy(float))]
    records = []
    for by, group, who in members:
        measured = _measured(
            faces,
            photos,
            people,
            metrics=("gender_agreement", "matching_within_gender"),
            probes=set(names[who]),
            rng=rng,
            n_resamples=n_resamples,
        )
        records += [{"by": by, "group": group, **record} for record in measured]
    return _frame(records)


def seen_unseen(
    unseen: FaceSet,
    unseen_photos: FaceSet,
    seen: FaceSet,
    seen_photos: FaceSet,
    people_unseen: pd.DataFrame,
    people_seen: pd.DataFrame,
    *,
    rng: np.random.Generator,
    n_resamples: int = 2000,
) -> pd.DataFrame:
    """Speakers that the training has heard and seen against speakers it has not, as many of each sex.

    Returns
    -------
    DataFrame
        Columns speakers ("unseen", "seen in training") and those of `RESULT`.
    """
    sides = {"unseen": (unseen, unseen_photos, people_unseen), "seen in training": (seen, seen_photos, people_seen)}
    picks, resamples = rng.spawn(2)
    present = {name: _present(*side) for name, side in sides.items()}
    sizes = pd.DataFrame({name: side["sex"].value_counts() for name, side in present.items()}).fillna(0).min(axis=1)
    records = []
    for name, (faces, photos, _) in sides.items():
        order = present[name].iloc[picks.permutation(len(present[name]))]
        turn = order.groupby("sex").cumcount()
        kept = order[turn < order["sex"].map(sizes)]
        faces, photos = (part.take(np.isin(part.identities.astype(str), kept["identity"])) for part in (faces, photos))
        measured = _measured(
            faces,
            photos,
            kept,
            metrics=("matching_2way", "matching_within_gender", "cosine_matched"),
            rng=resamples,
            n_resamples=n_resamples,
        )
        records += [{"speakers": name, **record} for record in measured]
    return _frame(records)


def ten_people(
    faces: FaceSet, photos: FaceSet, *, n_people: int = 10, n_draws: int = 500, rng: np.random.Generator
) -> pd.DataFrame:
    """The metrics of a handful of people, drawn over and over: one drawn face and one photograph of each.

    Parameters
    ----------
    faces, photos : FaceSet
        Drawn and real ones, with embeddings and pixels, and with Inception features where FID is wanted. Only people
        whose faces have features are drawn then, if there are `n_people` of them.
    n_people : int
        People a draw; everyone where there are fewer.
    n_draws : int
        Draws.

    Returns
    -------
    DataFrame
        Columns draw, metric (those of `PICKED`), value, everyone (the value of all people with all their faces and
        photographs, compared as elsewhere), n_people, n_everyone and reason.

    Raises
    ------
    MetricError
        Fewer than two people have a face and a photograph.

    Notes
    -----
    FID grows as faces get fewer, so that of ten is far above everyone's even where nothing was picked.
    """
    names = np.intersect1d(faces.identities.astype(str), photos.identities.astype(str))
    if len(names) < 2:
        raise MetricError("ten people", f"are {len(names)}", remedy="Give at least 2.", reason="too_few")
    everyone = _everyone(faces, photos, names)
    with_features = _with_features(faces, photos, names)
    reason = None
    if len(with_features) < n_people and len(with_features) < len(names):
        reason = f"{len(with_features)} people have a face and a photo with Inception features"
        everyone["fid"] = (np.nan, len(with_features))
    else:
        faces, photos, names = _extracted(faces), _extracted(photos), with_features
    rows, photo_rows = (_rows_by_name(part, names) for part in (faces, photos))
    n_people = min(n_people, len(names))
    records = []
    for number in range(n_draws):
        picked = rng.permutation(len(names))[:n_people]
        left = faces.take(np.array([rng.choice(rows[k]) for k in picked]))
        right = photos.take(np.array([rng.choice(photo_rows[k]) for k in picked]))
        values = {
            "fid": np.nan if reason else frechet.fid(left.inception, right.inception, min_n=2),
            "l1_pixel_255": float(np.abs(left.pixels.astype(np.int16) - right.pixels.astype(np.int16)).mean()),
            "cosine_matched": float(np.einsum("nd,nd->n", left.embeddings, right.embeddings).mean()),
        }
        for metric, value in values.items():
            full, n = everyone[metric]
            why = reason if metric == "fid" else None
            records.append((number, metric, value, full, n_people, n, why))
    columns = ["draw", "metric", "value", "everyone", "n_people", "n_everyone", "reason"]
    return pd.DataFrame(records, columns=columns)


def spread(draws: pd.DataFrame, *, n_tries: int = 10) -> pd.DataFrame:
    """What picking people does to each metric.

    Parameters
    ----------
    draws : DataFrame
        From `ten_people`.
    n_tries : int
        Draws of which somebody would show the best one.

    Returns
    -------
    DataFrame
        A row a metric: metric, everyone, median, low and high (5th and 95th percentile of the draws), best, worst,
        best_of_tries (the best of `n_tries` different draws, on average), gain (by how much that is better than
        everyone's value, negative where it is worse), share_better (how often the best of `n_tries` is better),
        n_people, n_draws, reason.
    """
    records = []
    for metric, lower_is_better in PICKED:
        own = draws[draws["metric"] == metric]
        values, everyone = own["value"].to_numpy(float), float(own["everyone"].iloc[0])
        record = dict.fromkeys(SPREAD, np.nan) | {"metric": metric, "everyone": everyone}
        if np.isfinite(values).all():
            sign = -1 if lower_is_better else 1
            ranked = np.sort(sign * values)[::-1]  # the best first, and higher is better
            mean, better = _best_of(ranked, sign * everyone, n_tries=min(n_tries, len(ranked)))
            low, median, high = np.quantile(values, [0.05, 0.5, 0.95])
            record |= {
                "median": median,
                "low": low,
                "high": high,
                "best": sign * ranked[0],
                "worst": sign * ranked[-1],
                "best_of_tries": sign * mean,
                "gain": mean - sign * everyone,
                "share_better": better,
            }
        first = own.iloc[0]
        records.append(record | {"n_people": first["n_people"], "n_draws": len(own), "reason": first["reason"]})
    return pd.DataFrame(records)


# Ten people


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
    codes, photo_codes = _codes(faces, names), _codes(photos, names)
    l1 = pairs.by_identity(pairs.l1_pixel(faces.pixels, codes, photos.pixels, photo_codes), codes, n_identities=n)
    cosine = pairs.cosine_matrix(faces.embeddings, codes, photos.embeddings, photo_codes, n_identities=n)
    found = {"l1_pixel_255": (float(l1.mean()), n), "cosine_matched": (float(np.diag(cosine).mean()), n)}
    faces, photos = _extracted(faces), _extracted(photos)
    fid = np.nan
    if min(len(faces), len(photos)) > 1:
        fid = frechet.fid(faces.inception, photos.inception, min_n=2)
    return found | {"fid": (fid, len(set(faces.identities)))}


def _extracted(faces: FaceSet) -> FaceSet:
    if faces.inception is None:
        return faces.take(np.zeros(len(faces), bool))
    return faces.take(np.isfinite(faces.inception).all(1))


def _with_features(faces: FaceSet, photos: FaceSet, names: np.ndarray) -> np.ndarray:
    both = (_extracted(part).identities.astype(str) for part in (faces, photos))
    return np.intersect1d(np.intersect1d(*both), names)


def _rows_by_name(faces: FaceSet, names: np.ndarray) -> list[np.ndarray]:
    identities = faces.identities.astype(str)
    return [np.flatnonzero(identities == name) for name in names]


# Faces of people


def _measured(
    faces: FaceSet,
    photos: FaceSet,
    people: pd.DataFrame,
    *,
    metrics: Sequence[str] = METRICS,
    probes: set[str] | None = None,
    rng: np.random.Generator,
    n_resamples: int,
) -> list[dict]:
    """Records of `RESULT`, of the speakers in `probes` (everyone if not given) against the photographs of all."""
    everyone, pictured = np.unique(people["identity"].to_numpy(str)), photos.identities.astype(str)
    _codes(faces, everyone), _codes(photos, everyone)  # nobody may be unknown
    names = np.intersect1d(everyone, pictured)
    faces = faces.take(np.isin(faces.identities.astype(str), names))
    codes, photo_codes, n = _codes(faces, names), _codes(photos, names), len(names)
    genders = _genders(people, names)
    probing = np.ones(n, bool) if probes is None else np.isin(names, list(probes))
    settings = {"rng": rng, "n_resamples": n_resamples}
    wins = matching.win_matrix(faces.embeddings, codes, photos.embeddings, photo_codes, n_identities=n)
    records = []
    for metric in metrics:
        if metric in ("matching_2way", "matching_within_gender"):
            stratum = matching.same(genders) if metric == "matching_within_gender" else np.ones_like(wins, bool)
            records.append(_pairs(metric, wins, stratum & probing[:, None], codes, **settings))
            continue
        if metric == "gender_agreement":
            known = np.isin(genders.astype(str), ("f", "m"))[codes]
            agrees = np.where(known, (faces.female > 0.5) == (genders[codes] == "f"), np.nan)
            values = pairs.by_identity(agrees, codes, n_identities=n)
        else:
            matrix = pairs.cosine_matrix(faces.embeddings, codes, photos.embeddings, photo_codes, n_identities=n)
            values = np.diag(matrix)
        records.append(_mean(metric, np.where(probing, values, np.nan), codes, **settings))
    return records


def _pairs(metric: str, matrix: np.ndarray, allowed: np.ndarray, codes: np.ndarray, *, rng, n_resamples: int) -> dict:
    """A record of the mean of `matrix` [n, n] over the allowed pairs of people."""
    allowed = allowed & np.isfinite(matrix) & ~np.eye(len(matrix), dtype=bool)
    people = np.flatnonzero(allowed.any(1))
    if len(people) < 2:  # resamples of the others alone would make a narrow interval for one person
        return _null(metric, "no two people to compare")
    return _record(
        metric, bootstrap.pair_mean(matrix, allowed), len(matrix), people, codes, rng=rng, n_resamples=n_resamples
    )


def _mean(metric: str, values: np.ndarray, codes: np.ndarray, *, rng, n_resamples: int) -> dict:
    """A record of the mean of `values` [n] over the people who have one."""
    people = np.flatnonzero(np.isfinite(values))
    if len(people) < 2:
        return _null(metric, "fewer than two people have a value")
    statistic = bootstrap.mean(values[people])
    return _record(metric, statistic, len(people), people, codes, rng=rng, n_resamples=n_resamples)


def _record(metric, statistic, n, people, codes, *, rng, n_resamples) -> dict:
    rng = copy.deepcopy(rng)  # so that whatever varies is seen on the same resamples
    try:
        estimate = bootstrap.interval(statistic, n, rng=rng, n_resamples=n_resamples)
    except MetricError as error:
        if error.reason != "too_few":
            raise
        return _null(metric, str(error))
    counts = {"n_recordings": int(np.isin(codes, people).sum()), "n_identities": len(people)}
    return {
        "metric": metric,
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        **counts,
        "reason": None,
    }


def _null(metric: str, reason: str) -> dict:
    nothing = {"value": np.nan, "low": np.nan, "high": np.nan, "n_recordings": 0, "n_identities": 0}
    return {"metric": metric, **nothing, "reason": reason}


def _frame(records: list[dict]) -> pd.DataFrame:
    varied = [name for name in records[0] if name not in RESULT]
    return pd.DataFrame(records, columns=[*varied, *RESULT])


def _codes(faces: FaceSet, names: np.ndarray) -> np.ndarray:
    """Places of the identities in `names`, which is sorted."""
    identities = faces.identities.astype(str)
    unknown = np.setdiff1d(identities, names)
    if len(unknown):
        raise MetricError(
            unknown[0],
            f"and {len(unknown) - 1} more identities are not among the people",
            remedy="Give every person a row in people.",
            reason="unknown_identity",
        )
    return np.searchsorted(names, identities)


def _genders(people: pd.DataFrame, names: np.ndarray) -> np.ndarray:
    known = people.drop_duplicates("identity").set_index("identity")["gender"]
    return known.reindex(names).astype(object).to_numpy()


def _present(faces: FaceSet, photos: FaceSet, people: pd.DataFrame) -> pd.DataFrame:
    """People with a face and a photograph, with a column sex that has no missing values."""
    both = np.intersect1d(faces.identities.astype(str), photos.identities.astype(str))
    found = people.drop_duplicates("identity").sort_values("identity").reset_index(drop=True)
    found = found[found["identity"].isin(both)]
    return found.assign(sex=found["gender"].astype(object).where(found["gender"].notna(), "unknown"))


def _spread(faces: FaceSet, *, n_most: int, rng: np.random.Generator) -> FaceSet:
    """At most about `n_most` faces, as many of each person."""
    places = pd.DataFrame({"identity": faces.identities, "at": np.arange(len(faces))})
    return faces.take(face_quality.spread(places, n_most=n_most, rng=rng)["at"].to_numpy())


def _within(faces: FaceSet, codes: np.ndarray, *, n_identities: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean cosine and root mean square pixel distance of two faces of each person, float [n_identities] each.

    NaN for a person who has no two faces, or none of different videos where those are known.
    """
    cosines, distances = np.full(n_identities, np.nan), np.full(n_identities, np.nan)
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        first, second = np.triu_indices(len(rows), 1)
        if faces.sources is not None:
            videos = faces.sources[rows].astype(str)
            first, second = (part[videos[first] != videos[second]] for part in (first, second))
        if len(first):
            vectors = faces.embeddings[rows]
            cosines[code] = (vectors @ vectors.T)[first, second].mean()
            x = faces.pixels[rows].reshape(len(rows), -1).astype(np.float32) / 127.5  # [k, D]
            squares = np.array([((x[row] - x) ** 2).mean(1) for row in range(len(x))])  # [k, k]
            distances[code] = np.sqrt(squares[first, second]).mean()
    return cosines, distances


def _thirds(ages: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Name and members, bool [n], of up to three groups of like size; NaN is in none."""
    if not np.isfinite(ages).any():
        return []
    edges = np.nanquantile(ages, [1 / 3, 2 / 3])
    place = np.where(np.isfinite(ages), np.searchsorted(edges, ages, side="left"), -1)
    found = [(place == k) for k in range(3)]
    ends = [(who, int(ages[who].min()), int(ages[who].max())) for who in found if who.any()]
    return [(f"{low} to {high} years" if low < high else f"{low} years", who) for who, low, high in ends]


def write(tried: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Write the frames of all experiments below one another, ``experiments.csv``, with a column `experiment`."""
    together = pd.concat([frame.assign(experiment=name) for name, frame in tried.items()])
    with files.whole(folder / FILE) as beside:
        together.to_csv(beside, index=False)


def read(folder: Path, name: str) -> pd.DataFrame:
    """The frame of one experiment from what `write` wrote.

    Raises
    ------
    RunError
        It is not there.
    """
    path = folder / FILE
    remedy = "Measure the variant again: run 06_metrics."
    if not path.is_file():
        raise RunError(path, "is not there", remedy=remedy, reason="missing")
    together = pd.read_csv(path)
    found = together[together["experiment"] == name]
    if found.empty:
        raise RunError(path, f"holds no experiment '{name}'", remedy=remedy, reason="format")
    return found.dropna(axis=1, how="all").drop(columns="experiment").reset_index(drop=True)
