#!/bin/sh
# scoringrules 0.10.0's fair kernel score gets worse by half over M - 1 when its M members are given equal weights.
#
# Guess: `ens_w` of ones is the same as no `ens_w`, for every score and every estimator, as the scale of the weights
# does not matter either; a fair score has the same mean for 3 perfect members as for 20.
# Behaviour: so it is for the fair energy, variogram and ranked probability scores. `gksuv_ensemble` and `gksmv_ensemble`
# (Gaussian kernel) with `estimator="fair"` and weights keep each member's kernel with itself, which the divisor has
# already left out: 0.5 / (M - 1) is added with equal weights, 0.25 with 3 members and 0.03 with 20. An honest
# forecast of 3 draws then scores nearly twice as badly as one of 20, worse than a forecast of 20 draws that is off by a whole
# standard deviation. `estimator="nrg"` has no such term.
# What to do: compare weighted and unweighted on equal weights first; subtract half the sum of the squared weights over
# one minus that sum (weights that sum to one), or use another score.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scoringrules==0.10.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata

import numpy as np
import scoringrules as sr

rng = np.random.default_rng(0)
cases = 20000
truth = rng.normal(size=cases)


def fair(members, off=0.0):
    """Mean fair kernel score of draws from the truth's own distribution, without weights and with equal ones."""
    draws = rng.normal(off, 1, (cases, members))
    return [sr.gksuv_ensemble(truth, draws, estimator="fair", ens_w=weights).mean() for weights in (None, np.ones_like(draws))]


print("scoringrules", importlib.metadata.version("scoringrules"))
means = {members: fair(members) for members in (3, 6, 20)}
for members, (plain, weighted) in means.items():
    print(f"{members} honest draws: without weights {plain:.3f}, with equal weights {weighted:.3f}")
    assert abs(weighted - plain - 0.5 / (members - 1)) < 1e-6
off = fair(20, off=1.0)
print(f"20 draws, one deviation off: without weights {off[0]:.3f}, with equal weights {off[1]:.3f}")
plain = [pair[0] for pair in means.values()]
assert max(plain) - min(plain) < 0.01 and max(plain) + 0.05 < off[0] and off[1] < means[3][1]

few = rng.normal(size=(cases, 6))
ranked = sr.crps_ensemble(truth, few, estimator="fair", ens_w=np.ones_like(few)) - sr.crps_ensemble(truth, few, estimator="fair")
print(f"crps_ensemble, fair, 6 members: equal weights add {ranked.mean():.6f}")
assert np.abs(ranked).max() < 1e-9

point, draws = rng.normal(size=3), rng.normal(size=(6, 3))
for score, estimator in ((sr.gksmv_ensemble, "fair"), (sr.gksmv_ensemble, "nrg"), (sr.es_ensemble, "fair"), (sr.vs_ensemble, "fair")):
    added = float(score(point, draws, estimator=estimator, ens_w=np.ones(6)) - score(point, draws, estimator=estimator))
    print(f"{score.__name__}, {estimator}, 6 members: equal weights add {added:.6f}")
    assert abs(added - (0.1 if (score, estimator) == (sr.gksmv_ensemble, "fair") else 0)) < 1e-9
weights = rng.uniform(0.2, 1, 6)
share = weights / weights.sum()
extra = 0.5 * (share**2).sum() / (1 - (share**2).sum())
between = np.exp(-0.5 * ((draws[:, None] - draws) ** 2).sum(-1))
near = np.exp(-0.5 * ((draws - point) ** 2).sum(-1))
pairs = share @ between @ share - (share**2).sum()
defined = 0.5 + 0.5 * pairs / (1 - (share**2).sum()) - share @ near
got = float(sr.gksmv_ensemble(point, draws, estimator="fair", ens_w=weights))
print(f"unequal weights: {got:.4f}, over pairs of two members {defined:.4f}, the difference by the formula above {extra:.4f}")
assert abs(got - extra - defined) < 1e-9
print("as described")
PYTHON
