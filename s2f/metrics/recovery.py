"""How much of what is true of people can be recovered from something about them: held-out R², and what chance gives.

A predictor maps targets to held-out predictions of them. Chance is what it reaches when the people's targets are
permuted, so that a flexible predictor and a rigid one are each compared with their own luck. Several trainings of
one model are replicates: their statistics are averaged, on the same resampled or permuted people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from s2f.errors import MetricError

# Targets float [n, C, B], B variants of each column, to held-out predictions of them, same shape.
Predictor = Callable[[np.ndarray], np.ndarray]

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)  # of a ridge, for each person it is fitted on
LEGIBLE_FROM = 0.05  # R² on real photographs below which an attribute counts as not legible
SIGNIFICANT = 0.05  # corrected p-value below which an independent attribute is above chance
RECOVERED, MISSED, CHANCE, ABOVE = "recovered", "not recovered", "at chance", "above chance"
LEGIBLE, NOT_LEGIBLE, NOT_READ, NOT_IN_VOICE = "legible", "not legible", "not read", "too little in the voice"
SHARED, NOT_SHARED, MADE_UP, UNTOLD = "shared", "not shared", "made up", "shared, though no voice tells it"
MARGIN = 0.02  # of the variance within a sex: what draws share beyond it counts, a correlation of 0.14 (ours)
AS_PEOPLE, TOO_LITTLE, TOO_MUCH = "as people", "too little", "too much"


@dataclass(frozen=True)
class Attributes:
    """What is recovered, and in which columns of the targets it lies.

    Attributes
    ----------
    names : tuple of str [A]
    caused : ndarray, bool [A], whether the voice shares causes with it
    of : ndarray, int [C], attribute of each column; a category has a column a value
    by_auc : ndarray, bool [A]
        Measured by the area under the ROC curve instead of R²; these have one column, of zeros and ones.
    """

    names: tuple[str, ...]
    caused: np.ndarray
    of: np.ndarray
    by_auc: np.ndarray


@dataclass(frozen=True)
class Level:
    """What one predictor made of people, and what it made of permuted ones.

    Attributes
    ----------
    predicted : ndarray, float [n, C], Held-out predictions; NaN in columns that it knows nothing about
    null : ndarray, float [n_permutations, A], statistic of each attribute on permuted targets
    """

    predicted: np.ndarray
    null: np.ndarray


# Predictors


class Ridge:
    """Ridge regression on standardised features, fitted on all folds but one and applied to that one.

    The penalty is chosen inside the fitted folds, for each target, by the leave-one-out error, which a ridge has in
    closed form (Hastie, Tibshirani and Friedman 2009, section 7.10). Everything that does not depend on the targets
    is computed once.

    Parameters
    ----------
    features : ndarray, float [n, d]
    folds : ndarray, int [n], fold of each person
    """

    def __init__(self, features: np.ndarray, folds: np.ndarray) -> None:
        self._parts = []
        for fold in np.unique(folds):
            out = folds == fold
            centre, scale = features[~out].mean(0), np.maximum(features[~out].std(0), 1e-9)
            x = (features - centre) / scale
            u, s, vt = np.linalg.svd(x[~out], full_matrices=False)  # [n - m, k], [k], [k, d]
            self._parts.append((out, u, s, x[out] @ vt.T))  # [m, k]

    def __call__(self, targets: np.ndarray) -> np.ndarray:
        """Held-out predictions of targets float [n, C, B]."""
        wanted = targets.reshape(len(targets), -1)  # [n, C * B]
        predicted = np.empty_like(wanted)
        for out, u, s, projected in self._parts:
            mean = wanted[~out].mean(0)
            y = wanted[~out] - mean
            along = u.T @ y  # [k, C * B]
            best = np.full(wanted.shape[1], np.inf)
            for penalty in PENALTIES:
                kept = s**2 / (s**2 + penalty * len(u))
                leverage = 1 / len(u) + u**2 @ kept  # [n - m], the intercept's included
                errors = (((y - u @ (kept[:, None] * along)) / (1 - leverage)[:, None]) ** 2).sum(0)
                better = errors < best
                weights = np.divide(kept, s, out=np.zeros_like(s), where=s > 1e-9)
                fitted = projected @ (weights[:, None] * along[:, better])
                predicted[np.ix_(out, better)] = fitted + mean[better]
                best = np.minimum(best, errors)
        return predicted.reshape(targets.shape)


class Line:
    """Each target from its own reading alone, shifted and scaled as the other folds say, never turned round.

    Readers shrink what they are unsure of; a line undoes that. A reading that falls where the target rises predicts
    nothing.

    Parameters
    ----------
    readings : ndarray, float [n, C], NaN in columns that are not read
    folds : ndarray, int [n]
    as_it_is : ndarray, bool [C], columns whose reading is taken for the prediction, unfitted
    """

    def __init__(self, readings: np.ndarray, folds: np.ndarray, *, as_it_is: np.ndarray) -> None:
        self.readings, self.folds, self.as_it_is = readings[:, :, None], folds, as_it_is

    def __call__(self, targets: np.ndarray) -> np.ndarray:
        """Held-out predictions of targets float [n, C, B]."""
        predicted = np.empty_like(targets)
        for fold in np.unique(self.folds):
            out = self.folds == fold
            mean, centre = targets[~out].mean(0), self.readings[~out].mean(0)  # [C, B], [C, 1]
            x = self.readings[~out] - centre
            slope = (x * targets[~out]).sum(0) / np.maximum((x**2).sum(0), 1e-12)  # [C, B]
            predicted[out] = mean + np.maximum(slope, 0) * (self.readings[out] - centre)
        predicted[:, self.as_it_is] = self.readings[:, self.as_it_is]
        return predicted


def fixed(predictions: np.ndarray) -> Predictor:
    """A predictor that was fitted elsewhere and says `predictions` [n, C] whatever the targets are."""
    return lambda targets: np.broadcast_to(predictions[:, :, None], targets.shape)


def conditional_mean(
    features: np.ndarray, targets: np.ndarray, female: np.ndarray, *, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Expected targets given features, for each sex, and the probability of the sex: the parts of the best predictor.

    In a population of two sexes the best predictor is ``p * of_women + (1 - p) * of_men``. Within a sex the targets
    are taken as quadratic in the features, and the probability by logistic regression on the same terms.

    Parameters
    ----------
    features : ndarray, float [N, d], of a large sample to fit on
    targets : ndarray, float [N, C]
    female : ndarray, bool [N]
    at : ndarray, float [n, d], features to predict for

    Returns
    -------
    by_sex : ndarray, float [2, n, C], of women, of men
    p_female : ndarray, float [n]
    """
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    terms = make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False), StandardScaler())
    fitted, new = terms.fit_transform(features), terms.transform(at)  # [N, T], [n, T]
    by_sex = [LinearRegression().fit(fitted[own], targets[own]).predict(new) for own in (female, ~female)]
    sexes = LogisticRegression(C=10.0, max_iter=1000).fit(fitted, female)
    return np.stack(by_sex), sexes.predict_proba(new)[:, 1]


