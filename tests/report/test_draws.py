"""Draws of one voice: the most typical first, and what all share and what is made up, of enough of them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from s2f.networks import inference
from s2f.networks.codes import Sampler
from s2f.networks.models import Architecture, unit
from s2f.report import draws

FEATURES = np.ones((5, 64), np.float32)


class Model:
    """A stand-in whose draws are as bright as their number, with seed and voice told apart."""

    def __init__(self, *, sampler=True):
        self.sampler = SimpleNamespace() if sampler else None

    def embed(self, features):
        assert features is FEATURES
        return np.array([1.0, 0.0], np.float32)

    def typical(self, embeddings):
        assert embeddings.shape == (1, 2)
        return np.full((1, 64, 64, 3), 200, np.uint8)

    def draws(self, embeddings, n, *, seed):
        torch.testing.assert_close(embeddings, torch.tensor([[1.0, 0.0]]))
        bright = np.arange(n) % 100 + seed
        return np.broadcast_to(bright[None, :, None, None, None], (1, n, 64, 64, 3)).astype(np.uint8)


@pytest.mark.parametrize(("n", "n_compared"), [(1, 64), (4, 64), (80, 79)])
def test_the_most_typical_draw_is_first_and_the_map_is_of_enough_others(n, n_compared):
    found = draws.of_voice(Model(), FEATURES, n=n, seed=7)
    assert found.sheet.shape == (n, 64, 64, 3) and found.n_compared == n_compared
    assert list(found.sheet[:, 0, 0, 0]) == [200, *range(7, 7 + n - 1)]
    bright = np.arange(n_compared) + 7.0
    assert (found.mean == round(bright.mean())).all()
    np.testing.assert_allclose(found.spread, bright.std())


def test_no_face_of_a_sheet_is_there_twice():
    found = draws.of_voice(Model(), FEATURES, n=6, seed=197)
    assert list(found.sheet[:, 0, 0, 0]) == [200, 197, 198, 199, 198, 201]  # the first of the next seed for 200


def test_the_noise_of_the_most_typical_draw_draws_no_second_one():
    torch.manual_seed(4)
    sampler = Sampler(embedding_dim=64, kind="energy", width=32).eval()
    architecture = Architecture(0.0625, 0.0625, "batch", True, "k4", sampler=sampler.options)
    voices = unit(torch.randn(20, 64))
    sampler.learn_axes(voices)
    model = inference.Model(architecture.voice_embedding(), architecture.generator().eval(), architecture, "x", sampler)
    with torch.no_grad():
        for network in (model.generator, sampler):
            for parameter in network.parameters():
                parameter.mul_(3 if parameter.ndim > 1 else 1)
    drawn = model.draws(voices[:1], 64, seed=0)
    typical, *others = draws.with_typical(model, voices[:1], drawn, seed=0)[0]
    assert any(np.array_equal(typical, face) for face in drawn[0])
    assert not any(np.array_equal(typical, face) for face in others)
    assert sum(np.array_equal(*pair) for pair in zip(others, drawn[0], strict=True)) == 63


def test_a_model_that_draws_one_face_makes_nothing_up():
    found = draws.of_voice(Model(sampler=False), FEATURES, n=16, seed=7)
    assert found.sheet.shape == (1, 64, 64, 3) and found.n_compared == 1
    assert (found.mean == 200).all() and not found.spread.any()


def test_the_spread_of_a_pixel_is_the_deviation_of_its_three_colours_as_one():
    faces = np.zeros((2, 1, 2, 3), np.uint8)
    faces[:, 0, 1] = [[10, 20, 255], [30, 20, 0]]  # deviations 10, 0, 127.5
    np.testing.assert_allclose(draws.spread(faces), [[0, np.sqrt((10**2 + 0 + 127.5**2) / 3)]])
    assert draws.shared(faces).tolist() == [[[0, 0, 0], [20, 20, 128]]]
