import errno
import os
import shutil
import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from s2f.corpora import manifest, splits, voxceleb
from s2f.errors import CorpusError

HEADER = "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
META = (
    HEADER
    + "id1\tAnn_Low\tf\tIndia\tdev\nid2\tBob_High \tM\t\tdev\n"
    + "id3\tCy_Mute\tm\tPeru\ttest\nid4\tDi_Hid\tf\tPeru\ttest\n"
)
META2 = "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \nid00012 ,n000012 ,m ,dev \nid00015 ,n000015 ,f ,test\n"


def make_files(root, *paths):
    for path in paths:
        place = os.path.join(os.fsencode(root), os.fsencode(path))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.write(b"x")


def where(tmp_path, *, voices=("wav",), faces=("faces",), metas=("meta.csv",)):
    sorts = {"voices": voices, "faces": faces, "metas": metas}
    return {sort: [tmp_path / name for name in names] for sort, names in sorts.items()}


def reasons(scan, root):
    """Path below root, modality, identity and reason of everything that was left out."""
    return {(os.path.relpath(r.path, root), r.modality, r.identity, r.reason) for r in scan.rejected.itertuples()}


@pytest.fixture
def places(tmp_path):
    """A small tree with one of everything that is rejected."""
    make_files(
        tmp_path,
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
        "faces/Bob High/2.jpg",
        "faces/Nobody/1.jpg",
    )
    (tmp_path / "wav/id1/v2/00009.wav").touch()
    (tmp_path / "faces/Ann_Low/folder.jpg").mkdir()
    (tmp_path / "meta.csv").write_text(META)
    return where(tmp_path)


@pytest.fixture
def one_person(tmp_path):
    """Ann with a recording and a photograph: a tree to add to."""
    make_files(tmp_path, "wav/id1/v1/00001.wav", "faces/Ann_Low/1.jpg")
    (tmp_path / "meta.csv").write_text(META)
    return where(tmp_path)


# ------------------------------------------------------------------------------------------------ scan


def test_scan_finds_what_belongs_together(places):
    table = voxceleb.scan(**places).manifest
    short = [(r.identity, r.modality, os.path.basename(r.path), r.source_id) for r in table.itertuples()]
    assert short == [
        ("Ann_Low", "voice", "00001.wav", "v2"),
        ("Ann_Low", "voice", "00009.wav", "v2"),  # empty: that it is, preprocessing says
        ("Ann_Low", "voice", "00001.wav", "vid_A"),
        ("Ann_Low", "voice", "00002.WAV", "vid_A"),
        ("Ann_Low", "face", "other_00001.jpg", None),
        ("Ann_Low", "face", "portrait.png", None),
        ("Ann_Low", "face", "vid_A_00001.jpg", "vid_A"),
        ("Bob_High", "voice", "00001.wav", "v3"),
        ("Bob_High", "face", "2.jpg", None),
        ("Bob_High", "face", "1.jpg", None),
    ]
    people = table.drop_duplicates("identity")
    assert people[["gender", "nationality"]].values.tolist() == [["f", "India"], ["m", None]]
    assert all(os.path.isabs(p) and os.path.exists(p) for p in table["path"])


def test_scan_lists_everything_it_leaves_out(places, tmp_path):
    scan = voxceleb.scan(**places)
    assert reasons(scan, tmp_path) == {
        ("wav/readme.txt", "voice", None, "misplaced"),
        ("wav/id1/stray.wav", "voice", "Ann_Low", "misplaced"),
        ("wav/id1/v2/notes.txt", "voice", "Ann_Low", "extension"),
        ("wav/id2/v3/._00001.wav", "voice", "Bob_High", "hidden"),
        ("wav/id4", "voice", "Di_Hid", "without_face"),
        ("wav/id9", "voice", None, "unknown_identity"),
        ("faces/Ann_Low/clip.gif", "face", "Ann_Low", "extension"),
        ("faces/Ann_Low/folder.jpg", "face", "Ann_Low", "misplaced"),
        ("faces/Cy_Mute", "face", "Cy_Mute", "without_voice"),
        ("faces/Nobody", "face", None, "unknown_identity"),
    }
    detail = scan.rejected.set_index("path")["detail"]
    assert detail[str(tmp_path / "faces/Cy_Mute")] == "2 face files, no voice"
    assert detail[str(tmp_path / "faces/Nobody")] == "'Nobody' is not in the metadata"


