"""Several processes that train together: each takes its part of every batch, and gradients are averaged.

Torch's own launcher, ``torchrun``, starts them: when one dies all are started again, and go on from the last save.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from s2f.errors import TrainingError
from s2f.networks.models import Network
from s2f.settings import Machine
from s2f.workers import end_with_stdin


@dataclass(frozen=True)
class Peers:
    """This process's place among those that train together; alone by default.

    Every process draws the same random numbers for the whole batch and keeps its part, so that the batch, the
    seeds and the results mean the same however many there are.
    """

    rank: int = 0
    n: int = 1

    @property
    def primary(self) -> bool:
        """Whether this process writes logs and saves: one of all does."""
        return self.rank == 0

    def mine(self, batch: Tensor) -> Tensor:
        """This process's part of a whole batch [B, …]: [B / n, …]."""
        size = len(batch) // self.n
        return batch[self.rank * size : (self.rank + 1) * size]

    def check(self, batch_size: int, *, name: str) -> None:
        """Refuse a batch of which not every process has as many, two or more, by a TrainingError about `name`."""
        if batch_size % self.n or (self.n > 1 and batch_size < 2 * self.n):
            problem = f"is {batch_size}, which {self.n} processes cannot share equally, with two or more each"
            remedy = f"Give a multiple of {self.n}, or other machine.n_devices and machine.n_nodes."
            raise TrainingError(f"parameter '{name}'", problem, remedy=remedy)

    def agree(self, what: str) -> None:
        """Refuse processes that would train on from different saves, or something else, by a TrainingError."""
        if self.n == 1:
            return
        told: list[str] = [""] * self.n
        distributed.all_gather_object(told, what)
        if len(set(told)) > 1:
            others = next(other for other in told if other != what)
            remedy = "Give all nodes one run folder, on a file system that they share, and the same code and packages."
            raise TrainingError(f"process {self.rank} of {self.n}", f"is at {what}, another at {others}", remedy=remedy)

    def wrap(self, network: nn.Module, *, device: str) -> nn.Module:
        """A network whose gradients are averaged over all processes; itself where there is one."""
        if self.n == 1:
            return network
        ids = [torch.cuda.current_device()] if device == "cuda" else None
        return DistributedDataParallel(network, device_ids=ids, broadcast_buffers=False)

    def synchronised(self, network: Network, *, device: str) -> Network:
        """A network whose batch norm looks at the whole batch: on CUDA. On a CPU torch has none, and this says so."""
        has_norm = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())
        if self.n == 1 or not has_norm:
            return network
        if device == "cuda":
            return nn.SyncBatchNorm.convert_sync_batchnorm(network)
        if self.primary:
            print(
                f"Batch norm: on a CPU its statistics are each process's own, over 1/{self.n} of the batch, and the "
                "first one's are kept. Train in one process for the results of one.",
                file=sys.stderr,
            )
        return network

    def mean(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Values averaged over all processes."""
        if self.n == 1 or not values:
            return values
        together = stacked(values)
        distributed.all_reduce(together)
        return dict(zip(values, together / self.n, strict=True))


def stacked(values: Mapping[str, Tensor]) -> Tensor:
    """Values of one number each as float32 [n], without their gradients."""
    return torch.stack([value.detach().float().reshape(()) for value in values.values()])


ALONE = Peers()
TIMEOUT_S = 300  # that a process waits for the others, at the start or in a step; saves and samples take less
N_RESTARTS = 3
WATCHED = "S2F_ENDS_WITH_STDIN"  # set for processes whose standard input ends with the one that waits for them


def command(module: str, words: Sequence[str], *, machine: Machine, name: str, log_folder: Path) -> list[str]:
    """``torchrun``'s words to run ``python -m module words`` in ``machine.n_devices`` processes of this node.

    The same words on each of ``machine.n_nodes`` nodes make one group of them all, which meets at
    ``machine.rendezvous``: ``host:port``, where port 0 on one node finds a free one.

    Parameters
    ----------
    name : str, the same on all nodes
    log_folder : Path, where a process that fails leaves what it failed of, see `launch`
    """
    options = {
        "nnodes": machine.n_nodes,
        "nproc-per-node": machine.n_devices,
        "rdzv-backend": "c10d",
        "rdzv-endpoint": machine.rendezvous,
        "rdzv-id": name,
        "max-restarts": N_RESTARTS,
        "monitor-interval": 1,
        "log-dir": log_folder,
    }
    given = [f"--{option}={value}" for option, value in options.items()]
    return [sys.executable, "-m", "torch.distributed.run", *given, "--module", module, *words]


def launch(module: str, words: Sequence[str], *, machine: Machine, name: str) -> None:
    """Run `command`'s processes and wait for them; none of them outlives this process.

    Parameters
    ----------
    module, words, machine, name
        See `command`. The module joins by `joined`; torch's ``record`` around what it does says why it failed.

    Raises
    ------
    TrainingError: a process failed more often than `N_RESTARTS` times
    """
    environment = {
        "OMP_NUM_THREADS": "1",  # until training sets the number; torchrun would warn that it sets this
        **os.environ,
        # Torch 2.11 shares one store among all starts, under the same keys: a process started again may then read
        # where one that died was listening, and is refused. So each start meets through a new one.
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        WATCHED: "1",
    }
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as logs:
        run = command(module, words, machine=machine, name=name, log_folder=Path(logs))
        with subprocess.Popen(run, stdin=subprocess.PIPE, env=environment) as torchrun:
            try:
                code = torchrun.wait()
            finally:
                torchrun.terminate()  # which passes it on
        if code:
            where = f" on node {socket.gethostname()}" if machine.n_nodes > 1 else ""
            who, why = _first_failure(Path(logs), among=f"{machine.n_devices}{where}")
            remedy = "Mend what it names; the last good save is kept."
            raise TrainingError(who, f"failed for good ({why})", remedy=remedy)


def _first_failure(logs: Path, *, among: str) -> tuple[str, str]:
    """Who failed first at the last start, and of what, by the files that torch's ``record`` writes."""
    failures, silent = [], []
    for folder in sorted(logs.glob(f"*/attempt_{N_RESTARTS}/*/")):
        try:
            said = json.loads((folder / "error.json").read_text(encoding="utf-8"))["message"]
        except FileNotFoundError:
            silent.append(folder.name)
            continue
        text, moment = (said, "0") if isinstance(said, str) else (said["message"], said["extraInfo"]["timestamp"])
        failures.append((int(moment), folder.name, text[:500]))
    without = f"process {' and '.join(silent)} left no reason: perhaps killed, for its memory" if silent else ""
    if not failures:
        return "training in several processes", without or "see torchrun's report above"
    _, rank, text = min(failures)
    return f"process {rank} of {among}", "; ".join(filter(None, (text, without)))


@contextmanager
def joined(*, device: str) -> Iterator[Peers]:
    """Join the group that `launch` prepared, nccl on GPUs, gloo on CPUs, and leave it when all are done."""
    if WATCHED in os.environ:
        end_with_stdin()
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=timedelta(seconds=TIMEOUT_S))
    try:
        yield Peers(rank=distributed.get_rank(), n=distributed.get_world_size())
        distributed.barrier()  # nobody leaves before what the first one writes is there
    finally:
        distributed.destroy_process_group()
