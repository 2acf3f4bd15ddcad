"""Files that hold more, or other, than their first bytes say: read to their last byte, or named."""

import io

import numpy as np
import pytest
import soundfile

from s2f.errors import AudioError
from s2f.features import containers, frames, sound_files
from tests.features.making import chirp, whole, write_tracks, write_with_av

RATE = 16_000
PADDING_S = 0.15  # codecs fill their last frame, and say so only in some containers
TAG = b"ID3\x04\0\0\0\0\x02\0" + bytes(256)


def sine(rate, *, hz=200, seconds=3):
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(seconds * rate) / rate)).astype(np.float32)


SINE = sine(RATE)


def made(folder, name):
    """Three seconds of 200 Hz in the format that a name asks for."""
    path = folder / name
    match path.suffix:
        case ".m4a" | ".mp4" | ".aac" | ".mkv" | ".ts":
            write_with_av(path, SINE, codec="aac", rate=RATE)
        case ".webm":
            write_with_av(path, sine(48_000), codec="libopus", rate=48_000)
        case ".amr":
            write_with_av(path, sine(8_000), codec="libopencore_amrnb", rate=8_000)
        case ".avi":
            write_with_av(path, SINE, codec="pcm_s16le", rate=RATE)
        case ".wma":
            write_tracks(path, [sine(44_100)], codec="wmav2", rate=44_100, bit_rate=64_000)
        case ".opus":
            soundfile.write(path, SINE, RATE, format="OGG", subtype="OPUS")
        case _:
            soundfile.write(path, SINE, RATE)
    return path


