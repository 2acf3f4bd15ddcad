"""Figures of faces: sheets and rows of them, and what draws of one voice share and make up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from s2f import files
from s2f.report.style import GREY, ORANGE, SMALL_PT, WIDTH_IN, canvas, in_theme, listed, say, tight, wrapped

GAP_IN = 0.06  # between the labels of neighbours
GAP_PX = 2  # between the faces of a sheet of draws
HEIGHT_IN = 11.5  # most that rows of faces take: no printed page, but nobody sees a face of 60 pixels
MADE_UP = 60.0  # grey levels at the end of every map's scale: one for all, so that maps can be compared

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from s2f.report.draws import Draws


@in_theme
def face_sheet(
    faces: np.ndarray | Sequence[np.ndarray],
    *,
    labels: Sequence[str] | None = None,
    n_columns: int = 8,
    title: str | None = None,
    what: str = "Faces",
) -> Figure:
    """Faces in a grid, in reading order.

    Parameters
    ----------
    faces : ndarray, uint8 [n, H, W, 3], or sequence of ndarray, uint8 [H, W, 3], faces, or photos of any size
    labels : sequence of str [n], optional, what stands under each, in lines as long as it is wide
    n_columns : int, faces in a row
    title : str, optional, line above
    what : str, what they are, for those who cannot see them
    """
    n_rows = int(np.ceil(len(faces) / n_columns))
    cell = WIDTH_IN / n_columns
    under = [wrapped(label, width_in=cell - GAP_IN, size_pt=SMALL_PT) for label in labels or ()]
    line = _height_in(under, size_pt=SMALL_PT) + 0.08 if under else 0.0
    figure, axes = canvas(n_rows * (cell + line) + (0.3 if title else 0), n_rows=n_rows, n_columns=n_columns)
    for k, ax in enumerate(axes.flat):
        ax.axis("off")
        if k < len(faces):
            _face(ax, faces[k])
            if under:
                ax.set_anchor("N")  # what is left over is below, where the names are
                ax.text(0.5, -0.03, under[k], transform=ax.transAxes, ha="center", va="top", fontsize=SMALL_PT)
    tight(figure)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    names = f"; under them: {listed(dict.fromkeys(labels))}" if labels else ""
    say(figure, f"{title + ': ' if title else ''}{what}: {len(faces)}, {min(n_columns, len(faces))} in a row{names}.")
    return figure


def table1(
    true_faces: np.ndarray, generated_faces: np.ndarray | Mapping[str, np.ndarray], labels: Sequence[str]
) -> Figure:
    """Table 1: each speaker's true face above the faces drawn from the voice.

    Parameters
    ----------
    true_faces : ndarray, uint8 [n, H, W, 3], one real photo a speaker
    generated_faces : ndarray uint8 [n, H, W, 3], or a mapping of a row's name to such an array, what was drawn
    labels : sequence of str [n], what stands over each speaker
    """
    drawn = generated_faces if isinstance(generated_faces, Mapping) else {"generated": generated_faces}
    return face_rows({"true": true_faces, **drawn}, labels=labels, what="True faces above those drawn from the voice")


def write_table1(path: Path, true_faces: np.ndarray, drawn: Mapping[str, np.ndarray], labels: Sequence[str]) -> None:
    """Write the faces and words of `table1`, so that it can be drawn again: an ``.npz``."""
    with files.whole(path) as beside:
        np.savez_compressed(beside, allow_pickle=False, labels=np.array(labels, str), true=true_faces, **drawn)


def read_table1(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray], list[str]]:
    """What `write_table1` wrote, in the order of `table1`."""
    with np.load(path) as found:
        drawn = {name: found[name] for name in found.files if name not in ("labels", "true")}
        return found["true"], drawn, found["labels"].tolist()


@in_theme
def face_rows(
    rows: Mapping[str, np.ndarray], *, labels: Sequence[str] | None = None, what: str = "Faces of the same people"
) -> Figure:
    """Rows of faces of the same people, each row with its name.

    Parameters
    ----------
    rows : mapping of str to ndarray, uint8 [n, H, W, 3], faces of each row
    labels : sequence of str [n], optional, what stands over each column, in lines as long as it is wide
    what : str, what they are, for those who cannot see them
    """
    n = len(next(iter(rows.values())))
    margin = 0.95  # in, for the names of the rows
    cell = min((WIDTH_IN - margin) / n, 1.3, HEIGHT_IN / len(rows))
    over = [wrapped(label, width_in=cell - GAP_IN, size_pt=SMALL_PT) for label in labels or ()]
    top = _height_in(over, size_pt=SMALL_PT) + 0.12 if over else 0.0
    figure, axes = canvas(len(rows) * cell + top, n_rows=len(rows), n_columns=n)
    for line, (name, faces) in zip(axes, rows.items(), strict=True):
        for ax, face in zip(line, faces, strict=True):
            _face(ax, face)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=6)
    if over:
        for ax, label in zip(axes[0], over, strict=True):
            ax.set_title(label, fontsize=SMALL_PT, fontweight="normal", loc="center", pad=3)
    tight(figure)
    over_them = f"; over the columns: {listed(labels)}" if labels else ""
    say(figure, f"{what}: {n} in a row; rows from above: {listed(rows)}{over_them}.")
    return figure


@in_theme
def draws(drawn: Draws, *, name: str = "") -> Figure:
    """Faces of one voice, and beside them what all draws share and, as a map, what is made up.

    Parameters
    ----------
    drawn : Draws
    name : str, what drew them, for the title
    """
    from matplotlib.patches import Rectangle

    n = len(drawn.sheet)
    sheet = _tiled(drawn.sheet, n_columns=int(np.ceil(np.sqrt(n))))
    above, wide, side, at = 0.32, 4.5, 1.8, 4.95  # in: titles, the sheet, a panel beside it and where it begins
    high = wide * sheet.shape[0] / sheet.shape[1]
    height = max(above + high + 0.3, 5.3)
    figure, axes = canvas(height, n_columns=4)
    figure.set_layout_engine("none")
    places = (0.06, above, wide, high), (at, above, side, side), (at, 2.75, side, side), (at, 4.63, side, 0.1)
    for ax, (x, y, width, tall) in zip(axes[0], places, strict=True):
        ax.set_position((x / WIDTH_IN, 1 - (y + tall) / height, width / WIDTH_IN, tall / height))
    left, top, below, scale = axes[0]
    _face(left, sheet)
    left.add_patch(Rectangle((-0.5, -0.5), 64, 64, fill=False, edgecolor=ORANGE, linewidth=2.5, clip_on=False))
    faces = f"{n} faces" if n > 1 else "One face"
    left.set_title(f"{faces} of one voice" + (f" ({name})" if name else ""))
    left.set_xlabel("framed: the most typical draw", loc="left", color=GREY, fontsize=8)
    _face(top, drawn.mean)
    top.set_title("What draws share")
    top.set_xlabel(f"the mean of {drawn.n_compared}", loc="left", color=GREY, fontsize=8)
    image = below.imshow(drawn.spread, cmap="cividis", vmin=0, vmax=MADE_UP, interpolation="nearest")
    below.set(xticks=[], yticks=[])
    below.spines[:].set_visible(False)
    below.set_title("What is made up")
    bar = figure.colorbar(image, cax=scale, orientation="horizontal", extend="max")
    bar.set_label(f"standard deviation of {drawn.n_compared},\nin grey levels of 255", loc="left", fontsize=8)
    bar.ax.tick_params(length=2, pad=1, labelsize=SMALL_PT)
    figure.set_label(
        f"{faces} drawn from one voice{f' by {name}' if name else ''}, the most typical one first and framed. Beside "
        f"them the mean of {drawn.n_compared} draws, and a map of how much they differ: by a standard deviation of "
        f"{drawn.spread.mean():.0f} grey levels of 255 on average, {drawn.spread[24:40, 24:40].mean():.0f} in the "
        "middle of the face."
    )
    return figure


def _tiled(faces: np.ndarray, *, n_columns: int) -> np.ndarray:
    """Faces uint8 [n, H, W, 3] in reading order as one picture, uint8 [H, W, 4]; what is between them is clear."""
    n, height, width, _ = faces.shape
    n_rows = -(-n // n_columns)
    sheet = np.zeros((n_rows * (height + GAP_PX) - GAP_PX, n_columns * (width + GAP_PX) - GAP_PX, 4), np.uint8)
    for k, face in enumerate(faces):
        y, x = k // n_columns * (height + GAP_PX), k % n_columns * (width + GAP_PX)
        sheet[y : y + height, x : x + width] = np.dstack([face, np.full((height, width), 255, np.uint8)])
    return sheet


def _height_in(labels: Sequence[str], *, size_pt: float) -> float:
    return max(label.count("\n") + 1 for label in labels) * 1.2 * size_pt / 72


def _face(ax: Axes, face: np.ndarray) -> None:
    ax.imshow(face, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
