"""Results of a run kept with the book: small files of numbers and faces, for runs that not everybody can repeat.

What is kept lies as in the folder of the run. Its page and figures are made anew with every book: a later figure needs
no second run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from s2f import files, provenance
from s2f.errors import OutputError, RunError
from s2f.evaluation import draws
from s2f.metrics import catalogue
from s2f.provenance import Facts
from s2f.report import draw_figures, face_figures, prose, style, tables, training_figures
from s2f.settings import Settings
from s2f.study import params
from s2f.study.finished import Finished, settings_of
from s2f.study.stages import VARIANTS

MAX_BYTES = 1_000_000  # of a file; the project holds no larger ones
TABLE1 = "results/table1.npz"
KEPT = (TABLE1, "results/table2.csv", "results/table2.json", f"answer/{draws.FILE}")  # below the folder of a seed
KEPT_OF_VARIANT = MappingProxyType(
    {"metrics": ("metrics.json",), "model": ("log.jsonl", "sampler/log.jsonl", "samples.npz")}
)
NOTED = "provenance.json"  # what made every notebook of the run; a folder with it is a kept run
PAGE = "index.md"
KEEP_AGAIN = "Keep the run again, or delete its folder."
ROWS = ("model", "draws_mean", "probe", "gender_oracle", "shuffled_voice", "ceiling")  # of Table 2, of each variant
DRAWS = MappingProxyType(
    {  # of what many draws say: how it is drawn, and what it is
        "energy": (
            draw_figures.energy,
            "Energy scores of the draws and of what could stand in for them, lower is better",
        ),
        "coverage": (draw_figures.coverage, "How many photographs the central intervals of the draws hold"),
        "shares": (
            draw_figures.shares,
            "What draws of a voice share and what they make up, attribute by attribute; a tick is what the voice's "
            "parameters tell, lines are intervals, and the sum should meet the dashed line; a cross marks what is "
            "shared though no voice tells it, or whose sum misses the line",
        ),
    }
)


def keep(root: Path, run: Path) -> Path:
    """Copy what a finished run found into ``book/results/<run>/``.

    Of every seed: the faces of Table 1 and Table 2, what many draws of a voice say on the people of the known answer,
    and of every variant its metrics, its log and the faces it drew while it was trained; and the provenance of all
    notebooks. What was kept of the same run before is replaced.

    Parameters
    ----------
    root : Path, the project's folder
    run : Path, ``runs/<profile>[-<label>]``

    Returns
    -------
    Path, the folder

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
        noted = [one for seed in finished for one in _keep_seed(seed, beside / seed.home.name)]
        files.write_json(beside / NOTED, [{"notebook": name, **facts.plain()} for name, facts in noted])
        for path in beside.rglob("*"):
            if path.is_file() and path.stat().st_size > MAX_BYTES:
                problem = f"has {path.stat().st_size:,} bytes, more than {MAX_BYTES:,}"
                raise RunError(target / path.relative_to(beside), problem, remedy="Show fewer people or moments.")
    return target


def kept(root: Path) -> list[Path]:
    """Folders of the runs that are kept with the book, by name."""
    return sorted(path.parent for path in (root / "book" / "results").glob(f"*/{NOTED}"))


def write_pages(root: Path, folder: Path) -> list[Path]:
    """Make a page with figures of every kept run, ``<folder>/<run>/index.md``.

    Raises
    ------
    RunError: what is kept is of another version
    """
    return [_write_page(run, folder / run.name) for run in kept(root)]


def _write_page(run: Path, folder: Path) -> Path:
    try:
        entries = json.loads((run / NOTED).read_text(encoding="utf-8"))
        noted = [(entry.pop("notebook"), Facts(**entry)) for entry in entries]
        if not noted:
            raise ValueError("no notebook")
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        problem = f"is of another version or form ({error})"
        raise RunError(run / NOTED, problem, remedy=KEEP_AGAIN) from None
    try:
        seeds = {seed: _many_draws(seed) for seed in _seeds(run)}
        for seed, found in seeds.items():
            _draw(seed, found, folder / seed.name)
        files.write_text(folder / PAGE, "\n".join(_page(run.name, seeds, noted, folder)) + "\n")
    except RunError as error:  # whose remedy is to run a study, which leaves what is kept as it is
        raise RunError(error.subject, error.problem, remedy=KEEP_AGAIN, reason=error.reason) from None
    return folder / PAGE


def _many_draws(seed: Path) -> draws.Spread | None:
    """What many draws of a voice say; None where one face a voice was drawn, or nothing was asked."""
    found = draws.read(seed / "answer") if (seed / "answer" / draws.FILE).is_file() else None
    return found if isinstance(found, draws.Spread) else None


def _seeds(run: Path) -> list[Path]:
    """Folders of a run's seeds, by number."""
    seeds = (path for path in run.glob("s*") if path.name[1:].isdigit())
    return sorted(seeds, key=lambda path: int(path.name[1:]))


def finished_seeds(run: Path) -> list[Finished]:
    """A run's seeds that have results, by seed."""
    return [Finished(seed) for seed in _seeds(run) if (seed / "results" / "table2.csv").is_file()]


