"""The trained networks of a run as scripts that the book's live page loads: weights, axes of voices, held-out voices.

A page that is opened as a file may load scripts and nothing else, so arrays are base64 inside of calls of
``s2fLive.receive``: weights in half precision, batch norm folded into the convolution before it.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from s2f import files
from s2f.corpora.corpus import files_root
from s2f.errors import CheckpointError
from s2f.features import front_end, sound_files
from s2f.features.store import Store
from s2f.study.finished import Finished

FOLDER = Path("_static", "live", "run")  # below the built pages
FIRST = "run.js"
LEARNED_FROM = MappingProxyType({"general": None, "females": "women", "males": "men"})  # alone; None: from everybody
N_A_SEX = 3  # held-out people to listen to
N_NOISE = 16  # rows of noise, the first ones of `Model.draw` with seed 0
N_AXES = (3, 5)
STILL_GAP_PX = 2
HELD = 0.9  # share of the variance that is enough
# What an axis may follow, as people's attributes are called; a frequency by its logarithm.
TRAITS = MappingProxyType(
    {
        "f0_hz": "pitch",
        "vocal_tract_cm": "vocal-tract length",
        "age_years": "age",
        "breathiness": "breathiness",
        "tilt_db_octave": "brightness",
        "syllables_s": "speed",
    }
)


def write(run: Path, pages: Path, *, seed: int) -> str | None:
    """Write what the live page loads into the built pages; return why it has nothing to show, or None.

    Parameters
    ----------
    run : Path, ``runs/<profile>[-<label>]``
    pages : Path, folder of the built pages
    seed : int

    Raises
    ------
    CheckpointError: a model that is damaged, or has weights beyond half precision
    StoreError: as `Store.open`
    """
    from s2f.networks import codes, inference  # torch is heavy, and the book is built without it elsewhere

    finished = Finished(run / f"s{seed}")
    found = {name: finished.folder(name) for name in ("corpus", "store", "voice")}
    folders = {name: finished.folder("model", variant=name) for name in LEARNED_FROM}
    trained = (name for name, folder in folders.items() if (folder / inference.CHECKPOINT).is_file())
    names = [name for name in trained if finished.has(name)]
    models = {name: inference.load(folders[name]) for name in names}
    about: dict[str, Any] = {"run": run.name, "seed": seed, "problem": _problem(models, found)}
    if about["problem"] is not None:
        _send(pages / FOLDER / FIRST, about)
        return about["problem"]
    parts = {name: _model(model, folders[name]) for name, model in models.items()}
    store = Store.open(found["store"])
    causes = found["corpus"] / "people.parquet"  # of generated people alone: real voices stay where they are
    synthetic = causes.is_file()
    shown = _people(store, found["corpus"], root=run.parents[1]) if synthetic else []
    traits = pd.read_parquet(causes).set_index("identity") if synthetic else None
    about |= {
        "synthetic": synthetic,
        "voice": parts[names[0]]["voice"],
        "axes": axes(embeddings(store, found["voice"]), traits),
        "noise": _array(codes.noise(N_NOISE, dim=_dim(parts), seed=0).numpy(), kind="f4"),
        "people": [{key: each[key] for key in ("name", "about", "sound", "face")} for each in shown],
        "variants": [{"name": name, "title": name.title(), "learned_from": LEARNED_FROM[name]} for name in names],
        "samples": any(part["sampler"] for part in parts.values()),
    }
    _send(pages / FOLDER / FIRST, about)
    sent = {FIRST: {"voice": about["voice"]}}
    for name, part in parts.items():
        own: dict[str, Any] = {"variant": name}
        for key, value in part.items():
            same = next((other for other, there in sent.items() if value is not None and there.get(key) == value), None)
            own[key] = value if same is None else {"same_as": same}
        sent[name] = part
        _send(pages / FOLDER / f"{name}.js", own)
    if shown:
        _still(shown, models, pages / FOLDER / "still.png")
    return None


def embeddings(store: Store, voice: Path) -> pd.DataFrame:
    """Unit voice embeddings of the training recordings, a row each, under their people's names."""
    from s2f.training import data

    rows = store.voices(split="train")
    return pd.DataFrame(data.embeddings(voice, rows).double().numpy(), index=rows["identity"])


