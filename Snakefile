# The study as a graph. Every rule runs one notebook with papermill; `python -m s2f study` calls this.
# A rule reruns when its notebook, a module of s2f that it uses, its parameters or its inputs change.

import json
import shlex
import sys
from pathlib import Path

from s2f.study import params
from s2f.study.runs import THOROUGH
from s2f.study.workflow import VARIANTS, modules_of

ROOT = params.project_root()
STUDY = {"profile": "demo", "label": "", "n_seeds": 1, "thorough": False, "book": True, "overrides": {}}
STUDY |= config
PROFILE = STUDY["profile"]
SEEDS = list(range(STUDY["n_seeds"]))


def folder(label):
    return f"{PROFILE}-{label}" if label else PROFILE


# Run -> overrides. The main run has every variant; those beside it have General alone.
MAIN = folder(STUDY["label"])
RUNS = {folder(""): {}, MAIN: STUDY["overrides"]}
BESIDE = []
for label, overrides in params.resolve(PROFILE, root=ROOT)["beside"].items():
    if not STUDY["label"]:
        RUNS[folder(label)] = overrides
        BESIDE.append(folder(label))
# The thorough study also has, of its first seed, a run without held-out people and one with a planted leak.
EXTRA = dict(THOROUGH) if STUDY["thorough"] and not STUDY["label"] else {}
if params.resolve(PROFILE, root=ROOT)["corpus"]["kind"] != "synthetic":
    EXTRA.pop("leak", None)  # only there can one be planted
RUNS |= {folder(label): overrides for label, overrides in EXTRA.items()}
RESOLVED = {
    (run, variant): params.resolve(PROFILE, variant=variant, overrides=overrides, root=ROOT)
    for run, overrides in RUNS.items()
    for variant in VARIANTS
}
# A corpus without genders has General alone.
TRAINED = {run: RESOLVED[run, "general"]["variants"] for run in RUNS}
N_THREADS = RESOLVED[MAIN, "general"]["machine"]["n_threads"]


wildcard_constraints:
    run="|".join(RUNS),
    part=r"\d+",
    n_parts=r"\d+",
    seed=r"\d+",
    variant="|".join(VARIANTS),


localrules:
    all,


def section(stage):
    """What a stage depends on, as one string: Snakemake reruns the rule when it changes."""

    def of(wildcards):
        resolved = RESOLVED[wildcards.run, getattr(wildcards, "variant", "general")]
        return params.section_json(resolved, stage, seed=int(wildcards.seed))

    return of


def home(stage, path):
    """Where an input is: in the plain run where that has the same parameters, as `Study.read` looks it up."""

    def of(wildcards):
        variant = getattr(wildcards, "variant", "general")
        own, plain = (
            params.fingerprint(RESOLVED[run, variant], stage, seed=int(wildcards.seed))
            for run in (wildcards.run, folder(""))
        )
        run = folder("") if own == plain else wildcards.run
        return f"runs/{run}/s{wildcards.seed}/{path}".format(variant=variant)

    return of


def sources(notebook):
    """The notebook and the modules it uses."""
    path = Path("notebooks") / f"{notebook}.ipynb"
    return [str(path), *modules_of(ROOT / path, root=ROOT)]


def papermill(wildcards):
    """Parameters of papermill for a run."""
    label = wildcards.run.partition("-")[2]
    words = f"-p profile {PROFILE} -p seed {wildcards.seed}"
    words += f" -p variant {wildcards.variant}" if hasattr(wildcards, "variant") else ""
    if label:
        overrides = json.dumps({"overrides": RUNS[wildcards.run]})
        words += f" -p label {label} -y '{overrides}'"
    return words


def settings(wildcards):
    """The same for a command of `python -m s2f`."""
    label = wildcards.run.partition("-")[2]
    words = f"--profile {PROFILE} --seed {wildcards.seed}"
    if label:
        words += f" --label {label}" + "".join(
            f" --set {shlex.quote(f'{key}={json.dumps(value)}')}" for key, value in RUNS[wildcards.run].items()
        )
    return words


EXECUTE = (
    f"{sys.executable} -m papermill --no-progress-bar --log-output "
    "{input.notebook[0]} {log} {params.papermill}"
)


