"""Signs that a game against a discriminator has gone wrong, each named in the log, and stopped for where asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType

from s2f.errors import TrainingError

PATIENCE = 10  # reports in a row before a sign counts: a bad batch is not a trend


# Of each sign the quantity of the log, and the bounds beyond which it shows.
SIGNS = MappingProxyType(
    {
        "discriminator_won": ("d_right", 0.0, 0.999),
        "discriminator_collapsed": ("score_gap", 1e-4, inf),
        "no_diversity": ("diversity", 0.05, inf),
    }
)
MEANINGS = MappingProxyType(
    {
        "discriminator_won": "the discriminator tells every real face from every drawn one, and so tells the generator "
        "nothing: lower {section}.learning_rate_discriminator",
        "discriminator_collapsed": "the discriminator gives real and drawn faces the same score: raise "
        "{section}.learning_rate_discriminator",
        "no_diversity": "the generator draws nearly the same face whatever it is given: lower "
        "{section}.learning_rate_generator, or try another seed",
    }
)


@dataclass
class Watch:
    """Looks at what is logged, and remembers for how long a sign has shown.

    Attributes
    ----------
    on_trouble : {"warn", "stop"}
        What to do once a sign has shown for `PATIENCE` reports in a row. What had shown for longer, in a training that
        was only warned of it, stops at the next report.
    section : str, of the parameters that the training has, for what it says to do
    """

    on_trouble: str = "warn"
    section: str = "gan"
    shown: dict[str, int] = field(default_factory=dict)

    def look(self, step: int, values: Mapping[str, float]) -> list[str]:
        """What to say about these values: a sentence for each sign that has shown long enough."""
        said = []
        for sign, (name, low, high) in SIGNS.items():
            bad = name in values and not low <= values[name] <= high
            self.shown[sign] = self.shown.get(sign, 0) + 1 if bad else 0
            if self.shown[sign] == PATIENCE or (self.shown[sign] > PATIENCE and self.on_trouble == "stop"):
                meaning = MEANINGS[sign].format(section=self.section)
                said.append(f"{sign} at step {step} ({name} {values[name]:.4g}): {meaning}.")
        return said

    def stop_if_asked(self, said: list[str]) -> None:
        """Stop for what was said, by a TrainingError, where that is asked."""
        if said and self.on_trouble == "stop":
            remedy = f"Or set {self.section}.on_trouble to warn, and go on."
            raise TrainingError("training", f"is in trouble: {said[0]}", remedy=remedy)
