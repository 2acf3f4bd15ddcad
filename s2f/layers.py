"""The layers of a run's voice encoder, as a table: our own, or the packaged one."""

from __future__ import annotations

import pandas as pd
import torch

from s2f.ge2e import N_FRAMES
from s2f.models import N_MELS, GE2EEmbedding, VoiceEmbedding, layer_table


def show_voice(network: VoiceEmbedding | GE2EEmbedding) -> pd.DataFrame:
    """A sentence on what the encoder is, and a table with a row a layer; see `s2f.models.layer_table`."""
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
    return [dict(zip(("layer", "what", "output", "n_parameters"), row, strict=True)) for row in rows]
