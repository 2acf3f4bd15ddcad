"""Figures of the known answer: what is recovered of each attribute, from the voice's parameters to the drawn face."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from s2f.evaluation.known_answer import DRAWS, LEVELS, MODES, UNKNOWN, Answer
from s2f.metrics import recovery
from s2f.report import prose
from s2f.report.grids import styled
from s2f.report.style import BLUE, GREEN, GREY, INK, PURPLE, RED, SMALL_PT, canvas, in_theme, listed, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas.io.formats.style import Styler

# Level: its name, colour, marker, size of the marker.
MARKS = MappingProxyType(
    {
        "ceiling": ("true parameters of the voice", GREY, "d", 4.4),
        "embedding": ("voice embedding", BLUE, "s", 3.6),
        "face": ("drawn face", GREEN, "o", 4.4),
        "draws": ("mean of many draws", INK, "v", 4.4),
    }
)
PHOTOGRAPHS = ("real face, read alike", PURPLE)
TITLES = MappingProxyType({"overall": "All people", "within sex": "Women and men apart"})
BAND = "#CCCCCC"
FAILS = (recovery.MISSED, recovery.ABOVE)
UNASKED = (recovery.NOT_LEGIBLE, recovery.NOT_READ, recovery.NOT_IN_VOICE)
VERDICTS = (recovery.RECOVERED, recovery.MISSED, recovery.CHANCE, recovery.ABOVE)
GAP = 1.6  # lines between the caused attributes and the independent ones
LINE_IN = 0.178


@in_theme
def known_answer(table: pd.DataFrame, *, n_people: int, seeds: str) -> Figure:
    """Every attribute a line: how much of it is recovered at each level, over all people and within a sex.

    Parameters
    ----------
    table : DataFrame, `mode` ("overall", "within sex") and the columns of `s2f.metrics.recovery.verdicts`
    n_people : int, Measured
    seeds : str, of the trainings that are averaged, for the note
    """
    is_area = table["measure"] == "AUC"
    shares, areas = table[~is_area], table[is_area]
    modes = list(dict.fromkeys(table["mode"]))
    places = _places(shares[shares["mode"] == modes[0]])
    heights = [0.5, (max(places.values()) + 1) * LINE_IN]
    figure, axes = canvas(
        sum(heights) + 1.35, n_rows=2, n_columns=len(modes), height_ratios=heights, sharex="row", sharey="row"
    )
    _lines(axes[0, 0], areas[areas["mode"] == modes[0]], {"sex": 0.0}, chance=0.5)
    axes[0, 0].set(xlim=(0.45, 1.02), ylim=(0.6, -0.6), yticks=[0], yticklabels=["sex"])
    axes[0, 0].set_xlabel("area under the ROC curve", labelpad=1)
    for ax in axes[0, 1:]:
        ax.axis("off")
    for ax, mode in zip(axes[1], modes, strict=True):
        part = shares[shares["mode"] == mode]
        _lines(ax, part, places, chance=0.0)
        ax.set_title(TITLES.get(mode, mode))
        ax.set_xlabel("held-out R²")
    ax = axes[1, 0]
    ax.set(ylim=(max(places.values()) + 0.7, -1.5), xlim=(-0.06, max(0.8, shares["high"].max() + 0.02)))
    ax.set_yticks(list(places.values()), [prose.trait(name) for name in places])
    first = min(places[name] for name in shares.loc[~shares["caused"], "attribute"])
    for ax in axes[1]:
        for at, text in ((-1, "shares causes with the voice"), (first - 1, "independent of the voice")):
            _at_the_right(ax, at, text, fontsize=SMALL_PT, fontweight="bold", color=INK)
    note = f"{n_people} people made for this, {seeds}\nbars: 95 % intervals over people"
    axes[0, -1].text(0.0, 0.5, note, transform=axes[0, -1].transAxes, va="center", fontsize=SMALL_PT, color=GREY)
    figure.legend(handles=_handles(table), loc="outside upper center", ncols=3, fontsize=SMALL_PT, columnspacing=1.4)
    figure.set_layout_engine("constrained", wspace=0.02, hspace=0.01)
    face = table[(table["level"] == "face") & (table["mode"] == modes[0])]
    told = [f"{verdict}: {listed(map(prose.trait, part['attribute']))}." for verdict, part in face.groupby("verdict")]
    about = "A line an attribute, with dots for what the voice's parameters, the voice embedding and the face recover."
    say(figure, f"{about} In the drawn face, over all people: {' '.join(told)}")
    return figure


@in_theme
def leak(table: pd.DataFrame) -> Figure:
    """Skin tone, which the voice must not tell, where nothing is planted and where a leak is.

    Parameters
    ----------
    table : DataFrame, `planted` and the columns of `s2f.metrics.recovery.verdicts`
    """
    places = {name: float(k) for k, name in enumerate(dict.fromkeys(table["planted"]))}
    figure, axes = canvas(0.42 * len(places) + 0.95)
    ax = axes[0, 0]
    _lines(ax, table.assign(attribute=table["planted"]), places, chance=0.0)
    ax.set(ylim=(len(places) - 0.4, -0.6), xlim=(-0.06, table["high"].max() + 0.04))
    ax.set_xlabel("held-out R² of the skin tone")
    ax.set_yticks(list(places.values()), [f"leak {name}" for name in places])
    figure.legend(handles=_handles(table, photographs=False), loc="outside upper center", ncols=3, fontsize=SMALL_PT)
    say(figure, leaked(table))
    return figure


def leaked(table: pd.DataFrame | None) -> str:
    """What `leak` shows, in words; where nothing is known, that."""
    if table is None:
        return UNKNOWN
    told = []
    for planted, part in table.groupby("planted", sort=False):
        levels = [f"{row.value:z.2f} from the {MARKS[row.level][0]}" for row in part.itertuples()]
        told.append(f"with the leak {planted} it is {listed(levels)}")
    return prose.signed(f"The held-out R² of the skin tone: {'; '.join(told)}.")


def _places(shares: pd.DataFrame) -> dict[str, float]:
    """Line of each attribute: caused ones by their ceiling, then those that nothing causes, by name."""
    ceiling = shares[shares["level"] == "ceiling"]
    caused = ceiling[ceiling["caused"]].sort_values("value", ascending=False)["attribute"]
    others = sorted(ceiling[~ceiling["caused"]]["attribute"])
    return {name: float(k) for k, name in enumerate(caused)} | {
        name: len(caused) + GAP + k for k, name in enumerate(others)
    }


def _lines(ax: Axes, part: pd.DataFrame, places: dict[str, float], *, chance: float) -> None:
    """Chance, the levels with their intervals, and a word where the face is not asked."""
    ax.axvline(chance, color="#9A9A9A", linewidth=0.8, zorder=1)
    ax.grid(axis="y", visible=False)
    left, levels = chance - 0.06, _levels(part)
    height = 0.81 / len(levels)
    for row in part.itertuples():
        at = places[row.attribute]
        if row.level == "photographs":
            ax.plot([row.value] * 2, [at - 0.38, at + 0.38], color=PHOTOGRAPHS[1], alpha=0.85, linewidth=1.6, zorder=2)
            continue
        _, colour, marker, size = MARKS[row.level]
        shift = height * (levels.index(row.level) - (len(levels) - 1) / 2)
        reached = max(row.null_high, chance) - left
        ax.barh(at + shift, reached, left=left, height=height, color=BAND, linewidth=0, zorder=0)
        if row.level in ("face", DRAWS) and row.verdict in UNASKED:
            if row.level == "face":
                _at_the_right(ax, at, row.verdict, fontsize=SMALL_PT, color=GREY)
            continue
        if row.verdict in FAILS:
            colour, marker, size = RED, "X", 1.4 * size  # a fault shows by its shape as well
        ax.plot([row.low, row.high], [at + shift] * 2, color=colour, linewidth=1.1, alpha=0.8, zorder=3)
        ax.plot(row.value, at + shift, marker, color=colour, markersize=size, markeredgewidth=0, zorder=4)


def _levels(table: pd.DataFrame) -> list[str]:
    """Levels with a mark of their own that are in a table."""
    return [level for level in MARKS if level in set(table["level"])]


def _at_the_right(ax: Axes, at: float, text: str, **look) -> None:
    ax.text(0.99, at, text, transform=ax.get_yaxis_transform(), ha="right", va="center", **look)


def _handles(table: pd.DataFrame, *, photographs: bool = True) -> list:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shown = [
        Line2D([], [], color=colour, marker=marker, markersize=size, linewidth=1.1, label=label)
        for label, colour, marker, size in map(MARKS.__getitem__, _levels(table))
    ]
    if photographs:
        label, colour = PHOTOGRAPHS
        tick = Line2D([], [], color=colour, alpha=0.85, marker="|", markersize=8, linewidth=0, label=label)
        tick.set_markeredgewidth(1.6)
        shown.append(tick)
    fault = Line2D(
        [], [], color=RED, marker="X", markersize=6, markeredgewidth=0, linewidth=1.1, label="fails the check"
    )
    return [*shown, Patch(color=BAND, label="what chance reaches"), fault]


# For the page


def counts(answer: Answer | None) -> Styler | str:
    """How many attributes pass, by level, of how many that have a verdict; a sentence where nothing is known."""
    if answer is None:
        return UNKNOWN
    table, rows = answer.table[answer.table["level"] != "photographs"], {}
    for place, part in table.groupby(["mode", "level"], sort=False):
        recovered, missed, chance, above = _tally(part)
        mode, level = place
        rows[TITLES.get(mode, mode), _level(level)] = {
            "share causes with the voice: recovered": f"{recovered} of {recovered + missed}",
            "independent of the voice: at chance": f"{chance} of {chance + above}",
        }
    index = pd.MultiIndex.from_tuples(rows, names=["of whom", "read from"])
    return styled(pd.DataFrame(list(rows.values()), index=index))


def _level(name: str) -> str:
    return PHOTOGRAPHS[0] if name == "photographs" else MARKS[name][0]


def _p_value(value: float) -> str:
    return f"p {'< 0.001' if value < 0.001 else f'= {value:.3f}'} after Holm's correction"


def _tally(part: pd.DataFrame) -> list[int]:
    """How many attributes have each of `VERDICTS`."""
    return [int((part["verdict"] == verdict).sum()) for verdict in VERDICTS]


def exceptions(answer: Answer | None) -> Styler | str:
    """Attributes that fail in the face or have no verdict there, with what each level reaches; else a sentence.

    A level at which an attribute is not read has a dash.
    """
    if answer is None:
        return UNKNOWN
    values = answer.table.pivot(index=["mode", "attribute"], columns="level", values="value")
    values = values[[level for level in (*LEVELS[:3], DRAWS, LEVELS[3]) if level in values]]
    face = answer.table[answer.table["level"] == "face"].set_index(["mode", "attribute"])
    rows = face[~face["verdict"].isin((recovery.RECOVERED, recovery.CHANCE))]
    shown = values.map(lambda value: "–" if pd.isna(value) else f"{value:z.2f}")
    shown = shown.join(rows[["verdict"]], how="right")
    shown.index = pd.MultiIndex.from_tuples(
        [(TITLES.get(mode, mode), prose.trait(name)) for mode, name in shown.index], names=["of whom", "attribute"]
    )
    shown = shown.rename(columns={level: _level(level) for level in (*LEVELS, DRAWS)})
    return styled(shown, notes="Held-out R²; of sex the area under the ROC curve.")


def show(answer: Answer | None):
    """The figure of an answer; a sentence where it is not known."""
    if answer is None:
        return print(UNKNOWN)
    seeds = f"seed{'s' if len(answer.seeds) > 1 else ''} {', '.join(map(str, answer.seeds))}"
    return known_answer(answer.table, n_people=answer.n_people, seeds=seeds)


def show_leak(found: pd.DataFrame | None):
    """The figure of the planted leak; a sentence where nothing is known."""
    return print(UNKNOWN) if found is None else leak(found)


def sentence(answer: Answer | None) -> str:
    """What the prose says of the faces; where the answer is not known, that."""
    if answer is None:
        return UNKNOWN
    levels = answer.table.groupby(["level", "mode"])
    overall, within = (levels.get_group(("face", mode)) for mode in MODES)
    caused = int(within["caused"].sum())
    (recovered, missed, chance, above), (own, lost, *_) = _tally(overall), _tally(within)
    independent = int((~overall["caused"].astype(bool)).sum())
    failing = overall[overall["verdict"] == recovery.ABOVE].to_dict("records")
    fails = (f"{prose.trait(row['attribute'])} (R² {row['value']:z.3f}, {_p_value(row['p_holm'])})" for row in failing)
    named = f"; above chance, and so failing the check: {'; '.join(fails)}" if failing else ""
    seeds = "1 seed" if len(answer.seeds) == 1 else f"{len(answer.seeds)} seeds"
    together = ""
    if DRAWS in set(answer.table["level"]):
        (all_, none, *_), (some, other, *_) = (_tally(levels.get_group((DRAWS, mode))) for mode in MODES)
        together = (
            f"These are one draw for each recording, read and averaged, and differ by what is made up. The mean of "
            f"many draws for a recording shows {all_} of {all_ + none}, and within a sex {some} of {some + other}. "
        )
    return prose.signed(
        f"On {answer.n_people} people and {seeds} of training, the drawn faces show {recovered} of the "
        f"{recovered + missed} traits, sex among them, that share causes with the voice and can be told from it. "
        f"Within a sex they show {own} of {own + lost}, and {caused - own - lost} more have no verdict there. "
        f"{together}"
        f"Of the {independent} independent traits {chance + above} can be read from a face, and {chance} of these "
        f"stay at chance{named}. Of the {independent - chance - above} that cannot be read nothing is known."
    )
