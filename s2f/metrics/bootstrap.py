"""95 % intervals over identities: people are drawn again, never single recordings or photos.

Two recordings of one person are not two independent observations, so an interval over recordings is too
narrow. A statistic is written as a function of how often each identity was drawn, `counts` [B, n], which
evaluates all resamples at once. People without a value weigh nothing, so that statistics of different faces
can be evaluated on the same resamples of the same people, and their difference be paired.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from s2f.errors import MetricError

Statistic = Callable[[np.ndarray], np.ndarray]
T = TypeVar("T")


def unless_too_few(function: Callable[[], T]) -> T | str:
    """What a function gives, or the reason in words where people are too few for it."""
    try:
        return function()
    except MetricError as error:
        if error.reason != "too_few":
            raise
        return str(error)


@dataclass(frozen=True)
class Estimate:
    """A value with its interval.

    Attributes
    ----------
    value, low, high : float, the statistic of the data as they are, and the bounds of its 95 % interval
    """

    value: float
    low: float
    high: float


def interval(statistic: Statistic, n_identities: int, *, rng: np.random.Generator, n_resamples: int = 2000) -> Estimate:
    """Percentile bootstrap over identities (Efron and Tibshirani 1993, chapter 13).

    Parameters
    ----------
    statistic : callable, maps counts [B, n_identities] to values [B]; NaN where a resample leaves it undefined
    n_identities, n_resamples : int, people to draw from, and bootstrap samples, drawn from the stream `rng`

    Raises
    ------
    MetricError: undefined on the data, or on more than half of the resamples
    """
    everyone = np.ones(n_identities, bool)
    _enough(everyone, at_least=2)
    return estimate(statistic, resamples(n_identities, rng=rng, n_resamples=n_resamples), people=everyone)


def resamples(n_identities: int, *, rng: np.random.Generator, n_resamples: int = 2000) -> np.ndarray:
    """How often each identity is drawn, with replacement: float [n_resamples, n_identities]."""
    chances = np.full(n_identities, 1 / n_identities)
    return rng.multinomial(n_identities, chances, size=n_resamples).astype(float)


def estimate(statistic: Statistic, counts: np.ndarray, *, people: np.ndarray) -> Estimate:
    """Value of a statistic, and its percentile interval over given resamples.

    Parameters
    ----------
    counts : ndarray, float [B, n_identities], from `resamples`
    people : ndarray, bool [n_identities], who has a value

    Raises
    ------
    MetricError: fewer than two people have a value, or as in `interval`
    """
    _enough(people, at_least=2)
    return _percentiles(statistic, statistic(counts), people)


def simultaneous(statistics: Sequence[Statistic], counts: np.ndarray, *, people: np.ndarray) -> list[Estimate]:
    """Intervals of several statistics, corrected for their number: in 95 of 100 studies all of them hold.

    Each reaches equally many of its standard errors to either side: as many as the largest of all deviations has in
    95 % of the resamples (Westfall and Young 1993, section 2.3.2), so that statistics that go together cost less.

    Parameters
    ----------
    counts : ndarray, float [B, n_identities], from `resamples`
    people : ndarray, bool [n_identities], who has a value

    Raises
    ------
    MetricError: as in `estimate`, of any of the statistics
    """
    _enough(people, at_least=2)
    draws = [statistic(counts) for statistic in statistics]
    pairs = zip(statistics, draws, strict=True)
    values = np.array([_percentiles(statistic, drawn, people).value for statistic, drawn in pairs])
    off = np.stack(draws) - values[:, None]  # [k, B]
    errors = np.nanstd(off, axis=1)
    reach = np.where(np.isfinite(off), np.abs(off), 0) / np.where(errors > 0, errors, 1)[:, None]
    half = np.quantile(reach.max(0), 0.95) * errors
    bounds = zip(values.tolist(), (values - half).tolist(), (values + half).tolist(), strict=True)
    return [Estimate(*each) for each in bounds]


def subsampled(
    statistic: Statistic, *, people: np.ndarray, rng: np.random.Generator, n_subsamples: int = 200
) -> Estimate:
    """Value of a statistic that copies of a person would bias, and its interval over halves of the people.

    Half of the people are drawn without replacement. Halves of a sample spread about their mean as the sample
    itself spreads about the truth (Politis, Romano and Wolf 1999, section 2.2, with the finite-population
    factor), so the percentiles need no rescaling. Their mean may lie beside the value of all people, since among
    fewer people more pairs are of one person, so the percentiles are shifted by that much.

    Parameters
    ----------
    people : ndarray, bool [n_identities], whom to draw from: `n_subsamples` halves of them, from the stream `rng`

    Raises
    ------
    MetricError: fewer than four people, or as in `interval`
    """
    _enough(people, at_least=4)
    counts = np.zeros((n_subsamples, len(people)))
    for row in counts:
        row[rng.permutation(np.flatnonzero(people))[: people.sum() // 2]] = 1
    draws = statistic(counts)
    estimate = _percentiles(statistic, draws, people)
    shift = estimate.value - float(np.nanmean(draws))
    return Estimate(value=estimate.value, low=estimate.low + shift, high=estimate.high + shift)


def _enough(people: np.ndarray, *, at_least: int) -> None:
    if people.sum() < at_least:
        remedy = f"Measure on at least {at_least} people."
        raise MetricError("bootstrap", f"has {people.sum()} identities", remedy=remedy, reason="too_few")


def _percentiles(statistic: Statistic, draws: np.ndarray, people: np.ndarray) -> Estimate:
    value = float(statistic(np.ones((1, len(people))))[0])
    defined = draws[np.isfinite(draws)]
    if not np.isfinite(value) or len(defined) * 2 < len(draws):
        problem = f"is undefined with {people.sum()} identities"
        raise MetricError("bootstrap", problem, remedy="Measure on more people.", reason="too_few")
    low, high = np.quantile(defined, [0.025, 0.975])
    return Estimate(value=value, low=float(low), high=float(high))


def constant(value: float) -> Statistic:
    """What is the same for whichever people."""
    return lambda counts: np.full(len(counts), value)


def mean(values: np.ndarray) -> Statistic:
    """Mean of one value an identity, `values` [n]; an identity with NaN weighs nothing."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)

    def statistic(counts: np.ndarray) -> np.ndarray:
        total = counts @ known.astype(float)
        return np.divide(counts @ filled, total, out=np.full(len(counts), np.nan), where=total > 0)

    return statistic


