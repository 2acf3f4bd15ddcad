"""From a store and its voice tracks to what a variant trains on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from s2f.errors import TrainingError
from s2f.store import Store
from s2f.training.tracks import Tracks


class Pairs:
    """Training voices and faces on a device, with the identities that join them.

    Parameters
    ----------
    tracks : Tracks
        One track a recording.
    recording_identities : int [n_recordings]
        Identity code of each recording.
    faces : uint8 [n_faces, 64, 64, 3]
    face_identities : int [n_faces]
        Identity code of each face; codes run from 0 without gaps and every identity has both modalities.

    Raises
    ------
    TrainingError
        An identity without a voice or without a face, or fewer than two identities.
    """

    def __init__(
        self, tracks: Tracks, recording_identities: np.ndarray, faces: np.ndarray, face_identities: np.ndarray,
        *, device: str,
    ) -> None:  # fmt: skip
        heard, seen = np.unique(recording_identities), np.unique(face_identities)
        if not np.array_equal(heard, seen) or len(seen) < 2 or seen[-1] != len(seen) - 1:
            raise TrainingError(
                "training data",
                f"has {len(heard)} identities with voices and {len(seen)} with faces",
                remedy="At least two are needed, each with both; see 01_corpus and the store's rejected.csv.",
            )
        order = np.argsort(face_identities, kind="stable")
        counts = np.bincount(face_identities)
        pixels = np.ascontiguousarray(faces[order].transpose(0, 3, 1, 2))  # [N, 3, 64, 64]
        self.tracks = tracks
        self.faces = torch.from_numpy(pixels).to(device, memory_format=torch.channels_last)
        self.face_identities = torch.from_numpy(face_identities[order].astype(np.int64)).to(device)
        self.recording_identities = torch.from_numpy(recording_identities.astype(np.int64)).to(device)
        self.face_counts = torch.from_numpy(counts.astype(np.int64)).to(device)  # [n_identities]
        self.face_starts = self.face_counts.cumsum(0) - self.face_counts  # [n_identities]
        self.n_identities = len(counts)
        self.device = device

    def digest(self) -> str:
        """Hash of the data: a run goes on from a save only where it would train on the same."""
        digest = hashlib.blake2b(digest_size=8)
        for part in (self.tracks.sums, self.recording_identities, self.faces, self.face_identities):
            digest.update(np.ascontiguousarray(part.cpu().numpy()).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Selection:
    """Voices and photographs of one split and one variant.

    Attributes
    ----------
    voices, photos : DataFrame
        Rows of the store's index.
    identities : ndarray of str
        Names, sorted; a code is a place in it.
    """

    voices: pd.DataFrame
    photos: pd.DataFrame
    identities: np.ndarray

    @property
    def people(self) -> pd.DataFrame:
        """One row an identity: identity, gender, nationality."""
        columns = ["identity", "gender", "nationality"]
        people = self.photos[columns].drop_duplicates("identity").sort_values("identity")
        return people.reset_index(drop=True)

    def codes(self, frame: pd.DataFrame) -> np.ndarray:
        """Codes int64 [n] of a frame's identities."""
        return np.searchsorted(self.identities, frame["identity"].to_numpy(str))


def select(store: Store, *, split: str, gender: str | None = None) -> Selection:
    """Voices and photographs of a split, of one gender or all.

    Raises
    ------
    TrainingError
        Nobody is left.
    """
    where = {"split": split} | ({"gender": gender} if gender else {})
    voices, photos = store.voices(**where), store.photos(**where)
    identities = np.unique(voices["identity"].to_numpy(str))
    if len(identities) == 0:
        counts = store.index.drop_duplicates("identity").groupby(["split", "gender"], dropna=False).size()
        shown = ", ".join(f"{s}/{g}: {n}" for (s, g), n in counts.items())
        raise TrainingError(
            f"split '{split}', gender '{gender}'",
            f"has no identity (identities by split and gender: {shown})",
            remedy="Choose another variant, or give the corpus's metadata genders.",
        )
    return Selection(voices, photos, identities)


def tracks(folder: Path, voices: pd.DataFrame, *, device: str = "cpu") -> Tracks:
    """Voice tracks of the given rows of the index, from the folder that 04_voice_embedding wrote."""
    arrays = np.load(folder / "tracks.npy", mmap_mode="r"), np.load(folder / "track_offsets.npy")
    return Tracks(*arrays, voices["row"].to_numpy(), device=device)


def embeddings(folder: Path, voices: pd.DataFrame) -> torch.Tensor:
    """Unit embeddings float32 [n, 64] of whole recordings."""
    return torch.nn.functional.normalize(tracks(folder, voices).whole(), dim=1)


def pairs(store: Store, voice_folder: Path, selection: Selection, *, device: str) -> Pairs:
    """Training data of a variant, resident on the device."""
    return Pairs(
        tracks(voice_folder, selection.voices, device=device),
        selection.codes(selection.voices),
        np.asarray(store.faces[selection.photos["row"].to_numpy()]),
        selection.codes(selection.photos),
        device=device,
    )
