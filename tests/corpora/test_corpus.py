from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from PIL import Image
from pydantic import ValidationError

from s2f import settings
from s2f.corpora import corpus, manifest
from s2f.errors import CorpusError
from s2f.report import sheets

BASE = yaml.safe_load((Path(__file__).resolve().parents[2] / "params" / "base.yaml").read_text(encoding="utf-8"))
META = (
    "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
    "id1\tAnn_Low\tf\tIndia\tdev\nid2\tBob_High\tm\tPeru\tdev\nid3\tCy_Mute\tm\tPeru\tdev\n"
)


def make(project, **given):
    section = settings.Corpus(**{**BASE["corpus"], **given})
    return corpus.make(section, n_workers=1, project=project)


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def below(found, column="path"):
    return [Path(path).relative_to(found.root).as_posix() for path in found.manifest[column]]


@pytest.fixture
def voxceleb(tmp_path):
    """A project with VoxCeleb1 of three people below data/vox, one of them without a photograph."""
    touch(
        tmp_path / "data" / "vox",
        "voxceleb1/wav/id1/v1/1.wav",
        "voxceleb1/wav/id2/v2/1.wav",
        "voxceleb1/wav/id2/v2/2.m4a",
        "voxceleb1/wav/id3/v3/1.wav",
        "vggface/Ann_Low/1.jpg",
        "vggface/bob high/1.jpg",
    )
    (tmp_path / "data" / "vox" / "vox1_meta.csv").write_text(META)
    return tmp_path


# ------------------------------------------------------------------------------------------------ make


def test_make_voxceleb(voxceleb):
    found = make(voxceleb, kind="voxceleb", root="data/vox")
    assert found.root == (voxceleb / "data" / "vox").resolve()
    assert below(found) == [
        "voxceleb1/wav/id1/v1/1.wav",
        "vggface/Ann_Low/1.jpg",
        "voxceleb1/wav/id2/v2/1.wav",
        "voxceleb1/wav/id2/v2/2.m4a",
        "vggface/bob high/1.jpg",
    ]
    assert found.rejected[["identity", "reason"]].values.tolist() == [["Cy_Mute", "without_face"]]
    assert found.matches["rule"].tolist() == ["id"] * 3 + ["exact", "case + punctuation"]
    assert found.differences.loc["found"].tolist() == [2, 3, 2]
    assert found.people is None and found.notes == ()


@pytest.mark.parametrize(
    ("moved", "key"), [("voxceleb1/wav", "voice_roots"), ("vggface", "face_roots"), ("vox1_meta.csv", "metas")]
)
@pytest.mark.parametrize("absolute", [False, True])
def test_places_of_their_own(voxceleb, moved, key, absolute):
    usual = make(voxceleb, kind="voxceleb", root="data/vox")
    (voxceleb / "data" / "vox" / moved).rename(voxceleb / "own")
    with pytest.raises(CorpusError, match="does not exist") as caught:
        make(voxceleb, kind="voxceleb", root="data/vox")
    assert caught.value.subject.startswith(str((voxceleb / "data" / "vox" / moved.split("/")[0]).resolve()))
    own = str(voxceleb / "own") if absolute else "own"
    found = make(voxceleb, kind="voxceleb", root="data/vox", **{key: [own]})
    same = ["identity", "modality", "gender", "nationality"]
    pd.testing.assert_frame_equal(found.manifest[same], usual.manifest[same])


def test_full_counts_are_known_of_voxceleb1_alone(voxceleb):
    root = voxceleb / "data" / "vox"
    touch(root, "voxceleb2/dev/aac/id00012/v9/1.m4a", "vggface2/train/n000012/1.jpg")
    (root / "vox2_meta.csv").write_text("VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \nid00012 ,n000012 ,m ,dev \n")
    found = make(voxceleb, kind="voxceleb", root="data/vox")
    assert set(found.manifest["identity"]) == {"Ann_Low", "Bob_High", "n000012"}
    assert found.differences is None and len(found.matches) == 7


