"""Recordings on disk: their samples at 16 kHz mono, whole or in blocks, and frames that others processed."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import stat
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from s2f.errors import AudioError
from s2f.features import containers, decoding
from s2f.features.containers import Part
from s2f.features.front_end import HOP, N_MELS, SAMPLE_RATE, kind, normalise, not_finite

_READ_BLOCK = 1 << 18  # samples that are resampled at a time
_KERNEL_LIMIT = 4_000_000  # torchaudio's kernel has about (rate / gcd) · (16000 / gcd) weights
# torchaudio's setting for what Kaiser windows do best: flat to 7.2 kHz, where the last mel filter ends.
_ZEROS, _ROLLOFF, _BETA = 64, 0.9475937167399596, 14.769656459379492
_CLIPPED = 1e-3  # share of the samples; beyond it the clipping is said
_CANCELLED = 0.1  # share of the sound that averaging may cancel; beyond it one channel is read alone


def read(path: str | Path, *, remarks: list[str] | None = None) -> np.ndarray:
    """Read a recording as 16 kHz mono.

    The content, not the extension, decides how a file is decoded. Recordings that were joined into one file are read
    one after another, each at its own rate. Channels are averaged, unless they would cancel one another: then the
    loudest is read. Samples outside [-1, 1], as lossy codecs, resamplers and mixing desks leave them, are clipped as in
    a 16-bit file; where they are more than a few, `remarks` says so.
    Three hours take 0.69 GB, and little more while they are read.

    A file that was cut short is refused wherever it tells its length. An mp3 without a table of contents, an MPEG
    transport stream and a WebM or wav that was streamed do not, and are read as far as they go.

    Parameters
    ----------
    path : str or Path, a file of one of `s2f.features.containers.KINDS`, of any rate, channel count, sample type
    remarks : list of str, optional, what there is to say about how the file was read is added to it

    Returns
    -------
    ndarray, float32 [n_samples] in [-1, 1], 16 kHz; 16-bit samples at 16 kHz are exactly integer / 32768

    Raises
    ------
    AudioError
        With `reason` one of missing, folder, permission, unreadable, empty, not_audio, unsupported, no_audio_track,
        damaged, truncated, rate, nan, range.
    """
    wave, n = np.empty(0, np.float32), 0
    for block in blocks(path, remarks=remarks):
        wave.resize(n + len(block), refcheck=False)  # in place, where a list of blocks would be held twice
        wave[n:] = block
        n += len(block)
    return wave


def blocks(path: str | Path, *, remarks: list[str] | None = None) -> Iterator[np.ndarray]:
    """Read a recording as `read` does, a block after another: float32 [n] each.

    Memory holds a few blocks, whatever the file's length. Where channels may cancel one another, the file is decoded
    twice.

    Raises
    ------
    AudioError: as `read`; a file that is cut short is found at its end, after blocks of it were given
    """
    path = Path(path)
    said = [] if remarks is None else remarks
    with _opened(path) as file:
        parts, found = containers.parts(path, file)
        said += found
        n = n_clipped = 0
        for part in parts:
            decoded = decoding.blocks(path, file, part, said)
            first = list(itertools.islice(decoded, 1))
            several = first and first[0][0].shape[1] > 1
            channel = _channel(path, file, part, said) if several else None
            mono = ((_mixed(block, channel), rate) for block, rate in itertools.chain(first, decoded))
            for block in _resampled(mono):
                n += len(block)
                n_clipped += int((np.abs(block) > 1).sum())
                yield np.clip(block, -1.0, 1.0, out=block)
    if n_clipped > _CLIPPED * n:
        said.append(f"{100 * n_clipped / n:.1f} % of its samples lie outside [-1, 1] and are clipped")
    if not n and found:
        problem = f"has 0 samples: {'; '.join(found)}"
        raise AudioError(path, problem, remedy=containers.CUT_SHORT, reason="damaged")
    if not n:
        raise AudioError(path, "has 0 samples", remedy="Leave it out or record it again.", reason="empty")


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
        parts, _ = containers.parts(path, file)
        if all(part.kind and part.demuxer is None for part in parts):
            lengths = [soundfile.info(decoding.Slice(file, part.start, part.end)).duration for part in parts]
            if all(0 < length < containers.STREAMED / SAMPLE_RATE for length in lengths):
                return sum(lengths)
    return sum(map(len, blocks(path))) / SAMPLE_RATE


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


# ------------------------------------------------------------------------------------------------ channels


def _channel(path: Path, file: BinaryIO, part: Part, remarks: list[str]) -> int | None:
    """The channel to read alone, the loudest, where averaging would cancel the voice; None where it does not."""
    whole = cancelled = 0.0
    loudness = np.zeros(0)
    for block, rate in decoding.blocks(path, file, part, []):
        n_channels = block.shape[1]
        if loudness.size not in (0, n_channels):
            return None
        loudness = loudness if loudness.size else np.zeros(n_channels)
        for piece in np.array_split(block, max(1, len(block) // rate)):  # about a second each
            # Differences, so that neither an offset nor hum, which channels share, hides that the voice cancels.
            steps = np.diff(piece.astype(np.float64), axis=0)
            each = np.square(steps).sum(axis=0)  # [C]
            mean = float(np.square(steps.mean(axis=1)).sum())
            sound = len(piece) * float(piece.var(axis=0, dtype=np.float64).mean())
            # The average of channels that have nothing in common keeps a share of 1 / C; half of it is too little.
            if mean < each.mean() / (2 * n_channels):
                cancelled += sound
            whole += sound
            loudness += each
    if cancelled <= _CANCELLED * whole:
        return None
    loudest = int(loudness.argmax())
    remarks.append(
        f"its {loudness.size} channels cancel one another: channel {loudest + 1}, the loudest, is read alone"
    )
    return loudest


def _mixed(block: np.ndarray, channel: int | None) -> np.ndarray:
    """A block [n, C] as mono [n]: the average, or one channel of it."""
    if channel is not None and channel < block.shape[1]:
        return np.ascontiguousarray(block[:, channel])
    return block.mean(axis=1)


# ------------------------------------------------------------------------------------------------ resampling


def _resampled(mono: Iterator[tuple[np.ndarray, int]]) -> Iterator[np.ndarray]:
    """Blocks float32 [n] and their rates to blocks at 16 kHz; what is there already stays as it is."""
    now: _Resampler | None = None
    for block, rate in mono:
        if now and now.rate != rate:
            yield from now.pushed(None)
            now = None
        if rate == SAMPLE_RATE:
            yield block
            continue
        now = now or _Resampler(rate)
        yield from now.pushed(block)
    if now:
        yield from now.pushed(None)


class _Resampler:
    """One rate to 16 kHz, by blocks that start where a sample of both rates falls, each with what the filter sees."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        divisor = math.gcd(rate, SAMPLE_RATE)
        self._up, self._down = SAMPLE_RATE // divisor, rate // divisor
        self._margin = self._down * (2 + math.ceil(_ZEROS / _ROLLOFF / min(self._up, self._down)))
        self._block = self._down * max(1, _READ_BLOCK // self._down)
        self._waiting = np.empty(0, np.float32)
        self._before = 0  # samples at the head of `_waiting` that were resampled already

    def pushed(self, block: np.ndarray | None) -> Iterator[np.ndarray]:
        """What becomes certain with a block; all of the rest with None."""
        if block is not None:
            self._waiting = np.concatenate([self._waiting, block])
        while True:
            n_new = self._waiting.size - self._before
            ready = n_new >= self._block + self._margin
            if not n_new or not (ready or block is None):
                return
            n = self._block if ready else n_new
            end = self._before + n
            out = _filtered(self._waiting[: end + self._margin], up=self._up, down=self._down, rate=self.rate)
            skip = self._before // self._down * self._up
            yield out[skip : skip + math.ceil(n * self._up / self._down)]
            first = max(0, end - self._margin)
            self._waiting, self._before = self._waiting[first:], end - first


def _filtered(mono: np.ndarray, *, up: int, down: int, rate: int) -> np.ndarray:
    if up * down > _KERNEL_LIMIT:  # rates such as 44101 Hz
        from scipy.signal import resample_poly

        return resample_poly(mono, up, down, window=_taps(max(up, down))).astype(np.float32)
    import torch

    try:
        from torchaudio.functional import resample
    except OSError as error:  # a library that does not fit torch is no fault of the file
        raise ImportError(f"torchaudio cannot be loaded ({error}): run `make environment`") from error
    kaiser = {"lowpass_filter_width": _ZEROS, "rolloff": _ROLLOFF, "beta": _BETA}
    found = resample(torch.from_numpy(mono), rate, SAMPLE_RATE, resampling_method="sinc_interp_kaiser", **kaiser)
    return found.numpy()


@functools.lru_cache(maxsize=1)
def _taps(factor: int) -> np.ndarray:
    """The same filter for `scipy.signal.resample_poly`."""
    from scipy.signal import firwin

    return firwin(2 * math.ceil(_ZEROS / _ROLLOFF * factor) + 1, _ROLLOFF / factor, window=("kaiser", _BETA))
