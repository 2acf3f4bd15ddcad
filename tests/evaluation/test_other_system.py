"""Measuring another system's pictures: found, paired, aligned, counted, and measured by the study's own code."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from s2f.__main__ import main
from s2f.errors import CorpusError, ImageError
from s2f.evaluation import face_readers, other_system, picture_folders
from s2f.features.align import resized
from s2f.metrics.standins import FaceSet
from s2f.report import other_system as page

# Person: shade of every picture, gender, nationality. No two shades are equally far apart.
PEOPLE = {
    "Ann_A": (20, "f", "Norway"),
    "Zoë_B": (60, "f", "Norway"),
    "Carl_C": (108, "m", "Norway"),
    "D.J._Dee": (166, "m", "Chile"),
    "Eve_E": (236, "f", "Norway"),
}


class Reader:
    """Reads a face's shade as an angle: cosine falls with the difference of shades; dark faces are female."""

    def embed(self, images):
        angle = images.reshape(len(images), -1).mean(1) / 255 * np.pi / 2
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)

    def gender(self, images):
        return (images.reshape(len(images), -1).mean(1) < 90).astype(np.float32)


@pytest.fixture(autouse=True)
def no_detector(monkeypatch):
    """A picture is its own aligned face, unless it is pure white: that shows none."""

    def align(image, landmarks=None, *, name="image"):
        if (image == 255).all():
            raise ImageError(name, "shows no face that could be found", remedy="Use another.", reason="no_face")
        return resized(image)

    monkeypatch.setattr(picture_folders.align, "align", align)


def save(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((80, 80, 3), shade, np.uint8)).save(path)


@pytest.fixture
def folders(tmp_path):
    """Photographs of five people in two videos each, and one drawn picture of each clip, lighter by 9."""
    for name, (shade, _, _) in PEOPLE.items():
        for clip, offset in (("vid_a_00001", 0), ("vidB_00002", 4)):
            save(tmp_path / "real" / name / f"{clip}.png", shade + offset)
            save(tmp_path / "drawn" / name / f"{clip}.bmp", min(shade + offset + 9, 250))
    rows = [{"identity": name, "gender": g, "nationality": n} for name, (_, g, n) in PEOPLE.items()]
    pd.DataFrame(rows).to_csv(tmp_path / "people.csv", index=False)
    return tmp_path


def collect(folders):
    return other_system.collect(folders / "drawn", folders / "real", folders / "people.csv")


def measure(found, **given):
    return other_system.measure(found, other_system.describe(found, reader=Reader()), n_bootstrap=50, **given)


def brute_force(drawn: list[tuple[str, float]], photos: list[tuple[str, float]], allowed) -> float:
    """Share of triples (drawn, own photo, other's photo) that are right, people and photos weighing equally."""
    wins = {}
    for who, shade in drawn:
        for other in {name for name, _ in photos} - {who}:
            if allowed(who, other):
                own, foreign = ([s for name, s in photos if name == one] for one in (who, other))
                closer = [np.sign(abs(shade - b) - abs(shade - a)) for a in own for b in foreign]
                wins.setdefault(who, {}).setdefault(other, []).append((1 + np.mean(closer)) / 2)  # a tie counts half
    return float(np.mean([np.mean([np.mean(v) for v in others.values()]) for others in wins.values()]))


def test_matching_equals_counting_every_comparison(folders):
    save(folders / "drawn" / "Ann_A" / "vid_a_00001.bmp", 150)  # drawn like somebody else
    save(folders / "drawn" / "Eve_E" / "vidB_00002.bmp", 75)
    found = collect(folders)
    entries = measure(found)["rows"]["model"]
    shades = {
        kind: [(Path(p).parent.name, Image.open(folders / kind / p).getpixel((0, 0))[0]) for p in part.files["path"]]
        for kind, part in (("drawn", found.generated), ("real", found.real))
    }
    assert len(shades["drawn"]) == len(shades["real"]) == 10
    strata = {
        "matching_2way": lambda a, b: True,
        "matching_within_gender": lambda a, b: PEOPLE[a][1] == PEOPLE[b][1],
        "matching_within_gender_nationality": lambda a, b: PEOPLE[a][1:] == PEOPLE[b][1:],
    }
    for metric, allowed in strata.items():
        expected = brute_force(shades["drawn"], shades["real"], allowed)
        assert entries[metric]["value"] == pytest.approx(expected, abs=1e-9), metric
    assert 0.5 < entries["matching_2way"]["value"] < 1
    # Read as dark: both of Ann and Zoë but one; as light: all of Carl, Dee and of Eve but one.
    assert entries["gender_agreement"]["value"] == pytest.approx((0.5 + 1 + 1 + 1 + 0.5) / 5)


