"""The book: takes one run's executed notebooks, says on every page which run that is, builds the pages."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import nbformat
import yaml

from s2f import files
from s2f.errors import RunError, S2FError
from s2f.report import book_checks, book_pages, card, chapter_figures, kept_runs, live, moving_figures
from s2f.settings import Settings
from s2f.study import params, stages
from s2f.study.finished import Finished, settings_of
from s2f.study.graph import MADE_FROM, book_sources
from s2f.study.pages import check_executed

# What a reader must know about a run before looking at a number; of other profiles, what their people are.
KINDS = MappingProxyType(
    {
        "smoke": "Smoke build: it only shows that everything runs, and no number or picture on it is a result.",
        "demo": "Profile demo: synthetic voices and faces, small networks, minutes of training.",
        "evening": "Profile evening: synthetic voices and faces, networks of half width, about an hour of training.",
        "synthetic": "Profile synthetic: synthetic voices and faces at the poster's scale.",
    }
)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
OUTPUTS = (".png", ".svg", ".csv")  # of the results folders, taken into the book beside the notebooks
BEHIND = (  # of a seed's folder: what its tables are made of
    *("corpus/*.csv", "corpus/summary.json", "store/rejected.csv", "voice/metrics.json", "measure/quality.json"),
    *("*/metrics.json", "*/experiments.csv", "*/draws.json", "answer/answer.json", "answer/pooled.json"),
)
OF_VARIANTS = MappingProxyType({"05_training": "Training", "06_metrics": "Metrics"})  # pages that each variant has
MADE = frozenset({"status", "downloads"})  # pages that the build writes


def build(
    root: Path, profile_run_folder: Path, notebooks: Mapping[str, Path], out: Path | None = None, *, seed: int = 0
) -> Path:
    """Copy a run's executed notebooks into the book, write its status page, and build the pages.

    Parameters
    ----------
    root : Path, the project's folder: holds ``_config.yml`` and ``book/``
    profile_run_folder : Path
        The run, ``runs/<profile>[-<label>]``; what its notebooks recorded about themselves makes the status
        page, and the tables and figures of its ``results`` folders are copied too.
    notebooks : mapping of str to Path, page name (``05_training_females``) to executed notebook
    out : Path, optional, folder in which ``_build/html`` appears; the root by default
    seed : int, whose notebooks these are

    Returns
    -------
    Path, ``index.html`` of the built book

    Raises
    ------
    RunError
        A notebook is missing, was not executed to its end, or holds an error or a figure without words; a page of
        the table of contents has no notebook; the build warned; or a page has a fault (`s2f.report.book_checks`).
    """
    from filelock import FileLock

    root, run = Path(root).resolve(), Path(profile_run_folder).resolve()
    out = root if out is None else Path(out).resolve()
    for name, path in notebooks.items():
        book_pages.check_words(check_executed(Path(path), name=name), Path(path))
    _check_pages(root, notebooks)
    (root / "_build").mkdir(parents=True, exist_ok=True)
    with FileLock(root / "_build" / ".book.lock"):  # two profiles share book/runs
        for left in [*(root / "book").glob(".runs.*"), *(out / "_build").glob(".html.*")]:
            shutil.rmtree(left)  # of a build that was killed
        made_from = book_sources(root, run.name, seed)
        _place(root, run, notebooks, seed=seed)
        return _render(root, out, made_from=made_from, run=run, seed=seed)


def status(run: Path) -> dict[str, Any]:
    """What the banner and the status page say: the run's name and kind, and one row a notebook.

    Each notebook leaves its provenance beside its executed copy, ``s<seed>/notebooks/<name>.json``.

    Parameters
    ----------
    run : Path, ``runs/<profile>[-<label>]``

    Returns
    -------
    dict, ``run``, ``profile``, ``label``, ``kind``, ``text`` (the banner's), ``rows`` (name and provenance)

    Raises
    ------
    RunError: a provenance file does not hold a mapping
    """
    profile, _, label = run.name.partition("-")
    rows = []
    for path in sorted(run.glob("**/notebooks/*.json")):
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise RunError(path, "does not hold a mapping", remedy="Delete it and run the study again.")
        rows.append({"notebook": path.stem} | values)
    text = KINDS.get(profile) or f"Profile {profile}: {_corpus(run)}."
    if label:
        text += f" Label {label}."
    seeds = sorted({str(row["seed"]) for row in rows if row.get("seed") is not None})
    if seeds:
        text += f" Seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}."
    kind = "smoke" if profile == "smoke" else "result"
    return {"run": run.name, "profile": profile, "label": label, "kind": kind, "text": text, "rows": rows}


def _corpus(run: Path) -> str:
    """What the people of a run are, by the parameters of its first seed that has a corpus."""
    found = next(iter(sorted(run.glob("s*/corpus/params.yaml"))), None)
    is_synthetic = found is not None and settings_of(found.parent).corpus.kind == "synthetic"
    return "synthetic voices and faces" if is_synthetic else "real recordings and photographs"


def pages(root: Path) -> set[str]:
    """Names of the executed notebooks that the table of contents wants."""
    toc = yaml.safe_load((root / "book" / "_toc.yml").read_text(encoding="utf-8"))
    return {Path(page).name for page in _files(toc) if Path(page).parent == Path("runs")} - MADE


def executed_pages(root: Path, executed: Path, *, instead: Path) -> dict[str, Path]:
    """The executed notebook of every page; for what the run does not have, a page that says so.

    A labelled run takes the pages of what it shares with the plain run of its profile from there.

    Parameters
    ----------
    executed : Path, ``runs/<run>/s<seed>/notebooks``
    instead : Path, folder for the pages of variants and stages that the run does not have

    Raises
    ------
    RunError: the run was made by another version
    """
    results = executed.parent / "results"
    settings = settings_of(results) if (results / "params.yaml").is_file() else None
    finished, found = Finished(executed.parent), {}
    for name in pages(root):
        found[name] = finished.page(name)
        if settings and (text := _absent(name, settings)):
            found[name] = instead / f"{name}.ipynb"
            nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]), found[name])
    return found


def _absent(name: str, settings: Settings) -> str | None:
    """What a page says that a run with these parameters does not have; None where it has the page."""
    stage, _, variant = name.rpartition("_")
    if (what := OF_VARIANTS.get(stage)) and variant not in settings.variants:
        has = ", ".join(settings.variants)
        return f"# {what}, {variant.title()}: not in this run\n\nThis run has the variants: {has}."
    if name in stages.STAGES and not stages.in_run(name, settings):
        why = f"recipe `{settings.recipe}` draws a face from the voice embedding itself, by way of no face code"
        return f"# Face code: not in this run\n\nThere is none to learn: {why}."
    return None


def main(words: list[str] | None = None) -> int:
    """``python -m s2f.report.book demo 0``: build the book from seed 0 of ``runs/demo``; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m s2f.report.book", description=main.__doc__)
    parser.add_argument("run", help="a folder of runs/: <profile> or <profile>-<label>")
    parser.add_argument("seed", type=int, help="the seed whose notebooks are shown")
    arguments = parser.parse_args(words)
    try:
        root = params.project_root()
        run = root / "runs" / arguments.run
        executed = run / f"s{arguments.seed}" / "notebooks"
        with tempfile.TemporaryDirectory() as folder:
            index = build(root, run, executed_pages(root, executed, instead=Path(folder)), seed=arguments.seed)
    except (S2FError, OSError) as error:
        refused = files.refusal(error) if isinstance(error, OSError) else error
        if refused is None:
            raise
        print(f"error: {refused}", file=sys.stderr)
        return 2
    print(f"The book: {index.as_uri()}")
    return 0


def _check_pages(root: Path, notebooks: Mapping[str, Path]) -> None:
    wanted = pages(root)
    for problem, names in (
        ("has no executed notebook", wanted - set(notebooks)),
        ("is not in the table of contents", set(notebooks) - wanted),
    ):
        if names:
            raise RunError(
                root / "book" / "_toc.yml",
                f"does not match the run: page {', '.join(sorted(names))} {problem}",
                remedy="Give one executed notebook for each page of runs/ in that file.",
            )


def _files(toc: Any) -> Iterable[str]:
    for key, value in toc.items() if isinstance(toc, Mapping) else enumerate(toc if isinstance(toc, list) else []):
        yield from [value] if key in ("file", "root") else _files(value)


def _place(root: Path, run: Path, notebooks: Mapping[str, Path], *, seed: int) -> None:
    """Fill book/runs anew, so that nothing of an earlier run stays."""
    with files.whole_folder(root / "book" / "runs") as new:
        for name, path in notebooks.items():
            nbformat.write(book_pages.page(nbformat.read(path, as_version=4), name=name), new / f"{name}.ipynb")
        for path in sorted(run.rglob("results/*")):
            if path.suffix in OUTPUTS:
                place = new / "results" / path.relative_to(run).parent.parent / path.name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)
        for path in _results(notebooks):  # pictures once more, at a place that chapters can name
            if path.suffix in OUTPUTS and path.suffix != ".csv":
                (new / "results").mkdir(exist_ok=True)
                shutil.copyfile(path, new / "results" / path.name)
        for name, path in _behind(Finished(run / f"s{seed}")).items():
            place = new / "data" / f"s{seed}" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
        chapter_figures.write(chapter_figures.Run.of(run, seed=seed), notebooks, new / "figures")
        kept_runs.write_pages(root, new / "kept")
        shown = status(run)
        files.write_json(new / "status.json", {key: value for key, value in shown.items() if key != "rows"})
        files.write_text(new / "status.md", book_pages.status_page(shown, pages=notebooks))
        files.write_text(new / "downloads.md", book_pages.downloads_page(new))


