"""The packaged speaker encoder with its own front end: a wave to mel frames to partial embeddings.

GE2E (Wan et al. 2018), trained on thousands of speakers, for corpora too small to train an encoder. Only the
weights come from the package, whose code is never imported; its front end, which the weights depend on, is
written here: volume raised to -30 dBFS, silences cut, mel power, windows of 1.6 s that overlap by half.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import scipy.ndimage
import scipy.signal
import webrtcvad
from numpy.lib.stride_tricks import sliding_window_view

from s2f.errors import AudioError
from s2f.features import front_end

N_MELS = 40
N_FRAMES = 160  # of a partial, 1.6 s
STEP = 77  # frames between partials, about 1.3 a second
PER_S = 100 / STEP  # partials a second
COVERAGE = 0.75  # share of the last partial that must be sound; otherwise it is left out

_LEVEL_DBFS = -30.0
_WINDOW = 400  # samples, 25 ms; also the length of the transform
_HOP = 160  # samples, 10 ms
_VAD_MODE = 3
_VAD_FRAME = 480  # samples, 30 ms
_SMOOTHED = 8  # frames of the running mean over the detector's answers
_JOINED = 7  # frames; voiced stretches grow by three on both sides


def prepared(wave: np.ndarray, *, name: str | Path = "wave") -> np.ndarray:
    """A wave with its volume raised to -30 dBFS where it is lower, and without its silences.

    Where the detector, stricter than that of `s2f.features.front_end`, hears no voice at all, nothing is cut.

    Parameters
    ----------
    wave : float32 [n_samples], 16 kHz, in [-1, 1]

    Raises
    ------
    AudioError: not finite, shorter than 30 ms, or all zero
    """
    wave = np.asarray(wave, np.float32)
    if not np.isfinite(wave).all():
        raise AudioError(name, "has samples that are not numbers", remedy="Give another recording.", reason="nan")
    if len(wave) < _VAD_FRAME:
        raise AudioError(name, f"has {len(wave)} samples", remedy="Give at least a second of voice.", reason="short")
    level = np.sqrt(np.mean(np.square(wave, dtype=np.float64)))
    if level == 0:
        raise AudioError(name, "is silent", remedy="Give a recording of a voice.", reason="silent")
    wave = wave * np.float32(max(1.0, 10 ** (_LEVEL_DBFS / 20) / level))
    wave = wave[: len(wave) // _VAD_FRAME * _VAD_FRAME]
    samples = np.clip(np.round(wave * 32767), -32768, 32767).astype("<i2")
    detector = webrtcvad.Vad(_VAD_MODE)
    frames = samples.reshape(-1, _VAD_FRAME)  # [n, 480]
    heard = np.array([detector.is_speech(frame.tobytes(), front_end.SAMPLE_RATE) for frame in frames])
    padded = np.pad(heard.astype(int), ((_SMOOTHED - 1) // 2, _SMOOTHED // 2))
    voiced = sliding_window_view(padded, _SMOOTHED).sum(1) > _SMOOTHED / 2  # [n]
    voiced = scipy.ndimage.binary_dilation(voiced, np.ones(_JOINED))
    return wave[np.repeat(voiced, _VAD_FRAME)] if voiced.any() else wave


def mel(wave: np.ndarray) -> np.ndarray:
    """Mel power, no logarithm: float32 [1 + n_samples // 160, 40], frames centred on multiples of 10 ms."""
    padded = np.pad(wave, _WINDOW // 2)
    frames = sliding_window_view(padded, _WINDOW)[::_HOP]  # [T, 400]
    power = np.abs(np.fft.rfft(frames * scipy.signal.get_window("hann", _WINDOW))) ** 2  # [T, 201]
    return (power @ filters()).astype(np.float32)  # [T, 40]


@functools.cache
def filters() -> np.ndarray:
    """Triangles of equal area on the scale of Slaney's Auditory Toolbox (1998): float64 [201, 40], 0 to 8000 Hz.

    The scale is linear up to 1000 Hz, 200/3 Hz a mel, and logarithmic above, 27 mels for a factor of 6.4.
    """
    top = 15 + 27 * np.log(8000 / 1000) / np.log(6.4)
    mels = np.linspace(0, top, N_MELS + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(np.log(6.4) / 27 * (mels - 15)))  # Hz
    hz = np.linspace(0, front_end.SAMPLE_RATE / 2, _WINDOW // 2 + 1)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle)).clip(min=0)
    return triangles * 2 / (high - low)


def starts(n_samples: int) -> np.ndarray:
    """First frames of the partials of a prepared wave, at least one."""
    n_frames = -(-(n_samples + 1) // _HOP)
    first = np.arange(0, max(1, n_frames - N_FRAMES + STEP + 1), STEP)
    if len(first) > 1 and (n_samples - first[-1] * _HOP) / (N_FRAMES * _HOP) < COVERAGE:
        first = first[:-1]
    return first


def partials(wave: np.ndarray, *, name: str | Path = "wave") -> np.ndarray:
    """What the encoder reads of a wave float32 [n_samples] at 16 kHz: mel power float32 [n_partials, 160, 40].

    The end of the last one, and a recording shorter than one, is filled up with zeros.

    Raises
    ------
    AudioError: see `prepared`
    """
    return windows(prepared(wave, name=name))


def windows(wave: np.ndarray) -> np.ndarray:
    """`partials` of a wave, or a part of one, that is `prepared`."""
    first = starts(len(wave))
    missing = (int(first[-1]) + N_FRAMES) * _HOP - len(wave)
    frames = mel(np.pad(wave, (0, max(0, missing))))  # [T, 40]
    return np.stack([frames[at : at + N_FRAMES] for at in first])
