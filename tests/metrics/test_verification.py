"""Error rates against counting pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from s2f.errors import MetricError
from s2f.metrics import verification
from tests.metrics.loops import unit

# Nine items of three people; no two pairs differ by the same angle, so that none are equally alike.
ANGLES = 0.05 * np.array([0, 1, 5, 12, 25, 27, 35, 41, 44])
VECTORS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
PEOPLE = np.array(list("aabbbccac"))
SCORES = {(i, j): VECTORS[i] @ VECTORS[j] for i, j in itertools.combinations(range(9), 2)}


def slow_rates(same, different, threshold):
    """False accepts and rejects at a threshold that is one of the scores, but for rounding."""
    return np.mean(np.array(different) > threshold - 1e-9), np.mean(np.array(same) < threshold - 1e-9)


def slow_equal_error(same, different):
    rates = [slow_rates(same, different, threshold) for threshold in (*same, *different)]
    return np.mean(min(rates, key=lambda pair: abs(pair[0] - pair[1])))


def test_error_rates_of_known_scores(rng):
    result = verification.error_rates(VECTORS, PEOPLE, rng=rng, n_resamples=50)
    same = [score for (i, j), score in SCORES.items() if PEOPLE[i] == PEOPLE[j]]
    different = [score for (i, j), score in SCORES.items() if PEOPLE[i] != PEOPLE[j]]
    assert (result.n_same, result.n_different) == (9, 27)
    assert (result.cosine_same, result.cosine_different) == pytest.approx((np.mean(same), np.mean(different)))
    np.testing.assert_allclose(result.thresholds, sorted(same + different))
    expected = [slow_rates(same, different, threshold) for threshold in result.thresholds]
    np.testing.assert_allclose(np.stack([result.false_accept, result.false_reject], axis=1), expected, atol=1e-12)
    assert result.equal_error_rate.value == pytest.approx(slow_equal_error(same, different), abs=1e-9)


def test_equal_error_rate_of_people_drawn_twice_is_that_of_their_pairs_written_twice(rng, monkeypatch):
    statistics = []
    monkeypatch.setattr(verification, "interval", lambda statistic, *_, **__: statistics.append(statistic))
    verification.error_rates(VECTORS, PEOPLE, rng=rng)
    drawn, same, different = "aac", [], []
    for person in drawn:
        same += [score for (i, j), score in SCORES.items() if PEOPLE[i] == PEOPLE[j] == person]
    for one, other in itertools.combinations(drawn, 2):
        if one != other:  # nobody meets the own copy
            different += [score for (i, j), score in SCORES.items() if {PEOPLE[i], PEOPLE[j]} == {one, other}]
    found = statistics[0](np.array([[2.0, 0.0, 1.0], [1.0, 1.0, 1.0]]))
    assert found[0] == pytest.approx(slow_equal_error(same, different), abs=1e-9) and found[0] != found[1]


def test_of_too_many_items_some_are_drawn_with_where_they_come_from():
    videos, drawn = np.array(list("xxyyzwwuv")), set()
    by_score = {round(score, 9): pair for pair, score in SCORES.items()}
    for seed in range(5):
        result = verification.error_rates(
            VECTORS, PEOPLE, sources=videos, rng=np.random.default_rng(seed), n_resamples=200, max_items=7
        )
        found = {by_score[round(threshold, 9)] for threshold in result.thresholds}
        kept = sorted({item for pair in found for item in pair})
        pairs = itertools.combinations(kept, 2)
        assert found == {(i, j) for i, j in pairs if PEOPLE[i] != PEOPLE[j] or videos[i] != videos[j]}
        assert len(kept) == 7
        drawn.add(tuple(kept))
    assert len(drawn) > 1


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


def test_of_equal_scores_all_are_accepted_or_none(rng):
    result = verification.error_rates(np.eye(3)[[0, 0, 0, 1, 2, 2]], np.array(list("aabbcc")), rng=rng, n_resamples=50)
    assert result.thresholds.tolist() == [0] * 11 + [1] * 4
    assert result.false_accept.tolist() == pytest.approx([1] * 11 + [2 / 12] * 4)
    assert result.false_reject.tolist() == pytest.approx([0] * 11 + [1 / 3] * 4)
