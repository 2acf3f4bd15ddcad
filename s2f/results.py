"""What the results page shows: a variant's metrics and faces, the people of Table 1, the numbers of the prose."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from s2f import seeding
from s2f.runs import Study
from s2f.store import Store
from s2f.training import data


@dataclass(frozen=True)
class Variant:
    """A measured variant.

    Attributes
    ----------
    metrics : dict
        Its ``metrics.json``.
    faces : uint8 [n, 64, 64, 3]
        Drawn from each recording of ``held_out.voices``.
    held_out : Selection
        Test people.
    store : Store
    """

    metrics: dict
    faces: np.ndarray
    held_out: data.Selection
    store: Store


@dataclass(frozen=True)
class Shown:
    """People of Table 1: true and drawn faces uint8 [n, 64, 64, 3], labels, rows of the drawn faces."""

    true: np.ndarray
    drawn: np.ndarray
    labels: list[str]
    rows: np.ndarray


def load(study: Study) -> Variant:
    """The measured variant of a study.

    Raises
    ------
    RunError
        It is not measured yet; names the command.
    """
    folder = study.read("metrics")
    store = Store.open(study.read("store"))
    held_out = data.select(store, split="test", gender=study.params.variant.gender)
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return Variant(metrics, np.load(folder / "faces.npy"), held_out, store)


def beside(study: Study) -> dict[str, Variant]:
    """The runs that this profile keeps beside its own, by label."""
    return {label: load(study.beside(label)) for label in study.resolved["beside"]} if not study.label else {}


def people(variant: Variant, *, n: int, seed: int) -> Shown:
    """`n` test people drawn by the seed, each with one photograph and one drawn face, drawn too."""
    rng = seeding.stream(seed, "table")
    voices, photos = variant.held_out.voices, variant.held_out.photos
    names = variant.held_out.identities
    picked = np.sort(rng.permutation(len(names))[:n])
    rows, photo_rows, labels = [], [], []
    for name in names[picked]:
        own = np.flatnonzero(voices["identity"] == name)
        seen = photos.loc[photos["identity"] == name, "row"].to_numpy()
        rows.append(rng.choice(own))
        photo_rows.append(rng.choice(seen))
        gender = voices["gender"][own[0]]
        labels.append(f"{name} ({gender})" if isinstance(gender, str) else name)
    true = np.asarray(variant.store.faces[np.array(photo_rows)])
    return Shown(true, variant.faces[np.array(rows)], labels, np.array(rows))


def compare(main: Variant, others: dict[str, Variant], shown: Shown) -> dict[str, np.ndarray]:
    """Rows of faces of the same people: true, drawn here, drawn by each other run."""
    rows = {"true": shown.true, f"recipe {main.metrics['recipe']}": shown.drawn}
    return rows | {f"recipe {other.metrics['recipe']}": other.faces[shown.rows] for other in others.values()}


def numbers(variant: Variant) -> dict[str, float]:
    """The numbers that the prose quotes; shares in percent, NaN where a metric does not apply."""

    def get(row: str, metric: str, part: str = "value", scale: float = 1.0) -> float:
        value = variant.metrics["rows"][row][metric][part]
        return float("nan") if value is None else scale * float(value)

    index = variant.store.index
    return {
        "n_identities": float(index["identity"].nunique()),
        "n_test_identities": float(len(variant.held_out.identities)),
        "gender_agreement": get("model", "gender_agreement", scale=100),
        "reader_gender_accuracy": get("ceiling", "gender_agreement", scale=100),
        "matching_within_gender": get("model", "matching_within_gender", scale=100),
        "matching_within_gender_low": get("model", "matching_within_gender", "low", 100),
        "matching_within_gender_high": get("model", "matching_within_gender", "high", 100),
        "kid": get("model", "kid"),
        "kid_gender_mean": get("gender_mean_face", "kid"),
        "diversity_share": get("model", "diversity_share", scale=100),
        "fid": get("model", "fid"),
        "fid_real_real": get("model", "fid_real_real"),
    }
