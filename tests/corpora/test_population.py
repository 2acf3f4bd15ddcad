"""The population has the causes that causes.yaml writes down, and no others."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from s2f.corpora.synthetic import population
from s2f.errors import ParameterError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def people():
    return population.sample(20_000, seed=7)


@pytest.fixture(scope="module")
def spec():
    return population.causes()


def test_correlations_that_leave_a_trait_less_than_no_variance_are_refused_by_name(monkeypatch, spec):
    face = spec["face"] | {"nose_size": spec["face"]["nose_size"] | {"tract": 0.96}}
    monkeypatch.setattr(population, "causes", lambda: spec | {"face": face})
    with pytest.raises(ParameterError, match=r"causes\.yaml: nose_size has .* tract 0\.96.* add up to 1\.11"):
        population.sample(10, seed=0)


def test_the_chapter_on_data_names_every_trait_and_on_what_it_hangs():
    caused, independent = (
        line for line in (ROOT / "book" / "data.md").read_text(encoding="utf-8").splitlines() if "brow " in line
    )
    for names, line in ((population.CAUSED, caused), (population.INDEPENDENT, independent)):
        said = line.split("|")[1].strip().split(", ")
        assert said == [name.replace("_", " ") for name in names]


def _codes(column):
    return pd.factorize(column)[0].astype(float) if column.dtype == object else column.to_numpy(float)


def _r2(people, y):
    """Share of the variance of `y` that an ordinary regression on the voice and the sex explains."""
    x = np.column_stack([np.ones(len(people)), people[list(population.VOICE)], people["gender"] == "m"])
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return 1 - residual.var() / y.var()


@pytest.mark.parametrize("gender", ["f", "m"])
@pytest.mark.parametrize("name", population.VOICE)
def test_voice_has_its_means_deviations_and_correlations(people, spec, name, gender):
    entry = spec["voice"][name][gender]
    group = people[people["gender"] == gender]
    value = group[name]
    if name == "f0_hz":
        value = 12 * np.log2(value / entry["mean"])
        assert abs(value.mean()) < 0.1
    else:
        assert abs(value.mean() - entry["mean"]) < 0.04 * entry["sd"]
    assert value.std() == pytest.approx(entry["sd"], rel=0.03)
    for cause, column in (("age", "age_years"), ("height", "height_cm"), ("bmi", "bmi")):
        assert np.corrcoef(value, group[column])[0, 1] == pytest.approx(entry[cause], abs=0.035)
    low, high = spec["voice"][name]["limits"]
    assert group[name].between(low, high).all()


@pytest.mark.parametrize("gender", ["f", "m"])
def test_bodies(people, spec, gender):
    group = people[people["gender"] == gender]
    for name in ("height_cm", "bmi"):
        entry = spec["body"][name][gender]
        assert group[name].mean() == pytest.approx(entry["mean"], rel=0.005)
        assert group[name].std() == pytest.approx(entry["sd"], rel=0.04)
    assert group["age_years"].between(18, 80).all()


@pytest.mark.parametrize("name", population.CAUSED)
def test_caused_trait_shares_its_causes_but_keeps_half_of_its_variance(people, spec, name):
    entry, male = spec["face"][name], people["gender"] == "m"
    assert people[name][male].mean() - people[name][~male].mean() == pytest.approx(entry["sex"], abs=0.06)
    for cause, column in (("age", "age_years"), ("height", "height_cm"), ("bmi", "bmi")):
        within = people[~male]
        assert np.corrcoef(within[name], within[column])[0, 1] == pytest.approx(entry[cause], abs=0.035)
    assert 0.1 < _r2(people, people[name].to_numpy()) <= 0.5


@pytest.mark.parametrize("name", population.CAUSED)
def test_caused_trait_goes_with_tract_and_pitch_beyond_age_and_size(people, spec, name):
    """Partial correlations: what is left of both when age, height and body mass index are regressed out."""
    group = people[people["gender"] == "m"]
    x = np.column_stack([np.ones(len(group)), group[["age_years", "height_cm", "bmi"]]])

    def rest(values):
        residual = values - x @ np.linalg.lstsq(x, values, rcond=None)[0]
        return residual / residual.std()

    entry = spec["face"][name]
    own = np.sqrt(1 - sum(entry[cause] ** 2 for cause in ("age", "height", "bmi")))
    tract = np.mean(rest(group[name].to_numpy()) * rest(group["vocal_tract_cm"].to_numpy()))
    pitch = np.mean(rest(group[name].to_numpy()) * rest(np.log2(group["f0_hz"].to_numpy())))
    assert tract == pytest.approx(entry["tract"] / own, abs=0.04)
    assert pitch == pytest.approx(-entry["larynx"] / own, abs=0.04)


@pytest.mark.parametrize("name", population.INDEPENDENT)
def test_independent_trait_is_not_in_the_voice(people, name):
    assert _r2(people, _codes(people[name])) < 0.003  # 8 regressors on 20,000 people explain 0.0004 by chance


def test_sexes_overlap_in_one_trait_and_part_in_all(people):
    male = (people["gender"] == "m").to_numpy()
    pitch = np.log2(people["f0_hz"])
    by_pitch = ((pitch < (pitch[male].mean() + pitch[~male].mean()) / 2) == male).mean()
    assert 0.95 < by_pitch < 0.995
    x = np.column_stack([np.ones(len(people)), people[list(population.CAUSED)]])
    weights = np.linalg.lstsq(x[::2], 2.0 * male[::2] - 1, rcond=None)[0]
    assert ((x[1::2] @ weights > 0) == male[1::2]).mean() > 0.985
    for name in population.CAUSED:
        value = people[name].to_numpy()
        cut = ((value > np.median(value)) == male).mean()
        assert max(cut, 1 - cut) < 0.88


@pytest.mark.parametrize("gender", ["f", "m"])
def test_best_linear_match_within_a_sex_is_well_above_chance_and_far_from_sure(people, gender):
    """Which of two faces of one sex belongs to a voice: the likelihood ratio of a linear Gaussian model."""
    group = people[people["gender"] == gender].to_numpy()
    columns = list(people.columns)
    v = group[:, [columns.index(c) for c in population.VOICE]].astype(float)
    f = group[:, [columns.index(c) for c in population.CAUSED]].astype(float)
    v, f = np.column_stack([np.ones(len(v)), (v - v.mean(0)) / v.std(0)]), f - f.mean(0)
    predicted = v @ np.linalg.lstsq(v[:5000], f[:5000], rcond=None)[0]
    given_voice = np.linalg.inv(np.cov((f - predicted)[:5000].T))
    alone = np.linalg.inv(np.cov(f[:5000].T))

    def score(predicted, f):
        e = f - predicted
        return np.einsum("ni,ij,nj->n", f, alone, f) - np.einsum("ni,ij,nj->n", e, given_voice, e)

    predicted, f = predicted[5000:], f[5000:]
    right = np.mean([score(predicted, f) > score(predicted, np.roll(f, k, axis=0)) for k in (1, 7, 99)])
    assert 0.85 < right < 0.93


def test_age_is_audible_to_about_the_degree_that_is_meant(people):
    for gender in "fm":
        group = people[people["gender"] == gender]
        x = np.column_stack([np.ones(len(group)), group[list(population.VOICE)]])
        estimate = x @ np.linalg.lstsq(x, group["age_years"].to_numpy(), rcond=None)[0]
        assert np.corrcoef(estimate, group["age_years"])[0, 1] == pytest.approx(0.78, abs=0.02)


def test_same_seed_same_people_and_half_of_them_women():
    a, b, other = (population.sample(31, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(a, b)
    assert not np.allclose(a["f0_hz"], other["f0_hz"])
    assert (a["gender"] == "f").sum() == 16
    assert a["identity"].is_unique and a["identity"][0] == "s0000"
    assert set(population.VOICE + population.CAUSED + population.INDEPENDENT) < set(a.columns)


def test_too_few_people_is_an_error():
    with pytest.raises(ParameterError, match=r"is 1\..*at least 2"):
        population.sample(1, seed=0)


def test_a_planted_leak_moves_the_pitch_with_the_skin_tone_and_nothing_else():
    plain, leaky = population.sample(4000, seed=3), population.sample(4000, seed=3, leak=1.0)
    pd.testing.assert_frame_equal(plain.drop(columns="f0_hz"), leaky.drop(columns="f0_hz"))
    for gender, sd in (("f", 2.2), ("m", 2.6)):  # semitones, from causes.yaml
        own = plain["gender"] == gender
        tone = plain["skin_tone"][own]
        semitones = 12 * np.log2(leaky["f0_hz"][own] / plain["f0_hz"][own])
        slope = np.polyfit((tone - tone.mean()) / tone.std(), semitones, 1)[0]
        assert slope == pytest.approx(sd, rel=0.1)  # a little less where the pitch is clipped
        assert abs(np.corrcoef(np.log(plain["f0_hz"][own]), tone)[0, 1]) < 0.06
        assert np.corrcoef(np.log(leaky["f0_hz"][own]), tone)[0, 1] > 0.6


def test_people_of_another_prefix_have_the_traits_and_not_the_names():
    people, others = population.sample(10, seed=3), population.sample(10, seed=3, prefix="m")
    pd.testing.assert_frame_equal(people.drop(columns="identity"), others.drop(columns="identity"))
    assert others["identity"][4] == "m0004"
