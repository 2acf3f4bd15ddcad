"""What reads faces, and how well it does on real photographs of people it has not seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from s2f import files, provenance, seeding
from s2f.corpora import corpus
from s2f.errors import CheckpointError, RunError
from s2f.evaluation import attributes, face_readers
from s2f.features import landmarks, photo_files
from s2f.features.store import Store
from s2f.metrics import bootstrap, frechet, pairs, standins, verification
from s2f.metrics.standins import FaceSet
from s2f.networks.readers import Readers
from s2f.settings import Settings
from s2f.training import readers
from s2f.training.data import select

VERSION, FILE = 1, "quality.json"
QUALITY = ("aligned", "original", "original_reason")  # what `network_quality` finds


def reader(
    corpus_kind: str,
    measure_folder: Path,
    *,
    identity_path: str | Path | None = None,
    gender_path: str | Path | None = None,
    n_workers: int = 1,
) -> tuple[face_readers.Reader, str]:
    """What reads identity and gender from faces, and its name.

    A synthetic corpus is read by networks trained on its own real training faces, which lie in `measure_folder`, a real
    one by the packaged networks, or by the files given instead, with `n_workers` processes.

    Raises
    ------
    CheckpointError: a file that is not there, or one given for a synthetic corpus
    """
    given = {"identity embedding": identity_path, "gender network": gender_path}
    if corpus_kind == "synthetic":
        for what, path in given.items():
            if path is not None:
                problem = f"is given as the {what}, but drawn heads are read by networks trained on them"
                raise CheckpointError(path, problem, remedy="Leave it out for a synthetic corpus.")
        return Readers.load(measure_folder), "readers trained on the corpus's own training faces"
    name = "dlib identity embedding and the packaged gender network"
    if any(given.values()):
        name = " and ".join(f"{what} {Path(path).name if path else '(packaged)'}" for what, path in given.items())
    packaged = face_readers.Packaged(identity_path=identity_path, gender_path=gender_path, n_workers=n_workers)
    return packaged, name


def write(quality: Mapping[str, Any], folder: Path, *, reader_name: str) -> None:
    """Write what `network_quality` found, ``quality.json``."""
    files.write_json(folder / FILE, {"version": VERSION, "reader": reader_name, **quality})


def read(folder: Path) -> dict[str, Any]:
    """What `write` wrote, with the name of the reader.

    Raises
    ------
    RunError: missing, of another version, or without what `network_quality` finds
    """
    path = folder / FILE
    remedy = f"Judge the networks again: {provenance.anew(folder)}"
    found = files.read_versioned(path, version=VERSION, remedy=remedy, error=RunError)
    if missing := [key for key in ("reader", *QUALITY) if key not in found]:
        raise RunError(path, f"has no {missing[0]}", remedy=remedy, reason="format")
    return found


def spread(frame: pd.DataFrame, *, n_most: int, rng: np.random.Generator, n_least: int = 1) -> pd.DataFrame:
    """At most about `n_most` rows of files, drawn, as many of each person where there are enough, in their order.

    The frame has a column identity, and its index counts from 0. Everyone keeps `n_least`, even where that makes more
    than `n_most`: 2 photographs, to compare one with the other.
    """
    if len(frame) <= n_most:
        return frame
    n_each = max(n_least, n_most // frame["identity"].nunique())
    order = frame.iloc[rng.permutation(len(frame))]
    return order.groupby("identity").head(n_each).sort_index().reset_index(drop=True)


def videos(frame: pd.DataFrame) -> pd.Series | None:
    """Video of each file, its `source_id`; None where not all are known."""
    return frame["source_id"] if frame["source_id"].notna().all() else None


def described_photos(
    store: Store, photos: pd.DataFrame, *, reader: face_readers.Reader, inception: face_readers.Extractor | None
) -> FaceSet:
    """What is read from real photographs, rows of the store's index."""
    return face_readers.describe(
        np.asarray(store.faces[photos["row"].to_numpy()]),
        photos["identity"],
        reader=reader,
        sources=videos(photos),
        inception=inception,
        desc="real faces",
    )


def make(store: Store, settings: Settings, *, people: Path, root: Path, folder: Path, seed: int, device: str) -> dict:
    """Train a synthetic corpus's readers, measure what reads the run's faces, and write both into `folder`.

    Gives `network_quality` on the validation people, and under "reader" the name of what reads. Photographs lie
    below `root`; `people` is the folder of the corpus in the run, where the causes of a synthetic one are.
    """
    if settings.corpus.kind == "synthetic":
        train_readers(
            store,
            corpus.read_people(people),
            seed=seed,
            n_steps=settings.readers.steps,
            device=device,
            n_threads=settings.machine.n_threads,
        ).save(folder)
    found, name = reader(settings.corpus.kind, folder, n_workers=settings.machine.n_workers)
    quality = network_quality(found, store, root=root, split="validation", seed=seed)
    write(quality, folder, reader_name=name)
    return quality | {"reader": name}


