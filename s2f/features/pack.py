"""Packing a store: every recording and photograph of a manifest, preprocessed in shards, in parallel, resumable."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from s2f import provenance, weights, workers
from s2f.corpora import manifest as manifests
from s2f.corpora import rejections
from s2f.errors import StoreError, nearest
from s2f.features.store import FACE_PX, FILES, FRONT_END, MIN_VOICE_S, N_MELS, VERSION, Meta, Store
from s2f.files import whole

if TYPE_CHECKING:
    from s2f.features.listening import Heard

INCOMPLETE = "identity_incomplete"  # reason of a usable file whose person lost all of the other kind
SEVERAL_FACES = ("prominent", "reject")


@dataclass(frozen=True)
class Settings:
    """How photographs are treated, and whether there is anything to do.

    Attributes
    ----------
    several_faces : {"prominent", "reject"}, what to do about a photo of several people; see `landmarks.detect`
    max_turn : float, largest turn of a face to the side; see `s2f.features.align.turn`
    processed : bool, recordings are .npy files of log-mel frames and photos are aligned: only checked and packed
    min_voice_s : float, s of voice, the least that a recording is accepted with
    """

    several_faces: str = "prominent"
    max_turn: float = 1.0
    processed: bool = False
    min_voice_s: float = MIN_VOICE_S

    def __post_init__(self) -> None:
        """Raise StoreError where a value is none of those above."""
        if self.several_faces not in SEVERAL_FACES:
            remedy = nearest(self.several_faces, SEVERAL_FACES)
            raise StoreError(f"several_faces {self.several_faces!r}", "is unknown", remedy=remedy, reason="value")
        if not self.max_turn > 0:  # NaN neither
            raise StoreError("max_turn", f"is {self.max_turn}", remedy="Give a number above 0.", reason="value")
        if not 0 <= self.min_voice_s < math.inf:
            problem = f"is {self.min_voice_s}"
            raise StoreError("min_voice_s", problem, remedy="Give seconds, 0 or more.", reason="value")


def build(
    manifest: pd.DataFrame,
    folder: str | Path,
    *,
    root: str | Path = ".",
    settings: Settings | None = None,
    n_workers: int = 1,
    shard_size: int = 256,
    max_rejected: float = 0.05,
    progress: bool = True,
) -> None:
    """Preprocess every file of a manifest and pack the results; go on where a killed build stopped.

    A file that cannot be used is listed in ``rejected.csv`` and does not stop the build. An identity that
    loses all of its recordings or all of its photos is left out, its other files listed with the reason
    "identity_incomplete". The result depends neither on `n_workers` nor on `shard_size`.

    Finished shards wait in ``<folder>/shards`` under a hash of their files (name, size, time), their rows,
    the settings and the code that makes them, so that none is used for other input; those of other input stay
    until this store is whole and replaces what they were made for. Memory holds one shard a process and the manifest.

    Parameters
    ----------
    manifest : DataFrame, split or not; see `s2f.corpora.manifest`
    folder : str or Path
    root : str or Path, where relative paths of the manifest start
    settings : Settings, optional
    n_workers : int, processes; with 1 the work is done in this one
    shard_size : int, files that one process takes at a time, and that a killed build may lose
    max_rejected : float, largest accepted share of unusable files, for recordings and photos each
    progress : bool, show a progress bar on stderr

    Raises
    ------
    StoreError: too many unusable files; nobody left, in all or in one split
    RunError: a worker process died
    CorpusError: the manifest is not valid
    """
    if not 0 <= max_rejected <= 1:
        raise StoreError("max_rejected", f"is {max_rejected}", remedy="Give a share from 0 to 1.", reason="value")
    _check_counts(n_workers=n_workers, shard_size=shard_size)
    folder, settings = Path(folder), settings or Settings()
    table = manifests.validate(manifest)
    shards = folder / "shards"
    parts, places, key = _plan(table, shards, root=root, settings=settings, shard_size=shard_size)
    if _is_built(folder, key):
        shutil.rmtree(shards, ignore_errors=True)
        lost = Store.open(folder).rejected()
        lost = lost[lost["reason"] != INCOMPLETE]
        _check_share(table, zip(lost["modality"], lost["reason"], strict=True), folder, max_rejected=max_rejected)
        return
    shards.mkdir(parents=True, exist_ok=True)
    # Without an index nobody takes the old or half-new arrays for a store.
    (folder / "index.parquet").unlink(missing_ok=True)
    for name in FILES:
        for stale in folder.glob(f".{Path(name).stem}.*{Path(name).suffix}"):  # of a killed build
            stale.unlink()
    _make_shards(parts, places, root=root, settings=settings, n_workers=n_workers, progress=progress)
    _merge(table, places, folder, settings=settings, max_rejected=max_rejected, key=key)
    shutil.rmtree(shards)


def build_part(
    manifest: pd.DataFrame,
    folder: str | Path,
    *,
    share: tuple[int, int],
    root: str | Path = ".",
    settings: Settings | None = None,
    n_workers: int = 1,
    shard_size: int = 256,
    progress: bool = True,
) -> int:
    """Make a share of a store's shards, for `build` to find and pack.

    Jobs on different machines of a cluster share the work so; they may run at the same time, each with a share
    of its own. Shards that are there already are not made again. A shard is the same whoever makes it.

    Parameters
    ----------
    share : (part, n_parts), every `n_parts`-th shard, counted from `part`; 0 <= part < n_parts
    manifest, folder, root, settings, n_workers, shard_size, progress, as `build` will be called with

    Returns
    -------
    int, number of shards of this part, 0 where there are fewer shards than parts, or the store is built

    Raises
    ------
    StoreError: a part that does not exist
    RunError: a worker process died
    CorpusError: the manifest is not valid
    """
    part, n_parts = share
    _check_counts(n_workers=n_workers, shard_size=shard_size, n_parts=n_parts)
    if not 0 <= part < n_parts:
        raise StoreError("part", f"is {part}", remedy=f"Give 0 to {n_parts - 1}.", reason="value")
    folder, settings = Path(folder), settings or Settings()
    table = manifests.validate(manifest)
    shards = folder / "shards"
    if (folder / "index.parquet").is_file():  # finished before: made again for another reason than its files
        *_, key = _plan(table, shards, root=root, settings=settings, shard_size=shard_size)
        if _is_built(folder, key):
            return 0
    shards.mkdir(parents=True, exist_ok=True)
    parts, places, _ = _plan(table, shards, root=root, settings=settings, shard_size=shard_size, share=share)
    _make_shards(parts, places, root=root, settings=settings, n_workers=n_workers, progress=progress)
    return len(places)


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise StoreError(name, f"is {value}", remedy="Give 1 or more.", reason="value")


# ------------------------------------------------------------------------------------------------ shards


def _plan(
    table: pd.DataFrame, shards: Path, *, root, settings: Settings, shard_size: int, share: tuple[int, int] = (0, 1)
) -> tuple[list[pd.DataFrame], list[Path], str]:
    """A share of the manifest cut into shards, the file of each, and a hash of all that they are made from."""
    part, n_parts = share
    starts = range(part * shard_size, len(table), n_parts * shard_size)
    parts = [table.iloc[i : i + shard_size] for i in starts]
    code = repr((VERSION, settings, provenance.code_key(__name__))).encode()
    prints = [b"".join(_fingerprints(rows, root, code)) for rows in parts]
    names = [f"{i // shard_size:06d}-{_hex(each)[:16]}.npz" for i, each in zip(starts, prints, strict=True)]
    return parts, [shards / name for name in names], _hex(b"".join(prints))


def _hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _fingerprints(rows: pd.DataFrame, root: str | Path, code: bytes) -> Iterator[bytes]:
    """One hash a row: the file's name, size and time, how it is treated, and the code that will read it."""
    for row in rows.itertuples(index=False):
        try:
            state = os.stat(os.path.join(root, row.path))
            seen = (state.st_size, state.st_mtime_ns)
        except (OSError, ValueError):  # ValueError: a zero byte in the name
            seen = None
        yield hashlib.sha256(code + repr((*row, seen)).encode()).digest()