@pytest.mark.parametrize(
    ("other", "used"),
    [
        ("wav/id1/v1/00001.m4a", "wav/id1/v1/00001.wav"),
        ("wav/id1/v1/00001.WAV", "wav/id1/v1/00001.WAV"),  # capitals sort first
        ("wav/Ann_Low/v1/00001.m4a", "wav/id1/v1/00001.wav"),
        ("wav/Ann_Low/v1/00001.wav", "wav/Ann_Low/v1/00001.wav"),
        ("aac/id1/v1/00001.m4a", "wav/id1/v1/00001.wav"),
        ("aac/id1/v1/00001.M4A", "wav/id1/v1/00001.wav"),
        ("aac/id1/v1/00001.wav", "wav/id1/v1/00001.wav"),
        ("aac/Ann Low/v1/00001.m4a", "wav/id1/v1/00001.wav"),
    ],
)
def test_a_clip_in_two_formats_or_places_is_one_recording(one_person, tmp_path, other, used):
    make_files(tmp_path, other, "aac/id2/v2/00001.m4a", "faces/Bob_High/1.jpg")
    scan = voxceleb.scan(**one_person | {"voices": [tmp_path / "wav", tmp_path / "aac"]})
    of_ann = scan.manifest[(scan.manifest["identity"] == "Ann_Low") & (scan.manifest["modality"] == "voice")]
    assert of_ann["path"].tolist() == [str(tmp_path / used)]
    (left,) = {other, "wav/id1/v1/00001.wav"} - {used}
    assert reasons(scan, tmp_path) == {(left, "voice", "Ann_Low", "same_clip")}
    assert scan.rejected["detail"].tolist() == [f"{tmp_path / used} is used"]
    counted = scan.matches[scan.matches["modality"] == "voice"].groupby("identity")["n_files"].sum()
    assert counted.to_dict() == {"Ann_Low": 1, "Bob_High": 1}
    table = voxceleb.expected_against_found(scan)
    assert table["recordings"].dropna().iloc[:-1].sum() == table.loc["found", "recordings"] == 2


def test_what_only_looks_like_the_same_clip_is_kept(one_person, tmp_path):
    make_files(tmp_path, "wav/id1/v2/00001.m4a", "wav/id1/v1/00002.m4a", "wav/id1/v1/a.wav", "wav/id1/v1/A.wav")
    make_files(tmp_path, "more/Ann_Low/1.jpg", "faces/Ann_Low/2.png")
    scan = voxceleb.scan(**one_person | {"faces": [tmp_path / "faces", tmp_path / "more"]})
    assert scan.rejected.empty and len(scan.manifest) == 5 + 3


def test_an_empty_file_takes_no_clips_place(one_person, tmp_path):
    make_files(tmp_path, "wav/id1/v1/00001.m4a")
    (tmp_path / "wav/id1/v1/00001.wav").write_bytes(b"")
    scan = voxceleb.scan(**one_person)  # preprocessing says that the other is empty
    assert scan.rejected.empty and (scan.manifest["modality"] == "voice").sum() == 2


def test_a_photograph_in_two_formats_is_one(one_person, tmp_path):
    make_files(tmp_path, "faces/Ann_Low/1.png", "faces/Ann_Low/v1_2.jpg", "crops/Ann_Low/v1_2.webp")
    scan = voxceleb.scan(**one_person | {"faces": [tmp_path / "faces", tmp_path / "crops"]})
    left = {("faces/Ann_Low/1.jpg", "face", "Ann_Low", "same_clip")}
    assert reasons(scan, tmp_path) == left | {("crops/Ann_Low/v1_2.webp", "face", "Ann_Low", "same_clip")}
    assert scan.matches.set_index("folder")["n_files"].to_dict() == {
        str(tmp_path / "wav/id1"): 1,
        str(tmp_path / "faces/Ann_Low"): 2,
        str(tmp_path / "crops/Ann_Low"): 0,
    }


def test_scan_says_which_folder_was_taken_for_whose(places, tmp_path):
    matches = voxceleb.scan(**places).matches
    rows = matches.assign(folder=[os.path.relpath(f, tmp_path) for f in matches["folder"]])
    assert rows.values.tolist() == [
        ["wav/id1", "voice", "Ann_Low", "id", 4, True],
        ["wav/id2", "voice", "Bob_High", "id", 1, True],
        ["wav/id4", "voice", "Di_Hid", "id", 1, False],
        ["faces/Ann_Low", "face", "Ann_Low", "exact", 3, True],
        ["faces/Bob High", "face", "Bob_High", "punctuation", 1, True],
        ["faces/Bob_High", "face", "Bob_High", "exact", 1, True],
        ["faces/Cy_Mute", "face", "Cy_Mute", "exact", 2, False],
    ]


