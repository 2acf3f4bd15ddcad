"""How long the faces of a voice take once a variant is loaded: listening, embedding, drawing codes, drawing faces.

Usage: python benchmarks/drawing.py [--run runs/demo/s0/general] [--faces 16] [--seconds 10] [--rounds 15]
Prints the parts and the whole, sixteen faces and one, in turn over a synthetic recording that is heard anew each time.
Nothing is done where there is no trained variant.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import s2f
from s2f.corpora.synthetic.population import sample
from s2f.corpora.synthetic.voices import synthesise
from s2f.features import front_end, listening
from s2f.networks import inference

LIMIT_MS = 100  # for sixteen faces of 10 s
ROOT = Path(__file__).resolve().parents[1]


def milliseconds(tasks: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Wall time of each task, the tasks in turn, after one round that warms up."""
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(rounds + 1):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if turn:
                found[name].append(1000 * (time.perf_counter() - start))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, default=ROOT / "runs" / "demo" / "s0" / "general", help="a trained variant")
    parser.add_argument("--faces", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0, help="of the recording")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if not (args.run / inference.CHECKPOINT).is_file():
        print(f"Skipped: no trained variant in {args.run}. Make it (make book), or name another with --run.")
        return
    torch.set_num_threads(args.threads)
    model = s2f.load(args.run)
    sound = recording(args.seconds)
    features, _ = model.hear(sound)
    embedding = torch.from_numpy(model.embed(features))[None]
    tasks: dict[str, Callable[[], object]] = {
        "listening: is there a voice, log-mel": lambda: listening.listen(sound),
        "voice embedding": lambda: model.embed(features),
        f"{args.faces} faces of an embedding": lambda: model.draws(embedding, args.faces),
        f"all: {args.faces} faces of the recording": lambda: model.draw(sound, n=args.faces),
        "all: one draw of the recording": lambda: model.draw(sound, n=1),
        "all: the most typical draw": lambda: model.reconstruct(sound),
    }
    found = milliseconds(tasks, args.rounds)
    seconds = len(sound) / front_end.SAMPLE_RATE
    print(f"{model.name}, {seconds:.1f} s, {args.threads} threads, {args.rounds} rounds\n")
    print("| | ms, median (range) |\n|---|---:|")
    for name, values in found.items():
        print(f"| {name} | {statistics.median(values):.0f} ({min(values):.0f}–{max(values):.0f}) |")
    whole = statistics.median(found[f"all: {args.faces} faces of the recording"])
    print(f"\n{'within' if whole <= LIMIT_MS else 'OUTSIDE'} the aim of {LIMIT_MS} ms for sixteen faces of 10 s.")


def recording(seconds: float) -> np.ndarray:
    """A synthetic voice, float32 [n_samples] at 16 kHz."""
    rng = np.random.default_rng(0)
    return synthesise(sample(2, seed=0).iloc[0], duration_s=seconds, rng=rng, channel_rng=rng)


if __name__ == "__main__":
    main()
