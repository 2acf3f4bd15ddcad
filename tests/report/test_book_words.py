"""Spelling: every word of the prose is one of `words.txt`, so that a new one is looked at before it is published.

No installed package has a dictionary. What this command prints is read, and what is spelt right goes into the list::

    python -m tests.report.test_book_words
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("words.txt")
SOURCES = sorted([*(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb"), *ROOT.glob("*.md")])
FENCE = re.compile(r"(`{3,})(\{?[\w-]*\}?)")
OF_CODE = {"raw", "code", "code-block", "math", "bibliography", "literalinclude"}
NO_WORDS = (r"^:\w+:[^\n]*", r"``[^`]*``|`[^`]*`", r"\$\$.*?\$\$|\$[^$\n]*\$", r"\]\([^)]*\)|https?://\S+|<[^>]+>")
WORD = re.compile(r"[^\W\d_]+(?:[’'][^\W\d_]+)?")


def prose(path: Path) -> str:
    """Text of a page without what is no word: code, links, formulas, and what roles name."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    text = "\n".join(outside_code(text.splitlines()))
    text = re.sub(r"\{(?:term|download)\}`([^`<]*)(?:<[^>]*>)?`", r"\1", text)  # words that lead somewhere
    text = re.sub(r"\{[\w:+-]+\}`[^`]*`", " ", text)
    for pattern in NO_WORDS:
        text = re.sub(pattern, " ", text, flags=re.M | re.S)
    return text


def outside_code(lines: Iterable[str]) -> Iterator[str]:
    """Lines that are not of code: what stands in a directive for readers is."""
    code = ""  # the fence that opened it
    for line in lines:
        fence = FENCE.match(line)
        if code:
            code = "" if line.strip() == code else code
        elif fence is None:
            yield line
        elif fence[2].startswith("{") and fence[2].strip("{}") not in OF_CODE:
            yield line[fence.end() :]
        elif fence[2]:
            code = fence[1]


def words(text: str) -> set[str]:
    return {word.lower().replace("’", "'") for word in WORD.findall(text)}


def known() -> list[str]:
    return LIST.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_every_word_of_the_prose_is_in_the_list(path):
    assert sorted(words(prose(path)) - set(known())) == [], "misspelt, or to be added to tests/report/words.txt"


def test_the_list_is_sorted_and_has_each_word_once():
    assert known() == sorted(set(known()))


def test_words_are_looked_for_where_readers_read_them(tmp_path):
    page = tmp_path / "a.md"
    page.write_text(
        "# A tilte\n\n```{admonition} Wrods\n:class: tpi\nInsdie {cite:p}`kye` `cdoe`.\n```\n\n```python\nimprot\n```\n"
        "A [lnik](addrses.md), {term}`glosary word <glossary word>`, $frmula$ and voices’ end.\n",
        encoding="utf-8",
    )
    found = {"a", "tilte", "wrods", "insdie", "lnik", "glosary", "word", "and", "voices", "end"}
    assert words(prose(page)) == found


if __name__ == "__main__":
    print(*sorted(set().union(*(words(prose(path)) for path in SOURCES)) - set(known())), sep="\n")
