"""The audio front end written a second time, slowly: float64 loops straight from its description.

Run as a script it writes `front_end.npz` beside itself: a synthetic recording, which of its 20 ms frames
are voiced, and the log-mel spectrogram of the voiced part. No recording of a person is in it.
"""

import math
from pathlib import Path

import numpy as np
import webrtcvad
from scipy.signal import lfilter

PATH = Path(__file__).with_suffix(".npz")


def recording(*, seed: int = 0) -> np.ndarray:
    """Make 3.25 s of pulses through three resonances, in two bursts with pauses and noise around: int16."""
    rng = np.random.default_rng(seed)
    n = 52_000
    t = np.arange(n) / 16_000
    cycles = np.cumsum(120 + 25 * np.sin(2 * np.pi * 0.7 * t)) / 16_000
    wave = np.diff(np.floor(cycles), prepend=0.0) + 0.02 * rng.standard_normal(n)
    for centre_hz, width_hz in ((600, 90), (1_300, 110), (2_600, 170)):
        radius = math.exp(-math.pi * width_hz / 16_000)
        wave = lfilter([1.0], [1, -2 * radius * math.cos(2 * math.pi * centre_hz / 16_000), radius**2], wave)
    loud = ((t > 0.4) & (t < 1.5)) | ((t > 2.1) & (t < 2.8))
    wave *= np.convolve(loud * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)), np.ones(400) / 400, mode="same")
    wave = 0.5 * wave / np.abs(wave).max() + 0.001 * rng.standard_normal(n)
    return np.round(wave * 32_768).astype(np.int16)


def voiced_mask(samples: np.ndarray) -> np.ndarray:
    """Keep a literal ring of two frames and ask the detector about all of it at every step."""
    detector = webrtcvad.Vad(2)
    frames, at = [], 0
    while at + 320 < len(samples):
        frames.append(samples[at : at + 320])
        at += 320
    keep = [False] * len(frames)
    ring: list[int] = []
    inside = False
    for i in range(len(frames)):
        ring = [*ring, i][-2:]
        if inside:
            keep[i] = True
        answers = [detector.is_speech(frames[j].tobytes(), 16_000) for j in ring]
        n_for_change = sum(answer != inside for answer in answers)
        if n_for_change > 0.9 * 2:
            if not inside:
                for j in ring:
                    keep[j] = True
            inside = not inside
            ring = []
    return np.array(keep, dtype=bool)


def mel_filters() -> np.ndarray:
    def mel(hz):
        return 2595 * math.log10(1 + hz / 700)

    def hz(mel):
        return 700 * (10 ** (mel / 2595) - 1)

    step = (mel(7_200) - mel(20)) / 65
    edges = [round(hz(mel(20) + i * step) / (16_000 / 1_024)) for i in range(66)]
    filters = np.zeros((513, 64))
    for i in range(64):
        left, centre, right = edges[i : i + 3]
        height = 2 / ((right - left) * 16_000 / 1_024)
        for k in range(left + 1, centre):
            filters[k, i] = height * (k - left) / (centre - left)
        filters[centre, i] = height
        for k in range(centre + 1, right):
            filters[k, i] = height * (right - k) / (right - centre)
    return filters


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Frame by frame on the int16 scale, float64, with a discrete Fourier transform as a matrix."""
    window = [0.54 - 0.46 * math.cos(2 * math.pi * i / 399) for i in range(400)]
    transform = np.exp(-2j * np.pi * np.arange(513)[:, None] * np.arange(400) / 1_024)
    filters = mel_filters()
    last = 0.0
    rows = []
    for i in range(1 + len(samples) // 160):
        own = [float(s) for s in samples[160 * i : 160 * i + 400]] or [0.0]
        frame = [own[k % len(own)] for k in range(400)]
        before = [last, *frame[:-1]]
        last = frame[-1]
        windowed = np.array([(frame[k] - 0.97 * before[k]) * window[k] for k in range(400)])
        power = np.abs(transform @ windowed) ** 2
        rows.append([math.log(max(p, 1e-5)) for p in power @ filters])
    return np.array(rows)


def normalise(log_mel: np.ndarray) -> np.ndarray:
    columns = []
    for column in log_mel.T:
        mean = math.fsum(column) / len(column)
        deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in column) / len(column))
        columns.append([(v - mean) / (deviation + 2.0**-23) for v in column])
    return np.array(columns).T


def voiced(samples: np.ndarray) -> np.ndarray:
    kept = np.flatnonzero(voiced_mask(samples))
    return np.concatenate([samples[320 * i : 320 * (i + 1)] for i in kept])


def features(samples: np.ndarray) -> np.ndarray:
    rows = normalise(log_mel(voiced(samples)))
    return np.array([rows[i % len(rows)] for i in range(max(len(rows), 1_000))])


if __name__ == "__main__":
    made = recording()
    np.savez_compressed(PATH, samples=made, mask=voiced_mask(made), log_mel=log_mel(voiced(made)).astype(np.float32))
