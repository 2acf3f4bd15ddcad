"""Pages of the book that are made when it is built: a notebook as a reader sees it, the status, and the downloads."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nbformat import NotebookNode

from s2f.errors import RunError
from s2f.report import prose
from s2f.study.stages import VARIANTS

OPTIONAL = "optional"  # tag of a cell that shows something only where its run or its data are there
HEADING = re.compile(r"#+ ")
UNITS = re.compile(
    r'(<span class="pasted-text">not measured \([^<]*\)</span>)'
    r'(?: %| points)?(?: <span class="pasted-text">\[no interval\]</span>)?'
)
# What a file of the run is, by its place below the run's folder without the seed's.
DATA: Mapping[str, str] = MappingProxyType(
    {
        "results/table2.csv": "Table 2, with intervals",
        "results/rows.csv": "every row and metric of every variant, and every paired difference",
        "results/seeds.csv": "mean, deviation and range over seeds",
        "corpus/summary.json": "people, recordings and photographs of each split",
        "corpus/rejected.csv": "files left out of the corpus, each with its reason",
        "corpus/duplicates.csv": "files that are there twice",
        "store/rejected.csv": "files that could not be used, each with its reason",
        "voice/metrics.json": "how well the voice embedding tells speakers apart",
        "code/metrics.json": "how near the face code brings photographs back",
        "measure/quality.json": "what the networks that read faces get right",
        "metrics.json": "every metric of the variant, with intervals and reasons",
        "draws.json": "how the draws of one voice are spread: energy score, coverage, ranks, what they share",
        "experiments.csv": "length of the recording, one speaker's faces, groups, speakers of the training",
        "answer/answer.json": "what was recovered of every attribute, of this seed",
        "answer/pooled.json": "the same, over all finished seeds",
    }
)


@dataclass(frozen=True)
class Link:
    """A cell of a table that leads somewhere.

    Attributes
    ----------
    text, to : str, what is read, and the place
    is_file : bool, a file to be taken home rather than a page
    """

    text: str
    to: str
    is_file: bool = False


def check_words(notebook: NotebookNode, path: Path) -> None:
    """Refuse a notebook with a picture that nothing was written with: the page would read out its file's name.

    Raises
    ------
    RunError: an output has a picture and no words
    """
    for n, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            for kind in output.get("data", {}):
                if kind.startswith("image/") and not output.metadata.get(kind, {}).get("alt", "").strip():
                    remedy = "Draw it after style.theme(), and give it words with style.say(figure, text)."
                    raise RunError(path, f"has a picture without words in cell {n}", remedy=remedy, reason="no words")


def page(notebook: NotebookNode, *, name: str) -> NotebookNode:
    """A notebook as a page: without the cell that papermill injects, since the banner says the same.

    Nor with the state of widgets: a page cannot run them, and would load their scripts from other hosts. The page of
    a variant has its name in the title. What is tagged `OPTIONAL` and shows nothing is left out with its caption, and
    a section of which nothing else is left as well. A cell that shows nothing is in the notebook alone.
    """
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        silent = cell.cell_type == "code" and not any(map(_shows, cell.outputs))
        if ("injected-parameters" in tags or silent) and "remove-cell" not in tags:
            cell.metadata["tags"] = [*tags, "remove-cell"]
    variant = name.rpartition("_")[2]
    if variant in VARIANTS and notebook.cells:
        first, _, rest = notebook.cells[0].source.partition("\n")
        if first.startswith("# ") and variant not in first.lower():
            notebook.cells[0].source = f"{first}: {variant.title()}\n{rest}"
    notebook.cells = [cell for part in _sections(notebook.cells) for cell in _shown(part)]
    return notebook


def _sections(cells: Iterable[NotebookNode]) -> list[list[NotebookNode]]:
    """Cells from each heading to the next."""
    parts: list[list[NotebookNode]] = [[]]
    for cell in cells:
        if cell.cell_type == "markdown" and HEADING.match(cell.source):
            parts.append([])
        parts[-1].append(cell)
    return parts


def _shown(part: list[NotebookNode]) -> list[NotebookNode]:
    """A section without its optional cells that show nothing, and without what is said below these."""
    kept, left_out = [], False
    for k, cell in enumerate(part):
        if cell.cell_type == "code":
            left_out = OPTIONAL in cell.metadata.get("tags", []) and not any(map(_shows, cell.outputs))
        elif k == 0:
            left_out = False
        if not left_out:
            kept.append(cell)
    emptied = len(kept) < len(part) and not any(cell.cell_type == "code" for cell in kept)
    return [] if emptied else kept


def _shows(output: NotebookNode) -> bool:
    """Whether an output is more than a sentence that something is not there, and more than a glued value."""
    return not ({prose.ABSENT, "scrapbook"} & set(output.get("metadata", {}))) and output.get("name") != "stderr"


def without_units(html: str) -> str:
    """A built page in which a number that is missing has no unit and no interval behind it, only the reason."""
    return UNITS.sub(r"\1", html)


def downloads_page(folder: Path) -> str:
    """Text of the page that offers every notebook, and the data behind the tables.

    Parameters
    ----------
    folder : Path, ``book/runs``: notebooks, and below ``results`` and ``data`` what a run left
    """
    executed = [(Link(path.name, path.name, is_file=True), _title(path)) for path in sorted(folder.glob("*.ipynb"))]
    data = []
    for path in sorted([*folder.glob("results/**/*.csv"), *folder.glob("data/**/*.*")]):
        place = path.relative_to(folder)
        data.append((Link(_place(place), place.as_posix(), is_file=True), _what(place), _size(path)))
    parts = [
        "# Downloads",
        "Everything that the pages of this build show, as files.",
        "## Notebooks",
        "As they were executed, with their outputs; the ones to run are in the folder `notebooks/` of the project.",
        _table(("file", "page"), executed),
        "## Data behind the tables",
        "Places are those in the run's folder; metrics are named and defined in [What is measured](../metrics.md).",
        _table(("file", "what it holds", "size"), data),
    ]
    return "\n\n".join(parts) + "\n"


def _title(path: Path) -> str:
    import nbformat

    cells = nbformat.read(path, as_version=4).cells
    return cells[0].source.partition("\n")[0].removeprefix("# ") if cells else path.stem


def _place(place: Path) -> str:
    """A copied file's place in its run's folder."""
    parts = list(place.parts)
    if parts[0] == "data":
        return "/".join(parts[1:])
    return "/".join([*parts[1:-1], "results", parts[-1]])


def _what(place: Path) -> str:
    """What a copied file holds."""
    below = re.sub(r"^s\d+/", "", _place(place))
    return DATA.get(below) or DATA.get(place.name) or ""


def _size(path: Path) -> str:
    kilobytes = path.stat().st_size / 1000
    return f"{kilobytes:.0f} kB" if kilobytes >= 1 else "below 1 kB"


def status_page(shown: Mapping[str, Any], *, pages: Collection[str]) -> str:
    """Text of the page that says what made the build: what `s2f.report.book.status` found, and the pages' names."""
    rows = shown["rows"]
    about = {name: shown[name] for name in ("run", "profile")} | {"label": shown["label"] or "none"}
    about |= {
        key: prose.several(row.get(key) for row in rows) for key in ("seed", "commit", "machine", "device", "threads")
    }
    about["times of all notebooks together"] = _minutes(sum(_number(row.get("wall_time_s")) for row in rows))
    highest = max((_number(row.get("peak_memory_mb")) for row in rows), default=0)
    about["highest peak memory"] = _megabytes(highest)
    recorded = ("seed", "device", "threads", "finished")
    each = [
        (
            Link(row["notebook"], f"{row['notebook']}.ipynb") if row["notebook"] in pages else row["notebook"],
            *(prose.moment(row[key]) if key == "finished" and row.get(key) else row.get(key) for key in recorded),
            _minutes(_number(row.get("wall_time_s"))),
            _megabytes(_number(row.get("peak_memory_mb"))),
        )
        for row in rows
    ]
    versions: dict[str, set[str]] = {}
    for row in rows:
        for package, version in (row.get("packages") or {}).items():
            versions.setdefault(package, set()).add(str(version))
    parts = [
        "# Status of this build",
        shown["text"],
        "This page is written when the book is built, from what each notebook recorded about its own run.",
        "## The run",
        _table(("what", "value"), list(about.items())),
        "## Notebooks",
        "Times are wall-clock times; some notebooks ran beside one another.",
        _table(("notebook", *recorded, "time", "peak memory"), each),
        "## Versions",
        _table(
            ("package", "version"), [(package, prose.several(found)) for package, found in sorted(versions.items())]
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _table(header: tuple[str, ...], rows: list[tuple]) -> str:
    if not rows:
        return "Nothing was recorded."
    cells = [["" if cell is None else _cell(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *cells])


def _cell(cell: Any) -> str:
    text = prose.plain_markdown(cell.text if isinstance(cell, Link) else cell)
    if isinstance(cell, Link):
        return f"{{download}}`{cell.text} <{cell.to}>`" if cell.is_file else f"[{text}]({cell.to})"
    return text


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def _megabytes(megabytes: float) -> str:
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"
