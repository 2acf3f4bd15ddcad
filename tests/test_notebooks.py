import ast
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from s2f.study import stages

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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-p", "varient", "females"], "Did you mean 'variant'?"),
        (["-p", "profile", "dmeo"], "Did you mean 'demo'?"),
        (["-p", "variant", "females"], "papermill notebooks/02_preprocessing.ipynb"),
        (["-y", "overrides: {gan.stesp: 5}"], "Did you mean 'gan.steps'?"),
        (["-p", "overrides", "{gan.steps: 5.5}"], "It must be of type int"),
    ],
    ids=["parameter", "profile", "no input", "key", "value"],
)
def test_by_hand_a_mistake_stops_the_notebook_and_names_the_remedy(tmp_path, words, said):
    done = papermill(tmp_path, *words)
    assert done.returncode != 0 and said in done.stderr
