"""Signs that training has gone wrong: when they count, and what they do."""

import pytest

from s2f.errors import TrainingError
from s2f.training import gan, health, saves
from tests.training.small import SETTINGS, but, run


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
            watch.stop_if_asked(said)
    with pytest.raises(TrainingError, match=name):
        watch.stop_if_asked(said)
    health.Watch(on_trouble="warn").stop_if_asked(said)


def test_a_generator_without_diversity_is_named_in_the_log_and_stops_by_parameter(tmp_path, monkeypatch):
    monkeypatch.setattr(health, "PATIENCE", 2)
    monkeypatch.setattr(gan.Trainer, "_diversity", lambda self, fake: 0 * fake.mean())
    run(tmp_path / "warn")
    lines = saves.read_log(tmp_path / "warn" / "log.jsonl")
    assert [("health" in line) for line in lines] == [False, True, False, False]
    assert "no_diversity at step 4" in lines[1]["health"][0]
    with pytest.raises(TrainingError, match="no_diversity at step 4"):
        run(tmp_path / "stop", settings=but(SETTINGS, on_trouble="stop"))
    assert "no_diversity" in saves.read_log(tmp_path / "stop" / "log.jsonl")[-1]["health"][0]


def test_a_sign_that_was_only_warned_of_stops_where_that_is_asked_later(tmp_path, monkeypatch):
    monkeypatch.setattr(health, "PATIENCE", 2)
    monkeypatch.setattr(gan.Trainer, "_diversity", lambda self, fake: 0 * fake.mean())
    run(tmp_path, settings=but(SETTINGS, steps=4))
    with pytest.raises(TrainingError, match="no_diversity at step 6"):
        run(tmp_path, settings=but(SETTINGS, on_trouble="stop"))


def test_a_sign_goes_on_where_a_training_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(health, "PATIENCE", 3)
    monkeypatch.setattr(gan.Trainer, "_diversity", lambda self, fake: 0 * fake.mean())
    run(tmp_path, settings=but(SETTINGS, steps=4))  # two lines of the log, and a save
    run(tmp_path)
    lines = saves.read_log(tmp_path / "log.jsonl")
    assert [("health" in line) for line in lines] == [False, False, True, False]
