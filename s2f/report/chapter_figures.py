"""Figures of the chapters: drawn when the book is built, from what a run left, or taken from its notebooks.

Each becomes ``book/runs/figures/<name>.png`` with its words in it. Of what a run does not have, the figure says so.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import nbformat
import numpy as np
import pandas as pd
from PIL.PngImagePlugin import PngImageFile, PngInfo

from s2f import files
from s2f.corpora.corpus import files_root
from s2f.metrics.catalogue import METRICS
from s2f.report import chapter_drawings, method_drawing, moving_figures, style
from s2f.report.style import BLUE, DASHED, GREEN, GREY, ORANGE, RED, canvas, in_theme, listed, say, spelled
from s2f.report.tables import POSTER, POSTER_COLUMNS
from s2f.study.finished import Finished
from s2f.study.stages import VARIANTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_FACES = 16  # drawn of one voice
STRANGERS = (10, 100, 1000, 10000)  # people of one sex among whom a drawn face is sought
# Name: the notebook's page, and what the cell calls whose first picture it is.
TAKEN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "traits": ("01_corpus", "sheets.traits_moved("),
        "people": ("01_corpus", "sheets.some_photos("),
        "counts": ("01_corpus", "corpus_figures.corpus_counts("),
        "calibration": ("06_metrics_general", "draw_figures.coverage("),
        "fid": ("06_metrics_general", "drawings.fid_by_n("),
        "answer": ("09_known_answer", "answer_figures.show("),
    }
)


@dataclass(frozen=True)
class Run(Finished):
    """A finished run, and what the figures of chapters take from it."""

    @classmethod
    def of(cls, run: Path, *, seed: int) -> Run:
        """Of a folder of ``runs/``."""
        return cls(run / f"s{seed}")

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.home.parents[2]

    def metrics(self) -> dict[str, dict]:
        """The ``metrics.json`` of each variant that is measured."""
        found = {}
        for name in self.variants:
            content = json.loads((self.folder("metrics", variant=name) / "metrics.json").read_text(encoding="utf-8"))
            if content.get("rows"):
                found[name] = content
        return found

    def person(self) -> tuple[np.ndarray, Path] | None:
        """The recording of a test person whom nobody chose, the first, as a wave and its place; None if there is none.

        Of generated people alone: real voices stay where they are.
        """
        from s2f.features import sound_files
        from s2f.features.store import Store

        corpus, store = self.folder("corpus"), self.folder("store")
        if not (corpus / "people.parquet").is_file() or not store.is_dir():
            return None
        home = files_root(corpus, project=self.root)
        voices = Store.open(store).voices(split="test")
        path = home / voices["path"].iloc[0] if len(voices) else home
        return (sound_files.read(path), path) if path.is_file() else None

    def courses(self) -> list[moving_figures.Course]:
        """What the run's trainings logged."""
        folders = {name: self.folder(name) for name in ("voice", "code")}
        own = {name: self.folder("model", variant=name) for name in VARIANTS if self.has(name)}
        return moving_figures.courses(folders | own)

    def people(self) -> list[moving_figures.Person]:
        """Test people on the map of voices; nobody of whom is generated, or whom the run has no embedding of."""
        from s2f.features.store import Store
        from s2f.training import data

        corpus, folder = self.folder("corpus"), self.folder("voice")
        if self.person() is None or not (folder / "tracks.npy").is_file():
            return []
        store, causes = Store.open(self.folder("store")), pd.read_parquet(corpus / "people.parquet")
        home = files_root(corpus, project=self.root)
        rows, photos = store.voices(split="test"), store.photos(split="test").groupby("identity").head(1)
        ages, faces = causes.set_index("identity")["age_years"], photos.set_index("identity")["row"]
        means = pd.DataFrame(data.embeddings(folder, rows).double().numpy()).groupby(rows["identity"].to_numpy()).mean()
        first = rows.groupby("identity").head(1).set_index("identity")
        about = [
            moving_figures.Person(
                *(0.0, 0.0, str(row["gender"])),
                about=f"{moving_figures.WORD[str(row['gender'])]}, {ages[name]:.0f} years",
                face=np.array(store.faces[faces[name]]) if name in faces else None,
                recording=home / row["path"] if (home / row["path"]).is_file() else None,
            )
            for name, row in first.loc[means.index].iterrows()
        ]
        return moving_figures.people(means.to_numpy(), about) if len(about) > 2 else []


