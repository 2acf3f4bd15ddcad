"""Which face a photograph is of, and where it is."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2f import weights
from s2f.errors import CheckpointError, ImageError
from s2f.features import align, landmarks, photo_files
from tests.features.making import picture


def test_no_face():
    pytest.importorskip("dlib")
    with pytest.raises(ImageError, match=r"a\.jpg .64×48 px. shows no face") as caught:
        landmarks.detect(picture(), name="a.jpg")
    assert caught.value.reason == "no_face"


def test_landmark_model_is_the_declared_file(monkeypatch):
    landmarks._landmark_model.cache_clear()
    declared = weights.NETWORKS["landmarks"]
    for change, said in (({"sha256": "0" * 64}, "has SHA-256 fbdc2cb8"), ({"package": "no-such"}, "is not installed")):
        monkeypatch.setattr(weights, "NETWORKS", {"landmarks": replace(declared, **change)})
        with pytest.raises(CheckpointError, match=said):
            landmarks._landmark_model()


@pytest.fixture(scope="module")
def photos():
    root = Path(os.environ.get("S2F_REAL", Path(__file__).parents[3] / "shared" / "real")) / "vggface"
    if not root.is_dir():
        pytest.skip(f"no real photos at {root}: set S2F_REAL")
    return [photo_files.read(path) for path in sorted(root.glob("*/*.jpg"))]


def test_every_real_face_is_found_and_aligned(photos):
    errors = []
    for image in photos:
        points = landmarks.detect(image)
        eyes_x, mouth_x = points[:2, 0], points[3:, 0]
        assert eyes_x[0] < eyes_x[1] and mouth_x[0] < mouth_x[1]
        assert points[:2, 1].max() < points[3:, 1].min()
        fit = align.similarity(points, align.TEMPLATE)
        errors.append(np.abs(points @ fit[:, :2].T + fit[:, 2] - align.TEMPLATE).mean())
    assert len(photos) == 241
    assert np.median(errors) < 1.2 and max(errors) < 3  # px of 64; a profile fits worst


def test_landmarks_follow_the_photo(photos):
    for image in photos[:40:4]:
        points = landmarks.detect(image)
        mirrored = (landmarks.detect(image[:, ::-1].copy()) * [-1, 1] + [image.shape[1] - 1, 0])[[1, 0, 2, 4, 3]]
        assert np.abs(mirrored - points).mean() < 4
        double = np.asarray(Image.fromarray(image).resize((448, 448), Image.Resampling.BICUBIC))
        assert np.abs((landmarks.detect(double) + 0.5) / 2 - 0.5 - points).mean() < 4


def test_small_faces_are_found_by_enlarging(photos):
    found = 0
    for image in photos[::12]:
        small = np.asarray(Image.fromarray(image).resize((56, 56), Image.Resampling.BICUBIC))
        try:
            points = (landmarks.detect(small) + 0.5) * 4 - 0.5
        except ImageError:
            continue
        found += np.abs(points - landmarks.detect(image)).mean() < 12
    assert found >= 18  # of 21


def test_the_larger_and_more_central_face_is_taken(photos):
    large, other = photos[0], photos[40]
    canvas = np.full((460, 460, 3), 128, np.uint8)
    canvas[118:342, 118:342] = large
    canvas[:112, :112] = np.asarray(Image.fromarray(other).resize((112, 112)))
    x, y = landmarks.detect(canvas).mean(0)
    assert 118 < x < 342 and 118 < y < 342
    side = np.full((240, 900, 3), 128, np.uint8)
    side[8:232, 338:562], side[8:232, 670:894] = other, other  # the same size: the one in the middle
    assert 338 < landmarks.detect(side)[:, 0].mean() < 562


def collage(photos, *, other_px):
    """Two people beside each other; the first keeps its size, on the left."""
    one, other = photos[0], Image.fromarray(photos[40]).resize((other_px, other_px), Image.Resampling.BICUBIC)
    canvas = np.full((240, 480, 3), 128, np.uint8)
    canvas[8:232, 8:232] = one
    canvas[8 : 8 + other_px, 248 : 248 + other_px] = np.asarray(other)
    return canvas


@pytest.mark.parametrize(("other_px", "refused"), [(224, True), (160, True), (100, False)])
def test_a_photo_of_two_people_may_be_refused(photos, other_px, refused):
    image = collage(photos, other_px=other_px)
    assert (landmarks.detect(image[:, 240:].copy())[:, 0] < other_px + 8).all()  # the detector finds the other, too
    points = landmarks.detect(image)
    if not refused:  # a bystander
        assert np.array_equal(landmarks.detect(image, several="reject"), points) and points[:, 0].max() < 240
        return
    for call in (landmarks.detect, align.align):
        with pytest.raises(ImageError, match=r"^b\.jpg shows 2 faces") as caught:
            call(image, name="b.jpg", several="reject")
        assert caught.value.reason == "several_faces"
    found = align.align(image, points, several="reject")  # landmarks say which face it is
    assert np.array_equal(found, align.align(image))


def test_photos_of_one_person_are_not_refused(photos):
    n_refused = 0
    for image in photos[::3]:
        try:
            points = landmarks.detect(image, several="reject")
        except ImageError as error:
            n_refused += error.reason == "several_faces"
        else:
            assert np.array_equal(points, landmarks.detect(image))
    assert n_refused <= 1  # of 81


def test_only_two_ways_to_treat_several_faces():
    with pytest.raises(ImageError, match="several 'all' is unknown"):
        landmarks.detect(picture(), several="all")
