"""Contracts of the tree: what is in it, what is not, and which module may import which."""

import ast
import contextlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
MAX_BYTES = 1_000_000
MADE = {".venv", "runs", "data", "_build", ".snakemake", ".git", "__pycache__"}  # where there is no git
MAX_LINES = 450  # of a file of the library
MAX_PARAMETERS = 8  # of a function, besides self and cls
LIGHT = ("s2f.study.params", "s2f.features.store", "s2f.networks.models", "s2f.training")  # also on a bare GPU machine
HEAVY = {
    *("matplotlib", "seaborn", "torchaudio", "torchmetrics", "sklearn", "scipy", "dlib", "onnxruntime", "av"),
    *("soundfile", "webrtcvad", "PIL", "papermill", "snakemake", "nbformat", "IPython"),
}
# Packages that are named otherwise than what is imported of them, and are told so by no metadata.
NAMED_OTHERWISE = {"dlib": "dlib-bin", "pydantic_core": "pydantic"}
# Packages that nothing imports, and what they are for.
NOT_IMPORTED = {
    "django-static-mathjax": "its script draws the book's formulas",
    "ipykernel": "runs notebooks",
    "jupyter-book": "a command",
    "jupyterlab": "a command",
    "mypy": "a command",
    "papermill": "a command",
    "pre-commit": "a command",
    "pytest-timeout": "an option of pytest",
    "pytest-xdist": "tests in several processes",
    "ruff": "a command",
    "setuptools": "builds the package",
    "snakemake-executor-plugin-slurm": "submits jobs",
    "sphinx-exercise": "exercises of the book",
    "types-pyyaml": "types for mypy",
    "types-tqdm": "types for mypy",
}
# Modules of the library whose tests are elsewhere, and where.
TESTED_ELSEWHERE = {
    "__main__": "study/test_workflow.py",  # by the words of its commands
    "errors": "test_broken_input.py",  # by what becomes of odd files
    "corpora/synthetic": "corpora",  # a folder of corpora
    "evaluation/subject": "evaluation/test_metrics.py",  # what is measured, there
    "report/answer_figures": "evaluation/test_known_answer.py",  # beside the numbers that it draws
    "report/experiment_figures": "evaluation/test_experiments.py",  # beside the numbers that it draws
    "report/other_system": "evaluation/test_other_system.py",  # one command measures and prints
}


def tracked() -> list[Path]:
    """Files that are, or would be, in git."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
        paths = [ROOT / name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [path for path in ROOT.rglob("*") if not MADE & set(path.relative_to(ROOT).parts)]
    return sorted(path for path in paths if path.is_file())


def texts() -> dict[str, str]:
    found = {}
    for path in tracked():
        try:
            found[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


def modules() -> dict[str, ast.Module]:
    """Dotted name to syntax tree of every module of the library."""
    found = {}
    for path in sorted((ROOT / "s2f").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return found


def imports(tree: ast.AST, names: set[str], *, at_import: bool = False) -> set[str]:
    """Modules of the library that a module imports; with `at_import`, only outside functions."""
    found = set()
    for node in _outside_functions(tree) if at_import else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in full if name in names} or {node.module}
    return {name for name in found if name.split(".")[0] == "s2f"}


def _outside_functions(node: ast.AST):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from _outside_functions(child)


# --- what is in the tree


def test_no_file_is_large():
    large = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in tracked()}
    assert {name: size for name, size in large.items() if size > MAX_BYTES} == {}


def test_no_path_of_one_machine():
    absolute = re.compile(r"(?<![\w.$}>])/(?:work|root|home|Users|farm|tmp)/")
    mine = Path(__file__).name
    found = {name: absolute.search(text) for name, text in texts().items() if not name.endswith(mine)}
    assert {name: match.group() for name, match in found.items() if match} == {}


def test_no_unfinished_marks():
    mark = re.compile(r"\b(TODO|FIXME|XXX)\b")
    mine = Path(__file__).name
    assert [name for name, text in texts().items() if not name.endswith(mine) and mark.search(text)] == []


def test_notebooks_are_kept_without_outputs():
    from s2f.study.stages import STAGES

    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert [path.stem for path in paths] == sorted(STAGES)
    for path in paths:
        for n, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            if cell["cell_type"] == "code":
                assert cell["outputs"] == [] and cell["execution_count"] is None, f"{path.name}, cell {n}"


def code_cells(path: Path) -> list[str]:
    """Python of a notebook, cell by cell."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return [source for source in sources if not source.lstrip().startswith("%")]


