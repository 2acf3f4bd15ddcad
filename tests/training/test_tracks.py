"""Voice tracks: windows of running sums against means of rows, and against the network itself."""

import numpy as np
import torch
from torch.nn import functional as F

from s2f.networks.models import VoiceEmbedding, unit
from s2f.training import tracks
from tests.training.small import voice_tracks


def test_windows_are_means_of_rows():
    rows, offsets = voice_tracks()
    picked = np.array([5, 0, 7])
    kept = tracks.Tracks(rows, offsets, picked, device="cpu")
    got = kept.windows(torch.tensor([2, 0]), torch.tensor([3, 0]), 11)
    want = [rows[offsets[7] + 3 : offsets[7] + 14].mean(0), rows[offsets[5] : offsets[5] + 11].mean(0)]
    assert np.allclose(got.numpy(), want, atol=1e-5)
    assert np.allclose(kept.whole()[1].numpy(), rows[offsets[0] : offsets[1]].mean(0), atol=1e-5)


def calibrated_network():
    # Batch norms see data first: with untrained statistics unrelated recordings look alike.
    torch.manual_seed(0)
    network = VoiceEmbedding(width=0.125).train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.momentum = None
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(16, 64, 640))
    return network.eval()


def test_a_crop_of_the_track_is_the_embedding_of_the_crop():
    network, rng = calibrated_network(), np.random.default_rng(0)
    mels = [
        np.repeat(rng.normal(size=(n // 4 + 1, 64)), 4, axis=0)[:n].astype(np.float32) for n in (700, 1400, 1000, 333)
    ]
    rows, offsets = tracks.compute(network, mels.__getitem__, n_recordings=4, device="cpu", batch_size=2)
    kept = tracks.Tracks(rows, offsets, np.arange(4), device="cpu")
    own, cosines, others = [], [], []
    for i, mel in enumerate(mels):
        full = torch.from_numpy(tracks.repeated(mel)).T[None]
        with torch.no_grad():
            assert torch.allclose(kept.whole()[i], network(full)[0], atol=1e-5)
            for first, n in ((0, 10), (5, 12), (7, 25)):
                crop = network.sequence(full[:, :, 32 * first : 32 * (first + n)])[0].T  # [n, 64]
                cached = torch.from_numpy(rows[offsets[i] + first : offsets[i] + first + n])
                assert torch.allclose(crop[1:], cached[1:], atol=1e-5)
                window = kept.windows(torch.tensor([i]), torch.tensor([first]), n)[0]
                cosines.append(F.cosine_similarity(window, crop.mean(0), dim=0).item())
        own.append(unit(kept.whole()[i]))
    others = [float(own[i] @ own[j]) for i in range(4) for j in range(i)]
    assert np.mean(cosines) > 0.99 and min(cosines) > 0.93 and max(others) < min(cosines)


def test_repeating_fills_a_thousand_frames():
    short, long = np.arange(300 * 64).reshape(300, 64), np.zeros((1200, 64))
    assert tracks.repeated(short).shape == (1000, 64) and tracks.repeated(long).shape == (1200, 64)
    assert np.array_equal(tracks.repeated(short)[900:], short[:100])