def finished(run, seed, *, variants=None):
    """What the measured variants of a run leave."""
    return [f"runs/{run}/s{seed}/{variant}/metrics.json" for variant in variants or TRAINED[run]]


def answered(run, seed):
    """What the known answer of a run leaves."""
    return [f"runs/{run}/s{seed}/notebooks/09_known_answer.json"]


# Nothing of a run reads these.
LAST = ("03_models", "07_results", "08_your_voice", "09_known_answer", "10_poster")


def everything(_):
    wanted = [f"runs/{MAIN}/s{seed}/notebooks/{name}.json" for seed in SEEDS for name in LAST]
    return wanted + (["_build/html/index.html"] if STUDY["book"] else [])


def is_first(wildcards):
    """Whether these are pages of the main run's first seed, which the book shows."""
    return int(wildcards.seed) == SEEDS[0] and wildcards.run == MAIN


def other_seeds(wildcards):
    """Seeds that the pages of the first one show with it."""
    return SEEDS[1:] if is_first(wildcards) else []


rule all:
    input:
        everything,


rule corpus:
    input:
        notebook=sources("01_corpus"),
    output:
        "runs/{run}/s{seed}/corpus/manifest.parquet",
    log:
        "runs/{run}/s{seed}/notebooks/01_corpus.ipynb",
    params:
        section=section("01_corpus"),
        papermill=papermill,
    threads: N_THREADS
    shell:
        EXECUTE


# Where store.n_jobs asks for it, jobs of their own make the shards. The shards lie in the store's folder and are no
# declared outputs, which would be deleted before a job that goes on; what a job leaves here says that it is done.
rule shards:
    input:
        code=["s2f/features/preprocessing.py", *modules_of(ROOT / "s2f" / "features" / "preprocessing.py", root=ROOT)],
        manifest=home("01_corpus", "corpus/manifest.parquet"),
    output:
        touch("runs/{run}/s{seed}/shards/{part}-of-{n_parts}.done"),
    params:
        section=section("02_preprocessing"),
        settings=settings,
    threads: 1
    shell:
        f"{sys.executable} -m s2f preprocess {{params.settings}} --part {{wildcards.part}} --of {{wildcards.n_parts}}"


def shards(wildcards):
    """What the jobs that share a store's shards leave; nothing where the notebook makes them."""
    n = RESOLVED[wildcards.run, "general"]["store"]["n_jobs"]
    return [f"runs/{wildcards.run}/s{wildcards.seed}/shards/{part}-of-{n}.done" for part in range(n)]


rule preprocessing:
    input:
        notebook=sources("02_preprocessing"),
        manifest=home("01_corpus", "corpus/manifest.parquet"),
        shards=shards,
    output:
        "runs/{run}/s{seed}/store/index.parquet",
    log:
        "runs/{run}/s{seed}/notebooks/02_preprocessing.ipynb",
    params:
        section=section("02_preprocessing"),
        papermill=papermill,
    threads: N_THREADS
    shell:
        EXECUTE


rule voice_embedding:
    input:
        notebook=sources("04_voice_embedding"),
        store=home("02_preprocessing", "store/index.parquet"),
    output:
        "runs/{run}/s{seed}/voice/metrics.json",
    log:
        "runs/{run}/s{seed}/notebooks/04_voice_embedding.ipynb",
    params:
        section=section("04_voice_embedding"),
        papermill=papermill,
    threads: N_THREADS
    shell:
        EXECUTE


def on_all_nodes(wildcards):
    """Where several machines train together, what starts them; the notebook then finds all steps done."""
    n = RESOLVED[wildcards.run, wildcards.variant]["machine"]["n_nodes"]
    if n == 1:
        return ""
    meet = "--set machine.rendezvous=$(scontrol show hostnames \"$SLURM_JOB_NODELIST\" | head -n 1):29500"
    train = f"{sys.executable} -m s2f train {settings(wildcards)} --variant {wildcards.variant} {meet}"
    return f"srun --nodes={n} --ntasks-per-node=1 {train} &&"


rule training:
    input:
        notebook=sources("05_training"),
        voice=home("04_voice_embedding", "voice/metrics.json"),
    output:
        "runs/{run}/s{seed}/{variant}/checkpoint.safetensors",
    log:
        "runs/{run}/s{seed}/notebooks/05_training_{variant}.ipynb",
    params:
        section=section("05_training"),
        papermill=papermill,
        on_all_nodes=on_all_nodes,
    threads: N_THREADS
    shell:
        "{params.on_all_nodes} " + EXECUTE


