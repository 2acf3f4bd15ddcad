"""Numbers in sentences: as text, and in words where there is none."""

from __future__ import annotations

import math

MISSING = "not measured"


def number(value: float | None, *, digits: int = 1) -> str:
    """A number with so many digits after its point, or `MISSING` for one that is none (None, NaN or infinite)."""
    return f"{value:.{digits}f}" if value is not None and math.isfinite(value) else MISSING
