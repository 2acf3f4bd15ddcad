"""The manifest: one table with a row for every recording and every photo of a corpus.

========== ======================= =========================================================
column     values                  meaning
========== ======================= =========================================================
identity   text                    who: the same text for a person's voice and face
gender     "f", "m" or None
nationality text or None
modality   "voice" or "face"
path       text                    relative to the corpus's root, or absolute
source_id  text or None            the video (or event) the file was taken from
landmarks  None or 10 numbers      x0, y0 … x4, y4 in pixels of the photo: left eye, right eye,
                                   nose tip, left and right mouth corner ("left" in the image)
split      None or a name in       "all" only in a closed set, where everyone is both
           `SPLITS`                training and test data
fold       0 or 1                  1: a training recording set aside to measure the
                                   pre-training of the voice embedding
========== ======================= =========================================================
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from s2f.errors import CorpusError, nearest
from s2f.files import whole

COLUMNS = ("identity", "gender", "nationality", "modality", "path", "source_id", "landmarks", "split", "fold")
REQUIRED = ("identity", "modality", "path")
GENDERS = ("f", "m")
MODALITIES = ("voice", "face")
SPLITS = ("train", "validation", "test", "all")
RULES = ("by_fraction", "by_initial", "given", "none")
INITIALS = {"validation": "AB", "test": "CDE"}  # Wen et al. 2019, section 4; every other letter is training

_FILES = "Correct the table or the files it was made from."


def validate(manifest: pd.DataFrame, *, root: str | Path | None = None) -> pd.DataFrame:
    """Check a manifest and return a copy of it with all of `COLUMNS`, in order, one type each.

    Optional columns that are absent are filled with None (`fold` with 0); missing values become None.

    Parameters
    ----------
    manifest : DataFrame
        At least the columns `REQUIRED`; no columns outside `COLUMNS`.
    root : str or Path, optional
        Folder that the paths start from. If given, a path that leaves it is an error.
        A relative path that climbs above its start with ".." is always one.

    Returns
    -------
    DataFrame
        Columns of text (object, None where missing), `landmarks` lists of 10 floats or None, `fold` int64.

    Raises
    ------
    CorpusError
        Empty table; a missing or unknown column; a missing, wrongly typed or unknown value; a path twice or
        outside the root; landmarks that are not ten finite numbers; an identity with two genders,
        nationalities or splits.
    """
    for name in REQUIRED:
        if name not in manifest.columns:
            raise CorpusError(
                f"manifest column '{name}'",
                "is missing",
                remedy=f"Columns found: {', '.join(map(str, manifest.columns))}.",
                reason="column",
            )
    for name in manifest.columns:
        if name not in COLUMNS:
            raise CorpusError(
                f"manifest column '{name}'", "is unknown", remedy=nearest(name, COLUMNS), reason="column"
            )
        if (manifest.columns == name).sum() > 1:
            raise CorpusError(
                f"manifest column '{name}'", "appears twice", remedy="Keep one.", reason="column"
            )
    if manifest.empty:
        raise CorpusError(
            "manifest",
            "has no rows",
            remedy="Check the folders or the table it was made from.",
            reason="empty",
        )

    table = pd.DataFrame(index=pd.RangeIndex(len(manifest)))
    for name in COLUMNS:
        if name in ("landmarks", "fold"):
            continue
        values = manifest[name].to_numpy(dtype=object) if name in manifest else np.full(len(manifest), None)
        table[name] = _texts(values, name)
    marks = manifest["landmarks"].to_numpy(dtype=object) if "landmarks" in manifest else [None] * len(table)
    table["landmarks"] = pd.Series(
        [_landmarks(m, p) for m, p in zip(marks, table["path"], strict=True)], dtype=object
    )
    table["fold"] = _folds(manifest["fold"]) if "fold" in manifest else np.zeros(len(table), np.int64)
    table = table[list(COLUMNS)]

    for name, valid in (("gender", GENDERS), ("modality", MODALITIES), ("split", SPLITS)):
        wrong = ~(table[name].isin(valid) | (table[name].isna() & (name != "modality")))
        if wrong.any():
            row = table[wrong].iloc[0]
            raise CorpusError(
                row["path"],
                f"has {name} {row[name]!r}",
                remedy=f"Valid: {', '.join(valid)}"
                + ("" if name == "modality" else " or none")
                + f". {int(wrong.sum())} rows are affected.",
                reason=name,
            )
    _check_paths(table, root)
    twice = table.duplicated(["modality", "path"])
    if twice.any():
        row = table[twice].iloc[0]
        owners = sorted(set(table.loc[(table["path"] == row["path"]), "identity"]))
        raise CorpusError(
            row["path"],
            f"is listed twice as a {row['modality']} (of {', '.join(owners)})",
            remedy=f"Keep one row a file; {int(twice.sum())} rows are too many.",
            reason="duplicate",
        )
    for name in ("gender", "nationality", "split"):
        several = table.groupby("identity")[name].nunique(dropna=False)
        if (several > 1).any():
            who = several.idxmax()
            found = sorted({str(v) for v in table.loc[table["identity"] == who, name]})
            raise CorpusError(
                f"identity '{who}'",
                f"has more than one {name}: {', '.join(found)}",
                remedy=_FILES,
                reason=name,
            )
    if table["split"].isna().any() and table["split"].notna().any():
        row = table[table["split"].isna()].iloc[0]
        raise CorpusError(
            row["path"],
            "has no split although other rows have one",
            remedy="Give every row a split, or none.",
            reason="split",
        )
    aside = (table["fold"] != 0) & ~((table["modality"] == "voice") & table["split"].isin(("train", "all")))
    if aside.any():
        raise CorpusError(
            table.loc[aside, "path"].iloc[0],
            "has fold 1 but is not a training recording",
            remedy="Only recordings of training identities are set aside.",
            reason="fold",
        )
    marked = (table["modality"] == "voice") & table["landmarks"].notna()
    if marked.any():
        raise CorpusError(
            table.loc[marked, "path"].iloc[0],
            "is a voice and has landmarks",
            remedy="Only photos have landmarks.",
            reason="landmarks",
        )
    return table


def intersect(manifest: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the identities that have both a voice and a face.

    Returns
    -------
    kept : DataFrame
        Manifest of these identities, in the order given.
    dropped : DataFrame
        One row an identity that was left out: `identity`, `modality` (the one it has), `n_files`,
        `reason` ("without_voice" or "without_face").

    Raises
    ------
    CorpusError
        No identity has both.
    """
    has = {m: set(manifest.loc[manifest["modality"] == m, "identity"]) for m in MODALITIES}
    both = has["voice"] & has["face"]
    if not both:
        raise CorpusError(
            "manifest",
            f"has no identity with both a voice and a face ({len(has['voice'])} have a voice, "
            f"{len(has['face'])} a face)",
            remedy="Check that both sources name people in the same way.",
            reason="no_pairs",
        )
    keep = manifest["identity"].isin(both)
    lost = manifest[~keep].groupby(["identity", "modality"], sort=True).size().rename("n_files").reset_index()
    lost["reason"] = np.where(lost["modality"] == "voice", "without_face", "without_voice")
    return manifest[keep].reset_index(drop=True), lost


