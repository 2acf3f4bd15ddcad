"""A manifest is checked, counted, written and read; what is wrong with it is named."""

import os

import numpy as np
import pandas as pd
import pytest

from s2f.corpora import manifest, splits
from s2f.errors import CorpusError, OutputError
from tests.corpora.tables import FRACTIONS, corpus


def changed(column, value, *, row=0):
    table = manifest.validate(corpus())
    values = table[column].astype(object).tolist()
    values[row] = value
    return table.assign(**{column: pd.Series(values, dtype=object)})


BROKEN = {
    "no rows": (corpus().iloc[:0], "has no rows"),
    "missing column": (corpus().drop(columns="path"), "'path' is missing"),
    "misspelt column": (corpus().rename(columns={"gender": "gendr"}), "Did you mean 'gender'"),
    "column twice": (pd.concat([corpus(), corpus()[["gender"]]], axis=1), "appears twice"),
    "identity a number": (changed("identity", 7), "has identity 7 of type int"),
    "identity blank": (changed("identity", "  "), "has no identity"),
    "path missing": (changed("path", np.nan), "has no path"),
    "modality unknown": (changed("modality", "video"), "has modality 'video'"),
    "gender unknown": (changed("gender", "female"), "has gender 'female'"),
    "file twice": (pd.concat([corpus(), corpus().iloc[[3]]]), "is listed twice as a voice"),
    "file of two people": (changed("path", "v/Bnn_f_1/0.wav"), "of Ann_f_0, Bnn_f_1"),
    "path climbs out": (changed("path", "a/../../x.wav"), "lies outside"),
    "landmarks of four points": (changed("landmarks", [1.0] * 8, row=4), "has landmarks"),
    "landmarks NaN": (changed("landmarks", [np.nan] * 10, row=4), "has landmarks"),
    "landmarks text": (changed("landmarks", "eyes", row=4), "has landmarks 'eyes'"),
    "landmarks of a voice": (changed("landmarks", [1.0] * 10), "is a voice and has landmarks"),
    "two genders": (changed("gender", "m"), "'Ann_f_0' has more than one gender: f, m"),
    "two nationalities": (changed("nationality", "India"), "more than one nationality: India, None"),
    "two splits": (corpus().assign(split=["test"] + ["train"] * 143), "more than one split: test, train"),
    "some without split": (corpus().assign(split=[None] * 6 + ["train"] * 138), "has no split"),
    "split unknown": (corpus().assign(split="dev"), "has split 'dev'"),
    "fold unknown": (changed("fold", 2), "has fold 2"),
    "fold of a test recording": (corpus().assign(split="test", fold=[1] + [0] * 143), "not a training recording"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_manifests_are_named(kind):
    table, message = BROKEN[kind]
    with pytest.raises(CorpusError) as caught:
        manifest.validate(table)
    assert message in str(caught.value)
    assert caught.value.remedy


def test_validate_fills_and_orders_columns():
    table = manifest.validate(corpus(n_unknown=1).sample(frac=1, random_state=0))
    assert tuple(table.columns) == manifest.COLUMNS
    assert table["fold"].dtype == np.int64 and (table["fold"] == 0).all()
    assert table["gender"].isin(["f", "m", None]).all() and table["nationality"].tolist() == [None] * len(table)
    pd.testing.assert_frame_equal(manifest.validate(table), table)


def test_intersect_says_who_was_dropped_and_why():
    table = corpus(2, 2)
    mute = (table["identity"] == "Ann_f_0") & (table["modality"] == "voice")
    faceless = (table["identity"] == "Bnn_m_1") & (table["modality"] == "face")
    kept, dropped = manifest.intersect(table[~mute & ~faceless])
    assert sorted(kept["identity"].unique()) == ["Ann_m_0", "Bnn_f_1"]
    assert dropped.values.tolist() == [["Ann_f_0", "face", 2, "without_voice"], ["Bnn_m_1", "voice", 4, "without_face"]]
    with pytest.raises(CorpusError, match=r"no identity with both .* \(4 have a voice, 0 a face\)"):
        manifest.intersect(table[table["modality"] == "voice"])


def test_summary_adds_up():
    table = manifest.validate(corpus(12, 9, 3))
    table = splits.set_folds(splits.split(table, rule="by_fraction", fractions=FRACTIONS, seed=0), fraction=0.5, seed=0)
    counts = manifest.summary(table)
    assert counts["total"] == {"n_identities": 24, "n_recordings": 96, "n_faces": 48}
    for key, total in counts["total"].items():
        assert sum(s["total"][key] for s in counts["splits"].values()) == total
        for one in counts["splits"].values():
            assert sum(v[key] for name, v in one.items() if name != "total") == one["total"][key]
    assert counts["n_recordings_set_aside"] == 2 * counts["splits"]["train"]["total"]["n_identities"]
    albums = table["source_id"].where(table["modality"] == "voice", "album")
    assert counts["n_videos"] == manifest.summary(table.assign(source_id=albums))["n_videos"] == 48
    assert list(manifest.summary(manifest.validate(corpus()))["splits"]) == ["unsplit"]


def test_write_then_read(tmp_path):
    table = manifest.validate(corpus(3, 3, 1))
    table.at[4, "landmarks"] = [0.5 * i for i in range(10)]
    manifest.write(table, tmp_path / "new" / "manifest.parquet")
    pd.testing.assert_frame_equal(manifest.read(tmp_path / "new" / "manifest.parquet"), table)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "manifest.parquet"
    manifest.write(corpus(), path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match=r"manifest\.parquet cannot be written \(no space left\)"):
        manifest.write(corpus(3, 3), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["manifest.parquet"]


def test_read_says_what_is_wrong_with_the_file(tmp_path):
    with pytest.raises(CorpusError, match="does not exist"):
        manifest.read(tmp_path / "no.parquet")
    (tmp_path / "text.parquet").write_text("identity,path\n")
    with pytest.raises(CorpusError, match="cannot be read as Parquet"):
        manifest.read(tmp_path / "text.parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(CorpusError, match="'identity' is missing"):
        manifest.read(tmp_path / "other.parquet")
