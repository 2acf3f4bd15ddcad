"""Results of a run kept with the book: small files and a page, for runs that not everybody can repeat."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from s2f import files, provenance
from s2f.errors import OutputError, RunError
from s2f.evaluation import draws
from s2f.metrics import catalogue
from s2f.provenance import Facts
from s2f.report import draw_figures, prose, style, tables, training_figures
from s2f.report.book import settings_of
from s2f.settings import Settings
from s2f.study import params

MAX_BYTES = 1_000_000  # of a file; the project holds no larger ones
_HEADING = "# Kept results: "
DRAWS = {  # of what many draws say: how it is drawn, and what it is
    "energy": (draw_figures.energy, "Energy scores of the draws and of what could stand in for them"),
    "coverage": (draw_figures.coverage, "How many photographs the central intervals of the draws hold"),
    "shares": (draw_figures.shares, "What draws of a voice share and what they make up, attribute by attribute"),
}


def keep(root: Path, run: Path) -> Path:
    """Copy what a finished run found into ``book/results/<run>/``, with a page that shows it.

    Of every seed: Table 1 and Table 2, what many draws of a voice say on the people of the known answer, and of every
    variant its metrics, its learning curves and the faces it drew while it was trained; and the provenance of all
    notebooks. What was kept of the same run before is replaced.

    Parameters
    ----------
    root : Path, the project's folder
    run : Path, ``runs/<profile>[-<label>]``

    Returns
    -------
    Path, the page, ``index.md``

    Raises
    ------
    RunError
        The run is not there or not finished, or of another version; its seeds or variants were made with different
        parameters; a file would be too large.
    OutputError: something that is no kept run is in its place, or the system does not let it be written
    """
    run = Path(os.path.abspath(run))  # "." has no name
    finished = finished_seeds(run)
    if not finished:
        raise RunError(
            run, "has no finished results", remedy=f"Run it to its end first: {provenance.again(run / 's0')}"
        )
    refuse_others(finished)
    target = root / "book" / "results" / run.name
    _refuse_foreign(target)
    with files.whole_folder(target) as beside:
        noted = [one for seed in finished for one in _keep_seed(seed, beside)]
        files.write_json(beside / "provenance.json", [{"notebook": name, **facts.plain()} for name, facts in noted])
        files.write_text(beside / "index.md", "\n".join(_page(run.name, finished, noted, beside)) + "\n")
        for path in beside.rglob("*"):
            if path.is_file() and path.stat().st_size > MAX_BYTES:
                problem = f"has {path.stat().st_size:,} bytes, more than {MAX_BYTES:,}"
                raise RunError(target / path.relative_to(beside), problem, remedy="Show fewer people or moments.")
    return target / "index.md"


def finished_seeds(run: Path) -> list[Path]:
    """Folders of a run's seeds that have results, by seed."""
    seeds = sorted((path for path in run.glob("s*") if path.name[1:].isdigit()), key=lambda path: int(path.name[1:]))
    return [seed for seed in seeds if (seed / "results" / "table2.csv").is_file()]


def refuse_others(seeds: list[Path]) -> None:
    """Refuse what was made with other parameters than the first seed's results: what is made of them would mix them.

    Raises
    ------
    RunError: names the folder
    """
    settings = settings_of(seeds[0] / "results")
    for seed in seeds:
        _check(seed / "results", "07_results", settings, seed)
        for variant in variants_of(seed):
            own = settings.model_copy(update={"variant": settings_of(variant).variant})
            for notebook in ("05_training", "06_metrics"):
                _check(variant, notebook, own, seed)


def _check(folder: Path, notebook: str, settings: Settings, seed: Path) -> None:
    made = provenance.read_stages(folder).get(notebook)
    if made is None or made.fingerprint != params.fingerprint(settings, notebook, seed=int(seed.name[1:])):
        problem = f"was not made by {notebook} with the parameters of the run's results"
        raise RunError(folder, problem, remedy="Run the study again, to its end, or delete that folder.")


def variants_of(seed: Path) -> list[Path]:
    """Folders of measured variants; the voice embedding and the face code have metrics too, and are none."""
    folders = (path.parent for path in sorted(seed.glob("*/metrics.json")))
    return [folder for folder in folders if {"05_training", "06_metrics"} & set(provenance.read_stages(folder))]


def _refuse_foreign(target: Path) -> None:
    """Refuse to take the place of what is no kept run."""
    if not os.path.lexists(target):
        return
    page = target / "index.md"
    if not (page.is_file() and page.read_text(encoding="utf-8", errors="replace").startswith(_HEADING)):
        raise OutputError(target, "is there, and is no kept run", remedy="Move it, or give the run another name.")


