"""Several processes, kills, health checks and precision of the training loop."""

import random
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from s2f.errors import TrainingError
from s2f.training import gan, health, loop, processes, saves
from tests.training.test_training import POSTER, SETTINGS, apart, equal, pairs, run, weights

ROOT = Path(__file__).resolve().parents[2]
PLAIN = replace(SETTINGS, norm="none", batch_size=8)  # batch norm is each process's own on a CPU


# ------------------------------------------------------------------------------------- several processes


def work(folder, settings):
    """What each of several processes runs."""
    processes.TIMEOUT_S = 60
    who = processes.joined(device="cpu")
    torch.set_num_threads(1)
    run(Path(folder), settings=settings, peers=who)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def together(folder, settings):
    folder.mkdir()
    processes.launch(work, (str(folder), settings), n_devices=2, n_nodes=1, rendezvous="127.0.0.1:0", name=folder.name)
    tensors, _ = saves.latest(folder / "state", fingerprint="k")
    return tensors


def close(tensors, trainer, settings):
    start = gan.Trainer(pairs(), settings=settings, seed=0)
    for name in ("generator", "critics", "average"):
        expected, before = (getattr(t, name).state_dict() for t in (trainer, start))
        shares = apart({key: tensors[f"{name}.{key}"] for key in expected}, expected, before)
        assert max(shares.values()) < 0.03, (name, shares)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [PLAIN, replace(PLAIN, n_photographs=1, spread=0.0, loss="cross_entropy")], ids=["short", "one photo"]
)
def test_two_processes_give_the_result_of_one(tmp_path, settings):
    alone = run(tmp_path / "alone", settings=settings)
    tensors = together(tmp_path / "two", settings)
    close(tensors, alone, settings)
    logs = [saves.read_log(tmp_path / name / "log.jsonl") for name in ("alone", "two")]
    assert [line["step"] for line in logs[1]] == [2, 4, 6, 8]  # written once, not by both
    for one, two in zip(*logs, strict=True):
        for name in ("d", "c", "g_real", "g_identity", "g_pixel"):
            assert one[name] == pytest.approx(two[name], abs=2e-3), name


