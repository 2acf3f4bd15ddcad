"""How far photographs of drawn heads are from real ones, as networks trained on real faces see them.

Usage: python benchmarks/heads.py [--people 86] [--photos 6] [--seed 0] [--against b0c5c71] [--real ../shared/real]
       python benchmarks/heads.py --people 40 --photos 3 --skip-kid     # under a minute
Renders the demo's test people (and, where more are asked for, others of its people) with the code of the checkout and
with that of another commit, and reads them beside real photographs: the packaged networks at 64×64, dlib's detector at
their own size, Inception for KID and FID. One core, three minutes, and two for another commit; without real photographs
their row, KID and FID are left out.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from parts import renderers

from s2f import seeding
from s2f.corpora import splits, voxceleb
from s2f.corpora.synthetic import population
from s2f.errors import ImageError
from s2f.evaluation import face_readers
from s2f.features import align, landmarks, photo_files
from s2f.metrics import bootstrap, frechet, pairs, standins
from s2f.study import params

N_KID = 200  # photographs on each side
COLUMNS = ("photographs", "gender right", "equal error rate within sex", "face found", "KID × 1000", "FID")


def sitting(*, n_people: int, n_photos: int, seed: int) -> renderers.Sitting:
    """As many women as men of the demo, those of its test split first."""
    demo = params.resolve("demo", root=renderers.PROJECT)
    who = population.sample(demo.corpus.n_identities, seed=seed)[["identity", "gender"]].assign(split=None)
    fractions = {name: getattr(demo.split, name) for name in ("train", "validation", "test")}
    who = splits.split(who, rule="by_fraction", fractions=fractions, seed=seed)
    order = who.assign(later=who["split"] != "test").sort_values("later", kind="stable")
    numbers = order.groupby("gender").head(n_people // 2).index
    return renderers.Sitting(len(who), seed, tuple(map(int, sorted(numbers))), n_photos)


def drawn(file: Path) -> dict:
    """Photographs that `renderers.photograph` wrote, aligned by the landmarks they come with, as the store does."""
    with np.load(file) as made:
        parts = {name: made[name] for name in made.files}
    faces, kept = [], []
    for k, (photo, points) in enumerate(zip(parts["photos"], parts["landmarks"], strict=True)):
        try:
            faces.append(align.align(photo, points, name=f"{parts['identity'][k]}, photograph {k}"))
            kept.append(k)
        except ImageError as error:
            print(f"Left out: {error}")
    of_kept = {name: parts[name][kept] for name in ("identity", "gender")}
    found = [_found(photo) is not None for photo in parts["photos"]]
    return of_kept | {"faces": np.stack(faces), "sources": None, "found": np.array(found)}


def real(folder: Path) -> dict:
    """Real photographs, aligned by the landmarks that are found in them, as the store does."""
    manifest = voxceleb.scan(**voxceleb.places(folder, kind="voxceleb")).manifest
    photos = manifest[manifest["modality"] == "face"].reset_index(drop=True)
    images = [photo_files.read(path) for path in photos["path"]]
    points = [_found(image) for image in images]
    found = np.array([marks is not None for marks in points])
    faces = [align.align(image, marks) for image, marks in zip(images, points, strict=True) if marks is not None]
    of_found = {name: photos.loc[found, name].to_numpy(str) for name in ("identity", "gender")}
    return of_found | {
        "faces": np.stack(faces),
        "sources": photos.loc[found, "source_id"].to_numpy(str),
        "found": found,
    }


def _found(photo: np.ndarray) -> np.ndarray | None:
    try:
        return landmarks.detect(photo)
    except ImageError as error:
        if error.reason not in ("no_face", "landmarks"):  # nowhere, or nowhere that two detectors agree on
            raise
        return None


def cells(photos: dict, reader: face_readers.Packaged, *, n_resamples: int = 300) -> list[str]:
    """What the packaged networks and the detector make of photographs: the columns before KID."""
    names, codes = np.unique(photos["identity"], return_inverse=True)
    female = photos["gender"] == "f"
    right = (reader.gender(photos["faces"]) > 0.5) == female
    means = pairs.by_identity(right.astype(float), codes, n_identities=len(names))
    gender = bootstrap.interval(bootstrap.mean(means), len(names), rng=seeding.stream(0, "bootstrap"))
    vectors = reader.embed(photos["faces"])
    same, first, second = _pairs(vectors, codes, female, photos["sources"])

    def error_rate(counts: np.ndarray) -> np.ndarray:
        return np.array([_equal(same, np.where(same, c[first], c[first] * c[second])) for c in counts])

    rate = bootstrap.interval(error_rate, len(names), rng=seeding.stream(0, "bootstrap"), n_resamples=n_resamples)
    counts = f"{same.sum():,} and {(~same).sum():,} pairs"
    found = photos["found"]
    return [
        f"{len(codes)} of {len(names)} people",
        _percent(gender),
        f"{_percent(rate)}, {counts}",
        f"{100 * found.mean():.1f} % of {len(found)}",
    ]


def _percent(estimate: bootstrap.Estimate) -> str:
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def _pairs(
    vectors: np.ndarray, codes: np.ndarray, female: np.ndarray, sources: np.ndarray | None
) -> tuple[np.ndarray, ...]:
    """Pairs of photographs of one person (from two videos, where those are known), and of two people of one sex.

    Sorted by cosine: whether they are of one person, and whose either is.
    """
    left, right = np.triu_indices(len(vectors), 1)
    same = codes[left] == codes[right]
    keep = np.where(same, True if sources is None else sources[left] != sources[right], female[left] == female[right])
    left, right, same = (part[keep] for part in (left, right, same))
    scores = np.einsum("nd,nd->n", vectors[left], vectors[right])
    order = np.argsort(scores, kind="stable")
    return same[order], codes[left][order], codes[right][order]


def _equal(same: np.ndarray, weights: np.ndarray) -> float:
    """Equal error rate of weighted pairs in the order of their scores."""
    genuine, impostor = weights * same, weights * ~same
    if not genuine.any() or not impostor.any():
        return float("nan")
    reject = (np.cumsum(genuine) - genuine) / genuine.sum()
    accept = 1 - (np.cumsum(impostor) - impostor) / impostor.sum()
    at = int(np.argmin(np.abs(accept - reject)))
    return float((accept[at] + reject[at]) / 2)


def chosen(*parts: np.ndarray) -> tuple[np.ndarray, ...]:
    """A seeded list of at most `N_KID` rows of arrays of one length."""
    rows = np.sort(seeding.stream(0, "subsets").permutation(len(parts[0]))[:N_KID])
    return tuple(part[rows] for part in parts)


def distances(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> list[str]:
    """KID and FID of two sets of Inception features with the people they are of."""
    names = np.unique(np.concatenate([one[1], other[1]]))
    codes = [np.searchsorted(names, who) for who in (one[1], other[1])]
    kid = frechet.kid(one[0], codes[0], other[0], codes[1], n_identities=len(names))
    value, n = float(kid(np.ones((1, len(names))))[0]), f"{len(one[0])} and {len(other[0])}"
    return [f"{1000 * value:.1f} at n {n}", f"{frechet.fid(one[0], other[0]):.1f} at n {n}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    usual = os.environ.get("S2F_REAL", renderers.PROJECT.parent / "shared" / "real")
    parser.add_argument("--people", type=int, default=86, help="people, half of each sex")
    parser.add_argument("--photos", type=int, default=6, help="photographs of each")
    parser.add_argument("--seed", type=int, default=0, help="of people and photographs")
    parser.add_argument("--against", default=None, help="another commit, such as b0c5c71")
    parser.add_argument("--real", type=Path, default=Path(usual), help="folder of the real recordings and faces")
    parser.add_argument("--skip-kid", action="store_true", help="leave KID and FID out, which take most of the time")
    parser.add_argument("--skip-real", action="store_true", help="leave the row of real photographs out")
    args = parser.parse_args()
    torch.set_num_threads(1)
    asked = sitting(n_people=args.people, n_photos=args.photos, seed=args.seed)
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "photographs.npz")
        renderers.photograph(renderers.PROJECT, asked, out=file)
        rows["the checkout"] = drawn(file)
        if args.against:
            with renderers.checkout(args.against) as root:
                renderers.photograph(root, asked, out=file)
                rows[args.against] = drawn(file)
    has_real = (args.real / "vggface").is_dir()
    if not has_real:
        print(f"No real photographs in {args.real}: no row of them, no KID and no FID. Name their folder with --real.")
    photographs = real(args.real) if has_real and not (args.skip_real and args.skip_kid) else None
    reader = face_readers.Packaged()
    table = {name: cells(photos, reader) for name, photos in rows.items()}
    if photographs is not None and not args.skip_real:
        table["real photographs"] = cells(photographs, reader)
    if photographs is not None and not args.skip_kid:
        inception = face_readers.Inception()
        seen = inception.features(photographs["faces"])
        reference = chosen(seen, photographs["identity"])
        for name, photos in rows.items():
            faces, identity = chosen(photos["faces"], photos["identity"])
            table[name] += distances((inception.features(faces), identity), reference)
        if not args.skip_real:  # of real photographs from others of the same people
            whole = standins.FaceSet(photographs["identity"], inception=seen, sources=photographs["sources"])
            halves = standins.halves(whole, rng=seeding.stream(0, "subsets"))
            table["real photographs"] += distances(*((h.part("inception"), h.identities) for h in halves))
    print(f"\n| renderer, seed {args.seed} | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
    for name, row in table.items():
        print(f"| {name} | {' | '.join(row + ['–'] * (len(COLUMNS) - len(row)))} |")


if __name__ == "__main__":
    main()
