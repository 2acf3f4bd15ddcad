"""Figures of faces: sheets and rows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from s2f.report.style import WIDTH_IN, canvas, in_theme, listed, say, tight, wrapped

GAP_IN = 0.06  # between the labels of neighbours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    under = [wrapped(label, width_in=cell - GAP_IN, size_pt=7) for label in labels or ()]
    line = _height_in(under, size_pt=7) + 0.08 if under else 0.0
    figure, axes = canvas(n_rows * (cell + line) + (0.3 if title else 0), n_rows=n_rows, n_columns=n_columns)
    for k, ax in enumerate(axes.flat):
        ax.axis("off")
        if k < len(faces):
            _face(ax, faces[k])
            if under:
                ax.text(0.5, -0.03, under[k], transform=ax.transAxes, ha="center", va="top", fontsize=7)
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
    cell = min((WIDTH_IN - margin) / n, 1.3)
    over = [wrapped(label, width_in=cell - GAP_IN, size_pt=7) for label in labels or ()]
    top = _height_in(over, size_pt=7) + 0.12 if over else 0.0
    figure, axes = canvas(len(rows) * cell + top, n_rows=len(rows), n_columns=n)
    for line, (name, faces) in zip(axes, rows.items(), strict=True):
        for ax, face in zip(line, faces, strict=True):
            _face(ax, face)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=6)
    if over:
        for ax, label in zip(axes[0], over, strict=True):
            ax.set_title(label, fontsize=7, fontweight="normal", loc="center", pad=3)
    tight(figure)
    over_them = f"; over the columns: {listed(labels)}" if labels else ""
    say(figure, f"{what}: {n} in a row; rows from above: {listed(rows)}{over_them}.")
    return figure


def _height_in(labels: Sequence[str], *, size_pt: float) -> float:
    return max(label.count("\n") + 1 for label in labels) * 1.2 * size_pt / 72


def _face(ax: Axes, face: np.ndarray) -> None:
    ax.imshow(face, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
