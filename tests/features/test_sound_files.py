"""Recordings on disk: every kind of file, and every way to be broken."""

import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from s2f.errors import AudioError
from s2f.features import decoding, front_end, sound_files
from tests.features.making import REAL, chirp, needs_real, whole, write_with_av
from tests.golden import front_end as reference


def similarity(a, b):
    """Largest normalised correlation over all shifts, in steps of an eighth: codecs delay a little."""
    n = 1 << (len(a) + len(b)).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(a, n) * np.conj(np.fft.rfft(b, n)), 8 * n)
    return 8 * correlation.max() / (np.linalg.norm(a) * np.linalg.norm(b))


# Reading


@pytest.mark.parametrize("container", ["WAV", "FLAC"])
def test_16_bit_samples_come_back_exactly(tmp_path, container):
    path = tmp_path / "every_value"
    every = np.arange(-32_768, 32_768, dtype=np.int16)
    soundfile.write(path, every, 16_000, format=container, subtype="PCM_16")
    wave = sound_files.read(path)
    assert wave.dtype == np.float32
    assert np.array_equal(wave * 32_768, every)
    assert np.array_equal(front_end._to_int16(wave, name="every value"), every)


@pytest.mark.parametrize(
    ("subtype", "step"),
    [
        ("PCM_U8", 2**-7),
        ("PCM_16", 2**-15),
        ("PCM_24", 2**-23),
        ("PCM_32", 2**-23),
        ("FLOAT", 0),
        ("DOUBLE", 0),
        ("ULAW", 0.02),
        ("ALAW", 0.02),
    ],
)
def test_every_sample_type(tmp_path, subtype, step):
    expected = chirp()
    soundfile.write(tmp_path / "a.wav", expected, 16_000, subtype=subtype)
    wave = sound_files.read(tmp_path / "a.wav")
    assert wave.dtype == np.float32
    assert np.abs(wave - expected).max() <= step


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.opus"])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_formats_of_soundfile(tmp_path, name, n_channels):
    rate = 48_000 if name == "a.opus" else 44_100
    channels = np.stack([chirp(rate=rate) * (1, 0.5)[c] for c in range(n_channels)], axis=1)
    kind = {"format": "OGG", "subtype": "OPUS"} if name == "a.opus" else {}
    soundfile.write(tmp_path / name, channels, rate, **kind)
    wave = sound_files.read(tmp_path / name)
    assert wave.shape == (16_000,)
    assert similarity(wave, chirp()) > 0.99
    expected = np.sqrt(np.mean(channels.mean(axis=1) ** 2))
    assert np.sqrt(np.mean(wave**2)) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "n_channels", "picture"),
    [
        ("a.m4a", "aac", 44_100, 1, False),
        ("a.m4a", "aac", 16_000, 2, False),
        ("a.m4a", "alac", 22_050, 1, False),
        ("a.aac", "aac", 48_000, 1, False),
        ("a.mp4", "aac", 48_000, 6, True),
        ("a.webm", "libopus", 48_000, 2, False),
        ("a.mkv", "aac", 16_000, 1, True),
    ],
)
def test_formats_of_pyav(tmp_path, name, codec, rate, n_channels, picture):
    expected = chirp(rate=rate)
    path = tmp_path / name
    write_with_av(path, expected, codec=codec, rate=rate, channels=n_channels, picture=picture)
    wave = sound_files.read(path)
    assert wave.dtype == np.float32
    assert 16_000 <= wave.size < 16_000 * 1.15  # the end is flushed; AAC keeps some padding
    if n_channels < 6:  # a 5.1 encoder treats its low-frequency channel in its own way
        assert similarity(wave, chirp()) > 0.99


def decoded_by(decoder, path):
    """The first track as one decoder gives it, mono, at its own rate; nothing of ours."""
    if decoder == "libsndfile":
        channels, rate = soundfile.read(path, dtype="float32", always_2d=True)
        return channels.mean(axis=1), rate
    import av

    with av.open(str(path)) as source:
        convert = av.AudioResampler(format="fltp")
        parts = [part for frame in source.decode(audio=0) for part in convert.resample(frame)]
        rate = source.streams.audio[0].rate
    return np.concatenate([part.to_ndarray().mean(axis=0) for part in parts]), rate


