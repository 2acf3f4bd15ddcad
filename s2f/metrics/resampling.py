"""From what a metric's function found to the entries of ``metrics.json``: values, intervals, paired differences."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from s2f.errors import MetricError
from s2f.metrics import bootstrap, catalogue
from s2f.metrics.bootstrap import Estimate, Statistic

Entry = dict[str, float | int | str | None]


@dataclass(frozen=True)
class Measured:
    """What a metric's function found of a row.

    Attributes
    ----------
    value : callable or float, maps counts over all people to values; a number has no interval
    people : ndarray, bool [n], who has a value
    n_recordings, n_identities : int, optional, what the value rests on; the number of `people` where it is not given
    reference : str, what the faces were compared with
    reason : str, optional, why a number has no interval
    halves : bool, whether copies of a person would bias it, so that halves of the people are drawn
    """

    value: Statistic | float
    people: np.ndarray
    n_recordings: int | None
    reference: str
    n_identities: int | None = None
    reason: str | None = None
    halves: bool = False

    @property
    def statistic(self) -> Statistic:
        """A number is the same for whichever people."""
        return self.value if callable(self.value) else bootstrap.constant(self.value)


@dataclass(frozen=True)
class Line:
    """A measured row: its entries, and what they came from, or why there is nothing."""

    key: str
    entries: dict[str, Entry]
    found: Mapping[str, Measured | str]


@dataclass(frozen=True)
class Resampling:
    """The same resamples of all people, `counts` [n_resamples, n], for every row and metric."""

    counts: np.ndarray
    rng: np.random.Generator
    n_subsamples: int

    def line(self, key: str, found: Mapping[str, Measured | str]) -> Line:
        """The entries of a row; what is not measured, or too little to estimate, is null with a reason."""
        entries = {}
        for metric, one in found.items():
            try:
                entries[metric] = _nothing(one) if isinstance(one, str) else self._entry(one)
            except MetricError as error:
                entries[metric] = _nothing(why(error))
        return Line(key, entries, found)

    def minus(self, ours: Line, theirs: Line) -> dict[str, Entry]:
        """One row minus another, paired on the people of both, for every metric that has an interval."""
        with_interval = [key for key, metric in catalogue.METRICS.items() if metric.interval]
        return {key: self._minus(ours, theirs, key) for key in with_interval}

    def _minus(self, ours: Line, theirs: Line, metric: str) -> Entry:
        nothing: Entry = dict.fromkeys(("value", "low", "high", "n_identities"))
        for line in (ours, theirs):
            if line.entries[metric]["value"] is None:
                return nothing | {"reason": f"{line.key}: {line.entries[metric]['reason']}"}
        one, other = ours.found[metric], theirs.found[metric]
        assert isinstance(one, Measured) and isinstance(other, Measured)  # both have a value
        people = one.people & other.people
        function = bootstrap.within(bootstrap.difference(one.statistic, other.statistic), people)
        try:
            found = self._estimate(function, people, halves=one.halves)
        except MetricError as error:
            return nothing | {"reason": why(error)}
        n = int(people.sum())
        return {"value": found.value, "low": found.low, "high": found.high, "n_identities": n, "reason": None}

    def _entry(self, found: Measured) -> Entry:
        value, low, high = found.value, None, None
        n_identities = int(found.people.sum()) if found.n_identities is None else found.n_identities
        if callable(value):
            estimate = self._estimate(value, found.people, halves=found.halves)
            value, low, high = estimate.value, estimate.low, estimate.high
        counts = {"n_recordings": found.n_recordings, "n_identities": n_identities}
        return {
            "value": value,
            "low": low,
            "high": high,
            **counts,
            "reference": found.reference,
            "reason": found.reason,
        }

    def _estimate(self, statistic: Statistic, people: np.ndarray, *, halves: bool) -> Estimate:
        if halves:
            rng = copy.deepcopy(self.rng)  # the same halves each time
            return bootstrap.subsampled(statistic, people=people, rng=rng, n_subsamples=self.n_subsamples)
        return bootstrap.estimate(statistic, self.counts, people=people)


def why(error: MetricError) -> str:
    """What stands in the place of a value that cannot be had; a fault of what was given is raised again."""
    if error.reason == "error":
        raise error
    return str(error)


def _nothing(reason: str) -> Entry:
    nothing: Entry = dict.fromkeys(("value", "low", "high", "n_recordings", "n_identities", "reference"))
    return nothing | {"reason": reason}
