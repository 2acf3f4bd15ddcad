"""How often speech is called something else, and noise, tones or music are not: python benchmarks/speech.py

Speech is the synthetic corpus's, and, where S2F_REAL names a folder of it, real: as it is, and made worse. All other
sounds are generated. Recordings that the voice activity detector leaves too little of are refused, and counted apart.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from s2f.corpora.synthetic.population import sample
from s2f.corpora.synthetic.voices import synthesise
from s2f.errors import AudioError
from s2f.features import listening, sound_files

RATE = 16_000
T = np.arange(8 * RATE) / RATE
SCALE = np.array([0, 2, 4, 5, 7, 9, 11, 12])
Sound = Callable[[np.random.Generator], np.ndarray]


def coloured(rng: np.random.Generator, slope: float) -> np.ndarray:
    """Noise whose power falls with the frequency to the power of `slope`."""
    spectrum = np.fft.rfft(rng.normal(size=T.size))
    return np.fft.irfft(spectrum / np.maximum(1, np.arange(spectrum.size)) ** (slope / 2), T.size)


def note(rng: np.random.Generator, hz: float, n: int, *, decay: float, vibrato: float) -> np.ndarray:
    t = np.arange(n) / RATE
    k = np.arange(1, 9)[:, None]
    phase = 2 * np.pi * hz * (t + vibrato / 35 * np.sin(2 * np.pi * 5.5 * t))
    partials = np.sin(k * phase + rng.uniform(0, 6, (8, 1))) * (k * hz < 7_500) / k ** rng.uniform(0.7, 1.6)
    edges = np.minimum(1, t / 0.02) * np.minimum(1, (t[-1] - t) / 0.02)
    return partials.sum(axis=0) * edges * np.exp(-decay * t)


def music(rng: np.random.Generator, *, notes_s: float, voices: int, decay: float = 0.0, vibrato: float = 0.0):
    """Random notes of a scale, one after another."""
    out, at, base = np.zeros(T.size), 0, rng.uniform(110, 330)
    while at < out.size:
        n = min(out.size - at, int(RATE / notes_s * rng.choice([0.5, 1, 2])))
        for _ in range(voices):
            out[at : at + n] += note(rng, base * 2 ** (rng.choice(SCALE) / 12), n, decay=decay, vibrato=vibrato)
        at += n
    return out


def beats(rng: np.random.Generator) -> np.ndarray:
    out, t, step = np.zeros(T.size), np.arange(RATE // 4) / RATE, int(RATE * rng.uniform(0.18, 0.38))
    kick = np.sin(2 * np.pi * (50 + 80 * np.exp(-30 * t)) * t) * np.exp(-15 * t)
    for i, at in enumerate(range(0, out.size - t.size, step)):
        snare = 0.6 * rng.normal(size=t.size) * np.exp(-22 * t)
        out[at : at + t.size] += kick * (i % 4 == 0) + snare * (i % 4 == 2)
        out[at : at + t.size] += 0.25 * np.diff(rng.normal(size=t.size + 1)) * np.exp(-60 * t)
    return out


def hum(rng: np.random.Generator) -> np.ndarray:
    hz, k = rng.choice([50, 60]), np.arange(1, 12)[:, None]
    return (rng.uniform(0.1, 1, (11, 1)) / k * np.sin(2 * np.pi * hz * k * T)).sum(axis=0) + 0.01 * rng.normal(
        size=T.size
    )


def rain(rng: np.random.Generator) -> np.ndarray:
    drops = np.zeros(T.size)
    drops[rng.integers(0, T.size, T.size // 200)] = rng.normal(size=T.size // 200)
    return lfilter([1], [1, -0.8], drops)


def siren(rng: np.random.Generator) -> np.ndarray:
    rate = rng.uniform(0.3, 3)
    return np.sin(2 * np.pi * 800 * T + 400 / rate * np.sin(2 * np.pi * rate * T))


NOT_SPEECH: dict[str, Sound] = {
    "white noise": lambda rng: rng.normal(size=T.size),
    "pink noise": lambda rng: coloured(rng, 1),
    "brown noise": lambda rng: coloured(rng, 2),
    "noise in bursts": lambda rng: coloured(rng, 1) * (1 + 0.95 * np.sin(2 * np.pi * rng.uniform(2, 8) * T)),
    "wind": lambda rng: coloured(rng, 1.5) * np.exp(np.interp(T, np.arange(9), 0.6 * rng.normal(size=9))),
    "rain": rain,
    "hum": hum,
    "tone": lambda rng: np.sin(2 * np.pi * np.exp(rng.uniform(np.log(150), np.log(4_000))) * T),
    "sawtooth": lambda rng: (rng.uniform(90, 400) * T) % 1 - 0.5,
    "beeps": lambda rng: np.sin(2 * np.pi * rng.uniform(400, 3_000) * T) * ((T * rng.uniform(1, 6)) % 1 < 0.5),
    "siren": siren,
    "organ": lambda rng: music(rng, notes_s=rng.uniform(0.5, 3), voices=3),
    "piano": lambda rng: music(rng, notes_s=rng.uniform(2, 6), voices=1, decay=rng.uniform(2, 6)),
    "strings": lambda rng: music(rng, notes_s=rng.uniform(1, 5), voices=1, vibrato=0.006),
    "drums": beats,
    "band": lambda rng: (
        beats(rng) + 0.4 * music(rng, notes_s=4, voices=1, decay=4) + 0.3 * music(rng, notes_s=1, voices=3)
    ),
}


def worse(rng: np.random.Generator, wave: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """A recording of speech as it is, short, noisy, over the telephone, in a room."""
    yield "as it is", wave
    yield "2 s of it", wave[: 2 * RATE]
    yield "noise at 10 dB", wave + np.sqrt(np.mean(wave**2) / 10) * rng.normal(size=wave.size)
    yield "telephone band", sosfilt(butter(4, (300, 3_400), "band", fs=RATE, output="sos"), wave)
    room = rng.normal(size=RATE) * np.exp(-np.arange(RATE) / RATE * 6.9 / 0.8)
    room[0] += 8
    echoing = np.convolve(wave, room)[: wave.size]
    yield "in a room (0.8 s)", 0.5 * echoing / np.abs(echoing).max()


def speech(rng: np.random.Generator, *, n: int) -> Iterator[tuple[str, np.ndarray]]:
    for person in sample(n, seed=0).to_dict("records"):
        yield "synthetic", synthesise(person, duration_s=float(rng.uniform(4, 12)), rng=rng, channel_rng=rng)
    real = Path(os.environ.get("S2F_REAL", "."))
    for name, pattern in (("VoxCeleb", "voxceleb1/wav/**/*.wav"), ("AVSpeech", "avspeech/*.flac")):
        for i, path in enumerate(sorted(real.glob(pattern))):
            wave = sound_files.read(path)
            if i % 4:
                yield f"{name}, as it is", wave
                continue
            for how, changed in worse(rng, wave):
                yield f"{name}, {how}", changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sounds", type=int, default=50, help="of each kind (default: %(default)s)")
    options = parser.parse_args()
    rng = np.random.default_rng(20261128)
    found: dict[str, Counter] = {}

    def judge(kind: str, wave: np.ndarray) -> None:
        counts = found.setdefault(kind, Counter())
        counts["n"] += 1
        try:
            heard = listening.listen(np.clip(wave, -1, 1).astype(np.float32))
        except AudioError as error:
            counts["refused"] += error.reason in ("silent", "little_voice")
            return
        counts["said"] += any(remark.endswith("not like speech") for remark in heard.remarks)

    for kind, wave in speech(rng, n=options.sounds):
        judge(f"speech: {kind}", wave)
    for kind, sound in NOT_SPEECH.items():
        for _ in range(options.sounds):
            wave = sound(rng)
            level = 10 ** (rng.uniform(-30, -14) / 20) / np.sqrt(np.mean(wave**2))
            judge(kind, level * wave + 1e-4 * rng.normal(size=wave.size))
    print("| sound | n | refused | called unlike speech | wrong |\n|---|---:|---:|---:|---:|")
    for kind, counts in found.items():
        n, said, refused = counts["n"], counts["said"], counts["refused"]
        wrong = said if kind.startswith("speech") else n - said - refused
        print(f"| {kind} | {n} | {refused} | {said} | {100 * wrong / n:.1f} % |")


if __name__ == "__main__":
    main()
