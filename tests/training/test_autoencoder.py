"""One iteration of the face code against a plain description of it, and what a training of it promises."""

import numpy as np
import pytest
import torch

from s2f.errors import CheckpointError, TrainingError
from s2f.networks import codes, inference
from s2f.training import autoencoder, data, loop, saves
from tests.training.small import CODE, apart, but, equal, learn_code, photos, weights


def trainer(*, using=None, **what):
    return autoencoder.Trainer(using or photos(), settings=but(CODE, **what), setup=loop.Setup(3))


def plain_adams(t):
    """The optimisers as they are described, in place of the engine's own."""
    for name, network in (("network", t.network), ("discriminator", t.discriminator)):
        rate = getattr(t.settings, f"learning_rate_{'generator' if name == 'network' else name}")
        adam = torch.optim.Adam(network.parameters(), lr=rate, betas=(t.settings.beta_1, t.settings.beta_2))
        setattr(t, f"{name}_adam", adam)
    return t


def plain_iteration(t):
    """The description of an iteration, written plainly."""
    s = t.settings
    t.step += 1
    factor = min(1, (s.steps - t.step + 1) / (s.steps / 2))
    t.network_adam.param_groups[0]["lr"] = factor * s.learning_rate_generator
    t.discriminator_adam.param_groups[0]["lr"] = factor * s.learning_rate_discriminator
    picked = torch.randint(15, (s.batch_size,), generator=t.batches)
    mirrored = torch.rand(s.batch_size, generator=t.batches) < 0.5
    faces = [(t.photos.faces[i].float() - 127.5) / 127.5 for i in picked]
    real = torch.stack([face.flip(2) if m else face for face, m in zip(faces, mirrored, strict=True)])
    noise = torch.randn(s.batch_size, s.dim, generator=t.noise)
    made = t.network.decoder(t.network.encoder(real)[:, :, 0, 0] + s.noise * noise)
    wrong = (made - real).permute(2, 3, 0, 1)  # rows, columns
    edges = 0
    for weight, pairs in ((1, 1), (0.5, 2)):
        for away in (wrong, wrong.transpose(0, 1)):
            lines = [(one - other).abs() / s.edge_scale for one, other in zip(away[pairs:], away[:-pairs], strict=True)]
            edges += weight * s.edge_scale * (1 + torch.stack(lines)).log().mean()
    out = {"g_pixel": wrong.abs().mean(), "g_edge": edges}
    loss = s.weight_pixel * out["g_pixel"] + s.weight_edge * out["g_edge"]
    if t.step > s.discriminator_from * s.steps:

        def looked_at(x):
            found = []
            for layer in t.discriminator.layers:
                x = layer(x)
                x = torch.where(x > 0, x, 0.2 * x)
                found.append(x)
            return (t.discriminator.whole(found[3]), t.discriminator.parts(found[2])), found

        of_real, of_made = looked_at(real)[0], looked_at(made.detach())[0]
        right = [(1 - score).clamp(min=0).mean() for score in of_real]
        wrong = [(1 + score).clamp(min=0).mean() for score in of_made]
        out["d"] = (sum(right) + sum(wrong)) / 2
        t.discriminator_adam.zero_grad()
        out["d"].backward()
        t.discriminator_adam.step()
        _, wanted = looked_at(real)
        scores, found = looked_at(made)
        assert [each.shape[2:] for each in found] == [(32, 32), (16, 16), (8, 8), (4, 4)]
        assert [score.shape[2:] for score in scores] == [(1, 1), (8, 8)]
        out["g_real"] = -sum(score.mean() for score in scores) / 2
        pairs = zip(found, wanted, strict=True)
        out["g_feature"] = sum((one - other.detach()).abs().mean() for one, other in pairs) / 4
        loss = loss + s.weight_real * out["g_real"] + s.weight_feature * out["g_feature"]
    t.network_adam.zero_grad()
    loss.backward()
    t.network_adam.step()
    decay = min(s.average_decay, (1 + t.step) / (10 + t.step))
    for kept, now in zip(t.average.parameters(), t.network.parameters(), strict=True):
        kept.data.mul_(decay).add_(now.data, alpha=1 - decay)
    return {k: v.item() for k, v in out.items()}


