"""Pictures of the faces that a trained variant draws from recordings, one picture of each, none in another's place.

A picture is the most typical face, or a sheet of many draws with what they share and what is made up beside them: in
one picture, so that nobody has the faces without it.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from s2f import __version__, files
from s2f.errors import AudioError, CheckpointError, OutputError, ParameterError, S2FError
from s2f.networks import inference
from s2f.networks.inference import Model
from s2f.report import draws, prose

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
RECORDINGS = (
    *(".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".amr", ".wma", ".aiff", ".au", ".caf", ".w64"),
    *(".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".ts", ".3gp", ".npy"),
)
# What a picture's EXIF says of its maker, and in words of what is to be seen.
_SOFTWARE, _MADE_BY, _DESCRIPTION = 0x0131, "python -m s2f reconstruct", 0x010E
FACE_PX, SHEET_PX, LEAST_SHEET_PX = 64, 1120, 280  # width of a face and of a sheet, and below which none can be read


@dataclass(frozen=True)
class Plan:
    """What will be drawn.

    Attributes
    ----------
    targets : dict of Path to Path, the picture of each recording
    left_out : dict of Path to Path, recordings that are another one in another format, and that one
    """

    targets: dict[Path, Path]
    left_out: dict[Path, Path]


def main(arguments: argparse.Namespace) -> int:
    """``python -m s2f reconstruct``: exit status 1 where some of several recordings could not be drawn."""
    n, size_px = arguments.n, arguments.size
    planned = plan(arguments.recordings, arguments.output)
    check_variant(arguments.run)
    model = inference.load(arguments.run)
    if n > 1 and model.sampler is None:
        remedy = "--n and --seed change nothing"
        print(f"warning: {arguments.run} has no sampler and draws one face a voice: {remedy}", file=sys.stderr)
        n = 1
    size_px = size_px or (FACE_PX if n == 1 else SHEET_PX)
    if n > 1 and size_px < LEAST_SHEET_PX:
        remedy = f"Give {LEAST_SHEET_PX} or more, or draw one face with --n 1."
        raise ParameterError("--size", f"is {size_px}, too little for a sheet of {n} draws", remedy=remedy)
    for recording, kept in planned.left_out.items():
        print(f"warning: {recording} is left out: it is {kept.name} in another format", file=sys.stderr)
    if _heard_no_real_voice(arguments.run):
        print(f"note: {prose.REAL_VOICES}", file=sys.stderr)
    failed = []
    for recording, target in planned.targets.items():
        try:
            _draw(model, recording, target, n=n, seed=arguments.seed, size_px=size_px)
        except S2FError as error:
            if len(planned.targets) == 1:
                raise
            print(f"error: {error}", file=sys.stderr)
            failed.append(recording)
    if failed:
        print(f"{len(failed)} of {len(planned.targets)} recordings are not drawn:", file=sys.stderr)
        print(*(f"  {recording}" for recording in failed), sep="\n", file=sys.stderr)
    return 1 if failed else 0


def check_variant(folder: Path) -> None:
    """Refuse, with the folders that are meant, a run or a release as a whole, or the file in a variant's folder.

    Raises
    ------
    CheckpointError: names the folders of variants
    """
    if folder.is_file():
        raise CheckpointError(folder, "is a file", remedy=f"Give the folder it lies in: --run {folder.parent}")
    if folder.is_dir() and not (folder / inference.CHECKPOINT).is_file():
        found = sorted({*folder.glob(f"*/{inference.CHECKPOINT}"), *folder.glob(f"s*/*/{inference.CHECKPOINT}")})
        if found:
            variants = ", ".join(str(path.parent) for path in found)
            raise CheckpointError(folder, "is no variant's folder", remedy=f"Give one with --run: {variants}")


def _heard_no_real_voice(variant: Path) -> bool:
    """Whether the parameters beside a checkpoint, where there are any, say that its corpus was the synthetic one."""
    path = variant / "params.yaml"
    return path.is_file() and "\n  kind: synthetic\n" in path.read_text(encoding="utf-8", errors="replace")


def plan(recordings: Sequence[Path], output: Path | None) -> Plan:
    """Where each recording's picture goes, found before anything is drawn.

    Parameters
    ----------
    recordings : sequence of Path
        Recordings, or folders, of which all recordings below are taken; their pictures lie as they do.
    output : Path, optional
        A picture, for one recording; or a folder, which it is where it is one already or its name has no suffix.
        Without it, pictures lie beside their recordings.

    Raises
    ------
    OutputError: two recordings would have one picture, or something else is in a picture's place
    AudioError: a folder without recordings
    """
    found: dict[Path, Path] = {}  # each recording, and where its picture goes in a folder
    for given in recordings:
        below = _recordings(given) if given.is_dir() else [given]
        if not below:
            remedy = "Give recordings, or a folder that holds some."
            raise AudioError(given, "holds no recordings", remedy=remedy, reason="missing")
        found |= {path: path.relative_to(given) if given.is_dir() else Path(path.name) for path in below}
    found = {path: place.with_name(f"{place.stem}.png") for path, place in found.items()}
    if output is None:
        targets = {path: path.with_name(place.name) for path, place in found.items()}
    elif len(found) > 1 or any(map(Path.is_dir, recordings)) or output.is_dir() or not output.suffix:
        if output.exists() and not output.is_dir():
            raise OutputError(output, "is a file, and a folder is needed", remedy="Name a folder with --output.")
        targets = {path: output / place for path, place in found.items()}
    else:
        if output.suffix.lower() not in SUFFIXES:
            remedy = "End --output in .png, or name a folder without a dot, or one that is there."
            raise OutputError(output, "is no picture's name", remedy=remedy)
        targets = dict.fromkeys(found, output)
    return _one_each(targets)


def _recordings(folder: Path) -> list[Path]:
    return [path for path in files.below(folder, hidden=False) if path.suffix.lower() in RECORDINGS]


def _one_each(targets: dict[Path, Path]) -> Plan:
    """Every picture of one recording, and in nobody's place."""
    kept: dict[str, Path] = {}
    left_out: dict[Path, Path] = {}
    for recording, target in targets.items():
        # As a disk sees it that knows neither case nor how an accent is written.
        one = kept.setdefault(unicodedata.normalize("NFC", str(target)).casefold(), recording)
        if one == recording:
            continue
        if (one.parent, one.stem) != (recording.parent, recording.stem):
            problem = f"would be the picture of two recordings, {one} and {recording}"
            remedy = "Give the folder that holds both: pictures then lie as recordings do. Or draw one at a time."
            raise OutputError(target, problem, remedy=remedy)
        left_out[recording] = one
    targets = {recording: targets[recording] for recording in kept.values()}
    for target in targets.values():
        if os.path.lexists(target) and not _is_ours(target):
            problem = "is there, and is no picture that this command drew"
            raise OutputError(target, problem, remedy="Move it, or name another place with --output.")
    return Plan(targets, left_out)


