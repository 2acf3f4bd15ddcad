"""The networks: voice embedding, generator, face embedding, and the linear heads on it.

Wen, Raj, Singh, "Face Reconstruction from Voice using Generative Adversarial Networks" (NeurIPS 2019) and the
poster's reading of it. Layers live in one `Sequential` named ``model``, so that weights of the 2019 release,
whose keys are ``model.<i>.weight``, load as they are. `width` multiplies the numbers of channels.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

EMBEDDING_DIM = 64  # of voices and faces (poster; 2019 code)
GE2E_PIECE = 512  # mel windows of `GE2EEmbedding` at a time, over six minutes
GE2E_DIM = 256  # of voices with `voice.encoder: ge2e`
N_MELS = 64
FRAMES_PER_VECTOR = 32  # five convolutions of stride 2

Network = TypeVar("Network", bound=nn.Module)


class VoiceEmbedding(nn.Module):
    """Log-mel frames to a 64-d voice embedding.

    The poster says that each convolution is followed by batch norm and ReLU; in the code the last one has
    neither, since an embedding after a ReLU could not be negative. We follow the code.

    Parameters
    ----------
    width : float, multiplies the channels 256, 384, 576, 864
    """

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        channels = [N_MELS, *(scaled(c, width) for c in (256, 384, 576, 864))]
        layers: list[nn.Module] = []
        for n_in, n_out in itertools.pairwise(channels):
            layers += [
                nn.Conv1d(n_in, n_out, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm1d(n_out),
                nn.ReLU(inplace=True),
            ]
        layers.append(nn.Conv1d(channels[-1], EMBEDDING_DIM, 3, stride=2, padding=1))
        self.model = nn.Sequential(*layers)

    def sequence(self, log_mels: Tensor) -> Tensor:
        """Vectors before the time average, one for 32 frames.

        Parameters
        ----------
        log_mels : Tensor, float [B, 64, T], normalised per recording
        """
        return self.model(log_mels)  # [B, 64, ceil(T / 32)]

    def forward(self, log_mels: Tensor) -> Tensor:
        """Mean over time, not normalised: float [B, 64]."""
        return self.sequence(log_mels).mean(dim=2)  # [B, 64]


class GE2EEmbedding(nn.Module):
    """Mel frames of 1.6 s to a 256-d unit voice embedding without negative numbers (Wan et al. 2018, section 3).

    Three LSTM layers of 256; the last output of the third, then a linear layer, ReLU and unit length.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(40, GE2E_DIM, num_layers=3, batch_first=True)
        self.linear = nn.Linear(GE2E_DIM, GE2E_DIM)

    def forward(self, mels: Tensor) -> Tensor:
        """Unit embeddings float [B, 256] of mel power float [B, 160, 40]."""
        hidden = self.lstm(mels)[1][0]  # [3, B, 256]
        return unit(F.relu(self.linear(hidden[-1])))  # [B, 256]

    def in_pieces(self, mels: np.ndarray) -> Tensor:
        """The same of any number of them, float32 [n, 160, 40], some minutes of a long recording after another."""
        pieces = (np.ascontiguousarray(mels[at : at + GE2E_PIECE]) for at in range(0, len(mels), GE2E_PIECE))
        return torch.cat([self(torch.from_numpy(piece)) for piece in pieces])


class ConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution that adds its bias afterwards: on a CPU the bias's gradient is slow inside of it."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        assert self.bias is not None and not isinstance(self.padding, str) and output_size is None
        assert (self.output_padding, self.groups, self.dilation) == ((0, 0), 1, (1, 1))  # are not passed on
        drawn = F.conv_transpose2d(input, self.weight, None, self.stride, self.padding)
        return drawn.add_(self.bias.to(drawn.dtype)[:, None, None])


