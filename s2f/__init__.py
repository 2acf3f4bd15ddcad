"""Library of the voice-to-face study: corpora, features, models, training and honest measuring."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["__version__", "load"]

if TYPE_CHECKING:
    from s2f.networks.inference import Model


def load(variant_folder) -> Model:
    """Load a trained variant (a folder such as ``runs/demo/s0/general``). See `s2f.networks.inference.load`."""
    from s2f.networks import inference  # imported here so that `import s2f` stays light

    return inference.load(variant_folder)
