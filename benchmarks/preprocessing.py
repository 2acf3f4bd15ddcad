"""Time and memory of preprocessing a corpus into a store: how they grow, and where they go.

Usage: python benchmarks/preprocessing.py [--sizes 1000 5000 20000] [--rounds 2] [--quick]
Each size is that many recordings and as many faces. About 200 of each are synthesised (4 to 8 s, 16-bit wav; 128 px,
png, with landmarks); all others are hard links to them, or copies where links are not possible. So every file is
opened, decoded and processed for itself, but the disk holds few bytes, which stay in memory: the time that a slow disk
takes to find and send a file is not in these numbers. The whole run takes about a quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import front_end as front_end_alone
import numpy as np
import pandas as pd
import soundfile
import torch
from PIL import Image

from s2f.corpora import manifest as manifests
from s2f.corpora.synthetic import camera, population, voices
from s2f.corpora.voxceleb import REFERENCE
from s2f.errors import CheckpointError, ImageError
from s2f.features import align, front_end, listening, photo_files, sound_files

RECORDING_S = (4.0, 8.0)
FACE_PX = 128
GROWTH_LIMIT = 1.15  # seconds a file and a worker's peak at the largest size, in those at the smallest
MEMORY_LIMIT_MB = 1_500  # a process; the builder, which holds the manifest, must fit with a full corpus too
FULL = REFERENCE["n_recordings"] + REFERENCE["n_faces"]  # files of VoxCeleb1 ∩ VGGFace
SPEEDUP_LIMIT = 1.7  # of two processes
N_FITTED = 5_000  # recordings; in fewer, shards outweigh the manifest, and nothing is told about a full corpus
OTHERS_LIMIT = 0.2  # cores; polling takes some 0.05
COUNTS = (1, 2)
_POLL_S = 0.1

# Each measurement has a Python of its own, which loads what a build loads and nothing else.
_BUILD = """
import json, resource, sys, time
from s2f.corpora import manifest
from s2f.features import pack
manifest_path, root, folder, n_workers = sys.argv[1:]
table = manifest.read(manifest_path)
started = time.perf_counter()
pack.build(table, folder, root=root, n_workers=int(n_workers), progress=False)
wall_s = time.perf_counter() - started
usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({
    "wall_s": wall_s, "processor_s": sum(u.ru_utime + u.ru_stime for u in usage),
    "builder_mb": int(peak.split()[1]) / 1024,
}))
"""

# The same build by one process, with a clock around every step; a step's time is without the steps inside it.
_PARTS = """
import json, os, sys, time
from collections import defaultdict
import numpy as np
from s2f.features import align, front_end, pack, photo_files, sound_files, speech
from s2f.corpora import manifest
manifest_path, root, folder = sys.argv[1:]
table = manifest.read(manifest_path)
pack.build(table.groupby("modality").head(64), folder + "-first", root=root, progress=False, max_rejected=1)
spent, inside = defaultdict(float), [0.0]
def timed(label, function):
    def step(*args, **kwargs):
        inside.append(0.0)
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            took = time.perf_counter() - started
            spent[label] += took - inside.pop()
            inside[-1] += took
    return step
blocks = sound_files.blocks
sound_files.blocks = lambda path, **options: list(blocks(path, **options))  # at once, so that the clock sees it
for label, owner, names in (
    ("read", sound_files, ["blocks"]),
    ("front_end", front_end, ["voiced_log_mel", "normalise"]), ("front_end", speech, ["unlike"]),
    ("face_read", photo_files, ["read"]), ("face_align", align, ["align"]),
    ("shards", np, ["savez"]), ("merge", pack, ["_merge"]), ("sync", os, ["fsync"]),
):
    for name in names:
        setattr(owner, name, timed(label, getattr(owner, name)))
timed("rest", pack.build)(table, folder, root=root, progress=False)
print(json.dumps(spent))
"""

# Recordings read and processed without a builder: what two processes can reach on this machine at all.
_ALONE = """
import sys, time
from s2f.features import listening
paths = sys.argv[1:]
listening.listen(paths[0])
print("ready", flush=True)
input()
started = time.perf_counter()
for path in paths:
    listening.listen(path)
