"""Numbers and names in sentences: as text, and in words where there is none."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable
from types import MappingProxyType

MISSING = "not measured"
TRAITS = MappingProxyType({"age_years": "age", "height_cm": "height", "bmi": "body mass index", "mean": "mean of all"})
HYPHEN = re.compile(r"(?<![\w.–−-])-(?=\.?\d)")  # before a number, where it is a minus: not in a date or a range
LINES = re.compile(r"[ \t\r\n\f\v]+")  # a no-break space stays
ABSENT = "s2f_absent"  # in the metadata of an output: it says that something is not there
# To be said where a real voice can be given to networks that learned from synthetic people.
REAL_VOICES = "Networks that learned from synthetic people never heard a real voice, and are often wrong about one."


def met(protocols: Iterable[str]) -> str:
    """Whether networks met the people who are measured, by the protocols of the metrics: a relative clause."""
    return "whom the networks never met" if set(protocols) == {"held_out"} else "whom the networks also learned from"


def trait(name: str) -> str:
    """An attribute of a person in words."""
    return TRAITS.get(name, name.replace("_", " "))


def number(value: float | None, *, digits: int = 1, why: str | None = None) -> str:
    """A number with so many digits after its point, or `MISSING` for one that is none (None, NaN or infinite).

    Where it is known, `why` it is none stands behind, in brackets.
    """
    if value is not None and math.isfinite(value):
        return f"{value:z.{digits}f}"
    return f"{MISSING} ({why})" if why else MISSING


def interval(low: float | None, high: float | None, *, digits: int = 1) -> str:
    """The ends of an interval in brackets, or that there is none."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return "[no interval]"
    return signed(f"[{number(low, digits=digits)}, {number(high, digits=digits)}]")


def signed(text: object) -> str:
    """Text whose negative numbers have a minus, which is as wide as a plus and breaks no line, for a hyphen."""
    return HYPHEN.sub("−", str(text))


def moment(stamp: object) -> str:
    """A time stamp as it is read: 2026-01-02T03:04:05Z is 2026-01-02 03:04 UTC, on one line."""
    return re.sub(r"^([\d-]{10})T(\d\d:\d\d):\d\d(?:\.\d+)?Z$", "\\1\u00a0\\2\u00a0UTC", str(stamp))


def absent(text: str) -> None:
    """Say in a notebook that something is not there; the book leaves the cell out, and a section of such cells alone.

    Only of cells that are tagged ``optional``, see `s2f.report.book_pages.page`.
    """
    from IPython import get_ipython
    from IPython.display import display

    if get_ipython() is None:
        return print(text)
    return display({"text/plain": text}, raw=True, metadata={ABSENT: True})


def several(values: Iterable[object]) -> str:
    """Different values in a row, or that there is none."""
    return ", ".join(sorted({str(value) for value in values if value is not None})) or "not recorded"


def plain_html(text: object) -> str:
    """Text for a page: no tags, and dollar signs that start no formula."""
    return html.escape(str(text)).replace("$", '<span class="tex2jax_ignore mathjax_ignore">$</span>')


def plain_markdown(text: object) -> str:
    """Text on one line of a Markdown page, also in a table: no formulas, emphasis, code, links, roles or tags."""
    return re.sub(r"([\\`*{}\[\]<>|$~&]|(?<!\w)_|_(?!\w))", r"\\\1", LINES.sub(" ", str(text)).strip(" "))
