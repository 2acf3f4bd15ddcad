import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from PIL import Image

from s2f import __main__ as cli
from s2f.corpora import corpus
from s2f.study import params

REAL = Path(os.environ.get("S2F_REAL", Path(__file__).resolve().parents[3] / "shared" / "real"))
HEADER = "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"


@pytest.fixture
def root(tmp_path):
    """Two people with both, one with a voice only; two equal photographs of two people."""
    rng = np.random.default_rng(0)
    people = "id1\tAnn_Low\tf\tPeru\tdev\nid2\tBob\tm\tPeru\tdev\nid3\tCy\tm\t\tdev\n"
    (tmp_path / "vox1_meta.csv").write_text(HEADER + people)
    for identity in ("id1", "id2", "id3"):
        folder = tmp_path / "voxceleb1" / "wav" / identity / "video"
        folder.mkdir(parents=True)
        soundfile.write(folder / "1.wav", 0.1 * rng.normal(size=8000), 16_000)
    for name in ("ann low", "Bob"):
        (tmp_path / "vggface" / name).mkdir(parents=True)
        Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "vggface" / name / "1.png")
    return tmp_path


def check(capsys, *words):
    status = cli.main(["check", *map(str, words)])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_corpus_is_described(root, capsys):
    status, said, _ = check(capsys, "voxceleb", "--root", root, "--rejected", root / "out" / "rejected.csv")
    assert "The metadata names 3 people." in said
    assert "3 of them have a folder of recordings, found 3 by id." in said
    assert "2 of them have a folder of photographs, found 1 exactly, 1 ignoring case + punctuation." in said
    assert "Both voice and face: 2 identities (f 1, m 1), 2 recordings, 2 photographs." in said
    assert "voice, without_face" in said and "somebody with recordings and no photograph" in said
    assert "1 across identities" in said and str(root / "vggface" / "Bob" / "1.png") in said
    assert "expected in full" in said and "149,354" in said
    rejected = pd.read_csv(root / "out" / "rejected.csv")
    assert rejected[["identity", "reason"]].values.tolist() == [["Cy", "without_face"]]
    # Black pictures show no face: nothing can be run on these photographs.
    assert "0 of 2 photographs tried can be used." in said and "[no_face]" in said
    assert status == 1


@pytest.mark.parametrize("gone", ["voxceleb1", "vggface", "vox1_meta.csv"])
def test_what_is_missing_is_listed_beside_what_is_there(root, capsys, gone):
    (root / gone).rename(root / "elsewhere")
    status, said, _ = check(capsys, "voxceleb", "--root", root)
    assert status == 1 and said.count("MISSING") == 1 and said.count(" here   ") == 2
    assert f"MISSING {root / gone}" in said and "Getting the data" in said


def test_places_may_be_given_one_by_one(root, capsys):
    (root / "vggface").rename(root / "elsewhere")
    words = ["voxceleb", "--root", root, "--faces", root / "elsewhere", "--sample", 0]
    status, said, _ = check(capsys, *words)
    assert "2 identities" in said and "tried" not in said
    # Two people cannot be divided into three splits: the study would say so, in the same words.
    assert status == 1 and "A study refuses it: split rule 'by_fraction' leaves" in said


def test_what_cannot_be_looked_at_is_an_error_with_a_remedy(root, capsys):
    for words, message in (
        (["voxceleb"], "has no --root"),
        (["table"], "Add --table pairs.csv."),
        (["table", "--table", root / "no.csv"], "does not exist"),
    ):
        status, _, said = check(capsys, *words)
        assert status == 2 and message in said


def test_columns_that_are_not_used_are_named(root, capsys):
    table = "identity,recording,face,age\nA,voxceleb1/wav/id1/video/1.wav,vggface/Bob/1.png,44\n"
    (root / "pairs.csv").write_text(table)
    _, said, _ = check(capsys, "table", "--table", root / "pairs.csv")
    assert "Columns that are not used: age." in said and "1 identities (unknown 1)" in said


def table(folder, *, n=12, split=None, same=()):
    """A table of `n` people with one recording and photograph each, `same` of which have the same bytes."""
    rows = []
    for k in range(n):
        recording, face = folder / f"{k}.wav", folder / f"{k}.png"
        recording.write_bytes(b"voice" * (1 if k in same else k + 2))
        face.write_bytes(b"face" * (k + 2))
        rows.append(
            {"identity": f"P{k}", "recording": recording.name, "face": face.name, "split": split and split[k % 3]}
        )
    frame = pd.DataFrame(rows)
    (frame if split else frame.drop(columns="split")).to_csv(folder / "pairs.csv", index=False)
    return folder / "pairs.csv"


