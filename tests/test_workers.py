"""Worker processes."""

import os

import pytest

from s2f import workers
from s2f.errors import RunError


def test_workers_leave_the_environment_alone(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with workers.one_thread_each():
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7" and "MKL_NUM_THREADS" not in os.environ


def test_a_worker_that_dies_is_an_error_of_what_it_was_making():
    with (
        pytest.raises(RunError, match="the shards lost a worker process") as error,
        workers.pool(1, at="the shards") as pool,
    ):
        assert pool.submit(os.getenv, "OMP_NUM_THREADS").result() == "1"
        pool.submit(os._exit, 1).result()
    assert error.value.subject == "the shards" and error.value.reason == "worker"


def test_what_a_worker_raises_is_raised_as_it_is():
    with pytest.raises(ValueError, match="invalid literal"), workers.pool(1, at="the shards") as pool:
        pool.submit(int, "no number").result()
