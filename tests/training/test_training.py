import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from s2f import tensors
from s2f.errors import CheckpointError, TrainingError
from s2f.features import front_end
from s2f.networks import inference
from s2f.networks.models import Architecture, Generator, VoiceEmbedding, start_smooth, unit
from s2f.report import sheets
from s2f.study import params
from s2f.training import gan, saves, speaker, tracks

ROOT = Path(__file__).resolve().parents[2]
SMOKE = params.resolve("smoke", root=ROOT)
SETTINGS = replace(
    gan.GanSettings(**SMOKE["gan"]),
    width=0.0625,
    steps=8,
    batch_size=4,
    log_every=2,
    save_every=4,
    sample_every=4,
    learning_rate_generator=5e-4,
    decay_from=1.0,
    critics_from=0.0,
    noise=0.05,
    spread=0.3,
    n_photographs=3,
    weight_real=1.0,
    weight_identity=1.0,
    weight_pixel=2.0,
    weight_edge=1.0,
)
POSTER = replace(gan.GanSettings(**params.resolve("voxceleb", root=ROOT)["gan"]), width=0.0625, steps=8, batch_size=4)


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
    return gan.Pairs(kept, np.arange(12) % n_identities, faces, np.arange(n_faces) % n_identities, device="cpu")


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


@pytest.mark.parametrize(
    "settings",
    [SETTINGS, replace(SETTINGS, n_photographs=1, spread=0.0), POSTER],
    ids=["short", "one photograph", "poster"],
)
def test_an_iteration_is_that_of_a_plain_loop(settings):
    """The engine against the description of it, written plainly: separate passes, no caches."""
    data = pairs()
    engine = gan.Trainer(data, settings=settings, seed=3)
    plain = gan.Trainer(data, settings=settings, seed=3)
    start = gan.Trainer(data, settings=settings, seed=3)
    for _ in range(2):
        losses = engine.iterate()
        expected = plain_iteration(plain)
        for name, value in expected.items():
            assert losses[name].item() == pytest.approx(value, rel=2e-4, abs=1e-5), name
    for name in ("generator", "critics", "average") if settings.average_decay else ("generator", "critics"):
        shares = apart(*(getattr(trainer, name).state_dict() for trainer in (engine, plain, start)))
        for key in shares:
            if name in ("generator", "average") and _idle(getattr(engine, name), key):
                continue  # a bias before batch norm is idle: its gradient is rounding, which Adam blows up
            assert shares[key] < 0.03, f"{name}.{key}"


def _idle(generator, key):
    _, index, kind = key.split(".")
    return kind == "bias" and f"model.{int(index) + 1}.running_mean" in generator.state_dict()


def plain_voices(t, recordings):
    s, p = t.settings, t.pairs
    low, high = tracks.crop_vectors(s.min_crop_s, s.max_crop_s)
    n = int(torch.randint(low, high + 1, (), generator=t.batches))
    starts = torch.rand(s.batch_size, generator=t.batches)
    clean = []
    for r, u in zip(recordings.tolist(), starts, strict=True):
        first = int(u * (int(p.tracks.lengths[r]) - n + 1))
        at = int(p.tracks.starts[r])
        steps = (
            p.tracks.sums[at + 1 : at + 1 + int(p.tracks.lengths[r])]
            - p.tracks.sums[at : at + int(p.tracks.lengths[r])]
        )
        clean.append(steps[first : first + n].mean(0))
    clean = F.normalize(torch.stack(clean))
    noisy = clean + s.noise * torch.randn(clean.shape, generator=t.noise)
    if s.spread:
        whole = torch.stack(
            [
                (p.tracks.sums[at + n] - p.tracks.sums[at]) / n
                for at, n in zip(p.tracks.starts.tolist(), p.tracks.lengths.tolist(), strict=True)
            ]
        )
        values, axes = torch.linalg.eigh(torch.cov(F.normalize(whole).T))
        along = torch.randn(clean.shape, generator=t.noise) * values.clamp(min=0).sqrt()
        noisy = noisy + s.spread * torch.einsum("bk,dk->bd", along, axes)
    return F.normalize(noisy)


