"""Two decoders, libsndfile and FFmpeg: the samples of one recording in blocks, and what they leave out."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from s2f.errors import AudioError
from s2f.features.containers import CUT_SHORT, KINDS, Part, is_much
from s2f.features.front_end import not_finite

BLOCK = 1 << 18  # samples of all channels that are decoded at a time
RATE_RANGE_HZ = (4_000, 768_000)
_PEAK_LIMIT = 4.0  # lossy codecs overshoot 1 a little; beyond this the scale is another one
_SHORT_S = 0.2  # by which lengths that a container declares for its streams may be wrong


class Slice(io.RawIOBase):
    """A stretch of an open file, as a file of its own."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file, self._start, self._size, self._at = file, start, end - start, 0
        self.n_unread = self._size  # bytes behind the last that was asked for

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that any place can be gone to."""
        return True

    def tell(self) -> int:
        """Place in the stretch."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the stretch."""
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer) -> int:
        """Fill a buffer, as far as there is something."""
        n = max(0, min(len(buffer), self._size - self._at))
        if not n:  # a damaged file may send its reader to places that no file has
            return 0
        self._file.seek(self._start + self._at)
        content = self._file.read(n)
        memoryview(buffer).cast("B")[: len(content)] = content
        self._at += len(content)
        self.n_unread = min(self.n_unread, self._size - self._at)
        return len(content)


def blocks(path: Path, file: BinaryIO, part: Part, remarks: list[str]) -> Iterator[tuple[np.ndarray, int]]:
    """Samples of a recording, float32 [n, n_channels], and the rate of each block in Hz, which may change on the way.

    Raises
    ------
    AudioError: with `reason` one of not_audio, unsupported, no_audio_track, damaged, truncated, rate, nan, range
    """
    n_read = 0.0  # at the rate of the part's first block
    first_rate = 0
    for block, rate in _gathered(_decoded(path, file, part, remarks)):
        _check(path, block, rate)
        first_rate = first_rate or rate
        n_read += len(block) * first_rate / rate
        yield block, rate
    # A frame or two go to the decoder's delay, which some files ask to cut off at both ends.
    if n_read < part.n_samples - 3 * 2048:
        problem = f"yields {round(n_read)} of the {part.n_samples} samples that its frames hold"
        raise AudioError(path, problem, remedy=CUT_SHORT, reason="damaged")


def _decoded(path: Path, file: BinaryIO, part: Part, remarks: list[str]) -> Iterator[tuple[np.ndarray, int]]:
    stretch = Slice(file, part.start, part.end)
    if part.demuxer is None:
        return _by_soundfile(path, stretch, part)
    return _by_pyav(path, stretch, part, remarks)


def _gathered(decoded: Iterator[tuple[np.ndarray, int]]) -> Iterator[tuple[np.ndarray, int]]:
    """Join small blocks of one rate and number of channels, so that what follows has less to do."""
    waiting: list[np.ndarray] = []
    now = 0
    for block, rate in decoded:
        if waiting and (rate != now or block.shape[1] != waiting[0].shape[1]):
            yield np.concatenate(waiting), now
            waiting = []
        waiting.append(block)
        now = rate
        if sum(each.size for each in waiting) >= BLOCK:
            yield np.concatenate(waiting), now
            waiting = []
    if waiting:
        yield np.concatenate(waiting), now


def _check(path: Path, block: np.ndarray, rate: int) -> None:
    if not RATE_RANGE_HZ[0] <= rate <= RATE_RANGE_HZ[1]:
        problem = f"has a rate of {rate} Hz, expected {RATE_RANGE_HZ[0]} to {RATE_RANGE_HZ[1]}"
        raise AudioError(path, problem, remedy="Its header is probably wrong: export it again.", reason="rate")
    peak = max(block.max(), -block.min()) if block.size else 0.0  # NaN where any sample is
    if not math.isfinite(peak):
        raise not_finite(path, block)
    if peak > _PEAK_LIMIT:
        remedy = "Export it with floating-point samples in [-1, 1], or as 16-bit."
        raise AudioError(path, f"peaks at {peak:g}, expected [-1, 1]", remedy=remedy, reason="range")


