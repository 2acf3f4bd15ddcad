import ast
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from papermill.cli import papermill as papermill_command

from s2f.errors import ParameterError
from s2f.study import runs, stages

ROOT = Path(__file__).resolve().parents[1]
NAMES = [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
COMMON = ("profile", "variant", "seed", "label", "overrides")


def read(name):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


def test_the_notebooks_are_those_the_library_knows():
    assert sorted(stages.STAGES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_thin(name):
    for cell in read(name).cells:
        if cell.cell_type != "code":
            continue
        assert not cell.outputs and cell.execution_count is None
        assert len(cell.source.splitlines()) <= 16, cell.source
        tree = ast.parse(cell.source)
        kinds = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While)
        assert not any(isinstance(node, kinds) for node in ast.walk(tree)), cell.source


@pytest.mark.parametrize("name", NAMES)
def test_the_parameters_cell_holds_the_same_literals_everywhere(name):
    tagged = [c for c in read(name).cells if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    values = {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(tagged[0].source).body}
    assert tuple(values)[:5] == COMMON
    assert {k: values[k] for k in COMMON} == {
        "profile": "demo",
        "variant": "general",
        "seed": 0,
        "label": "",
        "overrides": {},
    }
    opening = [c.source for c in read(name).cells if "open_study" in c.source]
    assert len(opening) == 1 and f'"{name}"' in opening[0]


def papermill(tmp_path, *words):
    for folder in ("params", "notebooks"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    return subprocess.run(
        [sys.executable, "-m", "papermill", "notebooks/05_training.ipynb", "out.ipynb", "--no-progress-bar", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


MISTAKES = {
    "profile": (["-p", "profile", "dmeo"], "Did you mean 'demo'?"),
    "key": (["-y", "overrides: {gan.stesp: 5}"], "Did you mean 'gan.steps'?"),
    "value": (["-p", "overrides", "{gan.steps: 5.5}"], "It must be of type int"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-p", "varient", "females"], "Did you mean 'variant'?"),
        (["-p", "variant", "females"], "papermill notebooks/02_preprocessing.ipynb"),
    ],
    ids=["parameter", "no input"],
)
def test_by_hand_a_mistake_stops_the_notebook_and_names_the_remedy(tmp_path, words, said):
    done = papermill(tmp_path, *words)
    assert done.returncode != 0 and said in done.stderr


@pytest.mark.parametrize(("words", "said"), MISTAKES.values(), ids=MISTAKES)
def test_what_papermill_writes_into_a_notebook_is_refused_where_it_is_opened(tmp_path, monkeypatch, words, said):
    """The cells as papermill leaves them for a kernel, without one."""
    shutil.copytree(ROOT / "params", tmp_path / "params")
    monkeypatch.chdir(tmp_path)
    place = str(ROOT / "notebooks" / "05_training.ipynb")
    papermill_command.main([place, "out.ipynb", "--prepare-only", *words], standalone_mode=False)
    cells = [cell for cell in nbformat.read("out.ipynb", as_version=4).cells if cell.cell_type == "code"]
    assert any("injected-parameters" in cell.metadata.tags for cell in cells)
    shell = SimpleNamespace(user_ns={"In": [""]}, profile_dir=SimpleNamespace(location=str(tmp_path)))
    monkeypatch.setattr(runs, "_shell", lambda: shell)
    names: dict[str, object] = {}
    with pytest.raises(ParameterError) as caught:
        for cell in cells:
            shell.user_ns["In"].append(cell.source)
            exec(cell.source, names)
    assert said in str(caught.value) and "open_study" in shell.user_ns["In"][-1]
