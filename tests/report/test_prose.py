"""Numbers in sentences."""

import html
import re
import subprocess
import sys

import nbformat
import numpy as np
import pytest

from s2f.report import prose


@pytest.mark.parametrize(
    ("value", "digits", "said"),
    [
        (56.94, 1, "56.9"),
        (0.08649, 3, "0.086"),
        (86.0, 0, "86"),
        (0.0, 1, "0.0"),
        (np.float32(2.5), 1, "2.5"),
        (-3, 1, "-3.0"),
    ],
)
def test_a_number_is_said_with_its_digits(value, digits, said):
    assert prose.number(value, digits=digits) == said


def test_an_interval_has_both_ends_or_is_none():
    assert prose.interval(-4.12, 3.0) == "[−4.1, 3.0]"
    assert prose.interval(0.5, 0.75, digits=2) == "[0.50, 0.75]"
    assert prose.interval(None, 1.0) == prose.interval(1.0, float("nan")) == "[no interval]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-3.0 [-4.1, -.5]", "−3.0 [−4.1, −.5]"),
        ("a (-1) and\n-2", "a (−1) and\n−2"),
        ("2026-11-29, id-1, 2-way, 0-255, 0.1-0.2, 3–-4", "2026-11-29, id-1, 2-way, 0-255, 0.1-0.2, 3–-4"),
        ("--set x=1 -n 3", "--set x=1 -n 3"),
        (-2, "−2"),
    ],
)
def test_a_negative_number_has_a_minus(text, said):
    assert prose.signed(text) == said


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -float("inf"), np.float64("nan")])
def test_what_is_no_number_is_said_in_words(value):
    assert prose.number(value) == "not measured"


@pytest.mark.parametrize("value", [None, float("nan")])
def test_why_there_is_no_number_stands_where_it_would(value):
    assert prose.number(value, why="too few faces") == "not measured (too few faces)"
    assert prose.number(2.0, why="too few faces") == "2.0"


NAMES = ["Ba$$in", "$x$", "a*b*c", "_a_ b_c", "`code`", "{role}`x`", "<b>bold</b>", "[a](b)", "a|b", "a\\*", "&amp;"]
NAMES += ["~~x~~", "{{x}}", "{math}`x`", "http://a.b"]


def test_names_are_text_on_a_page(tmp_path):
    rows = [f"| {k} | {prose.plain_markdown(name)} |" for k, name in enumerate(NAMES)]
    headings = [f"## at {k}: {prose.plain_markdown(name)}" for k, name in enumerate(NAMES)]
    text = "\n".join(["# Page", "", "| n | name |", "|---|---|", *rows, "", *headings, ""])
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    nbformat.write(page, tmp_path / "page.ipynb")
    words = [sys.executable, "-c", "from myst_nb.docutils_ import cli_html5; cli_html5()"]
    words += [
        "--myst-enable-extensions=dollarmath,amsmath,colon_fence,deflist,substitution",
        "--nb-execution-mode=off",
        "page.ipynb",
    ]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "WARNING" not in done.stderr and "ERROR" not in done.stderr, done.stderr
    shown = re.sub(r"<(p|/p)>", "", done.stdout)
    for k, name in enumerate(NAMES):
        assert f"<td>{html.escape(name, quote=False)}</td>" in shown, name
        assert f"at {k}: {html.escape(name, quote=False)}</h" in shown, name
    assert "\n" not in prose.plain_markdown("a\nb")
