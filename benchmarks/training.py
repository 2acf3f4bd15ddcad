"""Speed of GAN training against the loop of the 2019 code: iterations a second, operations, memory.

Usage: python benchmarks/training.py [--rounds 5] [--iterations 3] [--threads N] [--quick] [--profile]
Networks at full width, batch of 128, random data that lies in memory (on a GPU in its own). Every variant runs a block
of a few iterations in turn, round by round, in one process, so that what else the machine does falls on all alike;
memory is that of a fresh process each. Where torch sees a GPU, the same is measured there too. About six minutes on
two cores, five with ``--iterations 2``.

The literal loop runs the face trunk twice on the real batch and once on the drawn one in the discriminator's step,
twice on the drawn one in the generator's, where gradients of the critics are computed too and thrown away; embeds the
voices in every step (without gradients); reads five losses back a step; NCHW, float32 without TF32, Adam as a loop over
parameters. It is written out here, so that it does not move with the library.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import preprocessing
import torch
from preprocessing import middle
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from s2f.settings import Gan
from s2f.study import params
from s2f.training import gan, loop
from s2f.training.data import Pairs
from s2f.training.tracks import Tracks

N_IDENTITIES, N_RECORDINGS, N_FACES = 924, 1_848, 3_696  # identities of the 2019 training split
N_FRAMES, N_VECTORS = 1_000, 31  # of every recording: log-mel frames, and rows of its track
LITERAL, SHARED, FLOAT32, BFLOAT16 = VARIANTS = (
    "(a) literal loop",
    "(b) trunk once a use",
    "(c) engine, float32",
    "(c) engine, bfloat16",
)
LIMITS = {"cpu": {FLOAT32: 1.7, BFLOAT16: 2.8}, "cuda": {BFLOAT16: 8.0}}  # times the literal loop's speed
RUN, RUN_LIMIT_S = 50_000, 150  # iterations of a whole training, and their time on one H200
PEAK_SIZES = (1_024, 2_048, 4_096)


@dataclass(frozen=True)
class Data:
    """Random voices and faces, as both sides want them."""

    frames: np.ndarray  # float16 [n_recordings, 64, 1000]
    faces: np.ndarray  # uint8 [n_faces, 64, 64, 3]

    def pairs(self, device: str) -> Pairs:
        rng = np.random.default_rng(1)
        rows = rng.standard_normal((N_RECORDINGS * N_VECTORS, 64), np.float32)
        tracks = Tracks(rows, np.arange(N_RECORDINGS + 1) * N_VECTORS, np.arange(N_RECORDINGS), device=device)
        recordings, faces = (np.arange(n) % N_IDENTITIES for n in (N_RECORDINGS, N_FACES))
        return Pairs(tracks, recordings, self.faces, faces, device=device, resident=True)


def synthetic() -> Data:
    rng = np.random.default_rng(0)
    frames = np.empty((N_RECORDINGS, 64, N_FRAMES), np.float16)
    for part in frames:
        part[:] = rng.standard_normal(part.shape, np.float32)
    return Data(frames, rng.integers(0, 256, (N_FACES, 64, 64, 3), np.uint8))


class Literal:
    """The 2019 code's iteration; with `shared`, the trunk runs once a use instead."""

    def __init__(self, data: Data, *, settings: Gan, device: str, shared: bool) -> None:
        torch.manual_seed(0)
        self.device, self.settings, self.shared = device, settings, shared
        voice, generator, trunk = (_plain(kind, settings.width) for kind in ("voice", "generator", "trunk"))
        discriminator, classifier = (nn.Linear(64, n, bias=False) for n in (1, N_IDENTITIES))
        self.voice = voice.to(device).eval().requires_grad_(False)
        self.networks = [network.to(device).train() for network in (generator, trunk, discriminator, classifier)]
        self.adams = [
            torch.optim.Adam(network.parameters(), lr=lr, betas=(0.5, 0.999), foreach=False, fused=False)
            for network, lr in zip(
                self.networks,
                [settings.learning_rate_generator, *[settings.learning_rate_discriminator] * 3],
                strict=True,
            )
        ]
        self.frames = torch.from_numpy(data.frames).to(device)
        self.faces = torch.from_numpy(data.faces).permute(0, 3, 1, 2).contiguous().to(device)

    def iterate(self) -> None:
        s, n, shared = self.settings, self.settings.batch_size, self.shared
        generator, trunk, discriminator, classifier = self.networks
        faces, face_labels = self._faces(n)
        voices, voice_labels = self._voices(n)
        ones, zeros = torch.ones(n, 1, device=self.device), torch.zeros(n, 1, device=self.device)
        embeddings = F.normalize(self.voice(voices).mean(2))
        embeddings = F.normalize(embeddings + s.noise * torch.randn_like(embeddings))
        fake = generator(embeddings[:, :, None, None])  # [B, 3, 64, 64]

        for adam in self.adams[1:]:
            adam.zero_grad()
        real = trunk(faces).flatten(1)  # [B, 64]
        loss_real = _judged(discriminator(real), ones)
        loss_fake = _judged(discriminator(trunk(fake.detach()).flatten(1)), zeros)
        loss_named = F.cross_entropy(classifier(real if shared else trunk(faces).flatten(1)), face_labels)
        (loss_real + loss_fake + loss_named).backward()
        _ = loss_real.item(), loss_fake.item(), loss_named.item()
        for adam in self.adams[1:]:
            adam.step()

        self.adams[0].zero_grad()
        drawn = trunk(fake).flatten(1)
        loss_real = _judged(discriminator(drawn), ones)
        loss_named = F.cross_entropy(classifier(drawn if shared else trunk(fake).flatten(1)), voice_labels)
        (loss_real + loss_named).backward()
        _ = loss_real.item(), loss_named.item()
        self.adams[0].step()

    def _faces(self, n: int) -> tuple[Tensor, Tensor]:
        picked = torch.randint(N_FACES, (n,), device=self.device)
        faces = (self.faces[picked].float() - 127.5) / 127.5  # [B, 3, 64, 64]
        mirrored = torch.rand(n, 1, 1, 1, device=self.device) < 0.5
        return torch.where(mirrored, faces.flip(3), faces), picked % N_IDENTITIES

    def _voices(self, n: int) -> tuple[Tensor, Tensor]:
        """Crops of one random length: float [B, 64, 300 to 800]."""
        s = self.settings
        length = int(torch.randint(round(100 * s.min_crop_s), round(100 * s.max_crop_s) + 1, ()))
        picked = torch.randint(N_RECORDINGS, (n,), device=self.device)
        first = torch.randint(N_FRAMES - length + 1, (n,)).tolist()
        crops = [self.frames[k, :, a : a + length] for k, a in zip(picked.tolist(), first, strict=True)]
        return torch.stack(crops).float(), picked % N_IDENTITIES


