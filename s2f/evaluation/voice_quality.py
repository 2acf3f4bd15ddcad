"""How good a voice embedding is: does it name speakers from videos it has not heard, does it tell strangers apart?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from s2f import seeding
from s2f.errors import MetricError
from s2f.metrics import verification
from s2f.training import data

VERSION = 1  # of voice/metrics.json


def named_right(
    folder: Path, logits: Callable[[np.ndarray], np.ndarray] | None, training: data.Selection, aside: pd.DataFrame
) -> np.ndarray:
    """Whether each recording that was set aside (rows of the store's index) is given to its speaker, bool [n].

    `folder` has the voice tracks. `logits` is the classifier of the pre-training; without it the speaker is named whose
    mean embedding is nearest. n may be 0.
    """
    if logits is None:
        return _nearest(folder, training, aside) == training.codes(aside)
    embedded = data.tracks(folder, aside).whole().numpy()  # [n, 64]
    return logits(embedded).argmax(1) == training.codes(aside)


def _nearest(folder: Path, training: data.Selection, aside: pd.DataFrame) -> np.ndarray:
    heard = training.voices[training.voices["fold"] == 0]
    vectors, codes = data.embeddings(folder, heard).numpy(), training.codes(heard)
    sums = np.zeros((len(training.identities), vectors.shape[1]), np.float32)
    np.add.at(sums, codes, vectors)
    centres = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    cosines = data.embeddings(folder, aside).numpy() @ centres.T  # [n, n_identities]
    cosines[:, np.bincount(codes, minlength=len(sums)) == 0] = -np.inf  # nobody has heard them
    return cosines.argmax(1)


def error_rates(folder: Path, strangers: pd.DataFrame, *, seed: int) -> verification.ErrorRates | None:
    """Error rates over pairs of strangers' recordings; None where too few have two recordings to compare.

    Pairs within one video are left out where videos are known.
    """
    sources = strangers["source_id"].to_numpy(str) if strangers["source_id"].notna().all() else None
    names = strangers["identity"].to_numpy(str)
    vectors = data.embeddings(folder, strangers).numpy()
    try:
        return verification.error_rates(vectors, names, sources=sources, rng=seeding.stream(seed, "bootstrap"))
    except MetricError as error:
        if error.reason != "too_few":
            raise
        return None


def metrics(
    right: np.ndarray, rates: verification.ErrorRates | None, *, n_speakers: int, weights_sha256: str | None = None
) -> dict:
    """What ``voice/metrics.json`` keeps; what could not be measured is null, with the reason.

    `weights_sha256` is that of the file that the encoder's weights were loaded from.
    """
    error = None if rates is None else rates.equal_error_rate
    return {
        "version": VERSION,
        "top1_set_aside": {
            "value": float(right.mean()) if len(right) else None,
            "reason": None if len(right) else "no recording is set aside: nobody has recordings of two videos",
        },
        "n_set_aside": len(right),
        "n_speakers": n_speakers,
        "equal_error_rate": {
            **{part: None if error is None else getattr(error, part) for part in ("value", "low", "high")},
            "reason": None if error is not None else "too few strangers with two recordings to compare",
        },
        "n_same": 0 if rates is None else rates.n_same,
        "n_different": 0 if rates is None else rates.n_different,
        "weights_sha256": weights_sha256,
    }
