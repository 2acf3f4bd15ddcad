"""The live page: what is exported draws what the networks draw, and a browser computes what Python computes."""

import base64
import contextlib
import io
import json
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from torch.nn import functional as F

from s2f.errors import CheckpointError
from s2f.features import front_end, sound_files
from s2f.features.front_end import SAMPLE_RATE
from s2f.features.store import MIN_VOICE_S
from s2f.networks import inference
from s2f.networks.models import GE2EEmbedding, Generator, seeded
from s2f.report import face_figures, live
from s2f.report.draws import spread
from s2f.study.finished import Finished
from tests.features.making import REAL, chirp, needs_real, vowel, write_with_av
from tests.report import live_run

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "book" / "_static" / "live"


def sent(path):
    """What an exported script hands to the page."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("s2fLive.receive(")
    return json.loads(text.removeprefix("s2fLive.receive(").removesuffix(");\n"))


def numbers(array):
    ((kind, text),) = array.items()
    return np.frombuffer(base64.b64decode(text), f"<{kind}").astype(np.float32)


def passed(exported, x):
    """Exported layers as torch runs them, [1, C, T] or [1, C, H, W]."""
    for each in exported:
        weight, k = torch.from_numpy(numbers(each["weight"])), each["kernel"]
        bias, options = torch.from_numpy(numbers(each["bias"])), {key: each[key] for key in ("stride", "padding")}
        if x.ndim == 3:
            x = F.conv1d(x, weight.reshape(k, each["n_in"], -1).permute(2, 1, 0), bias, **options)
        else:
            weight = weight.reshape(each["n_in"], k, k, each["n_out"]).permute(0, 3, 1, 2)
            x = F.conv_transpose2d(x, weight, bias, **options)
        x = {"relu": F.relu, "tanh": torch.tanh, "": lambda same: same}[each["activation"]](x)
    return x


# ------------------------------------------------------------------------------------------------ what is exported


@pytest.mark.parametrize(("norm", "tanh", "head"), [("batch", True, "k4"), ("none", False, "k1")])
@torch.no_grad()
def test_folded_layers_draw_what_the_generator_draws(norm, tanh, head):
    make = seeded(lambda: Generator(width=0.125, norm=norm, tanh=tanh, head=head), generator=live_run.stream(0))
    network = live_run.settle(live_run.alive(make), live_run.unit(64))
    exported = live.layers(network.model)
    assert len(exported) == {"k4": 5, "k1": 6}[head]
    wanted = network(live_run.unit(64)[:1])
    assert wanted.std() > 0.05
    torch.testing.assert_close(passed(exported, live_run.unit(64)[:1, :, None, None]), wanted, atol=5e-3, rtol=0)


def test_weights_beyond_half_precision_are_refused(tmp_path):
    model = live_run.model(live_run.VoiceEmbedding(width=0.125).eval(), "general", 0, sampled=True)
    with torch.no_grad():
        model.generator.model[0].weight[0, 0, 0, 0] = 1e6
    with pytest.raises(CheckpointError, match="beyond half precision"):
        live._model(model, tmp_path)


def test_axes_hold_most_of_the_variance_and_are_named_after_what_follows_them():
    rng = np.random.default_rng(0)
    traits = live_run.population.sample(60, seed=0).set_index("identity")
    pitch = np.log(traits["f0_hz"])
    along = np.column_stack([-3 * (pitch - pitch.mean()) / pitch.std(), rng.normal(size=(60, 3))])
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0][:4]
    embedded = pd.DataFrame(along @ turn + 5, index=traits.index)
    found = live.axes(embedded, traits)
    assert [len(found), found[0]["follows"]] == [3, "pitch"]
    assert found[0]["r"] > 0.95
    assert sum(axis["share"] for axis in found) > 0.9
    first = numbers(found[0]["axis"])
    along_it = embedded.to_numpy() @ first
    assert np.corrcoef(along_it, pitch)[0, 1] > 0.95  # more is higher
    assert along_it.mean() == pytest.approx(found[0]["centre"], abs=1e-5)
    assert along_it.std() == pytest.approx(found[0]["deviation"], rel=1e-5)
    assert "follows" not in live.axes(embedded, None)[0]


@pytest.mark.parametrize("missing", ["networks", "store", "people"])
def test_a_run_without_what_the_page_needs_says_so(tmp_path, monkeypatch, missing):
    run, _ = live_run.make(tmp_path, monkeypatch, variants=() if missing == "networks" else ("general",))
    if missing == "store":
        shutil.rmtree(run / "s0" / "store")
    if missing == "people":  # of a corpus that was not generated
        (run / "s0" / "corpus" / "people.parquet").unlink()
    problem = live.write(run, tmp_path / "pages", seed=0)
    found = sent(tmp_path / "pages" / live.FOLDER / live.FIRST)
    if missing == "people":  # real voices stay where they are
        assert problem is None
        assert found["people"] == []
        assert not (tmp_path / "pages" / live.FOLDER / "still.png").exists()
    else:
        assert found == {"run": "small", "seed": 0, "problem": problem}
        assert {"networks": "no trained networks", "store": "no store folder"}[missing] in problem


def test_a_run_with_the_packaged_speaker_encoder_says_so(tmp_path, monkeypatch):
    run, _ = live_run.make(tmp_path, monkeypatch, variants=("general",), sampled=False)
    described = live_run.Architecture(0.125, 0.125, "batch", True, "k4", "ge2e")
    inference.save(
        run / "s0" / "general", inference.Model(GE2EEmbedding(), described.generator(), described, "general")
    )
    assert "packaged speaker encoder" in live.write(run, tmp_path / "pages", seed=0)


def test_a_labelled_run_takes_what_it_shares_from_the_plain_one_and_shares_are_sent_once(tmp_path, monkeypatch):
    run, _ = live_run.make(tmp_path, monkeypatch)
    labelled = run.with_name("small-long")
    for variant in ("general", "females"):
        shutil.move(run / "s0" / variant, labelled / "s0" / variant)
    assert live.write(labelled, tmp_path / "pages", seed=0) is None
    folder = tmp_path / "pages" / live.FOLDER
    assert {path.name for path in folder.iterdir()} == {"run.js", "general.js", "females.js", "still.png"}
    first, general, females = (sent(folder / f"{name}.js") for name in ("run", "general", "females"))
    held_out = live_run.population.sample(12, seed=0).iloc[8:].sort_values("gender", kind="stable")
    assert [each["name"] for each in first["people"]] == held_out["identity"].to_list()
    assert [each["about"].split(",")[0] for each in first["people"]] == ["woman", "man", "man", "man"]
    assert general["voice"] == females["voice"] == {"same_as": "run.js"}
    assert females["generator"] == {"same_as": "general"}  # the decoder of one face code
    assert {"code_in", "layers"} <= set(females["sampler"])
    wave, rate = soundfile.read(io.BytesIO(base64.b64decode(first["people"][0]["sound"])), dtype="float32")
    np.testing.assert_array_equal(wave, sound_files.read(tmp_path / "data" / "x" / f"{held_out.index[0]}.wav"))
    assert rate == SAMPLE_RATE
    monkeypatch.setattr(Finished, "has", lambda self, variant: variant == "general")  # Females are left of before
    assert live.write(labelled, tmp_path / "again", seed=0) is None
    assert not (tmp_path / "again" / live.FOLDER / "females.js").exists()


# ------------------------------------------------------------------------------------------------ in a browser


def page_of(folder):
    """The page as a file: its part of book/live.md, and its scripts."""
    (raw,) = re.findall(r"^```\{raw\} html\n(.*?)^```", (ROOT / "book" / "live.md").read_text("utf-8"), re.M | re.S)
    html = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Live</title><body>{raw}</body></html>'
    shutil.copytree(SCRIPTS, folder / "_static" / "live", dirs_exist_ok=True)
    (folder / "live.html").write_text(html, encoding="utf-8")
    return (folder / "live.html").as_uri()


class Browser:
    """A headless Chromium, and what the live page offers in it."""

    def __init__(self, session):
        self.session = session

    def open(self, url):
        self.session.get(url)
        return self.until(lambda: self.run("return document.documentElement.dataset.live"))

    def run(self, script, *arguments):
        return self.session.execute_script(script, *arguments)

    def wait_for(self, promise, *arguments):
        """The value of a promise; a JavaScript error is one here too."""
        settled = "then((x) => done([x]), (e) => done(String(e)))"
        script = f"const done = arguments[arguments.length - 1]; ({promise})(...arguments).{settled};"
        found = self.session.execute_async_script(script, *arguments)
        assert isinstance(found, list), found
        return found[0]

    def until(self, ready, *, seconds=60):
        end = time.monotonic() + seconds
        while not (found := ready()):
            assert time.monotonic() < end, self.said()
            time.sleep(0.05)
        return found

    def settle(self):
        time.sleep(0.2)
        self.until(lambda: self.run("return document.getElementById('live-rows').getAttribute('aria-busy')") == "false")

    def said(self):
        return self.run("return document.getElementById('live-said').textContent")

    def faces(self, variant):
        """What a row shows, uint8 [n, 64, 64, 3]."""
        script = (
            "return [...document.querySelectorAll(`#live-row-${arguments[0]} canvas`)].map((each) =>"
            " btoa(String.fromCharCode(...each.getContext('2d').getImageData(0, 0, 64, 64).data)))"
        )
        shown = [np.frombuffer(base64.b64decode(text), np.uint8) for text in self.run(script, variant)]
        return np.stack(shown).reshape(-1, 64, 64, 4)[..., :3]

    def keys(self, name, *keys):
        self.session.find_element("id", f"live-{name}").send_keys(*keys)
        self.settle()


@contextlib.contextmanager
def chromium(*arguments):
    webdriver = pytest.importorskip("selenium.webdriver")
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for each in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", *arguments):
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(programs[1]))
    session.set_script_timeout(60)
    try:
        yield Browser(session)
    finally:
        session.quit()


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Addresses of two pages, of networks with noise and without, and the models behind each."""
    found = {}
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, sampled in (("many", True), ("one", False)):
            root = tmp_path_factory.mktemp(name)
            run, models = live_run.make(root, monkeypatch, sampled=sampled)
            assert live.write(run, root / "pages", seed=0) is None
            found[name] = page_of(root / "pages"), models, root
    return found


