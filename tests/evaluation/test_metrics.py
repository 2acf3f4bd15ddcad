"""Measuring a variant: whom it reads, whom it never reads, and what it promises to the metrics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.linear_model import Ridge

from s2f.corpora.synthetic import population
from s2f.errors import RunError
from s2f.evaluation import attributes, draws, face_quality, face_readers, metrics
from s2f.evaluation.attributes import Read
from s2f.evaluation.measured import FACES, READINGS, load_readings, save_readings
from s2f.evaluation.subject import Subject
from s2f.features import front_end
from s2f.features.store import Store
from s2f.metrics import catalogue, rows, standins
from s2f.metrics.measures import Sizes
from s2f.metrics.standins import FaceSet
from s2f.networks import inference
from s2f.networks.codes import FaceCode, Sampler
from s2f.networks.inference import Model
from s2f.networks.models import Architecture
from s2f.networks.readers import Readers, Trunk
from s2f.study import params
from s2f.training import data, tracks
from s2f.training.data import Selection

ROOT = Path(__file__).resolve().parents[2]
N_LATENT, N_LOOKS, DIM = 5, 16, 64
LOOKS = np.linalg.qr(np.random.default_rng(5).normal(size=(N_LOOKS, N_LATENT)))[0]  # of what is heard: [16, 5]


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def pixels_of(looks):
    """Faces uint8 [n, 64, 64, 3] of looks [n, 16], each in four rows of its own."""
    rows = np.repeat(np.clip(127.5 + 100 * looks, 0, 255).round().astype(np.uint8), 4, axis=1)  # [n, 64]
    return np.broadcast_to(rows[:, :, None, None], (len(rows), 64, 64, 3))


class Reader:
    """Reads looks from where `pixels_of` puts them, and a woman in a bright first row; keeps what it has read."""

    def __init__(self):
        self.seen = []

    def embed(self, faces):
        self.seen.append(np.asarray(faces))
        return unit(faces.reshape(len(faces), N_LOOKS, -1).mean(axis=2) - 127.5).astype(np.float32)

    def gender(self, faces):
        return (faces[:, 0].mean(axis=(1, 2)) > 127.5).astype(np.float32)


class Inception:
    """Every sixth value of a face."""

    device = "cpu"

    def features(self, faces, *, desc=""):
        return faces.reshape(len(faces), -1)[:, ::6].astype(np.float32)  # [n, 2048]


def crowd(**n_by_split):
    """People of a split in turn women and men: ``crowd(train=4, test="ffm")``, or of the sexes given."""
    rows = []
    for split, sexes in n_by_split.items():
        sexes = ("fm" * 99)[:sexes] if isinstance(sexes, int) else sexes
        rows += [(f"{split}{k:02d}", None if sex == "?" else sex, split) for k, sex in enumerate(sexes)]
    return pd.DataFrame(rows, columns=["identity", "gender", "split"])


def world(folder, people, *, n_voices=3, n_photos=4, noise=0.0, related=True, n_frames=(20, 40), kind=Store):
    """A store and its voice tracks: a voice is a direction and `noise`; a face is a linear map of it, if `related`."""
    rng = np.random.default_rng(0)
    counts = [[n[split] if isinstance(n, dict) else n for split in people["split"]] for n in (n_voices, n_photos)]
    latent = unit(rng.normal(size=(len(people), N_LATENT)))
    looks = (latent if related else unit(rng.normal(size=latent.shape))) @ LOOKS.T
    frames, parts = [], []
    for modality, n in zip(("voice", "face"), counts, strict=True):
        frame = people.loc[people.index.repeat(n)].reset_index(names="person")
        number = frame.groupby("person").cumcount().astype(str)
        added = {"nationality": None, "modality": modality, "row": np.arange(len(frame)), "fold": 0}
        added["source_id"] = frame["identity"] + "/" + number
        frames.append(frame.assign(**added, path=modality + "/" + added["source_id"]))
        parts.append(frame["person"].to_numpy())
    lengths = rng.integers(3, 6, len(parts[0]))
    speakers = np.repeat(parts[0], lengths)
    vectors = np.zeros((len(speakers), DIM), np.float32)
    vectors[:, :N_LATENT] = latent[speakers] + noise * rng.normal(size=(len(speakers), N_LATENT))
    tracks.write(folder, vectors, np.concatenate([[0], np.cumsum(lengths)]))
    offsets = np.concatenate([[0], np.cumsum(rng.integers(*n_frames, len(parts[0])))])
    faces = pixels_of(looks[parts[1]] + 0.3 * noise * rng.normal(size=(len(parts[1]), N_LOOKS)))
    index = pd.concat(frames, ignore_index=True)
    return kind(folder, np.zeros((offsets[-1], 64), np.float16), offsets, np.array(faces), index, {}, "")


def heard(folder, rows):
    """Embeddings [n, 64] of recordings, from the files, with loops."""
    vectors, offsets = np.load(folder / "tracks.npy"), np.load(folder / "track_offsets.npy")
    return unit(np.stack([vectors[offsets[row] : offsets[row + 1]].mean(axis=0) for row in rows]))


def drawn_by(generator, embeddings):
    with torch.no_grad():
        faces = generator(torch.from_numpy(embeddings.astype(np.float32))).clamp(-1, 1) * 127.5 + 127.5
    return faces.permute(0, 2, 3, 1).round().numpy().astype(np.uint8)


def network(seed):
    architecture = Architecture(0.0625, 0.0625, "none", True, "k4")
    torch.manual_seed(seed)
    voice, generator = architecture.voice_embedding(), architecture.generator()
    with torch.no_grad():  # louder than an untrained one, so that voices draw different faces
        for parameter in generator.parameters():
            parameter.mul_(4 if parameter.ndim > 1 else 1)
    return Model(voice.eval(), generator.eval(), architecture, "small")


@pytest.fixture(scope="module")
def model():
    return network(0)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


# Sizes


@pytest.mark.parametrize("n", [100, 120, 1999, 4000])
def test_sets_of_faces_are_a_little_below_half_of_the_photographs(n):
    found = metrics.n_distribution(n)
    assert isinstance(found, int) and 0.44 * n <= found < n / 2


def test_thinned_leaves_people_and_voices_alone(tmp_path):
    held_out = data.select(world(tmp_path, crowd(test=5), n_photos=8), split="test")
    found = metrics.thinned(held_out, n_most=15, seed=0)
    assert (found.photos["identity"].value_counts() == 3).all() and len(found.photos) == 15
    pd.testing.assert_frame_equal(found.voices, held_out.voices)
    assert list(found.identities) == list(held_out.identities)
    other = metrics.thinned(held_out, n_most=15, seed=1)
    assert set(other.photos["path"]) != set(found.photos["path"])


def test_spread_takes_as_many_of_each_person_in_the_order_of_the_corpus(rng):
    names = np.repeat(["b", "a", "c"], [9, 4, 7])
    voices = pd.DataFrame({"identity": names, "row": 10 + np.arange(20)})
    found = face_quality.spread(voices, n_most=11, rng=rng)
    assert found["identity"].value_counts().to_dict() == {"a": 3, "b": 3, "c": 3}
    assert found["row"].is_monotonic_increasing and list(found.index) == list(range(9))
    assert (voices.set_index("row").loc[found["row"], "identity"].to_numpy() == found["identity"].to_numpy()).all()
    several = {tuple(face_quality.spread(voices, n_most=11, rng=rng)["row"]) for _ in range(5)}
    assert len(several) > 1  # drawn, not the first ones
    assert len(face_quality.spread(voices, n_most=2, rng=rng)) == 3  # nobody is left out
    pd.testing.assert_frame_equal(face_quality.spread(voices, n_most=20, rng=rng), voices)


# What is read


def test_drawn_faces_are_the_generators_of_whole_recordings(tmp_path, model):
    store = world(tmp_path, crowd(test=3), noise=0.5)
    voices = store.voices(split="test")
    embeddings = data.embeddings(tmp_path, voices)
    subject = Subject(model, store, tmp_path, data.select(store, split="test"), Reader(), Inception(), seed=1)
    found = metrics.drawn(subject, voices, embeddings, n_inception=4)
    expected = drawn_by(model.generator, heard(tmp_path, voices["row"]))
    assert np.abs(found.pixels.astype(int) - expected).max() <= 1
    assert len(np.unique(found.pixels.reshape(9, -1), axis=0)) == 9
    assert list(found.identities) == list(voices["identity"]) and list(found.sources) == list(voices["source_id"])
    np.testing.assert_array_equal(found.embeddings, Reader().embed(found.pixels))
    np.testing.assert_array_equal(found.female, Reader().gender(found.pixels))
    rows = np.flatnonzero(np.isfinite(found.inception).all(axis=1))
    assert len(rows) == 4 and np.isnan(np.delete(found.inception, rows, axis=0)).all()
    np.testing.assert_array_equal(found.inception[rows], Inception().features(found.pixels[rows]))
    others = [metrics.drawn(replace(subject, seed=seed), voices, embeddings, n_inception=4) for seed in range(5)]
    assert len({tuple(np.flatnonzero(np.isfinite(other.inception[:, 0]))) for other in others}) > 1
    unknown = voices.assign(source_id=[None, *voices["source_id"][1:]])
    assert metrics.drawn(subject, unknown, embeddings).sources is None
    swapped = metrics.drawn(subject, voices, embeddings.flip(0)).pixels
    assert np.abs(swapped[::-1].astype(int) - found.pixels).max() <= 1


def test_photographs_are_those_of_the_selection(tmp_path, model):
    store = world(tmp_path, crowd(train=2, test=2), noise=0.5)
    held_out = data.select(store, split="test")
    subject = Subject(model, store, tmp_path, held_out, Reader(), Inception())
    found = metrics.photographs(subject)
    np.testing.assert_array_equal(found.pixels, store.faces[8:])
    assert list(found.identities) == ["test00"] * 4 + ["test01"] * 4
    assert list(found.sources) == list(held_out.photos["source_id"]) and np.isfinite(found.inception).all()
    unknown = Selection(held_out.voices, held_out.photos.assign(source_id=None), held_out.identities)
    found = metrics.photographs(replace(subject, held_out=unknown, inception=None))
    assert found.sources is None and found.inception is None


# Rows


@pytest.fixture(scope="module")
def measured(tmp_path_factory, model):
    """Stand-ins of a variant of women beside General's, and what they were made from."""
    folder = tmp_path_factory.mktemp("world")
    people = crowd(train="ffffmm", validation="fffm", test="ffffffffm")
    n_voices, n_photos = {"train": 3, "validation": 3, "test": 8}, {"train": 4, "validation": 4, "test": 16}
    store = world(folder, people, n_voices=n_voices, n_photos=n_photos, noise=0.3)
    held_out = data.select(store, split="test", gender="f")
    subject = Subject(model, store, folder, held_out, Reader(), Inception(), "f", seed=2)
    found = metrics.stand_ins(subject, general=network(1), n_inception=60, n_noise=20)
    photos = metrics.photographs(subject)
    return SimpleNamespace(folder=folder, store=store, held_out=held_out, found=found, photos=photos, subject=subject)


