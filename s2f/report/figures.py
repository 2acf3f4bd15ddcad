"""Figures of the study: each function takes arrays or frames and returns a matplotlib figure.

All share one look, `theme`, and the width of a page of the book (7 in at 160 dpi). No figure stays open.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from s2f.metrics import catalogue

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from s2f.metrics.verification import ErrorRates
from s2f.report.style import (
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    INK,
    ORANGE,
    RED,
    SEXES,
    WIDTH_IN,
    _below,
    _canvas,
    _figure,
    _tight,
)

# Panels of `training_health`, and the columns of a log in them.
HEALTH: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "length of all gradients": ("grad_generator", "grad_critics"),
        "discriminator right, variety of drawn faces (shares)": ("d_right", "diversity"),
        "distance of the mean scores": ("score_gap",),
        "iterations a second": ("it_per_s",),
        "highest memory (MB)": ("memory_mb",),
    }
)
LOGGED: Mapping[str, str] = MappingProxyType(
    {
        "d": "discriminator: real or fake?",
        "c": "classifier: whose real face?",
        "g_real": "generator: taken for real?",
        "g_identity": "generator: the speaker's identity?",
        "g_pixel": "generator: pixels against a photo",
        "g_edge": "generator: edges against a photo",
        "score_real": "discriminator: mean score of real faces",
        "score_fake": "discriminator: mean score of drawn faces",
        "loss": "loss",
        "accuracy": "share of speakers recognised",
    }
)


# Faces


@_figure
def face_sheet(
    faces: np.ndarray, *, labels: Sequence[str] | None = None, n_columns: int = 8, title: str | None = None
) -> Figure:
    """Faces in a grid, in reading order.

    Parameters
    ----------
    faces : ndarray, uint8 [n, H, W, 3], or sequence of ndarray, uint8 [H, W, 3]
        Faces, or photos of any size.
    labels : sequence of str [n], optional
        A short line under each.
    n_columns : int
        Faces in a row.
    title : str, optional
        Line above.
    """
    n_rows = int(np.ceil(len(faces) / n_columns))
    cell = WIDTH_IN / n_columns
    line = 0.2 if labels is not None else 0.0
    figure, axes = _canvas(n_rows * (cell + line) + (0.3 if title else 0), n_rows=n_rows, n_columns=n_columns)
    for k, ax in enumerate(axes.flat):
        ax.axis("off")
        if k < len(faces):
            _face(ax, faces[k])
            if labels is not None:
                _below(ax, labels[k])
    _tight(figure)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    return figure


@_figure
def table1(
    true_faces: np.ndarray, generated_faces: np.ndarray | Mapping[str, np.ndarray], labels: Sequence[str]
) -> Figure:
    """Table 1: each speaker's true face above the faces drawn from the voice.

    Parameters
    ----------
    true_faces : ndarray, uint8 [n, H, W, 3]
        One real photo a speaker.
    generated_faces : ndarray uint8 [n, H, W, 3], or a mapping of a row's name to such an array
        What was drawn.
    labels : sequence of str [n]
        A short line over each speaker.
    """
    drawn = generated_faces if isinstance(generated_faces, Mapping) else {"generated": generated_faces}
    return _rows_of_faces({"true": true_faces, **drawn}, labels=labels)


@_figure
def face_rows(rows: Mapping[str, np.ndarray], *, labels: Sequence[str] | None = None) -> Figure:
    """Rows of faces of the same people, each row with its name.

    Parameters
    ----------
    rows : mapping of str to ndarray, uint8 [n, H, W, 3]
        Faces of each row.
    labels : sequence of str [n], optional
        A short line over each column.
    """
    return _rows_of_faces(rows, labels=labels)


@_figure
def sample_grids(samples: Mapping[str, np.ndarray], *, n_rows: int = 6, n_columns: int = 8) -> Figure:
    """The same voices drawn at several moments of the training, a row a moment.

    Parameters
    ----------
    samples : mapping of str to ndarray, uint8 [n, H, W, 3]
        Drawn faces by training step ("00000500"), such as an opened `samples.npz`.
    n_rows : int
        Moments shown, evenly spread, the first and the last among them.
    n_columns : int
        Voices shown.
    """
    steps = sorted(samples, key=int)
    picked = [steps[k] for k in np.unique(np.linspace(0, len(steps) - 1, n_rows).round().astype(int))]
    return _rows_of_faces({f"step {int(step):,}": samples[step][:n_columns] for step in picked}, labels=None)


def _rows_of_faces(rows: Mapping[str, np.ndarray], *, labels: Sequence[str] | None) -> Figure:
    n = len(next(iter(rows.values())))
    margin = 0.95  # in, for the names of the rows
    cell = min((WIDTH_IN - margin) / n, 1.3)
    top = 0.25 if labels is not None else 0.0
    figure, axes = _canvas(len(rows) * cell + top, n_rows=len(rows), n_columns=n)
    for line, (name, faces) in zip(axes, rows.items(), strict=True):
        for ax, face in zip(line, faces, strict=True):
            _face(ax, face)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=6)
    if labels is not None:
        for ax, label in zip(axes[0], labels, strict=True):
            ax.set_title(label, fontsize=8, fontweight="normal", loc="center", pad=3)
    _tight(figure)
    return figure


def _face(ax: Axes, face: np.ndarray) -> None:
    ax.imshow(face, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


# Training


@_figure
def loss_curves(
    log: pd.DataFrame, *, panels: Mapping[str, Sequence[str]] | None = None, smooth: int | None = None
) -> Figure:
    """Losses and other logged numbers over training steps.

    Parameters
    ----------
    log : DataFrame
        One row a logged step, with a column step.
    panels : mapping of str to sequence of str, optional
        Title of each panel and the columns in it; a panel for every numeric column but those of
        `training_health` if not given.
    smooth : int, optional
        Logged rows in the running mean drawn over the raw values; a fiftieth of them if not given.
    """
    smooth = smooth or max(1, len(log) // 50)
    if panels is None:
        apart = {"step", *(name for names in HEALTH.values() for name in names)}
        panels = {LOGGED.get(c, c): [c] for c in log.select_dtypes("number").columns if c not in apart}
    n_columns = min(2, len(panels))
    n_rows = int(np.ceil(len(panels) / n_columns))
    figure, axes = _canvas(2.1 * n_rows + 0.2, n_rows=n_rows, n_columns=n_columns, sharex=True)
    for ax in axes.flat[len(panels) :]:
        ax.axis("off")
    for ax, (title, names) in zip(axes.flat, panels.items(), strict=False):
        for name, colour in zip(names, COLOURS, strict=False):
            values = log[["step", name]].dropna()  # a column may be logged less often than the others
            mean = values[name].rolling(smooth, min_periods=1, center=True).mean()
            if smooth > 1:
                ax.plot(values["step"], values[name], color=colour, alpha=0.25, linewidth=0.7)
            marker = "o" if len(values) == 1 else None  # a line of one point cannot be seen
            ax.plot(values["step"], mean, color=colour, label=name.replace("_", " "), marker=marker)
        ax.set_title(title)
        if len(names) > 1:
            ax.legend(loc="best")
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    for ax in axes.flat[max(0, len(panels) - n_columns) : len(panels)]:  # the lowest of each column
        ax.set_xlabel("training step")
        ax.tick_params(labelbottom=True)
    return figure


def training_health(log: pd.DataFrame) -> Figure:
    """What tells whether a training was sound, and how fast it was: `HEALTH`, as far as the log has it.

    Parameters
    ----------
    log : DataFrame
        One row a logged step.
    """
    panels = {title: [name for name in names if name in log] for title, names in HEALTH.items()}
    return loss_curves(log, panels={title: names for title, names in panels.items() if names})


# Voices


@_figure
def voice(
    wave: np.ndarray | None,
    voiced: np.ndarray | None,
    log_mel: np.ndarray,
    *,
    sample_rate: int = 16000,
    frame_ms: float = 20,
    hop_ms: float = 10,
) -> Figure:
    """A recording, the parts kept as speech, and the log-mel spectrogram of those parts.

    Parameters
    ----------
    wave : ndarray, float [n_samples], or None
        The recording, in [−1, 1]; without one only the spectrogram is drawn.
    voiced : ndarray, bool [n_frames], or None
        Voice activity of each frame of `frame_ms`.
    log_mel : ndarray, float [n_mel_frames, 64]
        Spectrogram of the voiced parts joined together, one frame every `hop_ms`.
    sample_rate : int
        Hz.
    frame_ms, hop_ms : float
        ms.
    """
    if wave is None:
        figure, axes = _canvas(2.2)
        bottom = axes[0, 0]
    else:
        figure, axes = _canvas(3.6, n_rows=2, height_ratios=[1, 1.25])
        top, bottom = axes[:, 0]
        seconds = np.arange(len(wave)) / sample_rate
        for start, stop in _runs(voiced):
            top.axvspan(start * frame_ms / 1000, stop * frame_ms / 1000, color=ORANGE, alpha=0.25, linewidth=0)
        low, high, at = _envelope(wave, seconds, n_points=1400)
        top.fill_between(at, low, high, color=BLUE, linewidth=0.3)
        limit = max(float(np.abs(wave).max()), 1e-3) * 1.05
        top.set(xlim=(0, len(wave) / sample_rate), ylim=(-limit, limit), ylabel="amplitude", xlabel="time (s)")
        top.set_title(f"Recording, with the {voiced.sum() * frame_ms / 1000:.1f} s kept as speech shaded")
        top.grid(axis="y", visible=False)
    length = len(log_mel) * hop_ms / 1000
    image = bottom.imshow(
        log_mel.T,
        origin="lower",
        aspect="auto",
        extent=(0, length, -0.5, log_mel.shape[1] - 0.5),
        cmap="magma",
        interpolation="nearest",
        vmin=np.quantile(log_mel, 0.01),
        vmax=np.quantile(log_mel, 0.99),
    )
    ticks_hz = np.array([100, 500, 1000, 2000, 4000, 7000])
    bottom.set_yticks(_mel_bin(ticks_hz, n_mels=log_mel.shape[1]), [f"{hz:,}" for hz in ticks_hz])
    bottom.set(xlabel="time within the speech (s)", ylabel="frequency (Hz)")
    bottom.set_title("Log-mel spectrogram of the speech")
    bottom.grid(visible=False)
    figure.colorbar(image, ax=bottom, pad=0.01, aspect=14, label="log power")
    return figure


def _runs(mask: np.ndarray) -> np.ndarray:
    """Starts and ends of the true stretches of `mask`, int [k, 2]."""
    edges = np.diff(np.concatenate([[0], np.asarray(mask, int), [0]]))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], axis=1)


def _envelope(wave: np.ndarray, seconds: np.ndarray, *, n_points: int) -> tuple[np.ndarray, ...]:
    """Lowest and highest sample of each of `n_points` stretches: what a screen can show of a recording."""
    starts = np.unique(np.linspace(0, len(wave), n_points, endpoint=False).astype(int))
    return np.minimum.reduceat(wave, starts), np.maximum.reduceat(wave, starts), seconds[starts]


def _mel_bin(hz: np.ndarray, *, n_mels: int, low_hz: float = 20, high_hz: float = 7200) -> np.ndarray:
    """Place of a frequency among the mel filters, whose centres are evenly spaced on the mel scale."""
    low, mel, high = (2595 * np.log10(1 + np.asarray(f) / 700) for f in (low_hz, hz, high_hz))
    return (mel - low) / (high - low) * (n_mels + 1) - 1


@_figure
def durations(seconds: np.ndarray, *, voiced: np.ndarray | None = None) -> Figure:
    """Lengths of the recordings.

    Parameters
    ----------
    seconds : ndarray, float [n]
        Length of each recording, s.
    voiced : ndarray, float [n], optional
        Seconds of speech in each.
    """
    figure, axes = _canvas(2.4)
    ax = axes[0, 0]
    bins = np.histogram_bin_edges(np.concatenate([seconds, seconds if voiced is None else voiced]), bins=40)
    shown = {"recording": (seconds, BLUE)} | ({} if voiced is None else {"speech in it": (voiced, ORANGE)})
    for name, (values, colour) in shown.items():
        ax.hist(values, bins=bins, color=colour, alpha=0.55, label=f"{name}, median {np.median(values):.1f} s")
    ax.set(xlabel="length (s)", ylabel="recordings")
    ax.set_xlim(left=0)
    ax.legend()
    return figure


@_figure
def files_per_person(n_recordings: np.ndarray, n_photos: np.ndarray) -> Figure:
    """How many recordings and photos people have.

    Parameters
    ----------
    n_recordings, n_photos : ndarray, int [n_people]
        Counts of each person.
    """
    figure, axes = _canvas(2.2, n_columns=2)
    for ax, counts, what, colour in zip(
        axes[0], (n_recordings, n_photos), ("recordings", "photos"), (BLUE, ORANGE), strict=True
    ):
        low, high = int(np.min(counts)), int(np.max(counts))
        step = max(1, -(-(high - low + 1) // 30))  # at most 30 bars, each of whole numbers
        ax.hist(counts, bins=np.arange(low, high + step + 1, step) - 0.5, color=colour, alpha=0.8)
        ax.set(xlabel=f"{what} of a person", ylabel="people")
        ax.set_title(f"median {np.median(counts):g}, {low} to {high}")
        if low == high:
            ax.set_xticks([low])
        else:
            ax.xaxis.get_major_locator().set_params(integer=True)
        ax.yaxis.get_major_locator().set_params(integer=True)
    return figure


@_figure
def embedding_scatter(
    vectors: np.ndarray, identities: Sequence[str], genders: Sequence[str | None], *, title: str | None = None
) -> Figure:
    """Embeddings on their first two principal components: colour is sex, lines lead to the person's mean.

    Parameters
    ----------
    vectors : ndarray, float [n, d]
        Embeddings.
    identities : sequence of str [n]
        Whose each is.
    genders : sequence of "f", "m" or None [n]
        Sex of each.
    title : str, optional
        Line above.
    """
    centred = vectors - vectors.mean(0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    places = centred @ directions[:2].T  # [n, 2]
    share = sizes[:2] ** 2 / (sizes**2).sum() * 100
    identities, genders = np.asarray(identities, str), np.asarray(genders, object)
    figure, axes = _canvas(4.2)
    ax = axes[0, 0]
    known = [key for key, _, _ in SEXES]
    for (key, name, colour), marker in zip((*SEXES, (None, "sex unknown", GREY)), "os^", strict=True):
        rows = genders == key if key else ~np.isin(genders.astype(str), known)
        if not rows.any():
            continue
        for person in np.unique(identities[rows]):
            own = places[rows & (identities == person)]
            ends = np.stack([own, np.broadcast_to(own.mean(0), own.shape)], axis=1)  # [k, 2, 2]
            ax.plot(*ends.T, color=colour, alpha=0.3, linewidth=0.6)
        people = len(np.unique(identities[rows]))
        label = f"{name}: {people} people, {rows.sum()} points"
        ax.scatter(*places[rows].T, s=14, color=colour, marker=marker, alpha=0.8, linewidth=0, label=label)
    ax.set(xlabel=f"first component ({share[0]:.0f} % of the variance)", ylabel=f"second ({share[1]:.0f} %)")
    figure.legend(loc="outside lower center", ncols=3, handletextpad=0.2)
    if title:
        ax.set_title(title)
    return figure


# Corpora


@_figure
def corpus_counts(summary: Mapping) -> Figure:
    """People, recordings and photos of each split, by sex.

    Parameters
    ----------
    summary : mapping
        From `s2f.corpora.manifest.summary`.
    """
    figure, axes = _canvas(2.2, n_columns=3, sharey=True)
    names = list(summary["splits"])
    groups = (*SEXES, ("unknown", "sex unknown", GREY))
    handles = {}
    for ax, (key, title) in zip(
        axes[0], (("n_identities", "People"), ("n_recordings", "Recordings"), ("n_faces", "Photos")), strict=True
    ):
        left = np.zeros(len(names))
        for group, label, colour in groups:
            width = np.array([summary["splits"][name].get(group, {}).get(key, 0) for name in names])
            if width.any():
                handles[label] = ax.barh(names, width, left=left, color=colour, height=0.62)
                left += width
        for place, total in enumerate(left):
            ax.text(total, place, f" {int(total):,}", va="center", fontsize=8.5)
        ax.set_title(title)
        ax.set_xlim(0, max(left.max(), 1) * 1.28)
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
        ax.locator_params(axis="x", nbins=4)
        ax.grid(axis="y", visible=False)
    axes[0, 0].invert_yaxis()
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles))
    return figure


@_figure
def population_overlap(people: pd.DataFrame, *, columns: Mapping[str, str] | None = None) -> Figure:
    """How far the sexes overlap in what causes voices and faces.

    Parameters
    ----------
    people : DataFrame
        A row a person, with a column gender ("f", "m").
    columns : mapping of str to str, optional
        Columns to show and the label of each; pitch, vocal tract, height and some face traits if not given.
    """
    columns = columns or {
        "f0_hz": "pitch (Hz)",
        "vocal_tract_cm": "vocal tract (cm)",
        "height_cm": "height (cm)",
        "jaw_width": "jaw width (sd)",
        "brow_ridge": "brow ridge (sd)",
        "skin_tone": "skin tone (0–1)",
    }
    columns = {name: label for name, label in columns.items() if name in people}
    n_rows = int(np.ceil(len(columns) / 3))
    figure, axes = _canvas(1.75 * n_rows + 0.35, n_rows=n_rows, n_columns=min(3, len(columns)))
    for ax in axes.flat[len(columns) :]:
        ax.axis("off")
    handles = {}
    for ax, (name, label) in zip(axes.flat, columns.items(), strict=False):
        bins = np.histogram_bin_edges(people[name], bins=24)
        densities = []
        for key, sex, colour in SEXES:
            values = people.loc[people["gender"] == key, name]
            density, _, handle = ax.hist(values, bins=bins, density=True, color=colour, alpha=0.55)
            densities.append(density)
            handles[f"{sex} ({len(values)})"] = handle
        shared = (np.minimum(*densities) * np.diff(bins)).sum()
        ax.set_title(f"overlap {shared * 100:.0f} %", fontsize=8.5, fontweight="normal", loc="right")
        ax.set(xlabel=label, yticks=[])
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=2)
    return figure


# Results


@_figure
def metric_rows(rows: Mapping[str, Mapping], metrics: str | Sequence[str], *, chance: float | None = None) -> Figure:
    """Rows of the results side by side: values, their 95 % intervals, and chance as a dashed line.

    Parameters
    ----------
    rows : mapping
        The `rows` of a `metrics.json`.
    metrics : str or sequence of str
        A panel each; rows without a value in any of them are left out.
    chance : float, optional
        Value that chance gives, in the metrics' own unit.
    """
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    names = [r for r in rows if r != "chance" and any(rows[r][metric]["value"] is not None for metric in metrics)]
    figure, axes = _canvas(0.32 * max(len(names), 2) + 0.75, n_columns=len(metrics), sharey=True)
    for ax, metric in zip(axes[0], metrics, strict=True):
        scale = catalogue.METRICS[metric].form.scale
        if chance is not None:
            ax.axvline(chance * scale, color=GREY, linestyle=(0, (4, 3)), linewidth=1)
        for place, row in enumerate(names):
            entry = rows[row][metric]
            if entry["value"] is None:
                continue
            colour, size = (RED, 6.5) if row == "model" else (BLUE, 5)
            if entry["low"] is not None:
                ends = [entry["low"] * scale, entry["high"] * scale]
                ax.plot(ends, [place, place], color=colour, linewidth=2)
            ax.plot(entry["value"] * scale, place, "o", color=colour, markersize=size)
        ax.set_title(textwrap.fill(catalogue.METRICS[metric].title, 54 // len(metrics)), fontsize=9)
        ax.grid(axis="y", visible=False)
        ax.locator_params(axis="x", nbins=4 if len(metrics) > 1 else 8)
    axes[0, 0].set_yticks(range(len(names)), [catalogue.label(row) for row in names])
    axes[0, 0].set_ylim(max(len(names), 1) - 0.5, -0.5)
    if not names:
        axes[0, 0].text(0.5, 0.5, "no row has a value", transform=axes[0, 0].transAxes, ha="center", color=GREY)
    figure.get_layout_engine().set(wspace=0.06)
    text = "bar: 95 % interval over people" + ("" if chance is None else "; dashed: chance")
    figure.supxlabel(text, fontsize=8.5, color=GREY)
    return figure


@_figure
def error_rates(rates: ErrorRates | Mapping[str, ErrorRates]) -> Figure:
    """Errors of "same person?" against the threshold on the similarity, and where both are equal.

    Parameters
    ----------
    rates : ErrorRates, or a mapping of a title to one
        From `s2f.metrics.verification.error_rates`.
    """
    shown = rates if isinstance(rates, Mapping) else {"": rates}
    figure, axes = _canvas(2.7, n_columns=len(shown), sharey=True)
    for ax, (title, curve) in zip(axes[0], shown.items(), strict=True):
        equal = curve.equal_error_rate
        ax.plot(curve.thresholds, curve.false_accept * 100, color=BLUE, label="different people taken as one")
        ax.plot(
            curve.thresholds,
            curve.false_reject * 100,
            color=ORANGE,
            linestyle=(0, (5, 1.5)),
            label="one person taken as two",
        )
        ax.axhline(equal.value * 100, color=GREY, linewidth=0.8, linestyle=":")
        at = int(np.argmin(np.abs(curve.false_accept - curve.false_reject)))
        ax.plot(curve.thresholds[at], equal.value * 100, "o", color=INK, markersize=4)
        text = f"equal error {equal.value * 100:.1f} % [{equal.low * 100:.1f}, {equal.high * 100:.1f}]"
        ax.set_title(f"{title}: {text}" if title else text, fontsize=9)
        ax.set(xlabel="threshold on the cosine", ylim=(-2, 102))
    axes[0, 0].set_ylabel("errors (%)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


# The method


@_figure
def data_flow() -> Figure:
    """The poster's Figure 1 in our own drawing: from a recording to a face, and who judges it."""
    figure, axes = _canvas(3.4)
    ax = axes[0, 0]
    ax.set(xlim=(0, 100), ylim=(0, 48.5), aspect="equal")
    ax.axis("off")
    top, bottom = 35, 10
    ax.add_patch(_rounded(36, 0.5, 63.5, 20.5, face="#F6F6F6", edge="none"))
    ax.text(37.5, 18.6, "only while training", fontsize=8, color=GREY, va="center", style="italic")

    _wave_icon(ax, 8, top)
    _caption(ax, 8, top, "voice recording")
    _box(ax, 27, top, "voice\nembedding\nnetwork", colour=BLUE)
    _vector_icon(ax, 44, top)
    _caption(ax, 44, top, "voice embedding\n64 numbers")
    _box(ax, 62, top, "generator", colour=GREEN)
    _face_icon(ax, 82, top, colour=GREEN)
    ax.text(89, top, "generated\nface\n64×64×3", fontsize=8, va="center")

    _face_icon(ax, 44, bottom, colour=GREY)
    ax.text(44, bottom - 7.2, "real face", fontsize=8, ha="center", va="center")
    _box(ax, 62, bottom, "face\nembedding\nnetwork", colour=ORANGE)
    _box(ax, 89, 15.5, "discriminator", note="real or fake?", colour=ORANGE, size=(18, 8))
    _box(ax, 89, 5.3, "classifier", note="whose face?", colour=ORANGE, size=(18, 8))

    for left, right in ((15, 19.5), (34.5, 40), (48, 54.5), (69.5, 76.5)):
        _arrow(ax, (left, top), (right, top))
    _arrow(ax, (49.2, bottom), (54.5, bottom))
    _arrow(ax, (82, top - 6.5), (68, bottom + 6.2), curve=-0.2)
    _arrow(ax, (69.5, bottom), (80, 15.5), curve=0.0)
    _arrow(ax, (69.5, bottom), (80, 5.3), curve=0.0)
    return figure


