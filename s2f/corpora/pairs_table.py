"""A corpus from any table: a row a pair of a recording and a photograph, wherever they lie.

=========== =========================================================================================
column      content
=========== =========================================================================================
identity    who; required
recording   path of a sound file; empty where the row has a photograph only
face        path of a photograph; empty where the row has a recording only
gender      f, female, woman, m, male, man, or empty
nationality any text, or empty
source_id   the video or session both files come from, or empty
landmarks   ten numbers x0 y0 … x4 y4 in pixels of the photograph (see `s2f.corpora.manifest`), or empty
split       train, validation or test; used with ``split.rule: given``
=========== =========================================================================================

An identity may have several rows, and a file may be in several of them. Relative paths start at the table's folder.
Text tables are read as `s2f.corpora.sheet` reads them: as spreadsheets write them, too.
"""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pandas as pd

from s2f.corpora import formats, rejections, sheet
from s2f.corpora.manifest import COLUMNS, SPLITS, validate
from s2f.errors import CorpusError

REQUIRED = ("identity", "recording", "face")
KNOWN = (*REQUIRED, "gender", "nationality", "source_id", "landmarks", "split")
GENDER_CODES = MappingProxyType(
    {"": None, "unknown": None, "f": "f", "female": "f", "woman": "f", "m": "m", "male": "m", "man": "m"}
)
SPLIT_NAMES = {"": None, "training": "train", **dict.fromkeys(("val", "valid", "dev"), "validation")} | {
    name: name for name in SPLITS[:3]
}
SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")

_HOW = 'The book\'s page "Getting the data" lists the columns.'
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_WINDOWS = re.compile(r"[a-z]:[\\/]|\\\\", re.IGNORECASE)  # a drive, or a server


