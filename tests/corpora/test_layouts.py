"""What is said of a folder; the layouts themselves are tested with the scan that finds nothing in them."""

from s2f.corpora import layouts


def make(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def instead(root):
    return layouts.instead(str(root), modality="face", suffixes=(".jpg",), is_person=str.istitle)


def test_the_most_frequent_kind_is_shown(tmp_path):
    make(tmp_path, *(f"Ann/x/{i}.jpg" for i in range(3)), "Bob/1.txt", *(f"{i}.log" for i in range(9)))
    found, remedy = instead(tmp_path)
    assert found == "what is there: 3 files such as Ann/x/0.jpg" and "too deep" in remedy


def test_a_large_folder_is_looked_at_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr(layouts, "_SEEN", 4)
    make(tmp_path, *(f"Ann/x/{i}.jpg" for i in range(9)), "/".join("abcdefgh") + "/1.jpg")
    assert instead(tmp_path)[0] == "what is there: 4 files such as Ann/x/0.jpg"


def test_one_below(tmp_path):
    make(tmp_path, "b/1.jpg", "b/.hidden", "c.txt", ".git/x")
    assert layouts.one_below(str(tmp_path)) == "c.txt"
    assert layouts.one_below(str(tmp_path / "b")) == "1.jpg"
    assert layouts.one_below(str(tmp_path / "gone")) == ""
