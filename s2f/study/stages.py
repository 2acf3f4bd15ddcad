"""The study as a graph, once: what each notebook depends on, what it needs, and what it leaves.

Run folders, parameters' fingerprints, the Snakefile and the tests read it from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from s2f.settings import Settings

VARIANTS = ("general", "females", "males")
# Whose outputs of another stage a stage needs.
OWN, GENERAL, ALL = "its own variant's", "General's", "every variant's"


@dataclass(frozen=True)
class Stage:
    """One notebook.

    Attributes
    ----------
    notebook : str, its name, without suffix
    version : int
        Raised by hand to make everything anew that depends on it: where files change for another reason than code.
    sections : tuple of str, sections of the parameters that it looks at, beside those of the stages before it
    after : tuple of str, the stages whose parameters it depends on as well
    needs : tuple of (str, str), stages whose files it reads, and whose variant's
    writes : mapping of str to str, what it makes, by the name it is read by, and in which folder of the run
    done : str, optional, the file, below the run, that appears last
    pools : (str, str), optional, the stage of other seeds whose files the first seed's page shows too, as in `needs`
    is_wide : bool, whether it has all of ``machine.n_threads``: several processes make files, or a large network learns
    """

    notebook: str
    version: int = 1
    sections: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    needs: tuple[tuple[str, str], ...] = ()
    writes: Mapping[str, str] = field(default_factory=dict)
    done: str | None = None
    pools: tuple[str, str] | None = None
    is_wide: bool = False

    @property
    def each_variant(self) -> bool:
        """Whether it runs once for each variant."""
        return "{variant}" in (self.done or "")

    @property
    def page(self) -> str:
        """Stem of the executed notebook, below the run's folder ``notebooks``."""
        return self.notebook + ("_{variant}" if self.each_variant else "")

    @property
    def record(self) -> str:
        """File, below the run, that says what made its page."""
        return f"notebooks/{self.page}.json"

    @property
    def is_last(self) -> bool:
        """Whether it is for readers: no other stage needs what it makes."""
        return not any(name == self.notebook for stage in STAGES.values() for name, _ in stage.needs)


STAGES = MappingProxyType(
    {
        stage.notebook: stage
        for stage in (
            Stage(
                "01_corpus",
                sections=("corpus", "split"),
                writes={"corpus": "corpus"},
                done="corpus/manifest.parquet",
                is_wide=True,
            ),
            Stage(
                "02_preprocessing",
                sections=("store", "readers"),
                after=("01_corpus",),
                needs=(("01_corpus", OWN),),
                writes={"store": "store", "measure": "measure"},
                done="store/index.parquet",
                is_wide=True,
            ),
            Stage("03_models", after=("05_training",)),
            Stage(
                "04_face_code",
                sections=("code", "machine"),
                after=("02_preprocessing",),
                needs=(("02_preprocessing", OWN),),
                writes={"code": "code"},
                done="code/code.safetensors",
                is_wide=True,
            ),
            Stage(
                "04_voice_embedding",
                sections=("voice", "machine"),
                after=("02_preprocessing",),
                needs=(("02_preprocessing", OWN),),
                writes={"voice": "voice"},
                done="voice/metrics.json",
                is_wide=True,
            ),
            Stage(
                "05_training",
                sections=("sampler", "gan", "variant"),
                after=("04_voice_embedding", "04_face_code"),
                needs=(("04_voice_embedding", OWN), ("04_face_code", OWN)),
                writes={"model": "{variant}"},
                done="{variant}/checkpoint.safetensors",
            ),
            Stage(
                "06_metrics",
                sections=("measure",),
                after=("05_training",),
                needs=(
                    ("05_training", OWN),
                    ("05_training", GENERAL),  # which draws the same people
                    ("04_face_code", OWN),  # by which photographs are drawn again
                ),
                writes={"metrics": "{variant}"},
                done="{variant}/metrics.json",
            ),
            Stage(
                "07_results",
                after=("06_metrics",),
                needs=(
                    ("06_metrics", ALL),
                    ("04_voice_embedding", OWN),  # Table 1 draws from its embeddings
                    ("05_training", GENERAL),
                ),
                writes={"results": "results"},
                done="results/table2.json",
                pools=("06_metrics", ALL),
            ),
            Stage("08_your_voice", after=("05_training",), needs=(("05_training", ALL),)),
            Stage(
                "09_known_answer",
                sections=("measure", "answer"),
                after=("05_training",),
                needs=(("05_training", GENERAL),),
                writes={"answer": "answer"},
                pools=("09_known_answer", GENERAL),
            ),
            Stage("10_poster", after=("06_metrics",), needs=(("06_metrics", ALL),)),
        )
    }
)
# What can be read, by name: the stage that makes it.
WRITERS = MappingProxyType({what: stage for stage in STAGES.values() for what in stage.writes})

# Label -> overrides of what the thorough study runs beside a profile: nobody held out, and a planted leak.
THOROUGH: Mapping[str, dict[str, Any]] = MappingProxyType(
    {"closed": {"split.rule": "none"}, "leak": {"corpus.leak": 1.0}}
)


def in_run(name: str, settings: Settings) -> bool:
    """Whether a run with these parameters has a stage: a face code is learned where samplers draw from it."""
    return name != "04_face_code" or settings.sampler.kind != "none"


def plays(settings: Settings) -> bool:
    """Whether generator and critics play against each other."""
    return settings.sampler.kind == "none" or settings.sampler.game


def n_threads(name: str, settings: Settings) -> int:
    """CPU threads of a stage's notebook: `machine.n_threads` where it is wide, else the variants share them.

    Samplers and what reads faces gain less from a second thread than from a second notebook beside it.
    """
    n, wide = settings.machine.n_threads, STAGES[name].is_wide or (name == "05_training" and plays(settings))
    return n if wide else max(1, n // len(settings.variants))


def before(name: str) -> list[Stage]:
    """A stage, and those whose parameters it depends on, each once."""
    found = [STAGES[name]]
    for stage in found:  # which grows
        found += [STAGES[other] for other in stage.after if STAGES[other] not in found]
    return found
