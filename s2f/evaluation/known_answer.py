"""The study checked against itself: what the voice causes must be recoverable, what it does not cause must not be.

The synthetic population knows the causes. People are made for this alone, of whom no network has seen anything. Of
each of their attributes it is measured how much of it lies in the true parameters of the voice (the ceiling), in the
voice embedding, and in the face that is drawn; beside them what the readers get from real photographs.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from threadpoolctl import threadpool_limits  # comes with scikit-learn

from s2f import files, seeding
from s2f.corpora import corpus
from s2f.corpora.synthetic import build, population
from s2f.evaluation import attributes, draws
from s2f.evaluation.attributes import asked, targets
from s2f.evaluation.draws import Spread
from s2f.evaluation.measured import opened
from s2f.features import pack, preprocessing, store
from s2f.metrics import pairs, recovery
from s2f.metrics.recovery import Level
from s2f.networks import inference
from s2f.networks.models import VoiceEmbedding
from s2f.networks.readers import Readers
from s2f.study import runs, stages
from s2f.study.runs import Study
from s2f.training import data, tracks

VERSION = 1  # of answer.json and pooled.json
PREFIX, LEAKED_PREFIX = "m", "l"  # of their names; a manner of speaking hangs on the name, so none is shared
N_FREE = 20_000  # people without voices or faces, to fit the ceiling on
N_FOLDS = 10
N_LEAKED, LEAKED_PX = 150, 64  # people of the planted leak, and the side of their photographs, which nobody uses
MODES = ("overall", "within sex")
LEVELS = ("ceiling", "embedding", "face", "photographs")
DRAWS = "draws"  # one more level, between face and photographs, where many faces of one voice can be drawn
UNKNOWN = "The answer is not known here: only the synthetic corpus says what causes what."


@dataclass(frozen=True)
class Measured:
    """What one run made of the people, whose truth is the same in every run.

    Attributes
    ----------
    identities : ndarray of str [n]
    truth : dict of str to ndarray, float [n, C]
        By mode; within sex each sex has mean 0, and numbers have standard deviation 1.
    levels : dict of (str, str) to Level, by mode and level
    spread : Spread or str, of many draws for one recording of each person; why there are none
    """

    identities: np.ndarray
    truth: dict[str, np.ndarray]
    levels: dict[tuple[str, str], Level]
    spread: Spread | str = draws.NO_SAMPLER

    @property
    def names(self) -> list[str]:
        """Its levels, in order."""
        return [name for name in (*LEVELS[:3], DRAWS, LEVELS[3]) if ("overall", name) in self.levels]


@dataclass(frozen=True)
class Answer:
    """The check's table, and what it was made from.

    Attributes
    ----------
    table : DataFrame, `mode` and the columns of `s2f.metrics.recovery.verdicts`
    n_people : int
    seeds : tuple of int, of the runs that are averaged
    """

    table: pd.DataFrame
    n_people: int
    seeds: tuple[int, ...]


# Measuring


def measure(study: Study) -> Measured | None:
    """Make the people, or find them, and measure the general variant of a run on them; None without causes.

    Raises
    ------
    RunError: an input of the run is not made yet
    """
    if study.params.corpus.kind != "synthetic":
        return None
    a = study.params.answer
    model = inference.load(study.of("general").read("model"))
    readers = Readers.load(study.read("measure"))
    people, found, root = people_for(
        study,
        leak=study.params.corpus.leak,
        prefix=PREFIX,
        n=a.n_identities,
        n_recordings=a.n_recordings,
        n_photos=a.n_photos,
        size_px=study.params.corpus.size_px,
    )
    names = people["identity"].to_numpy(str)
    vectors = embeddings(study, model, found, root)  # [n_recordings, d]
    drawn = model.draws(torch.from_numpy(vectors), seed=study.seed)[:, 0]
    photos = attributes.read(readers, np.asarray(found.faces))
    readings = {
        "face": _means(attributes.read(readers, drawn).values, found.voices(), names),
        "photographs": _means(photos.values, found.photos(), names),
    }
    many = None
    if model.sampler is not None:
        many = _many(study, model, torch.from_numpy(vectors), found.voices(), people, readers)
        readings[DRAWS] = many.own.values.mean(1)
    truth, levels = _levels(
        study, people, leak=study.params.corpus.leak, embedded=_means(vectors, found.voices(), names), readings=readings
    )
    if many is None:
        return Measured(names, truth, levels)
    legible = attributes.legible(readings["photographs"], targets(people)) & ~asked().by_auc[asked().of]
    codes = np.searchsorted(names, found.photos()["identity"].to_numpy(str))
    genders = people["gender"].to_numpy(object)
    spread = draws.measure(
        draws.People(genders, photos, codes, attributes.columns(), legible),
        many,
        rng=seeding.stream(made_seed(study), "bootstrap"),
        n_resamples=study.params.measure.n_bootstrap,
    )
    return Measured(names, truth, levels, spread)


def _many(
    study: Study,
    model: inference.Model,
    vectors: torch.Tensor,
    voices: pd.DataFrame,
    people: pd.DataFrame,
    readers: Readers,
) -> draws.Many:
    """Draws for the first recording of each of the people, who are sorted as their names are."""
    first = voices.reset_index(names="at").drop_duplicates("identity").sort_values("identity")["at"].to_numpy()
    return draws.many(
        model,
        vectors[torch.from_numpy(first)],
        study.params.measure.n_draws,
        genders=people["gender"].to_numpy(object),
        training=trained_on(study),
        seed=study.seed,
        read=functools.partial(attributes.read, readers),
    )


def trained_on(study: Study) -> tuple[torch.Tensor, np.ndarray]:
    """Embeddings float [t, dim] of the recordings that General was trained on, and the sexes of who speaks."""
    known = data.select(store.Store.open(study.read("store")), split="train").voices
    return data.embeddings(study.read("voice"), known), known["gender"].to_numpy(object)


def people_for(
    study: Study, *, leak: float, prefix: str, n: int, n_recordings: int, n_photos: int, size_px: int
) -> tuple[pd.DataFrame, store.Store, Path]:
    """People, sorted by name, what is stored of their files, and where those start. Made once, shared by runs."""
    c = study.params.corpus
    sizes = build.Sizes(n, n * n_recordings, n * n_photos, c.min_s, c.max_s, size_px, made_seed(study), leak)
    root = corpus.synthetic_folder(study.root / c.root, sizes, prefix=prefix)
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(root.with_suffix(".lock")):  # runs of several seeds may come at the same time
        manifest = build.build(root, sizes, n_workers=study.n_workers, prefix=prefix)
        pack.build(
            manifest,
            root / "store",
            root=root,
            settings=preprocessing.settings(study),
            n_workers=study.n_workers,
            max_rejected=study.params.store.max_rejected,
        )
        found = store.Store.open(root / "store")  # of these settings, whatever others make of it later
    people = pd.read_parquet(root / "people.parquet").set_index("identity")
    people = people.loc[np.unique(found.voices()["identity"].to_numpy(str))].reset_index()
    return people, found, root


def made_seed(study: Study) -> int:
    """Seed of the people who are made for measuring; the same for every seed of a run."""
    return study.params.corpus.seed + study.params.answer.offset


def embeddings(study: Study, model: inference.Model, found: store.Store, root: Path) -> np.ndarray:
    """Unit embeddings float32 [n_recordings, d], as the run's voice tracks have them."""
    if model.architecture.encoder == "ge2e":
        from s2f.networks import ge2e

        paths = [root / path for path in found.voices()["path"]]
        rows, offsets = ge2e.tracks(paths, n_workers=study.n_workers)
    else:
        network = model.voice_embedding
        assert isinstance(network, VoiceEmbedding)  # of every other encoder
        rows, offsets = tracks.compute(network, found.mel, n_recordings=len(found.voices()), device=study.device)
    whole = tracks.Tracks(rows, offsets, np.arange(len(offsets) - 1), device="cpu").whole()
    return torch.nn.functional.normalize(whole, dim=1).numpy()


