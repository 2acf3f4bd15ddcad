"""What every built page of the book owes its readers; a book that owes something is not published.

What names and sizes of somebody's own corpus can bring about is warned of instead, or hours of work would show nothing.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from s2f.errors import RunError

MAX_BYTES = 3_000_000  # of a page with what it loads
MAX_LIVE_BYTES = 12_000_000  # of the page that carries the trained networks
LIVE = "live"
OF_DATA = frozenset({"name of a variable", "cut", "weight"})  # faults that come with a corpus
STRICT = "S2F_STRICT"  # set, these are refused too: where the corpus is ours
SHOWN = 20  # problems that an error names
FONTS = (".woff2", ".woff", ".ttf")  # of several in a style sheet a page uses one, and loads no other
EMPTY = frozenset({"img", "br", "hr", "input", "link", "meta", "source", "wbr", "area", "col", "embed", "track"})
SAYS_NOTHING = re.compile(r"(?<![\w.])(nan|NaN|NaT|<NA>)(?![\w-])")
RAW = re.compile(r"\{'\w+': ")  # a dictionary as Python prints it
SNAKE = re.compile(r"(?<![\w/.-])[a-z]+(?:_[a-z0-9]+)+(?![\w/.-])")
FILE = re.compile(r"\.(png|svg|jpe?g|gif)$")
STYLE_URL = re.compile(r"src:\s*url\(([^)]+)\)|@import\s+(?:url\()?[\"']?([^\"');]+)|url\((https?:[^)]+)\)")


class Problem(NamedTuple):
    """A fault of a page.

    Attributes
    ----------
    page : str, its path below the book's folder
    kind, what : str, which rule it breaks, and where
    """

    page: str
    kind: str
    what: str


@dataclass
class Page:
    """What the rules look at.

    Attributes
    ----------
    title : str, of the browser's tab
    headings : list of int and str, levels and texts, of the article
    ids : set of str, places that links can name
    links : list of str, where one can go
    loads : list of str, what the browser asks for without being told to
    alts : list of str and str or None, addresses of pictures and the words written with each
    glued, texts, cells : list of str
        What the build put into sentences, all text that is no code, and text of the cells of tables that is no code
    """

    title: str = ""
    headings: list[tuple[int, str]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    alts: list[tuple[str, str | None]] = field(default_factory=list)
    glued: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    """Fills a `Page`."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._open: list[tuple[str, str]] = []  # tags and classes from the root to here

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        page = self.page
        page.ids |= {has[name] for name in ("id", "name") if has.get(name)}
        if tag == "a" and has.get("href"):
            page.links.append(has["href"])
        if tag in ("img", "script", "iframe", "source", "embed", "audio", "video") and has.get("src"):
            page.loads.append(has["src"])
        if tag == "object" and "//" in has.get("data", ""):  # one that is not there shows its own words instead
            page.loads.append(has["data"])
        if tag == "link" and {"stylesheet", "preload", "icon"} & set(has.get("rel", "").split()):
            page.loads.append(has["href"])
        if tag == "img":
            page.alts.append((has.get("src", ""), dict(attrs).get("alt")))
        if re.fullmatch("h[1-6]", tag) and self._is_in("article"):
            page.headings.append((int(tag[1]), ""))
        if tag not in EMPTY:
            self._open.append((tag, has.get("class", "")))

    def handle_endtag(self, tag: str) -> None:
        for place in range(len(self._open) - 1, -1, -1):
            if self._open[place][0] == tag:
                del self._open[place:]
                return

    def handle_data(self, data: str) -> None:
        if not data.strip() or self._is_in("script", "style"):
            return
        if self._open and self._open[-1][0] == "title" and not self._is_in("svg"):
            self.page.title += data.strip()
        if self.page.headings and self._is_in(*(f"h{n}" for n in range(1, 7))) and self._is_in("article"):
            level, text = self.page.headings[-1]
            self.page.headings[-1] = level, text + data
        is_output = any("cell_output" in classes for _, classes in self._open)
        if self._is_in("code") or (self._is_in("pre") and not is_output):
            return
        self.page.texts.append(data)
        if any("pasted-text" in classes for _, classes in self._open):
            self.page.glued.append(data)
        if self._is_in("td", "th"):
            self.page.cells.append(data)

    def _is_in(self, *tags: str) -> bool:
        return any(tag in tags for tag, _ in self._open)


def read(path: Path) -> Page:
    """What a page holds."""
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    return reader.page


def problems(html: Path) -> list[Problem]:
    """All faults of the pages below a folder.

    Parameters
    ----------
    html : Path, the built book

    Returns
    -------
    list of Problem, by page
    """
    pages = {path.relative_to(html).as_posix(): read(path) for path in sorted(html.rglob("*.html")) if _is_page(path)}
    found = [Problem(name, "title", page.title or "none") for name, page in pages.items() if _is_taken(name, pages)]
    for name, page in pages.items():
        found += [Problem(name, kind, what) for kind, what in _of_page(page)]
        found += [Problem(name, "link", link) for link in page.links if _leads_nowhere(link, name, pages, html)]
        found += [Problem(name, kind, what) for kind, what in _of_loads(page, html / name, html)]
    return sorted(set(found))


