"""Experiments of the 2019 paper, on any corpus.

How much speech does a face need? Does one speaker get one face? Whom does it work for? Does it work better for
speakers of the training? Wen, Raj and Singh (2019) ask all four, each in their own words.

Everywhere faces and photos are drawn and real ones with what was read from them, people has the columns identity and
gender, a row a person, rng is the stream of all draws, and n_resamples the bootstrap samples. All return a frame with
a row a value: what varies, then metric (as in `s2f.metrics.catalogue`), value, low, high (95 % bootstrap over
identities), n_recordings, n_identities, and a reason where there is no value.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from s2f import files
from s2f.errors import MetricError, RunError
from s2f.evaluation import face_quality, face_readers
from s2f.evaluation.subject import Subject
from s2f.features import front_end, ge2e_front_end, sound_files
from s2f.features.pixels import HALF
from s2f.metrics import bootstrap, catalogue, matching, pairs, standins
from s2f.metrics.standins import FaceSet
from s2f.training.tracks import FRAMES_PER_S

METRICS = tuple(catalogue.comparable())
FILE = "experiments.csv"
GROUPS, SEEN = ("gender_agreement", "matching_within_gender"), (*METRICS[:2], "cosine_matched")
SPEAKERS = ("unseen", "seen in training")
RESULT = ("metric", "value", "low", "high", "n_recordings", "n_identities", "reason")
SEX_GROUPS = (("f", "women"), ("m", "men"))


def lengths(
    subject: Subject,
    photos: FaceSet,
    *,
    seconds: Sequence[float] = (1, 2, 3, 5, 10),
    n_most: int,
    rng: np.random.Generator,
    n_resamples: int = 2000,
) -> pd.DataFrame:
    """How good faces are that are drawn from the first seconds of the speech in a recording of a test person.

    The same recordings are cut at each length, and the same resamples of people give the intervals. A cut recording is
    treated as a short one would be: our own encoder's is normalised and repeated to 10 s, a packaged one's is read from
    its file again.

    At most about `n_most` recordings are taken, spread evenly over the people.

    Returns
    -------
    DataFrame
        Columns seconds, share_cut (share of the recordings that are longer), and those of `RESULT`. Without any value
        where the encoder reads sound, and the recordings are not there any more.

    Raises
    ------
    MetricError: a length of less than one frame
    AudioError: a recording that cannot be read again
    """
    if min(seconds) * FRAMES_PER_S < 1:
        raise MetricError("seconds", f"holds {min(seconds)}", remedy=f"Take at least {1 / FRAMES_PER_S} s.")
    model, root = subject.model, subject.root
    if model.architecture.encoder != "own" and (root is None or not root.is_dir()):
        reason = f"the encoder {model.architecture.encoder} reads sound, and the recordings are not there"
        nulls = [_null(metric, reason) for metric in METRICS]
        return _frame([{"seconds": s, "share_cut": np.nan, **null} for s in seconds for null in nulls])
    picks, resamples = rng.spawn(2)
    voices, people = face_quality.spread(subject.held_out.voices, n_most=n_most, rng=picks), subject.held_out.people
    heard: list[list[np.ndarray]] = [[] for _ in seconds]
    longer = np.zeros(len(seconds))
    for voice in tqdm(voices.itertuples(), desc="lengths of speech", total=len(voices), unit="voice", mininterval=1.0):
        speech = _Speech.of(subject, voice)
        for place, s in enumerate(seconds):
            longer[place] += speech.seconds > s
            heard[place].append(model.embed(speech.first(s)))
    records = []
    for s, share, vectors in zip(seconds, longer / len(voices), heard, strict=True):
        drawn = model.draws(torch.from_numpy(np.stack(vectors)), seed=subject.seed)[:, 0]  # [n_recordings, 64, 64, 3]
        faces = face_readers.describe(drawn, voices["identity"].to_numpy(object), reader=subject.reader)
        measured = _measured(faces, photos, people, resamples=_Resamples(resamples, n_resamples))
        records += [{"seconds": s, "share_cut": float(share), **record} for record in measured]
    return _frame(records)


@dataclass(frozen=True)
class _Speech:
    """The speech in a recording: log-mel frames, or the wave as a packaged encoder hears it."""

    heard: np.ndarray
    encoder: str

    @classmethod
    def of(cls, subject: Subject, voice: Any) -> _Speech:
        if subject.model.architecture.encoder == "own":
            return cls(subject.store.mel(voice.row), "own")
        assert subject.root is not None  # `lengths` has looked
        path = subject.root / voice.path
        return cls(ge2e_front_end.prepared(sound_files.read(path), name=path), "ge2e")

    @property
    def per_s(self) -> int:
        return FRAMES_PER_S if self.encoder == "own" else front_end.SAMPLE_RATE

    @property
    def seconds(self) -> float:
        return len(self.heard) / self.per_s

    def first(self, seconds: float) -> np.ndarray:
        """What the encoder would read if the speech had ended after so many seconds."""
        n = round(seconds * self.per_s)
        if self.encoder == "own":
            return first_frames(self.heard, n_frames=n)
        return ge2e_front_end.windows(self.heard[:n])


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

    Where sources are given, two faces of one person count only if they are from different videos. At most about
    `n_most` faces and photographs are taken, spread evenly over the people.

    Returns
    -------
    DataFrame
        Columns faces ("drawn", "real"), pair ("one person", "two of one sex") and those of `RESULT`, with n_recordings
        the number of faces. Cosines of identity embeddings are called cosine_matched and cosine_mismatched; root mean
        square pixel distances on the [−1, 1] scale are called consistency and diversity.
    """
    names = np.unique(people["identity"].to_numpy(str))
    others = matching.same(_genders(people, names))
    picks, stream = rng.spawn(2)
    resamples = _Resamples(stream, n_resamples)
    records = []
    for kind, part in (("drawn", faces), ("real", photos)):
        part = _spread(part, n_most=n_most, rng=picks)
        codes, vectors = places(part, names), part.part("embeddings")
        cosines, distances = _within(part, codes, n_identities=len(names))
        cosine = pairs.cosine_matrix(vectors, codes, vectors, codes, n_identities=len(names))
        rms = pairs.rms_matrix(part.part("pixels"), codes, n_identities=len(names))
        for metric, values in (("cosine_matched", cosines), ("consistency", distances)):
            own = resamples.mean(metric, values, codes)
            records.append({"faces": kind, "pair": "one person", **own})
        for metric, matrix in (("cosine_mismatched", cosine), ("diversity", rms)):
            two = resamples.pairs(metric, matrix, others, codes)
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
    ages : Series, optional, age in years by identity; people are divided into thirds of those that are known

    Returns
    -------
    DataFrame, columns by ("sex", "age"), group and those of `RESULT`; no row of a group without people, unless all are
    """
    names = np.unique(people["identity"].to_numpy(str))
    genders = _genders(people, names)
    members = [("sex", group, genders == sex) for sex, group in SEX_GROUPS]
    if ages is not None:
        members += [("age", group, who) for group, who in _thirds(ages.reindex(names).to_numpy(float))]
    records = []
    members = [each for each in members if each[2].any()] or members  # where nothing is known of anybody, that is said
    for by, group, who in members:
        resamples, probes = _Resamples(rng, n_resamples), set(names[who])
        measured = _measured(faces, photos, people, metrics=GROUPS, probes=probes, resamples=resamples)
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

    Who counts is what `of_known_sex` says.

    Returns
    -------
    DataFrame, columns speakers ("unseen", "seen in training") and those of `RESULT`
    """
    both = (unseen, unseen_photos, people_unseen), (seen, seen_photos, people_seen)
    sides = dict(zip(SPEAKERS, both, strict=True))
    picks, resamples = rng.spawn(2)
    present = dict(zip(sides, of_known_sex(*(_present(*side) for side in sides.values())), strict=True))
    sizes = pd.DataFrame({name: side["sex"].value_counts() for name, side in present.items()}).fillna(0).min(axis=1)
    records = []
    for name, (faces, photos, _) in sides.items():
        order = present[name].iloc[picks.permutation(len(present[name]))]
        turn = order.groupby("sex").cumcount()
        kept = order[turn < order["sex"].map(sizes)]
        faces, photos = (part.take(np.isin(part.identities.astype(str), kept["identity"])) for part in (faces, photos))
        measured = _measured(faces, photos, kept, metrics=SEEN, resamples=_Resamples(resamples, n_resamples))
        records += [{"speakers": name, **record} for record in measured]
    return _frame(records)


