"""Files and folders appear whole or not at all."""

import contextlib
import errno
import json
import os
import resource

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot
from PIL import Image

from s2f import __main__ as cli
from s2f import files, tensors
from s2f.errors import OutputError
from s2f.report import kept_runs, style


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


@contextlib.contextmanager
def _no_room():
    """No file can grow beyond 200 bytes: every program is told so as where a disk is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


NOISE = np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)


def _figure(path):
    figure, axes = pyplot.subplots()
    axes.plot([1, 2])
    pyplot.close(figure)
    style.save(figure, path)


def _within(write):
    def save(path):
        with files.whole(path) as beside:
            write(beside)

    return save


WRITERS = {
    "text": ("a.txt", lambda path: files.write_text(path, "x" * 10_000)),
    "json": ("a.json", lambda path: files.write_json(path, list(range(10_000)))),
    "npy": ("a.npy", _within(lambda path: np.save(path, NOISE))),
    "npz": ("a.npz", _within(lambda path: np.savez(path, a=NOISE))),
    "picture": ("a.png", _within(lambda path: Image.fromarray(NOISE).save(path))),
    "figure": ("a.png", _figure),
    "csv": ("a.csv", _within(lambda path: pd.DataFrame(NOISE[0]).to_csv(path))),
    "parquet": ("a.parquet", _within(lambda path: pd.DataFrame(NOISE[0]).to_parquet(path))),
    "tensors": ("a.safetensors", lambda path: tensors.save(path, {"a": torch.zeros(1000)}, header={})),
}


@pytest.mark.parametrize("kind", list(WRITERS))
def test_a_full_disk_is_said_and_what_was_there_stays(tmp_path, kind):
    name, write = WRITERS[kind]
    path = tmp_path / name
    write(path)
    before = path.read_bytes()
    path.write_bytes(before + b"other")
    with pytest.raises(OutputError, match="cannot be written") as caught, _no_room():
        write(path)
    assert caught.value.subject == str(path) and "\n" not in str(caught.value)
    assert path.read_bytes() == before + b"other" and os.listdir(tmp_path) == [name]


def test_a_folder_that_gets_full_leaves_what_was_there(tmp_path):
    files.write_text(tmp_path / "pages" / "old", "old")
    with (
        pytest.raises(OutputError, match="pages cannot be written"),
        _no_room(),
        files.whole_folder(tmp_path / "pages") as new,
    ):
        (new / "new").write_text("x" * 10_000)
    assert _tree(tmp_path) == {"pages/old": "old"} and os.listdir(tmp_path) == ["pages"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("write", [files.whole, files.whole_folder])
def test_what_the_system_says_becomes_one_line(tmp_path, monkeypatch, write, number):
    def refused(*_, **__):
        raise OSError(number, os.strerror(number), str(tmp_path))

    monkeypatch.setattr(os, "mkdir", refused)
    with (
        pytest.raises(OutputError, match=r"in/a cannot be written: .+\. .+\.$") as caught,
        write(tmp_path / "in" / "a"),
    ):
        pytest.fail("there is nowhere to write")
    assert "\n" not in str(caught.value) and not os.listdir(tmp_path)


@pytest.mark.parametrize("write", [files.whole, files.whole_folder])
def test_a_file_where_a_folder_is_needed_stays(tmp_path, write):
    (tmp_path / "out").write_text("mine")
    for path in (tmp_path / "out" / "a", tmp_path / "out" / "in" / "a"):
        with pytest.raises(OutputError, match="a file is where a folder is needed"), write(path):
            pytest.fail("there is nowhere to write")
    assert _tree(tmp_path) == {"out": "mine"}


def test_a_folder_where_the_file_would_be_stays(tmp_path):
    files.write_text(tmp_path / "out.txt" / "a", "mine")
    with pytest.raises(OutputError, match="a folder is where the file would be"):
        files.write_text(tmp_path / "out.txt", "text")
    assert _tree(tmp_path) == {"out.txt/a": "mine"}


def test_a_name_as_long_as_names_may_be(tmp_path):
    path = tmp_path / ("é" * 125 + ".txt")
    files.write_text(path, "text")
    assert _tree(tmp_path) == {path.name: "text"}
    with pytest.raises(OutputError, match="its name is too long"):
        files.write_text(path.with_stem(path.stem + "éé"), "text")


def test_an_error_about_another_file_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), files.whole(tmp_path / "a") as beside:
        beside.write_text((tmp_path / "other").read_text())
    other = PermissionError(errno.EACCES, "no", str(tmp_path / "other"))
    with pytest.raises(PermissionError), files.whole(tmp_path / "a"):
        raise other
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("across", [False, True])
def test_a_folder_moves_to_the_place_of_an_empty_one_and_of_no_other(tmp_path, monkeypatch, across):
    if across:
        _other_file_system(monkeypatch)
    files.write_text(tmp_path / "one" / "a", "a")
    (tmp_path / "empty").mkdir()
    files.move(tmp_path / "one", tmp_path / "empty")
    assert _tree(tmp_path) == {"empty/a": "a"}
    files.write_text(tmp_path / "full" / "b", "b")
    with pytest.raises(OSError, match="not empty"):
        files.move(tmp_path / "empty", tmp_path / "full")
    assert _tree(tmp_path) == {"empty/a": "a", "full/b": "b"}


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
    with pytest.raises(OutputError, match="the disk is full"), files.whole_folder(path) as beside:
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


# What a command says


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_command_that_may_not_write_says_so_on_one_line(tmp_path, monkeypatch, capsys, number):
    def refused(root, run):
        raise OSError(number, os.strerror(number), str(tmp_path / "out"))

    monkeypatch.setattr(kept_runs, "keep", refused)
    assert cli.main(["keep", "runs/demo"]) == 2
    said = capsys.readouterr().err
    tried = "read or written" if number == errno.EACCES else "written"
    assert said.startswith(f"error: {tmp_path / 'out'} cannot be {tried}: ") and said.count("\n") == 1


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "no", "x"), OSError("of another kind")])
def test_a_fault_of_the_code_is_not_hidden_by_a_command(monkeypatch, error):
    def broken(root, run):
        raise error

    monkeypatch.setattr(kept_runs, "keep", broken)
    with pytest.raises(OSError):
        cli.main(["keep", "runs/demo"])


@pytest.mark.parametrize(
    "words",
    [
        ["study", "--seeds", "0"],
        ["study", "--cores", "0"],
        ["check", "voxceleb", "--sample", "-1"],
        ["preprocess", "--part", "-1", "--of", "2"],
        ["preprocess", "--part", "0", "--of", "0"],
        ["preprocess", "--part", "0", "--of", "1", "--workers", "0"],
        ["train", "--seed", "-1"],
        ["reconstruct", "x.wav", "--size", "0"],
        ["measure", "--generated", "a", "--real", "b", "--meta", "c", "--bootstrap", "0"],
    ],
    ids=" ".join,
)
def test_numbers_that_cannot_be_are_refused_before_anything_is_done(monkeypatch, capsys, words):
    monkeypatch.setattr(cli.importlib, "import_module", lambda name: pytest.fail("it was started"))
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --") and " is " in said and "Give " in said and said.count("\n") == 1


def test_every_number_that_a_command_takes_has_bounds():
    (commands,) = (action for action in cli.parser()._actions if isinstance(action.choices, dict))
    numbers = {
        (option.dest, option.option_strings[0])
        for command in commands.choices.values()
        for option in command._actions
        if option.type is int
    }
    assert numbers == {(name, option) for name, (option, _, _) in cli.BOUNDS.items()}
