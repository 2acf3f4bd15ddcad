"""The theme is applied when asked, and a figure is written whole."""

import matplotlib as mpl
import numpy as np
import pytest

from s2f.errors import MetricError
from s2f.report import face_figures, style


def test_theme_is_applied_when_asked_and_save_writes_a_whole_png(tmp_path):
    faces = np.zeros((2, 64, 64, 3), np.uint8)
    with mpl.rc_context():
        style.theme()
        assert mpl.rcParams["figure.dpi"] == 160
    style.save(face_figures.face_sheet(faces, n_columns=2), tmp_path / "sheet.png")
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_an_empty_figure_is_an_error_that_names_it():
    @style.in_theme
    def roc(points):
        figure, axes = style.canvas(2.0, n_columns=2)
        if points:
            axes[0, 1].plot(points)
        return figure

    assert roc([0.0, 1.0]).axes
    with pytest.raises(MetricError, match="roc has nothing to draw"):
        roc([])


EMPTY = {
    "no marks": lambda ax: ax.plot([], []),
    "a line of NaN": lambda ax: ax.plot([1, 2], [np.nan, np.nan], "o-"),
    "points at NaN": lambda ax: ax.scatter([1.0], [np.nan]),
    "no points": lambda ax: ax.scatter([], []),
    "an area of NaN": lambda ax: ax.fill_between([1, 2], [np.nan] * 2, [np.nan] * 2),
    "a bar of NaN": lambda ax: ax.bar([1], [np.nan]),
    "chance alone": lambda ax: ax.axhline(50),
    "half chance": lambda ax: (ax.axvline(0.5), ax.plot([np.nan], [0])),
}
SHOWN = {
    "a line": lambda ax: ax.plot([1, 2, 3], [np.nan, 1, 2]),
    "points": lambda ax: ax.scatter([1.0, np.nan], [2.0, 1.0]),
    "bars": lambda ax: ax.bar([1, 2], [3, np.nan]),
    "an area": lambda ax: ax.fill_between([1, 2], [0, 0], [1, 2]),
    "a picture": lambda ax: ax.imshow(np.zeros((2, 2))),
    "a histogram": lambda ax: ax.hist([1, 2, 2]),
    "a stack": lambda ax: ax.barh([0], [0.0]),
}


@pytest.mark.parametrize("kind", [*EMPTY, *SHOWN])
def test_marks_at_nan_and_lines_for_chance_are_no_data(kind):
    @style.in_theme
    def drawn():
        figure, axes = style.canvas(2.0, n_columns=2)
        (EMPTY | SHOWN)[kind](axes[0, 1])
        return figure

    if kind in SHOWN:
        assert len(drawn().axes) == 2
    else:
        with pytest.raises(MetricError, match="drawn has nothing to draw"):
            drawn()


def test_a_sentence_may_stand_where_a_figure_would():
    @style.in_theme
    def missing():
        return style.sentence("Too few faces to compare.")

    (text,) = missing().axes[0].texts
    assert text.get_text() == "Too few faces to compare."
