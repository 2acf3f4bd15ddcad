import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from s2f import __main__ as cli
from s2f import files
from s2f.corpora import manifest
from s2f.errors import RunError, StoreError
from s2f.features import preprocessing
from s2f.features.pack import Settings, build
from s2f.features.store import Store
from s2f.study import runs
from s2f.study.stages import STAGES
from tests.features.making import contents, make_corpus

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A run whose corpus is made, in a project of its own."""
    shutil.copytree(ROOT / "params", tmp_path / "params")
    monkeypatch.chdir(tmp_path)
    one = opened("01_corpus")
    folder = one.write("corpus")
    table = make_corpus(tmp_path / "data")
    manifest.write(table, folder / "manifest.parquet")
    files.write_json(folder / "summary.json", {"root": "data"})
    one.finish("corpus")
    for lock in one.locks.values():
        lock.release()
    return opened("02_preprocessing")


def opened(notebook):
    return runs.open_study(
        notebook, profile="table", variant="general", seed=0, label="x", overrides={"store.shard_size": 4}
    )


def test_inputs_are_what_the_run_says(study):
    given = preprocessing.inputs(study)
    assert given["root"] == study.root / "data" and given["shard_size"] == 4
    assert given["settings"] == Settings() and len(given["manifest"]) == 42


def test_jobs_share_the_shards_and_the_notebook_packs_them(study, tmp_path, capsys):
    words = ["preprocess", "--profile", "table", "--label", "x", "--set", "store.shard_size=4"]
    for part in range(3):
        assert cli.main([*words, "--part", str(part), "--of", "3"]) == 0
    assert "part 2 of 3: 3 shards in runs/table-x/s0/store/shards" in capsys.readouterr().out
    folder = study.run / "store"
    times = {path: path.stat().st_mtime_ns for path in (folder / "shards").iterdir()}
    assert len(times) == 11  # 42 files in shards of 4
    for part in range(3):  # again: nothing to do
        cli.main([*words, "--part", str(part), "--of", "3"])
    assert times == {path: path.stat().st_mtime_ns for path in (folder / "shards").iterdir()}
    given = preprocessing.inputs(study)
    build(folder=folder, progress=False, **given)
    build(folder=tmp_path / "alone", progress=False, **given)
    assert contents(folder) == contents(tmp_path / "alone")
    assert cli.main([*words, "--part", "3", "--of", "3"]) == 2
    assert "part is 3. Give 0 to 2." in capsys.readouterr().err


def test_a_part_waits_for_nobody_and_disturbs_nobody(study):
    lock = FileLock(study.run / ".locks" / "store.lock")
    with lock, pytest.raises(RunError, match="being written by another process"):
        preprocessing.make_part(study, part=0, n_parts=2, n_workers=1)
    with FileLock(study.run / ".locks" / "store.0-of-2.lock"):
        with pytest.raises(RunError, match="being written by another process"):
            preprocessing.make_part(study, part=0, n_parts=2, n_workers=1)
        assert preprocessing.make_part(study, part=1, n_parts=2, n_workers=1) == 5
    with pytest.raises(StoreError, match="part is -1"):
        preprocessing.make_part(study, part=-1, n_parts=2, n_workers=1)


def test_without_a_corpus_the_command_that_makes_it_is_named(tmp_path, monkeypatch, capsys):
    shutil.copytree(ROOT / "params", tmp_path / "params")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["preprocess", "--profile", "smoke", "--part", "0", "--of", "2"]) == 2
    assert "-m papermill notebooks/01_corpus.ipynb out.ipynb -r profile smoke" in capsys.readouterr().err


@pytest.mark.slow
def test_snakemake_runs_each_share_as_a_job_of_its_own(tmp_path):
    for name in ("params", "s2f", "notebooks", "book", "workflow"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "runs"))
    for name in ("Snakefile", "_config.yml"):
        shutil.copy(ROOT / name, tmp_path / name)
    overrides = {
        "corpus.n_identities": 12,
        "corpus.n_recordings": 24,
        "corpus.n_faces": 48,
        "corpus.size_px": 64,
        "store.shard_size": 16,
        "store.n_jobs": 3,
        "readers.steps": 2,
    }
    settings = {"profile": "smoke", "label": "jobs", "overrides": overrides, "book": False}
    (tmp_path / "study.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "snakemake",
            "--cores",
            "2",
            "--configfile",
            "study.json",
            "--workflow-profile",
            "workflow/profiles/local",
            "runs/smoke-jobs/s0/notebooks/02_preprocessing.json",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    run = tmp_path / "runs" / "smoke-jobs" / "s0"
    assert sorted(p.name for p in (run / "shards").iterdir()) == [f"{k}-of-3.done" for k in range(3)]
    said = done.stdout + done.stderr
    assert [said.count(f"part {k} of 3: {n} shards") for k, n in enumerate((2, 2, 1))] == [1, 1, 1], said
    root = tmp_path / json.loads((run / "corpus" / "summary.json").read_text())["root"]
    table = manifest.read(run / "corpus" / "manifest.parquet")
    build(table, tmp_path / "alone", root=root, progress=False, shard_size=5)
    here = {name: (run / "store" / name).read_bytes() for name in contents(tmp_path / "alone")}
    assert here == contents(tmp_path / "alone")
    assert len(Store.open(run / "store").index) == 72


@pytest.mark.parametrize("name", ["local", "slurm"])
def test_workflow_profiles_are_accepted_by_snakemake(name):
    from snakemake.cli import parse_args

    _, parsed = parse_args(["--workflow-profile", str(ROOT / "workflow" / "profiles" / name), "--cores", "1", "all"])
    assert parsed.executor == {"local": None, "slurm": "slurm"}[name]
    rules = set(re.findall(r"^rule (\w+):", (ROOT / "Snakefile").read_text(encoding="utf-8"), flags=re.M))
    rules |= {name.partition("_")[2] for name in STAGES}  # made from there
    assert set(parsed.set_resources or {}) <= rules
