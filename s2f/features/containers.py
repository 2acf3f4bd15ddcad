"""What a sound file is, told from all of its bytes: its kind, and each recording in it, from where to where.

Decoders begin at the head of a file and stop where they believe that it ends: after the first of two recordings
that were joined, at a length that a header guesses, at a tag. So the frames, pages, boxes or chunks of a file are
walked here to its last byte, nothing decoded. What follows a recording is a tag, the next one, or is named.

Longer than others: fourteen kinds of file have a walk of some lines each, over the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from s2f.errors import AudioError
from s2f.features import frames

KINDS = "wav, flac, ogg, opus, mp3, m4a, mp4, aac, webm, mkv, amr, wma, ts, avi, aiff, caf or au"
CUT_SHORT = "Copy or download it again; if what is there is enough, save it anew."
STREAMED = 0x7FFF_F000  # writers to a pipe cannot know a size and declare one at least this large

_BLOCK = 1 << 20
_STRAY_BYTES, _STRAY_SHARE = 4096, 0.01  # beyond both of these, what is left out may be sound
_SEARCHED = 1 << 16  # bytes at the head of a file in which a stream may begin
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"moof", b"sidx")
_EBML = b"\x1aE\xdf\xa3"  # webm, mkv
_ASF = bytes.fromhex("3026b2758e66cf11")
_ASF_LATER = tuple(map(bytes.fromhex, ("3626b275", "90080033", "d329e2d6", "f803b1fe", "d03fb73c")))  # data, indices
_W64 = bytes.fromhex("726966662e91cf11")
_FLACS = (b"fLaC\0\0\0\x22", b"fLaC\x80\0\0\x22")  # with the head of its first block, of 34 bytes, or its only one
_TS_BYTES = 188
_AMR = MappingProxyType({b"#!AMR\n": ("amr", 160), b"#!AMR-WB\n": ("amr-wb", 320)})  # samples a frame
_UNREAD = MappingProxyType(
    {
        b"wvpk": "WavPack",
        b"MAC ": "Monkey's Audio",
        b"TTA1": "True Audio",
        b"MPCK": "Musepack",
        b"MP+": "Musepack",
        b"DSD ": "DSD",
        b"FRM8": "DSDIFF",
        b"\x0b\x77": "AC-3",
        b"\x7f\xfe\x80\x01": "DTS",
        b"FLV\x01": "Flash video",
        b".RMF": "RealMedia",
        b".ra\xfd": "RealAudio",
        b"MThd": "MIDI, which is notes without sound",
        b"#!SILK": "SILK",
        b"\x02#!SILK": "SILK",
        b"nut/mult": "NUT",
        b"ajkg": "Shorten",
        b"ADIF": "AAC in the ADIF form",
        b"\0\0\x01\xba": "an MPEG programme stream",
    }
)


@dataclass(frozen=True)
class Part:
    """A stretch of a file that is a recording of its own; most files are one.

    Attributes
    ----------
    kind : str, such as "mp3"; empty where libsndfile has to tell
    start, end : int, bytes
    demuxer : str or None, FFmpeg's reader of this kind; None where libsndfile reads it
    n_samples : int, what its frames hold, at its own rate; 0 where they are not counted
    """

    kind: str
    start: int
    end: int
    demuxer: str | None = None
    n_samples: int = 0


class _Bytes:
    """A file to look into at any place, and what there is to say about it."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self.file = path, file
        self.size = file.seek(0, io.SEEK_END)
        self.remarks: list[str] = []

    def at(self, place: int, n: int) -> bytes:
        self.file.seek(place)
        return self.file.read(n)

    def number(self, place: int, n: int, order: str = "little") -> int:
        return int.from_bytes(self.at(place, n), "big" if order == "big" else "little")

    def find(self, word: bytes, start: int) -> int:
        """First place of a word from `start` on; the end of the file where there is none."""
        while start < self.size:
            found = self.at(start, _BLOCK + len(word) - 1).find(word)
            if found >= 0:
                return start + found
            start += _BLOCK
        return self.size

    def after_zeros(self, start: int) -> int:
        """First place from `start` on that is not zero."""
        while block := self.at(start, _BLOCK):
            if rest := block.lstrip(b"\0"):
                return start + len(block) - len(rest)
            start += len(block)
        return self.size

    def until(self, declared: int) -> int:
        """An end that the file declares, which must be there."""
        if declared > self.size:
            problem = f"ends after {self.size} bytes, but its header declares at least {declared}"
            raise AudioError(self.path, problem, remedy=CUT_SHORT, reason="truncated")
        return declared


