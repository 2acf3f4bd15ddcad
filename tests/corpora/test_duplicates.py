import hashlib
import os

import pandas as pd
import pytest

from s2f.corpora import duplicates, rejections
from s2f.errors import CorpusError

LONG = bytes(range(256)) * 40  # 10 KiB: more than what is looked at of both ends
FILES = {  # identity, modality, split, content
    "ann/1.wav": ("Ann", "voice", "train", b"one"),
    "ann/2.wav": ("Ann", "voice", "train", b"one"),  # within one identity
    "ann/1.jpg": ("Ann", "face", "train", b"one"),  # of the other modality: no double of the recordings
    "bob/1.wav": ("Bob", "voice", "train", LONG),
    "cy/1.wav": ("Cy", "voice", "train", LONG),  # across identities
    "ann/3.jpg": ("Ann", "face", "train", b"leak"),
    "ann/4.jpg": ("Ann", "face", "train", b"leak"),
    "di/1.jpg": ("Di", "face", "test", b"leak"),  # across splits
    "bob/2.wav": ("Bob", "voice", "train", b"two"),  # the same size as others, and other content
    "cy/2.wav": ("Cy", "voice", "train", LONG[:5000] + b"?" + LONG[5001:]),  # other content in the middle
    "di/1.wav": ("Di", "voice", "test", b"last"),
}


@pytest.fixture
def corpus(tmp_path):
    rows = []
    for path, (identity, modality, split, content) in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
        rows.append((identity, modality, split, path))
    return pd.DataFrame(rows, columns=["identity", "modality", "split", "path"]), tmp_path


def find(table, root, **more):
    return duplicates.find(table, root, progress=False, **more)


def test_all_kinds(corpus):
    found = find(*corpus)
    assert list(found.columns) == list(duplicates.COLUMNS)
    assert found[["kind", "modality", "identity", "split", "path"]].values.tolist() == [
        ["across_splits", "face", "Ann", "train", "ann/3.jpg"],
        ["across_splits", "face", "Ann", "train", "ann/4.jpg"],
        ["across_splits", "face", "Di", "test", "di/1.jpg"],
        ["across_identities", "voice", "Bob", "train", "bob/1.wav"],
        ["across_identities", "voice", "Cy", "train", "cy/1.wav"],
        ["within_identity", "voice", "Ann", "train", "ann/1.wav"],
        ["within_identity", "voice", "Ann", "train", "ann/2.wav"],
    ]
    expected = [hashlib.sha256(FILES[path][3]).hexdigest() for path in found["path"]]
    assert found["content"].tolist() == expected


@pytest.mark.parametrize("split", [None, "all"])
def test_without_several_splits_nothing_lies_across_them(corpus, split):
    table, root = corpus
    found = find(table.assign(split=split), root)
    assert found.drop_duplicates("content").set_index("content")["kind"].value_counts().to_dict() == {
        "across_identities": 2,
        "within_identity": 1,
    }


def test_copies_stand_together(tmp_path):
    for k in range(8):
        (tmp_path / f"{k}.wav").write_bytes(b"ab"[k % 2 :][:1])
    table = pd.DataFrame(
        {"identity": "Ann", "modality": "voice", "split": "train", "path": [f"{k}.wav" for k in range(8)]}
    )
    found = find(table, tmp_path)
    assert found["content"].is_monotonic_increasing and found["content"].nunique() == 2
    assert found.groupby("content")["path"].apply(lambda paths: paths.is_monotonic_increasing).all()


@pytest.mark.parametrize("at", [0, 1, 4095, 4096, 5000, 5904, 10_239])
def test_one_other_byte_makes_another_file(corpus, at):
    table, root = corpus
    (root / "cy/1.wav").write_bytes(LONG[:at] + bytes([LONG[at] ^ 1]) + LONG[at + 1 :])
    assert "across_identities" not in set(find(table, root)["kind"])


@pytest.mark.parametrize("n_threads", [1, 2, 7])
def test_the_result_does_not_depend_on_threads_or_the_order_of_rows(corpus, n_threads):
    table, root = corpus
    shuffled = table.sample(frac=1, random_state=n_threads)
    pd.testing.assert_frame_equal(find(shuffled, root, n_threads=n_threads), find(table, root))


def test_only_files_with_a_possible_double_are_read(corpus, monkeypatch):
    read = []
    digest = duplicates._digest
    monkeypatch.setattr(duplicates, "_digest", lambda path: read.append(os.path.basename(path)) or digest(path))
    table, root = corpus
    voices = table[table["modality"] == "voice"]
    find(voices, root)
    # 2.wav of Cy differs from the two long ones only in what is not looked at before; bob/2.wav not at all.
    assert sorted(read) == ["1.wav", "1.wav", "1.wav", "2.wav", "2.wav"]


@pytest.mark.parametrize("gone", ["missing", "empty", "folder", "broken link"])
def test_files_that_cannot_be_read_are_no_doubles(corpus, gone):
    table, root = corpus
    for path in ("bob/1.wav", "cy/1.wav"):
        (root / path).unlink()
        if gone == "empty":
            (root / path).touch()
        elif gone == "folder":
            (root / path).mkdir()
        elif gone == "broken link":
            os.symlink("nowhere", root / path)
    found = find(table, root)
    assert set(found["kind"]) == {"across_splits", "within_identity"}


