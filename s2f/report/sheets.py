"""Pictures for looking at: files as they lie on disk, and heads of which one trait is moved."""

from __future__ import annotations

import contextlib
import html
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from s2f.corpora.synthetic import anatomy, camera, population
from s2f.errors import AudioError, ImageError
from s2f.features import align, front_end, photo_files, sound_files
from s2f.features.store import Store

if TYPE_CHECKING:
    from IPython.display import HTML

STEPS = (-2, 0, 2)  # standard deviations
STEP_LABELS = ("−2", "0", "+2")
GREY = np.full((align.SIZE_PX, align.SIZE_PX, 3), 128, np.uint8)


def recording(sound: Path | np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray]:
    """A recording as `voice_figures.voice` shows it.

    Parameters
    ----------
    sound : Path, or float32 [n_samples] in [−1, 1] at 16 kHz, a .npy file is a processed recording

    Returns
    -------
    wave : ndarray, float32 [n_samples], or None of a processed recording
    mask : ndarray, bool [n_frames], or None, voice activity
    log_mel : ndarray, float32 [n_mel_frames, 64]
        Of the speech in it, not normalised; of a processed recording normalised.
    """
    if isinstance(sound, Path) and sound.suffix.lower() == ".npy":
        return None, None, sound_files.read_features(sound)
    wave = sound_files.read(sound) if isinstance(sound, Path) else sound
    return wave, front_end.voiced_mask(wave), front_end.log_mel(front_end.voiced(wave))


def player(wave: np.ndarray | None, *, what: str) -> HTML | None:
    """A recording to listen to, named by what it is; None where there is no wave.

    Parameters
    ----------
    wave : ndarray, float [n_samples] at 16 kHz, or None
    """
    from IPython.display import HTML, Audio

    if wave is None:
        return None
    name = html.escape(what, quote=True)
    sound = Audio(wave, rate=front_end.SAMPLE_RATE)._repr_html_().replace("<audio", f'<audio aria-label="{name}"', 1)
    return HTML(f"<figure class='player'><figcaption>{name}</figcaption>{sound}</figure>")


def photos(paths: Iterable[str], root: Path) -> list[np.ndarray]:
    """Photographs as they lie on disk, uint8 [H, W, 3] each; a grey field where one cannot be decoded."""
    shown = []
    for path in paths:
        image = GREY
        with contextlib.suppress(ImageError):
            image = photo_files.read(root / path)
        shown.append(image)
    return shown


def rejected_photos(store: Store, root: Path, *, n: int) -> tuple[list[np.ndarray], list[str]]:
    """At most `n` rejected photographs, of every reason in turn, and the reason of each."""
    out = store.rejected()
    out = out[out["modality"] == "face"]
    turn = out.groupby("reason").cumcount()
    chosen = out.assign(turn=turn).sort_values(["turn", "reason"], kind="stable").head(n).sort_values("reason")
    return photos(chosen["path"], root), chosen["reason"].str.replace("_", " ").to_list()


def durations(manifest: pd.DataFrame, root: Path, *, max_files: int = 2000) -> pd.Series:
    """Seconds of recordings, read from their headers, of at most `max_files` spread over the manifest.

    A recording whose header cannot be read is left to preprocessing, which rejects it.
    """
    paths = manifest.loc[manifest["modality"] == "voice", "path"].to_numpy()
    step = max(1, -(-len(paths) // max_files))  # rounded up, so that there are never more
    seconds = []
    for path in paths[::step]:
        with contextlib.suppress(AudioError):
            seconds.append(sound_files.duration_s(root / path))
    return pd.Series(seconds, name="duration_s", dtype=float)


def some_photos(manifest: pd.DataFrame, root: Path, *, n: int) -> list[np.ndarray]:
    """One photograph each of the first `n` people, the first of theirs that can be read, uint8 [H, W, 3] each."""
    shown = []
    for _, paths in manifest[manifest["modality"] == "face"].groupby("identity", sort=False)["path"]:
        for path in paths:
            with contextlib.suppress(ImageError):
                shown.append(photo_files.read(root / path))
                break
        if len(shown) == n:
            break
    return shown


def traits_moved() -> dict[str, np.ndarray]:
    """The average woman and the average man of the synthetic corpus, with one trait moved by each of `STEPS`.

    Returns
    -------
    dict of str to uint8 [2 * len(STEPS), 64, 64, 3]
        One row a trait that shares causes with the voice: the woman's photographs, then the man's, aligned as the
        networks see them.
    """
    sizes = population.causes()["face"]
    middle: dict[str, Any] = dict.fromkeys(anatomy.SHAPES, 0.0) | {
        "identity": "average",
        "skin_tone": 0.35,
        "fringe": 0.3,
    }
    middle |= {"hair_colour": "brown", "eye_colour": "brown", "glasses": False, "beard_style": "stubble"}
    rows = {}
    for trait in population.CAUSED:
        photos = []
        for sign in (-1, 1):
            person = middle | {name: sign * sizes[name]["sex"] / 2 for name in population.CAUSED}
            for step in STEPS:
                moved = person | {trait: person[trait] + step}
                (photo,), (marks,) = camera.render(moved, n=1, rng=np.random.default_rng(7), size_px=128)
                photos.append(align.align(photo, marks))
        rows[trait.replace("_", " ")] = np.stack(photos)
    return rows
