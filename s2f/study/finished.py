"""The folders of a finished run, as who reads it later finds them.

A labelled run has only what differs from the plain run of its profile; the rest lies there. Its records say where.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml
from pydantic import ValidationError

from s2f import provenance
from s2f.errors import RunError
from s2f.settings import Settings
from s2f.study.stages import STAGES, VARIANTS, WRITERS


@dataclass(frozen=True)
class Finished:
    """A seed of a run.

    Attributes
    ----------
    home : Path, ``runs/<profile>[-<label>]/s<seed>``
    """

    home: Path

    @property
    def plain(self) -> Path:
        """The same seed of the run without a label."""
        run = self.home.parent
        return run.with_name(run.name.partition("-")[0]) / self.home.name

    def folder(self, what: str, *, variant: str = "general") -> Path:
        """Where a part lies, by its name in `stages.WRITERS`; it need not be there.

        What no record says lies in the run's own folder; where there are no records at all, in the plain run's if the
        run has none, but of a variant in its own.
        """
        stage = WRITERS[what]
        name = stage.writes[what].format(variant=variant)
        own = self.home / name
        alone = bool(self.made_of) or own.is_dir() or stage.each_variant
        return self.made_of.get((name, stage.notebook), own if alone else self.plain / name)

    def page(self, name: str) -> Path:
        """The executed notebook of a page, such as ``06_metrics_general``; it need not be there."""
        home, stage = self.home, next((each for each in STAGES.values() if name.startswith(each.notebook)), None)
        if stage is not None and stage.writes and not stage.is_last:
            variant = name.removeprefix(stage.notebook).removeprefix("_") or "general"
            home = self.folder(next(iter(stage.writes)), variant=variant).parent
        return home / "notebooks" / f"{name}.ipynb"

    @property
    def variants(self) -> list[str]:
        """Variants that are measured, General first."""
        if not self.made_of:
            return [name for name in VARIANTS if (self.home / name / "metrics.json").is_file()]
        return [name for name in VARIANTS if (name, "06_metrics") in self.made_of]

    def has(self, variant: str) -> bool:
        """Whether the results hang on a variant, as far as records say: a folder may be of an earlier question."""
        return not self.made_of or variant in self.variants

    @cached_property
    def made_of(self) -> dict[tuple[str, str], Path]:
        """Folders that the results hang on, by their name and the notebook that made them, as records say.

        Raises
        ------
        RunError: a record is of another version or form
        """
        found: dict[tuple[str, str], Path] = {}
        waiting = [(self.home / "results", "07_results")]
        while waiting:
            folder, notebook = waiting.pop()
            facts = provenance.read_stages(folder).get(notebook)
            for name in (facts.inputs or ()) if facts else ():
                place, _, made_by = name.rpartition(":")
                path = self.home.parents[1] / place
                if path.parent in (self.home, self.plain) and (path.name, made_by) not in found:  # of no other seed
                    found[path.name, made_by] = path
                    waiting.append((path, made_by))
        return found


def settings_of(folder: Path) -> Settings:
    """The parameters that made a folder of a run.

    Raises
    ------
    RunError: they are not there, or of another version
    """
    path, remedy = folder / "params.yaml", "Run the study again, to its end."
    if not path.is_file():
        raise RunError(path, "is not there", remedy=remedy, reason="missing")
    try:
        return Settings.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "no YAML"
        raise RunError(path, f"is of another version ({why})", remedy=remedy, reason="format") from None
