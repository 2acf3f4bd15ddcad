"""From a store and its voice tracks to what a variant trains on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from s2f.errors import TrainingError
from s2f.features import pixels
from s2f.features.store import Store
from s2f.training.tracks import Tracks, read_per_s


class Photos:
    """Photographs on a device. Where they do not fit there they stay mapped into memory, and a batch is gathered there.

    Parameters
    ----------
    faces : uint8 [n, 64, 64, 3], may be mapped into memory
    rows : int [n_faces], optional, rows of `faces` to use, in this order; all of them if not given
    resident : bool, optional, copy faces to the device; where they fit if not given
    """

    def __init__(
        self, faces: np.ndarray, *, device: str, rows: np.ndarray | None = None, resident: bool | None = None
    ) -> None:
        self.rows = np.arange(len(faces)) if rows is None else np.asarray(rows)
        self.n_faces, self.device, self.mapped = len(self.rows), device, faces
        self.faces: torch.Tensor | None = None  # uint8 [N, 3, 64, 64], channels last
        if resident or (resident is None and fits(self.n_faces * faces[0].nbytes, device)):
            pixels = torch.from_numpy(np.ascontiguousarray(faces[self.rows]))  # [N, 64, 64, 3]
            self.faces = pixels.permute(0, 3, 1, 2).to(device)

    def take(self, picked: torch.Tensor) -> torch.Tensor:
        """Faces of the given numbers: uint8 [B, 3, 64, 64] on the device, channels last."""
        if self.faces is not None:
            return self.faces[picked]
        pixels = torch.from_numpy(np.ascontiguousarray(self.mapped[self.rows[picked.cpu().numpy()]]))
        return pixels.permute(0, 3, 1, 2).to(self.device, non_blocking=True)

    def images(self, picked: torch.Tensor) -> torch.Tensor:
        """The same faces as float32 in [−1, 1]."""
        return pixels.scaled(self.take(picked))

    def batches(self, size: int) -> Iterator[torch.Tensor]:
        """All faces, `size` at a time, as `images`."""
        for picked in torch.arange(self.n_faces, device=self.device).split(size):
            yield self.images(picked)

    def digest(self) -> str:
        """Hash of the data: a run goes on from a save only where it would train on the same."""
        digest = hashlib.blake2b(digest_size=8)
        for part in self._content():
            digest.update(part.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def _content(self) -> Iterator[torch.Tensor]:
        for picked in torch.arange(self.n_faces).split(4096):
            yield self.take(picked.to(self.device))


class Pairs(Photos):
    """Training voices and faces on a device, with the identities that join them.

    Faces are numbered by identity: those of the first, then those of the second, and so on.

    Parameters
    ----------
    tracks : Tracks, one track a recording
    recording_identities, face_identities : int [n_recordings], int [n_faces]
        Identity code of each; codes run from 0 without gaps and every identity has both modalities.
    faces, rows, resident : as `Photos` takes them

    Raises
    ------
    TrainingError: an identity without a voice or without a face, or fewer than two identities
    """

    def __init__(
        self,
        tracks: Tracks,
        recording_identities: np.ndarray,
        faces: np.ndarray,
        face_identities: np.ndarray,
        *,
        device: str,
        rows: np.ndarray | None = None,
        resident: bool | None = None,
    ) -> None:
        heard, seen = np.unique(recording_identities), np.unique(face_identities)
        if not np.array_equal(heard, seen) or len(seen) < 2 or seen[-1] != len(seen) - 1:
            problem = f"has {len(heard)} identities with voices and {len(seen)} with faces"
            remedy = "At least two are needed, each with both; see 01_corpus and the store's rejected.csv."
            raise TrainingError("training data", problem, remedy=remedy)
        order, counts = np.argsort(face_identities, kind="stable"), np.bincount(face_identities)
        rows = order if rows is None else np.asarray(rows)[order]  # of `faces`, by this class's numbers
        super().__init__(faces, device=device, rows=rows, resident=resident)
        self.tracks, self.n_identities = tracks, len(counts)
        codes = (face_identities[order], recording_identities, counts)
        self.face_identities, self.recording_identities, self.face_counts = (
            torch.from_numpy(part.astype(np.int64)).to(device) for part in codes
        )
        self.face_starts = self.face_counts.cumsum(0) - self.face_counts  # [n_identities]

    def photographs_of(self, identities: torch.Tensor, chances: torch.Tensor) -> torch.Tensor:
        """Random photographs of people: int [B, n] for identity codes [B] and uniform chances [B, n] in [0, 1)."""
        counts = self.face_counts[identities][:, None]
        return self.face_starts[identities][:, None] + (chances * counts).long()

    def _content(self) -> Iterator[torch.Tensor]:
        yield from (self.tracks.sums, self.recording_identities)
        yield from super()._content()
        yield self.face_identities


def fits(n_bytes: int, device: str) -> bool:
    """Whether an array takes less than half of what is free: of the device's memory, or of the machine's."""
    if device.startswith("cuda"):
        return n_bytes < torch.cuda.mem_get_info()[0] / 2
    free = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"  # macOS tells all there is
    return n_bytes < os.sysconf(free) * os.sysconf("SC_PAGE_SIZE") / 2


@dataclass(frozen=True)
class Selection:
    """Voices and photographs of one split and one variant: rows of the store's index.

    `identities` are their names, sorted; an identity's code is its place there.
    """

    voices: pd.DataFrame
    photos: pd.DataFrame
    identities: np.ndarray

    @property
    def people(self) -> pd.DataFrame:
        """One row an identity: identity, gender, nationality."""
        columns = ["identity", "gender", "nationality"]
        return self.photos[columns].drop_duplicates("identity").sort_values("identity", ignore_index=True)

    def codes(self, frame: pd.DataFrame) -> np.ndarray:
        """Codes int64 [n] of a frame's identities."""
        return np.searchsorted(self.identities, frame["identity"].to_numpy(str))