# Statistics


def fold_numbers(n: int, *, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Folds int [n], as equal in size as they can be.

    Raises
    ------
    MetricError: fewer than two people a fold
    """
    if n < 2 * n_folds:
        raise MetricError(
            "recovery", f"has {n} people for {n_folds} folds", remedy="Measure on more people.", reason="too_few"
        )
    return rng.permutation(n) % n_folds


def permutations(groups: np.ndarray, *, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` orders of people, int [n, n_people], each person in a place of the own group."""
    orders = np.tile(np.arange(len(groups)), (n, 1))
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        orders[:, own] = rng.permuted(np.tile(own, (n, 1)), axis=1)
    return orders


def recovered(
    truth: np.ndarray, predicted: np.ndarray, attributes: Attributes, *, counts: np.ndarray | None = None
) -> np.ndarray:
    """Held-out R² of each attribute, or its area under the ROC curve.

    Parameters
    ----------
    truth, predicted : ndarray, float [n, C]
    attributes : Attributes
    counts : ndarray, float [B, n], optional, how often each person was drawn; everybody once if not given

    Returns
    -------
    ndarray, float [B, A]
        R² is 1 − Σ(truth − predicted)² / Σ(truth − mean)², both sums over people and the attribute's columns.
    """
    counts = np.ones((1, len(truth))) if counts is None else counts
    columns = (attributes.of[:, None] == np.arange(len(attributes.names))).astype(float)  # [C, A]
    centred = truth - truth.mean(0)
    errors = counts @ ((truth - predicted) ** 2)  # [B, C]
    spread = counts @ centred**2 - (counts @ centred) ** 2 / counts.sum(1, keepdims=True)
    spread, errors = spread @ columns, _summed(errors, columns)
    values = 1 - np.divide(errors, spread, out=np.full_like(errors, np.nan), where=spread > 1e-12)
    for attribute in np.flatnonzero(attributes.by_auc):
        column = int(np.flatnonzero(attributes.of == attribute)[0])
        values[:, attribute] = area(predicted[:, column], truth[:, column] > 0.5, counts=counts)
    return values


def _summed(values: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Sums over an attribute's columns, [B, A], where a column of NaN spoils its own attribute only."""
    known = np.isfinite(values)
    sums = np.where(known, values, 0.0) @ columns
    return np.where((~known).astype(float) @ columns > 0, np.nan, sums)


def area(scores: np.ndarray, positive: np.ndarray, *, counts: np.ndarray) -> np.ndarray:
    """Probability that a positive has the higher score than a negative, ties half: [B] of scores [n], counts [B, n]."""
    higher = scores[positive, None] - scores[None, ~positive]  # [n_positive, n_negative]
    wins = (higher > 0) + 0.5 * (higher == 0)
    pairs = counts[:, positive].sum(1) * counts[:, ~positive].sum(1)
    won = ((counts[:, positive] @ wins) * counts[:, ~positive]).sum(1)
    return np.divide(won, pairs, out=np.full(len(counts), np.nan), where=pairs > 0)


def level(
    predictor: Predictor, truth: np.ndarray, attributes: Attributes, *, orders: np.ndarray, block: int = 25
) -> Level:
    """Predictions of the truth, and the statistic on the permuted truth.

    Parameters
    ----------
    predictor : callable, `Ridge`, `Line` or `fixed`
    truth : ndarray, float [n, C]
    orders : ndarray, int [n_permutations, n], from `permutations`
    block : int, permutations at a time
    """
    null = []
    for start in range(0, len(orders), block):
        shuffled = np.moveaxis(truth[orders[start : start + block]], 0, 2)  # [n, C, b]
        said = predictor(shuffled)
        null += [recovered(shuffled[..., k], said[..., k], attributes)[0] for k in range(shuffled.shape[2])]
    return Level(np.array(predictor(truth[:, :, None])[..., 0]), np.stack(null))


def estimates(
    truth: np.ndarray,
    replicates: Sequence[Level],
    attributes: Attributes,
    *,
    rng: np.random.Generator,
    n_resamples: int,
) -> pd.DataFrame:
    """Value, 95 % interval over people, chance and p-value of each attribute, averaged over replicates.

    Parameters
    ----------
    replicates : sequence of Level, of the same people, permuted in the same orders
    rng : numpy.random.Generator, draws the people of the bootstrap
    n_resamples : int

    Returns
    -------
    DataFrame
        A row an attribute: `value`, `low`, `high`, `null_high` (the 97.5 % quantile of chance), `p` (share of the
        permutations that reach the value, itself among them). NaN where nothing is predicted.
    """
    n = len(truth)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples).astype(float)

    def mean(counts=None) -> np.ndarray:
        return np.mean([recovered(truth, one.predicted, attributes, counts=counts) for one in replicates], axis=0)

    value, draws = mean()[0], mean(counts)  # [A], [B, A]
    null = np.mean([one.null for one in replicates], axis=0)  # [n_permutations, A]
    p, null_high = (1 + (null >= value).sum(0)) / (1 + len(null)), np.quantile(null, 0.975, axis=0)
    low, high = np.nanquantile(np.where(np.isfinite(value), draws, 0), [0.025, 0.975], axis=0)
    columns = {"value": value, "low": low, "high": high, "null_high": null_high, "p": p}
    frame = pd.DataFrame(columns, index=pd.Index(attributes.names, name="attribute"))
    frame[~np.isfinite(value)] = np.nan
    return frame


def holm(p: np.ndarray) -> np.ndarray:
    """p-values [k] corrected for being k of them (Holm 1979); NaN stay NaN and do not count."""
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known])]
    steps = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1))
    out = np.full(len(p), np.nan)
    out[order] = np.minimum(steps, 1.0)
    return out


