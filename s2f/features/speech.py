"""Whether what the voice activity detector kept can be speech: three measures of how its spectrum changes.

WebRTC's detector goes by level, so noise, hum and music are voice to it. Speech changes its spectrum from one
syllable to the next, which noise and hum do not; the peaks of its spectrum glide and are blurred by noise, where those
of music stand still and sharp; and it does not jump from beat to beat. ``benchmarks/speech.py`` says how often each
limit is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

# Limits, set on 241 clips of VoxCeleb, 300 of AVSpeech, and generated sounds.
STEADY = 0.035
TONAL = 0.94
JUMPY = 1.9

N_FRAMES_MIN = 100  # a second; fewer frames tell too little
_PIECE = 6_000  # frames, a minute
_N_PIECES = 20  # that are looked at, spread over the recording
_BANDS = 8


@dataclass(frozen=True)
class Change:
    """How a spectrum changes with time; medians over frames.

    Attributes
    ----------
    syllables : float, correlation of spectra 20 ms apart less that of spectra 100 ms apart
    tones : float, correlation of the fine structure of spectra 20 ms apart
    jumps : float, nats in 30 ms, mean over eight bands
    """

    syllables: float
    tones: float
    jumps: float


def change(log_mel: np.ndarray) -> Change:
    """Measure log-mel frames, float [n_frames, 64], not normalised, at least `N_FRAMES_MIN`."""
    starts = np.arange(0, len(log_mel), _PIECE)
    starts = starts[np.unique(np.linspace(0, len(starts) - 1, min(_N_PIECES, len(starts))).astype(int))]
    near: list[np.ndarray] = []
    far, fine, jumps = [], [], []
    for start in starts:
        frames = log_mel[start : start + _PIECE].astype(np.float64)  # [T, 64]
        if len(frames) < N_FRAMES_MIN and near:
            continue
        near.append(_correlation(frames, lag=2))
        far.append(_correlation(frames, lag=10))
        fine.append(_correlation(frames - uniform_filter1d(frames, 9, axis=1, mode="constant"), lag=2))
        bands = np.log(np.exp(frames).reshape(len(frames), _BANDS, -1).mean(axis=2))  # [T, 8]
        smooth = uniform_filter1d(bands, 5, axis=0)[2:-2]
        jumps.append(np.abs(smooth[3:] - smooth[:-3]).mean(axis=1))
    middle = [float(np.median(np.concatenate(each))) for each in (near, far, fine, jumps)]
    return Change(middle[0] - middle[1], middle[2], middle[3])


def unlike(log_mel: np.ndarray) -> str | None:
    """What makes log-mel frames, float [n_frames, 64], not normalised, unlike speech, in words; None if nothing."""
    if len(log_mel) < N_FRAMES_MIN:
        return None
    found = change(log_mel)
    if found.tones > TONAL:
        return "sounds like tones or music, not like speech"
    if found.syllables < STEADY:
        return "sounds like noise or hum, not like speech"
    if found.jumps > JUMPY:
        return "sounds like beats or clicks, not like speech"
    return None


def _correlation(frames: np.ndarray, *, lag: int) -> np.ndarray:
    """Correlations over bins of frames that are `lag` apart, [n_frames - lag]."""
    centred = frames - frames.mean(axis=1, keepdims=True)
    power = (centred**2).sum(axis=1)
    return (centred[:-lag] * centred[lag:]).sum(axis=1) / np.sqrt(power[:-lag] * power[lag:] + 1e-9)
