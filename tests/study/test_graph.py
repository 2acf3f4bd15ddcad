import json
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from s2f.errors import ParameterError, RunError
from s2f.study import params, runs, stages
from s2f.study.graph import Graph, Job, book_sources
from s2f.study.stages import THOROUGH
from tests.study import standin

ROOT = Path(__file__).resolve().parents[2]
ASKED = {"profile": "smoke", "label": "", "n_seeds": 1, "thorough": False, "book": True, "overrides": {}}
LATE = ["07_results", "08_your_voice", "09_known_answer", "10_poster"]
TRAINED = ["05_training", "06_metrics", *LATE]


def study(root, **asked):
    """Run what is not finished, as the engine would; names of the notebooks, each once."""
    waiting = graph(root, **asked).unfinished()
    for job in waiting:
        label, overrides = job.run.partition("-")[2], graph(root, **asked).overrides[job.run]
        standin.run(job.notebook, True, variant=job.variant, seed=job.seed, label=label, overrides=overrides)
    return sorted({job.notebook for job in waiting})


def graph(root, **asked):
    return Graph(ASKED | asked, root=root)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project whose smoke study has run, with a stand-in for papermill."""
    root = tmp_path_factory.mktemp("project")
    for name in ("params", "notebooks", "workflow"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns(".*"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert study(root) == list(stages.STAGES)
    return root


@pytest.fixture
def project(finished, tmp_path, monkeypatch):
    """A copy of it as `cp -r` makes it, its files in another order of times."""
    copy = tmp_path / "a moved project"
    shutil.copytree(finished, copy, copy_function=shutil.copyfile)
    for n, path in enumerate(sorted(copy.rglob("*"), reverse=True)):
        os.utime(path, (10**9 + n, 10**9 + n))
    monkeypatch.chdir(copy)
    return copy


def test_a_finished_study_has_nothing_left_in_another_place_and_with_other_times(project):
    assert graph(project).unfinished() == {}


def test_a_notebook_saved_by_an_editor_is_the_same(project):
    path = project / "notebooks" / "02_preprocessing.ipynb"
    notebook = json.loads(path.read_text())
    for n, cell in enumerate(notebook["cells"]):
        cell["id"] = f"other-{n}"
        cell["metadata"]["editable"] = True
        cell["source"] = "".join(cell["source"])  # one text instead of lines
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "tried"}]
            cell["execution_count"] = n
    notebook["metadata"]["language_info"]["version"] = "3.12.1"
    path.write_text(json.dumps(dict(reversed(notebook.items())), indent=4, sort_keys=True))
    assert graph(project).unfinished() == {}


@pytest.mark.parametrize(
    ("file", "old", "new", "reruns"),
    [
        ("params/profiles/smoke.yaml", "width: 0.125, steps: 60", "width: 0.125, steps: 61", ["03_models", *TRAINED]),
        (
            "params/profiles/smoke.yaml",
            "n_bootstrap: 200",
            "n_bootstrap: 201",
            ["06_metrics", "07_results", "09_known_answer", "10_poster"],
        ),
        ("params/profiles/smoke.yaml", "n_photos: 1", "n_photos: 2", ["09_known_answer"]),
        ("params/profiles/smoke.yaml", "recipe: codes", "recipe: codes  # a comment", []),
        ("notebooks/04_voice_embedding.ipynb", "# ", "# Other ", ["04_voice_embedding", *TRAINED]),
        ("notebooks/10_poster.ipynb", '"seed = 0', '"seed = 1', ["10_poster"]),
        ("params/variants/females.yaml", "variant:", "gan: {noise: 0.07}\nvariant:", [*TRAINED[:4], "10_poster"]),
    ],
    ids=["gan", "measuring", "answer", "comment", "text of a notebook", "code of a notebook", "one variant"],
)
def test_an_edit_reruns_what_depends_on_it_and_nothing_else(project, file, old, new, reruns):
    path = project / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    jobs = graph(project).unfinished()
    assert sorted({job.notebook for job in jobs}) == sorted(reruns)
    if "variants" in file:
        assert {job.variant for job in jobs if job.stage.each_variant} == {"females"}
    study(project)
    assert graph(project).unfinished() == {}


def test_what_is_taken_out_of_a_study_leaves_its_pages(project):
    path = project / "params" / "profiles" / "smoke.yaml"
    path.write_text(path.read_text() + "\nvariants: [general, females]\n")
    reasons = {job.notebook: why for job, why in graph(project).unfinished().items()}
    assert reasons == dict.fromkeys(
        ("07_results", "08_your_voice", "10_poster"), "smoke/s0/males is no part of it any more"
    )
    study(project)
    assert graph(project).unfinished() == {}


def test_an_edit_of_code_reruns_what_uses_it(project, monkeypatch):
    before = runs.code_of
    monkeypatch.setattr(runs, "code_of", lambda name, root: before(name, root=root) + "x" * (name == "05_training"))
    reasons = {str(job): why for job, why in graph(project).unfinished().items()}
    assert reasons["05_training_males (runs/smoke/s0)"] == "its code changed"
    assert reasons["06_metrics_males (runs/smoke/s0)"] == "05_training_males (runs/smoke/s0) runs"


def test_writing_that_was_not_finished_runs_again(project):
    view = {"profile": "smoke", "seed": 0, "label": "", "overrides": {}}
    runs.open_study("05_training", variant="males", **view).write("model")
    jobs = graph(project).unfinished()
    assert jobs[Job("05_training", "smoke", 0, "males")] == "model is not finished"
    assert {job.notebook for job in jobs} == {"05_training", "06_metrics", "07_results", "08_your_voice", "10_poster"}


@pytest.mark.parametrize("executed", [None, "out.ipynb"], ids=["as a script", "to a file of its own"])
@pytest.mark.parametrize("name", ["05_training", "01_corpus", "08_your_voice"])
def test_what_was_run_by_hand_runs_again_for_its_page(project, name, executed):
    standin.run(name, executed and project / executed)
    jobs = graph(project).unfinished()
    assert "by hand" in jobs[Job(name, "smoke", 0)]
    study(project)
    assert graph(project).unfinished() == {}


def test_by_hand_before_any_study(tmp_path, monkeypatch):
    for name in ("params", "notebooks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    standin.run("01_corpus", tmp_path / "out.ipynb")
    standin.run("02_preprocessing")
    assert study(tmp_path) == list(stages.STAGES)
    assert graph(tmp_path).unfinished() == {}


def test_what_was_run_by_hand_to_its_own_page_is_finished(project):
    standin.run("10_poster", True)
    assert graph(project).unfinished() == {}


@pytest.mark.parametrize("how", ["page", "record", "data", "cell", "earlier version"])
def test_what_is_gone_or_broken_is_made_again(project, how):
    job = Job("06_metrics", "smoke", 0, "females")
    page, record = project / job.page, project / job.record
    if how == "page":
        page.unlink()
    elif how == "record":
        record.unlink()
    elif how == "data":
        (project / "runs/smoke/s0/females/metrics.json").unlink()
    elif how == "cell":
        notebook = json.loads(page.read_text())
        notebook["cells"][-1 if notebook["cells"][-1]["cell_type"] == "code" else -2]["execution_count"] = None
        page.write_text(json.dumps(notebook))
    else:
        facts = json.loads(record.read_text())
        record.write_text(json.dumps({key: facts[key] for key in facts if key not in ("id", "inputs", "code")}))
    assert {each.notebook for each in graph(project).unfinished()} == {"06_metrics", "07_results", "10_poster"}
    study(project)
    assert graph(project).unfinished() == {}


def test_more_seeds_are_pooled_by_the_first_one_s_pages(project):
    assert study(project, n_seeds=2) == list(stages.STAGES)
    assert graph(project, n_seeds=2).unfinished() == {} == graph(project).unfinished()
    assert runs.open_study("07_results", profile="smoke", variant="general", seed=0, label="", overrides={}).seeds()
    made = json.loads((project / "runs/smoke/s0/notebooks/07_results.json").read_text())["inputs"]
    assert "smoke/s1/males:06_metrics" in made
    (project / "runs/smoke/s0/notebooks/06_metrics_males.ipynb").unlink()
    waiting = {str(job) for job in graph(project, n_seeds=2).unfinished()}
    assert "06_metrics_males (runs/smoke/s0)" in waiting and "07_results (runs/smoke/s0)" in waiting
    study(project, n_seeds=2)  # the page of the second seed shows the first one's, which it does not wait for
    assert graph(project, n_seeds=2).unfinished() == {}


def test_a_labelled_run_shares_what_is_the_same(project):
    asked = {"label": "2024", "overrides": {"gan.steps": 70}}
    assert study(project, **asked) == ["03_models", *TRAINED]
    assert graph(project, **asked).unfinished() == {}
    made = json.loads((project / "runs/smoke-2024/s0/general/provenance.json").read_text())["05_training"]["inputs"]
    assert "smoke/s0/voice:04_voice_embedding" in made


def test_threads_of_a_job_are_those_of_its_own_run():
    made = Graph(ASKED | {"profile": "demo"}, root=ROOT).n_threads(stages.STAGES["05_training"])
    assert [made(SimpleNamespace(run=run)) for run in ("demo", "demo-poster")] == [1, 2]


@pytest.mark.parametrize(
    ("notebook", "n_cores", "n_workers"), [("02_preprocessing", 16, 16), ("09_known_answer", 2, 5)]
)
def test_cores_of_a_job_are_those_that_its_processes_keep_busy(tmp_path, notebook, n_cores, n_workers):
    """Six threads and sixteen workers, shared by three variants where a notebook is not wide."""
    shutil.copytree(ROOT / "params", tmp_path / "params")
    profile = tmp_path / "params" / "profiles" / "smoke.yaml"
    profile.write_text(profile.read_text() + "machine: {n_threads: 6, n_workers: 16}\n")
    asked = ASKED | {"profile": "smoke"}
    made = Graph(asked, root=tmp_path).n_threads(stages.STAGES[notebook])
    assert made(SimpleNamespace(run="smoke")) == n_cores
    settings = params.resolve("smoke", root=tmp_path)
    assert runs.Study(notebook, tmp_path, "smoke", "general", 0, "", settings, settings).n_workers == n_workers


@pytest.mark.parametrize(
    ("profile", "label", "overrides"),
    [("demo", "poster", {"recipe": "poster"}), ("smoke", "closed", {}), ("smoke", "leak", {"corpus.leak": 0.5})],
)
def test_a_label_that_the_study_uses_itself_is_not_for_other_parameters(profile, label, overrides):
    with pytest.raises(ParameterError, match=f"'{label}', under which a study of '{profile}' keeps a run with "):
        Graph(ASKED | {"profile": profile, "label": label, "overrides": overrides}, root=ROOT)
    given = {**THOROUGH, **params.resolve(profile, root=ROOT).beside}[label]
    for free in ({}, {"machine.rendezvous": "head:29500", "machine.n_workers": 3}):  # as a cluster's jobs have it
        made = Graph(ASKED | {"profile": profile, "label": label, "overrides": given | free}, root=ROOT)
        assert made.main.endswith(label)


def test_a_profile_names_no_run_beside_it_as_the_thorough_study_does(tmp_path):
    shutil.copytree(ROOT / "params", tmp_path / "params")
    profile = tmp_path / "params" / "profiles" / "smoke.yaml"
    profile.write_text(profile.read_text() + "beside: {closed: {recipe: poster}}\n")
    with pytest.raises(ParameterError, match=r"'beside' names a run 'closed'.*another name"):
        Graph(ASKED | {"profile": "smoke"}, root=tmp_path)


def test_half_of_a_thorough_study_is_not_given_for_the_whole():
    with pytest.raises(ParameterError, match=r"--thorough is of a whole profile, and 'mine' is one run.*--seeds 3"):
        Graph(ASKED | {"label": "mine", "thorough": True}, root=ROOT)


def test_splits_that_the_corpus_brings_are_not_undone_by_a_thorough_study(tmp_path):
    shutil.copytree(ROOT / "params", tmp_path / "params")
    profile = tmp_path / "params" / "profiles" / "table.yaml"
    assert set(Graph(ASKED | {"profile": "table", "thorough": True}, root=tmp_path).extra) == {"closed"}
    profile.write_text(profile.read_text() + "split: {rule: given}\n")
    assert set(Graph(ASKED | {"profile": "table", "thorough": True}, root=tmp_path).extra) == set()


@pytest.mark.slow
def test_every_input_of_a_thorough_study_is_noted(project):
    profile = project / "params" / "profiles" / "smoke.yaml"
    profile.write_text(profile.read_text() + "beside:\n  wide: {gan.width: 0.25}\n")
    asked = {"thorough": True, "n_seeds": 2}
    study(project, **asked)
    assert graph(project, **asked).unfinished() == {}
    for run, folder, shown_by in (
        ("smoke-closed/s0", "males", "07_results"),
        ("smoke-wide/s0", "general", "07_results"),
        ("smoke-leak/s0", "answer", "09_known_answer"),
        ("smoke/s1", "answer", "09_known_answer"),
    ):
        (project / "runs" / run / folder / "provenance.json").unlink()
        assert Job(shown_by, "smoke", 0) in graph(project, **asked).unfinished()
        study(project, **asked)
        assert graph(project, **asked).unfinished() == {}


def test_the_sources_of_the_book_are_its_files_and_those_of_the_run(project):
    (project / "book" / "runs").mkdir(parents=True)
    (project / "book" / "index.md").write_text("a")
    (project / "book" / "runs" / "copy.md").write_text("b")
    (project / "_config.yml").write_text("c")
    before = book_sources(project, "smoke", 0)
    assert {"book/index.md", "_config.yml", "runs/smoke/s0/notebooks/10_poster.ipynb"} <= set(before)
    assert not any("book/runs" in name for name in before)
    for path in project.rglob("*"):
        os.utime(path)
    assert book_sources(project, "smoke", 0) == before
    (project / "book" / "index.md").write_text("another")
    assert book_sources(project, "smoke", 0) != before != book_sources(project, "smoke", 1)
    assert graph(project).book_problem() == "it is not there"


def commands(error):
    """The two commands that an error names: one notebook, and all of the run."""
    one, both = error.remedy.removeprefix("Make it first: ").split(" (or all of the run: ")
    return one, both.removesuffix(")")


def paste(command, cwd):
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(cwd), str(ROOT)])}
    return subprocess.run(command, shell=True, cwd=cwd, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("inside", [True, False])
def test_the_command_for_a_missing_input_makes_that_input_when_it_is_pasted(project, monkeypatch, tmp_path, inside):
    (project / "papermill").mkdir()
    (project / "papermill" / "__init__.py").touch()
    shutil.copy(Path(standin.__file__), project / "papermill" / "__main__.py")
    overrides = {"gan.learning_rate_generator": 1e-05, "voice.checkpoint": "it's $HOME;.pt", "gan.flip": False}
    (project / overrides["voice.checkpoint"]).touch()
    view = {"profile": "smoke", "variant": "males", "seed": 1, "label": "1e5", "overrides": overrides}
    study = runs.open_study("06_metrics", **view)
    if not inside:
        monkeypatch.chdir(project / "notebooks")
    with pytest.raises(RunError, match="is not there yet") as caught:
        study.read("model")
    one, whole = commands(caught.value)
    done = paste(one, Path.cwd())
    assert done.returncode == 0, done.stderr
    assert study.read("model") == project / "runs/smoke-1e5/s1/males"
    done = paste(f"{whole} --dry-run", Path.cwd())
    assert done.returncode == 0, done.stderr
    assert "04_voice_embedding (runs/smoke-1e5/s1): " in done.stdout and "its parameters" not in done.stdout
    made = json.loads((project / "runs/smoke-1e5/s1/notebooks/05_training_males.json").read_text())
    assert made["command"] == study.whole


def test_words_that_numbers_are_written_in_are_read_as_the_same_numbers():
    for value in (1e-05, 2e20, 0.1, True, None, "yes", "1e5", "a: b", "", ["x", "1"], 'it\'s "so"', "é"):
        assert params.parse_settings([f"corpus.root={params.as_yaml(value)}"]) == {"corpus.root": value}