def test_a_link_is_a_double_and_so_is_an_absolute_path(corpus):
    table, root = corpus
    os.symlink(root / "di/1.wav", root / "link.wav")
    more = pd.DataFrame([("Bob", "voice", "train", str(root / "link.wav"))], columns=table.columns)
    found = find(pd.concat([table, more]), root)
    doubles = found[found["content"] == hashlib.sha256(b"last").hexdigest()]
    assert doubles[["kind", "path"]].values.tolist() == [
        ["across_splits", str(root / "link.wav")],
        ["across_splits", "di/1.wav"],
    ]


# ------------------------------------------------------------------------------------------------ settle


def settle(table, root, rule):
    report = root / "made" / "duplicates.csv"
    return duplicates.settle(table, find(table, root), rule=rule, report=report)


def test_a_leak_is_an_error_that_names_two_files_and_the_report(corpus):
    table, root = corpus
    with pytest.raises(CorpusError) as caught:
        settle(table, root, "error")
    assert caught.value.reason == "leak" and caught.value.subject.endswith("duplicates.csv")
    # of the three copies, two that lie in different splits
    assert "lists 1 contents that lie in two splits" in str(caught.value)
    assert "ann/3.jpg (Ann, train) and di/1.jpg (Di, test)" in str(caught.value)
    report = pd.read_csv(root / "made" / "duplicates.csv")
    pd.testing.assert_frame_equal(report, find(table, root))


def test_without_a_leak_one_copy_a_person_stays_and_the_report_is_written(corpus):
    table, root = corpus
    table = with_others(table[table["path"] != "di/1.jpg"], ("Ann", "Bob", "Cy", "Di"))
    kept, rejected = settle(table, root, "error")
    gone = {"ann/2.wav": "ann/1.wav", "ann/4.jpg": "ann/3.jpg"}
    pd.testing.assert_frame_equal(kept, table[~table["path"].isin(gone)].reset_index(drop=True))
    assert dict(zip(rejected["path"], rejected["detail"], strict=True)) == {
        copy: f"the same content as {first}" for copy, first in gone.items()
    }
    assert set(rejected["reason"]) == {"duplicate"} and list(rejected.columns) == list(rejections.COLUMNS)
    assert dict(zip(rejected["path"], rejected["modality"], strict=True)) == {"ann/2.wav": "voice", "ann/4.jpg": "face"}
    report = pd.read_csv(root / "made" / "duplicates.csv")
    assert report["kind"].value_counts().to_dict() == {"within_identity": 4, "across_identities": 2}


def with_others(table, names):
    """A recording and a photo more of each, which are not looked at."""
    splits = dict(zip(table["identity"], table["split"], strict=True))
    more = [(n, m, splits[n], f"{n}.{m}") for n in names for m in ("voice", "face")]
    return pd.concat([table, pd.DataFrame(more, columns=table.columns)], ignore_index=True)


def test_drop_leaves_out_all_copies_that_mix_people_or_splits(corpus):
    table, root = corpus
    table = with_others(table, ("Ann", "Bob", "Cy", "Di"))
    kept, rejected = settle(table, root, "drop")
    gone = ["ann/3.jpg", "ann/4.jpg", "di/1.jpg", "bob/1.wav", "cy/1.wav", "ann/2.wav"]
    assert rejected["path"].tolist() == gone
    pd.testing.assert_frame_equal(kept, table[~table["path"].isin(gone)].reset_index(drop=True))
    assert set(rejected["reason"]) == {"duplicate"}
    assert rejected["detail"].tolist() == [
        f"the same content as {other}"
        for other in ("ann/4.jpg", "di/1.jpg", "ann/3.jpg", "cy/1.wav", "bob/1.wav", "ann/1.wav")
    ]
    assert (root / "made" / "duplicates.csv").is_file()


def test_people_who_lose_all_of_one_kind_are_left_out_too(corpus):
    table, root = corpus
    table = with_others(table, ("Ann", "Bob", "Cy"))  # Di has no other photo
    with pytest.raises(CorpusError, match=r"duplicates\.csv lists copies without which split 'test' is empty"):
        settle(table, root, "drop")
    more = pd.DataFrame([("Ed", m, "test", f"ed/1.{m}") for m in ("voice", "face")], columns=corpus[0].columns)
    kept, rejected = settle(pd.concat([table, more]), root, "drop")
    assert "Di" not in set(kept["identity"]) and "Ann" in set(kept["identity"])
    last = rejected.iloc[-1]
    assert (last["identity"], last["reason"], last["modality"]) == ("Di", "without_face", "voice")


@pytest.mark.parametrize("rule", duplicates.RULES)
def test_without_doubles_nothing_changes(corpus, rule):
    table, root = corpus
    table = table[table["path"].str.contains("2.wav|di/1.wav")]
    table = with_others(table, sorted(set(table["identity"])))
    kept, rejected = settle(table, root, rule)
    pd.testing.assert_frame_equal(kept, table)
    assert rejected.empty
    report = pd.read_csv(root / "made" / "duplicates.csv")
    assert report.empty and list(report.columns) == list(duplicates.COLUMNS)


def test_an_unknown_rule(corpus):
    with pytest.raises(CorpusError, match=r"'dropp' for duplicates is unknown\. Did you mean 'drop'"):
        settle(*corpus, "dropp")