def test_make_wen2019(tmp_path):
    root = tmp_path / "data" / "wen2019"
    touch(root, "fbank/id1/v1/1.npy", "fbank/id1/v1/2.wav", "VGG_ALL_FRONTAL/Ann_Low/1.jpg", "fbank/id2/v2/1.npy")
    (root / "vox1_meta.csv").write_text(META)
    found = make(tmp_path, kind="wen2019", root="data/wen2019")
    assert below(found) == ["fbank/id1/v1/1.npy", "VGG_ALL_FRONTAL/Ann_Low/1.jpg"]
    assert sorted(found.rejected["reason"]) == ["extension", "without_face"]
    assert found.differences.loc["found"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(("kind", "is_processed"), [("wen2019", True), ("voxceleb", False), ("table", False)])
def test_which_kinds_are_processed(kind, is_processed):
    assert corpus.processed(kind) is is_processed


@pytest.mark.parametrize("absolute", [False, True])
def test_make_table(tmp_path, absolute):
    (tmp_path / "own").mkdir()
    path = tmp_path / "own" / "pairs.csv"
    path.write_text("identity,recording,face,age,url\nAnn,a.wav,a.jpg,7,\nBob,b.wav,,8,\n")
    found = make(tmp_path, kind="table", table=str(path) if absolute else "own/pairs.csv")
    assert found.root == path.parent.resolve() and below(found) == ["a.wav", "a.jpg"]
    assert found.rejected[["identity", "reason"]].values.tolist() == [["Bob", "without_face"]]
    assert found.notes == ("Columns of pairs.csv that are not used: age, url.",)
    assert found.matches is None and found.differences is None
    path.write_text("identity,recording,face\nAnn,a.wav,a.jpg\n")
    assert make(tmp_path, kind="table", table=str(path)).notes == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "table"}, "'corpus.table' is not set"),
        ({"kind": "table", "table": "gone.csv"}, "gone.csv .* does not exist"),
        ({"kind": "voxceleb", "root": "gone"}, "gone/voxceleb1/wav .* does not exist.*Getting the data"),
        ({"kind": "wen2019", "root": "gone"}, "gone/fbank .* does not exist.*Getting the data"),
    ],
)
def test_what_cannot_be_made(tmp_path, given, message):
    with pytest.raises(CorpusError, match=message):
        make(tmp_path, **given)


def test_a_kind_that_is_not_known(tmp_path):
    with pytest.raises(ValidationError, match="'synthetic', 'voxceleb', 'wen2019' or 'table'"):
        make(tmp_path, kind="voxceleb2")


def test_make_synthetic(tmp_path):
    sizes = {"n_identities": 2, "n_recordings": 2, "n_faces": 2, "min_s": 1.0, "max_s": 1.1, "size_px": 64}
    found = make(tmp_path, kind="synthetic", root="data", **sizes)
    assert found.root.parent == tmp_path / "data" and found.root.name.startswith("synthetic-")
    assert len(found.manifest) == 4 and found.rejected.empty
    assert set(found.people["identity"]) == set(found.manifest["identity"])
    pd.testing.assert_frame_equal(corpus.read_people(found.root), found.people)


def test_before_and_after_the_intersection(voxceleb):
    found = make(voxceleb, kind="voxceleb", root="data/vox")
    counts = corpus.before_and_after(found, found.manifest)
    assert counts.to_dict("split")["data"] == [[3, 2, 4, 3], [2, 2, 2, 2]]
    pairs = "identity,recording,face\nAnn,a.wav,a.jpg\nBob,b.wav,\nBob,b2.wav,\nCy,,c.jpg\n"
    (voxceleb / "pairs.csv").write_text(pairs)
    found = make(voxceleb, kind="table", table="pairs.csv")
    counts = corpus.before_and_after(found, manifest.intersect(found.manifest)[0])
    assert counts.to_dict("split")["data"] == [[2, 1, 3, 1], [2, 1, 2, 1]]


