"""A notebook as a page, and the pages that the build writes; tests/report/test_book.py builds them."""

from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from s2f.errors import RunError
from s2f.report import book_pages, prose


def code(*outputs, tags=()):
    return v4.new_code_cell("ask()", outputs=list(outputs), metadata={"tags": list(tags)}, execution_count=1)


def text(words):
    return v4.new_markdown_cell(words)


def said(words="here"):
    return v4.new_output("stream", name="stdout", text=words)


GLUED = v4.new_output("display_data", data={"text/plain": "1"}, metadata={"scrapbook": {"name": "a"}})
ABSENT = v4.new_output("display_data", data={"text/plain": "not here"}, metadata={prose.ABSENT: True})
PROGRESS = v4.new_output("stream", name="stderr", text="50 %")
PICTURE = {"image/png": "aGVsbG8="}


def sources(*cells, name="07_results"):
    page = book_pages.page(v4.new_notebook(cells=list(cells)), name=name)
    return [cell.source for cell in page.cells]


@pytest.mark.parametrize("outputs", [[], [ABSENT], [GLUED], [PROGRESS, ABSENT]])
def test_a_section_whose_run_is_not_there_is_left_out_with_its_heading_and_caption(outputs):
    cells = [text("# Title"), text("## Is it here?\n\nIt may be."), code(*outputs, tags=["optional"]), text("Caption.")]
    assert sources(*cells, text("## Next"), code(said())) == ["# Title", "## Next", "ask()"]


def test_of_a_section_with_more_in_it_only_the_absent_and_its_caption_are_left_out():
    cells = [text("## Two"), code(said()), text("First."), code(ABSENT, tags=["optional"]), text("Second.")]
    assert sources(*cells) == ["## Two", "ask()", "First."]


def test_what_is_there_stays_as_does_a_cell_that_shows_nothing_and_is_not_optional():
    cells = [text("## A"), code(said(), tags=["optional"]), text("Caption."), text("### B"), code(), text("Caption.")]
    assert sources(*cells) == ["## A", "ask()", "Caption.", "### B", "ask()", "Caption."]


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("05_training_females", "# Training: Females"),
        ("06_metrics_general", "# Training: General"),
        ("07_results", "# Training"),
    ],
)
def test_the_page_of_a_variant_has_its_name_in_the_title(name, title):
    assert sources(text("# Training\n\nText."), name=name) == [f"{title}\n\nText."]
    assert sources(text("# Females: not in this run"), name="05_training_females") == ["# Females: not in this run"]


@pytest.mark.parametrize(
    "about", [{}, {"image/png": {}}, {"image/png": {"alt": "  "}}, {"image/png": {"kind": "drawing"}}]
)
def test_a_picture_without_words_is_refused(tmp_path, about):
    page = v4.new_notebook(cells=[text("# Title"), code(v4.new_output("display_data", data=PICTURE, metadata=about))])
    with pytest.raises(RunError, match=r"a\.ipynb has a picture without words in cell 1.*style\.say"):
        book_pages.check_words(page, tmp_path / "a.ipynb")
    page.cells[1].outputs[0].metadata = {"image/png": {"alt": "Two faces."}}
    book_pages.check_words(page, tmp_path / "a.ipynb")


def test_downloads_are_named_by_their_place_in_the_run_and_by_what_they_hold(tmp_path):
    nbformat.write(v4.new_notebook(cells=[text("# The corpus: *whose*?")]), tmp_path / "01_corpus.ipynb")
    for place in (
        "data/s0/code/metrics.json",
        "results/s0/table2.csv",
        "results/seeds.csv",
        "data/s0/general/metrics.json",
    ):
        path = tmp_path / Path(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x" * 2000, encoding="utf-8")
    page = book_pages.downloads_page(tmp_path)
    assert "{download}`01_corpus.ipynb <01_corpus.ipynb>`" in page
    assert "| {download}`s0/results/table2.csv <results/s0/table2.csv>` | Table 2, with intervals | 2 kB |" in page
    assert "| {download}`results/seeds.csv <results/seeds.csv>` | mean, deviation and range over seeds |" in page
    assert "`s0/code/metrics.json <data/s0/code/metrics.json>` | how near the face code" in page
    assert "`s0/general/metrics.json <data/s0/general/metrics.json>` | every metric of the variant" in page


def test_the_status_page_leads_to_the_pages_and_has_times_and_the_sum():
    rows = [
        {"notebook": "07_results", "wall_time_s": 60.0, "seed": 0, "finished": "2026-01-02T03:04:05Z"},
        {"notebook": "05_other", "wall_time_s": 90.0},
    ]
    shown = {"run": "demo", "profile": "demo", "label": "", "text": "Demo.", "rows": rows}
    page = book_pages.status_page(shown, pages={"07_results"})
    assert "| [07_results](07_results.ipynb) | 0 |" in page
    assert "| 05_other |" in page
    assert "| 2026-01-02\u00a003:04\u00a0UTC |" in page
    for time in ("1.0 min", "1.5 min", "2.5 min"):
        assert f"| {time} |" in page


@pytest.mark.parametrize(("unit", "interval"), [(" %", True), (" points", True), (" %", False), ("", False)])
def test_a_missing_number_has_neither_unit_nor_interval(unit, interval):
    reason = '<span class="pasted-text">not measured (too few faces)</span>'
    behind = ' <span class="pasted-text">[no interval]</span>' if interval else ""
    page = f'<p>It is <span class="pasted-text">9</span> % there, {reason}{unit}{behind} here, and 5 %.</p>'
    wanted = f'<p>It is <span class="pasted-text">9</span> % there, {reason} here, and 5 %.</p>'
    assert book_pages.without_units(page) == wanted