def split(
    manifest: pd.DataFrame, *, rule: str, fractions: Mapping[str, float] | None = None, seed: int = 0
) -> pd.DataFrame:
    """Assign every identity to a split.

    Parameters
    ----------
    manifest : DataFrame
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
    DataFrame
        Copy with `split` set and `fold` 0.

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
        raise CorpusError(
            f"split rule '{rule}'",
            "finds no splits in the corpus" if rule == "given" else "would overwrite the splits the corpus came with",
            remedy="Give the table a column split." if rule == "given" else "Set split.rule to given, or drop them.",
            reason="rule",
        )
    people = people.drop_duplicates("identity").sort_values("identity")
    if rule == "by_fraction":
        assigned = _by_fraction(people, _fractions(fractions), stream(seed, "split"))
    elif rule == "given":
        assigned = dict(zip(people["identity"], people["split"], strict=True))
    elif rule == "by_initial":
        assigned = {name: _initial_split(name) for name in people["identity"]}
    else:
        assigned = dict.fromkeys(people["identity"], "all")
    counts = {s: sum(v == s for v in assigned.values()) for s in SPLITS[:3]}
    if rule != "none" and 0 in counts.values():
        empty = [s for s, n in counts.items() if n == 0]
        raise CorpusError(
            f"split rule '{rule}'",
            f"leaves {' and '.join(empty)} empty: "
            + ", ".join(f"{s} {n}" for s, n in counts.items())
            + f" of {len(people)} identities",
            remedy="Use more identities or another rule (split.rule).",
            reason="empty_split",
        )
    return manifest.assign(split=manifest["identity"].map(assigned), fold=0)


def set_folds(manifest: pd.DataFrame, *, fraction: float, seed: int) -> pd.DataFrame:
    """Set aside whole videos of every training identity (`fold` 1) to measure the speaker pre-training.

    A recording without a `source_id` counts as a video of its own. Of an identity with n videos,
    `fraction` · n are set aside, rounded, at least one and never all; an identity with a single
    video keeps it for training.

    Parameters
    ----------
    manifest : DataFrame
        With `split`.
    fraction : float
        In [0, 1); 0 sets nothing aside.
    seed : int

    Raises
    ------
    CorpusError
        A fraction outside [0, 1), or a manifest that is not split.
    """
    from s2f.seeding import stream  # torch comes with it; reading a manifest does without

    if not 0 <= fraction < 1:
        raise CorpusError(
            "fold fraction", f"is {fraction}", remedy="Give a fraction from 0 to below 1.", reason="fold"
        )
    if manifest["split"].isna().any():
        raise CorpusError(
            "manifest", "is not split", remedy="Call `split` before `set_folds`.", reason="split"
        )
    fold = pd.Series(0, index=manifest.index, dtype=np.int64)
    rows = manifest[(manifest["modality"] == "voice") & manifest["split"].isin(("train", "all"))]
    videos = rows["source_id"].where(rows["source_id"].notna(), "file:" + rows["path"])
    rng = stream(seed, "fold")
    for _, of_one in videos.groupby(rows["identity"], sort=True):
        names = np.sort(of_one.unique().astype(str))
        if fraction == 0 or len(names) == 1:
            continue
        n_aside = min(max(round(fraction * len(names)), 1), len(names) - 1)
        aside = rng.choice(names, size=n_aside, replace=False)
        fold[of_one.index[of_one.isin(aside)]] = 1
    return manifest.assign(fold=fold)


def oracle_matching(manifest: pd.DataFrame, *, known: Sequence[str] = ("gender",)) -> float:
    """How often 2-way matching succeeds for someone who knows these columns of everybody and nothing else.

    Probe and distractor are two different people, all pairs weighing equally; where the columns differ the answer
    is right, where they agree it is a guess. A missing value is a value of its own.

    Parameters
    ----------
    manifest : DataFrame
        Rows of the people to match.
    known : sequence of str
        Columns, such as ``("gender", "nationality")``.

    Returns
    -------
    float
        Share in [0.5, 1].

    Raises
    ------
    CorpusError
        Fewer than two people.
    """
    people = manifest.drop_duplicates("identity")
    n = len(people)
    if n < 2:
        raise CorpusError("matching", f"needs two people, has {n}", remedy="Use a larger split.", reason="few")
    sizes = people.groupby(list(known), dropna=False).size().to_numpy()
    same = float((sizes * (sizes - 1)).sum() / (n * (n - 1)))
    return 1 - same / 2


def oracles(manifest: pd.DataFrame) -> pd.DataFrame:
    """`oracle_matching` for gender, and for gender and nationality, in each split of two people or more.

    Returns
    -------
    DataFrame
        A row a split: `identities`, `f`, `m`, `gender`, `gender and nationality` (shares; missing where the corpus
        does not know the column).
    """
    rows = []
    for name in SPLITS:
        people = manifest[manifest["split"] == name].drop_duplicates("identity")
        if len(people) < 2:
            continue
        row = {"split": name, "identities": len(people), **{g: int((people["gender"] == g).sum()) for g in GENDERS}}
        for label, known in (("gender", ["gender"]), ("gender and nationality", ["gender", "nationality"])):
            row[label] = oracle_matching(people, known=known) if people[known].notna().any().all() else None
        rows.append(row)
    columns = ["split", "identities", *GENDERS, "gender", "gender and nationality"]
    return pd.DataFrame(rows, columns=columns).set_index("split")


def in_split(manifest: pd.DataFrame, name: str) -> pd.Series:
    """Mask of the rows that belong to a split; those of a closed set ("all") belong to every split."""
    if name not in SPLITS:
        raise CorpusError(f"split '{name}'", "is unknown", remedy=nearest(name, SPLITS), reason="split")
    return manifest["split"].isin((name, "all"))


def summary(manifest: pd.DataFrame) -> dict:
    """Count identities, recordings and photos, overall and by split and gender.

    Returns
    -------
    dict
        Plain numbers, ready for JSON: ``{"total": counts, "splits": {split: {"total": counts, "f": counts,
        "m": counts, "unknown": counts}}, "n_nationalities": n,
        "n_videos": n, "n_recordings_set_aside": n}`` with
        ``counts = {"n_identities", "n_recordings", "n_faces"}``. The splits are those that occur
        ("unsplit" where none is set).
    """
    names = manifest["split"].fillna("unsplit")
    order = [s for s in (*SPLITS, "unsplit") if (names == s).any()]
    genders = manifest["gender"].fillna("unknown")
    splits = {}
    for name in order:
        part = names == name
        splits[name] = {"total": _counts(manifest[part])}
        for gender in (*GENDERS, "unknown"):
            if (part & (genders == gender)).any():
                splits[name][gender] = _counts(manifest[part & (genders == gender)])
    return {
        "total": _counts(manifest),
        "splits": splits,
        "n_nationalities": int(manifest["nationality"].nunique()),
        "n_videos": int(manifest[["identity", "source_id"]].dropna().drop_duplicates().shape[0]),
        "n_recordings_set_aside": int((manifest["fold"] == 1).sum()),
    }


def write(manifest: pd.DataFrame, path: str | Path) -> None:
    """Validate a manifest and write it as Parquet; the file appears whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.string()
    schema = pa.schema(
        [(c, {"landmarks": pa.list_(pa.float64()), "fold": pa.int64()}.get(c, text)) for c in COLUMNS]
    )
    table = pa.Table.from_pandas(validate(manifest), schema=schema, preserve_index=False)
    with whole(path) as beside:
        pq.write_table(table, beside)


