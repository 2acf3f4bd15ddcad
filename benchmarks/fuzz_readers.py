"""Changed bytes against the readers of sound, images and tables: python benchmarks/fuzz_readers.py

Files of every kind are generated and changed in the ways of `parts/mutations.py`, the same for one seed. Each must give
data or an error of this library that names the file, in 10 seconds and in bounded memory; a change that leaves the
samples, pixels or cells alone must be read as if it were not there. What is read of the others is compared with what
another decoder makes of it, where there is one, in a process of its own. Exit status 1 where anything fails.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import itertools
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from parts import mutations, witnesses

LIMIT_S, START_S = 10.0, 120.0  # for one file, and for a process to begin
DATA_BYTES = 3 << 30  # that a reading process may hold; what it holds before it reads anything is most of a gigabyte
GROWTH_MB = 400  # that one file may add to it
BATCH = 250
ROOT = Path(__file__).resolve().parents[1]

Reader = Callable[[Path], tuple[np.ndarray, list[str]]]


@dataclass
class Case:
    """A changed file, and what became of it; each of `said` is an outcome of `_read`."""

    family: str
    kind: str
    mutation: str
    harmless: bool
    path: Path
    said: dict[str, dict] = field(default_factory=dict)
    verdict: str = ""


def main() -> int:
    """Run it, print the tables, and say what failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=2_000, help="changed sound files, and as many images and tables")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--against", type=Path, help="another checkout, whose readers get the same files")
    parser.add_argument("--keep", type=Path, help="folder for the files that fail")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return _child(*arguments.child)
    started = time.monotonic()
    checkouts = {"here": ROOT} | ({"there": arguments.against.resolve()} if arguments.against else {})
    originals: dict[tuple[str, str], dict] = {}
    faults: list[tuple[Case, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        cases = list(_cases(arguments, Path(folder)))
        for at in range(0, len(cases), BATCH):
            batch = cases[at : at + BATCH]
            _run(batch, checkouts)
            originals |= {(c.family, c.kind): c.said["here"] for c in batch if c.mutation == "as it is"}
            found = [(case, fault) for case in batch if (fault := _fault(case, originals))]
            for case, _ in found if arguments.keep else []:
                mutations.write(arguments.keep, case.path.name, case.path.read_bytes())
            faults += found
            _remove(batch)
            print(f"{min(at + BATCH, len(cases))} of {len(cases)} files", file=sys.stderr)
    _print_tables(cases, against=bool(arguments.against))
    if arguments.against:
        _print_refused(cases)
    for case, fault in faults:
        print(f"FAULT {case.path.name}: {case.mutation} of {case.kind}: {fault}")
    print(f"\n{len(cases)} files, seed {arguments.seed}, {time.monotonic() - started:.0f} s, {len(faults)} faults.")
    return 1 if faults else 0


# ------------------------------------------------------------------------------------------------ cases


def _cases(arguments: argparse.Namespace, folder: Path) -> Iterator[Case]:
    """The originals and then the changed files, whose bytes `_content` gives."""
    shares = {"sound": arguments.n, "image": -(-2 * arguments.n // 3), "table": arguments.n // 3}
    for family, n in shares.items():
        make, ways = mutations.FAMILIES[family]
        originals = make()
        for kind, content in originals.items():
            yield _written(folder, family, kind, None, content, name=f"{family}-original-{len(kind)}")
        fitting = [(kind, way) for kind in originals for way in ways if way.fits(kind)]
        order = np.random.default_rng((arguments.seed, len(family))).permutation(len(fitting))
        for i in range(n):
            kind, way = fitting[order[i % len(fitting)]]
            rng = np.random.default_rng((arguments.seed, len(family), i))
            yield _written(folder, family, kind, way, way.change(rng, originals[kind]), name=f"{family}-{i}")


def _written(folder: Path, family: str, kind: str, way, content: bytes, *, name: str) -> Case:
    slug = "".join(letter if letter.isalnum() else "_" for letter in kind)
    path = mutations.write(folder, f"{name}-{slug}{mutations.suffix(family, kind)}", content)
    return Case(family, kind, way.name if way else "as it is", bool(way and way.harmless), path)


# ------------------------------------------------------------------------------------------------ processes


def _run(cases: list[Case], checkouts: dict[str, Path]) -> None:
    for name in reversed(checkouts):  # what is read here stays for the witnesses
        for case, said in zip(cases, _in_children(cases, "read", checkouts[name]), strict=True):
            case.said[name] = said
    read = [case for case in cases if case.said["here"].get("accepted")]
    for case, said in zip(read, _in_children(read, "judge", ROOT) if read else [], strict=True):
        case.verdict = said.get("verdict", "")


def _remove(cases: list[Case]) -> None:
    for case in cases:
        case.path.unlink()
        Path(f"{case.path}.npy").unlink(missing_ok=True)


def _in_children(cases: list[Case], job: str, checkout: Path) -> list[dict]:
    """What a process, watched, says of each case; a new one goes on after a file that ended or hung the last."""
    outcomes: list[dict] = []
    while len(outcomes) < len(cases):
        listed = Path(f"{cases[0].path}.list")
        todo = [[case.family, case.kind, str(case.path)] for case in cases[len(outcomes) :]]
        listed.write_text(json.dumps(todo), encoding="utf-8")
        words = [sys.executable, __file__, "--child", job, str(listed)]
        environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as child:
            assert child.stdout is not None
            for wait in itertools.chain([START_S], itertools.repeat(LIMIT_S, len(todo))):
                ready, _, _ = select.select([child.stdout], [], [], wait)
                line = child.stdout.readline() if ready else b""
                if not line:
                    child.kill()
                    status = child.wait()
                    if wait == START_S:
                        raise SystemExit(f"the process that should {job} with {checkout} did not begin: {status}")
                    ended = f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
                    outcomes.append({"fault": ended if ready else f"took over {LIMIT_S:g} s"})
                    break
                if wait != START_S:
                    outcomes.append(json.loads(line))
        listed.unlink()
    return outcomes


def _child(job: str, listed: str) -> int:
    """Read or judge the files of a list; the first line says that it has begun, each other is about one file."""
    resource.setrlimit(resource.RLIMIT_DATA, (DATA_BYTES, DATA_BYTES))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    todo = json.loads(Path(listed).read_text(encoding="utf-8"))
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # decoders print
    warnings.simplefilter("ignore")
    readers = _readers()
    importlib.import_module("torchaudio")  # so that no file is blamed for it
    print("begun", file=out, flush=True)
    for family, kind, path in todo:
        if job == "read":
            said = _read(readers.get(kind, readers[family]), Path(path))
        else:
            said = {"verdict": witnesses.verdict(family, kind, Path(path))}
        print(json.dumps(said), file=out, flush=True)
    return 0


def _readers() -> dict[str, Reader]:
    """By family or kind, what reads a file, and what there is to say about it."""
    from s2f.corpora import pairs_table, voxceleb

    if not Path(pairs_table.__file__).parents[1].joinpath("features").is_dir():  # the library before it had rooms
        from s2f import audio, faces

        silent: dict[str, Callable[[Path], np.ndarray]] = {
            "sound": audio.read,
            "npy": audio.read_features,
            "image": faces.read,
        }
    else:
        from s2f.features import photo_files, sound_files

        silent = {"npy": sound_files.read_features, "image": photo_files.read}

    def sound(path: Path) -> tuple[np.ndarray, list[str]]:
        remarks: list[str] = []
        return sound_files.read(path, remarks=remarks), remarks

    def table(path: Path) -> tuple[np.ndarray, list[str]]:
        found, rejected, _ = pairs_table.scan(path)
        base = str(path.parent)
        rows = found.assign(path=found["path"].str.removeprefix(base + os.sep)).astype(str)
        return rows.to_numpy(str), [str(len(rejected))]

    def said_nothing(read: Callable[[Path], np.ndarray]) -> Reader:
        return lambda path: (read(path), [])

    readers = {name: said_nothing(read) for name, read in silent.items()}
    readers |= {"table": table, "metadata": lambda path: (voxceleb.read_meta(path).astype(str).to_numpy(str), [])}
    return {"sound": sound} | readers


def _read(reader: Reader, path: Path) -> dict[str, Any]:
    """What becomes of a file: accepted, with a hash of what was read, refused, or a fault."""
    from s2f.errors import S2FError

    started, before = time.monotonic(), _peak_mb()
    try:
        value, remarks = reader(path)
    except S2FError as error:
        said: dict[str, Any] = {"accepted": False, "reason": error.reason}
        if str(path) not in str(error):
            said["fault"] = f"an error that does not name the file: {error}"
    except (Exception, MemoryError) as error:
        said = {"fault": f"{type(error).__name__}: {error}"}
    else:
        np.save(f"{path}.npy", value)
        digest = hashlib.sha256(repr((value.shape, value.dtype)).encode() + value.tobytes()).hexdigest()
        said = {"accepted": True, "digest": digest, "n": len(value), "remarks": remarks}
        if (
            value.dtype == np.float32
            and value.ndim == 1
            and not (np.abs(value).max(initial=2.0 * (not value.size)) <= 1)
        ):
            said["fault"] = "samples that are none"
    said |= {"s": time.monotonic() - started, "mb": _peak_mb() - before}
    return said


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# ------------------------------------------------------------------------------------------------ report


def _fault(case: Case, originals: dict[tuple[str, str], dict]) -> str:
    """What is wrong with what became of a file; "" where nothing is."""
    said, original = case.said["here"], originals[case.family, case.kind]
    if "fault" in said:
        return said["fault"]
    if said["mb"] > GROWTH_MB:
        return f"took {said['mb']:.0f} MB"
    if case.harmless or case.mutation == "as it is":
        if not said["accepted"]:
            return f"is refused, with reason {said['reason']}"
        if said["digest"] != original.get("digest"):
            return f"is read otherwise: {said['n']} values for {original.get('n')}"
    changed = said.get("digest") != original.get("digest")  # otherwise the other decoder is misled
    if case.verdict.startswith("differs") and changed and not said["remarks"]:
        return f"is read without a remark, and {case.verdict}"
    return ""


def _print_tables(cases: list[Case], *, against: bool) -> None:
    for title, key in (("change", lambda case: case.mutation), ("kind", lambda case: case.kind)):
        for family in mutations.FAMILIES:
            groups: dict[str, list[Case]] = defaultdict(list)
            for case in cases:
                if case.family == family and case.mutation != "as it is":
                    groups[key(case)].append(case)
            columns = ["files", "read", *(["read there"] if against else []), "the same", "in part", "other", "s"]
            print(f"\n| {family}: {title} | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns))
            for name, group in groups.items():
                cells = [
                    str(len(group)),
                    *(_share(group, where) for where in ("here", "there") if where in group[0].said),
                ]
                for word in ("agrees", "in part", "differs"):
                    cells.append(str(sum(case.verdict.startswith(word) for case in group)))
                cells.append(f"{max(case.said['here'].get('s', LIMIT_S) for case in group):.1f}")
                print(f"| {name} | " + " | ".join(cells) + " |")


def _print_refused(cases: list[Case]) -> None:
    """What is read there and refused here."""
    refused = [c for c in cases if c.said["there"].get("accepted") and not c.said["here"].get("accepted")]
    groups = Counter((c.family, c.mutation, c.said["here"].get("reason", "fault")) for c in refused)
    kinds: dict[tuple, Counter] = defaultdict(Counter)
    for c in refused:
        kinds[c.family, c.mutation, c.said["here"].get("reason", "fault")][c.kind] += 1
    print("\n| read there, refused here | as | files | of kinds |\n|---|---|---:|---|")
    for (family, mutation, reason), n in sorted(groups.items()):
        named = ", ".join(f"{kind} {k}" for kind, k in kinds[family, mutation, reason].most_common())
        print(f"| {family}: {mutation} | {reason} | {n} | {named} |")


def _share(group: list[Case], where: str) -> str:
    return f"{100 * np.mean([bool(case.said[where].get('accepted')) for case in group]):.0f} %"


if __name__ == "__main__":
    sys.exit(main())
