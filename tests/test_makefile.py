"""What `make` deletes, and what it gives to the commands that it runs."""

import os
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_distclean_deletes_made_corpora_and_keeps_other_data(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    kept = [tmp_path / "data" / "pairs.csv", tmp_path / "data" / "voxceleb" / "a.wav"]
    made = [tmp_path / "data" / "synthetic-smoke" / "facts.csv", tmp_path / "runs" / "smoke" / "a.json"]
    for path in kept + made:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    subprocess.run(["make", "-C", str(tmp_path), "distclean"], check=True, capture_output=True)
    assert all(path.is_file() for path in kept)
    assert not any(path.parent.exists() for path in made)


def test_an_environment_that_is_a_link_is_not_emptied(tmp_path):
    project, linked = tmp_path / "project", tmp_path / "another's"
    for folder in (project, linked):
        folder.mkdir()
    for name in ("Makefile", "requirements.lock", "requirements-weights.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, project)
    (linked / "kept").touch()
    (project / ".venv").symlink_to(linked)
    done = subprocess.run(["make", "-C", str(project), "environment"], check=False, capture_output=True, text=True)
    assert done.returncode == 2 and "Remove the link" in done.stderr
    assert [path.name for path in linked.iterdir()] == ["kept"]


@pytest.fixture
def made(tmp_path):
    """A project whose environment is there, with an interpreter that notes its words and its environment."""
    project = tmp_path / "it's a project"
    (project / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", project)
    for n, name in enumerate(
        ("requirements.lock", "requirements-weights.lock", "pyproject.toml", ".venv/.packages", ".venv/.ready")
    ):
        (project / name).touch()
        os.utime(project / name, (n + 1, n + 1))
    python = project / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > words\nenv > environment\n')
    python.chmod(0o755)
    return project


@pytest.mark.parametrize("target", ["book", "study"])
def test_a_profile_is_one_word_whatever_is_in_it(made, target):
    profile = 'it\'s; touch f "x" `touch g`'
    subprocess.run(["make", "-C", made, target, f"PROFILE={profile}"], check=True, capture_output=True)
    words = (made / "words").read_text().splitlines()
    assert words[:5] == ["-m", "s2f", "study", "--profile", profile]
    assert not (made / "f").exists() and not (made / "g").exists()


def test_an_interpreter_is_one_word_whatever_is_in_it(made):
    (made / ".venv" / ".packages").unlink()
    words = ["make", "-C", made, "environment", "PYTHON=/no/it's; touch f"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "error: /no/it's; touch f cannot be used" in done.stderr
    assert not (made / "f").exists()


def test_the_callers_environment_does_not_reach_what_make_starts(made):
    harmful = (
        "PYTHONSTARTUP",
        "PYTHONOPTIMIZE",
        "PYTHONPATH",
        "PYTHONHASHSEED",
        "MPLBACKEND",
        "IPYTHONDIR",
        "JUPYTER_PATH",
    )
    env = {**os.environ, **dict.fromkeys(harmful, "x"), "KEPT": "x"}
    subprocess.run(["make", "-C", made, "book"], check=True, capture_output=True, env=env)
    seen = dict(line.partition("=")[::2] for line in (made / "environment").read_text().splitlines())
    assert seen["KEPT"] == "x" and seen["PYTHONNOUSERSITE"] == "1" and not set(harmful) & set(seen)


def test_lab_opens_where_its_start_page_is_said_and_takes_options_as_words(made):
    words = ["make", "-C", made, "lab", "OPTIONS=--no-browser --port 9000 ; touch f `touch g` *"]
    subprocess.run(words, check=True, capture_output=True, env={**os.environ, "JUPYTER_CONFIG_PATH": "x"})
    given = ["-m", "jupyter", "lab", "--no-browser", "--port", "9000", ";", "touch", "f", "`touch", "g`", "*"]
    assert (made / "words").read_text().splitlines() == given
    assert not (made / "f").exists() and not (made / "g").exists()
    seen = dict(line.partition("=")[::2] for line in (made / "environment").read_text().splitlines())
    assert seen["JUPYTER_CONFIG_PATH"] == str(made / "workflow" / "lab")


def test_tests_run_in_as_many_processes_as_cores_and_memory_allow(made, monkeypatch):
    subprocess.run(["make", "-C", made, "test"], check=True, capture_output=True)
    words = (made / "words").read_text().splitlines()
    assert words[:6] == ["-m", "pytest", "-n", "auto", "--dist", "worksteal"]
    number = runpy.run_path(str(ROOT / "tests" / "conftest.py"))["pytest_xdist_auto_num_workers"]
    gib = 2**30
    for n_cores, memory, expected in ((2, 24 * gib, 2), (64, 24 * gib, 6), (4, 2 * gib, 1)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid, n=n_cores: set(range(n)), raising=False)
        monkeypatch.setattr(os, "sysconf", lambda name, n=memory: 4096 if name == "SC_PAGE_SIZE" else n // 4096)
        assert number(None) == expected


def test_each_of_several_processes_has_one_thread(monkeypatch):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY")
    for worker, expected in ((None, ["7"] * 4), ("gw0", ["1", "1", "1", "PASSIVE"])):
        for name in names:
            monkeypatch.setenv(name, "7")
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker) if worker else monkeypatch.delenv(
            "PYTEST_XDIST_WORKER", False
        )
        runpy.run_path(str(ROOT / "tests" / "conftest.py"))
        assert [os.environ[name] for name in names] == expected