def hz(wave):
    """Frequency of the loudest part of each half second."""
    pieces = wave[: len(wave) // 8_000 * 8_000].reshape(-1, 8_000) * np.hanning(8_000)
    return np.abs(np.fft.rfft(pieces, 64_000)).argmax(axis=1) / 4


ALL = ["a.wav", "a.flac", "a.ogg", "a.opus", "a.mp3", "a.m4a", "a.aac", "a.webm", "a.mkv"]
MORE = ["a.ts", "a.amr", "a.wma", "a.avi", "a.aiff", "a.caf", "a.w64", "a.au"]


@pytest.mark.parametrize("name", [*ALL, *MORE])
def test_recordings_that_were_joined_are_all_read(tmp_path, name):
    path = made(tmp_path, name)
    alone = sound_files.read(path)
    path.write_bytes(2 * path.read_bytes())
    remarks = []
    both = sound_files.read(path, remarks=remarks)
    joint = 1_024 if name in ("a.aac", "a.ts") else 0  # whose frames do not tell that another recording begins
    assert len(both) == 2 * len(alone) + joint
    assert np.abs(hz(both) - 200).max() < 15  # also where they meet
    said = "2 recordings stand in it one after another; all are read"
    assert remarks == ([] if joint else [said])
    assert sound_files.duration_s(path) == len(both) / RATE


def test_recordings_of_different_kinds_that_were_joined_are_all_read(tmp_path):
    parts = [made(tmp_path, name) for name in ("a.mp3", "a.wav", "a.ogg", "a.m4a", "a.flac")]
    alone = [len(sound_files.read(part)) for part in parts]
    (tmp_path / "all").write_bytes(b"".join(part.read_bytes() for part in parts))
    assert len(sound_files.read(tmp_path / "all")) == sum(alone)


@pytest.mark.parametrize("container", ["MP3", "WAV", "FLAC", "OGG", "adts"])
def test_a_rate_that_changes_on_the_way(tmp_path, container):
    path, joined = tmp_path / "a.aac", b""
    for rate in (44_100, 48_000, 16_000):
        wave = sine(rate, hz=440, seconds=4)
        if container == "adts":
            write_with_av(path, wave, codec="aac", rate=rate)
        else:
            soundfile.write(path, wave, rate, format=container)
        joined += path.read_bytes()
    path.write_bytes(joined)
    wave = sound_files.read(path)
    assert abs(len(wave) / RATE - 12) < 3 * PADDING_S
    assert np.abs(hz(wave) - 440).max() < 15


def without_contents(path, *, quiet_s=1):
    """An mp3 of varying bit rate that begins quietly and has lost its first frame, which tells its length."""
    with soundfile.SoundFile(path, "w", RATE, 1, "MPEG_LAYER_III", format="MP3", bitrate_mode="VARIABLE") as sound:
        sound.write(0.001 * SINE[: quiet_s * RATE])
        sound.write(np.tile(SINE, 2))
    content = path.read_bytes()
    first = frames.of(content[:64])
    assert first.contents_bytes == len(content)
    return content[first.n_bytes :]


@pytest.mark.parametrize("before", [b"", TAG, TAG + TAG, bytes(5_000), TAG + bytes(100), b"\xaa" * 300])
@pytest.mark.parametrize("after", [b"", b"TAG" + bytes(125), b"APETAGEX\xd0\x07\0\0\x20\0\0\0" + bytes(16) + bytes(32)])
def test_what_stands_around_an_mp3_changes_nothing(tmp_path, before, after):
    path = tmp_path / "a.mp3"
    content = without_contents(path)
    path.write_bytes(content)
    plain = sound_files.read(path)
    assert abs(len(plain) / RATE - 7) < PADDING_S
    path.write_bytes(before + content + after)
    remarks = []
    assert np.array_equal(sound_files.read(path, remarks=remarks), plain)
    said = {bytes(5_000): "5000 bytes from byte 0 on are zero", b"\xaa" * 300: "300 bytes from byte 0 on are no sound"}
    if before in said:
        assert len(remarks) == 1 and remarks[0].startswith(said[before])
    else:
        assert remarks == []


@pytest.mark.parametrize("before", [TAG, 2 * TAG, bytes(700)])
@pytest.mark.parametrize("name", ALL)
def test_tags_and_zeros_before_any_kind_change_nothing(tmp_path, name, before):
    path = made(tmp_path, name)
    plain = sound_files.read(path)
    path.write_bytes(before + path.read_bytes() + bytes(333))
    assert np.array_equal(sound_files.read(path), plain)


@pytest.mark.parametrize("name", [*ALL, *MORE])
@pytest.mark.parametrize("n", [30, 1_001])
def test_zeros_behind_any_kind_change_nothing(tmp_path, name, n):
    path = made(tmp_path, name)
    alone = sound_files.read(path)
    path.write_bytes(path.read_bytes() + bytes(n))
    assert np.array_equal(sound_files.read(path), alone)


def test_an_mp3_that_ends_within_a_frame_says_so(tmp_path):
    path = tmp_path / "a.mp3"
    content = without_contents(path)
    path.write_bytes(content[:-50])
    remarks = []
    assert abs(len(sound_files.read(path, remarks=remarks)) / RATE - 7) < PADDING_S
    assert remarks == ["its last frame is cut short: it may have been longer"]


def test_an_ogg_cut_between_two_pages_says_so(tmp_path):
    path = tmp_path / "a.ogg"
    soundfile.write(path, np.tile(SINE, 5), RATE)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"OggS")])
    remarks = []
    assert 10 * RATE < len(sound_files.read(path, remarks=remarks)) < 15 * RATE
    assert remarks == ["no page is marked as its last: it may have been longer"]


@pytest.mark.parametrize("name", [*ALL, *MORE])
def test_bytes_that_are_no_sound_are_named_or_refused(tmp_path, name):
    path = made(tmp_path, name)
    content, plain = path.read_bytes(), sound_files.read(path)
    few, many = b"\x99\x88" * 20, b"\x99\x88" * 3_000
    path.write_bytes(content + few)
    remarks = []
    if name == "a.flac":  # whose frames are not walked: it ends where its header says
        assert np.array_equal(sound_files.read(path, remarks=remarks), plain)
        return
    assert np.array_equal(sound_files.read(path, remarks=remarks), plain)
    assert remarks == [f"40 bytes from byte {len(content)} on are no sound and are left out"]
    path.write_bytes(content + many)
    with pytest.raises(AudioError, match=f"6000 bytes from byte {len(content)} on are no sound") as caught:
        sound_files.read(path)
    assert caught.value.reason == "damaged"


def test_an_ogg_whose_pages_of_sound_are_torn_is_damaged_not_empty(tmp_path):
    path = tmp_path / "a.ogg"
    noise = np.random.default_rng(0).normal(size=RATE).astype(np.float32)
    soundfile.write(path, 0.1 * noise, RATE)
    content = path.read_bytes()
    at = [i for i in range(len(content)) if content.startswith(b"OggS", i)][2]  # the first page of sound
    path.write_bytes(content[: at + 300] + content[at + 322 :])
    with pytest.raises(AudioError, match=r"has 0 samples: .* are no sound") as caught:
        sound_files.read(path)
    assert caught.value.reason == "damaged"


