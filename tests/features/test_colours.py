"""Colours that a file defines otherwise than as sRGB, against the formulas of their spaces."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image

from s2f import provenance
from s2f.errors import ImageError
from s2f.features import photo_files
from tests.features import profiles
from tests.features.making import picture

SPACES = {"wide": (profiles.WIDE, 2.2), "Display P3": (profiles.P3, 2.2), "linear": (profiles.SRGB, 1.0)}
SPACES["Adobe"] = (profiles.ADOBE, 2.19921875)


def saved(folder, image, name="a.png", **options):
    image.save(folder / name, **options)
    return folder / name


def within_one(path, expected):
    found = photo_files.read(path)
    assert found.shape == expected.shape and np.abs(found - expected).max() <= 1.01


def with_chunks(path, **chunks):
    """Put chunks of a PNG before its pixels."""
    content = path.read_bytes()
    at = content.index(b"IDAT") - 4
    more = b""
    for kind, body in chunks.items():
        name = kind.encode()
        more += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    path.write_bytes(content[:at] + more + content[at:])
    return path


def chroma(primaries, white=(0.3127, 0.3290)):
    return struct.pack(">8I", *(round(100_000 * v) for v in np.ravel([white, *primaries])))


# ------------------------------------------------------------------------------------------------ ICC


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("kind", ["png", "tif", "webp", "jpg"])
def test_a_profile_is_followed(tmp_path, space, kind):
    primaries, power = SPACES[space]
    image, icc = Image.fromarray(picture()), profiles.rgb(primaries, power)
    options = {"webp": {"lossless": True}, "jpg": {"quality": 95}}.get(kind, {})
    path = saved(tmp_path, image, f"a.{kind}", icc_profile=icc, **options)
    with Image.open(path) as stored:
        values = np.asarray(stored.convert("RGB"))
    assert np.abs(values - profiles.in_srgb(values / 255, primaries, power)).max() > 10  # there is something to do
    within_one(path, profiles.in_srgb(values / 255, primaries, power))


def test_a_profile_of_srgb_changes_nothing_to_speak_of(tmp_path):
    from PIL import ImageCms

    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    within_one(saved(tmp_path, Image.fromarray(picture()), icc_profile=icc), picture())


def test_a_palette_and_transparency_keep_their_meaning(tmp_path):
    rgb = picture()
    icc = profiles.rgb(profiles.WIDE, 2.2)
    expected = profiles.in_srgb(rgb / 255, profiles.WIDE, 2.2)
    alpha = np.full((48, 64), 255, np.uint8)
    alpha[:10] = 0
    image = Image.fromarray(np.dstack([rgb, alpha]))
    expected[:10] = 255
    within_one(saved(tmp_path, image, icc_profile=icc), expected)
    palette = Image.fromarray(rgb).quantize(16)
    values = np.asarray(palette.convert("RGB")) / 255
    within_one(saved(tmp_path, palette, icc_profile=icc), profiles.in_srgb(values, profiles.WIDE, 2.2))


@pytest.mark.parametrize("kind", ["png", "jpg", "tif"])
def test_grey_by_its_own_profile_and_by_one_of_colours(tmp_path, kind):
    image = Image.fromarray(picture()).convert("L")
    for icc in (profiles.grey(1.8), profiles.rgb(profiles.WIDE, 1.8)):
        path = saved(tmp_path, image, f"a.{kind}", icc_profile=icc)
        with Image.open(path) as stored:
            values = np.asarray(stored)[..., None].repeat(3, -1) / 255
        within_one(path, profiles.in_srgb(values, profiles.SRGB, 1.8))


def test_transparent_grey_by_its_profile(tmp_path):
    values = np.asarray(Image.fromarray(picture()).convert("L"))
    expected = profiles.in_srgb(values[..., None].repeat(3, -1) / 255, profiles.SRGB, 1.8)
    alpha = np.full(values.shape, 255, np.uint8)
    alpha[:10] = 0
    image = Image.merge("LA", (Image.fromarray(values), Image.fromarray(alpha)))
    expected[:10] = 255
    within_one(saved(tmp_path, image, icc_profile=profiles.grey(1.8)), expected)


@pytest.mark.parametrize("mark", ["profile", "gAMA"])
def test_grey_of_16_bits_is_converted_before_it_is_cut_to_8(tmp_path, mark):
    deep = np.linspace(0, 65_535, 48 * 64).reshape(48, 64).astype(np.uint16)
    if mark == "profile":
        path = saved(tmp_path, Image.fromarray(deep), icc_profile=profiles.grey(1.0))
    else:
        path = with_chunks(saved(tmp_path, Image.fromarray(deep)), gAMA=struct.pack(">I", 100_000))
    within_one(path, profiles.in_srgb(deep[..., None].repeat(3, -1) / 65_535, profiles.SRGB, 1.0))


@pytest.mark.parametrize("kind", ["jpg", "tif"])
def test_inks_by_their_profile(tmp_path, kind):
    lab = np.zeros((2, 2, 2, 2, 3))
    lab[0, 0, 0, 0] = (100, 0, 0)  # paper
    lab[0, 0, 0, 1] = (20, 0, 0)  # black ink
    lab[1, 0, 0, 0] = (60, -30, -40)
    for ink, expected in (((0, 0, 0, 0), 255), ((0, 0, 0, 255), 48)):  # L* 20 is sRGB 48
        image = Image.new("CMYK", (32, 32), ink)
        options = {"quality": 100} if kind == "jpg" else {}
        within_one(
            saved(tmp_path, image, f"a.{kind}", icc_profile=profiles.cmyk(lab), **options),
            np.full((32, 32, 3), expected),
        )


def test_lab_of_a_tiff(tmp_path):
    lab = Image.merge("LAB", [Image.new("L", (32, 32), v) for v in (round(2.55 * 20), 128, 128)])
    within_one(saved(tmp_path, lab, "a.tif"), np.full((32, 32, 3), 48))


def test_photos_are_turned_upright_whatever_their_colours(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    path = saved(tmp_path, Image.fromarray(picture()), exif=exif, icc_profile=profiles.rgb(profiles.WIDE, 2.2))
    within_one(path, np.rot90(profiles.in_srgb(picture() / 255, profiles.WIDE, 2.2), -1))


WIDE = profiles.rgb(profiles.WIDE, 2.2)
PIXELS = Image.fromarray(picture())
BROKEN = {
    "cut": ("a.png", PIXELS, WIDE[:200]),
    "no profile at all": ("a.jpg", PIXELS, b"x" * 200),
    "of inks on colours": ("a.png", PIXELS, profiles.cmyk(np.zeros((2, 2, 2, 2, 3)))),
    "of grey on colours": ("a.jpg", PIXELS, profiles.grey(1.8)),
    "of colours on inks": ("a.tif", PIXELS.convert("CMYK"), WIDE),
    "without its primaries": ("a.webp", PIXELS, WIDE.replace(b"rXYZ", b"xxxx")),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_profile_that_cannot_be_used_is_named(tmp_path, case):
    name, image, icc = BROKEN[case]
    path = saved(tmp_path, image, name, icc_profile=icc)
    with pytest.raises(ImageError, match="colour profile") as caught:
        photo_files.read(path)
    assert caught.value.reason == "colours" and str(path) in str(caught.value) and "sRGB" in caught.value.remedy


def test_a_profile_that_was_torn_apart_is_named(tmp_path):
    path = saved(tmp_path, PIXELS, icc_profile=WIDE)
    content = path.read_bytes()
    at = content.index(b"iCCP")
    size = struct.unpack(">I", content[at - 4 : at])[0]
    torn = b"iCCP" + content[at + 4 : at + 20] + bytes(size - 16)
    path.write_bytes(content[:at] + torn + struct.pack(">I", zlib.crc32(torn)) + content[at + 8 + size :])
    with pytest.raises(ImageError) as caught:
        photo_files.read(path)
    assert caught.value.reason == "colours"


# ------------------------------------------------------------------------------------------------ other marks


@pytest.mark.parametrize("space", SPACES)
def test_gamma_and_primaries_of_a_png_are_followed(tmp_path, space):
    primaries, power = SPACES[space]
    chunks = {"gAMA": struct.pack(">I", round(100_000 / (power + 0.1))), "cHRM": chroma(primaries)}
    path = with_chunks(saved(tmp_path, PIXELS), **chunks)
    within_one(path, profiles.in_srgb(picture() / 255, primaries, power + 0.1))


@pytest.mark.parametrize(
    "chunks",
    [
        {"gAMA": struct.pack(">I", 45_455)},
        {"gAMA": struct.pack(">I", 45_455), "cHRM": chroma(profiles.SRGB)},
        {"gAMA": struct.pack(">I", 100_000), "sRGB": b"\0"},
        {"cICP": bytes([1, 13, 0, 1]), "gAMA": struct.pack(">I", 100_000)},
        {"cICP": bytes([2, 2, 0, 1])},
    ],
)
def test_marks_of_srgb_change_nothing(tmp_path, chunks):
    assert np.array_equal(photo_files.read(with_chunks(saved(tmp_path, PIXELS), **chunks)), picture())


def test_code_points_go_before_a_profile(tmp_path):
    path = with_chunks(saved(tmp_path, PIXELS, icc_profile=profiles.grey(1.8)), cICP=bytes([12, 4, 0, 1]))
    within_one(path, profiles.in_srgb(picture() / 255, profiles.P3, 2.2))


@pytest.mark.parametrize(
    "chunks",
    [
        {"cICP": bytes([9, 16, 0, 1])},  # high dynamic range
        {"cICP": bytes([12, 13, 0, 0])},  # not the full range
        {"cICP": b"\1\1"},
        {"gAMA": struct.pack(">I", 0)},
        {"cHRM": bytes(32)},
        {"cHRM": chroma([(0.3, 0.3)] * 3)},
    ],
)
def test_marks_that_make_no_sense_are_named(tmp_path, chunks):
    with pytest.raises(ImageError, match="colours") as caught:
        photo_files.read(with_chunks(saved(tmp_path, PIXELS), **chunks))
    assert caught.value.reason == "colours"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")  # Pillow's remark on torn tags
@pytest.mark.parametrize("mark", ["R03", "colour space 2", "R98", "torn"])
def test_what_a_camera_says(tmp_path, mark):
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = 2 if mark == "colour space 2" else 0xFFFF
    if mark in ("R03", "R98"):
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {1: mark}
    content = exif.tobytes()
    path = saved(tmp_path, PIXELS, exif=content[:-20] if mark == "torn" else content)
    with Image.open(path) as stored:
        stored.load()
    if mark in ("R98", "torn"):
        assert np.array_equal(photo_files.read(path), picture())
    else:
        within_one(path, profiles.in_srgb(picture() / 255, profiles.ADOBE, 563 / 256))


def test_stores_are_built_again_where_reading_changes():
    assert {"s2f.features.photo_files", "s2f.features.colours"} <= set(provenance.modules_of("s2f.features.pack"))


def test_pictures_without_marks_are_as_they_were(tmp_path):
    out = io.BytesIO()
    PIXELS.save(out, "PNG")
    (tmp_path / "a.png").write_bytes(out.getvalue())
    assert np.array_equal(photo_files.read(tmp_path / "a.png"), picture())
