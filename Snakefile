# The study as a graph. Every rule runs one notebook with papermill; `python -m s2f study` calls this.
# What depends on what is said once, in s2f/study/stages.py, and what must run in s2f/study/graph.py: whether a stage
# is finished is asked of what its notebook recorded, and times of files count for nothing.

import sys

from s2f.study import params
from s2f.study.graph import BOOK, Graph
from s2f.study.stages import STAGES, VARIANTS

ASKED = {"profile": "demo", "label": "", "n_seeds": 1, "thorough": False, "book": True, "overrides": {}}
GRAPH = Graph(ASKED | config, root=params.project_root())
PYTHON = sys.executable


wildcard_constraints:
    run=GRAPH.run_pattern,
    part=r"\d+",
    n_parts=r"\d+",
    seed=r"\d+",
    variant="|".join(VARIANTS),


localrules:
    all,


rule all:
    input:
        GRAPH.wanted,


for stage in STAGES.values():

    rule:
        name:
            stage.notebook.partition("_")[2]
        input:
            made=GRAPH.inputs(stage),
            shards=GRAPH.shards if stage.notebook == "02_preprocessing" else [],
            notebook=ancient(f"notebooks/{stage.notebook}.ipynb"),
        output:
            f"runs/{{run}}/s{{seed}}/{stage.record}",
        log:
            f"runs/{{run}}/s{{seed}}/notebooks/{stage.page}.ipynb",
        params:
            papermill=GRAPH.papermill,
            before=GRAPH.on_all_nodes if stage.notebook == "05_training" else "",
        threads: GRAPH.n_threads(stage)
        shell:
            "{params.before} {PYTHON:q} -m papermill --no-progress-bar --log-output "
            "{input.notebook:q} {log:q} {params.papermill}"


# Where store.n_jobs asks for it, jobs of their own make the shards. The shards lie in the store's folder and are no
# declared outputs, which would be deleted before a job that goes on; what a job leaves here says that it is done.
rule shards:
    input:
        GRAPH.inputs(STAGES["02_preprocessing"]),
    output:
        touch("runs/{run}/s{seed}/shards/{part}-of-{n_parts}.done"),
    params:
        command=GRAPH.preprocess,
    threads: 1
    shell:
        "{params.command}"


rule book:
    input:
        GRAPH.shown(),
    output:
        BOOK.as_posix(),
    params:
        run=GRAPH.main,
        seed=GRAPH.seeds[0],
    threads: 1
    shell:
        "{PYTHON:q} -m s2f.report.book {params.run:q} {params.seed}"
