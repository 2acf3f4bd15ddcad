"""The loop that all training goes through: saves to go on from, a log, health checks, a progress bar."""

from __future__ import annotations

import resource
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from s2f import seeding
from s2f.errors import TrainingError
from s2f.networks.models import Network
from s2f.settings import Training
from s2f.training import saves
from s2f.training.health import Watch
from s2f.training.processes import ALONE, Peers, stacked

MULTIPLIES_BFLOAT16 = ("amx_bf16", "avx512_bf16")  # abilities of a CPU


@dataclass(frozen=True)
class Setup:
    """What a training computes with, whatever it learns.

    Attributes
    ----------
    seed : int, of weights, batches and noise, each a stream of its own
    n_threads : int, CPU threads of this process
    precision : {"float32", "bfloat16"}, what networks compute in; weights, losses and optimisers are float32
    compile_mode : {"auto", "always", "never"}, see `compiled`
    peers : Peers, the processes that train together, and this one's place
    """

    seed: int
    n_threads: int = 1
    precision: str = "float32"
    compile_mode: str = "never"
    peers: Peers = ALONE


@dataclass(frozen=True)
class Place:
    """Where a training keeps what it has done.

    Attributes
    ----------
    folder : Path, gets ``state/`` (saves and logs, by fingerprint) and, when training ends, ``log.jsonl``
    fingerprint : str, of parameters, data and code: saves of another are not used
    label : str, shown by the progress bar
    """

    folder: Path
    fingerprint: str
    label: str = "training"


class Trainer(ABC):
    """What the loop needs of a trainer: its settings, how many steps are done, and all that matters for going on.

    `PARTS` names the attributes that hold the latter: networks, optimisers and random streams.

    Raises
    ------
    TrainingError: a batch that the processes of `setup` cannot share equally
    """

    SECTION: ClassVar[str]  # of the parameters
    PARTS: ClassVar[tuple[str, ...]]
    settings: Training

    def __init__(self, settings: Training, *, setup: Setup, device: str) -> None:
        setup.peers.check(settings.batch_size, name=f"{self.SECTION}.batch_size")
        self.setup, self.peers, self.device, self.step = setup, setup.peers, device, 0
        self.settings = settings

    def stream(self, name: str) -> torch.Generator:
        """A random stream on the device, by its name in `s2f.seeding`."""
        return seeding.torch_stream(self.setup.seed, name, device=self.device)

    def shared(self, network: nn.Module) -> Callable:
        """What computes for a network that several processes teach together; the network keeps the weights."""
        return self.compiled(self.peers.wrap(network, device=self.device))

    def compiled(self, function: Callable) -> Callable:
        """A function as this training's set-up computes it."""
        return compiled(function, compile_mode=self.setup.compile_mode, device=self.device)

    def parts(self) -> dict[str, saves.Part]:
        """Networks, optimisers and random streams by name."""
        return {name: getattr(self, name) for name in self.PARTS}

    @abstractmethod
    def iterate(self, *, report: bool = False) -> dict[str, Tensor]:
        """One iteration; with `report`, what the log and the health checks want, as tensors on the device."""

    def extra(self) -> dict[str, Tensor]:
        """Further tensors to save, beside the parts."""
        return {}

    def take_extra(self, tensors: Mapping[str, Tensor]) -> None:  # noqa: B027 (most trainers have nothing more)
        """Put back what `extra` gave."""

    def observe(self, *, last: bool) -> None:  # noqa: B027 (not every trainer looks)
        """Called after every iteration, to draw samples for example."""


def begun(setup: Setup, *, place: Place) -> Setup:
    """The set-up that a training goes on with, and the CPU threads of this process set to it.

    Precision and threads stay what they were when it was begun, since another number gives other roundings.
    """
    header = saves.last_header(place.folder / "state", fingerprint=place.fingerprint)
    for name, shown in (("precision", "in {}"), ("n_threads", "with {} CPU threads")):
        if header is not None and header[name] != getattr(setup, name):
            setup = replace(setup, **{name: header[name]})
            if setup.peers.primary:
                print(f"It was begun {shown.format(header[name])}, and stays so.")
    torch.set_num_threads(setup.n_threads)
    return setup


def run(trainer: Trainer, *, place: Place, watch: Watch) -> None:
    """Train to the last of ``trainer.settings.steps``, going on from the last good save of the same fingerprint.

    Nothing is read back from the device but every ``log_every`` steps. Of several processes the first one writes.

    Raises
    ------
    TrainingError
        A value that is not finite, what the health checks stop for, or a device of another kind than it was begun on;
        the last good save stays.
    """
    peers, folder = trainer.setup.peers, place.folder / "state"
    found = saves.latest(folder, fingerprint=place.fingerprint)
    if found is not None:
        _take(trainer, *found, place=place)
        if peers.primary:
            print(f"Going on from step {trainer.step} of {trainer.settings.steps}.")
    peers.agree(f"step {trainer.step} of {place.fingerprint}")
    log = saves.Log(folder, fingerprint=place.fingerprint, from_step=trainer.step)
    for line in log.kept:  # what had shown for how long
        watch.look(line["step"], line)
    if not peers.primary:
        _train(trainer, place=place, watch=watch, log=None)
        return
    log.start()
    try:
        _train(trainer, place=place, watch=watch, log=log)
    finally:
        log.show(place.folder / "log.jsonl")