def read(path: str | Path) -> pd.DataFrame:
    """Read and validate a manifest that `write` wrote.

    Raises
    ------
    CorpusError
        The file is missing, is not Parquet, or its content is not a manifest.
    """
    import pyarrow as pa

    path = Path(path)
    if not path.is_file():
        raise CorpusError(
            path,
            "does not exist",
            remedy="Make the corpus first: `papermill notebooks/01_corpus.ipynb out.ipynb -p profile …`.",
            reason="missing",
        )
    try:
        table = pd.read_parquet(path)
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(
            path,
            f"cannot be read as Parquet ({error})",
            remedy="Delete it and make the corpus again.",
            reason="not_parquet",
        ) from error
    return validate(table)


# ------------------------------------------------------------------------------------------------ parts


def _texts(values: np.ndarray, name: str) -> np.ndarray:
    missing = pd.isna(values)
    for i in np.flatnonzero(~missing):
        if not isinstance(values[i], str):
            raise CorpusError(
                f"manifest row {i}",
                f"has {name} {values[i]!r} of type {type(values[i]).__name__}",
                remedy=f"Write {name} as text.",
                reason="type",
            )
        if not values[i].strip():
            missing[i] = True
    if name in REQUIRED and missing.any():
        raise CorpusError(
            f"manifest row {int(np.argmax(missing))}",
            f"has no {name}",
            remedy=f"Give every row a value; {int(missing.sum())} rows have none.",
            reason=name,
        )
    out = values.copy()
    out[missing] = None
    return out


