"""Learning a face code from photographs alone: they are taken to a few numbers and drawn again.

What is drawn is compared with the photograph, pixel by pixel, and later also by a discriminator, whose features of the
two must agree and whose verdict counts a little. Voices play no part.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import update_bn

from s2f import seeding
from s2f.errors import TrainingError
from s2f.networks.codes import FaceCode, FaceDiscriminator
from s2f.networks.models import seeded, start_smooth
from s2f.settings import Code
from s2f.training import loop
from s2f.training.data import Photos
from s2f.training.health import Watch

N_SETTLED = 8192  # photographs, at most, that the statistics of batch norm are taken from in the end
BATCH = 256  # photographs at a time where nothing is learned


class Trainer(loop.Trainer):
    """Networks, optimisers and random streams of one face code, and one iteration over them.

    Raises
    ------
    TrainingError: fewer than two photographs
    """

    SECTION = "code"
    PARTS = ("network", "average", "discriminator", "network_adam", "discriminator_adam", "batches", "noise")
    settings: Code

    def __init__(self, photos: Photos, *, settings: Code, setup: loop.Setup) -> None:
        s, device = settings, photos.device
        super().__init__(s, setup=setup, device=device)
        if photos.n_faces < 2:
            remedy = "Give more: there is nothing to tell apart."
            raise TrainingError("face code", f"has {photos.n_faces} photograph(s) to learn from", remedy=remedy)
        self.photos = photos
        init = seeding.torch_stream(setup.seed, "init")
        new = partial(FaceCode, width=s.width, dim=s.dim)
        network = seeded(new, generator=init)
        if s.smooth_start:
            start_smooth(network.decoder, generator=init)
        self.network = network
        self.discriminator = seeded(lambda: FaceDiscriminator(width=s.discriminator_width), generator=init)
        loop.channels_last(self.network, device).train()
        loop.channels_last(self.discriminator, device).train()
        self.average = loop.channels_last(new(), device).eval()
        self.average.load_state_dict(self.network.state_dict())
        self.average.requires_grad_(False)
        adam = partial(torch.optim.Adam, betas=(s.beta_1, s.beta_2), fused=True)
        self.network_adam = adam(self.network.parameters(), lr=s.learning_rate_generator)
        self.discriminator_adam = adam(self.discriminator.parameters(), lr=s.learning_rate_discriminator)
        self.batches, self.noise = self.stream("batches"), self.stream("noise")
        self._draw_again, self._ask = self.compiled(self.network), self.compiled(self.discriminator)

    def iterate(self, *, report: bool = False) -> dict[str, Tensor]:
        """One iteration; returns its losses as tensors. With `report` also what `gan.Trainer.iterate` gives of them."""
        s = self.settings
        self.step += 1
        factor = loop.decayed(self.step, s.steps, decay_from=s.decay_from)
        self.network_adam.param_groups[0]["lr"] = factor * s.learning_rate_generator
        self.discriminator_adam.param_groups[0]["lr"] = factor * s.learning_rate_discriminator
        real = self._photographs()  # [B, 3, 64, 64]
        noise = torch.randn(s.batch_size, s.dim, generator=self.noise, device=self.device)
        if self.device == "cuda":
            torch.compiler.cudagraph_mark_step_begin()
        with loop.autocast(self.device, self.setup.precision):
            made = self._draw_again(real, s.noise * noise).float()  # [B, 3, 64, 64]
        off = made - real
        values = {"g_pixel": off.abs().mean(), "g_edge": edge_error(off, scale=s.edge_scale)}
        loss = s.weight_pixel * values["g_pixel"] + s.weight_edge * values["g_edge"]
        if self.step > round(s.discriminator_from * s.steps):
            values |= self._teach_discriminator(real, made.detach(), report=report)
            values |= self._judged(real, made)
            loss = loss + s.weight_real * values["g_real"] + s.weight_feature * values["g_feature"]
        self.network_adam.zero_grad()
        loss.backward()
        if report:
            values["grad_generator"] = loop.gradient_norm(list(self.network.parameters()))
            values["diversity"] = made.detach().std(0).mean() / real.std(0).mean()
        self.network_adam.step()
        if s.average_decay:
            loop.follow(self.average, self.network, decay=s.average_decay, step=self.step)
        return {name: value.detach() for name, value in values.items()}

    def _photographs(self) -> Tensor:
        """Random photographs, half of them mirrored where that is asked: float [B, 3, 64, 64]."""
        n = self.settings.batch_size
        picked = torch.randint(self.photos.n_faces, (n,), generator=self.batches, device=self.device)
        faces = self.photos.images(picked)
        if self.settings.flip:
            mirrored = torch.rand(n, generator=self.batches, device=self.device) < 0.5
            faces = torch.where(mirrored[:, None, None, None], faces.flip(3), faces)
        return faces.contiguous(memory_format=torch.channels_last)

    def _teach_discriminator(self, real: Tensor, made: Tensor, *, report: bool) -> dict[str, Tensor]:
        """One step of the discriminator, by the hinge loss (Miyato et al. 2018, equation 17)."""
        self.discriminator.requires_grad_(True)
        with loop.autocast(self.device, self.setup.precision):
            *scores, _ = self._ask(torch.cat([real, made]))
        of_real, of_made = zip(*(score.chunk(2) for score in scores), strict=True)  # of the whole, of the parts
        losses = (F.relu(1 - one).mean() + F.relu(1 + two).mean() for one, two in zip(of_real, of_made, strict=True))
        values = {"d": torch.stack(list(losses)).mean()}
        self.discriminator_adam.zero_grad()
        values["d"].backward()
        if report:
            values["d_right"] = torch.cat([of_real[0] > 0, of_made[0] < 0]).float().mean()
            values["score_gap"] = (of_real[0].mean() - of_made[0].mean()).abs()
            values["grad_critics"] = loop.gradient_norm(list(self.discriminator.parameters()))
        self.discriminator_adam.step()
        return values

    def _judged(self, real: Tensor, made: Tensor) -> dict[str, Tensor]:
        """What the discriminator says of the drawn faces, and how far what it looked at is from the photographs'."""
        self.discriminator.requires_grad_(False)
        with loop.autocast(self.device, self.setup.precision):
            with torch.no_grad():
                *_, wanted = self._ask(real)
                wanted = [each.clone() for each in wanted] if self.device == "cuda" else wanted  # graphs reuse memory
            *scores, found = self._ask(made)
        off = [(one - other).abs().mean(dtype=torch.float32) for one, other in zip(found, wanted, strict=True)]
        return {"g_real": -torch.stack([score.mean() for score in scores]).mean(), "g_feature": torch.stack(off).mean()}

    def kept(self) -> FaceCode:
        """The network that is kept, in evaluation mode: the running average where there is one.

        The statistics of its batch norm, which are those of other weights, are taken anew from training photographs.
        """
        network = self.average if self.settings.average_decay else self.network
        update_bn(self._settling(), network)
        return network.eval()

    def _settling(self) -> Iterator[Tensor]:
        """Photographs of all people mixed, every other one mirrored where that is asked."""
        mixed = torch.randperm(self.photos.n_faces, generator=seeding.torch_stream(self.setup.seed, "batches"))
        mixed = mixed[:N_SETTLED].to(self.device)
        for picked in mixed.tensor_split(-(-len(mixed) // BATCH)):  # of equal size: batch norm refuses a last one of 1
            faces = self.photos.images(picked)
            if self.settings.flip:
                faces[::2] = faces[::2].flip(3)
            yield faces.contiguous(memory_format=torch.channels_last)


def edge_error(off: Tensor, *, scale: float) -> Tensor:
    """How wrong the edges of drawn faces are, by the difference `off` [B, 3, 64, 64] to the photographs.

    An edge is the difference between pixels that are one step apart, and, half as much, two steps. The mean of
    scale · ln(1 + |error| / scale) is that of the absolute values where they are small, and counts large ones less and
    less: the log-sum penalty (Candès, Wakin and Boyd 2008, "Enhancing sparsity by reweighted l1 minimization"). So
    smooth ground and skin without stains come first, and only then each hair where the photograph has it.
    """
    apart = ((off[:, :, n:] - off[:, :, :-n], off[..., n:] - off[..., :-n]) for n in (1, 2))
    near, far = (torch.stack([(each.abs() / scale).log1p().mean() for each in pair]).sum() for pair in apart)
    return scale * (near + far / 2)


def train(photos: Photos, *, settings: Code, setup: loop.Setup, place: loop.Place) -> FaceCode:
    """Train a face code, going on from the last good save of the same fingerprint.

    Gives it in evaluation mode, on the CPU.

    Raises
    ------
    TrainingError
        A value that is not finite, or a bad sign where ``settings.on_trouble`` is "stop"; the last good save stays.
    """
    setup = loop.begun(setup, place=place)
    trainer = Trainer(photos, settings=settings, setup=setup)
    loop.run(trainer, place=place, watch=Watch(on_trouble=settings.on_trouble, section="code"))
    return trainer.kept().cpu()


@torch.no_grad()
def encode(network: FaceCode, photos: Photos, *, mirrored: bool = False) -> Tensor:
    """Codes of all photographs, as they are or mirrored, by a network in evaluation mode: float [n_faces, dim]."""
    parts = (faces.flip(3) if mirrored else faces for faces in photos.batches(BATCH))
    return torch.cat([network.encode(part.contiguous(memory_format=torch.channels_last)) for part in parts])
