"""Speed of the synthetic corpus on one core: voices and faces, and the front end that reads the voices.

Usage: python benchmarks/corpus.py [--seconds 8] [--people 12]
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import torch

from s2f.corpora.synthetic import camera, population, voices
from s2f.features import front_end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="length of a recording")
    parser.add_argument("--people", type=int, default=12, help="how many people speak and are drawn")
    args = parser.parse_args()
    torch.set_num_threads(1)
    people = population.sample(args.people, seed=0).to_dict("records")

    def speak(person):
        rng, channel_rng = np.random.default_rng(0), np.random.default_rng(1)
        return voices.synthesise(person, duration_s=args.seconds, rng=rng, channel_rng=channel_rng)

    waves = [speak(person) for person in people]
    rows = [
        (f"voices, {args.seconds:g} s each", _per_second(speak, people) * args.seconds, "times real time"),
        ("front end on them", _per_second(front_end.features, waves) * args.seconds, "times real time"),
    ]
    for size_px in (112, 128):
        rate = _per_second(
            lambda p, size=size_px: camera.render(p, n=4, rng=np.random.default_rng(0), size_px=size),
            people[: max(2, args.people // 4)],
        )
        rows.append((f"faces, {size_px} px", 4 * rate, "a second"))
    print(f"| {'one core':<24} | {'speed':>8} | {'unit':<15} |\n| {'-' * 24} | {'-' * 7}: | {'-' * 15} |")
    for name, value, unit in rows:
        print(f"| {name:<24} | {value:>8.1f} | {unit:<15} |")
    print(f"\nPeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB.")


def _per_second(function, items) -> float:
    """Calls in a second of processor time, the first (which warms up) not counted."""
    function(items[0])
    start = time.process_time()
    for item in items:
        function(item)
    return len(items) / (time.process_time() - start)


if __name__ == "__main__":
    main()
