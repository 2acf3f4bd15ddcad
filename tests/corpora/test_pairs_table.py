import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from s2f.corpora import manifest, pairs_table, splits
from s2f.errors import CorpusError

POINTS = [10.0, 20.0, 30.0, 20.0, 20.5, 30.0, 12.0, 40.0, 28.0, 4e1]
TEXT = " ".join(map(str, POINTS))
PLAIN = {"identity": "Ann", "recording": "a.wav", "face": "a.jpg"}


def write(folder, rows, *, kind="csv", name="pairs"):
    """Rows of dicts as a table, empty where a row lacks a column that another has."""
    path = folder / f"{name}.{kind}"
    table = pd.DataFrame(rows)
    if kind == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")
    return path


def reasons(rejected, root):
    short = [os.path.relpath(path, root) if os.path.isabs(path) else path for path in rejected["path"]]
    return [(path, r.modality, r.identity, r.reason) for path, r in zip(short, rejected.itertuples(), strict=True)]


# ------------------------------------------------------------------------------------------------ columns


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
def test_every_column(tmp_path, kind):
    full = {"gender": "f", "nationality": "Perú, north", "source_id": "v1", "landmarks": TEXT, "split": "train"}
    rows = [{**PLAIN, **full}, {"identity": "Bob", "recording": "b.wav", "face": "b.jpg", "split": "test"}]
    found, rejected, ignored = pairs_table.scan(write(tmp_path, rows, kind=kind))
    assert found.drop(columns="path").values.tolist() == [
        ["Ann", "f", "Perú, north", "voice", "v1", None, "train", 0],
        ["Ann", "f", "Perú, north", "face", "v1", POINTS, "train", 0],
        ["Bob", None, None, "voice", None, None, "test", 0],
        ["Bob", None, None, "face", None, None, "test", 0],
    ]
    assert found["path"].tolist() == [str(tmp_path / p) for p in ("a.wav", "a.jpg", "b.wav", "b.jpg")]
    assert rejected.empty and ignored == []
    pd.testing.assert_frame_equal(manifest.validate(found), found)


def test_a_name_is_one_person_however_its_accents_are_coded(tmp_path):
    rows = [{"identity": "Jos\u00e9", "recording": "a.wav"}, {"identity": "Jose\u0301", "face": "a.jpg"}]
    found, _, _ = pairs_table.scan(write(tmp_path, rows))
    assert found["identity"].tolist() == ["Jos\u00e9", "Jos\u00e9"]


@pytest.mark.parametrize(
    ("column", "code", "value"),
    [
        ("gender", code, value)
        for value, codes in {
            "f": ["f", "F", " female ", "Woman"],
            "m": ["m", "M", "MALE", "man"],
            None: ["", "unknown"],
        }.items()
        for code in codes
    ]
    + [
        ("split", code, value)
        for value, codes in {
            "train": ["train", "Training "],
            "validation": ["validation", "val", "VALID", "dev"],
            "test": ["Test"],
            None: [""],
        }.items()
        for code in codes
    ],
)
def test_spellings_of_codes(tmp_path, column, code, value):
    found, _, _ = pairs_table.scan(write(tmp_path, [{**PLAIN, column: code}]))
    assert found[column].tolist() == [value, value]


LANDMARKS = {
    "spaces": TEXT,
    "commas": ", ".join(map(str, POINTS)),
    "semicolons": ";".join(map(str, POINTS)),
    "JSON": json.dumps(POINTS),
    "JSON of points": json.dumps(np.reshape(POINTS, (5, 2)).tolist()),
    "printed array": str(np.reshape(POINTS, (5, 2))),
    "decimal commas": " ".join(map(str, POINTS)).replace(".", ","),
    "list": POINTS,
    "list of points": np.reshape(POINTS, (5, 2)).tolist(),
}


