"""Files and folders appear whole or not at all: written beside their place, then renamed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from s2f.errors import S2FError


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; rename it to `path` when the block ends without an error.

    The temporary name keeps the suffix, which writers such as `numpy.save` and Pillow look at.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield beside
        with open(beside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Give an empty folder beside `path`; it replaces what is there when the block ends without an error.

    After an error, `path` is as it was. Between two renames there is no `path` for a moment. A process that is
    killed leaves a hidden folder behind, named ``.<name>.`` and a few letters.

    Raises
    ------
    OSError: the folder cannot be put in its place, for example because another process has just made one there
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
        new, old = Path(scratch, "new"), Path(scratch, "old")
        new.mkdir()  # the scratch folder itself is its owner's alone
        yield new
        if os.path.lexists(path):
            _move(path, old)
        try:
            _move(new, path)
        except BaseException:
            if old.exists() and not os.path.lexists(path):
                _move(old, path)
            raise


def _move(source: Path, target: Path) -> None:
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV or not source.is_dir():
            raise
        # In one folder, yet on two file systems: a layer of a container's image below, the container's own above.
        try:
            shutil.copytree(source, target, symlinks=True)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        shutil.rmtree(source)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file whole."""
    with whole(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON whole; NaN and infinity are errors, since JSON has neither."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_yaml(path: str | Path, value: Mapping) -> None:
    """Write YAML whole, keys in the given order."""
    write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def read_versioned(path: Path, *, version: int, remedy: str, error: type[S2FError]) -> dict[str, Any]:
    """Content of a JSON file that another stage wrote, without its version.

    Raises
    ------
    S2FError: as `error`: missing, no JSON, no mapping, or of another version than `version`
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise error(path, "is not there", remedy=remedy, reason="missing") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as problem:
        raise error(path, f"is no JSON ({problem})", remedy=remedy, reason="damaged") from None
    if not isinstance(found, dict):
        raise error(path, f"holds a {type(found).__name__}, not a mapping", remedy=remedy, reason="damaged")
    if (there := found.pop("version", None)) != version:
        raise error(path, f"has version {there}, this program reads {version}", remedy=remedy, reason="format")
    return found
