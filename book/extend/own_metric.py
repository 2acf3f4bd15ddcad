"""How far a face is from its own mirror image."""

import numpy as np

from s2f.metrics.catalogue import TENTHS, Metric
from s2f.metrics.measures import Comparison
from s2f.metrics.resampling import Measured

KEY = "asymmetry"

# For `_METRICS` of s2f/metrics/catalogue.py: label, table, what it needs.
ENTRY = Metric(KEY, "asymmetry (0–255)", "sets", "pixels", form=TENTHS)


# For `FUNCTIONS` of s2f/metrics/measures.py, under the same key.
def asymmetry(c: Comparison) -> Measured:
    faces = c.faces.part("pixels").astype(np.float32)  # [n, 64, 64, 3]
    off = np.abs(faces - faces[:, :, ::-1]).mean(axis=(1, 2, 3))  # [n]
    return c.mean(off, "the face's own mirror image")
