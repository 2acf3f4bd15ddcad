"""What is asked about synthetic people, in numbers, and which of it can be told from a face."""

from __future__ import annotations

import numpy as np
import pandas as pd

from s2f.corpora.synthetic import population
from s2f.evaluation import attributes
from s2f.networks.readers import Readers, Trunk


def test_everything_about_people_is_a_number():
    people = pd.DataFrame(
        {
            "identity": ["a", "b", "c"],
            "gender": ["f", "m", "f"],
            "age_years": [20, 30, 40],
            "glasses": [True, False, False],
            "eye_colour": ["brown", "blue", "brown"],
        }
    )
    found = attributes.as_numbers(people)
    assert list(found) == ["age_years", "glasses", "eye_colour=blue", "eye_colour=brown"]
    assert found.to_numpy().T.tolist() == [[20, 30, 40], [1, 0, 0], [0, 1, 0], [1, 0, 1]]


def test_what_readers_learn_of_people_are_the_columns_that_are_asked_for():
    people = population.sample(300, seed=1)
    learnt = set(attributes.as_numbers(people))
    assert set(attributes.columns()) - learnt == {"sex"}  # which is read apart
    assert {"glasses", "hair_colour=blond", "eye_colour=blue"} <= learnt
    assert attributes.targets(people).shape == (300, len(attributes.columns()))


def test_a_value_that_nobody_has_is_a_column_of_zeros():
    people = population.sample(300, seed=1)
    brown = people[people["eye_colour"] == "brown"]
    values = pd.DataFrame(attributes.targets(brown), columns=attributes.columns())
    assert (values["eye_colour=brown"] == 1).all() and (values["eye_colour=green"] == 0).all()


def test_readings_stand_in_the_columns_of_the_targets():
    names = ("skin_tone", "f0_hz", "eye_colour=blue")
    readers = Readers(Trunk(3).eval(), names, np.array([1, 2, 3], np.float32), np.ones(3, np.float32))
    faces = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    found = attributes.read(readers, faces)
    np.testing.assert_array_equal(found.embeddings, readers.embed(faces))
    values = pd.DataFrame(found.values, columns=attributes.columns())
    assert set(values.columns[values.notna().all()]) == {"sex", "skin_tone", "eye_colour=blue"}
    np.testing.assert_allclose(values["sex"], readers.gender(faces))
    np.testing.assert_allclose(values["eye_colour=blue"], readers.attributes(faces)[:, 2])


def test_what_goes_with_the_truth_is_legible():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(400, 5))
    values = truth + np.array([0.5, 9.0, 0.5, 0.5, 0.5]) * rng.normal(size=(400, 5))
    values[:, 2] *= -1
    values[:, 3] = np.nan
    truth[:, 4] = 1.0  # everybody is alike
    assert attributes.legible(values, truth).tolist() == [True, False, False, False, False]