def test_an_iteration_is_that_of_a_plain_loop():
    few = {"beta_1": 0.4, "beta_2": 0.6}  # not Adam's own
    engine, plain, start = trainer(**few), plain_adams(trainer(**few)), trainer()
    for adam in (engine.network_adam, engine.discriminator_adam, plain.network_adam, plain.discriminator_adam):
        adam.param_groups[0]["eps"] = 1e-2  # a gradient that is rounding moves no weight by a step: there are few
    for n in range(4):
        losses, expected = engine.iterate(), plain_iteration(plain)
        assert set(losses) == set(expected) and ("d" in losses) == (n >= 2)
        for name, value in expected.items():
            assert losses[name].item() == pytest.approx(value, rel=1e-3, abs=3e-4), (n, name)
    for name in ("network", "average", "discriminator"):
        moved = [key for key, _ in getattr(engine, name).named_parameters()]
        parameters = ({key: weights(getattr(t, name))[key] for key in moved} for t in (engine, plain, start))
        for key, share in apart(*parameters).items():
            idle = [f"decoder.model.{n}.bias" for n in (0, 3, 6, 9)]  # before batch norm; their gradient is rounding
            assert key in idle or share < 0.1, f"{name}.{key}: {share}"


def test_the_step_of_the_code_leaves_the_discriminator_alone_and_all_weights_move():
    t = trainer(discriminator_from=0.0)
    before = {name: weights(getattr(t, name)) for name in ("network", "discriminator", "average")}
    real = t.photos.images(torch.arange(4))
    t._teach_discriminator(real, real.flip(0), report=False)
    taught = weights(t.discriminator)
    grads = [p.grad.clone() for p in t.discriminator.parameters()]
    values = t._judged(real, t.network(real))
    (values["g_real"] + values["g_feature"]).backward()
    assert all(torch.equal(a, p.grad) for a, p in zip(grads, t.discriminator.parameters(), strict=True))
    assert not equal(before["discriminator"], taught)
    t.iterate()
    for name, old in before.items():
        parameters = dict(getattr(t, name).named_parameters())
        assert all(not torch.equal(old[key], value) for key, value in parameters.items()), name


def test_faces_are_learned(tmp_path):
    """Four plain colours, left of them another one: after a short training they come back, each its own way."""
    colours = np.random.default_rng(2).integers(20, 236, (4, 2, 3)).astype(np.uint8)
    faces = np.repeat(np.repeat(colours[:, None], 64, 1), 32, 2)  # [4, 64, 64, 3]
    known = data.Photos(faces, device="cpu")
    what = {"steps": 120, "batch_size": 8, "learning_rate_generator": 5e-3, "flip": False, "average_decay": 0.9}
    network = learn_code(tmp_path, settings=but(CODE, **what), using=known)
    drawn = inference.rendered(network.decoder, autoencoder.encode(network, known)).astype(int)
    errors = np.abs(drawn[:, None] - faces[None]).mean((2, 3, 4))
    assert (errors.argmin(1) == np.arange(4)).all() and np.diag(errors).max() < 20
    log = saves.read_log(tmp_path / "log.jsonl")
    assert log[-1]["g_pixel"] < log[0]["g_pixel"] / 3


@pytest.mark.parametrize("decay", [0.995, 0.0])
def test_codes_of_the_kept_network_have_mean_0_and_deviation_1(decay):
    t = trainer(using=photos(n=40), average_decay=decay)
    for _ in range(6):
        t.iterate()
    network = t.kept()
    assert network is (t.average if decay else t.network) and not network.training
    first = weights(network)
    made = torch.cat([autoencoder.encode(network, t.photos, mirrored=way) for way in (False, True)])
    torch.testing.assert_close(made.mean(0), torch.zeros(6), atol=0.25, rtol=0)  # half of the 80 were looked at
    torch.testing.assert_close(made.std(0), torch.ones(6), atol=0.25, rtol=0)
    mixed = torch.cat(list(t._settling()))
    assert len(mixed) == 40
    looked_at = network.encode(mixed)
    torch.testing.assert_close(looked_at.mean(0), torch.zeros(6), atol=0.01, rtol=0)
    torch.testing.assert_close(looked_at.std(0), torch.ones(6), atol=0.02, rtol=0)  # layers before it count n - 1 too
    assert equal(first, weights(t.kept()))  # taken anew they are the same


