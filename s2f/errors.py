"""Errors a user can act on: each names the subject, what is wrong with it, and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class S2FError(ValueError):
    """A problem with what the user gave, not with the code.

    Parameters
    ----------
    subject : str or Path, the file, key or value at fault
    problem : str, what is wrong, with the offending value ("has no samples", "is 3 (expected 1 to 2)")
    remedy : str, what to do about it, as an instruction
    reason : str, a short code for lists of rejected files ("empty", "silent", "no_face" …)
    """

    def __init__(self, subject: str | Path, problem: str, *, remedy: str, reason: str = "error") -> None:
        self.subject, self.problem, self.remedy, self.reason = str(subject), problem, remedy, reason
        super().__init__(f"{subject} {problem}. {remedy}")

    def __reduce__(self):  # keyword-only arguments do not survive the default pickling between processes
        return _rebuild, (type(self), self.subject, self.problem, self.remedy, self.reason)


def _rebuild(kind, subject, problem, remedy, reason):
    return kind(subject, problem, remedy=remedy, reason=reason)


class ParameterError(S2FError):
    """A parameter, profile, variant or recipe that does not exist or has a wrong value."""


class AudioError(S2FError):
    """A recording that cannot be used."""


class ImageError(S2FError):
    """An image that cannot be used."""


class CorpusError(S2FError):
    """A corpus, manifest or split that cannot be used."""


class StoreError(S2FError):
    """A packed store that is missing, incomplete or of another format."""


class CheckpointError(S2FError):
    """A checkpoint that is missing, broken or of another architecture."""


class TrainingError(S2FError):
    """A training run that cannot start or go on."""


class MetricError(S2FError):
    """A metric that cannot be computed from what was given."""


class OutputError(S2FError):
    """A file or folder that cannot be written, or would take the place of something else."""


class RunError(S2FError):
    """A run folder that is missing an input, belongs to other parameters, or is in use."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Sentence that names the valid spelling nearest to `name`, or lists what is valid."""
    valid = sorted(str(v) for v in valid)
    close = difflib.get_close_matches(str(name), valid, n=1, cutoff=0.5)
    return f"Did you mean '{close[0]}'?" if close else "Valid: " + ", ".join(valid)
