"""Every trait can be seen in a photograph, and sex and age change what they should."""

import numpy as np
import pytest

from s2f.corpora.synthetic import population

CHANGED = {
    "hair_colour": "blond",
    "eye_colour": "brown",
    "beard_style": "full",
    "glasses": True,
    "skin_tone": 0.8,
    "fringe": 0.9,
    "parting": 0.8,
    "skin_redness": 3.0,
}


@pytest.mark.parametrize("name", population.CAUSED + population.INDEPENDENT)
def test_every_trait_can_be_seen(average, name, photo):
    changed = average | {name: CHANGED[name] if name in CHANGED else average[name] + 1.5}
    before, after = photo(average)[0].astype(int), photo(changed)[0].astype(int)
    assert np.abs(before - after).max() > 8


def test_sex_and_age_change_what_they_should(average, photo):
    def hair_beside_the_neck(person):
        image, marks = photo(person | {"hair_colour": "black", "skin_tone": 0.0, "grey_hair": -3.0})
        rows = slice(int(marks[0, 3, 1]), int(marks[0, 3, 1]) + 8)
        return (image[0, rows].astype(int).sum(-1) < 150).mean()

    long, short = (hair_beside_the_neck(average | {"hair_length": length}) for length in (2.0, -2.0))
    assert long > short + 0.1
    dark = average | {"hair_colour": "black"}
    young, old = (photo(dark | {"grey_hair": grey})[0][0].astype(int) for grey in (-2.0, 2.0))
    assert (old - young).max() > 60  # black hair turned grey
