"""Drawings of the chapters: all parts are named, and the study's graph is that of its stages."""

import pytest

from s2f.report import chapter_drawings as drawings
from s2f.study.stages import STAGES
from tests.report.figures import fits, texts

PARTS = {
    "heard_or_made_up": ("body", "voice", "face", "drawn face", "glasses", "microphone"),
    "sources": ("generated people", "VoxCeleb", "2019 release", "a table of your own", "manifest", "rejected.csv"),
    "many_faces": ("photograph", "encoder", "face code", "noise", "sampler", "decoder", "many faces"),
    "additions": ("own causes", "own data", "own model", "own metric", "metrics.json"),
    "trial": ("face drawn", "of the speaker", "of somebody else", "a > b: right", "a < b: wrong"),
    "moved_voice": ("recording", "log-mel", "64 numbers", "faces", "pitch", "axes of", "noise of"),
}


@pytest.mark.parametrize(("name", "parts"), PARTS.items())
def test_a_drawing_names_every_part_in_the_picture_and_in_words(name, parts):
    figure = fits(getattr(drawings, name))
    found = "\n".join(texts(figure))
    assert [part for part in parts if part not in found] == []
    assert len(figure.get_label()) > 100


def test_no_words_stick_out_of_their_box():
    for name in [*PARTS, "stages"]:
        figure = fits(getattr(drawings, name))
        (ax,) = figure.axes
        boxes = [patch.get_window_extent() for patch in ax.patches]
        for text in ax.texts:
            if text.get_fontweight() != "bold" or not text.get_text():
                continue
            own = text.get_window_extent()
            around = [box for box in boxes if box.contains(*own.get_points().mean(axis=0))]
            assert all(own.x0 >= box.x0 - 1 and own.x1 <= box.x1 + 1 for box in around), (name, text.get_text())


def test_the_graph_has_every_stage_and_what_each_waits_for():
    figure = fits(drawings.stages)
    (ax,) = figure.axes
    assert {name.replace("_", "\n").replace("prep", "pre-\np") for name in STAGES} <= texts(figure)
    arrows = [text for text in ax.texts if not text.get_text()]
    assert drawings._nearest("07_results") == {"06_metrics"}  # the others stand before that
    assert len(arrows) == sum(len(drawings._nearest(name)) for name in STAGES)
    assert set(drawings.WHAT) == set(STAGES)
    for stage in STAGES.values():
        for need, _ in stage.needs:
            assert need in figure.get_label()