def test_every_recording_has_a_face_in_every_row(measured, model):
    found, voices = measured.found, measured.held_out.voices
    assert set(found) == {"model", "general", "neighbour", "mean_face", "gender_mean_face", "noise_voice", "probe"}
    for name in set(found) - {"noise_voice"}:
        assert list(found[name].identities) == list(voices["identity"]), name
    embeddings = heard(measured.folder, voices["row"])
    for name, own in (("model", model), ("general", network(1))):
        expected = drawn_by(own.generator, embeddings)
        assert np.abs(found[name].pixels.astype(int) - expected).max() <= 1
        assert np.isfinite(found[name].inception[:, 0]).sum() == 60
    assert (found["model"].pixels != found["general"].pixels).any()


def test_mean_faces_are_of_the_training_people_of_the_variant(measured):
    index = measured.store.index
    women = index[(index["modality"] == "face") & (index["split"] == "train") & (index["gender"] == "f")]
    expected = np.mean([measured.store.faces[row].astype(float) for row in women["row"]], axis=0)
    for name in ("mean_face", "gender_mean_face"):
        assert np.abs(measured.found[name].pixels - expected[None]).max() <= 0.5
        assert np.isfinite(measured.found[name].inception).all()


def test_noise_stands_in_for_some_recordings_of_everyone(measured, model):
    found = measured.found["noise_voice"]
    assert set(found.identities) == set(measured.held_out.identities) and len(found) == 8 * 2
    rows = measured.held_out.voices.set_index("source_id").loc[found.sources]
    assert list(rows["identity"]) == list(found.identities)
    expected = drawn_by(model.generator, heard(measured.folder, rows["row"]))
    assert (np.abs(found.pixels.astype(int) - expected).max(axis=(1, 2, 3)) > 1).all()


