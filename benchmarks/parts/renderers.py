"""Photographs by the renderer of any commit, made in a process of their own that imports that commit's code.

Imported, it is `checkout` and `photograph`; run as a program, it is what `photograph` starts, and imports nothing of
the project but the renderer.
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
from multiprocessing import get_context
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parents[2]
_MODULES = ("camera", "heads")  # of s2f.corpora.synthetic: where `render` lies, and where it lay
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """A temporary folder with the library as it was at a commit."""
    archive = subprocess.run(["git", "archive", commit, "s2f"], cwd=PROJECT, check=True, stdout=subprocess.PIPE).stdout
    with tempfile.TemporaryDirectory(prefix=f"s2f-{commit}-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            packed.extractall(folder, filter="data")
        yield Path(folder)


def photograph(
    root: Path, *, people: int, photos: int, seed: int, size_px: int = 128, n_workers: int = 1, out: Path | None = None
) -> dict:
    """Have the renderer of the library below `root` photograph people, one thread a worker.

    Parameters
    ----------
    root : Path, the project, or what `checkout` made
    people, photos, seed : int, people of a seed, and photographs of each
    out : Path, optional, .npz file for identity [n], gender [n], photos [n, H, W, 3] and landmarks [n, 5, 2]

    Returns
    -------
    dict
        ``n`` photographs, ``seconds`` from the first to the last, with what one person takes before left out,
        ``mb`` of the largest process, ``sha256`` of all pixels and landmarks.
    """
    given = {"people": people, "photos": photos, "seed": seed, "size-px": size_px, "workers": n_workers}
    words = [f"--{name}={value}" for name, value in given.items()] + ([f"--out={out}"] if out else [])
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


def _one(person: dict, number: int, seed: int, photos: int, size_px: int) -> tuple[np.ndarray, np.ndarray]:
    import torch

    torch.set_num_threads(1)
    rng = np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(number,)))
    return _renderer().render(person, n=photos, rng=rng, size_px=size_px)


def _warm(seed: int, size_px: int) -> None:
    """What a process does once, such as reading what every head is made of."""
    from s2f.corpora.synthetic import population

    _one(population.sample(2, seed=seed).to_dict("records")[0], 0, seed, 1, size_px)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("people", "photos", "seed", "size-px", "workers"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    from s2f.corpora.synthetic import population

    people = population.sample(args.people, seed=args.seed)
    jobs = [(person, k, args.seed, args.photos, args.size_px) for k, person in enumerate(people.to_dict("records"))]
    if args.workers == 1:
        _warm(args.seed, args.size_px)
        started = time.perf_counter()
        made = [_one(*job) for job in jobs]
    else:
        with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
            list(pool.map(_warm, *zip(*[(args.seed, args.size_px)] * args.workers, strict=True)))
            started = time.perf_counter()
            made = list(pool.map(_one, *zip(*jobs, strict=True)))
    seconds = time.perf_counter() - started
    photos, landmarks = (np.concatenate(parts) for parts in zip(*made, strict=True))
    if args.out:
        identity, gender = (np.repeat(people[name].to_numpy(str), args.photos) for name in ("identity", "gender"))
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
