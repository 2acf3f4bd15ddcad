"""Which face a photograph is of, and where its eyes, nose and mouth are.

Coordinates are in pixels, x to the right and y down, with whole numbers at the centres of pixels.
The five points are, in order: left eye, right eye, nose tip, left and right mouth corner, where "left" is
the left side of the image.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from s2f import weights
from s2f.errors import ImageError
from s2f.features.photo_files import check

_DETECT_PX = 640  # longest side the detector sees first; a face smaller than an eighth of it is not the subject
_BYSTANDER = 0.25  # share of the main face's area below which another face is not counted
_RETRY_PX = 1280  # and at most, when it found nothing: it needs about 80 px of face


def detect(image: np.ndarray, *, name: str | Path = "image", several: str = "prominent") -> np.ndarray:
    """Find five landmarks of the face a photo is of.

    Of several faces, the one with the largest area is taken, where area counts less away from the centre of
    the image (down to half at a corner); or the photo is refused if another face is at least a quarter as large,
    smaller ones being bystanders. Where nothing is found, the image is looked at again enlarged, up to
    four times. dlib's HOG detector and 68 landmarks; eye = mean of its six points.

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
    ImageError: `reason` "no_face" or "several_faces"; or not an RGB image; or `several` is neither of the two
    CheckpointError: the landmark model is not installed or not the declared file
    """
    import dlib

    if several not in ("prominent", "reject"):
        raise ImageError(f"several {several!r}", "is unknown", remedy="Give 'prominent' or 'reject'.", reason="value")
    check(image, name)
    find, find_points = _detector(), _landmark_model()
    height, width = image.shape[:2]
    factor = min(1.0, _DETECT_PX / max(height, width))
    for enlarge in (1, 2, 4):
        if factor * enlarge * max(height, width) > _RETRY_PX:
            break
        shown = _resized(image, factor * enlarge)
        if boxes := find(shown, 0):
            break
    if not boxes:
        problem = f"({width}×{height} px) shows no face that could be found"
        raise ImageError(name, problem, remedy="Use a photo with one clear, roughly frontal face.", reason="no_face")
    box = max(boxes, key=lambda b: _prominence(b, shown.shape))
    large = [b for b in boxes if b.area() >= _BYSTANDER * box.area()]
    if several == "reject" and len(large) > 1:
        remedy = "Cut out the one it is of, or set store.several_faces to prominent."
        raise ImageError(name, f"shows {len(large)} faces", remedy=remedy, reason="several_faces")
    parts = find_points(shown, dlib.rectangle(box))
    points = np.array([(p.x, p.y) for p in parts.parts()], dtype=np.float64)  # [68, 2]
    five = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])
    scale = np.array([shown.shape[1] / width, shown.shape[0] / height])
    return ((five + 0.5) / scale - 0.5).astype(np.float32)  # [5, 2]


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


@functools.cache
def _landmark_model():
    import dlib

    return dlib.shape_predictor(str(weights.locate("landmarks")))