@pytest.mark.parametrize("form", LANDMARKS)
@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
def test_forms_of_landmarks(tmp_path, form, kind):
    rows = [{**PLAIN, "landmarks": LANDMARKS[form]}, {"identity": "Bob", "recording": "b.wav", "face": "b.jpg"}]
    found, rejected, _ = pairs_table.scan(write(tmp_path, rows, kind=kind))
    assert rejected.empty
    assert found["landmarks"].tolist() == [None, POINTS, None, None]


def test_parquet_of_other_types(tmp_path):
    table = pd.DataFrame(
        {
            "identity": [7, 8],
            "recording": pd.Categorical(["a.wav", "b.wav"]),
            "face": pd.array(["a.jpg", None], dtype="string"),
            "gender": pd.Categorical(["f", None]),
            "source_id": [1.5, np.nan],
        }
    )
    table.to_parquet(tmp_path / "pairs.parquet")
    found, rejected, _ = pairs_table.scan(tmp_path / "pairs.parquet")
    assert found[["identity", "gender", "source_id"]].values.tolist() == [["7", "f", "1.5"]] * 2
    assert reasons(rejected, tmp_path) == [("b.wav", "voice", "8", "without_face")]


def test_whole_numbers_of_parquet_stay_whole_and_bytes_are_text(tmp_path):
    numbers = [12345678901234567, 12345678901234568, None]  # as floats they would be one
    columns = {
        "identity": pa.array(numbers),
        "recording": pa.array([b"a.wav", b" b.wav", b"c.wav"]),
        "face": pa.array(["a.jpg", "b.jpg", "c.jpg"]),
        "source_id": pa.array([7, None, None]),
    }
    pq.write_table(pa.table(columns), tmp_path / "pairs.parquet")
    found, rejected, _ = pairs_table.scan(tmp_path / "pairs.parquet")
    assert found["identity"].unique().tolist() == [str(number) for number in numbers[:2]]
    assert found["source_id"].tolist() == ["7", "7", None, None]
    assert set(rejected["reason"]) == {"no_identity"}
    assert [os.path.relpath(path, tmp_path) for path in found["path"]] == ["a.wav", "a.jpg", "b.wav", "b.jpg"]
    pq.write_table(pa.table(columns | {"face": pa.array([b"\xff"] * 3)}), tmp_path / "pairs.parquet")
    with pytest.raises(CorpusError, match=r"cannot be read as a table .*utf-8"):
        pairs_table.scan(tmp_path / "pairs.parquet")


def test_a_column_that_pandas_made_the_index_is_a_column(tmp_path):
    rows = [{**PLAIN}, {"identity": "Bob", "recording": "b.wav", "face": "b.jpg"}]
    pd.DataFrame(rows).set_index("identity").to_parquet(tmp_path / "pairs.parquet")
    found, _, _ = pairs_table.scan(tmp_path / "pairs.parquet")
    assert found["identity"].unique().tolist() == ["Ann", "Bob"]
    pd.DataFrame(rows).set_index(pd.Index([5, 3])).to_parquet(tmp_path / "pairs.parquet")  # numbers of rows
    assert pairs_table.scan(tmp_path / "pairs.parquet")[0].equals(found)


# ------------------------------------------------------------------------------------------------ rows


def test_a_file_may_be_in_several_rows_and_a_row_may_lack_one(tmp_path):
    rows = [
        {"identity": "Ann", "recording": "1.wav", "face": "1.jpg", "gender": ""},
        {"identity": "Ann", "recording": "1.wav", "face": "2.jpg", "gender": "f"},
        {"identity": "Ann", "recording": "./2.wav", "face": "", "gender": ""},
        {"identity": "Bob", "recording": "", "face": "3.jpg", "gender": ""},
        {"identity": "Bob", "recording": "sub/../3.wav", "face": "", "gender": ""},
    ]
    found, rejected, _ = pairs_table.scan(write(tmp_path, rows))
    short = [(r.identity, r.gender, os.path.relpath(r.path, tmp_path)) for r in found.itertuples()]
    assert short == [
        ("Ann", "f", "1.wav"),
        ("Ann", "f", "2.wav"),
        ("Ann", "f", "1.jpg"),
        ("Ann", "f", "2.jpg"),
        ("Bob", None, "3.wav"),
        ("Bob", None, "3.jpg"),
    ]
    assert rejected.empty


