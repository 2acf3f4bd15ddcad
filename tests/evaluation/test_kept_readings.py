"""Photographs are read once a reader, whoever asks, and nothing else is taken for what was read of them."""

import numpy as np
import pytest

from s2f.evaluation import kept_readings
from s2f.evaluation.kept_readings import Kept, KeptFeatures


class Reader:
    """Reads the mean of a face, and counts the faces it has read."""

    def __init__(self, scale=1.0):
        self.scale, self.n_read = scale, 0

    def embed(self, faces):
        self.n_read += len(faces)
        return self.scale * faces.reshape(len(faces), 3, 4096).mean(2, dtype=np.float32)

    def gender(self, faces):
        return np.full(len(faces), 0.25, np.float32)


class Inception:
    """Features that, as a real network's, depend a little on what they are computed with."""

    device = "cpu"

    def __init__(self):
        self.n_read = 0

    def features(self, faces, *, desc=""):
        self.n_read += len(faces)
        return faces.reshape(len(faces), -1)[:, :5].astype(np.float32) + 1e-6 * len(faces)


@pytest.fixture
def faces():
    return np.random.default_rng(0).integers(0, 256, (7, 64, 64, 3), dtype=np.uint8)


def test_every_face_is_read_once_whatever_it_is_asked_with(tmp_path, faces):
    plain, reader = Reader(), Reader()
    kept = Kept(reader, tmp_path)
    first = kept.embed(faces[[3, 1, 3]])
    assert reader.n_read == 2
    np.testing.assert_array_equal(first, plain.embed(faces[[3, 1, 3]]))
    again = Kept(reader, tmp_path)  # another variant, or the same one measured again
    np.testing.assert_array_equal(again.embed(faces), plain.embed(faces))
    assert reader.n_read == 7
    np.testing.assert_array_equal(again.embed(faces[::-1]), plain.embed(faces[::-1]))
    assert reader.n_read == 7 and again.embed(faces[:0]).shape == (0, 3)
    np.testing.assert_array_equal(again.gender(faces), plain.gender(faces))


def test_another_face_is_read_where_one_pixel_differs(tmp_path, faces):
    reader = Reader()
    Kept(reader, tmp_path).embed(faces)
    other = faces.copy()
    other[2, 5, 5, 1] ^= 1
    found = Kept(reader, tmp_path).embed(other)
    assert reader.n_read == 8
    np.testing.assert_array_equal(found, Reader().embed(other))


@pytest.mark.parametrize("changed", ["file", "code"])
def test_what_another_reader_has_read_is_left_alone(tmp_path, faces, monkeypatch, changed):
    Kept(Reader(), tmp_path / "kept").embed(faces)
    path, other = None, Reader(scale=2.0)
    if changed == "file":
        path = tmp_path / "network.dat"
        path.write_bytes(b"weights")
    else:
        monkeypatch.setattr(kept_readings.provenance, "code_key", lambda module: "edited")
    found = Kept(other, tmp_path / "kept", identity_path=path).embed(faces)
    np.testing.assert_array_equal(found, 2 * Reader().embed(faces))


def test_what_is_damaged_is_read_again(tmp_path, faces):
    reader = Reader()
    Kept(reader, tmp_path).embed(faces)
    (path,) = tmp_path.glob("*/*.safetensors")
    whole = path.read_bytes()
    for n in (0, 5, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:n])
        np.testing.assert_array_equal(Kept(reader, tmp_path).embed(faces), Reader().embed(faces))
    assert reader.n_read == 7 * 5 and path.read_bytes() == whole


def test_features_of_a_set_of_photographs_are_extracted_once(tmp_path, faces):
    first, second = Inception(), Inception()
    wanted = KeptFeatures(first, tmp_path).features(faces)
    found = KeptFeatures(second, tmp_path)  # of the run beside it
    np.testing.assert_array_equal(found.features(faces), wanted)
    assert (first.n_read, second.n_read) == (7, 0)
    np.testing.assert_array_equal(found.features(faces[1:]), Inception().features(faces[1:]))  # another set
    assert second.n_read == 6


@pytest.mark.parametrize("changed", ["file", "code", "pixel", "threads", "device", "damage"])
def test_features_of_another_kind_are_extracted_anew(tmp_path, faces, monkeypatch, changed):
    KeptFeatures(Inception(), tmp_path / "kept").features(faces)
    path, other, inception = None, faces.copy(), Inception()
    if changed == "file":
        path = tmp_path / "network.pt"
        path.write_bytes(b"weights")
    elif changed == "code":
        monkeypatch.setattr(kept_readings.provenance, "code_key", lambda module: "edited")
    elif changed == "pixel":
        other[2, 5, 5, 1] ^= 1
    elif changed == "threads":
        monkeypatch.setattr(kept_readings.torch, "get_num_threads", lambda: 77)
    elif changed == "device":
        inception.device = "cuda"
    else:
        (kept,) = (tmp_path / "kept").iterdir()
        kept.write_bytes(kept.read_bytes()[:50])
    found = KeptFeatures(inception, tmp_path / "kept", path=path).features(other)
    np.testing.assert_array_equal(found, Inception().features(other))
    assert inception.n_read == 7
