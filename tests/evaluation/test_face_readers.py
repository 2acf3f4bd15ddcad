"""Packaged measuring networks: intact files, the right input, and what they read from real faces."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from s2f import weights, workers
from s2f.errors import ImageError
from s2f.evaluation import face_quality, face_readers
from s2f.features import align, landmarks, photo_files

# torch 2.11 deprecates the loader of the only form in which the package carries these weights.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def inception():
    return face_readers.Inception()


@pytest.fixture(scope="module")
def packaged():
    return face_readers.Packaged()


@pytest.fixture(scope="module")
def images():
    # Smooth random images: pure noise is far from anything the networks know.
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 255, (6, 3, 8, 8)).astype(np.float32))
    fine = functional.interpolate(coarse, (64, 64), mode="bicubic", align_corners=False).clamp(0, 255)
    return fine.byte().permute(0, 2, 3, 1).numpy()


def test_inception_equals_a_plain_forward_pass_in_any_batch(inception, images):
    together = inception.features(images, batch=4)
    assert together.shape == (6, 2048) and together.dtype == np.float32
    plain = torch.jit.load(str(weights.locate("inception")), map_location="cpu").eval()
    for face, features in zip(images, together, strict=True):
        x = torch.from_numpy(face).permute(2, 0, 1)[None].float() / 255 * 2 - 1
        with torch.inference_mode():
            expected = plain(functional.interpolate(x, (299, 299), mode="bilinear", align_corners=False))
        np.testing.assert_allclose(features, expected.numpy().reshape(-1), atol=2e-4)


def test_packaged_readers_give_unit_vectors_and_probabilities(packaged, images):
    vectors, female = packaged.embed(images), packaged.gender(images)
    assert vectors.shape == (6, 128) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert female.shape == (6,) and ((female >= 0) & (female <= 1)).all()
    np.testing.assert_allclose(packaged.embed(images[::-1])[::-1], vectors, atol=1e-5)


def test_a_file_that_takes_anothers_place_is_read_anew(tmp_path, monkeypatch):
    import dlib

    read, mine = [], tmp_path / "mine.dat"
    monkeypatch.setattr(dlib, "face_recognition_model_v1", lambda path: read.append(Path(path).read_text()))
    for text in ("one", "one", "another"):
        if not mine.is_file() or mine.read_text() != text:
            mine.write_text(text)
        face_readers.Packaged(identity_path=mine)
    assert read == ["one", "another"]


def test_several_processes_read_what_one_does(packaged, images, monkeypatch):
    monkeypatch.setattr(face_readers, "N_EACH", 20)
    started = []
    pool = workers.pool
    monkeypatch.setattr(workers, "pool", lambda n, **where: started.append(n) or pool(n, **where))
    rng = np.random.default_rng(1)
    faces = rng.permutation(np.concatenate([images, images[:, ::-1], images[:, :, ::-1], 255 - images, images // 2]))
    faces = np.concatenate([faces, faces[:11]])  # 41: a batch of 32, and one that is not full
    np.testing.assert_array_equal(face_readers.Packaged(n_workers=5).embed(faces), packaged.embed(faces))
    assert started == [2], "no more than the faces are worth"
    face_readers.Packaged(n_workers=5).embed(faces[:39])
    assert started == [2]


def test_gender_equals_a_plain_forward_pass(packaged, images):
    """As the package describes its network: the order of colours, what is subtracted, and which output is "f"."""
    import onnxruntime

    path = weights.locate("face_gender")
    described = json.loads(path.with_name("manifest.json").read_text())["models"]["gender"]
    assert described["input"]["color_order"] == "RGB"
    scaling, column = described["input"]["normalization"], described["labels"].index("female")
    network = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def plain(chips):
        x = (chips - np.array(scaling["means"])) * scaling["scale"]  # [n, 32, 32, 3]
        x = np.moveaxis(x, 3, 1).astype(np.float32, order="C")  # [n, 3, 32, 32]
        return network.run(["probabilities"], {"images": x})[0][:, column]

    chips, female = face_readers.dlib_chips(images, size_px=32, padding=0.2), packaged.gender(images)
    np.testing.assert_allclose(female, plain(chips), rtol=1e-3, atol=1e-6)
    swapped = plain(chips[..., ::-1])
    assert np.abs(swapped - female).max() > 0.01 and np.abs(female - 0.5).max() > 0.01, "these images can tell"


def test_chips_are_what_dlib_cuts():
    """dlib's own chip, from the five points that put dlib's eyes where the template has them."""
    import dlib

    ramp = np.stack(np.meshgrid(np.arange(64) * 3, np.arange(64) * 3), axis=-1)
    face = np.concatenate([ramp, np.zeros((64, 64, 1))], axis=-1).astype(np.uint8)
    unit_px = 17 / (0.7528 - 0.2273)
    mean_shape = np.array(  # dlib's mean face, padding 0: corners of both eyes, base of the nose
        [[0.8596, 0.2135], [0.6461, 0.2290], [0.1206, 0.2137], [0.3341, 0.2291], [0.4901, 0.6278]]
    )
    points = (mean_shape - [0.2273, 0.2212]) * unit_px + align.TEMPLATE[0]
    # dlib's points are whole pixels: on a larger copy that does not matter.
    zoom = 20
    corners = [dlib.point(*np.round((point + 0.5) * zoom - 0.5).astype(int).tolist()) for point in points]
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, 64 * zoom, 64 * zoom), corners)
    details = dlib.get_face_chip_details(shape, 150, 0.25)
    chip = face_readers.dlib_chips(face[None], size_px=150, padding=0.25)[0]
    box = details.rect
    for x, y in [(20, 20), (75, 75), (130, 40)]:
        place = np.array([box.left(), box.top()]) + (np.array([x, y]) + 0.5) / 150 * box.width()
        np.testing.assert_allclose(chip[y, x, :2], ((place + 0.5) / zoom - 0.5) * 3, atol=2.5)


def _turned(points, *, degrees, scale, shift):
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return points @ turn.T + shift


@pytest.mark.parametrize("scale", [1.0, 2.3, 14.0], ids=["as small", "finer", "much finer"])
def test_a_photographs_chip_is_the_same_square_turned_and_scaled(scale):
    """On a ramp, a chip's colour is its place in the photograph: known in closed form."""
    size = int(100 * scale)
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    ramp = np.stack([x * 250 / size, y * 250 / size, 0 * x], axis=-1).round().astype(np.uint8)
    where = {"degrees": 12, "scale": scale, "shift": [30 * scale, 10 * scale]}
    chip = face_readers.photo_chip(ramp, _turned(align.TEMPLATE, **where), size_px=150, padding=0.25)
    unit_px = 17 / (0.7528 - 0.2273)
    corner = align.TEMPLATE[0] - [0.4773 * unit_px, 0.4712 * unit_px]  # centre of the left eye, less its place
    for column, row in [(30, 40), (75, 75), (120, 60)]:
        place = _turned(corner + (np.array([column, row]) + 0.5) / 150 * 1.5 * unit_px, **where)
        assert (place > 0).all() and (place < size - 1).all()
        np.testing.assert_allclose(chip[row, column, :2], place * 250 / size, atol=1.5)


