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
