import pytest
import torch
from torch.nn import functional as F

from s2f.networks import models
from s2f.networks.models import Classifier, FaceEmbedding, Generator, VoiceEmbedding, start_smooth


def count(network):
    return sum(p.numel() for p in network.parameters())


def test_parameter_counts_equal_hand_computed_ones():
    # kernel · in · out of each convolution, 2 a channel for batch norm, biases where there are any
    convolutions = 3 * (64 * 256 + 256 * 384 + 384 * 576 + 576 * 864)
    assert count(VoiceEmbedding()) == convolutions + 2 * (256 + 384 + 576 + 864) + 3 * 864 * 64 + 64 == 2_670_720
    up = 16 * (64 * 1024 + 1024 * 512 + 512 * 256 + 256 * 128)
    biases = 1024 + 512 + 256 + 128
    k4 = up + biases + 16 * 128 * 3 + 3
    assert count(Generator(norm="none")) == k4 == 12_066_691
    assert count(Generator()) == k4 + 2 * biases == 12_070_531
    k1 = up + biases + 16 * 128 * 64 + 64 + 64 * 3 + 3
    assert count(Generator(norm="none", tanh=False, head="k1")) == k1 == 12_191_875
    down = 3 * 32 + 16 * (32 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 64)
    assert count(FaceEmbedding()) == down + 32 + 64 + 128 + 256 + 512 + 64 == 3_310_720
    assert count(Classifier(n_outputs=1)) == 64 and count(Classifier(n_outputs=924)) == 64 * 924


@pytest.mark.parametrize("head", ["k4", "k1"])
@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("tanh", [True, False])
@pytest.mark.parametrize("width", [0.0625, 0.25])
def test_shapes_at_every_reading(head, norm, tanh, width):
    generator = Generator(width=width, norm=norm, tanh=tanh, head=head)
    faces = generator(models.unit(torch.randn(3, 64)))
    assert faces.shape == (3, 3, 64, 64) and bool(faces.abs().max() <= 1) >= tanh
    assert FaceEmbedding(width=width)(faces).shape == (3, 64)
    has_norm = any(isinstance(m, torch.nn.BatchNorm2d) for m in generator.modules())
    assert has_norm == (norm == "batch")


def test_the_voice_embedding_is_the_mean_of_its_sequence():
    network = VoiceEmbedding(width=0.0625).eval()
    log_mels = torch.randn(2, 64, 1000)
    sequence = network.sequence(log_mels)
    assert sequence.shape == (2, 64, 32)
    assert torch.allclose(network(log_mels), sequence.mean(2), atol=1e-6)
    assert (sequence < 0).any()  # no ReLU at the end


def test_released_weights_load_as_they_are():
    # Keys of the 2019 release: one Sequential `model` a network, activations and batch norms counted.
    voice = {f"model.{i}.weight" for i in (0, 1, 3, 4, 6, 7, 9, 10, 12)} | {"model.12.bias"}
    voice |= {
        f"model.{i}.{k}" for i in (1, 4, 7, 10) for k in ("bias", "running_mean", "running_var", "num_batches_tracked")
    }
    assert set(VoiceEmbedding().state_dict()) == voice
    generator = {f"model.{i}.{k}" for i in (0, 2, 4, 6, 8, 10) for k in ("weight", "bias")}
    assert set(Generator(norm="none", tanh=False, head="k1").state_dict()) == generator
    assert set(FaceEmbedding().state_dict()) == generator
    assert set(Classifier(n_outputs=924).state_dict()) == {"model.weight"}


def test_seeded_weights_depend_on_their_generator_alone():
    torch.manual_seed(1)
    one = models.seeded(lambda: FaceEmbedding(width=0.0625), generator=torch.Generator().manual_seed(5))
    state = torch.random.get_rng_state()
    two = models.seeded(lambda: FaceEmbedding(width=0.0625), generator=torch.Generator().manual_seed(5))
    other = models.seeded(lambda: FaceEmbedding(width=0.0625), generator=torch.Generator().manual_seed(6))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert not torch.equal(one.model[0].bias, other.model[0].bias)


def test_a_smooth_start_interpolates():
    """With one channel and taps of interpolation by two, an upsampling layer is a bilinear resize inside."""
    network = Generator(width=0.0625)
    start_smooth(network, generator=torch.Generator().manual_seed(0))
    layer = network.model[3]
    x = torch.rand(1, layer.in_channels, 4, 4)
    mixture = layer.weight[:, :, 1, 1] / 0.5625
    assert mixture.std().item() == pytest.approx(layer.in_channels**-0.5, rel=0.1)
    wanted = F.interpolate(torch.einsum("bchw,cd->bdhw", x, mixture), scale_factor=2, mode="bilinear")
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    assert torch.allclose((layer(x) - layer.bias[:, None, None])[inside], wanted[inside], atol=1e-5)
