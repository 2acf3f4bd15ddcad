"""Many faces of one voice: whether they are spread as people are, and how much of a face the voice decides.

One recording of each person is enough. What is compared are draws for it and photographs of the person, read alike.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from s2f import files, seeding
from s2f.errors import MetricError, RunError
from s2f.evaluation import attributes, measured
from s2f.evaluation.attributes import Read
from s2f.evaluation.face_readers import Reader
from s2f.evaluation.subject import Subject
from s2f.metrics import bootstrap, calibration, energy, matching, pairs, variation
from s2f.metrics.bootstrap import Estimate, Statistic
from s2f.networks.inference import Model
from s2f.networks.readers import Readers
from s2f.settings import Measure
from s2f.training import data

VERSION, FILE = 1, "draws.json"
NO_SAMPLER = "this recipe draws one face for one voice"
NO_ATTRIBUTES = "nothing but identity and sex is read from the faces of this corpus"
NOT_LEGIBLE = "no attribute can be told from the photographs"
FRAMES = ("energy", "coverage", "ranks", "tarp", "shares")  # of `Spread`
LEVELS = (0.5, 0.8, 0.95)  # of central intervals
TARP_LEVELS = tuple(k / 10 for k in range(1, 10))
N_BINS = 10  # of a rank histogram
N_REFERENCES = 16  # points of TARP for each photograph
N_AT_ONCE = 2048  # faces drawn and read at a time
GROUPS = MappingProxyType({"overall": None, "women": "f", "men": "m"})
NEIGHBOURS = MappingProxyType(
    {
        "draws": "draws for the voice",
        "sex_alone": "draws for any voices of the sex",
        "typical": "one face, the most typical draw",
        "shuffled_voice": "draws for everyone else's voices",
        "shuffled_within_sex": "draws for others' voices of the sex",
        "photographs": "another photo of the person",
    }
)


@dataclass(frozen=True)
class People:
    """Whom draws are compared with.

    Attributes
    ----------
    genders : ndarray of "f", "m" or None [n]
    photos : Read [k], of their photographs
    codes : ndarray, int [k], whose photograph each is
    columns : sequence of str [C], what the values that are read are called
    legible : ndarray, bool [C], which of them can be told from a photograph
    """

    genders: np.ndarray
    photos: Read
    codes: np.ndarray
    columns: Sequence[str]
    legible: np.ndarray

    @property
    def strata(self) -> np.ndarray:
        """Groups within which people are compared: the sexes, or everyone where nobody's is known."""
        known = [isinstance(gender, str) for gender in self.genders]
        return self.genders if any(known) else np.full(len(self.genders), "all", object)


@dataclass(frozen=True)
class Many:
    """What was read from many draws for one recording of each person.

    Attributes
    ----------
    own : Read [n, m], of draws for the recording
    typical : Read [n, 1], of the most typical one
    of_the_sex : Read [n, m], optional, of draws for random training voices of the person's sex
    """

    own: Read
    typical: Read
    of_the_sex: Read | None = None


@dataclass(frozen=True)
class Spread:
    """How draws are spread, beside people. A frame has no rows where `reasons` says why.

    Attributes
    ----------
    n_people, n_draws : int
    energy : DataFrame
        Columns who (of `NEIGHBOURS`), value, low, high, and the paired difference from the draws' own, minus_value,
        minus_low, minus_high; a row a set that is there.
    coverage : DataFrame
        Columns group, attribute, level, value, low, high: how many photographs the central interval of the draws holds.
        Bounds hold for all attributes of a group together; attribute "mean" is their average, with its own.
    ranks : DataFrame, attribute, deviation, expected, p_value, and the heights of the bars, bar_0 …; flat ones are 1
    tarp : DataFrame, level, value, low, high: expected coverage in the space of all attributes
    shares : DataFrame
        Variances within a sex, divided by that among photographs: attribute, and value, low and high of shared_,
        made_up_ and total_; bounds of each hold for all attributes together.
    reasons : mapping of str to str, why there are no rows, by the name of the part
    """

    n_people: int
    n_draws: int
    energy: pd.DataFrame
    coverage: pd.DataFrame
    ranks: pd.DataFrame
    tarp: pd.DataFrame
    shares: pd.DataFrame
    reasons: Mapping[str, str]


