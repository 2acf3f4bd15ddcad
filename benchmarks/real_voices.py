"""What a network that learned from synthetic voices draws for real ones: how often the sex is right.

Usage: python benchmarks/real_voices.py [--run runs/demo/s0] [--real ../shared/real] [--bootstrap 1000]
Draws the face of each VoxCeleb recording with every variant of a finished run, and reads its sex with the run's own
readers. Nothing is done where there is no finished run, or there are no recordings. One core, about a minute.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

import s2f
from s2f import seeding
from s2f.corpora import voxceleb
from s2f.metrics import bootstrap, pairs
from s2f.networks import inference
from s2f.networks.readers import FILE, Readers

VARIANTS = ("general", "females", "males")


def percent(right: np.ndarray, codes: np.ndarray, *, n_resamples: int) -> str:
    """Share of the faces that are right, of people first, with its 95 % interval over people."""
    of_people = pairs.by_identity(right.astype(float), codes, n_identities=codes.max() + 1)
    n = len(of_people)
    draws = seeding.stream(0, "bootstrap").multinomial(n, np.full(n, 1 / n), size=n_resamples)
    values = bootstrap.mean(of_people)(np.concatenate([np.ones((1, n)), draws]))
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return f"{100 * values[0]:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parents[1]
    usual = os.environ.get("S2F_REAL", root.parent / "shared" / "real")
    parser.add_argument("--run", type=Path, default=root / "runs" / "demo" / "s0", help="a finished run, of one seed")
    parser.add_argument("--real", type=Path, default=Path(usual), help="folder of the real recordings")
    parser.add_argument("--bootstrap", type=int, default=1000, help="bootstrap samples of people")
    args = parser.parse_args()
    trained = [name for name in VARIANTS if (args.run / name / inference.CHECKPOINT).is_file()]
    if not (args.real / "vggface").is_dir() or not (args.run / "measure" / FILE).is_file() or not trained:
        print(f"Skipped: no real recordings in {args.real}, or no trained run on a synthetic corpus in {args.run}.")
        return
    torch.set_num_threads(1)
    manifest = voxceleb.scan(**voxceleb.places(args.real, kind="voxceleb")).manifest
    voices = manifest[manifest["modality"] == "voice"].reset_index(drop=True)
    people, codes = np.unique(voices["identity"].to_numpy(str), return_inverse=True)
    woman, readers = (voices["gender"] == "f").to_numpy(), Readers.load(args.run / "measure")
    print("| variant | recordings | people | sex right | of women | of men |\n|---|---|---|---|---|---|")
    for name in trained:
        model = s2f.load(args.run / name)
        faces = np.stack([model.reconstruct(path) for path in tqdm(voices["path"], desc=name, unit="recording")])
        right = (readers.gender(faces) > 0.5) == woman
        parts = [np.ones_like(woman), woman, ~woman]
        cells = [
            percent(right[own], np.unique(codes[own], return_inverse=True)[1], n_resamples=args.bootstrap)
            for own in parts
        ]
        print(f"| {name.title()} | {len(voices)} | {len(people)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
