"""What the results page shows: a variant's metrics and faces, the people of Table 1, the numbers of the prose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from s2f import files, seeding
from s2f.corpora.splits import in_split
from s2f.errors import RunError
from s2f.evaluation import measured
from s2f.features.store import Store
from s2f.metrics import catalogue
from s2f.networks import inference
from s2f.report import prose, tables
from s2f.report.draws import with_typical
from s2f.study import runs
from s2f.study.runs import Study
from s2f.training import data

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler


@dataclass(frozen=True)
class Quote:
    """A number that the prose quotes: of a row, or with `against` the row's minus another's."""

    row: str
    metric: str
    variant: str = "general"
    against: str | None = None


# By the names that the prose calls them.
QUOTED: Mapping[str, Quote] = MappingProxyType(
    {
        "gender_agreement": Quote("model", "gender_agreement"),
        "reader_gender_accuracy": Quote("ceiling", "gender_agreement"),
        "kid": Quote("model", "kid"),
        "kid_gender_mean": Quote("gender_mean_face", "kid"),
        "kid_ceiling": Quote("ceiling", "kid"),
        "kid_by_code": Quote("by_code", "kid"),
        "copies": Quote("model", "copies"),
        "copies_by_code": Quote("by_code", "copies"),
        "fid": Quote("model", "fid"),
        "fid_real_real": Quote("model", "fid_real_real"),
        "diversity": Quote("model", "diversity"),
        "diversity_share": Quote("model", "diversity_share"),
        "consistency": Quote("model", "consistency"),
        "matching_oracle": Quote("gender_oracle", "matching_2way"),
        **{
            f"{metric}{short}": Quote(row, metric)
            for row, short in (
                ("model", ""),
                ("probe", "_probe"),
                ("ceiling", "_ceiling"),
                ("shuffled_voice", "_shuffled"),
                ("neighbour", "_neighbour"),
                ("gender_mean_face", "_gender_mean"),
            )
            for metric in ("matching_2way", "matching_within_gender")
        },
        **{
            f"{metric}_typical": Quote("typical", metric)
            for metric in ("gender_agreement", "diversity_share", "recall")
        },
        "gender_agreement_neighbour": Quote("neighbour", "gender_agreement"),
        "gender_agreement_shuffled": Quote("shuffled_voice", "gender_agreement"),
        "matching_within_gender_over_neighbour": Quote("model", "matching_within_gender", against="neighbour"),
        "matching_within_gender_over_shuffled": Quote("model", "matching_within_gender", against="shuffled_voice"),
        "matching_within_gender_over_probe": Quote("model", "matching_within_gender", against="probe"),
        "matching_within_gender_draws": Quote("draws_mean", "matching_within_gender"),
        "matching_within_gender_draws_shuffled": Quote("shuffled_mean", "matching_within_gender"),
        "matching_within_gender_draws_over_shuffled": Quote(
            "draws_mean", "matching_within_gender", against="shuffled_mean"
        ),
        "matching_within_gender_draws_over_probe": Quote("draws_mean", "matching_within_gender", against="probe"),
        **{
            f"matching_{sex}{short}": Quote(row, f"matching_within_{sex}", against=against)
            for sex in ("women", "men")
            for row, short, against in (
                ("model", "", None),
                ("shuffled_voice", "_shuffled", None),
                ("model", "_over_shuffled", "shuffled_voice"),
                ("draws_mean", "_draws", None),
                ("shuffled_mean", "_draws_shuffled", None),
                ("draws_mean", "_draws_over_shuffled", "shuffled_mean"),
            )
        },
        # Of the people of the variants of one sex: General's faces, and their own.
        "general_females": Quote("general", "matching_within_gender", variant="females"),
        "general_males": Quote("general", "matching_within_gender", variant="males"),
        "matching_females": Quote("model", "matching_within_gender", variant="females"),
        "matching_males": Quote("model", "matching_within_gender", variant="males"),
        **{
            f"{metric}{short}": Quote(row, metric)
            for row, short in (("model", ""), ("gender_mean_face", "_gender_mean"), ("ceiling", "_ceiling"))
            for metric in ("precision", "recall")
        },
        **{
            f"l1{short}": Quote(row, "l1_pixel_255")
            for row, short in (
                ("model", ""),
                ("mean_face", "_mean_face"),
                ("gender_mean_face", "_gender_mean"),
                ("random_real", "_random_real"),
                ("ceiling", "_ceiling"),
            )
        },
        "l1_over_mean_face": Quote("model", "l1_pixel_255", against="mean_face"),
        **{
            f"recall_at_10{short}": Quote(row, "recall_at_10")
            for row, short in (
                ("model", ""),
                ("gender_oracle", "_oracle"),
                ("probe", "_probe"),
                ("ceiling", "_ceiling"),
            )
        },
    }
)
N_DRAWS = 6  # of each voice in Table 1, beside the most typical one


@dataclass(frozen=True)
class Variant:
    """A measured variant.

    Attributes
    ----------
    metrics : dict, its ``metrics.json``
    faces : uint8 [n, 64, 64, 3], drawn from each recording of ``held_out.voices``
    held_out : Selection, test people
    store : Store
    """

    metrics: dict
    faces: np.ndarray
    held_out: data.Selection
    store: Store


@dataclass(frozen=True)
class Shown:
    """People of Table 1: true and drawn faces uint8 [n, 64, 64, 3], labels, rows of the drawn faces."""

    true: np.ndarray
    drawn: np.ndarray
    labels: list[str]
    rows: np.ndarray


def load(study: Study) -> Variant:
    """The measured variant of a study.

    Raises
    ------
    RunError: it is not measured yet; names the command
    """
    folder = study.read("metrics")
    store = Store.open(study.read("store"))
    held_out = data.select(store, split="test", gender=study.params.variant.gender)
    return Variant(measured.read(folder), measured.opened(folder / measured.FACES), held_out, store)


def load_all(study: Study) -> dict[str, Variant]:
    """All variants of a study, by name, as `load` gives one."""
    return {name: load(study.of(name)) for name in study.params.variants}


def beside(study: Study) -> dict[str, Variant]:
    """The runs that this profile keeps beside its own, by label."""
    return {label: load(study.beside(label)) for label in study.params.beside} if not study.label else {}


def closed(study: Study) -> dict[str, dict]:
    """The ``metrics.json`` of each variant without held-out people; nothing where `make study` has not made them."""
    if study.label:
        return {}
    return _measured_alike(study, study.beside("closed")) or {}


def gap(
    held_out: Mapping[str, Mapping], closed: Mapping[str, Mapping], *, metrics: Sequence[str] | None = None
) -> pd.DataFrame:
    """Both protocols side by side: columns protocol, variant, metric, value, low, high, reason of the row `model`."""
    columns, metrics = (
        ["protocol", "variant", "metric", "value", "low", "high", "reason"],
        metrics or catalogue.comparable(),
    )
    if not closed:
        return pd.DataFrame(columns=columns)
    both = [*held_out.items(), *closed.items()]
    frame = pd.concat([tables.long(content, variant=name) for name, content in both])
    return frame.loc[(frame["row"] == "model") & frame["metric"].isin(metrics), columns].reset_index(drop=True)


def show_gap(held_out: Mapping[str, Mapping], closed: Mapping[str, Mapping]):
    """The gap as a figure, or a sentence that says what makes it."""
    from s2f.report import experiment_figures

    frame = gap(held_out, closed)
    if frame.empty:
        return prose.absent("The closed-set run is not here: a thorough study of this profile makes it (--thorough).")
    return experiment_figures.gap(frame)


def seeds(study: Study) -> dict[int, dict[str, dict]]:
    """The ``metrics.json`` of each variant, by seed: this one's, and others of the same parameters and code."""
    found = {}
    for other in study.seeds():
        own = _measured(other) if other.seed == study.seed else _measured_alike(study, other)
        if own is not None:
            found[other.seed] = own
    return found