@pytest.fixture(scope="module")
def browser():
    # What the microphone hears is a tone that comes and goes.
    with chromium("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as found:
        yield found


@pytest.fixture
def many(shown, browser):
    url, models, root = shown["many"]
    assert browser.open(url) == "ready"
    browser.settle()
    return browser, models, root


@pytest.fixture
def scripts(shown, browser):
    """A browser with the page's scripts, in whatever state; and where the recordings are."""
    url, _, root = shown["many"]
    if browser.run("return location.href") != url:
        assert browser.open(url) == "ready"
    return browser, root


def waves(root):
    """Recordings to compare: generated ones, a vowel that peaks, and real ones where they are."""
    found = {f"generated {i}": sound_files.read(root / "data" / "x" / f"{i}.wav") for i in (0, 1, 11)}
    loud = vowel(2.0, pitch_hz=120, rng=np.random.default_rng(1))
    found["loud"] = (loud / np.abs(loud).max()).astype(np.float32)
    found["noise"] = np.random.default_rng(2).normal(0, 0.03, 40_000).clip(-1, 1).astype(np.float32)
    for path in sorted(REAL.rglob("*.wav"))[:60:6] if REAL.is_dir() else ():
        found[path.parent.name + path.name] = sound_files.read(path)
    return found


def packed(array, kind="<f4"):
    return base64.b64encode(np.ascontiguousarray(array, kind).tobytes()).decode("ascii")


def unpacked(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


FROM_TEXT = "Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer"
TO_TEXT = (
    "const pack = (x) => { const raw = new Uint8Array(Float32Array.from(x).buffer); let out = '';"
    " for (let i = 0; i < raw.length; i += 8192) out += String.fromCharCode(...raw.subarray(i, i + 8192));"
    " return btoa(out); };"
)


@pytest.mark.slow
def test_the_front_end_hears_what_python_hears(scripts):
    browser, root = scripts
    script = (
        f"{TO_TEXT} const text = arguments[0], found = s2fLive.sound.heard(new Float32Array({FROM_TEXT}));"
        "return [found.mask, ...(found.features ? [pack(found.logMel), pack(found.features)] : [])];"
    )
    for name, wave in waves(root).items():
        mask, *found = browser.run(script, packed(wave))
        assert mask == front_end.voiced_mask(wave).tolist(), name  # every frame of the detector
        if sum(mask) * front_end.VAD_FRAME_S < MIN_VOICE_S:
            assert found == []  # too little to draw a face from
            continue
        log_mel, features = found
        wanted = front_end.log_mel(front_end.voiced(wave))
        np.testing.assert_allclose(unpacked(log_mel).reshape(-1, 64), wanted, atol=1e-4, rtol=0, err_msg=name)
        wanted = front_end.features(wave)
        np.testing.assert_allclose(unpacked(features).reshape(-1, 64), wanted, atol=1e-4, rtol=0, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "rate", "close"),
    [("wav", 16_000, 0), ("wav", 44_100, 1e-5), ("wav", 48_000, 1e-5), ("wav", 8_000, 1e-5), ("flac", 44_100, 1e-4)],
)
def test_a_file_is_decoded_at_its_own_rate_and_resampled_with_the_filter_of_the_study(
    scripts, tmp_path, suffix, rate, close
):
    browser, _ = scripts
    path = tmp_path / f"sound.{suffix}"
    stereo = np.column_stack([chirp(rate=rate, high_hz=3500), 0.5 * chirp(rate=rate, low_hz=300)])
    soundfile.write(path, stereo, rate, subtype="PCM_16")
    found = browser.wait_for(
        f"async (text) => {{ {TO_TEXT} return pack(await s2fLive.sound.read({FROM_TEXT})); }}",
        base64.b64encode(path.read_bytes()).decode(),
    )
    wanted = sound_files.read(path)
    assert unpacked(found).shape == wanted.shape
    np.testing.assert_allclose(unpacked(found), wanted, atol=close, rtol=0)


@pytest.mark.slow
def test_channels_that_cancel_one_another_are_not_averaged(scripts, tmp_path):
    browser, _ = scripts
    voice = vowel(2.5, pitch_hz=150, rng=np.random.default_rng(1))
    for stereo in (np.column_stack([voice, -0.8 * voice]), np.column_stack([0.2 * voice, voice])):
        soundfile.write(tmp_path / "two.wav", stereo, SAMPLE_RATE, subtype="PCM_16")
        found = browser.wait_for(
            f"async (text) => {{ {TO_TEXT} return pack(await s2fLive.sound.read({FROM_TEXT})); }}",
            base64.b64encode((tmp_path / "two.wav").read_bytes()).decode(),
        )
        wanted = sound_files.read(tmp_path / "two.wav")
        assert wanted.std() > 0.01
        np.testing.assert_allclose(unpacked(found), wanted, atol=1e-6, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "codec", "rate"),
    [("mp3", "mp3", 22_050), ("mp3", "mp3", 44_100), ("m4a", "aac", 44_100), ("webm", "libopus", 48_000)],
)
def test_the_rate_of_a_compressed_file_is_found(scripts, tmp_path, suffix, codec, rate):
    browser, _ = scripts
    path = tmp_path / f"sound.{suffix}"
    write_with_av(path, chirp(rate=rate, seconds=2.0), codec=codec, rate=rate)
    script = f"const text = arguments[0]; return s2fLive.sound.rateOf({FROM_TEXT});"
    assert browser.run(script, base64.b64encode(path.read_bytes()).decode()) == rate


