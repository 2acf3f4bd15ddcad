"""The panel of 08_your_voice: what is picked, uploaded or recorded is heard, shown, and drawn by each variant."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
from IPython.display import Audio
from matplotlib.figure import Figure

from s2f.errors import OutputError
from s2f.report import your_voice
from tests.features.making import vowel

NOW = pd.Timestamp("2026-01-02", tz="UTC").to_pydatetime()
WAVE = vowel(1.9, pitch_hz=170, rng=np.random.default_rng(1)).astype(np.float32)


class Model:
    """A stand-in for a variant: draws one grey, and notes what it heard."""

    def __init__(self, grey):
        self.grey, self.heard = grey, []

    def reconstruct(self, sound):
        self.heard.append(sound)
        return np.full((64, 64, 3), self.grey, np.uint8)


@pytest.fixture
def models():
    return {"general": Model(50), "females": Model(90)}


@pytest.fixture
def displayed(monkeypatch):
    shown = []
    monkeypatch.setattr(your_voice, "display", shown.append)
    return shown


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A run with a corpus of two test people, one of unknown sex, and a recording of each."""
    (tmp_path / "summary.json").write_text(json.dumps({"root": "data"}))
    (tmp_path / "data").mkdir()
    voices = pd.DataFrame({"identity": ["ann", "ann", "bo"], "gender": ["f", "f", None]})
    voices["path"] = ["a1.wav", "a2.wav", "b1.wav"]
    for name in voices["path"]:
        soundfile.write(tmp_path / "data" / name, WAVE, 16_000)
    store = SimpleNamespace(voices=lambda split: voices if split == "test" else None)
    monkeypatch.setattr(your_voice.Store, "open", lambda folder: store)
    return SimpleNamespace(root=tmp_path, read=lambda what: tmp_path)


def coded(kind):
    out = io.BytesIO()
    soundfile.write(out, WAVE, 16_000, format=kind)
    return out.getvalue()


def test_one_recording_of_each_person_is_offered(study):
    data = study.root / "data"
    assert your_voice.corpus_recordings(study) == {"ann (f)": data / "a1.wav", "bo": data / "b1.wav"}
    assert list(your_voice.corpus_recordings(study, n=1)) == ["ann (f)"]
    assert your_voice.example(study) == data / "a1.wav"


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_recording_without_a_name_is_read(kind):
    wave = your_voice._read_bytes(coded(kind), [], name="x")
    assert wave.dtype == np.float32 and abs(len(wave) / len(WAVE) - 1) < 0.15
    assert np.abs(wave).max() > 0.2


def test_a_recording_is_played_shown_and_drawn_by_each_variant(models, displayed):
    your_voice.show(WAVE, models)
    assert [type(each) for each in displayed] == [Audio, Figure, Figure]
    drawn = [int(np.asarray(ax.get_images()[0].get_array())[0, 0, 0]) for ax in displayed[-1].axes if ax.get_images()]
    assert drawn == [50, 90]
    assert all(len(model.heard) == 1 and np.array_equal(model.heard[0], WAVE) for model in models.values())


def test_how_much_is_heard_is_said(models, displayed, capsys):
    your_voice.show(np.pad(WAVE, (0, 32_000)), models)
    assert capsys.readouterr().out == "2.0 s of voice in 3.9 s\nsounds like tones or music, not like speech\n"
    noise = np.random.default_rng(0).normal(0, 0.1, 48_000).clip(-1, 1).astype(np.float32)
    assert your_voice.told(noise).splitlines()[1] == "sounds like noise or hum, not like speech"


def test_the_panel_takes_a_pick_an_upload_and_a_recording(study, models, displayed):
    box, _ = your_voice.panel(study, models).children
    pick, upload, record = box.children
    assert pick.options == ("", "ann (f)", "bo")
    pick.value = "bo"
    upload.value = ({"name": "x", "type": "", "size": 1, "content": memoryview(coded("WAV")), "last_modified": NOW},)
    record.sound = coded("FLAC")
    assert [len(model.heard) for model in models.values()] == [3, 3]
    pick.value = ""
    assert len(models["general"].heard) == 3


def test_a_recording_that_cannot_be_used_is_an_error_in_the_panel(study, models, displayed, capsys):
    box, _ = your_voice.panel(study, models).children
    box.children[2].sound = b"no sound at all" * 20
    box.children[2].problem = "NotAllowedError"
    said = capsys.readouterr().out
    assert "error: " in said and "is not audio" in said and "The browser gives no microphone: NotAllowedError" in said
    assert displayed == [] and models["general"].heard == []


def said(capsys):
    """What the panel printed, without what clears a terminal."""
    return capsys.readouterr().out.replace("\x1b[2K\r", "")


def upload(name, content):
    return {"name": name, "type": "", "size": 1, "content": memoryview(content), "last_modified": NOW}


def test_an_upload_may_be_taken_back(study, models, displayed):
    box, out = your_voice.panel(study, models).children
    widget = box.children[1]
    widget.value = (upload("x.wav", coded("WAV")),)
    widget.value = ()
    assert len(models["general"].heard) == 1 and len(displayed) == 3
    assert not any(output.get("output_type") == "error" for output in out.outputs)


@pytest.mark.parametrize("content", [b"no sound at all" * 20, b""], ids=["no sound", "nothing"])
def test_an_error_names_the_upload(study, models, displayed, capsys, content):
    box, _ = your_voice.panel(study, models).children
    box.children[1].value = (upload("my voice.m4a", content),)
    text = said(capsys)
    assert text.startswith("error: my voice.m4a ") and "/tmp" not in text and "recording." not in text
    assert len(text.splitlines()) == 1 and not displayed


def test_an_upload_with_hardly_any_voice_is_named(study, models, displayed, capsys):
    out = io.BytesIO()
    soundfile.write(out, WAVE[:3200], 16_000, format="WAV")
    box, _ = your_voice.panel(study, models).children
    box.children[1].value = (upload("short.wav", out.getvalue()),)
    assert said(capsys).startswith("error: short.wav holds ")
    box.children[2].sound = out.getvalue()
    assert said(capsys).startswith("error: the recording holds ")
    assert not displayed


def test_a_page_of_a_run_that_can_only_be_read_ends_well(capsys):
    def finish():
        raise OutputError("runs/x.json", "cannot be written: the disk can only be read", remedy="Write elsewhere.")

    your_voice.finish(SimpleNamespace(finish=finish))
    text = said(capsys)
    assert text.startswith("What made this page is not kept: runs/x.json cannot be written: ") and text.count("\n") == 1
    done = []
    your_voice.finish(SimpleNamespace(finish=lambda: done.append(True)))
    assert done == [True] and not capsys.readouterr().out
