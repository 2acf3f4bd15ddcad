"""Heads of compressed frames: what the next frame of an mp3, AAC or AMR stream is, and where it ends."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

_BIT_RATES = MappingProxyType(
    {  # kbit/s, by (MPEG-1, layer)
        (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
        (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
        (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
        (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
        (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
        (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    }
)
_MPEG_RATES = (44_100, 48_000, 32_000)
_AAC_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_AMR_BYTES = MappingProxyType(
    {  # of a frame, by its type
        "amr": (13, 14, 16, 18, 20, 21, 27, 32, 6, None, None, None, None, None, None, 1),
        "amr-wb": (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, None, None, None, None, 1, 1),
    }
)


@dataclass(frozen=True)
class Frame:
    """What the head of a frame says: what it is, its bytes, its samples, and whether it is a table of contents."""

    kind: str
    rate: int
    n_channels: int
    n_bytes: int
    n_samples: int
    contents_bytes: int | None = None  # of the recording whose contents it is; 0 where the table does not tell

    def continues(self, other: Frame) -> bool:
        """Whether it can be of the same recording as another frame."""
        same = self.kind == other.kind and self.rate == other.rate and self.n_channels == other.n_channels
        return same and self.contents_bytes is None


def of(head: bytes) -> Frame | None:
    """Read the head of an mp3 or AAC frame, 64 bytes of it or what is left of the file; None where there is none."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    return _mpeg(head) if head[1] & 0x06 else _adts(head)


def amr(kind: str, head: int) -> int | None:
    """Bytes of an "amr" or "amr-wb" frame that begins with this byte; None where it begins none."""
    return _AMR_BYTES[kind][head >> 3 & 15] if not head & 0x83 else None


def _mpeg(head: bytes) -> Frame | None:
    version, layer, protected = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3), head[1] & 1
    bit_rate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or bit_rate in (0, 15) or rate == 3 or head[3] & 3 == 2:
        return None
    mpeg1 = version == 3
    hz = _MPEG_RATES[rate] >> (0 if mpeg1 else 1 if version == 2 else 2)
    bits = 1000 * _BIT_RATES[mpeg1, layer][bit_rate - 1]
    n_samples = 384 if layer == 1 else 1152 if mpeg1 or layer == 2 else 576
    n_bytes = (12 * bits // hz + padding) * 4 if layer == 1 else n_samples // 8 * bits // hz + padding
    mono = head[3] >> 6 == 3
    at = 4 + ((17 if mono else 32) if mpeg1 else (9 if mono else 17))
    contents = None
    for tag in (at, at + (0 if protected else 2)):
        if layer == 3 and head[tag : tag + 4] in (b"Xing", b"Info"):
            place = tag + (12 if head[tag + 7] & 1 else 8) if len(head) > tag + 7 and head[tag + 7] & 2 else len(head)
            contents = int.from_bytes(head[place : place + 4], "big")
    if layer == 3 and head[36:40] == b"VBRI":
        contents = int.from_bytes(head[46:50], "big")
    return Frame("mp3", hz, 1 if mono else 2, n_bytes, n_samples, contents)


def _adts(head: bytes) -> Frame | None:
    rate, n_bytes = head[2] >> 2 & 15, (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    if head[1] & 0xF6 != 0xF0 or rate >= len(_AAC_RATES) or n_bytes < 7:
        return None
    n_channels = (head[2] & 1) << 2 | head[3] >> 6
    return Frame("aac", _AAC_RATES[rate], n_channels, n_bytes, 1024 * (1 + (head[6] & 3)))
