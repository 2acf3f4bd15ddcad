"""Samplers learn the distribution that their codes have, given the voice, and what a training of one promises."""

import numpy as np
import pytest
import torch

from s2f.metrics import energy
from s2f.networks import codes
from s2f.networks.codes import FaceCode
from s2f.training import data, loop, processes, sampler, saves, tracks
from tests.training.small import ROOT, SAMPLER, SMOKE, apart, but, equal, learn_sampler, pairs, weights

DIM = 3


def trainer(*, using=None, made=None, **what):
    using = using or pairs()
    if made is None:
        made = torch.randn(2, using.n_faces, 6, generator=torch.Generator().manual_seed(1))
    return sampler.Trainer(using, made, settings=but(SAMPLER, **what), setup=loop.Setup(3))


def known(*, n_people=60, n_photos=30):
    """People with two voice numbers, and photographs whose codes are those numbers and noise of known deviation."""
    rng = np.random.default_rng(0)
    voices = rng.normal(size=(n_people, 2))
    at = np.stack([np.cos(0.3 * voices[:, 0]), np.sin(0.3 * voices[:, 0]), 0.3 * voices[:, 1]], axis=1)
    rows = np.repeat(at, 40, axis=0).astype(np.float32)  # a recording each, the same all along
    kept = tracks.Tracks(rows, np.arange(n_people + 1) * 40, np.arange(n_people), device="cpu")
    faces = np.zeros((n_people * n_photos, 64, 64, 3), np.uint8)
    using = data.Pairs(kept, np.arange(n_people), faces, np.repeat(np.arange(n_people), n_photos), device="cpu")
    means = np.stack([0.8 * voices[:, 0], 0.5 * voices[:, 1], np.zeros(n_people)], axis=1)
    deviations = np.array([0.4, 0.8, 1.0])
    made = means.repeat(n_photos, 0) + deviations * rng.normal(size=(n_people * n_photos, DIM))
    return using, torch.from_numpy(made[None].astype(np.float32)), means, deviations


@pytest.mark.parametrize("kind", ["flow", "energy"])
def test_what_is_drawn_is_distributed_as_what_was_learned(kind):
    using, made, means, deviations = known()
    what = {
        "steps": 800,
        "batch_size": 256,
        "n_axes": 3,
        "noise": 0.0,
        "width": 0.25,
        "learning_rate": 4e-3,
        "dropped": 0.3,
    }
    t = trainer(using=using, made=made, kind=kind, **what, average_decay=0.99)
    for _ in range(800):
        t.iterate()
    network = t.kept()
    voices = using.tracks.whole()
    noise = codes.noise(60 * 200, dim=DIM, seed=5).view(60, 200, DIM)
    network.n_steps = 16
    draws = network.draw(voices, noise).numpy()
    for column in range(2):
        slope = np.polyfit(means[:, column], draws.mean(1)[:, column], 1)[0]
        assert slope == pytest.approx(1, abs=0.15), column
    assert np.abs(draws.mean(1)[:, 2]).mean() < 0.2
    np.testing.assert_allclose(draws.std(1).mean(0), deviations, rtol=0.15)
    network.guidance = 0.0
    anybody = network.draw(voices, noise).numpy()
    np.testing.assert_allclose(anybody.std((0, 1)), np.sqrt(deviations**2 + means.var(0)), rtol=0.2)
    network.guidance = 2.0
    agreed = network.draw(voices, noise).numpy()
    assert np.polyfit(means[:, 0], agreed.mean(1)[:, 0], 1)[0] > 1.3


def test_the_loss_of_a_flow_is_that_of_the_straight_way():
    t, like = trainer(), torch.Generator().manual_seed(2)
    voices, wanted = torch.randn(5, 4, generator=like), torch.randn(5, 6, generator=like)
    times, noise = torch.rand(5, generator=like), torch.randn(5, 2, 6, generator=like)
    found = t._flow_loss(voices, torch.ones(5), wanted, times, noise)
    expected = []
    for row in range(5):
        place = (1 - times[row]) * noise[row, 0] + times[row] * wanted[row]
        velocity = t.network(place[None], times[row : row + 1], voices[row : row + 1], torch.ones(1))[0]
        expected += list(((wanted[row] - noise[row, 0]) - velocity) ** 2)
    assert found.item() == pytest.approx(sum(expected).item() / 30, rel=1e-4)


def test_the_loss_of_one_step_is_the_energy_score_of_two_draws():
    t, like = trainer(kind="energy"), torch.Generator().manual_seed(2)
    voices, wanted = torch.randn(5, 4, generator=like), torch.randn(5, 6, generator=like)
    times, noise = torch.rand(5, generator=like), torch.randn(5, 2, 6, generator=like)
    found = t._energy_loss(voices, torch.ones(5), wanted, times, noise)
    with torch.no_grad():
        drawn = [t.network(noise[:, k], torch.zeros(5), voices, torch.ones(5)) for k in range(2)]
    draws, who = torch.stack(drawn, dim=1).numpy(), np.arange(5)
    scores = energy.score_matrix(draws, who, wanted.numpy(), who, n_identities=5)
    assert found.item() == pytest.approx(np.diag(scores).mean(), rel=1e-4)


