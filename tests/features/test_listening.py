"""How much voice a recording holds decides whether it is taken, and is said."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from s2f.errors import AudioError
from s2f.features import front_end, listening, pack, sound_files
from s2f.features.pack import Settings
from tests.features.making import REAL, needs_real, vowel

RATE = 16_000


def speech(seconds, *, silence_s=0.0):
    wave = vowel(seconds, pitch_hz=120, rng=np.random.default_rng(0))
    return np.pad(wave, (0, int(silence_s * RATE))).astype(np.float32)


def test_what_is_heard_is_what_the_front_end_gives(tmp_path, wave):
    soundfile.write(tmp_path / "a.wav", wave, RATE, subtype="FLOAT")
    heard = listening.listen(tmp_path / "a.wav")
    assert np.array_equal(front_end.repeat(heard.log_mel), front_end.features(wave))
    mask = front_end.voiced_mask(wave)
    assert heard.voice_s == pytest.approx(0.02 * mask.sum()) and heard.total_s == wave.size / RATE
    assert np.array_equal(listening.listen(wave).log_mel, heard.log_mel)
    rounded = listening.listen(wave, rounded=True).log_mel
    assert np.array_equal(rounded, front_end.normalise(front_end.log_mel(front_end.voiced(wave))))
    assert str(heard) == f"{heard.voice_s:.1f} s of voice in {heard.total_s:.1f} s"


@pytest.mark.parametrize("rounded", [False, True])
def test_how_a_wave_is_cut_into_blocks_changes_nothing(wave, rounded):
    whole, mask = front_end.voiced_log_mel([wave], rounded=rounded)
    rng = np.random.default_rng(0)
    for n in (2, 5, 40):
        cuts = np.sort(rng.integers(1, wave.size, n))
        blocks = [block for block in np.split(wave, cuts) if block.size]
        frames, again = front_end.voiced_log_mel(blocks, rounded=rounded)
        assert np.array_equal(frames, whole) and np.array_equal(again, mask)


def test_long_recordings_are_kept_in_half_the_memory(monkeypatch, wave):
    whole, _ = front_end.voiced_log_mel([wave])
    monkeypatch.setattr(front_end, "_LONG_FRAMES", 100)
    frames, _ = front_end.voiced_log_mel([wave])
    assert frames.dtype == np.float32 and np.array_equal(frames, whole.astype(np.float32))
    before = frames.copy()
    assert front_end.normalise(frames, in_place=True) is frames
    assert np.array_equal(frames, front_end.normalise(before))


@pytest.mark.parametrize("n", [1, 999, 3_001])
def test_normalising_in_pieces_is_normalising(monkeypatch, n):
    values = np.random.default_rng(0).normal(3, 2, (n, 64))
    expected = (values - values.mean(axis=0)) / (values.std(axis=0) + np.finfo(np.float32).eps)
    whole = front_end.normalise(values)
    np.testing.assert_allclose(whole, expected, atol=1e-6)
    monkeypatch.setattr(front_end, "_NORMALISED_A_BLOCK", 100)
    assert np.array_equal(front_end.normalise(values), whole)


def hardly_any():
    wave = np.zeros(10 * RATE, np.float32)
    wave[80_000:80_400] = np.random.default_rng(0).normal(0, 0.2, 400).clip(-1, 1)
    return wave


@pytest.mark.parametrize("wave", [hardly_any(), speech(0.3), speech(0.3, silence_s=5)])
def test_less_voice_than_is_asked_for_is_refused_with_what_was_heard(tmp_path, wave):
    path = tmp_path / "a.wav"
    soundfile.write(path, wave, RATE, subtype="FLOAT")
    voice_s = 0.02 * front_end.voiced_mask(wave).sum()
    assert 0 < voice_s < 0.5
    with pytest.raises(AudioError, match=rf"holds {voice_s:.2f} s of voice, and at least 0\.5 s are needed") as caught:
        listening.listen(path)
    assert caught.value.reason == "little_voice" and str(caught.value).startswith(str(path))
    with pytest.raises(AudioError) as caught:
        pack.recording(str(path), Settings())
    assert caught.value.reason == "little_voice"
    assert listening.listen(path, min_voice_s=voice_s - 0.01).voice_s == pytest.approx(voice_s)
    assert pack.recording(str(path), Settings(min_voice_s=0.0)).voice_s == pytest.approx(voice_s)


def test_processed_frames_are_judged_by_their_number(tmp_path, frames):
    np.save(tmp_path / "a.npy", frames[:49])
    with pytest.raises(AudioError, match=r"0\.49 s of voice") as caught:
        listening.listen(tmp_path / "a.npy")
    assert caught.value.reason == "little_voice"
    np.save(tmp_path / "a.npy", frames)
    heard = listening.listen(tmp_path / "a.npy")
    assert heard.voice_s == pytest.approx(len(frames) / 100) and str(heard) == f"{heard.voice_s:.1f} s of voice"


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_a_least_voice_that_is_no_length_is_refused(wave, wrong):
    with pytest.raises(AudioError, match="min_voice_s"):
        listening.listen(wave, min_voice_s=wrong)


def test_what_reading_says_is_handed_on(tmp_path):
    path = tmp_path / "a.wav"
    wave = speech(2.0)
    soundfile.write(path, np.stack([wave, -wave], axis=1), RATE, subtype="FLOAT")
    path.write_bytes(2 * path.read_bytes())
    heard = listening.listen(path)
    assert heard.total_s == 4
    assert heard.remarks[0].startswith("2 recordings stand in it") and "cancel one another" in heard.remarks[1]


@needs_real
def test_real_recordings_are_taken_without_remarks():
    paths = sorted((REAL / "voxceleb1" / "wav").rglob("*.wav"))[::12]
    assert len(paths) >= 20
    for path in paths:
        heard = listening.listen(path)
        assert heard.voice_s > 1 and heard.remarks == ()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp3", ".flac"])
def test_hours_need_little_memory(tmp_path, suffix):
    """A quarter of three hours, and of all that depends on them."""
    path = tmp_path / f"hours{suffix}"
    minute = speech(60.0)
    with soundfile.SoundFile(path, "w", RATE, 1) as sound:
        for _ in range(45):
            sound.write(minute)
    script = (
        "import resource, sys, numpy as np, torch, torchaudio\n"
        "from s2f.features import front_end, listening; from s2f.networks import inference\n"
        "front_end._LONG_FRAMES //= 4\n"
        "from s2f.networks.models import Architecture\n"
        "a = Architecture(0.25, 0.25, 'batch', True, 'k4')\n"
        "model = inference.Model(a.voice_embedding().eval(), a.generator().eval(), a, '')\n"
        "model.reconstruct(np.random.default_rng(0).normal(0, 0.1, 48000).clip(-1, 1))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "features, heard = model.hear(sys.argv[1]); model.face(features)\n"
        "print(heard.total_s, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True, env=os.environ
    )
    seconds, used_mb = (float(value) for value in done.stdout.split())
    assert seconds == pytest.approx(45 * 60, abs=0.2)
    assert used_mb < 270  # about 190 where blocks are read, of which 69 are frames; the wave held whole is 173 more


def test_reading_in_blocks_is_reading(tmp_path):
    soundfile.write(tmp_path / "a.mp3", speech(3.0), RATE)
    blocks = list(sound_files.blocks(tmp_path / "a.mp3"))
    assert np.array_equal(np.concatenate(blocks), sound_files.read(tmp_path / "a.mp3"))
