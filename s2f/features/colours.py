"""Colours as a photograph's file defines them, to sRGB: embedded ICC profiles, PNG's own chunks, a camera's mark.

What says nothing of its colours is sRGB already. What says something that cannot be followed is refused: read as
sRGB, skin would have another colour, and nobody would see why.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np

from s2f.errors import ImageError

_D65 = (0.3127, 0.3290)
_SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
_PRIMARIES = MappingProxyType(
    {  # ITU-T H.273, table 2: primaries and white
        1: (_SRGB, _D65),
        4: (((0.67, 0.33), (0.21, 0.71), (0.14, 0.08)), (0.310, 0.316)),
        5: (((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)), _D65),
        6: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), _D65),
        7: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), _D65),
        9: (((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), _D65),
        11: (_P3, (0.314, 0.351)),
        12: (_P3, _D65),
    }
)
# Table 3: the power of light; 0 is sRGB's curve, as which programs also show those of television cameras.
_CURVES = MappingProxyType({1: 0.0, 4: 2.2, 5: 2.8, 6: 0.0, 8: 1.0, 13: 0.0, 14: 0.0, 15: 0.0})
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_ROWS = 256  # of an image, at a time
_REMEDY = "Save it anew as sRGB, or without its colour profile."


@dataclass(frozen=True)
class _Space:
    """Chromaticities x, y of red, green, blue and white, and the power of light; 0 is sRGB's curve."""

    primaries: tuple[tuple[float, float], ...]
    white: tuple[float, float]
    power: float

    def to_xyz(self) -> np.ndarray:
        """Linear RGB to XYZ under D65, float64 [3, 3]; LinAlgError or not finite where there is no such space."""
        x, y = np.array(self.primaries).T
        columns = np.stack([x / y, np.ones(3), (1 - x - y) / y])
        white, d65 = (np.array([u, v, 1 - u - v]) / v for u, v in np.array([self.white, _D65]))
        adapted = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ d65 / (_BRADFORD @ white)) @ _BRADFORD
        return adapted @ columns * np.linalg.solve(columns, white)


def to_srgb(image, path: Path, *, opened, content: BinaryIO):
    """Convert a Pillow image to sRGB: mode RGB, or RGBA where something is transparent.

    Greyscale of 16 bits keeps its upper 8, after its colours are converted where they are.

    Parameters
    ----------
    image : Image, loaded and perhaps turned
    path : Path
    opened : Image, the same as it was opened, which knows its format and tags
    content : file, what it was opened from

    Raises
    ------
    ImageError: with `reason` colours: a profile that is damaged, or of another kind of colours than the pixels are
    """
    if opened.format == "PNG" and (codes := _cicp(content)):
        return _by_formula(image, _of_codes(codes, path), path)
    if "icc_profile" in opened.info:
        return _by_profile(image, opened.info["icc_profile"] or b"", path)
    space = _of_chunks(opened) or _of_camera(opened)
    if space is None or image.mode in ("CMYK", "LAB"):
        return _plain(image)
    return _by_formula(image, space, path)


# ------------------------------------------------------------------------------------------------ ICC


def _by_profile(image, icc: bytes, path: Path):
    from PIL import Image, ImageCms

    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        kind = profile.profile.xcolor_space.strip()
        if kind == "GRAY" and image.mode.startswith("I;16"):
            colours, alpha = image, None
        elif kind == "GRAY" and image.mode in ("1", "L", "LA"):
            colours, alpha = image.convert("L"), image.getchannel("A") if image.mode == "LA" else _alpha(image)
        elif kind == "RGB" and image.mode not in ("CMYK", "LAB"):
            colours = _plain(image)
            alpha = colours.getchannel("A") if colours.mode == "RGBA" else None
            colours = colours.convert("RGB")
        elif kind == "CMYK" and image.mode == "CMYK":
            colours, alpha = image, None
        else:
            problem = f"has pixels of mode {image.mode} and a colour profile for {kind}"
            raise ImageError(path, problem, remedy=_REMEDY, reason="colours")
        srgb = ImageCms.createProfile("sRGB")
        # For what a screen can show the intents agree; a printer's profile has tables of its own for photographs.
        intent = ImageCms.Intent.PERCEPTUAL
        # What makes 8 bits fast loses the shadows of 16.
        flags = ImageCms.Flags.NOOPTIMIZE if colours.mode.startswith("I;16") else ImageCms.Flags.NONE
        transform = ImageCms.buildTransform(profile, srgb, colours.mode, "RGB", intent, flags)
        converted = transform.apply(colours)
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        problem = f"has a colour profile that cannot be used ({error})"
        raise ImageError(path, problem, remedy=_REMEDY, reason="colours") from None
    return converted if alpha is None else Image.merge("RGBA", (*converted.split(), alpha))


