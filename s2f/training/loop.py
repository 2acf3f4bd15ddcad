"""The loop that all training goes through: saves to go on from, a log, health checks, a progress bar."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from s2f.errors import TrainingError
from s2f.training import saves
from s2f.training.health import Watch

PRECISIONS = ("float32", "bfloat16")


class Trainer(Protocol):
    """What the loop needs of a trainer: `s2f.training.gan.Trainer` and `s2f.training.speaker.Trainer` are such."""

    step: int
    device: str

    def parts(self) -> dict[str, Any]:
        """Networks, optimisers and random streams: everything that matters for going on."""

    def extra(self) -> dict[str, Tensor]:
        """Further tensors to save, such as samples drawn so far."""

    def take_extra(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `extra` gave."""

    def iterate(self, *, report: bool) -> dict[str, Tensor]:
        """One iteration; with `report`, what the log and the health checks want, as tensors on the device."""

    def observe(self, *, last: bool) -> None:
        """Called after every iteration, to draw samples for example."""


def run(
    trainer: Trainer,
    *,
    steps: int,
    log_every: int,
    save_every: int,
    folder: Path,
    fingerprint: str,
    label: str,
    watch: Watch | None = None,
    primary: bool = True,
) -> None:
    """Train to `steps`, going on from the last good save of the same fingerprint.

    Nothing is read back from the device but every `log_every` steps.

    Parameters
    ----------
    folder : Path
        Gets ``log.jsonl`` and ``state/`` (saves).
    fingerprint : str
        Of parameters, data and code: other saves are not used.
    label : str
        Shown by the progress bar.
    watch : Watch, optional
        Health checks.
    primary : bool
        Whether this process writes; of several that train together one does.

    Raises
    ------
    TrainingError
        A value that is not finite, or what the health checks stop for; the last good save stays.
    """
    found = saves.latest(folder / "state", fingerprint=fingerprint)
    if found is not None:
        tensors, header = found
        saves.restore(trainer.parts(), tensors)
        trainer.take_extra(tensors)
        trainer.step = header["step"]
        if primary:
            print(f"Going on from step {trainer.step} of {steps}.")
    if watch is not None and (folder / "log.jsonl").is_file():  # what had shown for how long
        for line in saves.read_log(folder / "log.jsonl"):
            if line["step"] <= trainer.step:
                watch.look(line["step"], line)
    log = saves.Log(folder / "log.jsonl", from_step=trainer.step) if primary else None
    rate = _Rate(trainer.step)
    with tqdm(
        initial=trainer.step, total=steps, desc=label, unit="it", mininterval=1, dynamic_ncols=True, disable=not primary
    ) as progress:
        while trainer.step < steps:
            step, last = trainer.step + 1, trainer.step + 1 == steps
            save = step % save_every == 0 or last
            report = step % log_every == 0 or last
            values = trainer.iterate(report=report or save)
            if report or save:
                shown = finite(values, step)
            if report:
                said = watch.look(step, shown) if watch is not None else []
                if log is not None:
                    speed = {"it_per_s": rate.at(step), "memory_mb": memory_mb(trainer.device)}
                    log.write({"step": step, **shown, **speed} | ({"health": said} if said else {}))
                    for sentence in said:
                        progress.write(sentence, file=sys.stderr)
                    progress.set_postfix({k: f"{v:.2f}" for k, v in list(shown.items())[:6]}, refresh=False)
                if watch is not None:
                    watch.stop_if_asked(step, said)
            trainer.observe(last=last)
            if save and primary:
                tensors = saves.collect(trainer.parts()) | trainer.extra()
                saves.save_step(folder / "state", step, tensors, header={"fingerprint": fingerprint})
            progress.update()


def finite(values: Mapping[str, Tensor], step: int) -> dict[str, float]:
    """Values as numbers, read back in one go.

    Raises
    ------
    TrainingError
        One is not finite; says which and at which step.
    """
    if not values:
        return {}
    numbers = torch.stack([v.detach().float().reshape(()) for v in values.values()]).tolist()
    found = dict(zip(values, numbers, strict=True))
    bad = [name for name, value in found.items() if not np.isfinite(value)]
    if bad:
        raise TrainingError(
            "training",
            f"has '{bad[0]}' = {found[bad[0]]} at step {step}",
            remedy="The last good save is kept. Lower the learning rates, or train with machine.precision float32.",
        )
    return found


def gradient_norm(parameters: list[nn.Parameter]) -> Tensor:
    """Length of all gradients together."""
    grads = [p.grad for p in parameters if p.grad is not None]
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))


def autocast(device: str, precision: str) -> torch.autocast:
    """Context in which networks compute in `precision`; weights, losses and optimisers stay float32."""
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")


def choose_precision(precision: str, device: str) -> str:
    """ "float32" or "bfloat16" for "auto" and these two: bfloat16 on a GPU that has it, float32 elsewhere.

    On a CPU "auto" is float32, in which runs are bit-identical; bfloat16 has to be asked for there.
    """
    if precision != "auto":
        return precision
    return "bfloat16" if device == "cuda" and torch.cuda.is_bf16_supported() else "float32"


def compiled(function: Callable, *, compile_mode: str, device: str) -> Callable:
    """A function through `torch.compile`, with CUDA graphs on a GPU, where `compile_mode` asks for it.

    "auto" compiles on a GPU and not on a CPU, where it takes longer than it saves.
    """
    if compile_mode == "never" or (compile_mode == "auto" and device != "cuda"):
        return function
    return torch.compile(function, mode="reduce-overhead" if device == "cuda" else "default", dynamic=False)


def memory_mb(device: str) -> float:
    """Highest memory so far, MB: of the device, or of this process on a CPU."""
    if device == "cuda":
        return round(torch.cuda.max_memory_allocated() / 1e6, 1)
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


class _Rate:
    """Iterations a second since the last time it was asked."""

    def __init__(self, step: int) -> None:
        self.step, self.time = step, time.perf_counter()

    def at(self, step: int) -> float:
        now = time.perf_counter()
        rate = (step - self.step) / max(now - self.time, 1e-9)
        self.step, self.time = step, now
        return round(rate, 3)
