"""Sheets and rows of faces show the faces they were given, in their order."""

import itertools

import numpy as np
import pytest

from s2f.report import face_figures
from s2f.report.draws import Draws
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


LONG = ["Christina_Applegate (f)", "Benedict_Cumberbatch (m)", "Mary-Louise_Parker (f)", "W" * 30, "D.B._Woodside (m)"]


def draw_sheet(faces, labels):
    return face_figures.face_sheet(faces, labels=labels, n_columns=10)


def draw_table1(faces, labels):
    return face_figures.table1(faces[:8], faces[:8], labels[:8])


@pytest.mark.parametrize("draw", [draw_sheet, draw_table1])
def test_names_of_neighbours_do_not_touch(faces, draw):
    labels = 2 * LONG
    figure = fits(lambda: draw(faces, labels))
    found = [t for ax in figure.axes for t in [ax.title, *ax.texts] if t.get_text()]
    assert ["".join(text.get_text().split()) for text in found] == [
        label.replace("_", "").replace(" ", "") for label in labels[: len(found)]
    ]
    assert all(word in text.get_text().split() for word, text in zip(["Christina", "Benedict"], found, strict=False))
    boxes = [text.get_window_extent() for text in found]
    assert len(boxes) >= 8 and not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    pictures = [ax.get_window_extent() for ax in figure.axes if ax.get_images()]
    assert not any(
        box.y0 < p.y1 - 1 and box.y1 > p.y0 + 1 and box.x0 < p.x1 and box.x1 > p.x0 for box in boxes for p in pictures
    )


NAMES = ["Ba$$in", "$x$", r"$\nothing$", "a$b"]


def test_names_with_dollar_signs_are_drawn_as_they_are(faces):
    four = faces[:4]
    plain(face_figures.table1(four, four, NAMES), *NAMES)
    plain(face_figures.face_sheet(four, labels=NAMES, title=NAMES[0]), *NAMES)
    plain(face_figures.face_rows(dict.fromkeys(NAMES, four)), *NAMES)


def test_a_sheet_of_draws_stands_beside_what_they_share_and_what_is_made_up(faces):
    spread = np.linspace(0, 90, 64 * 64).reshape(64, 64)
    drawn = Draws(faces[:5], faces[9], spread, n_compared=64)
    figure = fits(lambda: face_figures.draws(drawn, name="demo $x$"))
    sheet, mean, made_up = shown(figure)[:3]
    step = 64 + face_figures.GAP_PX
    for k, face in enumerate(faces[:5]):
        y, x = k // 3 * step, k % 3 * step
        np.testing.assert_array_equal(sheet[y : y + 64, x : x + 64, :3], face)
    assert sheet.shape[:2] == (2 * step - face_figures.GAP_PX, 3 * step - face_figures.GAP_PX)
    assert (sheet[..., 3] == 255).sum() == 5 * 64 * 64  # nothing else is drawn, not where a sixth would be
    np.testing.assert_array_equal(mean, faces[9])
    np.testing.assert_allclose(made_up, spread)
    said = texts(figure)
    assert {"5 faces of one voice (demo $x$)", "What draws share", "What is made up", "the mean of 64"} <= said
    assert any("standard deviation" in text for text in said)
    assert "5 faces drawn from one voice by demo $x$" in figure.get_label() and "45 grey levels" in figure.get_label()


@pytest.mark.parametrize(("n", "said"), [(1, "One face"), (2, "2 faces")])
def test_sheets_count_their_faces_in_words_and_title(n, said):
    drawn = Draws(np.zeros((n, 64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64)), 64)
    figure = face_figures.draws(drawn)
    assert figure.axes[0].get_title(loc="left").startswith(f"{said} of one voice")
    assert figure.get_label().startswith(f"{said} drawn from one voice")


@pytest.mark.parametrize("n", [2, 16, 100])
def test_sheets_of_any_number_fit_the_page_and_frame_the_first(n):
    drawn = Draws(np.zeros((n, 64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64)), 64)
    figure = fits(lambda: face_figures.draws(drawn))
    (frame,) = [patch for patch in figure.axes[0].patches if patch.get_width() == 64]
    assert frame.get_xy() == (-0.5, -0.5)  # the outer edge of the first face
    panels = [ax.get_window_extent() for ax in figure.axes]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(panels, 2))
    assert figure.axes[1].get_window_extent().width == pytest.approx(figure.axes[2].get_window_extent().width)


def test_all_maps_have_one_scale_that_any_eye_can_read():
    for spread in (np.zeros((64, 64)), np.full((64, 64), 90.0)):
        drawn = Draws(np.zeros((2, 64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8), spread, 64)
        (image,) = face_figures.draws(drawn).axes[2].get_images()
        assert image.get_clim() == (0, face_figures.MADE_UP) and image.get_cmap().name == "cividis"


def test_many_rows_of_few_people_are_no_higher_than_a_page(faces):
    figure = fits(lambda: face_figures.face_rows({f"draw {k}": faces[:2] for k in range(8)}))
    assert figure.get_size_inches()[1] <= face_figures.HEIGHT_IN
