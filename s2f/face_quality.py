"""What reads faces, and how well it does on real photographs of people it has not seen."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from s2f import measuring, seeding
from s2f.errors import MetricError
from s2f.metrics import bootstrap, pairs, verification
from s2f.store import Store
from s2f.training import readers
from s2f.training.data import select
from s2f.training.readers import Readers


def reader(corpus_kind: str, measure_folder: Path) -> tuple[measuring.Reader, str]:
    """What reads identity and gender from faces, and its name.

    A synthetic corpus is read by networks trained on its own real training faces, a real one by the
    packaged networks.
    """
    if corpus_kind == "synthetic":
        return Readers.load(measure_folder), "readers trained on the corpus's real training faces"
    return measuring.Packaged(), "dlib identity embedding and the packaged gender network"


def thinned(photos: pd.DataFrame, *, n_most: int, rng: np.random.Generator) -> pd.DataFrame:
    """At most about `n_most` photographs, the same number of each person where there are enough, drawn by `rng`."""
    n_each = max(2, n_most // photos["identity"].nunique())
    order = photos.iloc[rng.permutation(len(photos))]
    return order.groupby("identity").head(n_each).sort_index().reset_index(drop=True)


def train_readers(
    store: Store, people: pd.DataFrame, *, seed: int, n_steps: int, device: str, n_threads: int
) -> Readers:
    """Readers of a synthetic corpus, trained on the real photographs of its training people.

    Parameters
    ----------
    people : DataFrame
        True attributes; its numeric columns are what the attribute reader learns.
    """
    training = select(store, split="train")
    names = list(people.select_dtypes("number").columns)
    attributes = people.set_index("identity").loc[training.photos["identity"], names].to_numpy(np.float32)
    return readers.train(
        np.asarray(store.faces[training.photos["row"].to_numpy()]),
        training.codes(training.photos),
        training.photos["gender"].to_list(),
        attributes,
        attribute_names=names,
        seed=seeding.number(seed, "readers"),
        n_steps=n_steps,
        device=device,
        n_threads=n_threads,
    )


def reader_quality(reader: measuring.Reader, store: Store, *, split: str, seed: int, max_photos: int = 800) -> dict:
    """How well a reader reads real photographs: gender accuracy and equal error rate, with 95 % intervals.

    Returns
    -------
    dict
        ``{"gender_accuracy": entry or None, "equal_error_rate": entry or None, "n_photos", "n_identities"}``, an
        entry being value, low and high. No gender accuracy where no gender is known, and no equal error rate where
        too few people have two photographs to compare.
    """
    selection = select(store, split=split)
    rng = seeding.stream(seed, "bootstrap")
    photos = thinned(selection.photos, n_most=max_photos, rng=rng)
    faces = np.asarray(store.faces[photos["row"].to_numpy()])
    identities = photos["identity"].to_numpy(str)
    sources = photos["source_id"].to_numpy(str) if photos["source_id"].notna().all() else None
    rate = None
    try:
        rates = verification.error_rates(reader.embed(faces), identities, sources=sources, rng=rng, n_resamples=200)
        rate = asdict(rates.equal_error_rate)
    except MetricError as error:
        if error.reason != "too_few":  # such as one photo a person, which leaves nothing to compare
            raise
    known = photos["gender"].notna().to_numpy()
    accuracy = None
    if known.any():
        female = reader.gender(faces[known]) > 0.5
        right = female == (photos["gender"].to_numpy()[known] == "f")
        names, codes = np.unique(identities[known], return_inverse=True)
        means = pairs.by_identity(right.astype(float), codes, n_identities=len(names))
        accuracy = bootstrap.interval(bootstrap.mean(means), len(names), rng=rng)
    return {
        "gender_accuracy": None if accuracy is None else asdict(accuracy),
        "equal_error_rate": rate,
        "n_photos": len(photos),
        "n_identities": len(np.unique(identities)),
    }
