"""Photographs of a person's head: what changes between them, and what light makes of the surface.

`body` has the head that `anatomy` gives a person's traits, `paint` the picture that it wears, `hair` what grows on it
and is worn before it; here they meet camera and light. Two samples a pixel and axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import cos, radians, sin

import cv2
import numpy as np

from s2f.corpora.synthetic import anatomy, body, hair, paint, raster

CAMERA_DM = 13.0  # distance of the camera from the head: an ordinary portrait's perspective
HALF_FRAME_DM = 1.5  # half of what a photograph covers at the distance of the head
PIVOT = np.array([0.0, -0.3, 0.0])  # heads turn about a point below the eyes
_OVER = 2  # samples a pixel, along either axis
_BROKEN_UP = np.float32([0.42, 0.22, 0.15])  # red light travels through skin


def render(
    person: Mapping, *, n: int, rng: np.random.Generator, size_px: int = 128
) -> tuple[np.ndarray, np.ndarray]:
    """Photograph one person `n` times, each time with its own pose, light, expression and background.

    Parameters
    ----------
    person : Mapping, a row of `population.sample`
    rng : numpy Generator, draws what changes between photographs; the same state gives the same photographs
    size_px : int, height and width

    Returns
    -------
    uint8 array [n, size_px, size_px, 3], the photographs, RGB
    float32 array [n, 5, 2]
        x and y in pixels (a pixel's centre is a whole number) of left eye, right eye, nose tip, left and
        right mouth corner, left and right as seen in the image.

    Raises
    ------
    CheckpointError: the package with the body model is missing or not the declared one
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the same arithmetic everywhere, and one process a core already
    try:
        who = _Person.of(person)
        shots = [_photograph(who, _scene(rng), rng=rng, size_px=size_px) for _ in range(n)]
    finally:
        cv2.setNumThreads(threads)
    photos, marks = zip(*shots, strict=True)
    return np.stack(photos), np.stack(marks)


@dataclass(frozen=True)
class _Person:
    """What stays the same in all photographs of a person."""

    head: np.ndarray  # [V, 3], at rest
    extras: hair.Mesh  # hair and glasses
    triangles: np.ndarray  # [T, 3], of the head and then of the extras
    places: np.ndarray  # [V + E, 2]
    picture: np.ndarray  # [512, 512, 4]
    relief: np.ndarray  # [512, 512]
    chest: np.ndarray  # the picture's rows that clothes may cover, bare
    occlusion: np.ndarray  # [V + E]

    @classmethod
    def of(cls, person: Mapping) -> _Person:
        a, model, canvas = anatomy.measures(person), body.load(), paint.canvas()
        head = anatomy.head(person, a)
        rng = np.random.default_rng(np.random.SeedSequence([*f"hair of {person['identity']}".encode()]))
        inside = hair.line(a, model.vertices)
        meshes = [hair.cap(a, head, inside), hair.sheets(a, head, rng)]
        if person["glasses"]:
            meshes.append(hair.glasses(a, head))
        extras = hair.joined(meshes)
        hairline = hair.line(a, np.stack([canvas.x, canvas.y, canvas.z], axis=-1))
        picture, relief = paint.picture(person, a, hairline)
        return cls(
            head=head,
            extras=extras,
            triangles=np.concatenate([model.triangles, extras.triangles + len(head)]),
            places=np.concatenate([paint.places(), extras.places]),
            picture=picture,
            relief=relief,
            chest=picture[paint.clothed()[0]].copy(),
            occlusion=np.concatenate([model.occlusion, np.full(len(extras.vertices), 0.6, np.float32)]),
        )


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


def _photograph(who: _Person, scene: Mapping, *, rng: np.random.Generator, size_px: int) -> tuple[np.ndarray, np.ndarray]:
    """One photograph and its landmarks, as `render` gives them; `rng` draws the grain."""
    model, turn = body.load(), _rotation(scene).astype(np.float32)
    half = HALF_FRAME_DM / scene["zoom"]
    view = {"distance_dm": CAMERA_DM, "half_dm": half}
    offset = np.array([scene["shift"][0], scene["shift"][1] + 0.05, 0.0])
    head = model.moved(who.head, anatomy.expression(scene))
    normals = np.concatenate([model.normals(head), who.extras.normals]) @ turn.T
    points = np.concatenate([head, who.extras.vertices])
    points = ((points - PIVOT) @ turn.T + PIVOT + offset).astype(np.float32)
    places = who.places.copy()
    _look(places, model, head, scene)
    paint.dress(who.picture, who.chest, scene["cloth"], scene["neckline"])

    reached = raster.lit(points, who.triangles, scene["light"], size_px=192, bias_dm=0.05, soft_dm=0.12)
    fine = size_px * _OVER
    first = np.concatenate([places, reached[:, None]], axis=1)
    second = np.concatenate([normals[:, :2] * 0.5 + 0.5, who.occlusion[:, None]], axis=1)
    seen, depth = raster.draw(points, who.triangles, first, size_px=fine, **view)
    shape, _ = raster.draw(points, who.triangles, second, size_px=fine, **view)
    there = depth < raster.NOTHING_DM

    axis = ((np.arange(size_px) + 0.5) * (2 * half / size_px) - half).astype(np.float32)
    image = _backdrop(scene, axis[None], -axis[:, None])
    rgb = _shade(who, scene, seen, shape)
    alpha = cv2.resize(cv2.GaussianBlur(there.astype(np.float32), (0, 0), 0.35 * _OVER), (size_px, size_px), interpolation=cv2.INTER_AREA)
    rgb = cv2.resize(cv2.GaussianBlur(rgb * there[:, :, None], (0, 0), 0.35 * _OVER), (size_px, size_px), interpolation=cv2.INTER_AREA)
    image = image * (1 - alpha)[:, :, None] + rgb  # [H, W, 3]
    image = np.clip(image / (1 + 0.12 * image), 0, 1)
    image = cv2.pow(image, 1 / 2.2) + rng.standard_normal((size_px, size_px, 1), np.float32) * scene["grain"]
    photo = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)

    marks = points[_marks()].reshape(5, 2, 3).mean(axis=1)
    return photo, raster.project(marks, size_px=size_px, **view).astype(np.float32)


