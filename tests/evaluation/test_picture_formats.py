"""Formats and qualities that two sets of pictures were saved with."""

import numpy as np
import pytest
from PIL import Image

from s2f.evaluation import picture_formats


def saved(folder, *, n=6, suffix=".jpg", **how):
    """Pictures of one kind in a folder of their own."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    paths = [folder / f"{i}{suffix}" for i in range(n)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path, **how)
    return paths


@pytest.mark.parametrize("quality", [10, 30, 50, 75, 90, 95, 100])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_quality_of_a_jpeg_is_read(tmp_path, quality, mode):
    Image.new(mode, (32, 32)).save(tmp_path / "a.jpg", quality=quality)
    kind, found = picture_formats.saved_as(tmp_path / "a.jpg")
    assert kind == "JPEG" and found == pytest.approx(quality, abs=1.5)


@pytest.mark.parametrize(("suffix", "kind"), [(".png", "lossless"), (".webp", "WEBP"), (".bmp", "lossless")])
def test_other_formats_have_none(tmp_path, suffix, kind):
    (path,) = saved(tmp_path / "x", n=1, suffix=suffix)
    assert picture_formats.saved_as(path) == (kind, None)


def test_a_suffix_is_not_taken_for_the_format(tmp_path):
    (path,) = saved(tmp_path / "x", n=1, suffix=".png", format="JPEG", quality=75)
    assert picture_formats.saved_as(path)[0] == "JPEG"


def test_sets_that_were_saved_alike_are_not_spoken_of(tmp_path):
    pngs, jpegs = saved(tmp_path / "png", suffix=".png"), saved(tmp_path / "jpg", quality=95)
    assert picture_formats.difference(pngs, saved(tmp_path / "bmp", suffix=".bmp")) is None
    assert picture_formats.difference(jpegs, saved(tmp_path / "94", quality=94)) is None
    assert picture_formats.difference([*pngs, *jpegs], [*jpegs, *pngs]) is None


def test_a_difference_of_format_or_quality_is_said(tmp_path):
    pngs, fine = saved(tmp_path / "png", suffix=".png"), saved(tmp_path / "95", quality=95)
    coarse = saved(tmp_path / "75", quality=75)
    said = picture_formats.difference(pngs, fine)
    assert said.startswith("Generated pictures are lossless, real ones JPEG (quality about 95): FID, KID")
    said = picture_formats.difference(fine, coarse)
    assert said.startswith("Generated pictures are JPEG (quality about 95), real ones JPEG (quality about 75): ")
    said = picture_formats.difference([*pngs, *coarse[:2]], pngs)
    assert said.startswith("Generated pictures are 75% lossless, 25% JPEG (quality about 75), real ones lossless: ")
