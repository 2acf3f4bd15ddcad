"""The book: what it refuses, that it builds with warnings as errors, and that a browser opens every page."""

import errno
import json
import os
import re
import shutil
import time
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import yaml
from nbformat import v4
from PIL import Image

from s2f import files
from s2f.errors import RunError
from s2f.report import book, pdf
from s2f.study import params
from s2f.study.finished import Finished
from s2f.study.pages import check_executed
from tests.study.test_finished import made

ROOT = Path(__file__).resolve().parents[2]
GLUE = re.compile(r"\{glue:text\}`runs/(\w+)\.ipynb::(\w+)(?::([^`]*))?`")
PROVENANCE = {
    "packages": {"python": "3.11.7", "torch": "2.11.0"},
    "commit": "0123456789ab",
    "machine": "Linux x86_64, 2 cores",
    "device": "cpu",
    "seed": 3,
    "threads": 2,
    "finished": "2026-01-02T03:04:05Z",
    "wall_time_s": 125.0,
    "peak_memory_mb": 2345.6,
}


def glued() -> dict[str, dict[str, object]]:
    """Keys that the prose asks each notebook for, with a value of the kind its format wants."""
    found: dict[str, dict[str, object]] = {}
    for chapter in sorted((ROOT / "book").glob("*.md")):
        for notebook, key, form in GLUE.findall(chapter.read_text(encoding="utf-8")):
            words = "smoke" if key == "profile" else "12.3"
            found.setdefault(notebook, {})[key] = words if form == "s" else 12.34566
    return found


def pictures() -> set[str]:
    """Pictures of the results folder that chapters show."""
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "book").glob("*.md")]
    return {name for page in pages for name in re.findall(r"\{figure\} runs/results/(\w+\.png)", page)}


# Two frames of colour: pictures without and with a dark page's lightness turned around.
PIXEL = {
    "drawing": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==",
    "photographs": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
}
CLICKED = "button, input, select, audio, summary, .moving"
WORDS = "A dot of one colour, for {}."


def picture(kind: str, *, words: bool = True) -> nbformat.NotebookNode:
    """A figure as `style.picture` leaves it in a notebook."""
    about = {"alt": WORDS.format(kind), "kind": kind} if words else {}
    data = {"image/png": PIXEL[kind], "text/plain": "<Figure size 1120x640 with 2 Axes>"}
    return v4.new_output("display_data", data=data, metadata={"image/png": about})


def table() -> nbformat.NotebookNode:
    """A table that is wider than a page, of pandas' own kind: an empty header over its lines."""
    frame = pd.DataFrame({f"a column that is wide {n}": ["m" * 30] for n in range(9)})
    return v4.new_output("display_data", data={"text/html": frame.to_html(), "text/plain": "a table"})


def notebook(title: str, glue: dict[str, object] | None = None) -> nbformat.NotebookNode:
    """An executed notebook as papermill leaves it: text, a formula, streams, pictures, a table, and glued values."""
    done = {"papermill": {"status": "completed"}}
    progress = v4.new_output("stream", name="stderr", text="progress bar 100%\n")
    cells = [
        v4.new_markdown_cell(f"# {title}\n\nA formula, $x^2$."),
        v4.new_code_cell(
            "print('shown')",
            execution_count=1,
            metadata=done,
            outputs=[v4.new_output("stream", name="stdout", text="shown\n"), progress],
        ),
        v4.new_markdown_cell("## What is shown?"),
        v4.new_code_cell(
            "figures()",
            execution_count=2,
            metadata=done | {"tags": ["hide-input"]},
            outputs=[picture("drawing"), picture("photographs"), table()],
        ),
    ]
    prefix = "application/papermill.record/"
    for n, (key, value) in enumerate((glue or {}).items(), start=3):
        output = v4.new_output(
            "display_data",
            data={f"{prefix}text/plain": repr(value)},
            metadata={"scrapbook": {"name": key, "mime_prefix": prefix}},
        )
        cells.append(v4.new_code_cell("glue()", execution_count=n, metadata=done, outputs=[output]))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    model = {"model_name": "LayoutModel", "model_module": "@jupyter-widgets/base", "model_module_version": "2.0.0"}
    state = {"state": {"0123": model | {"state": {}}}, "version_major": 2, "version_minor": 0}
    widgets = {"application/vnd.jupyter.widget-state+json": state}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "widgets": widgets})


