"""Experiments against plain loops, closed forms and populations whose answer is known; their figures."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from s2f.errors import AudioError, MetricError, RunError
from s2f.evaluation import experiments
from s2f.evaluation.subject import Subject
from s2f.features import front_end, ge2e_front_end
from s2f.metrics.standins import FaceSet
from s2f.networks.inference import Model
from s2f.networks.models import Architecture
from s2f.report import experiment_figures
from tests.evaluation.conftest import faces_of, unit
from tests.report.figures import plain


def entry(frame, metric, **where):
    own = frame[(frame["metric"] == metric) & np.logical_and.reduce([frame[k] == v for k, v in where.items()])]
    assert len(own) == 1
    return own.iloc[0]


def wins_by_loop(faces, photos, people, *, probes, same_sex):
    """Share of (true photo, other's photo) pairs that a face decides rightly; people weigh equally."""
    sex = dict(zip(people["identity"], people["gender"], strict=True))
    by_probe = []
    for name in probes:
        by_other = []
        for other in people["identity"]:
            if other == name or (same_sex and sex[other] != sex[name]):
                continue
            wins = [
                float(face @ true > face @ false)
                for face in faces.embeddings[faces.identities == name]
                for true in photos.embeddings[photos.identities == name]
                for false in photos.embeddings[photos.identities == other]
            ]
            by_other.append(np.mean(wins))
        by_probe.append(np.mean(by_other))
    return np.mean(by_probe)


# Lengths


@pytest.fixture
def store(rng):
    """Six recordings of 150 to 900 frames, normalised as a store keeps them."""
    n = np.array([150, 300, 500, 700, 900, 220])
    offsets = np.concatenate([[0], np.cumsum(n)])
    mels = np.concatenate([front_end.normalise(rng.normal(size=(k, 64)) + 3) for k in n]).astype(np.float16)
    return SimpleNamespace(
        mel_offsets=offsets, mel=lambda row: mels[offsets[row] : offsets[row + 1]].astype(np.float32)
    )


@pytest.fixture
def model():
    architecture = Architecture(0.0625, 0.0625, "none", True, "k4")
    torch.manual_seed(0)
    voice, generator = architecture.voice_embedding(), architecture.generator()
    return Model(voice.eval(), generator.eval(), architecture, "small")


class Reader:
    """Reads a direction from a few pixels, and takes every face for a woman's."""

    def embed(self, faces):
        return unit(faces.reshape(len(faces), -1)[:, ::800].astype(np.float32) - 127)

    def gender(self, faces):
        return np.ones(len(faces), np.float32)


@pytest.fixture
def heard(store, rng):
    """Voices, photographs and people for `store`: three people with two recordings each."""
    people = pd.DataFrame({"identity": ["a", "b", "c"], "gender": ["f", "f", "m"]})
    voices = pd.DataFrame({"identity": ["a", "a", "b", "b", "c", "c"], "row": np.arange(6)})
    names = np.repeat(np.array(["a", "b", "c"], object), 3)
    photos = FaceSet(identities=names, embeddings=Reader().embed(rng.integers(0, 256, (9, 64, 64, 3), np.uint8)))
    return voices, photos, people


def subject(model, store, heard):
    voices, _, people = heard
    return Subject(model, store, None, SimpleNamespace(voices=voices, people=people), Reader())


def test_a_cut_recording_is_what_a_short_one_would_be(rng):
    log_mel = rng.normal(size=(700, 64)) * 2 - 5
    short = front_end.repeat(front_end.normalise(log_mel[:200]))
    cut = experiments.first_frames(front_end.normalise(log_mel), n_frames=200)
    assert cut.shape == (1000, 64)
    np.testing.assert_allclose(cut, short, atol=1e-4)


def test_lengths_measure_what_is_drawn_from_the_first_seconds(model, store, heard, rng):
    voices, photos, people = heard
    frame = experiments.lengths(
        subject(model, store, heard), photos, seconds=(2, 5, 30), n_most=99, rng=rng, n_resamples=50
    )
    assert list(frame["seconds"].unique()) == [2, 5, 30]
    assert frame.groupby("seconds")["share_cut"].first().tolist() == [5 / 6, 2 / 6, 0]  # 150, 220, 300, 500, 700, 900
    for s in (2, 30):
        features = [front_end.repeat(front_end.normalise(store.mel(row)[: 100 * s])) for row in range(6)]
        with torch.no_grad():
            x = torch.from_numpy(np.stack([f.T for f in features]))  # [6, 64, 1000]: all are repeated to 10 s
            vectors = torch.nn.functional.normalize(model.voice_embedding(x), dim=1)
            pixels = model.generator(vectors).clamp(-1, 1) * 127.5 + 127.5
        drawn = pixels.permute(0, 2, 3, 1).round().numpy().astype(np.uint8)
        faces = FaceSet(identities=voices["identity"].to_numpy(object), embeddings=Reader().embed(drawn))
        expected = wins_by_loop(faces, photos, people, probes=["a", "b", "c"], same_sex=False)
        assert entry(frame, "matching_2way", seconds=s)["value"] == pytest.approx(expected, abs=1e-6)
        assert entry(frame, "gender_agreement", seconds=s)["value"] == pytest.approx(2 / 3)  # all are taken for women


def test_every_length_has_the_same_recordings_and_resamples(model, store, heard, rng):
    frame = experiments.lengths(
        subject(model, store, heard), heard[1], seconds=(10, 20), n_most=3, rng=rng, n_resamples=50
    )
    assert (frame["n_recordings"][frame["metric"] == "matching_2way"] == 3).all()  # one of each person
    first, second = (frame[frame["seconds"] == s].drop(columns="seconds").reset_index(drop=True) for s in (10, 20))
    pd.testing.assert_frame_equal(first, second)  # no recording is longer than 10 s


def test_lengths_say_why_they_cannot_be_measured(store, heard, rng):
    model = SimpleNamespace(architecture=SimpleNamespace(encoder="ge2e"))
    frame = experiments.lengths(subject(model, store, heard), heard[1], seconds=(1, 2), n_most=9, rng=rng)
    assert len(frame) == 2 * len(experiments.METRICS)
    assert frame["value"].isna().all() and frame["reason"].str.contains("ge2e reads sound").all()
    assert "ge2e reads sound" in " ".join(words(experiment_figures.lengths(frame)))


def test_lengths_of_a_packaged_encoder_are_heard_again(store, heard, rng, tmp_path):
    voices, photos, people = heard
    voices["path"] = [f"{row}.wav" for row in voices["row"]]
    for row in range(6):
        at = np.arange(16_000 * (1 + row)) / 16_000  # 1 to 6 s without a pause
        wave = 0.3 * np.sign(np.sin(2 * np.pi * (100 + 30 * row) * at)) * (1 + 0.5 * np.sin(2 * np.pi * (2 + row) * at))
        soundfile.write(tmp_path / f"{row}.wav", 0.5 * wave, 16_000)
    architecture = Architecture(0.0625, 0.0625, "none", True, "k4", "ge2e")
    torch.manual_seed(0)
    voice, generator = architecture.voice_embedding(), architecture.generator()
    model = Model(voice.eval(), generator.eval(), architecture, "small")
    asked = replace(subject(model, store, heard), root=tmp_path)
    frame = experiments.lengths(asked, photos, seconds=(2, 30), n_most=99, rng=rng, n_resamples=50)
    speech = [ge2e_front_end.prepared(soundfile.read(tmp_path / path, dtype="float32")[0]) for path in voices["path"]]
    lasts = np.array([len(wave) / 16_000 for wave in speech])
    shares = frame.groupby("seconds")["share_cut"].first()
    assert shares.to_dict() == {2: (lasts > 2).mean(), 30: 0} and 0 < shares[2] < 1
    for s in (2, 30):
        with torch.no_grad():
            parts = [voice(torch.from_numpy(ge2e_front_end.windows(wave[: 16_000 * s]))).mean(0) for wave in speech]
            vectors = torch.nn.functional.normalize(torch.stack(parts), dim=1)
            pixels = generator(vectors).clamp(-1, 1) * 127.5 + 127.5
        drawn = pixels.permute(0, 2, 3, 1).round().numpy().astype(np.uint8)
        faces = FaceSet(identities=voices["identity"].to_numpy(object), embeddings=Reader().embed(drawn))
        expected = wins_by_loop(faces, photos, people, probes=["a", "b", "c"], same_sex=False)
        assert entry(frame, "matching_2way", seconds=s)["value"] == pytest.approx(expected, abs=1e-6)
    (tmp_path / "3.wav").unlink()
    with pytest.raises(AudioError, match=r"3\.wav does not exist"):
        experiments.lengths(asked, photos, seconds=(2,), n_most=99, rng=rng)


def test_a_length_below_a_frame_is_refused(model, store, heard, rng):
    with pytest.raises(MetricError, match=r"holds 0\.001"):
        experiments.lengths(subject(model, store, heard), heard[1], seconds=(0.001, 1), n_most=9, rng=rng)


# Written and read


def test_an_experiment_comes_back_with_its_columns_even_where_nothing_could_be_measured(tmp_path):
    def records(values, reason, **varied):
        frame = pd.DataFrame({**varied, "metric": "cosine_matched", "value": values, "low": values, "high": values})
        return frame.assign(n_recordings=4, n_identities=2, reason=reason)

    tried = {
        "lengths": records([np.nan, np.nan], "reads sound", seconds=[1.0, 2.0], share_cut=np.nan),
        "seen": records([0.1 + 0.2, 1 / 3], None, speakers=["unseen", "seen in training"]),
    }
    experiments.write(tried, tmp_path)
    found = {name: experiments.read(tmp_path, name) for name in tried}
    assert set(found["lengths"]) == {"seconds", *experiments.RESULT}
    assert found["lengths"]["value"].isna().all() and (found["lengths"]["reason"] == "reads sound").all()
    assert set(found["seen"]) == {"speakers", *experiments.RESULT} and found["seen"]["reason"].isna().all()
    assert list(found["seen"]["value"]) == list(tried["seen"]["value"])
    with pytest.raises(RunError, match="holds no experiment 'groups'"):
        experiments.read(tmp_path, "groups")
    with pytest.raises(RunError, match="is not there"):
        experiments.read(tmp_path / "nowhere", "seen")


# One speaker


def test_same_speaker_against_loops(people, rng):
    videos = np.tile(np.array(["v0", "v0", "v1"], object), len(people))
    faces = faces_of(people, rng, n_each=3, likeness=0.6, videos=videos)
    photos = faces_of(people, rng, n_each=2, likeness=0.8)
    frame = experiments.same_speaker(faces, photos, people, rng=rng, n_resamples=200)
    sex = people.set_index("identity")["gender"]

    def rms(a, b):
        return np.sqrt(np.mean((a.astype(float) / 127.5 - b.astype(float) / 127.5) ** 2))

    for kind, part in (("drawn", faces), ("real", photos)):
        own, own_rms, two, two_rms = {}, {}, {}, {}
        for i, j in itertools.combinations(range(len(part)), 2):
            left, right = part.identities[i], part.identities[j]
            cosine, distance = part.embeddings[i] @ part.embeddings[j], rms(part.pixels[i], part.pixels[j])
            if left == right and (part.sources is None or part.sources[i] != part.sources[j]):
                own.setdefault(left, []).append(cosine)
                own_rms.setdefault(left, []).append(distance)
            elif left != right and sex[left] == sex[right]:
                two.setdefault((left, right), []).append(cosine)
                two_rms.setdefault((left, right), []).append(distance)
        for metric, found in (
            ("cosine_matched", own),
            ("consistency", own_rms),
            ("cosine_mismatched", two),
            ("diversity", two_rms),
        ):
            expected = np.mean([np.mean(values) for values in found.values()])
            row = entry(frame, metric, faces=kind)
            assert row["value"] == pytest.approx(expected, rel=1e-4)
            assert row["low"] < row["value"] < row["high"]
            assert row["n_identities"] == 12


def test_photos_of_one_video_are_not_compared(people, rng):
    photos = faces_of(people, rng, n_each=2, likeness=0.8, videos=np.repeat(people["identity"].to_numpy(object), 2))
    frame = experiments.same_speaker(faces_of(people, rng, n_each=2, likeness=0.5), photos, people, rng=rng)
    row = entry(frame, "cosine_matched", faces="real")
    assert np.isnan(row["value"]) and row["reason"] == "fewer than two people have a value"
    assert np.isfinite(entry(frame, "cosine_mismatched", faces="real")["value"])


# Groups


def test_groups_are_matched_against_everyone_of_the_sex(people, rng):
    faces, photos = (faces_of(people, rng, n_each=2, likeness=0.4) for _ in range(2))
    ages = pd.Series(np.arange(20.0, 31), people["identity"][:11])  # the twelfth age is unknown
    frame = experiments.groups(faces, photos, people, ages=ages, rng=rng, n_resamples=200)
    assert frame["group"].unique().tolist() == ["women", "men", "20 to 23 years", "24 to 26 years", "27 to 30 years"]
    names = people["identity"]
    members = {"women": names[::2], "men": names[1::2], "24 to 26 years": names[4:7]}
    for group, probes in members.items():
        row = entry(frame, "matching_within_gender", group=group)
        expected = wins_by_loop(faces, photos, people, probes=probes, same_sex=True)
        assert row["value"] == pytest.approx(expected, abs=1e-6)
        assert (row["n_identities"], row["n_recordings"]) == (len(probes), 2 * len(probes))


def test_groups_show_whose_sex_is_not_drawn(people, rng):
    faces, photos = (faces_of(people, rng, n_each=2, likeness=0.4) for _ in range(2))
    faces.female[:] = 1.0
    frame = experiments.groups(faces, photos, people, rng=rng, n_resamples=50)
    assert entry(frame, "gender_agreement", group="women")["value"] == 1
    assert entry(frame, "gender_agreement", group="men")["value"] == 0


def test_a_group_of_nobody_is_no_line(people, rng):
    women = people[people["gender"] == "f"]
    faces, photos = (faces_of(women, rng, n_each=2, likeness=0.4) for _ in range(2))
    frame = experiments.groups(faces, photos, women, rng=rng, n_resamples=50)
    assert set(frame["group"]) == {"women"}


def test_where_no_sex_and_no_age_is_known_every_group_has_a_reason(people, rng):
    unknown = people.assign(gender=None)
    faces, photos = (faces_of(unknown, rng, n_each=2, likeness=0.4) for _ in range(2))
    frame = experiments.groups(faces, photos, unknown, rng=rng, n_resamples=50)
    assert set(frame["group"]) == {"women", "men"}
    assert frame["value"].isna().all() and frame["reason"].notna().all()


def test_a_group_of_one_has_no_interval(people, rng):
    faces, photos = (faces_of(people, rng, n_each=2, likeness=0.4) for _ in range(2))
    ages = pd.Series([30.0, 40.0, 50.5], people["identity"][:3])
    frame = experiments.groups(faces, photos, people, ages=ages, rng=rng, n_resamples=50)
    alone = frame[frame["group"] == "50.5 years"]
    assert len(alone) == 2 and alone["value"].isna().all() and alone["reason"].notna().all()


def test_faces_of_unknown_people_are_refused(people, rng):
    faces, photos = (faces_of(people, rng, n_each=1, likeness=0.4) for _ in range(2))
    with pytest.raises(MetricError, match="p11"):
        experiments.groups(faces, photos, people[:11], rng=rng)


# Seen and unseen


def test_seen_speakers_win_and_both_sides_are_alike_in_size(people, rng):
    others = people.assign(identity="q" + people["identity"])
    unseen, seen = people[people["identity"] != "p00"], others[others["identity"] != "qp03"]  # 5 f 6 m, 6 f 5 m
    frame = experiments.seen_unseen(
        faces_of(unseen, rng, n_each=3, likeness=0.0),
        faces_of(unseen, rng, n_each=3, likeness=0.8),
        faces_of(seen, rng, n_each=3, likeness=0.8),
        faces_of(seen, rng, n_each=3, likeness=0.8),
        unseen,
        seen,
        rng=rng,
        n_resamples=100,
    )
    assert (frame["n_identities"] == 10).all()
    assert entry(frame, "matching_2way", speakers="seen in training")["low"] > 0.9
    assert abs(entry(frame, "matching_2way", speakers="unseen")["value"] - 0.5) < 0.2
    assert entry(frame, "cosine_matched", speakers="seen in training")["value"] > 0.5


def sides(people, rng, *, unseen_sex, seen_sex):
    """Seen and unseen people with one sex each, given or None, and what is measured of them."""
    unseen = people.assign(gender=list(unseen_sex))
    seen = people.assign(identity="q" + people["identity"], gender=list(seen_sex))
    sets = [faces_of(side, rng, n_each=2, likeness=0.6) for side in (unseen, unseen, seen, seen)]
    return experiments.seen_unseen(*sets, unseen, seen, rng=rng, n_resamples=50)


def test_people_of_unknown_sex_are_no_third_sex(people, rng):
    half = [*"ffmm", *[None] * 8]
    frame = sides(people, rng, unseen_sex=half, seen_sex=[*"ffmmmm", *[None] * 6])  # two of each sex
    assert (frame["n_identities"] == 4).all() and frame["value"].notna().all()


@pytest.mark.parametrize("seen_sex", [[None] * 12, ["f", "m"] * 6], ids=["on both sides", "on one side"])
def test_where_nobodys_sex_is_known_numbers_are_alike(people, rng, seen_sex):
    frame = sides(people, rng, unseen_sex=[None] * 12, seen_sex=seen_sex)
    assert (frame.loc[frame["metric"] != "matching_within_gender", "n_identities"] == 12).all()


def test_sides_without_a_common_sex_have_a_reason(people, rng):
    frame = sides(people, rng, unseen_sex="f" * 12, seen_sex="m" * 12)
    assert frame["value"].isna().all() and frame["reason"].notna().all()


# Figures


def words(figure):
    figure.draw_without_rendering()
    return {text.get_text() for text in figure.findobj(mpl.text.Text)} - {""}


def result(**where):
    return {"value": 0.6, "low": 0.5, "high": 0.7, "n_identities": 9, "reason": None, **where}


METRICS = ("matching_within_gender", "cosine_matched")


def figures_by_name():
    both = [result(metric=metric) for metric in METRICS]
    spoken = [r | {"seconds": s, "share_cut": 0.4} for s in (1, 5) for r in both]
    groups = [r | {"by": "sex", "group": g} for g in ("women", "men") for r in both]
    one = [
        result(faces=kind, pair=pair, metric=metric)
        for kind in ("drawn", "real")
        for pair, metrics in (
            ("one person", ("cosine_matched", "consistency")),
            ("two of one sex", ("cosine_mismatched", "diversity")),
        )
        for metric in metrics
    ]
    draws = [
        {"draw": k, "metric": m, "value": k / 9, "everyone": 0.4, "n_people": 10, "n_everyone": 48, "reason": None}
        for m in ("fid", "cosine_matched")
        for k in range(9)
    ]
    by_n = pd.DataFrame({"n": [10, 20, 100], "fid": [90.0, 60, 40], "low": [80.0, 55, 39], "high": [99.0, 65, 41]})
    protocols, variants = ("closed", "held_out"), ("General", "Males")
    gaps = [r | {"protocol": p, "variant": v} for r in both for p in protocols for v in variants]
    return {
        "lengths": experiment_figures.lengths(pd.DataFrame(spoken)),
        "dots": experiment_figures.dots(pd.DataFrame(groups), by=["by", "group"], chance=0.5),
        "same_speaker": experiment_figures.same_speaker(pd.DataFrame(one)),
        "ten_people": experiment_figures.ten_people(pd.DataFrame(draws), poster={"fid": 0.9}),
        "fid_by_n": experiment_figures.fid_by_n({"generated": by_n, "real to real": by_n}),
        "no_fid": experiment_figures.fid_by_n({}),
        "gap": experiment_figures.gap(pd.DataFrame(gaps)),
    }


@pytest.fixture(scope="module")
def drawn():
    return figures_by_name()


SAID = {
    "lengths": {"matching within sex (%)", "recordings that are longer, and so cut: 40 % at 1 s, 40 % at 5 s"},
    "dots": {"women (9)", "men (9)", "cosine, same person"},
    "same_speaker": {"of one person", "of two of one sex", "two photographs"},
    "ten_people": {"draws of 10 people", "everyone", "the poster's figure", "FID"},
    "fid_by_n": {"generated", "real to real", "100"},
    "no_fid": {"FID is not measured: fewer than 50 faces, or photographs, can be compared."},
    "gap": {"held out", "closed set", "General", "chance"},
}


@pytest.mark.parametrize("name", SAID)
def test_a_figure_fits_the_page_and_says_what_it_shows(drawn, name):
    figure = drawn[name]
    assert figure.get_figwidth() == 7
    found = words(figure)
    assert all(any(phrase in text for text in found) for phrase in SAID[name]), found


def nothing(**where):
    return {"value": np.nan, "low": np.nan, "high": np.nan, "n_identities": np.nan, "reason": "too few", **where}


def test_a_panel_without_values_says_why_and_has_no_scale():
    shown, absent = METRICS
    groups = [make(metric=m, speakers=s) for m, make in ((shown, result), (absent, nothing)) for s in ("seen", "new")]
    gaps = [
        make(metric=m, protocol=p, variant="General")
        for m, make in ((shown, result), (absent, nothing))
        for p in ("closed", "held_out")
    ]
    draws = [
        {"draw": k, "metric": m, "value": v, "everyone": v, "n_people": 10, "reason": why}
        for m, v, why in ((absent, 0.5, None), ("fid", np.nan, "too few"))
        for k in range(9)
    ]
    one = [
        make(faces="drawn", pair="one person", metric=metric)
        for metric, make in (("cosine_matched", result), ("consistency", nothing))
    ]
    for figure in (
        experiment_figures.dots(pd.DataFrame(groups), by="speakers", chance=0.5),
        experiment_figures.gap(pd.DataFrame(gaps)),
        experiment_figures.ten_people(pd.DataFrame(draws)),
        experiment_figures.same_speaker(pd.DataFrame(one)),
    ):
        left, right = figure.axes
        assert [text.get_text() for text in right.texts] == ["not measured: too few"] and not left.texts
        assert not right.get_xticks().size and left.get_xticks().size


def test_a_line_of_nobody_counts_nobody():
    frame = pd.DataFrame([result(metric=METRICS[0], speakers="seen"), nothing(metric=METRICS[0], speakers="new")])
    assert {"seen (9)", "new (0)"} <= words(experiment_figures.dots(frame, by="speakers"))


def test_names_with_dollar_signs_are_drawn_as_they_are():
    name = r"$\nothing$"
    frame = pd.DataFrame([result(metric=m, speakers=name, protocol="closed", variant=name) for m in METRICS])
    plain(experiment_figures.dots(frame, by="speakers"), name)
    plain(experiment_figures.gap(frame), name)
    by_n = pd.DataFrame({"n": [60, 90], "fid": [90.0, 60], "low": [80.0, 55], "high": [99.0, 65]})
    plain(experiment_figures.fid_by_n({name: by_n}), name)


def test_values_stand_where_they_belong(drawn):
    panel = drawn["dots"].axes[0]  # a share, in per cent
    points = [line.get_xydata().tolist() for line in panel.lines if line.get_marker() == "o"]
    assert points == [[[60.0, 0.0]], [[60.0, 1.0]]]
    bars = [line.get_xdata() for line in panel.lines if line.get_marker() != "o" and len(line.get_xdata()) == 2]
    assert [50.0, 70.0] in [sorted(map(float, bar)) for bar in bars]
    cosine = drawn["dots"].axes[1]
    assert [line.get_xdata().tolist() for line in cosine.lines if line.get_marker() == "o"] == [[0.6], [0.6]]


def test_held_out_stands_above_the_closed_set(drawn):
    panel = drawn["gap"].axes[0]
    heights = sorted(line.get_ydata()[0] for line in panel.lines if line.get_marker() == "o")
    assert heights == pytest.approx([-0.13, 0.13, 0.87, 1.13])
    assert panel.get_ylim()[0] > panel.get_ylim()[1]  # the first variant on top


def test_matplotlib_is_imported_lazily():
    import subprocess
    import sys

    code = "import sys; import s2f.report.experiment_figures; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ten_people_that_are_too_few_are_a_sentence():
    figure = experiment_figures.ten_people("ten people are 1")
    assert [text.get_text() for text in figure.axes[0].texts] == ["Not measured: ten people are 1."]
