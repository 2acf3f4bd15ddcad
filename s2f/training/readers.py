"""Readers for a corpus whose faces no packaged network knows: identity, sex and attributes from 64×64 faces.

One small convolutional trunk learns from the real photos of the training identities only. It is used to
measure, never to train a generator, and reads generated faces as it reads real ones.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from s2f.errors import CheckpointError, TrainingError

EMBEDDING_DIM = 64
FILE = "readers.safetensors"
WIDTHS = (16, 32, 64, 96)
COSINE_SCALE, COSINE_MARGIN = 16.0, 0.2  # CosFace (Wang et al. 2018)


class Trunk(nn.Module):
    """Four strided convolutions, then one linear head each for identity, sex and attributes.

    Parameters
    ----------
    n_attributes : int
        Attributes to regress; may be 0.
    """

    def __init__(self, n_attributes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in zip((3, *WIDTHS[:-1]), WIDTHS, strict=True):
            layers += [
                nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(n_out),
                nn.ReLU(),
            ]
        self.model = nn.Sequential(*layers)
        n_features = WIDTHS[-1] * 4 * 4  # where a feature lies matters: the faces are aligned
        self.identity = nn.Linear(n_features, EMBEDDING_DIM)
        self.gender = nn.Linear(n_features, 1)
        self.attributes = nn.Linear(n_features, n_attributes) if n_attributes else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embedding [B, 64], logit of "f" [B] and standardised attributes [B, A] of float [B, 3, 64, 64]."""
        features = self.model(x).flatten(1)  # [B, 1536]
        dropped = functional.dropout(features, 0.3, self.training)
        embedding = functional.normalize(self.identity(features), dim=1)  # [B, 64]
        attributes = self.attributes(dropped) if self.attributes is not None else features[:, :0]
        return embedding, self.gender(dropped).squeeze(1), attributes


