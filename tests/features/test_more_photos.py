"""Photographs without voices: where they are looked for, and what is kept of them."""

from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest

from s2f.errors import CorpusError
from s2f.features import more_photos, pack


@pytest.fixture
def photos(tmp_path):
    """Three photographs of 64 px in folders, one of them broken, and a note."""
    rng, paths = np.random.default_rng(0), []
    for name in ("a/one.png", "a/b/two.JPG", "broken.png"):
        paths.append(tmp_path / "photos" / name)
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(paths[-1]), rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    paths[-1].write_bytes(paths[-1].read_bytes()[:200])
    (tmp_path / "photos" / "note.txt").write_text("no photograph")
    return paths


def test_folders_and_tables_name_photographs_each_once(tmp_path, photos):
    pd.DataFrame({"face": ["photos/a/one.png", None], "age": [3, 4]}).to_parquet(tmp_path / "some.parquet")
    (tmp_path / "others.csv").write_text("Face;age\nphotos\\a\\b\\two.JPG;30\n;31\n" + photos[1].as_uri() + ";32\n")
    for hidden in ("__MACOSX/._one.png", ".thumbnails/one.png"):
        (tmp_path / "photos" / hidden).parent.mkdir()
        (tmp_path / "photos" / hidden).write_bytes(b"not looked at")
    assert sorted(more_photos.find(["photos"], root=tmp_path)) == sorted(photos)
    found = more_photos.find(["others.csv", str(tmp_path / "some.parquet"), "photos/a"], root=tmp_path)
    assert found == [photos[1], photos[0]]


def test_what_names_no_photograph_is_refused(tmp_path, photos):
    (tmp_path / "table.csv").write_text("picture,age\nx.png,3\n")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "twice.csv").write_text("face,Face\nx.png,y.png\n")
    (tmp_path / "empty").mkdir()
    for place, said in (
        ("nowhere", "nowhere does not exist"),
        ("empty", "empty names no photographs"),
        ("table.csv", "has no column 'face' .it has picture, age"),
        ("damaged.parquet", "damaged.parquet cannot be read as a table"),
        ("twice.csv", "has two columns 'face'"),
    ):
        with pytest.raises(CorpusError, match=said):
            more_photos.find([place], root=tmp_path)


def test_copies_of_somebody_s_photographs_are_left_out_by_their_bytes(tmp_path, photos):
    (tmp_path / "corpus").mkdir()
    for name, photo in (("v.wav", photos[1]), ("p.png", photos[0])):  # a recording is no photograph
        (tmp_path / "corpus" / name).write_bytes(photo.read_bytes())
    rows = [("voice", "v.wav"), ("face", "p.png"), ("face", "missing.png")]
    manifest = pd.DataFrame(rows, columns=["modality", "path"]).assign(identity="x")
    paths = [photos[1], photos[0], photos[2]]
    assert more_photos.but_of(manifest, paths, root=tmp_path / "corpus") == [photos[1], photos[2]]


def test_of_a_processed_corpus_only_photographs_of_its_size_are_taken_as_they_are(tmp_path):
    pictures = [np.full((px, px, 3), 99, np.uint8) for px in (64, 80)]
    paths = [tmp_path / f"{len(picture)}.png" for picture in pictures]
    for path, picture in zip(paths, pictures, strict=True):
        cv2.imwrite(str(path), picture)
    faces, rejected = more_photos.aligned(paths, settings=pack.Settings(processed=True), kept=tmp_path / "kept")
    assert np.array_equal(faces, pictures[:1])
    assert rejected[["path", "reason"]].values.tolist() == [[str(paths[1]), "no_face"]]


def test_no_photographs_at_all_give_no_faces(tmp_path):
    faces, rejected = more_photos.aligned([], settings=pack.Settings(), kept=tmp_path / "kept")
    assert faces.shape == (0, 64, 64, 3) and rejected.empty


def test_faces_are_aligned_as_the_store_does_and_the_rest_is_listed(tmp_path, photos, monkeypatch):
    settings = pack.Settings(processed=True)  # taken as they are: noise holds no face
    faces, rejected = more_photos.aligned(photos, settings=settings, kept=tmp_path / "kept")
    expected = [pack.photo(str(path), None, settings) for path in photos[:2]]
    assert np.array_equal(faces, expected)
    assert rejected["path"].tolist() == [str(photos[2])] and rejected["reason"].tolist() == ["damaged"]
    monkeypatch.setattr(more_photos, "_face", None)  # what is done is not done again
    again, same = more_photos.aligned(photos, settings=settings, kept=tmp_path / "kept")
    assert np.array_equal(again, faces) and same.equals(rejected)
    photos[0].write_bytes(photos[1].read_bytes())
    assert more_photos._key(photos, settings) not in [path.stem for path in (tmp_path / "kept").iterdir()]


def test_what_is_kept_counts_for_the_same_photographs_settings_and_code_alone(photos, monkeypatch):
    settings = pack.Settings()
    keys = [more_photos._key(photos, settings)]
    assert more_photos._key(photos, pack.Settings()) == keys[0]
    keys.append(more_photos._key(photos[:2], settings))
    for change in ({"several_faces": "reject"}, {"max_turn": 0.5}, {"processed": True}):
        keys.append(more_photos._key(photos, replace(settings, **change)))
    monkeypatch.setattr(more_photos.provenance, "code_key", lambda module: "edited")
    keys.append(more_photos._key(photos, settings))
    assert len(set(keys)) == 6


SET_UP = CorpusError("the set-up", "is broken", remedy="Mend it.")


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), SET_UP])
def test_what_a_decoder_makes_of_one_file_does_not_end_the_others(monkeypatch, error):
    def broken(*_):
        raise error

    monkeypatch.setattr(more_photos.pack, "photo", broken)
    if error is SET_UP:
        with pytest.raises(CorpusError):
            more_photos._face("a.jpg", settings=pack.Settings())
    else:
        face, *why = more_photos._face("a.jpg", settings=pack.Settings())
        assert face is None and why == ["unexpected", "ZeroDivisionError: by zero"]