def test_notebooks_ask_and_the_library_answers():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for source in code_cells(path):
            kinds = {type(node) for node in ast.walk(ast.parse(source))}
            assert not kinds & {ast.FunctionDef, ast.ClassDef}, f"{path.name} defines something:\n{source}"


# --- locks, versions, metadata


def locked(name: str) -> dict[str, str]:
    """Package to its block in a lock."""
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.M)[1:]
    return {re.split(r"[=\s;\[]", block, maxsplit=1)[0].lower(): block for block in blocks}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-weights.lock"])
def test_locks_carry_versions_and_hashes_and_no_index(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*(-i|-f|--(extra-)?index-url|--find-links|--trusted-host)\b", text, re.M)
    blocks = locked(name)
    assert len(blocks) >= 4
    for package, block in blocks.items():
        assert re.match(r"[\w.-]+==[\w.!+]+", block), package
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), package


def test_every_requirement_is_in_one_lock():
    declared = requirements()
    all_of, weights = locked("requirements.lock"), locked("requirements-weights.lock")
    assert declared["dependencies"] | declared["study"] | declared["dev"] <= set(all_of)
    assert declared["weights"] == set(weights)
    assert not set(all_of) & set(weights)


def requirements() -> dict[str, set[str]]:
    """Names of the packages that pyproject declares: of `dependencies` and of each extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"dependencies": project["dependencies"]} | project["optional-dependencies"]
    return {group: {re.match(r"[\w.-]+", each)[0].lower() for each in listed} for group, listed in groups.items()}


def imported() -> dict[str, str]:
    """Packages of other people that any code of the tree imports, each with one place that does."""
    sources = {}
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if path.suffix == ".py":
            sources[name] = path.read_text(encoding="utf-8")
        elif path.suffix == ".ipynb":
            sources[name] = "\n".join(code_cells(path))
        elif path.name == "Snakefile":  # its rules are no Python
            lines = path.read_text(encoding="utf-8").splitlines()
            sources[name] = "\n".join(line for line in lines if line.startswith(("import ", "from ")))
    own = {Path(name).stem for name in sources} | {"s2f", "tests", "parts"}
    found = {}
    for name, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.importorskip":
                names = [ast.literal_eval(node.args[0])]
            found |= {each.split(".")[0]: name for each in names}
    return {name: place for name, place in found.items() if name not in own | sys.stdlib_module_names}


def test_what_is_imported_is_declared_and_what_is_declared_is_used():
    declared, installed = requirements(), importlib.metadata.packages_distributions()
    used, undeclared = set(NOT_IMPORTED), []
    everything = set().union(*declared.values()) - declared["weights"]  # those are opened as files, see weights.py
    for name, place in imported().items():
        packages = {package.lower() for package in installed.get(name, [])} | {NAMED_OTHERWISE.get(name, "")}
        used |= packages
        if not packages & everything:
            undeclared.append(f"{place} imports {name}")
    assert undeclared == []
    assert everything - used == set(), "declared, and neither imported nor listed in NOT_IMPORTED"
    assert set(NOT_IMPORTED) <= everything


def test_versions_agree():
    import s2f

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["version"] == citation["version"] == s2f.__version__
    assert f"## [{project['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert project["license"] == citation["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")


@pytest.mark.parametrize("page", ["README.md", "book/reproduce.md"])
def test_every_profile_is_described(page):
    rows = re.findall(r"^\| `(\w+)`.*\|$", (ROOT / page).read_text(encoding="utf-8"), re.M)
    profiles = {path.stem for path in (ROOT / "params" / "profiles").glob("*.yaml")}
    assert profiles
    assert profiles <= set(rows)


def test_readme_points_at_files_that_exist():
    targets = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(targets) >= 3
    assert [target for target in targets if not (ROOT / target).is_file()] == []


# --- commands


def test_ci_can_be_run():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)], capture_output=True).returncode == 0
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert ".ci/run" in [step.get("run") for step in workflow["jobs"]["study"]["steps"]]


def test_parameters_named_in_commands_and_prose_exist():
    """A renamed parameter leaves no command and no page behind that gives its old name."""
    valid = {
        f"{section}.{name}" if isinstance(values, dict) else section
        for section, values in yaml.safe_load((ROOT / "params" / "base.yaml").read_text(encoding="utf-8")).items()
        for name in (values if isinstance(values, dict) else [None])
    }
    sections = "|".join(sorted({key.partition(".")[0] for key in valid if "." in key}))
    named = re.compile(rf"(?:--set|--try)[ =]['\"]?([a-z0-9_.]+)=|`((?:{sections})\.(?!safetensors|json)[a-z0-9_]+)`")
    found = [
        (name, key.group(1) or key.group(2))
        for name, text in texts().items()
        if not name.startswith("tests/") and name != "CHANGELOG.md"  # tests misspell; a log tells of former names
        for key in named.finditer(text)
    ]
    assert {name for name, key in found if key in valid} >= {
        ".ci/run",
        "benchmarks/real_people.py",
        "book/reproduce.md",
    }
    assert [(name, key) for name, key in found if key not in valid] == []


def test_style_and_types_are_checked_by_ci():
    asked = make(ROOT, "-n", "-o", ".venv/.ready", "lint").stdout
    for command in ("ruff check", "ruff format --check", "mypy"):
        assert f".venv/bin/python -m {command}" in asked, command
    assert "\nmake lint\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_hooks_are_the_checks_of_lint_and_of_this_file():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}  # nothing is downloaded
    entries = "\n".join(hook["entry"] for hook in hooks)
    for command in ("ruff check", "ruff format --check", "mypy", "python -m pytest -q tests/test_repository.py"):
        assert f".venv/bin/{command}" in entries, command


@pytest.fixture
def checkout(tmp_path):
    """The files that `make environment` looks at, with an environment that is ready."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-weights.lock"):
        shutil.copy(ROOT / name, tmp_path)
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / ".venv").mkdir()
    for second, stamp in enumerate((".packages", ".ready"), start=2):
        (tmp_path / ".venv" / stamp).touch()
        os.utime(tmp_path / ".venv" / stamp, (second, second))
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHON", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = ["make", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_make_prints_help_and_lists_its_commands():
    done = make(ROOT)
    assert done.returncode == 0
    for command in ("book", "study", "test", "lab", "bench", "clean", "help"):
        assert re.search(rf"^ +make {command} +\w", done.stdout, re.M), command


