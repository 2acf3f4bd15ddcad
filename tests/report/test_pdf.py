"""The chapters as one PDF: one page of them whose links stay in it, and a browser that prints it."""

import re
import shutil
import sys
import zlib
from pathlib import Path

import pytest

from s2f.errors import OutputError, RunError
from s2f.report import pdf
from s2f.study import params

ROOT = Path(__file__).resolve().parents[2]
PAGE = """<html><head><link rel="stylesheet" href="_static/a.css"><link rel="preload" href="x.js">{scripts}</head><body>
<div><span class="run-demo">Profile demo. <a href="runs/status.html">Status</a></span></div>
<article class="bd-article">
<section id="top"><h1>{title}<a class="headerlink" href="#top">#</a></h1>{text}
<script>1 < 2</script></section></article><footer>no</footer></body></html>"""
FORMULA = (
    '<script>window.MathJax = {"svg": 1}</script><script defer="defer" src="_static/../mathjax/startup.js"></script>'
)
TEXTS = {
    "index": '<p id="a">First. <a href="two.html#b">to</a> <a href="two.html">page</a> <a href="#a">here</a></p>',
    "two": '<p id="b">Second. <a href="runs/07.html#x">a notebook</a> <a href="https://a.b/c.html#d">out</a></p>'
    '<p id="a">the same name</p>',
}


@pytest.fixture
def project(tmp_path):
    """A built book of two chapters, a live page and a notebook's page."""
    (tmp_path / "book").mkdir()
    toc = "root: index\nparts:\n  - chapters:\n      - file: two\n        sections:\n          - file: live\n"
    (tmp_path / "book" / "_toc.yml").write_text(toc + "      - file: runs/07_results\n")
    book = tmp_path / "_build" / "html"
    book.mkdir(parents=True)
    for name, text in TEXTS.items():
        scripts = FORMULA if name == "two" else ""
        (book / f"{name}.html").write_text(PAGE.format(title=name.title(), text=text, scripts=scripts))
    return tmp_path


def test_chapters_are_those_of_the_book_without_notebooks():
    found = pdf.chapters(ROOT)
    assert found[0] == "index" and {"results", "metrics", "references"} < set(found) and "live" not in found
    assert all((ROOT / "book" / f"{name}.md").is_file() for name in found)
    prose = {path.stem for path in (ROOT / "book").glob("*.md")}
    assert prose - set(found) == {"live"}


def test_one_page_holds_all_chapters_and_links_among_them_stay_in_it(project):
    page = pdf.one_page(project / "_build" / "html", pdf.chapters(project))
    assert page.index("First.") < page.index("Second.") and "no</footer>" not in page
    ids = re.findall(r'id="([^"]*)"', page)
    assert len(ids) == len(set(ids)) and {"index", "two", "two--b", "index--a", "two--a"} <= set(ids)
    inside = re.findall(r'href="#([^"]*)"', page)
    assert inside == ["two", "index--top", "two--b", "two", "index--a", "two--top"]
    assert set(inside) <= set(ids)
    assert '<a >a notebook</a> <a href="https://a.b/c.html#d">out</a>' in page
    assert page.count('href="_static/a.css"') == 1 and "preload" not in page
    assert page.count("mathjax/startup.js") == 1 and page.count("window.MathJax") == 1  # of the page that has formulas
    assert "1 < 2" not in page, "what moves on a screen stands still"
    cover = page[page.index('<header class="cover">') : page.index("</header>")]
    assert "<h1>Index</h1><p>Profile demo.</p>" in cover and cover.count("<li>") == 1
    assert '<li><a href="#two">Two</a></li>' in cover


def test_a_book_that_is_not_built_is_said(project):
    (project / "_build" / "html" / "two.html").unlink()
    with pytest.raises(RunError, match=r"two\.html is no page of the built book\. Build it: make book"):
        pdf.one_page(project / "_build" / "html", pdf.chapters(project))


def test_without_a_browser_it_is_said_and_nothing_changes(project, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(params, "project_root", lambda: project)
    before = {path.name: path.read_bytes() for path in (project / "_build" / "html").iterdir()}
    assert pdf.main() == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "chromium" in said and "Install one" in said and said.count("\n") == 1
    assert {path.name: path.read_bytes() for path in (project / "_build" / "html").iterdir()} == before


@pytest.mark.parametrize("prints", ["", "no pdf"])
def test_a_browser_that_prints_nothing_leaves_an_earlier_pdf(project, monkeypatch, tmp_path, prints):
    book = project / "_build" / "html"
    (book / pdf.NAME).write_bytes(b"%PDF-earlier")
    script = tmp_path / "browser"
    write = (
        f"Path(next(a for a in sys.argv if a.startswith('--print-to-pdf=')).split('=', 1)[1]).write_text({prints!r})"
    )
    script.write_text(
        f"#!{sys.executable}\nimport sys\nfrom pathlib import Path\n{write if prints else 'sys.exit(3)'}\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(script))
    with pytest.raises(OutputError, match="was not printed by"):
        pdf.write(project)
    assert (book / pdf.NAME).read_bytes() == b"%PDF-earlier" and pdf.NAME not in (book / "index.html").read_text()
    assert sorted(path.name for path in book.iterdir()) == ["index.html", pdf.NAME, "two.html"]


@pytest.mark.slow
def test_a_browser_prints_the_chapters_and_the_first_page_links_them_once(project):
    if not any(map(shutil.which, pdf.BROWSERS)):
        pytest.skip("needs chromium (Debian: apt-get install chromium)")
    book = project / "_build" / "html"
    for _ in range(2):
        assert pdf.write(project) == book / pdf.NAME
    content = (book / pdf.NAME).read_bytes()
    assert content.startswith(b"%PDF-") and len(re.findall(rb"/Type */Page\b", content)) >= 2  # a chapter begins a page
    titles = content + b"".join(map(unpacked, re.findall(rb"stream\r?\n(.*?)endstream", content, re.S)))
    assert b"two--b" in titles  # a link among chapters leads to a place in the PDF
    assert (book / "index.html").read_text().count(f'href="{pdf.NAME}"') == 1
    assert sorted(path.name for path in book.iterdir()) == ["index.html", pdf.NAME, "two.html"]


def unpacked(stream):
    try:
        return zlib.decompress(stream.rstrip(b"\r\n"))
    except zlib.error:
        return b""