@pytest.mark.slow
def test_the_page_draws_the_faces_that_python_draws(shown, browser):
    for name, n in (("many", 6), ("one", 1)):
        url, models, _ = shown[name]
        assert browser.open(url) == "ready"
        people = sent(Path(url.removeprefix("file://")).parent / live.FOLDER / live.FIRST)["people"]
        for i, person in enumerate(people):
            browser.session.find_element("css selector", f"[name=live-person][value='{i}']").click()
            browser.settle()
            wave, _ = soundfile.read(io.BytesIO(base64.b64decode(person["sound"])), dtype="float32")
            embedding = models["general"].embed(models["general"].hear(wave)[0])
            off = np.array(browser.run("return [...s2fLive.page.state.embedding]")) - embedding
            assert np.abs(off).max() < 2e-3
            for variant, model in models.items():
                drawn = browser.faces(variant)[:n].astype(int)
                wanted = model.draw(wave, n=n, seed=0)
                assert wanted.std() > 10  # there is something to draw
                assert np.abs(drawn - wanted).mean() < 0.2, (name, i, variant)


@pytest.mark.slow
def test_what_varies_is_the_deviation_of_the_draws(many):
    browser, _, _ = many
    *draws, shown = browser.faces("general")
    deviation = spread(np.stack(draws))  # [64, 64], as in the book's figures
    text = browser.run("return document.querySelector('#live-row-general .live-note').textContent")
    assert f"{deviation.mean():.0f} grey levels" in text
    brightness = shown.astype(float).sum(axis=2)
    below = deviation < 0.97 * face_figures.MADE_UP  # above it all is one colour
    assert np.corrcoef(brightness[below], deviation[below])[0, 1] > 0.95  # the brighter, the more


