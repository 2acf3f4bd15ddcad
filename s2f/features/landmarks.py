"""Which face a photograph is of, and where its eyes, nose and mouth are.

Coordinates are in pixels, x to the right and y down, with whole numbers at the centres of pixels.
The five points are, in order: left eye, right eye, nose tip, left and right mouth corner, where "left" is
the left side of the image.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from s2f import weights
from s2f.errors import ImageError
from s2f.features.photo_files import check

_DETECT_PX = 640  # longest side the detector sees first; a face smaller than an eighth of it is not the subject
_BYSTANDER = 0.25  # share of the main face's area below which another face is not counted
_RETRY_PX = 1280  # and at most, when it found nothing: it needs about 80 px of face
# The second detector's box is the first one's, in which the landmarks were trained, but for this: how much lower in
# its own widths, and how much larger. A box of the first lies so about five landmarks: how much above their mean, and
# how wide, in distances from the eyes to the mouth. Medians over 1,084 photographs (benchmarks/detectors.py).
_SECOND_BOX, _BOX_OF_POINTS = (0.059, 1.096), (0.064, 2.223)
# Landmarks of a face that the first detector does not know are believed where they stay where they are when the box
# moves: to the sides, up and down, in its widths, and in size. On a profile they slide over the cheek.
_MOVES = ((0, 0, 1), (-0.06, 0, 1), (0.06, 0, 1), (0, -0.06, 1), (0, 0.06, 1), (0, 0, 0.9), (0, 0, 1.1))
_STEADY = 0.05  # mean way of the landmarks over these boxes, in distances of the eyes


def detect(image: np.ndarray, *, name: str | Path = "image", several: str = "prominent") -> np.ndarray:
    """Find five landmarks of the face a photo is of.

    Of several faces, the one with the largest area is taken, where area counts less away from the centre of
    the image (down to half at a corner); or the photo is refused if another face is at least a quarter as large,
    smaller ones being bystanders. Where nothing is found, the image is looked at again enlarged, up to
    four times, then by a second detector, whose faces count if their landmarks can be placed. dlib's HOG detector, its
    convolutional one, and 68 landmarks; eye = mean of its six points.

    Parameters
    ----------
    image : ndarray, uint8 [height, width, 3]
    name : str or Path, what errors call the image
    several : {"prominent", "reject"}, what to do about a photo of several people

    Returns
    -------
    ndarray, float32 [5, 2], in pixels of `image`, ordered as `TEMPLATE`

    Raises
    ------
    ImageError
        `reason` "no_face", "several_faces", or "landmarks", where a face is seen whose eyes, nose and mouth cannot be
        placed; or not an RGB image; or `several` is neither of the two.
    CheckpointError: a packaged model is not installed or not the declared file
    """
    if several not in ("prominent", "reject"):
        raise ImageError(f"several {several!r}", "is unknown", remedy="Give 'prominent' or 'reject'.", reason="value")
    check(image, name)
    _landmark_model()  # a missing package is said at once, not where the first face is found
    height, width = image.shape[:2]
    boxes, shown = _look(image, _detector(), most_px=_RETRY_PX)
    sure = bool(boxes)
    if not sure:
        boxes, shown = _look(image, _second_detector, most_px=_DETECT_PX)
    if not boxes:
        problem = f"({width}×{height} px) shows no face that could be found"
        raise ImageError(name, problem, remedy="Use a photo with one clear, roughly frontal face.", reason="no_face")
    box = max(boxes, key=lambda b: _prominence(b, shown.shape))
    large = [b for b in boxes if b.area() >= _BYSTANDER * box.area()]
    if several == "reject" and len(large) > 1:
        remedy = "Cut out the one it is of, or set store.several_faces to prominent."
        raise ImageError(name, f"shows {len(large)} faces", remedy=remedy, reason="several_faces")
    five = _points(shown, box) if sure else _steady_points(shown, box, name=name)
    scale = np.array([shown.shape[1] / width, shown.shape[0] / height])
    return ((five + 0.5) / scale - 0.5).astype(np.float32)  # [5, 2]


def _look(image: np.ndarray, find: Callable[[np.ndarray, int], Any], *, most_px: int) -> tuple[Any, np.ndarray]:
    """Boxes that a detector finds, and the image in which it finds them: enlarged as far as it has to be."""
    longest = max(image.shape[:2])
    factor = min(1.0, _DETECT_PX / longest)
    for enlarge in (1, 2, 4):
        if enlarge > 1 and factor * enlarge * longest > most_px:
            break
        shown = _resized(image, factor * enlarge)
        if boxes := find(shown, 0):
            break
    return boxes, shown


def _points(shown: np.ndarray, box: Any) -> np.ndarray:
    """Five landmarks of the face in a box: float64 [5, 2]."""
    import dlib

    parts = _landmark_model()(shown, dlib.rectangle(box))
    points = np.array([(p.x, p.y) for p in parts.parts()], dtype=np.float64)  # [68, 2]
    return np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])


def _steady_points(shown: np.ndarray, box: Any, *, name: str | Path) -> np.ndarray:
    """The same, as the median over boxes that move a little about the one that the first look asks for."""
    five = _points(shown, box)
    up, width = _BOX_OF_POINTS
    unit = float(np.hypot(*(five[:2].mean(0) - five[3:].mean(0))))
    x, y = five.mean(0) - (0, up * unit)
    side = width * unit
    several = [_points(shown, _square(x + right * side, y + down * side, side * size)) for right, down, size in _MOVES]
    middle = np.median(several, axis=0)  # [5, 2]
    eyes = np.hypot(*(middle[1] - middle[0]))
    moved = np.hypot(*np.moveaxis(several - middle, -1, 0)).mean() / eyes if eyes else np.inf
    if moved > _STEADY:
        problem = (
            f"shows a face whose eyes, nose and mouth cannot be placed (they move by {moved:.0%} of the eyes' distance)"
        )
        remedy = "Use a photo with one clear, roughly frontal face."
        raise ImageError(name, problem, remedy=remedy, reason="landmarks")
    return middle


def _resized(image: np.ndarray, factor: float) -> np.ndarray:
    from PIL import Image

    if factor == 1:
        return np.ascontiguousarray(image)
    size = [max(1, round(n * factor)) for n in (image.shape[1], image.shape[0])]
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0))


def _prominence(box, shape: tuple[int, ...]) -> float:
    half = np.array([shape[1], shape[0]]) / 2
    centre = np.array([(box.left() + box.right()) / 2, (box.top() + box.bottom()) / 2])
    return box.area() * (1 - 0.5 * min(1.0, float(np.hypot(*(centre - half)) / np.hypot(*half))))


@functools.cache
def _detector():
    import dlib

    return dlib.get_frontal_face_detector()


def _square(x: float, y: float, side: float) -> Any:
    import dlib

    return dlib.rectangle(*(round(float(at)) for at in (x - side / 2, y - side / 2, x + side / 2, y + side / 2)))


def _second_detector(shown: np.ndarray, enlarge: int) -> list:
    """Boxes as the first detector would draw them."""
    down, larger = _SECOND_BOX
    rects = [found.rect for found in _second_network()(shown, enlarge)]
    centres = [((r.left() + r.right()) / 2, (r.top() + r.bottom()) / 2, r.right() - r.left()) for r in rects]
    return [_square(x, y + down * side, larger * side) for x, y, side in centres]


@functools.cache
def _second_network():
    import dlib

    return dlib.cnn_face_detection_model_v1(str(weights.locate("face_detector")))


@functools.cache
def _landmark_model():
    import dlib

    return dlib.shape_predictor(str(weights.locate("landmarks")))