@pytest.mark.parametrize("chip", [{"size_px": 150, "padding": 0.25}, {"size_px": 32, "padding": 0.2}])
def test_an_aligned_faces_chip_is_the_same_both_ways(images, chip):
    for image, expected in zip(images, face_readers.dlib_chips(images, **chip), strict=True):
        found = face_readers.photo_chip(image, align.TEMPLATE, **chip)
        assert np.abs(found.astype(int) - expected).mean() < 1.5


def test_a_photographs_chip_averages_what_a_pixel_covers():
    stripes = np.zeros((1200, 1200, 3), np.uint8)
    stripes[:, ::2] = 255  # much finer than the chip's pixels
    points = _turned(align.TEMPLATE, degrees=0, scale=14.0, shift=[150, 150])
    chip = face_readers.photo_chip(stripes, points, size_px=32, padding=0.2)
    assert np.abs(chip[4:-4, 4:-4].astype(int) - 127).max() <= 13


def test_originals_are_read_as_the_aligned_faces_are(packaged, images):
    vectors, female = packaged.originals((image, align.TEMPLATE) for image in images)
    assert vectors.shape == (6, 128) and female.shape == (6,)
    assert np.einsum("nd,nd->n", vectors, packaged.embed(images)).min() > 0.98
    np.testing.assert_allclose(female, packaged.gender(images), atol=0.1)
    vectors, female = packaged.originals([])
    assert vectors.shape == (0, 128) and female.shape == (0,)