def lag(a, b):
    """Samples by which `a` comes after `b`."""
    n = 1 << (len(a) + len(b)).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(a, n) * np.conj(np.fft.rfft(b, n)), n)
    at = int(correlation.argmax())
    return at if at < n // 2 else at - n


BOTH = ["a.wav", "a.flac", "a.ogg", "a.opus", "a.mp3", "a.aiff", "a.caf", "a.au", "a.w64"]
ALONE = ["a.m4a", "a.aac", "a.webm", "a.mkv", "a.ts", "a.avi"]  # which FFmpeg reads, and libsndfile does not


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("name", [*BOTH, *ALONE])
def test_what_is_read_agrees_with_both_decoders_and_with_what_was_written(tmp_path, name, rate):
    path, original = tmp_path / name, chirp(seconds=3.0)
    if name == "a.opus":
        rate = 48_000  # below, FFmpeg's own decoder stumbles where the codec changes its mode
        soundfile.write(path, chirp(rate=rate, seconds=3.0), rate, format="OGG", subtype="OPUS")
    elif name in BOTH:
        soundfile.write(path, chirp(rate=rate, seconds=3.0), rate)
    else:
        codec, rate = ("libopus", 48_000) if name == "a.webm" else ("aac", rate)
        write_with_av(path, chirp(rate=rate, seconds=3.0), codec=codec, rate=rate)
    wave = sound_files.read(path)
    padding = 0 if name in BOTH else 2_048
    assert 0 <= wave.size - original.size <= padding
    assert abs(lag(wave, original)) <= 1 and similarity(wave, original) > 0.99
    for decoder in ("libsndfile", "FFmpeg") if name in BOTH else ("FFmpeg",):
        theirs, their_rate = decoded_by(decoder, path)
        theirs = resample_poly(theirs, 16_000, their_rate)
        primed = 0 if name in BOTH else 2_048  # frames that a bare decoder leaves in
        assert abs(wave.size - theirs.size) <= padding + primed + 256  # FFmpeg leaves out Vorbis's last half block
        assert abs(lag(theirs, wave)) <= primed + 1 and similarity(theirs, wave) > 0.98


def test_a_bare_stream_begins_where_a_container_does(tmp_path):
    read = {}
    for name in ("a.aac", "a.m4a", "a.mkv", "a.ts", "a.avi"):
        write_with_av(tmp_path / name, chirp(seconds=2.0), codec="aac", rate=16_000)
        read[name] = sound_files.read(tmp_path / name)
    for name, wave in read.items():
        assert lag(wave, chirp(seconds=2.0)) == 0, name
        np.testing.assert_allclose(wave[:30_000], read["a.mkv"][:30_000], atol=1e-3)


def test_the_content_decides_not_the_extension(tmp_path):
    soundfile.write(tmp_path / "really_flac.mp3", chirp(), 16_000, format="FLAC")
    write_with_av(tmp_path / "a.m4a", chirp(), codec="aac", rate=16_000)
    (tmp_path / "a.m4a").rename(tmp_path / "really_m4a.wav")
    assert np.abs(sound_files.read(tmp_path / "really_flac.mp3") - chirp()).max() < 1e-4
    assert similarity(sound_files.read(tmp_path / "really_m4a.wav"), chirp()) > 0.99


def test_an_odd_name_and_a_string_are_paths_too(tmp_path):
    path = tmp_path / "голос #1 %20 ü.wav"
    soundfile.write(path, chirp(), 16_000)
    assert sound_files.read(str(path)).shape == (16_000,)


def test_channels_are_averaged(tmp_path):
    left, right = chirp(), chirp(low_hz=500, high_hz=600)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right, 0 * left], axis=1), 16_000, subtype="FLOAT")
    np.testing.assert_allclose(sound_files.read(tmp_path / "a.wav"), (left + right) / 3, atol=1e-6)


def noisy(wave, *, seed):
    return wave + np.random.default_rng(seed).normal(0, 0.003, wave.size)


