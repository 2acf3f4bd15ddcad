"""Photographs of a person's head: what changes between them, and what light makes of the surface.

`body` has the head that `anatomy` gives a person's traits, `paint` the picture that it wears, `hair` what grows on it
and is worn before it; here they meet camera and light. Two samples a pixel and axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import cos, radians, sin

import cv2
import numpy as np

from s2f.corpora.synthetic import anatomy, body, hair, paint, raster
from s2f.corpora.synthetic.paint import smooth
from s2f.corpora.synthetic.raster import floats

CAMERA_DM = 13.0  # distance of the camera from the head: an ordinary portrait's perspective
HALF_FRAME_DM = 1.5  # half of what a photograph covers at the distance of the head
PIVOT = floats(0.0, -0.3, 0.0)  # heads turn about a point below the eyes
_OVER = 2  # samples a pixel, along either axis
_BLUR_PX = 0.45  # of a lens
_BEHIND = -0.65  # a triangle whose normal has this z at rest is 40 degrees from being seen
_BRIGHTEST = 2.5  # light that a vertex can send back
_FRAY, _FRAYED = (0.02, 0.05), 0.15  # how far from its edge hair thins out, of the picture's size, and how much
_THROUGH = (0.09, 0.0, -0.03)


def render(person: Mapping, *, n: int, rng: np.random.Generator, size_px: int = 128) -> tuple[np.ndarray, np.ndarray]:
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
    extras: hair.Mesh  # glasses, and what an open mouth shows
    worn: hair.Mesh  # the extras and then the hair, for the light on both
    hair: hair.Mesh
    triangles: np.ndarray  # [T, 3], of the head and then of the extras
    places: np.ndarray  # [V + E, 2]
    picture: np.ndarray  # [S, S, 4]
    heights: np.ndarray  # [S, S], the last of its channels
    chest: np.ndarray  # the picture's rows that clothes may cover, bare

    @classmethod
    def of(cls, person: Mapping) -> _Person:
        a, model = anatomy.measures(person), body.load()
        head = anatomy.head(person, a)
        rng = np.random.default_rng(np.random.SeedSequence([*f"hair of {person['identity']}".encode()]))
        grown = hair.joined([hair.cap(a, head, hair.line(a, model.vertices), rng), hair.sheets(a, head, rng)])
        extras = hair.joined([_cavity(head), *([hair.glasses(a, head)] if person["glasses"] else [])])
        picture = paint.picture(person, a, hair.line(a, paint.canvas().points))
        return cls(
            head=head,
            extras=extras,
            worn=hair.joined([extras, grown]),
            hair=replace(grown, triangles=_shown(grown.vertices, grown.triangles)),
            triangles=np.concatenate(
                [_shown(head, model.triangles), _shown(extras.vertices, extras.triangles) + len(head)]
            ),
            places=np.concatenate([paint.places(), extras.places]),
            picture=picture,
            heights=np.ascontiguousarray(picture[:, :, 3]),
            chest=picture[paint.clothed()[0]].copy(),
        )


def _cavity(head: np.ndarray) -> hair.Mesh:
    """The dark that an open mouth and nostrils show."""
    _, mouth_y, mouth_z = head[_marks()[-4:]].mean(axis=0)
    half = [(0.15, mouth_y - 0.25, mouth_z - 0.42), (0.27, mouth_y - 0.10, mouth_z - 0.40), (0.34, 0.10, 0.45)]
    points = np.array(half + [(-x, y, z) for x, y, z in reversed(half)], np.float32)
    triangles = np.array([(0, 1, 4), (0, 4, 5), (1, 2, 3), (1, 3, 4)], np.int32)
    normals, middle = np.tile(floats(0, 0, 1), (6, 1)), np.full(6, 0.5)
    return hair.Mesh(points, normals, triangles, paint.patch("gum", middle, middle), np.full(6, 0.3, np.float32))


def _shown(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Triangles that a head turned as far as heads are turned may show to the camera. [T, 3]"""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    return triangles[normal[:, 2] > _BEHIND * np.linalg.norm(normal, axis=1)]


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