def refuse_others(seeds: list[Finished]) -> None:
    """Refuse what was made with other parameters than the first seed's results, or of an earlier run of what it reads.

    What is made of them would mix them.

    Raises
    ------
    RunError: names the folder; or a seed has no measured variant
    """
    settings = settings_of(seeds[0].home / "results")
    for seed in seeds:
        _check(seed.home / "results", "07_results", settings, seed)
        if not seed.variants:
            remedy = f"Run it again: {provenance.again(seed.home)}"
            raise RunError(seed.home, "has no measured variant", remedy=remedy)
        for variant in seed.variants:
            model, metrics = (seed.folder(what, variant=variant) for what in ("model", "metrics"))
            own = settings.model_copy(update={"variant": settings_of(metrics).variant})
            _check(model, "05_training", own, seed)
            _check(metrics, "06_metrics", own, seed)
        if (seed.home / "answer" / draws.FILE).is_file():
            _check(seed.home / "answer", "09_known_answer", settings, seed)
        _refuse_older(seed)


def _check(folder: Path, notebook: str, settings: Settings, seed: Finished) -> None:
    made = provenance.read_stages(folder).get(notebook)
    if made is None or made.fingerprint != params.fingerprint(settings, notebook, seed=int(seed.home.name[1:])):
        problem = f"was not made by {notebook} with the parameters of the run's results"
        raise RunError(folder, problem, remedy="Run the study again, to its end, or delete that folder.")


def _refuse_older(seed: Finished) -> None:
    """Refuse results, or what many draws say, of folders of the seed that were made anew since.

    Of other seeds and of runs beside it nothing is kept: results show them, and do not wait for them.
    """
    made_of = [(path, made_by) for (_, made_by), path in seed.made_of.items()]
    kept_too = [(seed.home / "results", "07_results"), (seed.home / "answer", "09_known_answer")]
    for folder, notebook in [*kept_too, *made_of]:
        made = provenance.read_stages(folder).get(notebook)
        for name, read in ((made.inputs or {}) if made else {}).items():
            place, _, made_by = name.rpartition(":")
            path = seed.home.parents[1] / place
            now = provenance.read_stages(path).get(made_by) if path.parent in (seed.home, seed.plain) else None
            if now is not None and now.id != read:
                problem = f"was made by {notebook} before {made_by} made {place} anew"
                raise RunError(folder, problem, remedy=f"Run the study to its end: {provenance.again(seed.home)}")


def _refuse_foreign(target: Path) -> None:
    """Refuse to take the place of what is no kept run."""
    if not os.path.lexists(target):
        return
    if not (target / NOTED).is_file():
        raise OutputError(target, "is there, and is no kept run", remedy="Move it, or give the run another name.")


def _keep_seed(seed: Finished, target: Path) -> list[tuple[str, Facts]]:
    home = seed.home
    tables.read_table2(home / "results" / "table2.json")  # of this version, or what to do is said of the run itself
    _table1(home)
    chosen = {name: home / name for name in KEPT}
    for variant in seed.variants:
        for what, names in KEPT_OF_VARIANT.items():
            chosen |= {f"{variant}/{name}": seed.folder(what, variant=variant) / name for name in names}
    for name, path in chosen.items():
        if path.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target / name)
    noted = [(path.stem, provenance.read_facts(path)) for path in sorted((home / "notebooks").glob("*.json"))]
    shared = {(path.name, made_by): path for (_, made_by), path in seed.made_of.items() if path.parent != home}
    return noted + [(made_by, _shared(seed, path, made_by)) for (_, made_by), path in shared.items()]


def _shared(seed: Finished, path: Path, made_by: str) -> Facts:
    """The record of a folder of the plain run that a seed's results hang on."""
    facts = provenance.read_stages(path).get(made_by)
    if facts is None:
        remedy = f"Run the study to its end, then keep it: {provenance.again(seed.home)}"
        raise RunError(path, f"has no record of {made_by} any more", remedy=remedy, reason="missing")
    return facts


def _table1(seed: Path) -> Path:
    """The file of the faces of Table 1, which every run of this version has."""
    path = seed / TABLE1
    if not path.is_file():
        problem = "is not there: another version made these results"
        raise RunError(path, problem, remedy=f"Run it again: {provenance.again(seed)}", reason="missing")
    return path


def _draw(seed: Path, found: draws.Spread | None, folder: Path) -> None:
    """Every figure that what is kept of a seed allows."""
    style.theme()
    style.save(face_figures.table1(*face_figures.read_table1(_table1(seed))), folder / "table1.png")
    for variant in _variants(seed):
        style.save(training_figures.learning(variant), folder / f"{variant.name}_curves.png")
        style.save(training_figures.learning(variant, health=True), folder / f"{variant.name}_health.png")
        if (variant / "samples.npz").is_file():  # what was drawn while a game went on
            samples = np.load(variant / "samples.npz")
            style.save(training_figures.sample_grids(samples), folder / f"{variant.name}_samples.png")
    if found:
        for name, (draw, _) in DRAWS.items():
            style.save(draw(found), folder / f"draws_{name}.png")


