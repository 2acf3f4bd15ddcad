"""Several processes: the result of one, dying and failing ones, and none that is left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from s2f.errors import TrainingError
from s2f.training import gan, loop, processes, saves
from tests.training.small import PLAIN, ROOT, SMOKE, apart, but, pairs, run

TWO = but(SMOKE.machine, n_devices=2, rendezvous="127.0.0.1:0")


@pytest.fixture(autouse=True)
def from_the_root(monkeypatch):
    """Where processes find the tests."""
    monkeypatch.chdir(ROOT)


def launch(way, folder, settings, *, machine=TWO):
    folder.mkdir()
    words = [way, str(folder), settings.model_dump_json()]
    processes.launch("tests.training.several", words, machine=machine, name=way)
    return saves.latest(folder / "state", fingerprint="k")[0]


def close(tensors, trainer, settings):
    start = gan.Trainer(pairs(), settings=settings, setup=loop.Setup(0))
    for name in ("generator", "critics"):
        expected, before = (getattr(t, name).state_dict() for t in (trainer, start))
        shares = apart({key: tensors[f"{name}.{key}"] for key in expected}, expected, before)
        assert max(shares.values()) < 0.03, (name, shares)


GAMES = {"poster": PLAIN, "without noise": but(PLAIN, noise=0.0, flip=False)}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Where two processes, started once, have trained each game."""
    root = tmp_path_factory.mktemp("two")
    words = ["works"]
    for name, settings in GAMES.items():
        (root / name).mkdir()
        words += [str(root / name), settings.model_dump_json()]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        processes.launch("tests.training.several", words, machine=TWO, name="works")
    return root


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
def test_two_processes_give_the_result_of_one(two, tmp_path, game):
    alone = run(tmp_path, settings=GAMES[game])
    close(saves.latest(two / game / "state", fingerprint="k")[0], alone, GAMES[game])
    logs = [saves.read_log(folder / "log.jsonl") for folder in (tmp_path, two / game)]
    assert [line["step"] for line in logs[1]] == [2, 4, 6, 8]  # written once, not by both
    for one, two in zip(*logs, strict=True):
        for name in ("d", "c", "g_real", "g_identity"):
            assert one[name] == pytest.approx(two[name], abs=2e-3), name


NODE = """
import sys
from pathlib import Path
from tests.training.test_processes import PLAIN, TWO, but, processes
machine = but(TWO, n_devices=1, n_nodes=2, rendezvous=sys.argv[2])
words = ["works", sys.argv[1], PLAIN.model_dump_json()]
processes.launch("tests.training.several", words, machine=machine, name="nodes")
"""


@pytest.mark.slow
def test_two_nodes_give_the_result_of_one(tmp_path):
    alone = run(tmp_path / "alone", settings=PLAIN)
    (tmp_path / "two").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meet = f"127.0.0.1:{free.getsockname()[1]}"
    words = [sys.executable, "-c", NODE, str(tmp_path / "two"), meet]
    nodes = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ends = [(node.communicate(timeout=300)[1], node.returncode) for node in nodes]
    assert [code for _, code in ends] == [0, 0], ends
    close(saves.latest(tmp_path / "two" / "state", fingerprint="k")[0], alone, PLAIN)


@pytest.mark.slow
def test_a_process_that_dies_is_started_again_from_the_last_save(tmp_path):
    settings = but(PLAIN, save_every=4)
    alone = run(tmp_path / "alone", settings=settings)
    tensors = launch("dies", tmp_path / "two", settings)
    assert started(tmp_path / "two") == [(attempt, rank) for attempt in range(4) for rank in range(2)]
    ports = {rank: [(tmp_path / "two" / f"port_{k}_{rank}").read_text() for k in range(4)] for rank in range(2)}
    # A store of its own for each start: where all share one, a start may find another's addresses there, and fails.
    assert len(set(ports[0])) == 4 and ports[0] == ports[1], ports
    close(tensors, alone, PLAIN)
    assert [line["step"] for line in saves.read_log(tmp_path / "two" / "log.jsonl")] == [2, 4, 6, 8]


def started(folder):
    """How often each process was started."""
    return sorted(tuple(map(int, path.name.split("_")[1:])) for path in folder.glob("start_*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "n_restarts", "said"),
    [
        ("fails", 1, r"process \d of 2.*ValueError: a value that is wrong every time"),
        ("differ", 0, r"process \d of 2.*is at step 0 of k\d?, another at step 0 of k"),
        ("is killed", 1, r"failed for good \(.*process 1 left no reason"),
    ],
    ids=["fails", "goes on from elsewhere", "is killed"],
)
def test_processes_that_fail_every_time_are_given_up_with_the_reason(tmp_path, monkeypatch, way, n_restarts, said):
    monkeypatch.setattr(processes, "N_RESTARTS", n_restarts)
    with pytest.raises(TrainingError, match=said):
        launch(way, tmp_path / "two", PLAIN)
    assert started(tmp_path / "two") == [(attempt, rank) for attempt in range(n_restarts + 1) for rank in range(2)]


WAITS = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in a shell's background is started without it
from pathlib import Path
from tests.training.test_processes import PLAIN, but, launch
launch("works", Path(sys.argv[1]), but(PLAIN, steps=10**6))
"""


def state(pid):
    """Letter and parent of a process, or of one that is not there."""
    try:
        letter, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return "Z", 0
    return letter, int(parent)


def there(pid):
    return state(pid)[0] != "Z"


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for processes in /proc")
@pytest.mark.parametrize("word", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_process_outlives_the_one_that_waits_for_it(tmp_path, word):
    waits = subprocess.Popen([sys.executable, "-c", WAITS, str(tmp_path / "two")], stderr=subprocess.DEVNULL)
    log = saves.own(tmp_path / "two" / "state", "k") / "log.jsonl"
    while waits.poll() is None and not log.is_file():
        time.sleep(0.05)
    pids = [int(path.read_text()) for path in (tmp_path / "two").glob("start_0_*")]
    torchruns = {state(pid)[1] for pid in pids}
    assert len(pids) == 2 and len(torchruns) == 1 and all(map(there, [*pids, *torchruns]))
    waits.send_signal(word)
    assert waits.wait() != 0
    while any(map(there, [*pids, *torchruns])):  # up to the test's time limit
        time.sleep(0.05)
    assert not list((tmp_path / "two").glob("start_1_*"))


def test_one_command_starts_every_node(tmp_path):
    machine = but(TWO, n_nodes=3, rendezvous="head:29500")
    words = processes.command("a.module", ["one", "two"], machine=machine, name="run", log_folder=tmp_path)
    assert words[:3] == [sys.executable, "-m", "torch.distributed.run"]
    assert words[-4:] == ["--module", "a.module", "one", "two"]
    assert {"--nnodes=3", "--nproc-per-node=2", "--rdzv-endpoint=head:29500", "--rdzv-id=run"} <= set(words)


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(TrainingError, match=r"is 8, which 3 processes cannot share equally, .*Give a multiple of 3"):
        processes.Peers(rank=0, n=3).check(8, name="gan.batch_size")
    with pytest.raises(TrainingError, match="is 3, which 3 processes cannot share equally, with two or more each"):
        processes.Peers(rank=0, n=3).check(3, name="gan.batch_size")  # of one face nothing varies
    processes.Peers(rank=0, n=3).check(6, name="gan.batch_size")
    processes.ALONE.check(1, name="gan.batch_size")


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