def verdicts(levels: dict[str, pd.DataFrame], attributes: Attributes) -> pd.DataFrame:
    """One table of all levels, with what each attribute's numbers mean.

    A caused attribute is recovered where its interval lies above the 97.5 % quantile of permuted people, and above an
    R² of 0 or an area of 0.5. An independent one is at chance where its p-value, corrected for all independent ones of
    the level, is 0.05 or more. What is not read or not legible on real photographs has no verdict in a face, and what
    even the ceiling does not recover has none anywhere. Of photographs it is only said whether they are legible.

    Parameters
    ----------
    levels : dict of str to DataFrame, from `estimates`; "ceiling" and, with "face", "photographs" among them

    Returns
    -------
    DataFrame
        A row an attribute and level: `attribute`, `level`, `caused`, `measure` ("R²" or "AUC"), the columns of
        `estimates`, `p_holm` (independent attributes), `share_of_ceiling` (caused ones), `verdict`.
    """
    measures = np.where(attributes.by_auc, "AUC", "R²")
    chance = np.where(attributes.by_auc, 0.5, 0.0)
    ceiling = levels["ceiling"]["value"].to_numpy() - chance
    in_voice = _above(levels["ceiling"], chance)
    tables = []
    for name, frame in levels.items():
        value, is_photographs = frame["value"].to_numpy(), name == "photographs"
        without = np.full(len(frame), "", object)
        if name in ("face", "draws", "photographs"):
            real = levels["photographs"]["value"].to_numpy()
            without[np.where(attributes.by_auc, 2 * real - 1, real) < LEGIBLE_FROM] = NOT_LEGIBLE
        without[np.isnan(value)] = NOT_READ
        if not is_photographs:
            without[attributes.caused & ~in_voice & (without == "")] = NOT_IN_VOICE
        judged = (without == "") & (not is_photographs)
        corrected = holm(np.where(judged & ~attributes.caused, frame["p"], np.nan))
        shares = np.full(len(frame), np.nan)
        np.divide(value - chance, ceiling, out=shares, where=judged & attributes.caused)
        said = np.where(
            attributes.caused,
            np.where(_above(frame, chance), RECOVERED, MISSED),
            np.where(corrected < SIGNIFICANT, ABOVE, CHANCE),
        ).astype(object)
        said = np.where(judged, said, np.where(without == "", LEGIBLE, without))
        own = frame.reset_index().assign(level=name, caused=attributes.caused, measure=measures)
        tables.append(own.assign(p_holm=corrected, share_of_ceiling=shares, verdict=said))
    estimated = ["value", "low", "high", "null_high", "p"]
    order = ["attribute", "level", "caused", "measure", *estimated, "p_holm", "share_of_ceiling", "verdict"]
    return pd.concat(tables, ignore_index=True)[order]


