"""Fused, differentiable ops: the same names and arguments as :mod:`pgtfast.reference`, on CPU (float32, float64) and CUDA (float32)."""

from .landmarks import landmarks

__all__ = ["landmarks"]
