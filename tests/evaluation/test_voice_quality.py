import json

import numpy as np
import pandas as pd
import pytest

from s2f.evaluation import voice_quality
from s2f.training import data, tracks


@pytest.fixture
def folder(tmp_path):
    """Tracks of six recordings of three people, each at a corner of its own."""
    vectors = np.repeat(np.eye(64, dtype=np.float32)[[0, 0, 1, 1, 2, 2]], 5, axis=0)
    tracks.write(tmp_path, vectors, np.arange(0, 31, 5))
    return tmp_path


def rows(**columns):
    frame = pd.DataFrame({"row": range(6), "identity": list("aabbcc"), "source_id": list("uvuvuv"), "gender": None})
    return frame.assign(**columns)


def test_every_recording_set_aside_is_judged(folder):
    frame = rows()
    training = data.Selection(frame, frame, np.array(["a", "b", "c"]))
    right = voice_quality.named_right(folder, lambda x: x[:, :3], training, frame.iloc[[0, 3]])
    assert right.tolist() == [True, True]
    wrong = voice_quality.named_right(folder, lambda x: x[:, [1, 0, 2]], training, frame.iloc[[0, 3, 4]])
    assert wrong.tolist() == [False, False, True]


def test_without_a_classifier_the_nearest_mean_names_the_speaker(tmp_path):
    rng = np.random.default_rng(1)
    names = np.repeat(list("abcdef"), 8)
    centres = dict(zip("abcdef", rng.normal(size=(6, 16)), strict=True))
    means = np.array([centres[name] for name in names]) + rng.normal(size=(48, 16))
    n_vectors = rng.integers(1, 5, size=48)
    offsets = np.concatenate([[0], np.cumsum(n_vectors)])
    vectors = np.repeat(means, n_vectors, axis=0) + 0.3 * rng.normal(size=(offsets[-1], 16))
    tracks.write(tmp_path, vectors.astype(np.float32), offsets)
    folds = np.tile([0, 0, 0, 0, 0, 1, 1, 1], 6)
    folds[names == "f"] = 1  # never heard
    frame = pd.DataFrame({"row": range(48), "identity": names, "fold": folds})
    aside = frame[frame["fold"] == 1].sample(frac=1, random_state=0)
    training = data.Selection(frame, frame, np.array(list("abcdef")))
    right = voice_quality.named_right(tmp_path, None, training, aside)

    def embedding(row):
        total = [sum(float(vectors[i][d]) for i in range(offsets[row], offsets[row + 1])) for d in range(16)]
        return [x / sum(x * x for x in total) ** 0.5 for x in total]

    wanted = []
    for row, identity in zip(aside["row"], aside["identity"], strict=True):
        best, nearest = -2.0, None
        for name in "abcde":
            heard = [embedding(i) for i in range(48) if names[i] == name and folds[i] == 0]
            mean = [sum(vector[d] for vector in heard) / len(heard) for d in range(16)]
            dot = sum(x * y for x, y in zip(embedding(row), mean, strict=True))
            cosine = dot / sum(x * x for x in mean) ** 0.5
            if cosine > best:
                best, nearest = cosine, name
        wanted.append(nearest == identity)
    assert right.tolist() == wanted
    assert 0.3 < right.mean() < 0.9  # neither all right nor by chance
    assert voice_quality.named_right(tmp_path, None, training, aside.iloc[:0]).shape == (0,)


def test_who_was_never_heard_is_nobodys_nearest(tmp_path):
    vectors = np.zeros((4, 8), np.float32)
    vectors[:, :2] = [[1, 0], [0, 1], [-1, -1], [-2, -1]]  # the last two are opposite to everyone who was heard
    tracks.write(tmp_path, vectors, np.arange(5))
    frame = pd.DataFrame({"row": range(4), "identity": list("abcc"), "fold": [0, 0, 1, 1]})
    training = data.Selection(frame, frame, np.array(["a", "b", "c"]))
    right = voice_quality.named_right(tmp_path, None, training, frame[frame["fold"] == 1])
    assert right.tolist() == [False, False]


