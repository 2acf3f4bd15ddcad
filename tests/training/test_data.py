"""What a variant trains on: voices and faces of the same identities, on the device or where they lie."""

from operator import attrgetter

import numpy as np
import pandas as pd
import pytest
import torch

from s2f.errors import TrainingError
from s2f.features.store import Store
from s2f.training import data, tracks
from tests.training.small import equal, pairs, run, weights


def test_identities_without_voice_or_face_are_refused():
    kept = pairs().tracks
    faces = np.zeros((4, 64, 64, 3), np.uint8)
    with pytest.raises(TrainingError, match="3 identities with voices and 2 with faces"):
        data.Pairs(kept, np.arange(12) % 3, faces, np.array([0, 0, 1, 1]), device="cpu")
    with pytest.raises(TrainingError, match="1 identities with voices"):
        data.Pairs(kept, np.zeros(12, int), faces, np.zeros(4, int), device="cpu")


@pytest.mark.parametrize("part", ["faces", "tracks.sums", "recording_identities", "face_identities"])
def test_the_digest_moves_with_the_data(part):
    one, two = pairs(), pairs()
    assert one.digest() == two.digest()
    values = attrgetter(part)(two)
    values[(0,) * values.ndim] += 1
    assert one.digest() != two.digest()


@pytest.fixture
def store(tmp_path):
    """Recordings and photographs of five people in no order; tracks beside it and pixels hold the person's number."""
    rng = np.random.default_rng(0)
    heard, seen = rng.permutation(np.arange(15) % 5), rng.permutation(np.arange(25) % 5)
    lengths = 3 + np.arange(15) % 4
    rows = np.repeat(heard, lengths)[:, None].repeat(4, 1).astype(np.float32)
    tracks.write(tmp_path, rows, np.concatenate([[0], np.cumsum(lengths)]))
    faces = np.zeros((25, 64, 64, 3), np.uint8)
    faces[..., 0], faces[..., 1] = seen[:, None, None], np.arange(25)[:, None, None]
    index = pd.DataFrame({"identity": [f"p{k}" for k in [*heard, *seen]], "row": [*range(15), *range(25)]})
    index["modality"] = ["voice"] * 15 + ["face"] * 25
    index["split"] = np.where(index["identity"].isin(["p1", "p3"]), "test", "train")
    return Store(tmp_path, None, None, faces, index, parameters={}, digest="d")


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("mixed", [False, True])
def test_voices_and_faces_have_the_numbers_of_their_people(store, monkeypatch, mixed, resident):
    monkeypatch.setattr(data, "fits", lambda n_bytes, device: resident)
    chosen = data.select(store, split="train")
    voices, photos = (part.sample(frac=1, random_state=0) if mixed else part for part in (chosen.voices, chosen.photos))
    joined = data.pairs(store, store.folder, data.Selection(voices, photos, chosen.identities), device="cpu")
    people = torch.tensor([0, 2, 4])  # the others are held out
    pixels = joined.take(torch.arange(15))[:, :, 0, 0]
    assert pixels[:, 0].tolist() == people[joined.face_identities].tolist() == sorted([0, 2, 4] * 5)
    assert sorted(pixels[:, 1].tolist()) == sorted(photos["row"])
    assert joined.tracks.whole()[:, 0].tolist() == people[joined.recording_identities].tolist()
    assert joined.recording_identities.bincount().tolist() == [3, 3, 3]


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
