"""Learning to draw face codes from a voice: the sampler of one variant, from its own people only.

A recording's random crop and the code of a random photograph of the same person are a draw from what the voice leaves
open, which is all that either kind of sampler needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from s2f import seeding
from s2f.networks.codes import FaceCode, Sampler
from s2f.networks.models import scaled, seeded
from s2f.settings import Sampler as Settings
from s2f.training import autoencoder, loop, saves
from s2f.training.data import Pairs
from s2f.training.health import Watch

HIDDEN = 256  # numbers of a residual layer at width 1
N_REPEATED = 20  # fewest second, third … recordings of people that say how far recordings of one person lie apart
TYPICAL = 0.2  # of a deviation: about what that is along the leading axes where it is known (`benchmarks/RESULTS.md`)


class Trainer(loop.Trainer):
    """Network, optimiser and random streams of one sampler, and one step over them.

    Parameters
    ----------
    codes : Tensor, float [k, n_faces, dim]
        Codes of the photographs of `pairs`, in k ways of looking at them, such as mirrored.

    Raises
    ------
    TrainingError: a batch that the processes of `setup` cannot share equally
    """

    SECTION = "sampler"
    PARTS = ("network", "average", "adam", "batches", "noise")
    settings: Settings

    def __init__(self, pairs: Pairs, codes: Tensor, *, settings: Settings, setup: loop.Setup) -> None:
        s, device = settings, pairs.device
        super().__init__(s, setup=setup, device=device)
        assert s.kind != "none"
        self.pairs, self.codes = pairs, codes.to(device)
        new = partial(network, s, embedding_dim=pairs.tracks.dim, dim=codes.shape[2])
        self.network = seeded(new, generator=seeding.torch_stream(setup.seed, "init"))
        # On the CPU, where sums have one order.
        recordings, people = pairs.tracks.whole().cpu(), pairs.recording_identities.cpu()
        self.network.learn_axes(recordings)
        self.network.learn_told(recordings, mean_codes(codes.cpu(), pairs.face_identities.cpu())[people])
        apart = within_people(self.network.condition(recordings), people)
        self.network.to(device).train()
        if apart is None:
            if self.peers.primary:
                print(f"Too few people have two recordings to say how far these lie apart: {TYPICAL} deviations, then.")
            apart = torch.full((self.network.axes.shape[1],), TYPICAL)
        self.unsure = (s.noise * apart).to(device)
        self.average = new().to(device).eval()
        self.average.load_state_dict(self.network.state_dict())
        self.average.requires_grad_(False)
        self.adam = torch.optim.Adam(self.network.parameters(), lr=s.learning_rate, fused=True)
        self.batches, self.noise = self.stream("batches"), self.stream("noise")
        self._ask = self.shared(self.network)

    def extra(self) -> dict[str, Tensor]:
        """The noise on each axis, which is measured along the axes that are saved."""
        return {"unsure": self.unsure}

    def take_extra(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `extra` gave."""
        self.unsure = tensors["unsure"].to(self.device)

    def iterate(self, *, report: bool = False) -> dict[str, Tensor]:
        """One step; returns its loss, and with `report` the length of its gradients."""
        s = self.settings
        self.step += 1
        self.adam.param_groups[0]["lr"] = s.learning_rate * loop.decayed(self.step, s.steps, decay_from=s.decay_from)
        parts = tuple(self.peers.mine(part) for part in self._batch())
        loss = self._flow_loss(*parts) if s.kind == "flow" else self._energy_loss(*parts)
        self.adam.zero_grad()
        loss.backward()
        values = {"loss": loss.detach()}
        if report:
            values["grad_network"] = loop.gradient_norm(list(self.network.parameters()))
        self.adam.step()
        if s.average_decay:
            loop.follow(self.average, self.network, decay=s.average_decay, step=self.step)
        return self.peers.mean(values) if report else values

    def _batch(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Voices [B, n_axes], whether each is told [B], codes [B, dim], times [B] and noise [B, 2, dim]."""
        s, n, pairs = self.settings, self.settings.batch_size, self.pairs
        recordings = torch.randint(len(pairs.tracks), (n,), generator=self.batches, device=self.device)
        crops = pairs.tracks.crops(recordings, s.min_crop_s, s.max_crop_s, draws=self.batches)
        voices = self.network.condition(crops)
        voices = voices + self.unsure * self._normal(voices.shape)
        known = (self._uniform(n, 1)[:, 0] >= s.dropped).float()
        photos = pairs.photographs_of(pairs.recording_identities[recordings], self._uniform(n, 1))[:, 0]
        way = (self._uniform(n, 1)[:, 0] * len(self.codes)).long()
        wanted = self.codes[way, photos]
        if s.smoothing:
            wanted = wanted + s.smoothing * self._normal(wanted.shape)
        return voices, known, wanted, self._uniform(n, 1)[:, 0], self._normal((n, 2, wanted.shape[1]))

    def _flow_loss(self, voices: Tensor, known: Tensor, wanted: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """Squared error of the velocity on the straight way from noise to code (Lipman et al. 2023, equation 23)."""
        begin = noise[:, 0]
        place = torch.lerp(begin, wanted, times[:, None])  # [B, dim]
        with loop.autocast(self.device, self.setup.precision):
            velocity = self._ask(place, times, voices, known)
        return F.mse_loss(velocity.float(), wanted - begin)

    def _energy_loss(self, voices: Tensor, known: Tensor, wanted: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """Energy score of two draws a voice, without bias (Shen and Meinshausen 2023, equation 6)."""
        told = [torch.cat([part, part]) for part in (0 * times, voices, known)]  # one call for both draws
        with loop.autocast(self.device, self.setup.precision):
            drawn = self._ask(noise.transpose(0, 1).flatten(0, 1), *told)  # [2B, dim]
        one, other = drawn.float().chunk(2)
        near = (torch.linalg.vector_norm(draw - wanted, dim=1).mean() for draw in (one, other))
        return sum(near) / 2 - torch.linalg.vector_norm(one - other, dim=1).mean() / 2

    def kept(self) -> Sampler:
        """The network that is kept, in evaluation mode: the running average where there is one."""
        return (self.average if self.settings.average_decay else self.network).eval()

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.batches, device=self.device)

    def _normal(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self.noise, device=self.device)


def within_people(values: Tensor, people: Tensor) -> Tensor | None:
    """Standard deviation float [k] of values [n, k] among the recordings of one person, `people` int [n] of all.

    None where there are fewer than `N_REPEATED` recordings beside the first of their people.
    """
    counts = torch.bincount(people)
    if (counts - 1).clamp(min=0).sum() < N_REPEATED:
        return None
    totals = values.new_zeros(len(counts), values.shape[1]).index_add_(0, people, values)
    off = values - (totals / counts.clamp(min=1)[:, None])[people]
    return ((off**2).sum(0) / (counts - 1).clamp(min=0).sum()).sqrt()


def mean_codes(codes: Tensor, people: Tensor) -> Tensor:
    """Mean code float [n_people, dim] of each person's photographs: `codes` [k, n_faces, dim], `people` [n_faces]."""
    each = codes.mean(0)  # [n_faces, dim]
    counts = torch.bincount(people)
    return each.new_zeros(len(counts), each.shape[1]).index_add_(0, people, each) / counts[:, None]


def codes_of(code: FaceCode, pairs: Pairs, *, flip: bool) -> Tensor:
    """Codes of all photographs as they are, and with `flip` of their mirror images too: float [k, n_faces, dim]."""
    code = loop.channels_last(code, pairs.device).eval()
    ways = (False, True) if flip else (False,)
    found = torch.stack([autoencoder.encode(code, pairs, mirrored=way) for way in ways])
    code.cpu()  # where it came from
    return found


def network(settings: Settings, *, embedding_dim: int, dim: int) -> Sampler:
    """A sampler as parameters describe it, which has learned nothing, of codes of `dim` numbers."""
    s = settings
    assert s.kind != "none"
    return Sampler(
        embedding_dim=embedding_dim,
        kind=s.kind,
        dim=dim,
        width=scaled(HIDDEN, s.width),
        n_layers=s.n_layers,
        n_axes=s.n_axes,
        n_steps=s.n_steps,
        guidance=s.guidance,
    )


def train(pairs: Pairs, code: FaceCode, *, settings: Settings, setup: loop.Setup, place: loop.Place) -> Sampler:
    """Train a variant's sampler, going on from the last good save of the same fingerprint.

    Gives it in evaluation mode, on the CPU. What `place.fingerprint` says must move with the face code too.

    Raises
    ------
    TrainingError: a value that is not finite; the last good save stays
    """
    setup = loop.begun(setup, place=place)
    trainer = Trainer(pairs, codes_of(code, pairs, flip=settings.flip), settings=settings, setup=setup)
    loop.run(trainer, place=place, watch=Watch(section="sampler"))
    return trainer.kept().cpu()


def saved(place: loop.Place, *, settings: Settings) -> dict[str, Tensor] | None:
    """Weights of the network that `train` gives, where a save of the same fingerprint has all steps; else None."""
    found = saves.latest(place.folder / "state", fingerprint=place.fingerprint)
    if found is None or found[1]["step"] != settings.steps:
        return None
    prefix = "average." if settings.average_decay else "network."
    return {key.removeprefix(prefix): value for key, value in found[0].items() if key.startswith(prefix)}
