"""Precision and recall against loops."""

from __future__ import annotations

import numpy as np
import pytest

from s2f.errors import MetricError
from s2f.metrics import manifolds
from tests.metrics.loops import slow_inside


@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_against_loops(rng, k):
    faces, photos = rng.normal(size=(50, 4)), 0.7 * rng.normal(size=(40, 4)) + 1
    precision, recall = manifolds.precision_recall(faces, photos, k=k)
    assert precision == slow_inside(faces, photos, k) and recall == slow_inside(photos, faces, k)
    assert min(precision, recall) > 0.1 and max(precision, recall) < 1 and precision != recall
    blocks = manifolds.inside(faces, photos, k=k, block=7)
    assert blocks == precision


def test_precision_of_real_photos_is_one_and_recall_of_one_face_is_small(rng):
    photos = rng.normal(size=(60, 300))
    assert manifolds.precision_recall(photos[5:30], photos)[0] == 1
    assert manifolds.precision_recall(photos, photos) == (1, 1)
    precision, recall = manifolds.precision_recall(np.repeat(photos[:1], 60, axis=0), photos)
    assert precision == 1 and recall <= 1 / 60
    assert manifolds.precision_recall(photos + 100, photos) == (0, 0)
    with pytest.raises(MetricError, match="3 faces"):
        manifolds.precision_recall(photos, photos[:3])


def test_precision_and_recall_against_another_package():
    """prdc 0.2: tests/golden/distributions.sh."""
    rng = np.random.default_rng(6)
    faces, photos = rng.normal(size=(50, 4)), 0.7 * rng.normal(size=(40, 4)) + 1
    assert manifolds.precision_recall(faces, photos) == (0.36, 1.0)


def test_only_recall_sees_that_all_faces_are_one(rng):
    """One mean face with a little noise is in the middle of the photographs, and is none of them."""
    photos = rng.normal(size=(200, 64))
    one = photos.mean(0) + 1e-3 * rng.normal(size=(200, 64))
    precision, recall = manifolds.precision_recall(one, photos)
    fresh, varied = manifolds.precision_recall(rng.normal(size=(200, 64)), photos)
    assert precision == 1 > fresh and recall == 0 < varied