def _above(frame: pd.DataFrame, chance: np.ndarray) -> np.ndarray:
    """Permuted people can be predicted worse than by their mean, so that their quantile alone is no bound."""
    return frame["low"].to_numpy() > np.maximum(frame["null_high"], chance)


def sharing(shares: pd.DataFrame) -> pd.DataFrame:
    """Judge what draws share, a row an attribute, of which `in_voice` says whether the voice tells it.

    What the voice tells must be shared, where the interval of what is shared lies above 0; nothing else may be, so its
    interval must reach down to `MARGIN`. All together must vary as photographs do: the interval of the total holds 1.
    Adds the columns sharing (`SHARED`, `NOT_SHARED`, `MADE_UP`, `UNTOLD`), spread (`AS_PEOPLE`, `TOO_LITTLE`,
    `TOO_MUCH`) and holds.
    """
    low, told = shares["shared_low"], shares["in_voice"].astype(bool)
    found = np.where(told, np.where(low > 0, SHARED, NOT_SHARED), np.where(low > MARGIN, UNTOLD, MADE_UP))
    varied = np.where(shares["total_high"] < 1, TOO_LITTLE, np.where(shares["total_low"] > 1, TOO_MUCH, AS_PEOPLE))
    holds = np.isin(found, (SHARED, MADE_UP)) & (varied == AS_PEOPLE)
    return shares.assign(sharing=found, spread=varied, holds=holds)