def _make_shards(parts, places, *, root, settings: Settings, n_workers: int, progress: bool) -> None:
    from tqdm import tqdm

    todo = [i for i, place in enumerate(places) if not place.exists()]
    if not todo:
        return
    n_files = sum(map(len, parts))
    done = n_files - sum(len(parts[i]) for i in todo)
    with tqdm(total=n_files, initial=done, desc="preprocess", unit="file", mininterval=1, disable=not progress) as bar:
        if n_workers == 1:
            for i in todo:
                _make_shard(parts[i], places[i], root, settings, bar.update)
            return
        with workers.pool(min(n_workers, len(todo)), at=places[0].parent.parent) as pool:
            jobs = {pool.submit(_make_shard, parts[i], places[i], root, settings): i for i in todo}
            for job in as_completed(jobs):
                job.result()
                bar.update(len(parts[jobs[job]]))


def _make_shard(part: pd.DataFrame, place: Path, root, settings: Settings, report: Callable | None = None) -> None:
    """Preprocess a slice of the manifest into one file of arrays."""
    mels, heard, faces, used, problems = [], [], [], np.zeros(len(part), bool), []
    for i, row in enumerate(part.itertuples(index=False)):
        try:
            if row.modality == "voice":
                found = recording(os.path.join(root, row.path), settings)
                mels.append(found.log_mel)
                heard.append((found.voice_s, "; ".join(found.remarks)))
            else:
                faces.append(photo(os.path.join(root, row.path), row.landmarks, settings))
            used[i] = True
        except Exception as error:
            problems.append((i, *rejections.why(error)))
        if report is not None:
            report(1)
    with whole(place) as beside:
        np.savez(
            beside,
            mels=np.concatenate(mels) if mels else np.empty((0, N_MELS), np.float16),
            n_frames=np.array([len(m) for m in mels], np.int64),
            faces=np.stack(faces) if faces else np.empty((0, FACE_PX, FACE_PX, 3), np.uint8),
            used=used,
            heard=_as_json(heard),
            problems=_as_json(problems),
        )


