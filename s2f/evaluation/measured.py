"""``metrics.json``: the one form in which what was measured lies in a file, and its only writer and reader.

Beside it lies what was read of the faces, which later notebooks look at again.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from s2f import files, provenance
from s2f.errors import RunError
from s2f.metrics.standins import FaceSet

if TYPE_CHECKING:
    from s2f.features.store import Store
    from s2f.training.data import Selection

VERSION, FILE = 2, "metrics.json"
FACES, READINGS = "faces.npy", "readings.npz"


def again(folder: Path) -> str:
    """What to do about a file in a folder of measurements that cannot be used."""
    return f"Measure again: {provenance.anew(folder)}"


def opened(path: Path) -> Any:
    """The arrays of a file of measurements, ``.npy`` or ``.npz``.

    Raises
    ------
    RunError: missing, cut short or damaged
    """
    try:
        return np.load(path)
    except FileNotFoundError:
        raise RunError(path, "is not there", remedy=again(path.parent), reason="missing") from None
    except (EOFError, ValueError, zipfile.BadZipFile):
        raise RunError(path, "is damaged", remedy=again(path.parent), reason="damaged") from None


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Difference(_Form):
    """A row's value minus another's, or why there is none."""

    value: float | None
    low: float | None
    high: float | None
    n_identities: int | None
    reason: str | None


class Entry(Difference):
    """A metric of a row with its 95 % interval, of how many, compared with what; or why there is none."""

    n_recordings: int | None
    reference: str | None


class Measured(_Form):
    """What `s2f.metrics.rows.evaluate` gives: by row, then by metric."""

    protocol: str
    rows: dict[str, dict[str, Entry]]
    differences: dict[str, dict[str, Difference]]  # of the row `model`
    differences_of_mean: dict[str, dict[str, Difference]]  # of the row `draws_mean`
    seed: int


class OfVariant(Measured):
    """A measured variant: which one, by which recipe, read by which networks."""

    variant: str
    recipe: str
    reader: str


class OfSystem(Measured):
    """Another system's pictures: how many there were, and the networks that read them."""

    counts: dict[str, int | list[str]]
    n_bootstrap: int
    networks: list[dict[str, str | None]]


def write(content: Mapping[str, Any], folder: Path, *, form: type[Measured] = OfVariant) -> None:
    """Write ``metrics.json``; pydantic's error if it is not of its form."""
    form.model_validate(content)
    files.write_json(folder / FILE, {"version": VERSION, **content})


def read(folder: Path) -> dict[str, Any]:
    """A variant's ``metrics.json`` in the form of `OfVariant`, without its version.

    Raises
    ------
    RunError: missing, or of another version or form
    """
    path = folder / FILE
    found = files.read_versioned(path, version=VERSION, remedy=again(folder), error=RunError)
    try:
        OfVariant.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RunError(
            path, f"is of another form: {where}: {first['msg']}", remedy=again(folder), reason="format"
        ) from None
    return found


# What was read of the faces


@dataclass(frozen=True)
class Readings:
    """Drawn faces and photographs with all that was read from them, and where the store has what they are of.

    Attributes
    ----------
    faces, photos : FaceSet
    voice_rows, photo_rows : ndarray of int, rows of the recordings and of the photographs in the store
    """

    faces: FaceSet
    photos: FaceSet
    voice_rows: np.ndarray
    photo_rows: np.ndarray


def save_readings(folder: Path, faces: FaceSet, photos: FaceSet, held_out: Selection) -> None:
    """Write the drawn faces, ``faces.npy``, and ``readings.npz``: what was read, and which files of the store.

    The photographs' pixels stay in the store.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, part, files_of in (("faces", faces, held_out.voices), ("photos", photos, held_out.photos)):
        arrays[f"{name}_rows"] = files_of["row"].to_numpy()
        arrays[f"{name}_identities"] = part.identities.astype(str)
        arrays[f"{name}_embeddings"], arrays[f"{name}_female"] = part.part("embeddings"), part.part("female")
        if part.sources is not None:
            arrays[f"{name}_sources"] = part.sources.astype(str)
        if part.inception is not None:
            rows_of = part.extracted
            arrays[f"{name}_extracted"], arrays[f"{name}_inception"] = rows_of, part.inception[rows_of]
    with files.whole(folder / FACES) as beside:
        np.save(beside, faces.part("pixels"))
    with files.whole(folder / READINGS) as beside, open(beside, "wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def load_readings(folder: Path, store: Store) -> Readings:
    """What `save_readings` wrote, with the pixels.

    Raises
    ------
    RunError: written by a version that did not keep which photographs it read
    """
    sets, rows = [], []
    with opened(folder / READINGS) as found:
        for name in ("faces", "photos"):
            if f"{name}_rows" not in found:
                problem = "does not say which files of the store were read"
                raise RunError(folder / READINGS, problem, remedy=again(folder), reason="format")
            rows.append(found[f"{name}_rows"])
            n = len(rows[-1])
            inception = None
            if f"{name}_inception" in found:
                inception = np.full((n, found[f"{name}_inception"].shape[1]), np.nan, np.float32)
                inception[found[f"{name}_extracted"]] = found[f"{name}_inception"]
            pixels = opened(folder / FACES) if name == "faces" else np.asarray(store.faces[rows[-1]])
            sources = found[f"{name}_sources"].astype(object) if f"{name}_sources" in found else None
            identities = found[f"{name}_identities"].astype(object)
            vectors, female = found[f"{name}_embeddings"], found[f"{name}_female"]
            sets.append(FaceSet(identities, pixels, vectors, female, inception, sources))
    return Readings(sets[0], sets[1], rows[0], rows[1])
