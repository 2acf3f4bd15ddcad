import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from filelock import FileLock

from s2f import __main__ as cli
from s2f.errors import RunError
from s2f.study import params, stages, workflow
from s2f.study.graph import CODE_CHANGED, Graph, Job

ROOT = Path(__file__).resolve().parents[2]

ASKED = {"profile": "smoke", "label": "", "n_seeds": 1, "thorough": False, "book": True, "overrides": {}}
ADDED = "\n\n\nADDED = 1\n\n\n"  # what a module computes
LATE = ["07_results", "08_your_voice", "09_known_answer", "10_poster"]
TRAINED = ["05_training", "06_metrics", *LATE]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy of the project whose study has run once, with a stand-in for papermill."""
    project = tmp_path_factory.mktemp("project")
    for name in ("params", "s2f", "notebooks", "book", "workflow"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__", "runs"))
    for name in ("Snakefile", "_config.yml"):
        shutil.copy(ROOT / name, project / name)
    (project / "papermill").mkdir()
    (project / "papermill" / "__init__.py").touch()  # or the real package would win
    shutil.copy(Path(__file__).with_name("standin.py"), project / "papermill" / "__main__.py")
    assert study(project) != []
    return project


@pytest.fixture
def project(finished, tmp_path):
    copy = tmp_path / "project"
    shutil.copytree(finished, copy, copy_function=shutil.copy2)
    return copy


def command(*words):
    return [sys.executable, "-m", "s2f", "study", "--profile", "smoke", "--no-book", *words]


def environment(project):
    return {**os.environ, "PYTHONPATH": str(project)}


def study(project, *words):
    """Run the study; what it asked papermill for, in order."""
    asked = project / "asked.txt"
    asked.unlink(missing_ok=True)
    done = subprocess.run(
        command(*words), cwd=project, env=environment(project), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return asked.read_text().splitlines() if asked.exists() else []


@pytest.mark.slow
def test_the_folder_that_jupyter_is_given_is_there(finished):
    given = os.environ | {"IPYTHONDIR": str(finished / "runs" / ".jupyter" / "ipython")}
    code = "import IPython.paths; print(IPython.paths.get_ipython_dir())"
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == (given["IPYTHONDIR"], "")


def test_only_who_writes_a_run_of_the_study_is_waited_for(tmp_path, monkeypatch, capsys):
    path = tmp_path / "runs" / "demo-mine" / "s0" / ".locks" / "general.lock"
    path.parent.mkdir(parents=True)
    holder = FileLock(path)
    monkeypatch.setattr(workflow.time, "sleep", lambda _: holder.release())
    with holder:
        workflow._wait_for_notebooks(tmp_path, {"demo"})
        assert holder.is_locked and capsys.readouterr().out == ""
        workflow._wait_for_notebooks(tmp_path, {"demo", "demo-mine"})
        assert not holder.is_locked
    said = "a notebook writes runs/demo-mine/s0/general, or is open and holds it. Wait, shut its kernel down"
    assert said in capsys.readouterr().out


@pytest.mark.slow
def test_a_dry_run_waits_for_nobody(project):
    with FileLock(project / "runs" / "smoke" / "s0" / ".locks" / "general.lock"):
        words = {"cwd": project, "env": environment(project), "capture_output": True, "text": True, "check": True}
        done = subprocess.run(command("--dry-run"), timeout=120, **words)
    assert "up to date" in done.stdout


@pytest.mark.slow
def test_a_second_run_does_nothing_but_say_so(project):
    assert study(project) == []
    done = subprocess.run(command(), cwd=project, env=environment(project), capture_output=True, text=True, check=True)
    assert "up to date" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "new", "reruns"),
    [
        ("s2f/training/gan.py", "\n\n\n# A comment.\n", []),
        ("s2f/study/workflow.py", ADDED, []),
        ("s2f/report/results.py", ADDED, ["07_results", "10_poster"]),
        ("s2f/training/speaker.py", ADDED, ["04_voice_embedding", *TRAINED]),
    ],
    ids=["comment", "engine", "results", "speaker"],
)
def test_an_edit_of_code_reruns_what_uses_it_and_nothing_else(project, file, new, reruns):
    path = project / file
    path.write_text(path.read_text().replace("\n\n\n", new, 1))
    whole = [[f"{name} {v}" for v in stages.VARIANTS] if name[:2] in ("05", "06") else [name] for name in reruns]
    assert sorted(study(project)) == sorted(line for lines in whole for line in lines)


@pytest.mark.slow
def test_after_a_kill_the_next_run_goes_on(project):
    path = project / "s2f" / "training" / "gan.py"
    path.write_text(path.read_text() + "\nADDED = 1\n")
    (project / "slow").touch()
    (project / "asked.txt").unlink(missing_ok=True)
    running = subprocess.Popen(
        command(),
        cwd=project,
        env=environment(project),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.time() + 60
        while not (project / "asked.txt").exists() and time.time() < deadline:
            time.sleep(0.2)
        second = subprocess.run(
            command(), cwd=project, env=environment(project), capture_output=True, text=True, check=False
        )
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    assert second.returncode == 2 and "already running" in second.stderr
    (project / "slow").unlink()
    trained = {f"{name} {variant}" for name in ("05_training", "06_metrics") for variant in stages.VARIANTS}
    assert set(study(project)) == trained | set(LATE)
    assert study(project) == []


@pytest.mark.slow
def test_a_stage_that_fails_says_why_last(project):
    (project / "broken").touch()
    (project / "runs/smoke/s0/notebooks/10_poster.json").unlink()
    done = subprocess.run(command(), cwd=project, env=environment(project), capture_output=True, text=True, check=False)
    said = "10_poster (runs/smoke/s0) stopped: the table is odd. Mend it. "
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last == f"error: {said}The whole notebook: runs/smoke/s0/notebooks/10_poster.ipynb"
    assert "Building DAG" in (project / "runs" / "study.log").read_text() and "Building DAG" not in done.stderr
    (project / "broken").unlink()
    assert study(project) == ["10_poster"]


@pytest.mark.slow
def test_a_book_that_fails_says_why_last(project):
    (project / "book" / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters:\n- file: runs/99_more\n")
    words = [word for word in command() if word != "--no-book"]
    done = subprocess.run(words, cwd=project, env=environment(project), capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert (
        done.returncode == 2 and last.startswith("error: the study stopped: ") and "99_more.ipynb is missing" in last
    ), done.stderr


@pytest.mark.slow
def test_labels_share_what_is_the_same(project):
    asked = study(project, "--label", "long", "--set", "gan.steps=70")
    assert "05_training general long" in asked and "06_metrics males long" in asked
    assert not any(line.startswith(("01", "02", "04")) for line in asked)
    assert study(project) == []


def test_the_graph_is_the_stages(project):
    graph = Graph(ASKED | {"n_seeds": 2, "thorough": True}, root=project)
    first, second = (SimpleNamespace(run="smoke", seed=str(seed)) for seed in (0, 1))
    every = [f"runs/smoke/s{{}}/notebooks/06_metrics_{name}.json" for name in stages.VARIANTS]
    pooled = graph.inputs(stages.STAGES["07_results"])(first)
    closed = [f"runs/smoke-closed/s0/notebooks/06_metrics_{name}.json" for name in stages.VARIANTS]
    drawn = [f"runs/smoke/s{{}}/notebooks/{name}.json" for name in ("04_voice_embedding", "05_training_general")]
    of = [[path.format(seed) for path in (*every, *drawn)] for seed in (0, 1)]
    assert pooled == of[0] + of[1][:3] + closed  # of another seed, only what is measured
    assert graph.inputs(stages.STAGES["07_results"])(second) == of[1]
    answers = graph.inputs(stages.STAGES["09_known_answer"])(first)
    assert answers[1:] == [f"runs/{run}/notebooks/09_known_answer.json" for run in ("smoke/s1", "smoke-leak/s0")]


def test_words_of_a_job_are_quoted(project):
    text = "a b; 'c'"
    graph = Graph(ASKED | {"label": "odd", "overrides": {"corpus.root": text}}, root=project)
    job = SimpleNamespace(run="smoke-odd", seed="3", variant="males", part="1", n_parts="2")
    words = shlex.split(graph.papermill(job))
    assert words[:8] == ["-r", "profile", "smoke", "-p", "seed", "3", "-r", "variant"]
    assert yaml.safe_load(words[-1]) == {"overrides": {"corpus.root": text}}
    words = shlex.split(graph.preprocess(job))
    assert words[0] == sys.executable and params.parse_settings([words[words.index("--set") + 1]]) == {
        "corpus.root": text
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--profile", "demoo"], "demo"),
        (["--set", "gan.steps=5"], "--label"),
        (["--set", "gan.steps", "--label", "a"], "'='"),
        (["--set", "corpus.root=a: b: c", "--label", "a"], "corpus.root"),
        (["--set", "corpus.root=2024", "--label", "a"], "quote"),
        (["--label", "a; touch f"], "a; touch f"),
        (["--label", "a-b"], "a-b"),
        (["--seeds", "0"], "--seeds"),
        (["--cores", "0"], "--cores"),
        (["--set", "gan.setps=5", "--label", "a"], "gan.steps"),
    ],
)
def test_wrong_words_are_one_line(words, said, capsys):
    assert cli.main(["study", *words]) == 2
    error = capsys.readouterr().err
    assert said in error and error.startswith("error: ") and error.count("\n") == 1


@pytest.mark.parametrize(
    "setting", ["measure.inception=networks/mine.pt", "measure.face_gender=a.onnx", "voice.checkpoint=a.pth"]
)
def test_a_network_that_is_not_there_is_named_before_anything_runs(setting, capsys):
    key, file = setting.split("=")
    assert cli.main(["study", "--profile", "smoke", "--label", "own", "--set", setting]) == 2
    error = capsys.readouterr().err
    assert f"'{key}' is '{file}', and no such file is there" in error and error.count("\n") == 1


def test_ctrl_c_is_no_fault(monkeypatch, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(workflow, "main", interrupted)
    assert cli.main(["study"]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_a_reader_that_has_enough_is_no_fault():
    program = """
