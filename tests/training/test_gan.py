"""One iteration of the GAN against a plain description of it, and what a training of it promises."""

import shutil

import pytest
import torch
from torch.nn import functional as F

from s2f.networks.codes import FaceCode
from s2f.networks.inference import rendered
from s2f.networks.models import seeded
from s2f.training import gan, loop, tracks
from tests.training.small import PLAIN, SETTINGS, apart, but, equal, learn_sampler, pairs, weights

OF_2019 = but(SETTINGS, norm="none", head="k1", tanh=False)


@pytest.mark.parametrize("settings", [SETTINGS, OF_2019], ids=["poster", "2019"])
def test_an_iteration_is_that_of_a_plain_loop(settings):
    """The engine against the description of it, written plainly: separate passes, no caches."""
    settings = but(settings, beta_2=0.5)  # near 1 it changes nothing that shows after two steps
    data = pairs()
    engine = gan.Trainer(data, settings=settings, setup=loop.Setup(3))
    plain = gan.Trainer(data, settings=settings, setup=loop.Setup(3))
    start = gan.Trainer(data, settings=settings, setup=loop.Setup(3))
    betas = (settings.beta_1, settings.beta_2)
    rates = (settings.learning_rate_generator, settings.learning_rate_discriminator)
    plain.generator_adam, plain.critics_adam = (
        torch.optim.Adam(network.parameters(), lr=rate, betas=betas)
        for network, rate in zip((plain.generator, plain.critics), rates, strict=True)
    )
    for _ in range(2):
        losses = engine.iterate()
        expected = plain_iteration(plain)
        for name, value in expected.items():
            assert losses[name].item() == pytest.approx(value, rel=2e-4, abs=1e-5), name
    for name in ("generator", "critics"):
        shares = apart(*(getattr(trainer, name).state_dict() for trainer in (engine, plain, start)))
        for key in shares:
            if name == "generator" and _idle(getattr(engine, name), key):
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
    return F.normalize(clean + s.noise * torch.randn(clean.shape, generator=t.noise))


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
    trunk = critics.trunk(torch.cat([real, fake.detach()]))
    score_real, score_fake = (critics.discriminator(part)[:, 0] for part in trunk.chunk(2))
    d = F.binary_cross_entropy_with_logits(score_real, torch.ones(s.batch_size))
    d = d + F.binary_cross_entropy_with_logits(score_fake, torch.zeros(s.batch_size))
    c = F.cross_entropy(critics.classifier(trunk[: s.batch_size]), labels)
    t.critics_adam.zero_grad()
    (d + c).backward()
    t.critics_adam.step()
    trunk = critics.trunk(fake)
    score = critics.discriminator(trunk)[:, 0]
    g_real = F.binary_cross_entropy_with_logits(score, torch.ones(s.batch_size))
    identities = p.recording_identities[recordings]
    g_identity = F.cross_entropy(critics.classifier(trunk), identities)
    loss = s.weight_real * g_real + s.weight_identity * g_identity
    out = {"d": d, "c": c, "g_real": g_real, "g_identity": g_identity}
    t.generator_adam.zero_grad()
    loss.backward()
    t.generator_adam.step()
    return {k: v.item() for k, v in out.items()}


def test_the_generator_step_leaves_the_critics_alone_and_all_weights_move():
    trainer = gan.Trainer(pairs(), settings=SETTINGS, setup=loop.Setup(0))
    before = {n: weights(getattr(trainer, n)) for n in ("generator", "critics")}
    trainer.iterate()
    for name, old in before.items():
        parameters = dict(getattr(trainer, name).named_parameters())
        assert all(not torch.equal(old[k], v) for k, v in parameters.items()), name
    fake = trainer.generator(torch.randn(4, 64))
    values = trainer._teach_critics(fake.detach(), report=False)
    grads = [p.grad.clone() for p in trainer.critics.parameters()]
    trainer._judge(fake, torch.arange(4) % 3, values=values).backward()
    assert all(torch.equal(a, p.grad) for a, p in zip(grads, trainer.critics.parameters(), strict=True))


