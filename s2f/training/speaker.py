"""Speaker identification, which teaches the voice embedding what tells people apart.

The 2019 code for this step was never released; the paper says cross-entropy over speakers. With `scale` above
zero the softmax is the normalised one with an additive margin (Wang et al. 2018, "Additive Margin Softmax"),
which makes unit embeddings comparable by cosine, as the GAN uses them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from s2f import seeding
from s2f.errors import TrainingError
from s2f.models import EMBEDDING_DIM, VoiceEmbedding, seeded, unit
from s2f.training import state
from s2f.training.tracks import FRAMES_PER_S, N_FRAMES


@dataclass(frozen=True)
class SpeakerSettings:
    """Section ``voice`` of params/base.yaml, where each field is explained."""

    width: float
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    min_crop_s: float
    max_crop_s: float
    margin: float
    scale: float
    log_every: int


class _Head(nn.Module):
    def __init__(self, *, n_speakers: int, scale: float, margin: float) -> None:
        super().__init__()
        self.linear = nn.Linear(EMBEDDING_DIM, n_speakers, bias=scale == 0)
        self.scale, self.margin = scale, margin

    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.scale == 0:
            return self.linear(embeddings)  # [B, n_speakers]
        cosines = unit(embeddings) @ unit(self.linear.weight).T
        if labels is not None:
            cosines = cosines - self.margin * F.one_hot(labels, cosines.shape[1])
        return self.scale * cosines  # [B, n_speakers]


def train(
    log_mel: Callable[[int], np.ndarray],
    speakers: np.ndarray,
    *,
    settings: SpeakerSettings,
    seed: int,
    device: str,
    n_threads: int,
    folder: Path,
) -> tuple[VoiceEmbedding, Callable[[np.ndarray], np.ndarray]]:
    """Train a voice embedding to name the speaker.

    Parameters
    ----------
    log_mel : callable
        Normalised features float32 [n_frames, 64] of training recording i.
    speakers : int [n]
        Speaker of each training recording, counted from 0.
    folder : Path
        Where ``log.jsonl`` is written.

    Returns
    -------
    network : VoiceEmbedding
        In evaluation mode, on the CPU.
    logits : callable
        Speaker logits float32 [n, n_speakers] of embeddings float32 [n, 64].

    Raises
    ------
    TrainingError
        Fewer than two speakers, or a loss that is not finite.
    """
    n_speakers = int(speakers.max()) + 1 if len(speakers) else 0
    if n_speakers < 2:
        raise TrainingError(
            "speaker pre-training", f"has {n_speakers} speaker(s)", remedy="It needs at least two to tell apart."
        )
    torch.set_num_threads(n_threads)
    init = seeding.torch_stream(seed, "init")
    network = seeded(lambda: VoiceEmbedding(width=settings.width), generator=init).to(device)
    head = seeded(
        lambda: _Head(n_speakers=n_speakers, scale=settings.scale, margin=settings.margin), generator=init
    ).to(device)
    optimiser = torch.optim.AdamW(
        [*network.parameters(), *head.parameters()],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        foreach=True,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=settings.learning_rate, total_steps=settings.steps + 1, pct_start=0.2
    )
    draws = seeding.stream(seed, "batches")
    log = state.Log(folder / "log.jsonl", from_step=0)
    labels_all = torch.from_numpy(speakers.astype(np.int64))
    features = [np.asarray(log_mel(i)) for i in range(len(speakers))]
    network.train()
    progress = tqdm(range(1, settings.steps + 1), desc="speaker pre-training", unit="step", mininterval=1)
    for step in progress:
        picked = draws.integers(len(speakers), size=settings.batch_size)
        n_frames = int(draws.integers(settings.min_crop_s * FRAMES_PER_S, settings.max_crop_s * FRAMES_PER_S + 1))
        starts = draws.random(settings.batch_size)
        batch = np.stack([_crop(features[i], n_frames, s) for i, s in zip(picked, starts, strict=True)])
        inputs = torch.from_numpy(batch).to(device, torch.float32).transpose(1, 2)  # [B, 64, T]
        labels = labels_all[picked].to(device)
        logits = head(network(inputs), labels)
        loss = F.cross_entropy(logits, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % settings.log_every == 0 or step == settings.steps:
            value = loss.item()
            if not np.isfinite(value):
                raise TrainingError(
                    "speaker pre-training", f"has loss {value} at step {step}", remedy="Lower voice.learning_rate."
                )
            accuracy = (logits.argmax(1) == labels).float().mean().item()
            log.write({"step": step, "loss": value, "accuracy": accuracy})
            progress.set_postfix(loss=f"{value:.2f}", accuracy=f"{accuracy:.2f}")
    network = network.eval().cpu()
    head = head.eval().cpu()

    def logits_of(embeddings: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return head(torch.from_numpy(embeddings)).numpy()

    return network, logits_of


def _crop(features: np.ndarray, n_frames: int, start: float) -> np.ndarray:
    # A recording shorter than 1000 frames counts as repeated to 1000, so a crop may wrap around its end.
    n_repeated = max(len(features), N_FRAMES)
    first = int(start * (n_repeated - n_frames + 1))
    return features[np.arange(first, first + n_frames) % len(features)]  # [n_frames, 64]
