import ast
import os
import re
from pathlib import Path

import pandas as pd
import pytest

import s2f
from s2f.corpora import manifest, rejections
from s2f.errors import ImageError, StoreError

SOURCE = Path(s2f.__file__).resolve().parent
PROGRAMMING = {"wrong_type", "value"}  # an argument that is wrong is an error in the code, not in a file


def raised(path, *errors):
    """Line and reasons of every call of these errors; of `a if b else c`, both."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in errors:
            given = [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
            words = [
                ends
                for value in given
                for ends in ([value.body, value.orelse] if isinstance(value, ast.IfExp) else [value])
            ]
            yield node.lineno, [getattr(word, "value", None) for word in words]


@pytest.mark.parametrize(
    ("name", "n_least"),
    [
        ("features/front_end.py", 5),
        ("features/sound_files.py", 11),
        ("features/containers.py", 5),
        ("features/decoding.py", 9),
        ("features/listening.py", 2),
        ("features/photo_files.py", 10),
        ("features/colours.py", 4),
        ("features/align.py", 5),
    ],
)
def test_reasons_of_reading_are_in_the_list(name, n_least):
    calls = list(raised(SOURCE / name, "AudioError", "ImageError"))
    assert len(calls) >= n_least  # the search finds them
    unknown = {line: words for line, words in calls if not words or set(words) - set(rejections.REASONS) - PROGRAMMING}
    assert not unknown, f"{name}: reasons missing or not in REASONS, by line: {unknown}"


def test_every_reason_can_occur():
    own = Path(rejections.__file__).resolve()
    text = "\n".join(p.read_text(encoding="utf-8") for p in sorted(SOURCE.rglob("*.py")) if p.resolve() != own)
    text = text.replace('f"without_{lacks}"', '"without_voice" "without_face"')
    assert [reason for reason in rejections.REASONS if f'"{reason}"' not in text] == []


def test_reasons_are_codes_and_meanings_are_words():
    for reason, meaning in rejections.REASONS.items():
        assert re.fullmatch(r"[a-z_]+", reason) and " " in meaning and not meaning.endswith(".")


def test_an_unknown_reason_is_an_error_in_the_code():
    with pytest.raises(ValueError, match=r"\['odd'\] are not in REASONS"):
        rejections.frame([("a.wav", "voice", "Ann", "empty", ""), ("b.wav", "voice", "Ann", "odd", "")])


@pytest.mark.parametrize("rows", [[], [("a.wav", "voice", None, "empty", "0 bytes")]])
def test_frame(rows):
    table = rejections.frame(iter(rows))
    assert list(table.columns) == list(rejections.COLUMNS)
    assert table.values.tolist() == [list(row) for row in rows]


def test_names_that_are_not_utf8_are_printable(tmp_path):
    name = os.fsdecode(b"caf\xe9\xff \xc3\xa9 \\x.wav")
    table = rejections.frame([(name, "voice", name, "file_name", name)])
    expected = r"caf\xe9\xff é \x.wav"
    assert table[["path", "identity", "detail"]].values.tolist() == [[expected] * 3]
    table.to_csv(tmp_path / "rejected.csv", index=False)
    table.to_parquet(tmp_path / "rejected.parquet")
    assert pd.read_csv(tmp_path / "rejected.csv")["path"].item() == expected
    assert rejections.printable("é 王 ok") == "é 王 ok"


def test_counts():
    rows = [("a", "voice", "Ann", "empty", ""), ("b", "voice", "Ann", "empty", ""), ("a", "face", None, "hidden", "")]
    counts = rejections.counts(rejections.frame(rows))
    assert counts["files"].to_dict() == {"voice, empty": 2, "face, hidden": 1}
    assert counts.loc["voice, empty", "meaning"] == rejections.REASONS["empty"]
    nothing = rejections.counts(rejections.frame([]))
    assert nothing.empty and list(nothing.columns) == ["files", "meaning"]


def test_people_without_a_partner_are_a_row_each():
    rows = [
        ("Ann", "voice", "a.wav"),
        ("Ann", "voice", "b.wav"),
        ("Bob", "face", "b.jpg"),
        ("Cy", "face", "c.jpg"),
        ("Cy", "voice", "c.wav"),
    ]
    _, dropped = manifest.intersect(pd.DataFrame(rows, columns=["identity", "modality", "path"]))
    assert rejections.of_people(dropped).values.tolist() == [
        ["", "voice", "Ann", "without_face", "2 files of Ann"],
        ["", "face", "Bob", "without_voice", "1 files of Bob"],
    ]


def test_why_a_file_is_left_out_and_whose_fault_is_raised():
    image = ImageError("a.png", "is cut off", remedy="Copy it again.", reason="truncated")
    assert rejections.why(image) == ("truncated", "is cut off")
    assert rejections.why(KeyError("tag")) == ("unexpected", "KeyError: 'tag'")
    for fault in (StoreError("store", "is full", remedy="Make room."), ImportError("no decoder"), MemoryError()):
        with pytest.raises(type(fault)) as caught:
            rejections.why(fault)
        assert caught.value is fault
