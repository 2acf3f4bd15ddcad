"""Splits are disjoint, complete and follow their rule; folds hold whole videos; oracles equal a double loop."""

import itertools
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from s2f.corpora import manifest, splits, voxceleb
from s2f.errors import CorpusError
from s2f.study import params
from tests.corpora.tables import FRACTIONS, corpus

ROOT = Path(__file__).resolve().parents[2]


def test_by_fraction_is_disjoint_complete_and_stratified_for_any_seed():
    rng = np.random.default_rng(0)
    for seed in range(60):
        n_f, n_m, n_unknown = (*rng.integers(3, 40, 2).tolist(), int(rng.integers(0, 5)))
        table = splits.split(
            corpus(n_f, n_m, n_unknown, n_voices=1, n_faces=1), rule="by_fraction", fractions=FRACTIONS, seed=seed
        )
        assert (table.groupby("identity")["split"].nunique() == 1).all()
        people = table.drop_duplicates("identity")
        assert set(people["split"]) == {"train", "validation", "test"}
        for gender, n in (("f", n_f), ("m", n_m)):
            counts = people.loc[people["gender"] == gender, "split"].value_counts()
            for name, share in FRACTIONS.items():
                assert counts[name] >= 1
                assert abs(counts[name] - share * n) < (1 if n >= 10 else 2)  # of few, each split still gets one


def test_by_fraction_depends_on_the_seed_and_not_on_the_order_of_rows():
    table = corpus()
    first = splits.split(table, rule="by_fraction", fractions=FRACTIONS, seed=3)
    again = splits.split(table.sample(frac=1, random_state=1), rule="by_fraction", fractions=FRACTIONS, seed=3)
    other = splits.split(table, rule="by_fraction", fractions=FRACTIONS, seed=4)
    pd.testing.assert_frame_equal(first, again.sort_index())
    assert not first["split"].equals(other["split"])


def test_few_of_a_gender_go_to_training_then_test():
    table = splits.split(corpus(10, 2, 1), rule="by_fraction", fractions=FRACTIONS, seed=0)
    people = table.drop_duplicates("identity")
    assert sorted(people.loc[people["gender"] == "m", "split"]) == ["test", "train"]
    assert people.loc[people["gender"].isna(), "split"].tolist() == ["train"]


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        (None, "are for nothing"),
        ({"train": 0.9, "test": 0.1}, "are for train, test"),
        ({"train": 0.8, "validation": 0.3, "test": 0.1}, "validation 0.3"),
        ({"train": 1.0, "validation": 0.0, "test": 0.0}, "test 0.0"),
    ],
)
def test_wrong_fractions(fractions, message):
    with pytest.raises(CorpusError, match=message):
        splits.split(corpus(), rule="by_fraction", fractions=fractions)


def test_an_empty_split_names_rule_and_counts():
    with pytest.raises(CorpusError, match="'by_fraction' leaves validation empty: train 1, validation 0, test 1 of 2"):
        splits.split(corpus(2, 0), rule="by_fraction", fractions=FRACTIONS)
    table = corpus()
    only_a = table[table["identity"].str.startswith("A")].replace({"identity": {r"_\d": "_x"}}, regex=True)
    with pytest.raises(CorpusError, match="'by_initial' leaves train and test empty: train 0, validation 2, test 0"):
        splits.split(only_a, rule="by_initial")
    with pytest.raises(CorpusError, match="Did you mean 'by_initial'"):
        splits.split(table, rule="by_initials")


def test_by_initial_follows_the_paper():
    names = ["Adam", "bea", "Cid", "Dan", "Éva", "Fay", "Zoe", "50_Cent"]
    rows = [(n, m, f"{n}.{m}") for n in names for m in ("voice", "face")]
    table = pd.DataFrame(rows, columns=["identity", "modality", "path"]).assign(gender=None)
    found = splits.split(table.iloc[:-2], rule="by_initial").drop_duplicates("identity")["split"]
    assert found.tolist() == ["validation"] * 2 + ["test"] * 3 + ["train"] * 2
    with pytest.raises(CorpusError, match="'50_Cent' is not a person's name"):
        splits.split(table, rule="by_initial")


@pytest.mark.parametrize("code", ["s0001", "id10270", "0001", "-x", "n000012", "Ann_2", "Vly50Y0pTto", "王"])
def test_by_initial_refuses_codes(code):
    table = pd.DataFrame({"identity": ["Ann", "Cid", "Fay", code], "gender": None})
    with pytest.raises(CorpusError, match="by_initial needs names") as caught:
        splits.split(table, rule="by_initial")
    assert code in caught.value.subject
    assert set(splits.split(table.iloc[:3], rule="by_initial")["split"]) == {"train", "validation", "test"}


