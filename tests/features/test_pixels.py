"""Pixels between 0…255 and [-1, 1]."""

import numpy as np
import pytest
import torch

from s2f.errors import ImageError
from s2f.features import pixels


def test_denormalise_undoes_normalise_exactly():
    images = np.resize(np.arange(256, dtype=np.uint8), (2, 16, 24, 3))
    scaled = pixels.normalise(images)
    assert scaled.shape == (2, 3, 16, 24) and scaled.dtype == np.float32
    assert scaled.min() == -1 and scaled.max() == 1
    assert np.array_equal(pixels.denormalise(scaled), images)
    assert np.array_equal(scaled[1, 2, 3], (images[1, 3, :, 2].astype(np.float32) - 127.5) / 127.5)
    one = pixels.normalise(images[0])
    assert one.shape == (3, 16, 24) and np.array_equal(pixels.denormalise(one), images[0])


def test_tensors_and_arrays_agree():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    tensor = pixels.normalise(torch.from_numpy(images))
    assert tensor.dtype == torch.float32 and np.array_equal(tensor.numpy(), pixels.normalise(images))
    noisy = 2.5 * torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = pixels.denormalise(noisy)
    assert found.dtype == torch.uint8 and np.array_equal(found.numpy(), pixels.denormalise(noisy.numpy()))
    assert found.min() == 0 and found.max() == 255  # clipped


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_normalising_refuses_what_it_would_scale_wrongly(make):
    with pytest.raises(ImageError, match="Give uint8"):
        pixels.normalise(make(np.zeros((4, 4, 3), np.float32)))
    with pytest.raises(ImageError, match="Give uint8"):
        pixels.normalise(make(np.zeros((3, 4, 4), np.uint8)))
    with pytest.raises(ImageError, match="Give float"):
        pixels.denormalise(make(np.zeros((3, 4, 4), np.uint8)))
    with pytest.raises(ImageError, match="NaN"):
        pixels.denormalise(make(np.full((3, 4, 4), np.nan, np.float32)))
