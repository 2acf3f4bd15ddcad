"""The implicit surface: normals against automatic differentiation, quadrics against rotation by hand."""

import numpy as np
import torch

from s2f.corpora.synthetic import anatomy, camera, surface


def test_normals_are_the_gradient_of_the_distance(people):
    head = surface.Head(anatomy.measures(people[2], camera._scene(np.random.default_rng(0))), device="cpu")
    for shape in (head.skin, head.hair):
        shape = surface.Shape(
            *(v.double() for v in (shape.quadrics, shape.sharp, shape.bumps, shape.heights)), shape.blend
        )
        p = torch.as_tensor(np.random.default_rng(1).uniform(-1.2, 1.2, (400, 3)))
        p.requires_grad_(True)
        (expected,) = torch.autograd.grad(surface.distance(shape, surface.monomials(p)).sum(), p)
        value, gradient = surface.gradient(shape, p.detach(), surface.monomials(p.detach()))
        torch.testing.assert_close(value, surface.distance(shape, surface.monomials(p.detach())))
        torch.testing.assert_close(gradient, expected, atol=1e-9, rtol=1e-7)


def test_quadric_is_the_rotated_ellipsoid():
    centre, radii, tilt = np.array([0.2, -0.3, 0.4]), np.array([0.5, 0.7, 0.3]), 25.0
    p = np.random.default_rng(2).uniform(0.1, 1, (50, 3))
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    turned = (p - centre) @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]]).T
    expected = (turned / radii) ** 2
    monomials = surface.monomials(torch.as_tensor(p)).numpy()
    np.testing.assert_allclose(monomials @ surface.quadric(centre, radii, tilt), expected.sum(1), rtol=1e-9)


def test_a_head_is_as_large_as_its_parts(people):
    """The surface is met at the top of the cranium, and not far above it."""
    head = surface.Head(anatomy.measures(people[2], camera._scene(np.random.default_rng(0))), device="cpu")
    heights = torch.tensor([[0.0, y, -0.12] for y in (0.9, 1.3, 2.0)])
    inside, _, outside = surface.distance(head.skin, surface.monomials(heights)).tolist()
    assert inside < 0 < outside
    assert (head.nearest(heights) <= surface.distance(head.skin, surface.monomials(heights))).all()
