"""The training loop: saves to go on from after any kill, its log, and what it refuses."""

import multiprocessing
import random
import signal
import time

import numpy as np
import pytest
import torch

from s2f.errors import TrainingError
from s2f.training import gan, loop, saves
from tests.training.small import SETTINGS, but, equal, run, weights


def test_resumed_equals_uninterrupted(tmp_path):
    whole = run(tmp_path / "whole")
    run(tmp_path / "cut", settings=but(SETTINGS, steps=4))
    resumed = run(tmp_path / "cut")
    assert equal(weights(whole.generator), weights(resumed.generator))
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
    last = saves.saved_steps(tmp_path / "cut" / "state", fingerprint="k")[-1]
    last.write_bytes(last.read_bytes()[:5000])
    resumed = run(tmp_path / "cut")
    said = capsys.readouterr().out
    assert "truncated" in said and "passed over" in said and "begins anew" not in said
    assert equal(weights(whole.generator), weights(resumed.generator))
    for path in saves.saved_steps(tmp_path / "cut" / "state", fingerprint="k"):
        path.write_bytes(path.read_bytes()[:5000])
    assert saves.latest(tmp_path / "cut" / "state", fingerprint="k") is None
    assert capsys.readouterr().out.endswith("No good save is left: training begins anew.\n")


def test_saves_of_other_parameters_are_not_used(tmp_path, capsys):
    one = run(tmp_path, seed=0)
    two = run(tmp_path, seed=1, key="other")
    assert not equal(weights(one.generator), weights(two.generator))
    assert two.step == SETTINGS.steps
    again = run(tmp_path, seed=0)  # the same number of steps, and nothing of it was lost
    assert "Going on from step 8 of 8." in capsys.readouterr().out
    assert equal(weights(one.generator), weights(again.generator))


def test_a_training_stays_in_the_precision_that_it_was_begun_in(tmp_path, capsys):
    whole = run(tmp_path / "whole", precision="bfloat16")
    run(tmp_path / "cut", settings=but(SETTINGS, steps=4), precision="bfloat16")
    resumed = run(tmp_path / "cut", precision="float32")
    assert "It was begun in bfloat16, and stays so." in capsys.readouterr().out
    assert equal(weights(whole.generator), weights(resumed.generator))
    assert not equal(weights(whole.generator), weights(run(tmp_path / "other", precision="float32").generator))


def test_a_training_stays_with_the_threads_that_it_was_begun_with(tmp_path, capsys):
    run(tmp_path, settings=but(SETTINGS, steps=4), n_threads=1)
    resumed = run(tmp_path, n_threads=2)
    assert "It was begun with 1 CPU threads, and stays so." in capsys.readouterr().out
    assert (resumed.setup.n_threads, torch.get_num_threads()) == (1, 1)


def as_of_a_gpu(folder):
    """Change the last save to what a GPU leaves, whose random streams have another form."""
    last = saves.saved_steps(folder / "state", fingerprint="k")[-1]
    tensors, header = saves.load(last)
    tensors |= {name: torch.zeros(16, dtype=torch.uint8) for name in ("batches", "noise") if name in tensors}
    saves.save(last, tensors, header=header | {"device": "cuda"})


def test_a_training_goes_on_where_it_was_begun_and_is_looked_at_anywhere(tmp_path):
    run(tmp_path, settings=but(SETTINGS, steps=4))
    as_of_a_gpu(tmp_path)
    with pytest.raises(TrainingError, match=r"begun on 'cuda' and cannot go on exactly on 'cpu'.*delete .*state"):
        run(tmp_path)
    whole = run(tmp_path / "whole")
    as_of_a_gpu(tmp_path / "whole")
    assert equal(weights(whole.generator), weights(run(tmp_path / "whole").generator))


@pytest.mark.parametrize("log_every", [2, 100], ids=["in the log", "of a save alone"])
def test_a_loss_that_is_not_finite_stops_and_keeps_the_save(tmp_path, monkeypatch, log_every):
    run(tmp_path, settings=but(SETTINGS, steps=4))
    good = saves.saved_steps(tmp_path / "state", fingerprint="k")
    monkeypatch.setattr(gan.Trainer, "_judge", lambda self, fake, who, *, values: fake.mean() * float("nan"))
    with pytest.raises(TrainingError, match=r"= nan at step 6"):
        run(tmp_path, settings=but(SETTINGS, log_every=log_every, save_every=4 if log_every == 2 else 6))
    assert saves.saved_steps(tmp_path / "state", fingerprint="k") == good


