"""What is painted on a head, and how light falls on it.

Eyes, brows, lips, beard and wrinkles are painted on the surface in head coordinates (those of `anatomy`). Colours
are linear RGB; the tables hold them as a screen takes them, to the power of 1/2.2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn.functional import normalize

from s2f.corpora.synthetic import anatomy
from s2f.corpora.synthetic.surface import Head, exp_, tensor

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


def _smooth(x: Tensor, low: float, high: float) -> Tensor:
    s = ((x - low) / (high - low)).clamp(0, 1)
    return s * s * (3 - 2 * s)


def _mix(base: Tensor, colour: ArrayLike, amount: Tensor) -> Tensor:
    return base + (tensor(colour, base.device) - base) * amount[:, None]


def shade(
    person: Mapping, scene: Mapping, a: Mapping, head: Head, p: Tensor, view: Tensor, *, light: Tensor, pixel_dm: float
) -> Tensor:
    """Linear RGB [N, 3] at the points `p` of the surface, seen along `-view`."""
    skin_d, hair_d, skin_g, hair_g = head.gradients(p)
    is_hair = (0.5 + (skin_d - hair_d) / (2 * pixel_dm)).clamp(0, 1)
    normal, hair_normal = normalize(skin_g, dim=1), normalize(hair_g, dim=1)

    paint = _Paint(person, scene, a, p, pixel_dm=pixel_dm, light=light)
    albedo, gloss = paint.skin()
    hair, strands = paint.hair()
    n = normalize(torch.lerp(normal, hair_normal, is_hair[:, None]), dim=1)
    albedo = torch.lerp(albedo, hair, is_hair[:, None])
    gloss = torch.lerp(gloss, strands, is_hair)

    # What is near along the normal takes ambient light away, what is near along the light casts a shadow.
    occlusion = (head.nearest(p + n * 0.14) / 0.14).clamp(0.15, 1)
    shadow = torch.ones_like(occlusion)
    for reach in (0.12, 0.35):
        shadow = torch.minimum(shadow, 0.5 + 3.5 * head.nearest(p + n * 0.03 + light * reach, bumps=False) / reach)
    shadow = _smooth(shadow, 0.0, 1.0)

    wrap = tensor([0.42, 0.22, 0.15], p.device) * (1 - 0.6 * is_hair[:, None])  # red light travels through skin
    facing = (n @ light)[:, None]
    diffuse = ((facing + wrap) / (1 + wrap)).clamp_min(0) * (0.25 + 0.75 * shadow)[:, None]
    sky = (0.75 + 0.25 * n[:, 1]) * scene["ambient"] * (0.35 + 0.65 * occlusion)
    half = normalize(light + view, dim=1)
    sheen = (n * half).sum(1).clamp_min(0) ** 22 * gloss * shadow
    rim = (1 - (n * view).sum(1).clamp(0, 1)) ** 3 * 0.10 * (1 - is_hair)
    colour = tensor(scene["light_rgb"], p.device)
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
        strand = torch.sin(31 * angle + 2.2 * fall) + torch.sin(67 * angle - 3.1 * fall)
        self.strand = (strand + 0.7 * torch.sin(143 * angle + 5.0 * fall)) / 2.7
        colour = np.array(HAIR[person["hair_colour"]]) * (1 - a["grey"]) + np.array(GREY) * a["grey"]
        self.hair_rgb = colour**2.2

    def _cover(self, d: Tensor, soft: float = 0.0) -> Tensor:
        """1 where `d` (dm) is inside, 0 outside."""
        return (0.5 + d / (self.px + soft)).clamp(0, 1)

    def _line(self, d: Tensor, width: float) -> Tensor:
        width = max(width, 0.45 * self.px)  # thinner lines would break up
        return exp_(-((d / width) ** 2))

    def hair(self) -> tuple[Tensor, Tensor]:
        shade = (1 + 0.42 * self.strand + 0.15 * self.mottle).clamp_min(0.25)
        return tensor(self.hair_rgb, self.x.device) * shade[:, None], 0.05 + 0.12 * (0.5 + 0.5 * self.strand).clamp(
            0, 1
        )

    def skin(self) -> tuple[Tensor, Tensor]:
        a, x, y, side, front = self.a, self.x, self.y, self.side, self.front
        tone = float(self.person["skin_tone"]) * (len(SKIN) - 1)
        k = min(int(tone), len(SKIN) - 2)
        base = np.array(SKIN[k]) + (tone - k) * (np.array(SKIN[k + 1]) - np.array(SKIN[k]))
        self.base = base**2.2
        rgb = tensor(self.base, x.device).expand(len(x), 3) * (1 + 0.035 * self.mottle)[:, None]
        cheeks = exp_(-(((side - 0.38) / 0.2) ** 2) - ((y + 0.42) / 0.2) ** 2)
        nose = exp_(-((x / 0.12) ** 2) - ((y - a["nose_y"]) / 0.12) ** 2)
        redness = (0.30 + 0.20 * a["skin_redness"]) * front * (cheeks + nose)
        rgb = rgb * (1 - redness[:, None].clamp(0, 0.9) * tensor([0.0, 0.42, 0.36], x.device))
        rgb = self._brows(self._beard(self._age(rgb)))
        rgb, gloss = self._mouth(rgb, 0.05 + 0.05 * front)
        return self._clothes(self._eyes(self._nostrils(rgb)), gloss)

    def _age(self, rgb: Tensor) -> Tensor:
        a, x, y, side, s = self.a, self.x, self.y, self.side, self.a["stretch"]
        old, smile = a["age"], max(self.scene["smile"], 0.0)
        dark = torch.zeros_like(x)
        # Nasolabial fold: from the wing of the nose around the corner of the mouth.
        v = ((y - a["nose_y"]) / (a["mouth_y"] - 0.08 - a["nose_y"])).clamp(-0.2, 1.15)
        fold = side - (0.175 + (a["mouth_w"] - 0.10) * v.clamp_min(0) ** 1.1)
        upper = (0.50 * old + 0.16 * smile) * self._line(fold, 0.024) * _smooth(v, -0.1, 0.25)
        dark += upper * (1 - _smooth(v, 0.85, 1.15))
        # Marionette line: down from the corner of the mouth.
        w = ((a["mouth_y"] - y) / 0.25).clamp(0, 1)
        dark += 0.42 * old**2 * self._line(side - (a["mouth_w"] + 0.035 + 0.03 * w), 0.022) * torch.sin(3.14 * w)
        # Bag and ring under the eye.
        u = (side - a["eye_x"]) / 0.17
        bag = y + 0.115 + 0.035 * (1 - u * u) - 0.05
        dark += (0.06 + 0.40 * old) * self._line(bag + 0.03, 0.026) * (1 - _smooth(u.abs(), 0.7, 1.1))
        dark += 0.16 * old * exp_(-(u**2) - ((y + 0.09) / 0.05) ** 2)
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
        dark += 0.14 * old * exp_(-(((y + 1.02 * s) / 0.06) ** 2)) * _smooth(side, 0.05, 0.3)  # edge of the jaw
        keep = 1 - dark.clamp(0, 0.75) * self.front
        return rgb * keep[:, None] ** tensor([0.8, 1.05, 1.1], rgb.device)

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
        hair, grey = np.array(HAIR[self.person["hair_colour"]]), 0.6 * a["grey"]
        colour = (hair * 0.75) * (1 - grey) + grey * np.array(GREY) * 0.8
        return _mix(rgb, colour**2.2, 0.9 * amount)

    def _mouth(self, rgb: Tensor, gloss: Tensor) -> tuple[Tensor, Tensor]:
        a, lip = self.a, self.a["lip"]
        u = self.x / a["mouth_w"]
        arch = (1 - u * u).clamp_min(0)
        line = a["mouth_y"] + anatomy.mouth_bend(u.clamp(-1.2, 1.2), self.scene)
        gap = a["gap"] * arch
        above = self.y - line
        bow = 1 - 0.28 * exp_(-((u / 0.17) ** 2))
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
        cavity = _mix(torch.zeros_like(rgb) + tensor([0.05, 0.012, 0.012], rgb.device), (0.62, 0.58, 0.52), teeth)
        rgb = torch.lerp(rgb, cavity, mouth[:, None])
        seam = self._line(above.abs() - gap, 0.011) * (1 - _smooth(u.abs(), 0.95, 1.08)) * self.front
        rgb = rgb * (1 - 0.62 * seam[:, None])
        return rgb, gloss * (1 - mouth)

    def _nostrils(self, rgb: Tensor) -> Tensor:
        a = self.a
        d = ((self.side - 0.058 * a["nose"]) / 0.038) ** 2 + ((self.y - a["nose_y"] + 0.095 * a["nose"]) / 0.022) ** 2
        return rgb * (1 - 0.72 * exp_(-d) * _smooth(self.z, 0.7, 0.9))[:, None]

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
        iris = tensor(np.array(IRIS[self.person["eye_colour"]]) ** 2.2, rgb.device)
        ring = 0.55 + 0.75 * (r / iris_r).clamp(0, 1) - 0.75 * _smooth(r, 0.8 * iris_r, iris_r)
        white = tensor([0.80, 0.77, 0.74], rgb.device) - 0.06 * a["age"]
        eye = torch.lerp(white.expand_as(rgb), iris * ring[:, None], self._cover(iris_r - r)[:, None])
        eye = eye * (1 - self._cover(0.028 - r))[:, None]
        eye = eye * (0.42 + 0.58 * _smooth(up, 0.0, 0.05))[:, None]  # the upper lid's shadow
        spot = (dx * sign - gaze[0] - 0.024 * float(self.light[0].sign())) ** 2 + (self.y - 0.032 - gaze[1]) ** 2
        self.eye_colour = eye + (0.85 * self._cover(0.016 - spot.sqrt()))[:, None]
        lash = (0.72 + 0.25 * min(a["makeup"], 1.0)) * self._line(up - 0.004, 0.014 + 0.009 * a["makeup"])
        lash = lash * (u.abs() < 1.15) + 0.25 * self._line(down, 0.010) * (u.abs() < 1.0)
        crease = 0.38 * self._line(up + 0.042 - 0.010 * a["eyelid_droop"], 0.012) * (u.abs() < 1.05)
        inner = 0.20 * exp_(-(((dx + 0.17) / 0.06) ** 2) - ((self.y - 0.03) / 0.08) ** 2)
        dark = (lash * (1 - self.eye) + crease + inner).clamp(0, 0.92) * self.front
        self.eye = self.eye * (1 - 0.6 * lash.clamp(0, 1))
        shadow = 0.34 * a["makeup"] * exp_(-(u**2) - ((self.y - 0.10) / 0.05) ** 2) * self.front
        return rgb * (1 - dark)[:, None] * (1 - shadow)[:, None]

    def _clothes(self, rgb: Tensor, gloss: Tensor) -> tuple[Tensor, Tensor]:
        collar = -1.47 - (0.05 + 0.22 * self.scene["neckline"]) * exp_(-((self.x / 0.30) ** 2)) * (self.z > -0.2)
        collar = collar + 0.10 * _smooth(-self.z, 0.0, 0.4)
        worn = self._cover(collar - self.y, 0.01)
        cloth = tensor(self.scene["cloth"] ** 2.2, rgb.device)
        weave = 1 + 0.05 * torch.sin(60 * self.x) * torch.sin(60 * self.y)
        edge = 1 - 0.35 * self._line(collar - 0.05 - self.y, 0.012)
        return torch.lerp(rgb, cloth * (weave * edge)[:, None], worn[:, None]), gloss * (1 - worn)


def glasses(image: Tensor, a: Mapping, origin: Tensor, rays: Tensor, *, pixel_dm: float) -> None:
    """Draw frames in a plane just in front of the eyes, over what lies behind it."""
    along = (1.0 - origin[2]) / rays[:, 2]  # to the plane
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