@pytest.mark.parametrize(
    ("made", "status", "said"),
    [
        ({}, 0, "To run the study on it"),
        ({"split": ("train", "validation", "test")}, 0, 'split.rule="given"'),
        ({"split": ("train", "train", "test")}, 1, "refuses it: split rule 'given' leaves validation empty"),
        ({"n": 2}, 1, "refuses it: split rule 'by_fraction' leaves"),
        ({"same": range(12)}, 1, "refuses it: the corpus lists 1 contents that lie in two splits"),
    ],
    ids=["plain", "its own splits", "no validation people", "too few", "a leak"],
)
def test_what_a_study_would_refuse_is_refused(tmp_path, capsys, made, status, said):
    found, out, _ = check(capsys, "table", "--table", table(tmp_path, **made), "--sample", 0)
    assert found == status and said in out


def test_the_study_divides_a_corpus_by_the_same_function():
    notebook = (Path(__file__).resolve().parents[2] / "notebooks" / "01_corpus.ipynb").read_text()
    assert "splits.divide(both, study.params.split, seed=seed)" in notebook
    assert "splits.split(" not in notebook and "splits.set_folds(" not in notebook


def pasted(said, project):
    """Settings of the command, and those of the profile, that the report says to use."""
    lines = said[said.index("To run the study on it:") :].splitlines()
    place, command = lines[2].split(" && ")
    assert shlex.split(place) == ["cd", str(project)]
    words = shlex.split(command)
    assert words[:3] == [sys.executable, "-m", "s2f"]
    arguments = cli.parser().parse_args(words[3:])
    assert arguments.command == "study" and arguments.label
    by_command = params.resolve(arguments.profile, overrides=params.parse_settings(arguments.overrides), root=project)
    profile = project / "params" / "profiles" / f"{arguments.profile}.yaml"
    assert lines[4].startswith(f"Or set in {profile.relative_to(project)}, and run make book PROFILE=")
    before = profile.read_text(encoding="utf-8")
    given = yaml.safe_load("\n".join(line.removeprefix("  ") for line in lines[6:]))
    profile.write_text(yaml.safe_dump(yaml.safe_load(before) | given, allow_unicode=True), encoding="utf-8")
    by_profile = params.resolve(arguments.profile, root=project)
    profile.write_text(before, encoding="utf-8")
    return by_command, by_profile


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of the parameters, from a folder of which the command is given."""
    place = tmp_path / "my project"
    shutil.copytree(params.project_root() / "params", place / "params")
    (place / "notes").mkdir()
    monkeypatch.chdir(place / "notes")
    return place


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize(
    "given",
    [
        {"--root": ["."]},
        {"--root": ["."], "--faces": ["vggface"]},
        {"--voices": ["voxceleb1/wav"], "--faces": ["vggface"], "--meta": ["vox1_meta.csv"]},
    ],
    ids=["root", "root and one part", "every part"],
)
def test_what_it_says_to_do_works_when_it_is_pasted(root, project, capsys, inside, given):
    data = project / "it's $data" if inside else root / "it's $data"
    data.mkdir()
    for name in ("vox1_meta.csv", "voxceleb1", "vggface"):
        (root / name).rename(data / name)
    words = [word for option, (place,) in given.items() for word in (option, os.path.relpath(data / place))]
    _, said, _ = check(capsys, "voxceleb", *words, "--sample", 0)
    for settings in pasted(said, project):
        made = corpus.make(settings.corpus, n_workers=1, project=project)
        assert (made.manifest["identity"].nunique(), len(made.manifest)) == (2, 4)
        section = settings.corpus
        places = [section.root, *section.voice_roots, *section.face_roots, *section.metas]
        assert all(os.path.isabs(place) != inside for place in places if "it's" in place)


def test_what_it_says_of_a_table_with_splits_works_when_it_is_pasted(root, project, capsys):
    rows = []
    for k, split in enumerate(("train", "validation", "test"), 1):
        Image.fromarray(np.full((64, 64, 3), k, np.uint8)).save(root / f"{k}.png")
        rows.append(f"id{k},voxceleb1/wav/id{k}/video/1.wav,{k}.png,{split}")
    (root / "pairs.csv").write_text("\n".join(["identity,recording,face,split", *rows]) + "\n")
    _, said, _ = check(capsys, "table", "--table", os.path.relpath(root / "pairs.csv"), "--sample", 0)
    for settings in pasted(said, project):
        made = corpus.make(settings.corpus, n_workers=1, project=project)
        assert settings.split.rule == "given" and made.manifest["split"].notna().all()


@pytest.mark.parametrize("name", ["pairs.csv", "vox1_meta.csv", "notes.txt", "folder"])
def test_the_list_of_files_left_out_takes_nothings_place(root, capsys, name):
    (root / "folder").mkdir()
    (root / "notes.txt").write_bytes(b"\xff\xfe")
    (root / "pairs.csv").write_text("identity,recording,face\n")
    before = {path: path.read_bytes() for path in root.iterdir() if path.is_file()}
    status, said, error = check(capsys, "voxceleb", "--root", root, "--rejected", root / name)
    assert status == 2 and not said and f"{root / name} is there, and is no list of files left out" in error
    assert before == {path: path.read_bytes() for path in root.iterdir() if path.is_file()}


def test_an_own_list_is_replaced(root, capsys):
    for _ in range(2):
        check(capsys, "voxceleb", "--root", root, "--rejected", root / "out.csv", "--sample", 0)
    assert list(pd.read_csv(root / "out.csv")["identity"]) == ["Cy"]


@pytest.mark.parametrize("sample", ["-1", "99999999"])
def test_a_sample_of_an_impossible_size_is_refused(root, capsys, sample):
    status, said, error = check(capsys, "voxceleb", "--root", root, "--sample", sample)
    assert (status, said, error) == (2, "", f"error: --sample is {sample}. Give 0 to 1000000.\n")


def in_strict_output(*words):
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict", "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    words = [sys.executable, "-m", "s2f", "check", "voxceleb", *words]
    return subprocess.run(words, capture_output=True, check=False, env=environment)


def test_a_name_that_is_not_valid_is_said_where_output_is_strict(root):
    for folder in ("Bob", "ann low"):
        place = os.fsencode(root / "vggface" / folder) + b"/caf\xe9.png"
        shutil.copy(root / "vggface" / "Bob" / "1.png", place)
    done = in_strict_output("--root", str(root), "--rejected", str(root / "out.csv"))
    assert done.returncode == 1 and b"Error" not in done.stderr, done.stderr.decode()
    assert "2 recordings, 2 photographs" in done.stdout.decode("utf-8")
    rejected = pd.read_csv(root / "out.csv")
    assert sorted(rejected["reason"]) == ["file_name", "file_name", "without_face"]
    assert rejected["path"].str.contains(r"caf\xe9", regex=False).sum() == 2


@pytest.mark.parametrize("words", [[], ["--meta", b"nothing\xe9"]])
def test_a_folder_whose_name_is_not_valid_is_named_where_output_is_strict(root, words):
    place = os.fsencode(root) + b"/caf\xe9"
    os.mkdir(place)
    for name in (b"vox1_meta.csv", b"voxceleb1", b"vggface"):
        os.rename(os.path.join(os.fsencode(root), name), os.path.join(place, name))
    done = in_strict_output("--root", place, *words)
    assert b"Traceback" not in done.stderr and done.returncode in (1, 2), done.stderr.decode()
    assert r"caf\udce9" in done.stdout.decode("utf-8")


@pytest.mark.skipif(not (REAL / "vox1_meta.csv").is_file(), reason=f"no real sample at {REAL}: set S2F_REAL")
def test_real_corpora(capsys):
    status, said, _ = check(capsys, "voxceleb", "--root", REAL, "--sample", 5)
    assert status == 0 and "95 identities (f 52, m 43), 241 recordings, 241 photographs" in said
    assert "5 of 5 recordings tried" in said and "5 of 5 photographs tried" in said
    assert "neither here" in said and "-1,156" in said
    status, said, _ = check(capsys, "table", "--table", REAL / "avspeech" / "pairs.csv", "--sample", 5)
    assert status == 0 and "200 identities (unknown 200), 200 recordings, 200 photographs" in said
