"""Every parameter, declared once: its type, its bounds or choices, and what its value can change.

``params/base.yaml`` holds the values, with unit and source; `s2f.study.params` composes and checks them.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from s2f.errors import ParameterError


class Reach(Enum):
    """What a parameter can change, where that is less than its section's stage."""

    NOTHING = "results do not depend on it, so a change makes nothing stale"
    GAN = "the stages before what draws faces do not look at it"
    SHARED = "only trainings that several processes may share look at it"
    TRAINED = "a voice encoder that is loaded does not look at it"
    OWN = "what the packaged voice encoder makes does not depend on it"


def _whole(low: int, high: int = 10**8) -> FieldInfo:
    return Field(ge=low, le=high)


def _real(low: float, high: float) -> FieldInfo:
    return Field(ge=low, le=high, allow_inf_nan=False)


Share = Annotated[float, _real(0.0, 1.0)]
Weight = Annotated[float, _real(0.0, 1000.0)]
CropS = Annotated[float, _real(0.32, 10.0)]
Count = Annotated[int, _whole(1, 1024)]
Steps = Annotated[int, _whole(1)]


class Section(BaseModel):
    """A section of the parameters; nothing unknown, nothing of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def _ordered(self, low: str, high: str) -> None:
        section = type(self).__name__.lower()
        if getattr(self, low) > getattr(self, high):
            problem = f"is {getattr(self, low)}, above '{section}.{high}' ({getattr(self, high)})"
            raise ParameterError(f"parameter '{section}.{low}'", problem, remedy="Lower it or raise the other.")


class Machine(Section):
    """Section ``machine``: what a run computes on."""

    device: Annotated[Literal["auto", "cpu", "cuda"], Reach.OWN]
    n_threads: Annotated[Count, Reach.OWN]
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Reach.TRAINED]
    compile: Annotated[Literal["auto", "always", "never"], Reach.GAN]
    n_devices: Annotated[Count, Reach.SHARED]
    n_nodes: Annotated[Count, Reach.SHARED]
    rendezvous: Annotated[str, Reach.NOTHING]
    n_workers: Annotated[Count, Reach.NOTHING]


class Corpus(Section):
    """Section ``corpus``: whose voices and faces."""

    kind: Literal["synthetic", "voxceleb", "wen2019", "table"]
    root: str
    seed: Annotated[int, _whole(0, 2**31)]
    n_identities: Annotated[int, _whole(2, 10**6)]
    n_recordings: Annotated[int, _whole(2)]
    n_faces: Annotated[int, _whole(2)]
    min_s: Annotated[float, _real(1.0, 60.0)]
    max_s: Annotated[float, _real(1.0, 60.0)]
    size_px: Annotated[int, _whole(64, 512)]
    leak: Annotated[float, _real(0.0, 3.0)]
    voice_roots: list[str]
    face_roots: list[str]
    metas: list[str]
    metas_sha256: list[str] | None = None  # of the files; of such keys `params.resolve` sets those that have any
    table: str | None
    table_sha256: str | None = None
    duplicates: Literal["error", "drop"]

    @model_validator(mode="after")
    def _lengths(self) -> Corpus:
        self._ordered("min_s", "max_s")
        return self


class Split(Section):
    """Section ``split``: who is trained on, chosen on and tested on."""

    seed: Annotated[int | None, _whole(0, 2**31)]
    rule: Literal["by_fraction", "by_initial", "given", "none"]
    train: Share
    validation: Share
    test: Share
    fold_people: Share
    fold_fraction: Annotated[float, _real(0.0, 0.9)]

    @model_validator(mode="after")
    def _shares(self) -> Split:
        total = self.train + self.validation + self.test
        if self.rule == "by_fraction" and abs(total - 1.0) > 1e-6:
            problem = f"add up to {total:g}"
            remedy = "They are shares of all identities and must add up to 1."
            raise ParameterError("parameters 'split.train', 'split.validation', 'split.test'", problem, remedy=remedy)
        return self


class Store(Section):
    """Section ``store``: how files are preprocessed and packed."""

    shard_size: Annotated[int, _whole(1, 10**6), Reach.NOTHING]
    n_jobs: Annotated[int, _whole(0, 10**5), Reach.NOTHING]
    max_rejected: Share
    several_faces: Literal["prominent", "reject"]
    max_turn: Annotated[float, _real(0.05, 1.0)]
    min_voice_s: Annotated[float, _real(0.0, 60.0)]


class Readers(Section):
    """Section ``readers``: networks that read a synthetic corpus's faces."""

    steps: Annotated[int, _whole(1, 10**6)]