def _is_ours(path: Path) -> bool:
    """Whether this command drew a picture."""
    try:
        with Image.open(path) as picture:
            return str(picture.getexif().get(_SOFTWARE, "")).startswith(_MADE_BY)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        return False


def _draw(model: Model, recording: Path, target: Path, *, n: int, seed: int, size_px: int) -> None:
    try:
        features, heard = model.hear(recording)
    except (S2FError, ImportError, MemoryError):
        raise
    except Exception as error:  # whatever a decoder makes of one broken file, the others go on
        problem = f"cannot be decoded ({type(error).__name__}: {error})"
        raise AudioError(recording, problem, remedy="Convert it to wav or flac.", reason="unexpected") from error
    exif = Image.Exif()
    exif[_SOFTWARE] = f"{_MADE_BY} {__version__}" + (f", a sheet of {n} draws" if n > 1 else "")
    if n > 1:
        drawn = draws.of_voice(model, features, n=n, seed=seed)
        picture, exif[_DESCRIPTION] = _sheet(drawn, name=model.name, width_px=size_px)
    else:
        picture = Image.fromarray(model.face(features))
        if size_px != picture.width:
            picture = picture.resize((size_px, size_px), Image.Resampling.BICUBIC)
    with files.whole(target) as beside, io.BytesIO() as encoded:  # Pillow does not notice where a JPEG is cut short
        picture.save(encoded, format=Image.registered_extensions()[target.suffix.lower()], exif=exif)
        beside.write_bytes(encoded.getvalue())
    print(f"{recording} -> {target}: {heard}")
    for remark in heard.remarks:
        print(f"warning: {recording}: {remark}", file=sys.stderr)


def _sheet(drawn: draws.Draws, *, name: str, width_px: int) -> tuple[Image.Image, str]:
    """A sheet of draws as a picture of the given width, and what is to be seen in it."""
    from s2f.report import face_figures, style  # slow to import, and not needed for one face

    figure = face_figures.draws(drawn, name=name)
    with io.BytesIO() as encoded:
        figure.savefig(encoded, format="png", dpi=(width_px + 1e-6) / style.WIDTH_IN)  # cut to whole pixels
        return Image.open(encoded).convert("RGB"), str(figure.get_label())