def test_what_one_row_says_of_a_file_holds_in_all(tmp_path):
    rows = [
        {"identity": "Ann", "recording": "1.wav", "face": "1.jpg", "source_id": "", "landmarks": TEXT},
        {"identity": "Ann", "recording": "2.wav", "face": "1.jpg", "source_id": "v1", "landmarks": ""},
    ]
    found, rejected, _ = pairs_table.scan(write(tmp_path, rows))
    assert found[["path", "source_id", "landmarks"]].values.tolist() == [
        [str(tmp_path / "1.wav"), None, None],
        [str(tmp_path / "2.wav"), "v1", None],
        [str(tmp_path / "1.jpg"), "v1", POINTS],
    ]
    assert rejected.empty


GOOD = {"identity": "Zoe", "recording": "z.wav", "face": "z.jpg"}
BOTH = [("a.wav", "voice", "Ann"), ("a.jpg", "face", "Ann")]
REJECTED = {
    "no identity": ([{**PLAIN, "identity": " "}], [(p, m, None, "no_identity") for p, m, _ in BOTH], ""),
    "names nothing": ([{"identity": "Ann"}], [("row 2", "voice", "Ann", "missing")], "names neither"),
    "says a gender": ([{"gender": "f"}], [("row 2", "voice", None, "no_identity")], "no identity"),
    "gender": ([{**PLAIN, "gender": "x"}], [(*who, "gender") for who in BOTH], "gender 'x' is not one of unknown, f,"),
    "gender of a recording": (
        [{"identity": "Ann", "recording": "a.wav", "gender": "x"}, {**PLAIN, "recording": "b.wav"}],
        [("a.wav", "voice", "Ann", "gender")],
        "gender 'x'",
    ),
    "repeated": ([PLAIN, PLAIN], [("a.wav", "voice", "Ann", "duplicate_row")], "row 3 says what an earlier one says"),
    "repeated photograph": (
        [PLAIN, {**PLAIN, "recording": ""}, {**PLAIN, "recording": ""}],
        [("a.jpg", "face", "Ann", "duplicate_row")],
        "row 4 says",
    ),
    "without face": ([{**PLAIN, "face": ""}], [("a.wav", "voice", "Ann", "without_face")], "no face of Ann"),
    "without voice": ([{**PLAIN, "recording": ""}], [("a.jpg", "face", "Ann", "without_voice")], "no voice of Ann"),
    "climbs out": (
        [{**PLAIN, "face": "x/../../a.jpg"}, PLAIN],
        [("../a.jpg", "face", "Ann", "outside_root")],
        "'x/../../a.jpg' leaves the table's folder; give an absolute path",
    ),
    "is the folder above": ([{**PLAIN, "face": ".."}, PLAIN], [("..", "face", "Ann", "outside_root")], "'..' leaves"),
} | {
    f"landmarks {text!r}": (
        [{**PLAIN, "landmarks": text}, {**PLAIN, "face": "b.jpg", "landmarks": TEXT}],
        [("a.jpg", "face", "Ann", "landmarks")],
        f"'{text}' is not ten finite numbers",
    )
    for text in ("eyes", "1 2 3", TEXT + " 9", TEXT.replace("10.0", "nan"), TEXT.replace("10.0", "inf"), "[]")
}


