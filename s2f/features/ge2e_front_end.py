"""The packaged speaker encoder with its own front end: a wave to mel frames to partial embeddings.

GE2E (Wan et al. 2018), trained on thousands of speakers, for corpora too small to train an encoder. Only the
weights come from the package, whose code is never imported; its front end, which the weights depend on, is
written here: volume raised to -30 dBFS, silences cut, mel power, windows of 1.6 s that overlap by half.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import scipy.ndimage
import scipy.signal
import webrtcvad
from numpy.lib.stride_tricks import sliding_window_view

from s2f.errors import AudioError
from s2f.features import front_end, sound_files

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
_WHOLE = 300 * front_end.SAMPLE_RATE  # samples up to which a recording is held at once
_BLOCK = 1 << 18  # samples of a longer one that are held at a time


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
    wave = wave * _gain(np.mean(np.square(wave, dtype=np.float64)), len(wave), name=name)
    wave = wave[: len(wave) // _VAD_FRAME * _VAD_FRAME]
    voiced = _voiced(_speech(webrtcvad.Vad(_VAD_MODE), wave))  # [n]
    return wave[np.repeat(voiced, _VAD_FRAME)]


def _gain(power: float, n_samples: int, *, name: str | Path) -> np.float32:
    """What a wave of this mean square is multiplied with."""
    if not np.isfinite(power):
        raise AudioError(name, "has samples that are not numbers", remedy="Give another recording.", reason="nan")
    if n_samples < _VAD_FRAME:
        raise AudioError(name, f"has {n_samples} samples", remedy="Give at least a second of voice.", reason="short")
    if power == 0:
        raise AudioError(name, "is silent", remedy="Give a recording of a voice.", reason="silent")
    return np.float32(max(1.0, 10 ** (_LEVEL_DBFS / 20) / np.sqrt(power)))


def _speech(detector: webrtcvad.Vad, wave: np.ndarray) -> np.ndarray:
    """The detector's answer to each frame of a wave of whole frames: bool [n]."""
    samples = np.clip(np.round(wave * 32767), -32768, 32767).astype("<i2")
    frames = samples.reshape(-1, _VAD_FRAME)  # [n, 480]
    return np.array([detector.is_speech(frame.tobytes(), front_end.SAMPLE_RATE) for frame in frames], dtype=bool)


def _voiced(heard: np.ndarray) -> np.ndarray:
    """Which frames are kept, of the detector's answers: all where it heard nothing."""
    padded = np.pad(heard.astype(int), ((_SMOOTHED - 1) // 2, _SMOOTHED // 2))
    voiced = sliding_window_view(padded, _SMOOTHED).sum(1) > _SMOOTHED / 2  # [n]
    return scipy.ndimage.binary_dilation(voiced, np.ones(_JOINED)) if voiced.any() else np.ones(len(heard), bool)


def mel(wave: np.ndarray) -> np.ndarray:
    """Mel power, no logarithm: float32 [1 + n_samples // 160, 40], frames centred on multiples of 10 ms."""
    return _frames(np.pad(wave, _WINDOW // 2))


def _frames(padded: np.ndarray) -> np.ndarray:
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


def partials(sound: np.ndarray | str | Path, *, name: str | Path = "wave") -> np.ndarray:
    """What the encoder reads of a recording: mel power float32 [n_partials, 160, 40].

    The end of the last one, and a recording shorter than one, is filled up with zeros. Of more than five minutes, which
    are read three times, memory holds the frames alone, 58 MB an hour, of which the result is a view.

    Parameters
    ----------
    sound : float32 [n_samples] at 16 kHz, or a path as `sound_files.read` takes it
    name : str or Path, what errors call a wave

    Raises
    ------
    AudioError: see `prepared` and `sound_files.read`
    """
    if isinstance(sound, np.ndarray):
        blocks: Callable[[], Iterator[np.ndarray]] = functools.partial(_cut, sound)
    else:
        blocks, name = functools.partial(sound_files.blocks, sound), sound
    held, n = [], 0
    for block in blocks():
        held.append(block)
        n += len(block)
        if n > _WHOLE:
            del held
            return _partials_of_long(blocks, name=name)
    return windows(prepared(np.concatenate(held), name=name))


def windows(wave: np.ndarray) -> np.ndarray:
    """`partials` of a wave, or a part of one, that is `prepared`."""
    first = starts(len(wave))
    missing = (int(first[-1]) + N_FRAMES) * _HOP - len(wave)
    frames = mel(np.pad(wave, (0, max(0, missing))))  # [T, 40]
    return np.stack([frames[at : at + N_FRAMES] for at in first])


def _cut(wave: np.ndarray) -> Iterator[np.ndarray]:
    return (wave[at : at + _BLOCK] for at in range(0, max(1, len(wave)), _BLOCK))


def _partials_of_long(blocks: Callable[[], Iterator[np.ndarray]], *, name: str | Path) -> np.ndarray:
    """`partials` of a recording that comes in blocks, as often as it is asked for."""
    power, n = 0.0, 0
    for block in blocks():
        power += float(np.square(block, dtype=np.float64).sum())
        n += len(block)
    gain, detector = _gain(power / n, n, name=name), webrtcvad.Vad(_VAD_MODE)
    voiced = _voiced(np.concatenate([_speech(detector, wave * gain) for wave in _of_whole_frames(blocks())]))
    first = starts(int(voiced.sum()) * _VAD_FRAME)
    frames = np.empty((int(first[-1]) + N_FRAMES, N_MELS), np.float32)
    waiting, at, made = np.zeros(_WINDOW // 2, np.float32), 0, 0
    for wave in _of_whole_frames(blocks()):
        kept = voiced[at : at + len(wave) // _VAD_FRAME]
        at += len(kept)
        waiting = np.concatenate([waiting, (wave * gain)[np.repeat(kept, _VAD_FRAME)]])
        if len(waiting) >= _WINDOW:
            found = _frames(waiting)[: len(frames) - made]
            frames[made : made + len(found)] = found
            made += len(found)
            waiting = waiting[len(found) * _HOP :]
    if made < len(frames):
        rest = np.pad(waiting, (0, max(0, (len(frames) - made) * _HOP + _WINDOW - len(waiting))))
        frames[made:] = _frames(rest)[: len(frames) - made]
    windows = sliding_window_view(frames, N_FRAMES, axis=0)[::STEP][: len(first)]  # [n_partials, 40, 160]
    return windows.transpose(0, 2, 1)


def _of_whole_frames(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Blocks of other lengths, which the detector's frames divide; what is left at the end is left out."""
    waiting = np.empty(0, np.float32)
    for block in blocks:
        waiting = np.concatenate([waiting, np.asarray(block, np.float32)])
        n = len(waiting) // _VAD_FRAME * _VAD_FRAME
        yield waiting[:n]
        waiting = waiting[n:]
