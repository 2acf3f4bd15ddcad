"""Declarations of parameters: what they refuse by themselves, and what they can change."""

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from s2f.settings import Reach, Settings

BASE = yaml.safe_load((Path(__file__).resolve().parents[1] / "params" / "base.yaml").read_text(encoding="utf-8"))


def with_(key, value):
    section, _, name = key.partition(".")
    return BASE | {section: BASE[section] | {name: value}}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gan.steps", 0),
        ("gan.steps", 1.5),
        ("gan.steps", True),
        ("gan.tanh", 1),
        ("gan.noise", float("nan")),
        ("corpus.kind", "other"),
        ("corpus.min_s", 13.0),  # above max_s
        ("split.train", 0.9),  # the shares then add up to 1.1
        ("variant.gender", "x"),
        ("machine.cores", 3),
    ],
)
def test_what_makes_no_sense_is_refused(key, value):
    assert Settings.model_validate(BASE)
    with pytest.raises(ValidationError):
        Settings.model_validate(with_(key, value))


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        Settings.model_validate(BASE).gan.steps = 3


def test_few_parameters_reach_less_than_their_section():
    marked = {
        f"{section}.{key}": mark
        for section, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for key, declared in field.annotation.model_fields.items()
        for mark in declared.metadata
        if isinstance(mark, Reach)
    }
    assert {key for key, mark in marked.items() if mark is Reach.NOTHING} == {
        "machine.n_workers",
        "machine.rendezvous",
        "store.n_jobs",
        "store.shard_size",
        *(f"{section}.save_every" for section in ("voice", "code", "sampler", "gan")),
        "code.on_trouble",
        "gan.on_trouble",
    }
    assert {key for key, mark in marked.items() if mark is Reach.GAN} == {"machine.compile"}
    assert {key for key, mark in marked.items() if mark is Reach.SHARED} == {"machine.n_devices", "machine.n_nodes"}
