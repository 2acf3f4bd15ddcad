"""Files and folders appear whole or not at all: written beside their place, then renamed.

Where the system refuses to write, what was there stays, and the error says what to do.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from s2f.errors import OutputError, S2FError

_ROOM = "Free some space, or write to another disk."
_RIGHTS = "Change its permissions, or name another place."
_IN_THE_WAY = "Move what is there, or write elsewhere."
# What the system says against writing, and what to do about it.
_REFUSALS: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        errno.ENOSPC: ("the disk is full", _ROOM),
        errno.EDQUOT: ("this user's share of the disk is full", _ROOM),
        errno.EFBIG: ("files of that size are not allowed there", _ROOM),
        errno.EROFS: ("the disk can only be read", "Write to another disk."),
        errno.EACCES: ("this user may not", _RIGHTS),
        errno.EPERM: ("this user may not", _RIGHTS),
        errno.EIO: ("the disk fails", "Write to another disk."),
        errno.ENAMETOOLONG: ("its name is too long", "Give it a shorter one."),
        errno.ENOTDIR: ("a file is where a folder is needed", _IN_THE_WAY),
        errno.EISDIR: ("a folder is where the file would be", _IN_THE_WAY),
    }
)
_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_NAME = 40  # letters of a file's name in that of its temporary one, which must not be too long


def refusal(error: OSError, path: str | Path | None = None) -> OutputError | None:
    """What the system says against writing, for the user; None where the error is about something else.

    Parameters
    ----------
    path : str or Path, optional, what was being written; if not given, it is the file that the error names
    """
    subject = path or error.filename or "the output"
    doing = "written" if path or error.errno in (None, *_OF_WRITING) else "read or written"
    if error.errno is None:  # numpy and Pillow say nothing more where a disk is full
        return OutputError(subject, f"cannot be {doing} ({error})", remedy="Look whether the disk is full.")
    if error.errno not in _REFUSALS:
        return None
    problem, remedy = _REFUSALS[error.errno]
    return OutputError(subject, f"cannot be {doing}: {problem}", remedy=remedy)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say in words why `path` cannot be written; errors about files elsewhere stay what they are."""
    try:
        yield
    except OSError as error:
        concerned = error.filename is None or _is_of(Path(os.fsdecode(error.filename)), path)
        said = refusal(error, path) if concerned else None
        if said is None:
            raise
        raise said from error


def _is_of(named: Path, path: Path) -> bool:
    """Whether a file is `path`, a folder around it, or lies in what is written beside it."""
    below = named.relative_to(path.parent).parts if named.is_relative_to(path.parent) else ()
    return path.is_relative_to(named) or (bool(below) and below[0].startswith(_hidden(path)))


def _hidden(path: Path) -> str:
    return f".{path.stem[:_NAME]}."


def _parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(error.filename)) from None


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; rename it to `path` when the block ends without an error.

    The temporary name keeps the suffix, which writers such as `numpy.save` and Pillow look at.

    Raises
    ------
    OutputError: the system does not let it be written; what was there stays
    """
    path = Path(path)
    beside = path.with_name(f"{_hidden(path)}{os.getpid()}{path.suffix}")
    with _writing(path):
        _parent(path)
        try:
            yield beside
            with open(beside, "rb") as file:
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Give an empty folder beside `path`; it replaces what is there when the block ends without an error.

    After an error, `path` is as it was. Between two renames there is no `path` for a moment. A process that is
    killed leaves a hidden folder behind, named ``.<name>.`` and a few letters.

    Raises
    ------
    OutputError: the system does not let it be written; what was there stays
    OSError: the folder cannot be put in its place, for example because another process has just made one there
    """
    path = Path(path)
    with _writing(path):
        _parent(path)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=_hidden(path)) as scratch:
            new, old = Path(scratch, "new"), Path(scratch, "old")
            new.mkdir()  # the scratch folder itself is its owner's alone
            yield new
            if os.path.lexists(path):
                move(path, old)
            try:
                move(new, path)
            except BaseException:
                if old.exists() and not os.path.lexists(path):
                    move(old, path)
                raise


def move(source: Path, target: Path) -> None:
    """Rename a folder, also to the place of an empty one; copy it where it lies on another file system."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV or not source.is_dir():
            raise
        # In one folder, yet on two file systems: a layer of a container's image below, the container's own above.
        with contextlib.suppress(FileNotFoundError):
            target.rmdir()  # as renaming takes the place of an empty folder, and of no other
        try:
            shutil.copytree(source, target, symlinks=True)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        shutil.rmtree(source)


def below(folder: Path, *, hidden: bool = True, onerror: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """Files below a folder, by name; links to folders are followed, and a ring of them ends.

    Without `hidden`, what begins with a dot is left out, with all that lies in it.
    """
    seen = {os.path.realpath(folder)}
    for place, folders, names in os.walk(folder, followlinks=True, onerror=onerror):
        if not hidden:
            folders[:], names = ([name for name in each if not name.startswith(".")] for each in (folders, names))
        folders[:] = sorted(name for name in folders if os.path.realpath(os.path.join(place, name)) not in seen)
        seen.update(os.path.realpath(os.path.join(place, name)) for name in folders)
        yield from (Path(place, name) for name in sorted(names))


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file whole."""
    with whole(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON whole; NaN and infinity are errors, since JSON has neither."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_yaml(path: str | Path, value: Mapping) -> None:
    """Write YAML whole, keys in the given order."""
    write_text(path, yaml_text(value))


def yaml_text(value: Mapping) -> str:
    """What `write_yaml` writes."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


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
