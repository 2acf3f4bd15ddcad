"""Packing a store: the same bytes whoever makes it, after any kill, whatever is broken."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from s2f import weights
from s2f.corpora import manifest, rejections, splits, voxceleb
from s2f.errors import CorpusError, StoreError
from s2f.features import align, front_end, landmarks, pack, photo_files, sound_files, store
from s2f.features.listening import Heard
from s2f.features.pack import Settings
from s2f.features.store import Store
from tests.features.making import LANDMARKS, REAL, contents, make_corpus, needs_real, vowel, write_tracks


@pytest.fixture
def own_corpus(tmp_path):
    """A corpus that a test may break."""
    return tmp_path / "corpus", make_corpus(tmp_path / "corpus")


def test_arrays_hold_what_the_front_ends_give(corpus, built):
    root, table = corpus
    opened = Store.open(built)
    voices, photos = opened.voices(), opened.photos()
    assert (len(voices), len(photos)) == (24, 18) and opened.rejected().empty
    assert opened.mels.dtype == np.float16 and opened.faces.dtype == np.uint8
    assert isinstance(opened.mels, np.memmap) and isinstance(opened.faces, np.memmap)
    for row in voices.iloc[::5].itertuples():
        wave = front_end.voiced(sound_files.read(root / row.path))
        expected = front_end.normalise(front_end.log_mel(wave)).astype(np.float16).astype(np.float32)
        assert np.array_equal(opened.mel(row.row), expected)
        assert opened.mel(row.row).dtype == np.float32
    for row in photos.iloc[::4].itertuples():
        assert np.array_equal(opened.faces[row.row], align.align(photo_files.read(root / row.path), row.landmarks))
    assert sorted(os.listdir(built)) == sorted(store.FILES)
    assert opened.index["path"].tolist() == table["path"].tolist()


def test_index_keeps_the_manifest(corpus, built):
    _, table = corpus
    index = Store.open(built).index
    kept = index[list(manifest.COLUMNS)].copy()
    kept["landmarks"] = [None if m is None else list(m) for m in kept["landmarks"]]
    pd.testing.assert_frame_equal(kept, manifest.validate(table))


def test_neither_processes_nor_shards_change_a_byte(corpus, built, tmp_path):
    root, table = corpus
    pack.build(table, tmp_path / "parallel", root=root, n_workers=2, shard_size=5, progress=False)
    pack.build(table, tmp_path / "small", root=root, shard_size=1, progress=False)
    assert contents(tmp_path / "parallel") == contents(built)
    assert contents(tmp_path / "small") == contents(built)


def test_a_stopped_build_goes_on_where_it_was(corpus, built, tmp_path, monkeypatch):
    root, table = corpus
    make, made = pack._make_shard, []

    def stop_after_three(part, place, *rest):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(place.name)
        make(part, place, *rest)

    monkeypatch.setattr(pack, "_make_shard", stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        pack.build(table, tmp_path, root=root, shard_size=6, progress=False)
    with pytest.raises(StoreError, match=r"is not finished .* is missing"):
        Store.open(tmp_path)
    (tmp_path / "shards" / ".000003-0123.9.npz").write_bytes(b"half")  # what a kill leaves behind
    (tmp_path / ".mels.123.npy").write_bytes(b"half")
    (tmp_path / "shards" / made[1]).unlink()
    first = made.copy()

    def count(part, place, *rest):
        made.append(place.name)
        make(part, place, *rest)

    monkeypatch.setattr(pack, "_make_shard", count)
    pack.build(table, tmp_path, root=root, shard_size=6, progress=False)
    again = made[3:]
    assert len(again) == 5 and set(again) & set(first) == {first[1]}  # 7 shards, 2 of them kept
    assert contents(tmp_path) == contents(built)


def test_a_finished_store_is_not_built_again(corpus, built, tmp_path, monkeypatch):
    root, table = corpus
    before = {p: p.stat().st_mtime_ns for p in built.iterdir()}
    monkeypatch.setattr(pack, "_make_shard", None)
    pack.build(table, built, root=root, progress=False)
    assert {p: p.stat().st_mtime_ns for p in built.iterdir()} == before


def test_a_changed_file_is_read_again(own_corpus, tmp_path):
    root, table = own_corpus
    folder = tmp_path / "store"
    pack.build(table, folder, root=root, progress=False)
    before = contents(folder)
    wave = vowel(0.7, pitch_hz=150, rng=np.random.default_rng(9))
    soundfile.write(root / "p0" / "0.wav", wave, 16_000, subtype="PCM_16")
    pack.build(table, folder, root=root, progress=False)
    after = contents(folder)
    assert after["mels.npy"] != before["mels.npy"] and after["faces.npy"] == before["faces.npy"]


def _children(pid):
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


PAUSE_S = 0.25


# What a process of its own runs. The merge waits before each of its files appears, so that it can be hit.
SLOW_BUILD = f"""
import sys, time
from contextlib import contextmanager
from s2f.corpora import manifest
from s2f.features import pack
whole = pack.whole
@contextmanager
def slow(path):
    with whole(path) as beside:
        yield beside
        if beside.parent.name != "shards":
            time.sleep({PAUSE_S})