@pytest.mark.parametrize("hum", [0.0, 0.5])
@pytest.mark.parametrize("format", ["WAV", "FLAC", "MP3", "OGG"])
def test_a_voice_that_averaging_would_cancel_is_read_from_one_channel(tmp_path, format, hum):
    voice = chirp(seconds=3.0)
    shared = hum * np.sin(2 * np.pi * 50 * np.arange(voice.size) / 16_000)
    channels = np.stack([0.4 * noisy(voice, seed=1) + shared, shared - 0.6 * noisy(voice, seed=2)], axis=1)
    soundfile.write(tmp_path / "a", channels, 16_000, format=format)
    remarks = []
    wave = sound_files.read(tmp_path / "a", remarks=remarks)
    assert remarks == ["its 2 channels cancel one another: channel 2, the loudest, is read alone"]
    inner = slice(200, -1_500)
    assert np.corrcoef(wave[inner], channels[inner, 1])[0, 1] > 0.98


def test_a_voice_that_cancels_for_a_third_of_the_recording_is_found(tmp_path):
    voice = chirp(seconds=6.0)
    turned = np.where(np.arange(voice.size) < 32_000, -voice, voice)
    soundfile.write(tmp_path / "a.wav", np.stack([voice, turned], axis=1), 16_000, subtype="FLOAT")
    assert np.array_equal(sound_files.read(tmp_path / "a.wav"), voice)


@pytest.mark.parametrize("other", ["silent", "noise", "delayed", "quieter"])
def test_channels_that_do_not_cancel_are_averaged(tmp_path, other):
    voice = chirp(seconds=2.0)
    second = {
        "silent": 0 * voice,
        "noise": np.random.default_rng(0).normal(0, 0.1, voice.size),
        "delayed": np.roll(voice, 3_000),
        "quieter": 0.1 * voice,
    }[other]
    soundfile.write(tmp_path / "a.wav", np.stack([voice, second], axis=1), 16_000, subtype="FLOAT")
    remarks = []
    np.testing.assert_allclose(sound_files.read(tmp_path / "a.wav", remarks=remarks), (voice + second) / 2, atol=1e-6)
    assert remarks == []


