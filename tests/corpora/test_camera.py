"""Photographs of synthetic heads: where eyes, nose and mouth are, and what differs between two of them."""

import numpy as np
import pytest
import torch

from s2f.corpora.synthetic import camera


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


@pytest.mark.gpu
def test_the_gpu_draws_the_same_picture(people, photo):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    cpu, cpu_marks = photo(people[3], seed=1)
    gpu, gpu_marks = photo(people[3], seed=1, device="cuda")
    assert np.abs(cpu.astype(int) - gpu).mean() < 0.5
    np.testing.assert_allclose(cpu_marks, gpu_marks, atol=0.05)
