"""What the results page shows: a variant's metrics and faces, the people of Table 1, the numbers of the prose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from s2f import files, seeding
from s2f.errors import RunError
from s2f.evaluation import measured
from s2f.features.store import Store
from s2f.metrics import catalogue
from s2f.networks import inference
from s2f.report import prose, tables
from s2f.study.runs import Study
from s2f.training import data

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

# Row and metric of the numbers that the prose quotes, by the name that it calls them; some with their interval.
QUOTED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "gender_agreement": ("model", "gender_agreement"),
        "reader_gender_accuracy": ("ceiling", "gender_agreement"),
        "kid": ("model", "kid"),
        "kid_gender_mean": ("gender_mean_face", "kid"),
        "diversity_share": ("model", "diversity_share"),
        "fid": ("model", "fid"),
        "fid_real_real": ("model", "fid_real_real"),
        "matching_oracle": ("gender_oracle", "matching_2way"),
        **{
            f"{metric}{short}": (row, metric)
            for row, short in (("model", ""), ("probe", "_probe"), ("ceiling", "_ceiling"))
            for metric in ("matching_2way", "matching_within_gender")
        },
    }
)
INTERVALS = ("matching_2way", "matching_within_gender")
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
    return Variant(measured.read(folder), np.load(folder / "faces.npy"), held_out, store)


def beside(study: Study) -> dict[str, Variant]:
    """The runs that this profile keeps beside its own, by label."""
    return {label: load(study.beside(label)) for label in study.params.beside} if not study.label else {}


def closed(study: Study) -> dict[str, dict]:
    """The ``metrics.json`` of each variant without held-out people; nothing where `make study` has not made them."""
    if study.label:
        return {}
    try:
        return _measured(study.beside("closed"))
    except RunError:
        return {}


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
    """The ``metrics.json`` of each variant, by seed: this one's, and others of the same parameters where measured."""
    found = {}
    for other in study.seeds():
        try:
            found[other.seed] = _measured(other)
        except RunError:
            if other.seed == study.seed:
                raise
    return found


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


def said(found: Mapping[str, float], content: Mapping) -> dict[str, str]:
    """Numbers as the prose says them, and why some are not measured: of a variant's `metrics.json`.

    As in the tables: KID times 1000. Counts have no digits after the point.
    """
    digits = {name: 0 if name.startswith("n_") else 1 for name in found}
    why = {name: missing(content, metric, row=row) for name, (row, metric) in QUOTED.items()}
    return {name: prose.number(value, digits=digits[name], why=why.get(name)) for name, value in found.items()}


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
    others = model.draws(heard, n, seed=study.seed)  # [n_people, n, 64, 64, 3]
    return {"most typical": model.typical(heard)} | {f"draw {k + 1}": others[:, k] for k in range(n)}


def compare(main: Variant, others: dict[str, Variant], shown: Shown) -> dict[str, np.ndarray]:
    """Rows of faces of the same people: true, drawn here, drawn by each other run."""
    rows = {"true": shown.true, f"recipe {main.metrics['recipe']}": shown.drawn}
    return rows | {f"recipe {other.metrics['recipe']}": other.faces[shown.rows] for other in others.values()}


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


def numbers(variant: Variant) -> dict[str, float]:
    """The numbers that the prose quotes, in the units of the tables; NaN where a metric does not apply."""

    def get(row: str, metric: str, part: str = "value") -> float:
        value = variant.metrics["rows"][row][metric][part]
        scale = catalogue.METRICS[metric].form.scale
        return float("nan") if value is None else scale * float(value)

    index = variant.store.index
    found = {
        "n_identities": float(index["identity"].nunique()),
        "n_test_identities": float(len(variant.held_out.identities)),
        "n_fid": float(variant.metrics["rows"]["model"]["fid"]["n_recordings"] or "nan"),
    }
    found |= {name: get(row, metric) for name, (row, metric) in QUOTED.items()}
    for name in QUOTED:
        if name.startswith(INTERVALS):
            found |= {f"{name}_{part}": get(*QUOTED[name], part) for part in ("low", "high")}
    return found
