"""What one stage reads of another's files, that one has written: every reader reads a finished run of profile smoke."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from s2f import provenance
from s2f.errors import S2FError
from s2f.evaluation import experiments, face_quality, known_answer, measured, ten_people, voice_quality
from s2f.evaluation.measured import FACES, load_readings
from s2f.features.store import Store
from s2f.metrics import catalogue
from s2f.networks import inference
from s2f.networks.readers import Readers
from s2f.report import experiment_figures, kept_runs, metric_figures, poster, results, tables
from s2f.study import params, stages
from s2f.training import data, saves

ROOT = Path(__file__).resolve().parents[1]
RUN = ROOT / "runs" / "smoke" / "s0"
VARIANTS = ("general", "females", "males")


class Watched(dict):
    """A mapping that notes which keys are asked for and are not there, with or without a value instead."""

    def __init__(self, content, absent, place=()):
        self.absent, self.place = absent, place
        super().__init__(
            {key: Watched(v, absent, (*place, key)) if isinstance(v, dict) else v for key, v in content.items()}
        )

    def __getitem__(self, key):
        self.note(key)
        return super().__getitem__(key)

    def __contains__(self, key):
        self.note(key)
        return super().__contains__(key)

    def get(self, key, default=None):
        self.note(key)
        return super().get(key, default)

    def note(self, key):
        # A row that a variant has not, or a metric without a difference, is no key that somebody forgot to write.
        if not super().__contains__(key) and key not in (*catalogue.ROWS, *catalogue.METRICS):
            self.absent.add(".".join(map(str, (*self.place, key))))


def test_a_key_that_nobody_writes_is_noticed():
    absent = set()
    content = Watched({"rows": {"model": {"kid": {"value": 1}}}}, absent)
    assert content["rows"]["model"]["kid"].get("value") == 1 and not absent
    assert content.get("same_speaker", ()) == () and content["rows"]["model"]["kid"].get("lows") is None
    assert content["rows"].get("general") is None
    assert absent == {"same_speaker", "rows.model.kid.lows"}


@pytest.fixture(scope="module")
def finished():
    """Folders of a finished run of this version, by what they hold."""
    stop = pytest.fail if os.environ.get("S2F_FINISHED") else pytest.skip  # .ci/run sets it once the run is made
    if not (RUN / "results" / "table2.json").is_file():
        stop(f"{RUN} is not finished: `make book PROFILE=smoke` makes it")
    try:
        store = Store.open(RUN / "store")
        Readers.load(RUN / "measure")
        face_quality.read(RUN / "measure")
        for variant in VARIANTS:
            inference.load(RUN / variant)
            measured.read(RUN / variant)
            load_readings(RUN / variant, store)
    except S2FError as error:
        stop(f"made by another version: {error}")
    return RUN


@pytest.fixture
def absent():
    """Keys that were asked for and are not there."""
    found = set()
    yield found
    assert not found, f"read, and written by no stage: {', '.join(sorted(found))}"


@pytest.fixture
def content(finished, absent):
    return {name: Watched(measured.read(finished / name), absent) for name in VARIANTS}


def test_the_results_page_reads_what_06_metrics_wrote(finished, content, tmp_path):
    folder, store = finished / "general", Store.open(finished / "store")
    held_out = data.select(store, split="test")
    general = results.Variant(content["general"], np.load(folder / FACES), held_out, store)
    assert len(general.faces) == len(held_out.voices)
    others = {name: results.Variant(content[name], general.faces, held_out, store) for name in VARIANTS}
    assert all(isinstance(text, str) and text for text in results.quotes(others | {"general": general}).values())
    table1 = results.people(general, n=2, seed=0)
    assert list(results.compare(general, {"other": general}, table1)) == [
        "true",
        "recipe codes",
        "recipe codes (other)",
    ]
    named = {name.title(): own for name, own in content.items()}
    table2 = tables.table2(named)
    tables.write_rows(named, tmp_path)
    for styler in (tables.show_table2(table2), tables.by_gender(named)):
        assert styler.to_html()
    for group in ("matching", "distances", "sets", "videos"):
        assert tables.metrics_table(content["general"], group)._repr_html_()
    assert tables.beside_table(content["general"], {"other": content["males"]}).to_html()
    assert len(results.gap(named, named)) == 2 * 3 * len(catalogue.comparable())
    metric_figures.metric_rows(content["general"]["rows"], ["matching_2way", "kid"])


def test_the_poster_page_reads_what_06_metrics_wrote(finished, content):
    resolved = params.resolve("smoke", variant="general", root=ROOT).model_dump()
    examined = poster.examined(content, resolved=resolved)
    assert set(examined.loc[examined["part"] == "Table 2", "class"]) <= set(poster.CLASSES)
    same_speaker = {name: experiments.read(finished / name, "same speaker") for name in VARIANTS}
    criteria = poster.criteria(content, same_speaker).set_index("proxy")
    for name, own in content.items():  # a number just where the file holds one, else its reason
        for _, metric, _ in poster.CRITERIA[:-1]:
            shown = criteria.loc[catalogue.label(metric), name.title()]
            assert shown != "–", (name, metric)
            is_number = re.match(r"[-−]?\d", shown) is not None
            assert is_number == (own["rows"]["model"][metric]["value"] is not None), (name, metric)
        assert criteria.loc["cosine, one speaker's faces", name.title()] != "–"
    summary = json.loads((finished / "corpus" / "summary.json").read_text(encoding="utf-8"))
    assert set(poster.COUNTED) <= set(summary["total"])


def test_readings_are_of_the_faces_and_photographs_of_the_store(finished):
    store = Store.open(finished / "store")
    for name in VARIANTS:
        read = load_readings(finished / name, store)
        for rows_of, part, kind in ((read.voice_rows, read.faces, "voice"), (read.photo_rows, read.photos, "face")):
            index = store.index[store.index["modality"] == kind].set_index("row").loc[rows_of]
            assert list(index["identity"]) == list(part.identities) and set(index["split"]) == {"test"}
    draws = ten_people.draws(read.faces, read.photos, n_draws=3, rng=np.random.default_rng(0))
    experiment_figures.ten_people(draws, poster=poster.marks("males"))


def test_experiments_are_drawn_from_what_was_written(finished):
    for name in VARIANTS:
        experiment_figures.lengths(experiments.read(finished / name, "lengths"))
        experiment_figures.same_speaker(experiments.read(finished / name, "same speaker"))
        experiment_figures.dots(experiments.read(finished / name, "groups"), by=["by", "group"], chance=0.5)
        experiment_figures.dots(experiments.read(finished / name, "seen"), by="speakers", chance=0.5)


def test_every_other_file_of_the_run_opens(finished, absent):
    assert tables.quality_table(Watched(face_quality.read(finished / "measure"), absent)).to_html()
    answer = known_answer.read(finished / "answer")
    assert {mode for mode, _ in answer.levels} == set(known_answer.MODES)
    people = pd.read_parquet(finished / "corpus" / "people.parquet")
    assert len(known_answer.targets(people)) == len(people)
    assert Readers.load(finished / "measure").attribute_names
    for name in VARIANTS:
        inference.load(finished / name)
        assert saves.read_log(finished / name / "sampler" / "log.jsonl")
    assert saves.read_log(finished / "code" / "log.jsonl")
    versions = {"voice/metrics.json": voice_quality.VERSION}
    versions |= dict.fromkeys(("answer/answer.json", "answer/pooled.json"), known_answer.VERSION)
    for path, version in versions.items():
        assert json.loads((finished / path).read_text(encoding="utf-8"))["version"] == version, path
    for folder in (path.parent for path in finished.glob(f"*/{provenance.FILE}")):
        assert set(provenance.read_stages(folder)) <= set(stages.STAGES)


@pytest.mark.slow
def test_a_run_can_be_kept(finished, tmp_path):
    kept_runs.keep(tmp_path, finished.parent)
    (page,) = kept_runs.write_pages(tmp_path, tmp_path / "pages")
    assert "s0/table1.png" in page.read_text(encoding="utf-8")