@pytest.mark.slow
def test_a_voice_is_moved_by_keyboard_alone_and_faces_follow(many):
    webdriver = pytest.importorskip("selenium.webdriver")
    browser, _, _ = many
    press = webdriver.Keys
    reached = []
    for _ in range(40):  # from the top of the page, as far as Tab leads
        webdriver.ActionChains(browser.session).send_keys(press.TAB).perform()
        reached.append(browser.run("return document.activeElement.id || document.activeElement.name || ''"))
    wanted = ["live-person", "live-audio", "live-back", "live-again", "live-pitch", "live-tract", "live-axis-1"]
    assert [name for name in dict.fromkeys(reached) if name in wanted] == wanted
    assert {"live-file", "live-record"} <= set(reached)

    state = (
        "const s = s2fLive.page.state;"
        "return [[...s.embedding], s.shown.length, document.getElementById('live-audio').src]"
    )
    before, seen = browser.run(state), browser.faces("general")
    browser.keys("pitch", press.ARROW_RIGHT, press.ARROW_RIGHT)
    told = "return document.querySelector('output[for=live-pitch]').textContent"
    assert browser.run(told) == "+1.0 semitones"
    assert browser.run("return document.getElementById('live-pitch').ariaValueText") == "+1.0 semitones"
    after, moved = browser.run(state), browser.faces("general")
    assert after[0] != before[0]
    assert after[1] == pytest.approx(before[1], abs=2)  # of the same length
    assert after[2] != before[2]  # another sound to play
    assert np.abs(moved.astype(int) - seen).mean() > 0.5
    browser.keys("tract", press.ARROW_RIGHT)
    assert browser.run(state)[1] == pytest.approx(1.01 * before[1], abs=2)
    browser.keys("back", press.ENTER)
    np.testing.assert_array_equal(browser.faces("general"), seen)
    assert browser.run("return document.getElementById('live-pitch').value") == "0"

    browser.keys("axis-1", press.HOME)  # an axis moves what is heard, not the recording
    assert browser.run(state)[:2] == before[:2]
    assert np.abs(browser.faces("general").astype(int) - seen).mean() > 0.5
    assert "Faces drawn" in browser.said()
    browser.keys("back", press.ENTER)
    browser.keys("again", press.ENTER)
    assert np.abs(browser.faces("general").astype(int) - seen).mean() > 0.5  # other noise


