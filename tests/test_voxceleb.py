import os
from pathlib import Path

import pytest

from s2f.corpora import manifest, voxceleb
from s2f.errors import CorpusError

HEADER = "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
META = (
    HEADER
    + "id1\tAnn_Low\tf\tIndia\tdev\nid2\tBob_High \tM\t\tdev\n"
    + "id3\tCy_Mute\tm\tPeru\ttest\nid4\tDi_Hid\tf\tPeru\ttest\n"
)


@pytest.fixture
def places(tmp_path):
    """A small tree with one of everything that is rejected."""
    for path in (
        "wav/id1/vid_A/00001.wav",
        "wav/id1/vid_A/00002.WAV",
        "wav/id1/v2/00001.wav",
        "wav/id1/v2/notes.txt",
        "wav/id1/stray.wav",
        "wav/id2/v3/00001.wav",
        "wav/id2/v3/._00001.wav",
        "wav/id4/v4/00001.wav",
        "wav/id9/v9/00001.wav",
        "wav/readme.txt",
        "faces/Ann_Low/vid_A_00001.jpg",
        "faces/Ann_Low/other_00001.jpg",
        "faces/Ann_Low/portrait.png",
        "faces/Ann_Low/clip.gif",
        "faces/Bob_High/1.jpg",
        "faces/Cy_Mute/1.jpg",
        "faces/Cy_Mute/2.jpg",
        "faces/Bob High/1.jpg",
        "faces/Nobody/1.jpg",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"x")
    (tmp_path / "wav/id1/v2/00009.wav").touch()
    (tmp_path / "faces/Ann_Low/folder.jpg").mkdir()
    (tmp_path / "meta.csv").write_text(META)
    return {"voice_root": tmp_path / "wav", "face_root": tmp_path / "faces", "meta": tmp_path / "meta.csv"}


def test_scan_finds_what_belongs_together(places):
    table, _ = voxceleb.scan(**places)
    short = [(r.identity, r.modality, os.path.basename(r.path), r.source_id) for r in table.itertuples()]
    assert short == [
        ("Ann_Low", "voice", "00001.wav", "v2"),
        ("Ann_Low", "voice", "00001.wav", "vid_A"),
        ("Ann_Low", "voice", "00002.WAV", "vid_A"),
        ("Ann_Low", "face", "other_00001.jpg", None),
        ("Ann_Low", "face", "portrait.png", None),
        ("Ann_Low", "face", "vid_A_00001.jpg", "vid_A"),
        ("Bob_High", "voice", "00001.wav", "v3"),
        ("Bob_High", "face", "1.jpg", None),
    ]
    people = table.drop_duplicates("identity")
    assert people[["gender", "nationality"]].values.tolist() == [["f", "India"], ["m", None]]
    assert all(os.path.isabs(p) and os.path.exists(p) for p in table["path"])


def test_scan_lists_everything_it_leaves_out(places):
    _, rejected = voxceleb.scan(**places)
    root = Path(places["meta"]).parent
    found = {(os.path.relpath(r.path, root), r.modality, r.identity, r.reason) for r in rejected.itertuples()}
    assert found == {
        ("wav/readme.txt", "voice", None, "misplaced"),
        ("wav/id1/stray.wav", "voice", "Ann_Low", "misplaced"),
        ("wav/id1/v2/notes.txt", "voice", "Ann_Low", "extension"),
        ("wav/id1/v2/00009.wav", "voice", "Ann_Low", "empty"),
        ("wav/id2/v3/._00001.wav", "voice", "Bob_High", "hidden"),
        ("wav/id4", "voice", "Di_Hid", "no_face"),
        ("wav/id9", "voice", None, "unknown_identity"),
        ("faces/Ann_Low/clip.gif", "face", "Ann_Low", "extension"),
        ("faces/Ann_Low/folder.jpg", "face", "Ann_Low", "misplaced"),
        ("faces/Cy_Mute", "face", "Cy_Mute", "no_voice"),
        ("faces/Bob High", "face", None, "unknown_identity"),
        ("faces/Nobody", "face", None, "unknown_identity"),
    }
    detail = rejected.set_index("path")["detail"]
    assert detail[str(root / "faces/Cy_Mute")] == "2 face files, no voice"
    assert detail[str(root / "faces/Bob High")] == "'Bob High' is not in the metadata, but 'Bob_High' is"


