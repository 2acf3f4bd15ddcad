"""The face code of a run: what it is learned from, and what it keeps of photographs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from s2f.corpora import rejections
from s2f.errors import CorpusError
from s2f.features import more_photos, preprocessing
from s2f.features.store import Store
from s2f.networks import codes, inference
from s2f.networks.codes import FaceCode
from s2f.networks.models import seeded
from s2f.study import params, runs
from s2f.training import autoencoder, data, face_code
from tests.training.small import ROOT

SMALL = {
    **{"code.width": 0.0625, "code.discriminator_width": 0.0625},
    **{"code.steps": 4, "code.batch_size": 4, "code.log_every": 2},
}
FACES = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), dtype=np.uint8)


@pytest.fixture
def store(tmp_path):
    splits = np.repeat(["train", "validation", "test"], 4)
    index = pd.DataFrame({"identity": "x", "modality": "face", "split": splits, "row": range(12)})
    return Store(tmp_path, None, None, FACES, index, parameters={}, digest="d")


def study(tmp_path, monkeypatch, **more):
    resolved = params.resolve("smoke", overrides=SMALL | more, root=ROOT)
    found = runs.Study("04_face_code", tmp_path, "smoke", "general", 0, "", resolved, resolved)
    monkeypatch.setattr(runs.Study, "resume_key", lambda self, module, digest: f"{module} {digest}".replace(" ", "-"))
    return found


def learned_from(monkeypatch):
    """Photographs that trainings are given."""
    asked, train = [], autoencoder.train

    def watched(photos, **how):
        asked.append(photos.take(torch.arange(photos.n_faces)).permute(0, 2, 3, 1).numpy())
        return train(photos, **how)

    monkeypatch.setattr(autoencoder, "train", watched)
    return asked


def selection(store):
    return data.Selection(pd.DataFrame(), store.photos(split="train"), np.array(["x"]))


def test_it_is_learned_from_the_training_photographs_and_kept(tmp_path, monkeypatch, store):
    asked = learned_from(monkeypatch)
    network = face_code.make(study(tmp_path, monkeypatch), store, selection(store), folder=tmp_path / "code")
    assert len(asked) == 1 and np.array_equal(asked[0], FACES[:4])
    back = codes.load(tmp_path / "code")
    assert all(torch.equal(one, other) for one, other in zip(network.parameters(), back.parameters(), strict=True))
    assert (tmp_path / "code" / "log.jsonl").is_file()


def test_the_seed_of_the_run_is_that_of_its_training(tmp_path, monkeypatch, store):
    asked, train = [], autoencoder.train
    monkeypatch.setattr(
        autoencoder, "train", lambda *what, setup, **how: asked.append(setup) or train(*what, setup=setup, **how)
    )
    face_code.make(replace(study(tmp_path, monkeypatch), seed=3), store, selection(store), folder=tmp_path / "code")
    assert [setup.seed for setup in asked] == [3]


def test_further_photographs_are_learned_from_but_none_of_people_held_out(tmp_path, monkeypatch, store, capsys):
    asked = learned_from(monkeypatch)
    other = FACES[::-1].copy() // 2
    found = np.concatenate([other[:2], FACES[5:6], FACES[9:10], FACES[:1]])
    rows = [("train", "own"), ("validation", "theirs"), ("test", "theirs_too")]
    people = pd.DataFrame(rows, columns=["split", "path"]).assign(identity="x", modality="face")
    (tmp_path / "photos").mkdir()
    for name in (*people["path"], "other"):
        (tmp_path / name).write_text(name)
        (tmp_path / "photos" / f"copy of {name}.png").write_text(name)
    asked_for = []
    out = rejections.frame([("bad.png", "face", "", "damaged", "is broken")])
    monkeypatch.setattr(more_photos, "aligned", lambda paths, **how: asked_for.append(paths) or (found, out))
    inputs = {"manifest": people, "root": tmp_path, "settings": None}
    monkeypatch.setattr(preprocessing, "inputs", lambda study: inputs)
    where = [str(tmp_path / "photos")]
    given = study(tmp_path, monkeypatch, **{"code.more_photos": where, "store.max_rejected": 0.5})
    face_code.make(given, store, selection(store), folder=tmp_path / "code")
    assert np.array_equal(asked[0], [*FACES[:4], *other[:2], FACES[0]])
    assert [path.stem for path in asked_for[0]] == ["copy of other", "copy of own"]
    assert "3 further photographs; 1 not usable; 4 of people held out, left out" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "code" / "rejected.csv")["path"].tolist() == ["bad.png"]
    strict = replace(given, params=study(tmp_path, monkeypatch, **{"code.more_photos": where}).params)
    with pytest.raises(CorpusError, match=r"more_photos.*1 of 2 files.*rejected\.csv"):
        face_code.make(strict, store, selection(store), folder=tmp_path / "code")
    without = replace(given, params=study(tmp_path, monkeypatch).params)
    face_code.make(without, store, selection(store), folder=tmp_path / "code")
    assert not (tmp_path / "code" / "rejected.csv").exists()  # it is of photographs that were not learned from


def test_photographs_are_drawn_again_and_a_way_between_two_ends_in_both():
    network = seeded(lambda: FaceCode(width=0.0625, dim=6), generator=torch.Generator().manual_seed(0)).eval()
    kept = face_code.again(network, FACES)
    pixels = torch.from_numpy(FACES).permute(0, 3, 1, 2) / 127.5 - 1
    expected = inference.rendered(network.decoder, network.encode(pixels))
    assert np.abs(kept.drawn.astype(int) - expected).max() <= 1
    assert kept.l1_pixel_255 == pytest.approx(np.abs(FACES.astype(float) - kept.drawn).mean())
    assert kept.deviation == pytest.approx(np.std(kept.codes.numpy(), axis=0, ddof=1).mean(), rel=1e-4)
    assert face_code.again(network, FACES[:1]).deviation is None
    ways = face_code.between(network, kept, pairs=[(0, 3), (5, 1)], n=4)
    assert ways.shape == (8, 64, 64, 3)
    for place, photo in ((0, 0), (3, 3), (4, 5), (7, 1)):
        assert np.abs(ways[place].astype(int) - kept.drawn[photo]).max() <= 1
