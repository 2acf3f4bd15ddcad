"""The known answer: finds what is there and nothing else, can fail, and pools the seeds of the same people."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock, Timeout
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import r2_score

from s2f.corpora.synthetic import build, population
from s2f.evaluation import attributes, draws, known_answer
from s2f.features import front_end, sound_files
from s2f.metrics import recovery
from s2f.networks import inference
from s2f.networks.codes import Sampler
from s2f.networks.models import Architecture
from s2f.networks.readers import Readers, Trunk
from s2f.report import answer_figures, prose
from s2f.study import runs

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "machine.n_workers": 1,
    "corpus.min_s": 1.5,
    "corpus.max_s": 2.0,
    "corpus.size_px": 64,
    "answer.n_identities": 20,
    "answer.n_recordings": 2,
    "answer.n_photos": 1,
    "answer.n_permutations": 20,
    "measure.n_bootstrap": 50,
}
LEARNT = ("age_years", "skin_tone", "jaw_width")


def open_study(notebook, *, seed=0, label="small", **overrides):
    return runs.open_study(
        notebook, profile="smoke", variant="general", seed=seed, label=label, overrides=SMALL | overrides
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with the networks of two seeds, untrained; every test of the module adds to it."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "params", root / "params")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(known_answer, "N_FREE", 3000)  # enough here, and quick
        for seed in (0, 1):
            torch.manual_seed(seed)
            architecture = Architecture(0.125, 0.125, "batch", True, "k4", "own")
            networks = architecture.voice_embedding().eval(), architecture.generator().eval()
            study = open_study("05_training", seed=seed)
            inference.save(study.write("model"), inference.Model(*networks, architecture, "test"))
            study.finish("model")
            study = open_study("02_preprocessing", seed=seed)
            centre, scale = np.zeros(len(LEARNT), np.float32), np.ones(len(LEARNT), np.float32)
            Readers(Trunk(len(LEARNT)).eval(), LEARNT, centre, scale).save(study.write("measure"))
            study.finish("measure")
        yield root


@pytest.fixture
def measured(project, monkeypatch):
    monkeypatch.chdir(project)
    return known_answer.measure(open_study("09_known_answer"))


def finish(study, found):
    folder = study.write("answer")
    known_answer.write(found, {"answer": known_answer.alone(study, found)}, folder)
    study.finish("answer")
    return folder


def made(project, **asked):
    """Folders of people that were made with these parameters."""
    files = {path.parent: json.loads(path.read_text()) for path in (project / "data").glob("*/parameters.json")}
    return [folder for folder, facts in files.items() if facts | asked == facts]


def test_measuring_people_are_others_than_the_corpus_has_and_are_made_once(measured, project, monkeypatch):
    assert len(made(project, prefix="m", seed=1_000_003)) == 1  # the corpus has seed 0 and "s"
    assert not set(measured.identities) & set(population.sample(24, seed=0)["identity"])
    monkeypatch.setattr(build, "_make", lambda *args, **kwargs: pytest.fail("made again"))
    again = known_answer.measure(open_study("09_known_answer"))
    for key, one in measured.levels.items():
        np.testing.assert_array_equal(again.levels[key].predicted, one.predicted)
        np.testing.assert_array_equal(again.levels[key].null, one.null)


def test_what_is_measured_is_what_a_user_gets_from_a_recording(measured, project):
    """From the files, one by one, by the functions that reconstruct a face."""
    study = open_study("09_known_answer")
    model, readers = inference.load(study.read("model")), Readers.load(study.read("measure"))
    (root,) = made(project, prefix="m", seed=1_000_003)
    people = pd.read_parquet(root / "people.parquet").set_index("identity").loc[measured.identities]
    vectors, said = [], []
    for name in measured.identities:
        own = [
            model.embed(front_end.features(sound_files.read(path)))
            for path in sorted((root / "voices" / name).rglob("*.wav"))
        ]
        assert len(own) == 2
        vectors.append(np.mean(own, axis=0))
        faces = inference.draw(model.generator, torch.from_numpy(np.stack(own)))
        said.append(readers.gender(faces).mean())
    sex = attributes.NAMES.index("sex")
    face = measured.levels["overall", "face"].predicted[:, sex]
    np.testing.assert_allclose(face, said, atol=0.01)  # the store keeps features in half precision
    folds = recovery.fold_numbers(20, n_folds=known_answer.N_FOLDS, rng=known_answer.seeding.stream(1_000_003, "split"))
    ridge = recovery.Ridge(np.stack(vectors), folds)(people["age_years"].to_numpy()[:, None, None])[:, 0, 0]
    embedded = measured.levels["overall", "embedding"].predicted[:, attributes.NAMES.index("age_years")]
    np.testing.assert_allclose(embedded, ridge, rtol=0.02)


def test_only_what_is_read_is_judged_in_the_face(measured):
    answer = known_answer.alone(open_study("09_known_answer"), measured)
    face = answer.table[answer.table["level"] == "face"]
    read = set(face.loc[face["value"].notna(), "attribute"])
    assert read == {"sex", *LEARNT}
    assert set(face.loc[~face["attribute"].isin(read), "verdict"]) <= {recovery.NOT_READ}
    others = answer.table[answer.table["level"].isin(["ceiling", "embedding"])]
    assert set(others.loc[others["value"].isna(), "attribute"]) <= {"glasses"}  # which none of 20 people may wear


def test_what_is_written_is_read_again_and_is_plain_json(measured):
    study = open_study("09_known_answer")
    folder = finish(study, measured)
    again = known_answer.read(folder)
    assert list(again.identities) == list(measured.identities)
    for key, one in measured.levels.items():
        np.testing.assert_array_equal(again.levels[key].predicted, one.predicted)
        np.testing.assert_array_equal(again.levels[key].null, one.null)
    kept = json.loads((folder / "answer.json").read_text())
    assert (kept["known"], kept["n_people"], kept["seeds"]) == (True, 20, [0])
    entry = kept["overall"]["skin_tone"]
    assert entry["caused"] is False and set(entry["levels"]) == set(known_answer.LEVELS)
    assert set(entry["levels"]["face"]) == {
        "value",
        "low",
        "high",
        "null_high",
        "p",
        "p_holm",
        "share_of_ceiling",
        "verdict",
    }
    table = known_answer.alone(study, measured).table
    row = table[(table["mode"] == "overall") & (table["attribute"] == "skin_tone") & (table["level"] == "embedding")]
    for name in ("value", "low", "high", "null_high", "p", "p_holm"):
        assert entry["levels"]["embedding"][name] == row[name].item()
    assert kept["overall"]["glasses"]["levels"]["face"]["value"] is None
    assert "sex" in kept["overall"] and "sex" not in kept["within sex"]


def test_seeds_of_the_same_people_are_averaged_and_others_are_left_out(measured, monkeypatch, capsys):
    first, second = open_study("09_known_answer"), open_study("09_known_answer", seed=1)
    other = known_answer.measure(second)
    finish(first, measured)
    assert known_answer.pooled(second, other).seeds == (0, 1)  # the first is finished, the second is at hand
    finish(second, other)
    answer = known_answer.pooled(first, measured)
    alone = [known_answer.alone(study, one).table for study, one in ((first, measured), (second, other))]
    np.testing.assert_allclose(answer.table["value"], (alone[0]["value"] + alone[1]["value"]) / 2)
    assert (alone[0]["value"] != alone[1]["value"]).any()
    second.write("answer")  # begun again
    assert known_answer.pooled(first, measured).seeds == (0,)
    with monkeypatch.context() as older:
        older.setattr(runs, "code_of", lambda *_, **__: "older")
        finish(open_study("09_known_answer", seed=1), other)
    assert known_answer.pooled(first, measured).seeds == (0,)
    assert "s1 is left out, since other code made it" in capsys.readouterr().out
    strangers = known_answer.Measured(other.identities, {m: t + 1 for m, t in other.truth.items()}, other.levels)
    finish(second, strangers)
    assert known_answer.pooled(first, measured).seeds == (0,)


def test_the_leak_is_found_in_people_and_in_the_run_that_was_trained_on_it(measured, monkeypatch):
    study = open_study("09_known_answer")
    answer = known_answer.alone(study, measured)
    found = known_answer.leak(study, answer)
    assert list(found["planted"].unique()) == ["nowhere", "in the people measured"]
    value = found.set_index(["planted", "level"])["value"]
    assert value["nowhere", "ceiling"] < 0.1 < 0.25 < value["in the people measured", "ceiling"]
    trained = study.beside("leak")
    assert (trained.label, trained.params.corpus.leak, study.params.corpus.leak) == ("leak", 1.0, 0.0)
    finish(trained, measured)
    assert known_answer.leak(study, answer).equals(found), "that leak is of the plain run's parameters"
    read = runs.Study.read  # the networks are those of the label here too
    monkeypatch.setattr(runs.Study, "read", lambda self, what: read(replace(self, label=self.label or "small"), what))
    again = known_answer.leak(replace(study, label=""), answer)
    assert list(again["planted"].unique()) == ["nowhere", "in the people measured", "in the training too"]
    assert answer_figures.show_leak(again).axes[0].get_yticklabels()[2].get_text() == "leak in the training too"
    said, values = answer_figures.leaked(again), again.set_index(["planted", "level"])["value"]
    for planted, level, name in (
        ("nowhere", "face", "drawn face"),
        ("in the people measured", "ceiling", "true parameters of the voice"),
        ("in the training too", "face", "drawn face"),
    ):
        part = said.partition(f"with the leak {planted} it is ")[2].partition(";")[0]
        assert prose.signed(f"{values[planted, level]:z.2f} from the {name}") in part


def test_the_page_of_an_answer(measured):
    study = open_study("09_known_answer")
    answer = known_answer.alone(study, measured)
    face = answer.table[answer.table["level"] == "face"].set_index("mode")
    n, own = (
        face.loc[mode, "verdict"].value_counts().reindex(answer_figures.VERDICTS, fill_value=0)
        for mode in known_answer.MODES
    )
    caused = (face.loc["within sex", "verdict"][face.loc["within sex", "caused"].astype(bool)]).size
    independent = (~face.loc["overall", "caused"].astype(bool)).sum()
    tellable = own[recovery.RECOVERED] + own[recovery.MISSED]
    assert tellable < caused and n[recovery.CHANCE] + n[recovery.ABOVE] < independent == 14
    assert answer_figures.sentence(answer) == (
        f"On 20 people and 1 seed of training, the drawn faces show {n[recovery.RECOVERED]} of the "
        f"{n[recovery.RECOVERED] + n[recovery.MISSED]} traits, sex among them, that share causes with the voice and "
        f"can be told from it. "
        f"Within a sex they show {own[recovery.RECOVERED]} of {tellable}, and {caused - tellable} more have no "
        f"verdict there. "
        f"Of the {independent} independent traits {n[recovery.CHANCE] + n[recovery.ABOVE]} can be read from a face, "
        f"and {n[recovery.CHANCE]} of these stay at chance. "
        f"Of the {independent - n[recovery.CHANCE] - n[recovery.ABOVE]} that cannot be read nothing is known."
    )
    table = answer.table.copy()
    tone = (table["mode"] == "overall") & (table["level"] == "face") & (table["attribute"] == "glasses")
    table.loc[tone, ["verdict", "value", "p_holm"]] = [recovery.ABOVE, 0.0312, 0.0004]
    failing = answer_figures.sentence(replace(answer, table=table))
    assert "; above chance, and so failing the check: glasses (R² 0.031, p < 0.001 after Holm's correction)." in failing
    assert answer_figures.counts(answer).data.shape == (6, 2)
    shown = answer_figures.exceptions(answer).data
    assert not shown["verdict"].isin([recovery.RECOVERED, recovery.CHANCE]).any()
    everyone = answer_figures.TITLES["overall"]
    assert shown.loc[(everyone, "glasses"), answer_figures._level("face")] == "–" and shown.notna().all(axis=None)
    labels = [text.get_text() for text in answer_figures.show(answer).axes[2].get_yticklabels()]
    assert {"age", "body mass index", "jaw width", "hair colour", "skin tone"} <= set(labels) and len(labels) == 36


def test_where_nothing_is_known_it_is_said(project, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(project)
    study = runs.open_study(
        "09_known_answer", profile="table", variant="general", seed=0, label="", overrides={}
    )  # reads nothing
    found = known_answer.measure(study)
    answer = known_answer.pooled(study, found)
    assert found is answer is known_answer.alone(study, found) is known_answer.leak(study, answer) is None
    assert answer_figures.counts(answer) == answer_figures.exceptions(answer) == known_answer.UNKNOWN
    assert answer_figures.show(answer) is answer_figures.show_leak(None) is None
    assert answer_figures.leaked(None) == known_answer.UNKNOWN
    assert capsys.readouterr().out.count(known_answer.UNKNOWN) == 2
    assert answer_figures.sentence(answer) == known_answer.UNKNOWN
    for name in ("readings.npz", draws.FILE):
        (tmp_path / name).write_text("of another corpus")
    known_answer.write(found, {"answer": answer}, tmp_path)
    assert json.loads((tmp_path / "answer.json").read_text())["known"] is False
    assert [path.name for path in tmp_path.iterdir()] == ["answer.json"]


# Many draws of one voice


@pytest.fixture(scope="module")
def many(project):
    """What is measured of a model that draws many faces of one voice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        torch.manual_seed(7)
        sampler = Sampler(embedding_dim=64, kind="energy", width=32).eval()
        sampler.learn_axes(torch.randn(50, 64))
        architecture = Architecture(0.125, 0.125, "batch", True, "k4", "own", sampler=sampler.options)
        networks = architecture.voice_embedding().eval(), architecture.generator().eval()
        with torch.no_grad():
            for network in (networks[1], sampler):
                for parameter in network.parameters():
                    parameter.mul_(3 if parameter.ndim > 1 else 1)
        study = open_study("05_training", seed=3, label="drawing")
        inference.save(study.write("model"), inference.Model(*networks, architecture, "test", sampler))
        study.finish("model")
        study = open_study("02_preprocessing", seed=3, label="drawing")
        centre, scale = np.zeros(len(LEARNT), np.float32), np.ones(len(LEARNT), np.float32)
        Readers(Trunk(len(LEARNT)).eval(), LEARNT, centre, scale).save(study.write("measure"))
        study.finish("measure")
        voices = torch.randn(30, 64), np.array(["f", "m"] * 15, object)
        patch.setattr(known_answer, "trained_on", lambda study: voices)
        patch.setattr(attributes, "legible", lambda values, truth: np.isfinite(values).all(0))
        study = open_study("09_known_answer", seed=3, label="drawing", **{"measure.n_draws": 12})
        return study, known_answer.measure(study)


