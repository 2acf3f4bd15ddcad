"""Stands in for papermill: notes what was asked for, and makes, records and leaves what a notebook would."""

import contextlib
import json
import sys
import time
from pathlib import Path
from unittest import mock

import yaml

from s2f.errors import RunError
from s2f.study import runs
from s2f.study.stages import STAGES

# What pages show of runs under other labels.
BESIDE = {"07_results": ("metrics", ("closed", "wide")), "09_known_answer": ("answer", ("leak",))}


@mock.patch.object(runs, "choose_device", lambda device: "cpu")  # without torch
def run(name, executed=None, *, profile="smoke", variant="general", seed=0, label="", overrides=None):
    """What a notebook leaves, and its executed copy where a place is given, or True for its own."""
    stage = STAGES[name]
    study = runs.open_study(name, profile=profile, variant=variant, seed=seed, label=label, overrides=overrides)
    what, labels = BESIDE.get(name, ("", ()))
    for label in set(labels) & {"closed", "leak", *study.params.beside} if not study.label else ():
        for variant in study.params.variants if label == "closed" else ["general"]:
            with contextlib.suppress(RunError):
                study.beside(label).of(variant).read(what)
    for what in stage.writes:
        study.write(what)
    if stage.done:
        path = study.run / stage.done.format(variant=variant)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(time.time()))
    for what in stage.writes or [None]:
        study.finish(what)
    if executed:
        own = (study.run / stage.record.format(variant=variant)).with_suffix(".ipynb")
        leave_page(study.root / "notebooks" / f"{name}.ipynb", own if executed is True else executed, study.id)
    for lock in study.locks.values():
        lock.release()
    return study


def leave_page(notebook, executed, made):
    """An executed copy of a notebook that says what it finished."""
    page = json.loads(notebook.read_text())
    finished = {"application/papermill.record/text/plain": repr(made)}
    output = {"output_type": "display_data", "data": finished, "metadata": {"scrapbook": {"name": "finished_"}}}
    for n, cell in enumerate([cell for cell in page["cells"] if cell["cell_type"] == "code"]):
        cell |= {"execution_count": n + 1, "outputs": [output]}
    executed.write_text(json.dumps(page))


def main(words):
    values = {key: value for flag, key, value in zip(words, words[1:], words[2:], strict=False) if flag in ("-p", "-r")}
    given = [yaml.safe_load(words[n + 1])["overrides"] for n, word in enumerate(words) if word == "-y"]
    notebook, executed = (Path(word) for word in words if word.endswith(".ipynb"))
    name, variant, label = notebook.stem, values.get("variant", "general"), values.get("label", "")
    with open("asked.txt", "a") as log:
        said = [name, *([variant] if STAGES[name].each_variant else []), *([label] if label else [])]
        log.write(" ".join(said) + "\n")
    if Path("slow").exists():
        time.sleep(60)
    view = {"profile": values["profile"], "variant": variant, "seed": int(values["seed"]), "label": label}
    run(name, executed, **view, overrides=(given or [{}])[0])
    if Path("broken").exists():
        page = json.loads(executed.read_text())
        error = {
            "output_type": "error",
            "ename": "CorpusError",
            "evalue": "the table is odd. Mend it.",
            "traceback": [],
        }
        page["cells"][1] |= {"cell_type": "code", "execution_count": 99, "outputs": [error]}
        executed.write_text(json.dumps(page))
        sys.exit("a long traceback")


if __name__ == "__main__":
    main(sys.argv[1:])