class Training(Section):
    """What every training has."""

    width: Annotated[float, _real(1 / 64, 8.0)]
    steps: Annotated[Steps, Reach.TRAINED]
    batch_size: Annotated[int, _whole(2, 10**5), Reach.TRAINED]
    log_every: Annotated[Steps, Reach.TRAINED]
    save_every: Annotated[Steps, Reach.NOTHING]


class Hearing(Training):
    """What every training on crops of recordings has."""

    min_crop_s: Annotated[CropS, Reach.TRAINED]
    max_crop_s: Annotated[CropS, Reach.TRAINED]

    @model_validator(mode="after")
    def _crops(self) -> Hearing:
        self._ordered("min_crop_s", "max_crop_s")
        return self


class Voice(Hearing):
    """Section ``voice``: the voice encoder and its pre-training."""

    encoder: Literal["own", "ge2e"]
    checkpoint: str | None
    checkpoint_sha256: str | None = None
    learning_rate: Annotated[Share, Reach.TRAINED]
    weight_decay: Annotated[Share, Reach.TRAINED]
    margin: Annotated[Share, Reach.TRAINED]
    scale: Annotated[float, _real(0.0, 100.0), Reach.TRAINED]

    @model_validator(mode="after")
    def _weights(self) -> Voice:
        if self.encoder == "ge2e" and self.checkpoint is not None:
            problem = f"is {self.checkpoint!r}, and 'voice.encoder' is ge2e, which brings its own weights"
            remedy = "Set 'voice.encoder' to own, or 'voice.checkpoint' to null."
            raise ParameterError("parameter 'voice.checkpoint'", problem, remedy=remedy)
        if self.margin and not self.scale:
            problem = f"is {self.margin:g}, and 'voice.scale' is 0, so that there are no cosines to lower by it"
            raise ParameterError("parameter 'voice.margin'", problem, remedy="Set 'voice.scale' above 0, such as 30.")
        return self

    @property
    def without(self) -> set[Reach]:
        """What this encoder does not look at: how it would be trained, where it is loaded."""
        if self.encoder == "ge2e":  # it reads sound on the CPU, in processes of one thread
            return {Reach.TRAINED, Reach.OWN}
        return set() if self.checkpoint is None else {Reach.TRAINED}


class Gan(Hearing):
    """Section ``gan``: generator, critics, and how they are trained."""

    norm: Literal["batch", "none"]
    tanh: bool
    head: Literal["k4", "k1"]
    learning_rate_generator: Share
    learning_rate_discriminator: Share
    beta_1: Annotated[float, _real(0.0, 0.999)]
    beta_2: Annotated[float, _real(0.0, 0.9999)]
    noise: Annotated[float, _real(0.0, 10.0)]
    flip: bool
    weight_real: Weight
    weight_identity: Weight
    on_trouble: Annotated[Literal["warn", "stop"], Reach.NOTHING]
    sample_every: Steps


class Code(Training):
    """Section ``code``: the face code, and how it is learned from photographs."""

    dim: Annotated[int, _whole(2, 1024)]
    more_photos: list[str]
    more_photos_sha256: list[str] | None = None
    discriminator_width: Annotated[float, _real(1 / 64, 8.0)]
    smooth_start: bool
    learning_rate_generator: Share
    learning_rate_discriminator: Share
    beta_1: Annotated[float, _real(0.0, 0.999)]
    beta_2: Annotated[float, _real(0.0, 0.9999)]
    decay_from: Share
    discriminator_from: Share
    noise: Annotated[float, _real(0.0, 10.0)]
    flip: bool
    weight_pixel: Weight
    weight_edge: Weight
    edge_scale: Annotated[float, _real(1e-4, 100.0)]
    weight_feature: Weight
    weight_real: Weight
    average_decay: Annotated[float, _real(0.0, 0.99999)]
    on_trouble: Annotated[Literal["warn", "stop"], Reach.NOTHING]