def unmeasured(speakers: Sequence[str], reason: str) -> pd.DataFrame:
    """As `seen_unseen` gives it, with no value and a reason."""
    return _frame([{"speakers": who, **_null(metric, reason)} for who in speakers for metric in SEEN])


# Faces of people


@dataclass(frozen=True)
class _Resamples:
    """Intervals from `n` bootstrap samples of people; whatever varies is seen on the same ones."""

    rng: np.random.Generator
    n: int

    def pairs(self, metric: str, matrix: np.ndarray, allowed: np.ndarray, codes: np.ndarray) -> dict:
        """A record of the mean of `matrix` [n, n] over the allowed pairs of people; `codes` are those of the faces."""
        allowed = allowed & np.isfinite(matrix) & ~np.eye(len(matrix), dtype=bool)
        people = np.flatnonzero(allowed.any(1))
        if len(people) < 2:  # resamples of the others alone would make a narrow interval for one person
            return _null(metric, "no two people to compare")
        return self._record(metric, bootstrap.pair_mean(matrix, allowed), len(matrix), np.isin(codes, people), people)

    def mean(self, metric: str, values: np.ndarray, codes: np.ndarray) -> dict:
        """A record of the mean of `values` [n] over the people who have one."""
        people = np.flatnonzero(np.isfinite(values))
        if len(people) < 2:
            return _null(metric, "fewer than two people have a value")
        return self._record(metric, bootstrap.mean(values[people]), len(people), np.isin(codes, people), people)

    def _record(
        self, metric: str, statistic: bootstrap.Statistic, n: int, counted: np.ndarray, people: np.ndarray
    ) -> dict:
        rng = copy.deepcopy(self.rng)
        estimate = bootstrap.unless_too_few(lambda: bootstrap.interval(statistic, n, rng=rng, n_resamples=self.n))
        if isinstance(estimate, str):
            return _null(metric, estimate)
        interval = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
        counts = {"n_recordings": int(counted.sum()), "n_identities": len(people)}
        return {"metric": metric, **interval, **counts, "reason": None}