NODE = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.training.test_loop import PLAIN, processes, work
processes.launch(work, (sys.argv[2], PLAIN), n_devices=1, n_nodes=2, rendezvous=sys.argv[3], name="nodes")
"""


@pytest.mark.slow
def test_two_nodes_give_the_result_of_one(tmp_path):
    alone = run(tmp_path / "alone", settings=PLAIN)
    (tmp_path / "two").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meet = f"127.0.0.1:{free.getsockname()[1]}"
    words = [sys.executable, "-c", NODE, str(ROOT), str(tmp_path / "two"), meet]
    nodes = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ends = [(node.communicate(timeout=300)[1], node.returncode) for node in nodes]
    assert [code for _, code in ends] == [0, 0], ends
    close(saves.latest(tmp_path / "two" / "state", fingerprint="k")[0], alone, PLAIN)


def work_and_die(folder, settings):
    """`work`, but the second process is killed at step 6 of its first start, and each start leaves a file."""
    import os
    import signal

    attempt, rank = int(os.environ["TORCHELASTIC_RESTART_COUNT"]), int(os.environ["RANK"])
    (Path(folder) / f"start_{attempt}_{rank}").touch()
    iterate = gan.Trainer.iterate

    def mortal(self, **arguments):
        if (attempt, rank, self.step) == (0, 1, 6):
            os.kill(os.getpid(), signal.SIGKILL)
        return iterate(self, **arguments)

    gan.Trainer.iterate = mortal
    work(folder, settings)


@pytest.mark.slow
@pytest.mark.parametrize("again", range(3))  # without a store of its own for each start, half of them fail
def test_a_process_that_dies_is_started_again_from_the_last_save(tmp_path, again):
    settings = replace(PLAIN, save_every=4)
    alone = run(tmp_path / "alone", settings=settings)
    (tmp_path / "two").mkdir()
    processes.launch(
        work_and_die, (str(tmp_path / "two"), settings), n_devices=2, n_nodes=1, rendezvous="127.0.0.1:0", name="dies"
    )
    starts = sorted(p.name for p in (tmp_path / "two").glob("start_*"))
    assert starts == ["start_0_0", "start_0_1", "start_1_0", "start_1_1"]
    close(saves.latest(tmp_path / "two" / "state", fingerprint="k")[0], alone, PLAIN)
    assert [line["step"] for line in saves.read_log(tmp_path / "two" / "log.jsonl")] == [2, 4, 6, 8]


def fails(folder, settings):
    raise ValueError("a value that is wrong every time")


@pytest.mark.slow
def test_processes_that_fail_every_time_are_given_up_with_the_reason(tmp_path):
    with pytest.raises(TrainingError, match=r"process \d of 2.*a value that is wrong every time"):
        processes.launch(fails, (str(tmp_path), PLAIN), n_devices=2, n_nodes=1, rendezvous="127.0.0.1:0", name="fails")


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(TrainingError, match=r"is 8, which 3 processes cannot share equally\. Give a multiple of 3"):
        processes.Peers(rank=0, n=3).check(8)


def test_parts_of_a_batch_cover_it():
    batch = torch.arange(12)
    assert torch.equal(torch.cat([processes.Peers(rank=r, n=3).mine(batch) for r in range(3)]), batch)
    assert torch.equal(processes.ALONE.mine(batch), batch)


def test_batch_norm_of_several_processes_on_a_cpu_is_said(capsys):
    network = gan.Generator(width=0.0625, norm="batch")
    assert processes.Peers(rank=0, n=2).synchronised(network, device="cpu") is network
    assert "statistics are each process's own" in capsys.readouterr().err
    processes.Peers(rank=1, n=2).synchronised(network, device="cpu")  # said once
    processes.Peers(rank=0, n=2).synchronised(gan.Generator(width=0.0625, norm="none"), device="cpu")
    processes.ALONE.synchronised(network, device="cpu")
    assert capsys.readouterr().err == ""


def test_batch_norm_of_several_processes_on_cuda_is_synchronised():
    network = processes.Peers(rank=0, n=2).synchronised(gan.Generator(width=0.0625, norm="batch"), device="cuda")
    kinds = [type(m) for m in network.modules()]
    assert torch.nn.SyncBatchNorm in kinds and torch.nn.BatchNorm2d not in kinds
    assert network.state_dict().keys() == gan.Generator(width=0.0625, norm="batch").state_dict().keys()


# ------------------------------------------------------------------------------------------------- kills

KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
from dataclasses import replace
from pathlib import Path
import torch
from tests.training.test_training import SETTINGS, run
run(Path(sys.argv[2]), settings=replace(SETTINGS, steps=int(sys.argv[3]), save_every=int(sys.argv[4])))
"""
N_STEPS, N_KILLS = 600, 20


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_kills_change_nothing(tmp_path):
    def start(folder):
        words = [sys.executable, "-c", KILLED, str(ROOT), str(folder), str(N_STEPS), "10"]
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    assert start(tmp_path / "whole").wait() == 0
    draw = random.Random(0)
    n_killed, reached = 0, []
    while True:
        process = start(tmp_path / "cut")
        before = len(saves.saved_steps(tmp_path / "cut" / "state"))
        # From when it trains on: after a save, whose moment the next kill may fall into.
        saved = saves.saved_steps(tmp_path / "cut" / "state")[-1:] if before else []
        while process.poll() is None and saves.saved_steps(tmp_path / "cut" / "state")[-1:] == saved:
            time.sleep(0.002)
        if n_killed < N_KILLS and process.poll() is None:
            time.sleep(draw.uniform(0, 0.12))
            process.kill()
            process.wait()
            n_killed += 1
            reached.append(saves.saved_steps(tmp_path / "cut" / "state")[-1].stem)
            continue
        assert process.wait() == 0
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


# ------------------------------------------------------------------------------------------------ health


def test_a_sign_counts_once_it_has_shown_for_long_enough():
    watch = health.Watch()
    good, bad = {"d_right": 0.8, "diversity": 0.7}, {"d_right": 1.0, "diversity": 0.7}
    for step in range(health.PATIENCE - 1):
        assert watch.look(step, bad) == []
    assert watch.look(1, good) == []  # starts over
    said = [watch.look(step, bad) for step in range(health.PATIENCE + 3)]
    assert [len(s) for s in said] == [0] * (health.PATIENCE - 1) + [1, 0, 0, 0]  # said once
    assert "discriminator_won at step 9 (d_right 1)" in said[health.PATIENCE - 1][0]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"d_right": 1.0}, "discriminator_won"),
        ({"score_gap": 0.0}, "discriminator_collapsed"),
        ({"diversity": 0.01}, "no_diversity"),
    ],
)
def test_each_sign_stops_where_that_is_asked(values, name):
    watch = health.Watch(on_trouble="stop")
    for step in range(health.PATIENCE):
        said = watch.look(step, values)
        if step < health.PATIENCE - 1:
            watch.stop_if_asked(step, said)
    with pytest.raises(TrainingError, match=name):
        watch.stop_if_asked(step, said)
    health.Watch(on_trouble="warn").stop_if_asked(step, said)