def parts(path: Path, file: BinaryIO) -> tuple[list[Part], list[str]]:
    """Find the recordings of a file, and what has to be said about the rest of it.

    Raises
    ------
    AudioError: with `reason` one of empty, not_audio, unsupported, truncated, damaged
    """
    there = _Bytes(path, file)
    if not there.size:
        raise AudioError(path, "has 0 bytes", remedy="Copy or download it again.", reason="empty")
    found: list[Part] = []
    at = n_stray = 0
    while (at := _after_tags(there, at)) < there.size:
        if walk := _walk(there, at):
            found.append(walk(there, at))
            at = found[-1].end
            continue
        _refuse_unread(there, at)
        start = _next_stream(there, at, within=_most(there.size) - n_stray if found else _SEARCHED)
        if not found and start == there.size:  # libsndfile knows more kinds
            return [Part("", 0, there.size)], []
        there.remarks.append(f"{start - at} bytes from byte {at} on are no sound and are left out")
        n_stray += start - at
        at = start
    if not found:
        remedy = f"Copy or download it again, as one of {KINDS}."
        raise AudioError(path, "holds nothing but tags or zeros", remedy=remedy, reason="not_audio")
    if is_much(n_stray, there.size):
        problem = f"holds {n_stray} of {there.size} bytes that are no sound: {there.remarks[-1]}"
        raise AudioError(path, problem, remedy=CUT_SHORT, reason="damaged")
    if len(found) > 1:
        there.remarks.append(f"{len(found)} recordings stand in it one after another; all are read")
    return found, there.remarks


def is_much(n_bytes: int, size: int) -> bool:
    """Whether so many bytes of a file of `size` may be sound, so that it is not read without them."""
    return n_bytes > _most(size)


def _most(size: int) -> int:
    """Bytes of a file of `size` that may be left out."""
    return max(_STRAY_BYTES, int(_STRAY_SHARE * size))


def _refuse_unread(there: _Bytes, at: int) -> None:
    head = there.at(at, 8)
    for magic, name in _UNREAD.items():
        if head.startswith(magic):
            remedy = f"Convert it to one of {KINDS}, for example with ffmpeg -i {there.path.name} out.wav."
            raise AudioError(there.path, f"is {name}, which is not read here", remedy=remedy, reason="unsupported")


def _after_tags(there: _Bytes, at: int) -> int:
    """First place from `at` on that is neither a tag nor a stretch of zeros before or after a recording."""
    while at < there.size and _walk(there, at) is None:
        head = there.at(at, 32)
        if head.startswith(b"ID3") and len(head) >= 10:
            a, b, c, d = head[6:10]  # seven bits each
            at += 10 + (a << 21 | b << 14 | c << 7 | d) + (10 if head[5] & 0x10 else 0)
        elif head.startswith(b"TAG") and at + 128 == there.size:
            at = there.size
        elif head.startswith(b"APETAGEX") and len(head) == 32:
            at += 32 + int.from_bytes(head[12:16], "little")
        elif head.startswith(b"LYRICSBEGIN"):
            at = min(there.size, there.find(b"LYRICS200", at) + 9)
        elif head[0] == 0:
            sound = there.after_zeros(at)
            # The size of an mp4's first box begins with zeros itself.
            starts = [place for place in range(max(at, sound - 3), sound) if _walk(there, place)]
            sound = min([*starts, sound])
            if sound == there.size or sound - at < 16:  # filling
                at = sound
                continue
            if _walk(there, sound) is None:
                return at
            if sound - at > _STRAY_BYTES:
                said = f"{sound - at} bytes from byte {at} on are zero, as a download with holes leaves them"
                there.remarks.append(said)
            at = sound
        else:
            return at
    return min(at, there.size)