def scan(path: str | Path) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Read a table of pairs.

    A row that cannot be used is rejected with its reason, and the others are kept. An identity or file about which
    the table says two things is rejected whole.

    Parameters
    ----------
    path : str or Path, a .csv, .tsv or .txt (see `s2f.corpora.sheet`) or .parquet file

    Returns
    -------
    manifest : DataFrame, validated, only people with both; absolute paths; with `split` where the table has one
    rejected : DataFrame, see `s2f.corpora.rejections`
    ignored : list of str, columns that are not used

    Raises
    ------
    CorpusError
        The table is missing, unreadable or empty; a required column is missing or a column's name looks
        misspelt; nobody has both a recording and a photograph.
    """
    path = Path(path)
    table, ignored = _read(path)
    base = os.path.abspath(path.parent)
    splits_given = "split" in table and (table["split"] != "").any()
    rows: list[tuple] = []
    rejected: list[tuple] = []
    seen: set[tuple] = set()
    for i, row in zip(table.index, table.to_dict("records"), strict=True):
        number = f"{table.index.name} {i}"
        named = {m: here(base, row[c]) for m, c in (("voice", "recording"), ("face", "face")) if row[c]}
        files = {m: placed(base, name) for m, name in named.items()}
        shown = files or {"voice": number}
        fault = _fault(row, splits_given=splits_given)
        if not fault and not files:
            fault = ("missing", "names neither a recording nor a photograph")
        if row["identity"].startswith("#") and table.index.name == "line":
            fault = ("remark", f"{number} begins with #, as remarks do")
        if not fault and tuple(row.values()) in seen:
            fault = ("duplicate_row", f"{number} says what an earlier one says")
            shown = dict(list(files.items())[:1])
        seen.add(tuple(row.values()))
        if fault:
            rejected += [(place, modality, row["identity"] or None, *fault) for modality, place in shown.items()]
            continue
        for modality, file in files.items():
            fault = _misplaced(named[modality])
            landmarks = None
            if not fault and modality == "face" and row.get("landmarks"):
                landmarks = _landmarks(row["landmarks"])
                if landmarks is None:
                    fault = ("landmarks", f"'{row['landmarks']}' is not ten finite numbers")
            if fault:
                rejected.append((file, modality, row["identity"], *fault))
                continue
            gender, split = GENDER_CODES[row.get("gender", "").lower()], SPLIT_NAMES[row.get("split", "").lower()]
            nationality, source = (row.get(name) or None for name in ("nationality", "source_id"))
            rows.append((row["identity"], gender, nationality, modality, file, source, landmarks, split, 0))
    found = _each_once(_without_contradictions(pd.DataFrame(rows, columns=list(COLUMNS)), rejected), rejected)
    has = {m: set(found.loc[found["modality"] == m, "identity"]) for m in ("voice", "face")}
    both = has["voice"] & has["face"]
    if not both:
        bad = pd.Series([reason for *_, reason, _ in rejected]).value_counts().to_dict()
        counts = f"{len(has['voice'])} have a recording, {len(has['face'])} a photograph; left out: {bad or 'nothing'}"
        problem = f"has nobody with both a recording and a photograph ({counts})"
        raise CorpusError(path, problem, remedy=_HOW, reason="no_pairs")
    for row in found[~found["identity"].isin(both)].itertuples():
        lacks = "face" if row.modality == "voice" else "voice"
        rejected.append((row.path, row.modality, row.identity, f"without_{lacks}", f"no {lacks} of {row.identity}"))
    found = found[found["identity"].isin(both)]
    found = found.sort_values(["identity", "modality", "path"], ascending=[True, False, True], kind="stable")
    return validate(found.reset_index(drop=True)), rejections.frame(rejected), ignored


# ------------------------------------------------------------------------------------------------ parts


def _read(path: Path) -> tuple[pd.DataFrame, list[str]]:
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise CorpusError(path, f"(the table of pairs) {problem}", remedy=_HOW, reason="missing")
    if path.suffix.lower() not in SUFFIXES:
        remedy = f"Save it as one of {', '.join(SUFFIXES)}."
        raise CorpusError(path, f"ends in '{path.suffix}'", remedy=remedy, reason="extension")
    table = sheet.read(path, wanted=[set(REQUIRED)])
    table.columns = [str(c).strip().lower() for c in table.columns]
    for column in REQUIRED:
        if column not in table.columns:
            shown = ", ".join(map(repr, table.columns))
            close = difflib.get_close_matches(column, table.columns, n=1, cutoff=0.7)
            guess = f"Did you mean '{close[0]}'? " if close else ""
            if table.shape[1] == 1 and column in table.columns[0]:
                guess = "Take away the quotes around each line. "
            remedy = f"{guess}Its first line must name the columns {', '.join(REQUIRED)}. {_HOW}"
            raise CorpusError(path, f"has no column '{column}', only {shown}", remedy=remedy, reason="column")
    if table.columns.duplicated().any():
        twice = table.columns[table.columns.duplicated()][0]
        raise CorpusError(path, f"has two columns '{twice}'", remedy="Keep one.", reason="column")
    ignored = [c for c in table.columns if c not in KNOWN]
    for column in ignored:
        # Stricter than `nearest`, to which a duration is almost a nationality.
        close = difflib.get_close_matches(column, [k for k in KNOWN if k not in table.columns], n=1, cutoff=0.8)
        if close:
            remedy = f"Did you mean '{close[0]}'? Otherwise give it a name less alike, or leave it out."
            raise CorpusError(path, f"has a column '{column}', which is unknown", remedy=remedy, reason="column")
    table = table[[c for c in KNOWN if c in table.columns]]
    table = table[(table != "").any(axis=1)]
    if table.empty:
        raise CorpusError(path, "has no rows", remedy=_HOW, reason="empty")
    # One person, however the accents of a name are coded.
    return table.assign(identity=table["identity"].map(lambda name: unicodedata.normalize("NFC", name))), ignored


def _fault(row: dict, *, splits_given: bool) -> tuple[str, str] | None:
    if not row["identity"]:
        return "no_identity", "the row has no identity"
    if row.get("gender", "").lower() not in GENDER_CODES:
        return "gender", f"gender '{row['gender']}' is not one of {', '.join(filter(None, GENDER_CODES))}"
    split = row.get("split", "").lower()
    if split not in SPLIT_NAMES or (splits_given and not split):
        return "split", f"split '{row['split']}' is not one of {', '.join(SPLITS[:3])}"
    return None


def here(base: str, name: str) -> str:
    """A path of a table in folder `base` as this machine writes it.

    Its separators are this machine's, and its accents in the form in which the file is there.
    """
    if name.startswith("file://"):
        return url2pathname(urlsplit(name).path)
    if _elsewhere(name) or (name.isascii() and "\\" not in name):
        return name
    plain = name.replace("\\", os.sep)
    forms = (name, plain, *(unicodedata.normalize(form, plain) for form in ("NFC", "NFD")))
    return next((form for form in forms if os.path.exists(os.path.join(base, form))), plain)


def _elsewhere(name: str) -> bool:
    """Whether it is an address, or a path of another system's disks."""
    return bool(_ADDRESS.match(name) or (os.sep == "/" and _WINDOWS.match(name)))


