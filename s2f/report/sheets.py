"""Files as they lie on disk, for looking at: a recording, accepted photographs, rejected ones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from s2f.errors import AudioError, ImageError
from s2f.features import align, front_end, photo_files, sound_files
from s2f.features.store import Store

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
