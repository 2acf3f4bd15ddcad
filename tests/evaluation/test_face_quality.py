"""How good a reader of faces is: which reader, its rates against counting, both sizes, and the floor of FID."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from s2f import weights
from s2f.errors import CheckpointError, ImageError
from s2f.evaluation import face_quality, face_readers
from s2f.metrics import frechet, standins
from s2f.metrics.standins import FaceSet
from tests.metrics.loops import slow_fid


@pytest.fixture
def photos():
    """Three people, two videos each with two photographs; of one person no gender is known."""
    return pd.DataFrame(
        [
            {"identity": who, "gender": gender, "source_id": video, "path": f"{who}{video}{k}.png", "landmarks": None}
            for who, gender in (("a", "f"), ("b", "m"), ("c", None))
            for video in "xy"
            for k in range(2)
        ]
    ).assign(row=np.arange(12))


def test_a_reader_of_drawn_heads_takes_no_other_network(tmp_path):
    with pytest.raises(CheckpointError, match=r"other\.dat.*drawn heads.*Leave it out"):
        face_quality.reader("synthetic", tmp_path, identity_path=tmp_path / "other.dat")


def test_networks_are_swapped_by_path(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.onnx is not there"):
        face_quality.reader("voxceleb", tmp_path, gender_path=tmp_path / "none.onnx")
    own = tmp_path / "own.onnx"  # the same network under another name, at another place
    own.write_bytes(weights.locate("face_gender").read_bytes())
    reader, name = face_quality.reader("voxceleb", tmp_path, gender_path=own)
    assert name == "identity embedding (packaged) and gender network own.onnx"
    assert reader.gender(np.full((1, 64, 64, 3), 127, np.uint8)).shape == (1,)
    assert "dlib" in face_quality.reader("voxceleb", tmp_path)[1]


def test_rates_equal_counting(photos):
    # One photograph of person a looks like b, one of b like c; no two pairs are equally alike.
    angles = np.radians([0, 1.3, 2.9, 39.2, 42.4, 41.1, 88.7, 45.6, 90.2, 97.9, 92.8, 83.3])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    female = np.array([0.9, 0.8, 0.7, 0.2, 0.1, 0.6, 0.2, 0.3, 0.5, 0.5, 0.5, 0.5])
    quality = face_quality.read_quality(vectors, female, photos, rng=np.random.default_rng(0))
    assert quality["gender_accuracy"]["value"] == pytest.approx((3 / 4 + 3 / 4) / 2)  # c has no gender
    assert (quality["n_photos"], quality["n_identities"]) == (12, 3)

    who, video = photos["identity"].to_numpy(), photos["source_id"].to_numpy()
    same, different = [], []
    for i in range(12):
        for j in range(i):
            if who[i] != who[j]:
                different.append(vectors[i] @ vectors[j])
            elif video[i] != video[j]:
                same.append(vectors[i] @ vectors[j])
    thresholds = np.sort([*same, *different])
    rates = [(np.mean(np.array(different) >= t), np.mean(np.array(same) < t)) for t in thresholds]
    accept, reject = min(rates, key=lambda pair: abs(pair[0] - pair[1]))
    assert quality["equal_error_rate"]["value"] == pytest.approx((accept + reject) / 2, abs=1e-6)
    assert 0 < quality["equal_error_rate"]["value"] < 0.5


@pytest.mark.parametrize("genders", [["f", "f", None, None], ["f", "f", "f", "f"]])
def test_one_person_of_known_sex_gives_no_accuracy(genders):
    alone = len(set(genders)) == 1
    names = ["a", "a", *(["a", "a"] if alone else ["b", "b"])]
    photos = pd.DataFrame({"identity": names, "source_id": None, "gender": genders})
    vectors = np.eye(4, dtype=np.float32)
    quality = face_quality.read_quality(vectors, np.ones(4, np.float32), photos, rng=np.random.default_rng(0))
    assert quality["gender_accuracy"] is None and quality["n_identities"] == len(set(names))


def test_the_floor_of_fid_is_between_halves_of_the_same_people():
    rng = np.random.default_rng(0)
    identities = np.repeat([f"p{k}" for k in range(60)], 4).astype(object)
    features = (rng.normal(size=(240, 8)) + np.repeat(rng.normal(size=(60, 8)), 4, axis=0)).astype(np.float32)
    photos = FaceSet(identities, inception=features, sources=np.tile(["x", "x", "y", "y"], 60).astype(object))
    floor = face_quality.fid_floor(photos, rng=np.random.default_rng(1))
    one, other = standins.halves(photos, rng=np.random.default_rng(1))
    assert floor["value"] == pytest.approx(slow_fid(one.inception, other.inception), rel=1e-4)
    assert len(one) == len(other) == floor["n"] == 120 and floor["reason"] is None
    assert floor["value"] < frechet.fid(features[:120], features[120:])  # of halves of different people
    photos = replace(photos, sources=np.tile(["x", "x", "y", "z"], 60).astype(object))
    one, other = standins.halves(photos, rng=np.random.default_rng(1))
    assert face_quality.fid_floor(photos, rng=np.random.default_rng(1))["n"] == len(other) < len(one)
    assert face_quality.fid_floor(photos.take(np.arange(40)), rng=rng)["value"] is None
    assert face_quality.fid_floor(FaceSet(identities), rng=rng)["reason"] == "no Inception features"


class Fake(face_readers.Packaged):
    """Reads the first pixel as an angle and the second as the probability of "f"."""

    def __init__(self):
        self.seen = []

    def embed(self, faces):
        angle = faces[:, 0, 0, 0] / 100.0
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)

    def gender(self, faces):
        return faces[:, 0, 1, 0] / 255.0

    def originals(self, photos, *, n=None):
        images, points = zip(*photos, strict=True)
        self.seen += [(image.shape, point.tolist()) for image, point in zip(images, points, strict=True)]
        corners = np.stack([image[:1, :2] for image in images])  # [n, 1, 2, 3]
        return self.embed(corners), self.gender(corners)


@pytest.fixture
def corpus(tmp_path, photos, monkeypatch):
    """A store whose originals are of 90×80 px and show another gender than its faces of 64×64."""
    aligned = np.zeros((12, 64, 64, 3), np.uint8)
    aligned[:, 0, 0] = np.repeat([[10], [80], [150]], 4, axis=0)
    aligned[:, 0, 1] = np.array([255, 0, 0] * 4)[:, None]
    for k, path in enumerate(photos["path"]):
        image = np.zeros((80, 90, 3), np.uint8)
        image[0, 0], image[0, 1] = aligned[k, 0, 0], 255 * (k < 4)
        Image.fromarray(image).save(tmp_path / path)
    photos["landmarks"] = [[float(v) for v in range(10)]] * 12
    monkeypatch.setattr(face_quality, "select", lambda store, *, split: SimpleNamespace(photos=photos))
    return SimpleNamespace(faces=aligned, parameters={"processed": False, "several_faces": "prominent"})


def test_both_sizes_are_read_from_the_same_photographs(corpus, tmp_path):
    reader = Fake()
    quality = face_quality.network_quality(reader, corpus, root=tmp_path, split="validation", seed=0)
    assert quality["original"]["gender_accuracy"]["value"] == 1
    assert quality["aligned"]["gender_accuracy"]["value"] == pytest.approx((2 / 4 + 3 / 4) / 2)
    assert quality["original_reason"] is None
    assert quality["aligned"]["equal_error_rate"]["value"] == quality["original"]["equal_error_rate"]["value"] == 0
    assert reader.seen == [((80, 90, 3), [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]])] * 12


def test_what_has_no_original_size_says_why(corpus, tmp_path):
    fake = Fake()
    readers = SimpleNamespace(embed=fake.embed, gender=fake.gender)
    quality = face_quality.network_quality(readers, corpus, root=tmp_path, split="validation", seed=0)
    assert quality["original"] is None and "64×64" in quality["original_reason"]
    corpus.parameters["processed"] = True
    quality = face_quality.network_quality(fake, corpus, root=tmp_path, split="validation", seed=0)
    assert quality["original"] is None and "aligned already" in quality["original_reason"]


def test_a_photograph_that_is_gone_is_named(corpus, tmp_path):
    (tmp_path / "bx1.png").unlink()
    with pytest.raises(ImageError, match=r"bx1\.png does not exist"):
        face_quality.network_quality(Fake(), corpus, root=tmp_path, split="validation", seed=0)


def test_readers_of_drawn_heads_learn_numbers_and_categories(monkeypatch):
    people = pd.DataFrame(
        {"identity": ["b", "a"], "gender": ["f", "m"], "age_years": [20.0, 50.0], "eye_colour": ["blue", "brown"]}
    )
    photos = pd.DataFrame({"identity": ["a", "b", "a"], "gender": ["m", "f", "m"], "row": [0, 1, 2]})
    selection = SimpleNamespace(photos=photos, codes=lambda frame: np.array([0, 1, 0]))

    def select(store, *, split):
        assert split == "train"
        return selection

    monkeypatch.setattr(face_quality, "select", select)
    monkeypatch.setattr(face_quality.readers, "train", lambda faces, **given: faces)
    store = SimpleNamespace(faces=np.zeros((3, 64, 64, 3), np.uint8))
    faces = face_quality.train_readers(store, people, seed=0, n_steps=1, device="cpu", n_threads=1)
    assert list(faces.attribute_names) == ["age_years", "eye_colour=blue", "eye_colour=brown"]
    assert faces.attributes.tolist() == [[50, 0, 1], [20, 1, 0], [50, 0, 1]]


@pytest.mark.parametrize("kind", ["synthetic", "voxceleb"])
def test_readers_are_trained_for_drawn_heads_alone_and_judged_on_validation_people(tmp_path, monkeypatch, kind):
    asked = []
    trained = SimpleNamespace(save=lambda folder: asked.append(("saved", folder)))
    monkeypatch.setattr(face_quality.corpus, "read_people", lambda folder: f"people of {folder.name}")
    monkeypatch.setattr(face_quality, "train_readers", lambda *what, **how: asked.append((what, how)) or trained)
    monkeypatch.setattr(face_quality, "reader", lambda kind, folder, n_workers: (f"reader {n_workers}", f"of {kind}"))
    monkeypatch.setattr(
        face_quality, "network_quality", lambda *what, **how: asked.append((what, how)) or {"judged": 1}
    )
    monkeypatch.setattr(
        face_quality, "write", lambda quality, folder, reader_name: asked.append((quality, reader_name))
    )
    settings = SimpleNamespace(
        corpus=SimpleNamespace(kind=kind),
        readers=SimpleNamespace(steps=7),
        machine=SimpleNamespace(n_threads=2, n_workers=3),
    )
    found = face_quality.make(
        "store", settings, people=tmp_path / "corpus", root=tmp_path, folder=tmp_path / "m", seed=3, device="cpu"
    )
    assert found == {"judged": 1, "reader": f"of {kind}"}
    train = [
        (("store", "people of corpus"), {"seed": 3, "n_steps": 7, "device": "cpu", "n_threads": 2}),
        ("saved", tmp_path / "m"),
    ]
    judge = [
        (("reader 3", "store"), {"root": tmp_path, "split": "validation", "seed": 3}),
        ({"judged": 1}, f"of {kind}"),
    ]
    assert asked == (train if kind == "synthetic" else []) + judge