import sys
from types import SimpleNamespace
from s2f import __main__ as command
sys.modules["lines"] = SimpleNamespace(main=lambda _: print("a line\\n" * 99999) or 0)
command.COMMANDS = {"study": "lines"}
sys.exit(command.main(["study"]))
"""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, **pipes) as process:
        assert process.stdout.readline() == b"a line\n"
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 141)


def test_a_file_of_the_code_saved_meanwhile_is_told_from_a_fault(project, monkeypatch):
    monkeypatch.chdir(project)
    monkeypatch.setattr(Graph, "unfinished", lambda self: {Job("10_poster", "smoke", 0): CODE_CHANGED})
    monkeypatch.setattr(workflow, "_run_engine", lambda *_, **__: None)
    with pytest.raises(
        RunError, match=r"its code changed\. A file of the code was saved meanwhile: run the study again"
    ):
        workflow.run(ASKED | {"book": False})


@pytest.mark.parametrize(("said", "n_runs"), [("RuntimeError: " + workflow.NO_KERNEL, 2), ("KeyError: 'x'", 1)])
def test_a_kernel_that_did_not_start_is_started_once_more(project, monkeypatch, capsys, said, n_runs):
    assert workflow.NO_KERNEL in Path(importlib.util.find_spec("jupyter_client.client").origin).read_text()
    monkeypatch.chdir(project)
    monkeypatch.setattr(Graph, "unfinished", lambda self: {Job("10_poster", "smoke", 0): "it is not there"})
    ran = []

    def engine(asked, root, again, *, words):
        ran.append(again)
        (root / workflow.LOG).parent.mkdir(exist_ok=True)
        (root / workflow.LOG).write_text(f"a line\n{said}\n")
        return "Snakemake ended with status 1"

    monkeypatch.setattr(workflow, "_run_engine", engine)
    with pytest.raises(RunError, match="stopped: Snakemake ended with status 1"):
        workflow.run(ASKED | {"book": False})
    assert len(ran) == n_runs and ran[-1] == ran[0]
    assert ("did not start" in capsys.readouterr().out) is (n_runs == 2)


def test_reconstruct_names_what_is_missing(tmp_path, capsys):
    folder = tmp_path / "runs" / "demo-mine" / "s0" / "general"
    assert cli.main(["reconstruct", "x.wav", "--run", str(folder)]) == 2
    assert "run the study of demo-mine with the options it was made with" in capsys.readouterr().err
