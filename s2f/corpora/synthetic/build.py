"""Make the synthetic corpus: people, recordings, photographs; in parallel, resumable, always the same."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from s2f import files, provenance, workers
from s2f.corpora.synthetic import camera, population, voices
from s2f.errors import CorpusError, OutputError

N_RECORDINGS_A_VIDEO = 3  # at most
N_PHOTOS_A_SOURCE = 3
_MARKER = "complete.json"
_MADE = ("voices", "faces", "people.parquet", _MARKER)  # beside parameters.json, which is written first
_PURPOSES = ("duration", "recording", "channel", "photos")  # order is part of the streams: append only


@dataclass(frozen=True)
class Sizes:
    """How much of everything a corpus holds: same sizes, same files.

    Attributes
    ----------
    n_identities : int, people, half of each sex
    n_recordings, n_faces : int, totals over the corpus, spread over the people as evenly as they divide
    min_s, max_s : float, a recording's duration is uniform between them
    size_px : int, height and width of a photograph
    seed, leak : int and float, as in `population.sample`

    Raises
    ------
    CorpusError: a size is out of range
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
        n = self.n_identities
        for name, low in (("n_identities", 2), ("n_recordings", n), ("n_faces", n), ("size_px", 32)):
            if getattr(self, name) < low:
                problem = f"is {getattr(self, name)} (at least {low})"
                raise CorpusError(name, problem, remedy="Ask for at least one file a person.")
        if not 0 < self.min_s <= self.max_s:
            problem = f"are {self.min_s} and {self.max_s}"
            raise CorpusError("min_s, max_s", problem, remedy="Give seconds with 0 < min_s <= max_s.")

    def of_person(self, number: int) -> tuple[int, int]:
        """How many recordings and photographs the person of a number, counted from 0, has."""
        n = self.n_identities
        return self.n_recordings // n + (number < self.n_recordings % n), self.n_faces // n + (
            number < self.n_faces % n
        )


def build(root: str | Path, sizes: Sizes, *, n_workers: int, prefix: str = "s") -> pd.DataFrame:
    """Make the corpus under `root`, or continue it, or return it when it is there; what is gone is made again.

    A corpus made by another version of this code is made anew; one of other sizes is left alone.

    Parameters
    ----------
    root : path
        Folder of the corpus: `voices/<identity>/<video>/<k>.wav` (16 kHz, 16-bit, mono),
        `faces/<identity>/<k>.png` and `people.parquet`, the true attributes.
    n_workers : int, processes; any number makes the same files
    prefix : str, as in `population.sample`

    Returns
    -------
    DataFrame
        The manifest without `split`: identity, gender, nationality, modality, path (relative to `root`),
        source_id, landmarks (photographs only), fold (0).

    Raises
    ------
    CorpusError: `root` holds a corpus of other sizes, or files that were not made here
    RunError: a worker process died
    """
    root = Path(root)
    made_of = asdict(sizes) | {"prefix": prefix, "generator": provenance.code_key(__name__)}
    people = population.sample(sizes.n_identities, seed=sizes.seed, leak=sizes.leak, prefix=prefix)
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(root.with_name(f".{root.name}.lock")):  # runs of several seeds may come at the same time
        _claim(root, made_of, people=people["identity"])
        if not all(path.exists() for path in (root / _MARKER, root / "people.parquet", *_folders(root, people))):
            _make(root, people, sizes, n_workers=n_workers)
            with files.whole(root / "people.parquet") as beside:
                people.to_parquet(beside)
            files.write_text(root / _MARKER, json.dumps(made_of, indent=1))
    return _manifest(root, people, sizes)


def _claim(root: Path, made_of: dict, *, people: Iterable[str]) -> None:
    """Write down what `root` is made of, or check that it is made of the same; what others put there stays."""
    declared = root / "parameters.json"
    if declared.is_file():
        there = _declared(declared)
        if there == made_of:
            return
        differ = [name for name in made_of if name != "generator" and there.get(name) != made_of[name]]
        if differ:
            detail = ", ".join(f"{name} is {there.get(name)} there, {made_of[name]} here" for name in differ)
            problem = f"holds a corpus of other parameters ({detail})"
            raise CorpusError(root, problem, remedy="Choose another folder or delete this one.")
        (root / _MARKER).unlink(missing_ok=True)  # first: what is half deleted must not pass for complete
        for identity in people:
            for kind in ("voices", "faces"):
                shutil.rmtree(root / kind / identity, ignore_errors=True)
    else:
        for name in _MADE:
            if os.path.lexists(root / name):
                problem = "is there, and is not of a corpus that this program made"
                raise CorpusError(root / name, problem, remedy="Move it, or choose another folder.")
    files.write_text(declared, json.dumps(made_of, indent=1))


