"""The photograph of the known speaker who sounds most alike.

python book/extend/own_model.py VARIANT KNOWN RECORDINGS PICTURES
KNOWN has a folder a speaker, with .wav and .png files.
"""

import shutil
import sys
from pathlib import Path

import numpy as np

import s2f


def main(variant: Path, known: Path, recordings: Path, out: Path) -> None:
    model = s2f.load(variant)  # only its ear is used

    def hear(path: Path) -> np.ndarray:
        features, _ = model.hear(path)
        return model.embed(features)  # [dim], of unit length

    speakers = sorted(known.glob("*/*.wav"))
    voices = np.stack([hear(path) for path in speakers])  # [n, dim]
    for recording in sorted(recordings.glob("*/*.wav")):
        nearest = speakers[int(np.argmax(voices @ hear(recording)))]
        photograph = min(nearest.parent.glob("*.png"))
        name = recording.relative_to(recordings).with_suffix(".png")
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(photograph, out / name)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