def _alpha(image):
    """Transparency of a colour that a greyscale PNG names; None where it names none."""
    return image.convert("LA").getchannel("A") if image.has_transparency_data else None


def _plain(image):
    """To RGB, or to RGBA where something is transparent, as values that are sRGB's already."""
    from PIL import Image

    if image.mode == "LAB":
        from PIL import ImageCms

        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


# ------------------------------------------------------------------------------------------------ other marks


def _cicp(content: BinaryIO) -> bytes | None:
    """Content of a PNG's chunk cICP, which Pillow leaves out: coding-independent code points."""
    content.seek(8)
    while len(head := content.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind == b"cICP":
            return content.read(min(size, 5))
        if kind in (b"IDAT", b"IEND"):
            return None
        content.seek(size + 4, io.SEEK_CUR)
    return None


def _of_codes(codes: bytes, path: Path) -> _Space:
    primaries, curve, matrix, full = codes if len(codes) == 4 else (0, 0, 0, 0)  # 0: reserved
    primaries, curve = (1 if primaries == 2 else primaries), (13 if curve == 2 else curve)  # 2: not specified
    if primaries not in _PRIMARIES or curve not in _CURVES or matrix or not full:
        problem = f"has colours of the code points {', '.join(map(str, codes))}, which are not read here"
        raise ImageError(path, problem, remedy=_REMEDY, reason="colours")
    return _Space(*_PRIMARIES[primaries], _CURVES[curve])


def _of_chunks(image) -> _Space | None:
    """What a PNG's chunks gAMA and cHRM say, where it has no sRGB, which goes before both."""
    info = image.info
    if image.format != "PNG" or "srgb" in info or not ("gamma" in info or "chromaticity" in info):
        return None
    gamma = info.get("gamma", 1 / 2.2)
    # Those who write sRGB for readers that know gAMA alone write 1 / 2.2 for its curve.
    power = 0.0 if abs(gamma * 2.2 - 1) < 0.01 else 1 / gamma if gamma > 0 else np.inf
    white, *primaries = np.reshape(info.get("chromaticity", (*_D65, *np.ravel(_SRGB))), (4, 2)).tolist()
    return _Space(tuple(map(tuple, primaries)), tuple(white), power)


def _of_camera(image) -> _Space | None:
    """Adobe RGB, where a camera's EXIF says so and no profile is embedded."""
    from PIL import ExifTags

    try:
        exif = image.getexif()
        marked = exif.get_ifd(ExifTags.IFD.Interop).get(1) == "R03"
        marked |= exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace) == 2
    except (OSError, SyntaxError, EOFError, KeyError, TypeError, ValueError, struct.error):
        return None  # torn tags say nothing of colours
    return _Space(_ADOBE, _D65, 563 / 256) if marked else None


def _by_formula(image, space: _Space, path: Path):
    from PIL import Image

    with np.errstate(divide="ignore", invalid="ignore"):
        try:
            matrix = np.linalg.inv(_Space(_SRGB, _D65, 0.0).to_xyz()) @ space.to_xyz()
        except np.linalg.LinAlgError:
            matrix = np.full((3, 3), np.nan)
    if not np.isfinite([*matrix.ravel(), space.power]).all():
        problem = f"has colours whose primaries {space.primaries}, white {space.white} or gamma make no sense"
        raise ImageError(path, problem, remedy=_REMEDY, reason="colours")
    plain = _plain(image)
    if not space.power and np.abs(matrix - np.eye(3)).max() < 2e-3:
        return plain
    deep = image.mode.startswith("I;16")
    values = np.asarray(image if deep else plain)
    if values.ndim == 2:
        values = values[..., None]  # grey stays grey: white goes to white
    levels = np.linspace(0, 1, 65_536 if deep else 256)
    light = _light(levels, space.power).astype(np.float32)
    colours = np.empty((*values.shape[:2], 3), np.uint8)
    for at in range(0, len(values), _ROWS):
        linear = light[np.broadcast_to(values[at : at + _ROWS, :, :3], colours[at : at + _ROWS].shape)]
        linear = np.clip(linear @ matrix.T.astype(np.float32), 0, 1)  # [rows, W, 3]
        curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** np.float32(1 / 2.4) - 0.055)
        colours[at : at + _ROWS] = np.rint(255 * curved)
    converted = Image.fromarray(colours)
    if plain.mode == "RGBA":
        converted.putalpha(plain.getchannel("A"))
    return converted


def _light(levels: np.ndarray, power: float) -> np.ndarray:
    if power:
        return levels**power
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
