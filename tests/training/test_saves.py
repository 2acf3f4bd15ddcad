"""Saves of other parameters, and logs that go on from a save."""

import torch

from s2f.training import saves


def logged(folder, fingerprint, steps, *, from_step=0):
    """What is shown of a log that has gone on from a step."""
    log = saves.Log(folder, fingerprint=fingerprint, from_step=from_step)
    log.start()
    for step in steps:
        log.write({"step": step, "of": fingerprint})
    log.show(folder / "shown.jsonl")
    return [(line["of"], line["step"]) for line in saves.read_log(folder / "shown.jsonl")]


def test_a_log_loses_what_comes_after_the_resumed_step(tmp_path):
    logged(tmp_path, "k", [1, 2])
    path = saves.own(tmp_path, "k") / "log.jsonl"
    path.write_text(path.read_text() + '{"step": 3')
    assert logged(tmp_path, "k", [3], from_step=1) == [("k", 1), ("k", 3)]


def test_a_log_of_other_parameters_is_neither_cut_nor_gone_on_with(tmp_path):
    assert logged(tmp_path, "old", [100, 200, 300]) == [("old", 100), ("old", 200), ("old", 300)]
    assert logged(tmp_path, "new", [50], from_step=100) == [("new", 50)]
    assert logged(tmp_path, "old", [400], from_step=300) == [("old", 100), ("old", 200), ("old", 300), ("old", 400)]


def test_saves_of_other_parameters_neither_push_out_nor_are_pushed_out(tmp_path):
    for step, fingerprint in ((1500, "old"), (1800, "old"), (300, "new"), (600, "new"), (900, "new")):
        saves.save_step(tmp_path, step, {"x": torch.tensor([step])}, fingerprint=fingerprint)
        tensors, header = saves.latest(tmp_path, fingerprint=fingerprint)
        assert (tensors["x"].item(), header["step"]) == (step, step)
    for fingerprint, steps in (("old", (1500, 1800)), ("new", (600, 900))):
        names = [path.stem for path in saves.saved_steps(tmp_path, fingerprint=fingerprint)]
        assert names == [f"step-{step:08d}" for step in steps]


def test_a_save_of_other_parameters_at_the_same_step_stays(tmp_path):
    for fingerprint in ("old", "new"):
        saves.save_step(tmp_path, 300, {"of": torch.tensor([ord(fingerprint[0])])}, fingerprint=fingerprint)
    found = {name: saves.latest(tmp_path, fingerprint=name)[0]["of"].item() for name in ("old", "new")}
    assert found == {"old": ord("o"), "new": ord("n")}


def test_the_last_step_is_of_the_last_good_save_of_the_same_parameters(tmp_path):
    assert saves.last_step(tmp_path, fingerprint="k") == 0
    for step, fingerprint in ((2, "k"), (4, "k"), (8, "other")):
        saves.save_step(tmp_path, step, {"x": torch.zeros(9)}, fingerprint=fingerprint)
    assert saves.last_step(tmp_path, fingerprint="k") == 4
    last = saves.saved_steps(tmp_path, fingerprint="k")[-1]
    last.write_bytes(last.read_bytes()[:-5])
    assert saves.last_step(tmp_path, fingerprint="k") == 2
    saves.saved_steps(tmp_path, fingerprint="other")[0].rename(last)  # its header says whose it is
    assert saves.last_step(tmp_path, fingerprint="k") == 2
    assert saves.latest(tmp_path, fingerprint="k")[1]["step"] == 2
