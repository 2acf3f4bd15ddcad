from pathlib import Path

import pandas as pd
import pytest
import yaml
from pydantic import ValidationError

from s2f import settings
from s2f.corpora import corpus, manifest
from s2f.errors import CorpusError

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
