"""Tables of layers: they add up."""

import torch

from s2f.networks import layers
from s2f.networks.models import Generator


def count(network):
    return sum(p.numel() for p in network.parameters())


def test_the_layer_table_adds_up():
    network = Generator(width=0.25)
    rows = layers.layer_table(network, torch.zeros(1, 64))
    assert sum(row["n_parameters"] for row in rows) == count(network)
    assert rows[0]["output"] == "256 × 4 × 4" and rows[-1]["output"] == "3 × 64 × 64"
    assert network.training and layers.summary(network, torch.zeros(1, 64))["layers with weights"] == 9
