"""Pictures of the faces that a trained variant draws from recordings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from s2f import files
from s2f.errors import S2FError
from s2f.networks import inference

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def main(arguments: argparse.Namespace) -> int:
    """``python -m s2f reconstruct``."""
    model = inference.load(arguments.run)
    for recording, target in targets(arguments.recordings, arguments.output).items():
        if target.suffix.lower() not in SUFFIXES:
            raise S2FError(target, "is no picture's name", remedy="End --output in .png, or name a folder.")
        features, heard = model.hear(recording)
        face, side = Image.fromarray(model.face(features)), arguments.size
        if side != face.width:
            face = face.resize((side, side), Image.Resampling.BICUBIC)
        with files.whole(target) as beside:
            face.save(beside)
        print(f"{recording} -> {target}: {heard}")
        for remark in heard.remarks:
            print(f"warning: {recording}: {remark}", file=sys.stderr)
    return 0


def targets(recordings: Sequence[Path], output: Path | None) -> dict[Path, Path]:
    """Where each recording's picture goes: beside it, to a file, or into a folder, which it is for several."""
    if output is None:
        return {recording: recording.with_suffix(".png") for recording in recordings}
    if len(recordings) > 1 or output.is_dir():
        return {recording: output / f"{recording.stem}.png" for recording in recordings}
    return {recordings[0]: output}
