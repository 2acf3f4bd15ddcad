"""Workflows and Binder's files: they parse, name what is there, and may do no more than they must."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from s2f import __main__ as cli

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def read(path):
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content | {"on": content.pop(True)}  # YAML 1.1 reads "on" so


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


PUBLISH = read(ROOT / ".github" / "workflows" / "publish.yml")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_pin_their_actions_and_may_only_read(path):
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"} and workflow["concurrency"]["group"]
    assert all(job["timeout-minutes"] <= 120 for job in workflow["jobs"].values())
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used and all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_name_commands_that_are_there(path):
    asked = [step["run"] for step in steps(read(path)) if "run" in step]
    assert asked
    for command in asked:
        words = command.split()
        if words[0] == "make":
            assert words[1] in TARGETS
        elif words[0] == ".venv/bin/python":
            assert words[1:3] == ["-m", "s2f"]
            cli.parser().parse_args(words[3:])  # exits where it does not know them
        elif words[0].startswith("."):
            assert os.access(ROOT / words[0], os.X_OK)
        else:
            assert words[0] in ("cd", "gh")


def test_only_a_push_to_main_is_published_and_only_a_tag_gets_networks():
    assert PUBLISH["on"]["push"] == {"branches": ["main"], "tags": ["v*"]} and "pull_request" not in PUBLISH["on"]
    pages, release = PUBLISH["jobs"]["pages"], PUBLISH["jobs"]["release"]
    assert pages["if"] == "github.ref == 'refs/heads/main'" and pages["needs"] == "build"
    assert pages["permissions"] == {"pages": "write", "id-token": "write"}
    assert release["if"] == "startsWith(github.ref, 'refs/tags/v')" and release["needs"] == "build"
    assert release["permissions"] == {"contents": "write"}
    assert "permissions" not in PUBLISH["jobs"]["build"] and PUBLISH["concurrency"]["cancel-in-progress"] is False


def test_what_is_published_is_installed_anew_and_leaves_no_token():
    build = {step.get("uses", step.get("run")): step.get("with", {}) for step in PUBLISH["jobs"]["build"]["steps"]}
    assert build["actions/checkout@v4"]["persist-credentials"] is False
    assert "cache" not in build["actions/setup-python@v5"]
    assert build["actions/upload-pages-artifact@v3"]["path"] == "_build/html"


def test_text_of_others_reaches_no_shell_in_a_workflow():
    for path in WORKFLOWS:
        assert [step["run"] for step in steps(read(path)) if "${{" in step.get("run", "")] == []


def test_the_archive_that_is_built_is_the_one_that_is_checked_and_attached():
    (made,) = [step["run"] for step in PUBLISH["jobs"]["build"]["steps"] if "s2f release" in step.get("run", "")]
    output = cli.parser().parse_args(made.split()[3:]).output
    sent = [step["with"] for step in steps(PUBLISH) if "artifact@v4" in step.get("uses", "") and "with" in step]
    assert [place["name"] for place in sent] == ["release", "release"]
    assert [Path(place["path"]) for place in sent] == [output.parent, output.parent]
    runs = [step["run"] for step in PUBLISH["jobs"]["release"]["steps"] if "run" in step]
    assert f"cd {output.parent} && sha256sum --check {output.name}.sha256" in runs
    assert f'gh release upload "$TAG" {output.parent}/* --clobber' in runs


# --- Binder


def test_binder_finds_python_of_the_locks_and_scripts_that_run():
    environment = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text(encoding="utf-8"))
    own = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (python,) = [each for each in environment["dependencies"] if each.startswith("python=")]
    assert python in own["dependencies"]
    for name in ("postBuild", "start"):
        path = ROOT / "binder" / name
        assert os.access(path, os.X_OK) and path.read_text().startswith("#!/bin/bash\n")
        assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
    assert (ROOT / "binder" / "start").read_text().endswith('exec "$@"\n')


def test_binder_installs_the_lock_without_gpu_libraries_and_makes_the_smallest_run(tmp_path):
    (tmp_path / "binder").mkdir()
    for name in ("requirements.lock", "requirements-weights.lock", "binder/postBuild"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$@" >> said\nfor f; do case "$f" in /*) cp "$f" filtered;; esac; done\n')
    python.chmod(0o755)
    env = {"PATH": f"{python.parent}:/usr/bin:/bin"}
    done = subprocess.run(["bash", "binder/postBuild"], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, *_, last = (tmp_path / "said").read_text().splitlines()
    locked = dict(re.findall(r"^([\w.-]+)==([\w.+]+)", (ROOT / "requirements.lock").read_text(), re.M))
    assert f"torch=={locked['torch']} torchaudio=={locked['torchaudio']}" in first and "whl/cpu" in first
    left = dict(re.findall(r"^([\w.-]+)==([\w.+]+)", (tmp_path / "filtered").read_text(), re.M))
    gone = set(locked) - set(left)
    assert {"torch", "torchaudio", "triton"} <= gone and all(
        name in ("torch", "torchaudio", "triton") or name.startswith(("nvidia-", "cuda-")) for name in gone
    )
    assert "--hash=sha256:" in (tmp_path / "filtered").read_text()
    assert cli.parser().parse_args(last.split()[2:]).profile == "smoke"


def test_binder_begins_where_make_lab_does(tmp_path):
    words = ["bash", ROOT / "binder" / "start", "printenv", "JUPYTER_CONFIG_PATH"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == ROOT / "workflow" / "lab"
