"""Speed of the audio front end against the least it could cost: the same detector calls and the same FFTs.

Prints a table over synthetic recordings: python benchmarks/front_end.py [--recordings 40] [--rounds 15]
And what resampling to 16 kHz costs and changes, with the filter that is used and with torchaudio's default.
One thread is enough: nothing in the front end uses more.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.fft
import soundfile
import torch
import webrtcvad

from s2f.corpora.synthetic.population import sample
from s2f.corpora.synthetic.voices import synthesise
from s2f.features import front_end, sound_files

LIMIT = 2.2  # features may take this many times the bare cost


def detector_only(frames: list[bytes]) -> None:
    is_speech = webrtcvad.Vad(2).is_speech
    for frame in frames:  # twice: nearly every frame is asked about while it is newer and while it is older
        is_speech(frame, front_end.SAMPLE_RATE)
        is_speech(frame, front_end.SAMPLE_RATE)


def fft_only(windows: np.ndarray, *, block: int = 128) -> None:
    for a in range(0, len(windows), block):
        scipy.fft.rfft(windows[a : a + block], 1_024)


def seconds(task: Callable[[], object]) -> float:
    start = time.process_time()  # of the processor: what else the machine does counts less
    task()
    return time.process_time() - start


def resampling() -> None:
    """Print what two filters do to noise of all frequencies below 8 kHz and to a tone above them."""
    from torchaudio.functional import resample

    spectrum = np.zeros(80_001, complex)  # 10 s
    rng = np.random.default_rng(0)
    spectrum[1:74_000] = rng.normal(size=73_999) + 1j * rng.normal(size=73_999)  # to 7.4 kHz
    exact, scale = np.fft.irfft(spectrum, 160_000), 0.3 / np.abs(np.fft.irfft(spectrum, 160_000)).max()
    expected = front_end.log_mel((scale * exact).astype(np.float32))[10:-10].mean(axis=0)
    print(f"\n{'':34}{'log-mel of bins 61, 62, 63 (nats)':>36}{'8.5 kHz (dB)':>14}{'ms a minute':>13}")
    for rate in (44_100, 48_000):
        n = 10 * rate
        played = (scale * n / 160_000 * np.fft.irfft(spectrum, n)).astype(np.float32)
        tone = (0.5 * np.sin(2 * np.pi * 8_500 * np.arange(n) / rate)).astype(np.float32)
        filters: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "used": lambda wave, rate=rate: np.concatenate(list(sound_files._resampled(iter([(wave, rate)])))),
            "torchaudio's default": lambda wave, rate=rate: resample(torch.from_numpy(wave), rate, 16_000).numpy(),
        }
        for name, resampled in filters.items():
            off = front_end.log_mel(resampled(played))[10:-10].mean(axis=0) - expected
            through = 20 * np.log10(np.std(resampled(tone)[200:-200]) / np.std(tone))
            cost = statistics.median(seconds(functools.partial(resampled, played)) for _ in range(7))
            bins = "  ".join(f"{value:+.3f}" for value in off[61:])
            print(f"{rate / 1000:g} kHz, {name:24}{bins:>36}{through:>14.1f}{6_000 * cost:>13.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()

    people = sample(options.recordings, seed=0).to_dict("records")
    rng = np.random.default_rng(0)
    waves = [synthesise(person, duration_s=float(rng.uniform(4, 12)), rng=rng, channel_rng=rng) for person in people]
    recorded_s = sum(wave.size for wave in waves) / front_end.SAMPLE_RATE
    voiced = [front_end.voiced(wave) for wave in waves]
    voiced_s = sum(wave.size for wave in voiced) / front_end.SAMPLE_RATE
    print(f"{len(waves)} recordings, {recorded_s:.0f} s, {100 * voiced_s / recorded_s:.0f} % voiced")

    frames = []
    for wave in waves:
        raw = np.rint(wave * 32_767).astype(np.int16).tobytes()
        frames.append([raw[at : at + 640] for at in range(0, len(raw) - 640, 640)])
    windows = [rng.standard_normal((1 + wave.size // 160, 400)) for wave in voiced]

    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.wav" for i in range(len(waves))]
        for path, wave in zip(paths, waves, strict=True):
            soundfile.write(path, wave, front_end.SAMPLE_RATE)
        tasks: dict[str, Callable[[], object]] = {
            "detector calls alone": lambda: [detector_only(f) for f in frames],
            "FFTs alone": lambda: [fft_only(w) for w in windows],
            "voiced_mask": lambda: [front_end.voiced_mask(w) for w in waves],
            "log_mel of what is voiced": lambda: [front_end.log_mel(w) for w in voiced],
            "features": lambda: [front_end.features(w) for w in waves],
            "read (wav, 16 kHz)": lambda: [sound_files.read(p) for p in paths],
        }
        for task in tasks.values():
            task()  # caches and page tables, once
        # Round by round, so that what else the machine does falls on all alike.
        rounds = [{name: seconds(task) for name, task in tasks.items()} for _ in range(options.rounds)]

    print(f"\n{'':26}{'ms a recording':>24}{'times real time':>18}")
    print(f"{'':26}{'median  (range)':>24}{'median':>18}")
    for name in tasks:
        each = [1_000 * r[name] / len(waves) for r in rounds]
        median = statistics.median(each)
        spread = f"{median:.2f}  ({min(each):.2f}–{max(each):.2f})"
        print(f"{name:26}{spread:>24}{1_000 * recorded_s / len(waves) / median:>18,.0f}")

    ratios = [r["features"] / (r["detector calls alone"] + r["FFTs alone"]) for r in rounds]
    median = statistics.median(ratios)
    verdict = "within" if median <= LIMIT else "ABOVE"
    print(
        f"\nfeatures / (detector calls + FFTs): {median:.2f} ({min(ratios):.2f}–{max(ratios):.2f}), "
        f"{verdict} the limit of {LIMIT}"
    )

    resampling()


if __name__ == "__main__":
    main()
