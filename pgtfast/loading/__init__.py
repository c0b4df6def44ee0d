"""Batches of people to learn from or to annotate, in exact mixtures, and the targets of their losses."""

from .batch import Batch
from .supervision import JointMap, Supervision

__all__ = ["Batch", "JointMap", "Supervision"]
