"""Energy scores against loops, closed forms and another package."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from s2f.errors import MetricError
from s2f.metrics import bootstrap, energy


def slow_score(draws, truth):
    near = np.mean([np.linalg.norm(x - truth) for x in draws])
    apart = [np.linalg.norm(x - y) for x, y in itertools.permutations(draws, 2)]
    return near - (np.mean(apart) / 2 if apart else 0)


@pytest.mark.parametrize("n_draws", [1, 2, 5])
def test_scores_against_loops(people, rng, n_draws):
    p, draws = people, rng.normal(size=(len(people.codes), n_draws, 5))
    found = energy.score_matrix(draws, p.codes, p.photos, p.photo_codes, n_identities=p.n + 1)
    for truth, voice in itertools.product(range(p.n), range(p.n)):
        scores = [
            slow_score(draws[k], p.photos[i])
            for k, i in itertools.product(np.flatnonzero(p.codes == voice), np.flatnonzero(p.photo_codes == truth))
        ]
        assert found[truth, voice] == pytest.approx(np.mean(scores))
    assert np.isnan(found[p.n]).all() and np.isnan(found[:, p.n]).all()  # who has neither


def test_scores_against_another_package():
    """scoringrules 0.10.0, its fair estimator: tests/golden/distributions.sh."""
    rng = np.random.default_rng(5)
    draws, truth = rng.normal(size=(4, 6, 3)), rng.normal(size=(4, 3))
    found = energy.score_matrix(draws, np.arange(4), truth, np.arange(4), n_identities=4)
    expected = [0.907196183834377, 1.0467383100738181, 1.3473911397071812, 1.265199157817404]
    np.testing.assert_allclose(np.diag(found), expected, rtol=1e-12)


@pytest.mark.parametrize("n_draws", [2, 30])
def test_scores_do_not_depend_on_how_many_draws_there_are(rng, n_draws):
    """In one dimension, draws and truth from one normal distribution: E ‖x − y‖ / 2 = 1 / √π."""
    n = 40_000 // n_draws
    draws, truth = rng.normal(size=(n, n_draws, 1)), rng.normal(size=(n, 1))
    near = np.abs(draws - truth[:, None]).mean((1, 2))
    scores = near - energy.spreads(draws)
    assert scores.mean() == pytest.approx(1 / np.sqrt(np.pi), abs=4 * scores.std() / np.sqrt(n))


def test_the_right_spread_beats_one_face_and_too_much(rng):
    truth, scores = rng.normal(size=(3000, 3)), {}
    for spread in (0.0, 0.7, 1.0, 1.5):
        draws = spread * rng.normal(size=(3000, 20 if spread else 1, 3))
        scores[spread] = np.linalg.norm(draws - truth[:, None], axis=-1).mean(1) - energy.spreads(draws)
    for spread in (0.0, 0.7, 1.5):
        worse = scores[spread] - scores[1.0]
        assert worse.mean() > 4 * worse.std() / np.sqrt(3000), spread


def test_a_row_without_its_diagonal_is_the_mean_over_shuffled_voices(people, rng):
    p, draws = people, rng.normal(size=(len(people.codes), 3, 5))
    matrix = energy.score_matrix(draws, p.codes, p.photos, p.photo_codes, n_identities=p.n)
    everyone = np.ones((1, p.n))
    shuffled = bootstrap.pair_mean(matrix, np.ones_like(matrix, bool))(everyone)[0]
    by_hand = []
    for shift in range(1, p.n):  # all cyclic shifts: everybody once with everybody else
        by_hand += [matrix[i, (i + shift) % p.n] for i in range(p.n)]
    assert shuffled == pytest.approx(np.mean(by_hand))
    paired = bootstrap.difference(
        bootstrap.mean(np.diag(matrix)), bootstrap.pair_mean(matrix, np.ones_like(matrix, bool))
    )
    assert paired(everyone)[0] == pytest.approx(np.diag(matrix).mean() - shuffled)


def test_between_photographs_is_the_score_of_all_the_others(people):
    p = people
    found = energy.between_photographs(p.photos, p.photo_codes, n_identities=p.n)
    for code in range(p.n):
        own = p.photos[p.photo_codes == code]
        if len(own) < 3:
            continue
        each = [slow_score(np.delete(own, k, axis=0), own[k]) for k in range(len(own))]
        assert found[code] == pytest.approx(np.mean(each))
    single = np.bincount(p.photo_codes) < 2
    assert single.any() and np.isnan(found[single]).all() and np.isfinite(found[~single]).all()


def test_embeddings_of_different_readers_are_refused(people, rng):
    p = people
    for wrong in (rng.normal(size=(len(p.codes), 3, 4)), rng.normal(size=(len(p.codes), 5))):
        with pytest.raises(MetricError, match="draws are"):
            energy.score_matrix(wrong, p.codes, p.photos, p.photo_codes, n_identities=p.n)
