"""Sheets and rows of faces show the faces they were given, in their order."""

import numpy as np
import pytest

from s2f.report import face_figures
from tests.report.figures import fits, plain, shown, texts


@pytest.fixture
def faces():
    return np.random.default_rng(0).integers(0, 256, (10, 64, 64, 3), dtype=np.uint8)


def test_they_fit_the_page(faces):
    labels = [f"p{k}" for k in range(10)]
    fits(lambda: face_figures.face_sheet(faces, labels=labels, n_columns=4, title="Ten"))
    fits(lambda: face_figures.table1(faces[:4], faces[4:8], list("wxyz")))
    fits(lambda: face_figures.face_rows({"true": faces[:3], "drawn": faces[3:6]}))


def test_face_sheet_shows_each_face_in_order(faces):
    images = shown(face_figures.face_sheet(faces, n_columns=4))
    assert len(images) == 10
    np.testing.assert_array_equal(images[7], faces[7])


def test_face_sheet_takes_photos_of_any_size():
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, (size, 80, 3), dtype=np.uint8) for size in (50, 90)]
    assert [image.shape[0] for image in shown(face_figures.face_sheet(photos, n_columns=2))] == [50, 90]


def test_table1_puts_true_faces_over_drawn_ones(faces):
    figure = face_figures.table1(faces[:2], {"General": faces[2:4], "Males": faces[4:6]}, ["anna", "ben"])
    assert {"anna", "ben", "true", "General", "Males"} <= texts(figure)
    np.testing.assert_array_equal(shown(figure), faces[:6])


NAMES = ["Ba$$in", "$x$", r"$\nothing$", "a$b"]


def test_names_with_dollar_signs_are_drawn_as_they_are(faces):
    four = faces[:4]
    plain(face_figures.table1(four, four, NAMES), *NAMES)
    plain(face_figures.face_sheet(four, labels=NAMES, title=NAMES[0]), *NAMES)
    plain(face_figures.face_rows(dict.fromkeys(NAMES, four)), *NAMES)