def test_the_environment_is_made_once(checkout):
    done = make(checkout, "-n", "environment")
    assert done.returncode == 0
    assert "pip install" not in done.stdout


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-weights.lock"])
def test_the_environment_is_made_anew_when_a_lock_changes(checkout, name):
    os.utime(checkout / name, (9, 9))
    done = make(checkout, "-n", "environment")
    assert "venv --clear .venv" in done.stdout
    assert done.stdout.count("--require-hashes") == 2
    assert "--no-deps -r requirements-weights.lock" in done.stdout


def test_an_interrupted_installation_is_redone(checkout):
    (checkout / ".venv" / ".packages").unlink()
    (checkout / ".venv" / ".ready").unlink()
    assert "venv --clear .venv" in make(checkout, "-n", "environment").stdout


def test_an_unsupported_python_is_named(checkout):
    (checkout / ".venv" / ".packages").unlink()
    old = checkout / "python2"
    old.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    old.chmod(0o755)
    done = make(checkout, f"PYTHON={old}", "book")
    assert done.returncode != 0
    assert str(old) in done.stderr
    assert "needs Python 3.11 or 3.12" in done.stderr
    assert "make PYTHON=" in done.stderr


# --- the library


def test_imports_point_one_way():
    trees = modules()
    graph = {name: imports(tree, set(trees), at_import=True) & set(trees) - {name} for name, tree in trees.items()}
    order: list[str] = []
    while rest := {name for name in graph if name not in order}:
        free = sorted(name for name in rest if not graph[name] & rest)
        assert free, f"modules import one another: {', '.join(sorted(rest))}"
        order += free
    assert len(order) == len(trees)