def write(run: Run, notebooks: Mapping[str, Path], folder: Path) -> None:
    """Write every figure of the chapters, and the players that stand beside them.

    Parameters
    ----------
    notebooks : mapping of str to Path, page name to executed notebook
    folder : Path, where ``<name>.png`` are to lie
    """
    for name, draw in DRAWN.items():
        style.save(draw(run), folder / f"{name}.png")
        _narrow(folder / f"{name}.png")
    for name, (page, calls) in TAKEN.items():
        found = taken(notebooks[page], calls) if page in notebooks else None
        if found is None:
            style.save(nothing(f"This run has no such figure: {page} shows none."), folder / f"{name}.png")
        else:
            _keep(*found, path=folder / f"{name}.png")
    files.write_text(folder / "players.html", players(run, folder))
    files.write_text(folder / "curves.html", moving_figures.curves_part(run.courses()))
    files.write_text(folder / "voices.html", moving_figures.voices_part(run.people(), folder))


def taken(notebook: Path, calls: str) -> tuple[bytes, dict[str, str]] | None:
    """The first picture of the cell that calls something, and what the notebook says of it; None where none is."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "code" and calls in cell.source:
            for output in cell.outputs:
                about = output.get("metadata", {}).get("image/png", {})
                if "alt" in about:
                    return base64.b64decode("".join(output.data["image/png"])), dict(about)
    return None


def _narrow(path: Path) -> None:
    """Give a drawing a palette of 256 colours, with which its file is a third as large; photographs would suffer."""
    from PIL import Image

    with Image.open(path) as picture:
        about = dict(picture.text) if isinstance(picture, PngImageFile) else {}
        narrow = picture.convert("RGBA").quantize(256, method=Image.Quantize.FASTOCTREE)
    if about.get("Kind") == "drawing":
        with files.whole(path) as beside:
            narrow.save(beside, format="PNG", optimize=True, pnginfo=_words(about))


def _words(about: Mapping[str, str]) -> PngInfo:
    words = PngInfo()
    for key, text in about.items():
        words.add_itxt(key, text)
    return words


def _keep(data: bytes, about: Mapping[str, str], *, path: Path) -> None:
    """Write a notebook's picture as `style.save` would have."""
    from PIL import Image

    words = _words({"Description": about["alt"], "Kind": about["kind"]})
    with files.whole(path) as beside, Image.open(io.BytesIO(data)) as picture:
        picture.save(beside, format="PNG", pnginfo=words)


def players(run: Run, folder: Path) -> str:
    """The recording of `front_end` to listen to, and the speech that is kept of it; as a part of a page."""
    from s2f.features import front_end as steps

    found = run.person()
    if found is None:
        return "<p>This run has no generated recording to listen to.</p>\n"
    waves = {"recording": found[0], "speech": steps.voiced(found[0])}
    said = {"recording": "The recording", "speech": "The speech that is kept of it"}
    return "".join(moving_figures.player(wave, folder, name=name, what=said[name]) for name, wave in waves.items())


@in_theme
def nothing(text: str) -> Figure:
    """Words where a figure would stand."""
    return style.sentence(text)


def front_end(run: Run) -> Figure:
    """A held-out recording, step by step, until a network hears it."""
    found = run.person()
    return nothing("This run has no generated recording to show.") if found is None else hearing(found[0])


