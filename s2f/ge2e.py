"""The packaged speaker encoder with its own front end: a wave to mel frames to partial embeddings.

GE2E (Wan et al. 2018), trained on thousands of speakers, for corpora too small to train an encoder. Only the
weights come from the package, whose code is never imported; its front end, which the weights depend on, is
written here: volume raised to -30 dBFS, silences cut, mel power, windows of 1.6 s that overlap by half.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import itertools
import multiprocessing
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import scipy.ndimage
import scipy.signal
import torch
import webrtcvad
from numpy.lib.stride_tricks import sliding_window_view
from tqdm import tqdm

from s2f import audio, files, workers
from s2f.errors import AudioError, CheckpointError
from s2f.models import GE2EEmbedding

ENCODER = MappingProxyType(
    {
        "package": "resemblyzer",
        "file": "resemblyzer/pretrained.pt",
        "sha256": "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
        "licence": "Apache-2.0",
        "reference": "GE2E speaker encoder, three LSTM layers of 256 on 40 mels (Wan et al. 2018)",
    }
)
N_MELS = 40
N_FRAMES = 160  # of a partial, 1.6 s
STEP = 77  # frames between partials, about 1.3 a second
PER_S = 100 / STEP  # partials a second
PART = 64  # recordings a file of what is done
COVERAGE = 0.75  # share of the last partial that must be sound; otherwise it is left out

_LEVEL_DBFS = -30.0
_WINDOW = 400  # samples, 25 ms; also the length of the transform
_HOP = 160  # samples, 10 ms
_VAD_MODE = 3
_VAD_FRAME = 480  # samples, 30 ms
_SMOOTHED = 8  # frames of the running mean over the detector's answers
_JOINED = 7  # frames; voiced stretches grow by three on both sides


def network(path: str | Path | None = None) -> GE2EEmbedding:
    """The speaker encoder, in evaluation mode on the CPU.

    Parameters
    ----------
    path : str or Path, optional
        A file with the declared SHA-256; that of the installed package if not given.

    Raises
    ------
    CheckpointError
        Not installed, or another file than the declared one.
    """
    package = ENCODER["package"]
    try:
        path = Path(path or importlib.metadata.distribution(package).locate_file(ENCODER["file"]))
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except (importlib.metadata.PackageNotFoundError, FileNotFoundError) as error:
        raise CheckpointError(
            path or package, "(voice.encoder: ge2e) is not installed", reason="missing",
            remedy="Install requirements-weights.lock, as `make book` does.",
        ) from error  # fmt: skip
    if found != ENCODER["sha256"]:
        raise CheckpointError(
            path, f"has SHA-256 {found}, not {ENCODER['sha256']}", reason="broken", remedy=f"Install {package} again."
        )
    weights = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
    encoder = GE2EEmbedding()
    encoder.load_state_dict({key: weights[key] for key in encoder.state_dict()})  # the rest only served its training
    return encoder.eval()


def prepared(wave: np.ndarray, *, name: str | Path = "wave") -> np.ndarray:
    """A wave with its volume raised to -30 dBFS where it is lower, and without its silences.

    Where the detector, stricter than that of `s2f.audio`, hears no voice at all, nothing is cut.

    Parameters
    ----------
    wave : float32 [n_samples]
        16 kHz, in [-1, 1].

    Raises
    ------
    AudioError
        Not finite, shorter than 30 ms, or all zero.
    """
    wave = np.asarray(wave, np.float32)
    if not np.isfinite(wave).all():
        raise AudioError(name, "has samples that are not numbers", remedy="Give another recording.", reason="nan")
    if len(wave) < _VAD_FRAME:
        raise AudioError(name, f"has {len(wave)} samples", remedy="Give at least a second of voice.", reason="short")
    level = np.sqrt(np.mean(np.square(wave, dtype=np.float64)))
    if level == 0:
        raise AudioError(name, "is silent", remedy="Give a recording of a voice.", reason="silent")
    wave = wave * np.float32(max(1.0, 10 ** (_LEVEL_DBFS / 20) / level))
    wave = wave[: len(wave) // _VAD_FRAME * _VAD_FRAME]
    samples = np.clip(np.round(wave * 32767), -32768, 32767).astype("<i2")
    detector = webrtcvad.Vad(_VAD_MODE)
    frames = samples.reshape(-1, _VAD_FRAME)  # [n, 480]
    heard = np.array([detector.is_speech(frame.tobytes(), audio.SAMPLE_RATE) for frame in frames])
    padded = np.pad(heard.astype(int), ((_SMOOTHED - 1) // 2, _SMOOTHED // 2))
    voiced = sliding_window_view(padded, _SMOOTHED).sum(1) > _SMOOTHED / 2  # [n]
    voiced = scipy.ndimage.binary_dilation(voiced, np.ones(_JOINED))
    return wave[np.repeat(voiced, _VAD_FRAME)] if voiced.any() else wave


def mel(wave: np.ndarray) -> np.ndarray:
    """Mel power, no logarithm: float32 [1 + n_samples // 160, 40], frames centred on multiples of 10 ms."""
    padded = np.pad(wave, _WINDOW // 2)
    frames = sliding_window_view(padded, _WINDOW)[::_HOP]  # [T, 400]
    power = np.abs(np.fft.rfft(frames * scipy.signal.get_window("hann", _WINDOW))) ** 2  # [T, 201]
    return (power @ filters()).astype(np.float32)  # [T, 40]


@functools.cache
def filters() -> np.ndarray:
    """Triangles of equal area on the scale of Slaney's Auditory Toolbox (1998): float64 [201, 40], 0 to 8000 Hz.

    The scale is linear up to 1000 Hz, 200/3 Hz a mel, and logarithmic above, 27 mels for a factor of 6.4.
    """
    top = 15 + 27 * np.log(8000 / 1000) / np.log(6.4)
    mels = np.linspace(0, top, N_MELS + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(np.log(6.4) / 27 * (mels - 15)))  # Hz
    hz = np.linspace(0, audio.SAMPLE_RATE / 2, _WINDOW // 2 + 1)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle)).clip(min=0)
    return triangles * 2 / (high - low)


def starts(n_samples: int) -> np.ndarray:
    """First frames of the partials of a prepared wave, at least one."""
    n_frames = -(-(n_samples + 1) // _HOP)
    first = np.arange(0, max(1, n_frames - N_FRAMES + STEP + 1), STEP)
    if len(first) > 1 and (n_samples - first[-1] * _HOP) / (N_FRAMES * _HOP) < COVERAGE:
        first = first[:-1]
    return first


def partials(wave: np.ndarray, *, name: str | Path = "wave") -> np.ndarray:
    """What the encoder reads of a wave float32 [n_samples] at 16 kHz: mel power float32 [n_partials, 160, 40].

    The end of the last one, and a recording shorter than one, is filled up with zeros.

    Raises
    ------
    AudioError
        See `prepared`.
    """
    wave = prepared(wave, name=name)
    first = starts(len(wave))
    missing = (int(first[-1]) + N_FRAMES) * _HOP - len(wave)
    frames = mel(np.pad(wave, (0, max(0, missing))))  # [T, 40]
    return np.stack([frames[at : at + N_FRAMES] for at in first])


def tracks(
    paths: Sequence[str | Path], *, n_workers: int, kept: Path | None = None, digest: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Partial embeddings of recordings, made by several processes.

    Parameters
    ----------
    kept : Path, optional
        Folder for what is done, `PART` recordings a file: a run that was stopped goes on from there. It is the
        caller's to remove.
    digest : str
        Hash of the recordings' content. What was kept of other recordings, weights or code is left alone.

    Returns
    -------
    tracks : float32 [total, 256]
    offsets : int64 [n_recordings + 1]
        Recording i has the rows from ``offsets[i]`` to ``offsets[i + 1]``.

    Raises
    ------
    AudioError
        A recording that cannot be used.
    """
    network()  # a missing package is said once, here
    parts = [[str(path) for path in paths[at : at + PART]] for at in range(0, len(paths), PART)]
    with contextlib.nullcontext(kept) if kept else tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / f"{key}.npz" for key in _keys(parts, digest)]
        _make(parts, places, n_workers=n_workers)
        rows, lengths = [], []
        for place in places:
            with np.load(place) as part:
                rows.append(part["rows"])
                lengths.append(part["lengths"])
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    return np.concatenate(rows), offsets


def _keys(parts: list[list[str]], digest: str) -> list[str]:
    """One hash a part, of everything that its embeddings are made from."""
    base = hashlib.sha256(f"{ENCODER['sha256']} {digest}".encode())
    for name in ("audio.py", "ge2e.py", "models.py"):
        base.update(Path(__file__).with_name(name).read_bytes())
    keys = []
    for part in parts:
        one = base.copy()
        one.update("\n".join(part).encode())
        keys.append(one.hexdigest()[:16])
    return keys


def _make(parts: list[list[str]], places: list[Path], *, n_workers: int) -> None:
    """Write the parts that are not there yet, each whole: `rows` [n, 256] and `lengths` [n_recordings]."""
    waiting = [(part, place) for part, place in zip(parts, places, strict=True) if not place.is_file()]
    todo = [path for part, _ in waiting for path in part]
    if not todo:
        return
    n = sum(map(len, parts))
    bar = tqdm(total=n, initial=n - len(todo), desc="voice tracks", unit="recording", mininterval=1)
    with workers.one_thread_each(), bar:
        pool = multiprocessing.get_context("spawn").Pool(n_workers, initializer=workers.end_with_parent)
        with pool:
            made = pool.imap(_track, todo)
            for part, place in waiting:
                found = []
                for track in itertools.islice(made, len(part)):
                    found.append(track)
                    bar.update()
                with files.whole(place) as beside:
                    np.savez(beside, rows=np.concatenate(found), lengths=[len(track) for track in found])


@functools.cache
def _network() -> GE2EEmbedding:
    torch.set_num_threads(1)
    return network()


def _track(path: str) -> np.ndarray:
    with torch.inference_mode():
        return _network()(torch.from_numpy(partials(audio.read(path), name=path))).numpy()  # [n_partials, 256]
