import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from s2f import provenance
from s2f.errors import ParameterError, RunError
from s2f.study import notebooks, runs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "params", tmp_path / "params")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def study(notebook, *, variant="general", seed=0, label="", overrides=None, profile="smoke"):
    return runs.open_study(notebook, profile=profile, variant=variant, seed=seed, label=label, overrides=overrides)


def test_a_finished_folder_is_read_by_the_next_notebook(project):
    first = study("01_corpus")
    folder = first.write("corpus")
    (folder / "manifest.parquet").write_text("x")
    with pytest.raises(RunError, match="not finished"):
        study("02_preprocessing").read("corpus")
    first.finish("corpus")
    assert study("02_preprocessing").read("corpus") == project / "runs/smoke/s0/corpus"
    facts = json.loads((folder / "provenance.json").read_text())["01_corpus"]
    assert facts["seed"] == 0 and facts["wall_time_s"] >= 0 and facts["peak_memory_mb"] > 1
    assert (folder / "params.yaml").is_file() and (first.run / "notebooks" / "01_corpus.json").is_file()


def test_a_missing_input_names_the_command_that_makes_it(project):
    with pytest.raises(RunError, match=r"papermill notebooks/04_voice_embedding.ipynb .*-r profile smoke") as error:
        study("05_training", variant="females", seed=3).read("voice")
    assert "-p seed 3" in str(error.value) and "runs/smoke/s3/voice" in str(error.value)


def test_starting_to_write_takes_back_what_was_finished(project):
    one = study("05_training")
    one.write("model")
    one.finish("model")
    two = study("06_metrics")
    two.write("metrics")
    two.finish("metrics")
    assert study("07_results").read("metrics")
    study("05_training").write("model")
    with pytest.raises(RunError):
        study("06_metrics").read("model")
    with pytest.raises(RunError):
        study("07_results").read("metrics")


def test_changed_parameters_are_named(project):
    one = study("05_training", label="a", overrides={"gan.steps": 7})
    one.write("model")
    one.finish("model")
    with pytest.raises(RunError, match=r"gan.steps: 7 there, 8 here"):
        study("06_metrics", label="a", overrides={"gan.steps": 8}).read("model")


def test_only_parameters_that_the_input_hangs_on_are_named(project):
    one = study("05_training", label="a", overrides={"gan.steps": 7, "machine.n_workers": 1, "measure.n_bootstrap": 99})
    one.write("model")
    one.finish("model")
    with pytest.raises(RunError, match=r"other parameters \(gan.steps: 7 there, 8 here\)"):
        study("06_metrics", label="a", overrides={"gan.steps": 8}).read("model")


def test_how_often_a_training_is_saved_makes_nothing_stale(project):
    keys = {study("05_training", label="a", overrides={"gan.save_every": n}).fingerprint("05_training") for n in (1, 2)}
    assert len(keys) == 1


def resume_key(monkeypatch, *, digest="data", code="code", caller=(), **what):
    monkeypatch.setattr(runs.provenance, "code_key", {"s2f.training.gan": code}.get)
    one = study("05_training", label="a", **what)
    one.caller = list(caller)
    return one.resume_key("s2f.training.gan", digest)


@pytest.mark.parametrize(
    "what",
    [
        {"overrides": {"gan.noise": 0.5}},
        {"seed": 1},
        {"digest": "other"},
        {"code": "edited"},
        {"caller": ["PYTHONPATH"]},
    ],
    ids=["parameter", "seed", "data", "code", "caller"],
)
def test_a_training_does_not_go_on_where_something_else_is_trained(project, monkeypatch, what):
    assert resume_key(monkeypatch, **what) != resume_key(monkeypatch)


@pytest.mark.parametrize("overrides", [{"gan.save_every": 7}, {"gan.on_trouble": "stop"}, {"code.on_trouble": "stop"}])
def test_a_training_goes_on_where_nothing_that_it_learns_is_changed(project, monkeypatch, overrides):
    assert resume_key(monkeypatch, overrides=overrides) == resume_key(monkeypatch)


def test_records_of_a_stage_that_is_no_more_are_dropped(project):
    one = study("05_training")
    folder = one.write("model")
    one.finish("model")
    found = provenance.read_stages(folder)
    provenance.write_stages(folder, found | {"04_renamed": found["05_training"]})
    study("06_metrics").write("metrics")
    assert list(provenance.read_stages(folder)) == ["05_training"]


def test_a_labelled_run_takes_what_is_the_same_from_the_plain_one(project):
    plain = study("04_voice_embedding")
    plain.write("voice")
    plain.finish("voice")
    assert study("05_training", label="a", overrides={"gan.steps": 7}).read("voice") == plain.run / "voice"
    with pytest.raises(RunError):
        study("05_training", label="b", overrides={"voice.steps": 7}).read("voice")


def test_overrides_without_a_label_do_not_touch_the_plain_run(project):
    with pytest.raises(RunError, match="label"):
        study("05_training", overrides={"gan.steps": 7}).write("model")
    with pytest.raises(RunError, match=r"store belongs to profile 'smoke' without overrides. Give the run a name"):
        study("02_preprocessing", overrides={"store.max_turn": 0.4}).share("store", part="0")
    assert study("05_training", overrides={"machine.n_workers": 1}).write("model").is_dir()


