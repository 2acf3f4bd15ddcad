"""What made a result: packages, commit, device, seed, threads, wall time and peak memory."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

PACKAGES = ("s2f", "numpy", "pandas", "torch", "torchaudio", "torchmetrics", "webrtcvad-wheels", "dlib-bin",
            "onnxruntime", "papermill", "snakemake", "jupyter-book")  # fmt: skip


def collect(*, root: Path, device: str, seed: int, n_threads: int, started: float) -> dict:
    """Facts about this process as plain values.

    Parameters
    ----------
    root : Path
        Folder of the project, for its commit.
    device : str
        Device that the work ran on.
    started : float
        `time.time()` when the work began.
    """
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux KiB
    return {
        "packages": {"python": platform.python_version()} | _versions(),
        "commit": _commit(root),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "device": device,
        "seed": seed,
        "threads": n_threads,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "wall_time_s": round(time.time() - started, 1),
        "peak_memory_mb": round(max(own, children) / unit, 1),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # a bare GPU machine has only some of them
    return found


def _commit(root: Path) -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout

    try:
        commit = git("rev-parse", "--short=12", "HEAD").strip()
        return commit + ("+changes" if git("status", "--porcelain", "--untracked-files=no").strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # an unpacked archive, or no git