def _by_soundfile(path: Path, file: Slice, part: Part) -> Iterator[tuple[np.ndarray, int]]:
    if path.suffix.lower() == ".raw" and not part.kind:  # soundfile would take any bytes for samples
        remedy = f"Convert it to one of {KINDS}."
        raise AudioError(path, "has no header that tells rate and sample type", remedy=remedy, reason="not_audio")
    try:
        sound = soundfile.SoundFile(file)
    except soundfile.LibsndfileError as error:
        unknown = error.code == 1  # no format recognised
        problem = f"is {'not audio' if unknown else 'damaged'} ({_said(error)})"
        remedy = f"Export it again as one of {KINDS}."
        raise AudioError(path, problem, remedy=remedy, reason="not_audio" if unknown else "damaged") from None
    with sound:
        n_read, said = 0, ""
        try:
            while len(block := sound.read(max(1, BLOCK // sound.channels), dtype="float32", always_2d=True)):  # [n, C]
                n_read += len(block)
                yield block, sound.samplerate
        except soundfile.LibsndfileError as error:
            said = f" ({_said(error)})"
        if said or n_read < sound.frames:
            problem = f"yields {n_read} of the {sound.frames} samples its header declares{said}"
            raise AudioError(path, problem, remedy=CUT_SHORT, reason="truncated")
        if part.kind == "flac" and is_much(file.n_unread, part.end - part.start):  # only its decoder knows its end
            problem = f"is not what its header declares: {file.n_unread} bytes follow its last sample"
            raise AudioError(path, problem, remedy=CUT_SHORT, reason="damaged")


def _said(error: soundfile.LibsndfileError) -> str:
    return error.error_string.removeprefix("Error : ").strip().rstrip(".")


def _by_pyav(path: Path, file: Slice, part: Part, remarks: list[str]) -> Iterator[tuple[np.ndarray, int]]:
    import av

    def damaged(error: Exception) -> AudioError:
        problem = f"is damaged or cut short ({getattr(error, 'strerror', None) or error})"
        remedy = f"Copy or download it again, or export it as one of {KINDS}."
        return AudioError(path, problem, remedy=remedy, reason="damaged")

    try:
        # Naming the container keeps the file from being taken for a play list that opens other files.
        source = av.open(file, "r", format=part.demuxer, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise damaged(error) from None
    with source:
        if not source.streams.audio:
            raise AudioError(path, "has no audio track", remedy="Choose a file with sound.", reason="no_audio_track")
        stream = _track(source, remarks)
        if stream.codec_context is None:
            remedy = f"Export it again as one of {KINDS}."
            raise AudioError(path, "has sound in an unknown coding", remedy=remedy, reason="unsupported")
        declared_s = _declared_s(source, stream, part)
        decoded = _frames(source, stream)
        to_float, shape, seconds = None, None, 0.0
        while True:
            try:
                frame = next(decoded, None)
                parts = []
                if to_float and (frame is None or shape != _shape(frame)):
                    parts, to_float = to_float.resample(None), None
                if frame is not None:
                    to_float = to_float or av.AudioResampler(format="fltp")
                    shape = _shape(frame)
                    parts += to_float.resample(frame)
            except (av.FFmpegError, ValueError) as error:
                raise damaged(error) from None
            for piece in parts:
                seconds += piece.samples / piece.sample_rate
                yield piece.to_ndarray().T, piece.sample_rate  # [n, C]
            if frame is None:
                break
    if seconds < declared_s - max(_SHORT_S, 0.001 * declared_s):
        problem = f"yields {seconds:.2f} of the {declared_s:.2f} s its header declares"
        raise AudioError(path, problem, remedy=CUT_SHORT, reason="truncated")


def _frames(source, stream) -> Iterator:
    """Decoded frames of a track, without the first of AAC where nobody else leaves it out.

    What an mp3 encoder puts before the sound, 1,105 samples of LAME's, FFmpeg leaves out where a table of contents in
    front of the frames, or Matroska, tells it. Elsewhere (without that table, in wav, avi, mp4 and transport streams)
    nothing says which encoder it was, and they stay: 25 ms at 44.1 kHz, 69 ms at 16 kHz.
    """
    primed = None
    for packet in source.demux(stream):
        if primed is None:
            # An AAC encoder has nothing yet to fill its first frame with. Most containers say so, and FFmpeg leaves it
            # out; a bare stream cannot.
            primed = stream.codec_context.name.startswith("aac") and not packet.has_sidedata("skip_samples")
        for frame in packet.decode():
            if not primed:
                yield frame
            primed = False


def _shape(frame) -> tuple[int, str, str]:
    return frame.sample_rate, frame.layout.name, frame.format.name


def _track(source, remarks: list[str]):
    """The audio track to read: the first of those that the file marks as the default, or the first of all."""
    from av.stream import Disposition

    tracks = source.streams.audio
    marked = [track for track in tracks if Disposition.default in track.disposition]
    chosen = (marked or list(tracks))[0]
    if len(tracks) > 1:
        why = "its default" if marked else "the first"
        remarks.append(f"track {1 + list(tracks).index(chosen)} of {len(tracks)} is read, {why}")
    return chosen


def _declared_s(source, stream, part: Part) -> float:
    """Seconds that the container declares for this track; 0 where it declares none, or guesses."""
    import av

    if part.kind in ("mp3", "aac", "amr", "amr-wb", "ts", "wav") or part.n_samples:
        return 0.0
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if source.duration and len(source.streams) == 1:
        return (source.duration - (source.start_time or 0)) / av.time_base
    return 0.0
