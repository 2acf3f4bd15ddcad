"""Figures of a corpus write its counts and how far the sexes overlap."""

import numpy as np
import pandas as pd

from s2f.report import corpus_figures
from tests.report.figures import fits, texts


def test_they_fit_the_page():
    rng = np.random.default_rng(0)
    counts = {"n_identities": 3, "n_recordings": 30, "n_faces": 60}
    summary = {"splits": {"train": {"f": counts, "m": counts}, "test": {"f": counts, "unknown": counts}}}
    people = pd.DataFrame({"gender": ["f", "m"] * 20, "f0_hz": rng.normal(150, 30, 40), "skin_tone": rng.random(40)})
    fits(lambda: corpus_figures.corpus_counts(summary))
    fits(lambda: corpus_figures.population_overlap(people))
    fits(lambda: corpus_figures.durations(rng.uniform(4, 12, 50), voiced=rng.uniform(3, 9, 50)))
    fits(lambda: corpus_figures.files_per_person(rng.integers(1, 50, 40), np.full(40, 3)))


def test_corpus_counts_are_written_at_the_bars():
    counts = {"n_identities": 12, "n_recordings": 1440, "n_faces": 2880}
    found = texts(corpus_figures.corpus_counts({"splits": {"train": {"f": counts, "m": counts}}}))
    assert {" 24", " 2,880", " 5,760"} <= found


def test_population_overlap_of_equal_and_of_separate_sexes():
    people = pd.DataFrame({"gender": ["f"] * 50 + ["m"] * 50, "same": [*range(50)] * 2, "other": range(100)})
    figure = corpus_figures.population_overlap(people, columns={"same": "a", "other": "b"})
    assert {"overlap 100 %", "overlap 0 %"} <= texts(figure)


def test_medians_are_named():
    assert any("recording, median 5.0 s" in text for text in texts(corpus_figures.durations(np.array([4.0, 5, 9]))))
    assert "median 2, 1 to 4" in texts(corpus_figures.files_per_person(np.array([1, 2, 4]), np.array([5, 1, 3])))


def test_a_count_that_all_people_share_is_said_and_no_histogram_of_one_bar():
    mixed = corpus_figures.files_per_person(np.array([1, 2, 4]), np.array([3, 3, 3]))
    assert len(mixed.axes) == 1 and mixed.get_suptitle() == "Everybody has 3 photos"
    alike = corpus_figures.files_per_person(np.array([2, 2, 2]), np.array([3, 3, 3]))
    assert texts(alike) == {"Of the 3 people everybody has 2 recordings and 3 photos."}