def _rounded(x: float, y: float, width: float, height: float, *, face: str, edge: str):
    from matplotlib.patches import FancyBboxPatch

    shape = "round,pad=0,rounding_size=1.6"
    return FancyBboxPatch((x, y), width, height, boxstyle=shape, facecolor=face, edgecolor=edge, linewidth=1.4)


def _box(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    *,
    colour: str,
    note: str | None = None,
    size: tuple[float, float] = (15, 13),
) -> None:
    width, height = size
    patch = _rounded(x - width / 2, y - height / 2, width, height, face=_pale(colour), edge=colour)
    ax.add_patch(patch)
    ax.text(x, y + (1.5 if note else 0), text, ha="center", va="center", fontsize=8.5, fontweight="bold")
    if note:
        ax.text(x, y - 1.9, note, ha="center", va="center", fontsize=8)


def _pale(colour: str) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    return tuple(0.16 * part + 0.84 for part in to_rgb(colour))


def _arrow(ax: Axes, start: tuple[float, float], stop: tuple[float, float], *, curve: float = 0.0) -> None:
    style = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.1, "mutation_scale": 10, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", stop, start, arrowprops=style | {"connectionstyle": f"arc3,rad={curve}"})


def _caption(ax: Axes, x: float, y: float, text: str) -> None:
    ax.text(x, y + 8.2, text, ha="center", va="bottom", fontsize=8)


