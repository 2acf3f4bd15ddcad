"""What made a result: code, packages, commit, device, seed, threads, wall time and peak memory."""

from __future__ import annotations

import ast
import contextlib
import copy
import functools
import hashlib
import json
import os
import platform
import re
import resource
import shlex
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from s2f import files
from s2f.errors import RunError

VERSION = 1  # of provenance.json
FILE = "provenance.json"

PACKAGES = (
    "s2f",
    "numpy",
    "pandas",
    "torch",
    "torchaudio",
    "torchmetrics",
    "webrtcvad-wheels",
    "dlib-bin",
    "onnxruntime",
    "papermill",
    "snakemake",
    "jupyter-book",
)


class Facts(BaseModel):
    """What made a result.

    Attributes
    ----------
    packages : dict of str to str, name to version
    commit, machine, device, finished : str
    seed, threads : int
    wall_time_s, peak_memory_mb : float
    fingerprint : str, of the parameters that the result depends on
    code : str, key of the code that made it
    id : str, of this one making: another each time, the same in a stage's folders and in its executed notebook
    inputs : dict of str to str, what it was made from, "<run>/s<seed>/<folder>:<notebook>" to the id there
    command : str, that makes all of the run
    caller : list of str, optional, what of the environment it was made in could have changed it

    Results of earlier versions have none of the last six.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    packages: dict[str, str]
    commit: str
    machine: str
    device: str
    seed: int
    threads: int
    finished: str
    wall_time_s: float
    peak_memory_mb: float
    fingerprint: str | None = None
    code: str | None = None
    id: str | None = None
    inputs: dict[str, str] | None = None
    command: str | None = None
    caller: list[str] | None = None

    def plain(self) -> dict[str, Any]:
        """As written."""
        return self.model_dump(exclude_none=True)


def read_facts(path: Path) -> Facts:
    """Facts that a notebook left beside its executed copy.

    Raises
    ------
    RunError: of another form
    """
    try:
        return Facts.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise _other_form(path, error) from None


def read_stages(folder: Path) -> dict[str, Facts]:
    """Facts of the stages that have finished a folder, by notebook; none where nothing has.

    Raises
    ------
    RunError: its ``provenance.json`` is of another version or form
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    found = files.read_versioned(path, version=VERSION, remedy=_AGAIN, error=RunError)
    try:
        return {name: Facts.model_validate(facts) for name, facts in found.items()}
    except ValidationError as error:
        raise _other_form(path, error) from None


def write_stages(folder: Path, stages: dict[str, Facts]) -> None:
    """Write what `read_stages` reads."""
    plain = {name: facts.plain() for name, facts in stages.items()}
    files.write_json(folder / FILE, {"version": VERSION, **plain})


def again(path: Path) -> str:
    """Instruction to make the run in which a file or folder lies: its command, or words where it does not say its own.

    What a run recorded has its options: a label alone does not say its overrides. The record of the folder itself
    counts before others of the run, and the newest of these.
    """
    seed = next((each for each in (path, *path.parents) if re.fullmatch(r"s\d+", each.name)), None)
    # A run lies in <project>/runs/<run>/s<seed>; one that was taken elsewhere says of no project that it made it.
    if seed is None or not re.fullmatch(r"\w+(-[A-Za-z0-9_.]+)?", seed.parent.name) or len(seed.parents) < 3:
        return "run the study that makes it"
    recorded = []  # whether it is of the folder that is asked about, when it finished, and the command
    for record in [*seed.glob(f"*/{FILE}"), *seed.glob("notebooks/*.json")]:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # a damaged one may be what this is about
            found = json.loads(record.read_text(encoding="utf-8"))
            for facts in (found, *found.values()):
                if isinstance(facts, dict) and isinstance(facts.get("command"), str):
                    of_it = path.is_relative_to(record.parent)
                    recorded.append((of_it, str(facts.get("finished", "")), facts["command"]))
    if recorded:
        return f"run `{here(max(recorded)[2], root=seed.parents[2])}`"
    profile, _, label = seed.parent.name.partition("-")
    n_seeds = [] if seed.name == "s0" else ["--seeds", str(int(seed.name[1:]) + 1)]
    if label:
        more = f" and {shlex.join(n_seeds)}" if n_seeds else ""
        return f"run the study of {seed.parent.name} with the options it was made with{more}"
    command = shlex.join(["python", "-m", "s2f", "study", "--profile", profile, *n_seeds])
    return f"run `{here(command, root=seed.parents[2])}`"


def anew(folder: Path) -> str:
    """Instruction to make a stage's folder of a run again, though a record there says that it is finished."""
    return f"delete {folder / FILE}, then {again(folder)}"


def here(command: str, *, root: Path) -> str:
    """A command of `python` as it can be pasted: with this interpreter, and from the project's folder."""
    words = shlex.quote(sys.executable) + command.removeprefix("python")
    return words if Path.cwd() == root.resolve() else f"cd {shlex.quote(str(root.resolve()))} && {words}"


