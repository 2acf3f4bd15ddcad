"""Figures that a reader can move: a page is given what was measured, and a browser shows it to mouse and keys."""

import base64
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from s2f import files
from s2f.features import front_end, sound_files
from s2f.report import chapter_figures, moving_figures
from s2f.report.moving_figures import Course, Person
from tests.report import live_run
from tests.report.figures import fits, shown, texts
from tests.report.test_live import chromium

ROOT = Path(__file__).resolve().parents[2]


def given(part):
    """What a part of a page hands to its script."""
    kind, text = re.fullmatch(
        r'<div class="moving" data-moving="(\w+)" hidden>\n<script type="application/json">(.*)</script>\n</div>\n',
        part,
        re.S,
    ).groups()
    assert "<" not in text  # nothing in it ends the script
    return kind, json.loads(text)


def log(path, rows):
    files.write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def folders(root):
    return {name: root / name for name in ("voice", "code", "general", "females", "males")}


def test_courses_are_the_losses_that_were_logged(tmp_path):
    log(tmp_path / "voice" / "log.jsonl", [{"step": 50 * k, "loss": 6.0 - k, "it_per_s": 1.4} for k in (1, 2)])
    log(tmp_path / "general" / "sampler" / "log.jsonl", [{"step": 5, "loss": 1.5, "grad_network": 0.4}])
    log(tmp_path / "males" / "log.jsonl", [{"step": 1, "d": 0.7, "c": None}, {"step": 2, "d": 0.6, "c": 2.0}])
    found = moving_figures.courses(folders(tmp_path))
    assert found == [
        Course("voice embedding", "loss", [50, 100], [5.0, 4.0]),
        Course("General", "loss", [5], [1.5]),
        Course("Males", "discriminator: real or fake?", [1, 2], [0.7, 0.6]),
        Course("Males", "classifier: whose real face?", [2], [2.0]),
    ]
    without = {name: folder for name, folder in folders(tmp_path).items() if name not in ("females", "males")}
    assert moving_figures.courses(without) == found[:2], "a run may have General alone"


def test_the_picture_below_shows_the_same_curves():
    found = [Course("Face code", f"loss {k}", [1, 2, 3], [3.0 + k, 2.0, 1.0 + k]) for k in range(4)]
    figure = fits(lambda: moving_figures.curves(found))
    drawn = [list(line.get_ydata()) for ax in figure.axes for line in ax.lines]
    assert drawn == [list(each.values) for each in found]
    assert {f"Face code: loss {k}" for k in range(4)} <= texts(figure)
    assert "Face code: loss 2 5 to 3" in figure.get_label()
    kind, content = given(moving_figures.curves_part(found))
    assert kind == "curves"
    assert [each["values"] for each in content["series"]] == drawn


def test_where_nothing_was_logged_or_nobody_can_be_shown_the_page_says_so(tmp_path):
    assert moving_figures.curves_part([]).startswith("<p>This run kept no log")
    assert moving_figures.voices_part([], tmp_path).startswith("<p>This run has no generated voices")


