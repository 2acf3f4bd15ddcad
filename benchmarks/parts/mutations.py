"""Generated sound files, images and tables of every kind that is read, and ways to change their bytes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Change = Callable[[np.random.Generator, bytes], bytes]
RATE = 16_000


@dataclass(frozen=True)
class Mutation:
    """A way to change a file; `kinds` are those that it fits, and `harmless` leaves what is read as it was."""

    name: str
    change: Change
    kinds: tuple[str, ...] | None = None
    harmless: bool = False

    def fits(self, kind: str) -> bool:
        """Whether it can be done to a file of this kind."""
        return self.kinds is None or kind in self.kinds


# ------------------------------------------------------------------------------------------------ any file


def _at(rng: np.random.Generator, content: bytes, *, first: int = 0) -> int:
    return int(rng.integers(min(first, len(content) - 1), len(content)))


def _stretch(rng: np.random.Generator, content: bytes) -> tuple[int, int]:
    start = _at(rng, content)
    return start, min(len(content), start + int(2 ** rng.uniform(0, 13)))


def _bytes_changed(rng: np.random.Generator, content: bytes, *, within: int, n: int) -> bytes:
    out = bytearray(content)
    for at in rng.integers(0, min(within, len(out)), int(rng.integers(1, n + 1))):
        out[at] = rng.integers(256)
    return bytes(out)


def _number_changed(rng: np.random.Generator, content: bytes) -> bytes:
    """A size, count or rate in the head becomes extreme."""
    at = int(rng.integers(0, min(len(content) - 4, 160)))
    value = int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, len(content), len(content) // 2, 0xFFFF]))
    return content[:at] + struct.pack(str(rng.choice(["<", ">"])) + "I", value) + content[at + 4 :]


def _stretch_replaced(rng: np.random.Generator, content: bytes, fill: str) -> bytes:
    start, end = _stretch(rng, content)
    new = {"zeros": bytes(end - start), "ones": b"\xff" * (end - start), "noise": rng.bytes(end - start), "": b""}[fill]
    return content[:start] + new + content[end:]


def _stretch_doubled(rng: np.random.Generator, content: bytes) -> bytes:
    start, end = _stretch(rng, content)
    return content[:end] + content[start:]


def _stretch_moved(rng: np.random.Generator, content: bytes) -> bytes:
    start, end = _stretch(rng, content)
    rest = content[:start] + content[end:]
    at = int(rng.integers(0, len(rest) + 1))
    return rest[:at] + content[start:end] + rest[at:]


def _bits_lost(rng: np.random.Generator, content: bytes) -> bytes:
    """As a transfer in text mode leaves it: line ends are replaced."""
    return content.replace(b"\n", b"\r\n") if rng.random() < 0.5 else content.replace(b"\r\n", b"\n")


DAMAGE = (
    Mutation("bytes of the head changed", lambda rng, c: _bytes_changed(rng, c, within=256, n=4)),
    Mutation("bytes anywhere changed", lambda rng, c: _bytes_changed(rng, c, within=len(c), n=20)),
    Mutation("a number of the head made extreme", _number_changed),
    Mutation("cut off at the end", lambda rng, c: c[: _at(rng, c, first=1)]),
    Mutation("cut off at the head", lambda rng, c: c[_at(rng, c) :]),
    Mutation("a stretch cut out", lambda rng, c: _stretch_replaced(rng, c, "")),
    Mutation("a stretch of zeros", lambda rng, c: _stretch_replaced(rng, c, "zeros")),
    Mutation("a stretch of ones", lambda rng, c: _stretch_replaced(rng, c, "ones")),
    Mutation("a stretch of noise", lambda rng, c: _stretch_replaced(rng, c, "noise")),
    Mutation("a stretch doubled", _stretch_doubled),
    Mutation("a stretch moved", _stretch_moved),
    Mutation("line ends translated", _bits_lost),
    Mutation("noise behind its head", lambda rng, c: c[:64] + rng.bytes(len(c) - 64)),
    Mutation("noise put before", lambda rng, c: rng.bytes(int(rng.integers(1, 600))) + c),
    Mutation("noise put behind", lambda rng, c: c + rng.bytes(int(rng.integers(1, 6000)))),
    Mutation("two of it joined", lambda rng, c: c + c),
)


# ------------------------------------------------------------------------------------------------ sound


def sounds() -> dict[str, bytes]:
    """A recording of 1.2 s in every kind that is read, by kind."""
    import soundfile

    wave = _wave(RATE)
    found = {}
    for kind, options in {
        "wav": {"format": "WAV", "subtype": "PCM_16"},
        "wav of floats": {"format": "WAV", "subtype": "FLOAT"},
        "wav of 24 bits": {"format": "WAV", "subtype": "PCM_24"},
        "wav by mu-law": {"format": "WAV", "subtype": "ULAW"},
        "wav by ADPCM": {"format": "WAV", "subtype": "IMA_ADPCM"},
        "rf64": {"format": "RF64", "subtype": "PCM_16"},
        "w64": {"format": "W64", "subtype": "PCM_16"},
        "aiff": {"format": "AIFF", "subtype": "PCM_16"},
        "au": {"format": "AU", "subtype": "PCM_16"},
        "caf": {"format": "CAF", "subtype": "PCM_16"},
        "flac": {"format": "FLAC", "subtype": "PCM_16"},
        "ogg": {"format": "OGG", "subtype": "VORBIS"},
        "opus": {"format": "OGG", "subtype": "OPUS"},
        "mp3": {"format": "MP3"},
    }.items():
        out = io.BytesIO()
        soundfile.write(out, wave, RATE, **options)
        found[kind] = out.getvalue()
    out = io.BytesIO()
    soundfile.write(out, np.column_stack([_wave(44_100), 0.5 * _wave(44_100)]), 44_100, format="WAV")
    found["wav in stereo"] = out.getvalue()
    found |= {
        "mp3 without contents": _without_contents(found["mp3"]),
        "mp3 in wav": _encoded("wav", "libmp3lame"),
        "m4a": _encoded("mp4", "aac"),
        "mp4 in fragments": _encoded("mp4", "aac", movflags="frag_keyframe+empty_moov+default_base_moof"),
        "aac": _encoded("adts", "aac"),
        "webm": _encoded("webm", "libopus", rate=48_000),
        "mkv": _encoded("matroska", "aac"),
        "ts": _encoded("mpegts", "aac"),
        "avi": _encoded("avi", "pcm_s16le"),
        "wma": _encoded("asf", "wmav2", rate=44_100, bit_rate=64_000),
        "amr": _encoded("amr", "libopencore_amrnb", rate=8_000),
    }
    frames = io.BytesIO()
    np.save(frames, np.random.default_rng(0).normal(size=(200, 64)).astype(np.float32))
    found["npy"] = frames.getvalue()
    return found


def _wave(rate: int) -> np.ndarray:
    """Pulses of a gliding pitch with noise: every part of it sounds otherwise."""
    t = np.arange(int(1.2 * rate)) / rate
    pulses = sum(np.sin(2 * np.pi * k * (120 * t + 40 * t**2)) / k for k in range(1, 12))
    noise = np.interp(t, np.arange(int(1.2 * RATE)) / RATE, np.random.default_rng(0).normal(size=int(1.2 * RATE)))
    return (0.1 * pulses * (1 + 0.5 * np.sin(2 * np.pi * 3 * t)) + 0.02 * noise).astype(np.float32)


def _encoded(container: str, codec: str, *, rate: int = RATE, bit_rate: int | None = None, **options: str) -> bytes:
    import av

    out = io.BytesIO()
    with av.open(out, "w", format=container, options=options) as target:
        stream = target.add_stream(codec, rate=rate, layout="mono")
        if bit_rate:
            stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(_wave(rate)[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        context = stream.codec_context
        cut = av.AudioResampler(format=context.format or "fltp", rate=rate, frame_size=context.frame_size or None)
        for piece in [*cut.resample(frame), *cut.resample(None), None]:
            target.mux(stream.encode(piece))
    return out.getvalue()


def _without_contents(content: bytes) -> bytes:
    from s2f.features import frames

    first = frames.of(content[:64])
    assert first is not None and first.contents_bytes is not None
    return content[first.n_bytes :]


def _chunk(name: bytes, body: bytes, order: str = "<") -> bytes:
    return name + struct.pack(order + "I", len(body)) + body + bytes(len(body) % 2)


def _wav_with(rng: np.random.Generator, content: bytes, where: str) -> bytes:
    """A chunk that says nothing of the sound, at one of the places where it may stand."""
    body, name = rng.bytes(int(rng.integers(0, 500))), bytes(rng.choice([b"LIST", b"JUNK", b"id3 ", b"note"]))
    chunk = _chunk(name, b"INFO" + _chunk(b"INAM", body) if name == b"LIST" else body)
    at = {"first": 12, "before": content.index(b"data", 12), "behind": len(content)}[where]
    if where == "behind" and len(content) % 2:
        content, at = content + b"\0", at + 1
    out = content[:at] + chunk + content[at:]
    if content[:4] == b"RF64":
        return out[:20] + struct.pack("<Q", len(out) - 8) + out[28:]
    return out[:4] + struct.pack("<I", len(out) - 8) + out[8:]


def _aiff_with(rng: np.random.Generator, content: bytes) -> bytes:
    out = content[:12] + _chunk(b"ANNO", rng.bytes(int(rng.integers(0, 500))), ">") + content[12:]
    return out[:4] + struct.pack(">I", len(out) - 8) + out[8:]


def _au_with(rng: np.random.Generator, content: bytes) -> bytes:
    first = struct.unpack(">I", content[4:8])[0]
    note = bytes(8 * int(rng.integers(1, 60)))
    return content[:4] + struct.pack(">I", first + len(note)) + content[8:first] + note + content[first:]


def _flac_with(rng: np.random.Generator, content: bytes) -> bytes:
    """Padding behind the first block, which another follows."""
    body = bytes(int(rng.integers(0, 3000)))
    return content[:42] + b"\1" + struct.pack(">I", len(body))[1:] + body + content[42:]


def _mp4_with(rng: np.random.Generator, content: bytes) -> bytes:
    body = rng.bytes(int(rng.integers(0, 300)))
    return content + struct.pack(">I", 8 + len(body)) + bytes(rng.choice([b"free", b"skip", b"wide"])) + body


def _caf_with(rng: np.random.Generator, content: bytes) -> bytes:
    body = bytes(int(rng.integers(0, 300)))
    return content + b"free" + struct.pack(">q", len(body)) + body


def _id3(rng: np.random.Generator) -> bytes:
    n = int(rng.integers(0, 3000))
    sizes = bytes([n >> 21 & 127, n >> 14 & 127, n >> 7 & 127, n & 127])
    return b"ID3" + bytes([int(rng.integers(2, 5)), 0, 0]) + sizes + bytes(n)


def _ape(rng: np.random.Generator) -> bytes:
    body = struct.pack("<II", 4, 0) + b"Title\0" + rng.bytes(4)
    return body + b"APETAGEX" + struct.pack("<IIII", 2000, len(body) + 32, 1, 0) + bytes(8)


_WAVS = ("wav", "wav of floats", "wav of 24 bits", "wav by mu-law", "wav by ADPCM", "wav in stereo", "mp3 in wav")
_TAGGED = ("mp3", "mp3 without contents", "aac", "flac")
_ALL_SOUND = (*_WAVS, *_TAGGED, "rf64", "w64", "aiff", "au", "caf", "ogg", "opus", "m4a", "mkv", "amr", "avi", "wma")

SOUND = DAMAGE + tuple(
    Mutation(name, change, kinds, harmless=True)
    for name, change, kinds in (
        ("chunk before the format", lambda rng, c: _wav_with(rng, c, "first"), _WAVS),
        ("chunk before the samples", lambda rng, c: _wav_with(rng, c, "before"), (*_WAVS, "rf64")),
        ("chunk behind the samples", lambda rng, c: _wav_with(rng, c, "behind"), _WAVS),
        ("remark in aiff", _aiff_with, ("aiff",)),
        ("remark in au", _au_with, ("au",)),
        ("padding in flac", _flac_with, ("flac",)),
        ("free box in mp4", _mp4_with, ("m4a", "mp4 in fragments")),
        ("free chunk in caf", _caf_with, ("caf",)),
        ("ID3 tag before", lambda rng, c: _id3(rng) + c, _TAGGED),
        ("two ID3 tags before", lambda rng, c: _id3(rng) + _id3(rng) + c, _TAGGED),
        ("ID3v1 tag behind", lambda rng, c: c + b"TAG" + rng.bytes(125), ("mp3", "mp3 without contents", "aac")),
        ("APE tag behind", lambda rng, c: c + _ape(rng), ("mp3", "mp3 without contents")),
        ("zeros before", lambda rng, c: bytes(int(rng.integers(16, 4000))) + c, _ALL_SOUND),
        ("zeros behind", lambda rng, c: c + bytes(int(rng.integers(16, 4000))), _ALL_SOUND),
    )
)


# ------------------------------------------------------------------------------------------------ images


def images() -> dict[str, bytes]:
    """A picture in every kind that is tried, by kind."""
    from PIL import Image, ImageCms

    small = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    rgb = Image.fromarray(small).resize((96, 72), Image.Resampling.BICUBIC)
    rgba = rgb.copy()
    rgba.putalpha(Image.linear_gradient("L").resize(rgb.size))
    deep = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    made = {
        "png": (rgb, "PNG", {}),
        "png, grey": (rgb.convert("L"), "PNG", {}),
        "png, palette": (rgb.quantize(32), "PNG", {}),
        "png, transparent": (rgba, "PNG", {}),
        "png, 16 bits": (deep, "PNG", {}),
        "png with a profile": (rgb, "PNG", {"icc_profile": icc}),
        "jpeg": (rgb, "JPEG", {"quality": 90}),
        "jpeg, progressive": (rgb, "JPEG", {"quality": 90, "progressive": True}),
        "jpeg, turned": (rgb, "JPEG", {"quality": 90, "exif": exif}),
        "jpeg with a profile": (rgb, "JPEG", {"quality": 90, "icc_profile": icc}),
        "jpeg, inks": (rgb.convert("CMYK"), "JPEG", {"quality": 90}),
        "webp": (rgb, "WEBP", {"quality": 90}),
        "webp, lossless": (rgba, "WEBP", {"lossless": True}),
        "bmp": (rgb, "BMP", {}),
        "gif": (rgb.quantize(64), "GIF", {}),
        "tiff": (rgb, "TIFF", {}),
        "tiff, packed": (rgb, "TIFF", {"compression": "tiff_lzw"}),
        "jpeg 2000": (rgb, "JPEG2000", {}),
        "ppm": (rgb, "PPM", {}),
        "avif": (rgb, "AVIF", {"quality": 90}),
    }
    found = {}
    for kind, (image, name, options) in made.items():
        out = io.BytesIO()
        image.save(out, name, **options)
        found[kind] = out.getvalue()
    return found


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _png_with(rng: np.random.Generator, content: bytes) -> bytes:
    at = content.index(b"IDAT") - 4
    chunk = _png_chunk(bytes(rng.choice([b"tEXt", b"prVt", b"tIME"])), b"Title\0" + bytes(int(rng.integers(1, 9))))
    return content[:at] + chunk + content[at:]


def _png_cut(rng: np.random.Generator, content: bytes) -> bytes:
    """Pixels in two chunks in place of one."""
    at = content.index(b"IDAT") - 4
    n = struct.unpack(">I", content[at : at + 4])[0]
    body, rest = content[at + 8 : at + 8 + n], content[at + 12 + n :]
    place = int(rng.integers(0, n + 1))
    return content[:at] + _png_chunk(b"IDAT", body[:place]) + _png_chunk(b"IDAT", body[place:]) + rest


def _jpeg_with(rng: np.random.Generator, content: bytes) -> bytes:
    body = b"note" + rng.bytes(int(rng.integers(0, 300)))
    segment = bytes(rng.choice([b"\xff\xfe", b"\xff\xe9", b"\xff\xec"])) + struct.pack(">H", len(body) + 2) + body
    at = 2 + (2 + struct.unpack(">H", content[4:6])[0] if content[2:4] == b"\xff\xe0" else 0)
    return content[:at] + segment + content[at:]


_PNGS = tuple(f"png{more}" for more in ("", ", grey", ", palette", ", transparent", ", 16 bits", " with a profile"))
_JPEGS = tuple(f"jpeg{more}" for more in ("", ", progressive", ", turned", " with a profile", ", inks"))

IMAGE = DAMAGE[:-1] + tuple(
    Mutation(name, change, kinds, harmless=True)
    for name, change, kinds in (
        ("chunk in png", _png_with, _PNGS),
        ("pixels of png in two chunks", _png_cut, _PNGS),
        ("remark in jpeg", _jpeg_with, _JPEGS),
        ("zeros behind", lambda rng, c: c + bytes(int(rng.integers(1, 4000))), (*_PNGS, *_JPEGS, "bmp", "gif", "tiff")),
    )
)


# ------------------------------------------------------------------------------------------------ tables


def tables() -> dict[str, bytes]:
    """Tables of pairs, and metadata, by kind."""
    import pandas as pd

    points = " ".join(f"{v}.5" for v in range(10))
    rows = [
        (f"P\u00e9rson {i}", f"v{i}/a.wav", f"f{i}.jpg", "fm"[i % 2], "Per\u00fa, north", points if i % 3 else "")
        for i in range(12)
    ]
    table = pd.DataFrame(rows, columns=["identity", "recording", "face", "gender", "nationality", "landmarks"])
    packed = io.BytesIO()
    table.to_parquet(packed)
    meta = "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
    meta += "".join(f"id{i}\tPerson_{i}\t{'fm'[i % 2]}\tPeru\tdev\n" for i in range(12))
    return {
        "csv": table.to_csv(index=False).encode(),
        "tsv": table.to_csv(index=False, sep="\t").encode(),
        "parquet": packed.getvalue(),
        "metadata": meta.encode(),
    }


def _separated(rng: np.random.Generator, content: bytes) -> bytes:
    """Another separator; with the line by which spreadsheets are told."""
    import csv

    text = content.decode()
    rows = list(csv.reader(io.StringIO(text), delimiter="\t" if "\t" in text else ","))
    out = io.StringIO()
    separator = str(rng.choice([",", ";", "\t", "|"]))
    quoting = csv.QUOTE_ALL if rng.random() < 0.5 else csv.QUOTE_MINIMAL
    csv.writer(out, delimiter=separator, quoting=quoting).writerows(rows)
    return (f"sep={separator}\n" * int(rng.random() < 0.5) + out.getvalue()).encode()


def _spaced(rng: np.random.Generator, content: bytes) -> bytes:
    """Empty lines, other line ends, and remarks above."""
    lines = content.split(b"\n")
    for _ in range(int(rng.integers(1, 4))):
        lines.insert(int(rng.integers(0, len(lines))), b"")
    if rng.random() < 0.5:
        lines.insert(0, b"# a remark")
    return bytes(rng.choice([b"\n", b"\r\n", b"\r"])).join(lines)


def _coded(rng: np.random.Generator, content: bytes) -> bytes:
    """As UTF-16, or with a byte-order mark."""
    return content.decode().encode(str(rng.choice(["utf-16", "utf-8-sig"])))


def _cells_changed(rng: np.random.Generator, content: bytes) -> bytes:
    """Text that breaks quotes, numbers or names, in some places."""
    odd = [b'"', b",", b"\n", b"\0", b";", b"#", b"=1+1", "\u202e".encode(), b"..", b"nan", b"\xff", b"'", b"\t" * 9]
    for _ in range(int(rng.integers(1, 6))):
        at = _at(rng, content)
        content = content[:at] + odd[int(rng.integers(len(odd)))] + content[at:]
    return content


_TEXTS = ("csv", "tsv", "metadata")

TABLE = (
    *DAMAGE[:-1],
    Mutation("cells changed", _cells_changed, _TEXTS),
    Mutation("other separators and quotes", _separated, _TEXTS, harmless=True),
    Mutation("empty lines and remarks", _spaced, _TEXTS, harmless=True),
    Mutation("other encodings", _coded, _TEXTS, harmless=True),
)

SUFFIXES = {"metadata": ".csv", "npy": ".npy"}


def suffix(family: str, kind: str) -> str:
    """How a file's name ends. Sound and images are told by their content."""
    if family == "table":
        return SUFFIXES.get(kind, f".{kind}")
    return SUFFIXES.get(kind, "")


FAMILIES: dict[str, tuple[Callable[[], dict[str, bytes]], tuple[Mutation, ...]]] = {
    "sound": (sounds, SOUND),
    "image": (images, IMAGE),
    "table": (tables, TABLE),
}


def write(folder: Path, name: str, content: bytes) -> Path:
    """Put a case where readers find it."""
    path = folder / name
    path.write_bytes(content)
    return path
