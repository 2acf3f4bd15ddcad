"""Shapes of synthetic heads: their normals against automatic differentiation."""

import numpy as np
import pytest
import torch

from s2f.corpora.synthetic import anatomy, camera, population, surface


@pytest.fixture(scope="module")
def people():
    return population.sample(12, seed=5).to_dict("records")


def test_normals_are_the_gradient_of_the_distance(people):
    head = anatomy.measures(people[2], camera._scene(np.random.default_rng(0)))
    for shape in (anatomy.skin_shape(head, device="cpu"), anatomy.hair_shape(head, device="cpu")):
        shape = surface.Shape(
            *(v.double() for v in (shape.quadrics, shape.sharp, shape.bumps, shape.heights)), shape.blend
        )
        p = torch.as_tensor(np.random.default_rng(1).uniform(-1.2, 1.2, (400, 3)))
        p.requires_grad_(True)
        (expected,) = torch.autograd.grad(surface.distance(shape, surface.monomials(p)).sum(), p)
        value, gradient = surface.gradient(shape, p.detach(), surface.monomials(p.detach()))
        torch.testing.assert_close(value, surface.distance(shape, surface.monomials(p.detach())))
        torch.testing.assert_close(gradient, expected, atol=1e-9, rtol=1e-7)
