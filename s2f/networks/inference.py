"""From a voice to a face with a trained variant."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from s2f import provenance, tensors
from s2f.errors import AudioError, CheckpointError
from s2f.features import pixels
from s2f.networks.codes import Sampler, noise
from s2f.networks.models import (
    EMBEDDING_DIM,
    FRAMES_PER_VECTOR,
    Architecture,
    GE2EEmbedding,
    Generator,
    VoiceEmbedding,
    unit,
)

if TYPE_CHECKING:
    from s2f.features.listening import Heard

PIECE = 1024 * FRAMES_PER_VECTOR  # frames that the voice embedding takes at once, 5.5 minutes
N_TYPICAL_AT_ONCE = 256  # voices whose draws are compared at once, for each of many draws
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class Model:
    """What draws faces from a voice, in evaluation mode on the CPU.

    Attributes
    ----------
    voice_embedding, generator : networks
    architecture : Architecture
    name : str, of profile and variant
    sampler : Sampler, optional
        Draws face codes, from which the generator then draws faces: many for one voice. Without it the generator
        draws from the voice embedding itself, one face for one voice.
    """

    voice_embedding: VoiceEmbedding | GE2EEmbedding
    generator: Generator
    architecture: Architecture
    name: str
    sampler: Sampler | None = None

    @torch.no_grad()
    def embed(self, features: np.ndarray) -> np.ndarray:
        """Unit embedding float32 [dim] of features.

        Parameters
        ----------
        features : float32 [n_frames, 64] of `front_end.features`, or [n_partials, 160, 40] of `ge2e_front_end.partials`
        """
        if self.architecture.encoder == "ge2e":
            assert isinstance(self.voice_embedding, GE2EEmbedding)
            partials = self.voice_embedding.in_pieces(features)  # [n_partials, 256]
            return unit(partials.mean(dim=0)).numpy()  # [256]
        if len(features) > PIECE:
            return unit(self._mean(features))[0].numpy()  # [64]
        inputs = torch.from_numpy(features).T[None]  # [1, 64, T]
        return unit(self.voice_embedding(inputs))[0].numpy()  # [64]

    def _mean(self, features: np.ndarray) -> Tensor:
        """Time average of the sequence of a long recording, a piece after another: float [1, 64]."""
        assert isinstance(self.voice_embedding, VoiceEmbedding)
        total, n = torch.zeros(1, EMBEDDING_DIM), 0
        for at in range(0, len(features), PIECE):
            first = max(0, at - FRAMES_PER_VECTOR)  # whose vector sees a cut and is left out; the next one does not
            inputs = torch.from_numpy(features[first : at + PIECE]).T[None]  # [1, 64, T]
            sequence = self.voice_embedding.sequence(inputs)[:, :, (at - first) // FRAMES_PER_VECTOR :]
            total += sequence.sum(dim=2)
            n += sequence.shape[2]
        return total / n

    def hear(self, recording: np.ndarray | str | Path) -> tuple[np.ndarray, Heard]:
        """Features of a recording for `embed`, and what was heard: how much voice, from which track or channel.

        Parameters
        ----------
        recording : as `reconstruct` takes it

        Raises
        ------
        AudioError
            The recording is broken, silent, or holds less than half a second of voice; it is processed already, and
            the voice embedding reads sound.
        """
        from s2f.features import front_end, ge2e_front_end, listening  # not needed to train

        is_own, is_file = self.architecture.encoder == "own", isinstance(recording, (str, Path))
        if not is_own and is_file and str(recording).lower().endswith(".npy"):
            problem = "holds log-mel frames, and the voice embedding of these networks (ge2e) reads sound"
            raise AudioError(str(recording), problem, remedy="Give the recording that they are of.", reason="not_audio")
        heard = listening.listen(recording)
        if is_own:
            return front_end.repeat(heard.log_mel), heard
        return ge2e_front_end.partials(recording), heard

    def reconstruct(self, recording: np.ndarray | str | Path) -> np.ndarray:
        """The face of a voice, its most typical draw and always the same: uint8 [64, 64, 3].

        Parameters
        ----------
        recording : float32 [n_samples] in [−1, 1] at 16 kHz, or a path to any recording
            A .npy file holds log-mel frames, as a processed corpus has them.

        Raises
        ------
        AudioError: as `hear`
        """
        return self.face(self.hear(recording)[0])

    def face(self, features: np.ndarray) -> np.ndarray:
        """The face of features, as `embed` takes them, as `reconstruct` draws it: uint8 [64, 64, 3]."""
        return self.typical(torch.from_numpy(self.embed(features))[None])[0]

    def draw(self, recording: np.ndarray | str | Path, *, n: int = 16, seed: int = 0) -> np.ndarray:
        """Faces that a voice may have: uint8 [n, 64, 64, 3], all the same where there is no sampler.

        Parameters
        ----------
        recording : as `reconstruct` takes it
        n : int, how many; more of them begin with the same ones
        seed : int, of the noise

        Raises
        ------
        AudioError: as `hear`
        """
        embedding = torch.from_numpy(self.embed(self.hear(recording)[0]))[None]
        return self.draws(embedding, n, seed=seed)[0]

    @torch.no_grad()
    def typical(self, embeddings: Tensor) -> np.ndarray:
        """The most typical face of each voice, float [B, dim]: uint8 [B, 64, 64, 3]."""
        if self.sampler is None:
            return draw(self.generator, embeddings)
        codes = [self.sampler.typical(part) for part in embeddings.split(N_TYPICAL_AT_ONCE)]
        return rendered(self.generator, torch.cat(codes))

    @torch.no_grad()
    def draws(self, embeddings: Tensor, n: int = 1, *, seed: int = 0) -> np.ndarray:
        """Faces uint8 [B, n, 64, 64, 3] of voice embeddings float [B, dim], each from noise of its own."""
        if self.sampler is None:
            return np.repeat(draw(self.generator, embeddings)[:, None], n, axis=1)
        own = noise(len(embeddings) * n, dim=self.sampler.dim, seed=seed).unflatten(0, (-1, n))  # [B, n, dim]
        codes = self.sampler.draw(embeddings, own)
        return rendered(self.generator, codes.flatten(0, 1)).reshape(len(embeddings), n, 64, 64, 3)


def save(folder: Path, model: Model) -> None:
    """Write ``checkpoint.safetensors``: everything that `load` needs."""
    weights = {f"voice_embedding.{k}": v for k, v in model.voice_embedding.state_dict().items()}
    weights |= {f"generator.{k}": v for k, v in model.generator.state_dict().items()}
    if model.sampler is not None:
        weights |= {f"sampler.{k}": v for k, v in model.sampler.state_dict().items()}
    header = {"architecture": asdict(model.architecture), "name": model.name}
    tensors.save(folder / CHECKPOINT, weights, header=header)


def load_encoder(voice_folder: Path) -> VoiceEmbedding | GE2EEmbedding:
    """The voice embedding that 04_voice_embedding kept, in evaluation mode.

    Raises
    ------
    CheckpointError: missing, or of another architecture
    """
    path = voice_folder / "encoder.safetensors"
    weights, header = tensors.load(path)
    with tensors.of_this_version(path):
        ge2e = header["encoder"] == "ge2e"
        network = GE2EEmbedding() if ge2e else VoiceEmbedding(width=header["width"])
        network.load_state_dict(weights)
        return network.eval()


def load(variant_folder: str | Path) -> Model:
    """Load a trained variant, such as ``runs/demo/s0/general``.

    Raises
    ------
    CheckpointError: nothing trained there, or a checkpoint of another architecture
    """
    path = Path(variant_folder) / CHECKPOINT
    if not path.is_file():
        remedy = f"Train it first: {provenance.again(Path(variant_folder))}"
        raise CheckpointError(variant_folder, f"holds no {CHECKPOINT}", remedy=remedy)
    weights, header = tensors.load(path)
    with tensors.of_this_version(path):
        architecture = Architecture(**header["architecture"])
        voice, generator = architecture.voice_embedding(), architecture.generator()
        parts: dict[str, nn.Module] = {"voice_embedding.": voice, "generator.": generator}
        sampler = None
        if architecture.sampler is not None:
            sampler = Sampler(embedding_dim=architecture.embedding_dim, **architecture.sampler)
            parts["sampler."] = sampler
        for prefix, network in parts.items():
            network.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)})
            network.eval()
        return Model(voice, generator, architecture, str(header.get("name", "")), sampler)


def draw(generator: Generator, embeddings: Tensor) -> np.ndarray:
    """Faces uint8 [n, 64, 64, 3] of voice embeddings float [n, dim] by a generator in evaluation mode."""
    return rendered(generator, unit(embeddings))


@torch.no_grad()
def rendered(generator: Generator, inputs: Tensor, *, batch_size: int = 256) -> np.ndarray:
    """Faces uint8 [n, 64, 64, 3] of face codes, or of unit voice embeddings, by a generator in evaluation mode.

    Raises
    ------
    ImageError: the generator drew NaN or infinite values
    """
    faces = [torch.as_tensor(pixels.denormalise(generator(part))).cpu() for part in inputs.split(batch_size)]
    return torch.cat(faces).numpy()  # [n, 64, 64, 3]
