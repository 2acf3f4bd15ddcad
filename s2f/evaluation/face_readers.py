"""Networks that only measure: where each comes from, that its file is intact, and what it reads from faces.

None of them takes part in training. The packaged ones lie as files inside ordinary packages, whose code
is never imported; each file is checked against its declared SHA-256 before it is loaded. A corpus with
faces of its own kind (the synthetic one) brings readers trained on its real training faces instead:
`s2f.networks.readers.Readers`, with the same `embed` and `gender`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from s2f import workers
from s2f.errors import ImageError
from s2f.features.align import TEMPLATE, similarity
from s2f.features.pixels import centred
from s2f.metrics.standins import FaceSet
from s2f.weights import locate


class Reader(Protocol):
    """What reads faces: the packaged networks, or readers trained on a corpus."""

    def embed(self, faces: np.ndarray) -> np.ndarray:
        """Identity embeddings float32 [n, d], unit length, of uint8 [n, 64, 64, 3]."""

    def gender(self, faces: np.ndarray) -> np.ndarray:
        """Probability of "f", float32 [n], of uint8 [n, 64, 64, 3]."""


class Extractor(Protocol):
    """What extracts the features that FID and KID compare: `Inception`, or what it has extracted before."""

    def features(self, faces: np.ndarray, *, desc: str = "") -> np.ndarray:
        """Features float32 [n, 2048] of RGB faces uint8 [n, H, W, 3]; `desc` labels a progress bar."""


class Inception:
    """Inception-v3 pool features for FID and KID; equal to pytorch-fid's to 1e-6 on 299 px input.

    Parameters
    ----------
    path : str or Path, optional, TorchScript file to use instead of the packaged one
    device : str, Torch device
    """

    def __init__(self, *, path: str | Path | None = None, device: str = "cpu") -> None:
        self.device = torch.device(device)
        network = torch.jit.load(str(locate("inception", path=path)), map_location=self.device).eval()
        self.network = network.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def features(self, faces: np.ndarray, *, batch: int = 32, desc: str = "Inception features") -> np.ndarray:
        """Features float32 [n, 2048] of RGB faces uint8 [n, H, W, 3], `batch` at a time; `desc` labels the bar.

        Raises
        ------
        ImageError: not uint8 RGB images
        """
        _check_faces(faces)
        parts = []
        for images in _batches(faces, n=batch, desc=desc):
            x = torch.from_numpy(np.ascontiguousarray(images)).to(self.device).permute(0, 3, 1, 2)  # [B, 3, H, W]
            x = functional.interpolate(centred(x), (299, 299), mode="bilinear", align_corners=False)  # [B, 3, 299, 299]
            parts.append(self.network(x.contiguous(memory_format=torch.channels_last)).flatten(1).cpu())  # [B, 2048]
        return torch.cat(parts).numpy() if parts else np.zeros((0, 2048), np.float32)


class Packaged:
    """dlib's identity embedding and gender network, on aligned 64×64 faces.

    Both networks expect a square chip around dlib's own face box. An aligned face has its eyes where
    `s2f.features.align.TEMPLATE` puts them, so that chip is the same crop for every face: nothing is detected,
    and a generated face is treated exactly like a real one.

    Parameters
    ----------
    identity_path, gender_path : str or Path, optional, files to use instead of the packaged ones
    n_workers : int
        Processes that share the identity embeddings of many faces, which do not depend on it; dlib reads on one core.
    """

    def __init__(
        self, *, identity_path: str | Path | None = None, gender_path: str | Path | None = None, n_workers: int = 1
    ) -> None:
        import onnxruntime

        path = locate("face_identity", path=identity_path)
        self._identity, self._n_workers = (str(path), path.stat().st_size, path.stat().st_mtime_ns), n_workers
        _identity_network(*self._identity)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._gender = onnxruntime.InferenceSession(
            str(locate("face_gender", path=gender_path)), options, providers=["CPUExecutionProvider"]
        )

    def embed(self, faces: np.ndarray) -> np.ndarray:
        """Identity embeddings float32 [n, 128], unit length, of aligned faces uint8 [n, 64, 64, 3].

        Raises
        ------
        ImageError: not aligned uint8 faces
        RunError: a worker process died
        """
        _check_faces(faces, size_px=64)
        batches = [faces[start : start + 32] for start in range(0, len(faces), 32)]
        read, n = functools.partial(_identity_of, file=self._identity), min(self._n_workers, len(faces) // N_EACH)
        with workers.pool(n, at="the identity embeddings") if n > 1 else nullcontext() as pool:
            parts = [np.zeros((0, 128), np.float32)]
            with tqdm(total=len(faces), desc="identity embeddings", unit="face", mininterval=1.0) as bar:
                for vectors in (pool.map if pool else map)(read, batches):
                    parts.append(vectors)
                    bar.update(len(vectors))
        return np.concatenate(parts)

    def gender(self, faces: np.ndarray) -> np.ndarray:
        """Probability of "f", float32 [n], of aligned faces uint8 [n, 64, 64, 3].

        Raises
        ------
        ImageError: not aligned uint8 faces
        """
        _check_faces(faces, size_px=64)
        batches = _batches(faces, n=256, desc="gender")
        parts = [self._female(dlib_chips(images, *_GENDER_CHIP)) for images in batches]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def originals(
        self, photos: Iterable[tuple[np.ndarray, np.ndarray]], *, n: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """What `embed` and `gender` read from photographs of any size, as squares cut from the photograph itself.

        Parameters
        ----------
        photos : iterable of (uint8 [H, W, 3], float [5, 2])
            A photograph and the landmarks in it, as `s2f.features.landmarks.detect` finds them; taken one by one.
        n : int, optional, how many there are, for the progress bar
        """
        vectors, female = [np.zeros((0, 128), np.float32)], [np.zeros(0, np.float32)]
        for image, landmarks in tqdm(photos, desc="original photographs", total=n, unit="photo", mininterval=1.0):
            vectors.append(_vectors(photo_chip(image, landmarks, *_IDENTITY_CHIP)[None], file=self._identity))
            female.append(self._female(photo_chip(image, landmarks, *_GENDER_CHIP)[None]))
        return np.concatenate(vectors), np.concatenate(female)

    def _female(self, chips: np.ndarray) -> np.ndarray:
        means = np.array([122.781998, 117.000999, 104.297997], np.float32)  # the package's models/manifest.json
        x = ((chips - means) / 256).transpose(0, 3, 1, 2).astype(np.float32)  # [B, 3, 32, 32]
        return self._gender.run(["probabilities"], {"images": np.ascontiguousarray(x)})[0][:, 0]


# What dlib's networks are given: side in px, and margin.
_IDENTITY_CHIP, _GENDER_CHIP = (150, 0.25), (32, 0.2)
N_EACH = 128  # fewest faces that are worth a process: dlib reads them in the time in which a few processes start


@functools.cache
def _identity_network(path: str, _size: int, _modified_ns: int):  # a file that takes another's place is read anew
    import dlib

    return dlib.face_recognition_model_v1(path)


def _identity_of(faces: np.ndarray, *, file: tuple[str, int, int]) -> np.ndarray:
    return _vectors(dlib_chips(faces, *_IDENTITY_CHIP), file=file)


def _vectors(chips: np.ndarray, *, file: tuple[str, int, int]) -> np.ndarray:
    vectors = np.asarray(_identity_network(*file).compute_face_descriptor(list(chips)))  # [B, 128]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def dlib_chips(faces: np.ndarray, size_px: int, padding: float) -> np.ndarray:
    """The square that dlib's `get_face_chip` would cut, taken from aligned faces.

    dlib fits five landmarks to a mean face in the unit square, in which the eye centres lie at
    (0.2273, 0.2212) and (0.7528, 0.2212), then widens the square by `padding` on each side.

    Parameters
    ----------
    faces : ndarray, uint8 [n, H, W, 3]
        Aligned to `s2f.features.align.TEMPLATE`; the edge is repeated where the square leaves the face.
    size_px : int, side of a chip, uint8 [n, size_px, size_px, 3]
    padding : float, margin as a share of the unpadded square
    """
    from PIL import Image

    x0, y0, side = _square(padding)
    height, width = faces.shape[1:3]
    margin = int(np.ceil(max(0, -x0, -y0, x0 + side - width, y0 + side - height)))
    padded = np.pad(faces, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="edge")
    box = (x0 + margin, y0 + margin, x0 + margin + side, y0 + margin + side)
    chips = [Image.fromarray(face).resize((size_px, size_px), Image.Resampling.BILINEAR, box=box) for face in padded]
    return np.stack([np.asarray(chip) for chip in chips])


def photo_chip(image: np.ndarray, landmarks: np.ndarray, size_px: int, padding: float) -> np.ndarray:
    """The square of `dlib_chips`, cut from the photograph instead of from the aligned face.

    A similarity takes the aligned face to the photograph. Where the photograph is finer than the chip, it is shrunk
    by block means to about four of its pixels a pixel of the chip, which is then the mean of k × k samples of it;
    beyond the photograph its edge is repeated.

    Parameters
    ----------
    image : ndarray, uint8 [H, W, 3]
    landmarks : array of 10 numbers or [5, 2], in pixels of `image`, ordered as `s2f.features.align.TEMPLATE`

    Raises
    ------
    ImageError: not a uint8 RGB image
    """
    from PIL import Image
    from scipy.ndimage import map_coordinates

    _check_faces(np.asarray(image)[None])
    x0, y0, side = _square(padding)
    to_photo = similarity(TEMPLATE, np.asarray(landmarks, np.float64).reshape(5, 2))  # [2, 3]
    scale = float(np.hypot(*to_photo[:, 0])) * side / size_px  # photo pixels a pixel of the chip
    shrink = max(1, int(scale / 4))
    k = max(1, int(np.ceil(scale / shrink - 1e-3)))
    steps = (np.arange(size_px * k) + 0.5) / (size_px * k) * side - 0.5
    x, y = np.meshgrid(x0 + steps, y0 + steps)  # [size · k, size · k], pixel centres of the aligned face
    photo_x, photo_y = ((row[0] * x + row[1] * y + row[2] + 0.5) / shrink - 0.5 for row in to_photo)
    channels = np.moveaxis(np.asarray(Image.fromarray(image).reduce(shrink)), -1, 0)  # [3, H, W]
    drawn = [map_coordinates(c, (photo_y, photo_x), np.float32, order=1, mode="nearest") for c in channels]
    chip = np.stack(drawn, axis=-1).reshape(size_px, k, size_px, k, 3).mean((1, 3))
    return np.rint(chip).astype(np.uint8)


def _square(padding: float) -> tuple[float, float, float]:
    """Left and upper edge and side of dlib's square in an aligned face, in pixels from its corner."""
    # Whole numbers are pixel centres in TEMPLATE and pixel edges here.
    (left_x, left_y), (right_x, right_y) = np.asarray(TEMPLATE, float)[:2] + 0.5
    unit_px = (right_x - left_x) / (0.7528 - 0.2273)
    x0 = left_x - (0.2273 + padding) * unit_px
    y0 = (left_y + right_y) / 2 - (0.2212 + padding) * unit_px
    return x0, y0, (1 + 2 * padding) * unit_px


