"""Files of tensors: safetensors that appear whole, with plain values in the header. Nothing is pickled."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from s2f import files
from s2f.errors import CheckpointError


def save(path: Path, tensors: Mapping[str, Tensor], *, header: Mapping[str, Any]) -> None:
    """Write tensors and plain values into one file that appears whole.

    Raises
    ------
    OutputError: the system does not let it be written; what was there stays
    """
    tensors = {name: t.detach().contiguous().cpu().clone() for name, t in tensors.items()}
    with files.whole(path) as beside:
        try:
            save_file(tensors, beside, metadata={"s2f": json.dumps(dict(header))})
        except SafetensorError as error:  # a full disk among others
            raise OSError(str(error)) from error


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (on the CPU) and plain values of a file made by `save`.

    Raises
    ------
    CheckpointError: missing, truncated, or not made here
    """
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, _header(file)  # noqa: SIM118 (no mapping)


@contextmanager
def of_this_version(path: Path, *, remedy: str = "Train it again with this version.") -> Iterator[None]:
    """Say of what does not fit the networks of this version, while they are built from a file's content.

    Raises
    ------
    CheckpointError: a value or a weight that misses, or is of another shape
    """
    try:
        yield
    except (KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(path, f"is of another architecture ({error})", remedy=remedy) from error


def read_header(path: Path) -> dict[str, Any]:
    """Plain values of a file made by `save`, without its tensors.

    Raises
    ------
    CheckpointError: missing, truncated, or not made here
    """
    with _opened(path) as file:
        return _header(file)


def _header(file: Any) -> dict[str, Any]:
    return json.loads((file.metadata() or {})["s2f"])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not Path(path).is_file():
        raise CheckpointError(path, "is not there", remedy="Train first, or mend the path.", reason="missing")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(
            path, f"is truncated or of another program ({error})", remedy="Delete it and train again.", reason="broken"
        ) from error
