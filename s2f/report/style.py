"""The look of all figures: one theme, the width of a page (7 in at 160 dpi), colours everybody can tell apart.

The modules of figures beside this one are each of one subject; their functions take arrays or frames and return a
matplotlib figure, which is in the theme and not left open.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from s2f import files
from s2f.errors import MetricError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from s2f.metrics.catalogue import Form

P = ParamSpec("P")
WIDTH_IN = 7.0
SMALL_PT = 8  # the smallest words of a figure: about 12 px on a page
# Okabe and Ito (2008): told apart with any kind of colour vision.
BLUE, ORANGE, GREEN, PURPLE, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#6B6B6B"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, GREY)
SEXES = (("f", "female", ORANGE), ("m", "male", BLUE))
INK, FAINT = "#222222", "#E4E4E4"
MOST_PX = 1_300_000  # of a picture of photographs in a notebook: about 0.8 MB, of the 3 that a page may load
DASHED = (0, (4, 3))  # of a line that shows chance, or what should be
BETWEEN = "#757575"  # 4.6:1 on white and on black: words beside photographs, whose lightness no page may turn around


def evenly(n: int, *, most: int) -> np.ndarray:
    """Which of `n` to show where `most` have room: rising numbers int [≤ most], the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def theme() -> None:
    """Make the look of all figures the default of this session, and let a notebook show figures as pictures.

    Seaborn's whitegrid, a colour-blind safe cycle, no frame. The study's own figures have it anyway; figures drawn by
    hand beside them get it so. The backend that MPLBACKEND names would show a figure's name alone.
    """
    _show_inline()
    _look()


def _show_inline() -> None:
    """In a notebook's kernel, show every figure as one PNG, whatever the environment or a configuration says."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is not None and hasattr(shell, "kernel"):
        from IPython.core.pylabtools import select_figure_formats
        from matplotlib.figure import Figure

        shell.run_line_magic("matplotlib", "inline")
        select_figure_formats(shell, {"png"})  # no other format
        shell.display_formatter.formatters["image/png"].for_type(Figure, picture)


def picture(figure: Figure) -> tuple[str, dict[str, str]]:
    """A figure as a notebook keeps it: a PNG on no ground of its own, in base64, and what a page must know of it.

    Returns
    -------
    str, dict
        The words for those who cannot see it ("alt"), and "photographs" or "drawing" ("kind"): a dark page turns the
        lightness of drawings around, and must not do so to photographs, nor to maps in which dark means little.
    """
    from IPython.core.pylabtools import print_figure

    kind = "photographs" if _photographs(figure) else "drawing"
    size_px = np.prod(figure.get_size_inches()) * figure.dpi**2
    dpi = figure.dpi * min(1.0, (MOST_PX / size_px) ** 0.5) if kind == "photographs" else figure.dpi
    data = print_figure(figure, "png", base64=True, facecolor="none", dpi=dpi, pil_kwargs={"optimize": True})
    return data, {"alt": str(figure.get_label()), "kind": kind}


def _photographs(figure: Figure) -> bool:
    """Whether a figure has pictures whose lightness is theirs: photographs, and maps whose lowest value is dark."""
    images = [image for ax in figure.axes for image in ax.images]
    return any(np.asarray(image.get_array()).ndim == 3 or np.mean(image.cmap(0.0)[:3]) < 0.5 for image in images)


def say(figure: Figure, text: str) -> None:
    """Give a figure words for those who cannot see it: what it is, and what is to be seen in it."""
    figure.set_label(" ".join(text.split()))


def listed(parts: Iterable[str], *, most: int = 12) -> str:
    """Parts of a sentence with commas between; of many, the first ones and how many more there are."""
    parts = list(parts)
    return ", ".join(parts[:most]) + (f", and {len(parts) - most} more" if len(parts) > most else "")


def spelled(value: float, low: float | None = None, high: float | None = None, *, form: Form) -> str:
    """A value of a metric in words: with its unit, and its interval where there is one."""
    shown = [form.number(each) for each in (value, low, high) if each is not None]
    interval = f", interval {shown[1]} to {shown[2]}" if len(shown) == 3 and "nan" not in shown else ""
    return f"{shown[0]}{form.unit}{interval}"


def _look() -> None:
    import matplotlib as mpl
    import seaborn

    mpl.rcdefaults()  # nothing of a matplotlibrc that is somewhere
    look = {
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
        "axes.facecolor": "none",
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.edgecolor": "#9A9A9A",
        "grid.color": FAINT,
        "axes.formatter.useoffset": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
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
    seaborn.set_theme(context="paper", style="whitegrid", palette=COLOURS, rc=look)


def in_theme(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the theme, and close: a notebook shows the returned figure once.

    Raises
    ------
    MetricError
        An empty figure: none of its axes has a sentence, or data that are numbers. Or one without words for those who
        cannot see it.
    """

    @functools.wraps(function)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib as mpl
        from matplotlib import pyplot

        with mpl.rc_context():
            _look()
            mpl.rcParams["text.parse_math"] = False  # a dollar sign in a name is a dollar sign
            figure = function(*args, **kwargs)
            pyplot.close(figure)
        if not any(_shows(ax) for ax in figure.axes):
            remedy = "Say in words that there is nothing to show, instead of drawing an empty figure."
            raise MetricError(function.__name__, "has nothing to draw", remedy=remedy, reason="empty")
        if not figure.get_label():
            raise MetricError(
                function.__name__,
                "has no words for those who cannot see it",
                remedy="Call style.say(figure, text) where it is drawn.",
                reason="no words",
            )
        if _photographs(figure):
            for text in figure.findobj(mpl.text.Text):
                text.set_color(BETWEEN)
            for ax in figure.axes:
                for line in (*ax.get_xgridlines(), *ax.get_ygridlines()):
                    line.set(color=BETWEEN, alpha=0.25)  # seen on white and on black
        return figure

    return drawn


