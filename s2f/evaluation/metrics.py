"""Measuring a variant: the faces it draws for test people, what could stand in for them, and the real photographs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from s2f import files, seeding
from s2f.evaluation import face_quality, face_readers
from s2f.features import front_end, preprocessing
from s2f.features.store import Store
from s2f.metrics import frechet, matching, measures, pairs, rows, standins
from s2f.metrics.standins import FaceSet
from s2f.networks import inference
from s2f.networks.inference import Model, draw
from s2f.study.runs import Study
from s2f.training import data
from s2f.training.data import Selection

READINGS = "readings.npz"
PENALTIES = tuple(10.0**k for k in range(-4, 4))  # of the linear probe, tried on validation people
N_PROBE_PHOTOS = 4  # of each training person, whose mean embedding the probe learns


def n_distribution(max_images: int) -> int:
    """Faces, and photographs to compare with, of FID, KID, precision and recall: the same for all rows and variants.

    A little below half of the photographs, which `standins.halves` splits by person and video.
    """
    return 9 * max_images // 20


def thinned(held_out: Selection, *, n_most: int, seed: int) -> Selection:
    """The same people and recordings with at most about `n_most` photographs."""
    photos = face_quality.spread(held_out.photos, n_most=n_most, rng=seeding.stream(seed, "subsets"), n_least=2)
    return Selection(held_out.voices, photos, held_out.identities)


def network_quality(study: Study, store: Store, *, reader: face_readers.Reader) -> dict:
    """How well the networks that measure read real faces, as `s2f.evaluation.face_quality.network_quality` says it.

    The preprocessing has judged the readers of a synthetic corpus and the packaged networks. Files given instead of
    the packaged ones are judged here, on the same photographs of the validation people.
    """
    m = study.params.measure
    if m.face_identity is None and m.face_gender is None:
        return json.loads((study.read("measure") / "quality.json").read_text(encoding="utf-8"))
    root = preprocessing.inputs(study)["root"]
    return face_quality.network_quality(reader, store, root=root, split="validation", seed=study.seed)


def photographs(
    store: Store, held_out: Selection, *, reader: face_readers.Reader, inception: face_readers.Inception | None = None
) -> FaceSet:
    """What is read from the real photographs of a selection."""
    sources = held_out.photos["source_id"]
    return face_readers.describe(
        np.asarray(store.faces[held_out.photos["row"].to_numpy()]),
        held_out.photos["identity"],
        reader=reader,
        sources=sources if sources.notna().all() else None,
        inception=inception,
        desc="real faces",
    )


def drawn(
    generator: torch.nn.Module,
    embeddings: torch.Tensor,
    voices: pd.DataFrame,
    *,
    reader: face_readers.Reader,
    inception: face_readers.Inception | None = None,
    n_inception: int = 0,
    seed: int = 0,
    desc: str = "drawn faces",
) -> FaceSet:
    """What a generator draws, and what is read from it.

    Parameters
    ----------
    embeddings : Tensor, float [n, dim]
        Voice embeddings.
    voices : DataFrame [n]
        Their rows of the store's index: who speaks, in which video.
    n_inception : int
        Most faces to extract Inception features of, drawn by the seed.
    """
    sources = voices["source_id"]
    return face_readers.describe(
        draw(generator, embeddings),
        voices["identity"],
        reader=reader,
        sources=sources if sources.notna().all() else None,
        inception=inception,
        max_images=max(n_inception, 1),
        rng=seeding.stream(seed, "subsets"),
        desc=desc,
    )


def stand_ins(
    model: Model,
    store: Store,
    voice: Path,
    held_out: Selection,
    *,
    reader: face_readers.Reader,
    inception: face_readers.Inception,
    general: Model | None = None,
    gender: str | None = None,
    n_inception: int,
    n_noise: int,
    seed: int,
) -> dict[str, FaceSet]:
    """Every set of faces that is measured as the model's: its own, and what needs no voice or no model.

    Parameters
    ----------
    voice : Path
        Folder of 04_voice_embedding.
    held_out : Selection
        Test people.
    general : Model, optional
        The General model, where `model` is that of one gender: it draws the same people.
    gender : "f", "m" or None
        Whom the model was trained on.
    n_inception : int
        Faces of each row with Inception features.
    n_noise : int
        Most recordings that noise stands in for.

    Returns
    -------
    dict of str to FaceSet
        Keys of `s2f.metrics.catalogue.ROWS`.
    """
    voices, training = held_out.voices, data.select(store, split="train", gender=gender)
    speakers, genders = voices["identity"].to_numpy(), voices["gender"].to_numpy()
    embeddings = data.embeddings(voice, voices)
    read = {"reader": reader, "inception": inception, "n_inception": n_inception, "seed": seed}
    found = {"model": drawn(model.generator, embeddings, voices, **read)}
    if general is not None:
        found["general"] = drawn(general.generator, embeddings, voices, desc="General's faces", **read)
    means, names = standins.mean_faces(
        np.asarray(store.faces[training.photos["row"].to_numpy()]), training.photos["gender"].to_numpy()
    )
    means = face_readers.describe(means, names, reader=reader, inception=inception, desc="mean faces")
    found["mean_face"] = standins.repeated(means, names, speakers, genders=None)
    found["gender_mean_face"] = standins.repeated(means, names, speakers, genders=genders)
    some = face_quality.spread(voices, n_most=n_noise, rng=seeding.stream(seed, "noise"))
    found["noise_voice"] = drawn(
        model.generator, noise_embeddings(model, store, some, seed=seed), some, desc="faces of noise", **read
    )
    found["shuffled_voice"] = _others_voice(found["model"], rng=seeding.stream(seed, "bootstrap"))
    found["probe"] = FaceSet(
        identities=speakers.astype(object),
        embeddings=probe(store, voice, embeddings.numpy(), reader=reader, gender=gender, seed=seed),
        sources=found["model"].sources,
    )
    return found


def measure(
    found: Mapping[str, FaceSet],
    photos: FaceSet,
    people: pd.DataFrame,
    *,
    protocol: str,
    seed: int,
    n_bootstrap: int,
    n_subsamples: int,
    n_fid: int,
) -> dict:
    """All rows and metrics of a variant, as ``metrics.json`` keeps them.

    Parameters
    ----------
    found : mapping of str to FaceSet
        From `stand_ins`.
    photos : FaceSet
        From `photographs`.
    people : DataFrame
        identity, gender and nationality of the test people.
    protocol : str
        "held_out" or "closed".
    n_bootstrap, n_subsamples : int
        Resamples of identities for intervals, and subsamples of them for KID's.
    n_fid : int
        Faces and photographs of FID, KID, precision and recall.
    """
    absent = {} if "general" in found else {"general": "this is the General model"}
    return rows.evaluate(
        found,
        photos,
        people,
        protocol=protocol,
        rng=seeding.stream(seed, "bootstrap"),
        absent=absent,
        sizes=measures.Sizes(n_resamples=n_bootstrap, n_subsamples=n_subsamples, n_fid=n_fid),
    )


def noise_embeddings(model: Model, store: Store, voices: pd.DataFrame, *, seed: int) -> torch.Tensor:
    """What the encoder makes of noise as long as each recording: float32 [n, dim].

    Our own encoder reads log-mel frames of standard normal noise, which is what normalised frames would be without a
    voice in them; a packaged one that brings its own front end reads white noise of 6 s.
    """
    rng = seeding.stream(seed, "noise")
    found = []
    for row in tqdm(voices["row"], desc="noise instead of voices", unit="voice", mininterval=1.0):
        if model.architecture.encoder == "ge2e":
            from s2f.features import ge2e_front_end

            inputs = ge2e_front_end.partials(0.1 * rng.standard_normal(6 * 16_000).astype(np.float32))
        else:
            n_frames = int(store.mel_offsets[row + 1] - store.mel_offsets[row])
            noise = rng.standard_normal((n_frames, front_end.N_MELS)).astype(np.float32)
            inputs = front_end.repeat(front_end.normalise(noise))
        found.append(model.embed(inputs))
    return torch.from_numpy(np.stack(found))


def probe(
    store: Store, voice: Path, new_voices: np.ndarray, *, reader: face_readers.Reader, gender: str | None, seed: int
) -> np.ndarray:
    """What a ridge regression tells of identity straight from voice embeddings: directions float32 [n, d].

    It learns each training person's mean embedding of a few photographs from all recordings of that person. Its
    penalty is the one of `PENALTIES` that matches validation people best, two at a time.
    """

    def known(split: str) -> tuple[Selection, np.ndarray, np.ndarray]:
        selection = data.select(store, split=split, gender=gender)
        n_most = N_PROBE_PHOTOS * len(selection.identities)
        photos = face_quality.spread(selection.photos, n_most=n_most, rng=seeding.stream(seed, "subsets"))
        return selection, reader.embed(np.asarray(store.faces[photos["row"].to_numpy()])), selection.codes(photos)

    training, vectors, codes = known("train")
    n_people = len(training.identities)
    means = pairs.by_identity(vectors, codes, n_identities=n_people)
    means /= np.linalg.norm(means, axis=1, keepdims=True)  # [n_people, d]
    targets = means[training.codes(training.voices)]
    voices = data.embeddings(voice, training.voices).numpy()
    validation, photos, photo_codes = known("validation")
    heard, heard_codes = data.embeddings(voice, validation.voices).numpy(), validation.codes(validation.voices)

    def matched(penalty: float) -> float:
        guessed = standins.linear_probe(voices, targets, heard, penalty=penalty)
        return float(
            np.nanmean(
                matching.win_matrix(guessed, heard_codes, photos, photo_codes, n_identities=len(validation.identities))
            )
        )

    best = max(PENALTIES, key=matched) if len(validation.identities) > 1 else 1.0
    return standins.linear_probe(voices, targets, new_voices, penalty=best)


def _others_voice(faces: FaceSet, *, rng: np.random.Generator) -> FaceSet:
    """Each face as if it were drawn for somebody else: the people sit on a random ring, and all move up by one."""
    people, codes = np.unique(faces.identities.astype(str), return_inverse=True)
    ring = rng.permutation(len(people))
    following = np.empty_like(ring)
    following[ring] = np.roll(ring, -1)
    return faces.take(np.arange(len(faces)), identities=people[following[codes]].astype(object))


def save_readings(folder: Path, faces: FaceSet, photos: FaceSet) -> None:
    """Write what was read from drawn faces and photographs, ``readings.npz``; pixels are kept elsewhere."""
    arrays: dict[str, np.ndarray] = {}
    for name, part in (("faces", faces), ("photos", photos)):
        arrays[f"{name}_identities"] = part.identities.astype(str)
        arrays[f"{name}_embeddings"], arrays[f"{name}_female"] = part.embeddings, part.female
        if part.sources is not None:
            arrays[f"{name}_sources"] = part.sources.astype(str)
        if part.inception is not None:
            arrays[f"{name}_extracted"] = np.flatnonzero(np.isfinite(part.inception[:, 0]))
            arrays[f"{name}_inception"] = part.inception[arrays[f"{name}_extracted"]]
    with files.whole(folder / READINGS) as beside, open(beside, "wb") as stream:
        np.savez(stream, **arrays)


def load_readings(
    folder: Path, *, pixels: np.ndarray | None = None, photo_pixels: np.ndarray | None = None
) -> tuple[FaceSet, FaceSet]:
    """The drawn faces and the photographs of `save_readings`, with their pixels where those are given."""
    with np.load(folder / READINGS) as arrays:
        sets = []
        for name, own in (("faces", pixels), ("photos", photo_pixels)):
            n = len(arrays[f"{name}_identities"])
            inception = None
            if f"{name}_inception" in arrays:
                inception = np.full((n, arrays[f"{name}_inception"].shape[1]), np.nan, np.float32)
                inception[arrays[f"{name}_extracted"]] = arrays[f"{name}_inception"]
            sets.append(
                FaceSet(
                    identities=arrays[f"{name}_identities"].astype(object),
                    pixels=own,
                    embeddings=arrays[f"{name}_embeddings"],
                    female=arrays[f"{name}_female"],
                    inception=inception,
                    sources=arrays[f"{name}_sources"].astype(object) if f"{name}_sources" in arrays else None,
                )
            )
    return sets[0], sets[1]


def general(study: Study) -> Model | None:
    """The General model of a run, where the study is of another variant."""
    return None if study.variant == "general" else inference.load(study.of("general").read("model"))


def fid_by_n(faces: FaceSet, photos: FaceSet, *, n_most: int, seed: int) -> dict[str, pd.DataFrame]:
    """FID at several n up to `n_most`, of drawn and of real faces against real ones: columns n, fid, low, high.

    Nothing where fewer than half of `frechet.MIN_FACES` can be compared, as where people have one photograph each.
    """
    reference, source = standins.halves(photos, rng=seeding.stream(seed, "subsets"))
    extracted = [part.inception[np.isfinite(part.inception[:, 0])] for part in (faces, source, reference)]
    most = min(n_most, *map(len, extracted))
    if most < frechet.MIN_FACES // 2:
        return {}
    ns = np.unique(np.linspace(frechet.MIN_FACES // 2, most, 4).astype(int))
    rng = seeding.stream(seed, "bootstrap")
    drawn, real, reference = extracted
    return {
        "drawn to real": frechet.fid_by_n(drawn, reference, ns=ns, rng=rng, min_n=2),
        "real to real": frechet.fid_by_n(real, reference, ns=ns, rng=rng, min_n=2),
    }


def ages(study: Study) -> pd.Series | None:
    """Age in years by identity, where the corpus knows it: the synthetic one."""
    path = study.read("corpus") / "people.parquet"
    return pd.read_parquet(path).set_index("identity")["age_years"] if path.is_file() else None


def seen(
    model: Model,
    store: Store,
    voice: Path,
    held_out: Selection,
    *,
    reader: face_readers.Reader,
    gender: str | None,
    seed: int,
) -> tuple[FaceSet, FaceSet, pd.DataFrame]:
    """Faces, photographs and people of training: as many as are held out, of each sex, with as many files each.

    The recordings are those that the model was trained on, whole; no Inception features.
    """
    training, rng = data.select(store, split="train", gender=gender), seeding.stream(seed, "subsets")
    people = training.people.iloc[rng.permutation(len(training.people))]
    wanted = held_out.people["gender"].fillna("").value_counts()
    place = people.groupby(people["gender"].fillna(""))["identity"].cumcount()
    people = people[place.to_numpy() < people["gender"].fillna("").map(wanted).fillna(0).to_numpy()]
    voices, photos = (f[f["identity"].isin(people["identity"])] for f in (training.voices, training.photos))
    voices = face_quality.spread(voices.reset_index(drop=True), n_most=len(held_out.voices), rng=rng)
    photos = face_quality.spread(photos.reset_index(drop=True), n_most=len(held_out.photos), rng=rng, n_least=2)
    chosen = Selection(voices, photos, np.unique(people["identity"].to_numpy(str)))
    faces = drawn(model.generator, data.embeddings(voice, voices), voices, reader=reader, desc="faces of seen speakers")
    return faces, photographs(store, chosen, reader=reader), chosen.people