def test_the_map_lays_out_embeddings_and_shows_people_who_lie_apart():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 5)) * (3.0, 2.0, 0.1, 0.1, 0.1)
    face = np.zeros((64, 64, 3), np.uint8)
    about = [Person(0, 0, "fm"[k % 2], f"person {k}", face, Path(f"{k}.wav")) for k in range(60)]
    found = moving_figures.people(vectors, about)
    assert [each.about for each in found] == [each.about for each in about]
    places = np.array([(each.x, each.y) for each in found])
    off = vectors - vectors.mean(0)
    apart = np.linalg.norm(off[:, None] - off[None], axis=2)
    assert np.corrcoef(apart.ravel(), np.linalg.norm(places[:, None] - places[None], axis=2).ravel())[0, 1] > 0.99
    with_faces = [k for k, each in enumerate(found) if each.face is not None]
    assert len(with_faces) == moving_figures.N_SHOWN
    nearest = [min(np.linalg.norm(places[k] - places[j]) for j in with_faces if j != k) for k in with_faces]
    first = [min(np.linalg.norm(places[k] - places[j]) for j in range(24) if j != k) for k in range(24)]
    assert min(nearest) > 2 * min(first)
    figure = fits(lambda: moving_figures.voices(found))
    assert len(shown(figure)) == moving_figures.N_SHOWN
    dots = np.concatenate([dots.get_offsets() for ax in figure.axes for dots in ax.collections])
    assert len(dots) == 60
    assert "30 female" in figure.get_label()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small run and what the chapters get of it."""
    root = tmp_path_factory.mktemp("moving")
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder, _ = live_run.make(root, monkeypatch)
        log(folder / "s0" / "voice" / "log.jsonl", [{"step": 10 * k, "loss": 4.0 / k} for k in (1, 2, 4)])
        log(folder / "s0" / "code" / "log.jsonl", [{"step": 10, "g_pixel": 0.25}])
        run = chapter_figures.Run.of(folder, seed=0)
        chapter_figures.write(run, {}, root / "figures")
    return root


def test_a_run_of_generated_people_has_its_voices_on_the_map(small):
    kind, content = given((small / "figures" / "voices.html").read_text(encoding="utf-8"))
    assert kind == "map" and len(content["people"]) == live_run.N_TEST
    for k, each in enumerate(content["people"]):
        assert re.fullmatch(r"(woman|man), \d+ years", each["about"])
        assert each["sound"] == f"_static/voices/{k}.wav"
        wave, rate = soundfile.read(small / "figures" / "voices" / f"{k}.wav")
        own, _ = soundfile.read(small / "data" / "x" / f"{live_run.N_PEOPLE - live_run.N_TEST + k}.wav")
        assert rate == 16000
        np.testing.assert_allclose(wave, own, atol=1e-4)
        with Image.open(io.BytesIO(base64.b64decode(each["face"].partition(",")[2]))) as face:
            assert face.size == (64, 64)
    moving_figures.place(small / "figures", small / "pages")
    assert (small / "pages" / content["people"][0]["sound"]).is_file()
    whole = sound_files.read(small / "data" / "x" / f"{live_run.N_PEOPLE - live_run.N_TEST}.wav")
    players = (small / "figures" / "players.html").read_text(encoding="utf-8")
    assert re.findall(r'<audio aria-label="([^"]+)"', players) == ["The recording", "The speech that is kept of it"]
    for name, wave in zip(("recording", "speech"), (whole, front_end.voiced(whole)), strict=True):
        assert f'src="_static/voices/{name}.wav"' in players
        kept, _ = soundfile.read(small / "pages" / "_static" / "voices" / f"{name}.wav")
        np.testing.assert_allclose(kept, wave, atol=1e-4)
    for name, words in (("one_voice", "16 faces drawn from one voice by General"), ("front_end", "Four panels")):
        with Image.open(small / "figures" / f"{name}.png") as kept:
            assert kept.text["Description"].startswith(words)


@pytest.fixture(scope="module")
def page(small):
    """The training page's moving parts as a file."""
    parts = "".join((small / "figures" / f"{name}.html").read_text(encoding="utf-8") for name in ("curves", "voices"))
    shutil.copytree(ROOT / "book" / "_static" / "live", small / "pages" / "_static" / "live", dirs_exist_ok=True)
    moving_figures.place(small / "figures", small / "pages")
    link = '<link rel="stylesheet" href="_static/live/pictures.css">'
    script = '<script src="_static/live/pictures.js"></script>'
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>T</title>{link}'
    html = f"{head}<body>{parts}{script}</body></html>"
    files.write_text(small / "pages" / "t.html", html)
    with chromium() as browser:
        browser.session.get((small / "pages" / "t.html").as_uri())
        yield browser


def said(page):
    return page.run("return document.querySelector('output').textContent")


@pytest.mark.slow
def test_a_curve_is_chosen_and_read_by_the_keyboard(page):
    assert page.run("return [...document.querySelectorAll('.moving')].map((each) => each.hidden)") == [False, False]
    assert said(page) == "step 40: 1"
    slider = page.session.find_element("id", "moving-step")
    slider.send_keys("\ue012")  # arrow left
    assert said(page) == "step 20: 2"
    points = page.run("return document.querySelector('.moving-line').getAttribute('points')").split()
    heights = [float(point.split(",")[1]) for point in points]
    assert len(points) == 3 and heights[0] < heights[1] < heights[2]  # a page counts from above
    choice = page.session.find_element("id", "moving-what")
    choice.send_keys("face code")
    assert said(page) == "step 10: 0.25"
    choice.send_keys("voice embedding")
    for name in ("moving-what", "moving-step"):
        assert page.run("return document.getElementById(arguments[0]).labels.length", name) == 1


@pytest.mark.slow
def test_a_voice_is_chosen_on_the_map_by_the_keyboard_and_played(page):
    buttons = page.session.find_elements("css selector", ".moving-face")
    assert len(buttons) == live_run.N_TEST
    names = [each.get_attribute("aria-label") for each in buttons]
    assert all(re.fullmatch(r"(woman|man), \d+ years", name) for name in names)
    assert [each.get_attribute("tabindex") for each in buttons] == ["0", *["-1"] * (live_run.N_TEST - 1)]
    buttons[0].send_keys("\ue014")  # arrow right
    focused = "return document.activeElement.getAttribute('aria-label')"
    assert page.run(focused) == names[1]
    page.session.switch_to.active_element.send_keys("\ue007")  # enter
    assert page.run("return document.querySelector('.moving [role=status]').textContent").startswith(names[1])
    ready = "return document.querySelector('.moving audio').readyState"
    page.run("document.querySelector('.moving audio').load()")
    page.run("document.querySelector('.moving audio').preload = 'auto'")
    assert page.until(lambda: page.run(ready) >= 1)
    assert page.run("return document.querySelector('.moving audio').duration") == pytest.approx(3.0, abs=0.05)
    assert page.run("return document.querySelector('.moving-row img').alt").endswith(names[1])


@pytest.mark.slow
def test_nothing_is_asked_of_another_host_and_nothing_fails(page):
    page.session.get(page.session.current_url)
    asked = [json.loads(entry["message"])["message"] for entry in page.session.get_log("performance")]
    urls = [each["params"]["request"]["url"] for each in asked if each["method"] == "Network.requestWillBeSent"]
    assert any(url.endswith("pictures.js") for url in urls)
    assert [url for url in urls if not url.startswith(("file:", "data:"))] == []
    assert [entry for entry in page.session.get_log("browser") if entry["level"] == "SEVERE"] == []
