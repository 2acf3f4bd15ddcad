"""How many real photographs the face detectors lose, where they put the landmarks, and what that does to identity.

Usage: python benchmarks/detectors.py [--real ../shared/real]
Reads the photographs of VoxCeleb clips and of AVSpeech; without them it says so and ends. One core, about five
minutes of processor time. Those that dlib's HOG detector loses were looked at, one by one: near-frontal is one person
whose two eyes can be seen, with the tip of the nose between them.
The convolutional detector alone is tried on VoxCeleb's photographs only.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from s2f import seeding
from s2f.corpora import voxceleb
from s2f.errors import ImageError
from s2f.evaluation import face_quality, face_readers
from s2f.features import align, landmarks, photo_files

# Of AVSpeech; the HOG detector loses none of VoxCeleb's.
NEAR_FRONTAL = """
    0004 0017 0037 0113 0128 0134 0148 0165 0169 0305 0323 0389 0417 0432 0483 0496 0514 0557 0562 0582 0594 0646 0678
    0683 0702 0743 0764 0813 0822 0835 0839 0852 0872 0891 0894 0914 0928
"""
OTHERS = """
    0053 0095 0116 0163 0170 0211 0256 0267 0276 0304 0315 0391 0416 0436 0442 0444 0451 0475 0492 0512 0548 0599 0796
    0857 0890 0922
"""
BLOCK_PX, N_SHUFFLED = 28, 100

Found = np.ndarray | None


def hog(image: np.ndarray) -> Found:
    """dlib's HOG detector alone."""
    boxes, shown = landmarks._look(image, landmarks._detector(), most_px=landmarks._RETRY_PX)
    return landmarks._points(shown, _main(boxes, shown)) * image.shape[0] / shown.shape[0] if boxes else None


def believed(image: np.ndarray) -> Found:
    """HOG, then the convolutional detector, whatever it finds."""
    found = hog(image)
    if found is not None:
        return found
    boxes, shown = landmarks._look(image, landmarks._second_detector, most_px=landmarks._DETECT_PX)
    return landmarks._points(shown, _main(boxes, shown)) * image.shape[0] / shown.shape[0] if boxes else None


def placed(image: np.ndarray) -> Found:
    """What the study does: HOG, then the convolutional detector where the landmarks stay in place."""
    try:
        return landmarks.detect(image)
    except ImageError:
        return None


def second(image: np.ndarray) -> Found:
    """The convolutional detector alone, where the landmarks stay in place."""
    boxes, shown = landmarks._look(image, landmarks._second_detector, most_px=landmarks._DETECT_PX)
    try:
        points = landmarks._steady_points(shown, _main(boxes, shown), name="") if boxes else None
    except ImageError:
        return None
    return points * image.shape[0] / shown.shape[0] if points is not None else None


def _main(boxes, shown: np.ndarray):
    return max(boxes, key=lambda box: landmarks._prominence(box, shown.shape))


WAYS: dict[str, Callable[[np.ndarray], Found]] = {
    "HOG alone": hog,
    "HOG, then convolutional": believed,
    "HOG, then convolutional if landmarks stay": placed,
    "convolutional alone if landmarks stay": second,
}


def shuffled(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same picture with its squares in another order: colours and edges of a photograph, and no face."""
    n, m = (side // BLOCK_PX for side in image.shape[:2])
    blocks = image[: n * BLOCK_PX, : m * BLOCK_PX].reshape(n, BLOCK_PX, m, BLOCK_PX, 3).swapaxes(1, 2)
    mixed = blocks.reshape(n * m, BLOCK_PX, BLOCK_PX, 3)[rng.permutation(n * m)].reshape(n, m, BLOCK_PX, BLOCK_PX, 3)
    return np.ascontiguousarray(mixed.swapaxes(1, 2).reshape(n * BLOCK_PX, m * BLOCK_PX, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    usual = os.environ.get("S2F_REAL", Path(__file__).resolve().parents[2] / "shared" / "real")
    parser.add_argument("--real", type=Path, default=Path(usual), help="folder of the real photographs")
    real = parser.parse_args().real
    if not real.is_dir():
        print(f"no real sample at {real}: set S2F_REAL")
        return
    manifest = voxceleb.scan(**voxceleb.places(real, kind="voxceleb")).manifest
    people = manifest[manifest["modality"] == "face"].reset_index(drop=True)
    elsewhere = sorted((real / "avspeech").glob("*.jpg"))
    images = [photo_files.read(path) for path in [*people["path"], *elsewhere]]
    names = [None] * len(people) + [path.stem.rpartition("_")[2] for path in elsewhere]
    near_frontal, turned = set(NEAR_FRONTAL.split()), set(OTHERS.split())
    reader, rng = face_readers.Packaged(), np.random.default_rng(0)
    heads = ["detectors", "found", "near-frontal lost", "others let in", "landmarks from HOG's: mean (90 %)"]
    heads += ["equal error rate", "faces in shuffled pictures", "time a photograph, of HOG's"]
    print(f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", sep="\n", flush=True)
    faceless = [shuffled(images[row], rng) for row in rng.permutation(len(images))[:N_SHUFFLED]]
    found, usual_s, rates = {}, 0.0, {}
    for way, find in WAYS.items():
        n, began = len(people) if find is second else len(images), time.process_time()
        points = found[way] = [find(image) for image in tqdm(images[:n], desc=way, unit="photo")]
        spent = (time.process_time() - began) / n
        usual_s = usual_s or spent
        frontal = [k for k, p in enumerate(found["HOG alone"]) if p is not None and align.turn(p) < 0.5]
        frontal = [k for k in frontal + [k for k, name in enumerate(names) if name in near_frontal] if k < n]
        lost = sum(points[k] is None for k in frontal)
        others = [k for k, name in enumerate(names) if name in turned and k < n]
        let_in = sum(points[k] is not None for k in others)
        both = [(p, q) for p, q in zip(points, found["HOG alone"], strict=False) if p is not None and q is not None]
        apart = [np.hypot(*(p - q).T).mean() / np.hypot(*(q[1] - q[0])) for p, q in both]
        kept = [k for k in range(len(people)) if points[k] is not None]
        faces = np.stack([align.align(images[k], points[k], max_turn=np.inf) for k in kept])
        if faces.tobytes() not in rates:  # most ways align VoxCeleb's photographs alike
            read, rows = (reader.embed(faces), reader.gender(faces)), people.iloc[kept].reset_index(drop=True)
            rates[faces.tobytes()] = face_quality.read_quality(*read, rows, rng=seeding.stream(0, "bootstrap"))
        rate = rates[faces.tobytes()]["equal_error_rate"]
        cells = [
            f"{sum(p is not None for p in points)} of {n}",
            f"{lost} of {len(frontal)} ({lost / len(frontal):.1%})",
            f"{let_in} of {len(others)}",
            f"{100 * np.mean(apart):.1f} % ({100 * np.quantile(apart, 0.9):.1f} %)",
            f"{100 * rate['value']:.1f} % of {len(kept)}",
            f"{sum(find(image) is not None for image in faceless)} of {N_SHUFFLED}",
            f"{spent / usual_s:.1f}",
        ]
        print(f"| {way} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
