"""Signs that a GAN's training has gone wrong, each named in the log, and stopped for where that is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from s2f.errors import TrainingError

PATIENCE = 10  # reports in a row before a sign counts: a bad batch is not a trend


@dataclass(frozen=True)
class Sign:
    """A quantity of the log, the bounds beyond which it is a bad sign, and what that means."""

    name: str
    value: str
    bounds: tuple[float, float]
    meaning: str

    def shows(self, values: Mapping[str, float]) -> bool:
        """Whether the values are beyond the bounds; a quantity that is not there shows nothing."""
        low, high = self.bounds
        return not low <= values.get(self.value, low) <= high


SIGNS = (
    Sign(
        "discriminator_won",
        "d_right",
        (0.0, 0.999),
        "the discriminator tells every real face from every drawn one, and so tells the generator nothing: "
        "lower gan.learning_rate_discriminator",
    ),
    Sign(
        "discriminator_collapsed",
        "score_gap",
        (1e-4, inf),
        "the discriminator gives real and drawn faces the same score: raise gan.learning_rate_discriminator",
    ),
    Sign(
        "no_diversity",
        "diversity",
        (0.05, inf),
        "the generator draws nearly the same face for every voice: lower gan.learning_rate_generator, or try "
        "another seed",
    ),
)


@dataclass
class Watch:
    """Looks at what is logged, and remembers for how long a sign has shown.

    Attributes
    ----------
    on_trouble : {"warn", "stop"}
        What to do once a sign has shown for `PATIENCE` reports in a row.
    """

    on_trouble: str = "warn"
    shown: dict[str, int] = field(default_factory=dict)

    def look(self, step: int, values: Mapping[str, float]) -> list[str]:
        """What to say about these values: a sentence for each sign that has just shown long enough."""
        said = []
        for sign in SIGNS:
            self.shown[sign.name] = self.shown.get(sign.name, 0) + 1 if sign.shows(values) else 0
            if self.shown[sign.name] == PATIENCE:
                said.append(f"{sign.name} at step {step} ({sign.value} {values[sign.value]:.4g}): {sign.meaning}.")
        return said

    def stop_if_asked(self, step: int, said: list[str]) -> None:
        """Stop for what was said, by a TrainingError, where that is asked."""
        if said and self.on_trouble == "stop":
            raise TrainingError(
                "training", f"is in trouble: {said[0]}", remedy="Or set gan.on_trouble to warn, and go on."
            )
