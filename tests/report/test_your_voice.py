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

from s2f.errors import AudioError, OutputError
from s2f.report import draws, face_figures, prose, your_voice
from tests.features.making import vowel

NOW = pd.Timestamp("2026-01-02", tz="UTC").to_pydatetime()
WAVE = vowel(1.9, pitch_hz=170, rng=np.random.default_rng(1)).astype(np.float32)


class Model:
    """A stand-in for a variant: its faces are grey, one a voice without sampler, and it notes what it heard."""

    def __init__(self, grey, *, sampler=True):
        self.grey, self.heard, self.asked, self.sampler = grey, [], [], object() if sampler else None

    def hear(self, sound):
        self.heard.append(sound)
        return np.zeros((1, 64), np.float32), None

    def embed(self, features):
        return np.ones(2, np.float32)

    def typical(self, embeddings):
        return np.full((1, 64, 64, 3), self.grey, np.uint8)

    def draws(self, embeddings, n, *, seed):
        self.asked.append((n, seed))
        return np.full((1, n, 64, 64, 3), self.grey + 1 + seed, np.uint8)


@pytest.fixture
def models():
    return {"general": Model(50), "females": Model(90)}


def greys(figure):
    """Of the first picture of each figure's axes that is one of faces, the greys that are in it."""
    pictures = [np.asarray(image.get_array()) for ax in figure.axes for image in ax.get_images()]
    return [sorted(set(picture[..., 0][picture[..., -1] > 0].tolist())) for picture in pictures if picture.ndim == 3]


NAMES = {"From (s)": "from_", "Length (s)": "length"}


def panel(study, models):
    """The panel's widgets by name."""
    first, cutting, others, note, state, out = your_voice.panel(study, models).children
    named = dict(zip(("pick", "upload", "record"), first.children, strict=True), note=note, state=state)
    return SimpleNamespace(
        **named,
        out=out,
        **{NAMES.get(w.description, w.description.lower()): w for w in (*cutting.children, *others.children)},
    )


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
    assert your_voice.example(study) == ("ann (f)", data / "a1.wav")


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_recording_without_a_name_is_read(kind):
    wave = your_voice._read_bytes(coded(kind), [], name="x")
    assert wave.dtype == np.float32 and abs(len(wave) / len(WAVE) - 1) < 0.15
    assert np.abs(wave).max() > 0.2


def test_a_recording_is_played_shown_and_drawn_by_each_variant(models, displayed):
    your_voice.show(WAVE, models)
    assert [type(each) for each in displayed] == [Audio, Figure, Figure, Figure]
    assert [greys(figure)[0] for figure in displayed[-2:]] == [[50, 51], [90, 91]]
    assert len(models["general"].heard) == 1 and np.array_equal(models["general"].heard[0], WAVE)
    assert all(model.asked == [(draws.N_COMPARED, 0)] for model in models.values())


def test_of_a_recording_its_voiced_parts_are_played(study, tmp_path, capsys):
    silence = np.zeros(32_000, np.float32)
    played = your_voice.player(np.concatenate([silence, WAVE, silence]))
    with soundfile.SoundFile(io.BytesIO(played.data)) as sound:
        assert sound.samplerate == 16_000 and abs(sound.frames - len(WAVE)) < 0.3 * 16_000
    data = study.root / "data"
    assert (
        your_voice.player(data / "a1.wav").data == your_voice.player(your_voice.sound_files.read(data / "a1.wav")).data
    )
    assert your_voice.player(tmp_path / "x.npy") is None
    assert capsys.readouterr().out == "A processed recording has no sound to play.\n"


def test_of_a_long_recording_the_first_minute_is_played(monkeypatch):
    monkeypatch.setattr(your_voice, "PLAYED_S", 1)
    with soundfile.SoundFile(io.BytesIO(your_voice.player(WAVE).data)) as sound:
        assert sound.frames == 16_000


def test_variants_without_sampler_have_one_face_each(displayed):
    models = {"general": Model(50, sampler=False), "females": Model(90), "males": Model(70, sampler=False)}
    found = your_voice.show_drawn(WAVE, models, n=4, seed=3)
    assert [greys(figure) for figure in displayed] == [[[90, 94], [94]], [[50], [70]]]
    assert {"females"} == {name for name in models if models[name].asked}
    assert [len(each.sheet) for each in found] == [1, 4, 1]


def test_a_part_is_cut_out_and_one_that_is_not_there_is_refused():
    wave = np.arange(5 * 16_000, dtype=np.float32)
    assert np.array_equal(your_voice.cut(wave, start_s=1.5, length_s=2, name="x"), wave[24_000:56_000])
    assert np.array_equal(your_voice.cut(wave, start_s=4, length_s=0, name="x"), wave[64_000:])
    assert np.array_equal(your_voice.cut(wave, start_s=4, length_s=9, name="x"), wave[64_000:])
    with pytest.raises(AudioError, match=r"^x ends after 5\.0 s, before the part that begins at 5 s\. Begin earlier"):
        your_voice.cut(wave, start_s=5, length_s=1, name="x")


def test_how_much_is_heard_is_said(models, displayed, capsys):
    your_voice.show(np.pad(WAVE, (0, 32_000)), models)
    assert capsys.readouterr().out == "2.0 s of voice in 3.9 s\nsounds like tones or music, not like speech\n"
    noise = np.random.default_rng(0).normal(0, 0.1, 48_000).clip(-1, 1).astype(np.float32)
    assert your_voice.told(noise).splitlines()[1] == "sounds like noise or hum, not like speech"


