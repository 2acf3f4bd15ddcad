"""Drawings of the chapters that show no numbers of a run: what causes what, what leads where, and who does what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

from s2f.report.method_drawing import arrow, box
from s2f.report.style import BLUE, GREEN, GREY, ORANGE, PURPLE, WIDTH_IN, canvas, in_theme, say
from s2f.study.stages import STAGES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Boxes: name to (x, y, words, colour); a width of 100 is the page's.
Boxes = Mapping[str, tuple[float, float, str, str]]
WHAT = MappingProxyType(
    {  # a notebook does, in the drawing of the study
        "01_corpus": "who is there",
        "02_preprocessing": "files to features",
        "03_models": "the networks",
        "04_face_code": "faces as numbers",
        "04_voice_embedding": "voices as numbers",
        "05_training": "voices to faces",
        "06_metrics": "faces to numbers",
        "07_results": "numbers to tables",
        "08_your_voice": "a voice of your own",
        "09_known_answer": "is the study right?",
        "10_poster": "the poster's figures",
    }
)


@in_theme
def heard_or_made_up() -> Figure:
    """What causes a voice, what causes a face, and what both have in common."""
    figure, ax = _page(46)
    boxes = {
        "body": (50, 38, "body\nsex, age, size", GREEN),
        "manner": (16, 38, "words, mood,\nroom, microphone", GREY),
        "looks": (84, 38, "skin tone, colours of\nhair and eyes,\nglasses, light", GREY),
        "voice": (33, 20, "voice", BLUE),
        "face": (67, 20, "face", ORANGE),
        "drawn": (50, 6, "drawn face\nheard and made up", PURPLE),
    }
    _boxes(ax, boxes, size=(27, 10))
    for start, stop in (
        ("body", "voice"),
        ("body", "face"),
        ("manner", "voice"),
        ("looks", "face"),
        ("voice", "drawn"),
    ):
        _lead(ax, boxes, start, stop, size=(27, 10))
    ax.text(65, 6, "what only the right\ngrey box causes is\ninvented", fontsize=9, va="center", color=GREY)
    say(
        figure,
        """Boxes and arrows. The body, that is sex, age and size, leads to the voice and to the face. Words, mood, room
        and microphone lead to the voice alone; skin tone, the colours of hair and eyes, glasses and light to the face
        alone. The drawn face hangs on the voice only, so what it shows of the last box is invented.""",
    )
    return figure


@in_theme
def sources() -> Figure:
    """Where recordings and photographs come from, and what becomes of all of them."""
    figure, ax = _page(46)
    boxes = {
        "made": (14, 39, "generated people\nprofile demo", GREEN),
        "published": (14, 28, "VoxCeleb, VGGFace\nprofile voxceleb", BLUE),
        "processed": (14, 17, "the 2019 release\nprofile wen2019", BLUE),
        "own": (14, 6, "a table of your own\nprofile table", ORANGE),
        "manifest": (49, 22.5, "manifest\na row a file", PURPLE),
        "store": (82, 32, "store\nfeatures, faces", PURPLE),
        "out": (82, 13, "rejected.csv\nand the reasons", GREY),
    }
    size = (28, 9)
    _boxes(ax, boxes, size=size)
    for name in ("made", "published", "processed", "own"):
        arrow(ax, (28, boxes[name][1]), (35, 22.5))
    for name in ("store", "out"):
        arrow(ax, (63, 22.5), (68, boxes[name][1]))
    ax.text(49, 15.5, "asked by: s2f check", fontsize=9, ha="center", color=GREY)
    say(
        figure,
        """Four sources, generated people, VoxCeleb with VGGFace, the processed 2019 release and a table of your own,
        lead to one manifest with a row a file, which the command s2f check asks about. From it come the store of
        features and faces, and the list of rejected files with their reasons.""",
    )
    return figure


@in_theme
def many_faces() -> Figure:
    """How one voice gets many faces: a sampler between the voice and the decoder of the face code."""
    figure, ax = _page(42)
    boxes = {
        "photo": (11, 34, "photograph", GREY),
        "encoder": (36, 34, "encoder", ORANGE),
        "code": (62, 34, "face code\n64 numbers", PURPLE),
        "voice": (11, 16, "voice embedding\n16 main axes", BLUE),
        "noise": (11, 5.5, "noise\nanother each time", GREY),
        "sampler": (36, 10, "sampler\n16 steps", GREEN),
        "drawn": (62, 10, "drawn code\n64 numbers", PURPLE),
        "decoder": (88, 22, "decoder", ORANGE),
        "face": (88, 5.5, "many faces\nof one voice", GREEN),
    }
    _boxes(ax, boxes, size=(21, 9))
    pairs = "photo encoder", "encoder code", "voice sampler", "noise sampler", "sampler drawn", "decoder face"
    for pair in pairs:
        _lead(ax, boxes, *pair.split(), size=(21, 9))
    arrow(ax, (72.5, 34), (80, 26.5))
    arrow(ax, (72.5, 10), (80, 17.5))
    ax.text(51, 22, "learns from codes of the\nspeaker's photographs", fontsize=8.5, va="center", color=GREY)
    arrow(ax, (55, 29.5), (41, 14.5), curve=0.1)
    say(
        figure,
        """Above: a photograph goes through the encoder to a face code of 64 numbers, and the decoder draws it again.
        Below: a voice embedding and noise, another each time, go into the sampler, which in 16 steps gives a code;
        the same decoder draws it, so that one voice has many faces. The sampler learns from codes of photographs.""",
    )
    return figure


@in_theme
def stages() -> Figure:
    """The study as a graph: every notebook, and whose files it reads."""
    depth: dict[str, int] = {}
    for name, stage in STAGES.items():  # in order: what a stage needs stands before it
        depth[name] = 1 + max((depth[need] for need, _ in stage.needs), default=-1)
    columns: dict[int, list[str]] = {}
    for name, level in depth.items():
        columns.setdefault(level, []).append(name)
    n_rows, n_levels = max(map(len, columns.values())), max(columns) + 1
    step, high, size = 100 / n_levels, 13, (100 / n_levels - 1.4, 9.5)
    figure, ax = _page(high * n_rows)
    places = {
        name: ((level + 0.5) * step, high * n_rows * (k + 0.5) / len(names))
        for level, names in columns.items()
        for k, name in enumerate(reversed(names))
    }
    for name, (x, y) in places.items():
        colour = ORANGE if STAGES[name].each_variant else GREY if STAGES[name].is_last else BLUE
        box(ax, x, y, name.replace("_", "\n").replace("prep", "pre-\np"), colour=colour, size=size)
        for need in _nearest(name):
            arrow(ax, (places[need][0] + size[0] / 2, places[need][1]), (x - size[0] / 2, y))
    told = [f"{name} ({WHAT[name]}) reads {_list(need for need, _ in stage.needs)}" for name, stage in STAGES.items()]
    thrice = _list(name for name, stage in STAGES.items() if stage.each_variant)
    say(
        figure,
        f"Notebooks as boxes, with arrows to those that read their files. {'; '.join(told)}. "
        f"Orange, once for each variant: {thrice}.",
    )
    return figure


def _nearest(name: str) -> set[str]:
    """Stages whose files a stage reads, without those that stand before another one of them."""
    needs = {need for need, _ in STAGES[name].needs}
    return needs - {far for need in needs for far in _before(need)}


def _before(name: str) -> set[str]:
    needs = {need for need, _ in STAGES[name].needs}
    return needs | {far for need in needs for far in _before(need)}


def _list(names: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(names)) or "nothing"


@in_theme
def additions() -> Figure:
    """Where data, a model, a metric and causes of one's own come into the study."""
    figure = _chain(
        {
            "corpus": (12, 8, "corpus", BLUE),
            "network": (37.5, 8, "networks", BLUE),
            "drawn": (62.5, 8, "drawn faces", BLUE),
            "numbers": (88, 8, "metrics.json", BLUE),
        },
        {
            "corpus": (12, 23, "own causes\nown data", ORANGE),
            "drawn": (62.5, 23, "own model", ORANGE),
            "numbers": (88, 23, "own metric", ORANGE),
        },
        size=(21, 10),
    )
    say(
        figure,
        """A chain from the corpus over the networks and the drawn faces to metrics.json. Own causes and own data come
        in at the corpus, an own model at the drawn faces, and an own metric at metrics.json.""",
    )
    return figure


