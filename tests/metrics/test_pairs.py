"""Distances against loops over every pair."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from s2f.metrics import pairs


def test_means_by_identity_of_numbers_and_of_vectors(rng):
    codes, vectors = np.array([2, 0, 2, 2]), rng.normal(size=(4, 3))
    means = pairs.by_identity(vectors, codes, n_identities=4)
    np.testing.assert_allclose(means[[0, 2]], [vectors[1], vectors[[0, 2, 3]].mean(0)])
    assert np.isnan(means[[1, 3]]).all()
    np.testing.assert_array_equal(pairs.by_identity(vectors[:, 1], codes, n_identities=4), means[:, 1])


def test_pixel_l1_against_loops(rng):
    faces, photos = rng.integers(0, 256, (2, 6, 4, 4, 3), dtype=np.uint8)
    codes, photo_codes = np.array([0, 0, 1, 2, 2, 3]), np.array([0, 1, 1, 2, 2, 2])
    values = pairs.l1_pixel(faces, codes, photos, photo_codes)
    for row, code in enumerate(codes[:5]):
        each = [np.abs(faces[row].astype(float) - photo).mean() for photo in photos[photo_codes == code].astype(float)]
        assert values[row] == pytest.approx(np.mean(each))
    assert np.isnan(values[5]), "person 3 has no photo"


def test_embedding_distances_against_loops(people):
    p = people
    l1 = pairs.l1_embedding(p.probes, p.codes, p.photos, p.photo_codes)
    cosine = pairs.cosine_matrix(p.probes, p.codes, p.photos, p.photo_codes, n_identities=p.n)
    for row, code in enumerate(p.codes):
        assert l1[row] == pytest.approx(
            np.mean([np.abs(p.probes[row] - t).sum() for t in p.photos[p.photo_codes == code]])
        )
    for i, j in itertools.product(range(p.n), repeat=2):
        each = [a @ b for a in p.probes[p.codes == i] for b in p.photos[p.photo_codes == j]]
        assert cosine[i, j] == pytest.approx(np.mean(each))


def test_rms_matrix_against_loops(rng):
    faces = rng.integers(0, 256, (9, 4, 4, 3), dtype=np.uint8)
    codes = np.array([0, 0, 0, 1, 1, 2, 3, 3, 0])
    matrix = pairs.rms_matrix(faces, codes, n_identities=5, block=4)
    x = faces / 127.5 - 1
    for i, j in itertools.product(range(4), repeat=2):
        each = [
            np.sqrt(((x[a] - x[b]) ** 2).mean())
            for a in np.flatnonzero(codes == i)
            for b in np.flatnonzero(codes == j)
            if a != b
        ]
        if each:
            assert matrix[i, j] == pytest.approx(np.mean(each), abs=1e-5)
        else:
            assert np.isnan(matrix[i, j])
    assert np.isnan(matrix[4]).all()