def train_readers(
    store: Store, people: pd.DataFrame, *, seed: int, n_steps: int, device: str, n_threads: int
) -> Readers:
    """Readers of a synthetic corpus, trained on the real photographs of its training people.

    True attributes of `people` are what the attribute reader learns, each in numbers, as `attributes.as_numbers` says.
    """
    training = select(store, split="train")
    known = attributes.as_numbers(people).set_index(people["identity"])
    names, values = list(known), known.loc[training.photos["identity"]].to_numpy(np.float32)
    photos = training.photos
    pixels = np.asarray(store.faces[photos["row"].to_numpy()])
    return readers.train(
        readers.Faces(pixels, training.codes(photos), photos["gender"].to_list(), values, names),
        seed=seeding.number(seed, "readers"),
        n_steps=n_steps,
        device=device,
        n_threads=n_threads,
    )


def read_quality(
    vectors: np.ndarray, female: np.ndarray, photos: pd.DataFrame, *, rng: np.random.Generator, n_resamples: int = 200
) -> dict:
    """How good a reading of photographs is.

    Parameters
    ----------
    vectors : ndarray, float [n, d], identity embeddings, unit length
    female : ndarray, float [n], probability of "f"
    photos : DataFrame [n]
        Columns identity, gender ("f", "m" or None), source_id (text or None): where all have one, the equal error
        rate, of `n_resamples` bootstrap samples, is that between the sources (videos) of a person.

    Returns
    -------
    dict
        ``{"gender_accuracy": entry or None, "equal_error_rate": entry or None, "n_photos", "n_identities"}``, an
        entry being value, low and high of a 95 % interval. No gender accuracy of fewer than two people, and no equal
        error rate where too few people have two photographs to compare.
    """
    identities = photos["identity"].to_numpy(str)
    sources = photos["source_id"].to_numpy(str) if photos["source_id"].notna().all() else None
    rates = bootstrap.unless_too_few(  # such as one photo a person, which leaves nothing to compare
        lambda: verification.error_rates(vectors, identities, sources=sources, rng=rng, n_resamples=n_resamples)
    )
    rate = None if isinstance(rates, str) else asdict(rates.equal_error_rate)
    has_one = photos["gender"].notna().to_numpy()
    accuracy = None
    if has_one.any():
        right = (female[has_one] > 0.5) == (photos["gender"].to_numpy()[has_one] == "f")
        names, codes = np.unique(identities[has_one], return_inverse=True)
        means = pairs.by_identity(right.astype(float), codes, n_identities=len(names))
        if len(names) > 1:
            accuracy = asdict(bootstrap.interval(bootstrap.mean(means), len(names), rng=rng))
    counts = {"n_photos": len(photos), "n_identities": len(np.unique(identities))}
    return {"gender_accuracy": accuracy, "equal_error_rate": rate, **counts}


def network_quality(
    reader: face_readers.Reader, store: Store, *, root: str | Path, split: str, seed: int, max_photos: int = 800
) -> dict:
    """How well the networks read the same real photographs at 64×64 and at their original size.

    Only the packaged networks can read photographs at their original size, which lie below `root`.

    Returns
    -------
    dict
        ``{"aligned": entries, "original": entries or None, "original_reason"}``; entries as in `read_quality`. What
        does not apply is None with a reason.

    Raises
    ------
    ImageError: a photograph that was moved or changed since the store was made
    """
    rng = seeding.stream(seed, "bootstrap")
    photos = spread(select(store, split=split).photos, n_most=max_photos, rng=rng, n_least=2)
    streams = dict(zip(("aligned", "original"), rng.spawn(2), strict=True))
    original, reason = None, _no_originals(reader, store)
    if isinstance(reader, face_readers.Packaged) and reason is None:
        vectors, female = reader.originals(_originals(store, photos, Path(root)), n=len(photos))
        original = read_quality(vectors, female, photos, rng=streams["original"])
    described = described_photos(store, photos, reader=reader, inception=None)
    parts = described.part("embeddings"), described.part("female")
    return {
        "aligned": read_quality(*parts, photos, rng=streams["aligned"]),
        "original": original,
        "original_reason": reason,
    }


def fid_floor(photos: FaceSet, *, rng: np.random.Generator) -> dict:
    """FID of one half of real photographs from the other, ``{"value", "n", "reason"}``: what FID cannot fall below.

    Both halves are of the same people, whole videos to one side; the larger is cut to the size of the smaller.
    """
    if photos.inception is None:
        return {"value": None, "n": None, "reason": "no Inception features"}
    one, other = standins.halves(photos, rng=rng)
    n = min(len(one), len(other))
    parts = [part.part("inception")[np.sort(rng.permutation(len(part))[:n])] for part in (one, other)]
    found = bootstrap.unless_too_few(lambda: frechet.fid(*parts))
    return (
        {"value": None, "n": n, "reason": found} if isinstance(found, str) else {"value": found, "n": n, "reason": None}
    )


def _no_originals(reader: face_readers.Reader, store: Store) -> str | None:
    if not isinstance(reader, face_readers.Packaged):
        return "the readers of drawn heads were trained at 64×64 and read nothing else"
    if store.parameters["processed"]:
        return "the photographs of a processed release are aligned already"
    return None


def _originals(store: Store, photos: pd.DataFrame, root: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photographs as they lie on disk, with their landmarks."""
    for photo in photos.itertuples():
        image, points = photo_files.read(root / photo.path), photo.landmarks
        if points is None:
            points = landmarks.detect(image, name=photo.path, several=store.parameters["several_faces"])
        yield image, np.asarray(points, float).reshape(5, 2)
