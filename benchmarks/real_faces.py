"""What the measuring networks, a published system and a linear map reach on real voices and faces.

Usage: python benchmarks/real_faces.py [--real ../shared/real] [--bootstrap 1000]
Reads VoxCeleb recordings, photographs of the same clips, and the pictures that Speech2Face (Oh et al. 2019) drew for
them; without them it says so and ends. One core, about four minutes of processor time.
"""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from s2f import seeding
from s2f.corpora import voxceleb
from s2f.evaluation import face_quality, face_readers, other_system
from s2f.evaluation.metrics import PENALTIES
from s2f.features import align, landmarks, photo_files
from s2f.metrics import bootstrap, catalogue, matching, measures, pairs, rows, standins
from s2f.metrics.standins import FaceSet
from s2f.networks import ge2e
from s2f.report.cells import printed

N_FOLDS = 10
LIMITS = {"equal_error_rate": 0.03, "gender_accuracy": 0.95}  # at 64×64
SHOWN = (
    "matching_2way",
    "matching_within_gender",
    "matching_within_gender_nationality",
    "matching_same_video",
    "matching_other_video",
    "matching_video_difference",
    "matching_same_video_within_gender",
    "matching_other_video_within_gender",
    "matching_video_difference_within_gender",
    "gender_agreement",
    "cosine_matched",
    "cosine_mismatched",
    "recall_at_1",
    "recall_at_5",
    "recall_at_10",
    "identification_top_1",
    "identification_top_5",
    "fid",
    "fid_real_real",
    "kid",
)
FACES_ONLY = ("cosine_matched", "cosine_mismatched")


