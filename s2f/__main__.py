"""Command line: ``python -m s2f study`` runs everything, ``python -m s2f reconstruct`` draws a voice's face."""

from __future__ import annotations

import argparse
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

    arguments = parser.parse_args(words)
    try:
        return {"study": _study, "reconstruct": _reconstruct}[arguments.command](arguments)
    except S2FError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _study(arguments: argparse.Namespace) -> int:
    from s2f import workflow

    return workflow.run(
        profile=arguments.profile,
        label=arguments.label,
        overrides=workflow.parse_settings(arguments.overrides),
        n_seeds=arguments.seeds or (3 if arguments.thorough else 1),
        thorough=arguments.thorough,
        n_cores=arguments.cores,
        book=not arguments.no_book,
        dry_run=arguments.dry_run,
    )


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


if __name__ == "__main__":
    sys.exit(main())
