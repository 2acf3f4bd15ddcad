"""Logs that go on from a save."""

import json

from s2f.training import saves


def test_a_log_loses_what_comes_after_the_resumed_step(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"step": 1}) + "\n" + json.dumps({"step": 2}) + '\n{"step": 3')
    saves.Log(path, from_step=1).write({"step": 2, "loss": 0.5})
    assert saves.read_log(path) == [{"step": 1}, {"step": 2, "loss": 0.5}]
