"""The store: all recordings and photos of a corpus, preprocessed and packed into a few memory-mapped files.

================  ==========================  ===========================================================
file              content
================  ==========================  ===========================================================
mels.npy          float16 [n_frames, 64]      voiced log-mel frames of all recordings, one after another,
                                              each recording normalised for itself, not repeated
mel_offsets.npy   int64 [n_recordings + 1]    recording i is frames ``offsets[i]`` to ``offsets[i + 1]``
faces.npy         uint8 [n_faces, 64, 64, 3]  aligned faces
meta.json                                     version, parameters, counts and a hash of the index
index.parquet     a row a recording or photo  manifest columns; `row`, its place among its kind; of recordings
                                              `voice_s`, seconds of voice heard, and `remarks`, what there is to
                                              say: the track or channel read, what was left out, no speech
rejected.csv      a row a file left out       path, modality, identity, reason, detail
================  ==========================  ===========================================================

Opening one needs numpy, pandas, pyarrow and pydantic alone; `s2f.features.pack` builds one.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from s2f import files, provenance
from s2f.corpora import manifest as manifests
from s2f.errors import StoreError, nearest

VERSION = 4  # of the files of a store
N_MELS, FACE_PX = 64, 64
# What every store of this version is made with; one made otherwise is refused.
FRONT_END: Mapping[str, Any] = MappingProxyType(
    {
        "sample_rate_hz": 16_000,
        "window_ms": 25,
        "hop_ms": 10,
        "n_mels": N_MELS,
        "vad_mode": 2,
        "resampler": "kaiser",
        "face_px": FACE_PX,
    }
)
MIN_VOICE_S = 0.5  # s of voice, the least that a recording is accepted with where nothing else is said
FILES = ("mels.npy", "mel_offsets.npy", "faces.npy", "rejected.csv", "meta.json", "index.parquet")


class Meta(BaseModel):
    """What ``meta.json`` holds beside its version.

    Attributes
    ----------
    parameters : dict, what the store was made with: `FRONT_END` and the fields of `s2f.features.pack.Settings`
    n_frames, n_recordings, n_faces, n_identities, n_rejected : int
    index_sha256 : str, of ``index.parquet``
    input_sha256 : str, of everything that the store was made from
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    parameters: dict[str, Any]
    n_frames: int
    n_recordings: int
    n_faces: int
    n_identities: int
    n_rejected: int
    index_sha256: str
    input_sha256: str

    @classmethod
    def read(cls, folder: Path) -> Meta:
        """Read it from a store.

        Raises
        ------
        StoreError: of another version, another front end, or damaged
        """
        path = folder / "meta.json"
        found = files.read_versioned(path, version=VERSION, remedy=_build(folder), error=StoreError)
        made_with = found.get("parameters")
        for key, value in FRONT_END.items():
            there = made_with.get(key) if isinstance(made_with, dict) else None
            if there != value:
                raise _wrong(folder, f"was made with {key} {there}, this version needs {value}", reason="parameters")
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise _wrong(path, f"has {key} {found.get(key)!r} ({first['msg']})") from None

    def write(self, folder: Path) -> None:
        """Write it into a store."""
        files.write_json(folder / "meta.json", {"version": VERSION, **self.model_dump()})


