"""Measuring a variant: the faces it draws for test people, what could stand in for them, and the real photographs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from s2f import seeding
from s2f.evaluation import experiments, face_quality, face_readers, kept_readings
from s2f.evaluation.draws import NO_SAMPLER
from s2f.evaluation.subject import Subject
from s2f.features import front_end, preprocessing
from s2f.features.store import Store
from s2f.metrics import catalogue, frechet, matching, measures, pairs, rows, standins
from s2f.metrics.standins import FaceSet
from s2f.networks import codes, inference
from s2f.networks.inference import Model
from s2f.settings import Measure
from s2f.study.runs import Study
from s2f.training import data, face_code
from s2f.training.data import Selection

MOST_AVERAGED = 512  # recordings, of which many draws are read each
MOST_COMMON = 512  # training recordings, of which one draw is read each: what all draws have in common
PENALTIES = tuple(10.0**k for k in range(-4, 4))  # of the linear probe, tried on validation people
N_PROBE_PHOTOS = 4  # of each training person, whose mean embedding the probe learns
N_TRAINING_PHOTOS = 4000  # most training photographs that copies are looked for among
NO_CODE = "this recipe has no face code, or no person has two photos"


def n_distribution(max_images: int) -> int:
    """Faces, and photographs to compare with, of FID, KID, precision and recall: the same for all rows and variants.

    A little below half of the photographs, which `standins.halves` splits by person and video.
    """
    return 9 * max_images // 20


def thinned(held_out: Selection, *, n_most: int, seed: int) -> Selection:
    """The same people and recordings with at most about `n_most` photographs."""
    photos = face_quality.spread(held_out.photos, n_most=n_most, rng=seeding.stream(seed, "subsets"), n_least=2)
    return Selection(held_out.voices, photos, held_out.identities)


def subject(study: Study) -> tuple[Subject, str]:
    """The trained variant of a study with all that it is measured with, and the name of what reads faces.

    There is no Inception where too few faces can be compared for FID.
    """
    p = study.params
    store, m = Store.open(study.read("store")), p.measure
    networks = {"inception": m.inception, "face_identity": m.face_identity, "face_gender": m.face_gender}
    given = {name: None if path is None else study.root / path for name, path in networks.items()}
    model = inference.load(study.read("model"))
    held_out = data.select(store, split="test", gender=p.variant.gender)
    held_out = thinned(held_out, n_most=m.max_images, seed=study.seed)
    reader, name = face_quality.reader(
        p.corpus.kind,
        study.read("measure"),
        identity_path=given["face_identity"],
        gender_path=given["face_gender"],
        n_workers=study.n_workers,
    )
    enough = rows.too_few(n_compared(held_out, max_images=m.max_images, seed=study.seed)) is None
    inception = face_readers.Inception(path=given["inception"], device=study.device) if enough else None
    found = Subject(model, store, study.read("voice"), held_out, reader, inception, p.variant.gender, study.seed)
    kept, folder = None, store.folder.parent / ".readings"  # beside the store, for all variants and for labelled runs
    if isinstance(reader, face_readers.Packaged):
        kept = kept_readings.Kept(reader, folder, identity_path=given["face_identity"])
    features = None if inception is None else kept_readings.KeptFeatures(inception, folder, path=given["inception"])
    root = preprocessing.inputs(study)["root"]
    code = None if p.sampler.kind == "none" else codes.load(study.read("code"))
    return replace(found, root=root, photo_reader=kept, photo_inception=features, code=code), name


def n_compared(held_out: Selection, *, max_images: int, seed: int) -> int:
    """Faces a side that FID, KID, precision and recall compare, known before any Inception features are extracted."""
    n = rows.n_compared(_named(held_out.photos), len(held_out.voices), rng=seeding.stream(seed, "bootstrap"))
    return min(n, n_distribution(max_images))


def _named(photos: pd.DataFrame) -> FaceSet:
    """Whose photographs these are, and from which videos, without what is read from them."""
    videos = face_quality.videos(photos)
    sources = None if videos is None else videos.to_numpy(object)
    return FaceSet(photos["identity"].to_numpy(object), sources=sources)


def network_quality(study: Study, subject: Subject) -> dict:
    """How well the networks that measure read real faces, as `s2f.evaluation.face_quality.network_quality` says it.

    The preprocessing has judged the readers of a synthetic corpus and the packaged networks. Files given instead of
    the packaged ones are judged here, on the same photographs of the validation people.
    """
    m = study.params.measure
    if m.face_identity is None and m.face_gender is None:
        return face_quality.read(study.read("measure"))
    root = preprocessing.inputs(study)["root"]
    return face_quality.network_quality(subject.reader, subject.store, root=root, split="validation", seed=study.seed)


def photographs(subject: Subject) -> FaceSet:
    """What is read from the real photographs of the test people."""
    return face_quality.described_photos(
        subject.store, subject.held_out.photos, reader=subject.of_photos, inception=subject.inception_of_photos
    )


def drawn(
    subject: Subject,
    voices: pd.DataFrame,
    embeddings: torch.Tensor,
    *,
    model: Model | None = None,
    n_inception: int = 0,
    desc: str = "drawn faces",
) -> FaceSet:
    """What is drawn for recordings (rows of the store's index), and what is read from it.

    Parameters
    ----------
    embeddings : Tensor, float [n, dim], what is drawn from: the recordings' own, or what stands in for them
    model : Model, optional, what draws, one draw a recording, instead of the variant's own
    n_inception : int, most faces to extract Inception features of, drawn by the seed
    """
    faces = (model or subject.model).draws(embeddings, seed=subject.seed)[:, 0]
    return described(subject, voices, faces, n_inception=n_inception, desc=desc)


def described(
    subject: Subject, voices: pd.DataFrame, faces: np.ndarray, *, n_inception: int, desc: str = "faces"
) -> FaceSet:
    """What is read from faces uint8 [n, 64, 64, 3] that stand for recordings, or for photographs, of the index.

    Arguments are as `drawn` has them.
    """
    return face_readers.describe(
        faces,
        voices["identity"],
        reader=subject.reader,
        sources=face_quality.videos(voices),
        inception=subject.inception,
        max_images=max(n_inception, 1),
        rng=seeding.stream(subject.seed, "subsets"),
        desc=desc,
    )


def mean_of_draws(subject: Subject, voices: pd.DataFrame, training: pd.DataFrame) -> FaceSet:
    """What `catalogue.N_MEAN` draws for a recording have in common, and others' do not: a direction, as of `probe`.

    It is the mean of their embeddings, less that of one draw for each of at most `MOST_COMMON` training recordings.
    """

    def embedded(recordings: pd.DataFrame, n: int) -> np.ndarray:
        faces = subject.model.draws(data.embeddings(subject.voice, recordings), n, seed=subject.seed)
        return subject.reader.embed(faces.reshape(-1, *faces.shape[2:])).reshape(len(faces), n, -1)

    rng = seeding.stream(subject.seed, "subsets")
    some = training.iloc[rng.permutation(len(training))[:MOST_COMMON]]
    sources = face_quality.videos(voices)
    return FaceSet(
        voices["identity"].to_numpy(object),
        embeddings=standins.directions(embedded(voices, catalogue.N_MEAN).mean(1), embedded(some, 1).mean((0, 1))),
        sources=None if sources is None else sources.to_numpy(object),
    )


def neighbours(subject: Subject, training: Selection, heard: np.ndarray, *, n_inception: int) -> FaceSet:
    """A photograph of the training person whose voice is nearest to each recording's, any of the person's.

    `heard` float [n, dim] are unit embeddings of the recordings that are measured.
    """
    rng = seeding.stream(subject.seed, "subsets")
    known = data.embeddings(subject.voice, training.voices).numpy()
    person = standins.nearest_voice(known, training.voices["identity"], heard)
    photos = training.photos.iloc[rng.permutation(len(training.photos))]
    own = {name: frame["row"].to_numpy() for name, frame in photos.groupby("identity")}
    n_before = pd.Series(person).groupby(person).cumcount()  # of the recordings that are near the same person
    chosen = [own[name][n % len(own[name])] for name, n in zip(person, n_before, strict=True)]
    shown, at = np.unique(chosen, return_inverse=True)
    described = face_readers.describe(
        np.asarray(subject.store.faces[shown]),
        list(map(str, shown)),
        reader=subject.of_photos,
        inception=subject.inception_of_photos,
        max_images=max(n_inception, 1),
        rng=rng,
        desc="nearest voices",
    )
    return described.take(at, identities=subject.held_out.voices["identity"].to_numpy(object))


def by_code(subject: Subject, *, n_inception: int) -> FaceSet | None:
    """Photographs of test people drawn again by way of their face codes: what is left of a photograph in its code.

    They are of the half that `rows.evaluate` takes real faces from; None where that is empty.
    """
    assert subject.code is not None
    photos = subject.held_out.photos
    photos = photos[rows.taken(_named(photos), rng=seeding.stream(subject.seed, "bootstrap"))]
    if photos.empty:
        return None
    again = face_code.again(subject.code, np.asarray(subject.store.faces[photos["row"].to_numpy()]))
    return described(subject, photos, again.drawn, n_inception=n_inception, desc="photographs by their codes")


def trained_on(subject: Subject) -> np.ndarray:
    """Embeddings float32 [t, d] of photographs that the variant was trained on, of everyone as many."""
    training = data.select(subject.store, split="train", gender=subject.gender).photos
    some = face_quality.spread(training, n_most=N_TRAINING_PHOTOS, rng=seeding.stream(subject.seed, "subsets"))
    return subject.of_photos.embed(np.asarray(subject.store.faces[some["row"].to_numpy()]))


def sizes(settings: Measure) -> measures.Sizes:
    """How many of everything the parameters of measuring ask for."""
    n_fid = n_distribution(settings.max_images)
    return measures.Sizes(settings.n_bootstrap, settings.kid_subsets, n_fid=n_fid)


def stand_ins(subject: Subject, *, general: Model | None = None, n_inception: int, n_noise: int) -> dict[str, FaceSet]:
    """Every set of faces that is measured as the model's: its own, and what needs no voice or no model.

    Parameters
    ----------
    general : Model, optional, the General model, where the subject is of one gender: it draws the same people
    n_inception, n_noise : int, faces of each row with Inception features; most recordings that noise stands in for

    Returns
    -------
    dict of str to FaceSet, keys of `s2f.metrics.catalogue.ROWS`
    """
    voices, store = subject.held_out.voices, subject.store
    training = data.select(store, split="train", gender=subject.gender)
    speakers, genders = voices["identity"].to_numpy(), voices["gender"].to_numpy()
    heard = data.embeddings(subject.voice, voices)
    found = {"model": drawn(subject, voices, heard, n_inception=n_inception)}
    if subject.model.sampler is not None:
        rng = seeding.stream(subject.seed, "subsets")
        some = face_quality.spread(voices, n_most=MOST_AVERAGED, rng=rng)
        found["draws_mean"] = mean_of_draws(subject, some, training.voices)
        typical = subject.model.typical(heard)
        found["typical"] = described(subject, voices, typical, n_inception=n_inception, desc="typical faces")
    if subject.code is not None and (again := by_code(subject, n_inception=n_inception)) is not None:
        found["by_code"] = again
    found["neighbour"] = neighbours(subject, training, heard.numpy(), n_inception=n_inception)
    if general is not None:
        found["general"] = drawn(subject, voices, heard, model=general, n_inception=n_inception, desc="General's faces")
    pixels, names = standins.mean_faces(
        np.asarray(store.faces[training.photos["row"].to_numpy()]), training.photos["gender"].to_numpy()
    )
    means = face_readers.describe(pixels, names, reader=subject.reader, inception=subject.inception, desc="mean faces")
    found["mean_face"] = standins.repeated(means, names, speakers, genders=None)
    if set(genders) <= set(names):
        found["gender_mean_face"] = standins.repeated(means, names, speakers, genders=genders)
    some = face_quality.spread(voices, n_most=n_noise, rng=seeding.stream(subject.seed, "noise"))
    noise = noise_embeddings(subject, some)
    found["noise_voice"] = drawn(subject, some, noise, n_inception=n_inception, desc="faces of noise")
    found["probe"] = FaceSet(
        identities=speakers.astype(object), embeddings=probe(subject, heard.numpy()), sources=found["model"].sources
    )
    return found


def measure(
    found: Mapping[str, FaceSet],
    photos: FaceSet,
    people: pd.DataFrame,
    *,
    protocol: str,
    seed: int,
    sizes: measures.Sizes,
    training: np.ndarray,
) -> dict:
    """All rows and metrics of a variant, as `s2f.metrics.rows.evaluate` gives them; says why a row is absent.

    Parameters
    ----------
    found, photos, from `stand_ins` and `photographs`
    people : DataFrame, identity, gender and nationality of the test people
    protocol : str, "held_out" or "closed"
    sizes : Sizes, of `sizes`
    training : ndarray, of `trained_on`
    """
    absent = {} if "general" in found else {"general": "this is the General model"}
    absent |= {row: NO_SAMPLER for row in ("draws_mean", "typical") if row not in found}
    if "by_code" not in found:
        absent["by_code"] = NO_CODE
    if "gender_mean_face" not in found:
        absent["gender_mean_face"] = "the gender of some people, or the mean face of it, is unknown"
    if protocol == "closed":  # the nearest voice is the recording itself
        found = {row: faces for row, faces in found.items() if row != "neighbour"}
        absent["neighbour"] = rows.TRAINED_ON
    return rows.evaluate(
        found,
        photos,
        people,
        protocol=protocol,
        rng=seeding.stream(seed, "bootstrap"),
        absent=absent,
        sizes=sizes,
        training=training,
    )


def noise_embeddings(subject: Subject, voices: pd.DataFrame) -> torch.Tensor:
    """What the encoder makes of noise as long as each recording: float32 [n, dim].

    Our own encoder reads log-mel frames of standard normal noise, which is what normalised frames would be without a
    voice in them; a packaged one that brings its own front end reads white noise of 6 s.
    """
    rng, model, store = seeding.stream(subject.seed, "noise"), subject.model, subject.store
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


def probe(subject: Subject, new_voices: np.ndarray) -> np.ndarray:
    """What a ridge regression tells of identity straight from voice embeddings: directions float32 [n, d].

    It learns each training person's mean embedding of a few photographs from all recordings of that person. Its
    penalty is the one of `PENALTIES` that matches validation people best, two at a time.
    """

    def known(split: str) -> tuple[Selection, np.ndarray, np.ndarray]:
        selection = data.select(subject.store, split=split, gender=subject.gender)
        n_most = N_PROBE_PHOTOS * len(selection.identities)
        photos = face_quality.spread(selection.photos, n_most=n_most, rng=seeding.stream(subject.seed, "subsets"))
        faces = np.asarray(subject.store.faces[photos["row"].to_numpy()])
        return selection, subject.of_photos.embed(faces), selection.codes(photos)

    training, vectors, codes = known("train")
    n_people = len(training.identities)
    means = pairs.by_identity(vectors, codes, n_identities=n_people)
    means /= np.linalg.norm(means, axis=1, keepdims=True)  # [n_people, d]
    targets = means[training.codes(training.voices)]
    voices = data.embeddings(subject.voice, training.voices).numpy()
    validation, photos, photo_codes = known("validation")
    heard = data.embeddings(subject.voice, validation.voices).numpy()
    heard_codes, n_heard = validation.codes(validation.voices), len(validation.identities)

    def matched(penalty: float) -> float:
        guessed = standins.linear_probe(voices, targets, heard, penalty=penalty)
        wins = matching.win_matrix(guessed, heard_codes, photos, photo_codes, n_identities=n_heard)
        return float(np.nanmean(wins))

    best = max(PENALTIES, key=matched) if n_heard > 1 else 1.0
    return standins.linear_probe(voices, targets, new_voices, penalty=best)


def general(study: Study) -> Model | None:
    """The General model of a run, where the study is of another variant."""
    return None if study.variant == "general" else inference.load(study.of("general").read("model"))


def fid_by_n(faces: FaceSet, photos: FaceSet, *, n_most: int, seed: int) -> dict[str, pd.DataFrame]:
    """FID at several n up to `n_most`, of drawn and of real faces against real ones: columns n, fid, low, high.

    Nothing where fewer than `frechet.MIN_FACES` can be compared, as where people have one photograph each.
    """
    if faces.inception is None or photos.inception is None:
        return {}
    reference, source = standins.halves(photos, rng=seeding.stream(seed, "subsets"))
    features = [part.part("inception") for part in (faces, source, reference)]
    extracted = [part[np.isfinite(part[:, 0])] for part in features]
    most = min(n_most, *map(len, extracted))
    if most < frechet.MIN_FACES:
        return {}
    ns = np.unique(np.linspace(frechet.MIN_FACES, most, 4).astype(int)).tolist()
    rng = seeding.stream(seed, "bootstrap")
    *parts, reference_features = extracted
    return {
        name: frechet.fid_by_n(part, reference_features, ns=ns, rng=rng)
        for name, part in zip(("drawn to real", "real to real"), parts, strict=True)
    }


def known_people(study: Study) -> pd.DataFrame | None:
    """The people with all that is true of them, where the corpus knows it: the synthetic one."""
    path = study.read("corpus") / "people.parquet"
    return pd.read_parquet(path) if path.is_file() else None


def ages(study: Study) -> pd.Series | None:
    """Age in years by identity, where it is known."""
    people = known_people(study)
    return None if people is None else people.set_index("identity")["age_years"]


def seen_unseen(
    subject: Subject, faces: FaceSet, photos: FaceSet, *, protocol: str, rng: np.random.Generator
) -> pd.DataFrame:
    """Speakers of the training beside those held out, as `experiments.seen_unseen` gives it; nothing of a closed set.

    `faces` and `photos` are those of the people who are measured.
    """
    if protocol == "closed":
        return experiments.unmeasured(experiments.SPEAKERS, rows.TRAINED_ON)
    known = seen(subject)
    if known is None:
        why = "no training person has the sex of somebody who is measured"
        return experiments.unmeasured(experiments.SPEAKERS, why)
    people = subject.held_out.people, known[2]
    return experiments.seen_unseen(faces, photos, *known[:2], *people, rng=rng)


def protocol(study: Study) -> str:
    """Whether the people who are measured were "held_out" of a run's training, or it is a "closed" set."""
    return "closed" if study.params.split.rule == "none" else "held_out"


def seen(subject: Subject) -> tuple[FaceSet, FaceSet, pd.DataFrame] | None:
    """Faces, photographs and people of training: as many as are held out, of each sex, with as many files each.

    None where nobody is of a sex that is held out as well. Who counts is what
    `s2f.evaluation.experiments.of_known_sex` says.
    The recordings are those that the model was trained on, whole; no Inception features.
    """
    rng, held_out = seeding.stream(subject.seed, "subsets"), subject.held_out
    training = data.select(subject.store, split="train", gender=subject.gender)
    people = training.people.iloc[rng.permutation(len(training.people))]
    unseen, people = experiments.of_known_sex(held_out.people, people)
    wanted = people["sex"].map(unseen["sex"].value_counts()).fillna(0)
    people = people[people.groupby("sex").cumcount() < wanted]
    if people.empty:
        return None
    voices, photos = (f[f["identity"].isin(people["identity"])] for f in (training.voices, training.photos))
    n_voices, n_photos = (f["identity"].isin(unseen["identity"]).sum() for f in (held_out.voices, held_out.photos))
    voices = face_quality.spread(voices.reset_index(drop=True), n_most=n_voices, rng=rng)
    photos = face_quality.spread(photos.reset_index(drop=True), n_most=n_photos, rng=rng, n_least=2)
    chosen = Selection(voices, photos, np.unique(people["identity"].to_numpy(str)))
    others = replace(subject, held_out=chosen, inception=None)
    faces = drawn(others, voices, data.embeddings(subject.voice, voices), desc="faces of seen speakers")
    return faces, photographs(others), chosen.people
