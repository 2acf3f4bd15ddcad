"""Many faces of a voice: a face code and samplers of codes, trained on a finished run's people and measured.

Usage: python benchmarks/codes.py [--run runs/demo/s0] [--set sampler.kind=energy] [--guidance 1 1.5] [--keep FOLDER]
       python benchmarks/codes.py --set code.steps=20 --set sampler.steps=50 --skip-inception     # whether it runs
Learns from the training people of the run, with its voice embedding, and measures on its validation people, with the
readers of the run: what is chosen by this table has not looked at a test person. `--keep` names a folder that saves go
to, from which a run that was cut off goes on. Nothing is done where there is no finished run.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from s2f import provenance, seeding
from s2f.errors import StoreError
from s2f.evaluation import face_readers, metrics
from s2f.evaluation.subject import Subject
from s2f.features.store import Store
from s2f.metrics import bootstrap, calibration, copies, energy, matching, pairs, rows, standins
from s2f.metrics.measures import Sizes
from s2f.metrics.standins import FaceSet
from s2f.networks import inference
from s2f.networks.codes import FaceCode, Sampler, noise
from s2f.networks.readers import Readers
from s2f.settings import Settings
from s2f.study import params
from s2f.training import autoencoder, data, face_code, loop, sampler

PROJECT = Path(__file__).resolve().parents[1]
SHOWN = {  # metric: heading, factor
    "kid": ("KID × 1000", 1000),
    "fid": ("FID", 1),
    "precision": ("precision (%)", 100),
    "recall": ("recall (%)", 100),
    "diversity_share": ("diversity (of real)", 1),
    "gender_agreement": ("sex right (%)", 100),
    "matching_within_gender": ("within sex, one draw (%)", 100),
}
SPREAD = (
    "energy score",
    "shuffled within sex − own",
    "80 % intervals hold (%)",
    "too few, too many",
    "nearer to training than median (ratio)",
)
N_MEAN, N_SPREAD = 32, 64  # draws whose embeddings are averaged, and draws a recording of which the spread is measured


@dataclass(frozen=True)
class Heard:
    """Validation people: their recordings, photographs, and what reads faces.

    `codes` [n] and `photo_codes` [m] say whose recording and photograph each is.
    """

    selection: data.Selection
    voices: torch.Tensor
    photos: FaceSet
    codes: np.ndarray
    photo_codes: np.ndarray
    reader: Readers
    inception: face_readers.Inception | None

    def faces(self, drawn: np.ndarray, *, whole: bool = False) -> FaceSet:
        """A face a recording, described; `whole` with Inception features."""
        identities = self.selection.voices["identity"]
        return face_readers.describe(drawn, identities, reader=self.reader, inception=self.inception if whole else None)


def opened(folder: Path) -> Store:
    """The store of a run; of one that another version made, the arrays as they lie there."""
    try:
        return Store.open(folder)
    except StoreError as error:
        print(f"{error} Its arrays are read as they are.")
        mels, faces = (np.load(folder / name, mmap_mode="r") for name in ("mels.npy", "faces.npy"))
        index = pd.read_parquet(folder / "index.parquet")
        return Store(folder, mels, np.load(folder / "mel_offsets.npy"), faces, index, parameters={}, digest="")


def learn(run: Path, store: Store, keep: Path, p: Settings, arguments: argparse.Namespace) -> tuple[FaceCode, Sampler]:
    """A face code of the training photographs, and a sampler, with how long they took."""
    training = data.select(store, split="train")
    using = data.pairs(store, run / "voice", training, device="cpu")
    precision = loop.choose_precision("auto", "cpu")
    setup = loop.Setup(arguments.seed, n_threads=arguments.threads, precision=precision)
    began, digest = time.perf_counter(), using.digest()
    of = provenance.code_key("s2f.training.autoencoder", "s2f.training.sampler")
    key = hashlib.sha256(f"{p.code} {setup} {digest} {of}".encode()).hexdigest()[:16]
    code = autoencoder.train(using, settings=p.code, setup=setup, place=loop.Place(keep / "code", key, "face code"))
    print(f"Face code: {p.code.steps} steps of {p.code.batch_size} in {precision}, {_since(began)}.")
    began, own = time.perf_counter(), hashlib.sha256(f"{key} {p.sampler}".encode()).hexdigest()[:16]
    setup = loop.Setup(arguments.seed, n_threads=arguments.threads)
    place = loop.Place(keep / "sampler", own, f"sampler, {p.sampler.kind}")
    found = sampler.train(using, code, settings=p.sampler, setup=setup, place=place)
    print(f"Sampler, {p.sampler.kind}: {p.sampler.steps} steps of {p.sampler.batch_size}, {_since(began)}.")
    return code, found


def measured(heard: Heard, drawn: np.ndarray, *, seed: int) -> dict[str, str]:
    """One face a recording by the study's own measures, as cells of the table."""
    found = rows.evaluate(
        {"model": heard.faces(drawn, whole=heard.inception is not None)},
        heard.photos,
        heard.selection.people,
        protocol="held_out",
        rng=seeding.stream(seed, "bootstrap"),
        sizes=Sizes(n_resamples=1000),
    )["rows"]["model"]
    return {heading: _cell(found[key], factor) for key, (heading, factor) in SHOWN.items()}


