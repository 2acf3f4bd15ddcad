"""What a built page owes its readers, on pages with one fault each; `s2f.report.book` holds the book to it."""

from pathlib import Path

import pytest

from s2f.errors import RunError
from s2f.report import book_checks

STYLE = "@font-face{src:url(font.woff2) format('woff2'),url(font.ttf)} p{background:url(data:image/png;base64,aa)}"


def page(inside: str = "", *, title: str = "A page", head: str = "", heading: str = "<h1>A page</h1>") -> str:
    return (
        f"<html><head><title>{title}</title><link rel='stylesheet' href='_static/a.css'>{head}</head>"
        f"<body><h1>Of the theme</h1><article>{heading}{inside}</article></body></html>"
    )


def written(folder: Path, **pages: str) -> Path:
    static = folder / "_static"
    static.mkdir()
    (static / "a.css").write_text(STYLE, encoding="utf-8")
    (static / "font.woff2").write_bytes(b"1")
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return folder


def kinds(folder: Path, **pages: str) -> list[str]:
    return [found.kind for found in book_checks.problems(written(folder, **pages))]


RIGHT = page(
    "<h2 id='part'>Part</h2><h3>Of it</h3><h2>Next</h2><img src='_static/font.woff2' alt='A face.'>"
    "<p>Of Nan, infinite: <span class='pasted-text'>12.3</span> and <code>NaN</code>; <code>{'a': 1}</code></p>"
    "<div class='cell_input'><pre>nan = {'a': 1}</pre></div><div class='cell_output'><pre>1.0</pre></div>"
    "<table><tr><td><code>a_name</code> of runs/a_file.csv</td></tr></table>"
    "<a href='#part'>here</a><a href='other.html#there'>there</a><a href='https://doi.org/1'>out</a><a href='#'>top</a>"
)
OTHER = page("<p id='there'>x</p>", title="Another")


def test_a_page_without_a_fault_has_none(tmp_path):
    assert kinds(tmp_path, right=RIGHT, other=OTHER) == []


@pytest.mark.parametrize(
    ("inside", "kind"),
    [
        ("<p><span class='pasted-text'>nan</span> %</p>", "says nothing"),
        ("<p>[<span class='pasted-text'>nan, 3.0</span>]</p>", "says nothing"),
        ("<p><span class='pasted-text'>-inf</span></p>", "says nothing"),
        ("<p><span class='pasted-text'>None</span></p>", "says nothing"),
        ("<table><tr><td>NaN</td></tr></table>", "says nothing"),
        ("<div class='cell_output'><pre>a   nan\n</pre></div>", "says nothing"),
        ("<div class='cell_output'><pre>{'n_people': 3}</pre></div>", "raw dictionary"),
        ("<p><span class='pasted-text'>{a: 3}</span></p>", "raw value"),
        ("<table><tr><th>n_people</th></tr></table>", "name of a variable"),
        ("<table><tr><td>General and …</td></tr></table>", "cut"),
        ("<table><tr><td>General and...</td></tr></table>", "cut"),
        ("<img src='_static/font.woff2'>", "picture without words"),
        ("<img src='_static/font.woff2' alt=' '>", "picture without words"),
        ("<img src='_static/font.woff2' alt='_images/af01.png'>", "picture without words"),
        ("<h3>Too deep</h3>", "heading"),
        ("<h1>Again</h1>", "heading"),
        ("<a href='lost.html'>x</a>", "link"),
        ("<a href='_static'>x</a>", "link"),
        ("<a href='#lost'>x</a>", "link"),
        ("<a href='other.html#lost'>x</a>", "link"),
        ("<img src='lost.png' alt='A face.'>", "missing"),
        ("<img src='https://example.org/a.png' alt='A face.'>", "another host"),
        ("<script src='//example.org/a.js'></script>", "another host"),
        ("<iframe src='https://example.org/'></iframe>", "another host"),
        ("<audio src='http://example.org/a.wav'></audio>", "another host"),
        ("<object data='https://example.org/a.svg'></object>", "another host"),
        (f"<p hidden title='{'x' * book_checks.MAX_BYTES}'></p>", "weight"),
    ],
)
def test_each_fault_of_a_page_is_found(tmp_path, inside, kind):
    assert kinds(tmp_path, right=page(inside), other=OTHER) == [kind]


def test_a_page_begins_with_its_title(tmp_path):
    assert kinds(tmp_path, right=page(heading="<h2>A part</h2>")) == ["heading"]


def test_two_pages_of_one_title_and_one_without_are_found(tmp_path):
    found = book_checks.problems(written(tmp_path, a=page(), b=page(), c=OTHER, d=page(title="")))
    assert [(each.page, each.kind) for each in found] == [(f"{name}.html", "title") for name in "abd"]


@pytest.mark.parametrize("style", ["@import url(https://example.org/a.css);", "p{background:url(https://a.b/c.png)}"])
def test_a_style_sheet_that_asks_another_host_is_found(tmp_path, style):
    folder = written(tmp_path, right=page())
    (folder / "_static" / "a.css").write_text(style, encoding="utf-8")
    assert [each.kind for each in book_checks.problems(folder)] == ["another host"]


def test_what_a_style_sheet_loads_is_weighed_and_the_live_page_may_carry_its_networks(tmp_path):
    folder = written(tmp_path, right=page(), live=page(title="Live"))
    (folder / "_static" / "font.woff2").write_bytes(b"1" * (book_checks.MAX_BYTES - 1000))
    assert book_checks.problems(folder) == []
    (folder / "_static" / "font2.woff2").write_bytes(b"1" * (book_checks.MAX_BYTES - 2000))
    (folder / "_static" / "a.css").write_text(f"{STYLE} @font-face{{src:url(font2.woff2)}}", encoding="utf-8")
    assert book_checks.problems(folder) == []  # one of both is used
    (folder / "_static" / "font.woff2").write_bytes(b"1" * book_checks.MAX_BYTES)
    assert [each.page for each in book_checks.problems(folder)] == ["right.html"]
    networks = folder / "_static" / "live" / "run.js"
    networks.parent.mkdir()
    networks.write_bytes(b"1" * (book_checks.MAX_LIVE_BYTES - book_checks.MAX_BYTES))
    assert [each.page for each in book_checks.problems(folder)] == ["live.html", "right.html"]


def test_a_refusal_names_pages_faults_and_how_many_more(tmp_path):
    folder = written(tmp_path, right=page("".join(f"<a href='lost{n:02}.html'>x</a>" for n in range(25))))
    with pytest.raises(RunError, match=r"right\.html: link: lost00\.html(.|\n)*and 5 more(.|\n)*Mend each") as caught:
        book_checks.check(folder, place=tmp_path / "book")
    assert str(tmp_path / "book") in str(caught.value)
    for n in range(25):
        (folder / f"lost{n:02}.html").write_text(page(title=f"{n}"), encoding="utf-8")
    book_checks.check(folder, place=tmp_path / "book")


def test_what_a_corpus_brings_about_is_warned_of_and_refused_where_that_is_asked_for(tmp_path, monkeypatch, capsys):
    folder = written(tmp_path, right=page("<table><tr><td>subject_01</td></tr></table>"))
    monkeypatch.delenv(book_checks.STRICT, raising=False)
    book_checks.check(folder, place=tmp_path / "book")
    assert "warning: right.html: name of a variable: subject_01" in capsys.readouterr().err
    monkeypatch.setenv(book_checks.STRICT, "1")
    with pytest.raises(RunError, match="name of a variable: subject_01"):
        book_checks.check(folder, place=tmp_path / "book")