@pytest.mark.parametrize(("step", "decay"), [(0, 0.1), (1, 2 / 11), (10_000, 0.9)])
def test_a_running_average_has_a_short_memory_at_first_and_the_asked_one_later(step, decay):
    average, network = (torch.nn.BatchNorm1d(2) for _ in range(2))
    network.weight.data = torch.tensor([3.0, 5.0])
    network.running_mean += 7
    loop.follow(average, network, decay=0.9, step=step)
    torch.testing.assert_close(average.weight.data, decay * torch.ones(2) + (1 - decay) * network.weight.data)
    assert torch.equal(average.running_mean, network.running_mean)  # no weight: as it is
    assert network.weight.tolist() == [3, 5]


N_STEPS, N_KILLS = 400, 20


def trained(folder):
    """What each process that is killed runs."""
    run(folder, settings=but(SETTINGS, steps=N_STEPS, save_every=5))


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path):
    # Processes of their own, forked from one that has torch loaded: what is killed trains, and does not import.
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["pytest", "s2f.study.params", "s2f.training.face_code", "s2f.training.gan"])

    def start(folder):
        process = forks.Process(target=trained, args=(folder,))
        process.start()
        return process

    def last(folder):
        return saves.saved_steps(folder / "state", fingerprint="k")[-1:]

    def ended(process):
        process.join()
        return process.exitcode

    assert ended(start(tmp_path / "whole")) == 0
    draw = random.Random(0)
    n_killed, reached = 0, []
    while True:
        # From when it trains on: after a save, whose moment the next kill may fall into.
        saved = last(tmp_path / "cut")
        process = start(tmp_path / "cut")
        while process.is_alive() and last(tmp_path / "cut") == saved:
            time.sleep(0.002)
        if n_killed < N_KILLS and process.is_alive():
            time.sleep(draw.uniform(0, 0.12))
            process.kill()
            assert ended(process) == -signal.SIGKILL
            n_killed += 1
            reached.append(last(tmp_path / "cut")[-1].stem)
            continue
        assert ended(process) == 0
        break
    assert n_killed == N_KILLS and len(set(reached)) > 10, reached
    whole, cut = (saves.latest(tmp_path / name / "state", fingerprint="k")[0] for name in ("whole", "cut"))
    assert whole.keys() == cut.keys() and all(torch.equal(whole[k], cut[k]) for k in whole)
    speed = {"it_per_s", "memory_mb"}
    logs = [
        [{k: v for k, v in line.items() if k not in speed} for line in saves.read_log(tmp_path / name / "log.jsonl")]
        for name in ("whole", "cut")
    ]
    assert logs[0] == logs[1] and logs[0][-1]["step"] == N_STEPS


def test_a_report_holds_what_it_says(tmp_path):
    run(tmp_path, settings=SETTINGS)
    lines = saves.read_log(tmp_path / "log.jsonl")
    wanted = {
        "d",
        "c",
        "g_real",
        "g_identity",
        "score_real",
        "score_fake",
        "d_right",
        "score_gap",
        "diversity",
        "grad_generator",
        "grad_critics",
        "it_per_s",
        "memory_mb",
        "step",
    }
    assert set(lines[-1]) == wanted
    assert 0 <= lines[-1]["d_right"] <= 1 and lines[-1]["it_per_s"] > 0 and lines[-1]["memory_mb"] > 50


def test_gradient_norm_is_the_length_of_all_gradients():
    layer = torch.nn.Linear(3, 2)
    layer(torch.randn(5, 3)).square().sum().backward()
    flat = torch.cat([p.grad.flatten() for p in layer.parameters()])
    assert loop.gradient_norm(list(layer.parameters())).item() == pytest.approx(flat.norm().item(), rel=1e-6)


@pytest.mark.parametrize(
    ("decay_from", "expected"),
    [
        (0.5, [1, 1, 1, 1, 1, 0.75, 0.5, 0.25]),
        (0.0, [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]),
        (1.0, [1, 1, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_a_rate_falls_from_a_share_of_the_steps_on(decay_from, expected):
    assert [loop.decayed(step, 8, decay_from=decay_from) for step in range(1, 9)] == expected


def test_the_precision_is_chosen(monkeypatch):
    assert loop.choose_precision("bfloat16", "cpu") == "bfloat16"
    assert loop.choose_precision("float32", "cuda") == "float32"
    without = {"avx512_f": True, "amx_bf16": False, "avx512_bf16": False}
    for found, expected in (
        (without | {"amx_bf16": True}, "bfloat16"),
        (without | {"avx512_bf16": True}, "bfloat16"),
        (without, "float32"),
        ({}, "float32"),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=found: found)
        assert loop.choose_precision("auto", "cpu") == expected
        assert loop.choose_precision("float32", "cpu") == "float32"
    assert loop.choose_precision("auto", "cpu") == "float32"
