"""Shaded photographs of a person's head: its surface is sphere-traced in vectorised torch.

`anatomy` says what a head is put together from, `surface` where it begins, `paint` what colour it has there; here
is what changes between photographs, and how a ray finds the head.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, radians, sin

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from s2f.corpora.synthetic import anatomy
from s2f.corpora.synthetic.paint import glasses, shade
from s2f.corpora.synthetic.surface import Device, Head, distance, monomials, tensor

CAMERA_DM = 13.0  # distance of the camera from the head: an ordinary portrait's perspective
HALF_FRAME_DM = 1.5  # half of what a photograph covers at the distance of the head
PIVOT_Y_DM = -0.3  # heads turn about a point below the eyes
N_COARSE, N_FINE, N_LATE = 12, 2, 20  # marching steps: on half the grid, on all of it, on what still moves


def render(
    person: Mapping, *, n: int, rng: np.random.Generator, size_px: int = 128, device: Device = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """Photograph one person `n` times, each time with its own pose, light, expression and background.

    Parameters
    ----------
    person : Mapping, a row of `population.sample`
    rng : numpy Generator
        Draws what changes between photographs; the same state gives the same photographs on one device.
    size_px : int, height and width
    device : str or torch.device, where torch computes

    Returns
    -------
    uint8 array [n, size_px, size_px, 3], the photographs, RGB
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


def _rotation(scene: Mapping) -> np.ndarray:
    """From head to world coordinates. [3, 3]"""
    y, p, r = (radians(scene[name]) for name in ("yaw", "pitch", "roll"))
    yaw = np.array([[cos(y), 0, sin(y)], [0, 1, 0], [-sin(y), 0, cos(y)]])
    pitch = np.array([[1, 0, 0], [0, cos(p), -sin(p)], [0, sin(p), cos(p)]])
    roll = np.array([[cos(r), -sin(r), 0], [sin(r), cos(r), 0], [0, 0, 1]])
    return roll @ pitch @ yaw


def _trace(head: Head, origin: Tensor, rays: Tensor, *, size_px: int, pixel_dm: float) -> tuple[Tensor, Tensor, Tensor]:
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
    square = (1, 1, size_px // 2, size_px // 2)
    hit = (closest < 4 * pixel_dm).reshape(square).float()
    start = torch.where(closest < 4 * pixel_dm, t, torch.full_like(t, far)).reshape(square)
    # A pixel starts from the nearest depth found around it, so that no edge is stepped over.
    start = -functional.max_pool2d(-start, 3, stride=1, padding=1) - 0.03
    hit = functional.max_pool2d(hit, 3, stride=1, padding=1)
    hit, start = (functional.interpolate(v, size=(size_px, size_px), mode="nearest").flatten() for v in (hit, start))
    index = (hit > 0).nonzero().flatten()  # [N]
    t, rays = start[index], rays[index]
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


def _photograph(
    person: Mapping, scene: Mapping, *, rng: np.random.Generator, size_px: int, device: Device
) -> tuple[np.ndarray, np.ndarray]:
    """One photograph and its landmarks, as `render` gives them; `rng` draws the grain."""
    a = anatomy.measures(person, scene)
    head = Head(a, device=device)
    turn = _rotation(scene)
    half = HALF_FRAME_DM / scene["zoom"]
    pixel_dm = 2 * half / size_px
    offset = np.array([scene["shift"][0], scene["shift"][1] + 0.05, 0.0])
    pivot = np.array([0.0, PIVOT_Y_DM, 0.0])
    axis = (np.arange(size_px) + 0.5) * pixel_dm - half
    u, v = np.meshgrid(axis, -axis)
    ahead = np.stack([u, v, np.full_like(u, -CAMERA_DM)], axis=-1).reshape(-1, 3)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    rays = tensor(ahead, device) @ tensor(turn, device)  # world @ turn = head coordinates
    origin = tensor((np.array([0.0, 0.0, CAMERA_DM]) - offset - pivot) @ turn + pivot, device)
    light = tensor(scene["light"] @ turn, device)

    index, t, gap = _trace(head, origin, rays, size_px=size_px, pixel_dm=pixel_dm)
    p = origin + rays[index] * t[:, None]  # [N, 3]
    rgb = shade(person, scene, a, head, p, -rays[index], light=light, pixel_dm=pixel_dm)
    alpha = (1.25 - gap / pixel_dm).clamp(0, 1)
    image = _backdrop(scene, u, v, device=device)
    image[index] = torch.lerp(image[index], rgb, alpha[:, None])
    if person["glasses"]:
        glasses(image, a, origin, rays, pixel_dm=pixel_dm)
    image = (image / (1 + 0.12 * image)).clamp(0, 1) ** (1 / 2.2)  # [H*W, 3]
    grain = tensor(rng.standard_normal((size_px * size_px, 1)), device) * scene["grain"]
    photo = ((image + grain).clamp(0, 1) * 255).round().byte().reshape(size_px, size_px, 3)

    lip_y, eye_x, mouth_w = a["mouth_y"] + anatomy.mouth_bend(1.0, scene), a["eye_x"], a["mouth_w"]
    marks = [(-eye_x, 0), (eye_x, 0), (0, a["nose_y"]), (-mouth_w, lip_y), (mouth_w, lip_y)]
    points = tensor([(x, y, 2.0) for x, y in marks], device)
    for _ in range(24):  # straight back from in front of the face until the skin
        points[:, 2] -= 0.9 * distance(head.skin, monomials(points))
    world = (points.cpu().numpy().astype(np.float64) - pivot) @ turn.T + pivot + offset
    flat = world[:, :2] * (CAMERA_DM / (CAMERA_DM - world[:, 2:]))
    pixels = np.stack([flat[:, 0] + half, half - flat[:, 1]], axis=1) / pixel_dm - 0.5
    return photo.cpu().numpy(), pixels.astype(np.float32)


def _backdrop(scene: Mapping, u: np.ndarray, v: np.ndarray, *, device: Device) -> Tensor:
    """Two colours fading into each other, with out-of-focus blobs. Linear RGB. [H*W, 3]"""
    angle = scene["backdrop_turn"]
    mix = 1 / (1 + np.exp(-1.6 * (u * cos(angle) + v * sin(angle))))
    for x, y, strength in scene["blobs"]:
        mix = mix + 0.35 * strength * np.exp(-((u - x) ** 2 + (v - y) ** 2) / 0.15)
    first, second = scene["backdrop"] ** 2.2
    return tensor(first + (second - first) * np.clip(mix, 0, 1)[..., None], device).reshape(-1, 3)