def test_the_mean_of_many_draws_is_a_level_of_its_own(many):
    study, found = many
    assert found.names == ["ceiling", "embedding", "face", "draws", "photographs"]
    sex = attributes.NAMES.index("sex")
    one, mean = (found.levels["overall", level].predicted[:, sex] for level in ("face", "draws"))
    assert mean.min() >= 0 and mean.max() <= 1 and np.ptp(mean) < np.ptp(one)  # chance is averaged away
    answer = known_answer.alone(study, found)
    table = answer.table
    draws_ = table[(table["level"] == "draws") & table["value"].notna()]
    assert set(draws_["attribute"]) == {"sex", *LEARNT}
    figure = answer_figures.show(known_answer.alone(study, found))
    assert "mean of many draws" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert answer_figures._level("draws") in answer_figures.exceptions(known_answer.alone(study, found)).data
    shown = [
        (table[(table["level"] == "draws") & (table["mode"] == mode)]["verdict"] == recovery.RECOVERED).sum()
        for mode in known_answer.MODES
    ]
    said = re.search(
        r"The mean of many draws for a recording shows (\d+) of \d+, and within a sex (\d+) of",
        answer_figures.sentence(answer),
    )
    assert [int(n) for n in said.groups()] == shown


def test_draws_are_measured_and_kept(many, tmp_path):
    study, found = many
    spread = found.spread
    assert (spread.n_people, spread.n_draws) == (20, 12)
    assert set(spread.shares["attribute"]) == set(LEARNT)  # the sex has a metric of its own
    assert "sex_alone" in set(spread.energy["who"]) and "95 %" in spread.reasons["levels"]
    answer = known_answer.alone(study, found)
    faces = answer.table["level"] == "face"
    answer.table.loc[faces, "verdict"] = recovery.NOT_LEGIBLE
    why = known_answer.with_causes(found, answer).spread
    assert why.shares.empty and "within a sex" in why.reasons["shares"]
    answer.table.loc[faces & (answer.table["attribute"] != LEARNT[0]), "verdict"] = recovery.RECOVERED
    told = known_answer.with_causes(found, answer)
    assert set(told.spread.shares["attribute"]) == set(LEARNT[1:]), "what photographs do not show is not judged"
    known_answer.write(told, {}, tmp_path)
    again = known_answer.read(tmp_path)
    assert again.names == found.names
    pd.testing.assert_frame_equal(again.spread.shares, told.spread.shares, check_dtype=False)


