"""What a run preprocesses, and how: the same for the notebook that packs a store and for jobs that make shards."""

from __future__ import annotations

import argparse

from s2f.corpora import corpus, manifest
from s2f.features.pack import Settings, build_part
from s2f.study import runs
from s2f.study.runs import Study


def inputs(study: Study) -> dict:
    """Arguments of `s2f.features.pack.build` that the run decides: manifest, root, settings, shard_size.

    Raises
    ------
    RunError: the corpus is not made yet, or with other parameters
    """
    folder = study.read("corpus")
    return {
        "manifest": manifest.read(folder / "manifest.parquet"),
        "root": corpus.files_root(folder, project=study.root),
        "settings": settings(study),
        "shard_size": study.params.store.shard_size,
    }


def settings(study: Study) -> Settings:
    """How a run treats recordings and photographs, also those that are made to measure it."""
    p = study.params.store
    return Settings(
        several_faces=p.several_faces,
        max_turn=p.max_turn,
        processed=corpus.processed(study.params.corpus.kind),
        min_voice_s=p.min_voice_s,
    )


def make_part(study: Study, *, part: int, n_parts: int, n_workers: int) -> int:
    """Make a job's share of a run's shards; `02_preprocessing` finds and packs them.

    Parameters
    ----------
    part, n_parts : int, every `n_parts`-th shard, counted from `part`

    Returns
    -------
    int, number of shards of this part

    Raises
    ------
    RunError
        The corpus is not made yet; the store is being packed, or this part is being made, by another process; a worker
        process died.
    StoreError: a part that does not exist
    """
    given = inputs(study)
    folder = study.share("store", part=f"{part}-of-{n_parts}")
    return build_part(folder=folder, share=(part, n_parts), n_workers=n_workers, **given)


def main(arguments: argparse.Namespace) -> int:
    """``python -m s2f preprocess``."""
    study = runs.open_asked("02_preprocessing", arguments)
    n = make_part(study, part=arguments.part, n_parts=arguments.n_parts, n_workers=arguments.workers)
    print(f"part {arguments.part} of {arguments.n_parts}: {n} shards in {study.shown(study.run / 'store' / 'shards')}")
    return 0
