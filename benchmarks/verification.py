"""How well strangers' real voices are told apart, by how much of each is heard.

Usage: python benchmarks/verification.py [--real ../shared/real]
Reads VoxCeleb recordings, of 6 s each; without them it says so and ends. GE2E alone: our own encoder is trained on the
corpus that it is measured on, and the sample is too small for that. One core, about two minutes of processor time.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

from s2f.corpora import voxceleb
from s2f.evaluation import voice_quality
from s2f.features import ge2e_front_end
from s2f.networks import ge2e
from s2f.training import tracks

SECONDS = (1, 2, 3, 4, 5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    usual = os.environ.get("S2F_REAL", Path(__file__).resolve().parents[2] / "shared" / "real")
    parser.add_argument("--real", type=Path, default=Path(usual), help="folder of the real recordings")
    real = parser.parse_args().real
    if not real.is_dir():
        print(f"no real sample at {real}: set S2F_REAL")
        return
    manifest = voxceleb.scan(**voxceleb.places(real, kind="voxceleb")).manifest
    voices = manifest[manifest["modality"] == "voice"].reset_index(drop=True)
    rows, offsets = ge2e.tracks(voices["path"].to_list(), n_workers=1)
    with tempfile.TemporaryDirectory() as folder:
        tracks.write(Path(folder), rows, offsets, per_s=ge2e_front_end.PER_S)
        strangers = voices.assign(row=np.arange(len(voices)))
        found = voice_quality.by_length(Path(folder), strangers, seed=0, seconds=SECONDS)
        whole = voice_quality.error_rates(Path(folder), strangers, seed=0)
    print("| heard | recordings | people | pairs of one person | equal error rate | cosine, one person | two people |")
    print("|---|---|---|---|---|---|---|")
    for row in found.itertuples():
        rate = f"{100 * row.value:.1f} % [{100 * row.low:.1f}, {100 * row.high:.1f}]"
        counts = f"{row.n_recordings} | {row.n_identities} | {row.n_same}"
        print(f"| {row.seconds} s | {counts} | {rate} | {row.cosine_same:.2f} | {row.cosine_different:.2f} |")
    assert whole is not None
    estimate = whole.equal_error_rate
    rate = f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
    cosines = f"{whole.cosine_same:.2f} | {whole.cosine_different:.2f}"
    print(f"| all of each | {len(voices)} | {voices['identity'].nunique()} | {whole.n_same} | {rate} | {cosines} |")


if __name__ == "__main__":
    main()
