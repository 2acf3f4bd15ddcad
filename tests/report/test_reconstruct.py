"""The command that draws the face of a recording: where pictures go, how large they are, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2f import __main__ as cli
from s2f.features.listening import Heard
from s2f.networks import inference
from s2f.report import reconstruct

FACE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.fixture
def drawn(monkeypatch):
    """A stand-in for a trained variant; gives the recordings that it was asked for."""
    asked = []

    class Model:
        def hear(self, recording):
            asked.append(recording.name)
            return "features", Heard(np.zeros((1, 64)), 3.25, 5.5, ("track 2 of 2 is read, its default",))

        def face(self, features):
            assert features == "features"
            return FACE

    monkeypatch.setattr(inference, "load", lambda folder: Model())
    return asked


def test_pictures_go_beside_recordings_to_a_file_or_into_a_folder(tmp_path):
    one, two = Path("a/x.wav"), Path("b/y.mp3")
    assert reconstruct.targets([one, two], None) == {one: Path("a/x.png"), two: Path("b/y.png")}
    assert reconstruct.targets([one], Path("face.jpg")) == {one: Path("face.jpg")}
    assert reconstruct.targets([one], tmp_path) == {one: tmp_path / "x.png"}
    assert reconstruct.targets([one, two], Path("new")) == {one: Path("new/x.png"), two: Path("new/y.png")}


def test_a_picture_is_the_drawn_face(tmp_path, drawn, capsys):
    recording = tmp_path / "voice.wav"
    assert cli.main(["reconstruct", str(recording)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{recording} -> {tmp_path / 'voice.png'}: 3.2 s of voice in 5.5 s\n"
    assert said.err == f"warning: {recording}: track 2 of 2 is read, its default\n"
    with Image.open(tmp_path / "voice.png") as picture:
        assert np.array_equal(np.asarray(picture), FACE)
    assert drawn == ["voice.wav"]


def test_several_pictures_of_another_size(tmp_path, drawn):
    words = ["one.wav", "two.wav", "-o", str(tmp_path / "faces"), "--size", "128"]
    assert cli.main(["reconstruct", *words]) == 0
    assert sorted(path.name for path in (tmp_path / "faces").iterdir()) == ["one.png", "two.png"]
    with Image.open(tmp_path / "faces" / "one.png") as picture:
        assert picture.size == (128, 128)
    assert drawn == ["one.wav", "two.wav"]


def test_what_is_no_picture_is_refused(tmp_path, drawn, capsys):
    assert cli.main(["reconstruct", "x.wav", "-o", str(tmp_path / "face.mov")]) == 2
    assert "is no picture's name. End --output in .png" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
