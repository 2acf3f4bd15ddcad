"""How two sets of pictures were saved: compression leaves traces, which metrics of sets take for other faces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

QUALITIES_APART = 3  # of JPEG's 1 to 100; what an encoder is asked for comes back within 1
SHARES_APART = 0.05  # of the pictures that may be of another format
_LOSSLESS = ("PNG", "BMP", "PPM", "TIFF")  # as they are usually written

# Luminance of Annex K of the JPEG standard (ITU-T T.81), row by row, which encoders scale by the quality.
_LUMINANCE = np.array(
    [
        *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56),
        *(14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
    ]
)


def saved_as(path: str | Path) -> tuple[str, float | None]:
    """How a picture that can be read was saved: "lossless" or the format, and a JPEG with about which quality."""
    from PIL import Image

    with Image.open(path) as image:
        kind = {"MPO": "JPEG", **dict.fromkeys(_LOSSLESS, "lossless")}.get(str(image.format), str(image.format))
        tables = getattr(image, "quantization", None)
    if kind != "JPEG" or not tables:
        return kind, None
    steps = np.asarray(tables[min(tables)], float)  # [64]
    scaled = (steps > 1) & (steps < 255)  # the others are cut off
    if not scaled.any():
        return kind, 100.0 if steps.max() <= 1 else 1.0
    scale = float(np.median(100 * steps[scaled] / _LUMINANCE[scaled]))
    return kind, float(np.clip((200 - scale) / 2 if scale <= 100 else 5000 / scale, 1, 100))


def difference(generated: Iterable[Path], real: Iterable[Path]) -> str | None:
    """What metrics of sets will see of how the pictures were saved; None where both sets were saved alike.

    Parameters
    ----------
    generated, real : iterable of Path, pictures that can be read
    """
    sets = [[saved_as(path) for path in part] for part in (generated, real)]
    shares = [Counter(kind for kind, _ in part) for part in sets]
    kinds = set().union(*shares)
    apart = max(abs(shares[0][kind] / len(sets[0]) - shares[1][kind] / len(sets[1])) for kind in kinds)
    middle = [float(np.median([q for _, q in part if q is not None] or [np.nan])) for part in sets]
    if apart <= SHARES_APART and not abs(middle[0] - middle[1]) > QUALITIES_APART:  # NaN where there is no JPEG
        return None
    said = [_said(share, quality) for share, quality in zip(shares, middle, strict=True)]
    return (
        f"Generated pictures are {said[0]}, real ones {said[1]}: FID, KID, precision and recall see that too, "
        "and differ between a set and its own copy in another format or quality. Save both sets alike to compare faces."
    )


def _said(shares: Counter[str], quality: float) -> str:
    named = {kind: kind + (f" (quality about {quality:.0f})" if kind == "JPEG" else "") for kind in shares}
    if len(shares) == 1:
        return named[next(iter(shares))]
    return ", ".join(f"{n / shares.total():.0%} {named[kind]}" for kind, n in shares.most_common())
