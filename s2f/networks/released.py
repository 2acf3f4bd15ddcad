"""Weights of the 2019 release: its state dicts into our networks."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError  # only the error: nothing is unpickled here but by torch, weights only

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from s2f.errors import CheckpointError

# When a file is no state dict, but text or garbage.
_TORCH_RAISES = (UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError)


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
        safe = path.suffix == ".safetensors"
        found = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except (*_TORCH_RAISES, SafetensorError) as error:
        problem = f"is not a file of tensors alone ({str(error).splitlines()[0] if str(error) else 'cut short'})"
        remedy = "Give a state dict, saved with torch.save(network.state_dict(), path)."
        raise CheckpointError(path, problem, remedy=remedy, reason="broken") from error
    kind, wanted = type(network).__name__, network.state_dict()
    remedy = f"Give the released weights of a {kind}, and build it with the same width, head and norm."
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(path, "holds no state dict", remedy=remedy, reason="architecture")
    # Counts of batches seen came later to batch norm, which does without them in evaluation.
    counts = {key: value for key, value in wanted.items() if key.endswith("num_batches_tracked")}
    found = {**counts, **found}
    there, needed = ({key: list(value.shape) for key, value in each.items()} for each in (found, wanted))
    problems = [f"lacks '{key}' {needed[key]}" for key in needed if key not in there]
    problems += [f"has '{key}' {there[key]}, which a {kind} has not" for key in there if key not in needed]
    both = [key for key in needed if key in there and there[key] != needed[key]]
    problems += [f"has '{key}' of shape {there[key]}, not {needed[key]}" for key in both]
    if problems:
        more = f" and {len(problems) - 1} more such" if len(problems) > 1 else ""
        raise CheckpointError(path, problems[0] + more, remedy=remedy, reason="architecture")
    network.load_state_dict(found)
    return network.eval()
