"""The rows of a variant: every set of faces that could stand in for the generated ones, measured alike.

A row is nothing but a `FaceSet`. What a set does not carry, a metric that has too few faces, and a
comparison that makes no sense are null with a reason, never a number.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from s2f.errors import MetricError, nearest
from s2f.metrics import bootstrap, frechet, matching, pairs
from s2f.metrics.bootstrap import Estimate
from s2f.metrics.standins import FaceSet, halves, someone_else

ROWS = (
    "model",
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
    "l1_pixel_255",
    "l1_pixel_unit",
    "l1_embedding_sum",
    "l1_embedding_mean",
    "cosine_matched",
    "cosine_mismatched",
    "recall_at_1",
    "recall_at_5",
    "recall_at_10",
    "matching_2way",
    "matching_within_gender",
    "matching_within_gender_nationality",
    "gender_agreement",
    "diversity",
    "diversity_share",
    "consistency",
)

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
        Stream of the bootstrap, the halves and the galleries; each row draws from its own child.
    absent : mapping of str to str, optional
        Why a row has no faces.
    n_resamples : int
        Bootstrap samples.
    n_subsamples : int
        Subsamples of identities for the interval of KID.
    n_way : int
        People in a recall gallery.
    min_n : int
        Fewest faces for FID and KID.

    Returns
    -------
    dict
        `{"protocol": …, "rows": {row: {metric: {"value", "low", "high", "n_recordings", "n_identities",
        "reference", "reason"}}}}`, ready for JSON.

    Raises
    ------
    MetricError
        An unknown row, no photos, or faces of people that are not in `people`.

    Notes
    -----
    Pair metrics compare with every photo of a person, except rows `random_real` and `ceiling`, whose
    faces come from one half of the photos and are compared with the other. FID and KID compare every row
    with that other half, at one n for all rows, so that the rows can be compared.
    """
    for row in [*stand_ins, *(absent or {})]:
        if row not in ROWS:
            raise MetricError(row, "is no row of the results", remedy=nearest(row, ROWS))
    if len(photos) == 0:
        raise MetricError(
            "photos", "are empty", remedy="Give the held-out photos of the people.", reason="too_few"
        )
    people = people.drop_duplicates("identity").sort_values("identity").reset_index(drop=True)
    streams = dict(zip(("halves", "random", *ROWS), rng.spawn(len(ROWS) + 2), strict=True))
    reference, source = halves(photos, rng=streams["halves"])
    sets = dict(stand_ins)
    if len(source):
        sets["ceiling"] = source
    if len(set(source.identities)) > 1:
        sets["random_real"] = someone_else(source, rng=streams["random"])
    with_features = [faces for faces in (source, *sets.values()) if faces.inception is not None]
    n_fid = min((len(_extracted(faces)) for faces in with_features), default=0)
    rows = {}
    for row in ROWS:
        measuring = _Measuring(people, photos, n_way=n_way, n_resamples=n_resamples, rng=streams[row])
        if row == "chance":
            rows[row] = measuring.chance()
        elif row == "gender_oracle":
            rows[row] = measuring.gender_oracle()
        elif row in sets:
            real = row in ("ceiling", "random_real")
            measuring.distribution(
                sets[row], reference, source, n=n_fid, min_n=min_n, n_subsamples=n_subsamples
            )
            rows[row] = measuring.faces(sets[row], gallery=reference if real else photos)
        else:
            default = "no person has two photos" if row in ("ceiling", "random_real") else "not measured"
            rows[row] = measuring.filled((absent or {}).get(row, default))
    return {"protocol": protocol, "rows": rows}