@pytest.mark.slow
def test_with_reduced_motion_faces_wait_until_a_slider_is_let_go(shown, browser):
    media = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    browser.session.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        assert browser.open(shown["many"][0]) == "ready"
        before = browser.faces("general")
        script = (
            "const slider = document.getElementById('live-axis-1'); slider.value = -3;"
            "slider.dispatchEvent(new Event(arguments[0]));"
        )
        browser.run(script, "input")
        browser.settle()
        np.testing.assert_array_equal(browser.faces("general"), before)
        browser.run(script, "change")
        browser.settle()
        assert np.abs(browser.faces("general").astype(int) - before).mean() > 0.5
    finally:
        browser.session.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.slow
def test_an_axis_is_moved_to_where_its_slider_is(many):
    browser, models, root = many
    webdriver = pytest.importorskip("selenium.webdriver")
    browser.keys("axis-2", webdriver.Keys.END)
    first = sent(root / "pages" / live.FOLDER / live.FIRST)
    axis = first["axes"][1]
    along = numbers(axis["axis"])
    heard = np.array(browser.run("return [...s2fLive.page.state.embedding]"))
    wanted = heard + (axis["centre"] + 3 * axis["deviation"] - heard @ along) * along
    model = models["females"]
    drawn = model.draws(torch.from_numpy(wanted[None]).float(), 6, seed=0)[0]
    assert np.abs(browser.faces("females")[:6].astype(int) - drawn).mean() < 0.2