@in_theme
def trial() -> Figure:
    """One trial of matching: which of two photographs is nearer to the drawn face?"""
    figure, ax = _page(32)
    size = (25, 10)
    boxes = {
        "drawn": (14, 16, "face drawn\nfrom a voice", GREEN),
        "right": (52, 26, "photograph\nof the speaker", BLUE),
        "other": (52, 6, "photograph\nof somebody else", GREY),
    }
    _boxes(ax, boxes, size=size)
    arrow(ax, (26.5, 18), (39.5, 26))
    arrow(ax, (26.5, 14), (39.5, 6))
    ax.text(31, 24.5, "cosine a", fontsize=9, ha="right")
    ax.text(31, 6.6, "cosine b", fontsize=9, ha="right")
    ax.text(68, 21, "a > b: right", fontsize=10, fontweight="bold", va="center")
    ax.text(68, 16, "a = b: half right", fontsize=10, va="center")
    ax.text(68, 11, "a < b: wrong", fontsize=10, va="center")
    say(
        figure,
        """A face drawn from a voice, beside it a photograph of the speaker and one of somebody else. The trial is right
        where the cosine to the speaker's photograph is the larger one, half right where both are equal.""",
    )
    return figure


@in_theme
def moved_voice() -> Figure:
    """What each slider of the live page moves, on the way from a recording to faces."""
    figure = _chain(
        {
            "sound": (9.5, 8, "recording", BLUE),
            "mel": (36.5, 8, "log-mel", BLUE),
            "voice": (63.5, 8, "64 numbers", BLUE),
            "face": (90.5, 8, "faces", GREEN),
        },
        {
            "sound": (9.5, 23, "pitch,\nvocal tract", ORANGE),
            "voice": (63.5, 23, "axes of\nthe voices", ORANGE),
            "face": (90.5, 23, "noise of\neach draw", GREY),
        },
        size=(17.5, 10),
    )
    say(
        figure,
        """A chain from the recording over its log-mel spectrogram and the 64 numbers of its voice to faces. The sliders
        for pitch and vocal tract move the recording, those for the axes move the 64 numbers, and the noise of a draw,
        which stays the same while sliding, comes in last.""",
    )
    return figure