print(time.perf_counter() - started)
"""

PARTS = {
    "read": "recordings: read (decode)",
    "front_end": "recordings: front end (voice, log-mel, whether it is speech, normalise)",
    "face_read": "faces: read (decode)",
    "face_align": "faces: align, landmarks given",
    "shards": "write shards",
    "merge": "merge shards into the store",
    "sync": "wait for the disk (fsync)",
    "rest": "rest: manifest, fingerprints, half precision, loops",
}


@dataclass(frozen=True)
class Corpus:
    """Files in `root`; of each kind the first `n` are a corpus of size n."""

    root: Path
    people: pd.DataFrame
    durations_s: np.ndarray  # [n_distinct]
    landmarks: np.ndarray  # [n_distinct, 5, 2]
    linked: bool

    @property
    def n_distinct(self) -> int:
        return len(self.people)

    def distinct(self, modality: str) -> list[Path]:
        return [self.root / _path(modality, k) for k in range(self.n_distinct)]

    def manifest(self, n: int) -> pd.DataFrame:
        """A person's recordings, then the person's faces, as corpora are listed."""
        rows = []
        for number, person in enumerate(self.people.to_dict("records")):
            common = {"identity": person["identity"], "gender": person["gender"]}
            for modality, k in itertools.product(manifests.MODALITIES, range(number, n, self.n_distinct)):
                marks = self.landmarks[number].ravel().tolist() if modality == "face" else None
                path = _path(modality, k)
                rows.append(common | {"modality": modality, "path": path, "landmarks": marks})
        return pd.DataFrame(rows)

    def seconds(self, n: int) -> float:
        return float(np.resize(self.durations_s, n).sum())


def _path(modality: str, k: int) -> str:
    return f"{modality}s/{k:06d}.{'wav' if modality == 'voice' else 'png'}"


def generate(root: Path, *, n: int, n_distinct: int) -> Corpus:
    people = population.sample(n_distinct, seed=0)
    rng = np.random.default_rng(0)
    durations_s, landmarks = rng.uniform(*RECORDING_S, n_distinct), []
    (root / "voices").mkdir(parents=True)
    (root / "faces").mkdir()
    for k, person in enumerate(people.to_dict("records")):
        wave = voices.synthesise(person, duration_s=float(durations_s[k]), rng=rng, channel_rng=rng)
        soundfile.write(root / _path("voice", k), wave, front_end.SAMPLE_RATE, subtype="PCM_16")
        photos, marks = camera.render(person, n=1, rng=rng, size_px=FACE_PX)
        Image.fromarray(photos[0]).save(root / _path("face", k))
        landmarks.append(marks[0])
    linked = True
    for modality, k in itertools.product(manifests.MODALITIES, range(n_distinct, n)):
        source, place = root / _path(modality, k % n_distinct), root / _path(modality, k)
        try:
            os.link(source, place)
        except OSError:  # no links on this file system, or too many to one file
            shutil.copy2(source, place)
            linked = False
    return Corpus(root, people, durations_s, np.stack(landmarks), linked)


def measure(corpus: Corpus, n: int, *, n_workers: int) -> dict:
    """Build once; wall and processor seconds, the peak of the builder and of its largest worker in MB, and how many
    cores everything else on the machine kept busy meanwhile, importing and starting the builder included."""
    with tempfile.TemporaryDirectory(dir=corpus.root) as folder:
        table = Path(folder) / "manifest.parquet"
        manifests.write(corpus.manifest(n), table)
        words = [sys.executable, "-c", _BUILD, table, corpus.root, Path(folder) / "store", n_workers]
        started, busy_s = time.perf_counter(), _busy_s()
        builder = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True)
        peaks = {}
        while builder.poll() is None:
            for pid in _children(builder.pid):
                with contextlib.suppress(OSError, StopIteration):  # it ended meanwhile
                    peaks[pid] = _peak_mb(pid)
            time.sleep(_POLL_S)
        took_s, busy_s = time.perf_counter() - started, _busy_s() - busy_s
        printed = builder.stdout.read()
    if builder.returncode:
        raise SystemExit(f"the build of {n} recordings by {n_workers} processes failed")
    found = json.loads(printed)
    workers_mb = max(peaks.values(), default=0.0) if n_workers > 1 else 0.0
    others = max(0.0, busy_s - found["processor_s"]) / took_s
    return found | {"worker_mb": workers_mb, "largest_mb": max(found["builder_mb"], workers_mb), "others": others}


def _children(pid: int) -> list[int]:
    found = []
    for each in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, each.read_text().split())
    return found


def _peak_mb(pid: int) -> float:
    with open(f"/proc/{pid}/status") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _busy_s() -> float:
    """Seconds that all cores together have worked since the machine started, for whomever."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _wait, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def parts(corpus: Corpus, n: int) -> dict[str, float]:
    """Seconds of each step of a build by one process."""
    with tempfile.TemporaryDirectory(dir=corpus.root) as folder:
        table = Path(folder) / "manifest.parquet"
        manifests.write(corpus.manifest(n), table)
        words = [sys.executable, "-c", _PARTS, table, corpus.root, Path(folder) / "store"]
        printed = subprocess.run(list(map(str, words)), check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict.fromkeys(PARTS, 0.0) | json.loads(printed)


def alone(corpus: Corpus, *, n_processes: int) -> float:
    """Seconds that several processes, which share nothing, take to process all distinct recordings twice each."""
    paths = list(map(str, corpus.distinct("voice"))) * 2
    words = [sys.executable, "-c", _ALONE, *paths]
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    running = [subprocess.Popen(words, **pipes) for _ in range(n_processes)]
    for process in running:
        process.stdout.readline()
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    return max(float(process.communicate()[0]) for process in running)


def bare_ratios(corpus: Corpus, *, n_recordings: int, n_rounds: int) -> list[dict[str, float]]:
    """Processor seconds of the front end, as the store calls it, and of its detector calls and FFTs alone."""
    waves = [sound_files.read(path) for path in corpus.distinct("voice")[:n_recordings]]
    raws = [np.rint(wave * 32_768).astype(np.int16).tobytes() for wave in waves]
    frames = [[raw[at : at + 640] for at in range(0, len(raw) - 640, 640)] for raw in raws]
    rng = np.random.default_rng(0)
    windows = [rng.standard_normal((1 + front_end.voiced(wave).size // 160, 400)) for wave in waves]
    tasks: dict[str, Callable[[], object]] = {
        "front end": lambda: [listening.listen(w, rounded=True) for w in waves],
        "detector calls": lambda: [front_end_alone.detector_only(f) for f in frames],
        "FFTs": lambda: [front_end_alone.fft_only(w) for w in windows],
    }
    for task in tasks.values():
        task()
    return [{name: front_end_alone.seconds(task) for name, task in tasks.items()} for _ in range(n_rounds)]


def detected(corpus: Corpus, n: int) -> str:
    images = [photo_files.read(path) for path in corpus.distinct("face")[:n]]
    n_found = 0
    try:
        with contextlib.suppress(ImageError):
            align.align(images[0])  # loads detector and landmark model
        started = time.perf_counter()
        for image in images:
            with contextlib.suppress(ImageError):
                align.align(image)
                n_found += 1
    except CheckpointError:
        return "Faces without landmarks: not measured, the landmark model is not installed."
    rate = n / (time.perf_counter() - started)
    return (
        f"Faces without landmarks, found with dlib (HOG detector, 68 landmarks), then aligned: {rate:.0f} a second "
        f"and process; {n_found} of {n} found."
    )


def middle(values: list[float], digits: int = 1) -> str:
    """The median, and the range where there are several."""
    low, mid, high = (f"{v:,.{digits}f}" for v in (min(values), statistics.median(values), max(values)))
    return mid if len(values) == 1 else f"{mid} ({low}–{high})"


def print_builds(corpus: Corpus, runs: dict[tuple[int, int], list[dict]], *, sizes: list[int]) -> None:
    print(
        "| recordings + faces | processes | wall s | recordings a second, and as many faces | times real time "
        "| wall ms a file | processor ms a file | peak of builder / worker, MB | cores busy with other work |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for n, n_workers in itertools.product(sizes, COUNTS):
        found = runs[n, n_workers]
        walls = [run["wall_s"] for run in found]
        peaks = [f"{max(run[name] for run in found):,.0f}" for name in ("builder_mb", "worker_mb")]
        print(
            f"| {n:,} + {n:,} | {n_workers} | {middle(walls)} | {n / statistics.median(walls):,.0f} "
            f"| {corpus.seconds(n) / statistics.median(walls):,.0f} "
            f"| {middle([1_000 * w / (2 * n) for w in walls], 2)} "
            f"| {middle([1_000 * run['processor_s'] / (2 * n) for run in found], 2)} "
            f"| {peaks[0]} / {peaks[1] if n_workers > 1 else '–'} | {middle([run['others'] for run in found], 2)} |"
        )


def print_parts(corpus: Corpus, found: list[dict[str, float]], *, n: int) -> None:
    median = {name: statistics.median(run[name] for run in found) for name in PARTS}
    total = sum(median.values())
    print(f"One process, {n:,} recordings and {n:,} faces, wall time (imports not counted):\n")
    print("| step | ms each | share |\n|---|---:|---:|")
    for name, label in PARTS.items():
        each = 1_000 * median[name] / (n if name in ("read", "front_end", "face_read", "face_align") else 2 * n)
        print(f"| {label} | {each:.2f} | {100 * median[name] / total:.1f} % |")
    voice_s, face_s = median["read"] + median["front_end"], median["face_read"] + median["face_align"]
    print(
        f"\nWithout writing: {n / voice_s:,.0f} recordings a second ({corpus.seconds(n) / voice_s:,.0f} times real "
        f"time; the front end alone {corpus.seconds(n) / median['front_end']:,.0f}), {n / face_s:,.0f} faces a second."
    )


def print_verdicts(
    runs: dict[tuple[int, int], list[dict]], bare: list[dict[str, float]], machine: list[float], *, sizes: list[int]
) -> None:
    def verdict(fits: bool) -> str:
        return "within" if fits else "**OUTSIDE**"

    def median(n: int, n_workers: int, name: str) -> float:
        return statistics.median(run[name] for run in runs[n, n_workers])

    low, high = min(sizes), max(sizes)
    print("| question | found | limit | |\n|---|---|---|---|")
    for n_workers in COUNTS:
        wall, processor = (
            median(high, n_workers, name) / high / (median(low, n_workers, name) / low)
            for name in ("wall_s", "processor_s")
        )
        print(
            f"| linear: seconds a file at {high:,} in those at {low:,}, {_processes(n_workers)} "
            f"| {wall:.2f} (of processor {processor:.2f}) | at most {GROWTH_LIMIT} | {verdict(wall <= GROWTH_LIMIT)} |"
        )
    small, large = (max(run["worker_mb"] for run in runs[n, max(COUNTS)]) for n in (low, high))
    print(
        f"| flat: peak of a worker at {high:,} in that at {low:,} | {large / small:.2f} "
        f"({small:,.0f} → {large:,.0f} MB) | at most {GROWTH_LIMIT} | {verdict(large <= GROWTH_LIMIT * small)} |"
    )
    for n_workers in COUNTS:
        if high < N_FITTED:
            continue
        below = max(n for n in sizes if n < high or n == low)
        small, large = (max(run["builder_mb"] for run in runs[n, n_workers]) for n in (below, high))
        mb_a_file = (large - small) / max(1, 2 * (high - below))
        full = large + mb_a_file * (FULL - 2 * high)
        print(
            f"| builder, {_processes(n_workers)}: its manifest grows; from {below:,} to {high:,}, and so with the "
            f"{FULL:,} files of a full corpus | {small:,.0f} → {large:,.0f} MB, {1_000 * mb_a_file:.1f} kB a file, so "
            f"{full:,.0f} MB | {MEMORY_LIMIT_MB:,} MB | {verdict(full <= MEMORY_LIMIT_MB)} |"
        )
    peak = max(run["largest_mb"] for found in runs.values() for run in found)
    print(f"| peak of any process | {peak:,.0f} MB | {MEMORY_LIMIT_MB:,} MB | {verdict(peak <= MEMORY_LIMIT_MB)} |")
    ratios = [run["front end"] / (run["detector calls"] + run["FFTs"]) for run in bare]
    print(
        f"| front end in its detector calls and FFTs alone | {middle(ratios, 2)} "
        f"| at most {front_end_alone.LIMIT} | {verdict(statistics.median(ratios) <= front_end_alone.LIMIT)} |"
    )
    for n in sizes:
        gains = [one["wall_s"] / two["wall_s"] for one, two in zip(runs[n, 1], runs[n, 2], strict=True)]
        gain = median(n, 1, "wall_s") / median(n, 2, "wall_s")
        limit = f"at least {SPEEDUP_LIMIT} | {verdict(gain >= SPEEDUP_LIMIT)}" if n == high else "– | "
        print(f"| two processes against one, {n:,} | {gain:.2f} (rounds {min(gains):.2f}–{max(gains):.2f}) | {limit} |")
    print(f"| two processes that share nothing, against one | {middle(machine, 2)} | – | what the machine gives |")
    others = max(run["others"] for found in runs.values() for run in found)
    if others > OTHERS_LIMIT:
        print(
            f"\n**Other work kept up to {others:.1f} cores busy during these builds:** what is said of linear time and "
            "of two processes holds only on a machine with nothing else to do."
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 5_000, 20_000], help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=2, help="builds of each kind; 2 run as 1, 2, 2, 1 processes")
    parser.add_argument("--quick", action="store_true", help="few files, to see that it runs; its verdicts say little")
    args = parser.parse_args()
    sizes, n_distinct = ([128, 512], 32) if args.quick else (sorted(set(args.sizes)), 200)
    if sizes[0] < 1 or args.rounds < 1:
        parser.error("sizes and rounds are 1 or more")
    n_distinct = min(n_distinct, sizes[0] - sizes[0] % 2 or 2)
    torch.set_num_threads(1)

    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        corpus = generate(Path(folder), n=max(sizes), n_distinct=n_distinct)
        print(
            f"{date.today()}, {_processor()}, {os.cpu_count()} cores, "
            f"load average {os.getloadavg()[0]:.1f} at the start. "
            f"{n_distinct} distinct recordings ({RECORDING_S[0]:g}–{RECORDING_S[1]:g} s, 16-bit wav) and {n_distinct} "
            f"distinct faces ({FACE_PX} px, png, landmarks given); all other files are "
            f"{'hard links to' if corpus.linked else 'links to or copies of'} them, so reading comes from memory. "
            f"Made in {time.perf_counter() - started:.0f} s.\n",
            flush=True,
        )
        runs: dict[tuple[int, int], list[dict]] = {(n, c): [] for n in sizes for c in COUNTS}
        found, machine = [], []
        for number in range(args.rounds):
            order = COUNTS if number % 2 == 0 else COUNTS[::-1]
            for n, n_workers in itertools.product(sizes, order):
                runs[n, n_workers].append(measure(corpus, n, n_workers=n_workers))
            found.append(parts(corpus, sizes[0]))
            once = {n: alone(corpus, n_processes=n) for n in order}
            machine.append(2 * once[1] / once[2])
        bare = bare_ratios(corpus, n_recordings=min(40, n_distinct), n_rounds=5 if args.quick else 15)
        print_builds(corpus, runs, sizes=sizes)
        print(
            "\nMedian (range); a file is a recording or a face. Wall time includes the start of workers. "
            "Other work on the cores makes times longer and two processes' gain smaller.\n"
        )
        print_parts(corpus, found, n=sizes[0])
        print(f"\n{detected(corpus, min(40, n_distinct))}\n")
        print_verdicts(runs, bare, machine, sizes=sizes)
        print(f"\nLoad average {os.getloadavg()[0]:.1f} at the end; {time.perf_counter() - started:.0f} s in all.")


def _processes(n: int) -> str:
    return f"{n} process" if n == 1 else f"{n} processes"


def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
