"""What is painted on a head: one picture a person, that the mesh wears.

The picture has the skin above, unrolled around the head as it is before anybody's traits move it, and below it
patches for eyes, hair and whatever has one colour. So brows, lips, beard and wrinkles are painted once, in the base
head's coordinates, and follow the flesh. Colours are linear RGB; the tables hold them as a screen takes them, to the
power of 1/2.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import ArrayLike

from s2f.corpora.synthetic import body, raster
from s2f.corpora.synthetic.raster import floats

SIZE_PX = 320  # of the picture
SKIN_ROWS = 240  # of it
_FLAT = MappingProxyType({"distance_dm": 50.0, "half_dm": 1.0})  # a view without perspective
TOP_DM, BOTTOM_DM = 1.25, -2.45  # of the skin's rows
AXIS_Z_DM = -0.10  # of the cylinder on which the skin is unrolled
PATCHES = MappingProxyType(
    {  # left, top, right, bottom in pixels
        "hair": (0, 244, 176, 318),
        "eye": (180, 244, 254, 318),
        "white": (260, 244, 268, 252),
        "gum": (272, 244, 280, 252),
        "frame": (284, 244, 292, 252),
        "glint": (296, 244, 304, 252),
    }
)
_PART_PATCH = MappingProxyType({1: "eye", 2: "eye", 3: "white", 4: "white"})
IRIS_DM, PUPIL_DM, EYE_DM = 0.066, 0.028, 0.16  # radii; the last is half of what the eye's patch shows

SKIN = ((0.87, 0.74, 0.68), (0.81, 0.66, 0.58), (0.68, 0.53, 0.44), (0.50, 0.38, 0.31), (0.35, 0.26, 0.22))
HAIR = MappingProxyType(
    {
        "black": (0.13, 0.115, 0.11),
        "brown": (0.27, 0.19, 0.14),
        "auburn": (0.42, 0.24, 0.15),
        "blond": (0.72, 0.59, 0.42),
    }
)
IRIS = MappingProxyType(
    {"brown": (0.27, 0.17, 0.11), "hazel": (0.42, 0.33, 0.20), "green": (0.34, 0.44, 0.32), "blue": (0.36, 0.48, 0.62)}
)
GREY = (0.70, 0.70, 0.71)


def smooth(value: ArrayLike, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, a cubic between."""
    share = np.clip((np.asarray(value, np.float32) - low) * np.float32(1 / (high - low)), 0, 1)
    return share * share * (3 - 2 * share)


def bell(value: np.ndarray, centre: float, width: float) -> np.ndarray:
    """exp(-((value - centre) / width)²)"""
    return np.exp(-(((value - centre) * np.float32(1 / width)) ** 2))


def angle(points: np.ndarray) -> np.ndarray:
    """How far around the head points lie: 0 in front, ±pi behind. [V]"""
    return np.arctan2(points[:, 0], points[:, 2] - AXIS_Z_DM)