# Drawing


def drawn(
    model: Model,
    embeddings: torch.Tensor,
    n: int,
    *,
    seed: int,
    read: Callable[[np.ndarray], Read],
    desc: str = "draws",
) -> Read:
    """What is read from `n` draws for each voice embedding float [B, dim]: [B, n]. Few are held at a time."""
    parts, block = [], max(1, N_AT_ONCE // n)
    with tqdm(total=len(embeddings), desc=desc, unit="voice", mininterval=1.0) as bar:
        for start in range(0, len(embeddings), block):
            some = embeddings[start : start + block]
            own_seed = int(np.random.SeedSequence([seed, start]).generate_state(1)[0])  # other noise for every block
            faces = model.draws(some, n, seed=own_seed)
            parts.append(read(faces.reshape(-1, *faces.shape[2:])).reshape(len(some), n))
            bar.update(len(some))
    return Read(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("embeddings", "values")))


def many(
    model: Model,
    embeddings: torch.Tensor,
    n: int,
    *,
    genders: np.ndarray,
    training: tuple[torch.Tensor, np.ndarray],
    seed: int,
    read: Callable[[np.ndarray], Read],
) -> Many:
    """Draw, and read, all that is compared.

    Parameters
    ----------
    embeddings : Tensor, float [n_people, dim], of one recording of each person
    n : int, draws of each
    genders : ndarray of "f", "m" or None [n_people]
    training : (Tensor, ndarray), embeddings float [t, dim] of training recordings and the speakers' sexes
    """
    own = drawn(model, embeddings, n, seed=seed, read=read)
    typical = read(model.typical(embeddings)).reshape(len(embeddings), 1)
    rng, (voices, sexes) = seeding.stream(seed, "subsets"), training
    pools: dict[str, Read] = {}
    for sex in sorted({sex for sex in genders if isinstance(sex, str)}):
        rows = np.flatnonzero(sexes == sex)
        if len(rows):
            some = voices[torch.from_numpy(rng.choice(rows, 8 * n))]  # draws that people are given parts of
            pools[sex] = drawn(model, some, 1, seed=seed + 1, read=read, desc="draws for any voice").reshape(8 * n)
    if {sex for sex in genders} != set(pools):
        return Many(own, typical)
    parts = [pools[sex].take(rng.permutation(8 * n)[:n]) for sex in genders]
    together = (np.stack([getattr(part, name) for part in parts]) for name in ("embeddings", "values"))
    return Many(own, typical, Read(*together))


# Measuring


