"""What every test of a figure looks at: its texts, its pictures, and whether it fits a page."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot

from s2f.report import style


def texts(figure):
    figure.draw_without_rendering()
    return {text.get_text() for text in figure.findobj(mpl.text.Text)} - {""}


def shown(figure):
    return [np.asarray(image.get_array()) for ax in figure.axes for image in ax.get_images()]


def plain(figure, *names):
    """Check that names are drawn as they are, none of them as a formula."""
    figure.draw_without_rendering()
    found = [text for text in figure.findobj(mpl.text.Text) if "$" in text.get_text()]
    assert not any(text.get_parse_math() for text in found)
    for name in names:
        assert any(name in text.get_text() for text in found), name


def fits(draw):
    """Draw, and check that the figure fits the page and leaves matplotlib as it was; gives the figure."""
    pyplot.switch_backend("agg")  # otherwise the first figure sets it
    before = mpl.rcParams.copy()
    figure = draw()
    assert not pyplot.get_fignums()
    assert dict(mpl.rcParams) == dict(before), "only theme() changes the session"
    assert figure.get_size_inches()[0] == style.WIDTH_IN
    figure.draw_without_rendering()
    drawn_on, page = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn_on.x0 > -0.06 and drawn_on.x1 < page[0] + 0.06, "wider than the page"
    assert drawn_on.y0 > -0.06 and drawn_on.y1 < page[1] + 0.06, "higher than its canvas"
    return figure
