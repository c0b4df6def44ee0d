"""The free synthetic world: images of people who are nobody, in the file formats of real data sets, with the truth kept
aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._config import SynthConfig, synth
from .truth import Truth, read_truth

if TYPE_CHECKING:
    from .world import World, WorldConfig, make_world

__all__ = ["SynthConfig", "Truth", "World", "WorldConfig", "make_world", "read_truth", "synth"]


def __getattr__(name: str) -> Any:
    """What draws needs the extras `annotate` and `report`; reading the truth does not."""
    if name in ("World", "WorldConfig", "make_world"):
        from . import world

        return getattr(world, name)
    raise AttributeError(f"module 'pgtfast.synth' has no attribute {name!r}")
