"""The face code's networks, and the sampler against distributions that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s2f.networks import codes, models
from s2f.networks.codes import FaceCode, Sampler

DIM = 8


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


def sampler(generator, **what):
    return models.seeded(lambda: Sampler(**{"embedding_dim": 12, "dim": DIM, "width": 32} | what), generator=generator)


def test_a_face_goes_to_a_code_and_back(generator):
    network = models.seeded(lambda: FaceCode(width=0.0625, dim=DIM), generator=generator).eval()
    faces = torch.rand(5, 3, 64, 64, generator=generator) * 2 - 1
    made = network.encode(faces)
    assert made.shape == (5, DIM) and network(faces).shape == (5, 3, 64, 64)
    assert torch.equal(network(faces), network.decode(made))
    noise = torch.randn(5, DIM, generator=generator)
    assert torch.equal(network(faces, noise), network.decode(made + noise))


def test_codes_have_mean_0_and_deviation_1_and_no_weights_to_change_that(generator):
    network = models.seeded(lambda: FaceCode(width=0.0625, dim=DIM), generator=generator).train()
    faces = 3 * torch.randn(64, 3, 64, 64, generator=generator) + 1
    made = network.encode(faces)
    torch.testing.assert_close(made.mean(0), torch.zeros(DIM), atol=1e-4, rtol=0)
    torch.testing.assert_close(made.std(0, unbiased=False), torch.ones(DIM), atol=1e-2, rtol=0)
    assert not list(network.encoder[-1].parameters())


def test_the_decoder_is_the_generator_of_the_poster():
    network, poster = FaceCode(width=0.25), models.Generator(width=0.25)
    shapes = {key: value.shape for key, value in poster.state_dict().items()}
    assert {key: value.shape for key, value in network.decoder.state_dict().items()} == shapes


def test_spectral_norm_bounds_every_layer_of_the_discriminator(generator):
    discriminator = codes.FaceDiscriminator(width=0.0625)
    for _ in range(50):
        discriminator(torch.randn(2, 3, 64, 64, generator=generator))
    for layer in [*discriminator.layers, discriminator.parts, discriminator.whole]:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)


def test_the_voice_is_seen_along_its_leading_axes_in_deviations(generator):
    voices = torch.randn(500, 12, generator=generator) * torch.tensor([1.0, 0.5, 0.2] + [0.01] * 9) + 3
    network = sampler(generator, n_axes=3)
    network.learn_axes(voices)
    seen = network.condition(voices)
    torch.testing.assert_close(seen.mean(0), torch.zeros(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.cov(seen.T, correction=0), torch.eye(3), atol=1e-2, rtol=0)
    torch.testing.assert_close(network.condition(7 * voices), seen, atol=1e-4, rtol=0)  # loudness says nothing
    others = models.unit(voices) - models.unit(voices).mean(0)
    share = torch.linalg.svdvals(others).square()
    explained = (seen @ torch.linalg.lstsq(seen, others).solution).square().sum() / others.square().sum()
    assert explained == pytest.approx(float(share[:3].sum() / share.sum()), rel=1e-3)


def test_axes_that_hold_no_more_than_rounding_are_not_blown_up(generator):
    voices = torch.randn(5, 12, generator=generator)  # five voices span four axes
    network = sampler(generator, n_axes=10)
    network.learn_axes(voices)
    seen = network.condition(voices)
    assert (seen.std(0) > 0.5).sum() == 4 and (seen[:, 4:] == 0).all()


def test_draws_of_a_known_flow_have_the_known_distribution(generator, monkeypatch):
    """Of a straight flow from a standard normal to a normal around what the voice says, the velocity is known."""
    network, scale = sampler(generator, n_axes=DIM), 0.3
    network.learn_axes(torch.randn(300, 12, generator=generator))

    def velocity(x, time, condition, known):
        t = time[:, None]
        variance = (1 - t) ** 2 + (scale * t) ** 2
        centre = t * condition * known[:, None]
        return condition * known[:, None] + (scale**2 * t - (1 - t)) / variance * (x - centre)

    monkeypatch.setattr(network, "forward", velocity)
    voices = torch.randn(2, 12, generator=generator)
    noise = torch.randn(2, 4000, DIM, generator=generator)
    network.n_steps = 32
    draws = network.draw(voices, noise)
    told = network.condition(voices)
    torch.testing.assert_close(draws.mean(1), told, atol=0.03, rtol=0)
    torch.testing.assert_close(draws.std(1), torch.full((2, DIM), scale), atol=0.02, rtol=0)
    exact = told[:, None] + scale * noise
    errors = []
    for network.n_steps in (8, 16, 32):
        errors.append((network.draw(voices, noise) - exact).square().mean().sqrt())
    assert errors[1] < errors[0] / 2.5 and errors[2] < errors[1] / 2.5  # of second order
    for network.guidance in (0.0, 2.0):
        guided = network.draw(voices, noise)
        torch.testing.assert_close(guided.mean(1), network.guidance * told, atol=0.06, rtol=0)


def test_one_step_draws_are_the_network_of_its_noise(generator):
    network = sampler(generator, kind="energy")
    network.learn_axes(torch.randn(50, 12, generator=generator))
    voices, noise = torch.randn(3, 12, generator=generator), torch.randn(3, 4, DIM, generator=generator)
    draws = network.draw(voices, noise)
    expected = network(noise[1], torch.zeros(4), network.condition(voices[1:2]).expand(4, -1), torch.ones(4))
    torch.testing.assert_close(draws[1], expected)
    network.guidance = 0.0
    anybody = network.draw(voices, noise)
    torch.testing.assert_close(anybody[0], network.draw(voices[:1] * 0 + 1, noise[:1])[0])
    network.guidance = 1.5
    torch.testing.assert_close(network.draw(voices, noise), 1.5 * draws - 0.5 * anybody)


@pytest.mark.parametrize("kind", ["flow", "energy"])
def test_the_most_typical_draw_is_a_draw_and_always_the_same(generator, kind):
    network = sampler(generator, kind=kind, n_steps=4)
    training = torch.randn(50, 12, generator=generator)
    network.learn_axes(training)
    network.learn_told(training, torch.randn(50, DIM, generator=generator))
    voices = torch.randn(3, 12, generator=generator)
    typical = network.typical(voices)
    torch.rand(5)  # whatever else is drawn
    assert torch.equal(typical, network.typical(voices))
    torch.testing.assert_close(typical[1:2], network.typical(voices[1:2]))
    fixed = codes.noise(codes.N_TYPICAL, dim=DIM, seed=0)
    draws = network.draw(voices, fixed.expand(3, -1, -1))
    distances = [[sum(((x - y) @ network.told).norm() for y in own) for x in own] for own in draws]
    for found, own, far in zip(typical, draws, distances, strict=True):
        torch.testing.assert_close(found, own[int(torch.tensor(far).argmin())])


def test_what_a_voice_tells_of_a_code_is_its_least_squares(generator):
    network = sampler(generator, n_axes=4)
    training = torch.randn(80, 12, generator=generator)
    network.learn_axes(training)
    voices = network.condition(training)
    found = 3 + voices @ torch.arange(4.0 * DIM).reshape(4, DIM) + torch.randn(80, DIM, generator=generator)
    network.learn_told(training, found)
    inputs = np.c_[np.ones(80), voices.numpy()]
    expected = np.linalg.lstsq(inputs, found.numpy(), rcond=None)[0][1:]  # [n_axes, dim]
    np.testing.assert_allclose(network.told.numpy(), expected.T, rtol=1e-3, atol=1e-3)


def test_the_most_typical_draw_is_typical_in_what_the_voice_tells():
    # Codes are noise. The first number is told and the second is not: nearness in the second must not count.
    network = Sampler(embedding_dim=12, dim=2, n_axes=1, n_steps=1).eval()
    with torch.no_grad():
        for layer in network.parameters():
            layer.zero_()
    network.told.copy_(torch.tensor([[1.0], [0.0]]))
    typical = network.typical(torch.ones(1, 12))
    first = codes.noise(codes.N_TYPICAL, dim=2, seed=0)[:, 0]
    far = (first[:, None] - first).abs().mean(1)
    assert typical[0, 0] == first[far.argmin()]


def test_an_axis_without_variance_tells_nothing(generator):
    network = sampler(generator, n_axes=4)
    training = torch.randn(30, 12, generator=generator)
    training[:, 2:] = 0  # on the unit circle: two axes
    network.learn_axes(training)
    network.learn_told(training, torch.randn(30, DIM, generator=generator))
    assert torch.isfinite(network.told).all() and (network.told[:, 2:].abs() < 1e-6).all()


def test_noise_is_standard_normal_and_more_of_it_begins_the_same():
    assert torch.equal(codes.noise(20, dim=DIM, seed=2)[:3], codes.noise(3, dim=DIM, seed=2))
    assert not torch.equal(codes.noise(3, dim=DIM, seed=2), codes.noise(3, dim=DIM, seed=3))
    many = codes.noise(2000, dim=DIM, seed=2)
    assert abs(many.mean()) < 0.05 and many.std() == pytest.approx(1, abs=0.05)
