"""Random streams: one a purpose, the same for the same seed, and none that moves another."""

import numpy as np
import pytest
import torch

from s2f import seeding
from s2f.errors import ParameterError


def draws(seed, purpose):
    generator = seeding.torch_stream(seed, purpose)
    return (
        tuple(seeding.stream(seed, purpose).random(4)),
        tuple(torch.rand(4, generator=generator).tolist()),
        seeding.number(seed, purpose),
    )


def test_a_stream_is_its_seed_and_purpose():
    for purpose in seeding.PURPOSES:
        assert draws(3, purpose) == draws(3, purpose)


def test_no_two_streams_are_alike():
    every = [draws(seed, purpose) for seed in (0, 1) for purpose in seeding.PURPOSES]
    for kind in zip(*every, strict=True):
        assert len(set(kind)) == len(every)


def test_a_draw_more_in_one_purpose_moves_no_other():
    seeding.stream(0, "init").random(1000)
    assert np.array_equal(seeding.stream(0, "noise").random(4), draws(0, "noise")[0])


def test_numbers_fit_31_bits():
    assert all(0 <= seeding.number(seed, "fold") < 2**31 for seed in range(200))


def test_an_unknown_purpose_is_named():
    with pytest.raises(ParameterError, match="Did you mean 'batches'"):
        seeding.stream(0, "batch")
