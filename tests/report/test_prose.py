"""Numbers in sentences."""

import html

import numpy as np
import pytest
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

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


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -float("inf"), np.float64("nan")])
def test_what_is_no_number_is_said_in_words(value):
    assert prose.number(value) == "not measured"


@pytest.mark.parametrize("value", [None, float("nan")])
def test_why_there_is_no_number_stands_where_it_would(value):
    assert prose.number(value, why="too few faces") == "not measured (too few faces)"
    assert prose.number(2.0, why="too few faces") == "2.0"


NAMES = [
    "Ba$$in",
    "$x$",
    "a*b*c",
    "_a_ b_c",
    "`code`",
    "{role}`x`",
    "<b>bold</b>",
    "[a](b)",
    "a|b",
    "a\\*",
    "&amp;",
    "~~x~~",
    "{{x}}",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_text_on_a_page(name):
    page = create_md_parser(
        MdParserConfig(enable_extensions={"dollarmath", "amsmath", "colon_fence", "deflist", "substitution"}),
        RendererHTML,
    )
    shown = page.render(f"| a | b |\n|---|---|\n| x | {prose.plain_markdown(name)} |\n")
    assert f"<td>{html.escape(name)}</td>" in shown
    heading = page.render(f"# Kept: {prose.plain_markdown(name)}\n")
    assert f"<h1>Kept: {html.escape(name)}</h1>" in heading
    assert "\n" not in prose.plain_markdown("a\nb")
