"""``metrics.json``: the one form in which what was measured lies in a file, and its only writer and reader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from s2f import files, provenance
from s2f.errors import RunError

VERSION, FILE = 1, "metrics.json"


def again(path: Path) -> str:
    """What to do about a file of a measured variant that cannot be used."""
    return f"Measure the variant again: delete this file, then {provenance.again(path)}"


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Difference(_Form):
    """The model's value minus another row's, or why there is none."""

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
    differences: dict[str, dict[str, Difference]]
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
    found = files.read_versioned(path, version=VERSION, remedy=again(path), error=RunError)
    try:
        OfVariant.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RunError(
            path, f"is of another form: {where}: {first['msg']}", remedy=again(path), reason="format"
        ) from None
    return found