_AGAIN = "Delete its folder, or give the run another label, and run the study again."


def _other_form(path: Path, error: ValidationError) -> RunError:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "it"
    return RunError(path, f"is of another form: {where}: {first['msg']}", remedy=_AGAIN, reason="damaged")


def collect(*, root: Path, device: str, seed: int, n_threads: int, started: float) -> Facts:
    """Facts about this process.

    Parameters
    ----------
    root : Path, folder of the project, for its commit
    device : str, device that the work ran on
    started : float, `time.time()` when the work began
    """
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux KiB
    return Facts(
        packages={"python": platform.python_version()} | _versions(),
        commit=_commit(root),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        device=device,
        seed=seed,
        threads=n_threads,
        finished=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        wall_time_s=round(time.time() - started, 1),
        peak_memory_mb=round(max(own, children) * unit / 1e6, 1),
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # a bare GPU machine has only some of them
    return found


def _commit(root: Path) -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout

    try:
        git("ls-files", "--error-unmatch", "pyproject.toml")  # fails in an archive that lies in another repository
        commit = git("rev-parse", "--short=12", "HEAD").strip()
        return commit + ("+changes" if git("status", "--porcelain", "--untracked-files=no").strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # an unpacked archive, or no git


@functools.cache
def code_key(*modules: str, source: str = "") -> str:
    """Hash of what modules of `s2f` compute, with all that they import from it, however late.

    It follows statements, not files: docstrings, comments, line breaks and imports from `s2f` do not count, nor in
    which file a definition lies, so that only an edit of what is computed makes another key. What is imported from
    other packages counts, name by name. Values that lie beside a module in a YAML file count as its statements do.

    Parameters
    ----------
    modules : str, such as "s2f.training.gan"
    source : str, further code that belongs to it, such as a notebook's
    """
    names = modules_of(*modules, source=source)
    found = {statement for name in names for statement in _statements(name)}
    folders = {path.parent for path in map(_file, names) if path}
    found |= {values for folder in folders for values in _values(folder)}
    return hashlib.sha256("\n".join([*_computed(ast.parse(source)), *sorted(found)]).encode()).hexdigest()[:16]


def modules_of(*modules: str, source: str = "") -> list[str]:
    """Names of the modules of `s2f` that modules or a source use: themselves, and what they import through others."""
    waiting, found = [*modules, *_imports(ast.parse(source))], set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports_of(name)
    return sorted(found)


@functools.cache
def _tree(module: str) -> ast.Module:
    path = _file(module)
    if path is None:
        raise ModuleNotFoundError(module)
    return ast.parse(path.read_text(encoding="utf-8"))


def _file(module: str) -> Path | None:
    first, *parts = module.split(".")
    if first != "s2f":
        return None
    path = Path(__file__).parent.joinpath(*parts)
    candidates = (path / "__init__.py",) if path.is_dir() else (path.with_suffix(".py"),)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


@functools.cache
def _imports_of(module: str) -> frozenset[str]:
    # The package itself counts only with what it imports at once, since everything imports it.
    body = [
        node for node in _tree(module).body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    ]
    if module == "s2f":
        body = [node for node in body if not isinstance(node, ast.FunctionDef)]
    return frozenset(_imports(ast.Module(body, [])))


def _imports(tree: ast.AST) -> set[str]:
    """Modules of `s2f` that statements import, those inside functions included, with the packages they lie in."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    parents = {".".join(name.split(".")[:n]) for name in names for n in range(1, name.count(".") + 1)}
    return {name for name in names | parents if _file(name) is not None}


@functools.cache
def _statements(module: str) -> list[str]:
    return _computed(_tree(module))


def _values(folder: Path) -> list[str]:
    """What the YAML files beside modules hold, without their comments; their order counts."""
    return [repr(yaml.safe_load(path.read_text(encoding="utf-8"))) for path in folder.glob("*.yaml")]


def _computed(tree: ast.Module) -> list[str]:
    """Top-level statements as dumps of their syntax, without docstrings and where imports from `s2f` come from."""
    return [ast.dump(node) for node in _Bare().visit(copy.deepcopy(tree)).body]


def _is_own(module: str) -> bool:
    return module.split(".")[0] == "s2f"


class _Bare(ast.NodeTransformer):
    """Leaves out what computes nothing: docstrings, and where a definition of `s2f` lies.

    An import from elsewhere, of which another name may compute something else, becomes one of each name, so that it is
    the same wherever it stands beside others.
    """

    def visit_Import(self, node: ast.Import) -> list[ast.Import]:
        return [ast.Import([alias]) for alias in node.names if not _is_own(alias.name)]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> list[ast.ImportFrom]:
        if node.level or node.module == "__future__":
            return []
        if _is_own(node.module or ""):  # which definition another name stands for counts, and not where it lies
            return [ast.ImportFrom("s2f", [alias], 0) for alias in node.names if alias.asname]
        return [ast.ImportFrom(node.module, [alias], 0) for alias in node.names]

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node
