"""ICC profiles made here, of known primaries and curves, and what their colours are in sRGB."""

import struct

import numpy as np

D50 = np.array([0.9642, 1.0, 0.8249])
D65 = np.array([0.3127 / 0.3290, 1.0, (1 - 0.3127 - 0.3290) / 0.3290])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
WIDE = ((0.7347, 0.2653), (0.1152, 0.8264), (0.1566, 0.0177))  # Adobe's "Wide Gamut RGB"
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))


def adapted(xyz, source, target):
    ratio = (BRADFORD @ target) / (BRADFORD @ source)
    return np.linalg.inv(BRADFORD) @ np.diag(ratio) @ BRADFORD @ xyz


def to_xyz(primaries, white):
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    return columns * np.linalg.solve(columns, white)


def in_srgb(values, primaries, power, white=D65):
    """sRGB, 0 to 255 unrounded, of values from 0 to 1 [..., 3] in another space."""
    xyz = np.asarray(values, float) ** power @ adapted(to_xyz(primaries, white), white, D65).T
    linear = np.clip(xyz @ np.linalg.inv(to_xyz(SRGB, D65)).T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _profile(colours, pcs, tags, *, kind=b"mntr"):
    """A version 2 profile of these tags."""
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"made\0" + bytes(78), **tags}
    tags = {b"wtpt": _xyz(D50), **tags}
    table, body, at = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content
    head = struct.pack(">I4sI4s4s4s", 132 + len(table) - 4 + len(body), b"none", 0x02400000, kind, colours, pcs)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _xyz(D50)[8:]
    return head.ljust(128, b"\0") + table + body


def _xyz(values):
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65_536 * v) for v in values))


def _curve(power):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(256 * power))


def rgb(primaries, power, *, white=D65):
    """Three primaries and one power."""
    columns = adapted(to_xyz(primaries, white), white, D50).T
    tags = {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)}
    return _profile(b"RGB ", b"XYZ ", tags | {name: _curve(power) for name in (b"rTRC", b"gTRC", b"bTRC")})


def grey(power):
    """Grey of one power."""
    return _profile(b"GRAY", b"XYZ ", {b"kTRC": _curve(power)})


def cmyk(corners):
    """Four inks: a table of two values each, Lab [2, 2, 2, 2, 3], 0 to 100 and around 0."""
    lab = np.asarray(corners, float) * [652.8, 256, 256] + [0, 32_768, 32_768]
    ramp = struct.pack(">2H", 0, 65_535)
    table = b"mft2" + bytes(4) + bytes([4, 3, 2, 0]) + struct.pack(">9i", *np.ravel(np.eye(3, dtype=int) * 65_536))
    table += struct.pack(">2H", 2, 2) + 4 * ramp
    table += lab.round().clip(0, 65_535).astype(">u2").tobytes() + 3 * ramp
    return _profile(b"CMYK", b"Lab ", {b"A2B0": table}, kind=b"prtr")
