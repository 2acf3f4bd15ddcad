"""The whole study through Snakemake: what depends on what, one study at a time, and a clean start after a kill."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from s2f import files
from s2f.errors import ParameterError, RunError, nearest
from s2f.study import environment, pages, params
from s2f.study.graph import BOOK, CODE_CHANGED, Graph
from s2f.study.screen import Screen

LOG = Path("runs", "study.log")  # all that the last run of the engine said
# As jupyter_client says it. It finds free ports for a kernel that binds them later, when another may have taken one.
NO_KERNEL = "Kernel died before replying to kernel_info"


def run(asked: Mapping[str, Any], *, n_cores: int = 2, dry_run: bool = False, workflow_profile: str = "local") -> int:
    """Run what is missing or out of date of a profile's study, then build the book.

    Only one study runs in a checkout at a time. After a kill, what an earlier Snakemake left locked is freed,
    a notebook that still runs is waited for, and unfinished outputs are made again.

    Parameters
    ----------
    asked : mapping, profile, label, n_seeds, thorough, book (whether it is built) and overrides
    n_cores : int, cores that Snakemake may use
    dry_run : bool, only say what would run, and why
    workflow_profile : str, a folder of workflow/profiles

    Returns
    -------
    int, exit status 0

    Raises
    ------
    ParameterError, RunError: wrong parameters; overrides without a label; another study is running; a stage failed
    """
    root = params.project_root()
    graph = Graph(asked, root=root)
    settings_of_engine = root / "workflow" / "profiles" / workflow_profile
    if not (settings_of_engine / "config.yaml").is_file():
        known = sorted(path.parent.name for path in (root / "workflow" / "profiles").glob("*/config.yaml"))
        problem = "is no folder of workflow/profiles"
        raise ParameterError(f"--workflow-profile {workflow_profile}", problem, remedy=nearest(workflow_profile, known))
    if asked["overrides"] and not asked["label"]:
        raise ParameterError("--set", "needs --label", remedy="Name the run, as in --label mine.")
    _check_networks(graph)
    (root / "runs").mkdir(exist_ok=True)
    lock = FileLock(root / "runs" / ".study.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(
            "the study", "is already running in this folder", remedy="Wait until it ends, or stop it."
        ) from error
    with lock:
        if not dry_run:
            _wait_for_notebooks(root, {job.run for job in graph.jobs()})
        waiting = graph.unfinished()
        book = graph.book_problem() if asked["book"] and not waiting else None
        for job, why in waiting.items() if dry_run else ():
            print(f"{job}: {why}")
        if dry_run and asked["book"] and (waiting or book):
            print(f"the book: {book or 'its pages run'}")
        if not waiting and not book:
            print("Everything is up to date: nothing to do.")
        elif not dry_run:
            words = ["--cores", str(n_cores), "--workflow-profile", str(settings_of_engine)]
            _level_times(root / path for path in graph.outputs(set(graph.jobs()) - set(waiting)))
            before = {job: pages.failure(root / job.page) for job in waiting}
            stopped = _run_engine(asked, root, graph.outputs(waiting), words=words)
            if stopped and NO_KERNEL in (root / LOG).read_text(encoding="utf-8"):
                print("The kernel of a notebook did not start: what is left is run once more.", flush=True)
                stopped = _run_engine(asked, root, graph.outputs(graph.unfinished()), words=words)
            for job in waiting:
                if (failed := pages.failure(root / job.page)) and failed != before[job]:
                    raise RunError(str(job), f"stopped: {failed.said}", remedy=f"The whole notebook: {job.page}")
            if stopped:
                remedy = f"The lines above say more, and {LOG} all."
                raise RunError("the study", f"stopped: {stopped.rstrip(':')}", remedy=remedy)
            for job, why in graph.unfinished().items():
                problem = f"is not finished, though it ran: {why}"
                remedy = "Run the notebook by hand to see what is wrong with it."
                if why == CODE_CHANGED:
                    remedy = "A file of the code was saved meanwhile: run the study again."
                raise RunError(str(job), problem, remedy=remedy)
        if asked["book"] and not dry_run:
            print(f"The book: {(root / BOOK).as_uri()}")
    return 0


def _check_networks(graph: Graph) -> None:
    """Refuse files of networks that are not there before hours go by until one is loaded."""
    for settings in graph.settings.values():
        named, own = {"voice.checkpoint": settings.voice.checkpoint}, settings.measure
        named |= {f"measure.{key}": getattr(own, key) for key in ("inception", "face_identity", "face_gender")}
        for key, file in named.items():
            if file is not None and not (graph.root / file).is_file():
                remedy = "Give a file's path, from the project's folder or whole, or null for none of your own."
                raise ParameterError(f"parameter '{key}'", f"is '{file}', and no such file is there", remedy=remedy)


def _run_engine(asked: Mapping[str, Any], root: Path, again: Sequence[str], *, words: Sequence[str]) -> str | None:
    """Let Snakemake make files again, in an order that their inputs allow; None, or the last error that it showed."""
    home = root / "runs" / ".jupyter"
    home.mkdir(parents=True, exist_ok=True)  # or every notebook makes a temporary folder instead, and warns
    variables = environment.of_engine(os.environ, home=home)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile"), "--directory", str(root)]
    config = root / "runs" / ".study.json"
    files.write_json(config, asked)
    command += ["--configfile", str(config)]
    if any((root / ".snakemake" / "locks").glob("*")):
        subprocess.run([*command, "--unlock", "--quiet", "all"], check=True, cwd=root, env=variables)
    # What runs is decided: of Snakemake's own reasons, only times of files cannot be turned off.
    command += ["--rerun-incomplete", "--rerun-triggers", "mtime", *words]
    command += ["--quiet", "rules", "host", "--forcerun", *again]
    said = []
    pipe: dict[str, Any] = {"stderr": subprocess.PIPE, "text": True, "encoding": "utf-8", "errors": "replace"}
    with (
        (root / LOG).open("w", encoding="utf-8") as whole,
        subprocess.Popen(command, cwd=root, env=variables, **pipe) as engine,
    ):
        assert engine.stderr is not None  # a pipe
        screen = Screen(sys.stderr, whole=whole)
        for line in engine.stderr:
            screen.show(line)
            if line.startswith("error: "):
                said.append(line.removeprefix("error: ").strip().rstrip("."))
    return None if engine.returncode == 0 else said[-1] if said else f"Snakemake ended with status {engine.returncode}"


def _level_times(paths: Iterable[Path]) -> None:
    """Give what is finished one time, or Snakemake would make again what a copy or an editor touched."""
    now = time.time()
    for path in paths:
        if path.is_file():
            os.utime(path, (now, now))


def _wait_for_notebooks(root: Path, runs: Iterable[str]) -> None:
    """Wait until nobody else writes what belongs to runs."""
    said = False
    for path in sorted(path for run in runs for path in (root / "runs" / run).glob("s*/.locks/*.lock")):
        lock = FileLock(path)
        while True:
            try:
                lock.acquire(timeout=0)
                lock.release()
                break
            except Timeout:
                if not said:
                    shown = path.parent.parent.relative_to(root) / path.stem
                    print(
                        f"Waiting: a notebook writes {shown}, or is open and holds it. "
                        "Wait, shut its kernel down, or press Ctrl-C to give up.",
                        flush=True,
                    )
                    said = True
                time.sleep(1)


def main(arguments: argparse.Namespace) -> int:
    """``python -m s2f study``."""
    asked = {
        "profile": arguments.profile,
        "label": arguments.label,
        "n_seeds": arguments.seeds or (3 if arguments.thorough else 1),
        "thorough": arguments.thorough,
        "book": not arguments.no_book,
        "overrides": params.parse_settings(arguments.overrides),
    }
    engine = arguments.workflow_profile
    return run(asked, n_cores=arguments.cores, dry_run=arguments.dry_run, workflow_profile=engine)
