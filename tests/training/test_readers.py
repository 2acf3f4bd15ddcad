"""Training readers on a toy corpus whose identities, sexes and attributes are known."""

import numpy as np
import pytest
import torch

from s2f.errors import TrainingError
from s2f.training import readers
from s2f.training.readers import Faces, train
from tests.networks.test_readers import toy
from tests.training.small import margin_loss


def test_readers_of_one_seed_are_equal_and_leave_the_global_generator_alone():
    faces, codes, genders, _ = (part[:60] for part in toy(np.random.default_rng(0), 30, 8))
    nothing = np.zeros((60, 0), np.float32)
    state = torch.get_rng_state()

    def one(seed):
        trained = train(Faces(faces, codes, genders, nothing, []), seed=seed, n_steps=4, batch=16)
        return trained.embed(faces[:4])

    first = one(1)
    np.testing.assert_array_equal(first, one(1))
    assert not np.allclose(first, one(2))
    assert torch.equal(state, torch.get_rng_state())


def test_the_loss_of_identity_lowers_the_cosine_of_the_right_person_by_the_margin():
    rng, labels = np.random.default_rng(0), np.array([0, 2, 1, 1])
    vectors, prototypes = rng.normal(size=(4, 64)), rng.normal(size=(3, 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = readers._identity_loss(*map(torch.from_numpy, (vectors, prototypes, labels)))
    scale, margin = readers.COSINE_SCALE, readers.COSINE_MARGIN
    assert found.item() == pytest.approx(margin_loss(vectors, prototypes, labels, scale=scale, margin=margin))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"genders": ["f"]}, "unequal rows"),
        ({"attribute_names": ["a", "b"]}, "for 2 names"),
        ({"attributes": np.full((6, 1), np.nan)}, "not finite"),
        ({"identity_codes": np.zeros(6, int)}, "fewer than two"),
    ],
)
def test_wrong_input_is_refused(change, message):
    given = {
        "pixels": np.zeros((6, 64, 64, 3), np.uint8),
        "identity_codes": np.arange(6),
        "genders": ["f"] * 6,
        "attributes": np.zeros((6, 1)),
        "attribute_names": ["a"],
    } | change
    with pytest.raises(TrainingError, match=message):
        Faces(**given)


def test_photographs_are_mirrored_shifted_and_made_grey(monkeypatch):
    places = torch.linspace(-1, 1, 64).expand(3, 64, 64)  # brighter to the right
    down = torch.linspace(-1, 1, 64)[:, None].expand(3, 64, 64) * torch.tensor([1.0, 0.5, 0.2])[:, None, None]
    drawn = readers._augmented(torch.cat([places[None]] * 500 + [down[None]] * 500), torch.Generator().manual_seed(0))
    slope = (drawn[:500, 0, 32, 40] - drawn[:500, 0, 32, 24]) / (16 * 2 / 63)
    assert 0.42 < (slope < 0).float().mean() < 0.58  # mirrored
    assert slope.abs().min() > 0.74 and slope.abs().max() < 1.26  # a gain of 0.75 to 1.25
    grey = (drawn[500:].std(1).amax((1, 2)) < 1e-6).float().mean()
    assert 0.24 < grey < 0.36
    step = 2 / 63  # of a column; where a mirrored or plain row crosses its middle tells how far it was moved
    white = torch.zeros(400, 3, 64, 64)
    white[..., 31:33, 31:33] = 100.0
    spots = readers._augmented(white, torch.Generator().manual_seed(1)).mean(1)
    rows, columns = spots.amax(2).argmax(1), spots.amax(1).argmax(1)
    for where in (rows, columns):
        assert where.min() in (28, 29) and where.max() in (34, 35), (where.min(), where.max(), step)


def test_trainings_see_what_is_augmented(monkeypatch):
    faces, codes, genders, _ = (part[:60] for part in toy(np.random.default_rng(0), 30, 8))
    seen = []
    augmented = readers._augmented
    monkeypatch.setattr(readers, "_augmented", lambda x, generator: seen.append(len(x)) or augmented(x, generator))
    train(Faces(faces, codes, genders, np.zeros((60, 0), np.float32), []), seed=0, n_steps=3, batch=16)
    assert seen == [16] * 3