def patch(name: str, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Places in the picture [V, 2], 0 to 1, of places in a patch, 0 to 1."""
    left, top, right, bottom = PATCHES[name]
    place = [left + 1 + across * (right - left - 2), top + 1 + down * (bottom - top - 2)]
    return (np.stack(place, axis=1) / SIZE_PX).astype(np.float32)


@cache
def places() -> np.ndarray:
    """Where in the picture each vertex of the head lies, 0 to 1, but for eyes, which turn. float32 [V, 2]"""
    model = body.load()
    across = 0.5 + 0.5 * np.sin(angle(model.vertices) / 2)
    down = (TOP_DM - model.vertices[:, 1]) / (TOP_DM - BOTTOM_DM) * (SKIN_ROWS / SIZE_PX)
    found = np.stack([across, down], axis=1).astype(np.float32)
    middle = np.full(len(found), 0.5)
    for part, name in _PART_PATCH.items():
        found[model.part == part] = patch(name, middle, middle)[model.part == part]
    return found


@dataclass(frozen=True)
class Canvas:
    """The face's part of the picture: where its pixels lie on the base head, and noises to paint with.

    Attributes
    ----------
    rows, columns : slice, of the face in the picture
    points : float32 [H, W, 3], dm
    side, front : float32 [H, W], |x|, and 1 on the front of the head, 0 behind
    lips, occlusion : float32 [H, W], as a `Body` has them
    fine, coarse, strand : float32 [H, W], noise of standard deviation 1: pores, blotches, hairs that hang down
    upper, lower : float32 [H, W], heights above the edges of the upper and of the lower eyelid
    """

    rows: slice
    columns: slice
    points: np.ndarray
    side: np.ndarray
    front: np.ndarray
    lips: np.ndarray
    occlusion: np.ndarray
    fine: np.ndarray
    coarse: np.ndarray
    strand: np.ndarray
    upper: np.ndarray
    lower: np.ndarray

    @property
    def y(self) -> np.ndarray:
        return self.points[:, :, 1]

    def between(self, top_dm: float, bottom_dm: float) -> tuple[slice, Canvas]:
        """Those of its rows that lie between two heights, and the canvas of them alone."""
        inside = slice(_row(top_dm) - self.rows.start, _row(bottom_dm) - self.rows.start)
        parts = {f.name: getattr(self, f.name)[inside] for f in fields(self) if f.name not in ("rows", "columns")}
        return inside, replace(self, **parts)

    def shifted(self, down: int, right: int) -> Canvas:
        """With noises of its own, for another person."""
        noises = {name: np.roll(getattr(self, name), (down, right), (0, 1)) for name in ("fine", "coarse", "strand")}
        return replace(self, **noises)


@cache
def canvas() -> Canvas:
    """Made once a process."""
    model = body.load()
    rows = slice(_row(0.80), _row(-1.60))
    columns = slice(int(0.10 * SIZE_PX), int(0.90 * SIZE_PX))
    points, rest = (values[rows, columns] for values in _unrolled())
    rng = np.random.default_rng(0)
    noises = []
    for across, along in ((0.7, 0.7), (4.5, 4.5), (0.8, 4.5)):
        noise = cv2.GaussianBlur(
            rng.standard_normal(points.shape[:2]).astype(np.float32), (0, 0), sigmaX=across, sigmaY=along
        )
        noises.append(noise / noise.std())
    side = np.abs(points[:, :, 0])
    edges = (points[:, :, 1] - edge for edge in _lids(model, side))
    front = smooth(points[:, :, 2], 0.1, 0.45)
    return Canvas(rows, columns, points, side, front, rest[:, :, 0], rest[:, :, 1], *noises, *edges)


def _row(y: float) -> int:
    return int((TOP_DM - y) / (TOP_DM - BOTTOM_DM) * SKIN_ROWS)


@cache
def _unrolled() -> tuple[np.ndarray, np.ndarray]:
    """Points (dm), and lips and occlusion, at every pixel of the picture. float32 [SIZE_PX, SIZE_PX, 3] each"""
    model, place = body.load(), places()
    low, size = model.vertices.min(axis=0), np.ptp(model.vertices, axis=0)
    depth = np.hypot(model.vertices[:, 0], model.vertices[:, 2] - AXIS_Z_DM) * 1e-3  # the outermost is what is seen
    flat = np.stack([2 * place[:, 0] - 1, 1 - 2 * place[:, 1], depth], axis=1).astype(np.float32)
    skin = model.triangles[(model.part[model.triangles] == 0).all(axis=1)]
    skin = skin[
        (np.ptp(place[skin], axis=1) < 0.3).all(axis=1)
    ]  # but for what crosses the seam, or leads into the mouth
    seen, there = raster.draw(flat, skin, ((model.vertices - low) / size).astype(np.float32), **_FLAT, size_px=SIZE_PX)
    rest = np.stack([model.lips, model.occlusion, model.lips], axis=1).astype(np.float32)
    rest, _ = raster.draw(flat, skin, rest, **_FLAT, size_px=SIZE_PX)
    hole = (there >= raster.NOTHING_DM)[:, :, None]
    centres = (np.arange(SIZE_PX) + 0.5) / SIZE_PX
    theta, height = 2 * np.arcsin(2 * centres - 1), TOP_DM - centres * SIZE_PX / SKIN_ROWS * (TOP_DM - BOTTOM_DM)
    theta, height = np.meshgrid(theta, height)
    around = np.stack([np.sin(theta), height, AXIS_Z_DM + np.cos(theta)], axis=2)
    points = np.where(hole, around, seen * size + low).astype(np.float32)
    rest = np.where(hole, floats(0, 0.5, 0), rest)
    return points, cv2.GaussianBlur(rest, (0, 0), 0.7)


def _lids(model: body.Body, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heights of the edges of the upper and the lower lid at points with |x| = side, from where an eye is seen."""
    values = np.repeat((model.part == 1)[:, None], 3, axis=1).astype(np.float32)
    size_px, half = 1200, 0.6
    seen, _ = raster.draw(model.vertices, model.triangles, values, distance_dm=50.0, half_dm=half, size_px=size_px)
    is_open = seen[:, :, 0] > 0.5
    columns = np.flatnonzero(is_open.any(axis=0))
    top, bottom = is_open.argmax(axis=0)[columns], size_px - 1 - is_open[::-1].argmax(axis=0)[columns]
    at, *heights = (half * (2 * (pixel + 0.5) / size_px - 1) for pixel in (columns, top, bottom))
    inside = np.clip(side, at[0], at[-1])
    upper, lower = (np.polyval(np.polyfit(at, -height, 4), inside).astype(np.float32) for height in heights)
    return upper, lower


@cache
def clothed() -> tuple[slice, np.ndarray, np.ndarray]:
    """Rows of the picture that clothes can cover; height of a closed collar above each pixel, and of its cut."""
    rows = slice(_row(-1.25), SKIN_ROWS)
    x, y, z = (_unrolled()[0][rows, :, k] for k in range(3))
    cut = bell(x, 0.0, 0.34) * (z > -0.1)
    collar = -1.45 + 0.16 * smooth(-z, 0.0, 0.5) - y - 0.05 * cut
    return rows, collar.astype(np.float32), (0.30 * cut).astype(np.float32)


def dress(painted: np.ndarray, skin: np.ndarray, colour: np.ndarray, neckline: float) -> None:
    """Paint clothes over the rows of `clothed`, which are `skin` [H, W, 4] without them, in place."""
    rows, collar, cut = clothed()
    above = collar - np.float32(neckline) * cut
    worn = np.clip(above * np.float32(40), 0, 1)
    seam = 1 - np.float32(0.35) * np.clip(1 - np.abs(above - 0.05) * 60, 0, 1)
    cloth = np.append(colour**2.2, 0.0).astype(np.float32)
    for k in range(4):
        painted[rows, :, k] = skin[:, :, k] + (cloth[k] * seam - skin[:, :, k]) * worn


def picture(person: Mapping, a: Mapping, hairline: np.ndarray) -> np.ndarray:
    """The picture that a person's head wears. float32 [SIZE_PX, SIZE_PX, 4], linear RGB and height

    Parameters
    ----------
    person : Mapping, a row of the population
    a : Mapping, from `anatomy.measures`
    hairline : float32 [H, W], how far inside the hair each pixel of `canvas` lies, dm
    """
    rng = np.random.default_rng(np.random.SeedSequence([*f"skin of {person['identity']}".encode()]))
    tone = float(person["skin_tone"]) * (len(SKIN) - 1)
    k = min(int(tone), len(SKIN) - 2)
    base = (np.array(SKIN[k]) + (tone - k) * (np.array(SKIN[k + 1]) - np.array(SKIN[k]))) ** 2.2
    base = (base * np.exp(rng.normal(0.0, [0.05, 0.05, 0.07]))).astype(np.float32)
    colour = np.array(HAIR[person["hair_colour"]]) * np.exp(rng.normal(0.0, 0.12))
    c = canvas().shifted(*rng.integers(0, 150, 2))
    painted = np.zeros((SIZE_PX, SIZE_PX, 4), np.float32)
    painted[:, :, :3] = base * _open(_unrolled()[1][:, :, 1])
    face = _Face(person, a, base, colour)
    painted[: c.rows.start, :, :3] += (face.hair_rgb(1.0) - painted[: c.rows.start, :, :3]) * (1 - a["bald"])
    painted[c.rows, c.columns] = face.painted(c, hairline, rng)
    _patches(painted, person, a, colour, rng)
    return painted


def _open(occlusion: np.ndarray) -> np.ndarray:
    """What creases keep of the light that falls on them. [H, W, 1]"""
    return (0.45 + 0.55 * smooth(occlusion, 0.0, 0.45))[:, :, None]


class _Face:
    """The face's part of the picture, one layer over the other."""

    def __init__(self, person: Mapping, a: Mapping, base: np.ndarray, colour: np.ndarray) -> None:
        self.person, self.a, self.base, self.colour = person, a, base, colour

    def painted(self, c: Canvas, hairline: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Linear RGB and height. float32 [H, W, 4]"""
        a = self.a
        lines = self._lines(c)
        gain = self._flesh(c, rng) - lines
        rgb = self.base * np.exp(gain[:, :, None] * floats(0.85, 1.05, 1.12)) * self._redness(c)
        relief = 0.12 * c.fine - 0.7 * lines
        at, part = c.between(-0.05, -1.25)
        rgb[at], relief[at] = self._beard(part, rgb[at], relief[at])
        at, part = c.between(-0.40, -1.00)
        rgb[at] = self._lips(part, rgb[at])
        at, part = c.between(0.45, -0.25)
        rgb[at] = self._brows(part, self._eyes(part, rgb[at]))
        scalp = smooth(hairline + 0.040 * c.strand, -0.05, 0.05) * (1 - 0.25 * a["bald"])
        shade = 0.30 * smooth(hairline, -0.22, 0.0) * (1 - a["bald"])  # hair takes light from the skin below it
        rgb = rgb * (_open(c.occlusion) * (1 - shade)[:, :, None])
        rgb = _over(rgb, self.hair_rgb(1.0) * np.exp(0.25 * c.strand)[:, :, None], 0.96 * scalp)
        relief += scalp * (0.5 * c.strand - relief)
        return np.dstack([rgb, relief])

    def hair_rgb(self, kept: float) -> np.ndarray:
        """Colour of the hair, with a share of its grey."""
        grey = kept * self.a["grey"]
        return ((self.colour * (1 - grey) + np.array(GREY) * grey * 0.9) ** 2.2).astype(np.float32)

    def _flesh(self, c: Canvas, rng: np.random.Generator) -> np.ndarray:
        """Logarithm of what blotches, freckles, moles and age spots do to the skin's lightness."""
        freckled = float(np.clip(rng.normal(-0.2, 0.5), 0, 1)) * (float(self.person["skin_tone"]) < 0.4)
        gain = 0.05 * c.coarse + 0.02 * c.fine
        if freckled > 0:
            gain -= 0.25 * freckled * smooth(c.fine, 0.8, 1.8) * bell(c.y, -0.15, 0.35) * c.front
        gain -= 0.22 * self.a["age"] ** 2 * smooth(c.coarse + 0.6 * c.fine, 1.0, 2.0)
        for x, y in rng.uniform([-0.6, -1.0], [0.6, 0.5], (int(rng.integers(0, 5)), 2)):
            at, part = c.between(y + 0.05, y - 0.05)
            gain[at] -= 0.9 * bell(part.points[:, :, 0], x, 0.012) * bell(part.y, y, 0.012) * part.front
        return gain

    def _redness(self, c: Canvas) -> np.ndarray:
        """What the red of cheeks, nose, ears and chin leaves of each colour. [H, W, 3]"""
        cheeks = bell(c.side, 0.40, 0.20) * bell(c.y, -0.36, 0.20)
        nose = bell(c.side, 0.0, 0.13) * bell(c.y, -0.36, 0.13)
        ears = smooth(c.side, 0.72, 0.80) * bell(c.y, -0.1, 0.4)
        chin = bell(c.y, -1.0, 0.12) * bell(c.side, 0.0, 0.25)
        amount = (0.16 + 0.16 * self.a["skin_redness"]) * (1 + 0.25 * c.coarse)
        red = np.clip(amount * (cheeks + nose + 0.7 * ears + 0.4 * chin), -0.3, 0.9)
        return 1 - red[:, :, None] * floats(0.02, 0.40, 0.34)

    def _lines(self, c: Canvas) -> np.ndarray:
        """Darkness of folds and wrinkles, 0 to 1; the body model's old age bends the flesh along them."""
        old, dark = self.a["age"], np.zeros_like(c.side)
        at, part = c.between(-0.25, -1.05)
        side, y = part.side, part.y
        along = np.clip((y + 0.36) / -0.40, -0.3, 1.3)  # from the nose's wing to the mouth's corner
        fold = side - (0.17 + 0.12 * np.clip(along, 0, None))
        nose = (0.05 + 0.38 * old) * bell(fold, 0, 0.022) * smooth(along, -0.1, 0.2) * (1 - smooth(along, 0.9, 1.2))
        down = np.clip((y + 0.72) / -0.25, 0, 1)  # from the mouth's corner to the jaw
        dark[at] += nose + 0.34 * old**2 * bell(side - 0.03 * down, 0.29, 0.020) * np.sin(np.pi * down)
        at, part = c.between(0.15, -0.30)
        side, y = part.side, part.y
        under = (side - 0.31) / 0.17
        bag = (0.05 + 0.34 * old) * bell(y + 0.04 * (1 - under * under), -0.10, 0.028)
        ring = (0.05 + 0.12 * old) * bell(under, 0, 1.0) * bell(y, -0.10, 0.05)
        rays = 0.5 + 0.5 * np.sin(28 * np.arctan2(y, side - 0.40))
        crow = smooth(side, 0.47, 0.50) * (1 - smooth(side, 0.57, 0.63)) * bell(y, -0.01, 0.13)
        dark[at] += bag * (1 - smooth(np.abs(under), 0.7, 1.1)) + ring + 0.32 * old**1.5 * crow * rays
        at, part = c.between(0.70, 0.02)
        side, y = part.side, part.y
        wavy = y - 0.03 * np.cos(6 * side) + 0.008 * part.coarse
        waves = sum(bell(wavy, height, 0.013) for height in (0.31, 0.40, 0.49))
        dark[at] += 0.36 * old**1.5 * waves * (1 - smooth(side, 0.25, 0.48))
        dark[at] += 0.36 * old**2 * bell(side, 0.05, 0.013) * bell(y, 0.17, 0.08)
        at, part = c.between(-1.20, -1.50)
        dark[at] += 0.20 * old**2 * (bell(part.y, -1.28, 0.02) + bell(part.y, -1.42, 0.02))
        return np.clip(0.95 * dark, 0, 0.9) * c.front

    def _beard(self, c: Canvas, rgb: np.ndarray, relief: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        a = self.a
        if a["moustache"] == 0:
            return rgb, relief
        amount = beard_cover(a, c.points) * (1 - smooth(c.lips, 0.2, 0.6))
        amount = np.clip(amount * (1 + 0.20 * c.fine), 0, 1)
        full = float(smooth(a["beard"], 0.6, 0.95))
        shaved = 0.30 * self.base * floats(0.86, 0.98, 1.12) + 0.25 * self.hair_rgb(0.9)  # roots under the skin
        tint = shaved + (self.hair_rgb(0.9) - shaved) * full
        return _over(rgb, tint, (0.76 + 0.14 * full) * amount), relief + amount * c.fine * (0.2 + 0.3 * full)

    def _brows(self, c: Canvas, rgb: np.ndarray) -> np.ndarray:
        a = self.a
        along = (c.side - 0.31) / 0.20
        thick = max(0.032 + 0.015 * a["brow_thickness"], 0.010)
        arch = 0.035 - 0.012 * np.clip(a["brow_thickness"], -2, 2)  # thin ones are arched
        middle = 0.155 + 0.034 * a["brow_height"] - 0.010 * a["brow_ridge"]
        middle = middle + arch * (1 - 1.3 * (along - 0.35) ** 2) + 0.016 * a["brow_tilt"] * along
        inside = thick * (1 - 0.60 * smooth(along, 0.1, 1.1)) - np.abs(c.y - middle)
        hairs = 0.006 * c.fine + 0.004 * np.sin(95 * c.side - 60 * c.y)
        amount = smooth(inside + hairs, -0.020, 0.020) * (1 - smooth(np.abs(along), 0.80, 1.08)) * c.front
        dense = 0.70 + 0.09 * np.clip(a["brow_thickness"], -2, 2)
        return _over(rgb, self.hair_rgb(0.6) * 0.65 + 0.06 * self.base, dense * amount)

    def _lips(self, c: Canvas, rgb: np.ndarray) -> np.ndarray:
        natural = self.base * floats(0.80, 0.70, 0.68)
        made_up = floats(0.33, 0.04, 0.06) * 0.75 + 0.25 * natural
        colour = natural + min(self.a["makeup"], 1.2) * 0.85 * (made_up - natural)
        shade = 1 + 0.06 * c.fine - 0.25 * bell(c.y, -0.69, 0.018)
        return _over(rgb, colour * shade[:, :, None], 0.92 * smooth(c.lips, 0.25, 0.75))

    def _eyes(self, c: Canvas, rgb: np.ndarray) -> np.ndarray:
        """Lashes along the lids, their shadow, and the colour that is put on them."""
        makeup = min(self.a["makeup"], 1.0)
        near = (1 - smooth(np.abs(c.side - 0.31), 0.13, 0.19)) * c.front
        lash = (0.55 + 0.40 * makeup) * bell(c.upper, 0.006, 0.018 + 0.010 * makeup)
        lash = lash + (0.15 + 0.40 * makeup) * bell(c.lower, -0.006, 0.010 + 0.004 * makeup)
        lid = (0.03 + 0.36 * makeup) * smooth(c.upper, -0.01, 0.02) * (1 - smooth(c.upper, 0.04, 0.11))
        socket = 0.24 * bell(c.side, 0.16, 0.07) * bell(c.y, 0.03, 0.10) * c.front
        return rgb * ((1 - np.clip(lash + lid, 0, 0.95) * near) * (1 - socket))[:, :, None]


def _over(rgb: np.ndarray, colour: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """A colour painted over others where `amount` [H, W] is 1."""
    return rgb + (colour - rgb) * amount[:, :, None]


def beard_cover(a: Mapping, points: np.ndarray) -> np.ndarray:
    """How dense a beard is at points of the base head, 0 to 1."""
    side, y, z = np.abs(points[..., 0]), points[..., 1], points[..., 2]
    edge = -0.52 + 1.10 * np.clip(side - 0.32, 0, None)  # the cheek's line, rising to the sideburn
    cheeks = smooth(edge - y, -0.05, 0.10) * smooth(y, -1.16, -1.02) * smooth(z, -0.10, 0.12)
    below_lip = 1 - 0.45 * bell(y, -0.86, 0.04) * bell(side, 0.13, 0.08)
    lip = smooth(-0.44 - y, -0.01, 0.05) * smooth(y, -0.78, -0.70) * (1 - smooth(side, 0.22, 0.31))
    return np.maximum(a["beard"] * cheeks * below_lip, a["moustache"] * lip)


def _patches(painted: np.ndarray, person: Mapping, a: Mapping, colour: np.ndarray, rng: np.random.Generator) -> None:
    """Hair strands, an eye, and the plain colours."""
    left, top, right, bottom = PATCHES["hair"]
    strands = np.roll(_strands(), rng.integers(0, right - left), axis=1)
    grey = np.clip(a["grey"] + 0.3 * a["grey"] * (1 - a["grey"]) * strands, 0, 1)[:, :, None]
    mixed = ((colour * (1 - grey) + np.array(GREY) * grey) ** 2.2) * np.exp(0.24 * strands)[:, :, None]
    painted[top:bottom, left:right] = np.dstack([mixed, 0.5 * strands])
    left, top, right, bottom = PATCHES["eye"]
    r, spoke = _eye_places()
    iris = (np.array(IRIS[person["eye_colour"]]) ** 2.2) * (1 + 0.16 * rng.standard_normal(90)[spoke])[:, :, None] * 0.7
    iris = (
        iris * (0.75 + 0.5 * smooth(r, PUPIL_DM, 0.8 * IRIS_DM) - 0.85 * smooth(r, 0.80 * IRIS_DM, IRIS_DM))[:, :, None]
    )
    white = (
        np.array([0.42, 0.37, 0.34]) * (1 - 0.10 * a["age"])
        - np.array([0, 0.08, 0.08]) * smooth(r, 0.07, 0.15)[:, :, None]
    )
    eye = _over(white, iris, 1 - smooth(r, 0.94 * IRIS_DM, 1.06 * IRIS_DM))
    painted[top:bottom, left:right, :3] = eye * smooth(r, 0.85 * PUPIL_DM, 1.1 * PUPIL_DM)[:, :, None] + 0.003
    painted[top:bottom, left:right, 3] = 0
    heavy = a["parting"] > 0  # frames differ between people, by a trait that means nothing
    frame = (0.012, 0.012, 0.014) if heavy else (0.10, 0.06, 0.03)
    plain = {"white": (0.42, 0.39, 0.33), "gum": (0.06, 0.014, 0.012), "frame": frame, "glint": (1.3, 1.3, 1.3)}
    for name, rgb in plain.items():
        left, top, right, bottom = PATCHES[name]
        painted[top:bottom, left:right] = (*rgb, 0.0)


@cache
def _strands() -> np.ndarray:
    """Fine and coarse streaks of about standard deviation 1 for the hair's patch. float32 [H, W]"""
    left, top, right, bottom = PATCHES["hair"]
    noise = np.random.default_rng(1).standard_normal((bottom - top, right - left), np.float32)
    around = np.tile(noise, 3)  # without a seam
    waves = []
    for across, along, weight in ((0.6, 10.0, 0.8), (2.5, 22.0, 0.25)):
        wave = cv2.GaussianBlur(around, (0, 0), sigmaX=across, sigmaY=along)[:, right - left : 2 * (right - left)]
        waves.append(weight * wave / wave.std())
    return np.sum(waves, axis=0)


@cache
def _eye_places() -> tuple[np.ndarray, np.ndarray]:
    """Of the eye's patch: distance from the pupil's middle (dm), and number of the spoke of the iris."""
    left, _, right, _ = PATCHES["eye"]
    across = ((np.arange(right - left) + 0.5) / (right - left) * 2 - 1).astype(np.float32) * EYE_DM
    x, y = np.meshgrid(across, across)
    return np.hypot(x, y), ((np.arctan2(y, x) / (2 * np.pi) + 0.5) * 90).astype(int) % 90
