import numpy as np
import pandas as pd
import pytest

from s2f import voice_quality
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


def test_nothing_set_aside_is_null_with_a_reason(folder):
    frame = rows()
    training = data.Selection(frame, frame, np.array(["a", "b", "c"]))
    right = voice_quality.named_right(folder, lambda x: x[:, :3], training, frame.iloc[:0])
    assert right.shape == (0,)
    found = voice_quality.metrics(right, None, n_speakers=3)
    assert found["top1_set_aside"]["value"] is None and "set aside" in found["top1_set_aside"]["reason"]
    assert found["equal_error_rate"]["value"] is None and found["equal_error_rate"]["reason"]


def test_error_rates_need_two_recordings_of_one(folder):
    rates = voice_quality.error_rates(folder, rows(), seed=0)
    assert rates.equal_error_rate.value == 0 and (rates.n_same, rates.n_different) == (3, 12)
    found = voice_quality.metrics(np.array([True, False]), rates, n_speakers=3)
    assert found["top1_set_aside"] == {"value": 0.5, "reason": None}
    assert found["equal_error_rate"]["value"] == 0 and found["n_same"] == 3
    assert voice_quality.error_rates(folder, rows(source_id=list("uuvvww")), seed=0) is None  # one video each
    assert voice_quality.error_rates(folder, rows(identity=list("abcdef")), seed=0) is None
    assert voice_quality.error_rates(folder, rows(identity="a"), seed=0) is None