def _as_json(value: list) -> np.ndarray:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def recording(path: str, settings: Settings) -> Heard:
    """What the store keeps of a recording: its frames float16 [n_frames, 64], normalised, not repeated.

    Raises
    ------
    AudioError: it cannot be used; `reason` is in `s2f.corpora.rejections`
    """
    from s2f.features import listening

    heard = listening.listen(path, min_voice_s=settings.min_voice_s, rounded=True)
    return replace(heard, log_mel=heard.log_mel.astype(np.float16))  # [T, 64]


def photo(path: str, landmarks: np.ndarray | None, settings: Settings) -> np.ndarray:
    """What the store keeps of a photo: the aligned face, uint8 [64, 64, 3].

    Raises
    ------
    ImageError: it cannot be used; `reason` is in `s2f.corpora.rejections`
    """
    from s2f.features import align, photo_files

    image = photo_files.read(path)
    if settings.processed:
        return align.resized(image, name=path)  # [64, 64, 3]
    return align.align(image, landmarks, name=path, several=settings.several_faces, max_turn=settings.max_turn)


# ------------------------------------------------------------------------------------------------ merge


def _merge(
    table: pd.DataFrame, places: list[Path], folder: Path, *, settings: Settings, max_rejected: float, key: str
) -> None:
    usable, problems = [], []
    for rows, said, used in _shards(places, "problems"):
        problems += [(rows.start + i, reason, detail) for i, reason, detail in json.loads(said.tobytes())]
        usable.append(used)
    used = np.concatenate(usable)
    voice = (table["modality"] == "voice").to_numpy()
    keep, incomplete = _complete(table, used)
    rejected = _rejected(table, problems, incomplete)
    with whole(folder / "rejected.csv") as beside:
        rejected.to_csv(beside, index=False)
    lost = ((table["modality"].iat[i], reason) for i, reason, _ in problems)
    _check_share(table, lost, folder, max_rejected=max_rejected)
    _check_people(table, keep, folder)

    frames = np.zeros(len(table), np.int64)
    frames[voice & used] = np.concatenate([n_frames for _, n_frames, _ in _shards(places, "n_frames")])
    offsets = np.concatenate([[0], np.cumsum(frames[voice & keep])]).astype(np.int64)
    n_faces = int((~voice & keep).sum())
    _write_npy(folder / "mels.npy", np.float16, (int(offsets[-1]), N_MELS), _kept_mels(places, keep, voice, frames))
    with whole(folder / "mel_offsets.npy") as beside:
        np.save(beside, offsets)
    _write_npy(folder / "faces.npy", np.uint8, (n_faces, FACE_PX, FACE_PX, 3), _kept_faces(places, keep, voice))

    index = table[keep].reset_index(drop=True)
    index["row"] = index.groupby("modality").cumcount().astype(np.int64)
    heard = [each for _, said, _ in _shards(places, "heard") for each in json.loads(said.tobytes())]
    index["voice_s"], index["remarks"] = np.nan, None
    kept = [each for each, there in zip(heard, keep[voice & used], strict=True) if there]
    index.loc[index["modality"] == "voice", ["voice_s", "remarks"]] = [(s, said or None) for s, said in kept]
    with whole(folder / "index.parquet") as beside:
        _write_index(index, beside)
        Meta(
            parameters={**FRONT_END, **asdict(settings)},
            n_frames=int(offsets[-1]),
            n_recordings=len(offsets) - 1,
            n_faces=n_faces,
            n_identities=int(index["identity"].nunique()),
            n_rejected=len(rejected),
            index_sha256=weights.sha256(beside),
            input_sha256=key,
        ).write(folder)


