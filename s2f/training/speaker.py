"""Speaker identification, which teaches the voice embedding what tells people apart.

The 2019 code for this step was never released; the paper says cross-entropy over speakers. With `scale` above
zero the softmax is the normalised one with an additive margin (Wang et al. 2018, "Additive Margin Softmax"),
which makes unit embeddings comparable by cosine, as the GAN uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2f import seeding
from s2f.errors import TrainingError
from s2f.networks.models import EMBEDDING_DIM, VoiceEmbedding, seeded, unit
from s2f.settings import Voice
from s2f.training import loop
from s2f.training.data import fits
from s2f.training.health import Watch
from s2f.training.tracks import FRAMES_PER_S, N_FRAMES


class Recordings:
    """Training recordings on a device, or where they lie, and crops of them.

    Parameters
    ----------
    frames : ndarray, float16 or float32 [total, 64]
        Normalised log-mel frames of recordings, one after another; may be mapped into memory. Copied to a GPU
        where they fit, otherwise gathered where they lie.
    starts, lengths : int [n], first frame and number of frames of each recording
    speakers : int [n], speaker of each recording, counted from 0

    Raises
    ------
    TrainingError: fewer than two speakers
    """

    def __init__(
        self, frames: np.ndarray, starts: np.ndarray, lengths: np.ndarray, speakers: np.ndarray, *, device: str
    ) -> None:
        self.n_speakers = int(speakers.max()) + 1 if len(speakers) else 0
        if self.n_speakers < 2:
            problem, remedy = f"has {self.n_speakers} speaker(s)", "It needs at least two to tell apart."
            raise TrainingError("speaker pre-training", problem, remedy=remedy)
        self.starts, self.lengths, self.device = np.asarray(starts), np.asarray(lengths), device
        self.speakers = torch.from_numpy(speakers.astype(np.int64))
        self.frames: np.ndarray | Tensor = frames
        if device == "cuda" and fits(frames.nbytes, device):
            self.frames = torch.from_numpy(np.ascontiguousarray(frames)).to(device)

    def crops(self, picked: np.ndarray, n_frames: int, places: np.ndarray) -> Tensor:
        """Crops float32 [B, n_frames, 64] of the recordings `picked`, at `places` in [0, 1) of where they may begin.

        A recording shorter than 1000 frames counts as repeated to 1000, so a crop may wrap around its end.
        """
        lengths = self.lengths[picked]
        first = (places * (np.maximum(lengths, N_FRAMES) - n_frames + 1)).astype(np.int64)
        rows = (first[:, None] + np.arange(n_frames)) % lengths[:, None] + self.starts[picked][:, None]  # [B, T]
        if isinstance(self.frames, Tensor):
            return self.frames[torch.from_numpy(rows).to(self.device)].float()
        return torch.from_numpy(self.frames[rows].astype(np.float32)).to(self.device)


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


class Trainer(loop.Trainer):
    """Voice embedding, head, optimiser and random stream of one pre-training, and one step over them."""

    SECTION = "voice"
    PARTS = ("network", "head", "optimiser", "draws")
    settings: Voice

    def __init__(self, recordings: Recordings, *, settings: Voice, setup: loop.Setup) -> None:
        s, device = settings, recordings.device
        super().__init__(s, setup=setup, device=device)
        self.recordings = recordings
        init = seeding.torch_stream(setup.seed, "init")
        self.network = seeded(lambda: VoiceEmbedding(width=s.width), generator=init).to(device).train()
        head = seeded(lambda: _Head(n_speakers=recordings.n_speakers, scale=s.scale, margin=s.margin), generator=init)
        self.head = head.to(device)
        weights = [*self.network.parameters(), *self.head.parameters()]
        self.optimiser = torch.optim.AdamW(weights, lr=s.learning_rate, weight_decay=s.weight_decay, foreach=True)
        # The rate rises for a fifth of the steps, and for one at least: torch divides by how many these are.
        total = s.steps + 1
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, max_lr=s.learning_rate, total_steps=total, pct_start=max(0.2, 2 / total)
        )
        self.draws = seeding.stream(setup.seed, "batches")

    def extra(self) -> dict[str, Tensor]:
        """The schedule's place, and what it has set in the optimiser."""
        group = self.optimiser.param_groups[0]
        place = [float(self.schedule.last_epoch), group["lr"], *group["betas"]]
        return {"schedule": torch.tensor(place, dtype=torch.float64)}

    def take_extra(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `extra` gave."""
        last_epoch, rate, *betas = tensors["schedule"].tolist()
        self.schedule.last_epoch = int(last_epoch)
        self.schedule._step_count = int(last_epoch) + 1
        self.optimiser.param_groups[0].update(lr=rate, betas=tuple(betas))

    def iterate(self, *, report: bool = False) -> dict[str, Tensor]:
        """One step; with `report`, its loss, its accuracy and the length of its gradients."""
        s = self.settings
        picked = self.draws.integers(len(self.recordings.speakers), size=s.batch_size)
        low, high = int(s.min_crop_s * FRAMES_PER_S), int(s.max_crop_s * FRAMES_PER_S + 1)
        n_frames = int(self.draws.integers(low, high))
        places = self.draws.random(s.batch_size)
        inputs = self.recordings.crops(picked, n_frames, places).transpose(1, 2)  # [B, 64, T]
        labels = self.recordings.speakers[torch.from_numpy(picked)].to(self.device)
        self.step += 1
        with loop.autocast(self.device, self.setup.precision):
            embeddings = self.network(inputs)
        logits = self.head(embeddings.float(), labels)
        loss = F.cross_entropy(logits, labels)
        self.optimiser.zero_grad()
        loss.backward()
        values: dict[str, Tensor] = {}
        if report:
            accuracy = (logits.argmax(1) == labels).float().mean()
            norm = loop.gradient_norm(list(self.network.parameters()))
            values = {"loss": loss.detach(), "accuracy": accuracy, "grad_network": norm}
        self.optimiser.step()
        self.schedule.step()
        return values


def train(
    recordings: Recordings, *, settings: Voice, setup: loop.Setup, place: loop.Place
) -> tuple[VoiceEmbedding, Callable[[np.ndarray], np.ndarray]]:
    """Train a voice embedding to name the speaker, going on from the last good save of the same fingerprint.

    Gives the network in evaluation mode, on the CPU, and its logits float32 [n, n_speakers] of embeddings float32
    [n, 64]. A value that is not finite is a TrainingError.
    """
    setup = loop.begun(setup, place=place)
    trainer = Trainer(recordings, settings=settings, setup=setup)
    loop.run(trainer, place=place, watch=Watch())
    network, head = trainer.network.eval().cpu(), trainer.head.eval().cpu()

    def logits_of(embeddings: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return head(torch.from_numpy(embeddings)).numpy()

    return network, logits_of
