"""Readers trained on a toy corpus whose identities, sexes and attributes are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s2f import tensors
from s2f.errors import CheckpointError
from s2f.metrics import verification
from s2f.networks.readers import Readers, Trunk
from s2f.training.readers import Faces, train


def toy(rng, n_people, n_photos):
    """Discs on a plain ground: sex is the disc's position, identity its colour and size, with nuisances."""
    yy, xx = np.mgrid[:64, :64]
    faces, codes, genders, sizes = [], [], [], []
    for person in range(n_people):
        female, colour, size = person % 2 == 0, rng.uniform(30, 225, 3), rng.uniform(8, 18)
        for _ in range(n_photos):
            x, y = rng.normal([32, 22 if female else 42], 1.5)
            disc = ((xx - x) ** 2 + (yy - y) ** 2 < size**2)[..., None]
            image = np.where(disc, colour, 120) * rng.uniform(0.9, 1.1) + rng.normal(0, 6, (64, 64, 3))
            faces.append(np.clip(image, 0, 255).astype(np.uint8))
            codes.append(person)
            genders.append("f" if female else "m")
            sizes.append([size])
    return np.stack(faces), np.array(codes), genders, np.array(sizes, np.float32)


@pytest.fixture(scope="module")
def corpora():
    rng = np.random.default_rng(0)
    return toy(rng, 30, 8), toy(rng, 12, 6)


@pytest.fixture(scope="module")
def readers(corpora):
    faces, codes, genders, sizes = corpora[0]
    genders = [None if k % 5 == 0 else gender for k, gender in enumerate(genders)]  # some are unknown
    return train(Faces(faces, codes, genders, sizes, ["size_px"]), seed=0, n_steps=90, batch=40, n_threads=1)


def test_readers_know_people_they_have_not_seen(readers, corpora):
    faces, codes, genders, sizes = corpora[1]
    accuracy = ((readers.gender(faces) > 0.5) == (np.array(genders) == "f")).mean()
    assert accuracy > 0.95
    rates = verification.error_rates(
        readers.embed(faces), codes.astype(str), rng=np.random.default_rng(0), n_resamples=20
    )
    assert rates.equal_error_rate.value < 0.2
    left = ((readers.attributes(faces) - sizes) ** 2).mean() / sizes.var()
    assert left < 0.4


def test_all_that_is_read_at_once_is_what_is_read_one_by_one(readers, corpora):
    faces = corpora[1][0][:5]
    for together, alone in zip(readers.read(faces), (readers.embed, readers.gender, readers.attributes), strict=True):
        np.testing.assert_array_equal(together, alone(faces))


def test_readers_give_the_promised_shapes(readers, corpora):
    faces = corpora[1][0][:5]
    vectors = readers.embed(faces)
    assert vectors.shape == (5, 64) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert readers.gender(faces).shape == (5,) and readers.attributes(faces).shape == (5, 1)
    assert readers.embed(faces[:0]).shape == (0, 64)


def test_readers_do_not_depend_on_what_else_is_read(readers, corpora):
    faces = corpora[1][0]
    np.testing.assert_allclose(readers.embed(faces)[:3], readers.embed(faces[:3]), atol=1e-5)


def test_saved_readers_read_the_same(readers, corpora, tmp_path):
    path = readers.save(tmp_path / "measure")
    assert [p.name for p in path.parent.iterdir()] == ["readers.safetensors"]
    again = Readers.load(path.parent)
    faces = corpora[1][0][:7]
    np.testing.assert_array_equal(again.embed(faces), readers.embed(faces))
    np.testing.assert_array_equal(again.attributes(faces), readers.attributes(faces))
    assert again.attribute_names == ("size_px",)


def test_missing_and_foreign_files_are_refused(tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(CheckpointError, match="is not there"):
        Readers.load(tmp_path)
    path, weights = tmp_path / "readers.safetensors", {"model.0.weight": torch.zeros(3)}
    save_file(weights, path)
    with pytest.raises(CheckpointError, match="of another program"):
        Readers.load(tmp_path)
    tensors.save(path, weights, header={"attribute_names": [], "centre": [], "scale": []})
    with pytest.raises(CheckpointError, match="another architecture"):
        Readers.load(tmp_path)


def test_trunk_has_the_counted_parameters():
    convolutions = 3 * 16 * 9 + 16 * 32 * 9 + 32 * 64 * 9 + 64 * 96 * 9 + 2 * (16 + 32 + 64 + 96)
    heads = 1536 * 64 + 64 + 1536 + 1 + 1536 * 3 + 3
    assert sum(p.numel() for p in Trunk(3).parameters()) == convolutions + heads
