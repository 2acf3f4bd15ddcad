"""The networks that parameters describe."""

from pathlib import Path

import pytest

from s2f.networks import layers
from s2f.networks.codes import FaceCode
from s2f.networks.models import Architecture
from s2f.study import params
from s2f.training import architectures
from tests.networks.test_layers import count

ROOT = Path(__file__).parents[2]


def test_the_architecture_is_that_of_the_parameters():
    asked = {"recipe": "poster", "gan.norm": "none"}
    settings = params.resolve("smoke", overrides=asked, root=ROOT)
    assert architectures.architecture(settings) == Architecture(0.125, 0.125, "none", True, "k4", "own")
    assert architectures.architecture(settings, code=FaceCode(width=0.5)).width == 0.5


@pytest.mark.parametrize(
    "overrides", [{}, {"sampler.game": True}, {"recipe": "poster"}, {"voice.encoder": "ge2e"}, {"sampler.n_axes": 100}]
)
def test_the_networks_that_learn_to_draw_are_those_of_the_parameters(overrides):
    settings = params.resolve("smoke", overrides=overrides | {"code.width": 0.25}, root=ROOT)
    found = architectures.drawing(settings)
    code = ["encoder", "decoder, the generator", "discriminator of the face code", "sampler"]
    game = ["face embedding"]
    wanted = {"sampler.game": [*code, *game], "recipe": ["generator", *game]}.get(next(iter(overrides), ""), code)
    assert list(found) == wanted
    table = layers.tables(found)
    for name, (network, _) in found.items():
        assert table.loc[name, "n_parameters"].sum() == count(network), name
    if "sampler" in found:
        assert found["decoder, the generator"][0].state_dict().keys() == FaceCode().decoder.state_dict().keys()
        assert table.loc["encoder"].iloc[0]["what"] == "Conv2d 3 → 16, kernel 4, stride 2, padding 1"
        assert table.loc["discriminator of the face code"].iloc[0]["what"].startswith("Conv2d 3 → 8")
        assert table.loc["sampler"].iloc[0]["output"] == "64"
