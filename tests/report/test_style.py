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


def test_a_sentence_may_stand_where_a_figure_would():
    @style.in_theme
    def missing():
        return style.sentence("Too few faces to compare.")

    (text,) = missing().axes[0].texts
    assert text.get_text() == "Too few faces to compare."
