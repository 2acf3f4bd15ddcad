"""Figures of many draws of a voice: each takes what `s2f.evaluation.draws.measure` found, or why there is nothing."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from s2f.evaluation.attributes import NAMES
from s2f.evaluation.draws import GROUPS, LEVELS, N_BINS, NEIGHBOURS, Spread
from s2f.metrics.recovery import AS_PEOPLE, MADE_UP, MARGIN, SHARED, TOO_LITTLE, TOO_MUCH, UNTOLD, sharing
from s2f.report import prose
from s2f.report.grids import styled
from s2f.report.style import (
    BLUE,
    DASHED,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RED,
    SMALL_PT,
    canvas,
    in_theme,
    listed,
    say,
    sentence,
    spacing,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas.io.formats.style import Styler

COLOUR_OF = dict(zip(LEVELS, (ORANGE, BLUE, PURPLE), strict=True))
LINE_IN = 0.2
N_COLUMNS = 5  # of rank histograms


@in_theme
def energy(found: Spread | str) -> Figure:
    """Energy scores of the draws and of what could stand in for them; a cross where draws are not surely better."""
    if isinstance(found, str):
        return sentence(f"Not measured: {found}.")
    table = found.energy
    figure, axes = canvas(0.3 * len(table) + 0.8, n_columns=2, sharey=True)
    crossed, beside = False, {"va": "center", "fontsize": SMALL_PT, "color": GREY}
    axes[0, 1].margins(x=0.4)  # for the numbers
    for ax, prefix in zip(axes[0], ("", "minus_"), strict=True):
        for place, row in enumerate(table.to_dict("records")):
            own = row["who"] == "draws"
            if own and prefix:
                continue
            colour = GREEN if own else RED if row["minus_low"] <= 0 and row["who"] != "photographs" else BLUE
            crossed |= colour == RED
            _interval(ax, place, row, prefix, colour=colour)
            if prefix:
                by = prose.signed(f"{row['minus_value']:z.3f}")
                after = row["minus_high"] > 0  # else before it: the line at zero comes after
                at, side = (row["minus_high"], (6, "left")) if after else (row["minus_low"], (-6, "right"))
                ax.annotate(by, (at, place), (side[0], 0), textcoords="offset points", ha=side[1], **beside)
        ax.grid(axis="y", visible=False)
        ax.locator_params(axis="x", nbins=5)
    axes[0, 1].axvline(0, color=GREY, linestyle=DASHED, linewidth=1)
    axes[0, 0].set_yticks(range(len(table)), [NEIGHBOURS[who] for who in table["who"]])
    axes[0, 0].set_ylim(len(table) - 0.5, -0.5)
    axes[0, 0].set_title("Energy score, lower is better", fontsize=9.5)
    axes[0, 1].set_title("… minus that of the draws", fontsize=9.5)
    spacing(figure, wspace=0.05)
    note = f"bar: 95 % interval over people{'; cross: not surely worse than the draws' if crossed else ''}"
    _note(figure, found, ("sex_alone", "photographs"), note)
    told = (f"{NEIGHBOURS[who]} {value:z.2f}" for who, value in zip(table["who"], table["value"], strict=True))
    say(figure, f"Energy scores, lower is better: {listed(told)}.")
    return figure


@in_theme
def coverage(found: Spread | str) -> Figure:
    """How many photographs the central intervals of the draws hold, a line an attribute, a panel a group."""
    if isinstance(found, str) or found.coverage.empty:
        return sentence(f"Not measured: {_why(found, 'coverage')}.")
    table = found.coverage
    groups = _groups(table)
    names = list(dict.fromkeys(table["attribute"]))
    names = ["mean", *(name for name in names if name != "mean")]
    figure, axes = canvas(LINE_IN * len(names) + 1.1, n_columns=len(groups), sharey=True, sharex=True)
    for ax, group in zip(axes[0], groups, strict=True):
        own = table[table["group"] == group]
        for level in sorted(set(own["level"])):
            ax.axvline(100 * level, color=COLOUR_OF[level], linestyle=DASHED, linewidth=0.9, zorder=1)
        for row in own.to_dict("records"):
            misses = row["high"] < row["level"] or row["low"] > row["level"]
            scaled = {name: 100 * row[name] for name in ("value", "low", "high")}
            place = names.index(row["attribute"]) + 0.25 * (LEVELS.index(row["level"]) - 1)
            _interval(ax, place, scaled, "", colour=COLOUR_OF[row["level"]], size=3.2, width=1.1)
            if misses:
                ax.plot(scaled["value"], place, "X", color=RED, markersize=6, markeredgewidth=0, zorder=4)
        ax.set_title({"overall": "All people"}.get(group, group.capitalize()), fontsize=9.5)
        ax.grid(axis="y", visible=False)
    axes[0, 0].set_yticks(range(len(names)), [said(name) for name in names], fontsize=SMALL_PT)
    axes[0, 0].set(ylim=(len(names) - 0.4, -0.6), xlim=(0, 102))
    spacing(figure, wspace=0.08)
    for level in sorted(set(table["level"])):
        axes[0, 0].plot([], [], "o-", color=COLOUR_OF[level], markersize=3.2, label=f"central {100 * level:.0f} %")
    figure.legend(loc="outside upper center", ncols=3, fontsize=SMALL_PT)
    text = f"share of photographs that the central draws of {found.n_draws} hold (%)"
    _note(
        figure, found, ("levels",), f"{text}\nbars: intervals of all attributes together; cross: misses its dashed line"
    )
    say(figure, f"Dots with intervals, a line an attribute. {covered(found)}")
    return figure


@in_theme
def ranks(found: Spread | str) -> Figure:
    """Where photographs lie among the draws, a histogram an attribute; level with the line if calibrated."""
    if isinstance(found, str) or found.ranks.empty:
        return sentence(f"Not measured: {_why(found, 'ranks')}.")
    table = found.ranks
    n_rows = -(-len(table) // N_COLUMNS)
    figure, axes = canvas(0.78 * n_rows + 0.45, n_rows=n_rows, n_columns=N_COLUMNS, sharex=True, sharey=True)
    heights = table[[f"bar_{k}" for k in range(N_BINS)]].to_numpy(float)
    for ax, own, row in zip(axes.flat, heights, table.to_dict("records"), strict=False):
        bent = row["p_value"] < 0.05 / len(table)
        colour = RED if bent else BLUE
        ax.bar((np.arange(N_BINS) + 0.5) / N_BINS, own, width=1 / N_BINS, color=colour, alpha=0.75, linewidth=0)
        ax.axhline(1, color=INK, linewidth=0.8)
        ax.set_title(f"{'× ' * bent}{said(row['attribute'])}", fontsize=SMALL_PT, fontweight="normal", pad=2)
        ax.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, max(2.2, heights.max() * 1.05)))
    for ax in axes.flat[len(table) :]:
        ax.axis("off")
    text = f"place of a photograph among {found.n_draws} draws, lowest to highest; line: if calibrated"
    figure.supxlabel(f"{text}\ncross: not flat, after correction for their number", fontsize=8.5, color=GREY)
    all_bent = listed(said(name) for name in table.loc[table["p_value"] < 0.05 / len(table), "attribute"])
    say(figure, f"{len(table)} histograms of ranks, one an attribute. Not flat: {all_bent or 'none'}.")
    return figure


@in_theme
def tarp(found: Spread | str) -> Figure:
    """Expected coverage in the space of all attributes against the level that is asked for."""
    if isinstance(found, str) or found.tarp.empty:
        return sentence(f"Not measured: {_why(found, 'tarp')}.")
    table = found.tarp
    figure, axes = canvas(2.8)
    ax = axes[0, 0]
    ax.set_anchor("W")
    figure.supxlabel(textwrap.fill(together(found), 56), x=0.01, ha="left", fontsize=SMALL_PT, color=GREY)
    ax.plot([0, 100], [0, 100], color=GREY, linestyle=DASHED, linewidth=1)
    ax.fill_between(100 * table["level"], 100 * table["low"], 100 * table["high"], color=BLUE, alpha=0.2, linewidth=0)
    ax.plot(100 * table["level"], 100 * table["value"], "o-", color=BLUE, markersize=3.5)
    ax.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
    ax.set(xlabel="nearest share of the draws (%)", ylabel="photographs\namong them (%)")
    say(figure, f"A curve beside the diagonal that calibrated draws would follow. {together(found)}")
    return figure


@in_theme
def shares(found: Spread | str) -> Figure:
    """What the draws of a person share and what they make up, in parts of how people of one sex vary.

    The sum reaches 1 where draws vary as photographs do. A tick says how much the voice tells, where that is known.
    """
    if isinstance(found, str) or found.shares.empty:
        return sentence(f"Not measured: {_why(found, 'shares')}.")
    table = _shares(found)
    if "caused" in table:
        table = table.sort_values(["caused", "shared_value"], ascending=False, ignore_index=True)
    figure, axes = canvas(0.19 * len(table) + 1.0)
    ax = axes[0, 0]
    places = np.arange(len(table), dtype=float)
    if "caused" in table:
        places += 1.2 * ~table["caused"].to_numpy(bool)
    low = table["shared_value"].clip(lower=0)
    ax.barh(places, low, color=GREEN, height=0.66, linewidth=0, label="shared by the draws")
    ax.barh(places, table["made_up_value"], left=low, color=ORANGE, height=0.66, linewidth=0, label="made up")
    for place, row in zip(places, table.to_dict("records"), strict=True):
        ax.plot([row["total_low"], row["total_high"]], [place + 0.12] * 2, color=INK, linewidth=1)
        ax.plot([row["shared_low"], row["shared_high"]], [place - 0.12] * 2, color=INK, linewidth=1)
        if "ceiling" in table and row["caused"]:
            ax.plot([max(row["ceiling"], 0)] * 2, [place - 0.33, place + 0.33], color=PURPLE, linewidth=2)
    if "ceiling" in table:
        ax.plot([], [], color=PURPLE, linewidth=2, label="told by the voice's parameters")
    ax.axvline(1, color=INK, linestyle=DASHED, linewidth=1)
    misses = [row.get("holds") is False for row in table.to_dict("records")]
    names = [f"{'× ' * missed}{said(name)}" for name, missed in zip(table["attribute"], misses, strict=True)]
    ax.set_yticks(places, names, fontsize=SMALL_PT)
    for label, missed in zip(ax.get_yticklabels(), misses, strict=True):
        label.set_color(RED if missed else INK)
    ax.set_ylim(places[-1] + 0.6, -0.6)
    ax.set_xlim(0, max(1.3, table["total_high"].max() * 1.03))
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("variance within a sex, in parts of that among photographs of people", fontsize=8.5)
    figure.legend(loc="outside upper center", ncols=3, fontsize=SMALL_PT)
    told = (
        f"{said(row['attribute'])} {row['shared_value']:z.2f} and {row['made_up_value']:z.2f}"
        for row in table.to_dict("records")
    )
    say(figure, f"Stacked bars of what draws share and of what they make up: {listed(told, most=40)}.")
    return figure


# For the page


def shares_table(found: Spread | str) -> Styler | str:
    """What was expected of each attribute and what came of it; a sentence where nothing is known."""
    if isinstance(found, str) or found.shares.empty:
        return f"Not measured: {_why(found, 'shares')}."
    table, text = _shares(found), "{value:z.{n}f} [{low:z.{n}f}, {high:z.{n}f}]"
    shown = {
        {"shared": "shared", "made_up": "made up", "total": "together"}[part]: [
            text.format(value=value, low=low, high=high, n=3)
            for value, low, high in table[[f"{part}_{end}" for end in ("value", "low", "high")]].itertuples(index=False)
        ]
        for part in ("shared", "made_up", "total")
    }
    frame = pd.DataFrame(shown, index=[said(name) for name in table["attribute"]])
    if "sharing" in table:
        expected = np.where(table["in_voice"], SHARED, MADE_UP)
        frame["expected"], frame["found"], frame["varies"] = (
            expected,
            table["sharing"].to_numpy(),
            table["spread"].to_numpy(),
        )
    return styled(
        frame, lines="attribute", notes="Variance within a sex, in parts of that among photographs of people."
    )


def verdict(found: Spread | str) -> str:
    """In a sentence or two: of how many attributes the shares and the spread are what they must be."""
    if isinstance(found, str) or found.shares.empty or "in_voice" not in found.shares:
        return f"Not measured: {_why(found, 'shares')}."
    table = _shares(found)
    in_voice, caused = table["in_voice"].astype(bool), table["caused"].astype(bool)
    told, free, rest = table[in_voice], table[~in_voice & ~caused], table[~in_voice & caused]
    unread = [name for name in NAMES if name != "sex" and name not in set(table["attribute"])]
    n_varied = (table["spread"] == AS_PEOPLE).sum()
    text = f"Of {len(told)} attributes that the voice tells within a sex, draws share a part of "
    text += f"{(told['sharing'] == SHARED).sum()}{_how_much(told)}."
    for part, which in (
        (free, "are independent of the voice"),
        (rest, "share causes with the voice but cannot be told from it within a sex"),
    ):
        if len(part):
            low, high = part["shared_value"].min(), part["shared_value"].max()
            made_up = (part["sharing"] == MADE_UP).sum()
            text += f" Of {len(part)} that {which}, {made_up} {'is' if made_up == 1 else 'are'} made up; "
            text += f"draws share {low:z.3f} to {high:z.3f} of them."
    if (untold := table.loc[table["sharing"] == UNTOLD, "attribute"]).size:
        text += f" Shared though no voice tells it: {_named(untold)}."
    text += f" {n_varied} of all {len(table)} vary as they do among people{_off(table)}. "
    text += "Shares are of the variance within a sex; an attribute counts as made up where its shared part is not "
    text += f"surely above {MARGIN:g}."
    return prose.signed(text) + (f" Not legible within a sex: {_named(unread)}." if unread else "")


def covered(found: Spread | str) -> str:
    """How many photographs the central intervals hold on average, and which attributes miss, in words.

    Of women alone and men alone only what misses is said.
    """
    if isinstance(found, str) or found.coverage.empty:
        return f"Not measured: {_why(found, 'coverage')}."
    table, parts = found.coverage, []
    for group in ("overall", *_groups(table)[1:]):
        for level in sorted(set(table["level"])):
            own = table[(table["level"] == level) & (table["group"] == group)].set_index("attribute")
            mean, misses = own.loc["mean"], _missed(own.drop("mean"), level)
            than, central = _than(mean, level), f"central {100 * level:.0f} %"
            text = f"The {central} of the draws hold {_held(mean, level)} of the photographs"
            if group != "overall":
                text = f"Among {group} alone the {central} hold" + (f" {_held(mean, level)}" if than else "")
            if group == "overall" or than:
                parts.append(f"{text}{than}; {misses or 'no single attribute misses'}.")
            elif misses:
                parts.append(f"{text} {misses}.")
    return " ".join(parts)


def _held(mean: pd.Series, level: float) -> str:
    """How much is held on average, in percent with its interval."""
    value, low, high = (100 * mean[part] for part in ("value", "low", "high"))
    n = _digits(low, high, of=100 * level)
    return f"{value:.{n}f} % [{low:.{n}f}, {high:.{n}f}]"


def _than(mean: pd.Series, level: float) -> str:
    """That the average misses its level, where it does."""
    if mean["low"] <= level <= mean["high"]:
        return ""
    return f", {'fewer' if mean['value'] < level else 'more'} than they should"


def _missed(alone: pd.DataFrame, level: float) -> str:
    """Of which attributes too few or too many are held, in words."""
    off = {"too few": alone.index[alone["high"] < level], "too many": alone.index[alone["low"] > level]}
    return "; ".join(f"{what} for {_named(names)}" for what, names in off.items() if len(names))


def _digits(low: float, high: float, *, of: float, least: int = 1) -> int:
    """Decimals that leave a bound on the side of an interval on which it is."""
    inside = low <= of <= high
    return next(n for n in range(least, 16) if (round(low, n) <= of <= round(high, n)) == inside)


def _off(table: pd.DataFrame) -> str:
    """Attributes that do not vary as they do among people, in brackets."""
    parts = ((what, table.loc[table["spread"] == what, "attribute"]) for what in (TOO_LITTLE, TOO_MUCH))
    which = "; ".join(f"{what}: {_named(names)}" for what, names in parts if len(names))
    return f" ({which})" if which else ""


def _how_much(told: pd.DataFrame) -> str:
    """Of attributes that the voice tells, how much draws share beside how much is told: medians, and the most."""
    if told.empty:
        return ""
    shared, known = told["shared_value"], told["ceiling"]
    most = told.loc[shared.idxmax()]
    return (
        f" (median {shared.median():z.2f} of the variance, where the voice tells {known.median():z.2f}; "
        f"at most {most['shared_value']:z.2f} where it tells {most['ceiling']:z.2f}, of {said(most['attribute'])})"
    )


def together(found: Spread | str) -> str:
    """At which levels the draws miss in the space of all attributes, in words."""
    if isinstance(found, str) or found.tarp.empty:
        return f"Not measured: {_why(found, 'tarp')}."
    table = found.tarp
    off = table[(table["low"] > table["level"]) | (table["high"] < table["level"])]
    middle = table.iloc[len(table) // 2]
    level, value, low, high = (100 * middle[name] for name in ("level", "value", "low", "high"))
    text = f"The nearest {level:.0f} % of the draws hold {value:.1f} % [{low:.1f}, {high:.1f}] of photographs; "
    if off.empty:
        return f"{text}calibrated draws would hold as many as the level says, and no level is missed."
    missed = listed(f"{100 * each:.0f} %" for each in off["level"])
    return f"{text}calibrated draws would hold as many as the level says, which is missed at {missed}."


def known(found: Spread | str) -> str:
    """Whether draws for a voice are nearer to the truth than draws for any voice of its sex, in words."""
    if isinstance(found, str) or "sex_alone" not in set(found.energy["who"]):
        return f"Not measured: {_why(found, 'sex_alone')}."
    row = found.energy.set_index("who").loc["sex_alone"]
    value, low, high = (row[f"minus_{part}"] for part in ("value", "low", "high"))
    worse = f"{value:z.3f} worse [{low:z.3f}, {high:z.3f}] than those for the voice itself"
    verdict = "the draws for the voice know more than the sex"
    verdict = verdict if low > 0 else f"it is not established that {verdict}"
    return prose.signed(f"By the energy score, draws for any voice of the sex are {worse}: {verdict}.")


def said(name: str) -> str:
    """What readers see for a column of `attributes.columns`, or an attribute."""
    name, _, value = name.partition("=")
    return prose.trait(name) + (f": {value}" if value else "")


def _named(attributes: Iterable[str]) -> str:
    """All of some attributes, in words."""
    return listed(map(said, attributes), most=100)


def _groups(table: pd.DataFrame) -> list[str]:
    """Groups of people that are there; all of them are none of their own where everyone is in the only other."""
    groups = [group for group in GROUPS if group in set(table["group"])]
    values = [table.loc[table["group"] == group, ["value", "low", "high"]].to_numpy() for group in groups]
    return groups[1:] if len(groups) == 2 and np.array_equal(*values) else groups


def _shares(found: Spread) -> pd.DataFrame:
    """What draws share, judged where it is known what the voice tells."""
    return sharing(found.shares) if "in_voice" in found.shares else found.shares


def _why(found: Spread | str, part: str) -> str:
    return found if isinstance(found, str) else found.reasons.get(part, "nobody can be compared")


def _interval(
    ax: Axes, place: float, row: Mapping, prefix: str, *, colour: str, size: float = 5.5, width: float = 2
) -> None:
    ax.plot([row[f"{prefix}low"], row[f"{prefix}high"]], [place, place], color=colour, linewidth=width)
    marker, size = ("X", 1.5 * size) if colour == RED else ("o", size)  # a fault shows by its shape as well
    ax.plot(row[f"{prefix}value"], place, marker, color=colour, markersize=size, markeredgewidth=0)


def _note(figure: Figure, found: Spread, parts: Sequence[str], text: str) -> None:
    for part in parts:
        if part in found.reasons:
            text = f"{text}\nnot measured: {NEIGHBOURS.get(part, part)}: {found.reasons[part]}"
    figure.supxlabel(text, fontsize=8.5, color=GREY)