def networks(photos: pd.DataFrame, *, reader: face_readers.Packaged, inception: face_readers.Inception) -> FaceSet:
    """(a) How well the networks read photographs at both sizes, printed; what they read at 64×64, returned."""
    found = []
    for path in tqdm(photos["path"], desc="landmarks", unit="photo"):
        image = photo_files.read(path)
        found.append((image, landmarks.detect(image, name=path)))
    aligned = np.stack([align.align(image, points) for image, points in found])  # [n, 64, 64, 3]
    read = face_readers.describe(
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
    return read


def linear_map(voices: pd.DataFrame, photos: FaceSet, *, seed: int) -> FaceSet:
    """(c) Which way from the average face a ridge regression takes voices of people it has not seen.

    Ten folds by identity. The penalty is the one that matches best among the people of the other nine, each of those
    folds guessed from the remaining eight. What is guessed is the direction from the average face alone: a guess that
    holds the average, shrunk towards it as every ridge regression's is, would mostly ask which photograph is average.
    """
    tracks, offsets = ge2e.tracks(voices["path"].to_list(), n_workers=1)
    spoken = np.stack([tracks[start:stop].mean(0) for start, stop in itertools.pairwise(offsets)])
    spoken /= np.linalg.norm(spoken, axis=1, keepdims=True)  # [n, 256]
    names, photo_codes = np.unique(photos.identities.astype(str), return_inverse=True)
    n_people = len(names)
    columns = [pairs.by_identity(column, photo_codes, n_identities=n_people) for column in photos.embeddings.T]
    means = np.stack(columns, axis=1)
    means /= np.linalg.norm(means, axis=1, keepdims=True)  # [n_people, 128]
    codes = np.searchsorted(names, voices["identity"].to_numpy(str))
    person_folds = seeding.stream(seed, "fold").permutation(n_people) % N_FOLDS
    folds, photo_folds = person_folds[codes], person_folds[photo_codes]

    def guess(learned: np.ndarray, new: np.ndarray, penalty: float) -> np.ndarray:
        targets = means[codes[learned]]
        return standins.linear_probe(spoken[learned], targets - targets.mean(0), spoken[new], penalty=penalty)

    def matched(left_out: int, penalty: float) -> float:
        rest, guessed = folds != left_out, np.zeros((len(spoken), means.shape[1]), np.float32)
        for fold in set(range(N_FOLDS)) - {left_out}:
            guessed[folds == fold] = guess(rest & (folds != fold), folds == fold, penalty)
        seen = photo_folds != left_out
        gallery = (photos.embeddings[seen], photo_codes[seen])
        wins = matching.win_matrix(guessed[rest], codes[rest], *gallery, n_identities=n_people)
        return float(bootstrap.pair_mean(wins, np.isfinite(wins))(np.ones((1, n_people)))[0])

    guessed = np.zeros((len(spoken), means.shape[1]), np.float32)
    for fold in tqdm(range(N_FOLDS), desc="linear map", unit="fold"):
        penalty = max(PENALTIES, key=lambda value, fold=fold: matched(fold, value))
        guessed[folds == fold] = guess(folds != fold, folds == fold, penalty)
    return FaceSet(
        identities=voices["identity"].to_numpy(object), embeddings=guessed, sources=voices["source_id"].to_numpy(object)
    )


def _percent(entry: dict) -> str:
    return f"{100 * entry['value']:.1f} % [{100 * entry['low']:.1f}, {100 * entry['high']:.1f}]"


def _cell(metric: str, entry: dict | None, *, difference: bool = False) -> str:
    if entry is None:
        return "–"
    parts = (entry[part] for part in ("value", "low", "high"))
    return printed(metric, *parts, difference=difference).replace("\n", " ")


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
    reader, inception = face_readers.Packaged(), face_readers.Inception()
    manifest = voxceleb.scan(**voxceleb.places(args.real, kind="voxceleb")).manifest
    voices, photos = (manifest[manifest["modality"] == m].reset_index(drop=True) for m in ("voice", "face"))
    read = networks(photos, reader=reader, inception=inception)
    probe = linear_map(voices, read, seed=0)
    found = other_system.collect(args.real / "speech2face_output", args.real / "vggface", args.real / "vox1_meta.csv")
    sets = other_system.describe(found, reader=reader, inception=inception)
    measured = other_system.measure(found, sets, beside={"probe": probe}, n_bootstrap=args.bootstrap)
    counts, difference = measured["counts"], measured["differences"]["probe"]
    print(
        f"\n{counts['n_generated_measured']} of {counts['n_generated']} drawn pictures and "
        f"{counts['n_real_measured']} of {counts['n_real']} photographs measured."
    )
    print("\n| metric | n | Speech2Face 2019 | linear map | difference | another photograph | sex alone |")
    print("|---|---|---|---|---|---|---|")
    for metric in SHOWN:
        drawn, guessed, photo, sex = (
            measured["rows"][row][metric] for row in ("model", "probe", "ceiling", "gender_oracle")
        )
        cells = [_cell(metric, entry) for entry in (drawn, guessed, photo, sex)]
        cells.insert(2, _cell(metric, difference.get(metric), difference=True))
        if metric in FACES_ONLY:  # a direction is no face
            cells[1:3] = "–", "–"
        print(f"| {catalogue.label(metric)} | {drawn['n_recordings']} | {' | '.join(cells)} |")

    # The same advantage for the drawn faces: what is left of them without their average.
    vectors = reader.embed(found.generated.faces)
    vectors -= vectors.mean(0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    files = found.generated.files
    directions = FaceSet(
        identities=files["identity"].to_numpy(), embeddings=vectors, sources=files["source_id"].to_numpy()
    )
    again = rows.evaluate(
        {"model": directions, "probe": probe},
        read,
        found.people,
        protocol=other_system.PROTOCOL,
        rng=seeding.stream(0, "bootstrap"),
        sizes=measures.Sizes(n_resamples=args.bootstrap),
    )
    print("\n| the drawn faces less their average | Speech2Face 2019 | linear map | difference |\n|---|---|---|---|")
    for metric in SHOWN[:3]:
        cells = [_cell(metric, again["rows"][row][metric]) for row in ("model", "probe")]
        cells.append(_cell(metric, again["differences"]["probe"][metric], difference=True))
        print(f"| {catalogue.label(metric)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
