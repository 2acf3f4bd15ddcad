"""Figures of many draws: what they show, and that they say why where there is nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from s2f.evaluation import draws
from s2f.evaluation.attributes import NAMES, columns
from s2f.metrics import recovery
from s2f.report import draw_figures, prose, style
from tests.report.figures import fits, texts

ALL = (draw_figures.energy, draw_figures.coverage, draw_figures.ranks, draw_figures.tarp, draw_figures.shares)


@pytest.fixture
def found():
    """As many attributes as there are; the second misses its coverage, its ranks, its sharing and its spread."""
    names = [name for name in columns() if name != "sex"]
    attributes = [name for name in NAMES if name != "sex"]
    energy = pd.DataFrame(
        [
            {"who": who, "value": v, "low": v - 0.02, "high": v + 0.02, **minus(v - 0.5)}
            for who, v in zip(draws.NEIGHBOURS, (0.5, 0.51, 0.7, 0.6, 0.55, 0.45), strict=True)
        ]
    )
    coverage = pd.DataFrame(
        [
            {"group": g, "attribute": name, "level": level, "value": v, "low": v - 0.05, "high": v + 0.05}
            for g in draws.GROUPS
            for level in draws.LEVELS
            for k, name in enumerate([*names, "mean"])
            for v in [level - 0.2 * (k == 1)]
        ]
    )
    bars = {f"bar_{k}": np.ones(len(names)) for k in range(draws.N_BINS)}
    p = np.where(np.arange(len(names)) == 1, 1e-4, 0.4)
    ranks = pd.DataFrame({"attribute": names, "deviation": 0.1, "expected": 0.1, "p_value": p, **bars})
    levels = np.array(draws.TARP_LEVELS)
    tarp = pd.DataFrame({"level": levels, "value": levels, "low": levels - 0.05, "high": levels + 0.05})
    shares = pd.DataFrame(
        {"attribute": attributes, **part("shared", 0.3), **part("made_up", 0.6), **part("total", 0.9)}
    )
    shares = shares.assign(
        caused=np.arange(len(attributes)) < 22, ceiling=0.3, in_voice=np.arange(len(attributes)) < 10
    )
    shares.loc[10:, ["shared_value", "shared_low", "shared_high"]] = 0.02, 0.01, 0.03
    shares.loc[1, ["shared_low", "total_high"]] = -0.1, 0.95
    return draws.Spread(400, 64, energy, coverage, ranks, tarp, shares, {})


def minus(value):
    return {"minus_value": value, "minus_low": value - 0.02, "minus_high": value + 0.02}


def part(name, value):
    return {f"{name}_value": value, f"{name}_low": value - 0.2, f"{name}_high": value + 0.2}


@pytest.mark.parametrize("draw", ALL, ids=lambda draw: draw.__name__)
def test_figures_fit_a_page_with_every_attribute(draw, found):
    fits(lambda: draw(found))


@pytest.mark.parametrize("draw", ALL, ids=lambda draw: draw.__name__)
def test_figures_say_why_there_is_nothing(draw, found):
    shown = " ".join(texts(fits(lambda: draw(draws.NO_SAMPLER))))
    assert draws.NO_SAMPLER in shown.replace("\n", " ")
    if draw is not draw_figures.energy:
        empty = dict.fromkeys(draws.FRAMES[1:], pd.DataFrame())
        bare = replace(found, **empty, reasons=dict.fromkeys(empty, draws.NO_ATTRIBUTES))
        assert draws.NO_ATTRIBUTES in " ".join(texts(fits(lambda: draw(bare)))).replace("\n", " ")


def test_differences_of_energy_scores_stand_beside_them_and_a_cross_is_explained_where_there_is_one(found):
    assert {"0.010", "0.200", "−0.050"} <= texts(draw_figures.energy(found))
    assert any("cross: not surely worse" in text for text in texts(draw_figures.energy(found)))
    sure = replace(found, energy=found.energy.assign(minus_low=0.1))
    assert not any("cross" in text for text in texts(draw_figures.energy(sure)))


def test_what_misses_is_red_and_has_a_cross(found):
    def red(figure):
        lines = [line for ax in figure.axes for line in ax.lines if line.get_marker() in ("o", "X")]
        assert all((to_hex(line.get_color()).upper() == style.RED) == (line.get_marker() == "X") for line in lines)
        return sum(line.get_marker() == "X" for line in lines)

    assert red(draw_figures.energy(found)) == 2  # draws for any voice of the sex, in both panels
    assert red(draw_figures.coverage(found)) == len(draws.GROUPS) * len(draws.LEVELS)
    labels = draw_figures.shares(found).axes[0].get_yticklabels()
    reds = [to_hex(label.get_color()).upper() == style.RED for label in labels]
    assert reds.count(True) == 1 and reds == [label.get_text().startswith("× ") for label in labels]
    panels = [ax for ax in draw_figures.ranks(found).axes if ax.patches]
    reds = [to_hex(ax.patches[0].get_facecolor()).upper() == style.RED for ax in panels]
    assert reds.count(True) == 1 and reds == [ax.get_title("left").startswith("× ") for ax in panels]


def test_where_all_are_of_one_sex_there_is_one_panel(found):
    women = found.coverage[found.coverage["group"] == "overall"].assign(group="women")
    both = pd.concat([women.assign(group="overall"), women])
    assert [ax.get_title("left") for ax in draw_figures.coverage(replace(found, coverage=both)).axes] == ["Women"]
    both.loc[both["group"] == "women", "value"] += 0.01  # some are of unknown sex
    titles = [ax.get_title("left") for ax in draw_figures.coverage(replace(found, coverage=both)).axes]
    assert titles == ["All people", "Women"]


@pytest.mark.parametrize(
    ("low", "said"), [(0.003, ": the draws for the voice know more"), (-0.001, "it is not established that the draws")]
)
def test_whether_draws_know_more_than_the_sex_depends_on_the_interval(found, low, said):
    energy = found.energy.set_index("who", drop=False)
    energy.loc["sex_alone", ["minus_value", "minus_low", "minus_high"]] = (0.007, low, 0.012)
    text = draw_figures.known(replace(found, energy=energy.reset_index(drop=True)))
    bound = {0.003: "0.003", -0.001: "−0.001"}[low]
    assert f"0.007 worse [{bound}, 0.012]" in text and said in text
    assert draw_figures.known(draws.NO_SAMPLER) == f"Not measured: {draws.NO_SAMPLER}."


def test_what_was_left_out_is_said_below(found):
    few = replace(found, reasons={"levels": "8 draws are too few for intervals of 95%", "sex_alone": "nobody knows"})
    assert any("8 draws are too few" in text for text in texts(draw_figures.coverage(few)))
    assert any("nobody knows" in text for text in texts(draw_figures.energy(few)))


def test_words_about_shares_and_coverage(found):
    text = draw_figures.verdict(found)
    free = len(NAMES) - 1 - 22
    assert text.startswith(
        "Of 10 attributes that the voice tells within a sex, draws share a part of 9 (median 0.30 of "
        "the variance, where the voice tells 0.30; at most 0.30 where it tells 0.30, of age). "
        f"Of {free} that are independent of the voice, {free} are made up; draws share 0.020 to 0.020 of them. "
        "Of 12 that share causes with the voice but cannot be told from it within a sex, 12 are made up;"
    )
    off = prose.trait([name for name in NAMES if name != "sex"][1])
    assert f"{len(NAMES) - 2} of all {len(NAMES) - 1} vary as they do among people (too little: {off})." in text
    without = replace(found, shares=found.shares[found.shares["attribute"] != "eye_tilt"])
    assert draw_figures.verdict(without).endswith("Not legible within a sex: eye tilt.")
    table = draw_figures.shares_table(found).data
    assert table.loc["height", "found"] == recovery.NOT_SHARED and table.loc["height", "expected"] == "shared"
    assert table.loc["age", "together"] == "0.900 [0.700, 1.100]"
    words = draw_figures.covered(found)
    assert "The central 80 % of the draws hold 80.0 % [75.0, 85.0] of the photographs; too few for height." in words
    beside = found.coverage.copy()
    middle = beside["attribute"] == "mean"
    for name, below in (("value", 0.01), ("high", 0.0003)):
        beside.loc[middle, name] = beside.loc[middle, "level"] - below
    text = draw_figures.covered(replace(found, coverage=beside))
    assert "79.97] of the photographs, fewer than they should" in text, "rounded, the interval would hold 80"
    assert "Among women alone the central 80 % hold too few for height. " in words
    men = (beside["group"] == "men") & middle & (beside["level"] == 0.8)
    beside.loc[men, ["value", "low", "high"]] = 0.764, 0.732, 0.794
    text = draw_figures.covered(replace(found, coverage=beside))
    assert "Among men alone the central 80 % hold 76.4 % [73.2, 79.4], fewer than they should; too few for" in text
    everyone = found.coverage[found.coverage["group"] == "overall"]
    assert "alone" not in draw_figures.covered(replace(found, coverage=everyone))
    of_one_sex = pd.concat([everyone, everyone.assign(group="women")])
    assert draw_figures.covered(replace(found, coverage=of_one_sex)) == words.partition(" Among")[0]
    for say in (draw_figures.verdict, draw_figures.covered, draw_figures.shares_table):
        assert say(draws.NO_SAMPLER) == f"Not measured: {draws.NO_SAMPLER}."


def test_what_is_shared_though_no_voice_tells_it_counts_from_a_margin_on(found):
    shares = found.shares.copy()
    shares.loc[10, "shared_low"], shares.loc[11, "shared_low"] = 1.1 * recovery.MARGIN, 0.9 * recovery.MARGIN
    judged = recovery.sharing(shares)
    assert judged["sharing"].tolist()[9:13] == [recovery.SHARED, recovery.UNTOLD, recovery.MADE_UP, recovery.MADE_UP]
    assert judged["holds"].tolist()[:2] == [True, False] and judged["spread"][1] == recovery.TOO_LITTLE
