"""Many faces of one voice: a code for faces, and a network that draws codes from a voice and from noise.

The face code is learned from photographs alone: an encoder to a few numbers, each with mean 0 and deviation 1, and the
poster's generator as decoder. The sampler is given a voice embedding and draws codes, as many as there is noise for:
what they share comes from the voice, and what varies is made up.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from s2f import seeding, tensors
from s2f.networks.models import Generator, scaled, unit

CODE_DIM = 64
FILE = "code.safetensors"
N_TYPICAL = 64  # draws of which the most typical one is chosen
N_FREQUENCIES = 16  # of the time embedding
SMALLEST_AXIS = 1e-3  # of the largest deviation; along a smaller one there is no more than rounding


class FaceCode(nn.Module):
    """A 64×64 face to a code and back.

    Parameters
    ----------
    width : float, multiplies the channels: 64, 128, 256, 512 of the encoder, 1024 to 128 of the decoder
    dim : int, numbers of a code
    """

    def __init__(self, *, width: float = 1.0, dim: int = CODE_DIM) -> None:
        super().__init__()
        channels = [3, *(scaled(c, width) for c in (64, 128, 256, 512))]
        layers: list[nn.Module] = []
        for n_in, n_out in itertools.pairwise(channels):
            layers += [
                nn.Conv2d(n_in, n_out, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(n_out),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        # Without weights of its own the last batch norm makes codes that a standard normal distribution can start from.
        layers += [nn.Conv2d(channels[-1], dim, 4, bias=False), nn.BatchNorm2d(dim, affine=False)]
        self.width, self.dim = width, dim
        self.encoder = nn.Sequential(*layers)
        self.decoder = Generator(width=width, embedding_dim=dim)

    def encode(self, faces: Tensor) -> Tensor:
        """Codes float [B, dim] of faces float [B, 3, 64, 64] in [−1, 1]."""
        return self.encoder(faces)[:, :, 0, 0]  # [B, dim]

    def decode(self, codes: Tensor) -> Tensor:
        """Faces float [B, 3, 64, 64] in (−1, 1) of codes float [B, dim]."""
        return self.decoder(codes)

    def forward(self, faces: Tensor, noise: Tensor | None = None) -> Tensor:
        """Faces float [B, 3, 64, 64] by way of their codes, to which `noise` [B, dim] is added where it is given."""
        codes = self.encode(faces)
        return self.decode(codes if noise is None else codes + noise)


class FaceDiscriminator(nn.Module):
    """A discriminator that looks at a whole face and at every part of it, and gives what it looked at.

    Parameters
    ----------
    width : float
        Multiplies the channels 64, 128, 256, 512 of layers whose weights are divided by their largest singular value
        (Miyato et al. 2018).
    """

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        channels = [3, *(scaled(c, width) for c in (64, 128, 256, 512))]
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(n_in, n_out, 4, stride=2, padding=1))
            for n_in, n_out in itertools.pairwise(channels)
        )
        self.parts = spectral_norm(nn.Conv2d(channels[-2], 1, 1, bias=False))  # of the third layer's 8×8 places
        self.whole = spectral_norm(nn.Conv2d(channels[-1], 1, 4, bias=False))

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Scores float32 of whole faces [B] and of their parts [B, 64], and the maps of each layer.

        Parameters
        ----------
        faces : Tensor, float [B, 3, 64, 64] in [−1, 1]
        """
        maps = []
        for layer in self.layers:
            faces = F.leaky_relu(layer(faces), 0.2)
            maps.append(faces)
        return self.whole(maps[-1])[:, 0, 0, 0].float(), self.parts(maps[-2]).flatten(1).float(), maps


def save(folder: Path, network: FaceCode) -> None:
    """Write ``code.safetensors``: what `load` needs."""
    tensors.save(folder / FILE, network.state_dict(), header={"width": network.width, "dim": network.dim})


