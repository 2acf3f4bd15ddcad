"""How the tests are shared among processes: `pytest -n auto` starts them, and without it there is one."""

import os

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before numpy and torch are loaded: each process, and what it starts, has one thread, and none spins for another.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

GIB_A_PROCESS = 4  # with a browser or a training of two processes beside it


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """As many processes as there are cores for them, fewer where memory is short."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return max(1, min(cores, int(memory / GIB_A_PROCESS)))
