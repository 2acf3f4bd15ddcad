"""Samplers and face codes with other settings, trained on a finished run's people and compared on people made for it.

Usage: python benchmarks/samplers.py --profile demo --try sampler.noise=1.25 sampler.noise=1.75,sampler.n_axes=8
       python benchmarks/samplers.py --faces --try code.discriminator_width=0.25 --code-seeds 0 1
The people come from the synthetic population, as the known answer's do, from a seed of their own (`--offset`): neither
a training nor a test person is looked at, so that settings can be chosen by this table. A row trains a sampler, and
a face code where it sets something of one; voice network and readers are the run's. `--faces` also compares draws with
the people's photographs as sets, in Inception's features. Differences are paired by people, from the run's own sampler.
Nothing is done where there is no finished run. Two cores, two minutes and 90 s a row at the demo's size; a face code
takes three to ten minutes more, `--faces` one or two.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import time

import numpy as np
import torch

from s2f import seeding
from s2f.errors import RunError
from s2f.evaluation import attributes, draws, face_readers, known_answer, metrics
from s2f.evaluation.attributes import Read
from s2f.evaluation.subject import Subject
from s2f.features.store import Store
from s2f.metrics import bootstrap, copies, energy, frechet, manifolds, matching, standins
from s2f.networks import codes, inference
from s2f.networks.codes import FaceCode, Sampler
from s2f.networks.readers import Readers
from s2f.settings import Code, Settings
from s2f.study import params, runs
from s2f.training import autoencoder, data, face_code, loop, sampler

HEADINGS = (
    "s",
    "sex right (%)",
    "within sex (%)",
    "women; men (%)",
    "the mean minus the linear map (points)",
    "energy score",
    "that minus the first row's",
    "any voice of the sex minus own",
    "another voice of the sex minus own",
    "near to training photographs (ratio)",
    "near to photographs of others of these people (ratio)",
    "KID × 1000",
    "FID",
    "precision; recall (%)",
)


class Bench:
    """A run, and people that it has never seen: one recording of each, and all their photographs."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        arguments.variant, arguments.overrides = "general", [*arguments.overrides, f"answer.offset={arguments.offset}"]
        self.study = study = runs.open_asked("09_known_answer", arguments).of("general")
        self.n_draws, self.n_threads = arguments.draws, arguments.threads
        self.store, self.voice = Store.open(study.read("store")), study.read("voice")
        self.model, self.code = inference.load(study.read("model")), codes.load(study.read("code"))
        self.inception = face_readers.Inception() if arguments.faces else None
        self.readers = Readers.load(study.read("measure"))
        self.read = functools.partial(attributes.read, self.readers)
        answer = study.params.answer
        people, found, root = known_answer.people_for(
            study,
            leak=0.0,
            prefix="v",
            n=arguments.people,
            n_recordings=answer.n_recordings,
            n_photos=max(2, answer.n_photos),  # one of them stands for another photograph
            size_px=study.params.corpus.size_px,
        )
        self.names, self.genders = people["identity"].to_numpy(str), people["gender"].to_numpy(object)
        photographs = found.photos()
        self.faces, self.photo_codes = np.asarray(found.faces), np.searchsorted(self.names, photographs["identity"])
        self.seen = self.read(self.faces)
        self.photos = self.seen.embeddings
        self.first = np.unique(self.photo_codes, return_index=True)[1]  # a photograph of each person
        self.features = None if self.inception is None else self.inception.features(self.faces[self.first])
        vectors = known_answer.embeddings(study, self.model, found, root)
        first = found.voices().reset_index(names="at").drop_duplicates("identity").set_index("identity")["at"]
        self.voices = torch.from_numpy(vectors[first.loc[self.names].to_numpy()])
        training = data.select(self.store, split="train")
        self.pairs = data.pairs(self.store, self.voice, training, device="cpu")
        self.learned = self.readers.embed(np.asarray(self.store.faces[training.photos["row"].to_numpy()]))
        self.near, self.near_others = self._distances(self.photos, self.photo_codes)
        self.first_scores: np.ndarray | None = None
        subject = Subject(self.model, self.store, self.voice, data.select(self.store, split="validation"), self.readers)
        self.map = self._wins(metrics.probe(subject, self.voices.numpy()))

    @property
    def n(self) -> int:
        """How many people there are."""
        return len(self.names)

    def learn(self, settings: Code, *, seed: int) -> FaceCode:
        """A face code of General's training photographs."""
        trainer = autoencoder.Trainer(self.pairs, settings=settings, setup=self._setup(seed))
        for _ in range(settings.steps):
            trainer.iterate()
        return trainer.kept().cpu()

    def train(self, code: FaceCode, settings: Settings, *, seed: int) -> Sampler:
        """A sampler of General's training people."""
        made = sampler.codes_of(code, self.pairs, flip=settings.sampler.flip)
        trainer = sampler.Trainer(self.pairs, made, settings=settings.sampler, setup=self._setup(seed))
        for _ in range(settings.sampler.steps):
            trainer.iterate()
        return trainer.kept().cpu()

    def _setup(self, seed: int) -> loop.Setup:
        return loop.Setup(seed, n_threads=self.n_threads, precision=loop.choose_precision("auto", "cpu"))

    def bounds(self) -> dict[str, dict[str, str]]:
        """Rows of what draws are compared with: another photograph, a linear map."""
        return {"another photograph": self._another(self.seen), "linear map from the voice": self._said(self.map)}

    def by_code(self, code: FaceCode) -> dict[str, str]:
        """A row: a photograph of each person by way of its code."""
        again = self.read(face_code.again(code, self.faces).drawn)
        return self._another(again) | self._near(again.embeddings, self.photo_codes)

    def _another(self, read: Read) -> dict[str, str]:
        """The first of each person's photographs, as `read` [k] has it, beside the person's others."""
        own, others = read.take(self.first), np.ones(len(read.embeddings), bool)
        others[self.first] = False
        return self._sex(own) | self._said(self._wins(own.embeddings, others))

    def measured(self, code: FaceCode, network: Sampler, *, seed: int) -> dict[str, str]:
        """A row: what draws of a sampler show."""
        model = dataclasses.replace(self.model, generator=code.decoder, sampler=network)
        of_the_sex = known_answer.trained_on(self.study)
        many = draws.many(
            model, self.voices, self.n_draws, genders=self.genders, training=of_the_sex, seed=seed, read=self.read
        )
        own, anybody = (
            energy.score_matrix(each.embeddings, np.arange(self.n), self.photos, self.photo_codes, n_identities=self.n)
            for each in (many.own, many.of_the_sex)
        )
        scores = np.diag(own)
        self.first_scores = scores if self.first_scores is None else self.first_scores
        vectors = many.own.embeddings / np.linalg.norm(many.own.embeddings, axis=2, keepdims=True)
        another = bootstrap.pair_mean(own, matching.same(self.genders) & ~np.eye(self.n, dtype=bool))
        common = standins.directions(many.of_the_sex.embeddings.reshape(self.n * self.n_draws, -1)).mean(0)
        of_mean = self._wins(standins.directions(vectors.mean(1), common))
        said = self._sex(many.own) | self._said(of_mean)
        said[HEADINGS[4]] = self._cell(bootstrap.difference(self._within(of_mean), self._within(self.map)), 100)
        means = (scores, scores - self.first_scores, np.diag(anybody) - scores)
        cells = [self._cell(bootstrap.mean(values), 1) for values in means]
        cells.append(self._cell(bootstrap.difference(another, bootstrap.mean(scores)), 1))
        said |= dict(zip(HEADINGS[5:9], cells, strict=True))
        vectors, of_whom = many.own.embeddings.reshape(self.n * self.n_draws, -1), np.arange(self.n)
        said |= self._near(vectors, np.repeat(of_whom, self.n_draws))
        return said if self.inception is None else said | self._as_a_set(model.draws(self.voices, seed=seed)[:, 0])

    def _as_a_set(self, faces: np.ndarray) -> dict[str, str]:
        """KID, FID, precision and recall of a face of everyone, uint8 [n, 64, 64, 3], beside a photograph of each."""
        assert self.inception is not None
        features, people = self.inception.features(faces), np.arange(self.n)
        kid = frechet.kid(features, people, self.features, people, n_identities=self.n)(np.ones((1, self.n)))[0]
        precision, recall = manifolds.precision_recall(features, self.features)
        cells = (f"{1000 * kid:.1f}", f"{frechet.fid(features, self.features):.1f}")
        return dict(zip(HEADINGS[11:], (*cells, f"{100 * precision:.1f}; {100 * recall:.1f}"), strict=True))

    def _distances(self, vectors: np.ndarray, of_whom: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far faces lie from the nearest training photograph, and from the nearest of another of these people."""
        others = np.empty(len(vectors))
        for person in range(self.n):
            own = of_whom == person
            others[own] = copies.nearest(vectors[own], self.photos[self.photo_codes != person])
        return copies.nearest(vectors, self.learned), others

    def _near(self, vectors: np.ndarray, of_whom: np.ndarray) -> dict[str, str]:
        """How often faces are as near to photographs as photographs typically are, beside how often these are."""
        cells = []
        for own, real in zip(self._distances(vectors, of_whom), (self.near, self.near_others), strict=True):
            drawn, theirs = copies.nearer_than(own, of_whom, real, self.photo_codes, n_identities=self.n)
            cells.append(self._cell(bootstrap.ratio(drawn, theirs), 1))
        return dict(zip(HEADINGS[9:11], cells, strict=True))

    def _sex(self, found: Read) -> dict[str, str]:
        """How often the sex is right in what was read from faces of everyone, [n, m] or [n]."""
        female = found.values[..., attributes.columns().index("sex")].reshape(self.n, -1) > 0.5
        return {HEADINGS[1]: self._cell(bootstrap.mean((female == (self.genders == "f")[:, None]).mean(1)), 100)}

    def _wins(self, vectors: np.ndarray, gallery: np.ndarray | None = None) -> np.ndarray:
        """How often each person's vector is nearer to the person's photographs than to another's: [n, n]."""
        gallery = np.ones(len(self.photos), bool) if gallery is None else gallery
        photos = self.photos[gallery] / np.linalg.norm(self.photos[gallery], axis=1, keepdims=True)
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        of_whom = self.photo_codes[gallery]
        return matching.win_matrix(vectors, np.arange(self.n), photos, of_whom, n_identities=self.n)

    def _within(self, wins: np.ndarray) -> bootstrap.Statistic:
        return bootstrap.pair_mean(wins, matching.same(self.genders) & np.isfinite(wins))

    def _said(self, wins: np.ndarray) -> dict[str, str]:
        whole = self._cell(self._within(wins), 100)
        each = (np.nanmean(wins[np.ix_(own, own)]) for own in (self.genders == "f", self.genders == "m"))
        return {HEADINGS[2]: whole, HEADINGS[3]: "; ".join(f"{100 * value:.1f}" for value in each)}

    def _cell(self, statistic: bootstrap.Statistic, factor: float) -> str:
        found = bootstrap.interval(statistic, self.n, rng=seeding.stream(0, "bootstrap"), n_resamples=1000)
        digits = 4 if factor == 1 else 1
        value, low, high = (f"{factor * each:.{digits}f}" for each in (found.value, found.low, found.high))
        return f"{value} [{low}, {high}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--label", default="")
    parser.add_argument("--seed", type=int, default=0, help="of the run")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE", help="of the run")
    parser.add_argument("--try", nargs="*", default=[], dest="trials", metavar="KEY=VALUE[,KEY=VALUE]", help="a row")
    parser.add_argument("--seeds", nargs="+", type=int, default=[10], help="of the samplers' trainings")
    parser.add_argument("--code-seeds", nargs="+", type=int, default=[10], help="of the face codes' trainings")
    parser.add_argument("--faces", action="store_true", help="KID, FID, precision and recall as well")
    parser.add_argument("--people", type=int, default=400)
    parser.add_argument("--offset", type=int, default=2_000_003, help="of the seed that the people are made from")
    parser.add_argument("--draws", type=int, default=16, help="of each person's recording")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    given = params.parse_settings(arguments.overrides)
    trials = {name: params.parse_settings(name.split(",")) for name in arguments.trials}
    try:
        bench = Bench(arguments)
    except RunError as error:
        print(f"Skipped: {error}")
        return
    print(f"{bench.n} people, {len(bench.faces)} photographs, {arguments.draws} draws a recording.\n")
    print(f"| faces | {' | '.join(HEADINGS)} |\n|---|{'---|' * len(HEADINGS)}")

    def show(name: str, cells: dict[str, str]) -> None:
        print(f"| {name} | {' | '.join(cells.get(heading, '–') for heading in HEADINGS)} |", flush=True)

    for name, cells in bench.bounds().items():
        show(name, cells)
    show("the run's own face code", bench.by_code(bench.code))
    show("the run's own sampler", bench.measured(bench.code, bench.model.sampler, seed=0))
    for name, trial in trials.items():
        settings = params.resolve(arguments.profile, overrides=given | trial, root=bench.study.root)
        anew = any(key.startswith("code.") for key in trial)
        for code_seed in arguments.code_seeds if anew else [None]:
            began, code, title = time.perf_counter(), bench.code, name
            if code_seed is not None:
                code, title = bench.learn(settings.code, seed=code_seed), f"{name}, code {code_seed}"
                show(title, bench.by_code(code) | {HEADINGS[0]: f"{time.perf_counter() - began:.0f}"})
            for seed in arguments.seeds:
                began = time.perf_counter()
                network = bench.train(code, settings, seed=seed)
                took = f"{time.perf_counter() - began:.0f}"
                show(f"{title}, sampler {seed}", bench.measured(code, network, seed=0) | {HEADINGS[0]: took})


if __name__ == "__main__":  # workers that make the people import this file
    main()
