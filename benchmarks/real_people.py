"""Real faces of real voices: recipe `codes` trained on real recordings and photographs, measured on people kept back.

Usage: python benchmarks/real_people.py [--real ../shared/real] [--seeds 1] [--set code.steps=6000] [--dry-run]
The samplers learn from AVSpeech pairs and half of the VoxCeleb people, the face code from those photographs and from
others without voices. A quarter of the VoxCeleb people is for choosing settings (how, is in `benchmarks/RESULTS.md`),
and the last quarter is measured, beside what Speech2Face (Oh et al. 2019) drew for the same clips. The run stays in
`runs/table-people`, and a second call goes on from there. Half an hour to three quarters a training on
two slow cores; nothing where there is no data.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from s2f import seeding
from s2f.corpora import voxceleb
from s2f.evaluation import face_readers, other_system
from s2f.metrics import catalogue
from s2f.report.cells import printed

PROJECT = Path(__file__).resolve().parents[1]
LABEL = "people"
SHARES = {"train": 0.5, "validation": 0.25, "test": 0.25}  # of the VoxCeleb people; AVSpeech is for training alone
SETTINGS = {
    "recipe": "codes",
    "split.rule": "given",
    "voice.encoder": "ge2e",
    "code.dim": 128,
    "code.width": 0.25,
    "code.discriminator_width": 0.25,
    "code.steps": 5000,
    "code.batch_size": 32,
    "sampler.steps": 4000,
    "sampler.noise": 0.7,
    "sampler.guidance": 1.5,
}
ROWS = ("model", "draws_mean", "typical", "neighbour", "probe", "gender_oracle", "shuffled_voice", "ceiling")
SHOWN = (
    *("matching_2way", "matching_within_gender", "gender_agreement", "cosine_matched", "cosine_mismatched"),
    *("recall_at_10", "diversity_share"),
)
BESIDE = ("shuffled_voice", "probe")  # rows that single draws are compared with
BESIDE_MEAN = ("shuffled_mean", "probe")  # and those for the mean of many


def pairs(real: Path) -> pd.DataFrame:
    """A row a pair of recording and photograph, with its person, gender where it is known, and split."""
    manifest = voxceleb.scan(**voxceleb.places(real, kind="voxceleb")).manifest
    people = seeding.stream(0, "split").permutation(sorted(manifest["identity"].unique()))
    bounds = (pd.Series(SHARES).cumsum() * len(people)).round().astype(int)
    split = {name: next(part for part, end in bounds.items() if at < end) for at, name in enumerate(people)}
    voices, faces = (
        manifest[manifest["modality"] == part].assign(clip=lambda t: [Path(path).stem for path in t["path"]])
        for part in ("voice", "face")
    )
    # A recording is <video>/<clip>.wav, a photograph <video>_<clip>.jpg.
    voices = voices.assign(clip=voices["source_id"].astype(str) + "_" + voices["clip"])
    found = voices.merge(faces[["identity", "clip", "path"]], on=["identity", "clip"], suffixes=("", "_face"))
    known = pd.DataFrame(
        {
            **{"recording": found["path"], "face": found["path_face"], "identity": found["identity"]},
            **{"gender": found["gender"], "source_id": found["source_id"], "split": found["identity"].map(split)},
        }
    )
    others = pd.read_csv(real / "avspeech" / "pairs_all.csv", dtype=str).assign(split="train", gender="")
    for column in ("recording", "face"):
        others[column] = [str(real / "avspeech" / name) for name in others[column]]
    return pd.concat([known, others], ignore_index=True).fillna("")


def study(table: Path, real: Path, *, n_seeds: int, given: list[str], dry_run: bool) -> None:
    """Run the study of the table, without the book."""
    chosen = {**SETTINGS, "corpus.table": str(table), "code.more_photos": json.dumps([str(real / "utkface")])}
    command = [sys.executable, "-m", "s2f", "study", "--profile", "table", "--label", LABEL, "--no-book"]
    command += ["--seeds", str(n_seeds), *(["--dry-run"] if dry_run else [])]
    for setting in [*(f"{key}={value}" for key, value in chosen.items()), *given]:
        command += ["--set", setting]
    failed = subprocess.run(command, cwd=PROJECT, check=False).returncode
    if failed:  # the study has said why
        sys.exit(failed)


def published(real: Path, people: list[str], *, n_bootstrap: int) -> dict:
    """The same measures of the published system's pictures of the same people."""
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder) / "people.txt"
        names.write_text("\n".join(people) + "\n")
        places = (real / "speech2face_output", real / "vggface", real / "vox1_meta.csv")
        found = other_system.collect(*places, only=names)
    sets = other_system.describe(found, reader=face_readers.Packaged(), inception=face_readers.Inception())
    return other_system.measure(found, sets, n_bootstrap=n_bootstrap)["rows"]["model"]


def cell(metric: str, entry: dict | None, *, difference: bool) -> str:
    if entry is None or entry["value"] is None:
        return "–"
    parts = (entry[part] for part in ("value", "low", "high"))
    return printed(metric, *parts, difference=difference).replace("\n", " ")


def show(rows: dict[str, dict]) -> None:
    print(f"\n| | {' | '.join(catalogue.label(metric) for metric in SHOWN)} |\n|{'---|' * (len(SHOWN) + 1)}")
    for name, row in rows.items():
        cells = (cell(metric, row.get(metric), difference=" less " in name) for metric in SHOWN)
        print(f"| {name} | {' | '.join(cells)} |")


def _label(row: str) -> str:
    return catalogue.ROWS[row].label


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    usual = os.environ.get("S2F_REAL", PROJECT.parent / "shared" / "real")
    parser.add_argument("--real", type=Path, default=Path(usual), help="folder of the real recordings and faces")
    parser.add_argument("--seeds", type=int, default=1, help="trainings, on one split of the people")
    parser.add_argument("--set", action="append", default=[], dest="given", metavar="KEY=VALUE", help="a parameter")
    parser.add_argument("--bootstrap", type=int, default=1000, help="bootstrap samples of people")
    parser.add_argument("--dry-run", action="store_true", help="say what would run, and measure nothing")
    args = parser.parse_args()
    real = args.real.resolve()
    if not (real / "avspeech" / "pairs_all.csv").is_file() or not (real / "vggface").is_dir():
        print(f"Skipped: no real pairs in {real}. Name their folder with --real.")
        return
    found = pairs(real)
    table = PROJECT / "runs" / "real_people.csv"
    table.parent.mkdir(exist_ok=True)
    found.to_csv(table, index=False)
    print(found.groupby("split").agg(pairs=("face", "size"), people=("identity", "nunique")).to_string())
    study(table, real, n_seeds=args.seeds, given=args.given, dry_run=args.dry_run)
    if args.dry_run:
        return
    rows, kept_back = {}, sorted(found.loc[found["split"] == "test", "identity"].unique())
    for seed in range(args.seeds):
        metrics = json.loads((PROJECT / f"runs/table-{LABEL}/s{seed}/general/metrics.json").read_text())
        rows |= {f"{_label(name)}, seed {seed}": metrics["rows"][name] for name in ROWS}
        rows |= {f"one draw less {_label(name)}, seed {seed}": metrics["differences"][name] for name in BESIDE}
        of_mean = metrics["differences_of_mean"]
        rows |= {f"mean of draws less {_label(name)}, seed {seed}": of_mean[name] for name in BESIDE_MEAN}
    rows["Speech2Face 2019"] = published(real, kept_back, n_bootstrap=args.bootstrap)
    show(rows)


if __name__ == "__main__":
    main()
