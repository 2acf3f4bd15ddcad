"""The face code of a run: learned once, from the training people's photographs, for all variants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from s2f import files
from s2f.errors import CorpusError
from s2f.features.store import Store
from s2f.networks import codes, inference
from s2f.networks.codes import FaceCode
from s2f.study.runs import Study
from s2f.training import autoencoder, data, loop

HELD_OUT = ("validation", "test")
REJECTED = "rejected.csv"


def make(study: Study, store: Store, training: data.Selection, *, folder: Path) -> FaceCode:
    """Train the face code, or go on with it, and write it; gives it in evaluation mode, on the CPU.

    Parameters
    ----------
    folder : Path, the run's folder of the code; gets ``code.safetensors``, ``log.jsonl`` and ``state/``

    Raises
    ------
    TrainingError: fewer than two photographs; a value that is not finite
    CorpusError: further photographs that are not there, or of which too many cannot be used
    """
    machine = study.params.machine
    photos = data.Photos(store.faces, rows=training.photos["row"].to_numpy(), device=study.device)
    (folder / REJECTED).unlink(missing_ok=True)  # of a training with other parameters
    if study.params.code.more_photos:
        more = _more(study, store, folder=folder)
        photos = data.Photos(np.concatenate([store.faces[photos.rows], more]), device=study.device)
    network = autoencoder.train(
        photos,
        settings=study.params.code,
        setup=loop.Setup(
            seed=study.seed,
            n_threads=machine.n_threads,
            precision=loop.choose_precision(machine.precision, study.device),
            compile_mode=machine.compile,
        ),
        place=loop.Place(folder, study.resume_key("s2f.training.autoencoder", photos.digest()), "face code"),
    )
    codes.save(folder, network)
    return network


def _more(study: Study, store: Store, *, folder: Path) -> np.ndarray:
    """Further photographs, aligned: uint8 [n, 64, 64, 3]; ``rejected.csv`` lists those that cannot be used.

    None of them may be a photograph of somebody held out: a copy of the file, or of the face in the store, is left out,
    and said.
    """
    from s2f.features import more_photos, preprocessing  # heavier packages, not needed to train

    p = study.params
    found = more_photos.find(p.code.more_photos, root=study.root)
    given = preprocessing.inputs(study)
    theirs = given["manifest"][given["manifest"]["split"].isin(HELD_OUT)]
    paths = more_photos.but_of(theirs, found, root=given["root"])
    settings, kept = given["settings"], folder / "state" / "photos"
    faces, rejected = more_photos.aligned(paths, settings=settings, kept=kept, n_workers=p.machine.n_workers)
    with files.whole(folder / REJECTED) as beside:
        rejected.to_csv(beside, index=False)
    if len(rejected) > p.store.max_rejected * len(paths):
        problem = f"cannot be used for {len(rejected)} of {len(paths)} files"
        remedy = f"See {folder / REJECTED}; repair them, or raise 'store.max_rejected'."
        raise CorpusError("parameter 'code.more_photos'", problem, remedy=remedy, reason="too_many_rejected")
    others = store.photos()
    held_out = store.faces[others.loc[others["split"].isin(HELD_OUT), "row"].to_numpy()]
    seen = {face.tobytes() for face in held_out}
    own = np.array([face.tobytes() not in seen for face in faces], bool)
    n_left_out = len(found) - len(paths) + (~own).sum()
    print(f"{own.sum()} further photographs; {len(rejected)} not usable; {n_left_out} of people held out, left out")
    return faces[own]


@dataclass(frozen=True)
class Again:
    """Photographs, and what the code kept of them.

    Attributes
    ----------
    photos, drawn : ndarray, uint8 [n, 64, 64, 3]
    codes : Tensor, float [n, dim]
    """

    photos: np.ndarray
    drawn: np.ndarray
    codes: torch.Tensor

    @property
    def l1_pixel_255(self) -> float:
        """Mean absolute difference of pixels, 0 to 255."""
        return float(np.abs(self.photos.astype(np.int16) - self.drawn).mean())

    @property
    def deviation(self) -> float | None:
        """Of the codes, as a mean over their numbers: 1 on the photographs that the code was learned from.

        Fewer than two photographs have none.
        """
        return float(self.codes.std(0).mean()) if len(self.codes) > 1 else None


def again(network: FaceCode, photos: np.ndarray) -> Again:
    """Take photographs uint8 [n, 64, 64, 3] to codes, and draw them again."""
    found = autoencoder.encode(network, data.Photos(photos, device="cpu"))
    return Again(photos, inference.rendered(network.decoder, found), found)


def between(network: FaceCode, kept: Again, *, pairs: Sequence[tuple[int, int]], n: int = 8) -> np.ndarray:
    """Faces drawn at `n` places on the straight way between the codes of two photographs: uint8 [n_pairs · n, …]."""
    shares = torch.linspace(0, 1, n)[:, None]
    ways = [torch.lerp(kept.codes[one], kept.codes[other], shares) for one, other in pairs]
    return inference.rendered(network.decoder, torch.cat(ways))