def _page(high: float) -> tuple[Figure, Axes]:
    """A drawing as wide as a page, 100 units wide and so many high."""
    figure, axes = canvas(WIDTH_IN * high / 100)
    ax = axes[0, 0]
    ax.set(xlim=(0, 100), ylim=(0, high), aspect="equal")
    ax.axis("off")
    return figure, ax


def _chain(chain: Boxes, added: Boxes, *, size: tuple[float, float]) -> Figure:
    """Boxes in a row, each leading to the next, and above some of them what comes in there."""
    figure, ax = _page(30)
    for boxes in (chain, added):
        _boxes(ax, boxes, size=size)
    for start, stop in pairwise(chain):
        _lead(ax, chain, start, stop, size=size)
    for x, *_ in added.values():
        arrow(ax, (x, 18), (x, 13))
    return figure


def _boxes(ax: Axes, boxes: Boxes, *, size: tuple[float, float]) -> None:
    for x, y, text, colour in boxes.values():
        box(ax, x, y, text, colour=colour, size=size)


def _lead(ax: Axes, boxes: Boxes, start: str, stop: str, *, size: tuple[float, float]) -> None:
    """An arrow from the edge of one box to the nearest edge of another."""
    (x, y, *_), (to_x, to_y, *_) = boxes[start], boxes[stop]
    width, height = size
    if abs(to_x - x) >= width:  # side by side
        side = width / 2 if to_x > x else -width / 2
        arrow(ax, (x + side, y), (to_x - side, to_y))
    else:
        side = height / 2 if to_y > y else -height / 2
        arrow(ax, (x, y + side), (to_x, to_y - side))