@pytest.mark.parametrize("case", REJECTED)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_rows_that_cannot_be_used(tmp_path, case, kind):
    rows, expected, detail = REJECTED[case]
    if kind == "csv":  # below its header
        expected = [(path.replace("row 2", "line 3"), *rest) for path, *rest in expected]
        detail = detail.replace("row 3", "line 4").replace("row 4", "line 5")
    found, rejected, _ = pairs_table.scan(write(tmp_path, [GOOD, *rows], kind=kind))
    assert reasons(rejected, tmp_path) == expected
    assert all(detail in text for text in rejected["detail"])
    assert "Zoe" in set(found["identity"])
    gone = {path for path, *_, reason in expected if reason != "duplicate_row"}
    assert not gone & {os.path.relpath(path, tmp_path) for path in found["path"]}


@pytest.mark.parametrize("split", ["holdout", "all", ""])
def test_an_unknown_or_missing_split_where_others_have_one(tmp_path, split):
    rows = [{**GOOD, "split": "train"}, {**PLAIN, "split": split}]
    found, rejected, _ = pairs_table.scan(write(tmp_path, rows))
    assert set(found["identity"]) == {"Zoe"}
    assert reasons(rejected, tmp_path) == [(*who, "split") for who in BOTH]
    assert set(rejected["detail"]) == {f"split '{split}' is not one of train, validation, test"}


def test_names_with_a_zero_byte(tmp_path):
    _, rejected, _ = pairs_table.scan(write(tmp_path, [{**PLAIN, "face": "a\0.jpg"}, PLAIN], kind="parquet"))
    assert reasons(rejected, tmp_path) == [("a\0.jpg", "face", "Ann", "file_name")]


def test_absolute_paths_may_lead_anywhere(tmp_path):
    away = tmp_path / "elsewhere" / "a.wav"
    (tmp_path / "tables").mkdir()
    rows = [{**PLAIN, "recording": str(away)}, {**PLAIN, "recording": f"{tmp_path}/tables/../b.wav"}]
    found, rejected, _ = pairs_table.scan(write(tmp_path / "tables", rows))
    assert found["path"].tolist() == [str(tmp_path / "b.wav"), str(away), str(tmp_path / "tables" / "a.jpg")]
    assert rejected.empty


def test_paths_start_at_the_table_and_not_at_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", [PLAIN])
    monkeypatch.chdir(tmp_path)
    found, _, _ = pairs_table.scan("sub/pairs.csv")
    assert found["path"].tolist() == [str(tmp_path / "sub" / "a.wav"), str(tmp_path / "sub" / "a.jpg")]


# ------------------------------------------------------------------------------------------------ contradictions

