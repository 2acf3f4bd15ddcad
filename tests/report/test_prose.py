"""Numbers in sentences."""

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


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -float("inf"), np.float64("nan")])
def test_what_is_no_number_is_said_in_words(value):
    assert prose.number(value) == "not measured"
