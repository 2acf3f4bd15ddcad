"""Every trait can be seen in a photograph, and sex and age change what they should."""

import numpy as np
import pytest

from s2f.corpora.synthetic import anatomy, body, hair, paint, population

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
    if name == "beard_style":  # shows as far as the beard is dense
        average = average | {"beard_density": 1.0}
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


def wearing(person):
    a = anatomy.measures(person)
    return paint.picture(person, a, hair.line(a, paint.canvas().points))


def part_of(picture, rows):
    c = paint.canvas()
    at, part = c.between(*rows)
    return picture[c.rows, c.columns][at], part


def test_the_skin_is_unrolled_around_the_head():
    """A vertex's place in the picture holds the vertex's own coordinates."""
    model, place = body.load(), paint.places()
    points, _ = paint._unrolled()
    skin = (model.part == 0) & (model.vertices[:, 2] > 0.5) & (model.occlusion > 0.5)
    column, row = (place[skin] * paint.SIZE_PX).astype(int).T
    apart = np.linalg.norm(points[row, column] - model.vertices[skin], axis=1)
    assert np.median(apart) < 0.02 and np.quantile(apart, 0.95) < 0.06


def test_lips_and_lids_are_where_they_are(average):
    c = paint.canvas()
    lips = c.points[(c.lips > 0.5)]
    assert 0.4 < np.ptp(lips[:, 0]) < 0.7 and lips[:, 1].min() > -0.85 and lips[:, 1].max() < -0.55
    between = (c.upper < 0) & (c.lower > 0) & (np.abs(c.side - 0.31) < 0.1) & (c.front > 0.9)
    assert np.abs(c.y[between]).max() < 0.1


def test_makeup_reddens_the_lips_and_nothing_else_so_much(average):
    bare, made_up = (wearing(average | {"lip_colour": value, "skin_redness": 0.0}) for value in (-3.0, 3.0))
    (before, part), (after, _) = (part_of(picture, (-0.55, -0.85)) for picture in (bare, made_up))
    redness = [p[..., 0] / p[..., 1:3].mean(axis=2) for p in (before, after)]
    lips, beside = part.lips > 0.9, (part.lips < 0.01) & (part.side > 0.4)
    assert (redness[1][lips] > 1.5 * redness[0][lips]).all()
    np.testing.assert_allclose(redness[1][beside], redness[0][beside], rtol=1e-4)


def test_thick_brows_are_larger_than_thin_ones(average):
    area = []
    for thickness in (-2.0, 2.0):
        picture, part = part_of(wearing(average | {"brow_thickness": thickness, "hair_colour": "black"}), (0.35, 0.08))
        area.append((picture[..., :3].mean(axis=2)[(part.side > 0.15) & (part.side < 0.5)] < 0.15).sum())
    assert area[1] > 2 * area[0] + 20


def test_a_beard_grows_on_cheeks_and_chin_and_not_on_the_forehead():
    a = {"beard": 1.0, "moustache": 1.0}
    points = np.array(
        [(0.0, -1.0, 1.0), (0.4, -0.8, 0.7), (0.1, -0.52, 1.05), (0.0, 0.4, 0.9), (0.3, -0.2, 0.9), (0.0, -0.9, -0.8)]
    )
    chin, cheek, lip, forehead, under_eye, nape = paint.beard_cover(a, points)
    assert min(chin, cheek, lip) > 0.5 and max(forehead, under_eye, nape) < 0.01


def test_wrinkles_are_painted_where_they_are_said_to_be(average):
    young, old = (wearing(average | {"wrinkles": value, "identity": "s0"}) for value in (-2.0, 2.5))
    (before, part), (after, _) = (part_of(picture, (0.55, 0.27)) for picture in (young, old))
    darker = (before - after)[..., :3].mean(axis=2)
    middle, temple = (part.side < 0.2), (part.side > 0.6) & (part.side < 0.7)
    assert darker[middle].max() > 0.05 > np.abs(darker[temple]).max()


def test_clothes_cover_the_chest_up_to_the_collar(average):
    picture = wearing(average)
    rows, collar, cut = paint.clothed()
    bare = picture[rows].copy()
    for neckline in (0.0, 1.0):
        paint.dress(picture, bare, np.array([0.1, 0.2, 0.9]), neckline)
        worn = (collar - neckline * cut) > 0.1
        assert (picture[rows][worn][:, 2] > 3 * picture[rows][worn][:, 0]).all()
        np.testing.assert_array_equal(
            picture[rows][(collar - neckline * cut) < -0.02], bare[(collar - neckline * cut) < -0.02]
        )


def test_grey_hair_is_greyer_the_greyer_it_is(average):
    left, top, right, bottom = paint.PATCHES["hair"]
    tones = [
        wearing(average | {"grey_hair": g, "hair_colour": "black"})[top:bottom, left:right, :3].mean()
        for g in (-1, 0.8, 2)
    ]
    assert tones[0] < 0.05 and tones[0] < tones[1] < tones[2] and tones[2] > 0.3


@pytest.mark.parametrize("name", ["brown", "blue"])
def test_the_iris_has_its_colour_and_the_pupil_is_black(average, name):
    left, top, right, bottom = paint.PATCHES["eye"]
    eye = wearing(average | {"eye_colour": name})[top:bottom, left:right, :3]
    r, _ = paint._eye_places()
    ring = eye[(r > 1.3 * paint.PUPIL_DM) & (r < 0.75 * paint.IRIS_DM)].mean(axis=0)
    assert (ring[0] > ring[2]) == (name == "brown") and eye[r < 0.6 * paint.PUPIL_DM].max() < 0.02
    assert eye[r > 1.2 * paint.IRIS_DM].mean() > 1.5 * ring.mean()


def test_patches_do_not_overlap():
    taken = np.zeros((paint.SIZE_PX, paint.SIZE_PX), int)
    taken[: paint.SKIN_ROWS] = 1
    for left, top, right, bottom in paint.PATCHES.values():
        taken[top:bottom, left:right] += 1
        assert 0 <= left < right <= paint.SIZE_PX and 0 <= top < bottom <= paint.SIZE_PX
    assert taken.max() == 1
