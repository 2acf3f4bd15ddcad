"""Hair and glasses as triangles: the scalp moved outwards, sheets that hang from it, and frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from s2f.corpora.synthetic import body, paint
from s2f.corpora.synthetic.paint import bell, smooth
from s2f.corpora.synthetic.raster import floats

_ROOTS_DM = 0.05  # inside the hairline: up to there hair is painted on the skin
CENTRE = np.array([0.0, 0.20, -0.15])  # of the skull


@dataclass(frozen=True)
class Mesh:
    """Triangles beside the head's own.

    Attributes
    ----------
    vertices, normals : float32 [V, 3]
    triangles : int32 [T, 3]
    places : float32 [V, 2], in the picture of `paint`
    open : float32 [V], share of the light that reaches a vertex, by what lies around it
    """

    vertices: np.ndarray
    normals: np.ndarray
    triangles: np.ndarray
    places: np.ndarray
    open: np.ndarray


def line(a: Mapping, points: np.ndarray) -> np.ndarray:
    """How far inside the hair points of the base head lie, dm; negative on bare skin. [V]"""
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    theta = np.abs(np.arctan2(x, z - paint.AXIS_Z_DM))
    loss, bald = a["hair_loss"], a["bald"]
    falls = float(smooth(a["fringe"], 0.45, 1.0)) * (1 - bald)  # into the forehead, else it is combed back
    top = 0.66 + 0.045 * loss - 0.30 * falls
    # Long hair falls to either side of its parting.
    aside = 0.60 * min(a["long"], 1.0) * (1 - falls) * np.clip(np.abs(x - 0.28 * a["parting"]) - 0.06, 0, 0.55)
    lean = 0.10 * a["parting"] * np.clip(x / 0.5, -1, 1) * bell(theta, 0.0, 0.9)
    ragged = 0.018 * np.sin(13 * x + 5 * a["parting"]) + 0.012 * np.sin(31 * x)
    temples = 0.10 * max(loss, 0.0) * bell(theta, 0.65, 0.30)
    front = top + temples - lean - aside + ragged - 0.14 * smooth(theta, 0.30, 0.75)
    # Down in front of the ear, around it, and along the nape.
    beside = front + (-0.12 - front) * smooth(theta, 0.66, 1.06)
    edge = beside + (-0.60 - beside) * smooth(theta, 1.75, 2.15)
    inside = y - edge
    crown = 0.42 - y + 0.25 * smooth(theta, 1.6, 2.6)  # what a bald head keeps lies below
    return np.where(bald > 0, np.minimum(inside, inside * (1 - bald) + bald * crown), inside)


@cache
def _scalp() -> tuple[np.ndarray, np.ndarray]:
    """Vertices that hair can grow on (the ears cannot), and triangles of skin. bool [V], int [T, 3]"""
    model = body.load()
    moved = np.abs(model.offsets[model.rows["ear-scale-incr", 1]].reshape(-1, 3)).max(axis=1)
    grows = (model.part == 0) & (moved < 0.2 * moved.max()) & (model.vertices[:, 1] > -0.85)
    triangles = model.triangles[(model.part[model.triangles] == 0).all(axis=1)]
    return grows, triangles


def _strands(points: np.ndarray, a: Mapping, fall: np.ndarray) -> np.ndarray:
    """Places on the hair's patch: across the strands, and along them."""
    theta = np.arctan2(points[:, 0] - 0.25 * a["parting"] * smooth(points[:, 1], 0.2, 0.9), points[:, 2] + 0.15)
    return paint.patch("hair", theta / (2 * np.pi) + 0.5, np.clip(fall, 0, 1))


