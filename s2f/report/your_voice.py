"""The panel of 08_your_voice: pick, upload or record a sound, and see the face of each variant."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import traitlets
from IPython.display import Audio, display

from s2f.errors import AudioError, OutputError, S2FError
from s2f.features import front_end, listening, sound_files
from s2f.features.store import Store
from s2f.networks.inference import Model
from s2f.report import face_figures, sheets, voice_figures
from s2f.study.runs import Study

_RECORD = """
function render({ model, el }) {
  const button = document.createElement("button");
  button.className = "jupyter-button";
  const idle = "Record", busy = "Stop";
  button.textContent = idle;
  let recorder = null;
  button.onclick = async () => {
    if (recorder) { recorder.stop(); return; }
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      const parts = [];
      recorder = new MediaRecorder(stream);
      recorder.ondataavailable = (event) => parts.push(event.data);
      recorder.onstop = async () => {
        stream.getTracks().forEach((track) => track.stop());
        recorder = null;
        button.textContent = idle;
        const bytes = await new Blob(parts).arrayBuffer();
        model.set("sound", new DataView(bytes));
        model.save_changes();
      };
      recorder.start();
      button.textContent = busy;
    } catch (error) {
      model.set("problem", String(error));
      model.save_changes();
    }
  };
  el.appendChild(button);
}
export default { render };
"""


class Recorder(anywidget.AnyWidget):
    """A button that records from the browser's microphone; `sound` holds the last recording as WebM or Ogg."""

    _esm = _RECORD
    sound = traitlets.Bytes(b"").tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)


def corpus_recordings(study: Study, *, n: int = 20) -> dict[str, Path]:
    """Up to `n` test recordings of the corpus, each of another person, by a name to show."""
    summary = json.loads((study.read("corpus") / "summary.json").read_text(encoding="utf-8"))
    voices = Store.open(study.read("store")).voices(split="test").groupby("identity").head(1).head(n)
    return {
        row.identity + (f" ({row.gender})" if row.gender else ""): study.root / summary["root"] / row.path
        for row in voices.itertuples()
    }


def example(study: Study) -> Path:
    """A test recording of the corpus: the first person's first."""
    return next(iter(corpus_recordings(study).values()))


def told(sound: Path | np.ndarray, *, name: str = "wave") -> str:
    """How many seconds of voice a recording holds, and what else there is to say about it, a line each.

    `name` is what an error calls a wave.
    """
    heard = listening.listen(sound, name=name)
    return "\n".join((str(heard), *heard.remarks))


def show(sound: Path | np.ndarray, models: Mapping[str, Model], *, name: str = "wave") -> None:
    """Display a recording to listen to, what is heard of it, and the face of each variant; `name` as in `told`."""
    print(told(sound, name=name))
    wave, mask, log_mel = sheets.recording(sound)
    if wave is not None:
        display(Audio(wave, rate=front_end.SAMPLE_RATE))
    display(voice_figures.voice(wave, mask, log_mel))
    drawn = [model.reconstruct(sound if wave is None else wave) for model in models.values()]
    display(face_figures.face_sheet(drawn, labels=list(models), n_columns=3))


def panel(study: Study, models: Mapping[str, Model]) -> ipywidgets.Widget:
    """Widgets to pick, upload or record a sound; each choice is shown below them."""
    out = ipywidgets.Output()
    recordings = corpus_recordings(study)
    pick = ipywidgets.Dropdown(options=["", *recordings], description="Pick")
    upload = ipywidgets.FileUpload(accept="audio/*,video/*", multiple=False, description="Upload")
    record = Recorder()

    @out.capture(clear_output=True, wait=True)
    def chosen(sound: Path | bytes, name: str = "the recording") -> None:
        try:
            remarks: list[str] = []
            wave = sound if isinstance(sound, Path) else _read_bytes(sound, remarks, name=name)
            print(*remarks, sep="\n", end="\n" if remarks else "")
            show(wave, models, name=name)
        except S2FError as error:
            print(f"error: {error}")

    def uploaded(change: Mapping) -> None:
        for file in change["new"]:  # none where the widget is cleared
            chosen(bytes(file["content"]), file["name"])

    def picked(change: Mapping) -> None:
        if change["new"]:
            chosen(recordings[change["new"]])

    def refused(change: Mapping) -> None:
        with out:
            print(f"The browser gives no microphone: {change['new']}")

    pick.observe(picked, "value")
    upload.observe(uploaded, "value")
    record.observe(lambda change: chosen(bytes(change["new"])), "sound")
    record.observe(refused, "problem")
    return ipywidgets.VBox([ipywidgets.HBox([pick, upload, record]), out])


def finish(study: Study) -> None:
    """Note what made the page, where the run's folder can be written: the rest works where it can only be read."""
    try:
        study.finish()
    except OutputError as error:
        print(f"What made this page is not kept: {error}")


def _read_bytes(sound: bytes, remarks: list[str], *, name: str) -> np.ndarray:
    """Samples of a recording that a browser gave; the readers look at the suffix, and errors call it `name`."""
    starts = {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"\x1aE\xdf\xa3": ".webm"}
    other = ".m4a" if sound[4:8] == b"ftyp" else ".mp3"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "recording" + starts.get(sound[:4], other))
        path.write_bytes(sound)
        try:
            return sound_files.read(path, remarks=remarks)
        except AudioError as error:
            problem, remedy = (text.replace(str(path), name) for text in (error.problem, error.remedy))
            raise AudioError(name, problem, remedy=remedy, reason=error.reason) from error
