"""What can be reached without drawing a face: by guessing, and by knowing the sex alone."""

from __future__ import annotations

import numpy as np

from s2f.metrics import catalogue, matching
from s2f.metrics.measures import RECALL_AT, TOP, Comparison, Given, measure
from s2f.metrics.resampling import Measured
from s2f.metrics.standins import FaceSet


def gender_oracle(given: Given) -> dict[str, Measured | str]:
    """Knows the speaker's sex and nothing else: every photo of that sex is equally similar."""
    code = np.array([{"f": 1, "m": -1}.get(gender, 0) for gender in given.genders], float)
    if (code == 0).any():
        return dict.fromkeys(catalogue.METRICS, "the gender of some people is unknown")
    photo_codes = given.codes(given.photos)
    present = np.unique(photo_codes)
    signs, names = code[:, None].astype(np.float32), given.people["identity"].to_numpy(object)  # [n, 1], [n]
    faces, gallery = (FaceSet(names[codes], embeddings=signs[codes]) for codes in (present, photo_codes))
    comparison = Comparison(given, catalogue.ROWS["gender_oracle"], faces, gallery, reference="sex alone")
    found = {
        key: measure(key, comparison) if metric.needs == "similarity" else "sex alone is no face"
        for key, metric in catalogue.METRICS.items()
    }
    return found | {"gender_agreement": _constant(given, 1.0, len(present), "by definition")}


def chance(given: Given) -> dict[str, Measured | str]:
    """What guessing gives."""
    n_people = len(set(given.photos.identities))
    found: dict[str, Measured | str] = dict.fromkeys(catalogue.METRICS, "chance is no face")
    for key, metric in catalogue.METRICS.items():
        if metric.chance is not None:
            reference = "a coin" if key == "gender_agreement" else "by definition"
            found[key] = _constant(given, metric.chance, n_people, reference)
    size = matching.gallery_size(n_people, n_way=given.sizes.n_way)
    for name, ks, n in (("recall_at", RECALL_AT, size), ("identification_top", TOP, n_people)):
        for k in ks:
            right, too_small = _constant(given, k / n, n_people, f"{k} of {n}"), f"a gallery of {n} people is too small"
            found[f"{name}_{k}"] = right if k < n else too_small
    return found


def _constant(given: Given, value: float, n_identities: int, reference: str) -> Measured:
    return Measured(value, np.ones(len(given.people), bool), None, reference, n_identities)
