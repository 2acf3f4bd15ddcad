"""The look of all figures: one theme, one width, colours that everybody can tell apart."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


WIDTH_IN = 7.0
# Okabe and Ito (2008): told apart with any kind of colour vision.
BLUE, ORANGE, GREEN, PURPLE, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#6B6B6B"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, GREY)
SEXES = (("f", "female", ORANGE), ("m", "male", BLUE))
INK, FAINT = "#222222", "#E4E4E4"


def theme() -> None:
    """Make the look of all figures the default of this session, for figures drawn by hand beside them.

    Seaborn's whitegrid, a colour-blind safe cycle, no frame. The functions of this module use it anyway.
    """
    import matplotlib as mpl
    import seaborn

    style = {
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.edgecolor": "#9A9A9A",
        "grid.color": FAINT,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    sizes = {
        "figure.dpi": 160,
        "savefig.dpi": 160,
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.labelsize": 9,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "legend.fontsize": 8.5,
        "legend.frameon": False,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.linewidth": 0.8,
        "grid.linewidth": 0.7,
        "lines.linewidth": 1.6,
    }
    seaborn.set_theme(context="paper", style="whitegrid", palette=COLOURS, rc=style)
    mpl.rcParams.update(sizes)


def _figure(function: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the theme, and close: a notebook shows the returned figure once."""

    @functools.wraps(function)
    def drawn(*args, **kwargs) -> Figure:
        import matplotlib as mpl
        from matplotlib import pyplot

        with mpl.rc_context():
            theme()
            figure = function(*args, **kwargs)
            pyplot.close(figure)
        return figure

    return drawn


def _canvas(height_in: float, *, n_rows: int = 1, n_columns: int = 1, **grid) -> tuple[Figure, np.ndarray]:
    from matplotlib import pyplot

    return pyplot.subplots(
        n_rows, n_columns, figsize=(WIDTH_IN, height_in), layout="constrained", squeeze=False, **grid
    )


def _below(ax: Axes, label: str) -> None:
    ax.text(0.5, -0.03, label, transform=ax.transAxes, ha="center", va="top", fontsize=7.5)


def _tight(figure: Figure) -> None:
    figure.get_layout_engine().set(w_pad=0.015, h_pad=0.015, wspace=0.0, hspace=0.0)


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG; the file appears whole or not at all."""
    path = Path(path)
    beside = path.with_name(path.name + ".part")
    figure.savefig(beside, format="png")
    beside.replace(path)
