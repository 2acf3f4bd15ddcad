"""Figures of a training: what it logged, and what it drew on its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from s2f.report.face_figures import face_rows
from s2f.report.style import COLOURS, canvas, evenly, in_theme, listed, say
from s2f.training import saves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from s2f.training.voice_embedding import Encoder

# Panels of `training_health`, and the columns of a log in them.
HEALTH: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "length of all gradients": ("grad_generator", "grad_critics", "grad_network"),
        "discriminator right, variety of drawn faces (shares)": ("d_right", "diversity"),
        "distance of the mean scores": ("score_gap",),
        "iterations a second": ("it_per_s",),
        "highest memory (MB)": ("memory_mb",),
    }
)
NO_LOSS = frozenset({"step", *(name for names in HEALTH.values() for name in names)})  # columns of a log
FROM_ZERO = frozenset({"iterations a second", "highest memory (MB)"})  # how much, not how it moves
LOGGED: Mapping[str, str] = MappingProxyType(
    {
        "d": "discriminator: real or fake?",
        "c": "classifier: whose real face?",
        "g_real": "generator: taken for real?",
        "g_identity": "generator: the speaker's identity?",
        "g_pixel": "drawn face: pixels against a photo",
        "g_edge": "drawn face: edges against a photo",
        "g_feature": "drawn face: features of the discriminator",
        "score_real": "discriminator: mean score of real faces",
        "score_fake": "discriminator: mean score of drawn faces",
        "loss": "loss",
        "accuracy": "share of training crops whose speaker is recognised",
    }
)


@in_theme
def loss_curves(
    log: pd.DataFrame, *, panels: Mapping[str, Sequence[str]] | None = None, smooth: int | None = None
) -> Figure:
    """Losses and other logged numbers over training steps.

    Parameters
    ----------
    log : DataFrame, one row a logged step, with a column step
    panels : mapping of str to sequence of str, optional
        Title of each panel and the columns in it; a panel for every numeric column but those of
        `training_health` if not given.
    smooth : int, optional, logged rows in the running mean drawn over the raw values; a fiftieth of them if not given
    """
    smooth = smooth or max(1, len(log) // 50)
    if panels is None:
        panels = {LOGGED.get(c, c): [c] for c in log.select_dtypes("number").columns if c not in NO_LOSS}
    n_columns = min(2, len(panels))
    n_rows = int(np.ceil(len(panels) / n_columns))
    figure, axes = canvas(2.1 * n_rows + 0.2, n_rows=n_rows, n_columns=n_columns, sharex=True)
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
        if title in FROM_ZERO:
            ax.set_ylim(bottom=0, top=1.08 * ax.get_ylim()[1])
        if len(names) > 1:
            ax.legend(loc="best")
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
        if ax.get_ylim()[1] >= 1000:
            ax.yaxis.set_major_formatter(lambda y, _: f"{y:,.0f}")
    for ax in axes.flat[max(0, len(panels) - n_columns) : len(panels)]:  # the lowest of each column
        ax.set_xlabel("training step")
        ax.tick_params(labelbottom=True)
    told = [_course(log, title, names) for title, names in panels.items()]
    say(figure, f"Curves over {log['step'].max():,.0f} training steps, from first to last: {listed(told)}.")
    return figure


def _course(log: pd.DataFrame, title: str, names: Sequence[str]) -> str:
    """Where the curves of a panel begin and end."""
    ends = []
    for name in names:
        values = log[name].dropna()
        own = f"{name.replace('_', ' ')} " if len(names) > 1 else ""
        ends.append(f"{own}{values.iloc[0]:.3g} to {values.iloc[-1]:.3g}" if len(values) else f"{own}nothing logged")
    return f"{title} {' and '.join(ends)}"


def training_health(log: pd.DataFrame) -> Figure:
    """What tells whether a training was sound, and how fast it was: `HEALTH`, as far as the log has it.

    Parameters
    ----------
    log : DataFrame, one row a logged step
    """
    panels = {title: [name for name in names if name in log] for title, names in HEALTH.items()}
    return loss_curves(log, panels={title: names for title, names in panels.items() if names})


def sample_grids(samples: Mapping[str, np.ndarray], *, n_rows: int = 6, n_columns: int = 8) -> Figure:
    """The same voices drawn at several moments of the training, a row a moment.

    Parameters
    ----------
    samples : mapping of str to ndarray, uint8 [n, H, W, 3]
        Drawn faces by training step ("00000500"), such as an opened `samples.npz`.
    n_rows : int, moments shown, evenly spread, the first and the last among them
    n_columns : int, voices shown
    """
    steps = sorted(samples, key=int)
    picked = [steps[k] for k in evenly(len(steps), most=n_rows)]
    rows = {f"step {int(step):,}": samples[step][:n_columns] for step in picked}
    return face_rows(rows, what="Faces drawn from the same voices, at several moments of the training")


def _game(folder: Path) -> bool:
    """Whether a variant's training was a game of generator and discriminator, or came to one."""
    return (folder / "log.jsonl").is_file()


def about(folder: Path, *, health: bool = False) -> str:
    """What `learning` shows of a variant's training."""
    if health:
        share, variety = (
            "the discriminator's share of right answers",
            "the variety of drawn faces beside that of real ones",
        )
        game = f"{share}, {variety}, " if _game(folder) else ""
        return f"Length of the gradients, {game}iterations a second and memory. A point is one line of the log."
    if not _game(folder):
        return "The sampler's loss, which cannot reach 0, since one voice has many faces."
    losses = "Losses of the generator and of the discriminator side"
    scores = "the discriminator's mean scores of real and drawn faces; a curve begins where its network takes part"
    return f"{losses}, and {scores}. Adversarial losses need not fall; they should not run away."


def about_faces(folder: Path) -> str:
    """What `what_it_draws` shows of a variant."""
    if (folder / "samples.npz").is_file():
        return "One column a person, one row a moment of the training."
    shared = "What a row shares was heard, or learned by heart; what varies in it is made up."
    return f"A row a voice, eight draws each. {shared}"


def learning(folder: Path, *, health: bool = False) -> Figure:
    """Curves of a variant's training: of the game where there was one, otherwise of its sampler.

    Parameters
    ----------
    folder : Path, the variant's
    health : bool, `training_health` instead of losses
    """
    log = pd.DataFrame(saves.read_log((folder if _game(folder) else folder / "sampler") / "log.jsonl"))
    return training_health(log) if health else loss_curves(log)


def what_it_draws(folder: Path, draws: np.ndarray) -> Figure:
    """What a variant draws: over time where it was kept in ``samples.npz``, otherwise a row of draws a voice.

    Parameters
    ----------
    folder : Path, the variant's
    draws : ndarray, uint8 [n_voices, n_draws, H, W, 3]
    """
    path = folder / "samples.npz"
    if path.is_file():
        return sample_grids(np.load(path))
    rows = {f"voice {k + 1}": own for k, own in enumerate(draws)}
    return face_rows(rows, what="Several faces drawn from each of some voices")


def show_learning(encoder: Encoder, *, folder: Path) -> Figure | None:
    """Learning curves where the encoder was trained here, otherwise a sentence.

    Parameters
    ----------
    folder : Path, where the training's ``log.jsonl`` lies
    """
    if encoder.weights_sha256 is None:
        return loss_curves(pd.DataFrame(saves.read_log(folder / "log.jsonl")))
    print(f"The encoder was not trained here: its weights were loaded (SHA-256 {encoder.weights_sha256}).")
    return None