def test_a_generator_without_diversity_is_named_in_the_log_and_stops_by_parameter(tmp_path, monkeypatch):
    monkeypatch.setattr(health, "PATIENCE", 2)
    monkeypatch.setattr(gan.Trainer, "_diversity", lambda self, fake: 0 * fake.mean())
    run(tmp_path / "warn")
    lines = saves.read_log(tmp_path / "warn" / "log.jsonl")
    assert [("health" in line) for line in lines] == [False, True, False, False]
    assert "no_diversity at step 4" in lines[1]["health"][0]
    with pytest.raises(TrainingError, match="no_diversity at step 4"):
        run(tmp_path / "stop", settings=replace(SETTINGS, on_trouble="stop"))
    assert "no_diversity" in saves.read_log(tmp_path / "stop" / "log.jsonl")[-1]["health"][0]


def test_diversity_is_that_of_the_real_faces_for_real_faces_and_0_for_one_face():
    trainer = gan.Trainer(pairs(n_faces=15), settings=SETTINGS, seed=0)
    real = (trainer.pairs.take(torch.arange(15)).float() - 127.5) / 127.5
    assert trainer._diversity(real).item() == pytest.approx(1)
    assert trainer._diversity(real[:1].expand(15, -1, -1, -1)).item() == pytest.approx(0)


def test_a_report_holds_what_it_says(tmp_path):
    run(tmp_path, settings=POSTER)
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


# --------------------------------------------------------------------------------- precision and memory


def test_bfloat16_trains_near_float32_and_keeps_float32_weights(tmp_path):
    settings = replace(PLAIN, steps=4, learning_rate_generator=1e-4)
    one, two = (gan.Trainer(pairs(), settings=settings, seed=0, precision=p) for p in loop.PRECISIONS)
    for _ in range(3):
        first, second = one.iterate(report=True), two.iterate(report=True)
    assert all(p.dtype == torch.float32 for p in [*two.generator.parameters(), *two.critics.parameters()])
    assert first["g_pixel"].item() != second["g_pixel"].item()  # it does compute in another precision
    for name in ("d", "c", "g_pixel", "g_identity"):
        assert first[name].item() == pytest.approx(second[name].item(), rel=0.05, abs=0.02), name


def test_the_precision_is_chosen():
    assert loop.choose_precision("auto", "cpu") == "float32"
    assert loop.choose_precision("bfloat16", "cpu") == "bfloat16"
    assert loop.choose_precision("float32", "cuda") == "float32"


def test_faces_that_stay_mapped_train_the_same(tmp_path):
    rows, kept = np.arange(14, -1, -1), pairs().tracks
    faces = np.random.default_rng(1).integers(0, 256, (15, 64, 64, 3)).astype(np.uint8)
    np.save(tmp_path / "faces.npy", faces)
    options = {"device": "cpu", "rows": rows}
    resident, mapped = (
        gan.Pairs(
            kept, np.arange(12) % 3, np.load(tmp_path / "faces.npy", mmap_mode="r"), rows % 3, resident=where, **options
        )
        for where in (True, False)
    )
    assert mapped.faces is None and resident.faces is not None
    picked = torch.tensor([3, 0, 14])
    assert torch.equal(mapped.take(picked), resident.take(picked))
    assert mapped.take(picked).is_contiguous(memory_format=torch.channels_last)
    assert mapped.digest() == resident.digest()
    ones, others = run(tmp_path / "a", data=resident), run(tmp_path / "b", data=mapped)
    assert equal(weights(ones.generator), weights(others.generator))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # both are torch's own doing
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_compiled_networks_train_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # torch's own is shared by all runs of a machine
    one = gan.Trainer(pairs(), settings=POSTER, seed=0)
    two = gan.Trainer(pairs(), settings=POSTER, seed=0, compile_mode="always")
    for tolerance in (1e-4, 1e-3):  # the second after a step of Adam, which blows rounding up (see `apart`)
        first, second = one.iterate(), two.iterate()
        for name, value in first.items():
            assert value.item() == pytest.approx(second[name].item(), rel=tolerance, abs=1e-4), name
    assert two.generator.state_dict().keys() == one.generator.state_dict().keys()