def matched(heard: Heard, vectors: np.ndarray) -> str:
    """Matching within a sex of an embedding a recording, float [n, d], as a cell."""
    n, genders = len(heard.selection.identities), heard.selection.people["gender"].to_numpy(object)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    gallery = heard.photos.part("embeddings"), heard.photo_codes
    wins = matching.win_matrix(vectors, heard.codes, *gallery, n_identities=n)
    allowed = matching.same(genders) & np.isfinite(wins)
    return _cell(vars(bootstrap.interval(bootstrap.pair_mean(wins, allowed), n, rng=_rng())), 100)


def spread(heard: Heard, draws: np.ndarray, near: np.ndarray, training: np.ndarray) -> dict[str, str]:
    """Whether draws uint8 [n, m, 64, 64, 3] are spread as people are.

    Parameters
    ----------
    near : ndarray, float [k], distances of the validation photographs to the nearest of `training`
    training : ndarray, float [t, d], embeddings of the training photographs
    """
    n, m, *size = draws.shape
    people, genders = len(heard.selection.identities), heard.selection.people["gender"].to_numpy(object)
    vectors = heard.reader.embed(draws.reshape(n * m, *size))  # [n · m, d]
    real = heard.photos.part("embeddings")
    scores = energy.score_matrix(vectors.reshape(n, m, -1), heard.codes, real, heard.photo_codes, n_identities=people)
    others = bootstrap.pair_mean(scores, matching.same(genders))
    own = bootstrap.mean(np.diag(scores))
    drawn, theirs = copies.nearer_than(
        copies.nearest(vectors, training), np.repeat(heard.codes, m), near, heard.photo_codes, n_identities=people
    )
    return {
        SPREAD[0]: _estimate(own, people, 1),
        SPREAD[1]: _estimate(bootstrap.difference(others, own), people, 1),
        SPREAD[4]: _estimate(bootstrap.ratio(drawn, theirs), people, 1),
    }


def covered(heard: Heard, draws: np.ndarray) -> dict[str, str]:
    """How often the intervals of draws hold what is read from a photograph of the person."""
    n, m, *size = draws.shape
    people, photos = len(heard.selection.identities), heard.photos.part("pixels")
    first = np.array([np.flatnonzero(heard.photo_codes == code)[0] for code in heard.codes])
    read = heard.reader.attributes(draws.reshape(n * m, *size)).reshape(n, m, -1)  # [n, m, A]
    places = calibration.places(read, heard.reader.attributes(photos[first]))
    held = pairs.by_identity(places.covered(0.8), heard.codes, n_identities=people)  # [people, A]
    counts = bootstrap.resamples(people, rng=_rng(), n_resamples=1000)
    statistics = [bootstrap.mean(column) for column in held.T]
    each = bootstrap.simultaneous(statistics, counts, people=np.ones(people, bool))
    return {
        SPREAD[2]: _estimate(bootstrap.mean(held.mean(1)), people, 100),
        SPREAD[3]: f"{sum(e.high < 0.8 for e in each)}, {sum(e.low > 0.8 for e in each)} of {len(each)}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, default=PROJECT / "runs" / "demo" / "s0", help="folder of a finished run")
    parser.add_argument("--guidance", nargs="+", type=float, default=[1.0, 1.5])
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE", help="a parameter")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--skip-others", action="store_true", help="no draws for other voices of the sex")
    parser.add_argument("--skip-inception", action="store_true", help="no KID, FID, precision and recall")
    parser.add_argument("--keep", type=Path, help="folder of saves to go on from, and of a sheet of faces")
    arguments = parser.parse_args()
    if not (arguments.run / "general" / inference.CHECKPOINT).is_file():
        print(f"Skipped: {arguments.run} is not finished. Make it (make book), or name another with --run.")
        return
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        keep = arguments.keep or Path(folder)
        store = opened(arguments.run / "store")
        given = {"recipe": "codes", **params.parse_settings(arguments.overrides)}
        code, network = learn(
            arguments.run, store, keep, params.resolve("demo", overrides=given, root=PROJECT), arguments
        )
        compare(store, code, network, arguments)


