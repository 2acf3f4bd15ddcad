"""The layers of a run's voice encoder, as a table: our own, or the packaged one."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from s2f.features.ge2e_front_end import N_FRAMES
from s2f.networks.models import N_MELS, GE2EEmbedding, VoiceEmbedding

COLUMNS = ("layer", "what", "output", "n_parameters")


def show_voice(network: VoiceEmbedding | GE2EEmbedding) -> pd.DataFrame:
    """A sentence on what the encoder is, and a table with a row a layer; see `s2f.networks.layers.layer_table`."""
    if isinstance(network, GE2EEmbedding):
        print("This run's encoder is the packaged one (GE2E): 1.6 s of 40 mels give 256 numbers. It is not trained.")
        return pd.DataFrame(_ge2e_layers(network))
    print("This run's encoder is our own: every 32 frames of 64 mels give 64 numbers, and their mean is the voice.")
    return pd.DataFrame(layer_table(network, torch.zeros(1, N_MELS, 1000)))


def _ge2e_layers(network: GE2EEmbedding) -> list[dict]:
    """Rows as those of `layer_table`, which takes no recurrent network; torch keeps three layers in one module."""
    lstm, linear = network.lstm, network.linear
    rows = []
    for i in range(lstm.num_layers):
        n_in = lstm.hidden_size if i else lstm.input_size
        n = sum(p.numel() for name, p in lstm.named_parameters() if name.endswith(f"_l{i}"))
        rows.append((f"lstm.{i}", f"LSTM {n_in} → {lstm.hidden_size}", f"{N_FRAMES} × {lstm.hidden_size}", n))
    n = sum(p.numel() for p in linear.parameters())
    what = f"Linear {linear.in_features} → {linear.out_features}, of the last frame"
    rows.append(("linear", what, f"{linear.out_features}", n))
    rows.append(("", "ReLU, unit length", f"{linear.out_features}", 0))
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def layer_table(network: nn.Module, *example: Tensor) -> list[dict]:
    """One row a layer: its name, what it is, the shape it puts out, its number of parameters.

    Parameters
    ----------
    *example : Tensor, what the network takes, on the CPU
    """
    rows: list[dict] = []

    def note(name: str, module: nn.Module, inputs: tuple, output: Tensor) -> None:
        size, n = " × ".join(map(str, output.shape[1:])), sum(p.numel() for p in module.parameters())
        rows.append(dict(zip(COLUMNS, (name, _described(module), size, n), strict=True)))

    handles = [module.register_forward_hook(functools.partial(note, name)) for name, module in _leaves(network)]
    training = network.training
    try:
        network.eval()
        with torch.no_grad():
            network(*example)
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    return rows


def tables(networks: Mapping[str, tuple[nn.Module, tuple[Tensor, ...]]]) -> pd.DataFrame:
    """`layer_table` of several networks, by name and with what each takes, in one: a row a network and layer."""
    rows = [{"network": name} | row for name, (one, takes) in networks.items() for row in layer_table(one, *takes)]
    return pd.DataFrame(rows).set_index(["network", "layer"])


def summary(network: nn.Module, example: Tensor) -> dict[str, int | str]:
    """Number of layers with weights, number of parameters, and shape of the output."""
    rows = layer_table(network, example)
    return {
        "layers with weights": sum(row["n_parameters"] > 0 for row in rows),
        "parameters": sum(row["n_parameters"] for row in rows),
        "output": rows[-1]["output"],
    }


def _described(module: nn.Module) -> str:
    # A layer with normalised weights is of a class made for it alone.
    name = next(kind.__name__ for kind in type(module).__mro__ if not kind.__name__.startswith("Parametrized"))
    if isinstance(module, nn.Linear):
        return f"{name} {module.in_features} → {module.out_features}"
    if not isinstance(module, nn.modules.conv._ConvNd):
        return f"{name} {module.num_features}" if hasattr(module, "num_features") else name
    size, stride, padding = module.kernel_size[0], module.stride[0], module.padding[0]
    channels = f"{module.in_channels} → {module.out_channels}"
    return f"{name} {channels}, kernel {size}, stride {stride}, padding {padding}"


def _leaves(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Layers, in the order in which they were written down; the spectral norm of a layer belongs to it."""
    for name, module in network.named_modules():
        if ".parametrizations" not in name and (parametrize.is_parametrized(module) or not any(module.children())):
            yield name, module