def _next_stream(there: _Bytes, at: int, *, within: int) -> int:
    """First place after `at` where three frames of mp3 or AAC follow one another; the file's end if none is near."""
    at, end = at + 1, min(there.size, at + within + 1)
    while at < end:
        n = min(_BLOCK, end - at)
        block = there.at(at, n + 63)
        begins = -1
        while (begins := block.find(b"\xff", begins + 1, n)) >= 0:
            if _three_frames(there, at + begins, frames.of(block[begins : begins + 64])):
                return at + begins
        at += n
    return there.size


def _three_frames(there: _Bytes, at: int, frame: frames.Frame | None) -> bool:
    """Whether the frame that begins at a place, if one does, is followed by two like it."""
    for _ in range(2):
        if frame is None:
            return False
        at += frame.n_bytes
        following = frames.of(there.at(at, 64))
        frame = following if following is not None and following.continues(frame) else None
    return frame is not None


# ------------------------------------------------------------------------------------------------ kinds


def _walk(there: _Bytes, at: int) -> Callable[[_Bytes, int], Part] | None:
    """The function that walks the kind of recording that begins here; None where none does."""
    head = there.at(at, 64)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        if head[8:12] == b"AVI ":
            return _avi
        return _wav if head[8:12] == b"WAVE" or len(head) < 12 else None
    for magic, walk in (
        *((magic, _flac) for magic in _FLACS),
        (b"OggS", _ogg),
        (_EBML, _matroska),
        (_ASF, _asf),
        (_W64, _w64),
        (b"FORM", _aiff),
        (b"caff", _caf),
        (b".snd", _au),
        *((magic, _amr) for magic in _AMR),
    ):
        if head.startswith(magic):
            return walk
    if head[4:8] in _MP4_BOXES:
        return _mp4
    if head[:1] == b"G" and there.at(at, 3 * _TS_BYTES)[::_TS_BYTES] == b"GGG":
        return _ts
    frame = frames.of(head)
    if frame is None:
        return None
    place = at + frame.n_bytes
    following = frames.of(there.at(place, 64))
    known = following is not None or place >= there.size or there.at(place, 3) in (b"ID3", b"TAG", b"APE", b"\0\0\0")
    return _frames if known else None


def _frames(there: _Bytes, start: int) -> Part:
    """Frame by frame: mp3 and AAC in ADTS tell no length, and a table of contents may be of another recording."""
    at, n_samples = start, 0
    first = frame = frames.of(there.at(start, 64))
    assert first is not None
    if first.contents_bytes is not None:
        there.until(start + first.contents_bytes)
        n_samples -= first.n_samples
    while frame is not None and (at == start or frame.continues(first)):
        if at + frame.n_bytes > there.size:
            if first.kind == "aac":
                there.until(at + frame.n_bytes)
            there.remarks.append("its last frame is cut short: it may have been longer")
            break
        n_samples += frame.n_samples
        at += frame.n_bytes
        frame = frames.of(there.at(at, 64))
    end = there.size if frame is not None and at + frame.n_bytes > there.size else at
    return Part(first.kind, start, end, demuxer=first.kind, n_samples=max(0, n_samples))


def _amr(there: _Bytes, start: int) -> Part:
    magic = next(magic for magic in _AMR if there.at(start, len(magic)) == magic)
    kind, n_samples = _AMR[magic]
    at, n = start + len(magic), 0
    while (head := there.at(at, 1)) and (n_bytes := frames.amr(kind, head[0])):
        if not head[0] and there.after_zeros(at) == there.size:  # filling, not frames marked as damaged
            break
        at, n = there.until(at + n_bytes), n + 1
    return Part(kind, start, at, demuxer="amr", n_samples=n * n_samples)


