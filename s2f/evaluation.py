"""Measuring a variant: held-out people, their photographs, the faces drawn from their voices."""

from __future__ import annotations

import numpy as np

from s2f import measuring, seeding
from s2f.metrics import rows, standins
from s2f.training.data import Selection


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
