"""Figures that a reader can move: curves of all trainings, and a map of voices with faces to see and voices to play.

Each is a part of a page: the data as JSON, which ``book/_static/live/pictures.js`` draws, and the same as a picture
that stands below it for readers without JavaScript. Nothing is loaded from elsewhere.
"""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from s2f import files
from s2f.report import style
from s2f.report.style import BLUE, SEXES, SMALL_PT, canvas, in_theme, listed, say
from s2f.report.training_figures import LOGGED, NO_LOSS
from s2f.training import saves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS = (  # of a training: its name, and where its log may be
    ("voice embedding", ("voice/log.jsonl",)),
    ("face code", ("code/log.jsonl",)),
    *((name.title(), (f"{name}/log.jsonl", f"{name}/sampler/log.jsonl")) for name in ("general", "females", "males")),
)
N_SHOWN = 24  # people on the map who can be seen and heard
VOICES = Path("_static", "voices")  # below the built pages
WORD = MappingProxyType({"f": "woman", "m": "man"})


@dataclass(frozen=True)
class Course:
    """A number that a training logged, over its steps."""

    part: str
    name: str
    steps: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True)
class Person:
    """A held-out person on the map of voices.

    Attributes
    ----------
    x, y : float, place of the mean voice embedding on the two main axes
    sex : str, "f" or "m"
    about : str, who it is, in words
    face : ndarray, uint8 [64, 64, 3], or None of those who are dots alone
    recording : Path, or None, as the face
    """

    x: float
    y: float
    sex: str
    about: str
    face: np.ndarray | None = None
    recording: Path | None = None


def courses(folders: Mapping[str, Path]) -> list[Course]:
    """What the trainings of a run logged of their losses.

    Parameters
    ----------
    folders : mapping of a folder's name ("voice", "code", "general" …) to where it is; others are passed over
    """
    found = []
    for part, places in PARTS:
        named = (place.partition("/") for place in places)
        paths = [folders[folder] / name for folder, _, name in named if folder in folders]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            continue
        log = pd.DataFrame(saves.read_log(path))
        for column in log.select_dtypes("number").columns:
            own = log[["step", column]].dropna() if column not in NO_LOSS else log.head(0)
            own = own[np.isfinite(own[column])] if len(own) else own
            if len(own):
                steps, values = own["step"].astype(int).to_list(), own[column].astype(float).to_list()
                found.append(Course(part, LOGGED.get(column, column.replace("_", " ")), steps, values))
    return found


