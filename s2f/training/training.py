"""Training one variant of a run: the same for the notebook, the command line, and each of several processes."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch.distributed.elastic.multiprocessing.errors import record

from s2f.errors import ParameterError
from s2f.features.store import Store
from s2f.networks import codes, inference
from s2f.networks.codes import FaceCode
from s2f.study import runs, stages
from s2f.study.runs import Study
from s2f.training import data, gan, loop, processes, sampler, saves
from s2f.training.architectures import architecture


def train(study: Study, folder: Path, *, label: str = "") -> inference.Model:
    """Train a run's variant, or go on with it, write its checkpoint, and give it in evaluation mode, on the CPU.

    With ``machine.n_devices`` or ``machine.n_nodes`` above one, processes of their own train, and this one waits.

    Parameters
    ----------
    study : Study, of 05_training
    folder : Path, the variant's folder, as ``study.write("model")`` gave it
    label : str, shown by the progress bar

    Raises
    ------
    RunError: an input is not made yet
    TrainingError: nobody to train on; a value that is not finite; a process that fails for good
    """
    machine = study.params.machine
    label = label or f"{study.variant}, recipe {study.params.recipe}"
    if machine.n_devices * machine.n_nodes == 1 or _is_saved(study, folder):
        _train(study, folder, label=label, who=processes.ALONE)
    else:
        run = {name: getattr(study, name) for name in ("profile", "variant", "seed", "label", "overrides")}
        words = json.dumps({"run": run, "folder": str(folder), "label": label})
        name = f"{study.run.parent.name}-s{study.seed}-{study.variant}"
        processes.launch("s2f.training.training", [words], machine=machine, name=name)
    return inference.load(folder)


@dataclass(frozen=True)
class _Inputs:
    """What a variant is trained on.

    Attributes
    ----------
    store : Store
    pairs : Pairs
    data_digest : str, of all training data, the face code included
    code : FaceCode, optional, where faces are drawn from one
    """

    store: Store
    pairs: data.Pairs
    data_digest: str
    code: FaceCode | None

    @classmethod
    def of(cls, study: Study, *, device: str) -> _Inputs:
        store = Store.open(study.read("store"))
        training = data.select(store, split="train", gender=study.params.variant.gender)
        pairs = data.pairs(store, study.read("voice"), training, device=device)
        if study.params.sampler.kind == "none":
            return cls(store, pairs, pairs.digest(), None)
        folder = study.read("code")
        digest = hashlib.sha256((folder / codes.FILE).read_bytes()).hexdigest()[:16]
        return cls(store, pairs, f"{pairs.digest()}-{digest}", codes.load(folder))


def _is_saved(study: Study, folder: Path) -> bool:
    """Whether this very training has saved all of its steps: then nothing is left that needs several processes."""
    given, p = _Inputs.of(study, device="cpu"), study.params
    drawing = None
    if given.code is not None:
        place = loop.Place(folder / "sampler", _key(study, "sampler", given))
        if (drawing := sampler.saved(place, settings=p.sampler)) is None:
            return False
    if not stages.plays(p):
        return True
    return saves.last_step(folder / "state", fingerprint=_key(study, "gan", given, drawing)) == p.gan.steps


def _key(study: Study, name: str, given: _Inputs, drawing: Mapping[str, torch.Tensor] | None = None) -> str:
    """What saves of a training must agree on; of a game, also the weights of the sampler that codes are drawn by."""
    digests = [given.data_digest, *([] if drawing is None else [saves.digest(drawing)])]
    return study.resume_key(f"s2f.training.{name}", "-".join(digests))


def _train(study: Study, folder: Path, *, label: str, who: processes.Peers) -> None:
    p, machine, device = study.params, study.params.machine, study.device
    given, voice = _Inputs.of(study, device=device), study.read("voice")
    samples = watched_voices(study)  # at once: without validation people nothing that is trained could be looked at
    setup = loop.Setup(
        seed=study.seed,
        n_threads=max(1, study.n_threads // machine.n_devices),
        precision=loop.choose_precision(machine.precision, device),
        compile_mode=machine.compile,
        peers=who,
    )

    drawing = None
    if given.code is not None:
        drawing = sampler.train(
            given.pairs,
            given.code,
            settings=p.sampler,
            setup=setup,
            place=loop.Place(folder / "sampler", _key(study, "sampler", given), f"{label}, sampler"),
        )
    if stages.plays(study.params):
        weights = None if drawing is None else drawing.state_dict()
        trained = gan.train(
            given.pairs,
            settings=p.gan,
            setup=setup,
            place=loop.Place(folder, _key(study, "gan", given, weights), label),
            samples=samples,
            start=None if given.code is None or drawing is None else (drawing, given.code),
        )
        generator = trained.generator.cpu().eval()
    else:
        assert given.code is not None
        for old in ("log.jsonl", "samples.npz"):  # of a training with other parameters
            (folder / old).unlink(missing_ok=True)
        generator = given.code.decoder
    if who.primary:
        encoder = inference.load_encoder(voice)
        name = f"{study.profile} {study.variant}"
        described = architecture(study.params, drawing, given.code)
        drawing = None if drawing is None else drawing.cpu().eval()
        model = inference.Model(encoder, generator, described, name, drawing)
        inference.save(folder, model)


def watched(store: Store, *, gender: str | None, n: int = 8) -> pd.DataFrame:
    """Recordings of the first `n` validation people, one each, whose faces are drawn as training goes on."""
    return data.select(store, split="validation", gender=gender).voices.groupby("identity").head(1).head(n)


def watched_voices(study: Study) -> torch.Tensor:
    """Unit embeddings float32 [n, dim] of the recordings of `watched`.

    Raises
    ------
    TrainingError: nobody of the variant is in the validation split
    """
    recordings = watched(Store.open(study.read("store")), gender=study.params.variant.gender)
    return data.embeddings(study.read("voice"), recordings)


def main(arguments: argparse.Namespace) -> int:
    """``python -m s2f train``: as 05_training does; with ``--join``, for the machine that leads."""
    study = runs.open_asked("05_training", arguments)
    several = study.params.machine.n_nodes > 1
    if arguments.join and not several:
        remedy = "Set machine.n_nodes to how many machines train together, or leave --join out."
        raise ParameterError("--join", "is for a training of several machines", remedy=remedy)
    # Started by srun on every node, the first leads and the others join.
    if arguments.join or (several and int(os.environ.get("SLURM_PROCID", "0")) > 0):
        train(study, study.run / study.variant)
        return 0
    folder = study.write("model")
    train(study, folder)
    study.finish("model")
    print(f"Trained: {study.shown(folder)}")
    return 0


@record
def _one_of_several(words: str) -> None:
    """What each of several processes runs."""
    told = json.loads(words)
    study = runs.open_study("05_training", **told["run"])
    with processes.joined(device=study.device) as who:
        _train(study, Path(told["folder"]), label=told["label"], who=who)


if __name__ == "__main__":
    _one_of_several(sys.argv[1])
