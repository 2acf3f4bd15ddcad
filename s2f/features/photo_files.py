"""Photographs on disk: any format to upright RGB."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from s2f.errors import ImageError
from s2f.features import colours

_MAX_BYTES = 1 << 30  # more than Pillow would decode without compression
# What Pillow's decoders raise on damaged files, RuntimeError for AVIF.
_DAMAGED = (OSError, SyntaxError, EOFError, TypeError, ValueError, RuntimeError, struct.error, zlib.error)
MIN_PX = 16  # below this, in the photo or in the part of it that is the face, there is no face to learn from


def read(path: str | Path) -> np.ndarray:
    """Read a photo as sRGB: turned upright (EXIF), its colour profile followed, transparency over white.

    Parameters
    ----------
    path : str or Path, any format Pillow reads; 16-bit images keep their upper 8 bits

    Returns
    -------
    ndarray, uint8 [height, width, 3]

    Raises
    ------
    ImageError
        Missing, a folder, not to be read by this user, empty, not an image, truncated or damaged, animated, of a
        mode without a defined range (32-bit integer or float), of colours that cannot be told, under 16 px, or too
        large to decode safely.
    """
    from PIL import Image, UnidentifiedImageError

    path = Path(path)
    try:
        state = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError(path, "does not exist", remedy="Check the path.", reason="missing") from None
    except PermissionError:
        raise ImageError(path, "may not be read", remedy="Change its permissions.", reason="permission") from None
    except OSError as error:  # a loop of links, a name too long
        problem = f"cannot be read ({error.strerror})"
        raise ImageError(path, problem, remedy="Check the disk and the name.", reason="unreadable") from None
    if stat.S_ISDIR(state.st_mode):
        raise ImageError(path, "is a folder", remedy="Give the path of one image.", reason="folder")
    if not stat.S_ISREG(state.st_mode):  # opening a pipe would wait for its writer
        problem = "cannot be read (a pipe or device, not a file)"
        raise ImageError(path, problem, remedy="Give the path of one image.", reason="unreadable")
    if state.st_size == 0:
        raise ImageError(path, "is empty (0 bytes)", remedy="Copy or download it again.", reason="empty")
    if state.st_size > _MAX_BYTES:
        problem = f"is too large ({state.st_size >> 20} MB)"
        raise ImageError(path, problem, remedy="Scale it down.", reason="too_large")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)  # an error here, not a hidden warning
            # From memory, where asking for more bytes than there are, as a damaged file may, takes none.
            content = io.BytesIO(path.read_bytes())
            with Image.open(content) as image:
                return _to_rgb(image, path, content)
    except UnidentifiedImageError as error:
        remedy = "Convert it to JPEG or PNG."
        raise ImageError(path, "is not an image Pillow can read", remedy=remedy, reason="not_image") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError(path, f"is too large ({error})", remedy="Scale it down.", reason="too_large") from error
    except PermissionError:
        raise ImageError(path, "may not be read", remedy="Change its permissions.", reason="permission") from None
    except ImageError:
        raise
    except _DAMAGED as error:
        remedy = "It is truncated or damaged: get it again."
        raise ImageError(path, f"cannot be decoded ({error})", remedy=remedy, reason="damaged") from error


# ------------------------------------------------------------------------------------------------ parts


def _to_rgb(image, path: Path, content: BinaryIO) -> np.ndarray:
    from PIL import Image, ImageOps

    if getattr(image, "is_animated", False) and image.format != "MPO":  # MPO: a phone's photo and its preview
        problem = f"is an animation of {image.n_frames} frames"
        raise ImageError(path, problem, remedy="Save one frame as an image.", reason="animated")
    _check_size(path, *image.size)
    if image.mode in ("I", "F"):
        problem = f"has mode {image.mode} (32 bits a sample, no defined range)"
        raise ImageError(path, problem, remedy="Convert it to 8 bits a sample.", reason="mode")
    image.load()
    upright = colours.to_srgb(ImageOps.exif_transpose(image), path, opened=image, content=content)
    if upright.mode == "RGBA":
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, (255, 255, 255, 255)), upright)
    return np.array(upright.convert("RGB"), dtype=np.uint8)


def check(image: np.ndarray, name: str | Path) -> None:
    """Raise ImageError where an image is not uint8 [height, width, 3], or under 16 px."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        what = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        remedy = "Give uint8 [height, width, 3], as `read` returns it."
        raise ImageError(name, f"is {what}", remedy=remedy, reason="mode")
    _check_size(name, image.shape[1], image.shape[0])


def _check_size(name: str | Path, width: int, height: int) -> None:
    if min(width, height) < MIN_PX:
        remedy = f"Use an image of {MIN_PX} px or more."
        raise ImageError(name, f"is only {width}×{height} px", remedy=remedy, reason="too_small")
