"""The packaged speaker encoder (GE2E, Wan et al. 2018): its weights, and what it makes of many recordings."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from s2f import files, provenance, weights, workers
from s2f.features.ge2e_front_end import partials
from s2f.networks.models import GE2EEmbedding

PART = 64  # recordings a file of what is done


def network() -> GE2EEmbedding:
    """The speaker encoder, in evaluation mode on the CPU.

    Raises
    ------
    CheckpointError: as `s2f.weights.locate`
    """
    state = torch.load(weights.locate("speaker"), map_location="cpu", weights_only=True)["model_state"]
    encoder = GE2EEmbedding()
    encoder.load_state_dict({key: state[key] for key in encoder.state_dict()})  # the rest only served its training
    return encoder.eval()


def tracks(
    paths: Sequence[str | Path], *, n_workers: int, kept: Path | None = None, digest: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Partial embeddings of recordings, made by several processes.

    Parameters
    ----------
    kept : Path, optional
        Folder for what is done, `PART` recordings a file: a run that was stopped goes on from there. It is the
        caller's to remove.
    digest : str, hash of the recordings' content; what was kept of other recordings, weights or code is left alone

    Returns
    -------
    tracks : float32 [total, 256]
    offsets : int64 [n_recordings + 1], recording i has the rows from ``offsets[i]`` to ``offsets[i + 1]``

    Raises
    ------
    AudioError: a recording that cannot be used
    """
    network()  # a missing package is said once, here
    parts = [[str(path) for path in paths[at : at + PART]] for at in range(0, len(paths), PART)]
    with contextlib.nullcontext(kept) if kept else tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / f"{key}.npz" for key in _keys(parts, digest)]
        _make(parts, places, n_workers=n_workers)
        loaded = []
        for place in places:
            with np.load(place) as part:
                loaded.append((part["rows"], part["lengths"]))
    rows, lengths = (np.concatenate(each) for each in zip(*loaded, strict=True))
    return rows, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _keys(parts: list[list[str]], digest: str) -> list[str]:
    """One hash a part, of everything that its embeddings are made from."""
    base = f"{weights.NETWORKS['speaker'].sha256} {digest} {provenance.code_key(__name__)}"
    return [hashlib.sha256((base + "\n".join(part)).encode()).hexdigest()[:16] for part in parts]


def _make(parts: list[list[str]], places: list[Path], *, n_workers: int) -> None:
    """Write the parts that are not there yet, each whole: `rows` [n, 256] and `lengths` [n_recordings]."""
    waiting = [(part, place) for part, place in zip(parts, places, strict=True) if not place.is_file()]
    if not waiting:
        return
    n, left = sum(map(len, parts)), sum(len(part) for part, _ in waiting)
    bar = tqdm(total=n, initial=n - left, desc="voice tracks", unit="recording", mininterval=1)
    with bar, workers.pool(n_workers, at="the voice tracks") as pool:
        for part, place in waiting:
            found = []
            for track in pool.map(_track, part):
                found.append(track)
                bar.update()
            with files.whole(place) as beside:
                np.savez(beside, rows=np.concatenate(found), lengths=[len(track) for track in found])


@functools.cache
def _network() -> GE2EEmbedding:
    torch.set_num_threads(1)
    return network()


def _track(path: str) -> np.ndarray:
    with torch.inference_mode():
        return _network().in_pieces(partials(path)).numpy()  # [n_partials, 256]
