"""The GAN: a generator that draws a face from a frozen voice embedding, against a shared face embedding.

One iteration is one step of the discriminator side (face embedding, real/fake head, identity head) and one of
the generator, as in Wen et al. 2019. The identity head learns from real faces only and tells the generator whose
voice it drew. Voices come from cached tracks and faces stay on the device, so that a step reads nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2f import files, seeding
from s2f.networks.codes import FaceCode, Sampler
from s2f.networks.inference import draw, rendered
from s2f.networks.models import Classifier, FaceEmbedding, Generator, seeded, unit
from s2f.settings import Gan
from s2f.training import loop
from s2f.training.data import Pairs
from s2f.training.health import Watch


class Critics(nn.Module):
    """What judges faces: the face embedding, and on it the real/fake head and the identity head."""

    def __init__(self, trunk: FaceEmbedding, discriminator: Classifier, classifier: Classifier) -> None:
        super().__init__()
        self.trunk, self.discriminator, self.classifier = trunk, discriminator, classifier

    def forward(self, faces: Tensor, n_named: int) -> tuple[Tensor, Tensor]:
        """Scores float32 [B] of faces [B, 3, 64, 64], and identity logits [n_named, n] of the first `n_named`.

        The heads compute in float32 whatever the face embedding does.
        """
        embedded = self.trunk(faces)  # [B, 64]
        with torch.autocast(embedded.device.type, enabled=False):
            embedded = embedded.float()
            return self.discriminator(embedded)[:, 0], self.classifier(embedded[:n_named])


class Trainer(loop.Trainer):
    """Networks, optimisers and random streams of one run, and one iteration over them.

    Parameters
    ----------
    samples : Tensor, optional
        Voice embeddings float [n, dim] whose faces are drawn every ``settings.sample_every`` iterations.
    start : tuple of Sampler and FaceCode, optional
        Then the generator is the code's, as it was learned, and draws from codes that the frozen sampler draws for
        the voices; without it, an untrained one draws from voice embeddings.

    Raises
    ------
    TrainingError: a batch that the processes of `setup` cannot share equally
    """

    SECTION = "gan"
    PARTS = ("generator", "critics", "generator_adam", "critics_adam", "batches", "noise")
    settings: Gan

    def __init__(
        self,
        pairs: Pairs,
        *,
        settings: Gan,
        setup: loop.Setup,
        samples: Tensor | None = None,
        start: tuple[Sampler, FaceCode] | None = None,
    ) -> None:
        s, device = settings, pairs.device
        super().__init__(s, setup=setup, device=device)
        self.pairs, self.samples = pairs, samples
        self.sheets: dict[str, np.ndarray] = {}
        init = seeding.torch_stream(setup.seed, "init")
        self.sampler: Sampler | None = None
        if start is None:
            new = partial(Generator, width=s.width, norm=s.norm, tanh=s.tanh, head=s.head)
            generator = seeded(partial(new, embedding_dim=pairs.tracks.dim), generator=init)
        else:
            self.sampler = start[0].to(device).eval().requires_grad_(False)
            generator = copy.deepcopy(start[1].decoder).requires_grad_(True)
        self.generator = self.peers.synchronised(generator, device=device)
        trunk = seeded(lambda: FaceEmbedding(width=s.width), generator=init)
        discriminator = seeded(lambda: Classifier(n_outputs=1), generator=init)
        classifier = seeded(lambda: Classifier(n_outputs=pairs.n_identities), generator=init)
        self.critics = Critics(trunk, discriminator, classifier)
        for network in (self.generator, self.critics):
            loop.channels_last(network, device).train()
        adam = partial(torch.optim.Adam, betas=(s.beta_1, s.beta_2), fused=True)
        self.generator_adam = adam(self.generator.parameters(), lr=s.learning_rate_generator)
        self.critics_adam = adam(self.critics.parameters(), lr=s.learning_rate_discriminator)
        self.batches, self.noise = self.stream("batches"), self.stream("noise")
        # Wrapped and compiled is what computes; the modules themselves keep the weights, under their own names.
        # The generator's step asks the critics without teaching them, so past the wrapper.
        self._generate = self.shared(self.generator)
        self._teach = self.shared(self.critics)
        self._ask = self.compiled(self.critics) if self.peers.n > 1 else self._teach

    def extra(self) -> dict[str, Tensor]:
        """Samples drawn so far."""
        return {f"samples.{name}": torch.from_numpy(faces) for name, faces in self.sheets.items()}

    def take_extra(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `extra` gave."""
        self.sheets = {k.removeprefix("samples."): v.numpy() for k, v in tensors.items() if k.startswith("samples.")}

    def observe(self, *, last: bool) -> None:
        """Draw the samples, at every ``settings.sample_every``-th iteration and the last."""
        if self.samples is not None and (self.step % self.settings.sample_every == 0 or last):
            self.sheets[f"{self.step:08d}"] = self.draw(self.samples.to(self.device))

    def iterate(self, *, report: bool = False) -> dict[str, Tensor]:
        """One iteration; returns its losses as tensors, so that nothing waits for the device.

        With `report` also norms of the gradients (`grad_generator`, `grad_critics`), the share of faces on the right
        side of zero (`d_right`), the distance of the mean scores (`score_gap`), and the deviation of the drawn faces
        from one another, as a share of the real ones' (`diversity`).
        """
        pairs = self.pairs
        self.step += 1
        # Every process draws the whole batch of B and keeps its own part, of B / n.
        recordings = self._draw(len(pairs.tracks))  # [B]
        inputs = self.peers.mine(self._inputs(recordings))  # [B / n, dim]
        identities = pairs.recording_identities[self.peers.mine(recordings)]  # [B / n]
        if self.device == "cuda":
            torch.compiler.cudagraph_mark_step_begin()
        with loop.autocast(self.device, self.setup.precision):
            fake = self._generate(inputs).float()  # [B / n, 3, 64, 64]
        values = self._teach_critics(fake.detach(), report=report)
        loss = self._judge(fake, identities, values=values)
        self.generator_adam.zero_grad()
        loss.backward()
        if report:
            values["grad_generator"] = loop.gradient_norm(list(self.generator.parameters()))
            values["diversity"] = self._diversity(fake.detach())
        self.generator_adam.step()
        values = {name: value.detach() for name, value in values.items()}
        return self.peers.mean(values) if report else values

    def _teach_critics(self, fake: Tensor, *, report: bool) -> dict[str, Tensor]:
        """One step of face embedding, real/fake head and identity head."""
        pairs = self.pairs
        picked = self.peers.mine(self._draw(pairs.n_faces))
        real, real_identities = self._faces(picked), pairs.face_identities[picked]
        self.critics.requires_grad_(True)
        with loop.autocast(self.device, self.setup.precision):
            scores, logits = self._teach(torch.cat([real, fake]), len(real))  # [2B], [B, n_identities]
        score_real, score_fake = scores.chunk(2)
        loss_d = F.softplus(-score_real).mean() + F.softplus(score_fake).mean()  # binary cross-entropy on logits
        loss_c = F.cross_entropy(logits, real_identities)
        self.critics_adam.zero_grad()
        (loss_d + loss_c).backward()
        values = {"d": loss_d, "c": loss_c, "score_real": score_real.mean(), "score_fake": score_fake.mean()}
        if report:
            values["d_right"] = torch.cat([score_real > 0, score_fake < 0]).float().mean()
            values["score_gap"] = (values["score_real"] - values["score_fake"]).abs()
            values["grad_critics"] = loop.gradient_norm(list(self.critics.parameters()))
        self.critics_adam.step()
        return values

    def _judge(self, fake: Tensor, identities: Tensor, *, values: dict[str, Tensor]) -> Tensor:
        """The generator's loss before the critics."""
        s = self.settings
        self.critics.requires_grad_(False)
        with loop.autocast(self.device, self.setup.precision):
            scores, logits = self._ask(fake, len(fake))
        values["g_real"] = F.softplus(-scores).mean()
        values["g_identity"] = F.cross_entropy(logits, identities)
        return s.weight_real * values["g_real"] + s.weight_identity * values["g_identity"]

    def _diversity(self, fake: Tensor) -> Tensor:
        """How far drawn faces [B, 3, 64, 64] lie from one another, as a share of what real ones do."""
        n = self.pairs.n_faces  # in the order of their people: from all over them
        places = torch.linspace(0, n - 1, min(4 * self.settings.batch_size, n), device=self.device).round().long()
        real = self.pairs.images(places)
        return fake.std(0).mean() / real.std(0).mean()

    @torch.no_grad()
    def draw(self, embeddings: Tensor) -> np.ndarray:
        """Faces uint8 [n, 64, 64, 3] of unit embeddings float [n, dim]."""
        self.generator.eval()
        if self.sampler is None:
            faces = draw(self.generator, embeddings)
        else:
            faces = rendered(self.generator, self.sampler.typical(embeddings))
        self.generator.train()
        return faces

    def _draw(self, n: int) -> Tensor:
        return torch.randint(n, (self.settings.batch_size,), generator=self.batches, device=self.device)

    def _inputs(self, recordings: Tensor) -> Tensor:
        """What the generator draws from: noisy voice embeddings of crops, or codes that are drawn for them."""
        s = self.settings
        if self.sampler is not None:
            crops = self.pairs.tracks.crops(recordings, s.min_crop_s, s.max_crop_s, draws=self.batches)
            shape = (len(crops), 1, self.sampler.dim)
            noise = torch.randn(shape, generator=self.noise, device=self.device)
            return self.sampler.draw(crops, noise)[:, 0]
        clean = unit(self.pairs.tracks.crops(recordings, s.min_crop_s, s.max_crop_s, draws=self.batches))
        return unit(clean + s.noise * torch.randn(clean.shape, generator=self.noise, device=self.device))

    def _faces(self, picked: Tensor) -> Tensor:
        faces = self.pairs.images(picked)  # [B, 3, 64, 64]
        if self.settings.flip:
            chances = torch.rand(self.settings.batch_size, generator=self.batches, device=self.device)
            mirrored = self.peers.mine(chances < 0.5)
            faces = torch.where(mirrored[:, None, None, None], faces.flip(3), faces)
        return faces.contiguous(memory_format=torch.channels_last)


def train(
    pairs: Pairs,
    *,
    settings: Gan,
    setup: loop.Setup,
    place: loop.Place,
    samples: Tensor,
    start: tuple[Sampler, FaceCode] | None = None,
) -> Trainer:
    """Train to ``settings.steps``, going on from the last good save of the same parameters.

    `place` also gets ``samples.npz``: faces of `samples` over time. Parameters are those of `Trainer`.

    Raises
    ------
    TrainingError
        A value that is not finite, or a bad sign where ``settings.on_trouble`` is "stop"; the last good save stays.
    """
    setup = loop.begun(setup, place=place)
    trainer = Trainer(pairs, settings=settings, setup=setup, samples=samples, start=start)
    loop.run(trainer, place=place, watch=Watch(on_trouble=settings.on_trouble))
    if setup.peers.primary:
        with files.whole(place.folder / "samples.npz") as beside:
            np.savez_compressed(beside, allow_pickle=False, **trainer.sheets)
    return trainer
