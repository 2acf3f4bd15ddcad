"""The audio front end: a wave to the normalised log-mel frames that the voice networks read.

The order is `voiced` → `log_mel` → `normalise` → `repeat`; `features` runs all four.
It reproduces the released front end of Wen, Raj and Singh (NeurIPS 2019), habits included, because
their features and weights depend on them. Each habit is named where it happens.

Everywhere wave is a recording, float [n_samples] in [-1, 1], 16 kHz, at least 25 ms, and name what an error calls it.
All raise AudioError whose `reason` is one of wrong_type, empty, nan, range, too_short, and silent where that is said.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import scipy.fft
import webrtcvad
from numpy.lib.stride_tricks import sliding_window_view

from s2f.errors import AudioError

SAMPLE_RATE = 16_000  # Hz
HOP = 160  # samples, 10 ms
VAD_FRAME_S = 0.02
N_MELS = 64
N_FRAMES_MIN = 1_000  # 10 s, the length a shorter recording is repeated to

_INT16_SCALE = 32_768
_VAD_MODE = 2
_VAD_FRAME = 320  # samples, 20 ms
_WINDOW = 400  # samples, 25 ms
_N_FFT = 1_024
_PRE_EMPHASIS = 0.97
_MEL_LOW_HZ, _MEL_HIGH_HZ = 20.0, 7_200.0
_POWER_FLOOR = 1e-5
_FILTERS_A_GROUP = 16
_LAST_BEFORE = _WINDOW - 1 - HOP  # from a frame's start to the last sample of the frame before
_NORMALISED_A_BLOCK = 65_536  # frames
_LONG_FRAMES = 360_000  # an hour
_FRAMES_A_BLOCK = 128  # windows, spectra and powers of one block stay in the processor's cache


def voiced_mask(wave: np.ndarray, *, name: str | Path = "wave") -> np.ndarray:
    """Tell which 20 ms frames hold speech: WebRTC's detector, mode 2, with a 2-frame ring.

    Speech starts when both frames in the ring are voiced, and keeps them; it ends after the frame at which
    both are unvoiced. As in the released code, every step asks a fresh recording's detector again about
    each frame in the ring, which moves its adaptive state, so that no answer may be reused. A last frame
    that is incomplete or ends exactly at the end is left out: bool [(n_samples - 1) // 320].
    """
    return _voiced_mask(_to_int16(wave, name=name))


def voiced(wave: np.ndarray, *, name: str | Path = "wave") -> np.ndarray:
    """Join the frames that `voiced_mask` keeps: float32 [n_voiced] in [-1, 1], n_voiced a multiple of 320.

    Raises
    ------
    AudioError: with `reason` silent, too, where no frame is voiced
    """
    mask = voiced_mask(wave, name=name)
    frames = wave[: mask.size * _VAD_FRAME].reshape(-1, _VAD_FRAME)  # [n_frames, 320]
    if not mask.any():
        raise _silent(name)
    return frames[mask].reshape(-1).astype(np.float32, copy=False)


def log_mel(wave: np.ndarray, *, name: str | Path = "wave") -> np.ndarray:
    """Compute the log-mel spectrogram of the whole wave, silence included, not normalised: float32 [n_frames, 64].

    On the int16 scale: 25 ms Hamming windows every 10 ms, pre-emphasis 0.97, 1024-point power spectrum,
    `mel_filters`, floor 1e-5, natural logarithm (Wen et al. 2019, public code). The frames at the end run
    past it and are filled by repeating their own samples; one that starts at the end itself is zero:
    n_frames = 1 + n_samples // 160.
    """
    return _log_mel(_to_int16(wave, name=name)).astype(np.float32)


def normalise(log_mel: np.ndarray, *, in_place: bool = False) -> np.ndarray:
    """Bring each mel bin to mean 0 and standard deviation 1 over the recording.

    The deviation is the population's, plus float32 epsilon.

    Parameters
    ----------
    log_mel : ndarray, float [n_frames, n_bins], finite
    in_place : bool, write the result over `log_mel`, which is float32

    Returns
    -------
    ndarray, float32 [n_frames, n_bins]; a bin that never changes is 0
    """
    _check_frames(log_mel)
    n, n_bins = log_mel.shape
    # In float64, since float32 means of constant bins would be off by more than the epsilon, and a block at a time.
    pieces = [slice(at, at + _NORMALISED_A_BLOCK) for at in range(0, n, _NORMALISED_A_BLOCK)]
    mean, power = np.zeros(n_bins), np.zeros(n_bins)
    for piece in pieces:
        mean = np.add.reduce(np.concatenate([mean[None], log_mel[piece].astype(np.float64)]), axis=0)
    mean /= n
    for piece in pieces:
        x = log_mel[piece].astype(np.float64) - mean
        power = np.add.reduce(np.concatenate([power[None], x * x]), axis=0)
    scale = np.sqrt(power / n) + np.finfo(np.float32).eps
    out = log_mel if in_place else np.empty(log_mel.shape, np.float32)
    for piece in pieces:
        out[piece] = (log_mel[piece].astype(np.float64) - mean) / scale
    return out


def repeat(features: np.ndarray, *, n_frames: int = N_FRAMES_MIN) -> np.ndarray:
    """Repeat a short recording's frames until there are exactly `n_frames`; a longer one is left as it is.

    Parameters
    ----------
    features : ndarray, float [n, n_bins]
    n_frames : int, frames of 10 ms

    Returns
    -------
    ndarray, [max(n, n_frames), n_bins], the same dtype
    """
    _check_frames(features)
    n = len(features)
    return features if n >= n_frames else np.tile(features, (-(-n_frames // n), 1))[:n_frames]


def features(wave: np.ndarray, *, name: str | Path = "wave") -> np.ndarray:
    """Compute what the voice networks read, float32 [>= 1000, 64]: voiced parts, log-mel, normalised, repeated to 10 s.

    Raises
    ------
    AudioError: as `voiced`
    """
    frames, _ = voiced_log_mel([wave], name=name)
    return repeat(normalise(frames))


def voiced_log_mel(
    blocks: Iterable[np.ndarray], *, name: str | Path = "wave", rounded: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Log-mel frames of the voiced parts of a recording that comes in blocks, of which memory holds one.

    Parameters
    ----------
    blocks : iterable of float [n], which follow one another; a whole wave is one block
    rounded : bool, frames in float32, as `log_mel` gives them

    Returns
    -------
    frames : float64 [n_frames, 64], float32 where `rounded` or where there is over an hour of voice; not normalised
    mask : bool [n_20_ms_frames], as `voiced_mask` gives it

    Raises
    ------
    AudioError: as `voiced`
    """
    detector, spectrum = _Detector(), _LogMel()
    dtype = np.float32 if rounded else np.float64
    frames, n, size = np.empty((0, N_MELS), dtype), 0, 0
    heard, masks = _Waiting(), []

    def keep(found: np.ndarray) -> None:
        nonlocal frames, n
        if n + len(found) > _LONG_FRAMES and frames.dtype != np.float32:
            frames = frames.astype(np.float32)  # three hours would take half a gigabyte
        frames.resize((n + len(found), N_MELS), refcheck=False)  # in place
        frames[n:] = found
        n += len(found)

    for samples in _checked(blocks, name=name):
        size += samples.size
        heard.push(samples)
        masks.append(detector.push(samples))
        voice = heard.pop(masks[-1].size * _VAD_FRAME).reshape(-1, _VAD_FRAME)[masks[-1]]
        keep(spectrum.push(voice.reshape(-1)))
    if size < _WINDOW:
        raise _too_short(name, size)
    masks.append(detector.finish())
    voice = heard.pop(masks[-1].size * _VAD_FRAME).reshape(-1, _VAD_FRAME)[masks[-1]]
    keep(spectrum.push(voice.reshape(-1)))
    mask = np.concatenate(masks)
    if not mask.any():
        raise _silent(name)
    keep(spectrum.finish())
    return frames, mask


@functools.cache
def mel_filters() -> np.ndarray:
    """Build the triangular mel filters: 64 of them, 20–7200 Hz, edges rounded to FFT bins, height 2 / width.

    Gives float64 [513, 64], in 1 / Hz, read-only.
    """
    low, high = (2595 * np.log10(1 + f / 700) for f in (_MEL_LOW_HZ, _MEL_HIGH_HZ))
    edges_hz = 700 * (10 ** (np.linspace(low, high, N_MELS + 2) / 2595) - 1)
    bin_hz = SAMPLE_RATE / _N_FFT
    edges = np.rint(edges_hz / bin_hz)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    bins = np.arange(_N_FFT // 2 + 1)[:, None]  # [513, 1]
    # Two edges of a low filter may round to the same bin: that side has no slope, and the centre its height.
    rise = (bins - left) / np.maximum(centre - left, 1)
    fall = (right - bins) / np.maximum(right - centre, 1)
    shape = np.where(bins < centre, rise, np.where(bins > centre, fall, 1.0))  # [513, 64]
    filters = np.maximum(shape, 0) * 2 / ((right - left) * bin_hz)
    filters.flags.writeable = False
    return filters


class _Waiting:
    """Samples that came in and were not taken yet."""

    def __init__(self) -> None:
        self.samples = np.empty(0, np.int16)

    def push(self, samples: np.ndarray) -> None:
        self.samples = np.concatenate([self.samples, samples]) if self.samples.size else samples

    def pop(self, n: int) -> np.ndarray:
        taken, self.samples = self.samples[:n], self.samples[n:]
        return taken


class _Detector:
    """`voiced_mask` of a recording that comes in blocks."""

    def __init__(self) -> None:
        self._is_speech = webrtcvad.Vad(_VAD_MODE).is_speech
        self._waiting = _Waiting()
        self._inside, self._before = False, b""  # the older frame of the ring, empty where the ring holds one
        self._last: list[bool] = []  # the answer that the next frame may still change

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Answers that became certain: bool [n]."""
        self._waiting.push(samples)
        # A frame counts once there is a sample after it.
        n_frames = max(0, (self._waiting.samples.size - 1) // _VAD_FRAME)
        raw = self._waiting.pop(n_frames * _VAD_FRAME).tobytes()
        n_bytes = 2 * _VAD_FRAME
        mask = self._last
        for i in range(n_frames):
            frame = raw[i * n_bytes : (i + 1) * n_bytes]
            # Older frame first, and both always asked: the detector adapts with every question.
            older = self._is_speech(self._before, SAMPLE_RATE) if self._before else None
            newer = self._is_speech(frame, SAMPLE_RATE)
            mask.append(self._inside)
            if older == newer != self._inside:
                mask[-2:] = [True, True]
                self._inside, self._before = not self._inside, b""
            else:
                self._before = frame
        self._last = mask[-1:]
        return np.array(mask[:-1], dtype=bool)

    def finish(self) -> np.ndarray:
        """The last answer."""
        return np.array(self._last, dtype=bool)


class _LogMel:
    """`log_mel` of samples int16 that come in blocks, float64."""

    def __init__(self) -> None:
        self._waiting, self._begun = _Waiting(), False
        self._window = np.hamming(_WINDOW)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Frames of the blocks that are full, so that results do not depend on how samples came."""
        self._waiting.push(samples)
        n = max(0, 1 + (self._waiting.samples.size - _WINDOW) // HOP) // _FRAMES_A_BLOCK * _FRAMES_A_BLOCK
        return self._logarithm([self._whole(_FRAMES_A_BLOCK) for _ in range(0, n, _FRAMES_A_BLOCK)])

    def finish(self) -> np.ndarray:
        """The other frames, and those that run past the end."""
        samples = self._waiting.samples
        found = [self._whole(n)] if (n := max(0, 1 + (samples.size - _WINDOW) // HOP)) else []
        samples = self._waiting.samples
        starts = range(0, samples.size + 1, HOP)
        # np.resize repeats what there is, and gives zeros where there is nothing.
        tails = np.stack([np.resize(samples[start:], _WINDOW) for start in starts]).astype(np.float64)
        before = np.append(samples[_LAST_BEFORE], tails[:-1, -1])
        emphasised = tails - _PRE_EMPHASIS * np.column_stack([before, tails[:, :-1]])
        return self._logarithm([*found, _mel_power(emphasised * self._window)])

    def _whole(self, n: int) -> np.ndarray:
        """Power of the next `n` frames."""
        x = self._waiting.samples[: (n - 1) * HOP + _WINDOW].astype(np.float64)
        self._waiting.pop(n * HOP)
        before = x[_LAST_BEFORE::HOP][:n].copy()
        if not self._begun:
            before[0], self._begun = 0.0, True
        emphasised = x.copy()
        emphasised[1:] -= _PRE_EMPHASIS * x[:-1]
        frames = sliding_window_view(emphasised, _WINDOW)[::HOP] * self._window  # [n, 400]
        frames[:, 0] = (x[: n * HOP : HOP] - _PRE_EMPHASIS * before) * self._window[0]
        return _mel_power(frames)

    def _logarithm(self, power: list[np.ndarray]) -> np.ndarray:
        joined = np.concatenate(power) if power else np.empty((0, N_MELS))
        return np.log(np.maximum(joined, _POWER_FLOOR, out=joined), out=joined)  # [n, 64]


def _voiced_mask(samples: np.ndarray) -> np.ndarray:
    detector = _Detector()
    return np.concatenate([detector.push(samples), detector.finish()])


def _log_mel(samples: np.ndarray) -> np.ndarray:
    spectrum = _LogMel()
    return np.concatenate([spectrum.push(samples), spectrum.finish()])  # [n_frames, 64]


def _mel_power(frames: np.ndarray) -> np.ndarray:
    spectrum = scipy.fft.rfft(frames, _N_FFT)  # [n, 513]
    power = spectrum.real**2
    power += spectrum.imag**2
    return np.hstack([power[:, bins] @ weights for bins, weights in _mel_groups()])  # [n, 64]


@functools.cache
def _mel_groups() -> list[tuple[slice, np.ndarray]]:
    """Cut the filters into groups of neighbours with the bins they use: most of the matrix is zero."""
    groups = []
    for group in np.split(mel_filters(), N_MELS // _FILTERS_A_GROUP, axis=1):
        used = np.flatnonzero(group.any(axis=1))
        bins = slice(used[0], used[-1] + 1)
        groups.append((bins, np.ascontiguousarray(group[bins])))
    return groups


def _to_int16(wave: np.ndarray, *, name: str | Path) -> np.ndarray:
    """Check a wave and put it on the int16 scale, on which detector and features are defined."""
    (samples,) = _checked([wave], name=name)
    if samples.size < _WINDOW:
        raise _too_short(name, samples.size)
    return samples


def _checked(blocks: Iterable[np.ndarray], *, name: str | Path) -> Iterator[np.ndarray]:
    for wave in blocks:
        if not isinstance(wave, np.ndarray) or wave.dtype not in (np.float32, np.float64) or wave.ndim != 1:
            remedy = "Pass what sound_files.read returns; divide 16-bit integers by 32768.0, average channels."
            raise AudioError(name, f"is {kind(wave)}, expected float32 [n_samples]", remedy=remedy, reason="wrong_type")
        if not wave.size:
            raise AudioError(name, "has 0 samples", remedy="Leave it out or record it again.", reason="empty")
        peak = max(wave.max(), -wave.min())  # NaN where any sample is
        if not math.isfinite(peak):
            raise not_finite(name, wave)
        if peak > 1:
            problem = f"peaks at {peak:g}, outside [-1, 1]"
            raise AudioError(name, problem, remedy="Scale or clip it first.", reason="range")
        scaled = np.rint(wave * _INT16_SCALE)
        yield np.minimum(scaled, _INT16_SCALE - 1, out=scaled).astype(np.int16)


def _too_short(name: str | Path, size: int) -> AudioError:
    problem = f"has {size} samples, fewer than one window of 25 ms ({_WINDOW} samples)"
    return AudioError(name, problem, remedy="Record at least a second of speech.", reason="too_short")


def _silent(name: str | Path) -> AudioError:
    remedy = "Check that it holds speech, loud enough, or leave it out."
    return AudioError(name, "is silent: none of its 20 ms frames is voiced", remedy=remedy, reason="silent")


def not_finite(name: str | Path, samples: np.ndarray) -> AudioError:
    """Error about samples or frames some of which are NaN or infinite."""
    n_bad = np.count_nonzero(~np.isfinite(samples))
    return AudioError(name, f"has {n_bad} samples that are NaN or infinite", remedy="Export it again.", reason="nan")


def kind(value: object) -> str:
    """Type and shape of an array, or the type of another value, for an error."""
    return f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__


def _check_frames(frames: np.ndarray) -> None:
    fits = isinstance(frames, np.ndarray) and frames.dtype.kind == "f" and frames.ndim == 2
    if not fits or not frames.shape[0]:
        problem = f"is {kind(frames)}, expected float32 [n_frames, {N_MELS}] with at least one frame"
        remedy = "Pass what s2f.features.front_end.log_mel returns."
        raise AudioError("log-mel", problem, remedy=remedy, reason="wrong_type")
    if not np.isfinite(frames).all():
        raise not_finite("log-mel", frames)