def _behind(finished: Finished) -> dict[str, Path]:
    """What the tables of a run are made of, by its name in the folder of a seed; a labelled run shares some of it."""
    shared = {path.name for path in finished.made_of.values() if path.parent != finished.home}
    found = {}
    for home in (finished.plain, finished.home):
        for path in sorted({path for pattern in BEHIND for path in home.glob(pattern)}):
            name = path.relative_to(home)
            left = name.parts[0] in stages.VARIANTS and not finished.has(name.parts[0])  # of an earlier question
            if not left and (home == finished.home or name.parts[0] in shared):
                found[name.as_posix()] = path
    return found


def _results(notebooks: Mapping[str, Path]) -> list[Path]:
    """Tables and figures of the seed that is shown, ``runs/<run>/s<seed>/results``, where its page is among them."""
    pages = [Path(path) for name, path in notebooks.items() if name.startswith("07")]
    return [path for page in pages for path in sorted((page.parents[1] / "results").glob("*"))]


def _render(root: Path, out: Path, *, made_from: Mapping[str, str], run: Path, seed: int) -> Path:
    """Build the pages; a failed build leaves the earlier ones as they were."""
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(root / "book")]
    command += ["--config", str(root / "_config.yml"), "--all", "-n", "-W", "--keep-going"]
    command += ["--toc", str(_toc(root, root / "_build" / "_toc.yml"))]
    html = out / "_build" / "html"
    with files.whole_folder(html) as new:
        log, scratch = html.parent / "book.log", new.with_name("scratch")  # gone with the folder around both
        problems = _run([*command, "--path-output", str(scratch)], log=log, cwd=root)
        if problems is not None:
            raise RunError(
                log, f"says why the book was not built:\n{problems}", remedy="Mend what it names, and build again."
            )
        files.move(scratch / "_build" / "html", new)
        for page in new.glob("*.html"):
            page.write_text(book_pages.without_units(page.read_text(encoding="utf-8")), encoding="utf-8")
        live.write(run, new, seed=seed)
        moving_figures.place(root / "book" / "runs" / "figures", new)
        files.write_json(new / MADE_FROM, made_from)
        card.draw(card.of_run(Finished(run / f"s{seed}")), status(run)["text"], new / "_static" / "card.png")
        book_checks.check(new, place=html)
    return html / "index.html"


