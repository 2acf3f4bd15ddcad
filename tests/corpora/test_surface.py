"""Implicit surfaces: quadratic forms against the ellipsoids they stand for."""

import numpy as np
import torch

from s2f.corpora.synthetic import surface


def test_quadric_is_the_rotated_ellipsoid():
    centre, radii, tilt = np.array([0.2, -0.3, 0.4]), np.array([0.5, 0.7, 0.3]), 25.0
    p = np.random.default_rng(2).uniform(0.1, 1, (50, 3))
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    turned = (p - centre) @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]]).T
    expected = (turned / radii) ** 2
    monomials = surface.monomials(torch.as_tensor(p)).numpy()
    np.testing.assert_allclose(monomials @ surface.quadric(centre, radii, tilt), expected.sum(1), rtol=1e-9)