def test_rows_that_need_training_photographs_are_null_with_a_reason(folders):
    rows = measure(collect(folders))["rows"]
    for row in ("mean_face", "gender_mean_face", "neighbour"):
        assert {e["value"] for e in rows[row].values()} == {None}
        assert {e["reason"] for e in rows[row].values()} == {"no training photographs are given"}
    for row in ("chance", "gender_oracle", "random_real", "ceiling", "shuffled_voice"):
        assert rows[row]["matching_2way"]["value"] is not None, row
    assert rows["model"]["copies"]["reason"] == "no training photographs are given"
    assert rows["probe"]["matching_2way"]["reason"] and rows["noise_voice"]["matching_2way"]["reason"]


def test_a_row_beside_the_pictures_is_measured_on_the_same_people(folders):
    found = collect(folders)
    files = found.generated.files
    probe = FaceSet(
        identities=files["identity"].to_numpy(), embeddings=Reader().embed(found.generated.faces[::-1])
    )  # everyone's embedding is that of another person, but Carl's, who is in the middle
    metrics = measure(found, beside={"probe": probe})
    rows = metrics["rows"]
    assert rows["probe"]["matching_2way"]["value"] < rows["model"]["matching_2way"]["value"] == 1
    difference = metrics["differences"]["probe"]["matching_2way"]["value"]
    assert difference == pytest.approx(1 - rows["probe"]["matching_2way"]["value"])


def test_a_picture_without_a_face_is_listed_and_counted_and_stops_nothing(folders):
    save(folders / "drawn" / "Carl_C" / "vidB_00002.bmp", 255)
    save(folders / "real" / "Eve_E" / "vid_a_00001.png", 255)
    (folders / "drawn" / "Carl_C" / "notes.txt").write_text("nothing")
    found = collect(folders)
    counts = measure(found)["counts"]
    assert (counts["n_generated"], counts["n_generated_measured"]) == (10, 9)
    assert (counts["n_real"], counts["n_real_measured"]) == (10, 9)
    assert counts["n_pairs"] == 8
    out = page.rejected(found)
    assert sorted(zip(out["modality"], out["path"], out["reason"], strict=True)) == [
        ("generated", "Carl_C/notes.txt", "extension"),
        ("generated", "Carl_C/vidB_00002.bmp", "no_face"),
        ("real", "Eve_E/vid_a_00001.png", "no_face"),
    ]


def test_links_are_followed_and_a_ring_of_links_ends(folders):
    (folders / "real" / "Carl_C").rename(folders / "elsewhere")
    (folders / "real" / "Carl_C").symlink_to(folders / "elsewhere", target_is_directory=True)
    (folders / "elsewhere" / "ring").symlink_to(folders / "real", target_is_directory=True)
    found = collect(folders)
    assert len(found.real.files) == 10 and found.real.rejected.empty


def test_a_drawn_person_without_a_photograph_is_listed(folders):
    for path in (folders / "real" / "Eve_E").iterdir():
        path.unlink()
    found = collect(folders)
    assert len(found.generated.files) == 8
    assert set(page.rejected(found)["reason"]) == {"without_face"}
    assert set(page.rejected(found)["identity"]) == {"Eve_E"}


