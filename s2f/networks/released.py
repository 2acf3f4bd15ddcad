"""Weights of the 2019 release: its state dicts into our networks."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError  # only the error: nothing is unpickled here but by torch, weights only

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from s2f.errors import CheckpointError


def load_released(network: nn.Module, path: str | Path) -> nn.Module:
    """Load a state dict of the 2019 release into a network of the same shape.

    Parameters
    ----------
    network : VoiceEmbedding, Generator (head k1, norm none), FaceEmbedding or Classifier
    path : str or Path, a ``.safetensors`` file, or one that ``torch.save`` wrote, of which nothing but tensors is read

    Returns
    -------
    Module, the same network, in evaluation mode

    Raises
    ------
    CheckpointError: with `reason` one of missing, broken, architecture; names the file, and the key and shape at fault
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(path, "is not there", remedy="Mend the path of the checkpoint.", reason="missing")
    try:
        if path.suffix == ".safetensors":
            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (  # torch meets text and garbage with errors of many kinds
        SafetensorError,
        UnpicklingError,
        RuntimeError,
        EOFError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        raise CheckpointError(
            path,
            f"is not a file of tensors alone ({str(error).splitlines()[0] if str(error) else 'cut short'})",
            remedy="Give a state dict, saved with torch.save(network.state_dict(), path).",
            reason="broken",
        ) from error
    kind, wanted = type(network).__name__, network.state_dict()
    remedy = f"Give the released weights of a {kind}, and build it with the same width, head and norm."
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(path, "holds no state dict", remedy=remedy, reason="architecture")
    # Counts of batches seen came later to batch norm, which does without them in evaluation.
    counts = {key: value for key, value in wanted.items() if key.endswith("num_batches_tracked")}
    found = {**counts, **found}
    problems = [f"lacks '{key}' {_shape(wanted[key])}" for key in wanted if key not in found]
    problems += [f"has '{key}' {_shape(found[key])}, which a {kind} has not" for key in found if key not in wanted]
    problems += [
        f"has '{key}' of shape {_shape(found[key])}, not {_shape(wanted[key])}"
        for key in wanted
        if key in found and found[key].shape != wanted[key].shape
    ]
    if problems:
        more = f" and {len(problems) - 1} more such" if len(problems) > 1 else ""
        raise CheckpointError(path, problems[0] + more, remedy=remedy, reason="architecture")
    network.load_state_dict(found)
    return network.eval()


def _shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))
