"""A metric of one's own: how far a face is from its own mirror image."""

import numpy as np

from s2f.metrics import catalogue
from s2f.metrics.measures import Comparison
from s2f.metrics.resampling import Measured

# One more entry of `_METRICS` in s2f/metrics/catalogue.py: name, label, table, and what it needs.
ENTRY = catalogue.Metric("asymmetry", "asymmetry (0–255)", "sets", "pixels", form=catalogue.TENTHS)


# And its function in s2f/metrics/measures.py, under the same key of `FUNCTIONS`.
def asymmetry(c: Comparison) -> Measured:
    """Mean absolute difference of each face and its mirror image, averaged over recordings and people."""
    faces = c.faces.part("pixels").astype(np.float32)  # [n, 64, 64, 3]
    differences = np.abs(faces - faces[:, :, ::-1]).mean(axis=(1, 2, 3))  # [n]
    return c.mean(differences, "the face's own mirror image")
