"""The whole study through Snakemake: what depends on what, one study at a time, and a clean start after a kill."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from s2f import files, provenance
from s2f.errors import ParameterError, RunError, nearest
from s2f.study import notebooks, params
from s2f.study.stages import ALL, GENERAL, OWN, STAGES, THOROUGH, VARIANTS, Stage


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
    int, Snakemake's exit status

    Raises
    ------
    ParameterError, RunError: wrong parameters; overrides without a label; another study is running
    """
    root = params.project_root()
    params.resolve(asked["profile"], overrides=asked["overrides"], root=root)
    settings_of_engine = root / "workflow" / "profiles" / workflow_profile
    if not (settings_of_engine / "config.yaml").is_file():
        known = sorted(path.parent.name for path in (root / "workflow" / "profiles").glob("*/config.yaml"))
        problem = "is no folder of workflow/profiles"
        raise ParameterError(f"--workflow-profile {workflow_profile}", problem, remedy=nearest(workflow_profile, known))
    if asked["overrides"] and not asked["label"]:
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
        config = root / "runs" / ".study.json"
        files.write_json(config, asked)
        command += ["--cores", str(n_cores), "--rerun-incomplete", "--configfile", str(config)]
        command += ["--workflow-profile", str(settings_of_engine)]
        if dry_run:
            return subprocess.run([*command, "--dry-run"], check=False).returncode
        waiting = subprocess.run([*command, "--dry-run"], check=False, capture_output=True, text=True)
        if waiting.returncode == 0 and "Nothing to be done" in waiting.stdout + waiting.stderr:
            print("Everything is up to date: nothing to do.")
            return 0
        return subprocess.run([*command, "--quiet", "rules", "host"], check=False).returncode


