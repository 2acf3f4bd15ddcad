"""What is asked about synthetic people: which attributes there are, which the voice causes, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from s2f.corpora.synthetic import population
from s2f.metrics.recovery import LEGIBLE_FROM, Attributes
from s2f.networks.readers import Readers

CAUSES = ("sex", "age_years", "height_cm", "bmi")  # what the voice and the face share
NAMES = (*CAUSES, *population.CAUSED, *population.INDEPENDENT)


@dataclass(frozen=True)
class Read:
    """What was read from faces.

    Attributes
    ----------
    embeddings : ndarray, float32 [..., d], of identity, unit length
    values : ndarray, float [..., C], columns of `asked`, NaN in those that are not read; C is 0 where none is
    """

    embeddings: np.ndarray
    values: np.ndarray

    def take(self, rows: np.ndarray) -> Read:
        """What was read from the faces at `rows`."""
        return Read(self.embeddings[rows], self.values[rows])

    def reshape(self, *shape: int) -> Read:
        """The same with other leading dimensions."""
        return Read(*(part.reshape(*shape, part.shape[-1]) for part in (self.embeddings, self.values)))


def asked() -> Attributes:
    """What is asked about people: the shared causes, what they cause in the face, and what is independent of them."""
    of = np.concatenate([[k] * len(columns) for k, columns in enumerate(_columns().values())])
    caused = np.array([name not in population.INDEPENDENT for name in NAMES])
    return Attributes(NAMES, caused, of, np.array([name == "sex" for name in NAMES]))


def columns() -> list[str]:
    """Name of each column of `targets`; a category has one for each of its values."""
    return [column for own in _columns().values() for column in own]


def targets(people: pd.DataFrame) -> np.ndarray:
    """Float [n, C]: numbers as they are, yes or no as 1 or 0, a category as a column a value."""
    found = as_numbers(people).assign(sex=(people["gender"] == "f").astype(float))
    return found.reindex(columns=columns(), fill_value=0.0).to_numpy()


def as_numbers(people: pd.DataFrame) -> pd.DataFrame:
    """Everything about people in numbers: yes or no as 1 or 0, a category as a column a value that somebody has."""
    found = people.select_dtypes("number").astype(float)
    others = people.columns.difference([*found, "identity", "gender"], sort=False)
    for name in others:
        values = people[name]
        if values.dtype == bool:
            found[name] = values.astype(float)
        else:
            for value in sorted(values.unique()):
                found[_column(name, value)] = (values == value).astype(float)
    return found


def read(readers: Readers, faces: np.ndarray) -> Read:
    """What readers of the corpus read from faces uint8 [n, 64, 64, 3]."""
    embeddings, female, values = readers.read(faces)
    found = pd.DataFrame(values, columns=list(readers.attribute_names)).assign(sex=female)
    return Read(embeddings, found.reindex(columns=columns()).to_numpy(float))


def legible(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Columns that can be told from a photograph: those whose reading goes with the truth. Bool [C] of [n, C] each."""
    found = np.zeros(truth.shape[1], bool)
    for column, (said, true) in enumerate(zip(values.T, truth.T, strict=True)):
        known = np.isfinite(said) & np.isfinite(true)
        if known.sum() > 2 and said[known].std() > 0 and true[known].std() > 0:
            together = np.corrcoef(said[known], true[known])[0, 1]
            found[column] = together > 0 and together**2 >= LEGIBLE_FROM
    return found


def _columns() -> dict[str, list[str]]:
    entries = population.causes()["independent"].items()
    categories = {name: sorted(e.get("light", e)) for name, e in entries if not {"low", "mean", "share"} & set(e)}
    return {
        name: [_column(name, value) for value in categories[name]] if name in categories else [name] for name in NAMES
    }


def _column(name: str, value: str) -> str:
    return f"{name}={value}"