class _Measuring:
    """Collects the entries of one row."""

    def __init__(
        self, people: pd.DataFrame, photos: FaceSet, *, n_way: int, n_resamples: int, rng: np.random.Generator
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
        self.photos, self.n_way, self.n_resamples = photos, n_way, n_resamples
        self.draws, self.resamples = rng.spawn(2)  # so that what is drawn for FID or recall moves no interval
        self.entries: dict[str, Entry] = {}

    # What a row of faces or embeddings measures

    def faces(self, faces: FaceSet, *, gallery: FaceSet) -> dict[str, Entry]:
        codes, photo_codes = self._codes(faces), self._codes(gallery)
        with_photos = np.isin(codes, photo_codes)
        if not with_photos.all():
            faces, codes = faces.take(with_photos), codes[with_photos]
        per_person = f"{len(gallery)} photos of {len(np.unique(photo_codes))} people"
        if faces.pixels is not None and gallery.pixels is not None:
            self._pixels(faces, codes, gallery, photo_codes, reference=f"the person's own among {per_person}")
        if faces.embeddings is not None and gallery.embeddings is not None:
            vectors, photo_vectors = faces.embeddings, gallery.embeddings
            self._distances(vectors, codes, photo_vectors, photo_codes, reference=per_person)
            self._matching(vectors, codes, photo_vectors, photo_codes, reference=per_person)
        if faces.female is not None:
            self._gender_agreement(faces.female, codes)
        return self.filled("this row has no faces of this kind")

    def distribution(
        self, faces: FaceSet, reference: FaceSet, source: FaceSet, *, n: int, min_n: int, n_subsamples: int
    ) -> None:
        if faces.inception is None or reference.inception is None or source.inception is None:
            return
        faces, reference, source = (part.take(_extracted(part)) for part in (faces, reference, source))
        drawn = faces.take(np.sort(self.draws.permutation(len(faces))[:n]))
        real = source.take(np.sort(self.draws.permutation(len(source))[:n]))
        text = f"{len(reference)} real photos, the half that no row takes faces from"
        counts = {"n_recordings": n, "n_identities": len(set(drawn.identities))}
        with self._reported("fid", "fid_real_real", "kid"):
            value = frechet.fid(drawn.inception, reference.inception, min_n=min_n)
            floor = frechet.fid(real.inception, reference.inception, min_n=min_n)
            note = "no interval: FID is biased at small n; fid_real_real is the floor at the same n"
            self._set("fid", value, **counts, reference=text, reason=note)
            self._set("fid_real_real", floor, **counts, reference=text, reason="no interval: FID is biased")
            estimate = frechet.kid_interval(
                drawn.inception,
                self._codes(drawn),
                reference.inception,
                self._codes(reference),
                rng=self.draws,
                n_subsamples=n_subsamples,
                min_n=min_n,
            )
            self._set("kid", estimate, **counts, reference=text)

    def gender_oracle(self) -> dict[str, Entry]:
        """Knows the speaker's sex and nothing else: every photo of that sex is equally similar."""
        code = np.array([{"f": 1, "m": -1}.get(gender, 0) for gender in self.genders], float)
        if (code == 0).any():
            return self.filled("the gender of some people is unknown")
        photo_codes = self._codes(self.photos)
        present = np.unique(photo_codes)
        signs = code[:, None].astype(np.float32)  # [n, 1]
        self._matching(signs[present], present, signs[photo_codes], photo_codes, reference="sex alone")
        self._set("gender_agreement", 1.0, n_identities=len(present), reference="by definition")
        return self.filled("sex alone is no face")

    def chance(self) -> dict[str, Entry]:
        n_people = len(set(self.photos.identities))
        for metric in self.strata:
            self._set(metric, 0.5, n_identities=n_people, reference="by definition")
        size = matching.gallery_size(n_people, n_way=self.n_way)
        for k in (1, 5, 10):
            if k < size:
                self._set(f"recall_at_{k}", k / size, n_identities=n_people, reference=f"{k} of {size}")
        self._set("gender_agreement", 0.5, n_identities=n_people, reference="a coin")
        return self.filled("chance is no face")

    def filled(self, reason: str) -> dict[str, Entry]:
        """Entries of all metrics in order, those not measured null with a reason."""
        return {metric: self.entries.get(metric, _entry(None, reason=reason)) for metric in METRICS}

    # Groups of metrics

    def _pixels(
        self, faces: FaceSet, codes: np.ndarray, gallery: FaceSet, photo_codes: np.ndarray, *, reference: str
    ) -> None:
        l1 = pairs.l1_pixel(faces.pixels, codes, gallery.pixels, photo_codes)
        self._mean("l1_pixel_255", l1, codes, reference=reference + ", 0 to 255")
        self._mean("l1_pixel_unit", l1 / 127.5, codes, reference=reference + ", -1 to 1")
        drawn = pairs.rms_matrix(faces.pixels, codes, n_identities=len(self.people))
        real = pairs.rms_matrix(gallery.pixels, photo_codes, n_identities=len(self.people))
        others = matching.same(self.genders)
        both = others & np.isfinite(drawn) & np.isfinite(real)
        of_faces, of_photos = bootstrap.pair_mean(drawn, both), bootstrap.pair_mean(real, both)
        n = {
            "n_recordings": len(faces),
            "n_identities": int((both & ~np.eye(len(both), dtype=bool)).any(1).sum()),
        }
        text = "root mean square pixel difference on -1 to 1, different people of one sex"
        if not n["n_identities"]:
            self._set("diversity", None, reason="no two people of one known sex")
            self._set("diversity_share", None, reason="no two people of one known sex")
        else:
            self._interval("diversity", of_faces, **n, reference=text)
            share = f"the same among {len(gallery)} real photos"
            self._interval("diversity_share", bootstrap.ratio(of_faces, of_photos), **n, reference=share)
        within = np.diag(drawn)
        if np.isfinite(within).any():
            people = np.isfinite(within)
            self._interval(
                "consistency",
                bootstrap.mean(within[people]),
                n_people=int(people.sum()),
                n_recordings=len(faces),
                n_identities=int(people.sum()),
                reference=text.split(",")[0] + ", recordings of one person",
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
        cosine = pairs.cosine_matrix(
            vectors, codes, photo_vectors, photo_codes, n_identities=len(self.people)
        )
        present = np.flatnonzero(np.isfinite(np.diag(cosine)))
        n = {"n_recordings": len(vectors), "n_identities": len(present)}
        matched = bootstrap.mean(np.diag(cosine)[present])
        self._interval("cosine_matched", matched, n_people=len(present), **n, reference=own)
        others = own.replace("the person's own", "other people's")
        mismatched = bootstrap.pair_mean(cosine, np.isfinite(cosine))
        self._interval("cosine_mismatched", mismatched, **n, reference=others)

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
            n = {"n_recordings": len(vectors), "n_identities": int(allowed.any(1).sum())}
            if not allowed.any():
                self._set(metric, None, reason="no two people to compare within this stratum")
                continue
            self._interval(metric, bootstrap.pair_mean(wins, allowed), **n, reference=reference)
        n_people = len(np.unique(photo_codes))
        size = matching.gallery_size(n_people, n_way=self.n_way)
        ks = tuple(k for k in (1, 5, 10) if k < size)
        for k in {1, 5, 10} - set(ks):
            self._set(f"recall_at_{k}", None, reason=f"a gallery of {size} people is too small")
        if ks:
            hits = matching.recall(
                vectors, codes, photo_vectors, photo_codes, ks=ks, n_way=self.n_way, rng=self.draws
            )  # [n, len(ks)]
            for column, k in enumerate(ks):
                text = f"galleries of {size} people, chance {k / size:.3f}"
                self._mean(f"recall_at_{k}", hits[:, column], codes, reference=text)

    def _gender_agreement(self, female: np.ndarray, codes: np.ndarray) -> None:
        truth = self.genders[codes]
        known = np.array([gender in ("f", "m") for gender in truth], bool)
        if not known.any():
            self._set("gender_agreement", None, reason="no gender is known")
            return
        agrees = ((female > 0.5) == (truth == "f"))[known].astype(float)
        self._mean(
            "gender_agreement", agrees, codes[known], reference="the speaker's sex, read from the face"
        )

    # Entries

    def _codes(self, faces: FaceSet) -> np.ndarray:
        unknown = sorted(set(faces.identities) - set(self.people))
        if unknown:
            raise MetricError(
                unknown[0],
                f"and {len(unknown) - 1} more identities are not among the people",
                remedy="Give every person a row in people.",
                reason="unknown_identity",
            )
        return np.array([self.people[identity] for identity in faces.identities], int)

    def _mean(self, metric: str, values: np.ndarray, codes: np.ndarray, *, reference: str) -> None:
        people = pairs.by_identity(values, codes, n_identities=len(self.people))
        people = people[np.isfinite(people)]
        self._interval(
            metric,
            bootstrap.mean(people),
            n_people=len(people),
            n_recordings=len(values),
            n_identities=len(people),
            reference=reference,
        )

    def _interval(
        self,
        metric: str,
        statistic: bootstrap.Statistic,
        *,
        n_people: int | None = None,
        n_recordings: int,
        n_identities: int,
        reference: str,
    ) -> None:
        with self._reported(metric):
            estimate = bootstrap.interval(
                statistic,
                len(self.people) if n_people is None else n_people,
                rng=self.resamples,
                n_resamples=self.n_resamples,
            )
            self._set(
                metric, estimate, n_recordings=n_recordings, n_identities=n_identities, reference=reference
            )

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
