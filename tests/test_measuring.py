"""Packaged measuring networks: intact files, the right input, and what they read from real faces."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from s2f import faces, measuring
from s2f.errors import CheckpointError, ImageError
from s2f.metrics import verification

# torch 2.11 deprecates the loader of the only form in which the package carries these weights.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def inception():
    return measuring.Inception()


@pytest.fixture(scope="module")
def packaged():
    return measuring.Packaged()


@pytest.fixture(scope="module")
def images():
    # Smooth random images: pure noise is far from anything the networks know.
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 255, (6, 3, 8, 8)).astype(np.float32))
    fine = functional.interpolate(coarse, (64, 64), mode="bicubic", align_corners=False).clamp(0, 255)
    return fine.byte().permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("name", list(measuring.NETWORKS))
def test_declared_networks_are_installed_and_intact(name):
    assert measuring.locate(name).is_file()
    assert measuring.NETWORKS[name].licence and measuring.NETWORKS[name].reference


def test_a_changed_file_is_refused(monkeypatch, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    network = measuring.NETWORKS["face_gender"]
    replaced = measuring.Network(**{**vars(network), "sha256": "0" * 64})
    monkeypatch.setattr(measuring, "NETWORKS", {"face_gender": replaced})
    with pytest.raises(CheckpointError, match="SHA-256"):
        measuring.locate("face_gender")
    assert measuring.locate("face_gender", path=broken) == broken


def test_what_cannot_be_located_says_why(tmp_path):
    with pytest.raises(CheckpointError, match="face_gender"):
        measuring.locate("face_gendre")
    with pytest.raises(CheckpointError, match="not there"):
        measuring.locate("inception", path=tmp_path / "none.pt")


def test_inception_equals_a_plain_forward_pass_in_any_batch(inception, images):
    together = inception.features(images, batch=4)
    assert together.shape == (6, 2048) and together.dtype == np.float32
    plain = torch.jit.load(str(measuring.locate("inception")), map_location="cpu").eval()
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


def test_chips_are_what_dlib_cuts():
    """dlib's own chip, from the five points that put dlib's eyes where the template has them."""
    import dlib

    ramp = np.stack(np.meshgrid(np.arange(64) * 3, np.arange(64) * 3), axis=-1)
    face = np.concatenate([ramp, np.zeros((64, 64, 1))], axis=-1).astype(np.uint8)
    unit_px = 17 / (0.7528 - 0.2273)
    mean_shape = np.array(  # dlib's mean face, padding 0: corners of both eyes, base of the nose
        [[0.8596, 0.2135], [0.6461, 0.2290], [0.1206, 0.2137], [0.3341, 0.2291], [0.4901, 0.6278]]
    )
    points = (mean_shape - [0.2273, 0.2212]) * unit_px + faces.TEMPLATE[0]
    # dlib's points are whole pixels: on a larger copy that does not matter.
    zoom = 20
    corners = [dlib.point(*np.round((point + 0.5) * zoom - 0.5).astype(int).tolist()) for point in points]
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, 64 * zoom, 64 * zoom), corners)
    details = dlib.get_face_chip_details(shape, 150, 0.25)
    chip = measuring.dlib_chips(face[None], size_px=150, padding=0.25)[0]
    box = details.rect
    for x, y in [(20, 20), (75, 75), (130, 40)]:
        place = np.array([box.left(), box.top()]) + (np.array([x, y]) + 0.5) / 150 * box.width()
        np.testing.assert_allclose(chip[y, x, :2], ((place + 0.5) / zoom - 0.5) * 3, atol=2.5)


def test_describe_can_leave_out_inception_features_of_some(images, packaged):
    class Fake:
        def features(self, faces, *, desc):
            return np.full((len(faces), 2048), 1.0, np.float32)

    described = measuring.describe(
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


REAL = Path(os.environ.get("S2F_REAL", Path(__file__).parents[2] / "shared" / "real"))


@pytest.fixture(scope="module")
def real_faces():
    if not (REAL / "vggface").is_dir():
        pytest.skip(f"no real faces in {REAL}")
    meta = pd.read_csv(REAL / "vox1_meta.csv", sep="\t").set_index("VGGFace1 ID")["Gender"]
    paths = sorted((REAL / "vggface").glob("*/*.jpg"))
    return pd.DataFrame(
        {
            "identity": [path.parent.name for path in paths],
            "video": [path.stem.rsplit("_", 1)[0] for path in paths],
            "gender": [meta[path.parent.name] for path in paths],
            "face": [faces.align(faces.read(path)) for path in paths],
        }
    )


@pytest.mark.slow
def test_gender_of_real_faces(packaged, real_faces):
    female = packaged.gender(np.stack(real_faces["face"])) > 0.5
    right = female == (real_faces["gender"] == "f").to_numpy()
    assert real_faces["identity"].nunique() == 95
    assert right.mean() > 0.97


@pytest.mark.slow
def test_identity_of_real_faces_between_videos(packaged, real_faces):
    some = real_faces[real_faces.groupby("identity")["video"].transform("nunique") > 1]
    some = some.groupby("identity").head(3).iloc[:90]  # about 60 ms a face and core
    vectors, videos = packaged.embed(np.stack(some["face"])), some["video"].to_numpy(str)
    rng = np.random.default_rng(0)
    rates = verification.error_rates(
        vectors, some["identity"].to_numpy(str), sources=videos, rng=rng, n_resamples=20
    )
    assert rates.n_same > 50
    assert rates.equal_error_rate.value < 0.04
