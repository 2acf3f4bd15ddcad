"""How good a voice embedding is: does it name speakers from videos it has not heard, does it tell strangers apart?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from s2f import seeding
from s2f.metrics import bootstrap, verification
from s2f.training import data

VERSION = 2  # of voice/metrics.json
SECONDS = (1, 2, 3, 5, 10)  # of speech, that strangers' recordings are cut to

INTERVAL = ("value", "low", "high")


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
    return _rates(data.embeddings(folder, strangers).numpy(), strangers, seed=seed)


def by_length(folder: Path, strangers: pd.DataFrame, *, seed: int, seconds: Sequence[float] = SECONDS) -> pd.DataFrame:
    """Error rates with every recording cut to its first seconds: cosines grow with length, and these are of one.

    Only recordings that hold as much speech count, so that people may differ from line to line.

    Parameters
    ----------
    folder : Path, of the voice tracks, whose vectors are counted: a cut of GE2E's is up to 0.6 s longer
    strangers : DataFrame, rows of the store's index; its voice_s, where known, says how long they are

    Returns
    -------
    DataFrame
        A row a length: seconds, n_recordings, n_identities, n_same and n_different (pairs), value, low and high of the
        equal error rate, cosine_same and cosine_different (means); missing where there is nothing to compare.
    """
    whole = data.tracks(folder, strangers)
    there = whole.lengths.numpy()
    if "voice_s" in strangers:  # short recordings are repeated for our own encoder
        spoken = strangers["voice_s"].to_numpy(float) * whole.per_s
        there = np.where(np.isfinite(spoken), np.minimum(there, spoken), there)
    rows = []
    for s in seconds:
        n = max(1, int(s * whole.per_s))
        kept = np.flatnonzero(there >= n)
        part = strangers.iloc[kept]
        vectors = whole.windows(torch.from_numpy(kept), torch.zeros(len(kept), dtype=torch.long), n)
        rates = _rates(torch.nn.functional.normalize(vectors, dim=1).numpy(), part, seed=seed)
        row = {"seconds": s, "n_recordings": len(kept), "n_identities": part["identity"].nunique()}
        row |= {name: 0 if rates is None else getattr(rates, name) for name in ("n_same", "n_different")}
        row |= {part: None if rates is None else getattr(rates.equal_error_rate, part) for part in INTERVAL}
        row |= {name: None if rates is None else getattr(rates, name) for name in ("cosine_same", "cosine_different")}
        rows.append(row)
    return pd.DataFrame(rows)


def _rates(vectors: np.ndarray, strangers: pd.DataFrame, *, seed: int) -> verification.ErrorRates | None:
    sources = strangers["source_id"].to_numpy(str) if strangers["source_id"].notna().all() else None
    names = strangers["identity"].to_numpy(str)
    rng = seeding.stream(seed, "bootstrap")
    found = bootstrap.unless_too_few(lambda: verification.error_rates(vectors, names, sources=sources, rng=rng))
    return None if isinstance(found, str) else found


def metrics(
    right: np.ndarray,
    rates: verification.ErrorRates | None,
    lengths: pd.DataFrame,
    *,
    n_speakers: int,
    weights_sha256: str | None = None,
) -> dict:
    """What ``voice/metrics.json`` keeps; what could not be measured is null, with the reason.

    `lengths` is from `by_length`; `weights_sha256` is that of the file that the encoder's weights were loaded from.
    """
    error = None if rates is None else rates.equal_error_rate
    return {
        "version": VERSION,
        "top1_set_aside": {
            "value": float(right.mean()) if len(right) else None,
            "reason": None if len(right) else "no recording is set aside: none was asked for, or nobody has two videos",
        },
        "n_set_aside": len(right),
        "n_speakers": n_speakers,
        "equal_error_rate": {
            **{part: None if error is None else getattr(error, part) for part in INTERVAL},
            "reason": None if error is not None else "too few strangers with two recordings to compare",
        },
        "n_same": 0 if rates is None else rates.n_same,
        "n_different": 0 if rates is None else rates.n_different,
        "by_length": lengths.astype(object).where(lengths.notna(), None).to_dict("records"),
        "weights_sha256": weights_sha256,
    }
