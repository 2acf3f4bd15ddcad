"""Faces turned, scaled and shifted to one place."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from s2f.corpora.synthetic import camera, population
from s2f.errors import ImageError
from s2f.features import align
from tests.features.making import picture


def turned(points, *, scale, angle_deg, shift):
    turn = scale * np.exp(1j * np.deg2rad(angle_deg))
    z = points @ [1, 1j] * turn
    return np.stack([z.real, z.imag], axis=1) + shift


def scene(points, *, height, width, sigma):
    """A dot of its own colour at each landmark, on black."""
    y, x = np.mgrid[:height, :width]
    out = np.zeros((height, width, 3))
    colours = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1]])
    for (px, py), colour in zip(points, colours, strict=True):
        out += 250 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))[..., None] * colour
    return out.clip(0, 255).astype(np.uint8), colours


def _umeyama(source, target):
    """Umeyama 1991, equations 40 to 43, by singular value decomposition."""
    ms, mt = source.mean(0), target.mean(0)
    u, d, vt = np.linalg.svd((target - mt).T @ (source - ms) / len(source))
    sign = np.array([1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(sign) @ vt
    scale = (d * sign).sum() / ((source - ms) ** 2).sum(1).mean()
    return np.column_stack([scale * rotation, mt - scale * rotation @ ms])


def test_similarity_equals_umeyama():
    rng = np.random.default_rng(0)
    for _ in range(100):
        source, target = rng.normal(size=(2, 5, 2)) * rng.uniform(0.1, 100)
        if rng.random() < 0.3:
            target = source * [-1, 1]  # a reflection would fit, and is not allowed
        found = align.similarity(source, target)
        np.testing.assert_allclose(found, _umeyama(source, target), atol=1e-9 * np.abs(target).max())
        assert np.linalg.det(found[:, :2]) > 0


def test_similarity_recovers_a_known_one():
    moved = turned(align.TEMPLATE, scale=2.5, angle_deg=30, shift=[7, -3])
    found = align.similarity(align.TEMPLATE, moved)
    cos, sin = 2.5 * np.cos(np.pi / 6), 2.5 * np.sin(np.pi / 6)
    np.testing.assert_allclose(found, [[cos, -sin, 7], [sin, cos, -3]], atol=1e-5)


@pytest.mark.parametrize("scale", [0.6, 1.0, 1.7, 3.4, 9.0])
@pytest.mark.parametrize("angle_deg", [0, 25, -80])
def test_aligned_landmarks_lie_on_the_template(scale, angle_deg):
    size = int(64 * scale * 1.6) + 20
    centre = turned(np.array([[31.5, 31.5]]), scale=scale, angle_deg=angle_deg, shift=0)[0]
    points = turned(align.TEMPLATE, scale=scale, angle_deg=angle_deg, shift=size / 2 - centre)
    image, colours = scene(points, height=size, width=size, sigma=1.5 * scale)
    result = align.align(image, points).astype(float)
    assert result.shape == (64, 64, 3)
    y, x = np.mgrid[:64, :64]
    for (px, py), colour in zip(align.TEMPLATE, colours, strict=True):
        near = (x - px) ** 2 + (y - py) ** 2 < 5**2
        others = result[..., colour == 0].max(-1) if (colour == 0).any() else 0
        weight = (result[..., colour == 1].min(-1) - others).clip(0) * near
        found = np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
        assert np.abs(found - [px, py]).max() < 0.15, (found, px, py)


def test_aligning_an_aligned_face_changes_nothing():
    image = picture(64, 64)
    assert np.abs(align.align(image, align.TEMPLATE).astype(int) - image).max() <= 1


@pytest.mark.parametrize("scale", [2.3, 3.3, 5.0, 11.0])
@pytest.mark.parametrize("angle_deg", [0, 10])
def test_fine_stripes_become_grey_and_do_not_alias(scale, angle_deg):
    size = int(64 * scale * 1.5)
    stripes = np.where(np.arange(size) % 2 == 0, 180, 80).astype(np.uint8)
    image = np.broadcast_to(stripes[None, :, None], (size, size, 3)).copy()
    points = turned(align.TEMPLATE, scale=scale, angle_deg=angle_deg, shift=size / 6)
    result = align.align(image, points)[4:-4, 8:-4].astype(float)
    every = (np.arange(64) * scale).astype(int)
    assert image[np.ix_(every, every)].std() > 40  # what picking single pixels would give
    assert result.std() < 1.5 and abs(result.mean() - 130) < 2


def test_beyond_the_photo_its_edge_is_repeated():
    image = np.full((80, 90, 3), (200, 100, 50), np.uint8)
    corner = turned(align.TEMPLATE, scale=1.2, angle_deg=15, shift=[-20, -20])
    assert (align.align(image, corner) == (200, 100, 50)).all()
    ramp = np.broadcast_to(np.arange(90, dtype=np.uint8)[:, None, None] + 100, (90, 90, 3)).copy()
    result = align.align(ramp, align.TEMPLATE - np.float32([0, 20]))  # the upper 20 rows lie above the photo
    assert (result[:19] == 100).all() and np.array_equal(result[20:, 0, 0], np.arange(100, 144))


def test_a_mirrored_photo_gives_the_mirrored_face():
    image = picture(150, 140, seed=3)
    points = turned(align.TEMPLATE, scale=1.6, angle_deg=12, shift=[20, 10])
    mirrored = (points * [-1, 1] + [139, 0])[[1, 0, 2, 4, 3]]
    one, other = align.align(image, points), align.align(image[:, ::-1].copy(), mirrored)
    assert np.abs(one[:, ::-1].astype(int) - other).max() <= 2


def test_the_size_of_the_photo_does_not_matter():
    small = picture(128, 128, seed=5)
    points = turned(align.TEMPLATE, scale=1.5, angle_deg=-8, shift=[12, 18])
    expected = align.align(small, points).astype(int)
    for factor in (2, 5, 9):
        big = np.asarray(Image.fromarray(small).resize((128 * factor,) * 2, Image.Resampling.BICUBIC))
        found = align.align(big, (points + 0.5) * factor - 0.5).astype(int)
        assert np.abs(found - expected).mean() < 0.6


def test_a_list_of_ten_numbers_will_do():
    image = picture(100, 100)
    assert np.array_equal(align.align(image, align.TEMPLATE.ravel().tolist()), align.align(image, align.TEMPLATE))


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (align.TEMPLATE[:4], "has landmarks"),
        (align.TEMPLATE * np.nan, "has landmarks"),
        (align.TEMPLATE * 0 + 30, "coincide"),
        (align.TEMPLATE * [1, 0], "lie on a line"),
        (align.TEMPLATE[[1, 0, 2, 4, 3]], "mirrored"),
        (align.TEMPLATE + np.float32([500, 0]), "outside its 100×100 px"),
        (turned(align.TEMPLATE, scale=0.1, angle_deg=0, shift=50), "shows a face of 6 px"),
        (turned(align.TEMPLATE, scale=100.0, angle_deg=0, shift=[-3100, -3700]), "make the face 6400 px wide"),
    ],
)
def test_impossible_landmarks(points, message):
    with pytest.raises(ImageError, match=message):
        align.align(picture(100, 100), points, name="a.jpg")


@pytest.mark.parametrize(
    "image", [picture().astype(float), picture()[..., 0], np.zeros((40, 40, 4), np.uint8), [[1]], picture(10, 60)]
)
def test_only_rgb_bytes_are_images(image):
    with pytest.raises(ImageError):
        align.align(image, align.TEMPLATE)


def test_the_template_is_symmetric():
    mirrored = (align.TEMPLATE * [-1, 1] + [63, 0])[[1, 0, 2, 4, 3]]
    np.testing.assert_allclose(mirrored, align.TEMPLATE, atol=1e-5)
    with pytest.raises(ValueError, match="read-only"):
        align.TEMPLATE[0] = 0


def test_what_is_aligned_is_only_resized():
    image = picture(64, 64)
    assert np.array_equal(align.resized(image), image)
    large = np.asarray(Image.fromarray(image).resize((256, 256), Image.Resampling.BICUBIC))
    found = align.resized(large)
    assert found.shape == (64, 64, 3) and found.dtype == np.uint8
    assert np.abs(found.astype(int) - image).mean() < 3
    assert align.resized(picture(70, 90)).shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("image", "reason"),
    [(picture(8, 64), "too_small"), (picture()[..., 0], "mode"), (picture().astype(float), "mode"), (None, "mode")],
)
def test_resizing_refuses_what_is_no_image(image, reason):
    with pytest.raises(ImageError, match=r"^a\.png is") as caught:
        align.resized(image, name="a.png")
    assert caught.value.reason == reason


def test_the_template_looks_ahead():
    assert align.turn(align.TEMPLATE) == 0
    assert align.turn(align.TEMPLATE.ravel().tolist()) == 0


@pytest.mark.parametrize("nose_px", [0, 4.25, 8.5, 17])
@pytest.mark.parametrize("angle_deg", [0, 25, -80, 180])
def test_turn_is_measured_along_the_eyes(nose_px, angle_deg):
    """Eyes are 17 px apart; neither tilting nor the size nor the place of a face, nor its side, matter."""
    for side in (-1, 1):
        points = align.TEMPLATE + np.outer([0, 0, 1, 0, 0], [side * nose_px, 0])
        moved = turned(points, scale=2.5, angle_deg=angle_deg, shift=[70, -30])
        assert align.turn(moved) == pytest.approx(nose_px / 17, abs=1e-6)


def test_a_nose_up_or_down_is_no_turn():
    assert align.turn(align.TEMPLATE + np.outer([0, 0, 1, 0, 0], [0, 6])) == 0


@pytest.mark.parametrize("side", [-1, 1])
def test_turn_rises_with_the_yaw_of_a_head(side):
    people = [camera._Person.of(person) for person in population.sample(6, seed=3).to_dict("records")]
    found = []
    for yaw_deg in (0, 5, 10, 15, 20):
        scene = camera._scene(np.random.default_rng(0)) | {"yaw": side * yaw_deg, "pitch": 0.0, "roll": 0.0}
        shots = [camera._photograph(who, scene, rng=np.random.default_rng(0), size_px=32) for who in people]
        found.append(np.mean([align.turn(marks) for _, marks in shots]))
    assert found[0] < 0.06 and found[-1] > 0.15  # no face is quite symmetric
    assert (np.diff(found[1:]) > 0.03).all(), found


@pytest.mark.parametrize("max_turn", [0.2, 1.0])
def test_profiles_are_refused_beyond_the_limit(max_turn):
    image = picture(64, 64)
    for factor in (0.98, 1.02):
        points = align.TEMPLATE + np.outer([0, 0, 1, 0, 0], [factor * max_turn * 17, 0])
        if factor < 1:
            assert align.align(image, points, max_turn=max_turn).shape == (64, 64, 3)
            continue
        with pytest.raises(ImageError, match=rf"turned by {1.02 * max_turn:.2f} .* more than {max_turn:g}") as caught:
            align.align(image, points, max_turn=max_turn)
        assert caught.value.reason == "profile"


def test_importing_faces_loads_no_heavy_package():
    code = "import sys, s2f.features.align; print([m for m in ('dlib', 'PIL', 'torch') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