def _shows(ax: Axes) -> bool:
    """Whether axes show anything: a sentence, a picture, or marks at finite places of the data.

    What spans the axes, such as a line for chance, is none. matplotlib's own `has_data` counts all, and marks at NaN.
    """
    if ax.texts or ax.images or ax.tables:
        return True
    lines = [line.get_xydata() for line in ax.lines if line.get_transform().contains_branch(ax.transData)]
    boxes = [part.get_datalim(ax.transData).get_points() for part in ax.collections]
    boxes += [part.get_path().get_extents(part.get_patch_transform()).get_points() for part in ax.patches]
    return any(np.isfinite(line).all(axis=1).any() for line in lines) or any(np.isfinite(box).all() for box in boxes)


def canvas(height_in: float, *, n_rows: int = 1, n_columns: int = 1, **grid: Any) -> tuple[Figure, np.ndarray]:
    """A figure of a page's width and its axes, [n_rows, n_columns]; `grid` goes to `pyplot.subplots`."""
    from matplotlib import pyplot

    size = (WIDTH_IN, height_in)
    return pyplot.subplots(n_rows, n_columns, figsize=size, layout="constrained", squeeze=False, **grid)


def sentence(text: str) -> Figure:
    """Words where a figure would stand, for data that are not there."""
    figure, axes = canvas(0.6)
    axes[0, 0].axis("off")
    axes[0, 0].text(0, 0.5, textwrap.fill(text, 100), va="center", color=GREY)
    say(figure, text)
    return figure


def wrapped(label: str, *, width_in: float, size_pt: float) -> str:
    """A label in as many lines as it takes to be no wider than `width_in`; an underscore is a space."""
    from matplotlib.textpath import TextPath

    text = label.replace("_", " ")
    for n in range(len(text), 1, -1):
        lines = textwrap.wrap(text, n)
        widths = (TextPath((0, 0), line.replace("$", r"\$"), size=size_pt).get_extents().width for line in lines)
        if max(widths, default=0) <= 72 * width_in:
            return "\n".join(lines)
    return text


def absent(ax: Axes, why: str, *, width: int = 30) -> None:
    """Words in axes where values would stand: no scale, which nothing would set."""
    ax.set_xticks([])
    ax.grid(visible=False)
    text = textwrap.fill(f"not measured: {why}", width)
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=GREY, fontsize=SMALL_PT)


def spacing(figure: Figure, **inches: float) -> None:
    """Space around and between the axes of a `canvas`, as its layout engine names it (w_pad, hspace …)."""
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(**inches)


def tight(figure: Figure) -> None:
    """Axes close to one another, for pictures side by side."""
    spacing(figure, w_pad=0.015, h_pad=0.015, wspace=0.0, hspace=0.0)


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG on no ground of its own; the file appears whole or not at all.

    In it are its words ("Description"), and its kind ("Kind") as `picture` gives it.
    """
    kind = "photographs" if _photographs(figure) else "drawing"
    about = {"Description": str(figure.get_label()), "Kind": kind}
    with files.whole(path) as beside:
        figure.savefig(beside, format="png", facecolor="none", metadata=about)