def _measured(
    faces: FaceSet,
    photos: FaceSet,
    people: pd.DataFrame,
    *,
    metrics: Sequence[str] = METRICS,
    probes: set[str] | None = None,
    resamples: _Resamples,
) -> list[dict]:
    """Records of `RESULT`, of the speakers in `probes` (everyone if not given) against the photographs of all."""
    everyone, pictured = np.unique(people["identity"].to_numpy(str)), photos.identities.astype(str)
    places(faces, everyone), places(photos, everyone)  # nobody may be unknown
    names = np.intersect1d(everyone, pictured)
    faces = faces.take(np.isin(faces.identities.astype(str), names))
    codes, photo_codes, n = places(faces, names), places(photos, names), len(names)
    vectors, photo_vectors = faces.part("embeddings"), photos.part("embeddings")
    genders = _genders(people, names)
    probing = np.ones(n, bool) if probes is None else np.isin(names, list(probes))
    wins = matching.win_matrix(vectors, codes, photo_vectors, photo_codes, n_identities=n)
    records = []
    for metric in metrics:
        if metric in ("matching_2way", "matching_within_gender"):
            stratum = matching.same(genders) if metric == "matching_within_gender" else np.ones_like(wins, bool)
            records.append(resamples.pairs(metric, wins, stratum & probing[:, None], codes))
            continue
        if metric == "gender_agreement":
            has_one = np.isin(genders.astype(str), ("f", "m"))[codes]
            agrees = np.where(has_one, (faces.part("female") > 0.5) == (genders[codes] == "f"), np.nan)
            values = pairs.by_identity(agrees, codes, n_identities=n)
        else:
            matrix = pairs.cosine_matrix(vectors, codes, photo_vectors, photo_codes, n_identities=n)
            values = np.diag(matrix)
        records.append(resamples.mean(metric, np.where(probing, values, np.nan), codes))
    return records