rule metrics:
    input:
        notebook=sources("06_metrics"),
        checkpoint="runs/{run}/s{seed}/{variant}/checkpoint.safetensors",
        general="runs/{run}/s{seed}/general/checkpoint.safetensors",  # draws the same people
    output:
        "runs/{run}/s{seed}/{variant}/metrics.json",
    log:
        "runs/{run}/s{seed}/notebooks/06_metrics_{variant}.ipynb",
    params:
        section=section("06_metrics"),
        papermill=papermill,
    threads: N_THREADS
    shell:
        EXECUTE


rule models:
    input:
        notebook=sources("03_models"),
    output:
        "runs/{run}/s{seed}/notebooks/03_models.json",
    log:
        "runs/{run}/s{seed}/notebooks/03_models.ipynb",
    params:
        section=section("05_training"),
        papermill=papermill,
    threads: N_THREADS
    shell:
        EXECUTE


rule results:
    input:
        notebook=sources("07_results"),
        metrics=lambda w: finished(w.run, w.seed),
        beside=lambda w: [p for run in BESIDE for p in finished(run, w.seed, variants=("general",))],
        closed=lambda w: finished(folder("closed"), w.seed) if "closed" in EXTRA and is_first(w) else [],
        seeds=lambda w: [p for seed in other_seeds(w) for p in finished(w.run, seed)],
    output:
        "runs/{run}/s{seed}/notebooks/07_results.json",
        "runs/{run}/s{seed}/results/table2.json",
    log:
        "runs/{run}/s{seed}/notebooks/07_results.ipynb",
    params:
        section=section("06_metrics"),
        papermill=papermill,
    threads: N_THREADS
    shell:
        EXECUTE


rule your_voice:
    input:
        notebook=sources("08_your_voice"),
        checkpoints=lambda w: [f"runs/{w.run}/s{w.seed}/{v}/checkpoint.safetensors" for v in TRAINED[w.run]],
    output:
        "runs/{run}/s{seed}/notebooks/08_your_voice.json",
    log:
        "runs/{run}/s{seed}/notebooks/08_your_voice.ipynb",
    params:
        section=section("05_training"),
        papermill=papermill,
    threads: N_THREADS
    shell:
        EXECUTE


# The first seed's page pools all seeds, and shows what a planted leak does.
rule known_answer:
    input:
        notebook=sources("09_known_answer"),
        checkpoint="runs/{run}/s{seed}/general/checkpoint.safetensors",
        seeds=lambda w: [p for seed in other_seeds(w) for p in answered(w.run, seed)],
        leak=lambda w: answered(folder("leak"), w.seed) if "leak" in EXTRA and is_first(w) else [],
    output:
        "runs/{run}/s{seed}/notebooks/09_known_answer.json",
    log:
        "runs/{run}/s{seed}/notebooks/09_known_answer.ipynb",
    params:
        section=section("09_known_answer"),
        papermill=papermill,
    threads: N_THREADS
    shell:
        EXECUTE


rule poster:
    input:
        notebook=sources("10_poster"),
        metrics=lambda w: finished(w.run, w.seed),
    output:
        "runs/{run}/s{seed}/notebooks/10_poster.json",
    log:
        "runs/{run}/s{seed}/notebooks/10_poster.ipynb",
    params:
        section=section("06_metrics"),
        papermill=papermill,
    threads: N_THREADS
    shell:
        EXECUTE


rule book:
    input:
        pages=[
            str(path.relative_to(ROOT))
            for path in sorted((ROOT / "book").rglob("*"))
            if path.is_file() and not {"runs", "__pycache__"} & set(path.relative_to(ROOT).parts)
        ],
        config="_config.yml",
        builder=["s2f/report/book.py", *modules_of(ROOT / "s2f" / "report" / "book.py", root=ROOT)],
        notebooks=[f"runs/{MAIN}/s{SEEDS[0]}/notebooks/{name}.json" for name in LAST],
    output:
        "_build/html/index.html",
    params:
        run=MAIN,
        seed=SEEDS[0],
    threads: N_THREADS
    shell:
        f"{sys.executable} -m s2f.report.book {{params.run}} {{params.seed}}"