def pitch_hz(wave):
    """The most regular period between 60 and 400 Hz."""
    x = wave - wave.mean()
    power = np.fft.irfft(np.abs(np.fft.rfft(x, 2 * x.size)) ** 2)
    low, high = SAMPLE_RATE // 400, SAMPLE_RATE // 60
    return SAMPLE_RATE / (low + power[low:high].argmax())


def envelope(wave):
    """Smooth logarithm of the spectrum between 200 and 3500 Hz, by frequency in Hz."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import welch

    hz, power = welch(wave, SAMPLE_RATE, nperseg=2048)
    return hz, gaussian_filter1d(np.log(power), 12)


@pytest.mark.slow
@pytest.mark.parametrize(("semitones", "percent"), [(4, 0), (-4, 0), (0, 15), (0, -15), (3, 10)])
def test_pitch_and_tract_are_moved_each_without_the_other(scripts, semitones, percent):
    browser, _ = scripts
    wave = vowel(2.0, pitch_hz=130, rng=np.random.default_rng(3)).astype(np.float32)
    script = (
        f"{TO_TEXT} const text = arguments[0]; return pack(s2fLive.moved(new Float32Array({FROM_TEXT}),"
        " {semitones: arguments[1], percent: arguments[2]}));"
    )
    moved = unpacked(browser.run(script, packed(wave), semitones, percent))
    assert pitch_hz(moved) == pytest.approx(pitch_hz(wave) * 2 ** (semitones / 12), rel=0.03)
    hz, before = envelope(wave)
    _, after = envelope(moved)
    used = (hz > 300) & (hz < 3000)
    fits = {}
    for factor in np.arange(0.75, 1.3, 0.01):  # by which resonances are lower
        fits[factor] = np.corrcoef(np.interp(hz[used] * factor, hz, before), after[used])[0, 1]
    assert max(fits, key=fits.get) == pytest.approx(1 + percent / 100, abs=0.04)
    np.testing.assert_array_equal(unpacked(browser.run(script, packed(wave), 0, 0)), wave)


@pytest.mark.slow
def test_a_sound_of_ones_own_is_taken_with_its_warning_and_a_broken_one_leaves_what_is_there(many, tmp_path):
    browser, models, _ = many
    field = browser.session.find_element("id", "live-file")
    before = browser.faces("general")
    for name, content, words in (
        ("words.wav", b"no sound", "is no sound that this browser can read"),
        ("broken.wav", np.full(SAMPLE_RATE, np.nan), "is no sound that this browser can read"),
        ("silence.wav", np.zeros(SAMPLE_RATE), "holds less than half a second of voice"),
    ):
        if isinstance(content, np.ndarray):
            soundfile.write(tmp_path / name, content, SAMPLE_RATE, subtype="FLOAT")
        else:
            (tmp_path / name).write_bytes(content)
        field.send_keys(str(tmp_path / name))
        browser.until(lambda start=f"{name} {words}"[:40]: browser.said().startswith(start))
        np.testing.assert_array_equal(browser.faces("general"), before)
    soundfile.write(tmp_path / "mine.flac", vowel(2.0, pitch_hz=200, rng=np.random.default_rng(1)), 44_100)
    field.send_keys(str(tmp_path / "mine.flac"))
    browser.until(lambda: "mine.flac" in browser.said())
    assert re.search(r"(?s)mine\.flac: \d\.\d s of voice\. Do not trust .* 95 VoxCeleb speakers", browser.said())
    assert browser.run("return document.getElementById('live-truth').hidden")
    assert not browser.run("return document.querySelector('[name=live-person]:checked')")
    wanted = models["males"].draw(sound_files.read(tmp_path / "mine.flac"), n=6, seed=0)
    assert np.abs(browser.faces("males")[:6].astype(int) - wanted).mean() < 0.2


@pytest.mark.slow
def test_a_voice_is_recorded_and_the_recording_stopped(many):
    browser, _, _ = many
    button = browser.session.find_element("id", "live-record")
    button.click()
    browser.until(lambda: button.text == "Stop recording")
    time.sleep(1.5)
    button.click()
    browser.until(lambda: browser.said().startswith("Your recording"))
    assert button.text == "Record"


@pytest.mark.slow
def test_everything_has_a_name_and_nothing_comes_from_another_host(shown, browser):
    for kind in ("browser", "performance"):
        browser.session.get_log(kind)  # of other tests
    assert browser.open(shown["many"][0]) == "ready"
    nameless = browser.run(
        "return [...document.querySelectorAll('input, button, audio, canvas, img')]"
        ".filter((each) => each.checkVisibility() && !(each.getAttribute('aria-label') || each.alt"
        " || each.textContent || [...(each.labels || [])].length))"
        ".map((each) => each.outerHTML)"
    )
    assert nameless == []
    assert browser.run("return document.getElementById('live-said').getAttribute('aria-live')") == "polite"
    assert [e["message"] for e in browser.session.get_log("browser") if e["level"] in ("SEVERE", "WARNING")] == []
    asked = [json.loads(e["message"])["message"] for e in browser.session.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in asked if e["method"] == "Network.requestWillBeSent"]
    assert any(url.endswith("males.js") for url in urls)
    assert [url for url in urls if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.mark.slow
def test_a_page_without_networks_says_so_in_a_sentence(tmp_path, browser):
    url = page_of(tmp_path)
    for written, words in ((False, "written when the book is built"), (True, "no trained networks")):
        if written:
            live.write(tmp_path / "runs" / "none", tmp_path, seed=0)
        assert browser.open(url) == "stopped"
        assert words in browser.session.find_element("id", "live-problem").text
        assert not browser.session.find_element("id", "live-app").is_displayed()
    browser.session.get_log("browser")  # the missing script is said there


@needs_real
def test_real_recordings_are_among_those_that_are_compared(shown):
    assert len(waves(shown["many"][2])) > 10