class Sampler(Hearing):
    """Section ``sampler``: the network that draws face codes for a voice, and how it is trained and asked."""

    kind: Literal["none", "flow", "energy"]
    game: bool
    n_layers: Annotated[int, _whole(1, 32)]
    n_axes: Count
    learning_rate: Share
    decay_from: Share
    noise: Annotated[float, _real(0.0, 10.0)]
    smoothing: Annotated[float, _real(0.0, 1.0)]
    dropped: Annotated[float, _real(0.0, 0.99)]
    flip: bool
    average_decay: Annotated[float, _real(0.0, 0.99999)]
    n_steps: Count
    guidance: Annotated[float, _real(0.0, 100.0)]

    @model_validator(mode="after")
    def _anybody(self) -> Sampler:
        if self.guidance != 1 and self.dropped == 0:
            problem = f"is {self.guidance:g}, and 'sampler.dropped' is 0, so that no voice is ever left out"
            remedy = "Set 'sampler.guidance' to 1, or 'sampler.dropped' above 0."
            raise ParameterError("parameter 'sampler.guidance'", problem, remedy=remedy)
        return self


class Measure(Section):
    """Section ``measure``: how a variant is measured."""

    n_bootstrap: Annotated[int, _whole(20, 10**6)]
    max_images: Annotated[int, _whole(10, 10**7)]
    kid_subsets: Annotated[int, _whole(2, 10**5)]
    n_draws: Annotated[int, _whole(2, 10**4)]
    n_people: Annotated[int, _whole(1, 64)]
    inception: str | None
    inception_sha256: str | None = None
    face_identity: str | None
    face_identity_sha256: str | None = None
    face_gender: str | None
    face_gender_sha256: str | None = None


class Answer(Section):
    """Section ``answer``: people made for the known answer alone."""

    offset: Annotated[int, _whole(1, 10**9)]
    n_identities: Annotated[int, _whole(20, 10**5)]
    n_recordings: Annotated[int, _whole(1, 1000)]
    n_photos: Annotated[int, _whole(1, 1000)]
    n_permutations: Annotated[int, _whole(20, 10**6)]


class Variant(Section):
    """Section ``variant``: who is in it."""

    gender: Literal["f", "m", None]


def _general_first(value: Any) -> Any:
    others = ["females", "males"]
    known = isinstance(value, list) and all(each in ("general", *others) for each in value)
    if not known or value[:1] != ["general"] or len(set(value)) < len(value):
        raise ValueError(f"List general first, then any others of {others}, each once.")
    return value


class Settings(Section):
    """All parameters of a run."""

    recipe: str
    variants: Annotated[list[str], BeforeValidator(_general_first)]
    beside: dict[str, dict[str, Any]]
    machine: Machine
    corpus: Corpus
    split: Split
    store: Store
    readers: Readers
    voice: Voice
    code: Code
    sampler: Sampler
    gan: Gan
    measure: Measure
    answer: Answer
    variant: Variant

    @model_validator(mode="after")
    def _drawn_from(self) -> Settings:
        g = self.gan
        if self.sampler.kind != "none" and (g.norm, g.tanh, g.head) != ("batch", True, "k4"):
            problem = f"are {g.norm}, {g.tanh} and {g.head}, and 'sampler.kind' is {self.sampler.kind}"
            remedy = "Faces of codes are drawn by the poster's generator: batch, true and k4."
            raise ParameterError("parameters 'gan.norm', 'gan.tanh' and 'gan.head'", problem, remedy=remedy)
        return self
