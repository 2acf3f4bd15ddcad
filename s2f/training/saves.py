"""Saving and loading: everything that matters, as safetensors, whole or not at all.

Nothing here is pickled. Tensors go into the file under dotted names, plain values into its header. Saves and log of a
training lie in a folder of its own, named after its fingerprint, so that no other training's are read, cut or replaced.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from s2f import files
from s2f.errors import CheckpointError
from s2f.tensors import load, read_header, save

KEPT = 2  # saves to resume from: the last one, and the one before in case the last is broken
Part = nn.Module | torch.optim.Optimizer | torch.Generator | np.random.Generator


def collect(parts: Mapping[str, Part]) -> dict[str, Tensor]:
    """State of networks, optimisers and random streams as one flat dict of tensors."""
    flat: dict[str, Tensor] = {}
    for name, part in parts.items():
        if isinstance(part, torch.Generator):
            flat[name] = part.get_state()
        elif isinstance(part, np.random.Generator):
            text = json.dumps(part.bit_generator.state)
            flat[name] = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
        elif isinstance(part, torch.optim.Optimizer):
            for index, values in part.state_dict()["state"].items():
                flat |= {f"{name}.{index}.{key}": torch.as_tensor(value) for key, value in values.items()}
        else:
            flat |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
    return flat


def restore(parts: Mapping[str, Part], tensors: Mapping[str, Tensor]) -> None:
    """Put a state made by `collect` back into the same parts."""
    for name, part in parts.items():
        own = {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}
        if isinstance(part, torch.Generator):
            part.set_state(tensors[name])
        elif isinstance(part, np.random.Generator):
            part.bit_generator.state = json.loads(tensors[name].numpy().tobytes())
        elif isinstance(part, torch.optim.Optimizer):
            state: dict[int, dict[str, Tensor]] = {}
            weights = [weight for group in part.param_groups for weight in group["params"]]
            for key, value in own.items():
                index, field = key.split(".")
                if value.shape == weights[int(index)].shape:
                    # Fused optimisers walk through memory: moments must lie there as the weights do.
                    value = torch.empty_like(weights[int(index)]).copy_(value)
                state.setdefault(int(index), {})[field] = value
            part.load_state_dict({"state": state, "param_groups": part.state_dict()["param_groups"]})
        else:
            part.load_state_dict(own)


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Short hash of tensors and their names, in whatever order they come."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode() + b"\0" + tensors[name].cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def own(folder: Path, fingerprint: str) -> Path:
    """The part of a folder for saves that is this fingerprint's."""
    return folder / hashlib.sha256(fingerprint.encode()).hexdigest()[:16]


def save_step(folder: Path, step: int, tensors: Mapping[str, Tensor], *, fingerprint: str, **beside: Any) -> None:
    """Save to resume from, with plain values `beside`; of the saves of the same fingerprint, the last two are kept."""
    path = own(folder, fingerprint) / f"step-{step:08d}.safetensors"
    save(path, tensors, header={**beside, "fingerprint": fingerprint, "step": step})
    for old in saved_steps(folder, fingerprint=fingerprint)[:-KEPT]:
        old.unlink(missing_ok=True)


def latest(folder: Path, *, fingerprint: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The last good save of the same fingerprint, or None; a truncated one is passed over with a message."""
    passed_over = False
    for path in reversed(saved_steps(folder, fingerprint=fingerprint)):
        try:
            tensors, header = load(path)
        except CheckpointError as error:
            print(f"{error.subject} {error.problem}, and is passed over.")
            passed_over = True
            continue
        if header.get("fingerprint") == fingerprint:
            return tensors, header
    if passed_over:
        print("No good save is left: training begins anew.")
    return None


def last_header(folder: Path, *, fingerprint: str) -> dict[str, Any] | None:
    """Plain values of the last good save of the same fingerprint, without reading its tensors; None without one."""
    for path in reversed(saved_steps(folder, fingerprint=fingerprint)):
        with suppress(CheckpointError):
            header = read_header(path)
            if header.get("fingerprint") == fingerprint:
                return header
    return None


def last_step(folder: Path, *, fingerprint: str) -> int:
    """Step of that save; 0 without one."""
    header = last_header(folder, fingerprint=fingerprint)
    return 0 if header is None else header["step"]


def saved_steps(folder: Path, *, fingerprint: str) -> list[Path]:
    """Saves of a fingerprint, oldest first."""
    return sorted(own(folder, fingerprint).glob("step-*.safetensors"))


class Log:
    """Lines of JSON, one a report, of the training with a fingerprint; `kept` are those up to the step it goes on from.

    They lie beside its saves until `show` copies them.
    """

    def __init__(self, folder: Path, *, fingerprint: str, from_step: int) -> None:
        self.path = own(folder, fingerprint) / "log.jsonl"
        written = read_log(self.path) if self.path.is_file() else []
        self.kept = [line for line in written if line["step"] <= from_step]

    def start(self) -> None:
        """Drop the lines that a save has not caught up with."""
        files.write_text(self.path, "".join(json.dumps(line) + "\n" for line in self.kept))

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one line."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(dict(line), allow_nan=False) + "\n")

    def show(self, path: Path) -> None:
        """Put the log, whole, where the results of this training lie."""
        files.write_text(path, self.path.read_text(encoding="utf-8"))


def read_log(path: Path) -> list[dict[str, Any]]:
    """Lines of a log; a last line cut short by a kill is left out."""
    lines: list[dict[str, Any]] = []
    with suppress(json.JSONDecodeError):
        for text in filter(None, path.read_text(encoding="utf-8").split("\n")):
            lines.append(json.loads(text))
    return lines
