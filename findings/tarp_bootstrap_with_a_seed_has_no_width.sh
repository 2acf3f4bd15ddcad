#!/bin/sh
# tarp 0.1.1's bootstrap returns the same row a hundred times where it is given a seed, and overwrites its input.
#
# Guess: `get_tarp_coverage(samples, theta, bootstrap=True, seed=…)` gives 100 coverage curves, each of simulations that
# are drawn again with replacement, whose spread is the uncertainty of the curve; the arrays it is given stay as they
# are. `pip install tarp` brings what it imports.
# Behaviour: every round sets the global random stream to the seed again, so that from the second round on it replaces
# the same simulation by the same other one: all rows but the first are equal, and the interval has no width, whatever
# the number of simulations. Without a seed it replaces one simulation more in each round, in the caller's own arrays:
# of 200 different simulations about 130 are left afterwards, and a second call sees those. The package imports
# `deprecation` and `tqdm` and declares neither. Where all truths lie at one place among their draws, the credibility
# levels that it returns run from 0.5 to 1.5.
# What to do: where a truth lies among its draws by distance to a reference is a rank; take ranks, and draw people again
# for the interval (s2f.metrics.calibration.tarp, ten lines).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tarp==0.1.1 numpy==2.4.6
"$folder/venv/bin/python" -c "import tarp" 2>&1 | tail -1
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check deprecation==2.1.0 tqdm==4.67.1
"$folder/venv/bin/python" - 2>"$folder/progress" <<'PYTHON'
import numpy as np
import tarp

rng = np.random.default_rng(0)


def simulations(n):
    """Truths, and draws from the very distribution that each comes from."""
    centre = rng.normal(size=(n, 2))
    return centre + rng.normal(size=(100, n, 2)), centre + rng.normal(size=(n, 2))


samples, theta = simulations(200)
seeded, _ = tarp.get_tarp_coverage(samples.copy(), theta.copy(), bootstrap=True, seed=1, num_alpha_bins=10)
print("different rows of 100, with a seed:", len(np.unique(seeded, axis=0)), "- largest deviation after the first:",
      seeded[1:].std(axis=0).max().round(12))
single = [tarp.get_tarp_coverage(*simulations(200), norm=True, seed=1, num_alpha_bins=10)[0] for _ in range(100)]
print("deviation of the middle of the curve over new simulations:", np.std([curve[5] for curve in single]).round(3))
tarp.get_tarp_coverage(samples, theta, bootstrap=True, num_alpha_bins=10)
left = len(np.unique(theta, axis=0))
print("different simulations in the caller's array, of 200, after a call without a seed:", left)
_, levels = tarp.get_tarp_coverage(*(part[..., :1] * 0 + k for k, part in enumerate((samples, theta))),
                                   references=np.zeros((200, 1)), num_alpha_bins=10)
print("credibility levels where every truth is farther off than its draws:", levels[[0, -1]])
assert seeded[1:].std(axis=0).max() < 1e-12 and np.std([curve[5] for curve in single]) > 0.02
assert left < 150
assert levels[0] == 0.5 and levels[-1] == 1.5
print("as described")
PYTHON
