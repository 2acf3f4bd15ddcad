"""Small trainings that the tests of this folder share."""

from pathlib import Path

import numpy as np
import torch

from s2f.networks.codes import FaceCode
from s2f.networks.models import seeded
from s2f.settings import Code, Sampler
from s2f.study import params
from s2f.training import autoencoder, data, gan, loop, sampler, speaker, tracks

ROOT = Path(__file__).resolve().parents[2]
SMOKE = params.resolve("smoke", root=ROOT)


def but(settings, **what):
    """Settings with some values changed."""
    return settings.model_copy(update=what)


SETTINGS = but(
    params.resolve("voxceleb", root=ROOT).gan,
    width=0.0625,
    steps=8,
    batch_size=4,
    log_every=2,
    save_every=4,
    sample_every=4,
    learning_rate_generator=5e-4,
    learning_rate_discriminator=1e-3,
    weight_real=0.5,
    weight_identity=2.0,
)
PLAIN = but(SETTINGS, norm="none", batch_size=8)  # batch norm is each process's own on a CPU

CODE = Code(
    more_photos=[],
    discriminator_width=0.0625,
    width=0.0625,
    dim=6,
    smooth_start=True,
    steps=8,
    batch_size=4,
    log_every=2,
    save_every=4,
    learning_rate_generator=5e-4,
    learning_rate_discriminator=2.5e-4,
    beta_1=0.5,
    beta_2=0.999,
    decay_from=0.5,
    discriminator_from=0.25,
    noise=0.1,
    flip=True,
    weight_pixel=10.0,
    weight_edge=5.0,
    edge_scale=0.1,
    weight_feature=3.0,
    weight_real=0.3,
    average_decay=0.995,
    on_trouble="warn",
)
SAMPLER = Sampler(
    width=0.125,
    steps=8,
    batch_size=16,
    log_every=2,
    save_every=4,
    min_crop_s=3.0,
    max_crop_s=8.0,
    kind="flow",
    game=False,
    n_layers=2,
    n_axes=4,
    learning_rate=2e-3,
    decay_from=0.5,
    noise=0.3,
    smoothing=0.0,
    dropped=0.1,
    flip=True,
    average_decay=0.995,
    n_steps=8,
    guidance=1.0,
)


def voice_tracks(*, n=12, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(32, 50, n)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = np.repeat(rng.normal(size=(n, 64)), lengths, axis=0) + rng.normal(size=(lengths.sum(), 64))
    return rows.astype(np.float32), offsets


def pairs(*, n_identities=3, n_faces=15):
    rows, offsets = voice_tracks()
    kept = tracks.Tracks(rows, offsets, np.arange(12), device="cpu")
    faces = np.random.default_rng(1).integers(0, 256, (n_faces, 64, 64, 3)).astype(np.uint8)
    return data.Pairs(kept, np.arange(12) % n_identities, faces, np.arange(n_faces) % n_identities, device="cpu")


def weights(network):
    return {k: v.clone() for k, v in network.state_dict().items()}


def equal(a, b):
    return all(torch.equal(a[k], b[k]) for k in a)


def apart(got, expected, start):
    """How far two trainings of the same weights are apart, per tensor, as a share of the way one has gone.

    Adam's first steps are as long for a gradient of 1e-9 as for one of 1, so single weights whose gradient is
    rounding go either way, another way on another processor. All weights of a tensor together do not.
    """
    shares = {}
    for key, value in expected.items():
        way = (value.float() - start[key].float()).norm()
        assert way > 0, f"{key} has not moved"
        shares[key] = float((got[key].float() - value.float()).norm() / way)
    return shares


def margin_loss(vectors, prototypes, labels, *, scale, margin):
    """Cross-entropy of cosines, that of the right one lowered by a margin, written plainly."""
    losses = []
    for vector, label in zip(vectors, labels, strict=True):
        cosines = [vector @ each / np.linalg.norm(vector) / np.linalg.norm(each) for each in prototypes]
        logits = scale * (np.array(cosines) - margin * (np.arange(len(prototypes)) == label))
        losses.append(np.log(np.exp(logits).sum()) - logits[label])
    return np.mean(losses)


def run(folder, *, settings=SETTINGS, key="k", seed=0, using=None, **setup):
    return gan.train(
        using or pairs(),
        settings=settings,
        setup=loop.Setup(seed, **setup),
        place=loop.Place(folder, key),
        samples=torch.randn(2, 64, generator=torch.Generator().manual_seed(0)),
    )


def speak(folder, frames, who, **what):
    settings = {"width": 0.0625, "steps": 30, "batch_size": 8, "log_every": 2, "save_every": 4, **what}
    n = len(frames) // len(who)
    return speaker.train(
        speaker.Recordings(frames, np.arange(len(who)) * n, np.full(len(who), n), who, device="cpu"),
        settings=but(SMOKE.voice, **settings),
        setup=loop.Setup(0),
        place=loop.Place(folder, "k"),
    )


def photos(*, n=15):
    faces = np.random.default_rng(1).integers(0, 256, (n, 64, 64, 3)).astype(np.uint8)
    return data.Photos(faces, device="cpu")


def learn_code(folder, *, settings=CODE, key="k", seed=0, using=None, **setup):
    """A small face code, trained."""
    place = loop.Place(folder, key)
    return autoencoder.train(using or photos(), settings=settings, setup=loop.Setup(seed, **setup), place=place)


def learn_sampler(folder, *, settings=SAMPLER, key="k", seed=0, using=None, **setup):
    """A small sampler, trained on the codes that a face code without training gives."""
    code = seeded(lambda: FaceCode(width=0.0625, dim=6), generator=torch.Generator().manual_seed(0))
    setup = loop.Setup(seed, **setup)
    return sampler.train(using or pairs(), code, settings=settings, setup=setup, place=loop.Place(folder, key))
