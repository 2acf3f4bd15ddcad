import nbformat
import numpy as np
import pytest
from nbformat import v4

from s2f.errors import RunError
from s2f.study import pages


def executed(*sources, glue=None):
    """A notebook as papermill leaves it, with glued values in cells of their own."""
    done = {"papermill": {"status": "completed"}}
    cells = [v4.new_markdown_cell("# Title")]
    cells += [v4.new_code_cell(text, execution_count=n, metadata=done) for n, text in enumerate(sources, start=1)]
    prefix = "application/papermill.record/"
    for n, (key, value) in enumerate((glue or {}).items(), start=len(cells)):
        output = v4.new_output(
            "display_data",
            data={f"{prefix}text/plain": repr(value)},
            metadata={"scrapbook": {"name": key, "mime_prefix": prefix}},
        )
        cells.append(v4.new_code_cell("glue()", execution_count=n, metadata=done, outputs=[output]))
    return v4.new_notebook(cells=cells)


def check(page, folder):
    path = folder / "page.ipynb"
    nbformat.write(page, path)
    return pages.check_executed(path, name="page")


def test_a_whole_notebook_is_accepted_and_given(tmp_path):
    assert check(executed("1", "# only a comment", "  "), tmp_path).cells[1].source == "1"


@pytest.mark.parametrize("kind", ["error", "unfinished", "never run", "missing", "not json"])
def test_a_notebook_that_did_not_run_to_its_end_is_refused(tmp_path, kind):
    page = executed("1")
    path = tmp_path / "broken.ipynb"
    if kind == "error":
        page.cells[1].outputs.append(v4.new_output("error", ename="ValueError", evalue="no voice", traceback=[]))
    elif kind == "unfinished":
        page.cells[1].metadata.papermill.status = "pending"
    elif kind == "never run":
        page.cells[1].execution_count = None
    if kind == "not json":
        path.write_text("{", encoding="utf-8")
    elif kind != "missing":
        nbformat.write(page, path)
    expected = {
        "error": "holds an error in cell 1 .ValueError: no voice",
        "unfinished": "cell 1 is pending",
        "never run": "was never executed",
        "missing": "is missing: page 'broken'",
        "not json": "is not a notebook",
    }
    with pytest.raises(RunError, match=expected[kind]) as caught:
        pages.check_executed(path, name="broken")
    assert str(path) in str(caught.value)


def test_a_cell_that_was_interrupted_before_it_ran_is_refused(tmp_path):
    page = executed("1", "2", "3")
    page.cells[2].execution_count = page.cells[3].execution_count = None  # and papermill says "completed"
    with pytest.raises(RunError, match="cell 2 has no execution count"):
        check(page, tmp_path)


@pytest.mark.parametrize("kind", ["execute_result", "display_data"])
def test_a_figure_without_its_picture_is_refused(tmp_path, kind):
    page = executed("figure")
    data = {"text/plain": "<Figure size 1120x640 with 2 Axes>"}
    count = {"execution_count": 1} if kind == "execute_result" else {}
    page.cells[1].outputs = [v4.new_output(kind, data=data, **count)]
    with pytest.raises(RunError, match=r"figure without a picture in cell 1.*MPLBACKEND"):
        check(page, tmp_path)
    page.cells[1].outputs[0].data["image/png"] = "aGVsbG8="
    check(page, tmp_path)


@pytest.mark.parametrize(
    "value", [float("nan"), float("-inf"), np.float64("nan"), None, "nan", "nan %", "inf", " ", ""]
)
def test_a_glued_value_that_is_no_number_is_refused_by_name(tmp_path, value):
    with pytest.raises(RunError, match=r"glues 'kid' as .* in cell") as caught:
        check(executed(glue={"top1": 93.5, "kid": value}), tmp_path)
    assert "page.ipynb" in str(caught.value) and "words" in str(caught.value)


@pytest.mark.parametrize("value", [0.0, "not measured", "nan is a grandmother"])
def test_words_and_zeros_may_be_glued(tmp_path, value):
    check(executed(glue={"kid": value}), tmp_path)


def test_what_stopped_a_notebook_is_one_line(tmp_path):
    path = tmp_path / "page.ipynb"
    assert pages.failure(path) is None
    page = executed("1", "2")
    nbformat.write(page, path)
    assert pages.failure(path) is None
    for kind, said in (
        ("CorpusError", "the table is odd. Mend it"),
        ("KeyError", "KeyError in cell 3: the table is odd. Mend it"),
    ):
        page.cells[2].outputs = [v4.new_output("error", ename=kind, evalue="the table\nis odd. Mend it.", traceback=[])]
        nbformat.write(page, path)
        assert pages.failure(path).said == said


def test_a_page_has_the_text_and_the_tags_of_its_notebook(tmp_path):
    page, path = executed("seed = 0", "draw()"), tmp_path / "notebook.ipynb"
    page.cells[2].metadata.tags = ["hide-input", "wide"]
    nbformat.write(page, path)
    page.cells.insert(2, v4.new_code_cell("seed = 1", metadata={"tags": ["injected-parameters"]}))
    page.cells[3].metadata.tags = ["wide", "hide-input"]
    assert pages.same_text(page, path)
    page.cells[3].metadata.tags = ["hide-input"]
    assert not pages.same_text(page, path)
    page.cells[3].metadata.tags = ["hide-input", "wide"]
    page.cells[3].source = "draw(n=2)"
    assert not pages.same_text(page, path)
