"""People whose faces are known, for the experiments."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from s2f.metrics.standins import FaceSet


def unit(x):
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def people():
    """Twelve people, six of each sex."""
    names = [f"p{k:02d}" for k in range(12)]
    return pd.DataFrame({"identity": names, "gender": ["f", "m"] * 6, "nationality": [None] * 12})


def faces_of(people, rng, *, n_each, likeness, inception=False, videos=None):
    """Faces whose embedding is the person's own direction, with weight `likeness`, and noise."""
    owners = np.random.default_rng(0).normal(size=(len(people), 16))
    rows = np.repeat(np.arange(len(people)), n_each)
    noise = rng.normal(size=(len(rows), 16))
    return FaceSet(
        identities=people["identity"].to_numpy(object)[rows],
        pixels=rng.integers(0, 256, (len(rows), 4, 4, 3), dtype=np.uint8),
        embeddings=unit(likeness * owners[rows] + (1 - likeness) * noise),
        female=(people["gender"].to_numpy()[rows] == "f").astype(np.float32),
        inception=rng.normal(size=(len(rows), 32)).astype(np.float32) if inception else None,
        sources=videos,
    )
