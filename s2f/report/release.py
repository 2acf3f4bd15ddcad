"""A run's trained networks in one archive, to draw faces where the run is not: weights, card, licence, checksums."""

from __future__ import annotations

import argparse
import hashlib
import os
import zipfile
from pathlib import Path
from typing import Any

from s2f import __version__, files, provenance
from s2f.errors import OutputError, ParameterError, RunError
from s2f.metrics import catalogue
from s2f.networks import inference
from s2f.report import prose, tables
from s2f.report.kept_runs import finished_seeds, refuse_others
from s2f.settings import Settings
from s2f.study import params
from s2f.study.finished import Finished, settings_of

SUMS, CARD, METRICS, PARAMS = "SHA256SUMS", "README.md", "metrics.json", "params.yaml"
MADE_BY = b"python -m s2f release"  # the archive's comment
_TIME = (1980, 1, 1, 0, 0, 0)  # of every file in it, so that the same networks give the same archive
_ROWS = ("model", "shuffled_voice", "ceiling")  # what the card compares


def release(root: Path, run: Path, *, seed: int = 0, output: Path | None = None) -> Path:
    """Pack what a finished run trained into one archive, and write its checksum beside it.

    Of every variant the checkpoint, what it was measured to do, and its parameters; a card, the licence, and the
    checksums of all files.

    Parameters
    ----------
    root : Path, the project's folder
    run : Path, ``runs/<profile>[-<label>]``
    seed : int, whose networks
    output : Path, optional, the archive; ``_build/s2f-<run>-<version>.zip`` by default

    Returns
    -------
    Path, the archive

    Raises
    ------
    RunError: the run is not finished, or its variants were made with different parameters
    CheckpointError: a checkpoint is missing, damaged or of another architecture
    OutputError: the archive's name has another ending, or something else is in its place
    """
    run = Path(os.path.abspath(run))  # "." has no name
    folder = run / f"s{seed}"
    finished = Finished(folder)
    if finished not in finished_seeds(run):
        raise RunError(folder, "has no finished results", remedy=f"Run it to its end first: {provenance.again(folder)}")
    refuse_others([finished])
    name = f"s2f-{run.name}-{__version__}"
    target = root / "_build" / f"{name}.zip" if output is None else output
    _refuse_foreign(target)
    inside = {"LICENSE": (root / "LICENSE").read_bytes()}
    for variant in finished.variants:
        model, metrics = (finished.folder(what, variant=variant) for what in ("model", "metrics"))
        inference.load(model)  # what cannot be opened is not given away
        inside[f"{variant}/{inference.CHECKPOINT}"] = (model / inference.CHECKPOINT).read_bytes()
        inside[f"{variant}/{METRICS}"] = (metrics / METRICS).read_bytes()
        plain = _without_places(params.plain(settings_of(metrics)))
        inside[f"{variant}/{PARAMS}"] = files.yaml_text(plain).encode()
    inside[CARD] = _card(run.name, finished).encode()
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in sorted(inside.items()))
    _write(target, {f"{name}/{path}": content for path, content in sorted((inside | {SUMS: sums.encode()}).items())})
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    files.write_text(target.with_name(f"{target.name}.sha256"), f"{digest}  {target.name}\n")
    return target


def _refuse_foreign(target: Path) -> None:
    if target.suffix.lower() != ".zip":
        raise OutputError(target, "is no archive's name", remedy="End --output in .zip.")
    if os.path.lexists(target) and not _is_ours(target):
        problem = "is there, and is no archive that this command wrote"
        raise OutputError(target, problem, remedy="Move it, or name another place with --output.")


def _is_ours(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment.startswith(MADE_BY)
    except (OSError, zipfile.BadZipFile):
        return False


def _without_places(value: Any) -> Any:
    """Parameters without the folders of the machine: of a path from its root, the last part."""
    if isinstance(value, dict):
        return {key: _without_places(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_places(each) for each in value]
    return Path(value).name if isinstance(value, str) and os.path.isabs(value) else value


def _write(target: Path, content: dict[str, bytes]) -> None:
    with files.whole(target) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = MADE_BY + f" {__version__}".encode()
        for path, data in content.items():
            entry = zipfile.ZipInfo(path, _TIME)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, data)


def _card(name: str, finished: Finished) -> str:
    """What the networks are, what they were measured to do, and how to use them."""
    folder, variants = finished.home, finished.variants
    settings = settings_of(folder / "results")
    made = provenance.read_stages(finished.folder("model", variant=variants[0]))["05_training"]
    lines = [f"# Networks of the run {prose.plain_markdown(name)}", ""]
    lines += [f"They draw faces from a voice: {', '.join(variants)}. Of each, `{inference.CHECKPOINT}` holds all."]
    lines += ["The study, its limits and how they were made: the book of this project, version " + __version__ + "."]
    lines += ["", "## Use", "", "In a checkout of the same version, after `make environment`:", "", "```bash"]
    lines += [f".venv/bin/python -m s2f reconstruct voice.wav --run FOLDER/{variants[0]} -o face.png", "```", ""]
    lines += ["FOLDER is where this file lies; `--n 16` draws a sheet of faces that the voice may have."]
    lines += [f'In Python: `s2f.load("FOLDER/{variants[0]}").draw("voice.wav", n=16)`.']
    lines += [f"`sha256sum -c {SUMS}` in FOLDER says whether all files are whole.", ""]
    lines += ["## What they reach", "", *_measured(folder), "", "## Limits", ""]
    if settings.corpus.kind == "synthetic":
        lines += [f"{prose.REAL_VOICES}"]
    lines += [
        "A drawn face is a sample of what a network finds plausible for a kind of voice: no likeness, and no evidence.",
        "It must not be used to identify, search for, describe or judge anybody.",
        "",
        "## How they were made",
        "",
        f"Corpus `{settings.corpus.kind}`, recipe `{settings.recipe}`, seed {made.seed}.",
        f"Commit {made.commit}, torch {made.packages.get('torch', 'not recorded')}, {made.machine}, {made.device}.",
        "",
        "## Licence",
        "",
        _licence(settings),
    ]
    return "\n".join(lines) + "\n"


def _measured(folder: Path) -> list[str]:
    shown = catalogue.table2_metrics()
    lines = [f"| variant | row | people | {' | '.join(map(catalogue.label, shown))} |", "|---" * (3 + len(shown)) + "|"]
    found = [line for line in tables.read_table2(folder / "results" / "table2.json") if line.row in _ROWS]
    for line in found:
        cells = [prose.plain_markdown(line.variant), catalogue.label(line.row), str(line.n_identities)]
        lines.append(f"| {' | '.join([*cells, *(line.printed(metric) for metric in shown)])} |")
    return [
        *lines,
        "",
        f"On people {prose.met(line.data for line in found)}; brackets hold 95 % intervals over people.",
    ]


def _licence(settings: Settings) -> str:
    own = "MIT, see LICENSE."
    if settings.corpus.kind == "synthetic":
        return f"{own} Nobody in the corpus is real."
    return f"The code: {own} What may be done with networks that learned from other data, the terms of that data say."


def main(arguments: argparse.Namespace) -> int:
    """``python -m s2f release``."""
    if arguments.output is not None and arguments.output.is_dir():
        raise ParameterError("--output", f"is a folder, {arguments.output}", remedy="Name a file that ends in .zip.")
    archive = release(params.project_root(), arguments.run, seed=arguments.seed, output=arguments.output)
    print(f"{archive} ({archive.stat().st_size / 1e6:.1f} MB), its checksum beside it in {archive.name}.sha256")
    return 0
