"""A table in a file, as programs, spreadsheets and people write it: its columns and its rows."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import itertools
import json
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from s2f.errors import CorpusError

_SEPARATORS = MappingProxyType({",": "commas", ";": "semicolons", "\t": "tabs", "|": "|"})
_NUMBERED = "__index_level_"  # a column by which pandas numbers rows
_SEARCHED = 20  # lines in which the header is looked for
_WORKBOOKS = (b"PK\3\4", b"\xd0\xcf\x11\xe0")  # of spreadsheet programs

Record = tuple[int, list[str]]  # the number of its last line, its cells


def read(path: Path, *, wanted: Sequence[AbstractSet[str]]) -> pd.DataFrame:
    """Read a table as text: cells without spaces around them, "" where there is none.

    Of a ``.parquet`` file the index is called "row", and a list in a cell is JSON. Any other is text: it may be in
    UTF-8 or UTF-16 and separated by commas, semicolons, tabs or |. Above its header may stand a line such as
    ``sep=;``, remarks that begin with #, or a title. Lines without content are left out, and so are columns without
    name and content, and remarks in one cell.

    Parameters
    ----------
    wanted : sequence of set of str, the columns that a header has to name, or others that it may name instead

    Returns
    -------
    DataFrame
        Columns as the header names them, or as the first line with content where none names half of what is wanted;
        one without a name is called by its number. The index, "line", has the number of each row's line.

    Raises
    ------
    CorpusError: damaged, empty, not text (bytes in Parquet too), an open quote, a row longer than the header
    """
    if path.suffix.lower() == ".parquet":
        return _parquet(path)
    text = _text(path)
    known = [{name.lower() for name in names} for names in wanted]
    separator = _separator(path, text, known)
    try:
        records = list(_records(text, separator, known))
    except csv.Error as error:
        problem = f"cannot be read as a table ({error})"
        remedy = "Look at its quotes: each that opens must close, before the next separator."
        raise CorpusError(path, problem, remedy=remedy, reason="not_a_table") from None
    if not records:
        remedy = "Its first line must name the columns."
        raise CorpusError(path, "is empty", remedy=remedy, reason="not_a_table")
    named_share = [_share(cells, known) for _, cells in records[:_SEARCHED]]
    at = named_share.index(max(named_share)) if max(named_share) >= 0.5 else 0
    header, rows = records[at][1], {}
    for line, cells in records[at + 1 :]:
        if cells[0].startswith("#") and (len(cells) > len(header) or not any(cells[1:])):
            continue
        while len(cells) > len(header) and not cells[-1]:
            cells.pop()  # spreadsheets fill up rows to the longest
        if len(cells) > len(header):
            problem = f"has {len(cells)} cells in line {line}, and {len(header)} in its header"
            remedy = f"It is separated by {_SEPARATORS[separator]}: put quotes around a value that holds one."
            raise CorpusError(path, problem, remedy=remedy, reason="not_a_table")
        rows[line] = cells + [""] * (len(header) - len(cells))
    named = [name or f"column {i}, which has no name" for i, name in enumerate(header, start=1)]
    table = pd.DataFrame(list(rows.values()), columns=named, index=pd.Index(list(rows), name="line"), dtype=object)
    return table.loc[:, [bool(name) or (table.iloc[:, i] != "").any() for i, name in enumerate(header)]]


def _parquet(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
        named = [(i, name.strip()) for i, name in enumerate(table.column_names) if not name.startswith(_NUMBERED)]
        # By way of pandas, whole numbers beside an empty cell would become floats, and long ones each other's.
        columns = [[_written(cell) for cell in table.column(i).to_pylist()] for i, _ in named]
    except (pa.ArrowException, ValueError, OSError) as error:
        problem = f"cannot be read as a table ({error})"
        raise CorpusError(path, problem, remedy="Save it anew.", reason="not_a_table") from error
    rows = pd.RangeIndex(1, table.num_rows + 1, name="row")
    found = pd.DataFrame(dict(enumerate(columns)), index=rows, dtype=object)
    return found.set_axis([name for _, name in named], axis=1)


def _written(cell: object) -> str:
    """A cell of a Parquet file as a text table has it."""
    if cell is None or cell != cell:  # no number
        return ""
    if isinstance(cell, bytes):
        return cell.decode("utf-8").strip()
    return json.dumps(cell) if isinstance(cell, list) else str(cell).strip()


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        problem = f"cannot be read as a table ({error.strerror or error})"
        raise CorpusError(path, problem, remedy="Check its permissions.", reason="not_a_table") from error
    if content.startswith(_WORKBOOKS):
        problem, remedy = "is a spreadsheet program's own file, and no text", "Save it as CSV, in UTF-8."
        raise CorpusError(path, problem, remedy=remedy, reason="not_a_table")
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        problem = f"cannot be read as a table (line {line} is not in {'UTF-16' if is_wide else 'UTF-8'})"
        raise CorpusError(path, problem, remedy="Save it anew, in UTF-8.", reason="not_a_table") from None
    if "\0" in text:
        problem = f"cannot be read as a table (line {text[: text.index(chr(0))].count(chr(10)) + 1} holds a zero byte)"
        remedy = "Copy it again, or save it anew, in UTF-8."
        raise CorpusError(path, problem, remedy=remedy, reason="not_a_table")
    return text


def _separator(path: Path, text: str, known: list[set[str]]) -> str:
    """The separator by which a line names most of what is wanted; that of the file's suffix where none is better."""
    usual = "\t" if path.suffix.lower() == ".tsv" else ","

    def best_share(separator: str) -> float:
        best = 0.0
        with contextlib.suppress(csv.Error):  # by another separator, quotes may stand elsewhere
            for _, cells in itertools.islice(_records(text, separator, known), _SEARCHED):
                best = max(best, _share(cells, known))
        return best

    return max((usual, *_SEPARATORS), key=best_share)


def _share(cells: list[str], known: list[set[str]]) -> float:
    """Share of the wanted names that a line holds."""
    found = {cell.lower() for cell in cells}
    return max(len(names & found) / len(names) for names in known)


def _records(text: str, separator: str, known: list[set[str]]) -> Iterator[Record]:
    """Lines with content; of remarks above the first that is none, only one that is the header itself."""
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=separator, strict=True)
    begun = False
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise csv.Error(f"line {reader.line_num}: {error}") from None
        cells = [cell.strip().strip("\ufeff\u200b") for cell in cells]
        if not any(cells) or (not begun and cells[0].lower().startswith("sep=")):
            continue
        if not begun and cells[0].startswith("#"):
            cells[0] = cells[0].lstrip("# ")
            if _share(cells, known) < 1:
                continue
        begun = True
        yield reader.line_num, cells
