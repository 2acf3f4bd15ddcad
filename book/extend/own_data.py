"""A table of pairs from a folder with a folder a person: python own_data.py people pairs.csv"""

import sys
from itertools import zip_longest
from pathlib import Path

import pandas as pd

SOUNDS, PICTURES = {".wav", ".flac", ".mp3", ".m4a"}, {".jpg", ".jpeg", ".png"}


def table(root: Path) -> pd.DataFrame:
    """A row a recording and photograph of each person; whoever has more of one kind has rows with one."""
    rows = []
    for person in sorted(folder for folder in root.iterdir() if folder.is_dir()):
        files = sorted(person.iterdir())
        sounds = [path.resolve() for path in files if path.suffix.lower() in SOUNDS]
        pictures = [path.resolve() for path in files if path.suffix.lower() in PICTURES]
        for recording, face in zip_longest(sounds, pictures):
            rows.append({"identity": person.name, "recording": recording, "face": face})
    return pd.DataFrame(rows)


if __name__ == "__main__":
    folder, target = map(Path, sys.argv[1:])
    table(folder).to_csv(target, index=False)
