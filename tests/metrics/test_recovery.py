"""Held-out R², chance and verdicts: against scikit-learn, closed forms and brute force."""

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from s2f.errors import MetricError
from s2f.metrics import recovery
from s2f.metrics.recovery import Attributes, Level

RNG = np.random.default_rng(5)
N = 60
FOLDS = np.arange(N) % 5
FEATURES = RNG.normal(size=(N, 4)) * [1, 5, 0.1, 1] + [0, 3, 0, -1]
TARGETS = np.stack([FEATURES @ [1, 0.3, -4, 0] + RNG.normal(size=N), RNG.normal(size=N)], axis=1)
PLAIN = Attributes(("a", "b"), np.array([True, False]), np.array([0, 1]), np.array([False, False]))


def held_out(model, features, targets):
    """Brute force: fit on the other folds, one target at a time."""
    predicted = np.empty_like(targets)
    for fold, column in itertools.product(np.unique(FOLDS), range(targets.shape[1])):
        out = fold == FOLDS
        fitted = model(int((~out).sum())).fit(features[~out], targets[~out, column])
        predicted[out, column] = fitted.predict(features[out])
    return predicted


def test_ridge_equals_scikit_learns_with_the_penalty_chosen_by_leave_one_out():
    def model(n):
        return make_pipeline(StandardScaler(), RidgeCV(alphas=np.array(recovery.PENALTIES) * n))

    found = recovery.Ridge(FEATURES, FOLDS)(TARGETS[:, :, None])[..., 0]
    np.testing.assert_allclose(found, held_out(model, FEATURES, TARGETS), rtol=1e-6, atol=1e-8)


def test_ridge_treats_variants_of_a_target_as_targets_of_their_own():
    ridge = recovery.Ridge(FEATURES, FOLDS)
    several = RNG.normal(size=(N, 2, 3))
    found = ridge(several)
    assert found.shape == several.shape
    for k in range(3):
        np.testing.assert_allclose(found[..., k], ridge(several[..., k : k + 1])[..., 0])


def test_ridge_bears_a_feature_that_never_changes():
    features = np.column_stack([FEATURES, np.full(N, 2.0)])
    found, without = (recovery.Ridge(x, FOLDS)(TARGETS[:, :, None]) for x in (features, FEATURES))
    np.testing.assert_allclose(found, without, atol=1e-8)


def test_line_equals_a_regression_on_the_one_reading():
    readings = np.stack([3 * TARGETS[:, 0] + 2 + RNG.normal(size=N), TARGETS[:, 1] - 7], axis=1)
    found = recovery.Line(readings, FOLDS, as_it_is=np.array([False, False]))(TARGETS[:, :, None])[..., 0]
    for k in range(2):
        one = held_out(lambda n: LinearRegression(), readings[:, k : k + 1], TARGETS[:, k : k + 1])
        np.testing.assert_allclose(found[:, k], one[:, 0])


def test_line_turns_nothing_round_and_leaves_alone_what_it_is_told_to():
    readings = np.stack([-TARGETS[:, 0], TARGETS[:, 1] * 9], axis=1)
    found = recovery.Line(readings, FOLDS, as_it_is=np.array([False, True]))(TARGETS[:, :, None])[..., 0]
    for fold in range(5):
        out = fold == FOLDS
        np.testing.assert_allclose(found[out, 0], TARGETS[~out, 0].mean())
    np.testing.assert_array_equal(found[:, 1], readings[:, 1])


def test_r_squared_and_area_of_resampled_people_equal_scikit_learns_of_repeated_people():
    attributes = Attributes(("x", "kind", "sex"), np.ones(3, bool), np.array([0, 1, 1, 2]), np.array([0, 0, 1], bool))
    truth = np.column_stack([RNG.normal(size=N), RNG.random((N, 2)) < 0.4, RNG.random(N) < 0.5]).astype(float)
    predicted = truth * 0.5 + RNG.normal(size=truth.shape).round(1)  # rounded: ties
    counts = RNG.multinomial(N, np.full(N, 1 / N), size=4)
    found = recovery.recovered(truth, predicted, attributes, counts=counts.astype(float))
    for row, times in zip(found, counts, strict=True):
        who = np.repeat(np.arange(N), times)
        t, p = truth[who], predicted[who]
        kinds = 1 - ((t - p)[:, 1:3] ** 2).sum() / ((t - t.mean(0))[:, 1:3] ** 2).sum()
        wanted = [r2_score(t[:, 0], p[:, 0]), kinds, roc_auc_score(t[:, 3], p[:, 3])]
        np.testing.assert_allclose(row, wanted)


