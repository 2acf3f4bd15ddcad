"""Files as they lie on disk, for looking at: a recording, accepted photographs, rejected ones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from s2f import audio, faces
from s2f.errors import ImageError
from s2f.store import Store

GREY = np.full((faces.SIZE_PX, faces.SIZE_PX, 3), 128, np.uint8)


def recording(sound: Path | np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray]:
    """A recording as `figures.voice` shows it.

    Parameters
    ----------
    sound : Path, or float32 [n_samples] in [−1, 1] at 16 kHz
        A .npy file is a processed recording.

    Returns
    -------
    wave : ndarray, float32 [n_samples], or None of a processed recording
    mask : ndarray, bool [n_frames], or None
        Voice activity.
    log_mel : ndarray, float32 [n_mel_frames, 64]
        Of the speech in it, not normalised; of a processed recording normalised.
    """
    if isinstance(sound, Path) and sound.suffix.lower() == ".npy":
        return None, None, audio.read_features(sound)
    wave = audio.read(sound) if isinstance(sound, Path) else sound
    return wave, audio.voiced_mask(wave), audio.log_mel(audio.voiced(wave))


def photos(paths: Iterable[str], root: Path) -> list[np.ndarray]:
    """Photographs as they lie on disk, uint8 [H, W, 3] each; a grey field where one cannot be decoded."""
    shown = []
    for path in paths:
        image = GREY
        with contextlib.suppress(ImageError):
            image = faces.read(root / path)
        shown.append(image)
    return shown


def rejected_photos(store: Store, root: Path, *, n: int) -> tuple[list[np.ndarray], list[str]]:
    """At most `n` rejected photographs, of every reason in turn, and the reason of each."""
    out = store.rejected()
    out = out[out["modality"] == "face"]
    turn = out.groupby("reason").cumcount()
    chosen = out.assign(turn=turn).sort_values(["turn", "reason"], kind="stable").head(n).sort_values("reason")
    return photos(chosen["path"], root), chosen["reason"].str.replace("_", " ").to_list()
