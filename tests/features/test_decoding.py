"""What decoders are given, and which of a file's tracks."""

import io

import numpy as np
import pytest

from s2f.errors import AudioError
from s2f.features import sound_files
from s2f.features.decoding import Slice
from tests.features.making import write_tracks, write_with_av
from tests.features.test_containers import PADDING_S, RATE, SINE, hz, sine


def test_a_slice_is_a_file_of_its_own():
    content = bytes(range(100))
    part = Slice(io.BytesIO(content), 10, 40)
    assert part.read(5) == content[10:15] and part.tell() == 5 and part.n_unread == 25
    assert part.seek(-3, io.SEEK_END) == 27 and part.read() == content[37:40] and part.read(5) == b""
    assert (
        part.n_unread == 0 and part.seek(2) == 2 and part.seek(3, io.SEEK_CUR) == 5 and part.read(2) == content[15:17]
    )
    assert part.seek(1_000) == 1_000 and part.read(1) == b""
    assert part.seek(1 << 63) == 1 << 63 and part.read(1) == b""  # where no file can go
    assert part.readable() and part.seekable()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("default", [0, 1])
def test_of_several_tracks_the_default_is_read_and_said(tmp_path, name, default):
    other = sine(RATE, hz=900, seconds=2)
    write_tracks(tmp_path / name, [SINE, other], codec="aac", rate=RATE, default=default)
    remarks = []
    wave = sound_files.read(tmp_path / name, remarks=remarks)
    assert abs(len(wave) / RATE - (3, 2)[default]) < PADDING_S
    assert np.median(hz(wave)) == pytest.approx((200, 900)[default], abs=2)
    assert remarks == [f"track {default + 1} of 2 is read, its default"]


def test_where_no_track_is_marked_the_first_is_read_and_said(tmp_path):
    write_tracks(tmp_path / "a.mkv", [SINE, SINE[:RATE]], codec="aac", rate=RATE)
    remarks = []
    assert len(sound_files.read(tmp_path / "a.mkv", remarks=remarks)) > 2.9 * RATE
    assert remarks == ["track 1 of 2 is read, the first"]


def test_a_track_in_an_unknown_coding_is_named(tmp_path):
    write_with_av(tmp_path / "a.mp4", SINE, codec="aac", rate=RATE)
    content = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(content.replace(b"mp4a", b"zzzz").replace(b"esds", b"free"))
    with pytest.raises(AudioError, match="sound in an unknown coding") as caught:
        sound_files.read(tmp_path / "a.mp4")
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize(("container", "late"), [("mp3", 0), ("matroska", 0), ("wav", 1105), ("avi", 1105)])
def test_what_an_mp3_encoder_puts_before_the_sound_is_left_out_where_it_is_told(tmp_path, container, late):
    wave = np.random.default_rng(0).normal(size=RATE).astype(np.float32) * 0.1
    write_with_av(tmp_path / "a", wave, codec="libmp3lame", rate=RATE, format=container)
    read = sound_files.read(tmp_path / "a")
    alike = np.fft.irfft(np.fft.rfft(read, 1 << 16) * np.fft.rfft(wave, 1 << 16).conj())
    assert alike.argmax() == late * 16_000 // RATE
