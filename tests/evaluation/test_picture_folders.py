"""Whose a picture is and of which clip, however a folder is laid out."""

from pathlib import Path

import pandas as pd
import pytest

from s2f.errors import CorpusError
from s2f.evaluation import picture_folders

PEOPLE = pd.DataFrame(
    [("id1", "Ann_A", "f", None), ("id2", "Ann_A_Bee", "f", None), ("id3", "Zoë_B", "f", None)],
    columns=["id", "identity", "gender", "nationality"],
)


def scan(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"picture")
    table, left_out = picture_folders.scan(folder, PEOPLE, what="generated")
    found = {row.path: (row.identity, row.clip, row.source_id) for row in table.itertuples()}
    return found, {path: reason for path, _, _, reason, _ in left_out}


def test_folders_of_people_and_deeper_ones(tmp_path):
    found, left_out = scan(tmp_path, "Ann_A/v_x_001.jpg", "id1/v_y/002.png", "zoe b/003.webp", "Carl/1.6/v1_004.bmp")
    assert found == {
        "Ann_A/v_x_001.jpg": ("Ann_A", "Ann_A/v_x_001", "v_x"),
        "id1/v_y/002.png": ("Ann_A", "Ann_A/v_y_002", "v_y"),
        "zoe b/003.webp": ("Zoë_B", "Zoë_B/003", None),
        "Carl/1.6/v1_004.bmp": ("Carl", "Carl/1.6_v1_004", "v1"),
    }
    assert not left_out


def test_pictures_in_no_folder_are_named_after_people(tmp_path):
    found, left_out = scan(
        tmp_path, "Ann_A.png", "Ann_A_v_001.png", "Ann_A_Bee_v_001.png", "id3_v2_7.png", "Nobody_v_1.png", "x.txt"
    )
    assert found == {
        "Ann_A.png": ("Ann_A", "Ann_A", None),
        "Ann_A_v_001.png": ("Ann_A", "Ann_A/v_001", "v"),
        "Ann_A_Bee_v_001.png": ("Ann_A_Bee", "Ann_A_Bee/v_001", "v"),
        "id3_v2_7.png": ("Zoë_B", "Zoë_B/v2_7", "v2"),
    }
    assert left_out == {"Nobody_v_1.png": "misplaced", "x.txt": "extension"}


@pytest.mark.parametrize(
    ("one", "other"), [("Ann_A/v_1.png", "Ann_A/v/1.jpg"), ("Ann_A/v_1.png", "Ann_A_v_1.png"), ("id1.png", "Ann_A.jpg")]
)
def test_two_pictures_of_one_clip_are_refused_in_whichever_layouts(tmp_path, one, other):
    with pytest.raises(CorpusError, match="which are of the same clip") as caught:
        scan(tmp_path, one, other)
    assert Path(one).name in str(caught.value) and Path(other).name in str(caught.value)


def test_names_that_are_not_valid_are_left_out_by_name(tmp_path):
    import os

    (tmp_path / "Ann_A").mkdir()
    with open(os.fsencode(tmp_path / "Ann_A") + b"/caf\xe9_1.png", "wb") as file:
        file.write(b"picture")
    found, left_out = scan(tmp_path, "Ann_A/v_1.png")
    assert list(found) == ["Ann_A/v_1.png"] and list(left_out.values()) == ["file_name"]


@pytest.mark.parametrize(
    "text",
    [
        "identity,gender\nAnn_Lee,f\nBob_Ray,m\n",
        "identity,gender\nAnn_Lee,f,\nBob_Ray,m,\n",  # a comma more, as some programs write
        "identity,gender,\nAnn_Lee,f,\n,,\nBob_Ray,m,\n",  # filled up by a spreadsheet
        '"identity","gender"\n"Ann_Lee","f"\n"Bob_Ray","m"\n',
        "identity;gender\nAnn_Lee;F\nBob_Ray;M\n",
        "sep=;\nidentity;gender\nAnn_Lee;f\nAnn_Lee;F\nBob_Ray;m\n",
    ],
)
def test_who_is_who_is_read_as_programs_write_it(tmp_path, text):
    (tmp_path / "people.csv").write_text(text)
    found = picture_folders.read_people(tmp_path / "people.csv")
    assert found.to_dict("list") == {
        "id": ["Ann_Lee", "Bob_Ray"],
        "identity": ["Ann_Lee", "Bob_Ray"],
        "gender": ["f", "m"],
        "nationality": [None, None],
    }