def _folds(values: pd.Series) -> np.ndarray:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)
    wrong = ~np.isin(numbers, (0, 1))
    if wrong.any():
        raise CorpusError(
            f"manifest row {int(np.argmax(wrong))}",
            f"has fold {values.iloc[int(np.argmax(wrong))]!r}",
            remedy="Valid: 0 or 1.",
            reason="fold",
        )
    return numbers.astype(np.int64)


def _landmarks(value, path: str) -> list[float] | None:
    if value is None or (np.isscalar(value) and pd.isna(value)):
        return None
    try:
        points = np.asarray(value, dtype=float).ravel()
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.shape != (10,) or not np.isfinite(points).all():
        raise CorpusError(
            path,
            f"has landmarks {value!r}",
            reason="landmarks",
            remedy="Give ten finite numbers (x, y of five points) or none.",
        )
    return points.tolist()


def _check_paths(table: pd.DataFrame, root: str | Path | None) -> None:
    base = None if root is None else os.path.join(os.path.abspath(root), "")
    for path in table["path"]:
        if base is not None:
            outside = not os.path.abspath(os.path.join(base, path)).startswith(base)
        else:
            outside = not os.path.isabs(path) and os.path.normpath(path).split(os.sep)[0] == os.pardir
        if outside:
            raise CorpusError(
                path,
                f"lies outside the corpus's folder{'' if base is None else ' ' + base}",
                remedy="Give paths inside it.",
                reason="path",
            )


