"""Many draws of a voice: calibrated ones pass, others are found out, and what cannot be said says why."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from s2f.errors import RunError
from s2f.evaluation import draws
from s2f.evaluation.attributes import Read
from s2f.evaluation.draws import Many, People
from s2f.metrics import calibration
from s2f.networks.codes import Sampler
from s2f.networks.inference import Model
from s2f.networks.models import Architecture

N, M, D = 160, 64, 3


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def world(*, told=0.6, spread=1.0, n_photos=2, seed=0):
    """People whose voice tells a part of two attributes, photographs, and draws `spread` times as wide as is right.

    The first attribute is told by the voice with a deviation of `told` (total 1), the second is not told; a category
    of two columns is told as the first.
    """
    rng = np.random.default_rng(seed)
    genders = np.where(np.arange(N) % 2 == 0, "f", "m").astype(object)
    centre = np.where(genders == "f", 1.0, -1.0)[:, None] * np.array([1.0, 0.5, 0.0, 0.0])
    voice = rng.normal(size=(N, 1)) * told * np.array([1.0, 0.0, 1.0, -1.0])
    left = np.sqrt(1 - np.array([told, 0.0, told, told]) ** 2)
    codes = np.repeat(np.arange(N), n_photos)

    def seen(mean, width=1.0):
        return mean + width * left * rng.normal(size=mean.shape)

    def read(values):
        return Read(unit(np.concatenate([values[..., :D], np.ones_like(values[..., :1])], axis=-1)), values)

    person = (centre + voice)[:, None]
    everyone = np.broadcast_to(person, (N, M, 4))
    alike = [np.flatnonzero(genders == sex) for sex in genders]
    any_voice = np.stack([(centre + voice)[rng.choice(rows, M)] for rows in alike])
    photos = read(seen((centre + voice)[codes]))
    columns = ["told", "untold", "kind=a", "kind=b"]
    people = People(genders, photos, codes, columns, np.ones(4, bool))
    typical = person + 0 * centre[:, None]
    return people, Many(read(seen(everyone, spread)), read(typical), read(seen(any_voice)))


def measure(people, found, n_resamples=300):
    return draws.measure(people, found, rng=np.random.default_rng(1), n_resamples=n_resamples)


@pytest.fixture(scope="module")
def right():
    return measure(*world())


def test_draws_from_the_truth_beat_every_neighbour(right):
    table = right.energy.set_index("who")
    assert list(table.index) == list(draws.NEIGHBOURS)
    for who in ("sex_alone", "typical", "shuffled_voice", "shuffled_within_sex"):
        assert table.loc[who, "minus_low"] > 0, who
        assert table.loc[who, "minus_value"] == pytest.approx(table.loc[who, "value"] - table.loc["draws", "value"])
    assert table.loc["photographs", "minus_low"] < 0 < table.loc["photographs", "minus_high"]  # as good as photographs
    assert (table["low"] < table["value"]).all() and (table["value"] < table["high"]).all()
    assert table.loc["draws", "minus_value"] == 0


def test_shuffled_within_a_sex_and_any_voices_of_the_sex_are_one_thing(right):
    """A mixture over everybody's voices is scored less one part in n better than single others' draws."""
    table = right.energy.set_index("who")["value"]
    assert table["draws"] < table["sex_alone"] < table["shuffled_within_sex"] < table["shuffled_voice"]


def test_draws_that_ignore_the_voice_do_not_beat_others_voices():
    people, found = world()
    ignoring = replace(found, own=found.of_the_sex)
    table = measure(people, ignoring).energy.set_index("who")
    for who in ("sex_alone", "shuffled_within_sex"):
        assert table.loc[who, "minus_low"] < 0.02 and abs(table.loc[who, "minus_value"]) < 0.02, who


def coverage(found, group="overall", level=0.8):
    table = found.coverage[(found.coverage["group"] == group) & (found.coverage["level"] == level)]
    return table.set_index("attribute")


@pytest.mark.parametrize("group", ["overall", "women", "men"])
def test_calibrated_draws_cover_what_they_say(right, group):
    missed = 0
    for level in draws.LEVELS:
        table = coverage(right, group, level)
        assert list(table.index) == ["told", "untold", "kind=a", "kind=b", "mean"]
        missed += (~table["low"].lt(level) | ~table["high"].gt(level)).drop("mean").sum()
        assert table.loc["mean", "value"] == pytest.approx(level, abs=0.06)
        assert table.loc["mean", "value"] == pytest.approx(table["value"].drop("mean").mean())
    assert missed <= 1  # one in twenty times, some interval of a level misses what is true


def test_the_coverage_of_an_attribute_is_that_of_counting():
    people, found = world(n_photos=1)
    table = coverage(measure(people, found), "women", 0.5)
    ranks = (found.own.values < people.photos.values[:, None]).sum(1)  # [n, 4], 0 … 64: 65 places of equal chance
    edges = np.stack([ranks, ranks + 1]) / (M + 1)
    inside = np.clip(np.minimum(edges[1], 0.75) - np.maximum(edges[0], 0.25), 0, None) * (M + 1)
    assert table.loc["told", "value"] == pytest.approx(inside[::2, 0].mean())


@pytest.mark.parametrize(("width", "sign"), [(0.5, -1), (2.0, 1)])
def test_draws_too_alike_or_too_varied_are_found(width, sign):
    people, found = world(spread=width)
    found = measure(people, found)
    table = coverage(found)
    beyond = table["high"] < 0.8 if sign < 0 else table["low"] > 0.8
    assert beyond.all()
    ranks = found.ranks.set_index("attribute")
    outer = ranks[["bar_0", f"bar_{draws.N_BINS - 1}"]].mean(1)
    assert (outer > 1.5).all() if sign < 0 else (outer < 0.5).all()
    assert (ranks["p_value"] < 0.01).all() and (ranks["deviation"] > ranks["expected"]).all()


def test_flat_ranks_and_tarp_of_calibrated_draws(right):
    bars = right.ranks[[f"bar_{k}" for k in range(draws.N_BINS)]]
    np.testing.assert_allclose(bars.mean(1), 1)
    assert (right.ranks["p_value"] > 0.01).all()
    assert ((right.tarp["low"] < right.tarp["level"]) & (right.tarp["level"] < right.tarp["high"])).all()
    people, found = world(spread=0.4)
    wrong = measure(people, found).tarp
    assert ((wrong["high"] < wrong["level"]) | (wrong["low"] > wrong["level"])).sum() >= 4


def test_what_the_voice_tells_is_shared_and_the_rest_is_made_up(right):
    """Of the first attribute 0.36 is told; everything within a sex, though the sexes are two deviations apart."""
    table = right.shares.set_index("attribute")
    assert list(table.index) == ["told", "untold", "kind"]
    for name, shared in (("told", 0.36), ("untold", 0.0), ("kind", 0.36)):
        for part, expected in (("shared", shared), ("made_up", 1 - shared), ("total", 1.0)):
            assert table.loc[name, f"{part}_low"] < expected < table.loc[name, f"{part}_high"], (name, part)
            assert table.loc[name, f"{part}_value"] == pytest.approx(expected, abs=0.15), (name, part)
    people, found = world(spread=0.5)
    table = measure(people, found).shares.set_index("attribute")
    assert (table["total_high"] < 1).all() and table.loc["untold", "made_up_value"] == pytest.approx(0.25, abs=0.05)


def test_attributes_that_cannot_be_told_are_left_out_and_none_at_all_is_said():
    people, found = world()
    one = measure(replace(people, legible=np.array([True, False, False, False])), found)
    assert set(one.coverage["attribute"]) == {"told", "mean"} and list(one.shares["attribute"]) == ["told"]
    none = measure(replace(people, legible=np.zeros(4, bool)), found)
    assert none.coverage.empty and none.shares.empty and not none.energy.empty
    assert set(none.reasons.values()) == {draws.NOT_LEGIBLE}

    def nothing(part):
        return Read(part.embeddings, part.values[..., :0])

    bare = replace(people, photos=nothing(people.photos), columns=[], legible=np.zeros(0, bool))
    unread = measure(bare, Many(nothing(found.own), nothing(found.typical)))
    assert unread.ranks.empty and unread.reasons["tarp"] == draws.NO_ATTRIBUTES
    assert "sex_alone" not in set(unread.energy["who"]) and "sex" in unread.reasons["sex_alone"]


def test_people_with_one_photograph_have_no_other_one():
    found = measure(*world(n_photos=1))
    assert found.reasons["photographs"] == "no person has two photographs"
    assert "photographs" not in set(found.energy["who"]) and len(found.energy) == len(draws.NEIGHBOURS) - 1


def test_few_draws_say_which_intervals_they_are_too_few_for():
    people, found = world()
    few = Many(*(Read(part.embeddings[:, :8], part.values[:, :8]) for part in (found.own, found.typical)))
    spread = measure(people, few)
    assert set(spread.coverage["level"]) == {0.5} and spread.n_draws == 8
    assert spread.reasons["levels"] == "8 draws are too few for intervals of 80 %, 95 %"


def test_people_of_unknown_sex_are_all_one_group():
    people, found = world()
    unknown = measure(replace(people, genders=np.full(N, None, object)), replace(found, of_the_sex=None))
    assert set(unknown.coverage["group"]) == {"overall"}
    assert "shuffled_within_sex" not in set(unknown.energy["who"])
    assert unknown.shares["total_value"].notna().all()


@pytest.mark.parametrize("genders", [list("ffm"), [*"ff", *[None] * 8]])
def test_one_pair_of_a_sex_takes_no_other_part_away(genders):
    people, found = world()
    n = len(genders)
    theirs = {"photos": people.photos.take(slice(2 * n)), "codes": people.codes[: 2 * n]}
    few = replace(people, genders=np.array(genders, object), **theirs)
    spread = measure(few, Many(found.own.take(slice(n)), found.typical.take(slice(n))))
    assert set(spread.energy["who"]) == {"draws", "typical", "shuffled_voice", "photographs"}
    assert "bootstrap" in spread.reasons["shuffled_within_sex"]


def test_what_is_written_is_read_again(right, tmp_path):
    draws.write(right, tmp_path)
    again = draws.read(tmp_path)
    for name in draws.FRAMES:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(right, name), check_dtype=False)
    assert (again.n_people, again.n_draws, again.reasons) == (N, M, right.reasons)
    assert (tmp_path / draws.FILE).stat().st_size < 100_000
    draws.write(draws.NO_SAMPLER, tmp_path)
    assert draws.read(tmp_path) == draws.NO_SAMPLER
    content = json.loads((tmp_path / draws.FILE).read_text())
    (tmp_path / draws.FILE).write_text(json.dumps({"version": content["version"], "n_people": 3}))
    with pytest.raises(RunError, match="another form"):
        draws.read(tmp_path)


# Drawing


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    sampler = Sampler(embedding_dim=6, kind="energy", width=32).eval()
    sampler.learn_axes(torch.randn(30, 6))
    architecture = Architecture(0.0625, 0.0625, "batch", True, "k4", sampler=sampler.options)
    generator = architecture.generator().eval()
    with torch.no_grad():
        for network in (generator, sampler):
            for parameter in network.parameters():
                parameter.mul_(3 if parameter.ndim > 1 else 1)
    return Model(architecture.voice_embedding().eval(), generator, architecture, "drawing", sampler)


def read_corner(faces):
    """The mean colour for an embedding, and a pixel for an attribute."""
    return Read(faces.mean(axis=(1, 2)).astype(np.float32), faces[:, 10, 10, :1].astype(float))


def test_every_voice_has_noise_of_its_own(model, monkeypatch):
    voices = torch.randn(1, 6).expand(7, 6)  # one voice seven times
    monkeypatch.setattr(draws, "N_AT_ONCE", 8)  # two voices at a time
    found = draws.drawn(model, voices, 4, seed=3, read=read_corner)
    assert found.embeddings.shape == (7, 4, 3) and found.values.shape == (7, 4, 1)
    assert len(np.unique(found.embeddings.reshape(28, 3).round(4), axis=0)) == 28
    again = draws.drawn(model, voices, 4, seed=3, read=read_corner)
    np.testing.assert_array_equal(found.embeddings, again.embeddings)
    other = draws.drawn(model, voices, 4, seed=4, read=read_corner)
    assert (other.embeddings != found.embeddings).any()


def test_draws_of_a_sex_are_those_of_training_voices_of_that_sex(model):
    training = 5 * torch.eye(2, 6)  # far enough apart for their faces to differ
    sexes = np.array(["f", "m"], object)
    genders = np.array(["m", "f", "m"], object)
    found = draws.many(
        model, torch.randn(3, 6), 5, genders=genders, training=(training, sexes), seed=0, read=read_corner
    )
    assert found.of_the_sex.embeddings.shape == (3, 5, 3) and found.typical.embeddings.shape == (3, 1, 3)
    many = draws.drawn(model, training.repeat_interleave(200, dim=0), 1, seed=9, read=read_corner)
    means = many.embeddings.reshape(2, 200, 3).mean(1)  # of women, of men
    for row, gender in enumerate(genders):
        own, other = (means[k] for k in ((0, 1) if gender == "f" else (1, 0)))
        drawn = found.of_the_sex.embeddings[row].mean(0)
        assert np.linalg.norm(drawn - own) < np.linalg.norm(drawn - other)
    women = sexes[:1], training[:1]
    alone = draws.many(
        model, torch.randn(3, 6), 5, genders=genders, training=(women[1], women[0]), seed=0, read=read_corner
    )
    assert alone.of_the_sex is None


def test_references_of_tarp_are_photographs_of_others(monkeypatch):
    seen, tarp = [], calibration.tarp
    monkeypatch.setattr(calibration, "tarp", lambda *what: seen.append(what) or tarp(*what))
    codes = np.repeat(np.arange(5), 3)
    truth = codes[:, None] + np.zeros((15, 2))  # a photograph shows who it is of
    own = SimpleNamespace(codes=codes, truth=truth, draws=np.zeros((5, 4, 2)), n=5, of_people=right_means(codes))
    draws._tarp(own, np.ones((3, 5)), rng=np.random.default_rng(0))
    _, truths, references = seen[0]
    assert references.shape == (15, draws.N_REFERENCES, 2)
    assert (references != truths[:, None]).all() and len(np.unique(references)) == 5


def right_means(codes):
    """Means of each person's rows."""
    return lambda rows: np.stack([rows[codes == person].mean(0) for person in np.unique(codes)])
