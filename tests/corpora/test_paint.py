"""What is painted on synthetic heads: every trait can be seen."""

import numpy as np
import pytest

from s2f.corpora.synthetic import camera, population


@pytest.fixture(scope="module")
def average():
    """A person in the middle of everything, whose hair, beard and age leave room both ways."""
    person = {name: 0.0 for name in population.CAUSED + population.INDEPENDENT}
    return person | {
        "wrinkles": 0.5,
        "grey_hair": 0.5,
        "hair_length": 0.6,
        "beard_density": 0.5,
        "skin_tone": 0.2,
        "fringe": 0.3,
        "glasses": False,
        "hair_colour": "brown",
        "eye_colour": "blue",
        "beard_style": "stubble",
    }


def _photo(person, seed=0, **options):
    return camera.render(person, n=1, rng=np.random.default_rng(seed), **({"size_px": 64} | options))


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
def test_every_trait_can_be_seen(average, name):
    changed = average | {name: CHANGED[name] if name in CHANGED else average[name] + 1.5}
    before, after = _photo(average)[0].astype(int), _photo(changed)[0].astype(int)
    assert np.abs(before - after).max() > 8


def test_sex_and_age_change_what_they_should(average):
    def hair_beside_the_neck(person):
        image, marks = _photo(person | {"hair_colour": "black", "skin_tone": 0.0, "grey_hair": -3.0})
        rows = slice(int(marks[0, 3, 1]), int(marks[0, 3, 1]) + 8)
        return (image[0, rows].astype(int).sum(-1) < 150).mean()

    long, short = (hair_beside_the_neck(average | {"hair_length": length}) for length in (2.0, -2.0))
    assert long > short + 0.1
    dark = average | {"hair_colour": "black"}
    young, old = (_photo(dark | {"grey_hair": grey})[0][0].astype(int) for grey in (-2.0, 2.0))
    assert (old - young).max() > 60  # black hair turned grey
