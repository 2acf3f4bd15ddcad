"""The picture that other sites show of a link to the book: the question, above faces that the run drew from voices."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np

from s2f import files
from s2f.report.style import GREY, INK, evenly
from s2f.study.finished import Finished

SIZE_PX = (1200, 630)  # what those sites ask for
N_FACES = 8
QUESTION = "What can a voice tell about a face, and what does a GAN make up?"


def draw(faces: np.ndarray | None, text: str, path: str | Path) -> None:
    """Write the card as PNG.

    Parameters
    ----------
    faces : ndarray, uint8 [n, H, W, 3], or None, drawn faces; some, evenly spread, are shown
    text : str, what the run is, as the banner says it
    path : str or Path, of the PNG
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIZE_PX[0] / 100, SIZE_PX[1] / 100), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.05, 0.90, "Speech to face", fontsize=22, color=GREY, va="center")
    figure.text(0.05, 0.66, textwrap.fill(QUESTION, 36), fontsize=36, color=INK, fontweight="bold", va="center")
    figure.text(0.05, 0.07, textwrap.fill(text, 110), fontsize=14, color=GREY, va="center", parse_math=False)
    if faces is not None and len(faces):
        for place, face in enumerate(faces[evenly(len(faces), most=N_FACES)]):
            ax = figure.add_axes((0.05 + place * 0.9 / N_FACES, 0.15, 0.86 / N_FACES, 0.26))
            ax.imshow(face, interpolation="lanczos")
            ax.axis("off")
    with files.whole(path) as beside:
        figure.savefig(beside, format="png", dpi=100)


def of_run(finished: Finished) -> np.ndarray | None:
    """Faces that the general variant of a run drew of test people; None where there are none."""
    path = finished.folder("metrics") / "faces.npy"
    return np.load(path, mmap_mode="r") if path.is_file() else None