pack.whole = slow
pack.build(manifest.read(sys.argv[1]), sys.argv[2], root=sys.argv[3], n_workers=2, shard_size=2, progress=False)
"""


def _until(run, there, *, end):
    while not there():
        assert run.poll() is None and time.monotonic() < end, "the build ended before it was seen"
        time.sleep(0.002)
    return time.monotonic()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at child processes through /proc")
def test_killed_at_ten_moments_and_started_again(corpus, built, tmp_path):
    root, table = corpus
    manifest.write(table, tmp_path / "manifest.parquet")

    def started(folder):
        arguments = [sys.executable, "-c", SLOW_BUILD, tmp_path / "manifest.parquet", folder, root]
        return subprocess.Popen(list(map(str, arguments)))

    def begun(folder):
        return lambda: any(folder.glob("shards/[0-9]*.npz"))

    end = time.monotonic() + 300
    folder = tmp_path / "undisturbed"
    start, run = time.monotonic(), started(folder)
    first_shard = _until(run, begun(folder), end=end)
    merging = _until(run, (folder / "rejected.csv").exists, end=end)
    assert run.wait() == 0
    # After rejected.csv four files follow, each after its pause.
    length = {"start": merging - start, "shards": merging - first_shard, "merge": 4 * PAUSE_S}
    assert contents(folder) == contents(built)

    rng, found = np.random.default_rng(0), Counter()
    for k, stage in enumerate(["start"] * 2 + ["shards"] * 4 + ["merge"] * 4):
        folder = tmp_path / f"killed-{k}"
        run = started(folder)
        if stage != "start":
            _until(run, begun(folder) if stage == "shards" else (folder / "rejected.csv").exists, end=end)
        time.sleep(rng.uniform(0, 0.9) * length[stage])
        workers = _children(run.pid)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        while any(map(_alive, workers)):  # nobody goes on writing beside the next build
            assert time.monotonic() < end, "workers outlive the build"
            time.sleep(0.02)
        with pytest.raises(StoreError) as caught:
            Store.open(folder)
        assert caught.value.reason == "missing"
        n_shards = len(list(folder.glob("shards/[0-9]*.npz")))
        found["merge" if (folder / "rejected.csv").exists() else "shards" if n_shards else "start"] += 1
        found["workers"] += len(workers)
        pack.build(table, folder, root=root, shard_size=2, progress=False)
        assert contents(folder) == contents(built), (k, stage)
    assert found["merge"] >= 4 and found["shards"] >= 1 and found["workers"] >= 4, found


DYING_BUILD = """
import importlib, os, signal, sys
from s2f.features import pack
from s2f.corpora import manifest
module, _, name = sys.argv[4].rpartition(".")
n_left, at = int(sys.argv[5]), int(sys.argv[6])
module = importlib.import_module(module)
step = getattr(module, name)
def die(*args, **kwargs):
    global n_left
    step(*args, **kwargs)
    n_left -= 1
    if n_left == 0:
        if at >= 0:
            place = getattr(args[at], "name", None) if hasattr(args[at], "write") else args[at]
            if hasattr(args[at], "flush"):
                args[at].flush()
            os.truncate(place, os.path.getsize(place) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
setattr(module, name, die)
pack.build(manifest.read(sys.argv[1]), sys.argv[2], root=sys.argv[3], shard_size=6, progress=False)
"""


# What writes a file, the how-manieth time, and which argument is the file; -1 where it is whole by then.
@pytest.mark.parametrize(
    ("step", "n", "at"),
    [
        ("numpy.savez", 1, 0),
        ("numpy.savez", 4, 0),
        ("numpy.lib.format.write_array_header_1_0", 1, 0),
        ("numpy.lib.format.write_array_header_1_0", 2, 0),
        ("numpy.save", 1, 0),
        ("s2f.features.pack._write_index", 1, 1),
        ("s2f.files.write_json", 1, -1),
    ],
)
def test_killed_while_a_file_is_half_written(corpus, built, tmp_path, step, n, at):
    root, table = corpus
    folder = tmp_path / "store"
    manifest.write(table, tmp_path / "manifest.parquet")
    arguments = [tmp_path / "manifest.parquet", folder, root, step, n, at]
    done = subprocess.run([sys.executable, "-c", DYING_BUILD, *map(str, arguments)])
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(StoreError) as caught:
        Store.open(folder)
    assert caught.value.reason == "missing"
    pack.build(table, folder, root=root, shard_size=6, progress=False)
    assert contents(folder) == contents(built)


def test_parts_made_at_the_same_time_are_only_packed(corpus, built, tmp_path, monkeypatch):
    root, table = corpus
    manifest.write(table, tmp_path / "manifest.parquet")
    folder = tmp_path / "store"
    code = (
        "import sys; from s2f.features import pack; from s2f.corpora import manifest; "
        "print(pack.build_part(manifest.read(sys.argv[1]), sys.argv[2], root=sys.argv[3], share=(int(sys.argv[4]), 3), "
        "shard_size=4, progress=False))"
    )
    places = list(map(str, (tmp_path / "manifest.parquet", folder, root)))
    runs = [
        subprocess.Popen([sys.executable, "-c", code, *places, str(part)], stdout=subprocess.PIPE, text=True)
        for part in range(3)
    ]
    assert [int(run.communicate()[0]) for run in runs] == [4, 4, 3]  # 42 files in 11 shards
    assert len(list((folder / "shards").iterdir())) == 11
    with pytest.raises(StoreError) as caught:
        Store.open(folder)
    assert caught.value.reason == "missing"
    monkeypatch.setattr(pack, "_make_shard", None)
    pack.build(table, folder, root=root, shard_size=4, progress=False)
    assert contents(folder) == contents(built)


def test_a_part_makes_its_own_shards_and_none_twice(corpus, built, tmp_path, monkeypatch):
    root, table = corpus
    make, made = pack._make_shard, []

    def count(part, place, *rest):
        made.append(part["path"].tolist())
        make(part, place, *rest)

    monkeypatch.setattr(pack, "_make_shard", count)
    paths = table["path"].tolist()
    again = dict(root=root, shard_size=10, progress=False)
    assert pack.build_part(table, tmp_path, share=(1, 4), **again) == 1
    assert pack.build_part(table, tmp_path, share=(1, 4), **again) == 1
    assert made == [paths[10:20]]
    assert pack.build_part(table, tmp_path, share=(5, 6), **again) == 0
    assert pack.build_part(table, tmp_path, share=(5, 6), n_workers=2, **again) == 0
    pack.build(table, tmp_path, **again)
    assert made == [paths[10:20], paths[:10], paths[20:30], paths[30:40], paths[40:]]
    assert contents(tmp_path) == contents(built)
    assert pack.build_part(table, tmp_path, share=(1, 4), **again) == 0  # the store is built
    assert len(made) == 5 and contents(tmp_path) == contents(built)


@pytest.mark.parametrize(("part", "n_parts"), [(-1, 2), (2, 2), (0, 0), (0, -1)])
def test_no_such_part(corpus, tmp_path, part, n_parts):
    with pytest.raises(StoreError, match=r"^(part|n_parts) is ") as caught:
        pack.build_part(corpus[1], tmp_path / "store", root=corpus[0], share=(part, n_parts))
    assert caught.value.reason == "value"
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "change", [{"several_faces": "reject"}, {"max_turn": 0.5}, {"processed": True}, {"min_voice_s": 0.25}]
)
def test_other_settings_make_another_store(corpus, copied, monkeypatch, change):
    root, table = corpus
    same, other = Settings(), replace(Settings(), **change)
    with monkeypatch.context() as patch:
        patch.setattr(pack, "_make_shard", None)
        pack.build(table, copied, root=root, settings=same, progress=False)  # nothing to do
    (copied / "index.parquet").unlink()
    pack.build_part(table, copied, share=(0, 1), root=root, settings=same, progress=False)
    if other.processed:  # neither sound nor photographs of faces that are not 64×64 yet
        monkeypatch.setattr(
            pack, "recording", lambda path, settings: Heard(np.ones((3, 64), np.float16), 1.5, None, ())
        )
    pack.build(table, copied, root=root, settings=other, progress=False)
    opened = Store.open(copied)
    assert opened.parameters == {
        **store.FRONT_END,
        "several_faces": "prominent",
        "max_turn": 1.0,
        "processed": False,
        "min_voice_s": 0.5,
        **change,
    }
    if other.processed:
        image = photo_files.read(root / "p0" / "0.png")
        assert np.array_equal(opened.faces[0], align.resized(image)) and len(opened.mels) == 3 * 24
    with monkeypatch.context() as patch:
        patch.setattr(pack, "_make_shard", None)
        pack.build(table, copied, root=root, settings=other, progress=False)
        with pytest.raises(TypeError):  # it would be built anew
            pack.build(table, copied, root=root, settings=same, progress=False)


def test_edited_code_takes_neither_a_store_nor_its_shards_for_its_own(corpus, copied, tmp_path, monkeypatch):
    root, table = corpus
    again = dict(root=root, shard_size=20, progress=False)
    pack.build_part(table, tmp_path / "part", share=(0, 1), **again)
    make, made = pack._make_shard, []

    def count(part, place, *rest):
        made.append(place.parent.parent.name)
        make(part, place, *rest)

    monkeypatch.setattr(pack, "_make_shard", count)
    monkeypatch.setattr(pack.provenance, "code_key", lambda module: "edited")
    for _ in range(2):  # the second time there is nothing to do
        pack.build(table, copied, **again)
        pack.build(table, tmp_path / "part", **again)
    assert made == [copied.name] * 3 + ["part"] * 3  # 42 files in shards of 20


@pytest.mark.parametrize(
    "wrong",
    [
        {"several_faces": "prominant"},
        {"max_turn": 0},
        {"max_turn": float("nan")},
        {"min_voice_s": -1.0},
        {"min_voice_s": float("nan")},
    ],
)
def test_wrong_settings(wrong):
    with pytest.raises(StoreError, match=next(iter(wrong))) as caught:
        Settings(**wrong)
    assert caught.value.reason == "value"


def test_a_store_says_how_much_was_heard_and_what_there_is_to_say(own_corpus, tmp_path):
    root, table = own_corpus
    wave = vowel(3.0, pitch_hz=110, rng=np.random.default_rng(0))
    write_tracks(tmp_path / "a.m4a", [wave.astype(np.float32)] * 2, codec="aac", rate=16_000, default=1)
    (tmp_path / "a.m4a").rename(root / "p0" / "0.wav")
    soundfile.write(root / "p1" / "0.wav", np.pad(wave[:4_000], 16_000), 16_000)
    pack.build(table, tmp_path, root=root, progress=False, max_rejected=0.1)
    opened = Store.open(tmp_path)
    voices = opened.voices()
    for row in voices.itertuples():
        heard = pack.recording(root / row.path, Settings())
        assert row.voice_s == heard.voice_s == pytest.approx((len(opened.mel(row.row)) - 1) / 100)
        assert row.remarks == "; ".join(heard.remarks)  # a steady vowel sounds like a tone
    said = voices.set_index("path")["remarks"]
    assert said["p0/0.wav"].startswith("track 2 of 2 is read, its default; ")
    assert opened.photos()[["voice_s", "remarks"]].isna().all(axis=None)
    (left_out,) = opened.rejected().itertuples()
    assert (left_out.path, left_out.reason) == (
        "p1/0.wav",
        "little_voice",
    ) and "s of voice, and at least 0.5 s" in left_out.detail


def test_bad_files_are_listed_and_do_not_stop_the_build(own_corpus, tmp_path):
    root, table = own_corpus
    soundfile.write(root / "p0" / "0.wav", np.zeros(16_000), 16_000)
    (root / "p0" / "1.wav").write_bytes(b"")
    (root / "p1" / "0.wav").write_bytes(b"not audio at all" * 20)
    (root / "p2" / "0.wav").unlink()
    (root / "p0" / "0.png").write_bytes((root / "p0" / "0.png").read_bytes()[:300])
    (root / "p1" / "0.png").write_text("<html>")
    off = table["path"] == "p2/0.png"
    table["landmarks"] = [
        [900.0 + i for i in LANDMARKS] if o else m for m, o in zip(table["landmarks"], off, strict=True)
    ]
    pack.build(table, tmp_path / "a", root=root, max_rejected=0.5, progress=False)
    opened = Store.open(tmp_path / "a")
    rejected = opened.rejected()
    assert list(rejected.columns) == list(rejections.COLUMNS)
    reasons = dict(zip(rejected["path"], rejected["reason"], strict=True))
    assert {k: reasons[k] for k in ("p0/0.png", "p1/0.png", "p2/0.png")} == {
        "p0/0.png": "damaged",
        "p1/0.png": "not_image",
        "p2/0.png": "landmarks",
    }
    assert set(reasons) == {"p0/0.wav", "p0/1.wav", "p1/0.wav", "p2/0.wav", "p0/0.png", "p1/0.png", "p2/0.png"}
    assert reasons["p0/0.wav"] == "silent" and reasons["p0/1.wav"] == "empty" and (rejected["detail"] != "").all()
    assert len(opened.voices()) == 20 and len(opened.photos()) == 15
    assert set(opened.index["path"]) | set(reasons) == set(table["path"])
    for row in opened.voices(identity="p0").itertuples():
        wave = front_end.voiced(sound_files.read(root / row.path))
        assert np.array_equal(opened.mel(row.row), front_end.normalise(front_end.log_mel(wave)).astype(np.float16))
    pack.build(table, tmp_path / "b", root=root, max_rejected=0.5, shard_size=4, progress=False)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_decoder_that_fails_in_its_own_way_does_not_stop_the_build(corpus, tmp_path, monkeypatch):
    root, table = corpus
    read = photo_files.read

    def fail(path):
        if str(path).endswith("p3/1.png"):
            raise RuntimeError("internal state 7")
        return read(path)

    monkeypatch.setattr(photo_files, "read", fail)
    pack.build(table, tmp_path, root=root, max_rejected=0.1, progress=False)
    row = Store.open(tmp_path).rejected().iloc[0]
    assert (row["path"], row["reason"], row["detail"]) == ("p3/1.png", "unexpected", "RuntimeError: internal state 7")


def test_a_missing_package_stops_the_build(corpus, tmp_path, monkeypatch):
    root, table = corpus
    gone = replace(weights.NETWORKS["landmarks"], package="no-such-package")
    monkeypatch.setattr(weights, "NETWORKS", {"landmarks": gone})
    landmarks._landmark_model.cache_clear()
    with pytest.raises(ValueError, match="no-such-package is not installed"):
        pack.build(table.assign(landmarks=None), tmp_path, root=root, progress=False)


def test_too_many_bad_files_stop_and_are_named(own_corpus, tmp_path):
    root, table = own_corpus
    for k in range(3):
        (root / f"p{k}" / "0.png").write_bytes(b"")
    with pytest.raises(StoreError, match=r"leave out 3 of 18 face files \(16\.7 %: empty 3\), more than 5 %"):
        pack.build(table, tmp_path / "store", root=root, progress=False)
    assert len(pd.read_csv(tmp_path / "store" / "rejected.csv")) == 3
    assert list((tmp_path / "store" / "shards").iterdir())  # the work is kept for a larger max_rejected
    pack.build(table, tmp_path / "store", root=root, max_rejected=0.2, progress=False)
    assert len(Store.open(tmp_path / "store").photos()) == 15
    with pytest.raises(StoreError, match=r"leave out 3 of 18 face files \(16\.7 %: empty 3\), more than 5 %"):
        pack.build(table, tmp_path / "store", root=root, progress=False)  # a finished one as well


def test_someone_without_a_face_is_left_out(own_corpus, tmp_path):
    root, table = own_corpus
    for k in range(3):
        (root / "p2" / f"{k}.png").write_bytes(b"")
    pack.build(table, tmp_path / "store", root=root, max_rejected=0.2, progress=False)
    opened = Store.open(tmp_path / "store")
    assert set(opened.index["identity"]) == {"p0", "p1", "p3", "p4", "p5"}
    assert (len(opened.mel_offsets), len(opened.faces)) == (21, 15)
    reasons = opened.rejected().set_index("path")["reason"]
    assert reasons["p2/0.png"] == "empty" and reasons["p2/3.wav"] == "identity_incomplete" and len(reasons) == 7
    wave = front_end.voiced(sound_files.read(root / "p3" / "0.wav"))  # whoever comes after is still in the right place
    row = opened.voices(identity="p3")["row"].iloc[0]
    assert np.array_equal(opened.mel(row), front_end.normalise(front_end.log_mel(wave)).astype(np.float16))


def test_a_split_that_loses_everyone_is_an_error(own_corpus, tmp_path):
    root, table = own_corpus
    for k in range(4):
        (root / "p4" / f"{k}.wav").write_bytes(b"")
    with pytest.raises(StoreError, match="nobody in split 'validation'"):
        pack.build(table, tmp_path / "store", root=root, max_rejected=1.0, progress=False)
    only = table[table["modality"] == "voice"]
    with pytest.raises(StoreError, match="would be empty"):
        pack.build(only, tmp_path / "store", root=root, max_rejected=1.0, progress=False)


@pytest.mark.parametrize("wrong", [{"n_workers": 0}, {"shard_size": 0}, {"max_rejected": 1.5}])
def test_wrong_arguments(corpus, tmp_path, wrong):
    with pytest.raises(StoreError, match=next(iter(wrong))):
        pack.build(corpus[1], tmp_path, root=corpus[0], **wrong)


def test_a_wrong_manifest_is_refused_before_any_work(corpus, tmp_path):
    with pytest.raises(CorpusError, match="listed twice"):
        pack.build(pd.concat([corpus[1]] * 2), tmp_path / "store", root=corpus[0])
    assert not (tmp_path / "store").exists()


@needs_real
@pytest.mark.slow
def test_real_sample(tmp_path):
    table = voxceleb.scan(**voxceleb.places(REAL, kind="voxceleb")).manifest
    fractions = {"train": 0.8, "validation": 0.1, "test": 0.1}
    table = splits.split(table, rule="by_fraction", fractions=fractions, seed=0)
    pack.build(table, tmp_path, n_workers=2, shard_size=121, progress=False)
    opened = Store.open(tmp_path)
    assert (len(opened.voices()), len(opened.photos()), opened.index["identity"].nunique()) == (241, 241, 95)
    assert opened.rejected().empty
    n_frames = np.diff(opened.mel_offsets)
    assert 200 < np.median(n_frames) <= 610 and n_frames.max() <= 610  # 6 s less what is not speech
    for row in (0, 100, 240):
        mel = opened.mel(row)
        assert np.abs(mel.mean(0)).max() < 0.01 and np.abs(mel.std(0) - 1).max() < 0.01
    spread = opened.faces[:].astype(float).std((1, 2, 3))
    assert spread.min() > 10 and len({f.tobytes() for f in opened.faces}) == 241


def ulps(values):
    """Distance to the next float16."""
    return np.spacing(np.abs(values).astype(np.float16)).astype(np.float64)


@needs_real
@pytest.mark.slow
def test_processed_layout_gives_the_store_of_its_raw_files(tmp_path):
    """The folders of the 2019 release, made from real recordings and photos, against these themselves."""
    everyone = voxceleb.scan(**voxceleb.places(REAL, kind="voxceleb")).manifest
    chosen = everyone["identity"].value_counts().index[:8]
    raw = everyone[everyone["identity"].isin(chosen)].reset_index(drop=True)
    n_repeated, n_plain = 0, 0
    for k, row in enumerate(raw.itertuples()):
        if row.modality == "voice":
            place = tmp_path / "fbank" / Path(row.path).relative_to(REAL / "voxceleb1/wav").with_suffix(".npy")
            frames = front_end.features(sound_files.read(row.path))
            assert frames.shape == (1000, 64) and frames.dtype == np.float32  # 6 s, repeated
            if k % 3 == 0:
                frames = front_end.normalise(front_end.log_mel(front_end.voiced(sound_files.read(row.path))))
            n_repeated, n_plain = n_repeated + (len(frames) == 1000), n_plain + (len(frames) < 1000)
            place.parent.mkdir(parents=True, exist_ok=True)
            np.save(place, frames)
        else:
            place = tmp_path / "VGG_ALL_FRONTAL" / Path(row.path).relative_to(REAL / "vggface").with_suffix(".png")
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(align.align(photo_files.read(row.path))).save(place)
    assert min(n_repeated, n_plain) >= 10
    (tmp_path / "vox1_meta.csv").write_bytes((REAL / "vox1_meta.csv").read_bytes())
    there = voxceleb.places(tmp_path, kind="wen2019")
    scan = voxceleb.scan(**there, suffixes=voxceleb.PROCESSED_SUFFIXES)
    assert scan.rejected.empty

    pack.build(raw, tmp_path / "raw", progress=False)
    pack.build(scan.manifest, tmp_path / "made", settings=Settings(processed=True), n_workers=2, progress=False)
    ours, theirs = Store.open(tmp_path / "raw"), Store.open(tmp_path / "made")
    assert theirs.parameters["processed"] and theirs.rejected().empty and ours.rejected().empty
    same = ["identity", "gender", "nationality", "modality", "source_id", "row"]
    pd.testing.assert_frame_equal(ours.index[same], theirs.index[same])
    names = [[Path(path).stem for path in opened.index["path"]] for opened in (ours, theirs)]
    assert names[0] == names[1] and len(chosen) == ours.index["identity"].nunique() == 8
    assert np.array_equal(ours.faces, theirs.faces)
    assert np.array_equal(ours.mel_offsets, theirs.mel_offsets)
    a, b = ours.mels.astype(np.float64), theirs.mels.astype(np.float64)
    assert (np.abs(a - b) <= 2 * ulps(a) + 1e-6).all()  # near 0, where a float16 is finer than a float32 mean
    assert (a == b).mean() > 0.99