@pytest.mark.parametrize(
    ("attribute", "shared", "total", "sharing", "varied"),
    [
        ("chin_size", 0.3, 1.0, recovery.SHARED, recovery.AS_PEOPLE),
        ("chin_size", 0.0, 0.5, recovery.NOT_SHARED, recovery.TOO_LITTLE),
        ("skin_tone", 0.0, 1.0, recovery.MADE_UP, recovery.AS_PEOPLE),
        ("skin_tone", 0.3, 1.5, recovery.UNTOLD, recovery.TOO_MUCH),
        ("lip_colour", 0.0, 1.0, recovery.MADE_UP, recovery.AS_PEOPLE),  # caused, and not told in a sex
    ],
)
def test_what_the_voice_tells_must_be_shared_and_nothing_else(many, attribute, shared, total, sharing, varied):
    def part(name, value):
        return {f"{name}_value": value, f"{name}_low": value - 0.1, f"{name}_high": value + 0.1}

    row = part("shared", shared) | part("made_up", total - shared) | part("total", total)
    found = replace(many[1], spread=replace(many[1].spread, shares=pd.DataFrame([{"attribute": attribute, **row}])))
    rows = [
        {"mode": "within sex", "level": "ceiling", "attribute": name, "caused": name != "skin_tone", "value": 0.3}
        | {"verdict": recovery.RECOVERED if name == "chin_size" else recovery.NOT_IN_VOICE}
        for name in ("chin_size", "skin_tone", "lip_colour")
    ]
    told = known_answer.with_causes(found, known_answer.Answer(pd.DataFrame(rows), 20, (0,)))
    (said,) = recovery.sharing(told.spread.shares).to_dict("records")
    assert (said["sharing"], said["spread"]) == (sharing, varied)
    assert said["holds"] == (sharing in (recovery.SHARED, recovery.MADE_UP) and varied == "as people")


