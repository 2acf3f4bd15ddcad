"""What could stand in for generated faces."""

from __future__ import annotations

import numpy as np
import pytest

from s2f.errors import MetricError
from s2f.metrics import standins
from s2f.metrics.standins import FaceSet
from tests.metrics.loops import unit


def test_halves_share_no_photo_and_no_video(rng):
    identities = np.repeat(np.array(["a", "b", "c"], object), [6, 1, 4])
    sources = np.array(["1", "1", "2", "2", "3", "3", "1", "9", "9", "9", "9"])
    photos = FaceSet(identities=identities, female=np.arange(11.0), sources=sources)
    reference, source = standins.halves(photos, rng=rng)
    assert sorted([*reference.female, *source.female]) == list(range(11))
    videos = [set(zip(part.identities, part.sources, strict=True)) for part in (reference, source)]
    assert {v for v in videos[0] & videos[1]} == {("c", "9")}, "only a person of one video is split within it"
    assert "b" not in source.identities and list(source.identities).count("c") == 2


def test_someone_else_is_never_the_person_itself(rng):
    own = np.repeat(np.array(["a", "b", "c"], object), 20)
    other = standins.someone_else(FaceSet(identities=own, female=np.arange(60.0)), rng=rng)
    assert (other.identities != own).all() and set(other.identities) == {"a", "b", "c"}
    with pytest.raises(MetricError, match="1 people"):
        standins.someone_else(FaceSet(identities=own[:3]), rng=rng)


def test_mean_faces_and_their_repetition(rng):
    photos = rng.integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    faces, names = standins.mean_faces(photos, np.array(["f", "f", "m", "m", None], object))
    assert names == ["all", "f", "m"]
    np.testing.assert_allclose(faces[1], photos[:2].astype(float).mean(0), atol=0.5)
    np.testing.assert_allclose(faces[0], photos.astype(float).mean(0), atol=0.5)
    means = FaceSet(identities=np.array(names, object), pixels=faces)
    people = np.array(["p", "q"])
    drawn = standins.repeated(means, names, people, genders=["m", "f"])
    np.testing.assert_array_equal(drawn.pixels, faces[[2, 1]])
    assert list(drawn.identities) == ["p", "q"]
    np.testing.assert_array_equal(standins.repeated(means, names, people, genders=None).pixels, faces[[0, 0]])
    with pytest.raises(MetricError, match="q has no mean face of the same sex"):
        standins.repeated(means, names, people, genders=["m", None])


def test_a_direction_has_unit_length_and_the_centre_none(rng):
    centre = rng.normal(size=4)
    found = standins.directions(centre + np.array([[3, 0, -4, 0], [0, 0, 0, 0]]), centre)
    np.testing.assert_allclose(found, [[0.6, 0, -0.8, 0], [0, 0, 0, 0]], atol=1e-6)
    assert found.dtype == np.float32


def test_linear_probe_recovers_a_linear_map(rng):
    voices, weights = rng.normal(size=(200, 8)), rng.normal(size=(8, 6))
    targets = voices @ weights + 3.0  # a common part says nothing of anybody
    predicted = standins.linear_probe(voices, targets, voices[:20], penalty=1e-9)
    np.testing.assert_allclose(predicted, unit(targets[:20] - targets.mean(0)), atol=1e-5)


def test_linear_probe_is_ridge_regression(rng):
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    voices, targets = rng.normal(size=(60, 5)) * [1, 2, 3, 4, 5] + 1, rng.normal(size=(60, 4))
    scaled = StandardScaler().fit(voices)
    ridge = Ridge(alpha=0.3 * 60).fit(scaled.transform(voices), targets)
    expected = unit(ridge.predict(scaled.transform(voices[:9])) - targets.mean(0))
    np.testing.assert_allclose(standins.linear_probe(voices, targets, voices[:9], penalty=0.3), expected, atol=1e-5)


def test_face_set_refuses_unequal_rows():
    with pytest.raises(MetricError, match="2 rows for 3 identities"):
        FaceSet(identities=np.array(["a", "b", "c"]), female=np.ones(2))


def test_the_nearest_voice_is_that_of_a_training_person(rng):
    voices = unit(rng.normal(size=(30, 6)))
    names = np.array([f"p{k % 10}" for k in range(30)], object)
    new = unit(voices[[3, 17, 29]] + 0.01 * rng.normal(size=(3, 6)))
    assert list(standins.nearest_voice(voices, names, new)) == ["p3", "p7", "p9"]
    far = unit(rng.normal(size=(5, 6)))
    expected = [names[max(range(30), key=lambda k: float(v @ voices[k]))] for v in far]
    assert list(standins.nearest_voice(voices, list(names), far)) == expected


@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_nobody_gets_the_own_faces_and_nobody_those_of_one_person_twice(rng, n):
    names = rng.permutation(np.repeat(np.array(["a", "b", "c", "d"], object), [3, 1, 2, 5]))
    faces = FaceSet(names, pixels=rng.integers(0, 256, (11, 2, 2, 3), np.uint8), embeddings=rng.normal(size=(11, 4)))
    found = standins.shuffled(faces, n=n, rng=rng)
    assert len(found) == min(n, 3)
    moves = [set(zip(names, one.identities, strict=True)) for one in found]
    for one, moved in zip(found, moves, strict=True):
        assert (one.identities != names).all() and one.identities.dtype == object
        assert len(moved) == 4 and {to for _, to in moved} == set("abcd")  # a person's faces go to one other together
        np.testing.assert_array_equal(one.pixels, faces.pixels)
        np.testing.assert_array_equal(one.embeddings, faces.embeddings)
    assert len(set.union(*moves)) == 4 * len(found)


def test_who_gets_whose_faces_is_drawn_and_one_person_has_nobody_else():
    faces = FaceSet(np.array(list("abcdef"), object))
    several = (standins.shuffled(faces, n=1, rng=np.random.default_rng(k)) for k in range(5))
    assert len({tuple(one.identities) for (one,) in several}) > 1
    with pytest.raises(MetricError, match="1 people"):
        standins.shuffled(faces.take(np.array([0, 0])), n=3, rng=np.random.default_rng(0))