def select(store: Store, *, split: str, gender: str | None = None) -> Selection:
    """Voices and photographs of a split, of one gender or all; a TrainingError where nobody is left."""
    where = {"split": split} | ({"gender": gender} if gender else {})
    voices, photos = store.voices(**where), store.photos(**where)
    identities = np.unique(voices["identity"].to_numpy(str))
    if len(identities) == 0:
        counts = store.index.drop_duplicates("identity").groupby(["split", "gender"], dropna=False).size()
        shown = ", ".join(f"{s}/{g}: {n}" for (s, g), n in counts.items())
        problem = f"has no identity (identities by split and gender: {shown})"
        remedy = "Choose another variant, or give the corpus's metadata genders."
        raise TrainingError(f"split '{split}', gender '{gender}'", problem, remedy=remedy)
    return Selection(voices, photos, identities)


def tracks(folder: Path, voices: pd.DataFrame, *, device: str = "cpu") -> Tracks:
    """Voice tracks of the given rows of the index, from the folder that 04_voice_embedding wrote."""
    arrays = np.load(folder / "tracks.npy", mmap_mode="r"), np.load(folder / "track_offsets.npy")
    return Tracks(*arrays, voices["row"].to_numpy(), device=device, per_s=read_per_s(folder))


def embeddings(folder: Path, voices: pd.DataFrame) -> torch.Tensor:
    """Unit embeddings float32 [n, dim] of whole recordings."""
    return torch.nn.functional.normalize(tracks(folder, voices).whole(), dim=1)


def pairs(store: Store, voice_folder: Path, selection: Selection, *, device: str) -> Pairs:
    """Training data of a variant, resident on the device where it fits."""
    return Pairs(
        tracks(voice_folder, selection.voices, device=device),
        selection.codes(selection.voices),
        store.faces,
        selection.codes(selection.photos),
        rows=selection.photos["row"].to_numpy(),
        device=device,
    )
