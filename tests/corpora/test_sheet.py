"""Tables in text, whatever wrote them. What their columns mean is tested with those who read them."""

import pytest

from s2f.corpora import sheet
from s2f.errors import CorpusError

WANTED = [{"Name", "Age"}, {"Other", "Age", "More"}]


def read(folder, content, name="a.csv"):
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return sheet.read(folder / name, wanted=WANTED)


def test_lines_are_those_of_the_file(tmp_path):
    table = read(tmp_path, 'sep=;\n\n"NAME";age\n"A;\nnn"; 3 \n\nBob;\n')
    assert table.columns.tolist() == ["NAME", "age"] and table.index.name == "line"
    assert table.index.tolist() == [5, 7] and table.values.tolist() == [["A;\nnn", "3"], ["Bob", ""]]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_the_separator_is_that_by_which_columns_are_found(tmp_path, separator, name):
    text = f"Ages,of;all\nAge{separator}x{separator}other{separator}MORE\n1{separator}2{separator}{separator}4\n"
    table = read(tmp_path, text, name)
    assert table.to_dict("records") == [{"Age": "1", "x": "2", "other": "", "MORE": "4"}]


@pytest.mark.parametrize(("text", "columns"), [("Nam;x\nAnn;3\n", ["Nam;x"]), ("a,b\n1,2\n", ["a", "b"])])
def test_where_no_line_names_the_columns_the_first_stays_the_header(tmp_path, text, columns):
    table = read(tmp_path, text)
    assert len(table) == 1 and table.columns.tolist() == columns


def test_half_of_the_columns_are_enough_to_see_what_is_missing(tmp_path):
    assert read(tmp_path, "My people\nname;aeg\nAnn;3\n").columns.tolist() == ["name", "aeg"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty. Its first line must name the columns"),
        (b"# only a remark\n,,\n", "is empty"),
        (b"Name;Age\nAnn;3;4\n", "has 3 cells in line 2, and 2 in its header. It is separated by semicolons"),
        (b'Name,Age\n"Ann,3\n', "cannot be read as a table"),
        (b'Name,Age\n"Ann"a,3\n', "cannot be read as a table .line 2: "),
        (b"Name,Age\nAnn,3\nB\0b,4\n", "line 3 holds a zero byte"),
        (b"Name,Age\nRen\xe9,3\n", "line 2 is not in UTF-8"),
        (b"\xff\xfeN\0a", "line 1 is not in UTF-16"),
        (b"PK\3\4\0\0", "a spreadsheet program's own file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a spreadsheet program's own file"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, content, message):
    with pytest.raises(CorpusError, match=message) as caught:
        read(tmp_path, content)
    assert caught.value.reason == "not_a_table" and caught.value.subject == str(tmp_path / "a.csv")