def plain_iteration(t):
    s, p = t.settings, t.pairs
    t.step += 1
    recordings = torch.randint(len(p.tracks), (s.batch_size,), generator=t.batches)
    voices = plain_voices(t, recordings)
    picked = torch.randint(len(p.faces), (s.batch_size,), generator=t.batches)

    def photographs(rows):
        faces = [(p.faces[r].float() - 127.5) / 127.5 for r in rows]
        mirrored = torch.rand(len(faces), generator=t.batches) < 0.5
        return torch.stack([f.flip(2) if m else f for f, m in zip(faces, mirrored, strict=True)])

    real, labels = photographs(picked), p.face_identities[picked]
    fake = t.generator(voices)
    critics = t.critics
    trunk = critics.trunk(torch.cat([real, fake.detach()]))  # one pass: spectral norm steps once a pass
    score_real, score_fake = (critics.discriminator(part)[:, 0] for part in trunk.chunk(2))
    if s.loss == "hinge":
        d = (1 - score_real).clamp(min=0).mean() + (1 + score_fake).clamp(min=0).mean()
    else:
        d = F.binary_cross_entropy_with_logits(score_real, torch.ones(s.batch_size))
        d = d + F.binary_cross_entropy_with_logits(score_fake, torch.zeros(s.batch_size))
    c = F.cross_entropy(critics.classifier(trunk[: s.batch_size]), labels)
    t.critics_adam.zero_grad()
    (d + c).backward()
    t.critics_adam.step()
    trunk = critics.trunk(fake)
    score = critics.discriminator(trunk)[:, 0]
    g_real = -score.mean() if s.loss == "hinge" else F.binary_cross_entropy_with_logits(score, torch.ones(s.batch_size))
    identities = p.recording_identities[recordings]
    g_identity = F.cross_entropy(critics.classifier(trunk), identities)
    loss = s.weight_real * g_real + s.weight_identity * g_identity
    out = {"d": d, "c": c, "g_real": g_real, "g_identity": g_identity}
    if s.weight_pixel:
        draws = torch.rand(s.batch_size * s.n_photographs, generator=t.batches).reshape(s.batch_size, -1)
        mirrored = torch.rand(s.batch_size, generator=t.batches) < 0.5 if s.n_photographs == 1 else [None] * len(fake)
        drawn, targets = fake, []
        for face, identity, own, mirror in zip(fake.detach(), identities.tolist(), draws, mirrored, strict=True):
            rows = p.face_starts[identity] + (own * p.face_counts[identity]).long()
            assert (p.face_identities[rows] == identity).all()
            photos = [(p.faces[r].float() - 127.5) / 127.5 for r in rows]
            if len(photos) == 1:
                targets += [photos[0].flip(2)] if mirror else photos
                continue
            both = [way for photo in photos for way in (photo, photo.flip(2))]
            small = [F.interpolate(x[None], (16, 16), mode="area")[0] for x in (face, *both)]
            targets.append(min(zip(both, small[1:], strict=True), key=lambda x: (x[1] - small[0]).abs().mean())[0])
        target = torch.stack(targets)
        out["g_pixel"] = (drawn - target).abs().mean()
        down = (drawn[:, :, 1:] - drawn[:, :, :-1]) - (target[:, :, 1:] - target[:, :, :-1])
        across = (drawn[..., 1:] - drawn[..., :-1]) - (target[..., 1:] - target[..., :-1])
        out["g_edge"] = down.abs().mean() + across.abs().mean()
        loss = loss + s.weight_pixel * out["g_pixel"] + s.weight_edge * out["g_edge"]
    t.generator_adam.zero_grad()
    loss.backward()
    t.generator_adam.step()
    if s.average_decay:
        decay = min(s.average_decay, (1 + t.step) / (10 + t.step))
        for kept, now in zip(t.average.parameters(), t.generator.parameters(), strict=True):
            kept.data.mul_(decay).add_(now.data, alpha=1 - decay)
        t.average.load_state_dict({**t.generator.state_dict(), **dict(t.average.named_parameters())})
    return {k: v.item() for k, v in out.items()}


def test_the_generator_step_leaves_the_critics_alone_and_all_weights_move():
    trainer = gan.Trainer(pairs(), settings=SETTINGS, seed=0)
    before = {n: weights(getattr(trainer, n)) for n in ("generator", "critics", "average")}
    trainer.iterate()
    for name, old in before.items():
        parameters = dict(getattr(trainer, name).named_parameters())
        assert all(not torch.equal(old[k], v) for k, v in parameters.items()), name
    grads = [p.grad.clone() for p in trainer.critics.parameters()]
    trainer.critics.requires_grad_(False)
    scores, _ = trainer.critics(trainer.generator(torch.randn(4, 64)), 4)
    scores.sum().backward()
    assert all(torch.equal(a, p.grad) for a, p in zip(grads, trainer.critics.parameters(), strict=True))


