"""The surface of a head as an implicit function: distances, and normals that are exact.

The skin is a smooth union of ellipsoids with Gaussian bumps and dents; the hair is a second such union, cut open
in front of the face. An ellipsoid is one quadratic form, so a whole head is evaluated at all points by two matrix
products. Coordinates are those of `anatomy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from s2f.corpora.synthetic import anatomy
from s2f.corpora.synthetic.anatomy import Part, Point

Device = str | torch.device


@dataclass(frozen=True)
class Shape:
    """An implicit surface as matrices on the monomials 1, |x|, y, z, x², y², z², |x|y, yz, z|x|."""

    quadrics: Tensor  # [10, K] give the squared normalised radius times `sharp`²
    sharp: Tensor  # [K] an ellipsoid's size over `blend`: turns a normalised radius into blended distance
    bumps: Tensor  # [10, M] give the exponent of a Gaussian
    heights: Tensor  # [M] outwards, dm
    blend: float  # width of the smooth union, dm


def _shape(parts: tuple[list[Part], list[Part]], *, blend: float, device: Device) -> Shape:
    ellipsoids, bumps = parts
    radii = np.array([radii for _, radii, _ in ellipsoids])
    sharp = np.sqrt(radii.min(axis=1) * radii.mean(axis=1)) / blend
    return Shape(
        quadrics=tensor(np.stack([quadric(*e) for e in ellipsoids], axis=1) * sharp**2, device),
        sharp=tensor(sharp, device),
        bumps=tensor(-np.stack([quadric(c, w, 0) for c, w, _ in bumps], axis=1), device),
        heights=tensor([h for _, _, h in bumps], device),
        blend=blend,
    )


def quadric(centre: Point, radii: Point, tilt_deg: float) -> np.ndarray:
    """Coefficients of |R(p - centre) / radii|² on the monomials of `monomials`. [10]"""
    c, s = cos(radians(tilt_deg)), sin(radians(tilt_deg))
    turn = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    form = turn.T @ np.diag(1 / np.square(radii)) @ turn
    linear = -2 * form @ np.array(centre)
    constant = np.array(centre) @ form @ np.array(centre)
    return np.array([constant, *linear, *np.diag(form), 2 * form[0, 1], 2 * form[1, 2], 2 * form[0, 2]])


def tensor(values: ArrayLike, device: Device) -> Tensor:
    """Numbers as float32 on a device."""
    return torch.as_tensor(np.asarray(values), dtype=torch.float32, device=device)


def monomials(p: Tensor) -> Tensor:
    """What the matrices of a `Shape` multiply, of points [N, 3]. [N, 10]"""
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


class Head:
    """Skin and hair of one person, from the measures of `anatomy`, as distances and normals."""

    def __init__(self, a: Mapping, *, device: Device) -> None:
        self.skin = _shape(anatomy.skin(a), blend=0.055, device=device)
        self.hair = _shape(anatomy.hair(a), blend=0.07, device=device)
        top = 0.66 + 0.045 * a["hair_loss"] - 0.26 * a["fringe"] * (1 - a["bald"])
        self.opening_y = -0.45
        self.opening_radii = (0.70 + 0.015 * a["hair_loss"] - 0.08 * min(a["long"], 1.0), top + 0.45, 1.5)
        self.phase = 3.0 * a["parting"]
        self.lean = 0.30 * a["parting"]  # a parting lifts one side of the hairline

    def _opening(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """Distance to the hole in the hair in front of the face, and its gradient."""
        rx, ry, rz = self.opening_radii
        ragged = 0.011 * torch.sin(27 * p[:, 0] + self.phase) + 0.011 * torch.sin(71 * p[:, 0])
        x, y, z = (p[:, 0] / rx, (p[:, 1] - self.opening_y + self.lean * p[:, 0] + ragged) / ry, (p[:, 2] - 1.05) / rz)
        root = (x * x + y * y + z * z).clamp_min(1e-6).sqrt()
        g = torch.stack([x / rx + self.lean * y / ry, y / ry, z / rz], dim=1) * (0.6 / root)[:, None]
        return (root - 1) * 0.6, g

    def nearest(self, p: Tensor, *, bumps: bool = True) -> Tensor:
        """Distance to skin or hair, whichever is nearer. [N]"""
        m = monomials(p)
        hair = torch.maximum(distance(self.hair, m, bumps=bumps), -self._opening(p)[0])
        return torch.minimum(distance(self.skin, m, bumps=bumps), hair)

    def gradients(self, p: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Distances [N] and gradients [N, 3] of skin and hair, each on its own."""
        m = monomials(p)
        skin, skin_g = gradient(self.skin, p, m)
        hair, hair_g = gradient(self.hair, p, m)
        hole, hole_g = self._opening(p)
        cut = (-hole > hair)[:, None]
        # The cut edge of the hair is rounded: its normal keeps most of the hair's own.
        return skin, torch.maximum(hair, -hole), skin_g, torch.where(cut, hair_g - 0.35 * hole_g, hair_g)
