"""The voice encoder of a run: which one is made, and what is kept of it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from s2f import tensors, weights
from s2f.errors import AudioError, CheckpointError, CorpusError
from s2f.features import ge2e_front_end, preprocessing
from s2f.networks import ge2e, inference, layers
from s2f.networks.models import GE2EEmbedding, VoiceEmbedding
from s2f.report import training_figures
from s2f.study import params, runs
from s2f.training import data, saves, speaker, tracks, voice_embedding

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 0.0625


def study(root, **overrides):
    overrides = {"voice.width": WIDTH, "voice.steps": 3, "machine.n_workers": 1, "machine.device": "cpu"} | overrides
    resolved = params.resolve("smoke", overrides=overrides, root=ROOT)
    return runs.Study("04_voice_embedding", root, "smoke", "general", 0, "mine", resolved, resolved)


def people(n=4):
    """Two recordings of each of two people, the second one set aside."""
    names = ["a", "a", "b", "b"][:n]
    paths = [f"{i}.wav" for i in range(n)]
    return pd.DataFrame({"row": range(n), "identity": names, "fold": [0, 1, 0, 1][:n], "path": paths})


def store(*, processed=False, n=4):
    """As much of a store as an encoder looks at."""
    frames = np.random.default_rng(0).normal(size=(n, 500, 64)).astype(np.float16)
    return SimpleNamespace(
        mels=frames.reshape(-1, 64),
        mel_offsets=np.arange(0, 500 * n + 1, 500),
        digest="digest",
        mel=lambda i: frames[i].astype(np.float32),
        voices=lambda: people(n),
        parameters={"processed": processed},
    )


def selection():
    return data.Selection(people(), people(), np.array(["a", "b"]))


def released(path, *, seed):
    torch.manual_seed(seed)
    torch.save(VoiceEmbedding(width=WIDTH).state_dict(), path)


def test_the_packaged_encoder_needs_sound(tmp_path):
    run = study(tmp_path, **{"voice.encoder": "ge2e"})
    silent = store(processed=True)
    (tmp_path / "log.jsonl").touch()
    with pytest.raises(CorpusError, match=r"'voice\.encoder' is ge2e.* without sound.* to own"):
        voice_embedding.make(run, silent, selection(), folder=tmp_path)
    with pytest.raises(CorpusError, match="without sound"):
        voice_embedding.keep(run, silent, voice_embedding.Encoder(GE2EEmbedding()), folder=tmp_path)
    assert not (tmp_path / "tracks.npy").exists() and not (tmp_path / "encoder.safetensors").exists()
    made = voice_embedding.make(run, store(), selection(), folder=tmp_path)
    assert isinstance(made.network, GE2EEmbedding) and made.logits is None
    assert made.weights_sha256 == weights.NETWORKS["speaker"].sha256


def test_an_encoder_that_is_trained_here_names_speakers_and_no_file(tmp_path):
    run = study(tmp_path)
    made = voice_embedding.make(run, store(), selection(), folder=tmp_path)
    assert made.logits(np.zeros((5, 64), np.float32)).shape == (5, 2) and made.weights_sha256 is None
    other = saves.own(tmp_path / "state" / "tracks", "of other recordings")
    other.mkdir(parents=True)
    voice_embedding.keep(run, store(), made, folder=tmp_path)
    header = tensors.load(tmp_path / "encoder.safetensors")[1]
    assert header == {"encoder": "own", "width": WIDTH, "weights_sha256": None}
    assert (tmp_path / "tracks.npy").is_file() and other.is_dir()
    assert list((tmp_path / "state").glob("*/step-*"))  # to go on from


def test_the_seed_of_the_run_is_that_of_its_training(tmp_path, monkeypatch):
    asked, train = [], speaker.train
    monkeypatch.setattr(
        speaker, "train", lambda *what, setup, **how: asked.append(setup) or train(*what, setup=setup, **how)
    )
    voice_embedding.make(replace(study(tmp_path), seed=3), store(), selection(), folder=tmp_path)
    assert [setup.seed for setup in asked] == [3]


def test_recordings_that_are_set_aside_are_not_trained_on(tmp_path, monkeypatch):
    heard, recordings = [], speaker.Recordings

    def watched(frames, *parts, **how):
        heard.append([part.tolist() for part in parts])
        return recordings(frames, *parts, **how)

    monkeypatch.setattr(speaker, "Recordings", watched)
    voice_embedding.make(study(tmp_path), store(), selection(), folder=tmp_path)
    starts, lengths, speakers = [0, 1000], [500, 500], [0, 1]  # of recordings 0 and 2
    assert heard == [[starts, lengths, speakers]]


def test_a_checkpoint_is_kept_with_the_hash_of_its_content(tmp_path, capsys):
    folder = tmp_path / "voice"
    run = study(tmp_path, **{"voice.checkpoint": "weights.pth"})
    (folder / "state").mkdir(parents=True)
    found = {}
    for seed in (1, 2):
        released(tmp_path / "weights.pth", seed=seed)
        (folder / "log.jsonl").touch()  # of a training that this is no longer
        made = voice_embedding.make(run, store(), selection(), folder=folder)
        voice_embedding.keep(run, store(), made, folder=folder)
        header = tensors.load(folder / "encoder.safetensors")[1]
        assert header["weights_sha256"] == hashlib.sha256((tmp_path / "weights.pth").read_bytes()).hexdigest()
        training_figures.show_learning(made, folder=folder)
        assert header["weights_sha256"] in capsys.readouterr().out
        assert made.logits is None and not (folder / "log.jsonl").exists()
        torch.manual_seed(seed)
        network = VoiceEmbedding(width=WIDTH).eval()
        repeated = torch.from_numpy(np.concatenate([store().mel(3)] * 2)).T[None]  # 500 frames to 1000
        with torch.no_grad():
            wanted = torch.nn.functional.normalize(network(repeated), dim=1)
        np.testing.assert_allclose(data.embeddings(folder, people())[3:], wanted, atol=1e-5)
        kept = inference.load_encoder(folder).state_dict()
        assert all(torch.equal(kept[key], value) for key, value in network.state_dict().items())
        found[seed] = header["weights_sha256"]
    assert found[1] != found[2]


def test_a_checkpoint_that_is_missing_or_of_another_width_is_named(tmp_path):
    run = study(tmp_path, **{"voice.checkpoint": "weights.pth"})
    with pytest.raises(CheckpointError, match=r"weights\.pth is not there"):
        voice_embedding.make(run, store(), selection(), folder=tmp_path)
    torch.save(VoiceEmbedding(width=2 * WIDTH).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="width"):
        voice_embedding.make(run, store(), selection(), folder=tmp_path)


def test_recordings_that_are_done_are_kept_until_all_are(tmp_path, monkeypatch):
    folder, sound = tmp_path / "voice", tmp_path / "sound"
    folder.mkdir()
    sound.mkdir()
    monkeypatch.setattr(preprocessing, "inputs", lambda study: {"root": sound})
    monkeypatch.setattr(ge2e, "PART", 1)
    rng = np.random.default_rng(0)
    for i in range(3):
        wave = 0.1 * np.sin(2 * np.pi * (120 + 40 * i) * np.arange(32000) / 16000) + 0.01 * rng.normal(size=32000)
        soundfile.write(sound / f"{i}.wav", wave, 16000)
    run, corpus = study(tmp_path, **{"voice.encoder": "ge2e"}), store(n=3)
    made = voice_embedding.make(run, corpus, selection(), folder=folder)
    wave = (sound / "2.wav").read_bytes()
    (sound / "2.wav").write_bytes(b"not yet")
    with pytest.raises(AudioError):
        voice_embedding.keep(run, corpus, made, folder=folder)
    assert len(list((folder / "state").rglob("*.npz"))) == 2 and not (folder / "tracks.npy").exists()
    (sound / "2.wav").write_bytes(wave)
    voice_embedding.keep(run, corpus, made, folder=folder)
    assert not list((folder / "state").rglob("*.npz"))
    assert tensors.load(folder / "encoder.safetensors")[1]["weights_sha256"] == weights.NETWORKS["speaker"].sha256
    assert tracks.read_per_s(folder) == ge2e_front_end.PER_S
    model = made.network
    for i in range(3):
        with torch.no_grad():
            partials = model(
                torch.from_numpy(ge2e_front_end.partials(soundfile.read(sound / f"{i}.wav", dtype="float32")[0]))
            )
        wanted = torch.nn.functional.normalize(partials.mean(0, keepdim=True), dim=1)
        np.testing.assert_allclose(data.embeddings(folder, people(3))[i : i + 1], wanted, atol=1e-5)


def test_the_layers_of_either_encoder_are_shown(capsys):
    table = layers.show_voice(VoiceEmbedding(width=WIDTH))
    assert "our own" in capsys.readouterr().out
    assert table["n_parameters"].sum() == sum(p.numel() for p in VoiceEmbedding(width=WIDTH).parameters())
    network = GE2EEmbedding()
    table = layers.show_voice(network)
    assert "GE2E" in capsys.readouterr().out
    # Layer by layer, each in a module of its own: an LSTM layer has four gates with two biases each.
    mels, outputs, counts = torch.zeros(1, ge2e_front_end.N_FRAMES, 40), [], []
    for n_in in (40, 256, 256):
        layer = torch.nn.LSTM(n_in, 256, batch_first=True)
        mels = layer(mels)[0]
        outputs.append(f"{mels.shape[1]} × {mels.shape[2]}")
        counts.append(4 * (n_in * 256 + 256 * 256 + 2 * 256))
    assert table["output"].tolist() == [*outputs, "256", "256"]
    assert table["n_parameters"].tolist() == [*counts, 256 * 256 + 256, 0]
    assert table["n_parameters"].sum() == sum(p.numel() for p in network.parameters())
    assert list(table.columns) == list(layers.show_voice(VoiceEmbedding(width=WIDTH)).columns)