def programs() -> dict[str, ast.Module]:
    """Programs that benchmarks hold as text, for a Python of its own."""
    found = {}
    for path in (ROOT / "benchmarks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and re.search(r"\b(from|import) s2f\b", str(node.value)):
                with contextlib.suppress(SyntaxError):
                    found[f"{path.relative_to(ROOT)}:{node.lineno}"] = ast.parse(node.value)
    return found


def test_programs_in_texts_import_what_is_there():
    found = programs()
    assert found
    wrong = []
    for place, tree in found.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "s2f":
                module = importlib.import_module(node.module)
                for name in node.names:
                    if not hasattr(module, name.name) and not importlib.util.find_spec(f"{node.module}.{name.name}"):
                        wrong.append(f"{place}: {node.module}.{name.name}")
    assert not wrong


def rooms() -> dict[str, tuple[set[str], set[str]]]:
    """The table of the book: room to its modules where they are named, and what it may import beside the ground."""
    page = (ROOT / "book" / "how_built.md").read_text(encoding="utf-8")
    table = page.split("(rooms)=")[1].split("\n\n")[0]
    found: dict[str, tuple[set[str], set[str]]] = {}
    for line in table.strip().splitlines()[2:]:
        first, _, last = (cell.strip() for cell in line.strip("|").split("|"))
        names = re.findall(r"`(\w+)`", first)
        room = first.split(":")[0] if ":" in first else names[0]
        above = set(found) if last.startswith("every room") else set(re.findall(r"`(\w+)`", last))
        found[room] = (set(names), above)
    return found


def room_of(module: str) -> str:
    parts = module.split(".")
    if len(parts) == 1 or parts[1] in rooms()["ground"][0]:
        return "ground"
    return parts[1]


def test_rooms_are_those_of_the_book():
    there = {room_of(name) for name in modules() if name != "s2f"}
    assert there == set(rooms())
    ground = {name.split(".")[1] for name in modules() if room_of(name) == "ground" and name != "s2f"}
    assert ground == rooms()["ground"][0]


def test_imports_keep_to_the_rooms_of_the_book():
    trees, allowed = modules(), rooms()
    notebooks = {path.stem.partition("_")[2] for path in (ROOT / "notebooks").glob("*.ipynb")}
    wrong, seen = [], 0
    for name, tree in trees.items():
        if name == "s2f":
            continue  # `s2f.load`, imported when it is called
        room = room_of(name)
        may = allowed[room][1] | {"ground", room}
        if name.rpartition(".")[2] in notebooks and room not in ("study", "corpora", "networks", "metrics"):
            may = may | {"study"}
        for used in imports(tree, set(trees)):
            seen += 1
            if used != "s2f" and room_of(used) not in may:
                wrong.append(f"{name} imports {used}")
    assert seen > 100
    assert wrong == []


def test_training_needs_few_packages():
    names = [name for name in modules() if name.startswith(LIGHT)]
    assert len(names) > len(LIGHT)
    code = (
        "import importlib, json, sys\n"
        f"for name in {names}: importlib.import_module(name)\n"
        "print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & HEAVY


def test_training_as_a_script_needs_few_packages(tmp_path):
    shutil.copytree(ROOT / "params", tmp_path / "params")
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
from s2f.training import training
from s2f.__main__ import main
sys.exit(main(["train", "--profile", "smoke"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("error: "), done.stderr  # no input yet, and nothing else
    assert "papermill notebooks/" in done.stderr


def test_no_shortcuts_in_the_library():
    problems = []
    for name, tree in modules().items():
        for node in ast.walk(tree):
            where = f"{name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.ExceptHandler) and node.type is None:
                problems.append(f"{where}: bare except")
            if isinstance(node, ast.Global):
                problems.append(f"{where}: global {node.names}")
            if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
                problems.append(f"{where}: star import")
            if isinstance(node, ast.ImportFrom) and f"{node.module}" == "tqdm.auto":
                problems.append(f"{where}: tqdm.auto warns without ipywidgets")
            if isinstance(node, ast.Import) and {"pickle", "utils"} & {alias.name for alias in node.names}:
                problems.append(f"{where}: {ast.unparse(node)}")
            if isinstance(node, ast.Attribute | ast.Name):
                dotted = ast.unparse(node)
                if re.fullmatch(r"sys\.path|(\w+\.)?nan_to_num", dotted):
                    problems.append(f"{where}: {dotted}")
            if isinstance(node, ast.Call):
                called, given = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
                hides = called in ("warnings.filterwarnings", "warnings.simplefilter")
                if hides and not (node.args and ast.unparse(node.args[0]) == "'error'"):
                    problems.append(f"{where}: {called}")  # an error, in a block of its own, hides nothing
                if called == "torch.load" and given.get("weights_only") != "True":
                    problems.append(f"{where}: torch.load without weights_only=True")
                if called.endswith("load_state_dict") and given.get("strict") == "False":
                    problems.append(f"{where}: load_state_dict with strict=False")
    assert problems == []
    assert not list((ROOT / "s2f").rglob("utils.py"))


def test_public_names_are_documented():
    missing = []
    for name, tree in modules().items():
        if not ast.get_docstring(tree) and tree.body:
            missing.append(name)
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                missing.append(f"{name}.{node.name}")
    assert missing == []


def test_functions_take_few_parameters():
    many = {}
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                n = len([each for each in taken if each.arg not in ("self", "cls")])
                if n > MAX_PARAMETERS:
                    many[f"{name}:{node.lineno}"] = n
    assert many == {}


def test_files_of_the_library_are_short():
    """A longer one says in its docstring why: "Longer than others: …"."""
    long = {}
    for path in sorted((ROOT / "s2f").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > MAX_LINES and "Longer than others: " not in (ast.get_docstring(ast.parse(text)) or ""):
            long[path.relative_to(ROOT).as_posix()] = text.count("\n")
    assert long == {}


def test_checks_are_silenced_one_by_one_and_with_a_reason():
    reasoned = {
        "fmt: skip": re.compile(r"# fmt: skip\s+\S*\w{2}"),
        "type: ignore": re.compile(r"# type: ignore\[[\w, -]+\]\s+# \w{2}"),
        "noqa": re.compile(r"# noqa: [A-Z]+\d+(, [A-Z]+\d+)*\s+\S*\w{2}"),
    }
    found = []
    for name, text in texts().items():
        if not name.endswith((".py", "Snakefile", ".ipynb")) or name.endswith(Path(__file__).name):
            continue
        for n, line in enumerate(text.splitlines(), start=1):
            assert not re.search(r"# (fmt: (off|on)|mypy: )", line), f"{name}:{n} silences a whole passage"
            found += [f"{name}:{n}" for mark, good in reasoned.items() if f"# {mark}" in line and not good.search(line)]
    assert found == []


def test_every_module_has_its_tests():
    missing = []
    for path in sorted((ROOT / "s2f").rglob("*.py")):
        name = path.relative_to(ROOT / "s2f").with_suffix("").as_posix()
        if path.stem == "__init__":
            continue
        room, _, module = name.rpartition("/")
        elsewhere = TESTED_ELSEWHERE.get(name, f"{TESTED_ELSEWHERE.get(room, room)}/test_{module}.py".lstrip("/"))
        if not (ROOT / "tests" / elsewhere).is_file():
            missing.append(f"s2f/{name}.py: tests/{elsewhere}")
    assert missing == []
    there = {path.relative_to(ROOT / "s2f").with_suffix("").as_posix() for path in (ROOT / "s2f").rglob("*")}
    assert set(TESTED_ELSEWHERE) <= there