@pytest.mark.parametrize(
    ("sort", "message"), [("voices", "folder of recordings"), ("faces", "folder of photographs"), ("metas", "metadata")]
)
def test_missing_data_is_one_clear_error(places, sort, message):
    gone = places[sort][0].with_name("gone")
    with pytest.raises(CorpusError) as caught:
        voxceleb.scan(**{**places, sort: [*places[sort], gone]})
    assert message in str(caught.value) and "does not exist" in str(caught.value)
    assert caught.value.subject == str(gone) and "Getting the data" in str(caught.value)


def test_a_file_is_not_a_folder_of_people(places):
    with pytest.raises(CorpusError, match=r"meta\.csv .*is not a folder"):
        voxceleb.scan(**{**places, "faces": places["metas"]})


def test_swapped_folders_are_noticed(places):
    swapped = {**places, "voices": places["faces"], "faces": places["voices"]}
    with pytest.raises(CorpusError, match="holds no recordings"):
        voxceleb.scan(**swapped)


def test_folders_without_a_photograph_are_noticed(one_person, tmp_path):
    (tmp_path / "faces/Ann_Low/1.jpg").rename(tmp_path / "faces/Ann_Low/1.gif")
    with pytest.raises(CorpusError, match="holds no photos"):
        voxceleb.scan(**one_person)


def test_processed_clips(one_person, tmp_path):
    make_files(tmp_path, "wav/id1/v1/00002.npy")
    scan = voxceleb.scan(**one_person, suffixes=voxceleb.PROCESSED_SUFFIXES)
    assert [os.path.basename(p) for p in scan.manifest["path"]] == ["00002.npy", "1.jpg"]
    assert reasons(scan, tmp_path) == {("wav/id1/v1/00001.wav", "voice", "Ann_Low", "extension")}


# --------------------------------------------------------------------------------- several folders, VoxCeleb2


@pytest.fixture
def both_releases(tmp_path):
    """VoxCeleb1 in its dev and test folders and VoxCeleb2, in the usual places."""
    make_files(
        tmp_path,
        "voxceleb1/dev/wav/id1/v1/00001.wav",
        "voxceleb1/test/wav/id1/v2/00001.wav",
        "voxceleb1/test/wav/id2/v3/00001.wav",
        "voxceleb2/dev/aac/id00012/v4/00001.m4a",
        "voxceleb2/dev/aac/id00012/v4/00002.wav",
        "voxceleb2/test/aac/id00015/v5/00001.M4A",
        "voxceleb2/test/aac/id00015/v5/00002.mp4",
        "vggface/Ann_Low/1.jpg",
        "vggface/Bob_High/1.jpg",
        "vggface2/train/n000012/0001_01.jpg",
        "vggface2/test/n000015/0001_01.jpg",
        "vggface2/test/n000099/0001_01.jpg",
    )
    (tmp_path / "vox1_meta.csv").write_text(META)
    (tmp_path / "vox2_meta.csv").write_text(META2)
    return tmp_path


def test_places_are_all_that_exist(both_releases):
    found = voxceleb.places(both_releases, kind="voxceleb")
    assert {sort: [p.relative_to(both_releases).as_posix() for p in paths] for sort, paths in found.items()} == {
        "voices": ["voxceleb1/dev/wav", "voxceleb1/test/wav", "voxceleb2/dev/aac", "voxceleb2/test/aac"],
        "faces": ["vggface", "vggface2/train", "vggface2/test"],
        "metas": ["vox1_meta.csv", "vox2_meta.csv"],
    }


@pytest.mark.parametrize(("kind", "voices"), [("voxceleb", "voxceleb1/wav"), ("wen2019", "fbank")])
def test_the_first_usual_place_stands_for_those_missing(tmp_path, kind, voices):
    assert voxceleb.places(tmp_path, kind=kind)["voices"] == [tmp_path / voices]
    with pytest.raises(CorpusError, match="does not exist") as caught:
        voxceleb.scan(**voxceleb.places(tmp_path, kind=kind))
    assert caught.value.subject == str(tmp_path / voices)


def test_two_releases_together(both_releases):
    scan = voxceleb.scan(**voxceleb.places(both_releases, kind="voxceleb"))
    assert scan.people["release"].tolist() == ["VoxCeleb1"] * 4 + ["VoxCeleb2"] * 2
    people = scan.manifest.drop_duplicates("identity")
    assert people[["identity", "gender", "nationality"]].values.tolist() == [
        ["Ann_Low", "f", "India"],
        ["Bob_High", "m", None],
        ["n000012", "m", None],
        ["n000015", "f", None],
    ]
    voices = scan.manifest[scan.manifest["modality"] == "voice"]
    assert voices.groupby("identity")["source_id"].agg(list).to_dict() == {
        "Ann_Low": ["v1", "v2"],
        "Bob_High": ["v3"],
        "n000012": ["v4", "v4"],
        "n000015": ["v5"],
    }
    assert reasons(scan, both_releases) == {
        ("voxceleb2/test/aac/id00015/v5/00002.mp4", "voice", "n000015", "extension"),
        ("vggface2/test/n000099", "face", None, "unknown_identity"),
    }


