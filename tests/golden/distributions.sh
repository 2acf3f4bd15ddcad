#!/bin/sh
# What other people's packages make of small arrays: the values in tests/metrics/test_energy.py, test_manifolds.py and
# test_calibration.py. `deprecation` and `tqdm` are imported by tarp, which does not say so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 scoringrules==0.10.0 prdc==0.2 \
  tarp==0.1.1 deprecation==2.1.0 tqdm==4.67.1
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import scoringrules
import tarp
from prdc import compute_prdc

rng = np.random.default_rng(5)
draws, truth = rng.normal(size=(4, 6, 3)), rng.normal(size=(4, 3))
print("energy score, fair:", scoringrules.es_ensemble(truth, draws, estimator="fair", backend="numpy").tolist())

rng = np.random.default_rng(6)
faces, photos = rng.normal(size=(50, 4)), 0.7 * rng.normal(size=(40, 4)) + 1
found = compute_prdc(photos, faces, 3)
print("precision, recall:", float(found["precision"]), float(found["recall"]))

rng = np.random.default_rng(7)
draws, truth, references = rng.normal(size=(200, 9, 3)), 1.5 * rng.normal(size=(200, 3)), rng.normal(size=(200, 3))
# Ranks of 0 to 9 draws out of 9, a bin each; the edges run from the lowest rank to the highest.
coverage, levels = tarp.get_tarp_coverage(draws.swapaxes(0, 1), truth, references=references, num_alpha_bins=10)
print("coverage:", coverage.tolist(), "levels:", levels[[0, -1]].tolist())
PYTHON