OTHER = {"identity": "Ann", "recording": "2.wav", "face": "2.jpg"}
ALL_OF_ANN = {"a.wav", "a.jpg", "2.wav", "2.jpg"}
CONTRADICTIONS = {
    "gender": ([{**PLAIN, "gender": "f"}, {**OTHER, "gender": "male"}], ALL_OF_ANN, "identity more than one gender"),
    "nationality": (
        [{**PLAIN, "nationality": "Peru"}, {**OTHER, "nationality": "Chile"}],
        ALL_OF_ANN,
        "identity more than one nationality",
    ),
    "gender in a third row": (
        [{**PLAIN, "gender": "f"}, {**OTHER, "gender": ""}, {**PLAIN, "gender": "m"}],
        ALL_OF_ANN,
        "identity more than one gender",
    ),
    "owner of a photograph": (
        [PLAIN, OTHER, {**PLAIN, "identity": "Bob", "recording": "b.wav"}, {"identity": "Bob", "face": "b.jpg"}],
        {"a.jpg"},
        "file to more than one identity",
    ),
    "source": (
        [{**PLAIN, "source_id": "v1"}, {**PLAIN, "face": "2.jpg", "source_id": "v2"}, OTHER],
        {"a.wav"},
        "file more than one source_id",
    ),
    "landmarks": (
        [{**PLAIN, "landmarks": TEXT}, {**PLAIN, "landmarks": TEXT.replace("10.0", "11")}, OTHER],
        {"a.jpg"},
        "file more than one landmarks",
    ),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_contradictions_are_left_out_whole(tmp_path, case):
    rows, gone, why = CONTRADICTIONS[case]
    found, rejected, _ = pairs_table.scan(write(tmp_path, [*rows, GOOD]))
    assert set(rejected["reason"]) == {"contradiction"}
    assert {os.path.relpath(path, tmp_path) for path in rejected["path"]} == gone
    assert all(text == f"the table gives this {why}" for text in rejected["detail"])
    listed = {row[column] for row in [*rows, GOOD] for column in ("recording", "face") if row.get(column)}
    assert {os.path.relpath(path, tmp_path) for path in found["path"]} == listed - gone


# ------------------------------------------------------------------------------------------------ formats


def scan_of_files(folder, rows):
    """Scan a table whose files are there."""
    for row in rows:
        for column in ("recording", "face"):
            if row.get(column):
                place = folder / row[column]
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(b"x")
    return pairs_table.scan(write(folder, rows))


@pytest.mark.parametrize(
    ("first", "second", "used"),
    [
        ({"recording": "a.m4a"}, {"recording": "a.wav"}, "a.wav"),
        ({"recording": "a.wav"}, {"recording": "a.WAV"}, "a.wav"),
        ({"recording": "A.wav"}, {"recording": "a.mp3"}, "A.wav"),
        ({"recording": "a.ogg"}, {"recording": "a.mp3"}, "a.ogg"),
        ({"recording": "wav/v1/1.wav"}, {"recording": "m4a/v1/1.m4a"}, "wav/v1/1.wav"),
        ({"recording": "x/v1/1.wav"}, {"recording": "y/v1/1.m4a"}, "x/v1/1.wav"),
        ({"recording": "a.m4a"}, {"recording": "wav/a.wav"}, "wav/a.wav"),
        ({"recording": "x/1.wav", "source_id": "s"}, {"recording": "y/1.m4a", "source_id": "s"}, "x/1.wav"),
        ({"recording": "x/1.wav", "source_id": "s"}, {"recording": "x/1.m4a"}, "x/1.wav"),
        ({"face": "a.jpeg"}, {"face": "a.png"}, "a.png"),
        ({"face": "jpg/1.jpg"}, {"face": "png/1.png"}, "png/1.png"),
        ({"face": "b.jpg", "landmarks": TEXT}, {"face": "b.png"}, "b.jpg"),
    ],
)
def test_a_file_listed_in_two_formats_is_used_once(tmp_path, first, second, used):
    rows = [{"identity": "Ann", "recording": "z/9.wav", "face": "z/9.jpg"}]
    rows += [{"identity": "Ann", **row} for row in (first, second)]
    found, rejected, _ = scan_of_files(tmp_path, rows)
    named = {row[column] for row in (first, second) for column in ("recording", "face") if column in row}
    (left,) = named - {used}
    modality = "voice" if "recording" in first else "face"
    assert reasons(rejected, tmp_path) == [(left, modality, "Ann", "same_clip")]
    assert rejected["detail"].item() == f"{tmp_path / used} is used"
    assert {os.path.relpath(p, tmp_path) for p in found["path"]} == {"z/9.wav", "z/9.jpg", used}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"recording": "s1/1.wav"}, {"recording": "s2/1.m4a"}),
        ({"recording": "x/s1/1.wav"}, {"recording": "y/s1/1.wav"}),
        ({"recording": "x/1.wav", "source_id": "s"}, {"recording": "y/1.m4a", "source_id": "t"}),
        ({"recording": "a.wav"}, {"identity": "Bob", "recording": "a.m4a"}),
        ({"face": "x/1.jpg"}, {"face": "y/1.png"}),
        ({"recording": "A.wav"}, {"recording": "a.wav"}),
    ],
)
def test_names_alike_are_not_enough_to_be_one_file(tmp_path, first, second):
    rows = [{"identity": who, "recording": f"{who}/9.wav", "face": f"{who}/9.jpg"} for who in ("Ann", "Bob")]
    found, rejected, _ = scan_of_files(tmp_path, [*rows, {"identity": "Ann", **first}, {"identity": "Ann"} | second])
    assert rejected.empty and len(found) == 6