def _look(places: np.ndarray, model: body.Body, head: np.ndarray, scene: Mapping) -> None:
    """Turn the eyes: where on the eye's patch their vertices lie."""
    for part in (1, 2):
        eye = model.part == part
        from_middle = head[eye] - head[eye].mean(axis=0)
        across = (from_middle[:, 0] - scene["gaze"][0]) / (2 * paint.EYE_DM) + 0.5
        down = 0.5 - (from_middle[:, 1] - scene["gaze"][1]) / (2 * paint.EYE_DM)
        places[np.flatnonzero(eye)] = paint.patch("eye", np.clip(across, 0, 1), np.clip(down, 0, 1))


@cache
def _marks() -> np.ndarray:
    """Pairs of vertices in the middle of which the landmarks lie. [10]"""
    corner = body.load().corner
    eyes = [corner(name, side) for side in (-1, 1) for name in ("eye-corner1-up", "eye-corner2-up")]
    mouth = [corner("mouth-angles-up", side) for side in (-1, 1)]
    nose = [corner("nose-point-up", side) for side in (-1, 1)]
    return np.array([*eyes, *nose, mouth[0], mouth[0], mouth[1], mouth[1]])


def _shade(who: _Person, scene: Mapping, seen: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Linear RGB [H, W, 3] from what was drawn: places in the picture and light, normals and occlusion."""
    at = seen[:, :, :2] * paint.SIZE_PX - 0.5
    painted = cv2.remap(who.picture, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    relief = cv2.remap(who.relief, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    n = shape[:, :, :2] * 2 - 1
    tilt = 0.09 * len(seen) / 256
    nx = n[:, :, 0] - tilt * cv2.Sobel(relief, cv2.CV_32F, 1, 0, ksize=1)
    ny = n[:, :, 1] + tilt * cv2.Sobel(relief, cv2.CV_32F, 0, 1, ksize=1)
    nz = np.sqrt(np.clip(1 - nx * nx - ny * ny, 0.0025, 1))
    light = np.float32(scene["light"])
    half = light + np.float32([0, 0, 1])
    half /= np.linalg.norm(half)
    reached, occlusion = seen[:, :, 2], shape[:, :, 2]

    down = at[:, :, 1]
    is_skin = (down < paint.SKIN_ROWS).astype(np.float32)
    facing = nx * light[0] + ny * light[1] + nz * light[2]
    sky = (0.75 + 0.25 * ny) * scene["ambient"] * (0.30 + 0.70 * occlusion) + (1 - nz) ** 3 * 0.10 * is_skin
    lit = 0.2 + 0.8 * reached
    sheen = np.clip(nx * half[0] + ny * half[1] + nz * half[2], 0, 1)
    for _ in range(4):
        sheen = sheen * sheen  # to the power of 16
    gloss = painted[:, :, 3]
    sheen = np.where(gloss > 0.8, 2.5 * sheen**8, sheen * gloss) * reached
    rgb = np.empty_like(seen)
    for k in range(3):
        wrap = _BROKEN_UP[k] * is_skin
        diffuse = np.maximum((facing + wrap) / (1 + wrap), 0) * lit
        rgb[:, :, k] = painted[:, :, k] * (diffuse * np.float32(scene["light_rgb"][k]) + sky) + sheen * np.float32(scene["light_rgb"][k])
    return rgb


def _backdrop(scene: Mapping, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Two colours fading into each other, with out-of-focus blobs. Linear RGB. float32 [H, W, 3]"""
    angle = scene["backdrop_turn"]
    mix = 1 / (1 + np.exp(-1.6 * (u * np.float32(cos(angle)) + v * np.float32(sin(angle)))))
    for x, y, strength in np.float32(scene["blobs"]):
        mix = mix + 0.35 * strength * np.exp(-((u - x) ** 2) / np.float32(0.15)) * np.exp(-((v - y) ** 2) / np.float32(0.15))
    first, second = np.float32(scene["backdrop"] ** 2.2)
    return first + (second - first) * np.clip(mix, 0, 1)[..., None]
