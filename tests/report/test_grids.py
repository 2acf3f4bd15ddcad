import re

import pandas as pd
import pytest

from s2f.metrics import catalogue
from s2f.report import grids, tables

TWO = pd.MultiIndex.from_tuples([("a", "x"), ("a", ""), ("b", "x")], names=["group", "kind"])


def headers(page: str) -> list[list[str]]:
    """Texts of the headers of each row of a table."""
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    return [
        [re.sub(r"<[^>]+>", "", text) for text in re.findall(r"<th\b[^>]*>.*?</th>", row, re.DOTALL)] for row in rows
    ]


@pytest.mark.parametrize(
    ("index", "lines", "first"),
    [
        (pd.Index(["p", "q", "r"]), "who", ["who", "n"]),
        (pd.Index(["p", "q", "r"], name="of a frame"), (), ["of a frame", "n"]),
        (pd.Index(["p", "q", "r"]), (), ["n"]),
        (TWO, (), ["group", "kind", "n"]),
        (TWO, ("one", "two"), ["one", "two", "n"]),
    ],
)
def test_a_table_has_one_row_of_headers_and_none_that_says_nothing(index, lines, first):
    page = grids.styled(pd.DataFrame({"n": ["1", "2", "3"]}, index=index), lines=lines).to_html()
    found = headers(page)
    assert found[0] == first
    assert len(found) == 4
    assert all(text.strip() and text != "&nbsp;" for row in found for text in row)
    assert len(re.findall(r"<t[dh]\b", page)) == 4 * (index.nlevels + 1) - (index.nlevels == 2)  # "a" spans two lines


def test_a_table_without_a_line_says_so_and_why():
    assert grids.nothing("A: few\nB: <b>").data == "<p>A: few<br>B: &lt;b&gt;</p>"


def test_names_of_files_are_words_in_a_table():
    frame = pd.DataFrame({"n_parameters": [12345], "f": [2], "some_share": [0.5]}, index=["voice, no_face"])
    page = tables.counts_table(frame, shares=["some_share"], lines="file").to_html()
    assert headers(page) == [["file", "parameters", "women", "some share"], ["voice, no face"]]
    for cell in ("12,345", "50.0 %"):
        assert f">{cell}</td>" in page


def test_of_one_seed_there_is_no_range():
    frame = pd.DataFrame(
        {"variant": "General", "protocol": "held_out", "row": "model", "metric": ["fid"], "value": 12.34}
    )
    one = tables.seeds_table(tables.across_seeds([frame]), metrics=["fid"]).to_html()
    assert ">12.3</td>" in one
    two = tables.seeds_table(tables.across_seeds([frame, frame.assign(value=14.34)]), metrics=["fid"]).to_html()
    assert re.search(r">13\.3\s*\[12\.3, 14\.3\]</td>", two)


def test_a_group_of_metrics_that_chance_alone_has_is_no_table():
    names = catalogue.groups()["videos"]
    none = {"value": None, "low": None, "high": None, "reason": "no video is known"}
    rows = {"model": dict.fromkeys(names, none), "chance": dict.fromkeys(names, none | {"value": 0.5})}
    page = tables.metrics_table({"rows": rows, "differences": {}, "differences_of_mean": {}}, "videos").data
    assert page == "<p>Not measured: no video is known.</p>"


def test_words_stand_on_the_left_and_numbers_on_the_right():
    frame = pd.DataFrame(
        {
            "value": ["0.1\n[0.0, 0.2]", "−3.2 %", "–¹"],
            "what": ["Conv1d 64 → 256", "Linear", "–"],
            "missing": ["–", "", "–"],
        }
    )
    page = grids.styled(frame).to_html()
    left = re.findall(r"td\.col(\d)\s*\{\s*text-align: left", page)
    assert left == ["1"]


def test_negative_numbers_have_a_minus():
    page = grids.styled(pd.DataFrame({"value": ["-3.2 [-4.1, 1.0]"], "day": ["2026-11-29"]})).to_html()
    assert "−3.2 [−4.1, 1.0]" in page
    assert "2026-11-29" in page
