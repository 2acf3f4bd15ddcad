"""What networks read from photographs, kept: dlib's and Inception read a handful of faces a second.

Every variant is measured beside the same people's photographs, and measured again whenever a metric changes. What was
read is kept by reader and by the content of the photograph, so that nothing else's can be taken for it.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import numpy as np
import torch

from s2f import provenance, tensors
from s2f.errors import CheckpointError
from s2f.evaluation import face_readers
from s2f.weights import NETWORKS, sha256

N_BYTES = 16  # of the hash of a photograph


class KeptFeatures:
    """Inception that looks at a set of photographs once: General's and those of a run beside it are the same.

    A set is kept as a whole, since features round by the faces that they are computed with.

    Parameters
    ----------
    inception : Inception
    folder : Path, for what was read; several processes may use it at the same time
    path : str or Path, optional, file that the network was loaded from; the packaged one's
    """

    def __init__(self, inception: face_readers.Inception, folder: Path, *, path: str | Path | None = None) -> None:
        network = NETWORKS["inception"].sha256 if path is None else sha256(path)
        self.inception, self.folder = inception, folder
        self.key = f"{network} {provenance.code_key('s2f.evaluation.face_readers')} {inception.device}"

    def features(self, faces: np.ndarray, *, desc: str = "Inception features") -> np.ndarray:
        """As Inception's own."""
        digest = hashlib.sha256(f"{self.key} {torch.get_num_threads()} {faces.shape}".encode())
        digest.update(np.ascontiguousarray(faces).data)
        path = self.folder / f"inception-{digest.hexdigest()[:16]}.safetensors"
        with contextlib.suppress(CheckpointError):  # not there, or damaged: read again
            return tensors.load(path)[0]["features"].numpy()
        found = self.inception.features(faces, desc=desc)
        tensors.save(path, {"features": torch.from_numpy(found)}, header={})
        return found


class Kept:
    """A reader that reads each photograph once.

    Parameters
    ----------
    reader : Packaged, whose embedding of a face does not depend on the faces that it is read with
    folder : Path, for what was read; several processes may use it at the same time
    identity_path : str or Path, optional, file that the reader's identity network was loaded from; the packaged one's
    """

    def __init__(self, reader: face_readers.Packaged, folder: Path, *, identity_path: str | Path | None = None) -> None:
        network = NETWORKS["face_identity"].sha256 if identity_path is None else sha256(identity_path)
        code = provenance.code_key("s2f.evaluation.face_readers")
        self.reader, self.folder = reader, folder / hashlib.sha256(f"{network} {code}".encode()).hexdigest()[:16]

    def embed(self, faces: np.ndarray) -> np.ndarray:
        """As the reader's own."""
        names = [hashlib.blake2b(np.ascontiguousarray(face).data, digest_size=N_BYTES).digest() for face in faces]
        known = self._known()
        new = {name: row for row, name in reversed(list(enumerate(names))) if name not in known}
        if new:
            rows = sorted(new.values())
            vectors = self.reader.embed(np.asarray(faces)[rows])
            self._keep([names[row] for row in rows], vectors)
            known |= {names[row]: vector for row, vector in zip(rows, vectors, strict=True)}
        return np.stack([known[name] for name in names]) if names else self.reader.embed(faces)

    def gender(self, faces: np.ndarray) -> np.ndarray:
        """As the reader's own."""
        return self.reader.gender(faces)

    def _known(self) -> dict[bytes, np.ndarray]:
        known: dict[bytes, np.ndarray] = {}
        for path in sorted(self.folder.glob("[!.]*.safetensors")):
            with contextlib.suppress(CheckpointError):  # what is damaged is read again
                kept = {name: part.numpy() for name, part in tensors.load(path)[0].items()}
                known |= {bytes(name): vector for name, vector in zip(kept["names"], kept["vectors"], strict=True)}
        return known

    def _keep(self, names: list[bytes], vectors: np.ndarray) -> None:
        rows = np.frombuffer(bytearray(b"".join(names)), np.uint8).reshape(-1, N_BYTES)
        path = self.folder / f"{hashlib.sha256(rows.data).hexdigest()[:16]}.safetensors"
        tensors.save(path, {"names": torch.from_numpy(rows), "vectors": torch.from_numpy(vectors)}, header={})
