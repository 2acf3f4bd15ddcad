"""Curves and samples of a training show what was logged and drawn."""

import numpy as np
import pandas as pd
import pytest

from s2f.report import training_figures
from tests.report.figures import fits, shown, texts


@pytest.fixture
def faces():
    return np.random.default_rng(0).integers(0, 256, (10, 64, 64, 3), dtype=np.uint8)


def test_they_fit_the_page(faces):
    rng = np.random.default_rng(0)
    log = pd.DataFrame({"step": np.arange(0, 500, 5), "d": rng.random(100), "c": rng.random(100)})
    fits(lambda: training_figures.loss_curves(log))
    fits(lambda: training_figures.training_health(log.rename(columns={"d": "score_gap", "c": "memory_mb"})))
    fits(lambda: training_figures.sample_grids({f"{k:08d}": faces for k in range(9)}, n_rows=3, n_columns=5))


def test_sample_grids_keep_the_first_and_the_last_moment(faces):
    figure = training_figures.sample_grids({f"{k * 500:08d}": faces for k in range(9)}, n_rows=3, n_columns=2)
    assert {"step 0", "step 2,000", "step 4,000"} <= texts(figure)
    assert len(shown(figure)) == 6


def test_loss_curves_draw_the_logged_values():
    log = pd.DataFrame({"step": [0, 10, 20], "d": [3.0, 2.0, 1.0], "accuracy": [0.1, np.nan, 0.5]})
    axes = training_figures.loss_curves(log, smooth=1).axes
    np.testing.assert_array_equal(axes[0].lines[0].get_ydata(), [3, 2, 1])
    np.testing.assert_array_equal(axes[1].lines[0].get_xdata(), [0, 20])


def test_signs_of_health_are_drawn_apart_from_the_losses():
    log = pd.DataFrame({"step": [0, 10], "d": [3.0, 2.0], "d_right": [0.5, 0.6], "it_per_s": [8.0, 9.0]})
    health = {ax.get_title("left"): ax for ax in training_figures.training_health(log).axes}
    assert list(health) == ["discriminator right, variety of drawn faces (shares)", "iterations a second"]
    assert health["iterations a second"].get_ylim()[0] == 0  # a hundredth more is no jump
    assert [ax.get_title("left") for ax in training_figures.loss_curves(log).axes] == ["discriminator: real or fake?"]


def test_captions_tell_of_a_game_only_where_there_was_one(tmp_path):
    for health in (False, True):
        assert "discriminator" not in training_figures.about(tmp_path, health=health)
    assert "A row a voice" in training_figures.about_faces(tmp_path)
    (tmp_path / "log.jsonl").touch()
    (tmp_path / "samples.npz").touch()
    for health in (False, True):
        assert "discriminator" in training_figures.about(tmp_path, health=health)
    assert "a moment of the training" in training_figures.about_faces(tmp_path)


def test_numbers_of_thousands_have_a_comma_on_both_axes():
    log = pd.DataFrame({"step": [0, 2000], "memory_mb": [900.0, 1500.0]})
    figure = training_figures.training_health(log)
    figure.canvas.draw()
    assert "1,500" in texts(figure) and not {"1500", "2000"} & set(texts(figure))
