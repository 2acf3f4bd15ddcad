"""Voice tracks: what the frozen voice embedding makes of every recording, before its time average.

The network's convolutions see 63 frames and step by 32, so the embedding of a crop whose ends lie on multiples
of 32 frames is the mean of a window of the track (its first vector apart, which sees zeros where the crop
begins). A running sum turns that mean into two look-ups, and GAN training never touches audio again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from s2f import files
from s2f.networks.models import FRAMES_PER_VECTOR, VoiceEmbedding

N_FRAMES = 1000  # a shorter recording is repeated to this (10 s; poster and 2019 code)
FRAMES_PER_S = 100
OWN_PER_S = FRAMES_PER_S / FRAMES_PER_VECTOR  # vectors of our own encoder a second


def repeated(log_mel: np.ndarray) -> np.ndarray:
    """Features [n_frames, 64] repeated and cut to 1000 frames; longer ones as they are.

    As `s2f.features.front_end.repeat`, whose module needs packages that are not there where a GPU alone trains.
    """
    if len(log_mel) >= N_FRAMES:
        return log_mel
    return np.tile(log_mel, (-(-N_FRAMES // len(log_mel)), 1))[:N_FRAMES]  # [1000, 64]


def compute(
    network: VoiceEmbedding,
    log_mel: Callable[[int], np.ndarray],
    *,
    n_recordings: int,
    device: str,
    batch_size: int = 64,
) -> tuple[np.ndarray, np.ndarray]:
    """Tracks float32 [total, 64] of all recordings, and their offsets int64 [n_recordings + 1].

    Recording i, whose normalised features are ``log_mel(i)``, float32 [n_frames, 64], has the rows from
    ``offsets[i]`` to ``offsets[i + 1]``.
    """
    network = network.eval().to(device)
    tracks: list[np.ndarray] = []
    waiting: list[np.ndarray] = []

    def flush() -> None:
        if waiting:
            batch = torch.from_numpy(np.stack(waiting)).to(device).transpose(1, 2)  # [B, 64, T]
            tracks.extend(network.sequence(batch).transpose(1, 2).cpu().numpy())  # [B, T / 32, 64]
            waiting.clear()

    with torch.inference_mode():
        for i in tqdm(range(n_recordings), desc="voice tracks", unit="recording", mininterval=1):
            features = repeated(log_mel(i))
            if waiting and (len(waiting) == batch_size or len(features) != len(waiting[0])):
                flush()
            waiting.append(features)
        flush()
    network.cpu()
    offsets = np.concatenate([[0], np.cumsum([len(t) for t in tracks])]).astype(np.int64)
    return np.concatenate(tracks).astype(np.float32), offsets


def write(folder: Path, tracks: np.ndarray, offsets: np.ndarray, *, per_s: float = OWN_PER_S) -> None:
    """Write ``tracks.npy``, ``track_offsets.npy`` and, in ``tracks.json``, how many vectors a second there are."""
    files.write_json(folder / "tracks.json", {"vectors_per_s": per_s})
    for name, array in (("tracks.npy", tracks), ("track_offsets.npy", offsets)):
        with files.whole(folder / name) as beside:
            np.save(beside, array)


def read_per_s(folder: Path) -> float:
    """Vectors a second of the tracks in a folder."""
    return float(json.loads((folder / "tracks.json").read_text(encoding="utf-8"))["vectors_per_s"])


class Tracks:
    """Tracks on a device, as running sums.

    Parameters
    ----------
    tracks, offsets : arrays, as `compute` returns them
    recordings : int [n], which recordings to keep, in this order
    per_s : float, vectors a second
    """

    def __init__(
        self, tracks: np.ndarray, offsets: np.ndarray, recordings: np.ndarray, *, device: str, per_s: float = OWN_PER_S
    ) -> None:
        self.per_s, self.dim = per_s, tracks.shape[1]
        lengths = np.diff(offsets)[recordings]
        sums = np.zeros((int(lengths.sum()) + len(recordings), tracks.shape[1]), np.float32)
        starts = np.cumsum(lengths + 1) - (lengths + 1)
        for start, length, recording in zip(starts, lengths, recordings, strict=True):
            rows = np.asarray(tracks[offsets[recording] : offsets[recording + 1]], np.float64)
            sums[start + 1 : start + 1 + length] = np.cumsum(rows, axis=0)
        self.sums = torch.from_numpy(sums).to(device)  # [total + n, dim]
        self.starts = torch.from_numpy(starts.astype(np.int64)).to(device)  # [n]
        self.lengths = torch.from_numpy(lengths.astype(np.int64)).to(device)  # [n]

    def __len__(self) -> int:
        return len(self.starts)

    def windows(self, recordings: Tensor, first: Tensor, n_vectors: Tensor | int) -> Tensor:
        """Means of `n_vectors` rows from row `first` of each recording: float [B, dim], not normalised.

        A window longer than a recording is the whole recording.
        """
        lengths = self.lengths[recordings]
        n = torch.minimum(lengths, torch.as_tensor(n_vectors, device=lengths.device))  # [B]
        first = torch.minimum(torch.as_tensor(first, device=lengths.device).clamp(min=0), lengths - n)
        at = self.starts[recordings] + first
        return (self.sums[at + n] - self.sums[at]) / n[:, None]

    def crops(self, recordings: Tensor, min_s: float, max_s: float, *, draws: torch.Generator) -> Tensor:
        """Means of a random window of each recording: float [B, dim], not normalised.

        All have one random length from `min_s` to `max_s` seconds, as in the 2019 code.
        """
        low, high = crop_vectors(min_s, max_s, per_s=self.per_s)
        device = self.lengths.device
        n_vectors = torch.randint(low, high + 1, (), generator=draws, device=device)
        room = self.lengths[recordings] - n_vectors + 1
        first = (torch.rand(len(recordings), generator=draws, device=device) * room).long()
        return self.windows(recordings, first, n_vectors)

    def whole(self) -> Tensor:
        """Mean of every recording, as at test time: float [n, dim], not normalised."""
        everyone = torch.arange(len(self), device=self.starts.device)
        return self.windows(everyone, torch.zeros_like(self.starts), self.lengths)


def crop_vectors(min_s: float, max_s: float, *, per_s: float = OWN_PER_S) -> tuple[int, int]:
    """Shortest and longest crop as numbers of track vectors, of which there are `per_s` a second."""
    return max(1, round(min_s * per_s)), max(1, round(max_s * per_s))