def test_noise_on_a_voice_is_in_deviations_among_recordings_of_one_person(monkeypatch):
    rng = np.random.default_rng(3)
    people = np.repeat([0, 1, 2, 3], [12, 1, 10, 2])
    values = rng.normal(size=(25, 4)).astype(np.float32)
    squares = [((values[people == each] - values[people == each].mean(0)) ** 2).sum(0) for each in range(4)]
    found = sampler.within_people(torch.from_numpy(values), torch.from_numpy(people))
    np.testing.assert_allclose(found.numpy(), np.sqrt(sum(squares) / 21), rtol=1e-5)

    using = pairs()
    monkeypatch.setattr(sampler, "N_REPEATED", 1)
    quiet, loud = trainer(using=using, noise=0.0), trainer(using=using, noise=1.75)
    for one in (quiet, loud):
        one._normal = lambda shape: torch.ones(shape)
    whole = quiet.network.condition(using.tracks.whole())
    expected = 1.75 * sampler.within_people(whole, using.recording_identities)
    added = loud._batch()[0] - quiet._batch()[0]
    assert expected.std() > 0.01
    torch.testing.assert_close(added, expected.expand_as(added), rtol=1e-4, atol=1e-5)


def test_a_batch_joins_voices_with_photographs_of_the_same_people():
    using = pairs()
    who = using.face_identities.float()
    made = torch.stack([who, 100 + who])[:, :, None].expand(-1, -1, 2) + torch.tensor([0.0, 0.5])
    t = trainer(using=using, made=made, batch_size=4000, dropped=0.25, noise=0.0)
    voices, known_, wanted, times, noise = t._batch()
    whole = t.network.condition(using.tracks.whole())
    own = (voices[:, None] - whole).norm(dim=2).argmin(1)  # a crop is nearest to its own recording
    identities = using.recording_identities[own]
    assert ((wanted[:, 0] % 100) == identities).float().mean() > 0.95
    assert (wanted[:, 0] >= 100).float().mean() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(wanted[:, 1], wanted[:, 0] + 0.5)
    assert known_.mean() == pytest.approx(0.75, abs=0.03) and set(known_.tolist()) == {0.0, 1.0}
    assert times.mean() == pytest.approx(0.5, abs=0.03) and times.min() >= 0 and times.max() < 1
    assert noise.shape == (4000, 2, 2) and noise.std() == pytest.approx(1, abs=0.05)
    noisy = trainer(using=using, made=made, batch_size=4000, noise=0.5 / sampler.TYPICAL)._batch()[0]
    assert noisy.var(0).sum() == pytest.approx((voices.var(0) + 0.25).sum().item(), rel=0.1)


def test_codes_are_spread_by_the_smoothing_alone():
    using = pairs()
    made = torch.zeros(1, using.n_faces, 6)
    sharp, smooth = (trainer(using=using, made=made, batch_size=4000, smoothing=s)._batch()[2] for s in (0.0, 0.25))
    assert sharp.abs().max() == 0
    torch.testing.assert_close(smooth.std(0), torch.full((6,), 0.25), rtol=0.05, atol=0)
    assert np.corrcoef(smooth.T.numpy())[0, 1:] == pytest.approx(0, abs=0.05)  # each number by its own


def test_only_the_weights_are_learned_and_the_axes_are_those_of_the_voices():
    t = trainer()
    before = {name: weights(getattr(t, name)) for name in ("network", "average")}
    t.iterate()
    for name, old in before.items():
        parameters = dict(getattr(t, name).named_parameters())
        still = {key for key, value in parameters.items() if torch.equal(old[key], value)}
        assert still == set(), name
    assert torch.equal(before["network"]["axes"], t.network.axes)
    seen = t.network.condition(t.pairs.tracks.whole())
    torch.testing.assert_close(seen.std(0, unbiased=False), torch.ones(4), atol=1e-2, rtol=0)


def test_what_the_voices_tell_is_learned_of_their_own_peoples_codes():
    using, made, means, _ = known()
    network = trainer(using=using, made=torch.cat([made, made]), batch_size=8).kept()
    said = network.condition(using.tracks.whole()) @ network.told.T  # [n_people, dim]
    for number in (0, 1):
        assert np.corrcoef(said[:, number], means[:, number])[0, 1] > 0.95
        assert said[:, number].std().item() == pytest.approx(np.std(means[:, number]), rel=0.15)
    assert said[:, 2].std() < 0.1  # of which no voice says anything