def _toc(root: Path, path: Path) -> Path:
    """Table of contents with the pages of kept results, where there are any."""
    toc = yaml.safe_load((root / "book" / "_toc.yml").read_text(encoding="utf-8"))
    pages = [{"file": f"runs/kept/{kept.name}/index"} for kept in kept_runs.kept(root)]
    if pages:
        if "parts" in toc:
            toc["parts"].insert(-1, {"caption": "Kept results", "chapters": pages})
        else:  # a book without parts is a list of chapters
            toc["chapters"] = [*toc.get("chapters", []), *pages]
    files.write_yaml(path, toc)
    return path


def _run(command: list[str], *, log: Path, cwd: Path) -> str | None:
    """Run a command, its output to a log and its complaints to stderr; return None, or why it failed."""
    last: deque[str] = deque(maxlen=15)
    complaints = []
    pipe: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    with open(log, "w", encoding="utf-8") as record, subprocess.Popen(command, cwd=cwd, **pipe) as process:
        assert process.stdout is not None  # a pipe
        for coloured in process.stdout:
            line = COLOUR.sub("", coloured)
            record.write(line)
            last.append(line.rstrip())
            if any(word in line for word in ("WARNING", "ERROR", "CRITICAL")):
                sys.stderr.write(line)
                complaints.append(line.rstrip())
    return None if process.returncode == 0 else "\n".join(complaints[:30] or last)


if __name__ == "__main__":
    sys.exit(main())
