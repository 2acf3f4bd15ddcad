"""What `make` deletes."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_distclean_deletes_made_corpora_and_keeps_other_data(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    kept = [tmp_path / "data" / "pairs.csv", tmp_path / "data" / "voxceleb" / "a.wav"]
    made = [tmp_path / "data" / "synthetic-smoke" / "facts.csv", tmp_path / "runs" / "smoke" / "a.json"]
    for path in kept + made:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    subprocess.run(["make", "-C", str(tmp_path), "distclean"], check=True, capture_output=True)
    assert all(path.is_file() for path in kept)
    assert not any(path.parent.exists() for path in made)
