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
from pathlib import Path

import numpy as np
import scipy.fft
import webrtcvad
from numpy.lib.stride_tricks import sliding_window_view

from s2f.errors import AudioError

SAMPLE_RATE = 16_000  # Hz
HOP = 160  # samples, 10 ms
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
    return _not_silent(frames[mask], name=name).astype(np.float32, copy=False)


def log_mel(wave: np.ndarray, *, name: str | Path = "wave") -> np.ndarray:
    """Compute the log-mel spectrogram of the whole wave, silence included, not normalised: float32 [n_frames, 64].

    On the int16 scale: 25 ms Hamming windows every 10 ms, pre-emphasis 0.97, 1024-point power spectrum,
    `mel_filters`, floor 1e-5, natural logarithm (Wen et al. 2019, public code). The frames at the end run
    past it and are filled by repeating their own samples; one that starts at the end itself is zero:
    n_frames = 1 + n_samples // 160.
    """
    return _log_mel(_to_int16(wave, name=name)).astype(np.float32)


def normalise(log_mel: np.ndarray) -> np.ndarray:
    """Bring each mel bin to mean 0 and standard deviation 1 over the recording.

    The deviation is the population's, plus float32 epsilon.

    Parameters
    ----------
    log_mel : ndarray, float [n_frames, n_bins], finite

    Returns
    -------
    ndarray, float32 [n_frames, n_bins]; a bin that never changes is 0
    """
    _check_frames(log_mel)
    x = log_mel.astype(np.float64)  # float32 means of constant bins would be off by more than the epsilon
    x -= x.mean(axis=0)
    x /= np.sqrt(np.mean(x * x, axis=0)) + np.finfo(np.float32).eps
    return x.astype(np.float32)


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
    samples = _to_int16(wave, name=name)
    mask = _voiced_mask(samples)
    frames = samples[: mask.size * _VAD_FRAME].reshape(-1, _VAD_FRAME)
    return repeat(normalise(_log_mel(_not_silent(frames[mask], name=name))))


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


def _voiced_mask(samples: np.ndarray) -> np.ndarray:
    n_frames = (samples.size - 1) // _VAD_FRAME
    mask = np.zeros(n_frames, dtype=bool)
    raw = samples.tobytes()
    n_bytes = 2 * _VAD_FRAME
    is_speech = webrtcvad.Vad(_VAD_MODE).is_speech
    inside, before = False, None  # `before` is the older frame of the ring, None where the ring holds one
    for i in range(n_frames):
        frame = raw[i * n_bytes : (i + 1) * n_bytes]
        # Older frame first, and both always asked: the detector adapts with every question.
        older = None if before is None else is_speech(before, SAMPLE_RATE)
        newer = is_speech(frame, SAMPLE_RATE)
        mask[i] = inside
        if older == newer != inside:
            mask[i - 1 : i + 1] = True
            inside, before = not inside, None
        else:
            before = frame
    return mask


def _log_mel(samples: np.ndarray) -> np.ndarray:
    n_frames = 1 + samples.size // HOP
    n_whole = 1 + (samples.size - _WINDOW) // HOP
    window = np.hamming(_WINDOW)
    # A frame's first sample is emphasised with the last sample of the frame before, 0 for the first frame:
    # from a frame's start that sample is this far on.
    last_before = _WINDOW - 1 - HOP

    out = np.empty((n_frames, N_MELS))
    for a in range(0, n_whole, _FRAMES_A_BLOCK):
        b = min(a + _FRAMES_A_BLOCK, n_whole)
        x = samples[a * HOP : (b - 1) * HOP + _WINDOW].astype(np.float64)
        before = x[last_before::HOP][: b - a].copy()
        if a == 0:
            before[0] = 0.0
        emphasised = x.copy()
        emphasised[1:] -= _PRE_EMPHASIS * x[:-1]
        frames = sliding_window_view(emphasised, _WINDOW)[::HOP] * window  # [b - a, 400]
        frames[:, 0] = (x[: (b - a) * HOP : HOP] - _PRE_EMPHASIS * before) * window[0]
        out[a:b] = _mel_power(frames)

    starts = range(n_whole * HOP, samples.size + 1, HOP)
    # np.resize repeats what there is, and gives zeros where there is nothing.
    tails = np.stack([np.resize(samples[start:], _WINDOW) for start in starts]).astype(np.float64)
    before = np.append(samples[starts[0] + last_before], tails[:-1, -1])
    emphasised = tails - _PRE_EMPHASIS * np.column_stack([before, tails[:, :-1]])
    out[n_whole:] = _mel_power(emphasised * window)
    return np.log(np.maximum(out, _POWER_FLOOR, out=out), out=out)  # [n_frames, 64]


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
    if not isinstance(wave, np.ndarray) or wave.dtype not in (np.float32, np.float64) or wave.ndim != 1:
        remedy = "Pass what sound_files.read returns; divide 16-bit integers by 32768.0, average channels."
        raise AudioError(name, f"is {kind(wave)}, expected float32 [n_samples]", remedy=remedy, reason="wrong_type")
    if not wave.size:
        raise AudioError(name, "has 0 samples", remedy="Leave it out or record it again.", reason="empty")
    peak = max(wave.max(), -wave.min())  # NaN where any sample is
    if not math.isfinite(peak):
        raise not_finite(name, wave)
    if peak > 1:
        raise AudioError(name, f"peaks at {peak:g}, outside [-1, 1]", remedy="Scale or clip it first.", reason="range")
    if wave.size < _WINDOW:
        problem = f"has {wave.size} samples, fewer than one window of 25 ms ({_WINDOW} samples)"
        raise AudioError(name, problem, remedy="Record at least a second of speech.", reason="too_short")
    scaled = np.rint(wave * _INT16_SCALE)
    return np.minimum(scaled, _INT16_SCALE - 1, out=scaled).astype(np.int16)


def _not_silent(frames: np.ndarray, *, name: str | Path) -> np.ndarray:
    if not frames.size:
        remedy = "Check that it holds speech, loud enough, or leave it out."
        raise AudioError(name, "is silent: none of its 20 ms frames is voiced", remedy=remedy, reason="silent")
    return frames.reshape(-1)


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