def _complete(table: pd.DataFrame, used: np.ndarray) -> tuple[np.ndarray, dict[int, str]]:
    """Mask of the rows of identities that still have a voice and a face; what the other rows' people lack."""
    has = {m: set(table.loc[used & (table["modality"] == m).to_numpy(), "identity"]) for m in manifests.MODALITIES}
    both = table["identity"].isin(has["voice"] & has["face"]).to_numpy()
    lacks = {
        int(i): "no usable " + ("recording" if table["identity"].iat[i] not in has["voice"] else "photo")
        for i in np.flatnonzero(used & ~both)
    }
    return used & both, lacks


def _rejected(table: pd.DataFrame, problems: list, incomplete: dict[int, str]) -> pd.DataFrame:
    rows = sorted([*problems, *((i, INCOMPLETE, what) for i, what in incomplete.items())])
    places = [i for i, *_ in rows]
    named = table[["path", "modality", "identity"]].iloc[places].itertuples(index=False)
    return rejections.frame((*who, reason, detail) for who, (_, reason, detail) in zip(named, rows, strict=True))


def _check_share(table: pd.DataFrame, lost: Iterable[tuple[str, str]], folder: Path, *, max_rejected: float) -> None:
    """Refuse a store that leaves out too many files, each of `lost` by its modality and reason."""
    lost = list(lost)
    for modality in manifests.MODALITIES:
        n = int((table["modality"] == modality).sum())
        bad = Counter(reason for whose, reason in lost if whose == modality)
        n_bad = sum(bad.values())
        if n_bad > max_rejected * n:
            common = ", ".join(f"{reason} {n}" for reason, n in bad.most_common(4))
            share, limit = f"{100 * n_bad / n:.1f} %: {common}", f"{100 * max_rejected:g} %"
            problem = f"would leave out {n_bad} of {n} {modality} files ({share}), more than {limit}"
            remedy = f"See {folder / 'rejected.csv'}; repair them, or raise max_rejected."
            raise StoreError(folder, problem, remedy=remedy, reason="too_many_rejected")


def _check_people(table: pd.DataFrame, keep: np.ndarray, folder: Path) -> None:
    see = f"See {folder / 'rejected.csv'}; "
    if not keep.any():
        problem = "would be empty: nobody has both a usable recording and a usable photo"
        raise StoreError(folder, problem, remedy=see + "repair the files.", reason="empty")
    for name in table["split"].dropna().unique():
        if not keep[(table["split"] == name).to_numpy()].any():
            remedy = see + "repair the files, or split more identities."
            raise StoreError(folder, f"would have nobody in split '{name}'", remedy=remedy, reason="empty_split")


def _shards(places: list[Path], name: str) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Rows of the manifest that each shard is of, its array `name`, and which rows could be used."""
    start = 0
    for place in places:
        with np.load(place) as shard:
            array, used = shard[name], shard["used"]
        yield slice(start, start + len(used)), array, used
        start += len(used)


def _kept_mels(places, keep, voice, frames) -> Iterator[np.ndarray]:
    for rows, mels, _ in _shards(places, "mels"):
        if (keep & voice)[rows].any():  # rejected recordings have no frames, dropped people's are masked
            yield mels[np.repeat((keep & voice)[rows], frames[rows])]


def _kept_faces(places, keep, voice) -> Iterator[np.ndarray]:
    for rows, faces, used in _shards(places, "faces"):
        yield faces[keep[rows][used & ~voice[rows]]]


def _write_npy(path: Path, dtype, shape: tuple[int, ...], blocks: Iterator[np.ndarray]) -> None:
    """Write an array block after block, so that it never has to fit in memory."""
    with whole(path) as beside, open(beside, "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
        )
        n = 0
        for block in blocks:
            n += len(block)
            file.write(np.ascontiguousarray(block, dtype=dtype).data)
        if n != shape[0]:
            remedy = f"Delete {path.parent / 'shards'} and build again."
            raise StoreError(path, f"would hold {n} rows instead of {shape[0]}", remedy=remedy, reason="damaged")


def _write_index(index: pd.DataFrame, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"landmarks": pa.list_(pa.float64()), "fold": pa.int64(), "row": pa.int64(), "voice_s": pa.float64()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in index.columns])
    pq.write_table(pa.Table.from_pandas(index, schema=schema, preserve_index=False), path)


def _is_built(folder: Path, key: str) -> bool:
    try:
        return Store.open(folder).digest == key
    except StoreError:
        return False
