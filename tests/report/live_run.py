"""A small run by hand, as `s2f.report.live` reads one: generated voices, and networks that learned nothing."""

import json
from types import SimpleNamespace

import numpy as np
import soundfile
import torch

from s2f.corpora.synthetic import population, voices
from s2f.features import front_end
from s2f.networks import inference
from s2f.networks.codes import FaceCode, Sampler
from s2f.networks.inference import Model
from s2f.networks.models import Architecture, VoiceEmbedding, seeded
from s2f.training import tracks

N_PEOPLE, N_TEST = 12, 4
WIDTH = 0.125


def make(root, monkeypatch, *, run="small", variants=("general", "females", "males"), sampled=True):
    """Write ``runs/<run>/s0`` below a folder; gives the run's folder and its models."""
    home, people = root / "runs" / run / "s0", population.sample(N_PEOPLE, seed=0)
    corpus = home / "corpus"
    corpus.mkdir(parents=True)
    people.to_parquet(corpus / "people.parquet")
    (corpus / "summary.json").write_text(json.dumps({"root": "data/x"}))
    (root / "data" / "x").mkdir(parents=True)
    encoder = alive(seeded(lambda: VoiceEmbedding(width=WIDTH), generator=stream(0)))
    mels = []
    for i, person in enumerate(people.to_dict("records")):
        said, channel = (np.random.default_rng(seed) for seed in (i, 100))
        wave = voices.synthesise(person, duration_s=3.0, rng=said, channel_rng=channel)
        soundfile.write(root / "data" / "x" / f"{i}.wav", wave, front_end.SAMPLE_RATE, subtype="PCM_16")
        mels.append(front_end.features(wave.astype(np.float32)))
    settle(encoder, torch.from_numpy(np.stack(mels)).transpose(1, 2))
    (home / "voice").mkdir()
    tracks.write(home / "voice", *tracks.compute(encoder, lambda i: mels[i], n_recordings=len(mels), device="cpu"))
    (home / "store").mkdir()
    monkeypatch.setattr("s2f.report.live.Store.open", lambda folder: store(people))
    models = {name: model(encoder, name, k, sampled=sampled) for k, name in enumerate(variants)}
    for name, each in models.items():
        inference.save(home / name, each)
    return home.parent, models


def store(people):
    """What of a store is read: one recording and one photograph a person; the last people are held out."""
    index = people[["identity", "gender"]].assign(row=range(N_PEOPLE), path=[f"{i}.wav" for i in range(N_PEOPLE)])
    index["split"] = np.where(index.index < N_PEOPLE - N_TEST, "train", "test")
    faces = np.random.default_rng(0).integers(0, 256, (N_PEOPLE, 64, 64, 3), dtype=np.uint8)
    rows = lambda split: index[index["split"] == split]  # noqa: E731
    return SimpleNamespace(voices=rows, photos=rows, faces=faces)


def model(encoder, name, k, *, sampled):
    """A variant: with a sampler, whose decoder all share, or with a generator of its own."""
    code = alive(seeded(lambda: FaceCode(width=WIDTH, dim=8), generator=stream(7 if sampled else k)))
    if not sampled:
        described = Architecture(WIDTH, WIDTH, "batch", True, "k4")
        generator = alive(seeded(described.generator, generator=stream(k)))
        return Model(encoder, settle(generator, unit(64)), described, name)
    kind, guidance = (("flow", 1.5), ("flow", 1.0), ("energy", 1.0))[k]
    options = {"kind": kind, "dim": 8, "width": 32, "n_layers": 2, "n_axes": 6, "n_steps": 4, "guidance": guidance}
    drawing = seeded(lambda: Sampler(embedding_dim=64, **options), generator=stream(k)).eval()
    drawing.learn_axes(torch.randn(40, 64, generator=stream(k)))
    described = Architecture(WIDTH, WIDTH, "batch", True, "k4", "own", drawing.options)
    return Model(encoder, settle(code.decoder, torch.randn(32, 8, generator=stream(3))), described, name, drawing)


def alive(network):
    """A network whose batch norms do something, in evaluation mode."""
    for n, layer in enumerate(network.modules()):
        if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d) and layer.affine:
            torch.nn.init.normal_(layer.weight, 1.0, 0.2, generator=stream(n))
            torch.nn.init.normal_(layer.bias, 0.0, 0.2, generator=stream(n + 1))
    return network.eval()


@torch.no_grad()
def settle(network, inputs):
    """Let batch norms learn the means and deviations of their inputs, or one and the same would come out."""
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            layer.momentum = None
    network.train()(inputs)
    return network.eval()


def stream(seed):
    return torch.Generator().manual_seed(seed)


def unit(dim):
    return torch.nn.functional.normalize(torch.randn(32, dim, generator=stream(5)), dim=1)