def test_voxceleb2_alone(both_releases):
    usual = voxceleb.places(both_releases, kind="voxceleb")
    scan = voxceleb.scan(voices=usual["voices"], faces=usual["faces"], metas=usual["metas"][1:])
    assert set(scan.manifest["identity"]) == {"n000012", "n000015"}
    assert set(scan.rejected["reason"]) == {"unknown_identity", "extension"}  # all of VoxCeleb1, and the .mp4
    assert set(scan.people["release"]) == {"VoxCeleb2"} and scan.people["nationality"].isna().all()
    with pytest.raises(CorpusError, match="not VoxCeleb1's alone"):
        voxceleb.expected_against_found(scan)


def test_a_folder_given_twice_is_an_error(one_person):
    with pytest.raises(CorpusError, match="is listed twice as a face"):
        voxceleb.scan(**{**one_person, "faces": one_person["faces"] * 2})


@pytest.mark.parametrize(
    ("second", "message"),
    [(META, "name id 'id1' in two files"), (META.replace("\nid", "\nid99"), "name identity 'Ann_Low' in two files")],
)
def test_metadata_of_the_same_people_twice(one_person, tmp_path, second, message):
    (tmp_path / "again.csv").write_text(second)
    with pytest.raises(CorpusError, match=message):
        voxceleb.scan(**{**one_person, "metas": [*one_person["metas"], tmp_path / "again.csv"]})


# ------------------------------------------------------------------------------------------------ layouts