@pytest.mark.parametrize(
    ("what", "message"),
    [("voice_root", "folder of VoxCeleb1"), ("face_root", "folder of VGGFace"), ("meta", "metadata")],
)
def test_missing_data_is_one_clear_error(places, what, message):
    gone = places[what].with_name("gone")
    with pytest.raises(CorpusError) as caught:
        voxceleb.scan(**{**places, what: gone})
    assert message in str(caught.value) and "does not exist" in str(caught.value)
    assert str(gone) in str(caught.value) and "Getting the data" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as a tab-separated table"),
        (HEADER.encode(), "has no rows"),
        (b"\xff\xfe\x00bad\t\xe9", "cannot be read"),
        (META.replace("\t", ",").encode(), "has no column 'VoxCeleb1 ID'"),
        (META.replace("Gender", "Sex").encode(), "has no column 'Gender'"),
        (META.replace("\tM\t", "\tmale\t").encode(), "has gender 'male' for Bob_High"),
        (META.replace("id2", "id1").encode(), "lists 'id1' twice"),
        (META.replace("Cy_Mute", "Ann_Low").encode(), "lists 'Ann_Low' twice"),
        (META.replace("Cy_Mute", "").encode(), "has no identity in line 4"),
    ],
)
def test_broken_metadata(places, content, message):
    places["meta"].write_bytes(content)
    with pytest.raises(CorpusError) as caught:
        voxceleb.scan(**places)
    assert message in str(caught.value)


def test_metadata_of_other_people(places):
    places["meta"].write_text(HEADER + "id1\tCy_Mute\tf\tIndia\tdev\nid2\tX\tf\tIndia\tdev\n")
    manifest_of_one, _ = voxceleb.scan(**places)
    assert set(manifest_of_one["identity"]) == {"Cy_Mute"}
    places["meta"].write_text(HEADER + "id1\tX\tf\tIndia\tdev\nid7\tCy_Mute\tf\tIndia\tdev\n")
    with pytest.raises(CorpusError, match="links no voice to a face: 1 identities have recordings"):
        voxceleb.scan(**places)
    places["meta"].write_text(HEADER + "id7\tCy_Mute\tf\tIndia\tdev\n")
    with pytest.raises(CorpusError, match="holds no recordings"):
        voxceleb.scan(**places)


def test_headers_and_values_are_stripped(places):
    before = voxceleb.read_meta(places["meta"])
    places["meta"].write_text("\ufeff" + META.replace("\t", " \t ").replace("\n", " \r\n"), encoding="utf-8")
    assert voxceleb.read_meta(places["meta"]).equals(before)


def test_swapped_folders_are_noticed(places):
    swapped = {**places, "voice_root": places["face_root"], "face_root": places["voice_root"]}
    with pytest.raises(CorpusError, match="holds no recordings"):
        voxceleb.scan(**swapped)


# ------------------------------------------------------------------------------------------- real sample


@pytest.fixture(scope="module")
def real():
    root = Path(os.environ.get("S2F_REAL", Path(__file__).parents[2] / "shared" / "real"))
    if not (root / "vox1_meta.csv").is_file():
        pytest.skip(f"no real sample at {root}: set S2F_REAL")
    return {
        "voice_root": root / "voxceleb1" / "wav",
        "face_root": root / "vggface",
        "meta": root / "vox1_meta.csv",
    }


def test_real_sample_counts(real):
    table, rejected = voxceleb.scan(**real)
    assert manifest.summary(table)["total"] == {"n_identities": 95, "n_recordings": 241, "n_faces": 241}
    assert rejected.empty
    voices, photos = (table[table["modality"] == m] for m in ("voice", "face"))
    assert photos["source_id"].notna().all()  # each photo is named after the clip it was taken from
    pairs = [sorted(zip(t["identity"], t["source_id"], strict=True)) for t in (voices, photos)]
    assert pairs[0] == pairs[1]


def test_real_metadata_by_initial(real):
    people = voxceleb.read_meta(real["meta"])
    split = manifest.split(people, rule="by_initial")
    test = split[split["split"] == "test"]
    assert len(people) == 1251
    assert (len(test), (test["gender"] == "m").sum(), (test["gender"] == "f").sum()) == (193, 119, 74)


def test_real_sample_has_no_validation_or_test_names(real):
    table, _ = voxceleb.scan(**real)
    with pytest.raises(CorpusError, match="leaves validation and test empty: train 95"):
        manifest.split(table, rule="by_initial")
