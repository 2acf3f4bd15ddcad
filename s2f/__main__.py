"""Command line: run the study, look at a corpus before it, share its preprocessing, draw and measure faces."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from pathlib import Path
from types import MappingProxyType

from s2f import __version__, files
from s2f.errors import ParameterError, S2FError
from s2f.report import prose
from s2f.study import environment

# Whose `main` a command is; imported when it is asked for, so that training needs no more than torch.
COMMANDS = MappingProxyType(
    {
        "study": "s2f.study.workflow",
        "check": "s2f.report.corpus_check",
        "preprocess": "s2f.features.preprocessing",
        "train": "s2f.training.training",
        "keep": "s2f.report.kept_runs",
        "release": "s2f.report.release",
        "reconstruct": "s2f.report.reconstruct",
        "measure": "s2f.report.other_system",
    }
)
DEFAULT = "(default: %(default)s)"
# Of options that are numbers: as it is written, the least and the most.
BOUNDS = MappingProxyType(
    {
        "size": ("--size", 1, 8192),
        "n": ("--n", 1, 1024),
        "seed": ("--seed", 0, 2**31),
        "bootstrap": ("--bootstrap", 1, 10**6),
        "sample": ("--sample", 0, 10**6),
        "seeds": ("--seeds", 1, 1000),
        "cores": ("--cores", 1, 10**5),
        "workers": ("--workers", 1, 1024),
        "part": ("--part", 0, 10**6),
        "n_parts": ("--of", 1, 10**6),
    }
)


def main(words: list[str] | None = None) -> int:
    """Run a command; an error a user can act on is one line on stderr and exit status 2, and so is Ctrl-C, with 130."""
    arguments = parser().parse_args(words)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":  # names may hold any bytes
            stream.reconfigure(errors="backslashreplace")
    try:
        _in_bounds(arguments)
        status = importlib.import_module(COMMANDS[arguments.command]).main(arguments)
        sys.stdout.flush()
        return status
    except S2FError as error:
        said = error
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130  # as a shell says it
    except BrokenPipeError:  # whoever read the output, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        refused = files.refusal(error)
        if refused is None or error.errno is None:
            raise
        said = refused
    print(f"error: {said}", file=sys.stderr)
    return 2


def _in_bounds(arguments: argparse.Namespace) -> None:
    for name, (option, least, most) in BOUNDS.items():
        value = getattr(arguments, name, None)
        if value is not None and not least <= value <= most:
            raise ParameterError(option, f"is {value}", remedy=f"Give {least} to {most}.")


def parser() -> argparse.ArgumentParser:
    """Every command and its arguments; those that several commands take are declared once."""
    run, seed = (argparse.ArgumentParser(add_help=False) for _ in range(2))
    run.add_argument("--profile", default="demo", help=f"a file of params/profiles {DEFAULT}")
    run.add_argument("--label", default="", help="a name for a run with overrides")
    run.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an override such as sampler.steps=500; repeat for more; needs --label",
    )
    seed.add_argument("--seed", type=int, default=0, metavar="N", help=f"of splits, weights and draws {DEFAULT}")

    whole = argparse.ArgumentParser(prog="python -m s2f", description=__doc__)
    whole.add_argument("--version", action="version", version=__version__)
    commands = whole.add_subparsers(dest="command", required=True, metavar="command")

    def command(name: str, does: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.", parents=parents)

    study = command("study", "run the whole study of a profile and build the book", run)
    study.add_argument("--seeds", type=int, metavar="N", help="run seeds 0 to N-1 (default: 1)")
    study.add_argument(
        "--thorough", action="store_true", help="three seeds, the closed-set protocol and a planted leak"
    )
    study.add_argument("--cores", type=int, default=2, metavar="N", help=f"cores to use {DEFAULT}")
    study.add_argument("--no-book", action="store_true", help="stop before the book is built")
    study.add_argument("--dry-run", action="store_true", help="only say what would run, and why")
    study.add_argument(
        "--workflow-profile",
        default="local",
        metavar="NAME",
        help=f"a folder of workflow/profiles: local, or slurm for a cluster {DEFAULT}",
    )

    check = command("check", "say what a corpus holds, what is missing, and whether counts match")
    check.add_argument("kind", choices=("voxceleb", "wen2019", "table"), help="layout of the corpus")
    check.add_argument("--root", type=Path, help="folder of the downloads (voxceleb, wen2019)")
    for name, what in (
        ("voices", "folders of recordings, where not below root"),
        ("faces", "folders of photographs, where not below root"),
        ("meta", "metadata files, where not in root"),
    ):
        check.add_argument(f"--{name}", type=Path, nargs="+", default=[], metavar="PATH", help=what)
    check.add_argument("--table", type=Path, help="a .csv, .tsv or .parquet file (table)")
    check.add_argument("--sample", type=int, default=20, metavar="N", help=f"files of each kind to decode {DEFAULT}")
    check.add_argument("--rejected", type=Path, metavar="CSV", help="write every file that is left out to this file")

    preprocess = command("preprocess", "make a share of a run's shards, as one job of a cluster", run, seed)
    preprocess.set_defaults(variant="general")  # a store holds everybody
    preprocess.add_argument("--part", type=int, required=True, metavar="K", help="which share, from 0")
    preprocess.add_argument("--of", type=int, required=True, dest="n_parts", metavar="N", help="how many there are")
    preprocess.add_argument("--workers", type=int, default=1, metavar="N", help=f"processes {DEFAULT}")

    train = command("train", "train one variant, as 05_training does, where torch is but no Jupyter", run, seed)
    train.add_argument("--variant", default="general", help=f"general, females or males {DEFAULT}")
    train.add_argument(
        "--join", action="store_true", help="join the training that another machine leads (machine.rendezvous)"
    )

    keep = command("keep", "keep a finished run's numbers, faces and logs with the book, which draws a page of them")
    keep.add_argument("run", type=Path, help="runs/<profile>[-<label>]")

    release = command("release", "pack a finished run's networks into an archive, to be used without the run", seed)
    release.add_argument("run", type=Path, help="runs/<profile>[-<label>]")
    release.add_argument(
        "-o", "--output", type=Path, metavar="ZIP", help="the archive (default: _build/s2f-<run>-<version>.zip)"
    )

    draw = command("reconstruct", "draw the face of a voice, or a sheet of many that it may have")
    draw.add_argument("recordings", nargs="+", type=Path, help="wav, flac, ogg, mp3 or m4a files, or folders")
    variant = Path("runs/demo/s0/general")
    draw.add_argument(
        "--run",
        type=Path,
        default=variant,
        help=f"a trained variant's folder, of a run or of an unpacked release {DEFAULT}",
    )
    draw.add_argument(
        "-o", "--output", type=Path, help="a picture, or a folder for several (default: beside each recording)"
    )
    draw.add_argument(
        "--n",
        type=int,
        default=1,
        metavar="N",
        help="faces of each voice, the most typical draw first; of several a sheet, with what draws share and what is "
        f"made up {DEFAULT}",
    )
    draw.add_argument("--seed", type=int, default=0, metavar="N", help=f"of the draws after the first {DEFAULT}")
    draw.add_argument("--size", type=int, metavar="PX", help="width of the picture (default: 64; a sheet's: 1120)")
    draw.epilog = prose.REAL_VOICES

    measure = command("measure", "measure the pictures that any system drew, as the study's own are", seed)
    for name, metavar, what in (
        ("generated", "FOLDER", "drawn pictures, <Name>/<video>_<clip>.jpg"),
        ("real", "FOLDER", "photographs of the speakers, laid out alike"),
        ("meta", "FILE", "vox1_meta.csv, or a table with the columns identity, gender and, if known, nationality"),
    ):
        measure.add_argument(f"--{name}", type=Path, required=True, metavar=metavar, help=what)
    measure.add_argument(
        "--beside", type=Path, metavar="FOLDER", help="another system's pictures, to compare with on the same people"
    )
    measure.add_argument("--people", type=Path, metavar="FILE", help="a name or id a line; all others are left aside")
    measure.add_argument("--output", type=Path, metavar="FOLDER", help="write tables, readings and pairs there")
    measure.add_argument(
        "--bootstrap", type=int, default=1000, metavar="N", help=f"bootstrap samples of people {DEFAULT}"
    )
    measure.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help=f"processes that read who is who, each on one core {DEFAULT}",
    )
    for name in ("inception", "face-identity", "face-gender"):
        measure.add_argument(f"--{name}", type=Path, metavar="FILE", help="a network instead of the packaged one")
    return whole


if __name__ == "__main__":
    environment.restart()
    sys.exit(main())