LAYOUTS = {
    "frames of VoxCeleb": ("faces/Ann_Low/1.6/v1/0001.jpg", "as VoxCeleb's own face frames lie", "<video>_<frame>.jpg"),
    "a folder too deep": ("faces/Ann_Low/x/1.jpg", "1 file such as Ann_Low/x/1.jpg", "They lie too deep"),
    "people below": (
        "faces/vgg/all/Ann Low/1.jpg",
        "such as vgg/all/Ann Low/1.jpg",
        "lie in {root}/faces/vgg/all: name",
    ),
    "of one person": ("faces/1.jpg", "such as 1.jpg", "Name the folder above those of people"),
    "of others": ("faces/Nobody/1.jpg", "such as Nobody/1.jpg", "None of these folders is named"),
    "addresses": ("faces/Ann_Low.txt", "a list of addresses", "Download the photographs themselves"),
    "a table": ("faces/list.csv", "a list of something else", "Download the photographs themselves"),
    "other photographs": ("faces/Ann_Low/1.gif", "such as Ann_Low/1.gif", "Convert them to .jpg"),
    "nothing": ("faces/.hidden", "there are no files in it", "Getting the data"),
    "archive of photographs": ("faces/vggface.tar.gz", "such as vggface.tar.gz", "Unpack it"),
    "no videos": ("wav/id1/00001.wav", "such as id1/00001.wav", "No folder says which video each is from"),
    "no videos, by name": ("wav/Ann_Low/00001.wav", "such as Ann_Low/00001.wav", "put them at <id>/<video>/<clip>"),
    "recordings too deep": ("wav/id1/v1/x/1.wav", "such as id1/v1/x/1.wav", "They lie too deep"),
    "people of recordings below": ("wav/dev/id1/v1/1.wav", "such as dev/id1/v1/1.wav", "lie in {root}/wav/dev: name"),
    "recordings of one person": ("wav/v1/1.wav", "such as v1/1.wav", "None of these folders is named"),
    "flac": ("wav/id1/v1/1.flac", "such as id1/v1/1.flac", "Convert them to .wav or .m4a, or list them in a table"),
    "log-mels": ("wav/id1/v1/1.npy", "such as id1/v1/1.npy", "corpus.kind: wen2019"),
    "texts of VoxCeleb": ("wav/id1/v1/1.txt", "a list of something else", "Download the recordings themselves"),
    "archive in parts": ("wav/vox1_dev_wav_partaa", "such as vox1_dev_wav_partaa", "Unpack it"),
    "something else": ("wav/id1/v1/1.xyz", "such as id1/v1/1.xyz", "Getting the data"),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_other_layouts_are_named_with_what_to_do(tmp_path, case):
    path, found, remedy = LAYOUTS[case]
    make_files(tmp_path, "wav/id1/v1/1.wav", "faces/Ann_Low/1.jpg")
    shutil.rmtree(tmp_path / path.split("/")[0])
    make_files(tmp_path, path)
    if case == "addresses":
        (tmp_path / path).write_text("00000001 http://example.org/a.jpg 1 2 3 4 5\n")
    (tmp_path / "meta.csv").write_text(META)
    with pytest.raises(CorpusError, match=r"holds no (recordings|photos)") as caught:
        voxceleb.scan(**where(tmp_path))
    assert found in caught.value.problem and remedy.format(root=tmp_path) in caught.value.remedy


def test_sound_where_log_mels_are_looked_for(one_person):
    with pytest.raises(CorpusError, match=r"such as id1/v1/00001.wav.*corpus.kind: voxceleb"):
        voxceleb.scan(**one_person, suffixes=voxceleb.PROCESSED_SUFFIXES)


def test_details_of_folders_say_what_lies_in_them(one_person, tmp_path):
    make_files(tmp_path, "faces/Ann_Low/1.6/v1/2.jpg", "faces/more/Bob_High/1.jpg", "faces/x/y/1.jpg")
    (tmp_path / "faces/Ann_Low/empty").mkdir()
    details = voxceleb.scan(**one_person).rejected.set_index("path")["detail"]
    assert details.to_dict() == {
        str(tmp_path / "faces/Ann_Low/1.6"): "a folder where only files are expected; v1/2.jpg lies in it",
        str(tmp_path / "faces/Ann_Low/empty"): "a folder or broken link where only files are expected",
        str(tmp_path / "faces/more"): "'more' is not in the metadata, but 'Bob_High' in it is: name this folder",
        str(tmp_path / "faces/x"): "'x' is not in the metadata",
    }


# ------------------------------------------------------------------------------------------------ metadata


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (HEADER.encode(), "has no rows"),
        (b"\xff\xfe\x00bad\t\xe9", "has no column 'VoxCeleb1 ID'.*Its first line must name the columns"),
        (b"\xffbad\t\xe9", "cannot be read as a table .line 1 is not in UTF-8"),
        (META.replace("\t", "/").encode(), "has no column 'VoxCeleb1 ID'.*Its first line must name the columns"),
        (META.replace("Gender", "Sex").encode(), "has no column 'Gender', only"),
        (META2.replace("VGGFace2", "VGGFace").encode(), "has no column 'VGGFace2 ID'.*Did you mean 'VGGFace ID'"),
        (META.replace("Set", "Gender").encode(), "has two columns 'Gender'"),
        (META.replace("\tIndia", "\tIndia\tAsia").encode(), "has 6 cells in line 2, and 5 in its header. .*tabs"),
        (META.replace("\tM\t", "\tmale\t").encode(), "has gender 'male' for Bob_High"),
        (META.replace("id2", "id1").encode(), "lists 'id1' twice"),
        (META.replace("Cy_Mute", "Ann_Low").encode(), "lists 'Ann_Low' twice"),
        (META.replace("Cy_Mute", " ").encode(), "has no identity in line 4"),
        (META.replace("id3", "").encode(), "has no id in line 4"),
    ],
)
def test_broken_metadata(one_person, content, message):
    one_person["metas"][0].write_bytes(content)
    with pytest.raises(CorpusError, match=f"(?s)meta.csv .*({message})"):
        voxceleb.scan(**one_person)


def test_metadata_of_other_people(places):
    meta = places["metas"][0]
    meta.write_text(HEADER + "id1\tCy_Mute\tf\tIndia\tdev\nid2\tX\tf\tIndia\tdev\n")
    assert set(voxceleb.scan(**places).manifest["identity"]) == {"Cy_Mute"}
    meta.write_text(HEADER + "id1\tX\tf\tIndia\tdev\nid7\tCy_Mute\tf\tIndia\tdev\n")
    with pytest.raises(CorpusError, match="links no voice to a face: 1 identities have recordings"):
        voxceleb.scan(**places)
    meta.write_text(HEADER + "id7\tCy_Mute\tf\tIndia\tdev\n")
    with pytest.raises(CorpusError, match="holds no recordings"):
        voxceleb.scan(**places)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text.replace("\t", " \t ").replace("\n", " \r\n"),
        lambda text: text.replace("\t", ","),
        lambda text: text.replace("\t", " ,").replace("\n", "\n\n"),
        lambda text: text.replace("\tM\t\tdev", "\tM"),  # a line that ends early
        lambda text: text.replace("dev\n", "dev\t\n").replace("test\n", "test\t\t\n"),
        lambda text: "sep=;\n# from the site\n\n" + text.replace("\t", ";"),
    ],
    ids=["spaces and a byte-order mark", "commas", "blank lines", "short line", "long lines", "spreadsheet"],
)
def test_forms_of_the_same_metadata(one_person, change):
    meta = one_person["metas"][0]
    before = voxceleb.read_meta(meta)
    meta.write_text(change(META), encoding="utf-8", newline="")
    pd.testing.assert_frame_equal(voxceleb.read_meta(meta), before)
    assert before.values.tolist()[1] == ["id2", "Bob_High", "m", None, "VoxCeleb1"]