def test_pairs_are_of_one_clip_whatever_suffix_and_spelling(folders):
    (folders / "drawn" / "Zoë_B").rename(folders / "drawn" / "zoe b")
    found = collect(folders)
    assert len(found.pairs) == 10
    for pair in found.pairs.itertuples():
        drawn, photo = found.generated.files.iloc[pair.generated], found.real.files.iloc[pair.real]
        assert drawn["identity"] == photo["identity"] == pair.identity
        assert Path(drawn["path"]).stem == Path(photo["path"]).stem
        shade = found.real.faces[pair.real].mean()
        assert found.generated.faces[pair.generated].mean() == min(shade + 9, 250)
    assert set(found.generated.files["source_id"]) == {"vid_a", "vidB"}
    assert "zoe b/vidB_00002.bmp" in set(found.generated.files["path"])


def test_a_person_whom_the_metadata_does_not_name_is_used_without_gender(folders):
    table = pd.read_csv(folders / "people.csv")
    table[table["identity"] != "D.J._Dee"].to_csv(folders / "people.csv", index=False)
    found = collect(folders)
    metrics = measure(found)
    entries = metrics["rows"]["model"]
    assert found.unknown == metrics["counts"]["people_not_in_metadata"] == ["D.J._Dee"]
    assert entries["matching_2way"]["n_identities"] == 5
    assert entries["gender_agreement"]["n_identities"] == 4
    assert entries["matching_within_gender"]["n_identities"] == 3  # Carl is the only man left


