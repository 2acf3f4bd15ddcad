"""A run's networks in one archive: what is in it opens elsewhere, and says what it is."""

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from PIL import Image

from s2f import __main__ as cli
from s2f import files
from s2f.errors import CheckpointError, OutputError, ParameterError, RunError
from s2f.networks import inference
from s2f.networks.codes import Sampler
from s2f.networks.models import Architecture
from s2f.report import prose, release
from s2f.study import params
from tests.features.making import vowel
from tests.report import live_run
from tests.report.test_kept_runs import SETTINGS, finish, finished, share_training

ROOT = Path(__file__).resolve().parents[2]
NAME = f"s2f-synthetic-x-{release.__version__}"


@pytest.fixture
def project(tmp_path):
    """A project with a finished run of two variants whose networks learned nothing."""
    seed = finished(tmp_path / "runs" / "synthetic-x" / "s0")
    (tmp_path / "LICENSE").write_text("MIT License\n")
    add(seed / "females", settings=params.resolve("synthetic", root=ROOT, variant="females"))
    for k, name in enumerate(("general", "females")):
        inference.save(seed / name, untrained(name, k))
    return tmp_path


def add(folder, *, settings):
    folder.mkdir()
    finish(folder, ["05_training", "06_metrics"], settings=settings)
    (folder / "metrics.json").write_text("{}")


def test_networks_that_a_labelled_run_shares_with_the_plain_one_are_released(tmp_path):
    seed = finished(tmp_path / "runs" / "synthetic-x" / "s0")
    (tmp_path / "LICENSE").write_text("MIT License\n")
    inference.save(seed / "general", untrained("general", 0))
    share_training(seed)
    archive = release.release(tmp_path, seed.parent, seed=0)
    with zipfile.ZipFile(archive) as opened:
        assert f"{NAME}/general/{inference.CHECKPOINT}" in opened.namelist()


def untrained(name, seed):
    architecture = Architecture(0.1, 0.1, "batch", True, "k4")
    torch.manual_seed(seed)
    return inference.Model(architecture.voice_embedding(), architecture.generator(), architecture, f"x {name}")


def unpacked(archive, folder):
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    return folder / NAME


