"""Measuring a variant: held-out people, their photographs, the faces drawn from their voices."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from s2f import measuring, seeding
from s2f.errors import MetricError
from s2f.metrics import bootstrap, pairs, rows, standins, verification
from s2f.store import Store
from s2f.training import readers
from s2f.training.data import Selection, select
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


def measure(
    faces: np.ndarray,
    held_out: Selection,
    photos: np.ndarray,
    training_photos: np.ndarray,
    training_genders: np.ndarray,
    *,
    reader: measuring.Reader,
    inception: measuring.Inception,
    protocol: str,
    seed: int,
    n_bootstrap: int,
    n_subsamples: int,
) -> dict:
    """All rows and metrics of a variant, as ``metrics.json`` keeps them.

    Parameters
    ----------
    faces : uint8 [n_recordings, 64, 64, 3]
        Drawn from each recording of ``held_out.voices``, in that order.
    held_out : Selection
        Test people.
    photos : uint8 [n_photos, 64, 64, 3]
        Faces of ``held_out.photos``, in that order.
    training_photos, training_genders : uint8 [m, 64, 64, 3] and object [m]
        Of which the mean faces are made.
    protocol : str
        "held_out" or "closed".
    n_bootstrap, n_subsamples : int
        Resamples of identities for intervals, and subsamples of them for KID's.
    """
    speakers = held_out.voices["identity"].to_numpy()
    model = measuring.describe(
        faces,
        speakers,
        reader=reader,
        inception=inception,
        max_images=max(len(photos) // 2, 1),  # the rows are compared at the size of half of the photographs
        rng=seeding.stream(seed, "subsets"),
        desc="drawn faces",
    )
    sources = held_out.photos["source_id"]
    real = measuring.describe(
        photos,
        held_out.photos["identity"],
        reader=reader,
        sources=sources if sources.notna().all() else None,
        inception=inception,
        desc="real faces",
    )
    mean_faces, names = standins.mean_faces(training_photos, training_genders)
    means = measuring.describe(mean_faces, names, reader=reader, inception=inception, desc="mean faces")
    genders = held_out.voices["gender"].to_numpy()
    rng = seeding.stream(seed, "bootstrap")
    shuffled = rng.permutation(len(faces))
    return rows.evaluate(
        {
            "model": model,
            "mean_face": standins.repeated(means, names, speakers, genders=None),
            "gender_mean_face": standins.repeated(means, names, speakers, genders=genders),
            "shuffled_voice": model.take(shuffled, identities=speakers),
        },
        real,
        held_out.people,
        protocol=protocol,
        rng=rng,
        n_resamples=n_bootstrap,
        n_subsamples=n_subsamples,
    )


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