def _wav(there: _Bytes, start: int) -> Part:
    order = "big" if there.at(start, 4) == b"RIFX" else "little"
    long_size = None
    at, by_ffmpeg = start + 12, False
    while True:
        chunk = there.at(at, 8)
        if len(chunk) < 8:
            there.until(max(at + 8, there.size + 1))  # no samples yet
        size = int.from_bytes(chunk[4:], "big" if order == "big" else "little")
        if chunk.startswith(b"data"):
            break
        if chunk.startswith(b"ds64"):
            long_size = there.number(at + 16, 8)
        if chunk.startswith(b"fmt "):
            by_ffmpeg |= there.number(at + 8, 2, order) in (0x50, 0x55, 0xFF, 0x160, 0x161, 0x162, 0x2000)
        by_ffmpeg |= size % 2 == 1 and there.at(start, 4) in (b"RF64", b"BW64")  # libsndfile forgets the filling
        at += 8 + size + size % 2
    first = at + 8
    if size >= STREAMED and long_size and long_size < 1 << 62:
        size = long_size
    demuxer = "wav" if by_ffmpeg else None
    if size >= STREAMED:
        return Part("wav", start, there.size, demuxer)
    if not size and there.size > first and not _is_chunk(there, first):  # its writer was stopped before the end
        there.remarks.append(f"its header declares 0 bytes of samples; the {there.size - first} that follow are read")
        return Part("wav", start, there.size, "wav")
    at = there.until(first + size)
    at = min(there.size, at + size % 2)
    while _is_chunk(there, at):
        size = there.number(at + 4, 4, order)
        at += 8 + size + size % 2
    return Part("wav", start, min(at, there.size), demuxer)


def _is_chunk(there: _Bytes, at: int) -> bool:
    chunk = there.at(at, 8)
    size = int.from_bytes(chunk[4:], "little")
    return (
        len(chunk) == 8 and _is_name(chunk[:4]) and at + 8 + size <= there.size and _walk(there, at) is None
    )  # "OggS" would pass for a chunk, too


def _is_name(letters: bytes) -> bool:
    return all(32 <= letter < 127 for letter in letters)


def _avi(there: _Bytes, start: int) -> Part:
    at = start
    while at == start or (there.at(at, 4) == b"RIFF" and there.at(at + 8, 4) == b"AVIX"):
        size = there.number(at + 4, 4)
        at = min(there.size, there.until(at + 8 + size) + size % 2)
    return Part("avi", start, at, "avi")


def _flac(there: _Bytes, start: int) -> Part:
    known = there.number(start + 21, 1) & 0x0F or any(there.at(start + 22, 4))  # its number of samples
    end = there.find(_FLACS[0][:4], start + 8)
    while end < there.size and not there.at(end, 8).startswith(_FLACS):
        end = there.find(_FLACS[0][:4], end + 1)
    return Part("flac", start, end, None if known else "flac")


def _ogg(there: _Bytes, start: int) -> Part:
    """Page by page; after the pages that begin its streams, another such page begins another recording."""
    at, codecs, open_streams, begun = start, [], set(), False
    while (page := there.at(at, 27 + 255)).startswith(b"OggS"):
        n_segments = page[26] if len(page) > 26 else 255
        head, n_bytes = 27 + n_segments, 27 + n_segments + sum(page[27 : 27 + n_segments])
        begins = bool(len(page) > 5 and page[5] & 2)
        if begins and begun:
            break
        there.until(at + max(head, n_bytes))
        stream = page[14:18]
        if begins:
            codecs.append(there.at(at + head, 8))
            open_streams.add(stream)
        begun = begun or not begins
        if page[5] & 4:
            open_streams.discard(stream)
        at += n_bytes
    if open_streams:
        there.remarks.append("no page is marked as its last: it may have been longer")
    alone = len(codecs) == 1 and codecs[0].startswith((b"\x01vorbis", b"OpusHead", b"\x7fFLAC"))
    return Part("ogg", start, at, None if alone else "ogg")


