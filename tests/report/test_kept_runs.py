import errno
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from s2f import files, provenance
from s2f.errors import OutputError, RunError
from s2f.evaluation import draws
from s2f.report import book, draw_figures, face_figures, kept_runs, tables
from s2f.study import params


@pytest.fixture
def run(tmp_path):
    """A finished run of one seed and one variant, and one seed that is not finished."""
    seed = finished(tmp_path / "runs" / "synthetic-x" / "s0")
    (seed.parent / "s1").mkdir()
    return seed.parent


SETTINGS = params.resolve("synthetic", root=Path(__file__).resolve().parents[2])


def finish(folder, notebooks, *, settings=SETTINGS, seed=0, inputs=()):
    """What stages leave in a folder that they have finished, of what they read."""
    files.write_yaml(folder / "params.yaml", params.plain(settings))
    made = {name: params.fingerprint(settings, name, seed=seed) for name in notebooks}
    read = dict.fromkeys(inputs, "an id")
    provenance.write_stages(
        folder, {name: provenance.Facts(**FACTS, fingerprint=print_, inputs=read) for name, print_ in made.items()}
    )


FACTS = {
    "device": "cpu",
    "machine": "Linux x86_64, 16 cores",
    "threads": 2,
    "seed": 0,
    "peak_memory_mb": 512.0,
    "commit": "abc",
    "wall_time_s": 1800,
    "finished": "2026-01-01T00:00:00Z",
    "packages": {"torch": "2.11.0"},
    "command": "python -m s2f study --profile synthetic --label x --set 'gan.steps=7'",
    "id": "an id",
}


