"""What is not speech is said: noise, hum, tones, music and beats against real and synthetic voices."""

import numpy as np
import pytest
import soundfile

from s2f.features import front_end, listening, sound_files, speech
from tests.features.making import REAL, needs_real, vowel

RATE = 16_000
T = np.arange(8 * RATE) / RATE


def level(wave, dbfs):
    return (wave / np.sqrt(np.mean(wave**2)) * 10 ** (dbfs / 20)).clip(-1, 1).astype(np.float32)


def noise(slope):
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(size=T.size))
    return np.fft.irfft(spectrum / np.maximum(1, np.arange(spectrum.size)) ** (slope / 2), T.size)


def organ(hz_of_chord, *, seconds):
    out = np.zeros(T.size)
    for at in range(0, T.size, int(seconds * RATE)):
        t = np.arange(min(int(seconds * RATE), T.size - at)) / RATE
        edges = np.minimum(1, np.minimum(t, t[-1] - t) / 0.02)
        for ratio in (1, 1.26, 1.5):
            for k in range(1, 7):
                hz = hz_of_chord(at // int(seconds * RATE)) * ratio * k
                out[at : at + t.size] += edges * np.sin(2 * np.pi * hz * t + k) / k
    return out


def beats():
    rng, out = np.random.default_rng(0), np.zeros(T.size)
    t = np.arange(RATE // 4) / RATE
    kick = np.sin(2 * np.pi * (50 + 80 * np.exp(-30 * t)) * t) * np.exp(-15 * t)
    for i, at in enumerate(range(0, T.size - RATE // 4, 3_000)):
        out[at : at + t.size] += kick if i % 4 == 0 else 0.6 * rng.normal(size=t.size) * np.exp(-22 * t) * (i % 4 == 2)
        out[at : at + t.size] += 0.25 * np.diff(rng.normal(size=t.size + 1)) * np.exp(-60 * t)
    return out + 1e-4 * rng.normal(size=T.size)


RNG = np.random.default_rng(1)
HUM = sum(np.sin(2 * np.pi * 60 * k * T) / k for k in range(1, 9)) + 0.01 * RNG.normal(size=T.size)
SOUNDS = {
    "white noise": (noise(0), -20, "noise or hum"),
    "white noise in bursts": (noise(0) * (1 + 0.95 * np.sin(2 * np.pi * 4 * T)), -20, "noise or hum"),
    "pink noise": (noise(1), -20, "noise or hum"),
    "hum": (HUM, -20, "hum|tones"),
    "tone": (np.sin(2 * np.pi * 1_000 * T) + 1e-3 * RNG.normal(size=T.size), -20, "tones or music"),
    "150 Hz sawtooth": ((150 * T) % 1 - 0.5, -20, "tones or music"),
    "chord": (organ(lambda i: 160, seconds=8), -20, "hum|tones"),
    "chords": (organ(lambda i: 130 * 2 ** ((0, 5, 7, 3)[i % 4] / 12), seconds=0.5), -20, "hum|tones"),
    "beats": (beats(), -20, "beats or clicks"),
}


@pytest.mark.parametrize("kind", SOUNDS)
def test_what_is_no_speech_is_said(tmp_path, kind):
    wave, dbfs, said = SOUNDS[kind]
    soundfile.write(tmp_path / "a.wav", level(wave, dbfs), RATE, subtype="FLOAT")
    heard = listening.listen(tmp_path / "a.wav")
    assert heard.voice_s > 1  # to the detector it is voice
    assert any(word in " ".join(heard.remarks) for word in said.split("|")), heard.remarks
    assert len(heard.remarks) == 1 and heard.remarks[0].endswith(", not like speech")


def real_voices():
    return sorted((REAL / "voxceleb1" / "wav").rglob("*.wav"))[::8]


@needs_real
@pytest.mark.parametrize("changed", ["as it is", "2 s", "noise at 10 dB", "telephone", "quiet"])
def test_real_speech_is_never_called_otherwise(changed):
    from scipy.signal import butter, sosfilt

    rng = np.random.default_rng(0)
    for path in real_voices():
        wave = sound_files.read(path)
        match changed:
            case "2 s":
                wave = wave[: 2 * RATE]
            case "noise at 10 dB":
                wave = wave + np.sqrt(np.mean(wave**2) / 10) * rng.normal(size=wave.size).astype(np.float32)
            case "telephone":
                wave = sosfilt(butter(4, (300, 3_400), "band", fs=RATE, output="sos"), wave).astype(np.float32)
            case "quiet":
                wave = 0.1 * wave
        frames, _ = front_end.voiced_log_mel([wave.clip(-1, 1)])
        assert speech.unlike(frames) is None, (path.name, speech.change(frames))


def test_too_little_tells_nothing():
    frames = front_end.log_mel(level(noise(0), -20))
    assert speech.unlike(frames[: speech.N_FRAMES_MIN - 1]) is None
    assert speech.unlike(frames[: 2 * speech.N_FRAMES_MIN]) == "sounds like noise or hum, not like speech"


def test_a_long_recording_is_looked_at_in_places(monkeypatch):
    rng = np.random.default_rng(0)
    frames = front_end.log_mel(level(noise(0), -20))
    monkeypatch.setattr(speech, "_PIECE", 150)
    monkeypatch.setattr(speech, "_N_PIECES", 3)
    looked = speech.change(frames)
    assert looked.syllables == pytest.approx(0, abs=0.02)
    frames[150:300] = rng.normal(size=(150, 64))  # between the places
    assert speech.change(frames) == looked


def test_a_vowel_alone_is_not_speech_and_level_changes_nothing():
    wave = vowel(4.0, pitch_hz=150, rng=np.random.default_rng(0)).astype(np.float32)
    loud, quiet = (speech.change(front_end.log_mel(level(wave, dbfs))) for dbfs in (-20, -26))
    assert loud.tones == pytest.approx(quiet.tones, abs=0.02)
    assert speech.unlike(front_end.log_mel(level(wave, -20))) is not None
