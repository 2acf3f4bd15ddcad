"""The prose of the built book as one PDF, printed by a browser from the book's own pages; needs no LaTeX.

Notebook pages and the page that runs networks are left out: they are for a screen.
"""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from s2f import files
from s2f.errors import OutputError, RunError, S2FError
from s2f.study import params

NAME = "speech-to-face.pdf"  # in the built book
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LIMIT_S = 300
_ON_SCREEN = frozenset({"live"})  # chapters that say little on paper
_SHEETS = re.compile(r'<link\b[^>]*rel="stylesheet"[^>]*>')
_FORMULAS = re.compile(  # what draws them: the settings, and the script, as `mathjax_path` of _config.yml names it
    r'<script\b[^>]*>\s*window\.MathJax\s*=.*?</script>|<script\b[^>]*\bsrc="[^"]*/mathjax/[^"]*"[^>]*></script>', re.S
)
_SCRIPT = re.compile(r"<script\b.*?</script>", re.S)
_ARTICLE = re.compile(r'<article class="bd-article">(.*?)</article>', re.S)
_TITLE = re.compile(r"<h1>(.*?)(?:<a\b[^>]*headerlink.*?)?</h1>", re.S)
_BANNER = re.compile(r'<span class="run-\w+">([^<]*)')
_LINK = re.compile(r'\bhref="([^"#?:]*)(?:#([^"]*))?"')
_ON_PAPER = """
@page { size: A4; margin: 18mm 16mm 20mm; @bottom-center { content: counter(page); font: 9pt sans-serif; } }
@page :first { @bottom-center { content: none; } }
html { font-size: 10.5pt; }
body { display: block; background: #fff; line-height: 1.4; }
h1 { font-size: 1.8rem; } h2 { font-size: 1.35rem; } h3 { font-size: 1.1rem; }
a:not([href]) { color: inherit; text-decoration: none; }
article { break-before: page; max-width: none; }
a.headerlink, .toggle-hint, button, audio, .moving, .player { display: none !important; }
h1, h2, h3, dt, .admonition-title { break-after: avoid; }
img, figure, tr, mjx-container, .admonition, div.highlight { break-inside: avoid; }
mjx-container svg * { stroke: none; }
div.math, mjx-container { overflow: visible !important; }
h1 code, h2 code, h3 code { border: 0 !important; background: none !important; }
.cover { padding-top: 60mm; }
.cover h1 { font-size: 2.4rem; }
.cover ol { columns: 2; line-height: 1.8; }
figure img { max-height: 225mm; width: auto !important; }
table { font-size: 8.5pt; width: 100%; }
pre { white-space: pre-wrap !important; font-size: 8.5pt; }
.wide-table, .pst-scrollable-table-container, .cell_output, figure { overflow: visible; background: none !important; }
"""


def write(root: Path) -> Path:
    """Print the prose chapters of ``_build/html`` to a PDF beside them, and link it from the book's first page.

    Parameters
    ----------
    root : Path, the project's folder

    Returns
    -------
    Path, the PDF

    Raises
    ------
    RunError: the book is not built, or lacks a chapter
    OutputError: there is no browser to print with, or it printed nothing
    """
    book = root / "_build" / "html"
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        problem = f"cannot be printed: none of the browsers {', '.join(BROWSERS)} is installed"
        raise OutputError(book / NAME, problem, remedy="Install one (Debian: apt-get install chromium).")
    sheet = book / "_printed.html"  # beside the pages, whose pictures and styles it shows
    try:
        files.write_text(sheet, one_page(book, chapters(root)))
        with files.whole(book / NAME) as beside:
            _print(browser, sheet, beside)
    finally:
        sheet.unlink(missing_ok=True)
    _link(book / "index.html")
    return book / NAME


def chapters(root: Path) -> list[str]:
    """Names of the prose pages, in the book's order."""
    toc = (root / "book" / "_toc.yml").read_text(encoding="utf-8")
    found = re.findall(r"^\s*(?:root|-\s*file|file):\s*([\w-]+)\s*$", toc, re.M)
    return [name for name in found if name not in _ON_SCREEN]


def one_page(book: Path, names: list[str]) -> str:
    """One page of several: their articles, with links among them that stay in the page.

    Raises
    ------
    RunError: a chapter is not there, or holds no article
    """
    articles, titles, formulas, first = [], {}, "", ""
    for name in names:
        path = book / f"{name}.html"
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        article = _ARTICLE.search(text)
        if article is None:
            raise RunError(path, "is no page of the built book", remedy="Build it: make book")
        first = first or text
        scripts = "".join(_FORMULAS.findall(text))
        formulas = max(formulas, scripts, key=len)  # pages without formulas have none
        title = _TITLE.search(article.group(1))
        titles[name] = title.group(1).strip() if title else name
        text = _apart(article.group(1), name=name, names=names)
        articles.append(f'<article id="{name}" class="bd-article">{text}</article>')
    return (
        '<!DOCTYPE html>\n<html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8">'
        f"<title>Speech to face</title>{''.join(_SHEETS.findall(first))}<style>{_ON_PAPER}</style>{formulas}</head>"
        f"<body class='bd-content'>{_cover(titles, banner=_BANNER.search(first))}{''.join(articles)}</body></html>\n"
    )


def _cover(titles: Mapping[str, str], *, banner: re.Match | None) -> str:
    """The first sheet: the book's title, which is its first chapter's, the run that it shows, and the chapters."""
    first, *others = titles
    chapters = "".join(f'<li><a href="#{name}">{titles[name]}</a></li>' for name in others)
    run = f"<p>{banner.group(1).strip()}</p>" if banner else ""
    return (
        f'<header class="cover"><h1>{titles[first]}</h1>{run}<nav><h2>Chapters</h2><ol>{chapters}</ol></nav></header>'
    )


def _apart(article: str, *, name: str, names: list[str]) -> str:
    """An article without scripts, whose names are unlike those of others, and whose links stay on paper."""

    def led(match: re.Match) -> str:
        page, place = match.group(1), match.group(2) or ""
        if page and not page.endswith(".html"):
            return match.group(0)
        page = page.removesuffix(".html") or name
        if page not in names:
            return ""  # a notebook's page: the words stay, the link goes
        return f'href="#{page}--{place}"' if place else f'href="#{page}"'

    article = _SCRIPT.sub("", article)
    article = re.sub(r'\bid="([^"]*)"', rf'id="{name}--\1"', article)
    return _LINK.sub(led, article)


def _print(browser: str, page: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory() as home:
        command = [browser, "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={home}"]
        command += ["--no-pdf-header-footer", "--generate-pdf-document-outline", "--virtual-time-budget=60000"]
        command += ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # root has none
        command += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--print-to-pdf={target}", page.as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=LIMIT_S)
            said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        except subprocess.TimeoutExpired:
            said = f"nothing within {LIMIT_S} s"
    if not target.is_file() or not target.read_bytes().startswith(b"%PDF-"):
        raise OutputError(target.name, f"was not printed by {browser} ({said})", remedy="Try another browser.")


def _link(index: Path) -> None:
    """Name the PDF on the book's first page, once."""
    text = index.read_text(encoding="utf-8")
    if f'href="{NAME}"' not in text:
        said = f'<p class="printed"><a href="{html.escape(NAME)}">The chapters as a PDF</a></p>'
        files.write_text(index, text.replace("</h1>", f"</h1>\n{said}", 1))


def main() -> int:
    """``python -m s2f.report.pdf``."""
    try:
        print(f"The chapters: {write(params.project_root()).as_uri()}")
    except S2FError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
