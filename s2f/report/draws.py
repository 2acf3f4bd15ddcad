"""Faces that a model draws of one voice: the most typical, others, and what all share and what is made up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from s2f.networks.inference import Model

N_COMPARED = 64  # draws whose mean and spread are shown; of a few they would be the luck of those


@dataclass(frozen=True)
class Draws:
    """Faces of one voice.

    Attributes
    ----------
    sheet : uint8 [n, 64, 64, 3], the most typical draw, then others
    mean : uint8 [64, 64, 3], what all draws share: their mean
    spread : float [64, 64], what is made up: by how many grey levels, of 255, draws differ, as a standard deviation
    n_compared : int, draws that mean and spread are of; 1 where the model draws one face a voice
    """

    sheet: np.ndarray
    mean: np.ndarray
    spread: np.ndarray
    n_compared: int


def of_voice(model: Model, features: np.ndarray, *, n: int, seed: int) -> Draws:
    """The most typical draw and n − 1 others; of a model without sampler one face, which is all that it draws.

    Parameters
    ----------
    features : as `Model.embed` takes them
    seed : int, of the noise; the most typical draw is the same for any
    """
    embedding = torch.from_numpy(model.embed(features))[None]  # [1, dim]
    if model.sampler is None:
        typical = model.typical(embedding)
        return Draws(typical, typical[0], spread(typical), n_compared=1)
    faces = model.draws(embedding, max(n - 1, N_COMPARED), seed=seed)
    sheet = with_typical(model, embedding, faces[:, : n - 1], seed=seed)[0]
    return Draws(sheet, shared(faces[0]), spread(faces[0]), n_compared=len(faces[0]))


def with_typical(model: Model, embeddings: torch.Tensor, drawn: np.ndarray, *, seed: int) -> np.ndarray:
    """The most typical draw of each voice [B, dim], then what is `drawn`, [B, n, H, W, 3]: uint8 [B, 1 + n, H, W, 3].

    The noise of the most typical is always the same, and `seed` may draw that one too: then another takes its place.
    """
    typical = model.typical(embeddings)[:, None]
    again = (drawn == typical).all(axis=(2, 3, 4))  # [B, n]
    if again.any():
        drawn = np.where(again[..., None, None, None], model.draws(embeddings, 1, seed=seed + 1), drawn)
    return np.concatenate([typical, drawn], axis=1)


def shared(faces: np.ndarray) -> np.ndarray:
    """Mean of faces uint8 [n, H, W, 3]: uint8 [H, W, 3]."""
    return np.rint(faces.mean(axis=0)).astype(np.uint8)


def spread(faces: np.ndarray) -> np.ndarray:
    """Standard deviation a pixel of faces uint8 [n, H, W, 3], of the three colours as one: float [H, W]."""
    return np.sqrt(faces.var(axis=0, dtype=float).mean(axis=-1))