@in_theme
def curves(found: Sequence[Course]) -> Figure:
    """Every course in a panel of its own."""
    n_columns = min((3, 2), key=lambda n: -len(found) % n) if len(found) > 2 else len(found)  # few places empty
    n_rows = -(-len(found) // n_columns)
    figure, axes = canvas(1.4 * n_rows + 0.2, n_rows=n_rows, n_columns=n_columns)
    for ax in axes.flat[len(found) :]:
        ax.axis("off")
    for ax, course in zip(axes.flat, found, strict=False):
        ax.plot(course.steps, course.values, color=BLUE, marker="o" if len(course.steps) == 1 else None)
        title = style.wrapped(f"{course.part}: {course.name}", width_in=style.WIDTH_IN / n_columns - 0.6, size_pt=8)
        ax.set_title(title, fontsize=8, fontweight="normal")
        ax.locator_params(nbins=4)
        ax.tick_params(labelsize=SMALL_PT)
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    figure.supxlabel("training step", fontsize=8.5)
    told = [f"{each.part}: {each.name} {each.values[0]:.3g} to {each.values[-1]:.3g}" for each in found]
    say(figure, f"Curves over training steps, from first to last: {listed(told, most=20)}.")
    return figure


def curves_part(found: Sequence[Course]) -> str:
    """The courses as a part of a page; a sentence where there are none."""
    series = [
        {"part": each.part, "name": each.name, "steps": list(each.steps), "values": [round(v, 5) for v in each.values]}
        for each in found
    ]
    return _part("curves", {"series": series}) if series else "<p>This run kept no log of a training.</p>\n"


def people(vectors: np.ndarray, about: Sequence[Person]) -> list[Person]:
    """People at the places of their mean voice embeddings on the two main axes, of whom `N_SHOWN` keep their faces.

    Those who keep them lie far apart: each is the one who is farthest from those before.

    Parameters
    ----------
    vectors : ndarray, float [n, d], n at least 3
    about : sequence of Person [n], whose places are not used
    """
    centred = vectors - vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    places = centred @ directions[:2].T  # [n, 2]
    shown = [int(np.argmax(np.linalg.norm(places, axis=1)))]
    while len(shown) < min(N_SHOWN, len(places)):
        away = np.linalg.norm(places[:, None] - places[shown][None], axis=2).min(axis=1)
        shown.append(int(np.argmax(away)))
    return [
        Person(
            float(x),
            float(y),
            each.sex,
            each.about,
            each.face if k in shown else None,
            each.recording if k in shown else None,
        )
        for k, ((x, y), each) in enumerate(zip(places, about, strict=True))
    ]


@in_theme
def voices(found: Sequence[Person]) -> Figure:
    """The map of voices: a dot a person, and the faces of some."""
    figure, axes = canvas(4.6)
    ax = axes[0, 0]
    width = max(max(each.x for each in found) - min(each.x for each in found), 1e-6)
    height = max(max(each.y for each in found) - min(each.y for each in found), 1e-6)
    half = width * 0.03, height * 0.03 * style.WIDTH_IN / 4.2
    colours, told = {key: colour for key, _, colour in SEXES}, []
    for key, name, colour in SEXES:
        own = [each for each in found if each.sex == key]
        if own:
            ax.scatter(
                [each.x for each in own], [each.y for each in own], s=16, color=colour, label=f"{name}: {len(own)}"
            )
            told.append(f"{len(own)} {name}, around {np.mean([each.x for each in own]):z.2f} on the first axis")
    for each in found:
        if each.face is not None:
            box = (each.x - half[0], each.x + half[0], each.y - half[1], each.y + half[1])
            ax.imshow(each.face, extent=box, aspect="auto", zorder=3)
            ax.plot(box[:2], [box[2]] * 2, color=colours[each.sex], linewidth=2.5, zorder=4)
    ax.set(xlim=(min(e.x for e in found) - 2 * half[0], max(e.x for e in found) + 2 * half[0]))
    ax.set(ylim=(min(e.y for e in found) - 2 * half[1], max(e.y for e in found) + 2 * half[1]))
    ax.set(xlabel="first main axis of the voice embeddings", ylabel="second")
    figure.legend(loc="outside lower center", ncols=2)
    n = sum(each.face is not None for each in found)
    say(figure, f"A map of held-out people by their voices, with photographs of {n} of them. {listed(told)}.")
    return figure


def voices_part(found: Sequence[Person], folder: Path) -> str:
    """The map as a part of a page, a sentence where it is empty; its recordings are ``voices/<n>.wav`` of a folder."""
    from s2f.features import sound_files

    if not found:
        return "<p>This run has no generated voices to lay out as a map.</p>\n"
    shown: list[dict[str, Any]] = []
    for each in found:
        entry: dict[str, Any] = {"x": round(each.x, 4), "y": round(each.y, 4), "sex": each.sex, "about": each.about}
        if each.face is not None and each.recording is not None:
            name = f"{len(shown)}.wav"
            _write(sound_files.read(each.recording), folder / "voices" / name)
            entry |= {"face": _jpeg(each.face), "sound": (VOICES / name).as_posix()}
        shown.append(entry)
    return _part("map", {"people": shown})


def player(wave: np.ndarray, folder: Path, *, name: str, what: str) -> str:
    """A recording as a part of a page, which loads it when it is played; it is ``voices/<name>.wav`` of a folder.

    Parameters
    ----------
    wave : ndarray, float [n_samples] at 16 kHz
    what : str, its name on the page
    """
    _write(wave, folder / "voices" / f"{name}.wav")
    sound = f'<audio aria-label="{what}" controls preload="none" src="{(VOICES / name).as_posix()}.wav"></audio>'
    return f'<figure class="player"><figcaption>{what}</figcaption>{sound}</figure>\n'


def _write(wave: np.ndarray, path: Path) -> None:
    import soundfile

    from s2f.features import front_end

    with files.whole(path) as beside:
        soundfile.write(beside, wave, front_end.SAMPLE_RATE, format="WAV", subtype="PCM_16")


def place(folder: Path, pages: Path) -> None:
    """Put the recordings of the map where the page that is built asks for them.

    Parameters
    ----------
    folder : Path, that `voices_part` and `player` were given
    pages : Path, folder of the built pages
    """
    for path in sorted((folder / "voices").glob("*.wav")):
        (pages / VOICES).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, pages / VOICES / path.name)


def _jpeg(face: np.ndarray) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(face).save(file, format="JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _part(kind: str, content: Mapping[str, Any]) -> str:
    text = json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<div class="moving" data-moving="{kind}" hidden>\n<script type="application/json">{text}</script>\n</div>\n'
    )