def _fractions(fractions: Mapping[str, float] | None) -> dict[str, float]:
    given = dict(fractions or {})
    if set(given) != set(SPLITS[:3]):
        raise CorpusError(
            "split fractions",
            f"are for {', '.join(map(str, given)) or 'nothing'}",
            remedy="Give one each for train, validation and test.",
            reason="fractions",
        )
    if min(given.values()) <= 0 or abs(sum(given.values()) - 1) > 1e-6:
        raise CorpusError(
            "split fractions",
            "are " + ", ".join(f"{k} {v}" for k, v in given.items()),
            remedy="Each must be above 0 and their sum 1.",
            reason="fractions",
        )
    return given


def _by_fraction(
    people: pd.DataFrame, fractions: dict[str, float], rng: np.random.Generator
) -> dict[str, str]:
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
            counts[max(order, key=counts.get)] -= 1
            counts[s] = 1
    return counts


def _initial_split(name: str) -> str:
    first = unicodedata.normalize("NFKD", name)[:1].upper()
    if not "A" <= first <= "Z" or any(c.isdigit() for c in name):
        raise CorpusError(
            f"identity '{name}'",
            "is not a person's name (it holds a digit, or starts with no letter from A to Z)",
            remedy="The rule by_initial needs names; use by_fraction.",
            reason="initial",
        )
    return next((s for s, letters in INITIALS.items() if first in letters), "train")


def _counts(part: pd.DataFrame) -> dict[str, int]:
    return {
        "n_identities": int(part["identity"].nunique()),
        "n_recordings": int((part["modality"] == "voice").sum()),
        "n_faces": int((part["modality"] == "face").sum()),
    }
