"""Which face a photograph is of, and where it is."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

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


def real(*where):
    root = Path(os.environ.get("S2F_REAL", Path(__file__).parents[3] / "shared" / "real")).joinpath(*where)
    if not root.exists():
        pytest.skip(f"no real photos at {root}: set S2F_REAL")
    return root


@pytest.fixture(scope="module")
def photos():
    return [photo_files.read(path) for path in sorted(real("vggface").glob("*/*.jpg"))]


FACE = np.zeros((68, 2))
FACE[36:42], FACE[42:48], FACE[30], FACE[48], FACE[54] = (30, 40), (70, 40), (50, 60), (35, 80), (65, 80)


@pytest.fixture
def found_by_the_second(monkeypatch):
    """Only the second detector finds something, a square of 100 px; landmarks are what `points` makes of a box."""
    dlib = pytest.importorskip("dlib")
    points = {"of": lambda box: FACE}
    rect = SimpleNamespace(rect=dlib.rectangle(0, 0, 100, 100))

    def predict(shown, box):
        return SimpleNamespace(parts=lambda: [dlib.dpoint(x, y) for x, y in points["of"](box)])

    monkeypatch.setattr(landmarks, "_detector", lambda: lambda shown, enlarge: [])
    monkeypatch.setattr(landmarks, "_second_network", lambda: lambda shown, enlarge: [rect])
    monkeypatch.setattr(landmarks, "_landmark_model", lambda: predict)
    return points


def test_a_face_of_the_second_detector_counts_where_its_landmarks_stay(found_by_the_second):
    image = np.zeros((120, 120, 3), np.uint8)
    wanted = FACE[[36, 42, 30, 48, 54]]
    np.testing.assert_allclose(landmarks.detect(image), wanted)
    found_by_the_second["of"] = lambda box: FACE + np.array([box.left(), box.top()])  # they go where the box goes
    with pytest.raises(ImageError, match=r"a\.jpg shows a face whose eyes, nose and mouth cannot be placed") as caught:
        landmarks.detect(image, name="a.jpg")
    assert caught.value.reason == "landmarks"
    found_by_the_second["of"] = lambda box: np.full((68, 2), 50.0)  # all in one place, which has no scale
    with pytest.raises(ImageError, match="cannot be placed"):
        landmarks.detect(image)


def test_the_first_detector_comes_first(found_by_the_second, monkeypatch):
    dlib = pytest.importorskip("dlib")
    monkeypatch.setattr(landmarks, "_detector", lambda: lambda shown, enlarge: [dlib.rectangle(10, 10, 90, 90)])
    monkeypatch.setattr(landmarks, "_second_network", lambda: pytest.fail("the second one was asked"))
    found_by_the_second["of"] = lambda box: FACE + 0.2 * np.array([box.left(), box.top()])
    assert landmarks.detect(np.zeros((120, 120, 3), np.uint8))[0].tolist() == [32, 42]


def test_near_frontal_faces_that_the_first_detector_loses_are_found():
    for name in ("0037", "0389", "0432", "0514"):  # a moustache, a headdress, a blur
        image = photo_files.read(real("avspeech", f"avspeech_{name}.jpg"))
        assert not landmarks._look(image, landmarks._detector(), most_px=1280)[0]
        assert align.turn(landmarks.detect(image)) < 0.6
    for name in ("0095", "0116", "0170"):  # from the side
        with pytest.raises(ImageError) as caught:
            landmarks.detect(photo_files.read(real("avspeech", f"avspeech_{name}.jpg")))
        assert caught.value.reason in ("no_face", "landmarks")


def test_both_detectors_put_the_landmarks_in_one_place(photos, monkeypatch):
    some = photos[::12]
    first = [landmarks.detect(image) for image in some]
    monkeypatch.setattr(landmarks, "_detector", lambda: lambda shown, enlarge: [])
    apart = []
    for image, points in zip(some, first, strict=True):
        try:
            moved = np.hypot(*(landmarks.detect(image) - points).T).mean()
        except ImageError:
            continue
        apart.append(moved / np.hypot(*(points[1] - points[0])))
    assert len(apart) >= 18 and np.mean(apart) < 0.03  # of 21; distances of the eyes


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