def load(folder: Path) -> FaceCode:
    """The face code that `save` wrote, in evaluation mode.

    Raises
    ------
    CheckpointError: missing, or of another architecture
    """
    weights, header = tensors.load(folder / FILE)
    with tensors.of_this_version(folder / FILE):
        network = FaceCode(width=header["width"], dim=header["dim"])
        network.load_state_dict(weights)
    return network.eval()


class _Residual(nn.Module):
    """A layer that adds to what it is given, as it is told by time and voice."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(self.norm(x)) + told))  # [B, width]


class Sampler(nn.Module):
    """Noise and a voice embedding to a face code.

    The voice is seen along the leading axes of the training embeddings, each in deviations. Where it is left out, the
    network draws faces of anybody, which is what guidance leads away from (Ho and Salimans 2022).

    Parameters
    ----------
    embedding_dim : int, of the voice embeddings
    kind : {"flow", "energy"}
        "flow": a velocity that takes noise to a code in a unit of time (Lipman et al. 2023, "Flow matching").
        "energy": a code in one step, to be trained by the energy score (Shen and Meinshausen 2023, "Engression").
    dim : int, numbers of a code, and of its noise
    width, n_layers : int, of the residual layers
    n_axes : int, of the voice embeddings
    n_steps : int, steps of Heun's method from 0 to 1; of a "flow" only
    guidance : float
        How far to go from what is drawn without the voice to what is drawn with it: 1 is the distribution that was
        learned, 0 that of anybody, and above 1 draws agree with the voice more than they should and vary less.
    """

    centre: Tensor
    axes: Tensor
    told: Tensor
    frequencies: Tensor

    def __init__(
        self,
        *,
        embedding_dim: int,
        kind: Literal["flow", "energy"] = "flow",
        dim: int = CODE_DIM,
        width: int = 256,
        n_layers: int = 3,
        n_axes: int = 16,
        n_steps: int = 16,
        guidance: float = 1.0,
    ) -> None:
        super().__init__()
        n_axes = min(n_axes, embedding_dim)
        self.kind, self.dim, self.n_steps, self.guidance = kind, dim, n_steps, guidance
        self.options: dict[str, Any] = {  # what makes another like it, beside `embedding_dim`
            **{"kind": kind, "dim": dim, "width": width, "n_layers": n_layers, "n_axes": n_axes},
            **{"n_steps": n_steps, "guidance": guidance},
        }
        self.register_buffer("centre", torch.zeros(embedding_dim))
        self.register_buffer("axes", torch.zeros(embedding_dim, n_axes))
        self.register_buffer("told", torch.zeros(dim, n_axes))
        self.register_buffer("frequencies", torch.pi * 2.0 ** torch.linspace(-1, 6, N_FREQUENCIES), persistent=False)
        self.code_in, self.time_in, self.voice_in = (
            nn.Linear(n, width) for n in (dim, 2 * N_FREQUENCIES, n_axes + 1)
        )  # the last input of `voice_in` says whether there is one
        self.layers = nn.ModuleList(_Residual(width) for _ in range(n_layers))
        self.code_out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, dim))

    @torch.no_grad()
    def learn_axes(self, embeddings: Tensor) -> None:
        """Take the axes of the training people's voice embeddings, float [n, embedding_dim]."""
        embeddings = unit(embeddings).double()
        centre = embeddings.mean(0)
        variances, axes = torch.linalg.eigh((embeddings - centre).T @ (embeddings - centre) / len(embeddings))
        n = self.axes.shape[1]
        deviations, axes = variances.clamp(min=0).sqrt().flip(0)[:n], axes.flip(1)[:, :n]
        seen = deviations > SMALLEST_AXIS * deviations[0]
        self.centre.copy_(centre)
        self.axes.copy_(torch.where(seen, axes / deviations.clamp(min=1e-12), 0))

    @torch.no_grad()
    def learn_told(self, embeddings: Tensor, codes: Tensor) -> None:
        """Take what the voice tells of a code: the least squares of codes on the axes, which are learned before.

        Parameters
        ----------
        embeddings : Tensor, float [n, embedding_dim], of training recordings
        codes : Tensor, float [n, dim], the mean code of each recording's person
        """
        voices, codes = self.condition(embeddings).double(), codes.double()
        moved = torch.linalg.pinv(voices - voices.mean(0)) @ (codes - codes.mean(0))  # [n_axes, dim]
        self.told.copy_(moved.T)

    def condition(self, embeddings: Tensor) -> Tensor:
        """Voice embeddings float [B, embedding_dim] along the axes, each in deviations: [B, n_axes]."""
        return (unit(embeddings) - self.centre) @ self.axes

    def forward(self, x: Tensor, time: Tensor, condition: Tensor, known: Tensor) -> Tensor:
        """Velocity at places `x` on the way from noise to code, or codes of noise `x`: float [B, dim].

        Parameters
        ----------
        x : Tensor, float [B, dim]
        time : Tensor, float [B], from 0 at the noise to 1 at the code; 0 for "energy"
        condition : Tensor, float [B, n_axes], of `condition`
        known : Tensor, float [B], 1 where the voice is told and 0 where it is left out
        """
        angles = time[:, None] * self.frequencies  # [B, n_frequencies]
        told = self.time_in(torch.cat([angles.sin(), angles.cos()], dim=1))
        told = told + self.voice_in(torch.cat([condition * known[:, None], known[:, None]], dim=1))  # [B, width]
        hidden = self.code_in(x)  # [B, width]
        for layer in self.layers:
            hidden = layer(hidden, told)
        return self.code_out(hidden)  # [B, dim]

    @torch.no_grad()
    def draw(self, embeddings: Tensor, noise: Tensor) -> Tensor:
        """Codes float [B, n, dim] of voice embeddings [B, embedding_dim] and standard normal noise [B, n, dim]."""
        n = noise.shape[1]
        condition = self.condition(embeddings).repeat_interleave(n, dim=0)  # [B · n, n_axes]
        x = noise.flatten(0, 1)  # [B · n, dim]
        if self.kind == "energy":
            return self._guided(x, 0.0, condition).unflatten(0, noise.shape[:2])
        step = 1 / self.n_steps
        for i in range(self.n_steps):
            first = self._guided(x, i * step, condition)
            second = self._guided(x + step * first, (i + 1) * step, condition)
            x = x + step * (first + second) / 2
        return x.unflatten(0, noise.shape[:2])

    def _guided(self, x: Tensor, time: float, condition: Tensor) -> Tensor:
        moment, known = torch.full_like(x[:, 0], time), torch.ones_like(x[:, 0])
        if self.guidance == 1:
            return self(x, moment, condition, known)
        twice = (torch.cat([part, part]) for part in (x, moment, condition))
        told, anybody = self(*twice, torch.cat([known, 0 * known])).chunk(2)
        return anybody + self.guidance * (told - anybody)

    def typical(self, embeddings: Tensor) -> Tensor:
        """The most typical draw of each voice, always the same: codes float [B, dim].

        Of `N_TYPICAL` draws from fixed noise, the one with the smallest mean distance to the others, where only what
        the voice tells of a code is compared. By the rest, which no voice tells, nearly all voices would get the draw
        of the same noise, and share its luck. It is a draw like the others: their mean would be a code that no face
        has.
        """
        fixed = noise(N_TYPICAL, dim=self.dim, seed=0).to(embeddings.device)
        draws = self.draw(embeddings, fixed.expand(len(embeddings), -1, -1))
        told = draws @ self.told  # [B, n, n_axes]
        nearest = torch.cdist(told, told).mean(2).argmin(1)  # [B]
        return draws[torch.arange(len(draws), device=draws.device), nearest]


def noise(n: int, *, dim: int = CODE_DIM, seed: int) -> Tensor:
    """Standard normal noise float [n, dim] for `Sampler.draw`; the first rows are the same for any n."""
    stream = seeding.torch_stream(seed, "noise")
    return torch.stack([torch.randn(dim, generator=stream) for _ in range(n)])