class Graph:
    """What the Snakefile asks: which runs there are, and what each rule reads, leaves, depends on and runs.

    Parameters
    ----------
    asked : mapping, profile, label, n_seeds, thorough, book and overrides, as `run` writes them down
    root : Path, the project's folder
    """

    def __init__(self, asked: Mapping[str, Any], *, root: Path) -> None:
        self.root, self.profile, label = root, asked["profile"], asked["label"]
        self.seeds, self.with_book = range(asked["n_seeds"]), asked["book"]
        plain = params.resolve(self.profile, root=root)
        self.main, self.plain = self._folder(label), self._folder("")
        # The main run has every variant; those beside it have General alone.
        self.beside = {} if label else {self._folder(name): given for name, given in plain.beside.items()}
        # The thorough study also has, of its first seed, a run without held-out people and one with a planted leak.
        extra = dict(THOROUGH) if asked["thorough"] and not label else {}
        if plain.corpus.kind != "synthetic":
            extra.pop("leak", None)  # only there can one be planted
        self.extra = {name: self._folder(name) for name in extra}
        self.overrides = {self.plain: {}, self.main: asked["overrides"], **self.beside}
        self.overrides |= {self._folder(name): given for name, given in extra.items()}
        self.settings = {
            (run, variant): params.resolve(self.profile, variant=variant, overrides=given, root=root)
            for run, given in self.overrides.items()
            for variant in VARIANTS
        }
        self.n_threads = self.settings[self.main, "general"].machine.n_threads

    def _folder(self, label: str) -> str:
        return f"{self.profile}-{label}" if label else self.profile

    def _made(self, name: str, run: str, seed: int, *, variants: Iterable[str]) -> list[str]:
        """Files that say that a stage is done, in the plain run where that has the same parameters."""
        found = []
        for variant in variants:
            own, plain = (
                params.fingerprint(self.settings[place, variant], name, seed=seed) for place in (run, self.plain)
            )
            place = self.plain if own == plain else run
            found.append(f"runs/{place}/s{seed}/" + STAGES[name].leaves[0].format(variant=variant))
        return list(dict.fromkeys(found))

    def _variants(self, run: str) -> list[str]:
        """A corpus without genders has General alone."""
        return self.settings[run, "general"].variants

    def wanted(self, _: Any = None) -> list[str]:
        """What the study ends with: the pages of every seed, and the book."""
        pages = [f"runs/{self.main}/s{seed}/{stage.leaves[0]}" for seed in self.seeds for stage in LAST]
        return pages + (["_build/html/index.html"] if self.with_book else [])

    def shown(self) -> list[str]:
        """Pages of the run that the book shows."""
        return [f"runs/{self.main}/s{self.seeds[0]}/{stage.leaves[0]}" for stage in LAST]

    def pages(self) -> list[str]:
        """Files that the book is built from, beside the notebooks."""
        book = (path for path in sorted((self.root / "book").rglob("*")) if path.is_file())
        parts = (path.relative_to(self.root) for path in book)
        return ["_config.yml", *(str(path) for path in parts if not {"runs", "__pycache__"} & set(path.parts))]

    def code(self, module: str) -> str:
        """Key of the code that a module and what it uses compute."""
        return provenance.code_key(module)

    def inputs(self, stage: Stage) -> Callable[[Any], list[str]]:
        """Files that a stage reads, for the wildcards of a job."""

        def of(wildcards: Any) -> list[str]:
            run, seed = wildcards.run, int(wildcards.seed)
            who = {OWN: [getattr(wildcards, "variant", "general")], GENERAL: ["general"], ALL: self._variants(run)}
            found = [path for name, whose in stage.needs for path in self._made(name, run, seed, variants=who[whose])]
            if run == self.main and seed == self.seeds[0]:  # the page that the book shows
                found += self._shown_beside(stage, seed)
            if stage.notebook == "07_results":
                found += [
                    path
                    for beside in self.beside
                    for path in self._made("06_metrics", beside, seed, variants=["general"])
                ]
            return found

        return of

    def _shown_beside(self, stage: Stage, seed: int) -> list[str]:
        """What the first seed's page shows of other seeds and of the thorough study's other runs."""
        name = "06_metrics" if stage.notebook == "07_results" else stage.notebook
        run, found = self.main, []
        if stage.pools_seeds:
            for other in self.seeds[1:]:
                found += self._made(
                    name, run, other, variants=self._variants(run) if name == "06_metrics" else ["general"]
                )
        other_run = {"07_results": self.extra.get("closed"), "09_known_answer": self.extra.get("leak")}.get(
            stage.notebook
        )
        if other_run:
            found += self._made(
                name, other_run, seed, variants=self._variants(other_run) if name == "06_metrics" else ["general"]
            )
        return found

    def shards(self, wildcards: Any) -> list[str]:
        """What the jobs that share a store's shards leave; nothing where the notebook makes them."""
        n = self.settings[wildcards.run, "general"].store.n_jobs
        return [f"runs/{wildcards.run}/s{wildcards.seed}/shards/{part}-of-{n}.done" for part in range(n)]

    def section(self, name: str) -> Callable[[Any], str]:
        """What a stage depends on, as one string: its parameters, and the code of its notebook with what that uses."""
        code = provenance.code_key(source=notebooks.code(self.root / "notebooks" / f"{name}.ipynb"))

        def of(wildcards: Any) -> str:
            settings = self.settings[wildcards.run, getattr(wildcards, "variant", "general")]
            return f"{params.section_json(settings, name, seed=int(wildcards.seed))} {code}"

        return of

    def papermill(self, wildcards: Any) -> str:
        """Parameters of papermill for a job."""
        words = ["-p", "profile", self.profile, "-p", "seed", wildcards.seed]
        words += ["-p", "variant", wildcards.variant] if hasattr(wildcards, "variant") else []
        if label := wildcards.run.partition("-")[2]:
            words += ["-p", "label", label, "-y", json.dumps({"overrides": self.overrides[wildcards.run]})]
        return shlex.join(map(str, words))

    def command_words(self, wildcards: Any) -> list[str]:
        """The same for a command of ``python -m s2f``."""
        words = ["--profile", self.profile, "--seed", str(wildcards.seed)]
        words += ["--variant", wildcards.variant] if hasattr(wildcards, "variant") else []
        if label := wildcards.run.partition("-")[2]:
            words += ["--label", label]
            for key, value in self.overrides[wildcards.run].items():
                words += ["--set", f"{key}={json.dumps(value)}"]
        return words

    def preprocess(self, wildcards: Any) -> str:
        """The command that makes a job's share of a store's shards."""
        words = [*self.command_words(wildcards), "--part", wildcards.part, "--of", wildcards.n_parts]
        return shlex.join([sys.executable, "-m", "s2f", "preprocess", *map(str, words)])

    def on_all_nodes(self, wildcards: Any) -> str:
        """What starts a training on several machines; the notebook then finds all steps done."""
        n = self.settings[wildcards.run, wildcards.variant].machine.n_nodes
        if n == 1:
            return ""
        train = shlex.join([sys.executable, "-m", "s2f", "train", *self.command_words(wildcards)])
        meet = '--set machine.rendezvous=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1):29500'
        return f"srun --nodes={n} --ntasks-per-node=1 {train} {meet} &&"


LAST = tuple(stage for stage in STAGES.values() if stage.is_last)


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