def _means(values: np.ndarray, rows: pd.DataFrame, names: np.ndarray) -> np.ndarray:
    """Means [n, k] over each person of values [m, k], whose people are those of `rows` of the index."""
    return pairs.by_identity(values, np.searchsorted(names, rows["identity"].to_numpy(str)), n_identities=len(names))


# Targets


def within_sex(values: np.ndarray, female: np.ndarray) -> np.ndarray:
    """Values [n, k] minus the mean of the person's sex, over the standard deviation in it."""
    out = np.array(values, float)
    for own in (female, ~female):
        deviation = out[own].std(0)
        out[own] = (out[own] - out[own].mean(0)) / np.where(deviation > 1e-9, deviation, 1.0)
    return out


# Levels


def best_predictions(free: pd.DataFrame, people: pd.DataFrame) -> dict[str, np.ndarray]:
    """Best predictions of the targets of people from their voices' true parameters, [n, C] by mode.

    Parameters
    ----------
    free : DataFrame, many other people of the same population, to fit on
    people : DataFrame
    """
    wanted, female = targets(free), (free["gender"] == "f").to_numpy()
    by_sex, p_female = recovery.conditional_mean(_voice(free), wanted, female, at=_voice(people))
    p = p_female[:, None]  # [n, 1]
    standard = []
    for said, own in zip(by_sex, (female, ~female), strict=True):
        deviation = wanted[own].std(0)
        standard.append((said - wanted[own].mean(0)) / np.where(deviation > 1e-9, deviation, 1.0))
    is_female = (people["gender"] == "f").to_numpy()[:, None]
    return {"overall": p * by_sex[0] + (1 - p) * by_sex[1], "within sex": np.where(is_female, *standard)}


