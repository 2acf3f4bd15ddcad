"""What is heard in a recording: its voiced frames, how many seconds of voice they are, and what to say about them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s2f.errors import AudioError
from s2f.features import front_end, sound_files, speech
from s2f.features.store import MIN_VOICE_S

_FRAME_S = front_end.HOP / front_end.SAMPLE_RATE


@dataclass(frozen=True)
class Heard:
    """What the front end keeps of a recording.

    Attributes
    ----------
    log_mel : float [n_frames, 64], of its voiced parts, one after another, normalised
    voice_s : float, seconds of voice
    total_s : float or None, seconds of the whole recording; None of processed frames, whose pauses are gone
    remarks : tuple of str, what there is to say: which track or channel was read, what was left out, no speech
    """

    log_mel: np.ndarray
    voice_s: float
    total_s: float | None
    remarks: tuple[str, ...]

    def __str__(self) -> str:
        """How much was heard, in words."""
        return f"{self.voice_s:.1f} s of voice" + ("" if self.total_s is None else f" in {self.total_s:.1f} s")


def listen(
    sound: str | Path | np.ndarray, *, min_voice_s: float = MIN_VOICE_S, rounded: bool = False, name: str = "wave"
) -> Heard:
    """Read a recording, a block at a time, and keep what the voice networks need of it.

    Parameters
    ----------
    sound : str or Path of what `sound_files.read` or, where it ends in .npy, `read_features` takes; or a wave,
        float [n_samples] in [-1, 1] at 16 kHz
    min_voice_s : float, s, the least voice that is accepted
    rounded : bool, whether log-mels are rounded to float32 before they are normalised, as a store's are
    name : str, what an error calls a wave

    Raises
    ------
    AudioError: as `sound_files.read` and `front_end.voiced`; less voice than `min_voice_s`
    """
    if not 0 <= min_voice_s < math.inf:
        raise AudioError("min_voice_s", f"is {min_voice_s}", remedy="Give seconds, 0 or more.", reason="value")
    said: list[str] = []
    if isinstance(sound, np.ndarray):
        blocks = iter([sound])
    else:
        name = str(sound)
        if Path(sound).suffix.lower() == ".npy":
            log_mel = sound_files.read_features(sound)
            return Heard(log_mel, _enough(len(log_mel) * _FRAME_S, min_voice_s, name=name), None, ())
        blocks = sound_files.blocks(sound, remarks=said)
    n_samples = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal n_samples
        for block in blocks:
            yield block
            n_samples += len(block)

    frames, mask = front_end.voiced_log_mel(counted(), name=name, rounded=rounded)
    voice_s = _enough(float(mask.sum()) * front_end.VAD_FRAME_S, min_voice_s, name=name)
    if unlike := speech.unlike(frames):
        said.append(unlike)
    log_mel = front_end.normalise(frames, in_place=frames.dtype == np.float32)
    return Heard(log_mel, voice_s, n_samples / front_end.SAMPLE_RATE, tuple(said))


def _enough(voice_s: float, min_voice_s: float, *, name: str) -> float:
    if voice_s < min_voice_s:
        problem = f"holds {voice_s:.2f} s of voice, and at least {min_voice_s:g} s are needed"
        remedy = "Record more speech, louder; a corpus may ask for less with store.min_voice_s."
        raise AudioError(name, problem, remedy=remedy, reason="little_voice")
    return voice_s