def test_two_splits_of_one_identity_are_a_contradiction(tmp_path):
    rows = [{**PLAIN, "split": "train"}, {**OTHER, "split": "dev"}, {**GOOD, "split": "test"}]
    found, rejected, _ = pairs_table.scan(write(tmp_path, rows))
    assert set(rejected["detail"]) == {"the table gives this identity more than one split"}
    assert set(found["identity"]) == {"Zoe"}


@pytest.mark.parametrize("same", [" ".join(f"{n:.3f}" for n in POINTS), json.dumps(POINTS)])
def test_the_same_landmarks_written_otherwise_are_no_contradiction(tmp_path, same):
    _, rejected, _ = pairs_table.scan(write(tmp_path, [{**PLAIN, "landmarks": TEXT}, {**PLAIN, "landmarks": same}]))
    assert rejected.empty


# ------------------------------------------------------------------------------------------------ tables


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.csv", None, "does not exist"),
        ("pairs.xlsx", b"PK", "ends in '.xlsx'. Save it as one of .csv, .tsv, .txt, .parquet"),
        ("empty.csv", b"", "is empty"),
        ("text.csv", b"PK\3\4", "is a spreadsheet program's own file"),
        ("quoted.csv", b'"identity,recording,face"\n"Ann,a.wav,a.jpg"\n', "Take away the quotes around each line"),
        ("open.csv", b'identity,recording,face\nAnn,"a.wav,a.jpg\nBob,b.wav,b.jpg\n', "Look at its quotes"),
        ("bare.csv", b"Ann,a.wav,a.jpg\n", "Its first line must name the columns identity, recording, face"),
        ("zero.csv", b"identity,recording,face\nAnn,a\0.wav,a.jpg\n", "line 2 holds a zero byte"),
        ("drive.csv", b"identity,recording,face\nAnn,C:\\a.wav,a.jpg\n", "left out: {'missing': 1}"),
        ("header.csv", b"identity,recording,face\n", "has no rows"),
        ("latin.csv", "identity,recording,face\nRenée,a.wav,a.jpg\n".encode("latin-1"), "line 2 is not in UTF-8"),
        ("text.parquet", b"identity,recording,face\n", "cannot be read as a table"),
        ("long.csv", b"identity,recording,face\nAnn,a,b.wav,a.jpg\n", "has 4 cells in line 2, and 3 in its header"),
        ("missing.csv", b"identity,voice,face\nAnn,a.wav,a.jpg\n", "has no column 'recording', only"),
        ("twice.csv", b"identity,recording,face,face\nAnn,a.wav,a.jpg,b.jpg\n", "has two columns 'face'"),
        ("case.csv", b"identity,recording,face,Face\nAnn,a.wav,a.jpg,b.jpg\n", "has two columns 'face'"),
        ("gendr.csv", b"identity,recording,face,gendr\nAnn,a.wav,a.jpg,f\n", "'gendr', which is unknown. Did you mean"),
        ("land.csv", b"identity,recording,face,Landmark\nAnn,a.wav,a.jpg,\n", "Did you mean 'landmarks'"),
        ("src.csv", b"identity,recording,face,source\nAnn,a.wav,a.jpg,\n", "Did you mean 'source_id'"),
        ("one.csv", b"identity,recording,face\nAnn,a.wav,\nBob,,b.jpg\n", "(1 have a recording, 1 a photograph"),
        ("bad.csv", b"identity,recording,face\nAnn,../a.wav,a.jpg\n", "left out: {'outside_root': 1}"),
        ("none.csv", b"identity,recording,face\n,a.wav,a.jpg\n", "left out: {'no_identity': 2}"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError) as caught:
        pairs_table.scan(tmp_path / name)
    assert message in str(caught.value) and caught.value.subject == str(tmp_path / name)


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(CorpusError, match="is a folder"):
        pairs_table.scan(tmp_path)


