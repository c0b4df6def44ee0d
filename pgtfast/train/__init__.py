"""Explicit training loops: ``python -m pgtfast.train MODULE:RECIPE [--override value ...]``."""

from .prior import PriorConfig, train_prior

__all__ = ["PriorConfig", "train_prior"]
