# The study as a graph. Every rule runs one notebook with papermill; `python -m s2f study` calls this.
# What depends on what is said once, in s2f/study/stages.py. A rule reruns when its notebook, its parameters, its
# inputs or the code that it uses change; docstrings and comments do not count.

import sys

from s2f.study import params
from s2f.study.stages import STAGES, VARIANTS
from s2f.study.workflow import Graph

ASKED = {"profile": "demo", "label": "", "n_seeds": 1, "thorough": False, "book": True, "overrides": {}}
GRAPH = Graph(ASKED | config, root=params.project_root())
EXECUTE = (
    f"{{params.before}} {sys.executable} -m papermill --no-progress-bar --log-output "
    "{input.notebook} {log} {params.papermill}"
)


wildcard_constraints:
    run="|".join(GRAPH.overrides),
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
            notebook=f"notebooks/{stage.notebook}.ipynb",
        output:
            [f"runs/{{run}}/s{{seed}}/{path}" for path in stage.leaves],
        log:
            f"runs/{{run}}/s{{seed}}/notebooks/{stage.page}.ipynb",
        params:
            section=GRAPH.section(stage.notebook),
            papermill=GRAPH.papermill,
            before=GRAPH.on_all_nodes if stage.notebook == "05_training" else "",
        threads: GRAPH.n_threads
        shell:
            EXECUTE


# Where store.n_jobs asks for it, jobs of their own make the shards. The shards lie in the store's folder and are no
# declared outputs, which would be deleted before a job that goes on; what a job leaves here says that it is done.
rule shards:
    input:
        GRAPH.inputs(STAGES["02_preprocessing"]),
    output:
        touch("runs/{run}/s{seed}/shards/{part}-of-{n_parts}.done"),
    params:
        section=GRAPH.section("02_preprocessing"),
        command=GRAPH.preprocess,
    threads: 1
    shell:
        "{params.command}"


rule book:
    input:
        pages=GRAPH.pages(),
        made=GRAPH.shown(),
    output:
        "_build/html/index.html",
    params:
        run=GRAPH.main,
        seed=GRAPH.seeds[0],
        code=GRAPH.code("s2f.report.book"),
    threads: GRAPH.n_threads
    shell:
        f"{sys.executable} -m s2f.report.book {{params.run}} {{params.seed}}"