@pytest.mark.parametrize(
    "rate", [8_000, 11_025, 12_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000, 44_101]
)
def test_resampling_keeps_a_sine(tmp_path, rate):
    seconds, hz = 0.5, 440
    n = int(rate * seconds)
    sine = 0.5 * np.sin(2 * np.pi * hz * np.arange(n) / rate)
    soundfile.write(tmp_path / "a.wav", sine, rate, subtype="FLOAT")
    wave = sound_files.read(tmp_path / "a.wav")
    assert wave.size == -(-n * 16_000 // rate)
    expected = 0.5 * np.sin(2 * np.pi * hz * np.arange(wave.size) / 16_000)
    inner = slice(200, -200)  # the ends see the silence around
    assert np.abs(wave[inner] - expected[inner]).max() < 5e-3


def test_resampling_removes_what_would_alias(tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 15_000 * np.arange(48_000) / 48_000)  # would fold to 1 kHz
    soundfile.write(tmp_path / "a.wav", tone, 48_000, subtype="FLOAT")
    assert np.abs(sound_files.read(tmp_path / "a.wav")[200:-200]).max() < 5e-3


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 44_101])
def test_long_files_are_resampled_in_blocks_without_seams(monkeypatch, rate):
    wave = np.random.default_rng(0).standard_normal(3 * rate).astype(np.float32)

    def resampled(*blocks):
        return np.concatenate(list(sound_files._resampled((block, rate) for block in blocks)))

    whole = resampled(wave)
    assert whole.size == 3 * 16_000
    monkeypatch.setattr(sound_files, "_READ_BLOCK", 5_000)
    np.testing.assert_allclose(resampled(*np.array_split(wave, 7)), whole, atol=1e-5)


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 96_000])
def test_resampling_leaves_every_mel_bin_as_it_is(tmp_path, rate):
    # A sound with all frequencies that a mel filter looks at, which any rate above 16 kHz holds exactly.
    rng = np.random.default_rng(0)
    spectrum = rng.normal(size=16_001) + 1j * rng.normal(size=16_001)
    spectrum[[0, *range(14_800, 16_001)]] = 0
    expected, played = (n / 2_400 * np.fft.irfft(np.pad(spectrum, (0, n // 2 - 16_000)), n) for n in (32_000, 2 * rate))
    soundfile.write(tmp_path / "a.wav", played, rate, subtype="FLOAT")
    wave = sound_files.read(tmp_path / "a.wav")
    inner = slice(10, -10)
    difference = (front_end.log_mel(wave) - front_end.log_mel(expected))[inner].mean(axis=0)
    assert np.abs(difference).max() < 0.002


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_resampling_lets_nothing_above_8_khz_through(tmp_path, rate):
    tone = 0.5 * np.sin(2 * np.pi * 8_500 * np.arange(rate) / rate)
    soundfile.write(tmp_path / "a.wav", tone, rate, subtype="FLOAT")
    rest = sound_files.read(tmp_path / "a.wav")[200:-200]
    assert 20 * np.log10(np.sqrt(np.mean(rest**2)) / np.sqrt(0.125)) < -60


def test_reading_in_blocks_loses_nothing(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.flac", np.stack([chirp(), chirp()], axis=1), 16_000)
    whole = sound_files.read(tmp_path / "a.flac")
    monkeypatch.setattr(decoding, "BLOCK", 999)
    assert np.array_equal(sound_files.read(tmp_path / "a.flac"), whole)


def test_overshoot_is_clipped_to_one(tmp_path):
    soundfile.write(tmp_path / "a.wav", 3 * chirp(), 16_000, subtype="FLOAT")
    wave = sound_files.read(tmp_path / "a.wav")
    assert (wave.min(), wave.max()) == (-1, 1)


def test_streamed_files_that_declare_no_length_are_read_whole(tmp_path):
    expected = np.round(chirp() * 32_768) / 32_768
    soundfile.write(tmp_path / "a.wav", expected, 16_000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(content)
    assert np.array_equal(sound_files.read(tmp_path / "a.wav"), expected)

    soundfile.write(tmp_path / "a.flac", expected, 16_000)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21] &= 0xF0  # STREAMINFO's 36-bit number of samples
    content[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(content)
    assert np.array_equal(sound_files.read(tmp_path / "a.flac"), expected)


def mp3_without_contents(path):
    """Write 5 s of varying bit rate without the table of contents that tells the length."""
    rng = np.random.default_rng(0)
    loudness = np.repeat([0.001, 0.3, 0.3, 0.3, 0.3], 16_000)
    sound = soundfile.SoundFile(path, "w", 16_000, 1, "MPEG_LAYER_III", format="MP3", bitrate_mode="VARIABLE")
    with sound:
        sound.write(np.clip(loudness * rng.standard_normal(loudness.size), -1, 1))
    content = path.read_bytes()
    second_frame = content.index(content[:2], 40)
    assert b"Xing" in content[:second_frame]
    path.write_bytes(content[second_frame:])


def test_an_mp3_of_varying_bit_rate_without_a_table_of_contents_is_read_whole(tmp_path):
    # Decoders that guess its length from the first frame's bit rate stop early.
    mp3_without_contents(tmp_path / "a.mp3")
    assert sound_files.read(tmp_path / "a.mp3").size >= 5 * 16_000
    assert sound_files.duration_s(tmp_path / "a.mp3") == sound_files.read(tmp_path / "a.mp3").size / 16_000


@pytest.mark.parametrize("rate", [8_000, 24_000, 44_100])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_tags_around_an_mp3_do_no_harm(tmp_path, rate, n_channels):
    path = tmp_path / "a.mp3"
    soundfile.write(path, np.stack([chirp(rate=rate)] * n_channels, axis=1), rate)
    plain = sound_files.read(path)
    content = path.read_bytes()
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256) + content + b"TAG" + bytes(125))
    assert np.array_equal(sound_files.read(path), plain)
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256) + content[: len(content) * 2 // 3])
    with pytest.raises(AudioError, match="ends after"):
        sound_files.read(path)


# Recordings that are odd but usable


@pytest.mark.parametrize("change", ["offset", "clipped", "8-bit", "quiet", "double", "loud_impulse"])
def test_odd_recordings_work(tmp_path, samples, wave, change):
    changed = {
        "offset": wave * 0.5 + 0.3,
        "clipped": np.clip(wave * 20, -1, 1),
        "8-bit": wave,
        "quiet": wave * 0.05,
        "double": wave.astype(np.float64),
        "loud_impulse": np.where(np.arange(wave.size) == 9_000, -1.0, wave),
    }[change]
    subtype = {"8-bit": "PCM_U8", "double": "DOUBLE"}.get(change, "PCM_16")
    soundfile.write(tmp_path / "a.wav", changed, 16_000, subtype=subtype)
    out = front_end.features(sound_files.read(tmp_path / "a.wav"))
    assert out.shape == (1_000, 64)
    assert np.isfinite(out).all()


def cut(path, *, part):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    return path


def patched_wav(tmp_path, at, value):
    path = whole(tmp_path, "a.wav")
    content = bytearray(path.read_bytes())
    content[at : at + len(value)] = value
    path.write_bytes(content)
    return path


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def wav_of(tmp_path, values, **kind):
    soundfile.write(tmp_path / "a.wav", np.asarray(values), 16_000, **kind)
    return tmp_path / "a.wav"


def folder(tmp_path):
    (tmp_path / "a.wav").mkdir()
    return tmp_path / "a.wav"


def video_only(tmp_path):
    write_with_av(tmp_path / "a.mp4", None, codec=None, rate=None, picture=True)
    return tmp_path / "a.mp4"


noise = np.random.default_rng(0).bytes(4_000)


BROKEN = {
    "missing": ("missing", lambda t: t / "a.wav"),
    "missing folder": ("missing", lambda t: t / "b" / "a.wav"),
    "below a file": ("missing", lambda t: whole(t, "a.wav") / "b.wav"),
    "folder": ("folder", folder),
    "zero bytes": ("empty", lambda t: written(t, "a.wav", b"")),
    "no samples, wav": ("empty", lambda t: wav_of(t, [])),
    "text": ("not_audio", lambda t: written(t, "a.wav", b"these are words, not samples\n" * 40)),
    "play list": ("not_audio", lambda t: written(t, "a.wav", b"#EXTM3U\n#EXTINF:1\n/etc/hostname\n")),
    "noise": ("not_audio", lambda t: written(t, "a.flac", b"\x01" + noise)),
    "image": ("not_audio", lambda t: written(t, "a.wav", b"\x89PNG\r\n\x1a\n" + noise)),
    "no header": ("not_audio", lambda t: written(t, "a.raw", noise)),
    "one byte": ("not_audio", lambda t: written(t, "a.wav", b"R")),
    "four bytes": ("truncated", lambda t: written(t, "a.wav", b"RIFF")),
    "cut wav header": ("truncated", lambda t: cut(whole(t, "a.wav"), part=0.0009)),
    "cut wav": ("truncated", lambda t: cut(whole(t, "a.wav"), part=0.9)),
    "cut flac": ("truncated", lambda t: cut(whole(t, "a.flac"), part=0.6)),
    "cut ogg": ("truncated", lambda t: cut(whole(t, "a.ogg"), part=0.6)),
    "cut opus": ("truncated", lambda t: cut(whole(t, "a.opus"), part=0.6)),
    "cut mp3": ("truncated", lambda t: cut(whole(t, "a.mp3"), part=0.6)),
    "cut m4a": ("truncated", lambda t: cut(whole(t, "a.m4a"), part=0.6)),
    "cut webm": ("truncated", lambda t: cut(whole(t, "a.webm"), part=0.6)),
    "cut aac": ("truncated", lambda t: cut(whole(t, "a.aac"), part=0.6)),
    "damaged mp4": ("damaged", lambda t: written(t, "a.mp4", b"\x00\x00\x00\x18ftypisom" + noise)),
    "damaged webm": ("damaged", lambda t: written(t, "a.webm", b"\x1aE\xdf\xa3" + noise)),
    "damaged flac": ("damaged", lambda t: written(t, "a.flac", b"fLaC" + noise)),
    "no channels": ("damaged", lambda t: patched_wav(t, 22, bytes(2))),
    "rate 0": ("damaged", lambda t: patched_wav(t, 24, bytes(4))),
    "rate 1 Hz": ("rate", lambda t: patched_wav(t, 24, struct.pack("<I", 1))),
    "no audio track": ("no_audio_track", video_only),
    "NaN": ("nan", lambda t: wav_of(t, [0.0, np.nan, 0.1] * 999, subtype="FLOAT")),
    "infinite": ("nan", lambda t: wav_of(t, [0.0, -np.inf, 0.1] * 999, subtype="DOUBLE")),
    "integers as floats": ("range", lambda t: wav_of(t, 32_768 * chirp(), subtype="FLOAT")),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_are_named_with_value_and_remedy(tmp_path, kind):
    reason, make = BROKEN[kind]
    path = make(tmp_path)
    with pytest.raises(AudioError) as caught:
        sound_files.read(path)
    assert caught.value.reason == reason
    assert str(path) in str(caught.value)
    assert len(caught.value.remedy) > 10
    assert pickle.loads(pickle.dumps(caught.value)).reason == reason  # crosses process borders


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = whole(tmp_path, "a.wav")

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)  # the superuser can read anything, so the mode bits are no test
    with pytest.raises(AudioError, match="may not be read") as caught:
        sound_files.read(path)
    assert caught.value.reason == "permission"


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.opus", "a.mp3", "a.m4a", "a.aac", "a.webm"])
def test_no_cut_passes_silently(tmp_path, name):
    path = whole(tmp_path, name)
    content = path.read_bytes()
    n = sound_files.read(path).size
    for part in np.linspace(0.02, 0.98, 13):
        path.write_bytes(content[: int(len(content) * part)])
        with pytest.raises(AudioError):
            sound_files.read(path)
    path.write_bytes(content)
    assert sound_files.read(path).size == n


def test_damaged_bytes_never_escape_as_another_error(tmp_path):
    rng = np.random.default_rng(0)
    n_refused = 0
    for name in ("a.wav", "a.flac", "a.ogg", "a.mp3", "a.m4a", "a.webm", "a.aac"):
        content = whole(tmp_path, name).read_bytes()
        for _ in range(12):
            damaged = bytearray(content)
            for at in rng.integers(0, min(len(content), 2_000), 8):
                damaged[at] = rng.integers(256)
            (tmp_path / name).write_bytes(damaged)
            try:
                wave = sound_files.read(tmp_path / name)
            except AudioError:
                n_refused += 1
            else:
                assert wave.dtype == np.float32
                assert np.abs(wave).max() <= 1
    assert n_refused > 10


def as_npy(tmp_path, values, name="a.npy"):
    np.save(tmp_path / name, values)
    return tmp_path / name


@pytest.mark.parametrize("n_frames", [37, 150, 499, 500, 501, 999])
def test_repeated_frames_are_cut_off_again(tmp_path, n_frames):
    once = front_end.normalise(np.random.default_rng(0).normal(size=(n_frames, 64)))
    path = as_npy(tmp_path, front_end.repeat(once))
    found = sound_files.read_features(path)
    assert found.shape == (n_frames, 64) and found.dtype == np.float32 and type(found) is np.ndarray
    np.testing.assert_allclose(found, once, atol=2e-6)


def test_frames_that_do_not_repeat_to_their_end_are_all_kept(tmp_path, frames):
    for values in (
        frames,
        np.concatenate([frames, frames, frames[:50], frames[51:60]]),  # one frame is missing
        np.concatenate([frames, frames + np.float32(1e-3)]),
    ):
        assert len(sound_files.read_features(as_npy(tmp_path, values))) == len(values)


@needs_real
def test_released_frames_are_what_the_front_end_gives_before_it_repeats():
    paths = sorted((REAL / "wen2019").glob("*.npy"))
    for path in paths:
        ours = front_end.normalise(front_end.log_mel(front_end.voiced(sound_files.read(path.with_suffix(".wav")))))
        theirs = sound_files.read_features(path)
        assert theirs.shape == ours.shape
        assert np.abs(ours - theirs).max() < 1e-4
    assert len(paths) == 5


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "<f2", "fortran"])
def test_frames_of_any_floating_type_are_normalised(tmp_path, frames, kind):
    values = np.asfortranarray(frames) if kind == "fortran" else frames.astype(kind)
    found = sound_files.read_features(as_npy(tmp_path, 3 * values + 5))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, frames, atol=2e-2 if kind == "<f2" else 2e-5)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(found.std(0), 1, atol=1e-5)


def declaring(tmp_path, shape):
    """A file whose header promises another shape than it holds."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return written(tmp_path, "a.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(6_400))


def zipped(tmp_path):
    np.savez(tmp_path / "a.npz", np.ones((5, 64)))
    return (tmp_path / "a.npz").rename(tmp_path / "a.npy")


def holding(value):
    """Frames with one value changed."""

    def make(tmp_path):
        values = np.random.default_rng(0).normal(size=(30, 64)).astype(np.float32)
        values[3, 4] = value
        return as_npy(tmp_path, values)

    return make


def pipe(tmp_path):
    os.mkfifo(tmp_path / "a.npy")
    return tmp_path / "a.npy"


class Anything:
    """What a pickled array could run when it is opened."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


NO_FEATURES = {
    "missing": ("missing", lambda t: t / "a.npy"),
    "folder": ("folder", folder),
    "pipe": ("unreadable", pipe),
    "zero bytes": ("empty", lambda t: written(t, "a.npy", b"")),
    "no frames": ("empty", lambda t: as_npy(t, np.zeros((0, 64), np.float32))),
    "truncated": ("not_features", lambda t: cut(as_npy(t, np.ones((9, 64))), part=0.9)),
    "cut in its header": ("not_features", lambda t: cut(as_npy(t, np.ones((9, 64))), part=0.01)),
    "text": ("not_features", lambda t: written(t, "a.npy", b"0.1 0.2\n" * 64)),
    "sound": ("not_features", lambda t: whole(t, "a.wav").rename(t / "a.npy")),
    "pickled objects": ("not_features", lambda t: as_npy(t, np.array([[Anything()] * 64], dtype=object))),
    "a pickle": ("not_features", lambda t: written(t, "a.npy", pickle.dumps(Anything()))),
    "archive": ("not_features", zipped),
    "cut archive": ("not_features", lambda t: cut(zipped(t), part=0.5)),
    "integers": ("not_features", lambda t: as_npy(t, np.ones((9, 64), np.int16))),
    "complex": ("not_features", lambda t: as_npy(t, np.ones((9, 64), np.complex64))),
    "one dimension": ("not_features", lambda t: as_npy(t, np.ones(640, np.float32))),
    "three dimensions": ("not_features", lambda t: as_npy(t, np.ones((1, 9, 64), np.float32))),
    "40 bins": ("not_features", lambda t: as_npy(t, np.ones((9, 40), np.float32))),
    "bins first": ("not_features", lambda t: as_npy(t, np.ones((64, 9), np.float32))),
    "declares terabytes": ("not_features", lambda t: declaring(t, "(1000000000000, 64)")),
    "declares beyond integers": ("not_features", lambda t: declaring(t, f"({2**70}, 64)")),
    "header without an end": ("not_features", lambda t: declaring(t, "((((")),
    "NaN": ("nan", holding(np.nan)),
    "infinite": ("nan", holding(-np.inf)),
    "never changes": ("silent", lambda t: as_npy(t, np.full((1_000, 64), -11.5, np.float32))),
    "one frame": ("silent", lambda t: as_npy(t, np.arange(64.0)[None])),
}


@pytest.mark.parametrize("kind", NO_FEATURES)
def test_what_is_no_processed_recording_is_named(tmp_path, kind):
    reason, make = NO_FEATURES[kind]
    path = make(tmp_path)
    with pytest.raises(AudioError) as caught:
        sound_files.read_features(path)
    assert caught.value.reason == reason
    assert str(path) in str(caught.value) and len(caught.value.remedy) > 5
    if path.suffix == ".npy":
        with pytest.raises(AudioError) as caught:
            sound_files.duration_s(path)
        assert caught.value.reason == reason


@pytest.mark.filterwarnings("ignore::DeprecationWarning:numpy", "ignore::RuntimeWarning:numpy")  # odd types and sizes
def test_damaged_headers_of_frames_never_escape_as_another_error(tmp_path, frames):
    content = as_npy(tmp_path, frames).read_bytes()
    rng = np.random.default_rng(0)
    n_refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        for at in rng.integers(0, 400, rng.integers(1, 5)):
            damaged[at] = rng.integers(256)
        try:
            found = sound_files.read_features(written(tmp_path, "a.npy", damaged))
        except AudioError:
            n_refused += 1
        else:
            assert found.dtype == np.float32 and found.shape[1] == 64
    assert 100 < n_refused < 400


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.m4a", "a.aac", "a.webm", "a.opus"])
def test_duration_is_that_of_what_is_read(tmp_path, name):
    path = whole(tmp_path, name)
    assert sound_files.duration_s(path) == pytest.approx(sound_files.read(path).size / 16_000, abs=1e-4)


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_duration_does_not_depend_on_rate_or_channels(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", np.stack([chirp(rate=rate, seconds=1.5)] * 2, axis=1), rate)
    assert sound_files.duration_s(tmp_path / "a.wav") == pytest.approx(1.5, abs=1e-3)


def test_duration_of_a_sound_file_comes_from_its_header(tmp_path, monkeypatch):
    path = whole(tmp_path, "a.flac")
    monkeypatch.setattr(sound_files, "read", None)
    assert sound_files.duration_s(path) == 1


def test_duration_of_processed_frames_is_theirs_before_repetition(tmp_path, frames):
    path = as_npy(tmp_path, front_end.repeat(frames))
    assert len(frames) < 1_000 and sound_files.duration_s(path) == pytest.approx(len(frames) * 0.01)


def test_duration_of_a_streamed_file_is_counted(tmp_path):
    path = whole(tmp_path, "a.wav")
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert sound_files.duration_s(path) == 1


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "folder",
        "zero bytes",
        "no samples, wav",
        "text",
        "image",
        "no header",
        "cut m4a",
        "rate 0",
        "no audio track",
    ],
)
def test_duration_of_broken_files_says_what_reading_says(tmp_path, kind):
    reason, make = BROKEN[kind]
    with pytest.raises(AudioError) as caught:
        sound_files.duration_s(make(tmp_path))
    assert caught.value.reason == reason


