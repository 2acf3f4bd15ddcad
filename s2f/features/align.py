"""Faces turned, scaled and shifted to one place in 64×64 px.

Coordinates are in pixels, x to the right and y down, with whole numbers at the centres of pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from s2f.errors import ImageError
from s2f.features.landmarks import detect
from s2f.features.photo_files import MIN_PX, check

SIZE_PX = 64

# Proportions of the five points used by ArcFace (Deng et al., CVPR 2019) and others, made symmetric, so that
# a mirrored face is aligned as well. The 2019 release of the voice-to-face GAN has its eyes 18 px apart at a
# height of 29.5; 17 px and 28 also show the hairline and the chin.
TEMPLATE = np.array([[23.0, 28.0], [40.0, 28.0], [31.5, 37.7], [24.5, 47.6], [38.5, 47.6]], dtype=np.float32)  # [5, 2]
TEMPLATE.setflags(write=False)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares similarity (rotation, one scale, shift; no reflection) that takes `source` to `target`.

    In the plane, with points as complex numbers, this is a one-line regression; it equals Umeyama, PAMI 1991.

    Parameters
    ----------
    source, target : ndarray [n, 2]

    Returns
    -------
    ndarray, float64 [2, 3], ``target ≈ source @ m[:, :2].T + m[:, 2]``
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
    landmarks : array of 10 numbers or [5, 2], in pixels of `image`, ordered as `TEMPLATE`; by default those of `detect`
    name : str or Path, what errors call the image
    several : {"prominent", "reject"}, what to do about a photo of several people; see `detect`
    max_turn : float, largest `turn`; beyond it the face is a profile

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

    check(image, name)
    if landmarks is None:
        points = detect(image, name=name, several=several)
    else:
        points = _check_landmarks(landmarks, image, name)
    if (turned := turn(points)) > max_turn:
        problem = f"shows a face turned by {turned:.2f} distances of the eyes, more than {max_turn:g}"
        raise ImageError(name, problem, remedy="Use a photo from the front, or raise store.max_turn.", reason="profile")
    inverse = similarity(TEMPLATE, points)  # from the result to the photo
    scale = float(np.hypot(*inverse[:, 0]))  # photo pixels a pixel of the result
    side = scale * SIZE_PX
    if side < MIN_PX:
        remedy = f"Use a photo whose face is {MIN_PX} px or more."
        raise ImageError(name, f"shows a face of {side:.0f} px", remedy=remedy, reason="too_small")
    if side > 16 * max(image.shape[:2]):
        problem = f"has landmarks that would make the face {side:.0f} px wide"
        raise ImageError(name, problem, remedy="Give landmarks in pixels of this image.", reason="landmarks")

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
    drawn = patch.transform((SIZE_PX * k, SIZE_PX * k), Image.Transform.AFFINE, data, Image.Resampling.BICUBIC)
    if k > 1:
        drawn = drawn.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC)
    return np.array(drawn, dtype=np.uint8)  # [64, 64, 3]


def resized(image: np.ndarray, *, name: str | Path = "image") -> np.ndarray:
    """Bring a face that is aligned already to 64×64; one of that size is left as it is.

    Takes uint8 [height, width, 3], and a `name` for errors as `align` does; gives uint8 [64, 64, 3].

    Raises
    ------
    ImageError: as `s2f.features.photo_files.check`
    """
    from PIL import Image

    check(image, name)
    if image.shape[:2] == (SIZE_PX, SIZE_PX):
        return image
    return np.array(Image.fromarray(image).resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC))  # [64, 64, 3]


def _check_landmarks(landmarks, image: np.ndarray, name: str | Path) -> np.ndarray:
    remedy = "Give left eye, right eye, nose tip, left and right mouth corner, in pixels of the image."
    points = np.asarray(landmarks, dtype=np.float64)
    if points.size != 10 or not np.isfinite(points).all():
        raise ImageError(name, f"has landmarks {landmarks!r}", remedy=remedy, reason="landmarks")
    points = points.reshape(5, 2)
    eyes, down = points[1] - points[0], points[3:].mean(0) - points[:2].mean(0)
    turn = eyes[0] * down[1] - eyes[1] * down[0]  # above 0 where the mouth is on the right-hand side of the eye line
    if turn <= 0.05 * max(eyes @ eyes, down @ down):
        problem = "has landmarks that coincide, lie on a line or are mirrored"
        raise ImageError(name, problem, remedy=remedy, reason="landmarks")
    x, y = points.mean(0)
    if not (-0.5 <= x <= image.shape[1] - 0.5 and -0.5 <= y <= image.shape[0] - 0.5):
        problem = f"has landmarks around ({x:.0f}, {y:.0f}), outside its {image.shape[1]}×{image.shape[0]} px"
        raise ImageError(name, problem, remedy=remedy, reason="landmarks")
    return points


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
