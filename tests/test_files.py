"""Files and folders appear whole or not at all."""

import errno
import json
import os

import pytest

from s2f import files


def _tree(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def _other_file_system(monkeypatch):
    """Folders cannot be renamed, as between two file systems."""

    def rename(source, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link", str(source), None, str(target))

    monkeypatch.setattr(os, "rename", rename)


def test_a_file_is_replaced_only_as_a_whole(tmp_path):
    path = tmp_path / "new" / "a.txt"
    files.write_text(path, "first")
    with pytest.raises(KeyError), files.whole(path) as beside:
        beside.write_text("half")
        raise KeyError
    assert _tree(tmp_path) == {"new/a.txt": "first"}
    files.write_text(path, "second")
    assert _tree(tmp_path) == {"new/a.txt": "second"}


def test_json_has_neither_nan_nor_infinity(tmp_path):
    files.write_json(tmp_path / "a.json", {"é": [1, None]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"é": [1, None]}
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "a.json", float("nan"))
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"é": [1, None]}


@pytest.mark.parametrize("across", [False, True])
def test_a_folder_is_replaced_with_all_that_was_in_it(tmp_path, monkeypatch, across):
    if across:
        _other_file_system(monkeypatch)
    path = tmp_path / "far" / "pages"
    for text in ("first", "second"):
        with files.whole_folder(path) as beside:
            assert beside.parent.parent == path.parent and not list(beside.iterdir())
            (beside / "in").mkdir()
            (beside / "in" / text).write_text(text)
            (beside / "link").symlink_to("in")
        assert _tree(path) == {f"in/{text}": text}
        assert os.readlink(path / "link") == "in"
    assert os.listdir(path.parent) == ["pages"]
    (tmp_path / "made").mkdir()
    assert path.stat().st_mode == (tmp_path / "made").stat().st_mode  # whoever may read its neighbours may read it


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_fails_leaves_what_was_there(tmp_path, error, there):
    path = tmp_path / "pages"
    if there:
        path.mkdir()
        (path / "old").write_text("old")
    with pytest.raises(error), files.whole_folder(path) as beside:
        (beside / "new").write_text("half")
        raise error
    assert _tree(tmp_path) == ({"pages/old": "old"} if there else {})
    assert os.listdir(tmp_path) == (["pages"] if there else [])


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EXDEV])
def test_a_folder_that_cannot_be_placed_leaves_what_was_there(tmp_path, monkeypatch, error):
    path = tmp_path / "pages"
    path.mkdir()
    (path / "old").write_text("old")
    rename = os.rename

    def failing(source, target):
        if source.name == "new":
            raise OSError(error, "no")
        rename(source, target)

    def full(source, target, **_):
        target.mkdir()
        raise OSError(errno.ENOSPC, "no")

    monkeypatch.setattr(os, "rename", failing)
    monkeypatch.setattr(files.shutil, "copytree", full)
    with pytest.raises(OSError, match="no"), files.whole_folder(path) as beside:
        (beside / "new").write_text("new")
    assert _tree(tmp_path) == {"pages/old": "old"} and os.listdir(tmp_path) == ["pages"]


def test_a_folder_that_another_process_made_meanwhile_stays(tmp_path, monkeypatch):
    path, rename = tmp_path / "pages", os.rename

    def beaten(source, target):
        if source.name == "new":
            target.mkdir()
            (target / "theirs").write_text("theirs")
        rename(source, target)

    monkeypatch.setattr(os, "rename", beaten)
    with pytest.raises(OSError, match="not empty"), files.whole_folder(path) as beside:
        (beside / "ours").write_text("ours")
    assert _tree(tmp_path) == {"pages/theirs": "theirs"}


def test_a_folder_takes_the_place_of_a_file(tmp_path):
    path = tmp_path / "pages"
    path.write_text("a file")
    with files.whole_folder(path) as beside:
        (beside / "a").write_text("a")
    assert _tree(tmp_path) == {"pages/a": "a"}