def _declared(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        found = None
    if not isinstance(found, dict) or "generator" not in found:
        problem = "does not say what a synthetic corpus is made of"
        raise CorpusError(path, problem, remedy="Move it, or choose another folder.")
    return found


def _folders(root: Path, people: pd.DataFrame) -> Iterator[Path]:
    """The folders of all people, which are there when all that is in them is."""
    return (root / kind / who for who in people["identity"] for kind in ("voices", "faces"))


def _make(root: Path, people: pd.DataFrame, sizes: Sizes, *, n_workers: int) -> None:
    for stale in [path for kind in ("voices", "faces") for path in (root / kind).glob(".*")]:  # of a killed run
        shutil.rmtree(stale, ignore_errors=True)
    jobs = [
        (root, person, number, sizes)
        for number, person in enumerate(people.to_dict("records"))
        if not all(path.is_dir() for path in _folders(root, people.iloc[[number]]))
    ]
    total = sizes.n_recordings + sizes.n_faces
    left = sum(sum(sizes.of_person(number)) for _, _, number, _ in jobs)
    with tqdm(total=total, initial=total - left, desc="synthetic corpus", unit="file", mininterval=1) as bar:
        if n_workers <= 1:
            for job in jobs:
                bar.update(_make_person(*job))
            return
        with workers.pool(n_workers, at=root) as pool:
            for future in as_completed([pool.submit(_make_person, *job) for job in jobs]):
                bar.update(future.result())


def _make_person(root: Path, person: dict, number: int, sizes: Sizes) -> int:
    """Make one person's folders, those that are not there, on one thread: a process a core already, and the same
    arithmetic with any number of workers. Returns the number of files."""
    with threadpool_limits(1):
        return _make_folders(root, person, number, sizes)


def _make_folders(root: Path, person: dict, number: int, sizes: Sizes) -> int:
    n_files = sizes.of_person(number)
    for kind, write, n in zip(("voices", "faces"), (_record, _photograph), n_files, strict=True):
        final = root / kind / person["identity"]
        if final.is_dir():
            continue
        try:
            with files.whole_folder(final) as beside:
                write(beside, person, number=number, n=n, sizes=sizes)
        except (OSError, OutputError):
            if not final.is_dir():  # else a worker that outlived a killed run was faster, with the same files
                raise
    return sum(n_files)


def _stream(sizes: Sizes, number: int, purpose: str, index: int = 0) -> np.random.Generator:
    key = (number, _PURPOSES.index(purpose), index)
    return np.random.default_rng(np.random.SeedSequence(entropy=sizes.seed, spawn_key=key))


def _place(number: int, n: int) -> tuple[int, int]:
    """Video and clip of one of `n` recordings: two videos or more, so that one can be set aside, as even as they go."""
    n_videos = max(min(n, 2), -(-n // N_RECORDINGS_A_VIDEO))
    return divmod(number, -(-n // n_videos))


def _record(folder: Path, person: dict, *, number: int, n: int, sizes: Sizes) -> None:
    import soundfile

    for k in range(n):
        video, clip = _place(k, n)
        wave = voices.synthesise(
            person,
            duration_s=float(_stream(sizes, number, "duration", k).uniform(sizes.min_s, sizes.max_s)),
            rng=_stream(sizes, number, "recording", k),
            channel_rng=_stream(sizes, number, "channel", video),
        )
        path = folder / f"v{video:03d}" / f"{clip:05d}.wav"
        path.parent.mkdir(exist_ok=True)
        try:
            soundfile.write(path, wave, voices.SAMPLE_RATE, subtype="PCM_16")
        except soundfile.LibsndfileError as error:  # a full disk
            raise OSError(f"{path.name}: {error}") from error


def _photograph(folder: Path, person: dict, *, number: int, n: int, sizes: Sizes) -> None:
    from PIL import Image

    photos, landmarks = camera.render(person, n=n, rng=_stream(sizes, number, "photos"), size_px=sizes.size_px)
    for k, photo in enumerate(photos):
        Image.fromarray(photo).save(folder / f"{k:05d}.png", compress_level=1)
    np.save(folder / "landmarks.npy", landmarks)


def _manifest(root: Path, people: pd.DataFrame, sizes: Sizes) -> pd.DataFrame:
    """One row a file, in the order of people, then voices, then faces."""
    rows: list[tuple] = []
    for number, (who, gender) in enumerate(zip(people["identity"], people["gender"], strict=True)):
        n_recordings, n_photos = sizes.of_person(number)
        for k in range(n_recordings):
            video, clip = _place(k, n_recordings)
            source = f"{who}/v{video:03d}"
            rows.append((who, gender, None, "voice", f"voices/{source}/{clip:05d}.wav", source, None, 0))
        try:
            marks = np.load(root / "faces" / who / "landmarks.npy")
        except (OSError, ValueError) as error:
            remedy = f"Delete {root / 'faces' / who}: the next run makes it again."
            where = root / "faces" / who / "landmarks.npy"
            raise CorpusError(where, f"cannot be read ({error})", remedy=remedy) from None
        for k in range(n_photos):
            source = f"{who}/p{k // N_PHOTOS_A_SOURCE:03d}"
            points = [float(v) for v in marks[k].ravel()]
            rows.append((who, gender, None, "face", f"faces/{who}/{k:05d}.png", source, points, 0))
    columns = ["identity", "gender", "nationality", "modality", "path", "source_id", "landmarks", "fold"]
    return pd.DataFrame(rows, columns=columns)
