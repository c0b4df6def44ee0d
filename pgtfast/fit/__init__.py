"""Batched optimisation of keypoints into bodies."""

from ..fitting.problem import Weights
from ..fitting.smplify import FitResult, fit_keypoints

__all__ = ["FitResult", "Weights", "fit_keypoints"]
