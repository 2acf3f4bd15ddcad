"""Readers for a corpus whose faces no packaged network knows: identity, sex and attributes from 64×64 faces.

One small convolutional trunk learns from the real photos of the training identities only. It is used to
measure, never to train a generator, and reads generated faces as it reads real ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from s2f import tensors
from s2f.features import pixels

EMBEDDING_DIM = 64
FILE = "readers.safetensors"
WIDTHS = (16, 32, 64, 96)


class Trunk(nn.Module):
    """Four strided convolutions, then one linear head each for identity, sex and attributes.

    Parameters
    ----------
    n_attributes : int, attributes to regress; may be 0
    """

    def __init__(self, n_attributes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in zip((3, *WIDTHS[:-1]), WIDTHS, strict=True):
            layers += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]
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
    network : Trunk, in evaluation mode
    attribute_names : tuple of str [A], column names, with their units
    centre, scale : ndarray, float32 [A], mean and standard deviation of each attribute over the training photos
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

    def read(self, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All that is read, in the time of one: what `embed`, `gender` and `attributes` give."""
        embeddings, female, values = self._read(faces)
        return embeddings, female, values * self.scale + self.centre

    @torch.inference_mode()
    def _read(self, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        device = next(self.network.parameters()).device
        parts = [self.network(to_input(faces[start : start + 256], device)) for start in range(0, len(faces), 256)]
        if not parts:
            n_attributes = len(self.attribute_names)
            return (np.zeros((0, EMBEDDING_DIM), np.float32), np.zeros(0, np.float32), np.zeros((0, n_attributes)))
        embedding, logit, attributes = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
        return embedding.numpy(), logit.sigmoid().numpy(), attributes.numpy()

    def save(self, folder: str | Path) -> Path:
        """Write `readers.safetensors` into `folder`, whole or not at all."""
        path = Path(folder) / FILE
        header = {"attribute_names": self.attribute_names, "centre": self.centre.tolist(), "scale": self.scale.tolist()}
        tensors.save(path, self.network.state_dict(), header=header)
        return path

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu") -> Readers:
        """Read what `save` wrote.

        Raises
        ------
        CheckpointError: missing, or of another architecture
        """
        path = Path(folder) / FILE
        state, header = tensors.load(path)
        with tensors.of_this_version(path, remedy="Train the readers again."):
            names, centre, scale = (header[key] for key in ("attribute_names", "centre", "scale"))
            network = Trunk(len(names))
            network.load_state_dict(state)
        return cls(network.to(device).eval(), tuple(names), np.array(centre, np.float32), np.array(scale, np.float32))


def to_input(faces: np.ndarray, device: torch.device | str) -> Tensor:
    """What `Trunk` reads, float [n, 3, 64, 64], of faces uint8 [n, 64, 64, 3]."""
    x = torch.from_numpy(np.array(faces)).to(device).permute(0, 3, 1, 2)  # [B, 3, 64, 64]
    return pixels.centred(x).contiguous(memory_format=torch.channels_last)