def test_nothing_set_aside_is_null_with_a_reason(folder):
    frame = rows()
    training = data.Selection(frame, frame, np.array(["a", "b", "c"]))
    right = voice_quality.named_right(folder, lambda x: x[:, :3], training, frame.iloc[:0])
    assert right.shape == (0,)
    alone = voice_quality.by_length(folder, frame.iloc[:1], seed=0, seconds=(1,))
    found = voice_quality.metrics(right, None, alone, n_speakers=3)
    assert found["by_length"][0]["value"] is None and found["by_length"][0]["n_recordings"] == 1
    json.dumps(found, allow_nan=False)
    assert found["top1_set_aside"]["value"] is None and "set aside" in found["top1_set_aside"]["reason"]
    assert found["equal_error_rate"]["value"] is None and found["equal_error_rate"]["reason"]


def test_error_rates_need_two_recordings_of_one(folder):
    rates = voice_quality.error_rates(folder, rows(), seed=0)
    assert rates.equal_error_rate.value == 0 and (rates.n_same, rates.n_different) == (3, 12)
    lengths = voice_quality.by_length(folder, rows(), seed=0, seconds=(1, 2))
    found = voice_quality.metrics(np.array([True, False]), rates, lengths, n_speakers=3)
    assert [(line["seconds"], line["value"], line["n_same"]) for line in found["by_length"]] == [
        (1, 0, 3),
        (2, None, 0),
    ]
    assert found["top1_set_aside"] == {"value": 0.5, "reason": None}
    assert found["equal_error_rate"]["value"] == 0 and found["n_same"] == 3
    assert found["weights_sha256"] is None
    known = voice_quality.metrics(np.array([True]), rates, lengths, n_speakers=3, weights_sha256="a1")
    assert known["weights_sha256"] == "a1"
    assert voice_quality.error_rates(folder, rows(source_id=list("uuvvww")), seed=0) is None  # one video each
    assert voice_quality.error_rates(folder, rows(identity=list("abcdef")), seed=0) is None
    assert voice_quality.error_rates(folder, rows(identity="a"), seed=0) is None


@pytest.fixture
def noisy(tmp_path):
    """Tracks of 12 people with three recordings of 3 to 40 vectors, the voice in each under noise; and their rows."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 41, size=36)
    voices = np.repeat(rng.normal(size=(12, 64)), 3, axis=0)
    vectors = np.repeat(voices, lengths, axis=0) + 4 * rng.normal(size=(lengths.sum(), 64))
    tracks.write(tmp_path, vectors.astype(np.float32), np.concatenate([[0], np.cumsum(lengths)]))
    names = np.repeat([f"p{k:02}" for k in range(12)], 3)
    return tmp_path, pd.DataFrame({"row": range(36), "identity": names, "source_id": None, "gender": None}), lengths


def test_rates_by_length_are_of_recordings_that_are_as_long(noisy):
    folder, strangers, lengths = noisy
    vectors, offsets = np.load(folder / "tracks.npy"), np.load(folder / "track_offsets.npy")
    found = voice_quality.by_length(folder, strangers, seed=0, seconds=(1, 3, 10)).set_index("seconds")
    for s, n in ((1, 3), (3, 9), (10, 31)):  # 3.125 vectors a second
        rows = np.flatnonzero(lengths >= n)
        cut = np.stack([vectors[offsets[row] : offsets[row] + n].mean(0) for row in rows])
        cut /= np.linalg.norm(cut, axis=1, keepdims=True)
        same = strangers["identity"].to_numpy()[rows][:, None] == strangers["identity"].to_numpy()[rows]
        pairs = np.triu(np.ones_like(same), 1)
        line = found.loc[s]
        assert (line["n_recordings"], line["n_same"]) == (len(rows), (same & pairs).sum())
        assert line["cosine_same"] == pytest.approx((cut @ cut.T)[same & pairs].mean(), abs=1e-5)
        assert line["cosine_different"] == pytest.approx((cut @ cut.T)[~same & pairs].mean(), abs=1e-5)
    assert found["cosine_same"].is_monotonic_increasing and found["value"].is_monotonic_decreasing


def test_a_recording_that_was_repeated_is_as_long_as_its_speech(noisy):
    folder, strangers, lengths = noisy
    heard = strangers.assign(voice_s=[1.5] * 30 + [np.nan] * 6)
    found = voice_quality.by_length(folder, heard, seed=0, seconds=(1, 2)).set_index("seconds")
    assert found["n_recordings"].to_dict() == {1: 36, 2: (lengths[30:] >= 6).sum()}