@dataclass(frozen=True)
class Readers:
    """A trained trunk with what it needs to give attributes in their own units.

    Attributes
    ----------
    network : Trunk
        In evaluation mode.
    attribute_names : tuple of str [A]
        Column names, with their units.
    centre, scale : ndarray, float32 [A]
        Mean and standard deviation of each attribute over the training photos.
    """

    network: Trunk
    attribute_names: tuple[str, ...]
    centre: np.ndarray
    scale: np.ndarray

    def embed(self, faces: np.ndarray) -> np.ndarray:
        """Identity embeddings, float32 [n, 64], unit length, of uint8 [n, 64, 64, 3]."""
        return self._read(faces)[0]

    def gender(self, faces: np.ndarray) -> np.ndarray:
        """Probability of "f", float32 [n], of uint8 [n, 64, 64, 3]."""
        return self._read(faces)[1]

    def attributes(self, faces: np.ndarray) -> np.ndarray:
        """Attributes in their own units, float32 [n, A], of uint8 [n, 64, 64, 3]."""
        return self._read(faces)[2] * self.scale + self.centre

    @torch.inference_mode()
    def _read(self, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        device = next(self.network.parameters()).device
        parts = [self.network(_to_input(faces[start : start + 256], device)) for start in range(0, len(faces), 256)]
        if not parts:
            n_attributes = len(self.attribute_names)
            return (
                np.zeros((0, EMBEDDING_DIM), np.float32),
                np.zeros(0, np.float32),
                np.zeros((0, n_attributes)),
            )
        embedding, logit, attributes = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
        return embedding.numpy(), logit.sigmoid().numpy(), attributes.numpy()

    def save(self, folder: str | Path) -> Path:
        """Write `readers.safetensors` into `folder`, whole or not at all."""
        path = Path(folder) / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        meta = {
            "attribute_names": json.dumps(self.attribute_names),
            "centre": json.dumps([float(v) for v in self.centre]),
            "scale": json.dumps([float(v) for v in self.scale]),
        }
        beside = path.with_name(path.name + ".part")
        state = {name: value.cpu().contiguous() for name, value in self.network.state_dict().items()}
        save_file(state, beside, metadata=meta)
        beside.replace(path)
        return path

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu") -> Readers:
        """Read what `save` wrote.

        Raises
        ------
        CheckpointError
            Missing, or of another architecture.
        """
        path = Path(folder) / FILE
        if not path.is_file():
            raise CheckpointError(
                path, "does not exist", remedy="Train the readers on this corpus first.", reason="missing"
            )
        with safe_open(path, framework="pt", device=device) as stream:
            meta = stream.metadata() or {}
            state = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (no mapping)
        try:
            names, centre, scale = (json.loads(meta[key]) for key in ("attribute_names", "centre", "scale"))
            network = Trunk(len(names))
            network.load_state_dict(state)
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(
                path,
                f"holds other networks ({type(error).__name__}: {error})",
                remedy="Train the readers again.",
            ) from error
        return cls(
            network=network.to(device).eval(),
            attribute_names=tuple(names),
            centre=np.array(centre, np.float32),
            scale=np.array(scale, np.float32),
        )


def train(
    faces: np.ndarray,
    identity_codes: np.ndarray,
    genders: Sequence[str | None],
    attributes: np.ndarray,
    *,
    attribute_names: Sequence[str],
    seed: int,
    n_steps: int = 300,
    batch: int = 96,
    learning_rate: float = 4e-3,
    device: str = "cpu",
    n_threads: int | None = None,
) -> Readers:
    """Train readers on real photos of the training identities.

    Parameters
    ----------
    faces : ndarray, uint8 [n, 64, 64, 3]
        Aligned photos.
    identity_codes : ndarray, int [n]
        0 to n_identities − 1.
    genders : sequence of "f", "m" or None [n]
        None is left out of the loss.
    attributes : ndarray, float [n, A]
        True attributes of the person on each photo; A may be 0.
    attribute_names : sequence of str [A]
        Their names.
    seed : int
        Of weights, batches and augmentation.
    n_steps : int
        Optimiser steps; the learning rate follows one cycle over them.
    batch : int
        Photos a step.
    learning_rate : float
        Peak of the cycle (AdamW).
    device : str
        Torch device.
    n_threads : int, optional
        CPU threads; left as they are if not given.

    Raises
    ------
    TrainingError
        Fewer than two identities, rows that do not match, or a loss that is not finite.
    """
    identity_codes, attributes = np.asarray(identity_codes), np.asarray(attributes, np.float32)
    _check(faces, identity_codes, genders, attributes, attribute_names)
    if n_threads is not None:
        torch.set_num_threads(n_threads)
    generator = torch.Generator().manual_seed(seed)
    centre = attributes.mean(0)
    scale = np.maximum(attributes.std(0), 1e-6)
    x = _to_input(faces, device)
    identity = torch.from_numpy(identity_codes.astype(np.int64)).to(device)
    female = torch.tensor([{"f": 1.0, "m": 0.0}.get(gender, -1.0) for gender in genders], device=device)
    wanted = torch.from_numpy((attributes - centre) / scale).to(device)  # [n, A]

    with torch.random.fork_rng(devices=[]):  # the layers draw from the global generator
        torch.manual_seed(seed)
        network = Trunk(attributes.shape[1])
        prototypes = nn.Parameter(torch.randn(int(identity_codes.max()) + 1, EMBEDDING_DIM))
    network = network.to(device, memory_format=torch.channels_last).train()
    prototypes = nn.Parameter(prototypes.detach().to(device))
    optimiser = torch.optim.AdamW([*network.parameters(), prototypes], lr=learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=learning_rate, total_steps=n_steps)
    dropout_seed = int(torch.randint(2**31, (1,), generator=generator))
    with (
        torch.random.fork_rng(devices=[]),
        tqdm(total=n_steps, desc="readers", unit="step", mininterval=1.0) as bar,
    ):
        torch.manual_seed(dropout_seed)
        for step in range(n_steps):
            rows = torch.randint(len(faces), (min(batch, len(faces)),), generator=generator).to(device)
            embedding, logit, predicted = network(_augmented(x[rows], generator))
            loss = _identity_loss(embedding, prototypes, identity[rows])
            known = female[rows] >= 0
            if known.any():
                loss = loss + functional.binary_cross_entropy_with_logits(logit[known], female[rows][known])
            if predicted.shape[1]:
                loss = loss + functional.mse_loss(predicted, wanted[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            if step % 50 == 49 or step == n_steps - 1:
                value = float(loss.detach())
                if not np.isfinite(value):
                    raise TrainingError("readers", f"have loss {value} at step {step}", remedy="Check the faces.")
                bar.set_postfix(loss=f"{value:.2f}", refresh=False)
            bar.update()
    return Readers(
        network=network.eval(),
        attribute_names=tuple(attribute_names),
        centre=centre,
        scale=scale.astype(np.float32),
    )


def _to_input(faces: np.ndarray, device: torch.device | str) -> Tensor:
    x = torch.from_numpy(np.array(faces)).to(device).permute(0, 3, 1, 2)  # [B, 3, 64, 64]
    return (x.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def _augmented(x: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrored at random, shifted by up to 3 px, changed in colour, three in ten made grey: few people, few colours."""
    n, size = len(x), x.shape[-1]
    mirror = torch.randint(0, 2, (n,), generator=generator) * 2.0 - 1
    shift = (torch.rand(n, 2, generator=generator) - 0.5) * 12 / size  # in half widths
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = mirror, 1.0, shift
    grid = functional.affine_grid(theta.to(x.device), list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    gain = 1 + 0.5 * (torch.rand(n, 3, 1, 1, generator=generator) - 0.5)
    offset = 0.5 * (torch.rand(n, 3, 1, 1, generator=generator) - 0.5)
    x = x * gain.to(x.device) + offset.to(x.device)
    grey = (torch.rand(n, 1, 1, 1, generator=generator) < 0.3).to(x.device)
    x = torch.where(grey, x.mean(dim=1, keepdim=True), x)
    return x.contiguous(memory_format=torch.channels_last)


def _identity_loss(embedding: Tensor, prototypes: Tensor, identity: Tensor) -> Tensor:
    cosine = embedding @ functional.normalize(prototypes, dim=1).T  # [B, n_identities]
    margin = functional.one_hot(identity, len(prototypes)) * COSINE_MARGIN
    return functional.cross_entropy(COSINE_SCALE * (cosine - margin), identity)


def _check(
    faces: np.ndarray, codes: np.ndarray, genders: Sequence, attributes: np.ndarray, names: Sequence[str]
) -> None:
    n_rows = {
        "faces": len(faces),
        "identity_codes": len(codes),
        "genders": len(genders),
        "attributes": len(attributes),
    }
    if len(set(n_rows.values())) > 1:
        raise TrainingError("readers", f"were given unequal rows: {n_rows}", remedy="Give one row a face.")
    if attributes.ndim != 2 or attributes.shape[1] != len(names):
        raise TrainingError(
            "attributes",
            f"are {list(attributes.shape)} for {len(names)} names",
            remedy="Give one column a name.",
        )
    if not np.isfinite(attributes).all():
        raise TrainingError("attributes", "hold values that are not finite", remedy="Leave those columns out.")
    if len(np.unique(codes)) < 2:
        raise TrainingError("readers", "were given fewer than two identities", remedy="Give more people.")
