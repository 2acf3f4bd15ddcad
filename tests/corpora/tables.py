"""Manifests of made-up people."""

import pandas as pd

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}


def corpus(n_f=12, n_m=12, n_unknown=0, *, n_voices=4, n_faces=2):
    rows = []
    for gender, n in (("f", n_f), ("m", n_m), (None, n_unknown)):
        for i in range(n):
            name = f"{'ABCDEFGH'[i % 8]}nn_{gender}_{i}"
            for k in range(n_voices):
                rows.append((name, gender, "voice", f"v/{name}/{k}.wav", f"video{k // 2}"))
            rows += [(name, gender, "face", f"f/{name}/{k}.jpg", None) for k in range(n_faces)]
    return pd.DataFrame(rows, columns=["identity", "gender", "modality", "path", "source_id"])
