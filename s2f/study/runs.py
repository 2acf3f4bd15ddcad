"""Run folders: where a notebook reads and writes, checked against its parameters and locked while it writes.

A folder counts as finished when its ``provenance.json`` names the notebook that wrote it, with the fingerprint
of the parameters it was made with. A notebook removes its entry before it writes and adds it last, so that a
killed run never passes for a finished one. The workflow engine goes by the same entries (`s2f.study.graph`).
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import shlex
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from s2f import files, provenance
from s2f.errors import ParameterError, RunError, nearest
from s2f.settings import Settings
from s2f.study import environment, notebooks, params, stages
from s2f.study.stages import ALL, GENERAL, OWN, STAGES, THOROUGH, WRITERS, Stage, in_run

CLOSED = (
    "is a closed set: training, validation and test people are the same. What is said of people whom the networks "
    "never met is said of people they were trained on."
)


@dataclass
class Study:
    """One notebook's view of one run. Made by `open_study`."""

    notebook: str
    root: Path
    profile: str
    variant: str
    seed: int
    label: str
    params: Settings
    plain: Settings  # the same profile without overrides
    overrides: dict = field(default_factory=dict)
    started: float = field(default_factory=time.time)
    locks: dict = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)  # ids of what was read; its other views note theirs here too
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:16])
    caller: list[str] = field(default_factory=list)  # what of the session could change results
    code: str | None = None  # key of the code that it runs: that on disk when it was opened

    @property
    def run(self) -> Path:
        """Folder of this profile, label and seed."""
        return run_folder(self.root, self.profile, label=self.label, seed=self.seed)

    @property
    def device(self) -> str:
        """ "cpu" or "cuda", from ``machine.device``."""
        return choose_device(self.params.machine.device)

    @property
    def n_threads(self) -> int:
        """CPU threads of this notebook."""
        return stages.n_threads(self.notebook, self.params)

    @property
    def n_workers(self) -> int:
        """Worker processes of this notebook: all of ``machine.n_workers`` where it has all threads, else its share."""
        machine = self.params.machine
        return max(1, machine.n_workers * self.n_threads // machine.n_threads)

    def beside(self, label: str) -> Study:
        """The run kept under another label of the same profile: one of the profile's own, or of `THOROUGH`."""
        other = _resolve(
            self.notebook,
            profile=self.profile,
            variant="general",
            seed=self.seed,
            label=label,
            overrides={**THOROUGH, **self.params.beside}[label],
        )
        return dataclasses.replace(other, inputs=self.inputs, code=self.code, caller=self.caller)

    def seeds(self) -> list[Study]:
        """This run and its others that differ in nothing but the seed, where their folders are there."""
        others = (int(path.name[1:]) for path in self.run.parent.glob("s*") if path.name[1:].isdigit())
        found = sorted({self.seed, *others})
        return [dataclasses.replace(self, seed=seed, locks={}) for seed in found]

    def of(self, variant: str) -> Study:
        """The same run seen by another variant."""
        plain = params.resolve(self.profile, variant=variant, root=self.root)
        own = params.resolve(self.profile, variant=variant, overrides=self.overrides, root=self.root)
        return dataclasses.replace(self, variant=variant, params=own, plain=plain, started=time.time(), locks={})

    def read(self, what: str) -> Path:
        """Folder of a finished input.

        A labelled run takes an input from the plain run of the same profile and seed where the parameters it
        depends on are the same, so that only what differs is made again; from its own where the plain one has none.

        Raises
        ------
        RunError: it is not there, not finished, or of other parameters; names the command that makes it
        """
        folder, notebook = self._place(what)
        own = self.run / folder
        if (found := self._finished(what)) is not None:
            place, facts = found
            if facts.id:
                self.inputs[record_name(place, notebook, root=self.root)] = facts.id
            return place
        if notebook not in provenance.read_stages(own):
            problem = "is not there yet" if not own.exists() else f"is not finished by {notebook}"
        else:
            problem = f"was made with other parameters ({params.differences(own, self.params, notebook)})"
        raise RunError(self.shown(own), problem, remedy=f"Make it first: {self.command(notebook)}")

    def _finished(self, what: str) -> tuple[Path, provenance.Facts] | None:
        """Where a finished input lies, as `read` says, and what made it."""
        folder, notebook = self._place(what)
        for run in (run_folder(self.root, self.profile, label="", seed=self.seed), self.run):
            facts = provenance.read_stages(run / folder).get(notebook)
            if facts and facts.fingerprint == self.fingerprint(notebook):
                return run / folder, facts
        return None

    def agrees(self, other: Study, what: str) -> bool:
        """Whether the same code made an input here and in another run, with all that stands before it."""
        behind = [(stage.notebook, part) for stage in stages.before(self._place(what)[1]) for part in stage.writes]
        # What this notebook writes is made by its own code, finished or not.
        now = {self.notebook: self.code}
        return all(now.get(made_by, self._code(part)) == other._code(part) for made_by, part in behind)

    def _code(self, what: str) -> str | None:
        found = self._finished(what)
        return found[1].code if found else None

    def write(self, what: str, *, keep: bool = True) -> Path:
        """Folder to write, locked for this process until it ends; what was finished there no longer counts.

        Parameters
        ----------
        keep : bool, leave files in place, to resume from them; False empties the folder

        Raises
        ------
        RunError: another process is writing it, or overrides would change a folder of the plain profile
        """
        folder, notebook = self._place(what)
        if notebook != self.notebook:
            raise RunError(what, f"is written by {notebook}, not {self.notebook}", remedy="Read it instead.")
        self._refuse_overrides(folder, notebook)
        path = self.run / folder
        self._lock(folder)
        if not keep and path.exists():
            shutil.rmtree(path)
        path.mkdir(parents=True, exist_ok=True)
        _forget(path, notebook)
        return path

    def share(self, what: str, *, part: str) -> Path:
        """Folder to add a part to, beside other jobs that add theirs; nothing that is finished there is touched.

        Raises
        ------
        RunError: a process writes the whole folder, or the same part; or as `write`
        """
        folder, notebook = self._place(what)
        self._refuse_overrides(folder, notebook)
        # One process holds the lock: this fails while the notebook writes, and waits for other jobs that only look.
        self._lock(folder, timeout_s=10)
        self.locks.pop(folder).release()
        self._lock(f"{folder}.{part}")
        path = self.run / folder
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _refuse_overrides(self, folder: str, notebook: str) -> None:
        if not self.label and self.fingerprint(notebook) != self.fingerprint(notebook, settings=self.plain):
            problem = f"belongs to profile '{self.profile}' without overrides"
            remedy = "Give the run a name of its own, e.g. -p label mine, and it gets a folder of its own."
            raise RunError(self.shown(self.run / folder), problem, remedy=remedy)

    def finish(self, what: str | None = None) -> None:
        """Write parameters and provenance into a folder that is complete, and beside the executed notebook."""
        facts = provenance.collect(
            root=self.root, device=self.device, seed=self.seed, n_threads=self.n_threads, started=self.started
        )
        stage = STAGES[self.notebook]
        self._note_needs(stage)
        done = facts.model_copy(
            update={
                "fingerprint": self.fingerprint(self.notebook),
                "code": self.code,
                "id": self.id,
                "inputs": dict(sorted(self.inputs.items())),
                "command": self.whole,
                "caller": self.caller or None,
            }
        )
        files.write_json(self.run / stage.record.format(variant=self.variant), done.plain())
        _note_in_page(f"finished_{what}", self.id)
        if what is None:
            return
        folder, notebook = self._place(what)
        path = self.run / folder
        files.write_yaml(path / "params.yaml", params.plain(self.params))
        provenance.write_stages(path, provenance.read_stages(path) | {notebook: done})

    def _note_needs(self, stage: Stage) -> None:
        """Note the ids of what a stage needs, read or not: training that finds all steps done looks at no voice."""
        needs = [(self, name, whose) for name, whose in stage.needs if in_run(name, self.params)]
        if stage.pools:
            needs += [(other, *stage.pools) for other in self.seeds() if other.seed != self.seed]
        for study, name, whose in needs:
            for variant in {OWN: [study.variant], GENERAL: ["general"], ALL: study.params.variants}[whose]:
                for what in STAGES[name].writes:
                    with contextlib.suppress(RunError):  # the engine asks whether all are there
                        study.of(variant).read(what)

    def fingerprint(self, notebook: str, *, settings: Settings | None = None) -> str:
        """Fingerprint of a notebook's outputs in this run."""
        return params.fingerprint(settings or self.params, notebook, seed=self.seed)

    def resume_key(self, module: str, data_digest: str) -> str:
        """What a save to resume from must agree on: parameters, training data, and the code of what trains."""
        key = f"{self.fingerprint(self.notebook)}-{data_digest}-{provenance.code_key(module)}"
        return "-".join([key, *self.caller])

    def command(self, notebook: str) -> str:
        """Command lines, to be pasted, that make another notebook of this run by hand, and all of the run."""
        words = ["python", "-m", "papermill", f"notebooks/{notebook}.ipynb", "out.ipynb", "-r", "profile", self.profile]
        if STAGES[notebook].each_variant or self.variant != "general":
            words += ["-r", "variant", self.variant]
        if self.seed:
            words += ["-p", "seed", str(self.seed)]
        if self.label:
            words += ["-r", "label", self.label]
        if self.overrides:
            words += ["-y", params.as_yaml({"overrides": self.overrides})]
        one = provenance.here(shlex.join(words), root=self.root)
        return f"{one} (or all of the run: {provenance.here(self.whole, root=self.root)})"

    @property
    def whole(self) -> str:
        """Command that makes all of this run, of `python`, from the project's folder."""
        options = params.study_options(self.profile, label=self.label, overrides=self.overrides)
        options += ["--seeds", str(self.seed + 1)] if self.seed else []
        return shlex.join(["python", "-m", "s2f", "study", *options])

    def _place(self, what: str) -> tuple[str, str]:
        if what not in WRITERS:
            raise RunError(what, "is no part of a run", remedy=nearest(what, WRITERS))
        stage = WRITERS[what]
        return stage.writes[what].format(variant=self.variant), stage.notebook

    def _lock(self, folder: str, *, timeout_s: float = 0) -> None:
        if folder in self.locks:
            return
        path = self.run / ".locks" / f"{folder}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, is_singleton=True)  # a cell run twice in one kernel does not block itself
        try:
            lock.acquire(timeout=timeout_s)
        except Timeout as error:
            problem = "is being written by another process"
            remedy = "Wait until it ends, or stop it (a notebook left open holds its folder too)."
            raise RunError(self.shown(self.run / folder), problem, remedy=remedy) from error
        self.locks[folder] = lock

    def shown(self, path: Path) -> str:
        """A path relative to the project where it lies in it."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def alike(study: Study, other: Study, parts: Sequence[tuple[str, str]]) -> bool:
    """Whether another run has parts, each of a variant and by name, made by this one's code; other code is said."""
    if any(other.of(variant)._finished(what) is None for variant, what in parts):
        return False
    if all(study.of(variant).agrees(other.of(variant), what) for variant, what in parts):
        return True
    # Another label is one of the thorough study, which makes the plain run's book; the same one has another seed.
    thorough = f"python -m s2f study --profile {study.profile} --thorough"
    command = provenance.here(other.whole if other.label == study.label else thorough, root=study.root)
    print(f"{other.shown(other.run)} is left out, since other code made it. To make it again: {command}")
    return False


def open_study(
    notebook: str, *, profile: str, variant: str, seed: int, label: str, overrides: Mapping | str | None
) -> Study:
    """Resolve a notebook's parameters and say where it reads and writes.

    Called by every notebook right after its parameters; also finds parameters that papermill injected and the
    notebook does not have, about which papermill only warns.

    Raises
    ------
    ParameterError: an unknown notebook, parameter, profile, variant or key, or a wrong value
    """
    if notebook not in STAGES:
        raise ParameterError(f"notebook '{notebook}'", "does not exist", remedy=nearest(notebook, STAGES))
    notebooks.refuse_unknown_parameters(_cells())
    study = _resolve(notebook, profile=profile, variant=variant, seed=seed, label=label, overrides=overrides)
    if study.params.split.rule == "none":
        _say_once(f"{study.shown(study.run)} {CLOSED}")
    study.code = code_of(notebook, root=study.root)
    study.caller = environment.suspects(_shell())
    if study.caller:
        _say_once(f"Can change results, so that `study` makes this again without: {', '.join(study.caller)}.")
    if _shell() is not None:
        environment.limit_threads(study.n_threads)
    return study


def _resolve(
    notebook: str, *, profile: str, variant: str, seed: int, label: str, overrides: Mapping | str | None
) -> Study:
    """A notebook's view of a run by its checked parameters; whose code it is asked with is not said yet."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ParameterError("parameter 'seed'", f"is {seed!r}", remedy="It must be a whole number from 0.")
    params.check_label(label)
    root = params.project_root()
    plain = params.resolve(profile, variant=variant, root=root)
    resolved = params.resolve(profile, variant=variant, overrides=overrides, root=root)
    given = params.parse_overrides(overrides)
    params.check_own(label, profile=profile, plain=plain, overrides=given, root=root)
    return Study(notebook, root, profile, variant, seed, label, resolved, plain, given)


def open_asked(notebook: str, arguments: argparse.Namespace) -> Study:
    """`open_study` with what a command line gave: profile, variant, seed, label, and overrides as KEY=VALUE."""
    words = {name: getattr(arguments, name) for name in ("profile", "variant", "seed", "label")}
    return open_study(notebook, **words, overrides=params.parse_settings(arguments.overrides))


def run_folder(root: Path, profile: str, *, label: str, seed: int) -> Path:
    """``runs/<profile>[-<label>]/s<seed>``."""
    return root / "runs" / (f"{profile}-{label}" if label else profile) / f"s{seed}"


def record_name(folder: Path, notebook: str, *, root: Path) -> str:
    """How an input is named in a record: ``<run>/s<seed>/<folder>:<notebook>``."""
    return f"{folder.relative_to(root / 'runs').as_posix()}:{notebook}"


def code_of(notebook: str, *, root: Path) -> str | None:
    """Key of the code of a notebook with all that it uses from `s2f`; None where the notebook is not there."""
    path = root / "notebooks" / f"{notebook}.ipynb"
    return provenance.code_key(source=notebooks.code(path)) if path.is_file() else None


def choose_device(device: str) -> str:
    """ "cuda" or "cpu" for "auto", "cuda" or "cpu".

    Raises
    ------
    ParameterError: a GPU is asked for and there is none
    """
    import torch

    present = torch.cuda.is_available()
    if device == "cuda" and not present:
        raise ParameterError(
            "parameter 'machine.device'", "is 'cuda', and torch sees no GPU", remedy="Use 'auto' or 'cpu'."
        )
    return "cuda" if present and device != "cpu" else "cpu"


def _cells() -> list[str]:
    shell = _shell()
    return [] if shell is None else [str(cell) for cell in shell.user_ns.get("In", [])]


def _shell() -> Any:
    """IPython's shell in a notebook, None elsewhere."""
    try:
        from IPython import get_ipython
    except ImportError:  # a script on a bare machine
        return None
    return get_ipython()


@functools.cache
def _say_once(text: str) -> None:
    print(text)


def _note_in_page(name: str, text: str) -> None:
    """Leave a text in the executed notebook, as `glue` does, which is seen by nobody."""
    if _shell() is None:
        return
    from IPython.display import display

    prefix = "application/papermill.record/"
    metadata = {"scrapbook": {"name": name, "mime_prefix": prefix}}
    display({f"{prefix}text/plain": repr(text)}, metadata=metadata, raw=True)


def _forget(folder: Path, notebook: str) -> None:
    order = list(STAGES)
    found = provenance.read_stages(folder)
    kept = {name: facts for name, facts in found.items() if name in order[: order.index(notebook)]}
    provenance.write_stages(folder, kept)