def _keep_seed(seed: Path, target: Path) -> list[tuple[str, Facts]]:
    folder = target / seed.name
    folder.mkdir()
    tables.read_table2(seed / "results" / "table2.json")  # of this version, or what to do is said of the run itself
    for name in ("table1.png", "table2.csv", "table2.json"):
        shutil.copy(seed / "results" / name, folder / name)
    style.theme()
    for variant in variants_of(seed):
        shutil.copy(variant / "metrics.json", folder / f"{variant.name}_metrics.json")
        style.save(training_figures.learning(variant), folder / f"{variant.name}_curves.png")
        style.save(training_figures.learning(variant, health=True), folder / f"{variant.name}_health.png")
        if (variant / "samples.npz").is_file():  # what was drawn while a game went on
            samples = np.load(variant / "samples.npz")
            style.save(training_figures.sample_grids(samples), folder / f"{variant.name}_samples.png")
    if (seed / "answer" / draws.FILE).is_file():
        shutil.copy(seed / "answer" / draws.FILE, folder / draws.FILE)
        found = draws.read(folder)
        for name, (draw, _) in DRAWS.items():
            style.save(draw(found), folder / f"draws_{name}.png")
    noted = sorted((seed / "notebooks").glob("*.json"))
    return [(path.stem, provenance.read_facts(path)) for path in noted]


def _page(name: str, seeds: list[Path], noted: list[tuple[str, Facts]], folder: Path) -> list[str]:
    profile, _, label = name.partition("-")
    lines = [f"{_HEADING}{prose.plain_markdown(name)}", ""]
    lines += ["These results were made once and are kept with the book, since not everybody can repeat the run."]
    lines += ["They are of the run named here, whatever this build of the book shows elsewhere.", ""]
    lines += ["## What made them", "", "| | |", "|---|---|"]
    every = [facts for _, facts in noted]
    table = {
        key: _several(getattr(facts, key) for facts in every) for key in ("machine", "device", "threads", "commit")
    }
    trained = (facts.device for name, facts in noted if name.startswith("05_training"))
    table["device of the training"] = _several(trained)
    table["torch"] = _several(facts.packages.get("torch") for facts in every)
    table["finished"] = max((facts.finished for facts in every), default="not recorded")
    hours = sum(facts.wall_time_s for facts in every) / 3600
    table["time of all notebooks, one after another"] = f"{hours:.2f} h"
    table["seeds"] = ", ".join(seed.name[1:] for seed in seeds)
    lines += [f"| {what} | {prose.plain_markdown(value)} |" for what, value in table.items()]
    lines += ["", "To make them again:", "", "```bash"]
    recorded = [facts.command for facts in every if facts.command]  # of the last seed, for all
    plain = f"python -m s2f study --profile {profile}" + (f" --seeds {len(seeds)}" if len(seeds) > 1 else "")
    if label and not recorded:
        lines += [f"# and --label {label}, with what its params.yaml has of its own, by --set"]
    lines += [recorded[-1] if recorded else plain, f"python -m s2f keep runs/{name}", "```", ""]
    for seed in seeds:
        lines += _seed_lines(seed.name, folder / seed.name)
    return lines


def _seed_lines(name: str, folder: Path) -> list[str]:
    shown = catalogue.table2_metrics()
    lines = [f"## Seed {name[1:]}", "", f"| variant | people | {' | '.join(map(catalogue.label, shown))} |"]
    lines.append("|---" * (2 + len(shown)) + "|")
    for line in tables.read_table2(folder / "table2.json"):
        if line.row == "model":
            cells = [
                prose.plain_markdown(line.variant),
                str(line.n_identities),
                *(line.printed(metric) for metric in shown),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Values with 95 % intervals over identities where they have one.", ""]
    lines += [f"![Table 1: true faces beside drawn ones]({name}/table1.png)", ""]
    if (folder / draws.FILE).is_file():
        found = draws.read(folder)
        lines += ["### Many draws of a voice", ""]
        lines += ["On the people of the known answer, whom no network has seen, by General.", ""]
        lines += [draw_figures.verdict(found), draw_figures.covered(found), ""]
        lines += [f"![{caption}]({name}/draws_{part}.png)\n" for part, (_, caption) in DRAWS.items()]
    for metrics in sorted(folder.glob("*_metrics.json")):
        variant = metrics.name.removesuffix("_metrics.json")
        lines += [f"### {variant.title()}", ""]
        for what, caption in (
            ("samples", "Faces drawn as training went on"),
            ("curves", "Learning curves"),
            ("health", "Gradients, variety, speed and memory"),
        ):
            if (folder / f"{variant}_{what}.png").is_file():
                lines += [f"![{caption}]({name}/{variant}_{what}.png)", ""]
    return lines


def _several(values: Iterable) -> str:
    return ", ".join(sorted({str(value) for value in values if value is not None})) or "not recorded"


def main(arguments: argparse.Namespace) -> int:
    """``python -m s2f keep``."""
    page = keep(params.project_root(), arguments.run)
    print(f"Kept: {page.parent}; the next build of the book shows it.")
    return 0
