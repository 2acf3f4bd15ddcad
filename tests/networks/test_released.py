"""State dicts of the 2019 release, loaded by path."""

from __future__ import annotations

import os

import pytest
import torch
from safetensors.torch import save_file

from s2f.errors import CheckpointError
from s2f.networks.models import Classifier, FaceEmbedding, Generator, VoiceEmbedding
from s2f.networks.released import load_released

NETWORKS = {
    "voice": lambda: VoiceEmbedding(width=0.0625),
    "generator": lambda: Generator(width=0.0625, norm="none", tanh=False, head="k1"),
    "face": lambda: FaceEmbedding(width=0.0625),
    "classifier": lambda: Classifier(n_outputs=5),
}


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
@pytest.mark.parametrize("name", NETWORKS)
def test_right_keys_load(tmp_path, name, suffix):
    weights = NETWORKS[name]().state_dict()
    path = tmp_path / f"weights{suffix}"
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    network = load_released(NETWORKS[name](), path)
    assert not network.training
    assert all(torch.equal(value, weights[key]) for key, value in network.state_dict().items())


def test_older_files_without_batch_counts_load(tmp_path):
    weights = {k: v for k, v in NETWORKS["voice"]().state_dict().items() if "num_batches" not in k}
    torch.save(weights, tmp_path / "old.pth")
    network = load_released(NETWORKS["voice"](), tmp_path / "old.pth")
    assert torch.equal(network.state_dict()["model.0.weight"], weights["model.0.weight"])


def test_a_missing_a_foreign_and_a_misshapen_key_are_named(tmp_path):
    weights = NETWORKS["generator"]().state_dict()
    path = tmp_path / "weights.pth"
    torch.save({k: v for k, v in weights.items() if k != "model.2.weight"}, path)
    with pytest.raises(CheckpointError, match=r"weights.pth lacks 'model.2.weight' \[64, 32, 4, 4\]"):
        load_released(NETWORKS["generator"](), path)
    torch.save(weights | {"model.99.weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"has 'model.99.weight' \[1\], which a Generator has not"):
        load_released(NETWORKS["generator"](), path)
    torch.save(NETWORKS["voice"]().state_dict(), path)
    with pytest.raises(CheckpointError, match=r"'model.0.weight' of shape \[16, 64, 3\], not \[32, 64, 3\].*width"):
        load_released(VoiceEmbedding(width=0.125), path)


class _Code:
    def __reduce__(self):
        return os.mkdir, ("made_by_a_pickle",)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model.weight": _Code()}, "weights.pth")
    with pytest.raises(CheckpointError, match="tensors alone") as error:
        load_released(NETWORKS["classifier"](), "weights.pth")
    assert error.value.reason == "broken" and not (tmp_path / "made_by_a_pickle").exists()


@pytest.mark.parametrize(("content", "reason"), [(None, "missing"), (b"", "broken"), (b"text", "broken")])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_no_checkpoint_is_refused(tmp_path, content, reason, suffix):
    path = tmp_path / f"weights{suffix}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError) as error:
        load_released(NETWORKS["classifier"](), path)
    assert error.value.reason == reason