def axes(embedded: pd.DataFrame, traits: pd.DataFrame | None) -> list[dict[str, Any]]:
    """The leading axes of voice embeddings, the one with most variance first, as many as hold `HELD` of it.

    Parameters
    ----------
    embedded : DataFrame [n, dim], as `embeddings` gives it
    traits : DataFrame, optional, attributes of people by their names; each axis is called after the one that follows it

    Returns
    -------
    list of dict
        ``axis`` exported [dim], ``centre`` of people on it, ``deviation``, ``share`` of the variance, and where there
        are traits ``follows`` and their correlation ``r``, which is positive.
    """
    centre = embedded.to_numpy().mean(axis=0)
    off = embedded.to_numpy() - centre
    variances, vectors = np.linalg.eigh(off.T @ off / len(off))
    variances, vectors = variances[::-1].clip(min=0), vectors[:, ::-1]
    shares = variances / variances.sum()
    n = int(np.clip(np.searchsorted(np.cumsum(shares), HELD) + 1, *N_AXES))
    found = []
    for k in range(n):
        axis, named = vectors[:, k], {}
        if traits is not None:
            own = (
                traits.loc[embedded.index, list(TRAITS)].astype(float).assign(f0_hz=lambda each: np.log(each["f0_hz"]))
            )
            r = own.reset_index(drop=True).corrwith(pd.Series(off @ axis))
            best = str(r.abs().idxmax())
            axis = axis * np.sign(r[best])
            named = {"follows": TRAITS[best], "r": round(abs(float(r[best])), 2)}
        along = {"centre": float(centre @ axis), "deviation": float(np.sqrt(variances[k])), "share": float(shares[k])}
        found.append({"axis": _array(axis, kind="f4"), **along, **named})
    return found


def _problem(models: Mapping[str, Any], found: Mapping[str, Path]) -> str | None:
    """Why there is nothing to run, if so."""
    if not models:
        return "This run holds no trained networks, so there is nothing to run here."
    if missing := [path.name for path in found.values() if not path.is_dir()]:
        return f"This run holds no {' and no '.join(missing)} folder, so there is nothing to run here."
    if any(model.architecture.encoder != "own" for model in models.values()):
        return "This run listens with the packaged speaker encoder, which this page cannot run."
    return None


# ------------------------------------------------------------------------------------------------ networks


def _model(model: Any, folder: Path) -> dict[str, Any]:
    """Voice embedding, generator and sampler of a model, exported."""
    try:
        return {
            "voice": layers(model.voice_embedding.model),
            "generator": layers(model.generator.model),
            "sampler": None if model.sampler is None else sampler(model.sampler),
        }
    except OverflowError as error:
        remedy = "Train it again: weights this large draw no face."
        raise CheckpointError(folder, f"has {error}", remedy=remedy) from error


def layers(network: Any) -> list[dict[str, Any]]:
    """Convolutions of a `Sequential` in evaluation mode, each with the batch norm and activation after it.

    Raises
    ------
    OverflowError: weights that half precision does not hold
    """
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    found: list[tuple[Any, str]] = []
    for layer in network:
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            before = found[-1][0]
            found[-1] = (fuse_conv_bn_eval(before, layer, transpose=isinstance(before, nn.ConvTranspose2d)), "")
        elif isinstance(layer, nn.ReLU | nn.Tanh):
            found[-1] = (found[-1][0], type(layer).__name__.lower())
        else:
            found.append((layer, ""))
    return [_layer(layer, activation) for layer, activation in found]


def _layer(layer: Any, activation: str) -> dict[str, Any]:
    weight = layer.weight.detach().numpy()
    # The page's inner loop is over outputs, which therefore come last.
    weight = weight.transpose(2, 1, 0) if weight.ndim == 3 else weight.transpose(0, 2, 3, 1)
    sizes = {"n_in": layer.in_channels, "n_out": layer.out_channels, "kernel": layer.kernel_size[0]}
    sizes |= {"stride": layer.stride[0], "padding": layer.padding[0]}
    bias = np.zeros(layer.out_channels) if layer.bias is None else layer.bias.detach().numpy()
    return {**sizes, "activation": activation, "weight": _array(weight), "bias": _array(bias, kind="f4")}