class Generator(nn.Module):
    """A unit voice embedding, or a face code, to a 64×64 face.

    Parameters
    ----------
    width : float, multiplies the channels 1024, 512, 256, 128, 64
    norm : {"batch", "none"}
        Batch norm after each transposed convolution but the last. The poster's "batch normalization 1D" on
        flattened maps equals `BatchNorm2d`; the 2019 code has none.
    tanh : bool, bound the output to (−1, 1): the poster does, the 2019 code does not
    head : {"k4", "k1"}
        "k4": the fifth transposed convolution draws the image (poster). "k1": it makes 64 channels and a sixth
        one with a 1×1 kernel draws the image (2019 code).
    embedding_dim : int, of the voice embeddings or face codes
    """

    def __init__(
        self,
        *,
        width: float = 1.0,
        norm: str = "batch",
        tanh: bool = True,
        head: str = "k4",
        embedding_dim: int = EMBEDDING_DIM,
    ) -> None:
        super().__init__()
        n_hidden = {"k4": 4, "k1": 5}[head]
        channels = [embedding_dim, *(scaled(c, width) for c in (1024, 512, 256, 128, 64)[:n_hidden])]
        layers: list[nn.Module] = []
        for i, (n_in, n_out) in enumerate(itertools.pairwise(channels)):
            stride, padding = (1, 0) if i == 0 else (2, 1)
            layers.append(ConvTranspose2d(n_in, n_out, 4, stride=stride, padding=padding))
            if norm == "batch":
                layers.append(nn.BatchNorm2d(n_out))
            layers.append(nn.ReLU(inplace=True))
        last = {"k4": (4, 2, 1), "k1": (1, 1, 0)}[head]
        layers.append(ConvTranspose2d(channels[-1], 3, last[0], stride=last[1], padding=last[2]))
        if tanh:
            layers.append(nn.Tanh())
        self.model = nn.Sequential(*layers)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Faces of unit embeddings or codes float [B, embedding_dim]: float [B, 3, 64, 64], in (−1, 1) with tanh."""
        return self.model(embeddings[:, :, None, None])  # [B, 3, 64, 64]


class FaceEmbedding(nn.Module):
    """A 64×64 face to a 64-d face embedding, the trunk that discriminator and classifier share.

    Parameters
    ----------
    width : float, multiplies the channels 32, 64, 128, 256, 512
    """

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        channels = [scaled(c, width) for c in (32, 64, 128, 256, 512)]
        layers: list[nn.Module] = [nn.Conv2d(3, channels[0], 1), nn.LeakyReLU(0.2, inplace=True)]
        for n_in, n_out in itertools.pairwise(channels):
            layers += [nn.Conv2d(n_in, n_out, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        layers.append(nn.Conv2d(channels[-1], EMBEDDING_DIM, 4))
        self.model = nn.Sequential(*layers)

    def forward(self, faces: Tensor) -> Tensor:
        """Embeddings float [B, 64] of faces float [B, 3, 64, 64] in [−1, 1]; not normalised."""
        return self.model(faces)[:, :, 0, 0]  # [B, 64]


class Classifier(nn.Module):
    """Bias-free linear head on the face embedding: 1 output for real/fake, one an identity otherwise."""

    def __init__(self, *, n_outputs: int) -> None:
        super().__init__()
        self.model = nn.Linear(EMBEDDING_DIM, n_outputs, bias=False)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits float [B, n_outputs] of face embeddings float [B, 64]."""
        return self.model(embeddings)


@dataclass(frozen=True)
class Architecture:
    """What a checkpoint must agree on to be loaded."""

    voice_width: float
    width: float
    norm: str
    tanh: bool
    head: str
    encoder: str = "own"
    sampler: dict[str, Any] | None = None  # `Sampler.options`, where faces are drawn from face codes

    @property
    def embedding_dim(self) -> int:
        """Of the voice embeddings."""
        return {"own": EMBEDDING_DIM, "ge2e": GE2E_DIM}[self.encoder]

    def voice_embedding(self) -> VoiceEmbedding | GE2EEmbedding:
        """An untrained voice embedding."""
        return GE2EEmbedding() if self.encoder == "ge2e" else VoiceEmbedding(width=self.voice_width)

    def generator(self) -> Generator:
        """An untrained generator."""
        dim = self.embedding_dim if self.sampler is None else self.sampler["dim"]
        return Generator(width=self.width, norm=self.norm, tanh=self.tanh, head=self.head, embedding_dim=dim)


def scaled(n_channels: int, width: float) -> int:
    """`n_channels` times `width`, at least 4."""
    return max(4, round(n_channels * width))


def unit(vectors: Tensor) -> Tensor:
    """Vectors [..., d] divided by their length."""
    return F.normalize(vectors, dim=-1)


def seeded(make: Callable[[], Network], *, generator: torch.Generator) -> Network:
    """A network made by `make`, its initial weights drawn from `generator` instead of the global stream."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
        return make()


@torch.no_grad()
def start_smooth(network: Generator, *, generator: torch.Generator) -> None:
    """Let every upsampling layer begin as a bilinear interpolation of randomly mixed channels.

    Independent weights begin as a grid, which a short training does not unlearn. Here the four taps along a
    side are (1, 3, 3, 1) / 4, those of interpolation by two, and only the mixture of channels is random.
    """
    taps = torch.tensor([0.25, 0.75, 0.75, 0.25])
    for layer in network.model:
        if isinstance(layer, nn.ConvTranspose2d) and layer.stride == (2, 2):
            mixture = torch.randn(layer.weight.shape[:2], generator=generator) / layer.in_channels**0.5
            layer.weight.copy_(mixture[:, :, None, None] * torch.outer(taps, taps))  # [C_in, C_out, 4, 4]
