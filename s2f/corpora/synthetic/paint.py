"""What is painted on a head: one picture a person, that the mesh wears.

The picture has the skin above, unrolled around the head as it is before anybody's traits move it, and below it
patches for eyes, hair and whatever has one colour. So brows, lips, beard and wrinkles are painted once, in the base
head's coordinates, and follow the flesh. Colours are linear RGB; the tables hold them as a screen takes them, to the
power of 1/2.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from s2f.corpora.synthetic import body, raster

SIZE_PX = 512  # of the picture
SKIN_ROWS = 384  # of it
TOP_DM, BOTTOM_DM = 1.25, -2.45  # of the skin's rows
AXIS_Z_DM = -0.10  # of the cylinder on which the skin is unrolled
PATCHES = {  # left, top, right, bottom in pixels
    "hair": (0, 388, 256, 508),
    "eye": (264, 388, 376, 500),
    "white": (384, 388, 400, 404),
    "gum": (404, 388, 420, 404),
    "frame": (424, 388, 440, 404),
}
_PART_PATCH = {1: "eye", 2: "eye", 3: "white", 4: "white", 5: "gum"}
IRIS_DM, PUPIL_DM, EYE_DM = 0.066, 0.028, 0.16  # radii; the last is half of what the eye's patch shows

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
HAIR_PX = np.array(PATCHES["hair"])


def smooth(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, a cubic between."""
    share = np.clip((value - low) * np.float32(1 / (high - low)), 0, 1)
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
    x, y, z : float32 [H, W], dm
    lips : float32 [H, W], 1 on the lips
    fine, coarse, strand : float32 [H, W], noise of standard deviation 1, of pores, of blotches and of hairs hanging down
    eye : pair of functions of |x| as arrays: height of the upper and the lower lid's edge, float32 [H, W]
    """

    rows: slice
    columns: slice
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    lips: np.ndarray
    fine: np.ndarray
    coarse: np.ndarray
    strand: np.ndarray
    upper: np.ndarray
    lower: np.ndarray


@cache
def canvas() -> Canvas:
    """Made once a process."""
    model = body.load()
    x, y, z, lips = _unrolled(model)
    rows = slice(_row(0.80), _row(-1.60))
    columns = slice(int(0.10 * SIZE_PX), int(0.90 * SIZE_PX))
    rng = np.random.default_rng(0)
    white = rng.standard_normal((3, rows.stop - rows.start, columns.stop - columns.start)).astype(np.float32)
    widths = ((0.8, 0.8), (7.0, 7.0), (0.9, 7.0))
    noises = [cv2.GaussianBlur(w, (0, 0), sigmaX=across, sigmaY=along) for w, (across, along) in zip(white, widths, strict=True)]
    lids = _lids(model, np.abs(x[rows, columns]))
    face = (v[rows, columns] for v in (x, y, z, lips))
    return Canvas(rows, columns, *face, *(noise / noise.std() for noise in noises), *lids)


def _row(y: float) -> int:
    return int((TOP_DM - y) / (TOP_DM - BOTTOM_DM) * SKIN_ROWS)


def _unrolled(model: body.Body) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, y, z and lips at every pixel of the skin. float32 [SIZE_PX, SIZE_PX] each"""
    place, low, size = places(), model.vertices.min(axis=0), np.ptp(model.vertices, axis=0)
    depth = np.hypot(model.vertices[:, 0], model.vertices[:, 2] - AXIS_Z_DM) * 1e-3  # the outermost is what is seen
    flat = np.stack([2 * place[:, 0] - 1, 1 - 2 * place[:, 1], depth], axis=1).astype(np.float32)
    skin = model.triangles[(model.part[model.triangles] == 0).all(axis=1)]
    skin = skin[np.ptp(place[skin][:, :, 0], axis=1) < 0.5]  # but for what crosses the seam
    view = {"distance_dm": 50.0, "half_dm": 1.0, "size_px": SIZE_PX}
    seen, there = raster.draw(flat, skin, ((model.vertices - low) / size).astype(np.float32), **view)
    lips, _ = raster.draw(flat, skin, np.repeat(model.lips[:, None], 3, axis=1), **view)
    hole = (there >= raster.NOTHING_DM).astype(np.uint8)
    across = (np.arange(SIZE_PX) + 0.5) / SIZE_PX
    theta = 2 * np.arcsin(2 * across - 1)[None]
    height = TOP_DM - (np.arange(SIZE_PX) + 0.5)[:, None] / SKIN_ROWS * (TOP_DM - BOTTOM_DM)
    around = [np.sin(theta) + 0 * height, height + 0 * theta, AXIS_Z_DM + np.cos(theta) + 0 * height]
    points = [np.where(hole, rest, seen[:, :, k] * size[k] + low[k]) for k, rest in enumerate(around)]
    return *(p.astype(np.float32) for p in points), cv2.GaussianBlur(lips[:, :, 0], (0, 0), 0.8)


