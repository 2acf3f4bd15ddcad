"""The front end of the packaged speaker encoder."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from s2f.errors import AudioError
from s2f.features import ge2e_front_end


def voice(seconds: float, *, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(int(16000 * seconds)) / 16000
    buzz = sum(np.sin(2 * np.pi * 120 * k * t + rng.uniform(0, 6)) / k for k in range(1, 25))
    return (0.05 * buzz * (1 + 0.5 * np.sin(2 * np.pi * 4 * t)) + 0.001 * rng.normal(size=t.size)).astype(np.float32)


def test_mel_power_equals_torchaudio():
    wave = voice(2.0)
    reference = torchaudio.transforms.MelSpectrogram(
        16000, n_fft=400, hop_length=160, n_mels=40, norm="slaney", mel_scale="slaney", pad_mode="constant"
    )(torch.from_numpy(wave).double().float())
    assert ge2e_front_end.mel(wave).shape == (1 + len(wave) // 160, 40)
    np.testing.assert_allclose(ge2e_front_end.mel(wave), reference.T.numpy(), rtol=2e-3, atol=1e-5)


def test_partials_start_every_77_frames_and_a_mostly_empty_last_one_is_left_out():
    assert ge2e_front_end.starts(8000).tolist() == [0]
    assert ge2e_front_end.starts(int(1.6 * 16000)).tolist() == [0]  # the second would be half empty
    assert ge2e_front_end.starts((77 + 121) * 160).tolist() == [0, 77]  # 121 of 160 frames are sound
    assert ge2e_front_end.starts((77 + 119) * 160).tolist() == [0]
    assert np.diff(ge2e_front_end.starts(160000)).tolist() == [77] * (len(ge2e_front_end.starts(160000)) - 1)


def test_volume_is_raised_and_silence_is_cut():
    quiet = ge2e_front_end.prepared(voice(3.0) * 0.01)
    assert np.sqrt(np.mean(quiet**2)) == pytest.approx(10 ** (-30 / 20), rel=0.1)
    loud = voice(3.0)
    assert np.isin(ge2e_front_end.prepared(loud), loud).all()  # never lowered
    paused = np.concatenate([voice(2.0), np.zeros(32000, np.float32), voice(2.0)])
    assert 3.5 < len(ge2e_front_end.prepared(paused)) / 16000 < 5.0


def bits(text):
    return np.array([letter == "1" for letter in text])


@pytest.mark.parametrize(
    ("heard", "kept"),
    [
        ("0000000000", "1111111111"),  # nothing heard: all is kept
        ("0000000001000000000", "1111111111111111111"),
        ("00000000111100000000", "1" * 20),  # four of eight are not more than half
        ("000000000011111000000000000", "000000011111111110000000000"),
        ("1111100000000000000", "1111111000000000000"),
    ],
)
def test_what_is_heard_is_smoothed_over_eight_frames_and_grows_by_three(heard, kept):
    found = "".join(map(str, ge2e_front_end._voiced(bits(heard)).astype(int)))
    mean = [bits(heard)[max(0, i - 3) : i + 5].sum() > 4 for i in range(len(heard))]
    grown = [any(mean[max(0, i - 3) : i + 4]) for i in range(len(heard))]
    expected = "".join(str(int(keep)) for keep in grown) if any(mean) else "1" * len(heard)
    assert found == expected == kept


def test_the_detector_is_the_strictest(monkeypatch):
    asked = []

    class Detector:
        def __init__(self, mode):
            asked.append(mode)

        def is_speech(self, frame, rate):
            asked.append((len(frame), rate))
            return True

    monkeypatch.setattr(ge2e_front_end.webrtcvad, "Vad", Detector)
    ge2e_front_end.prepared(voice(0.1))
    assert asked == [3, *[(960, 16_000)] * 3]  # 30 ms of 16 bits


@pytest.mark.parametrize(
    ("wave", "reason"), [(np.zeros(16000), "silent"), (np.ones(100), "short"), (np.full(16000, np.nan), "nan")]
)
def test_what_is_no_voice_is_refused(wave, reason):
    with pytest.raises(AudioError) as error:
        ge2e_front_end.partials(wave)
    assert error.value.reason == reason


def paused(seconds):
    """Voice and silence by turns."""
    wave = voice(seconds) * np.repeat(np.random.default_rng(1).random(int(seconds)) > 0.3, 16_000)
    return wave.astype(np.float32)


@pytest.mark.parametrize("extra", [0, 1, 479, 5_000])
def test_a_long_recording_is_read_in_blocks_and_gives_the_same(monkeypatch, tmp_path, extra):
    wave = np.concatenate([paused(40), voice(3)[:extra]])
    whole = ge2e_front_end.partials(wave)
    monkeypatch.setattr(ge2e_front_end, "_WHOLE", 16_000)
    monkeypatch.setattr(ge2e_front_end, "_BLOCK", 7_001)
    found = ge2e_front_end.partials(wave)
    assert found.shape == whole.shape and len(whole) > 20
    np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-9)
    soundfile.write(tmp_path / "a.wav", wave, 16_000, subtype="FLOAT")
    np.testing.assert_allclose(ge2e_front_end.partials(tmp_path / "a.wav"), whole, rtol=1e-4, atol=1e-9)


def test_nothing_is_cut_from_a_long_recording_without_speech(monkeypatch):
    wave = (0.001 * np.random.default_rng(0).normal(size=160_000)).astype(np.float32)
    wave[::800] = 0.9  # ticks, of which the detector makes nothing
    whole = ge2e_front_end.partials(wave)
    monkeypatch.setattr(ge2e_front_end, "_WHOLE", 16_000)
    np.testing.assert_allclose(ge2e_front_end.partials(wave), whole, rtol=1e-4, atol=1e-9)


def test_what_is_no_voice_is_refused_however_long_it_is(monkeypatch, tmp_path):
    monkeypatch.setattr(ge2e_front_end, "_WHOLE", 16_000)
    for wave, reason in ((np.zeros(48_000), "silent"), (np.append(np.zeros(48_000), np.nan), "nan")):
        with pytest.raises(AudioError) as error:
            ge2e_front_end.partials(wave, name="its name")
        assert error.value.reason == reason and error.value.subject == "its name"


def test_hours_need_little_memory(tmp_path):
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(tmp_path / "a.wav", "w", 16_000, 1) as file:
        for _ in range(12 * 6):
            file.write(0.1 * rng.normal(size=160_000))
    tracemalloc.start()
    found = ge2e_front_end.partials(tmp_path / "a.wav")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) > 900 and peak < 60e6  # 46 MB of samples, 12 MB of frames; 330 MB before they came in blocks
