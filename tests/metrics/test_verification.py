"""Error rates against counting pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from s2f.errors import MetricError
from s2f.metrics import verification
from tests.metrics.loops import unit


def test_error_rates_of_known_scores(rng):
    # Three tight clusters and one outlier that lies with another cluster.
    angles = np.array([0.0, 0.1, 2.0, 2.0, 2.1, 2.2, 1.0, 1.1, 1.2])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    result = verification.error_rates(vectors, np.array(list("aaabbbccc")), rng=rng, n_resamples=50)
    scores = vectors @ vectors.T
    together = list(itertools.combinations(range(9), 2))
    same = [scores[i, j] for i, j in together if i // 3 == j // 3]
    different = [scores[i, j] for i, j in together if i // 3 != j // 3]
    assert (result.n_same, result.n_different) == (9, 27)
    gaps = []
    for threshold in sorted(same + different):
        reject, accept = np.mean(np.array(same) < threshold), np.mean(np.array(different) >= threshold)
        gaps.append((abs(reject - accept), (reject + accept) / 2))
    assert result.equal_error_rate.value == pytest.approx(min(gaps)[1], abs=1e-9)


def test_error_rates_leave_out_pairs_of_one_video(rng):
    vectors = unit(rng.normal(size=(6, 4)))
    vectors = np.concatenate([vectors, unit(rng.normal(size=(3, 4)))])
    people, videos = np.array(list("aaabbbccc")), np.array(["1", "1", "2", "3", "4", "4", "5", "6", "7"])
    assert verification.error_rates(vectors, people, sources=videos, rng=rng, n_resamples=50).n_same == 7
    with pytest.raises(MetricError, match="0 pairs of one person"):
        verification.error_rates(vectors, np.array(list("abcdefghi")), rng=rng)


def test_equal_error_rate_of_perfect_and_of_useless_embeddings(rng):
    people = np.repeat(np.arange(20).astype(str), 4)
    perfect = np.eye(20)[np.repeat(np.arange(20), 4)]
    assert verification.error_rates(perfect, people, rng=rng, n_resamples=50).equal_error_rate.value < 1e-9
    useless = verification.error_rates(unit(rng.normal(size=(80, 8))), people, rng=rng, n_resamples=50)
    assert useless.equal_error_rate.value == pytest.approx(0.5, abs=0.1)