def _judged(scores: Tensor, wanted: Tensor) -> Tensor:
    return F.binary_cross_entropy(torch.sigmoid(scores), wanted)


def _plain(kind: str, width: float) -> nn.Sequential:
    """A network of the 2019 code."""
    layers: list[nn.Module] = []
    if kind == "voice":
        for n_in, n_out in itertools.pairwise((64, 256, 384, 576, 864)):
            conv = nn.Conv1d(n_in, n_out, 3, stride=2, padding=1, bias=False)
            layers += [conv, nn.BatchNorm1d(n_out), nn.ReLU()]
        return nn.Sequential(*layers, nn.Conv1d(864, 64, 3, stride=2, padding=1))
    if kind == "generator":
        channels = [64, *(round(width * c) for c in (1_024, 512, 256, 128, 64))]
        for i, (n_in, n_out) in enumerate(itertools.pairwise(channels)):
            stride, padding = (1, 0) if i == 0 else (2, 1)
            layers += [nn.ConvTranspose2d(n_in, n_out, 4, stride=stride, padding=padding), nn.ReLU()]
        return nn.Sequential(*layers, nn.ConvTranspose2d(channels[-1], 3, 1))
    channels = [round(width * c) for c in (32, 64, 128, 256, 512)]
    layers = [nn.Conv2d(3, channels[0], 1), nn.LeakyReLU(0.2)]
    for n_in, n_out in itertools.pairwise(channels):
        layers += [nn.Conv2d(n_in, n_out, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], 64, 4))


def start(variant: str, data: Data, *, settings: Gan, device: str, compile_mode: str = "auto") -> Callable[[], object]:
    """One iteration of a variant, as a function."""
    if variant in (LITERAL, SHARED):
        return Literal(data, settings=settings, device=device, shared=variant == SHARED).iterate
    setup = loop.Setup(0, precision=variant.rpartition(" ")[2], compile_mode=compile_mode)
    return gan.Trainer(data.pairs(device), settings=settings, setup=setup).iterate


def same_networks(data: Data, settings: Gan) -> None:
    """Both sides train the same weights, or this compares nothing."""
    literal = Literal(data, settings=settings, device="cpu", shared=False)
    engine = gan.Trainer(data.pairs("cpu"), settings=settings, setup=loop.Setup(0))
    ours = [engine.generator, engine.critics.trunk, engine.critics.discriminator, engine.critics.classifier]
    for plain, network in zip(literal.networks, ours, strict=True):
        shapes = [[p.shape for p in part.parameters()] for part in (plain, network)]
        if shapes[0] != shapes[1]:
            raise SystemExit(f"the engine's {type(network).__name__} is not that of the 2019 code")


