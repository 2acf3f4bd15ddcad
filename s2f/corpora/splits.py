"""Who is trained on, chosen on and tested on: splits by identity, folds within them, and what an oracle would get."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd

from s2f import settings
from s2f.corpora.manifest import GENDERS, SPLITS
from s2f.errors import CorpusError, nearest

RULES = ("by_fraction", "by_initial", "given", "none")
INITIALS = MappingProxyType(
    {"validation": "AB", "test": "CDE"}
)  # Wen et al. 2019, section 4; every other letter is training


def split(
    manifest: pd.DataFrame, *, rule: str, fractions: Mapping[str, float] | None = None, seed: int = 0
) -> pd.DataFrame:
    """Assign every identity to a split.

    Parameters
    ----------
    rule : {"by_fraction", "by_initial", "given", "none"}
        `by_fraction` draws from the seed, in the given fractions for each gender; a gender with three
        identities or more is in every split. `by_initial` goes by the first letter of the name: A–B
        validation, C–E test, F–Z training (Wen et al. 2019, section 4). `given` keeps the splits that a
        table came with. `none` puts everyone in "all": the closed set, in which training and test identities
        are the same people.
    fractions : mapping, optional
        "train", "validation" and "test", each above 0, with sum 1. Used by `by_fraction` alone.
    seed : int
        Used by `by_fraction` alone. The order of the rows does not matter.

    Returns
    -------
    DataFrame, copy with `split` set and `fold` 0

    Raises
    ------
    CorpusError
        Unknown rule; wrong fractions; names that the rule cannot use; splits that are given and would be
        overwritten, or are not given; an empty split.
    """
    from s2f.seeding import stream  # torch comes with it; reading a manifest does without

    if rule not in RULES:
        raise CorpusError(f"split rule '{rule}'", "is unknown", remedy=nearest(rule, RULES), reason="rule")
    people = manifest.reindex(columns=["identity", "gender", "split"])
    if (rule == "given") != people["split"].notna().any():
        problem, remedy = "would overwrite the splits the corpus came with", "Set split.rule to given, or drop them."
        if rule == "given":
            problem, remedy = "finds no splits in the corpus", "Give the table a column split."
        raise CorpusError(f"split rule '{rule}'", problem, remedy=remedy, reason="rule")
    people = people.drop_duplicates("identity").sort_values("identity")
    assigned = dict(zip(people["identity"], people["split"], strict=True))
    if rule == "by_fraction":
        assigned = _by_fraction(people, _fractions(fractions), stream(seed, "split"))
    elif rule == "by_initial":
        assigned = {name: _initial_split(name) for name in assigned}
    elif rule == "none":
        assigned = dict.fromkeys(assigned, "all")
    counts = {s: sum(v == s for v in assigned.values()) for s in SPLITS[:3]}
    if rule != "none" and 0 in counts.values():
        empty = " and ".join(s for s, n in counts.items() if n == 0)
        found = ", ".join(f"{s} {n}" for s, n in counts.items())
        problem = f"leaves {empty} empty: {found} of {len(people)} identities"
        remedy = "Use more identities or another rule (split.rule)."
        raise CorpusError(f"split rule '{rule}'", problem, remedy=remedy, reason="empty_split")
    return manifest.assign(split=manifest["identity"].map(assigned), fold=0)


def divide(manifest: pd.DataFrame, section: settings.Split, *, seed: int) -> pd.DataFrame:
    """Split and folds as section ``split`` of the parameters asks for; see `split` and `set_folds`.

    `seed` is the run's, for where the section has none of its own.
    """
    seed = seed if section.seed is None else section.seed
    fractions = {"train": section.train, "validation": section.validation, "test": section.test}
    table = split(manifest, rule=section.rule, fractions=fractions, seed=seed)
    return set_folds(table, fraction=section.fold_fraction, people=section.fold_people, seed=seed)


def set_folds(manifest: pd.DataFrame, *, fraction: float, people: float = 1.0, seed: int) -> pd.DataFrame:
    """Set aside whole videos of training identities (`fold` 1) to measure the speaker pre-training.

    A recording without a `source_id` counts as a video of its own. Of an identity with n videos,
    `fraction` · n are set aside, rounded, at least one and never all; an identity with a single
    video keeps it for training.

    Parameters
    ----------
    manifest : DataFrame, with `split`
    fraction : float, in [0, 1); 0 sets nothing aside
    people : float
        Share in [0, 1] of the identities with two videos or more of whom some are set aside, drawn, at least one where
        it is not 0. Where people have few videos, this keeps most of the pre-training.

    Raises
    ------
    CorpusError: a fraction or share that is out of range, or a manifest that is not split
    """
    from s2f.seeding import stream  # torch comes with it; reading a manifest does without

    if not 0 <= fraction < 1:
        raise CorpusError("fold fraction", f"is {fraction}", remedy="Give a fraction from 0 to below 1.", reason="fold")
    if not 0 <= people <= 1:
        raise CorpusError("fold people", f"is {people}", remedy="Give a share from 0 to 1.", reason="fold")
    if manifest["split"].isna().any():
        raise CorpusError("manifest", "is not split", remedy="Call `split` before `set_folds`.", reason="split")
    fold = pd.Series(0, index=manifest.index, dtype=np.int64)
    rows = manifest[(manifest["modality"] == "voice") & manifest["split"].isin(("train", "all"))]
    videos = rows["source_id"].where(rows["source_id"].notna(), "file:" + rows["path"])
    rng = stream(seed, "fold")
    if fraction == 0 or people == 0:
        return manifest.assign(fold=fold)
    of_each = videos.groupby(rows["identity"], sort=True)
    several = of_each.nunique().loc[lambda n: n > 1].index.to_numpy()
    if people < 1 and len(several):
        several = rng.permutation(several)[: max(1, round(people * len(several)))]
    for identity, of_one in of_each:
        if identity not in several:
            continue
        names = np.sort(of_one.unique().astype(str))
        n_aside = min(max(round(fraction * len(names)), 1), len(names) - 1)
        aside = rng.choice(names, size=n_aside, replace=False)
        fold[of_one.index[of_one.isin(aside)]] = 1
    return manifest.assign(fold=fold)


def oracle_matching(manifest: pd.DataFrame, *, known: Sequence[str] = ("gender",)) -> float:
    """How often 2-way matching succeeds for someone who knows these columns of everybody and nothing else.

    Probe and distractor are two different people, all pairs weighing equally; where the columns differ the answer
    is right, where they agree it is a guess.

    Parameters
    ----------
    known : sequence of str, columns, such as ``("gender", "nationality")``

    Returns
    -------
    float, share in [0.5, 1]

    Raises
    ------
    CorpusError: fewer than two people, or one of whom a column is not known: the unknown are no group of their own
    """
    people = manifest.drop_duplicates("identity")
    n = len(people)
    for column in known:
        if n_unknown := int(people[column].isna().sum()):
            problem = f"is unknown of {n_unknown} of {n} people"
            raise CorpusError(column, problem, remedy="Take people of whom it is known.", reason="unknown")
    if n < 2:
        raise CorpusError("matching", f"needs two people, has {n}", remedy="Use a larger split.", reason="few")
    sizes = people.groupby(list(known)).size().to_numpy()
    same = float((sizes * (sizes - 1)).sum() / (n * (n - 1)))
    return 1 - same / 2


def oracles(manifest: pd.DataFrame) -> pd.DataFrame:
    """`oracle_matching` for gender, and for gender and nationality, in each split of two people or more.

    Returns
    -------
    DataFrame
        A row a split: `identities`, `f`, `m`, `gender`, `gender and nationality` (shares; missing where a column is
        not known of everybody in the split).
    """
    rows = []
    for name in SPLITS:
        people = manifest[manifest["split"] == name].drop_duplicates("identity")
        if len(people) < 2:
            continue
        row = {"split": name, "identities": len(people), **{g: int((people["gender"] == g).sum()) for g in GENDERS}}
        for label, known in (("gender", ["gender"]), ("gender and nationality", ["gender", "nationality"])):
            row[label] = oracle_matching(people, known=known) if people[known].notna().all(axis=None) else None
        rows.append(row)
    columns = ["split", "identities", *GENDERS, "gender", "gender and nationality"]
    return pd.DataFrame(rows, columns=columns).set_index("split")


def in_split(manifest: pd.DataFrame, name: str) -> pd.Series:
    """Mask of the rows that belong to a split; those of a closed set ("all") belong to every split."""
    if name not in SPLITS:
        raise CorpusError(f"split '{name}'", "is unknown", remedy=nearest(name, SPLITS), reason="split")
    return manifest["split"].isin((name, "all"))


def _fractions(fractions: Mapping[str, float] | None) -> dict[str, float]:
    given = dict(fractions or {})
    problem = remedy = ""
    if set(given) != set(SPLITS[:3]):
        problem = f"are for {', '.join(map(str, given)) or 'nothing'}"
        remedy = "Give one each for train, validation and test."
    elif min(given.values()) <= 0 or abs(sum(given.values()) - 1) > 1e-6:
        problem = "are " + ", ".join(f"{k} {v}" for k, v in given.items())
        remedy = "Each must be above 0 and their sum 1."
    if problem:
        raise CorpusError("split fractions", problem, remedy=remedy, reason="fractions")
    return given


def _by_fraction(people: pd.DataFrame, fractions: dict[str, float], rng: np.random.Generator) -> dict[str, str]:
    assigned = {}
    genders = people["gender"].fillna("unknown")
    for gender in sorted(genders.unique()):
        names = rng.permutation(people.loc[genders == gender, "identity"].to_numpy())
        start = 0
        for name, n in _apportion(len(names), fractions).items():
            assigned.update(dict.fromkeys(names[start : start + n], name))
            start += n
    return assigned


def _apportion(n: int, fractions: dict[str, float]) -> dict[str, int]:
    """Divide n by largest remainders; where n allows, everyone gets one, taken from the largest."""
    order = ("train", "test", "validation")  # who goes first where there are fewer identities than splits
    exact = {s: n * fractions[s] for s in order}
    counts = {s: int(exact[s] + 1e-9) for s in order}
    for s in sorted(order, key=lambda s: (counts[s] - exact[s], order.index(s)))[: n - sum(counts.values())]:
        counts[s] += 1
    for s in order[: min(n, 3)]:
        if counts[s] == 0:
            counts[max(order, key=lambda one: counts[one])] -= 1
            counts[s] = 1
    return counts


def _initial_split(name: str) -> str:
    first = unicodedata.normalize("NFKD", name)[:1].upper()
    if not "A" <= first <= "Z" or any(c.isdigit() for c in name):
        problem = "is not a person's name (it holds a digit, or starts with no letter from A to Z)"
        remedy = "The rule by_initial needs names; use by_fraction."
        raise CorpusError(f"identity '{name}'", problem, remedy=remedy, reason="initial")
    return next((s for s, letters in INITIALS.items() if first in letters), "train")