def placed(base: str, name: str) -> str:
    """Such a path, from the table's folder `base` where it is relative; another system's or an address as it is."""
    return name if _elsewhere(name) else os.path.normpath(os.path.join(base, name))


def _misplaced(name: str) -> tuple[str, str] | None:
    if "\0" in name:
        return "file_name", "its name holds a zero byte"
    if _ADDRESS.match(name):
        return "missing", f"'{name}' is an address: download it, and give the path of the file"
    if _elsewhere(name):
        return "missing", f"'{name}' is a path on Windows: give the path of the file on this machine"
    if os.path.normpath(name).split(os.sep)[0] == os.pardir:
        return "outside_root", f"'{name}' leaves the table's folder; give an absolute path for files elsewhere"
    return None


def _landmarks(text: str) -> list[float] | None:
    pieces = [part for part in re.split(r"[\s;\[\]]+", text) if part]
    if len(pieces) == 10 and all(re.fullmatch(r"-?\d+(,\d+)?", part) for part in pieces):  # decimal commas
        pieces = [part.replace(",", ".") for part in pieces]
    else:
        pieces = [part for part in re.split(r"[\s,;\[\]]+", text) if part]
    try:
        numbers = [float(part) for part in pieces]
    except ValueError:
        return None
    usable = len(numbers) == 10 and all(abs(n) < 1e9 for n in numbers)  # also refuses NaN
    return numbers if usable else None


def _without_contradictions(found: pd.DataFrame, rejected: list[tuple]) -> pd.DataFrame:
    """Keep one row a file, with all that the table says of it; reject what is said in two ways."""
    of_person = ("identity", ["identity"], ("gender", "nationality", "split"))
    of_file = ("file", ["modality", "path"], ("identity", "source_id", "landmarks"))
    bad = pd.Series("", index=found.index)
    for what, keys, columns in (of_person, of_file):
        for column in columns:
            said = found[column].map(str).where(found[column].notna())  # a missing value contradicts nothing
            several = said.groupby([found[key] for key in keys]).transform("nunique") > 1
            more = f"{'to ' if column == 'identity' else ''}more than one {column}"
            bad[several & (bad == "")] = f"the table gives this {what} {more}"
    for row in found.assign(why=bad)[bad != ""].itertuples():
        rejected.append((row.path, row.modality, row.identity, "contradiction", row.why))
    found = found[bad == ""]
    for _, keys, columns in (of_person, of_file):  # what one row says, all rows of the person or file know
        for column in columns:
            told = found[[*keys, column]].dropna().drop_duplicates(keys)
            known = dict(zip(zip(*(told[key] for key in keys), strict=True), told[column], strict=True))
            each = [known.get(key) for key in zip(*(found[key] for key in keys), strict=True)]
            found = found.assign(**{column: pd.Series(each, index=found.index, dtype=object)})
    return found.drop_duplicates(["modality", "path"])


def _each_once(found: pd.DataFrame, rejected: list[tuple]) -> pd.DataFrame:
    """Keep one of the formats that a recording or photograph is listed in."""
    for by_source in (False, True):
        keys = []
        for row in found.itertuples():
            place = formats.place(row.path, whole=not by_source or row.modality == "face")
            if by_source and row.modality == "voice" and row.source_id is not None:
                place = (row.source_id, place[-1])
            keys.append((row.modality, row.identity, *place))
        paths, marked = found["path"].tolist(), found["landmarks"].notna().tolist()
        left = formats.doubles(paths, keys, elsewhere=False, preferred=marked)
        for i, used in left.items():
            row = found.iloc[i]
            rejected.append((row["path"], row["modality"], row["identity"], "same_clip", f"{paths[used]} is used"))
        found = found.drop(index=found.index[list(left)])
    return found