@pytest.mark.parametrize("kind", ["flow", "energy"])
def test_resumed_equals_uninterrupted(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(sampler, "N_REPEATED", 1)  # how far recordings lie apart is measured
    settings = but(SAMPLER, kind=kind, smoothing=0.3)
    whole = learn_sampler(tmp_path / "whole", settings=settings)
    learn_sampler(tmp_path / "cut", settings=settings)
    saves.saved_steps(tmp_path / "cut" / "state", fingerprint="k")[-1].unlink()  # as if it had been killed after step 4
    resumed = learn_sampler(tmp_path / "cut", settings=settings)
    assert equal(weights(whole), weights(resumed)) and not whole.training
    logs = [saves.read_log(tmp_path / name / "log.jsonl") for name in ("whole", "cut")]
    assert [line["loss"] for line in logs[0]] == [line["loss"] for line in logs[1]]
    assert [line["step"] for line in logs[0]] == [2, 4, 6, 8] and logs[0][-1]["grad_network"] > 0
    assert not equal(weights(whole), weights(learn_sampler(tmp_path / "other", settings=settings, seed=1)))


@pytest.mark.parametrize("decay", [0.0, 0.995])
def test_weights_that_are_saved_are_those_that_a_training_gives(tmp_path, decay):
    settings, place = but(SAMPLER, average_decay=decay), loop.Place(tmp_path, "k")
    assert sampler.saved(place, settings=settings) is None
    learn_sampler(tmp_path, settings=but(settings, steps=4))
    assert sampler.saved(place, settings=settings) is None, "steps are left"
    made = weights(learn_sampler(tmp_path, settings=settings))
    found = sampler.saved(place, settings=settings)
    assert found.keys() == made.keys() and equal(found, made)


def test_a_sampler_that_goes_on_has_its_codes_from_as_many_threads(tmp_path, monkeypatch):
    learn_sampler(tmp_path, settings=but(SAMPLER, steps=4), n_threads=1)
    learn, asked = sampler.codes_of, []
    monkeypatch.setattr(sampler, "codes_of", lambda *a, **b: asked.append(torch.get_num_threads()) or learn(*a, **b))
    learn_sampler(tmp_path, n_threads=2)
    assert asked == [1]


def test_codes_are_those_of_photographs_as_they_are_and_mirrored():
    using, code = pairs(), FaceCode(width=0.0625, dim=6).eval()
    both, plain = (sampler.codes_of(code, using, flip=flip) for flip in (True, False))
    faces = using.images(torch.arange(using.n_faces))
    torch.testing.assert_close(both, torch.stack([code.encode(faces), code.encode(faces.flip(3))]))
    assert torch.equal(plain, both[:1])


KINDS = ["flow", "energy"]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Where two processes, started once, have trained each kind."""
    root = tmp_path_factory.mktemp("two")
    words = ["sampler"]
    for kind in KINDS:
        (root / kind).mkdir()
        words += [str(root / kind), but(SAMPLER, kind=kind, smoothing=0.3).model_dump_json()]
    machine = but(SMOKE.machine, n_devices=2, rendezvous="127.0.0.1:0")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        processes.launch("tests.training.several", words, machine=machine, name="sampler")
    return root


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_give_the_result_of_one(two, tmp_path, kind):
    alone = weights(learn_sampler(tmp_path, settings=but(SAMPLER, kind=kind, smoothing=0.3)))
    two = saves.latest(two / kind / "state", fingerprint="k")[0]
    start = weights(trainer(kind=kind).network)
    del alone["centre"], alone["axes"]
    shares = apart({key: two[f"average.{key}"] for key in alone}, alone, start)
    assert max(shares.values()) < 0.05, shares


def test_where_hardly_anybody_has_two_recordings_the_noise_is_small_and_it_is_said(capsys, monkeypatch):
    assert sampler.within_people(torch.randn(6, 4), torch.tensor([0, 0, 0, 1, 2, 2])) is None
    monkeypatch.setattr(sampler, "within_people", lambda values, people: None)
    t = trainer(noise=1.75)
    torch.testing.assert_close(t.unsure, torch.full_like(t.unsure, 0.35))
    assert "Too few people have two recordings" in capsys.readouterr().out


def test_the_noise_of_a_resumed_training_is_that_which_it_began_with():
    one, other = trainer(noise=1.75), trainer(noise=0.5)
    other.take_extra({name: value.clone() for name, value in one.extra().items()})
    assert torch.equal(one.unsure, other.unsure)


@pytest.mark.parametrize("flip", [True, False])
def test_codes_of_mirrored_photographs_are_learned_where_that_is_asked(tmp_path, monkeypatch, flip):
    asked, codes_of = [], sampler.codes_of
    monkeypatch.setattr(sampler, "codes_of", lambda *what, flip: asked.append(flip) or codes_of(*what, flip=flip))
    learn_sampler(tmp_path, settings=but(SAMPLER, steps=1, flip=flip))
    assert asked == [flip]
