"""A model of one's own: the photograph of the known speaker who sounds most alike.

python own_model.py runs/demo/s0/general known recordings pictures
"""

import shutil
import sys
from pathlib import Path

import numpy as np

import s2f


def main(run: Path, known: Path, recordings: Path, pictures: Path) -> None:
    """Of `known`, a folder a speaker with .wav and .png files, a picture for each .wav of `recordings`."""
    model = s2f.load(run)  # only its ear is used

    def hear(path: Path) -> np.ndarray:
        return model.embed(model.hear(path)[0])  # of unit length

    heard = sorted(known.glob("*/*.wav"))
    voices = np.stack([hear(path) for path in heard])  # [n, dim]
    for recording in sorted(recordings.glob("*/*.wav")):
        nearest = heard[int(np.argmax(voices @ hear(recording)))]
        picture = pictures / recording.relative_to(recordings).with_suffix(".png")
        picture.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(min(nearest.parent.glob("*.png")), picture)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