def project(folder: Path, *, run: str = "smoke") -> tuple[Path, Path, dict[str, Path]]:
    """A copy of the book's sources and a run with one executed notebook for each of its pages."""
    root = folder / "project"
    shutil.copytree(ROOT / "book", root / "book", ignore=shutil.ignore_patterns("runs", "__pycache__"))
    shutil.copy(ROOT / "_config.yml", root)
    run_folder = root / "runs" / run
    executed = run_folder / "s3" / "notebooks"
    executed.mkdir(parents=True)
    wanted, notebooks = glued(), {}
    for name in sorted(book.pages(ROOT)):
        notebooks[name] = executed / f"{name}.ipynb"
        title = re.sub(r"_(general|females|males)$", "", name)  # as notebooks have it: the book tells variants apart
        nbformat.write(notebook(f"Page {title}", wanted.get(name)), notebooks[name])
        (executed / f"{name}.json").write_text(json.dumps(PROVENANCE), encoding="utf-8")
    results = run_folder / "s3" / "results"
    results.mkdir()
    (results / "table2.csv").write_text("variant,fid\ngeneral,1.0\n", encoding="utf-8")
    for name in pictures():
        Image.new("RGB", (40, 20), "white").save(results / name)
    (run_folder / "s3" / "general").mkdir()
    (run_folder / "s3" / "general" / "metrics.json").write_text("{}", encoding="utf-8")
    return root, run_folder, notebooks


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The real chapters, built over fixture notebooks."""
    root, run, notebooks = project(tmp_path_factory.mktemp("book"))
    stale = root / "book" / "runs" / "99_stale.ipynb"
    stale.parent.mkdir()
    stale.write_text("of another run", encoding="utf-8")
    (root / "_build" / ".html.killed" / "new").mkdir(parents=True)
    (root / "book" / ".runs.killed").mkdir()
    return root, book.build(root, run, notebooks, seed=3)


@pytest.mark.slow
def test_the_chapters_build_without_a_warning(built):
    root, index = built
    assert index == root / "_build" / "html" / "index.html"
    text = (root / "_build" / "html" / "results.html").read_text(encoding="utf-8")
    prose = r"agrees with the speaker’s in (<[^>]+>)*12\.3(<[^>]+>)*\xa0% of faces"
    assert re.search(prose, text)  # a number that was glued as text
    page = (root / "_build" / "html" / "data.html").read_text(encoding="utf-8")
    assert re.search(r"was made from: (<[^>]+>)*12(<[^>]+>)* people", page)  # one in the format that the prose gives it
    assert "12.3456" not in text + page
    notebook_page = (root / "_build" / "html" / "runs" / "01_corpus.html").read_text(encoding="utf-8")
    assert "shown" in notebook_page
    assert "progress bar" not in notebook_page


@pytest.mark.slow
def test_scripts_of_the_live_page_are_on_no_other(built):
    root, index = built
    assert "_static/live/page.js" in (root / "_build" / "html" / "live.html").read_text(encoding="utf-8")
    assert "live/page.js" not in index.read_text(encoding="utf-8")
    run = root / "_build" / "html" / "_static" / "live" / "run" / "run.js"
    assert "no trained networks" in run.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_new_run_replaces_the_earlier_one(built):
    root, _ = built
    names = {path.stem for path in (root / "book" / "runs").glob("*.ipynb")}
    assert names == book.pages(ROOT)
    assert (root / "book" / "runs" / "results" / "s3" / "table2.csv").is_file()
    assert not list((root / "book" / "runs" / "results").glob("*.csv")), "listed twice on the page of downloads"
    assert pictures() == {path.name for path in (root / "book" / "runs" / "results").glob("*.png")} != set()
    assert not [*(root / "_build").glob(".html.*"), *(root / "book").glob(".runs.*")]


@pytest.mark.slow
def test_the_status_page_says_what_made_the_build(built):
    root, _ = built
    text = (root / "_build" / "html" / "runs" / "status.html").read_text(encoding="utf-8")
    for value in ("0123456789ab", "2 cores", "2.11.0", "05_training_females", "2.1\u00a0min", "2.3\u00a0GB", "smoke"):
        assert value in text, value


@pytest.mark.slow
def test_every_page_names_its_run(built):
    root, _ = built
    html = [p for p in (root / "_build" / "html").rglob("*.html") if "_static" not in p.parts]
    assert len(html) > len(book.pages(ROOT))
    for page in html:
        assert "Smoke build" in page.read_text(encoding="utf-8"), page.name


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver")
    browser, driver = find("chromium", "chromium-browser", "google-chrome"), find("chromedriver")
    if browser is None or driver is None:
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield session
    finally:
        session.quit()


@pytest.mark.slow
def test_every_page_opens_in_a_browser_without_an_error_or_another_host(built, browser):
    root, _ = built
    problems, n_formulas = [], 0
    for page in pages_of(root):
        browser.get(page.as_uri())
        # MathJax.startup.promise settles when all formulas are drawn.
        n_formulas += browser.execute_async_script(
            "const done = arguments[0];"
            "const count = () => done(document.querySelectorAll('mjx-container').length);"
            "window.MathJax && MathJax.startup ? MathJax.startup.promise.then(count) : count();"
        )
        if not browser.find_elements("css selector", ".bd-header-announcement"):
            problems.append(f"{page.name}: no banner")
        for entry in browser.get_log("browser"):
            if entry["level"] in ("SEVERE", "WARNING"):
                problems.append(f"{page.name}: {entry['message']}")
        for entry in browser.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if not url.startswith(("file:", "data:", "blob:")):
                    problems.append(f"{page.name}: asks for {url}")
    assert not problems
    assert n_formulas >= len(book.pages(ROOT))  # one in each fixture notebook, drawn by the MathJax of the book


@pytest.mark.slow
def test_on_paper_every_formula_is_drawn_and_nothing_asks_to_be_clicked(built, browser):
    html = built[0] / "_build" / "html"
    sheet = html / "_printed.html"
    sheet.write_text(pdf.one_page(html, pdf.chapters(ROOT)), encoding="utf-8")
    try:
        browser.get(sheet.as_uri())
        drawn, asked = browser.execute_async_script(
            "const done = arguments[0], count = (what) => document.querySelectorAll(what).length;"
            "MathJax.startup.promise.then(() => done([count('mjx-container'), count('.math')]));"
        )
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        shown = [each.tag_name for each in browser.find_elements("css selector", CLICKED) if each.is_displayed()]
        raw = browser.execute_script("return document.body.innerText.match(/\\\\[([].{0,40}/g)")
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        sheet.unlink()
    assert drawn == asked > 40 and raw is None
    assert shown == []


# Contrast of an element's text with the first ground under it that is one; WCAG 2.2.
CONTRAST = """
const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
const light = (rgb) => { const [r, g, b] = rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const ground = (e) => { for (; e; e = e.parentElement) {
    const c = numbers(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; }
  return [255, 255, 255]; };
const found = [...document.querySelectorAll(arguments[0])].map((e) => {
  const [a, b] = [light(numbers(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05); });
return found.length ? Math.min(...found) : 0;
"""
# Colours that are on their way from one theme to the other are nobody's.
STILL = "document.head.insertAdjacentHTML('beforeend', '<style>* { transition: none !important; }</style>')"
THEMED = "document.documentElement.dataset.theme = document.documentElement.dataset.mode = arguments[0]"


def opened(browser, root: Path, page: str, *, theme: str = "light", width: int = 1280) -> None:
    """A page in a window of some width, in a theme."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get((root / "_build" / "html" / page).as_uri())
    browser.execute_script(STILL)
    browser.execute_script(THEMED, theme)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_banner_and_tables_can_be_read_in_both_themes(built, browser, theme):
    opened(browser, built[0], "runs/07_results.html", theme=theme)
    shown = (".bd-header-announcement span", ".bd-header-announcement a", ".wide-table th", ".wide-table td")
    for part in shown:
        assert browser.execute_script(CONTRAST, part) >= 4.5, part


@pytest.mark.slow
def test_a_dark_page_turns_drawings_around_and_no_photograph_and_lays_no_plate_under_either(built, browser):
    look = "const s = getComputedStyle(document.querySelector(arguments[0])); return [s.filter, s.backgroundColor];"
    opened(browser, built[0], "runs/07_results.html", theme="dark")
    drawing, photographs = (browser.execute_script(look, f"img.{kind}") for kind in PIXEL)
    assert drawing[0].startswith("invert(1)") and drawing[1] == "rgba(0, 0, 0, 0)"
    assert photographs == ["none", "rgb(0, 0, 0)"]
    opened(browser, built[0], "runs/07_results.html")
    assert browser.execute_script(look, "img.drawing") == ["none", "rgba(0, 0, 0, 0)"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_a_wide_table_scrolls_by_keyboard_in_a_page_that_does_not(built, browser, width):
    opened(browser, built[0], "runs/07_results.html", width=width)
    wide = browser.find_element("css selector", ".wide-table")
    assert wide.get_attribute("aria-label") == "Table: What is shown?"
    browser.execute_script("arguments[0].focus()", wide)
    assert browser.switch_to.active_element == wide
    inner, outer = (
        browser.execute_script(f"return arguments[0].{side}", wide) for side in ("scrollWidth", "clientWidth")
    )
    assert inner > outer  # the fixture's table is wider than any page
    pages = browser.execute_script("const e = document.documentElement; return [e.scrollWidth, window.innerWidth];")
    assert pages[0] <= pages[1]


@pytest.mark.slow
def test_lines_break_neither_in_an_option_nor_before_a_percent_sign(built):
    html = built[0] / "_build" / "html"
    command = re.search(
        r'<div class="highlight-bash.*?</div>', (html / "extend.html").read_text(encoding="utf-8"), re.S
    )
    assert command and re.search(r'<span class="option">--[a-z]+</span>', command.group(0))
    text = (html / "results.html").read_text(encoding="utf-8")
    assert "\u00a0%" in text and not re.search(r"\d(</span>)? %[ .,;]", text)


@pytest.mark.slow
def test_no_page_moves_sideways_on_a_phone(built, browser):
    html, moving = built[0] / "_build" / "html", {}
    for page in pages_of(built[0]):
        opened(browser, built[0], page.relative_to(html).as_posix(), width=390)
        beyond = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth;")
        if beyond > 0:
            moving[page.name] = beyond
    assert moving == {}


@pytest.mark.slow
@pytest.mark.parametrize("page", ["index.html", "runs/07_results.html"])
def test_all_that_can_be_pressed_has_a_name_when_the_page_runs(built, browser, page):
    opened(browser, built[0], page)
    nameless = browser.execute_script(
        "return [...document.querySelectorAll('button, a[href], input, summary')]"
        ".filter((e) => e.type !== 'hidden' && e.offsetParent !== null)"
        ".filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length"
        " || e.querySelector('img')?.alt))"
        ".map((e) => e.outerHTML.slice(0, 120))"
    )
    assert nameless == []


AXE = (
    "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then((found) => done(found.violations"
)
AXE += (
    ".map((rule) => `${rule.id}: ${rule.nodes.map((node) => `${node.target} ${node.failureSummary}`).slice(0, 3)}`)));"
)
LOOKED_AT = (
    "index",
    "results",
    "metrics",
    "live",
    "glossary",
    "references",
    "search",
    "runs/07_results",
    "runs/status",
)


@pytest.mark.slow
@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_axe_finds_nothing_that_not_everyone_can_read_or_name(built, browser, theme, width):
    """All pages on a wide screen in light; one of each kind in dark and on a phone."""
    package = distribution("axe-playwright-python")  # a carrier of one file
    script = Path(package.locate_file("axe_playwright_python/axe.min.js")).read_text(encoding="utf-8")
    html = built[0] / "_build" / "html"
    names = [page.relative_to(html).with_suffix("").as_posix() for page in pages_of(built[0])]
    faults = {}
    for name in names if (theme, width) == ("light", 1280) else LOOKED_AT:
        opened(browser, built[0], f"{name}.html", theme=theme, width=width)
        browser.execute_script(script)
        if found := browser.execute_async_script(AXE):
            faults[name] = found
    assert set(LOOKED_AT) < set(names)
    assert faults == {}


@pytest.mark.slow
def test_axe_is_there_and_finds_a_fault(browser, tmp_path):
    page = tmp_path / "a.html"
    page.write_text("<html lang='en'><title>a</title><main><h1>a</h1><button></button></main>", encoding="utf-8")
    package = distribution("axe-playwright-python")
    browser.get(page.as_uri())
    browser.execute_script(Path(package.locate_file("axe_playwright_python/axe.min.js")).read_text(encoding="utf-8"))
    assert [found.split(":")[0] for found in browser.execute_async_script(AXE)] == ["button-name"]


@pytest.mark.slow
def test_the_search_finds_a_word_and_leads_to_its_page(built, browser):
    page = built[0] / "_build" / "html" / "search.html"
    browser.get(f"{page.as_uri()}?q=larynx")
    links = "return [...document.querySelectorAll('#search-results li a')].map((link) => link.getAttribute('href'));"
    for _ in range(50):
        if found := browser.execute_script(links):
            break
        time.sleep(0.1)
    assert "data.html" in {link.split("?")[0].split("#")[0] for link in found}
    assert len(found) < 10  # and no more than there is


@pytest.mark.slow
def test_icons_are_drawn_into_pages_that_load_no_script_for_them(built, browser):
    text = (built[0] / "_build" / "html" / "index.html").read_text(encoding="utf-8")
    assert "fontawesome.js" not in text and not re.search(r'<i class="[^"]*fa-', text)
    opened(browser, built[0], "index.html")
    size = "const box = document.querySelector('.search-button-field svg').getBoundingClientRect(); return box.width;"
    assert 8 < browser.execute_script(size) < 40
    opened(browser, built[0], "search.html")
    sides = (
        "const field = [...document.querySelectorAll('.bd-search')].at(-1);"
        "return [field.querySelector('svg').getBoundingClientRect().right,"
        " field.querySelector('input').getBoundingClientRect().left];"
    )
    icon, field = browser.execute_script(sides)
    assert 0 < icon <= field  # and beside the words, not on them


@pytest.mark.slow
def test_one_setting_turns_on_the_links_to_the_repository(tmp_path):
    root, run, notebooks = project(tmp_path)
    toc = "format: jb-book\nroot: index\nchapters:\n- file: runs/05_training_females\n- file: runs/status\n"
    (root / "book" / "_toc.yml").write_text(toc, encoding="utf-8")
    (root / "book" / "index.md").write_text("# Small\n", encoding="utf-8")
    config = (root / "_config.yml").read_text(encoding="utf-8")
    assert config.count('url: ""') == 1
    (root / "_config.yml").write_text(config.replace('url: ""', "url: https://github.com/who/what"), encoding="utf-8")
    book.build(root, run, {"05_training_females": notebooks["05_training_females"]}, seed=3)
    text = {name: (root / "_build" / "html" / f"{name}.html").read_text("utf-8") for name in ("index", "runs/status")}
    page = (root / "_build" / "html" / "runs" / "05_training_females.html").read_text(encoding="utf-8")
    own = "main/notebooks/05_training.ipynb"  # what is run, and not its executed copy
    for there in (
        "https://mybinder.org/v2/gh/who/what/main?urlpath=lab/tree/notebooks/05_training.ipynb",
        f"https://colab.research.google.com/github/who/what/blob/{own}",
        f"https://github.com/who/what/edit/{own}",
        "https://github.com/who/what/issues/new",
    ):
        assert f'href="{there}' in page, there
    assert 'href="https://github.com/who/what/edit/main/book/index.md' in text["index"]
    assert "/edit/" not in text["runs/status"]  # the build wrote it


def pages_of(root: Path) -> list[Path]:
    return sorted(p for p in (root / "_build" / "html").rglob("*.html") if "_static" not in p.parts)


@pytest.mark.slow
def test_every_picture_has_the_words_that_were_written_with_it(built):
    root, _ = built
    found = []
    for page in pages_of(root):
        for image in re.findall(r"<img[^>]*>", page.read_text(encoding="utf-8")):
            alt = re.search(r'alt="([^"]*)"', image)
            assert alt and alt.group(1).strip(), f"{page.name}: {image}"
            assert not re.search(r"\.(png|svg|jpe?g)$", alt.group(1)), f"{page.name}: {image}"
            found.append((alt.group(1), re.findall(r"\b(?:drawing|photographs)\b", image.replace(alt.group(0), ""))))
    for kind in PIXEL:
        assert found.count((WORDS.format(kind), [kind])) == len(book.pages(ROOT))


@pytest.mark.slow
def test_no_header_of_a_table_says_nothing_and_no_button_is_nameless(built):
    root, _ = built
    n_tables = 0
    for page in pages_of(root):
        text = page.read_text(encoding="utf-8")
        n_tables += text.count("<table")
        for header in re.findall(r"<th\b[^>]*>(.*?)</th>", text, re.DOTALL):
            assert re.sub(r"<[^>]+>|&nbsp;|\s", "", header), f"{page.name}: an empty header"
        for start, inner in re.findall(r"(<button\b[^>]*>)(.*?)</button>", text, re.DOTALL):
            named = re.search(r'aria-label="[^"]+"', start) or re.sub(r"<[^>]+>|\s", "", inner)
            assert named, f"{page.name}: {start}"
    assert n_tables > len(book.pages(ROOT))


@pytest.mark.slow
def test_no_two_pages_have_one_title(built):
    root, _ = built
    titles = [
        re.search(r"<title>(.*?)</title>", page.read_text(encoding="utf-8"), re.DOTALL)[1] for page in pages_of(root)
    ]
    assert "Page 05_training: Females" in " ".join(titles)
    assert len(titles) == len(set(titles))


@pytest.mark.slow
def test_citations_are_labelled_as_their_list_and_lead_out(built):
    root, _ = built
    text = (root / "_build" / "html" / "references.html").read_text(encoding="utf-8")
    listed = set(re.findall(r'<span class="label"><span[^>]*>\[</span>([^<]+)<', text))
    assert "Wen et al., 2019" in listed
    cited = set()
    for page in pages_of(root):
        links = re.findall(r"references\.html#[^>]*>(.*?)</a>", page.read_text(encoding="utf-8"), re.DOTALL)
        cited |= {re.sub(r"<[^>]+>", "", link) for link in links if re.search(r"\d{4}|n\.d\.", link)}
    assert "Wen et al., 2019" in cited and "Bińkowski et al., 2018" in cited
    assert {label for label in cited if "," in label} <= listed  # names in the text have the year apart
    for there in ("https://doi.org/10.21437/Interspeech.2017-950", "https://arxiv.org/abs/1905.10604"):
        assert f'href="{there}"' in text


@pytest.mark.slow
def test_all_notebooks_and_the_data_behind_tables_can_be_taken_home(built):
    root, _ = built
    text = (root / "_build" / "html" / "runs" / "downloads.html").read_text(encoding="utf-8")
    names = {Path(link).name for link in re.findall(r'href="(\.\./_downloads/[^"]+)"', text)}
    assert names == {f"{name}.ipynb" for name in book.pages(ROOT)} | {"table2.csv", "metrics.json"}
    for link in re.findall(r'href="(\.\./_downloads/[^"]+)"', text):
        assert (root / "_build" / "html" / "runs" / link).is_file()
    assert "Table 2, with intervals" in text


@pytest.mark.slow
@pytest.mark.parametrize("page", ["runs/05_training_females.html", "question.html"])
def test_nothing_leads_to_a_repository_whose_address_is_not_given(built, page):
    root, _ = built
    text = (root / "_build" / "html" / page).read_text(encoding="utf-8")
    assert not re.search(r"mybinder|colab|/issues/new|/edit/", text)
    assert 'property="og:image"' in text


def find(*names: str) -> str | None:
    return next((path for path in map(shutil.which, names) if path), None)


@pytest.mark.slow
def test_a_missing_glued_number_is_named_and_leaves_the_earlier_book(tmp_path):
    root, run, notebooks = project(tmp_path)
    toc = "format: jb-book\nroot: index\nchapters:\n- file: runs/07_results\n- file: runs/status\n"
    (root / "book" / "_toc.yml").write_text(toc, encoding="utf-8")
    number = "{{glue:text}}`runs/07_results.ipynb::{}:.1f`"
    prose = f"# Small\n\n{number.format('gender_agreement')} {number.format('lost')}\n"
    (root / "book" / "index.md").write_text(prose, encoding="utf-8")
    earlier = root / "_build" / "html" / "index.html"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("earlier", encoding="utf-8")
    with pytest.raises(RunError, match="'lost'") as caught:
        book.build(root, run, {"07_results": notebooks["07_results"]})
    assert "gender_agreement" not in str(caught.value)
    assert str(root / "_build" / "book.log") in str(caught.value)
    assert earlier.read_text(encoding="utf-8") == "earlier"


@pytest.mark.slow
def test_a_book_whose_pages_have_faults_is_refused_and_leaves_the_earlier_one(tmp_path):
    root, run, notebooks = project(tmp_path)
    toc = "format: jb-book\nroot: index\nchapters:\n- file: runs/07_results\n- file: runs/status\n"
    (root / "book" / "_toc.yml").write_text(toc, encoding="utf-8")
    prose = "# Small\n\n| faces |\n|---|\n| NaN |\n\n"
    prose += "<a href='nowhere.html'>There</a> is <img src='https://example.org/a.png' alt='A face.'>\n"
    (root / "book" / "index.md").write_text(prose, encoding="utf-8")
    earlier = root / "_build" / "html" / "index.html"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("earlier", encoding="utf-8")
    with pytest.raises(RunError) as caught:
        book.build(root, run, {"07_results": notebooks["07_results"]})
    for fault in ("says nothing: NaN", "link: nowhere.html", "another host: https://example.org/a.png"):
        assert f"index.html: {fault}" in str(caught.value)
    assert earlier.read_text(encoding="utf-8") == "earlier"


def test_prose_asks_for_glued_numbers_with_a_format():
    for chapter in sorted((ROOT / "book").glob("*.md")):
        text = chapter.read_text(encoding="utf-8")
        uses = re.findall(r"\{glue[^}]*\}`[^`]*`", text)
        assert all(re.search(r"::\w+:(,?\.\d+f|s)`$", use) for use in uses), chapter.name
    assert {"07_results", "04_voice_embedding", "01_corpus"} <= set(glued())


def test_prose_has_one_sentence_a_line():
    two = re.compile(r"(?<![.\d])[a-z)”\"%][.?!] (?=[A-Z])")
    for chapter in sorted((ROOT / "book").glob("*.md")):
        for n, line in enumerate(chapter.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.startswith(("|", "#")):
                assert not two.search(line), f"{chapter.name}:{n}: {line}"


CHAPTERS = [
    *("question", "data", "front_end", "networks", "training", "results", "poster", "known_answer", "limits_ethics"),
    *("reproduce", "extend", "how_built"),
]
BIBLIOGRAPHY = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
PROSE = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "book").glob("*.md"))}


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_begins_with_what_it_teaches_and_ends_with_three_exercises(name):
    page = PROSE[name]
    title, goals, rest = re.split(r"```\{admonition\} What this chapter teaches\n|```\n", page, maxsplit=2)
    assert re.fullmatch(r"(\(\S+\)=\n)?# .+\n\n", title)
    assert len(re.findall(r"^- .+", goals, re.M)) >= 3
    exercises = rest.split("\n## Exercises\n")[1]
    asked = re.findall(r"```\{exercise\} .+\n:label: (\S+)\n", exercises)
    answered = re.findall(r"```\{solution\} (\S+)\n:class: dropdown\n", exercises)
    assert len(set(asked)) == 3 and asked == answered
    assert exercises.count("```{") == 6 and "\n## " not in exercises


def test_chapters_are_those_of_the_table_of_contents():
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
    files = [path for path in book._files(toc) if not path.startswith("runs/")]
    assert {*CHAPTERS} < {*files} and set(files) == set(PROSE) - {"README"}
    assert [name for name in files if name in CHAPTERS] == CHAPTERS
    assert files.index("metrics") > files.index("results")  # a reference, after what it is needed for


@pytest.mark.parametrize("name", sorted(PROSE))
def test_no_chapter_tells_how_it_came_to_be(name):
    told = re.compile(r"\b(first version|used to be|at first|an earlier|since then)\b", re.I)
    assert told.findall(PROSE[name]) == []


RESULTS = ("index", "question", "results", "poster", "known_answer", "live", "limits_ethics", "cards", "faq")
NOTEBOOKS = ("06_metrics", "07_results", "09_known_answer", "10_poster")
SOURCE = r"\{cite|doi\.org|for this study|benchmarks/RESULTS\.md|s2f/|permutations"


def said_in(name: str) -> str:
    """Text of a chapter, or of a notebook between its cells."""
    if name in PROSE:
        return PROSE[name]
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("name", [*RESULTS, *NOTEBOOKS])
def test_a_number_of_a_result_is_glued_or_has_its_source(name):
    """Percentages and decimals; exercises ask about made-up ones, and what a reader sets has a unit."""
    text = re.sub(r"^```\{(?:exercise|solution)\}.*?^```$", "", said_in(name), flags=re.M | re.S)
    for section in re.split(r"^## ", text, flags=re.M):
        above = ""  # what stands before a table
        for part in re.split(r"\n(?=\||\n)", section):  # a paragraph, or a line of a table
            above = above if part.startswith("|") else part if part.strip() else above
            numbers = set(re.findall(r"\d+\.\d+(?! k?Hz)|\d+ %", GLUE.sub("", part)))
            numbers -= {"50 %", "95 %", "0 %", "0.05", "0.0"}
            sourced = re.search(SOURCE, part) or (part.startswith("|") and re.search(SOURCE, above))
            assert not numbers or sourced or "`benchmarks/RESULTS.md`" in section, part


def test_what_real_voices_give_is_said_alike_wherever_one_can_be_given():
    table = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8").split("## Real voices given to")[1]
    row = re.search(r"^\| General \| (\d+) \| (\d+) \| (\S+ % \[[^]]+\]) \|", table, re.M)
    said = f"showed the right sex in {row[3]} of {row[1]} recordings of {row[2]} VoxCeleb speakers"
    places = ["README.md", "notebooks/08_your_voice.ipynb"]
    places += [f"book/{name}.md" for name in ("limits_ethics", "faq", "cards", "reproduce", "live")]
    assert [place for place in places if said not in (ROOT / place).read_text(encoding="utf-8")] == []


def test_a_refused_notebook_leaves_the_book_as_it_was(tmp_path):
    root, run, notebooks = project(tmp_path)
    page = notebook("Females")
    page.cells[1].outputs.append(v4.new_output("error", ename="KeyError", evalue="x", traceback=[]))
    nbformat.write(page, notebooks["05_training_females"])
    with pytest.raises(RunError, match="05_training_females"):
        book.build(root, run, notebooks)
    assert not (root / "book" / "runs").exists()
    assert not (root / "_build").exists()


def test_a_book_is_placed_where_folders_cannot_be_renamed(tmp_path, monkeypatch):
    root, run, notebooks = project(tmp_path)

    def rename(source, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link", str(source), None, str(target))

    def built(command, *, log, cwd):
        html = Path(command[command.index("--path-output") + 1], "_build", "html")
        html.mkdir(parents=True)
        (html / "index.html").write_text("<title>a page</title>")

    monkeypatch.setattr(book, "_run", built)
    monkeypatch.setattr(os, "rename", rename)
    for _ in range(2):
        assert book.build(root, run, notebooks).read_text() == "<title>a page</title>"
        assert (root / "book" / "runs" / "results" / "s3" / "table2.csv").is_file()
        assert sorted(path.name for path in (root / "_build").iterdir() if path.name[0] != ".") == ["_toc.yml", "html"]


def test_pages_and_notebooks_must_match(tmp_path):
    root, run, notebooks = project(tmp_path)
    spare = notebooks.pop("06_metrics_males")
    with pytest.raises(RunError, match="06_metrics_males has no executed notebook"):
        book.build(root, run, notebooks)
    notebooks |= {"06_metrics_males": spare, "09_more": spare}
    with pytest.raises(RunError, match="09_more is not in the table of contents"):
        book.build(root, run, notebooks)


@pytest.mark.parametrize("text", ["recipe: codes\n", "recipe: [\n", "", "- a\n"])
def test_a_run_of_another_version_is_named(tmp_path, text):
    results = tmp_path / "runs" / "smoke" / "s2" / "results"
    files.write_text(results / "params.yaml", text)
    (tmp_path / "book").symlink_to(ROOT / "book")
    with pytest.raises(RunError, match=r"s2/results/params\.yaml is of another version .*\. Run the study again"):
        book.executed_pages(tmp_path, results.parent / "notebooks", instead=tmp_path)


def test_a_labelled_run_shows_the_pages_that_it_shares_with_the_plain_one(tmp_path):
    results = tmp_path / "runs" / "smoke-long" / "s2" / "results"
    settings = params.resolve("smoke", overrides={"gan.steps": 70}, root=ROOT)
    files.write_yaml(results / "params.yaml", params.plain(settings))
    for name in ("params", "book"):
        (tmp_path / name).symlink_to(ROOT / name)
    found = book.executed_pages(tmp_path, results.parent / "notebooks", instead=tmp_path)
    shared = {name for name, path in found.items() if path.parent == tmp_path / "runs" / "smoke" / "s2" / "notebooks"}
    assert shared == {"01_corpus", "02_preprocessing", "04_voice_embedding", "04_face_code"}
    assert {path.parent for name, path in found.items() if name not in shared} == {results.parent / "notebooks"}


@pytest.mark.parametrize("profile", ["synthetic", "table", "voxceleb", "wen2019"])
def test_a_recipe_without_face_code_has_a_page_that_says_so(tmp_path, profile):
    results = tmp_path / "runs" / profile / "s0" / "results"
    files.write_yaml(results / "params.yaml", params.plain(params.resolve(profile, root=ROOT)))
    for name in ("params", "book"):
        (tmp_path / name).symlink_to(ROOT / name)
    found = book.executed_pages(tmp_path, results.parent / "notebooks", instead=tmp_path)
    absent = {name: check_executed(path, name=name) for name, path in found.items() if path.parent == tmp_path}
    titles = {name: page.cells[0].source.splitlines()[0] for name, page in absent.items()}
    assert titles["04_face_code"] == "# Face code: not in this run"
    assert len(set(titles.values())) == len(titles) == (5 if profile == "table" else 1)  # no two pages are called alike


def test_files_of_a_variant_that_was_taken_out_are_not_given(tmp_path):
    seed = tmp_path / "runs" / "demo" / "s0"
    made(seed / "general", "05_training", "06_metrics")
    made(seed / "results", "07_results", of=["demo/s0/general:06_metrics"])
    for name in ("general", "males", "answer"):
        (seed / name).mkdir(exist_ok=True)
        (seed / name / "draws.json").touch()
    assert sorted(book._behind(Finished(seed))) == ["answer/draws.json", "general/draws.json"]


def test_the_command_says_which_notebook_is_missing(tmp_path, monkeypatch, capsys):
    root, _, notebooks = project(tmp_path)
    (root / "params").mkdir()
    (root / "params" / "base.yaml").touch()
    notebooks["07_results"].unlink()
    monkeypatch.chdir(root)
    assert book.main(["smoke", "3"]) == 2
    assert "runs/smoke/s3/notebooks/07_results.ipynb is missing" in capsys.readouterr().err

    def refused(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(root / "_build"))

    monkeypatch.setattr(book, "build", refused)
    monkeypatch.setattr(book, "executed_pages", lambda *_, **__: {})
    assert book.main(["smoke", "3"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "_build cannot be" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("run", "kind", "words"),
    [
        ("smoke", "smoke", ["Smoke build", "no number"]),
        ("demo", "result", ["Profile demo", "synthetic"]),
        ("demo-closed", "result", ["Profile demo", "Label closed"]),
        ("voxceleb-ci", "result", ["Profile voxceleb", "real recordings", "Label ci"]),
    ],
)
def test_the_banner_says_what_a_run_is(tmp_path, run, kind, words):
    for seed in (0, 1):
        folder = tmp_path / run / f"s{seed}" / "notebooks"
        folder.mkdir(parents=True)
        (folder / "07_results.json").write_text(json.dumps(PROVENANCE | {"seed": seed}), encoding="utf-8")
    shown = book.status(tmp_path / run)
    assert shown["kind"] == kind
    assert [row["notebook"] for row in shown["rows"]] == ["07_results", "07_results"]
    for word in [*words, "Seeds 0, 1"]:
        assert word in shown["text"]


@pytest.mark.parametrize(("kind", "words"), [("synthetic", "synthetic voices"), ("table", "real recordings")])
def test_the_banner_of_a_profile_of_ones_own_goes_by_its_corpus(tmp_path, kind, words):
    (folder := tmp_path / "mine" / "s0" / "corpus").mkdir(parents=True)
    resolved = params.resolve("smoke", overrides={"corpus.kind": kind}, root=ROOT)
    (folder / "params.yaml").write_text(yaml.safe_dump(params.plain(resolved)), encoding="utf-8")
    assert book.status(tmp_path / "mine")["text"].startswith(f"Profile mine: {words}")


def test_every_citation_is_in_the_bibliography_and_every_entry_is_cited():
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md"))
    cited = {key.strip() for keys in re.findall(r"\{cite:[pt]\}`([^`]+)`", text) for key in keys.split(",")}
    entries = re.findall(r"^@\w+\{(\w+),", BIBLIOGRAPHY, re.M)
    assert cited == set(entries)
    assert len(entries) == len(set(entries))


def test_the_page_on_citing_says_what_the_file_for_programs_says():
    record = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    authors = " and ".join(author["name"] for author in record["authors"])
    spoken, entry = re.search(r"^> ([^\n]+)$.*?```bibtex\n(.+?)```", PROSE["cite"], re.M | re.S).groups()
    title, version, licence = record["title"], record["version"], record["license"]
    year = max(re.findall(r"\b20\d\d\b", entry))
    assert spoken == f"{authors}. *{title}* Version {version}, {year}. {licence} licence."
    fields = dict(re.findall(r"^  (\w+) = \{(.+)\},$", entry, re.M))
    plain = {name: value.replace("{", "").replace("}", "") for name, value in fields.items()}
    assert plain == {"title": title, "author": authors, "version": version, "year": year, "license": licence}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (version, licence) == (project["version"], project["license"])
    wen = re.search(r"@\w+\{wen2019,.*?title = \{(.+?)\},\n", BIBLIOGRAPHY, re.S)
    cited = {reference["title"] for reference in record["references"]}
    assert cited == {wen[1].replace("{", "").replace("}", "")}


def test_every_term_of_the_glossary_is_reached_from_the_chapter_that_first_uses_it():
    terms = set(re.findall(r"^(?!:)(\S.*)\n  \S", PROSE["glossary"].split(":sorted:\n")[1], re.M))
    linked = {}
    for name in CHAPTERS:
        for term in re.findall(r"\{term\}`(?:[^`<]*<)?([^`<>]+)>?`", PROSE[name]):
            linked.setdefault(term, name)
    assert set(linked) == terms


def test_every_source_but_the_poster_has_an_address():
    for entry in re.split(r"^@", BIBLIOGRAPHY, flags=re.M)[1:]:
        name = re.match(r"\w+\{(\w+),", entry)[1]
        assert re.search(r"^  (doi|eprint|url) = ", entry, re.M) or name == "poster", name


def test_configuration_executes_nothing_and_hides_progress_bars():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert config["execute"] == {"execute_notebooks": "off", "stderr_output": "remove"}