@dataclass(frozen=True)
class Store:
    """An open store. Arrays are memory maps: only what is looked at is read.

    Attributes
    ----------
    folder : Path
    mels : ndarray, float16 [total_frames, 64]
        Natural logarithm of mel power, mean 0 and variance 1 in each recording and bin.
    mel_offsets : ndarray, int64 [n_recordings + 1]
    faces : ndarray, uint8 [n_faces, 64, 64, 3]
    index : DataFrame, manifest columns, `voice_s`, `remarks` and `row`: place among its kind
    parameters : dict, what it was made with: `FRONT_END` and the fields of `Settings`
    digest : str, hash of everything it was made from
    """

    folder: Path
    mels: np.ndarray
    mel_offsets: np.ndarray
    faces: np.ndarray
    index: pd.DataFrame
    parameters: dict
    digest: str

    @classmethod
    def open(cls, folder: str | Path) -> Store:
        """Open a finished store.

        Raises
        ------
        StoreError
            There is none, it is unfinished or being rebuilt, of another format or front end, or its files do not
            belong together.
        """
        folder = Path(folder)
        # A build removes the index before it touches another file, and writes a new one last: while the index stays
        # the same file, all others do.
        index = _identity(folder / "index.parquet")
        try:
            found = cls._read(folder)
        except (StoreError, OSError) as error:
            unchanged = _identity(folder / "index.parquet") == index
            if unchanged and not isinstance(error, FileNotFoundError):
                raise
            raise _being_rebuilt(folder) from error
        if _identity(folder / "index.parquet") != index:
            raise _being_rebuilt(folder)
        return found

    @classmethod
    def _read(cls, folder: Path) -> Store:
        for name in FILES:
            if not (folder / name).is_file():
                problem = "does not exist" if not folder.is_dir() else f"is not finished ({name} is missing)"
                raise _wrong(folder, problem, reason="missing")
        meta = Meta.read(folder)
        packed = (folder / "index.parquet").read_bytes()
        if hashlib.sha256(packed).hexdigest() != meta.index_sha256:
            raise _wrong(folder / "index.parquet", "is not the index these arrays were written with", reason="mixed")
        arrays = {}
        for name, dtype, shape in (
            ("mels", np.float16, (meta.n_frames, N_MELS)),
            ("mel_offsets", np.int64, (meta.n_recordings + 1,)),
            ("faces", np.uint8, (meta.n_faces, FACE_PX, FACE_PX, 3)),
        ):
            path = folder / f"{name}.npy"
            try:
                array = np.load(path, mmap_mode="r" if name != "mel_offsets" else None)
            except (ValueError, OSError, EOFError) as error:
                raise _wrong(path, f"cannot be read ({error})") from error
            if array.shape != shape or array.dtype != dtype:
                raise _wrong(path, f"is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}")
            arrays[name] = array
        offsets = arrays["mel_offsets"]
        if offsets[0] != 0 or offsets[-1] != meta.n_frames or (np.diff(offsets) <= 0).any():
            raise _wrong(folder / "mel_offsets.npy", "does not divide the frames into recordings")
        index = pd.read_parquet(io.BytesIO(packed))
        for modality, n in (("voice", meta.n_recordings), ("face", meta.n_faces)):
            rows = index.loc[index["modality"] == modality, "row"].to_numpy()
            if not np.array_equal(rows, np.arange(n)):
                raise _wrong(folder / "index.parquet", f"does not number the {n} {modality} files")
        return cls(folder=folder, index=index, parameters=meta.parameters, digest=meta.input_sha256, **arrays)

    def voices(self, **where) -> pd.DataFrame:
        """Recordings in the index that match, e.g. ``voices(split="train", gender="f", fold=0)``.

        Parameters
        ----------
        **where
            Column and value, or a list, set, array or Series of values; None matches a missing value.
            `split` also takes the rows of a closed set, which belong to every split.

        Returns
        -------
        DataFrame, in the order of `row`, index reset; empty if nothing matches

        Raises
        ------
        StoreError: unknown column, or a value that is no split, gender or fold
        """
        return self._select("voice", where)

    def photos(self, **where) -> pd.DataFrame:
        """Photos in the index that match; see `voices`."""
        return self._select("face", where)

    def mel(self, row: int) -> np.ndarray:
        """Voiced, normalised log-mel frames of recording `row`, float32 [n_frames, 64], not repeated."""
        n = len(self.mel_offsets) - 1
        if not 0 <= row < n:
            raise StoreError(self.folder, f"has no recording {row}", remedy=f"Rows are 0 to {n - 1}.", reason="row")
        return np.array(self.mels[self.mel_offsets[row] : self.mel_offsets[row + 1]], dtype=np.float32)  # [T, 64]

    def rejected(self) -> pd.DataFrame:
        """Files that were left out: `path`, `modality`, `identity`, `reason`, `detail`."""
        return pd.read_csv(self.folder / "rejected.csv", dtype=str, keep_default_na=False)

    def _select(self, modality: str, where: dict) -> pd.DataFrame:
        keep = (self.index["modality"] == modality).to_numpy()
        known: dict[str, tuple] = {"split": manifests.SPLITS, "gender": manifests.GENDERS, "fold": (0, 1)}
        for column, value in where.items():
            if column not in self.index.columns or column in ("modality", "landmarks"):
                remedy = nearest(column, self.index.columns.drop(["modality", "landmarks"]))
                raise StoreError(f"store column '{column}'", "is unknown", remedy=remedy, reason="column")
            one = value is None or isinstance(value, (str, int, np.integer))
            values = [value] if one else list(value)
            for v in values:
                if column in known and v is not None and v not in known[column]:
                    remedy = nearest(str(v), map(str, known[column]))
                    raise StoreError(f"{column} {v!r}", "does not exist", remedy=remedy, reason="value")
            if column == "split":
                values = [*values, "all"]
            keep &= (
                self.index[column].isin(values) | (self.index[column].isna() & any(v is None for v in values))
            ).to_numpy()
        return self.index[keep].sort_values("row").reset_index(drop=True)


def _being_rebuilt(folder: Path) -> StoreError:
    remedy = "Wait until 02_preprocessing has ended, then open it again."
    return StoreError(folder, "is being rebuilt", remedy=remedy, reason="rebuilt")


def _wrong(subject: Path, problem: str, *, reason: str = "damaged") -> StoreError:
    return StoreError(subject, problem, remedy=_build(subject), reason=reason)


def _build(path: Path) -> str:
    return f"Delete it and build it again, by 02_preprocessing of its run: {provenance.again(path)}"


def _identity(path: Path) -> tuple[int, ...] | None:
    """What tells a file from one that took its place; None where there is none."""
    try:
        state = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns
