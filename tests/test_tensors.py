"""Files of tensors: what is written is read, and what is broken is named."""

import pytest
import torch
from safetensors.torch import save_file

from s2f import tensors
from s2f.errors import CheckpointError


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "folder" / "a.safetensors"
    given = {"w": torch.arange(6.0).reshape(2, 3).T, "n": torch.tensor(3)}
    tensors.save(path, given, header={"name": "é", "sizes": [1, 2], "none": None})
    found, header = tensors.load(path)
    assert header == {"name": "é", "sizes": [1, 2], "none": None}
    assert found.keys() == given.keys() and all(torch.equal(found[k], given[k]) for k in given)
    assert [p.name for p in path.parent.iterdir()] == ["a.safetensors"]


def test_the_same_tensors_give_the_same_bytes(tmp_path):
    header = {name: name for name in "abcdefgh"}
    for name in ("one", "two"):
        tensors.save(tmp_path / name, {"w": torch.ones(3)}, header=header)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_missing_truncated_and_foreign_files_are_named(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(CheckpointError, match="is not there") as error:
        tensors.load(path)
    assert error.value.reason == "missing"
    tensors.save(path, {"w": torch.ones(300)}, header={})
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match="truncated"):
        tensors.load(path)
    save_file({"w": torch.ones(3)}, path)
    with pytest.raises(CheckpointError, match="another program"):
        tensors.load(path)