def _voice(people: pd.DataFrame) -> np.ndarray:
    """True parameters of the voice, [n, 7]; pitch by its logarithm, as it varies by ratios."""
    values = people[list(population.VOICE)].to_numpy(float)
    values[:, 0] = np.log(values[:, 0])
    return values


def _levels(
    study: Study, people: pd.DataFrame, *, leak: float, embedded: np.ndarray, readings: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[tuple[str, str], Level]]:
    """Truth and levels in every mode; folds and permutations are the same in all runs of these people."""
    attributes_, seed = asked(), made_seed(study)
    female = (people["gender"] == "f").to_numpy()
    folds = recovery.fold_numbers(len(people), n_folds=N_FOLDS, rng=seeding.stream(seed, "split"))
    best = best_predictions(population.sample(N_FREE, seed=seed + 1, leak=leak, prefix="x"), people)
    truth, levels = {}, {}
    for mode in MODES:
        given = within_sex if mode == "within sex" else lambda values, female: values
        truth[mode] = given(targets(people), female)
        predictors: dict[str, recovery.Predictor] = {
            "ceiling": recovery.fixed(best[mode]),
            "embedding": recovery.Ridge(given(embedded, female), folds),
        }
        as_it_is = attributes_.by_auc[attributes_.of]
        for name, read in readings.items():
            predictors[name] = recovery.Line(given(read, female), folds, as_it_is=as_it_is)
        orders = recovery.permutations(
            female if mode == "within sex" else np.zeros(len(people)),
            n=study.params.answer.n_permutations,
            rng=seeding.stream(seed, "bootstrap"),
        )
        with threadpool_limits(1):  # many small products, on which threads wait for one another
            for name, predictor in predictors.items():
                levels[mode, name] = recovery.level(predictor, truth[mode], attributes_, orders=orders)
    return truth, levels


# What draws share, and what they make up


