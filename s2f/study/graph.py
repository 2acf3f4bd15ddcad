"""The study as jobs: which there are, what each needs, and which are not finished as things stand now.

What is finished is said by one record, which notebooks write and read as well: ``provenance.json`` in each folder,
and the same beside the executed notebook. Times of files count for nothing, so that a copy is as finished as the
original.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from s2f import provenance
from s2f.errors import ParameterError, RunError
from s2f.study import pages, params, runs, stages
from s2f.study.stages import ALL, GENERAL, OWN, STAGES, THOROUGH, VARIANTS, Stage

LAST = tuple(stage for stage in STAGES.values() if stage.is_last)
BOOK = Path("_build", "html", "index.html")
MADE_FROM = "made_from.json"  # beside it
CODE_CHANGED = "its code changed"


@dataclass(frozen=True)
class Job:
    """One notebook of one run: the variant is general where a stage has no variants."""

    notebook: str
    run: str
    seed: int
    variant: str = "general"

    @property
    def stage(self) -> Stage:
        """What it runs."""
        return STAGES[self.notebook]

    @property
    def folder(self) -> Path:
        """The run's folder, below the project."""
        return Path("runs", self.run, f"s{self.seed}")

    @property
    def record(self) -> str:
        """File, below the project, that says what made its page."""
        return (self.folder / self.stage.record.format(variant=self.variant)).as_posix()

    @property
    def page(self) -> Path:
        """The executed notebook, below the project."""
        return Path(self.record).with_suffix(".ipynb")

    def __str__(self) -> str:
        return f"{self.page.stem} (runs/{self.run}/s{self.seed})"


