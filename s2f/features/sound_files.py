"""Recordings on disk: which container a file is, whether it is whole, its samples at 16 kHz mono."""

from __future__ import annotations

import contextlib
import io
import math
import stat
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from s2f.errors import AudioError
from s2f.features.front_end import HOP, N_MELS, SAMPLE_RATE, kind, normalise, not_finite

_READ_BLOCK = 1 << 20  # samples; an hour of stereo is averaged piece by piece, never held whole
_RATE_RANGE_HZ = (4_000, 768_000)
_STREAMED = 0x7FFF_F000  # writers to a pipe cannot know a size and declare one at least this large
_PEAK_LIMIT = 4.0  # lossy codecs overshoot 1 a little; beyond this the scale is another one
_KERNEL_LIMIT = 4_000_000  # torchaudio's kernel has about (rate / gcd) · (16000 / gcd) weights
_FORMATS = "wav, flac, ogg, opus, mp3, m4a, aac, webm or mp4"
_CUT_SHORT = "Copy or download it again; if what is there is enough, save it anew."
_EBML = b"\x1aE\xdf\xa3"  # webm, mkv
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")


def read(path: str | Path) -> np.ndarray:
    """Read a recording as 16 kHz mono.

    The content, not the extension, decides how a file is decoded. Channels are averaged. Samples that a
    lossy codec or the resampler put outside [-1, 1] are clipped, as in a 16-bit file. An hour at 48 kHz
    needs about 1.7 GB for a moment and gives 0.23 GB.

    A file that was cut short is refused wherever it tells its length. An mp3 without a table of contents and
    an ogg cut between two pages do not, and are read as far as they go.

    Parameters
    ----------
    path : str or Path, a wav, flac, ogg, opus, mp3, m4a, aac, webm or mp4 file of any rate, channel count, sample type

    Returns
    -------
    ndarray, float32 [n_samples] in [-1, 1], 16 kHz; 16-bit samples at 16 kHz are exactly integer / 32768

    Raises
    ------
    AudioError
        With `reason` one of missing, folder, permission, unreadable, empty, not_audio, no_audio_track,
        damaged, truncated, rate, nan, range.
    """
    path = Path(path)
    with _opened(path) as file:
        mono, rate = _decode(path, file)
    if not mono.size:
        raise AudioError(path, "has 0 samples", remedy="Leave it out or record it again.", reason="empty")
    if rate != SAMPLE_RATE:
        mono = _resample(mono, rate=rate)
    return np.clip(mono, -1.0, 1.0, out=mono)