def _mp4(there: _Bytes, start: int) -> Part:
    at, has_index = start, False
    while at < there.size:
        box = there.at(at, 16)
        size = int.from_bytes(box[8:16] if box[:4] == b"\0\0\0\1" else box[:4], "big")
        if box[4:8] == b"ftyp" and has_index:  # of another recording
            break
        if size == 0 and box[4:8] in _MP4_BOXES:  # the last box, to the end of the file
            at = there.size
            break
        if size < 8 or not box[4:8].isalnum():
            break
        has_index = has_index or box[4:8] == b"moov"
        at = there.until(at + size)
    return Part("mp4", start, max(at, start + 1), "mov")


def _matroska(there: _Bytes, start: int) -> Part:
    header, at = _ebml_size(there, start + 4)
    end = there.size
    if there.at(at + header, 4) == b"\x18S\x80g":  # segment
        size, first = _ebml_size(there, at + header + 4)
        if size >= 0:
            return Part("matroska", start, there.until(first + size), "matroska")
        end = there.find(_EBML, first)  # streamed: its length is unknown
        while end < there.size and b"\x42\x82" not in there.at(end, 64):  # the kind of document, in every header
            end = there.find(_EBML, end + 1)
    return Part("matroska", start, end, "matroska")


def _ebml_size(there: _Bytes, at: int) -> tuple[int, int]:
    """Read an EBML size and the position after it; a streamed file's unknown size is -1."""
    first = there.number(at, 1)
    n_more = 8 - first.bit_length()
    size = (first << 8 * n_more | there.number(at + 1, n_more, "big")) & ((1 << 7 * (n_more + 1)) - 1)
    return (-1 if size == (1 << 7 * (n_more + 1)) - 1 else size), at + 1 + n_more


def _asf(there: _Bytes, start: int) -> Part:
    at = start
    while len(head := there.at(at, 24)) == 24 and (at == start or head.startswith(_ASF_LATER)):
        size = int.from_bytes(head[16:24], "little")
        if size < 24:  # streamed, or something else
            at = there.size if at > start else start + 24
            break
        at = there.until(at + size)
    return Part("wma", start, at, "asf")


def _ts(there: _Bytes, start: int) -> Part:
    at = start
    n = _BLOCK // _TS_BYTES
    while block := there.at(at, n * _TS_BYTES):
        marks = block[::_TS_BYTES]
        n_good = len(marks) - len(marks.lstrip(b"G"))
        at += n_good * _TS_BYTES
        if n_good < n:
            break
    return Part("ts", start, there.until(at), "mpegts")


def _aiff(there: _Bytes, start: int) -> Part:
    size = there.number(start + 4, 4, "big")
    return Part("aiff", start, there.size if size >= STREAMED else there.until(start + 8 + size))


def _w64(there: _Bytes, start: int) -> Part:
    size = there.number(start + 16, 8)
    return Part("w64", start, there.size if size >= 1 << 62 else there.until(start + max(size, 40)))


def _caf(there: _Bytes, start: int) -> Part:
    at = start + 8
    while len(chunk := there.at(at, 12)) == 12 and not chunk.startswith(b"caff") and _is_name(chunk[:4]):
        size = int.from_bytes(chunk[4:], "big", signed=True)
        if size < 0:  # the last chunk, to the end of the file
            return Part("caf", start, there.size)
        at = there.until(at + 12 + size)
    return Part("caf", start, at)


def _au(there: _Bytes, start: int) -> Part:
    first, size = there.number(start + 4, 4, "big"), there.number(start + 8, 4, "big")
    return Part("au", start, there.size if size >= STREAMED else there.until(start + max(24, first) + size))
