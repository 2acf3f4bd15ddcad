import io
import os
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from s2f import weights
from s2f.corpora.synthetic import camera, population
from s2f.errors import CheckpointError, ImageError
from s2f.features import align, landmarks, photo_files, pixels


def picture(height=48, width=64, *, seed=0):
    """Smooth random colours: nothing in them is lost by a moderate JPEG."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def turned(points, *, scale, angle_deg, shift):
    turn = scale * np.exp(1j * np.deg2rad(angle_deg))
    z = points @ [1, 1j] * turn
    return np.stack([z.real, z.imag], axis=1) + shift


def scene(points, *, height, width, sigma):
    """A dot of its own colour at each landmark, on black."""
    y, x = np.mgrid[:height, :width]
    out = np.zeros((height, width, 3))
    colours = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1]])
    for (px, py), colour in zip(points, colours, strict=True):
        out += 250 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))[..., None] * colour
    return out.clip(0, 255).astype(np.uint8), colours


# ----------------------------------------------------------------------------------------------- reading


def test_read_gives_rgb_of_every_kind(tmp_path):
    rgb = picture()
    image = Image.fromarray(rgb)
    grey = image.convert("L")
    deep = (np.asarray(grey).astype(np.uint16) << 8) + 37
    kinds = {
        "rgb.png": (image, rgb),
        "rgb.bmp": (image, rgb),
        "grey.png": (grey, np.stack([np.asarray(grey)] * 3, -1)),
        "deep.png": (Image.fromarray(deep), np.stack([np.asarray(grey)] * 3, -1)),
        "palette.png": (grey.convert("P"), np.stack([np.asarray(grey)] * 3, -1)),
        "bits.png": (image.convert("1"), np.asarray(image.convert("1").convert("RGB"))),
    }
    for name, (made, expected) in kinds.items():
        made.save(tmp_path / name)
        found = photo_files.read(tmp_path / name)
        assert found.dtype == np.uint8 and np.array_equal(found, expected), name


def test_read_jpeg_and_cmyk_are_close(tmp_path):
    rgb = picture()
    Image.fromarray(rgb).save(tmp_path / "a.jpg", quality=95)
    Image.fromarray(rgb).convert("CMYK").save(tmp_path / "b.jpg", quality=95)
    Image.fromarray(rgb).convert("CMYK").save(tmp_path / "c.tif")
    for name in ("a.jpg", "b.jpg", "c.tif"):
        assert np.abs(photo_files.read(tmp_path / name).astype(int) - rgb).mean() < 4, name


def test_read_lays_transparency_over_white(tmp_path):
    rgba = np.dstack([picture(), np.full((48, 64), 255, np.uint8)])
    rgba[:10, :, 3] = 0
    rgba[10:20, :, 3] = 128
    Image.fromarray(rgba).save(tmp_path / "a.png")
    found = photo_files.read(tmp_path / "a.png").astype(float)
    assert (found[:10] == 255).all() and np.array_equal(found[20:], rgba[20:, :, :3])
    half = 255 + (rgba[10:20, :, :3] - 255.0) * 128 / 255
    assert np.abs(found[10:20] - half).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_read_turns_photos_upright(tmp_path, orientation):
    rgb = picture()
    expected = {
        1: rgb,
        2: rgb[:, ::-1],
        3: rgb[::-1, ::-1],
        4: rgb[::-1],
        5: rgb.transpose(1, 0, 2),
        6: np.rot90(rgb, -1),
        7: rgb[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(rgb, 1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(rgb).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(photo_files.read(tmp_path / "a.png"), expected)


def _bytes(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _huge_png(side):
    """Header and nothing else: it must be refused before memory is asked for."""
    out = b"\x89PNG\r\n\x1a\n"
    for kind, content in ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)), (b"IDAT", b"x")):
        out += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return out


PICTURE = Image.fromarray(picture())
JPEG, PNG = _bytes(PICTURE, "JPEG", quality=95), _bytes(PICTURE, "PNG")
BROKEN = {
    "empty": ("a.jpg", b"", "empty"),
    "text called jpg": ("a.jpg", b"<html>404 not found</html>", "not_image"),
    "truncated jpeg": ("a.jpg", JPEG[: len(JPEG) // 2], "damaged"),
    "truncated png": ("a.png", PNG[: len(PNG) // 2], "damaged"),
    "jpeg header alone": ("a.jpg", JPEG[:20], "not_image"),
    "damaged png": ("a.png", PNG[:60] + bytes(200) + PNG[260:], "damaged"),
    "animation": ("a.gif", _bytes(PICTURE, "GIF", save_all=True, append_images=[PICTURE.rotate(90)]), "animated"),
    "float samples": ("a.tif", _bytes(PICTURE.convert("F"), "TIFF"), "mode"),
    "32-bit samples": ("a.tif", _bytes(PICTURE.convert("I"), "TIFF"), "mode"),
    "tiny": ("a.png", _bytes(PICTURE.resize((8, 8)), "PNG"), "too_small"),
    "100 Mpx": ("a.png", _huge_png(10_000), "too_large"),
    "900 Mpx": ("a.png", _huge_png(30_000), "too_large"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_images_are_named(tmp_path, kind):
    name, content, reason = BROKEN[kind]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError) as caught:
        photo_files.read(tmp_path / name)
    assert caught.value.reason == reason
    assert str(tmp_path / name) in str(caught.value) and caught.value.remedy


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no.jpg", "missing"),
        ("there.jpg/below.jpg", "missing"),
        ("folder", "folder"),
        ("loop.jpg", "unreadable"),
        ("n" * 300 + ".jpg", "unreadable"),
        ("pipe.jpg", "unreadable"),
        ("broken_link.jpg", "missing"),
    ],
)
def test_what_is_no_file(tmp_path, name, reason):
    (tmp_path / "there.jpg").write_bytes(JPEG)
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "broken_link.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError) as caught:
        photo_files.read(tmp_path / name)
    assert caught.value.reason == reason and name in caught.value.subject


@pytest.mark.parametrize("step", [Image, Path], ids=["open", "stat"])
def test_a_photo_that_may_not_be_read(tmp_path, monkeypatch, step):
    (tmp_path / "a.jpg").write_bytes(JPEG)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    # The superuser can read anything, so the mode bits are no test.
    monkeypatch.setattr(step, "open" if step is Image else "stat", refuse)
    with pytest.raises(ImageError, match="may not be read") as caught:
        photo_files.read(tmp_path / "a.jpg")
    assert caught.value.reason == "permission"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow's remarks on damaged tags
def test_damaged_bytes_never_escape_as_another_error(tmp_path, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    content = _bytes(PICTURE, kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP") else {}))
    rng = np.random.default_rng(0)
    n_refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        for at in rng.integers(0, min(len(content), 300), 4):
            damaged[at] = rng.integers(256)
        (tmp_path / "a.jpg").write_bytes(damaged)
        try:
            image = photo_files.read(tmp_path / "a.jpg")
        except ImageError:
            n_refused += 1
        else:
            assert image.dtype == np.uint8 and image.ndim == 3
    assert n_refused > 0


# ---------------------------------------------------------------------------------------------- aligning


def _umeyama(source, target):
    """Umeyama 1991, equations 40 to 43, by singular value decomposition."""
    ms, mt = source.mean(0), target.mean(0)
    u, d, vt = np.linalg.svd((target - mt).T @ (source - ms) / len(source))
    sign = np.array([1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(sign) @ vt
    scale = (d * sign).sum() / ((source - ms) ** 2).sum(1).mean()
    return np.column_stack([scale * rotation, mt - scale * rotation @ ms])


def test_similarity_equals_umeyama():
    rng = np.random.default_rng(0)
    for _ in range(100):
        source, target = rng.normal(size=(2, 5, 2)) * rng.uniform(0.1, 100)
        if rng.random() < 0.3:
            target = source * [-1, 1]  # a reflection would fit, and is not allowed
        found = align.similarity(source, target)
        np.testing.assert_allclose(found, _umeyama(source, target), atol=1e-9 * np.abs(target).max())
        assert np.linalg.det(found[:, :2]) > 0


def test_similarity_recovers_a_known_one():
    moved = turned(align.TEMPLATE, scale=2.5, angle_deg=30, shift=[7, -3])
    found = align.similarity(align.TEMPLATE, moved)
    cos, sin = 2.5 * np.cos(np.pi / 6), 2.5 * np.sin(np.pi / 6)
    np.testing.assert_allclose(found, [[cos, -sin, 7], [sin, cos, -3]], atol=1e-5)


@pytest.mark.parametrize("scale", [0.6, 1.0, 1.7, 3.4, 9.0])
@pytest.mark.parametrize("angle_deg", [0, 25, -80])
def test_aligned_landmarks_lie_on_the_template(scale, angle_deg):
    size = int(64 * scale * 1.6) + 20
    centre = turned(np.array([[31.5, 31.5]]), scale=scale, angle_deg=angle_deg, shift=0)[0]
    points = turned(align.TEMPLATE, scale=scale, angle_deg=angle_deg, shift=size / 2 - centre)
    image, colours = scene(points, height=size, width=size, sigma=1.5 * scale)
    result = align.align(image, points).astype(float)
    assert result.shape == (64, 64, 3)
    y, x = np.mgrid[:64, :64]
    for (px, py), colour in zip(align.TEMPLATE, colours, strict=True):
        near = (x - px) ** 2 + (y - py) ** 2 < 5**2
        others = result[..., colour == 0].max(-1) if (colour == 0).any() else 0
        weight = (result[..., colour == 1].min(-1) - others).clip(0) * near
        found = np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
        assert np.abs(found - [px, py]).max() < 0.15, (found, px, py)


def test_aligning_an_aligned_face_changes_nothing():
    image = picture(64, 64)
    assert np.abs(align.align(image, align.TEMPLATE).astype(int) - image).max() <= 1


@pytest.mark.parametrize("scale", [2.3, 3.3, 5.0, 11.0])
@pytest.mark.parametrize("angle_deg", [0, 10])
def test_fine_stripes_become_grey_and_do_not_alias(scale, angle_deg):
    size = int(64 * scale * 1.5)
    stripes = np.where(np.arange(size) % 2 == 0, 180, 80).astype(np.uint8)
    image = np.broadcast_to(stripes[None, :, None], (size, size, 3)).copy()
    points = turned(align.TEMPLATE, scale=scale, angle_deg=angle_deg, shift=size / 6)
    result = align.align(image, points)[4:-4, 8:-4].astype(float)
    every = (np.arange(64) * scale).astype(int)
    assert image[np.ix_(every, every)].std() > 40  # what picking single pixels would give
    assert result.std() < 1.5 and abs(result.mean() - 130) < 2


def test_beyond_the_photo_its_edge_is_repeated():
    image = np.full((80, 90, 3), (200, 100, 50), np.uint8)
    corner = turned(align.TEMPLATE, scale=1.2, angle_deg=15, shift=[-20, -20])
    assert (align.align(image, corner) == (200, 100, 50)).all()
    ramp = np.broadcast_to(np.arange(90, dtype=np.uint8)[:, None, None] + 100, (90, 90, 3)).copy()
    result = align.align(ramp, align.TEMPLATE - np.float32([0, 20]))  # the upper 20 rows lie above the photo
    assert (result[:19] == 100).all() and np.array_equal(result[20:, 0, 0], np.arange(100, 144))


def test_a_mirrored_photo_gives_the_mirrored_face():
    image = picture(150, 140, seed=3)
    points = turned(align.TEMPLATE, scale=1.6, angle_deg=12, shift=[20, 10])
    mirrored = (points * [-1, 1] + [139, 0])[[1, 0, 2, 4, 3]]
    one, other = align.align(image, points), align.align(image[:, ::-1].copy(), mirrored)
    assert np.abs(one[:, ::-1].astype(int) - other).max() <= 2


def test_the_size_of_the_photo_does_not_matter():
    small = picture(128, 128, seed=5)
    points = turned(align.TEMPLATE, scale=1.5, angle_deg=-8, shift=[12, 18])
    expected = align.align(small, points).astype(int)
    for factor in (2, 5, 9):
        big = np.asarray(Image.fromarray(small).resize((128 * factor,) * 2, Image.Resampling.BICUBIC))
        found = align.align(big, (points + 0.5) * factor - 0.5).astype(int)
        assert np.abs(found - expected).mean() < 0.6


def test_a_list_of_ten_numbers_will_do():
    image = picture(100, 100)
    assert np.array_equal(align.align(image, align.TEMPLATE.ravel().tolist()), align.align(image, align.TEMPLATE))


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (align.TEMPLATE[:4], "has landmarks"),
        (align.TEMPLATE * np.nan, "has landmarks"),
        (align.TEMPLATE * 0 + 30, "coincide"),
        (align.TEMPLATE * [1, 0], "lie on a line"),
        (align.TEMPLATE[[1, 0, 2, 4, 3]], "mirrored"),
        (align.TEMPLATE + np.float32([500, 0]), "outside its 100×100 px"),
        (turned(align.TEMPLATE, scale=0.1, angle_deg=0, shift=50), "shows a face of 6 px"),
        (turned(align.TEMPLATE, scale=100.0, angle_deg=0, shift=[-3100, -3700]), "make the face 6400 px wide"),
    ],
)
def test_impossible_landmarks(points, message):
    with pytest.raises(ImageError, match=message):
        align.align(picture(100, 100), points, name="a.jpg")


@pytest.mark.parametrize(
    "image", [picture().astype(float), picture()[..., 0], np.zeros((40, 40, 4), np.uint8), [[1]], picture(10, 60)]
)
def test_only_rgb_bytes_are_images(image):
    with pytest.raises(ImageError):
        align.align(image, align.TEMPLATE)


def test_the_template_is_symmetric():
    mirrored = (align.TEMPLATE * [-1, 1] + [63, 0])[[1, 0, 2, 4, 3]]
    np.testing.assert_allclose(mirrored, align.TEMPLATE, atol=1e-5)
    with pytest.raises(ValueError, match="read-only"):
        align.TEMPLATE[0] = 0


def test_what_is_aligned_is_only_resized():
    image = picture(64, 64)
    assert np.array_equal(align.resized(image), image)
    large = np.asarray(Image.fromarray(image).resize((256, 256), Image.Resampling.BICUBIC))
    found = align.resized(large)
    assert found.shape == (64, 64, 3) and found.dtype == np.uint8
    assert np.abs(found.astype(int) - image).mean() < 3
    assert align.resized(picture(70, 90)).shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("image", "reason"),
    [(picture(8, 64), "too_small"), (picture()[..., 0], "mode"), (picture().astype(float), "mode"), (None, "mode")],
)
def test_resizing_refuses_what_is_no_image(image, reason):
    with pytest.raises(ImageError, match=r"^a\.png is") as caught:
        align.resized(image, name="a.png")
    assert caught.value.reason == reason


# ---------------------------------------------------------------------------------------------- turning


def test_the_template_looks_ahead():
    assert align.turn(align.TEMPLATE) == 0
    assert align.turn(align.TEMPLATE.ravel().tolist()) == 0


@pytest.mark.parametrize("nose_px", [0, 4.25, 8.5, 17])
@pytest.mark.parametrize("angle_deg", [0, 25, -80, 180])
def test_turn_is_measured_along_the_eyes(nose_px, angle_deg):
    """Eyes are 17 px apart; neither tilting nor the size nor the place of a face, nor its side, matter."""
    for side in (-1, 1):
        points = align.TEMPLATE + np.outer([0, 0, 1, 0, 0], [side * nose_px, 0])
        moved = turned(points, scale=2.5, angle_deg=angle_deg, shift=[70, -30])
        assert align.turn(moved) == pytest.approx(nose_px / 17, abs=1e-6)


def test_a_nose_up_or_down_is_no_turn():
    assert align.turn(align.TEMPLATE + np.outer([0, 0, 1, 0, 0], [0, 6])) == 0


@pytest.mark.parametrize("side", [-1, 1])
def test_turn_rises_with_the_yaw_of_a_head(side):
    person = population.sample(2, seed=3).to_dict("records")[0]
    found = []
    for yaw_deg in (0, 5, 10, 15, 20):
        scene = camera._scene(np.random.default_rng(0)) | {"yaw": side * yaw_deg, "pitch": 0.0, "roll": 0.0}
        rng = np.random.default_rng(0)
        _, marks = camera._photograph(person, scene, rng=rng, size_px=32, device="cpu")
        found.append(align.turn(marks))
    assert found[0] < 0.02 and found[-1] > 0.25
    assert (np.diff(found) > 0.03).all(), found


@pytest.mark.parametrize("max_turn", [0.2, 1.0])
def test_profiles_are_refused_beyond_the_limit(max_turn):
    image = picture(64, 64)
    for factor in (0.98, 1.02):
        points = align.TEMPLATE + np.outer([0, 0, 1, 0, 0], [factor * max_turn * 17, 0])
        if factor < 1:
            assert align.align(image, points, max_turn=max_turn).shape == (64, 64, 3)
            continue
        with pytest.raises(ImageError, match=rf"turned by {1.02 * max_turn:.2f} .* more than {max_turn:g}") as caught:
            align.align(image, points, max_turn=max_turn)
        assert caught.value.reason == "profile"


# -------------------------------------------------------------------------------------------- normalising


def test_denormalise_undoes_normalise_exactly():
    images = np.resize(np.arange(256, dtype=np.uint8), (2, 16, 24, 3))
    scaled = pixels.normalise(images)
    assert scaled.shape == (2, 3, 16, 24) and scaled.dtype == np.float32
    assert scaled.min() == -1 and scaled.max() == 1
    assert np.array_equal(pixels.denormalise(scaled), images)
    assert np.array_equal(scaled[1, 2, 3], (images[1, 3, :, 2].astype(np.float32) - 127.5) / 127.5)
    one = pixels.normalise(images[0])
    assert one.shape == (3, 16, 24) and np.array_equal(pixels.denormalise(one), images[0])


def test_tensors_and_arrays_agree():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    tensor = pixels.normalise(torch.from_numpy(images))
    assert tensor.dtype == torch.float32 and np.array_equal(tensor.numpy(), pixels.normalise(images))
    noisy = 2.5 * torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = pixels.denormalise(noisy)
    assert found.dtype == torch.uint8 and np.array_equal(found.numpy(), pixels.denormalise(noisy.numpy()))
    assert found.min() == 0 and found.max() == 255  # clipped


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_normalising_refuses_what_it_would_scale_wrongly(make):
    with pytest.raises(ImageError, match="Give uint8"):
        pixels.normalise(make(np.zeros((4, 4, 3), np.float32)))
    with pytest.raises(ImageError, match="Give uint8"):
        pixels.normalise(make(np.zeros((3, 4, 4), np.uint8)))
    with pytest.raises(ImageError, match="Give float"):
        pixels.denormalise(make(np.zeros((3, 4, 4), np.uint8)))
    with pytest.raises(ImageError, match="NaN"):
        pixels.denormalise(make(np.full((3, 4, 4), np.nan, np.float32)))


# ---------------------------------------------------------------------------------------------- detecting


def test_no_face():
    pytest.importorskip("dlib")
    with pytest.raises(ImageError, match=r"a\.jpg .64×48 px. shows no face") as caught:
        landmarks.detect(picture(), name="a.jpg")
    assert caught.value.reason == "no_face"


def test_landmark_model_is_the_declared_file(monkeypatch):
    landmarks._landmark_model.cache_clear()
    declared = weights.NETWORKS["landmarks"]
    for change, said in (({"sha256": "0" * 64}, "has SHA-256 fbdc2cb8"), ({"package": "no-such"}, "is not installed")):
        monkeypatch.setattr(weights, "NETWORKS", {"landmarks": replace(declared, **change)})
        with pytest.raises(CheckpointError, match=said):
            landmarks._landmark_model()


@pytest.fixture(scope="module")
def photos():
    root = Path(os.environ.get("S2F_REAL", Path(__file__).parents[3] / "shared" / "real")) / "vggface"
    if not root.is_dir():
        pytest.skip(f"no real photos at {root}: set S2F_REAL")
    return [photo_files.read(path) for path in sorted(root.glob("*/*.jpg"))]


def test_every_real_face_is_found_and_aligned(photos):
    errors = []
    for image in photos:
        points = landmarks.detect(image)
        eyes_x, mouth_x = points[:2, 0], points[3:, 0]
        assert eyes_x[0] < eyes_x[1] and mouth_x[0] < mouth_x[1]
        assert points[:2, 1].max() < points[3:, 1].min()
        fit = align.similarity(points, align.TEMPLATE)
        errors.append(np.abs(points @ fit[:, :2].T + fit[:, 2] - align.TEMPLATE).mean())
    assert len(photos) == 241
    assert np.median(errors) < 1.2 and max(errors) < 3  # px of 64; a profile fits worst


def test_landmarks_follow_the_photo(photos):
    for image in photos[:40:4]:
        points = landmarks.detect(image)
        mirrored = (landmarks.detect(image[:, ::-1].copy()) * [-1, 1] + [image.shape[1] - 1, 0])[[1, 0, 2, 4, 3]]
        assert np.abs(mirrored - points).mean() < 4
        double = np.asarray(Image.fromarray(image).resize((448, 448), Image.Resampling.BICUBIC))
        assert np.abs((landmarks.detect(double) + 0.5) / 2 - 0.5 - points).mean() < 4


def test_small_faces_are_found_by_enlarging(photos):
    found = 0
    for image in photos[::12]:
        small = np.asarray(Image.fromarray(image).resize((56, 56), Image.Resampling.BICUBIC))
        try:
            points = (landmarks.detect(small) + 0.5) * 4 - 0.5
        except ImageError:
            continue
        found += np.abs(points - landmarks.detect(image)).mean() < 12
    assert found >= 18  # of 21


def test_the_larger_and_more_central_face_is_taken(photos):
    large, other = photos[0], photos[40]
    canvas = np.full((460, 460, 3), 128, np.uint8)
    canvas[118:342, 118:342] = large
    canvas[:112, :112] = np.asarray(Image.fromarray(other).resize((112, 112)))
    x, y = landmarks.detect(canvas).mean(0)
    assert 118 < x < 342 and 118 < y < 342
    side = np.full((240, 900, 3), 128, np.uint8)
    side[8:232, 338:562], side[8:232, 670:894] = other, other  # the same size: the one in the middle
    assert 338 < landmarks.detect(side)[:, 0].mean() < 562


def collage(photos, *, other_px):
    """Two people beside each other; the first keeps its size, on the left."""
    one, other = photos[0], Image.fromarray(photos[40]).resize((other_px, other_px), Image.Resampling.BICUBIC)
    canvas = np.full((240, 480, 3), 128, np.uint8)
    canvas[8:232, 8:232] = one
    canvas[8 : 8 + other_px, 248 : 248 + other_px] = np.asarray(other)
    return canvas


@pytest.mark.parametrize(("other_px", "refused"), [(224, True), (160, True), (100, False)])
def test_a_photo_of_two_people_may_be_refused(photos, other_px, refused):
    image = collage(photos, other_px=other_px)
    assert (landmarks.detect(image[:, 240:].copy())[:, 0] < other_px + 8).all()  # the detector finds the other, too
    points = landmarks.detect(image)
    if not refused:  # a bystander
        assert np.array_equal(landmarks.detect(image, several="reject"), points) and points[:, 0].max() < 240
        return
    for call in (landmarks.detect, align.align):
        with pytest.raises(ImageError, match=r"^b\.jpg shows 2 faces") as caught:
            call(image, name="b.jpg", several="reject")
        assert caught.value.reason == "several_faces"
    found = align.align(image, points, several="reject")  # landmarks say which face it is
    assert np.array_equal(found, align.align(image))


def test_photos_of_one_person_are_not_refused(photos):
    n_refused = 0
    for image in photos[::3]:
        try:
            points = landmarks.detect(image, several="reject")
        except ImageError as error:
            n_refused += error.reason == "several_faces"
        else:
            assert np.array_equal(points, landmarks.detect(image))
    assert n_refused <= 1  # of 81


def test_only_two_ways_to_treat_several_faces():
    with pytest.raises(ImageError, match="several 'all' is unknown"):
        landmarks.detect(picture(), several="all")


def test_importing_faces_loads_no_heavy_package():
    code = "import sys, s2f.features.align; print([m for m in ('dlib', 'PIL', 'torch') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