def sampler(network: Any) -> dict[str, Any]:
    """Everything that `s2f.networks.codes.Sampler.draw` needs, exported.

    Raises
    ------
    OverflowError: as `layers`
    """
    norm, code_out = network.code_out
    parts = {name: getattr(network, name) for name in ("code_in", "time_in", "voice_in")} | {"code_out": code_out}
    return {
        **{key: network.options[key] for key in ("kind", "dim", "n_steps", "guidance")},
        "centre": _array(network.centre.numpy(), kind="f4"),
        "axes": {"n_out": network.axes.shape[1], "weight": _array(network.axes.numpy(), kind="f4")},
        "frequencies": _array(network.frequencies.numpy(), kind="f4"),
        **{key: _linear(part) for key, part in parts.items()},
        "out_norm": _norm(norm),
        "layers": [
            {"norm": _norm(each.norm), "first": _linear(each.first), "second": _linear(each.second)}
            for each in network.layers
        ],
    }


def _linear(layer: Any) -> dict[str, Any]:
    weight, bias = layer.weight.detach().numpy().T, layer.bias.detach().numpy()
    return {"n_out": layer.out_features, "weight": _array(weight), "bias": _array(bias, kind="f4")}


def _norm(layer: Any) -> dict[str, Any]:
    return {
        "weight": _array(layer.weight.detach().numpy(), kind="f4"),
        "bias": _array(layer.bias.detach().numpy(), kind="f4"),
    }


def _dim(parts: Mapping[str, Mapping[str, Any]]) -> int:
    return next((part["sampler"]["dim"] for part in parts.values() if part["sampler"]), 1)


def _array(values: np.ndarray, *, kind: str = "f2") -> dict[str, str]:
    with np.errstate(over="ignore"):
        narrow = np.ascontiguousarray(values, dtype=f"<{kind}")
    if not np.isfinite(narrow).all():
        raise OverflowError(f"weights up to {np.abs(values).max():g}, beyond half precision")
    return {kind: base64.b64encode(narrow.tobytes()).decode("ascii")}


# ------------------------------------------------------------------------------------------------ people


def _people(store: Store, corpus: Path, *, root: Path) -> list[dict[str, Any]]:
    """The first test people of each sex, with one recording and one photograph."""
    sound_root = files_root(corpus, project=root)
    people = pd.read_parquet(corpus / "people.parquet").set_index("identity")
    voices = store.voices(split="test").groupby("identity").head(1)
    photos = store.photos(split="test").groupby("identity").head(1).set_index("identity")
    found = []
    for _, few in voices[voices["identity"].isin(photos.index)].groupby("gender"):
        for row in few.head(N_A_SEX).itertuples():
            face = store.faces[photos.loc[row.identity, "row"]]
            wave = sound_files.read(sound_root / row.path)
            age = people.loc[row.identity, "age_years"]
            about = f"{ {'f': 'woman', 'm': 'man'}[row.gender] }, {age:.0f} years"
            shown = {"name": row.identity, "about": about, "wave": wave, "pixels": face}
            found.append(shown | {"sound": _wav(wave), "face": base64.b64encode(_png(face)).decode("ascii")})
    return found


def _wav(wave: np.ndarray) -> str:
    """A 16-bit wav file of a wave, base64."""
    import soundfile

    file = io.BytesIO()
    samples = np.clip(np.rint(wave * 32768.0), -32768, 32767).astype(np.int16)
    soundfile.write(file, samples, front_end.SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return base64.b64encode(file.getvalue()).decode("ascii")


def _png(picture: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG", optimize=True)
    return file.getvalue()


def _still(people: Sequence[Mapping[str, Any]], models: Mapping[str, Any], path: Path) -> None:
    """A picture for readers without JavaScript: true faces, and below them what each variant draws."""
    import torch

    rows = [[each["pixels"] for each in people]]
    heard = [front_end.features(each["wave"]) for each in people]
    for model in models.values():
        rows.append([model.draws(torch.from_numpy(model.embed(each)[None]))[0, 0] for each in heard])
    gap = [(STILL_GAP_PX, STILL_GAP_PX)] * 2 + [(0, 0)]
    cells = [[np.pad(face, gap, constant_values=255) for face in row] for row in rows]
    with files.whole(path) as beside:
        beside.write_bytes(_png(np.vstack([np.hstack(row) for row in cells])))


def _send(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    files.write_text(path, f"s2fLive.receive({text});\n")