def _wave_icon(ax: Axes, x: float, y: float) -> None:
    heights = np.array([0.8, 1.8, 3.4, 5.2, 3.2, 1.2, 0.6, 2.2, 4.4, 6.0, 4.6, 2.4, 1.0])
    at = np.linspace(x - 5.4, x + 5.4, len(heights))
    ax.vlines(at, y - heights, y + heights, color=BLUE, linewidth=2.2)


def _vector_icon(ax: Axes, x: float, y: float) -> None:
    from matplotlib.patches import Rectangle

    values = np.array([[0.2], [0.9], [0.5], [0.1], [0.7], [1.0], [0.3], [0.6]])
    ax.imshow(values, extent=(x - 1.6, x + 1.6, y - 6.4, y + 6.4), cmap="Blues", vmin=-0.3, vmax=1.2, zorder=2)
    ax.add_patch(Rectangle((x - 1.6, y - 6.4), 3.2, 12.8, facecolor="none", edgecolor=BLUE, zorder=3))
    ax.set(xlim=(0, 100), ylim=(0, 48.5))


def _face_icon(ax: Axes, x: float, y: float, *, colour: str) -> None:
    from matplotlib.patches import Arc, Circle, Ellipse

    ax.add_patch(_rounded(x - 5, y - 5.6, 10, 11.2, face="white", edge=colour))
    ax.add_patch(Ellipse((x, y - 0.2), 6.4, 8.8, facecolor=_pale(colour), edgecolor=colour, linewidth=1.2))
    for side in (-1.4, 1.4):
        ax.add_patch(Circle((x + side, y + 0.9), 0.45, color=colour))
    ax.add_patch(Arc((x, y - 1.9), 2.8, 1.8, theta1=200, theta2=340, color=colour, linewidth=1.2))
