"""Are draws copies? How near they are to training photographs, beside how near photographs of other people are.

A drawn face may look like somebody trained on as much as people look like one another, and not more. What counts is
the share of draws that are nearer to a training photograph than held-out photographs typically are.
"""

from __future__ import annotations

import numpy as np

from s2f.errors import MetricError
from s2f.metrics import bootstrap, manifolds, pairs
from s2f.metrics.bootstrap import Statistic


def nearest(points: np.ndarray, training: np.ndarray, *, block: int = 1024) -> np.ndarray:
    """Distance of each face to the nearest training photograph: float [n].

    Parameters
    ----------
    points, training : ndarray, float [n, d] and [m, d], in any space in which distances mean something
    block : int, faces looked at a time

    Raises
    ------
    MetricError: no training photographs
    """
    if not len(training):
        raise MetricError("training photographs", "are none", remedy="Give at least one.", reason="too_few")
    centre = training.mean(0, dtype=float)  # smaller numbers, less rounding; distances stay
    parts = manifolds.distances(points - centre, training - centre, block)
    return np.sqrt(np.concatenate([part.min(1) for part in parts]))


def nearer_than(
    distances: np.ndarray,
    codes: np.ndarray,
    held_out: np.ndarray,
    held_out_codes: np.ndarray,
    *,
    n_identities: int,
    quantile: float = 0.5,
) -> tuple[Statistic, Statistic]:
    """Share of draws, and of held-out photographs, within a quantile of the held-out photographs' distances.

    Theirs is about `quantile`. Of draws as new as other people's photographs it is as large, so that the ratio is 1;
    a small quantile looks for copies, the median for draws that huddle around what was trained on.

    Parameters
    ----------
    distances, held_out : ndarray, float [n] and [k], `nearest` of draws and of held-out photographs
    codes, held_out_codes : ndarray, int [n] and [k], whose voice or photograph each is
    n_identities : int, how many people there are; they weigh equally
    quantile : float, which of the held-out distances is the typical one

    Returns
    -------
    draws, photographs : callable, statistics of `s2f.metrics.bootstrap`; their `ratio` has an interval

    Raises
    ------
    MetricError: no held-out photographs
    """
    if not len(held_out):
        raise MetricError("held-out photographs", "are none", remedy="Give at least one.", reason="too_few")
    typical = np.quantile(held_out, quantile)
    shares = (
        pairs.by_identity(values <= typical, owners, n_identities=n_identities)
        for values, owners in ((distances, codes), (held_out, held_out_codes))
    )
    draws, photographs = (bootstrap.mean(share) for share in shares)
    return draws, photographs
