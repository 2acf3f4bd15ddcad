"""Figures of the chapters: every chapter has one with words, and a figure says what a run does not have."""

import base64
import importlib
import io
import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml
from nbformat import v4
from PIL import Image

from s2f import files
from s2f.features import front_end
from s2f.report import book, chapter_figures, style
from tests.features.making import vowel
from tests.report.figures import fits, shown, texts

ROOT = Path(__file__).resolve().parents[2]
LISTS = {"cite", "glossary", "references"}  # to be looked things up in
TOC = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
CHAPTERS = [name for name in book._files(TOC) if not name.startswith("runs/") and name not in LISTS]
FIGURE = re.compile(r"```\{figure\} (\S+)\n((?::\w+: [^\n]*\n)*)\n(.+?)```\n", re.S)
TEXTS = {name: (ROOT / "book" / f"{name}.md").read_text(encoding="utf-8") for name in CHAPTERS}


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_has_a_numbered_figure_that_the_text_names_and_words_describe(name):
    found = FIGURE.findall(TEXTS[name])
    assert found
    for path, options, caption in found:
        about = dict(re.findall(r":(\w+): (.*)", options))
        assert f"{{numref}}`{about['name']}`" in FIGURE.sub("", TEXTS[name])
        assert len(caption.split()) >= 15, "a caption is understood alone"
        drawn = path.startswith("runs/figures/") and Path(path).stem in chapter_figures.DRAWN | chapter_figures.TAKEN
        assert drawn or len(about.get("alt", "").split()) >= 10  # those that are drawn cannot be without words


def test_every_figure_that_is_drawn_is_shown_and_none_twice():
    used = [Path(path).stem for text in TEXTS.values() for path, *_ in FIGURE.findall(text) if "runs/figures" in path]
    assert sorted(used) == sorted([*chapter_figures.DRAWN, *chapter_figures.TAKEN])


def test_what_is_taken_from_a_notebook_is_made_by_one_cell_of_it():
    for page, calls in chapter_figures.TAKEN.values():
        name = re.sub(r"_general$", "", page)
        cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
        assert len([cell for cell in cells if cell.cell_type == "code" and calls in cell.source]) == 1, calls
        assert page in book.pages(ROOT)


def picture(folder: Path, *, alt: str) -> nbformat.NotebookNode:
    """A figure of a notebook, as it keeps it."""
    figure = style.in_theme(lambda: _dot(alt))()
    data, about = style.picture(figure)
    return v4.new_output("display_data", data={"image/png": data}, metadata={"image/png": about})


def _dot(alt):
    figure, axes = style.canvas(1.0)
    axes[0, 0].plot([0], [0], "o")
    style.say(figure, alt)
    return figure