def test_one_split_for_all_seeds_where_it_has_a_seed_of_its_own():
    def of(seed, own=None):
        return splits.divide(
            corpus(), params.resolve("smoke", overrides={"split.seed": own}, root=ROOT).split, seed=seed
        )

    pd.testing.assert_frame_equal(of(1, own=0), of(0))
    assert not of(1).equals(of(0))


def test_given_keeps_the_splits_a_corpus_came_with():
    given = splits.split(corpus(), rule="by_fraction", fractions=FRACTIONS, seed=0)
    aside = splits.set_folds(given, fraction=0.5, seed=0)
    pd.testing.assert_frame_equal(splits.split(aside, rule="given"), given)  # folds are set anew


@pytest.mark.parametrize("found", [None, "absent"])
def test_given_needs_splits(found):
    table = corpus() if found == "absent" else manifest.validate(corpus())
    with pytest.raises(CorpusError, match="'given' finds no splits in the corpus"):
        splits.split(table, rule="given")


@pytest.mark.parametrize("rule", ["by_fraction", "by_initial", "none"])
def test_given_splits_are_not_overwritten(rule):
    given = splits.split(corpus(), rule="by_fraction", fractions=FRACTIONS, seed=0)
    with pytest.raises(CorpusError, match=f"'{rule}' would overwrite the splits") as caught:
        splits.split(given, rule=rule, fractions=FRACTIONS)
    assert "split.rule to given" in caught.value.remedy


def test_given_splits_may_not_leave_one_empty():
    given = corpus().assign(split=lambda t: np.where(t["gender"] == "f", "train", "test"))
    with pytest.raises(CorpusError, match="'given' leaves validation empty: train 12, validation 0, test 12 of 24"):
        splits.split(given, rule="given")


def test_closed_set_puts_everyone_in_every_split():
    table = splits.split(corpus(), rule="none")
    assert set(table["split"]) == {"all"}
    assert all(splits.in_split(table, name).all() for name in ("train", "validation", "test"))
    with pytest.raises(CorpusError, match="Did you mean 'validation'"):
        splits.in_split(table, "valid")


def test_folds_set_whole_videos_aside_and_never_all():
    for seed in range(30):
        table = splits.split(corpus(n_voices=9), rule="by_fraction", fractions=FRACTIONS, seed=seed)
        table = splits.set_folds(table, fraction=0.2, seed=seed)  # 5 videos a person: one aside
        train = table[(table["split"] == "train") & (table["modality"] == "voice")]
        assert (table.drop(train.index)["fold"] == 0).all()
        by_video = train.groupby(["identity", "source_id"])["fold"]
        assert (by_video.nunique() == 1).all()
        assert (by_video.first().groupby("identity").sum() == 1).all()


@pytest.mark.parametrize(("people", "expected"), [(0.0, 0), (0.01, 1), (0.25, 6), (1.0, 24)])
def test_folds_may_be_of_some_people_only(people, expected):
    table = splits.split(corpus(n_voices=9), rule="none")
    chosen = set()
    for seed in range(5):
        aside = splits.set_folds(table, fraction=0.2, people=people, seed=seed)
        of_each = aside.groupby("identity")["fold"].max()
        assert of_each.sum() == expected
        chosen.add(tuple(of_each.index[of_each == 1]))
    assert len(chosen) == (1 if expected in (0, 24) else 5)


@pytest.mark.parametrize("people", [-0.1, 1.1, float("nan")])
def test_a_share_of_people_out_of_range_is_refused(people):
    table = splits.split(corpus(n_voices=4), rule="none")
    with pytest.raises(CorpusError, match="fold people"):
        splits.set_folds(table, fraction=0.2, people=people, seed=0)


def test_folds_without_videos_or_with_one():
    table = splits.split(corpus(n_voices=4), rule="none")
    nothing = splits.set_folds(table.assign(source_id="same"), fraction=0.5, seed=0)
    assert (nothing["fold"] == 0).all()
    files = splits.set_folds(table.assign(source_id=None), fraction=0.5, seed=0)
    assert (files[files["modality"] == "voice"].groupby("identity")["fold"].sum() == 2).all()
    assert splits.set_folds(table, fraction=0, seed=0)["fold"].sum() == 0
    shuffled = splits.set_folds(table.sample(frac=1, random_state=0), fraction=0.5, seed=5).sort_index()
    pd.testing.assert_frame_equal(shuffled, splits.set_folds(table, fraction=0.5, seed=5))
    with pytest.raises(CorpusError, match=r"fold fraction is 1\.0"):
        splits.set_folds(table, fraction=1.0, seed=0)
    with pytest.raises(CorpusError, match="is not split"):
        splits.set_folds(manifest.validate(corpus()), fraction=0.5, seed=0)


# ------------------------------------------------------------------------------------------------ matching