class Graph:
    """What the Snakefile asks: which runs there are, and what each rule reads, leaves and runs.

    Parameters
    ----------
    asked : mapping, profile, label, n_seeds, thorough, book and overrides, as `s2f.study.workflow.run` writes them
    root : Path, the project's folder

    Raises
    ------
    ParameterError: a profile, label, key or value that cannot be
    """

    def __init__(self, asked: Mapping[str, Any], *, root: Path) -> None:
        self.root, self.profile, label = root, asked["profile"], asked["label"]
        self.seeds, self.with_book = range(asked["n_seeds"]), asked["book"]
        plain = params.resolve(self.profile, root=root)
        for each in (label, *plain.beside):
            params.check_label(each)
        for each in plain.beside:
            if each in THOROUGH:
                problem = f"names a run '{each}', which the thorough study has as one of its own"
                raise ParameterError("parameter 'beside'", problem, remedy="Give it another name.")
        params.check_own(label, profile=self.profile, plain=plain, overrides=asked["overrides"], root=root)
        if asked["thorough"] and label:
            problem = f"is of a whole profile, and '{label}' is one run of it"
            raise ParameterError("--thorough", problem, remedy="Give --seeds 3 instead, or no --label.")
        self.main, self.plain = self._folder(label), self._folder("")
        # The main run has every variant; those beside it have General alone.
        self.beside = {} if label else {self._folder(name): given for name, given in plain.beside.items()}
        # The thorough study also has, of its first seed, a run without held-out people and one with a planted leak.
        extra = dict(THOROUGH) if asked["thorough"] and not label else {}
        if plain.corpus.kind != "synthetic" or plain.corpus.leak:
            extra.pop("leak", None)  # only there can one be planted
        if plain.split.rule == "given":
            extra.pop("closed", None)  # that people are held out was decided by who made the corpus
        self.extra = {name: self._folder(name) for name in extra}
        self.overrides = {self.plain: {}, self.main: asked["overrides"], **self.beside}
        self.overrides |= {self._folder(name): given for name, given in extra.items()}
        self.settings = {
            (run, variant): params.resolve(self.profile, variant=variant, overrides=given, root=root)
            for run, given in self.overrides.items()
            for variant in VARIANTS
        }

    def _folder(self, label: str) -> str:
        return f"{self.profile}-{label}" if label else self.profile

    # What there is to do

    def _jobs(self, name: str, run: str, seed: int, *, variants: Iterable[str]) -> list[Job]:
        """Jobs of a stage, in the plain run where that has the same parameters."""
        found = []
        for variant in variants if STAGES[name].each_variant else ["general"]:
            own, plain = (
                params.fingerprint(self.settings[place, variant], name, seed=seed) for place in (run, self.plain)
            )
            found.append(Job(name, self.plain if own == plain else run, seed, variant))
        return list(dict.fromkeys(found))

    def _variants(self, run: str) -> list[str]:
        """A corpus without genders has General alone."""
        return self.settings[run, "general"].variants

    def _who(self, whose: str, job: Job) -> list[str]:
        return {OWN: [job.variant], GENERAL: ["general"], ALL: self._variants(job.run)}[whose]

    def last(self) -> list[Job]:
        """Jobs that the study ends with: for readers, of every seed."""
        return [Job(stage.notebook, self.main, seed) for seed in self.seeds for stage in LAST]

    def needs(self, job: Job) -> list[Job]:
        """Jobs that must be finished before."""
        run, seed, found = job.run, job.seed, []
        for name, whose in job.stage.needs:
            if stages.in_run(name, self.settings[run, job.variant]):
                found += self._jobs(name, run, seed, variants=self._who(whose, job))
        if run == self.main and seed == self.seeds[0]:  # the page that the book shows
            found += self._shown_beside(job)
        if job.notebook == "07_results":
            for beside in self.beside:
                found += self._jobs("06_metrics", beside, seed, variants=["general"])
        return found

    def _shown_beside(self, job: Job) -> list[Job]:
        """What the first seed's page shows of other seeds and of the thorough study's other runs."""
        if job.stage.pools is None:
            return []
        name, whose = job.stage.pools
        found = []
        for other in self.seeds[1:]:
            found += self._jobs(name, self.main, other, variants=self._who(whose, job))
        other_run = {"07_results": self.extra.get("closed"), "09_known_answer": self.extra.get("leak")}[job.notebook]
        if other_run:
            found += self._jobs(name, other_run, job.seed, variants=self._who(whose, job))
        return found

    def jobs(self) -> list[Job]:
        """Every job of the study, each after those that it needs."""
        found: dict[Job, None] = {}

        def add(job: Job) -> None:
            for need in self.needs(job):
                add(need)
            found.setdefault(job)

        for job in self.last():
            add(job)
        return list(found)

    # What is finished

    def unfinished(self) -> dict[Job, str]:
        """Jobs that must run, in order, and why."""
        found: dict[Job, str] = {}
        for job in self.jobs():
            if why := next(self._problems(job, waiting=found), None):
                found[job] = why
        return found

    def _problems(self, job: Job, *, waiting: Mapping[Job, str]) -> Iterator[str]:
        for need in self.needs(job):
            if need in waiting:
                yield f"{need} runs"
        if not (self.root / job.record).is_file():
            yield f"{job.page} has no record" if (self.root / job.page).is_file() else f"{job.page} is not there"
            return
        made = provenance.read_facts(self.root / job.record)
        if made.id is None or made.inputs is None:
            yield "it was made by an earlier version"
            return
        if made.caller:
            yield f"it was run by hand, where this could change it: {', '.join(made.caller)}"
        yield from self._problems_of_folders(job, made)
        if made.fingerprint != params.fingerprint(self.settings[job.run, job.variant], job.notebook, seed=job.seed):
            yield "its parameters changed"
        if made.code != runs.code_of(job.notebook, root=self.root):
            yield CODE_CHANGED
        yield from self._problems_of_inputs(job, made)
        yield from self._problems_of_page(job, made)

    def _problems_of_folders(self, job: Job, made: provenance.Facts) -> Iterator[str]:
        for what in job.stage.writes:
            found = self._facts(*self._place(job, what))
            if found is None:
                yield f"{what} is not finished"
            elif found.id != made.id:
                yield f"{what} was made again"
        if job.stage.done and not (self.root / job.folder / job.stage.done.format(variant=job.variant)).is_file():
            yield f"{job.stage.done.format(variant=job.variant)} is not there"

    def _problems_of_inputs(self, job: Job, made: provenance.Facts) -> Iterator[str]:
        assert made.inputs is not None
        needed = self._names(self.needs(job))
        shown = {self._folder(label) for label in THOROUGH}  # by pages that do not wait for these
        known = needed | self._parts
        for name in sorted(needed | set(made.inputs)):
            folder, _, notebook = name.rpartition(":")
            if name not in needed and f"/s{job.seed}/" not in f"/{folder}/":
                continue  # another seed's, which this one's page shows but does not wait for
            if name not in known and Path(folder).parts[0] not in shown:
                yield f"{folder} is no part of it any more"
            now = self._facts(self.root / "runs" / folder, notebook)
            if now is None or now.id != made.inputs.get(name):
                yield f"{folder} is another"

    @cached_property
    def _parts(self) -> set[str]:
        """All that the study's jobs write, as records name it."""
        return self._names(self.jobs())

    def _names(self, jobs: Iterable[Job]) -> set[str]:
        return {runs.record_name(*self._place(job, what), root=self.root) for job in jobs for what in job.stage.writes}

    def _problems_of_page(self, job: Job, made: provenance.Facts) -> Iterator[str]:
        try:
            page = pages.check_executed(self.root / job.page, name=job.page.stem)
        except RunError as error:
            yield f"its page {error.problem}"
            return
        if not pages.same_text(page, self.root / "notebooks" / f"{job.notebook}.ipynb"):
            yield "its notebook's text changed"
        if pages.finished_ids(page) != {made.id}:
            yield f"it was run by hand, and {job.page} is older"

    def _place(self, job: Job, what: str) -> tuple[Path, str]:
        """Folder of a part that a job writes, and its notebook."""
        return self.root / job.folder / job.stage.writes[what].format(variant=job.variant), job.notebook

    @staticmethod
    def _facts(folder: Path, notebook: str) -> provenance.Facts | None:
        return provenance.read_stages(folder).get(notebook)

    def book_problem(self) -> str | None:
        """Why the book must be built again; None where it shows what is there."""
        try:
            made = json.loads((self.root / BOOK).with_name(MADE_FROM).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            made = None
        if made is None or not (self.root / BOOK).is_file():
            return "it is not there"
        now = book_sources(self.root, self.main, self.seeds[0])
        return None if made == now else "it was built from other files"

    # What the Snakefile asks

    def wanted(self, _: Any = None) -> list[str]:
        """What the study ends with: the pages of every seed, and the book."""
        return [job.record for job in self.last()] + ([BOOK.as_posix()] if self.with_book else [])

    def shown(self) -> list[str]:
        """Records of the run that the book shows."""
        return [job.record for job in self.last() if job.seed == self.seeds[0]]

    def inputs(self, stage: Stage) -> Callable[[Any], list[str]]:
        """Records that a stage waits for, for the wildcards of a job."""

        def of(wildcards: Any) -> list[str]:
            variant = getattr(wildcards, "variant", "general")
            return [
                need.record for need in self.needs(Job(stage.notebook, wildcards.run, int(wildcards.seed), variant))
            ]

        return of

    def outputs(self, jobs: Iterable[Job]) -> list[str]:
        """Files that the engine must make again, so that jobs run; the book's is one of them where there is a book."""
        found = [job.record for job in jobs]
        found += [mark for job in jobs if job.notebook == "02_preprocessing" for mark in self.shards(job)]
        return found + ([BOOK.as_posix()] if self.with_book else [])

    @property
    def run_pattern(self) -> str:
        """Names of the runs as a regular expression."""
        return "|".join(map(re.escape, self.overrides))

    def n_threads(self, stage: Stage) -> Callable[[Any], int]:
        """CPU cores that a stage keeps busy, by its threads or its worker processes, for the wildcards of a job."""

        def of(wildcards: Any) -> int:
            settings = self.settings[wildcards.run, "general"]
            n = stages.n_threads(stage.notebook, settings)
            return max(n, settings.machine.n_workers) if stage.is_wide else n

        return of

    def shards(self, wildcards: Any) -> list[str]:
        """What the jobs that share a store's shards leave; nothing where the notebook makes them."""
        n = self.settings[wildcards.run, "general"].store.n_jobs
        return [f"runs/{wildcards.run}/s{wildcards.seed}/shards/{part}-of-{n}.done" for part in range(n)]

    def papermill(self, wildcards: Any) -> str:
        """Parameters of papermill for a job; ``-r`` keeps a text that looks like a number."""
        words = ["-r", "profile", self.profile, "-p", "seed", wildcards.seed]
        words += ["-r", "variant", wildcards.variant] if hasattr(wildcards, "variant") else []
        if label := wildcards.run.partition("-")[2]:
            words += ["-r", "label", label, "-y", params.as_yaml({"overrides": self.overrides[wildcards.run]})]
        return shlex.join(map(str, words))

    def command_words(self, wildcards: Any) -> list[str]:
        """The same for a command of ``python -m s2f``."""
        label = wildcards.run.partition("-")[2]
        words = params.study_options(self.profile, label=label, overrides=self.overrides[wildcards.run])
        words += ["--seed", str(wildcards.seed)]
        return words + (["--variant", wildcards.variant] if hasattr(wildcards, "variant") else [])

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
        meet = '--set machine.rendezvous="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)":29500'
        return f"srun --nodes={n} --ntasks-per-node=1 {train} {meet} &&"


def book_sources(root: Path, run: str, seed: int) -> dict[str, str]:
    """SHA-256 of everything that a book of a run is built from, by its place below the project, and of its code."""
    own = [path for path in (root / "book").rglob("*") if path.relative_to(root / "book").parts[0] != "runs"]
    book = [path for path in own if path.parent.name != "__pycache__"]
    places = {root / "runs" / run, root / "runs" / run.partition("-")[0]}
    made = [path for place in places for part in ("notebooks", "results") for path in place.rglob(f"{part}/*")]
    found = {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted([root / "_config.yml", *book, *made])
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    }
    return {"run": run, "seed": str(seed), "code": provenance.code_key("s2f.report.book"), **found}
