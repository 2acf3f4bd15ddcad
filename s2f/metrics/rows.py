"""The rows of a variant: every set of faces that could stand in for the generated ones, measured alike.

A row is nothing but a `FaceSet`. What a set does not carry, a metric that has too few faces, and a
comparison that makes no sense are null with a reason, never a number. Every other row is also subtracted from
the model's, on the same people in the same resamples, which is what says whether the two differ.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from s2f.errors import MetricError, nearest
from s2f.metrics import bootstrap, frechet, manifolds, matching, pairs
from s2f.metrics.bootstrap import Estimate, Statistic
from s2f.metrics.standins import FaceSet, halves, someone_else

ROWS = (
    "model",
    "general",
    "chance",
    "mean_face",
    "gender_mean_face",
    "random_real",
    "gender_oracle",
    "noise_voice",
    "shuffled_voice",
    "probe",
    "ceiling",
)
METRICS = (
    "fid",
    "fid_real_real",
    "kid",
    "precision",
    "recall",
    "l1_pixel_255",
    "l1_pixel_unit",
    "l1_embedding_sum",
    "l1_embedding_mean",
    "cosine_matched",
    "cosine_mismatched",
    "recall_at_1",
    "recall_at_5",
    "recall_at_10",
    "identification_top_1",
    "identification_top_5",
    "matching_2way",
    "matching_within_gender",
    "matching_within_gender_nationality",
    "matching_same_video",
    "matching_other_video",
    "matching_video_difference",
    "matching_same_video_within_gender",
    "matching_other_video_within_gender",
    "matching_video_difference_within_gender",
    "gender_agreement",
    "diversity",
    "diversity_share",
    "consistency",
)

SETS = ("fid", "fid_real_real", "precision", "recall")  # of sets of faces: they have no interval
NO_VIDEO = {  # rows whose faces were drawn from no voice of the person
    "random_real": "a photograph, drawn from no voice",
    "ceiling": "a photograph, drawn from no voice",
    "shuffled_voice": "the voice is someone else's",
}

Entry = dict[str, float | int | str | None]


def evaluate(
    stand_ins: Mapping[str, FaceSet],
    photos: FaceSet,
    people: pd.DataFrame,
    *,
    protocol: str,
    rng: np.random.Generator,
    absent: Mapping[str, str] | None = None,
    n_resamples: int = 2000,
    n_subsamples: int = 200,
    n_way: int = 100,
    n_fid: int | None = None,
    min_n: int = frechet.MIN_FACES,
) -> dict:
    """Measure every row.

    Parameters
    ----------
    stand_ins : mapping of str to FaceSet
        One face (or embedding) a test recording, for any of `ROWS`. Rows `chance`, `gender_oracle`,
        `random_real` and `ceiling` are made here from the photos and people.
    photos : FaceSet
        Every held-out photo of the people.
    people : DataFrame
        Columns identity, gender ("f", "m" or None), nationality (str or None), one row a person.
    protocol : str
        "held_out" or "closed_set", as it goes into the result.
    rng : numpy.random.Generator
        Stream of the bootstrap, the halves and the galleries, which are the same for all rows.
    absent : mapping of str to str, optional
        Why a row has no faces.
    n_resamples : int
        Bootstrap samples.
    n_subsamples : int
        Subsamples of identities for the interval of KID.
    n_way : int
        People in a recall gallery.
    n_fid : int, optional
        Most faces, and photos, of FID, KID, precision and recall. It is the same for all rows: that of the row, or
        of the half of the photos, that has fewest.
    min_n : int
        Fewest faces for FID, KID, precision and recall.

    Returns
    -------
    dict
        `{"protocol": …, "rows": {row: {metric: {"value", "low", "high", "n_recordings", "n_identities",
        "reference", "reason"}}}, "differences": {row: {metric: {"value", "low", "high", "n_identities",
        "reason"}}}}`, ready for JSON. A difference is the model's value minus the row's; there is one for each row
        that was measured and each metric that has an interval.

    Raises
    ------
    MetricError
        An unknown row, no photos, or faces of people that are not in `people`.

    Notes
    -----
    Pair metrics compare with every photo of a person, except rows `random_real` and `ceiling`, whose
    faces come from one half of the photos and are compared with the other. FID, KID, precision and recall compare
    every row with that other half, at one n on both sides, so that the rows can be compared.

    A difference is taken on the people who have a value in both rows; all others weigh nothing. Both terms are
    evaluated on the same resamples (for KID, on the same halves of the people).
    """
    for row in [*stand_ins, *(absent or {})]:
        if row not in ROWS:
            raise MetricError(row, "is no row of the results", remedy=nearest(row, ROWS))
    if len(photos) == 0:
        raise MetricError("photos", "are empty", remedy="Give the held-out photos of the people.", reason="too_few")
    people = people.drop_duplicates("identity").sort_values("identity").reset_index(drop=True)
    names = ("halves", "random", "sets", "draws", "resamples", "subsamples")
    streams = dict(zip(names, rng.spawn(len(names)), strict=True))
    reference, source = halves(photos, rng=streams["halves"])
    sets = dict(stand_ins)
    if len(source):
        sets["ceiling"] = source
    if len(set(source.identities)) > 1:
        sets["random_real"] = someone_else(source, rng=streams["random"])
    _known([photos, *sets.values()], people)
    real = _real_sets(reference, source, sets.values(), n_most=n_fid, min_n=min_n, rng=streams["sets"])
    resampling = _Resampling(
        counts=bootstrap.resamples(len(people), rng=streams["resamples"], n_resamples=n_resamples),
        rng=streams["subsamples"],
        n_subsamples=n_subsamples,
    )
    measured, rows = {}, {}
    for row in ROWS:
        measuring = _Measuring(people, photos, n_way=n_way, resampling=resampling, rng=streams["draws"])
        if row == "chance":
            rows[row] = measuring.chance()
        elif row == "gender_oracle":
            rows[row] = measuring.gender_oracle()
        elif row in sets:
            if real is not None:
                measuring.distribution(sets[row], real, min_n=min_n)
            gallery = reference if row in ("ceiling", "random_real") else photos
            rows[row] = measuring.faces(
                sets[row], gallery=gallery, no_video=NO_VIDEO.get(row), direction=row == "probe"
            )
        else:
            default = "no person has two photos" if row in ("ceiling", "random_real") else "not measured"
            rows[row] = measuring.filled((absent or {}).get(row, default))
            continue
        measured[row] = measuring
    model = measured.pop("model", None)
    differences = {} if model is None else {row: model.minus(other, row=row) for row, other in measured.items()}
    return {"protocol": protocol, "rows": rows, "differences": differences}


@dataclass(frozen=True)
class _RealSets:
    """Real photos that sets of faces are compared with, n of them, and the FID of as many other real photos."""

    reference: FaceSet
    n: int
    fid: float | None
    text: str


def _real_sets(
    reference: FaceSet,
    source: FaceSet,
    rows: Iterable[FaceSet],
    *,
    n_most: int | None,
    min_n: int,
    rng: np.random.Generator,
) -> _RealSets | None:
    if reference.inception is None or source.inception is None:
        return None
    sizes = [len(_extracted(faces)) for faces in (reference, source, *rows) if faces.inception is not None]
    n = min(sizes) if n_most is None else min(n_most, *sizes)
    text = f"{n} real photos, of the half that no row takes faces from"
    reference, source = (_sample(part, n, rng=rng) for part in (reference, source))
    floor = frechet.fid(source.inception, reference.inception, min_n=min_n) if n >= max(min_n, 2) else None
    return _RealSets(reference=reference, n=n, fid=floor, text=text)


@dataclass(frozen=True)
class _Statistic:
    """What an interval came from, kept for differences.

    Attributes
    ----------
    function : callable
        Maps counts over all people to values.
    people : ndarray, bool [n]
        Who has a value.
    halves : bool
        Whether copies of a person would bias it, so that halves of the people are drawn.
    """

    function: Statistic
    people: np.ndarray
    halves: bool = False


@dataclass(frozen=True)
class _Resampling:
    """The same resamples of all people for every row and metric."""

    counts: np.ndarray  # [n_resamples, n]
    rng: np.random.Generator
    n_subsamples: int

    def estimate(self, statistic: _Statistic) -> Estimate:
        if statistic.halves:
            rng = copy.deepcopy(self.rng)  # the same halves each time
            return bootstrap.subsampled(
                statistic.function, people=statistic.people, rng=rng, n_subsamples=self.n_subsamples
            )
        return bootstrap.estimate(statistic.function, self.counts, people=statistic.people)


class _Measuring:
    """Collects the entries of one row."""

    def __init__(
        self, people: pd.DataFrame, photos: FaceSet, *, n_way: int, resampling: _Resampling, rng: np.random.Generator
    ) -> None:
        self.people = {identity: code for code, identity in enumerate(people["identity"])}
        self.genders = people["gender"].to_numpy(object)
        same_gender = matching.same(self.genders)
        same_nationality = matching.same(people["nationality"].to_numpy(object))
        self.strata = {
            "matching_2way": np.ones_like(same_gender),
            "matching_within_gender": same_gender,
            "matching_within_gender_nationality": same_gender & same_nationality,
        }
        self.photos, self.n_way, self.resampling = photos, n_way, resampling
        # Each row draws the same faces and galleries, so that a row minus itself is nothing.
        self.of_sets, self.of_galleries = copy.deepcopy(rng), copy.deepcopy(rng)
        self.entries: dict[str, Entry] = {}
        self.statistics: dict[str, _Statistic] = {}

    # What a row of faces or embeddings measures

    def faces(
        self, faces: FaceSet, *, gallery: FaceSet, no_video: str | None = None, direction: bool = False
    ) -> dict[str, Entry]:
        """All entries of a row; with `direction`, embeddings tell who, and not how far away from the photos."""
        codes, photo_codes = self._codes(faces), self._codes(gallery)
        with_photos = np.isin(codes, photo_codes)
        if not with_photos.all():
            faces, codes = faces.take(with_photos), codes[with_photos]
        per_person = f"{len(gallery)} photos of {len(np.unique(photo_codes))} people"
        if faces.pixels is not None and gallery.pixels is not None:
            self._pixels(faces, codes, gallery, photo_codes, reference=f"the person's own among {per_person}")
        if faces.embeddings is not None and gallery.embeddings is not None:
            vectors, photo_vectors = faces.embeddings, gallery.embeddings
            if direction:
                for metric in ("l1_embedding_sum", "l1_embedding_mean", "cosine_matched", "cosine_mismatched"):
                    self._set(metric, None, reason="it is a direction away from the mean face, not a face")
            else:
                self._distances(vectors, codes, photo_vectors, photo_codes, reference=per_person)
            self._matching(vectors, codes, photo_vectors, photo_codes, reference=per_person)
            if no_video is None and (faces.sources is None or gallery.sources is None):
                no_video = "the videos of the voices or of the photos are not known"
            self._videos(faces, codes, gallery, photo_codes, no_video=no_video, reference=per_person)
        if faces.female is not None:
            self._gender_agreement(faces.female, codes)
        return self.filled("this row has no faces of this kind")

    def distribution(self, faces: FaceSet, real: _RealSets, *, min_n: int) -> None:
        if faces.inception is None:
            return
        drawn = _sample(faces, real.n, rng=self.of_sets)
        features, reference = drawn.inception, real.reference.inception
        counts = {"n_recordings": real.n, "n_identities": len(set(drawn.identities)), "reference": real.text}
        with self._reported(*SETS, "kid"):
            value = frechet.fid(features, reference, min_n=min_n)
            note = "no interval: FID is biased at small n; fid_real_real is the floor at the same n"
            self._set("fid", value, **counts, reason=note)
            self._set("fid_real_real", real.fid, **counts, reason="no interval: FID is biased")
            shares = manifolds.precision_recall(features, reference)
            note = "no interval: it depends on n, and copies of a face would change its neighbours"
            for metric, share in zip(("precision", "recall"), shares, strict=True):
                self._set(metric, share, **counts, reason=note)
            codes, real_codes = self._codes(drawn), self._codes(real.reference)
            n = len(self.people)
            kid = frechet.kid(features, codes, reference, real_codes, n_identities=n, min_n=min_n)
            in_both = np.isin(np.arange(n), np.intersect1d(codes, real_codes))
            self._interval("kid", kid, in_both, halves=True, **counts)

    def gender_oracle(self) -> dict[str, Entry]:
        """Knows the speaker's sex and nothing else: every photo of that sex is equally similar."""
        code = np.array([{"f": 1, "m": -1}.get(gender, 0) for gender in self.genders], float)
        if (code == 0).any():
            return self.filled("the gender of some people is unknown")
        photo_codes = self._codes(self.photos)
        present = np.unique(photo_codes)
        signs = code[:, None].astype(np.float32)  # [n, 1]
        self._matching(signs[present], present, signs[photo_codes], photo_codes, reference="sex alone")
        self._constant("gender_agreement", 1.0, n_identities=len(present), reference="by definition")
        return self.filled("sex alone is no face")

    def chance(self) -> dict[str, Entry]:
        n_people = len(set(self.photos.identities))
        videos = [metric for metric in METRICS if "_video" in metric]
        for metric in [*self.strata, *videos]:
            value = 0.0 if "difference" in metric else 0.5
            self._constant(metric, value, n_identities=n_people, reference="by definition")
        size = matching.gallery_size(n_people, n_way=self.n_way)
        for metric, k, n in [
            *((f"recall_at_{k}", k, size) for k in (1, 5, 10)),
            *((f"identification_top_{k}", k, n_people) for k in (1, 5)),
        ]:
            if k < n:
                self._constant(metric, k / n, n_identities=n_people, reference=f"{k} of {n}")
            else:
                self._set(metric, None, reason=f"a gallery of {n} people is too small")
        self._constant("gender_agreement", 0.5, n_identities=n_people, reference="a coin")
        return self.filled("chance is no face")

    def filled(self, reason: str) -> dict[str, Entry]:
        """Entries of all metrics in order, those not measured null with a reason."""
        self.entries = {metric: self.entries.get(metric, _entry(None, reason=reason)) for metric in METRICS}
        return self.entries

    def minus(self, other: _Measuring, *, row: str) -> dict[str, Entry]:
        """This row minus another, paired, for every metric that has an interval."""
        return {metric: self._minus(other, metric, row=row) for metric in METRICS if metric not in SETS}

    def _minus(self, other: _Measuring, metric: str, *, row: str) -> Entry:
        nothing = {"value": None, "low": None, "high": None, "n_identities": None}
        for name, part in (("model", self), (row, other)):
            if metric not in part.statistics:
                return nothing | {"reason": f"{name}: {part.entries[metric]['reason']}"}
        ours, theirs = self.statistics[metric], other.statistics[metric]
        people = ours.people & theirs.people
        function = bootstrap.within(bootstrap.difference(ours.function, theirs.function), people)
        try:
            found = self.resampling.estimate(_Statistic(function, people, halves=ours.halves))
        except MetricError as error:
            return nothing | {"reason": str(error)}
        n = int(people.sum())
        return {"value": found.value, "low": found.low, "high": found.high, "n_identities": n, "reason": None}

    # Groups of metrics

    def _pixels(
        self, faces: FaceSet, codes: np.ndarray, gallery: FaceSet, photo_codes: np.ndarray, *, reference: str
    ) -> None:
        l1 = pairs.l1_pixel(faces.pixels, codes, gallery.pixels, photo_codes)
        self._mean("l1_pixel_255", l1, codes, reference=reference + ", 0 to 255")
        self._mean("l1_pixel_unit", l1 / 127.5, codes, reference=reference + ", -1 to 1")
        drawn = pairs.rms_matrix(faces.pixels, codes, n_identities=len(self.people))
        real = pairs.rms_matrix(gallery.pixels, photo_codes, n_identities=len(self.people))
        both = matching.same(self.genders) & np.isfinite(drawn) & np.isfinite(real)
        both &= ~np.eye(len(both), dtype=bool)
        of_faces, of_photos = bootstrap.pair_mean(drawn, both), bootstrap.pair_mean(real, both)
        text = "root mean square pixel difference on -1 to 1, different people of one sex"
        if not both.any():
            self._set("diversity", None, reason="no two people of one known sex")
            self._set("diversity_share", None, reason="no two people of one known sex")
        else:
            self._interval("diversity", of_faces, both.any(1), n_recordings=len(faces), reference=text)
            share, text = bootstrap.ratio(of_faces, of_photos), f"the same among {len(gallery)} real photos"
            self._interval("diversity_share", share, both.any(1), n_recordings=len(faces), reference=text)
        within = np.diag(drawn)
        if np.isfinite(within).any():
            text = "root mean square pixel difference on -1 to 1, recordings of one person"
            self._interval(
                "consistency", bootstrap.mean(within), np.isfinite(within), n_recordings=len(faces), reference=text
            )
        else:
            self._set("consistency", None, reason="no person has two recordings")

    def _distances(
        self,
        vectors: np.ndarray,
        codes: np.ndarray,
        photo_vectors: np.ndarray,
        photo_codes: np.ndarray,
        *,
        reference: str,
    ) -> None:
        n_dims = vectors.shape[1]
        l1 = pairs.l1_embedding(vectors, codes, photo_vectors, photo_codes)
        own = f"the person's own among {reference}, unit {n_dims}-d embeddings"
        self._mean("l1_embedding_sum", l1, codes, reference=own)
        self._mean("l1_embedding_mean", l1 / n_dims, codes, reference=own)
        cosine = pairs.cosine_matrix(vectors, codes, photo_vectors, photo_codes, n_identities=len(self.people))
        matched = np.diag(cosine)
        n = {"n_recordings": len(vectors)}
        self._interval("cosine_matched", bootstrap.mean(matched), np.isfinite(matched), **n, reference=own)
        others = own.replace("the person's own", "other people's")
        mismatched = bootstrap.pair_mean(cosine, np.isfinite(cosine))
        self._interval("cosine_mismatched", mismatched, np.isfinite(matched), **n, reference=others)

    def _matching(
        self,
        vectors: np.ndarray,
        codes: np.ndarray,
        photo_vectors: np.ndarray,
        photo_codes: np.ndarray,
        *,
        reference: str,
    ) -> None:
        wins = matching.win_matrix(vectors, codes, photo_vectors, photo_codes, n_identities=len(self.people))
        for metric, stratum in self.strata.items():
            allowed = stratum & np.isfinite(wins)
            if not allowed.any():
                self._set(metric, None, reason="no two people to compare within this stratum")
                continue
            statistic = bootstrap.pair_mean(wins, allowed)
            self._interval(metric, statistic, allowed.any(1), n_recordings=len(vectors), reference=reference)
        self._galleries(vectors, codes, photo_vectors, photo_codes)

    def _galleries(
        self, vectors: np.ndarray, codes: np.ndarray, photo_vectors: np.ndarray, photo_codes: np.ndarray
    ) -> None:
        n_people = len(np.unique(photo_codes))
        size = matching.gallery_size(n_people, n_way=self.n_way)
        sets = (vectors, codes, photo_vectors, photo_codes)
        for name, all_ks, n in (("recall_at", (1, 5, 10), size), ("identification_top", (1, 5), n_people)):
            ks = tuple(k for k in all_ks if k < n)
            for k in set(all_ks) - set(ks):
                self._set(f"{name}_{k}", None, reason=f"a gallery of {n} people is too small")
            if not ks:
                continue
            if name == "recall_at":
                hits = matching.recall(*sets, ks=ks, n_way=self.n_way, rng=self.of_galleries)  # [n, len(ks)]
                text = f"galleries of {n} people"
            else:
                hits = matching.identification(*sets, ks=ks)  # [n, len(ks)]
                text = f"the mean photos of {n} people"
            for column, k in enumerate(ks):
                self._mean(f"{name}_{k}", hits[:, column], codes, reference=f"{text}, chance {k / n:.3f}")

    def _videos(
        self,
        faces: FaceSet,
        codes: np.ndarray,
        gallery: FaceSet,
        photo_codes: np.ndarray,
        *,
        no_video: str | None,
        reference: str,
    ) -> None:
        if no_video is None:
            both = matching.in_and_out_of_video(codes, faces.sources, photo_codes, gallery.sources)
            if not both.any():
                no_video = "nobody has photos from the voice's video and from another one"
        if no_video is not None:
            for metric in METRICS:
                if "_video" in metric:
                    self._set(metric, None, reason=no_video)
            return
        inside, outside = (
            matching.win_matrix(
                faces.embeddings[both],
                codes[both],
                gallery.embeddings,
                photo_codes,
                n_identities=len(self.people),
                videos=faces.sources[both],
                photo_videos=gallery.sources,
                same_video=same,
            )
            for same in (True, False)
        )
        for stratum, suffix in (("matching_2way", ""), ("matching_within_gender", "_within_gender")):
            allowed = self.strata[stratum] & np.isfinite(inside)
            names = [f"matching_{what}{suffix}" for what in ("same_video", "other_video", "video_difference")]
            if not allowed.any():
                for metric in names:
                    self._set(metric, None, reason="no two people to compare within this stratum")
                continue
            same, other = bootstrap.pair_mean(inside, allowed), bootstrap.pair_mean(outside, allowed)
            for metric, statistic in zip(names, (same, other, bootstrap.difference(same, other)), strict=True):
                self._interval(metric, statistic, allowed.any(1), n_recordings=int(both.sum()), reference=reference)

    def _gender_agreement(self, female: np.ndarray, codes: np.ndarray) -> None:
        truth = self.genders[codes]
        known = np.array([gender in ("f", "m") for gender in truth], bool)
        if not known.any():
            self._set("gender_agreement", None, reason="no gender is known")
            return
        agrees = ((female > 0.5) == (truth == "f"))[known].astype(float)
        self._mean("gender_agreement", agrees, codes[known], reference="the speaker's sex, read from the face")

    # Entries

    def _codes(self, faces: FaceSet) -> np.ndarray:
        return np.array([self.people[identity] for identity in faces.identities], int)

    def _mean(self, metric: str, values: np.ndarray, codes: np.ndarray, *, reference: str) -> None:
        people = pairs.by_identity(values, codes, n_identities=len(self.people))
        self._interval(
            metric, bootstrap.mean(people), np.isfinite(people), n_recordings=len(values), reference=reference
        )

    def _interval(
        self,
        metric: str,
        function: Statistic,
        people: np.ndarray,
        *,
        n_recordings: int,
        reference: str,
        n_identities: int | None = None,
        halves: bool = False,
    ) -> None:
        statistic = _Statistic(function, people, halves=halves)
        with self._reported(metric):
            estimate = self.resampling.estimate(statistic)
            n = int(people.sum()) if n_identities is None else n_identities
            self._set(metric, estimate, n_recordings=n_recordings, n_identities=n, reference=reference)
            self.statistics[metric] = statistic

    def _constant(self, metric: str, value: float, *, n_identities: int, reference: str) -> None:
        self._set(metric, value, n_identities=n_identities, reference=reference)
        self.statistics[metric] = _Statistic(bootstrap.constant(value), np.ones(len(self.people), bool))

    @contextlib.contextmanager
    def _reported(self, *metrics: str) -> Iterator[None]:
        """A metric that cannot be computed becomes null, with what it says as the reason."""
        try:
            yield
        except MetricError as error:
            for metric in metrics:
                self.entries.setdefault(metric, _entry(None, reason=str(error)))

    def _set(self, metric: str, value: Estimate | float | None, **what: int | str | None) -> None:
        self.entries[metric] = _entry(value, **what)


def _extracted(faces: FaceSet) -> np.ndarray:
    return np.flatnonzero(np.isfinite(faces.inception[:, 0]))


def _sample(faces: FaceSet, n: int, *, rng: np.random.Generator) -> FaceSet:
    """n of the faces that have features, in their order."""
    rows = _extracted(faces)
    return faces.take(rows[np.sort(rng.permutation(len(rows))[:n])])


def _known(sets: Iterable[FaceSet], people: pd.DataFrame) -> None:
    unknown = sorted({identity for faces in sets for identity in faces.identities} - set(people["identity"]))
    if unknown:
        raise MetricError(
            unknown[0],
            f"and {len(unknown) - 1} more identities are not among the people",
            remedy="Give every person a row in people.",
            reason="unknown_identity",
        )


def _entry(
    value: Estimate | float | None,
    *,
    n_recordings: int | None = None,
    n_identities: int | None = None,
    reference: str | None = None,
    reason: str | None = None,
) -> Entry:
    estimate = value if isinstance(value, Estimate) else Estimate(value=value, low=None, high=None)
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n_recordings": n_recordings,
        "n_identities": n_identities,
        "reference": reference,
        "reason": reason,
    }
