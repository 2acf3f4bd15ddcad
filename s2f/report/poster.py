"""The poster's figures, one by one: which can be measured again, which cannot be what they seem, and why.

Nothing is measured here: ours come from the `metrics.json` of the variants, the arithmetic from the poster's own
figures ("Speech2Face Generator Poster", Ain Shams University).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from torch import nn

from s2f.corpora.voxceleb import REFERENCE
from s2f.features import align, front_end, pixels, store
from s2f.metrics.catalogue import label
from s2f.networks import models
from s2f.report.cells import PARTS, printed
from s2f.report.grids import styled
from s2f.report.tables import POSTER, POSTER_COLUMNS

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

    from s2f.study.runs import Study

REPRODUCED, NOT_COMPARABLE = "reproduced", "not comparable"
IMPOSSIBLE, NOT_CHECKABLE = "impossible in this reading", "not checkable here"
NO_CRITIC = "no such network in this recipe"
CLASSES = (REPRODUCED, NOT_COMPARABLE, IMPOSSIBLE, NOT_CHECKABLE)
N_DIMS = 512  # of the face embeddings of later systems, such as SF2F (2022), whose L1 is summed over them
# Wen, Raj and Singh (2019) give train, validation and test; the poster gives totals.
SPLITS_2019: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"n_identities": (924, 112, 189), "n_recordings": (113_322, 14_182, 21_850), "n_faces": (106_584, 12_533, 20_455)}
)
COUNTED = MappingProxyType({"n_recordings": "voice recordings", "n_faces": "face images", "n_identities": "persons"})
READINGS: Mapping[str, str] = MappingProxyType(
    {
        "l1_embedding_sum": f"sum over unit {N_DIMS}-d embeddings",
        "l1_embedding_mean": f"mean over unit {N_DIMS}-d embeddings",
        "l1_pixel_unit": "mean over pixels, on −1 to 1",
        "l1_pixel_255": "mean over pixels, on 0 to 255",
        "": "sum over embeddings of any length",
    }
)
# Realism, diversity, coherence and visual appeal: what stands for each here, and how it is read.
CRITERIA = (
    ("realism", "kid", "lower is nearer to real faces"),
    ("realism", "precision", "share of the drawn faces that lie among the real ones"),
    ("diversity", "recall", "share of the real faces that lie among the drawn ones"),
    ("diversity", "diversity_share", "distance between speakers of one sex; real faces give 100 %"),
    ("coherence", "consistency", "distance between the faces of one speaker's recordings; lower is more alike"),
    ("coherence", "cosine_matched", "cosine between the faces of one speaker's recordings; 1 is the same"),
)


# What an L1 can be


def unit_l1_bound(n_dims: int, *, cosine: float = -1.0) -> float:
    """Largest L1 distance of two unit vectors, summed over `n_dims` dimensions.

    The L1 norm is at most √d times the L2 norm, which at a cosine of c is √(2 − 2c). The root is concave, so the bound
    holds for averages over many pairs as well: of the mean L1, at the mean cosine.
    """
    return math.sqrt(n_dims) * math.sqrt(2 - 2 * cosine)


def fewest_dims(l1: float, *, cosine: float) -> int:
    """Smallest dimension in which unit vectors of that mean cosine can have that mean L1, summed."""
    return math.ceil(l1**2 / (2 - 2 * cosine))


def l1_bounds() -> pd.DataFrame:
    """What the poster's L1 would have to obey if it were a distance of unit embeddings, a row a variant.

    Returns
    -------
    DataFrame
        Columns variant, l1, cosine (the poster's), bound (any two unit 512-d vectors), bound_at_cosine, fewest_dims.
    """
    rows = []
    for name, own in POSTER.items():
        l1, c = own["l1"], own["cosine"]
        rows.append((name, l1, c, unit_l1_bound(N_DIMS), unit_l1_bound(N_DIMS, cosine=c), fewest_dims(l1, cosine=c)))
    return pd.DataFrame(rows, columns=["variant", "l1", "cosine", "bound", "bound_at_cosine", "fewest_dims"])


def show_l1_bounds() -> pd.DataFrame:
    """`l1_bounds` as text, a column a variant."""
    columns = {}
    for row in l1_bounds().itertuples():
        columns[row.variant.title()] = {
            "L1, as the poster reports it": f"{row.l1:.2f}",
            f"most for any two unit vectors: 2·√{N_DIMS}": f"{row.bound:.1f}",
            f"most at the reported cosine c: √{N_DIMS}·√(2 − 2c)": f"{row.bound_at_cosine:.1f}",
            "reported, in multiples of that": f"{row.l1 / row.bound_at_cosine:.2f} times",
            "dimensions that it would take: L1² / (2 − 2c)": f"{row.fewest_dims:,}",
        }
    return pd.DataFrame(columns)


def between_its_parts() -> bool:
    """Whether General's L1 lies between those of Females and Males, as a mean over women and men would."""
    whole, *parts = (POSTER[name]["l1"] for name in ("general", "females", "males"))
    return min(parts) <= whole <= max(parts)


# Figure by figure


def examined(
    metrics: Mapping[str, Mapping], *, resolved: Mapping | None = None, counts: Mapping[str, int] | None = None
) -> pd.DataFrame:
    """Every figure of the poster, with ours where there is a counterpart, and whether the two can be compared.

    Parameters
    ----------
    metrics : mapping of str to mapping, the `metrics.json` of each variant, by name
    resolved : mapping, optional, resolved parameters of the run; without them its settings are not checkable
    counts : mapping of str to int, optional
        What the scan of the full VoxCeleb and VGGFace found: n_identities, n_recordings, n_faces. None with any other
        corpus.

    Returns
    -------
    DataFrame
        Columns part ("Table 2", "Table 1", "data", "settings"), figure, poster, ours, reading, class (one of
        `CLASSES`) and why, all text.
    """
    own = {name.lower(): content for name, content in metrics.items()}
    rows = [*_table2(own), *_table1(own), *_data(own, counts), *_settings(resolved)]
    return pd.DataFrame(rows, columns=["part", "figure", "poster", "ours", "reading", "class", "why"])


def _table2(metrics: Mapping[str, Mapping]) -> list[tuple]:
    rows = []
    for variant in POSTER:
        figures = POSTER[variant]
        why = (
            "The poster says neither how many faces are compared nor with which; FID depends on both, and its three "
            "FIDs have three reference sets, all of people seen in training."
        )
        ours, real = _value(metrics, variant, "fid"), _value(metrics, variant, "fid_real_real")
        ours = ours if real.startswith("–") else f"{ours} (real to real: {real})"
        rows.append((f"{variant.title()}: FID", figures["fid"], ours, "", NOT_COMPARABLE, why))
        rows += [_l1(metrics, variant, metric, reading) for metric, reading in READINGS.items()]
        why = "Possible, but the poster names no embedding, and each has a scale of cosines of its own."
        ours = _value(metrics, variant, "cosine_matched")
        rows.append((f"{variant.title()}: cosine similarity", figures["cosine"], ours, "", NOT_COMPARABLE, why))
    return [("Table 2", figure, str(value), *rest) for figure, value, *rest in rows]


def _l1(metrics: Mapping[str, Mapping], variant: str, metric: str, reading: str) -> tuple:
    l1, cosine = POSTER[variant]["l1"], POSTER[variant]["cosine"]
    ours = _value(metrics, variant, metric) if metric else "–"
    kind, most = IMPOSSIBLE, ""
    if metric.startswith("l1_embedding") and not ours.startswith("–"):
        n_dims = _n_dims(metrics[variant])
        parts = n_dims if metric == "l1_embedding_mean" else 1
        most = f" Ours, in {n_dims} dimensions, is at most {unit_l1_bound(n_dims) / parts:.3g}."
        ours += f" ({n_dims}-d)"
    if metric == "l1_embedding_sum":
        any_two, at_cosine = unit_l1_bound(N_DIMS), unit_l1_bound(N_DIMS, cosine=cosine)
        why = f"At most √{N_DIMS}·√(2 − 2·{cosine:.3f}) = {at_cosine:.1f} at the reported cosine"
        why += f", and 2·√{N_DIMS} = {any_two:.1f} at any." if l1 > any_two else "."
        kind = IMPOSSIBLE if l1 > at_cosine else NOT_COMPARABLE
    elif metric == "l1_embedding_mean":
        why = f"At most 2·√{N_DIMS} / {N_DIMS} = {unit_l1_bound(N_DIMS) / N_DIMS:.3f}, and less in more dimensions."
    elif metric == "l1_pixel_unit":
        why = "At most 2."
    else:
        kind = NOT_COMPARABLE
        why = "Possible (at most 255)" if metric else "Possible (no bound)"
        why += ", and depends on whose faces are compared."
        if metric and variant == "general" and not between_its_parts():
            why += (
                " With one measure and equally good networks General's, of women and men, would lie between Females' "
                "and Males'; it does not."
            )
    return (f"{variant.title()}: L1", l1, ours, reading, kind, why + most)


def _table1(metrics: Mapping[str, Mapping]) -> list[tuple]:
    why = "Pictures without a number; how the four were chosen is not said. Ours are drawn by the seed."
    n = _people(metrics)
    ours = "people drawn by the seed, in the results" if n == "–" else f"drawn by the seed out of {n}"
    return [("Table 1", "people shown", "4", ours, "true face beside reconstructed image", NOT_CHECKABLE, why)]


def _data(metrics: Mapping[str, Mapping], counts: Mapping[str, int] | None) -> list[tuple]:
    rows = []
    for name, what in COUNTED.items():
        poster, parts = REFERENCE[name], SPLITS_2019[name]
        terms = " + ".join(f"{part:,}" for part in parts)
        agrees = f"The 2019 paper's splits add up to it: {terms}." if sum(parts) == poster else f"{terms} differ."
        if counts is None:
            kind, ours = NOT_CHECKABLE, "–"
            why = f"{agrees} The corpus notebook counts it on all of VoxCeleb and VGGFace, which this run has not read."
        else:
            kind, ours = REPRODUCED if counts[name] == poster else NOT_COMPARABLE, f"{counts[name]:,}"
            why = agrees if counts[name] == poster else f"{agrees} The scan found {counts[name] - poster:+,}."
        rows.append(("data", what, f"{poster:,}", ours, "VoxCeleb ∩ VGGFace", kind, why))
    closed = any(content["protocol"] != "held_out" for content in metrics.values())
    why = "The poster trains and tests on the whole dataset: its figures mix what was learned with what was remembered."
    ours = "none" if closed else _people(metrics)
    rows.append(("data", "people held out", "none", ours, "", NOT_COMPARABLE, why))
    return rows


def _settings(resolved: Mapping | None) -> list[tuple]:
    front = store.FRONT_END
    repeated_s = front_end.N_FRAMES_MIN * front["hop_ms"] / 1000
    made = {
        "log-mel bins": ("64", str(front["n_mels"])),
        "window": ("25 ms", f"{front['window_ms']} ms"),
        "hop": ("10 ms", f"{front['hop_ms']} ms"),
        "length that short recordings are repeated to": ("10 s", f"{repeated_s:g} s"),
        "aligned face": ("64×64×3", f"{align.SIZE_PX}×{align.SIZE_PX}×3"),
        "pixel scale": ("(x − 127.5) / 127.5", _pixel_scale()),
    }
    if resolved is not None:
        gan, voice, sampler = resolved["gan"], resolved["voice"], resolved["sampler"]
        own, samples = voice["encoder"] == "own", sampler["kind"] != "none"
        crops = sampler if samples else gan
        read = {} if samples else {"norm": gan["norm"], "tanh": gan["tanh"], "head": gan["head"]}
        drawn = models.Generator(width=0.125, **read)
        critic = models.FaceEmbedding(width=0.125)
        made |= {
            "kernels of the face embedding": ("1, 4", NO_CRITIC if samples else _kernels(critic)),
            "numbers in a face embedding": ("64", NO_CRITIC if samples else str(models.EMBEDDING_DIM)),
            "training crops": ("3 to 8 s", f"{crops['min_crop_s']:g} to {crops['max_crop_s']:g} s"),
            "kernels of the voice embedding": ("3", _kernels(models.VoiceEmbedding(width=0.125)) if own else "an LSTM"),
            "numbers in a voice embedding": ("64", str(models.EMBEDDING_DIM if own else models.GE2E_DIM)),
            "kernels of the generator": ("4", _kernels(drawn)),
            "variants": ("3", str(len(resolved["variants"]))),
        }
    rows = []
    for what, (poster, ours) in made.items():
        same = ours == poster
        why = "The same in this run's code and parameters." if same else "This run does it otherwise."
        rows.append(("settings", what, poster, ours, "", REPRODUCED if same else NOT_COMPARABLE, why))
    return rows


def _pixel_scale() -> str:
    x = np.arange(256, dtype=np.uint8)
    scaled = pixels.normalise(np.repeat(x, 3).reshape(1, 256, 3))  # [3, 1, 256]
    same = np.allclose(scaled, (x - 127.5) / 127.5, atol=1e-6)
    return "(x − 127.5) / 127.5" if same else "another"


def _kernels(network: nn.Module) -> str:
    """Sizes of the kernels of a network's convolutions, as "1, 4"."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)
    sizes = {module.kernel_size[0] for module in network.modules() if isinstance(module, kinds)}
    return ", ".join(str(size) for size in sorted(sizes))


# The four criteria of its text


def criteria(metrics: Mapping[str, Mapping], same_speaker: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Realism, diversity, coherence and visual appeal: what stands for each here, and our values.

    Parameters
    ----------
    metrics : mapping of str to mapping, the `metrics.json` of each variant, by name
    same_speaker : mapping of str to DataFrame, of each variant, from `s2f.evaluation.experiments.same_speaker`

    Returns
    -------
    DataFrame
        Columns criterion, proxy, reading, one a variant, and "another photo of the person" (the first variant's), all
        text.
    """
    real = label("ceiling")
    rows = []
    for criterion, metric, reading in CRITERIA:
        if (criterion, metric) == ("coherence", "cosine_matched"):
            proxy = "cosine, one speaker's faces"
            shown = {name: _same_speaker(same_speaker[name], "drawn") for name in metrics}
            first = _same_speaker(same_speaker[next(iter(metrics))], "real")
        else:
            proxy = label(metric)
            shown = {name: _entry(content, "model", metric) for name, content in metrics.items()}
            first = _entry(next(iter(metrics.values())), "ceiling", metric)
            first = "–" if first.startswith("–") else first  # why the model has none is no reason for photographs
        columns = {name[:1].upper() + name[1:]: value for name, value in shown.items()}
        rows.append({"criterion": criterion, "proxy": proxy, "reading": reading, **columns, real: first})
    last = {"criterion": "visual appeal", "proxy": "not measured", "reading": "an uncurated sheet of faces instead"}
    return pd.DataFrame([*rows, last]).fillna("–")


def scanned(study: Study) -> dict[str, int] | None:
    """What 01_corpus counted, if it read VoxCeleb and VGGFace: the `counts` of `examined`."""
    if study.params.corpus.kind not in ("voxceleb", "wen2019"):
        return None
    summary = json.loads((study.read("corpus") / "summary.json").read_text(encoding="utf-8"))
    return summary["total"]


def marks(variant: str) -> dict[str, float]:
    """The poster's figures of a variant by our metrics, its L1 read as one of pixels."""
    return {metric: POSTER[variant.lower()][name] for metric, (name, _) in POSTER_COLUMNS.items()}


# As a page shows them


def show(frame: pd.DataFrame, *, part: str) -> Styler:
    """The rows of `examined` that belong to one part of the poster."""
    own = frame[frame["part"] == part].drop(columns="part")
    named = ["figure", "reading"] if (own["reading"] != "").any() else ["figure"]
    own = own.drop(columns=[] if len(named) == 2 else "reading").set_index(named)
    return _wrapped(own, ["ours", "class", "why"])


def show_criteria(frame: pd.DataFrame) -> Styler:
    """`criteria` as a table."""
    return _wrapped(frame.set_index(["criterion", "proxy"]), ["reading"])


def show_spread(frame: pd.DataFrame) -> Styler:
    """`s2f.evaluation.ten_people.spread` as a table, a line a metric."""
    lines = {}
    for entry in frame.to_dict("records"):
        metric = entry["metric"]
        values = {key: _printed(metric, entry.get(key)) for key in ("best", "worst", "best_of_tries")}
        share = entry.get("share_better")
        lines[label(metric)] = {
            "everyone": printed(metric, entry.get("everyone"), None, None, why=entry.get("reason")),
            "median [5 %, 95 %]": _printed(metric, *(entry.get(key) for key in ("median", "low", "high"))),
            "best": values["best"],
            "worst": values["worst"],
            "best of ten draws": values["best_of_tries"],
            "best of ten beats everyone": "–" if share is None or share != share else f"{100 * share:.0f} %",
        }
    return styled(pd.DataFrame(lines).T, lines="metric")


def _wrapped(frame: pd.DataFrame, columns: Sequence[str]) -> Styler:
    """A table whose long columns are left-aligned text in lines, the last the widest."""
    texts = {
        name: f"white-space: normal; text-align: left; min-width: {width}em"
        for name, width in zip(columns, [*(7.5,) * (len(columns) - 1), 22], strict=True)
    }
    styles = [{"selector": "td", "props": "vertical-align: top"}]
    styles += [{"selector": "th.row_heading", "props": "vertical-align: top; font-weight: normal; min-width: 6.5em"}]
    styles += [{"selector": f"td.col{list(frame.columns).index(name)}", "props": text} for name, text in texts.items()]
    return styled(frame).set_table_styles(styles, overwrite=False)


def _printed(metric: str, value: float | None, low: float | None = None, high: float | None = None) -> str:
    return printed(metric, value, low, high).replace("\n", " ")


def _same_speaker(frame: pd.DataFrame, kind: str) -> str:
    """The cosine of one person's faces; "drawn" or "real" ones."""
    (row,) = frame[(frame["faces"] == kind) & (frame["metric"] == "cosine_matched")].itertuples()
    return printed("cosine_matched", row.value, row.low, row.high, why=row.reason)


def _people(metrics: Mapping[str, Mapping]) -> str:
    """People of the first variant that was measured."""
    for content in metrics.values():
        sizes = [entry["n_identities"] or 0 for entry in content["rows"]["model"].values()]
        return f"{max(sizes):,} people"
    return "–"


def _n_dims(content: Mapping) -> int:
    """Dimensions of the embedding that was measured: its L1 as a sum over its L1 as a mean."""
    entries = content["rows"]["model"]
    return round(entries["l1_embedding_sum"]["value"] / entries["l1_embedding_mean"]["value"])


def _value(metrics: Mapping[str, Mapping], variant: str, metric: str) -> str:
    """The value of a variant's drawn faces with its interval, on one line."""
    return _entry(metrics[variant], "model", metric).replace("\n", " ") if variant in metrics else "–"


def _entry(content: Mapping, row: str, metric: str) -> str:
    entry = content["rows"][row].get(metric)
    return "–" if entry is None else printed(metric, *(entry[part] for part in PARTS), why=entry.get("reason"))
