"""Make the synthetic corpus: people, recordings, photographs; in parallel, resumable, always the same."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from importlib import resources
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from s2f import files, provenance
from s2f.corpora.synthetic import camera, population, voices
from s2f.errors import CorpusError
from s2f.workers import end_with_parent

N_RECORDINGS_A_VIDEO = 3
N_PHOTOS_A_SOURCE = 3
SAMPLE_RATE = 16_000
_MARKER = "complete.json"
_PURPOSES = ("duration", "recording", "channel", "photos")  # order is part of the streams: append only


@dataclass(frozen=True)
class Sizes:
    """What a synthetic corpus is made of: the same sizes and seed, the same files.

    Attributes
    ----------
    n_identities : int
        People, half of each sex.
    n_recordings, n_faces : int
        Totals over the corpus, spread over the people as evenly as they divide.
    min_s, max_s : float
        A recording's duration is uniform between them.
    size_px : int
        Height and width of a photograph.
    seed : int
    leak : float
        As in `population.sample`.
    """

    n_identities: int
    n_recordings: int
    n_faces: int
    min_s: float
    max_s: float
    size_px: int
    seed: int
    leak: float = 0.0

    def __post_init__(self) -> None:
        """Raise CorpusError where a size is out of range."""
        n = self.n_identities
        for name, low in (("n_identities", 2), ("n_recordings", n), ("n_faces", n), ("size_px", 32)):
            if (value := getattr(self, name)) < low:
                remedy = "Ask for at least one file a person."
                raise CorpusError(name, f"is {value} (at least {low})", remedy=remedy)
        if not 0 < self.min_s <= self.max_s:
            problem, remedy = f"are {self.min_s} and {self.max_s}", "Give seconds with 0 < min_s <= max_s."
            raise CorpusError("min_s, max_s", problem, remedy=remedy)


def build(root: str | Path, sizes: Sizes, *, n_workers: int, prefix: str = "s") -> pd.DataFrame:
    """Make the corpus under `root`, or continue it, or return it when it is there.

    A corpus made by another version of this code is made anew; one of other parameters is left alone.

    Parameters
    ----------
    root : path
        Folder of the corpus: `voices/<identity>/<video>/<k>.wav` (16 kHz, 16-bit, mono),
        `faces/<identity>/<k>.png` and `people.parquet`, the true attributes.
    n_workers : int
        Processes; the files do not depend on it.
    prefix : str
        As in `population.sample`.

    Returns
    -------
    DataFrame
        The manifest without `split`: identity, gender, nationality, modality, path (relative to `root`),
        source_id, landmarks (photographs only), fold (0).

    Raises
    ------
    CorpusError
        `root` holds a corpus of other parameters.
    """
    root = Path(root)
    made_of = {**asdict(sizes), "prefix": prefix, "generator": _generator()}
    root.mkdir(parents=True, exist_ok=True)
    _claim(root, made_of)
    people = population.sample(sizes.n_identities, seed=sizes.seed, leak=sizes.leak, prefix=prefix)
    if not (root / _MARKER).is_file():
        _make(root, people, made_of, n_workers=n_workers)
        with files.whole(root / "people.parquet") as beside:
            people.to_parquet(beside)
        files.write_text(root / _MARKER, json.dumps(made_of, indent=1))
    return _manifest(root, people, made_of)


def _generator() -> str:
    """Digest of the code and the causes: two versions of them never mix in one corpus."""
    digest = hashlib.sha256(provenance.code_key(__name__).encode())
    digest.update(resources.files(__package__).joinpath("causes.yaml").read_bytes())
    return digest.hexdigest()[:16]


def _claim(root: Path, made_of: dict) -> None:
    """Write down what `root` is made of, or check that it is made of the same."""
    declared = root / "parameters.json"
    if declared.is_file():
        there = json.loads(declared.read_text())
        if there == made_of:
            return
        differ = [name for name in made_of if name != "generator" and there.get(name) != made_of[name]]
        if differ:
            detail = ", ".join(f"{name} is {there.get(name)} there, {made_of[name]} here" for name in differ)
            raise CorpusError(
                root,
                f"holds a corpus of other parameters ({detail})",
                remedy="Choose another folder or delete this one.",
            )
        (root / _MARKER).unlink(missing_ok=True)  # first: what is half deleted must not pass for complete
        for kind in ("voices", "faces"):
            shutil.rmtree(root / kind, ignore_errors=True)
    files.write_text(declared, json.dumps(made_of, indent=1))


def _make(root: Path, people: pd.DataFrame, made_of: dict, *, n_workers: int) -> None:
    for stale in root.glob(f"*/.{made_of['prefix']}*"):  # left by a run that was killed
        shutil.rmtree(stale, ignore_errors=True)
    recordings = _spread(made_of["n_recordings"], len(people))
    photos = _spread(made_of["n_faces"], len(people))
    jobs = [
        dict(person=person, number=k, n_recordings=recordings[k], n_photos=photos[k], made_of=made_of)
        for k, person in enumerate(people.to_dict("records"))
        if not _is_made(root, person["identity"])
    ]
    total = made_of["n_recordings"] + made_of["n_faces"]
    done = total - sum(job["n_recordings"] + job["n_photos"] for job in jobs)
    with tqdm(total=total, initial=done, desc="synthetic corpus", unit="file", mininterval=1) as bar:
        if n_workers <= 1:
            n_threads = torch.get_num_threads()
            _one_thread()
            try:
                for job in jobs:
                    bar.update(_make_person(root, **job))
            finally:
                torch.set_num_threads(n_threads)
            return
        # Started afresh rather than forked: a process forked after torch has used threads can hang.
        pool = ProcessPoolExecutor(n_workers, mp_context=get_context("spawn"), initializer=_start_worker)
        with pool:
            futures = [pool.submit(_make_person, root, **job) for job in jobs]
            try:
                for future in as_completed(futures):
                    bar.update(future.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _start_worker() -> None:
    end_with_parent()
    _one_thread()


def _one_thread() -> None:
    torch.set_num_threads(1)  # one process a core already, and the same arithmetic with any number of workers


def _spread(total: int, n: int) -> list[int]:
    return [total // n + (k < total % n) for k in range(n)]


def _is_made(root: Path, identity: str) -> bool:
    return (root / "voices" / identity).is_dir() and (root / "faces" / identity).is_dir()


def _stream(seed: int, number: int, purpose: str, index: int = 0) -> np.random.Generator:
    key = (number, _PURPOSES.index(purpose), index)
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=key))


def _make_person(root: Path, *, person: dict, number: int, n_recordings: int, n_photos: int, made_of: dict) -> int:
    """Write one person's files beside their place, then move them into it. Returns the number of files."""
    identity = person["identity"]
    for kind, write, n in (("voices", _record, n_recordings), ("faces", _photograph, n_photos)):
        final = root / kind / identity
        if final.is_dir():
            continue
        beside = final.with_name(f".{identity}.{os.getpid()}")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        write(beside, person, number=number, n=n, made_of=made_of)
        try:
            beside.rename(final)
        except OSError:
            if not final.is_dir():
                raise
            shutil.rmtree(beside)  # a worker that outlived a killed run was faster, with the same files
    return n_recordings + n_photos


