import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from s2f import __main__ as cli
from s2f.study import workflow

ROOT = Path(__file__).resolve().parents[2]

# Stands in for papermill: notes what was asked for and leaves the files that the notebook would.
PAPERMILL = """
import json, sys, time
from pathlib import Path
words = sys.argv[1:]
values = dict(words[i + 1 : i + 3] for i, w in enumerate(words) if w == "-p")
notebook, executed = [w for w in words if w.endswith(".ipynb")]
name = Path(notebook).stem
run = values["profile"] + ("-" + values["label"] if "label" in values else "")
folder = Path("runs") / run / f"s{values['seed']}"
variant = values.get("variant", "general")
made = {
    "01_corpus": ["corpus/manifest.parquet"],
    "02_preprocessing": ["store/index.parquet"],
    "03_models": ["notebooks/03_models.json"],
    "04_voice_embedding": ["voice/metrics.json"],
    "05_training": [f"{variant}/checkpoint.safetensors"],
    "06_metrics": [f"{variant}/metrics.json"],
    "07_results": ["notebooks/07_results.json", "results/table2.json"],
    "08_your_voice": ["notebooks/08_your_voice.json"],
    "09_known_answer": ["notebooks/09_known_answer.json"],
    "10_poster": ["notebooks/10_poster.json"],
}[name]
label = " " + values["label"] if "label" in values else ""
with open("asked.txt", "a") as log:
    log.write(name + (" " + variant if name in ("05_training", "06_metrics") else "") + label + "\\n")
if Path("slow").exists():
    time.sleep(60)
for path in made:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(str(time.time()))
Path(executed).write_text("{}")
"""
LATE = ["07_results", "08_your_voice", "09_known_answer", "10_poster"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy of the project whose study has run once, with a stand-in for papermill."""
    project = tmp_path_factory.mktemp("project")
    for name in ("params", "s2f", "notebooks", "book", "workflow"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__", "runs"))
    for name in ("Snakefile", "_config.yml"):
        shutil.copy(ROOT / name, project / name)
    (project / "papermill").mkdir()
    (project / "papermill" / "__init__.py").touch()  # or the real package would win
    (project / "papermill" / "__main__.py").write_text(PAPERMILL)
    assert study(project) != []
    return project


@pytest.fixture
def project(finished, tmp_path):
    copy = tmp_path / "project"
    shutil.copytree(finished, copy, copy_function=shutil.copy2)
    return copy


def command(*words):
    return [sys.executable, "-m", "s2f", "study", "--profile", "smoke", "--no-book", *words]


def environment(project):
    return {**os.environ, "PYTHONPATH": str(project)}


def study(project, *words):
    """Run the study; what it asked papermill for, in order."""
    asked = project / "asked.txt"
    asked.unlink(missing_ok=True)
    done = subprocess.run(
        command(*words), cwd=project, env=environment(project), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return asked.read_text().splitlines() if asked.exists() else []


@pytest.mark.slow
def test_a_second_run_does_nothing_but_say_so(project):
    assert study(project) == []
    done = subprocess.run(command(), cwd=project, env=environment(project), capture_output=True, text=True, check=True)
    assert "up to date" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new", "reruns"),
    [
        (
            "params/profiles/smoke.yaml",
            "gan: {width: 0.125, steps: 60",
            "gan: {width: 0.125, steps: 61",
            ["05_training", "06_metrics", "03_models", *LATE],
        ),
        (
            "params/variants/females.yaml",
            "variant:",
            "gan: {noise: 0.07}\nvariant:",
            ["05_training females", "06_metrics females", "07_results", "08_your_voice", "10_poster"],
        ),
        (
            "params/profiles/smoke.yaml",
            "n_bootstrap: 200",
            "n_bootstrap: 201",
            ["06_metrics", "07_results", "10_poster"],
        ),
        ("params/profiles/smoke.yaml", "n_photos: 1", "n_photos: 2", ["09_known_answer"]),
        ("params/profiles/smoke.yaml", "recipe: short", "recipe: short  # a comment", []),
        ("s2f/results.py", '"""', '"""\n', ["07_results", "10_poster"]),
        ("s2f/training/gan.py", '"""', '"""\n', ["05_training", "06_metrics", *LATE]),
        ("s2f/your_voice.py", '"""', '"""\n', ["08_your_voice"]),
        ("s2f/training/speaker.py", '"""', '"""\n', ["04_voice_embedding", "05_training", "06_metrics", *LATE]),
    ],
    ids=["gan parameter", "one variant", "measuring", "answer", "comment", "results", "gan", "your voice", "speaker"],
)
def test_an_edit_reruns_what_depends_on_it_and_nothing_else(project, file, old, new, reruns):
    path = project / file
    assert old in path.read_text()
    time.sleep(0.05)
    path.write_text(path.read_text().replace(old, new, 1))
    asked = {line for line in study(project)}
    expected = set()
    for name in reruns:
        whole = [f"{name} {v}" for v in workflow.VARIANTS] if name in ("05_training", "06_metrics") else [name]
        expected |= set(whole)
    assert asked == expected


@pytest.mark.slow
def test_after_a_kill_the_next_run_goes_on(project):
    path = project / "s2f" / "training" / "gan.py"
    path.write_text(path.read_text() + "\n")
    (project / "slow").touch()
    (project / "asked.txt").unlink(missing_ok=True)
    running = subprocess.Popen(
        command(),
        cwd=project,
        env=environment(project),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.time() + 60
        while not (project / "asked.txt").exists() and time.time() < deadline:
            time.sleep(0.2)
        second = subprocess.run(
            command(), cwd=project, env=environment(project), capture_output=True, text=True, check=False
        )
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    assert second.returncode == 2 and "already running" in second.stderr
    (project / "slow").unlink()
    trained = {f"{name} {variant}" for name in ("05_training", "06_metrics") for variant in workflow.VARIANTS}
    assert set(study(project)) == trained | set(LATE)
    assert study(project) == []


@pytest.mark.slow
def test_labels_share_what_is_the_same(project):
    asked = study(project, "--label", "long", "--set", "gan.steps=70")
    assert "05_training general long" in asked and "06_metrics males long" in asked
    assert not any(line.startswith(("01", "02", "04")) for line in asked)
    assert study(project) == []


def test_modules_are_found_through_imports():
    found = workflow.modules_of(ROOT / "notebooks" / "05_training.ipynb", root=ROOT)
    assert {"s2f/training/gan.py", "s2f/models.py", "s2f/store.py", "s2f/runs.py"} <= set(found)
    assert not {"s2f/results.py", "s2f/metrics/frechet.py", "s2f/your_voice.py"} & set(found)
    corpus = workflow.modules_of(ROOT / "notebooks" / "01_corpus.ipynb", root=ROOT)
    assert "s2f/corpora/synthetic/voices.py" in corpus and "s2f/training/gan.py" not in corpus


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--profile", "demoo"], "demo"),
        (["--set", "gan.steps=5"], "--label"),
        (["--set", "gan.steps", "--label", "a"], "'='"),
        (["--set", "gan.setps=5", "--label", "a"], "gan.steps"),
    ],
)
def test_wrong_words_are_one_line(words, said, capsys):
    assert cli.main(["study", *words]) == 2
    error = capsys.readouterr().err
    assert said in error and error.startswith("error: ") and error.count("\n") == 1


def test_reconstruct_names_what_is_missing(tmp_path, capsys):
    assert cli.main(["reconstruct", "x.wav", "--run", str(tmp_path)]) == 2
    assert "make book" in capsys.readouterr().err
