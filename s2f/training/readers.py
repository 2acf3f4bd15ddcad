"""Training readers of faces for a corpus whose faces no packaged network knows.

They learn from the real photographs of the training identities only, and never train a generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from s2f.errors import TrainingError
from s2f.networks.readers import EMBEDDING_DIM, Readers, Trunk, to_input
from s2f.training.loop import channels_last

COSINE_SCALE, COSINE_MARGIN = 16.0, 0.2  # CosFace (Wang et al. 2018)


@dataclass(frozen=True)
class Faces:
    """Real photographs of the training identities, and what is known of each.

    Attributes
    ----------
    pixels : ndarray, uint8 [n, 64, 64, 3], aligned photos
    identity_codes : ndarray, int [n], 0 to n_identities − 1
    genders : sequence of "f", "m" or None [n], None is left out of the loss
    attributes : ndarray, float32 [n, A], True attributes of the person on each photo; A may be 0
    attribute_names : sequence of str [A]

    Raises
    ------
    TrainingError: fewer than two identities, rows that do not match, or values that are not finite
    """

    pixels: np.ndarray
    identity_codes: np.ndarray
    genders: Sequence[str | None]
    attributes: np.ndarray
    attribute_names: Sequence[str]

    def __post_init__(self) -> None:
        per_row = {"faces": self.pixels} | {k: getattr(self, k) for k in ("identity_codes", "genders", "attributes")}
        n_rows = {name: len(rows) for name, rows in per_row.items()}
        shape, names = list(self.attributes.shape), self.attribute_names
        if len(set(n_rows.values())) > 1:
            raise TrainingError("readers", f"were given unequal rows: {n_rows}", remedy="Give one row a face.")
        if len(shape) != 2 or shape[1] != len(names):
            raise TrainingError("attributes", f"are {shape} for {len(names)} names", remedy="Give one column a name.")
        if not np.isfinite(self.attributes).all():
            raise TrainingError("attributes", "hold values that are not finite", remedy="Leave those columns out.")
        if len(np.unique(self.identity_codes)) < 2:
            raise TrainingError("readers", "were given fewer than two identities", remedy="Give more people.")


def train(
    faces: Faces,
    *,
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
    seed : int, of weights, batches and augmentation
    n_steps, batch : int, optimiser steps, and photos a step
    learning_rate : float, peak of the one cycle that it follows over the steps (AdamW)
    n_threads : int, optional, CPU threads; left as they are if not given

    Raises
    ------
    TrainingError: a loss that is not finite
    """
    if n_threads is not None:
        torch.set_num_threads(n_threads)
    generator = torch.Generator().manual_seed(seed)
    attributes = np.asarray(faces.attributes, np.float32)
    centre, scale = attributes.mean(0), np.maximum(attributes.std(0), 1e-6)
    x, n = to_input(faces.pixels, device), len(faces.pixels)
    identity = torch.from_numpy(faces.identity_codes.astype(np.int64)).to(device)
    female = torch.tensor([{"f": 1.0, "m": 0.0}.get(gender or "", -1.0) for gender in faces.genders], device=device)
    wanted = torch.from_numpy((attributes - centre) / scale).to(device)  # [n, A]

    with torch.random.fork_rng(devices=[]):  # the layers draw from the global generator
        torch.manual_seed(seed)
        network = Trunk(attributes.shape[1])
        prototypes = nn.Parameter(torch.randn(int(faces.identity_codes.max()) + 1, EMBEDDING_DIM))
    network = channels_last(network, device).train()
    prototypes = nn.Parameter(prototypes.detach().to(device))
    optimiser = torch.optim.AdamW([*network.parameters(), prototypes], lr=learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=learning_rate, total_steps=n_steps)
    dropout_seed = int(torch.randint(2**31, (1,), generator=generator))
    with torch.random.fork_rng(devices=[]), tqdm(total=n_steps, desc="readers", unit="step", mininterval=1.0) as bar:
        torch.manual_seed(dropout_seed)
        for step in range(n_steps):
            rows = torch.randint(n, (min(batch, n),), generator=generator).to(device)
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
    names = tuple(faces.attribute_names)
    return Readers(network=network.eval(), attribute_names=names, centre=centre, scale=scale.astype(np.float32))


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
