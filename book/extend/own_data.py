"""A table of pairs, from a folder with a folder a person.

python book/extend/own_data.py people pairs.csv
"""

import sys
from itertools import zip_longest
from pathlib import Path

import pandas as pd

SOUNDS = {".wav", ".flac", ".mp3", ".m4a"}
PICTURES = {".jpg", ".jpeg", ".png"}


def of_kind(folder: Path, suffixes: set[str]) -> list[Path]:
    files = sorted(folder.resolve().iterdir())
    return [path for path in files if path.suffix.lower() in suffixes]


def table(root: Path) -> pd.DataFrame:
    """Recordings beside photographs; some rows have one of them only."""
    rows = []
    for person in sorted(path for path in root.iterdir() if path.is_dir()):
        files = of_kind(person, SOUNDS), of_kind(person, PICTURES)
        rows += [(person.name, *pair) for pair in zip_longest(*files)]
    return pd.DataFrame(rows, columns=["identity", "recording", "face"])


if __name__ == "__main__":
    people, target = map(Path, sys.argv[1:])
    table(people).to_csv(target, index=False)