def duration_s(path: str | Path) -> float:
    """Length of a recording in seconds, from its header where that tells it; of processed frames, their hops.

    Parameters
    ----------
    path : str or Path, what `read` takes, or a .npy file as `read_features` takes

    Raises
    ------
    AudioError: as `read` and `read_features`
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        return len(read_features(path)) * HOP / SAMPLE_RATE
    with _opened(path) as file, contextlib.suppress(soundfile.LibsndfileError):  # if broken, reading it says how
        if path.suffix.lower() != ".raw" and _container(file, head=file.read(32)) is None:
            file.seek(0)
            found = soundfile.info(file).duration
            if 0 < found < _STREAMED / SAMPLE_RATE:
                return found
    return read(path).size / SAMPLE_RATE


def read_features(path: str | Path) -> np.ndarray:
    """Read the log-mel frames of a processed recording, as the release of Wen et al. 2019 has them.

    Frames that a short recording was filled up with, by repeating it, are cut off again. The result is normalised,
    which changes nothing where the file already was.

    Parameters
    ----------
    path : str or Path, a .npy file, float [n_frames, 64]

    Returns
    -------
    ndarray, float32 [n_frames, 64], each bin with mean 0 and standard deviation 1

    Raises
    ------
    AudioError: with `reason` one of missing, folder, permission, unreadable, empty, not_features, nan, silent
    """
    path = Path(path)
    with _opened(path) as file:
        head = file.read(len(np.lib.format.MAGIC_PREFIX))
        if not head:
            raise AudioError(path, "has 0 bytes", remedy="Copy or download it again.", reason="empty")
        if head != np.lib.format.MAGIC_PREFIX:  # numpy would try archives and pickles
            raise AudioError(path, "is no NumPy array", remedy="Save it with numpy.save.", reason="not_features")
        try:
            # As a map, so that a header that declares more than there is asks for no memory.
            frames = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
        except (ValueError, EOFError, SyntaxError, OverflowError, tokenize.TokenError) as error:
            problem = f"is damaged or cut short ({error})"
            raise AudioError(path, problem, remedy="Get it again.", reason="not_features") from None
    if frames.dtype.kind != "f" or frames.ndim != 2 or frames.shape[1] != N_MELS:
        problem = f"is {kind(frames)}, expected float [n_frames, {N_MELS}]"
        raise AudioError(path, problem, remedy="Save log-mel frames one after another.", reason="not_features")
    if not len(frames):
        raise AudioError(path, "has 0 frames", remedy="Leave it out.", reason="empty")
    if not np.isfinite(frames).all():
        raise not_finite(path, frames)
    if (frames == frames[0]).all():
        raise AudioError(path, "holds one frame that never changes", remedy="Leave it out.", reason="silent")
    return normalise(frames[: _period(frames)])


def _period(frames: np.ndarray) -> int:
    """Number of frames after which a recording repeats itself to its end; all of them where it does not."""
    for n in np.flatnonzero((frames[1:] == frames[0]).all(axis=1)) + 1:
        if np.array_equal(frames[n:], frames[:-n]):
            return int(n)
    return len(frames)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file; what the system says against it, now or while it is read, becomes an error with a reason."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a pipe would wait for its writer
            raise OSError("a pipe or device, not a file")
        with path.open("rb") as file:
            yield file
    except (FileNotFoundError, NotADirectoryError):
        remedy = "Check the path and the corpus root."
        raise AudioError(path, "does not exist", remedy=remedy, reason="missing") from None
    except IsADirectoryError:
        raise AudioError(path, "is a folder", remedy="Name one recording inside it.", reason="folder") from None
    except PermissionError:
        remedy = "Change its permissions."
        raise AudioError(path, "may not be read by this user", remedy=remedy, reason="permission") from None
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
        raise AudioError(path, problem, remedy="Check the disk and the name.", reason="unreadable") from None


def _decode(path: Path, file: BinaryIO) -> tuple[np.ndarray, int]:
    """Decode to mono float32 at the file's own rate, and check rate and samples."""
    n_bytes = file.seek(0, io.SEEK_END)
    if not n_bytes:
        raise AudioError(path, "has 0 bytes", remedy="Copy or download it again.", reason="empty")
    file.seek(0)
    head = file.read(32)
    container = _container(file, head=head)
    declared = _declared_bytes(file, head=head, n_bytes=n_bytes)
    if declared > n_bytes:
        problem = f"ends after {n_bytes} bytes, but its header declares at least {declared}"
        raise AudioError(path, problem, remedy=_CUT_SHORT, reason="truncated")
    file.seek(0)
    blocks = _by_pyav(path, file, container=container) if container else _by_soundfile(path, file)
    rate, parts = SAMPLE_RATE, [np.empty(0, np.float32)]
    for block, rate in blocks:  # noqa: B007  every block comes with the same rate
        peak = max(block.max(), -block.min()) if block.size else 0.0  # NaN where any sample is
        if not math.isfinite(peak):
            raise not_finite(path, block)
        if peak > _PEAK_LIMIT:
            remedy = "Export it with floating-point samples in [-1, 1], or as 16-bit."
            raise AudioError(path, f"peaks at {peak:g}, expected [-1, 1]", remedy=remedy, reason="range")
        parts.append(block)
    if not _RATE_RANGE_HZ[0] <= rate <= _RATE_RANGE_HZ[1]:
        problem = f"has a rate of {rate} Hz, expected {_RATE_RANGE_HZ[0]} to {_RATE_RANGE_HZ[1]}"
        raise AudioError(path, problem, remedy="Its header is probably wrong: export it again.", reason="rate")
    return np.concatenate(parts), rate


