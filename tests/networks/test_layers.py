"""Tables of layers: they add up."""

from pathlib import Path

import pytest
import torch

from s2f.networks import layers
from s2f.networks.codes import FaceCode
from s2f.networks.models import Generator
from s2f.study import params
from s2f.training import architectures

ROOT = Path(__file__).parents[2]


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("overrides", [{}, {"sampler.game": True}, {"recipe": "poster"}, {"voice.encoder": "ge2e"}])
def test_the_networks_that_learn_to_draw_are_those_of_the_parameters(overrides):
    settings = params.resolve("smoke", overrides=overrides | {"code.width": 0.25}, root=ROOT)
    dim = 256 if "voice.encoder" in overrides else 64
    found = architectures.drawing(settings, dim)
    code = ["encoder", "decoder, the generator", "discriminator of the code", "sampler"]
    game = ["face embedding"]
    wanted = {"sampler.game": [*code, *game], "recipe": ["generator", *game]}.get(next(iter(overrides), ""), code)
    assert list(found) == wanted
    table = layers.tables(found)
    for name, (network, _) in found.items():
        assert table.loc[name, "n_parameters"].sum() == count(network), name
    if "sampler" in found:
        assert found["decoder, the generator"][0].state_dict().keys() == FaceCode().decoder.state_dict().keys()
        assert table.loc["encoder"].iloc[0]["what"] == "Conv2d 3 → 16, kernel 4, stride 2, padding 1"
        assert table.loc["discriminator of the code"].iloc[0]["what"].startswith("Conv2d 3 → 8")
        assert table.loc["sampler"].iloc[0]["output"] == "64"


def test_the_layer_table_adds_up():
    network = Generator(width=0.25)
    rows = layers.layer_table(network, torch.zeros(1, 64))
    assert sum(row["n_parameters"] for row in rows) == count(network)
    assert rows[0]["output"] == "256 × 4 × 4" and rows[-1]["output"] == "3 × 64 × 64"
    assert network.training and layers.summary(network, torch.zeros(1, 64))["layers with weights"] == 9
