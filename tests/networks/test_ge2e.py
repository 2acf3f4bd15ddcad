"""The packaged speaker encoder and its front end, against independent computations and real recordings."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from s2f import weights
from s2f.errors import AudioError, CheckpointError, ParameterError
from s2f.features import ge2e_front_end
from s2f.metrics import verification
from s2f.networks import ge2e, inference, models
from s2f.networks.models import Architecture, Generator
from s2f.study import params
from s2f.training import data, tracks

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def encoder():
    return ge2e.network()


def voice(seconds: float, *, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(int(16000 * seconds)) / 16000
    buzz = sum(np.sin(2 * np.pi * 120 * k * t + rng.uniform(0, 6)) / k for k in range(1, 25))
    return (0.05 * buzz * (1 + 0.5 * np.sin(2 * np.pi * 4 * t)) + 0.001 * rng.normal(size=t.size)).astype(np.float32)


def test_the_network_equals_lstm_equations_step_by_step(encoder):
    mels = torch.from_numpy(ge2e_front_end.partials(voice(1.7))[:1])  # [1, 160, 40]
    weights = {key: value.double().numpy() for key, value in encoder.state_dict().items()}
    steps = mels[0].double().numpy()  # [160, 40]
    for layer in range(3):
        w_in, w_on = weights[f"lstm.weight_ih_l{layer}"], weights[f"lstm.weight_hh_l{layer}"]
        bias = weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"]
        h, c, out = np.zeros(256), np.zeros(256), []
        for x in steps:
            i, f, g, o = np.split(w_in @ x + w_on @ h + bias, 4)
            c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            h = np.tanh(c) / (1 + np.exp(-o))
            out.append(h)
        steps = np.array(out)
    raw = np.maximum(weights["linear.weight"] @ steps[-1] + weights["linear.bias"], 0)
    with torch.no_grad():
        found = encoder(mels)[0].numpy()
    np.testing.assert_allclose(found, raw / np.linalg.norm(raw), atol=1e-5)


def test_another_file_than_the_declared_one_is_refused(monkeypatch):
    declared = weights.NETWORKS["speaker"]
    for change, said in (({"sha256": "0" * 64}, "SHA-256"), ({"package": "no-such"}, r"requirements-weights\.lock")):
        monkeypatch.setattr(weights, "NETWORKS", {"speaker": replace(declared, **change)})
        with pytest.raises(CheckpointError, match=said):
            ge2e.network()


def test_crops_follow_the_encoder_and_never_leave_the_recording(tmp_path):
    assert tracks.crop_vectors(3, 8) == (9, 25)
    assert tracks.crop_vectors(3, 8, per_s=ge2e_front_end.PER_S) == (4, 10)
    rows, offsets = np.random.default_rng(0).normal(size=(7, 256)).astype(np.float32), np.array([0, 2, 7])
    tracks.write(tmp_path, rows, offsets, per_s=ge2e_front_end.PER_S)
    kept = tracks.Tracks(rows, offsets, np.array([0, 1]), device="cpu", per_s=tracks.read_per_s(tmp_path))
    assert kept.per_s == ge2e_front_end.PER_S and kept.dim == 256
    means = kept.windows(torch.tensor([0, 1]), torch.tensor([-3, 2]), torch.tensor(4))
    np.testing.assert_allclose(means[0], rows[:2].mean(0), atol=1e-5)
    np.testing.assert_allclose(means[1], rows[3:7].mean(0), atol=1e-5)
    tracks.write(tmp_path, rows, offsets)  # of our own encoder
    assert tracks.read_per_s(tmp_path) == tracks.OWN_PER_S == 100 / 32


@pytest.fixture
def recordings(tmp_path):
    """Seven of different lengths."""
    paths = [tmp_path / "sound" / f"{i}.wav" for i in range(7)]
    paths[0].parent.mkdir()
    for i, path in enumerate(paths):
        soundfile.write(path, voice(1.0 + 0.9 * i, seed=i), 16000)
    return paths


def test_what_is_done_is_not_done_again_and_nothing_differs(recordings, tmp_path, monkeypatch, capsys):
    whole, offsets = ge2e.tracks(recordings, n_workers=2)
    assert len(set(np.diff(offsets))) > 2
    monkeypatch.setattr(ge2e, "PART", 2)
    kept, sounds = tmp_path / "kept", [path.read_bytes() for path in recordings]
    recordings[4].write_bytes(b"broken")
    with pytest.raises(AudioError):
        ge2e.tracks(recordings, n_workers=1, kept=kept, digest="a")
    done = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert len(done) == 2 and all(path.suffix == ".npz" for path in done)  # of recordings 0 to 3
    recordings[4].write_bytes(sounds[4])
    for path in recordings[:4]:
        path.write_bytes(b"broken")  # reading one of them again would raise
    capsys.readouterr()
    rows, starts = ge2e.tracks(recordings, n_workers=1, kept=kept, digest="a")
    assert "7/7" in capsys.readouterr().err
    assert rows.tobytes() == whole.tobytes() and rows.dtype == whole.dtype and starts.tolist() == offsets.tolist()
    assert {path: path.stat().st_mtime_ns for path in done} == done and len(list(kept.iterdir())) == 4
    with pytest.raises(AudioError):
        ge2e.tracks(recordings, n_workers=1, kept=kept, digest="b")


def test_what_was_kept_counts_for_the_same_recordings_weights_and_content_alone(monkeypatch):
    parts = [["0.wav", "1.wav"], ["2.wav"]]
    first = ge2e._keys(parts, "a")
    assert ge2e._keys(parts, "a") == first and len(set(first)) == 2
    others = [*ge2e._keys(parts, "b"), *ge2e._keys([["0.wav"], ["1.wav", "2.wav"]], "a")]
    another = replace(weights.NETWORKS["speaker"], sha256="another")
    monkeypatch.setattr(weights, "NETWORKS", {"speaker": another})
    others += ge2e._keys(parts, "a")
    assert len({*first, *others}) == 8


def test_a_checkpoint_with_this_encoder_draws_a_face(tmp_path, encoder):
    architecture = Architecture(1.0, 0.0625, "batch", True, "k4", "ge2e")
    generator = Generator(width=0.0625, embedding_dim=256).eval()
    inference.save(tmp_path, inference.Model(encoder, generator, architecture, "test"))
    model = inference.load(tmp_path)
    embedding = model.embed(ge2e_front_end.partials(voice(4.0)))
    assert embedding.shape == (256,) and np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
    face = model.reconstruct(voice(4.0))
    assert face.shape == (64, 64, 3) and face.dtype == np.uint8


def test_two_sources_of_weights_at_once_are_refused():
    with pytest.raises(ParameterError, match=r"voice\.checkpoint"):
        params.resolve("smoke", root=ROOT, overrides={"voice.encoder": "ge2e", "voice.checkpoint": "weights.pth"})


def test_real_speakers_are_told_apart_over_videos():
    root = Path(os.environ.get("S2F_REAL", ROOT.parent / "shared" / "real"))
    if not root.is_dir():
        pytest.skip(f"no real sample at {root}: set S2F_REAL")
    paths = sorted((root / "voxceleb1" / "wav").glob("*/*/*"))
    rows, offsets = ge2e.tracks(paths, n_workers=2)
    means = data.Tracks(rows, offsets, np.arange(len(paths)), device="cpu", per_s=ge2e_front_end.PER_S).whole()
    vectors = torch.nn.functional.normalize(means, dim=1).numpy()
    names, videos = np.array([p.parts[-3] for p in paths]), np.array([p.parts[-2] for p in paths])
    rng = np.random.default_rng(0)
    rates = verification.error_rates(vectors, names, sources=videos, rng=rng, n_resamples=50)
    print(f"equal error rate {rates.equal_error_rate.value:.3f}, {rates.n_same} pairs of the same person")
    assert rates.n_same > 50 and rates.equal_error_rate.value < 0.12


def test_pieces_of_a_long_recording_give_what_the_whole_gives(encoder, monkeypatch):
    mels = ge2e_front_end.partials(voice(8.0))
    with torch.no_grad():
        whole = encoder(torch.from_numpy(mels))
        sizes = []
        monkeypatch.setattr(models, "GE2E_PIECE", 3)
        monkeypatch.setattr(
            encoder, "forward", lambda part: sizes.append(len(part)) or type(encoder).forward(encoder, part)
        )
        found = encoder.in_pieces(mels)
    assert sizes == [3] * (len(mels) // 3) + [len(mels) % 3] * bool(len(mels) % 3) and len(sizes) > 2
    torch.testing.assert_close(found, whole, atol=1e-6, rtol=1e-5)
