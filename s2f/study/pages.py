"""Executed notebooks, the pages of the book: whether they ran to their end, and what they are of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2f import errors
from s2f.errors import RunError
from s2f.study import notebooks

if TYPE_CHECKING:
    from nbformat import NotebookNode

# What Python, NumPy and pandas print where there is no number, and nothing at all.
NO_NUMBER = re.compile(
    r"""['"\s]*((np\.float\d+\()?([+-]?(nan|inf|infinity)|none|<na>|nat)\)?\s*%?)?['"\s]*""", re.IGNORECASE
)
FIGURE = re.compile(r"<Figure size [^>]*>")  # what is left of a figure that nothing drew
AGAIN = "Run the study again; if this stays, run the notebook by hand to see the error."


@dataclass(frozen=True)
class Failure:
    """What stopped a notebook, and when it was written, in ns."""

    said: str
    written_ns: int


def failure(path: Path) -> Failure | None:
    """What stopped an executed notebook, in one line; None where nothing did, or nothing can be read.

    An error that a user can act on is given as it is, others with their kind and cell.
    """
    try:
        cells, written = notebooks.cells(path), path.stat().st_mtime_ns
    except RunError:
        return None
    for n, cell in enumerate(cells, start=1):
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                kind, text = output["ename"], " ".join(output["evalue"].split()).rstrip(".")
                own = isinstance(getattr(errors, kind, None), type)
                return Failure(text if own else f"{kind} in cell {n}: {text}", written)
    return None


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
    import nbformat  # only here: heavier than all the rest of the study's room

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


def same_text(page: NotebookNode, notebook: Path) -> bool:
    """Whether an executed notebook has the cells of its notebook and their tags, whatever else is in either file.

    Editors put cells' names, their order of keys, outputs and metadata anew; papermill adds a cell of parameters. Tags
    say what a page hides.
    """
    of_page, of_notebook = ([_shown(cell) for cell in cells] for cells in (page.cells, notebooks.cells(notebook)))
    return [each for each in of_page if "injected-parameters" not in each[2]] == of_notebook


def _shown(cell: Mapping[str, Any]) -> tuple[str, str, set[str]]:
    return cell["cell_type"], "".join(cell.get("source", "")), set(cell.get("metadata", {}).get("tags", ()))


def finished_ids(page: NotebookNode) -> set[str]:
    """Ids of what an executed notebook finished, as `s2f.study.runs.Study.finish` left them in it."""
    texts = {text for cell in page.cells for name, text in glued(cell) if name.startswith("finished_")}
    return {text.strip("'") for text in texts}
