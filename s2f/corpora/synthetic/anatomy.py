"""Measures of a head, and what it is put together from: ellipsoids, bumps and dents.

Lengths are in decimetres: x to the right of the image, y up, z towards the camera; the origin lies inside the
head, between the eyes' outer ends at their height. Heads are symmetric: a part at x stands for the one at -x too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from s2f.corpora.synthetic import population

# Traits that shape a head and come from nothing else; colours and styles are not among them.
SHAPES = (
    *("skin_redness", "hair_volume", "fringe", "parting"),
    *("eye_spacing", "eye_tilt", "brow_tilt", "nose_bridge", "mouth_width"),
)
BEARD_KEPT = {"shaven": 0.65, "stubble": 0.85, "moustache": 0.65, "full": 1.0}

Point = tuple[float, float, float]
Part = tuple[Point, Point, float]  # an ellipsoid's centre, radii, tilt (° about x); a bump's centre, widths, height


def measures(person: Mapping, scene: Mapping) -> dict:
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


def skin(a: Mapping) -> tuple[list[Part], list[Part]]:
    """Ellipsoids and bumps of the skin, from the measures of a head."""
    s, nose, jaw, cheek, chin, neck = (
        a[name] for name in ("stretch", "nose", "jaw_width", "cheek_fullness", "chin_size", "neck_width")
    )
    full = a["beard"] if a["beard"] > 0.7 else 0.0  # a full beard adds volume
    nose_y = a["nose_y"]
    ellipsoids: list[Part] = [
        ((0, 0.30, -0.12), (0.75, 0.86, 0.94), 0),  # cranium
        ((0, -0.20 * s, 0.20), (0.635 + 0.022 * cheek + 0.022 * jaw, 0.78 * s, 0.66), 0),  # face
        ((0, -0.68 * s, 0.24), (0.47 + 0.100 * jaw + 0.036 * cheek, 0.43 * s, 0.52), 0),  # jaw
        ((0, -0.97 * s, 0.56), (0.20 + 0.052 * chin, 0.15 + 0.020 * chin, 0.20 + 0.016 * chin), 0),
        ((0.385, -0.22 * s, 0.50), (0.225, 0.15, 0.26), 0),  # cheekbone
        ((0.36 + 0.015 * cheek, -0.55 * s, 0.46), (0.19 + 0.045 * cheek, 0.24, 0.25 + 0.022 * cheek), 0),
        ((0, -0.14 * s, 0.88 + 0.022 * a["nose_bridge"]), (0.075 + 0.008 * nose, 0.30 * s, 0.11 * nose), -16),
        ((0, nose_y, 1.00 + 0.08 * nose), (0.105 * nose, 0.095 * nose, 0.13 * nose), 0),  # nose tip
        ((0.115 * nose, nose_y - 0.035, 0.985), (0.072 * nose, 0.065 * nose, 0.11), 0),  # nose wing
        ((0.755, -0.08, -0.08), (0.055, 0.22 + 0.02 * a["age"], 0.16), -12),  # ear
        ((0, -1.20, -0.15), (0.415 + 0.095 * neck, 1.0, 0.44 + 0.03 * neck), 8),
        ((0, -2.02, -0.22), (1.35 + 0.11 * neck, 0.68, 0.55), 0),  # shoulders
    ]
    lip, y = a["lip"], a["mouth_y"]
    bumps: list[Part] = [
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
    return ellipsoids, bumps


def hair(a: Mapping) -> tuple[list[Part], list[Part]]:
    """Ellipsoids and bumps of the hair, from the measures of a head."""
    long, v = a["long"], 0.045 + 0.022 * max(a["hair_volume"], -1.2) + 0.045 * min(a["long"], 1.0)
    v *= 1 - 0.8 * a["bald"]
    end = 0.05 - 1.25 * long  # height of the hair's ends
    ellipsoids: list[Part] = [
        ((0, 0.30 - 0.20 * a["bald"], -0.14 - 0.16 * a["bald"]), (0.76 + v, 0.87 + 1.4 * v, 0.95 + v), 0),
        ((0, 0.5 * (0.5 + end), -0.42), (0.62 + 0.16 * min(long, 1.0), 0.5 * (0.6 - end), 0.36), 0),
    ]
    if long > 0:
        reach = 0.12 + 0.11 * min(long, 1.0) + 0.02 * a["hair_volume"]
        ellipsoids += [
            ((0.68, 0.5 * (0.62 + end), -0.02), (reach, 0.5 * (0.85 - end), 0.36), 4),
            ((0.70, 0.5 * (0.2 + end), 0.02), (reach * 0.95, 0.5 * (0.35 - end), 0.26), -4),
        ]
    return ellipsoids, [((0.8, -0.5, 0.1), (0.25, 0.2, 0.5), 0.03 * long)]  # a wave at the ends


def mouth_bend(u, scene: Mapping):
    """How far a point of the mouth line, u = -1 to 1, lies above the mouth's height."""
    return scene["smile"] * 0.06 * (u * u - 0.35)
