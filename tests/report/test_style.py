"""The theme is applied when asked, and a figure is written whole."""

import base64
import io
import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

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
        style.say(figure, "A line.")
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
        style.say(figure, kind)
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


def test_a_figure_without_words_is_an_error_that_names_it():
    @style.in_theme
    def mute():
        figure, axes = style.canvas(2.0)
        axes[0, 0].plot([1, 2])
        return figure

    with pytest.raises(MetricError, match=r"mute has no words .* Call style\.say"):
        mute()


@pytest.mark.parametrize(
    ("kind", "values", "colours"),
    [
        ("drawing", np.zeros((2, 2)), "Blues"),
        ("photographs", np.zeros((2, 2, 3)), None),
        ("photographs", np.zeros((2, 2)), "magma"),  # turned around, what is silent would be bright
    ],
)
def test_a_notebook_keeps_a_figure_with_its_words_on_no_ground(kind, values, colours):
    @style.in_theme
    def drawn():
        figure, axes = style.canvas(2.0)
        axes[0, 0].imshow(values, cmap=colours)
        axes[0, 0].set_title("here")
        style.say(figure, "Two rows\n of two fields.")
        return figure

    data, about = style.picture(drawn())
    assert about == {"alt": "Two rows of two fields.", "kind": kind}
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        pixels = np.asarray(image.convert("RGBA"))
    assert pixels[0, 0, 3] == 0  # no ground
    greys = {tuple(pixel) for pixel in pixels[pixels[..., 3] == 255][:, :3] if len(set(pixel)) == 1 and any(pixel)}
    assert (((0x75,) * 3) in greys) == (kind == "photographs")  # words that both pages can be read by


def test_a_large_sheet_of_photographs_is_kept_within_what_a_page_may_load():
    for n_rows, fits in ((4, True), (40, False)):
        figure = face_figures.face_sheet(np.zeros((8 * n_rows, 64, 64, 3), np.uint8), n_columns=8)
        size_px = np.prod(figure.get_size_inches()) * figure.dpi**2
        data, _ = style.picture(figure)
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            shown = image.width * image.height
        assert (shown > 0.9 * size_px) == fits == (size_px < style.MOST_PX)
        assert shown < 1.1 * style.MOST_PX


def test_the_words_beside_photographs_can_be_read_on_white_and_on_black():
    level = int(style.BETWEEN[1:3], 16) / 255
    light = ((level + 0.055) / 1.055) ** 2.4
    assert 1.05 / (light + 0.05) >= 4.5
    assert (light + 0.05) / 0.05 >= 4.5


def test_a_saved_figure_has_its_words(tmp_path):
    style.save(face_figures.face_sheet(np.zeros((2, 8, 8, 3), np.uint8), what="Two dark fields"), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.text == {"Description": "Two dark fields: 2, 2 in a row.", "Kind": "photographs"} | {
            key: text for key, text in image.text.items() if key == "Software"
        }
        assert image.convert("RGBA").getpixel((0, 0))[3] == 0  # it stands on the ground of whatever page shows it


def test_what_is_shown_is_spread_evenly_over_all():
    assert style.evenly(79, most=40).tolist()[:3] == [0, 2, 4] and style.evenly(79, most=40)[-1] == 78
    assert len(style.evenly(258, most=40)) == 40 and style.evenly(258, most=40)[-1] == 257
    assert style.evenly(3, most=8).tolist() == [0, 1, 2] and style.evenly(0, most=8).tolist() == []


def test_no_words_of_a_figure_are_too_small_to_read():
    sources = {path.name: path.read_text(encoding="utf-8") for path in Path(style.__file__).parent.glob("*.py")}
    sizes = {
        (name, float(size))
        for name, text in sources.items()
        for size in re.findall(r"(?:fontsize|labelsize|size_pt|\.size|legend\.fontsize)\"?[=:] ?(\d+\.?\d*)", text)
    }
    assert len(sizes) > 10
    assert {(name, size) for name, size in sizes if size < style.SMALL_PT} == set()
