"""Training one variant of a run: the same for the notebook, the command line, and each of several processes."""

from __future__ import annotations

from pathlib import Path

import torch

from s2f.features.store import Store
from s2f.networks import inference
from s2f.networks.models import Architecture
from s2f.study import runs
from s2f.study.runs import Study
from s2f.training import data, gan, loop, processes, saves


def train(study: Study, folder: Path, *, label: str = "") -> inference.Model:
    """Train a run's variant, or go on with it, and write its checkpoint.

    With ``machine.n_devices`` or ``machine.n_nodes`` above one, processes of their own train, and this one waits.

    Parameters
    ----------
    study : Study
        Of 05_training.
    folder : Path
        The variant's folder, as ``study.write("model")`` gave it.
    label : str
        Shown by the progress bar.

    Returns
    -------
    Model
        In evaluation mode, on the CPU.

    Raises
    ------
    RunError
        An input is not made yet.
    TrainingError
        Nobody to train on; a value that is not finite; a process that fails for good.
    """
    machine = study.params.machine
    label = label or f"{study.variant}, recipe {study.params.recipe}"
    # Where all steps are saved, nothing is left that needs several processes.
    done = saves.saved_steps(folder / "state")[-1:] == [saves.step_path(folder / "state", study.params.gan.steps)]
    if done or machine.n_devices * machine.n_nodes == 1:
        _train(study, folder, label=label, who=processes.ALONE)
    else:
        study.read("store"), study.read("voice")  # a missing input is said once, here
        arguments = (study.profile, study.variant, study.seed, study.label, study.overrides, str(folder), label)
        processes.launch(
            _one_of_several,
            arguments,
            n_devices=machine.n_devices,
            n_nodes=machine.n_nodes,
            rendezvous=machine.rendezvous,
            name=f"{study.run.parent.name}-s{study.seed}-{study.variant}",
        )
    return inference.load(folder)


def architecture(study: Study) -> Architecture:
    """The networks that a run's parameters describe."""
    g = study.params.gan
    voice = study.params.voice
    return Architecture(voice.width, g.width, g.norm, g.tanh, g.head, voice.encoder)


def _train(study: Study, folder: Path, *, label: str, who: processes.Peers) -> None:
    machine, device = study.params.machine, study.device
    store, voice = Store.open(study.read("store")), study.read("voice")
    gender = study.params.variant.gender
    training = data.select(store, split="train", gender=gender)
    pairs = data.pairs(store, voice, training, device=device)
    trained = gan.train(
        pairs,
        settings=gan.GanSettings(**study.params.gan.model_dump()),
        seed=study.seed,
        n_threads=max(1, machine.n_threads // machine.n_devices),
        folder=folder,
        fingerprint=study.resume_key("s2f.training.gan", pairs.digest()),
        samples=data.embeddings(voice, watched(store, gender=gender)),
        label=label,
        precision=loop.choose_precision(machine.precision, device),
        compile_mode=machine.compile,
        peers=who,
    )
    if who.primary:
        encoder = inference.load_encoder(voice)
        name = f"{study.profile} {study.variant}"
        model = inference.Model(encoder, trained.kept().cpu().eval(), architecture(study), name)
        inference.save(folder, model)


def watched(store: Store, *, gender: str | None, n: int = 8):
    """Recordings of the first `n` validation people, one each, whose faces are drawn as training goes on."""
    return data.select(store, split="validation", gender=gender).voices.groupby("identity").head(1).head(n)


def _one_of_several(profile, variant, seed, label, overrides, folder, shown) -> None:
    """What each process runs."""
    study = runs.open_study(
        "05_training", profile=profile, variant=variant, seed=seed, label=label, overrides=overrides
    )
    who = processes.joined(device=study.device)
    try:
        _train(study, Path(folder), label=shown, who=who)
        torch.distributed.barrier()  # nobody leaves before the checkpoint is there
    finally:
        torch.distributed.destroy_process_group()