def test_an_unpacked_archive_draws_what_the_run_draws_wherever_it_lies(project, tmp_path_factory, capsys):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    archive = release.release(project, project / "runs" / "synthetic-x", output=elsewhere / "x.zip")
    there = unpacked(archive, elsewhere)
    soundfile.write(elsewhere / "voice.wav", vowel(2.0, pitch_hz=150, rng=np.random.default_rng(0)), 16_000)
    (project / "runs").rename(project / "gone")  # the run is not needed
    words = [sys.executable, "-m", "s2f", "reconstruct", "voice.wav", "--run", f"{NAME}/females", "-o", "face.png"]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(words, cwd=elsewhere, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert prose.REAL_VOICES in done.stderr  # what the corpus was is told beside the weights
    wanted = inference.load(project / "gone" / "synthetic-x" / "s0" / "females").reconstruct(elsewhere / "voice.wav")
    assert np.array_equal(np.asarray(Image.open(elsewhere / "face.png")), wanted)
    general = inference.load(there / "general").reconstruct(elsewhere / "voice.wav")
    assert not np.array_equal(general, wanted)


def test_many_draws_survive_the_archive(project, tmp_path):
    encoder = live_run.alive(
        live_run.seeded(lambda: live_run.VoiceEmbedding(width=0.125), generator=live_run.stream(0))
    )
    sampled = live_run.model(live_run.settle(encoder, torch.randn(4, 64, 1000)), "general", 0, sampled=True)
    assert isinstance(sampled.sampler, Sampler)
    run = project / "runs" / "synthetic-x"
    inference.save(run / "s0" / "general", sampled)
    there = unpacked(release.release(project, run), tmp_path / "there")
    wave = vowel(2.0, pitch_hz=150, rng=np.random.default_rng(0)).astype(np.float32)
    drawn = inference.load(there / "general").draw(wave, n=3, seed=1)
    assert np.array_equal(drawn, inference.load(run / "s0" / "general").draw(wave, n=3, seed=1))
    assert len({face.tobytes() for face in drawn}) == 3


def test_an_archive_holds_weights_card_licence_and_the_checksum_of_each_file(project, tmp_path):
    archive = release.release(project, project / "runs" / "synthetic-x")
    assert archive == project / "_build" / f"{NAME}.zip"
    there = unpacked(archive, tmp_path / "there")
    kept = sorted(path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file())
    own = [f"{name}/{file}" for name in ("females", "general") for file in (*FILES,)]
    assert kept == sorted(["LICENSE", "README.md", "SHA256SUMS", *own])
    sums = dict(reversed(line.split("  ")) for line in (there / "SHA256SUMS").read_text().splitlines())
    assert sums == {path: digest(there / path) for path in kept if path != "SHA256SUMS"}
    beside = archive.with_name(f"{archive.name}.sha256").read_text()
    assert beside == f"{digest(archive)}  {archive.name}\n"


FILES = ("checkpoint.safetensors", "metrics.json", "params.yaml")


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_card_says_what_the_networks_are_and_reach_and_how_they_are_used(project, tmp_path):
    there = unpacked(release.release(project, project / "runs" / "synthetic-x"), tmp_path / "there")
    text = (there / "README.md").read_text(encoding="utf-8")
    for said in (
        "# Networks of the run synthetic-x",
        "general, females. Of each, `checkpoint.safetensors` holds all.",
        "| General | generated | 48 | – | – | – | – | – | 82.1 [70.0, 100.0] | – |",
        "On people whom the networks never met",
        prose.REAL_VOICES,
        "Corpus `synthetic`, recipe `poster`, seed 0.",
        "Commit abc, torch 2.11.0, Linux x86_64, 16 cores, cpu.",
        "Nobody in the corpus is real.",
    ):
        assert said in text
    assert "114.4" not in text  # the poster's figures are no results of this run
    (command,) = re.findall(r"^\.venv/bin/python -m s2f (.*)$", text, re.M)
    asked = cli.parser().parse_args(command.replace("FOLDER", str(there)).split())
    inference.load(asked.run)


def test_the_terms_of_other_data_are_pointed_at(project, tmp_path):
    seed = project / "runs" / "synthetic-x" / "s0"
    corpus = SETTINGS.corpus.model_copy(update={"kind": "voxceleb", "root": "/srv/private/vox"})
    real = SETTINGS.model_copy(update={"corpus": corpus})
    finish(seed / "results", ["07_results"], settings=real)
    for name in ("general", "females"):
        own = params.resolve("synthetic", root=ROOT, variant=name)
        finish(seed / name, ["05_training", "06_metrics"], settings=own.model_copy(update={"corpus": corpus}))
    there = unpacked(release.release(project, seed.parent), tmp_path / "there")
    text = (there / "README.md").read_text(encoding="utf-8")
    assert "the terms of that data say" in text and prose.REAL_VOICES not in text and "Nobody" not in text
    assert "/srv/private" not in (there / "general" / "params.yaml").read_text()
    found = yaml.safe_load((there / "general" / "params.yaml").read_text())
    assert found == params.plain(real) | {"corpus": params.plain(real)["corpus"] | {"root": "vox"}}


def test_the_same_networks_give_the_same_archive(project, tmp_path):
    run = project / "runs" / "synthetic-x"
    first, second = (release.release(project, run, output=tmp_path / f"{name}.zip") for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert release.release(project, run, output=first) == first  # and takes the place of an earlier one


def test_what_is_not_finished_or_cannot_be_opened_is_not_packed(project):
    run = project / "runs" / "synthetic-x"
    with pytest.raises(RunError, match="s1 has no finished results"):
        release.release(project, run, seed=1)
    other = SETTINGS.model_copy(update={"measure": SETTINGS.measure.model_copy(update={"n_bootstrap": 99})})
    finish(run / "s0" / "females", ["05_training", "06_metrics"], settings=other)
    with pytest.raises(RunError, match=r"females was not made by"):
        release.release(project, run)
    add_again = params.resolve("synthetic", root=ROOT, variant="females")
    finish(run / "s0" / "females", ["05_training", "06_metrics"], settings=add_again)
    path = run / "s0" / "females" / inference.CHECKPOINT
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"females.*checkpoint\.safetensors"):
        release.release(project, run)
    path.unlink()
    with pytest.raises(CheckpointError, match="females holds no checkpoint"):
        release.release(project, run)
    assert not list(project.rglob("*.zip"))


def test_nothing_else_is_in_an_archives_place(project, tmp_path):
    run = project / "runs" / "synthetic-x"
    with pytest.raises(OutputError, match=r"x\.tar is no archive's name"):
        release.release(project, run, output=tmp_path / "x.tar")
    mine = tmp_path / "mine.zip"
    with zipfile.ZipFile(mine, "w") as archive:
        archive.writestr("a", "b")
    other = tmp_path / "other.zip"
    files.write_text(other, "no archive")
    for place in (mine, other):
        before = place.read_bytes()
        with pytest.raises(OutputError, match="is there, and is no archive that this command wrote"):
            release.release(project, run, output=place)
        assert place.read_bytes() == before


def test_the_command_says_where_the_archive_is(project, monkeypatch, capsys):
    monkeypatch.setattr(params, "project_root", lambda: project)
    arguments = cli.parser().parse_args(["release", str(project / "runs" / "synthetic-x")])
    assert release.main(arguments) == 0
    assert re.match(rf"{re.escape(str(project / '_build' / NAME))}\.zip \(\d+\.\d MB\), ", capsys.readouterr().out)
    arguments.output = project
    with pytest.raises(ParameterError, match="--output is a folder"):
        release.main(arguments)


@pytest.mark.parametrize("page", ["README.md", "book/reproduce.md"])
def test_pages_name_the_folder_that_the_demos_archive_of_this_version_holds(page):
    named = set(re.findall(r"s2f-demo-[\d.]+\d", (ROOT / page).read_text(encoding="utf-8")))
    assert named == {f"s2f-demo-{release.__version__}"}
