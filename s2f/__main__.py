"""Command line: run the study, look at a corpus before it, share its preprocessing, draw and measure faces."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from s2f import __version__
from s2f.errors import S2FError


def main(words: list[str] | None = None) -> int:
    """Run a command; an error a user can act on is one line on stderr and exit status 2."""
    parser = argparse.ArgumentParser(prog="python -m s2f", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    study = commands.add_parser("study", help="run the whole study of a profile and build the book")
    study.add_argument("--profile", default="demo", help="a file of params/profiles (default: %(default)s)")
    study.add_argument("--label", default="", help="a name for a run with overrides")
    study.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an override such as gan.steps=500; repeat for more; needs --label",
    )
    study.add_argument("--seeds", type=int, default=None, metavar="N", help="run seeds 0 to N-1 (default: 1)")
    study.add_argument("--thorough", action="store_true", help="three seeds, and the closed-set protocol")
    study.add_argument("--cores", type=int, default=2, help="cores to use (default: %(default)s)")
    study.add_argument("--no-book", action="store_true", help="stop before the book is built")
    study.add_argument("--dry-run", action="store_true", help="only say what would run, and why")

    study.add_argument(
        "--workflow-profile",
        default="local",
        metavar="NAME",
        help="a folder of workflow/profiles: local, or slurm for a cluster (default: %(default)s)",
    )

    look = commands.add_parser("check", help="say what a corpus holds, what is missing, and whether counts match")
    look.add_argument("kind", choices=("voxceleb", "wen2019", "table"), help="layout of the corpus")
    look.add_argument("--root", type=Path, help="folder of the downloads (voxceleb, wen2019)")
    look.add_argument("--voices", type=Path, nargs="+", default=[], help="folders of recordings, where not below root")
    look.add_argument("--faces", type=Path, nargs="+", default=[], help="folders of photographs, where not below root")
    look.add_argument("--meta", type=Path, nargs="+", default=[], help="metadata files, where not in root")
    look.add_argument("--table", type=Path, help="a .csv, .tsv or .parquet file (table)")
    look.add_argument("--sample", type=int, default=20, help="files of each kind to decode (default: %(default)s)")
    look.add_argument("--rejected", type=Path, metavar="CSV", help="write every file that is left out to this file")

    share = commands.add_parser("preprocess", help="make a share of a run's shards, as one job of a cluster")
    share.add_argument("--profile", default="demo", help="a file of params/profiles (default: %(default)s)")
    share.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    share.add_argument("--label", default="", help="a name for a run with overrides")
    share.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="an override; repeat for more"
    )
    share.add_argument("--part", type=int, required=True, help="which share, from 0")
    share.add_argument("--of", type=int, required=True, dest="n_parts", help="how many shares there are")
    share.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")

    learn = commands.add_parser("train", help="train one variant, as 05_training does, where torch is but no Jupyter")
    learn.add_argument("--profile", default="demo", help="a file of params/profiles (default: %(default)s)")
    learn.add_argument("--variant", default="general", help="general, females or males (default: %(default)s)")
    learn.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    learn.add_argument("--label", default="", help="a name for a run with overrides")
    learn.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="an override; repeat for more"
    )
    learn.add_argument(
        "--join", action="store_true", help="join the training that another machine leads (machine.rendezvous)"
    )

    kept = commands.add_parser("keep", help="keep a finished run's tables and pictures with the book, with a page")
    kept.add_argument("run", type=Path, help="runs/<profile>[-<label>]")

    draw = commands.add_parser("reconstruct", help="draw the face of a voice")
    draw.add_argument("recordings", nargs="+", type=Path, help="wav, flac, ogg, mp3 or m4a files")
    draw.add_argument(
        "--run",
        type=Path,
        default=Path("runs/demo/s0/general"),
        help="a trained variant's folder (default: %(default)s)",
    )
    draw.add_argument(
        "-o", "--output", type=Path, help="a PNG file, or a folder for several (default: beside each recording)"
    )
    draw.add_argument("--size", type=int, default=64, help="side of the picture in px (default: %(default)s)")

    beside = commands.add_parser("measure", help="measure the pictures that any system drew, as the study's own are")
    beside.add_argument(
        "--generated", type=Path, required=True, metavar="FOLDER", help="drawn pictures, <Name>/<video>_<clip>.jpg"
    )
    beside.add_argument(
        "--real", type=Path, required=True, metavar="FOLDER", help="photographs of the speakers, laid out alike"
    )
    beside.add_argument(
        "--meta",
        type=Path,
        required=True,
        metavar="FILE",
        help="vox1_meta.csv, or a table with the columns identity, gender and, if known, nationality",
    )
    beside.add_argument("--output", type=Path, metavar="FOLDER", help="write tables, rejected files and pairs there")
    beside.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    beside.add_argument(
        "--bootstrap", type=int, default=1000, metavar="N", help="bootstrap samples of people (default: %(default)s)"
    )
    for name in ("inception", "face-identity", "face-gender"):
        beside.add_argument(f"--{name}", type=Path, metavar="FILE", help="a network instead of the packaged one")

    arguments = parser.parse_args(words)
    try:
        run = {
            "study": _study,
            "check": _check,
            "preprocess": _preprocess,
            "train": _train,
            "keep": _keep,
            "reconstruct": _reconstruct,
            "measure": _measure,
        }
        return run[arguments.command](arguments)
    except S2FError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _study(arguments: argparse.Namespace) -> int:
    from s2f.study import params, workflow

    return workflow.run(
        profile=arguments.profile,
        label=arguments.label,
        overrides=params.parse_settings(arguments.overrides),
        n_seeds=arguments.seeds or (3 if arguments.thorough else 1),
        thorough=arguments.thorough,
        n_cores=arguments.cores,
        book=not arguments.no_book,
        dry_run=arguments.dry_run,
        workflow_profile=arguments.workflow_profile,
    )


def _check(arguments: argparse.Namespace) -> int:
    from s2f.report import corpus_check

    return corpus_check.main(arguments)


def _preprocess(arguments: argparse.Namespace) -> int:
    from s2f.features import preprocessing
    from s2f.study import params, runs

    study = runs.open_study(
        "02_preprocessing",
        profile=arguments.profile,
        variant="general",
        seed=arguments.seed,
        label=arguments.label,
        overrides=params.parse_settings(arguments.overrides),
    )
    n = preprocessing.make_part(study, part=arguments.part, n_parts=arguments.n_parts, n_workers=arguments.workers)
    print(f"part {arguments.part} of {arguments.n_parts}: {n} shards in {study.shown(study.run / 'store' / 'shards')}")
    return 0


def _train(arguments: argparse.Namespace) -> int:
    from s2f.study import params, runs
    from s2f.training import training

    study = runs.open_study(
        "05_training",
        profile=arguments.profile,
        variant=arguments.variant,
        seed=arguments.seed,
        label=arguments.label,
        overrides=params.parse_settings(arguments.overrides),
    )
    # Started by srun on every node, the first leads and the others join.
    if arguments.join or int(os.environ.get("SLURM_PROCID", "0")) > 0:
        training.train(study, study.run / study.variant)
        return 0
    folder = study.write("model")
    training.train(study, folder)
    study.finish("model")
    print(f"Trained: {study.shown(folder)}")
    return 0


def _keep(arguments: argparse.Namespace) -> int:
    from s2f.report import kept_runs
    from s2f.study import params

    page = kept_runs.keep(params.project_root(), arguments.run)
    print(f"Kept: {page.parent}; the next build of the book shows it.")
    return 0


def _reconstruct(arguments: argparse.Namespace) -> int:
    from PIL import Image

    from s2f import files, load

    model = load(arguments.run)
    folder = arguments.output if len(arguments.recordings) > 1 else None
    for recording in arguments.recordings:
        target = arguments.output or recording.with_suffix(".png")
        if folder is not None or (arguments.output and arguments.output.is_dir()):
            target = arguments.output / f"{recording.stem}.png" if arguments.output else target
        if target.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
            raise S2FError(target, "is no picture's name", remedy="End --output in .png, or name a folder.")
        face = Image.fromarray(model.reconstruct(recording))
        if arguments.size != face.width:
            face = face.resize((arguments.size, arguments.size), Image.Resampling.BICUBIC)
        with files.whole(target) as beside:
            face.save(beside)
        print(f"{recording} -> {target}")
    return 0


def _measure(arguments: argparse.Namespace) -> int:
    from s2f.report import other_system

    return other_system.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
