"""Several processes that train together: each takes its part of every batch, and gradients are averaged."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from s2f.errors import TrainingError


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

    def check(self, batch_size: int) -> None:
        """Refuse a batch that cannot be shared equally.

        Raises
        ------
        TrainingError
        """
        if batch_size % self.n:
            raise TrainingError(
                "parameter 'gan.batch_size'",
                f"is {batch_size}, which {self.n} processes cannot share equally",
                remedy=f"Give a multiple of {self.n}, or other machine.n_devices and machine.n_nodes.",
            )

    def wrap(self, network: nn.Module, *, device: str) -> nn.Module:
        """A network whose gradients are averaged over all processes; itself where there is one."""
        if self.n == 1:
            return network
        return DistributedDataParallel(
            network, device_ids=[torch.cuda.current_device()] if device == "cuda" else None, broadcast_buffers=False
        )

    def synchronised(self, network: nn.Module, *, device: str) -> nn.Module:
        """A network whose batch norm looks at the whole batch: on CUDA. On a CPU torch has none, and this says so."""
        has_norm = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())
        if self.n == 1 or not has_norm:
            return network
        if device == "cuda":
            return nn.SyncBatchNorm.convert_sync_batchnorm(network)
        if self.primary:
            print(
                f"Batch norm: on a CPU its statistics are each process's own, over 1/{self.n} of the batch, and the "
                "first one's are kept. Use gan.norm none, or one process, for the results of one process.",
                file=sys.stderr,
            )
        return network

    def mean(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Values averaged over all processes."""
        if self.n == 1 or not values:
            return values
        together = torch.stack([v.detach().float().reshape(()) for v in values.values()])
        distributed.all_reduce(together)
        return dict(zip(values, together / self.n, strict=True))


ALONE = Peers()
TIMEOUT_S = 300  # that a process waits for the others, at the start or in a step; saves and samples take less


def launch(work: Callable, arguments: tuple, *, n_devices: int, n_nodes: int, rendezvous: str, name: str) -> None:
    """Run ``work(*arguments)`` in `n_devices` processes here, together with those of other nodes.

    Torch's elastic launcher: when a process dies, all are started again, at most three times, and go on from the
    last save.

    Parameters
    ----------
    work : callable
        Of a module, since processes import it. Called with its group ready: see `joined`.
    rendezvous : str
        ``host:port`` where the nodes meet; port 0 on one node finds a free one.
    name : str
        The same on all nodes.

    Raises
    ------
    TrainingError
        A process failed more often than that.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=n_nodes,
        max_nodes=n_nodes,
        nproc_per_node=n_devices,
        run_id=name,
        rdzv_backend="c10d",
        rdzv_endpoint=rendezvous,
        max_restarts=3,
        monitor_interval=1,
        start_method="spawn",
    )
    try:
        with _a_store_an_attempt():
            elastic_launch(config, work)(*arguments)
    except ChildFailedError as error:
        rank, first = error.get_first_failure()
        raise TrainingError(
            f"process {rank} of {n_devices * n_nodes}",
            f"failed for good ({str(first.message)[:500]})",
            remedy="Mend what it names; the last good save is kept.",
        ) from error


@contextmanager
def _a_store_an_attempt() -> Iterator[None]:
    """Each start of the processes meets through a new store.

    Torch 2.11 shares one among all starts, under the same keys: a process started again may then read where one
    that died was listening, and is refused.
    """
    name = "TORCH_DISABLE_SHARE_RDZV_TCP_STORE"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        os.environ.pop(name) if before is None else os.environ.update({name: before})


def joined(*, device: str) -> Peers:
    """Join the group that `launch` prepared: nccl on GPUs, gloo on CPUs."""
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=timedelta(seconds=TIMEOUT_S))
    return Peers(rank=distributed.get_rank(), n=distributed.get_world_size())
