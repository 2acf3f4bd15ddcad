"""Training a variant as the notebook does: what it asks of a run, and who trains it."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from s2f import __main__ as cli
from s2f.errors import ParameterError, TrainingError
from s2f.features.store import Store
from s2f.networks import codes, inference
from s2f.networks.codes import FaceCode
from s2f.networks.models import seeded
from s2f.study import params, runs
from s2f.training import architectures, data, gan, processes, sampler, saves, training
from tests.training.small import ROOT, equal, pairs, weights

SMALL = {
    "recipe": "poster",
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
    encoder = architectures.architecture(study.params).voice_embedding()
    monkeypatch.setattr(inference, "load_encoder", lambda folder: encoder)
    return study


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


@pytest.mark.parametrize(("variant", "gender"), [("general", None), ("females", "f")])
def test_a_variant_is_trained_on_its_own_training_people(study, tmp_path, monkeypatch, variant, gender):
    study.params = params.resolve("smoke", variant=variant, overrides=SMALL | {"machine.n_devices": 1}, root=ROOT)
    asked, given = [], []
    monkeypatch.setattr(data, "select", lambda store, **where: asked.append(where) or "theirs")
    monkeypatch.setattr(data, "pairs", lambda *found, **where: given.append(found) or pairs())
    training.train(study, tmp_path / "model")
    assert asked == [{"split": "train", "gender": gender}]
    assert given == [(None, tmp_path / "voice", "theirs")]


@pytest.mark.parametrize("game", [False, True])
def test_with_a_face_code_a_variant_is_a_sampler_and_the_codes_generator(study, tmp_path, monkeypatch, game):
    given = SMALL | {"recipe": "codes", "machine.n_devices": 1, "gan.norm": "batch", "sampler.game": game}
    given |= {"sampler.steps": 6, "sampler.batch_size": 8, "sampler.width": 0.125, "sampler.n_steps": 2}
    study.params = params.resolve("smoke", overrides=given, root=ROOT)
    (tmp_path / "code").mkdir()
    code = seeded(lambda: FaceCode(width=0.125, dim=6), generator=torch.Generator().manual_seed(0)).eval()
    codes.save(tmp_path / "code", code)
    folder = tmp_path / "model"
    model = training.train(study, folder)
    assert model.sampler.options["dim"] == 6 and model.sampler.options["n_steps"] == 2
    assert equal(weights(model.generator), weights(code.decoder)) is not game
    assert saves.read_log(folder / "sampler" / "log.jsonl")[-1]["step"] == 6
    assert (folder / "log.jsonl").is_file() == game == (folder / "samples.npz").is_file()
    voices = pairs().tracks.whole()[:2]
    draws = model.draws(voices, 3, seed=1)
    assert draws.shape == (2, 3, 64, 64, 3) and (draws[0, 0] != draws[0, 1]).any()
    assert training._is_saved(study, folder)
    if game:  # of another sampler than the codes of its saves were drawn by
        learn = sampler.train

        def another(*given, **how):
            found = learn(*given, **how)
            next(found.parameters()).data.add_(0.5)
            return found

        with monkeypatch.context() as patch:
            patch.setattr(sampler, "train", another)
            played = training.train(study, folder)
        assert len(list((folder / "state").iterdir())) == 2
        assert not equal(weights(played.generator), weights(model.generator))
        study.params = params.resolve("smoke", overrides=given | {"sampler.steps": 8}, root=ROOT)
        assert not training._is_saved(study, folder)
        study.params = params.resolve("smoke", overrides=given, root=ROOT)
        assert training._is_saved(study, folder)
        saved = sampler.saved
        monkeypatch.setattr(sampler, "saved", lambda *a, **b: {k: v + 0.25 for k, v in saved(*a, **b).items()})
        assert not training._is_saved(study, folder)
        return
    codes.save(tmp_path / "code", FaceCode(width=0.125, dim=6))
    assert not training._is_saved(study, folder)  # samplers of another face code are none of this one


def asked(*words):
    return cli.parser().parse_args(["train", "--profile", "smoke", *words])


def test_only_a_training_of_several_machines_is_joined(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    with pytest.raises(ParameterError, match=r"--join is for a training of several machines.*machine\.n_nodes"):
        training.main(asked("--join"))
    joined, led = [], []
    monkeypatch.setattr(training, "train", lambda study, folder, **_: (led if study.locks else joined).append(folder))
    monkeypatch.setattr(runs.Study, "write", lambda self, what: self.locks.update(model=1) or self.run / self.variant)
    monkeypatch.setattr(runs.Study, "finish", lambda self, what: None)
    monkeypatch.setenv("SLURM_PROCID", "2")  # one task of several that each train a variant
    assert training.main(asked("--variant", "males")) == 0 and len(led) == 1 and not joined
    assert training.main(asked("--label", "wide", "--set", "machine.n_nodes=2")) == 0 and len(led) == len(joined) == 1


def test_the_first_people_are_watched(monkeypatch):
    voices = pd.DataFrame({"identity": np.repeat([f"p{i:02}" for i in range(10)], 3), "row": range(30)})
    asked = []

    def select(store, **where):
        asked.append(where)
        return SimpleNamespace(voices=voices)

    monkeypatch.setattr(data, "select", select)
    assert training.watched(None, gender="f")["row"].tolist() == list(range(0, 24, 3))
    assert asked == [{"split": "validation", "gender": "f"}]


@pytest.mark.parametrize("recipe", ["poster", "codes"])
def test_nobody_to_look_at_stops_before_anything_is_trained(study, tmp_path, monkeypatch, recipe):
    given = SMALL | {"recipe": recipe, "machine.n_devices": 1, "gan.norm": "batch"}
    study.params = params.resolve("smoke", overrides=given, root=ROOT)
    (tmp_path / "code").mkdir()
    codes.save(tmp_path / "code", FaceCode(width=0.125, dim=6))

    def nobody(store, **where):
        raise TrainingError("training", "has nobody of the split 'validation'", remedy="Give some.")

    monkeypatch.setattr(training, "watched", nobody)
    with pytest.raises(TrainingError, match="nobody of the split 'validation'"):
        training.train(study, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("recipe", ["poster", "codes"])
def test_the_seed_of_the_run_is_that_of_its_training(study, tmp_path, monkeypatch, recipe):
    study.seed = 3
    given = SMALL | {"recipe": recipe, "machine.n_devices": 1, "gan.norm": "batch"}
    if recipe == "codes":
        given |= {"sampler.steps": 2, "sampler.batch_size": 8, "sampler.width": 0.125, "sampler.n_steps": 2}
        (tmp_path / "code").mkdir()
        codes.save(tmp_path / "code", FaceCode(width=0.125, dim=6).eval())
    study.params = params.resolve("smoke", overrides=given, root=ROOT)
    asked, module = [], gan if recipe == "poster" else sampler
    train = module.train

    def watched(*what, setup, **how):
        asked.append(setup.seed)
        return train(*what, setup=setup, **how)

    monkeypatch.setattr(module, "train", watched)
    training.train(study, tmp_path / "model")
    assert asked == [3]
