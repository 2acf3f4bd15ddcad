"""Metrics as plain loops, and rows of the made-up people of `conftest`."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import linalg

from s2f.metrics import frechet, rows
from s2f.metrics.measures import Sizes

PARTS = ("value", "low", "high")
IN_SETS = {"fid", "fid_real_real", "precision", "recall"}


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def kid(x, x_codes, y, y_codes, n, chosen=None):
    statistic = frechet.kid(x, x_codes, y, y_codes, n_identities=n)
    return statistic(np.isin(np.arange(n), np.arange(n) if chosen is None else chosen)[None].astype(float))[0]


def slow_kid(x, y):
    def k(a, b):
        return (a @ b / len(a) + 1) ** 3

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i, j in itertools.permutations(range(n), 2)) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i, j in itertools.permutations(range(m), 2)) / (m * (m - 1))
    xy = sum(k(a, b) for a in x for b in y) / (n * m)
    return xx + yy - 2 * xy


def fast_kid(x, y):
    def pairs_of(z):
        kernel = (z @ z.T / z.shape[1] + 1) ** 3
        return kernel[~np.eye(len(z), dtype=bool)].mean()

    return pairs_of(x) + pairs_of(y) - 2 * ((x @ y.T / x.shape[1] + 1) ** 3).mean()


def slow_fid(x, y):
    sx, sy = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = linalg.sqrtm(linalg.sqrtm(sx).real @ sy @ linalg.sqrtm(sx).real).real
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(sx + sy - 2 * root)


def slow_inside(points, manifold, k):
    radii = [
        sorted(np.linalg.norm(a - b) for j, b in enumerate(manifold) if j != i)[k - 1] for i, a in enumerate(manifold)
    ]
    hits = [any(np.linalg.norm(p - m) <= r for m, r in zip(manifold, radii, strict=True)) for p in points]
    return np.mean(hits)


def evaluate(study, *, stand_ins=None, absent=None, rng=None, **sizes):
    """All rows of a study, whose model is the only set that is given if no others are."""
    return rows.evaluate(
        {"model": study.model} if stand_ins is None else stand_ins,
        study.photos,
        study.people,
        protocol="held_out",
        rng=np.random.default_rng(3) if rng is None else rng,
        absent=absent,
        sizes=Sizes(**{"n_resamples": 200, "min_n": 20} | sizes),
        training=getattr(study, "training", None),
    )


def compared(study, other, *, row="general", absent=None, **sizes):
    """All rows of a study and another set."""
    stand_ins = {"model": study.model, row: other}
    return evaluate(study, stand_ins=stand_ins, absent=absent, **{"n_resamples": 300} | sizes)
