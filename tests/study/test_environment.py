import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat import v4

from s2f.study import environment, pages

ROOT = Path(__file__).resolve().parents[2]
HARMFUL = {
    "MPLBACKEND": "Agg",
    "MATPLOTLIBRC": "/elsewhere",
    "PYTHONSTARTUP": "/elsewhere.py",
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "ignore",
    "PYTHONHASHSEED": "3",
    "PYTHONHOME": "/elsewhere",
    "IPYTHONDIR": "/elsewhere",
    "JUPYTER_PATH": "/elsewhere",
    "JUPYTER_CONFIG_DIR": "/elsewhere",
    "SNAKEMAKE_PROFILE": "slurm",
    "NVIDIA_TF32_OVERRIDE": "1",
}
LIMITS = {"OMP_NUM_THREADS": "7", "OPENBLAS_NUM_THREADS": "7", "MKL_NUM_THREADS": "7"}
KEPT = {"PATH": "/bin", "HOME": "/home", "LD_LIBRARY_PATH": "/lib", "CUDA_VISIBLE_DEVICES": "1", "SLURM_JOB_ID": "3"}


def test_what_could_change_results_is_dropped_and_the_rest_stays():
    found = environment.clean(KEPT | HARMFUL | LIMITS)
    assert found == KEPT | LIMITS | {"PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"}
    assert environment.clean(found) == found


def test_the_path_to_this_library_stays_and_no_other():
    mixed = os.pathsep.join(["/elsewhere", str(ROOT)])
    assert environment.clean({"PYTHONPATH": mixed})["PYTHONPATH"] == str(ROOT)
    assert "PYTHONPATH" not in environment.clean({"PYTHONPATH": "/elsewhere"})


def test_the_engine_counts_threads_itself_and_jupyter_sees_an_empty_home(tmp_path):
    found = environment.of_engine(KEPT | HARMFUL | LIMITS, home=tmp_path)
    assert not set(LIMITS) & set(found) and found["IPYTHONDIR"] == str(tmp_path / "ipython")
    code = "from jupyter_core import paths; print(paths.jupyter_config_path(), paths.jupyter_data_dir())"
    said = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | found, capture_output=True, text=True, check=True
    )
    assert f"'{tmp_path / 'config'}'" in said.stdout and said.stdout.strip().endswith(str(tmp_path / "data"))
    assert ".jupyter" not in said.stdout and ".local" not in said.stdout  # of the user's home


def test_a_command_starts_anew_without_them(tmp_path):
    (tmp_path / "startup.py").write_text("raise SystemExit(3)")
    code = (
        "import os, sys; from s2f.study import environment\n"
        "environment.restart()\n"
        "print(sys.argv[1:], sys.flags.optimize, sorted(set(os.environ) & set(sys.argv[1].split())))"
    )
    words = [sys.executable, "-c", code, " ".join(HARMFUL), "it's"]
    variables = {name: value for name, value in HARMFUL.items() if name != "PYTHONHOME"}
    env = {**os.environ, **variables, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{[' '.join(HARMFUL), chr(39).join(['it', 's'])]} 0 []"


def test_commands_start_anew_first():
    main = (ROOT / "s2f" / "__main__.py").read_text()
    assert main.index("environment.restart()") < main.index("sys.exit(main())")
    env = {**os.environ, "PYTHONOPTIMIZE": "2", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "s2f", "--help"]
    done = subprocess.run(words, env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "look at a corpus before it" in done.stdout  # a docstring, which is gone where Python optimises


@pytest.fixture
def quiet(monkeypatch):
    for name in (*HARMFUL, "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_what_of_a_session_could_change_results_is_named(quiet, tmp_path):
    shell = SimpleNamespace(profile_dir=SimpleNamespace(location=str(tmp_path)))
    assert environment.suspects(shell) == environment.suspects(None) == []
    (tmp_path / "startup").mkdir()
    (tmp_path / "startup" / "README").touch()
    assert environment.suspects(shell) == []
    (tmp_path / "startup" / "00-mine.py").touch()
    (tmp_path / "ipython_kernel_config.py").touch()
    quiet.setenv("PYTHONSTARTUP", "x.py")
    quiet.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), "/elsewhere"]))
    quiet.setenv("MKL_CBWR", "AVX2")
    found = environment.suspects(shell)
    assert {"PYTHONSTARTUP", "PYTHONPATH", "MKL_CBWR"} < set(found)
    assert {Path(name).name for name in found} >= {"00-mine.py", "ipython_kernel_config.py"}
    assert "PYTHONSTARTUP" not in environment.suspects(None)  # read by IPython, not by a script


@pytest.mark.slow
def test_a_notebook_shows_pictures_and_counts_threads_whatever_the_caller_has(tmp_path):
    cells = [
        "from s2f.report import style\nfrom s2f.study import environment\nstyle.theme()",
        "import matplotlib\nassert matplotlib.rcParams['lines.linewidth'] == 1.6\nstyle.canvas(1.0)[0]",
        "import numpy as np, torch, threadpoolctl\nenvironment.limit_threads(2)\n"
        "print(torch.get_num_threads(), {each['num_threads'] for each in threadpoolctl.threadpool_info()})",
    ]
    notebook = v4.new_notebook(cells=[v4.new_code_cell(text) for text in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "in.ipynb")
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\nsavefig.format: svg\n")
    profile = tmp_path / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_kernel_config.py").write_text("get_config().InlineBackend.figure_formats = {'svg'}\n")
    env = {**os.environ, "MPLBACKEND": "Agg", "IPYTHONDIR": str(tmp_path / "ipython"), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "papermill", "in.ipynb", "out.ipynb", "--no-progress-bar"]
    subprocess.run(words, env=env | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path, check=True, capture_output=True)
    page = pages.check_executed(tmp_path / "out.ipynb", name="out")
    assert "image/png" in page.cells[1].outputs[-1].data
    assert page.cells[2].outputs[0].text == "2 {2}\n"
