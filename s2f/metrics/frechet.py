"""FID, through torchmetrics, and KID of Inception features.

FID compares means and covariances and is biased: with n faces it is too large by an amount that depends
on n, so it carries its n, no interval, and the FID of real against real faces at the same n beside it.
KID is unbiased; its interval comes from subsamples of identities.

All functions take Inception features, float [n, d] of the faces and [m, d] of the real photos, and refuse fewer than
`min_n` on either side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from s2f.errors import MetricError
from s2f.metrics.bootstrap import Statistic

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

    Raises
    ------
    MetricError: fewer than `min_n` faces, or features that are not finite
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    x, y = checked(features, reference, name="fid", min_n=min_n)
    if len(x) + len(y) < x.shape[1]:
        # All faces lie in a subspace of at most n + m dimensions. The distance does not change under a
        # rotation into it, and the square root of the covariances costs the third power of the dimension.
        basis = torch.linalg.qr(torch.cat([x, y]).T).Q  # [d, n + m]
        x, y = x @ basis, y @ basis
    metric = FrechetInceptionDistance(_Precomputed(x.shape[1]))
    metric.update(y, real=True)
    metric.update(x, real=False)
    return float(metric.compute())


def fid_by_n(
    features: np.ndarray,
    reference: np.ndarray,
    *,
    ns: Sequence[int],
    rng: np.random.Generator,
    n_draws: int = 10,
    min_n: int = MIN_FACES,
) -> pd.DataFrame:
    """FID of fewer and fewer faces and as many photos: how much of it is bias.

    Parameters
    ----------
    features, reference : ndarray, of drawn faces, or of one half of the real photos, and of (other) real photos
    ns : sequence of int, faces, and photos, of a draw, without replacement; `n_draws` for each n, from the stream `rng`

    Returns
    -------
    DataFrame, a line for each of `ns`: n, fid (median over the draws), low and high (their range)

    Raises
    ------
    MetricError: an n above the number of faces or photos, or below `min_n`
    """
    n_most = min(len(features), len(reference))
    if max(ns, default=0) > n_most:
        problem = f"has n = {max(ns)} but {len(features)} faces and {len(reference)} photos"
        raise MetricError("fid_by_n", problem, remedy=f"Ask for n up to {n_most}.", reason="too_few")
    records = []
    for n in ns:
        draws = [
            fid(*(part[rng.permutation(len(part))[:n]] for part in (features, reference)), min_n=min_n)
            for _ in range(n_draws)
        ]
        records.append({"n": n, "fid": float(np.median(draws)), "low": min(draws), "high": max(draws)})
    return pd.DataFrame(records, columns=["n", "fid", "low", "high"])


def kid(
    features: np.ndarray,
    codes: np.ndarray,
    reference: np.ndarray,
    reference_codes: np.ndarray,
    *,
    n_identities: int,
    min_n: int = MIN_FACES,
) -> Statistic:
    """Kernel inception distance of the faces and photos of some people: the unbiased squared MMD of a cubic kernel.

    Bińkowski et al. 2018, section 4, on whole sets instead of random subsets of them, which it is the mean of.
    All sums of the kernel over two people are taken once, so that any selection of people costs next to nothing.

    Parameters
    ----------
    codes, reference_codes : ndarray, int [n] and [m], identities, of `n_identities` people

    Returns
    -------
    callable
        Maps counts [B, n_identities] of zeros and ones to values [B], NaN where either side has fewer than two
        faces. A person counted twice would bias it: see `s2f.metrics.bootstrap.subsampled`.

    Raises
    ------
    MetricError: fewer than `min_n` faces
    """
    x, y = (part.numpy() for part in checked(features, reference, name="kid", min_n=min_n))
    within = [
        (np.bincount(c, minlength=n_identities), _kernel_sums(z, c, z, c, n_identities), _own(z, c, n_identities))
        for z, c in ((x, codes), (y, reference_codes))
    ]
    between = _kernel_sums(x, codes, y, reference_codes, n_identities)

    def statistic(counts: np.ndarray) -> np.ndarray:
        total, ns = np.zeros(len(counts)), []
        for sizes, sums, own in within:
            n = counts @ sizes  # [B]
            ns.append(n)
            total += (_form(counts, sums) - counts @ own) / np.maximum(n * (n - 1), 1)
        total -= 2 * _form(counts, between) / np.maximum(ns[0] * ns[1], 1)
        return np.where(np.minimum(*ns) > 1, total, np.nan)

    return statistic


def _form(counts: np.ndarray, sums: np.ndarray) -> np.ndarray:
    return (counts @ sums * counts).sum(1)


def _kernel_sums(
    left: np.ndarray, left_codes: np.ndarray, right: np.ndarray, right_codes: np.ndarray, n: int, block: int = 1024
) -> np.ndarray:
    """Sum of the kernel over the rows of person i and those of person j: float [n, n]."""
    members = (right_codes[:, None] == np.arange(n)).astype(float)  # [m, n]
    sums = np.zeros((n, n))
    for start in range(0, len(left), block):
        rows = slice(start, start + block)
        kernel = (left[rows] @ right.T / left.shape[1] + 1) ** 3  # [block, m]
        np.add.at(sums, left_codes[rows], kernel @ members)
    return sums


def _own(features: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
    """Sum of the kernel of each face with itself over the faces of a person: float [n]."""
    squares = np.einsum("nd,nd->n", features, features)
    return np.bincount(codes, weights=(squares / features.shape[1] + 1) ** 3, minlength=n)


def checked(features: np.ndarray, reference: np.ndarray, *, name: str, min_n: int) -> tuple[torch.Tensor, ...]:
    """Both as float64 tensors; raises a MetricError about the metric `name` as all functions here do."""
    for what, array in (("faces", features), ("reference", reference)):
        if len(array) < max(min_n, 2):
            problem = f"has {len(array)} {what} (at least {max(min_n, 2)})"
            raise MetricError(name, problem, remedy="Measure on more recordings or photos.", reason="too_few")
        if not np.isfinite(array).all():
            raise MetricError(name, f"has {what} with features that are not finite", remedy="Extract them again.")
    return torch.from_numpy(np.asarray(features, np.float64)), torch.from_numpy(np.asarray(reference, np.float64))
