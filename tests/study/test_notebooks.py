import ast
import json

import nbformat
import pytest
from nbformat import v4

from s2f import provenance
from s2f.errors import RunError
from s2f.study import notebooks


def written(folder, *sources):
    path = folder / "05_training.ipynb"
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources]), path)
    return path


@pytest.mark.parametrize(
    "cell",
    [
        "!ls",
        "%matplotlib inline",
        "x = !ls",
        "files?",
        "%%bash\necho $HOME",
        "%%time\nx = 1",
        "x = 1\n%time x",
        "  x = 1",
    ],
)
def test_cells_are_read_as_ipython_reads_them(tmp_path, cell):
    text = notebooks.code(written(tmp_path, "from s2f.training import gan", cell))
    ast.parse(text)
    assert "s2f.training.gan" in provenance.modules_of(source=text)


def test_plain_python_stays_as_it_is(tmp_path):
    assert notebooks.code(written(tmp_path, "x = 1  # one", "y = 'a'")) == "x = 1  # one\ny = 'a'"


@pytest.mark.parametrize("cell", ["%%time\nfrom s2f.training import gan", "%time from s2f.training import gan"])
def test_what_a_magic_runs_counts(tmp_path, cell):
    assert "s2f.training.gan" in provenance.modules_of(source=notebooks.code(written(tmp_path, cell)))


def test_a_cell_that_is_not_python_is_named_with_its_notebook(tmp_path):
    with pytest.raises(RunError, match=r"05_training\.ipynb, cell 2 is not Python .*line 2"):
        notebooks.code(written(tmp_path, "x = 1", "x\ny = = 1"))


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"worksheets": []}), None])
def test_a_file_that_is_no_notebook_is_named(tmp_path, text):
    path = tmp_path / "01_corpus.ipynb"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RunError, match=r"01_corpus\.ipynb is (not a notebook|missing)"):
        notebooks.code(path)