def run(folder, *, settings=SETTINGS, key="k", seed=0, data=None, **more):
    return gan.train(
        data or pairs(),
        settings=settings,
        seed=seed,
        n_threads=1,
        folder=folder,
        fingerprint=key,
        samples=torch.randn(2, 64, generator=torch.Generator().manual_seed(0)),
        **more,
    )


def test_resumed_equals_uninterrupted(tmp_path):
    whole = run(tmp_path / "whole")
    run(tmp_path / "cut", settings=replace(SETTINGS, steps=4))
    resumed = run(tmp_path / "cut")
    assert equal(weights(whole.generator), weights(resumed.generator))
    assert equal(weights(whole.average), weights(resumed.average))
    assert equal(weights(whole.critics), weights(resumed.critics))
    logs = [saves.read_log(tmp_path / name / "log.jsonl") for name in ("whole", "cut")]
    speed = {"it_per_s", "memory_mb"}
    logs = [[{k: v for k, v in line.items() if k not in speed} for line in log] for log in logs]
    assert logs[0] == logs[1] and [line["step"] for line in logs[0]] == [2, 4, 6, 8]
    grids = [np.load(tmp_path / name / "samples.npz") for name in ("whole", "cut")]
    assert grids[0].files == grids[1].files == ["00000004", "00000008"]
    assert all(np.array_equal(grids[0][k], grids[1][k]) for k in grids[0].files)


def test_a_truncated_save_is_passed_over(tmp_path, capsys):
    whole = run(tmp_path / "whole")
    run(tmp_path / "cut")
    last = saves.saved_steps(tmp_path / "cut" / "state")[-1]
    last.write_bytes(last.read_bytes()[:5000])
    resumed = run(tmp_path / "cut")
    assert "truncated" in capsys.readouterr().out
    assert equal(weights(whole.generator), weights(resumed.generator))


def test_saves_of_other_parameters_are_not_used(tmp_path):
    one = run(tmp_path, seed=0)
    two = run(tmp_path, seed=1, key="other")
    assert not equal(weights(one.generator), weights(two.generator))
    assert two.step == SETTINGS.steps and len(saves.saved_steps(tmp_path / "state")) == 2


def test_a_loss_that_is_not_finite_stops_and_keeps_the_save(tmp_path, monkeypatch):
    run(tmp_path, settings=replace(SETTINGS, steps=4))
    good = saves.saved_steps(tmp_path / "state")
    monkeypatch.setattr(gan.Trainer, "_generator_loss", lambda self, fake: fake.mean() * float("nan"))
    with pytest.raises(TrainingError, match=r"= nan at step 6"):
        run(tmp_path)
    assert saves.saved_steps(tmp_path / "state") == good


def test_identities_without_voice_or_face_are_refused():
    kept = pairs().tracks
    faces = np.zeros((4, 64, 64, 3), np.uint8)
    with pytest.raises(TrainingError, match="3 identities with voices and 2 with faces"):
        gan.Pairs(kept, np.arange(12) % 3, faces, np.array([0, 0, 1, 1]), device="cpu")
    with pytest.raises(TrainingError, match="1 identities with voices"):
        gan.Pairs(kept, np.zeros(12, int), faces, np.zeros(4, int), device="cpu")


def test_the_digest_moves_with_the_data():
    one, two = pairs(), pairs()
    assert one.digest() == two.digest()
    two.faces[0, 0, 0, 0] += 1
    assert one.digest() != two.digest()


def test_a_smooth_start_interpolates():
    """With one channel and taps of interpolation by two, an upsampling layer is a bilinear resize inside."""
    network = Generator(width=0.0625)
    start_smooth(network, generator=torch.Generator().manual_seed(0))
    layer = network.model[3]
    x = torch.rand(1, layer.in_channels, 4, 4)
    mixture = layer.weight[:, :, 1, 1] / 0.5625
    assert mixture.std().item() == pytest.approx(layer.in_channels**-0.5, rel=0.1)
    wanted = F.interpolate(torch.einsum("bchw,cd->bdhw", x, mixture), scale_factor=2, mode="bilinear")
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    assert torch.allclose((layer(x) - layer.bias[:, None, None])[inside], wanted[inside], atol=1e-5)


