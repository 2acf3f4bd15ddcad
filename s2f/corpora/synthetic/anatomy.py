"""The shape of a head: a person's traits to ellipsoids, bumps and dents of skin and hair.

Lengths are in decimetres: x to the right of the image, y up, z towards the camera; the origin lies inside the
head, between the eyes' outer ends at their height. Hair is a second surface, cut open in front of the face.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from s2f.corpora.synthetic import population
from s2f.corpora.synthetic.surface import Shape, distance, gradient, monomials, union

SHAPES = (
    "skin_redness",
    "hair_volume",
    "fringe",
    "parting",
    "eye_spacing",
    "eye_tilt",
    "brow_tilt",
    "nose_bridge",
    "mouth_width",
)
BEARD_KEPT = {"shaven": 0.65, "stubble": 0.85, "moustache": 0.65, "full": 1.0}


def measures(person: Mapping, scene: Mapping) -> dict:
    """Measures of one head in one photograph (dm, or shares of 1) from the traits in standard deviations."""
    t = {name: float(np.clip(person[name], -3.2, 3.2)) for name in (*population.CAUSED, *SHAPES)}
    stretch = 1 + 0.065 * t["face_length"]  # of everything below the eyes
    nose = 1 + 0.16 * t["nose_size"]
    age = float(np.clip((t["wrinkles"] + 1.2) / 3.2, 0.0, 1.15))
    bald = float(np.clip((t["hair_loss"] - 1.5) / 1.4, 0.0, 1.0))
    style = person["beard_style"]
    beard = float(np.clip((t["beard_density"] - 0.1) / 0.5, 0.0, 1.0))
    return t | {
        "stretch": stretch,
        "nose": nose,
        "nose_y": -0.40 * stretch - 0.04 * (nose - 1),
        "mouth_y": -0.69 * stretch,
        "mouth_w": 0.235 + 0.018 * t["mouth_width"] + 0.055 * max(scene["smile"], 0.0),
        "lip": max(0.068 + 0.030 * t["lip_fullness"], 0.018),
        "gap": 0.075 * scene["open"] * stretch,
        "eye_x": 0.325 + 0.014 * t["eye_spacing"],
        "eye_w": 0.158 * (1 + 0.11 * t["eye_size"]),
        "eye_h": 0.075 * (1 + 0.21 * t["eye_size"] - 0.09 * t["eyelid_droop"]) * scene["lids"],
        "brow_y": 0.205 + 0.040 * t["brow_height"] - 0.008 * t["brow_ridge"],
        "age": age,
        "grey": float(np.clip((t["grey_hair"] - 0.1) / 1.3, 0.0, 1.0)),
        "long": float(np.clip(t["hair_length"] / 0.6, 0.0, 1.35)) * (1 - 0.85 * bald),
        "bald": bald,
        "beard": beard * BEARD_KEPT[style],
        "moustache": beard * (1.0 if style == "moustache" else BEARD_KEPT[style]),
        "makeup": float(np.clip((t["lip_colour"] - 0.1) / 0.6, 0.0, 1.3)),
    }


def skin_shape(a: Mapping, *, device: str) -> Shape:
    s, nose, jaw, cheek = a["stretch"], a["nose"], a["jaw_width"], a["cheek_fullness"]
    full = a["beard"] if a["beard"] > 0.7 else 0.0  # a full beard adds volume
    ellipsoids = [  # centre x, y, z; radii; tilt in degrees about x
        ((0, 0.30, -0.12), (0.75, 0.86, 0.94), 0),  # cranium
        ((0, -0.20 * s, 0.20), (0.635 + 0.022 * cheek + 0.022 * jaw, 0.78 * s, 0.66), 0),  # face
        ((0, -0.68 * s, 0.24), (0.47 + 0.100 * jaw + 0.036 * cheek, 0.43 * s, 0.52), 0),  # jaw
        (
            (0, -0.97 * s, 0.56),
            (0.20 + 0.052 * a["chin_size"], 0.15 + 0.020 * a["chin_size"], 0.20 + 0.016 * a["chin_size"]),
            0,
        ),
        ((0.385, -0.22 * s, 0.50), (0.225, 0.15, 0.26), 0),  # cheekbone
        ((0.36 + 0.015 * cheek, -0.55 * s, 0.46), (0.19 + 0.045 * cheek, 0.24, 0.25 + 0.022 * cheek), 0),
        (
            (0, -0.14 * s, 0.88 + 0.022 * a["nose_bridge"]),
            (0.075 + 0.008 * nose, 0.30 * s, 0.11 * nose),
            -16,
        ),  # bridge of the nose
        ((0, a["nose_y"], 1.00 + 0.08 * nose), (0.105 * nose, 0.095 * nose, 0.13 * nose), 0),  # nose tip
        ((0.115 * nose, a["nose_y"] - 0.035, 0.985), (0.072 * nose, 0.065 * nose, 0.11), 0),  # nose wing
        ((0.755, -0.08, -0.08), (0.055, 0.22 + 0.02 * a["age"], 0.16), -12),  # ear
        ((0, -1.20, -0.15), (0.415 + 0.095 * a["neck_width"], 1.0, 0.44 + 0.03 * a["neck_width"]), 8),
        ((0, -2.02, -0.22), (1.35 + 0.11 * a["neck_width"], 0.68, 0.55), 0),  # shoulders
    ]
    lip, y = a["lip"], a["mouth_y"]
    bumps = [  # centre, widths, height
        ((a["eye_x"], 0.02, 0.80), (0.15, 0.115, 0.40), -0.105 - 0.010 * a["age"]),  # socket
        ((a["eye_x"], -0.005, 0.80), (0.115, 0.07, 0.40), 0.062),  # eyeball behind its lids
        ((0.24, 0.155, 0.85), (0.17, 0.060, 0.30), 0.020 + 0.032 * a["brow_ridge"]),
        ((0.30, 0.50, 0.75), (0.22, 0.18, 0.30), 0.015 - 0.012 * a["brow_ridge"]),  # forehead
        ((0, y + 0.55 * lip + a["gap"], 0.86), (0.22, 0.052, 0.35), 0.018 + 0.45 * lip),
        ((0, y - 0.75 * lip - a["gap"], 0.86), (0.18, 0.055, 0.35), 0.020 + 0.50 * lip),
        ((0, y, 0.86), (0.24, 0.020 + 0.6 * a["gap"], 0.35), -0.020),  # between the lips
        ((0, y - 0.20 * s, 0.80), (0.20, 0.055, 0.40), -0.035),  # above the chin
        ((0.47, -0.86 * s, 0.40), (0.16, 0.13, 0.30), 0.006 + 0.026 * max(a["jowls"], -1.0)),
        ((0.50, -0.60 * s, 0.50), (0.14, 0.16, 0.30), 0.014 * min(cheek, 0.0)),  # hollow of a lean cheek
        ((0, -1.06 * s, 0.30), (0.30, 0.12, 0.30), 0.030 * max(cheek + 0.6 * a["jowls"], 0.0)),  # double chin
        ((0.25, -0.90 * s, 0.50), (0.36, 0.26, 0.40), 0.075 * full),
        ((0.79, -0.05, 0.06), (0.06, 0.12, 0.09), -0.035),  # hollow of the ear
    ]
    return union(ellipsoids, bumps, blend=0.055, device=device)


def hair_shape(a: Mapping, *, device: str) -> Shape:
    long, v = a["long"], 0.045 + 0.022 * max(a["hair_volume"], -1.2) + 0.045 * min(a["long"], 1.0)
    v *= 1 - 0.8 * a["bald"]
    end = 0.05 - 1.25 * long  # height of the hair's ends
    ellipsoids = [
        ((0, 0.30 - 0.20 * a["bald"], -0.14 - 0.16 * a["bald"]), (0.76 + v, 0.87 + 1.4 * v, 0.95 + v), 0),
        ((0, 0.5 * (0.5 + end), -0.42), (0.62 + 0.16 * min(long, 1.0), 0.5 * (0.6 - end), 0.36), 0),
    ]
    if long > 0:
        reach = 0.12 + 0.11 * min(long, 1.0) + 0.02 * a["hair_volume"]
        ellipsoids += [
            ((0.68, 0.5 * (0.62 + end), -0.02), (reach, 0.5 * (0.85 - end), 0.36), 4),
            ((0.70, 0.5 * (0.2 + end), 0.02), (reach * 0.95, 0.5 * (0.35 - end), 0.26), -4),
        ]
    wave = ((0.8, -0.5, 0.1), (0.25, 0.2, 0.5), 0.03 * long)
    return union(ellipsoids, [wave], blend=0.07, device=device)


class Head:
    """Skin and hair of one person, as distances and normals."""

    def __init__(self, a: Mapping, *, device: str) -> None:
        self.skin, self.hair = skin_shape(a, device=device), hair_shape(a, device=device)
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


def mouth_bend(u, scene: Mapping):
    """How far a point of the mouth line, u = -1 to 1, lies above the mouth's height."""
    return scene["smile"] * 0.06 * (u * u - 0.35)
