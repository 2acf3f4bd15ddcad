"""Photographs on disk: every kind of file, and every way to be broken."""

import io
import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2f.errors import ImageError
from s2f.features import photo_files
from tests.features.making import picture


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
AVIF = _bytes(PICTURE, "AVIF")


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
    "damaged avif": (
        "a.avif",
        AVIF[: AVIF.index(b"mdat") + 4] + bytes(20) + AVIF[AVIF.index(b"mdat") + 24 :],
        "damaged",
    ),
}


def test_a_size_that_a_damaged_file_declares_takes_no_memory(tmp_path):
    at = PNG.index(b"IDAT") - 4
    (tmp_path / "a.png").write_bytes(PNG[:at] + struct.pack(">I", 900_000_000) + PNG[at + 4 :])
    tracemalloc.start()
    assert np.array_equal(photo_files.read(tmp_path / "a.png"), picture())  # all of it is there
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6


def test_a_file_that_is_too_large_is_not_read_into_memory(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(PNG)
    monkeypatch.setattr(photo_files, "_MAX_BYTES", len(PNG) - 1)
    with pytest.raises(ImageError, match="is too large") as caught:
        photo_files.read(tmp_path / "a.png")
    assert caught.value.reason == "too_large"


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