def test_the_panel_takes_a_pick_an_upload_and_a_recording(study, models, displayed):
    widgets = panel(study, models)
    assert widgets.pick.options == ("", "ann (f)", "bo") and widgets.note.value == prose.REAL_VOICES
    widgets.pick.value = "bo"
    widgets.upload.value = (upload("x", coded("WAV")),)
    widgets.record.sound = coded("FLAC")
    assert [len(model.asked) for model in models.values()] == [3, 3]
    widgets.pick.value = ""
    assert len(models["general"].asked) == 3


def test_a_recording_arrives_as_browsers_send_it(study, models, displayed):
    widgets = panel(study, models)
    widgets.record.set_state({"sound": memoryview(coded("OGG"))})
    assert type(widgets.record.sound) is bytes and len(models["general"].heard) == 1 and len(displayed) == 4


def test_the_panel_says_what_it_is_drawing_and_what_is_below(study, models, displayed, monkeypatch):
    widgets, seen = panel(study, models), []
    monkeypatch.setattr(your_voice, "show", lambda *args, **kwargs: seen.append(widgets.state.value))
    widgets.upload.value = (upload("a <b>.wav", coded("WAV")),)
    assert seen == ["Drawing from a &lt;b&gt;.wav …"] and widgets.state.value == "Below: a &lt;b&gt;.wav."


def test_what_is_chosen_in_the_panel_is_drawn_again(study, models, displayed):
    widgets = panel(study, models)
    widgets.faces.value = 20  # nothing is given yet
    assert not displayed and not models["general"].asked
    widgets.pick.value = "bo"
    displayed.clear()
    widgets.variant.value = "females"
    assert len(displayed) == 3 and greys(displayed[-1])[0] == [90, 91]
    widgets.seed.value = 7
    assert greys(displayed[-1])[0] == [90, 98]
    step = 64 + face_figures.GAP_PX
    assert displayed[-1].axes[0].get_images()[0].get_array().shape[1] == 5 * step - face_figures.GAP_PX  # of 20 faces
    assert len(models["general"].asked) == 1
    heard = models["females"].heard
    assert heard[-1] == study.root / "data" / "b1.wav"
    widgets.length.value = 1
    widgets.from_.value = 0.5
    assert np.array_equal(heard[-1], your_voice.sound_files.read(study.root / "data" / "b1.wav")[8_000:24_000])


def test_a_part_that_is_not_there_is_an_error_in_the_panel(study, models, displayed, capsys):
    widgets = panel(study, models)
    widgets.from_.value = 60
    widgets.pick.value = "bo"
    assert said(capsys) == "error: bo ends after 1.9 s, before the part that begins at 60 s. Begin earlier.\n"
    assert not displayed and not models["general"].heard
    widgets.from_.value = 0
    assert len(displayed) == 4


def test_a_processed_recording_is_heard_whole(study, models, displayed, monkeypatch, capsys):
    monkeypatch.setattr(your_voice, "corpus_recordings", lambda study: {"bo": study.root / "b.npy"})
    monkeypatch.setattr(your_voice, "told", lambda sound, name: "1.0 s of voice")
    monkeypatch.setattr(your_voice.sheets, "recording", lambda sound: (None, None, np.zeros((9, 64))))
    widgets = panel(study, models)
    widgets.length.value = 2
    widgets.pick.value = "bo"
    assert "A processed recording has no sound to cut: all of it is heard.\n" in said(capsys)
    assert models["general"].heard == [study.root / "b.npy"]


def test_a_recording_that_cannot_be_used_is_an_error_in_the_panel(study, models, displayed, capsys):
    widgets = panel(study, models)
    widgets.record.sound = b"no sound at all" * 20
    text = said(capsys)
    assert "error: " in text and "is not audio" in text
    widgets.record.problem = "NotAllowedError: <no>"
    assert widgets.state.value == "The browser gives no microphone: NotAllowedError: &lt;no&gt;"
    widgets.record.problem = ""
    assert "NotAllowedError" in widgets.state.value  # it stays until something is drawn
    assert displayed == [] and models["general"].heard == []


def said(capsys):
    """What the panel printed, without what clears a terminal."""
    return capsys.readouterr().out.replace("\x1b[2K\r", "")


def upload(name, content):
    return {"name": name, "type": "", "size": 1, "content": memoryview(content), "last_modified": NOW}


def test_an_upload_may_be_taken_back(study, models, displayed):
    widgets = panel(study, models)
    widgets.upload.value = (upload("x.wav", coded("WAV")),)
    widgets.upload.value = ()
    assert len(models["general"].heard) == 1 and len(displayed) == 4
    assert not any(output.get("output_type") == "error" for output in widgets.out.outputs)


@pytest.mark.parametrize("content", [b"no sound at all" * 20, b""], ids=["no sound", "nothing"])
def test_an_error_names_the_upload(study, models, displayed, capsys, content):
    widgets = panel(study, models)
    widgets.upload.value = (upload("my voice.m4a", content),)
    text = said(capsys)
    assert text.startswith("error: my voice.m4a ") and "/tmp" not in text and "recording." not in text
    assert len(text.splitlines()) == 1 and not displayed


def test_an_upload_with_hardly_any_voice_is_named(study, models, displayed, capsys):
    out = io.BytesIO()
    soundfile.write(out, WAVE[:3200], 16_000, format="WAV")
    widgets = panel(study, models)
    widgets.upload.value = (upload("short.wav", out.getvalue()),)
    assert said(capsys).startswith("error: short.wav holds ")
    widgets.record.sound = out.getvalue()
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
