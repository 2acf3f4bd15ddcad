"""FID and KID of Inception features, through torchmetrics.

FID compares means and covariances and is biased: with n faces it is too large by an amount that depends
on n, so it carries its n, no interval, and the FID of real against real faces at the same n beside it.
KID is unbiased; its interval comes from subsamples of identities.
"""

from __future__ import annotations

import numpy as np
import torch

from s2f.errors import MetricError
from s2f.metrics.bootstrap import Estimate

MIN_FACES = 50


class _Precomputed(torch.nn.Module):
    """Stands in for the network: the features were extracted before."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def fid(features: np.ndarray, reference: np.ndarray, *, min_n: int = MIN_FACES) -> float:
    """Fréchet inception distance (Heusel et al. 2017, equation 6).

    Parameters
    ----------
    features, reference : ndarray, float [n, d] and [m, d]
        Inception features of the faces and of the real photos.
    min_n : int
        Fewest faces on either side.

    Raises
    ------
    MetricError
        Fewer than `min_n` faces.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    x, y = _checked(features, reference, name="fid", min_n=min_n)
    if len(x) + len(y) < x.shape[1]:
        # All faces lie in a subspace of at most n + m dimensions. The distance does not change under a
        # rotation into it, and the square root of the covariances costs the third power of the dimension.
        basis = torch.linalg.qr(torch.cat([x, y]).T).Q  # [d, n + m]
        x, y = x @ basis, y @ basis
    metric = FrechetInceptionDistance(_Precomputed(x.shape[1]))
    metric.update(y, real=True)
    metric.update(x, real=False)
    return float(metric.compute())


def kid(
    features: np.ndarray,
    reference: np.ndarray,
    *,
    rng: np.random.Generator,
    subset_size: int = 1000,
    n_subsets: int = 100,
    min_n: int = MIN_FACES,
) -> float:
    """Kernel inception distance: the unbiased squared MMD of a cubic kernel (Bińkowski et al. 2018).

    Parameters
    ----------
    features, reference : ndarray, float [n, d] and [m, d]
        Inception features of the faces and of the real photos.
    rng : numpy.random.Generator
        Stream of the subsets.
    subset_size : int
        Faces of a subset; all of the smaller side where there are fewer.
    n_subsets : int
        Subsets to average over, each drawn without replacement.
    min_n : int
        Fewest faces on either side.

    Raises
    ------
    MetricError
        Fewer than `min_n` faces.
    """
    x, y = _checked(features, reference, name="kid", min_n=min_n)
    return _kid(x, y, rng=rng, subset_size=subset_size, n_subsets=n_subsets)


def kid_interval(
    features: np.ndarray,
    codes: np.ndarray,
    reference: np.ndarray,
    reference_codes: np.ndarray,
    *,
    rng: np.random.Generator,
    n_subsamples: int = 200,
    subset_size: int = 1000,
    min_n: int = MIN_FACES,
) -> Estimate:
    """KID with an interval over identities.

    Half of the identities are drawn without replacement, with all their faces and photos. (A bootstrap
    would put copies of a face into the kernel sums, which biases them.) Halves of a sample spread about
    their mean as the sample itself spreads about the truth (Politis, Romano and Wolf 1999, section 2.2,
    with the finite-population factor), so the percentiles need no rescaling.

    Parameters
    ----------
    features, reference : ndarray, float [n, d] and [m, d]
        Inception features.
    codes, reference_codes : ndarray, int [n] and [m]
        Identities.
    rng : numpy.random.Generator
        Stream of the draws.
    n_subsamples : int
        Halves drawn.
    subset_size : int
        As in `kid`.
    min_n : int
        Fewest faces on either side.

    Raises
    ------
    MetricError
        Fewer than `min_n` faces or fewer than 4 identities.
    """
    x, y = _checked(features, reference, name="kid", min_n=min_n)
    people = np.intersect1d(codes, reference_codes)
    if len(people) < 4:
        raise MetricError(
            "kid", f"has {len(people)} identities", remedy="Measure on at least 4.", reason="too_few"
        )
    value = _kid(x, y, rng=rng, subset_size=subset_size, n_subsets=100)
    draws = []
    for _ in range(n_subsamples):
        half = rng.permutation(people)[: len(people) // 2]
        part, part_reference = x[np.isin(codes, half)], y[np.isin(reference_codes, half)]
        if min(len(part), len(part_reference)) > 1:
            draws.append(_kid(part, part_reference, rng=rng, subset_size=subset_size, n_subsets=1))
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(value=value, low=float(low), high=float(high))


def _kid(
    x: torch.Tensor, y: torch.Tensor, *, rng: np.random.Generator, subset_size: int, n_subsets: int
) -> float:
    # The function behind torchmetrics' KID: the class keeps the features in a buffer, which it warns
    # about, and draws its subsets from torch's global generator.
    from torchmetrics.image.kid import poly_mmd

    size = min(subset_size, len(x), len(y))
    if size == len(x) == len(y):
        n_subsets = 1  # every subset is the whole set
    values = []
    for _ in range(n_subsets):
        left, right = (torch.from_numpy(rng.permutation(len(part))[:size]) for part in (x, y))
        values.append(float(poly_mmd(y[right], x[left])))
    return float(np.mean(values))


def _checked(
    features: np.ndarray, reference: np.ndarray, *, name: str, min_n: int
) -> tuple[torch.Tensor, ...]:
    for what, array in (("faces", features), ("reference", reference)):
        if len(array) < max(min_n, 2):
            raise MetricError(
                name,
                f"has {len(array)} {what} (at least {max(min_n, 2)})",
                remedy="Measure on more recordings or photos.",
                reason="too_few",
            )
        if not np.isfinite(array).all():
            raise MetricError(
                name, f"has {what} with features that are not finite", remedy="Extract them again."
            )
    return torch.from_numpy(np.asarray(features, np.float64)), torch.from_numpy(
        np.asarray(reference, np.float64)
    )
