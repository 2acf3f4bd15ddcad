"""A trained variant, with all that it is measured with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from s2f.evaluation.face_readers import Extractor, Reader
from s2f.features.store import Store
from s2f.networks.codes import FaceCode
from s2f.networks.inference import Model
from s2f.training.data import Selection


@dataclass(frozen=True)
class Subject:
    """A trained variant, with all that it is measured with.

    Attributes
    ----------
    model : Model
    store : Store
    voice : Path, folder of 04_voice_embedding
    held_out : Selection, test people
    reader : Reader, of identity and gender
    inception : Inception, optional, without it no FID, KID, precision and recall
    gender : "f", "m" or None, whom the model was trained on
    seed : int, root seed
    root : Path, optional, where the recordings of the store lie; without it none is heard again
    photo_reader : Reader, optional, the reader as photographs are read by, each once; `reader` if not given
    photo_inception : Extractor, optional, the same for `inception`
    code : FaceCode, optional, what the model draws codes of
    """

    model: Model
    store: Store
    voice: Path
    held_out: Selection
    reader: Reader
    inception: Extractor | None = None
    gender: str | None = None
    seed: int = 0
    root: Path | None = None
    photo_reader: Reader | None = None
    photo_inception: Extractor | None = None
    code: FaceCode | None = None

    @property
    def of_photos(self) -> Reader:
        """What reads photographs."""
        return self.photo_reader or self.reader

    @property
    def inception_of_photos(self) -> Extractor | None:
        """What extracts features of photographs; None where `inception` is."""
        return None if self.inception is None else self.photo_inception or self.inception
