"""The energy score: how near draws are to the truth, and how much they are spread, in one number that cannot be gamed.

E ‖x − y‖ − ½ E ‖x − x'‖ for draws x, x' and a truth y is lowest, on average, for draws from the very distribution that
the truth comes from (Gneiting and Raftery 2007, section 4.3). It is in units of the embedding's distances. The fair
estimator leaves out pairs of a draw with itself, so that its mean does not depend on how many draws there are.

All functions take `photos`, float [k, d], embeddings of real photographs, and `photo_codes`, int [k], whose each is;
`draws`, float [n, m, d], are m for each recording, and `codes`, int [n], say who speaks there. `n_identities` is how
many people there are.
"""

from __future__ import annotations

import numpy as np

from s2f.errors import MetricError
from s2f.metrics import pairs


def score_matrix(
    draws: np.ndarray, codes: np.ndarray, photos: np.ndarray, photo_codes: np.ndarray, *, n_identities: int
) -> np.ndarray:
    """Energy score of the draws for one person's recordings where the truth is another's photograph.

    The diagonal is what draws are judged by. The mean of a row without it is the mean over all ways to give a
    person's photographs the draws for somebody else's voice: every shuffle of the voices at once, as
    `bootstrap.pair_mean` takes it. A single draw a recording stands for all of its distribution, one face.

    Returns
    -------
    ndarray, float [n_identities, n_identities]
        Row: whose photographs; column: whose voices. Averaged over both; NaN where either has none.

    Raises
    ------
    MetricError: draws and photographs of different dimensions
    """
    from scipy.spatial.distance import cdist

    if draws.ndim != 3 or draws.shape[2] != photos.shape[1]:
        problem = f"are {list(draws.shape)} for photographs {list(photos.shape)}"
        raise MetricError("draws", problem, remedy="Give embeddings of one reader: [n, m, d] for [k, d].")
    near = np.stack([cdist(own, photos).mean(0) for own in draws])  # [n, k]
    scores = near - spreads(draws)[:, None]
    by_voice = pairs.by_identity(scores, codes, n_identities=n_identities)  # [n_identities, k]
    return pairs.by_identity(by_voice.T, photo_codes, n_identities=n_identities)


def spreads(draws: np.ndarray) -> np.ndarray:
    """Half of the mean distance between two draws for a recording, float [n]; 0 where there is one."""
    from scipy.spatial.distance import pdist

    if draws.shape[1] == 1:
        return np.zeros(len(draws))
    return np.array([pdist(own).mean() / 2 for own in draws])


def between_photographs(photos: np.ndarray, photo_codes: np.ndarray, *, n_identities: int) -> np.ndarray:
    """Energy score of a person's other photographs as draws for each one: the least that knowing who speaks allows.

    Averaged over which of them is the truth, it is half the mean distance between two of them.

    Returns
    -------
    ndarray, float [n_identities], NaN for fewer than two photographs
    """
    from scipy.spatial.distance import pdist

    scores = np.full(n_identities, np.nan)
    for code in np.unique(photo_codes):
        own = photos[photo_codes == code]
        if len(own) > 1:
            scores[code] = pdist(own).mean() / 2
    return scores