def _variants(seed: Path) -> list[Path]:
    """Folders of the variants of a kept seed, in the order of the study."""
    return [seed / name for name in VARIANTS if (seed / name / "metrics.json").is_file()]


def _page(
    name: str, seeds: Mapping[Path, draws.Spread | None], noted: list[tuple[str, Facts]], folder: Path
) -> list[str]:
    profile, _, label = name.partition("-")
    lines = [f"# Kept results: {prose.plain_markdown(name)}", ""]
    lines += ["These results were made once and are kept with the book."]
    whose = "They are of the run named here, whatever this build of the book shows elsewhere"
    lines += [f"{whose}, and measured as the commit below does it."]
    lines += [f"`params/profiles/{profile}.yaml` says how large it is.", ""]
    lines += ["## What made them", "", "| recorded | of all notebooks |", "|---|---|"]
    every = [facts for _, facts in noted]
    table = {
        key: prose.several(getattr(facts, key) for facts in every) for key in ("machine", "device", "threads", "commit")
    }
    trained = (facts.device for name, facts in noted if name.startswith("05_training"))
    table["device of the training"] = prose.several(trained)
    table["torch"] = prose.several(facts.packages.get("torch") for facts in every)
    table["finished"] = max((prose.moment(facts.finished) for facts in every), default="not recorded")
    hours = sum(facts.wall_time_s for facts in every) / 3600
    table["time of all notebooks, one after another"] = f"{hours:.2f} h"
    table["seeds"] = ", ".join(seed.name[1:] for seed in seeds)
    lines += [f"| {what} | {prose.plain_markdown(value)} |" for what, value in table.items()]
    lines += ["", "To make them again:", "", "```bash"]
    # Of the last seed, for all; what a labelled run shares with the plain one was made by another.
    recorded = [facts.command for name, facts in noted if name == "07_results" and facts.command]
    plain = f"python -m s2f study --profile {profile}" + (f" --seeds {len(seeds)}" if len(seeds) > 1 else "")
    if label and not recorded:
        lines += [f"# and --label {label}, with what its params.yaml has of its own, by --set"]
    lines += [recorded[-1] if recorded else plain, f"python -m s2f keep runs/{name}", "```", ""]
    for seed, found in seeds.items():
        lines += _seed_lines(seed, found, folder / seed.name)
    return lines


def _seed_lines(seed: Path, found: draws.Spread | None, folder: Path) -> list[str]:
    """Of a seed whose figures lie in `folder`."""
    name, shown = seed.name, catalogue.table2_metrics()
    lines = [f"## Seed {name[1:]}", "", "````{div} full-width"]
    lines += [f"| variant | people | {' | '.join(map(catalogue.label, shown))} |"]
    lines.append("|---" * (2 + len(shown)) + "|")
    every = tables.read_table2(seed / "results" / "table2.json")
    of_model = [line for line in every if line.row == "model"]
    for line in (each for each in every if each.row in ROWS):
        who = f"{line.variant}, {catalogue.label(line.row)}"
        cells = [
            prose.plain_markdown(who),
            str(line.n_identities),
            *(prose.signed(line.printed(metric)) for metric in shown),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "````",
        "",
        "Values with 95 % intervals over people where they have one; a dash where there is no such number.",
        "Whoever knows the sex alone sets the bar for matching among anybody, and a coin that within a sex.",
        "As a set, someone else's faces are those of the drawn row, so what is measured of sets is the same.",
        "",
    ]
    who = prose.met(line.data for line in of_model)
    lines += _figure(
        f"{name}/table1.png",
        f"People {who}, picked at random by the seed. "
        "Above a photograph, below it what General drew from the person's voice, the most typical face first where it "
        "draws several.",
    )
    if found:
        lines += ["### Many draws of a voice", ""]
        lines += ["On the people of the known answer, whom no network has seen, by General.", ""]
        for said in (draw_figures.verdict, draw_figures.covered, draw_figures.together, draw_figures.known):
            lines += [said(found), ""]
        of = f"of {found.n_people} people, {found.n_draws} draws a voice."
        for key, (_, what) in DRAWS.items():
            lines += _figure(f"{name}/draws_{key}.png", f"{what}: {of}")
    for variant in _variants(seed):
        lines += [f"### Training: {variant.name.title()}", ""]
        figures = {
            "samples": "Faces that it drew from the same voices as its training went on.",
            "curves": training_figures.about(variant),
            "health": training_figures.about(variant, health=True),
        }
        for key, what in figures.items():
            if (folder / f"{variant.name}_{key}.png").is_file():
                lines += _figure(f"{name}/{variant.name}_{key}.png", f"{variant.name.title()}. {what}")
    return lines


def _figure(path: str, caption: str) -> list[str]:
    return [f"```{{figure}} {path}", ":width: 100%", "", caption, "```", ""]


def main(arguments: argparse.Namespace) -> int:
    """``python -m s2f keep``."""
    folder = keep(params.project_root(), arguments.run)
    print(f"Kept: {folder}; the next build of the book shows it.")
    return 0
