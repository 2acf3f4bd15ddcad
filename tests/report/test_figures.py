"""Figures hold what they were given, fit a page, and leave matplotlib as it was."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

from s2f.metrics import verification
from s2f.report import figures, style


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def faces(rng):
    return rng.integers(0, 256, (10, 64, 64, 3), dtype=np.uint8)


def texts(figure):
    figure.draw_without_rendering()
    return {text.get_text() for text in figure.findobj(mpl.text.Text)} - {""}


def shown(figure):
    return [np.asarray(image.get_array()) for ax in figure.axes for image in ax.get_images()]


def make(rng):
    """Every figure, by name, on small data."""
    faces = rng.integers(0, 256, (10, 64, 64, 3), dtype=np.uint8)
    people = pd.DataFrame({"gender": ["f", "m"] * 20, "f0_hz": rng.normal(150, 30, 40), "skin_tone": rng.random(40)})
    log = pd.DataFrame({"step": np.arange(0, 500, 5), "d": rng.random(100), "c": rng.random(100)})
    counts = {"n_identities": 3, "n_recordings": 30, "n_faces": 60}
    summary = {"splits": {"train": {"f": counts, "m": counts}, "test": {"f": counts, "unknown": counts}}}
    entry = {"value": 0.6, "low": 0.5, "high": 0.7}
    results = {"model": {"matching_2way": entry, "kid": {"value": 0.1, "low": None, "high": None}}}
    results["chance"] = {"matching_2way": {"value": 0.5, "low": None, "high": None}, "kid": entry}
    results["probe"] = {name: {"value": None, "low": None, "high": None} for name in ("matching_2way", "kid")}
    vectors = rng.normal(size=(40, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = np.repeat(list("abcdefgh"), 5)
    rates = verification.error_rates(vectors, names, rng=rng, n_resamples=20)
    wave = np.sin(np.arange(32000) / 20).astype(np.float32)
    voiced = np.arange(100) % 50 < 30
    return {
        "face_sheet": figures.face_sheet(faces, labels=[f"p{k}" for k in range(10)], n_columns=4, title="Ten"),
        "table1": figures.table1(faces[:4], faces[4:8], list("wxyz")),
        "face_rows": figures.face_rows({"true": faces[:3], "drawn": faces[3:6]}),
        "sample_grids": figures.sample_grids({f"{k:08d}": faces for k in range(9)}, n_rows=3, n_columns=5),
        "loss_curves": figures.loss_curves(log),
        "voice": figures.voice(wave, voiced, rng.normal(size=(120, 64))),
        "durations": figures.durations(rng.uniform(4, 12, 50), voiced=rng.uniform(3, 9, 50)),
        "embedding_scatter": figures.embedding_scatter(vectors, names, ["f", "m", None, "m"] * 10),
        "corpus_counts": figures.corpus_counts(summary),
        "population_overlap": figures.population_overlap(people),
        "metric_rows": figures.metric_rows(results, ["matching_2way", "kid"], chance=0.5),
        "error_rates": figures.error_rates(rates),
        "data_flow": figures.data_flow(),
    }


def test_every_figure_fits_the_page_and_leaves_nothing_behind(rng):
    pyplot.switch_backend("agg")  # otherwise the first figure sets it
    before = mpl.rcParams.copy()
    drawn = make(rng)
    assert not pyplot.get_fignums()
    assert dict(mpl.rcParams) == dict(before), "only theme() changes the session"
    for name, figure in drawn.items():
        assert figure.get_size_inches()[0] == style.WIDTH_IN, name
        figure.draw_without_rendering()
        drawn_on, page = figure.get_tightbbox(), figure.get_size_inches()
        assert drawn_on.x0 > -0.06 and drawn_on.x1 < page[0] + 0.06, f"{name} is wider than the page"
        assert drawn_on.y0 > -0.06 and drawn_on.y1 < page[1] + 0.06, f"{name} is higher than its canvas"


def test_face_sheet_shows_each_face_in_order(faces):
    images = shown(figures.face_sheet(faces, n_columns=4))
    assert len(images) == 10
    np.testing.assert_array_equal(images[7], faces[7])


def test_face_sheet_takes_photos_of_any_size(rng):
    photos = [rng.integers(0, 256, (size, 80, 3), dtype=np.uint8) for size in (50, 90)]
    assert [image.shape[0] for image in shown(figures.face_sheet(photos, n_columns=2))] == [50, 90]


def test_table1_puts_true_faces_over_drawn_ones(faces):
    figure = figures.table1(faces[:2], {"General": faces[2:4], "Males": faces[4:6]}, ["anna", "ben"])
    assert {"anna", "ben", "true", "General", "Males"} <= texts(figure)
    np.testing.assert_array_equal(shown(figure), faces[:6])


def test_sample_grids_keep_the_first_and_the_last_moment(faces):
    figure = figures.sample_grids({f"{k * 500:08d}": faces for k in range(9)}, n_rows=3, n_columns=2)
    assert {"step 0", "step 2,000", "step 4,000"} <= texts(figure)
    assert len(shown(figure)) == 6


def test_loss_curves_draw_the_logged_values():
    log = pd.DataFrame({"step": [0, 10, 20], "d": [3.0, 2.0, 1.0], "accuracy": [0.1, np.nan, 0.5]})
    axes = figures.loss_curves(log, smooth=1).axes
    np.testing.assert_array_equal(axes[0].lines[0].get_ydata(), [3, 2, 1])
    np.testing.assert_array_equal(axes[1].lines[0].get_xdata(), [0, 20])


def test_voice_shades_what_is_kept():
    voiced = np.zeros(100, bool)
    voiced[10:20] = voiced[50:75] = True
    figure = figures.voice(np.zeros(32000, np.float32), voiced, np.zeros((70, 64)))
    spans = [(p.get_x(), p.get_x() + p.get_width()) for p in figure.axes[0].patches]
    np.testing.assert_allclose(spans, [(0.2, 0.4), (1.0, 1.5)])
    assert any("0.7 s" in text for text in texts(figure))


def test_mel_ticks_lie_on_their_filters():
    # Centre of filter k: 64 filters evenly spaced between 20 and 7200 Hz on the mel scale.
    def mel(hz):
        return 2595 * np.log10(1 + hz / 700)

    centres = np.linspace(mel(20), mel(7200), 66)[1:-1]
    hz = 700 * (10 ** (centres / 2595) - 1)
    np.testing.assert_allclose(figures._mel_bin(hz, n_mels=64), np.arange(64), atol=1e-9)


def test_metric_rows_leave_out_what_has_no_value(rng):
    figure = make(rng)["metric_rows"]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["generated"]
    assert figure.axes[1].lines[-1].get_xdata() == [100], "KID is shown times 1000"


def test_population_overlap_of_equal_and_of_separate_sexes():
    people = pd.DataFrame({"gender": ["f"] * 50 + ["m"] * 50, "same": [*range(50)] * 2, "other": range(100)})
    figure = figures.population_overlap(people, columns={"same": "a", "other": "b"})
    assert {"overlap 100 %", "overlap 0 %"} <= texts(figure)


def test_corpus_counts_are_written_at_the_bars():
    counts = {"n_identities": 12, "n_recordings": 1440, "n_faces": 2880}
    found = texts(figures.corpus_counts({"splits": {"train": {"f": counts, "m": counts}}}))
    assert {" 24", " 2,880", " 5,760"} <= found


def test_error_rates_name_the_equal_error():
    rates = SimpleNamespace(
        thresholds=np.array([0.0, 0.5, 1.0]),
        false_accept=np.array([1, 0.1, 0]),
        false_reject=np.array([0, 0.1, 1]),
        equal_error_rate=SimpleNamespace(value=0.1, low=0.05, high=0.2),
    )
    assert any("10.0 % [5.0, 20.0]" in text for text in texts(figures.error_rates({"Faces": rates})))


def test_data_flow_names_every_part():
    found = " ".join(texts(figures.data_flow()).union()).replace("\n", " ")
    for part in (
        "voice recording",
        "voice embedding network",
        "64 numbers",
        "generator",
        "generated face",
        "face embedding network",
        "discriminator",
        "classifier",
    ):
        assert part in found


def test_theme_is_applied_when_asked_and_save_writes_a_whole_png(tmp_path, faces):
    with mpl.rc_context():
        style.theme()
        assert mpl.rcParams["figure.dpi"] == 160
    style.save(figures.face_sheet(faces[:2], n_columns=2), tmp_path / "sheet.png")
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