def _null(metric: str, reason: str) -> dict:
    nothing = {"value": np.nan, "low": np.nan, "high": np.nan, "n_recordings": 0, "n_identities": 0}
    return {"metric": metric, **nothing, "reason": reason}


def _frame(records: list[dict]) -> pd.DataFrame:
    varied = [name for name in records[0] if name not in RESULT]
    return pd.DataFrame(records, columns=[*varied, *RESULT])


def places(faces: FaceSet, names: np.ndarray) -> np.ndarray:
    """Places of the identities in `names`, which is sorted."""
    identities = faces.identities.astype(str)
    standins.refuse_unknown(np.setdiff1d(identities, names))
    return np.searchsorted(names, identities)


def _genders(people: pd.DataFrame, names: np.ndarray) -> np.ndarray:
    gender = people.drop_duplicates("identity").set_index("identity")["gender"]
    return gender.reindex(names).astype(object).to_numpy()


def _present(faces: FaceSet, photos: FaceSet, people: pd.DataFrame) -> pd.DataFrame:
    """People with a face and a photograph."""
    both = np.intersect1d(faces.identities.astype(str), photos.identities.astype(str))
    found = people.drop_duplicates("identity").sort_values("identity").reset_index(drop=True)
    return found[found["identity"].isin(both)]


def of_known_sex(*sides: pd.DataFrame) -> list[pd.DataFrame]:
    """People of known sex, which is their column sex, on sides of a comparison that shall have as many of each.

    Where nobody's sex is known on one of the sides, all people of all sides are one group, and only their numbers can
    be made alike.
    """
    known = [people[people["gender"].notna()] for people in sides]
    if any(people.empty for people in known):
        return [people.assign(sex="") for people in sides]
    return [people.assign(sex=people["gender"]) for people in known]


def _spread(faces: FaceSet, *, n_most: int, rng: np.random.Generator) -> FaceSet:
    """At most about `n_most` faces, as many of each person."""
    rows = pd.DataFrame({"identity": faces.identities, "at": np.arange(len(faces))})
    return faces.take(face_quality.spread(rows, n_most=n_most, rng=rng)["at"].to_numpy())


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
            vectors = faces.part("embeddings")[rows]
            cosines[code] = (vectors @ vectors.T)[first, second].mean()
            x = faces.part("pixels")[rows].reshape(len(rows), -1).astype(np.float32) / HALF  # [k, D]
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
    ends = [(who, ages[who].min(), ages[who].max()) for who in found if who.any()]
    return [(f"{low:.3g} to {high:.3g} years" if low < high else f"{low:.3g} years", who) for who, low, high in ends]


def write(tried: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Write the frames of all experiments below one another, ``experiments.csv``, with a column `experiment`."""
    together = pd.concat([frame.assign(experiment=name) for name, frame in tried.items()])
    with files.whole(folder / FILE) as beside:
        together.to_csv(beside, index=False)


def read(folder: Path, name: str) -> pd.DataFrame:
    """The frame of one experiment from what `write` wrote.

    Raises
    ------
    RunError: it is not there
    """
    path = folder / FILE
    remedy = "Measure the variant again: run 06_metrics."
    if not path.is_file():
        raise RunError(path, "is not there", remedy=remedy, reason="missing")
    together = pd.read_csv(path, float_precision="round_trip")
    found = together[together["experiment"] == name].drop(columns="experiment").reset_index(drop=True)
    if found.empty:
        raise RunError(path, f"holds no experiment '{name}'", remedy=remedy, reason="format")
    # What varies in other experiments alone is empty here; a result may be, where nothing could be measured.
    return found[[column for column in found if column in RESULT or found[column].notna().any()]]