def test_a_closed_set_says_so_where_it_is_opened(project, capsys):
    runs._say_once.cache_clear()
    study("05_training")
    assert not capsys.readouterr().out
    study("05_training", label="closed", overrides={"split.rule": "none"})
    said = capsys.readouterr().out
    assert said.startswith("runs/smoke-closed/s0 is a closed set") and "trained on" in said


def test_a_folder_is_written_by_one_process_at_a_time(project):
    holder = study("05_training")
    holder.write("model")
    code = (
        "from s2f.study import runs; from s2f import errors\n"
        "s = runs.open_study('05_training', profile='smoke', variant='general', seed=0, label='', overrides={})\n"
        "try:\n    s.write('model')\nexcept errors.RunError as e:\n    print('refused', e)\n"
        "s = runs.open_study('05_training', profile='smoke', variant='males', seed=0, label='', overrides={})\n"
        "s.write('model'); print('other folder free')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=project, check=True)
    assert "refused" in done.stdout and "another process" in done.stdout and "other folder free" in done.stdout
    assert holder.locks


def test_a_folder_is_emptied_where_it_is_asked_for_and_no_other(project):
    one = study("01_corpus")
    markers = [one.write("corpus") / "marker", study("02_preprocessing").write("store") / "marker"]
    for marker in markers:
        marker.touch()
    assert one.write("corpus") == markers[0].parent and markers[0].exists()
    with pytest.raises(RunError, match="without overrides"):
        study("01_corpus", overrides={"corpus.min_s": 1.5}).write("corpus", keep=False)
    one.locks.pop("corpus").release()
    with FileLock(one.run / ".locks" / "corpus.lock"), pytest.raises(RunError, match="written by another process"):
        study("01_corpus").write("corpus", keep=False)
    assert all(marker.exists() for marker in markers)
    study("01_corpus").write("corpus", keep=False)
    assert [marker.exists() for marker in markers] == [False, True] and markers[0].parent.is_dir()


def test_a_notebook_writes_its_own_folders_only(project):
    with pytest.raises(RunError, match="written by 02_preprocessing"):
        study("05_training").write("store")
    with pytest.raises(RunError, match="store"):
        study("05_training").read("stoer")


@pytest.mark.parametrize(
    ("what", "named"),
    [
        ({"seed": "1"}, "seed"),
        ({"seed": -1}, "-1"),
        ({"seed": True}, "True"),
        ({"label": "a-b"}, "a-b"),
        ({"label": "a; touch f"}, "letters"),
        ({"label": 7}, "-r label 7"),
        ({"label": "x" * 300}, "100 at most"),
        ({"label": "../x"}, "../x"),
        ({"variant": "femals"}, "females"),
        ({"profile": "demoo"}, "demo"),
        ({"notebook": "05_trainning"}, "05_training"),
    ],
)
def test_wrong_arguments_name_themselves(project, what, named):
    with pytest.raises(ParameterError, match=named):
        study(**({"notebook": "05_training"} | what))


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert runs.choose_device("auto") == "cpu"
    with pytest.raises(ParameterError, match="no GPU"):
        runs.choose_device("cuda")


def test_parameters_that_papermill_injects_must_be_known():
    own = 'profile = "demo"\nvariant = "general"'
    notebooks.refuse_unknown_parameters([own, '# Parameters\nvariant = "females"\nPAPERMILL_X = 1\n'])
    with pytest.raises(ParameterError, match=r"'varient'.*'variant'"):
        notebooks.refuse_unknown_parameters(["", own, '# Parameters\nvarient = "females"\n'])
    notebooks.refuse_unknown_parameters(["%matplotlib inline\nx", own])
    notebooks.refuse_unknown_parameters(["%matplotlib inline\nvariant = 'general'", '# Parameters\nvariant = "males"'])


@pytest.mark.parametrize(
    ("own", "given", "said"),
    [
        ('label = ""', "label = 7", "-r label 7"),
        ('label = ""', "label = True", "-r label True"),
        ('recording = ""', "recording = None", "-r recording None"),
        ("x = True", 'x = "false"', "-p x False"),
        ("x = True", "x = 1", "-p x False"),
        ("seed = 0", "seed = 1.5", "a whole number"),
        ("seed = 0", "seed = True", "a whole number"),
        ("overrides = {}", "overrides = [1]", "a mapping"),
    ],
)
def test_what_papermill_made_of_a_word_must_be_of_the_parameters_kind(own, given, said):
    with pytest.raises(ParameterError, match=said) as caught:
        notebooks.refuse_unknown_parameters([own, f"# Parameters\n{given}\n"])
    assert given.split(" = ")[0] in caught.value.subject


def test_values_of_the_right_kind_are_accepted():
    own = 'label = ""\nx = False\nseed = 0\nshare = 0.5\noverrides = {}'
    given = '# Parameters\nlabel = "7"\nx = True\nseed = 3\nshare = 1\noverrides = "{gan.steps: 5}"'
    notebooks.refuse_unknown_parameters([own, given])