def measure(people: People, found: Many, *, rng: np.random.Generator, n_resamples: int) -> Spread:
    """How the draws are spread, with 95 % intervals of `n_resamples` bootstrap samples of people.

    A part that too few people allow has no rows, and a reason.

    Raises
    ------
    MetricError: fewer than two people have a photograph
    """
    n, m = found.own.embeddings.shape[:2]
    if (n_pictured := len(np.unique(people.codes))) < 2:
        problem = f"are compared with photographs of {n_pictured} people"
        raise MetricError("draws", problem, remedy="Measure on at least 2 people.", reason="too_few")
    resamples, places = rng.spawn(2)
    counts = bootstrap.resamples(n, rng=resamples, n_resamples=n_resamples)
    reason = None
    if not len(people.columns):
        reason = NO_ATTRIBUTES
    elif not people.legible.any():
        reason = NOT_LEGIBLE
    parts, reasons = dict.fromkeys(FRAMES[1:], pd.DataFrame()), dict[str, str]()
    if reason is None:
        own = _Legible.of(people, found)
        least = calibration.places(own.draws[own.codes], own.truth)
        functions: dict[str, Callable[[], pd.DataFrame]] = {
            "coverage": lambda: _coverage(people, own, least, counts),
            "ranks": lambda: _ranks(own, least, counts),
            "tarp": lambda: _tarp(own, counts, rng=places),
            "shares": lambda: _shares(people, own, counts),
        }
        for name, function in functions.items():
            part = bootstrap.unless_too_few(function)
            if isinstance(part, str):
                reasons[name] = part
            else:
                parts[name] = part
        if missing := [level for level in LEVELS if m < calibration.n_least(level)]:
            said = ", ".join(f"{100 * level:.0f} %" for level in missing)
            reasons["levels"] = f"{m} draws are too few for intervals of {said}"
    else:
        reasons = dict.fromkeys(parts, reason)
    if found.of_the_sex is None:
        reasons["sex_alone"] = "the sex of some people is unknown, or nobody of it was trained on"
    if np.bincount(people.codes, minlength=n).max(initial=0) < 2:
        reasons["photographs"] = "no person has two photographs"
    return Spread(n, m, _energy(people, found, counts, reasons), **parts, reasons=reasons)


def _energy(people: People, found: Many, counts: np.ndarray, reasons: dict[str, str]) -> pd.DataFrame:
    n, photos = len(people.genders), people.photos.embeddings

    def scores(draws: Read) -> np.ndarray:
        return energy.score_matrix(draws.embeddings, np.arange(n), photos, people.codes, n_identities=n)

    own = scores(found.own)
    everyone, alike = ~np.eye(n, dtype=bool) & np.isfinite(own), matching.same(people.genders)
    of_person: dict[str, np.ndarray] = {"draws": np.diag(own), "typical": np.diag(scores(found.typical))}
    if found.of_the_sex is not None:
        of_person["sex_alone"] = np.diag(scores(found.of_the_sex))
    of_person["photographs"] = energy.between_photographs(photos, people.codes, n_identities=n)
    statistics = {who: (bootstrap.mean(values), np.isfinite(values)) for who, values in of_person.items()}
    for who, allowed in (("shuffled_voice", everyone), ("shuffled_within_sex", everyone & alike)):
        statistics[who] = bootstrap.pair_mean(own, allowed), allowed.any(1)
    ours, have = statistics["draws"]

    def record(who: str) -> dict[str, Any]:
        statistic, theirs = statistics[who]
        both = have & theirs
        minus = bootstrap.within(bootstrap.difference(statistic, ours), both)
        value = _parts(bootstrap.estimate(statistic, counts, people=theirs))
        return {"who": who, **value, **_parts(bootstrap.estimate(minus, counts, people=both), "minus_")}

    records = []
    for who in NEIGHBOURS:
        if who in statistics and statistics[who][1].sum() > 1:
            one = bootstrap.unless_too_few(functools.partial(record, who))
            if isinstance(one, str):
                reasons[who] = one
            else:
                records.append(one)
    return pd.DataFrame(records)


@dataclass(frozen=True)
class _Legible:
    """The columns that can be told from a photograph: of draws [n, m, L], of photographs [k, L], whose they are [k]."""

    names: list[str]
    draws: np.ndarray
    truth: np.ndarray
    codes: np.ndarray
    n: int

    @classmethod
    def of(cls, people: People, found: Many) -> _Legible:
        names = [name for name, legible in zip(people.columns, people.legible, strict=True) if legible]
        draws, truth = (part.values[..., people.legible] for part in (found.own, people.photos))
        return cls(names, draws, truth, people.codes, len(people.genders))

    def of_people(self, values: np.ndarray) -> np.ndarray:
        """Means within each person [n, …] of values of photographs [k, …]; NaN for nobody."""
        flat = pairs.by_identity(values.reshape(len(values), -1), self.codes, n_identities=self.n)
        return flat.reshape(self.n, *values.shape[1:])


