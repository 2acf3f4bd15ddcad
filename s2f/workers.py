"""Worker processes: one thread each, and none that outlives the process that started it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from pathlib import Path

from s2f.errors import RunError


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let processes started here use one thread each; BLAS and OpenMP read this only when they are loaded."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def pool(n_workers: int, *, at: str | Path) -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread each; those that are left stop when the block is left, and with this process.

    Parameters
    ----------
    at : str or Path, what they make, for the error

    Raises
    ------
    RunError: one of them died
    """
    # Started afresh rather than forked: a process forked after a library has used threads can hang.
    context = multiprocessing.get_context("spawn")
    with one_thread_each():
        executor = ProcessPoolExecutor(n_workers, context, initializer=end_with_parent)
        try:
            yield executor
        except BrokenProcessPool as error:
            problem = "lost a worker process (out of memory, or killed)"
            remedy = "Run it again, perhaps with fewer workers (machine.n_workers): what is finished is kept."
            raise RunError(at, problem, remedy=remedy, reason="worker") from error
        finally:
            executor.shutdown(cancel_futures=True)


def end_with_parent() -> None:
    """End this worker when the process that started it is gone, killed perhaps; it would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # called in a worker

    def watch():
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def end_with_stdin() -> None:
    """End this process, and the one that started it, when its standard input does.

    So that nothing goes on when the process at the other end of a pipe is gone, whatever stands between the two.
    """
    starter = os.getppid()

    def watch():
        os.read(0, 1)  # returns at the end alone: nothing is written
        if os.getppid() == starter:
            os.kill(starter, signal.SIGTERM)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
