"""Notebooks as files: their cells, their code as plain Python, and the parameters that papermill injects."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from s2f.errors import ParameterError, RunError, nearest


def code(path: Path) -> str:
    """Code of a notebook's cells, one after the other, as plain Python.

    Raises
    ------
    RunError: missing, no notebook, or a cell that is not Python, not even as IPython reads it
    """
    numbered = enumerate(cells(path), start=1)
    code = [(n, "".join(cell.get("source", ""))) for n, cell in numbered if cell["cell_type"] == "code"]
    return "\n".join(plain(source, where=f"{path.name}, cell {n}") for n, source in code)


def plain(source: str, *, where: str) -> str:
    """A cell as plain Python: magics and shell lines become the calls that IPython makes of them.

    The Python that a magic such as ``%%time`` runs is added, since what it imports and computes counts as well.

    Raises
    ------
    RunError: it is not Python; names the cell by `where`
    """
    try:
        ast.parse(source)
        return source
    except SyntaxError as error:
        problem = f"is not Python ({error.msg}, line {error.lineno})"
    try:
        from IPython.core.inputtransformer2 import TransformerManager
    except ImportError:  # a bare machine
        raise RunError(where, problem, remedy="Mend it, or install IPython, if it is meant for that.") from None
    try:
        changed = TransformerManager().transform_cell(source)
        tree = ast.parse(changed)
    except SyntaxError:
        raise RunError(where, problem, remedy="Mend the line; IPython could not run it either.") from None
    return "\n".join([changed, *_run_by_magics(tree)])


def _run_by_magics(tree: ast.AST) -> Iterator[str]:
    """Code that magics are given as text, where it is Python."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            text = node.args[-1] if node.args and node.func.attr in ("run_cell_magic", "run_line_magic") else None
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                try:
                    yield plain(text.value, where="")
                except RunError:
                    continue  # options, or another language


def cells(path: Path) -> list[dict[str, Any]]:
    """Cells of a notebook's file; a RunError where it is missing or none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))["cells"]
    except FileNotFoundError:
        raise RunError(path, "is missing", remedy="Bring it back, from git for example.") from None
    except (ValueError, KeyError, TypeError) as error:
        problem = f"is not a notebook ({type(error).__name__}: {error})"
        raise RunError(path, problem, remedy="Mend it, or bring it back from git.") from None


def refuse_unknown_parameters(cells: list[str]) -> None:
    """Compare what papermill injected with what the notebook's own parameters cell defines.

    Parameters
    ----------
    cells : list of str, sources of the cells executed so far, in order

    Raises
    ------
    ParameterError: an injected name that no earlier cell defines, or a value of another kind than it has there
    """
    known: dict[str, ast.expr] = {}
    for source in cells:
        if not source.lstrip().startswith("# Parameters"):
            known |= _assigned(source)
            continue
        for name, value in sorted(_assigned(source).items()):
            if name in known:
                _check_kind(name, default=known[name], value=value)
            elif not name.startswith("PAPERMILL_"):
                raise ParameterError(
                    f"parameter '{name}'", "is not known to this notebook", remedy=nearest(name, known)
                )


# What a notebook's parameters are by default, and what may be given in their place.
_KINDS: Mapping[type, tuple[str, tuple[type, ...]]] = MappingProxyType(
    {
        str: ("text", (str,)),
        bool: ("True or False", (bool,)),
        int: ("a whole number", (int,)),
        float: ("a number", (int, float)),
        dict: ("a mapping", (dict, str, type(None))),
    }
)


def _check_kind(name: str, *, default: ast.expr, value: ast.expr) -> None:
    """Refuse a value of another kind than the notebook's own: papermill guesses what a word on its line is."""
    try:
        own, given = type(ast.literal_eval(default)), ast.literal_eval(value)
    except ValueError:
        return  # no literal, which the notebook's own checks must judge
    kind, allowed = _KINDS.get(own, ("", (object,)))
    if isinstance(given, allowed) and (own is bool or not isinstance(given, bool) or own not in _KINDS):
        return
    remedy = {
        str: f"papermill's -p makes numbers, True and None of what looks like them; -r keeps text: -r {name} {given}",
        bool: f"Write -p {name} True or -p {name} False: other spellings are text, which counts as true.",
    }.get(own, f"Give {kind}.")
    raise ParameterError(f"parameter '{name}'", f"is {given!r}, and {kind} is needed", remedy=remedy)


def _assigned(source: str) -> dict[str, ast.expr]:
    """Names that a cell gives values to."""
    try:
        body = ast.parse(plain(source, where="a cell")).body
    except RunError:  # it failed when it was run, too
        return {}
    pairs = [(target, node.value) for node in body if isinstance(node, ast.Assign) for target in node.targets]
    return {target.id: value for target, value in pairs if isinstance(target, ast.Name)}