def _coverage(people: People, own: _Legible, places: calibration.Places, counts: np.ndarray) -> pd.DataFrame:
    pictured, records = np.isin(np.arange(own.n), own.codes), []
    for level in (level for level in LEVELS if places.n_draws >= calibration.n_least(level)):
        held = own.of_people(places.covered(level))  # [n, L]
        for group, sex in GROUPS.items():
            members = pictured & (np.ones(own.n, bool) if sex is None else people.genders == sex)
            if members.sum() < 2:
                continue
            statistics = [bootstrap.within(bootstrap.mean(column), members) for column in held.T]
            each = bootstrap.simultaneous(statistics, counts, people=members)
            mean = bootstrap.within(bootstrap.mean(held.mean(1)), members)
            said = {**dict(zip(own.names, each, strict=True)), "mean": bootstrap.estimate(mean, counts, people=members)}
            about = {"group": group, "level": level}
            records += [{**about, "attribute": name, **_parts(estimate)} for name, estimate in said.items()]
    table = pd.DataFrame(records, columns=["group", "attribute", "level", "value", "low", "high"])
    table[["low", "high"]] = table[["low", "high"]].clip(0, 1)  # bounds of all attributes together are symmetric
    return table


def _ranks(own: _Legible, places: calibration.Places, counts: np.ndarray) -> pd.DataFrame:
    shares = own.of_people(places.histogram(N_BINS))  # [n, L, N_BINS]
    known = np.isfinite(shares).all((1, 2))
    records = []
    for column, name in enumerate(own.names):
        flat = vars(calibration.flatness(shares[:, column], counts))
        heights = N_BINS * shares[known, column].mean(0)
        records.append({"attribute": name, **flat, **{f"bar_{k}": float(height) for k, height in enumerate(heights)}})
    return pd.DataFrame(records)


def _tarp(own: _Legible, counts: np.ndarray, *, rng: np.random.Generator) -> pd.DataFrame:
    """References are photographs of others, drawn by `rng`; every attribute in deviations among photographs."""
    scale = np.maximum(own.truth.std(0), 1e-9)
    picks = np.empty((len(own.codes), N_REFERENCES), int)
    for row, code in enumerate(own.codes):
        picks[row] = rng.choice(np.flatnonzero(own.codes != code), N_REFERENCES)
    found = calibration.tarp(own.draws[own.codes] / scale, own.truth / scale, own.truth[picks] / scale)
    pictured = np.isin(np.arange(own.n), own.codes)
    statistics = [bootstrap.mean(own.of_people(found.below(level).mean(1))) for level in TARP_LEVELS]
    each = bootstrap.simultaneous(statistics, counts, people=pictured)
    records = zip(TARP_LEVELS, each, strict=True)
    return pd.DataFrame([{"level": level, **_parts(estimate)} for level, estimate in records])


def _shares(people: People, own: _Legible, counts: np.ndarray) -> pd.DataFrame:
    """Of every attribute, all columns of a category together."""
    attributes = list(dict.fromkeys(name.split("=")[0] for name in own.names))
    everyone, voices = np.ones(own.n, bool), np.arange(own.n)
    found: dict[str, list[Statistic]] = {"shared": [], "made_up": [], "total": []}
    for attribute in attributes:
        of = [k for k, name in enumerate(own.names) if name.split("=")[0] == attribute]
        shared, made_up = (
            _sum(each)
            for each in zip(*(variation.parts(own.draws[..., k], voices, people.strata) for k in of), strict=True)
        )
        real = _sum([variation.variance(own.truth[:, k], own.codes, people.strata) for k in of])
        ratios = shared, made_up, _sum([shared, made_up])
        for statistics, part in zip(found.values(), ratios, strict=True):
            statistics.append(bootstrap.ratio(part, real))
    table = pd.DataFrame({"attribute": attributes})
    for name, statistics in found.items():
        each = bootstrap.simultaneous(statistics, counts, people=everyone)
        table = table.join(pd.DataFrame([_parts(estimate, f"{name}_") for estimate in each]))
    return table


