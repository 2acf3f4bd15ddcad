"""Same person or not? Error rates of an embedding over all pairs, and their equal error rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s2f.errors import MetricError
from s2f.metrics.bootstrap import Estimate, interval


@dataclass(frozen=True)
class ErrorRates:
    """Error rates as the threshold on the similarity rises.

    Attributes
    ----------
    thresholds : ndarray, float [k], similarities, ascending
    false_accept : ndarray, float [k], share of pairs of different people at or above the threshold
    false_reject : ndarray, float [k], share of pairs of one person below the threshold
    equal_error_rate : Estimate, where both are equal, with a 95 % bootstrap interval over identities
    n_same, n_different : int, Pairs
    cosine_same, cosine_different : float, mean similarity of the pairs
    """

    thresholds: np.ndarray
    false_accept: np.ndarray
    false_reject: np.ndarray
    equal_error_rate: Estimate
    n_same: int
    n_different: int
    cosine_same: float
    cosine_different: float


def error_rates(
    vectors: np.ndarray,
    identities: np.ndarray,
    *,
    sources: np.ndarray | None = None,
    rng: np.random.Generator,
    n_resamples: int = 500,
    max_items: int = 800,
) -> ErrorRates:
    """Error rates over all pairs of items.

    Parameters
    ----------
    vectors : ndarray, float [n, d], Unit-length embeddings, compared by cosine
    identities : ndarray of str [n], who each is of
    sources : ndarray of str [n], optional
        Where each comes from (a video): pairs of one person within one source are then left out.
    rng : numpy.random.Generator
        Stream of the `n_resamples` bootstrap samples, and of the items where there are too many.
    max_items : int, more items than this are drawn from without replacement

    Raises
    ------
    MetricError: no pair of one person, or none of different people
    """
    if len(vectors) > max_items:
        keep = np.sort(rng.choice(len(vectors), max_items, replace=False))
        vectors, identities = vectors[keep], np.asarray(identities)[keep]
        sources = None if sources is None else np.asarray(sources)[keep]
    people, codes = np.unique(np.asarray(identities, str), return_inverse=True)
    left, right = np.triu_indices(len(vectors), 1)
    same = codes[left] == codes[right]
    if sources is not None:
        elsewhere = np.asarray(sources, str)[left] != np.asarray(sources, str)[right]
        left, right, same = (a[~same | elsewhere] for a in (left, right, same))
    if not same.any() or same.all():
        problem = f"have {same.sum()} pairs of one person and {(~same).sum()} of different people"
        remedy = "Give at least two people, one with two items."
        raise MetricError("error rates", problem, remedy=remedy, reason="too_few")
    scores = np.einsum("nd,nd->n", vectors[left], vectors[right])
    order = np.argsort(scores, kind="stable")
    scores, same = scores[order], same[order]
    first, second = codes[left][order], codes[right][order]

    def statistic(counts: np.ndarray) -> np.ndarray:
        # A pair of one person counts as often as that person was drawn; two people, as often as both meet.
        return np.array([_equal_error(same, np.where(same, c[first], c[first] * c[second])) for c in counts])

    estimate = interval(statistic, len(people), rng=rng, n_resamples=n_resamples)
    false_accept, false_reject = _rates(same, np.ones(len(same)))
    step = max(1, len(scores) // 2000)  # enough for a curve
    at = np.searchsorted(scores, scores[::step])  # of equal scores all are accepted, or none
    return ErrorRates(
        thresholds=scores[::step],
        false_accept=false_accept[at],
        false_reject=false_reject[at],
        equal_error_rate=estimate,
        n_same=int(same.sum()),
        n_different=int((~same).sum()),
        cosine_same=float(scores[same].mean()),
        cosine_different=float(scores[~same].mean()),
    )


def _rates(same: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False accepts and rejects at each score as the threshold, for pairs sorted by score."""
    genuine, impostor = weights * same, weights * ~same
    rejected = np.cumsum(genuine) - genuine
    accepted = impostor.sum() - (np.cumsum(impostor) - impostor)
    return accepted / max(impostor.sum(), 1e-300), rejected / max(genuine.sum(), 1e-300)


def _equal_error(same: np.ndarray, weights: np.ndarray) -> float:
    if not (weights * same).any() or not (weights * ~same).any():
        return float("nan")
    accept, reject = _rates(same, weights)
    at = int(np.argmin(np.abs(accept - reject)))
    return float((accept[at] + reject[at]) / 2)
