"""A population with known causes: sex, age and size shape the voice and part of the face."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

import numpy as np
import pandas as pd
import yaml

from s2f.errors import ParameterError

VOICE = (
    *("f0_hz", "f0_range_semitones", "vocal_tract_cm", "breathiness", "jitter_percent"),
    *("syllables_s", "tilt_db_octave"),
)
CAUSED = (
    *("jaw_width", "chin_size", "brow_ridge", "brow_thickness", "brow_height", "face_length"),
    *("cheek_fullness", "lip_fullness", "lip_colour", "nose_size", "eye_size", "eyelid_droop"),
    *("neck_width", "jowls", "wrinkles", "grey_hair", "hair_length", "hair_loss", "beard_density"),
)
INDEPENDENT = (
    *("skin_tone", "skin_redness", "hair_colour", "hair_volume", "fringe", "parting", "eye_colour"),
    *("eye_spacing", "eye_tilt", "brow_tilt", "nose_bridge", "mouth_width", "glasses", "beard_style"),
)


@cache
def causes() -> dict:
    """Means, deviations and correlations of the population, as `causes.yaml` has them with their sources."""
    return yaml.safe_load(resources.files(__package__).joinpath("causes.yaml").read_text(encoding="utf-8"))


def sample(n_identities: int, *, seed: int, leak: float = 0.0, prefix: str = "s") -> pd.DataFrame:
    """Draw people whose voices and faces share causes.

    Parameters
    ----------
    n_identities : int, how many people; half are women (one more woman if odd)
    seed : int
        Same seed, same people. Each trait has a stream of its own, so that another trait moves no other.
    leak : float
        Plants a link that must not be there: pitch rises by this many of its within-sex standard deviations for each
        standard deviation of the skin tone.
    prefix : str
        Of the names of the people. A manner of speaking hangs on the name, so people of two prefixes share none.

    Returns
    -------
    DataFrame
        One row a person: `identity` (the prefix and a number, "s0000" …), `gender`, `age_years`, `height_cm`,
        `bmi`; the names in `VOICE` in the units of their names; the names in `CAUSED` in within-sex standard
        deviations; the names in `INDEPENDENT`.

    Raises
    ------
    ParameterError
        `n_identities` is below 2, and a population needs both sexes; or correlations of a trait in `causes.yaml` leave
        it less than no variance of its own.
    """
    if n_identities < 2:
        raise ParameterError("n_identities", f"is {n_identities}", remedy="Ask for at least 2 people, one of each sex.")
    spec = causes()
    streams = {
        name: np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=tuple(name.encode())))
        for name in ("gender", "age_years", "height_cm", "bmi", *VOICE, *CAUSED, *INDEPENDENT)
    }
    male = streams["gender"].permutation(np.arange(n_identities) % 2).astype(bool)  # [n]
    people = {"identity": [f"{prefix}{i:04d}" for i in range(n_identities)], "gender": np.where(male, "m", "f")}
    low, high = spec["body"]["age_years"]["low"], spec["body"]["age_years"]["high"]
    people["age_years"] = streams["age_years"].uniform(low, high, n_identities)
    z = {"age": (people["age_years"] - (low + high) / 2) / ((high - low) / np.sqrt(12))}
    for name, short in (("height_cm", "height"), ("bmi", "bmi")):
        z[short] = np.clip(streams[name].standard_normal(n_identities), -2.5, 2.5)
        mean, sd = _of_sex(spec["body"][name], male=male)
        people[name] = mean + sd * z[short]
    own = {name: streams[name].standard_normal(n_identities) for name in (*VOICE, *CAUSED)}
    light, dark = (spec["independent"]["skin_tone"][k] for k in ("low", "high"))
    tone = streams["skin_tone"].uniform(light, dark, n_identities)
    leaked = leak * (tone - (light + dark) / 2) / ((dark - light) / np.sqrt(12))  # [n]
    for name in VOICE:
        entry = spec["voice"][name]
        within = _within_sex(name, z, entry["f"], entry["m"], male=male, own=own[name])
        mean, sd = _of_sex(entry, male=male)
        # Pitch varies by ratios: its sd is in semitones.
        value = mean * 2 ** (sd * (within + leaked) / 12) if name == "f0_hz" else mean + sd * within
        people[name] = np.clip(value, *entry["limits"])
    # What age and size leave open of the tract's length and of the pitch is anatomy, which the face shares.
    z |= {"tract": own["vocal_tract_cm"], "larynx": -own["f0_hz"]}
    for name in CAUSED:
        entry = spec["face"][name]
        within = _within_sex(name, z, entry, entry, male=male, own=own[name])
        people[name] = within + np.where(male, 0.5, -0.5) * entry["sex"]
    for name in INDEPENDENT:
        people[name] = tone if name == "skin_tone" else _draw(spec["independent"][name], tone=tone, rng=streams[name])
    return pd.DataFrame(people)


def _within_sex(name: str, z: Mapping, f: Mapping, m: Mapping, *, male: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Variance 1 within a sex, with the given correlations to the causes in `z`; `own` fills the rest. [n]"""
    for entry in (f, m):
        if (told := sum(entry[cause] ** 2 for cause in z)) > 1:
            shown = ", ".join(f"{cause} {entry[cause]:g}" for cause in z)
            problem = f"has correlations ({shown}) whose squares add up to {told:.2f}"
            raise ParameterError(f"causes.yaml: {name}", problem, remedy="They may add up to 1.")
    r = {cause: np.where(male, m[cause], f[cause]) for cause in z}
    noise = np.sqrt(1 - sum(value**2 for value in r.values()))
    return sum(r[cause] * z[cause] for cause in r) + noise * own


def _of_sex(entry: Mapping, *, male: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each person's sex. [n]"""
    m, f = entry["m"], entry["f"]
    return np.where(male, m["mean"], f["mean"]), np.where(male, m["sd"], f["sd"])


def _draw(entry: Mapping, *, tone: np.ndarray, rng) -> np.ndarray:
    """Values of one independent trait, in whichever of the forms of `causes.yaml` it is written. [n]"""
    n = len(tone)
    if "low" in entry:
        return rng.uniform(entry["low"], entry["high"], n)
    if "mean" in entry:
        return rng.normal(entry["mean"], entry["sd"], n)
    if "share" in entry:
        return rng.random(n) < entry["share"]
    if "light" in entry:
        light, dark = (rng.choice(list(entry[k]), p=list(entry[k].values()), size=n) for k in ("light", "dark"))
        return np.where(tone < 0.5, light, dark).astype(object)
    return rng.choice(list(entry), p=list(entry.values()), size=n).astype(object)
