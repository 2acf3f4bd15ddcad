"""Speed of the synthetic corpus: voices, the front end that reads them, and photographs beside those of another commit.

Usage: python benchmarks/corpus.py [--seconds 8] [--people 12] [--photos 4] [--rounds 5] [--against b0c5c71]
Each renderer runs in processes of its own, one thread each, in turn with the other, so that other work on the machine
meets both, each going first every other time. A minute, and longer for a slower renderer. Without the other commit,
as in an unpacked archive, only voices are timed.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from parts import renderers

from s2f.corpora.synthetic import population, voices
from s2f.features import front_end

HERE = "the checkout"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="length of a recording")
    parser.add_argument("--people", type=int, default=12, help="how many people speak and are photographed")
    parser.add_argument("--photos", type=int, default=4, help="photographs of each")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each renderer, in turn")
    parser.add_argument("--against", default="b0c5c71", help="the other commit")
    args = parser.parse_args()
    torch.set_num_threads(1)
    people = population.sample(args.people, seed=0).to_dict("records")

    def speak(person):
        rng, channel_rng = np.random.default_rng(0), np.random.default_rng(1)
        return voices.synthesise(person, duration_s=args.seconds, rng=rng, channel_rng=channel_rng)

    waves = [speak(person) for person in people]
    print("| one core | times real time |\n|---|---:|")
    for name, function, items in (("voices", speak, people), ("front end on them", front_end.features, waves)):
        print(f"| {name}, {args.seconds:g} s each | {_per_second(function, items) * args.seconds:,.0f} |")

    sitting = renderers.Sitting(args.people, 0, tuple(range(args.people)), args.photos)
    if not renderers.has(args.against):
        print(f"\nSkipped: the renderer beside it, since commit {args.against} is not in this copy of the project.")
        return
    with renderers.checkout(args.against) as root:
        places = {HERE: renderers.PROJECT, args.against: root}
        runs: dict[str, list[dict]] = {name: [] for name in places}
        for number in range(args.rounds):
            for name in sorted(places, reverse=number % 2 == 1):
                runs[name].append(renderers.photograph(places[name], sitting))
        pairs = {name: renderers.photograph(place, sitting, n_workers=2) for name, place in places.items()}
    print("\n| renderer, 128 px | photographs a second, median (range) | peak, MB | two runs | 1 and 2 workers |")
    print("|---|---:|---:|---|---|")
    rates = {name: np.array([run["n"] / run["seconds"] for run in made]) for name, made in runs.items()}
    for name, made in runs.items():
        digests, peak = {run["sha256"] for run in made}, max(run["mb"] for run in [*made, pairs[name]])
        words = [_same(len(digests) == 1), _same(pairs[name]["sha256"] in digests)]
        print(f"| {name} | {_spread(rates[name], 1)} | {peak:,.0f} | {' | '.join(words)} |")
    print(f"\nThe checkout takes {_spread(rates[args.against] / rates[HERE], 2)} times as long, {args.rounds} rounds.")


def _same(same: bool) -> str:
    return "the same bytes" if same else "OTHER BYTES"


def _spread(values: np.ndarray, digits: int) -> str:
    return f"{np.median(values):.{digits}f} ({values.min():.{digits}f}–{values.max():.{digits}f})"


def _per_second(function, items) -> float:
    """Calls in a second of processor time, the first (which warms up) not counted."""
    function(items[0])
    start = time.process_time()
    for item in items:
        function(item)
    return len(items) / (time.process_time() - start)


if __name__ == "__main__":
    main()
