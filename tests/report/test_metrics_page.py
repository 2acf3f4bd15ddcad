"""The page that defines what is measured: every name of the code is on it, and its constants are the code's."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from s2f.errors import MetricError
from s2f.evaluation import face_readers, metrics
from s2f.metrics import bootstrap, catalogue, frechet, manifolds, matching, rows
from s2f.metrics.measures import Sizes
from s2f.networks import codes, readers

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "book" / "metrics.md").read_text(encoding="utf-8")
PROSE = " ".join(PAGE.split())
MEASURE = yaml.safe_load((ROOT / "params" / "base.yaml").read_text(encoding="utf-8"))["measure"]


def default(function, name: str):
    return inspect.signature(function).parameters[name].default


def label(kind: str, name: str) -> str:
    return f"{kind}-{name.replace('_', '-')}"


def defined(kind: str) -> dict[str, str]:
    """Label to the heading that follows it; several labels may share one."""
    found = re.findall(rf"((?:^\({kind}-[\w-]+\)=\n)+)(#+ .*)$", PAGE, re.M)
    return {name: heading for labels, heading in found for name in re.findall(rf"{kind}-[\w-]+", labels)}


def overview(kind: str) -> dict[str, list[str]]:
    """Name to the cells of its line in the overview."""
    lines = re.findall(rf"^\| \[`(\w+)`\]\(#({kind}-[\w-]+)\) \|(.*)\|$", PAGE, re.M)
    assert all(label(kind, name) == target for name, target, _ in lines)
    assert len({name for name, *_ in lines}) == len(lines)
    return {name: [cell.strip() for cell in cells.split("|")] for name, _, cells in lines}


# --- names


@pytest.mark.parametrize(
    ("kind", "names"), [("metric", catalogue.METRICS), ("row", catalogue.ROWS)], ids=["metrics", "rows"]
)
def test_every_name_is_defined_and_nothing_else_is(kind, names):
    headings = defined(kind)
    assert set(headings) == {label(kind, name) for name in names}
    assert [name for name in names if f"`{name}`" not in headings[label(kind, name)]] == []
    assert set(overview(kind)) == set(names)


def test_every_metric_of_the_tables_is_defined():
    shown = {metric for group in catalogue.groups().values() for metric in group} | set(catalogue.table2_metrics())
    assert {label("metric", name) for name in shown} <= set(defined("metric"))


def test_rows_are_called_what_the_tables_call_them():
    called = {row: cells[0] for row, cells in overview("row").items()}
    assert called == {key: row.label for key, row in catalogue.ROWS.items()}


def test_every_row_says_whether_it_is_of_one_draw_or_of_a_mean():
    said = {row: cells[2] for row, cells in overview("row").items()}
    assert said == {key: row.draws for key, row in catalogue.ROWS.items()}
    assert f"{catalogue.N_MEAN} draws of each recording, and the mean of their identity embeddings" in PROSE
    assert f"of {codes.N_TYPICAL} draws the one that is nearest" in PROSE


def test_directions_and_chance_are_those_of_the_catalogue():
    for name, (*_, better, chance) in overview("metric").items():
        metric, said = catalogue.METRICS[name], better.split()
        assert metric.better == (said[0] if said and said[0] in ("higher", "lower") else None), name
        if metric.chance is not None:
            assert float(chance) == metric.chance, name


def test_links_within_the_page_lead_somewhere():
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md")]
    labels = {name for page in pages for name in re.findall(r"^\(([\w-]+)\)=$", page, re.M)}
    targets = set(re.findall(r"\]\(#([\w-]+)\)", PAGE))
    assert len(targets) > 20
    assert targets <= labels
    assert PAGE.startswith("(metrics)=\n# ")


# --- constants


@pytest.mark.parametrize(
    ("sentence", "value"),
    [
        ("one photograph of each of {} people", Sizes().n_way),
        ("drawn anew for each of {} galleries a probe", default(matching.recall, "n_galleries")),
        ("A set of fewer than {} faces is not measured", frechet.MIN_FACES),
        ("its third nearest other photograph (k = {})", default(manifolds.precision_recall, "k")),
        ("`measure.n_bootstrap` times ({} in `base.yaml`)", MEASURE["n_bootstrap"]),
        ("`measure.kid_subsets` times ({} in `base.yaml`)", MEASURE["kid_subsets"]),
        ("`measure.max_images` of them are taken ({} in `base.yaml`)", MEASURE["max_images"]),
        ("which is {} with the 400 of `base.yaml`", metrics.n_distribution(MEASURE["max_images"])),
        ("the mean embedding of {} photographs of each", metrics.N_PROBE_PHOTOS),
        ("given to another person, {} times over", rows.N_SHUFFLES),
        ("At most about {:,} training photographs are looked among", metrics.N_TRAINING_PHOTOS),
        ("`measure.n_draws` faces ({} in `base.yaml`)", MEASURE["n_draws"]),
        ("at {} px | 128 numbers", face_readers._IDENTITY_CHIP[0]),
        ("with a margin of {:.0f} %, at 150 px", 100 * face_readers._IDENTITY_CHIP[1]),
        ("at {} px | the probability", face_readers._GENDER_CHIP[0]),
        ("with a margin of {:.0f} %, at 32 px", 100 * face_readers._GENDER_CHIP[1]),
        ("the face itself, 64 px | {} numbers of unit length", readers.EMBEDDING_DIM),
    ],
)
def test_constants_are_those_of_the_code(sentence, value):
    assert sentence.format(value) in PROSE


def test_penalties_are_those_of_the_code():
    words = {8: "eight"}
    low, high = min(metrics.PENALTIES), max(metrics.PENALTIES)
    assert f"{words[len(metrics.PENALTIES)]} powers of ten, from {low:.4f} to {high:.0f}," in PROSE
    assert np.allclose(np.diff(np.log10(metrics.PENALTIES)), 1)


def test_the_interval_of_kid_needs_as_many_people_as_the_page_says():
    n = int(re.search(r"It needs at least (\d+) people", PROSE).group(1))
    given = {"rng": np.random.default_rng(0), "n_subsamples": 5}
    with pytest.raises(MetricError, match=f"at least {n}"):
        bootstrap.subsampled(bootstrap.mean(np.arange(n - 1.0)), people=np.ones(n - 1, bool), **given)
    assert bootstrap.subsampled(bootstrap.mean(np.arange(1.0 * n)), people=np.ones(n, bool), **given).value > 0


def test_kid_is_the_formula_of_the_page():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(7, 5)), rng.normal(size=(7, 5)) + 0.5
    m, n_dims = x.shape
    within = between = 0.0
    for a in range(m):
        for b in range(m):
            between += (x[a] @ y[b] / n_dims + 1) ** 3
            if a != b:
                within += (x[a] @ x[b] / n_dims + 1) ** 3 + (y[a] @ y[b] / n_dims + 1) ** 3
    expected = within / (m * (m - 1)) - 2 * between / m**2
    kid = frechet.kid(x, np.arange(m), y, np.arange(m), n_identities=m, min_n=2)
    assert kid(np.ones((1, m)))[0] == pytest.approx(expected)


def test_metrics_without_an_interval_are_those_that_the_page_names():
    without = [key for key, metric in catalogue.METRICS.items() if not metric.interval]
    assert set(without) == {"fid", "fid_real_real", "precision", "recall"}
    for name in without:
        section = PAGE.split(f"({label('metric', name)})=")[1].split("\n(")[0]
        assert re.search(r"\bno interval\b|\[no interval\]", section), name


# --- what the page claims of rows that know nothing of a person


def test_sex_alone_reaches_what_the_page_says():
    n_men, n_women = (int(n) for n in re.search(r"(\d+) men and (\d+) women", PROSE).groups())
    n = n_men + n_women
    signs = np.array([1.0] * n_women + [-1.0] * n_men)[:, None]  # one photograph a person, which shows sex alone
    wins = matching.win_matrix(signs, np.arange(n), signs, np.arange(n), n_identities=n)
    share = bootstrap.pair_mean(wins, np.ones((n, n), bool))(np.ones((1, n)))[0]
    assert share == pytest.approx(0.5 + n_women * n_men / (n * (n - 1)))
    assert f"that is {100 * share:.1f} %" in PROSE


def test_one_face_for_everyone_is_right_in_half_of_the_trials():
    rng = np.random.default_rng(1)
    photo_codes = np.repeat(np.arange(9), rng.integers(1, 5, size=9))
    photos = rng.normal(size=(len(photo_codes), 6))
    photos /= np.linalg.norm(photos, axis=1, keepdims=True)
    probes = np.tile(photos[:1], (20, 1))
    codes = np.concatenate([np.arange(9), rng.integers(0, 9, size=11)])
    wins = matching.win_matrix(probes, codes, photos, photo_codes, n_identities=9)
    women = np.arange(9) < 4
    for allowed in (np.ones((9, 9), bool), women[:, None] == women):
        assert bootstrap.pair_mean(wins, allowed)(np.ones((1, 9)))[0] == pytest.approx(0.5, abs=1e-12)


def test_one_good_face_for_everyone_is_precise_and_recalls_nothing():
    rng = np.random.default_rng(3)
    photos = rng.normal(size=(40, 6))
    one = np.tile(photos[:1] + 1e-3, (40, 1))
    assert manifolds.precision_recall(one, photos) == (1.0, 0.0)