def compare(store: Store, code: FaceCode, network: Sampler, arguments: argparse.Namespace) -> None:
    """Print the table, and keep the faces of it."""
    run, seed = arguments.run, arguments.seed
    reader = Readers.load(run / "measure")
    inception = None if arguments.skip_inception else face_readers.Inception()
    selection, training = (data.select(store, split=split) for split in ("validation", "train"))
    pixels = np.asarray(store.faces[selection.photos["row"].to_numpy()])
    photos = face_readers.describe(pixels, selection.photos["identity"], reader=reader, inception=inception)
    voices = data.embeddings(run / "voice", selection.voices)
    codes = selection.codes(selection.voices), selection.codes(selection.photos)
    heard = Heard(selection, voices, photos, *codes, reader, inception)
    learned = reader.embed(np.asarray(store.faces[training.photos["row"].to_numpy()]))
    near = copies.nearest(photos.part("embeddings"), learned)
    table: dict[str, dict[str, str]] = {}

    model = inference.load(run / "general")
    subject = Subject(model, store, run / "voice", selection, reader, inception)
    table["linear map"] = {_MEAN: matched(heard, metrics.probe(subject, voices.numpy()))}
    own_draw = model.draws(voices, seed=seed)[:, 0]
    table["the run's own, one draw"] = one_face(heard, own_draw, near, learned, seed=seed)
    own = np.array([np.flatnonzero(codes[1] == code)[0] for code in codes[0]])
    between = energy.between_photographs(photos.part("embeddings"), codes[1], n_identities=len(selection.identities))
    table["a photograph of the person"] = measured(heard, pixels[own], seed=seed) | {
        SPREAD[0]: _estimate(bootstrap.mean(between), len(between), 1)
    }
    again = face_code.again(code, pixels[own]).drawn
    table["the same, by way of its code"] = measured(heard, again, seed=seed)
    known = data.embeddings(run / "voice", training.voices)
    person = standins.nearest_voice(known.numpy(), training.voices["identity"], voices.numpy())
    learned_from = training.photos.drop_duplicates("identity").set_index("identity")["row"]
    rows_of = learned_from.loc[person].to_numpy()
    table["photograph of the nearest training voice"] = one_face(
        heard, np.asarray(store.faces[rows_of]), near, learned, seed=seed
    )
    sheets = {"photographs": pixels[own][:, None], "codes": again[:, None], "the run": own_draw[:, None]}
    anybody = of_the_sex(heard, training.voices, known, seed=seed)  # [n, N_SPREAD, dim]
    for network.guidance in arguments.guidance:
        name = f"{network.kind}, guidance {network.guidance:g}"
        draws = drawn(code, network, voices, seed=seed)  # [n, 64, 64, 64, 3]
        vectors = reader.embed(draws[:, :N_MEAN].reshape(-1, 64, 64, 3)).reshape(len(voices), N_MEAN, -1)
        made_up = network.draw(anybody[:, 0], noise(len(anybody), dim=network.dim, seed=seed + 1)[:, None])[:, 0]
        common = reader.embed(inference.rendered(code.decoder, made_up)).mean(0)
        means = standins.directions(vectors.mean(1), common)
        cells = measured(heard, draws[:, 0], seed=seed) | {_MEAN: matched(heard, means)}
        table[name] = cells | spread(heard, draws, near, learned) | covered(heard, draws)
        if not arguments.skip_others:
            others = drawn(code, network, anybody, seed=seed)
            table[f"{name}, voices of the sex"] = spread(heard, others, near, learned) | covered(heard, others)
        typical = inference.rendered(code.decoder, network.typical(voices))
        table[f"{name}, the most typical"] = measured(heard, typical, seed=seed)
        sheets[name] = np.concatenate([typical[:, None], draws[:, :7]], axis=1)
    headings = [heading for heading, _ in SHOWN.values()] + [_MEAN, *SPREAD]
    print(f"\n{len(voices)} recordings and {len(pixels)} photographs of {len(selection.identities)} validation people.")
    print(f"\n| faces | {' | '.join(headings)} |\n|---|{'---|' * len(headings)}")
    for name, cells in table.items():
        print(f"| {name} | {' | '.join(cells.get(heading, '–') for heading in headings)} |")
    print(f"\nSixteen faces of one voice: {_timed(lambda: sixteen(code, network, voices[:1])):.0f} ms.")
    if arguments.keep is not None:
        np.savez_compressed(arguments.keep / "sheets.npz", allow_pickle=False, **sheets)


