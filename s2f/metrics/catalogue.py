"""Every metric and every row, once: what it is called, where it is shown, how it is printed, and what it needs.

A new metric is an entry of `METRICS` and a function of `s2f.metrics.measures` under the same key. It is then in
``metrics.json``, in the table of its group and in ``rows.csv``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True)
class Form:
    """How a value is printed: times `scale`, with so many digits, followed by the unit; a difference by its own."""

    scale: float = 1
    digits: int = 3
    unit: str = ""
    unit_of_difference: str = ""

    def number(self, value: float) -> str:
        """A value without its unit."""
        return f"{value * self.scale:z.{self.digits}f}"

    @property
    def difference(self) -> Form:
        """How the difference of two such values is printed."""
        return replace(self, unit=self.unit_of_difference)


DECIMALS, TENTHS, THOUSANDFOLD = Form(), Form(digits=1), Form(1000, 1)
PERCENT = Form(100, 1, " %", unit_of_difference=" points")


@dataclass(frozen=True)
class Metric:
    """One way of measuring a set of faces: one face, or one embedding, for each recording, as the row says.

    Attributes
    ----------
    key, label : str, its name in files, and in tables and figures
    group : str, the table of a variant that shows it
    needs : str
        What has to be known of the faces: a part of `FaceSet`, or of their embeddings that they lie where photographs
        do ("distances"; "training", where those trained on are known too), that they are about as far from the middle
        ("cosine"), that they can be compared with photographs ("similarity"), or that videos are known too ("videos").
    form : Form, how it is printed; shares from 0 to 1 in percent
    better : "higher", "lower" or None, which value is the better one, if either is
    interval : bool, whether there is a 95 % interval over people, and so paired differences
    chance : float, optional, what guessing gives, whoever the people are
    column : int, its place in the table of the group; equal ones stand in the order of `METRICS`
    table2 : int, its place in Table 2, from 1; 0 is not in it
    comparable : bool, whether protocols can be compared by it: it does not depend on how many people there are
    """

    key: str
    label: str
    group: Literal["matching", "videos", "distances", "sets"]
    needs: Literal["inception", "pixels", "distances", "training", "cosine", "similarity", "videos", "female"]
    form: Form = DECIMALS
    better: Literal["higher", "lower"] | None = None
    interval: bool = True
    chance: float | None = None
    column: int = 0
    table2: int = 0
    comparable: bool = False

    @property
    def title(self) -> str:
        """The label with the unit, for figures."""
        return self.label + (f" ({self.form.unit.strip()})" if self.form.unit else "")


@dataclass(frozen=True)
class Row:
    """One set of faces that is measured.

    Attributes
    ----------
    key, label : str, its name in files, and in tables and figures
    draws : str, what stands for a recording: one draw, the mean of several draws' embeddings, or no draw at all
    no_video : str, optional, why no photograph can be from the video of the voice
    direction : bool
        Its embeddings are directions away from the mean face: they tell who, and not how far from the photographs.
    table2 : int, its place in Table 2, from 1; 0 is not in it
    """

    key: str
    label: str
    draws: str
    no_video: str | None = None
    direction: bool = False
    table2: int = 0


N_MEAN = 64  # draws of a recording whose embeddings are averaged
ONE, NONE = "one draw", "no draw"
OF_MEAN = f"mean of the embeddings of {N_MEAN} draws, as a direction"
_ROWS = (
    Row("model", "generated", ONE, table2=1),
    Row("draws_mean", f"mean of {N_MEAN} draws", OF_MEAN, direction=True, table2=2),
    Row("typical", "most typical draw", "one draw, the most typical of many", table2=3),
    Row("general", "General on the same people", ONE, table2=4),
    Row("chance", "chance", NONE, table2=11),
    Row("mean_face", "mean face", NONE),
    Row("gender_mean_face", "mean face of the sex", NONE, table2=8),
    Row("random_real", "someone else's photo", NONE, no_video="a photograph, drawn from no voice"),
    Row("neighbour", "photo of the nearest voice", NONE, no_video="a photograph, drawn from no voice", table2=6),
    Row("gender_oracle", "sex alone", NONE, table2=7),
    Row("noise_voice", "noise instead of a voice", ONE, table2=10),
    Row("shuffled_voice", "someone else's voice", ONE, no_video="the voice is someone else's", table2=9),
    Row(
        "shuffled_mean",
        "someone else's voice, mean of draws",
        OF_MEAN,
        no_video="the voice is someone else's",
        direction=True,
    ),
    Row("probe", "linear map", NONE, direction=True, table2=5),
    Row("by_code", "another photo, by its face code", NONE, no_video="a photograph, drawn from no voice"),
    Row("ceiling", "another photo of the person", NONE, no_video="a photograph, drawn from no voice", table2=12),
)
# Measured where another system is compared with the drawn faces; no part of a study.
OTHER = Row("other", "the other system", ONE)
_set = partial(Metric, group="sets", needs="inception")
_distance = partial(Metric, group="distances", needs="distances")
_pixels = partial(Metric, group="distances", needs="pixels", better="lower", column=2)
_matching = partial(Metric, group="matching", needs="similarity", form=PERCENT, better="higher")
_cosine = partial(_distance, needs="cosine")
_by_video = partial(Metric, group="videos", needs="videos", form=PERCENT)
_video_difference = partial(_by_video, form=PERCENT.difference, chance=0.0)
_spread = partial(Metric, group="sets", needs="pixels")
_METRICS = (  # in the order of metrics.json
    _set("fid", "FID", form=TENTHS, better="lower", interval=False, table2=7),
    _set("fid_real_real", "FID, real to real", form=TENTHS, interval=False),
    _set("kid", "KID × 1000", form=THOUSANDFOLD, better="lower", table2=6),
    _set("precision", "precision (realism)", form=PERCENT, better="higher", interval=False),
    _set("recall", "recall (variety)", form=PERCENT, better="higher", interval=False),
    _pixels("l1_pixel_255", "L1, pixels (0–255)", form=TENTHS, table2=5),
    _pixels("l1_pixel_unit", "L1, pixels (−1 to 1)"),
    _distance("l1_embedding_sum", "L1, embedding (sum)", better="lower", column=1),
    _distance("l1_embedding_mean", "L1, embedding (mean)", better="lower", column=1),
    _cosine("cosine_matched", "cosine, same person", better="higher", table2=4, comparable=True),
    _cosine("cosine_mismatched", "cosine, other person"),
    _matching("recall_at_1", "recall at 1", column=2),
    _matching("recall_at_5", "recall at 5", column=2),
    _matching("recall_at_10", "recall at 10", column=2),
    _matching("identification_top_1", "identification, top 1", column=2),
    _matching("identification_top_5", "identification, top 5", column=2),
    _matching("matching_2way", "matching", chance=0.5, table2=2, comparable=True),
    _matching("matching_within_gender", "matching within sex", chance=0.5, table2=1, comparable=True),
    _matching("matching_within_gender_nationality", "matching within sex and nationality", chance=0.5),
    _matching("matching_within_women", "matching within women", chance=0.5),
    _matching("matching_within_men", "matching within men", chance=0.5),
    _by_video("matching_same_video", "matching, own video", better="higher", chance=0.5),
    _by_video("matching_other_video", "matching, other videos", better="higher", chance=0.5),
    _video_difference("matching_video_difference", "matching, own − other video"),
    _by_video("matching_same_video_within_gender", "matching within sex, own video", better="higher", chance=0.5),
    _by_video("matching_other_video_within_gender", "matching within sex, other videos", better="higher", chance=0.5),
    _video_difference("matching_video_difference_within_gender", "matching within sex, own − other video"),
    _matching("gender_agreement", "sex shown", needs="female", chance=0.5, column=1, table2=3, comparable=True),
    _spread("diversity", "diversity"),
    _spread("diversity_share", "diversity, share of real", form=PERCENT),
    _spread("consistency", "spread within a speaker", better="lower"),
    Metric("copies", "near to training photos, ratio", "sets", "training", Form(digits=2)),
)

ROWS: Mapping[str, Row] = MappingProxyType({row.key: row for row in _ROWS})
METRICS: Mapping[str, Metric] = MappingProxyType({metric.key: metric for metric in _METRICS})


def groups() -> dict[str, list[str]]:
    """Metrics of each table of a variant, in the order of its columns."""
    found: dict[str, list[str]] = {"matching": [], "videos": [], "distances": [], "sets": []}
    for metric in sorted(METRICS.values(), key=lambda metric: metric.column):
        found[metric.group].append(metric.key)
    return found


def table2_rows() -> list[str]:
    """Rows of Table 2, in order."""
    return [row.key for row in sorted(ROWS.values(), key=lambda row: row.table2) if row.table2]


def table2_metrics() -> list[str]:
    """Metrics of Table 2, in order."""
    return [metric.key for metric in sorted(METRICS.values(), key=lambda metric: metric.table2) if metric.table2]


def comparable() -> list[str]:
    """Metrics that do not depend on how many people there are, in the order of the tables."""
    return [key for keys in groups().values() for key in keys if METRICS[key].comparable]


def label(key: str) -> str:
    """What readers see for a row or a metric."""
    return OTHER.label if key == OTHER.key else (ROWS.get(key) or METRICS[key]).label