def _measured_alike(study: Study, other: Study) -> dict[str, dict] | None:
    """As `_measured` of another run; None where it is not made, or was made by other code, which is said."""
    parts = [(name, "metrics") for name in study.params.variants]
    return _measured(other) if runs.alike(study, other, parts) else None


def show_seeds(found: Mapping[int, Mapping], across: pd.DataFrame) -> Styler | None:
    """The table over seeds; a sentence where there is one seed alone."""
    if len(found) == 1:
        prose.absent(f"Seed {next(iter(found))} alone: a thorough study trains three (option --thorough).")
        return None
    print(f"Seeds {', '.join(map(str, found))}.")
    return tables.seeds_table(across)


def write_seeds(study: Study, found: Mapping[int, Mapping[str, Mapping]]) -> pd.DataFrame:
    """Mean, deviation and range over seeds of every row and metric, kept as ``results/seeds.csv`` of the run."""
    frames = [
        pd.concat([tables.long(content, variant=name) for name, content in variants.items()])
        for variants in found.values()
    ]
    frame = tables.across_seeds(frames)
    with files.whole(study.run.parent / "results" / "seeds.csv") as beside:
        frame.to_csv(beside, index=False)
    return frame


def quotes(variants: Mapping[str, Variant]) -> dict[str, str]:
    """What the prose says of a run, by name: numbers as text, in words where there is none.

    Each of `QUOTED` has three: its value, ``<name>_interval``, its 95 % interval in brackets, and ``<name>_n``, of how
    many people it is. They are scaled and rounded as in the tables. ``verdict`` says in words whether the drawn faces
    tell people of one sex apart.
    """
    general = variants["general"]
    index, content = general.store.index, general.metrics
    found = {
        "n_identities": f"{index['identity'].nunique()}",
        "n_train_identities": f"{index.loc[in_split(index, 'train'), 'identity'].nunique()}",
        "n_test_identities": f"{len(general.held_out.identities)}",
        "n_test_recordings": f"{len(general.held_out.voices)}",
        "n_fid": prose.number(content["rows"]["model"]["fid"]["n_recordings"], digits=0, why=missing(content, "fid")),
        "verdict": verdict(content),
        "recipe": content["recipe"],
        "who": prose.met([content["protocol"]]),
    }
    for name, quote in QUOTED.items():
        variant = variants.get(quote.variant)
        found |= _said(name, quote, variant.metrics if variant else None)
    return found