def test_an_attribute_that_is_not_read_spoils_no_other():
    predicted = np.column_stack([TARGETS[:, 0], np.full(N, np.nan)])
    values = recovery.recovered(TARGETS, predicted, PLAIN)[0]
    assert values[0] == 1 and np.isnan(values[1])


def test_area_is_undefined_without_one_of_the_two():
    assert np.isnan(recovery.area(np.arange(3.0), np.array([True] * 3), counts=np.ones((1, 3)))).all()


def test_folds_are_as_equal_as_they_can_be_and_too_few_people_are_refused():
    sizes = np.bincount(recovery.fold_numbers(23, n_folds=5, rng=np.random.default_rng(0)))
    assert sorted(sizes) == [4, 4, 5, 5, 5]
    with pytest.raises(MetricError, match="has 9 people for 5 folds"):
        recovery.fold_numbers(9, n_folds=5, rng=np.random.default_rng(0))


def test_permutations_stay_within_groups_and_mix_them():
    groups = np.array([0, 1, 0, 1, 0, 1, 0, 1])
    orders = recovery.permutations(groups, n=200, rng=np.random.default_rng(0))
    assert (np.sort(orders, axis=1) == np.arange(8)).all() and (groups[orders] == groups).all()
    assert {tuple(order[::2]) for order in orders} == set(itertools.permutations([0, 2, 4, 6]))


def test_null_equals_the_statistic_on_each_permuted_truth():
    orders = recovery.permutations(np.zeros(N), n=7, rng=np.random.default_rng(0))
    found = recovery.level(recovery.Ridge(FEATURES, FOLDS), TARGETS, PLAIN, orders=orders, block=3)
    assert found.null.shape == (7, 2)
    for order, row in zip(orders, found.null, strict=True):
        alone = recovery.level(recovery.Ridge(FEATURES, FOLDS), TARGETS[order], PLAIN, orders=orders[:1])
        np.testing.assert_allclose(row, recovery.recovered(TARGETS[order], alone.predicted, PLAIN)[0])


def test_p_values_of_what_is_independent_are_uniform():
    rng, p = np.random.default_rng(3), []
    for _ in range(60):
        truth = rng.normal(size=(40, 2))
        orders = recovery.permutations(np.zeros(40), n=99, rng=rng)
        ridge = recovery.Ridge(rng.normal(size=(40, 3)), np.arange(40) % 4)
        one = recovery.level(ridge, truth, PLAIN, orders=orders)
        p += list(recovery.estimates(truth, [one], PLAIN, rng=rng, n_resamples=20)["p"])
    shares = [(np.array(p) <= at).mean() for at in (0.1, 0.5, 0.9)]  # standard error at most 0.05
    np.testing.assert_allclose(shares, [0.1, 0.5, 0.9], atol=0.15)


def test_estimates_average_replicates_on_the_same_people():
    rng = np.random.default_rng(1)
    replicates = [Level(TARGETS + rng.normal(size=TARGETS.shape) * s, rng.normal(size=(99, 2)) / 10) for s in (0.3, 1)]
    found = recovery.estimates(TARGETS, replicates, PLAIN, rng=np.random.default_rng(0), n_resamples=400)
    values = [[r2_score(TARGETS[:, k], one.predicted[:, k]) for k in range(2)] for one in replicates]
    np.testing.assert_allclose(found["value"], np.mean(values, axis=0))
    draws, people = [], np.random.default_rng(9)
    for _ in range(2000):  # the same bootstrap, person by person
        who = people.integers(N, size=N)
        each = [r2_score(TARGETS[who], one.predicted[who], multioutput="raw_values") for one in replicates]
        draws.append(np.mean(each, axis=0))
    wanted = np.quantile(draws, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(found[["low", "high"]].to_numpy().T, wanted, atol=0.06)
    null = np.mean([one.null for one in replicates], axis=0)
    np.testing.assert_allclose(found["null_high"], np.quantile(null, 0.975, axis=0))
    np.testing.assert_allclose(found["p"], (1 + (null >= np.mean(values, axis=0)).sum(0)) / 100)


def test_holm_by_hand():
    found = recovery.holm(np.array([0.01, 0.04, np.nan, 0.03, 0.5]))
    np.testing.assert_allclose(found, [0.04, 0.09, np.nan, 0.09, 0.5])
    np.testing.assert_allclose(recovery.holm(np.array([0.6, 0.7])), [1, 1])


def test_the_best_predictor_of_two_sexes_is_their_mixture():
    rng = np.random.default_rng(2)
    female = rng.random(6000) < 0.5
    x = rng.normal(size=(6000, 2)) + np.where(female, 1.0, -1.0)[:, None] * [1, 0]
    y = np.where(female, 2 + 3 * x[:, 1], -1 - x[:, 1] + x[:, 0] ** 2)[:, None]  # no noise, opposite slopes
    at = np.array([[0.0, 1.0], [1.0, -2.0], [-0.5, 0.5]])
    by_sex, p = recovery.conditional_mean(x, y, female, at=at)
    np.testing.assert_allclose(by_sex[0, :, 0], 2 + 3 * at[:, 1], atol=1e-6)
    np.testing.assert_allclose(by_sex[1, :, 0], -1 - at[:, 1] + at[:, 0] ** 2, atol=1e-6)
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-2 * at[:, 0])), atol=0.04)  # Bayes' rule for the two Gaussians


