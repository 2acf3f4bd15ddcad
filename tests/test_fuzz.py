"""A few changed files of every family against the readers; the long run is `benchmarks/fuzz_readers.py`."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(checkout, n):
    words = [sys.executable, str(checkout / "benchmarks" / "fuzz_readers.py"), "--n", str(n), "--seed", "7"]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_changed_files_are_read_or_named():
    done = run(ROOT, 36)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "files, seed 7" in done.stdout and ", 0 faults." in done.stdout


def test_the_run_can_fail(tmp_path):
    """Damaged photographs escape from a reader that is broken for this."""
    for name in ("s2f", "benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    reader = tmp_path / "s2f" / "features" / "photo_files.py"
    text = reader.read_text(encoding="utf-8")
    assert "except _DAMAGED as error" in text
    reader.write_text(text.replace("except _DAMAGED as error", "except AssertionError as error"), encoding="utf-8")
    done = run(tmp_path, 12)
    assert done.returncode == 1 and "FAULT image" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