def by_hand(people, known):
    """Every ordered pair of two people: 1 where something known differs, else half."""
    facts = [tuple(row) for row in people[list(known)].to_numpy(dtype=object)]
    right = [1.0 if facts[i] != facts[j] else 0.5 for i, j in itertools.permutations(range(len(facts)), 2)]
    return sum(right) / len(right)


@pytest.mark.parametrize("known", [("gender",), ("nationality",), ("gender", "nationality")])
@pytest.mark.parametrize("n", [2, 3, 40])
def test_oracle_matching_equals_a_double_loop(n, known):
    rng = np.random.default_rng(n)
    people = pd.DataFrame(
        {
            "identity": [f"p{i}" for i in range(n)],
            "gender": rng.choice(np.array(["f", "m"], dtype=object), n),
            "nationality": rng.choice(np.array(["India", "Peru", "Togo"], dtype=object), n),
        }
    )
    rows = people.loc[np.repeat(people.index, rng.integers(1, 6, n))]  # how many files someone has does not matter
    assert splits.oracle_matching(rows, known=known) == pytest.approx(by_hand(people, known), abs=1e-12)


def test_oracle_matching_where_all_agree_or_all_differ():
    people = pd.DataFrame({"identity": list("abc"), "gender": "f", "nationality": list("xyz")})
    assert splits.oracle_matching(people) == 0.5
    assert splits.oracle_matching(people, known=["nationality"]) == 1.0
    with pytest.raises(CorpusError, match="needs two people, has 1"):
        splits.oracle_matching(people.iloc[[0, 0]])


def test_an_oracle_takes_the_unknown_for_no_group_of_their_own():
    people = pd.DataFrame({"identity": list("abcd"), "gender": ["f", "m", None, None], "nationality": "Peru"})
    with pytest.raises(CorpusError, match="gender is unknown of 2 of 4 people"):
        splits.oracle_matching(people, known=["nationality", "gender"])
    assert splits.oracle_matching(people, known=["nationality"]) == 0.5


def test_oracles_of_each_split():
    table = manifest.validate(corpus(9, 6))
    table = splits.split(table, rule="by_fraction", fractions=FRACTIONS, seed=0)
    found = splits.oracles(table)
    people = table.drop_duplicates("identity")
    assert list(found.index) == ["train", "validation", "test"]
    for name, row in found.iterrows():
        part = people[people["split"] == name]
        assert [row["identities"], row["f"], row["m"]] == [
            len(part),
            (part["gender"] == "f").sum(),
            (part["gender"] == "m").sum(),
        ]
        assert row["gender"] == pytest.approx(by_hand(part, ["gender"]))
    assert found["gender and nationality"].isna().all()  # no nationality is known
    known = table.assign(nationality=table["identity"])
    assert splits.oracles(known)["gender and nationality"].tolist() == [1.0] * 3


def test_an_oracle_stands_only_where_all_its_facts_are_known():
    table = splits.split(manifest.validate(corpus(9, 6)), rule="by_fraction", fractions=FRACTIONS, seed=0)
    table = table.assign(nationality=table["identity"])
    someone = table.loc[table["split"] == "train", "identity"].iloc[0]
    of_one = table["identity"] == someone
    half_known = splits.oracles(table.assign(gender=table["gender"].where(~of_one)))
    assert half_known["gender"].isna().to_dict() == {"train": True, "validation": False, "test": False}
    assert half_known["gender and nationality"].isna().to_dict() == {"train": True, "validation": False, "test": False}
    no_land = splits.oracles(table.assign(nationality=table["nationality"].where(~of_one)))
    assert no_land["gender"].notna().all()
    assert no_land["gender and nationality"].isna().to_dict() == {"train": True, "validation": False, "test": False}


def test_oracles_leave_out_splits_of_one_person():
    three = manifest.validate(corpus(3, 0))
    initial = three["identity"].str[0]
    two_train = three.assign(split=initial.map({"A": "train", "B": "train", "C": "test"}))
    assert splits.oracles(two_train)["identities"].to_dict() == {"train": 2}
    one_each = three.assign(split=initial.map({"A": "train", "B": "validation", "C": "test"}))
    found = splits.oracles(one_each)
    assert found.empty and list(found.columns) == list(splits.oracles(two_train).columns)


def test_oracles_of_the_real_test_names():
    path = Path(os.environ.get("S2F_REAL", Path(__file__).resolve().parents[3] / "shared" / "real")) / "vox1_meta.csv"
    if not path.is_file():
        pytest.skip(f"no real sample at {path.parent}: set S2F_REAL")
    people = splits.split(voxceleb.read_meta(path), rule="by_initial")
    test = splits.oracles(people).loc["test"]
    assert test[["identities", "m", "f"]].tolist() == [193, 119, 74]
    assert 100 * test["gender"] == pytest.approx(73.8, abs=0.05)
    assert 100 * test["gender and nationality"] == pytest.approx(89.2, abs=0.05)
