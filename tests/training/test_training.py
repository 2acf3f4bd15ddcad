"""Training a variant as the notebook does: what it asks of a run, and who trains it."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from s2f.features.store import Store
from s2f.networks import inference
from s2f.networks.models import Architecture
from s2f.study import params, runs
from s2f.training import data, processes, saves, training
from tests.training.small import ROOT, pairs

SMALL = {
    "machine.n_devices": 2,
    "machine.device": "cpu",
    "voice.width": 0.0625,
    "gan.width": 0.0625,
    "gan.norm": "none",
    "gan.steps": 4,
    "gan.batch_size": 4,
    "gan.log_every": 2,
    "gan.sample_every": 4,
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A run that asks for two processes, and finds the small trainings' voices and faces."""
    resolved = params.resolve("smoke", overrides=SMALL, root=ROOT)
    study = runs.Study("05_training", tmp_path, "smoke", "general", 0, "mine", resolved, resolved, SMALL)
    monkeypatch.setattr(runs.Study, "read", lambda self, what: tmp_path / what)
    monkeypatch.setattr(runs.Study, "resume_key", lambda self, module, digest: f"{module} {digest}")
    monkeypatch.setattr(Store, "open", lambda folder: None)
    monkeypatch.setattr(data, "select", lambda store, **where: None)
    monkeypatch.setattr(data, "pairs", lambda *found, **where: pairs())
    monkeypatch.setattr(data, "embeddings", lambda folder, voices: pairs().tracks.whole()[:2])
    monkeypatch.setattr(training, "watched", lambda store, **where: None)
    encoder = training.architecture(study).voice_embedding()
    monkeypatch.setattr(inference, "load_encoder", lambda folder: encoder)
    return study


def test_the_architecture_is_that_of_the_parameters(study):
    assert training.architecture(study) == Architecture(0.0625, 0.0625, "none", True, "k4", "own")


def test_several_processes_are_started_by_words_that_open_the_same_run(study, tmp_path, monkeypatch):
    asked = []

    def here(module, words, *, machine, name):
        """In place of `processes.launch`."""
        asked.append((module, machine, name))
        training._one_of_several(*words)

    def same(notebook, **what):
        assert what == {name: getattr(study, name) for name in ("profile", "variant", "seed", "label", "overrides")}
        return study

    monkeypatch.setattr(processes, "launch", here)
    monkeypatch.setattr(processes, "joined", lambda device: nullcontext(processes.ALONE))
    monkeypatch.setattr(runs, "open_study", same)
    model = training.train(study, tmp_path / "model")
    assert asked == [("s2f.training.training", study.params.machine, "smoke-mine-s0-general")]
    assert model.name == "smoke general" and not model.generator.training
    assert [line["step"] for line in saves.read_log(tmp_path / "model" / "log.jsonl")] == [2, 4]
    training.train(study, tmp_path / "model")
    assert len(asked) == 1  # where all steps are done, nobody else is needed
    monkeypatch.setattr(runs.Study, "resume_key", lambda self, module, digest: f"{module} {digest} of other parameters")
    training.train(study, tmp_path / "model")
    assert len(asked) == 2  # as many steps of another training are none of this one


def test_the_first_people_are_watched(monkeypatch):
    voices = pd.DataFrame({"identity": np.repeat([f"p{i:02}" for i in range(10)], 3), "row": range(30)})
    asked = []

    def select(store, **where):
        asked.append(where)
        return SimpleNamespace(voices=voices)

    monkeypatch.setattr(data, "select", select)
    assert training.watched(None, gender="f")["row"].tolist() == list(range(0, 24, 3))
    assert asked == [{"split": "validation", "gender": "f"}]
