#!/bin/sh
# audmetric 1.4.2 gives a verifier that is right 85 times in 100 an equal error rate of 1.0.
#
# Guess: the equal error rate depends on the order of the scores alone; scores that tie at the top move it by half a
# tie at most, a verifier with one score for everything has 0.5, and 0/1 decisions, which the docstring allows, with 10 %
# and 20 % of errors have 0.15 whichever kind of error is the more frequent one.
# Behaviour: no threshold above the highest score is tried, so that rejecting everyone is no point of the curve. Where
# more strangers than genuine pairs stand on the wrong side of the highest score, "the curves do not intersect", which
# is a RuntimeWarning, and the answer is 1.0: for 0/1 decisions with more false matches than false non-matches (the other
# way round gives 0.15), for one score for everything, and for log-odds of an error rate of 0.15 after a sigmoid in
# float32, which writes both kinds of pairs as exactly 1. With classes and signs swapped the same scores give 0.2.
# What to do: score before any squashing or rounding, make the warning an error, or add a threshold above all scores.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check audmetric==1.4.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import warnings

import audmetric
import numpy as np

truth = np.repeat([1, 0], 100)


def rate(truth, score):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return round(audmetric.equal_error_rate(truth, score)[0], 3), [warning.category.__name__ for warning in caught]


def decisions(false_match, false_non_match):
    """0/1 decisions on 100 genuine pairs and then 100 pairs of strangers."""
    return np.concatenate([np.arange(100) >= false_non_match, np.arange(100) < false_match]).astype(float)


rng = np.random.default_rng(0)
odds = np.concatenate([rng.normal(25, 5, 100), rng.normal(15, 5, 100)]).astype(np.float32)
probability = 1 / (1 + np.exp(-odds))
seen = {
    "decisions, 20 false matches and 10 false non-matches": rate(truth, decisions(20, 10)),
    "decisions, 10 false matches and 20 false non-matches": rate(truth, decisions(10, 20)),
    "one score for everything": rate(truth, np.full(200, 0.5)),
    "log-odds": rate(truth, odds),
    "the same through a sigmoid": rate(truth, probability),
    "that with classes and signs swapped": rate(1 - truth, -probability),
}
print("audmetric", importlib.metadata.version("audmetric"))
for name, (value, warned) in seen.items():
    print(f"{name}: {value} {warned or ''}")
print("pairs at exactly 1: genuine", (probability[:100] == 1).sum(), "strangers", (probability[100:] == 1).sum())
values, warned = [value for value, _ in seen.values()], [bool(warnings) for _, warnings in seen.values()]
assert values[:3] == [1.0, 0.15, 1.0] and values[4] == 1.0
assert 0.1 < values[3] < 0.2 and 0.1 < values[5] < 0.25
assert warned == [True, False, True, False, True, False]
print("as described")
PYTHON