def test_before_the_critics_take_part_the_generator_learns_from_photographs_alone():
    trainer = gan.Trainer(pairs(), settings=replace(SETTINGS, critics_from=0.5), seed=0)
    before = weights(trainer.critics), weights(trainer.generator)
    losses = [set(trainer.iterate()) for _ in range(4)]
    assert all(names == {"g_pixel", "g_edge"} for names in losses)
    assert equal(before[0], weights(trainer.critics)) and not equal(before[1], weights(trainer.generator))
    assert "d" in trainer.iterate() and not equal(before[0], weights(trainer.critics))


def test_learning_rates_fall_to_zero_at_the_end():
    trainer = gan.Trainer(pairs(), settings=replace(SETTINGS, decay_from=0.5), seed=0)
    rates = []
    for trainer.step in range(1, 9):
        trainer._set_learning_rates()
        rates.append(trainer.generator_adam.param_groups[0]["lr"] / SETTINGS.learning_rate_generator)
    assert rates[:5] == [1, 1, 1, 1, 1] and rates[5:] == [0.75, 0.5, 0.25]


def speak(folder, frames, who, **what):
    settings = {"width": 0.0625, "steps": 30, "batch_size": 8, "log_every": 2, "save_every": 4, **what}
    n = len(frames) // len(who)
    return speaker.train(
        frames,
        np.arange(len(who)) * n,
        np.full(len(who), n),
        who,
        settings=replace(speaker.SpeakerSettings(**SMOKE["voice"]), **settings),
        seed=0,
        device="cpu",
        n_threads=1,
        folder=folder,
        fingerprint="k",
    )


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


def test_one_speaker_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="1 speaker"):
        speak(tmp_path, np.zeros((1600, 64), np.float32), np.zeros(4, int))


def test_crops_of_frames_wrap_around_a_short_recording():
    frames = np.arange(30, dtype=np.float16)[:, None].repeat(64, 1)
    held = speaker._Frames(frames, np.array([0, 10]), np.array([10, 20]), device="cpu")
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
    kept = saves.saved_steps(cut / "state")
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
    loaded, _ = tensors.load(saves.saved_steps(folder / "state")[-1])
    return loaded["schedule"].tolist()


def test_a_model_survives_saving(tmp_path):
    architecture = Architecture(0.0625, 0.0625, "batch", True, "k4")
    model = inference.Model(
        architecture.voice_embedding().eval(), architecture.generator().eval(), architecture, "test"
    )
    inference.save(tmp_path, model)
    back = inference.load(tmp_path)
    features = np.random.default_rng(0).normal(size=(1000, 64)).astype(np.float32)
    assert np.array_equal(model.embed(features), back.embed(features)) and back.name == "test"
    assert np.linalg.norm(back.embed(features)) == pytest.approx(1, abs=1e-5)


def test_a_processed_recording_gives_the_face_of_its_features(tmp_path):
    architecture = Architecture(0.0625, 0.0625, "batch", True, "k4")
    model = inference.Model(architecture.voice_embedding().eval(), architecture.generator().eval(), architecture, "t")
    frames = np.random.default_rng(0).normal(size=(300, 64))
    np.save(tmp_path / "clip.npy", frames)
    features = front_end.repeat(front_end.normalise(frames))
    expected = inference.draw(model.generator, torch.from_numpy(model.embed(features))[None])[0]
    assert np.array_equal(model.reconstruct(tmp_path / "clip.npy"), expected)
    wave, mask, log_mel = sheets.recording(tmp_path / "clip.npy")
    assert wave is None and mask is None and np.array_equal(log_mel, front_end.normalise(frames))


def test_checkpoints_that_are_not_there_or_broken_are_errors(tmp_path):
    with pytest.raises(CheckpointError, match="make book"):
        inference.load(tmp_path)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="truncated"):
        inference.load(tmp_path)
    architecture = Architecture(0.0625, 0.0625, "none", True, "k4")
    model = inference.Model(architecture.voice_embedding(), architecture.generator(), architecture, "")
    header = {"architecture": {**architecture.__dict__, "head": "k1"}, "name": ""}
    weights = {f"voice_embedding.{k}": v for k, v in model.voice_embedding.state_dict().items()}
    tensors.save(tmp_path / "checkpoint.safetensors", weights, header=header)
    with pytest.raises(CheckpointError, match="another architecture"):
        inference.load(tmp_path)


def test_a_log_loses_what_comes_after_the_resumed_step(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"step": 1}) + "\n" + json.dumps({"step": 2}) + '\n{"step": 3')
    saves.Log(path, from_step=1).write({"step": 2, "loss": 0.5})
    assert saves.read_log(path) == [{"step": 1}, {"step": 2, "loss": 0.5}]
