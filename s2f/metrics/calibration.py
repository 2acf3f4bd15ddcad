"""Are draws spread as the truth is? Where a truth falls among them, and how often their intervals hold it.

If a truth and m draws come from one distribution, the truth is equally likely to be the lowest, the second lowest and
so on of all m + 1 (Talts et al. 2018, "Validating Bayesian inference algorithms with simulation-based calibration").
Its rank is kept as the part of [0, 1] that the rank stands for, of length 1 / (m + 1), longer where draws tie with
it. A histogram or an interval then counts the share of that part that it covers: exact for any number of draws, bins
and levels, and nothing is left to chance.

Calibration is not information: draws that ignore the voice, and are spread as people are, pass all tests by attribute.
What draws know is said by the energy score (`s2f.metrics.energy`).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from s2f.errors import MetricError


def n_least(level: float) -> int:
    """Fewest draws among which a central interval of a level lies."""
    return math.ceil(2 / (1 - level) - 1 - 1e-9)


@dataclass(frozen=True)
class Places:
    """Where truths lie among draws: the parts of [0, 1] that their ranks stand for.

    Attributes
    ----------
    low, high : ndarray, float [...], bounds of each part, 0 below all draws and 1 above all
    n_draws : int, beside each truth
    """

    low: np.ndarray
    high: np.ndarray
    n_draws: int

    def share(self, start: float, stop: float) -> np.ndarray:
        """Share of each part that lies between `start` and `stop`: float [...]."""
        inside = np.minimum(self.high, stop) - np.maximum(self.low, start)
        return np.maximum(inside, 0) / (self.high - self.low)

    def covered(self, level: float) -> np.ndarray:
        """How much of each truth the central interval of the draws holds: `level` on average if they are calibrated.

        Raises
        ------
        MetricError: so few draws that the interval would reach beyond all of them, and hold truths that they miss
        """
        if self.n_draws < (needed := n_least(level)):
            problem = f"has {self.n_draws} draws for a central interval of {100 * level:.0f} %"
            remedy = f"Give at least {needed} draws for each truth."
            raise MetricError("coverage", problem, remedy=remedy, reason="too_few")
        return self.share((1 - level) / 2, (1 + level) / 2)

    def below(self, level: float) -> np.ndarray:
        """How much of each truth is among the lowest `level` of the draws: `level` on average if calibrated."""
        return self.share(0, level)

    def histogram(self, n_bins: int) -> np.ndarray:
        """Each truth's share in each of `n_bins` equal bins, float [..., n_bins]; equal on average if calibrated."""
        edges = np.linspace(0, 1, n_bins + 1)
        return np.stack([self.share(start, stop) for start, stop in itertools.pairwise(edges)], axis=-1)


def places(draws: np.ndarray, truth: np.ndarray) -> Places:
    """Where each truth lies among its draws.

    Parameters
    ----------
    draws : ndarray, float [n, m, ...], m draws for each truth
    truth : ndarray, float [n, ...]

    Raises
    ------
    MetricError: no draws, shapes that do not match, or values that are not finite
    """
    draws, truth = _checked(draws, truth)
    below = (draws < truth[:, None]).sum(1)
    upto = (draws <= truth[:, None]).sum(1)
    n = draws.shape[1] + 1
    return Places(low=below / n, high=(upto + 1) / n, n_draws=n - 1)


def tarp(draws: np.ndarray, truth: np.ndarray, references: np.ndarray) -> Places:
    """Where each truth lies among its draws by distance to points that know neither (Lemos et al. 2023, TARP).

    It sees what no single attribute shows: whether the draws are spread as truths are in all dimensions together. Any
    references will do that are not the truth's own: with some that depend on the voice, such as what a linear map
    makes of it, draws that ignore the voice are found too.

    Parameters
    ----------
    draws, truth : ndarray, float [n, m, d] and [n, d]
    references : ndarray, float [n, r, d], points for each truth, for example people drawn at random

    Returns
    -------
    Places, of [n, r]: `Places.below` gives the expected coverage

    Raises
    ------
    MetricError: as `places`
    """
    draws, truth = _checked(draws, truth)
    references = np.asarray(references, float)
    if references.ndim != 3 or references.shape[::2] != truth.shape:
        problem = f"are {list(references.shape)} for truths {list(truth.shape)}"
        raise MetricError("references", problem, remedy="Give some for each truth: [n, r, d].")
    low, high = np.empty((2, *references.shape[:2]))
    for row, points in enumerate(references):  # [r, d]; one truth at a time, for memory
        of_draws = np.linalg.norm(draws[row, :, None] - points, axis=-1)  # [m, r]
        own = places(of_draws[None], np.linalg.norm(truth[row] - points, axis=-1)[None])
        low[row], high[row] = own.low[0], own.high[0]
    return Places(low, high, n_draws=draws.shape[1])


@dataclass(frozen=True)
class Flatness:
    """How far a rank histogram is from a flat one.

    Attributes
    ----------
    deviation : float, root mean square of how far a bar is from its height in a flat one, as a share of that height
    expected : float, the same for a flat histogram of as many people: the median of what drawing people again gives
    p_value : float, chance of a `deviation` as large if the histogram of all people there are were flat
    """

    deviation: float
    expected: float
    p_value: float


def flatness(shares: np.ndarray, counts: np.ndarray) -> Flatness:
    """Whether a rank histogram is flat, by drawing people again.

    Recordings of one person are not independent, so the chi-squared distribution does not hold. People drawn again
    deviate from the histogram of everyone as that deviates from the truth, which gives the distribution instead.

    Parameters
    ----------
    shares : ndarray, float [n_identities, n_bins], `Places.histogram`, averaged within each person; NaN without any
    counts : ndarray, float [B, n_identities], from `s2f.metrics.bootstrap.resamples`

    Raises
    ------
    MetricError: fewer than two people, or fewer than two bins
    """
    known = np.isfinite(shares).all(1)
    n_bins = shares.shape[1]
    if known.sum() < 2 or n_bins < 2:
        problem = f"has {known.sum()} people and {n_bins} bins"
        raise MetricError("rank histogram", problem, remedy="Give at least two of both.", reason="too_few")
    heights = n_bins * shares[known].mean(0)  # [n_bins], 1 if flat
    drawn = counts[:, known]
    drawn = drawn[drawn.sum(1) > 0]
    again = n_bins * (drawn @ shares[known]) / drawn.sum(1, keepdims=True)  # [B, n_bins]
    deviation = np.sqrt(((heights - 1) ** 2).mean())
    by_chance = np.sqrt(((again - heights) ** 2).mean(1))  # [B]
    as_far = (by_chance >= deviation).sum()
    return Flatness(float(deviation), float(np.median(by_chance)), float((1 + as_far) / (1 + len(by_chance))))


def _checked(draws: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    draws, truth = np.asarray(draws, float), np.asarray(truth, float)
    if draws.ndim != truth.ndim + 1 or draws.shape[:1] + draws.shape[2:] != truth.shape or not draws.shape[1]:
        problem = f"are {list(draws.shape)} for truths {list(truth.shape)}"
        raise MetricError("draws", problem, remedy="Give some for each truth: [n, m, ...] for [n, ...].")
    for what, array in (("draws", draws), ("truths", truth)):
        if not np.isfinite(array).all():
            raise MetricError(what, "hold values that are not finite", remedy="Look for where they were read.")
    return draws, truth