NAMES = ("shown", "missed", "quiet", "blurred", "chance", "leaky", "unread")
SEVEN = Attributes(NAMES, np.arange(7) < 4, np.arange(7), np.zeros(7, bool))


def frame(value, low, *, null_high=0.02, p=0.5):
    columns = {"value": value, "low": low, "high": np.add(value, 0.1), "null_high": null_high, "p": p}
    return pd.DataFrame(columns, index=pd.Index(NAMES, name="attribute")).astype(float)


def test_verdicts():
    nan = np.nan
    levels = {
        "ceiling": frame([0.5, 0.4, 0.01, 0.5, 0, 0, 0], [0.4, 0.3, -0.1, 0.4, -0.1, -0.1, -0.1]),
        "face": frame(
            [0.2, 0.1, 0, 0.3, 0, 0.3, nan],
            [0.1, 0.01, -0.1, 0.2, -0.1, 0.2, nan],
            p=[0.01, 0.2, 0.5, 0.01, 0.03, 0.02, nan],
        ),
        "photographs": frame([0.6, 0.6, 0.6, 0.04, 0.6, 0.6, nan], [0.5, 0.5, 0.5, 0, 0.5, 0.5, nan]),
    }
    table = recovery.verdicts(levels, SEVEN)
    face = table[table["level"] == "face"].set_index("attribute")
    assert face["verdict"].to_dict() == {
        "shown": recovery.RECOVERED,
        "missed": recovery.MISSED,
        "quiet": recovery.NOT_IN_VOICE,
        "blurred": recovery.NOT_LEGIBLE,
        "chance": recovery.ABOVE,
        "leaky": recovery.ABOVE,
        "unread": recovery.NOT_READ,
    }
    np.testing.assert_allclose(face.loc[["chance", "leaky"], "p_holm"], [0.04, 0.04])  # two are asked, not three
    np.testing.assert_allclose(face.loc[["shown", "missed"], "share_of_ceiling"], [0.4, 0.25])
    assert face.loc[["quiet", "chance", "leaky"], "share_of_ceiling"].isna().all()
    photographs = table[table["level"] == "photographs"]
    assert list(photographs["verdict"]) == ["legible"] * 3 + ["not legible"] + ["legible"] * 2 + ["not read"]
    assert photographs[["p_holm", "share_of_ceiling"]].isna().all(axis=None)
    levels["face"].loc["missed", ["low", "null_high"]] = -0.1, -0.3  # above its permutations, and still no recovery
    assert list(recovery.verdicts(levels, SEVEN).query("attribute == 'missed'")["verdict"])[1] == recovery.MISSED
    levels["face"].loc["leaky", "p"] = 0.03
    again = recovery.verdicts(levels, SEVEN).set_index(["level", "attribute"])
    assert (again.loc["face"].loc[["chance", "leaky"], "verdict"] == recovery.CHANCE).all()  # 2 × 0.03 is above 0.05


def test_the_share_of_an_area_is_counted_from_chance():
    one = Attributes(("sex",), np.array([True]), np.array([0]), np.array([True]))
    rows = {"value": [0.9], "low": [0.8], "high": [1.0], "null_high": [0.55], "p": [0.01]}
    levels = {
        "ceiling": pd.DataFrame(rows | {"value": [1.0]}, index=pd.Index(["sex"], name="attribute")),
        "embedding": pd.DataFrame(rows, index=pd.Index(["sex"], name="attribute")),
    }
    table = recovery.verdicts(levels, one).set_index("level")
    assert table.loc["embedding", "share_of_ceiling"] == pytest.approx(0.8)
    assert table.loc["embedding", "measure"] == "AUC"