def test_matched_names(voxceleb):
    table = corpus.matched_names(make(voxceleb, kind="voxceleb", root="data/vox"))
    assert table.to_dict("index") == {
        "face, exactly": {"folders": 1, "used": 1, "example": "Ann_Low", "identity": "Ann_Low"},
        "face, ignoring case + punctuation": {"folders": 1, "used": 1, "example": "bob high", "identity": "Bob_High"},
        "voice, by id": {"folders": 3, "used": 2, "example": "id1", "identity": "Ann_Low"},
    }


# ------------------------------------------------------------------------------------- durations and photos


def write_m4a(path, seconds, *, rate=16_000):
    import av

    wave = (0.1 * np.sin(np.arange(int(rate * seconds)) / 9)).astype(np.float32)
    with av.open(str(path), "w", format="mp4") as target:
        stream = target.add_stream("aac", rate=rate, layout="mono")
        for start in range(0, len(wave), 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    root = tmp_path_factory.mktemp("recordings")
    soundfile.write(root / "1.wav", np.zeros(24_000), 16_000)
    soundfile.write(root / "2.flac", np.zeros(8_000), 8_000)
    write_m4a(root / "3.m4a", 2.0)
    (root / "4.wav").write_bytes(b"RIFF broken")
    (root / "5.wav").touch()
    np.save(root / "6.npy", np.random.default_rng(0).normal(size=(50, 64)).astype(np.float32))
    names = [*sorted(p.name for p in root.iterdir()), "gone.wav"]
    rows = [("Ann", "voice", name) for name in names] + [("Ann", "face", "1.wav")]
    return pd.DataFrame(rows, columns=["identity", "modality", "path"]), root


def test_durations_leave_out_what_is_broken(recordings):
    found = sheets.durations(*recordings)
    assert found.name == "duration_s" and found.dtype == float
    assert found.tolist() == pytest.approx([1.5, 1.0, 2.0, 0.5], abs=0.1)  # AAC pads by a frame or two


def test_durations_of_nothing_that_can_be_read(recordings):
    table, root = recordings
    found = sheets.durations(table[table["path"] == "gone.wav"], root)
    assert found.empty and found.dtype == float


@pytest.mark.parametrize(("n", "max_files", "n_read"), [(10, 10, 10), (10, 4, 4), (10, 3, 3), (19, 10, 10), (3, 9, 3)])
def test_durations_are_read_of_few_files_spread_over_all(recordings, n, max_files, n_read):
    root = recordings[1]
    lengths_s = np.arange(1, n + 1) / 100
    for k, seconds in enumerate(lengths_s):
        soundfile.write(root / f"of_{n}_{k}.wav", np.zeros(round(16_000 * seconds)), 16_000)
    table = pd.DataFrame({"modality": "voice", "path": [f"of_{n}_{k}.wav" for k in range(n)]})
    found = sheets.durations(table, root, max_files=max_files)
    assert len(found) <= max_files and len(found) == n_read
    assert set(found.round(4)) <= set(lengths_s.round(4))
    assert found.max() >= lengths_s[-1] * 0.75  # the last files too


@pytest.mark.parametrize(("n", "colours"), [(1, [10]), (2, [10, 30]), (5, [10, 30, 40])])
def test_some_photos_skip_those_that_are_broken(tmp_path, n, colours):
    for name, grey in {"ann.png": 10, "ann2.png": 20, "cy2.png": 30, "di.png": 40}.items():
        Image.new("RGB", (20, 24), (grey, grey, grey)).save(tmp_path / name)
    (tmp_path / "cy.png").write_bytes(b"\x89PNG broken")
    rows = [
        ("Ann", "ann.png"),
        ("Ann", "ann2.png"),
        ("Bob", "gone.png"),
        ("Cy", "cy.png"),
        ("Cy", "cy2.png"),
        ("Di", "di.png"),
    ]
    table = pd.DataFrame(rows, columns=["identity", "path"]).assign(modality="face")
    table = pd.concat([pd.DataFrame([("Ann", "a.wav", "voice")], columns=table.columns), table])
    shown = sheets.some_photos(table, tmp_path, n=n)
    assert [photo[0, 0, 0] for photo in shown] == colours
    assert all(photo.shape == (24, 20, 3) and photo.dtype == np.uint8 for photo in shown)