def _photograph(
    who: _Person, scene: Mapping, *, rng: np.random.Generator, size_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """One photograph and its landmarks, as `render` gives them; `rng` draws the grain."""
    model, turn = body.load(), _rotation(scene).astype(np.float32)
    half = HALF_FRAME_DM / scene["zoom"]
    view = {"distance_dm": CAMERA_DM, "half_dm": half}
    head = model.moved(who.head, anatomy.expression(scene))
    eyes, glints = _look(model, head, scene)
    offset = PIVOT + floats(scene["shift"][0], scene["shift"][1] + 0.05, 0.0) - turn @ PIVOT
    points = np.concatenate([head, who.extras.vertices, glints.vertices]) @ turn.T + offset
    places = np.concatenate([who.places, glints.places])
    places[: len(head)][model.part > 0] = np.where(eyes >= 0, eyes, places[: len(head)][model.part > 0])
    triangles = np.concatenate([who.triangles, glints.triangles + len(who.places)])
    light, on_hair = _light(who, model, head, scene, turn, n_glints=len(glints.vertices))
    paint.dress(who.picture, who.chest, scene["cloth"], scene["neckline"])

    view_over = view | {"size_px": size_px * _OVER}
    values = np.concatenate([places, light[:, None] * (1 / _BRIGHTEST)], axis=1)
    drawn, depth = raster.draw(points, triangles, values, **view_over)
    values = np.concatenate([who.hair.places, on_hair[:, None] * (1 / _BRIGHTEST)], axis=1)
    grown = raster.draw(who.hair.vertices @ turn.T + offset, who.hair.triangles, values, **view_over)
    _lay(who.heights, *grown, drawn, depth)
    seen = _shade(who.picture, scene, drawn, depth)
    seen = cv2.resize(seen, (size_px, size_px), interpolation=cv2.INTER_AREA)
    seen = cv2.GaussianBlur(seen, (3, 3), _BLUR_PX)

    axis = ((np.arange(size_px) + 0.5) * (2 * half / size_px) - half).astype(np.float32)
    image = _backdrop(scene, axis[None], -axis[:, None])
    image = image * (1 - seen[:, :, 3:]) + seen[:, :, :3]  # [H, W, 3]
    image = cv2.pow(image / (1 + 0.12 * image), 1 / 2.2)
    image += rng.standard_normal((size_px, size_px, 1), np.float32) * np.float32(scene["grain"])
    photo = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    marks = points[_marks()].reshape(5, 2, 3).mean(axis=1)
    return photo, raster.project(marks, size_px=size_px, **view).astype(np.float32)


def _look(model: body.Body, head: np.ndarray, scene: Mapping) -> tuple[np.ndarray, hair.Mesh]:
    """Where the eyes look: places in the picture of the vertices that are not skin, -1 for those that do not turn;
    and the light's reflection in the eyes."""
    part = model.part[model.part > 0]
    places = np.full((len(part), 2), -1, np.float32)
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * 0.011
    glints = []
    for which in (1, 2):
        eye = head[model.part == which]
        middle = (eye.min(axis=0) + eye.max(axis=0)) / 2
        at = (eye - middle)[:, :2] - scene["gaze"]
        at = np.clip(at * [1, -1] / (2 * paint.EYE_DM) + 0.5, 0, 1)
        places[part == which] = paint.patch("eye", at[:, 0], at[:, 1])
        centre = middle[:2] + scene["gaze"] + [0.024 * np.sign(scene["light"][0]), 0.024]
        glints.append(np.column_stack([centre + corners, np.full(4, eye[:, 2].max() + 0.004)]))
    vertices, half = np.concatenate(glints).astype(np.float32), np.full(8, 0.5)
    triangles = np.array([(0, 1, 2), (0, 2, 3), (4, 5, 6), (4, 6, 7)], np.int32)
    return places, hair.Mesh(vertices, np.zeros_like(vertices), triangles, paint.patch("glint", half, half), half)


def _lay(heights: np.ndarray, over: np.ndarray, its_depth: np.ndarray, drawn: np.ndarray, depth: np.ndarray) -> None:
    """Lay hair over what was drawn, in place: it ends strand by strand, not where its triangles end."""
    there = (its_depth < raster.NOTHING_DM).astype(np.float32)
    inside = cv2.blur(there, tuple(max(round(part * len(drawn)), 1) for part in _FRAY))
    u, v = (cv2.addWeighted(cv2.extractChannel(over, k), paint.SIZE_PX, there, 0, -0.5) for k in (0, 1))
    strand = cv2.remap(heights, u, v, cv2.INTER_LINEAR)
    thick = cv2.compare(cv2.scaleAdd(strand, _FRAYED, inside), 0.5 + 1.2 * _FRAYED, cv2.CMP_GT)
    kept = cv2.bitwise_and(thick, cv2.compare(its_depth, depth, cv2.CMP_LT))
    cv2.copyTo(over, kept, drawn)
    cv2.copyTo(its_depth, kept, depth)


def _light(
    who: _Person, model: body.Body, head: np.ndarray, scene: Mapping, turn: np.ndarray, *, n_glints: int
) -> tuple[np.ndarray, np.ndarray]:
    """Light that every vertex sends back, of all that falls on it: [V + E + G], and of the hair [H]"""
    key, level = (
        np.asarray(scene["light"], np.float32) @ turn,
        float(np.mean(scene["light_rgb"])),
    )  # in the head's coordinates
    half = key + floats(0, 0, 1) @ turn
    half /= np.linalg.norm(half)
    up = floats(0, 1, 0) @ turn
    normals = model.normals(head)
    facing = normals @ key
    reached = 0.08 + 0.92 * model.lit(key)
    diffuse = np.maximum((facing + 0.12) / 1.12, 0) * reached
    sheen = 0.42 * np.maximum(normals @ half, 0) ** 20 * reached
    sky = scene["ambient"] * (0.75 + 0.25 * (normals @ up)) * (0.15 + 0.85 * smooth(model.occlusion, 0.05, 0.75))
    skin = level * (diffuse + sheen) + sky
    normals = who.worn.normals
    diffuse = np.maximum((normals @ key + 0.10) / 1.10, 0)
    # A strand shines where its direction is square to the half vector (Kajiya and Kay 1989); strands hang down.
    strand = floats(0, -1, 0) + normals * normals[:, 1:2]
    strand /= np.maximum(np.linalg.norm(strand, axis=1, keepdims=True), 1e-3)
    sheen = 0.55 * np.maximum(1 - (strand @ half) ** 2, 0) ** 12 * diffuse
    worn = (level * (diffuse + sheen) + 0.8 * scene["ambient"] * (0.75 + 0.25 * (normals @ up))) * who.worn.open
    worn, on_hair = np.split(worn.astype(np.float32), [len(who.extras.vertices)])
    return np.concatenate([skin, worn, np.ones(n_glints, np.float32)]).astype(np.float32), on_hair


@cache
def _marks() -> np.ndarray:
    """Pairs of vertices in the middle of which the landmarks lie. [10]"""
    corner = body.load().corner
    eyes = [corner(name, side) for side in (-1, 1) for name in ("eye-corner1-up", "eye-corner2-up")]
    model = body.load()
    mouth = [int(np.argmax(side * model.vertices[:, 0] * (model.lips > 0.5))) for side in (-1, 1)]
    nose = [corner("nose-point-up", side) for side in (-1, 1)]
    return np.array([*eyes, *nose, mouth[0], mouth[0], mouth[1], mouth[1]])


def _shade(picture: np.ndarray, scene: Mapping, drawn: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Linear RGB and opacity, float32 [H, W, 4], from places in the picture, light and depth."""
    u, v, light = cv2.split(drawn)
    u, v = (cv2.addWeighted(part, paint.SIZE_PX, part, 0, -0.5) for part in (u, v))
    painted = cv2.remap(picture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # Bumps turn towards the light, or away from it.
    x, y = (float(0.07 * len(drawn) / 256 * part) for part in scene["light"][:2])
    slope = np.array([[0, y, 0], [x, 0, -x], [0, -y, 0]], np.float32) * -1
    bumps = cv2.filter2D(cv2.extractChannel(painted, 3), cv2.CV_32F, slope, borderType=cv2.BORDER_REPLICATE)
    light = cv2.addWeighted(light, _BRIGHTEST, bumps, 1.0, 0)
    there = (depth < raster.NOTHING_DM).astype(np.float32)
    light = cv2.multiply(cv2.max(light, 0.0), there)
    dusk = cv2.max(cv2.subtract(there, light), 0.0)  # where skin turns from the light, red still comes through
    tint = scene["light_rgb"] / np.mean(scene["light_rgb"])
    parts = [
        cv2.addWeighted(light, float(t), dusk, float(t * through), 0) for t, through in zip(tint, _THROUGH, strict=True)
    ]
    cv2.insertChannel(np.ones_like(there), painted, 3)
    return cv2.max(cv2.multiply(painted, cv2.merge([*parts, there])), 0.0)


def _backdrop(scene: Mapping, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Two colours fading into each other, with out-of-focus blobs. Linear RGB. float32 [H, W, 3]"""
    angle = scene["backdrop_turn"]
    mix = 1 / (1 + np.exp(-1.6 * (u * np.float32(cos(angle)) + v * np.float32(sin(angle)))))
    x, y, strength = np.asarray(scene["blobs"], np.float32).T
    mix += (0.35 * strength * np.exp(-((v - y) ** 2) / np.float32(0.15))) @ np.exp(
        -((u.T - x) ** 2) / np.float32(0.15)
    ).T
    first, second = scene["backdrop"] ** 2.2
    mix = np.clip(mix, 0, 1)
    return cv2.merge([cv2.addWeighted(mix, b - a, mix, 0, a) for a, b in zip(first, second, strict=True)])