@pytest.mark.parametrize("column", ["duration", "face_id", "voice_id", "language", "age", "Name", "country"])
def test_other_columns_are_ignored_and_named(tmp_path, column):
    found, rejected, ignored = pairs_table.scan(write(tmp_path, [{**PLAIN, column: "7"}]))
    assert ignored == [column.lower()]
    assert len(found) == 2 and rejected.empty


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffidentity,recording,face\r\nAnn,a.wav,a.jpg\r\n",
        " Identity , RECORDING,face \n Ann , a.wav ,a.jpg\n\n",
        'face,extra,identity,"recording"\na.jpg,,Ann,"a.wav"',
        "identity;recording;face\nAnn;a.wav;a.jpg\n",
        "sep=;\r\nidentity;recording;face\r\nAnn;a.wav;a.jpg\r\n",
        "SEP=,\nidentity,recording,face\nAnn,a.wav,a.jpg\n",
        "identity\trecording\tface\nAnn\ta.wav\ta.jpg\n",
        "identity|recording|face\rAnn|a.wav|a.jpg\r",
        "# made by hand, today\n# again\nidentity,recording,face\nAnn,a.wav,a.jpg\n# the end\n# of, all, this, list\n",
        "# identity,recording,face\nAnn,a.wav,a.jpg\n",
        "identity,recording,face,,\nAnn,a.wav,a.jpg,,\n,,,,\n",
        "identity,recording,face\nAnn,a.wav,a.jpg,,\n,,\n,,\n",
        ",,,\nMy pairs,,,\n,identity,recording,face\n,Ann,a.wav,a.jpg\n",
        '"identity\n","recording ",face\n"Ann","a.wav\n",a.jpg\n',
        "identity,recording\u00a0,face\nAnn,\u200ba.wav,a.jpg\n",
        "identity,recording,face\nAnn,.\\a.wav,sub\\..\\a.jpg\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("name", ["pairs.csv", "pairs.tsv", "pairs.txt"])
def test_forms_of_the_same_table(tmp_path, text, encoding, name):
    (tmp_path / name).write_text(text, encoding=encoding, newline="")
    found, rejected, _ = pairs_table.scan(tmp_path / name)
    assert found[["identity", "path"]].values.tolist() == [["Ann", str(tmp_path / p)] for p in ("a.wav", "a.jpg")]
    assert rejected.empty


def test_columns_without_a_name_are_ignored_and_named(tmp_path):
    (tmp_path / "pairs.csv").write_text(",identity,recording,face,\n0,Ann,a.wav,a.jpg,x\n1,Ann,b.wav,,\n")
    found, _, ignored = pairs_table.scan(tmp_path / "pairs.csv")
    assert ignored == ["column 1, which has no name", "column 5, which has no name"] and len(found) == 3


def test_a_row_that_begins_like_a_remark_is_left_out_and_named(tmp_path):
    (tmp_path / "pairs.csv").write_text("identity,recording,face\nAnn,a.wav,a.jpg\n#Bob,b.wav,b.jpg\n")
    found, rejected, _ = pairs_table.scan(tmp_path / "pairs.csv")
    assert set(found["identity"]) == {"Ann"}
    assert reasons(rejected, tmp_path) == [
        (f"b.{kind}", m, "#Bob", "remark") for kind, m in (("wav", "voice"), ("jpg", "face"))
    ]
    assert set(rejected["detail"]) == {"line 3 begins with #, as remarks do"}
    table = pd.DataFrame([{"identity": "#Bob", "recording": "b.wav", "face": "b.jpg"}])  # without lines
    table.to_parquet(tmp_path / "pairs.parquet")
    assert set(pairs_table.scan(tmp_path / "pairs.parquet")[0]["identity"]) == {"#Bob"}


