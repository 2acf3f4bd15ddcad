"""Smooth implicit surfaces: unions of ellipsoids with Gaussian bumps and dents, as distances and exact normals.

An ellipsoid is one quadratic form, so a whole head is evaluated at all points by two matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Shape:
    """An implicit surface as matrices on the monomials 1, |x|, y, z, x², y², z², |x|y, yz, z|x|."""

    quadrics: Tensor  # [10, K] give the squared normalised radius times `sharp`²
    sharp: Tensor  # [K] an ellipsoid's size over `blend`: turns a normalised radius into blended distance
    bumps: Tensor  # [10, M] give the exponent of a Gaussian
    heights: Tensor  # [M] outwards, dm
    blend: float  # width of the smooth union, dm


def union(ellipsoids: list, bumps: list, *, blend: float, device: str) -> Shape:
    radii = np.array([radii for _, radii, _ in ellipsoids])
    sharp = np.sqrt(radii.min(axis=1) * radii.mean(axis=1)) / blend
    return Shape(
        quadrics=tensor(np.stack([quadric(*e) for e in ellipsoids], axis=1) * sharp**2, device),
        sharp=tensor(sharp, device),
        bumps=tensor(-np.stack([quadric(c, w, 0) for c, w, _ in bumps], axis=1), device),
        heights=tensor([h for _, _, h in bumps], device),
        blend=blend,
    )


def quadric(centre: tuple, radii: tuple, tilt_deg: float) -> np.ndarray:
    """Coefficients of |R(p - centre) / radii|² on the monomials of `monomials`. [10]"""
    c, s = cos(radians(tilt_deg)), sin(radians(tilt_deg))
    turn = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    form = turn.T @ np.diag(1 / np.square(radii)) @ turn
    linear = -2 * form @ np.array(centre)
    constant = np.array(centre) @ form @ np.array(centre)
    return np.array([constant, *linear, *np.diag(form), 2 * form[0, 1], 2 * form[1, 2], 2 * form[0, 2]])


def tensor(values, device: str) -> Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float32, device=device)


def monomials(p: Tensor) -> Tensor:
    x, y, z = p[:, 0].abs(), p[:, 1], p[:, 2]  # heads are symmetric: one half describes both
    return torch.stack([torch.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, y * z, z * x], dim=1)  # [N, 10]


def exp_(x: Tensor) -> Tensor:
    """Exponential in place, at least e^-80: numbers that underflow, and products with them, are fifty times slower."""
    return x.clamp_min_(-80).exp_()


def distance(shape: Shape, m: Tensor, *, bumps: bool = True) -> Tensor:
    """Approximate signed distance at points given as monomials. [N]"""
    nearness = shape.sharp - (m @ shape.quadrics).clamp_min_(1e-6).sqrt_()  # [N, K]
    # Far from everything the sum would underflow: 1e-30 stands for "about 70 blends away".
    d = exp_(nearness).sum(dim=1).clamp_min_(1e-30).log_().mul_(-shape.blend)
    return d - exp_(m @ shape.bumps) @ shape.heights if bumps else d


def gradient(shape: Shape, p: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
    """Distance and its exact gradient: the mixture of quadrics that counts at a point, differentiated."""
    root = (m @ shape.quadrics).clamp_min_(1e-6).sqrt_()  # [N, K]
    near = exp_(shape.sharp - root)
    total = near.sum(dim=1).clamp_min_(1e-30)
    bump = exp_(m @ shape.bumps) * shape.heights  # [N, M]
    c = (near / root) @ (shape.quadrics.T * (0.5 * shape.blend)) / total[:, None]  # [N, 10]
    c -= bump @ shape.bumps.T
    x, y, z = m[:, 1], m[:, 2], m[:, 3]
    gx = c[:, 1] + 2 * c[:, 4] * x + c[:, 7] * y + c[:, 9] * z
    gy = c[:, 2] + 2 * c[:, 5] * y + c[:, 7] * x + c[:, 8] * z
    gz = c[:, 3] + 2 * c[:, 6] * z + c[:, 8] * y + c[:, 9] * x
    gradient = torch.stack([gx * p[:, 0].sign(), gy, gz], dim=1)  # [N, 3]
    return -shape.blend * total.log() - bump.sum(dim=1), gradient
