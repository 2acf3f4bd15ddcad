"""Notebooks as files: their code as plain Python, and whether an executed copy ran to its end and still fits."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2f.errors import RunError

if TYPE_CHECKING:
    from nbformat import NotebookNode

# What Python, NumPy and pandas print where there is no number, and nothing at all.
NO_NUMBER = re.compile(
    r"""['"\s]*((np\.float\d+\()?([+-]?(nan|inf|infinity)|none|<na>|nat)\)?\s*%?)?['"\s]*""", re.IGNORECASE
)
FIGURE = re.compile(r"<Figure size [^>]*>")  # what is left of a figure that nothing drew
AGAIN = "Run the study again; if this stays, run the notebook by hand to see the error."


def code(path: Path) -> str:
    """Code of a notebook's cells, one after the other, as plain Python.

    Raises
    ------
    RunError: missing, no notebook, or a cell that is not Python, not even as IPython reads it
    """
    cells = enumerate(_cells(path), start=1)
    code = [(n, "".join(cell.get("source", ""))) for n, cell in cells if cell["cell_type"] == "code"]
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


def check_executed(path: Path, *, name: str) -> NotebookNode:
    """Refuse a notebook that was not executed to its end: the book would show it without a word.

    Returns
    -------
    the notebook

    Raises
    ------
    RunError: missing file, an error output, a glued value that is no number, a figure without its picture, or a
        cell that was not executed
    """
    import nbformat  # not needed to train on a bare machine

    if not path.is_file():
        raise RunError(path, f"is missing: page '{name}' has no executed notebook", remedy=AGAIN)
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat raises several unrelated types for a broken file
        raise RunError(path, f"is not a notebook ({type(error).__name__}: {error})", remedy=AGAIN) from error
    code = [(n, cell) for n, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip()]
    for n, cell in code:
        for output in cell.outputs:
            if output.output_type == "error":
                raise RunError(path, f"holds an error in cell {n} ({output.ename}: {output.evalue})", remedy=AGAIN)
            data = output.get("data", {})
            if FIGURE.fullmatch(str(data.get("text/plain", "")).strip()) and "image/png" not in data:
                remedy = "Run it without MPLBACKEND and without an IPython configuration of your own."
                raise RunError(path, f"has a figure without a picture in cell {n}", remedy=remedy)
        for key, text in glued(cell):
            if NO_NUMBER.fullmatch(text):
                words = "Glue it as words where there is no number: `prose.number` does."
                raise RunError(path, f"glues '{key}' as {text!r} in cell {n}", remedy=words)
        state = cell.metadata.get("papermill", {}).get("status", "completed")
        if state != "completed":
            raise RunError(path, f"was not executed to its end: cell {n} is {state}", remedy=AGAIN)
    # An interrupted papermill marks every cell completed; what ran has a count.
    waiting = [n for n, cell in code if cell.execution_count is None]
    if code and len(waiting) == len(code):
        raise RunError(path, "was never executed", remedy=AGAIN)
    if waiting:
        raise RunError(path, f"was not executed to its end: cell {waiting[0]} has no execution count", remedy=AGAIN)
    return notebook


def glued(cell: Any) -> Iterator[tuple[str, str]]:
    """Names and texts of what a cell glues."""
    for output in cell.get("outputs", []):
        if found := output.get("metadata", {}).get("scrapbook"):
            for kind, text in output.data.items():
                if kind.endswith("text/plain"):
                    yield found["name"], str(text)


def _cells(path: Path) -> list[dict[str, Any]]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))["cells"]
    except FileNotFoundError:
        raise RunError(path, "is missing", remedy="Bring it back, from git for example.") from None
    except (ValueError, KeyError, TypeError) as error:
        problem = f"is not a notebook ({type(error).__name__}: {error})"
        raise RunError(path, problem, remedy="Mend it, or bring it back from git.") from None
