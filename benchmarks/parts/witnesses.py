"""What another decoder makes of a file that was read: the same, in part, or something else."""

from __future__ import annotations

import csv
import io
import math
import unicodedata
from pathlib import Path

import numpy as np

RATE = 16_000
_BLOCK = 800  # samples, 50 ms
_SHORT = RATE // 5  # samples that codecs add or cut at both ends


def verdict(family: str, kind: str, path: Path) -> str:
    """ "agrees", "in part", "differs: …", or "" where no other decoder reads it or none is as complete."""
    if kind == "npy":
        return ""
    read = np.load(f"{path}.npy")
    return {"sound": _of_sound, "image": _of_image, "table": _of_table}[family](kind, path, read)


def _unless_refused(decode):
    """What an outside decoder gives; None where it refuses, in whichever way of its own."""
    try:
        return decode()
    except Exception:
        return None


# ------------------------------------------------------------------------------------------------ sound


def _of_sound(kind: str, path: Path, read: np.ndarray) -> str:
    from s2f.features import containers

    with path.open("rb") as file:
        parts, _ = containers.parts(path, file)
    by_libsndfile = all(part.demuxer is None for part in parts)
    other = _unless_refused(lambda: _by_ffmpeg(path) if by_libsndfile else _by_libsndfile(path))
    if other is None or not other.size:
        return ""
    if len(read) < len(other) - _SHORT:
        return f"differs: {len(read) / RATE:.2f} s are read, and {len(other) / RATE:.2f} s by another decoder"
    share = _alike(read, other)
    return "agrees" if share > 0.9 else "in part" if share > 0.3 else f"differs: {100 * share:.0f} % is alike"


def _by_ffmpeg(path: Path) -> np.ndarray:
    import av

    found, rate = [], 0
    with av.open(str(path)) as source:
        for frame in source.decode(audio=0):
            values = frame.to_ndarray()
            if values.dtype != np.float32:
                offset = 128 if values.dtype == np.uint8 else 0
                values = (values.astype(np.float32) - offset) / {1: 128, 2: 32_768, 4: 1 << 31, 8: 1}[values.itemsize]
            n_channels = frame.layout.nb_channels
            found.append(values.reshape(-1, n_channels).mean(1) if len(values) == 1 else values.mean(0))
            rate = frame.sample_rate
    return _at_16_khz(np.concatenate(found), rate)


def _by_libsndfile(path: Path) -> np.ndarray:
    import soundfile

    wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return _at_16_khz(wave.mean(1), rate)


def _at_16_khz(wave: np.ndarray, rate: int) -> np.ndarray:
    from scipy.signal import resample_poly

    divisor = math.gcd(rate, RATE)
    return wave if rate == RATE else resample_poly(wave, RATE // divisor, rate // divisor)


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    """Share of 50 ms pieces that two waves have in common, once one is moved to where they fit best.

    Below 6 kHz, as resamplers differ above.
    """
    from scipy.signal import butter, sosfilt

    low = butter(8, 6_000, fs=RATE, output="sos")
    one, other = (sosfilt(low, np.clip(wave, -1, 1)) for wave in (one, other))
    n = 1 << (len(one) + len(other)).bit_length()
    fit = np.fft.irfft(np.fft.rfft(one, n) * np.fft.rfft(other, n).conj())
    fit[2 * _SHORT : -2 * _SHORT] = -np.inf
    lag = int(fit.argmax())
    lag -= n if lag > n // 2 else 0
    one, other = (one[lag:], other) if lag >= 0 else (one, other[-lag:])
    n = min(len(one), len(other)) // _BLOCK * _BLOCK
    if not n:
        return 1.0
    one, other = (wave[:n].reshape(-1, _BLOCK) for wave in (one, other))
    off = np.sqrt(np.square(one - other).mean(1))
    return float((off <= 0.1 * np.sqrt(np.square(other).mean(1)) + 1e-3).mean())


# ------------------------------------------------------------------------------------------------ images


def _of_image(kind: str, path: Path, read: np.ndarray) -> str:
    import cv2

    if kind == "jpeg, inks":  # the other decoder has a formula of its own for them
        return ""
    whole = kind in ("png, transparent", "png, 16 bits", "webp, lossless")
    other = _unless_refused(lambda: cv2.imread(str(path), cv2.IMREAD_UNCHANGED if whole else cv2.IMREAD_COLOR))
    if other is None:
        return ""
    if other.dtype == np.uint16:
        other = (other >> 8).astype(np.uint8)
    if other.ndim == 2:
        other = other[..., None].repeat(3, -1)
    if other.shape[-1] == 4:
        alpha = other[..., 3:] / 255
        other = np.rint(other[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    if other.shape != read.shape:
        return f"differs: {read.shape[:2]} px are read, and {other.shape[:2]} by another decoder"
    off = np.abs(other[..., ::-1].astype(int) - read).max(-1)
    share = float((off <= 8).mean())
    return "agrees" if share > 0.99 else "in part" if share > 0.3 else f"differs: {100 * share:.0f} % is alike"


# ------------------------------------------------------------------------------------------------ tables


def _of_table(kind: str, path: Path, read: np.ndarray) -> str:
    import pandas as pd

    names = ["VGGFace1 ID"] if kind == "metadata" else ["identity", "recording", "face"]
    if kind == "parquet":
        table = _unless_refused(lambda: pd.read_parquet(path))
    else:
        table = None
        content = path.read_bytes()
        text = _unless_refused(
            lambda: content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        )
        lines = (text or "").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        head = next((i for i, line in enumerate(lines) if names[-1].lower() in line.lower()), 0)
        for separator in ",;\t|":
            found = _unless_refused(lambda sep=separator: _by_pandas("\n".join(lines[head:]), sep))
            if found is not None and {name.lower() for name in names} <= set(found.columns):
                table = found
    if table is None:
        return ""
    said = {unicodedata.normalize("NFC", str(value)).strip() for name in names for value in table[name.lower()]}
    column = read[:, 1] if kind == "metadata" else read[:, 0]
    unknown = [value for value in column if value not in said]
    return f"differs: {unknown[0]!r} is in no cell" if unknown else "agrees"


def _by_pandas(text: str, separator: str):
    import pandas as pd

    table = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, quoting=csv.QUOTE_MINIMAL)
    return table.rename(columns=lambda name: str(name).strip().lower())