@dataclass(frozen=True)
class PairMean:
    """The statistic that `pair_mean` gives.

    Attributes
    ----------
    values, pairs : ndarray, float [n, n], value of each pair, 0 where it does not count, and 1 where it does
    """

    values: np.ndarray
    pairs: np.ndarray

    def __call__(self, counts: np.ndarray) -> np.ndarray:
        n_partners = counts @ self.pairs.T  # [B, n]
        weights = counts * (n_partners > 0)
        means = counts @ self.values.T / np.maximum(n_partners, 1)
        total = weights.sum(1)
        return np.divide((weights * means).sum(1), total, out=np.full(len(counts), np.nan), where=total > 0)


def pair_mean(matrix: np.ndarray, allowed: np.ndarray) -> Statistic:
    """Mean over pairs of identities: over partners first, then over probes, so that people weigh equally.

    Probe and partner identities are resampled together, and a person drawn twice is never paired with
    the own copy.

    Parameters
    ----------
    matrix : ndarray, float [n, n], value of probe identity i with partner j
    allowed : ndarray, bool [n, n]
        Pairs that count. The diagonal never does.
    """
    pairs = (allowed & ~np.eye(len(matrix), dtype=bool)).astype(float)
    return PairMean(np.where(pairs > 0, matrix, 0.0), pairs)


def ratio(numerator: Statistic, denominator: Statistic) -> Statistic:
    """Quotient of two statistics on the same resampled people."""

    def statistic(counts: np.ndarray) -> np.ndarray:
        over, under = numerator(counts), denominator(counts)
        return np.divide(over, under, out=np.full(len(over), np.nan), where=under > 0)

    return statistic


def difference(first: Statistic, second: Statistic) -> Statistic:
    """First minus second, on the same resampled people."""
    return lambda counts: first(counts) - second(counts)


def average(statistics: Sequence[Statistic]) -> Statistic:
    """Mean of several statistics on the same resampled people, of those that are defined there."""
    means = [one for one in statistics if isinstance(one, PairMean)]
    if len(means) == len(statistics) and all(np.array_equal(one.pairs, means[0].pairs) for one in means):
        return PairMean(np.mean([one.values for one in means], axis=0), means[0].pairs)  # alike, and so taken once

    def statistic(counts: np.ndarray) -> np.ndarray:
        values = np.stack([one(counts) for one in statistics])  # [k, B]
        known = np.isfinite(values)
        n = known.sum(0)
        return np.divide(np.where(known, values, 0).sum(0), n, out=np.full(len(counts), np.nan), where=n > 0)

    return statistic


def within(statistic: Statistic, people: np.ndarray) -> Statistic:
    """The statistic of some people alone, `people` bool [n]: all others weigh nothing."""
    return lambda counts: statistic(counts * people)


def distinct(difference: Mapping[str, float | int | str | None]) -> bool:
    """Whether a difference, with its `low` and `high`, has an interval that does not contain zero."""
    low, high = difference["low"], difference["high"]
    return isinstance(low, float | int) and isinstance(high, float | int) and (low > 0 or high < 0)