def one_face(heard: Heard, faces: np.ndarray, near: np.ndarray, learned: np.ndarray, *, seed: int) -> dict[str, str]:
    """All cells of a row that has one face a recording."""
    return measured(heard, faces, seed=seed) | spread(heard, faces[:, None], near, learned)


def drawn(code: FaceCode, network: Sampler, voices: torch.Tensor, *, seed: int) -> np.ndarray:
    """Faces uint8 [n, N_SPREAD, 64, 64, 3] of voices [n, dim], or of one for each draw [n, N_SPREAD, dim]."""
    n = len(voices)
    each = voices if voices.ndim == 3 else voices[:, None].expand(-1, N_SPREAD, -1)
    own = noise(n * N_SPREAD, dim=network.dim, seed=seed)[:, None]  # [n · N_SPREAD, 1, dim]
    codes = network.draw(each.flatten(0, 1), own)
    return inference.rendered(code.decoder, codes[:, 0]).reshape(n, N_SPREAD, 64, 64, 3)


def of_the_sex(heard: Heard, known: pd.DataFrame, voices: torch.Tensor, *, seed: int) -> torch.Tensor:
    """Voices of random training recordings of each speaker's sex, float [n, N_SPREAD, dim].

    `known` are the training recordings, and `voices` float [t, dim] their embeddings.
    """
    rng, genders = seeding.stream(seed, "subsets"), known["gender"].to_numpy(object)
    wanted = heard.selection.voices["gender"]
    picked = [rng.choice(np.flatnonzero(genders == gender), N_SPREAD) for gender in wanted]
    return voices[torch.from_numpy(np.stack(picked))]


def sixteen(code: FaceCode, network: Sampler, voice: torch.Tensor) -> np.ndarray:
    """Sixteen faces of one voice."""
    codes = network.draw(voice, noise(16, dim=network.dim, seed=0)[None])
    return inference.rendered(code.decoder, codes[0])


_MEAN = f"within sex, mean of {N_MEAN} (%)"


def _rng() -> np.random.Generator:
    return seeding.stream(0, "bootstrap")


def _estimate(statistic: bootstrap.Statistic, n: int, factor: float) -> str:
    return _cell(vars(bootstrap.interval(statistic, n, rng=_rng(), n_resamples=1000)), factor)


def _cell(entry: dict, factor: float) -> str:
    if entry["value"] is None:
        return "–"
    digits = 3 if factor == 1 and abs(entry["value"]) < 10 else 1
    value, *bounds = (f"{factor * entry[k]:.{digits}f}" for k in ("value", "low", "high") if entry[k] is not None)
    return f"{value} [{', '.join(bounds)}]" if bounds else value


def _since(began: float) -> str:
    return f"{time.perf_counter() - began:.0f} s"


def _timed(function: Callable[[], object], *, n: int = 20) -> float:
    """Median of the times that a function takes, ms."""
    times = []
    for _ in range(n):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times))


if __name__ == "__main__":
    main()
