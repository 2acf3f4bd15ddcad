"""Saves of other parameters, and logs that go on from a save."""

import json

import torch

from s2f.training import saves


def test_a_log_loses_what_comes_after_the_resumed_step(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"step": 1}) + "\n" + json.dumps({"step": 2}) + '\n{"step": 3')
    saves.Log(path, from_step=1).write({"step": 2, "loss": 0.5})
    assert saves.read_log(path) == [{"step": 1}, {"step": 2, "loss": 0.5}]


def test_saves_of_other_parameters_neither_push_out_nor_are_pushed_out(tmp_path):
    for step, fingerprint in ((1500, "old"), (1800, "old"), (300, "new"), (600, "new"), (900, "new")):
        saves.save_step(tmp_path, step, {"x": torch.tensor([step])}, header={"fingerprint": fingerprint})
        tensors, header = saves.latest(tmp_path, fingerprint=fingerprint)
        assert (tensors["x"].item(), header["step"]) == (step, step)
    assert saves.saved_steps(tmp_path) == [saves.step_path(tmp_path, step) for step in (600, 900, 1500, 1800)]
