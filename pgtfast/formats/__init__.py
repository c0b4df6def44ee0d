"""Pseudo-ground-truth files: the columnar store, and the published formats."""

from ..people.columns import SCHEMA
from ..runs import Store, read_records
from .format import Context, Format
from .neuralannot import read_neuralannot, write_neuralannot
from .notes import Notes
from .registry import formats, register

__all__ = [
    "SCHEMA",
    "Context",
    "Format",
    "Notes",
    "Store",
    "formats",
    "read_neuralannot",
    "read_records",
    "register",
    "write_neuralannot",
]
