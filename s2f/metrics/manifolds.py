"""Precision and recall of a set of faces: are they realistic, and are they as varied as real ones?

Both depend on how many faces there are, as FID does, and are taken at the same n on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from s2f.errors import MetricError


def precision_recall(features: np.ndarray, reference: np.ndarray, *, k: int = 3) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019, equations 1 and 2).

    Parameters
    ----------
    features, reference : ndarray, float [n, d] and [m, d], Inception features of the faces and of the real photos
    k : int, neighbour to which the ball around a face reaches

    Returns
    -------
    precision, recall : float
        Share of the faces in the manifold of the photos, and of the photos in the manifold of the faces.

    Raises
    ------
    MetricError: no more than `k` faces or photos
    """
    return inside(features, reference, k=k), inside(reference, features, k=k)


def inside(points: np.ndarray, manifold: np.ndarray, *, k: int, block: int = 1024) -> float:
    """Share of points in a ball around any face, which reaches to that face's k-th nearest other one.

    Parameters
    ----------
    points, manifold : ndarray, float [n, d] and [m, d]
        Features of what is looked at, `block` at a time, and of the faces that span the manifold.

    Raises
    ------
    MetricError: the manifold has no more than `k` faces
    """
    if len(manifold) <= k:
        problem = f"has {len(manifold)} faces (more than {k})"
        raise MetricError("manifold", problem, remedy="Measure on more faces.", reason="too_few")
    centre = manifold.mean(0, dtype=float)  # smaller numbers, less rounding; distances stay
    points, manifold = points - centre, manifold - centre
    nearest = [np.partition(part, k, axis=1)[:, k] for part in distances(manifold, manifold, block)]
    radii = np.concatenate(nearest)  # [m]; the nearest of all is the face itself
    found = [(part <= radii).any(1) for part in distances(points, manifold, block)]
    return float(np.concatenate(found).mean())


def distances(left: np.ndarray, right: np.ndarray, block: int) -> Iterator[np.ndarray]:
    """Squared distances, `block` rows at a time: float [block, m]."""
    squares = np.einsum("md,md->m", right, right)
    for start in range(0, len(left), block):
        rows = left[start : start + block]
        yield np.maximum(np.einsum("nd,nd->n", rows, rows)[:, None] + squares - 2 * rows @ right.T, 0)
