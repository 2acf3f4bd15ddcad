"""Named random streams: one of a purpose never moves another."""

import numpy as np
import pytest
import torch

from s2f import seeding
from s2f.errors import ParameterError


def test_a_stream_is_its_seed_and_purpose_alone():
    first = seeding.stream(3, "split").random(4)
    seeding.stream(3, "noise").random(100)
    assert np.array_equal(first, seeding.stream(3, "split").random(4))
    others = [seeding.stream(*of).random(4) for of in ((4, "split"), (3, "fold"))]
    assert not any(np.array_equal(first, other) for other in others)


def test_every_purpose_has_streams_of_its_own():
    assert len({seeding.number(0, purpose) for purpose in seeding.PURPOSES}) == len(seeding.PURPOSES)
    one, other = (torch.rand(3, generator=seeding.torch_stream(0, purpose)) for purpose in ("init", "batches"))
    assert not torch.equal(one, other)
    assert torch.equal(one, torch.rand(3, generator=seeding.torch_stream(0, "init")))


def test_an_unknown_purpose_names_the_nearest():
    with pytest.raises(ParameterError, match="Did you mean 'noise'"):
        seeding.stream(0, "noize")
