"""Pseudo-ground-truth files: the columnar store, and the published formats."""

from .neuralannot import NeuralAnnotFile, read_neuralannot, write_neuralannot
from .record import SCHEMA, record_table
from .store import Store, read_records

__all__ = [
    "SCHEMA",
    "NeuralAnnotFile",
    "Store",
    "read_neuralannot",
    "read_records",
    "record_table",
    "write_neuralannot",
]