def finished(seed):
    """A seed with one variant, finished."""
    for folder in ("results", "general", "notebooks", "voice"):
        (seed / folder).mkdir(parents=True)
    finish(seed / "results", ["07_results"], seed=int(seed.name[1:]))
    finish(seed / "general", ["05_training", "06_metrics"], seed=int(seed.name[1:]))
    faces = np.zeros((2, 64, 64, 3), np.uint8)
    face_figures.write_table1(seed / "results" / "table1.npz", faces, {"generated": faces}, ["a", "b"])
    table = pd.DataFrame({"variant": "General", "row": ["model", "chance", "poster"]})
    table = table.assign(source=["ours", "ours", "poster"], data="held_out", n_recordings=[96, 96, None])
    table = table.assign(n_identities=[48, 48, None], fid=[None, None, 114.4], kid=[0.0821, None, None])
    table = table.assign(kid_low=[0.07, None, None], kid_high=[0.1, None, None])
    tables.write_table2(table.astype({"n_recordings": "Int64", "n_identities": "Int64"}), seed / "results")
    for folder in ("general", "voice"):
        (seed / folder / "metrics.json").write_text("{}")
    log = [{"step": step, "d": 1.0 / step, "it_per_s": 3.0, "diversity": 0.5} for step in (1, 2, 3)]
    (seed / "general" / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    np.savez(seed / "general" / "samples.npz", **{"00000003": np.zeros((2, 64, 64, 3), np.uint8)})
    for name, device in (("05_training_general", "cuda"), ("06_metrics_general", "cpu"), ("07_results", "cpu")):
        (seed / "notebooks" / f"{name}.json").write_text(json.dumps(FACTS | {"device": device}))
    return seed


def share_training(seed):
    """Let a labelled run, all of whose variant is its own, take the training of General from the plain run."""
    own, plain = seed / "general", seed.parents[1] / "synthetic" / "s0" / "general"
    plain.mkdir(parents=True)
    for path in own.iterdir():
        if path.name not in ("metrics.json", "params.yaml", "provenance.json"):
            shutil.move(path, plain / path.name)
    finish(plain, ["05_training"])
    finish(own, ["06_metrics"], inputs=["synthetic/s0/general:05_training"])
    finish(seed / "results", ["07_results"], inputs=["synthetic-x/s0/general:06_metrics"])
    (seed / "notebooks" / "05_training_general.json").unlink()


def inside(folder):
    """Files below a folder, by name."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def shown_on(text):
    """Paths of the figures of a page, each of which has a caption."""
    figures = re.findall(r"```\{figure\} (\S+)\n:width: 100%\n\n(.+)\n```", text)
    assert len(figures) == text.count("```{figure}") and "![" not in text
    return [path for path, _ in figures]


def page_of(root, run):
    """The page of a run that is kept now."""
    kept_runs.keep(root, run)
    (page,) = (page for page in kept_runs.write_pages(root, root / "pages") if page.parent.name == run.name)
    return page


def test_numbers_and_faces_of_a_run_are_kept_and_its_page_is_made_of_them(tmp_path, run):
    folder = kept_runs.keep(tmp_path, run)
    assert folder == tmp_path / "book" / "results" / "synthetic-x"
    assert inside(folder) == [
        "provenance.json",
        "s0/general/log.jsonl",
        "s0/general/metrics.json",
        "s0/general/samples.npz",
        "s0/results/table1.npz",
        "s0/results/table2.csv",
        "s0/results/table2.json",
    ]
    shutil.rmtree(run)  # a page needs nothing else
    (page,) = kept_runs.write_pages(tmp_path, tmp_path / "pages")
    assert inside(page.parent) == [
        "index.md",
        "s0/general_curves.png",
        "s0/general_health.png",
        "s0/general_samples.png",
        "s0/table1.png",
    ]
    text = page.read_text(encoding="utf-8")
    for said in (
        "| device of the training | cuda |",
        "| machine | Linux x86_64, 16 cores |",
        "| seeds | 0 |",
        "| 1.50 h |",
        "python -m s2f study --profile synthetic --label x --set 'gan.steps=7'",
        "python -m s2f keep runs/synthetic-x",
        "| KID × 1000 | FID |",
        "| General, generated | 48 | – | – | – | – | – | 82.1 [70.0, 100.0] | – |",
    ):
        assert said in text
    assert "114.4" not in text  # the poster's figures are no results of this run
    shown = shown_on(text)
    assert len(shown) == 4 and all((page.parent / path).is_file() for path in shown)
    facts = json.loads((folder / "provenance.json").read_text())
    assert [fact["notebook"] for fact in facts] == ["05_training_general", "06_metrics_general", "07_results"]


def test_what_a_labelled_run_shares_with_the_plain_one_is_kept_with_it(tmp_path, run):
    before = inside(kept_runs.keep(tmp_path, run))
    share_training(run / "s0")
    folder = kept_runs.keep(tmp_path, run)
    assert inside(folder) == before and "s0/general/log.jsonl" in before
    assert {fact["notebook"] for fact in json.loads((folder / "provenance.json").read_text())} >= {"05_training"}
    shared = run.parent / "synthetic" / "s0" / "general"
    record = (shared / "provenance.json").read_text()
    (shared / "provenance.json").write_text(record.replace("an id", "another id"))
    with pytest.raises(
        RunError, match=r"general was made by 06_metrics before 05_training made synthetic/s0/general anew"
    ):
        kept_runs.keep(tmp_path, run)
    (shared / "provenance.json").write_text(record)
    finish(shared, ["05_training"], seed=7)
    with pytest.raises(RunError, match=r"synthetic.s0.general was not made by 05_training"):
        kept_runs.keep(tmp_path, run)


def test_the_page_of_a_labelled_run_says_its_own_command(tmp_path, run):
    share_training(run / "s0")
    shared = run.parent / "synthetic" / "s0" / "general" / "provenance.json"
    shared.write_text(shared.read_text().replace(" --label x --set 'gan.steps=7'", ""))
    text = page_of(tmp_path, run).read_text(encoding="utf-8")
    assert FACTS["command"] in text and "--profile synthetic\n" not in text


def test_what_is_kept_of_another_version_is_to_be_kept_again(tmp_path, run):
    folder = kept_runs.keep(tmp_path, run)
    path = folder / "s0" / "results" / "table2.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 0'))
    with pytest.raises(RunError, match=r"Keep the run again, or delete its folder\.$"):
        kept_runs.write_pages(tmp_path, tmp_path / "pages")


def test_a_run_without_a_measured_variant_is_not_kept(tmp_path, run):
    (run / "s0" / "general" / "metrics.json").unlink()
    with pytest.raises(RunError, match=r"s0 has no measured variant\. Run it again"):
        kept_runs.keep(tmp_path, run)


def test_a_sampler_is_kept_too_which_plays_no_game(tmp_path, run):
    variant = run / "s0" / "general"
    (variant / "samples.npz").unlink()
    (variant / "sampler").mkdir()
    (variant / "log.jsonl").rename(variant / "sampler" / "log.jsonl")
    page = page_of(tmp_path, run)
    assert "s0/general/sampler/log.jsonl" in inside(tmp_path / "book" / "results" / run.name)
    text = page.read_text(encoding="utf-8")
    shown = shown_on(text)
    assert "### Training: General" in text
    assert shown == ["s0/table1.png", "s0/general_curves.png", "s0/general_health.png"]


def test_what_many_draws_say_is_kept_with_its_figures(tmp_path, run):
    level = 0.8
    whole = {"group": "overall", "level": level, "low": 0.76, "high": 0.84}
    lines = [whole | {"attribute": "mean", "value": 0.79}, whole | {"attribute": "glasses", "value": 0.6, "high": 0.7}]
    energy = [
        {"who": who, "value": 0.5, "low": 0.4, "high": 0.6, "minus_value": 0, "minus_low": -0.1, "minus_high": 0.1}
        for who in draws.NEIGHBOURS
    ]
    nothing = pd.DataFrame()
    found = draws.Spread(400, 64, pd.DataFrame(energy), pd.DataFrame(lines), nothing, nothing, nothing, {})
    (run / "s0" / "answer").mkdir()
    draws.write(found, run / "s0" / "answer")
    finish(run / "s0" / "answer", ["09_known_answer"])
    page = page_of(tmp_path, run)
    drawn = sorted(path.name for path in (page.parent / "s0").glob("draws*"))
    assert drawn == ["draws_coverage.png", "draws_energy.png", "draws_shares.png"]
    text = page.read_text(encoding="utf-8")
    assert "hold 79.0 % [76.0, 84.0]" in text and f"too few for {draw_figures.said('glasses')}" in text
    assert set(shown_on(text)) >= {f"s0/{name}" for name in drawn}
    kept = tmp_path / "book" / "results" / run.name / "s0" / "answer" / "draws.json"
    assert json.loads(kept.read_text())["n_people"] == 400


def test_another_seed_may_be_trained_again_after_results_that_show_it(tmp_path, run):
    finished(run / "s1")
    (beside := run.parent / "synthetic-poster" / "s0" / "general").mkdir(parents=True)
    finish(beside, ["06_metrics"])
    shown = ["synthetic-x/s1/general:06_metrics", "synthetic-poster/s0/general:06_metrics"]
    finish(run / "s0" / "results", ["07_results"], inputs=["synthetic-x/s0/general:06_metrics", *shown])
    for folder in (run / "s1" / "general", beside):
        made = provenance.read_stages(folder)
        again = {name: facts.model_copy(update={"id": "another id"}) for name, facts in made.items()}
        provenance.write_stages(folder, again)
    assert "| seeds | 0, 1 |" in page_of(tmp_path, run).read_text(encoding="utf-8")


def test_what_was_made_of_an_earlier_training_is_not_kept(tmp_path, run):
    home = run / "s0"
    (home / "answer").mkdir()
    (home / "answer" / draws.FILE).write_text("{}")
    finish(home / "results", ["07_results"])
    with pytest.raises(RunError, match="answer was not made by 09_known_answer with the parameters"):
        kept_runs.refuse_others(kept_runs.finished_seeds(run))
    finish(home / "answer", ["09_known_answer"], inputs=["synthetic-x/s0/general:05_training"])
    kept_runs.refuse_others(kept_runs.finished_seeds(run))
    made = provenance.read_stages(home / "general")
    trained = made["05_training"].model_copy(update={"id": "another id"})
    provenance.write_stages(home / "general", made | {"05_training": trained})
    said = r"answer was made by 09_known_answer before 05_training made synthetic-x/s0/general anew. Run the study"
    with pytest.raises(RunError, match=said):
        kept_runs.keep(tmp_path, run)
    assert not (tmp_path / "book").exists()


def test_a_run_that_draws_one_face_a_voice_has_no_section_on_many(tmp_path, run):
    (run / "s0" / "answer").mkdir()
    draws.write(draws.NO_SAMPLER, run / "s0" / "answer")
    finish(run / "s0" / "answer", ["09_known_answer"])
    page = page_of(tmp_path, run)
    assert "Many draws" not in page.read_text(encoding="utf-8") and not list((page.parent / "s0").glob("draws*"))


def test_faces_of_table_1_are_drawn_again_as_they_were(tmp_path):
    rng = np.random.default_rng(0)
    true, *drawn = rng.integers(0, 256, (3, 2, 64, 64, 3), np.uint8)
    rows = dict(zip(("most typical", "draw 1"), drawn, strict=True))
    face_figures.write_table1(tmp_path / "table1.npz", true, rows, ["a", "b, f"])
    again, others, labels = face_figures.read_table1(tmp_path / "table1.npz")
    assert np.array_equal(again, true) and labels == ["a", "b, f"] and list(others) == list(rows)
    assert all(np.array_equal(others[name], rows[name]) for name in rows)


@pytest.mark.parametrize("text", ["[{", "{}", "[]", "[1]", '[{"notebook": "07_results", "unheard_of": 1}]'])
def test_what_made_a_kept_run_is_of_another_form(tmp_path, run, text):
    (kept_runs.keep(tmp_path, run) / "provenance.json").write_text(text)
    with pytest.raises(RunError, match=r"provenance\.json is of another version or form (?s:.)* Keep the run again"):
        kept_runs.write_pages(tmp_path, tmp_path / "pages")


def test_keeping_again_replaces_what_was_kept(tmp_path, run):
    folder = kept_runs.keep(tmp_path, run)
    (folder / "old.txt").touch()
    assert kept_runs.keep(tmp_path, run) == folder and not (folder / "old.txt").exists()


def test_a_file_that_is_too_large_is_refused_and_nothing_changes(tmp_path, run):
    kept = kept_runs.keep(tmp_path, run) / "s0" / "results" / "table2.json"
    before = kept.read_bytes()
    large = run / "s0" / "results" / "table2.json"
    large.write_text(large.read_text().ljust(kept_runs.MAX_BYTES + 1))
    with pytest.raises(RunError, match="1,000,001 bytes, more than 1,000,000"):
        kept_runs.keep(tmp_path, run)
    assert kept.read_bytes() == before


def test_a_run_that_is_not_finished_is_refused(tmp_path, run):
    (run / "s0" / "results" / "table2.csv").unlink()
    with pytest.raises(RunError, match="has no finished results"):
        kept_runs.keep(tmp_path, run)


def test_results_without_the_faces_of_table_1_are_not_kept(tmp_path, run):
    (run / "s0" / "results" / "table1.npz").unlink()
    with pytest.raises(RunError, match=r"table1\.npz is not there: another version made these results. Run it again"):
        kept_runs.keep(tmp_path, run)
    assert not (tmp_path / "book" / "results" / run.name).exists()


def test_a_kept_run_that_lost_the_faces_of_table_1_gets_no_page(tmp_path, run):
    (kept_runs.keep(tmp_path, run) / "s0" / "results" / "table1.npz").unlink()
    with pytest.raises(RunError, match=r"table1\.npz is not there"):
        kept_runs.write_pages(tmp_path, tmp_path / "pages")


def test_results_of_other_parameters_are_not_kept_with_the_others(tmp_path, run):
    other = SETTINGS.model_copy(update={"measure": SETTINGS.measure.model_copy(update={"n_bootstrap": 99})})
    finished(run / "s1")
    assert "| seeds | 0, 1 |" in page_of(tmp_path, run).read_text(encoding="utf-8")
    for folder, notebooks in (("s1/results", ["07_results"]), ("s1/general", ["05_training", "06_metrics"])):
        finish(run / folder, notebooks, settings=other, seed=1)
        with pytest.raises(RunError, match=rf"{folder} was not made by .* with the parameters of the run's results"):
            kept_runs.keep(tmp_path, run)
        finish(run / folder, notebooks, seed=1)
    kept_runs.keep(tmp_path, run)


def test_parameters_of_another_version_are_refused(tmp_path, run):
    path = run / "s0" / "results" / "params.yaml"
    path.write_text(path.read_text() + "unheard_of: 1\n")
    with pytest.raises(RunError, match=r"params\.yaml is of another version"):
        kept_runs.keep(tmp_path, run)
    path.unlink()
    with pytest.raises(RunError, match=r"params\.yaml is not there"):
        kept_runs.keep(tmp_path, run)


def test_a_table_of_another_version_is_refused_with_the_command(tmp_path, run):
    path = run / "s0" / "results" / "table2.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 0'))
    with pytest.raises(RunError, match=r"-m s2f study --profile synthetic --label x --set 'gan\.steps=7'`$"):
        kept_runs.keep(tmp_path, run)
    assert not (tmp_path / "book" / "results" / "synthetic-x").exists()


def test_the_book_lists_what_is_kept_and_nothing_where_nothing_is(tmp_path, run):
    parts = [{"caption": name, "chapters": []} for name in "ab"]
    toc = {"format": "jb-book", "root": "index", "parts": parts}
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "_toc.yml").write_text(yaml.safe_dump(toc))
    assert yaml.safe_load(book._toc(tmp_path, tmp_path / "toc.yml").read_text()) == toc
    kept_runs.keep(tmp_path, run)
    found = yaml.safe_load(book._toc(tmp_path, tmp_path / "toc.yml").read_text())
    assert [part["caption"] for part in found["parts"]] == ["a", "Kept results", "b"]
    assert found["parts"][1]["chapters"] == [{"file": "runs/kept/synthetic-x/index"}]
    flat = {"format": "jb-book", "root": "index", "chapters": [{"file": "a"}]}
    (tmp_path / "book" / "_toc.yml").write_text(yaml.safe_dump(flat))
    found = yaml.safe_load(book._toc(tmp_path, tmp_path / "toc.yml").read_text())
    assert found["chapters"] == [{"file": "a"}, {"file": "runs/kept/synthetic-x/index"}]


def test_the_folder_of_kept_runs_is_no_kept_run(tmp_path, run, monkeypatch):
    other = tmp_path / "book" / "results" / "other" / "provenance.json"
    other.parent.mkdir(parents=True)
    other.write_text("[]")
    monkeypatch.chdir(run)
    assert kept_runs.keep(tmp_path, Path(".")) == other.parent.with_name("synthetic-x")
    assert other.read_text() == "[]"


@pytest.mark.parametrize("name", ["notes.md", "table1.npz"])
def test_what_others_put_there_stays(tmp_path, run, name):
    place = tmp_path / "book" / "results" / "synthetic-x" / name
    place.parent.mkdir(parents=True)
    place.write_text("# Mine\n")
    with pytest.raises(OutputError, match="synthetic-x is there, and is no kept run"):
        kept_runs.keep(tmp_path, run)
    assert [path.name for path in place.parent.iterdir()] == [name] and place.read_text() == "# Mine\n"


def test_other_folders_of_a_run_are_no_seeds(tmp_path, run):
    (run / "s_notes").mkdir()
    (run / "scratch").mkdir()
    assert kept_runs.keep(tmp_path, run).is_dir()
    assert inside(kept_runs.keep(tmp_path, run))  # and replaces what it kept


def test_a_run_is_kept_where_folders_cannot_be_renamed(tmp_path, run, monkeypatch):
    def rename(source, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link", str(source), None, str(target))

    monkeypatch.setattr(os, "rename", rename)
    for _ in range(2):
        folder = kept_runs.keep(tmp_path, run)
        assert inside(folder) and sorted(path.name for path in folder.parent.iterdir()) == ["synthetic-x"]


def test_names_in_a_page_are_text(tmp_path, run):
    noted = json.loads((run / "s0" / "notebooks" / "06_metrics_general.json").read_text())
    for path in (run / "s0" / "notebooks").iterdir():
        path.write_text(json.dumps(noted | {"machine": "a|b $x$ _c_"}))
    assert r"| machine | a\|b \$x\$ \_c\_ |" in page_of(tmp_path, run).read_text(encoding="utf-8")
