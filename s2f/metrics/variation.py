"""Of something read from draws, how much all draws for a voice share, and how much is made up.

A deviation between voices is what the voice decides; a deviation between draws for one voice is what it leaves open.
Draws are spread as people are where the squares of both add up to that of photographs of different people. All are
taken within strata such as the sexes, so that the difference of the sexes is not counted as something shared.

All functions give statistics of `s2f.metrics.bootstrap`, for one thing that is read: `codes`, int [n], say whose
recording or photograph each value is of, `strata` [n_identities] in which group each person is, None in none. People
weigh equally, however many recordings or photographs they have.
"""

from __future__ import annotations

import numpy as np

from s2f.errors import MetricError
from s2f.metrics import pairs
from s2f.metrics.bootstrap import Statistic


def variance(values: np.ndarray, codes: np.ndarray, strata: np.ndarray) -> Statistic:
    """Variance of values, float [n], among people of the same stratum; NaN where none has two people."""
    n_identities = len(strata)
    sums = [_per_person(values**power, codes, n_identities) for power in range(3)]  # means of 1, x and x²
    groups = [np.array([label == group for label in strata]) for group in sorted({s for s in strata if s is not None})]

    def statistic(counts: np.ndarray) -> np.ndarray:
        total, weight = np.zeros(len(counts)), np.zeros(len(counts))
        for group in groups:
            n, first, second = (counts @ np.where(group, part, 0) for part in sums)  # [B]
            enough = n > 1
            mean = np.divide(first, n, out=np.zeros_like(n), where=enough)
            total += np.where(enough, (second - n * mean**2) * n / np.maximum(n - 1, 1), 0)
            weight += np.where(enough, n, 0)
        return np.divide(total, weight, out=np.full(len(counts), np.nan), where=weight > 0)

    return statistic


def parts(draws: np.ndarray, codes: np.ndarray, strata: np.ndarray) -> tuple[Statistic, Statistic]:
    """Variances of what draws for a voice share, and of what is made up.

    Parameters
    ----------
    draws : ndarray, float [n, m], read from m draws for each of n recordings

    Returns
    -------
    shared, made_up : callable
        `made_up` is the mean variance among draws for a recording. `shared` is the variance among recordings of
        different people of what their draws are on average, less what a mean of m draws varies by chance; it may
        come out below zero where nothing is shared.

    Raises
    ------
    MetricError: fewer than two draws a recording
    """
    if draws.ndim != 2 or draws.shape[1] < 2:
        remedy = "Give at least two draws for each recording: [n, m]."
        raise MetricError("draws", f"are {list(draws.shape)}", remedy=remedy, reason="too_few")
    within = _per_person(draws.var(1, ddof=1), codes, len(strata))
    counted = _per_person(np.ones(len(draws)), codes, len(strata)) * [label is not None for label in strata]
    among = variance(draws.mean(1), codes, strata)

    def made_up(counts: np.ndarray) -> np.ndarray:
        n = counts @ counted
        return np.divide(counts @ (within * counted), n, out=np.full(len(counts), np.nan), where=n > 0)

    return lambda counts: among(counts) - made_up(counts) / draws.shape[1], made_up


def _per_person(values: np.ndarray, codes: np.ndarray, n_identities: int) -> np.ndarray:
    """Mean within each identity, 0 for none."""
    means = pairs.by_identity(values, codes, n_identities=n_identities)
    return np.where(np.isfinite(means), means, 0)