def test_neighbours_are_photographs_of_the_nearest_training_voice(measured):
    found, voices, index = measured.found["neighbour"], measured.held_out.voices, measured.store.index
    women = index[(index["split"] == "train") & (index["gender"] == "f")]
    known = women[women["modality"] == "voice"]
    nearest = (heard(measured.folder, voices["row"]) @ heard(measured.folder, known["row"]).T).argmax(axis=1)
    photos = women[women["modality"] == "face"].set_index("row")["identity"]
    own = {name: {measured.store.faces[row].tobytes() for row in photos.index[photos == name]} for name in set(photos)}
    for face, person in zip(found.pixels, known["identity"].to_numpy()[nearest], strict=True):
        assert face.tobytes() in own[person]
    np.testing.assert_array_equal(found.embeddings, Reader().embed(found.pixels))
    assert np.isfinite(found.inception).all() and found.sources is None
    assert len({face.tobytes() for face in found.pixels}) > len(set(nearest))  # not one photograph a person


def test_copies_are_looked_for_among_the_photographs_of_the_variant(measured):
    index = measured.store.index
    women = index[(index["modality"] == "face") & (index["split"] == "train") & (index["gender"] == "f")]
    expected = Reader().embed(np.stack([measured.store.faces[row] for row in women["row"]]))
    np.testing.assert_array_equal(metrics.trained_on(measured.subject), expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "N_TRAINING_PHOTOS", 8)
        assert len(metrics.trained_on(measured.subject)) == 8


def test_without_a_sampler_rows_of_several_draws_say_why_they_are_not_there(measured):
    result = measure(measured, {"model": measured.found["model"]})
    for row in ("draws_mean", "typical", "shuffled_mean"):
        assert {entry["reason"] for entry in result["rows"][row].values()} == {draws.NO_SAMPLER}
        assert row not in result["differences"]
    assert result["differences_of_mean"] == {}


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    """Stand-ins of a model that draws many faces of one voice, and what they were made from."""
    folder = tmp_path_factory.mktemp("sampled")
    store = world(folder, crowd(train=6, validation=4, test=6), noise=0.3)
    torch.manual_seed(4)
    sampler = Sampler(embedding_dim=DIM, kind="energy", width=32).eval()
    architecture = Architecture(0.0625, 0.0625, "batch", True, "k4", sampler=sampler.options)
    sampler.learn_axes(data.embeddings(folder, store.voices(split="train")))
    generator = architecture.generator().eval()
    with torch.no_grad():
        for network in (generator, sampler):
            for parameter in network.parameters():
                parameter.mul_(3 if parameter.ndim > 1 else 1)
    own = Model(architecture.voice_embedding().eval(), generator, architecture, "drawing", sampler)
    subject = Subject(own, store, folder, data.select(store, split="test"), Reader(), Inception(), seed=2)
    return SimpleNamespace(subject=subject, found=metrics.stand_ins(subject, n_inception=6, n_noise=6))


def test_the_mean_of_the_draws_is_that_of_their_embeddings_less_what_all_draws_have_in_common(sampled):
    found, subject, voices = sampled.found["draws_mean"], sampled.subject, sampled.subject.held_out.voices
    draws = subject.model.draws(data.embeddings(subject.voice, voices), catalogue.N_MEAN, seed=2)
    known = subject.store.voices(split="train")
    means = np.stack([np.mean(Reader().embed(each), axis=0) for each in draws])
    some = known.iloc[metrics.seeding.stream(2, "subsets").permutation(len(known))]
    anybodys = Reader().embed(subject.model.draws(data.embeddings(subject.voice, some), seed=2)[:, 0])
    np.testing.assert_allclose(found.embeddings, unit(means - anybodys.mean(0)), atol=1e-5)
    assert (found.embeddings * unit(means)).sum(1).max() < 0.9
    assert found.pixels is None and found.female is None and found.inception is None
    assert list(found.identities) == list(voices["identity"]) and list(found.sources) == list(voices["source_id"])
    assert len(np.unique(draws[0].reshape(len(draws[0]), -1), axis=0)) == catalogue.N_MEAN


def test_of_many_recordings_some_of_each_person_are_drawn_many_times(sampled, monkeypatch):
    subject, people = sampled.subject, sampled.subject.held_out.identities
    monkeypatch.setattr(metrics, "MOST_AVERAGED", len(people))
    assert len(sampled.found["draws_mean"].embeddings) == len(subject.held_out.voices) > len(people)
    found = metrics.stand_ins(subject, n_inception=6, n_noise=6)["draws_mean"]
    assert sorted(found.identities) == sorted(people)