def with_causes(measured: Measured | None, answer: Answer | None) -> Measured | None:
    """What draws share and make up, beside what the voice tells: what `recovery.sharing` judges them by.

    Shares are within a sex, so attributes that photographs do not show within a sex are left out: of these, readings
    say nothing.

    Returns
    -------
    Measured
        The same with the columns caused, ceiling (R² within a sex) and in_voice in `spread.shares`.
    """
    if measured is None or answer is None or isinstance(measured.spread, str) or measured.spread.shares.empty:
        return measured
    shares, table = measured.spread.shares, answer.table[answer.table["mode"] == "within sex"]
    faces = table[(table["level"] == "face") & table["verdict"].isin((recovery.NOT_LEGIBLE, recovery.NOT_READ))]
    shares = shares[~shares["attribute"].isin(faces["attribute"])].reset_index(drop=True)
    if shares.empty:
        reasons = {**measured.spread.reasons, "shares": "no attribute can be told from photographs within a sex"}
        return replace(measured, spread=replace(measured.spread, shares=pd.DataFrame(), reasons=reasons))
    told = table[table["level"] == "ceiling"].set_index("attribute").loc[shares["attribute"]]
    in_voice = (told["caused"] & (told["verdict"] == recovery.RECOVERED)).to_numpy()
    said = {"caused": told["caused"].to_numpy(), "ceiling": told["value"].to_numpy(), "in_voice": in_voice}
    return replace(measured, spread=replace(measured.spread, shares=shares.assign(**said)))


def spread(measured: Measured | None) -> Spread | str:
    """How many draws for one voice are spread, or why it is not known."""
    return UNKNOWN[0].lower() + UNKNOWN[1:-1] if measured is None else measured.spread


# What runs leave, and what all of them say


def write(measured: Measured | None, answers: Mapping[str, Answer | None], folder: Path) -> None:
    """Write every person's predictions, ``readings.npz``, if there are any, and the answers, ``<name>.json``."""
    for name in ("readings.npz", draws.FILE):  # of an earlier run
        (folder / name).unlink(missing_ok=True)
    if measured is not None:
        arrays = {"identities": measured.identities}
        arrays |= {f"{mode}/truth": truth for mode, truth in measured.truth.items()}
        for (mode, name), one in measured.levels.items():
            arrays |= {f"{mode}/{name}/predicted": one.predicted, f"{mode}/{name}/null": one.null}
        with files.whole(folder / "readings.npz") as beside:
            np.savez_compressed(beside, allow_pickle=False, **arrays)
        draws.write(measured.spread, folder)
    for name, answer in answers.items():
        files.write_json(folder / f"{name}.json", _plain(answer))


def read(folder: Path) -> Measured:
    """Read what `write` wrote of one run; RunError where it is missing, damaged or of another version."""
    with opened(folder / "readings.npz") as arrays:
        truth = {mode: arrays[f"{mode}/truth"] for mode in MODES}
        levels = {
            (mode, name): Level(arrays[f"{mode}/{name}/predicted"], arrays[f"{mode}/{name}/null"])
            for mode in MODES
            for name in (*LEVELS, DRAWS)
            if f"{mode}/{name}/null" in arrays
        }
        return Measured(arrays["identities"], truth, levels, draws.read(folder))


def alone(study: Study, measured: Measured | None) -> Answer | None:
    """The answer of one run; None where it is not known."""
    return None if measured is None else _answer(study, {study.seed: measured})


def pooled(study: Study, measured: Measured | None) -> Answer | None:
    """The answer of this run and of those of other seeds that are finished, averaged; None where it is not known."""
    if measured is None:
        return None
    by_seed = {study.seed: measured}
    for other in study.seeds():
        found = None if other.seed == study.seed else _finished(study, other)
        if found and np.array_equal(found.truth["overall"], measured.truth["overall"]):  # the same people
            by_seed[other.seed] = found
    return _answer(study, dict(sorted(by_seed.items())))


