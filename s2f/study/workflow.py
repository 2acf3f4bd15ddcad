"""The whole study through Snakemake: what depends on what, one study at a time, and a clean start after a kill."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from filelock import FileLock, Timeout

from s2f import files
from s2f.errors import ParameterError, RunError, nearest
from s2f.study import params

VARIANTS = ("general", "females", "males")


def run(
    *,
    profile: str,
    label: str = "",
    overrides: Mapping[str, Any] | None = None,
    n_seeds: int = 1,
    thorough: bool = False,
    n_cores: int = 2,
    book: bool = True,
    dry_run: bool = False,
    workflow_profile: str = "local",
) -> int:
    """Run what is missing or out of date of a profile's study, then build the book.

    Only one study runs in a checkout at a time. After a kill, what an earlier Snakemake left locked is freed,
    a notebook that still runs is waited for, and unfinished outputs are made again.

    Returns
    -------
    int
        Snakemake's exit status.

    Raises
    ------
    ParameterError, RunError
        Wrong parameters; overrides without a label; another study is running.
    """
    root = params.project_root()
    params.resolve(profile, overrides=overrides, root=root)
    settings_of_engine = root / "workflow" / "profiles" / workflow_profile
    if not (settings_of_engine / "config.yaml").is_file():
        known = sorted(path.parent.name for path in (root / "workflow" / "profiles").glob("*/config.yaml"))
        raise ParameterError(
            f"--workflow-profile {workflow_profile}",
            "is no folder of workflow/profiles",
            remedy=nearest(workflow_profile, known),
        )
    if overrides and not label:
        raise ParameterError("--set", "needs --label", remedy="Name the run, as in --label mine.")
    (root / "runs").mkdir(exist_ok=True)
    lock = FileLock(root / "runs" / ".study.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(
            "the study", "is already running in this folder", remedy="Wait until it ends, or stop it."
        ) from error
    with lock:
        _wait_for_notebooks(root)
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile"), "--directory", str(root)]
        if any((root / ".snakemake" / "locks").glob("*")):
            subprocess.run([*command, "--unlock", "--quiet", "all"], check=True)
        settings = {
            "profile": profile,
            "label": label,
            "n_seeds": n_seeds,
            "thorough": thorough,
            "book": book,
            "overrides": dict(overrides or {}),
        }
        asked = root / "runs" / ".study.json"
        files.write_json(asked, settings)
        command += ["--cores", str(n_cores), "--rerun-incomplete", "--configfile", str(asked)]
        command += ["--workflow-profile", str(settings_of_engine)]
        if dry_run:
            return subprocess.run([*command, "--dry-run"], check=False).returncode
        waiting = subprocess.run([*command, "--dry-run"], check=False, capture_output=True, text=True)
        if waiting.returncode == 0 and "Nothing to be done" in waiting.stdout + waiting.stderr:
            print("Everything is up to date: nothing to do.")
            return 0
        return subprocess.run([*command, "--quiet", "rules", "host"], check=False).returncode


def modules_of(path: Path, *, root: Path) -> list[str]:
    """Files of `s2f` that a notebook or module uses, directly or through others, relative to `root`.

    Found from import statements, those inside functions included; `s2f/__init__.py` counts only with what it
    imports at once, since everything imports it.
    """
    waiting, found = [path], set()
    while waiting:
        current = waiting.pop()
        for module in _imports(current, root=root):
            if module not in found:
                found.add(module)
                waiting.append(root / module)
    return sorted(found)


def _imports(path: Path, *, root: Path) -> set[str]:
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        source = "\n".join(c.source for c in cells if c.cell_type == "code" and not c.source.startswith("%"))
    else:
        source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    light = path == root / "s2f" / "__init__.py"
    names: set[str] = set()
    for node in tree.body if light else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    found = set()
    for name in names:
        parts = name.split(".")
        if parts[0] != "s2f":
            continue
        for n in range(1, len(parts) + 1):
            stem = Path(*parts[:n])
            for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
                if (root / candidate).is_file():
                    found.add(candidate.as_posix())
    return found


def _wait_for_notebooks(root: Path) -> None:
    said = False
    for path in sorted((root / "runs").glob("*/s*/.locks/*.lock")):
        lock = FileLock(path)
        while True:
            try:
                lock.acquire(timeout=0)
                lock.release()
                break
            except Timeout:
                if not said:
                    shown = path.parent.parent.relative_to(root) / path.stem
                    print(f"Waiting: a notebook of an earlier run still writes {shown}. Ctrl-C to give up.", flush=True)
                    said = True
                time.sleep(1)
