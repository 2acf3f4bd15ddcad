"""The method as a drawing: from a recording to a face, and who judges it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from s2f.report.style import BLUE, GREEN, GREY, INK, ORANGE, canvas, in_theme, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch


@in_theme
def data_flow() -> Figure:
    """The poster's Figure 1 in our own drawing: from a recording to a face, and who judges it."""
    figure, axes = canvas(3.4)
    ax = axes[0, 0]
    ax.set(xlim=(0, 100), ylim=(0, 48.5), aspect="equal")
    ax.axis("off")
    top, bottom = 35, 10
    ax.add_patch(_rounded(36, 0.5, 63.5, 20.5, face="#F6F6F6", edge="none"))
    ax.text(37.5, 18.6, "only while training", fontsize=8, color=GREY, va="center", style="italic")

    _wave_icon(ax, 8, top)
    _caption(ax, 8, top, "voice recording")
    box(ax, 27, top, "voice\nembedding\nnetwork", colour=BLUE)
    _vector_icon(ax, 44, top)
    _caption(ax, 44, top, "voice embedding\n64 numbers")
    box(ax, 62, top, "generator", colour=GREEN)
    _face_icon(ax, 82, top, colour=GREEN)
    ax.text(89, top, "generated\nface\n64×64×3", fontsize=8, va="center")

    _face_icon(ax, 44, bottom, colour=GREY)
    ax.text(44, bottom - 7.2, "real face", fontsize=8, ha="center", va="center")
    box(ax, 62, bottom, "face\nembedding\nnetwork", colour=ORANGE)
    box(ax, 89, 15.5, "discriminator", note="real or fake?", colour=ORANGE, size=(18, 8))
    box(ax, 89, 5.3, "classifier", note="whose face?", colour=ORANGE, size=(18, 8))

    for left, right in ((15, 19.5), (34.5, 40), (48, 54.5), (69.5, 76.5)):
        arrow(ax, (left, top), (right, top))
    arrow(ax, (49.2, bottom), (54.5, bottom))
    arrow(ax, (82, top - 6.5), (68, bottom + 6.2), curve=-0.2)
    arrow(ax, (69.5, bottom), (80, 15.5), curve=0.0)
    arrow(ax, (69.5, bottom), (80, 5.3), curve=0.0)
    say(
        figure,
        """Boxes and arrows. A voice recording goes through the voice embedding network to a voice embedding of 64
        numbers, and through the generator to a face of 64 by 64 pixels in colour. Only while training, that face and
        a real one go through the face embedding network to the discriminator, real or fake, and to the classifier,
        whose face.""",
    )
    return figure


def _rounded(
    x: float, y: float, width: float, height: float, *, face: str | tuple[float, ...], edge: str
) -> FancyBboxPatch:
    from matplotlib.patches import FancyBboxPatch

    shape = "round,pad=0,rounding_size=1.6"
    return FancyBboxPatch((x, y), width, height, boxstyle=shape, facecolor=face, edgecolor=edge, linewidth=1.4)


def box(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    *,
    colour: str,
    note: str | None = None,
    size: tuple[float, float] = (15, 13),
) -> None:
    """A rounded box with its name in it, around (x, y); `note` is a fainter line below the name."""
    width, height = size
    patch = _rounded(x - width / 2, y - height / 2, width, height, face=_pale(colour), edge=colour)
    ax.add_patch(patch)
    ax.text(x, y + (1.5 if note else 0), text, ha="center", va="center", fontsize=8.5, fontweight="bold")
    if note:
        ax.text(x, y - 1.9, note, ha="center", va="center", fontsize=8)


def _pale(colour: str) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    return tuple(0.16 * part + 0.84 for part in to_rgb(colour))


def arrow(ax: Axes, start: tuple[float, float], stop: tuple[float, float], *, curve: float = 0.0) -> None:
    """An arrow between two points of the drawing."""
    style = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.1, "mutation_scale": 10, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", stop, start, arrowprops=style | {"connectionstyle": f"arc3,rad={curve}"})


def _caption(ax: Axes, x: float, y: float, text: str) -> None:
    ax.text(x, y + 8.2, text, ha="center", va="bottom", fontsize=8)


def _wave_icon(ax: Axes, x: float, y: float) -> None:
    heights = np.array([0.8, 1.8, 3.4, 5.2, 3.2, 1.2, 0.6, 2.2, 4.4, 6.0, 4.6, 2.4, 1.0])
    at = np.linspace(x - 5.4, x + 5.4, len(heights))
    ax.vlines(at, y - heights, y + heights, color=BLUE, linewidth=2.2)


def _vector_icon(ax: Axes, x: float, y: float) -> None:
    from matplotlib.patches import Rectangle

    values = np.array([[0.2], [0.9], [0.5], [0.1], [0.7], [1.0], [0.3], [0.6]])
    ax.imshow(values, extent=(x - 1.6, x + 1.6, y - 6.4, y + 6.4), cmap="Blues", vmin=-0.3, vmax=1.2, zorder=2)
    ax.add_patch(Rectangle((x - 1.6, y - 6.4), 3.2, 12.8, facecolor="none", edgecolor=BLUE, zorder=3))
    ax.set(xlim=(0, 100), ylim=(0, 48.5))


def _face_icon(ax: Axes, x: float, y: float, *, colour: str) -> None:
    from matplotlib.patches import Arc, Circle, Ellipse

    ax.add_patch(_rounded(x - 5, y - 5.6, 10, 11.2, face="white", edge=colour))
    ax.add_patch(Ellipse((x, y - 0.2), 6.4, 8.8, facecolor=_pale(colour), edgecolor=colour, linewidth=1.2))
    for side in (-1.4, 1.4):
        ax.add_patch(Circle((x + side, y + 0.9), 0.45, color=colour))
    ax.add_patch(Arc((x, y - 1.9), 2.8, 1.8, theta1=200, theta2=340, color=colour, linewidth=1.2))