@pytest.mark.parametrize("there", ["NFC", "NFD"])
@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_files_are_found_however_the_accents_of_their_names_are_coded(tmp_path, there, written):
    names = {form: unicodedata.normalize(form, "José/é.wav") for form in ("NFC", "NFD")}
    (tmp_path / names[there]).parent.mkdir()
    (tmp_path / names[there]).write_bytes(b"x")
    found, _, _ = pairs_table.scan(write(tmp_path, [{**PLAIN, "recording": names[written]}]))
    assert found["path"].iloc[0] == str(tmp_path / names[there])


def test_a_backslash_may_be_part_of_a_name(tmp_path):
    (tmp_path / "a\\b.wav").write_bytes(b"x")
    found, _, _ = pairs_table.scan(write(tmp_path, [{**PLAIN, "recording": "a\\b.wav"}]))
    assert found["path"].iloc[0] == str(tmp_path / "a\\b.wav")


@pytest.mark.parametrize(
    ("name", "reason", "detail"),
    [
        ("https://example.org/a.wav", "missing", "is an address: download it"),
        ("s3://bucket/a.wav", "missing", "is an address"),
        ("C:\\x\\a.wav", "missing", "is a path on Windows"),
        ("d:/x/a.wav", "missing", "is a path on Windows"),
        ("\\\\server\\x\\a.wav", "missing", "is a path on Windows"),
        ("..\\a.wav", "outside_root", "leaves the table's folder"),
    ],
)
def test_paths_that_lead_nowhere_here_are_named(tmp_path, name, reason, detail):
    found, rejected, _ = pairs_table.scan(write(tmp_path, [{**PLAIN, "recording": name}, GOOD, {**PLAIN}]))
    assert rejected["reason"].tolist() == [reason] and detail in rejected["detail"].item()
    assert reason == "outside_root" or rejected["path"].item() == name
    assert len(found) == 4


def test_an_address_of_this_machine_is_a_path(tmp_path):
    found, _, _ = pairs_table.scan(write(tmp_path, [{**PLAIN, "recording": f"file://{tmp_path}/my%20voice.wav"}]))
    assert found["path"].iloc[0] == str(tmp_path / "my voice.wav")


@pytest.mark.parametrize("value", ["NA", "null", "None", "0042"])
def test_texts_are_taken_as_they_are(tmp_path, value):
    rows = [{"identity": value, "recording": f"{value}.wav", "face": value, "nationality": value}]
    found, _, _ = pairs_table.scan(write(tmp_path, rows))
    assert found["identity"].tolist() == [value] * 2 and found["nationality"].tolist() == [value] * 2
    assert found["path"].tolist() == [str(tmp_path / f"{value}.wav"), str(tmp_path / value)]


# ------------------------------------------------------------------------------------------------ end to end


def test_splits_of_the_table_reach_the_manifest(tmp_path):
    codes = ["training", "train", "val", "Test"]
    rows = [{"identity": f"p{i}", "recording": f"{i}.wav", "face": f"{i}.jpg", "split": c} for i, c in enumerate(codes)]
    found, _, _ = pairs_table.scan(write(tmp_path, rows))
    table = splits.set_folds(splits.split(found, rule="given"), fraction=0.5, seed=0)
    assert table.drop_duplicates("identity")["split"].tolist() == ["train", "train", "validation", "test"]
    manifest.write(table, tmp_path / "manifest.parquet")
    pd.testing.assert_frame_equal(manifest.read(tmp_path / "manifest.parquet"), table)


def test_real_table():
    path = Path(os.environ.get("S2F_REAL", Path(__file__).resolve().parents[3] / "shared" / "real"))
    path = path / "avspeech" / "pairs.csv"
    if not path.is_file():
        pytest.skip(f"no real table at {path}: set S2F_REAL")
    found, rejected, ignored = pairs_table.scan(path)
    assert manifest.summary(found)["total"] == {"n_identities": 200, "n_recordings": 200, "n_faces": 200}
    assert rejected.empty and ignored == []
    assert all(os.path.isfile(p) for p in found["path"])