def test_without_a_sampler_draws_say_why_they_are_not_there(measured, tmp_path):
    assert known_answer.spread(measured) == draws.NO_SAMPLER and "draws" not in measured.names
    told = known_answer.with_causes(measured, known_answer.alone(open_study("09_known_answer"), measured))
    assert told.spread == draws.NO_SAMPLER
    known_answer.write(told, {}, tmp_path)
    assert known_answer.read(tmp_path).spread == draws.NO_SAMPLER
    assert known_answer.spread(None).startswith("the answer is not known here")


# The statistics, on people who need no voices and faces


def test_targets_hold_every_attribute_of_a_person():
    people = population.sample(300, seed=4)
    values, asked = attributes.targets(people), attributes.asked()
    assert values.shape == (300, len(asked.of))
    assert set(asked.names) == {"sex", *people.columns} - {"identity", "gender", *population.VOICE}
    for k, name in enumerate(asked.names):
        own = values[:, asked.of == k]
        if name == "sex":
            assert ((own[:, 0] == 1) == (people["gender"] == "f")).all()
        elif people[name].dtype == object:
            assert (own.sum(1) == 1).all() and own.shape[1] >= people[name].nunique()
            assert len(set(zip(own.argmax(1), people[name], strict=True))) == people[name].nunique()
        else:
            np.testing.assert_array_equal(own[:, 0], people[name].astype(float))
    assert not asked.caused[[asked.names.index(name) for name in population.INDEPENDENT]].any()
    assert asked.caused.sum() == 4 + len(population.CAUSED)