def describe(
    faces: np.ndarray,
    identities: Sequence[str],
    *,
    reader: Reader,
    sources: Sequence[str] | None = None,
    inception: Extractor | None = None,
    max_images: int | None = None,
    rng: np.random.Generator | None = None,
    desc: str = "faces",
) -> FaceSet:
    """Everything the metrics need to know about a set of faces, photographs or drawn from recordings.

    Parameters
    ----------
    faces : ndarray, uint8 [n, 64, 64, 3]
    identities, sources : sequence of str [n]
        Whose photo or recording each is of, and from which video, where that is known.
    inception : Extractor, optional, without it there are no FID and KID
    max_images : int, optional
        Most faces to extract Inception features of, drawn by `rng`; the rest of a larger set is NaN.
    desc : str, label of the progress bar
    """
    features = None
    if inception is not None:
        rows = np.arange(len(faces))
        if max_images is not None and len(faces) > max_images:
            assert rng is not None  # it comes with max_images
            rows = np.sort(rng.choice(len(faces), max_images, replace=False))
        features = np.full((len(faces), 2048), np.nan, np.float32)
        features[rows] = inception.features(faces[rows], desc=f"Inception: {desc}")
    return FaceSet(
        identities=np.asarray(identities, object),
        pixels=faces,
        embeddings=reader.embed(faces),
        female=reader.gender(faces),
        inception=features,
        sources=None if sources is None else np.asarray(sources, object),
    )


def _check_faces(faces: np.ndarray, *, size_px: int | None = None) -> None:
    shape: tuple[int, ...] = getattr(faces, "shape", ())
    dtype = getattr(faces, "dtype", None)
    if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or (size_px and shape[1:3] != (size_px, size_px)):
        expected = f"[n, {size_px or 'H'}, {size_px or 'W'}, 3]"
        problem = f"are {dtype} {list(shape)} (expected uint8 {expected})"
        remedy = "Give RGB faces as s2f.features.align.align and denormalise return them."
        raise ImageError("faces", problem, remedy=remedy, reason="mode")


def _batches(faces: np.ndarray, *, n: int, desc: str) -> Iterator[np.ndarray]:
    with tqdm(total=len(faces), desc=desc, unit="face", mininterval=1.0) as bar:
        for start in range(0, len(faces), n):
            yield faces[start : start + n]
            bar.update(len(faces[start : start + n]))