def test_describe_can_leave_out_inception_features_of_some(images, packaged):
    class Fake:
        def features(self, faces, *, desc):
            return np.full((len(faces), 2048), 1.0, np.float32)

    described = face_readers.describe(
        images, list("aabbcc"), reader=packaged, inception=Fake(), max_images=4, rng=np.random.default_rng(0)
    )
    assert np.isfinite(described.inception[:, 0]).sum() == 4
    assert list(described.identities) == list("aabbcc") and described.embeddings.shape == (6, 128)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 64, 64, 3), np.float32),
        np.zeros((2, 3, 64, 64), np.uint8),
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((2, 32, 32, 3), np.uint8),
    ],
    ids=["float", "channels first", "one image", "not aligned"],
)
def test_wrong_images_are_refused(packaged, wrong):
    with pytest.raises(ImageError, match="expected uint8"):
        packaged.embed(wrong)


REAL = Path(os.environ.get("S2F_REAL", Path(__file__).parents[3] / "shared" / "real"))


@pytest.fixture(scope="module")
def real_faces():
    """All photographs with their landmarks, aligned, and who they are of."""
    if not (REAL / "vggface").is_dir():
        pytest.skip(f"no real faces in {REAL}: set S2F_REAL")
    meta = pd.read_csv(REAL / "vox1_meta.csv", sep="\t").set_index("VGGFace1 ID")["Gender"]
    paths = sorted((REAL / "vggface").glob("*/*.jpg"))
    images = [photo_files.read(path) for path in paths]
    points = [landmarks.detect(image) for image in images]
    return pd.DataFrame(
        {
            "identity": [path.parent.name for path in paths],
            "source_id": [path.stem.rsplit("_", 1)[0] for path in paths],
            "gender": [meta[path.parent.name] for path in paths],
            "image": images,
            "points": points,
            "face": [align.align(image, five) for image, five in zip(images, points, strict=True)],
        }
    )


@pytest.mark.slow
def test_real_faces_at_64_px(packaged, real_faces):
    """What the study rests on: the networks read real faces of the size that is drawn."""
    aligned = np.stack(real_faces["face"])
    read = packaged.embed(aligned), packaged.gender(aligned)
    quality = face_quality.read_quality(*read, real_faces, rng=np.random.default_rng(0), n_resamples=20)
    assert (quality["n_photos"], quality["n_identities"]) == (241, 95)
    assert quality["equal_error_rate"]["value"] < 0.03  # between videos of a person
    assert quality["gender_accuracy"]["value"] >= 0.95


@pytest.mark.slow
def test_real_faces_at_their_original_size(packaged, real_faces):
    """Cut from the photograph, the chips are those of dlib's own code, and are read as well as at 64 px."""
    import dlib

    several = real_faces.groupby("identity")["source_id"].transform("nunique") > 1
    some = real_faces[several].groupby("identity").head(3).iloc[:60].reset_index(drop=True)
    read = packaged.originals(zip(some["image"], some["points"], strict=True), n=len(some))
    quality = face_quality.read_quality(*read, some, rng=np.random.default_rng(0), n_resamples=20)
    assert quality["equal_error_rate"]["value"] < 0.03
    assert quality["gender_accuracy"]["value"] >= 0.95
    find, find_points = landmarks._detector(), landmarks._landmark_model()
    network = dlib.face_recognition_model_v1(str(weights.locate("face_identity")))
    cosines = []
    for image, vector in list(zip(some["image"], read[0], strict=True))[:10]:
        boxes = find(image, 0)
        if len(boxes) == 1:  # dlib's chip comes from all 68 points, by its own least squares
            chip = dlib.get_face_chip(image, find_points(image, boxes[0]), size=150, padding=0.25)
            theirs = np.array(network.compute_face_descriptor(chip))
            cosines.append(theirs @ vector / np.linalg.norm(theirs))
    assert len(cosines) >= 5
    assert min(cosines) > 0.98