def _record(folder: Path, person: dict, *, number: int, n: int, made_of: dict) -> None:
    import soundfile

    seed = made_of["seed"]
    for k in range(n):
        video, clip = divmod(k, N_RECORDINGS_A_VIDEO)
        duration_s = _stream(seed, number, "duration", k).uniform(made_of["min_s"], made_of["max_s"])
        wave = voices.synthesise(
            person,
            duration_s=float(duration_s),
            rng=_stream(seed, number, "recording", k),
            channel_rng=_stream(seed, number, "channel", video),
        )
        path = folder / f"v{video:03d}" / f"{clip:05d}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, wave, SAMPLE_RATE, subtype="PCM_16")


def _photograph(folder: Path, person: dict, *, number: int, n: int, made_of: dict) -> None:
    from PIL import Image

    rng = _stream(made_of["seed"], number, "photos")
    photos, landmarks = camera.render(person, n=n, rng=rng, size_px=made_of["size_px"])
    for k, photo in enumerate(photos):
        Image.fromarray(photo).save(folder / f"{k:05d}.png", compress_level=1)
    np.save(folder / "landmarks.npy", landmarks)


def _manifest(root: Path, people: pd.DataFrame, made_of: dict) -> pd.DataFrame:
    """One row a file, in the order of people, then voices, then faces."""
    recordings = _spread(made_of["n_recordings"], len(people))
    photos = _spread(made_of["n_faces"], len(people))
    rows = []
    for identity, gender, n_voice, n_face in zip(people["identity"], people["gender"], recordings, photos, strict=True):
        common = {"identity": identity, "gender": gender, "nationality": None, "fold": 0}
        for k in range(n_voice):
            video, clip = divmod(k, N_RECORDINGS_A_VIDEO)
            path = f"voices/{identity}/v{video:03d}/{clip:05d}.wav"
            source = f"{identity}/v{video:03d}"
            rows.append(common | dict(modality="voice", path=path, source_id=source, landmarks=None))
        marks = np.load(root / "faces" / identity / "landmarks.npy")
        for k in range(n_face):
            rows.append(
                common
                | dict(
                    modality="face",
                    path=f"faces/{identity}/{k:05d}.png",
                    source_id=f"{identity}/p{k // N_PHOTOS_A_SOURCE:03d}",
                    landmarks=[float(v) for v in marks[k].ravel()],
                )
            )
    columns = ["identity", "gender", "nationality", "modality", "path", "source_id", "landmarks", "fold"]
    return pd.DataFrame(rows, columns=columns)