def block(iterate: Callable[[], object], *, n: int, device: str, tf32: bool) -> tuple[float, float]:
    """Seconds an iteration over `n` of them, and how many cores everything else kept busy meanwhile."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    _wait(device)
    started, own, busy = time.perf_counter(), time.process_time(), preprocessing._busy_s()
    for _ in range(n):
        iterate()
    _wait(device)
    wall, own, busy = time.perf_counter() - started, time.process_time() - own, preprocessing._busy_s() - busy
    return wall / n, max(0.0, busy - own) / wall


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def matrix_product(dtype: torch.dtype, *, device: str, sizes: tuple[int, ...]) -> float:
    """Operations a second of the fastest square matrix product, without TF32."""
    torch.backends.cuda.matmul.allow_tf32 = False
    best = 0.0
    for size in sizes:
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        for _ in range(3):
            _wait(device)
            started = time.perf_counter()
            a @ b
            _wait(device)
            best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def operations(iterate: Callable[[], object], *, n: int) -> float:
    """Floating-point operations of an iteration, forward and backward: mean over `n`, whose crops differ in length."""
    with FlopCounterMode(display=False) as counter:
        for _ in range(n):
            iterate()
    return counter.get_total_flops() / n


def memory_mb(variant: str, *, device: str, threads: int, quick: bool) -> float:
    """Highest memory of a fresh process over three iterations, less what it held with its data and networks."""
    words = [sys.executable, __file__, "--alone", f"{device}/{variant}", "--threads", str(threads)]
    done = subprocess.run([*words, *(["--quick"] if quick else [])], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def alone(variant: str, data: Data, *, settings: Gan, device: str) -> float:
    iterate = start(variant, data, settings=settings, device=device, compile_mode="never")
    before = _resident_mb() if device == "cpu" else torch.cuda.memory_allocated() / 1e6
    for _ in range(3):
        iterate()
    if device == "cpu":
        return preprocessing._peak_mb(os.getpid()) * 1.048576 - before
    return torch.cuda.max_memory_allocated() / 1e6 - before


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def profile(data: Data, *, settings: Gan, device: str, n: int) -> None:
    kinds = [torch.profiler.ProfilerActivity.CPU]
    kinds += [torch.profiler.ProfilerActivity.CUDA] if device == "cuda" else []
    for variant in (FLOAT32, BFLOAT16):
        iterate = start(variant, data, settings=settings, device=device, compile_mode="never")
        iterate()
        with torch.profiler.profile(activities=kinds, record_shapes=True) as found:
            for _ in range(n):
                iterate()
            _wait(device)
        print(f"\n### {variant}, {device}, {n} iterations, not compiled\n")
        order = {"sort_by": f"self_{device}_time_total", "max_name_column_width": 44, "max_shapes_column_width": 60}
        print(found.key_averages().table(row_limit=16, **order))
        print(found.key_averages(group_by_input_shape=True).table(row_limit=30, **order))


def compare(data: Data, *, settings: Gan, device: str, n_rounds: int, n: int, args) -> None:
    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    sizes = PEAK_SIZES[:1] if args.quick else PEAK_SIZES
    counted = {
        v: operations(start(v, data, settings=settings, device=device, compile_mode="never"), n=1 if args.quick else 2)
        for v in VARIANTS
    }
    iterates = {v: start(v, data, settings=settings, device=device) for v in VARIANTS}
    for variant, iterate in iterates.items():  # kernels, caches and graphs, once
        block(iterate, n=5 if device == "cuda" else 1, device=device, tf32=variant not in (LITERAL, SHARED))
    seconds: dict[str, list[float]] = {v: [] for v in VARIANTS}
    others: list[float] = []
    peaks: dict[str, list[float]] = {name: [] for name in dtypes}
    for number in range(n_rounds):
        for name, dtype in dtypes.items():
            peaks[name].append(matrix_product(dtype, device=device, sizes=sizes))
        for variant in VARIANTS if number % 2 == 0 else VARIANTS[::-1]:
            tf32 = variant not in (LITERAL, SHARED)
            taken, busy = block(iterates[variant], n=n, device=device, tf32=tf32)
            seconds[variant].append(taken)
            others.append(busy)
    del iterates
    memory = {v: memory_mb(v, device=device, threads=args.threads, quick=args.quick) for v in VARIANTS}

    peak = {name: max(found) for name, found in peaks.items()}
    where = torch.cuda.get_device_name() if device == "cuda" else preprocessing._processor()
    threads = f"{args.threads} threads" if device == "cpu" else "TF32 in the engine's float32, compiled"
    print(f"## {where} ({threads})\n")
    print(
        f"{n_rounds} rounds of {n} iterations a variant. Fastest matrix products: "
        + ", ".join(
            f"{name} {value / 1e12:.2f} ({min(peaks[name]) / 1e12:.2f} in the slowest round)"
            for name, value in peak.items()
        )
        + f" TFLOP/s. Other work kept {middle(others, 2)} cores busy.\n"
    )
    print(
        "| variant | iterations a second | seconds an iteration | TFLOP an iteration "
        "| share of the matrix-product peak | peak memory above data and networks, MB |\n|---|---:|---:|---:|---:|---:|"
    )
    digits = 1 if device == "cuda" else 3
    for variant in VARIANTS:
        median = statistics.median(seconds[variant])
        kind = "bfloat16" if variant == BFLOAT16 else "float32"
        share = counted[variant] / median / peak[kind]
        print(
            f"| {variant} | {middle([1 / s for s in seconds[variant]], digits)} | {middle(seconds[variant], 4)} "
            f"| {counted[variant] / 1e12:.3f} | {100 * share:.0f} % of {kind} | {memory[variant]:,.0f} |"
        )
    print("\n| ratio of speeds, each round | median (range) | limit | |\n|---|---:|---:|---|")
    for variant in VARIANTS[1:]:
        gains = [a / b for a, b in zip(seconds[LITERAL], seconds[variant], strict=True)]
        limit = LIMITS[device].get(variant)
        print(f"| {variant} / (a) | {middle(gains, 2)} | {_verdict(statistics.median(gains), limit)} |")
    gains = [a / b for a, b in zip(seconds[SHARED], seconds[FLOAT32], strict=True)]
    print(f"| {FLOAT32} / (b) | {middle(gains, 2)} | {_verdict(0, None)} |")
    if device == "cpu" and not _has_bfloat16():
        print("\nThis processor has no bfloat16 instructions: the limit for bfloat16 is not for it.")
    run_s = RUN * statistics.median(seconds[BFLOAT16])
    if device == "cuda":
        word = "within" if run_s <= RUN_LIMIT_S else "**ABOVE**"
        print(f"\n{RUN:,} iterations in bfloat16 take {run_s:,.0f} s: {word} the {RUN_LIMIT_S} s meant for one H200.")
    else:
        print(f"\n{RUN:,} iterations in bfloat16 would take {run_s / 3_600:,.1f} h here.")


def _verdict(found: float, limit: float | None) -> str:
    if limit is None:
        return "– | "
    return f"at least {limit:g} | {'reached' if found >= limit else '**NOT REACHED**'}"


def _has_bfloat16() -> bool:
    with contextlib.suppress(OSError):
        return any(name in Path("/proc/cpuinfo").read_text() for name in ("amx_bf16", "avx512_bf16", " bf16"))
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=3, help="of a block on the CPU; a GPU's has 50 times as many")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="small networks, to see that it runs; verdicts say little")
    parser.add_argument("--profile", action="store_true", help="print where the engine's time goes instead")
    parser.add_argument("--alone", metavar="DEVICE/VARIANT", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    root = Path(__file__).resolve().parents[1]
    settings = params.resolve("voxceleb", root=root, overrides={"recipe": "wen2019"}).gan
    if args.quick:
        settings = settings.model_copy(update={"width": 0.125, "batch_size": 16})
    data = synthetic()
    if args.alone:
        device, _, variant = args.alone.partition("/")
        print(json.dumps(alone(variant, data, settings=settings, device=device)))
        return
    same_networks(data, settings)
    started = time.perf_counter()
    print(
        f"{date.today()}, torch {torch.__version__}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at "
        f"the start. Random data in memory: {N_IDENTITIES} identities, {N_RECORDINGS:,} recordings of {N_FRAMES} "
        f"frames and as tracks, {N_FACES:,} faces. Width {settings.width:g}, batch of {settings.batch_size}.\n",
        flush=True,
    )
    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        if args.profile:
            profile(data, settings=settings, device=device, n=args.iterations)
            continue
        n_rounds = min(2, args.rounds) if args.quick else args.rounds
        n = 1 if args.quick else args.iterations * (50 if device == "cuda" else 1)
        compare(data, settings=settings, device=device, n_rounds=n_rounds, n=n, args=args)
    print(f"\nLoad average {os.getloadavg()[0]:.1f} at the end; {time.perf_counter() - started:.0f} s in all.")


if __name__ == "__main__":
    main()
