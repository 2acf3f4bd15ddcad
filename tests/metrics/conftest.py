"""Made-up people with faces and photographs."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from s2f.metrics.standins import FaceSet
from tests.metrics.loops import unit


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def people(rng):
    """Seven people with unequal numbers of recordings and photos, some tied photos."""
    n = 7
    base = rng.normal(size=(n, 5))
    codes = np.repeat(np.arange(n), [1, 2, 3, 4, 2, 1, 3])
    photo_codes = np.repeat(np.arange(n), [2, 1, 4, 3, 2, 5, 1])
    probes = unit(base[codes] + rng.normal(size=(len(codes), 5)))
    photos = unit(base[photo_codes] + rng.normal(size=(len(photo_codes), 5)))
    photos[3] = photos[0]  # the same photo filed under two people
    return SimpleNamespace(
        n=n,
        probes=probes,
        codes=codes,
        photos=photos,
        photo_codes=photo_codes,
        gender=np.array(["f", "m", "f", "m", "f", "f", None], object),
    )


@pytest.fixture
def study(rng):
    """Ten people, each with 6 recordings and 8 photos; embeddings know the person, a little."""
    n = 10
    people = pd.DataFrame(
        {
            "identity": [f"p{i}" for i in range(n)],
            "gender": ["f", "m"] * (n // 2),
            "nationality": ["x", "x", "y", "y", "x", "x", "y", "y", None, None],
        }
    )
    base = rng.normal(size=(n, 6))

    def faces(n_each, noise):
        codes = np.repeat(np.arange(n), n_each)
        return FaceSet(
            identities=people["identity"].to_numpy(object)[codes],
            pixels=rng.integers(0, 256, (len(codes), 8, 8, 3), dtype=np.uint8),
            embeddings=unit(base[codes] + noise * rng.normal(size=(len(codes), 6))).astype(np.float32),
            female=np.where(codes % 2 == 0, 0.9, 0.2).astype(np.float32),
            inception=rng.normal(size=(len(codes), 200)).astype(np.float32),
            sources=np.array([f"v{k % n_each % 4}" for k in range(len(codes))], object),
        )

    model, photos = faces(6, 1.5), faces(8, 0.5)
    return SimpleNamespace(people=people, model=model, photos=photos, training=unit(rng.normal(size=(30, 6))))