def test_the_first_picture_of_a_cell_is_taken_with_its_words(tmp_path):
    cell = v4.new_code_cell("display(ask(1))\nask(2)", outputs=[picture(tmp_path, alt=alt) for alt in ("One.", "Two.")])
    path = tmp_path / "page.ipynb"
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell("other()"), cell]), path)
    data, about = chapter_figures.taken(path, "ask(")
    chapter_figures._keep(data, about, path=tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as kept:
        assert kept.text == {"Description": "One.", "Kind": "drawing"}
    assert chapter_figures.taken(path, "other(") is None  # it shows nothing
    assert chapter_figures.taken(path, "absent(") is None


def entry(value, low=None, high=None):
    return {"value": value, "low": low, "high": high, "reason": None}


def test_a_run_that_has_nothing_gets_figures_that_say_so(tmp_path):
    run = chapter_figures.Run.of(tmp_path / "runs" / "smoke", seed=0)
    (run.home / "general").mkdir(parents=True)
    files.write_text(run.home / "general" / "metrics.json", "{}")
    chapter_figures.write(run, {}, tmp_path / "figures")
    names = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert names == {*chapter_figures.DRAWN, *chapter_figures.TAKEN}
    for name in ("front_end", "one_voice", "curves", "voices", "poster", "lookalikes", *chapter_figures.TAKEN):
        with Image.open(tmp_path / "figures" / f"{name}.png") as kept:
            assert re.search(r"\bno\b|\bnot\b", kept.text["Description"], re.I), name
    for name in ("players", "curves", "voices"):
        assert "<p>This run" in (tmp_path / "figures" / f"{name}.html").read_text(encoding="utf-8")


def test_a_labelled_run_takes_what_it_shares_from_the_plain_one(tmp_path):
    run = chapter_figures.Run.of(tmp_path / "runs" / "demo-long", seed=2)
    (tmp_path / "runs" / "demo" / "s2" / "voice").mkdir(parents=True)
    assert run.folder("voice") == tmp_path / "runs" / "demo" / "s2" / "voice"
    (run.home / "voice").mkdir(parents=True)
    assert run.folder("voice") == run.home / "voice"
    assert run.root == tmp_path


def test_the_front_end_is_shown_step_by_step():
    rng = np.random.default_rng(3)
    said = [vowel(seconds, pitch_hz=130, rng=rng) for seconds in (1.6, 1.2)]
    wave = np.concatenate([said[0], np.zeros(16000), said[1]]).astype(np.float32)
    figure = fits(lambda: chapter_figures.hearing(wave))
    assert len(figure.axes) == 4
    third, fourth = shown(figure)
    heard = front_end.features(wave)
    np.testing.assert_array_equal(fourth, heard.T)
    assert third.shape == (64, len(front_end.log_mel(front_end.voiced(wave))))
    ends = [ax.lines[0].get_xdata()[-1] for ax in figure.axes[:2]]
    np.testing.assert_allclose(ends, [len(wave) / 16000, len(front_end.voiced(wave)) / 16000], atol=0.01)
    assert ends[1] < ends[0] - 0.5  # the pause is gone
    kept = len(front_end.voiced(wave)) / 16000
    assert f"the {kept:.1f} s of speech joined" in " ".join(figure.get_label().split())


def test_a_chapter_shows_a_figure_with_the_words_that_are_in_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    extension = importlib.import_module("study_pages")
    style.save(style.in_theme(lambda: _dot("A dot."))(), tmp_path / "dot.png")
    assert extension._said(tmp_path / "dot.png") == {"alt": "A dot.", "kind": "drawing"}
    Image.new("RGB", (2, 2)).save(tmp_path / "other.png")
    for name in ("other.png", "absent.png", "rooms.svg"):
        assert extension._said(tmp_path / name) == {}


def test_a_small_figure_of_a_notebook_is_known_to_be_narrow(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    extension = importlib.import_module("study_pages")
    outputs = []
    for width in (474, 1120):
        drawn = io.BytesIO()
        Image.new("RGB", (width, 4)).save(drawn, "png")
        data = {"image/png": base64.b64encode(drawn.getvalue()).decode()}
        outputs.append({"data": data, "metadata": {"image/png": {"alt": f"{width}", "kind": "drawing"}}})
    page = tmp_path / "page.ipynb"
    page.write_text(json.dumps({"cells": [{"outputs": outputs}]}))
    found = {about["alt"]: about["narrow"] for about in extension._figures(page).values()}
    assert found == {"474": True, "1120": False}


def test_strangers_who_look_nearer_are_what_a_trial_leaves_wrong():
    found = {"model": entry(0.6, 0.55, 0.65), "ceiling": entry(0.99, 0.98, 1.0)}
    figure = fits(lambda: chapter_figures.nearer_strangers(found))
    (ax,) = figure.axes
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_allclose(lines["drawn face"], [4, 40, 400, 4000])
    np.testing.assert_allclose(lines["a coin"], [5, 50, 500, 5000])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(3.5) and band.max() == pytest.approx(4500)
    assert "drawn face 400, another photograph of the speaker 10, a coin 500" in " ".join(figure.get_label().split())


def test_the_posters_figures_stand_beside_ours_and_what_is_missing_is_left_out():
    rows = {"fid": entry(90.0), "l1_pixel_255": entry(40.0, 38.0, 42.0), "cosine_matched": entry(0.1, 0.0, 0.2)}
    figure = fits(lambda: chapter_figures.beside_poster({"general": {"rows": {"model": rows}}}))
    assert len(figure.axes) == 3
    for ax, theirs, ours in zip(figure.axes, (114.4, 61.9, 0.245), (90, 40, 0.1), strict=True):
        marks = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "D"]
        assert len(marks) == 3 and marks[0] == pytest.approx(theirs, rel=1e-2)
        assert [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"] == [ours]
    assert {"this run, held-out people", "the poster", "General"} <= texts(figure)
    assert "FID of general: poster 114, ours 90.0" in figure.get_label()
    assert re.search(r"FID of males: poster 129(,|\.) (?!ours)", figure.get_label())


def test_metrics_are_those_of_the_variants_that_are_measured(tmp_path):
    run = chapter_figures.Run.of(tmp_path / "runs" / "demo", seed=0)
    for name, text in (("general", json.dumps({"rows": {"model": {}}})), ("females", "{}")):
        files.write_text(run.home / name / "metrics.json", text)
    assert list(run.metrics()) == ["general"]


def test_lines_break_within_names_and_not_within_numbers(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    extension = importlib.import_module("study_pages")
    assert extension._unbroken("<b>55.3</b> % [53.2, 57.5] in 8 s of 5 people [A, B]") == (
        "<b>55.3</b>\u00a0% [53.2,\u00a057.5] in 8\u00a0s of 5 people [A, B]"
    )
    assert extension._unbroken('<span class="pre">s0/a_b.csv</span> a/b') == (
        '<span class="pre">s0/<wbr>a_<wbr>b.csv</span> a/b'
    )
    kept = "<script>f([1, 2], 3 s)</script><pre>sleep 3 s</pre>"
    assert "".join(extension.VERBATIM.split(kept)[1::2]) == kept