# ------------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("folder", "rule"),
    [
        ("Renée_O'Neil-Smith", "exact"),
        ("Renee_O'Neil-Smith", "accents"),
        ("renée_o'neil-smith", "case"),
        ("Renée O’Neil Smith", "punctuation"),
        ("RENEE ONEIL SMITH", "accents + case + punctuation"),
        (unicodedata.normalize("NFD", "Renée_O'Neil-Smith"), "Unicode form"),
    ],
)
def test_names_may_differ_in_accents_case_punctuation_and_unicode_form(tmp_path, folder, rule):
    make_files(tmp_path, "wav/id1/v1/00001.wav", f"faces/{folder}/1.jpg")
    (tmp_path / "meta.csv").write_text(HEADER + "id1\tRenée_O'Neil-Smith\tf\tIndia\tdev\n", encoding="utf-8")
    scan = voxceleb.scan(**where(tmp_path))
    assert scan.rejected.empty and set(scan.manifest["identity"]) == {"Renée_O'Neil-Smith"}
    assert scan.matches["rule"].tolist() == ["id", rule]


def test_a_name_that_fits_two_people_is_nobodys(tmp_path):
    make_files(tmp_path, "wav/id1/v1/00001.wav", "wav/JOSE PEREZ/v1/1.wav")
    make_files(tmp_path, "faces/José_Pérez/1.jpg", "faces/jose_perez/1.jpg", "faces/jose/1.jpg")
    (tmp_path / "meta.csv").write_text(HEADER + "id1\tJosé_Pérez\tm\tPeru\tdev\nid2\tJose_Perez\tm\tPeru\tdev\n")
    scan = voxceleb.scan(**where(tmp_path))
    assert set(scan.manifest["identity"]) == {"José_Pérez"}
    assert reasons(scan, tmp_path) == {
        ("wav/JOSE PEREZ", "voice", None, "ambiguous_name"),
        ("faces/jose_perez", "face", None, "ambiguous_name"),
        ("faces/jose", "face", None, "unknown_identity"),
    }
    detail = scan.rejected.set_index("reason")["detail"]["ambiguous_name"].iloc[0]
    assert detail == "'JOSE PEREZ' may be Jose_Perez or José_Pérez"


def test_recordings_may_lie_in_folders_of_names(one_person, tmp_path):
    make_files(tmp_path, "wav/Bob High/v1/00001.wav", "faces/Bob_High/1.jpg")
    scan = voxceleb.scan(**one_person)
    assert set(scan.manifest["identity"]) == {"Ann_Low", "Bob_High"} and scan.rejected.empty


# ------------------------------------------------------------------------------------- what file systems hold


def test_loops_of_links_end(one_person, tmp_path):
    for loop, target in {
        "wav/id1/v1/self.wav": "self.wav",
        "wav/id1/v1/up": "../..",
        "wav/id2": "id2",
        "wav/id1/root": "../../wav",
        "faces/Ann_Low/up.jpg": "..",
        "faces/broken": "nowhere",
    }.items():
        os.symlink(target, tmp_path / loop)
    scan = voxceleb.scan(**one_person)
    assert [os.path.basename(p) for p in scan.manifest["path"]] == ["00001.wav", "1.jpg"]
    found = reasons(scan, tmp_path)
    assert found >= {
        ("wav/id1/v1/self.wav", "voice", "Ann_Low", "unreadable"),
        ("wav/id2", "voice", None, "unreadable"),
        ("wav/id1/v1/up", "voice", "Ann_Low", "misplaced"),
        ("faces/Ann_Low/up.jpg", "face", "Ann_Low", "misplaced"),
        ("faces/broken", "face", None, "misplaced"),
    }
    # The link to the root is taken for a video of Ann; her own folder in it is not looked into again.
    assert {r for r in found if r[0].startswith("wav/id1/root")} == {
        ("wav/id1/root/id1", "voice", "Ann_Low", "misplaced"),
        ("wav/id1/root/id2", "voice", "Ann_Low", "unreadable"),
    }


