"""08_your_voice and its panel: pick, upload or record a sound, and see the faces that each variant draws of it."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Mapping
from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import traitlets
from IPython.display import Audio, display

from s2f.corpora.corpus import files_root
from s2f.errors import AudioError, OutputError, S2FError
from s2f.features import front_end, listening, sound_files
from s2f.features.store import Store
from s2f.networks.inference import Model
from s2f.report import draws, face_figures, prose, sheets, voice_figures
from s2f.study.runs import Study

N_DRAWS = 16  # faces of each variant
PLAYED_S = 60  # most that is put into a page to be played
ALL = "all variants"

_RECORD = """
function render({ model, el }) {
  const button = document.createElement("button");
  button.className = "jupyter-button";
  const idle = "Record", busy = "Stop";
  button.textContent = idle;
  let recorder = null;
  button.onclick = async () => {
    if (recorder) { recorder.stop(); return; }
    model.set("problem", "");
    try {
      if (!navigator.mediaDevices) throw new Error("a page gets one over https or from localhost only");
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
    sound = traitlets.CBytes(b"").tag(sync=True)  # a browser's bytes arrive as a view of memory
    problem = traitlets.Unicode("").tag(sync=True)


def corpus_recordings(study: Study, *, n: int = 20) -> dict[str, Path]:
    """Up to `n` test recordings of the corpus, each of another person, by a name to show."""
    root = files_root(study.read("corpus"), project=study.root)
    voices = Store.open(study.read("store")).voices(split="test").groupby("identity").head(1).head(n)
    return {row.identity + (f" ({row.gender})" if row.gender else ""): root / row.path for row in voices.itertuples()}


def example(study: Study) -> tuple[str, Path]:
    """A test recording of the corpus: whose it is, the first person's, and its place."""
    return next(iter(corpus_recordings(study).items()))


def told(sound: Path | np.ndarray, *, name: str = "wave") -> str:
    """How many seconds of voice a recording holds, and what else there is to say about it, a line each.

    `name` is what an error calls a wave.
    """
    heard = listening.listen(sound, name=name)
    return "\n".join((str(heard), *heard.remarks))


def player(sound: Path | np.ndarray) -> Audio | None:
    """The voiced parts of a recording, to listen to what the networks hear; none of a processed recording."""
    if _is_processed(sound):
        return print("A processed recording has no sound to play.")
    wave = front_end.voiced(sound_files.read(sound) if isinstance(sound, Path) else sound)
    return Audio(wave[: PLAYED_S * front_end.SAMPLE_RATE], rate=front_end.SAMPLE_RATE)


def show_drawn(
    sound: Path | np.ndarray, models: Mapping[str, Model], *, n: int = N_DRAWS, seed: int = 0
) -> list[draws.Draws]:
    """Display what each variant draws of a voice: a sheet of draws, or one face where it draws no more; gives them."""
    features, _ = next(iter(models.values())).hear(sound)  # all variants of a run hear alike
    drawn = {name: draws.of_voice(model, features, n=n, seed=seed) for name, model in models.items()}
    single = {name: each.sheet[0] for name, each in drawn.items() if models[name].sampler is None}
    for name, each in drawn.items():
        if name not in single:
            display(face_figures.draws(each, name=name))
    if single:
        display(face_figures.face_sheet(list(single.values()), labels=list(single), n_columns=3))
    return list(drawn.values())


def show(
    sound: Path | np.ndarray, models: Mapping[str, Model], *, name: str = "wave", n: int = N_DRAWS, seed: int = 0
) -> None:
    """Display what is heard of a recording, to listen to as well, and what each variant draws; `name` as in `told`."""
    print(told(sound, name=name))
    display(player(sound))
    display(voice_figures.voice(*sheets.recording(sound)))
    show_drawn(sound, models, n=n, seed=seed)


def cut(wave: np.ndarray, *, start_s: float, length_s: float, name: str) -> np.ndarray:
    """A part of a recording, of `length_s` seconds, or to its end where that is 0.

    Raises
    ------
    AudioError: it ends before `start_s`; calls it `name`
    """
    total_s = len(wave) / front_end.SAMPLE_RATE
    if start_s >= total_s:
        problem = f"ends after {total_s:.1f} s, before the part that begins at {start_s:g} s"
        raise AudioError(name, problem, remedy="Begin earlier.", reason="value")
    first = round(start_s * front_end.SAMPLE_RATE)
    return wave[first : first + round(length_s * front_end.SAMPLE_RATE) if length_s else None]


def panel(study: Study, models: Mapping[str, Model]) -> ipywidgets.Widget:
    """Widgets to pick, upload or record a sound, to cut it, and to choose what draws how many faces; shown below."""
    out, state = ipywidgets.Output(), ipywidgets.HTML()
    recordings = corpus_recordings(study)
    pick = ipywidgets.Dropdown(options=["", *recordings], description="Pick")
    upload = ipywidgets.FileUpload(accept="audio/*,video/*", multiple=False, description="Upload")
    record = Recorder()
    start = ipywidgets.BoundedFloatText(min=0, max=36_000, step=0.5, description="From (s)")
    length = ipywidgets.BoundedFloatText(min=0, max=36_000, step=0.5, description="Length (s)", tooltip="0: to the end")
    variant = ipywidgets.Dropdown(options=[ALL, *models], description="Variant")
    number = ipywidgets.IntSlider(N_DRAWS, min=2, max=64, description="Faces", continuous_update=False)
    seed = ipywidgets.BoundedIntText(min=0, max=2**31, description="Seed")
    controls = (start, length, variant, number, seed)
    given: list[tuple[Path | bytes, str]] = []  # the sound that is looked at, and what to call it

    @out.capture(clear_output=True, wait=True)
    def draw() -> None:
        for sound, name in given:
            try:
                wave = _part(sound, start_s=start.value, length_s=length.value, name=name)
                chosen = models if variant.value == ALL else {variant.value: models[variant.value]}
                show(wave, chosen, name=name, n=number.value, seed=seed.value)
            except S2FError as error:
                print(f"error: {error}")

    def again(_: object = None) -> None:
        state.value = f"Drawing from {html.escape(given[0][1])} …" if given else ""
        draw()
        state.value = f"Below: {html.escape(given[0][1])}." if given else ""

    def chosen(sound: Path | bytes, name: str = "the recording") -> None:
        given[:] = [(sound, name)]
        again()

    def uploaded(change: Mapping) -> None:
        for file in change["new"]:  # none where the widget is cleared
            chosen(bytes(file["content"]), file["name"])

    def picked(change: Mapping) -> None:
        if change["new"]:
            chosen(recordings[change["new"]], change["new"])

    def refused(change: Mapping) -> None:
        if change["new"]:  # emptied before each recording
            state.value = f"The browser gives no microphone: {html.escape(change['new'])}"

    pick.observe(picked, "value")
    upload.observe(uploaded, "value")
    record.observe(lambda change: chosen(bytes(change["new"])), "sound")
    record.observe(refused, "problem")
    for control in controls:
        control.observe(again, "value")
    note = ipywidgets.HTML(prose.REAL_VOICES)
    return ipywidgets.VBox(
        [
            ipywidgets.HBox([pick, upload, record]),
            ipywidgets.HBox([start, length]),
            ipywidgets.HBox(controls[2:]),
            note,
            state,
            out,
        ]
    )


def finish(study: Study) -> None:
    """Note what made the page, where the run's folder can be written: the rest works where it can only be read."""
    try:
        study.finish()
    except OutputError as error:
        print(f"What made this page is not kept: {error}")


def _is_processed(sound: Path | bytes | np.ndarray) -> bool:
    return isinstance(sound, Path) and sound.suffix.lower() == ".npy"


def _part(sound: Path | bytes, *, start_s: float, length_s: float, name: str) -> Path | np.ndarray:
    """The part of a sound to look at; prints what there is to say about how it was read."""
    remarks: list[str] = []
    if isinstance(sound, Path):
        if not start_s and not length_s:
            return sound
        if _is_processed(sound):
            print("A processed recording has no sound to cut: all of it is heard.")
            return sound
        wave = sound_files.read(sound, remarks=remarks)
    else:
        wave = _read_bytes(sound, remarks, name=name)
    print(*remarks, sep="\n", end="\n" if remarks else "")
    return cut(wave, start_s=start_s, length_s=length_s, name=name)


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