def _said(name: str, quote: Quote, content: Mapping | None) -> dict[str, str]:
    """Value, interval and number of people of one quote."""
    if content is None:
        why = f"{prose.MISSING} (this run has no variant {quote.variant.title()})"
        return {name: why, f"{name}_interval": prose.interval(None, None), f"{name}_n": why}
    minus = content["differences_of_mean" if quote.row == "draws_mean" else "differences"]
    row = content["rows"].get(quote.row) if quote.against is None else minus.get(quote.against)
    entry, form = (row or {}).get(quote.metric) or {}, catalogue.METRICS[quote.metric].form

    value, low, high = (
        None if (each := entry.get(part)) is None else form.scale * each for part in ("value", "low", "high")
    )
    reason = entry.get("reason")
    return {
        name: prose.signed(prose.number(value, digits=form.digits, why=reason)),
        f"{name}_interval": prose.interval(low, high, digits=form.digits),
        f"{name}_n": prose.number(entry.get("n_identities"), digits=0, why=reason),
    }


def verdict(content: Mapping) -> str:
    """Whether a variant's faces tell people of one sex apart, by their interval and by that of the control."""
    metric = "matching_within_gender"
    entry = content["rows"]["model"][metric]
    control = content["differences"].get("shuffled_voice", {}).get(metric) or {}
    if entry["low"] is None or control.get("low") is None:
        return f"whether they tell people of one sex apart was {prose.MISSING}"
    chance = catalogue.METRICS[metric].chance
    above, over = chance is not None and entry["low"] > chance, control["low"] > 0
    told = "these faces tell people of one sex apart better than"
    return {
        (True, True): f"{told} chance does, and better than with the voices shuffled",
        (True, False): f"{told} chance does, but whether better than with the voices shuffled, this run does not show",
        (False, True): f"{told} with the voices shuffled, but whether better than chance, this run does not show",
        (False, False): "that these faces tell people of one sex apart, this run does not show",
    }[above, over]


