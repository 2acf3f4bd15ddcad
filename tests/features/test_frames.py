"""Every frame of compressed streams is found, without a decoder."""

import av
import numpy as np
import pytest
import soundfile

from s2f.features import containers, frames
from tests.features.making import chirp, encode, write_with_av


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("name", ["a.mp3", "a.aac"])
def test_every_frame_of_a_stream_is_found(tmp_path, name, rate):
    wave, path = chirp(rate=rate, seconds=2.0), tmp_path / name
    if name == "a.mp3":
        soundfile.write(path, np.stack([wave, wave], axis=1), rate)
    else:
        write_with_av(path, wave, codec="aac", rate=rate, channels=2)
    content = path.read_bytes()
    with path.open("rb") as file:
        (part,), remarks = containers.parts(path, file)
    assert (part.start, part.end) == (0, len(content)) and not remarks
    first = frames.of(content[:64])
    assert (first.rate, first.n_channels) == (rate, 2)
    assert 2 * rate <= part.n_samples < 2 * rate + 4 * 1_152


def test_every_frame_type_of_amr_is_known(tmp_path):
    path, sizes = tmp_path / "a.amr", set()
    for bit_rate in (4_750, 5_150, 5_900, 6_700, 7_400, 7_950, 10_200, 12_200):
        with av.open(str(path), "w") as target:
            stream = target.add_stream("libopencore_amrnb", rate=8_000, layout="mono")
            stream.bit_rate = bit_rate
            encode(target, stream, chirp(rate=8_000, seconds=3.0)[None], rate=8_000)
        with path.open("rb") as file:
            (part,), remarks = containers.parts(path, file)
        assert part.end == path.stat().st_size and not remarks
        assert part.n_samples == pytest.approx(24_000, abs=200)
        sizes.add(part.end)
    assert len(sizes) == 8


@pytest.mark.parametrize(
    "head",
    [b"", b"\xff", b"\xff\xfb", b"\xff\xfb\x00\x00" + bytes(60), b"\xff\xe9\x90\x00" + bytes(60), b"RIFF" + bytes(60)],
)
def test_what_begins_no_frame(head):
    assert frames.of(head) is None


def test_a_frame_of_another_rate_or_number_of_channels_belongs_to_another_recording():
    one = frames.Frame("mp3", 44_100, 2, 417, 1_152)
    assert frames.Frame("mp3", 44_100, 2, 522, 1_152).continues(one)
    for other in ("aac", 44_100, 2), ("mp3", 48_000, 2), ("mp3", 44_100, 1):
        assert not frames.Frame(*other, 417, 1_152).continues(one)
    assert not frames.Frame("mp3", 44_100, 2, 417, 1_152, contents_bytes=0).continues(one)
