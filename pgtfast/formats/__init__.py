"""Pseudo-ground-truth files: the columnar store, and the published formats."""

from ..people.columns import SCHEMA
from ..runs import Store, read_records
from .neuralannot import NeuralAnnotFile, read_neuralannot, write_neuralannot

__all__ = [
    "SCHEMA",
    "NeuralAnnotFile",
    "Store",
    "read_neuralannot",
    "read_records",
    "write_neuralannot",
]
