"""Distances between faces: to the person's real photos, between people, and within one person.

All functions take one thing a face and `codes`, int [n], whose face each is; `photo_codes`, int [m], says the same of
real photos. Pixels are uint8 [n, H, W, 3]; vectors are embeddings, float [n, d], of unit length. `n_identities` is how
many people there are.
"""

from __future__ import annotations

import numpy as np


def by_identity(values: np.ndarray, codes: np.ndarray, *, n_identities: int) -> np.ndarray:
    """Mean of `values` [n] or [n, d] within each identity, float [n_identities] or [n_identities, d]; NaN for none."""
    values = np.asarray(values, float)
    if values.ndim == 2:
        columns = [by_identity(column, codes, n_identities=n_identities) for column in values.T]
        return np.stack(columns, axis=1)
    totals = np.bincount(codes, weights=values, minlength=n_identities)
    n = np.bincount(codes, minlength=n_identities)
    return np.divide(totals, n, out=np.full(n_identities, np.nan), where=n > 0)


def l1_pixel(faces: np.ndarray, codes: np.ndarray, photos: np.ndarray, photo_codes: np.ndarray) -> np.ndarray:
    """Mean absolute pixel difference to every photo of the person.

    Returns
    -------
    ndarray, float [n]
        On the 0–255 scale; NaN for a person without photos. Divided by 127.5 it is on [−1, 1].
    """
    out = np.full(len(faces), np.nan)
    for code in np.unique(codes):
        own = photos[photo_codes == code].astype(np.int16)  # [p, H, W, 3]
        if len(own):
            for row in np.flatnonzero(codes == code):
                out[row] = np.abs(own - faces[row].astype(np.int16)).mean()
    return out


def l1_embedding(
    vectors: np.ndarray, codes: np.ndarray, photo_vectors: np.ndarray, photo_codes: np.ndarray
) -> np.ndarray:
    """L1 distance, summed over dimensions, to every photo of the person, averaged.

    Returns
    -------
    ndarray, float [n], at most 2·√d; NaN for a person without photos
    """
    out = np.full(len(vectors), np.nan)
    for code in np.unique(codes):
        own = photo_vectors[photo_codes == code]  # [p, d]
        if len(own):
            rows = np.flatnonzero(codes == code)
            out[rows] = np.abs(vectors[rows, None] - own[None]).sum(2).mean(1)
    return out


def cosine_matrix(
    vectors: np.ndarray, codes: np.ndarray, photo_vectors: np.ndarray, photo_codes: np.ndarray, *, n_identities: int
) -> np.ndarray:
    """Mean cosine between the faces of person i and the photos of person j.

    Returns
    -------
    ndarray, float [n_identities, n_identities], the diagonal is the matched cosine; NaN where either has none
    """
    # The mean of all products is the product of the means.
    left, right = (
        by_identity(v, c, n_identities=n_identities) for v, c in ((vectors, codes), (photo_vectors, photo_codes))
    )  # [n_identities, d]
    return left @ right.T


def rms_matrix(faces: np.ndarray, codes: np.ndarray, *, n_identities: int, block: int = 512) -> np.ndarray:
    """Mean pixel distance between the faces of person i and those of person j.

    The distance of two faces is the root mean square of their pixel differences on the [−1, 1] scale.

    Parameters
    ----------
    block : int, faces compared at a time

    Returns
    -------
    ndarray, float [n_identities, n_identities]
        On the diagonal, the mean over pairs of different faces of one person. NaN where there is no pair.
    """
    x = faces.reshape(len(faces), -1).astype(np.float32) / 127.5  # [n, D]
    x -= x.mean(0)  # smaller numbers, less rounding; differences stay
    squares = np.einsum("nd,nd->n", x, x)
    members = (codes[:, None] == np.arange(n_identities)).astype(float)  # [n, n_identities]
    totals = np.zeros((n_identities, n_identities))
    for start in range(0, len(x), block):
        rows = slice(start, start + block)
        d2 = squares[rows, None] + squares[None] - 2 * x[rows] @ x.T  # [block, n]
        distances = np.sqrt(np.maximum(d2, 0) / x.shape[1])
        distances[np.arange(len(distances)), start + np.arange(len(distances))] = 0  # a face with itself
        totals += members[rows].T @ distances @ members
    n = members.sum(0)
    n_pairs = n[:, None] * n[None] - np.diag(n)
    return np.divide(totals, n_pairs, out=np.full_like(totals, np.nan), where=n_pairs > 0)