def _take(trainer: Trainer, tensors: Mapping[str, Tensor], header: Mapping[str, Any], *, place: Place) -> None:
    """Take up a save as it was computed; of a finished training anywhere, else on a device of its kind."""
    parts = trainer.parts()
    if header["device"] != trainer.device:
        if header["step"] < trainer.settings.steps:
            own = saves.own(place.folder / "state", place.fingerprint)
            problem = f"was begun on '{header['device']}' and cannot go on exactly on '{trainer.device}'"
            remedy = f"Go on where it was begun, as 'machine.device' says it, or delete {own} to begin anew."
            raise TrainingError(place.label, problem, remedy=remedy)
        parts = {name: part for name, part in parts.items() if not isinstance(part, torch.Generator)}  # not drawn again
    saves.restore(parts, tensors)
    trainer.take_extra(tensors)
    trainer.step = header["step"]


def _train(trainer: Trainer, *, place: Place, watch: Watch, log: saves.Log | None) -> None:
    """All steps that are left; only the process that has the log writes it, and saves."""
    steps, reported, moment = trainer.settings.steps, trainer.step, time.perf_counter()
    shown = partial(tqdm, unit="it", mininterval=1, dynamic_ncols=True, disable=log is None)
    with shown(desc=place.label, initial=trainer.step, total=steps) as progress:
        while trainer.step < steps:
            step, last = trainer.step + 1, trainer.step + 1 == steps
            save = step % trainer.settings.save_every == 0 or last
            report = step % trainer.settings.log_every == 0 or last
            values = trainer.iterate(report=report or save)
            if report or save:
                numbers = finite(values, step)
            if report:
                said = watch.look(step, numbers)
                if log is not None:
                    now = time.perf_counter()
                    rate = round((step - reported) / max(now - moment, 1e-9), 3)
                    speed = {"it_per_s": rate, "memory_mb": memory_mb(trainer.device)}
                    reported, moment = step, now
                    log.write({"step": step, **numbers, **speed} | ({"health": said} if said else {}))
                    for sentence in said:
                        progress.write(sentence, file=sys.stderr)
                    progress.set_postfix({k: f"{v:.2f}" for k, v in list(numbers.items())[:6]}, refresh=False)
                watch.stop_if_asked(said)
            trainer.observe(last=last)
            if save and log is not None:
                tensors = saves.collect(trainer.parts()) | trainer.extra()
                by = {name: getattr(trainer.setup, name) for name in ("precision", "n_threads")}
                by |= {"device": trainer.device, "fingerprint": place.fingerprint}
                saves.save_step(place.folder / "state", step, tensors, **by)
            progress.update()


def decayed(step: int, steps: int, *, decay_from: float) -> float:
    """What a learning rate is multiplied by at a step, from 1 to `steps`: 1, then falling to 0 from a share on."""
    last = max(1, round(steps * (1 - decay_from)))
    return min(1.0, (steps - step + 1) / last) if decay_from < 1 else 1.0


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, *, decay: float, step: int) -> None:
    """Let the running average of a network's weights take a step after it; what is no weight is copied."""
    # A short memory at first, so that the average does not keep the untrained weights.
    decay = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
    for kept, now in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(now)


def finite(values: Mapping[str, Tensor], step: int) -> dict[str, float]:
    """Values as numbers, read back in one go; a TrainingError says which is not finite, and at which step."""
    if not values:
        return {}
    numbers = stacked(values).tolist()
    found = dict(zip(values, numbers, strict=True))
    bad = [name for name, value in found.items() if not np.isfinite(value)]
    if bad:
        remedy = "The last good save is kept. Lower the learning rates, or train with machine.precision float32."
        raise TrainingError("training", f"has '{bad[0]}' = {found[bad[0]]} at step {step}", remedy=remedy)
    return found


def gradient_norm(parameters: list[nn.Parameter]) -> Tensor:
    """Length of all gradients together."""
    grads = [p.grad for p in parameters if p.grad is not None]
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))


def autocast(device: str, precision: str) -> torch.autocast:
    """Context in which networks compute in `precision`; weights, losses and optimisers stay float32."""
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")


def choose_precision(precision: str, device: str) -> str:
    """ "float32" or "bfloat16" for "auto" and these two.

    "auto" is bfloat16 where the hardware multiplies it, about twice as fast: on a GPU that has it, and on a CPU with
    AMX or AVX-512 BF16. Runs are bit-identical on machines of one type; "float32" chooses alike everywhere.
    """
    if precision != "auto":
        return precision
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    found = torch.cpu.get_capabilities()
    return "bfloat16" if any(found.get(name, False) for name in MULTIPLIES_BFLOAT16) else "float32"


def compiled(function: Callable, *, compile_mode: str, device: str) -> Callable:
    """A function through `torch.compile`, with CUDA graphs on a GPU, where `compile_mode` asks for it.

    "auto" compiles on a GPU and not on a CPU, where it takes longer than it saves.
    """
    if compile_mode == "never" or (compile_mode == "auto" and device != "cuda"):
        return function
    return torch.compile(function, mode="reduce-overhead" if device == "cuda" else "default", dynamic=False)


def channels_last(network: Network, device: str) -> Network:
    """Move a network to a device, its weights laid out as its images are."""
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's types


def memory_mb(device: str) -> float:
    """Highest memory so far, MB: of the device, or of this process on a CPU."""
    if device == "cuda":
        return round(torch.cuda.max_memory_allocated() / 1e6, 1)
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)
