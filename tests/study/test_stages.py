"""The graph of the study: every stage has its notebook, needs what others make, and owns what it makes."""

from pathlib import Path

import pytest

from s2f.settings import Settings
from s2f.study import params
from s2f.study.stages import STAGES, THOROUGH, VARIANTS, WRITERS, before, n_threads

ROOT = Path(__file__).resolve().parents[2]


def test_every_notebook_is_a_stage():
    assert sorted(STAGES) == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


def test_stages_depend_on_earlier_ones_alone():
    order = list(STAGES)
    for stage in STAGES.values():
        for name in [*(name for name, _ in stage.needs), *stage.after]:
            assert order.index(name) < order.index(stage.notebook) or stage.notebook == "03_models"  # reads no file
        assert {name for name, _ in stage.needs} <= {each.notebook for each in before(stage.notebook)}


def test_every_section_belongs_to_one_stage_but_two():
    sections = [section for stage in STAGES.values() for section in stage.sections]
    assert sections.count("machine") == 2  # of both trainings before the variants' own
    assert sections.count("measure") == 2  # many draws are measured on the known answer's people too
    assert len(sections) == len(set(sections)) + 2
    assert set(sections) | {"recipe", "variants", "beside"} == set(Settings.model_fields)


def test_every_part_of_a_run_has_one_writer():
    assert len(WRITERS) == sum(len(stage.writes) for stage in STAGES.values())
    shared = [folder for stage in STAGES.values() for folder in stage.writes.values() if folder != "{variant}"]
    assert len(shared) == len(set(shared))  # a variant's own folder holds its model and its metrics


def test_what_a_stage_leaves():
    assert STAGES["05_training"].record == "notebooks/05_training_{variant}.json"
    assert STAGES["07_results"].record == "notebooks/07_results.json"
    assert [stage.notebook for stage in STAGES.values() if stage.is_last] == [
        "03_models",
        "07_results",
        "08_your_voice",
        "09_known_answer",
        "10_poster",
    ]
    assert STAGES["06_metrics"].page == "06_metrics_{variant}" and STAGES["01_corpus"].page == "01_corpus"


def test_what_the_thorough_study_runs_beside():
    assert set(THOROUGH) == {"closed", "leak"} and VARIANTS[0] == "general"


@pytest.mark.parametrize(
    ("overrides", "threads"),
    [
        ({}, {"01_corpus": 2, "04_face_code": 2, "04_voice_embedding": 2, "05_training": 1, "06_metrics": 1}),
        ({"recipe": "poster"}, {"05_training": 2, "06_metrics": 1}),  # networks as large as the poster's
        ({"sampler.game": True}, {"05_training": 2}),
        ({"variants": ["general"]}, {"05_training": 2, "06_metrics": 2, "07_results": 2}),  # nothing runs beside it
        ({"machine.n_threads": 16}, {"04_face_code": 16, "05_training": 5, "08_your_voice": 5}),
    ],
)
def test_what_is_small_leaves_threads_to_others(overrides, threads):
    settings = params.resolve("demo", overrides=overrides, root=ROOT)
    assert {name: n_threads(name, settings) for name in threads} == threads
