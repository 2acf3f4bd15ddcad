"""Speaker pre-training: it learns, goes on from a save, and cuts crops as it says."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from s2f import tensors
from s2f.errors import TrainingError
from s2f.training import loop, saves, speaker, tracks
from tests.training.small import SMOKE, but, equal, margin_loss, speak, weights


@pytest.mark.parametrize("loss", [{"scale": 0.0, "margin": 0.0}, {"scale": 20.0, "margin": 0.1}])
def test_speakers_with_different_spectra_are_learned(tmp_path, loss):
    rng = np.random.default_rng(0)
    means = rng.normal(size=(3, 64))
    patterns = [np.outer(np.sin(np.arange(400) * (0.2 + 0.3 * k)), means[k]) for k in range(3)]
    mels = [(patterns[i % 3] + 0.3 * rng.normal(size=(400, 64))).astype(np.float32) for i in range(12)]
    network, logits = speak(tmp_path, np.concatenate(mels), np.arange(12) % 3, **loss)
    rows, offsets = tracks.compute(network, mels.__getitem__, n_recordings=12, device="cpu")
    whole = tracks.Tracks(rows, offsets, np.arange(12), device="cpu").whole().numpy()
    assert (logits(whole).argmax(1) == np.arange(12) % 3).mean() > 0.9
    lines = saves.read_log(tmp_path / "log.jsonl")
    assert lines[-1]["loss"] < 1 and lines[-1]["accuracy"] > 0.8


def test_the_head_lowers_the_cosine_of_the_right_speaker_by_the_margin():
    rng, labels = np.random.default_rng(0), np.array([0, 2, 1, 1])
    vectors, prototypes = (rng.normal(size=(n, 64)).astype(np.float32) for n in (4, 3))
    given, right = torch.from_numpy(vectors), torch.from_numpy(labels)
    head, plain = (speaker._Head(n_speakers=3, scale=scale, margin=0.1) for scale in (20.0, 0.0))
    for each in (head, plain):
        each.linear.weight.data = torch.from_numpy(prototypes)
    for margin, logits in ((0.1, head(given, right)), (0.0, head(given))):
        expected = margin_loss(vectors, prototypes, labels, scale=20.0, margin=margin)
        assert F.cross_entropy(logits, right).item() == pytest.approx(expected, rel=1e-4)
    expected = vectors @ prototypes.T + plain.linear.bias.detach().numpy()
    np.testing.assert_allclose(plain(given, right).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def trainer(**settings):
    frames = np.random.default_rng(0).normal(size=(6000, 64)).astype(np.float16)
    held = speaker.Recordings(frames, np.arange(0, 6000, 1500), np.full(4, 1500), np.array([0, 1, 2, 1]), device="cpu")
    given = but(SMOKE.voice, **{"width": 0.0625, "batch_size": 4, "steps": 200} | settings)
    return speaker.Trainer(held, settings=given, setup=loop.Setup(3))


def test_a_step_has_the_loss_of_its_crops_with_the_margin(monkeypatch):
    engine = trainer(scale=20.0, margin=0.3, weight_decay=0.25, learning_rate=2e-3)
    assert engine.optimiser.param_groups[0]["weight_decay"] == 0.25 and engine.schedule.total_steps == 201
    cut, seen = engine.recordings.crops, []
    monkeypatch.setattr(engine.recordings, "crops", lambda picked, *how: seen.append(picked) or cut(picked, *how))
    vectors = []
    engine.network.register_forward_hook(lambda network, given, out: vectors.append(out.detach().numpy()))
    prototypes = engine.head.linear.weight.detach().numpy().copy()
    loss = engine.iterate(report=True)["loss"].item()
    who = engine.recordings.speakers.numpy()[seen[0]]
    assert loss == pytest.approx(margin_loss(vectors[0], prototypes, who, scale=20.0, margin=0.3), rel=1e-4)
    assert loss > margin_loss(vectors[0], prototypes, who, scale=20.0, margin=0.0) + 0.1


def test_crops_are_of_every_length_that_is_asked_and_the_rate_rises_to_its_peak(monkeypatch):
    engine = trainer(min_crop_s=1.0, max_crop_s=1.1, learning_rate=2e-3)
    cut, lengths, rates = engine.recordings.crops, [], []

    def watched(picked, n_frames, places):
        lengths.append(n_frames)
        rates.append(engine.optimiser.param_groups[0]["lr"])
        return cut(picked, n_frames, places)

    monkeypatch.setattr(engine.recordings, "crops", watched)
    for _ in range(200):
        engine.iterate()
    assert set(lengths) == set(range(100, 111))
    assert max(rates) == pytest.approx(2e-3, rel=1e-3) and rates.index(max(rates)) == 40  # after a fifth
    assert rates[0] < 1e-4 and rates[-1] < 1e-4


def test_one_speaker_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="1 speaker"):
        speak(tmp_path, np.zeros((1600, 64), np.float32), np.zeros(4, int))


def test_crops_of_frames_wrap_around_a_short_recording():
    frames = np.arange(30, dtype=np.float16)[:, None].repeat(64, 1)
    held = speaker.Recordings(frames, np.array([0, 10]), np.array([10, 20]), np.arange(2), device="cpu")
    found = held.crops(np.array([0, 1]), 25, np.array([0.0, 0.5]))[:, :, 0]
    first = int(0.5 * (1000 - 25 + 1))  # of the recording repeated to 1000 frames
    assert found[0].tolist() == [k % 10 for k in range(25)]
    assert found[1].tolist() == [10 + (first + k) % 20 for k in range(25)]
    assert found.dtype == torch.float32


def test_pre_training_that_is_resumed_equals_one_that_was_not(tmp_path):
    frames = np.random.default_rng(0).normal(size=(1600, 64)).astype(np.float16)
    who = np.arange(4) % 2
    whole, _ = speak(tmp_path / "whole", frames, who, steps=8)
    cut = tmp_path / "cut"
    speak(cut, frames, who, steps=8)
    kept = saves.saved_steps(cut / "state", fingerprint="k")
    kept[-1].unlink()  # as if it had been killed after step 4
    assert kept[0].stem == "step-00000004"
    resumed, _ = speak(cut, frames, who, steps=8)
    assert equal(weights(whole), weights(resumed))
    names = ("step", "loss", "accuracy")
    logs = [saves.read_log(tmp_path / name / "log.jsonl") for name in ("whole", "cut")]
    logs = [[{k: line[k] for k in names} for line in log] for log in logs]
    assert logs[0] == logs[1] and [line["step"] for line in logs[0]] == [2, 4, 6, 8]
    rates = [load_rate(tmp_path / n) for n in ("whole", "cut")]
    assert rates[0] == rates[1]


def load_rate(folder):
    loaded, _ = tensors.load(saves.saved_steps(folder / "state", fingerprint="k")[-1])
    return loaded["schedule"].tolist()
