"""Files as they lie on disk, for looking at."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from s2f.report import sheets

# ------------------------------------------------------------------------------------- durations and photos


def write_m4a(path, seconds, *, rate=16_000):
    import av

    wave = (0.1 * np.sin(np.arange(int(rate * seconds)) / 9)).astype(np.float32)
    with av.open(str(path), "w", format="mp4") as target:
        stream = target.add_stream("aac", rate=rate, layout="mono")
        for start in range(0, len(wave), 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    root = tmp_path_factory.mktemp("recordings")
    soundfile.write(root / "1.wav", np.zeros(24_000), 16_000)
    soundfile.write(root / "2.flac", np.zeros(8_000), 8_000)
    write_m4a(root / "3.m4a", 2.0)
    (root / "4.wav").write_bytes(b"RIFF broken")
    (root / "5.wav").touch()
    np.save(root / "6.npy", np.random.default_rng(0).normal(size=(50, 64)).astype(np.float32))
    names = [*sorted(p.name for p in root.iterdir()), "gone.wav"]
    rows = [("Ann", "voice", name) for name in names] + [("Ann", "face", "1.wav")]
    return pd.DataFrame(rows, columns=["identity", "modality", "path"]), root


def test_durations_leave_out_what_is_broken(recordings):
    found = sheets.durations(*recordings)
    assert found.name == "duration_s" and found.dtype == float
    assert found.tolist() == pytest.approx([1.5, 1.0, 2.0, 0.5], abs=0.1)  # AAC pads by a frame or two


def test_durations_of_nothing_that_can_be_read(recordings):
    table, root = recordings
    found = sheets.durations(table[table["path"] == "gone.wav"], root)
    assert found.empty and found.dtype == float


@pytest.mark.parametrize(("n", "max_files", "n_read"), [(10, 10, 10), (10, 4, 4), (10, 3, 3), (19, 10, 10), (3, 9, 3)])
def test_durations_are_read_of_few_files_spread_over_all(recordings, n, max_files, n_read):
    root = recordings[1]
    lengths_s = np.arange(1, n + 1) / 100
    for k, seconds in enumerate(lengths_s):
        soundfile.write(root / f"of_{n}_{k}.wav", np.zeros(round(16_000 * seconds)), 16_000)
    table = pd.DataFrame({"modality": "voice", "path": [f"of_{n}_{k}.wav" for k in range(n)]})
    found = sheets.durations(table, root, max_files=max_files)
    assert len(found) <= max_files and len(found) == n_read
    assert set(found.round(4)) <= set(lengths_s.round(4))
    assert found.max() >= lengths_s[-1] * 0.75  # the last files too


@pytest.mark.parametrize(("n", "colours"), [(1, [10]), (2, [10, 30]), (5, [10, 30, 40])])
def test_some_photos_skip_those_that_are_broken(tmp_path, n, colours):
    for name, grey in {"ann.png": 10, "ann2.png": 20, "cy2.png": 30, "di.png": 40}.items():
        Image.new("RGB", (20, 24), (grey, grey, grey)).save(tmp_path / name)
    (tmp_path / "cy.png").write_bytes(b"\x89PNG broken")
    rows = [
        ("Ann", "ann.png"),
        ("Ann", "ann2.png"),
        ("Bob", "gone.png"),
        ("Cy", "cy.png"),
        ("Cy", "cy2.png"),
        ("Di", "di.png"),
    ]
    table = pd.DataFrame(rows, columns=["identity", "path"]).assign(modality="face")
    table = pd.concat([pd.DataFrame([("Ann", "a.wav", "voice")], columns=table.columns), table])
    shown = sheets.some_photos(table, tmp_path, n=n)
    assert [photo[0, 0, 0] for photo in shown] == colours
    assert all(photo.shape == (24, 20, 3) and photo.dtype == np.uint8 for photo in shown)