def _lids(model: body.Body, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heights of the edges of the upper and the lower lid above points at |x| = side, from where an eye is seen."""
    values = np.repeat((model.part == 1)[:, None], 3, axis=1).astype(np.float32)
    view = {"distance_dm": 50.0, "half_dm": 0.6, "size_px": 1200}
    seen, _ = raster.draw(model.vertices, model.triangles, values, **view)
    pixels = np.flatnonzero((seen[:, :, 0] > 0.5).any(axis=0))
    open_ = seen[:, :, 0] > 0.5
    at = (pixels - 599.5) * 0.6 / 600
    top, bottom = open_.argmax(axis=0)[pixels], 1199 - open_[::-1].argmax(axis=0)[pixels]
    curves = [np.polyfit(at, (599.5 - row) * 0.6 / 600, 4) for row in (top, bottom)]
    inside = np.clip(side, at[0], at[-1])
    return tuple((np.polyval(curve, inside)).astype(np.float32) for curve in curves)


@cache
def clothed() -> tuple[slice, np.ndarray, np.ndarray]:
    """Rows of the picture that clothes can cover; height of a closed collar above each pixel, and of the neckline's cut."""
    x, y, z, _ = _unrolled(body.load())
    rows = slice(_row(-1.25), SKIN_ROWS)
    x, y, z = x[rows], y[rows], z[rows]
    collar = -1.45 + 0.16 * smooth(-z, 0.0, 0.5) - y
    cut = bell(x, 0.0, 0.34) * (z > -0.1)
    return rows, (collar - 0.05 * cut).astype(np.float32), (0.30 * cut).astype(np.float32)


def dress(painted: np.ndarray, skin: np.ndarray, colour: np.ndarray, neckline: float) -> None:
    """Paint clothes over the rows of `clothed`, which are `skin` [H, W, 4] without them, in place."""
    rows, collar, cut = clothed()
    above = collar - np.float32(neckline) * cut
    worn = np.clip(above * np.float32(40), 0, 1)[:, :, None]
    seam = 1 - 0.35 * np.clip(1 - np.abs(above - 0.05) * 60, 0, 1)
    cloth = np.append(colour**2.2, 0.01).astype(np.float32) * seam[:, :, None]
    painted[rows] = skin + (cloth - skin) * worn


def picture(person: Mapping, a: Mapping, hairline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture that a person's head wears.

    Parameters
    ----------
    person : Mapping, a row of the population
    a : Mapping, from `anatomy.measures`
    hairline : float32 [H, W], how far inside the hair each pixel of `canvas` lies, dm

    Returns
    -------
    float32 [SIZE_PX, SIZE_PX, 4], linear RGB and gloss; float32 [SIZE_PX, SIZE_PX], height, about -1 to 1
    """
    rng = np.random.default_rng(np.random.SeedSequence([*f"skin of {person['identity']}".encode()]))
    painted = np.zeros((SIZE_PX, SIZE_PX, 4), np.float32)
    relief = np.zeros((SIZE_PX, SIZE_PX), np.float32)
    tone = float(person["skin_tone"]) * (len(SKIN) - 1)
    k = min(int(tone), len(SKIN) - 2)
    base = ((np.array(SKIN[k]) + (tone - k) * (np.array(SKIN[k + 1]) - np.array(SKIN[k]))) ** 2.2).astype(np.float32)
    base *= np.exp(rng.normal(0.0, [0.05, 0.05, 0.07])).astype(np.float32)
    painted[:, :, :3], painted[:, :, 3] = base, 0.06
    colour = np.array(HAIR[person["hair_colour"]]) * np.exp(rng.normal(0.0, 0.12))
    face = _Face(person, a, base, (colour, rng), hairline)
    c = canvas()
    painted[c.rows, c.columns], relief[c.rows, c.columns] = face.painted()
    _patches(painted, relief, person, a, colour, rng)
    return painted, relief


class _Face:
    """The face's part of the picture, one layer over the other."""

    def __init__(self, person: Mapping, a: Mapping, base: np.ndarray, hair: tuple, hairline: np.ndarray) -> None:
        self.person, self.a, self.base, self.c = person, a, base, canvas()
        self.colour, rng = hair
        self.hairline, self.side = hairline, np.abs(self.c.x)
        shift = tuple(rng.integers(0, 200, 2))
        noises = (self.c.fine, self.c.coarse, self.c.strand)
        self.fine, self.coarse, self.strand = (np.roll(noise, shift, (0, 1)) for noise in noises)
        self.spots = rng.uniform([-0.6, -1.0], [0.6, 0.5], (int(rng.integers(0, 5)), 2))
        self.freckled = float(np.clip(rng.normal(-0.2, 0.5), 0, 1)) * (float(person["skin_tone"]) < 0.4)
        self.front = smooth(self.c.z, 0.1, 0.45)

    def painted(self) -> tuple[np.ndarray, np.ndarray]:
        c, a = self.c, self.a
        gain = self._flesh() - self._lines()
        rgb = np.exp(gain[:, :, None] * np.float32([0.85, 1.05, 1.12])) * self.base
        rgb *= self._redness()
        relief = 0.22 * self.fine - 1.4 * self._lines() * 0.5
        gloss = 0.07 + 0.08 * self.front * (1 - 0.5 * a["age"]) + 0.02 * self.fine
        rgb, relief = self._beard(rgb, relief)
        rgb, gloss = self._lips(rgb, gloss)
        rgb = self._brows(self._eyes(rgb))
        scalp = smooth(self.hairline + 0.040 * self.strand, -0.05, 0.05) * (1 - 0.25 * a["bald"])
        rgb = self._over(rgb, self._hair_rgb(1.0) * np.exp(0.25 * self.strand)[:, :, None], 0.96 * scalp)
        relief += scalp * (0.8 * self.strand - relief)
        return np.concatenate([rgb, gloss[:, :, None]], axis=2), relief

    def _hair_rgb(self, kept: float) -> np.ndarray:
        """Colour of brows, beard and stubble: darker than the hair, and greyer or less grey."""
        grey = kept * self.a["grey"]
        return ((self.colour * (1 - grey) + np.array(GREY) * grey * 0.9) ** 2.2).astype(np.float32)

    @staticmethod
    def _over(rgb: np.ndarray, colour: np.ndarray, amount: np.ndarray) -> np.ndarray:
        return rgb + (colour - rgb) * amount[:, :, None]

    def _flesh(self) -> np.ndarray:
        """Logarithm of what blotches, freckles, moles and age spots do to the skin's lightness."""
        c, a = self.c, self.a
        gain = 0.05 * self.coarse + 0.03 * self.fine
        gain -= 0.25 * self.freckled * smooth(self.fine, 0.8, 1.8) * bell(c.y, -0.15, 0.35) * self.front
        gain -= 0.22 * a["age"] ** 2 * smooth(self.coarse + 0.6 * self.fine, 1.0, 2.0)
        for x, y in self.spots:
            gain -= 0.9 * np.exp(-((c.x - x) ** 2 + (c.y - y) ** 2) / 0.012**2) * self.front
        return gain

    def _redness(self) -> np.ndarray:
        c = self.c
        cheeks = bell(self.side, 0.40, 0.20) * bell(c.y, -0.36, 0.20)
        nose = bell(c.x, 0.0, 0.13) * bell(c.y, -0.36, 0.13)
        ears = smooth(self.side, 0.72, 0.80) * bell(c.y, -0.1, 0.4) * 0.7
        amount = (0.16 + 0.16 * self.a["skin_redness"]) * (1 + 0.25 * self.coarse)
        red = np.clip(amount * (cheeks + nose + ears + 0.4 * bell(c.y, -1.0, 0.12) * bell(c.x, 0, 0.25)), -0.3, 0.9)
        return 1 - red[:, :, None] * np.float32([0.02, 0.40, 0.34])

    def _lines(self) -> np.ndarray:
        """Darkness of folds and wrinkles, 0 to 1; the body model's old age bends the flesh along them."""
        c, a, side = self.c, self.a, self.side
        old, dark = a["age"], np.zeros_like(c.x)
        along = np.clip((c.y + 0.36) / -0.40, -0.3, 1.3)  # from the nose's wing to the mouth's corner
        fold = side - (0.17 + 0.12 * np.clip(along, 0, None))
        dark += (0.05 + 0.38 * old) * bell(fold, 0, 0.022) * smooth(along, -0.1, 0.2) * (1 - smooth(along, 0.9, 1.2))
        down = np.clip((c.y + 0.72) / -0.25, 0, 1)  # from the mouth's corner to the jaw
        dark += 0.34 * old**2 * bell(side - 0.29 - 0.03 * down, 0, 0.020) * np.sin(np.pi * down)
        under = (side - 0.31) / 0.17
        bag = c.y + 0.13 + 0.04 * (1 - under * under) - 0.03
        dark += (0.05 + 0.34 * old) * bell(bag, 0, 0.028) * (1 - smooth(np.abs(under), 0.7, 1.1))
        dark += (0.05 + 0.12 * old) * np.exp(-(under**2)) * bell(c.y, -0.10, 0.05)
        if old > 0.15:
            waves = sum(bell(c.y - 0.03 * np.cos(6 * c.x) + 0.008 * self.coarse, at, 0.013) for at in (0.34, 0.43, 0.52))
            dark += 0.36 * old**1.5 * waves * (1 - smooth(side, 0.25, 0.48))
            dark += 0.36 * old**2 * bell(side, 0.05, 0.013) * bell(c.y, 0.17, 0.08)
            rays = 0.5 + 0.5 * np.sin(28 * np.arctan2(c.y, side - 0.40))
            crow = smooth(side, 0.47, 0.50) * (1 - smooth(side, 0.57, 0.63)) * bell(c.y, -0.01, 0.13)
            dark += 0.32 * old**1.5 * crow * rays
            dark += 0.20 * old**2 * bell(c.y, -1.28, 0.02) + 0.16 * old**2 * bell(c.y, -1.42, 0.02)
        return np.clip(0.75 * dark, 0, 0.9) * self.front

    def _beard(self, rgb: np.ndarray, relief: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        a, c, side = self.a, self.c, self.side
        if a["moustache"] == 0:
            return rgb, relief
        amount = beard_cover(a, c.x, c.y, c.z) * (1 - smooth(c.lips, 0.2, 0.6))
        amount = np.clip(amount * (1 + 0.28 * self.fine), 0, 1)
        full = smooth(np.float32(a["beard"]), 0.6, 0.95)
        shaved = 0.30 * self.base * np.float32([0.86, 0.98, 1.12]) + 0.25 * self._hair_rgb(0.9)  # roots under the skin
        tint = shaved + (self._hair_rgb(0.9) - shaved) * full
        return self._over(rgb, tint, (0.66 + 0.24 * full) * amount), relief + amount * self.fine * (0.3 + 0.5 * full)

    def _brows(self, rgb: np.ndarray) -> np.ndarray:
        a, c = self.a, self.c
        along = (self.side - 0.31) / 0.20
        thick = max(0.043 + 0.021 * a["brow_thickness"], 0.012)
        middle = 0.190 + 0.034 * a["brow_height"] - 0.010 * a["brow_ridge"]
        arch = 0.035 - 0.012 * np.clip(a["brow_thickness"], -2, 2)  # thin ones are arched
        middle = middle + arch * (1 - 1.3 * (along - 0.35) ** 2) - 0.035 + 0.016 * a["brow_tilt"] * along
        inside = thick * (1 - 0.60 * smooth(along, 0.1, 1.1)) - np.abs(c.y - middle)
        hairs = 0.006 * self.fine + 0.004 * np.sin(95 * self.side - 60 * c.y)
        amount = smooth(inside + hairs, -0.022, 0.030) * (1 - smooth(np.abs(along), 0.80, 1.08)) * self.front
        return self._over(rgb, self._hair_rgb(0.6) * 0.7 + 0.10 * self.base, (0.64 + 0.09 * np.clip(a["brow_thickness"], -2, 2)) * amount)

    def _lips(self, rgb: np.ndarray, gloss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        makeup, c = self.a["makeup"], self.c
        natural = self.base * np.float32([0.80, 0.67, 0.65])
        made_up = np.float32([0.38, 0.022, 0.05]) * 0.75 + 0.25 * natural
        colour = natural + min(makeup, 1.2) * 0.85 * (made_up - natural)
        inside = smooth(c.lips, 0.25, 0.75)
        shade = 1 + 0.06 * self.fine - 0.25 * bell(c.y, -0.69, 0.018)
        return self._over(rgb, colour * shade[:, :, None], 0.92 * inside), gloss + (0.06 + 0.10 * makeup) * inside

    def _eyes(self, rgb: np.ndarray) -> np.ndarray:
        """Lashes along the lids, their shadow, and the colour that is put on them."""
        a, c = self.a, self.c
        near = (1 - smooth(np.abs(self.side - 0.31), 0.13, 0.19)) * self.front
        up, down = c.y - c.upper, c.y - c.lower
        makeup = min(a["makeup"], 1.0)
        lash = (0.34 + 0.58 * makeup) * bell(up, 0.006, 0.014 + 0.012 * makeup)
        lash = lash + (0.08 + 0.45 * makeup) * bell(down, -0.006, 0.010 + 0.004 * makeup)
        lid = (0.04 + 0.52 * makeup) * smooth(up, -0.01, 0.02) * (1 - smooth(up, 0.04, 0.11))
        dark = np.clip(lash + lid * 0.7, 0, 0.95) * near
        socket = 0.16 * bell(self.side, 0.16, 0.07) * bell(c.y, 0.03, 0.10) * self.front
        return rgb * (1 - dark)[:, :, None] * (1 - socket)[:, :, None]


def beard_cover(a: Mapping, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """How dense a beard is at points of the base head, 0 to 1."""
    side = np.abs(x)
    edge = -0.52 + 1.10 * np.clip(side - 0.32, 0, None)  # the cheek's line, rising to the sideburn
    cheeks = smooth(edge - y, -0.05, 0.10) * smooth(y, -1.16, -1.02) * smooth(z, -0.10, 0.12)
    below_lip = 1 - 0.45 * bell(y, -0.86, 0.04) * bell(side, 0.13, 0.08)
    lip = smooth(-0.44 - y, -0.01, 0.05) * smooth(y, -0.78, -0.70) * (1 - smooth(side, 0.22, 0.31))
    return np.maximum(a["beard"] * cheeks * below_lip, a["moustache"] * lip)


def _patches(painted: np.ndarray, relief: np.ndarray, person: Mapping, a: Mapping, colour: np.ndarray, rng: np.random.Generator) -> None:
    """Hair strands, an eye, and the plain colours."""
    left, top, right, bottom = PATCHES["hair"]
    noise = rng.standard_normal((bottom - top, right - left)).astype(np.float32)
    strands = cv2.GaussianBlur(noise, (0, 0), sigmaX=0.7, sigmaY=14.0, borderType=cv2.BORDER_REFLECT)
    locks = cv2.GaussianBlur(noise, (0, 0), sigmaX=5.0, sigmaY=30.0, borderType=cv2.BORDER_REFLECT)
    strands = 0.7 * strands / strands.std() + 0.45 * locks / locks.std()
    grey = np.clip(a["grey"] + 0.5 * a["grey"] * (1 - a["grey"]) * strands, 0, 1)[:, :, None]
    mixed = (colour * (1 - grey) + np.array(GREY) * grey) ** 2.2
    painted[top:bottom, left:right, :3] = mixed * np.exp(0.30 * strands)[:, :, None]
    painted[top:bottom, left:right, 3] = 0.05 + 0.03 * np.clip(strands, -1, 1.5)
    relief[top:bottom, left:right] = 0.5 * strands
    left, top, right, bottom = PATCHES["eye"]
    across = (np.arange(right - left) + 0.5) / (right - left) * 2 - 1
    x, y = (v * EYE_DM for v in np.meshgrid(across, across))
    r = np.hypot(x, y)
    spokes = rng.standard_normal(90)[((np.arctan2(y, x) / (2 * np.pi) + 0.5) * 90).astype(int) % 90]
    iris = (np.array(IRIS[person["eye_colour"]]) ** 2.2)[None, None] * (1 + 0.16 * spokes)[:, :, None]
    iris = iris * (0.75 + 0.5 * smooth(r, PUPIL_DM, 0.8 * IRIS_DM) - 0.85 * smooth(r, 0.80 * IRIS_DM, IRIS_DM))[:, :, None]
    white = np.array([0.56, 0.51, 0.48]) * (1 - 0.10 * a["age"]) - np.array([0, 0.08, 0.08]) * smooth(r, 0.07, 0.15)[:, :, None]
    eye = white + (iris - white) * (1 - smooth(r, 0.94 * IRIS_DM, 1.06 * IRIS_DM))[:, :, None]
    eye = eye * smooth(r, 0.85 * PUPIL_DM, 1.1 * PUPIL_DM)[:, :, None] + 0.003
    painted[top:bottom, left:right] = np.concatenate([eye, np.ones_like(eye[:, :, :1])], axis=2)
    heavy = a["parting"] > 0  # frames differ between people, by a trait that means nothing
    plain = {"white": (0.58, 0.54, 0.47), "gum": (0.30, 0.07, 0.06), "frame": (0.012,) * 3 if heavy else (0.10, 0.06, 0.03)}
    for name, rgb in plain.items():
        left, top, right, bottom = PATCHES[name]
        painted[top:bottom, left:right] = (*rgb, 0.25)