def test_within_a_sex_the_sex_is_gone():
    values, female = np.random.default_rng(0).normal(size=(50, 3)) + 5, np.arange(50) % 3 == 0
    values[female] *= 4
    values[:, 2] = 1.0  # constant
    out = known_answer.within_sex(values, female)
    for own in (female, ~female):
        np.testing.assert_allclose(out[own].mean(0), 0, atol=1e-12)
        np.testing.assert_allclose(out[own].std(0), [1, 1, 0], atol=1e-12)


def test_no_other_predictor_beats_the_ceiling():
    free, people = population.sample(6000, seed=8), population.sample(3000, seed=9)
    best, truth = known_answer.best_predictions(free, people)["overall"], attributes.targets(people)
    x, new = (frame[list(population.VOICE)].to_numpy() for frame in (free, people))
    for name in ("age_years", "chin_size", "nose_size"):
        column = attributes.NAMES.index(name)
        other = HistGradientBoostingRegressor(learning_rate=0.05, max_leaf_nodes=15).fit(x, free[name]).predict(new)
        reached, rival = (r2_score(truth[:, column], said) for said in (best[:, column], other))
        assert reached > 0.3 and reached > rival - 0.01, name


def perfect(names, people):
    """Readings that know some attributes exactly, and of the others show chance."""
    values = attributes.targets(people)
    readings = np.random.default_rng(1).normal(size=values.shape)
    known = np.isin(np.array(attributes.NAMES)[attributes.asked().of], names)
    readings[:, known] = values[:, known]
    return readings


