"""One root seed, one named random stream per purpose: a new draw in one never moves another."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import torch

from s2f.errors import ParameterError, nearest

PURPOSES = ("split", "fold", "init", "batches", "noise", "bootstrap", "readers", "table", "subsets")


def stream(seed: int, purpose: str) -> np.random.Generator:
    """NumPy generator of one purpose.

    Raises
    ------
    ParameterError: `purpose` is none of `PURPOSES`
    """
    return np.random.default_rng(_sequence(seed, purpose))


def torch_stream(seed: int, purpose: str, *, device: torch.device | str = "cpu") -> torch.Generator:
    """Torch generator of one purpose on `device`."""
    state = int(_sequence(seed, purpose).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator(device=device).manual_seed(state)


def number(seed: int, purpose: str) -> int:
    """One 31-bit number of a purpose, for libraries that take an integer."""
    return int(_sequence(seed, purpose).generate_state(1)[0] >> 1)


def _sequence(seed: int, purpose: str) -> np.random.SeedSequence:
    if purpose not in PURPOSES:
        raise ParameterError(purpose, "is no random stream", remedy=nearest(purpose, PURPOSES))
    return np.random.SeedSequence([seed, crc32(purpose.encode())])
