"""Files of a store as they lie on disk, for looking at: a recording, accepted photographs, rejected ones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from s2f import audio, faces
from s2f.errors import ImageError
from s2f.store import Store

GREY = np.full((faces.SIZE_PX, faces.SIZE_PX, 3), 128, np.uint8)


def recording(store: Store, root: Path, *, row: int = 0) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray]:
    """A recording as `figures.voice` shows it.

    Returns
    -------
    wave : ndarray, float32 [n_samples], or None where the corpus holds log-mels only
    mask : ndarray, bool [n_frames], or None
        Voice activity.
    log_mel : ndarray, float32 [n_mel_frames, 64]
        Of the speech in it, not normalised; of a processed corpus as it is stored.
    """
    if store.parameters["processed"]:
        return None, None, store.mel(row)
    wave = audio.read(root / store.voices()["path"].iloc[row])
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
