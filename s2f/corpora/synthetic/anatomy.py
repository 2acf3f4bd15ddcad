"""What a person's traits do to a head: weights of the body model's targets, and shares that paint and hair read.

A trait keeps its size in standard deviations whatever it moves; `MOVES` says what one of them does.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import numpy as np

from s2f.corpora.synthetic import body, population

# Traits that shape a head and come from nothing else; colours and styles are not among them.
SHAPES = (
    *("skin_redness", "hair_volume", "fringe", "parting"),
    *("eye_spacing", "eye_tilt", "brow_tilt", "nose_bridge", "mouth_width"),
)
# Weights of targets for one standard deviation. Those with a dash at their end are bumps and stretches of `_OWN`.
MOVES: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "jaw_width": {"chin-bones-incr": 0.14, "jaw": 0.45},
        "chin_size": {"chin-prominent-incr": 0.14, "chin-height-incr": 0.12, "chin-width-incr": 0.12},
        "brow_ridge": {"ridge": 1.5},
        "brow_height": {"eyebrows-trans-up": 0.34},
        "face_length": {"length": 0.70},
        "cheek_fullness": {"cheek-volume-incr": 0.30, "head-fat-incr": 0.26, "cheek-inner-incr": 0.18},
        "nose_size": {"nose-volume-incr": 0.12, "nose-scale-horiz-incr": 0.18, "nose-scale-depth-incr": 0.16},
        "lip_fullness": {
            **{"mouth-upperlip-height-incr": 0.20, "mouth-lowerlip-height-incr": 0.20},
            **{"mouth-upperlip-volume-incr": 0.15, "mouth-lowerlip-volume-incr": 0.15},
        },
        "eye_size": {"eye-scale-incr": 0.12, "eye-height2-incr": 0.20},
        "eyelid_droop": {"eye-eyefold-up": -0.30, "eye-height2-incr": -0.14, "eye-bag-incr": 0.20},
        "neck_width": {"neck-scale-horiz-incr": 0.12, "neck": 0.30},
        "jowls": {"jowl": 1.3, "neck-double-incr": 0.20},
        "eye_spacing": {"eye-trans-out": 0.24},
        "eye_tilt": {"eye-corner1-up": 0.35, "eye-corner2-up": -0.25},
        "brow_tilt": {"eyebrows-angle-up": 0.25},
        "nose_bridge": {"nose-hump-incr": 0.25, "nose-curve-convex": 0.15, "nose-width1-incr": -0.12},
        "mouth_width": {"mouth-scale-horiz-incr": 0.24},
    }
)
# What of the traits is bone and flesh of either sex: in proportion they turn a head into a man's or a woman's.
_SEXED = (
    *("jaw_width", "chin_size", "brow_ridge", "face_length", "nose_size", "eye_size", "neck_width"),
    *("cheek_fullness", "lip_fullness"),
)
BEARD_KEPT = MappingProxyType({"shaven": 0.75, "stubble": 0.85, "moustache": 0.75, "full": 1.0})
# By how much an average face is unlike the body model's: a longer chin, more flesh.
USUAL = MappingProxyType(
    {"chin-height-incr": 0.12, "chin-jaw-drop-incr": 0.05, "head-fat-incr": 0.15, "eye-scale-incr": -0.18}
)
_FITS = 0.8
LIMIT = 3.2  # standard deviations: beyond, a trait would be a caricature


@cache
def _own(name: str) -> np.ndarray:
    """Offsets [V, 3] for one standard deviation of a shape that no sculptor made."""
    x, y, z = body.load().vertices.T
    side, up = np.abs(x), np.zeros_like(y)

    def near(*at: tuple[np.ndarray, float, float]) -> np.ndarray:
        return np.exp(-0.5 * sum(((value - centre) / width) ** 2 for value, centre, width in at))

    def smooth(value: np.ndarray, low: float, high: float) -> np.ndarray:
        share = np.clip((value - low) / (high - low), 0, 1)
        return share * share * (3 - 2 * share)

    face = smooth(z, -0.3, 0.3)
    if name == "ridge":  # the bone above the eyes
        bump = near((side, 0.24, 0.17), (y, 0.17, 0.07)) * smooth(z, 0.4, 0.7)
        return np.stack([up, -0.008 * bump, 0.022 * bump], axis=1)
    if name == "jaw":  # the jaw's angle, outwards
        bump = near((y, -0.72, 0.22), (z, 0.10, 0.35)) * smooth(side, 0.15, 0.5)
        return np.stack([0.040 * np.sign(x) * bump, up, up], axis=1)
    if name == "length":  # everything below the eyes
        down = 0.058 * np.clip(y, -1.15, 0) * smooth(z, -0.5, 0.3)
        return np.stack([up, down, up], axis=1)
    if name == "jowl":  # flesh that hangs beside the chin
        bump = near((side, 0.36, 0.12), (y, -0.86, 0.12)) * face
        return np.stack([0.020 * np.sign(x) * bump, -0.028 * bump, 0.016 * bump], axis=1)
    wide = near((y, -1.35, 0.30)) * 0.045  # the neck
    return np.stack([wide * x / 0.5, up, wide * (z + 0.2) / 0.5], axis=1)


OWN = ("ridge", "jaw", "length", "jowl", "neck")


def measures(person: Mapping) -> dict:
    """The traits, kept within what a head can be, and the shares of 1 that age, hair, beard and make-up follow."""
    t = {name: float(np.clip(person[name], -LIMIT, LIMIT)) for name in (*population.CAUSED, *SHAPES)}
    style = person["beard_style"]
    sizes = population.causes()["face"]
    sexed = {name: sizes[name]["sex"] for name in _SEXED}
    male = 2 * sum(size * t[name] for name, size in sexed.items()) / sum(s * s for s in sexed.values())
    # A beard and make-up show as far as they go with the rest of the face.
    beard = float(np.clip((t["beard_density"] + _FITS * male - 0.1) / 0.6, 0.0, 1.0))
    makeup = float(np.clip((t["lip_colour"] - _FITS * male + 0.1) / 0.8, 0.0, 1.3))
    bald = float(np.clip((t["hair_loss"] - 1.5) / 1.4, 0.0, 1.0))
    return t | {
        "age": float(np.clip((t["wrinkles"] + 1.2) / 3.2, 0.0, 1.15)),
        "grey": float(np.clip((t["grey_hair"] - 0.1) / 1.3, 0.0, 1.0)),
        "long": float(np.clip((t["hair_length"] - 0.1) / 0.5, 0.0, 1.35)) * (1 - 0.85 * bald),
        "bald": bald,
        "beard": beard * BEARD_KEPT[style],
        "moustache": beard * (1.0 if style == "moustache" else BEARD_KEPT[style]),
        "makeup": makeup,
        "male": male,
    }


def head(person: Mapping, a: Mapping) -> np.ndarray:
    """Vertices of a person's head at rest, from the measures of `measures`. float32 [V, 3]

    Beside the traits, a head has looks of its own: small weights of the targets that no trait moves, and a mix of
    origins that goes with the skin's tone. They follow from the name alone and have nothing to do with any voice.
    """
    model, weight = body.load(), dict(USUAL)
    weight["male"] = float(np.clip(1.15 * a["male"], -1.6, 1.6))
    share = (1 + np.clip(weight["male"], -1, 1)) / 2
    weight |= {"old-male": 0.55 * a["age"] * share, "old-female": 0.55 * a["age"] * (1 - share)}
    for trait, moves in MOVES.items():
        for target, each in moves.items():
            weight[target] = weight.get(target, 0.0) + each * a[trait]
    for target, value in _looks(person).items():
        weight[target] = weight.get(target, 0.0) + value
    own = {name: weight.pop(name) for name in OWN}
    vertices = model.moved(model.vertices, weight)
    return (vertices + sum(value * _own(name) for name, value in own.items())).astype(np.float32)


@cache
def _free() -> tuple[str, ...]:
    """Targets that shape a face and that no trait moves."""
    taken = {target for moves in MOVES.values() for target in moves} | {"male", *body.ORIGINS}
    folders = tuple(f"{part}-" for part in ("asym", "cheek", "chin", "ear", "eye", "forehead", "head", "mouth", "nose"))
    left_out = (
        "head-trans",
        "head-angle",
        "head-age",
        "head-scale",
        "nose-trans",
        "mouth-trans",
        "eye-trans",
        "eye-bag",
    )
    names = {name for name, _ in body.load().rows if name.startswith(folders) and not name.startswith(left_out)}
    return tuple(sorted(names - taken))


def _looks(person: Mapping) -> dict[str, float]:
    """Weights of what no trait moves, from the name."""
    rng = np.random.default_rng(np.random.SeedSequence([*f"face of {person['identity']}".encode()]))
    names = _free()
    looks = dict(zip(names, rng.uniform(-0.28, 0.28, len(names)).tolist(), strict=True))
    dark = (float(person["skin_tone"]) - 0.45) / 0.25  # -1 to 1
    pull = np.array([1.4 * dark, 0.0, -1.4 * dark]) + rng.normal(0.0, 0.7, 3)
    share = np.exp(pull) / np.exp(pull).sum()
    return looks | dict(zip(body.ORIGINS, share.tolist(), strict=True))


def expression(scene: Mapping) -> dict[str, float]:
    """Weights of facial actions for what a face does in one photograph."""
    smile, lids = scene["smile"], scene["lids"]
    return {
        "mouthSmile": 0.75 * max(smile, 0.0),
        "mouthUpperUp": 0.30 * max(smile, 0.0),
        "mouthLowerDown": 0.20 * max(smile, 0.0),
        "cheekSquint": 0.45 * max(smile, 0.0),
        "mouthFrown": 0.9 * max(-smile, 0.0),
        "jawOpen": 0.42 * scene["open"],
        "eyeBlink": 0.9 * max(1.08 - lids, 0.0),
        "eyeWide": 1.5 * max(lids - 1.08, 0.0),
    }
