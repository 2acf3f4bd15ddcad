"""Which of several files of one thing is used."""

import pytest

from s2f.corpora import formats


@pytest.mark.parametrize(
    ("path", "whole", "expected"),
    [
        ("/x/wav/ann/1.WAV", False, ("ann", "1")),
        ("/y/M4A/ann/1.m4a", False, ("ann", "1")),
        ("x/jpg/ann/A.b.jpg", True, ("x", "ann", "a.b")),
        ("1.wav", True, ("1",)),
    ],
)
def test_place(path, whole, expected):
    assert formats.place(path, whole=whole) == expected


def test_doubles(tmp_path):
    names = ["a.mp3", "b/a.mp3", "a.flac", "empty.wav", "gone.wav", "other.m4a"]
    paths = [str(tmp_path / name) for name in names]
    (tmp_path / "b").mkdir()
    for name in names[:3] + names[5:]:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "empty.wav").touch()
    one = ["key"] * 5 + ["other"]
    assert formats.doubles(paths, one, elsewhere=False) == {0: 2, 1: 2}
    preferred = [True] + [False] * 5
    assert formats.doubles(paths, one, elsewhere=False, preferred=preferred) == {2: 0}  # two mp3 may be two things
    assert formats.doubles(paths, one, elsewhere=True, preferred=preferred) == {1: 0, 2: 0}
    assert formats.doubles(paths[:1] * 2, one[:2], elsewhere=True) == {}  # one file, listed twice
    assert formats.doubles([], [], elsewhere=True) == {}