def _locks(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise between about -1 and 1 that makes one head of hair unlike another. [V]"""
    waves = rng.normal(0.0, [4.0, 2.0, 4.0], (5, 3))
    return np.sin(points @ waves.T + rng.uniform(0, 2 * np.pi, 5)).mean(axis=1) * 1.6


def cap(a: Mapping, head: np.ndarray, inside: np.ndarray, rng: np.random.Generator) -> Mesh:
    """Hair on the skull: the head's own surface, moved outwards where hair grows.

    Parameters
    ----------
    a : Mapping, from `anatomy.measures`
    head : float32 [V, 3], the person's head at rest
    inside : float32 [V], from `line`, of the base head's vertices
    """
    model = body.load()
    grows, triangles = _scalp()
    covered = grows & (inside > _ROOTS_DM)
    triangles = triangles[covered[triangles].all(axis=1)]
    volume = 0.075 + 0.030 * max(a["hair_volume"], -1.8) + 0.05 * min(a["long"], 1.0)
    reach = 0.42 - 0.25 * a["fringe"]  # hair that falls into the forehead is thick there, hair combed back is not
    thick = volume * (1 - 0.75 * a["bald"]) * smooth(inside, 0.8 * _ROOTS_DM, reach) + 0.003
    rim = np.ones(len(head), bool)  # hair begins on the skin, without a step
    rim[triangles] = False
    rim[_scalp()[1][~covered[_scalp()[1]].all(axis=1)]] = True
    thick[rim] = 0.004
    outwards = head - CENTRE
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    crown = 0.55 * smooth(outwards[:, 1], 0.3, 0.9) * bell(model.vertices[:, 0], 0.0, 0.75)
    beside = 0.7 * min(a["long"], 1.0) * bell(outwards[:, 1], 0.25, 0.5) * np.abs(outwards[:, 0])
    thick = thick * (1 + crown + beside) * (1 + 0.25 * _locks(model.vertices, rng))
    points = (head + outwards * thick[:, None]).astype(np.float32)
    used, corners = np.unique(triangles, return_inverse=True)
    if not len(used):
        return _nothing()
    corners = corners.reshape(-1, 3).astype(np.int32)
    fall = (1.15 - points[used, 1]) / 3.0
    shade = (0.45 + 0.55 * smooth(inside, 0.0, 0.35))[used].astype(np.float32)
    return Mesh(points[used], _normals(points[used], corners), corners, _strands(points[used], a, fall), shade)


def sheets(a: Mapping, head: np.ndarray, rng: np.random.Generator) -> Mesh:
    """Long hair: a curtain around the back and the sides of the head, as far to the front as it is long."""
    long = a["long"]
    if long <= 0.05:
        return _nothing()
    end = 0.10 - 1.40 * long
    begin = 1.15 - 0.45 * min(2 * long, 1.0) - 0.05 * a["hair_volume"]  # radians from the front
    n_around, n_down = 44, 11
    theta = np.linspace(begin, 2 * np.pi - begin, n_around)[None]  # [1, A]
    wide = np.abs(head[:, 0][(np.abs(head[:, 1]) < 0.5) & (head[:, 2] < 0.3)]).max()
    deep = CENTRE[2] - head[:, 2][head[:, 1] > 0].min()
    down = np.linspace(0, 1, n_down)[:, None] ** 0.85
    y0 = 0.62
    ragged = 0.05 * rng.standard_normal(n_around)[None] + 0.04 * np.sin(5 * theta + rng.uniform(0, 6))
    y = y0 + (end + ragged * min(1.0, long) - y0) * down  # [D, A]
    reach = 0.07 + 0.10 * min(long, 1.0) + 0.035 * a["hair_volume"]
    curl = 0.045 * float(np.clip(rng.normal(0.5, 0.7), 0, 1.8))
    phase = 1.5 * np.sin(3 * theta + rng.uniform(0, 6))
    out = 1 - smooth(y, -0.05, 0.75)
    drape = 1 + 0.06 * smooth(-y, 0.3, 1.4) * np.cos(2 * theta + np.pi)
    radius_x = (0.84 * wide + (0.18 * wide + reach) * out) * drape
    radius_z = (0.84 * deep + (0.12 * deep + reach) * out) * drape
    wave = 1 + curl * np.sin(7 * y + phase) * smooth(-y, -0.2, 0.6) + 0.02 * np.sin(23 * theta) * out
    uneven = 0.06 * _locks(np.stack([theta + 0 * y, 1.5 * y, 0 * y + 0 * theta], axis=2).reshape(-1, 3), rng).reshape(
        y.shape
    )
    wave = wave * (1 + uneven * out)
    x, z = radius_x * wave * np.sin(theta), CENTRE[2] + radius_z * wave * np.cos(theta)
    z = np.where(np.cos(theta) > 0, CENTRE[2] + 0.45 * radius_z * np.cos(theta), z)  # beside the face, not before it
    points = np.stack([x, y, z], axis=2).reshape(-1, 3).astype(np.float32)
    corner = np.arange(n_around * n_down).reshape(n_down, n_around)
    i, j, k, m = (corner[s, t].ravel() for s in (slice(0, -1), slice(1, None)) for t in (slice(0, -1), slice(1, None)))
    outer = np.concatenate([np.stack([i, k, j], axis=1), np.stack([j, k, m], axis=1)]).astype(np.int32)
    normals = _normals(points, outer)
    facing = np.sign((normals * (points - CENTRE) * [1, 0, 1]).sum())
    if facing < 0:
        outer, normals = outer[:, ::-1].copy(), -normals
    places = _strands(points, {**a, "parting": 0.0}, (1.15 - points[:, 1]) / 3.0)
    n = len(points)  # seen from within as well
    return Mesh(
        np.concatenate([points, points]),
        np.concatenate([normals, -normals]).astype(np.float32),
        np.concatenate([outer, outer[:, ::-1] + n]).astype(np.int32),
        np.concatenate([places, places]),
        np.concatenate([np.full(n, 0.9), np.full(n, 0.22)]).astype(np.float32),
    )


def glasses(a: Mapping, head: np.ndarray) -> Mesh:
    """Frames in front of the eyes, and the arms to the ears."""
    model = body.load()
    eye = head[model.part == 1].mean(axis=0)
    bridge = head[(np.abs(model.vertices[:, 0]) < 0.06) & (np.abs(model.vertices[:, 1] - 0.02) < 0.06), 2].max()
    heavy = a["parting"] > 0
    rx, ry = 0.235 + 0.01 * a["nose_bridge"], 0.155 + 0.03 * heavy
    width, z = 0.018 + 0.016 * heavy, bridge + 0.06
    turn = np.linspace(0, 2 * np.pi, 37)[:-1]
    shape = np.stack(
        [np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** 0.67, np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** 0.67],
        axis=1,
    )
    parts, faces, n = [], [], 0
    for side in (-1, 1):
        centre = np.array([side * (eye[0] + 0.01), eye[1] - 0.015])
        for scale in (1.0, 1.0 + width / ry):
            ring = centre + shape * [rx * scale, ry * scale]
            parts.append(np.column_stack([ring, z - 0.25 * np.clip(np.abs(ring[:, 0]) - 0.25, 0, None) ** 1.5]))
        inner, outer = np.arange(36), 36 + np.arange(36)
        faces.append(
            n
            + np.concatenate(
                [
                    np.stack([inner, outer, np.roll(outer, -1)], 1),
                    np.stack([inner, np.roll(outer, -1), np.roll(inner, -1)], 1),
                ]
            )
        )
        n += 72
    gap = eye[0] + 0.01 - rx
    y = eye[1] + 0.03
    bars = [((-gap - 0.02, y, z + 0.01), (gap + 0.02, y, z + 0.01))]
    far = eye[0] + rx + 0.02
    ear = np.abs(head[:, 0][(np.abs(head[:, 1]) < 0.3) & (np.abs(head[:, 2]) < 0.2)]).max()
    bars += [((s * far, y + 0.02, z - 0.06), (s * (ear - 0.02), y + 0.02, 0.0)) for s in (-1, 1)]
    high = np.array([0, width / 2, 0])
    for first, second in np.array(bars):
        parts.append(np.array([first - high, second - high, second + high, first + high]))
        both = np.array([[0, 1, 2], [0, 2, 3]])
        faces.append(n + np.concatenate([both, both[:, ::-1]]))
        n += 4
    points = np.concatenate(parts).astype(np.float32)
    half = np.full(len(points), 0.5)
    normals = np.tile(floats(0, 0.3, 0.954), (len(points), 1))
    open_ = np.ones(len(points), np.float32)
    return Mesh(points, normals, np.concatenate(faces).astype(np.int32), paint.patch("frame", half, half), open_)


def _normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (points[triangles[:, k]] for k in range(3))
    each, total = np.cross(b - a, c - a), np.zeros_like(points)
    for k in range(3):
        np.add.at(total, triangles[:, k], each)
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def joined(meshes: list[Mesh]) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    triangles = [mesh.triangles + start for mesh, start in zip(meshes, starts, strict=False)]

    def together(name: str) -> np.ndarray:
        return np.concatenate([getattr(mesh, name) for mesh in meshes])

    return Mesh(
        together("vertices"),
        together("normals"),
        np.concatenate(triangles).astype(np.int32),
        together("places"),
        together("open"),
    )


def _nothing() -> Mesh:
    none = np.zeros((0, 3), np.float32)
    return Mesh(none, none, none.astype(np.int32), none[:, :2], none[:, 0])
