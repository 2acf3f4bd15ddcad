"""Time and memory of listing and matching the full VoxCeleb1 ∩ VGGFace, on generated empty files.

Usage: python benchmarks/scan.py [--share 1.0]
Writes 289,000 empty files into a temporary folder, scans them in a fresh process, and removes them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from s2f.corpora.voxceleb import REFERENCE

N_UNPAIRED = 26  # people of the metadata of whom the full VGGFace has no photographs
LIMIT_S, LIMIT_MB = 60, 1000

_SCAN = """
import json, resource, sys, time
from s2f.corpora import manifest, voxceleb
started = time.perf_counter()
scan = voxceleb.scan(**voxceleb.places(sys.argv[1], kind="voxceleb"))
both, dropped = manifest.intersect(scan.manifest)
seconds = time.perf_counter() - started
print(json.dumps({
    "seconds": seconds, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    **manifest.summary(both)["total"], "n_rejected": len(scan.rejected),
    "differences": voxceleb.expected_against_found(scan).to_string(),
}))
"""


def generate(root: Path, *, share: float) -> None:
    """Empty files in the published layout: as many people, recordings and photos as the full intersection."""
    n_people, n_recordings, n_faces = (round(share * n) for n in REFERENCE.values())
    lines = ["VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet"]
    for k in range(n_people + N_UNPAIRED):
        name = f"{chr(65 + k % 26)}{_letters(k)}_Name"
        lines.append(f"id{10001 + k}\t{name}\t{'fm'[k % 2]}\tNowhere\tdev")
        clips = n_recordings // n_people + (k < n_recordings % n_people)
        for video in range(-(-clips // 7)):
            folder = root / "voxceleb1" / "wav" / f"id{10001 + k}" / f"video{video:07d}"
            folder.mkdir(parents=True)
            for clip in range(min(7, clips - 7 * video)):
                (folder / f"{clip + 1:05d}.wav").touch()
        if k < n_people:
            folder = root / "vggface" / name
            folder.mkdir(parents=True)
            for photo in range(n_faces // n_people + (k < n_faces % n_people)):
                (folder / f"{photo + 1:08d}.jpg").touch()
    (root / "vox1_meta.csv").write_text("\n".join(lines) + "\n")


def _letters(number: int) -> str:
    return "".join(chr(97 + number // 26**i % 26) for i in range(3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="share of the full corpus (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="scans (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        generate(Path(folder), share=args.share)
        print(f"generated in {time.perf_counter() - started:.0f} s")
        words = [sys.executable, "-c", _SCAN, folder]
        found = [
            json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout) for _ in range(args.rounds)
        ]
    one = found[0]
    seconds = sorted(f["seconds"] for f in found)
    print(one["differences"], end="\n\n")
    print("| identities | recordings | photographs | seconds, median (range) | peak memory |")
    print("|---|---|---|---|---|")
    print(
        f"| {one['n_identities']:,} | {one['n_recordings']:,} | {one['n_faces']:,} "
        f"| {seconds[len(seconds) // 2]:.1f} ({seconds[0]:.1f}–{seconds[-1]:.1f}) "
        f"| {max(f['mb'] for f in found):.0f} MB |"
    )
    within = seconds[-1] < LIMIT_S and max(f["mb"] for f in found) < LIMIT_MB
    print(f"{'within' if within else 'ABOVE'} the limits of {LIMIT_S} s and {LIMIT_MB} MB")


if __name__ == "__main__":
    main()