def test_names_that_are_not_utf8(one_person, tmp_path):
    make_files(
        tmp_path,
        b"wav/id1/v1/caf\xe9.wav",
        b"wav/id1/vid\xe9o/00001.wav",
        b"faces/Ann_Low/\xff.jpg",
        b"faces/Ren\xe9e/1.jpg",
    )
    scan = voxceleb.scan(**one_person)
    assert [os.path.basename(p) for p in scan.manifest["path"]] == ["00001.wav", "1.jpg"]
    assert reasons(scan, tmp_path) == {
        (r"wav/id1/v1/caf\xe9.wav", "voice", "Ann_Low", "file_name"),
        (r"wav/id1/vid\xe9o", "voice", "Ann_Low", "file_name"),
        (r"faces/Ann_Low/\xff.jpg", "face", "Ann_Low", "file_name"),
        (r"faces/Ren\xe9e", "face", None, "file_name"),
    }
    scan.rejected.to_csv(tmp_path / "rejected.csv", index=False)
    assert len(pd.read_csv(tmp_path / "rejected.csv")) == 4


@pytest.mark.parametrize("how", ["permissions", "disk error"])
@pytest.mark.parametrize("folder", ["wav/id2/v3", "wav/id2", "faces/Bob_High"])
def test_folders_that_cannot_be_read(one_person, tmp_path, monkeypatch, folder, how):
    make_files(tmp_path, "wav/id2/v3/00001.wav", "faces/Bob_High/1.jpg")
    bad = str(tmp_path / folder)
    if how == "permissions":
        if os.geteuid() == 0:
            pytest.skip("root may read everything")
        os.chmod(bad, 0)
    else:
        scandir = os.scandir

        def failing(path):
            if path == bad:
                raise OSError(errno.EIO, os.strerror(errno.EIO), path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", failing)
    try:
        scan = voxceleb.scan(**one_person)
    finally:
        os.chmod(bad, 0o700)
    assert set(scan.manifest["identity"]) == {"Ann_Low"}
    modality = "voice" if folder.startswith("wav") else "face"
    assert (folder, modality, "Bob_High", "unreadable") in reasons(scan, tmp_path)
    why = os.strerror(errno.EACCES if how == "permissions" else errno.EIO)
    assert why in scan.rejected.loc[scan.rejected["path"] == bad, "detail"].tolist()


def test_a_root_that_may_not_be_read_is_an_error(one_person, monkeypatch):
    faces, access = str(one_person["faces"][0]), os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != faces and access(path, mode))
    with pytest.raises(CorpusError, match="may not be read by this user") as caught:
        voxceleb.scan(**one_person)
    assert caught.value.subject == faces and caught.value.reason == "permission"


# ---------------------------------------------------------------------------------------- expected and found

COLUMNS = ["identities", "recordings", "photographs"]
REST = "not on this disk (-), or beyond those expected (+)"
UNPAIRED = "of people who lack the other kind here"


@pytest.fixture
def complete(tmp_path, monkeypatch):
    """Everything the reference counts: three people with both, and Di of the metadata without photographs."""
    for person, name in {"id1": "Ann_Low", "id2": "Bob_High", "id3": "Cy_Mute"}.items():
        make_files(tmp_path, *(f"wav/{person}/v{k}/00001.wav" for k in range(4)), f"wav/{person}/v0/00002.wav")
        make_files(tmp_path, *(f"faces/{name}/{k}.jpg" for k in range(2)))
    make_files(tmp_path, *(f"wav/id4/v{k}/00001.wav" for k in range(7)))
    (tmp_path / "meta.csv").write_text(META)
    monkeypatch.setattr(voxceleb, "REFERENCE", {"n_identities": 3, "n_recordings": 15, "n_faces": 6})
    return where(tmp_path)


def numbers(table, label):
    return [None if pd.isna(v) else int(v) for v in table.loc[label]]


def check_sums(table):
    for column in COLUMNS:
        assert table[column].iloc[:-1].sum() == table[column].iloc[-1]


def test_a_complete_corpus_is_what_was_expected(complete):
    table = voxceleb.expected_against_found(voxceleb.scan(**complete))
    assert list(table.columns) == COLUMNS and (table.dtypes == "Int64").all()
    assert {label: numbers(table, label) for label in table.index} == {
        "expected in full": [3, 15, 6],
        "named in the metadata beyond those expected": [1, None, None],
        "no photographs here": [-1, None, None],
        "found": [3, 15, 6],
    }
    check_sums(table)