def check(html: Path, *, place: Path) -> None:
    """Refuse a book with a fault; of those in `OF_DATA`, warn, unless the variable `STRICT` is set.

    Parameters
    ----------
    html : Path, the built book
    place : Path, what an error names

    Raises
    ------
    RunError: a page has a value that says nothing, a picture without words, a heading out of order, the title of
        another page, a link that leads nowhere, or asks another host for something
    """
    found = problems(html)
    if not os.environ.get(STRICT):
        for each in (each for each in found if each.kind in OF_DATA):
            print(f"warning: {each.page}: {each.kind}: {each.what}", file=sys.stderr)
        found = [each for each in found if each.kind not in OF_DATA]
    if found:
        lines = [f"{each.page}: {each.kind}: {each.what}" for each in found[:SHOWN]]
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        text = "\n".join([*lines, *more])
        remedy = "Mend each where its page comes from: book/, notebooks/ or what they show of the run."
        raise RunError(place, f"was not built, since its pages have faults:\n{text}\n", remedy=remedy, reason="page")


def _is_page(path: Path) -> bool:
    return "_static" not in path.parts


def _is_taken(name: str, pages: Mapping[str, Page]) -> bool:
    title = pages[name].title
    return not title or any(other != name and page.title == title for other, page in pages.items())


def _of_page(page: Page) -> Iterator[tuple[str, str]]:
    """Faults that a page shows by itself."""
    for text in page.texts:
        if match := SAYS_NOTHING.search(text):
            yield "says nothing", _around(text, match)
        if match := RAW.search(text):
            yield "raw dictionary", _around(text, match)
    for text in page.glued:
        if match := re.search(r"(?<![\w.])(inf|None)(?![\w-])", text):
            yield "says nothing", f"glued {text}"
        if "\n" in text or text.startswith(("{", "[{")):
            yield "raw value", text[:60]
    for text in page.cells:
        if match := SNAKE.search(text):
            yield "name of a variable", _around(text, match)
        if re.search(r"(…|\.\.\.)\s*$", text):
            yield "cut", text[:60]
    for source, words in page.alts:
        if not (words or "").strip() or FILE.search(words or ""):
            yield "picture without words", f"{source[:80]} ({words!r})"
    levels = [level for level, _ in page.headings]
    if levels and (levels[0] != 1 or levels.count(1) != 1):
        yield "heading", f"{levels.count(1)} of the first level, and the page begins with level {levels[0]}"
    for (above, _), (level, text) in zip(page.headings, page.headings[1:], strict=False):
        if level > above + 1:
            yield "heading", f"level {level} after level {above}: {text[:60]}"


def _around(text: str, match: re.Match) -> str:
    return " ".join(text[max(match.start() - 30, 0) : match.end() + 30].split())


def _leads_nowhere(link: str, name: str, pages: Mapping[str, Page], html: Path) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return False
    target = _local(link, html / name) if parts.path else html / name
    if not target.exists() or target.is_dir():
        return True
    if not target.is_relative_to(html):
        return True
    page = pages.get(target.relative_to(html).as_posix())
    fragment = unquote(parts.fragment)
    return bool(fragment) and fragment != "#" and page is not None and fragment not in page.ids


def _local(address: str, page: Path) -> Path:
    """The file that an address without a host means."""
    place = page.parent
    for part in unquote(urlsplit(address).path).split("/"):
        place = place.parent if part == ".." else place / part if part not in ("", ".") else place
    return place


def _of_loads(page: Page, path: Path, html: Path) -> Iterator[tuple[str, str]]:
    """What a page asks for that is elsewhere, is not there, or is too much."""
    files = {path: path.stat().st_size}
    wanted = [(address, path) for address in page.loads if not address.startswith("data:")]
    while wanted:
        address, source = wanted.pop()
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            yield "another host", address
            continue
        file = _local(address, source)
        if not file.is_file():
            yield "missing", address
        elif file not in files:
            files[file] = file.stat().st_size
            if file.suffix == ".css":
                text = file.read_text(encoding="utf-8")
                found = (next(filter(None, match)).strip("'\"") for match in STYLE_URL.findall(text))
                wanted += [(each, file) for each in found if not each.startswith("data:")]
    fonts = [file for file in files if file.suffix in FONTS]
    for file in sorted(fonts, key=files.__getitem__)[:-1]:
        del files[file]
    limit = MAX_BYTES
    if path == html / f"{LIVE}.html":
        limit = MAX_LIVE_BYTES
        files |= {file: file.stat().st_size for file in (html / "_static" / LIVE).rglob("*") if file.is_file()}
    if sum(files.values()) > limit:
        largest = max(files, key=files.__getitem__)
        what = f"{sum(files.values()) / 1e6:.1f} of {limit / 1e6:.0f} MB, most of it {largest.relative_to(html)}"
        yield "weight", what
