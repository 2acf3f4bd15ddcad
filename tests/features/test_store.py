"""Opening a store: what matches, what is refused, what a rebuild shows."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from s2f import files
from s2f.corpora import manifest, splits
from s2f.errors import StoreError
from s2f.features import pack, store
from s2f.features.store import Store
from tests.features.making import state


def test_selecting_rows(built):
    opened = Store.open(built)
    assert set(opened.voices(split="train")["identity"]) == {"p0", "p1", "p2", "p3"}
    assert set(opened.photos(gender="f", split=["validation", "test"])["identity"]) == {"p4"}
    assert len(opened.voices(split="train", fold=0)) == len(opened.voices(split="train", fold=1)) == 8
    assert len(opened.voices(identity={"p1", "p5"})) == 8 and opened.voices(identity="nobody").empty
    assert len(opened.photos(source_id=None)) == 18 and opened.voices(source_id=None).empty
    assert opened.voices(gender=pd.Series(["m"]))["row"].is_monotonic_increasing


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"splt": "train"}, "Did you mean 'split'"),
        ({"modality": "face"}, "'modality' is unknown"),
        ({"split": "tset"}, "Did you mean 'test'"),
        ({"gender": "female"}, "does not exist"),
        ({"fold": 2}, "fold 2 does not exist"),
    ],
)
def test_wrong_selections(built, where, message):
    with pytest.raises(StoreError, match=message):
        Store.open(built).voices(**where)


@pytest.mark.parametrize("row", [-1, 24])
def test_no_such_recording(built, row):
    with pytest.raises(StoreError, match="Rows are 0 to 23"):
        Store.open(built).mel(row)


def test_a_closed_set_is_in_every_split(corpus, tmp_path):
    root, table = corpus
    table = table[table["identity"].isin(["p0", "p1"])].assign(split=None, fold=0)
    pack.build(splits.split(table, rule="none"), tmp_path, root=root, progress=False)
    opened = Store.open(tmp_path)
    for name in ("train", "validation", "test", "all"):
        assert len(opened.voices(split=name)) == 8 and len(opened.photos(split=name)) == 6


@pytest.mark.slow
def test_readers_beside_a_writer_see_one_store_or_none(corpus, tmp_path):
    root, table = corpus
    # Two stores of the same shapes and other content, and one of other shapes.
    tables = [table, table.iloc[::-1], table[table["identity"] != "p0"]]
    expected = set()
    for k, one in enumerate(tables):
        manifest.write(one, tmp_path / f"{k}.parquet")
        pack.build(one, tmp_path / f"{k}-store", root=root, progress=False)
        expected.add(state(tmp_path / f"{k}-store"))
    sizes = [{p.name: p.stat().st_size for p in (tmp_path / f"{k}-store").glob("*.npy")} for k in range(3)]
    assert len(expected) == 3 and sizes[0] == sizes[1] != sizes[2]

    folder, stop = tmp_path / "store", tmp_path / "stop"
    # The shards are kept, so that most of the time goes into the merge.
    writing = (
        "import shutil, sys\nfrom pathlib import Path\n"
        "from s2f.features import pack\nfrom s2f.corpora import manifest\n"
        "folder, stop, root, *paths = sys.argv[1:]\n"
        "tables = [manifest.read(path) for path in paths]\n"
        "n, shards = 0, Path(folder) / 'shards'\n"
        "while not Path(stop).exists():\n"
        "    k = n % 3\n"
        "    if Path(f'{folder}-{k}').exists():\n"
        "        shutil.copytree(f'{folder}-{k}', shards)\n"
        "    else:\n"
        "        pack.build_part(tables[k], f'{folder}-kept-{k}', share=(0, 1), root=root, progress=False)\n"
        "        shutil.copytree(f'{folder}-kept-{k}/shards', f'{folder}-{k}')\n"
        "    pack.build(tables[k], folder, root=root, progress=False)\n"
        "    n += 1\n"
        "    Path(f'{folder}-n').write_text(str(n))\n"
    )
    reading = (
        "import json, sys, time\nfrom collections import Counter\nfrom pathlib import Path\n"
        "from tests.features.making import state\n"
        "seen = Counter()\n"
        "while not Path(sys.argv[2]).exists():\n"
        "    seen[state(sys.argv[1])] += 1\n"
        "    time.sleep(0.001)\n"
        "print(json.dumps(seen))"
    )
    paths = [tmp_path / f"{k}.parquet" for k in range(3)]
    writer = subprocess.Popen(list(map(str, [sys.executable, "-c", writing, folder, stop, root, *paths])))
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", reading, str(folder), str(stop)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        for _ in range(2)
    ]
    seen, problems, count = Counter(), [], tmp_path / "store-n"

    def n_built():
        return int(count.read_text() or 0) if count.exists() else 0

    def enough():
        return n_built() >= 12 and {*expected, "missing"} <= set(seen)

    def read():
        try:
            while not stop.exists():
                seen[state(folder)] += 1
                time.sleep(0.001)
        except Exception as error:
            problems.append(repr(error))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 120  # other tests may need the machine too
    while not enough() and time.monotonic() < end:
        time.sleep(0.1)
    stop.touch()
    for thread in threads:
        thread.join()
    for reader in readers:
        seen.update(json.loads(reader.communicate()[0]))
        assert reader.returncode == 0
    assert writer.wait() == 0 and not problems
    assert set(seen) <= expected | {"missing", "rebuilt", "mixed"}, seen
    assert enough(), (n_built(), seen)


def test_an_open_store_stays_as_it_was_while_it_is_rebuilt(corpus, copied):
    root, table = corpus
    opened = Store.open(copied)
    arrays = [np.array(array) for array in (opened.mels, opened.faces)]
    pack.build(table.iloc[::-1], copied, root=root, progress=False)
    again = Store.open(copied)
    for before, old, new in zip(arrays, (opened.mels, opened.faces), (again.mels, again.faces), strict=True):
        assert np.array_equal(before, old) and not np.array_equal(before, new)


REPLACED = {  # what a reader is about to read when a build of other input begins, or has begun and ended
    "json": ("meta.json", files.json, "loads"),
    "index": ("index.parquet", store.pd, "read_parquet"),
    "array": ("mels.npy", store.np, "load"),
}


@pytest.mark.parametrize("ended", [False, True], ids=["begins", "ends"])
@pytest.mark.parametrize("moment", REPLACED)
def test_a_build_between_two_steps_of_opening_is_noticed(corpus, copied, monkeypatch, moment, ended):
    root, table = corpus
    _, module, name = REPLACED[moment]
    step, done = getattr(module, name), []

    def interrupted(*args, **kwargs):
        if not done:
            done.append(True)
            (copied / "index.parquet").unlink()
            (copied / "meta.json").unlink()
            if ended:
                pack.build(table.iloc[::-1], copied, root=root, progress=False)
        return step(*args, **kwargs)

    monkeypatch.setattr(module, name, interrupted)
    with pytest.raises(StoreError) as caught:
        Store.open(copied)
    assert done and caught.value.reason == "rebuilt"


def test_open_says_how_to_build(tmp_path):
    with pytest.raises(StoreError, match=r"does not exist\..*02_preprocessing .* run `.* --profile voxceleb`"):
        Store.open(tmp_path / "runs" / "voxceleb" / "s0" / "store")


@pytest.mark.parametrize("name", store.FILES)
def test_open_misses_every_file(copied, name):
    (copied / name).unlink()
    with pytest.raises(StoreError, match=f"not finished \\({name} is missing"):
        Store.open(copied)


@pytest.mark.parametrize("name", ["mels.npy", "mel_offsets.npy", "faces.npy"])
def test_open_refuses_cut_arrays(copied, name):
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content[:-64])
    with pytest.raises(StoreError, match="cannot be read") as caught:
        Store.open(copied)
    assert name in str(caught.value)
    np.save(copied / name, np.zeros((2, 64), np.float32))
    with pytest.raises(StoreError, match=r"is float32 \(2, 64\), expected"):
        Store.open(copied)


def test_open_refuses_what_does_not_belong_together(copied):
    offsets = np.load(copied / "mel_offsets.npy")
    offsets[1] = offsets[2]
    np.save(copied / "mel_offsets.npy", offsets)
    with pytest.raises(StoreError, match="does not divide the frames"):
        Store.open(copied)
    pd.read_parquet(copied / "index.parquet").iloc[:-1].to_parquet(copied / "index.parquet")
    with pytest.raises(StoreError, match="is not the index"):
        Store.open(copied)


def test_open_refuses_other_formats(copied):
    meta = json.loads((copied / "meta.json").read_text())
    (copied / "meta.json").write_text(json.dumps({**meta, "version": 99}))
    with pytest.raises(StoreError, match="has version 99, this program reads 4"):
        Store.open(copied)
    (copied / "meta.json").write_text("{")
    with pytest.raises(StoreError, match="is no JSON"):
        Store.open(copied)


@pytest.mark.parametrize(
    ("change", "reason", "named"),
    [
        *(({"parameters": {**store.FRONT_END, key: 1}}, "parameters", key) for key in store.FRONT_END),
        ({"parameters": {"n_mels": 64}}, "parameters", "sample_rate_hz None"),
        ({"parameters": None}, "parameters", "sample_rate_hz None"),
        ({"n_frames": None}, "damaged", "n_frames None"),
        ({"n_faces": "18"}, "damaged", "n_faces '18'"),
        ({"n_recordings": 23}, "damaged", "mel_offsets"),
        ({"index_sha256": None}, "damaged", "index_sha256 None"),
        ({"index_sha256": "0"}, "mixed", "index.parquet"),
    ],
)
def test_open_refuses_what_was_made_otherwise(copied, change, reason, named):
    meta = json.loads((copied / "meta.json").read_text())
    (copied / "meta.json").write_text(json.dumps(meta | change))
    with pytest.raises(StoreError, match=named) as caught:
        Store.open(copied)
    assert caught.value.reason == reason


@pytest.mark.parametrize("content", ["[]", "3", "null"])
def test_open_refuses_other_json(copied, content):
    (copied / "meta.json").write_text(content)
    with pytest.raises(StoreError, match=r"holds a (list|int|NoneType)") as caught:
        Store.open(copied)
    assert caught.value.reason == "damaged"


def test_opening_needs_few_packages(built):
    code = (
        "import sys; from s2f.features.store import Store; "
        "s = Store.open(sys.argv[1]); s.mel(0); s.voices(split='train'); "
        "heavy = {'torch', 'torchaudio', 'dlib', 'PIL', 'soundfile', 'webrtcvad', 'av', 'scipy', 'sklearn'}; "
        "print(sorted({m.split('.')[0] for m in sys.modules} & heavy))"
    )
    out = subprocess.run([sys.executable, "-c", code, str(built)], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
