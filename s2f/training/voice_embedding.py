"""The voice encoder that a run's parameters ask for: trained here, loaded from a checkpoint, or packaged."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from s2f import tensors, weights
from s2f.errors import CorpusError
from s2f.features.store import Store
from s2f.networks.models import GE2EEmbedding, VoiceEmbedding
from s2f.networks.released import load_released
from s2f.study.runs import Study
from s2f.training import data, loop, saves, speaker, tracks


@dataclass(frozen=True)
class Encoder:
    """A voice encoder, frozen.

    Attributes
    ----------
    logits : callable, optional
        The classifier of its pre-training, where it was trained here: float32 [n, n_speakers] of [n, 64].
    weights_sha256 : str, optional, of the file that its weights were loaded from, where it was not
    """

    network: VoiceEmbedding | GE2EEmbedding
    logits: Callable[[np.ndarray], np.ndarray] | None = None
    weights_sha256: str | None = None


def make(study: Study, store: Store, training: data.Selection, *, folder: Path) -> Encoder:
    """The encoder: trained here, or loaded.

    Parameters
    ----------
    folder : Path, the run's voice folder; gets ``log.jsonl`` and ``state/`` of a training

    Raises
    ------
    CorpusError: a corpus without sound, and an encoder that needs it
    CheckpointError: packaged or released weights that are missing, broken or of another shape
    TrainingError: as `speaker.train` raises it
    """
    voice, machine = study.params.voice, study.params.machine
    if voice.encoder == "own" and voice.checkpoint is None:
        heard = training.voices[training.voices["fold"] == 0]
        rows = heard["row"].to_numpy()
        lengths, speakers = np.diff(store.mel_offsets)[rows], training.codes(heard)
        network, logits = speaker.train(
            speaker.Recordings(store.mels, store.mel_offsets[rows], lengths, speakers, device=study.device),
            settings=voice,
            setup=loop.Setup(study.seed, machine.n_threads, loop.choose_precision(machine.precision, study.device)),
            place=loop.Place(folder, study.resume_key("s2f.training.speaker", store.digest), "speaker pre-training"),
        )
        return Encoder(network, logits)
    (folder / "log.jsonl").unlink(missing_ok=True)  # of a training with other parameters
    torch.set_num_threads(machine.n_threads)
    if voice.checkpoint is not None:
        path = study.root / voice.checkpoint
        loaded = VoiceEmbedding(width=voice.width)
        load_released(loaded, path)
        return Encoder(loaded, weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    _check_sound(store)
    from s2f.networks import ge2e  # heavier packages, not needed to train

    return Encoder(ge2e.network(), weights_sha256=weights.NETWORKS["speaker"].sha256)


def keep(study: Study, store: Store, encoder: Encoder, *, folder: Path) -> None:
    """Write the encoder, and what it makes of every recording: ``encoder.safetensors`` and the voice tracks.

    Where recordings are read again, which takes long, those that are done are kept in ``state/`` until all are.

    Raises
    ------
    AudioError, CorpusError: a recording that cannot be read again, or a corpus without sound
    """
    voice, done = study.params.voice, saves.own(folder / "state" / "tracks", store.digest)
    if voice.encoder == "ge2e":
        from s2f.features import ge2e_front_end, preprocessing
        from s2f.networks import ge2e

        _check_sound(store)
        root = Path(preprocessing.inputs(study)["root"])
        paths = [root / path for path in store.voices().sort_values("row")["path"]]
        rows, offsets = ge2e.tracks(paths, n_workers=study.params.machine.n_workers, kept=done, digest=store.digest)
        tracks.write(folder, rows, offsets, per_s=ge2e_front_end.PER_S)
    else:
        network, n = encoder.network, len(store.voices())
        assert isinstance(network, VoiceEmbedding)
        rows, offsets = tracks.compute(network, store.mel, n_recordings=n, device=study.device)
        tracks.write(folder, rows, offsets)
    header = {"encoder": voice.encoder, "width": voice.width, "weights_sha256": encoder.weights_sha256}
    tensors.save(folder / "encoder.safetensors", encoder.network.state_dict(), header=header)
    shutil.rmtree(done, ignore_errors=True)


def _check_sound(store: Store) -> None:
    if store.parameters["processed"]:
        problem = "is ge2e, which reads sound, and the corpus holds features without sound"
        remedy = "Set 'voice.encoder' to own, or take a corpus of recordings, such as voxceleb."
        raise CorpusError("parameter 'voice.encoder'", problem, remedy=remedy)
