"""Photographs of synthetic heads: where eyes, nose and mouth are, and what differs between two of them."""

import cv2
import numpy as np

from s2f.corpora.synthetic import camera, paint, raster


def test_shapes_types_and_landmark_order(people):
    images, landmarks = camera.render(people[0], n=6, rng=np.random.default_rng(1), size_px=80)
    assert images.shape == (6, 80, 80, 3) and images.dtype == np.uint8
    assert landmarks.shape == (6, 5, 2) and landmarks.dtype == np.float32
    assert ((landmarks > 0) & (landmarks < 80)).all()
    left_eye, right_eye, nose, left_mouth, right_mouth = landmarks.transpose(1, 0, 2)
    assert (left_eye[:, 0] < nose[:, 0]).all() and (nose[:, 0] < right_eye[:, 0]).all()
    assert (left_mouth[:, 0] < right_mouth[:, 0]).all()
    assert (nose[:, 1] > (left_eye + right_eye)[:, 1] / 2).all()
    assert ((left_mouth + right_mouth)[:, 1] / 2 > nose[:, 1]).all()
    between = np.linalg.norm(left_eye - right_eye, axis=1)
    assert ((between > 11) & (between < 24)).all()  # a head fills most of the frame


def test_same_generator_same_photographs_however_many_follow(people, photo):
    one, marks = photo(people[1])
    three, more = camera.render(people[1], n=3, rng=np.random.default_rng(0), size_px=64)
    np.testing.assert_array_equal(one[0], three[0])
    np.testing.assert_array_equal(marks[0], more[0])
    assert np.abs(three[1].astype(int) - three[2]).mean() > 5


def test_people_differ_under_one_scene_and_the_background_does_not(people, photo):
    photos = np.stack([photo(person, seed=3)[0][0] for person in people]).astype(int)  # [n, 64, 64, 3]
    assert (photos[:, 0, 0] == photos[0, 0, 0]).all()
    distances = [np.abs(a - b).mean() for i, a in enumerate(photos) for b in photos[:i]]
    assert min(distances) > 4


def test_eyes_are_where_the_landmarks_say(average):
    """Irises are darker than the cheeks below them, at every pose."""
    images, landmarks = camera.render(
        average | {"eye_colour": "brown", "skin_tone": 0.0, "eye_size": 1.0},
        n=8,
        rng=np.random.default_rng(6),
        size_px=128,
    )
    for image, marks in zip(images.astype(float), landmarks, strict=True):
        down = (marks[3] + marks[4] - marks[0] - marks[1]) / 2
        for x, y in marks[:2]:
            eye = image[int(y) - 1 : int(y) + 3, int(x) - 1 : int(x) + 3].mean()
            cx, cy = np.array([x, y]) + 0.45 * down
            cheek = image[int(cy) - 1 : int(cy) + 3, int(cx) - 1 : int(cx) + 3].mean()
            assert eye < 0.8 * cheek


def test_landmarks_are_where_a_detector_of_real_faces_sees_them(people):
    """dlib's landmarks, trained on photographs of people, within 6 % of the eyes' distance in the mean."""
    from s2f.features import landmarks

    differences = []
    for k, person in enumerate(people):
        photos, marks = camera.render(person, n=1, rng=np.random.default_rng(k), size_px=224)
        found = landmarks.detect(photos[0])
        differences.append((found - marks[0]) / np.linalg.norm(marks[0, 1] - marks[0, 0]))
    assert np.abs(np.mean(differences, axis=0)).max() < 0.06
    assert np.linalg.norm(differences, axis=2).mean() < 0.08


def test_threads_of_the_caller_are_left_as_they_were(people, photo):
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        photo(people[0])
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


def test_an_open_mouth_shows_teeth_or_dark_and_no_background(people):
    """Nothing behind the head is seen through it."""
    who = camera._Person.of(people[1])
    scene = camera._scene(np.random.default_rng(3)) | {"open": 1.2, "yaw": 0.0, "pitch": 0.0, "roll": 0.0}
    shots = []
    for colour in (0.05, 0.95):
        scene["backdrop"] = np.full((2, 3), colour)
        shots.append(camera._photograph(who, scene, rng=np.random.default_rng(0), size_px=128))
    (dark, marks), (bright, _) = shots
    middle = marks.mean(axis=0).astype(int)
    face = (slice(middle[1] - 15, middle[1] + 25), slice(middle[0] - 15, middle[0] + 15))
    np.testing.assert_array_equal(dark[face], bright[face])
    assert np.abs(dark[0, 0].astype(int) - bright[0, 0]).min() > 100


def test_the_light_comes_from_where_the_scene_says(average):
    who = camera._Person.of(average | {"fringe": 0.0})
    scene = camera._scene(np.random.default_rng(0)) | {"yaw": 0.0, "roll": 0.0, "pitch": 0.0}
    sides = {}
    for x in (-0.8, 0.8):
        scene["light"] = np.array([x, 0.3, 0.52])
        photo, marks = camera._photograph(who, scene, rng=np.random.default_rng(0), size_px=128)
        row, middle = int(marks[2, 1]), int(marks[2, 0])
        sides[x] = [photo[row, at : at + 8].mean() for at in (middle - 22, middle + 14)]
    assert sides[-0.8][0] > 1.3 * sides[-0.8][1] and sides[0.8][1] > 1.3 * sides[0.8][0]


def test_hair_ends_strand_by_strand_and_behind_what_is_nearer():
    size = 256
    heights = np.tile(np.where(np.arange(paint.SIZE_PX) % 8 < 4, 2.0, -2.0).astype(np.float32), (paint.SIZE_PX, 1))
    over = np.zeros((size, size, 3), np.float32)
    over[:128, :, 0] = (np.arange(size) + 0.5) / size  # across the strands
    over[:128, :, 2] = 0.5
    its_depth = np.full((size, size), raster.FAR_DM, np.float32)
    its_depth[:128] = 12.0
    drawn, depth = np.zeros_like(over), np.full((size, size), 13.0, np.float32)
    depth[:, :60] = 11.0  # something nearer than the hair
    camera._lay(heights, over, its_depth, drawn, depth)
    ends = (drawn[:, 60:, 2] > 0).sum(axis=0)
    assert drawn[:, :60].max() == 0
    assert ends.max() <= 128
    assert ends.min() >= 112
    assert np.ptp(ends) >= 3
