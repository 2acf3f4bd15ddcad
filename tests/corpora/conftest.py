"""People whose heads are drawn."""

import numpy as np
import pytest

from s2f.corpora.synthetic import camera, population


@pytest.fixture(scope="session")
def people():
    return population.sample(12, seed=5).to_dict("records")


@pytest.fixture(scope="session")
def average():
    """A person in the middle of everything, whose hair, beard and age leave room both ways."""
    person = {name: 0.0 for name in population.CAUSED + population.INDEPENDENT}
    return person | {
        "identity": "average",
        "wrinkles": 0.5,
        "grey_hair": 0.5,
        "hair_length": 0.6,
        "beard_density": 0.25,
        "skin_tone": 0.2,
        "fringe": 0.3,
        "glasses": False,
        "hair_colour": "brown",
        "eye_colour": "blue",
        "beard_style": "stubble",
    }


@pytest.fixture(scope="session")
def photo():
    """One photograph of a person, [1, H, W, 3], and its landmarks [1, 5, 2]."""

    def take(person, seed=0, **options):
        return camera.render(person, n=1, rng=np.random.default_rng(seed), **({"size_px": 64} | options))

    return take