def _sum(statistics: Sequence[Statistic]) -> Statistic:
    return lambda counts: np.sum([statistic(counts) for statistic in statistics], axis=0)


def _parts(estimate: Estimate, prefix: str = "") -> dict[str, float]:
    return {f"{prefix}{name}": value for name, value in vars(estimate).items()}


def of_variant(subject: Subject, m: Measure, people: pd.DataFrame | None) -> Spread | str:
    """How the draws for test people are spread, whose first recording is heard; why it is not measured.

    `people` are the people of a synthetic corpus, whose attributes its readers tell.
    """
    if subject.model.sampler is None:
        return NO_SAMPLER
    held_out, reader = subject.held_out, subject.reader
    voices = held_out.voices.drop_duplicates("identity").sort_values("identity")
    photos = held_out.photos[held_out.photos["identity"].isin(held_out.identities)]
    pixels = np.asarray(subject.store.faces[photos["row"].to_numpy()])
    genders = voices["gender"].to_numpy(object)
    columns, legible = [], np.zeros(0, bool)
    if isinstance(reader, Readers) and people is not None:
        read_faces = functools.partial(attributes.read, reader)
        seen, codes = read_faces(pixels), held_out.codes(photos)
        means = pairs.by_identity(seen.values, codes, n_identities=len(voices))
        columns = attributes.columns()
        legible = attributes.legible(means, attributes.targets(people.set_index("identity").loc[held_out.identities]))
        legible &= ~attributes.asked().by_auc[attributes.asked().of]  # the sex has a metric of its own
    else:
        read_faces = functools.partial(_identity, reader)
        seen, codes = _identity(subject.of_photos, pixels), held_out.codes(photos)
    known = data.select(subject.store, split="train", gender=subject.gender).voices
    found = many(
        subject.model,
        data.embeddings(subject.voice, voices),
        m.n_draws,
        genders=genders,
        training=(data.embeddings(subject.voice, known), known["gender"].to_numpy(object)),
        seed=subject.seed,
        read=read_faces,
    )
    rng = seeding.stream(subject.seed, "bootstrap")
    people = People(genders, seen, codes, columns, legible)
    return bootstrap.unless_too_few(lambda: measure(people, found, rng=rng, n_resamples=m.n_bootstrap))


def _identity(reader: Reader, faces: np.ndarray) -> Read:
    """What a reader of identity alone reads."""
    return Read(reader.embed(faces), np.zeros((len(faces), 0)))


# What is left


def write(found: Spread | str, folder: Path) -> None:
    """Write ``draws.json``: the frames as records, or why there are none."""
    content: dict[str, Any] = {"version": VERSION}
    if isinstance(found, str):
        content["reason"] = found
    else:
        for field in fields(found):
            part = getattr(found, field.name)
            content[field.name] = _records(part) if isinstance(part, pd.DataFrame) else part
    files.write_json(folder / FILE, content)


def read(folder: Path) -> Spread | str:
    """What `write` wrote.

    Raises
    ------
    RunError: missing, damaged or of another version
    """
    path, remedy = folder / FILE, measured.again(folder)
    content = files.read_versioned(path, version=VERSION, remedy=remedy, error=RunError)
    if "reason" in content:
        return str(content["reason"])
    try:
        frames = {name: pd.DataFrame(content[name]) for name in FRAMES}
        return Spread(content["n_people"], content["n_draws"], **frames, reasons=content["reasons"])
    except (KeyError, ValueError) as problem:
        raise RunError(path, f"is of another form ({problem})", remedy=remedy, reason="format") from None


def _records(frame: pd.DataFrame) -> list[dict]:
    """Rows as JSON has them: what does not apply is null."""
    rows = frame.to_dict("records")
    return [{k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()} for row in rows]