def test_statistics_are_taken_from_batches_of_equal_size():
    t = trainer(using=photos(n=2 * autoencoder.BATCH + 1))
    assert [len(batch) for batch in t._settling()] == [171, 171, 171]


def test_codes_are_those_of_each_photograph_and_of_its_mirror_image():
    network, some = trainer().average, photos(n=5)
    faces = some.images(torch.arange(5))
    torch.testing.assert_close(autoencoder.encode(network, some), network.encode(faces))
    torch.testing.assert_close(autoencoder.encode(network, some, mirrored=True), network.encode(faces.flip(3)))


def test_resumed_equals_uninterrupted(tmp_path):
    whole = learn_code(tmp_path / "whole")
    learn_code(tmp_path / "cut")
    saves.saved_steps(tmp_path / "cut" / "state", fingerprint="k")[-1].unlink()  # as if it had been killed after step 4
    resumed = learn_code(tmp_path / "cut")
    assert equal(weights(whole), weights(resumed))
    logs = [saves.read_log(tmp_path / name / "log.jsonl") for name in ("whole", "cut")]
    logs = [[{k: v for k, v in line.items() if k not in ("it_per_s", "memory_mb")} for line in log] for log in logs]
    assert logs[0] == logs[1] and [line["step"] for line in logs[0]] == [2, 4, 6, 8]
    assert {"d_right", "score_gap", "diversity", "grad_generator", "grad_critics"} <= set(logs[0][-1])
    assert not equal(weights(whole), weights(learn_code(tmp_path / "other", seed=1)))


def test_trouble_is_said_with_the_name_of_its_own_parameters(tmp_path, monkeypatch):
    monkeypatch.setattr("s2f.training.health.PATIENCE", 1)
    flat = data.Photos(np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8), device="cpu")
    monkeypatch.setattr(autoencoder.Trainer, "_photographs", lambda own: own.photos.images(torch.tensor([0, 0, 1, 1])))
    monkeypatch.setattr(codes.FaceCode, "decode", lambda self, made: 0 * self.decoder(made))
    with pytest.raises(TrainingError, match=r"no_diversity at step 2.*code\.learning_rate.*code\.on_trouble"):
        learn_code(tmp_path, settings=but(CODE, on_trouble="stop", discriminator_from=1.0), using=flat)


def test_bfloat16_trains_near_float32_and_keeps_float32_weights():
    settings = but(CODE, discriminator_from=0.0, learning_rate_generator=1e-4)
    one, two = (
        autoencoder.Trainer(photos(), settings=settings, setup=loop.Setup(0, precision=precision))
        for precision in ("float32", "bfloat16")
    )
    for _ in range(3):
        first, second = one.iterate(report=True), two.iterate(report=True)
    assert all(p.dtype == torch.float32 for p in [*two.network.parameters(), *two.discriminator.parameters()])
    assert first["g_pixel"].item() != second["g_pixel"].item()
    for name in ("d", "g_pixel", "g_edge", "g_feature"):
        assert first[name].item() == pytest.approx(second[name].item(), rel=0.05, abs=0.02), name


def test_one_photograph_is_refused():
    with pytest.raises(TrainingError, match=r"1 photograph"):
        trainer(using=photos(n=1))


def test_a_kept_code_is_read_back(tmp_path):
    network = learn_code(tmp_path)
    codes.save(tmp_path, network)
    again = codes.load(tmp_path)
    assert equal(weights(network), weights(again)) and not again.training
    with pytest.raises(CheckpointError, match=r"code\.safetensors is not there"):
        codes.load(tmp_path / "nowhere")
    wider = codes.FaceCode(width=0.125, dim=6)
    wider.width = 0.0625
    codes.save(tmp_path, wider)
    with pytest.raises(CheckpointError, match=r"code\.safetensors is of another architecture"):
        codes.load(tmp_path)