def test_a_flac_with_more_behind_its_last_sample_is_refused(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 3 * RATE), RATE)
    content = bytearray(path.read_bytes())
    path.write_bytes(content + made(tmp_path, "a.ogg").read_bytes() + bytes(100_000))
    with pytest.raises(AudioError, match="bytes follow its last sample") as caught:
        sound_files.read(path)
    assert caught.value.reason == "damaged"
    content[24:26] = (RATE).to_bytes(2, "big")  # a header that tells of a third of the samples
    path.write_bytes(content)
    with pytest.raises(AudioError, match="bytes follow its last sample"):
        sound_files.read(path)


def test_a_hole_in_an_mp3_is_named_and_the_rest_is_read(tmp_path):
    path = tmp_path / "a.mp3"
    content = bytearray(without_contents(path))
    middle = len(content) // 2
    content[middle : middle + 300] = b"\x77" * 300
    path.write_bytes(content)
    remarks = []
    assert abs(len(sound_files.read(path, remarks=remarks)) / RATE - 7) < 2 * PADDING_S
    assert any("are no sound and are left out" in remark for remark in remarks)


# Sizes that are not known


@pytest.mark.parametrize("sizes", ["data", "both"])
def test_a_wav_whose_writer_was_stopped_is_read_whole(tmp_path, sizes):
    path = made(tmp_path, "a.wav")
    plain, content = sound_files.read(path), bytearray(path.read_bytes())
    content[40:44] = bytes(4)
    if sizes == "both":
        content[4:8] = bytes(4)
    path.write_bytes(content)
    remarks = []
    assert np.array_equal(sound_files.read(path, remarks=remarks), plain)
    assert remarks == ["its header declares 0 bytes of samples; the 96000 that follow are read"]
    path.write_bytes(content[:44])
    with pytest.raises(AudioError) as caught:
        sound_files.read(path)
    assert caught.value.reason == "empty"


def test_chunks_after_the_samples_are_no_samples(tmp_path):
    path = made(tmp_path, "a.wav")
    plain, content = sound_files.read(path), path.read_bytes()
    path.write_bytes(content + b"LIST\x04\0\0\0INFO" + b"id3 \x03\0\0\0abc\0")
    remarks = []
    assert np.array_equal(sound_files.read(path, remarks=remarks), plain) and not remarks


@pytest.mark.parametrize("n", [8, 9])
def test_chunks_of_any_size_in_an_rf64_change_nothing(tmp_path, n):
    path = tmp_path / "a.wav"
    soundfile.write(path, SINE, RATE, format="RF64")
    content, alone = path.read_bytes(), sound_files.read(path)
    at = content.index(b"data", 48)
    path.write_bytes(content[:at] + b"note" + n.to_bytes(4, "little") + bytes(n + n % 2) + content[at:])
    assert np.array_equal(sound_files.read(path), alone)


def test_a_wav_whose_size_is_too_small_for_its_samples_is_refused(tmp_path):
    path = made(tmp_path, "a.wav")
    content = bytearray(path.read_bytes())
    content[40:44] = (8_000).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(AudioError, match="bytes that are no sound") as caught:
        sound_files.read(path)
    assert caught.value.reason == "damaged"


# Kinds that look like others, and kinds that are not read


def test_mp3_in_wav_and_sound_in_avi(tmp_path):
    write_with_av(tmp_path / "mp3.wav", SINE, codec="libmp3lame", rate=RATE)
    write_with_av(tmp_path / "really_avi.wav", SINE, codec="pcm_s16le", rate=RATE, format="avi")
    wave = sound_files.read(tmp_path / "mp3.wav")
    assert 0 <= len(wave) / RATE - 3 < PADDING_S and np.abs(hz(wave) - 200).max() < 15
    np.testing.assert_allclose(sound_files.read(tmp_path / "really_avi.wav"), SINE, atol=1e-4)