def test_voxcelebs_table_is_known_by_its_header_and_ids_stand_for_names(folders):
    lines = ["VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet"]
    lines += [f"id{k}\t{name}\t{g}\t{n}\tdev" for k, (name, (_, g, n)) in enumerate(PEOPLE.items())]
    (folders / "people.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folders / "drawn" / "Carl_C").rename(folders / "drawn" / "id2")
    found = collect(folders)
    assert found.unknown == [] and len(found.pairs) == 10
    assert set(found.generated.files["identity"]) == set(PEOPLE)


def wrong_columns(folders):
    (folders / "people.csv").write_text("name,gender\nAnn_A,f\n")


def wrong_gender(folders):
    (folders / "people.csv").write_text("identity,gender\nAnn_A,x\n")


def nobody(folders):
    (folders / "people.csv").write_text("identity,gender\nAnn_A,f\n,\n,m\n")


def contradiction(folders):
    (folders / "people.csv").write_text("identity,gender\nAnn_A,f\nAnn_A,m\n")


def other_clips(folders):
    for path in sorted((folders / "drawn").glob("*/*")):
        path.rename(path.with_stem(f"other{path.stem}"))


def test_pictures_of_other_clips_are_measured_and_people_are_shown(folders, capsys):
    other_clips(folders)
    found = collect(folders)
    assert not found.by_clip and list(found.pairs["identity"]) == sorted(PEOPLE)
    for pair in found.pairs.itertuples():
        owners = (part.files["identity"][k] for part, k in zip((found.generated, found.real), pair[1:3], strict=True))
        assert set(owners) == {pair.identity}
    metrics = measure(found)
    assert metrics["counts"]["n_pairs"] == 0
    assert metrics["rows"]["model"]["matching_2way"]["value"] is not None
    page._say(found, metrics | {"seed": 0}, meta=folders / "people.csv")
    assert "No generated picture has a real one of the same clip." in capsys.readouterr().out
    assert len(page.sheet(found, seed=0).axes) == 10


def no_names(folders):
    for path in sorted((folders / "drawn").iterdir()):
        path.rename(path.with_name(f"speaker{path.name}"))


def one_person(folders):
    for path in sorted((folders / "drawn").glob("*/*")):
        if path.parent.name != "Ann_A":
            path.unlink()


def no_faces(folders):
    for path in sorted((folders / "drawn").glob("*/*")):
        save(path, 255)


def emptied(folders):
    for path in sorted((folders / "real").glob("*/*")):
        path.unlink()


CASES = {
    "no folder": (lambda f: (f / "drawn").rename(f / "elsewhere"), "drawn", "missing", "does not exist.*<Name>"),
    "no pictures": (emptied, "real", "empty", "holds no real pictures.*<Name>"),
    "no faces": (no_faces, "drawn", "empty", "10 generated pictures, none with a face.*no_face 10"),
    "nobody in common": (no_names, "drawn", "too_few", "0 people in common \\('speakerAnn_A' beside 'Ann_A'\\)"),
    "one person": (one_person, "drawn", "too_few", "1 person in common.*2 people or more"),
    "one clip twice": (
        lambda f: save(f / "real" / "Ann_A" / "vidB_00002.jpg", 20),
        "real",
        "duplicate",
        "vidB_00002.jpg.*Keep one",
    ),
    "no metadata": (lambda f: (f / "people.csv").unlink(), "people.csv", "missing", "does not exist.*vox1_meta"),
    "columns": (wrong_columns, "people.csv", "column", "no column 'identity', only 'name', 'gender'.*vox1_meta"),
    "nobody": (nobody, "people.csv", "column", "no identity in line 4.*take it out"),
    "gender": (wrong_gender, "people.csv", "gender", "gender 'x' for Ann_A.*Valid"),
    "two genders": (contradiction, "people.csv", "duplicate", "two things about 'Ann_A'.*Keep one"),
}


@pytest.mark.parametrize("name", list(CASES))
def test_what_cannot_be_measured_is_named_with_a_remedy(folders, name):
    break_it, subject, reason, text = CASES[name]
    break_it(folders)
    with pytest.raises(CorpusError, match=text) as caught:
        collect(folders)
    assert caught.value.reason == reason
    assert caught.value.subject == str(folders / subject)


def test_the_command_prints_counts_and_writes_everything(folders, monkeypatch, capsys):
    save(folders / "drawn" / "Carl_C" / "vidB_00002.bmp", 255)
    given = {}
    monkeypatch.setattr(face_readers, "Packaged", lambda **paths: given.update(paths) or Reader())
    monkeypatch.setattr(face_readers, "Inception", lambda *, path: given.update(path=path))
    network = folders / "network.dat"
    network.write_bytes(b"weights")
    words = ["measure", "--generated", folders / "drawn", "--real", folders / "real", "--meta", folders / "people.csv"]
    words += ["--output", folders / "out", "--bootstrap", "50", "--face-identity", network, "--seed", "3"]
    words += ["--workers", "2"]
    assert main([str(word) for word in words]) == 0
    printed = capsys.readouterr().out
    assert "9 of 10 pictures measured, 5 people" in printed
    assert "Generated pictures are" not in printed  # both folders were saved alike
    assert "generated, no_face: Carl_C/vidB_00002.bmp" in printed
    assert given == {"identity_path": network, "gender_path": None, "n_workers": 2, "path": None}

    metrics = json.loads((folders / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["seed"] == 3 and metrics["n_bootstrap"] == 50
    assert [n["file"] for n in metrics["networks"] if n["name"] == "face_identity"] == ["network.dat"]
    table = pd.read_csv(folders / "out" / "table.csv").set_index(["row", "metric"])
    entry = metrics["rows"]["model"]["matching_2way"]
    assert table.loc[("model", "matching_2way"), "value"] == pytest.approx(entry["value"])
    line = next(line for line in printed.splitlines() if line.startswith("matching "))
    assert f"{100 * entry['value']:.1f} % [{100 * entry['low']:.1f}, {100 * entry['high']:.1f}]" in line
    assert f" {entry['n_recordings']} " in line
    assert list(pd.read_csv(folders / "out" / "rejected.csv")["path"]) == ["Carl_C/vidB_00002.bmp"]
    few = "too few faces to compare as sets: 5 a side, at least 50 are needed"
    assert few == metrics["rows"]["model"]["fid"]["reason"]
    (note,) = (line for line in printed.splitlines() if few in line)
    for label in ("FID", "KID × 1000", "precision (realism)", "recall (variety)"):
        assert any(line.startswith(label) and f"–{note[0]} " in line for line in printed.splitlines()), label
    assert "nan" not in printed.lower()
    read = pd.read_csv(folders / "out" / "readings.csv")
    assert read.groupby("set").size().to_dict() == {"generated": 9, "real": 10}
    with np.load(folders / "out" / "readings.npz") as arrays:
        assert {name: len(arrays[name]) for name in arrays} == {"generated_embeddings": 9, "real_embeddings": 10}
    with Image.open(folders / "out" / "pairs.png") as sheet:
        assert sheet.width > 300


def test_the_command_says_where_the_folders_were_saved_differently(folders, monkeypatch, capsys):
    for path in (folders / "drawn").rglob("*_*.*"):
        Image.open(path).convert("RGB").save(path.with_suffix(".jpg"), quality=75)
        path.unlink()
    monkeypatch.setattr(face_readers, "Packaged", lambda **paths: Reader())
    monkeypatch.setattr(face_readers, "Inception", lambda *, path: None)
    words = ["measure", "--generated", folders / "drawn", "--real", folders / "real", "--meta", folders / "people.csv"]
    assert main([*map(str, words), "--bootstrap", "20"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Generated pictures are JPEG (quality about 75), real ones ")


def test_the_command_says_on_one_line_what_is_wrong(folders, capsys):
    words = ["measure", "--generated", folders / "none", "--real", folders / "real", "--meta", folders / "people.csv"]
    assert main([str(word) for word in words]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {folders / 'none'} (the folder of generated")


def command(folders, *words):
    given = ["measure", "--generated", folders / "drawn", "--real", folders / "real", "--meta", folders / "people.csv"]
    return main([str(word) for word in (*given, "--bootstrap", "20", *words)])


@pytest.fixture
def networks(monkeypatch):
    """What reads faces, and the sets that Inception would have read."""
    asked = []

    class Inception:
        def features(self, faces, *, desc=""):
            asked.append(len(faces))
            return np.random.default_rng(len(asked)).normal(size=(len(faces), 2048)).astype(np.float32)

    monkeypatch.setattr(face_readers, "Packaged", lambda **_: Reader())
    monkeypatch.setattr(face_readers, "Inception", lambda **_: Inception())
    return asked


def many(folders, n):
    """So many pictures and photographs of everyone."""
    for name, (shade, _, _) in PEOPLE.items():
        for k in range(n):
            save(folders / "real" / name / f"vid{k}_1.png", shade + k % 5)
            save(folders / "drawn" / name / f"vid{k}_1.png", min(shade + k % 5 + 9, 250))


@pytest.mark.parametrize(("n", "runs"), [(2, False), (20, True)])
def test_inception_reads_nothing_where_too_few_can_be_compared(folders, networks, capsys, n, runs):
    many(folders, n)
    assert command(folders) == 0
    assert networks == ([5 * (n + 2)] * 2 if runs else [])
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("KID"))
    assert ("–" not in line.split()[3]) == runs


def test_another_system_is_compared_on_the_same_people(folders, networks, capsys):
    for path in sorted((folders / "drawn").glob("*/*")):
        name = path.parent.name
        if name != "Eve_E":  # everyone but Eve is drawn as somebody else
            save(folders / "worse" / name / f"{path.stem}.png", 236 - PEOPLE[name][0] // 2)
    assert command(folders, "--beside", folders / "worse", "--output", folders / "out") == 0
    printed = capsys.readouterr().out
    assert "other      8 of 8 pictures measured, 4 people" in printed
    metrics = json.loads((folders / "out" / "metrics.json").read_text(encoding="utf-8"))
    ours, theirs = (metrics["rows"][row]["matching_2way"] for row in ("model", "other"))
    difference = metrics["differences"]["other"]["matching_2way"]
    assert ours["value"] == 1 > theirs["value"] and (ours["n_identities"], theirs["n_identities"]) == (5, 4)
    shades = {
        kind: [
            (path.parent.name, Image.open(path).getpixel((0, 0))[0])
            for path in sorted((folders / kind).glob("*/*"))
            if path.parent.name != "Eve_E"  # whom only one of the two has drawn
        ]
        for kind in ("worse", "real")
    }
    expected = 1 - brute_force(shades["worse"], shades["real"], lambda a, b: True)
    assert difference["n_identities"] == 4 and difference["value"] == pytest.approx(expected)
    line = next(line for line in printed.splitlines() if line.startswith("matching "))
    assert f"{100 * difference['value']:.1f} points [{100 * difference['low']:.1f}" in line
    assert "minus the other system" in printed
    read = pd.read_csv(folders / "out" / "readings.csv")
    assert (read["set"] == "other").sum() == 8
    assert set(pd.read_csv(folders / "out" / "table.csv")["row"]) >= {"model", "other"}


def test_readings_are_of_each_picture(folders):
    found = collect(folders)
    read = other_system.readings(found, other_system.describe(found, reader=Reader())).set_index(["set", "path"])
    shades = {
        (kind, path): Image.open(folders / {"generated": "drawn"}.get(kind, kind) / path).getpixel((0, 0))[0]
        for kind, path in read.index
    }
    photos = {path: shade for (kind, path), shade in shades.items() if kind == "real"}
    for (kind, path), row in read.iterrows():
        own, others = [], []
        for photo, shade in photos.items():
            cosine = np.cos((shades[kind, path] - shade) / 255 * np.pi / 2)
            if photo != path or kind != "real":
                (own if Path(photo).parts[0] == row["identity"] else others).append(cosine)
        assert row["cosine_own"] == pytest.approx(np.mean(own), abs=1e-6)
        assert row["cosine_others"] == pytest.approx(np.mean(others), abs=1e-6)
        assert row["female"] == (shades[kind, path] < 90)


@pytest.mark.parametrize("text", ["Ann_A\n# a remark\n\nCarl_C\nEve_E\n", "\ufeffAnn_A\r\ncarl c\r\nEve_E"])
def test_people_may_be_chosen(folders, networks, capsys, text):
    (folders / "some.txt").write_text(text, encoding="utf-8")
    assert command(folders, "--people", folders / "some.txt", "--output", folders / "out") == 0
    assert "generated  6 of 6 pictures measured, 3 people" in capsys.readouterr().out
    read = pd.read_csv(folders / "out" / "readings.csv")
    assert set(read["identity"]) == {"Ann_A", "Carl_C", "Eve_E"} and len(read) == 12


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Ann_A\nEve_F\n", "names 'Eve_F', of whom there is no generated picture. Did you mean 'Eve_E'"),
        ("Ann_A\n", "some.txt names fewer than two people. Give a name"),
        ("# nobody\n", "some.txt names fewer than two people. Give a name"),
        (None, "cannot be read"),
    ],
)
def test_people_who_cannot_be_chosen_are_named(folders, capsys, text, said):
    if text is not None:
        (folders / "some.txt").write_text(text, encoding="utf-8")
    assert command(folders, "--people", folders / "some.txt") == 2
    assert said in capsys.readouterr().err


def test_a_picture_that_cannot_be_read_is_listed_and_the_status_says_so(folders, networks, capsys, monkeypatch):
    (folders / "drawn" / "Carl_C" / "vidB_00002.bmp").write_bytes(b"no picture")
    coloured = folders / "drawn" / "Carl_C" / "vidB_00003.jpg"
    Image.new("CMYK", (64, 64)).save(coloured, icc_profile=b"no profile")
    align = picture_folders.align.align

    def odd(image, *, name):
        if "Eve_E/vidB" in str(name):
            raise RuntimeError("a decoder of its own kind")
        return align(image, name=name)

    monkeypatch.setattr(picture_folders.align, "align", odd)
    assert command(folders, "--output", folders / "out") == 1
    said = capsys.readouterr()
    assert "generated, not_image: Carl_C/vidB_00002.bmp" in said.out
    assert "generated, colours: Carl_C/vidB_00003.jpg" in said.out
    assert "generated, unexpected: Eve_E/vidB_00002.bmp" in said.out and "real, unexpected: Eve_E/vidB" in said.out
    assert "4 of the files that are left out could not be read" in said.err
    assert (folders / "out" / "pairs.png").is_file()


@pytest.mark.parametrize("name", ["table.csv", "pairs.png", "metrics.json", "readings.csv"])
def test_what_others_wrote_stays(folders, networks, capsys, name):
    place = folders / "out" / name
    place.parent.mkdir()
    place.write_text('{"version": 1, "protocol": "held_out"}')
    assert command(folders, "--output", folders / "out") == 2
    assert f"{place} is there, and was not written by this command" in capsys.readouterr().err
    assert [path.name for path in place.parent.iterdir()] == [name] and place.read_text().startswith('{"version": 1')


def test_own_results_are_replaced_and_what_is_beside_them_stays(folders, networks):
    (folders / "out").mkdir()
    (folders / "out" / "mine.txt").write_text("mine")
    assert command(folders, "--output", folders / "out") == command(folders, "--output", folders / "out") == 0
    assert {path.name for path in (folders / "out").iterdir()} == {"mine.txt", *page.WRITTEN}


@pytest.mark.parametrize("place", ["drawn", "real/out", "drawn/Ann_A"])
def test_results_never_lie_among_the_pictures(folders, capsys, place):
    before = sorted(folders.rglob("*"))
    assert command(folders, "--output", folders / place) == 2
    assert "whose pictures are measured. Name a folder elsewhere." in capsys.readouterr().err
    assert sorted(folders.rglob("*")) == before


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("--bootstrap", "0", "--bootstrap is 0. Give 1 to 1000000."),
        ("--seed", "-1", "--seed is -1. Give 0 to 2147483648."),
        ("--output", "people.csv", "people.csv is a file. Name a folder."),
        ("--face-gender", "none.onnx", "none.onnx is not there (asked for as 'face_gender'). Give an existing file."),
    ],
)
def test_wrong_options_are_said_before_anything_is_read(folders, monkeypatch, capsys, option, value, text):
    monkeypatch.chdir(folders)
    monkeypatch.setattr(other_system, "collect", lambda *folders: pytest.fail("it was read"))
    words = ["measure", "--generated", "drawn", "--real", "real", "--meta", "people.csv", option, value]
    assert main(words) == 2
    assert capsys.readouterr().err.strip().endswith(text)


def test_the_sheet_shows_pairs_of_different_people_drawn_by_the_seed(folders):
    found = collect(folders)

    def shown(seed):
        images = [ax.images[0].get_array() for ax in page.sheet(found, seed=seed).axes]
        return np.array([image.mean() for image in images]).reshape(2, -1)  # photographs, drawn

    one, other = shown(0), shown(1)
    assert one.shape == (2, 5)  # a pair a person
    np.testing.assert_array_equal(one[1], np.minimum(one[0] + 9, 250))
    assert one.tolist() == shown(0).tolist() != other.tolist()


# --- real pictures

REAL = Path(os.environ.get("S2F_REAL", Path(__file__).resolve().parents[3] / "shared" / "real"))


@pytest.mark.slow
def test_a_published_systems_pictures(tmp_path, monkeypatch):
    if not (REAL / "speech2face_output").is_dir():
        pytest.skip(f"no real pictures in {REAL}: set S2F_REAL")
    monkeypatch.undo()  # the detector of the study
    some = sorted(p.name for p in (REAL / "vggface").iterdir())[::4]
    for kind in ("vggface", "speech2face_output"):
        (tmp_path / kind).mkdir()
        for name in some:
            (tmp_path / kind / name).symlink_to((REAL / kind / name).resolve(), target_is_directory=True)
    found = other_system.collect(tmp_path / "speech2face_output", tmp_path / "vggface", REAL / "vox1_meta.csv")
    metrics = other_system.measure(found, other_system.describe(found, reader=face_readers.Packaged()), n_bootstrap=200)
    counts, entries = metrics["counts"], metrics["rows"]["model"]
    assert counts["n_real"] == counts["n_generated"] > 40 and len(some) == 24
    assert counts["n_real_measured"] >= 0.95 * counts["n_real"] and found.unknown == []
    assert counts["n_pairs"] >= 0.95 * counts["n_real"]
    assert entries["gender_agreement"]["value"] > 0.85
    assert entries["matching_2way"]["low"] > 0.55
    assert entries["fid"]["value"] is None and entries["fid"]["reason"]
