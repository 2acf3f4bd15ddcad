"""95 % intervals over identities: people are drawn again, never single recordings or photos.

Two recordings of one person are not two independent observations, so an interval over recordings is too
narrow. A statistic is written as a function of how often each identity was drawn, `counts` [B, n], which
evaluates all resamples at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from s2f.errors import MetricError

Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Estimate:
    """A value with its interval.

    Attributes
    ----------
    value : float
        The statistic of the data as they are.
    low, high : float
        Bounds of the 95 % interval.
    """

    value: float
    low: float
    high: float


def interval(
    statistic: Statistic, n_identities: int, *, rng: np.random.Generator, n_resamples: int = 2000
) -> Estimate:
    """Percentile bootstrap over identities (Efron and Tibshirani 1993, chapter 13).

    Parameters
    ----------
    statistic : callable
        Maps counts [B, n_identities] to values [B]; NaN where a resample leaves it undefined.
    n_identities : int
        People to draw from.
    rng : numpy.random.Generator
        Stream of the draws.
    n_resamples : int
        Bootstrap samples.

    Raises
    ------
    MetricError
        Undefined on the data, or on more than half of the resamples.
    """
    if n_identities < 2:
        raise MetricError(
            "bootstrap",
            f"has {n_identities} identities",
            remedy="Measure on at least 2 people.",
            reason="too_few",
        )
    value = float(statistic(np.ones((1, n_identities)))[0])
    counts = rng.multinomial(n_identities, np.full(n_identities, 1 / n_identities), size=n_resamples)
    draws = statistic(counts.astype(float))  # [B]
    defined = draws[np.isfinite(draws)]
    if not np.isfinite(value) or len(defined) * 2 < n_resamples:
        raise MetricError(
            "bootstrap",
            f"is undefined with {n_identities} identities",
            remedy="Measure on more people.",
            reason="too_few",
        )
    low, high = np.quantile(defined, [0.025, 0.975])
    return Estimate(value=value, low=float(low), high=float(high))


def mean(values: np.ndarray) -> Statistic:
    """Mean of one value an identity, `values` [n]."""

    def statistic(counts: np.ndarray) -> np.ndarray:
        return counts @ values / counts.sum(1)

    return statistic


def pair_mean(matrix: np.ndarray, allowed: np.ndarray) -> Statistic:
    """Mean over pairs of identities: over partners first, then over probes, so that people weigh equally.

    Probe and partner identities are resampled together, and a person drawn twice is never paired with
    the own copy.

    Parameters
    ----------
    matrix : ndarray, float [n, n]
        Value of probe identity i with partner j.
    allowed : ndarray, bool [n, n]
        Pairs that count. The diagonal never does.
    """
    pairs = (allowed & ~np.eye(len(matrix), dtype=bool)).astype(float)
    values = np.where(pairs > 0, matrix, 0.0)

    def statistic(counts: np.ndarray) -> np.ndarray:
        n_partners = counts @ pairs.T  # [B, n]
        weights = counts * (n_partners > 0)
        means = counts @ values.T / np.maximum(n_partners, 1)
        total = weights.sum(1)
        return np.divide((weights * means).sum(1), total, out=np.full(len(counts), np.nan), where=total > 0)

    return statistic


def ratio(numerator: Statistic, denominator: Statistic) -> Statistic:
    """Quotient of two statistics on the same resampled people."""

    def statistic(counts: np.ndarray) -> np.ndarray:
        over, under = numerator(counts), denominator(counts)
        return np.divide(over, under, out=np.full(len(over), np.nan), where=under > 0)

    return statistic
