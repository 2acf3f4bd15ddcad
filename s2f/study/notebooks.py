"""Notebooks as files: their cells, and their code as plain Python."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from s2f.errors import RunError


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