def _by_soundfile(path: Path, file: BinaryIO) -> Iterator[tuple[np.ndarray, int]]:
    if path.suffix.lower() == ".raw":  # soundfile would take any bytes for samples
        remedy = f"Convert it to one of {_FORMATS}."
        raise AudioError(path, "has no header that tells rate and sample type", remedy=remedy, reason="not_audio")
    try:
        sound = soundfile.SoundFile(file)
    except soundfile.LibsndfileError as error:
        unknown = error.code == 1  # no format recognised
        problem, remedy = (
            f"is {'not audio' if unknown else 'damaged'} ({_said(error)})",
            f"Export it again as one of {_FORMATS}.",
        )
        raise AudioError(path, problem, remedy=remedy, reason="not_audio" if unknown else "damaged") from None
    with sound:
        n_read, said = 0, ""
        try:
            while len(block := sound.read(_READ_BLOCK // sound.channels, dtype="float32", always_2d=True)):  # [n, C]
                n_read += len(block)
                yield block.mean(axis=1), sound.samplerate
        except soundfile.LibsndfileError as error:
            said = f" ({_said(error)})"
        if said or n_read < sound.frames:
            problem = f"yields {n_read} of the {sound.frames} samples its header declares{said}"
            raise AudioError(path, problem, remedy=_CUT_SHORT, reason="truncated")


def _said(error: soundfile.LibsndfileError) -> str:
    return error.error_string.removeprefix("Error : ").strip().rstrip(".")


def _by_pyav(path: Path, file: BinaryIO, *, container: str) -> Iterator[tuple[np.ndarray, int]]:
    import av

    def damaged(error: Exception) -> AudioError:
        problem = f"is damaged or cut short ({getattr(error, 'strerror', None) or error})"
        remedy = f"Copy or download it again, or export it as one of {_FORMATS}."
        return AudioError(path, problem, remedy=remedy, reason="damaged")

    try:
        # Naming the container keeps the file from being taken for a play list that opens other files.
        source = av.open(file, "r", format=container, metadata_errors="replace")
    except av.FFmpegError as error:
        raise damaged(error) from None
    with source:
        if not source.streams.audio:
            raise AudioError(path, "has no audio track", remedy="Choose a file with sound.", reason="no_audio_track")
        to_float = av.AudioResampler(format="fltp")
        decoded = source.decode(source.streams.audio[0])
        while True:
            try:
                frame = next(decoded, None)  # None flushes the converter
                parts = to_float.resample(frame)
            except (av.FFmpegError, ValueError) as error:  # ValueError: rate or layout changes on the way
                raise damaged(error) from None
            for part in parts:
                yield part.to_ndarray().mean(axis=0), part.sample_rate  # [C, n] -> [n]
            if frame is None:
                return


def _container(file: BinaryIO, *, head: bytes) -> str | None:
    """Name FFmpeg's reader for what libsndfile cannot read whole, None for the rest."""
    if head[4:8] in _MP4_BOXES:
        return "mov"
    if head.startswith(_EBML):
        return "matroska"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:  # ADTS
        return "aac"
    if head.startswith(b"fLaC") and not head[21] & 0x0F and not any(head[22:26]):  # streamed: length unknown
        return "flac"
    # libsndfile guesses the length of an mp3 that declares none, and stops there.
    return "mp3" if _mp3_start(file, head=head) is not None else None


def _mp3_start(file: BinaryIO, *, head: bytes) -> int | None:
    """Find an mp3's first frame, after the ID3 tag if there is one; None if the file is no mp3."""
    at = 0
    if head.startswith(b"ID3") and len(head) >= 10:
        a, b, c, d = head[6:10]  # seven bits each
        at = 10 + (a << 21 | b << 14 | c << 7 | d)
    file.seek(at)
    frame = file.read(2)
    is_frame = len(frame) == 2 and frame[0] == 0xFF and frame[1] & 0xE0 == 0xE0 and frame[1] & 0x06
    return at if is_frame else None


def _declared_bytes(file: BinaryIO, *, head: bytes, n_bytes: int) -> int:
    """Find how long the file should be at least; decoders read a file that was cut short without a word."""
    if head.startswith(b"RIFF"):
        at = 12
        while True:
            file.seek(at)
            chunk = file.read(8)
            if len(chunk) < 8:
                return at + 8  # no samples yet
            size = int.from_bytes(chunk[4:], "little")
            if chunk.startswith(b"data"):
                return n_bytes if size >= _STREAMED else at + 8 + size
            at += 8 + size + size % 2
    if head[4:8] in _MP4_BOXES:
        at = 0
        while at < n_bytes:
            file.seek(at)
            box = file.read(16)
            size = int.from_bytes(box[8:16] if box[:4] == b"\0\0\0\1" else box[:4], "big")
            if size < 8 or not box[4:8].isalnum():  # the last box, to the end of the file, or something else
                return n_bytes
            at += size
        return at
    if head.startswith(_EBML):
        header, at = _ebml_size(file, at=4)
        file.seek(at + header)
        if file.read(4) != b"\x18S\x80g":  # segment
            return n_bytes
        size, at = _ebml_size(file, at=at + header + 4)
        return n_bytes if size < 0 else at + size
    if head.startswith(b"OggS"):
        start = max(0, n_bytes - 2 * 65_307)  # a page has 65307 bytes at most
        file.seek(start)
        tail = file.read()
        page = tail.rfind(b"OggS")
        n_segments = tail[page + 26] if len(tail) > page + 26 else 0
        segments = tail[page + 27 : page + 27 + n_segments]
        return start + page + 27 + n_segments + sum(segments)
    first = _mp3_start(file, head=head)
    if first is not None:  # the first frame may be a table of contents (Xing) that tells the number of bytes
        file.seek(first)
        frame = file.read(64)
        mono, mpeg1 = len(frame) > 3 and frame[3] >> 6 == 3, frame[1] & 0x18 == 0x18
        tag = 4 + ((17 if mono else 32) if mpeg1 else (9 if mono else 17))
        flags = frame[tag + 7] if frame[tag : tag + 4] in (b"Xing", b"Info") else 0
        if flags & 2:
            tag += 12 if flags & 1 else 8
            return first + int.from_bytes(frame[tag : tag + 4], "big")
    return n_bytes


def _ebml_size(file: BinaryIO, *, at: int) -> tuple[int, int]:
    """Read an EBML size and the position after it; a streamed file's unknown size is -1."""
    file.seek(at)
    first = int.from_bytes(file.read(1), "big")
    n_more = 8 - first.bit_length()
    size = (first << 8 * n_more | int.from_bytes(file.read(n_more), "big")) & ((1 << 7 * (n_more + 1)) - 1)
    return (-1 if size == (1 << 7 * (n_more + 1)) - 1 else size), at + 1 + n_more


def _resample(mono: np.ndarray, *, rate: int) -> np.ndarray:
    divisor = math.gcd(rate, SAMPLE_RATE)
    up, down = SAMPLE_RATE // divisor, rate // divisor
    if up * down > _KERNEL_LIMIT:  # rates such as 44101 Hz
        from scipy.signal import resample_poly

        return resample_poly(mono, up, down).astype(np.float32)
    import torch
    from torchaudio.functional import resample

    # By blocks, so that an hour needs little memory; each with enough of its neighbours for the filter, and
    # starting where a sample of both rates falls.
    margin = down * (2 + math.ceil(6 / min(up, down)))
    block = down * max(1, _READ_BLOCK // down)
    parts = []
    for a in range(0, mono.size, block):
        first = max(0, a - margin)
        piece = resample(torch.from_numpy(mono[first : a + block + margin]), rate, SAMPLE_RATE).numpy()
        skip = (a - first) // down * up
        n = math.ceil(min(block, mono.size - a) * up / down)
        parts.append(piece[skip : skip + n])
    return np.concatenate(parts)
