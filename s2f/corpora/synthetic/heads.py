"""Shaded photographs of a person's head: a small implicit surface, sphere-traced in vectorised torch.

The head is a smooth union of ellipsoids with Gaussian bumps and dents; hair is a second such union, cut open
in front of the face. An ellipsoid is one quadratic form, so a whole head is evaluated at all points by two
matrix products, and its normals are exact. Eyes, brows, lips, beard and wrinkles are painted on the surface
in head coordinates. Lengths are in decimetres: x to the right of the image, y up, z towards the camera; the
origin lies inside the head, between the eyes' outer ends at their height.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
import torch
from torch import Tensor

from s2f.corpora.synthetic import population

SKIN = ((0.95, 0.78, 0.69), (0.89, 0.68, 0.56), (0.75, 0.53, 0.40), (0.55, 0.37, 0.27), (0.37, 0.24, 0.18))
HAIR = {
    "black": (0.13, 0.115, 0.11),
    "brown": (0.30, 0.19, 0.12),
    "auburn": (0.50, 0.24, 0.11),
    "blond": (0.80, 0.63, 0.38),
}
IRIS = {
    "brown": (0.30, 0.17, 0.09),
    "hazel": (0.47, 0.35, 0.15),
    "green": (0.36, 0.50, 0.30),
    "blue": (0.36, 0.54, 0.75),
}
GREY = (0.80, 0.80, 0.81)
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

CAMERA_DM = 13.0  # distance of the camera from the head: an ordinary portrait's perspective
HALF_FRAME_DM = 1.5  # half of what a photograph covers at the distance of the head
PIVOT_Y_DM = -0.3  # heads turn about a point below the eyes
N_COARSE, N_FINE, N_LATE = 12, 2, 20  # marching steps: on half the grid, on all of it, on what still moves


@dataclass(frozen=True)
class _Shape:
    """An implicit surface as matrices on the monomials 1, |x|, y, z, x², y², z², |x|y, yz, z|x|."""

    quadrics: Tensor  # [10, K] give the squared normalised radius times `sharp`²
    sharp: Tensor  # [K] an ellipsoid's size over `blend`: turns a normalised radius into blended distance
    bumps: Tensor  # [10, M] give the exponent of a Gaussian
    heights: Tensor  # [M] outwards, dm
    blend: float  # width of the smooth union, dm


def render(
    person: Mapping, *, n: int, rng: np.random.Generator, size_px: int = 128, device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """Photograph one person `n` times, each time with its own pose, light, expression and background.

    Parameters
    ----------
    person : Mapping
        A row of `population.sample`.
    n : int
        Number of photographs.
    rng : numpy Generator
        Draws what changes between photographs; the same state gives the same photographs on one device.
    size_px : int
        Height and width.
    device : str
        Where torch computes.

    Returns
    -------
    uint8 array [n, size_px, size_px, 3]
        The photographs, RGB.
    float32 array [n, 5, 2]
        x and y in pixels (a pixel's centre is a whole number) of left eye, right eye, nose tip, left and
        right mouth corner, left and right as seen in the image.
    """
    photos = np.empty((n, size_px, size_px, 3), np.uint8)
    landmarks = np.empty((n, 5, 2), np.float32)
    with torch.inference_mode():
        for k in range(n):
            scene = _scene(rng)
            photos[k], landmarks[k] = _photograph(person, scene, rng=rng, size_px=size_px, device=device)
    return photos, landmarks


def _scene(rng: np.random.Generator) -> dict:
    """What differs between two photographs of one person."""
    turn = {
        name: float(np.clip(rng.normal(0.0, sd), -limit, limit))
        for name, sd, limit in (("yaw", 9.0, 20.0), ("pitch", 4.5, 12.0), ("roll", 4.0, 12.0))
    }
    azimuth, elevation = radians(rng.uniform(-60, 60)), radians(rng.uniform(5, 55))
    warmth = rng.normal(0.0, 0.06)
    hue = rng.random(2)
    return turn | {
        "zoom": float(rng.uniform(0.92, 1.12)),
        "shift": rng.normal(0.0, 0.06, 2),
        "light": np.array([sin(azimuth) * cos(elevation), sin(elevation), cos(azimuth) * cos(elevation)]),
        "light_rgb": rng.uniform(0.75, 1.1) * np.array([1 + warmth, 1.0, 1 - warmth]),
        "ambient": float(rng.uniform(0.32, 0.55)),
        "smile": float(np.clip(rng.normal(0.35, 0.4), -0.3, 1.0)),
        "open": float(max(0.0, rng.normal(0.0, 0.45))),
        "gaze": np.clip(rng.normal(0.0, 0.015, 2), -0.035, 0.035),
        "lids": float(np.clip(rng.normal(1.0, 0.1), 0.7, 1.15)),
        "backdrop": np.stack([_hsv(h, rng.uniform(0.05, 0.45), rng.uniform(0.15, 0.85)) for h in hue]),
        "backdrop_turn": float(rng.uniform(0, 2 * np.pi)),
        "blobs": rng.uniform(-1.2, 1.2, (5, 3)),
        "cloth": _hsv(rng.random(), rng.uniform(0.0, 0.7), rng.uniform(0.08, 0.85)),
        "neckline": float(rng.uniform(0.0, 1.0)),
        "grain": float(rng.uniform(0.002, 0.010)),
    }


def _hsv(h: float, s: float, v: float) -> np.ndarray:
    k = (np.array([5.0, 3.0, 1.0]) + 6 * h) % 6
    return v - v * s * np.clip(np.minimum(k, 4 - k), 0, 1)


# ---------------------------------------------------------------- anatomy


def _anatomy(person: Mapping, scene: Mapping) -> dict:
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


def _skin_shape(a: Mapping, *, device: str) -> _Shape:
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
    return _shape(ellipsoids, bumps, blend=0.055, device=device)


def _hair_shape(a: Mapping, *, device: str) -> _Shape:
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
    return _shape(ellipsoids, [wave], blend=0.07, device=device)


def _shape(ellipsoids: list, bumps: list, *, blend: float, device: str) -> _Shape:
    radii = np.array([radii for _, radii, _ in ellipsoids])
    sharp = np.sqrt(radii.min(axis=1) * radii.mean(axis=1)) / blend
    return _Shape(
        quadrics=_tensor(np.stack([_quadric(*e) for e in ellipsoids], axis=1) * sharp**2, device),
        sharp=_tensor(sharp, device),
        bumps=_tensor(-np.stack([_quadric(c, w, 0) for c, w, _ in bumps], axis=1), device),
        heights=_tensor([h for _, _, h in bumps], device),
        blend=blend,
    )


def _quadric(centre: tuple, radii: tuple, tilt_deg: float) -> np.ndarray:
    """Coefficients of |R(p - centre) / radii|² on the monomials of `_monomials`. [10]"""
    c, s = cos(radians(tilt_deg)), sin(radians(tilt_deg))
    turn = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    form = turn.T @ np.diag(1 / np.square(radii)) @ turn
    linear = -2 * form @ np.array(centre)
    constant = np.array(centre) @ form @ np.array(centre)
    return np.array([constant, *linear, *np.diag(form), 2 * form[0, 1], 2 * form[1, 2], 2 * form[0, 2]])


def _tensor(values, device: str) -> Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float32, device=device)


# ---------------------------------------------------------------- geometry


def _monomials(p: Tensor) -> Tensor:
    x, y, z = p[:, 0].abs(), p[:, 1], p[:, 2]  # heads are symmetric: one half describes both
    return torch.stack([torch.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, y * z, z * x], dim=1)  # [N, 10]


def _exp_(x: Tensor) -> Tensor:
    """Exponential in place, at least e^-80: numbers that underflow, and products with them, are fifty times slower."""
    return x.clamp_min_(-80).exp_()


def _distance(shape: _Shape, m: Tensor, *, bumps: bool = True) -> Tensor:
    """Approximate signed distance at points given as monomials. [N]"""
    nearness = shape.sharp - (m @ shape.quadrics).clamp_min_(1e-6).sqrt_()  # [N, K]
    # Far from everything the sum would underflow: 1e-30 stands for "about 70 blends away".
    d = _exp_(nearness).sum(dim=1).clamp_min_(1e-30).log_().mul_(-shape.blend)
    return d - _exp_(m @ shape.bumps) @ shape.heights if bumps else d


def _gradient(shape: _Shape, p: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
    """Distance and its exact gradient: the mixture of quadrics that counts at a point, differentiated."""
    root = (m @ shape.quadrics).clamp_min_(1e-6).sqrt_()  # [N, K]
    near = _exp_(shape.sharp - root)
    total = near.sum(dim=1).clamp_min_(1e-30)
    bump = _exp_(m @ shape.bumps) * shape.heights  # [N, M]
    c = (near / root) @ (shape.quadrics.T * (0.5 * shape.blend)) / total[:, None]  # [N, 10]
    c -= bump @ shape.bumps.T
    x, y, z = m[:, 1], m[:, 2], m[:, 3]
    gx = c[:, 1] + 2 * c[:, 4] * x + c[:, 7] * y + c[:, 9] * z
    gy = c[:, 2] + 2 * c[:, 5] * y + c[:, 7] * x + c[:, 8] * z
    gz = c[:, 3] + 2 * c[:, 6] * z + c[:, 8] * y + c[:, 9] * x
    gradient = torch.stack([gx * p[:, 0].sign(), gy, gz], dim=1)  # [N, 3]
    return -shape.blend * total.log() - bump.sum(dim=1), gradient


class _Head:
    """Skin and hair of one person, as distances and normals."""

    def __init__(self, a: Mapping, *, device: str) -> None:
        self.skin, self.hair = _skin_shape(a, device=device), _hair_shape(a, device=device)
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
        m = _monomials(p)
        hair = torch.maximum(_distance(self.hair, m, bumps=bumps), -self._opening(p)[0])
        return torch.minimum(_distance(self.skin, m, bumps=bumps), hair)

    def gradients(self, p: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Distances [N] and gradients [N, 3] of skin and hair, each on its own."""
        m = _monomials(p)
        skin, skin_g = _gradient(self.skin, p, m)
        hair, hair_g = _gradient(self.hair, p, m)
        hole, hole_g = self._opening(p)
        cut = (-hole > hair)[:, None]
        # The cut edge of the hair is rounded: its normal keeps most of the hair's own.
        return skin, torch.maximum(hair, -hole), skin_g, torch.where(cut, hair_g - 0.35 * hole_g, hair_g)


def _rotation(scene: Mapping) -> np.ndarray:
    """From head to world coordinates. [3, 3]"""
    y, p, r = (radians(scene[name]) for name in ("yaw", "pitch", "roll"))
    yaw = np.array([[cos(y), 0, sin(y)], [0, 1, 0], [-sin(y), 0, cos(y)]])
    pitch = np.array([[1, 0, 0], [0, cos(p), -sin(p)], [0, sin(p), cos(p)]])
    roll = np.array([[cos(r), -sin(r), 0], [sin(r), cos(r), 0], [0, 0, 1]])
    return roll @ pitch @ yaw


def _trace(head: _Head, origin: Tensor, rays: Tensor, *, size_px: int, pixel_dm: float):
    """Rays that meet the head or come near it: index, distance along the ray, gap between ray and head."""
    near, far = CAMERA_DM - 1.5, CAMERA_DM + 1.2
    grid = rays.reshape(size_px, size_px, 3)
    coarse = grid[1::2, 1::2].reshape(-1, 3)
    t = torch.full((len(coarse),), near, device=rays.device)
    closest = torch.full_like(t, 9.0)
    live = torch.arange(len(coarse), device=rays.device)
    for _ in range(N_COARSE):
        d = head.nearest(origin + coarse[live] * t[live, None])
        closest[live] = torch.minimum(closest[live], d)
        t[live] += 0.95 * d
        live = live[(d > 0.004) & (t[live] < far)]
    half = size_px // 2
    hit = (closest < 4 * pixel_dm).reshape(1, 1, half, half).float()
    start = torch.where(closest < 4 * pixel_dm, t, torch.full_like(t, far)).reshape(1, 1, half, half)
    # A pixel starts from the nearest depth found around it, so that no edge is stepped over.
    start = -torch.nn.functional.max_pool2d(-start, 3, stride=1, padding=1) - 0.03
    hit = torch.nn.functional.max_pool2d(hit, 3, stride=1, padding=1)
    up = [torch.nn.functional.interpolate(v, size=(size_px, size_px), mode="nearest").flatten() for v in (hit, start)]
    index = (up[0] > 0).nonzero().flatten()  # [N]
    t, rays = up[1][index], rays[index]
    best, best_t = torch.full_like(t, 9.0), t.clone()
    live = torch.arange(len(index), device=rays.device)
    for step in range(N_FINE + N_LATE):
        d = head.nearest(origin + rays[live] * t[live, None])
        closer = d.abs() < best[live].abs()
        best[live] = torch.where(closer, d, best[live])
        best_t[live] = torch.where(closer, t[live], best_t[live])
        t[live] += (0.95 * d).clamp_min(0.004)  # never stuck along an edge
        if step >= N_FINE - 1:
            live = live[(d.abs() > 0.003) & (t[live] < far)]
        if len(live) == 0:
            break
    missed = t >= far
    return index, torch.where(missed, best_t, t), best * missed


# ---------------------------------------------------------------- picture


def _photograph(person: Mapping, scene: Mapping, *, rng, size_px: int, device: str):
    a = _anatomy(person, scene)
    head = _Head(a, device=device)
    turn = _rotation(scene)
    half = HALF_FRAME_DM / scene["zoom"]
    pixel_dm = 2 * half / size_px
    offset = np.array([scene["shift"][0], scene["shift"][1] + 0.05, 0.0])
    pivot = np.array([0.0, PIVOT_Y_DM, 0.0])
    axis = (np.arange(size_px) + 0.5) * pixel_dm - half
    u, v = np.meshgrid(axis, -axis)
    rays = np.stack([u, v, np.full_like(u, -CAMERA_DM)], axis=-1).reshape(-1, 3)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    to_head = _tensor(turn, device)  # world @ turn = head coordinates
    origin = _tensor((np.array([0.0, 0.0, CAMERA_DM]) - offset - pivot) @ turn + pivot, device)
    rays = _tensor(rays, device) @ to_head
    light = _tensor(scene["light"] @ turn, device)

    index, t, gap = _trace(head, origin, rays, size_px=size_px, pixel_dm=pixel_dm)
    p = origin + rays[index] * t[:, None]  # [N, 3]
    rgb = _shade(person, scene, a, head, p, -rays[index], light=light, pixel_dm=pixel_dm)
    alpha = (1.25 - gap / pixel_dm).clamp(0, 1)
    image = _backdrop(scene, u, v, device=device)
    image[index] = torch.lerp(image[index], rgb, alpha[:, None])
    if person["glasses"]:
        _glasses(image, person, a, origin, rays, index, t, pixel_dm=pixel_dm)
    image = (image / (1 + 0.12 * image)).clamp(0, 1) ** (1 / 2.2)  # [H*W, 3]
    grain = _tensor(rng.standard_normal((size_px * size_px, 1)), device) * scene["grain"]
    photo = ((image + grain).clamp(0, 1) * 255).round().byte().reshape(size_px, size_px, 3)

    lip_y = a["mouth_y"] + _mouth_bend(1.0, scene)
    marks = np.array(
        [
            [-a["eye_x"], 0, 0],
            [a["eye_x"], 0, 0],
            [0, a["nose_y"], 0],
            [-a["mouth_w"], lip_y, 0],
            [a["mouth_w"], lip_y, 0],
        ]
    )
    ahead = _tensor(np.concatenate([marks[:, :2], np.full((5, 1), 2.0)], axis=1), device)
    for _ in range(24):  # straight back from in front of the face until the skin
        ahead[:, 2] -= 0.9 * _distance(head.skin, _monomials(ahead))
    world = (ahead.cpu().numpy().astype(np.float64) - pivot) @ turn.T + pivot + offset
    flat = world[:, :2] * (CAMERA_DM / (CAMERA_DM - world[:, 2:]))
    pixels = np.stack([flat[:, 0] + half, half - flat[:, 1]], axis=1) / pixel_dm - 0.5
    return photo.cpu().numpy(), pixels.astype(np.float32)


def _backdrop(scene: Mapping, u: np.ndarray, v: np.ndarray, *, device: str) -> Tensor:
    """Two colours fading into each other, with out-of-focus blobs. Linear RGB. [H*W, 3]"""
    angle = scene["backdrop_turn"]
    mix = 1 / (1 + np.exp(-1.6 * (u * cos(angle) + v * sin(angle))))
    for x, y, strength in scene["blobs"]:
        mix = mix + 0.35 * strength * np.exp(-((u - x) ** 2 + (v - y) ** 2) / 0.15)
    first, second = scene["backdrop"] ** 2.2
    return _tensor(first + (second - first) * np.clip(mix, 0, 1)[..., None], device).reshape(-1, 3)


def _smooth(x: Tensor, low: float, high: float) -> Tensor:
    s = ((x - low) / (high - low)).clamp(0, 1)
    return s * s * (3 - 2 * s)


def _mouth_bend(u, scene: Mapping):
    """How far a point of the mouth line, u = -1 to 1, lies above the mouth's height."""
    return scene["smile"] * 0.06 * (u * u - 0.35)


def _mix(base: Tensor, colour, amount: Tensor) -> Tensor:
    colour = torch.as_tensor(colour, dtype=base.dtype, device=base.device)
    return base + (colour - base) * amount[:, None]


def _shade(person: Mapping, scene: Mapping, a: Mapping, head: _Head, p: Tensor, view: Tensor, *, light, pixel_dm):
    """Linear RGB [N, 3] at the points `p` of the surface, seen along `-view`."""
    skin_d, hair_d, skin_g, hair_g = head.gradients(p)
    is_hair = (0.5 + (skin_d - hair_d) / (2 * pixel_dm)).clamp(0, 1)
    normal = torch.nn.functional.normalize(skin_g, dim=1)
    hair_normal = torch.nn.functional.normalize(hair_g, dim=1)

    paint = _Paint(person, scene, a, p, pixel_dm=pixel_dm, light=light)
    albedo, gloss = paint.skin()
    hair, strands = paint.hair()
    n = torch.nn.functional.normalize(torch.lerp(normal, hair_normal, is_hair[:, None]), dim=1)
    albedo = torch.lerp(albedo, hair, is_hair[:, None])
    gloss = torch.lerp(gloss, strands, is_hair)

    # What is near along the normal takes ambient light away, what is near along the light casts a shadow.
    occlusion = (head.nearest(p + n * 0.14) / 0.14).clamp(0.15, 1)
    shadow = torch.ones_like(occlusion)
    for reach in (0.12, 0.35):
        shadow = torch.minimum(shadow, 0.5 + 3.5 * head.nearest(p + n * 0.03 + light * reach, bumps=False) / reach)
    shadow = _smooth(shadow, 0.0, 1.0)

    wrap = _tensor([0.42, 0.22, 0.15], p.device) * (1 - 0.6 * is_hair[:, None])  # red light travels through skin
    facing = (n @ light)[:, None]
    diffuse = ((facing + wrap) / (1 + wrap)).clamp_min(0) * (0.25 + 0.75 * shadow)[:, None]
    sky = (0.75 + 0.25 * n[:, 1]) * scene["ambient"] * (0.35 + 0.65 * occlusion)
    half = torch.nn.functional.normalize(light + view, dim=1)
    sheen = (n * half).sum(1).clamp_min(0) ** 22 * gloss * shadow
    rim = (1 - (n * view).sum(1).clamp(0, 1)) ** 3 * 0.10 * (1 - is_hair)
    colour = _tensor(scene["light_rgb"], p.device)
    rgb = albedo * (diffuse * colour + (sky + rim)[:, None]) + (sheen[:, None] * colour)
    return torch.lerp(rgb, paint.eye_colour * (0.45 + 0.75 * diffuse.mean(1, keepdim=True)), paint.eye[:, None])


class _Paint:
    """Colours of the surface in head coordinates, each edge as soft as a pixel is wide."""

    def __init__(self, person: Mapping, scene: Mapping, a: Mapping, p: Tensor, *, pixel_dm: float, light: Tensor):
        self.person, self.scene, self.a, self.px, self.light = person, scene, a, pixel_dm, light
        self.x, self.y, self.z = p.unbind(1)
        self.side = self.x.abs()
        self.front = _smooth(self.z, 0.15, 0.45)
        # Sums of sines stand in for noise: cheap, smooth, the same in every photograph of a person.
        coarse = torch.sin(9.1 * self.x + 3.7 * self.y) * torch.sin(7.3 * self.y - 5.9 * self.z)
        fine = torch.sin(21.0 * self.x - 8.0 * self.z) * torch.sin(17.0 * self.y + 4.0 * self.x)
        self.mottle = coarse + 0.6 * fine
        angle = torch.atan2(self.x - 0.25 * a["parting"], self.z + 0.15)
        fall = self.y + 0.25 * self.side
        self.strand = (
            torch.sin(31 * angle + 2.2 * fall)
            + torch.sin(67 * angle - 3.1 * fall)
            + 0.7 * torch.sin(143 * angle + 5.0 * fall)
        ) / 2.7
        colour = np.array(HAIR[person["hair_colour"]]) * (1 - a["grey"]) + np.array(GREY) * a["grey"]
        self.hair_rgb = colour**2.2

    def _cover(self, d: Tensor, soft: float = 0.0) -> Tensor:
        """1 where `d` (dm) is inside, 0 outside."""
        width = self.px + soft
        return (0.5 + d / width).clamp(0, 1)

    def _line(self, d: Tensor, width: float) -> Tensor:
        width = max(width, 0.45 * self.px)  # thinner lines would break up
        return _exp_(-((d / width) ** 2))

    def hair(self) -> tuple[Tensor, Tensor]:
        base = torch.as_tensor(self.hair_rgb, dtype=torch.float32, device=self.x.device)
        shade = (1 + 0.42 * self.strand + 0.15 * self.mottle).clamp_min(0.25)
        return base * shade[:, None], 0.05 + 0.12 * (0.5 + 0.5 * self.strand).clamp(0, 1)

    def skin(self) -> tuple[Tensor, Tensor]:
        a, x, y, side, front = self.a, self.x, self.y, self.side, self.front
        tone = float(self.person["skin_tone"]) * (len(SKIN) - 1)
        k = min(int(tone), len(SKIN) - 2)
        base = np.array(SKIN[k]) + (tone - k) * (np.array(SKIN[k + 1]) - np.array(SKIN[k]))
        self.base = base**2.2
        rgb = torch.as_tensor(self.base, dtype=torch.float32, device=x.device).expand(len(x), 3)
        rgb = rgb * (1 + 0.035 * self.mottle)[:, None]
        rosy = _exp_(-(((side - 0.38) / 0.2) ** 2) - ((y + 0.42) / 0.2) ** 2) + _exp_(
            -((x / 0.12) ** 2) - ((y - a["nose_y"]) / 0.12) ** 2
        )
        redness = (0.30 + 0.20 * a["skin_redness"]) * front * rosy
        rgb = rgb * (1 - redness[:, None].clamp(0, 0.9) * _tensor([0.0, 0.42, 0.36], x.device))
        rgb = self._age(rgb)
        rgb = self._beard(rgb)
        rgb = self._brows(rgb)
        gloss = 0.05 + 0.05 * front
        rgb, gloss = self._mouth(rgb, gloss)
        rgb = self._nostrils(rgb)
        rgb = self._eyes(rgb)
        return self._clothes(rgb, gloss)

    def _age(self, rgb: Tensor) -> Tensor:
        a, x, y, side, s = self.a, self.x, self.y, self.side, self.a["stretch"]
        old, smile = a["age"], max(self.scene["smile"], 0.0)
        dark = torch.zeros_like(x)
        # Nasolabial fold: from the wing of the nose around the corner of the mouth.
        v = ((y - a["nose_y"]) / (a["mouth_y"] - 0.08 - a["nose_y"])).clamp(-0.2, 1.15)
        fold = side - (0.175 + (a["mouth_w"] - 0.10) * v.clamp_min(0) ** 1.1)
        dark += (
            (0.50 * old + 0.16 * smile)
            * self._line(fold, 0.024)
            * _smooth(v, -0.1, 0.25)
            * (1 - _smooth(v, 0.85, 1.15))
        )
        # Marionette line: down from the corner of the mouth.
        w = ((a["mouth_y"] - y) / 0.25).clamp(0, 1)
        dark += 0.42 * old**2 * self._line(side - (a["mouth_w"] + 0.035 + 0.03 * w), 0.022) * torch.sin(3.14 * w)
        # Bag and ring under the eye.
        u = (side - a["eye_x"]) / 0.17
        bag = y + 0.115 + 0.035 * (1 - u * u) - 0.05
        dark += (0.06 + 0.40 * old) * self._line(bag + 0.03, 0.026) * (1 - _smooth(u.abs(), 0.7, 1.1))
        dark += 0.16 * old * _exp_(-(u**2) - ((y + 0.09) / 0.05) ** 2)
        # Lines of the forehead, between the brows and beside the eyes.
        lines = torch.zeros_like(x)
        for height in (0.36, 0.46, 0.56):
            lines += self._line(y - height - 0.04 * torch.cos(5 * x), 0.014)
        dark += 0.40 * old**1.5 * lines * (1 - _smooth(side, 0.30, 0.50))
        dark += 0.40 * old**2 * self._line(side - 0.055, 0.014) * self._line(y - 0.22, 0.09)
        ray = torch.sin(30 * torch.atan2(y + 0.01, side - a["eye_x"] - 0.02))
        crow = _smooth(side - a["eye_x"], 0.17, 0.22) * (1 - _smooth(side - a["eye_x"], 0.26, 0.33))
        dark += 0.32 * old**1.5 * crow * (0.5 + 0.5 * ray) * self._line(y, 0.12)
        dark += 0.16 * old**2 * (0.5 + 0.5 * self.mottle) * _smooth(self.mottle, 0.5, 1.2)  # age spots
        dark += 0.14 * old * _exp_(-(((y + 1.02 * s) / 0.06) ** 2)) * _smooth(side, 0.05, 0.3)  # edge of the jaw
        keep = 1 - dark.clamp(0, 0.75) * self.front
        return rgb * keep[:, None] ** _tensor([0.8, 1.05, 1.1], rgb.device)

    def _beard(self, rgb: Tensor) -> Tensor:
        a, x, y, side = self.a, self.x, self.y, self.side
        if a["moustache"] == 0:
            return rgb
        edge = a["mouth_y"] + 0.10 + 0.75 * (side - 0.30).clamp_min(0)  # cheek line, rising to the sideburn
        cheeks = _smooth(edge - y, -0.05, 0.09) * _smooth(y, -1.30 * a["stretch"], -1.08 * a["stretch"])
        chin_only = 1 - self._line(y - a["mouth_y"] + 0.13, 0.03) * self._line(x, 0.25) * 0.4
        moustache = _smooth(a["nose_y"] - 0.10 - y, -0.01, 0.04) * _smooth(y - a["mouth_y"] + 0.02, -0.04, 0.02)
        moustache = moustache * (1 - _smooth(side, a["mouth_w"] - 0.02, a["mouth_w"] + 0.07))
        amount = torch.maximum(a["beard"] * cheeks * chin_only, a["moustache"] * moustache)
        amount = amount * (0.93 + 0.07 * torch.sin(61 * x + 29 * y) * torch.sin(83 * y + 17 * x))
        amount = amount * _smooth(self.z, -0.15, 0.15)
        tint = 0.75 * self.hair_rgb + 0.25 * self.base * 0.35
        return _mix(rgb, tint, 0.88 * amount.clamp(0, 1))

    def _brows(self, rgb: Tensor) -> Tensor:
        a = self.a
        u = (self.side - a["eye_x"] + 0.01) / 0.185
        thick = max(0.035 + 0.021 * a["brow_thickness"], 0.009)
        middle = a["brow_y"] + 0.045 * (1 - (u - 0.25) ** 2) - 0.045 + 0.016 * a["brow_tilt"] * u
        body = thick * (1 - 0.55 * _smooth(u, 0.2, 1.1)) - (self.y - middle).abs()
        amount = self._cover(body, 0.02) * (1 - _smooth(u.abs(), 0.85, 1.08))
        amount = amount * (0.85 + 0.15 * torch.sin(90 * self.side - 40 * self.y)) * self.front
        colour = (np.array(HAIR[self.person["hair_colour"]]) * 0.75) * (1 - 0.6 * a["grey"]) + 0.6 * a[
            "grey"
        ] * np.array(GREY) * 0.8
        return _mix(rgb, colour**2.2, 0.9 * amount)

    def _mouth(self, rgb: Tensor, gloss: Tensor) -> tuple[Tensor, Tensor]:
        a, lip = self.a, self.a["lip"]
        u = self.x / a["mouth_w"]
        arch = (1 - u * u).clamp_min(0)
        line = a["mouth_y"] + _mouth_bend(u.clamp(-1.2, 1.2), self.scene)
        gap = a["gap"] * arch
        above = self.y - line
        bow = 1 - 0.28 * _exp_(-((u / 0.17) ** 2))
        upper = gap + 1.05 * lip * arch**0.8 * bow - above
        lower = gap + 1.25 * lip * arch**0.7 + above
        inside = self._cover(torch.minimum(upper, lower), 0.008) * self.front * (u.abs() < 1.1)
        natural = self.base * np.array([0.86, 0.50, 0.52])
        made_up = np.array([0.50, 0.035, 0.07]) * 0.7 + 0.3 * natural
        colour = natural + a["makeup"] * 0.85 * (made_up - natural)
        rgb = _mix(rgb, colour, 0.92 * inside)
        gloss = gloss + (0.05 + 0.10 * a["makeup"]) * inside
        mouth = self._cover(gap - 0.008 - above.abs()) * self.front * (u.abs() < 1)
        teeth = self._cover(above + gap * 0.25) * (1 - _smooth(u.abs(), 0.72, 0.88))
        cavity = _mix(torch.zeros_like(rgb) + _tensor([0.05, 0.012, 0.012], rgb.device), (0.62, 0.58, 0.52), teeth)
        rgb = torch.lerp(rgb, cavity, mouth[:, None])
        seam = self._line(above.abs() - gap, 0.011) * (1 - _smooth(u.abs(), 0.95, 1.08)) * self.front
        rgb = rgb * (1 - 0.62 * seam[:, None])
        return rgb, gloss * (1 - mouth)

    def _nostrils(self, rgb: Tensor) -> Tensor:
        a = self.a
        d = ((self.side - 0.058 * a["nose"]) / 0.038) ** 2 + ((self.y - a["nose_y"] + 0.095 * a["nose"]) / 0.022) ** 2
        return rgb * (1 - 0.72 * _exp_(-d) * _smooth(self.z, 0.7, 0.9))[:, None]

    def _eyes(self, rgb: Tensor) -> Tensor:
        a, gaze = self.a, self.scene["gaze"]
        sign = self.x.sign()
        dx = self.side - a["eye_x"]
        u = dx / a["eye_w"]
        y = self.y - 0.018 * (1 + a["eye_tilt"]) * u * 0.7
        arch = (1 - u * u).clamp_min(0)
        up = a["eye_h"] * arch**0.75 - y
        down = 0.62 * a["eye_h"] * arch**0.9 + 0.012 * arch + y
        close = (u.abs() < 1.25).float() * self.front
        self.eye = self._cover(torch.minimum(up, down)) * close
        r = torch.sqrt((dx * sign - gaze[0]) ** 2 + (self.y - 0.010 - gaze[1]) ** 2)
        iris_r = 0.073
        iris = torch.as_tensor(np.array(IRIS[self.person["eye_colour"]]) ** 2.2, dtype=rgb.dtype, device=rgb.device)
        ring = 0.55 + 0.75 * (r / iris_r).clamp(0, 1) - 0.75 * _smooth(r, 0.8 * iris_r, iris_r)
        white = _tensor([0.80, 0.77, 0.74], rgb.device) - 0.06 * a["age"]
        eye = torch.lerp(white.expand_as(rgb), iris * ring[:, None], self._cover(iris_r - r)[:, None])
        eye = eye * (1 - self._cover(0.028 - r))[:, None]
        eye = eye * (0.42 + 0.58 * _smooth(up, 0.0, 0.05))[:, None]  # the upper lid's shadow
        spot = (dx * sign - gaze[0] - 0.024 * float(self.light[0].sign())) ** 2 + (self.y - 0.032 - gaze[1]) ** 2
        self.eye_colour = eye + (0.85 * self._cover(0.016 - spot.sqrt()))[:, None]
        lash = (0.72 + 0.25 * min(a["makeup"], 1.0)) * self._line(up - 0.004, 0.014 + 0.009 * a["makeup"])
        lash = lash * (u.abs() < 1.15) + 0.25 * self._line(down, 0.010) * (u.abs() < 1.0)
        crease = 0.38 * self._line(up + 0.042 - 0.010 * a["eyelid_droop"], 0.012) * (u.abs() < 1.05)
        inner = 0.20 * _exp_(-(((dx + 0.17) / 0.06) ** 2) - ((self.y - 0.03) / 0.08) ** 2)
        dark = (lash * (1 - self.eye) + crease + inner).clamp(0, 0.92) * self.front
        self.eye = self.eye * (1 - 0.6 * lash.clamp(0, 1))
        shadow = 0.34 * a["makeup"] * _exp_(-(u**2) - ((self.y - 0.10) / 0.05) ** 2) * self.front
        return rgb * (1 - dark)[:, None] * (1 - shadow)[:, None]

    def _clothes(self, rgb: Tensor, gloss: Tensor) -> tuple[Tensor, Tensor]:
        scene = self.scene
        collar = -1.47 - (0.05 + 0.22 * scene["neckline"]) * _exp_(-((self.x / 0.30) ** 2)) * (self.z > -0.2)
        collar = collar + 0.10 * _smooth(-self.z, 0.0, 0.4)
        worn = self._cover(collar - self.y, 0.01)
        cloth = torch.as_tensor(scene["cloth"] ** 2.2, dtype=rgb.dtype, device=rgb.device)
        weave = 1 + 0.05 * torch.sin(60 * self.x) * torch.sin(60 * self.y)
        edge = 1 - 0.35 * self._line(collar - 0.05 - self.y, 0.012)
        return torch.lerp(rgb, cloth * (weave * edge)[:, None], worn[:, None]), gloss * (1 - worn)


def _glasses(image: Tensor, person: Mapping, a: Mapping, origin, rays, index, t, *, pixel_dm: float) -> None:
    """Draw frames in a plane just in front of the eyes, over what lies behind it."""
    plane = 1.0
    along = (plane - origin[2]) / rays[:, 2]
    x = (origin[0] + rays[:, 0] * along).abs()
    y = origin[1] + rays[:, 1] * along
    heavy = 0.5 + 0.5 * np.sign(a["parting"])  # frames differ between people, by a trait that means nothing
    rx, ry = 0.235 + 0.01 * a["nose_bridge"], 0.150 + 0.03 * heavy
    lens = (((x - a["eye_x"] - 0.01) / rx).abs() ** 3 + ((y + 0.015) / ry).abs() ** 3).clamp_min(1e-6) ** (1 / 3)
    rim = (lens - 1).abs() * min(rx, ry)
    bridge = torch.where(x < a["eye_x"] - rx + 0.02, (y - 0.035 - 0.02 * (1 - (x / 0.1) ** 2)).abs(), 9.0)
    arm = torch.where((x > a["eye_x"] + rx - 0.01) & (x < 0.70), (y - 0.055).abs(), 9.0)
    width = 0.011 + 0.012 * heavy
    cover = (0.5 + (width - torch.minimum(torch.minimum(rim, bridge), arm)) / pixel_dm).clamp(0, 1)
    glass = (0.5 + (1 - lens) * min(rx, ry) / pixel_dm).clamp(0, 1)
    image.lerp_(torch.full_like(image, 0.55), (0.07 * glass * (0.5 + 0.5 * torch.sin(6 * (x + y))))[:, None])
    colour = (0.03, 0.028, 0.03) if heavy else (0.30, 0.22, 0.12)
    image.copy_(_mix(image, colour, 0.95 * cover))
