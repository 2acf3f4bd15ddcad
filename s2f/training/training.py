"""Training one variant of a run: the same for the notebook, the command line, and each of several processes."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import pandas as pd
from torch.distributed.elastic.multiprocessing.errors import record

from s2f.features.store import Store
from s2f.networks import inference
from s2f.networks.models import Architecture
from s2f.study import runs
from s2f.study.runs import Study
from s2f.training import data, gan, loop, processes, saves


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


def architecture(study: Study) -> Architecture:
    """The networks that a run's parameters describe."""
    g, voice = study.params.gan, study.params.voice
    return Architecture(voice.width, g.width, g.norm, g.tanh, g.head, voice.encoder)


def _inputs(study: Study, *, device: str) -> tuple[Store, data.Pairs, str]:
    """Store and training data of a variant, and what a save to go on from must agree on."""
    store = Store.open(study.read("store"))
    training = data.select(store, split="train", gender=study.params.variant.gender)
    pairs = data.pairs(store, study.read("voice"), training, device=device)
    return store, pairs, study.resume_key("s2f.training.gan", pairs.digest())


def _is_saved(study: Study, folder: Path) -> bool:
    """Whether this very training has saved all of its steps: then nothing is left that needs several processes."""
    *_, fingerprint = _inputs(study, device="cpu")
    return saves.last_step(folder / "state", fingerprint=fingerprint) == study.params.gan.steps


def _train(study: Study, folder: Path, *, label: str, who: processes.Peers) -> None:
    machine, device = study.params.machine, study.device
    store, pairs, fingerprint = _inputs(study, device=device)
    voice = study.read("voice")
    setup = loop.Setup(
        seed=study.seed,
        n_threads=max(1, machine.n_threads // machine.n_devices),
        precision=loop.choose_precision(machine.precision, device),
        compile_mode=machine.compile,
        peers=who,
    )
    trained = gan.train(
        pairs,
        settings=study.params.gan,
        setup=setup,
        place=loop.Place(folder, fingerprint, label),
        samples=data.embeddings(voice, watched(store, gender=study.params.variant.gender)),
    )
    if who.primary:
        encoder = inference.load_encoder(voice)
        name = f"{study.profile} {study.variant}"
        model = inference.Model(encoder, trained.kept().cpu().eval(), architecture(study), name)
        inference.save(folder, model)


def watched(store: Store, *, gender: str | None, n: int = 8) -> pd.DataFrame:
    """Recordings of the first `n` validation people, one each, whose faces are drawn as training goes on."""
    return data.select(store, split="validation", gender=gender).voices.groupby("identity").head(1).head(n)


def main(arguments: argparse.Namespace) -> int:
    """``python -m s2f train``: as 05_training does; with ``--join``, for the machine that leads."""
    study = runs.open_asked("05_training", arguments)
    # Started by srun on every node, the first leads and the others join.
    if arguments.join or int(os.environ.get("SLURM_PROCID", "0")) > 0:
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
