"""The networks that a run's parameters describe, before they have learned anything."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from s2f.networks.codes import FaceCode, FaceDiscriminator, Sampler
from s2f.networks.models import Architecture, FaceEmbedding
from s2f.settings import Settings
from s2f.training import sampler


def architecture(settings: Settings, drawing: Sampler | None = None, code: FaceCode | None = None) -> Architecture:
    """The networks that a run's parameters describe."""
    g, voice = settings.gan, settings.voice
    width = g.width if code is None else code.width
    options = None if drawing is None else drawing.options
    return Architecture(voice.width, width, g.norm, g.tanh, g.head, voice.encoder, options)


def drawing(settings: Settings) -> dict[str, tuple[nn.Module, tuple[Tensor, ...]]]:
    """The networks that learn to draw faces in a run with these parameters, by name, each with an input."""
    found: dict[str, tuple[nn.Module, tuple[Tensor, ...]]] = {}
    s, code, described = settings.sampler, settings.code, architecture(settings)
    face, some = torch.zeros(1, 3, 64, 64), torch.zeros(1)
    if s.kind != "none":
        network = FaceCode(width=code.width, dim=code.dim)
        found["encoder"] = network.encoder, (face,)
        found["decoder, the generator"] = network.decoder, (torch.zeros(1, code.dim),)
        found["discriminator of the face code"] = FaceDiscriminator(width=code.discriminator_width), (face,)
        own = sampler.network(s, embedding_dim=described.embedding_dim, dim=code.dim)
        found["sampler"] = own, (torch.zeros(1, code.dim), some, torch.zeros(1, own.axes.shape[1]), some)
    else:
        found["generator"] = described.generator(), (torch.zeros(1, described.embedding_dim),)
    if s.kind == "none" or s.game:  # generator and critics play
        found["face embedding"] = FaceEmbedding(width=settings.gan.width), (face,)
    return found
