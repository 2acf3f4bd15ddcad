"""The look of all tables: text in cells, one row of headers, and no header that says nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas.io.formats.style import Styler

from s2f.report import prose

if TYPE_CHECKING:
    from IPython.display import HTML

HEAD = re.compile(r"<thead>.*?</thead>", re.DOTALL)
ROW = re.compile(r"<tr>.*?</tr>", re.DOTALL)
NAME = re.compile(r'<th class="index_name[^>]*>.*?</th>', re.DOTALL)
BLANK = re.compile(r'<th class="blank[^>]*>&nbsp;</th>')
EMPTY = re.compile(r"<th\b([^>]*)>(?:\s|&nbsp;)*</th>")
NUMBER = re.compile(r"[−–+<>≤≥(\[-]*\s*(\d|[⁰¹²³⁴-⁹]|$)")  # how a cell of numbers begins, or one without a value
# Columns that are named otherwise than in words; of the others an underscore is a space.
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "f": "women",
        "m": "men",
        "n_identities": "people",
        "identities": "people",
        "n_photos": "photographs",
        "n_recordings": "recordings",
        "n_parameters": "parameters",
        "across_splits": "in two splits",
        "across_identities": "under two people's names",
        "within_identity": "twice of one person",
    }
)


class Grid(Styler):
    """A table as pandas styles it, with the names of its lines in the one row of headers, and cells where none is."""

    def to_html(self, *args: Any, **kwargs: Any) -> Any:
        """The table as HTML: what a notebook displays."""
        text = super().to_html(*args, **kwargs)
        if not isinstance(text, str):  # written to a file
            return text
        return EMPTY.sub(r"<td\1></td>", HEAD.sub(_one_row, text))


def _one_row(head: re.Match) -> str:
    """The names that pandas puts into a second row of headers, in the empty places of the first."""
    rows = ROW.findall(head.group(0))
    if len(rows) != 2 or not (names := NAME.findall(rows[1])):
        return head.group(0)
    left = iter(names)
    first = BLANK.sub(lambda blank: next(left, blank.group(0)), rows[0])
    return f"<thead>\n    {first}\n  </thead>"


def words(name: object) -> str:
    """What a column or a line is called in a table, of its name in a file."""
    text = str(name)
    return WORDS.get(text) or text.replace("_", " ")


def styled(frame: pd.DataFrame, *, notes: str = "", lines: str | Sequence[str] = ()) -> Styler:
    """A frame of text as a page shows it: numbers on the right, words on the left, a line under each row, and notes.

    Names and cells are text, whatever they hold: neither tags nor formulas.

    Parameters
    ----------
    lines : str or sequence of str, optional, what the lines are, for each level of the index; its own names if none
    """
    line = "1px solid color-mix(in srgb, currentcolor 22%, transparent)"
    looks = {
        "th.row_heading": f"text-align: left; border-bottom: {line}",
        "th.col_heading": "text-align: center",
        "th.index_name": "text-align: left",
        "td": f"text-align: right; white-space: pre; padding-left: 0.9em; border-bottom: {line}",
    }
    if notes:
        looks["caption"] = "caption-side: bottom; text-align: left; white-space: pre-line; font-size: 0.9em"
    for n in range(frame.shape[1]):
        if frame.iloc[:, n].map(lambda cell: NUMBER.match(str(cell)) is None).mean() > 0.5:
            looks[f"td.col{n}"] = "text-align: left"
    styles = [{"selector": selector, "props": props} for selector, props in looks.items()]
    shown = frame.map(lambda cell: prose.plain_html(prose.signed(cell)))
    shown = shown.rename(index=prose.plain_html, columns=prose.plain_html)
    shown.index.names = [lines] if isinstance(lines, str) else list(lines) or shown.index.names
    shown.columns.name = None
    styler = Grid(shown).set_table_styles(styles).set_table_attributes('class="dataframe"')
    return styler.set_caption(prose.plain_html(notes)) if notes else styler


def nothing(why: str) -> HTML:
    """What stands where a table has no line: why, a line a reason."""
    from IPython.display import HTML

    return HTML(f"<p>{'<br>'.join(map(prose.plain_html, why.splitlines()))}</p>")
