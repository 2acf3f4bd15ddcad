"""The audio front end against its released features and a slow reference."""

import numpy as np
import pytest
import soundfile

from s2f.errors import AudioError
from s2f.features import front_end, sound_files
from tests.features.making import REAL, needs_real
from tests.golden import front_end as reference

# The front end against the released one, and against a second implementation


@needs_real
@pytest.mark.parametrize("name", ["Alan_Tudyk", "Bingbing_Li", "Gilles_Marini", "Moon_Bloodgood", "Woody_Harrelson"])
def test_released_features_are_reproduced(name):
    theirs = np.load(REAL / "wen2019" / f"{name}.npy")
    ours = front_end.features(sound_files.read(REAL / "wen2019" / f"{name}.wav"))
    assert ours.shape == theirs.shape
    assert ours.dtype == np.float32
    difference = np.abs(ours - theirs)
    assert difference.mean() < 1e-5
    assert difference.max() < 1e-4


@needs_real
def test_real_clips_match_the_slow_reference():
    paths = sorted((REAL / "voxceleb1" / "wav").rglob("*.wav"))[::80]
    assert len(paths) >= 3
    for path in paths:
        samples, rate = soundfile.read(path, dtype="int16")
        assert rate == 16_000
        wave = sound_files.read(path)
        assert np.array_equal(front_end.voiced_mask(wave), reference.voiced_mask(samples))
    np.testing.assert_allclose(front_end.features(wave), reference.features(samples), atol=2e-6)


def test_stored_values_of_the_synthetic_recording():
    with np.load(reference.PATH) as stored:
        samples, mask, log_mel = stored["samples"], stored["mask"], stored["log_mel"]
    wave = (samples / 32_768).astype(np.float32)
    assert 0.3 < mask.mean() < 0.8  # both kinds of frames are in it
    assert np.array_equal(front_end.voiced_mask(wave), mask)
    np.testing.assert_allclose(front_end.log_mel(front_end.voiced(wave)), log_mel, atol=1e-5)