def test_diversity_is_that_of_the_real_faces_for_real_faces_and_0_for_one_face():
    trainer = gan.Trainer(pairs(n_faces=15), settings=SETTINGS, setup=loop.Setup(0))
    real = (trainer.pairs.take(torch.arange(15)).float() - 127.5) / 127.5
    assert trainer._diversity(real).item() == pytest.approx(1)
    assert trainer._diversity(real[:1].expand(15, -1, -1, -1)).item() == pytest.approx(0)


def test_diversity_is_compared_with_real_faces_of_people_from_all_over():
    settings = but(SETTINGS, batch_size=2)
    trainer = gan.Trainer(pairs(n_faces=15), settings=settings, setup=loop.Setup(0))
    asked = []
    images = trainer.pairs.images
    trainer.pairs.images = lambda rows: asked.append(rows.tolist()) or images(rows)
    trainer._diversity(images(torch.arange(4)))
    assert asked == [[0, 2, 4, 6, 8, 10, 12, 14]]


def test_bfloat16_trains_near_float32_and_keeps_float32_weights(tmp_path):
    settings = but(PLAIN, steps=4, learning_rate_generator=1e-4)
    setups = (loop.Setup(0, precision=precision) for precision in ("float32", "bfloat16"))
    one, two = (gan.Trainer(pairs(), settings=settings, setup=setup) for setup in setups)
    for _ in range(3):
        first, second = one.iterate(report=True), two.iterate(report=True)
    assert all(p.dtype == torch.float32 for p in [*two.generator.parameters(), *two.critics.parameters()])
    assert first["d"].item() != second["d"].item()  # it does compute in another precision
    for name in ("d", "c", "g_real", "g_identity"):
        assert first[name].item() == pytest.approx(second[name].item(), rel=0.05, abs=0.02), name


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # both are torch's own doing
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_compiled_networks_train_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # torch's own is shared by all runs of a machine
    one = gan.Trainer(pairs(), settings=SETTINGS, setup=loop.Setup(0))
    two = gan.Trainer(pairs(), settings=SETTINGS, setup=loop.Setup(0, compile_mode="always"))
    for tolerance in (1e-4, 1e-3):  # the second after a step of Adam, which blows rounding up (see `apart`)
        first, second = one.iterate(), two.iterate()
        for name, value in first.items():
            assert value.item() == pytest.approx(second[name].item(), rel=tolerance, abs=1e-4), name
    assert two.generator.state_dict().keys() == one.generator.state_dict().keys()


def test_after_a_sampler_the_game_goes_on_from_the_face_code_and_leaves_the_sampler_alone(tmp_path):
    code = seeded(lambda: FaceCode(width=0.0625, dim=6), generator=torch.Generator().manual_seed(0)).eval()
    drawing = learn_sampler(tmp_path)
    before = weights(drawing)
    t = gan.Trainer(pairs(), settings=SETTINGS, setup=loop.Setup(3), start=(drawing, code))
    assert equal(weights(t.generator), weights(code.decoder))
    seen = []
    t.generator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    draws, noise = (t.batches.clone_state(), t.noise.clone_state())
    t.iterate()
    recordings = torch.randint(12, (SETTINGS.batch_size,), generator=draws)
    crops = t.pairs.tracks.crops(recordings, SETTINGS.min_crop_s, SETTINGS.max_crop_s, draws=draws)
    expected = drawing.draw(crops, torch.randn(SETTINGS.batch_size, 1, 6, generator=noise))[:, 0]
    torch.testing.assert_close(seen[0], expected)
    assert equal(before, weights(drawing)) and not equal(weights(t.generator), weights(code.decoder))
    voices = t.pairs.tracks.whole()[:3]
    assert (t.draw(voices) == rendered(t.generator.eval(), drawing.typical(voices))).all()
