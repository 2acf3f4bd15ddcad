"""What the measuring networks, a published system and a linear map reach on real voices and faces.

Usage: python benchmarks/real_faces.py [--real ../shared/real] [--bootstrap 1000]
Reads VoxCeleb recordings, photographs of the same clips, and the pictures that Speech2Face (Oh et al. 2019) drew for
them; without them it says so and ends. One core, about five minutes.
"""

from __future__ import annotations

import argparse
import itertools
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from s2f import face_quality, faces, ge2e, measuring, peer, seeding, tables
from s2f.corpora import voxceleb
from s2f.evaluation import PENALTIES
from s2f.metrics import pairs, rows, standins
from s2f.metrics.names import NAMES
from s2f.metrics.standins import FaceSet

N_FOLDS = 10
LIMITS = {"equal_error_rate": 0.03, "gender_accuracy": 0.95}  # at 64×64
SHOWN = (
    "matching_2way", "matching_within_gender", "matching_within_gender_nationality",
    "matching_same_video", "matching_other_video", "matching_video_difference",
    "matching_same_video_within_gender", "matching_other_video_within_gender",
    "matching_video_difference_within_gender",
    "gender_agreement", "cosine_matched", "cosine_mismatched", "recall_at_1", "recall_at_5", "recall_at_10",
    "identification_top_1", "identification_top_5", "fid", "fid_real_real", "kid",
)  # fmt: skip


@dataclass(frozen=True)
class Faces:
    """The photographs: their rows of the manifest, aligned faces, and what was read from those."""

    files: pd.DataFrame
    read: FaceSet


def networks(photos: pd.DataFrame, *, reader: measuring.Packaged, inception: measuring.Inception) -> Faces:
    """(a) How well the networks read photographs at both sizes; prints the table."""
    found = []
    for path in tqdm(photos["path"], desc="landmarks", unit="photo"):
        image = faces.read(path)
        found.append((image, faces.detect(image, name=path)))
    aligned = np.stack([faces.align(image, points) for image, points in found])  # [n, 64, 64, 3]
    read = measuring.describe(
        aligned, photos["identity"], reader=reader, sources=photos["source_id"], inception=inception
    )
    originals = reader.originals(found, n=len(found))
    n_px = {f"{image.shape[1]}×{image.shape[0]}" for image, _ in found}
    sizes = {"64×64": (read.embeddings, read.female), ", ".join(sorted(n_px)): originals}
    print("\n| size (px) | photographs | people | equal error rate between videos | gender accuracy |")
    print("|---|---|---|---|---|")
    for size, reading in sizes.items():
        quality = face_quality.read_quality(*reading, photos, rng=seeding.stream(0, "bootstrap"))
        cells = [_percent(quality[name]) for name in LIMITS]
        print(f"| {size} | {quality['n_photos']} | {quality['n_identities']} | {cells[0]} | {cells[1]} |")
        if size == "64×64":
            error, accuracy = (quality[name]["value"] for name in LIMITS)
            good = error < LIMITS["equal_error_rate"] and accuracy >= LIMITS["gender_accuracy"]
    floor = face_quality.fid_floor(read, rng=seeding.stream(0, "subsets"))
    print(f"\nAt 64×64 {'within' if good else 'OUTSIDE'} the limits: error under 3 %, gender at least 95 %.")
    print(f"FID between halves of the photographs, whole videos apart: {floor['value']:.1f} at n {floor['n']}.")
    return Faces(photos, read)


