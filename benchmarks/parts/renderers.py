"""Photographs by the renderer of any commit, made in a process of their own that imports that commit's code.

Imported, it is `has`, `checkout` and `photograph`; run as a program, it is what `photograph` starts, and imports
nothing of the project but the renderer.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import io
import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parents[2]
_MODULES = ("camera", "heads")  # of s2f.corpora.synthetic: where `render` lies, and where it lay
_PHOTOS = (3, 0)  # what `s2f.corpora.synthetic.build` adds to a person's number for the stream of the photographs
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def has(commit: str) -> bool:
    """Whether this copy of the project has a commit: neither an unpacked archive nor a shallow clone has an old one."""
    words = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
    return subprocess.run(words, cwd=PROJECT, stderr=subprocess.DEVNULL).returncode == 0


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """A temporary folder with the library as it was at a commit."""
    archive = subprocess.run(["git", "archive", commit, "s2f"], cwd=PROJECT, check=True, stdout=subprocess.PIPE).stdout
    with tempfile.TemporaryDirectory(prefix=f"s2f-{commit}-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            packed.extractall(folder, filter="data")
        yield Path(folder)


@dataclass(frozen=True)
class Sitting:
    """Who is photographed: the people and photographs that a corpus of so many people and this seed holds.

    Attributes
    ----------
    n_identities, seed : int, of the population
    numbers : tuple of int, who of them, counted from 0
    n_photos : int, photographs of each
    size_px : int, side of a photograph
    """

    n_identities: int
    seed: int
    numbers: tuple[int, ...]
    n_photos: int
    size_px: int = 128


def photograph(root: Path, sitting: Sitting, *, n_workers: int = 1, out: Path | None = None) -> dict:
    """Have the renderer of the library below `root` photograph people, one thread a worker.

    Parameters
    ----------
    root : Path, the project, or what `checkout` made
    out : Path, optional, .npz file for identity [n], gender [n], photos [n, H, W, 3] and landmarks [n, 5, 2]

    Returns
    -------
    dict
        ``n`` photographs, ``seconds`` from the first to the last, with what one person takes before left out,
        ``mb`` of the largest process, ``sha256`` of all pixels and landmarks.
    """
    words = [json.dumps(asdict(sitting)), f"--workers={n_workers}"] + ([f"--out={out}"] if out else [])
    environment = os.environ | dict.fromkeys(_THREADS, "1") | {"PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, __file__, *words], env=environment, cwd=root, check=True, stdout=subprocess.PIPE, text=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    if not Path(found["module"]).is_relative_to(Path(root).resolve()):
        raise RuntimeError(f"{found['module']} was imported where the renderer of {root} was asked for.")
    return found


def _renderer():
    for name in _MODULES:
        try:
            return importlib.import_module(f"s2f.corpora.synthetic.{name}")
        except ModuleNotFoundError:
            continue
    raise SystemExit("s2f.corpora.synthetic has no renderer in any of: " + ", ".join(_MODULES))


def _one(person: dict, number: int, sitting: Sitting) -> tuple[np.ndarray, np.ndarray]:
    renderer = _renderer()
    if torch := sys.modules.get("torch"):  # not every renderer computes with it
        torch.set_num_threads(1)
    stream = np.random.SeedSequence(entropy=sitting.seed, spawn_key=(number, *_PHOTOS))
    return renderer.render(person, n=sitting.n_photos, rng=np.random.default_rng(stream), size_px=sitting.size_px)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sitting", help="a Sitting, as JSON")
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    from s2f.corpora.synthetic import population

    sitting = Sitting(**json.loads(args.sitting))
    people = population.sample(sitting.n_identities, seed=sitting.seed)
    people = people.iloc[list(sitting.numbers)]
    jobs = [
        (person, number, sitting) for person, number in zip(people.to_dict("records"), sitting.numbers, strict=True)
    ]
    first = (*jobs[0][:2], replace(sitting, n_photos=1))  # what a process does once is not counted
    if args.workers == 1:
        _one(*first)
        started = time.perf_counter()
        made = [_one(*job) for job in jobs]
    else:
        with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
            list(pool.map(_one, *zip(*[first] * args.workers, strict=True)))
            started = time.perf_counter()
            made = list(pool.map(_one, *zip(*jobs, strict=True)))
    seconds = time.perf_counter() - started
    photos, landmarks = (np.concatenate(parts) for parts in zip(*made, strict=True))
    if args.out:
        identity, gender = (np.repeat(people[name].to_numpy(str), sitting.n_photos) for name in ("identity", "gender"))
        np.savez(args.out, identity=identity, gender=gender, photos=photos, landmarks=landmarks)
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    found = {
        "n": len(photos),
        "seconds": seconds,
        "mb": max(peaks) / 1024,
        "sha256": hashlib.sha256(photos.tobytes() + landmarks.tobytes()).hexdigest(),
        "module": _renderer().__file__,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
