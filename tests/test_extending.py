"""The worked examples of the book's page on extending: the very files that the page shows are run."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from s2f.corpora.synthetic import build
from s2f.metrics import catalogue, measures
from s2f.networks import inference
from s2f.networks.models import Architecture
from tests.metrics import conftest as made_up
from tests.metrics.loops import evaluate

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "book" / "extend"
PAGE = (ROOT / "book" / "extend.md").read_text(encoding="utf-8")
rng, study = made_up.rng, made_up.study  # fixtures


def run(*words: object) -> str:
    """Run Python as the page says; what it prints."""
    command = [sys.executable, *map(str, words)]
    here = os.environ | {"PYTHONPATH": str(ROOT)}  # this checkout, wherever another is installed
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=here)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A folder a person with two recordings and two photographs each, of people who do not exist."""
    made, root = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("people")
    manifest = build.build(made, build.Sizes(8, 16, 16, 2.0, 3.0, 128, seed=1), n_workers=1)
    for n, row in enumerate(manifest.itertuples()):
        (root / row.identity).mkdir(exist_ok=True)
        path = made / row.path
        shutil.copyfile(path, root / row.identity / f"{n:02d}{path.suffix}")
    genders = manifest.drop_duplicates("identity")[["identity", "gender"]]
    genders.to_csv(root / "people.csv", index=False)
    return root


def test_every_file_of_the_examples_is_on_the_page():
    shown = set(re.findall(r"^```\{literalinclude\} extend/(\S+)$", PAGE, re.M))
    assert shown == {path.name for path in EXAMPLES.iterdir() if path.is_file()}


def test_a_folder_of_people_becomes_a_table_that_a_study_can_run_on(people, tmp_path):
    table = tmp_path / "pairs.csv"
    run(EXAMPLES / "own_data.py", people, table)
    rows = pd.read_csv(table)
    assert len(rows) == 16 and rows.notna().all(axis=None) and rows["identity"].nunique() == 8
    assert rows["recording"].str.endswith(".wav").all() and rows["face"].str.endswith(".png").all()
    assert "8 identities" in run("-m", "s2f", "check", "table", "--table", table)


def test_whoever_has_more_of_one_kind_loses_none(tmp_path):
    for name in ("ann/1.wav", "ann/2.WAV", "ann/1.jpg", "bob/a.png", "bob/notes.txt"):
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).touch()
    run(EXAMPLES / "own_data.py", tmp_path / "p", tmp_path / "pairs.csv")
    rows = pd.read_csv(tmp_path / "pairs.csv")
    assert rows["recording"].notna().sum() == 2 and rows["face"].notna().sum() == 2 and len(rows) == 3


def test_the_photograph_of_the_nearest_speaker_is_drawn_and_measured(people, tmp_path):
    architecture = Architecture(0.0625, 0.0625, "batch", True, "k4")
    model = inference.Model(architecture.voice_embedding().eval(), architecture.generator().eval(), architecture, "t")
    variant, known, recordings = (tmp_path / name for name in ("variant", "known", "recordings"))
    variant.mkdir()
    inference.save(variant, model)
    for person in sorted(path for path in people.iterdir() if path.is_dir()):
        first, second = sorted(person.glob("*.wav"))
        for place, file in ((known, first), (recordings, second)):
            (place / person.name).mkdir(parents=True)
            shutil.copyfile(file, place / person.name / file.name)
        shutil.copyfile(min(person.glob("*.png")), known / person.name / "photo.png")
        shutil.copyfile(first, recordings / person.name / "again.wav")  # as it was heard: must find its own speaker
    run(EXAMPLES / "own_model.py", variant, known, recordings, tmp_path / "pictures")
    drawn = sorted((tmp_path / "pictures").glob("*/*.png"))
    assert len(drawn) == 16
    for picture in (path for path in drawn if path.stem == "again"):
        assert picture.read_bytes() == (known / picture.parent.name / "photo.png").read_bytes()
    words = ["--generated", tmp_path / "pictures", "--real", known, "--meta", people / "people.csv"]
    assert "matching" in run("-m", "s2f", "measure", *words)


def test_the_metric_of_the_page_is_measured_like_any_other(study, monkeypatch):
    found = runpy.run_path(str(EXAMPLES / "own_metric.py"))
    entry = found["ENTRY"]
    monkeypatch.setattr(catalogue, "METRICS", MappingProxyType({**catalogue.METRICS, entry.key: entry}))
    functions = MappingProxyType({**measures.FUNCTIONS, entry.key: found["asymmetry"]})
    monkeypatch.setattr(measures, "FUNCTIONS", functions)
    study.model.pixels[:] = np.arange(study.model.pixels.shape[2], dtype=np.uint8)[None, None, :, None]  # a ramp
    measured = evaluate(study)["rows"]["model"][entry.key]
    width = study.model.pixels.shape[2]
    expected = np.abs(np.arange(width) - np.arange(width)[::-1]).mean()
    assert measured["value"] == pytest.approx(expected) and measured["low"] == pytest.approx(expected)
    assert measured["reference"] == "the face's own mirror image"


def nose_and_tract(folder: Path) -> float:
    """How the nose goes with the vocal tract among women of the population that the package in `folder` makes."""
    code = (
        "from s2f.corpora.synthetic import population\n"
        "people = population.sample(4000, seed=0).query('gender == \"f\"')\n"
        "print(people['nose_size'].corr(people['vocal_tract_cm']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env={})
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def test_the_patch_takes_the_voice_out_of_the_nose(tmp_path):
    shutil.copytree(ROOT / "s2f", tmp_path / "s2f", ignore=shutil.ignore_patterns("__pycache__"))
    assert nose_and_tract(tmp_path) > 0.3
    subprocess.run(["git", "apply", EXAMPLES / "own_causes.patch"], cwd=tmp_path, check=True)
    assert abs(nose_and_tract(tmp_path)) < 0.06