@pytest.mark.parametrize("function", [sound_files.read, sound_files.read_features, sound_files.duration_s])
@pytest.mark.parametrize("suffix", [".wav", ".npy"])
def test_a_pipe_is_not_waited_for(tmp_path, function, suffix):
    path = tmp_path / f"a{suffix}"
    os.mkfifo(path)
    with pytest.raises(AudioError, match="pipe or device") as caught:
        function(path)
    assert caught.value.reason == "unreadable"


@pytest.mark.slow
def test_a_long_recording_needs_bounded_memory(tmp_path):
    path = tmp_path / "ten_minutes.flac"
    with soundfile.SoundFile(path, "w", 16_000, 1) as sound:
        for seed in range(10):
            sound.write(np.tile(reference.recording(seed=seed), 19))  # a minute each
    script = (
        "import resource, sys; from s2f.features import decoding, front_end, sound_files\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "out = front_end.features(sound_files.read(sys.argv[1]))\n"
        "print(len(out), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True, env=os.environ
    )
    n_frames, used_mb = (float(v) for v in done.stdout.split())
    assert n_frames > 25_000
    wave_mb = 10 * 19 * 52_000 * 4 / 2**20
    assert used_mb < 6 * wave_mb


@pytest.mark.parametrize(("peak", "share"), [(1.0, 0), (1.3, 44), (3.5, 82)])
def test_samples_that_are_clipped_are_said(tmp_path, peak, share):
    wave = (peak * np.sin(2 * np.pi * 200.3 * np.arange(16_000) / 16_000)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, 16_000, subtype="FLOAT")
    remarks = []
    assert np.array_equal(sound_files.read(tmp_path / "a.wav", remarks=remarks), wave.clip(-1, 1))
    expected = 100 * float(np.mean(np.abs(wave) > 1))
    assert round(expected) == share  # of a sine, 2 / pi times the arc cosine of 1 / peak
    assert remarks == ([f"{expected:.1f} % of its samples lie outside [-1, 1] and are clipped"] if share else [])


def test_a_resampler_that_cannot_be_loaded_is_no_fault_of_the_file(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", chirp(rate=8_000), 8_000)

    class Broken:
        def __getattr__(self, name):
            raise OSError("undefined symbol")

    monkeypatch.setitem(sys.modules, "torchaudio.functional", Broken())
    with pytest.raises(ImportError, match=r"torchaudio cannot be loaded \(undefined symbol\): run `make environment`"):
        sound_files.read(tmp_path / "a.wav")
