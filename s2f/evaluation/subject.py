"""A trained variant, with all that it is measured with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from s2f.evaluation.face_readers import Inception, Reader
from s2f.features.store import Store
from s2f.networks.inference import Model
from s2f.training.data import Selection


@dataclass(frozen=True)
class Subject:
    """A trained variant, with all that it is measured with.

    Attributes
    ----------
    model : Model
    store : Store
    voice : Path
        Folder of 04_voice_embedding.
    held_out : Selection
        Test people.
    reader : Reader
        Of identity and gender.
    inception : Inception, optional
        Without it no FID, KID, precision and recall.
    gender : "f", "m" or None
        Whom the model was trained on.
    seed : int
        Root seed.
    """

    model: Model
    store: Store
    voice: Path
    held_out: Selection
    reader: Reader
    inception: Inception | None = None
    gender: str | None = None
    seed: int = 0