@pytest.mark.parametrize(
    ("codec", "name", "called"),
    [
        ("wavpack", "a.wv", "WavPack"),
        ("tta", "a.tta", "True Audio"),
        ("ac3", "a.ac3", "AC-3"),
        ("aac", "a.flv", "Flash video"),
    ],
)
def test_kinds_that_are_not_read_are_named_with_a_way_out(tmp_path, codec, name, called):
    rate = 48_000 if codec == "ac3" else 44_100
    write_with_av(tmp_path / name, chirp(rate=rate), codec=codec, rate=rate)
    for renamed in (name, "a.wav"):
        path = (tmp_path / name).rename(tmp_path / renamed) if renamed != name else tmp_path / name
        with pytest.raises(AudioError, match=rf"{renamed} is {called}, .*ffmpeg -i {renamed} out\.wav") as caught:
            sound_files.read(path)
        assert caught.value.reason == "unsupported"


@pytest.mark.parametrize("content", [bytes(100_000), TAG, TAG + bytes(50), b"TAG" + bytes(125)])
def test_nothing_but_tags_or_zeros(tmp_path, content):
    (tmp_path / "a.mp3").write_bytes(content)
    with pytest.raises(AudioError, match="nothing but tags or zeros") as caught:
        sound_files.read(tmp_path / "a.mp3")
    assert caught.value.reason == "not_audio"


@pytest.mark.parametrize("name", ["a.ts", "a.amr", "a.wma", "a.avi", "a.aiff", "a.caf", "a.w64", "a.au", "a.mkv"])
def test_no_cut_of_these_passes_silently(tmp_path, name):
    path = made(tmp_path, name)
    content = path.read_bytes()
    head, packet = {"a.ts": (0, 188), "a.amr": (6, 13)}.get(name, (0, 1))  # which do not tell how many there are
    for part in np.linspace(0.03, 0.97, 12):
        n = int(len(content) * part)
        path.write_bytes(content[: n - (n - head) % packet + packet // 2])
        with pytest.raises(AudioError):
            sound_files.read(path)


def test_a_whole_file_is_one_part(tmp_path):
    for name in (*ALL, *MORE):
        path = made(tmp_path, name)
        with path.open("rb") as file:
            (part,), remarks = containers.parts(path, file)
        assert (part.start, part.end) == (0, path.stat().st_size) and not remarks


def test_whole_files_of_one_second_are_read_without_remarks(tmp_path):
    for name in ALL[:8]:
        remarks = []
        assert abs(len(sound_files.read(whole(tmp_path, name), remarks=remarks)) / RATE - 1) < PADDING_S
        assert remarks == []


def without_notes(content):
    """A FLAC whose only block of metadata is the first, as programs that strip tags leave it."""
    at, is_last = 4, False
    while not is_last:
        is_last = bool(content[at] & 0x80)
        at += 4 + int.from_bytes(content[at + 1 : at + 4], "big")
    return content[:4] + bytes([content[4] | 0x80]) + content[5:42] + content[at:]


def test_a_flac_without_notes_is_one_and_so_are_two_joined(tmp_path):
    path = made(tmp_path, "a.flac")
    alone, bare = sound_files.read(path), without_notes(path.read_bytes())
    path.write_bytes(bare)
    assert np.array_equal(sound_files.read(path), alone)
    path.write_bytes(2 * bare)
    remarks = []
    assert np.array_equal(sound_files.read(path, remarks=remarks), np.tile(alone, 2))
    assert remarks == ["2 recordings stand in it one after another; all are read"]
    path.write_bytes(bare + bytes(range(1, 256)) * 100)
    with pytest.raises(AudioError, match="bytes follow its last sample"):
        sound_files.read(path)


@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
def test_what_follows_is_looked_through_once_and_as_far_as_it_may_be_left_out(tmp_path, far):
    first, second = (made(tmp_path, name).read_bytes() for name in ("a.wav", "a.mp3"))
    noise = b"\xff\x01" * (200_000 if far else 1_500)
    path = tmp_path / "a.wav"
    path.write_bytes(first + noise + second)

    class Counted(io.BufferedReader):
        n_read = 0

        def read(self, n=-1):
            found = super().read(n)
            self.n_read += len(found)
            return found

    with Counted(io.FileIO(path)) as counted:
        if far:
            with pytest.raises(AudioError, match="bytes that are no sound"):
                containers.parts(path, counted)
        else:
            parts, remarks = containers.parts(path, counted)
            assert [part.kind for part in parts] == ["wav", "mp3"]
            assert remarks[0] == f"3000 bytes from byte {len(first)} on are no sound and are left out"
        assert counted.n_read < 3 * path.stat().st_size