@in_theme
def hearing(wave: np.ndarray) -> Figure:
    """What the front end makes of a recording, a panel a step.

    Parameters
    ----------
    wave : ndarray, float [n_samples] in [−1, 1] at 16 kHz
    """
    from s2f.features import front_end as steps

    mask, speech = steps.voiced_mask(wave), steps.voiced(wave)
    log_mel = steps.log_mel(speech)
    heard = steps.features(wave)
    figure, axes = canvas(6.4, n_rows=4)
    first, second, third, fourth = axes[:, 0]
    frame = 0.02
    for k in np.flatnonzero(mask):
        first.axvspan(k * frame, (k + 1) * frame, color=ORANGE, alpha=0.25, linewidth=0)
    for ax, sound, title in (
        (first, wave, "1  The recording; shaded, what the detector takes for speech"),
        (second, speech, "2  The speech, joined"),
    ):
        step = max(1, len(sound) // 3000)
        ax.plot(np.arange(len(sound))[::step] / steps.SAMPLE_RATE, sound[::step], color=BLUE, linewidth=0.4)
        ax.set(xlim=(0, len(wave) / steps.SAMPLE_RATE), yticks=[])
        ax.set_title(title)
    pictures = (
        (third, log_mel, "3  Its log-mel spectrogram, 64 bands"),
        (fourth, heard, f"4  Each band normalised, and repeated to {len(heard)} frames: what the network hears"),
    )
    for ax, values, title in pictures:
        low, high = np.quantile(values, (0.01, 0.99))
        extent = (0, len(values) / 100, 0, values.shape[1])
        ax.imshow(values.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=low, vmax=high)
        ax.set_yticks([0.5, 63.5], ["20 Hz", "7.2 kHz"])
        ax.grid(visible=False)
        ax.set_title(title)
    third.set_xlim(0, len(wave) / steps.SAMPLE_RATE)
    fourth.set_xlabel("time (s)")
    kept, n = len(speech) / steps.SAMPLE_RATE, len(wave) / steps.SAMPLE_RATE
    say(
        figure,
        f"""Four panels. A sound wave of {n:.1f} s with the parts shaded that are taken for speech; the {kept:.1f} s of
        speech joined; their log-mel spectrogram in 64 bands from 20 Hz to 7.2 kHz; and the same with every band
        normalised, repeated until it has {len(heard)} frames.""",
    )
    return figure


def one_voice(run: Run) -> Figure:
    """Faces that General draws of one held-out voice, what they share, and what is made up."""
    from s2f.networks import inference
    from s2f.report import draws, face_figures

    found, folder = run.person(), run.folder("model")
    if found is None or not (folder / inference.CHECKPOINT).is_file():
        return nothing("This run has no trained General and generated recording to draw faces of.")
    model = inference.load(folder)
    return face_figures.draws(draws.of_voice(model, model.hear(found[1])[0], n=N_FACES, seed=0), name="General")


def lookalikes(run: Run) -> Figure:
    """How many others look more like the drawn face than the speaker does."""
    entries = run.metrics().get("general", {}).get("rows", {})
    metric = "matching_within_gender"
    found = {row: entries[row][metric] for row in ("model", "ceiling") if row in entries and metric in entries[row]}
    if found.get("model", {}).get("value") is None:
        return nothing("Matching within a sex is not measured in this run.")
    return nearer_strangers(found)


@in_theme
def nearer_strangers(found: Mapping[str, Mapping]) -> Figure:
    """How many of so many strangers of the speaker's sex are expected to look nearer to the face than the speaker.

    Parameters
    ----------
    found : mapping of a row ("model", "ceiling") to its entry of ``matching_within_gender``
    """
    figure, axes = canvas(2.9)
    ax = axes[0, 0]
    among = np.array(STRANGERS)
    ax.plot(among, among / 2, color=GREY, linestyle=DASHED, linewidth=1.8, label="a coin", zorder=4)
    told = []
    looks = {"model": ("drawn face", RED, "o"), "ceiling": ("another photograph of the speaker", GREEN, "s")}
    for row, (label, colour, marker) in looks.items():
        entry = found.get(row, {})
        if entry.get("value") is None:
            continue
        ax.plot(among, (1 - entry["value"]) * among, marker=marker, color=colour, markersize=5, label=label)
        if entry.get("low") is not None:
            ends = [(1 - entry[end]) * among for end in ("high", "low")]
            ax.fill_between(among, *ends, color=colour, alpha=0.18, linewidth=0)
        told.append(f"{label} {(1 - entry['value']) * 1000:.0f}")
    ax.set(xscale="log", yscale="symlog", xlabel="strangers of the speaker's sex", ylabel="of these nearer to the face")
    ax.set_xticks(among, [f"{n:,}" for n in STRANGERS])
    ax.set_yticks([0, 1, 10, 100, 1000, 10_000], ["0", "1", "10", "100", "1,000", "10,000"])
    ax.set_ylim(-0.4, STRANGERS[-1])
    ax.minorticks_off()
    ax.legend(loc="upper left")
    say(
        figure,
        f"""Lines that rise with the number of strangers. Of 1,000 of them are nearer to the face than the speaker:
        {listed(told)}, a coin 500.""",
    )
    return figure


def poster(run: Run) -> Figure:
    """The poster's Table 2 beside ours."""
    found = run.metrics()
    return nothing("No variant is measured in this run.") if not found else beside_poster(found)


@in_theme
def beside_poster(metrics: Mapping[str, Mapping]) -> Figure:
    """Each figure of the poster's Table 2, and ours with its interval, a panel a figure.

    Parameters
    ----------
    metrics : mapping of a variant's name to its ``metrics.json``
    """
    figure, axes = canvas(2.3, n_columns=len(POSTER_COLUMNS), sharey=True)
    told = []
    for ax, (metric, (column, _)) in zip(axes[0], POSTER_COLUMNS.items(), strict=True):
        about = METRICS[metric]
        for place, (name, theirs) in enumerate(POSTER.items()):
            mark = ax.plot(theirs[column], place - 0.14, "D", color=ORANGE, markersize=5.5, fillstyle="none")[0]
            entry = metrics.get(name, {}).get("rows", {}).get("model", {}).get(metric, {})
            told.append(f"{about.label} of {name}: poster {theirs[column]:.3g}")
            if entry.get("value") is None:
                continue
            scale = about.form.scale
            if entry.get("low") is not None:
                ax.plot([entry["low"] * scale, entry["high"] * scale], [place + 0.14] * 2, color=BLUE, linewidth=2)
            ours = ax.plot(entry["value"] * scale, place + 0.14, "o", color=BLUE, markersize=5.5)[0]
            told[-1] += f", ours {spelled(entry['value'], form=about.form)}"
            ours.set_label("this run, held-out people")
        mark.set_label("the poster")
        ax.set_title({"l1_pixel_255": "L1, read as one of pixels"}.get(metric, about.label), fontsize=9.5)
        ax.grid(axis="y", visible=False)
        ax.locator_params(axis="x", nbins=4)
    axes[0, 0].set_yticks(range(len(POSTER)), [name.title() for name in POSTER])
    axes[0, 0].set_ylim(len(POSTER) - 0.5, -0.5)
    handles = {str(line.get_label()): line for ax in axes[0] for line in ax.lines if str(line.get_label())[0] != "_"}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=2)
    say(figure, f"Marks of the poster beside ours. {listed(told)}.")
    return figure


def curves(run: Run) -> Figure:
    """Curves of all trainings of a run."""
    found = run.courses()
    return moving_figures.curves(found) if found else nothing("This run kept no log of a training.")


def voices(run: Run) -> Figure:
    """The map of the voices of test people."""
    found = run.people()
    return moving_figures.voices(found) if found else nothing("This run has no generated voices to lay out as a map.")


def _still(draw: Callable[[], Figure]) -> Callable[[Run], Figure]:
    return lambda _: draw()


# Name: what draws it of a run.
DRAWN: Mapping[str, Callable[[Run], Figure]] = MappingProxyType(
    {
        "heard_or_made_up": _still(chapter_drawings.heard_or_made_up),
        "sources": _still(chapter_drawings.sources),
        "front_end": front_end,
        "data_flow": _still(method_drawing.data_flow),
        "many_faces": _still(chapter_drawings.many_faces),
        "curves": curves,
        "voices": voices,
        "one_voice": one_voice,
        "poster": poster,
        "moved_voice": _still(chapter_drawings.moved_voice),
        "lookalikes": lookalikes,
        "stages": _still(chapter_drawings.stages),
        "additions": _still(chapter_drawings.additions),
        "trial": _still(chapter_drawings.trial),
    }
)
