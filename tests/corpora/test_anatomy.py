"""Measures of heads: possible ones for everybody, moved by the traits they are named after."""

import numpy as np
import pytest

from s2f.corpora.synthetic import anatomy, camera, population


@pytest.fixture
def scene():
    return camera._scene(np.random.default_rng(0))


@pytest.mark.parametrize("value", [-9.0, 0.0, 9.0])
def test_the_most_unusual_head_has_parts_of_positive_size(average, scene, value):
    person = average | dict.fromkeys((*population.CAUSED, *anatomy.SHAPES), value)
    measures = anatomy.measures(person, scene)
    assert all(0 <= measures[name] <= 1.35 for name in ("age", "grey", "long", "bald", "beard", "moustache", "makeup"))
    for ellipsoids, bumps in (anatomy.skin(measures), anatomy.hair(measures)):
        assert min(min(radii) for _, radii, _ in ellipsoids) > 0
        assert min(min(widths) for _, widths, _ in bumps) > 0


@pytest.mark.parametrize(
    ("trait", "measure"),
    [("eye_size", "eye_w"), ("lip_fullness", "lip"), ("brow_height", "brow_y"), ("face_length", "stretch")],
)
def test_a_trait_moves_its_measure(average, scene, trait, measure):
    low, high = (anatomy.measures(average | {trait: value}, scene)[measure] for value in (-1.0, 1.0))
    assert low < high


@pytest.mark.parametrize(
    ("style", "chin", "lip"), [("shaven", 0.65, 0.65), ("moustache", 0.65, 1.0), ("full", 1.0, 1.0)]
)
def test_a_style_says_where_a_dense_beard_is_kept(average, scene, style, chin, lip):
    found = anatomy.measures(average | {"beard_density": 2.0, "beard_style": style}, scene)
    assert (found["beard"], found["moustache"]) == (chin, lip)


def test_hair_hangs_down_only_where_there_is_long_hair(average, scene):
    short, long = (anatomy.hair(anatomy.measures(average | {"hair_length": x}, scene))[0] for x in (-2.0, 2.0))
    assert len(long) == len(short) + 2


def test_a_smile_lifts_the_corners_of_the_mouth():
    assert anatomy.mouth_bend(1.0, {"smile": 1.0}) > anatomy.mouth_bend(0.0, {"smile": 1.0})