@pytest.mark.parametrize("n", [400, 401, 479, 480, 559, 560, 639, 640, 720, 1_234, 9_600])
def test_log_mel_matches_the_slow_reference_at_every_kind_of_end(samples, n):
    ours = front_end._log_mel(samples[-n:])
    theirs = reference.log_mel(samples[-n:])
    assert ours.shape == (1 + n // 160, 64)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("n", [400, 640, 641, 32_000, 32_001, 51_999])
def test_voiced_mask_matches_the_literal_ring(seed, n):
    samples = reference.recording(seed=seed)[-n:]
    ours = front_end.voiced_mask((samples / 32_768).astype(np.float32))
    assert ours.size == (n - 1) // 320
    assert np.array_equal(ours, reference.voiced_mask(samples))


def test_features_match_the_slow_reference(samples, wave):
    np.testing.assert_allclose(front_end.features(wave), reference.features(samples), atol=2e-6)


def test_features_are_the_four_steps(wave):
    steps = front_end.repeat(front_end.normalise(front_end.log_mel(front_end.voiced(wave))))
    np.testing.assert_allclose(front_end.features(wave), steps, atol=1e-5)


def test_block_size_changes_nothing(samples, monkeypatch):
    whole = front_end._log_mel(samples)
    monkeypatch.setattr(front_end, "_FRAMES_A_BLOCK", 7)
    np.testing.assert_allclose(front_end._log_mel(samples), whole, atol=1e-12)


# The detector's habits, with a detector whose answers are known


def ask_scripted(monkeypatch, voiced_frames):
    """Run `voiced_mask` over frames of known answers; return the mask and which it asked about."""
    asked = []

    class Scripted:
        def __init__(self, mode):
            assert mode == 2

        def is_speech(self, buffer, rate):
            assert rate == 16_000
            assert len(buffer) == 640
            asked.append(int(np.frombuffer(buffer, np.int16)[0]) - 1)
            return voiced_frames[asked[-1]]

    monkeypatch.setattr(front_end.webrtcvad, "Vad", Scripted)
    n = len(voiced_frames)
    samples = np.repeat(np.arange(1, n + 2), 320)[: 320 * n + 1]  # one sample more: the last frame counts
    mask = front_end.voiced_mask((samples / 32_768).astype(np.float32))
    return mask.astype(int).tolist(), asked


def test_speech_keeps_the_ring_on_entry_and_the_frame_it_leaves_on(monkeypatch):
    answers = [False, True, False, True, True, True, False, True, False, False, False]
    mask, _ = ask_scripted(monkeypatch, answers)  # enters on the 5th, leaves on the 10th
    assert mask == [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0]


def test_every_frame_in_the_ring_is_asked_about_again(monkeypatch):
    _, asked = ask_scripted(monkeypatch, [False, True, True, True, False, False, True])
    # frame 0; 0 1; 1 2 enters and empties the ring; 3; 3 4; 4 5 leaves and empties it; 6
    assert asked == [0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 6]


def test_speech_just_ended_needs_two_new_frames_to_start_again(monkeypatch):
    mask, _ = ask_scripted(monkeypatch, [True, True, False, False, True, False, True, True])
    assert mask == [1, 1, 1, 1, 0, 0, 1, 1]


def test_a_fresh_detector_for_each_recording(wave):
    assert np.array_equal(front_end.voiced_mask(wave), front_end.voiced_mask(wave))


def test_voiced_is_the_masked_frames_unchanged(wave):
    mask = front_end.voiced_mask(wave)
    kept = front_end.voiced(wave)
    assert kept.dtype == np.float32
    assert kept.size == 320 * mask.sum()
    assert np.array_equal(kept, np.concatenate([wave[320 * i : 320 * i + 320] for i in np.flatnonzero(mask)]))


def test_pauses_are_found(wave):
    mask = front_end.voiced_mask(wave)
    seconds = (np.arange(mask.size) + 0.5) * 0.02
    assert mask[(seconds > 0.5) & (seconds < 1.4)].mean() > 0.95
    assert mask[(seconds > 1.75) & (seconds < 2.05)].mean() < 0.2


# Properties of the log-mel


def test_what_comes_later_never_changes_earlier_frames(wave):
    n = 16_000
    n_whole = 1 + (n - 400) // 160
    short, long = front_end.log_mel(wave[:n]), front_end.log_mel(wave[: 2 * n])
    np.testing.assert_allclose(short[:n_whole], long[:n_whole], atol=1e-6)
    filled_up = slice(n_whole, len(short))
    assert not np.allclose(short[filled_up], long[filled_up], atol=1e-2)
    # Entering speech marks one frame before, so that the last answer alone may still change.
    before, after = front_end.voiced_mask(wave[:n]), front_end.voiced_mask(wave)
    assert np.array_equal(before[:-1], after[: before.size - 1])


def test_mel_filters_match_a_construction_in_loops():
    np.testing.assert_allclose(front_end.mel_filters(), reference.mel_filters(), rtol=1e-12, atol=1e-15)
    assert not front_end.mel_filters().flags.writeable


def test_mel_filters_agree_with_torchaudio_up_to_rounding_of_edges():
    import torchaudio

    # A fine frequency axis: ours has edges on its own 15.6 Hz bins, torchaudio's lie between them.
    theirs = torchaudio.functional.melscale_fbanks(
        8_193, 20.0, 7_200.0, 64, 16_000, norm="slaney", mel_scale="htk"
    ).numpy()
    ours = front_end.mel_filters()
    bin_hz, fine_hz = 8_000 / 512, 8_000 / 8_192
    np.testing.assert_allclose(ours.sum(axis=0) * bin_hz, 1, rtol=1e-12)  # unit area
    np.testing.assert_allclose(theirs.sum(axis=0) * fine_hz, 1, rtol=2e-2)
    centre = (np.arange(513) * bin_hz) @ ours * bin_hz
    their_centre = (np.arange(8_193) * fine_hz) @ theirs * fine_hz
    assert np.abs(centre - their_centre).max() < bin_hz
    wide = slice(40, 64)  # where an edge moved by half a bin matters little
    peak = theirs[:, wide].max(axis=0)
    np.testing.assert_allclose(ours[:, wide].max(axis=0), peak, rtol=0.1)


def test_ten_times_the_amplitude_adds_the_logarithm_of_a_hundred():
    quiet = (np.random.default_rng(0).integers(-300, 300, 8_000) / 32_768).astype(np.float32)
    difference = front_end.log_mel(10 * quiet) - front_end.log_mel(quiet)
    np.testing.assert_allclose(difference, np.log(100), atol=1e-4)


@pytest.mark.parametrize("tone_hz", [500, 1_000, 3_000, 6_000])
def test_a_tone_lights_the_filter_it_falls_in(tone_hz):
    tone = (0.3 * np.sin(2 * np.pi * tone_hz * np.arange(16_000) / 16_000)).astype(np.float32)
    weights = front_end.mel_filters()[round(tone_hz / (16_000 / 1_024))]
    loudest = front_end.log_mel(tone)[5:-5].argmax(axis=1)
    assert np.all(weights[loudest] > 0)


def test_digital_silence_is_at_the_floor():
    out = front_end.log_mel(np.zeros(4_000, np.float32))
    assert np.array_equal(out, np.full((26, 64), np.log(1e-5), np.float32))


def test_normalise_gives_zero_mean_and_unit_deviation(wave):
    out = front_end.normalise(front_end.log_mel(wave))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(out.std(axis=0), 1, atol=1e-5)


def test_normalise_leaves_a_constant_bin_at_zero_and_its_input_alone():
    frames = np.random.default_rng(0).standard_normal((1_537, 64)).astype(np.float32)
    frames[:, 3] = -11.512925
    before = frames.copy()
    out = front_end.normalise(frames)
    assert np.abs(out[:, 3]).max() < 1e-6
    assert np.array_equal(frames, before)


@pytest.mark.parametrize("n", [1, 333, 999, 1_000, 1_001, 2_500])
def test_repeat_starts_over_until_ten_seconds(n):
    frames = np.arange(n * 64, dtype=np.float32).reshape(n, 64)
    out = front_end.repeat(frames)
    assert len(out) == max(n, 1_000)
    assert np.array_equal(out, frames[np.arange(len(out)) % n])
    assert len(front_end.repeat(frames, n_frames=n + 5)) == n + 5


def test_a_longer_recording_is_left_as_long_as_it_is(wave):
    long = np.tile(wave, 8)  # 26 s, about half of it voiced
    n_voiced = front_end.voiced(long).size
    assert n_voiced > 160_000
    assert len(front_end.features(long)) == 1 + n_voiced // 160


def test_a_view_and_float64_give_the_same(wave):
    assert np.array_equal(front_end.features(np.repeat(wave, 2)[::2]), front_end.features(wave))
    assert np.array_equal(front_end.features(wave.astype(np.float64)), front_end.features(wave))


def test_the_wave_is_not_changed(wave):
    before = wave.copy()
    front_end.features(wave)
    front_end.voiced(wave)
    front_end.log_mel(wave)
    assert np.array_equal(wave, before)


# Broken waves


ANY_WAVE = [front_end.voiced_mask, front_end.voiced, front_end.log_mel, front_end.features]


@pytest.mark.parametrize("function", ANY_WAVE)
@pytest.mark.parametrize(
    ("wave", "reason", "named"),
    [
        (np.zeros(16_000, np.int16), "wrong_type", r"int16 \[16000\]"),
        (np.zeros(16_000, np.float16), "wrong_type", "float16"),
        (np.zeros(16_000, np.complex64), "wrong_type", "complex64"),
        (np.zeros((2, 16_000), np.float32), "wrong_type", r"\[2, 16000\]"),
        (np.float32(0), "wrong_type", "float32"),
        ([0.0] * 16_000, "wrong_type", "list"),
        ("voice.wav", "wrong_type", "str"),
        (None, "wrong_type", "NoneType"),
        (np.zeros(0, np.float32), "empty", "0 samples"),
        (np.zeros(399, np.float32), "too_short", "399 samples"),
        (np.full(16_000, np.nan, np.float32), "nan", "16000 samples"),
        (np.append(np.zeros(16_000, np.float32), np.inf), "nan", "1 samples"),
        (np.append(np.zeros(16_000, np.float32), -np.inf), "nan", "1 samples"),
        (np.full(16_000, -1_000.0, np.float32), "range", "1000"),
    ],
)
def test_broken_waves_are_refused(function, wave, reason, named):
    with pytest.raises(AudioError, match=named) as caught:
        function(wave, name="take 7")
    assert caught.value.reason == reason
    assert str(caught.value).startswith("take 7")


@pytest.mark.parametrize("function", [front_end.voiced, front_end.features])
@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_silence_is_refused(function, level):
    wave = (level * np.random.default_rng(0).standard_normal(48_000)).astype(np.float32)
    with pytest.raises(AudioError, match=r"room\.wav is silent") as caught:
        function(wave, name="room.wav")
    assert caught.value.reason == "silent"


@pytest.mark.parametrize("level", [0.01, -0.5, 1.0])
def test_a_constant_is_silent_once_the_detector_has_settled(level):
    assert not front_end.voiced_mask(np.full(48_000, level, np.float32))[10:].any()


def test_silence_has_an_empty_mask():
    mask = front_end.voiced_mask(np.zeros(16_000, np.float32))
    assert mask.dtype == bool
    assert mask.shape == (49,)
    assert not mask.any()


@pytest.mark.parametrize("function", [front_end.normalise, front_end.repeat])
@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        (np.zeros((0, 64), np.float32), "wrong_type"),
        (np.zeros(64, np.float32), "wrong_type"),
        (np.zeros((5, 64), np.int64), "wrong_type"),
        (None, "wrong_type"),
        (np.full((5, 64), np.nan, np.float32), "nan"),
    ],
)
def test_broken_frames_are_refused(function, frames, reason):
    with pytest.raises(AudioError) as caught:
        function(frames)
    assert caught.value.reason == reason