def glue_numbers(found: Mapping[str, str], glue: Callable) -> None:
    """Glue what the prose says of every number, under its name."""
    for name, text in found.items():
        glue(name, text, display=False)


def _measured(study: Study) -> dict[str, dict]:
    folders = {name.title(): study.of(name).read("metrics") for name in study.params.variants}
    return {name: measured.read(folder) for name, folder in folders.items()}


def people(variant: Variant, *, n: int, seed: int) -> Shown:
    """`n` test people drawn by the seed, each with one photograph and one drawn face, drawn too."""
    rng = seeding.stream(seed, "table")
    voices, photos = variant.held_out.voices, variant.held_out.photos
    names = variant.held_out.identities
    picked = np.sort(rng.permutation(len(names))[:n])
    rows, photo_rows, labels = [], [], []
    for name in names[picked]:
        own = np.flatnonzero(voices["identity"] == name)
        seen = photos.loc[photos["identity"] == name, "row"].to_numpy()
        rows.append(rng.choice(own))
        photo_rows.append(rng.choice(seen))
        gender = voices["gender"][own[0]]
        labels.append(f"{name} ({gender})" if isinstance(gender, str) else name)
    true = np.asarray(variant.store.faces[np.array(photo_rows)])
    return Shown(true, variant.faces[np.array(rows)], labels, np.array(rows))


def draws(study: Study, variant: Variant, shown: Shown, *, n: int = N_DRAWS) -> dict[str, np.ndarray]:
    """Rows of Table 1 below the true faces: the general model's most typical draw of each voice, and `n` others.

    Returns
    -------
    dict of str to uint8 [n_people, 64, 64, 3]
        One row of the measured faces where the model draws one face a voice.
    """
    general = study.of("general")
    model = inference.load(general.read("model"))
    if model.sampler is None:
        return {"generated": shown.drawn}
    heard = data.embeddings(general.read("voice"), variant.held_out.voices.iloc[shown.rows])
    found = with_typical(model, heard, model.draws(heard, n, seed=study.seed), seed=study.seed)
    return {f"draw {k}" if k else "most typical": found[:, k] for k in range(n + 1)}


def compare(main: Variant, others: dict[str, Variant], shown: Shown) -> dict[str, np.ndarray]:
    """Rows of faces of the same people: true, drawn here, drawn by each other run.

    Raises
    ------
    RunError: another run has other test recordings
    """
    for label, other in others.items():
        if not other.held_out.voices["path"].equals(main.held_out.voices["path"]):
            problem = f"has other test recordings than the run beside it, '{label}'"
            remedy = "Leave parameters that choose or divide people out of what the profile trains beside (`beside`)."
            raise RunError("this run", problem, remedy=remedy)
    names = tables.run_names(main.metrics, {label: other.metrics for label, other in others.items()})
    drawn = [shown.drawn, *(other.faces[shown.rows] for other in others.values())]
    return {"true": shown.true} | {f"recipe {name}": faces for name, faces in zip(names, drawn, strict=True)}


def show_beside(study: Study, main: Variant, shown: Shown) -> None:
    """Faces and numbers of the other recipes beside a run's own, or a sentence where none was trained."""
    from IPython.display import display

    from s2f.report import face_figures

    others = beside(study)
    if not others:
        why = "a labelled run trains its own alone" if study.params.beside else "the profile names none (`beside`)"
        return prose.absent(f"No other recipe than {main.metrics['recipe']} was trained: {why}.")
    what = "Test people: true faces, and below them those that each recipe draws from the same recordings"
    display(face_figures.face_rows(compare(main, others, shown), what=what))
    display(tables.beside_table(main.metrics, {label: other.metrics for label, other in others.items()}))


def missing(content: Mapping, metric: str, *, row: str = "model") -> str | None:
    """Why a row of a `metrics.json` has no value of a metric; None where it has one."""
    entry = content["rows"][row][metric]
    return entry["reason"] if entry["value"] is None else None