def _finished(study: Study, other: Study) -> Measured | None:
    """What another run measured; None where it is not made, or, which is said, by other code."""
    return read(other.read("answer")) if runs.alike(study, other, [("general", "answer")]) else None


def _answer(study: Study, by_seed: Mapping[int, Measured]) -> Answer:
    first = next(iter(by_seed.values()))
    tables = []
    for mode in MODES:
        replicates = {name: [one.levels[mode, name] for one in by_seed.values()] for name in first.names}
        tables.append(_table(study, mode, first.truth[mode], replicates))
    return Answer(pd.concat(tables, ignore_index=True), len(first.identities), tuple(by_seed))


def _table(study: Study, mode: str, truth: np.ndarray, replicates: Mapping[str, Sequence[Level]]) -> pd.DataFrame:
    """One mode's table, of the replicates of each level."""
    rng, n = seeding.stream(made_seed(study), "subsets"), study.params.measure.n_bootstrap
    levels = {
        name: recovery.estimates(truth, several, asked(), rng=rng, n_resamples=n)
        for name, several in replicates.items()
    }
    table = recovery.verdicts(levels, asked())
    if mode == "within sex":
        table = table[table["attribute"] != "sex"]
    return table.assign(mode=mode)[["mode", *table.columns]]


def _plain(answer: Answer | None) -> dict:
    """An answer as JSON has it: mode, attribute, level; what does not apply is null."""
    if answer is None:
        return {"version": VERSION, "known": False, "reason": UNKNOWN}
    out: dict = {"version": VERSION, "known": True, "n_people": answer.n_people, "seeds": list(answer.seeds)}
    for row in answer.table.to_dict("records"):
        mode, attribute, level = (row.pop(key) for key in ("mode", "attribute", "level"))
        kind = {key: row.pop(key) for key in ("caused", "measure")}
        entry = out.setdefault(mode, {}).setdefault(attribute, {**kind, "levels": {}})
        entry["levels"][level] = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()
        }
    return out


# A link that must not be there


def leak(study: Study, answer: Answer | None) -> pd.DataFrame | None:
    """Skin tone where it is independent of the voice, as it is, and where a leak is planted; None if not known.

    With the leak, pitch rises with the skin tone. It is planted in people whose voices this run's encoder hears, and,
    where the run with label `leak` is finished, in the people that run was trained on, so that its faces show it.

    Returns
    -------
    DataFrame
        `planted` ("nowhere", "in the people measured", "in the training too"), and the columns of
        `s2f.metrics.recovery.verdicts`.
    """
    if answer is None:
        return None
    parts = {"nowhere" if study.params.corpus.leak == 0 else "in the training too": answer.table}
    model = inference.load(study.of("general").read("model"))
    amount = stages.THOROUGH["leak"]["corpus.leak"]
    n = min(N_LEAKED, study.params.answer.n_identities)
    people, found, root = people_for(
        study, leak=amount, prefix=LEAKED_PREFIX, n=n, n_recordings=1, n_photos=1, size_px=LEAKED_PX
    )
    embedded = _means(embeddings(study, model, found, root), found.voices(), people["identity"].to_numpy(str))
    truth, levels = _levels(study, people, leak=amount, embedded=embedded, readings={})
    heard = {name: [levels["overall", name]] for name in ("ceiling", "embedding")}
    parts["in the people measured"] = _table(study, "overall", truth["overall"], heard)
    if "in the training too" not in parts and not study.label:  # what a thorough study trains is of the plain run
        trained = study.beside("leak")
        if (shows := _finished(study, trained)) is not None:
            parts["in the training too"] = _answer(trained, {trained.seed: shows}).table
    shown = pd.concat([part.assign(planted=planted) for planted, part in parts.items()], ignore_index=True)
    wanted = (shown["attribute"] == "skin_tone") & (shown["mode"] == "overall") & (shown["level"] != "photographs")
    return shown[wanted].reset_index(drop=True)
