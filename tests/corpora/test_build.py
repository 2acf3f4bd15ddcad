"""The synthetic corpus is the same whoever makes it, survives being killed, and knows what it is made of."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from s2f.corpora import corpus
from s2f.corpora.synthetic import build as module
from s2f.corpora.synthetic.build import Sizes, build
from s2f.errors import CorpusError

SMALL = Sizes(n_identities=3, n_recordings=8, n_faces=7, min_s=0.6, max_s=1.0, size_px=32, seed=1)


def _digests(root):
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for kind in ("voices", "faces")
        for p in sorted((root / kind).rglob("*"))
        if p.is_file()
    }


@pytest.fixture
def stub(monkeypatch):
    """Voices that only show which streams they were given."""
    heard = []

    def synthesise(person, *, duration_s, rng, channel_rng):
        heard.append((person["identity"], duration_s, channel_rng.random(), rng.random()))
        return np.full(int(duration_s * 16000), 0.25, np.float32)

    monkeypatch.setattr(module.voices, "synthesise", synthesise)
    return heard


@pytest.mark.parametrize(
    ("n", "expected"), [(1, [1]), (2, [1, 1]), (3, [2, 1]), (4, [2, 2]), (6, [3, 3]), (7, [3, 3, 1]), (8, [3, 3, 2])]
)
def test_recordings_lie_in_two_videos_or_more(n, expected):
    places = [module._place(k, n) for k in range(n)]
    assert len(set(places)) == n and places == sorted(places)
    assert np.bincount([video for video, _ in places]).tolist() == expected


def test_manifest_and_files(tmp_path, stub):
    import soundfile
    from PIL import Image

    manifest = build(tmp_path, SMALL, n_workers=1)
    voices, faces = (manifest[manifest["modality"] == kind] for kind in ("voice", "face"))
    assert len(voices) == 8 and len(faces) == 7
    assert voices.groupby("identity").size().tolist() == [3, 3, 2]  # totals spread evenly
    assert faces.groupby("identity").size().tolist() == [3, 2, 2]
    assert manifest["path"].is_unique and manifest["nationality"].isna().all()
    assert (manifest["fold"] == 0).all()
    assert set(manifest["gender"]) == {"f", "m"}
    for path in voices["path"]:
        info = soundfile.info(tmp_path / path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert 0.6 <= info.duration <= 1.0
    for path, marks in zip(faces["path"], faces["landmarks"], strict=True):
        with Image.open(tmp_path / path) as image:
            assert image.size == (32, 32)
        assert len(marks) == 10
    people = pd.read_parquet(tmp_path / "people.parquet")
    assert people["identity"].tolist() == sorted(set(manifest["identity"]))


def test_a_video_shares_its_channel_and_nothing_else(tmp_path, stub):
    manifest = build(tmp_path, replace(SMALL, n_recordings=15), n_workers=1)
    assert manifest[manifest["modality"] == "voice"].groupby("source_id").size().max() == 3
    channels = [h[2] for h in stub[:5]]  # first person: a video of three and one of two
    assert len(set(channels[:3])) == 1 and len(set(channels)) == 2
    assert len({h[3] for h in stub}) == len({h[1] for h in stub}) == 15


def test_second_call_returns_at_once(tmp_path, stub):
    first = build(tmp_path, SMALL, n_workers=1)
    calls = len(stub)
    pd.testing.assert_frame_equal(first, build(tmp_path, SMALL, n_workers=1))
    assert len(stub) == calls


@pytest.mark.parametrize("gone", ["people.parquet", "voices", "faces"])
def test_what_is_gone_of_a_finished_corpus_is_made_again(tmp_path, stub, gone):
    first = build(tmp_path, SMALL, n_workers=1)
    files = _digests(tmp_path)
    if gone == "people.parquet":
        (tmp_path / gone).unlink()
    else:
        shutil.rmtree(tmp_path / gone / first["identity"].iloc[-1])
    pd.testing.assert_frame_equal(build(tmp_path, SMALL, n_workers=1), first)
    assert _digests(tmp_path) == files
    if gone == "faces":
        marks = tmp_path / "faces" / first["identity"].iloc[0] / "landmarks.npy"
        marks.write_bytes(marks.read_bytes()[:40])
        with pytest.raises(CorpusError, match=r"landmarks\.npy cannot be read .*Delete .*: the next run"):
            build(tmp_path, SMALL, n_workers=1)


def test_an_interrupted_build_goes_on(tmp_path, stub, monkeypatch):
    build(tmp_path / "whole", SMALL, n_workers=1)
    render, calls = module.camera.render, []

    def failing(*args, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return render(*args, **options)

    monkeypatch.setattr(module.camera, "render", failing)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "cut", SMALL, n_workers=1)
    assert not (tmp_path / "cut" / "complete.json").exists()
    build(tmp_path / "cut", SMALL, n_workers=1)
    assert len(calls) == 4  # one person was there already, one is repeated
    assert _digests(tmp_path / "cut") == _digests(tmp_path / "whole")
    assert not list((tmp_path / "cut").glob("*/.s*"))


def test_other_parameters_in_the_same_folder_are_an_error(tmp_path, stub):
    build(tmp_path, SMALL, n_workers=1)
    with pytest.raises(CorpusError, match="seed is 1 there, 2 here"):
        build(tmp_path, replace(SMALL, seed=2), n_workers=1)


def test_another_version_of_the_code_makes_it_anew(tmp_path, stub, monkeypatch):
    build(tmp_path, SMALL, n_workers=1)
    before = len(stub)
    monkeypatch.setattr(module.provenance, "code_key", lambda name: "another")
    build(tmp_path, SMALL, n_workers=1)
    assert len(stub) == 2 * before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_identities": 1}, "n_identities is 1"),
        ({"n_recordings": 2}, "n_recordings is 2"),
        ({"n_faces": 0}, "n_faces is 0"),
        ({"size_px": 16}, "size_px is 16"),
        ({"min_s": 2.0}, "min_s, max_s are 2.0 and 1.0"),
        ({"min_s": 0.0}, "min_s, max_s are 0.0"),
    ],
)
def test_sizes_out_of_range(tmp_path, change, message):
    with pytest.raises(CorpusError, match=message):
        build(tmp_path, replace(SMALL, **change), n_workers=1)
    assert not list(tmp_path.iterdir())


def test_one_folder_for_the_same_people(tmp_path):
    """The names are those of corpora that exist: a change would make every one of them anew."""
    sizes = Sizes(1000, 8000, 4000, 4.0, 12.0, size_px=128, seed=0)
    assert corpus.synthetic_folder(tmp_path, sizes) == tmp_path / "synthetic-ea64a633a282"
    assert (
        corpus.synthetic_folder(tmp_path, replace(sizes, leak=0.5), prefix="m") == tmp_path / "synthetic-e2b326bc8c4a"
    )


@pytest.mark.parametrize("name", ["voices", "faces", "people.parquet", "complete.json"])
def test_what_others_put_there_is_no_corpus_and_stays(tmp_path, stub, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / ".mine").write_text("mine")
    with pytest.raises(CorpusError, match=f"{name} is there, and is not of a corpus that this program made"):
        build(tmp_path, SMALL, n_workers=1)
    assert [path.name for path in tmp_path.rglob("*")] == [name, ".mine"] and not stub


@pytest.mark.parametrize("text", ["{", "[]", '{"n_identities": 3}'])
def test_parameters_of_another_program_are_no_corpus(tmp_path, stub, text):
    (tmp_path / "parameters.json").write_text(text)
    with pytest.raises(CorpusError, match="does not say what a synthetic corpus is made of"):
        build(tmp_path, SMALL, n_workers=1)
    assert (tmp_path / "parameters.json").read_text() == text and not stub


def test_a_corpus_made_anew_keeps_what_others_put_beside_its_people(tmp_path, stub):
    build(tmp_path, SMALL, n_workers=1)
    made = _digests(tmp_path)
    declared = json.loads((tmp_path / "parameters.json").read_text())
    (tmp_path / "parameters.json").write_text(json.dumps(declared | {"generator": "older"}))
    one = next(iter(made))
    (tmp_path / one).write_text("of the older version")
    (tmp_path / "voices" / "mine").mkdir()
    (tmp_path / "voices" / "mine" / "a.wav").write_text("mine")
    build(tmp_path, SMALL, n_workers=1)
    assert _digests(tmp_path) == made | {"voices/mine/a.wav": hashlib.sha256(b"mine").hexdigest()}


def test_what_a_corpus_is_made_of_is_written_down(tmp_path, stub):
    build(tmp_path, SMALL, n_workers=1)
    text = (tmp_path / "parameters.json").read_text()
    assert text.startswith('{\n "n_identities": 3,\n "n_recordings": 8,\n "n_faces": 7,\n "min_s": 0.6,\n "max_s": 1.0')
    *_, leak, prefix, generator = text.rstrip("}\n").split(",\n")
    assert (leak, prefix, generator.split(":")[0]) == (' "leak": 0.0', ' "prefix": "s"', ' "generator"')
    assert (tmp_path / "complete.json").read_text() == text


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at child processes through /proc")
def test_workers_and_a_kill_change_nothing(tmp_path):
    """One process makes it; another is killed with two workers at it, then goes on: the same bytes."""
    sizes = replace(SMALL, n_identities=4, n_recordings=4, n_faces=4, min_s=1.0, max_s=1.2)
    alone = build(tmp_path / "alone", sizes, n_workers=1)
    root = tmp_path / "killed"
    program = (
        "from s2f.corpora.synthetic.build import Sizes, build\n"
        f"if __name__ == '__main__': build({str(root)!r}, {sizes!r}, n_workers=2)\n"
    )
    script = tmp_path / "program.py"
    script.write_text(program)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    process = subprocess.Popen([sys.executable, script], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while process.poll() is None and not list(root.glob("faces/s*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    children = [int(c) for t in Path(f"/proc/{process.pid}/task").glob("*/children") for c in t.read_text().split()]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(children) >= 2
    while any(_runs(child) for child in children):  # workers end with the process that started them
        assert time.monotonic() < deadline, children
        time.sleep(0.05)
    manifest = build(root, sizes, n_workers=2)
    pd.testing.assert_frame_equal(manifest, alone)
    assert _digests(root) == _digests(tmp_path / "alone")


def test_two_runs_that_come_at_the_same_time_make_one_corpus(tmp_path):
    code = (
        "import json, sys; from s2f.corpora.synthetic.build import Sizes, build; "
        "build(sys.argv[1], Sizes(**json.loads(sys.argv[2])), n_workers=1)"
    )
    sizes = replace(SMALL, min_s=1.0, max_s=1.2)
    words = [sys.executable, "-c", code, str(tmp_path / "both"), json.dumps(asdict(sizes))]
    runs = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [run.communicate()[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    build(tmp_path / "alone", sizes, n_workers=1)
    assert _digests(tmp_path / "both") == _digests(tmp_path / "alone")
