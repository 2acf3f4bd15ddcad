"""The voice encoder that a run's parameters ask for: trained here, loaded from a checkpoint, or packaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from s2f.errors import CorpusError
from s2f.models import VoiceEmbedding, load_released
from s2f.runs import Study
from s2f.store import Store
from s2f.training import data, loop, speaker, state, tracks

Logits = Callable[[np.ndarray], np.ndarray]


def make(study: Study, store: Store, training: data.Selection, *, folder: Path) -> tuple[nn.Module, Logits | None]:
    """The encoder, frozen, and the classifier of its pre-training where it was trained here.

    Parameters
    ----------
    folder : Path
        The run's voice folder; gets ``log.jsonl`` and ``state/`` of a training.

    Raises
    ------
    CorpusError
        A corpus without sound, and an encoder that needs it.
    CheckpointError
        Packaged or released weights that are missing, broken or of another shape.
    """
    voice, machine = study.params.voice, study.params.machine
    if voice.encoder == "own" and voice.checkpoint is None:
        heard = training.voices[training.voices["fold"] == 0]
        rows = heard["row"].to_numpy()
        return speaker.train(
            store.mels, store.mel_offsets[rows], np.diff(store.mel_offsets)[rows], training.codes(heard),
            settings=speaker.SpeakerSettings(**study.resolved["voice"]), seed=study.seed, device=study.device,
            n_threads=machine.n_threads, folder=folder, fingerprint=study.resume_key(store.digest),
            precision=loop.choose_precision(machine.precision, study.device),
        )  # fmt: skip
    (folder / "log.jsonl").unlink(missing_ok=True)  # of a training with other parameters
    if voice.encoder == "own":
        return load_released(VoiceEmbedding(width=voice.width), study.root / voice.checkpoint), None
    _check_sound(store)
    from s2f import ge2e  # heavier packages, not needed to train

    return ge2e.network(), None


def keep(study: Study, store: Store, network: nn.Module, *, folder: Path) -> None:
    """Write the encoder, and what it makes of every recording: ``encoder.safetensors`` and the voice tracks.

    Raises
    ------
    AudioError, CorpusError
        A recording that cannot be read again, or a corpus without sound.
    """
    voice = study.params.voice
    if voice.encoder == "ge2e":
        from s2f import ge2e, preprocessing

        _check_sound(store)
        root = Path(preprocessing.inputs(study)["root"])
        paths = [root / path for path in store.voices().sort_values("row")["path"]]
        rows, offsets = ge2e.tracks(paths, n_workers=study.params.machine.n_workers)
        tracks.write(folder, rows, offsets, per_s=ge2e.PER_S)
    else:
        rows, offsets = tracks.compute(network, store.mel, n_recordings=len(store.voices()), device=study.device)
        tracks.write(folder, rows, offsets)
    header = {"encoder": voice.encoder, "width": voice.width}
    state.save(folder / "encoder.safetensors", network.state_dict(), header=header)


def show_learning(folder: Path):
    """Learning curves where the encoder was trained here, otherwise a sentence."""
    from s2f import figures

    log = folder / "log.jsonl"
    if not log.is_file():
        return print("The encoder was not trained here: its weights were loaded.")
    return figures.loss_curves(pd.DataFrame(state.read_log(log)))


def _check_sound(store: Store) -> None:
    if store.parameters["processed"]:
        raise CorpusError(
            "parameter 'voice.encoder'",
            "is ge2e, which reads sound, and the corpus holds features without sound",
            remedy="Set 'voice.encoder' to own, or take a corpus of recordings, such as voxceleb.",
        )