# Who of the metadata has no photographs in full is not known: one person may lack them at no loss, here Di.
CAUSES = {
    "a photograph is gone": (["faces/Ann_Low/0.jpg"], {REST: [None, 0, -1]}),
    "a recording is gone": (["wav/id1/v0/00002.wav"], {REST: [None, -1, 0]}),
    "a person's photographs are gone": (
        ["faces/Ann_Low/0.jpg", "faces/Ann_Low/1.jpg"],
        {"no photographs here": [-2, None, None], UNPAIRED: [None, -5, 0], REST: [None, 0, -2]},
    ),
    "a person's recordings are gone": (
        [f"wav/id2/v{k}" for k in range(4)],
        {"no recordings here": [-1, None, None], UNPAIRED: [None, 0, -2], REST: [None, -5, 0]},
    ),
    "somebody is gone altogether": (
        ["wav/id3", "faces/Cy_Mute"],
        {"neither here": [-1, None, None], REST: [None, -5, -2]},
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_of_a_difference(complete, tmp_path, cause):
    gone, expected = CAUSES[cause]
    for k, path in enumerate(gone):
        (tmp_path / path).rename(tmp_path / f"gone{k}")
    table = voxceleb.expected_against_found(voxceleb.scan(**complete))
    check_sums(table)
    always = {"expected in full", "named in the metadata beyond those expected", "no photographs here", "found"}
    assert set(table.index) == always | set(expected)
    assert {label: numbers(table, label) for label in expected} == expected


def test_files_left_out_are_a_cause(complete, tmp_path):
    (tmp_path / "wav/id1/v0/00001.wav").rename(tmp_path / "wav/id1/v0/00001.aac")
    (tmp_path / "faces/Ann_Low/0.jpg").rename(tmp_path / "faces/Ann_Low/.0.jpg")
    table = voxceleb.expected_against_found(voxceleb.scan(**complete))
    check_sums(table)
    assert numbers(table, "left out: extension") == [None, -1, 0]
    assert numbers(table, "left out: hidden") == [None, 0, -1]
    assert numbers(table, "found") == [3, 14, 5]


def test_more_than_expected(complete, tmp_path):
    make_files(tmp_path, "faces/Di_Hid/0.jpg", "wav/id1/v9/00001.wav")
    table = voxceleb.expected_against_found(voxceleb.scan(**complete))
    check_sums(table)
    assert numbers(table, "found") == [4, 23, 7]
    assert numbers(table, REST) == [None, 8, 1]


def test_expected_against_found_adds_up_in_a_mess(places):
    table = voxceleb.expected_against_found(voxceleb.scan(**places))
    check_sums(table)
    assert numbers(table, "expected in full") == list(voxceleb.REFERENCE.values())
    assert numbers(table, "found") == [2, 5, 5]
    assert numbers(table, "named in the metadata beyond those expected")[0] == 4 - voxceleb.REFERENCE["n_identities"]


# ------------------------------------------------------------------------------------------- real sample


@pytest.fixture(scope="module")
def real():
    root = Path(os.environ.get("S2F_REAL", Path(__file__).resolve().parents[3] / "shared" / "real"))
    if not (root / "vox1_meta.csv").is_file():
        pytest.skip(f"no real sample at {root}: set S2F_REAL")
    return voxceleb.scan(**voxceleb.places(root, kind="voxceleb"))


def test_real_sample_counts(real):
    assert manifest.summary(real.manifest)["total"] == {"n_identities": 95, "n_recordings": 241, "n_faces": 241}
    assert real.rejected.empty
    voices, photos = (real.manifest[real.manifest["modality"] == m] for m in ("voice", "face"))
    assert photos["source_id"].notna().all()  # each photo is named after the clip it was taken from
    pairs = [sorted(zip(t["identity"], t["source_id"], strict=True)) for t in (voices, photos)]
    assert pairs[0] == pairs[1]


def test_real_sample_against_the_full_corpus(real):
    table = voxceleb.expected_against_found(real)
    check_sums(table)
    assert numbers(table, "expected in full") == [1225, 149_354, 139_572]
    assert numbers(table, "named in the metadata beyond those expected") == [26, None, None]
    assert numbers(table, "found") == [95, 241, 241]


def test_real_metadata_by_initial(real):
    split = splits.split(real.people, rule="by_initial")
    test = split[split["split"] == "test"]
    assert len(real.people) == 1251
    assert (len(test), (test["gender"] == "m").sum(), (test["gender"] == "f").sum()) == (193, 119, 74)


def test_real_sample_has_no_validation_or_test_names(real):
    with pytest.raises(CorpusError, match="leaves validation and test empty: train 95"):
        splits.split(real.manifest, rule="by_initial")