@pytest.mark.parametrize(
    ("shown", "said"), [("caused", recovery.CHANCE), ("everything", recovery.ABOVE)], ids=["sound", "leaking"]
)
def test_the_check_passes_what_is_sound_and_fails_what_shows_too_much(project, monkeypatch, shown, said):
    monkeypatch.chdir(project)
    study = open_study("09_known_answer", **{"answer.n_permutations": 600})  # enough for a small corrected p-value
    people = population.sample(100, seed=3)
    asked = attributes.asked()
    names = [n for n, caused in zip(asked.names, asked.caused, strict=True) if caused or shown == "everything"]
    truth, levels = known_answer._levels(
        study,
        people,
        leak=0.0,
        embedded=np.log(people[list(population.VOICE)].clip(lower=0.1) + 1).to_numpy(),
        readings={"face": perfect(names, people), "photographs": perfect(asked.names, people)},
    )
    measured = known_answer.Measured(people["identity"].to_numpy(str), truth, levels)
    table = known_answer.alone(study, measured).table
    face = table[(table["level"] == "face") & (table["mode"] == "overall")]
    strong = face[face["caused"] & (face["verdict"] != recovery.NOT_IN_VOICE)]
    assert len(strong) > 15 and (strong["verdict"] == recovery.RECOVERED).all()
    assert (face.loc[~face["caused"], "verdict"] == said).all()
    np.testing.assert_array_less(0.9, strong["value"])
    embedded = table[(table["level"] == "embedding") & (table["mode"] == "overall")].set_index("attribute")
    assert embedded.loc["age_years", "verdict"] == recovery.RECOVERED
    assert (embedded.loc[~embedded["caused"], "verdict"] == recovery.CHANCE).all()


def test_the_offset_says_which_people_are_asked(measured, project):
    others = known_answer.measure(open_study("09_known_answer", **{"answer.offset": 5}))
    assert made(project, prefix="m", seed=5)
    ages = measured.truth["overall"][:, attributes.NAMES.index("age_years")]
    assert not np.isclose(others.truth["overall"][:, attributes.NAMES.index("age_years")], ages).any()


def test_people_made_for_measuring_are_heard_as_the_run_hears(project, monkeypatch):
    monkeypatch.chdir(project)
    given = {}

    def built(manifest, folder, **more):
        given.update(more)
        raise InterruptedError

    monkeypatch.setattr(known_answer.pack, "build", built)
    strict = {"store.min_voice_s": 1.3, "store.max_rejected": 0.9}
    study = open_study("09_known_answer", **strict)
    with pytest.raises(InterruptedError):
        known_answer.people_for(study, leak=0.0, prefix="m", n=20, n_recordings=2, n_photos=1, size_px=64)
    assert given["settings"].min_voice_s == 1.3 and given["max_rejected"] == 0.9


def test_people_made_for_measuring_are_opened_before_another_run_may_make_them_anew(project, monkeypatch):
    monkeypatch.chdir(project)

    def opened(folder):
        with pytest.raises(Timeout), FileLock(folder.parent.with_suffix(".lock"), timeout=0):
            pass
        raise InterruptedError

    monkeypatch.setattr(known_answer.pack, "build", lambda *_, **__: None)
    monkeypatch.setattr(known_answer.store.Store, "open", opened)
    with pytest.raises(InterruptedError):
        known_answer.people_for(
            open_study("09_known_answer"), leak=0.0, prefix="m", n=20, n_recordings=2, n_photos=1, size_px=64
        )
