"""What a variant trains on: voices and faces of the same identities, on the device or where they lie."""

import numpy as np
import pytest
import torch

from s2f.errors import TrainingError
from s2f.training import data
from tests.training.small import equal, pairs, run, weights


def test_identities_without_voice_or_face_are_refused():
    kept = pairs().tracks
    faces = np.zeros((4, 64, 64, 3), np.uint8)
    with pytest.raises(TrainingError, match="3 identities with voices and 2 with faces"):
        data.Pairs(kept, np.arange(12) % 3, faces, np.array([0, 0, 1, 1]), device="cpu")
    with pytest.raises(TrainingError, match="1 identities with voices"):
        data.Pairs(kept, np.zeros(12, int), faces, np.zeros(4, int), device="cpu")


def test_the_digest_moves_with_the_data():
    one, two = pairs(), pairs()
    assert one.digest() == two.digest()
    two.faces[0, 0, 0, 0] += 1
    assert one.digest() != two.digest()


def test_faces_that_stay_mapped_train_the_same(tmp_path):
    rows, kept = np.arange(14, -1, -1), pairs().tracks
    faces = np.random.default_rng(1).integers(0, 256, (15, 64, 64, 3)).astype(np.uint8)
    np.save(tmp_path / "faces.npy", faces)
    options = {"device": "cpu", "rows": rows}
    resident, mapped = (
        data.Pairs(
            kept, np.arange(12) % 3, np.load(tmp_path / "faces.npy", mmap_mode="r"), rows % 3, resident=where, **options
        )
        for where in (True, False)
    )
    assert mapped.faces is None and resident.faces is not None
    picked = torch.tensor([3, 0, 14])
    assert torch.equal(mapped.take(picked), resident.take(picked))
    assert mapped.take(picked).is_contiguous(memory_format=torch.channels_last)
    assert mapped.digest() == resident.digest()
    ones, others = run(tmp_path / "a", using=resident), run(tmp_path / "b", using=mapped)
    assert equal(weights(ones.generator), weights(others.generator))