def test_photographs_by_their_codes_are_those_that_real_faces_are_taken_from(sampled):
    torch.manual_seed(5)
    subject, photos = replace(sampled.subject, code=FaceCode(width=0.0625).eval()), metrics.photographs(sampled.subject)
    found = metrics.stand_ins(subject, n_inception=3, n_noise=6)["by_code"]
    taken = rows.taken(photos, rng=metrics.seeding.stream(2, "bootstrap"))
    assert 0 < taken.sum() < len(photos) and list(found.identities) == list(photos.identities[taken])
    assert list(found.sources) == list(photos.sources[taken]) and np.isfinite(found.inception[:, 0]).sum() == 3
    pixels = torch.from_numpy(photos.pixels[taken]).permute(0, 3, 1, 2)
    with torch.no_grad():
        again = subject.code.decode(subject.code.encode(pixels / 127.5 - 1))
    expected = ((again + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    assert np.abs(found.pixels - expected).max() <= 1 and expected.std() > 1
    assert "by_code" not in sampled.found
    measured = SimpleNamespace(photos=photos, held_out=subject.held_out)
    result = measure(measured, {"model": sampled.found["model"], "by_code": found}, seed=2)
    assert result["rows"]["by_code"]["l1_pixel_255"]["n_recordings"] == taken.sum()
    absent = measure(measured, {"model": sampled.found["model"]}, seed=2)["rows"]["by_code"]
    assert {entry["reason"] for entry in absent.values()} == {metrics.NO_CODE}


def test_without_a_second_photograph_of_anybody_none_is_drawn_by_its_code(sampled):
    photos = sampled.subject.held_out.photos.drop_duplicates("identity")
    held_out = replace(sampled.subject.held_out, photos=photos)
    subject = replace(sampled.subject, code=FaceCode(width=0.0625).eval(), held_out=held_out)
    assert "by_code" not in metrics.stand_ins(subject, n_inception=3, n_noise=6)


def test_many_draws_for_the_first_recording_of_each_person_are_measured(sampled, monkeypatch):
    subject, asked = sampled.subject, []

    def drawn(model, embeddings, n, **given):
        asked.append((embeddings.numpy(), n))
        return many(model, embeddings, n, **given)

    many = draws.many
    monkeypatch.setattr(draws, "many", drawn)
    settings = SimpleNamespace(n_draws=6, n_bootstrap=30)
    spread = draws.of_variant(subject, settings, None)
    first = subject.held_out.voices.groupby("identity")["row"].min()
    np.testing.assert_allclose(asked[0][0], heard(subject.voice, first), atol=1e-6)
    assert asked[0][1] == 6 and (spread.n_people, spread.n_draws) == (6, 6)
    assert set(spread.energy["who"]) == set(draws.NEIGHBOURS) and (spread.energy["low"] < spread.energy["high"]).all()
    assert spread.coverage.empty and spread.reasons["coverage"] == draws.NO_ATTRIBUTES
    assert draws.of_variant(replace(subject, model=network(0)), settings, None) == draws.NO_SAMPLER
    one = data.select(subject.store, split="test")
    one = Selection(*(f[f["identity"] == "test00"] for f in (one.voices, one.photos)), np.array(["test00"]))
    assert "photographs of 1 people" in draws.of_variant(replace(subject, held_out=one), settings, None)


def test_of_synthetic_people_attributes_that_can_be_told_are_measured(sampled, monkeypatch):
    """Of a variant of women: their own truth in the order of the people, and draws for any training woman."""
    names, asked = attributes.columns(), {}
    skin = names.index("skin_tone")
    network = Readers(Trunk(len(names)), tuple(names), np.zeros(len(names)), np.ones(len(names)))

    def measure(people, found, **how):
        asked["people"] = people
        return found

    def many(model, embeddings, n, **given):
        asked["many"] = given
        return "draws"

    def read(reader, faces):
        assert reader is network
        values = np.zeros((len(faces), len(names)))
        values[:, skin] = faces.mean((1, 2, 3))
        return Read(Reader().embed(faces), values)

    monkeypatch.setattr(draws, "measure", measure)
    monkeypatch.setattr(draws, "many", many)
    monkeypatch.setattr(attributes, "read", read)
    subject = replace(sampled.subject, reader=network, photo_reader=None, gender="f")
    held_out = data.select(subject.store, split="test", gender="f")
    brightness = subject.store.faces[held_out.photos["row"].to_numpy()].mean((1, 2, 3))
    means = pd.Series(brightness).groupby(held_out.photos["identity"].to_numpy()).mean()
    people = population.sample(6, seed=0)
    people["identity"] = [f"test{k:02d}" for k in range(6)]
    people["gender"] = ["f", "m"] * 3
    known = people["identity"].map(means).fillna(0)
    people["skin_tone"] = known.rank() / 10  # can be told from a photograph; nothing else can
    settings = SimpleNamespace(n_draws=6, n_bootstrap=30)
    shuffled = people.sample(frac=1, random_state=1).reset_index(drop=True)
    assert draws.of_variant(replace(subject, held_out=held_out), settings, shuffled) == "draws"
    found = asked["people"]
    assert list(found.columns) == names
    assert [name for name, told in zip(names, found.legible, strict=True) if told] == ["skin_tone"]
    voices = subject.store.voices(split="train")
    women = voices[voices["gender"] == "f"]
    embeddings, genders = asked["many"]["training"]
    np.testing.assert_allclose(embeddings.numpy(), heard(subject.voice, women["row"]), atol=1e-6)
    assert set(genders) == {"f"} and asked["many"]["seed"] == subject.seed


def test_the_typical_row_is_the_most_typical_draw(sampled):
    found, subject = sampled.found["typical"], sampled.subject
    heard_ = data.embeddings(subject.voice, subject.held_out.voices)
    np.testing.assert_array_equal(found.pixels, subject.model.typical(heard_))
    np.testing.assert_array_equal(found.embeddings, Reader().embed(found.pixels))
    assert np.isfinite(found.inception[:, 0]).sum() == 6


def test_the_probe_row_is_the_probe_of_the_variants_people(measured):
    row = measured.found["probe"]
    voices = heard(measured.folder, measured.held_out.voices["row"])
    expected = {gender: metrics.probe(replace(measured.subject, gender=gender), voices) for gender in ("f", None)}
    np.testing.assert_allclose(row.embeddings, expected["f"], atol=1e-4)
    assert np.abs(row.embeddings - expected[None]).max() > 0.01
    assert row.pixels is None and row.female is None and row.inception is None
    assert list(row.sources) == list(measured.held_out.voices["source_id"])


def test_general_has_no_general_beside_it(tmp_path, model):
    store = world(tmp_path, crowd(train=4, validation=2, test=4), noise=0.2)
    held_out = data.select(store, split="test")
    subject = Subject(model, store, tmp_path, held_out, Reader(), Inception())
    found = metrics.stand_ins(subject, n_inception=6, n_noise=99)
    assert "general" not in found and len(found) == 6  # of a model without a sampler
    assert len(found["noise_voice"]) == 12
    photos = store.photos(split="train")
    for name, sexes in (("mean_face", ["f", "m"]), ("gender_mean_face", ["m"])):
        rows = photos.loc[photos["gender"].isin(sexes), "row"]
        mean = store.faces[rows.to_numpy()].astype(float).mean(axis=0)
        man = list(found[name].identities).index("test01")
        assert np.abs(found[name].pixels[man] - mean).max() <= 0.5


def test_the_mean_face_of_a_sex_needs_everybodys(tmp_path, measured, model):
    store = world(tmp_path, crowd(train="fmfm", validation="fm", test="fm?m"), noise=0.2)
    held_out = data.select(store, split="test")
    found = metrics.stand_ins(
        Subject(model, store, tmp_path, held_out, Reader(), Inception()), n_inception=6, n_noise=9
    )
    assert "gender_mean_face" not in found and len(found["mean_face"]) == len(held_out.voices)
    row = measure(measured, {"model": measured.found["model"]})["rows"]["gender_mean_face"]
    assert {entry["reason"] for entry in row.values()} == {
        "the gender of some people, or the mean face of it, is unknown"
    }


def measure(measured, found, **changed):
    sizes = Sizes(**{"n_resamples": 30, "n_subsamples": 5, "n_fid": 55} | changed.pop("sizes", {}))
    settings = {"protocol": "held_out", "seed": 0, "sizes": sizes, "training": np.eye(16)} | changed
    return metrics.measure(found, measured.photos, measured.held_out.people, **settings)


def test_the_general_variant_says_why_it_has_no_row_general(measured):
    own = measured.found["model"]
    alone = measure(measured, {"model": own})
    assert alone["protocol"] == "held_out" and "general" not in alone["differences"]
    for entry in alone["rows"]["general"].values():
        assert entry["value"] is None and entry["reason"] == "this is the General model"
    both = measure(measured, {"model": own, "general": own})
    value = both["rows"]["general"]["matching_2way"]["value"]
    assert value == both["rows"]["model"]["matching_2way"]["value"] is not None
    assert both["differences"]["general"]["matching_2way"]["value"] == 0


def test_measuring_takes_the_faces_and_resamples_it_is_told(measured):
    found = {"model": measured.found["model"]}
    first, again = measure(measured, found), measure(measured, found)
    assert first == again
    assert first["rows"]["model"]["fid"]["n_recordings"] == 55
    assert first["rows"]["ceiling"]["fid"]["n_recordings"] == 55
    assert measure(measured, found, sizes={"n_fid": 51})["rows"]["model"]["fid"]["n_recordings"] == 51
    names = ("cosine_matched", "kid")
    for changed, moved in (
        ({"sizes": {"n_resamples": 60}}, (True, False)),
        ({"sizes": {"n_subsamples": 50}}, (False, True)),
        ({"seed": 1}, (True, True)),
    ):
        other = measure(measured, found, **changed)
        parts = [[r["rows"]["model"][metric]["high"] for metric in names] for r in (first, other)]
        assert tuple(a != b for a, b in zip(*parts, strict=True)) == moved


@pytest.mark.parametrize(("max_images", "n_photos"), [(400, 10), (400, 8), (400, 7), (110, 10), (112, 10)])
@pytest.mark.parametrize("seed", [0, 1])
def test_whether_sets_can_be_compared_is_known_before_inception_runs(
    tmp_path, monkeypatch, model, max_images, n_photos, seed
):
    store = world(tmp_path, crowd(train=4, validation=2, test=14), n_photos=n_photos, n_voices=4)
    asked = SimpleNamespace(max_images=max_images, face_identity=None, face_gender=None, inception=None)
    resolved = SimpleNamespace(
        measure=asked,
        variant=SimpleNamespace(gender=None),
        corpus=SimpleNamespace(kind="synthetic"),
        sampler=SimpleNamespace(kind="none"),
    )
    study = SimpleNamespace(params=resolved, seed=seed, n_workers=1, device="cpu", read=lambda what: tmp_path)
    monkeypatch.setattr(metrics.Store, "open", lambda folder: store)
    monkeypatch.setattr(metrics.inference, "load", lambda folder: model)
    monkeypatch.setattr(metrics.face_quality, "reader", lambda *_, **__: (Reader(), "own"))
    monkeypatch.setattr(metrics.preprocessing, "inputs", lambda study: {"root": tmp_path})
    monkeypatch.setattr(metrics.face_readers, "Inception", lambda **_: Inception())
    subject, _ = metrics.subject(study)
    n_fid = metrics.n_distribution(max_images)
    everything = replace(subject, inception=Inception())  # however few there are
    found = {"model": metrics.drawn(everything, subject.held_out.voices, torch.randn(56, DIM), n_inception=n_fid)}
    measured = SimpleNamespace(photos=metrics.photographs(everything), held_out=subject.held_out)
    entry = measure(measured, found, sizes={"n_fid": n_fid}, seed=seed)["rows"]["model"]["fid"]
    n = metrics.n_compared(subject.held_out, max_images=max_images, seed=seed)
    if subject.inception is None:
        few = f"too few faces to compare as sets: {n} a side, at least 50 are needed"
        assert n < 50 and entry["value"] is None and entry["reason"] == few
    else:
        assert entry["value"] is not None and entry["n_recordings"] == n >= 50


def test_rows_without_inception_say_that_faces_were_too_few(measured):
    found = {name: replace(faces, inception=None) for name, faces in measured.found.items()}
    few = measured.held_out.photos.groupby("identity").head(2).index
    photos = replace(measured.photos, inception=None).take(few.to_numpy())
    with_few = SimpleNamespace(photos=photos, held_out=measured.held_out)
    rows = measure(with_few, found)["rows"]
    for row in ("model", "ceiling", "random_real", "mean_face"):
        assert "at least 50 are needed" in rows[row]["kid"]["reason"], row
    assert rows["probe"]["kid"]["reason"] == "this row has no faces of this kind"
    assert rows["gender_oracle"]["kid"]["reason"] == "sex alone is no face"


# Noise


class Listener:
    """Keeps what the encoder is given."""

    def __init__(self, encoder):
        self.architecture, self.given = SimpleNamespace(encoder=encoder), []

    def embed(self, inputs):
        self.given.append(inputs)
        return np.zeros(DIM, np.float32)


def test_noise_is_as_long_as_the_recording(tmp_path):
    store = world(tmp_path, crowd(test=2), n_voices=2, n_frames=(300, 1500))
    rows = [3, 0, 2]
    lengths = np.diff(store.mel_offsets)[rows]
    assert lengths.min() < 1000 < lengths.max()
    listener = Listener("own")
    metrics.noise_embeddings(Subject(listener, store, None, None, None), pd.DataFrame({"row": rows}))
    for given, n in zip(listener.given, lengths, strict=True):
        assert given.shape == (max(n, 1000), front_end.N_MELS) and given.dtype == np.float32
        np.testing.assert_array_equal(given[n:], given[: len(given) - n])  # repeated as a recording is
        np.testing.assert_allclose(given[:n].mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(given[:n].std(axis=0), 1, atol=1e-4)
        assert abs(np.corrcoef(given[: n - 1].ravel(), given[1:n].ravel())[0, 1]) < 0.05


def test_a_packaged_encoder_is_given_six_seconds_of_white_noise(tmp_path):
    listener = Listener("ge2e")
    metrics.noise_embeddings(Subject(listener, None, None, None, None), pd.DataFrame({"row": [0, 1]}))
    first, second = listener.given
    assert first.shape == second.shape == (*first.shape[:1], 160, 40) and len(first) * 1.6 >= 6
    assert (first != second).any()


def test_noise_embeddings_are_unit_vectors_of_the_seed(tmp_path, model):
    store = world(tmp_path, crowd(test=2), n_voices=2)
    voices = store.voices()
    found = metrics.noise_embeddings(Subject(model, store, None, None, None, seed=0), voices)
    assert found.shape == (4, 64) and found.dtype == torch.float32
    np.testing.assert_allclose(found.norm(dim=1), 1, atol=1e-5)
    assert min((found[i] - found[j]).abs().max() for i in range(4) for j in range(i)) > 1e-4
    assert torch.equal(found, metrics.noise_embeddings(Subject(model, store, None, None, None, seed=0), voices))
    assert not torch.equal(found, metrics.noise_embeddings(Subject(model, store, None, None, None, seed=1), voices))


# The probe


class Guarded(Store):
    """A store that gives no files of test people."""

    def _select(self, modality, where):
        assert where.get("split") in ("train", "validation"), f"{where} was asked for"
        return super()._select(modality, where)


def matched(guesses, faces):
    """Share of pairs of people in which a guess is nearer to the own face than to the other's."""
    n = len(faces)
    return np.mean([g @ faces[i] > g @ faces[j] for i, g in enumerate(guesses) for j in range(n) if j != i])


@pytest.mark.parametrize("related", [True, False], ids=["linear", "unrelated"])
def test_the_probe_finds_what_is_there_and_nothing_else(tmp_path, related):
    people = crowd(train=40, validation=20, test=60)
    store = world(tmp_path, people, n_voices=1, n_photos=2, related=related)
    voices, photos = store.voices(split="test"), store.photos(split="test")
    new = heard(tmp_path, voices["row"])
    guesses = metrics.probe(Subject(None, store, tmp_path, None, Reader(), gender=None), new)
    assert guesses.shape == (60, N_LOOKS) and guesses.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(guesses, axis=1), 1, atol=1e-5)
    faces = Reader().embed(store.faces[photos["row"].to_numpy()])[::2]
    if related:
        mean = heard(tmp_path, store.voices(split="train")["row"]).mean(axis=0)
        direction = unit((new - mean)[:, :N_LATENT] @ LOOKS.T)  # away from the mean training face
        assert (guesses * direction).sum(axis=1).min() > 0.99
        assert matched(guesses, faces) > 0.97
    else:
        assert abs(matched(guesses, faces) - 0.5) < 0.1


def test_photographs_are_read_by_the_reader_that_keeps_them(tmp_path):
    people = crowd(train=8, validation=4, test=4)
    store = world(tmp_path, people, n_voices=2, n_photos=3)
    plain, keeps = Reader(), Reader()
    held_out = data.select(store, split="test")
    subject = Subject(None, store, tmp_path, held_out, plain, photo_reader=keeps)
    metrics.probe(subject, np.eye(3, DIM))
    metrics.photographs(subject)
    assert plain.seen == [] and sum(map(len, keeps.seen)) == 3 * (8 + 4 + 4)


def test_the_probe_is_a_ridge_with_the_penalty_that_validation_people_like_best(tmp_path):
    people = crowd(train=12, validation=14, test=3)
    store = world(tmp_path, people, n_voices=2, n_photos=3, noise=1.0)
    new = heard(tmp_path, store.voices(split="test")["row"])
    found = metrics.probe(Subject(None, store, tmp_path, None, Reader(), gender=None), new)
    parts = {}
    for split in ("train", "validation"):
        voices, photos = store.voices(split=split), store.photos(split=split)
        looks = Reader().embed(store.faces[photos["row"].to_numpy()])
        parts[split] = voices["identity"].to_numpy(), heard(tmp_path, voices["row"]), photos["identity"], looks
    speakers, x, owners, looks = parts["train"]
    targets = np.stack([unit(looks[owners == name].mean(axis=0)) for name in speakers])
    centre, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)

    def guess(penalty, voices):
        fitted = Ridge(alpha=penalty * len(x)).fit((x - centre) / scale, targets)
        return unit(fitted.predict((voices - centre) / scale) - targets.mean(axis=0))

    def score(penalty):
        speakers, voices, owners, looks = parts["validation"]
        names, guesses, by_pair = np.unique(speakers), guess(penalty, voices), []
        for own in names:
            for other in names[names != own]:
                own_cosines, other_cosines = (
                    guesses[speakers == own] @ looks[owners == name].T for name in (own, other)
                )
                by_pair.append(np.mean(own_cosines[:, :, None] > other_cosines[:, None, :]))
        return np.mean(by_pair)

    scores = {penalty: score(penalty) for penalty in metrics.PENALTIES}
    best = max(scores, key=scores.get)
    assert len(set(scores.values())) > 2 and best not in (metrics.PENALTIES[0], 1.0)  # the choice matters
    np.testing.assert_allclose(found, guess(best, new), atol=1e-3)
    assert np.abs(guess(best, new) - guess(metrics.PENALTIES[0], new)).max() > 0.01


def test_the_probe_never_reads_test_people_nor_the_other_sex(tmp_path):
    people = crowd(train=8, validation=6, test=4)
    store = world(tmp_path, people, n_photos=9, kind=Guarded)
    reads = (store.index["split"] != "test") & (store.index["gender"] == "f")
    hidden = store.index[~reads & (store.index["modality"] == "face")]
    store.faces[hidden["row"].to_numpy()] = 255
    vectors, offsets = np.load(tmp_path / "tracks.npy"), np.load(tmp_path / "track_offsets.npy")
    for row in store.index.loc[~reads & (store.index["modality"] == "voice"), "row"]:
        vectors[offsets[row] : offsets[row + 1]] = np.nan
    tracks.write(tmp_path, vectors, offsets)
    reader = Reader()
    found = metrics.probe(Subject(None, store, tmp_path, None, reader, gender="f"), np.eye(3, DIM))
    assert np.isfinite(found).all()
    assert [len(faces) for faces in reader.seen] == [4 * metrics.N_PROBE_PHOTOS, 3 * metrics.N_PROBE_PHOTOS]
    assert not any((faces == 255).all(axis=(1, 2, 3)).any() for faces in reader.seen)


# Readings


@pytest.mark.parametrize("sources", [True, False], ids=["videos", "no videos"])
@pytest.mark.parametrize("extracted", [None, [0, 3, 4]], ids=["no Inception", "Inception"])
def test_readings_come_back_as_they_were(tmp_path, rng, sources, extracted):
    sets = []
    for n in (6, 9):
        inception = None
        if extracted is not None:
            inception = np.full((n, 12), np.nan, np.float32)
            inception[extracted] = rng.normal(size=(3, 12))
        sets.append(
            FaceSet(
                identities=rng.choice(np.array(["a", "bb", "ccc"], object), n),
                pixels=rng.integers(0, 256, (n, 4, 4, 3), np.uint8),
                embeddings=rng.normal(size=(n, 5)).astype(np.float32),
                female=rng.random(n, np.float32),
                inception=inception,
                sources=np.array([f"v{k}" for k in range(n)], object) if sources else None,
            )
        )
    stored = rng.integers(0, 256, (30, 4, 4, 3), np.uint8)
    rows = rng.permutation(50)[:6], rng.permutation(30)[:9]
    sets[1] = replace(sets[1], pixels=stored[rows[1]])
    held_out = Selection(*(pd.DataFrame({"row": part}) for part in rows), np.array([]))
    save_readings(tmp_path, *sets, held_out)
    assert {path.name for path in tmp_path.iterdir()} == {READINGS, FACES}
    read = load_readings(tmp_path, SimpleNamespace(faces=stored))
    np.testing.assert_array_equal(read.voice_rows, rows[0])
    np.testing.assert_array_equal(read.photo_rows, rows[1])
    for before, after in zip(sets, (read.faces, read.photos), strict=True):
        for name in ("identities", "pixels", "embeddings", "female", "inception", "sources"):
            old, new = getattr(before, name), getattr(after, name)
            assert (old is None) == (new is None), name
            if old is not None:
                assert old.dtype == new.dtype
                np.testing.assert_array_equal(old, new)


def test_readings_are_of_the_photographs_that_were_read(tmp_path, model):
    store = world(tmp_path, crowd(test=5), n_photos=8, noise=0.5)
    held_out = metrics.thinned(data.select(store, split="test"), n_most=15, seed=3)
    subject = Subject(model, store, tmp_path, held_out, Reader())
    photos = metrics.photographs(subject)
    faces = metrics.drawn(subject, held_out.voices, data.embeddings(tmp_path, held_out.voices))
    save_readings(tmp_path, faces, photos, held_out)
    found = load_readings(tmp_path, store)
    np.testing.assert_array_equal(found.photos.pixels, photos.pixels)
    np.testing.assert_array_equal(Reader().embed(found.photos.pixels), found.photos.embeddings)
    assert list(found.photo_rows) == list(held_out.photos["row"]) and len(found.photo_rows) == 15
    with np.load(tmp_path / READINGS) as arrays:
        np.savez(tmp_path / READINGS, **{name: arrays[name] for name in arrays if name != "photos_rows"})
    with pytest.raises(RunError, match=r"readings\.npz does not say which files of the store were read\. Measure"):
        load_readings(tmp_path, store)


# FID by n


def frechet(x, y):
    root = sqrtm(np.cov(x.T) @ np.cov(y.T)).real
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(np.cov(x.T) + np.cov(y.T) - 2 * root)


def sets_of_features(rng, *, n_extracted):
    names = np.repeat(np.array([f"p{k:02d}" for k in range(60)], object), 2)
    photos = FaceSet(names, inception=rng.normal(size=(120, 6)).astype(np.float32))
    features = np.full((120, 6), np.nan, np.float32)
    features[rng.permutation(120)[:n_extracted]] = rng.normal(size=(n_extracted, 6)) + 2
    return FaceSet(names, inception=features), photos


def test_fid_by_n_of_all_faces_is_the_distance_itself(rng):
    faces, photos = sets_of_features(rng, n_extracted=60)
    found = metrics.fid_by_n(faces, photos, n_most=99, seed=4)
    assert set(found) == {"drawn to real", "real to real"}
    reference, source = standins.halves(photos, rng=metrics.seeding.stream(4, "subsets"))
    drawn = faces.inception[np.isfinite(faces.inception[:, 0])]
    for name, part in (("drawn to real", drawn), ("real to real", source.inception)):
        assert list(found[name].columns) == ["n", "fid", "low", "high"] and found[name]["n"].iloc[-1] == 60
        expected = frechet(part.astype(float), reference.inception.astype(float))
        assert found[name]["fid"].iloc[-1] == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert (found["real to real"]["high"] < found["drawn to real"]["low"]).all()
    assert found["drawn to real"]["fid"].iloc[-1] == pytest.approx(6 * 2**2, rel=0.3)


@pytest.mark.parametrize(("n_most", "n_extracted", "most"), [(55, 120, 55), (99, 53, 53), (99, 120, 60), (50, 80, 50)])
def test_fid_by_n_never_asks_for_more_than_there_is(rng, n_most, n_extracted, most):
    found = metrics.fid_by_n(*sets_of_features(rng, n_extracted=n_extracted), n_most=n_most, seed=0)
    assert len(found) == 2
    for frame in found.values():
        assert frame["n"].max() == most and frame["n"].min() == 50
        assert frame["n"].is_monotonic_increasing and frame["n"].is_unique


def test_fid_by_n_of_too_few_faces_is_nothing(rng):
    faces, photos = sets_of_features(rng, n_extracted=49)
    assert metrics.fid_by_n(faces, photos, n_most=99, seed=0) == {}
    faces, photos = sets_of_features(rng, n_extracted=60)
    assert metrics.fid_by_n(faces, photos, n_most=49, seed=0) == {}
    for part in (faces, photos):
        assert metrics.fid_by_n(faces, replace(part, inception=None), n_most=99, seed=0) == {}
    one_each = photos.take(np.arange(0, 120, 2))  # no person has two photographs
    assert metrics.fid_by_n(sets_of_features(rng, n_extracted=60)[0], one_each, n_most=99, seed=0) == {}


# People of training


@pytest.mark.parametrize(
    ("train", "test", "expected"),
    [
        ("fffffmmmmm", "ffm", {"f": 2, "m": 1}),
        ("fffffm", "ffmm", {"f": 2, "m": 1}),
        ("fmfm????", "f??", {"f": 1}),
        ("fm????", "???", {}),
    ],
    ids=["enough", "too few men", "half known", "unknown"],
)
def test_seen_people_are_as_many_of_each_sex_as_are_held_out(tmp_path, model, train, test, expected):
    people = crowd(train=train, validation="fm", test=test)
    n_voices, n_photos = {"train": 6, "validation": 1, "test": 3}, {"train": 9, "validation": 2, "test": 5}
    store = world(tmp_path, people, n_voices=n_voices, n_photos=n_photos, noise=0.4)
    held_out = data.select(store, split="test")
    faces, photos, chosen = metrics.seen(Subject(model, store, tmp_path, held_out, Reader(), Inception()))
    if expected:
        assert chosen["gender"].value_counts(dropna=False).to_dict() == expected
    else:
        assert len(chosen) == len(test)
    n_held = len(test.replace("?", "")) or len(test)
    assert chosen["identity"].str.startswith("train").all() and chosen["identity"].is_unique
    n = len(chosen)
    for part, n_files in ((faces, 3 * n_held), (photos, 5 * n_held)):
        assert set(part.identities) == set(chosen["identity"]) and part.inception is None
        assert (pd.Series(part.identities).value_counts() == n_files // n).all()
    index = store.index.set_index("path")
    rows = index.loc["voice/" + faces.sources, "row"]
    expected_faces = drawn_by(model.generator, heard(tmp_path, rows))
    assert np.abs(faces.pixels.astype(int) - expected_faces).max() <= 1
    assert list(index.loc["voice/" + faces.sources, "identity"]) == list(faces.identities)
    np.testing.assert_array_equal(photos.pixels, store.faces[index.loc["face/" + photos.sources, "row"].to_numpy()])
    assert list(index.loc["face/" + photos.sources, "identity"]) == list(photos.identities)


def test_nobody_is_seen_where_nobody_of_the_training_is_of_a_sex_that_is_measured(tmp_path, sampled):
    people = crowd(train="mmmmmm", validation="fm", test="fff")
    store = world(tmp_path, people)
    subject = Subject(sampled.subject.model, store, tmp_path, data.select(store, split="test"), Reader(), Inception())
    assert metrics.seen(subject) is None
    found = metrics.seen_unseen(subject, None, None, protocol="held_out", rng=np.random.default_rng(0))
    assert set(found["reason"]) == {"no training person has the sex of somebody who is measured"}


def test_who_is_seen_is_drawn_of_the_variants_people(tmp_path, model):
    store = world(tmp_path, crowd(train=20, test=4))
    held_out = data.select(store, split="test", gender="m")
    found = set()
    for seed in range(4):
        people = metrics.seen(Subject(model, store, tmp_path, held_out, Reader(), gender="m", seed=seed))[2]
        assert (people["gender"] == "m").all() and len(people) == 2
        found.add(tuple(people["identity"]))
    assert len(found) > 1


# What lies beside


@pytest.mark.parametrize("given", ["face_identity", "face_gender"])
def test_networks_given_by_path_are_judged_on_validation_people(tmp_path, monkeypatch, given):
    people = crowd(train=4, validation=6, test=2)
    store, reader = world(tmp_path, people), Reader()
    (tmp_path / "measure").mkdir()
    before = {key: {"judged": "before"} for key in face_quality.QUALITY}
    face_quality.write(before, tmp_path / "measure", reader_name="them")
    monkeypatch.setattr(metrics.preprocessing, "inputs", lambda study: {"root": tmp_path})

    def quality(**paths):
        measure = SimpleNamespace(**{"face_identity": None, "face_gender": None} | paths)
        study = SimpleNamespace(params=SimpleNamespace(measure=measure), seed=0, read=lambda what: tmp_path / what)
        return metrics.network_quality(study, SimpleNamespace(store=store, reader=reader))

    assert quality() == {"reader": "them", **before} and not reader.seen
    aligned = quality(**{given: "mine"})["aligned"]
    photos = data.select(store, split="validation").photos
    np.testing.assert_array_equal(reader.seen[0], store.faces[photos["row"].to_numpy()])
    assert (aligned["n_photos"], aligned["n_identities"]) == (24, 6)
    right = (reader.gender(reader.seen[0]) > 0.5) == (photos["gender"] == "f").to_numpy()
    assert aligned["gender_accuracy"]["value"] == pytest.approx(right.mean())


def test_ages_are_those_the_corpus_knows(tmp_path):
    study = SimpleNamespace(read=lambda what: tmp_path / what)
    assert metrics.ages(study) is None
    (tmp_path / "corpus").mkdir()
    people = pd.DataFrame({"age_years": [31.5, 60.0], "identity": ["b", "a"], "skin_tone": [0.1, 0.2]})
    people.to_parquet(tmp_path / "corpus" / "people.parquet")
    assert metrics.ages(study).to_dict() == {"b": 31.5, "a": 60.0}


def test_a_variant_of_one_sex_is_measured_beside_general(tmp_path, model):
    inference.save(tmp_path, replace(model, name="kept"))
    asked = []

    def of(variant):
        return SimpleNamespace(read=lambda what: asked.append((variant, what)) or tmp_path)

    assert metrics.general(SimpleNamespace(variant="females", of=of)).name == "kept"
    assert asked == [("general", "model")]
    assert metrics.general(SimpleNamespace(variant="general", of=of)) is None


@pytest.mark.parametrize("packaged", [True, False])
def test_what_the_packaged_network_reads_of_photographs_is_kept_beside_the_store(tmp_path, monkeypatch, packaged):
    people = crowd(train=4, validation=2, test=4)
    store = world(tmp_path / "store", people)
    reader = object.__new__(face_readers.Packaged) if packaged else Reader()
    reader.embed = Reader().embed
    monkeypatch.setattr(metrics.Store, "open", lambda folder: store)
    monkeypatch.setattr(metrics.inference, "load", lambda folder: None)
    monkeypatch.setattr(metrics.face_quality, "reader", lambda *given, **paths: (reader, "it"))
    monkeypatch.setattr(metrics.face_readers, "Inception", lambda **given: None)
    monkeypatch.setattr(metrics.preprocessing, "inputs", lambda study: {"root": tmp_path / "sound"})
    monkeypatch.setattr(metrics.codes, "load", lambda folder: folder.name)
    resolved = params.resolve("smoke", root=ROOT)
    study = SimpleNamespace(params=resolved, seed=3, n_workers=1, device="cpu", read=lambda what: tmp_path / what)
    subject, name = metrics.subject(study)
    assert subject.code == "code"
    study.params = params.resolve("smoke", overrides={"recipe": "poster"}, root=ROOT)
    assert metrics.subject(study)[0].code is None
    assert (name, subject.root, subject.reader, subject.seed) == ("it", tmp_path / "sound", reader, 3)
    faces = store.faces[:3]
    np.testing.assert_array_equal(subject.of_photos.embed(faces), Reader().embed(faces))
    assert len(list(tmp_path.glob(".readings/*/*.safetensors"))) == packaged
    assert packaged or subject.of_photos is reader


@pytest.mark.parametrize(("rule", "expected"), [("none", "closed"), ("by_fraction", "held_out")])
def test_who_is_measured_was_trained_on_in_a_closed_set_alone(rule, expected):
    study = SimpleNamespace(params=params.resolve("smoke", overrides={"split.rule": rule}, root=ROOT))
    assert metrics.protocol(study) == expected


def test_as_much_is_measured_as_the_parameters_ask_for():
    asked = {"measure.n_bootstrap": 111, "measure.kid_subsets": 33, "measure.max_images": 70}
    sizes = metrics.sizes(params.resolve("smoke", overrides=asked, root=ROOT).measure)
    assert (sizes.n_resamples, sizes.n_subsamples, sizes.n_fid) == (111, 33, metrics.n_distribution(70))


def test_a_closed_set_has_no_measure_that_needs_people_who_were_not_trained_on(measured):
    rows = {name: measured.found[name] for name in ("model", "neighbour")}
    open_, closed = (measure(measured, rows, protocol=protocol) for protocol in ("held_out", "closed"))
    assert closed["protocol"] == "closed" and "neighbour" not in closed["differences"]
    assert open_["rows"]["model"]["copies"]["value"] is not None
    for entry in (closed["rows"]["model"]["copies"], *closed["rows"]["neighbour"].values()):
        assert entry["value"] is None and entry["reason"] == "the people who are measured were trained on"
    assert closed["rows"]["model"]["matching_2way"] == open_["rows"]["model"]["matching_2way"]
    nobody = metrics.seen_unseen(None, own := rows["model"], own, protocol="closed", rng=np.random.default_rng(0))
    assert set(nobody["speakers"]) == {"unseen", "seen in training"} and nobody["value"].isna().all()
    assert set(nobody["reason"]) == {"the people who are measured were trained on"}
