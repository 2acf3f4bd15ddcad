"""Traits on a head: each moves what it is named after, by a size that is checked, and no head falls apart."""

import numpy as np
import pytest

from s2f.corpora.synthetic import anatomy, body, camera, population

# How far one standard deviation moves the vertex that it moves most, in millimetres.
SIZES_MM = {
    **{"jaw_width": (3, 12), "chin_size": (2, 6), "brow_ridge": (2, 6), "brow_height": (1, 4), "face_length": (4, 12)},
    **{"cheek_fullness": (2, 5), "nose_size": (1.5, 5), "lip_fullness": (1.5, 4), "eye_size": (1.5, 5)},
    **{
        "eyelid_droop": (0.8, 3),
        "neck_width": (4, 10),
        "jowls": (1.5, 5),
        "eye_spacing": (0.8, 2),
        "eye_tilt": (0.4, 2),
    },
    **{"brow_tilt": (1, 4), "nose_bridge": (1, 4), "mouth_width": (1, 4)},
}


def head(person):
    return anatomy.head(person, anatomy.measures(person))


@pytest.mark.parametrize("value", [-9.0, 0.0, 9.0])
def test_the_most_unusual_head_is_still_one(average, value):
    person = average | dict.fromkeys((*population.CAUSED, *anatomy.SHAPES), value)
    a = anatomy.measures(person)
    assert all(0 <= a[name] <= 1.35 for name in ("age", "grey", "long", "bald", "beard", "moustache", "makeup"))
    vertices = anatomy.head(person, a)
    assert np.isfinite(vertices).all() and np.abs(vertices - body.load().vertices).max() < 1.0


@pytest.mark.parametrize("trait", anatomy.MOVES)
def test_a_standard_deviation_is_of_the_size_that_is_said(average, trait):
    moved = 100 * np.linalg.norm(head(average | {trait: 1.0}) - head(average | {trait: 0.0}), axis=1).max()
    low, high = SIZES_MM[trait]
    assert low < moved < high


def test_every_shape_has_a_size():
    assert set(SIZES_MM) == set(anatomy.MOVES)


def test_traits_move_what_they_are_named_after(average):
    model, corner = body.load(), body.load().corner
    eye, mouth = corner("eye-corner1-up", 1), corner("mouth-angles-up", 1)

    def change(trait, vertex, axis):
        low, high = (head(average | {trait: value}) for value in (-1.0, 1.0))
        return (high - low)[vertex, axis]

    assert change("eye_spacing", eye, 0) > 0.01 and change("mouth_width", mouth, 0) > 0.01
    assert change("face_length", mouth, 1) < -0.02
    neck = np.flatnonzero((np.abs(model.vertices[:, 1] + 1.35) < 0.1) & (model.vertices[:, 0] > 0.3))
    assert (change("neck_width", neck, 0) > 0.02).all()


def test_bone_and_flesh_of_a_mans_size_make_a_mans_head(average):
    sizes = population.causes()["face"]
    for sign in (1, -1):
        of_sex = {name: sign * sizes[name]["sex"] / 2 for name in anatomy._SEXED}
        assert anatomy.measures(average | of_sex)["male"] == pytest.approx(sign)


def test_sexes_overlap_in_shape_as_the_causes_say():
    people = population.sample(600, seed=3)
    male = np.array([anatomy.measures(person)["male"] for person in people.to_dict("records")])
    men, women = (male[(people["gender"] == sex).to_numpy()] for sex in ("m", "f"))
    difference = (men.mean() - women.mean()) / np.sqrt((men.var() + women.var()) / 2)
    assert 2.2 < difference < 3.5 and (women > men.min()).mean() > 0.05


@pytest.mark.parametrize(
    ("style", "chin", "lip"), [("shaven", 0.75, 0.75), ("moustache", 0.75, 1.0), ("full", 1.0, 1.0)]
)
def test_a_style_says_where_a_dense_beard_is_kept(average, style, chin, lip):
    found = anatomy.measures(average | {"beard_density": 2.0, "beard_style": style})
    assert (found["beard"], found["moustache"]) == (chin, lip)


def test_looks_follow_from_the_name_and_touch_no_trait(average):
    one, same, other = (anatomy._looks(average | {"identity": name}) for name in ("s1", "s1", "s2"))
    assert one == same and one != other and len(one) > 60
    assert not set(one) & {target for moves in anatomy.MOVES.values() for target in moves}
    assert sum(one[origin] for origin in body.ORIGINS) == pytest.approx(1)
    assert np.abs(head(average | {"identity": "s1"}) - head(average | {"identity": "s2"})).max() > 0.03


def test_origin_goes_with_the_skins_tone(average):
    light, dark = (
        np.mean([anatomy._looks(average | {"identity": f"s{k}", "skin_tone": tone})["african"] for k in range(200)])
        for tone in (0.2, 0.7)
    )
    assert dark > light + 0.4


def test_expressions_move_the_mouth_and_the_lids(average):
    model, scene = body.load(), camera._scene(np.random.default_rng(0)) | {"smile": 0.0, "open": 0.0, "lids": 1.08}
    assert not any(anatomy.expression(scene).values())
    mouth = model.corner("mouth-angles-up", 1)
    smiling = model.moved(model.vertices, anatomy.expression(scene | {"smile": 1.0}))
    assert (smiling - model.vertices)[mouth, 1] > 0.03
    assert anatomy.expression(scene | {"open": 1.0})["jawOpen"] > 0.2
    assert anatomy.expression(scene | {"lids": 0.7})["eyeBlink"] > 0.2