def linear_map(voices: pd.DataFrame, photos: Faces, *, seed: int) -> FaceSet:
    """(c) Identity embeddings that ridge regressions give of people they have not seen, ten folds by identity."""
    tracks, offsets = ge2e.tracks(voices["path"].to_list(), n_workers=1)
    spoken = np.stack([tracks[start:stop].mean(0) for start, stop in itertools.pairwise(offsets)])
    spoken /= np.linalg.norm(spoken, axis=1, keepdims=True)  # [n, 256]
    names, photo_codes = np.unique(photos.read.identities.astype(str), return_inverse=True)
    means = np.stack(
        [pairs.by_identity(column, photo_codes, n_identities=len(names)) for column in photos.read.embeddings.T], axis=1
    )
    means /= np.linalg.norm(means, axis=1, keepdims=True)  # [n_people, 128]
    codes = np.searchsorted(names, voices["identity"].to_numpy(str))
    folds = seeding.stream(seed, "fold").permutation(len(names)) % N_FOLDS  # of each person
    guessed = np.zeros((len(spoken), means.shape[1]), np.float32)
    for fold in range(N_FOLDS):
        held_out = folds[codes] == fold
        # The penalty is the one that brings the people of the following fold nearest to their own faces.
        tried = ~held_out & (folds[codes] == (fold + 1) % N_FOLDS)
        learned = ~held_out & ~tried
        penalty = max(PENALTIES, key=lambda p, a=learned, b=tried: _nearness(spoken, means, codes, a, b, penalty=p))
        guessed[held_out] = standins.linear_probe(
            spoken[~held_out], means[codes[~held_out]], spoken[held_out], penalty=penalty
        )
    return FaceSet(
        identities=voices["identity"].to_numpy(object),
        embeddings=guessed,
        sources=voices["source_id"].to_numpy(object),
    )


def _nearness(
    spoken: np.ndarray, means: np.ndarray, codes: np.ndarray, learned: np.ndarray, tried: np.ndarray, *, penalty: float
) -> float:
    guessed = standins.linear_probe(spoken[learned], means[codes[learned]], spoken[tried], penalty=penalty)
    cosine = np.einsum("nd,nd->n", guessed, means[codes[tried]])
    return float(np.nanmean(pairs.by_identity(cosine, codes[tried], n_identities=len(means))))


def _percent(entry: dict) -> str:
    return f"{100 * entry['value']:.1f} % [{100 * entry['low']:.1f}, {100 * entry['high']:.1f}]"


def _cell(metric: str, entry: dict) -> str:
    return tables.printed(metric, entry["value"], entry["low"], entry["high"]).replace("\n", " ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    usual = os.environ.get("S2F_REAL", Path(__file__).resolve().parents[2] / "shared" / "real")
    parser.add_argument("--real", type=Path, default=Path(usual), help="folder of the real recordings and faces")
    parser.add_argument("--bootstrap", type=int, default=1000, help="bootstrap samples of people")
    args = parser.parse_args()
    if not (args.real / "vggface").is_dir():
        print(f"Skipped: no real recordings and faces in {args.real}. Name their folder with --real.")
        return
    torch.set_num_threads(1)
    reader, inception = measuring.Packaged(), measuring.Inception()
    manifest = voxceleb.scan(**voxceleb.places(args.real, kind="voxceleb")).manifest
    voices, photos = (manifest[manifest["modality"] == m].reset_index(drop=True) for m in ("voice", "face"))
    read = networks(photos, reader=reader, inception=inception)

    found = peer.collect(args.real / "speech2face_output", args.real / "vggface", args.real / "vox1_meta.csv")
    measured = peer.measure(found, reader=reader, inception=inception, n_bootstrap=args.bootstrap)
    counts = measured["counts"]
    people = manifest.drop_duplicates("identity")[["identity", "gender", "nationality"]]
    probed = rows.evaluate(
        {"probe": linear_map(voices, read, seed=0)},
        read.read,
        people,
        protocol=f"{N_FOLDS} folds by identity",
        rng=seeding.stream(0, "bootstrap"),
        n_resamples=args.bootstrap,
    )
    print(
        f"\n{counts['n_generated_measured']} of {counts['n_generated']} drawn pictures and "
        f"{counts['n_real_measured']} of {counts['n_real']} photographs measured."
    )
    print("\n| metric | n | Speech2Face 2019 at 64×64 | linear map from the voice | another photograph | sex alone |")
    print("|---|---|---|---|---|---|")
    columns = [measured["rows"]["model"], probed["rows"]["probe"]]
    columns += [measured["rows"][row] for row in ("ceiling", "gender_oracle")]
    for metric in SHOWN:
        if metric in columns[0]:
            cells = [_cell(metric, column[metric]) for column in columns]
            print(f"| {NAMES[metric]} | {columns[0][metric]['n_recordings']} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
